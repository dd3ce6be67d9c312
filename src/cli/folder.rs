//! The folder of migration files: what is in it, and what the files say.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::migration::{Checksums, MigrationId};
use crate::planner::Migration;
use crate::planner::verify::MigrationFile;
use crate::sql;

/// All migration files of a folder, in order of version.
#[derive(Debug, Default)]
pub struct Folder {
    /// The files, without their text: applied ones are many, and only compared.
    pub files: Vec<MigrationFile>,
    /// SQL files whose names are no migrations' names.
    pub findings: Vec<Finding>,
}

/// Reads the names and checksums of all migrations below `folder`.
///
/// Errors when the folder or a file cannot be read, or a file is not UTF-8.
pub fn read(folder: &Path) -> Result<Folder> {
    read_files(&sql_files(folder)?)
}

/// The same for the files that [`sql_files`] listed.
pub fn read_files(paths: &[PathBuf]) -> Result<Folder> {
    let mut result = Folder::default();
    for path in paths {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match MigrationId::from_file_stem(stem) {
            Ok(id) => {
                let checksums = Checksums::of(&id, &read_text(path)?);
                let path = path.display().to_string();
                result.files.push(MigrationFile { id, path, checksums });
            }
            Err(why) => result.findings.push(misnamed(path, &why)),
        }
    }
    result.files.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(result)
}

/// Reads and parses one migration.
///
/// Errors point at the line and column of what is no SQL.
pub fn parse(file: &MigrationFile) -> Result<Migration> {
    let text = read_text(Path::new(&file.path))?;
    parse_text(&file.id, &file.path, &text)
}

/// The same for a migration that is no file.
pub fn parse_text(id: &MigrationId, path: &str, text: &str) -> Result<Migration> {
    let statements = sql::parse(text).map_err(|error| {
        let result = Error::usage(format!("{path}:{}:{}: {error}", error.line, error.column))
            .at(path, error.line);
        if error.hint.is_empty() { result } else { result.hint(error.hint) }
    })?;
    let checksums = Checksums::of(id, text);
    Ok(Migration { id: id.clone(), path: path.to_string(), checksums, statements })
}

/// The text as refinery reads it: UTF-8, bytes kept, byte-order mark and all.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::system(format!("read {}", path.display()), error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::usage(format!("{}:{line}: byte {at} is not UTF-8", path.display()))
            .hint("convert the file, for example with iconv -f latin1 -t utf8")
    })
}

/// All files ending in .sql below `folder`, links followed, in the order of their paths.
pub fn sql_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| {
        Error::system(format!("read the migrations folder {}", folder.display()), error)
            .hint("set migrations.folder in the profile; `pgtune init` makes one")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // What a link leads to has to be asked for; for the rest the listing says it.
        let is_folder = match entry.file_type().map_err(failed)? {
            kind if kind.is_symlink() => path.is_dir(),
            kind => kind.is_dir(),
        };
        if is_folder {
            files.extend(sql_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn misnamed(path: &Path, why: &str) -> Finding {
    let message = format!("is passed over: {why}");
    Finding::new("misnamed-file", Severity::Warning, path.display().to_string(), message)
        .help("name migrations V1__what_it_does.sql")
}

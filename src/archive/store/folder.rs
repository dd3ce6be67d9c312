//! Archives in a folder of this machine.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Kind, Result};

/// A folder; it is made when the first file comes.
pub struct Folder {
    path: PathBuf,
}

/// A file that is not complete yet: under another name, which begins with a dot.
pub struct FileUpload {
    file: NamedTempFile,
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`.
    pub fn new(path: PathBuf) -> Folder {
        Folder { path }
    }

    /// Begins a file. Only the user who runs pgtune may read it: it holds what the table held.
    pub fn put(&self, name: &str) -> Result<FileUpload> {
        let path = self.path.join(name);
        let folder = parent(&path);
        let failed = |error| explain(format!("write into {}", folder.display()), error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = tempfile::Builder::new().prefix(".").suffix(".partial").tempfile_in(folder);
        Ok(FileUpload { file: file.map_err(failed)?, path: path.clone() })
    }

    /// Opens a file. That there is none is an error of [`Kind::Answer`].
    pub fn read(&self, name: &str) -> Result<File> {
        let path = self.path.join(name);
        File::open(&path).map_err(|error| {
            let kind = match error.kind() == ErrorKind::NotFound {
                true => Kind::Answer,
                false => Kind::System,
            };
            Error { kind, ..explain(format!("read {}", path.display()), error) }
        })
    }

    /// Whether there is such a file.
    pub fn exists(&self, name: &str) -> Result<bool> {
        let path = self.path.join(name);
        path.try_exists().map_err(|error| explain(format!("look for {}", path.display()), error))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(explain(format!("remove {}", path.display()), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl FileUpload {
    /// Writes some of the bytes and returns how many.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(bytes);
        written.map_err(|error| explain(format!("write {}", self.path.display()), error))
    }

    /// Gives the file its name, once its bytes are on the disk; then the folder's entry.
    pub fn finish(self) -> Result<()> {
        let FileUpload { file, path } = self;
        let failed = |error| explain(format!("write {}", path.display()), error);
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        // The folder, and the one above: this file may be its first.
        for folder in [parent(&path), parent(parent(&path))] {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}

/// The folder a file is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

/// An error of the file system, with what helps.
fn explain(doing: String, error: io::Error) -> Error {
    let hint = if error.kind() == ErrorKind::StorageFull {
        "the disk is full: make room, or set archive.to to another place"
    } else if matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) {
        "a limit of this user is reached: raise it, or set archive.to to another place"
    } else if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        "allow it to the user who runs pgtune, or set archive.to to another place"
    } else if error.kind() == ErrorKind::NotFound {
        "archive.to names the place where archives are looked for"
    } else {
        return Error::system(doing, error);
    };
    Error::system(doing, error).hint(hint)
}

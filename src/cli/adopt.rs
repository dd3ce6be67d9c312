//! `pgtune adopt`: takes over the history of another migration tool.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::{Error, Result};
use crate::model::finding::Finding;
use crate::model::foreign::Tool;
use crate::model::ident::{Ident, parse_name};
use crate::model::migration::Checksums;
use crate::model::units::plural;
use crate::pg::foreign;
use crate::pg::server::Server;
use crate::planner::adopt::{Adoption, OldFile, OurFile, adopt, old_file};
use crate::planner::verify::MigrationFile;
use crate::report::{Report, Table};

use super::context::Context;
use super::database::Database;
use super::folder;
use super::rewrite::{Consent, Proposal, carry_out, ledger};

/// Take over the history of another migration tool
///
/// Reads the tool's table, compares its checksums where it keeps any, and records those of our
/// files that it has applied. Its table is left as it is. Where the migrations folder does not
/// hold the tool's files themselves, name their folder with --from.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune adopt flyway --dry-run
  pgtune adopt sqlx --from ../db/migrations --write-files
  pgtune adopt refinery --table old.refinery_schema_history")]
pub struct Args {
    /// The other tool
    #[arg(value_parser = PossibleValuesParser::new(Tool::ALL.map(Tool::name))
        .map(|name| Tool::from_name(&name).expect("only names of tools are possible values")))]
    tool: Tool,
    /// Its history table [default: the one it makes itself]
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Folder of its migration files
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    from: Option<PathBuf>,
    /// Copy its files into the migrations folder under refinery's names, up parts only; files of
    /// versions that are there already are not touched
    #[arg(long, requires = "from")]
    write_files: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Files on both sides.
struct Files {
    ours: Vec<OurFile>,
    /// Those of ours that do not exist yet.
    new: Vec<(PathBuf, String)>,
    old: Vec<OldFile>,
    findings: Vec<Finding>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let files = read_files(context, &args)?;
    let database = Database::of(context)?;
    let table = table(&args)?;
    let compared: Vec<MigrationFile> = files.ours.iter().map(|our| our.file.clone()).collect();
    carry_out(context, &args.consent, &database, &mut |session, server| {
        refuse_own_table(args.tool, &table, server)?;
        let rows = foreign::rows(session, args.tool, &table)?;
        let ledger = ledger(context, &compared, server);
        let adoption = adopt(args.tool, &rows, &files.ours, &files.old, &ledger);
        let report = report(&adoption, &files);
        let recorded = plural(adoption.evidence.len(), "migration", "migrations");
        let mut done = format!("{recorded} recorded as applied in {}", server.history_table);
        if !files.new.is_empty() {
            done += &format!(", {} written", plural(files.new.len(), "file", "files"));
        }
        Ok(Proposal { planned: adoption.planned, files: files.new.clone(), report, done })
    })
}

fn table(args: &Args) -> Result<Vec<Ident>> {
    let written = args.table.as_deref().unwrap_or(args.tool.default_table());
    parse_name(written).filter(|parts| parts.len() <= 2).ok_or_else(|| {
        Error::usage(format!("--table: \"{written}\" is no table name"))
            .hint("write table, or schema.table; quote what needs quotes: \"my schema\".t")
    })
}

/// refinery's own table under its own name needs no adoption.
fn refuse_own_table(tool: Tool, table: &[Ident], server: &Server) -> Result<()> {
    let own = &server.history_table;
    let is_own = match table {
        [name] => *name == own.name,
        [schema, name] => *schema == own.schema && *name == own.name,
        _ => false,
    };
    if tool != Tool::Refinery || !is_own {
        return Ok(());
    }
    Err(Error::usage(format!("{own} is the history table that pgtune works with already"))
        .hint("refinery's history is pgtune's own; `pgtune status` shows it")
        .hint("to move it, name the new table in migrations.history_table, the old with --table"))
}

fn read_files(context: &Context, args: &Args) -> Result<Files> {
    let ours = context.migrations_folder();
    let folder = folder::read(&ours)?;
    let mut files =
        Files { ours: Vec::new(), new: Vec::new(), old: Vec::new(), findings: folder.findings };
    for file in folder.files {
        let text = folder::read_text(Path::new(&file.path))?;
        files.ours.push(OurFile { file, text });
    }
    if let Some(from) = &args.from {
        read_old_files(from, args.tool, &mut files)?;
    }
    if args.write_files {
        add_new_files(&ours, &mut files);
    }
    Ok(files)
}

fn read_old_files(from: &Path, tool: Tool, files: &mut Files) -> Result<()> {
    for path in folder::sql_files(from)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = folder::read_text(&path)?;
        match old_file(tool, &path.display().to_string(), name, text) {
            Ok(old) => files.old.extend(old),
            Err(finding) => files.findings.push(*finding),
        }
    }
    Ok(())
}

/// Plans a file of ours for each old one whose version we do not have.
fn add_new_files(folder: &Path, files: &mut Files) {
    for old in &files.old {
        if files.ours.iter().any(|our| our.file.id.version == old.id.version) {
            continue;
        }
        let path = folder.join(format!("{}.sql", old.id));
        let checksums = Checksums::of(&old.id, &old.up);
        let shown = path.display().to_string();
        let file = MigrationFile { id: old.id.clone(), path: shown, checksums };
        files.ours.push(OurFile { file, text: old.up.clone() });
        files.new.push((path, old.up.clone()));
    }
    files.ours.sort_by(|a, b| a.file.id.cmp(&b.file.id));
}

fn report(adoption: &Adoption, files: &Files) -> Report {
    let mut report = Report::new("");
    if !files.new.is_empty() {
        let mut table = Table::new("files to be written", &["file"]);
        table.rows.extend(files.new.iter().map(|(path, _)| vec![path.display().to_string()]));
        report = report.table(table);
    }
    let header = ["migration", "applied, says", "evidence", "compared"];
    let mut table = Table::new("to be recorded as applied", &header);
    table.rows.extend(adoption.evidence.iter().map(|told| {
        let evidence = if told.verified { "verified" } else { "believed" };
        let migration = told.migration.to_string();
        vec![migration, told.row.clone(), evidence.to_string(), told.reason.clone()]
    }));
    let mut findings = files.findings.clone();
    findings.extend(adoption.planned.findings.iter().cloned());
    report.table(table).findings(findings)
}

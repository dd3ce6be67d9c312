//! `pgtune snapshot take`: writes what the planner knows of the database into a file.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::model::snapshot::Snapshot;
use crate::model::units::{human_bytes, human_duration, plural};
use crate::pg::{server, snapshot};
use crate::report::Report;
use crate::shadow::dump;
use crate::shadow::surroundings::Surroundings;

use super::file::{self, DEFAULT};

/// Write what the planner knows of the database into a file
///
/// Sizes, statistics, settings and the statements that make the schema (by pg_dump). An ordinary
/// role suffices; what it may not read is told. Nothing is locked beyond ACCESS SHARE.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune snapshot take prod.json.zst
  pgtune snapshot show prod.json.zst      what the file discloses")]
pub struct Args {
    /// The file; compressed where its name ends in .zst
    #[arg(value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The pg_dump to use, not older than the server
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::ExecutablePath)]
    pg_dump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let begin = Instant::now();
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let server = server::look(&mut session, &database.history_table)?;
    let mut taken = snapshot::snapshot(&mut session, server.history)?;
    add_schema(context, &database, &mut taken, &args)?;
    let bytes = file::write(&args.file, &taken)?;
    let (relations, columns) = (taken.relations.len(), taken.columns.len());
    let title = format!(
        "{}: {} and {} in {}, {}",
        args.file.display(),
        plural(relations, "relation", "relations"),
        plural(columns, "column", "columns"),
        human_bytes(bytes as u64),
        human_duration(begin.elapsed())
    );
    context.show(&Report::new(&title).findings(taken.unread))
}

/// Adds the statements that make the schema, or says why they are not there.
fn add_schema(
    context: &Context,
    database: &Database,
    snapshot: &mut Snapshot,
    args: &Args,
) -> Result<()> {
    let surroundings = Surroundings::of_process()?;
    let major = snapshot.major();
    let why = match dump::find(args.pg_dump.as_deref(), &surroundings, major)? {
        Some(program) => {
            match dump::schema(&program, database.target(), &context.profile().database.role) {
                Ok(ddl) => {
                    snapshot.ddl = Some(ddl);
                    return Ok(());
                }
                Err(error) => format!("{error}: {}", error.hints.join("; ")),
            }
        }
        None => format!("there is no pg_dump of version {major} or later"),
    };
    let finding = Finding::new("schema-unread", Severity::Warning, &snapshot.server.database, why)
        .help("the migrations make the schema instead; --pg-dump names another program");
    snapshot.unread.push(finding);
    Ok(())
}

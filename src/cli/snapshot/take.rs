//! `pgtune snapshot take`: writes what the planner knows of the database into a file.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::model::disclosure::{Disclosure, Treatment, Values, disclose};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::snapshot::{ColumnStatistics, Snapshot};
use crate::model::units::{human_bytes, human_duration, plural};
use crate::pg::statements::query;
use crate::pg::substitution::substitute;
use crate::pg::{server, snapshot};
use crate::profile::Query;
use crate::report::Report;
use crate::shadow::dump;
use crate::shadow::surroundings::Surroundings;
use crate::sql::secrets::without_secrets;

use super::file::{self, DEFAULT};
use super::statements;
use super::workload::Workload;

/// Write what the planner knows of the database into a file
///
/// Sizes, statistics, settings and the statements that make the schema (by pg_dump). An ordinary
/// role suffices; what it may not read is told. Nothing is locked beyond ACCESS SHARE.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune snapshot take prod.json.zst
  pgtune snapshot take --statements       with what the server spends its time on
  pgtune snapshot show prod.json.zst      what the file discloses")]
pub struct Args {
    /// The file; compressed where its name ends in .zst
    #[arg(value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Of which columns values of rows come into the file (default: snapshot.values)
    #[arg(long, value_enum, value_name = "WHICH")]
    values: Option<Values>,
    /// Keep values of columns out whose name has this in it; may be repeated
    #[arg(long, value_name = "TEXT")]
    redact: Vec<String>,
    /// Also write the statements that the server spends 95 % of its time on
    /// (pg_stat_statements), without their constants
    #[arg(long)]
    statements: bool,
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
    let settings = &context.profile().snapshot;
    let (statements, left_out) = match args.statements {
        true => statements::read(context, &mut session)?,
        false => Default::default(),
    };
    let values = args.values.unwrap_or(settings.values);
    let queries: Vec<Query> = statements.iter().map(query).collect();
    let queries = [context.profile().queries.as_slice(), queries.as_slice()].concat();
    let workload = match values {
        Values::Workload | Values::All => {
            Workload::of(context, &mut session, server.version_num, &queries)?
        }
        Values::None => Workload::default(),
    };
    let ties = snapshot::ties(&mut session)?;
    let redact: Vec<&str> =
        settings.redact.iter().chain(&args.redact).map(String::as_str).collect();
    let disclosure = Disclosure::new(values, &workload.used, &redact, &ties);
    let roles: Vec<&str> = queries.iter().map(|query| query.role.as_str()).collect();
    let is_needed = |one: &ColumnStatistics| disclosure.treatment(one) != Treatment::Withheld;
    let mut taken = snapshot::snapshot(&mut session, server.history.clone(), &roles, is_needed)?;
    taken.statements = statements;
    taken.unread.extend(left_out);
    snapshot::add_ends(&mut session, &mut taken)?;
    substitute(&mut session, &mut taken, &disclosure, &workload.bindings)?;
    disclose(&mut taken, &disclosure);
    taken.unread.extend(workload.unranked(&taken));
    let closed = snapshot::closed(&mut session)?;
    add_schema(context, &database, &mut taken, &closed, &args)?;
    let bytes = file::write(&args.file, &taken)?;
    let (relations, columns) = (taken.relations.len(), taken.columns.len());
    let title = format!(
        "{}: {} and {} in {}, {}",
        args.file.display(),
        plural(relations, "relation", "relations"),
        plural(columns, "column", "columns"),
        human_bytes(bytes),
        human_duration(begin.elapsed())
    );
    context.show(&Report::new(&title).findings(taken.unread))
}

/// Adds the statements that make the schema, or says why they are not there.
fn add_schema(
    context: &Context,
    database: &Database,
    snapshot: &mut Snapshot,
    closed: &[QualifiedName],
    args: &Args,
) -> Result<()> {
    let surroundings = Surroundings::of_process()?;
    let (major, role) = (snapshot.major(), &context.profile().database.role);
    let why = match dump::find(args.pg_dump.as_deref(), &surroundings, major)? {
        Some(program) => match dump::schema(&program, database.target(), role, closed) {
            Ok(ddl) => match without_secrets(&ddl) {
                Ok(ddl) => {
                    snapshot.ddl = Some(ddl);
                    snapshot.unread.extend(left_out(closed));
                    return Ok(());
                }
                Err(error) => format!("what pg_dump wrote cannot be read: {}", error.message),
            },
            Err(error) => format!("{error}: {}", error.hints.join("; ")),
        },
        None => format!("there is no pg_dump of version {major} or later"),
    };
    let finding = Finding::new("schema-unread", Severity::Warning, &snapshot.server.database, why)
        .help("the migrations make the schema instead; --pg-dump names another program");
    snapshot.unread.push(finding);
    Ok(())
}

/// The finding that a schema is without some tables.
fn left_out(closed: &[QualifiedName]) -> Option<Finding> {
    const TOLD_MAX: usize = 5;
    let (first, count) = (closed.first()?, closed.len());
    let told: Vec<String> = closed.iter().take(TOLD_MAX).map(ToString::to_string).collect();
    let more = if count > TOLD_MAX { ", …" } else { "" };
    let message = format!(
        "the schema is without {}, which the role may not read: {}{more}",
        plural(count, "table", "tables"),
        told.join(", ")
    );
    let finding = Finding::new("schema-unread", Severity::Warning, first.to_string(), message);
    Some(finding.help("grant the role SELECT on them, or pg_read_all_data"))
}

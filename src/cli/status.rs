//! `pgtune status`: what is applied and what is not, and what stands in the way. Changes nothing.

use crate::error::{Error, Kind, Result};
use crate::model::catalog::{Catalog, RelationKind};
use crate::model::finding::{Finding, has_errors};
use crate::model::migration::{History, VersionWidth};
use crate::model::units::{human_bytes, human_count};
use crate::pg::catalog;
use crate::pg::failure::Failure;
use crate::pg::runner_lock::{self, Holder};
use crate::pg::server::{self, Server};
use crate::pg::session::Session;
use crate::pg::watch::{self, Orphan};
use crate::planner::verify::{MigrationFile, State, Verified, verify, verify_progress};
use crate::report::{Report, Table};
use crate::runbook::print::one_line;

use super::context::Context;
use super::database::Database;
use super::folder::{self, Folder};
use super::migrate::strictness;

/// Show what is applied, what is pending, and what stands in the way
///
/// Reads only, and works on a standby. Exit code 1 where files and history do not fit together, as
/// strictly as the profile wants it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune status
  pgtune status --all --json
  pgtune status --exit-code && echo up to date")]
pub struct Args {
    /// Show lists in full, not the newest applied and the first pending migrations alone
    #[arg(long)]
    all: bool,
    /// Leave with 1 also when migrations are pending
    #[arg(long)]
    exit_code: bool,
}

/// How many migrations of one state, or other things of one kind, are shown without --all.
const SHOWN_MAX: usize = 10;

/// What was seen of the database.
struct Sight {
    server: Server,
    catalog: Catalog,
    holder: Option<Holder>,
    /// Sessions of runners at work: the holder's lanes, or left by a killed one.
    at_work: Vec<Orphan>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let folder = folder::read(&context.migrations_folder())?;
    let database = Database::of(context)?;
    let sight = look(&mut database.open()?, &database)?;
    let history = &sight.catalog.history;
    let verified = verify(&folder.files, history, strictness(context.profile()));
    let (half_applied, edited) = half_applied(&folder.files, history);
    let mut findings = folder.findings.clone();
    findings.extend(verified.findings.iter().cloned());
    findings.extend(edited);
    let mut report = Report::new("").facts("", facts(&sight, &verified));
    report = report.table(migrations(&folder, history, &verified, args.all));
    let trouble = [
        half_applied,
        invalid_indexes(&sight.catalog),
        pending_detaches(&sight.catalog),
        at_work(&sight),
    ];
    for table in trouble.into_iter().filter(|table| !table.rows.is_empty()) {
        report = report.table(if args.all { table } else { cut(table) });
    }
    let answer = answer(&findings, &verified, args.exit_code);
    context.show(&report.findings(findings))?;
    answer
}

fn look(session: &mut Session, database: &Database) -> Result<Sight> {
    let server = server::look(session, &database.history_table)?;
    let explain = |failure: Failure| failure.explain("cannot see who is at work");
    let holder = runner_lock::holder(session).map_err(explain)?;
    let at_work = watch::orphans(session, runner_lock::RUNNER, &[server.pid]).map_err(explain)?;
    let catalog = catalog::snapshot(session, server.version_num, server.history.clone())?;
    Ok(Sight { server, catalog, holder, at_work })
}

/// The answer in the exit code; the report has said the rest.
fn answer(findings: &[Finding], verified: &Verified, pending_counts: bool) -> Result<()> {
    if has_errors(findings) {
        return Err(Error::new(Kind::Answer, "files and history do not fit together"));
    }
    if pending_counts && !verified.pending.is_empty() {
        return Err(Error::new(Kind::Answer, "migrations are pending")
            .hint("`pgtune migrate` applies them"));
    }
    Ok(())
}

fn facts(sight: &Sight, verified: &Verified) -> Vec<(String, String)> {
    let Sight { server, catalog, holder, at_work } = sight;
    let (major, minor) = (server.version_num / 10_000, server.version_num % 10_000);
    let standby = if server.in_recovery { ", a standby" } else { "" };
    let table = &server.history_table;
    let history = match catalog.history.width {
        None => format!("{table}, not made yet"),
        Some(VersionWidth::Int4) => format!("{table}, int4 versions"),
        Some(VersionWidth::Int8) => format!("{table}, int8 versions"),
    };
    let runner = match (holder, at_work.is_empty()) {
        (Some(holder), _) => format!("at work: {holder}"),
        (None, true) => "none at work".to_string(),
        (None, false) => "none, but sessions of a killed one are still at work".to_string(),
    };
    let mut facts = vec![
        ("server".to_string(), format!("PostgreSQL {major}.{minor}{standby}")),
        ("database".to_string(), server.database.clone()),
        ("history".to_string(), history),
        ("runner".to_string(), runner),
    ];
    for state in STATES {
        let count = verified.states.values().filter(|found| **found == state).count();
        let usual = matches!(state, State::Applied | State::Pending);
        if usual || count > 0 {
            facts.push((word(state).to_string(), human_count(count as u64)));
        }
    }
    facts
}

const STATES: [State; 5] =
    [State::Applied, State::Pending, State::Diverged, State::Missing, State::Late];

fn word(state: State) -> &'static str {
    match state {
        State::Applied => "applied",
        State::Pending => "pending",
        State::Diverged => "diverged",
        State::Missing => "missing",
        State::Late => "late",
    }
}

/// All migrations by version; the middle of long lists is left out, what is wrong never.
fn migrations(folder: &Folder, history: &History, verified: &Verified, all: bool) -> Table {
    let count = |wanted| verified.states.values().filter(|state| **state == wanted).count();
    let (applied, pending) = (count(State::Applied), count(State::Pending));
    let (mut applied_seen, mut pending_seen) = (0, 0);
    let mut rows = Vec::new();
    for ((version, name), state) in &verified.states {
        let shown = match state {
            State::Applied => {
                applied_seen += 1;
                applied_seen + SHOWN_MAX > applied
            }
            State::Pending => {
                pending_seen += 1;
                pending_seen <= SHOWN_MAX
            }
            State::Diverged | State::Missing | State::Late => true,
        };
        if all || shown {
            let file = folder.files.iter().find(|file| file.id.version == *version);
            let row = history.applied.iter().find(|row| row.version == *version);
            let id = file.filter(|file| file.id.name == *name).map(|file| file.id.to_string());
            rows.push(vec![
                id.unwrap_or_else(|| format!("V{version}__{name}")),
                word(*state).to_string(),
                row.map_or_else(String::new, |row| row.applied_on.clone()),
            ]);
        }
    }
    let hidden = |count: usize| if all { 0 } else { count.saturating_sub(SHOWN_MAX) };
    let title = match (hidden(applied), hidden(pending)) {
        (0, 0) => "migrations".to_string(),
        (older, 0) => format!("migrations ({older} older applied ones with --all)"),
        (0, later) => format!("migrations ({later} later pending ones with --all)"),
        (older, later) => {
            format!("migrations ({older} older applied and {later} later pending ones with --all)")
        }
    };
    Table { rows, ..Table::new(&title, &["migration", "state", "applied on"]) }
}

/// The first rows of a long table; its title says how many there are.
fn cut(mut table: Table) -> Table {
    let count = table.rows.len();
    if count > SHOWN_MAX {
        table.rows.truncate(SHOWN_MAX);
        table.title += &format!(" ({SHOWN_MAX} of {count}, the others with --all)");
    }
    table
}

/// The statements of half-applied migrations that were begun or done, and what of them was edited
/// since.
fn half_applied(files: &[MigrationFile], history: &History) -> (Table, Vec<Finding>) {
    let mut table = Table::new("half-applied", &["migration", "statement", "state", "text"]);
    let mut findings = Vec::new();
    let mut versions: Vec<i64> = history.progress.iter().map(|row| row.version).collect();
    versions.dedup();
    for version in versions {
        let file = files.iter().find(|file| file.id.version == version);
        // A file that is no SQL any more has no statements to show; `migrate` says why.
        let migration = file.and_then(|file| folder::parse(file).ok());
        if let Some(migration) = &migration {
            let (id, path) = (&migration.id, &migration.path);
            findings.extend(verify_progress(id, path, &migration.statements, history));
        }
        for row in history.progress.iter().filter(|row| row.version == version) {
            let position = (row.statement as usize).checked_sub(1);
            let statement = migration
                .as_ref()
                .zip(position)
                .and_then(|(migration, position)| migration.statements.get(position));
            let number = match &migration {
                Some(migration) => format!("{} of {}", row.statement, migration.statements.len()),
                None => row.statement.to_string(),
            };
            let state = if row.finished { "done" } else { "begun, may have taken effect" };
            table.rows.push(vec![
                file.map_or_else(|| format!("V{version}"), |file| file.id.to_string()),
                number,
                state.to_string(),
                statement.map_or_else(String::new, |statement| one_line(&statement.text)),
            ]);
        }
    }
    (table, findings)
}

fn invalid_indexes(catalog: &Catalog) -> Table {
    let mut table = Table::new("invalid indexes", &["index", "table", "size"]).right_aligned(&[2]);
    for (name, index) in catalog.indexes.iter().filter(|(_, index)| !index.valid) {
        let kind = catalog.relations.get(&index.table).map(|relation| relation.kind);
        let size = match kind {
            Some(RelationKind::PartitionedTable) => "partitioned".to_string(),
            Some(RelationKind::Table | RelationKind::MaterializedView)
            | Some(RelationKind::ForeignTable)
            | None => human_bytes(index.size_bytes),
        };
        table.rows.push(vec![name.to_string(), index.table.to_string(), size]);
    }
    table
}

fn pending_detaches(catalog: &Catalog) -> Table {
    let mut table = Table::new("pending detaches", &["partition", "of"]);
    for (name, relation) in &catalog.relations {
        if let Some(partition) = relation.partition_of.as_ref().filter(|p| p.detach_pending) {
            table.rows.push(vec![name.to_string(), partition.parent.to_string()]);
        }
    }
    table
}

fn at_work(sight: &Sight) -> Table {
    let title = match sight.holder {
        Some(_) => "statements at work",
        None => "sessions of a killed run, still at work",
    };
    let mut table = Table::new(title, &["session"]);
    table.rows.extend(sight.at_work.iter().map(|session| vec![session.to_string()]));
    table
}

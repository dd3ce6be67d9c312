//! Migrations on a shadow: applied as `pgtune migrate` does, with their locks written down.

use crate::cli::context::Context;
use crate::cli::converge::{self, Aim, look_and_plan, repeat};
use crate::cli::database::Database;
use crate::cli::folder;
use crate::cli::migrate::strictness;
use crate::error::{Error, Kind, Refused, Result};
use crate::executor::Crew;
use crate::model::finding::{Finding, Place, Severity};
use crate::model::lock::LockMode;
use crate::model::lock_trace::{TracedLock, Work, merged};
use crate::model::migration::{History, StatementPlace};
use crate::model::snapshot::Snapshot;
use crate::pg::borrowed;
use crate::pg::lock_trace::{self, Trace};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::verify::{verify, verify_progress};
use crate::planner::{Migration, Planned, plan_next};
use crate::runbook::action::{Action, SqlText};
use crate::runbook::{Runbook, guard, trace};
use crate::sql::Statement;
use crate::sql::split::newlines;
use crate::sql::statement::Kind as StatementKind;
use crate::sql::transaction::{leaves_its_database, reads_its_table};

use super::Shadow;
use super::home::Home;

/// Statements of ours beside the user's.
struct Notes<'a> {
    /// In front of the first of each transaction.
    front: Option<String>,
    /// Behind each: by the migration's version and the statement.
    behind: &'a dyn Fn(i64, &SqlText) -> Option<String>,
}

impl Shadow<'_> {
    /// Applies migrations as `pgtune migrate` does, and tells which locks each statement takes on
    /// tables that were there before: seen of those that the user wrote, known of pgtune's own.
    pub fn migrate_traced(
        &mut self,
        database: &Database,
        migrations: &[Migration],
    ) -> Result<Vec<TracedLock>> {
        lock_trace::prepare(&mut database.open()?)?;
        let path = |version| {
            let of_version = migrations.iter().find(|one| one.id.version == version);
            of_version.map_or_else(String::new, |one| one.path.clone())
        };
        let mut own = Vec::new();
        let mut look = |session: &mut Session, aim: &Aim<'_>| {
            let planned = look_and_plan(session, aim, plan_next)?;
            own.extend(known_locks(&planned.runbook, migrations));
            Ok(planned)
        };
        let note = |version, one: &SqlText| Some(trace::note(one, &path(version)));
        let notes = Notes { front: Some(trace::begin()), behind: &note };
        let left_out = self.converge(database, migrations, &mut look, &notes)?;
        self.findings.extend(left_out);
        // Each look plans again what is left.
        let Trace { mut locks, renamed } = lock_trace::take(&mut database.open()?)?;
        locks.extend(own.into_iter().map(|one| TracedLock {
            table: renamed.get(&one.table).unwrap_or(&one.table).clone(),
            ..one
        }));
        Ok(merged(locks))
    }

    /// Applies migrations as `pgtune migrate` does. Returns what was left out.
    pub fn migrate(&self, database: &Database, migrations: &[Migration]) -> Result<Vec<Finding>> {
        let mut look =
            |session: &mut Session, aim: &Aim<'_>| look_and_plan(session, aim, plan_next);
        let notes = Notes { front: None, behind: &|_, _| None };
        self.converge(database, migrations, &mut look, &notes)
    }

    /// Applies what `look` plans, with notes beside the user's statements. What only production has
    /// is done without, and told.
    fn converge(
        &self,
        database: &Database,
        migrations: &[Migration],
        look: &mut dyn FnMut(&mut Session, &Aim<'_>) -> Result<Planned>,
        notes: &Notes<'_>,
    ) -> Result<Vec<Finding>> {
        let (mut migrations, mut left_out) = (migrations.to_vec(), Vec::new());
        loop {
            let Err(error) = self.converge_all(database, &migrations, look, notes) else {
                return Ok(left_out);
            };
            let found = match missing_role(&error) {
                Some(role) => {
                    server::create_roles(&mut database.open_runner()?, [role].into_iter())?;
                    Some(taken_for_granted(role))
                }
                None => leave_out(&mut migrations, &error),
            };
            let Some(found) = found.filter(|found| !left_out.contains(found)) else {
                return Err(error);
            };
            left_out.push(found);
        }
    }

    fn converge_all(
        &self,
        database: &Database,
        migrations: &[Migration],
        look: &mut dyn FnMut(&mut Session, &Aim<'_>) -> Result<Planned>,
        notes: &Notes<'_>,
    ) -> Result<()> {
        let open = || database.open_runner();
        let mut first = open()?;
        let guard = match &self.home {
            Home::Private(_) => None,
            Home::Borrowed(server, _) => {
                let version_num = server.facts().version_num;
                let known = borrowed::fingerprint(&mut first, version_num)?;
                Some(guard::guard(version_num, known))
            }
        };
        let mut crew = Crew {
            sessions: vec![first],
            lock: None,
            watcher: None,
            archive: None,
            open: &open,
            stopped: self.stopped,
        };
        let aim = Aim {
            migrations,
            history_table: &database.history_table,
            history_width: self.profile.migrations.history_version,
            limits: &self.profile.limits,
        };
        let mut look = |session: &mut Session| {
            let planned = look(session, &aim)?;
            if guard.is_some() {
                refuse_to_leave(&planned.runbook)?;
            }
            let behind = |version, one: &SqlText| {
                (notes.behind)(version, one).into_iter().chain(guard.clone()).collect()
            };
            let runbook = planned.runbook.with_beside_each(notes.front.as_deref(), behind);
            Ok(Planned { runbook, ..planned })
        };
        repeat(aim.rounds_max(), &mut look, &mut crew, None, &mut |_| {}).map(drop)
    }
}

/// The role that a statement wants, which production may have.
fn missing_role(error: &Error) -> Option<&str> {
    server::missing_role(&error.refused.as_ref()?.code, &error.message)
}

fn taken_for_granted(role: &str) -> Finding {
    let message = "the snapshot's schema does not name this role, which a migration wants";
    Finding::new("shadow-role", Severity::Info, role, message).help("it was taken to be there")
}

/// Leaves the statement out that failed for want of rows, or of the database that it names, and
/// tells it; `None` where it failed for another reason.
fn leave_out(migrations: &mut [Migration], error: &Error) -> Option<Finding> {
    const INTEGRITY_CONSTRAINT_VIOLATION: &str = "23";
    const NO_DATA_FOUND: &str = "P0002";
    const UNDEFINED_DATABASE: &str = "3D000";
    let refused = error.refused.as_ref()?;
    let help = match refused.code.as_str() {
        UNDEFINED_DATABASE => "a shadow has another name: this statement was left out",
        code if code.starts_with(INTEGRITY_CONSTRAINT_VIOLATION) || code == NO_DATA_FOUND => {
            "a shadow has no rows: what this statement does was left out"
        }
        _ => return None,
    };
    let at = refused.at?;
    let migration = migrations.iter_mut().find(|one| one.id.version == at.version)?;
    let ends = |one: &Statement| one.line + newlines(&one.text);
    let mut statements = migration.statements.iter_mut();
    let statement =
        statements.find(|one| one.text != NOTHING && (one.line..=ends(one)).contains(&at.line))?;
    let line = statement.line;
    // In its place, since positions are counted.
    statement.text = NOTHING.to_string();
    let subject = migration.id.to_string();
    let found = Finding::new("left-out", Severity::Warning, subject, error.message.clone());
    Some(found.help(help).at(migration.path.clone(), line))
}

/// A statement that does nothing.
const NOTHING: &str = "SELECT 1";

/// The migrations that the snapshot's database had, and those that it had not; of one that it had
/// half, what is left.
pub fn migrations(
    context: &Context,
    snapshot: &Snapshot,
) -> Result<(Vec<Migration>, Vec<Migration>)> {
    let read = folder::read_files(&folder::sql_files(&context.migrations_folder())?)?;
    let verified = verify(&read.files, &snapshot.history, strictness(context.profile()));
    converge::refuse(&verified.findings)?;
    let mut sides = (Vec::new(), Vec::new());
    for (at, file) in read.files.iter().enumerate() {
        let is_pending = verified.pending.contains(&at);
        let side = if is_pending { &mut sides.1 } else { &mut sides.0 };
        let migration = folder::parse(file)?;
        side.push(match snapshot.ddl {
            Some(_) => left(migration, &snapshot.history)?,
            // The schema is made of whole files.
            None => migration,
        });
    }
    Ok(sides)
}

/// A migration without the statements that production has finished: its schema has what they did.
/// Settings stay, since they hold for those behind them.
fn left(migration: Migration, history: &History) -> Result<Migration> {
    let Migration { id, path, statements, .. } = &migration;
    converge::refuse(&verify_progress(id, path, statements, history))?;
    let is_finished = |at: usize| {
        let mut rows = history.progress.iter().filter(|row| row.version == id.version);
        rows.any(|row| row.finished && row.statement as usize == at + 1)
    };
    let statements = statements.iter().enumerate();
    let left = statements
        .filter(|(at, one)| matches!(one.kind, StatementKind::Set(_)) || !is_finished(*at));
    let statements = left.map(|(_, one)| one.clone()).collect();
    Ok(Migration { statements, ..migration })
}

/// Errors where a statement outside of transactions would change more than its database on a server
/// that is borrowed: what it did could not be taken back.
fn refuse_to_leave(runbook: &Runbook) -> Result<()> {
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Action::RunAlone { migration, statement } = &step.action else { continue };
        if leaves_its_database(&statement.text) {
            const ADVICE: &str =
                "leave --shadow-url out: on a private server a migration may change everything";
            let place = format!("{migration}, line {}", statement.line);
            let message = format!("{place}: this changes the server, which is only borrowed");
            let refused = Refused {
                at: step.stands_for,
                code: String::new(),
                advice: vec![ADVICE.to_string()],
            };
            let error = Error::new(Kind::Database, message).hint(ADVICE);
            return Err(Error { refused: Some(Box::new(refused)), ..error });
        }
    }
    Ok(())
}

/// The locks of steps that cannot be traced, which are known: pgtune's own, of the statement that
/// they stand for, and those of statements that run outside of transactions.
fn known_locks(runbook: &Runbook, migrations: &[Migration]) -> Vec<TracedLock> {
    let mut known = Vec::new();
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Some(StatementPlace { version, line }) = step.stands_for else { continue };
        let Some(migration) = migrations.iter().find(|one| one.id.version == version) else {
            continue;
        };
        known.extend(step.locks.iter().map(|lock| TracedLock {
            place: Place { path: migration.path.clone(), line },
            table: lock.table.clone(),
            mode: lock.mode,
            work: work(&step.action, lock.mode),
        }));
    }
    known
}

/// What is done under a lock of a step that is not traced.
fn work(action: &Action, mode: LockMode) -> Work {
    let reads = action.reads_tables()
        || matches!(action, Action::RunAlone { statement, .. } if reads_its_table(&statement.text));
    match (reads, mode) {
        // VACUUM FULL, and CLUSTER of all tables.
        (true, LockMode::AccessExclusive) => Work::Rewrite,
        (true, _) => Work::FullScan,
        (false, _) => Work::Instant,
    }
}

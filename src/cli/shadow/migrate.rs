//! Migrations on a shadow: applied as `pgtune migrate` does, with their locks written down.

use crate::cli::context::Context;
use crate::cli::converge::{self, Aim, look_and_plan, repeat};
use crate::cli::database::Database;
use crate::cli::folder;
use crate::cli::migrate::strictness;
use crate::error::{Error, Result};
use crate::executor::Crew;
use crate::model::finding::{Finding, Severity};
use crate::model::lock_trace::{TracedLock, merged};
use crate::model::snapshot::Snapshot;
use crate::pg::borrowed;
use crate::pg::lock_trace::{self, Trace};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::rehearsal::{
    known_locks, leave_out, left, refuse_to_leave, without_truncation,
};
use crate::planner::verify::verify;
use crate::planner::{Migration, Planned, plan_next};
use crate::runbook::action::SqlText;
use crate::runbook::{guard, trace};

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
        Ok(merged(without_truncation(locks, migrations)))
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

/// The migrations of a project, as the database of a snapshot knows them.
pub struct Migrations {
    /// Those that it had.
    pub applied: Vec<Migration>,
    /// Those that it had not; of one that it had half, what is left.
    pub pending: Vec<Migration>,
    /// What is odd about the files, as that one is passed over for its name.
    pub findings: Vec<Finding>,
}

/// Reads the migrations of a project.
///
/// Errors where they cannot be read, or the snapshot's database speaks against them.
pub fn migrations(context: &Context, snapshot: &Snapshot) -> Result<Migrations> {
    let read = folder::read_files(&folder::sql_files(&context.migrations_folder())?)?;
    let verified = verify(&read.files, &snapshot.history, strictness(context.profile()));
    converge::refuse(&verified.findings)?;
    let findings = [read.findings, verified.findings].concat();
    let (mut applied, mut pending) = (Vec::new(), Vec::new());
    for (at, file) in read.files.iter().enumerate() {
        let is_pending = verified.pending.contains(&at);
        let side = if is_pending { &mut pending } else { &mut applied };
        let migration = folder::parse(file)?;
        side.push(match snapshot.ddl {
            Some(_) => {
                let (left, findings) = left(migration, &snapshot.history);
                converge::refuse(&findings)?;
                left
            }
            // The schema is made of whole files.
            None => migration,
        });
    }
    Ok(Migrations { applied, pending, findings })
}

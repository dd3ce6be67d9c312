//! A database without rows that looks to the planner like the one of a snapshot.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::executor::Crew;
use crate::model::finding::{Finding, Place, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock_trace::{TracedLock, Work, merged};
use crate::model::migration::History;
use crate::model::snapshot::Snapshot;
use crate::model::units::Millis;
use crate::pg::foretell::foretold;
use crate::pg::imitate::{imitate, load_schema};
use crate::pg::lock_trace;
use crate::pg::server::{self, Server as Facts};
use crate::pg::session::Session;
use crate::planner::verify::verify;
use crate::planner::{Migration, Planned, plan_next};
use crate::profile::Profile;
use crate::query_plan::verdict::Mode;
use crate::runbook::action::Action;
use crate::runbook::{Runbook, trace};
use crate::shadow::binaries;
use crate::shadow::server::{Listen, Options, Server};
use crate::shadow::surroundings::Surroundings;
use crate::sql::Statement;
use crate::sql::statement::Kind;
use crate::ui::Ui;

use super::context::Context;
use super::converge::{self, Aim, look_and_plan, repeat};
use super::database::Database;
use super::folder;
use super::migrate::strictness;
use super::plan::take::Terms;
use super::snapshot::file;

/// How plans are asked for: nothing is run, and nobody is in the way.
pub const TERMS: Terms =
    Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout: Millis(0) };

/// A private server with databases that imitate that of a snapshot.
pub struct Shadow<'a> {
    server: Server,
    snapshot: &'a Snapshot,
    profile: Profile,
    stopped: &'a AtomicBool,
    /// What is not as it was where the snapshot was taken.
    pub findings: Vec<Finding>,
}

impl<'a> Shadow<'a> {
    /// Starts a server of the snapshot's version, or of the next best.
    pub fn start(
        ui: Ui,
        pg_bin: Option<&Path>,
        (snapshot, profile): (&'a Snapshot, &'a Profile),
        stopped: &'a AtomicBool,
    ) -> Result<Shadow<'a>> {
        let surroundings = Surroundings::of_process()?;
        let binaries = binaries::find_major(pg_bin, &surroundings, snapshot.major())?;
        let mut findings = Vec::new();
        if binaries.major != snapshot.major() {
            let (here, there) = (binaries.major, snapshot.major());
            let message = format!("planned by PostgreSQL {here}, not {there}");
            let help = format!("install PostgreSQL {there}, or name its folder with --pg-bin");
            findings.push(
                Finding::new("shadow-version", Severity::Warning, "the shadow", message).help(help),
            );
        }
        ui.status(&format!("starting  a shadow on PostgreSQL {}", binaries.version));
        // What the planner knows shall stay what it was told.
        let settings = [("autovacuum", "off"), ("max_locks_per_transaction", "1024")];
        let server = Server::start(&Options {
            binaries,
            settings: settings.map(|(name, value)| (name.to_string(), value.to_string())).to_vec(),
            listen: Listen::UnixSocket,
            surroundings: &surroundings,
            interrupted: stopped,
        })?;
        // The role to work as is one of the server that is imitated.
        let mut profile = profile.clone();
        profile.database.role = String::new();
        Ok(Shadow { server, snapshot, profile, stopped, findings })
    }

    /// Makes a database with the snapshot's schema; `applied` makes it where the snapshot has none.
    pub fn create(&mut self, name: &str, applied: &[Migration]) -> Result<Database> {
        let ident = Ident::new(name).map_err(Error::usage)?;
        let mut maintenance = self.maintenance()?;
        let found = server::create_database_like(&mut maintenance, &ident, self.snapshot)?;
        self.findings.extend(found);
        let roles = self.profile.queries.iter().map(|query| query.role.as_str());
        server::create_roles(&mut maintenance, roles)?;
        let database = Database::private(&self.server.url(name), &self.profile)?;
        match &self.snapshot.ddl {
            Some(ddl) => {
                let mut session = database.open_runner()?;
                self.findings.extend(load_schema(&mut session, ddl)?);
            }
            None => self.migrate(&database, applied)?,
        }
        Ok(database)
    }

    /// Makes a database with the schema of another, to which nobody may be connected.
    pub fn copy(&self, from: &str, name: &str) -> Result<Database> {
        let ident = |name| Ident::new(name).map_err(Error::usage);
        server::copy_database(&mut self.maintenance()?, &ident(from)?, &ident(name)?)?;
        Database::private(&self.server.url(name), &self.profile)
    }

    /// Applies migrations as `pgtune migrate` does, and tells which locks each statement takes on
    /// tables that were there before: seen of those that the user wrote, known of pgtune's own.
    pub fn migrate_traced(
        &self,
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
            let runbook = trace::traced(planned.runbook, path);
            Ok(Planned { runbook, ..planned })
        };
        self.converge(database, migrations, &mut look)?;
        // Each look plans again what is left.
        let mut locks = lock_trace::take(&mut database.open()?)?;
        locks.extend(own);
        Ok(merged(locks))
    }

    /// Applies migrations as `pgtune migrate` does.
    pub fn migrate(&self, database: &Database, migrations: &[Migration]) -> Result<()> {
        let mut look =
            |session: &mut Session, aim: &Aim<'_>| look_and_plan(session, aim, plan_next);
        self.converge(database, migrations, &mut look)
    }

    fn converge(
        &self,
        database: &Database,
        migrations: &[Migration],
        look: &mut dyn FnMut(&mut Session, &Aim<'_>) -> Result<Planned>,
    ) -> Result<()> {
        let open = || database.open_runner();
        let sessions = vec![open()?];
        let mut crew = Crew {
            sessions,
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
        let mut look = |session: &mut Session| look(session, &aim);
        repeat(aim.rounds_max(), &mut look, &mut crew, None, &mut |_| {}).map(drop)
    }

    /// Makes the planner see what the snapshot says, and opens a session that plans as there.
    pub fn imitate(&mut self, database: &Database) -> Result<(Session, Facts)> {
        self.imitate_as(database, self.snapshot)
    }

    /// The same of a database that migrations have changed since it was copied from `before`, which
    /// has to plan as the snapshot says.
    pub fn imitate_after(
        &mut self,
        before: &mut Session,
        database: &Database,
    ) -> Result<(Session, Facts)> {
        let foretold = foretold(before, &mut database.open()?, self.snapshot)?;
        self.imitate_as(database, &foretold)
    }

    fn imitate_as(&mut self, database: &Database, snapshot: &Snapshot) -> Result<(Session, Facts)> {
        let mut session = database.open_runner()?;
        for finding in imitate(&mut session, snapshot)? {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        for (name, value) in &self.snapshot.settings {
            server::set_for_database(&mut session, name, value)?;
        }
        drop(session);
        let mut session = database.open()?;
        let facts = server::look(&mut session, &database.history_table)?;
        Ok((session, facts))
    }

    fn maintenance(&self) -> Result<Session> {
        Database::private(&self.server.url("postgres"), &self.profile)?.open()
    }
}

/// Reads a snapshot, with so many times the rows.
pub fn read(path: &Path, scale: f64) -> Result<Snapshot> {
    let snapshot = file::read(path)?;
    Ok(if scale == 1.0 { snapshot } else { snapshot.scaled(scale) })
}

/// Reads a factor that rows can be multiplied by.
pub fn factor(text: &str) -> std::result::Result<f64, String> {
    const FACTOR_MAX: f64 = 1e6;
    match text.parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor <= FACTOR_MAX => Ok(factor),
        Ok(_) | Err(_) => Err("write a number above 0, for example 10 or 0.5".to_string()),
    }
}

/// The migrations that the snapshot's database had, and those that it had not.
pub fn migrations(
    context: &Context,
    history: &History,
) -> Result<(Vec<Migration>, Vec<Migration>)> {
    let read = folder::read_files(&folder::sql_files(&context.migrations_folder())?)?;
    let verified = verify(&read.files, history, strictness(context.profile()));
    converge::refuse(&verified.findings)?;
    let mut sides = (Vec::new(), Vec::new());
    for (at, file) in read.files.iter().enumerate() {
        let is_pending = verified.pending.contains(&at);
        let side = if is_pending { &mut sides.1 } else { &mut sides.0 };
        side.push(folder::parse(file)?);
    }
    Ok(sides)
}

/// The locks of pgtune's own steps, which it knows: of the statement that they stand for.
fn known_locks(runbook: &Runbook, migrations: &[Migration]) -> Vec<TracedLock> {
    let mut known = Vec::new();
    for stage in &runbook.stages {
        let of_stage = |one: &&Migration| stage.title.starts_with(&format!("{}:", one.id));
        let Some(migration) = migrations.iter().find(of_stage) else { continue };
        for step in stage.steps.iter().filter(|step| !step.action.runs_the_users_sql()) {
            let work = if step.action.reads_tables() { Work::FullScan } else { Work::Instant };
            known.extend(step.locks.iter().map(|lock| TracedLock {
                place: Place {
                    path: migration.path.clone(),
                    line: line_of(migration, &step.action, &lock.table),
                },
                table: lock.table.clone(),
                mode: lock.mode,
                work,
            }));
        }
    }
    known
}

/// The line of the statement that a step stands for: the one about the same index, else the first
/// that names the table; 1 where none does.
fn line_of(migration: &Migration, action: &Action, table: &QualifiedName) -> usize {
    let stands_for = |statement: &&Statement| match (action, &statement.kind) {
        (Action::DropIndex { index }, Kind::DropIndex(drop)) => {
            drop.names.iter().any(|name| name.last() == Some(&index.name))
        }
        (Action::CreateIndex(_) | Action::AttachIndex { .. }, Kind::CreateIndex(create)) => {
            create.table.last() == Some(&table.name)
        }
        (_, _) => false,
    };
    let names = |statement: &&Statement| {
        statement.locks.iter().any(|lock| lock.table.last() == Some(&table.name))
    };
    let mut statements = migration.statements.iter();
    let found = statements.find(stands_for).or_else(|| migration.statements.iter().find(names));
    found.map_or(1, |statement| statement.line)
}

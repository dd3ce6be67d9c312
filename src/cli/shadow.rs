//! A database without rows that looks to the planner like the one of a snapshot.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueHint;

use crate::error::{Error, Kind, Result};
use crate::executor::Crew;
use crate::model::finding::{Finding, Place, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock_trace::{TracedLock, Work, merged};
use crate::model::migration::History;
use crate::model::snapshot::Snapshot;
use crate::model::units::Millis;
use crate::pg::borrowed;
use crate::pg::connect::target::Setting;
use crate::pg::connect::{is_local, is_same_server};
use crate::pg::foretell::{Foretold, foretold};
use crate::pg::imitate::{imitate, load_schema};
use crate::pg::lock_trace;
use crate::pg::server::{self, Server as Facts};
use crate::pg::session::Session;
use crate::planner::verify::verify;
use crate::planner::{Migration, Planned, plan_next};
use crate::profile::Profile;
use crate::query_plan::verdict::Mode;
use crate::runbook::action::{Action, SqlText};
use crate::runbook::{Runbook, guard, trace};
use crate::shadow::binaries;
use crate::shadow::borrowed::{Borrowed, Terms as LoanTerms};
use crate::shadow::server::{Listen, Options, Server};
use crate::shadow::surroundings::Surroundings;
use crate::sql::Statement;
use crate::sql::statement::{Kind as StatementKind, leaves_its_database, reaches_another_server};
use crate::ui::Ui;

use super::context::Context;
use super::converge::{self, Aim, look_and_plan, repeat};
use super::database::{self, Database};
use super::folder;
use super::migrate::strictness;
use super::plan::take::Terms;
use super::snapshot::file;

/// How plans are asked for: nothing is run, and nobody is in the way.
pub const TERMS: Terms =
    Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout: Millis(0) };

/// Where a shadow is made.
#[derive(Debug, clap::Args)]
pub struct ShadowArgs {
    /// The folder of the programs of the private server that plans
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pg_bin: Option<PathBuf>,
    /// Plan on this server instead, which is to be thrown away: postgres://…, as a superuser
    ///
    /// A service container of a CI job, for example. The environment variable PGTUNE_SHADOW_URL is
    /// the same. Databases and roles are made there, and dropped (docs/snapshot.md).
    #[arg(long, value_name = "URL", conflicts_with = "pg_bin")]
    shadow_url: Option<String>,
    /// Use the server of --shadow-url also where others work, or keep more than 1 GB
    #[arg(long)]
    shadow_shared: bool,
}

/// The variable that stands for --shadow-url.
const URL_VARIABLE: &str = "PGTUNE_SHADOW_URL";

impl ShadowArgs {
    /// The server to borrow, and the name of what says so; `None` for a private one.
    fn url(&self) -> Option<(String, &'static str)> {
        let variable = || match self.pg_bin {
            // A flag is stronger.
            Some(_) => None,
            None => std::env::var(URL_VARIABLE).ok().map(|url| (url, URL_VARIABLE)),
        };
        let flag = self.shadow_url.clone().map(|url| (url, "--shadow-url"));
        flag.or_else(variable).filter(|(url, _)| !url.trim().is_empty())
    }
}

/// Where a shadow lives.
enum Home {
    /// On a private server, which goes with it.
    Private(Server),
    /// On a server that somebody lends.
    Borrowed(Box<Borrowed>, Ui),
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Home::Borrowed(server, ui) = self
            && let Err(error) = server.clear()
        {
            ui.warn(&format!("left for the next run on that server: {}", error.message));
        }
    }
}

/// Statements of ours beside the user's.
struct Notes<'a> {
    /// In front of the first of each transaction.
    front: Option<String>,
    /// Behind each: by the migration's version and the statement.
    behind: &'a dyn Fn(i64, &SqlText) -> Option<String>,
}

/// Databases that imitate that of a snapshot.
pub struct Shadow<'a> {
    home: Home,
    snapshot: &'a Snapshot,
    profile: Profile,
    stopped: &'a AtomicBool,
    /// What is not as it was where the snapshot was taken.
    pub findings: Vec<Finding>,
}

impl<'a> Shadow<'a> {
    /// Takes the server that is lent, or starts a private one of the snapshot's version, or of the
    /// next best.
    pub fn start(
        context: &Context,
        args: &ShadowArgs,
        snapshot: &'a Snapshot,
        stopped: &'a AtomicBool,
    ) -> Result<Shadow<'a>> {
        let (home, major) = match args.url() {
            Some((url, origin)) => borrow(context, (&url, origin), args.shadow_shared, stopped)?,
            None => start_private(context.ui, args.pg_bin.as_deref(), snapshot.major(), stopped)?,
        };
        let mut findings = Vec::new();
        if major != snapshot.major() {
            let there = snapshot.major();
            let message = format!("planned by PostgreSQL {major}, not {there}");
            let help = match home {
                Home::Private(_) => {
                    format!("install PostgreSQL {there}, or name its folder with --pg-bin")
                }
                Home::Borrowed(..) => format!("give --shadow-url a server of PostgreSQL {there}"),
            };
            findings.push(
                Finding::new("shadow-version", Severity::Warning, "the shadow", message).help(help),
            );
        }
        // The role to work as is one of the server that is imitated.
        let mut profile = context.profile().clone();
        profile.database.role = String::new();
        Ok(Shadow { home, snapshot, profile, stopped, findings })
    }

    /// Errors where a session is on the server that was lent.
    pub fn refuse_server_of(&mut self, session: &mut Session) -> Result<()> {
        let Home::Borrowed(server, _) = &mut self.home else { return Ok(()) };
        match (borrowed::system_identifier(server.session()), borrowed::system_identifier(session))
        {
            (Some(one), Some(other)) if one == other => Err(same_server("--shadow-url")),
            (_, _) => Ok(()),
        }
    }

    /// Makes a database with nothing in it.
    pub fn create_empty(&mut self, name: &str) -> Result<Database> {
        let roles = self.profile.queries.iter().map(|query| query.role.as_str());
        let found = match &mut self.home {
            Home::Private(server) => {
                let ident = Ident::new(name).map_err(Error::usage)?;
                let mut session = maintenance(server, &self.profile)?;
                server::create_roles(&mut session, roles)?;
                server::create_database_like(&mut session, &ident, None, self.snapshot)?
            }
            Home::Borrowed(server, _) => {
                server::create_roles(server.session(), roles)?;
                server.create(name, self.snapshot)?
            }
        };
        self.findings.extend(found.filter(|found| !self.findings.contains(found)));
        self.database(name)
    }

    /// Makes a database with the snapshot's schema; `applied` makes it where the snapshot has none.
    pub fn create(&mut self, name: &str, applied: &[Migration]) -> Result<Database> {
        let database = self.create_empty(name)?;
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
    pub fn copy(&mut self, from: &str, name: &str) -> Result<Database> {
        match &mut self.home {
            Home::Private(server) => {
                let ident = |name| Ident::new(name).map_err(Error::usage);
                let mut session = maintenance(server, &self.profile)?;
                server::copy_database(&mut session, &ident(from)?, &ident(name)?, None)?;
                server::checkpoint(&mut session)?;
            }
            Home::Borrowed(server, _) => server.copy(from, name)?,
        }
        self.database(name)
    }

    fn database(&self, name: &str) -> Result<Database> {
        match &self.home {
            Home::Private(server) => Database::private(&server.url(name), &self.profile),
            Home::Borrowed(server, _) => Database::at(server.target(name), &self.profile),
        }
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
            Ok(planned)
        };
        let note = |version, one: &SqlText| Some(trace::note(one, &path(version)));
        let notes = Notes { front: Some(trace::begin()), behind: &note };
        self.converge(database, migrations, &mut look, &notes)?;
        // Each look plans again what is left.
        let mut locks = lock_trace::take(&mut database.open()?)?;
        locks.extend(own);
        Ok(merged(locks))
    }

    /// Applies migrations as `pgtune migrate` does.
    pub fn migrate(&self, database: &Database, migrations: &[Migration]) -> Result<()> {
        let mut look =
            |session: &mut Session, aim: &Aim<'_>| look_and_plan(session, aim, plan_next);
        let notes = Notes { front: None, behind: &|_, _| None };
        self.converge(database, migrations, &mut look, &notes)
    }

    /// Applies what `look` plans, with notes beside the user's statements.
    fn converge(
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
            refuse_to_leave(&planned.runbook, guard.is_some())?;
            let behind = |version, one: &SqlText| {
                (notes.behind)(version, one).into_iter().chain(guard.clone()).collect()
            };
            let runbook = planned.runbook.with_beside_each(notes.front.as_deref(), behind);
            Ok(Planned { runbook, ..planned })
        };
        repeat(aim.rounds_max(), &mut look, &mut crew, None, &mut |_| {}).map(drop)
    }

    /// Makes the planner see what the snapshot says, and opens a session that plans as there.
    pub fn imitate(&mut self, database: &Database) -> Result<(Session, Facts)> {
        self.imitate_as(database, self.snapshot)
    }

    /// The snapshot as it will be after the migrations that have changed a database since it was
    /// copied from `before`, which has to plan as the snapshot says.
    pub fn foretell(&self, before: &mut Session, database: &Database) -> Result<Foretold> {
        foretold(before, &mut database.open()?, self.snapshot)
    }

    /// The same of a database that migrations have changed since it was copied from `before`, which
    /// has to plan as the snapshot says.
    pub fn imitate_after(
        &mut self,
        before: &mut Session,
        database: &Database,
    ) -> Result<(Session, Facts)> {
        let foretold = self.foretell(before, database)?;
        self.imitate_as(database, &foretold.snapshot)
    }

    /// Makes the planner see what another snapshot says.
    pub fn imitate_as(
        &mut self,
        database: &Database,
        snapshot: &Snapshot,
    ) -> Result<(Session, Facts)> {
        let mut session = database.open_runner()?;
        // The history is read while its table is short: afterwards it is as long as any.
        let facts = server::look(&mut session, &database.history_table)?;
        for finding in imitate(&mut session, snapshot)? {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        // A server of others may have been tuned.
        let mut settings = server::planner_defaults(&mut session)?;
        settings.extend(self.snapshot.settings.clone());
        for (name, value) in &settings {
            server::set_for_database(&mut session, name, value)?;
        }
        drop(session);
        Ok((database.open()?, facts))
    }
}

/// Starts a private server. Returns its major version too.
fn start_private(
    ui: Ui,
    pg_bin: Option<&Path>,
    major: u32,
    stopped: &AtomicBool,
) -> Result<(Home, u32)> {
    let surroundings = Surroundings::of_process()?;
    let binaries = binaries::find_major(pg_bin, &surroundings, major)?;
    let major = binaries.major;
    ui.status(&format!("starting  a shadow on PostgreSQL {}", binaries.version));
    // What the planner knows shall stay what it was told.
    let settings = [
        ("autovacuum", "off"),
        ("max_locks_per_transaction", "1024"),
        // No subscription is at work.
        ("max_logical_replication_workers", "0"),
        // Copies of a database are written to the log too: what is done with is no longer kept.
        ("max_wal_size", "8MB"),
        ("min_wal_size", "2MB"),
        ("wal_recycle", "off"),
    ];
    let server = Server::start(&Options {
        binaries,
        settings: settings.map(|(name, value)| (name.to_string(), value.to_string())).to_vec(),
        listen: Listen::UnixSocket,
        checksums: false,
        wal_segment_mb: 1,
        surroundings: &surroundings,
        interrupted: stopped,
    })?;
    Ok((Home::Private(server), major))
}

/// Takes over the server at a URL, unless it is that of the project's database. Returns its major
/// version too.
fn borrow(
    context: &Context,
    (url, origin): (&str, &str),
    is_shared: bool,
    stopped: &AtomicBool,
) -> Result<(Home, u32)> {
    let ui = context.ui;
    let target = Database::asked(context, url, origin)?.target().clone();
    let names_host = |setting: &Setting| {
        ["host", "hostaddr"].contains(&setting.keyword) && !setting.origin.starts_with("PGHOST")
    };
    if !target.settings.iter().any(|setting| names_host(setting) && setting.origin != "default") {
        return Err(Error::usage(format!("{origin} names no host"))
            .hint("write postgres://user@host:port/postgres"));
    }
    let project = project_database(context);
    if project.as_ref().is_some_and(|other| is_same_server(&target, other.target())) {
        return Err(same_server(origin));
    }
    // Others are far, perhaps behind a firewall, and have another address.
    let spared = project.filter(|other| is_local(other.target()));
    let spared = spared.and_then(|other| borrowed::system_identifier(&mut other.open().ok()?));
    let server = Borrowed::take_over(
        target,
        LoanTerms {
            spared,
            is_shared,
            wait: context.profile().limits.runner_wait,
            tell: &mut |holder| ui.status(&format!("waiting for another pgtune: {holder}")),
            stop: &|| stopped.load(Ordering::Relaxed),
        },
    )
    .map_err(|error| error.context(origin))?
    .ok_or_else(|| same_server(origin))?;
    let facts = server.facts().clone();
    ui.status(&format!("using     the PostgreSQL {} of {origin} for a shadow", facts.version));
    Ok((Home::Borrowed(Box::new(server), ui), facts.version_num / 10_000))
}

/// The database that the other commands work on, where anything says which.
fn project_database(context: &Context) -> Option<Database> {
    let target = database::target(context).ok()?;
    let is_named = target.settings.iter().any(|setting| setting.origin != "default");
    let database = is_named.then(|| Database::at(target, context.profile()))?;
    database.ok()
}

fn same_server(origin: &str) -> Error {
    let message = format!("{origin} is the server of the project's database");
    Error::usage(message)
        .hint("a shadow is made where everything may be thrown away: give it a server of its own")
        .hint("if this one is, do not name it twice: leave out --url and DATABASE_URL here")
}

/// Errors where a statement outside of transactions would reach another server or, on a borrowed
/// one, change more than its database: what it did could not be taken back.
fn refuse_to_leave(runbook: &Runbook, is_borrowed: bool) -> Result<()> {
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Action::RunAlone { migration, statement } = &step.action else { continue };
        let refused = |message: &str, hint: &str| {
            let place = format!("{migration}, line {}", statement.line);
            Err(Error::new(Kind::Database, format!("{place}: {message}")).hint(hint))
        };
        if reaches_another_server(&statement.text) {
            return refused(
                "this opens a session on the publisher, which no shadow may reach",
                "make subscriptions by hand, outside of migrations",
            );
        }
        if is_borrowed && leaves_its_database(&statement.text) {
            return refused(
                "this changes the server, which is only borrowed",
                "leave --shadow-url out: on a private server a migration may change everything",
            );
        }
    }
    Ok(())
}

fn maintenance(server: &Server, profile: &Profile) -> Result<Session> {
    Database::private(&server.url("postgres"), profile)?.open()
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
        Ok(_) | Err(_) => Err("write a number above 0, up to 1000000: 10 or 0.5".to_string()),
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
        (Action::DropIndex { index }, StatementKind::DropIndex(drop)) => {
            drop.names.iter().any(|name| name.last() == Some(&index.name))
        }
        // On a partition it is the same index under another name.
        (Action::CreateIndex(new), StatementKind::CreateIndex(create)) => {
            create.table.last() == Some(&table.name) || create.tail == new.tail
        }
        (Action::AttachIndex { .. }, StatementKind::CreateIndex(create)) => {
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

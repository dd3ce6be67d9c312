//! A shipped workload on a private server: started, migrated, loaded; gone when the value is.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::error::{Error, Result};
use crate::executor::Crew;
use crate::model::ident::Ident;
use crate::model::migration::MigrationId;
use crate::model::units::{human_count, human_duration, plural};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::Migration;
use crate::planner::plan;
use crate::profile::{Profile, layers};
use crate::shadow::binaries;
use crate::shadow::server::{Listen, Options, SUPERUSER, Server};
use crate::shadow::surroundings::Surroundings;
use crate::ui::{Ui, progress};
use crate::workload::load::{Generated, Loading, load};
use crate::workload::{EmbeddedMigration, SETTLE_SQL, Workload};

use super::converge::{Aim, converge, look_and_plan};
use super::database::Database;
use super::{folder, interrupt};

/// The data is the same each time.
const SEED: u64 = 1;
/// How often a kept server looks whether it may go.
const KEPT_INTERVAL: Duration = Duration::from_millis(50);

/// Names as clap shows and completes them.
pub fn workload_parser() -> impl clap::builder::TypedValueParser<Value = Workload> {
    use clap::builder::TypedValueParser;
    let names = clap::builder::PossibleValuesParser::new(Workload::ALL.map(Workload::name));
    names.try_map(|name| name.parse::<Workload>())
}

/// Starts a private server with settings of its own. It and its folder are gone when the value
/// is, whatever happens.
pub fn start(
    ui: Ui,
    pg_bin: Option<&Path>,
    settings: Vec<(String, String)>,
    stopped: &AtomicBool,
) -> Result<Server> {
    let surroundings = Surroundings::of_process()?;
    let binaries = binaries::find(pg_bin, &surroundings)?;
    ui.status(&format!("starting  a private PostgreSQL {}", short_version(&binaries.version)));
    Server::start(&Options {
        binaries,
        settings,
        listen: Listen::UnixSocket,
        checksums: false,
        wal_segment_mb: 16,
        surroundings: &surroundings,
        interrupted: stopped,
    })
}

/// "15.13" of "15.13 (Debian 15.13-0+deb12u1)".
pub fn short_version(version: &str) -> &str {
    version.split_whitespace().next().unwrap_or(version)
}

/// Says where the server is, and waits until nobody needs it any more.
pub fn keep(ui: Ui, workload: Workload, server: &Server, stopped: &AtomicBool) {
    let folder = server.folder().display();
    ui.warn(&format!("the server stays until Ctrl-C: psql -h {folder} -U {SUPERUSER} {workload}"));
    while !stopped.load(Ordering::Relaxed) {
        std::thread::sleep(KEPT_INTERVAL);
    }
}

/// Reads `NAME=VALUE`.
pub fn setting(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        Some(_) | None => Err("write NAME=VALUE, for example work_mem=64MB".to_string()),
    }
}

/// A workload's database on a private server, while it is built and used.
pub struct PrivateWorkload<'a> {
    /// Where to say what goes on.
    pub ui: Ui,
    /// Which.
    pub workload: Workload,
    /// How many rows to generate.
    pub rows: u64,
    /// The workload's profile.
    pub profile: Profile,
    /// Where it is.
    pub database: Database,
    /// All of the workload's migrations.
    pub migrations: Vec<Migration>,
    /// Loads and measures; migrations have sessions of their own.
    pub session: Session,
    /// Becomes true when the user wants it to end.
    pub stopped: &'a AtomicBool,
}

impl<'a> PrivateWorkload<'a> {
    /// Makes the workload's database.
    pub fn prepare(
        ui: Ui,
        (workload, rows): (Workload, u64),
        server: &Server,
        stopped: &'a AtomicBool,
    ) -> Result<PrivateWorkload<'a>> {
        let file = format!("profiles/{workload}.toml");
        let profile = layers::read(Some((&file, workload.profile())), None, Vec::new())?.profile;
        let name = Ident::new(workload.name()).map_err(Error::usage)?;
        let mut maintenance = Database::private(&server.url("postgres"), &profile)?.open()?;
        server::create_database(&mut maintenance, &name)?;
        let database = Database::private(&server.url(workload.name()), &profile)?;
        let session = database.open()?;
        let migrations = parse(workload)?;
        Ok(PrivateWorkload { ui, workload, rows, profile, database, migrations, session, stopped })
    }

    /// The version of the last migration.
    pub fn last_version(&self) -> i64 {
        self.migrations.last().map_or(0, |last| last.id.version)
    }

    /// Applies the migrations up to `version` as `pgtune migrate` does.
    pub fn migrate(&self, version: i64) -> Result<()> {
        let database = &self.database;
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
        let migrations = self.up_to(version);
        let aim = self.aim(migrations);
        let begin = Instant::now();
        let steps = look_and_plan(&mut crew.sessions[0], &aim, plan)?.runbook.step_count();
        if steps == 0 {
            return Ok(());
        }
        let mut display = progress::bars(self.ui, steps);
        let steps = converge(&aim, &mut crew, None, &mut *display)?;
        drop(display);
        let newest = migrations.last().map_or_else(String::new, |newest| newest.id.to_string());
        let (steps, elapsed) = (plural(steps, "step", "steps"), human_duration(begin.elapsed()));
        self.ui.status(&format!("migrated  to {newest}: {steps} ({elapsed})"));
        Ok(())
    }

    /// The migrations up to `version`.
    pub fn up_to(&self, version: i64) -> &[Migration] {
        let count = self.migrations.iter().filter(|one| one.id.version <= version).count();
        &self.migrations[..count]
    }

    /// What applying them aims at.
    pub fn aim<'b>(&'b self, migrations: &'b [Migration]) -> Aim<'b> {
        Aim {
            migrations,
            history_table: &self.database.history_table,
            history_width: self.profile.migrations.history_version,
            limits: &self.profile.limits,
        }
    }

    /// Loads the generated data. Returns how many rows, and the time it took.
    pub fn load(&mut self) -> Result<(u64, Duration)> {
        let begin = Instant::now();
        let data =
            Generated { workload: self.workload, rows: self.rows, seed: SEED, now: Utc::now() };
        let mut show = None;
        let mut observe = |loading: &Loading| {
            let show = show.get_or_insert_with(|| progress::count(self.ui, loading.total));
            show(loading.rows, loading.table);
        };
        let canceler = self.session.canceler();
        let session = &mut self.session;
        let rows = interrupt::cancelling(&canceler, self.stopped, || {
            load(session, &data, self.stopped, &mut observe)
        })
        .map_err(|error| error.hint("the data lies below TMPDIR; fewer --rows take less room"))?;
        drop(show);
        let (count, elapsed) = (human_count(rows), begin.elapsed());
        self.ui.status(&format!("loaded    {count} rows ({})", human_duration(elapsed)));
        Ok((rows, elapsed))
    }

    /// Does what a server does by itself within minutes.
    pub fn settle(&mut self) -> Result<()> {
        let canceler = self.session.canceler();
        let settled =
            interrupt::cancelling(&canceler, self.stopped, || Ok(self.session.run(SETTLE_SQL)))?;
        settled.map_err(|failure| failure.explain("cannot gather statistics"))
    }
}

/// The workload's migrations, read as files are.
fn parse(workload: Workload) -> Result<Vec<Migration>> {
    let parse_one = |file: EmbeddedMigration| {
        let path = format!("migrations/{workload}/{}.sql", file.stem);
        let id = MigrationId::from_file_stem(&file.stem).map_err(Error::usage)?;
        folder::parse_text(&id, &path, &file.sql)
    };
    workload.migrations().into_iter().map(parse_one).collect()
}

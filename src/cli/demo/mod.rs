//! `pgtune demo`: one of the shipped workloads on a private server, before and after its index
//! change.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::bench;
use crate::error::{Error, Kind, Result};
use crate::executor::Crew;
use crate::model::ident::Ident;
use crate::model::migration::MigrationId;
use crate::model::units::{human_count, human_duration, plural};
use crate::pg::session::Session;
use crate::pg::sizes::{self, Sizes};
use crate::pg::{query_run, server};
use crate::planner::Migration;
use crate::planner::plan;
use crate::profile::{Profile, layers};
use crate::query_plan;
use crate::runbook::print;
use crate::shadow::binaries;
use crate::shadow::server::{Listen, Options, SUPERUSER, Server};
use crate::shadow::surroundings::Surroundings;
use crate::ui::{Ui, progress};
use crate::workload::load::{Generated, Loading, load};
use crate::workload::{SETTLE_SQL, Workload};

use super::converge::{Aim, converge, look_and_plan};
use super::database::Database;
use super::{folder, interrupt};

mod report;

use report::{Change, Timed};

/// The data is the same each time.
const SEED: u64 = 1;
/// How often a kept server looks whether it may go.
const KEPT_INTERVAL: Duration = Duration::from_millis(50);

/// See a workload's queries before and after an online index change
///
/// Starts a private PostgreSQL server, applies the workload's migrations, loads generated data,
/// times the workload's queries, changes the indexes online, times the queries again, and reports.
/// It touches no database of yours, and nothing of it stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Workloads:
  audience    count an audience of users, from attribute rows to profiles
  telemetry   values of many entities over time, 10,000 writes a second
  accounts    a web application with row-level security, audited
  events      an analytics event store that outgrew one table

Examples:
  pgtune demo
  pgtune demo telemetry --rows 1000000
  pgtune demo accounts --keep        look around with psql afterwards")]
pub struct Args {
    /// Which of the workloads
    #[arg(default_value = "audience", value_parser = workload_parser())]
    workload: Workload,
    /// How many rows to generate: users, values or events
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    rows: u64,
    /// The folder of PostgreSQL's server programs
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
    /// Keep the server after the report, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Names as clap shows and completes them.
fn workload_parser() -> impl clap::builder::TypedValueParser<Value = Workload> {
    use clap::builder::TypedValueParser;
    let names = clap::builder::PossibleValuesParser::new(Workload::ALL.map(Workload::name));
    names.try_map(|name| name.parse::<Workload>())
}

/// Runs the command. The server and its folder are gone when it returns, whatever happens.
pub fn run(ui: Ui, args: Args) -> Result<()> {
    let begin = Instant::now();
    let stopped = interrupt::listen()?;
    let surroundings = Surroundings::of_process()?;
    let binaries = binaries::find(args.pg_bin.as_deref(), &surroundings)?;
    ui.status(&format!("starting  a private PostgreSQL {}", short_version(&binaries.version)));
    let server = Server::start(&Options {
        binaries,
        // The demo vacuums itself, at the same points each time.
        settings: vec![("autovacuum".to_string(), "off".to_string())],
        listen: Listen::UnixSocket,
        surroundings: &surroundings,
        interrupted: stopped,
    })?;
    let change = Demo::prepare(ui, &args, &server, stopped).and_then(|mut demo| demo.play());
    let change = change.map_err(|error| match stopped.load(Ordering::Relaxed) {
        true => Error::new(Kind::Interrupted, "interrupted; nothing is left of the demo"),
        false => error,
    })?;
    let version = short_version(&server.binaries().version);
    ui.show(&report::report(args.workload, version, &change, begin.elapsed()))?;
    if args.keep {
        keep(ui, args.workload, &server, stopped);
    }
    Ok(())
}

/// "15.13" of "15.13 (Debian 15.13-0+deb12u1)".
fn short_version(version: &str) -> &str {
    version.split_whitespace().next().unwrap_or(version)
}

/// Says where the server is, and waits until nobody needs it any more.
fn keep(ui: Ui, workload: Workload, server: &Server, stopped: &AtomicBool) {
    let folder = server.folder().display();
    ui.warn(&format!("the server stays until Ctrl-C: psql -h {folder} -U {SUPERUSER} {workload}"));
    while !stopped.load(Ordering::Relaxed) {
        std::thread::sleep(KEPT_INTERVAL);
    }
}

/// A workload on a private server, while it is built and measured.
struct Demo<'a> {
    ui: Ui,
    workload: Workload,
    rows: u64,
    profile: Profile,
    database: Database,
    migrations: Vec<Migration>,
    /// Loads and measures; migrations have sessions of their own.
    session: Session,
    stopped: &'a AtomicBool,
}

impl<'a> Demo<'a> {
    /// Makes the workload's database.
    fn prepare(ui: Ui, args: &Args, server: &Server, stopped: &'a AtomicBool) -> Result<Demo<'a>> {
        let workload = args.workload;
        let file = format!("profiles/{workload}.toml");
        let profile = layers::read(Some((&file, workload.profile())), None, Vec::new())?.profile;
        let name = Ident::new(workload.name()).map_err(Error::usage)?;
        let mut maintenance = Database::private(&server.url("postgres"), &profile)?.open()?;
        server::create_database(&mut maintenance, &name)?;
        let database = Database::private(&server.url(workload.name()), &profile)?;
        let session = database.open()?;
        let migrations = parse(workload)?;
        Ok(Demo { ui, workload, rows: args.rows, profile, database, migrations, session, stopped })
    }

    /// Builds, loads, measures, changes, measures again.
    fn play(&mut self) -> Result<Change> {
        let change_version = self.workload.index_change_version();
        self.migrate(self.workload.load_after_version())?;
        let (rows, loading) = self.load()?;
        self.migrate(change_version - 1)?;
        self.settle()?;
        let (before, sizes_before) = self.measure("before")?;
        self.show_change(change_version)?;
        let begin = Instant::now();
        self.migrate(change_version)?;
        let changing = begin.elapsed();
        self.settle()?;
        let (after, sizes_after) = self.measure("after")?;
        let last = self.migrations.last().map_or(change_version, |last| last.id.version);
        self.migrate(last)?;
        let changed = self.migrations.iter().find(|one| one.id.version == change_version);
        let pairs = self.profile.queries.iter().zip(before.into_iter().zip(after));
        Ok(Change {
            units: self.rows,
            rows,
            loading,
            migration: changed.map_or_else(String::new, |one| one.id.to_string()),
            changing,
            sizes: (sizes_before, sizes_after),
            queries: pairs
                .map(|(query, (before, after))| Timed { query: query.clone(), before, after })
                .collect(),
        })
    }

    /// Applies the migrations up to `version` as `pgtune migrate` does.
    fn migrate(&self, version: i64) -> Result<()> {
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

    fn up_to(&self, version: i64) -> &[Migration] {
        let count = self.migrations.iter().filter(|one| one.id.version <= version).count();
        &self.migrations[..count]
    }

    fn aim<'b>(&'b self, migrations: &'b [Migration]) -> Aim<'b> {
        Aim {
            migrations,
            history_table: &self.database.history_table,
            history_width: self.profile.migrations.history_version,
            limits: &self.profile.limits,
        }
    }

    /// Shows what the index change will do and lock.
    fn show_change(&mut self, version: i64) -> Result<()> {
        let aim = self.aim(self.up_to(version));
        let planned = look_and_plan(&mut self.database.open()?, &aim, plan)?;
        let name = aim.migrations.last().map_or_else(String::new, |one| one.id.to_string());
        let outline = print::outline(&planned.runbook);
        self.ui.status(&format!("runbook   of {name}: {}", outline.trim_end()));
        Ok(())
    }

    /// Loads the generated data. Returns how many rows, and the time it took.
    fn load(&mut self) -> Result<(u64, Duration)> {
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
    fn settle(&mut self) -> Result<()> {
        let canceler = self.session.canceler();
        let settled =
            interrupt::cancelling(&canceler, self.stopped, || Ok(self.session.run(SETTLE_SQL)))?;
        settled.map_err(|failure| failure.explain("cannot gather statistics"))
    }

    /// Runs each of the profile's queries, and measures the database.
    fn measure(&mut self, when: &str) -> Result<(Vec<(Duration, String)>, Sizes)> {
        let canceler = self.session.canceler();
        let (queries, session) = (&self.profile.queries, &mut self.session);
        let mut show = progress::count(self.ui, queries.len() as u64);
        let mut runs = Vec::new();
        interrupt::cancelling(&canceler, self.stopped, || {
            for query in queries {
                let run = query_run::run(session, query)?;
                runs.push((bench::median(&run.samples), query_plan::scans(&run.plan_json)?));
                show(runs.len() as u64, "queries");
            }
            Ok(())
        })?;
        drop(show);
        self.ui.status(&format!("measured  {} queries {when} the index change", runs.len()));
        Ok((runs, sizes::look(&mut self.session)?))
    }
}

/// The workload's migrations, read as files are.
fn parse(workload: Workload) -> Result<Vec<Migration>> {
    let parse_one = |file: crate::workload::EmbeddedMigration| {
        let path = format!("migrations/{workload}/{}.sql", file.stem);
        let id = MigrationId::from_file_stem(&file.stem).map_err(Error::usage)?;
        folder::parse_text(&id, &path, &file.sql)
    };
    workload.migrations().into_iter().map(parse_one).collect()
}

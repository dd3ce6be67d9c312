//! `pgtune demo`: one of the shipped workloads on a private server, before and after its index
//! change.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bench;
use crate::error::{Error, Kind, Result};
use crate::model::gate::Thresholds;
use crate::model::units::Millis;
use crate::pg::sizes::{self, Sizes};
use crate::pg::{query_run, server};
use crate::planner::plan;
use crate::query_plan;
use crate::query_plan::captures::{Captures, compare};
use crate::query_plan::verdict::Mode;
use crate::runbook::print;
use crate::ui::{Ui, progress};
use crate::workload::Workload;

use super::converge::look_and_plan;
use super::interrupt;
use super::plan::shown;
use super::plan::take::{Side, Terms, take};
use super::private::{self, PrivateWorkload, workload_parser};

mod report;

use report::{Change, Timed};

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
    /// Show what became of each query's plans, too
    #[arg(long)]
    plans: bool,
}

/// Runs the command. The server and its folder are gone when it returns, whatever happens.
pub fn run(ui: Ui, args: Args) -> Result<()> {
    let begin = Instant::now();
    let stopped = interrupt::listen()?;
    // The demo vacuums itself, at the same points each time.
    let settings = vec![("autovacuum".to_string(), "off".to_string())];
    let server = private::start(ui, args.pg_bin.as_deref(), settings, stopped)?;
    let wanted = (args.workload, args.rows);
    let change = PrivateWorkload::prepare(ui, wanted, &server, stopped)
        .and_then(|place| Demo { place }.play());
    let (change, [before, after]) =
        change.map_err(|error| match stopped.load(Ordering::Relaxed) {
            true => Error::new(Kind::Interrupted, "interrupted; nothing is left of the demo"),
            false => error,
        })?;
    let version = private::short_version(&server.binaries().version);
    let mut report = report::report(args.workload, version, &change, begin.elapsed());
    if args.plans {
        let compared = compare(&before, &after, &Thresholds::default());
        let title = format!("plans before and after {}", change.migration);
        report.sections.extend(shown::compared(&title, &compared).titled_sections());
    }
    ui.show(&report)?;
    if args.keep {
        private::keep(ui, args.workload, &server, stopped);
    }
    Ok(())
}

/// Plans are estimated: the queries are timed anyway.
const TERMS: Terms =
    Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout: Millis(2_000) };

/// The time and the scans of each query, the database's sizes, and the queries' plans.
type Measured = (Vec<(Duration, String)>, Sizes, Captures);

/// A workload before and after its index change.
struct Demo<'a> {
    place: PrivateWorkload<'a>,
}

impl Demo<'_> {
    /// Builds, loads, measures, changes, measures again. Returns the plans before and after, too.
    fn play(&mut self) -> Result<(Change, [Captures; 2])> {
        let place = &mut self.place;
        let change_version = place.workload.index_change_version();
        place.migrate(place.workload.load_after_version())?;
        let (rows, loading) = place.load()?;
        place.migrate(change_version - 1)?;
        place.settle()?;
        let (before, sizes_before, plans_before) = self.measure("before")?;
        self.show_change(change_version)?;
        let begin = Instant::now();
        self.place.migrate(change_version)?;
        let changing = begin.elapsed();
        self.place.settle()?;
        let (after, sizes_after, plans_after) = self.measure("after")?;
        let place = &self.place;
        place.migrate(place.last_version())?;
        let changed = place.migrations.iter().find(|one| one.id.version == change_version);
        let pairs = place.profile.queries.iter().zip(before.into_iter().zip(after));
        let change = Change {
            units: place.rows,
            rows,
            loading,
            migration: changed.map_or_else(String::new, |one| one.id.to_string()),
            changing,
            sizes: (sizes_before, sizes_after),
            queries: pairs
                .map(|(query, (before, after))| Timed { query: query.clone(), before, after })
                .collect(),
        };
        Ok((change, [plans_before, plans_after]))
    }

    /// Shows what the index change will do and lock.
    fn show_change(&mut self, version: i64) -> Result<()> {
        let place = &self.place;
        let aim = place.aim(place.up_to(version));
        let planned = look_and_plan(&mut place.database.open()?, &aim, plan)?;
        let name = aim.migrations.last().map_or_else(String::new, |one| one.id.to_string());
        let outline = print::outline(&planned.runbook);
        place.ui.status(&format!("runbook   of {name}: {}", outline.trim_end()));
        Ok(())
    }

    /// Runs each of the profile's queries, and measures the database.
    fn measure(&mut self, when: &str) -> Result<Measured> {
        let place = &mut self.place;
        let canceler = place.session.canceler();
        let (queries, session) = (&place.profile.queries, &mut place.session);
        let mut show = progress::count(place.ui, queries.len() as u64);
        let mut runs = Vec::new();
        interrupt::cancelling(&canceler, place.stopped, || {
            for query in queries {
                let run = query_run::run(session, query)?;
                runs.push((bench::median(&run.samples), query_plan::scans(&run.plan_json)?));
                show(runs.len() as u64, "queries");
            }
            Ok(())
        })?;
        drop(show);
        place.ui.status(&format!("measured  {} queries {when} the index change", runs.len()));
        let server = server::look(&mut place.session, &place.database.history_table)?;
        let plans = take(
            Side::new(&mut place.session, &server),
            &place.profile.queries,
            &TERMS,
            None,
            |_, _| Ok(()),
        )?;
        Ok((runs, sizes::look(&mut place.session)?, plans))
    }
}

//! `pgtune bench`: a profile's queries under load, and ways of writing, against their targets.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueHint;

use crate::bench::compare::{self, Design};
use crate::bench::outcome::Outcome;
use crate::error::{Error, Kind, Result};
use crate::model::units::Millis;
use crate::pg::server;
use crate::pg::session::Session;
use crate::profile::Profile;
use crate::profile::bench::CLIENTS_MAX;
use crate::report::{json, svg};
use crate::ui::{Format, Ui};
use crate::workload::Workload;

use super::context::Context;
use super::database::Database;
use super::interrupt;
use super::private::{setting, workload_parser};

mod ingest;
mod queries;
mod report;
mod workload;

/// Measure queries under load against their targets
///
/// Runs the profile's queries as the application does: prepared, as their role and with their
/// settings, all sets of parameters in turn, by as many clients as are asked for, after a round
/// that does not count. Each run is a transaction that is rolled back. Latencies (p50, p95, p99)
/// are held against the targets, errors are counted by SQLSTATE, and one EXPLAIN (ANALYZE, BUFFERS)
/// says what a run touches. The exit code is 1 where a target is missed.
///
/// With --ingest, it writes rows as the profile's [[bench.ingest]] say, each at the rate that is
/// offered and as fast as it goes, and says what each way would lose in a crash. Nothing else
/// leaves rows behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune bench
  pgtune bench unread_count --count 1000
  pgtune bench --tag profile --concurrency 100 --duration 30s
  pgtune bench --rate 500 --json
  pgtune bench --compare old=eav,new=profile --svg designs.svg
  pgtune bench --json > before.json      and later: pgtune bench --against before.json
  pgtune bench --ingest all
  pgtune bench --workload accounts --concurrency 100")]
pub struct Args {
    /// Queries of the profile, by name; without names and tags all of them
    #[arg(value_name = "QUERY")]
    queries: Vec<String>,
    /// Queries with this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// How long to run, without the warm-up; without it bench.duration of the profile
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "count")]
    duration: Option<Millis>,
    /// Run each query so often instead, all clients together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How many clients are at work at the same time; without it bench.clients of the profile
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX))
    )]
    concurrency: Option<u32>,
    /// Queries a second, all clients together; without it as many as they can. A latency then
    /// counts from the moment when the query was due
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Compare two designs by the tags of their queries: old=eav,new=profile. Queries are partners
    /// that share a tag of their own. Without names and tags, only these are run
    #[arg(long, value_name = "OLD,NEW", value_parser = Design::parse_pair)]
    compare: Option<[Design; 2]>,
    /// Compare with an earlier run: a file that --json wrote
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    against: Option<PathBuf>,
    /// Write the charts into this file as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    svg: Option<PathBuf>,
    /// Write rows as this [[bench.ingest]] of the profile says, or as all of them say; may be
    /// repeated. The rows stay. Queries run too only where some are named
    #[arg(long, value_name = "NAME", conflicts_with = "count")]
    ingest: Vec<String>,
    /// Write rows without asking
    #[arg(long)]
    yes: bool,
    /// Only report: a missed target does not change the exit code
    #[arg(long)]
    report_only: bool,
    /// Measure one of pgtune's own workloads, on a private server that is gone afterwards
    #[arg(long, value_name = "WORKLOAD", value_parser = workload_parser())]
    workload: Option<Workload>,
    /// How many rows the workload has: users, values or events
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        requires = "workload",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    rows: u64,
    /// Apply the workload's migrations up to this version only
    #[arg(long, value_name = "VERSION", requires = "workload")]
    to: Option<i64>,
    /// A setting of the private server; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, requires = "workload")]
    set: Vec<(String, String)>,
    /// The folder of PostgreSQL's server programs
    #[arg(long, value_name = "DIR", requires = "workload")]
    pg_bin: Option<PathBuf>,
    /// Keep the private server after the report, until Ctrl-C
    #[arg(long, requires = "workload")]
    keep: bool,
}

impl Args {
    /// Writing alone is measured unless queries are asked for as well.
    fn wants_queries(&self) -> bool {
        let named = !self.queries.is_empty() || !self.tags.is_empty();
        self.ingest.is_empty() || named || self.compare.is_some() || self.against.is_some()
    }

    /// Tags of queries to run: those asked for, or those of the designs to compare.
    fn wanted_tags(&self) -> Vec<String> {
        let named = !self.queries.is_empty() || !self.tags.is_empty();
        let designs = self.compare.iter().flatten().filter(|_| !named);
        let designs = designs.map(|design| design.tag.clone());
        self.tags.iter().cloned().chain(designs).collect()
    }
}

/// Reads a duration that is not zero.
fn duration(text: &str) -> std::result::Result<Millis, String> {
    match Millis::parse(text)? {
        Millis(0) => Err("0 would measure nothing; write for example 10s".to_string()),
        duration => Ok(duration),
    }
}

/// Reads a rate.
fn rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        Ok(_) | Err(_) => Err("write a number above 0".to_string()),
    }
}

/// Runs the command.
pub fn run(ui: Ui, args: Args, context: impl FnOnce() -> Result<Context>) -> Result<()> {
    let stopped = interrupt::listen()?;
    check_svg(&args)?;
    if let Some(workload) = args.workload {
        return workload::run(ui, workload, &args, stopped);
    }
    let context = context()?;
    let database = Database::of(&context)?;
    let profile = context.profile();
    let subject = database.to_string();
    let owner = Owner::User;
    let place = Place { ui, profile, database: &database, subject, stopped, owner };
    let mut outcome = Outcome::default();
    let measured = measure(&place, &args, &mut outcome);
    finish(ui, &args, outcome, stopped, measured)
}

/// Where to measure.
struct Place<'a> {
    ui: Ui,
    profile: &'a Profile,
    database: &'a Database,
    /// What to call it.
    subject: String,
    stopped: &'a AtomicBool,
    owner: Owner,
}

/// Whose database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Somebody's: nothing is written without being asked for and confirmed.
    User,
    /// Ours, and gone afterwards.
    Private,
}

impl Place<'_> {
    fn open(&self) -> Result<Session> {
        self.database.open()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Measures what was asked for on a database that is as it is. What `outcome` has when something
/// goes wrong was measured before.
fn measure(place: &Place<'_>, args: &Args, outcome: &mut Outcome) -> Result<()> {
    let before = before(args)?;
    let ways = ingest::select(place.profile, &args.ingest)?;
    let queries = match args.wants_queries() {
        true => queries::select(place.profile, &args.queries, &args.wanted_tags())?,
        false => Vec::new(),
    };
    let mut session = place.open()?;
    let server = server::look(&mut session, &place.database.history_table)?;
    let newest = server.history.applied.iter().map(|applied| applied.version).max();
    outcome.subject = place.subject.clone();
    outcome.server = format!("{}.{}", server.version_num / 10_000, server.version_num % 10_000);
    let (ways, left_out) = ingest::fitting(ways, newest);
    outcome.left_out.extend(left_out);
    ingest::confirm(place, &ways, args)?;
    if !queries.is_empty() {
        let run = queries::run(place, &mut session, &queries, args)?;
        let designs = args.compare.iter().map(|designs| compare::by_tags(&run.queries, designs));
        let before = before.iter().flat_map(|before| &before.queries);
        let before = before.map(|before| compare::by_names(&before.queries, &run.queries));
        outcome.comparisons = designs.chain(before).collect();
        outcome.queries = Some(run);
    }
    ingest::run(place, &mut session, &ways, args, &mut outcome.ingest)
}

/// The earlier run to compare with.
fn before(args: &Args) -> Result<Option<Outcome>> {
    let Some(path) = &args.against else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::system(format!("read {}", path.display()), error))?;
    let outcome = json::read_bench(&text).map_err(|why| {
        Error::usage(format!("{} is no outcome of a bench: {why}", path.display()))
            .hint("`pgtune bench --json > FILE` writes one")
    });
    outcome.map(Some)
}

/// Refuses before anything is measured what could not be written in the end.
fn check_svg(args: &Args) -> Result<()> {
    let parent = args.svg.as_deref().and_then(Path::parent);
    match parent.filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        Some(parent) => {
            Err(Error::usage(format!("--svg: there is no folder {}", parent.display())))
        }
        None => Ok(()),
    }
}

/// Prints what was measured, whatever ended it, and judges it.
fn finish(
    ui: Ui,
    args: &Args,
    mut outcome: Outcome,
    stopped: &AtomicBool,
    measured: Result<()>,
) -> Result<()> {
    outcome.interrupted = stopped.load(Ordering::Relaxed);
    if outcome.queries.is_none() && outcome.ingest.is_empty() && outcome.left_out.is_empty() {
        let nothing = || Error::new(Kind::Interrupted, "interrupted before anything was measured");
        return if outcome.interrupted { Err(nothing()) } else { measured };
    }
    match ui.format {
        Format::Text | Format::Markdown => ui.show(&report::report(&outcome))?,
        Format::Json => ui.answer(&json::bench(&outcome))?,
    }
    if let Some(path) = &args.svg {
        let svg = svg::render(&report::title(&outcome), &report::charts(&outcome));
        std::fs::write(path, svg)
            .map_err(|error| Error::system(format!("write {}", path.display()), error))?;
    }
    if outcome.interrupted {
        return Err(Error::new(Kind::Interrupted, "interrupted; this is what was measured before"));
    }
    measured?;
    let missed = outcome.missed();
    if missed.is_empty() || args.report_only {
        return Ok(());
    }
    let names = missed.join(", ");
    Err(Error::new(Kind::Answer, format!("missed its target, or failed too often: {names}"))
        .hint("--report-only leaves the exit code at 0"))
}

/// A duration in words for a sum of seconds.
fn of_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

//! `pgtune bench`: a profile's queries under load, against their targets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bench::outcome::Outcome;
use crate::error::{Error, Kind, Result};
use crate::model::units::Millis;
use crate::pg::server;
use crate::pg::session::Session;
use crate::profile::Profile;
use crate::profile::bench::CLIENTS_MAX;
use crate::report::json;
use crate::ui::{Format, Ui};

use super::context::Context;
use super::database::Database;
use super::interrupt;

mod queries;
mod report;

/// Measure queries under load against their targets
///
/// Runs the profile's queries as the application does: prepared, as their role and with their
/// settings, all sets of parameters in turn, by as many clients as are asked for, after a round
/// that does not count. Each run is a transaction that is rolled back. Latencies (p50, p95, p99)
/// are held against the targets, errors are counted by SQLSTATE, and one EXPLAIN (ANALYZE, BUFFERS)
/// says what a run touches. The exit code is 1 where a target is missed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune bench
  pgtune bench unread_count --count 1000
  pgtune bench --tag profile --concurrency 100 --duration 30s
  pgtune bench --rate 500 --json")]
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
    /// Only report: a missed target does not change the exit code
    #[arg(long)]
    report_only: bool,
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
    let context = context()?;
    let stopped = interrupt::listen()?;
    let database = Database::of(&context)?;
    let place = Place { ui, profile: context.profile(), database: &database, stopped };
    finish(&place, &args, place.measure(&args)?)
}

/// Where to measure.
struct Place<'a> {
    ui: Ui,
    profile: &'a Profile,
    database: &'a Database,
    stopped: &'a AtomicBool,
}

impl Place<'_> {
    /// Runs what was asked for.
    fn measure(&self, args: &Args) -> Result<Outcome> {
        let queries = queries::select(self.profile, &args.queries, &args.tags)?;
        let mut session = self.open()?;
        let server = server::look(&mut session, &self.database.history_table)?;
        let mut outcome = Outcome {
            subject: self.database.to_string(),
            server: format!("{}.{}", server.version_num / 10_000, server.version_num % 10_000),
            ..Outcome::default()
        };
        outcome.queries = Some(queries::run(self, &mut session, &queries, args)?);
        outcome.interrupted = self.is_stopped();
        Ok(outcome)
    }

    fn open(&self) -> Result<Session> {
        self.database.open()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Prints the outcome and judges it.
fn finish(place: &Place<'_>, args: &Args, outcome: Outcome) -> Result<()> {
    match place.ui.format {
        Format::Text => place.ui.show(&report::report(&outcome))?,
        Format::Json => place.ui.answer(&json::bench(&outcome))?,
    }
    if outcome.interrupted {
        return Err(Error::new(Kind::Interrupted, "interrupted; this is what was measured before"));
    }
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

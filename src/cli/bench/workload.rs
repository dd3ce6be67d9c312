//! A bench of one of pgtune's own workloads, from nothing, on a private server.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bench::ingest::IngestOutcome;
use crate::bench::outcome::Outcome;
use crate::cli::private::{self, PrivateWorkload};
use crate::error::{Error, Kind, Result};
use crate::model::units::human_count;
use crate::profile::bench::Ingest;
use crate::shadow::server::Server;
use crate::ui::Ui;
use crate::workload::Workload;

use super::{Args, Owner, Place, finish, ingest, measure};

/// Sessions besides the clients: autovacuum's, our own, a look with psql.
const SPARE_CONNECTIONS: u32 = 20;

/// Runs the command. The server and its folder are gone when it returns, whatever happens.
pub fn run(ui: Ui, workload: Workload, args: &Args, stopped: &AtomicBool) -> Result<()> {
    let settings = settings(args);
    let server = private::start(ui, args.pg_bin.as_deref(), settings, stopped)?;
    let outcome = PrivateWorkload::prepare(ui, (workload, args.rows), &server, stopped)
        .and_then(|mut place| play(&mut place, &server, args));
    let outcome = outcome.map_err(|error| match stopped.load(Ordering::Relaxed) {
        true => Error::new(Kind::Interrupted, "interrupted before anything was measured"),
        false => error,
    })?;
    let judged = finish(ui, args, &outcome);
    if args.keep {
        private::keep(ui, workload, &server, stopped);
    }
    judged
}

/// As a real server is configured: every commit reaches the disk.
fn settings(args: &Args) -> Vec<(String, String)> {
    let connections = args.concurrency.unwrap_or(0).max(100) + SPARE_CONNECTIONS;
    let ours = [
        ("fsync", "on".to_string()),
        ("full_page_writes", "on".to_string()),
        ("synchronous_commit", "on".to_string()),
        ("max_connections", connections.to_string()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.to_string(), value));
    ours.chain(args.set.clone()).collect()
}

/// Builds, loads, and measures; ways of writing that show an older design first, while it is there.
fn play(built: &mut PrivateWorkload<'_>, server: &Server, args: &Args) -> Result<Outcome> {
    let profile = built.profile.clone();
    let last = args.to.unwrap_or(built.last_version());
    let loaded = built.workload.load_after_version();
    if last < loaded {
        return Err(Error::usage(format!("the data of {} needs V{loaded}", built.workload))
            .hint(format!("--to {loaded} is the least")));
    }
    let chosen = ingest::select(&profile, &args.ingest)?;
    built.migrate(loaded)?;
    built.load()?;
    let mut written = Vec::new();
    for version in versions_before(&chosen, loaded, last) {
        built.migrate(version)?;
        built.settle()?;
        let ways = chosen.iter().copied().filter(|way| way.until == Some(version));
        let ways: Vec<&Ingest> = ways.collect();
        let place = place(built, &profile);
        written.extend(ingest::run(&place, &mut place.open()?, &ways, args)?);
    }
    built.migrate(last)?;
    built.settle()?;
    let mut outcome = measure(&place(built, &profile), args)?;
    let version = private::short_version(&server.binaries().version);
    let (rows, unit) = (human_count(built.rows), built.workload.unit());
    outcome.subject = format!("{} with {rows} {unit}, at V{last}", built.workload);
    outcome.server = format!("{version}, private");
    merge(&mut outcome, written, &chosen);
    Ok(outcome)
}

fn place<'a>(built: &'a PrivateWorkload<'_>, profile: &'a crate::profile::Profile) -> Place<'a> {
    let (ui, database, stopped) = (built.ui, &built.database, built.stopped);
    Place { ui, profile, database, stopped, owner: Owner::Private }
}

/// The versions to stop at on the way, for designs that the last one has no more.
fn versions_before(ways: &[&Ingest], loaded: i64, last: i64) -> BTreeSet<i64> {
    let until = ways.iter().filter_map(|way| way.until);
    until.filter(|until| (loaded..last).contains(until)).collect()
}

/// Puts what was written on the way into the profile's order with the rest.
fn merge(outcome: &mut Outcome, written: Vec<IngestOutcome>, chosen: &[&Ingest]) {
    let is_written = |reason: &String| {
        let name = reason.split(':').next();
        written.iter().any(|way| Some(way.name.as_str()) == name)
    };
    outcome.left_out.retain(|reason| !is_written(reason));
    outcome.ingest.extend(written);
    let place = |way: &IngestOutcome| chosen.iter().position(|chosen| chosen.name == way.name);
    outcome.ingest.sort_by_key(place);
}

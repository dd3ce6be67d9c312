//! A bench of one of pgtune's own workloads, from nothing, on a private server.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use crate::bench::ingest::IngestOutcome;
use crate::bench::outcome::Outcome;
use crate::cli::private::{self, PrivateWorkload};
use crate::error::{Error, Kind, Result};
use crate::model::units::human_count;
use crate::profile::Profile;
use crate::profile::bench::Ingest;
use crate::ui::Ui;
use crate::workload::Workload;

use super::{Args, Owner, Place, finish, ingest, measure};

/// Sessions besides the clients: autovacuum's, our own, a look with psql.
const SPARE_CONNECTIONS: u32 = 20;

/// Runs the command. The server and its folder are gone when it returns, whatever happens.
pub fn run(ui: Ui, workload: Workload, args: &Args, stopped: &AtomicBool) -> Result<()> {
    let settings = settings(args);
    let server = private::start(ui, args.pg_bin.as_deref(), settings, stopped)?;
    let mut outcome = Outcome::default();
    let measured = PrivateWorkload::prepare(ui, (workload, args.rows), &server, stopped)
        .and_then(|mut place| play(&mut place, args, &mut outcome));
    let judged = finish(ui, args, outcome, stopped, measured);
    // A missed target is to be looked into; what failed is said at once.
    let has_failed = judged.as_ref().is_err_and(|error| error.kind != Kind::Answer);
    if args.keep && !has_failed {
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
fn play(built: &mut PrivateWorkload<'_>, args: &Args, outcome: &mut Outcome) -> Result<()> {
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
    for version in versions_before(&chosen, loaded, last) {
        built.migrate(version)?;
        built.settle()?;
        let ways = chosen.iter().copied().filter(|way| way.until == Some(version));
        let ways: Vec<&Ingest> = ways.collect();
        let place = place(built, &profile, last);
        ingest::run(&place, &mut place.open()?, &ways, args, &mut outcome.ingest)?;
    }
    built.migrate(last)?;
    built.settle()?;
    measure(&place(built, &profile, last), args, outcome)?;
    // Those that were measured on the way are not left out, and stand where the profile has them.
    let is_written = |reason: &String| {
        let name = reason.split(':').next();
        outcome.ingest.iter().any(|way| Some(way.name.as_str()) == name)
    };
    outcome.left_out.retain(|reason| !is_written(reason));
    let place = |way: &IngestOutcome| chosen.iter().position(|chosen| chosen.name == way.name);
    outcome.ingest.sort_by_key(place);
    Ok(())
}

fn place<'a>(built: &'a PrivateWorkload<'_>, profile: &'a Profile, version: i64) -> Place<'a> {
    let (rows, unit) = (human_count(built.rows), built.workload.unit());
    let subject = format!("{} with {rows} {unit}, at V{version}", built.workload);
    let (ui, database, stopped) = (built.ui, &built.database, built.stopped);
    Place { ui, profile, database, subject, stopped, owner: Owner::Private }
}

/// The versions to stop at on the way, for designs that the last one has no more.
fn versions_before(ways: &[&Ingest], loaded: i64, last: i64) -> BTreeSet<i64> {
    let until = ways.iter().filter_map(|way| way.until);
    until.filter(|until| (loaded..last).contains(until)).collect()
}

//! Which ways of writing a bench measures, and what came of them.

use std::time::Duration;

use crate::bench::ingest::{Durability, IngestOutcome, Pace, lost_in_a_crash, pace};
use crate::cli::interrupt;
use crate::error::{Error, Result};
use crate::model::suggest::nearest;
use crate::model::units::{human_count, human_duration};
use crate::pg::load::Watch;
use crate::pg::load::ingest::{durability, run as load};
use crate::pg::load::rows::Rows;
use crate::pg::session::Session;
use crate::profile::Profile;
use crate::profile::bench::{EVERY_INGEST, Ingest, Shape};
use crate::ui::progress;

use super::{Args, Owner, Place};

/// The ways of writing that were named, in the profile's order.
pub fn select<'a>(profile: &'a Profile, names: &[String]) -> Result<Vec<&'a Ingest>> {
    let all = &profile.bench.ingest;
    let known = || all.iter().map(|ingest| ingest.name.as_str());
    let is_known = |name: &String| name == EVERY_INGEST || known().any(|known| known == name);
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        let error = Error::usage(format!("the profile has no [[bench.ingest]] \"{name}\""));
        return Err(match nearest(name, known()) {
            Some(known) => error.hint(format!("did you mean {known}?")),
            None => error.hint("write one: name, table, shape, rows"),
        });
    }
    if !names.is_empty() && all.is_empty() {
        return Err(Error::usage("the profile has no [[bench.ingest]] to write by")
            .hint("write one: name, table, shape, rows"));
    }
    let every = names.iter().any(|name| name == EVERY_INGEST);
    Ok(all.iter().filter(|ingest| every || names.contains(&ingest.name)).collect())
}

/// Leaves out the ways of designs that migrations have replaced; says which, and why.
pub fn fitting(ways: Vec<&Ingest>, newest: Option<i64>) -> (Vec<&Ingest>, Vec<String>) {
    let newest = newest.unwrap_or(0);
    let is_past = |way: &&Ingest| way.until.is_some_and(|until| newest > until);
    let (past, fitting): (Vec<_>, Vec<_>) = ways.into_iter().partition(is_past);
    let reason = |way: &Ingest| {
        let until = way.until.unwrap_or(0);
        format!("{}: shows the design of V{until}, and V{newest} is applied", way.name)
    };
    (fitting, past.into_iter().map(reason).collect())
}

/// Rows will stay in somebody's tables: say so, and ask.
pub fn confirm(place: &Place<'_>, ways: &[&Ingest], args: &Args) -> Result<()> {
    if ways.is_empty() || args.yes || place.owner == Owner::Private {
        return Ok(());
    }
    let mut tables: Vec<&str> = ways.iter().map(|way| way.table.as_str()).collect();
    tables.dedup();
    let (tables, database) = (tables.join(", "), place.database);
    place.ui.status(&format!("this writes rows into {tables} of {database}, where they stay"));
    place.ui.confirm("Write them?")
}

/// Measures each way, one after the other, and adds what came of it.
pub fn run(
    place: &Place<'_>,
    session: &mut Session,
    ways: &[&Ingest],
    args: &Args,
    outcomes: &mut Vec<IngestOutcome>,
) -> Result<()> {
    // What cannot work is known before anything is written.
    let asked = ways.iter().map(|way| durability(&|| place.open(), way));
    let asked: Vec<Durability> = asked.collect::<Result<_>>()?;
    for (way, durability) in ways.iter().zip(&asked) {
        if place.is_stopped() {
            break;
        }
        outcomes.push(one(place, session, (way, durability), args)?);
    }
    Ok(())
}

fn one(
    place: &Place<'_>,
    session: &mut Session,
    (way, durability): (&Ingest, &Durability),
    args: &Args,
) -> Result<IngestOutcome> {
    let (canceler, name) = (session.canceler(), format!("bench.ingest \"{}\"", way.name));
    let rows =
        interrupt::cancelling(&canceler, place.stopped, || Rows::read(session, &name, &way.rows))?;
    let rate = args.rate.or(Some(f64::from(way.rows_per_second))).filter(|rate| *rate > 0.0);
    let offered = match rate {
        Some(rate) => Some(measure(place, session, (way, &rows, Some(rate)), args)?),
        None => None,
    };
    let free = match place.is_stopped() {
        true => Pace::default(),
        false => measure(place, session, (way, &rows, None), args)?,
    };
    let shown = offered.as_ref().unwrap_or(&free);
    let backlog = match way.shape {
        Shape::Insert | Shape::Batch | Shape::Copy => None,
        Shape::CopyAndFlush => Some(shown.flush.as_ref().map_or(0, |it| it.backlog_rows_greatest)),
    };
    let outcome = IngestOutcome {
        name: way.name.clone(),
        table: way.table.clone(),
        shape: way.shape.name().to_string(),
        clients: way.clients,
        batch: way.batch(),
        lost_in_a_crash: lost_in_a_crash(durability, backlog),
        target_ms: way.target.0 as f64,
        target_rows_per_second: f64::from(way.target_rows_per_second),
        offered,
        free,
        ..IngestOutcome::default()
    };
    Ok(outcome.judge())
}

/// One run, with a bar.
fn measure(
    place: &Place<'_>,
    session: &mut Session,
    (way, rows, rate): (&Ingest, &Rows, Option<f64>),
    args: &Args,
) -> Result<Pace> {
    if place.owner == Owner::Private {
        // What the run before left to write shall not slow this one.
        session
            .run("CHECKPOINT")
            .map_err(|failure| failure.explain("cannot write a checkpoint"))?;
    }
    let duration = args.duration.unwrap_or(place.profile.bench.duration).duration();
    let mut show = progress::clock(place.ui, duration, "rows");
    let mut observe = |progress: crate::pg::load::Progress| show(progress.elapsed, progress.done);
    let mut watch = Watch { stopped: place.stopped, observe: &mut observe };
    let written = load(way, rows, (duration, rate), &|| place.open(), &mut watch)?;
    drop(show);
    let seconds = written.elapsed.as_secs_f64();
    let pace = pace(rate, &written.writes, written.flushes.as_ref(), seconds);
    let how = rate.map_or("as fast as it goes".to_string(), |rate| {
        format!("{} rows a second offered", human_count(rate.round() as u64))
    });
    let elapsed = human_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let count = human_count(pace.rows);
    place.ui.status(&format!("wrote     {}: {count} rows, {how} ({elapsed})", way.name));
    Ok(pace)
}

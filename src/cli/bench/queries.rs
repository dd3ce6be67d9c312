//! Which queries a bench runs, and what came of them.

use crate::bench::footprint::{self, Footprint};
use crate::bench::outcome::{Measured, QueriesRun, judge};
use crate::cli::interrupt;
use crate::error::{Error, Result};
use crate::model::suggest::nearest;
use crate::model::units::{human_count, human_duration, plural};
use crate::pg::load::queries::{Mix, Observed, run as load};
use crate::pg::load::{Progress, Until, Watch};
use crate::pg::query_run;
use crate::pg::session::Session;
use crate::profile::{Profile, Query};
use crate::ui::progress;

use super::{Args, Place, of_seconds};

/// The queries that were named or have one of the tags; all where nothing was asked for.
pub fn select(profile: &Profile, names: &[String], tags: &[String]) -> Result<Vec<Query>> {
    let known = || profile.queries.iter().map(|query| query.name.as_str());
    if profile.queries.is_empty() {
        return Err(Error::usage("the profile has no queries to measure")
            .hint("write them as [[queries]]: name, sql, parameters, target")
            .hint("--workload audience measures one of pgtune's own, on a private server"));
    }
    if let Some(name) = names.iter().find(|name| !known().any(|known| known == *name)) {
        let error = Error::usage(format!("the profile has no query \"{name}\""));
        return Err(match nearest(name, known()) {
            Some(known) => error.hint(format!("did you mean {known}?")),
            None => error,
        });
    }
    let all = names.is_empty() && tags.is_empty();
    let is_asked = |query: &&Query| {
        all || names.contains(&query.name) || query.tags.iter().any(|tag| tags.contains(tag))
    };
    let queries: Vec<Query> = profile.queries.iter().filter(is_asked).cloned().collect();
    match queries.is_empty() {
        true => Err(Error::usage(format!("no query has the tag {}", tags.join(" or ")))),
        false => Ok(queries),
    }
}

/// Runs the queries and judges them.
pub fn run(
    place: &Place<'_>,
    session: &mut Session,
    queries: &[Query],
    args: &Args,
) -> Result<QueriesRun> {
    let bench = &place.profile.bench;
    let until = match args.count {
        Some(count) => Until::Rounds(count),
        None => Until::Elapsed(args.duration.unwrap_or(bench.duration).duration()),
    };
    let clients = args.concurrency.unwrap_or(bench.clients);
    let mix = Mix { queries, clients, until, rate: args.rate };
    let footprints = footprints(place, session, queries)?;
    let observed = observe(place, &mix)?;
    let seconds = observed.elapsed.as_secs_f64();
    let judged = queries.iter().zip(footprints).zip(&observed.tallies);
    let judged = judged.map(|((query, footprint), tally)| {
        let target = match (clients, bench.concurrent_target.0) {
            (1, _) | (_, 0) => query.target,
            (_, _) => bench.concurrent_target,
        };
        let measured = Measured {
            name: query.name.clone(),
            tags: query.tags.clone(),
            target_ms: target.0 as f64,
            error_limit_percent: bench.error_limit_percent,
            footprint,
        };
        judge(measured, tally, seconds)
    });
    Ok(QueriesRun {
        clients,
        seconds,
        rate: args.rate,
        clients_lost: observed.lost,
        error_limit_percent: bench.error_limit_percent,
        queries: judged.collect(),
    })
}

/// What one run of each query touches; none where it fails, which the run will show.
fn footprints(
    place: &Place<'_>,
    session: &mut Session,
    queries: &[Query],
) -> Result<Vec<Option<Footprint>>> {
    let canceler = session.canceler();
    interrupt::cancelling(&canceler, place.stopped, || {
        let mut show = progress::count(place.ui, queries.len() as u64);
        let mut footprints = Vec::new();
        for query in queries {
            let plan = match place.is_stopped() {
                true => None,
                false => query_run::explain_analyze(session, query).ok(),
            };
            footprints.push(plan.map(|plan| footprint::read(&plan)).transpose()?);
            show(footprints.len() as u64, "queries explained");
        }
        Ok(footprints)
    })
}

/// Puts the load on, with a bar.
fn observe(place: &Place<'_>, mix: &Mix<'_>) -> Result<Observed> {
    let clients = plural(mix.clients as usize, "client", "clients");
    let what = format!("{}, {clients}", plural(mix.queries.len(), "query", "queries"));
    place.ui.status(&format!("running   {what}"));
    let mut show = display(place, mix);
    let mut watch = Watch { stopped: place.stopped, observe: &mut |progress| show(progress) };
    let observed = load(mix, &|| place.open(), &mut watch)?;
    drop(show);
    let runs = observed.tallies.iter().map(|tally| tally.count()).sum();
    let (runs, elapsed) = (human_count(runs), human_duration(observed.elapsed));
    place.ui.status(&format!("measured  {runs} runs ({elapsed})"));
    Ok(observed)
}

/// A bar of the time, or of the runs, whichever ends the run.
fn display(place: &Place<'_>, mix: &Mix<'_>) -> Box<dyn FnMut(Progress)> {
    match mix.until {
        Until::Elapsed(duration) => {
            let mut show = progress::clock(place.ui, duration, "runs");
            Box::new(move |progress| show(progress.elapsed, progress.done))
        }
        Until::Rounds(rounds) => {
            let total = rounds.saturating_mul(mix.queries.len() as u64);
            let mut show = progress::count(place.ui, total);
            Box::new(move |progress| show(progress.done, "runs"))
        }
    }
}

/// "12,345 runs in 10.0 s: 1,234 a second".
pub fn summary(run: &QueriesRun) -> String {
    let (runs, _) = run.runs_and_errors();
    let clients = plural(run.clients as usize, "client", "clients");
    let rate = run.rate.map_or_else(String::new, |rate| format!(", {rate} a second asked for"));
    let lost = match run.clients_lost {
        0 => String::new(),
        lost => format!("; {lost} lost their connection"),
    };
    format!(
        "{clients}{rate}: {} runs in {}, {} a second{lost}",
        human_count(runs),
        human_duration(of_seconds(run.seconds)),
        human_count(run.per_second().round() as u64),
    )
}

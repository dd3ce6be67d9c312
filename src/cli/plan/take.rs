//! Takes the plans of many queries: one that has none stops no other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{SecondsFormat, Utc};

use crate::error::{Error, Kind, Result};
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::units::Millis;
use crate::pg::explain::{self, Asking};
use crate::pg::server::Server;
use crate::pg::session::Session;
use crate::profile::Query;
use crate::query_plan::captures::{Captured, Captures, SCHEMA_VERSION};
use crate::query_plan::verdict::{Capture, Mode, Outcome};
use crate::query_plan::{self, Names};
use crate::sql::query::{Does, look};

use super::refusal::Refusal;
use super::values::{Asked, Set, with_values};

/// How often a query is run to be measured, after a run that does not count.
const RUNS: usize = 3;

/// How plans are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// In which way.
    pub mode: Mode,
    /// How long a query may take.
    pub statement_timeout: Millis,
    /// How long planning may wait for somebody's ACCESS EXCLUSIVE lock.
    pub lock_timeout: Millis,
}

/// A database, and what of it is planned differently from how the application sees it.
pub struct Side<'a> {
    /// The session.
    pub session: &'a mut Session,
    /// Its server.
    pub server: &'a Server,
    /// Settings over those of the application.
    pub settings: BTreeMap<String, String>,
    /// Whether policies of row-level security are left out.
    pub without_policies: bool,
}

impl<'a> Side<'a> {
    /// A database as the application sees it.
    pub fn new(session: &'a mut Session, server: &'a Server) -> Side<'a> {
        Side { session, server, settings: BTreeMap::new(), without_policies: false }
    }

    /// How plans are asked for on this side.
    pub fn asking(&self, terms: &Terms) -> Asking {
        Asking {
            runs: terms.mode == Mode::Analyze,
            is_generic: terms.mode == Mode::Generic,
            statement_timeout: terms.statement_timeout,
            lock_timeout: terms.lock_timeout,
            settings: self.settings.clone(),
            without_policies: self.without_policies,
        }
    }
}

/// What the server said.
struct Explained {
    /// EXPLAIN's JSON.
    json: String,
    /// The times of all runs that count, in milliseconds.
    samples_ms: Vec<f64>,
    /// Whether a run wrote anything.
    wrote: bool,
}

/// A query with one of its sets of values, and what was said on each side.
struct Answer<'a> {
    query: &'a Query,
    set: &'a Set,
    told: Vec<std::result::Result<Explained, Refusal>>,
}

/// Takes the plans of `queries`, each with all of its sets of values; those without are planned
/// with values of `known`, or else with some that the statistics offer. `progress` hears how many
/// are done, and of how many, and may end it. The session is left as it was.
///
/// Errors where the server is gone; what is wrong with a query is its outcome.
pub fn take(
    side: Side<'_>,
    queries: &[Query],
    terms: &Terms,
    known: Option<&Captures>,
    progress: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Captures> {
    let mut captures = take_all(&mut [side], queries, terms, known, progress)?;
    Ok(captures.remove(0))
}

/// The same on several sides, in the order of these. Where queries are run, the sides take turns,
/// so that what else happens on the machine meets all of them. Values are those of the first side.
fn take_all(
    sides: &mut [Side<'_>],
    queries: &[Query],
    terms: &Terms,
    known: Option<&Captures>,
    mut progress: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Vec<Captures>> {
    let asked = with_values(&mut sides[0], queries, terms, known)?;
    let mut answers = Vec::new();
    let turns = in_order(&asked);
    for (done, (one, set)) in turns.iter().copied().enumerate() {
        progress(done, turns.len())?;
        answers.push(Answer { query: one.query, set, told: ask(sides, one, set, terms)? });
    }
    progress(turns.len(), turns.len())?;
    for side in sides.iter_mut() {
        explain::end(side.session)?;
    }
    // In the order of the profile, whatever was asked first.
    let place: BTreeMap<&str, usize> =
        queries.iter().enumerate().map(|(at, query)| (query.name.as_str(), at)).collect();
    answers.sort_by_key(|answer| (place.get(answer.query.name.as_str()), answer.set.number));
    let each = sides.iter_mut().enumerate();
    each.map(|(at, side)| captures(side, at, &answers, terms.mode)).collect()
}

/// The same on two sides.
pub fn take_both(
    mut sides: [Side<'_>; 2],
    queries: &[Query],
    terms: &Terms,
    progress: impl FnMut(usize, usize) -> Result<()>,
) -> Result<[Captures; 2]> {
    let taken = take_all(&mut sides, queries, terms, None, progress)?;
    <[Captures; 2]>::try_from(taken)
        .map_err(|_| Error::new(Kind::Bug, "two sides have other than two captures"))
}

/// Each query with each set of values. Those of one role and settings stand together: changing them
/// costs a round trip.
fn in_order<'a>(asked: &'a [Asked<'a>]) -> Vec<(&'a Asked<'a>, &'a Set)> {
    let mut asked: Vec<&Asked<'_>> = asked.iter().collect();
    asked.sort_by_key(|one| (&one.query.role, &one.query.settings));
    asked.into_iter().flat_map(|one| one.sets.iter().map(move |set| (one, set))).collect()
}

/// The answer of each side, or what is wrong with the query there.
fn ask(
    sides: &mut [Side<'_>],
    asked: &Asked<'_>,
    set: &Set,
    terms: &Terms,
) -> Result<Vec<std::result::Result<Explained, Refusal>>> {
    let query = asked.query;
    let sql = match statement(asked, set, terms.mode) {
        Ok(sql) => sql,
        Err(refusal) => return Ok(sides.iter().map(|_| Err(refusal.clone())).collect()),
    };
    let mut told: Vec<_> = sides.iter().map(|_| Ok(Vec::new())).collect();
    for turn in turns(terms.mode) {
        for (side, told) in sides.iter_mut().zip(&mut told) {
            let Ok(plans): &mut std::result::Result<Vec<Said>, Refusal> = told else { continue };
            match one(side, query, sql, set, terms, *turn) {
                Ok(plan) => plans.push(plan),
                Err(failure) => *told = Err(Refusal::of(failure, &query.name)?),
            }
        }
    }
    Ok(told.into_iter().map(|plans| plans.map(explained)).collect())
}

/// EXPLAIN's JSON, and whether the run wrote anything.
type Said = (String, bool);

/// What is asked for in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// A plan, which nobody runs.
    Plan,
    /// A run: the first of which fills the caches, and does not count.
    Run,
    /// A run with the times of each node, which reading the clock makes longer.
    RunWithTimes,
}

/// The turns that each side takes with a query.
fn turns(mode: Mode) -> &'static [Turn] {
    const RUN: [Turn; RUNS + 2] = {
        let mut turns = [Turn::Run; RUNS + 2];
        turns[RUNS + 1] = Turn::RunWithTimes;
        turns
    };
    match mode {
        Mode::Estimate | Mode::Generic => &[Turn::Plan],
        Mode::Analyze => &RUN,
    }
}

/// The plan of one side in one turn.
fn one(
    side: &mut Side<'_>,
    query: &Query,
    sql: &str,
    set: &Set,
    terms: &Terms,
    turn: Turn,
) -> std::result::Result<Said, crate::pg::failure::Failure> {
    explain::set_up(side.session, query, &side.asking(terms))?;
    let plan = match (turn, terms.mode) {
        (Turn::Plan, Mode::Generic) => explain::generic(side.session, sql, side.server.version_num),
        (Turn::Plan, Mode::Estimate | Mode::Analyze) => {
            explain::estimate(side.session, sql, &set.values)
        }
        (Turn::Run | Turn::RunWithTimes, _) => {
            return explain::run(side.session, sql, &set.values, turn == Turn::RunWithTimes);
        }
    };
    plan.map(|plan| (plan, false))
}

/// The last plan, with the times of the runs between the first and the last.
fn explained(mut said: Vec<Said>) -> Explained {
    let wrote = said.iter().any(|(_, wrote)| *wrote);
    let (json, _) = said.pop().unwrap_or_default();
    let mut samples_ms: Vec<f64> =
        said.iter().skip(1).map(|(plan, _)| explain::execution_ms(plan)).collect();
    samples_ms.sort_by(f64::total_cmp);
    Explained { json, samples_ms, wrote }
}

/// The query's one statement, fit to be planned with this set of values.
fn statement<'a>(
    asked: &'a Asked<'_>,
    set: &Set,
    mode: Mode,
) -> std::result::Result<&'a str, Refusal> {
    let query = asked.query;
    let looked = look(&query.sql).map_err(|refusal| Refusal::not_one_statement(&refusal))?;
    if looked.does == Does::Other {
        return Err(Refusal::no_query());
    }
    if !query.role.is_empty() {
        Ident::new(query.role.as_str()).map_err(|message| Refusal::role(&message))?;
    }
    if mode != Mode::Generic && set.values.len() != looked.parameters {
        let other = || Refusal::values(looked.parameters, set.values.len(), "");
        return Err(asked.lacks.clone().unwrap_or_else(other));
    }
    Ok(looked.text)
}

/// What one side said, read, with what its catalog says about the names in the plans.
fn captures(
    side: &mut Side<'_>,
    at: usize,
    answers: &[Answer<'_>],
    mode: Mode,
) -> Result<Captures> {
    let plans = answers.iter().filter_map(|answer| answer.told[at].as_ref().ok());
    let relations: BTreeSet<QualifiedName> =
        plans.flat_map(|told| query_plan::relations(&told.json)).collect();
    let names = explain::names(side.session, &relations)?;
    let version_num = side.server.version_num;
    let major = version_num / 10_000;
    let (mut queries, mut findings) = (Vec::new(), Vec::new());
    for answer in answers {
        let (outcome, found) = outcome(answer, at, &names, (mode, major));
        let captured = captured(answer, outcome);
        findings.extend(found.map(|finding| Finding { subject: captured.label(), ..finding }));
        queries.push(captured);
    }
    Ok(Captures {
        roots: names.roots,
        schema_version: SCHEMA_VERSION,
        taken_at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        server_version: format!("{major}.{}", version_num % 10_000),
        mode,
        queries,
        findings,
    })
}

fn outcome(
    answer: &Answer<'_>,
    at: usize,
    names: &Names,
    (mode, server_major): (Mode, u32),
) -> (Outcome, Option<Finding>) {
    let read = match &answer.told[at] {
        Ok(told) => query_plan::read(&told.json, names)
            .map(|plan| (plan, told.samples_ms.clone()))
            .map_err(|error| Refusal::unreadable(error.message)),
        Err(refusal) => Err(refusal.clone()),
    };
    let (mut plan, samples_ms) = match read {
        Ok(read) => read,
        Err(refusal) => return (refusal.outcome.clone(), Some(refusal.finding())),
    };
    if let (Some(measured), Some(median)) =
        (&mut plan.measured, samples_ms.get(samples_ms.len() / 2))
    {
        measured.time_ms = *median;
    }
    let statistics = names.statistics(&plan);
    let capture = Capture { plan, mode, server_major, statistics, rival_cost: None, samples_ms };
    let wrote = answer.told[at].as_ref().is_ok_and(|told| told.wrote);
    let writes = match writes(answer.query) {
        true => (mode == Mode::Analyze).then(|| super::refusal::writes("it writes")),
        false => wrote.then(|| super::refusal::writes("it writes, or locks rows")),
    };
    (Outcome::Plan(Box::new(capture)), writes)
}

fn writes(query: &Query) -> bool {
    look(&query.sql).is_ok_and(|looked| looked.does == Does::Writes)
}

fn captured(answer: &Answer<'_>, outcome: Outcome) -> Captured {
    let query = answer.query;
    Captured {
        query: query.name.clone(),
        set: answer.set.number,
        chosen: answer.set.chosen(),
        calls: if query.calls > 0.0 { query.calls } else { 1.0 },
        outcome,
    }
}

/// Reads captures that were saved.
pub fn read_file(path: &std::path::Path) -> Result<Captures> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::system(format!("read {shown}"), error))?;
    let captures: Captures = serde_json::from_str(&text).map_err(|error| {
        Error::usage(format!("{shown} holds no plans"))
            .caused_by(error)
            .hint("`pgtune plan capture --save FILE` writes such a file")
    })?;
    match captures.schema_version {
        SCHEMA_VERSION => Ok(captures),
        other => Err(Error::usage(format!("{shown} was written by another pgtune (form {other})"))
            .hint("take the plans anew")),
    }
}

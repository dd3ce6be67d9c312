//! Takes the plans of many queries: one that has none stops no other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{SecondsFormat, Utc};

use crate::error::{Error, Result};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::units::Millis;
use crate::pg::explain::{self, Asking, Explained};
use crate::pg::failure::Verdict;
use crate::pg::server::Server;
use crate::pg::session::Session;
use crate::profile::Query;
use crate::query_plan::captures::{Captured, Captures, SCHEMA_VERSION};
use crate::query_plan::verdict::{Capture, Mode, Outcome};
use crate::query_plan::{self, Names};
use crate::sql::query::{Does, look};

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

/// A query with one of its sets of values, and what the server said.
struct Answer<'a> {
    query: &'a Query,
    set: usize,
    told: std::result::Result<Explained, Outcome>,
}

/// Takes the plans of `queries`, each with all of its sets of values; `progress` hears how many are
/// done. The session is left as it was.
///
/// Errors where the server is gone; what is wrong with a query is its outcome.
pub fn take(
    session: &mut Session,
    server: &Server,
    queries: &[Query],
    terms: &Terms,
    mut progress: impl FnMut(usize),
) -> Result<Captures> {
    let Terms { mode, statement_timeout, lock_timeout } = *terms;
    let version_num = server.version_num;
    let asking = Asking { mode, version_num, statement_timeout, lock_timeout };
    let mut answers = Vec::new();
    for (query, set) in in_order(queries, mode) {
        answers.push(Answer { query, set, told: ask(session, query, set, &asking)? });
        progress(answers.len());
    }
    explain::end(session)?;
    // In the order of the profile, whatever was asked first.
    let place: BTreeMap<&str, usize> =
        queries.iter().enumerate().map(|(at, query)| (query.name.as_str(), at)).collect();
    answers.sort_by_key(|answer| (place.get(answer.query.name.as_str()), answer.set));
    let plans = answers.iter().filter_map(|answer| answer.told.as_ref().ok());
    let relations: BTreeSet<QualifiedName> =
        plans.flat_map(|told| query_plan::relations(&told.json)).collect();
    let names = explain::names(session, &relations)?;
    let major = version_num / 10_000;
    let roots = names.roots.clone();
    Ok(Captures {
        roots,
        schema_version: SCHEMA_VERSION,
        taken_at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        server_version: format!("{major}.{}", version_num % 10_000),
        mode,
        queries: answers
            .into_iter()
            .map(|answer| captured(answer, &names, (mode, major)))
            .collect(),
    })
}

/// Each query with each set of values. Those of one role and settings stand together: changing them
/// costs a round trip.
fn in_order(queries: &[Query], mode: Mode) -> Vec<(&Query, usize)> {
    let mut queries: Vec<&Query> = queries.iter().collect();
    queries.sort_by_key(|query| (&query.role, &query.settings));
    let sets = |query: &Query| match mode {
        Mode::Generic => 1,
        Mode::Estimate | Mode::Analyze => query.parameters.len().max(1),
    };
    queries.into_iter().flat_map(|query| (0..sets(query)).map(move |set| (query, set))).collect()
}

/// The server's answer, or what is wrong with the query.
fn ask(
    session: &mut Session,
    query: &Query,
    set: usize,
    asking: &Asking,
) -> Result<std::result::Result<Explained, Outcome>> {
    let looked = match look(&query.sql) {
        Ok(looked) => looked,
        Err(refusal) => return Ok(Err(Outcome::Error(refusal.to_string()))),
    };
    if looked.does == Does::Other {
        return Ok(Err(Outcome::Error("EXPLAIN does not take such a statement".to_string())));
    }
    if !query.role.is_empty()
        && let Err(message) = Ident::new(query.role.as_str())
    {
        return Ok(Err(Outcome::Error(format!("role: {message}"))));
    }
    let values = query.parameters.get(set).map_or(0, Vec::len);
    if asking.mode != Mode::Generic && values != looked.parameters {
        let message = format!("it takes {} values, and {values} are given", looked.parameters);
        return Ok(Err(Outcome::Error(message)));
    }
    let failure = match explain::plan(session, query, looked.text, set, asking) {
        Ok(told) => return Ok(Ok(told)),
        Err(failure) => failure,
    };
    match failure.verdict() {
        Verdict::Gone => Err(failure.explain(&format!("cannot plan {}", query.name))),
        Verdict::Cancelled => Ok(Err(Outcome::TimedOut(failure.message))),
        Verdict::Retry | Verdict::Fatal => Ok(Err(Outcome::Error(failure.message))),
    }
}

fn captured(answer: Answer<'_>, names: &Names, (mode, server_major): (Mode, u32)) -> Captured {
    let Answer { query, set, told } = answer;
    let read = |told: Explained| match query_plan::read(&told.json, names) {
        Ok(plan) => Outcome::Plan(Box::new(Capture {
            plan,
            mode,
            server_major,
            statistics: String::new(),
            rival_cost: None,
            samples_ms: told.samples_ms,
        })),
        Err(error) => Outcome::Error(error.message),
    };
    let several = query.parameters.len() > 1 && mode != Mode::Generic;
    Captured {
        query: query.name.clone(),
        set: if several { set + 1 } else { 0 },
        calls: if query.calls > 0.0 { query.calls } else { 1.0 },
        outcome: told.map_or_else(|outcome| outcome, read),
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

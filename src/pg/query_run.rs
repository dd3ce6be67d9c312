//! Runs one query of the application as the application would, and leaves nothing of it behind.

use std::time::{Duration, Instant};

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Result};
use crate::model::ident::{Ident, literal};
use crate::profile::Query;
use crate::sql::query::look;

/// The median of five does not follow a single disturbed run.
const SAMPLES_MAX: usize = 5;
/// What takes so long in all is not repeated any more; its noise is small.
const SAMPLING_LIMIT: Duration = Duration::from_secs(10);

/// What the server made of a statement.
type Outcome<T> = std::result::Result<T, Failure>;

/// What running a query showed.
#[derive(Debug, Clone)]
pub struct Run {
    /// Seen from here, round trip and planning included: one to five, after one that warmed up.
    pub samples: Vec<Duration>,
    /// `EXPLAIN (FORMAT JSON)` of the same statement with the same values.
    pub plan_json: String,
}

/// Runs the query with its first set of parameters, as its role and with its settings, in a
/// transaction that is rolled back.
///
/// Each run is planned for its values, as for a statement that a driver sends only once. Errors
/// name the query.
pub fn run(session: &mut Session, query: &Query) -> Result<Run> {
    let opening = opening(query)?;
    let run = prepare(session, query, &opening).and_then(|()| sample(session, query));
    close(session, query, run)
}

/// Runs the query once, in the same way, under EXPLAIN; returns its plan as JSON, with the rows
/// and buffers of each node.
pub fn explain_analyze(session: &mut Session, query: &Query) -> Result<String> {
    const EXPLAIN: &str = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)";
    let opening = opening(query)?;
    let plan = prepare(session, query, &opening)
        .and_then(|()| session.texts(&format!("{EXPLAIN} {}", execute(query))));
    close(session, query, plan).map(|lines| lines.concat())
}

/// Opens a transaction as the query's role and with its settings.
///
/// Errors are the user's: a role that is no name.
pub fn opening(query: &Query) -> Result<String> {
    let mut sql = "BEGIN".to_string();
    for (name, value) in &query.settings {
        sql += &format!("; SELECT set_config({}, {}, true)", literal(name), literal(value));
    }
    if !query.role.is_empty() {
        let role = Ident::new(&query.role).map_err(Error::usage)?;
        sql += &format!("; SET LOCAL ROLE {role}");
    }
    Ok(sql)
}

/// Prepares the query where it will be planned for its values. A second statement behind it would
/// be run, and one that ends the transaction would not be rolled back.
fn prepare(session: &mut Session, query: &Query, opening: &str) -> Outcome<()> {
    let statement = look(&query.sql).map_err(|why| Failure::not_one_statement(why.to_string()))?;
    session.run(opening)?;
    session.run("SET LOCAL plan_cache_mode = force_custom_plan")?;
    session.run(&format!("PREPARE pgtune_query AS {}", statement.text))
}

/// Leaves nothing behind; errors name the query.
fn close<T>(session: &mut Session, query: &Query, run: Outcome<T>) -> Result<T> {
    session.roll_back();
    // A prepared statement outlives its transaction, and so does an advisory lock, which clients
    // would wait for.
    let end = "DEALLOCATE ALL; SELECT pg_advisory_unlock_all()";
    let run = run.and_then(|run| session.run(end).map(|()| run));
    run.map_err(|failure| failure.explain(&format!("cannot run the query {}", query.name)))
}

fn sample(session: &mut Session, query: &Query) -> Outcome<Run> {
    let execute = execute(query);
    let plan_json = session.texts(&format!("EXPLAIN (FORMAT JSON) {execute}"))?.concat();
    session.run(&execute)?;
    let begin = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < SAMPLES_MAX && (samples.is_empty() || begin.elapsed() < SAMPLING_LIMIT) {
        let begin = Instant::now();
        session.run(&execute)?;
        samples.push(begin.elapsed());
    }
    Ok(Run { samples, plan_json })
}

/// The first set of values, as literals that the server gives their types.
fn execute(query: &Query) -> String {
    let values = query.parameters.first().map_or(&[][..], Vec::as_slice);
    match values {
        [] => "EXECUTE pgtune_query".to_string(),
        values => {
            let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
            format!("EXECUTE pgtune_query({})", values.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_settings_are_quoted_and_local() {
        let query = Query {
            role: "App".to_string(),
            settings: [("app.user".to_string(), "it's".to_string())].into(),
            ..Query::default()
        };
        let expected =
            "BEGIN; SELECT set_config('app.user', 'it''s', true); SET LOCAL ROLE \"App\"";
        assert_eq!(opening(&query).unwrap(), expected);
        assert_eq!(opening(&Query::default()).unwrap(), "BEGIN");
    }

    #[test]
    fn values_are_quoted() {
        let with = |parameters| execute(&Query { parameters, ..Query::default() });
        assert_eq!(with(vec![]), "EXECUTE pgtune_query");
        assert_eq!(with(vec![vec![]]), "EXECUTE pgtune_query");
        let values = vec!["it's".to_string(), "42".to_string()];
        assert_eq!(with(vec![values]), "EXECUTE pgtune_query('it''s', '42')");
    }
}

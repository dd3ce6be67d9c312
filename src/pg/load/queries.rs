//! Runs a profile's queries as the application would, by many clients at once, and rolls back
//! whatever they write.

use std::time::{Duration, Instant};

use super::{Open, Shared, Until, Watch, open_all, seconds, together};
use crate::bench::tally::Tally;
use crate::error::Result;
use crate::pg::failure::{Failure, Verdict};
use crate::pg::query_run;
use crate::pg::session::{Prepared, Session};
use crate::profile::Query;

/// Queries to run.
#[derive(Debug, Clone, Copy)]
pub struct Mix<'a> {
    /// Which.
    pub queries: &'a [Query],
    /// Sessions at work.
    pub clients: u32,
    /// How long.
    pub until: Until,
    /// Queries a second of all clients together; none means as fast as they can.
    pub rate: Option<f64>,
}

/// What the clients saw.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Of each query.
    pub tallies: Vec<Tally>,
    /// How long they were at work, without the warm-up.
    pub elapsed: Duration,
    /// Clients whose connection broke.
    pub lost: u32,
}

/// Runs the queries in turn, each with its sets of parameters in turn, after a round that does not
/// count.
///
/// Each run is a prepared statement in a transaction of its own, as the query's role and with its
/// settings; it is rolled back. A latency is that of the statement alone. With a rate, it counts
/// from the moment when the query was due: what had to wait for a client was late for its user.
///
/// Errors where a client cannot be opened; a query that fails is counted, and the rest goes on.
pub fn run(mix: &Mix<'_>, open: Open<'_>, watch: &mut Watch<'_>) -> Result<Observed> {
    let openings: Result<Vec<String>> = mix.queries.iter().map(query_run::opening).collect();
    let openings = openings?;
    let sessions = open_all(open, mix.clients, watch)?;
    let mut clients: Vec<Client> =
        sessions.into_iter().map(|session| Client::new(session, mix.queries.len())).collect();
    let canceler = |client: &Client| client.session.canceler();

    let warming = Shared::new(Until::Rounds(1));
    let warm = |index: usize, client: &mut Client| client.warm(index, mix, &openings, &warming);
    together(&mut clients, canceler, warm, &warming, watch);

    let shared = Shared::new(mix.until);
    if !warming.is_halted() {
        let work = |index: usize, client: &mut Client| client.work(index, mix, &openings, &shared);
        together(&mut clients, canceler, work, &shared, watch);
    }
    let elapsed = if warming.is_halted() { Duration::ZERO } else { shared.begin.elapsed() };
    let mut observed =
        Observed { tallies: vec![Tally::default(); mix.queries.len()], elapsed, lost: 0 };
    for client in clients {
        observed.lost += u32::from(client.lost);
        for (sum, tally) in observed.tallies.iter_mut().zip(client.tallies) {
            sum.merge(tally);
        }
    }
    Ok(observed)
}

/// A session with what it saw.
struct Client {
    session: Session,
    /// Of each query; prepared when it runs first.
    prepared: Vec<Option<Prepared>>,
    tallies: Vec<Tally>,
    /// Whether a transaction is open.
    is_open: bool,
    /// Whether the connection broke.
    lost: bool,
}

impl Client {
    fn new(session: Session, queries: usize) -> Client {
        let prepared = (0..queries).map(|_| None).collect();
        let tallies = vec![Tally::default(); queries];
        Client { session, prepared, tallies, is_open: false, lost: false }
    }

    /// Runs each query once.
    fn warm(&mut self, index: usize, mix: &Mix<'_>, openings: &[String], shared: &Shared) {
        for step in 0..mix.queries.len() {
            if shared.is_halted() || self.lost {
                return;
            }
            let which = (index + step) % mix.queries.len();
            // What fails will fail again where it counts.
            if let Err(failure) = self.attempt(which, &mix.queries[which], &openings[which], 0) {
                self.lost |= failure.verdict() == Verdict::Gone;
            }
        }
        self.roll_back();
    }

    /// Runs the queries in turn until the time is over. Clients take turns at the rounds, so that
    /// a number of rounds is run exactly, and begin at different queries.
    fn work(&mut self, index: usize, mix: &Mix<'_>, openings: &[String], shared: &Shared) {
        let (clients, count) = (u64::from(mix.clients), mix.queries.len());
        let rounds = match mix.until {
            Until::Elapsed(_) => u64::MAX,
            Until::Rounds(rounds) => rounds,
        };
        let mut round = index as u64;
        let mut turn = index as u64;
        while round < rounds {
            for step in 0..count {
                let due = mix.rate.map(|rate| shared.begin + seconds(turn as f64 / rate));
                if !self.may_begin(due, shared) {
                    self.roll_back();
                    return;
                }
                let which = (index + step) % count;
                self.run_one(which, (mix, openings), (round, due), shared);
                turn += clients;
            }
            round += clients;
        }
        self.roll_back();
    }

    /// Waits for its turn where there is a rate; whether to go on. No transaction waits.
    fn may_begin(&mut self, due: Option<Instant>, shared: &Shared) -> bool {
        if self.lost || shared.is_over() {
            return false;
        }
        match due.filter(|due| *due > Instant::now()) {
            None => true,
            Some(due) => {
                self.roll_back();
                shared.wait_until(due)
            }
        }
    }

    fn run_one(
        &mut self,
        which: usize,
        (mix, openings): (&Mix<'_>, &[String]),
        (round, due): (u64, Option<Instant>),
        shared: &Shared,
    ) {
        let result = self.attempt(which, &mix.queries[which], &openings[which], round);
        let tally = &mut self.tallies[which];
        match result {
            Ok((begin, end, rows)) => tally.succeeded(end - due.unwrap_or(begin), rows),
            Err(failure) if failure.verdict() == Verdict::Cancelled && shared.was_stopped() => {
                return;
            }
            Err(failure) => {
                tally.failed(&failure.code, &failure.message);
                self.lost |= failure.verdict() == Verdict::Gone;
            }
        }
        shared.count(1);
    }

    /// Runs a query in a transaction of its own; when it was sent, when its last row was there, and
    /// how many rows there were. The transaction stays open until the next one begins.
    fn attempt(
        &mut self,
        which: usize,
        query: &Query,
        opening: &str,
        round: u64,
    ) -> std::result::Result<(Instant, Instant, u64), Failure> {
        // One message for both, so that a query costs two round trips and not three.
        let ending = if self.is_open { "ROLLBACK; " } else { "" };
        self.is_open = true;
        self.session.run(&format!("{ending}{opening}"))?;
        if self.prepared[which].is_none() {
            self.prepared[which] = Some(self.session.prepare(&query.sql)?);
        }
        let values = values(query, round);
        let begin = Instant::now();
        let rows = match &self.prepared[which] {
            Some(prepared) => self.session.execute(prepared, &values)?,
            None => 0,
        };
        Ok((begin, Instant::now(), rows))
    }

    fn roll_back(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.session.roll_back();
        }
    }
}

/// The parameters of a round: the sets take turns.
fn values(query: &Query, round: u64) -> Vec<Option<String>> {
    let count = query.parameters.len().max(1) as u64;
    let set = usize::try_from(round % count).unwrap_or(0);
    query.parameters.get(set).into_iter().flatten().cloned().map(Some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_take_turns() {
        let query =
            Query { parameters: vec![vec!["a".into()], vec!["b".into()]], ..Query::default() };
        let first = |round| values(&query, round)[0].clone().unwrap();
        assert_eq!([first(0), first(1), first(2)], ["a", "b", "a"]);
        assert_eq!(values(&Query::default(), 3), Vec::new());
    }
}

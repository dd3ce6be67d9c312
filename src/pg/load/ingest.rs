//! Writes rows into a table, by many clients at once, each statement a transaction of its own; the
//! rows stay. Where the table is for staging, one more session moves them on at intervals.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::types::Type;

use super::rows::Rows;
use super::{Open, Shared, TICK, Until, Watch, open_all, seconds, together};
use crate::bench::ingest::{Durability, Flushes};
use crate::bench::tally::Tally;
use crate::error::{Error, Result};
use crate::model::ident::{Ident, literal, parse_name};
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::{Prepared, Session};
use crate::profile::bench::{Ingest, Shape};

/// How long moving the last rows on may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(300);
/// The protocol counts parameters in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

/// What one run of a way of writing showed.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The statements, with the rows they wrote.
    pub writes: Tally,
    /// The flushes, where there are some.
    pub flushes: Option<Flushes>,
    /// How long it took, until the last row was where it belongs.
    pub elapsed: Duration,
}

/// Asks a session set up for writing what a crash would take.
///
/// Errors where there is no such table.
pub fn durability(open: Open<'_>, ingest: &Ingest) -> Result<Durability> {
    let mut session = open()?;
    let opened = session.run(&set_up(ingest)?);
    let table = table(ingest)?;
    let asked = opened.and_then(|()| {
        session.query(include_str!("../sql/durability.sql"), &[(&table, Type::TEXT)])
    });
    let explain = |failure: Failure| {
        failure.explain(&format!("cannot write \"{}\" into {table}", ingest.name))
    };
    let rows = asked.map_err(explain)?;
    let row = rows.first().ok_or_else(|| Error::usage(format!("there is no table {table}")))?;
    Ok(Durability {
        fsync: row.get(0),
        synchronous_commit: row.get(1),
        wal_writer_delay_ms: row.get::<_, i64>(2).unsigned_abs(),
        unlogged: row.get(3),
    })
}

/// Writes rows for `duration`, so many a second where there is a rate.
///
/// Errors where a client cannot be opened; a statement that fails is counted, and the rest goes on.
/// A latency with a rate counts from the moment when the rows were due.
pub fn run(
    ingest: &Ingest,
    rows: &Rows,
    (duration, rate): (Duration, Option<f64>),
    open: Open<'_>,
    watch: &mut Watch<'_>,
) -> Result<Written> {
    let statement = statement(ingest, rows)?;
    let flushers = u32::from(ingest.shape == Shape::CopyAndFlush);
    let sessions = open_all(open, ingest.clients + flushers, watch)?;
    let mut workers: Vec<Worker> = sessions.into_iter().map(Worker::new).collect();
    let set_up = set_up(ingest)?;
    for worker in &mut workers {
        let ready = worker.session.run(&set_up).map_err(|failure| {
            failure.explain(&format!("cannot set up a session for \"{}\"", ingest.name))
        });
        ready?;
    }
    let job = Job {
        ingest,
        rows,
        statement,
        rate,
        shared: Shared::new(Until::Elapsed(duration)),
        writing: AtomicU64::new(u64::from(ingest.clients)),
    };
    if workers.len() < (ingest.clients + flushers) as usize {
        // Stopped while they were opened.
        return Ok(Written::default());
    }
    let canceler = |worker: &Worker| worker.session.canceler();
    together(&mut workers, canceler, |index, worker| worker.work(index, &job), &job.shared, watch);
    let mut written = Written { elapsed: job.shared.begin.elapsed(), ..Written::default() };
    for worker in workers {
        written.writes.merge(worker.tally);
        written.flushes = written.flushes.or(worker.flushes);
    }
    Ok(written)
}

/// What all workers of a run share.
struct Job<'a> {
    ingest: &'a Ingest,
    rows: &'a Rows,
    statement: String,
    rate: Option<f64>,
    shared: Shared,
    /// Clients that have not ended writing.
    writing: AtomicU64,
}

/// A session that writes, or moves rows on.
struct Worker {
    session: Session,
    tally: Tally,
    flushes: Option<Flushes>,
    /// Whether the connection broke.
    lost: bool,
}

impl Worker {
    fn new(session: Session) -> Worker {
        Worker { session, tally: Tally::default(), flushes: None, lost: false }
    }

    /// The clients write; who comes after them flushes.
    fn work(&mut self, index: usize, job: &Job<'_>) {
        if index < job.ingest.clients as usize {
            self.write(index as u64, job);
            job.writing.fetch_sub(1, Ordering::Release);
        } else {
            self.flushes = Some(self.flush(job));
        }
    }

    /// Writes one statement after the other until the time is over.
    fn write(&mut self, index: u64, job: &Job<'_>) {
        let (batch, clients) = (u64::from(job.ingest.batch()), u64::from(job.ingest.clients));
        let prepared = match job.ingest.shape {
            Shape::Copy | Shape::CopyAndFlush => Ok(None),
            Shape::Insert | Shape::Batch => self.session.prepare(&job.statement).map(Some),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return self.failed(&failure, job),
        };
        let mut number = index;
        while !self.lost && !job.shared.is_over() {
            let first = number * batch;
            let due = job.rate.map(|rate| job.shared.begin + seconds(first as f64 / rate));
            if due.is_some_and(|due| !job.shared.wait_until(due)) {
                return;
            }
            let (begin, result) = self.send(prepared.as_ref(), first..first + batch, job);
            match result {
                Ok(()) => {
                    self.tally.succeeded(due.unwrap_or(begin).elapsed(), batch);
                    job.shared.count(batch);
                }
                Err(failure) => self.failed(&failure, job),
            }
            number += clients;
        }
    }

    /// Sends some rows; when that began, and what came of it.
    fn send(
        &mut self,
        prepared: Option<&Prepared>,
        range: std::ops::Range<u64>,
        job: &Job<'_>,
    ) -> (Instant, Outcome) {
        match prepared {
            Some(prepared) => {
                let values: Vec<_> = range.flat_map(|row| job.rows.values(row)).collect();
                let begin = Instant::now();
                (begin, self.session.execute(prepared, &values).map(drop))
            }
            None => {
                let mut text: Vec<u8> =
                    range.flat_map(|row| job.rows.line(row).iter().copied()).collect();
                let begin = Instant::now();
                let mut sent = false;
                let next = |chunk: &mut Vec<u8>| {
                    std::mem::swap(chunk, &mut text);
                    !std::mem::replace(&mut sent, true)
                };
                (begin, self.session.copy(&job.statement, next))
            }
        }
    }

    fn failed(&mut self, failure: &Failure, job: &Job<'_>) {
        // What was cancelled because the user stopped it is no failure.
        if failure.verdict() != Verdict::Cancelled || !job.shared.was_stopped() {
            self.tally.failed(&failure.code, &failure.message);
        }
        self.lost |= failure.verdict() == Verdict::Gone;
    }

    /// Moves rows on at intervals, and then until none is left.
    fn flush(&mut self, job: &Job<'_>) -> Flushes {
        let (mut flushes, mut moved, mut number) = (Flushes::default(), 0_u64, 0_u32);
        let mut ended: Option<Instant> = None;
        loop {
            let wrote_all = job.writing.load(Ordering::Acquire) == 0;
            let backlog = job.shared.done.load(Ordering::Relaxed).saturating_sub(moved);
            flushes.backlog_greatest = flushes.backlog_greatest.max(backlog);
            if wrote_all && ended.is_none() {
                flushes.backlog_end = backlog;
                ended = Some(Instant::now());
            }
            let begin = Instant::now();
            let result = self.session.texts(&job.ingest.flush).and_then(|told| rows_moved(&told));
            let rows = match result {
                Ok(rows) => {
                    flushes.tally.succeeded(begin.elapsed(), rows);
                    rows
                }
                Err(failure) => {
                    if failure.verdict() != Verdict::Cancelled || !job.shared.was_stopped() {
                        flushes.tally.failed(&failure.code, &failure.message);
                    }
                    0
                }
            };
            moved += rows;
            let since_end = ended.map(|ended| ended.elapsed());
            let over = since_end.is_some_and(|since| rows == 0 || since > DRAIN_LIMIT);
            if over || job.shared.is_halted() {
                flushes.drain_seconds = since_end.map_or(0.0, |since| since.as_secs_f64());
                return flushes;
            }
            number += 1;
            let next = job.shared.begin + job.ingest.flush_every.duration() * number;
            if !job.shared.wait_until(next) && !wrote_all {
                std::thread::sleep(TICK);
            }
        }
    }
}

type Outcome = std::result::Result<(), Failure>;

/// What a flush returned: one number.
fn rows_moved(told: &[String]) -> std::result::Result<u64, Failure> {
    let number = told.first().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        Failure::told(&Error::usage("the flush does not return how many rows it moved"))
    })
}

/// The table's name as SQL.
fn table(ingest: &Ingest) -> Result<String> {
    let parts = parse_name(&ingest.table).filter(|parts| parts.len() <= 2).ok_or_else(|| {
        Error::usage(format!("bench.ingest \"{}\": table: no table's name", ingest.name))
    })?;
    Ok(parts.iter().map(Ident::to_string).collect::<Vec<_>>().join("."))
}

/// Makes a session write as the application does.
fn set_up(ingest: &Ingest) -> Result<String> {
    let mut sql = String::new();
    for (name, value) in &ingest.settings {
        sql += &format!("SELECT set_config({}, {}, false);", literal(name), literal(value));
    }
    if !ingest.role.is_empty() {
        let role = Ident::new(&ingest.role).map_err(Error::usage)?;
        sql += &format!("SET ROLE {role}");
    }
    Ok(sql)
}

/// The statement that writes.
fn statement(ingest: &Ingest, rows: &Rows) -> Result<String> {
    let table = table(ingest)?;
    let columns = rows.columns.iter().map(Ident::to_string).collect::<Vec<_>>().join(", ");
    let width = rows.columns.len();
    match ingest.shape {
        Shape::Copy | Shape::CopyAndFlush => Ok(format!("COPY {table} ({columns}) FROM STDIN")),
        Shape::Insert | Shape::Batch => {
            let batch = ingest.batch() as usize;
            if batch * width > PARAMETERS_MAX {
                let most = PARAMETERS_MAX / width.max(1);
                let name = &ingest.name;
                return Err(Error::usage(format!(
                    "bench.ingest \"{name}\": an INSERT of {batch} rows has too many values"
                ))
                .hint(format!("with {width} columns, batch may be {most} at most")));
            }
            let row = |row: usize| {
                let values = (1..=width).map(|column| format!("${}", row * width + column));
                format!("({})", values.collect::<Vec<_>>().join(", "))
            };
            let values = (0..batch).map(row).collect::<Vec<_>>().join(", ");
            Ok(format!("INSERT INTO {table} ({columns}) VALUES {values}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_columns() -> Rows {
        let columns = ["id", "Name"].map(|name| Ident::new(name).unwrap()).to_vec();
        Rows::of(columns, Vec::new())
    }

    fn of(shape: Shape, batch: u32) -> Ingest {
        Ingest { table: "app.items".to_string(), shape, batch, ..Ingest::default() }
    }

    #[test]
    fn statements_quote_names_and_number_values() {
        let sql = |shape, batch| statement(&of(shape, batch), &two_columns()).unwrap();
        assert_eq!(sql(Shape::Insert, 9), "INSERT INTO app.items (id, \"Name\") VALUES ($1, $2)");
        assert_eq!(
            sql(Shape::Batch, 2),
            "INSERT INTO app.items (id, \"Name\") VALUES ($1, $2), ($3, $4)"
        );
        assert_eq!(sql(Shape::Copy, 2), "COPY app.items (id, \"Name\") FROM STDIN");
        let error = statement(&of(Shape::Batch, 40_000), &two_columns()).unwrap_err();
        assert_eq!(error.hints, ["with 2 columns, batch may be 32767 at most"]);
    }

    #[test]
    fn sessions_are_set_up_as_the_application() {
        let settings = [("synchronous_commit".to_string(), "off".to_string())].into();
        let ingest = Ingest { role: "Writer".to_string(), settings, ..Ingest::default() };
        assert_eq!(
            set_up(&ingest).unwrap(),
            "SELECT set_config('synchronous_commit', 'off', false);SET ROLE \"Writer\""
        );
    }

    #[test]
    fn a_flush_returns_a_number() {
        assert_eq!(rows_moved(&["42".to_string()]), Ok(42));
        assert!(rows_moved(&[]).is_err() && rows_moved(&[String::new()]).is_err());
    }
}

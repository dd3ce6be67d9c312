//! An index on a partitioned table while somebody writes: plain, in one lane, in two.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{self, Run, Samples, median};
use crate::server::PrivateServer;
use crate::table::Row;
use crate::{Bench, connect, migrate, pgtune};

/// The index that everybody builds.
const CREATE_INDEX: &str = "CREATE INDEX readings_value_idx ON readings (value);";
/// The writer's pause between two rows.
const WRITE_PAUSE: Duration = Duration::from_millis(2);

/// The contestants: name, and how many lanes; psql has none.
const BUILDERS: [(&str, Option<&str>); 3] =
    [("plain", None), ("one lane", Some("1")), ("two lanes", Some("2"))];

/// Wall times and the writer's longest stalls of all three.
pub fn lanes(bench: &Bench) -> Vec<Row> {
    let url = bench.durable.database("lanes");
    fill(bench, &url);
    let folder = migrate::folder(1, |_| CREATE_INDEX.to_string());
    let mut runs: [Vec<Run>; 3] = Default::default();
    let mut stalls_ms: [Vec<f64>; 3] = Default::default();
    // A build takes long; three rounds show what they show.
    for _ in 0..bench.sizes.rounds.min(3) {
        for (at, (_, lanes)) in BUILDERS.iter().enumerate() {
            let (run, stall) = build(&url, builder(&bench.durable, &url, folder.path(), *lanes));
            runs[at].push(run);
            stalls_ms[at].push(stall.as_secs_f64() * 1e3);
            take_back(&url);
        }
    }
    let stall = |at: usize| median(&stalls_ms[at]).2;
    let row = |at: usize, floor: usize| {
        let stalls = format!("worst stall {:.0} ms, {:.0} ms", stall(at), stall(floor));
        let size = format!("{} × {} rows", bench.sizes.partitions, bench.sizes.rows);
        Row::new(&format!("index on {size}, {}", BUILDERS[at].0), Samples(runs[at].clone()))
            .floor(BUILDERS[floor].0, Samples(runs[floor].clone()))
            .note(stalls)
    };
    vec![row(1, 0), row(2, 0), row(2, 1).at_most(1.0)]
}

fn fill(bench: &Bench, url: &str) {
    let (partitions, rows) = (bench.sizes.partitions, bench.sizes.rows);
    let mut client = connect(url);
    let parent =
        "CREATE TABLE readings (sensor int, value int, note text) PARTITION BY LIST (sensor)";
    client.batch_execute(parent).unwrap();
    for sensor in 0..partitions {
        let leaf = format!(
            "CREATE TABLE readings_{sensor} PARTITION OF readings FOR VALUES IN ({sensor});
             INSERT INTO readings_{sensor} SELECT {sensor}, hashint4(i), 'as measured'
               FROM generate_series(1, {rows}) i"
        );
        client.batch_execute(&leaf).unwrap();
    }
    client.batch_execute("VACUUM ANALYZE").unwrap();
}

fn builder(server: &PrivateServer, url: &str, folder: &Path, lanes: Option<&str>) -> Command {
    match lanes {
        None => {
            let mut command = server.psql(url);
            command.args(["-c", CREATE_INDEX]);
            command
        }
        Some(lanes) => {
            let mut command = pgtune(folder, &["--url", url, "migrate", "--yes"]);
            command.env("PGTUNE_LIMITS_LANES", lanes);
            command
        }
    }
}

/// Runs a builder under a steady writer; also the writer's longest stall.
fn build(url: &str, mut builder: Command) -> (Run, Duration) {
    connect(url).batch_execute("CHECKPOINT").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(url, &done));
        thread::sleep(WRITE_PAUSE * 10);
        let run = measure::run(&mut builder);
        done.store(true, Ordering::Relaxed);
        (run, writer.join().unwrap())
    })
}

/// Writes a row to one partition after the other until `done`; the longest that one took.
fn write(url: &str, done: &AtomicBool) -> Duration {
    let mut client = connect(url);
    let count = "SELECT count(*)::int4 FROM pg_inherits WHERE inhparent = 'readings'::regclass";
    let partitions: i32 = client.query_one(count, &[]).unwrap().get(0);
    let insert = client.prepare("INSERT INTO readings VALUES ($1, 1, 'while it runs')").unwrap();
    let mut longest = Duration::ZERO;
    for sensor in (0..partitions).cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let begin = Instant::now();
        client.execute(&insert, &[&sensor]).unwrap();
        longest = longest.max(begin.elapsed());
        thread::sleep(WRITE_PAUSE);
    }
    longest
}

/// Removes the index, which must be valid, and every trace of it.
fn take_back(url: &str) {
    let mut client = connect(url);
    let valid = "SELECT bool_and(indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = indrelid \
                 WHERE c.relname LIKE 'readings%'";
    assert!(client.query_one(valid, &[]).unwrap().get::<_, bool>(0));
    let drop = "DROP INDEX readings_value_idx; DROP TABLE IF EXISTS refinery_schema_history;";
    client.batch_execute(drop).unwrap();
}

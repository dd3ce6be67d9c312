//! What `pgtune partitions rotate` costs beside psql that runs the bare statements and beside
//! pg_partman, and how long readers of the same tables wait meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{self, Run, Samples, alternate, median};
use crate::server::PrivateServer;
use crate::table::Row;
use crate::{Bench, connect, pgtune};

/// The day that pgtune plans for.
const DAY: &str = "2026-01-15";
/// The reader's pause between two queries.
const READ_PAUSE: Duration = Duration::from_millis(2);
/// The pause between two looks at the locks.
const WATCH_PAUSE: Duration = Duration::from_millis(1);
/// What a table has besides its name and its key `at`.
const COLUMNS: &str = "(at timestamptz NOT NULL, id bigint NOT NULL, note text, \
                       PRIMARY KEY (id, at)) PARTITION BY RANGE (at)";

/// What does a job, and on what.
struct Contestant {
    name: &'static str,
    /// Statements that make a database ready for the job.
    before: Vec<String>,
    /// Does it.
    command: Box<dyn Fn(&str) -> Command>,
    /// Counts what there is afterwards: the query and its answer.
    after: (String, i64),
}

/// The runs of one contestant, and how long its readers waited.
#[derive(Default)]
struct Seen {
    runs: Vec<Run>,
    /// The longest query of each run that reads one partition, and that reads all.
    stalls_ms: [Vec<f64>; 2],
    /// How long ACCESS EXCLUSIVE was held on a partitioned table, each time of all runs.
    exclusive_ms: Vec<f64>,
}

impl Seen {
    fn stalls(&self) -> String {
        let [pruned, unpruned] = self.stalls_ms.each_ref().map(|stalls| median(stalls).2);
        format!("{pruned:.0}/{unpruned:.0} ms")
    }

    /// The 99th percentile of the times that the table was locked.
    fn exclusive(&self) -> String {
        let mut times = self.exclusive_ms.clone();
        times.sort_by(f64::total_cmp);
        match times.get((times.len() * 99).div_ceil(100).saturating_sub(1)) {
            Some(p99) => format!("{p99:.0} ms ({} times)", times.len()),
            None => "never".to_string(),
        }
    }
}

/// Partitions ahead for several tables that have none.
pub fn create(bench: &Bench) -> Vec<Row> {
    let (tables, months) = (bench.sizes.tables, bench.sizes.months);
    let before: Vec<String> =
        (0..tables).map(|table| format!("CREATE TABLE t{table} {COLUMNS}")).collect();
    let rule = |table| {
        let ahead = months - 1;
        format!("[[partitions]]\ntable = \"t{table}\"\ninterval = \"month\"\nahead = {ahead}\n")
    };
    let count = (tables * months) as i64;
    let after = (
        "SELECT count(*) FROM pg_inherits WHERE inhparent::regclass::text ~ '^t[0-9]+$'
                   AND inhrelid::regclass::text NOT LIKE '%default'"
            .to_string(),
        count,
    );
    let rotate = rotate((0..tables).map(rule).collect());
    let plain = script(bench, &statements(tables, months));
    let mut contestants = vec![
        Contestant {
            name: "pgtune",
            before: before.clone(),
            command: rotate,
            after: after.clone(),
        },
        Contestant { name: "psql", before: before.clone(), command: plain, after: after.clone() },
    ];
    if has_partman(bench) {
        let partman: String = (0..tables)
            .map(|table| create_parent(&format!("t{table}"), "monthly", months - 1, "now()"))
            .collect();
        let before = [with_partman(), before].concat();
        let command = script(bench, &partman);
        contestants.push(Contestant { name: "pg_partman", before, command, after });
    }
    let reads = |table: usize| reads(&format!("t{table}"));
    let seen = contend(bench, &contestants, &(0..tables).map(reads).collect::<Vec<_>>());
    let title = format!("rotate creates {tables} × {months} partitions");
    rows(&title, &contestants, &seen, |row| row.at_most(1.2))
}

/// The bare statements, months from [`DAY`]'s on.
fn statements(tables: usize, months: usize) -> String {
    let first = |month: usize| format!("{}-{:02}-01 00:00+00", 2026 + month / 12, month % 12 + 1);
    let mut sql = String::new();
    for (table, month) in (0..tables).flat_map(|table| (0..months).map(move |m| (table, m))) {
        let name = format!("t{table}_{month}");
        let (from, to) = (first(month), first(month + 1));
        let _ = writeln!(
            sql,
            "CREATE TABLE {name} (LIKE t{table} INCLUDING ALL);\nALTER TABLE t{table} ATTACH \
             PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}');"
        );
    }
    sql
}

/// Half of a table's partitions leave, one by one and many at once.
pub fn drop_expired(bench: &Bench) -> Vec<Row> {
    let days = bench.sizes.days;
    let expired = days / 2;
    let one_by_one: String = (0..expired)
        .map(|day| {
            format!("ALTER TABLE d DETACH PARTITION d_{day} CONCURRENTLY;\nDROP TABLE d_{day};\n")
        })
        .collect();
    let dropped: String = (0..expired).map(|day| format!("DROP TABLE d_{day};\n")).collect();
    let at_once = format!("BEGIN;\n{dropped}COMMIT;\n");
    let left = "SELECT count(*) FROM pg_class WHERE relname ~ '^d_' AND relkind = 'r'
                AND relname NOT LIKE '%default'";
    let after = (left.to_string(), (days - expired) as i64);
    let contestant = |name, command| {
        let (before, after) = (fill(days), after.clone());
        Contestant { name, before, command, after }
    };
    let mut rows_of_all = Vec::new();
    for (detach, psql) in [("concurrently", &one_by_one), ("batched", &at_once)] {
        let rule = format!(
            "{}expiry = \"drop\"\ngrace = \"0\"\ndetach = \"{detach}\"\n",
            daily(days - expired - 1)
        );
        let mut contestants =
            vec![contestant("pgtune", rotate(rule)), contestant("psql", script(bench, psql))];
        // It has one way only.
        if detach == "batched" && has_partman(bench) {
            let command = script(bench, "CALL partman.run_maintenance_proc();\n");
            let before = partman_days(days, expired);
            // Its own clock and its own count: what is left is about half.
            let about = format!(
                "SELECT (({left}) BETWEEN {} AND {})::int::int8",
                days - expired - 2,
                days - expired + 2
            );
            let after = (about, 1);
            contestants.push(Contestant { name: "pg_partman", before, command, after });
        }
        let seen = contend(bench, &contestants, &[reads("d")]);
        let title = format!("rotate drops {expired} of {days} partitions, {detach}");
        let target = |row: Row| match detach {
            "batched" => row.at_most_ms(1e3),
            _ => row.at_most(1.1),
        };
        rows_of_all.extend(rows(&title, &contestants, &seen, target));
    }
    rows_of_all
}

/// Nothing to do for a table with very many partitions.
pub fn nothing(bench: &Bench) -> Vec<Row> {
    let days = bench.sizes.many_days;
    let server = &bench.volatile;
    let url = server.database("nothing");
    let mut client = connect(&url);
    fill(days).iter().for_each(|sql| client.batch_execute(sql).unwrap());
    client.batch_execute("VACUUM ANALYZE").unwrap();
    let rotate = rotate(daily(days));
    let bounds = "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_inherits \
                  JOIN pg_class ON oid = inhrelid WHERE inhparent = 'd'::regclass";
    let (samples, floor) = alternate(
        bench.sizes.rounds,
        || measure::run(&mut rotate(&url)),
        || measure::run(server.psql(&url).args(["-c", bounds])),
    );
    let row = |samples: &Samples, floor: &Samples| {
        let title = format!("rotate has nothing to do, {days} partitions");
        Row::new(&title, Samples(samples.0.clone()))
            .floor("psql, reading the bounds", Samples(floor.0.clone()))
    };
    vec![row(&samples, &floor).at_most(2.0), row(&samples, &floor).at_most_ms(500.0)]
}

/// The rule of the table `d`.
fn daily(retention_days: usize) -> String {
    format!(
        "[[partitions]]\ntable = \"d\"\ninterval = \"day\"\nahead = 0\n\
         retention = \"{retention_days} days\"\n"
    )
}

/// The table `d` with a partition for each of some days, the last for [`DAY`]. Each statement is a
/// transaction, with no more locks than a server has room for.
fn fill(days: usize) -> Vec<String> {
    const AT_ONCE: usize = 500;
    let create = |from: usize| {
        let to = days.min(from + AT_ONCE) - 1;
        format!(
            "DO $$ DECLARE first timestamptz := timestamptz '{DAY} 00:00+00' - {days} * interval \
             '24 hours'; BEGIN SET LOCAL TimeZone = 'UTC'; FOR i IN {from}..{to} LOOP
               EXECUTE format('CREATE TABLE d_%s PARTITION OF d FOR VALUES FROM (%L) TO (%L)', i,
                 first + (i + 1) * interval '24 hours', first + (i + 2) * interval '24 hours');
             END LOOP; END $$"
        )
    };
    let batches = (0..days).step_by(AT_ONCE).map(create);
    std::iter::once(format!("CREATE TABLE d {COLUMNS}")).chain(batches).collect()
}

/// One partition's rows, and a row that may be in any partition.
fn reads(table: &str) -> [String; 2] {
    [
        format!(
            "SELECT count(*) FROM {table} WHERE at >= '{DAY} 06:00+00' AND at < '{DAY} 07:00+00'"
        ),
        format!("SELECT count(*) FROM {table} WHERE id = 1"),
    ]
}

/// `pgtune partitions rotate` by these rules.
fn rotate(rules: String) -> Box<dyn Fn(&str) -> Command> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pgtune.toml"), rules).unwrap();
    Box::new(move |url| {
        let arguments = ["--url", url, "partitions", "rotate", "--yes", "--as-of", DAY];
        let mut command = pgtune(folder.path(), &arguments);
        command.args(["--allow", "detach-partition", "--allow", "drop-partition"]);
        command
    })
}

/// psql with a script, each statement as it comes.
fn script(bench: &Bench, sql: &str) -> Box<dyn Fn(&str) -> Command> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("psql.sql"), sql).unwrap();
    let psql = bench.durable.psql.clone();
    Box::new(move |url| {
        let mut command = PrivateServer::psql_at(&psql, url);
        command.arg("-f").arg(folder.path().join("psql.sql"));
        command
    })
}

/// Lets all take turns, in an order that changes from round to round; rounds take long, and three
/// show what they show.
fn contend(bench: &Bench, contestants: &[Contestant], reads: &[[String; 2]]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = contestants.iter().map(|_| Seen::default()).collect();
    for round in 0..bench.sizes.rounds.min(3) {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            let (run, stalls, exclusive) = once(&bench.durable, &contestants[at], reads);
            seen[at].runs.push(run);
            seen[at].exclusive_ms.extend(exclusive.iter().map(|held| held.as_secs_f64() * 1e3));
            for (kind, stall) in stalls.iter().enumerate() {
                seen[at].stalls_ms[kind].push(stall.as_secs_f64() * 1e3);
            }
        }
    }
    seen
}

/// One run on a database of its own.
fn once(
    server: &PrivateServer,
    contestant: &Contestant,
    reads: &[[String; 2]],
) -> (Run, [Duration; 2], Vec<Duration>) {
    let url = server.database("rotate");
    let mut client = connect(&url);
    contestant.before.iter().for_each(|sql| client.batch_execute(sql).unwrap());
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(statement).unwrap();
    }
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&url, reads, &done));
        let watcher = scope.spawn(|| watch(&url, &done));
        thread::sleep(READ_PAUSE * 50);
        let run = measure::run(&mut (contestant.command)(&url));
        done.store(true, Ordering::Relaxed);
        (run, reader.join().unwrap(), watcher.join().unwrap())
    });
    let (query, expected) = &contestant.after;
    let count: i64 = client.query_one(query, &[]).unwrap().get(0);
    assert_eq!(count, *expected, "{}", contestant.name);
    drop(client);
    server.drop_database(&url);
    seen
}

/// Reads one table after the other until `done`; the longest that each kind of query took.
fn read(url: &str, reads: &[[String; 2]], done: &AtomicBool) -> [Duration; 2] {
    let mut client = connect(url);
    let mut longest = [Duration::ZERO; 2];
    for queries in reads.iter().cycle() {
        for (query, longest) in queries.iter().zip(&mut longest) {
            let begin = Instant::now();
            client.simple_query(query).unwrap();
            *longest = begin.elapsed().max(*longest);
        }
        if done.load(Ordering::Relaxed) {
            return longest;
        }
        thread::sleep(READ_PAUSE);
    }
    longest
}

/// How long each ACCESS EXCLUSIVE lock on a partitioned table was held, until `done`: from the last
/// look that did not see it to the first that sees it no more.
fn watch(url: &str, done: &AtomicBool) -> Vec<Duration> {
    let mut client = connect(url);
    let held = "SELECT DISTINCT l.virtualtransaction FROM pg_locks l JOIN pg_class c ON c.oid = \
                l.relation WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND c.relkind = 'p'";
    let held = client.prepare(held).unwrap();
    let (mut since, mut times) = (BTreeMap::<String, Instant>::new(), Vec::new());
    let mut last = Instant::now();
    while !done.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let rows = client.query(&held, &[]).unwrap();
        let now: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        since.retain(|holder, since| {
            let goes_on = now.contains(holder);
            if !goes_on {
                times.push(begin - *since);
            }
            goes_on
        });
        for holder in now {
            since.entry(holder).or_insert(last);
        }
        last = begin;
        thread::sleep(WATCH_PAUSE);
    }
    times
}

/// pgtune beside each of the others; the first comparison is the one with a target.
fn rows(
    title: &str,
    contestants: &[Contestant],
    seen: &[Seen],
    target: impl Fn(Row) -> Row,
) -> Vec<Row> {
    let row = |at: usize| {
        let note = format!(
            "worst read {}, {}; ACCESS EXCLUSIVE on the table, p99: {}, {}",
            seen[0].stalls(),
            seen[at].stalls(),
            seen[0].exclusive(),
            seen[at].exclusive()
        );
        let floor = Samples(seen[at].runs.clone());
        let row = Row::new(title, Samples(seen[0].runs.clone())).floor(contestants[at].name, floor);
        let row = row.note(note);
        if at == 1 { target(row) } else { row }
    };
    (1..contestants.len()).map(row).collect()
}

/// Whether the server has pg_partman to offer; says so where it has not.
fn has_partman(bench: &Bench) -> bool {
    let query = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_partman'";
    let mut client = connect(&bench.durable.url("postgres"));
    let is_there = client.query_one(query, &[]).unwrap().get::<_, i64>(0) > 0;
    if !is_there {
        println!("==== SKIPPED: no pg_partman beside it, which the server does not have ====");
    }
    is_there
}

fn with_partman() -> Vec<String> {
    vec!["CREATE SCHEMA partman".to_string(), "CREATE EXTENSION pg_partman SCHEMA partman".into()]
}

/// Puts a table under pg_partman's care, which makes its partitions from a time on.
fn create_parent(table: &str, interval: &str, premake: usize, from: &str) -> String {
    format!(
        "SELECT partman.create_parent('public.{table}', 'at', 'native', '{interval}', \
         p_premake := {premake}, p_start_partition := ({from})::text);\n"
    )
}

/// The table `d` as pg_partman keeps it, with half of its days too old.
fn partman_days(days: usize, expired: usize) -> Vec<String> {
    let from = format!("now() - {} * interval '1 day'", days - 1);
    let retention = days - expired - 1;
    let this = [
        format!("CREATE TABLE d {COLUMNS}"),
        create_parent("d", "daily", 1, &from),
        format!(
            "UPDATE partman.part_config SET retention = '{retention} days', \
             retention_keep_table = false"
        ),
    ];
    [with_partman(), this.to_vec()].concat()
}

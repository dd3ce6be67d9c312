//! Other sessions in the way: short tries, the blocker named, nobody stalled longer than the lock
//! budget; partitions that come meanwhile; broken leaf indexes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::Client;

use crate::oracle::same;
use crate::project::{
    Migration, Project, check_clean, count, dump, eventually_some, invalid_indexes, run_plainly,
};
use crate::support::Database;

const TABLE: &str = "create table t (a int)";
const COLUMN: &[Migration<'static>] = &[("V1__column", &["alter table t add column b int"])];
const PARTITIONED: &[&str] = &[
    "create table p (a int, b int) partition by list (a)",
    "create table p_1 partition of p for values in (1)",
    "create table p_2 partition of p for values in (2)",
    "insert into p select i % 2 + 1, i from generate_series(1, 100) i",
];
const INDEX: &[Migration<'static>] = &[("V1__index", &["create index on p (b)"])];

/// A session that has read a table and not ended its transaction.
fn reader(database: &Database, table: &str) -> Client {
    let mut client = database.connect();
    client.batch_execute("set application_name = 'a reader'; begin").unwrap();
    client.batch_execute(&format!("select * from {table} limit 1")).unwrap();
    client
}

/// Ends the other threads of a test, also when it fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Repeats `work` until `stop`; the longest time it took.
fn worst(stop: &AtomicBool, mut work: impl FnMut()) -> Duration {
    let mut worst = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        work();
        worst = worst.max(begin.elapsed());
    }
    worst
}

#[test]
fn a_blocked_alter_table_lets_others_pass() {
    let Some(database) = Database::create("blocked_alter") else { return };
    run_plainly(&database.url, &[TABLE]);
    let mut holder = reader(&database, "t");
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
    let project = Project::with(&database.url, COLUMN).variable("PGTUNE_LIMITS_LOCK_BUDGET", "1s");
    let stop = AtomicBool::new(false);
    let stall = std::thread::scope(|scope| {
        let stopping = Stopping(&stop);
        let mut other = database.connect();
        let read = move || other.batch_execute("select count(*) from t").unwrap();
        let others = scope.spawn(|| worst(&stop, read));
        let run = project.start();
        run.says("retrying V1__column (line 1) in ");
        run.says(&format!("for pid {pid} (a reader, "));
        run.says("): select pg_backend_pid()");
        run.says("(tried 5 times: canceling statement due to lock timeout)");
        holder.batch_execute("commit").unwrap();
        let outcome = run.finish();
        drop(stopping);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        others.join().unwrap()
    });
    // The tries queue for up to 1 s; a busy machine adds its own.
    assert!(stall < Duration::from_millis(1_500), "a reader was stalled for {stall:?}");
    assert!(stall > Duration::from_millis(50), "nothing was in the way for {stall:?}");
    check_clean(&database.url, COLUMN);
}

#[test]
fn the_deadline_leaves_nothing_half_done() {
    let Some(database) = Database::create("deadline") else { return };
    run_plainly(&database.url, &[TABLE]);
    let before = dump(&database.url);
    let mut holder = reader(&database, "t");
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
    let statements = ["create table u (a int)", "alter table t add column b int"];
    let project = Project::with(&database.url, &[("V1__two", &statements)])
        .variable("PGTUNE_LIMITS_LOCK_BUDGET", "1s")
        .variable("PGTUNE_LIMITS_LOCK_DEADLINE", "6s");
    let outcome = project.migrate(&["--yes"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let error = outcome.stderr.split("error:").nth(1).unwrap();
    assert!(error.contains("V1__two, line 2"), "{error}");
    assert!(error.contains("this transaction was rolled back"), "{error}");
    assert!(error.contains(&format!("pid {pid} (a reader")), "{error}");
    assert_eq!(dump(&database.url), before);
    holder.batch_execute("commit").unwrap();
    project.apply();
    check_clean(&database.url, &[("V1__two", &statements)]);
}

#[test]
fn what_is_committed_is_not_repeated() {
    let Some(database) = Database::create("not_repeated") else { return };
    run_plainly(&database.url, &[TABLE, "create type mood as enum ('ok')"]);
    let statements = [
        "insert into t values (1)",
        "alter type mood add value 'odd'",
        "insert into t values (2)",
        "alter table t add column b int",
    ];
    let mut holder = reader(&database, "t");
    let project = Project::with(&database.url, &[("V1__rows", &statements)]);
    let run = project.start();
    run.says("(tried 2 times: canceling statement due to lock timeout)");
    holder.batch_execute("commit").unwrap();
    assert_eq!(run.finish().code, Some(0));
    assert_eq!(count(&mut holder, "select sum(a) from t"), 3);
    check_clean(&database.url, &[("V1__rows", &statements)]);
}

#[test]
fn a_dumps_header_does_not_lift_the_budget() {
    let Some(database) = Database::create("dump_header") else { return };
    run_plainly(&database.url, &[TABLE]);
    let statements = ["set lock_timeout = 0", "alter table t add column b int"];
    let migrations: &[Migration<'_>] = &[("V1__dump", &statements)];
    let mut holder = reader(&database, "t");
    let project = Project::with(&database.url, migrations);
    let run = project.start();
    run.says("retrying V1__dump (2 statements) in ");
    holder.batch_execute("commit").unwrap();
    assert_eq!(run.finish().code, Some(0));
    check_clean(&database.url, migrations);
}

#[test]
fn a_watchdog_that_lost_its_session_takes_another() {
    let Some(database) = Database::create("watchdog") else { return };
    run_plainly(&database.url, &[TABLE]);
    let mut holder = database.connect();
    holder.batch_execute("begin; insert into t values (1)").unwrap();
    let statements: &[&str] = &["create index i on t (a)"];
    let project = Project::with(&database.url, &[("V1__index", statements)])
        .variable("PGTUNE_LIMITS_BUILD_WAIT", "4s");
    let run = project.start();
    run.says("waiting  build index i on public.t for pid ");
    let mut looker = database.connect();
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'pgtune run'
           and state = 'idle'";
    eventually_some(&mut looker, "the watcher is ended", ended);
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("waited longer than 4s"), "{outcome:?}");
}

#[test]
fn vacuum_full_lets_others_pass() {
    let Some(database) = Database::create("vacuum_full") else { return };
    run_plainly(&database.url, &[TABLE]);
    let migrations: &[Migration<'_>] = &[("V1__vacuum", &["vacuum full t"])];
    let mut holder = reader(&database, "t");
    let project = Project::with(&database.url, migrations);
    let run = project.start();
    run.says("retrying V1__vacuum (line 1) in ");
    holder.batch_execute("commit").unwrap();
    assert_eq!(run.finish().code, Some(0));
    check_clean(&database.url, migrations);
}

#[test]
fn a_partition_created_meanwhile_is_indexed() {
    for partition in [
        "create table p_3 partition of p for values in (3)",
        "create table p_3 partition of p for values in (3, 4) partition by list (a);
         create table p_3_a partition of p_3 for values in (3)",
        "create table p_3 (a int, b int); alter table p attach partition p_3 for values in (3)",
    ] {
        let Some(database) = Database::create("created_meanwhile") else { return };
        run_plainly(&database.url, PARTITIONED);
        let mut holder = database.connect();
        // Its snapshot stops the builds, and no lock of it stops the new partition.
        holder.batch_execute("begin isolation level repeatable read; select 1").unwrap();
        let project = Project::with(&database.url, INDEX);
        let run = project.start();
        let waits = "select count(*) from pg_stat_progress_create_index p
             join pg_stat_activity a using (pid)
             where a.datname = current_database() and p.phase like 'waiting%'";
        eventually_some(&mut database.connect(), "a build waits", waits);
        run_plainly(&database.url, &[partition]);
        holder.batch_execute("commit").unwrap();
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        check_clean(&database.url, INDEX);
        let unindexed = "select count(*) from pg_partition_tree('p') tree
             where not exists (select from pg_index i where i.indrelid = tree.relid)";
        assert_eq!(count(&mut holder, unindexed), 0, "{partition}");
    }
}

#[test]
fn an_invalid_attached_leaf_is_repaired() {
    let Some(database) = Database::create("invalid_leaf") else { return };
    let mut client = database.connect();
    run_plainly(&database.url, PARTITIONED);
    run_plainly(
        &database.url,
        &[
            "insert into p values (1, 1), (1, 1)",
            "create index p_b_idx on only p (b)",
            "create index p_2_b_idx on p_2 (b)",
        ],
    );
    // A build that was cancelled while it waited for a writer leaves its index invalid.
    let mut holder = database.connect();
    holder.batch_execute("begin; insert into p_1 values (1, 1)").unwrap();
    client.batch_execute("set lock_timeout = '50ms'").unwrap();
    let build = "create index concurrently p_1_b_idx on p_1 (b)";
    assert!(client.batch_execute(build).is_err());
    holder.batch_execute("commit").unwrap();
    run_plainly(
        &database.url,
        &[
            "alter index p_b_idx attach partition p_1_b_idx",
            "alter index p_b_idx attach partition p_2_b_idx",
        ],
    );
    assert_eq!(invalid_indexes(&mut client), ["p_1_b_idx", "p_b_idx"]);
    let index: Migration<'_> = ("V1__index", &["create index if not exists p_b_idx on p (b)"]);
    let project = Project::with(&database.url, &[index]);
    let outcome = project.apply();
    assert!(outcome.stderr.contains("rebuild index public.p_1_b_idx"), "{outcome:?}");
    check_clean(&database.url, &[index]);
    let plain = Database::create("invalid_leaf").unwrap();
    run_plainly(&plain.url, PARTITIONED);
    run_plainly(&plain.url, index.1);
    same(&dump(&database.url), &dump(&plain.url));
}

#[test]
fn a_unique_violation_is_reported_and_cleaned_up() {
    let Some(database) = Database::create("unique_violation") else { return };
    run_plainly(&database.url, PARTITIONED);
    run_plainly(&database.url, &["insert into p values (2, 7), (2, 7)"]);
    let index: Migration<'_> = ("V1__unique", &["create unique index on p (b, a)"]);
    let project = Project::with(&database.url, &[index]);
    let outcome = project.migrate(&["--yes"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("Key (b, a)=(7, 2) is duplicated"), "{outcome:?}");
    let mut client = database.connect();
    // The parent alone is invalid, as it is until all leaves are there.
    assert_eq!(invalid_indexes(&mut client), ["p_b_a_idx"]);
    run_plainly(&database.url, &["delete from p where b = 7"]);
    project.apply();
    check_clean(&database.url, &[index]);
}

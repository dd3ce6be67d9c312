//! Many at once: fifty runners on one database, and a writer beside an index build.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::project::{Migration, Project, Run, check_clean, run_plainly};
use crate::support::{Database, connect, say};

#[test]
fn fifty_runners_apply_each_migration_once() {
    let Some(database) = Database::create("fifty") else { return };
    let migrations: &[Migration<'_>] = &[
        (
            "V1__table",
            &[
                "create table p (a int, b int) partition by list (a)",
                "create table p_1 partition of p for values in (1)",
                "create table p_2 partition of p for values in (2)",
            ],
        ),
        ("V2__index", &["create index on p (b)", "create table once (a int)"]),
        ("V3__plain", &["create index concurrently on once (a)"]),
    ];
    let project = Project::with(&database.url, migrations);
    let runs: Vec<Run> = (0..50).map(|_| project.start()).collect();
    let outcomes: Vec<_> = runs.into_iter().map(Run::finish).collect();
    let mut applied = 0;
    for outcome in &outcomes {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let nothing = outcome.stdout.starts_with("nothing to do: 3 migrations are applied");
        applied += usize::from(!nothing);
        assert!(nothing || outcome.stdout.starts_with("3 migrations applied"), "{outcome:?}");
    }
    assert_eq!(applied, 1);
    check_clean(&database.url, migrations);
}

/// Writes rows one by one until `stop`; the longest time one took.
fn write(url: &str, stop: &AtomicBool) -> Duration {
    let mut client = connect(url);
    let insert = client.prepare("insert into p values ($1, $1)").unwrap();
    let (mut worst, mut row) = (Duration::ZERO, 0_i32);
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        client.execute(&insert, &[&row]).unwrap();
        worst = worst.max(begin.elapsed());
        row += 1;
    }
    worst
}

/// How long a writer was stalled at worst while `work` went on.
fn stall_during(url: &str, work: impl FnOnce()) -> Duration {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(url, &stop));
        work();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    })
}

#[test]
fn a_writer_is_not_stalled_by_an_index() {
    let Some(database) = Database::create("promise") else { return };
    run_plainly(
        &database.url,
        &[
            "create table p (a int, b int) partition by hash (a)",
            "do $$ begin for i in 0..23 loop execute format('create table p_%s partition of p
           for values with (modulus 24, remainder %s)', i, i); end loop; end $$",
            "insert into p select i, i from generate_series(1, 24 * 20000) i",
        ],
    );
    let migrations: &[Migration<'_>] = &[("V1__index", &["create index on p (b)"])];
    let project = Project::with(&database.url, migrations);
    let online = stall_during(&database.url, || drop(project.apply()));
    let plainly = ["create index on p (b, a)"];
    let plain = stall_during(&database.url, || run_plainly(&database.url, &plainly));
    say(&format!("worst stall of a writer: online {online:?}, plain CREATE INDEX {plain:?}"));
    assert!(online < Duration::from_secs(2), "the writer was stalled for {online:?}");
    check_clean(&database.url, migrations);
}

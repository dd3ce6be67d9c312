//! Death at every event of a rotation: no row that is kept is lost, nothing is left half-done, and
//! the next run leads to what an undisturbed one leads to.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Kept, check_tidy, rotation};
use crate::oracle::same;
use crate::project::run_plainly;
use crate::support::{Database, say};

/// How many sweeps go on side by side.
const LANES: u32 = 3;
/// One that never survives must not run for ever.
const EVENTS_MAX: u32 = 400;

const BEFORE: &[&str] = &[
    "create table app (id int primary key)",
    "insert into app values (1), (2)",
    "create table ev (at timestamptz not null, v int references app, primary key (at))
       partition by range (at)",
    "create table free (at date not null) partition by range (at)",
    "create table dd (at timestamptz not null, v int not null) partition by range (at)",
    "create table dd_rest partition of dd default",
    "create index on dd (v)",
    "do $$ declare first timestamptz := '2025-10-01 00:00+00'; month text; begin
       set local timezone = 'UTC';
       for i in 0..5 loop
         for month in select to_char(first + i * interval '1 month', 'YYYY_MM') loop
           execute format('create table ev_%s partition of ev for values from (%L) to (%L)',
             month, first + i * interval '1 month', first + (i + 1) * interval '1 month');
           execute format('create table dd_%s partition of dd for values from (%L) to (%L)',
             month, first + i * interval '1 month', first + (i + 1) * interval '1 month');
           execute format('create table free_%s partition of free for values from (%L) to (%L)',
             month, (first + i * interval '1 month')::date,
             (first + (i + 1) * interval '1 month')::date);
         end loop;
       end loop;
     end $$",
    "insert into ev select d, 1 from generate_series(
       timestamptz '2025-10-01 12:00+00', '2026-03-30 12:00+00', '1 day') d",
    "insert into dd select at, v from ev",
    "insert into free select at::date from ev",
    "insert into dd values ('2019-01-01', 1), ('2039-01-01', 2)",
];
const RULES: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n\
    retention = \"2 months\"\nexpiry = \"drop\"\n\
    [[partitions]]\ntable = \"dd\"\ninterval = \"month\"\nahead = 2\n\
    retention = \"2 months\"\nexpiry = \"drop\"\nhash = { columns = [\"v\"], modulus = 2 }\n\
    [[partitions]]\ntable = \"free\"\ninterval = \"month\"\nahead = 0\n\
    retention = \"2 months\"\nexpiry = \"drop\"\n";
const FIRST: &str = "2026-02-15";
const NOW: &str = "2026-03-15";

/// What must come out: the schema, the ledger and the rows.
fn state(kept: &Kept) -> String {
    let ledger = kept.texts(
        "select concat_ws(' ', partition, parent, bound, detached_at is not null,
           dropped_at is not null) from pgtune_state.partition_ledger order by 1",
        &[],
    );
    [kept.described(), ledger.join("\n"), rows(kept)].join("\n")
}

/// The rows that no rule takes away.
fn rows(kept: &Kept) -> String {
    let query = "select concat_ws(' ', (select count(*) from ev where at >= '2026-01-01 00:00+00'),
       (select count(*) from dd where at >= '2026-01-01 00:00+00' or at < '2020-01-01'),
       (select count(*) from free where at >= '2026-01-01'), (select count(*) from app))";
    kept.texts(query, &[]).remove(0)
}

/// Dies at one event of a run on a fresh database, runs again, and compares; whether it died.
fn dies_at(event: u32, template: &Database, expected: &str, kept_rows: &str) -> bool {
    let kept = Kept::at(template.copy(), RULES);
    let mut command = kept.project.command(&rotation(NOW));
    let died = command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&died.stderr).into_owned();
    assert!(died.status.code().is_none_or(|code| code == 0), "event {event}: {said}");
    assert_eq!(rows(&kept), kept_rows, "event {event}");
    let said = kept.rotate(NOW);
    same(&state(&kept), expected);
    let unknown = "select count(*) from pg_class where relispartition and relkind = 'r'
        and reltuples < 0 and relname ~ '2026_0[3-5]'";
    assert_eq!(kept.count(unknown), 0, "event {event}: never analyzed");
    check_tidy(&mut kept.connect());
    assert!(kept.rotate(NOW).stdout.starts_with("nothing to do"), "event {event}: {said}");
    kept.database.drop();
    !died.status.success()
}

#[test]
fn a_rotation_that_dies_anywhere_is_completed_by_the_next() {
    let Some(template) = Database::create("sweep_partitions") else { return };
    run_plainly(&template.url, BEFORE);
    let template = Kept::at(template, RULES);
    // October and November have left, and their grace is over when December leaves.
    template.rotate(FIRST);
    template.sql("update pgtune_state.partition_ledger set detached_at = '2026-02-15'");
    let kept_rows = rows(&template);
    let expected = {
        let kept = Kept::at(template.database.copy(), RULES);
        let said = kept.rotate(NOW);
        for word in ["prove that", "create ", "DETACH PARTITION", "DROP TABLE", "CONCURRENTLY"] {
            assert!(said.stderr.contains(word), "{word}: {said}");
        }
        assert_eq!(rows(&kept), kept_rows);
        // Two months of each table are dropped, and one is detached.
        let ledger = "select count(detached_at) * 100 + count(dropped_at)
            from pgtune_state.partition_ledger";
        assert_eq!(kept.count(ledger), 906);
        state(&kept)
    };
    let (next, survived_at) = (AtomicU32::new(1), AtomicU32::new(u32::MAX));
    let lane = || {
        loop {
            let event = next.fetch_add(1, Ordering::Relaxed);
            if event > survived_at.load(Ordering::Relaxed) {
                return;
            }
            assert!(event <= EVENTS_MAX, "event {event}, and it still dies");
            if !dies_at(event, &template.database, &expected, &kept_rows) {
                survived_at.fetch_min(event, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let events = survived_at.load(Ordering::Relaxed) - 1;
    assert!(events > 40, "only {events} events");
    say(&format!("sweep_partitions: died at each of {events} events"));
}

//! The ways out where rows sit in a large DEFAULT partition: on real data, with a writer and a
//! reader at work throughout, and with death at every event.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::Client;

use super::stalls::BUDGET;
use super::{Kept, check_tidy, rotation};
use crate::oracle::same;
use crate::project::count;
use crate::support::{connect, say, server};

/// A table with all that hangs on one: a foreign key, triggers, indexes, generated columns.
const TABLE: &str = "
    create table app (id int primary key);
    insert into app select generate_series(0, 9);
    create table ev (id bigint not null, at timestamptz not null, v int not null references app,
        note text, twice int generated always as (v * 2) stored, primary key (id, at))
      partition by range (at);
    create index on ev (v);
    create index on ev (at);
    create table fired (what text);
    create function count_it() returns trigger language plpgsql as
      $$ begin insert into fired values (tg_op); return null; end $$;
    create table ev_d partition of ev default;
    alter table ev_d alter note set storage plain, set (fillfactor = 90);
";
const TRIGGER: &str = "create trigger counted after insert or update or delete on ev
    for each row execute function count_it()";
const RULE: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";
const NOW: &str = "2026-03-15T12:00:00Z";
/// The rows that nobody changes; the table is larger than what is moved under lock.
const ROWS: &str = "insert into ev select i, timestamptz '2026-01-10 00:00+00'
    + i * interval '10 minutes', i % 10, repeat('x', 1500) from generate_series(1, 8000) i";

/// What the rows that nobody changes come to.
const OLD_ROWS: &str = "select count(*) || ' ' || md5(string_agg(ev::text, ' ' order by id))
    from ev where id <= 100000";

fn old_rows(kept: &Kept) -> String {
    kept.texts(OLD_ROWS, &[]).remove(0)
}

/// Inserts a row, changes it, and deletes each other one; the longest statement.
fn write(url: &str, stop: &AtomicBool) -> (Duration, usize) {
    let mut client = connect(url);
    let (mut worst, mut id) = (Duration::ZERO, 1_000_000_i64);
    let mut timed = |client: &mut Client, sql: &str, id: i64| {
        let begin = Instant::now();
        assert_eq!(client.execute(sql, &[&id]).unwrap(), 1, "{sql}");
        worst = worst.max(begin.elapsed());
    };
    while !stop.load(Ordering::Relaxed) {
        let at = "timestamptz '2026-03-15 12:00+00' + $1::int8 * interval '1 us'";
        timed(&mut client, &format!("insert into ev values ($1, {at}, 1, 'new')"), id);
        timed(&mut client, "update ev set note = 'changed' where id = $1", id);
        timed(&mut client, "update ev set v = 2 where id = 200000 + $1::int8 % 20000", id);
        if id % 2 == 0 {
            timed(&mut client, "delete from ev where id = $1", id);
        }
        id += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    (worst, usize::try_from(id - 1_000_000).unwrap())
}

/// Counts the rows that nobody changes: all of them are seen at any time.
fn read(url: &str, stop: &AtomicBool, expected: i64) -> (Duration, usize) {
    let mut client = connect(url);
    let (mut worst, mut reads) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let seen = count(&mut client, "select count(*) from ev where id <= 100000");
        worst = worst.max(begin.elapsed());
        assert_eq!(seen, expected, "rows are out of sight");
        reads += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    (worst, reads)
}

/// Inserts a row and what it points at, and deletes both, each in a transaction.
fn come_and_go(url: &str, stop: &AtomicBool) -> (Duration, usize) {
    let mut client = connect(url);
    let (mut worst, mut id) = (Duration::ZERO, 2_000_000);
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let sql = format!(
            "begin; insert into app values ({id});
             insert into ev values ({id}, '2026-03-15 13:00+00', {id}); commit;
             begin; delete from ev where id = {id}; delete from app where id = {id}; commit"
        );
        client.batch_execute(&sql).unwrap();
        worst = worst.max(begin.elapsed());
        id += 1;
        std::thread::sleep(Duration::from_millis(3));
    }
    (worst, id - 2_000_000)
}

/// Rotates while writers and a reader are at work; how often these wrote.
fn rotate_in_traffic(kept: &Kept, name: &str) -> (usize, usize) {
    in_traffic(kept, name, || kept.rotate(NOW))
}

/// Does something while writers and a reader are at work; how often these wrote.
fn in_traffic<T: Send>(kept: &Kept, name: &str, work: impl FnOnce() -> T) -> (usize, usize) {
    // Rows that the writer changes: they are there before.
    kept.sql(
        "insert into ev select 200000 + i, timestamptz '2026-03-01 00:00+00', 1, 'busy'
           from generate_series(0, 19999) i",
    );
    let url = &kept.database.url;
    let expected = kept.count("select count(*) from ev where id <= 100000");
    kept.sql("delete from fired");
    let stop = AtomicBool::new(false);
    let (writer, comer, reader, elapsed) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(url, &stop));
        let comer = scope.spawn(|| come_and_go(url, &stop));
        let reader = scope.spawn(|| read(url, &stop, expected));
        let begin = Instant::now();
        // The others must stop, also where it fails.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let elapsed = begin.elapsed();
        stop.store(true, Ordering::Relaxed);
        let felt = (writer.join().unwrap(), comer.join().unwrap(), reader.join().unwrap());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (felt.0, felt.1, felt.2, elapsed)
    });
    say(&format!(
        "{name} on {} in {elapsed:.1?}: worst stall of a writer {:.1?} ({} rows), of one that \
         comes and goes {:.1?} ({} times), of a reader {:.1?} ({} queries)",
        server().unwrap().major,
        writer.0,
        writer.1,
        comer.0,
        comer.1,
        reader.0,
        reader.1
    ));
    assert!(writer.1 > 5 && comer.1 > 2 && reader.1 > 2, "they were at work");
    for (worst, _) in [writer, comer, reader] {
        assert!(worst < BUDGET, "{name}: {worst:?}");
    }
    (writer.1, comer.1)
}

/// What the writers wrote is there, and triggers fired for it alone.
fn check_written(kept: &Kept, (writes, came): (usize, usize)) {
    let deleted = writes.div_ceil(2);
    assert_eq!(kept.count("select count(*) from app where id > 9"), 0);
    let expected = format!("{} {} {}", writes - deleted, writes.min(20_000), 20_000);
    let query = "select concat_ws(' ', count(*) filter (where id >= 1000000 and note = 'changed'),
        count(*) filter (where note = 'busy' and v = 2), count(*) filter (where note = 'busy'))
        from ev";
    assert_eq!(kept.texts(query, &[]), [expected]);
    let fired = kept.count("select count(*) from fired");
    assert_eq!(fired, (writes * 3 + deleted + came * 2) as i64, "triggers fire once a change");
}

/// What the server's log says about tables that were read under a lock.
fn logged(text: &str) -> usize {
    let log = std::fs::read_to_string(server().unwrap().folder.join("log")).unwrap();
    log.matches(text).count()
}

/// Lets the log say what was proven, and what was read.
fn say_what_is_proven(kept: &Kept) {
    kept.sql(
        "do $$ begin execute format('alter database %I set log_min_messages = debug1',
           current_database()); end $$",
    );
}

#[test]
fn a_large_default_whose_rows_fit_one_range_becomes_its_partition() {
    let Some(kept) = Kept::new("promote", &[TABLE, ROWS, TRIGGER], RULE) else { return };
    let (before, oid) = (old_rows(&kept), kept.texts("select 'ev_d'::regclass::oid::text", &[]));
    let shown = kept.run(&format!("rotate --dry-run --as-of {NOW}"));
    shown.expect(0, &[]);
    for text in
        ["MB; its rows lie in one free range", "none of them moves", "becomes public.ev_2026_01"]
    {
        assert!(shown.stdout.contains(text), "{text}: {shown}");
    }
    say_what_is_proven(&kept);
    let implied =
        "partition constraint for table \"ev_2026_01\" is implied by existing constraints";
    let verified = "verifying table \"ev_2026_01\"";
    let (implied_before, verified_before) = (logged(implied), logged(verified));
    let writes = rotate_in_traffic(&kept, "promote");
    assert_eq!(logged(implied), implied_before + 1);
    assert_eq!(logged(verified), verified_before, "it is read under lock");
    assert_eq!(
        kept.partitions("ev"),
        [
            "ev_2026_01 FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')",
            "ev_2026_04 FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00')",
            "ev_d DEFAULT",
        ]
    );
    // The rows lie where they lay, and the new DEFAULT partition is as the old one was.
    assert_eq!(kept.texts("select 'ev_2026_01'::regclass::oid::text", &[]), oid);
    let options = "select array_to_string(reloptions, ',') from pg_class where relname = 'ev_d'";
    assert_eq!(kept.texts(options, &[]), ["fillfactor=90"]);
    assert_eq!(kept.count("select count(*) from only ev_d"), 0);
    assert_eq!(old_rows(&kept), before);
    check_written(&kept, writes);
    kept.sql("insert into ev values (1, '2031-01-01', 1)");
    assert_eq!(kept.count("select count(*) from only ev_d"), 1);
    kept.check_done(NOW);
}

/// Dies at each event of a rotation, runs again, and compares; how often it died.
fn sweep(test: &str, before: &[&str]) -> u32 {
    let Some(template) = Kept::new(test, before, RULE) else { return u32::MAX };
    let state = |kept: &Kept| [kept.described(), old_rows(kept)].join("\n");
    let expected = {
        let kept = Kept::at(template.database.copy(), RULE);
        kept.rotate(NOW);
        kept.check_done(NOW);
        state(&kept)
    };
    let seen = old_rows(&template);
    for event in 1.. {
        assert!(event < 200, "event {event}, and it still dies");
        let kept = Kept::at(template.database.copy(), RULE);
        let mut command = kept.project.command(&rotation(NOW));
        let died = command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
        assert_eq!(old_rows(&kept), seen, "event {event}");
        kept.rotate(NOW);
        same(&state(&kept), &expected);
        check_tidy(&mut kept.connect());
        assert!(kept.rotate(NOW).stdout.starts_with("nothing to do"), "event {event}");
        kept.database.drop();
        if died.status.success() {
            say(&format!("{test}: died at each of {} events", event - 1));
            return event - 1;
        }
    }
    unreachable!("the loop has no end")
}

/// Rows that fit no free range: before and behind a partition, long ago, and far ahead.
const MIXED: &str = "
    create table ev_2026_02 partition of ev
      for values from ('2026-02-01 00:00+00') to ('2026-03-01 00:00+00');
    insert into ev select i, at, i % 10, repeat('x', 1500) from generate_series(1, 8000) i,
      lateral (select timestamptz '2026-01-10 00:00+00' + i * interval '12 minutes') k(at);
    insert into ev values (90001, '1999-12-31 23:59+00', 1), (90002, '2039-01-01 00:00+00', 2);
";
const SWAPPED: &[&str] = &[
    "ev_2026_02 FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
    "ev_2026_03 FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')",
    "ev_2026_04 FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00')",
    "ev_d DEFAULT",
];

#[test]
fn a_large_default_with_mixed_rows_is_copied_and_replaced() {
    let Some(kept) = Kept::new("swap", &[TABLE, MIXED, TRIGGER], RULE) else { return };
    let before = old_rows(&kept);
    let shown = kept.run(&format!("rotate --dry-run --as-of {NOW}"));
    shown.expect(0, &[]);
    for text in ["MB; partitions lie between its rows)", "leaves as public.ev_d_old"] {
        assert!(shown.stdout.contains(text), "{text}: {shown}");
    }
    kept.run(&format!("rotate --dry-run --sql --as-of {NOW}")).expect(0, &[]);
    say_what_is_proven(&kept);
    let proven = ["ev_2026_03", "ev_2026_04", "ev_d"].map(|table| {
        format!("partition constraint for table \"{table}\" is implied by existing constraints")
    });
    let before_run = proven.each_ref().map(|text| logged(text));
    let writes = rotate_in_traffic(&kept, "swap");
    // Attached empty to the copy, full to the table: the second time without being read.
    assert_eq!(proven.each_ref().map(|text| logged(text)), before_run.map(|count| count + 1));
    assert_eq!(kept.partitions("ev"), SWAPPED);
    // The way back: the old DEFAULT partition, which points at nothing any more.
    let retired = kept.texts(
        "select concat_ws(' ', partition, bound, detached_at is not null, expires,
             parent_relid::regclass)
           from pgtune_state.partition_ledger where dropped_at is null",
        &[],
    );
    assert_eq!(retired, ["public.ev_d_old DEFAULT t f ev"]);
    let keys = "select count(*) from pg_constraint where contype = 'f'
        and conrelid = 'ev_d_old'::regclass";
    assert_eq!(kept.count(keys), 0);
    let rest = "select count(*) from ev where at < '2026-02-01 00:00+00' or at > '2026-05-01'";
    assert_eq!(kept.count("select count(*) from only ev_d"), kept.count(rest));
    kept.run("drop ev_d_old --yes --allow drop-partition").expect(0, &[]);
    assert_eq!(old_rows(&kept), before);
    check_written(&kept, writes);
    kept.check_done(NOW);
}

/// Dies after each event up to the one that `is_reached` is true after.
fn die_when(kept: &Kept, rule: &str, is_reached: impl Fn(&Kept) -> bool) {
    kept.project.profile(rule);
    for event in 1..100 {
        let mut command = kept.project.command(&rotation(NOW));
        command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
        if is_reached(kept) {
            return;
        }
    }
    panic!("it never got there");
}

fn is_compared(kept: &Kept) -> bool {
    let exists = "select count(*) from pg_class where relname = 'default_copy'";
    let compared = "select count(*) from pgtune_state.default_copy where compared_at is not null";
    kept.count(exists) > 0 && kept.count(compared) > 0
}

#[test]
fn what_is_changed_beside_a_copy_is_changed_in_what_takes_its_place() {
    let Some(kept) = Kept::new("swap_changes", &[TABLE, MIXED, TRIGGER], RULE) else { return };
    die_when(&kept, RULE, is_compared);
    let said = kept.run("check --as-of 2026-03-15");
    assert!(said.stdout.contains("[default-copy]"), "{said}");
    // Who writes needs no right on what pgtune keeps.
    kept.sql(
        "drop role if exists swap_writer; create role swap_writer;
         grant select, insert, update, delete on ev to swap_writer; grant insert on fired to public;
         set role swap_writer; insert into ev values (10, '2026-03-03', 3);
         update ev set v = 4 where id = 10",
    );
    // Rows go, and what they pointed at goes, while copies of them are there; under any isolation.
    for (isolation, v) in [("read committed", 9), ("repeatable read", 8), ("serializable", 7)] {
        kept.sql(&format!(
            "begin isolation level {isolation}; select count(*) from ev;
             delete from ev where v = {v}; delete from app where id = {v}; commit"
        ));
    }
    kept.sql(
        "update ev set id = -id where id between 100 and 199;
         update ev set at = at + interval '1 month' where id between 200 and 299;
         insert into ev values (7, '2026-03-03', 3), (8, '2011-03-03', 3);
         delete from ev where id between 300 and 399;
         begin; update ev set note = 'undone'; rollback;
         begin; insert into ev values (9, '2026-04-03', 3); update ev set v = 4 where id = 9;
         update ev set v = 5 where id = 9; commit",
    );
    let whole = "select count(*) || md5(string_agg(ev::text, ' ' order by id, at)) from ev";
    let (before, fired) = (kept.texts(whole, &[]), kept.count("select count(*) from fired"));
    kept.rotate(NOW);
    assert_eq!(kept.texts(whole, &[]), before);
    assert_eq!(kept.count("select count(*) from fired"), fired);
    assert_eq!(kept.partitions("ev"), SWAPPED);
    kept.check_done(NOW);
}

#[test]
fn a_copy_that_no_longer_fits_is_made_anew() {
    let attach = "create table ev_more partition of ev
        for values from ('2026-04-01 00:00+00') to ('2026-04-11 00:00+00')";
    for (name, change) in [
        ("rewritten", "vacuum full ev_d"),
        (
            "emptied",
            "create table kept as select * from ev; truncate ev_d;
          insert into ev (id, at, v, note) select id, at, v, note from kept
            where at not between '2026-02-01 00:00+00' and '2026-02-28 23:59:59+00'",
        ),
        ("with a column more", "alter table ev add more int default 7"),
        ("with a partition more", attach),
        ("without its trigger", "drop trigger pgtune_note_changes on ev_d"),
    ] {
        let Some(kept) = Kept::new("swap_anew", &[TABLE, MIXED], RULE) else { return };
        die_when(&kept, RULE, is_compared);
        for statement in change.split(';') {
            kept.sql(statement);
        }
        let whole = "select count(*) || md5(string_agg(ev::text, ' ' order by id, at)) from ev";
        let before = kept.texts(whole, &[]);
        let said = kept.rotate(NOW);
        assert!(said.stderr.contains("give up the copy beside public.ev"), "{name}: {said}");
        assert_eq!(kept.texts(whole, &[]), before, "{name}");
        kept.check_done(NOW);
    }
    // One that is not needed any more is taken away.
    let Some(kept) = Kept::new("swap_anew", &[TABLE, MIXED], RULE) else { return };
    die_when(&kept, RULE, is_compared);
    kept.sql("delete from ev_d");
    kept.rotate(NOW);
    assert_eq!(kept.partitions("ev"), SWAPPED);
    kept.check_done(NOW);
}

#[test]
fn a_swap_that_dies_again_and_again_in_traffic_loses_nothing() {
    let Some(kept) = Kept::new("swap_traffic", &[TABLE, MIXED, TRIGGER], RULE) else { return };
    let before = old_rows(&kept);
    let written = in_traffic(&kept, "swap that dies", || {
        for event in 4.. {
            let mut command = kept.project.command(&rotation(NOW));
            let run = command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
            if run.status.success() {
                return;
            }
            assert!(event < 100, "it never ends");
        }
    });
    assert_eq!(old_rows(&kept), before);
    check_written(&kept, written);
    assert_eq!(kept.partitions("ev"), SWAPPED);
    kept.check_done(NOW);
}

#[test]
fn a_swap_takes_tables_without_a_key_and_rows_without_one() {
    let before = "
        create table \"E v\" (id int generated always as identity, \"At\" timestamp,
            note jsonb, n int generated always as (id * 2) stored) partition by range (\"At\");
        create table \"E d\" partition of \"E v\" default;
        alter table \"E d\" alter note set storage plain;
        insert into \"E v\" (\"At\", note)
          select timestamp '2026-03-01' + i % 90 * interval '1 day', to_jsonb(repeat('x', 2000))
            from generate_series(1, 6000) i;
        insert into \"E v\" (note) values ('1'), ('1'), ('2');
        insert into \"E v\" (\"At\") values ('infinity'), ('-infinity'), ('0044-03-15 BC')";
    let rule = "[[partitions]]\ntable = \"\\\"E v\\\"\"\ninterval = \"month\"\nahead = 1\n";
    let Some(kept) = Kept::new("swap_keyless", &[before], rule) else { return };
    let whole = "select count(*) || md5(string_agg(e::text, ' ' order by id)) from \"E v\" e";
    die_when(&kept, rule, is_compared);
    kept.sql("update \"E v\" set note = '3' where id % 100 = 0");
    kept.sql("delete from \"E v\" where id % 50 = 1");
    kept.sql("vacuum \"E d\"");
    kept.sql("update \"E v\" set \"At\" = null where id = 2");
    kept.sql("insert into \"E v\" (\"At\") select '2026-03-04' from generate_series(1, 99)");
    let before = kept.texts(whole, &[]);
    kept.rotate(NOW);
    assert_eq!(kept.texts(whole, &[]), before);
    assert_eq!(kept.partitions("\"E v\"").len(), 3);
    assert_eq!(kept.count("select count(*) from only \"E d\" where \"At\" is null"), 3);
    kept.sql("insert into \"E v\" (\"At\") values ('2026-03-31'), ('2026-05-31')");
    kept.check_done(NOW);
}

#[test]
fn a_swap_makes_partitions_of_partitions() {
    let rule = format!("{RULE}hash = {{ columns = [\"id\"], modulus = 2 }}\n");
    let Some(kept) = Kept::new("swap_hash", &[TABLE, MIXED, TRIGGER], &rule) else { return };
    let before = old_rows(&kept);
    let writes = rotate_in_traffic(&kept, "swap with HASH below");
    assert_eq!(old_rows(&kept), before);
    check_written(&kept, writes);
    assert_eq!(kept.partitions("ev").len(), 4 + 2 * 2);
    kept.check_done(NOW);
}

#[test]
fn a_promotion_that_dies_anywhere_is_completed_by_the_next() {
    assert!(sweep("promote_sweep", &[TABLE, ROWS, TRIGGER]) > 10);
}

#[test]
fn a_swap_that_dies_anywhere_is_completed_by_the_next() {
    assert!(sweep("swap_sweep", &[TABLE, MIXED, TRIGGER]) > 10);
}

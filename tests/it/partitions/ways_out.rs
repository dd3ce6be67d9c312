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
        timed(&mut client, "update ev set v = 2 where id = $1::int8 - 800000", id);
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

/// Rotates while a writer and a reader are at work; how many rows were written.
fn rotate_in_traffic(kept: &Kept, name: &str) -> usize {
    // Rows that the writer changes: they are there before.
    kept.sql(
        "insert into ev select 200000 + i, timestamptz '2026-03-01 00:00+00', 1, 'busy'
           from generate_series(0, 20000) i",
    );
    let url = &kept.database.url;
    let expected = kept.count("select count(*) from ev where id <= 100000");
    kept.sql("delete from fired");
    let stop = AtomicBool::new(false);
    let ((writer, writes), (reader, reads), elapsed) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(url, &stop));
        let reader = scope.spawn(|| read(url, &stop, expected));
        let begin = Instant::now();
        let said = kept.project.run(&rotation(NOW));
        let elapsed = begin.elapsed();
        stop.store(true, Ordering::Relaxed);
        said.expect(0, &[]);
        (writer.join().unwrap(), reader.join().unwrap(), elapsed)
    });
    say(&format!(
        "{name} on {} in {elapsed:.1?}: worst stall of a writer {writer:.1?} ({writes} rows), of a \
         reader {reader:.1?} ({reads} queries)",
        server().unwrap().major
    ));
    assert!(writes > 5 && reads > 2, "{writes} writes, {reads} reads");
    assert!(writer < BUDGET && reader < BUDGET, "{name}: {writer:?}, {reader:?}");
    writes
}

/// What the writer wrote is there, and triggers fired for it alone.
fn check_written(kept: &Kept, writes: usize) {
    let deleted = writes.div_ceil(2);
    let expected = format!("{} {} {}", writes - deleted, writes, 20_001);
    let query = "select concat_ws(' ', count(*) filter (where id >= 1000000 and note = 'changed'),
        count(*) filter (where note = 'busy' and v = 2), count(*) filter (where note = 'busy'))
        from ev";
    assert_eq!(kept.texts(query, &[]), [expected]);
    let fired = kept.count("select count(*) from fired");
    assert_eq!(fired, (writes * 3 + deleted) as i64, "triggers fire once a change");
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

#[test]
fn a_promotion_that_dies_anywhere_is_completed_by_the_next() {
    assert!(sweep("promote_sweep", &[TABLE, ROWS, TRIGGER]) > 10);
}

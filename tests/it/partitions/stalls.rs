//! What a writer and a reader feel of a large rotation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Kept;
use crate::support::{connect, say};

/// Days, of which 12 have left long ago, 12 are too old, and 24 are missing.
const DAYS: &str = "
    create table app (id int primary key);
    insert into app select generate_series(1, 10);
    create table ev (at timestamptz not null, v int not null, note text, primary key (at, v))
      partition by range (at);
    create index on ev (v); create index on ev (note) where v > 3;
    do $$ declare first timestamptz := '2026-02-01 00:00+00'; begin
      set local timezone = 'UTC';
      for i in 0..33 loop
        execute format('create table %I partition of ev for values from (%L) to (%L)',
          to_char(first + i * interval '1 day', '\"ev_\"YYYY_MM_DD'),
          first + i * interval '1 day', first + (i + 1) * interval '1 day');
      end loop;
    end $$;
    insert into ev select d, i, 'x' from generate_series(1, 10) i,
      generate_series(timestamptz '2026-02-01 00:00+00', '2026-03-06 23:00+00', '1 hour') d;
";
const RULE: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"day\"\nahead = AHEAD\n\
    retention = \"10 days\"\nexpiry = \"drop\"\n";
/// The first run creates nothing, the second 24.
fn rule(ahead: &str) -> String {
    RULE.replace("AHEAD", ahead)
}

/// The lock budget.
pub const BUDGET: Duration = Duration::from_secs(2);
/// A row each two milliseconds.
const PACE: Duration = Duration::from_millis(2);

/// Repeats a statement until `stop`; the longest time it took, and how often it ran.
pub fn worst(url: &str, stop: &AtomicBool, statement: &str) -> (Duration, usize) {
    let mut client = connect(url);
    let statement = client.prepare(statement).unwrap();
    let (mut worst, mut count) = (Duration::ZERO, 0_i32);
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        client.execute(&statement, &[&count]).unwrap();
        worst = worst.max(begin.elapsed());
        count += 1;
        std::thread::sleep(PACE);
    }
    (worst, usize::try_from(count).unwrap())
}

#[test]
fn a_rotation_stalls_nobody() {
    for (name, more) in [
        ("alone", ""),
        ("with a foreign key", "alter table ev add foreign key (v) references app"),
        ("with a DEFAULT partition", "create table ev_rest partition of ev default"),
    ] {
        let Some(kept) = Kept::new("stalls", &[DAYS], &rule("0")) else { return };
        kept.sql(more);
        // The first twelve days leave, and their grace ends.
        kept.run("rotate --yes --as-of 2026-02-23 --allow detach-partition").expect(0, &[]);
        kept.sql("update pgtune_state.partition_ledger set detached_at = '2026-02-01'");
        let left = "select count(*) from pgtune_state.partition_ledger where ";
        assert_eq!(kept.count(&format!("{left} dropped_at is null")), 12);
        let before = kept.partitions("ev").len();
        kept.project.profile(rule("23"));
        let stop = AtomicBool::new(false);
        let url = &kept.database.url;
        let ((writer, writes), (reader, reads), elapsed) = std::thread::scope(|scope| {
            let insert = "insert into ev values (timestamptz '2026-03-05 12:00:00.5+00'
                + $1::int * interval '1 ms', 1, 'new')";
            let select = "select count(*) from ev where v = 1 + $1::int % 10";
            let writer = scope.spawn(|| worst(url, &stop, insert));
            let reader = scope.spawn(|| worst(url, &stop, select));
            let begin = Instant::now();
            let said = kept.project.run(&super::rotation("2026-03-07T12:00:00Z"));
            let elapsed = begin.elapsed();
            stop.store(true, Ordering::Relaxed);
            said.expect(0, &[]);
            (writer.join().unwrap(), reader.join().unwrap(), elapsed)
        });
        say(&format!(
            "rotation {name} in {elapsed:.1?}: worst stall of a writer {writer:.1?} \
             ({writes} rows), of a reader {reader:.1?} ({reads} queries)"
        ));
        assert!(writes > 20 && reads > 5, "{writes} writes, {reads} reads");
        assert!(writer < BUDGET && reader < BUDGET, "{name}: {writer:?}, {reader:?}");
        assert_eq!(kept.count(&format!("{left} dropped_at is not null")), 12);
        assert_eq!(kept.count(&format!("{left} dropped_at is null")), 12);
        assert_eq!(kept.partitions("ev").len(), before + 24 - 12, "24 more, 12 less");
        assert_eq!(kept.count("select count(*) from ev where note = 'new'"), writes as i64);
        kept.check_done("2026-03-07T12:00:00Z");
    }
}

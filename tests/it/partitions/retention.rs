//! What is too old leaves: written down, detached, dropped after its grace, each only if allowed;
//! and nothing else is ever dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::Client;

use super::{Kept, check_tidy};
use crate::project::eventually_some;
use crate::support::eventually;

/// Months from September on, with a row each day.
const MONTHS: &str = "
    create table app (id int primary key, hits int default 0);
    insert into app select generate_series(1, 3);
    create table ev (at timestamptz not null, v int not null) partition by range (at);
    do $$ declare first timestamptz := '2025-09-01 00:00+00'; begin
      set local timezone = 'UTC';
      for i in 0..7 loop
        execute format('create table %I partition of ev for values from (%L) to (%L)',
          to_char(first + i * interval '1 month', '\"ev_\"YYYY_MM'),
          first + i * interval '1 month', first + (i + 1) * interval '1 month');
      end loop;
    end $$;
    insert into ev select d, 1 from generate_series(
      timestamptz '2025-09-01 12:00+00', '2026-03-10 12:00+00', '1 day') d;
";
const RULE: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n\
    retention = \"3 months\"\nexpiry = \"drop\"\n";
const NOW: &str = "2026-03-15";
/// All grace is over.
const LATER: &str = "update pgtune_state.partition_ledger
    set detached_at = '2026-03-01' where detached_at is not null and dropped_at is null";

impl Kept {
    fn months(test: &str) -> Option<Kept> {
        Kept::new(test, &[MONTHS], RULE)
    }

    fn exists(&self, table: &str) -> bool {
        let query = "select (to_regclass($1) is not null)::text";
        self.texts(query, &[&table]) == ["true"]
    }

    fn attached(&self) -> usize {
        self.partitions("ev").len()
    }

    /// A session in a transaction that has read the whole table.
    fn reader(&self) -> Client {
        let mut client = self.connect();
        client.batch_execute("set application_name = 'a reader'; begin").unwrap();
        client.batch_execute("select count(*) from ev").unwrap();
        client
    }
}

#[test]
fn each_hazard_is_allowed_by_name() {
    let Some(kept) = Kept::months("hazards") else { return };
    let said = kept.run("rotate --yes --as-of 2026-03-15");
    said.expect(0, &[]);
    assert!(said.stdout.contains("3 partitions are past the retention"), "{said}");
    assert_eq!(kept.attached(), 8);
    assert!(!kept.exists("pgtune_state.partition_ledger"));
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    assert_eq!(kept.attached(), 8);
    let shown = |allow: &str| {
        let said = kept.run(&format!("rotate --as-of 2026-03-15 --dry-run{allow}"));
        said.expect(0, &[]);
        (said.stdout.contains("DETACH PARTITION"), said.stdout.contains("DROP TABLE"))
    };
    // To be read it is shown whole; what psql is to run has what is allowed.
    assert_eq!(shown(""), (true, false));
    assert_eq!(shown(" --sql"), (false, false));
    assert_eq!(shown(" --sql --allow detach-partition"), (true, false));

    let detach = "rotate --yes --as-of 2026-03-15 --allow detach-partition";
    kept.run(detach).expect(0, &[]);
    assert_eq!(kept.attached(), 5);
    kept.check_done(NOW);
    kept.sql(LATER);
    let said = kept.run(detach);
    said.expect(0, &[]);
    assert!(said.stdout.contains("3 detached tables are past the grace period"), "{said}");
    assert!(kept.exists("ev_2025_09"));

    kept.rotate(NOW);
    assert!(!["ev_2025_09", "ev_2025_10", "ev_2025_11"].iter().any(|table| kept.exists(table)));
    let dropped = "select count(*) from pgtune_state.partition_ledger
        where dropped_at is not null and detached_at is not null";
    assert_eq!(kept.count(dropped), 3);
    assert_eq!(kept.count("select count(*) from ev"), 100);
    kept.check_done(NOW);
}

#[test]
fn without_a_drop_in_the_rule_nothing_is_dropped() {
    let rule = RULE.replace("\"drop\"", "\"detach\"");
    let Some(kept) = Kept::new("no_drop", &[MONTHS], &rule) else { return };
    kept.rotate(NOW);
    kept.sql(LATER);
    kept.check_done(NOW);
    assert!(kept.exists("ev_2025_09"));
}

#[test]
fn the_ledger_knows_tables_by_oid_and_name() {
    let Some(kept) = Kept::months("ledger") else { return };
    kept.rotate(NOW);
    kept.sql(LATER);
    kept.sql(
        "drop table ev_2025_09; create table ev_2025_09 (precious int);
         alter table ev_2025_10 rename to \"Kept, he thinks\";
         alter table ev attach partition ev_2025_11
           for values from ('2025-11-01 00:00+00') to ('2025-12-01 00:00+00')",
    );
    // The one that he attached again stays attached where nothing is to be detached.
    kept.run("rotate --yes --as-of 2026-03-15 --allow drop-partition").expect(0, &[]);
    assert!(kept.exists("ev_2025_09"), "another table of the same name");
    assert!(kept.exists("\"Kept, he thinks\""), "the same table of another name");
    assert_eq!(kept.attached(), 6);
    // Where it is detached once more, its grace begins once more.
    kept.rotate(NOW);
    assert_eq!(kept.attached(), 5);
    assert!(kept.exists("ev_2025_11"), "dropped without grace");
    kept.check_done(NOW);
    kept.sql(LATER);
    kept.rotate(NOW);
    assert!(!kept.exists("ev_2025_11"));
    assert!(kept.exists("ev_2025_09"), "another table of the same name");
    kept.check_done(NOW);
}

/// A rotation that waits for a retired table, while its owner does `meanwhile` with it.
fn meanwhile(test: &str, meanwhile: &str) -> Option<Kept> {
    let kept = Kept::months(test)?;
    kept.rotate(NOW);
    kept.sql(LATER);
    let mut owner = kept.connect();
    owner.batch_execute("begin; select * from ev_2025_09").unwrap();
    let run = kept.start(NOW);
    run.says("retrying drop public.ev_2025_09");
    owner.batch_execute("set lock_timeout = 0").unwrap();
    owner.batch_execute(meanwhile).unwrap();
    owner.batch_execute("commit").unwrap();
    let outcome = run.finish();
    assert!(outcome.code.is_some(), "{outcome:?}");
    Some(kept)
}

#[test]
fn a_table_that_takes_the_name_meanwhile_is_not_dropped() {
    let replace = "alter table ev_2025_09 rename to old; create table ev_2025_09 (precious int)";
    let Some(kept) = meanwhile("taken_meanwhile", replace) else { return };
    assert_eq!(kept.count("select count(*) from pg_attribute where attname = 'precious'"), 1);
    kept.rotate(NOW);
    assert!(kept.exists("old"), "under a name of its own it is somebody's");
    kept.check_done(NOW);
}

/// After a dump and restore the ledger's OIDs are those of other tables.
#[test]
fn a_ledger_that_was_restored_from_a_dump_drops_nothing() {
    let Some(kept) = Kept::months("ledger_dumped") else { return };
    kept.rotate(NOW);
    kept.sql(LATER);
    kept.sql(
        "create table precious (v int);
         update pgtune_state.partition_ledger set relid = 'precious'::regclass
          where partition like '%ev_2025_09'",
    );
    kept.rotate(NOW);
    assert!(kept.exists("precious") && kept.exists("ev_2025_09"));
    assert!(!kept.exists("ev_2025_10"));
}

#[test]
fn a_renamed_parent_still_gets_its_old_partitions_dropped() {
    let Some(kept) = Kept::months("renamed_parent") else { return };
    kept.rotate(NOW);
    kept.sql(LATER);
    kept.sql(
        "create schema \"New\"; alter table ev rename to \"Events\";
        alter table \"Events\" set schema \"New\"",
    );
    kept.project.profile(RULE.replace("\"ev\"", "'\"New\".\"Events\"'"));
    let said = kept.run("check --as-of 2026-03-15");
    assert!(said.stdout.contains("3 detached tables are past the grace period"), "{said}");
    kept.run("drop ev_2025_09 --yes --allow drop-partition").expect(0, &[]);
    kept.rotate(NOW);
    assert!(!["ev_2025_09", "ev_2025_10", "ev_2025_11"].iter().any(|table| kept.exists(table)));
    kept.check_done(NOW);
}

/// Whose partitions they were is not sure: of the table with that OID, or of that name.
#[test]
fn a_parent_whose_name_another_has_gets_nothing_dropped() {
    let Some(kept) = Kept::months("swapped_parent") else { return };
    let rule_of = |table: &str| {
        let rule = RULE.replace("\"ev\"", &format!("\"{table}\""));
        format!("{rule}name = \"{{table}}_new_{{yyyy}}_{{mm}}\"\n")
    };
    kept.rotate(NOW);
    kept.sql(LATER);
    kept.sql(
        "alter table ev rename to former;
         create table ev (like former) partition by range (at)",
    );
    kept.project.profile(format!("{}{}", rule_of("ev"), rule_of("former")));
    kept.rotate(NOW);
    assert!(kept.exists("ev_2025_09") && kept.exists("ev_2025_10"));
    kept.sql("drop table ev; alter table former rename to ev");
    kept.project.profile(rule_of("ev"));
    kept.rotate(NOW);
    assert!(!kept.exists("ev_2025_09") && !kept.exists("ev_2025_10"));
    // The OID that another partitioned table has after a dump and restore.
    kept.sql("create table other (at timestamptz not null) partition by range (at)");
    kept.rotate("2026-04-15");
    kept.sql(LATER);
    kept.sql("update pgtune_state.partition_ledger set parent_relid = 'other'::regclass");
    kept.project.profile(format!("{}{}", rule_of("ev"), rule_of("other")));
    kept.rotate("2026-04-15");
    assert!(kept.exists("ev_2025_12"));
    // That of no table at all.
    kept.sql("drop table other");
    kept.project.profile(rule_of("ev"));
    kept.rotate("2026-04-15");
    assert!(kept.exists("ev_2025_12"));
}

#[test]
fn partitions_of_a_schema_that_is_not_ones_own_stop_nobody() {
    let Some(kept) = Kept::months("ledger_hidden") else { return };
    kept.rotate(NOW);
    kept.sql(
        "create schema \"Hid den\"; create table \"Hid den\".\"E v\" ();
         update pgtune_state.partition_ledger set parent = '\"Hid den\".\"E v\"'
           where partition = 'public.ev_2025_09';
         do $$ begin create role part_hidden; exception when others then end $$;
         grant usage on schema pgtune_state to part_hidden;
         grant select on all tables in schema pgtune_state to part_hidden",
    );
    assert_eq!(
        kept.count(
            "select count(*) from pgtune_state.partition_ledger
        where parent like '%Hid%'"
        ),
        1
    );
    kept.project.profile(format!("[database]\nrole = \"part_hidden\"\n{RULE}"));
    kept.run("check --as-of 2026-03-15").expect(0, &[]);
    kept.run("rotate --yes --as-of 2026-03-15").expect(0, &[]);
}

#[test]
fn the_ledger_of_an_older_pgtune_is_gone_on_with() {
    let Some(kept) = Kept::months("older_ledger") else { return };
    kept.rotate(NOW);
    kept.sql("alter table pgtune_state.partition_ledger drop column parent_relid");
    kept.check_done(NOW);
    kept.rotate("2026-04-15");
    let known = "select count(*) * 10 + count(parent_relid) from pgtune_state.partition_ledger
        where parent_relid is null or parent_relid = 'ev'::regclass";
    assert_eq!(kept.count(known), 41);
    kept.sql(LATER);
    kept.rotate("2026-04-15");
    assert!(!kept.exists("ev_2025_09") && !kept.exists("ev_2025_12"));
    kept.check_done("2026-04-15");
}

#[test]
fn a_table_that_is_attached_meanwhile_is_not_dropped() {
    let attach = "alter table ev attach partition ev_2025_09
        for values from ('2025-09-01 00:00+00') to ('2025-10-01 00:00+00')";
    let Some(kept) = meanwhile("attached_meanwhile", attach) else { return };
    assert!(kept.exists("ev_2025_09"));
    kept.rotate(NOW);
    kept.check_done(NOW);
    assert!(kept.exists("ev_2025_09"));
}

#[test]
fn an_inbound_foreign_key_keeps_all() {
    let Some(kept) = Kept::months("inbound") else { return };
    kept.sql(
        "alter table ev add primary key (at, v);
         drop table ev_2026_04;
         create table note (at timestamptz, v int, foreign key (at, v) references ev);
         insert into note select at, v from ev limit 5",
    );
    let said = kept.rotate(NOW);
    assert!(said.stdout.contains("[detach-blocked]"), "{said}");
    assert!(said.stdout.contains("a foreign key of public.note points at the table"), "{said}");
    assert_eq!(kept.attached(), 8, "what is missing is created all the same");
    check_tidy(&mut kept.connect());
    assert_eq!(kept.count("select count(*) from note"), 5);
}

/// Leaves a detach of `ev_2025_09` half done, as a killed session would.
fn interrupt_a_detach(kept: &Kept) {
    let mut reader = kept.reader();
    std::thread::scope(|scope| {
        let mut other = kept.connect();
        scope.spawn(move || {
            let sql = "alter table ev detach partition ev_2025_09 concurrently";
            other.batch_execute(sql).unwrap_err();
        });
        let mut looker = kept.connect();
        let pending = "select count(*) from pg_inherits where inhdetachpending";
        eventually_some(&mut looker, "the detach is pending", pending);
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where query like '%concurrently' and datname = current_database() and state = 'active'
              and pid <> pg_backend_pid()";
        eventually_some(&mut looker, "the detach is ended", terminate);
    });
    reader.batch_execute("commit").unwrap();
    assert_eq!(kept.count("select count(*) from pg_inherits where inhdetachpending"), 1);
}

#[test]
fn an_interrupted_detach_is_finished_first() {
    for arguments in ["create --yes --as-of 2026-03-15", "rotate --yes --as-of 2026-03-15"] {
        let Some(kept) = Kept::months("pending") else { return };
        interrupt_a_detach(&kept);
        kept.sql("drop table ev_2026_04");
        kept.run(arguments).expect(0, &["finish an interrupted detach"]);
        assert_eq!(kept.attached(), 7);
        check_tidy(&mut kept.connect());
        // Whoever began it has not said that it may go.
        kept.rotate(NOW);
        kept.sql(LATER);
        kept.rotate(NOW);
        assert!(kept.exists("ev_2025_09"));
        assert!(!kept.exists("ev_2025_10"));
        kept.check_done(NOW);
    }
}

/// How long others were stalled at worst: each `work` again and again until `until` has returned.
fn stalls(kept: &Kept, works: &[&str], until: impl FnOnce()) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let rounds = std::sync::atomic::AtomicU32::new(0);
    let repeat = |work: &str| {
        let mut client = kept.connect();
        let mut worst = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            client.batch_execute(work).unwrap();
            worst = worst.max(begin.elapsed());
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        worst
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = works.iter().map(|work| scope.spawn(|| repeat(work))).collect();
        until();
        let enough = rounds.load(Ordering::Relaxed) + 100;
        eventually("others go on", || rounds.load(Ordering::Relaxed) > enough);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

const OTHERS: &[&str] = &[
    "insert into ev values ('2026-03-20 12:00+00', 2)",
    "select count(*) from ev",
    "update ev set v = v where at = '2026-01-05 12:00+00'",
    "insert into app select max(id) + 1 from app",
];
/// The lock budget, and what a busy machine adds.
const STALL_MAX: Duration = Duration::from_millis(2_500);

#[test]
fn a_long_reader_holds_the_detach_up_and_nobody_else() {
    for (more, waits, left) in [
        ("", "waiting  detach ", 5),
        ("create table ev_rest partition of ev default", "retrying detach ", 6),
        // Tried briefly, which leaves it pending, and finished when the reader has gone.
        ("alter table ev add foreign key (v) references app", "retrying detach ", 5),
    ] {
        let Some(kept) = Kept::months("long_reader") else { return };
        kept.sql(more);
        let mut reader = kept.reader();
        let worst = stalls(&kept, OTHERS, || {
            let run = kept.start(NOW);
            run.says(&format!("{waits}public.ev_2025_09"));
            run.says("a reader");
            reader.batch_execute("commit").unwrap();
            let outcome = run.finish();
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
        });
        assert!(worst.iter().all(|worst| *worst < STALL_MAX), "{more}: {worst:?}");
        assert_eq!(kept.attached(), left);
        kept.check_done(NOW);
    }
}

#[test]
fn a_long_writer_of_a_referenced_table_holds_up_nobody_else() {
    let Some(kept) = Kept::months("long_writer") else { return };
    kept.sql("alter table ev add foreign key (v) references app");
    let mut writer = kept.connect();
    writer.batch_execute("begin; update app set hits = 1 where id = 3").unwrap();
    let worst = stalls(&kept, OTHERS, || {
        let run = kept.start(NOW);
        let waits = "select count(*) from pg_locks join pg_stat_activity using (pid)
            where not granted and relation = 'app'::regclass and query like '%DETACH%'";
        eventually_some(&mut kept.connect(), "a detach waits for the writer", waits);
        // Longer than anybody may be stalled.
        let end = Instant::now() + STALL_MAX;
        eventually("a while", || Instant::now() > end);
        writer.batch_execute("commit").unwrap();
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    });
    assert!(worst.iter().all(|worst| *worst < STALL_MAX), "{worst:?}");
    kept.check_done(NOW);
}

#[test]
fn a_foreign_table_stays_and_keeps_no_other_from_leaving() {
    let Some(kept) = Kept::months("foreign_stays") else { return };
    kept.sql(
        "create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere;
         create foreign table ev_2025_08 partition of ev
           for values from ('2025-08-01 00:00+00') to ('2025-09-01 00:00+00') server nowhere",
    );
    let said = kept.rotate(NOW);
    assert!(said.stdout.contains("public.ev_2025_08 is a foreign table"), "{said}");
    assert_eq!(kept.partitions("ev").len(), 6);
    assert!(kept.partitions("ev")[0].starts_with("ev_2025_08 "));
}

#[test]
fn a_transaction_that_lasts_is_named_and_not_waited_for() {
    let limits = "[limits]\nlock_budget = \"50ms\"\nlock_deadline = \"50ms\"\n";
    let Some(kept) = Kept::new("long_user", &[MONTHS], &format!("{limits}{RULE}")) else { return };
    let mut reader = kept.reader();
    let old = "select count(*) from pg_stat_activity where application_name = 'a reader'
        and xact_start < clock_timestamp() - interval '50 ms'";
    eventually_some(&mut kept.connect(), "the transaction is old enough", old);
    let said = kept.rotate(NOW);
    let finding = "3 partitions are past the retention, but pid ";
    assert!(said.stdout.contains("[detach-blocked]") && said.stdout.contains(finding), "{said}");
    assert!(said.stdout.contains("(a reader, "), "{said}");
    assert_eq!(kept.attached(), 8);
    let refused = kept.run("drop ev_2025_09 --yes --allow detach-partition --allow drop-partition");
    assert!(refused.code == 1 && refused.stdout.contains("(a reader, "), "{refused}");
    reader.batch_execute("commit").unwrap();
    kept.rotate(NOW);
    assert_eq!(kept.attached(), 5);
}

/// Eighty days, the last of which are kept.
const DAYS: &str = "
    create table ev (at timestamptz not null, v int not null) partition by range (at);
    do $$ declare first timestamptz := '2026-01-01 00:00+00'; begin
      set local timezone = 'UTC';
      for i in 0..79 loop
        execute format('create table %I partition of ev for values from (%L) to (%L)',
          to_char(first + i * interval '1 day', '\"ev_\"YYYY_MM_DD'),
          first + i * interval '1 day', first + (i + 1) * interval '1 day');
      end loop;
    end $$;
    insert into ev select d, 1 from generate_series(timestamptz '2026-01-01 12:00+00',
      '2026-03-21 12:00+00', '1 day') d";
const DAILY: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"day\"\nahead = 0\n\
    retention = \"10 days\"\nexpiry = \"drop\"\ndetach = \"batched\"\n";

/// With a grace they are detached; without one, and where that is allowed, dropped as they hang.
/// Either takes several transactions, and may die between any two of them.
#[test]
fn many_partitions_leave_in_pieces() {
    let day = "2026-03-20";
    for (grace, done) in [("7d", "detach public.ev_2026_01_01 and"), ("0", "drop public.ev_2026")] {
        let rule = format!("{DAILY}grace = \"{grace}\"\n");
        let Some(template) = Kept::new("pieces", &[DAYS], &rule) else { return };
        let transactions = "select count(distinct xmin::text) from pg_class
            where relname ~ '^ev_2026' and relkind = 'r' and not relispartition";
        for event in 1.. {
            let kept = Kept::at(template.database.copy(), &rule);
            let mut command = kept.project.command(&super::rotation(day));
            let died = command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
            let said = String::from_utf8_lossy(&died.stderr).into_owned();
            assert_eq!(kept.count("select count(*) from ev where at >= '2026-03-10'"), 12);
            kept.rotate(day);
            assert_eq!(kept.attached(), 12);
            let ledger = "select count(*) from pgtune_state.partition_ledger
                where detached_at is not null and (dropped_at is null) = ";
            let (stay, go) = if grace == "0" { ("false", "true") } else { ("true", "false") };
            assert_eq!(kept.count(&format!("{ledger}{stay}")), 68, "event {event}");
            assert_eq!(kept.count(&format!("{ledger}{go}")), 0, "event {event}");
            kept.check_done(day);
            if died.status.success() {
                assert!(event > 8, "only {event} events");
                assert!(said.contains(done), "{said}");
                assert!(grace == "0" || kept.count(transactions) > 2, "not in pieces");
                break;
            }
            assert!(event < 99, "it does not survive");
            kept.database.drop();
        }
    }
}

/// What hangs there under the same name is looked at again under the lock.
#[test]
fn a_table_that_something_depends_on_keeps_no_other() {
    for grace in ["", "grace = \"0\"\ndetach = \"batched\"\n"] {
        let rule = format!("{RULE}{grace}");
        let Some(kept) = Kept::new("depended_on", &[MONTHS], &rule) else { return };
        kept.sql("create view seen as select * from ev_2025_10");
        kept.project.run(&super::rotation(NOW));
        if grace.is_empty() {
            kept.sql(LATER);
        }
        let said = kept.project.run(&super::rotation(NOW));
        said.expect(3, &["view seen depends on table ev_2025_10"]);
        assert!(kept.exists("ev_2025_10"));
        assert!(!kept.exists("ev_2025_09") && !kept.exists("ev_2025_11"), "{said}");
        kept.sql("drop view seen");
        kept.rotate(NOW);
        assert!(!kept.exists("ev_2025_10"));
    }
}

#[test]
fn another_table_of_that_name_is_not_dropped() {
    let rule = format!("{DAILY}grace = \"0\"\n");
    let Some(kept) = Kept::new("other_bound", &[DAYS], &rule) else { return };
    let allow = "--allow detach-partition --allow drop-partition";
    let script = kept.run(&format!("rotate --dry-run --sql --as-of 2026-03-20 {allow}")).stdout;
    assert_eq!(script.matches("DROP TABLE").count(), 3, "{script}");
    // From the comparison on no name changes.
    let (before_drop, _) = script.split_once("DELETE FROM pgtune_state").unwrap();
    let mut runner = kept.connect();
    runner.batch_execute(before_drop).unwrap();
    let rename = "set lock_timeout = '50ms'; alter table ev_2026_01_01 rename to old";
    let refused = kept.connect().batch_execute(rename).unwrap_err();
    assert_eq!(refused.code(), Some(&postgres::error::SqlState::LOCK_NOT_AVAILABLE));
    runner.batch_execute("rollback").unwrap();
    kept.sql(
        "alter table ev detach partition ev_2026_01_01;
         alter table ev_2026_01_01 rename to old;
         create table ev_2026_01_01 partition of ev for values from ('2027-01-01') to
           ('2027-01-02')",
    );
    let refused = kept.connect().batch_execute(&script).unwrap_err();
    let said = refused.as_db_error().unwrap().message();
    assert_eq!(said, "this is no longer the partition it was, and is not dropped");
    assert_eq!(kept.attached(), 80);
}

#[test]
fn planning_for_a_later_day_takes_nothing_of_today() {
    let table = "create table ev (at timestamptz not null, v int not null) partition by range (at)";
    let rule = format!("{RULE}grace = \"0\"\n");
    let Some(kept) = Kept::new("later_day", &[table], &rule) else { return };
    kept.run("rotate --yes").expect(0, &[]);
    assert_eq!(kept.attached(), 2);
    // Over, and not as old as the rule keeps.
    kept.sql(
        "do $$ begin execute format('create table recent partition of ev for values from (%L) to
           (%L)', now() - interval '40 days', date_trunc('month', now(), 'UTC')); end $$;
         insert into recent values (now() - interval '35 days', 1)",
    );
    kept.rotate("2099-01-01");
    assert_eq!(kept.count("select count(*) from ev where at < now()"), 1);
    kept.sql("insert into ev values (now(), 1)");
}

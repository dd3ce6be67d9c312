//! What expires with `expiry = "archive"`: in the archive before it is dropped, and back again.

use std::fs;
use std::path::PathBuf;

use super::{Kept, check_tidy};
use crate::project::eventually_some;
use crate::support::{Database, say};

/// Months from September on, with a row each hour.
pub const MONTHS: &str = "
    create table ev (at timestamptz not null, v int not null, note text, primary key (at, v))
      partition by range (at);
    create index on ev (v);
    do $$ declare first timestamptz := '2025-09-01 00:00+00'; begin
      set local timezone = 'UTC';
      for i in 0..7 loop
        execute format('create table %I partition of ev for values from (%L) to (%L)',
          to_char(first + i * interval '1 month', '\"ev_\"YYYY_MM'),
          first + i * interval '1 month', first + (i + 1) * interval '1 month');
      end loop;
    end $$;
    insert into ev select d, extract(day from d), 'n' || d from generate_series(
      timestamptz '2025-09-01 12:00+00', '2026-03-10 12:00+00', '1 hour') d;
";
pub const RULE: &str = "[archive]\nto = \"archive\"\n[[partitions]]\ntable = \"ev\"\n\
    interval = \"month\"\nahead = 1\nretention = \"5 months\"\nexpiry = \"archive\"\n\
    grace = \"0\"\n";
pub const NOW: &str = "2026-03-15";
/// Months from September on, each by hash below, with identity where a partition has it, too.
const BELOW: &str = "
    create table ev (id bigint generated always as identity, at timestamptz not null,
        \"V, by\" int not null, v int generated always as (\"V, by\" * 2) stored, note text,
        primary key (at, \"V, by\", id)) partition by range (at);
    create unique index other on ev (\"V, by\", id, at) include (note);
    create index on ev (note);
    do $$ declare first timestamptz := '2025-09-01 00:00+00'; month text; begin
      set local timezone = 'UTC';
      for i in 0..7 loop
        month := to_char(first + i * interval '1 month', 'YYYY_MM');
        execute format('create table ev_%s partition of ev for values from (%L) to (%L)
          partition by hash (\"V, by\", at)', month,
          first + i * interval '1 month', first + (i + 1) * interval '1 month');
        for r in 0..2 loop
          execute format('create table \"EV %s %s\" partition of ev_%s
            for values with (modulus 3, remainder %s)', month, r, month, r);
          execute format('alter table \"EV %s %s\" replica identity full', month, r);
        end loop;
      end loop;
    end $$;
    insert into ev (at, \"V, by\", note) select d, extract(day from d), 'n' || d
      from generate_series(
        timestamptz '2025-09-01 12:00+00', '2026-03-10 12:00+00', '3 hours') d;
";
fn rule_below() -> String {
    format!("{RULE}hash = {{ columns = [\"V, by\", \"at\"], modulus = 3 }}\n")
}
/// Every row counts; their order does not.
const SUM: &str = "select (count(*) || ' ' || sum(hashtextextended(ev::text, 0)))::text from ev";

impl Kept {
    /// The archives' names, in order.
    pub fn archives(&self) -> Vec<String> {
        let root = self.project.folder.path().join("archive");
        let Ok(folders) = fs::read_dir(&root) else { return Vec::new() };
        let mut names: Vec<String> = folders
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .filter_map(|path| {
                let name = path.strip_prefix(&root).unwrap().to_str()?.to_string();
                Some(name.strip_suffix(".json")?.to_string())
            })
            .collect();
        names.sort();
        names
    }

    fn file(&self, archive: &str, ending: &str) -> PathBuf {
        self.project.folder.path().join("archive").join(format!("{archive}.{ending}"))
    }

    pub fn sum(&self) -> String {
        self.texts(SUM, &[]).remove(0)
    }

    pub fn has(&self, table: &str) -> bool {
        self.texts("select (to_regclass($1) is not null)::text", &[&table]) == ["true"]
    }
}

#[test]
fn what_expires_is_archived_dropped_and_comes_back() {
    let Some(kept) = Kept::new("archived", &[MONTHS], RULE) else { return };
    let before = (kept.sum(), kept.described());
    let said = kept.rotate(NOW);
    assert!(said.stdout.contains("archived"), "{said}");
    assert!(!kept.has("ev_2025_09") && kept.has("ev_2025_10"));
    assert_eq!(kept.archives(), ["public.ev/2025-09-01_2025-10-01-cb1e8755"]);
    kept.check_done(NOW);

    let archive = &kept.archives()[0];
    let restore = format!("restore {archive} --yes");
    kept.run(&restore).expect(0, &[]);
    assert_eq!(kept.sum(), before.0);
    let said = kept.run("list ev --as-of 2026-03-15");
    assert!(said.stdout.contains("restored"), "{said}");
    // However old it is, it stays; and restoring it again is nothing.
    kept.check_done(NOW);
    kept.run(&restore).expect(0, &[]);
    assert_eq!(kept.sum(), before.0);
    let same: Vec<String> = kept.described().lines().map(str::to_string).collect();
    let missing: Vec<&str> =
        before.1.lines().filter(|line| !same.iter().any(|s| s == line)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn what_comes_back_in_its_grace_stays() {
    let rule = RULE.replace("grace = \"0\"", "grace = \"7d\"");
    let Some(kept) = Kept::new("back_in_grace", &[MONTHS], &rule) else { return };
    let before = kept.sum();
    kept.rotate(NOW);
    kept.run(&format!("restore {} --yes", kept.archives()[0])).expect(0, &[]);
    kept.check_done(NOW);
    assert_eq!(kept.sum(), before);
}

#[test]
fn single_partitions_are_archived_by_name() {
    let Some(kept) = Kept::new("archived_by_name", &[MONTHS], RULE) else { return };
    let refused = kept.run("archive ev_2025_12 --yes");
    refused.expect(1, &[]);
    assert!(refused.stdout.contains("--allow detach-partition"), "{refused}");
    kept.run("archive ev_2025_12 --yes --allow detach-partition").expect(0, &[]);
    assert!(kept.has("ev_2025_12") && kept.archives().len() == 1);
    kept.run("drop ev_2025_12 --yes --allow drop-partition").expect(0, &[]);
    assert!(!kept.has("ev_2025_12"));
}

#[test]
fn nothing_is_dropped_unless_the_archive_holds_it() {
    let rule = RULE.replace("grace = \"0\"", "grace = \"7d\"");
    let Some(kept) = Kept::new("archive_trouble", &[MONTHS], &rule) else { return };
    kept.rotate(NOW);
    let archive = kept.archives().remove(0);
    kept.sql("update pgtune_state.partition_ledger set detached_at = '2026-03-01'");
    let (rows, manifest) = (kept.file(&archive, "copy.zst"), kept.file(&archive, "json"));
    let drops = || kept.project.run(&super::rotation(NOW));
    let text = fs::read_to_string(&manifest).unwrap();

    kept.sql("insert into ev_2025_09 values ('2025-09-02Z', 99, 'late')");
    drops().expect(1, &["ev_2025_09"]);
    kept.sql("delete from ev_2025_09 where note = 'late'");

    fs::write(&manifest, text.replace("public", "pubilc")).unwrap();
    drops().expect(1, &["was changed after it was written"]);
    fs::write(&manifest, &text).unwrap();

    let packed = fs::read(&rows).unwrap();
    fs::remove_file(&rows).unwrap();
    drops().expect(1, &["does not hold what was archived"]);
    for spoiled in [&packed[..packed.len() / 2], &[&packed[..], b"more"].concat(), b"no archive"] {
        fs::write(&rows, spoiled).unwrap();
        drops().expect(1, &[&archive]);
        assert!(kept.has("ev_2025_09"));
    }
    fs::write(&rows, &packed).unwrap();

    assert!(kept.has("ev_2025_09"));
    kept.rotate(NOW);
    assert!(!kept.has("ev_2025_09"));
}

#[test]
fn a_table_in_trouble_keeps_no_other_from_being_archived_and_dropped() {
    let rule = RULE.replace("grace = \"0\"", "grace = \"7d\"").replace("5 months", "3 months");
    let Some(kept) = Kept::new("archive_alone", &[MONTHS], &rule) else { return };
    kept.rotate(NOW);
    let archived = "select count(manifest) from pgtune_state.partition_ledger
        where dropped_at is null";
    assert_eq!(kept.count(archived), 3);
    kept.sql(
        "update pgtune_state.partition_ledger set archive = null, manifest = null;
         insert into ev_2025_09 values ('2025-09-02Z', 99, 'late')",
    );
    let rotate = || kept.project.run(&super::rotation(NOW));
    rotate().expect(1, &["ev_2025_09 is not what was archived"]);
    assert_eq!(kept.count(archived), 2);

    kept.sql("delete from ev_2025_09 where note = 'late'");
    kept.rotate(NOW);
    assert_eq!(kept.count(archived), 3);
    kept.sql(
        "create view seen as select * from ev_2025_09;
         update pgtune_state.partition_ledger set detached_at = '2026-03-01'",
    );
    rotate().expect(3, &["view seen depends on table ev_2025_09"]);
    assert_eq!(kept.count(archived), 1);
}

#[test]
fn an_archive_that_cannot_be_written_keeps_the_table() {
    let rule = RULE.replace("\"archive\"\n[[", "\"file/below\"\n[[");
    let Some(kept) = Kept::new("archive_unwritable", &[MONTHS], &rule) else { return };
    fs::write(kept.project.folder.path().join("file"), "").unwrap();
    let said = kept.project.run(&super::rotation(NOW));
    assert_ne!(said.code, 0, "{said}");
    assert!(kept.has("ev_2025_09"), "{said}");
    fs::remove_file(kept.project.folder.path().join("file")).unwrap();
    kept.rotate(NOW);
    assert!(!kept.has("ev_2025_09"));
}

/// How many events a restoration has, about.
const RESTORE_EVENTS: i32 = 8;

/// Dies at each event of a rotation that archives, and at some of the restorations of what the next
/// one archived.
fn dies_and_loses_no_row(test: &str, before: &[&str], rule: &str) {
    let Some(template) = Database::create(test) else { return };
    crate::project::run_plainly(&template.url, before);
    let rule = rule.replace("5 months", "4 months");
    let mut events = 0;
    loop {
        let kept = Kept::at(template.copy(), &rule);
        let before = kept.sum();
        let mut command = kept.project.command(&super::rotation(NOW));
        let died = command.env("PGTUNE_FAULT", (events + 1).to_string()).output().unwrap();
        assert!(died.status.code().is_none_or(|code| code == 0), "event {events}");
        kept.rotate(NOW);
        kept.check_done(NOW);
        assert!(!kept.has("ev_2025_09") && !kept.has("ev_2025_10"));
        assert_eq!(kept.archives().len(), 2);
        for archive in kept.archives() {
            let mut command = kept.project.command(&["partitions", "restore", &archive, "--yes"]);
            command.env("PGTUNE_FAULT", (events % RESTORE_EVENTS + 1).to_string());
            command.output().unwrap();
            kept.run(&format!("restore {archive} --yes")).expect(0, &[]);
        }
        assert_eq!(kept.sum(), before, "event {events}");
        check_tidy(&mut kept.connect());
        if died.status.success() {
            break;
        }
        events += 1;
    }
    assert!(events > 10, "only {events} events");
    say(&format!("{test}: died at each of {events} events"));
}

#[test]
fn death_at_every_event_loses_no_row() {
    dies_and_loses_no_row("archive_deaths", &[MONTHS], RULE);
}

#[test]
fn nor_does_it_of_hashes_below() {
    dies_and_loses_no_row("archive_below_deaths", &[BELOW], &rule_below());
}

#[test]
fn a_missing_place_stops_no_creation() {
    let rule = RULE.replace("to = \"archive\"", "to = \"s3://bucket\"");
    let Some(kept) = Kept::new("archive_nowhere", &[MONTHS], &rule) else { return };
    // Who archives nothing needs none.
    let said = kept.run("rotate --yes --as-of 2026-02-15");
    said.expect(0, &[]);
    assert!(!said.stderr.contains("credentials"), "{said}");
    let said = kept.project.run(&super::rotation(NOW));
    let text = "archive public.ev_2025_09: there are no credentials for s3://bucket";
    said.expect(2, &[text, "set AWS_ACCESS_KEY_ID"]);
    assert!(kept.has("ev_2026_04") && kept.has("ev_2025_09"));
}

#[test]
fn what_was_taken_away_by_name_stays() {
    let rule = RULE.replace("\"archive\"\ngrace", "\"drop\"\ngrace");
    let Some(kept) = Kept::new("archive_stays", &[MONTHS], &rule) else { return };
    kept.run("archive ev_2025_12 --yes --allow detach-partition").expect(0, &[]);
    kept.rotate(NOW);
    kept.check_done(NOW);
    assert!(kept.has("ev_2025_12") && !kept.has("ev_2025_09"));
}

#[test]
fn restoring_over_another_partition_is_refused() {
    let Some(kept) = Kept::new("restore_over", &[MONTHS], RULE) else { return };
    kept.rotate(NOW);
    kept.sql(
        "create table ev_2025_09 partition of ev
           for values from ('2025-09-01Z') to ('2025-10-01Z')",
    );
    let said = kept.run(&format!("restore {} --yes", kept.archives()[0]));
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stdout.contains("is there, and was not restored"), "{said}");
}

#[test]
fn a_partition_that_is_partitioned_by_hash_is_archived_whole_and_comes_back() {
    let Some(kept) = Kept::new("archive_below", &[BELOW], &rule_below()) else { return };
    let before = (kept.sum(), kept.described());
    kept.rotate(NOW);
    assert!(!kept.has("ev_2025_09") && !kept.has("\"EV 2025_09 0\"") && kept.has("ev_2025_10"));
    assert_eq!(kept.archives().len(), 1);
    kept.check_done(NOW);
    let manifest = fs::read_to_string(kept.file(&kept.archives()[0], "json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["version"], 2);
    assert_eq!(manifest["shape"]["below"]["columns"], serde_json::json!(["V, by", "at"]));
    assert_eq!(manifest["contents"]["rows"], 236);

    let restore = format!("restore {} --yes", kept.archives()[0]);
    // Somebody has the name of one of its partitions.
    kept.sql("create table \"EV 2025_09 1\" (precious int)");
    let said = kept.run(&restore);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stdout.contains("the name public.\"EV 2025_09 1\" is taken"), "{said}");
    kept.sql("drop table \"EV 2025_09 1\"");
    // A load that fails leaves the tables, and the next goes on with them.
    let rows = kept.file(&kept.archives()[0], "copy.zst");
    let packed = fs::read(&rows).unwrap();
    fs::write(&rows, &packed[..packed.len() / 2]).unwrap();
    kept.run(&restore).expect(1, &["is not what was written"]);
    assert!(kept.has("ev_2025_09"));
    fs::write(&rows, &packed).unwrap();
    kept.run(&restore).expect(0, &[]);
    kept.run(&restore).expect(0, &[]);
    assert_eq!(kept.sum(), before.0);
    kept.check_done(NOW);
    let same: Vec<String> = kept.described().lines().map(str::to_string).collect();
    let missing: Vec<&str> =
        before.1.lines().filter(|line| !same.iter().any(|s| s == line)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let full =
        "select count(*) from pg_class where relreplident = 'f' and relname like 'EV 2025_09%'";
    assert_eq!(kept.count(full), 3);
    // It takes rows, and can leave again.
    kept.sql("insert into ev (at, \"V, by\") values ('2025-09-03Z', 3)");
    kept.run("drop ev_2025_09 --yes --allow detach-partition --allow drop-partition")
        .expect(0, &[]);
    assert!(!kept.has("ev_2025_09"));
}

#[test]
fn a_late_row_in_any_partition_below_keeps_all() {
    let rule = rule_below().replace("grace = \"0\"", "grace = \"7d\"");
    let Some(kept) = Kept::new("archive_below_late", &[BELOW], &rule) else { return };
    kept.rotate(NOW);
    kept.sql("update pgtune_state.partition_ledger set detached_at = '2026-03-01'");
    let leaf = kept.texts(
        "select tableoid::regclass::text from ev_2025_09 where at = '2025-09-01 12:00Z'",
        &[],
    );
    let mut late = kept.connect();
    let change = format!("begin; update {} set note = 'late'", leaf[0]);
    late.batch_execute(&change).unwrap();
    let run = kept.start(NOW);
    // Not the drop waits for it, which would see no row any more: the comparison does.
    let waits = format!(
        "select count(*) from pg_locks where not granted and mode = 'ShareLock'
            and relation = '{}'::regclass",
        leaf[0]
    );
    eventually_some(&mut kept.connect(), "the comparison waits", &waits);
    late.batch_execute("commit").unwrap();
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(kept.has("ev_2025_09"));
    // A partition that somebody took out of it, with its rows.
    kept.sql(&format!("alter table ev_2025_09 detach partition {}", leaf[0]));
    kept.project.run(&super::rotation(NOW)).expect(2, &["not all those of one modulus"]);
    assert!(kept.has("ev_2025_09") && kept.has(&leaf[0]));
}

#[test]
fn what_cannot_be_archived_stays_attached() {
    let Some(kept) = Kept::new("archive_deeper", &[MONTHS], &RULE.replace("5", "3")) else {
        return;
    };
    kept.sql(
        "alter table ev drop constraint ev_pkey; drop table ev_2025_09, ev_2025_10;
         create table ev_2025_09 partition of ev for values
           from ('2025-09-01Z') to ('2025-10-01Z') partition by list (v);
         create table of_list partition of ev_2025_09 default;
         create table ev_2025_10 partition of ev for values
           from ('2025-10-01Z') to ('2025-11-01Z') partition by hash (v);
         create table deeper partition of ev_2025_10 for values with (modulus 1, remainder 0)
           partition by hash (v);
         create table deepest partition of deeper for values with (modulus 1, remainder 0);
         insert into ev values ('2025-09-09Z', 1), ('2025-10-10Z', 2)",
    );
    let before = kept.sum();
    let said = kept.rotate(NOW);
    for text in [
        "public.ev_2025_09 cannot be archived: it is partitioned by LIST [archive-not-possible]",
        "public.ev_2025_10 cannot be archived: its partition public.deeper is no ordinary table",
        "help: archive its partitions one by one",
    ] {
        assert!(said.stdout.contains(text), "{text}\n{said}");
    }
    assert!(!kept.has("ev_2025_11"), "the next one has left");
    kept.run(&format!("restore {} --yes", kept.archives()[0])).expect(0, &[]);
    assert_eq!(kept.sum(), before);
    let named = kept.run("archive ev_2025_10 --yes --allow detach-partition");
    assert_eq!(named.code, 1, "{named}");
    assert_eq!(kept.sum(), before);
    kept.run("archive deepest --yes --allow detach-partition").expect(0, &[]);
}

//! Rotations beside each other, beside migrations, and rules in trouble beside sound ones.

use super::{Kept, check_tidy, rotation};
use crate::project::{Migration, Project as Migrations, Run, eventually_some};
use crate::support::server;

const TABLE: &[&str] = &[
    "create table ev (at timestamptz not null, v int) partition by range (at)",
    "create table ev_2025_10 partition of ev
       for values from ('2025-10-01 00:00+00') to ('2025-11-01 00:00+00')",
    "create table ev_2026_03 partition of ev
       for values from ('2026-03-01 00:00+00') to ('2026-04-01 00:00+00')",
    "insert into ev select '2026-03-10 12:00+00', i from generate_series(1, 100) i",
];
const RULE: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 3\n\
    retention = \"3 months\"\nexpiry = \"drop\"\ngrace = \"0ms\"\n";
const NOW: &str = "2026-03-15";
const INDEX: &[Migration<'static>] = &[("V1__index", &["create index ev_v on ev (v)"])];

impl Kept {
    /// Each partition has exactly one index on `v`, and all are valid.
    #[track_caller]
    fn check_indexed(&self) {
        let other = "select count(*) from pg_partition_tree('ev') where 1 <> (
            select count(*) from pg_index i join pg_attribute a on a.attrelid = i.indrelid
              and a.attname = 'v' and i.indkey[0] = a.attnum
             where i.indrelid = relid and i.indisvalid)";
        assert_eq!(self.count(other), 0);
    }
}

#[test]
fn many_rotations_at_once_rotate_once() {
    let Some(kept) = Kept::new("at_once", TABLE, RULE) else { return };
    let runs: Vec<Run> = (0..6).map(|_| kept.start(NOW)).collect();
    for run in runs {
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    assert_eq!(kept.partitions("ev").len(), 4);
    assert_eq!(kept.count("select count(*) from pgtune_state.partition_ledger"), 1);
    kept.check_done(NOW);
}

#[test]
fn a_rotation_waits_for_an_index_build_on_its_table() {
    let Some(kept) = Kept::new("beside_build", TABLE, RULE) else { return };
    let migrations = Migrations::with(&kept.database.url, INDEX);
    // The build waits for this snapshot, and nothing else does.
    let mut holder = kept.connect();
    holder.batch_execute("begin isolation level repeatable read; select 1").unwrap();
    let build = migrations.start();
    let waits = "select count(*) from pg_stat_progress_create_index p
        join pg_stat_activity a using (pid)
        where a.datname = current_database() and p.phase like 'waiting%'";
    eventually_some(&mut kept.connect(), "a build waits", waits);
    let rotation = kept.start(NOW);
    rotation.says("waiting for another pgtune");
    holder.batch_execute("commit").unwrap();
    for outcome in [build.finish(), rotation.finish()] {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    kept.check_indexed();
    kept.check_done(NOW);
    migrations.apply_nothing();
}

#[test]
fn rotations_and_migrations_side_by_side() {
    let Some(kept) = Kept::new("beside_migrate", TABLE, RULE) else { return };
    let migrations = Migrations::with(&kept.database.url, INDEX);
    let runs: Vec<Run> = (0..4).flat_map(|_| [migrations.start(), kept.start(NOW)]).collect();
    for run in runs {
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    kept.check_indexed();
    kept.check_done(NOW);
}

#[test]
fn an_index_that_is_half_there_is_completed_later() {
    let Some(kept) = Kept::new("half_index", TABLE, RULE) else { return };
    // What a killed run of `migrate` leaves.
    kept.sql("create index ev_v on only ev (v); create index ev_2026_03_v on ev_2026_03 (v)");
    let said = kept.project.run(&rotation(NOW));
    said.expect(0, &[]);
    let index: Migration<'_> = ("V1__index", &["create index if not exists ev_v on ev (v)"]);
    Migrations::with(&kept.database.url, &[index]).apply();
    kept.check_indexed();
    kept.check_done(NOW);
}

const TROUBLE: &[&str] = &[
    "create table plain (at date)",
    "create table taken (at date) partition by range (at)",
    "create table taken_2026_04 (precious int)",
    "create table foreign_owner (at date) partition by range (at)",
    "create table secret (at date) partition by range (at)",
    "create table secret_rest partition of secret default",
    "create table odd (at date) partition by range (at)",
    "create table odd_old partition of odd for values from (minvalue) to ('0044-03-15 BC')",
    "create table sound (at date) partition by range (at)",
    "create table sound_old partition of sound for values from (minvalue) to ('2020-01-01')",
];
const TROUBLED: &[&str] = &["missing", "plain", "taken", "foreign_owner", "secret", "odd", "sound"];

#[test]
fn rules_in_trouble_stop_no_others() {
    let Some(kept) = Kept::new("trouble", TROUBLE, "") else { return };
    if server().is_none() {
        return;
    }
    kept.sql(
        "do $$ begin create role part_limited; exception when others then end $$;
         do $$ begin execute format('grant create on database %I to part_limited',
           current_database()); end $$;
         grant all on schema public to part_limited;
         alter table taken owner to part_limited; alter table odd owner to part_limited;
         alter table secret owner to part_limited; alter table sound owner to part_limited;
         alter table sound_old owner to part_limited;
         grant select on foreign_owner to part_limited",
    );
    let rule = |table: &&str| {
        format!(
            "[[partitions]]\ntable = \"{table}\"\ninterval = \"month\"\nahead = 1\n\
             retention = \"1 month\"\n"
        )
    };
    let rules: String = TROUBLED.iter().map(rule).collect();
    kept.project.profile(format!("[database]\nrole = \"part_limited\"\n{rules}"));

    let dry = kept.run("rotate --dry-run --as-of 2026-03-15");
    assert_eq!(dry.code, 1, "{dry}");
    let said = kept.project.run(&rotation(NOW));
    assert_ne!(said.code, 0, "{said}");
    assert!(said.stdout.contains("6 of 7 tables failed"), "{said}");
    for (table, why) in [
        ("missing", "there is no such table"),
        ("plain", "the table is not partitioned"),
        ("taken", "the name public.taken_2026_04 is taken by something else"),
        ("foreign_owner", "create public.foreign_owner_2026_03: must be "),
        ("secret", "permission denied for table secret_rest"),
        ("odd", "cannot read the bound"),
        ("sound", "up to date"),
    ] {
        let line = said.stdout.lines().find(|line| line.starts_with(&format!("{table} ")));
        let line = line.unwrap_or_else(|| panic!("{table}: {said}"));
        assert!(line.contains(why), "{table}: {why}: {said}");
        // What was planned and not done is not counted.
        let created = line.split_whitespace().nth(1);
        assert_eq!(created, Some(if table == "sound" { "3" } else { "0" }), "{said}");
    }
    assert_eq!(
        kept.partitions("sound"),
        [
            "sound_2026_02 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
            "sound_2026_03 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
            "sound_2026_04 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')",
        ]
    );
    assert_eq!(kept.partitions("taken"), Vec::<String>::new());
    assert_eq!(kept.count("select count(*) from pg_attribute where attname = 'precious'"), 1);
    check_tidy(&mut kept.connect());
}

#[test]
fn two_rules_for_one_table_do_nothing_to_it() {
    let before = [
        "create table ev (at date not null) partition by range (at)",
        "create table ev_old partition of ev for values from ('2025-01-01') to ('2025-02-01')",
        "create table other (at date not null) partition by range (at)",
    ];
    let rule = |table: &str, more: &str| {
        format!("[[partitions]]\ntable = \"{table}\"\ninterval = \"month\"\nahead = 1\n{more}")
    };
    let rules = [
        rule("ev", ""),
        rule("public.ev", "retention = \"3 months\"\nexpiry = \"drop\"\ngrace = \"0\"\n"),
        rule("other", ""),
    ];
    let Some(kept) = Kept::new("two_rules", &before, &rules.concat()) else { return };
    let said = kept.project.run(&rotation(NOW));
    said.expect(1, &[]);
    assert!(said.stdout.contains("2 rules of the profile are about public.ev"), "{said}");
    assert_eq!(kept.partitions("ev").len(), 1);
    assert_eq!(kept.partitions("other").len(), 2);
    kept.run("create --yes --table ev").expect(1, &[]);
    let said = kept.run("check --table ev");
    said.expect(1, &[]);
    assert!(said.stdout.contains("2 rules of the profile are about public.ev"), "{said}");
}

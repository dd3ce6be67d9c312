//! A DEFAULT partition lets others in without being read under a lock, and is never left closed.

use super::{Kept, check_tidy};
use crate::support::server;

const KEYS: &[(&str, &str, &str)] = &[
    ("tz", "timestamptz", ""),
    ("ts", "timestamp", ""),
    ("date", "date", ""),
    ("ms", "bigint", "epoch_unit = \"ms\"\n"),
    ("s", "int", "epoch_unit = \"s\"\n"),
    ("uuid", "uuid", ""),
];

/// What the server's log says, which tests beside this one write to as well.
fn log() -> String {
    std::fs::read_to_string(server().unwrap().folder.join("log")).unwrap()
}

fn logged(text: &str) -> usize {
    log().matches(text).count()
}

#[test]
fn a_default_partition_is_not_read_under_a_lock() {
    let mut before = Vec::new();
    let mut rules = String::new();
    for (name, key_type, unit) in KEYS {
        for (columns, table) in [("k", format!("d_{name}")), ("k, v", format!("dd_{name}"))] {
            before.push(format!(
                "create table {table} (k {key_type}, v text) partition by range ({columns});
                 create table {table}_rest partition of {table} default;
                 insert into {table} values (null, 'x')"
            ));
            rules += &format!(
                "[[partitions]]\ntable = \"{table}\"\ninterval = \"month\"\nahead = 3\n{unit}"
            );
        }
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let Some(kept) = Kept::new("default_proof", &before, &rules) else { return };
    // The debug messages say what was proven, and what was read.
    kept.sql(
        "do $$ begin execute format('alter database %I set log_min_messages = debug1',
           current_database()); end $$",
    );
    kept.rotate("2026-03-15");
    for (name, ..) in KEYS {
        for table in [format!("d_{name}"), format!("dd_{name}")] {
            let implied = format!(
                "updated partition constraint for default partition \"{table}_rest\" is implied by \
                 existing constraints"
            );
            assert_eq!(logged(&implied), 4, "{table}: one check proves all four");
            // VALIDATE reads it once, under a lock that stops no rows.
            assert!(logged(&format!("verifying table \"{table}_rest\"")) <= 1, "{table}");
            assert_eq!(kept.partitions(&table).len(), 5);
        }
    }
    check_tidy(&mut kept.connect());
    let before = logged("verifying table \"d_tz_rest\"");
    // Without the check it is read, and the log says so.
    kept.sql(
        "create table d_tz_plain (k timestamptz, v text);
         alter table d_tz attach partition d_tz_plain
           for values from ('2031-01-01 00:00+00') to ('2031-02-01 00:00+00')",
    );
    assert_eq!(logged("verifying table \"d_tz_rest\""), before + 1);
}

#[test]
fn nor_is_the_one_beside_lists() {
    let keys = [
        ("text", r#"["b"]"#, r#"["a, 'b'", "c"]"#),
        ("varchar(9)", r#"["b", "c"]"#, r#"["d"]"#),
        ("int", r#"["7"]"#, r#"["-8", "9"]"#),
        ("bigint", r#"["1"]"#, r#"["5000000000"]"#),
        ("date", r#"["2026-01-01"]"#, r#"["2026-01-02", "2026-01-03"]"#),
    ];
    let (mut before, mut rules) = (Vec::new(), String::new());
    for (number, (key, first, second)) in keys.iter().enumerate() {
        before.push(format!(
            "create table li_{number} (\"K\" {key}, v int) partition by list (\"K\");
             create table li_{number}_rest partition of li_{number} default;
             insert into li_{number} values (null, 1)"
        ));
        rules += &format!(
            "[[partitions]]\ntable = \"li_{number}\"\n\
             lists = {{ l{number}_b = {first}, l{number}_c = {second} }}\n"
        );
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let Some(kept) = Kept::new("default_lists", &before, &rules) else { return };
    kept.sql(
        "do $$ begin execute format('alter database %I set log_min_messages = debug1',
           current_database()); end $$",
    );
    // A few rows are moved instead.
    kept.sql("insert into li_2 values (-8, 3)");
    kept.run("rotate --yes").expect(0, &["create 2 partitions with their rows in DEFAULT"]);
    assert_eq!(kept.count("select count(*) from l2_c"), 1);
    assert_eq!(kept.count("select count(*) from only li_2_rest"), 1);
    for (number, (key, ..)) in keys.iter().enumerate() {
        let implied = format!(
            "updated partition constraint for default partition \"li_{number}_rest\" is implied \
             by existing constraints"
        );
        assert_eq!(logged(&implied), if number == 2 { 0 } else { 2 }, "{key}");
        assert_eq!(kept.partitions(&format!("li_{number}")).len(), 3);
    }
    check_tidy(&mut kept.connect());
    let said = kept.run("rotate --yes");
    assert!(said.stdout.starts_with("nothing to do"), "{said}");
}

const TWO: &[&str] = &[
    "create table ev (at timestamptz, v int) partition by range (at)",
    "create table ev_rest partition of ev default partition by list (v)",
    "create table ev_rest_1 partition of ev_rest default",
    "create table other (at date) partition by range (at)",
    "create table other_rest partition of other default",
];
const TWO_RULES: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n\
    [[partitions]]\ntable = \"other\"\ninterval = \"month\"\nahead = 1\n";

#[test]
fn rows_in_the_way_stop_one_rule_only() {
    let Some(kept) = Kept::new("default_rows", TWO, TWO_RULES) else { return };
    kept.sql(
        "insert into ev values (null, 1), ('2026-04-30 23:59+00', 2), ('2026-05-01 00:00+00', 3),
           ('2026-02-28 23:59+00', 4)",
    );
    let before = kept.partitions("ev");
    for arguments in ["rotate --dry-run --as-of 2026-03-15", "rotate --yes --as-of 2026-03-15"] {
        let said = kept.run(arguments);
        said.expect(1, &[]);
        assert!(said.stdout.contains("[default-holds-rows]"), "{said}");
        assert!(said.stdout.contains("public.ev_rest holds rows of partitions"), "{said}");
    }
    assert_eq!(kept.partitions("ev"), before);
    assert_eq!(kept.partitions("other").len(), 3);
    assert_eq!(kept.count("select count(*) from ev"), 4);
    check_tidy(&mut kept.connect());
    let sql = kept.run("rotate --dry-run --sql --as-of 2026-03-15");
    assert!(!sql.stdout.contains("ALTER TABLE public.ev"), "{sql}");
    kept.sql("delete from ev where v = 2");
    kept.rotate("2026-03-15");
    assert_eq!(kept.partitions("ev").len(), 4);
    assert_eq!(kept.count("select count(*) from ev"), 3);
    kept.check_done("2026-03-15");
}

#[test]
fn a_creation_that_fails_leaves_the_default_partition_open() {
    let Some(kept) = Kept::new("default_open", TWO, TWO_RULES) else { return };
    // A view of this name is seen by the server only.
    kept.sql("create view ev_2026_04 as select 1");
    let said = kept.run("rotate --yes --as-of 2026-03-15");
    said.expect(3, &["ev: create public.ev_2026_04: ", "already exists"]);
    check_tidy(&mut kept.connect());
    kept.sql("insert into ev values ('2026-04-15', 1)");
    assert_eq!(kept.partitions("other").len(), 3);
    kept.sql("drop view ev_2026_04; delete from ev");
    kept.rotate("2026-03-15");
    kept.check_done("2026-03-15");
}

#[test]
fn what_a_killed_run_left_is_taken_away_also_where_the_rule_fails() {
    for event in 1.. {
        let Some(kept) = Kept::new("default_killed", TWO, TWO_RULES) else { return };
        let mut command = kept.project.command(&super::rotation("2026-03-15"));
        command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
        let proofs = "select count(*) from pg_constraint where convalidated
            and conname like 'pgtune_no_rows%' and conrelid = 'ev_rest'::regclass";
        if kept.count(proofs) == 0 {
            assert!(event < 50, "no event after which the proof is there");
            continue;
        }
        let closed = || format!("{}", kept.run("check --as-of 2026-03-15"));
        assert!(closed().contains("[default-closed]"), "{}", closed());
        kept.sql("create table ev_2026_04 (a int)");
        let said = kept.run("rotate --yes --as-of 2026-03-15");
        assert_eq!(said.code, 1, "{said}");
        assert!(format!("{said}").contains("public.ev_2026_04 is taken"), "{said}");
        check_tidy(&mut kept.connect());
        assert!(!closed().contains("[default-closed]"), "{}", closed());
        kept.sql("insert into ev values ('2026-04-15', 1)");
        return;
    }
}

#[test]
fn a_row_without_a_further_part_of_its_key_stays_in_default() {
    let before = "
        create table ev (at date, \"Part\" int) partition by range (at, \"Part\");
        create table ev_d partition of ev default;
        insert into ev values ('2026-03-05', 1), ('2026-03-06', null), ('2026-04-05', 2)";
    let rule = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";
    let Some(kept) = Kept::new("default_further", &[before], rule) else { return };
    kept.rotate("2026-03-15");
    assert_eq!(kept.partitions("ev").len(), 3);
    assert_eq!(kept.count("select count(*) from ev"), 3);
    assert_eq!(kept.count("select count(*) from ev_d"), 1);
    kept.rotate("2026-04-15");
    kept.check_done("2026-04-15");
    assert_eq!(kept.count("select count(*) from ev_d where \"Part\" is null"), 1);
    check_tidy(&mut kept.connect());
}

#[test]
fn rows_that_a_policy_hides_close_no_default_partition() {
    let before = "
        create table ev (at date not null) partition by range (at);
        create table ev_d partition of ev default;
        insert into ev values ('2026-03-05');
        alter table ev_d enable row level security;
        alter table ev_d force row level security;
        do $$ begin create role part_hides; exception when others then end $$;
        grant all on schema public to part_hides;
        alter table ev owner to part_hides;
        alter table ev_d owner to part_hides";
    let rule = "[database]\nrole = \"part_hides\"\n[[partitions]]\ntable = \"ev\"\n\
        interval = \"month\"\nahead = 1\n";
    let Some(kept) = Kept::new("default_hidden", &[before], rule) else { return };
    let said = kept.run("rotate --yes --as-of 2026-03-15");
    said.expect(1, &[]);
    assert!(said.stdout.contains("row-level security"), "{said}");
    assert!(!format!("{said}").contains("add a check"), "{said}");
    let said = kept.run("check --as-of 2026-03-15");
    assert!(said.stdout.contains("[default-unknown]"), "{said}");
}

#[test]
fn a_move_shows_what_its_foreign_keys_lock() {
    let before = "
        create table app (id int primary key);
        create table ev (at date not null, app int references app) partition by range (at);
        create table ev_d partition of ev default;
        insert into ev values ('2026-03-05', null)";
    let rule = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";
    let Some(kept) = Kept::new("default_locks", &[before], rule) else { return };
    let said = kept.run("rotate --dry-run --as-of 2026-03-15");
    said.expect(0, &[]);
    assert!(said.stdout.contains("with their rows in DEFAULT"), "{said}");
    assert!(said.stdout.contains("SHARE ROW EXCLUSIVE on public.app"), "{said}");
}

#[test]
fn rows_in_a_small_default_move_to_where_they_belong() {
    let before = "
        create table ev (id int generated always as identity, at date, note text,
                         twice int generated always as (length(note) * 2) stored)
          partition by range (at);
        create table ev_d (note text, at date, id int not null,
                           twice int generated always as (length(note) * 2) stored);
        alter table ev attach partition ev_d default;
        insert into ev (at, note) values ('2026-03-01', 'a'), ('2026-03-31', null),
          ('2026-04-01', 'b'), ('2020-01-01', 'old'), (null, 'none')";
    let rule = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";
    let Some(kept) = Kept::new("default_moves", &[before], rule) else { return };
    let rows = "select string_agg(ev::text, ' ' order by id) from ev";
    let all = kept.texts(rows, &[]);
    kept.rotate("2026-03-15");
    assert_eq!(kept.texts(rows, &[]), all);
    assert_eq!(kept.count("select count(*) from ev_2026_03"), 2);
    assert_eq!(kept.count("select count(*) from ev_2026_04"), 1);
    assert_eq!(kept.count("select count(*) from ev_d"), 2);
    kept.check_done("2026-03-15");
}

/// A table with ten megabytes in its DEFAULT partition.
const LARGE: &str = "
    create table ev (at date not null, v int not null, filler text) partition by range (at);
    create table ev_d partition of ev default;
    alter table ev_d alter filler set storage plain;
    insert into ev select '2026-03-01', 1, repeat('x', 4000) from generate_series(1, 2500)";

#[test]
fn what_is_in_the_way_of_the_ways_out_is_said() {
    let rule = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";
    let own = "create trigger own after insert on ev_d for each row
        execute function suppress_redundant_updates_trigger()";
    let key = "delete from ev where ctid <> '(0,1)'; alter table ev add primary key (at);
        create table from_here (at date references ev)";
    for (more, why) in [
        (own, "has a trigger of its own, own"),
        ("create publication p for table ev_d", "a publication shows it by its own name"),
        ("create publication p for all tables", "a publication shows it by its own name"),
        (key, "a foreign key of public.from_here points at it"),
    ] {
        let Some(kept) = Kept::new("default_stuck", &[LARGE, more], rule) else { return };
        let said = kept.run("rotate --yes --as-of 2026-03-15");
        assert_eq!(said.code, 1, "{said}");
        let holds = "public.ev_d holds rows of partitions that are to be created, and ";
        assert!(said.stdout.contains(&format!("{holds}{why}")), "{said}");
        assert_eq!(kept.partitions("ev"), ["ev_d DEFAULT"]);
    }
}

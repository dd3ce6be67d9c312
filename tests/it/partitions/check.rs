//! `pgtune partitions check`, `list` and `drop`.

use super::Kept;

const RULES: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 2\n\
    retention = \"3 months\"\nexpiry = \"drop\"\n";
const TABLE: &str = "create table ev (at timestamptz not null) partition by range (at)";

#[test]
fn the_gate_says_how_long_partitions_last() {
    let Some(kept) = Kept::new("check", &[TABLE], RULES) else { return };
    let none = kept.run("check --as-of 2026-03-15");
    none.expect(1, &["partitions need attention"]);
    assert!(none.stdout.contains("rows of this moment have no partition [runway]"), "{none}");
    kept.rotate("2026-03-15");
    let fine = kept.run("check --strict --as-of 2026-03-31T23:59:59Z");
    fine.expect(0, &[]);
    assert!(fine.stdout.contains("1 table is in order"), "{fine}");
    assert!(fine.stdout.contains("2026-06-01 00:00"), "{fine}");
    let short = kept.run("check --as-of 2026-04-01");
    short.expect(0, &[]);
    assert!(short.stdout.contains("1 of 2 months are ready [runway]"), "{short}");
    kept.run("check --strict --as-of 2026-04-01").expect(1, &[]);
    let last = kept.run("check --as-of 2026-05-01");
    last.expect(1, &[]);
    assert!(last.stdout.contains("0 of 2 months are ready [runway]"), "{last}");
    let overdue = kept.run("check --as-of 2026-07-01");
    assert!(overdue.stdout.contains("1 partition is past the retention"), "{overdue}");
}

#[test]
fn gaps_defaults_and_zones_are_found() {
    let tables = [
        TABLE,
        "create table ev_1 partition of ev
           for values from ('2026-02-28 23:00Z') to ('2026-03-31 22:00Z')",
        "create table ev_2 partition of ev
           for values from ('2026-04-30 22:00Z') to ('2026-05-31 22:00Z')",
        "create table ev_d partition of ev default",
        "insert into ev values ('2020-01-01Z')",
    ];
    let Some(kept) = Kept::new("check_odd", &tables, RULES) else { return };
    let said = kept.run("check --as-of 2026-03-15");
    said.expect(1, &[]);
    for text in [
        "no partition holds '2026-03-31 22:00:00+00' to '2026-04-30 22:00:00+00' [gap]",
        "the DEFAULT partition holds rows [default-rows]",
        "begins at no month of UTC [zone-drift]",
        "all begin at one of ",
    ] {
        assert!(said.stdout.contains(text), "{text}\n{said}");
    }
    let metrics = kept.run("check --prometheus --as-of 2026-03-15");
    for text in [
        "# TYPE pgtune_partitions_gaps gauge\npgtune_partitions_gaps{table=\"public.ev\"} 1\n",
        "pgtune_partitions_default_holds_rows{table=\"public.ev\"} 1\n",
        "pgtune_partitions_rules 1\n",
    ] {
        assert!(metrics.stdout.contains(text), "{text}\n{metrics}");
    }
}

/// One DEFAULT partition that the role may not read, one that is locked, and a sound one.
#[test]
fn a_default_partition_that_cannot_be_read_hides_nothing_else() {
    let table = |name: &str| {
        format!(
            "create table {name} (at timestamptz not null) partition by range (at);
             create table {name}_d partition of {name} default;
             insert into {name} values ('2020-01-01Z'); grant select on {name} to part_limited"
        )
    };
    let role = "do $$ begin create role part_limited; exception when others then end $$";
    let tables = [role, &table("ev"), &table("held"), &table("fine")];
    let rules: String =
        ["ev", "held", "fine"].map(|t| RULES.replace("\"ev\"", &format!("\"{t}\""))).concat();
    let Some(kept) = Kept::new("check_unknown", &tables, &rules) else { return };
    kept.rotate("2026-03-15");
    kept.sql("grant select on held_d, fine_d to part_limited");
    kept.project.profile(format!("[database]\nrole = \"part_limited\"\n{rules}"));
    let mut holder = kept.connect();
    holder.batch_execute("begin; lock table held_d in access exclusive mode").unwrap();
    let said = kept.run("check --as-of 2026-03-15");
    said.expect(0, &[]);
    for text in [
        "public.ev    cannot look into public.ev_d: permission denied for table ev_d",
        "public.held  cannot look into public.held_d: canceling statement due to lock timeout",
        "public.fine  the DEFAULT partition holds rows [default-rows]",
        "[default-unknown]",
        "help: grant the role SELECT on it",
        "help: somebody holds a lock on it",
    ] {
        assert!(said.stdout.contains(text), "{text}\n{said}");
    }
    assert_eq!(said.stdout.matches("2026-06-01 00:00").count(), 3, "{said}");
    kept.run("check --strict --as-of 2026-03-15 --table ev").expect(1, &[]);
    let json = kept.run("check --json --as-of 2026-03-15 --table ev --table fine").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sections = json["sections"].as_array().unwrap().iter();
    let findings = sections.filter_map(|section| section["findings"].as_array()).flatten();
    let checks: Vec<&str> = findings.filter_map(|finding| finding["check"].as_str()).collect();
    assert_eq!(checks, ["default-unknown", "default-rows"]);
    let metrics = kept.run("check --prometheus --as-of 2026-03-15 --table ev --table fine").stdout;
    for (text, times) in [
        ("pgtune_partitions_default_unknown{table=\"public.ev\"} 1\n", 1),
        ("pgtune_partitions_default_unknown{table=\"public.fine\"} 0\n", 1),
        ("pgtune_partitions_default_holds_rows{table=\"public.fine\"} 1\n", 1),
        ("pgtune_partitions_default_holds_rows{table=\"public.ev\"}", 0),
        ("pgtune_partitions_ahead{table=\"public.ev\"} 2\n", 1),
    ] {
        assert_eq!(metrics.matches(text).count(), times, "{text}\n{metrics}");
    }
}

#[test]
fn rules_that_do_not_fit_stop_nothing_but_say_so() {
    let tables = [TABLE, "create table plain (a int)"];
    let rules = format!("{RULES}[[partitions]]\ntable = \"plain\"\ninterval = \"day\"\n");
    let Some(kept) = Kept::new("check_rules", &tables, &rules) else { return };
    let said = kept.run("rotate --yes --as-of 2026-03-15");
    assert_eq!(said.code, 1, "{said}");
    assert_eq!(kept.partitions("ev").len(), 3);
    let said = kept.run("check --as-of 2026-03-15");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stdout.contains("the table is not partitioned"), "{said}");
    kept.run("rotate --table evv").expect(2, &["did you mean ev?"]);
}

#[test]
fn the_list_shows_tables_with_and_without_rules() {
    let tables = [
        TABLE,
        "create table h (a int) partition by hash (a)",
        "create table h_0 partition of h for values with (modulus 1, remainder 0)",
    ];
    let Some(kept) = Kept::new("list", &tables, RULES) else { return };
    kept.rotate("2026-03-15");
    let said = kept.run("list --as-of 2026-03-15");
    said.expect(0, &[]);
    for text in ["public.ev by RANGE (at)", "present", "ahead", "^ now", "public.h by HASH (a)"] {
        assert!(said.stdout.contains(text), "{text}\n{said}");
    }
    kept.run("list nothing").expect(2, &["there is no partitioned table nothing"]);
}

#[test]
fn single_partitions_are_dropped_by_name() {
    let Some(kept) = Kept::new("drop", &[TABLE], RULES) else { return };
    kept.rotate("2026-03-15");
    kept.run("drop ev_2026_05 --yes").expect(1, &[]);
    assert_eq!(kept.partitions("ev").len(), 3);
    let allowed = "--yes --allow detach-partition --allow drop-partition";
    kept.run(&format!("drop ev_2026_05 ev_2026_04 {allowed}")).expect(0, &[]);
    assert_eq!(kept.partitions("ev").len(), 1);
    kept.run(&format!("drop ev {allowed}")).expect(2, &["is no partition"]);
}

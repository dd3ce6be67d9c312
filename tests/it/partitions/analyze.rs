//! The planner's knowledge of new partitions, after a run that ended before it gave them any.

use super::Kept;

/// What a run leaves that was stopped before ANALYZE, beside what it must not look at.
const TABLES: &[&str] = &[
    "create table ev (at timestamptz not null, v text) partition by range (at)",
    "create table ev_2026_02 partition of ev
       for values from ('2026-02-01 00:00+00') to ('2026-03-01 00:00+00')",
    "create table ev_2026_03 partition of ev
       for values from ('2026-03-01 00:00+00') to ('2026-04-01 00:00+00')",
    "create table ev_2026_04 partition of ev
       for values from ('2026-04-01 00:00+00') to ('2026-05-01 00:00+00') partition by hash (v)",
    "create table ev_2026_04_p0 partition of ev_2026_04 for values with (modulus 1, remainder 0)",
    "create table ev_rest partition of ev default",
    "create table h (a int) partition by hash (a)",
    "create table h_p0 partition of h for values with (modulus 1, remainder 0)",
];
const RULES: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n\
    [[partitions]]\ntable = \"h\"\nmodulus = 1\n";
const NOW: &str = "2026-03-15";

impl Kept {
    /// The tables that were analyzed.
    fn analyzed(&self) -> Vec<String> {
        let query = "select relname::text from pg_class where relkind = 'r' and reltuples >= 0
            and relnamespace = 'public'::regnamespace order by 1";
        self.texts(query, &[])
    }
}

#[test]
fn what_was_not_analyzed_is_analyzed_by_the_next_run() {
    let Some(kept) = Kept::new("analyze_later", TABLES, RULES) else { return };
    let said = kept.rotate(NOW);
    assert!(said.stderr.contains("ANALYZE public.ev_2026_03, public.ev_2026_04_p0"), "{said}");
    assert_eq!(kept.analyzed(), ["ev_2026_03", "ev_2026_04_p0", "h_p0"]);
    kept.check_done(NOW);
}

#[test]
fn what_holds_much_is_not_analyzed() {
    let Some(kept) = Kept::new("analyze_large", TABLES, RULES) else { return };
    kept.sql(
        "alter table ev_2026_03 set (autovacuum_enabled = false);
         insert into ev select '2026-03-10', repeat('x', 1000) from generate_series(1, 9000)",
    );
    kept.rotate(NOW);
    assert_eq!(kept.analyzed(), ["ev_2026_04_p0", "h_p0"]);
    kept.check_done(NOW);
}

/// ANALYZE of a table that is not the role's only warns: it would be tried for ever.
#[test]
fn what_is_not_the_roles_own_is_left_alone() {
    let Some(kept) = Kept::new("analyze_other", TABLES, "") else { return };
    kept.sql(
        "do $$ begin create role part_limited; exception when others then end $$;
         grant all on schema public to part_limited;
         alter table ev owner to part_limited; alter table ev_rest owner to part_limited;
         alter table ev_2026_03 owner to part_limited; alter table h owner to part_limited",
    );
    kept.project.profile(format!("[database]\nrole = \"part_limited\"\n{RULES}"));
    kept.rotate(NOW);
    assert_eq!(kept.analyzed(), ["ev_2026_03"]);
    kept.check_done(NOW);
}

#[test]
fn what_somebody_holds_is_analyzed_another_time() {
    let Some(kept) = Kept::new("analyze_held", &TABLES[6..], "") else { return };
    kept.project.profile("[[partitions]]\ntable = \"h\"\nmodulus = 2\n");
    kept.sql("drop table h_p0");
    kept.rotate(NOW);
    kept.sql("truncate h");
    assert_eq!(kept.analyzed(), Vec::<String>::new());
    let mut holder = kept.connect();
    holder.batch_execute("begin; lock table h_p0 in access exclusive mode").unwrap();
    let said = kept.rotate(NOW);
    assert!(said.stdout.starts_with("nothing to do"), "{said}");
    holder.batch_execute("commit").unwrap();
    kept.rotate(NOW);
    assert_eq!(kept.analyzed(), ["h_p0", "h_p1"]);
}

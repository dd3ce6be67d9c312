//! Test only: the examples of each check, in a database whose sizes are made up. They are also what
//! `docs/checks.md` shows.

use std::collections::BTreeSet;

use super::table::CHECKS;
use super::world::{Seen, World};
use super::{File, lint};
use crate::model::check::CheckRules;
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName, parse_name};
use crate::model::snapshot::{ColumnStatistics, RelationSize, ServerFacts, Snapshot};
use crate::sql;

/// What the database of the examples holds.
pub const GIVEN: &str = include_str!("examples/given.sql");
/// What ANALYZE has seen of its columns.
pub const SEEN: &[(&str, &str, Seen)] = &[
    ("settings", "value", Seen { null_fraction: 0.05, repeats: false }),
    ("settings", "position", Seen { null_fraction: 0.0, repeats: true }),
];
/// How large its tables are, in bytes.
pub const SIZES: &[(&str, u64)] =
    &[("accounts", 6 << 30), ("events", 40 << 30), ("settings", 8 << 10)];

fn world() -> World {
    let mut world = World::default();
    world.begin_file();
    for statement in sql::parse(GIVEN).unwrap() {
        world.follow(&statement.text, None);
    }
    for (name, bytes) in SIZES {
        let name = world.resolve(&parse_name(name).unwrap()).unwrap();
        world.tables.get_mut(&name).unwrap().bytes = *bytes;
    }
    for (table, column, seen) in SEEN {
        let name = world.resolve(&parse_name(table).unwrap()).unwrap();
        let columns = &mut world.tables.get_mut(&name).unwrap().columns;
        columns.get_mut(&Ident::from_sql(column)).unwrap().seen = *seen;
    }
    world
}

/// What is found in one file.
pub fn found(sql: &str) -> Vec<Finding> {
    let statements = sql::parse(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let file = File { path: "V1__example.sql", statements: &statements };
    lint(&[file], world(), &CheckRules::default()).findings
}

/// `check:line`, for each finding.
fn shown(sql: &str) -> Vec<String> {
    let line = |finding: &Finding| finding.place.as_ref().map_or(0, |place| place.line);
    found(sql).iter().map(|finding| format!("{}:{}", finding.check, line(finding))).collect()
}

#[test]
fn each_example_is_found_by_its_own_check_alone() {
    for check in CHECKS {
        let bad: Vec<String> = found(check.bad).into_iter().map(|f| f.check).collect();
        assert_eq!(bad, [check.id], "{}", check.bad);
        assert_eq!(found(check.good), [], "{}", check.id);
    }
}

#[test]
fn checks_have_names_of_their_own() {
    let names: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(names.len(), CHECKS.len());
    for check in CHECKS {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(check.id.chars().all(is_kebab), "{}", check.id);
    }
}

#[test]
fn findings_stand_at_their_lines() {
    let sql = "-- a comment\n\nALTER TABLE events\n  ADD COLUMN a int,\n  \
               ALTER COLUMN account_id TYPE numeric,\n  ADD CHECK (id > 0);\nselect 1;\n\
               DO $$ BEGIN\n  EXECUTE 'CREATE INDEX ON events (kind)';\nEND $$;\n";
    assert_eq!(
        shown(sql),
        ["table-rewrite:5", "table-scan-under-lock:6", "blocking-index-build:9"]
    );
}

#[test]
fn what_rewrites_a_table() {
    for (sql, expected) in [
        ("alter table events alter kind type varchar(10)", true),
        ("alter table events alter kind type varchar(30)", false),
        ("alter table events alter kind type text using lower(kind)", true),
        ("alter table events alter kind type text using kind::text", false),
        ("alter table events add a uuid default gen_random_uuid()", true),
        ("alter table events add a timestamptz default now()", false),
        ("alter table events add a text default lower('X')", false),
        ("alter table events add a text default my_function()", true),
        ("alter table events add a timestamp default (now() at time zone 'utc')", false),
        ("alter table events add a date default current_date", false),
        ("alter table events add a int default -1", false),
        ("alter table events add a numeric default (round(2.5)::numeric(5,1))", false),
        ("alter table events add a bigint default nextval('s')", true),
        ("alter table events add a timestamptz default (clock_timestamp())", true),
        ("alter table events add a bigint generated always as identity", true),
        ("alter table events add a bigserial", true),
        ("alter table events add a text generated always as (kind || 'x') stored", true),
        ("alter table events set tablespace fast", true),
        ("alter table events set (fillfactor = 70)", false),
        ("vacuum full events", true),
        ("vacuum events", false),
        ("cluster events using events_pkey", true),
        ("alter table settings add a uuid default gen_random_uuid()", false),
        ("create table n (a int); alter table n alter a type text", false),
    ] {
        let checks = shown(sql);
        assert_eq!(checks.contains(&"table-rewrite:1".to_string()), expected, "{sql}: {checks:?}");
    }
}

#[test]
fn a_materialized_view_that_is_made_anew_gets_its_indexes_anew() {
    let make = "create table m (a int); create index on m (a);";
    assert_eq!(shown(&format!("{make} drop materialized view if exists m; {make}")), [""; 0]);
}

#[test]
fn renamed_columns_are_renamed_everywhere() {
    let rename = "alter table events rename account_id to owner;";
    for (sql, expected) in [
        ("drop index events_account_id_created_at_idx; create index on events (owner, kind)", ""),
        ("drop index events_account_id_created_at_idx", "foreign-key-without-index:1"),
        ("create index on events (owner, created_at)", "duplicate-index:1"),
    ] {
        let mut found = shown(&format!("{rename} {sql}"));
        found.retain(|one| !one.starts_with("rename-in-use"));
        assert_eq!(found.join(" "), expected, "{sql}");
    }
}

#[test]
fn types_are_told_of_new_columns() {
    let told = |sql: &str| shown(sql).iter().any(|one| one.starts_with("column-type"));
    assert!(told("alter table settings add note varchar(10)"));
    assert!(!told("alter table settings alter name type varchar(40)"));
    assert!(told("alter table settings alter name type varchar(40), add note varchar(10)"));
}

#[test]
fn what_rows_refuse() {
    for (sql, expected) in [
        ("create unique index on settings (position desc)", true),
        ("create unique index on settings (position) include (name)", true),
        ("create unique index on settings (position) where position > 0", false),
        ("create unique index on settings (position, name)", false),
        ("create unique index on settings ((position + 1))", false),
        ("create unique index on settings (value)", false),
        ("create index on settings (position)", false),
        ("alter table settings add unique (position)", true),
        ("alter table settings add unique (value)", false),
        ("alter table settings drop constraint settings_pkey, add primary key (value)", true),
        ("alter table settings alter value set not null", true),
        ("alter table settings alter position set not null", false),
        ("alter table settings add constraint n check (value is not null) not valid", false),
        (
            "alter table settings add constraint n check (value is not null) not valid;
             alter table settings validate constraint n",
            true,
        ),
        (
            "update settings set value = '' where value is null; \
          alter table settings alter value set not null",
            false,
        ),
        (
            "do $$ begin perform mend('settings'); end $$; \
          alter table settings alter value set not null",
            false,
        ),
        (
            "update accounts set c1 = 0 where id = 7; \
          alter table settings alter value set not null",
            true,
        ),
        (
            "alter table settings rename value to text; \
          alter table settings alter text set not null",
            true,
        ),
        (
            "alter table settings alter value type int using 1; \
          alter table settings alter value set not null",
            false,
        ),
    ] {
        let found = found(sql);
        let refused = found.iter().any(|finding| finding.check == "refused-by-rows");
        assert_eq!(refused, expected, "{sql}: {found:?}");
    }
}

#[test]
fn statistics_tell_of_equal_values_and_nulls() {
    let database = "create table t (a int, b int, c int, d int, e int)";
    let column = |name: &str, null_frac, n_distinct| ColumnStatistics {
        relation: QualifiedName::new(Ident::from_sql("public"), Ident::from_sql("t")),
        column: Ident::from_sql(name),
        inherited: false,
        null_frac,
        avg_width: 4,
        n_distinct,
        correlation: None,
        most_common_freqs: Vec::new(),
        values: None,
        is_substituted: false,
    };
    let columns = vec![
        column("a", 0.0, -1.0),
        column("b", 0.3, -0.7),
        column("c", 0.3, -0.6),
        column("d", 0.0, 12.0),
        column("e", 1.0, 0.0),
    ];
    let snapshot = Snapshot { ddl: Some(database.to_string()), columns, ..Snapshot::default() };
    let world = World::of_snapshot(&snapshot, std::iter::empty());
    let table = &world.tables.values().next().unwrap();
    let repeats = table.columns.values().map(|column| column.seen.repeats);
    assert_eq!(repeats.collect::<Vec<_>>(), [false, false, true, true, false]);
    let nulls = table.columns.values().map(|column| column.seen.null_fraction);
    assert_eq!(nulls.collect::<Vec<_>>(), [0.0, 0.3, 0.3, 0.0, 1.0]);
}

#[test]
fn what_reads_a_table_under_lock() {
    for (sql, expected) in [
        ("alter table events add constraint k check (id > 0)", true),
        ("alter table events add foreign key (account_id) references accounts", true),
        ("alter table events add foreign key (account_id) references accounts not valid", false),
        ("alter table events alter id set not null", false),
        ("alter table events alter created_at set not null", false),
        (
            "create table p (like events) partition by range (created_at); \
          alter table p attach partition events for values from (1) to (2)",
            false,
        ),
        (
            "create table p (like accounts) partition by range (id); \
          alter table p attach partition accounts for values from (1) to (2)",
            true,
        ),
    ] {
        let checks = shown(sql);
        let wanted = "table-scan-under-lock:1".to_string();
        assert_eq!(checks.contains(&wanted), expected, "{sql}: {checks:?}");
    }
}

#[test]
fn a_validated_check_spares_the_scan() {
    let steps = [
        "alter table events add constraint k check (kind is not null) not valid",
        "alter table events validate constraint k",
        "alter table events alter kind set not null",
    ];
    let files: Vec<_> = steps.iter().map(|step| sql::parse(step).unwrap()).collect();
    let checks = |files: &[Vec<sql::Statement>]| {
        let files: Vec<File<'_>> =
            files.iter().map(|statements| File { path: "V1__a.sql", statements }).collect();
        let found = lint(&files, world(), &CheckRules::default()).findings;
        found.into_iter().map(|finding| finding.check).collect::<Vec<_>>()
    };
    assert_eq!(checks(&files), [""; 0]);
    let unproven = [files[0].clone(), files[2].clone()];
    assert_eq!(checks(&unproven), ["table-scan-under-lock"]);
}

#[test]
fn what_is_built_while_others_wait() {
    for (sql, expected) in [
        ("create index a on events (kind)", false),
        ("create unique index a on events (kind)", false),
        ("-- pgtune: as-written\ncreate index a on events (kind)", true),
        ("-- pgtune: as-written\ncreate index concurrently a on events (kind)", false),
        ("alter table events add constraint a unique (kind)", false),
        ("-- pgtune: as-written\nalter table events add constraint a unique (kind)", true),
        ("alter table events add constraint a unique (kind), add b int", true),
        ("alter table events add a bigint unique", true),
        ("alter table events add exclude using gist (kind with =)", true),
        ("alter table events add constraint a unique using index b", false),
        ("reindex table events", false),
        ("-- pgtune: as-written\nreindex index events_pkey", true),
        ("-- pgtune: as-written\ncreate index a on settings (value)", false),
    ] {
        let checks = shown(sql);
        let is_found = checks.iter().any(|check| check.starts_with("blocking-index-build"));
        assert_eq!(is_found, expected, "{sql}: {checks:?}");
    }
}

#[test]
fn index_work_ends_the_transaction_of_a_constraint() {
    let add = "alter table events add constraint k check (id > 0) not valid;";
    let validate = "alter table events validate constraint k;";
    assert_eq!(shown(&format!("{add} {validate}")), ["validate-in-same-transaction:1"]);
    assert_eq!(shown(&format!("{add} create index a on events (kind); {validate}")), [""; 0]);
}

#[test]
fn indexes_are_compared_with_all_there_are_in_the_end() {
    for (sql, expected) in [
        ("create index a on events (kind); create index b on events (kind);", "duplicate-index"),
        (
            "create index a on events (kind); create index b on events (kind, id);",
            "redundant-index",
        ),
        ("create index a on events (account_id, created_at, kind);", "redundant-index"),
        (
            "create index a on events (account_id, created_at, kind); \
          drop index events_account_id_created_at_idx;",
            "",
        ),
        ("create unique index a on events (account_id);", ""),
        ("create index a on events (account_id desc);", ""),
        ("create index a on events (id);", "redundant-index"),
        ("alter table events add constraint a unique (account_id);", ""),
    ] {
        let checks: Vec<String> = found(sql).into_iter().map(|finding| finding.check).collect();
        let expected: Vec<&str> = Some(expected).filter(|e| !e.is_empty()).into_iter().collect();
        assert_eq!(checks, expected, "{sql}");
    }
}

#[test]
fn a_foreign_key_is_served_by_any_order_of_its_columns() {
    let table = "create table a (x bigint primary key, y bigint, z bigint, unique (z, y), \
                 foreign key (y, z) references b (y, z));";
    assert_eq!(shown(table), [""; 0]);
    let partial = "create table a (x bigint primary key references accounts,\ny bigint \
                   references accounts);\ncreate index on a (y) where x > 0;";
    assert_eq!(shown(partial), ["foreign-key-without-index:2"]);
    let drop = "drop index events_account_id_created_at_idx;";
    assert_eq!(shown(drop), ["foreign-key-without-index:1"]);
    let swap = format!("create index on events (account_id, kind);\n{drop}");
    assert_eq!(shown(&swap), [""; 0]);
    assert_eq!(
        shown(&format!("{drop}\nalter table events drop column account_id;")),
        ["drop-in-use:2"]
    );
}

/// A snapshot of a table with partitions and one by itself, with pages of 8 kB.
fn snapshot(ddl: Option<&str>) -> Snapshot {
    let relation = |(name, kind, file_pages): &(&str, char, u64)| {
        let name = QualifiedName::new(Ident::new("app").unwrap(), Ident::new(*name).unwrap());
        RelationSize { file_pages: *file_pages, ..RelationSize::new(name, *kind) }
    };
    let relations =
        [("p", 'p', 0), ("p1", 'r', 100_000), ("p2", 'r', 100_000), ("other", 'r', 100_000)];
    Snapshot {
        server: ServerFacts { version_num: 150_000, block_size: 8_192, ..ServerFacts::default() },
        ddl: ddl.map(str::to_string),
        relations: relations.iter().map(relation).collect(),
        ..Snapshot::default()
    }
}

/// As pg_dump writes it.
const DUMP: &str = "\\restrict abc
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE app.p (
    id bigint NOT NULL,
    at date NOT NULL,
    n character varying(5)
)
PARTITION BY RANGE (at);
CREATE TABLE app.p1 (
    id bigint NOT NULL,
    at date NOT NULL,
    n character varying(5)
);
CREATE TABLE app.p2 (
    id bigint NOT NULL,
    at date NOT NULL,
    n character varying(5)
);
ALTER TABLE ONLY app.p ATTACH PARTITION app.p1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
ALTER TABLE ONLY app.p ATTACH PARTITION app.p2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE ONLY app.p ADD CONSTRAINT p_pkey PRIMARY KEY (id, at);
CREATE INDEX p_n_idx ON ONLY app.p USING btree (n, at);
\\unrestrict abc
";

#[test]
fn a_snapshot_tells_tables_with_their_partitions() {
    let pending = sql::parse(
        "alter table p alter n type text;\nalter table p alter at type timestamptz;\n\
         create index on app.p (n);\nset search_path = app;\nalter table other add a uuid default \
         gen_random_uuid();",
    )
    .unwrap();
    let file = File { path: "V2__b.sql", statements: &pending };
    let applied = sql::parse(
        "create schema app; set search_path = app, public;\n\
         create table p (id bigint, at date not null, n varchar(5), primary key (id, at)) \
         partition by range (at); create table p1 partition of p for values from ('2026-01-01') to \
         ('2026-02-01'); create table p2 partition of p for values from ('2026-02-01') to \
         ('2026-03-01'); create index on p (n, at);",
    )
    .unwrap();
    for ddl in [Some(DUMP), None] {
        let world = World::of_snapshot(&snapshot(ddl), [applied.as_slice()].into_iter());
        let found = lint(&[file], world, &CheckRules::default()).findings;
        let shown: Vec<String> =
            found.iter().map(|f| format!("{} {}: {}", f.check, f.subject, f.message)).collect();
        // PostgreSQL names an index after all of its columns; a dump has the name.
        let (wide, narrow) = match ddl {
            Some(_) => ("p_n_idx", "p_n_idx1"),
            None => ("p_n_at_idx", "p_n_idx"),
        };
        let rewritten = "are written anew while nobody can read";
        let expected = [
            format!("table-rewrite app.p: 1.5 GB {rewritten}: at becomes timestamptz"),
            format!("redundant-index app.p: {wide} can stand in for the index {narrow}"),
            format!("table-rewrite app.other: 781.2 MB {rewritten}: the default of a is volatile"),
        ];
        assert_eq!(shown, expected);
    }
    // A dump that cannot be read leaves the sizes.
    let world = World::of_snapshot(&snapshot(Some("select 'x")), [].into_iter());
    assert_eq!(world.tables.len(), 4);
}

//! The oracle of `migrate`: PostgreSQL itself, running the same statements plainly, one by one.
//! What pgtune leaves behind must be the same schema, to the names of the leaf indexes.

use std::fs;
use std::path::Path;

use crate::project::{Migration, Project, check_clean, dump, run_plainly};
use crate::support::{Database, connect, server};

/// A table with two levels of sub-partitions.
const TREE: &[&str] = &[
    "create table ev (id bigint, app int, at date, note text, tags int[])
       partition by range (at)",
    "create table ev_1 partition of ev for values from ('2026-01-01') to ('2026-02-01')",
    "create table ev_2 partition of ev for values from ('2026-02-01') to ('2026-03-01')
       partition by list (app)",
    "create table ev_2_a partition of ev_2 for values in (1)",
    "create table ev_2_b partition of ev_2 for values in (2, 3) partition by hash (id)",
    "create table ev_2_b_0 partition of ev_2_b for values with (modulus 2, remainder 0)",
    "create table ev_2_b_1 partition of ev_2_b for values with (modulus 2, remainder 1)",
    "insert into ev select i, i % 3 + 1, date '2026-01-01' + i % 59, i::text, array[i]
       from generate_series(1, 300) i",
];

/// A plain table with rows.
const PLAIN: &[&str] = &[
    "create table t (a int, b text, c jsonb, d int[], e timestamptz default now())",
    "insert into t select i, 'b' || i, '{}', array[i] from generate_series(1, 100) i",
];

/// Runs `before` and the migrations on one database plainly, on another by pgtune, and compares.
pub fn agrees(name: &str, before: &[&str], migrations: &[Migration<'_>]) {
    let Some(plain) = Database::create(name) else { return };
    let online = Database::create(name).unwrap();
    for database in [&plain, &online] {
        run_plainly(&database.url, before);
    }
    for (_, statements) in migrations {
        run_plainly(&plain.url, statements);
    }
    let project = Project::with(&online.url, migrations);
    project.apply();
    same(&dump(&online.url), &dump(&plain.url));
    check_clean(&online.url, migrations);
    project.apply_nothing();
}

/// Fails with the lines that only one of two dumps has.
pub fn same(online: &str, plain: &str) {
    let missing = |these: &str, those: &str| -> Vec<String> {
        these.lines().filter(|l| !those.lines().any(|t| t == *l)).map(str::to_string).collect()
    };
    let (more, less) = (missing(online, plain), missing(plain, online));
    assert!(online == plain, "only by pgtune: {more:#?}\nonly by plain SQL: {less:#?}");
}

#[test]
fn index_on_partitions() {
    agrees(
        "index_on_partitions",
        TREE,
        &[
            ("V1__indexes", &["create index on ev (app, at)", "create index ev_note on ev (note)"]),
            ("V2__more", &["create index if not exists ev_note on ev (note)"]),
            ("V3__unique", &["create unique index on ev (id, app, at) include (note)"]),
        ],
    );
}

#[test]
fn from_the_first_table_on() {
    agrees(
        "from_the_first_table_on",
        &[],
        &[
            ("V1__tables", &[TREE[0], TREE[1], TREE[2], "create index on ev (id)"]),
            ("V2__partitions", &[TREE[3], TREE[4], TREE[5], TREE[6], TREE[7]]),
            ("V3__index", &["create index on ev (app)", "alter table ev add unique (at, app, id)"]),
            ("V10__partition", &["create table ev_3 partition of ev default"]),
        ],
    );
}

#[test]
fn a_partitioned_table_without_partitions() {
    let keys = ["create index on ev (app)", "alter table ev add primary key (at, id)"];
    agrees("no_partitions", &TREE[..1], &[("V1__keys", &keys)]);
}

#[test]
fn keys_of_plain_tables() {
    agrees(
        "keys_of_plain_tables",
        PLAIN,
        &[
            ("V1__primary_key", &["alter table t add primary key (a, b) include (e)"]),
            ("V2__unique", &["alter table t add constraint t_u unique (b) deferrable"]),
            (
                "V3__unnamed",
                &["alter table t add unique (a, b)", "alter table t add unique (b, a)"],
            ),
            ("V4__stored", &["alter table t add unique (e, a) with (fillfactor = 70)"]),
        ],
    );
}

#[test]
fn keys_of_partitioned_tables() {
    agrees(
        "keys_of_partitioned_tables",
        TREE,
        &[
            ("V1__unique", &["alter table ev add constraint ev_once unique (id, app, at)"]),
            ("V2__primary_key", &["alter table ev add primary key (at, app, id)"]),
        ],
    );
}

#[test]
fn all_kinds_of_indexes() {
    let ev = [
        "create index on ev (lower(note), app desc nulls last)",
        "create index on ev ((app + 1), (id + 1))",
        "create index on ev ((note || 'x')) where app > 1 and note like 'a,(%'",
        "create index on ev (app) include (note, id)",
        "create index on ev using brin (at) with (pages_per_range = 16)",
        "create index on ev using gin (tags)",
        "create index on ev (note collate \"C\" text_pattern_ops)",
        "create index on ev (upper(note), upper(note || 'a'))",
        "create index on only ev (app, id)",
    ];
    let t = [
        "create index on t using gin (c jsonb_path_ops)",
        "create index concurrently on t (a) where b is not null",
        "create index on t (a) where b = 'x'",
        "create index on t (a) where b in ('x', 'y')",
        "create index on t (a desc)",
        "create index on t (a)",
        "create unique index t_unique on t using btree (a asc, (b || 'x') desc)",
        "create index on t (((c ->> 'x')))",
        "create materialized view m as select * from t",
        "create unique index on m (a)",
    ];
    agrees("kinds_tree", TREE, &[("V1__all", &ev[..8])]);
    agrees("kinds_plain", PLAIN, &[("V1__all", &t)]);
}

#[test]
fn indexes_on_expressions_are_named_as_the_server_would() {
    let expressions = [
        "create index on ev ((note::varchar))",
        "create index on ev (((app)::text), (id::text))",
        "create index on ev ((app))",
        "create index on ev (coalesce(note, 'x'), (nullif(app, 1)))",
        "create index on ev ((case when app > 1 then note end))",
        "create index on ev (((note || 'x')::varchar(3)))",
        "create index on ev ((tags[1]))",
        "create index on ev (pg_catalog.lower(note), (cast(app as bigint)))",
    ];
    agrees("expression_names", TREE, &[("V1__all", &expressions)]);
    let plain = ["create index on t ((a::text), (lower(b)))", "create index on t ((a > 1))"];
    agrees("expression_names", PLAIN, &[("V1__all", &plain)]);
}

#[test]
fn names_that_need_quotes() {
    agrees(
        "names_that_need_quotes",
        &[
            "create schema \"S p\"",
            "create table \"S p\".\"My \"\"T\"\"\" (\"Col\" int, \"select\" text, é int)
               partition by list (\"Col\")",
            "create table \"S p\".\"P.1\" partition of \"S p\".\"My \"\"T\"\"\" for values in (1)",
            "create table public.\"Table\" partition of \"S p\".\"My \"\"T\"\"\" for values in (2)",
        ],
        &[
            ("V1__index", &["create index on \"S p\".\"My \"\"T\"\"\" (\"select\", é)"]),
            ("V2__name", &["create index \"I; -- 'x'\" on \"S p\".\"My \"\"T\"\"\" (\"Col\")"]),
            ("V3__key", &["alter table \"S p\".\"My \"\"T\"\"\" add primary key (\"Col\", é)"]),
            ("V4__drop", &["drop index \"S p\".\"I; -- 'x'\""]),
        ],
    );
}

#[test]
fn names_as_long_as_they_may_be() {
    let (table, column) = ("t".repeat(63), "ä".repeat(31));
    let too_long = "i".repeat(80);
    let create =
        format!("create table {table} ({column} int, b text) partition by list ({column})");
    let leaf = |n: u32| {
        let name = format!("{}{n}", &table[1..]);
        format!("create table {name} partition of {table} for values in ({n})")
    };
    let index = format!("create index on {table} ({column}, b)");
    let named = format!("create index {too_long} on {table} (b)");
    let key = format!("alter table {table} add primary key ({column})");
    agrees(
        "long_names",
        &[&create, &leaf(1), &leaf(2)],
        &[("V1__index", &[&index, &named]), ("V2__key", &[&key])],
    );
}

#[test]
fn schemas_by_search_path() {
    agrees(
        "schemas_by_search_path",
        &[
            "create schema app",
            "create schema other",
            "create table app.t (a int)",
            "create table other.t (a int) partition by list (a)",
            "create table app.leaf partition of other.t for values in (1)",
        ],
        &[
            ("V1__app", &["set search_path = app, public", "create index on t (a)"]),
            (
                "V2__other",
                &[
                    "set search_path to other",
                    "create index on t (a)",
                    "alter table t add unique (a)",
                    "reset search_path",
                    "create table p (a int)",
                    "create index on app.t ((a + 1))",
                ],
            ),
            ("V3__public", &["create table q (a int)", "create index on q (a)"]),
        ],
    );
}

#[test]
fn settings_hold_until_the_end_of_the_file() {
    agrees(
        "settings_hold",
        PLAIN,
        &[(
            "V1__settings",
            &[
                "set timezone = 'America/New_York'",
                "set check_function_bodies = off",
                "create index on t (a)",
                "create table u (at timestamptz default timestamptz '2026-01-01 00:00')",
                "create function f() returns int language sql as 'select x from nowhere'",
                "vacuum t",
                "create function g() returns int language sql as 'select x from nowhere'",
            ],
        )],
    );
}

#[test]
fn dropped_indexes() {
    let indexes = [
        "create index t_a on t (a)",
        "create index t_b on t (b)",
        "create index t_d on t (d)",
        "create index ev_app on ev (app)",
        "alter table t add constraint t_key unique (a)",
        "alter table t add constraint t_self foreign key (a) references t (a)",
        "create index leaf on ev_1 (id)",
    ];
    let drops: Migration<'_> = (
        "V1__drops",
        &[
            "drop index t_a",
            "drop index if exists nowhere, t_b",
            "drop index concurrently t_d",
            "drop index ev_app",
            "drop index leaf",
            "alter table t drop constraint t_key cascade",
            "create index t_a on t (b)",
        ],
    );
    let before = [TREE, PLAIN, &indexes].concat();
    agrees("dropped_indexes", &before, &[drops]);
}

#[test]
fn rebuilt_indexes() {
    let indexes = ["create index t_a on t (a)", "create index ev_app on ev (app)"];
    let before = [TREE, PLAIN, &indexes].concat();
    let rebuilds: Migration<'_> = (
        "V1__rebuilds",
        &[
            "reindex index t_a",
            "reindex table t",
            "reindex (verbose) index concurrently t_a",
            "reindex table ev",
            "reindex index ev_app",
        ],
    );
    agrees("rebuilt_indexes", &before, &[rebuilds]);
}

#[test]
fn statements_that_stand_alone() {
    agrees(
        "statements_that_stand_alone",
        &[TREE, PLAIN, &["create type mood as enum ('sad', 'ok')"]].concat(),
        &[
            (
                "V1__enum",
                &[
                    "alter type mood add value 'happy'",
                    "create table person (m mood default 'happy')",
                    "insert into person values ('happy')",
                    "alter type mood add value 'odd' before 'sad'",
                ],
            ),
            (
                "V2__detach",
                &[
                    "alter table ev detach partition ev_1 concurrently",
                    "vacuum (analyze) ev_1",
                    "create index on ev (id)",
                    "create index on ev_1 (note)",
                    "vacuum full t",
                ],
            ),
            ("V3__attach", &["alter table ev attach partition ev_1 default"]),
        ],
    );
}

#[test]
fn as_written() {
    agrees(
        "as_written",
        TREE,
        &[
            ("V1__index", &["-- pgtune: as-written\ncreate index on ev (app)"]),
            (
                "V2__unique",
                &["-- pgtune: as-written\ncreate unique index concurrently on ev_1 (id)"],
            ),
            ("V3__key", &["-- pgtune: as-written\nalter table ev add unique (at, app, id)"]),
        ],
    );
}

#[test]
fn everything_else() {
    agrees(
        "everything_else",
        PLAIN,
        &[
            (
                "V1__transaction",
                &[
                    "begin",
                    "alter table t add column x int not null default 7, add unique (x, a)",
                    "create view v as select a, x from t",
                    "comment on table t is 'a; b -- c'",
                    "commit",
                ],
            ),
            (
                "V2__functions",
                &[
                    "create function f() returns trigger language plpgsql as $f$ begin
                       new.x := 1; return new; end; $f$",
                    "create trigger tr before insert on t for each row execute function f()",
                    "do $$ begin create table made (a int); end $$",
                    "create index on made (a)",
                    "alter table t rename column b to bb",
                    "create index on t (bb)",
                    "alter table t rename to tt",
                    "create index on tt (x)",
                    "drop table made",
                ],
            ),
            ("V3__nothing", &["select 1"]),
        ],
    );
}

#[test]
fn leaf_indexes_that_exist_are_used() {
    agrees(
        "leaf_indexes_that_exist",
        &[
            TREE,
            &[
                "create index mine on ev_1 (app, at)",
                "create index ev_2_a_app_at_idx on ev_2_a (note)",
                "create unique index only_unique on ev_2_b_0 (app, at, id)",
                "create table ev_2_b_1_app_at_idx (a int)",
            ],
        ]
        .concat(),
        &[("V1__index", &["create index on ev (app, at)"])],
    );
}

#[test]
fn shipped_workloads() {
    if server().is_none() {
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["accounts", "audience", "events", "telemetry"] {
        let [plain, online] = [name, name].map(|name| Database::create(name).unwrap());
        let mut files: Vec<_> = fs::read_dir(repository.join("migrations").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            connect(&plain.url).batch_execute(&fs::read_to_string(file).unwrap()).unwrap();
        }
        let profile = repository.join("profiles").join(format!("{name}.toml"));
        let project =
            Project::new(&online.url).variable("PGTUNE_PROFILE", profile.to_str().unwrap());
        project.apply();
        same(&dump(&online.url), &dump(&plain.url));
        project.apply_nothing();
    }
}

#[test]
fn dry_run_writes_nothing() {
    let Some(database) = Database::create("dry_run") else { return };
    run_plainly(&database.url, TREE);
    let catalog = "select (select count(*) from pg_class), (select count(*) from pg_namespace)";
    let look = |client: &mut postgres::Client| {
        let row = client.query_one(catalog, &[]).unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let mut client = database.connect();
    let before = (look(&mut client), dump(&database.url));
    let project = Project::with(&database.url, &[("V1__index", &["create index on ev (app)"])]);
    for arguments in [["--dry-run"].as_slice(), &["--dry-run", "--sql"], &["--dry-run", "--json"]] {
        let outcome = project.migrate(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stdout.contains("ev_app_idx"), "{outcome:?}");
    }
    assert_eq!((look(&mut client), dump(&database.url)), before);
}

#[test]
fn dry_run_sql_runs_plainly() {
    let migrations: &[Migration<'_>] = &[
        ("V1__index", &["create index on ev (app, lower(note))"]),
        ("V2__key", &["alter table ev add primary key (at, app, id)", "vacuum ev_1"]),
    ];
    let Some(plain) = Database::create("dry_run_sql") else { return };
    let printed = Database::create("dry_run_sql").unwrap();
    for database in [&plain, &printed] {
        run_plainly(&database.url, TREE);
    }
    for (_, statements) in migrations {
        run_plainly(&plain.url, statements);
    }
    let project = Project::with(&printed.url, migrations);
    let sql = project.migrate(&["--dry-run", "--sql"]).stdout;
    // A message of one statement, as psql sends it. No statement here has a semicolon inside.
    let statements: Vec<&str> = sql.split(";\n").filter(|part| !part.trim().is_empty()).collect();
    run_plainly(&printed.url, &statements);
    same(&dump(&printed.url), &dump(&plain.url));
    check_clean(&printed.url, migrations);
    project.apply_nothing();
}

#[test]
fn up_to_a_version() {
    let Some(database) = Database::create("up_to") else { return };
    run_plainly(&database.url, PLAIN);
    let migrations: &[Migration<'_>] =
        &[("V1__a", &["create index on t (a)"]), ("V2__b", &["create index on t (b)"])];
    let project = Project::with(&database.url, migrations);
    let outcome = project.migrate(&["--yes", "--to", "1"]);
    assert!(outcome.stdout.contains("now at V1__a"), "{outcome:?}");
    check_clean(&database.url, &migrations[..1]);
    assert_eq!(project.migrate(&["--yes", "--to", "1"]).code, Some(0));
    check_clean(&database.url, &migrations[..1]);
    project.apply();
    check_clean(&database.url, migrations);
}

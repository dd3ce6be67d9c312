//! What only looks like the wanted index, table or schema must not be taken for it: the same oracle
//! as in `oracle`, and refusals before anything runs.

use crate::oracle::agrees;
use crate::project::Project;
use crate::support::Database;

#[test]
fn indexes_on_the_same_columns() {
    agrees(
        "same_columns",
        &["create table t (a int, active bool)", "create index t_a_idx on t using hash (a)"],
        &[(
            "V1__three",
            &[
                "create index on t (a)",
                "create index on t (a) where active",
                "create index on t (a desc nulls last)",
            ],
        )],
    );
}

#[test]
fn schemas_in_every_spelling() {
    let tables = ["create schema app", "create table t (a int)", "create table app.t (a int)"];
    for (name, setting) in [
        ("set_schema", "set schema 'app'"),
        ("set_local", "set local search_path = app"),
        ("set_default", "set search_path to default"),
        ("set_user", "set search_path to \"$user\", app"),
    ] {
        // Run plainly, each statement is a transaction of its own, which SET LOCAL does not leave.
        if setting.contains("local") {
            let Some(database) = Database::create(name) else { return };
            crate::project::run_plainly(&database.url, &tables);
            let project = Project::with(
                &database.url,
                &[(
                    "V1__local",
                    &[setting, "create index i on t (a)", "create table made (a int)"],
                )],
            );
            project.apply();
            let query = "select count(*) from pg_class where oid in
                 (to_regclass('app.i'), to_regclass('app.made'))";
            assert_eq!(crate::project::count(&mut database.connect(), query), 2);
        } else {
            agrees(name, &tables, &[("V1__index", &[setting, "create index i on t (a)"])]);
        }
    }
}

#[test]
fn tables_of_one_name_in_two_schemas() {
    let Some(database) = Database::create("two_schemas") else { return };
    crate::project::run_plainly(
        &database.url,
        &["create schema a", "create schema b", "create table b.events (x int)"],
    );
    let project = Project::with(
        &database.url,
        &[(
            "V1__both",
            &[
                "set search_path = a",
                "create table events (x int)",
                "set search_path = b",
                "create index i on events (x)",
            ],
        )],
    );
    let dry = project.migrate(&["--dry-run"]);
    assert!(dry.stdout.contains("CREATE INDEX CONCURRENTLY i ON b.events (x)"), "{dry:?}");
    project.apply();
    let query = "select count(*) from pg_index where indrelid = 'b.events'::regclass";
    assert_eq!(crate::project::count(&mut database.connect(), query), 1);
}

#[test]
fn renamed_and_then_dropped() {
    agrees(
        "renamed_dropped",
        &["create table t (a int)", "create index old_i on t (a)"],
        &[(
            "V1__rename",
            &["alter index old_i rename to new_i", "drop index if exists new_i, never_was"],
        )],
    );
}

#[test]
fn a_pending_detach_of_a_sibling() {
    let Some(database) = Database::create("sibling") else { return };
    crate::project::run_plainly(
        &database.url,
        &[
            "create table p (a int) partition by list (a)",
            "create table p1 partition of p for values in (1)",
            "create table p2 partition of p for values in (2)",
            "update pg_inherits set inhdetachpending = true where inhrelid = 'p1'::regclass",
        ],
    );
    let statements: &[&str] = &["alter table p detach partition p2 concurrently"];
    Project::with(&database.url, &[("V1__detach", statements)]).apply();
    let query = "select count(*) from pg_inherits where inhparent = 'p'::regclass";
    assert_eq!(crate::project::count(&mut database.connect(), query), 0);
}

#[test]
fn another_index_of_the_name_is_no_success() {
    for (name, statement) in [
        ("other_predicate", "create unique index i on t (a) where b"),
        ("other_order", "create unique index i on t (a desc)"),
        ("constraint", "alter table t add constraint k unique (a) deferrable"),
    ] {
        let Some(database) = Database::create(name) else { return };
        crate::project::run_plainly(
            &database.url,
            &[
                "create table t (a int, b bool)",
                "create unique index i on t (a)",
                "alter table t add constraint k unique (a)",
            ],
        );
        let project = Project::with(&database.url, &[("V1__taken", &[statement])]);
        let outcome = project.migrate(&["--yes"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("is taken by another index"), "{outcome:?}");
        let query = "select count(*) from pg_class where relname = 'refinery_schema_history'";
        assert_eq!(crate::project::count(&mut database.connect(), query), 0);
    }
}

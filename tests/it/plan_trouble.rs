//! `pgtune plan` and the plans of `migrate` where something is in the way.

use serde_json::Value;

use crate::project::Run;
use crate::support::{Database, eventually};
use crate::user_project::{Project, Said};

const TABLE: &str = "
    create table orders (id int primary key, customer int not null, state text not null);
    insert into orders select i, i % 1000, 's' || i % 40 from generate_series(1, 20000) i;
    analyze orders;
";

fn project(test: &str, queries: &[(&str, &str)]) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    database.connect().batch_execute(TABLE).unwrap();
    let query =
        |(name, sql): &(&str, &str)| format!("[[queries]]\nname = \"{name}\"\nsql = \"{sql}\"\n");
    project.profile(queries.iter().map(query).collect::<String>());
    Some((project, database))
}

/// All that the sections of this kind hold below `key`.
fn sections(said: &Said, kind: &str, key: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let of_kind = sections.filter(|section| section["kind"] == kind);
    of_kind.flat_map(|section| section[key].as_array().unwrap().clone()).collect()
}

/// `subject check: message` of each finding.
fn findings(said: &Said) -> Vec<String> {
    let told = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap().to_string();
        format!("{} {}: {}", text("subject"), text("check"), text("message"))
    };
    sections(said, "findings", "findings").iter().map(told).collect()
}

fn column(said: &Said, name: &str) -> Vec<String> {
    let rows = sections(said, "table", "rows");
    rows.iter().filter_map(|row| row[name].as_str()).map(str::to_string).collect()
}

#[test]
fn a_query_that_wants_values_is_refused_with_the_servers_reason() {
    let queries = [
        ("gone", "select * from nowhere where a = $1"),
        ("locked", "select * from orders where customer = $1"),
    ];
    let Some((project, database)) = project("plan_why", &queries) else { return };
    let mut holder = database.connect();
    holder.batch_execute("begin; lock table orders in access exclusive mode").unwrap();
    let said = project.run(&["plan", "capture", "--json"]);
    said.expect(1, &["2 queries have no plan"]);
    let expected = [
        "gone query-table-missing: relation \"nowhere\" does not exist",
        "locked query-fails: canceling statement due to lock timeout",
    ];
    assert_eq!(findings(&said), expected);
}

#[test]
fn a_login_that_sees_a_schema_only_as_the_querys_role_is_enough() {
    let Some((project, database)) = project("plan_login", &[]) else { return };
    let (login, role) = (format!("l_{}", std::process::id()), format!("r_{}", std::process::id()));
    let roles = format!(
        "create role {login} noinherit; create role {role}; create schema hidden;
         alter table orders set schema hidden; create index on hidden.orders (customer);
         grant {role} to {login}; grant usage on schema hidden to {role};
         grant select on hidden.orders to {role}"
    );
    database.connect().batch_execute(&roles).unwrap();
    project.profile(format!(
        "[database]\nrole = \"{login}\"\n[[queries]]\nname = \"own\"\nrole = \"{role}\"\n\
         sql = \"select * from hidden.orders where customer = $1\"\nparameters = [[\"7\"]]\n"
    ));
    let said = project.run(&["plan", "capture", "--tree"]);
    said.expect(0, &[]);
    assert!(said.stdout.contains("using (customer)"), "{said}");
    let drop = format!("drop schema hidden cascade; drop role {login}; drop role {role}");
    database.connect().batch_execute(&drop).unwrap();
}

#[test]
fn what_a_run_leaves_is_told_and_taken_away() {
    let queries = [
        ("lock", "select pg_advisory_lock(4711)"),
        ("function", "select note()"),
        ("reads", "select count(*) from orders"),
    ];
    let Some((project, database)) = project("plan_leaves", &queries) else { return };
    let function = "create table notes (id int); create function note() returns int language sql \
                    as 'insert into notes values (1) returning id'";
    database.connect().batch_execute(function).unwrap();
    // Each side would wait for the lock that the other one left.
    let arguments = ["plan", "diff", "--set", "WORK_MEM=8MB", "--mode", "analyze", "--timeout"];
    let said = project.run(&[&arguments[..], &["10s", "--json"]].concat());
    said.expect(0, &[]);
    // The setting that was asked for is no reason not to compare.
    assert!(!said.stdout.contains("instead of its default"), "{said}");
    let expected = ["function query-writes: it writes, or locks rows: it was run and rolled back"];
    assert_eq!(findings(&said), expected);
    let rows = database.connect().query("select from notes", &[]).unwrap().len();
    assert_eq!(rows, 0);
}

#[test]
fn no_setting_of_the_application_makes_us_wait_longer() {
    let Some((project, database)) = project("plan_limits", &[]) else { return };
    let settings = "settings = { statement_timeout = \"0\", lock_timeout = \"0\" }";
    project.profile(format!(
        "[limits]\nlock_budget = \"50ms\"\n\
         [[queries]]\nname = \"slow\"\nsql = \"select pg_sleep(60)\"\n{settings}\n\
         [[queries]]\nname = \"locked\"\nsql = \"select * from orders\"\n{settings}\n"
    ));
    let mut holder = database.connect();
    holder.batch_execute("begin; lock table orders in access exclusive mode").unwrap();
    let said = project.run(&["plan", "capture", "--mode", "analyze", "--timeout", "2s", "--json"]);
    said.expect(1, &["2 queries have no plan"]);
    let expected = [
        "slow query-times-out: canceling statement due to statement timeout",
        "locked query-fails: canceling statement due to lock timeout",
    ];
    assert_eq!(findings(&said), expected);
}

#[test]
fn plans_for_other_values_are_not_compared() {
    let queries = [("by_state", "select * from orders where state = $1")];
    let Some((project, database)) = project("plan_other_values", &queries) else { return };
    let take = |file: &str| project.run(&["plan", "capture", "--save", file]).expect(0, &[]);
    take("before.json");
    database.connect().batch_execute("update orders set state = 't' || state; analyze").unwrap();
    take("after.json");
    let said = project.run(&["plan", "diff", "before.json", "after.json", "--json"]);
    said.expect(0, &[]);
    let why = &column(&said, "why")[0];
    assert!(why.starts_with("planned for other values: ts"), "{why}");
    assert!(column(&said, "verdict").iter().all(|one| one == "not comparable"), "{said}");
}

#[test]
fn files_that_do_not_fit_are_told() {
    let queries = [("a", "select 1"), ("b", "select count(*) from orders")];
    let Some((project, _database)) = project("plan_files", &queries) else { return };
    let path = |name: &str| project.folder.path().join(name);
    let take = ["plan", "capture", "--mode", "analyze", "--save", "x.json"];
    project.run(&take).expect(0, &[]);
    let diff = ["plan", "diff", "x.json", "x.json", "--query"];
    let said = project.run(&[&diff[..], &["bb"]].concat());
    said.expect(2, &["x.json has no query bb"]);
    let said = project.run(&[&diff[..], &["b"]].concat());
    said.expect(0, &[]);
    assert!(!said.stderr.contains("only one side"), "{said}");
    // A query twice, and a time beyond all clocks.
    let mut json: Value =
        serde_json::from_str(&std::fs::read_to_string(path("x.json")).unwrap()).unwrap();
    json["queries"][1]["outcome"]["plan"]["plan"]["measured"]["time_ms"] = 1e300.into();
    json["queries"][0] = json["queries"][1].clone();
    std::fs::write(path("odd.json"), json.to_string()).unwrap();
    project.run(&["plan", "diff", "odd.json", "x.json"]).expect(0, &["1 query is on only one"]);
    std::fs::write(path("q.sql"), "-- name: a\nselect 1\n").unwrap();
    std::fs::copy(path("q.sql"), path("r.sql")).unwrap();
    let said = project.run(&["plan", "capture", "-f", "q.sql", "-f", "r.sql"]);
    said.expect(2, &["r.sql: another file has a query a too"]);
}

#[test]
fn generic_plans_have_the_partitions_that_a_parameter_selects() {
    let Some((project, database)) = project("plan_generic", &[]) else { return };
    let table = "create table parts (at int not null, a int) partition by range (at);
                 create table parts_1 partition of parts for values from (0) to (10);
                 create table parts_2 partition of parts for values from (10) to (20)";
    database.connect().batch_execute(table).unwrap();
    project.profile("[[queries]]\nname = \"q\"\nsql = \"select * from parts where at = $1\"\n");
    let said = project.run(&["plan", "capture", "--mode", "generic", "--tree"]);
    said.expect(0, &[]);
    assert!(said.stdout.contains("2 partitions x Seq Scan on public.parts"), "{said}");
    project.run(&["plan", "capture", "--mode", "generic", "--save", "g.json"]).expect(0, &[]);
    let saved = std::fs::read_to_string(project.folder.path().join("g.json")).unwrap();
    assert!(!saved.contains("enable_partition_pruning"), "{saved}");
}

#[test]
fn the_gate_takes_back_what_made_plans_worse_and_nothing_else() {
    let queries = [
        ("by_customer", "select * from orders where customer = 7"),
        ("by_state", "select * from orders where state = 's7'"),
    ];
    let Some((project, database)) = project("plan_gate_several", &queries) else { return };
    let indexes = "create index by_customer on orders (customer);
                   create index by_state on orders (state)";
    database.connect().batch_execute(indexes).unwrap();
    project.migration("V1__drop", "drop index by_customer, by_state;");
    let gate = ["migrate", "--yes", "--gate"];
    let back = "a migration that takes it back: CREATE INDEX by_customer ON public.orders USING \
                btree (customer); CREATE INDEX by_state ON public.orders USING btree (state);";
    project.run(&gate).expect(1, &[back]);
    // What an earlier migration built is not to blame for what a later one drops.
    project.migration("V2__add", "alter table orders add constraint u unique (customer, id);");
    project.migration("V3__drop", "alter table orders drop constraint u;");
    let said = project.run(&gate);
    said.expect(1, &["the plans of by_customer became worse"]);
    assert!(!said.stderr.contains("DROP INDEX"), "{said}");
}

#[test]
fn plans_that_cannot_be_noted_end_no_migration() {
    let queries = [("by_customer", "select * from orders where customer = 7")];
    let Some((project, database)) = project("plan_unnoted", &queries) else { return };
    let role = format!("m_{}", std::process::id());
    let owner = format!(
        "create role {role}; grant create, usage on schema public to {role};
         alter table orders add constraint u unique (customer, id);
         alter table orders owner to {role}"
    );
    database.connect().batch_execute(&owner).unwrap();
    let query = "[[queries]]\nname = \"by_customer\"\nsql = \"select * from orders where customer \
                 = 7\"\n";
    project.profile(format!("[database]\nrole = \"{role}\"\n{query}"));
    project.migration("V1__drop", "alter table orders drop constraint u;");
    project.migration("V2__next", "create table next (a int);");
    let said = project.run(&["migrate", "--yes"]);
    said.expect(0, &[]);
    for text in ["plans around V1__drop", "regressed", "[plans-not-noted]", "2 migrations applied"]
    {
        assert!(said.stdout.contains(text), "{text}: {said}");
    }
    let drop = format!("drop owned by {role}; drop role {role}");
    eventually("the role is free", || database.connect().batch_execute(&drop).is_ok());
}

#[test]
fn an_interrupt_ends_what_runs_in_the_database_too() {
    let queries = [("slow", "select pg_sleep(600)")];
    let Some((project, database)) = project("plan_interrupt", &queries) else { return };
    let capture = ["plan", "capture", "--mode", "analyze", "--timeout", "10min"];
    let diff = ["plan", "diff", "--set", "work_mem=8MB", "--mode", "analyze", "--timeout", "10min"];
    for arguments in [&capture[..], &diff[..]] {
        let run = Run::of(project.command(arguments));
        let count = |what: &str| {
            let sql = format!(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and {what}"
            );
            database.connect().query_one(&sql, &[]).unwrap().get::<_, i64>(0)
        };
        eventually("it sleeps", || count("wait_event = 'PgSleep'") == 1);
        run.signal("INT");
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        eventually("nothing runs", || count("wait_event = 'PgSleep'") == 0);
    }
}

//! `pgtune plan`, and the plans around index changes of `migrate`.

use serde_json::Value;

use crate::support::{Database, eventually};
use crate::user_project::{Project, Said};

/// A table with rows enough that an index is worth it, a partitioned one, and RLS.
const TABLES: &str = "
    create table orders (id int generated always as identity primary key, customer int not null,
                         state text not null, note text);
    insert into orders (customer, state) select i % 1000, case when i % 100 = 0 then 'open' else
      'done' end from generate_series(1, 20000) i;
    create table events (id int, at timestamptz not null, kind int) partition by range (at);
    create table events_a partition of events for values from ('2026-01-01') to ('2026-02-01');
    create table events_b partition of events for values from ('2026-02-01') to ('2026-03-01');
    insert into events select i, timestamptz '2026-01-01' + i * interval '2 minutes', i % 500
      from generate_series(1, 40000) i;
    analyze;
    alter table orders enable row level security;
    create policy own on orders using (customer = current_setting('app.customer')::int);
";
const QUERIES: &str = r#"
[[queries]]
name = "by_customer"
sql = "select id, state from orders where customer = $1"
parameters = [["7"], ["8"]]

[[queries]]
name = "by_kind"
sql = "select count(*) from events where kind = $1;"
parameters = [["3"]]

[[queries]]
name = "elsewhere"
sql = "select count(*) from pg_class"
"#;

fn project(test: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    database.connect().batch_execute(TABLES).unwrap();
    project.profile(QUERIES);
    Some((project, database))
}

/// The rows of the report's first table.
fn rows(said: &Said) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap();
    let table = sections.iter().find(|section| section["kind"] == "table").unwrap();
    table["rows"].as_array().unwrap().clone()
}

/// The findings of the report.
fn findings(said: &Said) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap();
    let all = sections.iter().filter(|section| section["kind"] == "findings");
    all.flat_map(|section| section["findings"].as_array().unwrap().clone()).collect()
}

fn column<'a>(rows: &'a [Value], name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[name].as_str().unwrap()).collect()
}

#[test]
fn plans_are_taken_twice_alike_and_compared() {
    let Some((project, database)) = project("plan_capture") else { return };
    let take = |file: &str| project.run(&["plan", "capture", "--save", file, "--json"]);
    let first = take("before.json");
    first.expect(0, &[]);
    assert_eq!(take("again.json").stdout, first.stdout);
    let labels = ["by_customer (1)", "by_customer (2)", "by_kind", "elsewhere"];
    assert_eq!(column(&rows(&first), "query"), labels);
    let same = project.run(&["plan", "diff", "before.json", "again.json", "--json"]);
    same.expect(0, &[]);
    assert_eq!(column(&rows(&same), "verdict"), ["identical"; 4]);
    database.connect().batch_execute("create index on orders (customer)").unwrap();
    let better = project.run(&["plan", "diff", "before.json", "--json"]);
    better.expect(0, &[]);
    let verdicts = ["improved", "improved", "identical", "identical"];
    assert_eq!(column(&rows(&better), "verdict"), verdicts);
    let shown = project.run(&["plan", "diff", "before.json"]);
    assert!(shown.stdout.contains("+") && shown.stdout.contains("using (customer)"), "{shown}");
    // An index by another name is the same index.
    take("after.json").expect(0, &[]);
    database.connect().batch_execute("alter index orders_customer_idx rename to other").unwrap();
    let renamed = project.run(&["plan", "diff", "after.json", "--json"]);
    assert_eq!(column(&rows(&renamed), "verdict"), ["identical"; 4]);
    database.connect().batch_execute("drop index other").unwrap();
    let worse = project.run(&["plan", "diff", "after.json"]);
    worse.expect(1, &["worse: by_customer"]);
}

#[test]
fn each_query_is_planned_as_the_application_runs_it() {
    let Some((project, database)) = project("plan_roles") else { return };
    let role = format!("reader_{}", std::process::id());
    database
        .connect()
        .batch_execute(&format!("create role {role}; grant select on orders to {role}"))
        .unwrap();
    project.profile(format!(
        "[[queries]]\nname = \"own\"\nsql = \"select * from orders\"\nrole = \"{role}\"\n\
         settings = {{ \"app.customer\" = \"7\" }}\n\
         [[queries]]\nname = \"all\"\nsql = \"select * from orders\"\n"
    ));
    let said = project.run(&["plan", "capture", "--tree"]);
    said.expect(0, &[]);
    assert_eq!(said.stdout.matches("app.customer").count(), 1, "{said}");
    database.connect().batch_execute(&format!("drop owned by {role}; drop role {role}")).unwrap();
}

#[test]
fn generic_and_measured_plans_say_more() {
    let Some((project, database)) = project("plan_modes") else { return };
    let generic = project.run(&["plan", "capture", "by_customer", "--mode", "generic", "--tree"]);
    generic.expect(0, &[]);
    assert!(generic.stdout.contains("$1"), "{generic}");
    let write = "\n[[queries]]\nname = \"close\"\nsql = \"update orders set state = 'closed' where \
                 customer = $1\"\nparameters = [[\"7\"]]\n";
    project.profile(format!("{QUERIES}{write}"));
    let measured = project.run(&["plan", "capture", "--mode", "analyze", "--json"]);
    measured.expect(0, &[]);
    let blocks = rows(&measured);
    assert!(column(&blocks, "blocks").iter().all(|b| b.parse::<u64>().unwrap() > 0), "{measured}");
    let told = findings(&measured);
    assert!(told.iter().any(|one| one["check"] == "query-writes" && one["subject"] == "close"));
    let closed = "select count(*) from orders where state = 'closed'";
    let closed: i64 = database.connect().query_one(closed, &[]).unwrap().get(0);
    assert_eq!(closed, 0, "what was measured is rolled back");
}

#[test]
fn one_bad_query_stops_no_other() {
    let Some((project, database)) = project("plan_bad") else { return };
    database.connect().batch_execute("create table unread (a int)").unwrap();
    let bad = [
        ("gone", "select * from no_such_table", "", "does not exist"),
        ("several", "select 1; drop table orders", "", "these are 2 statements"),
        ("few", "select $1::int + $2::int", "[[\"1\"]]", "it takes 2 values, and 1 is given"),
        ("none", "select $1::int", "", "0 are given; $1 is compared with no column"),
        ("unread", "select * from unread where a = $1", "", "no statistics for public.unread.a"),
        ("many", "select 1", "[[\"1\"]]", "it takes 0 values, and 1 is given"),
        ("odd", "select $1::int", "[[\"one\"]]", "invalid input syntax"),
        ("utility", "vacuum orders", "", "EXPLAIN does not take"),
        ("open", "select 'x", "", "this string has no end"),
        ("temporary", "select * from temporary_table", "", "does not exist"),
        ("empty", "-- nothing", "", "there is no statement"),
    ];
    let mut profile = QUERIES.to_string();
    for (name, sql, parameters, _) in bad {
        profile += &format!("[[queries]]\nname = \"{name}\"\nsql = \"{sql}\"\n");
        if !parameters.is_empty() {
            profile += &format!("parameters = {parameters}\n");
        }
    }
    project.profile(profile);
    let said = project.run(&["plan", "capture", "--json"]);
    said.expect(1, &["11 queries have no plan"]);
    let rows = rows(&said);
    assert_eq!(rows.len(), 4 + bad.len());
    let told = findings(&said);
    assert_eq!(told.len(), bad.len(), "one finding each");
    for (name, _, _, why) in bad {
        let row = rows.iter().find(|row| row["query"] == name).unwrap();
        assert!(row["plan"].as_str().unwrap().contains(why), "{name}: {row}");
        let finding = told.iter().find(|finding| finding["subject"] == name).unwrap();
        assert!(finding["message"].as_str().unwrap().contains(why), "{name}: {finding}");
    }
    let checks = ["query-table-missing", "query-parameter-missing", "query-not-one-statement"];
    for check in checks {
        assert!(told.iter().any(|finding| finding["check"] == check), "{check}: {said}");
    }
    let role = "x".repeat(64);
    project.profile(format!("[[queries]]\nname = \"a\"\nsql = \"select 1\"\nrole = \"{role}\"\n"));
    let said = project.run(&["plan", "capture"]);
    said.expect(1, &["1 query has no plan"]);
    assert!(said.stdout.contains("PostgreSQL keeps 63"), "{said}");
    let slow = "[[queries]]\nname = \"slow\"\nsql = \"select pg_sleep(30)\"\n\
                [[queries]]\nname = \"quick\"\nsql = \"select 1\"\n";
    project.profile(slow);
    let arguments = ["plan", "capture", "--mode", "analyze", "--timeout", "50ms"];
    let said = project.run(&arguments);
    said.expect(1, &["1 query has no plan"]);
    assert!(said.stdout.contains("canceling statement due to statement timeout"), "{said}");
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let Some((project, _database)) = project("plan_usage") else { return };
    let wrong = |arguments: &[&str], texts: &[&str]| {
        project.run(&[&["plan"], arguments].concat()).expect(2, texts);
    };
    wrong(
        &["capture", "by_customre"],
        &["there is no query by_customre", "did you mean by_customer"],
    );
    wrong(&["capture", "--tag", "none"], &["there are no such queries"]);
    let statements = project.run(&["plan", "capture", "--statements"]);
    statements.expect(3, &["has no extension pg_stat_statements", "CREATE EXTENSION"]);
    std::fs::write(project.folder.path().join("not.json"), "{\"a\": 1}").unwrap();
    wrong(&["diff", "not.json"], &["not.json holds no plans", "--save FILE"]);
    let missing = project.run(&["plan", "diff", "missing.json"]);
    assert!(missing.code == 6 || missing.code == 2, "{missing}");
    let file = "-- name: from_file\n-- parameters: [\"7\"]\nselect * from orders where id = $1\n";
    std::fs::write(project.folder.path().join("q.sql"), file).unwrap();
    let said = project.run(&["plan", "capture", "--file", "q.sql", "--json"]);
    said.expect(0, &[]);
    assert_eq!(column(&rows(&said), "query"), ["from_file"]);
}

#[test]
fn migrate_looks_around_each_index_change() {
    let Some((project, database)) = project("plan_migrate") else { return };
    project.migration(
        "V1__indexes",
        "create index on orders (customer);\ncreate index on events (kind);",
    );
    let said = project.migrate();
    said.expect(0, &[]);
    for text in ["concurrently, (customer)", "concurrently, (kind)", "by_customer (1)", "improved"]
    {
        assert!(said.stdout.contains(text), "{text}: {said}");
    }
    let history = project.run(&["plan", "history", "--json"]);
    let queries = rows(&history);
    // The index of the partitioned table is seen without leaves, and when these are built.
    let expected = ["by_customer (1)", "by_customer (2)", "by_kind", "by_kind"];
    assert_eq!(column(&queries, "query"), expected);
    let one = project.run(&["plan", "history", "by_kind", "--json"]);
    assert_eq!(column(&rows(&one), "verdict"), ["identical", "improved"]);
    a_query_has_its_course(&project, &database);
    // What touches no query's table is not looked at, and writes nothing.
    let count = "select count(*) from pgtune_state.plan_history";
    let count = || -> i64 { database.connect().query_one(count, &[]).unwrap().get(0) };
    assert_eq!(count(), 8);
    project.migration("V2__other", "create table other (a int);\ncreate index on other (a);");
    project.migrate().expect(0, &[]);
    assert_eq!(count(), 8);
}

/// The points of `plan history by_customer`, which has two sets of values.
fn a_query_has_its_course(project: &Project, database: &Database) {
    let measured = "update pgtune_state.plan_history set time_ms = 2.5
                    where parameters = 1 and moment = 'after'";
    database.connect().batch_execute(measured).unwrap();
    let said = project.run(&["plan", "history", "by_customer", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    let course = json["sections"].as_array().unwrap().iter().find(|one| one["kind"] == "course");
    let course = course.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(course["query"], "by_customer");
    let sets = course["sets"].as_array().unwrap();
    assert_eq!((sets.len(), &sets[0]["set"], &sets[1]["set"]), (2, &1.into(), &2.into()));
    for (set, time) in sets.iter().zip([Value::from(2.5), Value::Null]) {
        let points = set["points"].as_array().unwrap();
        assert_eq!(points.len(), 1, "{said}");
        let (before, after) = (&points[0]["before"], &points[0]["after"]);
        assert!(before["cost"].as_f64() > after["cost"].as_f64(), "{said}");
        assert_eq!((&before["time_ms"], &after["time_ms"]), (&Value::Null, &time));
        assert_eq!(after["digest"].as_str().unwrap().len(), 8);
        assert_eq!(
            (&points[0]["plan_changed"], &points[0]["verdict"]),
            (&true.into(), &"improved".into())
        );
        assert!(points[0]["change"].as_str().unwrap().contains("(customer)"), "{said}");
        assert!(points[0]["taken_at"].as_str().unwrap().ends_with('Z'), "{said}");
    }
    let shown = project.run(&["plan", "history", "by_customer"]);
    for text in
        ["cost of by_customer after each change", "(2) V1__indexes", "2.5 ms, new plan", "│ before"]
    {
        assert!(shown.stdout.contains(text), "{text}: {shown}");
    }
    let marked = project.run(&["plan", "history", "by_customer", "--format", "markdown"]);
    assert!(marked.stdout.contains("```\n(1) V1__indexes"), "{marked}");
    let all = project.run(&["plan", "history"]);
    assert!(!all.stdout.contains("after each change"), "{all}");
}

#[test]
fn what_a_migration_created_is_looked_at_when_it_gets_an_index() {
    let Some((project, database)) = Project::new("plan_created") else { return };
    project.profile(QUERIES);
    project.migration("V1__tables", TABLES);
    project.migration("V2__index", "create index on events (kind);");
    let said = project.migrate();
    said.expect(0, &[]);
    assert!(said.stdout.contains("concurrently, (kind)"), "{said}");
    let changes =
        "select distinct change from pgtune_state.plan_history where verdict = 'improved'";
    let changes = database.connect().query(changes, &[]).unwrap();
    assert_eq!(changes.len(), 1, "{said}");
}

#[test]
fn a_regression_of_a_partitioned_table_ends_the_run_when_the_index_is_whole() {
    let Some((project, database)) = project("plan_gate_parts") else { return };
    // Whatever the plan becomes, it counts as worse.
    project.profile(format!(
        "[gate]\ncost_ratio = 0.0\ncost_floor = -1e9\nworkload_impact = -1e9\n\
         statement_impact = -1e9\n{QUERIES}"
    ));
    project.migration("V1__index", "create index on events (kind);");
    let said = project.run(&["migrate", "--yes", "--gate"]);
    said.expect(1, &["became worse", "DROP INDEX public.events_kind_idx;"]);
    let valid = "select indisvalid from pg_index where indexrelid = 'events_kind_idx'::regclass";
    assert!(database.connect().query_one(valid, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn the_gate_stops_behind_a_regression_and_says_how_to_take_it_back() {
    let Some((project, database)) = project("plan_gate") else { return };
    database.connect().batch_execute("create index by_customer on orders (customer)").unwrap();
    project.migration("V1__drop", "drop index by_customer;");
    project.migration("V2__next", "create table next (a int);");
    let said = project.run(&["migrate", "--yes", "--gate"]);
    let back = "CREATE INDEX by_customer ON public.orders USING btree (customer);";
    said.expect(1, &["the plans of by_customer became worse", back]);
    assert!(said.stdout.contains("regressed"), "{said}");
    let next = "select to_regclass('next') is null";
    assert!(database.connect().query_one(next, &[]).unwrap().get::<_, bool>(0));
    // Whoever agrees goes on.
    project.run(&["migrate", "--yes"]).expect(0, &[]);
    assert!(!database.connect().query_one(next, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn values_that_nobody_gave_come_from_the_statistics() {
    let Some((project, database)) = project("plan_values") else { return };
    let queries = [
        ("by_state", "select * from orders where state = $1"),
        ("since", "select count(*) from events where at >= $1 and kind = $2"),
        ("page", "select * from orders where customer = any($1) order by id limit $2"),
        ("called", "select * from orders where state like $1"),
    ];
    let written =
        queries.map(|(name, sql)| format!("[[queries]]\nname = \"{name}\"\nsql = \"{sql}\"\n"));
    project.profile(written.concat());
    let take = |file: &str| project.run(&["plan", "capture", "--save", file, "--json", "--tree"]);
    let said = take("before.json");
    said.expect(0, &[]);
    let taken = rows(&said);
    let labels = column(&taken, "query");
    for label in ["by_state (common)", "by_state (rare)", "since (median)", "since (newest)"] {
        assert!(labels.contains(&label), "{label}: {labels:?}");
    }
    let state = |label: &str| {
        let text = std::fs::read_to_string(project.folder.path().join("before.json")).unwrap();
        let saved: Value = serde_json::from_str(&text).unwrap();
        let of = |one: &&Value| one["chosen"]["name"] == label && one["query"] == "by_state";
        let one = saved["queries"].as_array().unwrap().iter().find(of).unwrap();
        one["chosen"]["values"][0].as_str().unwrap().to_string()
    };
    assert_eq!((state("common"), state("rare")), ("done".to_string(), "open".to_string()));
    // What was chosen stays chosen, whatever is common later.
    let later = "update orders set state = 'open'; analyze orders";
    database.connect().batch_execute(later).unwrap();
    let diff = project.run(&["plan", "diff", "before.json", "--json"]);
    let compared = rows(&diff);
    assert_eq!(column(&compared, "query").len(), labels.len(), "{diff}");
    assert!(column(&compared, "query").contains(&"by_state (common)"), "{diff}");
    // An index on the rare value is worth it for that alone.
    TURN_BACK.iter().for_each(|sql| database.connect().batch_execute(sql).unwrap());
    take("before.json").expect(0, &[]);
    database.connect().batch_execute("create index on orders (state)").unwrap();
    let better = rows(&project.run(&["plan", "diff", "before.json", "--json"]));
    let verdict = |label: &str| {
        let row = better.iter().find(|row| row["query"] == label).unwrap();
        row["verdict"].as_str().unwrap().to_string()
    };
    assert_eq!(verdict("by_state (common)"), "identical");
    assert_eq!(verdict("by_state (rare)"), "improved");
    let spread = "improved with 1 of 2 parameter sets (rare), identical with 1";
    let said = project.run(&["plan", "diff", "before.json"]);
    assert!(said.stdout.contains(spread), "{said}");
}

const TURN_BACK: [&str; 3] = [
    "update orders set state = case when id % 100 = 0 then 'open' else 'done' end",
    "vacuum full orders",
    "analyze orders",
];

#[test]
fn two_sides_are_compared_in_turns() {
    let Some((project, database)) = project("plan_sides") else { return };
    database.connect().batch_execute("create index on orders (customer)").unwrap();
    let off = ["plan", "diff", "--set", "enable_indexscan=off", "--set", "enable_bitmapscan=off"];
    let worse = project.run(&[&off[..], &["--json"]].concat());
    worse.expect(1, &["worse: by_customer"]);
    let verdicts = rows(&worse);
    assert_eq!(column(&verdicts, "verdict")[..2], ["regressed"; 2], "{worse}");
    let run = project.run(&[&off[..], &["--mode", "analyze", "--query", "by_customer"]].concat());
    run.expect(1, &["worse: by_customer"]);
    assert!(run.stdout.contains("time before") && run.stdout.contains("rows processed"), "{run}");
    // Nothing but what is asked for may differ.
    let same = project.run(&["plan", "diff", "--set", "work_mem=5MB", "--json"]);
    same.expect(0, &[]);
    assert_eq!(column(&rows(&same), "verdict"), ["identical"; 4]);
    // Costs in other units say nothing, but what a run does.
    let cheap = ["plan", "diff", "--set", "random_page_cost=0.1", "--query", "by_customer"];
    let said = project.run(&[&cheap[..], &["--json"]].concat());
    said.expect(0, &[]);
    let compared = rows(&said);
    assert_eq!(column(&compared, "verdict"), ["not comparable"; 2], "{said}");
    assert!(said.stdout.contains("random_page_cost is 0.1 instead of its default"), "{said}");
    let said = project.run(&[&cheap[..], &["--mode", "analyze", "--json"]].concat());
    assert!(!column(&rows(&said), "verdict").contains(&"not comparable"), "{said}");
    let unknown = project.run(&["plan", "diff", "--set", "no_such=1"]);
    unknown.expect(2, &["--set no_such", "unrecognized configuration parameter"]);
    // Another database, which lacks the index.
    let other = Database::create("plan_sides_other").unwrap();
    other.connect().batch_execute(TABLES).unwrap();
    let there = project.run(&["plan", "diff", "--to-url", &other.url, "--query", "by_customer"]);
    there.expect(1, &["worse: by_customer"]);
    let nowhere = "postgres://user:hush@localhost:1/none";
    let nowhere = project.run(&["plan", "diff", "--to-url", nowhere]);
    nowhere.expect(3, &["localhost"]);
    assert!(!nowhere.stderr.contains("hush"), "{nowhere}");
    for wrong in [&["plan", "diff"][..], &["plan", "diff", "a.json", "--policies"]] {
        assert_eq!(project.run(wrong).code, 2);
    }
}

#[test]
fn the_cost_of_policies_is_shown() {
    let Some((project, database)) = project("plan_policies") else { return };
    let none = project.run(&["plan", "diff", "--policies"]);
    none.expect(2, &["no query has a role"]);
    let role = format!("reader_{}", std::process::id());
    let grant = format!("create role {role}; grant select on orders, events to {role}");
    database.connect().batch_execute(&grant).unwrap();
    let query = |name: &str, table: &str| {
        format!(
            "[[queries]]\nname = \"{name}\"\nsql = \"select * from {table}\"\nrole = \
             \"{role}\"\nsettings = {{ \"app.customer\" = \"7\" }}\n"
        )
    };
    project.profile(query("own", "orders") + &query("free", "events"));
    let said = project.run(&["plan", "diff", "--policies", "--mode", "analyze"]);
    said.expect(0, &[]);
    assert!(said.stdout.contains("time without"), "{said}");
    // What was measured may be the greater reason.
    let estimated = project.run(&["plan", "diff", "--policies"]);
    assert!(estimated.stdout.contains("Filter added"), "{estimated}");
    assert!(said.stdout.contains("no policy, or one that costs nothing"), "{said}");
    let drop = format!("drop owned by {role}; drop role {role}");
    database.connect().batch_execute(&drop).unwrap();
}

#[test]
fn a_plan_that_hardly_beats_its_rival_is_unstable() {
    let Some((project, database)) = project("plan_rival") else { return };
    project.run(&["plan", "capture", "--save", "before.json"]).expect(0, &[]);
    database.connect().batch_execute("create index on orders (customer)").unwrap();
    // No cost decides, and nine tenths are next to nothing: the plain index scan is a rival.
    let verdict = |tie: &str| {
        let gate = format!("[gate]\nimproved_ratio = 0.0001\ntie = {tie}\n{QUERIES}");
        project.profile(gate);
        let said = project.run(&["plan", "diff", "before.json", "--json"]);
        said.expect(0, &[]);
        column(&rows(&said), "verdict")[0].to_string()
    };
    assert_eq!(verdict("0.9"), "unstable");
    assert_eq!(verdict("0.000001"), "changed");
}

#[test]
fn twenty_captures_of_one_database_are_alike() {
    let Some((project, _database)) = project("plan_alike") else { return };
    let estimates: Vec<String> =
        (0..20).map(|_| project.run(&["plan", "capture", "--json", "--tree"]).stdout).collect();
    assert!(estimates.iter().all(|one| *one == estimates[0]), "{}", estimates[0]);
    let analyze = ["plan", "capture", "--mode", "analyze", "--save", "before.json"];
    project.run(&analyze).expect(0, &[]);
    for _ in 0..20 {
        let said = project.run(&["plan", "diff", "before.json", "--json"]);
        said.expect(0, &[]);
        let rows = rows(&said);
        let verdicts = column(&rows, "verdict");
        assert!(verdicts.iter().all(|one| *one == "identical"), "{said}");
    }
}

#[test]
fn statistics_that_moved_the_estimate_are_told_from_an_index() {
    let Some((project, database)) = project("plan_statistics") else { return };
    let take = || project.run(&["plan", "capture", "--save", "before.json"]).expect(0, &[]);
    take();
    let verdict = |at: usize| {
        let said = project.run(&["plan", "diff", "before.json", "--json"]);
        let rows = rows(&said);
        (column(&rows, "verdict")[at].to_string(), column(&rows, "why")[at].to_string())
    };
    let analyzed = |sql: &str| {
        let mut client = database.connect();
        let time = "select coalesce(max(last_analyze), '-infinity')::text from pg_stat_user_tables \
                    where relname = 'orders'";
        let before: String = client.query_one(time, &[]).unwrap().get(0);
        client.batch_execute(sql).unwrap();
        // Up to 14 a process of its own counts, a little later.
        eventually("the server knows of its ANALYZE", || {
            database.connect().query_one(time, &[]).unwrap().get::<_, String>(0) != before
        });
    };
    // ANALYZE finds what it found before: the index is what made it better.
    analyzed("create index on orders (customer); analyze orders");
    assert_eq!(verdict(0).0, "improved");
    let grow =
        "insert into orders (customer, state) select 7, 'done' from generate_series(1, 20000)";
    analyzed(&format!("{grow}; analyze orders"));
    let (verdict, why) = verdict(0);
    assert_eq!(verdict, "not comparable");
    assert!(
        why.contains("new statistics: public.orders has 40,000 rows instead of 20,000"),
        "{why}"
    );
}

#[test]
fn partitions_that_come_and_go_are_looked_around_too() {
    let Some((project, database)) = project("plan_rotate") else { return };
    let rule = "[[partitions]]\ntable = \"events\"\ninterval = \"month\"\nahead = 1\n";
    project.profile(format!("{QUERIES}{rule}"));
    let rotate = || project.run(&["partitions", "rotate", "--yes", "--as-of", "2026-02-20"]);
    rotate().expect(0, &[]);
    let known = |sql: &str| database.connect().query_one(sql, &[]).unwrap().get::<_, i64>(0);
    // Another month is no news; it is written down without the plans.
    let noted = "select count(*) from pgtune_state.plan_history where verdict = 'same shape' and \
                 outcome is null and query = 'by_kind'";
    assert_eq!(known(noted), 2);
    // Whatever the plan becomes, it counts as worse.
    let gate = "[gate]\ncost_ratio = 0.0\ncost_floor = -1e9\nidentical = 0.0\n";
    project.profile(format!("{gate}{QUERIES}{}", rule.replace("ahead = 1", "ahead = 3")));
    let said = rotate();
    said.expect(0, &[]);
    let shown = ["plans around the partitions of events", "by_kind", "2 attached"];
    for text in shown {
        assert!(said.stdout.contains(text), "{text}: {said}");
    }
    assert!(!said.stdout.contains("by_customer"), "{said}");
    let history = "select count(*) from pgtune_state.plan_history where change like '%events'";
    assert_eq!(known(history), 4);
}

#[test]
fn queries_are_run_around_index_changes_where_that_is_asked_for() {
    let Some((project, database)) = project("plan_measure") else { return };
    let write = "\n[[queries]]\nname = \"close\"\nsql = \"update orders set state = 'closed' where \
                 customer = $1\"\nparameters = [[\"7\"]]\n";
    project.profile(format!("{QUERIES}{write}"));
    project.migration("V1__index", "create index on orders (customer);");
    let said = project.run(&["migrate", "--yes", "--measure"]);
    said.expect(0, &[]);
    assert!(said.stdout.contains("time before") && said.stdout.contains("improved"), "{said}");
    let count = |sql: &str| database.connect().query_one(sql, &[]).unwrap().get::<_, i64>(0);
    let timed =
        "select count(*) from pgtune_state.plan_history where time_ms > 0 and mode = 'analyze'";
    // Three queries' sets before and after; those of another table are not looked at.
    assert_eq!(count(timed), 6);
    assert_eq!(count("select count(*) from orders where state = 'closed'"), 0);
    let history = project.run(&["plan", "history", "by_customer"]);
    assert!(history.stdout.contains(" ms"), "{history}");
}

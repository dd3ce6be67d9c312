//! The statements of `pg_stat_statements` as a workload, on servers of their own that count them.

use std::sync::OnceLock;

use postgres::Client;
use serde_json::Value;

use crate::snapshot::with_pg_dump;
use crate::support::{Holder, connect, debug_server};
use crate::user_project::{Project, Said, skipped};

/// Rows enough that an index is worth it.
const TABLES: &str = "
    create extension pg_stat_statements;
    create table orders (id int generated always as identity primary key, customer int not null,
                         at timestamptz not null);
    insert into orders (customer, at) select i % 1000, timestamptz '2026-01-01' + i * interval
      '1 minute' from generate_series(1, 20000) i;
    create table events (at timestamptz not null) partition by range (at);
    create table events_a partition of events for values from ('2026-01-01') to ('2027-01-01');
    insert into events select timestamptz '2026-01-01' + i * interval '1 minute'
      from generate_series(1, 1000) i;
    analyze;
";

/// A server with settings; `None` (said loudly) where it cannot count statements.
fn counting(settings: &[&str]) -> Option<Holder> {
    let mut command = debug_server();
    for setting in ["shared_preload_libraries=pg_stat_statements"].iter().chain(settings) {
        command.args(["--set", setting]);
    }
    match Holder::start(command) {
        Ok(holder) => Some(holder),
        Err(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let lacks = ["no PostgreSQL server", "could not access file \"pg_stat_statements\""];
            assert!(lacks.iter().any(|lack| said.contains(lack)), "no server: {said}");
            skipped("no server counts statements");
            None
        }
    }
}

/// A project on a database of the server that most tests share, with its tables.
fn project(test: &str) -> Option<(Project, Client)> {
    static SERVER: OnceLock<Option<Holder>> = OnceLock::new();
    let server = SERVER.get_or_init(|| counting(&[])).as_ref()?;
    Some(project_on(server, test))
}

fn project_on(server: &Holder, database: &str) -> (Project, Client) {
    connect(&server.url).batch_execute(&format!("create database {database}")).unwrap();
    let project = Project::at(&server.url.replace("/postgres", &format!("/{database}")));
    project.profile("");
    let mut client = connect(&project.url);
    client.batch_execute(TABLES).unwrap();
    forget(&mut client);
    (project, client)
}

/// What made the tables is no workload.
fn forget(client: &mut Client) {
    let own = "select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = \
               current_database()";
    client.execute(own, &[]).unwrap();
}

/// The rows of the report's table of this title.
fn rows(said: &Said, title: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap();
    let table = |one: &&Value| one["kind"] == "table" && one["title"] == title;
    let table = sections.iter().find(table).unwrap_or_else(|| panic!("no {title}: {said}"));
    table["rows"].as_array().unwrap().clone()
}

fn column(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().unwrap().to_string()).collect()
}

#[test]
fn the_dear_statements_have_plans_and_the_rest_does_not_count() {
    let Some((project, mut client)) = project("stat_capture") else { return };
    // Each of the dear ones takes long, whatever the machine.
    let dear = [
        "select count(*), pg_sleep(0.04) from orders where at > now() - interval '1 day'",
        "select extract(year from at), count(*), pg_sleep(0.04) from events where at > \
         timestamptz '2020-01-01' group by extract(year from at) order by 1",
        "-- name: page\nselect id, pg_sleep(0.04) from orders where customer in (1, 2, 3) limit 1 \
         offset 2",
        "select date_trunc('year', at), count(*), pg_sleep(0.04) from events group by \
         date_trunc('year', at)",
        "select extract(epoch from at), pg_sleep(0.04) from orders where id = 5",
    ];
    for sql in dear.into_iter().chain(["select id from orders where id = 7", "vacuum orders"]) {
        client.simple_query(sql).unwrap();
    }
    client.simple_query("select count(*), pg_sleep(0.04) from pg_class").unwrap();
    client.simple_query("explain (analyze) select pg_sleep(0.04) from orders limit 1").unwrap();
    let said = project.run(&["plan", "capture", "--statements", "--json"]);
    said.expect(0, &[]);
    let texts = column(&rows(&said, "statements"), "text");
    for known in [
        "at > now() - $2::interval",
        "extract(year from at), count(*), pg_sleep($1) from events where at > $2::timestamptz",
        "select id, pg_sleep($1) from orders where customer in ($2",
        "date_trunc('year', at), count(*)",
        "select extract(epoch from at)",
    ] {
        assert!(texts.iter().any(|text| text.contains(known)), "{known}: {said}");
    }
    assert_eq!(texts.len(), dear.len(), "{said}");
}

#[test]
fn a_snapshot_brings_its_statements_along() {
    let Some((project, mut client)) = project("stat_snapshot") else { return };
    let run = |arguments: &[&str]| project.run(arguments);
    client.batch_execute("create role stat_secret password 'hush-role'").unwrap();
    let dear = [
        "select count(*) from orders where customer = 4711 /* user=hush-comment */",
        // The server leaves such constants in the text.
        "select customer = 123456, count(*) from orders group by customer = 123456",
    ];
    // Both read the table as often: each takes its share of all time.
    for sql in dear.repeat(20) {
        client.simple_query(sql).unwrap();
    }
    let take = ["snapshot", "take", "s.json", "--statements"];
    let taken = run(&with_pg_dump(&take));
    taken.expect(0, &[]);
    assert!(taken.stdout.contains("1 statement is left out"), "{taken}");
    let text = std::fs::read_to_string(project.folder.path().join("s.json")).unwrap();
    assert!(!text.contains("hush") && !text.contains("123456"), "{text}");
    let shown = run(&["snapshot", "show", "s.json", "--json"]);
    let texts = column(&rows(&shown, "statements"), "text");
    assert_eq!(texts, ["select count(*) from orders where customer = $1"], "{shown}");
    if text.contains("\"ddl\": null") {
        skipped("a snapshot's schema");
        return;
    }
    // Values for $1 are those that the statistics offer.
    let verified = run(&["snapshot", "verify", "s.json", "--json"]);
    verified.expect(0, &[]);
    let queries = column(&rows(&verified, ""), "query");
    assert!(queries.iter().all(|name| name.starts_with("statement_")), "{verified}");
    assert!(queries.len() > 1 && verified.stdout.contains("\"exact\""), "{verified}");
    assert_eq!(column(&rows(&verified, "statements"), "text"), texts);
    // Queries of the profile go before, until somebody asks for the statements.
    project.profile("[[queries]]\nname = \"own\"\nsql = \"select count(*) from events\"\n");
    let own = run(&["plan", "predict", "--snapshot", "s.json", "--json"]);
    own.expect(0, &[]);
    assert!(own.stdout.contains("\"own\"") && !own.stdout.contains("statement_"), "{own}");
    let asked = run(&["plan", "predict", "--snapshot", "s.json", "--statements", "--json"]);
    asked.expect(0, &[]);
    assert!(!asked.stdout.contains("\"own\"") && asked.stdout.contains("statement_"), "{asked}");
    project.migration("V1__index", "create index by_customer on orders (customer);");
    let checked = run(&["check", "--snapshot", "s.json", "--statements"]);
    assert!(checked.stdout.contains("from orders where customer = $1"), "{checked}");
    run(&with_pg_dump(&["snapshot", "take", "s.json"])).expect(0, &[]);
    let none = run(&["plan", "predict", "--snapshot", "s.json", "--statements"]);
    none.expect(2, &["the snapshot has no statements", "snapshot take --statements"]);
}

#[test]
fn hidden_statements_are_counted_and_told() {
    let Some((project, mut client)) = project("stat_hidden") else { return };
    client.batch_execute("create role asks; grant select on orders to asks").unwrap();
    client.batch_execute("set role asks; select count(*) from orders; reset role").unwrap();
    client.simple_query("select pg_sleep(0.04) from orders limit 1").unwrap();
    let shown = project.run(&["plan", "capture", "--statements", "--json"]);
    shown.expect(0, &[]);
    assert!(!shown.stderr.contains("may not be read"), "{shown}");
    project.profile("[database]\nrole = \"asks\"\n");
    let said = project.run(&["plan", "capture", "--statements", "--json"]);
    said.expect(0, &["% of all time) may not be read: GRANT pg_read_all_stats to the role"]);
    let texts = column(&rows(&said, "statements"), "text");
    assert_eq!(texts, ["select count(*) from orders"]);
}

#[test]
fn forgotten_statements_are_told() {
    let Some(server) = counting(&["pg_stat_statements.max=100"]) else { return };
    let (project, mut client) = project_on(&server, "stat_forgotten");
    for columns in 1..150 {
        let list = vec!["id"; columns].join(", ");
        client.simple_query(&format!("select {list} from orders limit 0")).unwrap();
    }
    let said = project.run(&["plan", "capture", "--statements"]);
    said.expect(0, &["pg_stat_statements has forgotten some"]);
    server.release();
}

#[test]
fn migrate_looks_at_the_statements_about_what_it_changes() {
    let Some((project, mut client)) = project("stat_migrate") else { return };
    client.simple_query("select pg_sleep(0.1) from events limit 1").unwrap();
    client.simple_query("select id from \"orders\" where customer = 7").unwrap();
    client.simple_query("select max(at) from events_a").unwrap();
    project.migration("V1__index", "create index by_customer on orders (customer);");
    let run = || project.run(&["migrate", "--yes", "--statements", "--json"]);
    let better = run();
    better.expect(0, &[]);
    let texts = column(&rows(&better, "statements"), "text");
    assert_eq!(texts, ["select id from \"orders\" where customer = $1"]);
    assert!(better.stdout.contains("\"improved\""), "{better}");
    // An index of the table above changes plans of whoever asks the partition.
    project.migration("V2__above", "create index on events (at);");
    let below = run();
    below.expect(0, &[]);
    assert_eq!(column(&rows(&below, "statements"), "text"), ["select max(at) from events_a"]);
    // Only the server knows of which table an index is.
    project.migration("V3__drop", "drop index by_customer;");
    let worse = run();
    worse.expect(0, &[]);
    assert_eq!(column(&rows(&worse, "statements"), "text"), texts);
    assert!(worse.stdout.contains("\"regressed\""), "{worse}");
    project.migration("V4__drop_above", "drop index events_at_idx;");
    let dropped = run();
    dropped.expect(0, &[]);
    assert_eq!(column(&rows(&dropped, "statements"), "text"), ["select max(at) from events_a"]);
}

#[test]
fn nothing_is_run_where_the_statements_cannot_be_read() {
    let Some((project, mut client)) = project("stat_none") else { return };
    client.batch_execute("drop extension pg_stat_statements").unwrap();
    project.migration("V1__table", "create table other (a int);");
    let said = project.run(&["migrate", "--yes", "--statements"]);
    said.expect(3, &["has no extension pg_stat_statements", "CREATE EXTENSION"]);
    let other = client.query_one("select to_regclass('other') is null", &[]).unwrap();
    assert!(other.get::<_, bool>(0));
}

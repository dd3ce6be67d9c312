//! `pgtune bench`: what is counted, what is judged, and that nothing of it stays. No test looks at
//! how long something took.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::demo::{assert_nothing_left, temp_folder};
use crate::project::{Outcome, Run};
use crate::support::{Database, eventually, pgtune, server};

/// A profile beside a database.
struct Bench {
    folder: tempfile::TempDir,
    url: String,
}

impl Bench {
    fn new(database: &Database, profile: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pgtune.toml"), profile).unwrap();
        Bench { folder, url: database.url.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pgtune(&["bench", "--url", &self.url]);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs with --json; the exit code and the document.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let outcome = self.run(&[arguments, &["--json"]].concat());
        let document = serde_json::from_str(&outcome.stdout);
        (outcome.code, document.unwrap_or_else(|error| panic!("{error}: {outcome:?}")))
    }
}

/// The outcome of a query by name.
fn query<'a>(document: &'a Value, name: &str) -> &'a Value {
    let queries = document["queries"]["queries"].as_array().unwrap();
    queries.iter().find(|query| query["name"] == name).unwrap()
}

/// A table of 100 rows, of which a policy shows each user their own ten.
const TABLE: &str = "
    create table items (id int primary key, owner text not null);
    insert into items select n, 'user' || n % 10 from generate_series(1, 100) n;
    alter table items enable row level security;
    create policy own on items using (owner = current_setting('bench.owner'));
    do $$ begin
        if not exists (select from pg_roles where rolname = 'bench_app') then
            create role bench_app;
        end if;
    exception when duplicate_object or unique_violation then null;
    end $$;
    grant all on items to bench_app;
    analyze items";

const QUERIES: &str = r#"
[[queries]]
name = "all"
sql = "select id from items where id > $1"
parameters = [["0"], ["50"]]
target = "1h"
tags = ["read"]

[[queries]]
name = "own"
sql = "select id from items"
role = "bench_app"
settings = { "bench.owner" = "user3" }
tags = ["read", "app"]

[[queries]]
name = "add"
sql = "insert into items select n, $1 from generate_series(1001, 1005) n"
parameters = [["user1"]]
tags = ["write"]
"#;

fn prepared(test: &str) -> Option<Database> {
    let database = Database::create(test)?;
    database.connect().batch_execute(TABLE).unwrap();
    Some(database)
}

#[test]
fn each_query_runs_as_often_as_asked_as_whom_it_says_and_writes_are_rolled_back() {
    let Some(database) = prepared("bench") else { return };
    let bench = Bench::new(&database, QUERIES);
    let (code, document) = bench.json(&["--count", "7", "--concurrency", "3"]);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["interrupted"], false);
    assert_eq!(document["queries"]["clients"], 3);
    for (name, rows, verdict) in [("all", 100, "met"), ("own", 10, "none"), ("add", 0, "none")] {
        let query = query(&document, name);
        assert_eq!(query["runs"], 7, "{query:#}");
        assert_eq!(query["errors"].as_array().unwrap().len(), 0, "{query:#}");
        assert_eq!(query["footprint"]["rows"], rows, "{query:#}");
        assert!(query["footprint"]["buffers"].as_u64().unwrap() > 0, "{query:#}");
        assert_eq!(query["verdict"], verdict, "{query:#}");
        let latency = &query["latency"];
        let figure = |key: &str| latency[key].as_f64().unwrap();
        assert!(figure("least_ms") > 0.0 && figure("p50_ms") <= figure("p95_ms"), "{query:#}");
        assert!(figure("p95_ms") <= figure("p99_ms"), "{query:#}");
    }
    let count: i64 =
        database.connect().query_one("select count(*) from items", &[]).unwrap().get(0);
    assert_eq!(count, 100);
}

#[test]
fn queries_are_chosen_by_name_and_tag() {
    let Some(database) = prepared("bench_choice") else { return };
    let bench = Bench::new(&database, QUERIES);
    let names = |arguments: &[&str]| {
        let (_, document) = bench.json(&[&["--count", "1"], arguments].concat());
        let queries = document["queries"]["queries"].as_array().unwrap().clone();
        queries.iter().map(|query| query["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["own"]), ["own"]);
    assert_eq!(names(&["--tag", "read"]), ["all", "own"]);
    assert_eq!(names(&["add", "--tag", "app"]), ["own", "add"]);
    for (arguments, said) in [
        (&["ownn"][..], "did you mean own?"),
        (&["--tag", "nothing"], "no query has the tag nothing"),
        (&["--concurrency", "0"], "0 is not in 1..=1000"),
        (&["--duration", "0"], "0 would measure nothing"),
        (&["--rate=-1"], "write a number above 0"),
        (&["--rate", "nan"], "write a number above 0"),
    ] {
        let outcome = bench.run(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
    let empty = Bench::new(&database, "").run(&[]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("the profile has no queries to measure"), "{empty:?}");
}

#[test]
fn a_missed_target_is_exit_code_1_unless_only_a_report_is_wanted() {
    let Some(database) = prepared("bench_missed") else { return };
    let slow = r#"
[[queries]]
name = "slow"
sql = "select pg_sleep(0.01)"
target = "1ms"
[[queries]]
name = "quick"
sql = "select 1"
target = "1h"
"#;
    let bench = Bench::new(&database, slow);
    let outcome = bench.run(&["--count", "3"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("1ms missed") && outcome.stdout.contains("1h met"));
    assert!(outcome.stderr.contains("missed its target, or failed too often: slow\n"));
    let outcome = bench.run(&["--count", "3", "--report-only"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    // With several clients there is a target for all.
    let bench = Bench::new(&database, &format!("[bench]\nconcurrent_target = \"1h\"\n{slow}"));
    assert_eq!(bench.run(&["--count", "4", "--concurrency", "2"]).code, Some(0));
    assert_eq!(bench.run(&["--count", "4", "--concurrency", "1"]).code, Some(1));
}

#[test]
fn errors_are_counted_by_sqlstate_and_the_rest_goes_on() {
    let Some(database) = prepared("bench_errors") else { return };
    let profile = r#"
[[queries]]
name = "good"
sql = "select 1"
[[queries]]
name = "zero"
sql = "select 1 / (id - 7) from items where id = $1"
parameters = [["7"], ["8"]]
[[queries]]
name = "typo"
sql = "select nothing from items"
[[queries]]
name = "lacks"
sql = "select id from items where id = $1"
[[queries]]
name = "denied"
sql = "create table made_by_bench (a int)"
role = "bench_app"
[[queries]]
name = "gone"
sql = "set local role bench_nobody"
"#;
    let bench = Bench::new(&database, profile);
    let (code, document) = bench.json(&["--count", "4", "--concurrency", "2"]);
    assert_eq!(code, Some(1), "{document:#}");
    let errors = |name: &str| {
        let errors = query(&document, name)["errors"].as_array().unwrap().clone();
        let pair = |error: &Value| {
            let code = error["sqlstate"].as_str().unwrap().to_string();
            (code, error["count"].as_u64().unwrap())
        };
        errors.iter().map(pair).collect::<Vec<_>>()
    };
    let one = |code: &str, count| vec![(code.to_string(), count)];
    assert_eq!(errors("good"), []);
    assert_eq!(errors("zero"), one("22012", 2));
    assert_eq!(query(&document, "zero")["runs"], 4);
    assert_eq!(query(&document, "zero")["verdict"], "missed");
    assert_eq!(errors("typo"), one("42703", 4));
    assert_eq!(errors("lacks"), one("42601", 4));
    assert_eq!(errors("gone"), one("22023", 4));
    assert!(query(&document, "typo")["footprint"].is_null());
    let made = "select to_regclass('made_by_bench') is null";
    assert!(database.connect().query_one(made, &[]).unwrap().get::<_, bool>(0));
    let text = bench.run(&["--count", "2"]).stdout;
    assert!(text.contains("division by zero") && text.contains("22012"), "{text}");
    // Half of the runs failed; that many are accepted here.
    let bench = Bench::new(&database, &format!("[bench]\nerror_limit_percent = 51\n{profile}"));
    assert_eq!(bench.run(&["zero", "--count", "4"]).code, Some(0));
}

#[test]
fn a_server_without_room_says_how_many_clients_fit() {
    let Some(database) = prepared("bench_room") else { return };
    let mut client = database.connect();
    client.batch_execute("drop role if exists bench_few").unwrap();
    client.batch_execute("create role bench_few login connection limit 3").unwrap();
    let url = database.url.replace("pgtune@", "bench_few@");
    let bench = Bench { url, ..Bench::new(&database, "[[queries]]\nname='a'\nsql='select 1'") };
    let outcome = bench.run(&["--concurrency", "5", "--count", "1"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot open client 3 of 5"), "{outcome:?}");
    assert!(outcome.stderr.contains("lower --concurrency to 2 or less"), "{outcome:?}");
    assert_eq!(bench.run(&["--concurrency", "2", "--count", "1"]).code, Some(0));
}

#[test]
fn interrupted_it_reports_what_it_has_and_leaves_no_session() {
    let Some(database) = prepared("bench_interrupted") else { return };
    let profile = "
[[queries]]
name = \"quick\"
sql = \"select 1\"
[[queries]]
name = \"endless\"
sql = \"select pg_sleep(case when n = 1 then 0 else 20 end) from bench_next() n\"
";
    database
        .connect()
        .batch_execute(
            "create sequence bench_runs;
             create function bench_next() returns int language sql as
                 $$ select case when nextval('bench_runs') <= 3 then 1 else 2 end $$",
        )
        .unwrap();
    let bench = Bench::new(&database, profile);
    let run = Run::of(bench.command(&["--duration", "1h", "--concurrency", "1", "--json"]));
    let sleeping = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'";
    let mut client = database.connect();
    eventually("it sleeps", || client.query_one(sleeping, &[]).unwrap().get::<_, i64>(0) == 1);
    run.signal("INT");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["interrupted"], true);
    assert!(query(&document, "quick")["runs"].as_u64().unwrap() >= 1, "{document:#}");
    // One was explained, one warmed up, one counts; the cancelled one is neither a success nor a
    // failure.
    assert_eq!(query(&document, "endless")["runs"], 1);
    assert_eq!(query(&document, "endless")["errors"].as_array().unwrap().len(), 0);
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    eventually("no session", || client.query_one(others, &[]).unwrap().get::<_, i64>(0) == 0);
}

const INGEST: &str = r#"
[[bench.ingest]]
name = "single"
table = "items"
shape = "insert"
rows = """
select n + (select max(id) from items) as id, E'it''s\\\\n' as owner
from generate_series(1, 9) n
"""
settings = { synchronous_commit = "off" }
target = "1h"

[[bench.ingest]]
name = "batch"
table = "log"
rows = "select n as a, null::text as \"B c\" from generate_series(1, 10) n"
batch = 7
clients = 2

[[bench.ingest]]
name = "copy"
table = "public.log"
shape = "copy"
rows = "select n as a, E'tab\\t' as \"B c\" from generate_series(1, 10) n"
batch = 50
rows_per_second = 1000
target_rows_per_second = 1

[[bench.ingest]]
name = "staged"
table = "staging"
shape = "copy-and-flush"
rows = "select n as a, 'x' as \"B c\" from generate_series(1, 10) n"
batch = 10
flush = """
with moved as (delete from staging
        where ctid = any (array(select ctid from staging limit 200)) returning *),
    kept as (insert into log select * from moved returning 1)
select count(*) from kept
"""
flush_every = "10ms"

[[bench.ingest]]
name = "old"
table = "log"
rows = "select 1 as a"
until = 1
"#;

const LOG: &str = "
    create table log (a int, \"B c\" text);
    create unlogged table staging (like log);
    create table refinery_schema_history
        (version int primary key, name text, applied_on text, checksum text);
    insert into refinery_schema_history values (1, 'a', '2026-01-01T00:00:00Z', '1'),
        (2, 'b', '2026-01-01T00:00:00Z', '1')";

fn count(database: &Database, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    database.connect().query_one(&sql, &[]).unwrap().get(0)
}

#[test]
fn rows_are_written_as_the_profile_says_and_all_arrive() {
    let Some(database) = prepared("bench_ingest") else { return };
    database.connect().batch_execute(LOG).unwrap();
    let bench = Bench::new(&database, INGEST);
    let arguments =
        ["--yes", "--duration", "150ms", "--ingest", "batch", "--ingest", "copy", "--ingest"];
    let (code, document) = bench.json(&[&arguments[..], &["staged"]].concat());
    assert_eq!(code, Some(0), "{document:#}");
    assert!(document["queries"].is_null(), "queries were not asked for");
    let ways = document["ingest"].as_array().unwrap();
    let names: Vec<&str> = ways.iter().map(|way| way["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["batch", "copy", "staged"]);
    let rows = |pace: &Value| pace["rows"].as_u64().unwrap_or(0);
    let written: u64 = ways.iter().map(|way| rows(&way["offered"]) + rows(&way["free"])).sum();
    assert_eq!(count(&database, "log"), i64::try_from(written).unwrap());
    // A flush moves 200 rows at most, so it takes many after the end of writing.
    assert_eq!(count(&database, "staging"), 0);
    assert!(count(&database, "log where \"B c\" = E'tab\\t'") > 0);
    assert!(count(&database, "log where \"B c\" is null") > 0);
    assert_eq!(ways[0]["offered"], Value::Null);
    assert_eq!(ways[0]["free"]["rows"].as_u64().unwrap() % 7, 0);
    // 1,000 a second are offered for 150 ms, in batches of 50: three at most.
    assert!([50, 100, 150].contains(&rows(&ways[1]["offered"])), "{:#}", ways[1]);
    assert_eq!(ways[1]["verdict"], "met");
    assert!(ways[2]["free"]["flush"]["count"].as_u64().unwrap() > 0);
    let lost = |way: usize| ways[way]["lost_in_a_crash"].as_str().unwrap();
    // The tests' server has fsync and synchronous_commit off.
    assert!(lost(1).starts_with("anything, and maybe the database: fsync is off; what was"));
    assert!(lost(2).contains("rows not flushed yet, here"), "{}", lost(2));
}

#[test]
fn nothing_is_written_without_being_asked_for_and_confirmed() {
    let Some(database) = prepared("bench_refused") else { return };
    database.connect().batch_execute(LOG).unwrap();
    let bench = Bench::new(&database, INGEST);
    let outcome = bench.run(&["--ingest", "all"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("writes rows into items, log, public.log, staging"));
    assert!(outcome.stderr.contains("add --yes"), "{outcome:?}");
    for (arguments, profile, said) in [
        (&["--ingest", "singel", "--yes"][..], INGEST, "did you mean single?"),
        (&["--ingest", "all", "--yes"], "", "the profile has no [[bench.ingest]]"),
        (&["--ingest", "all", "--count", "3"], INGEST, "cannot be used with"),
        (
            &["--ingest", "x", "--yes"],
            "[[bench.ingest]]\nname = \"x\"\nrows = \"select 1 as a\"",
            "bench.ingest \"x\": table: name the table to write into",
        ),
        (
            &["--ingest", "x", "--yes"],
            "[[bench.ingest]]\nname = \"x\"\ntable = \"nothing\"\nrows = \"select 1 as a\"",
            "relation \"nothing\" does not exist",
        ),
        (
            &["--ingest", "x", "--yes"],
            "[[bench.ingest]]\nname = \"x\"\ntable = \"log\"\nrows = \"select 1 as a where false\"",
            "the query for the rows of bench.ingest \"x\" has none",
        ),
    ] {
        let outcome = Bench::new(&database, profile).run(arguments);
        assert!(matches!(outcome.code, Some(2 | 3)), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
    assert_eq!(count(&database, "items"), 100);
    assert_eq!(count(&database, "log"), 0);
}

#[test]
fn refused_rows_are_errors_and_the_designs_of_the_past_are_left_out() {
    let Some(database) = prepared("bench_ingest_errors") else { return };
    database.connect().batch_execute(LOG).unwrap();
    let bench = Bench::new(&database, INGEST);
    let arguments = ["--yes", "--duration", "100ms", "--ingest", "single", "--ingest", "old"];
    let (code, document) = bench.json(&arguments);
    assert_eq!(code, Some(1), "{document:#}");
    let way = &document["ingest"][0];
    // Nine rows fit; then the same keys come again.
    assert_eq!(way["free"]["rows"], 9);
    assert_eq!(way["free"]["errors"][0]["sqlstate"], "23505");
    assert!(way["free"]["errors"][0]["count"].as_u64().unwrap() > 0);
    assert_eq!(way["verdict"], "missed");
    let left_out = "old: shows the design of V1, and V2 is applied";
    assert_eq!(document["left_out"][0], left_out);
    assert_eq!(count(&database, "items where owner = E'it''s\\\\n'"), 9);
}

const DESIGNS: &str = r#"
[[queries]]
name = "count_old"
sql = "select count(*) from items, pg_sleep(0.005)"
tags = ["old", "count"]
[[queries]]
name = "count_new"
sql = "select 100"
tags = ["new", "count"]
[[queries]]
name = "lonely"
sql = "select 1"
tags = ["new"]
[[queries]]
name = "other"
sql = "select 1"
"#;

#[test]
fn designs_and_runs_are_compared_and_drawn() {
    let Some(database) = prepared("bench_compare") else { return };
    let bench = Bench::new(&database, DESIGNS);
    let svg = bench.folder.path().join("chart.svg");
    let arguments = ["--count", "3", "--compare", "was=old,is=new", "--svg", "chart.svg"];
    let (code, document) = bench.json(&arguments);
    assert_eq!(code, Some(0), "{document:#}");
    let ran = document["queries"]["queries"].as_array().unwrap();
    assert_eq!(ran.len(), 3, "queries of no design are not run");
    let comparison = &document["comparisons"][0];
    assert_eq!((&comparison["old"], &comparison["new"]), (&"was".into(), &"is".into()));
    assert_eq!(comparison["pairs"].as_array().unwrap().len(), 1);
    let pair = &comparison["pairs"][0];
    assert_eq!(pair["question"], "count");
    assert_eq!(pair["old"]["query"], "count_old");
    assert!(pair["speed_up"].as_f64().unwrap() > 0.0, "{pair:#}");
    assert_eq!(comparison["alone"][0], "lonely");
    let drawn = fs::read_to_string(svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains("count_old"), "{drawn}");

    let before = bench.run(&["--count", "2", "--json"]);
    fs::write(bench.folder.path().join("before.json"), &before.stdout).unwrap();
    let after = bench.run(&["count_new", "--count", "2", "--against", "before.json"]);
    assert_eq!(after.code, Some(0), "{after:?}");
    let header = after.stdout.lines().find(|line| line.starts_with("question")).unwrap();
    assert!(header.contains("p50 before") && header.contains("buffers after"), "{header}");
    assert!(after.stdout.contains("▓ p95"), "{after:?}");
    for (arguments, said) in [
        (&["--compare", "old"][..], "write two tags"),
        (&["--against", "pgtune.toml"], "is no outcome of a bench"),
        (&["--against", "nothing.json"], "cannot read nothing.json"),
        (&["--svg", "nowhere/x.svg"], "there is no folder nowhere"),
    ] {
        let outcome = bench.run(arguments);
        assert!(matches!(outcome.code, Some(2 | 6)), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
}

/// `pgtune bench --workload` on a server of its own.
fn workload(temp: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = pgtune(&["bench", "--json", "--workload"]);
    command.args(arguments).env("TMPDIR", temp).stdin(Stdio::null());
    command
}

#[test]
fn a_shipped_workload_is_measured_from_nothing_and_nothing_stays() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let telemetry = ["telemetry", "--rows", "2000", "--ingest", "all", "--duration", "100ms"];
    let arguments = [&telemetry[..], &["--report-only"]].concat();
    let outcome = Outcome::of(workload(temp.path(), &arguments).output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let ways = document["ingest"].as_array().unwrap();
    let names: Vec<&str> = ways.iter().map(|way| way["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["single", "single-lazy", "batches", "staging", "direct"]);
    assert!(ways.iter().all(|way| way["free"]["rows"].as_u64().unwrap() > 0), "{document:#}");
    assert!(ways.iter().all(|way| way["free"]["errors"][0].is_null()), "{document:#}");
    assert!(document["left_out"].is_null());
    let lost = |way: usize| ways[way]["lost_in_a_crash"].as_str().unwrap();
    assert_eq!(lost(0), "nothing that was confirmed");
    assert_eq!(lost(1), "what was confirmed in the last 600 ms");
    assert!(lost(3).starts_with("rows not flushed yet, here "));
    assert_eq!(lost(4), "nothing that was confirmed");
    assert_nothing_left(temp.path());

    let accounts = ["accounts", "--rows", "1000", "--concurrency", "110", "--count", "110"];
    let outcome = Outcome::of(workload(temp.path(), &accounts).output().unwrap());
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let queries = document["queries"]["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 10);
    for query in queries {
        assert_eq!((&query["runs"], &query["errors"]), (&110.into(), &Value::Array(vec![])));
        assert_eq!(query["target_ms"], 500.0);
    }
    let wrong = ["telemetry", "--rows", "10", "--to", "2"];
    let outcome = Outcome::of(workload(temp.path(), &wrong).output().unwrap());
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("the data of telemetry needs V4"), "{outcome:?}");
    assert_nothing_left(temp.path());
}

#[test]
fn a_query_of_several_statements_leaves_nothing() {
    let Some(database) = prepared("bench_several") else { return };
    let profile = "
[[queries]]
name = \"several\"
sql = \"select 1; commit; insert into items values (1000, 'nobody')\"
";
    let (code, document) = Bench::new(&database, profile).json(&["--count", "1"]);
    assert_eq!(code, Some(1));
    assert_eq!(query(&document, "several")["errors"][0]["sqlstate"], "42601", "{document:#}");
    let left = "select count(*) from items where id = 1000";
    assert_eq!(database.connect().query_one(left, &[]).unwrap().get::<_, i64>(0), 0);
}

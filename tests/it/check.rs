//! `pgtune check` on snapshots of real databases.

use std::path::Path;

use serde_json::Value;

use crate::snapshot::with_pg_dump;
use crate::support::Database;
use crate::user_project::{Project, skipped};

const SCHEMA: &str = "
    create table accounts (id bigint primary key, name varchar(40) not null);
    create table events (
      id bigint generated always as identity primary key,
      account_id bigint not null references accounts,
      kind text,
      at timestamptz not null default now()
    );
    create index events_account_id_at_idx on events (account_id, at);
    insert into accounts select n, 'account ' || n from generate_series(1, 100) as n;
    insert into events (account_id, kind) select n % 100 + 1, 'a kind of event'
    from generate_series(1, 60000) as n;
    analyze";

/// What is large there: two megabytes.
const PROFILE: &str = "[check]\nrewrite_mb = 2\nscan_mb = 2\n
    [[queries]]\nname = \"one account\"\nsql = \"select * from accounts where id = 1\"\n";

/// A project with a snapshot of the database; `None` without a server or a `pg_dump`.
fn project(test: &str) -> Option<Project> {
    project_with(test, SCHEMA, PROFILE).map(|(project, _)| project)
}

fn project_with(test: &str, schema: &str, profile: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    database.connect().batch_execute(schema).unwrap();
    project.profile(profile);
    let taken = project.run(&with_pg_dump(&["snapshot", "take", "prod.json.zst"]));
    taken.expect(0, &[]);
    if taken.stdout.contains("there is no pg_dump") {
        skipped("checks beside a snapshot's schema");
        return None;
    }
    Some((project, database))
}

/// `pgtune check`: its exit code, and its findings as `file:line check`.
fn check(project: &Project) -> (i32, Vec<String>) {
    let said = project.run(&["check", "--snapshot", "prod.json.zst", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let findings = sections.filter(|section| section["kind"] == "findings");
    let findings = findings.flat_map(|section| section["findings"].as_array().unwrap());
    let shown = findings.map(|finding| {
        let check = finding["check"].as_str().unwrap();
        match finding["place"]["path"].as_str() {
            Some(path) => {
                let file = Path::new(path).file_stem().unwrap().to_string_lossy();
                format!("{file}:{} {check}", finding["place"]["line"])
            }
            None => check.to_string(),
        }
    });
    let shown = shown.filter(|finding| finding != "shadow-version");
    (said.code, shown.collect())
}

/// What `pgtune check --json` shows of locks: `file:line table MODE work`.
fn locks(project: &Project) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_string();
    let rows = lock_rows(project).into_iter();
    let shown = rows.map(|row| {
        let path = word(&row["place"]["path"]);
        let file = Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
        let (line, table) = (&row["place"]["line"], word(&row["table"]));
        format!("{file}:{line} {table} {} {}", word(&row["mode"]), word(&row["work"]))
    });
    shown.collect()
}

/// The rows of the table of locks, as JSON.
fn lock_rows(project: &Project) -> Vec<Value> {
    let said = project.run(&["check", "--snapshot", "prod.json.zst", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let rows = sections.filter(|section| section["kind"] == "locks");
    rows.flat_map(|section| section["rows"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_rewrite_writes_toast_and_indexes_too() {
    // A megabyte, with six of TOAST.
    let schema = "
        create table docs (id int primary key, body text);
        alter table docs alter body set storage external;
        insert into docs
        select n, case when n > 60 then 'x' else repeat('x', 100000) || random() end
        from generate_series(1, 20000) as n;
        analyze";
    let profile = |mb| PROFILE.replace("rewrite_mb = 2", mb).replace("accounts", "docs");
    let Some((project, database)) = project_with("check_toast", schema, &profile("rewrite_mb = 5"))
    else {
        return;
    };
    project.migration("V1__read", "alter table docs\nalter body set not null;\n");
    project.migration(
        "V2__rewrite",
        "select 1;\nalter table docs\nalter id type bigint;\n\n\
         do $$ begin execute 'alter table docs alter id type int'; end $$;\n",
    );
    project.migration("V3__full", "\nvacuum full docs;\n");
    let mut told = check(&project).1;
    told.sort();
    let at = ["V2__rewrite:3", "V2__rewrite:5", "V3__full:2"];
    assert_eq!(told, at.map(|place| format!("{place} table-rewrite")));
    let mut client = database.connect();
    let sql = "select pg_relation_size('docs'), pg_relation_size(reltoastrelid), \
               pg_indexes_size('docs') from pg_class where oid = 'docs'::regclass";
    let sizes = client.query_one(sql, &[]).unwrap();
    let [table, toast, indexes] = [0, 1, 2].map(|at| sizes.get::<_, i64>(at));
    let figures = |row: &Value| (row["size_bytes"].as_i64(), row["expected_ms"].as_i64());
    let ms = |bytes: i64| bytes / 50_000;
    let written = (Some(table + toast), Some(ms(table + toast + indexes)));
    let read = (Some(table), Some(ms(table)));
    let rows: Vec<_> = lock_rows(&project).iter().map(figures).collect();
    assert_eq!(rows, [read, written, written, written]);
    project.profile(profile("rewrite_mb = 7"));
    assert_eq!(check(&project).1, Vec::<String>::new());
}

/// Each with the work that is done on `public.events`, or on `public.accounts` below it.
const SCANS: [(&str, &str, &[&str]); 10] = [
    (
        "V01__check",
        "alter table events add constraint kind_there check (kind is not null) not valid;",
        &["1 public.events AccessExclusive instant"],
    ),
    (
        "V02__validate",
        "alter table events validate constraint kind_there;",
        &["1 public.events ShareUpdateExclusive full_scan"],
    ),
    (
        "V03__proven",
        "alter table events alter column kind set not null;",
        &["1 public.events AccessExclusive instant"],
    ),
    (
        "V04__unproven",
        "alter table events\n  alter column note set not null;",
        &["1 public.events AccessExclusive full_scan"],
    ),
    (
        "V05__references",
        "select 1;\nalter table events add foreign key (kind) references kinds;",
        &["2 public.events ShareRowExclusive full_scan"],
    ),
    (
        "V06__index",
        "-- pgtune: as-written\ncreate index on events (note);",
        &["2 public.events Share full_scan"],
    ),
    (
        "V07__code",
        "do $$ begin execute format('create index on %I (id, note)', 'events'); end $$;",
        &["1 public.events Share full_scan"],
    ),
    (
        "V08__both",
        "alter table events add constraint note_known check (note <> '') not valid;\n\
         alter table events validate constraint note_known;",
        &["1 public.events AccessExclusive instant", "2 public.events AccessExclusive full_scan"],
    ),
    (
        "V09__query",
        "alter table events add column seen boolean;\nupdate events set seen = true where id < 0;",
        &["1 public.events AccessExclusive instant"],
    ),
    (
        "V10__alone",
        "create index events_again on events (note, id);\nvacuum full events;\nvacuum events;\n\
         reindex table concurrently events;\n-- pgtune: as-written\n\
         create index concurrently events_new on events (id, note);\n\
         drop index concurrently events_again;",
        &[
            "1 public.events ShareUpdateExclusive full_scan",
            "2 public.events AccessExclusive rewrite",
            "3 public.events ShareUpdateExclusive full_scan",
            "4 public.events ShareUpdateExclusive full_scan",
            "6 public.events ShareUpdateExclusive full_scan",
            "7 public.events ShareUpdateExclusive instant",
        ],
    ),
];

#[test]
fn tables_that_are_read_from_end_to_end_are_measured() {
    let schema = "
        create table kinds (kind text primary key);
        insert into kinds values ('a kind of event');
        create table events (id bigint primary key, kind text, note text);
        insert into events select n, 'a kind of event', 'note ' || n
        from generate_series(1, 60000) as n;
        analyze";
    let profile = PROFILE.replace("accounts where id = 1", "kinds");
    let Some((project, _database)) = project_with("check_scans", schema, &profile) else { return };
    for (name, sql, _) in SCANS {
        project.migration(name, sql);
    }
    let expected = SCANS
        .iter()
        .flat_map(|(name, _, rows)| rows.iter().map(move |row| format!("{name}:{row}")));
    let expected: Vec<String> = expected.collect();
    let locks: Vec<String> =
        locks(&project).into_iter().filter(|row| row.contains(" public.events ")).collect();
    assert_eq!(locks, expected);
    // Only the code says nothing of itself; the rest is told by what was read.
    let told = check(&project).1;
    let expected = [
        "V04__unproven:2 table-scan-under-lock",
        "V05__references:2 table-scan-under-lock",
        "V05__references:2 foreign-key-without-index",
        "V06__index:2 blocking-index-build",
        "V07__code:1 blocking-index-build",
        "V08__both:2 validate-in-same-transaction",
        "V10__alone:2 table-rewrite",
    ];
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(told), sorted(expected.map(str::to_string).to_vec()));
}

/// The rows of a table of the report, by its title.
fn table(project: &Project, title: &str) -> Vec<Value> {
    let said = project.run(&["check", "--snapshot", "prod.json.zst", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let mut tables = sections.filter(|section| section["title"] == title);
    tables.next().map(|table| table["rows"].as_array().unwrap().clone()).unwrap_or_default()
}

/// "3.0 MB" in MB.
fn megabytes(shown: &Value) -> f64 {
    kilobytes(shown) / 1024.0
}

/// "3.0 MB" in kB.
fn kilobytes(shown: &Value) -> f64 {
    let (number, unit) = shown.as_str().unwrap().split_once(' ').unwrap();
    let number: f64 = number.parse().unwrap();
    if unit == "MB" { number * 1024.0 } else { number }
}

#[test]
fn new_indexes_are_counted_into_the_budget_as_large_as_they_will_be() {
    let schema = "
        create table events (id bigint primary key, kind text, at timestamptz);
        create table parts (a int, b text) partition by range (a);
        create table parts_1 partition of parts for values from (0) to (30000);
        create table parts_2 partition of parts for values from (30000) to (60001);
        create index parts_b_idx on parts (b);
        insert into events select n, md5(n::text), now() from generate_series(1, 60000) as n;
        insert into parts select n, md5(n::text) from generate_series(1, 60000) as n;
        analyze";
    let queries = "[[queries]]\nname = \"q\"\nsql = \"select 1\"\n";
    // With the new ones all indexes are nearly as large as the table.
    let budget = |ratio| format!("[check]\nrewrite_mb = 2\nindexes_ratio = {ratio}\n{queries}");
    let Some((project, database)) = project_with("check_budget", schema, &budget("0.8")) else {
        return;
    };
    let made = "create index events_kind_idx on events (kind, id);\n\n\
                create index parts_both_idx on parts (b, a);\n";
    project.migration("V1__indexes", made);
    assert_eq!(
        check(&project).1,
        [
            "V1__indexes:1 index-budget",
            "V1__indexes:3 redundant-index",
            "V1__indexes:3 index-budget"
        ]
    );
    let rows = table(&project, "new indexes");
    let mut client = database.connect();
    client.batch_execute(made).unwrap();
    let tops = ["public.events_kind_idx", "public.parts_both_idx"];
    assert_eq!(rows.iter().map(|row| row["index"].as_str().unwrap()).collect::<Vec<_>>(), tops);
    for (row, (of_index, of_all)) in rows.iter().zip([
        ("events_kind_idx", "pg_indexes_size('events')"),
        ("parts_both_idx", "pg_indexes_size('parts_1') + pg_indexes_size('parts_2')"),
    ]) {
        let sql = format!(
            "select coalesce(sum(pg_relation_size(relid)), pg_relation_size('{of_index}'))::int8, \
             ({of_all})::int8 from pg_partition_tree('{of_index}')"
        );
        let real = client.query_one(&sql, &[]).unwrap();
        let near = |shown: &Value, real: i64| {
            let (shown, real) = (megabytes(shown), real as f64 / 1048576.0);
            assert!((shown / real - 1.0).abs() < 0.1, "{shown} MB, not {real}: {row}");
        };
        near(&row["size"], real.get(0));
        near(&row["after"], real.get(1));
        assert!(megabytes(&row["all its indexes"]) < megabytes(&row["after"]));
    }
    let rows = locks(&project);
    let is_placed = |row: &String| row.contains(".parts") == row.starts_with("V1__indexes:3 ");
    assert!(rows.len() == 4 && rows.iter().all(is_placed), "each on its tables alone: {rows:?}");
    project.profile(budget("3.0"));
    assert_eq!(check(&project).1, ["V1__indexes:3 redundant-index"]);
}

/// Each on `twins`, whose columns have a hundred values.
const TWINS: [(&str, &str); 6] = [
    ("twins_amount", "on twins (amount)"),
    ("twins_both", "on twins (kind, amount)"),
    ("twins_kind", "on twins (kind)"),
    ("twins_kind_apart", "on twins (kind) with (deduplicate_items = off)"),
    ("twins_kind_id", "on twins (kind) include (id)"),
    ("twins_share", "on twins (share)"),
];

#[test]
fn equal_keys_of_new_indexes_are_shared_where_a_build_shares_them() {
    let schema = "
        create table twins (id int, kind text, amount numeric, share float8);
        insert into twins select n, 'kind ' || n % 100, n % 100, n % 100
        from generate_series(1, 60000) as n;
        create index twins_before on twins (kind);
        analyze";
    let profile = "[[queries]]\nname = \"q\"\nsql = \"select 1\"\n";
    let Some((project, database)) = project_with("check_twins", schema, profile) else { return };
    let made = TWINS.map(|(name, on)| format!("create index {name} {on};\n")).concat();
    let made = made + "alter index twins_before rename to twins_renamed;\n";
    project.migration("V1__twins", &made);
    let rows = table(&project, "new indexes");
    let mut client = database.connect();
    client.batch_execute(&made).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["index"].as_str().unwrap()).collect();
    // What has another name is not new.
    assert_eq!(names.len(), TWINS.len(), "{names:?}");
    for (name, row) in names.iter().zip(&rows) {
        let real = client.query_one(&format!("select pg_relation_size('{name}')"), &[]).unwrap();
        let (shown, real) = (kilobytes(&row["size"]), real.get::<_, i64>(0) as f64 / 1024.0);
        assert!((shown / real - 1.0).abs() < 0.1, "{name}: {shown} kB, not {real}");
    }
}

const PLANTED: &str = "\
create index on events (kind);

alter table events
  add column seen boolean not null default false,
  alter column at type date;
-- pgtune: as-written
create index events_at_idx on events (at);
create table notes (
  id bigint primary key,
  account_id bigint references accounts
);
create index events_account_idx on events (account_id);
";

#[test]
fn each_planted_fault_is_reported_once_at_its_line() {
    let Some(project) = project("check_faults") else { return };
    project.migration("V1__faults", PLANTED);
    let (code, findings) = check(&project);
    assert_eq!(
        findings,
        [
            "V1__faults:5 table-rewrite",
            "V1__faults:7 blocking-index-build",
            "V1__faults:10 foreign-key-without-index",
            "V1__faults:12 redundant-index",
        ]
    );
    assert_eq!(code, 1);
}

#[test]
fn a_clean_migration_has_no_finding() {
    let Some(project) = project("check_clean") else { return };
    let clean = "create index on events (kind);\n\
                 alter table events add column seen boolean not null default false;\n\
                 alter table events add constraint kind_known check (kind <> '') not valid;\n\
                 alter table accounts alter column name type text;\n\
                 create table notes (id bigint primary key, account_id bigint);\n\
                 alter table notes add foreign key (account_id) references accounts;\n\
                 create index on notes (account_id);\n\
                 alter table notes add column body text not null;\n";
    project.migration("V1__clean", clean);
    assert_eq!(check(&project), (0, Vec::new()));
}

#[test]
fn what_is_allowed_is_not_reported_until_it_is_over() {
    let Some(project) = project("check_allow") else { return };
    let rewrite = "alter table events alter column at type date;\n";
    project.migration(
        "V1__allowed",
        format!("-- pgtune: allow table-rewrite until 2999-12-31: in the window\n{rewrite}"),
    );
    assert_eq!(check(&project), (0, Vec::new()));
    project.migration(
        "V1__allowed",
        format!("-- pgtune: allow table-rewrite until 2020-01-01: in the window\n{rewrite}"),
    );
    let over = ["V1__allowed:2 table-rewrite", "V1__allowed:1 allow-expired"];
    assert_eq!(check(&project), (1, over.map(str::to_string).to_vec()));
    project.migration("V1__allowed", rewrite);
    let allow = "[[check.allow]]\ncheck = \"table-rewrite\"\nsubject = \"public.events\"\n";
    project.profile(format!("{PROFILE}{allow}reason = \"in the window\"\n"));
    assert_eq!(check(&project), (0, Vec::new()));
    project.profile(format!("{PROFILE}{allow}"));
    project
        .run(&["check", "--snapshot", "prod.json.zst"])
        .expect(2, &["check.allow.reason", "say why table-rewrite is allowed"]);
}

/// What `docs/checks.md` shows can be run.
#[test]
fn the_examples_are_sql() {
    let Some(database) = Database::create("check_examples") else { return };
    let mut client = database.connect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks/lint/examples");
    let given = std::fs::read_to_string(folder.join("given.sql")).unwrap();
    client.batch_execute(&given).unwrap();
    let mut run = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        for name in ["bad.sql", "good.sql"] {
            let Ok(sql) = std::fs::read_to_string(path.join(name)) else { continue };
            let outcome = client.batch_execute(&format!("begin; {sql}"));
            outcome.unwrap_or_else(|error| panic!("{}/{name}: {error:?}", path.display()));
            client.batch_execute("rollback").unwrap();
            run += 1;
        }
    }
    assert!(run >= 30, "only {run} were found");
}

/// What is done to a table, each to one of its own: the server is asked whether it rewrote it.
const REWRITES: &[&str] = &[
    "alter v type varchar(20)",
    "alter v type varchar(5)",
    "alter v type text",
    "alter t type varchar",
    "alter t type varchar(20)",
    "alter m type numeric(10,2)",
    "alter m type numeric(10,3)",
    "alter m type numeric",
    "alter n type bigint",
    "alter n type int using n::int",
    "alter t type text using lower(t)",
    "alter at type timestamptz(3)",
    "alter l type timestamp",
    "add a int default 1",
    "add a timestamptz default now()",
    "add a timestamp default (now() at time zone 'utc')",
    "add a timestamptz default clock_timestamp()",
    "add a uuid default gen_random_uuid()",
    "add a text default lower('X')",
    "add a text default case when now() > '2020-01-01' then 'x' end",
    "add a numeric default (round(2.5)::numeric(5,1))",
    "add a float default random()",
    "add a bigserial",
    "add a bigint generated always as identity",
    "add a int generated always as (n + 1) stored",
    "set unlogged",
    "set (fillfactor = 70)",
    "drop n",
    "alter t set not null",
];

#[test]
fn the_server_rewrites_what_the_check_says() {
    let tables: Vec<String> = (1..=REWRITES.len())
        .map(|n| {
            format!(
                "create table t{n} (n int, v varchar(10), t text, m numeric(8,2), at timestamptz, \
                 l timestamp(3)); insert into t{n} values (1, 'a', 'b', 1, now(), now());"
            )
        })
        .collect();
    let schema = tables.concat();
    let profile = "[check]\nrewrite_mb = 0\n[[queries]]\nname = \"q\"\nsql = \"select 1\"\n";
    let Some((project, database)) = project_with("check_rewrites", &schema, profile) else {
        return;
    };
    let statements = REWRITES.iter().enumerate();
    let statements: Vec<String> =
        statements.map(|(i, action)| format!("alter table t{} {action};", i + 1)).collect();
    project.migration("V1__rewrites", statements.join("\n"));
    let told = check(&project).1;
    let mut client = database.connect();
    for (i, statement) in statements.iter().enumerate() {
        let mut file = || -> String {
            let sql = format!("select pg_relation_filenode('t{}')::text", i + 1);
            client.query_one(&sql, &[]).unwrap().get(0)
        };
        let before = file();
        let mut other = database.connect();
        other.batch_execute(statement).unwrap();
        let is_told = told.contains(&format!("V1__rewrites:{} table-rewrite", i + 1));
        assert_eq!(is_told, before != file(), "{statement}");
    }
}

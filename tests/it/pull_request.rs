//! A pull request with five planted faults, and one without any, in each output of `pgtune check`.

use std::fs;

use chrono::{Datelike, Utc};
use serde_json::Value;

use crate::snapshot::with_pg_dump;
use crate::support::{Database, eventually};
use crate::user_project::{Project, Said, skipped};

/// What production has, made by the first migration.
const SHOP: &str = "\
create table customers (id bigint primary key, email text not null);
create table orders (
  id bigint primary key,
  customer bigint not null references customers,
  placed_at timestamptz not null,
  amount int not null,
  note text
);
create index orders_customer_idx on orders (customer);
create index orders_amount_idx on orders (amount);
create table shipments (
  id bigint primary key,
  order_id bigint not null references orders,
  weight int not null
);
create index shipments_order_id_idx on shipments (order_id);
";

const ROWS: &str = "
insert into customers select i, 'somebody' from generate_series(0, 499) i;
insert into orders select i, i % 500, '2026-01-01Z'::timestamptz + i * interval '1 minute',
  i % 9973, repeat('x', 100) from generate_series(1, 60000) i;
insert into shipments select i, i, i % 20 from generate_series(1, 60000) i;
analyze;
";

const PROFILE: &str = r#"
[check]
rewrite_mb = 2
scan_mb = 2

[[queries]]
name = "newest orders"
sql = "select * from orders where customer = 7 order by placed_at desc limit 10"

[[queries]]
name = "by amount"
sql = "select * from orders where amount = 42"
calls = 3

[[queries]]
name = "amounts"
sql = "select count(*) from orders where amount between 40 and 50"

[[queries]]
name = "one order"
sql = "select * from orders where id = 42"
"#;

const RULE: &str = r#"
[[partitions]]
table = "readings"
interval = "year"
ahead = 3
time_zone = "UTC"
"#;

/// The migrations of the pull request, each with the place of its fault and the check that finds
/// it.
const FAULTS: [(&str, &str, usize, &str); 5] = [
    (
        "V2__weights",
        "-- (1) nobody reads while it is written anew\nalter table shipments\n  \
         alter column weight type bigint;\n",
        3,
        "table-rewrite",
    ),
    (
        "V3__heavy",
        "-- (2) nobody writes while it is built\ndo $$\nbegin\n  \
         create index shipments_weight_idx on shipments (weight);\nend\n$$;\n",
        4,
        "blocking-index-build",
    ),
    (
        "V4__newest",
        "alter table orders alter column note set statistics 200;\n\n\
         -- (3) looks good for the order, and is read through for the customer\n\
         create index orders_placed_at_idx on orders (placed_at);\n",
        4,
        "plan-changed",
    ),
    (
        "V5__tidy",
        "alter table orders alter column note set statistics 100;\n\
         drop index orders_amount_idx; -- (4) two queries used it\n",
        2,
        "dropped-index-in-use",
    ),
    (
        "V6__readings",
        "\n-- (5) nothing is ready for next year\ncreate table readings (\n  \
         at timestamptz not null,\n  value float8\n) partition by range (at);\n\
         create table readings_now partition of readings\n  \
         for values from ('2020-01-01Z') to ('NEXT-01-01Z');\n",
        3,
        "runway",
    ),
];

/// A pull request that does much, and nothing wrong.
const CLEAN: [(&str, &str); 3] = [
    ("V2__notes", "create index orders_note_idx on orders (note) where note <> '';\n"),
    (
        "V3__seen",
        "alter table orders add column seen boolean not null default false;\n\
         alter table orders add constraint amount_sane check (amount >= 0) not valid;\n",
    ),
    (
        "V4__readings",
        "create table readings (at timestamptz not null) partition by range (at);\n\
         create table readings_all partition of readings\n  \
         for values from ('2020-01-01Z') to ('2100-01-01Z');\n\
         alter table orders validate constraint amount_sane;\n",
    ),
];

const OUTPUTS: [&str; 7] = ["text", "markdown", "json", "junit", "sarif", "gitlab", "html"];

/// The project on production as it is, with a snapshot; `None` without a server or a `pg_dump`.
fn project(test: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    project.profile(PROFILE).migration("V1__shop", SHOP);
    project.migrate().expect(0, &[]);
    database.connect().batch_execute(ROWS).unwrap();
    let taken = project.run(&with_pg_dump(&["snapshot", "take", "prod.json"]));
    taken.expect(0, &[]);
    if taken.stdout.contains("there is no pg_dump") {
        skipped("a pull request beside a snapshot's schema");
        return None;
    }
    project.profile(format!("{PROFILE}{RULE}"));
    Some((project, database))
}

/// `pgtune check` into a file of each format.
fn check(project: &Project) -> Said {
    let outputs = OUTPUTS.map(|format| format!("{format}=out.{format}"));
    let outputs = outputs.iter().flat_map(|output| ["--output", output]);
    let arguments: Vec<&str> =
        ["check", "--snapshot", "prod.json"].into_iter().chain(outputs).collect();
    project.run(&arguments)
}

fn read(project: &Project, format: &str) -> String {
    std::fs::read_to_string(project.folder.path().join(format!("out.{format}"))).unwrap()
}

/// The findings as `V2__weights.sql:3 table-rewrite`, but that of a server of another version.
fn findings(project: &Project) -> Vec<String> {
    let json: Value = serde_json::from_str(&read(project, "json")).unwrap();
    let sections = json["sections"].as_array().unwrap().iter();
    let findings = sections.filter(|section| section["kind"] == "findings");
    let findings = findings.flat_map(|section| section["findings"].as_array().unwrap().clone());
    let shown = findings.filter(|one| one["check"] != "shadow-version").map(|one| {
        let path = one["place"]["path"].as_str().unwrap_or("nowhere");
        let file = path.rsplit('/').next().unwrap();
        format!("{file}:{} {}", one["place"]["line"], one["check"].as_str().unwrap())
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[test]
fn five_planted_faults_are_reported_once_each_at_their_lines() {
    let Some((project, _database)) = project("pull_request") else { return };
    let next_year = (Utc::now().year() + 1).to_string();
    for (name, sql, _, _) in FAULTS {
        project.migration(name, sql.replace("NEXT", &next_year));
    }
    let said = check(&project);
    said.expect(1, &["would be worse: "]);
    let expected = FAULTS.map(|(name, _, line, check)| format!("{name}.sql:{line} {check}"));
    assert_eq!(findings(&project), expected, "{said}");
    for format in ["text", "markdown", "html", "junit"] {
        let text = read(&project, format).replace("\\_", "_");
        for (name, _, line, check) in FAULTS {
            let place = format!("{name}.sql:{line}");
            assert!(text.contains(&place), "{format} does not say {place}: {text}");
            let count = text.matches(check).count();
            assert!(count >= 1, "{format} does not say {check}: {text}");
        }
    }
    let text = read(&project, "text");
    for (_, _, _, check) in FAULTS {
        assert_eq!(text.matches(&format!("[{check}]")).count(), 1, "{text}");
    }
    assert!(text.contains("by amount") && text.contains("amounts"), "{text}");
    let json: Value = serde_json::from_str(&read(&project, "json")).unwrap();
    let mut sections = json["sections"].as_array().unwrap().iter();
    let table = sections.find(|section| section["title"] == "plans by migration").unwrap();
    let changed = table["rows"].as_array().unwrap().iter();
    let changed: Vec<[&str; 3]> = changed
        .map(|row| ["migration", "query", "verdict"].map(|key| row[key].as_str().unwrap()))
        .collect();
    let expected_changes = [
        ["V4__newest", "newest orders", "changed"],
        ["V5__tidy", "by amount", "regressed"],
        ["V5__tidy", "amounts", "regressed"],
    ];
    assert_eq!(changed, expected_changes);
    let sarif: Value = serde_json::from_str(&read(&project, "sarif")).unwrap();
    let mut results: Vec<String> = sarif["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["ruleId"] != "shadow-version")
        .map(|one| {
            let place = &one["locations"][0]["physicalLocation"];
            let path = place["artifactLocation"]["uri"].as_str().unwrap();
            let file = path.rsplit('/').next().unwrap();
            format!("{file}:{} {}", place["region"]["startLine"], one["ruleId"].as_str().unwrap())
        })
        .collect();
    results.sort();
    assert_eq!(results, expected);
    let issues: Vec<Value> = serde_json::from_str(&read(&project, "gitlab")).unwrap();
    for (_, _, line, check) in FAULTS {
        let of_check: Vec<&Value> =
            issues.iter().filter(|one| one["check_name"] == check).collect();
        assert_eq!(of_check.len(), 1, "{check}: {issues:?}");
        assert_eq!(of_check[0]["location"]["lines"]["begin"], line);
    }
}

#[test]
fn a_clean_pull_request_has_no_finding() {
    let Some((project, _database)) = project("clean_request") else { return };
    for (name, sql) in CLEAN {
        project.migration(name, sql);
    }
    let said = check(&project);
    assert_eq!(findings(&project), Vec::<String>::new(), "{said}");
    said.expect(0, &[]);
    let sarif: Value = serde_json::from_str(&read(&project, "sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().all(|one| one["ruleId"] == "shadow-version"), "{results:?}");
}

#[test]
fn a_dropped_index_that_only_production_scans_is_told() {
    let Some((project, database)) = project("scanned_index") else { return };
    project.migration(
        "V2__more",
        "create index orders_note_idx on orders (note);\n\
         create index customers_email_hash on customers using hash (email);\n\
         create index shipments_weight_idx on shipments (weight);\n\
         create index shipments_other_idx on shipments ((weight + 1));\n\
         create table events (at int not null, kind int) partition by range (at);\n\
         create table events_1 partition of events for values from (0) to (1);\n\
         create index events_kind_idx on events (kind);\n",
    );
    project.migrate().expect(0, &[]);
    let scans = "set enable_seqscan = off;
        do $$ begin for i in 1..150 loop
          perform 1 from orders where note = 'y' || i;
          perform 1 from shipments where weight = -i;
          perform 1 from shipments where weight + 1 = -i;
          perform 1 from customers where email = 'y' || i;
          perform 1 from events where kind = i;
        end loop; end $$";
    database.connect().batch_execute(scans).unwrap();
    let counted = "select count(*) = 5 from pg_stat_user_indexes
        where idx_scan >= 150 and indexrelname ~ '_(note|weight|other|kind)_idx|_hash'";
    eventually(counted, || database.connect().query_one(counted, &[]).unwrap().get(0));
    project.run(&with_pg_dump(&["snapshot", "take", "prod.json"])).expect(0, &[]);
    // The third has an heir, nobody scanned the fourth so often, and the fifth is made anew.
    project.migration(
        "V3__less",
        "alter index shipments_other_idx rename to shipments_odd_idx;\n\
         create index shipments_weight_order_idx on shipments (weight, order_id);\n\
         drop index orders_note_idx;\n\
         drop index shipments_odd_idx;\n\
         drop index events_kind_idx;\n\
         drop index shipments_weight_idx;\n\
         drop index orders_customer_idx;\n\
         drop index customers_email_hash;\n\
         create index customers_email_hash on customers using hash (email);\n",
    );
    let said = check(&project);
    let found = findings(&project);
    let told: Vec<&String> = found.iter().filter(|one| one.ends_with("scanned")).collect();
    let lines = [3, 4, 5].map(|line| format!("V3__less.sql:{line} dropped-index-scanned"));
    assert_eq!(told, lines.iter().collect::<Vec<_>>(), "{said}");
    assert!(read(&project, "text").contains("was scanned 15"), "{said}");
}

#[test]
fn no_migration_and_no_schema_of_a_snapshot_reaches_a_publisher() {
    let Some((project, _database)) = project("publisher") else { return };
    let publisher = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    publisher.set_nonblocking(true).unwrap();
    let port = publisher.local_addr().unwrap().port();
    let create = format!(
        "create subscription copy connection \
         'host=127.0.0.1 port={port} user=u dbname=d connect_timeout=2' publication p"
    );
    let alone = "with (create_slot = false, slot_name = none, enabled = false)";
    for sql in [
        format!("-- alone\n{create};\n"),
        format!("-- hidden\ndo $$ begin execute $x${create} {alone}$x$; end $$;\n"),
    ] {
        project.migration("V2__copy", sql);
        let said = check(&project);
        assert_eq!(findings(&project), ["V2__copy.sql:2 migration-fails"], "{said}");
        assert!(read(&project, "text").contains("which no shadow may reach"), "{said}");
    }
    project.migration("V2__copy", "create table copies ();");
    let file = project.folder.path().join("prod.json");
    let mut snapshot: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let ddl = format!("{}\n{create};\n", snapshot["ddl"].as_str().unwrap());
    snapshot["ddl"] = ddl.into();
    fs::write(&file, snapshot.to_string()).unwrap();
    let said = check(&project);
    assert!(read(&project, "text").contains("which no shadow may reach"), "{said}");
    assert!(publisher.accept().is_err(), "somebody was there: {said}");
}

//! `pgtune snapshot`, and plans foretold from one.

use std::path::Path;

use serde_json::Value;

use crate::support::{Database, eventually, server};
use crate::user_project::{Project, Said, skipped};

const SCHEMA: &str = include_str!("fidelity/schema.sql");
const QUERIES: &str = include_str!("fidelity/queries.sql");
const INDEXES: &str = include_str!("fidelity/V1__ten_indexes.sql");

/// Statistics made meanwhile would be others.
const NO_AUTOVACUUM: &str = "do $$ declare name text; begin
    for name in select oid::regclass from pg_class where relkind = 'r' and relnamespace =
      'public'::regnamespace loop
      execute format('alter table %s set (autovacuum_enabled = off)', name);
    end loop; end $$";

/// A loaded shop, whose snapshots an ordinary role takes.
pub struct Shop {
    /// With a profile that names the role, and `queries.sql`.
    pub project: Project,
    database: Database,
    role: String,
}

impl Shop {
    /// `None` without a server.
    pub fn open(test: &str) -> Option<Shop> {
        let (project, database) = Project::new(test)?;
        let mut client = database.connect();
        let (load, settle) = SCHEMA.rsplit_once("vacuum").unwrap();
        client.batch_execute("create extension pageinspect").unwrap();
        client.batch_execute(load).unwrap();
        client.batch_execute(NO_AUTOVACUUM).unwrap();
        client.batch_execute(&format!("vacuum{settle}")).unwrap();
        let role = format!("{test}_{}", std::process::id());
        client
            .batch_execute(&format!(
                "create role {role}; grant pg_read_all_data, pg_write_all_data to {role};
                 grant all on schema public to {role};
                 alter table places owner to {role}; alter table orders owner to {role}"
            ))
            .unwrap();
        project.profile(format!("[database]\nrole = \"{role}\"\n[snapshot]\nredact = []\n"));
        std::fs::write(project.folder.path().join("queries.sql"), QUERIES).unwrap();
        Some(Shop { project, database, role })
    }

    /// Runs pgtune.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.project.run(arguments)
    }

    /// Takes a snapshot; false without a `pg_dump` that can.
    pub fn take(&self) -> bool {
        let arguments = ["snapshot", "take", "shop.json.zst", "--values", "all", "--json"];
        let said = self.run(&with_pg_dump(&arguments));
        said.expect(0, &[]);
        // The role owns neither the partition nor the table of that index.
        for unread in ["public.orders_status_channel", "public.customers_email"] {
            assert!(said.stdout.contains(unread), "{said}");
        }
        !said.stdout.contains("there is no pg_dump")
    }
}

/// The arguments, with the `pg_dump` that reads servers of all versions where it is there.
pub fn with_pg_dump<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.postgres/client/bin/pg_dump");
    let client = Path::new(CLIENT).exists().then_some(["--pg-dump", CLIENT]);
    arguments.iter().copied().chain(client.into_iter().flatten()).collect()
}

impl Drop for Shop {
    fn drop(&mut self) {
        let role = &self.role;
        let sql = format!(
            "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
        );
        self.database.connect().batch_execute(&sql).unwrap();
    }
}

/// The rows of the first table.
pub fn rows(said: &Said) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap();
    let table = sections.iter().find(|section| section["kind"] == "table").unwrap();
    table["rows"].as_array().unwrap().clone()
}

/// Writes this version's row of docs/fidelity.md with `UPDATE=1`, else sees to it that there is
/// one. Figures are not compared: ANALYZE looks at other rows each time.
fn note_fidelity(cells: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md");
    let begin = format!("| {} |", server().unwrap().major);
    let text = std::fs::read_to_string(&path).unwrap();
    let is_row = |line: &&str| line.starts_with(&begin);
    let found = text.lines().find(is_row).unwrap_or_else(|| panic!("no row {begin} in {path:?}"));
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(&path, text.replace(found, &format!("{begin} {cells} |"))).unwrap();
    }
}

#[test]
fn a_shadow_plans_as_the_database_that_it_imitates() {
    let Some(shop) = Shop::open("fidelity") else { return };
    if !shop.take() {
        skipped("a snapshot's schema");
        return;
    }
    let shown = || shop.run(&["snapshot", "show", "shop.json.zst"]);
    assert!(shown().stdout.contains("fidelity  not measured"), "{}", shown());
    let verify = ["snapshot", "verify", "shop.json.zst", "-f", "queries.sql", "--json", "--record"];
    let said = shop.run(&verify);
    said.expect(0, &[]);
    assert!(shown().stdout.contains("plans had the same shape"), "{}", shown());
    let told = rows(&said);
    assert!(told.len() >= 60, "{said}");
    let count = |wanted: &str| told.iter().filter(|row| row["fidelity"] == wanted).count();
    let (exact, different) = (count("exact"), count("different") + count("no plan there"));
    assert!(different * 100 <= told.len() * 3, "{said}");
    assert!(exact * 100 >= told.len() * 85, "{said}");
    let to_the_last_digit =
        |row: &&Value| row["cost there"] == row["here"] && row["rows there"] == row["rows here"];
    let identical = told.iter().filter(to_the_last_digit).count();
    assert!(identical * 100 >= told.len() * 80, "{said}");
    let same_shape = told.len() - different;
    let before = format!("{} | {same_shape} | {exact} | {identical}", told.len());
    // What only extended statistics tell, and statistics of ranges, which 17 began to show.
    let of = |table: &str| {
        let query = |row: &&Value| row["query"].as_str().unwrap().starts_with(table);
        let rows: Vec<&Value> = told.iter().filter(query).collect();
        (rows.len(), rows.iter().filter(|row| row["fidelity"] == "exact").count())
    };
    assert_eq!(of("places_"), (12, 12));
    let shows_ranges = server().unwrap().major >= 17;
    assert_eq!(of("bookings_"), (4, if shows_ranges { 4 } else { 0 }));
    // A superuser reads heights and counts with pageinspect; what is left are probed ends.
    let superuser = "[snapshot]\nredact = []\n";
    shop.project.profile(superuser);
    shop.run(&with_pg_dump(&["snapshot", "take", "pages.json", "--values", "all"])).expect(0, &[]);
    let said = shop.run(&["snapshot", "verify", "pages.json", "-f", "queries.sql", "--json"]);
    let inexact: Vec<Value> =
        rows(&said).into_iter().filter(|row| row["fidelity"] != "exact").collect();
    let ranges = if shows_ranges { 0 } else { 4 };
    assert!(inexact.len() <= 2 + ranges, "{inexact:#?}");
    shop.project.profile(format!("[database]\nrole = \"{}\"\n{superuser}", shop.role));
    // The same migration, foretold and run.
    shop.project.migration("V1__ten_indexes", INDEXES);
    let foretold = ["plan", "predict", "--snapshot", "shop.json.zst", "-f", "queries.sql"];
    let said = shop.run(&[&foretold[..], &["--save", "foretold.json"]].concat());
    assert!(said.code < 2, "{said}");
    shop.project.profile("");
    shop.run(&["migrate", "--yes", "--quiet"]).expect(0, &[]);
    let real = ["plan", "capture", "-f", "queries.sql", "--save", "real.json"];
    shop.run(&real).expect(0, &[]);
    let said = shop.run(&["plan", "diff", "foretold.json", "real.json", "--json"]);
    let told = rows(&said);
    let same =
        |row: &&Value| ["identical", "same shape"].contains(&row["verdict"].as_str().unwrap());
    let same = told.iter().filter(same).count();
    let mut off: Vec<f64> = told
        .iter()
        .map(|row| {
            let cost = |name: &str| row[name].as_str().unwrap().parse::<f64>().unwrap();
            (cost("after") / cost("cost before") - 1.0).abs()
        })
        .collect();
    off.sort_by(f64::total_cmp);
    let off = off[off.len() / 2];
    let after = format!("{same} of {} | {:.2} %", told.len(), off * 100.0);
    note_fidelity(&format!("{before} | {after}"));
    assert!(same * 100 >= told.len() * 95, "{said}");
    assert!(off <= 0.05, "{said}");
}

#[test]
fn check_tells_what_pending_migrations_would_do() {
    let Some(shop) = Shop::open("check_shop") else { return };
    if !shop.take() {
        skipped("a snapshot's schema");
        return;
    }
    shop.project.migration(
        "V1__wider",
        "alter table visits alter column duration_ms type bigint;\n\
         create table notes (id bigint primary key);\n\
         create index on visits (path);\n\
         drop index orders_customer;",
    );
    let said = shop.run(&["check", "--snapshot", "shop.json.zst", "-f", "queries.sql"]);
    said.expect(1, &["would be worse: "]);
    for text in [
        "V1__wider.sql:1 alter table visits alter column duration_ms type bigint  public.visits",
        "ACCESS EXCLUSIVE        reads and writes",
        "rewrites the table",
        "SHARE UPDATE EXCLUSIVE",
        "orders_of_customer",
    ] {
        assert!(said.stdout.contains(text), "{text}: {said}");
    }
    assert!(!said.stdout.contains("public.notes"), "{said}");
    // Partitions that end too soon are told, as they will be after the migrations.
    let rule = "[[partitions]]\ntable = \"orders\"\ninterval = \"year\"\nahead = 2\n";
    shop.project.profile(rule);
    let said = shop.run(&["check", "--snapshot", "shop.json.zst", "-f", "queries.sql", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    let sections = json["sections"].as_array().unwrap();
    let findings = sections.iter().find(|section| section["kind"] == "findings").unwrap();
    let finding = &findings["findings"][0];
    assert_eq!(
        (&finding["check"], &finding["subject"]),
        (&"runway".into(), &"public.orders".into())
    );
}

#[test]
fn a_snapshot_discloses_what_the_workload_needs_and_nothing_redacted() {
    let Some(shop) = Shop::open("disclosure") else { return };
    let take = |arguments: &[&str]| {
        let take = ["snapshot", "take", "s.json", "--json"];
        shop.run(&with_pg_dump(&[&take[..], arguments].concat())).expect(0, &[]);
        std::fs::read_to_string(shop.project.folder.path().join("s.json")).unwrap()
    };
    let role = format!("[database]\nrole = \"{}\"\n", shop.role);
    let query = |sql: &str| format!("[[queries]]\nname = \"q\"\nsql = \"{sql}\"\n");
    // By itself nothing of rows is needed.
    shop.project.profile(format!("[database]\nrole = \"{}\"\n", shop.role));
    let text = take(&[]);
    assert!(!text.contains("example.com") && !text.contains("\"basic\""), "nothing is needed");
    let sql = "select * from customers where segment = $1 and lower(email) = $2";
    shop.project.profile(format!("{role}{}", query(sql)));
    let text = take(&[]);
    assert!(text.contains("\"basic\"") && !text.contains("\"paid\""), "segment alone is needed");
    assert!(!text.contains("example.com"), "e-mail is redacted, in the index as in the table");
    let own = format!("{role}[snapshot]\nredact = [\"segment\"]\n{}", query(sql));
    shop.project.profile(own);
    let text = take(&[]);
    assert!(!text.contains("\"basic\"") && text.contains("example.com"), "an own list");
    assert!(!take(&["--redact", "email"]).contains("example.com"));
    assert!(!take(&["--values", "none"]).contains("example.com"));
    let shown = shop.run(&["snapshot", "show", "s.json", "--json"]);
    shown.expect(0, &[]);
    assert!(shown.stdout.contains("public.customers.segment"), "{shown}");
    // What relations are told to be like, and what was counted of them.
    let mut client = shop.database.connect();
    let written = "select n_tup_ins = 200000 from pg_stat_user_tables where relname = 'visits'";
    eventually("rows are counted", || client.query_one(written, &[]).unwrap().get(0));
    let json: Value = serde_json::from_str(&take(&[])).unwrap();
    let relations = json["relations"].as_array().unwrap();
    let of = |name: &str| relations.iter().find(|one| one["name"] == name).unwrap();
    let (table, index) = (of("public.visits"), of("public.visits_at"));
    assert_eq!((&table["n_tup_ins"], &table["n_tup_del"]), (&200_000.into(), &0.into()));
    assert!(table["seq_scan"].is_u64() && table["idx_scan"].is_null(), "{table}");
    assert!(index["idx_scan"].is_u64() && index["n_tup_ins"].is_null(), "{index}");
    assert_eq!(index["options"], serde_json::json!(["pages_per_range=16"]));
    assert_eq!(index["table"], "public.visits");
    let definition = index["definition"].as_str().unwrap();
    assert!(
        definition.starts_with("CREATE INDEX visits_at ON public.visits USING brin"),
        "{index}"
    );
    let shown = shop.run(&["snapshot", "show", "s.json"]);
    for text in ["index on public.visits, brin", "pages_per_range=16"] {
        assert!(shown.stdout.contains(text), "{shown}");
    }
    // Combinations of values, where each of them may be told.
    shop.project.profile(format!("[database]\nrole = \"{}\"\n", shop.role));
    let has_pair = |text: &str| {
        let shop: Value = serde_json::from_str(text).unwrap();
        let pairs = shop["extended"].as_array().unwrap().iter();
        let of = pairs.filter(|one| one["name"] == "public.places_where");
        of.flat_map(|one| one["most_common"]["values"].as_array()).count() > 0
    };
    assert!(has_pair(&take(&["--values", "all"])));
    assert!(!has_pair(&take(&["--values", "all", "--redact", "city"])));
    let shown = shop.run(&["snapshot", "show", "s.json"]);
    assert!(shown.stdout.contains("public.places (country, city, zip)"), "{shown}");
    // What opens other servers is no part of it.
    let foreign = "create extension postgres_fdw; \
                   create server other foreign data wrapper postgres_fdw; \
                   create user mapping for current_user server other options (password 'hush')";
    if shop.database.connect().batch_execute(foreign).is_ok() {
        let text = take(&["--values", "none"]);
        assert!(text.contains("CREATE SERVER other") || text.contains("\"ddl\": null"), "{text}");
        assert!(!text.contains("CREATE USER MAPPING") && !text.contains("hush"), "{text}");
    }
    // On which snapshot a check is made, it says, and when that is too old.
    shop.project.profile(&role);
    let text = take(&[]);
    let taken_at: Value = serde_json::from_str::<Value>(&text).unwrap()["taken_at"].clone();
    let old = text.replace(taken_at.as_str().unwrap(), "2020-02-02T02:02:02Z");
    std::fs::write(shop.project.folder.path().join("old.json"), old).unwrap();
    let check = |file| shop.run(&["check", "--snapshot", file]);
    let (new, old) = (check("s.json"), check("old.json"));
    for (said, texts) in [
        (new, ["no findings", "snapshot  s.json: ", ", just now"]),
        (old, ["1 warning", "[snapshot-old]", "2020-02-02T02:02:02Z, "]),
    ] {
        said.expect(0, &[]);
        assert!(texts.iter().all(|text| said.stdout.contains(text)), "{said}");
    }
}

#[test]
fn values_are_those_of_the_tables_that_queries_name() {
    let Some((project, database)) = Project::new("named") else { return };
    let sql = "create table orders (id int, state text, town text);
        create table medical (id int, state text, town text);
        create index medical_lower on medical (lower(state), town);
        create index orders_lower on orders (lower(state), upper(town));
        create table events (state text, at date) partition by range (at);
        create table events_25 partition of events for values from ('2025-01-01') to ('2026-01-01');
        create table events_26 partition of events for values from ('2026-01-01') to ('2027-01-01');
        create table pets (state text);
        create table dogs () inherits (pets);
        create table cats () inherits (pets);
        create materialized view drugs as select 'drug' || i % 5 as state
          from generate_series(1, 500) i;
        create materialized view tools as select 'tool' || i % 5 as state
          from generate_series(1, 500) i;
        insert into orders select i, 'order' || i % 5, 'oTown' || i % 5
          from generate_series(1, 500) i;
        insert into medical select i, 'sIck' || i % 5, 'mTown' || i % 5
          from generate_series(1, 500) i;
        insert into events select 'event' || i % 5, date '2025-01-01' + i
          from generate_series(1, 500) i;
        insert into pets select 'pet' || i % 5 from generate_series(1, 500) i;
        insert into dogs select 'dog' || i % 5 from generate_series(1, 500) i;
        insert into cats select 'cat' || i % 5 from generate_series(1, 500) i;
        analyze";
    database.connect().batch_execute(sql).unwrap();
    // Whose values of `state` are in the file: the table, and the columns of its indexes.
    let told = |queries: &[&str]| {
        let query =
            |(at, sql): (usize, &&str)| format!("[[queries]]\nname = \"q{at}\"\nsql = \"{sql}\"\n");
        project.profile(queries.iter().enumerate().map(query).collect::<String>());
        project.run(&with_pg_dump(&["snapshot", "take", "s.json"])).expect(0, &[]);
        let text = std::fs::read_to_string(project.folder.path().join("s.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let with_values = |one: &&Value| one["values"].is_object();
        let columns = json["columns"].as_array().unwrap().iter().filter(with_values);
        let name = |one: &Value| {
            let relation = one["relation"].as_str().unwrap().trim_start_matches("public.");
            format!("{relation}.{}", one["column"].as_str().unwrap())
        };
        let mut names: Vec<String> = columns.map(name).collect();
        names.dedup();
        names.join(" ")
    };
    let orders = "orders.state orders_lower.lower";
    assert_eq!(told(&["select id from orders where state = $1"]), orders);
    let view = "create view few as select * from orders where town > 'b'";
    database.connect().batch_execute(view).unwrap();
    let with_towns = "orders.state orders.town orders_lower.lower orders_lower.upper";
    assert_eq!(told(&["select id from few as medical where state = $1"]), with_towns);
    let events = "events.state events_25.state events_26.state";
    assert_eq!(told(&["select * from events where state = $1"]), events);
    assert_eq!(told(&["select * from events_25 where state = $1"]), events);
    assert_eq!(told(&["select * from dogs where state = $1"]), "cats.state dogs.state pets.state");
    assert_eq!(told(&["select * from drugs where state = $1"]), "drugs.state");
    // Of what is filtered behind a CTE the plan names no table: it is any that the query reads.
    let cte = "with c as materialized (select * from orders offset 1) select * from c where \
               state = $1";
    assert_eq!(told(&[cte]), orders);
    database.drop();
}

#[test]
fn the_ends_of_columns_are_the_real_ones_and_one_that_fails_takes_no_other_along() {
    let Some((project, database)) = Project::new("ends") else { return };
    let sql = "create table t (id int primary key, at date not null, pair text);
        create index on t (at);
        insert into t select i, date '2025-01-01' + i, i from generate_series(1, 1000) i;
        create type pair as (a int, b int);
        create function no_text(pair) returns text language plpgsql as
          $$ begin raise 'this takes too long'; end $$;
        create table pairs (pair pair not null);
        insert into pairs select (i, i)::pair from generate_series(1, 1000) i;
        create index on pairs (pair);
        analyze;
        create cast (pair as text) with function no_text(pair);
        insert into t values (-7, '2035-01-01', 'x'), (9999, '2020-01-01', 'x')";
    database.connect().batch_execute(sql).unwrap();
    let ends = |values: &str| {
        let take = ["snapshot", "take", "s.json", "--values", values];
        let said = project.run(&with_pg_dump(&take));
        said.expect(0, &[]);
        let text = std::fs::read_to_string(project.folder.path().join("s.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let columns = json["columns"].as_array().unwrap().clone();
        let of = move |name: &str| {
            let bounds = columns.iter().find(|one| one["column"] == name).unwrap();
            let bounds = bounds["values"]["histogram_bounds"].as_array().cloned();
            bounds.map(|all| (all[0].clone(), all[all.len() - 1].clone()))
        };
        (of("id"), of("at"), said)
    };
    let (id, at, said) = ends("all");
    assert_eq!(id, Some(("-7".into(), "9999".into())));
    assert_eq!(at, Some(("2020-01-01".into(), "2035-01-01".into())));
    assert!(said.stdout.contains("the ends of 1 column could not be looked up"), "{said}");
    // Where no values are wanted, nobody looks.
    let (id, at, said) = ends("none");
    assert_eq!((id, at), (None, None));
    assert!(!said.stdout.contains("ends of"), "{said}");
    database.drop();
}

#[test]
fn a_column_of_another_type_is_planned_without_its_values() {
    let Some((project, database)) = Project::new("retyped") else { return };
    let sql = "create table pages (id int primary key, path text, city text);
        insert into pages select i, '/p/' || i % 300, 'c' || i % 7 from generate_series(1, 5000) i;
        create statistics both_of_them on path, city from pages; analyze pages";
    database.connect().batch_execute(sql).unwrap();
    project.profile(
        "[[queries]]\nname = \"q\"\nsql = \"select city, path from pages group by 1, 2\"\n",
    );
    let take = ["snapshot", "take", "s.json", "--values", "all"];
    let said = project.run(&with_pg_dump(&take));
    said.expect(0, &[]);
    if said.stdout.contains("there is no pg_dump") {
        skipped("a snapshot's schema");
        return;
    }
    project
        .migration("V1__int", "alter table pages alter column path type int using length(path);");
    let said = project.run(&["plan", "predict", "--snapshot", "s.json"]);
    said.expect(0, &[]);
    // What is counted stays: 2,100 groups, whatever the types.
    assert!(said.stdout.contains("identical"), "{said}");
    for (subject, text) in [
        ("public.pages.path", "its values are not of its type here (22P02)"),
        ("public.both_of_them", "its values are not of their types here (22P02)"),
    ] {
        let line = said.stdout.lines().find(|line| line.contains(subject));
        assert!(line.is_some_and(|line| line.contains(text)), "{text}: {said}");
    }
    database.drop();
}

//! What production has besides tables and rows, and what migrations do to it: a shadow does
//! without the rows, tells what it cannot try, and loses nothing of the rest.

use serde_json::Value;

use crate::snapshot::with_pg_dump;
use crate::support::Database;
use crate::user_project::{Project, Said, skipped};

/// A project on a database with this schema, analyzed, and a snapshot of it; `None` without a
/// server or a `pg_dump` that can.
fn project(test: &str, schema: &str, query: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    let mut client = database.connect();
    client.batch_execute(schema).unwrap();
    client.batch_execute("analyze").unwrap();
    project.profile(format!("[[queries]]\nname = \"one\"\nsql = \"{query}\"\n"));
    let taken = project.run(&with_pg_dump(&["snapshot", "take", "s.json", "--values", "all"]));
    taken.expect(0, &[]);
    if taken.stdout.contains("there is no pg_dump") {
        skipped("a shadow of production's schema");
        return None;
    }
    Some((project, database))
}

fn check(project: &Project) -> Said {
    project.run(&["check", "--snapshot", "s.json", "--json"])
}

/// The rows of the sections of one kind or title.
fn rows(said: &Said, key: &str, value: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter().filter(|one| one[key] == value);
    sections.flat_map(|one| one["rows"].as_array().unwrap().clone()).collect()
}

/// Each finding as `line check`, without what the version is to blame for.
fn findings(said: &Said) -> Vec<String> {
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let found = sections.filter(|one| one["kind"] == "findings");
    let found = found.flat_map(|one| one["findings"].as_array().unwrap());
    let told = found.map(|one| {
        let line = one["place"]["line"].as_u64().map(|line| format!("{line} ")).unwrap_or_default();
        format!("{line}{}", one["check"].as_str().unwrap())
    });
    told.filter(|one| one != "shadow-version").collect()
}

const ORDERS: &str = "
    create table customers (id int primary key, name text);
    insert into customers select i, 'name ' || i from generate_series(1, 5000) i;
    create table orders (
      id int primary key, customer int not null references customers, kind text
    );
    insert into orders select i, 1 + i % 5000, 'kind ' || i % 7 from generate_series(1, 60000) i;
    create index orders_customer on orders (customer);
    create materialized view per_kind as select kind, count(*) from orders group by 1;
    create unique index on per_kind (kind);";

#[test]
fn a_tuned_server_and_its_search_path_are_imitated() {
    let schema = "
        create schema shop;
        do $$ begin execute format('alter database %I set search_path = shop, public',
          current_database()); end $$;
        do $$ begin
          execute format('alter database %I set effective_cache_size = ''8GB''',
            current_database());
          execute format('alter database %I set min_parallel_table_scan_size = ''16kB''',
            current_database());
          execute format('alter database %I set random_page_cost = 1.1', current_database());
          execute format('alter database %I set work_mem = ''64MB''', current_database());
        end $$;
        -- Statistics made meanwhile would be others than the snapshot's.
        create table shop.orders (id int primary key, customer int)
          with (autovacuum_enabled = off);
        insert into shop.orders select i, i % 5000 from generate_series(1, 60000) i;
        create index on shop.orders (customer);";
    let query = "select * from orders where customer = 7";
    let Some((project, database)) = project("tuned", schema, query) else { return };
    // Now that sessions are tuned.
    let take = ["snapshot", "take", "s.json", "--values", "all"];
    project.run(&with_pg_dump(&take)).expect(0, &[]);
    let shown = project.run(&["snapshot", "show", "s.json"]);
    let settings = "effective_cache_size = 8GB; min_parallel_table_scan_size = 16kB; \
                    random_page_cost = 1.1; search_path = shop, public; work_mem = 64MB";
    assert!(shown.stdout.contains(settings), "{shown}");
    let said = project.run(&["snapshot", "verify", "s.json"]);
    assert!(said.stdout.contains("1 are exact") || said.stdout.contains("1 is exact"), "{said}");
    project.migration("V1__more", "create index orders_back on orders (id, customer);");
    let said = check(&project);
    assert_eq!(findings(&said), Vec::<String>::new(), "{said}");
    assert_eq!(rows(&said, "title", "new indexes")[0]["index"], "shop.orders_back", "{said}");
    drop(database);
}

#[test]
fn renamed_tables_and_columns_keep_what_is_known_of_them() {
    let query = "select count(*) from orders where kind = 'kind 3'";
    let Some((project, _database)) = project("renamed", ORDERS, query) else { return };
    project.migration(
        "V1__rename",
        "alter table orders rename to purchases;\n\
         create view orders as select * from purchases;\n\
         alter table purchases rename column customer to buyer;\n\
         do $$ begin\n\
           alter table customers rename to clients;\n\
           alter table clients alter column id type bigint;\n\
         end $$;\n",
    );
    let said = check(&project);
    let queries = rows(&said, "title", "queries");
    let cost = |name: &str| queries[0][name].as_str().unwrap().parse::<f64>().unwrap();
    assert!((cost("after") / cost("cost before") - 1.0).abs() < 0.001, "{said}");
    let new = rows(&said, "title", "new indexes");
    assert!(new.iter().all(|row| row["table"] != "public.purchases"), "{said}");
    let locks = rows(&said, "kind", "locks");
    let locks: Vec<String> = locks
        .iter()
        .map(|row| format!("{} {} {}", row["place"]["line"], row["table"], row["mode"]))
        .collect();
    for expected in
        ["1 \"public.orders\" \"AccessExclusive\"", "4 \"public.customers\" \"AccessExc"]
    {
        assert!(locks.iter().any(|row| row.starts_with(expected)), "{locks:?}\n{said}");
    }
}

#[test]
fn a_query_that_fails_is_told_once_where_its_name_went() {
    let query = "select count(*) from orders where customer = 3";
    let Some((project, _database)) = project("fails", ORDERS, query) else { return };
    project.migration(
        "V1__rename",
        "create index orders_kind on orders (kind);\n\
         alter table orders add column customer_note text;\n\
         drop index orders_customer;\n\
         alter table orders rename column customer to buyer;\n",
    );
    let said = check(&project);
    let expected = ["3 foreign-key-without-index", "4 rename-in-use", "4 query-fails"];
    assert_eq!(findings(&said), expected, "{said}");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("would be worse: one"), "{said}");
}

#[test]
fn a_partial_index_is_as_large_as_its_rows_make_it() {
    let schema = "
        create table o (id bigint primary key, state text, at timestamptz);
        insert into o select i, case when i % 200 = 0 then 'open' else 'done' end,
          timestamptz '2026-01-01 00:00+00' + i * interval '1 min' from generate_series(1, 60000) i;
        create index o_open on o (at) where state = 'open';";
    let query = "select * from o where state = 'open' and at > '2026-02-05' order by id";
    let Some((project, _database)) = project("partial", schema, query) else { return };
    // The plan of the query does not show what the index implies.
    project.run(&with_pg_dump(&["snapshot", "take", "s.json"])).expect(0, &[]);
    project.migration("V1__more", "create index o_ids on o (id, at) where state = 'open';\n");
    let said = check(&project);
    assert_eq!((said.code, findings(&said)), (0, Vec::new()), "{said}");
    let size = rows(&said, "title", "new indexes")[0]["size"].as_str().unwrap().to_string();
    let kilobytes: Option<f64> = size.strip_suffix(" kB").and_then(|size| size.parse().ok());
    assert!(kilobytes.is_some_and(|size| size < 100.0), "{size}: {said}");
}

#[test]
fn a_view_that_reads_more_is_judged() {
    let schema = format!("{ORDERS} create view v as select id, customer from orders;");
    let query = "select * from v where id = 7";
    let Some((project, _database)) = project("view", &schema, query) else { return };
    project.migration(
        "V1__view",
        "-- reads another table from end to end\n\
         create or replace view v as select o.id, o.customer from orders o\n\
         join customers c on c.id + 0 = o.customer;\n",
    );
    let said = check(&project);
    assert_eq!((said.code, findings(&said)), (1, vec!["2 plan-worse".to_string()]), "{said}");
}

#[test]
fn rights_are_asked_of_whom_they_are_asked_there() {
    let role = format!("app_of_{}", std::process::id());
    let schema = format!(
        "create role {role};
         create role {role}_boss superuser;
         set role {role}_boss;
         create table secrets (id bigint primary key, whose name);
         alter table secrets enable row level security;
         create policy own on secrets using (whose = current_user);
         create view v as select * from secrets;
         grant select on v to {role};
         reset role;"
    );
    let Some((project, database)) = project("rights", &schema, "select 1 from v") else { return };
    // The view's owner is a superuser, and goes on reading.
    let owns = format!("alter table secrets owner to {role};\n");
    project.migration("V1__owner", &owns);
    let said = check(&project);
    assert_eq!((said.code, findings(&said)), (0, Vec::new()), "{said}");
    let shown = project.run(&["snapshot", "show", "s.json"]);
    assert!(shown.stdout.contains("(superusers, or past row security)"), "{shown}");
    assert!(shown.stdout.contains(&format!("{role}_boss")), "{shown}");
    let drop = format!("drop owned by {role}, {role}_boss; drop role {role}, {role}_boss");
    database.connect().batch_execute(&drop).unwrap();
}

#[test]
fn what_was_wrong_before_speaks_against_no_migration() {
    let query = "select nope from orders";
    let Some((project, _database)) = project("before", ORDERS, query) else { return };
    project.migration("V1__ok", "alter table orders add column seen boolean;");
    project.migration("V2_passed_over", "create table (");
    let said = check(&project);
    assert_eq!(
        (said.code, findings(&said)),
        (0, vec!["query-fails".into(), "misnamed-file".into()])
    );
    assert!(said.stdout.contains("before the migrations as well"), "{said}");
}

#[test]
fn what_goes_with_something_else_is_told_once() {
    let schema = "
        create schema old;
        create table old.a (id bigint primary key);
        create table old.b (id bigint primary key);
        create schema app;
        create table app.t (id bigint primary key);
        create type contact as (mail text, extension int);
        create table people (id bigint primary key, c contact);
        create table parts (id bigint, kind text) partition by range (id);
        create table parts_1 partition of parts for values from (0) to (10);
        create table dropped (id bigint primary key);";
    let Some((project, _database)) = project("with_others", schema, "select 1") else { return };
    project.migration(
        "V1__gone",
        "drop schema old cascade;\n\
         alter schema app rename to application;\n\
         drop type contact cascade;\n\
         alter table parts rename kind to sort;\n\
         drop table dropped;\n\
         truncate parts;\n",
    );
    let said = check(&project);
    let expected = ["4 rename-in-use", "5 drop-in-use", "1 drop-in-use", "3 drop-in-use"];
    let mut found = findings(&said);
    assert!(found.contains(&"rename-in-use".to_string()), "no lock tells its place: {said}");
    found.retain(|one| one != "rename-in-use");
    assert_eq!(found, expected, "{said}");
    assert!(said.stdout.contains("the table is dropped, and 1 thing more with it"), "{said}");
}

#[test]
fn what_production_has_done_of_a_migration_is_not_done_again() {
    let schema = format!("{ORDERS} update customers set name = 'same' where id < 3;");
    let Some((project, database)) = project("half", &schema, "select 1 from orders") else {
        return;
    };
    project.migration(
        "V1__half",
        "set search_path = public;\n\
         alter table orders add column note text;\n\
         create unique index customers_name on customers (name);\n\
         create index orders_note on orders (note);\n",
    );
    let stopped = project.migrate();
    assert_eq!(stopped.code, 3, "{stopped}");
    let mend = "update customers set name = 'other' where id = 1; analyze";
    database.connect().batch_execute(mend).unwrap();
    let taken = project.run(&with_pg_dump(&["snapshot", "take", "s.json", "--values", "all"]));
    taken.expect(0, &[]);
    let said = check(&project);
    assert_eq!((said.code, findings(&said)), (0, Vec::new()), "{said}");
    assert_eq!(rows(&said, "title", "new indexes").len(), 2, "{said}");
    // What was done is not to be edited.
    let file = project.folder.path().join("migrations/V1__half.sql");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("note text", "note varchar")).unwrap();
    project.run(&["check", "--snapshot", "s.json"]).expect(1, &["was edited since"]);
}

#[test]
fn what_needs_production_is_told_and_the_rest_goes_on() {
    let Some((project, _database)) = project("needs", ORDERS, "select 1 from orders") else {
        return;
    };
    project.migration(
        "V1__data",
        "insert into orders values (70000, 7, 'new');\n\
         create table settings (id bigint primary key, orders int not null);\n\
         insert into settings select 1, max(id) from customers;\n\
         grant select on orders to a_role_of_production;\n\
         refresh materialized view concurrently per_kind;\n\
         create table copies as select * from per_kind;\n\
         do $$ begin execute format('grant connect on database %I to public', 'prod'); end $$;\n\
         create index orders_kind on orders (kind);\n",
    );
    let said = check(&project);
    let mut found = findings(&said);
    found.sort();
    assert_eq!(found, ["3 left-out", "7 left-out", "shadow-role"], "{said}");
    assert_eq!((said.code, rows(&said, "title", "new indexes").len()), (0, 1), "{said}");
}

#[test]
fn what_rows_of_production_refuse_is_told() {
    let schema = format!("{ORDERS} update customers set name = null where id % 10 = 0;");
    let Some((project, _database)) = project("refused", &schema, "select 1 from orders") else {
        return;
    };
    project.migration(
        "V1__strict",
        "create unique index customers_id on customers (id, name);\n\
         create unique index orders_once on orders (customer);\n\
         alter table customers alter name set not null;\n",
    );
    let said = check(&project);
    let mut found = findings(&said);
    found.retain(|one| one.ends_with("refused-by-rows"));
    assert_eq!((said.code, found.len()), (1, 2), "{said}");
    assert_eq!(found, ["2 refused-by-rows", "3 refused-by-rows"]);
}

#[test]
fn what_is_gone_takes_nothing_along() {
    let schema = format!("{ORDERS} create schema old; create table old.t (id int primary key);");
    let Some((project, _database)) = project("gone", &schema, "select 1 from orders") else {
        return;
    };
    project.migration("V1__gone", "drop schema old cascade;\ndrop table orders cascade;");
    let said = project.run(&["check", "--snapshot", "s.json", "--json"]);
    let locks = rows(&said, "kind", "locks");
    assert!(locks.iter().any(|row| row["table"] == "public.orders"), "{said}");
}

#[test]
fn event_triggers_of_production_stop_nobody_and_ours_cannot_be_passed() {
    let schema = format!(
        "{ORDERS}
         create function guard() returns event_trigger language plpgsql as
           $$ begin raise exception 'only the deploy role may'; end $$;
         create event trigger guard on ddl_command_start execute function guard();"
    );
    let Some((project, _database)) = project("guarded", &schema, "select 1 from orders") else {
        return;
    };
    project.migration("V1__ok", "alter table orders add column seen boolean;");
    let said = check(&project);
    assert_eq!((said.code, findings(&said)), (0, Vec::new()), "{said}");
    let publisher = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    publisher.set_nonblocking(true).unwrap();
    let port = publisher.local_addr().unwrap().port();
    project.migration(
        "V1__ok",
        format!(
            "do $$ begin\n  set local session_replication_role = replica;\n  execute \
             'create subscription s connection ''host=127.0.0.1 port={port} connect_timeout=2'' \
             publication p with (create_slot = false, slot_name = none, enabled = false)';\n\
             end $$;"
        ),
    );
    let said = check(&project);
    assert!(said.stdout.contains("which no shadow may reach"), "{said}");
    assert!(publisher.accept().is_err(), "somebody was there: {said}");
}

#[test]
fn what_could_not_be_made_is_told_beside_what_fails_for_it() {
    let Some((project, _database)) = project("unmade", ORDERS, "select 1 from orders") else {
        return;
    };
    let file = project.folder.path().join("s.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let broken = text.replace("CREATE TABLE public.orders (", "CREATE TABLE public.orders (x geo,");
    assert_ne!(text, broken);
    std::fs::write(&file, broken).unwrap();
    project.migration("V1__more", "select 1;\ncreate index on orders (kind);");
    let said = check(&project);
    let found = findings(&said);
    assert!(found.contains(&"shadow-schema".to_string()), "{said}");
    // That of the index is pgtune's own, and stands for the statement.
    assert!(found.contains(&"2 migration-fails".to_string()), "{said}");
    assert!(
        !said.stdout.contains("pgtune_shadow.") && !said.stdout.contains("the next run"),
        "{said}"
    );
}

//! The catalog: its queries on every version, and their number and time with 10,000 relations.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::support::{Database, Holder, connect, debug_server, server};
use crate::user_project::Project;

#[test]
fn every_query_of_the_program_is_valid_here() {
    let Some(database) = Database::create("queries") else { return };
    let mut client = database.connect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pg/sql");
    client
        .batch_execute("create extension pg_stat_statements; create extension pageinspect")
        .unwrap();
    let mut prepared = 0;
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let of_tests = [
            "ledger.sql",
            "default_copy.sql",
            "plan_history.sql",
            "lock_trace.sql",
            "lock_trace_tables.sql",
        ];
        if name.starts_with("adopt_") || of_tests.contains(&name) {
            continue; // reads a table that the tests of `adopt`, rotation, plans and `check` make
        }
        let sql = fs::read_to_string(&file).unwrap();
        let sql = sql.replace("{statements}", "pg_stat_statements");
        let sql = sql.replace("{info}", "pg_stat_statements_info");
        let sql = sql.replace("{pageinspect}", "public");
        if let Err(error) = client.prepare(&sql) {
            panic!("{}: {error:?}", file.display());
        }
        prepared += 1;
    }
    assert!(prepared >= 8);
}

#[test]
fn reading_waits_for_nobodys_partitions() {
    let Some((project, database)) = Project::new("catalog_held") else { return };
    let mut holder = database.connect();
    let sql = "create table t (at date) partition by range (at);
        create table t_1 partition of t for values from ('2026-03-01') to ('2026-04-01')";
    holder.batch_execute(sql).unwrap();
    holder.batch_execute("begin; lock table t_1 in access exclusive mode").unwrap();
    project.profile("[[partitions]]\ntable = \"t\"\ninterval = \"month\"\nahead = 0\n");
    let said = project.run(&["partitions", "rotate", "--as-of", "2026-03-15", "--dry-run"]);
    said.expect(0, &[]);
    assert!(!said.stdout.contains("create"), "{said}");
    database.drop();
}

/// A hundred tables of 49 partitions, each with an index: 10,000 relations.
const MANY: &str = "
    do $$ begin
        for t in 1 .. 100 loop
            execute format('create table many_%s (id int) partition by range (id)', t);
            execute format('create index on many_%s (id)', t);
            for p in 1 .. 49 loop
                execute format('create table many_%s_%s partition of many_%s
                                for values from (%s) to (%s)', t, p, t, p, p + 1);
            end loop;
            commit;
        end loop;
    end $$";

/// Messages of a dry run of an index migration, as the server's log counts them.
fn messages_of_a_dry_run(project: &Project, holder: &Holder) -> usize {
    let log = holder.folder.join("log");
    let log = || fs::read_to_string(&log).unwrap_or_default().matches("pgtune-app:").count();
    let before = log();
    project.run(&["migrate", "--dry-run"]).expect(0, &[]);
    log() - before
}

#[test]
fn ten_thousand_relations_cost_no_more_questions_than_one() {
    if server().is_none() {
        return;
    }
    let mut command = debug_server();
    command.args(["--set", "log_statement=all", "--set", "log_line_prefix=%a-app:"]);
    let holder = Holder::start(command)
        .unwrap_or_else(|output| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let mut client = connect(&holder.url);
    client.batch_execute("create table one (id int)").unwrap();
    let project = Project::at(&holder.url);
    project.migration("V1__index", "create index one_id on one (id);");
    let few = messages_of_a_dry_run(&project, &holder);
    assert!(few > 3, "the log is read");
    client.batch_execute(MANY).unwrap();
    let count = "select count(*) from pg_class where relname like 'many%'";
    let relations: i64 = client.query_one(count, &[]).unwrap().get(0);
    assert_eq!(relations, 10_000);
    client.batch_execute("analyze pg_class").unwrap();
    assert_eq!(messages_of_a_dry_run(&project, &holder), few);

    let begin = Instant::now();
    project.run(&["migrate", "--dry-run"]).expect(0, &[]);
    let seconds = begin.elapsed().as_secs_f64();
    let text = format!("a dry run on {relations} relations: {seconds:.2} s, {few} messages\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

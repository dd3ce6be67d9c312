//! What `pgtune migrate` costs beside the server's own work, against psql.

use std::fmt::Write;
use std::path::Path;

use tempfile::TempDir;

use crate::measure::{self, Run, alternate};
use crate::server::PrivateServer;
use crate::table::Row;
use crate::{Bench, connect, pgtune};

/// The history table, as refinery and pgtune make it.
const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS refinery_schema_history(
  version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))";

/// A folder with `count` migrations, and `psql.sql`, which applies them as one would by hand: a
/// transaction and a history row each.
pub fn folder(count: usize, sql: impl Fn(usize) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    let mut script = format!("{CREATE_HISTORY};\n");
    for version in 1..=count {
        let file = format!("migrations/V{version}__m{version}.sql");
        std::fs::write(folder.path().join(&file), sql(version)).unwrap();
        let _ = write!(
            script,
            "BEGIN;\n\\i {file}\nINSERT INTO refinery_schema_history VALUES ({version}, \
             'm{version}', now()::text, '1234567890123456789');\nCOMMIT;\n"
        );
    }
    std::fs::write(folder.path().join("psql.sql"), script).unwrap();
    folder
}

fn run_pgtune(_: &PrivateServer, folder: &Path, url: &str) -> Run {
    measure::run(&mut pgtune(folder, &["--url", url, "migrate", "--yes"]))
}

fn run_psql(server: &PrivateServer, folder: &Path, url: &str) -> Run {
    measure::run(server.psql(url).args(["-f", "psql.sql"]).current_dir(folder))
}

/// One `SELECT 1` each: what the tool itself costs.
pub fn select_1(bench: &Bench) -> Vec<Row> {
    let sql = |_| "SELECT 1;\n".to_string();
    [("fsync off", &bench.volatile), ("fsync on", &bench.durable)]
        .map(|(fsync, server)| apply(bench, server, "SELECT 1", fsync, sql).at_most(1.0))
        .into()
}

/// One `CREATE TABLE` each: mostly the server.
pub fn create_table(bench: &Bench) -> Vec<Row> {
    let sql = |version| format!("CREATE TABLE t{version} (id bigint PRIMARY KEY, name text);\n");
    [("fsync off", &bench.volatile), ("fsync on", &bench.durable)]
        .map(|(fsync, server)| apply(bench, server, "CREATE TABLE", fsync, sql).at_most(1.05))
        .into()
}

fn apply(
    bench: &Bench,
    server: &PrivateServer,
    what: &str,
    fsync: &str,
    sql: impl Fn(usize) -> String,
) -> Row {
    let count = bench.sizes.migrations;
    let folder = folder(count, sql);
    let on_empty = |apply: fn(&PrivateServer, &Path, &str) -> Run| {
        let url = server.database("apply");
        let run = apply(server, folder.path(), &url);
        let applied = "SELECT count(*) FROM refinery_schema_history";
        let applied: i64 = connect(&url).query_one(applied, &[]).unwrap().get(0);
        assert_eq!(applied, count as i64);
        server.drop_database(&url);
        run
    };
    let (samples, floor) =
        alternate(bench.sizes.rounds, || on_empty(run_pgtune), || on_empty(run_psql));
    Row::new(&format!("{count} × `{what}`, {fsync}"), samples).floor("psql", floor)
}

/// All applied, nothing to do, against reading the history.
pub fn nothing_to_do(bench: &Bench) -> Vec<Row> {
    vec![idle(bench, bench.sizes.migrations).at_most(1.2)]
}

/// The same with many files.
pub fn many_applied(bench: &Bench) -> Vec<Row> {
    vec![idle(bench, bench.sizes.migrations * 5).at_most_ms(100.0)]
}

fn idle(bench: &Bench, count: usize) -> Row {
    let folder = folder(count, |_| "SELECT 1;\n".to_string());
    let server = &bench.volatile;
    let url = server.database("idle");
    run_pgtune(server, folder.path(), &url);
    let history = "SELECT version, name, applied_on, checksum FROM refinery_schema_history";
    let (samples, floor) = alternate(
        bench.sizes.rounds * 3,
        || run_pgtune(server, folder.path(), &url),
        || measure::run(server.psql(&url).args(["-c", history])),
    );
    Row::new(&format!("{count} applied, nothing to do"), samples)
        .floor("psql, reading the history", floor)
}

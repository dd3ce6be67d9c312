//! What `pgtune check` costs: with tables of a terabyte, and with many tables.

use std::fmt::Write;
use std::path::Path;

use tempfile::TempDir;

use crate::measure::{self, alternate};
use crate::table::Row;
use crate::{Bench, connect, pgtune};

/// A table with rows and indexes; so many times as many make a terabyte of it.
const TABLE: &str = "CREATE TABLE t1 (id bigint PRIMARY KEY, at timestamptz, kind int, note text);
    CREATE INDEX ON t1 (at); CREATE INDEX ON t1 (kind, at);";
const ROWS: &str = "INSERT INTO t1 SELECT i, timestamptz '2026-01-01' + i * interval '1 min', \
    i % 50, repeat('x', 100) FROM generate_series(1, 20000) i;";
const TO_A_TERABYTE: &str = "350000";

/// Plans of 100 queries before and after a change of a table of a terabyte.
pub fn terabyte(bench: &Bench) -> Vec<Row> {
    let count = if bench.sizes.queries > 100 { 100 } else { bench.sizes.queries };
    let queries = (0..count).map(|number| {
        format!("select kind, count(*) from t1 where kind = {number} and at > now() group by 1")
    });
    let folder = project(bench, "terabyte", (TABLE, ROWS), queries);
    migration(folder.path(), 2, "CREATE INDEX ON t1 USING brin (id);");
    let check = |scale: &str| {
        let arguments = ["check", "--snapshot", "s.json", "--scale", scale];
        measure::run(pgtune(folder.path(), &arguments).env("PGTUNE_PG_BIN", &bench.volatile.bin))
    };
    let (samples, floor) = alternate(bench.sizes.rounds, || check(TO_A_TERABYTE), || check("1"));
    let title = format!("check of a table of 1 TB, {count} queries");
    vec![Row::new(&title, samples).floor("the same with 3 MB", floor).at_most_ms(5_000.0)]
}

/// A whole check of a schema with many tables and three pending migrations.
pub fn many_tables(bench: &Bench) -> Vec<Row> {
    let (tables, queries) = (bench.sizes.tables * 5, bench.sizes.queries / 10);
    let mut schema = String::new();
    for table in 1..=tables {
        let above = if table == 1 { 1 } else { table / 2 + table % 2 };
        let _ = writeln!(
            schema,
            "CREATE TABLE t{table} (id bigint PRIMARY KEY, above bigint REFERENCES t{above}, \
             name text NOT NULL, at timestamptz DEFAULT now());\n\
             CREATE INDEX ON t{table} (above); CREATE INDEX ON t{table} (at);"
        );
    }
    let mut rows = String::new();
    for table in 1..=tables {
        let _ = writeln!(
            rows,
            "INSERT INTO t{table} SELECT i, i, md5(i::text) FROM generate_series(1, 1000) i;"
        );
    }
    let joins = (0..queries).map(|number| {
        let (one, other) = (number % tables + 1, (number + 1) % tables + 1);
        format!("select a.name from t{one} a join t{other} b on b.above = a.id where b.id = 7")
    });
    let folder = project(bench, "many_tables", (&schema, &rows), joins);
    migration(folder.path(), 2, "CREATE INDEX ON t1 (name);");
    migration(folder.path(), 3, "ALTER TABLE t2 ADD COLUMN note text;");
    migration(folder.path(), 4, "CREATE INDEX ON t2 (name, at);");
    let run = || {
        let mut check = pgtune(folder.path(), &["check", "--snapshot", "s.json"]);
        measure::run(check.env("PGTUNE_PG_BIN", &bench.volatile.bin))
    };
    let samples = (0..bench.sizes.rounds).map(|_| run()).collect();
    let title = format!("check of {tables} tables, 3 migrations, {queries} queries");
    vec![Row::new(&title, measure::Samples(samples)).at_most_ms(10_000.0)]
}

/// A project whose first migration made the schema of a database with rows, with a snapshot of it.
fn project(
    bench: &Bench,
    name: &str,
    (schema, rows): (&str, &str),
    queries: impl Iterator<Item = String>,
) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    migration(folder.path(), 1, schema);
    let mut profile = String::new();
    for (number, sql) in queries.enumerate() {
        let _ = writeln!(profile, "[[queries]]\nname = \"q{number}\"\nsql = \"{sql}\"");
    }
    std::fs::write(folder.path().join("pgtune.toml"), profile).unwrap();
    let url = bench.volatile.database(name);
    measure::run(&mut pgtune(folder.path(), &["--url", &url, "migrate", "--yes"]));
    connect(&url).batch_execute(rows).unwrap();
    connect(&url).batch_execute("VACUUM ANALYZE").unwrap();
    measure::run(&mut pgtune(folder.path(), &["--url", &url, "snapshot", "take", "s.json"]));
    bench.volatile.drop_database(&url);
    folder
}

fn migration(folder: &Path, version: usize, sql: &str) {
    let file = format!("migrations/V{version}__m{version}.sql");
    std::fs::write(folder.join(file), sql).unwrap();
}

//! What `pgtune plan capture` costs beside psql that explains the same queries in one session.

use std::fmt::Write;

use crate::measure::{self, Samples, alternate};
use crate::table::Row;
use crate::{Bench, connect, pgtune};

/// Tables with rows, indexes and partitions, so that planning is some work.
const TABLES: &str = "
    CREATE TABLE a (id int PRIMARY KEY, b int, c text);
    CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, at timestamptz) ;
    CREATE INDEX ON b (a);
    INSERT INTO a SELECT i, i % 100, md5(i::text) FROM generate_series(1, 10000) i;
    INSERT INTO b SELECT i, 1 + i % 10000, now() FROM generate_series(1, 20000) i;
    ANALYZE";

/// The plans of many queries, and their EXPLAINs alone.
pub fn capture(bench: &Bench) -> Vec<Row> {
    let queries = bench.sizes.queries;
    let server = &bench.volatile;
    let url = server.database("plans");
    connect(&url).batch_execute(TABLES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut profile, mut script) = (String::new(), String::new());
    for number in 0..queries {
        let sql = format!(
            "select a.c, count(*) from a join b on b.a = a.id where a.b = $1 and a.id > {number} \
             group by a.c order by 2 desc limit 10"
        );
        let _ = writeln!(
            profile,
            "[[queries]]\nname = \"q{number}\"\nsql = \"{sql}\"\nparameters = [[\"7\"]]"
        );
        let sql = sql.replace("$1", "'7'");
        let _ = writeln!(script, "EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) {sql};");
    }
    std::fs::write(folder.path().join("pgtune.toml"), profile).unwrap();
    std::fs::write(folder.path().join("explain.sql"), script).unwrap();
    let path = folder.path().join("explain.sql");
    let (samples, floor) = alternate(
        bench.sizes.rounds,
        || measure::run(&mut pgtune(folder.path(), &["--url", &url, "plan", "capture"])),
        || measure::run(server.psql(&url).arg("-f").arg(&path)),
    );
    let title = format!("plans of {queries} queries");
    let row = Row::new(&title, Samples(samples.0)).floor("psql, EXPLAIN", Samples(floor.0));
    vec![row.at_most(1.3)]
}

//! What `pgtune snapshot take` costs on a database with many relations, beside the pg_dump that it
//! runs for the schema.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::{self, alternate};
use crate::server::PrivateServer;
use crate::table::Row;
use crate::{Bench, connect, pgtune};

/// A snapshot without values of rows and one with all, and `pg_dump --schema-only`.
pub fn take(bench: &Bench) -> Vec<Row> {
    let server = &bench.volatile;
    let Some(pg_dump) = pg_dump(server) else {
        println!("==== SKIPPED: no case snapshot without a pg_dump for this server ====");
        return Vec::new();
    };
    let url = server.database("snapshot");
    fill(bench, &url);
    let folder = tempfile::tempdir().unwrap();
    let row = |values: &str| {
        let take = ["--url", &url, "snapshot", "take", "s.json.zst", "--values", values];
        let (samples, floor) = alternate(
            bench.sizes.rounds,
            || measure::run(pgtune(folder.path(), &take).arg("--pg-dump").arg(&pg_dump)),
            || measure::run(Command::new(&pg_dump).args(["--schema-only", "-d", &url])),
        );
        let bytes = std::fs::metadata(folder.path().join("s.json.zst")).unwrap().len();
        let title = format!("snapshot of {} relations, values: {values}", bench.sizes.relations);
        let note = format!("file of {} kB", bytes / 1_000);
        Row::new(&title, samples).floor("pg_dump --schema-only", floor).note(note)
    };
    let rows = vec![row("none").at_most(3.0), row("all")];
    server.drop_database(&url);
    rows
}

/// Tables with a key, a few columns and statistics.
fn fill(bench: &Bench, url: &str) {
    let create = format!(
        "DO $$ BEGIN FOR i IN 1..{} LOOP
           EXECUTE format('CREATE TABLE r%s (id bigint PRIMARY KEY, customer int NOT NULL, at
             timestamptz NOT NULL, state text, note text)', i);
           EXECUTE format('INSERT INTO r%s SELECT g, g %% 20, now() + g * interval ''1 hour'',
             ''s'' || g %% 3, ''note '' || g FROM generate_series(1, 200) g', i);
           IF i % 100 = 0 THEN COMMIT; END IF;
         END LOOP; END $$; VACUUM ANALYZE",
        bench.sizes.relations / 2
    );
    for statement in create.split_inclusive("$$;") {
        connect(url).batch_execute(statement).unwrap();
    }
}

/// The server's own, or that of the tests, which reads servers of all versions.
fn pg_dump(server: &PrivateServer) -> Option<PathBuf> {
    const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.postgres/client/bin/pg_dump");
    let beside = server.psql.with_file_name("pg_dump");
    [beside.as_path(), Path::new(CLIENT)].into_iter().find(|one| one.is_file()).map(Into::into)
}

//! The commands about history: status, baseline, repair, and adopting other tools' tables, which
//! are made here as each tool makes them.

use std::path::Path;

use postgres::Client;
use serde_json::Value;
use sha2::{Digest, Sha384};

use crate::support::{Database, eventually, pgtune};

/// A folder with a profile and migrations, and an empty database.
struct Project {
    folder: tempfile::TempDir,
    database: Database,
}

/// What a run of pgtune left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Project {
    /// `None` without a server. `settings` go into the profile's `[migrations]`.
    fn new(test: &str, settings: &str) -> Option<Project> {
        let database = Database::create(test)?;
        let folder = tempfile::tempdir().unwrap();
        let project = Project { folder, database };
        project.write("pgtune.toml", &format!("[migrations]\n{settings}\n"));
        std::fs::create_dir(project.path().join("migrations")).unwrap();
        Some(project)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn migration(&self, stem: &str, text: &str) {
        self.write(&format!("migrations/{stem}.sql"), text);
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let output = pgtune(arguments)
            .current_dir(self.path())
            .env("DATABASE_URL", &self.database.url)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// Runs a command that has to succeed; its standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Runs a command that has to say no; its standard error.
    fn no(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}\n{}{}", ran.stdout, ran.stderr);
        ran.stderr
    }

    fn sql(&self) -> Client {
        self.database.connect()
    }

    /// What status says as JSON, and its exit code.
    fn status(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let ran = self.run(&[&["status", "--json"], arguments].concat());
        (serde_json::from_str(&ran.stdout).expect(&ran.stderr), ran.code)
    }

    /// The history's versions; empty where there is no table.
    fn versions(&self) -> Vec<i64> {
        let mut client = self.sql();
        let found = "select to_regclass('refinery_schema_history') is not null";
        if !client.query_one(found, &[]).unwrap().get::<_, bool>(0) {
            return Vec::new();
        }
        let sql = "select version::int8 from refinery_schema_history order by version";
        client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The whole promise of `adopt`: a dry run writes nothing, the run writes these versions, and
    /// `migrate` has nothing left to do.
    fn adopts(&self, arguments: &[&str], versions: &[i64]) -> String {
        let adopt = [&["adopt"], arguments].concat();
        let shown = self.ok(&[adopt.as_slice(), &["--dry-run"]].concat());
        assert_eq!(self.versions(), [0_i64; 0], "a dry run writes nothing");
        let done = self.ok(&[adopt.as_slice(), &["--yes"]].concat());
        let expected = format!("{} migration", versions.len());
        assert!(done.starts_with(&expected), "{done}");
        assert_eq!(self.versions(), versions);
        assert!(self.ok(&["migrate", "--yes"]).starts_with("nothing to do"));
        assert_eq!(self.status(&["--exit-code"]).1, Some(0));
        let again = self.ok(&[adopt.as_slice(), &["--yes"]].concat());
        assert!(again.starts_with("nothing to do"), "{again}");
        shown
    }
}

/// A section of a JSON report by its title.
fn section<'a>(report: &'a Value, title: &str) -> Option<&'a Value> {
    let mut sections = report["sections"].as_array().unwrap().iter();
    sections.find(|section| section["title"] == title)
}

fn states(report: &Value) -> Vec<String> {
    let rows = section(report, "migrations").unwrap()["rows"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    rows.map(|row| format!("{} {}", text(&row["migration"]), text(&row["state"]))).collect()
}

fn sha384(text: &str) -> Vec<u8> {
    Sha384::digest(text.as_bytes()).to_vec()
}

#[test]
fn status_shows_each_state() {
    let Some(project) = Project::new("status", "") else { return };
    for (stem, text) in [("V1__a", "create table a ()"), ("V3__c", "create table c ()")] {
        project.migration(stem, text);
    }
    let (report, code) = project.status(&[]);
    assert_eq!(
        (code, states(&report)),
        (Some(0), vec!["V1__a pending".into(), "V3__c pending".into()])
    );
    assert_eq!(project.status(&["--exit-code"]).1, Some(1));
    assert_eq!(project.versions(), [0_i64; 0], "status makes no table");
    project.ok(&["migrate", "--yes"]);
    let (report, code) = project.status(&["--exit-code"]);
    assert_eq!(
        (code, states(&report)),
        (Some(0), vec!["V1__a applied".into(), "V3__c applied".into()])
    );
    project.migration("V1__a", "create table a (b int)");
    project.migration("V2__b", "create table b ()");
    std::fs::remove_file(project.path().join("migrations/V3__c.sql")).unwrap();
    project.migration("V4__d", "create table d ()");
    let (report, code) = project.status(&[]);
    assert_eq!(code, Some(1));
    let expected = ["V1__a diverged", "V2__b late", "V3__c missing", "V4__d pending"];
    assert_eq!(states(&report), expected);
    let facts = &report["sections"][0]["facts"];
    assert_eq!((&facts["pending"], &facts["diverged"]), (&"1".into(), &"1".into()));
    assert!(facts["server"].as_str().unwrap().starts_with("PostgreSQL 1"), "{facts}");
    assert!(facts["database"].as_str().unwrap().starts_with("status_"), "{facts}");
    project.write("pgtune.toml", "[migrations]\nabort_divergent = false\nabort_missing = false\n");
    assert_eq!(project.status(&[]).1, Some(0), "as strict as the profile");
}

#[test]
fn status_changes_nothing_and_cuts_long_lists() {
    let Some(project) = Project::new("readonly", "") else { return };
    for version in 1..=30 {
        project.migration(&format!("V{version}__x"), "select 1");
    }
    let unknown = project.run(&["migrate", "--dry-run", "--to", "99"]);
    let said = "--to 99: no migration has this version; newest is V30__x";
    assert!(unknown.stderr.contains(said), "{}", unknown.stderr);
    project.ok(&["migrate", "--yes", "--to", "15"]);
    let name: String =
        project.sql().query_one("select current_database()::text", &[]).unwrap().get(0);
    let sql = format!("alter database \"{name}\" set default_transaction_read_only = on");
    project.sql().batch_execute(&sql).unwrap();
    let text = project.ok(&["status"]);
    let title = "migrations (5 older applied and 5 later pending ones with --all)";
    assert!(text.contains(title), "{text}");
    assert!(text.contains("V6__x") && !text.contains("V5__x"), "{text}");
    assert!(text.contains("V25__x") && !text.contains("V26__x"), "{text}");
    assert_eq!(states(&project.status(&["--all"]).0).len(), 30);
}

#[test]
fn status_shows_what_stands_in_the_way() {
    let Some(project) = Project::new("trouble", "") else { return };
    let mut client = project.sql();
    client
        .batch_execute(
            "create table t (a int); insert into t values (1), (1);
             create table p (a int) partition by list (a);
             create table p1 partition of p for values in (1)",
        )
        .unwrap();
    client.batch_execute("create unique index concurrently broken on t (a)").unwrap_err();
    let mut reader = project.sql();
    reader.batch_execute("begin; select from p").unwrap();
    client.batch_execute("set statement_timeout = '300ms'").unwrap();
    client.batch_execute("alter table p detach partition p1 concurrently").unwrap_err();
    reader.batch_execute("rollback").unwrap();
    let (report, code) = project.status(&[]);
    assert_eq!(code, Some(0));
    let invalid = &section(&report, "invalid indexes").unwrap()["rows"][0];
    assert_eq!(
        (&invalid["index"], &invalid["table"]),
        (&"public.broken".into(), &"public.t".into())
    );
    let detach = &section(&report, "pending detaches").unwrap()["rows"][0];
    assert_eq!((&detach["partition"], &detach["of"]), (&"public.p1".into(), &"public.p".into()));
    assert_eq!(report["sections"][0]["facts"]["runner"], "none at work");
}

#[test]
fn status_shows_who_is_at_work() {
    let Some(project) = Project::new("at_work", "") else { return };
    let url = format!("{}?application_name=pgtune%20run", project.database.url);
    let worker = std::thread::spawn(move || {
        let slept = crate::support::connect(&url).batch_execute("select pg_sleep(60)");
        slept.unwrap_err()
    });
    let runner = || {
        let (report, _) = project.status(&[]);
        let title = "sessions of a killed run, still at work";
        let orphan = section(&report, title).map(|section| section["rows"][0].to_string());
        (report["sections"][0]["facts"]["runner"].as_str().unwrap().to_string(), orphan)
    };
    eventually("the session of a killed run is seen", || {
        runner().1.is_some_and(|row| row.contains("pg_sleep"))
    });
    let mut client = project.sql();
    // "pgtu" and "ne\0\x01", the runner lock's keys.
    client.batch_execute("select pg_advisory_lock(1885828213, 1852112897)").unwrap();
    let (holder, orphan) = runner();
    assert!(holder.starts_with("at work: pid "), "{holder}");
    assert_eq!(orphan, None, "with a runner about, its sessions are no orphans");
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where application_name = 'pgtune run' and datname = current_database()";
    client.batch_execute(end).unwrap();
    worker.join().unwrap();
}

#[test]
fn status_shows_half_applied_migrations() {
    let mut seen = false;
    for event in 1..=12 {
        let Some(project) = Project::new("half", "") else { return };
        project.migration("V1__t", "create table t (a int)");
        project.ok(&["migrate", "--yes"]);
        project
            .migration("V2__half", "insert into t values (1); create index i on t (a); select 2");
        let ran = project.run_with(&[("PGTUNE_FAULT", &event.to_string())], &["migrate", "--yes"]);
        let (report, code) = project.status(&[]);
        assert_eq!(code, Some(0));
        if let Some(half) = section(&report, "half-applied") {
            let row = &half["rows"][0];
            assert_eq!(
                (&row["migration"], &row["statement"]),
                (&"V2__half".into(), &"1 of 3".into())
            );
            assert_eq!(
                (&row["state"], &row["text"]),
                (&"done".into(), &"insert into t values (1)".into())
            );
            project.migration(
                "V2__half",
                "insert into t values (2); create index i on t (a); select 2",
            );
            let (report, code) = project.status(&[]);
            assert_eq!(code, Some(1), "{report}");
            seen = true;
        }
        if ran.code.is_some() {
            break;
        }
    }
    assert!(seen, "no kill left a half-applied migration");
}

#[test]
fn a_baseline_takes_migrations_for_applied() {
    let Some(project) = Project::new("baseline", "") else { return };
    project.sql().batch_execute("create table a ()").unwrap();
    for (stem, text) in [
        ("V1__a", "create table a ()"),
        ("V2__b", "create table b ()"),
        ("V3__c", "create table c ()"),
    ] {
        project.migration(stem, text);
    }
    let sql = project.ok(&["baseline", "2", "--dry-run", "--sql"]);
    assert!(sql.contains("CREATE TABLE IF NOT EXISTS") && sql.contains("(2, 'b', "), "{sql}");
    assert_eq!(project.versions(), [0_i64; 0]);
    let asked = project.run(&["baseline", "2"]);
    assert_eq!(asked.code, Some(2), "without a terminal it asks for --yes: {}", asked.stderr);
    let unknown = project.no(&["baseline", "9", "--yes"]);
    assert!(unknown.contains("no migration file has this version"), "{unknown}");
    let done = project.ok(&["baseline", "2", "--yes"]);
    assert_eq!(done, "2 migrations recorded as applied in public.refinery_schema_history\n");
    assert_eq!(project.versions(), [1, 2]);
    assert!(project.ok(&["migrate", "--yes"]).starts_with("1 migration applied"));
    let newer = project.no(&["baseline", "2", "--yes"]);
    assert!(newer.contains("version 3 is already recorded as applied"), "{newer}");
    assert!(project.ok(&["baseline", "3", "--yes"]).starts_with("nothing to do"));
}

#[test]
fn a_killed_baseline_is_finished_by_the_next() {
    for event in 1..=8 {
        let Some(project) = Project::new("killed", "") else { return };
        for version in 1..=2 {
            project.migration(&format!("V{version}__x"), "select 1");
        }
        let fault = ("PGTUNE_FAULT", event.to_string());
        project.run_with(&[(fault.0, &fault.1)], &["baseline", "2", "--yes"]);
        project.ok(&["baseline", "2", "--yes"]);
        assert_eq!(project.versions(), [1, 2], "killed at event {event}");
    }
}

#[test]
fn repair_records_files_as_they_are() {
    let Some(project) = Project::new("repair", "") else { return };
    for version in 1..=3 {
        project.migration(&format!("V{version}__x"), "select 1");
    }
    project.ok(&["migrate", "--yes"]);
    assert!(project.ok(&["repair", "--yes"]).starts_with("nothing to do"));
    let first = "select applied_on from refinery_schema_history where version = 1";
    let applied_on: String = project.sql().query_one(first, &[]).unwrap().get(0);
    project.migration("V1__x", "select 1 -- harmless");
    std::fs::rename(
        project.path().join("migrations/V2__x.sql"),
        project.path().join("migrations/V2__y.sql"),
    )
    .unwrap();
    std::fs::remove_file(project.path().join("migrations/V3__x.sql")).unwrap();
    let diverged = project.no(&["migrate", "--yes"]);
    assert!(diverged.contains("pgtune repair"), "{diverged}");
    let shown = project.ok(&["repair", "--dry-run"]);
    assert!(shown.contains("checksum ") && shown.contains("the name x becomes y"), "{shown}");
    assert!(shown.contains("--forget 3"), "{shown}");
    assert_eq!(project.status(&[]).1, Some(1), "a dry run writes nothing");
    project.ok(&["repair", "--yes"]);
    let (report, code) = project.status(&[]);
    assert_eq!((code, states(&report)[2].as_str()), (Some(1), "V3__x missing"));
    assert_eq!(project.sql().query_one(first, &[]).unwrap().get::<_, String>(0), applied_on);
    let refused = project.no(&["repair", "--forget", "1", "--yes"]);
    assert!(refused.contains("its migration file exists"), "{refused}");
    let done = project.ok(&["repair", "--forget", "3", "--yes"]);
    assert_eq!(done, "public.refinery_schema_history corrected\n");
    assert_eq!(project.versions(), [1, 2]);
    assert!(project.ok(&["migrate", "--yes"]).starts_with("nothing to do"));
}

/// refinery-core 0.10, `traits::mod::ASSERT_MIGRATIONS_TABLE_QUERY`; checksums by the crate.
#[test]
fn refinery_is_adopted_into_a_wider_table() {
    let settings = "history_version = \"int8\"";
    let Some(project) = Project::new("refinery", settings) else { return };
    project.migration("V1__a", "create table a ()");
    project.migration("V2__b", "create table b ()");
    let old = project.run_with(
        &[
            ("PGTUNE_MIGRATIONS_HISTORY_TABLE", "old"),
            ("PGTUNE_MIGRATIONS_HISTORY_VERSION", "int4"),
        ],
        &["migrate", "--yes"],
    );
    assert_eq!(old.code, Some(0), "{}", old.stderr);
    let own = project.run(&["adopt", "refinery", "--dry-run"]);
    assert_eq!(own.code, Some(2), "{}", own.stderr);
    let shown = project.adopts(&["refinery", "--table", "public.old"], &[1, 2]);
    assert!(shown.contains("verified") && !shown.contains("believed"), "{shown}");
    let sql = "select checksum from refinery_schema_history where version = 1";
    let checksum: String = project.sql().query_one(sql, &[]).unwrap().get(0);
    let theirs = refinery::Migration::unapplied("V1__a", "create table a ()").unwrap();
    assert_eq!(checksum, theirs.checksum().to_string());
}

/// flyway-database-postgresql, `PostgreSQLDatabase.getRawCreateScript`. The checksum is CRC-32 of
/// "create table a ()" as zlib has it.
#[test]
fn flyway_is_adopted() {
    let Some(project) = Project::new("flyway", "") else { return };
    project.migration("V1__a", "create table a ()\r\n");
    project.migration("V2__b", "create table b ()");
    let checksum = |text: &str| crc32fast::hash(text.as_bytes()).cast_signed();
    project
        .sql()
        .batch_execute(&format!(
            "CREATE TABLE flyway_schema_history (
                 installed_rank INT NOT NULL, version VARCHAR(50),
                 description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL,
                 script VARCHAR(1000) NOT NULL, checksum INTEGER,
                 installed_by VARCHAR(100) NOT NULL,
                 installed_on TIMESTAMP NOT NULL DEFAULT now(),
                 execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL);
             ALTER TABLE flyway_schema_history ADD CONSTRAINT flyway_schema_history_pk
                 PRIMARY KEY (installed_rank);
             CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
             INSERT INTO flyway_schema_history VALUES
                 (1, '1', 'a', 'SQL', 'V1__a.sql', {}, 'x', now(), 1, true),
                 (2, '2', 'b', 'SQL', 'V2__b.sql', {}, 'x', now(), 1, false)",
            checksum("create table a ()"),
            checksum("create table b ()")
        ))
        .unwrap();
    let failed = project.no(&["adopt", "flyway", "--yes"]);
    assert!(failed.contains("flyway V2__b.sql: failed"), "{failed}");
    assert_eq!(project.versions(), [0_i64; 0]);
    project.sql().batch_execute("update flyway_schema_history set success = true").unwrap();
    project.adopts(&["flyway"], &[1, 2]);
}

/// sqlx-postgres/src/migrate.rs, `ensure_migrations_table`.
#[test]
fn sqlx_is_adopted_with_its_files() {
    let Some(project) = Project::new("sqlx", "history_version = \"int8\"") else { return };
    let files =
        [("20260101000000_a.sql", "create table a ()"), ("20260102000000_b.up.sql", "--\r\n")];
    for (name, text) in files {
        project.write(&format!("old/{name}"), text);
    }
    project.write("old/20260102000000_b.down.sql", "drop table b");
    let mut client = project.sql();
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
                 version BIGINT PRIMARY KEY, description TEXT NOT NULL,
                 installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL,
                 checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)",
        )
        .unwrap();
    let insert = "insert into _sqlx_migrations values ($1, 'x', now(), true, $2, 1)";
    client.execute(insert, &[&20_260_101_000_000_i64, &sha384(files[0].1)]).unwrap();
    client.execute(insert, &[&20_260_102_000_000_i64, &sha384(files[1].1)]).unwrap();
    let missing = project.ok(&["adopt", "sqlx", "--dry-run"]);
    assert!(missing.contains("--write-files"), "{missing}");
    let arguments = ["sqlx", "--from", "old", "--write-files"];
    let shown = project.adopts(&arguments, &[20_260_101_000_000, 20_260_102_000_000]);
    assert!(shown.contains("files to be written") && !shown.contains("believed"), "{shown}");
    let written = project.path().join("migrations/V20260102000000__b.sql");
    assert_eq!(std::fs::read_to_string(written).unwrap(), files[1].1, "byte for byte");
}

#[test]
fn a_changed_file_is_not_adopted() {
    let Some(project) = Project::new("sqlx_changed", "") else { return };
    project.migration("V1__a", "select 2");
    let mut client = project.sql();
    client
        .batch_execute(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT, \
             installed_on TIMESTAMPTZ, success BOOLEAN, checksum BYTEA, execution_time BIGINT)",
        )
        .unwrap();
    let insert = "insert into _sqlx_migrations values (1, 'a', now(), true, $1, 1)";
    client.execute(insert, &[&sha384("select 1")]).unwrap();
    let said = project.no(&["adopt", "sqlx", "--yes"]);
    assert!(said.contains("does not have") && said.contains("--from"), "{said}");
    assert_eq!(project.versions(), [0_i64; 0]);
    let other = project.run(&["adopt", "flyway", "--yes"]);
    assert_eq!(other.code, Some(3), "{}", other.stderr);
    assert!(other.stderr.contains("--table"), "{}", other.stderr);
}

/// golang-migrate, database/postgres/postgres.go, `ensureVersionTable`.
#[test]
fn golang_migrate_is_adopted() {
    let Some(project) = Project::new("golang", "") else { return };
    for (name, text) in [("1_a.up.sql", "select 1"), ("1_a.down.sql", "no"), ("2_b.up.sql", "--")] {
        project.write(&format!("old/{name}"), text);
    }
    project
        .sql()
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS \"schema_migrations\" (version bigint not null primary \
             key, dirty boolean not null); INSERT INTO schema_migrations VALUES (2, true)",
        )
        .unwrap();
    let arguments = ["golang-migrate", "--from", "old", "--write-files"];
    let dirty = project.no(&[&["adopt"], arguments.as_slice(), &["--yes"]].concat());
    assert!(dirty.contains("dirty"), "{dirty}");
    assert!(!project.path().join("migrations/V1__a.sql").exists(), "refused, so nothing written");
    project.sql().batch_execute("update schema_migrations set dirty = false").unwrap();
    let shown = project.adopts(&arguments, &[1, 2]);
    assert!(shown.contains("2 migrations believed"), "{shown}");
}

/// dbmate, pkg/driver/postgres/postgres.go, `CreateMigrationsTable`.
#[test]
fn dbmate_is_adopted() {
    let Some(project) = Project::new("dbmate", "history_version = \"int8\"") else { return };
    let text = "-- migrate:up\ncreate table a ();\n\n-- migrate:down\ndrop table a;\n";
    project.write("old/20260101000000_a.sql", text);
    project
        .sql()
        .batch_execute(
            "create table if not exists \"public\".\"schema_migrations\" \
             (version varchar primary key); \
             insert into schema_migrations values ('20260101000000')",
        )
        .unwrap();
    let arguments = ["dbmate", "--from", "old", "--write-files"];
    project.adopts(&arguments, &[20_260_101_000_000]);
    let written = project.path().join("migrations/V20260101000000__a.sql");
    assert_eq!(std::fs::read_to_string(written).unwrap(), "create table a ();\n\n");
}

/// liquibase-standard, `CreateDatabaseChangeLogTableGenerator`.
#[test]
fn liquibase_is_adopted() {
    let Some(project) = Project::new("liquibase", "") else { return };
    project.migration("V1__first", "--liquibase formatted sql\n--changeset ann:x\nselect 1;\n");
    project.migration("V2__second", "select 2;");
    project
        .sql()
        .batch_execute(
            "CREATE TABLE databasechangelog (ID VARCHAR(255) NOT NULL, AUTHOR VARCHAR(255) NOT \
             NULL, FILENAME VARCHAR(255) NOT NULL, DATEEXECUTED TIMESTAMP WITHOUT TIME ZONE NOT \
             NULL, ORDEREXECUTED INTEGER NOT NULL, EXECTYPE VARCHAR(10) NOT NULL, MD5SUM \
             VARCHAR(35), DESCRIPTION VARCHAR(255), COMMENTS VARCHAR(255), TAG VARCHAR(255), \
             LIQUIBASE VARCHAR(20), CONTEXTS VARCHAR(255), LABELS VARCHAR(255), DEPLOYMENT_ID \
             VARCHAR(10)); \
             INSERT INTO databasechangelog (id, author, filename, dateexecuted, orderexecuted, \
             exectype, md5sum) VALUES \
             ('x', 'ann', 'db/V1__first.sql', now(), 1, 'EXECUTED', '9:8d7f'), \
             ('2', 'ann', 'db/changelog.xml', now(), 2, 'MARK_RAN', '9:aaaa')",
        )
        .unwrap();
    let shown = project.adopts(&["liquibase"], &[1, 2]);
    assert!(shown.contains("2 migrations believed"), "{shown}");
}

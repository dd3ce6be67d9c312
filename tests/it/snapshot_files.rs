//! Files of snapshots: what is none, and what a file stays when it is written again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use crate::snapshot::with_pg_dump;
use crate::support::Database;
use crate::user_project::{Project, said};

/// A project on a database with a table, and a query of it.
fn table(test: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    // Where there is no pg_dump, it makes the schema of a shadow.
    project.migration("V1__t", "create table t (id int primary key, kind text);");
    project.migrate().expect(0, &[]);
    let rows = "insert into t select i, i % 7 from generate_series(1, 1000) i; analyze t";
    database.connect().batch_execute(rows).unwrap();
    project.profile("[[queries]]\nname = \"one\"\nsql = \"select * from t where id = 7\"\n");
    Some((project, database))
}

#[test]
fn what_is_no_snapshot_is_told() {
    let Some((project, _database)) = table("odd_snapshots") else { return };
    let folder = project.folder.path();
    let odd = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    odd("odd.json", b"{}");
    project.run(&["snapshot", "show", "odd.json"]).expect(2, &["odd.json holds no snapshot"]);
    odd("odd.json.zst", b"x");
    project.run(&["snapshot", "show", "odd.json.zst"]).expect(2, &["holds no snapshot"]);
    project.run(&["snapshot", "show", "missing.json"]).expect(6, &["missing.json"]);
    let said = project.run(&["snapshot", "take", "no/such/folder.json"]);
    said.expect(6, &["write no/such/folder.json", "No such file or directory"]);
    assert!(!said.stderr.contains(".tmp"), "{said}");

    project.run(&["snapshot", "take", "s.json"]).expect(0, &[]);
    let good = fs::read_to_string(folder.join("s.json")).unwrap();
    for (key, value) in [
        ("file_pages", "18446744073709551615"),
        ("pages", "9223372036854775807"),
        ("tuples", "1e300"),
        ("null_frac", "-1"),
    ] {
        let (front, rest) = good.split_once(&format!("\"{key}\": ")).unwrap();
        let rest = rest.split_once(',').unwrap().1;
        odd("odd.json", format!("{front}\"{key}\": {value},{rest}").as_bytes());
        project
            .run(&["check", "--snapshot", "odd.json"])
            .expect(2, &["odd.json is of no database"]);
    }
    // Pages are unsigned, and kept as signed numbers.
    let (front, rest) = good.split_once("\"pages\": ").unwrap();
    let rest = rest.split_once(',').unwrap().1;
    odd("s.json", format!("{front}\"pages\": 3000000000,{rest}").as_bytes());
    let scaled = |factor| project.run(&["check", "--snapshot", "s.json", "--scale", factor]);
    scaled("1e-300").expect(2, &["a number from 0.000001"]);
    scaled("1e6").expect(2, &["--scale 1000000 is too much", "32 TB"]);
    scaled("1").expect(0, &[]);
    scaled("0.000001").expect(0, &[]);
}

#[test]
fn a_device_is_written_to_and_stays_one() {
    let Some((project, _database)) = table("to_a_device") else { return };
    let pipe = project.folder.path().join("pipe.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    project.run(&["snapshot", "take", "pipe.json"]).expect(0, &[]);
    assert!(reader.join().unwrap().contains("schema_version"));
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn queries_that_change_rows_are_not_planned_and_their_columns_count() {
    let Some((project, database)) = table("writers") else { return };
    project.profile("[[queries]]\nname = \"w\"\nsql = \"delete from t where kind = 'x'\"\n");
    let mut other = database.connect();
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("lock table t in share mode").unwrap();
    let mut command = project.command(&["snapshot", "take", "s.json"]);
    // It would wait for its turn.
    command.env("PGOPTIONS", "-c lock_timeout=1ms");
    let said = said(command);
    said.expect(0, &[]);
    assert!(!said.stderr.contains("none of its columns"), "{said}");
    lock.rollback().unwrap();
    let text = fs::read_to_string(project.folder.path().join("s.json")).unwrap();
    assert!(text.contains("most_common_vals"), "{text}");
}

#[test]
fn tables_that_the_role_may_not_read_are_left_out_and_told() {
    let Some((project, database)) = table("closed") else { return };
    let role = format!("closed_{}", std::process::id());
    let sql = format!(
        "create role {role}; create table hidden (id int); create schema \"Deep\";
         create table \"Deep\".\"odd\"\"one\" (id int);
         grant select on t, refinery_schema_history to {role}"
    );
    database.connect().batch_execute(&sql).unwrap();
    project.profile(format!("[database]\nrole = \"{role}\"\n"));
    let said = project.run(&with_pg_dump(&["snapshot", "take", "s.json"]));
    let cleared = format!("drop owned by {role}; drop role {role}");
    database.connect().batch_execute(&cleared).unwrap();
    said.expect(0, &[]);
    if said.stdout.contains("no pg_dump") {
        return;
    }
    assert!(said.stdout.contains("Deep\".\"odd\"\"one\", public.hidden"), "{said}");
    let text = fs::read_to_string(project.folder.path().join("s.json")).unwrap();
    assert!(text.contains("CREATE TABLE public.t ") && !text.contains("TABLE public.hidden"));
    project.profile("");
    let said = project.run(&["check", "--snapshot", "s.json"]);
    assert!(said.stdout.contains("the schema is without 2 tables"), "{said}");
}

#[test]
fn the_schema_is_that_of_the_database_whatever_libpq_would_make_of_the_environment() {
    let Some((project, database)) = table("of_url") else { return };
    let Some(other) = Database::create("of_service") else { return };
    other.connect().batch_execute("create table elsewhere (id int)").unwrap();
    let services = project.folder.path().join("services");
    let (host, port) = database.url.split_once('@').unwrap().1.split_once(':').unwrap();
    let port = port.split('/').next().unwrap();
    let name = other.url.rsplit('/').next().unwrap();
    let host = host.replace("%2F", "/");
    let service = format!("[other]\nhost={host}\nport={port}\ndbname={name}\nuser=pgtune\n");
    fs::write(&services, service).unwrap();
    let mut command = project.command(&with_pg_dump(&["snapshot", "take", "s.json"]));
    command.env("PGSERVICE", "other").env("PGSERVICEFILE", &services);
    let said = said(command);
    said.expect(0, &[]);
    let text = fs::read_to_string(project.folder.path().join("s.json")).unwrap();
    assert!(!text.contains("elsewhere"), "{said}");
    assert!(
        text.contains("CREATE TABLE public.t ") || said.stdout.contains("no pg_dump"),
        "{said}"
    );
}

#[test]
fn a_snapshot_that_is_written_again_keeps_its_link_and_its_rights() {
    let Some((project, _database)) = table("linked_snapshot") else { return };
    let folder = project.folder.path();
    project.run(&["snapshot", "take", "real.json"]).expect(0, &[]);
    fs::set_permissions(folder.join("real.json"), Permissions::from_mode(0o640)).unwrap();
    symlink("real.json", folder.join("link.json")).unwrap();
    project.run(&["snapshot", "verify", "link.json", "--record"]).expect(0, &[]);
    assert!(fs::symlink_metadata(folder.join("link.json")).unwrap().is_symlink());
    let mode = fs::metadata(folder.join("real.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(fs::read_to_string(folder.join("real.json")).unwrap().contains("verified_at"));
}

//! Tables of a terabyte on a shadow: they take no room.

use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use crate::snapshot::with_pg_dump;
use crate::user_project::Project;

const TABLE: &str = "create table t (id bigint primary key, at timestamptz, kind int, note text);
    create index on t (at);
    create index on t using gin (note_words(note));
    insert into t select i, now() - i * interval '1 min', i % 50, repeat('x', 100)
    from generate_series(1, 20000) as i";

/// Bytes that the files below a folder take of the disk; those that vanish meanwhile take none.
fn taken_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => taken_bytes(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}

#[test]
fn a_terabyte_takes_no_room() {
    const ROOM_MAX: u64 = 100_000_000;
    let Some((project, database)) = Project::new("terabyte") else { return };
    let words = "create function note_words(text) returns text[] immutable language sql
        as $$ select string_to_array($1, ' ') $$";
    project.migration("V1__t", format!("{words};\n{TABLE};\n"));
    let queries: String = (0..100)
        .map(|kind| {
            let sql = format!("select count(*) from t where kind = {kind} and at > now()");
            format!("[[queries]]\nname = \"q{kind}\"\nsql = \"{sql}\"\n")
        })
        .collect();
    project.profile(queries);
    project.run(&["migrate", "--yes", "--quiet"]).expect(0, &[]);
    database.connect().batch_execute("vacuum analyze").unwrap();
    project.run(&with_pg_dump(&["snapshot", "take", "s.json"])).expect(0, &[]);
    project.migration("V2__kind", "create index t_kind_at_idx on t (kind, at);");
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let mut check =
        project.command(&["check", "--snapshot", "s.json", "--scale", "350000", "--json"]);
    // More than a pipe holds.
    let mut answer = tempfile::tempfile().unwrap();
    let to_answer = answer.try_clone().unwrap();
    check.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(to_answer);
    let mut child = check.spawn().unwrap();
    let mut room = 0;
    while child.try_wait().unwrap().is_none() {
        room = taken_bytes(folder.path()).max(room);
    }
    let mut text = String::new();
    answer.rewind().unwrap();
    answer.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sections = json["sections"].as_array().unwrap();
    let rows = |key: &str, value: &str| {
        sections.iter().find(|one| one[key] == value).unwrap()["rows"].as_array().unwrap()
    };
    assert_eq!(rows("title", "queries").len(), 100, "{text}");
    let table = &rows("kind", "locks")[0];
    assert!(table["size_bytes"].as_u64().unwrap() > 1 << 40, "{table}");
    assert!((1 << 20..ROOM_MAX).contains(&room), "{room} bytes of disk");

    database.drop();
}

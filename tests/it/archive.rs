//! Archives: what goes into a folder or a bucket comes back, and what is not the same is found.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postgres::Client;
use serde_json::Value;

use crate::connect::certificates;
use crate::support::{Database, server};
use crate::user_project::{Project, Said, said, skipped};

/// Everything that text formats have ever got wrong.
const AWKWARD: &str = r#"
    create schema "My schema";
    create type "Mood" as enum ('so so', 'it''s "fine"');
    create type pair as (a int, b text);
    create table "My schema"."É, vents" (
        id int8 not null, gone text, "At" timestamptz not null, plain timestamp, d date, t timetz,
        i interval, n numeric, f8 float8, f4 float4, txt text, "select" varchar, c char(5),
        b bytea, j json, jb jsonb, arr text[], m int[][], u uuid, net inet, mood "Mood", p pair,
        cash money, ts tsvector, r tstzrange, reg regclass, bits varbit,
        twice int8 generated always as (id * 2) stored,
        number int generated always as identity
    ) partition by range ("At");
    alter table "My schema"."É, vents" drop column gone;
    create table "My schema"."p/1" partition of "My schema"."É, vents"
        for values from ('2026-01-01Z') to ('2026-02-01Z');
    insert into "My schema"."É, vents" (id, "At", plain, d, t, i, n, f8, f4, txt, "select", c, b, j,
        jb, arr, m, u, net, mood, p, cash, ts, r, reg, bits) values
    (1, '2026-01-01 05:30+05:30', 'infinity', '-infinity', '04:05:06.789-08',
     '-1 mon +2 days -03:04:05.6', 'NaN', 'NaN', '-Infinity', E'tab\t, \\N, "q", line\nback\\',
     '', 'a', '\x00ff5c', '{"b" : 1,  "a": "\u00fc"}', '{"b": 1, "a": null}',
     array['a,b', null, 'NULL', '{"x"}', ''], '{{1,2},{3,4}}',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/64', 'it''s "fine"', row(1, 'x"y'), '-12.34',
     'a:1 ''b c'':2', '[2026-01-01 00:00+14, infinity)', 'pg_class', '10101'),
    (2, '2026-01-31 23:59:59.999999Z', '0044-03-15 BC', '5874897-12-31', '00:00+00', 'P1Y', '1e-30',
     '1.7976931348623157e308', '1e-45', E'\\.', E'\r\n', null, '', 'null', 'null', '{}', null, null,
     null, 'so so', row(null, ''), '92233720368547758.07', '', 'empty', null, ''),
    (3, '2026-01-15 12:00-11', null, null, null, null, 123456789012345678901234567890.0001,
     '0.1', '16777216', 'Привет 😀 \N', '\.', '', '\x0a0d5c2e', null, null, null, null, null,
     null, null, null, null, null, null, null, null),
    (4, '2026-01-15 12:00-11', null, null, null, null, '0.10', '-0', '-0', null, null, null, null,
     null, null, null, null, null, null, null, null, null, null, null, null, null);
    alter table "My schema"."É, vents" detach partition "My schema"."p/1";
"#;

/// What a database may have set, and what must not matter.
const SETTINGS: [(&str, &str); 6] = [
    ("datestyle", "'German, DMY'"),
    ("intervalstyle", "iso_8601"),
    ("timezone", "'Asia/Kolkata'"),
    ("extra_float_digits", "-10"),
    ("bytea_output", "escape"),
    ("search_path", "\"My schema\", public, pg_catalog"),
];

/// The content hash of the awkward rows: on every version, under all settings.
const AWKWARD_HASH: &str = "-9567270618258874816";

fn set_all(database: &Database, reset: bool) {
    let name = database.url.rsplit_once('/').unwrap().1;
    let mut client = database.connect();
    for (setting, value) in SETTINGS {
        let change =
            if reset { format!("reset {setting}") } else { format!("set {setting} = {value}") };
        client.batch_execute(&format!("alter database \"{name}\" {change}")).unwrap();
    }
}

/// Archives a table; the manifest.
#[track_caller]
fn archive(project: &Project, table: &str) -> Value {
    let said = project.run(&["debug", "archive", table]);
    said.expect(0, &[]);
    serde_json::from_str(&said.stdout).unwrap()
}

fn name_of(manifest: &Value) -> &str {
    manifest["name"].as_str().unwrap()
}

/// A file of an archive in the folder `archive`.
fn file(project: &Project, manifest: &Value, ending: &str) -> PathBuf {
    project.folder.path().join(format!("archive/{}{ending}", name_of(manifest)))
}

/// All rows of a table as text, in order.
fn rows(client: &mut Client, table: &str) -> Vec<String> {
    let sql = format!("select \"a row\"::text from {table} as \"a row\" order by 1");
    client.query(&sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// A table `t` of `rows` rows whose text does not compress well.
fn noise(database: &Database, rows: u32) {
    let sql = format!(
        "create table t (id int primary key, noise text);
         insert into t select n, (select string_agg(md5((n * 8 + k)::text), '')
                                    from generate_series(1, 8) as k)
           from generate_series(1, {rows}) as n"
    );
    database.connect().batch_execute(&sql).unwrap();
}

/// The files below a folder.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let below = entries.map(|entry| entry.unwrap().path());
    below.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[test]
fn awkward_rows_survive_the_round_trip() {
    let Some((project, database)) = Project::new("archive_awkward") else { return };
    let mut client = database.connect();
    client.batch_execute(AWKWARD).unwrap();
    let partition = "\"My schema\".\"p/1\"";
    set_all(&database, false);
    let manifest = archive(&project, partition);
    let name = name_of(&manifest).to_string();
    assert!(name.starts_with("My%20schema.p%2f1/"), "{name}");
    assert_eq!(manifest["contents"]["rows"], 4);
    assert_eq!(manifest["contents"]["nulls"]["txt"], 1);
    assert_eq!(manifest["contents"]["nulls"]["d"], 2);
    assert_eq!(manifest["contents"]["hash"], AWKWARD_HASH);
    assert_eq!(manifest["stream"]["rows"], 4);
    let column = |name: &str| {
        let columns = manifest["shape"]["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(column("gone"), Value::Null);
    assert_eq!(column("twice")["generated"], true);
    assert_eq!(column("mood")["type"], "public.\"Mood\"");
    project.run(&["debug", "verify", &name]).expect(0, &[]);
    // The other way round: archived under strange settings, loaded and compared under none.
    set_all(&database, true);
    project.run(&["debug", "unchanged", &name, partition]).expect(0, &[]);
    let create = "create table \"Back \"\"again\" (like \"My schema\".\"p/1\" including all)";
    client.batch_execute(create).unwrap();
    let back = "public.\"Back \"\"again\"";
    project.run(&["debug", "restore", &name, back]).expect(0, &[]);
    assert_eq!(rows(&mut client, back), rows(&mut client, partition));
    project.run(&["debug", "restore", &name, back]).expect(2, &["is not empty"]);
    database.drop();
}

#[test]
fn an_attached_partition_knows_its_place() {
    let Some((project, database)) = Project::new("archive_place") else { return };
    let sql = "create table t (id uuid, at date not null) partition by range (at, id);
               create table t1 partition of t
                   for values from ('2026-01-01', minvalue) to ('2026-02-01', minvalue);
               create index on t1 (id);
               insert into t values ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2026-01-31'),
                                    ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2026-01-02');
               create table plain (id int generated always as identity);
               create table h (id int) partition by hash (id);
               create table h1 partition of h for values with (modulus 1, remainder 0)";
    database.connect().batch_execute(sql).unwrap();
    let manifest = archive(&project, "public.t1");
    assert!(name_of(&manifest).starts_with("public.t/2026-01-01_MINVALUE_2026-02-01"));
    assert_eq!(manifest["lineage"]["parent"], "public.t");
    let key = manifest["contents"]["key"].as_array().unwrap();
    let expected = [("at", "2026-01-02", "2026-01-31")];
    assert_eq!((key[0]["column"].as_str(), key.len()), (Some(expected[0].0), 2));
    assert_eq!(
        (&key[0]["least"], &key[0]["greatest"]),
        (&expected[0].1.into(), &expected[0].2.into())
    );
    assert_eq!(key[1]["least"], "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    assert_eq!(manifest["shape"]["indexes"].as_object().unwrap().len(), 1);
    // The same partition again would take the place of the only copy.
    project.run(&["debug", "archive", "public.t1"]).expect(2, &["already holds an archive"]);
    // An empty table, and a key without an order.
    let empty = archive(&project, "public.h1");
    assert_eq!((&empty["contents"]["rows"], &empty["contents"]["hash"]), (&0.into(), &"0".into()));
    project.run(&["debug", "verify", name_of(&empty)]).expect(0, &[]);
    project.run(&["debug", "restore", name_of(&empty), "public.h1"]).expect(0, &[]);
    let plain = archive(&project, "public.plain");
    assert_eq!(plain["shape"]["columns"][0]["identity"], "always");
    assert_eq!(plain["lineage"], Value::Null);
    // What is no table of its own.
    let nowhere = "there is no table public.nowhere";
    project.run(&["debug", "archive", "public.t"]).expect(2, &["is no ordinary table"]);
    project.run(&["debug", "archive", "public.nowhere"]).expect(2, &[nowhere]);
    database.drop();
}

#[test]
fn virtual_columns_are_computed_anew() {
    let Some((project, database)) = Project::new("archive_virtual") else { return };
    if server().is_some_and(|server| server.major < 18) {
        return skipped("virtual generated columns, which came with PostgreSQL 18");
    }
    let create = |name: &str| {
        format!("create table {name} (a int, b int generated always as (a + 1) virtual);")
    };
    let sql = format!("{}{} insert into t values (1), (null)", create("t"), create("back"));
    database.connect().batch_execute(&sql).unwrap();
    let manifest = archive(&project, "public.t");
    project.run(&["debug", "restore", name_of(&manifest), "public.back"]).expect(0, &[]);
    assert_eq!(rows(&mut database.connect(), "back"), ["(,)", "(1,2)"]);
    database.drop();
}

#[test]
fn damage_is_named_and_nothing_of_it_is_restored() {
    let Some((project, database)) = Project::new("archive_damage") else { return };
    noise(&database, 2_000);
    database.connect().batch_execute("create table back (like t)").unwrap();
    let manifest = archive(&project, "public.t");
    let name = name_of(&manifest);
    let (packed, described) =
        (file(&project, &manifest, ".copy.zst"), file(&project, &manifest, ".json"));
    let (bytes, text) = (fs::read(&packed).unwrap(), fs::read_to_string(&described).unwrap());
    let refused = |code: i32, texts: &[&str]| {
        project.run(&["debug", "verify", name]).expect(code, texts);
        project.run(&["debug", "restore", name, "public.back"]).expect(code, texts);
        assert_eq!(rows(&mut database.connect(), "back"), Vec::<String>::new());
    };
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    fs::write(&packed, flipped).unwrap();
    refused(1, &["is not what was written", "SHA-256"]);
    fs::write(&packed, &bytes[..bytes.len() - 100]).unwrap();
    refused(1, &["is not what was written", &format!("size {}", bytes.len() - 100)]);
    fs::remove_file(&packed).unwrap();
    refused(1, &["cannot read", ".copy.zst", "No such file"]);
    fs::write(&packed, &bytes).unwrap();
    fs::write(&described, text.replace("\"rows\": 2000", "\"rows\": 1999")).unwrap();
    refused(1, &["was changed after it was written"]);
    fs::remove_file(&described).unwrap();
    refused(1, &["cannot read", ".json"]);
    fs::write(&described, &text).unwrap();
    project.run(&["debug", "restore", name, "public.back"]).expect(0, &[]);
    database.drop();
}

#[test]
fn what_changes_after_archiving_is_found() {
    let Some((project, database)) = Project::new("archive_late") else { return };
    noise(&database, 100);
    let mut client = database.connect();
    let manifest = archive(&project, "public.t");
    let mut changed = |sql: &str, back: &str, texts: &[&str]| {
        client.batch_execute(sql).unwrap();
        let run = || project.run(&["debug", "unchanged", name_of(&manifest), "public.t"]);
        run().expect(1, texts);
        client.batch_execute(back).unwrap();
        run().expect(0, &[]);
    };
    let late = "101 rows instead of 100";
    changed("insert into t values (0, '')", "delete from t where id = 0", &[late]);
    let (swap, back) = ("update t set id = -id where id = 7", "update t set id = -id where id < 0");
    changed(swap, back, &["is not what was archived", "content hash"]);
    changed(
        "alter table t add extra int",
        "alter table t drop extra",
        &["the column extra is new"],
    );
    let (hide, show) = ("alter table t rename noise to n", "alter table t rename n to noise");
    changed(hide, show, &["it has no column noise", "the column n is new"]);
    let wider = "the column id is bigint instead of integer";
    changed("alter table t alter id type int8", "alter table t alter id type int4", &[wider]);
    // A row that comes while the drop looks has to wait for it.
    client.batch_execute("begin; insert into t values (0, '')").unwrap();
    let waits = project.run(&["debug", "unchanged", name_of(&manifest), "public.t"]);
    waits.expect(4, &["lock timeout"]);
    database.drop();
}

#[test]
fn a_restore_that_differs_is_taken_back() {
    let Some((project, database)) = Project::new("archive_restore") else { return };
    noise(&database, 50);
    let sql = "
        create table narrow (id int);
        create table checked (like t, check (id < 10));
        create table more (id int8, extra int, noise text);
        create table meddled (like t);
        create function meddle() returns trigger language plpgsql as
            $$ begin if new.id = 20 then new.noise = 'x'; end if; return new; end $$;
        create trigger meddle before insert on meddled for each row execute function meddle()";
    let mut client = database.connect();
    client.batch_execute(sql).unwrap();
    let manifest = archive(&project, "public.t");
    let restore = |table: &str| project.run(&["debug", "restore", name_of(&manifest), table]);
    restore("public.narrow").expect(2, &["cannot take the rows", "it has no column noise"]);
    restore("public.checked").expect(3, &["cannot load public.checked", "check constraint"]);
    restore("public.meddled").expect(1, &["did not become what was archived", "content hash"]);
    restore("public.t").expect(2, &["public.t is not empty"]);
    for table in ["narrow", "checked", "meddled"] {
        assert_eq!(rows(&mut client, table), Vec::<String>::new(), "{table}");
    }
    restore("public.more").expect(0, &[]);
    assert_eq!(rows(&mut client, "more").len(), 50);
    database.drop();
}

#[test]
fn rows_that_the_role_may_not_see_are_an_error() {
    let Some((project, database)) = Project::new("archive_hidden") else { return };
    noise(&database, 10);
    let role = format!("archivist_{}", std::process::id());
    let sql = format!(
        "create role {role}; grant select on t to {role}; grant usage on schema public to {role};
         alter table t enable row level security; create policy few on t using (id < 5)"
    );
    let mut client = database.connect();
    client.batch_execute(&sql).unwrap();
    project.profile(format!("[database]\nrole = \"{role}\"\n"));
    let text = "would be affected by row-level security";
    project.run(&["debug", "archive", "public.t"]).expect(3, &[text]);
    assert_eq!(files_in(project.folder.path()).len(), 1, "only the profile");
    client.batch_execute(&format!("drop owned by {role}; drop role {role}")).unwrap();
    database.drop();
}

#[test]
fn memory_does_not_grow_with_the_table() {
    let Some((project, database)) = Project::new("archive_memory") else { return };
    let sql =
        "create table t as select n, repeat(md5(n::text), 30) from generate_series(1, 60000) n;
         create table s as select * from t limit 10";
    database.connect().batch_execute(sql).unwrap();
    match (peak_kb(&project, "public.s"), peak_kb(&project, "public.t")) {
        (0, _) | (_, 0) => skipped("the memory of archiving: this system has no /proc"),
        (small, large) => {
            assert!(large < small + 10_000, "{large} kB for a table of 58 MB, {small} kB for none");
        }
    }
    database.drop();
}

/// The most memory that archiving a table takes, in kB; 0 where the system does not say.
fn peak_kb(project: &Project, table: &str) -> u32 {
    let mut archive = project.command(&["debug", "archive", table]);
    let mut archive = archive.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // What `wait4` says begins with the memory of this process, which started it.
    let status = format!("/proc/{}/status", archive.id());
    let mut peak_kb = 0;
    while archive.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u32>().ok());
        peak_kb = peak_kb.max(now.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(archive.wait().unwrap().success());
    peak_kb
}

/// A small file system of its own; unmounted when dropped.
pub struct Mount(pub tempfile::TempDir);

impl Mount {
    /// `None`, said loudly, where this user may not mount.
    pub fn tmpfs(options: &str) -> Option<Mount> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            skipped("archiving to a full or read-only disk: this user may not mount a tmpfs");
        }
        mounted.then_some(Mount(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn a_full_or_read_only_disk_is_said_and_left_clean() {
    let Some((project, database)) = Project::new("archive_disk") else { return };
    noise(&database, 20_000);
    let to = |mount: &Mount| {
        project.profile(format!("[archive]\nto = \"{}\"\n", mount.0.path().display()));
        project.run(&["debug", "archive", "public.t"])
    };
    if let Some(small) = Mount::tmpfs("size=1m") {
        to(&small).expect(6, &["cannot write", "caused by: No space left", "the disk is full"]);
        assert_eq!(files_in(small.0.path()), Vec::<PathBuf>::new());
    }
    if let Some(fixed) = Mount::tmpfs("ro") {
        to(&fixed)
            .expect(6, &["cannot write into", "Read-only file system", "allow it to the user"]);
    }
    project.profile("[archive]\nto = \"pgtune.toml/x\"\n");
    project.run(&["debug", "archive", "public.t"]).expect(6, &["Not a directory"]);
    database.drop();
}

/// The S3-compatible server of `scripts/s3`, with a bucket `archive`; stopped when dropped.
pub struct S3 {
    child: Child,
    /// Where it is.
    pub url: String,
}

impl S3 {
    /// `None`, said loudly, where it was not installed. `arguments`: for TLS, where the
    /// certificate is.
    pub fn start(arguments: &[PathBuf]) -> Option<S3> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".s3/serve");
        if !program.is_file() {
            skipped("archiving to a bucket; `scripts/s3` fetches a server for it");
            return None;
        }
        let mut child =
            Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Some(S3 { child, url: url.trim().to_string() })
    }

    /// Lets a project archive there, as `to` says.
    fn profile(&self, project: &Project, to: &str) {
        let url = &self.url;
        let text = format!("[archive]\nto = \"{to}\"\nendpoint = \"{url}\"\npath_style = true\n");
        project.profile(text);
    }

    /// How many multipart uploads were neither finished nor aborted.
    fn uploads(&self) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(b"GET /uploads HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.rsplit_once("\r\n").unwrap().1.to_string()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What opens its bucket.
pub const KEY: &str = "test-key";
/// The other half.
pub const SECRET: &str = "test-secret";

/// Runs pgtune with credentials, which it must not say.
#[track_caller]
pub fn run_as(project: &Project, key: &str, secret: &str, arguments: &[&str]) -> Said {
    let mut command = project.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    let said = said(command);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(!text.contains(key) && !text.contains(secret) && !text.contains("X-Amz"), "{text}");
    said
}

#[test]
fn a_bucket_takes_archives_and_gives_them_back() {
    let Some((project, database)) = Project::new("archive_bucket") else { return };
    let Some(s3) = S3::start(&[]) else { return };
    let run = |arguments: &[&str]| run_as(&project, KEY, SECRET, arguments);
    let mut client = database.connect();
    client.batch_execute(AWKWARD).unwrap();
    noise(&database, 40_000);
    client.batch_execute("create table back (like t)").unwrap();
    s3.profile(&project, "s3://archive/some where/ü");
    // In one piece, in parts, and in spite of a store that is busy at first.
    for (to, arguments) in [
        ("s3://archive/some where/ü", vec!["debug", "archive", "\"My schema\".\"p/1\""]),
        ("s3://archive", vec!["debug", "archive", "public.t", "--part-bytes", "5242880"]),
        ("s3://archive/busy", vec!["debug", "archive", "public.t", "--part-bytes", "5242880"]),
    ] {
        s3.profile(&project, to);
        let written = run(&arguments);
        written.expect(0, &[]);
        let manifest: Value = serde_json::from_str(&written.stdout).unwrap();
        run(&["debug", "verify", name_of(&manifest)]).expect(0, &[]);
        if arguments[2] == "public.t" {
            assert!(manifest["stream"]["packed_bytes"].as_u64().unwrap() > 5_242_880);
            client.batch_execute("truncate back").unwrap();
            run(&["debug", "restore", name_of(&manifest), "public.back"]).expect(0, &[]);
            assert_eq!(rows(&mut client, "back"), rows(&mut client, "t"));
        }
    }
    run(&["debug", "verify", "public.t/none"]).expect(1, &["NoSuchKey", "it is not there"]);
    assert_eq!(s3.uploads(), "0");
    database.drop();
}

#[test]
fn a_bucket_that_refuses_says_why_and_keeps_nothing() {
    let Some((project, database)) = Project::new("archive_refused") else { return };
    let Some(s3) = S3::start(&[]) else { return };
    noise(&database, 40_000);
    let arguments = ["debug", "archive", "public.t", "--part-bytes", "5242880"];
    let refused = |to: &str, key: &str, secret: &str, code: i32, texts: &[&str]| {
        s3.profile(&project, to);
        run_as(&project, key, secret, &arguments).expect(code, texts);
        assert_eq!(s3.uploads(), "0", "{to}");
    };
    refused("s3://archive", KEY, "wrong-secret", 6, &["it was denied", "AWS_SECRET_ACCESS_KEY"]);
    refused("s3://archive", "nobody", SECRET, 6, &["it was denied"]);
    refused("s3://archive/denied", KEY, SECRET, 6, &["it was denied"]);
    refused("s3://none", KEY, SECRET, 2, &["NoSuchBucket", "no such bucket"]);
    // The second part is refused: the first goes away, too.
    let masked = "caused by: refused ***";
    refused("s3://archive/broken", KEY, SECRET, 6, &["AccessDenied", "it was denied", masked]);
    s3.profile(&project, "s3://archive");
    let text = "there are no credentials for s3://archive";
    project.run(&arguments).expect(2, &[text, "AWS_ACCESS_KEY_ID"]);
    drop(s3);
    run_as(&project, KEY, SECRET, &arguments)
        .expect(6, &["cannot reach s3://archive at 127.0.0.1"]);
    database.drop();
}

#[test]
fn a_bucket_is_trusted_as_its_certificate_is() {
    let Some((project, database)) = Project::new("archive_tls") else { return };
    let folder = tempfile::tempdir().unwrap();
    if certificates(folder.path()).is_none() {
        return skipped("TLS to a bucket: openssl is not installed");
    }
    let Some(s3) = S3::start(&[folder.path().join("server")]) else { return };
    noise(&database, 10);
    s3.profile(&project, "s3://archive");
    let trusting = |roots: &str| {
        let mut command = project.command(&["debug", "archive", "public.t"]);
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("SSL_CERT_FILE", folder.path().join(roots));
        said(command)
    };
    trusting("other.crt").expect(6, &["cannot reach s3://archive at localhost", "certificate"]);
    trusting("ca.crt").expect(0, &[]);
    database.drop();
}

//! Servers that refuse, vanish, fill up or only look like servers. Each case has its exit code, and
//! the same command, run again, ends well.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Database, Holder, connect, debug_server, eventually, server};
use crate::user_project::{Project, history, said_by, skipped};

/// A server of its own with settings; `None` without server programs.
fn own_server(settings: &[&str]) -> Option<Holder> {
    server()?;
    let mut command = debug_server();
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let refused = |output: std::process::Output| String::from_utf8(output.stderr).unwrap();
    Some(Holder::start(command).unwrap_or_else(|output| panic!("{}", refused(output))))
}

/// The URL with another user.
fn as_user(url: &str, user: &str) -> String {
    url.replace("//pgtune@", &format!("//{user}@"))
}

/// How many sessions of pgtune's runs are in the database.
fn sessions(database: &Database) -> i64 {
    let sql = "select count(*) from pg_stat_activity
                where datname = current_database() and application_name like 'pgtune%'";
    database.connect().query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn roles_that_lack_something() {
    let Some((mut project, database)) = Project::new("lacking") else { return };
    database
        .connect()
        .batch_execute(
            "
        create role lacking_role login; revoke create on schema public from public;
        create table theirs (a int)",
        )
        .unwrap();
    let url = project.url.clone();
    project.url = as_user(&url, "lacking_role");
    project.migration("V1__a", "create table a (x int);");
    let hint = "grant the role what it lacks, or set database.role";
    project.migrate().expect(3, &["permission denied for schema public (42501)", hint]);

    database.connect().batch_execute("grant create on schema public to lacking_role").unwrap();
    project.migration(
        "V2__half",
        "create index concurrently on a (x);\nselect 1;\nalter type mood \
        add value 'b';\nselect 'b'::mood;",
    );
    database
        .connect()
        .batch_execute(
            "create type mood as enum ('a'); \
        alter type mood owner to lacking_role",
        )
        .unwrap();
    let ran = project.migrate();
    ran.expect(3, &["permission denied for database", "pgtune_state", hint]);
    eventually("its sessions are gone", || sessions(&database) == 0);
    database
        .connect()
        .batch_execute("create schema pgtune_state authorization lacking_role")
        .unwrap();
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 a", "2 half"]);

    database
        .connect()
        .batch_execute(
            "
        alter table refinery_schema_history owner to pgtune;
        grant select on refinery_schema_history to lacking_role",
        )
        .unwrap();
    project.migration("V3__c", "create table c (x int);");
    project.migrate().expect(
        3,
        &["line 1 or the commit behind it: permission denied for table refinery_schema_history"],
    );
    database
        .connect()
        .batch_execute("revoke all on refinery_schema_history from lacking_role")
        .unwrap();
    project.migrate().expect(3, &["cannot read the history table public.refinery_schema_history"]);
    project.migration("V3__c", "alter table theirs add b int;");
    project.url = url;
    project.profile("[database]\nrole = \"lacking_role\"\n");
    project.migrate().expect(3, &["cannot read the history table"]);
    project.profile("[database]\nrole = \"no_such\"\n");
    project.migrate().expect(3, &["cannot assume the role no_such", "22023"]);
    assert_eq!(history(&database), ["1 a", "2 half"]);
}

#[test]
fn a_session_that_is_ended_under_way() {
    let Some((project, database)) = Project::new("ended") else { return };
    project.migration("V1__first", "create table first (a int);");
    project.migration("V2__slow", "create table slow (a int);\nselect pg_sleep(30);");
    project.migration("V3__last", "create table last (a int);");
    let child = project.start_migrate();
    let mut client = database.connect();
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()
                  and datname = current_database()";
    eventually("the slow statement runs", || {
        client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0
    });
    said_by(child).expect(
        3,
        &["V2__slow, line 2", "run the same command again: it finds out what took effect"],
    );
    eventually("its sessions are gone", || sessions(&database) == 0);
    assert_eq!(history(&database), ["1 first"]);
    project.migration("V2__slow", "create table slow (a int);");
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 first", "2 slow", "3 last"]);
}

#[test]
fn a_run_that_lost_its_lock_stops() {
    let Some((project, database)) = Project::new("lock_lost") else { return };
    project.migration("V1__slow", "select pg_sleep(6);").migration("V2__never", "select 2;");
    let child = project.start_migrate();
    let mut client = database.connect();
    let sql = "select count(pg_terminate_backend(a.pid)) from pg_stat_activity a
                where application_name = 'pgtune' and datname = current_database()
                  and exists (select from pg_locks l where l.pid = a.pid and locktype = 'advisory')
                  and exists (select from pg_stat_activity s
                               where s.query like '%pg_sleep(6)%'
                                 and s.application_name = 'pgtune run')";
    eventually("it works", || client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0);
    said_by(child).expect(3, &["the session that holds the runner lock is gone"]);
    assert_eq!(history(&database), ["1 slow"]);
}

#[test]
fn a_server_that_stops_before_and_during() {
    let Some(holder) = own_server(&[]) else { return };
    let project = Project::at(&holder.url);
    project
        .migration("V1__a", "create table a (x int);")
        .migration("V2__slow", "select pg_sleep(30);");
    let child = project.start_migrate();
    let mut client = connect(&holder.url);
    let sql = "select count(*) from pg_stat_activity where query like '%pg_sleep(30)%' and \
               state = 'active' and pid <> pg_backend_pid()";
    eventually("it works", || client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0);
    holder.release();
    let said = said_by(child);
    said.expect(3, &["V2__slow, line 1", "run the same command again"]);
    project
        .migrate()
        .expect(3, &["cannot connect to database \"postgres\" as user \"pgtune\"", "hint:"]);
}

#[test]
fn statement_timeouts_of_the_profile_and_of_the_role() {
    let Some((mut project, database)) = Project::new("timeouts") else { return };
    project.profile("[limits]\nstatement_timeout = \"300ms\"\n");
    project.migration("V1__slow", "create table a (x int);\nselect pg_sleep(5);\nselect 3;");
    project.migrate().expect(
        3,
        &[
            "V1__slow, line 2: canceling statement due to statement timeout (57014)",
            "raise limits.statement_timeout",
        ],
    );
    assert_eq!(history(&database), Vec::<String>::new());

    // A concurrent build takes its time, whatever the role's own limits say.
    database
        .connect()
        .batch_execute(
            "
        create role hasty login; grant create on schema public to hasty;
        alter role hasty set statement_timeout = '150ms'; alter role hasty set lock_timeout = '1ms';
        alter role hasty set idle_in_transaction_session_timeout = '150ms';
        alter role hasty set idle_session_timeout = '300ms';
        create table big as select md5(i::text) t from generate_series(1, 300000) i;
        alter table big owner to hasty;
        drop table refinery_schema_history",
        )
        .unwrap();
    project.url = as_user(&project.url, "hasty");
    project.profile("");
    project.migration("V1__slow", "create index big_i on big (t);");
    project.migration("V2__wait", "select pg_sleep(1);");
    project.migrate().expect(0, &[]);
    let sql = "select indisvalid from pg_index where indexrelid = 'big_i'::regclass";
    assert!(database.connect().query_one(sql, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn servers_that_only_read() {
    let Some((project, database)) = Project::new("read_only") else { return };
    project.migration("V1__a", "create table a (x int);");
    let name: String =
        database.connect().query_one("select current_database()::text", &[]).unwrap().get(0);
    let set = |value: &str| {
        let sql = format!("alter database {name} set default_transaction_read_only = {value}");
        connect(&server().unwrap().url).batch_execute(&sql).unwrap();
    };
    set("on");
    for arguments in [&["migrate", "--yes"][..], &["migrate", "--dry-run"]] {
        project
            .run(arguments)
            .expect(3, &["default_transaction_read_only", "connect to the primary"]);
    }
    set("off");
    project.migrate().expect(0, &[]);
    set("on");
    let end = project.migrate();
    assert!(end.code == 0 && end.stdout.contains("nothing to do"), "{end}");
}

/// A standby made of a copy of a server's folder; stops when the value goes.
struct Standby {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

fn copy(from: &Path, to: &Path, owner: (u32, u32)) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, owner);
        } else if entry.file_name() != "postmaster.pid" && entry.file_type().unwrap().is_file() {
            // Files of a running server come and go.
            let _ = fs::copy(entry.path(), &target);
            let _ = chown(&target, Some(owner.0), Some(owner.1));
        }
    }
    chown(to, Some(owner.0), Some(owner.1)).unwrap();
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

/// The folder of the data and the server program of a running server.
fn data_and_program(holder: &Holder) -> (PathBuf, PathBuf) {
    let mut client = connect(&holder.url);
    let show = "select current_setting('data_directory')";
    let data: String = client.query_one(show, &[]).unwrap().get(0);
    let program = fs::read_link(format!("/proc/{}/exe", holder.pid)).unwrap();
    (PathBuf::from(data), program)
}

fn standby_of(holder: &Holder) -> Standby {
    let (data, program) = data_and_program(holder);
    let owner = fs::metadata(&data).map(|m| (m.uid(), m.gid())).unwrap();
    let folder = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    chown(folder.path(), Some(owner.0), Some(owner.1)).unwrap();
    let (start, stop) = if holder.major >= 15 {
        ("select pg_backup_start('copy', true)", "select labelfile from pg_backup_stop(false)")
    } else {
        (
            "select pg_start_backup('copy', true, false)",
            "select labelfile from pg_stop_backup(false, false)",
        )
    };
    let mut client = connect(&holder.url);
    client.query(start, &[]).unwrap();
    let copied = folder.path().join("data");
    copy(&data, &copied, owner);
    let label: String = client.query_one(stop, &[]).unwrap().get(0);
    copy(&data.join("pg_wal"), &copied.join("pg_wal"), owner);
    for (name, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
        fs::write(copied.join(name), text).unwrap();
        chown(copied.join(name), Some(owner.0), Some(owner.1)).unwrap();
    }
    let mut command = Command::new(program);
    command.arg("-D").arg(&copied).arg("-k").arg(folder.path()).args(["-p", "5432"]);
    command.args(["-c", "listen_addresses=", "-c", "hot_standby=on"]);
    if fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        command.uid(owner.0).gid(owner.1);
    }
    let log = fs::File::create(folder.path().join("log")).unwrap();
    command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null());
    Standby { process: command.spawn().unwrap(), folder }
}

#[test]
fn a_standby_is_refused() {
    let Some(holder) = own_server(&["wal_level=replica"]) else { return };
    let project = Project::at(&holder.url);
    project.migration("V1__a", "create table a (x int);");
    project.migrate().expect(0, &[]);
    let standby = standby_of(&holder);
    let url = format!("host={} user=pgtune dbname=postgres", standby.folder.path().display());
    let ready = || postgres::Client::connect(&url, postgres::NoTls).is_ok();
    let log = || fs::read_to_string(standby.folder.path().join("log")).unwrap_or_default();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ready() {
        assert!(std::time::Instant::now() < deadline, "{}", log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let there = Project::at(&url);
    there.migration("V1__a", "create table a (x int);");
    assert!(there.migrate().stdout.contains("nothing to do"));
    there.migration("V2__b", "create table b (x int);");
    there.migrate().expect(3, &["this server is a standby", "target_session_attrs=read-write"]);
    // Nor does it hold a shadow.
    let taker = Project::at(&holder.url);
    taker.migration("V1__a", "create table a (x int);");
    taker.run(&["snapshot", "take", "s.json"]).expect(0, &[]);
    let arguments = ["check", "--snapshot", "s.json", "--shadow-url", &url];
    let far = Project { url: "host=192.0.2.1".to_string(), ..taker };
    far.run(&arguments).expect(3, &["--shadow-url: the shadow's server is a standby"]);
    // The primary is found among several hosts.
    let (_, primary) = holder.url.split_once('@').unwrap();
    let host = primary.split(':').next().unwrap().replace("%2F", "/");
    let both = format!(
        "host={},{host} user=pgtune dbname=postgres target_session_attrs=read-write",
        standby.folder.path().display()
    );
    let found = Project::at(&both);
    found
        .migration("V1__a", "create table a (x int);")
        .migration("V2__b", "create table b (x int);");
    found.migrate().expect(0, &[]);
}

/// A small file system for a tablespace; unmounted when the value goes.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(owner: (u32, u32)) -> Option<SmallDisk> {
        let folder = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mount.ok().filter(std::process::ExitStatus::success)?;
        chown(folder.path(), Some(owner.0), Some(owner.1)).unwrap();
        Some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_full() {
    let Some((project, database)) = Project::new("full") else { return };
    let (data, _) = data_and_program(server().unwrap());
    let owner = fs::metadata(data).map(|m| (m.uid(), m.gid())).unwrap();
    let Some(disk) = SmallDisk::mount(owner) else {
        return skipped("a full disk: this user cannot mount a small file system");
    };
    let mut client = database.connect();
    let place = disk.0.path().display();
    client.batch_execute(&format!("create tablespace full_disk location '{place}'")).unwrap();
    client.batch_execute("create table t as select i from generate_series(1, 400000) i").unwrap();
    project.migration("V1__ok", "create table a (x int);");
    project.migration("V2__index", "create index t_i on t (i) tablespace full_disk;");
    project.migration("V3__later", "create table b (x int);");
    let full = project.migrate();
    full.expect(3, &["53100", "No space left on device", "free disk space on the server"]);
    assert_eq!(history(&database), ["1 ok"]);
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(client.query_one(invalid, &[]).unwrap().get::<_, i64>(0), 0, "cleaned up");
    client.batch_execute("delete from t where i > 1000").unwrap();
    client.batch_execute("vacuum full t").unwrap();
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 ok", "2 index", "3 later"]);
    client.batch_execute("drop table t").unwrap();
    client.batch_execute("drop tablespace full_disk").unwrap();
}

/// pgbouncer before a server; stops when the value goes.
struct Pooler {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `None` where there is no pgbouncer.
fn pooler(holder: &Holder, mode: &str) -> Option<Pooler> {
    let folder = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let (_, rest) = holder.url.split_once('@').unwrap();
    let host = rest.split(':').next().unwrap().replace("%2F", "/");
    let ini = folder.path().join("pgbouncer.ini");
    let place = folder.path().display();
    fs::write(
        &ini,
        format!(
            "[databases]\n* = host={host} port=5432 user=pgtune\n[pgbouncer]\n\
        pool_mode = {mode}\nlisten_port = 6432\nunix_socket_dir = {place}\nauth_type = any\n"
        ),
    )
    .unwrap();
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let mut command = Command::new("pgbouncer");
    command.arg(&ini).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    if is_root {
        // The folder of the socket is for the server's user only.
        let owner = fs::metadata(format!("/proc/{}", holder.pid)).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }
    let process = command.spawn().ok()?;
    let pooler = Pooler { process, folder };
    eventually("pgbouncer listens", || pooler.folder.path().join(".s.PGSQL.6432").exists());
    Some(pooler)
}

#[test]
fn a_transaction_pooler_is_refused_and_a_session_pooler_is_not() {
    let Some((mut project, database)) = Project::new("pooler") else { return };
    let name = project.url.rsplit_once('/').unwrap().1.to_string();
    project.migration("V1__a", "create table a (x int);");
    for (mode, code) in [("transaction", 3), ("session", 0)] {
        let Some(pooler) = pooler(server().unwrap(), mode) else {
            return skipped("poolers: there is no pgbouncer");
        };
        let place = pooler.folder.path().display();
        project.url = format!("host={place} port=6432 user=pgtune dbname={name}");
        let ran = project.migrate();
        assert_eq!(ran.code, code, "{mode}: {ran}");
        if mode == "transaction" {
            // Neither may a shadow be made there, whose lock would be anybody's.
            let taken = ["snapshot", "take", "s.json", "--url", &database.url];
            let shadow = Project::at("");
            shadow.run(&taken).expect(0, &[]);
            let check = ["check", "--snapshot", "s.json", "--shadow-shared", "--shadow-url"];
            let check = shadow.run(&[&check[..], &[&project.url]].concat());
            check.expect(3, &["goes through a transaction pooler"]);
            ran.expect(3, &["goes through a transaction pooler", "connect to the server itself"]);
            let sql = "select to_regclass('a') is null
                and to_regclass('refinery_schema_history') is null";
            assert!(database.connect().query_one(sql, &[]).unwrap().get::<_, bool>(0));
        }
    }
    assert_eq!(history(&database), ["1 a"]);
}

/// A server that says nothing we could use.
#[test]
fn something_else_that_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let project = Project::at(&format!("postgres://u:s3cret@127.0.0.1:{port}/d"));
    project.migration("V1__a", "select 1;");
    let ran = project.migrate();
    ran.expect(3, &["cannot connect to database \"d\" as user \"u\""]);
    assert!(!ran.to_string().contains("s3cret"), "{ran}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let there = Project::at(&format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=2"));
    there.migrate().expect(3, &["no answer within 2 s", "check host, port and firewalls"]);
}

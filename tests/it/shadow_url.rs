//! Shadows on a server that is lent: plans as on a private one, and nothing that stays there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::project::{described, run_plainly};
use crate::snapshot::{Shop, with_pg_dump};
use crate::support::{Holder, connect, debug_server, eventually, is_running, say, server};
use crate::user_project::{Project, Said, said, skipped};

/// A server to lend; `None` without server programs.
fn lent(arguments: &[&str]) -> Option<Holder> {
    server()?;
    let mut command = debug_server();
    command.args(arguments);
    let refused = |output: Output| panic!("{}", String::from_utf8_lossy(&output.stderr));
    Some(Holder::start(command).unwrap_or_else(refused))
}

/// What all databases of the server share, what one of them holds, and the files beside them.
fn everything(holder: &Holder) -> String {
    let mut client = connect(&holder.url);
    let shared = "
        select 'role ' || r::text from pg_authid r union all
        select 'member ' || m::text from pg_auth_members m union all
        select 'setting ' || s::text from pg_db_role_setting s union all
        select 'comment ' || c::text from pg_shdescription c union all
        select 'depends ' || d::text from pg_shdepend d union all
        select 'database ' || row(oid, datname, datdba, datallowconn, datistemplate, datconnlimit,
                                  datacl)::text from pg_database union all
        select 'tablespace ' || t::text from pg_tablespace t union all
        select 'server setting ' || name || setting from pg_file_settings union all
        select 'file ' || f from pg_ls_dir('.') as f where f like 'pgtune%' union all
        select 'folder ' || f from pg_ls_dir('base') as f where f <> 'pgsql_tmp'
        order by 1";
    let rows = client.query(shared, &[]).unwrap();
    let mut text: String = rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect();
    let mut theirs = connect(&holder.url.replace("/postgres", "/theirs"));
    text.push_str(&described(&mut theirs));
    let sum = "select count(*) || ' ' || coalesce(sum(hashtext(t::text)), 0) from kept t";
    text.push_str(&theirs.query_one(sum, &[]).unwrap().get::<_, String>(0));
    text
}

/// What others have on the server.
fn furnish(holder: &Holder) {
    let others = [
        "create role app login password 'hush'",
        "create role reader",
        "grant app to reader",
        "alter role app set work_mem = '8MB'",
        "comment on role reader is 'reads'",
        "alter role all set statement_timeout = '1h'",
        "create database theirs owner app",
    ];
    run_plainly(&holder.url, &others);
    let theirs = ["create table kept as select generate_series(1, 1000) as id"];
    run_plainly(&holder.url.replace("/postgres", "/theirs"), &theirs);
}

const SCHEMA: &str = "
    create table orders (id bigint generated always as identity primary key, customer text);
    create index orders_customer on orders (customer);
    insert into orders (customer) select 'c' || n % 50 from generate_series(1, 5000) as n;
    grant select on orders to shadow_url_ghost, app;
    analyze";

/// One role is named by the schema too, the other by the profile alone.
const PROFILE: &str = "
    [[queries]]\nname = \"of a customer\"\nrole = \"shadow_url_ghost\"
    sql = \"select * from orders where customer = 'c1'\"
    [[queries]]\nname = \"of nothing\"\nrole = \"shadow_url_reports\"
    sql = \"select 1\"\n";

/// A project with a snapshot whose schema names roles; `None` without a server or a `pg_dump`.
fn project(test: &str) -> Option<Project> {
    let (mut project, database) = Project::new(test)?;
    for role in ["shadow_url_ghost", "app"] {
        // Roles of the server that all tests share.
        let _ = connect(&database.url).batch_execute(&format!("create role {role}"));
    }
    run_plainly(&database.url, &[SCHEMA]);
    let taken = project.run(&with_pg_dump(&["snapshot", "take", "s.json"]));
    taken.expect(0, &[]);
    project.profile(PROFILE);
    project.url = String::new();
    if taken.stdout.contains("there is no pg_dump") {
        skipped("shadows on a server that is lent");
        return None;
    }
    Some(project)
}

/// `pgtune ARGUMENTS --snapshot s.json --shadow-url URL`
fn command(project: &Project, arguments: &[&str], url: &str) -> Command {
    project.command(&[arguments, &["--snapshot", "s.json", "--shadow-url", url]].concat())
}

fn run(project: &Project, arguments: &[&str], url: &str) -> Said {
    said(command(project, arguments, url))
}

#[test]
fn plans_are_those_of_a_private_server() {
    let Some(shop) = Shop::open("lent_plans") else { return };
    // Tuned, with checksums, and with settings of the very user.
    let tuned = ["--checksums", "--set", "random_page_cost=1.1", "--set", "timezone=Asia/Tokyo"];
    let Some(holder) = lent(&tuned) else { return };
    run_plainly(&holder.url, &["alter role pgtune set enable_hashjoin = off"]);
    if !shop.take() {
        skipped("plans on a server that is lent");
        return;
    }
    shop.project.migration("V1__ten_indexes", include_str!("fidelity/V1__ten_indexes.sql"));
    let predict = ["plan", "predict", "--snapshot", "shop.json.zst", "-f", "queries.sql", "--tree"];
    let verify = ["snapshot", "verify", "shop.json.zst", "-f", "queries.sql"];
    for arguments in [&predict[..], &verify] {
        let private = shop.run(arguments);
        let lent = shop.run(&[arguments, &["--shadow-url", &holder.url]].concat());
        assert_eq!((private.code, private.stdout), (lent.code, lent.stdout.clone()));
        assert!(lent.stdout.lines().count() > 60, "{lent}");
    }
}

const ROLES: &str = "
    do $$ begin
      if not exists (select from pg_roles where rolname = 'made_in_block') then
        begin
          create role made_in_block login;
        exception when others then raise;
        end;
      end if;
    end $$;
    create role made;
    comment on role made is 'a comment of its own';
    grant app to made;
    grant pg_read_all_data to made_in_block;
    alter role made set work_mem = '1MB';
    do $$ begin
      execute format('alter database %I set work_mem = ''2MB''', current_database());
    end $$;
    create role reader_of_made in role made;
    set role made;
    select 1;
    reset role;
    alter table orders owner to made;
    alter default privileges for role made grant select on tables to reader_of_made;
    create index concurrently on orders (customer, id);";

/// What belongs to the whole server, and what is said of it.
const TOO_FAR: &[&str] = &[
    "alter role app nologin",
    "alter role app set work_mem = '1GB'",
    "alter role all set work_mem = '1GB'",
    "drop role reader",
    "revoke app from reader",
    "grant pg_read_all_data to app",
    "comment on role reader is null",
    "do $$ begin execute 'alter role app rename to other'; end $$",
    "alter database theirs set work_mem = '1GB'",
    "grant create on tablespace pg_default to app",
    "create database another",
    "alter system set work_mem = '1GB'",
    "drop database theirs",
];

#[test]
fn nothing_else_is_touched() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_touched")) else { return };
    furnish(&holder);
    let before = everything(&holder);
    let untouched = |what: &str| assert_eq!(everything(&holder), before, "{what}");
    project.migration("V1__roles", ROLES);
    let said = run(&project, &["check"], &holder.url);
    said.expect(0, &[]);
    assert!(said.stdout.contains("of a customer"), "{said}");
    untouched("check");
    run(&project, &["plan", "predict"], &holder.url).expect(0, &[]);
    untouched("predict");
    project.migration("V2__fails", "create role half_made;\nselect 1 / 0;");
    let said = run(&project, &["check"], &holder.url);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stdout.contains("division by zero"), "{said}");
    untouched("a migration that fails");
    for statement in TOO_FAR {
        project.migration("V2__fails", format!("create table t (a int);\n{statement};"));
        let said = run(&project, &["check"], &holder.url);
        assert_eq!(said.code, 1, "{statement}: {said}");
        assert!(said.stdout.contains("V2__fails.sql:2"), "{statement}: {said}");
        let shared = ["all databases of the shadow's server share", "which is only borrowed"];
        assert!(shared.iter().any(|text| said.stdout.contains(text)), "{statement}: {said}");
        untouched(statement);
    }
    // Which of several changed a plan is found out in databases of their own.
    let several = self::project("lent_several").unwrap();
    several.migration("V1__first", "create index on orders (customer, id);");
    several.migration("V2__second", "select 2;");
    several.migration("V3__third", "drop index orders_customer;");
    several.migration("V4__fourth", "drop index orders_customer_id_idx;");
    let said = run(&several, &["check"], &holder.url);
    assert!(said.stdout.contains("plans by migration"), "{said}");
    untouched("databases between");
    // A role that was there is used, and stays.
    project.migration("V2__fails", "create role reader;");
    let said = run(&project, &["check"], &holder.url);
    assert!(said.stdout.contains("role \"reader\" already exists"), "{said}");
    untouched("a role that was there");
}

/// Passes connections on to a server, and kills a program when it has sent so many messages.
struct Killer {
    port: u16,
    /// Messages that were sent.
    sent: Arc<AtomicU32>,
    /// Which is the last one.
    last: Arc<AtomicU32>,
    /// Whom to kill.
    pid: Arc<AtomicU32>,
}

impl Killer {
    fn before(holder: &Holder) -> Killer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let killer = Killer {
            port: listener.local_addr().unwrap().port(),
            sent: Arc::default(),
            last: Arc::default(),
            pid: Arc::default(),
        };
        let socket = holder.folder.join(".s.PGSQL.5432");
        let (sent, last, pid) = (killer.sent.clone(), killer.last.clone(), killer.pid.clone());
        // The threads end with their connections, and the first with the tests.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
                let (sent, last, pid) = (sent.clone(), last.clone(), pid.clone());
                std::thread::spawn(move || {
                    pass_on(client, &server, || {
                        let sent = sent.fetch_add(1, Ordering::SeqCst) + 1;
                        let last = last.load(Ordering::SeqCst);
                        if last > 0 && sent >= last {
                            let pid = pid.load(Ordering::SeqCst).to_string();
                            let _ = Command::new("kill").args(["-KILL", &pid]).output();
                        }
                    });
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        killer
    }

    fn url(&self) -> String {
        format!("postgres://pgtune@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Kills the child when it has sent its message `last`; 0 lets it live. Returns how many it
    /// sent.
    fn run(&self, mut command: Command, last: u32) -> u32 {
        self.sent.store(0, Ordering::SeqCst);
        self.last.store(0, Ordering::SeqCst);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.pid.store(child.id(), Ordering::SeqCst);
        self.last.store(last, Ordering::SeqCst);
        assert_eq!(child.wait().unwrap().success(), last == 0);
        self.sent.load(Ordering::SeqCst)
    }
}

/// Passes on message by message, and tells of each.
fn pass_on(mut from: TcpStream, mut to: &UnixStream, mut told: impl FnMut()) -> Option<()> {
    let mut is_first = true;
    loop {
        // The first has no type: a length, which counts itself.
        let mut head = vec![0; if is_first { 4 } else { 5 }];
        from.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().ok()?) - 4;
        let mut body = vec![0; length as usize];
        from.read_exact(&mut body).ok()?;
        to.write_all(&[head, body].concat()).ok()?;
        is_first = false;
        told();
    }
}

#[test]
fn what_a_killed_run_left_goes_with_the_next() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_killed")) else { return };
    furnish(&holder);
    let before = everything(&holder);
    let killer = Killer::before(&holder);
    project.migration("V1__roles", ROLES);
    let check = || command(&project, &["check"], &killer.url());
    let all = killer.run(check(), 0);
    assert_eq!(everything(&holder), before);
    let quick = Project::at("");
    std::fs::copy(project.folder.path().join("s.json"), quick.folder.path().join("s.json"))
        .unwrap();
    quick.profile("[[queries]]\nname = \"q\"\nsql = \"select 1\"\n");
    let (mut kills, mut left) = (0, 0);
    // Each message while the shadow is made, and some of all the others; their number varies a bit.
    for last in (1..all - 10).filter(|last| *last <= 30 || last % 15 == 0) {
        killer.run(check(), last);
        left += u32::from(everything(&holder) != before);
        run(&quick, &["plan", "predict"], &holder.url).expect(0, &[]);
        assert_eq!(everything(&holder), before, "killed after message {last} of {all}");
        kills += 1;
    }
    say(&format!("killed after {kills} of {all} messages; {left} times something was left"));
    assert!(all > 100 && left * 4 > kills, "{left} of {kills}");
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_interrupted")) else { return };
    furnish(&holder);
    let before = everything(&holder);
    let mut client = connect(&holder.url);
    let mut interrupt = || {
        let mut command = command(&project, &["check"], &holder.url);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        eventually("it sleeps", || client.query_one(sleeps, &[]).unwrap().get::<_, i64>(0) > 0);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
        assert_eq!(everything(&holder), before);
    };
    project.migration("V1__sleep", "create role made;\nselect pg_sleep(600);");
    interrupt();
    // While the schema is made.
    let file = project.folder.path().join("s.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let ddl = json["ddl"].as_str().unwrap();
    json["ddl"] = format!("{ddl}\nselect pg_sleep(600);\nselect pg_sleep(600);\n").into();
    std::fs::write(&file, json.to_string()).unwrap();
    interrupt();
}

#[test]
fn runs_at_once_do_not_meet() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_at_once")) else { return };
    furnish(&holder);
    let before = everything(&holder);
    project.migration("V1__roles", ROLES);
    let start = || -> Child {
        let mut command = command(&project, &["check"], &holder.url);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..3).map(|_| start()).collect();
    let ended: Vec<Output> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for output in &ended {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, ended[0].stdout);
    }
    assert_eq!(everything(&holder), before);
}

#[test]
fn servers_that_hold_no_shadow() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_refused")) else { return };
    let check =
        |arguments: &[&str], url: &str| run(&project, &[&["check"], arguments].concat(), url);
    // Somebody stays connected, which counts when it takes longer.
    let _others = connect(&holder.url);
    let as_user = |user: &str| holder.url.replace("//pgtune@", &format!("//{user}@"));
    run_plainly(&holder.url, &["create role plain login password 'hush-hush'"]);
    check(&[], &as_user("plain:hush-hush"))
        .expect(3, &["--shadow-url: the role plain is no superuser", "to be thrown away"]);
    let said = check(&[], "postgres://ann:hush-hush@127.0.0.1:1/x");
    said.expect(3, &["--shadow-url: cannot connect to database \"postgres\" as user \"ann\""]);
    let bad = check(&[], "postgres://ann:hush-hush@host:port/x");
    bad.expect(2, &["--shadow-url"]);
    for said in [&said, &bad] {
        assert!(!said.to_string().contains("hush"), "{said}");
    }
    check(&[], "dbname=postgres").expect(2, &["--shadow-url names no host"]);
    let both = ["--pg-bin", "x"];
    check(&both, &holder.url).expect(2, &["cannot be used with"]);
    // The variable is the same, and weaker than a flag.
    let variable = |arguments: &[&str]| {
        let mut command =
            project.command(&[&["check", "--snapshot", "s.json"], arguments].concat());
        command.env("PGTUNE_SHADOW_URL", as_user("plain"));
        crate::user_project::said(command)
    };
    variable(&[]).expect(3, &["PGTUNE_SHADOW_URL: the role plain is no superuser"]);
    variable(&["--shadow-url", &holder.url]).expect(0, &[]);
    variable(&both).expect(2, &["--pg-bin: x does not hold both"]);
    // The project's own server, by another of its names and by what it says of itself.
    let same = "is the server of the project's database";
    check(&["--url", &holder.url], &holder.url).expect(2, &[same, "leave out --url"]);
    let killer = Killer::before(&holder);
    check(&["--url", &holder.url], &killer.url()).expect(2, &[same]);
    let name = killer.url().replace("127.0.0.1", "localhost");
    check(&["--url", &name], &killer.url()).expect(2, &[same]);
    // One that holds much.
    run_plainly(
        &holder.url,
        &[
            "create table large (a int)",
            "do $$ begin execute format('copy (select 1) to program %L', 'cat >/dev/null; truncate \
             -s 1100M ' || pg_relation_filepath('large')); end $$",
        ],
    );
    check(&[], &holder.url).expect(2, &["not to be thrown away", "hold 1.1", "--shadow-shared"]);
    let lonely = ["check", "--snapshot", "s.json", "--shadow-shared"];
    project.run(&lonely).expect(2, &["no server is lent", "give --shadow-url"]);
    check(&["--shadow-shared"], &holder.url).expect(0, &[]);
    run_plainly(&holder.url, &["drop table large"]);
    eventually("somebody is seen", || {
        let said = check(&[], &holder.url);
        said.code == 2 && said.stderr.contains("somebody works in its database postgres")
    });
    check(&["--shadow-shared"], &holder.url).expect(0, &[]);
}

#[test]
fn another_version_is_told() {
    let (Some(holder), Some(project)) = (lent(&[]), project("lent_version")) else { return };
    let path = project.folder.path().join("s.json");
    let mut snapshot: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    snapshot["server"]["version_num"] = if holder.major == 14 { 150_000 } else { 140_000 }.into();
    std::fs::write(&path, snapshot.to_string()).unwrap();
    let said = run(&project, &["check"], &holder.url);
    said.expect(0, &[]);
    assert!(said.stdout.contains("give --shadow-url a server of PostgreSQL 1"), "{said}");
}

/// A folder with links to the programs that a shadow needs, but those left out.
fn tools(without: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    for tool in ["sh", "base64", "tee", "truncate"] {
        if !without.contains(&tool) {
            let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            let found: &PathBuf = found.iter().find(|path| path.exists()).unwrap();
            std::os::unix::fs::symlink(found, folder.path().join(tool)).unwrap();
        }
    }
    folder
}

#[test]
fn missing_programs_are_named() {
    let (Some(_), Some(project)) = (server(), project("lent_tools")) else { return };
    let Some(folder) = std::env::var_os("PGTUNE_TEST_PG_BIN") else {
        skipped("a server without tools: PGTUNE_TEST_PG_BIN names no server");
        return;
    };
    let cases: [(&[&str], i32, &[&str]); 2] = [
        (&[], 0, &[]),
        (&["base64", "truncate"], 3, &["the shadow's server has no base64, truncate", "image"]),
    ];
    for (without, code, texts) in cases {
        let path = tools(without);
        let mut command = crate::support::pgtune(&["debug", "server", "--pg-bin"]);
        command.arg(&folder).env("PATH", path.path());
        let holder = Holder::start(command).unwrap_or_else(|_| panic!("no server"));
        run(&project, &["check"], &holder.url).expect(code, texts);
    }
}

#[test]
fn a_killed_private_shadow_goes_with_the_next() {
    let (Some(_), Some(project)) = (server(), project("private_killed")) else { return };
    project.migration("V1__sleep", "select pg_sleep(600);");
    let quick = Project::at("");
    std::fs::copy(project.folder.path().join("s.json"), quick.folder.path().join("s.json"))
        .unwrap();
    let temp = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(temp.path(), open).unwrap();
    let private = |project: &Project| {
        let mut command = project.command(&["check", "--snapshot", "s.json"]);
        command.env("TMPDIR", temp.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let folders = || std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().path());
    let has = |name: &str| folders().any(|folder| folder.join(name).exists());
    let databases = || {
        let of = |folder: PathBuf| std::fs::read_dir(folder.join("data/base"));
        folders().flat_map(of).map(Iterator::count).max().unwrap_or_default()
    };
    let points: [&dyn Fn() -> bool; 6] = [
        &|| has("owner"),
        &|| has("data/base"),
        &|| has("data/postmaster.pid"),
        &|| has(".s.PGSQL.5432"),
        &|| databases() >= 4,
        &|| databases() >= 5,
    ];
    for (at, point) in points.iter().enumerate() {
        let mut child = private(&project).spawn().unwrap();
        eventually("it is that far", point);
        child.kill().unwrap();
        child.wait().unwrap();
        let pids = folders().filter_map(|folder| {
            let text = std::fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
            text.lines().next()?.trim_start_matches('-').parse::<u32>().ok()
        });
        let pids: Vec<u32> = pids.collect();
        said(private(&quick)).expect(0, &[]);
        assert_eq!(folders().count(), 0, "point {at}");
        assert!(pids.iter().all(|pid| !is_running(*pid)), "point {at}: {pids:?}");
    }
}

//! Reaching a server: which layer decides, what refusals say, and that no output has a password.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Holder, connect, debug_server, server};
use crate::user_project::{Project, Said, command_in, said, skipped};

/// Runs pgtune in the project's folder with these variables, and without `--url`.
fn run(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = command_in(project.folder.path(), arguments);
    command.envs(variables.iter().copied());
    said(command)
}

/// The connection's lines of `config show`, as `key value origin`.
fn shown(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<String> {
    let ran = run(project, variables, &[&["config", "show", "--json"], arguments].concat());
    assert_eq!(ran.code, 0, "{ran}");
    assert!(!ran.to_string().contains("s3cret"), "{ran}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = json["sections"][1]["rows"].as_array().unwrap().clone();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_string();
    rows.iter()
        .map(|row| format!("{} {} {}", text(row, "key"), text(row, "value"), text(row, "origin")))
        .collect()
}

#[test]
fn the_strongest_layer_decides() {
    let project = Project::at("");
    project.profile(
        "[database]\nurl = \"host=profile user=app\"\n[env.prod.database]\nurl = \"host=prod\"\n",
    );
    let service = project.folder.path().join("services");
    fs::write(&service, "[shop]\nhost=service\ndbname=shop\npassword=s3cret\n").unwrap();
    let service = service.to_str().unwrap();
    let database_url = ("DATABASE_URL", "postgres://env:s3cret@variable:6543/there");
    let flag = ["--url", "host=flag password=s3cret"];
    let host = |variables: &[(&str, &str)], arguments: &[&str]| {
        let lines = shown(&project, &[&[("PGUSER", "u")], variables].concat(), arguments);
        lines.iter().find(|line| line.starts_with("host ")).unwrap().clone()
    };
    assert_eq!(host(&[], &[]), "host profile pgtune.toml");
    assert_eq!(host(&[("PGHOST", "libpq")], &[]), "host profile pgtune.toml");
    assert_eq!(host(&[database_url], &[]), "host variable DATABASE_URL");
    assert_eq!(host(&[database_url], &["--env", "prod"]), "host prod [env.prod]");
    let own = ("PGTUNE_DATABASE_URL", "host=own");
    assert_eq!(host(&[database_url, own], &["--env", "prod"]), "host own PGTUNE_DATABASE_URL");
    let arguments = [&flag[..], &["--env", "prod"]].concat();
    assert_eq!(host(&[database_url, own], &arguments), "host flag --url");

    let lines =
        shown(&project, &[database_url, ("PGPASSWORD", "other"), ("PGSSLMODE", "require")], &[]);
    for line in [
        "port 6543 DATABASE_URL",
        "dbname there DATABASE_URL",
        "user env DATABASE_URL",
        "password *** DATABASE_URL",
        "sslmode require PGSSLMODE",
    ] {
        assert!(lines.contains(&line.to_string()), "{line} in {lines:?}");
    }
    project.profile("");
    let variables = [
        ("PGSERVICEFILE", service),
        ("PGSERVICE", "shop"),
        ("PGHOST", "libpq"),
        ("PGUSER", "me"),
        ("PGPORT", "7777"),
    ];
    let lines = shown(&project, &variables, &[]);
    let of_service = format!("host service service shop of {service}");
    for line in [of_service.as_str(), "user me PGUSER", "port 7777 PGPORT"] {
        assert!(lines.contains(&line.to_string()), "{line} in {lines:?}");
    }
    let lines = shown(&project, &[("PGUSER", "me")], &[]);
    assert!(lines.contains(&"port 5432 default".to_string()), "{lines:?}");
    let bad = run(&project, &[("PGPORT", "many")], &["config", "show"]);
    bad.expect(2, &["PGPORT: the port must be a number"]);
    assert!(bad.stdout.contains("limits.lanes"), "the rest is shown\n{bad}");
}

/// A server with TCP and a password; the URL has it.
fn loopback(settings: &[&str]) -> Option<Holder> {
    server()?;
    let mut command = debug_server();
    command.arg("--loopback");
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    Some(
        Holder::start(command)
            .unwrap_or_else(|output| panic!("{}", String::from_utf8_lossy(&output.stderr))),
    )
}

/// Port and password of a loopback server.
fn port_and_password(holder: &Holder) -> (String, String) {
    let (login, place) = holder.url.split_once('@').unwrap();
    let password = login.rsplit(':').next().unwrap().to_string();
    let port = place.rsplit(':').next().unwrap().split('/').next().unwrap().to_string();
    (port, password)
}

#[test]
fn passwords_come_from_files_and_go_nowhere() {
    let Some(holder) = loopback(&[]) else { return };
    let (port, password) = port_and_password(&holder);
    let project = Project::at("");
    project.migration("V1__a", "select 1;");
    let url = format!("postgres://pgtune@127.0.0.1:{port}/postgres");
    let arguments = ["migrate", "--dry-run", "--url", &url];
    let file = project.folder.path().join("passwords");
    fs::write(&file, format!("127.0.0.1:{port}:*:pgtune:{password}\n")).unwrap();
    let passfile = ("PGPASSFILE", file.to_str().unwrap());
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

    let mut runs = Vec::new();
    mode(0o600);
    run(&project, &[passfile], &arguments).expect(0, &[]);
    runs.push(run(&project, &[passfile], &["config", "show", "--url", &url]));
    mode(0o644);
    let open = run(&project, &[passfile], &arguments);
    open.expect(3, &["ignored the password file", "others may use it; chmod 600", "PGPASSWORD"]);
    runs.push(open);
    run(&project, &[("PGPASSWORD", &password)], &arguments).expect(0, &[]);
    let wrong = run(&project, &[("PGPASSWORD", "wr0ng-s3cret")], &arguments);
    wrong.expect(3, &["password authentication failed", "`pgtune config show` says"]);
    runs.push(wrong);
    let none = run(&project, &[], &arguments);
    none.expect(3, &["there is no password for this login"]);
    runs.push(none);

    // The password in every place it can be written to, in runs that fail.
    let broken = holder.url.replace("/postgres", "/nowhere");
    let bad_port = holder.url.replace(&format!(":{port}/"), ":1/");
    let bad_key = format!("{}?no_such_key=1", holder.url);
    let spaced =
        format!("host=127.0.0.1 port={port} password='{password}' dbname=nowhere user=x y=");
    for url in [&broken, &bad_port, &bad_key, &spaced] {
        for arguments in [&["migrate", "--yes"][..], &["config", "show"], &["migrate", "--json"]] {
            let flag = [arguments, &["--url", url]].concat();
            runs.push(run(&project, &[], &flag));
            runs.push(run(&project, &[("DATABASE_URL", url)], arguments));
            runs.push(run(&project, &[("PGTUNE_DATABASE_URL", url)], arguments));
            project.profile(format!("[database]\nurl = \"{url}\"\n"));
            runs.push(run(&project, &[], arguments));
            project.profile(format!("[database]\nurl = \"{url}\"\nnot_a_key = 1\n"));
            runs.push(run(&project, &[], arguments));
            project.profile(format!("[database]\nurl = {url}\n"));
            runs.push(run(&project, &[], arguments));
            project.profile("");
        }
    }
    for ran in &runs {
        assert!(!ran.to_string().contains(&password), "a password is shown:\n{ran}");
        assert!(!ran.to_string().contains("wr0ng"), "a password is shown:\n{ran}");
    }
}

#[test]
fn refusals_name_the_cause_and_the_remedy() {
    let Some(holder) = server() else { return };
    let project = Project::at("");
    project.migration("V1__a", "select 1;");
    let to = |url: &str| run(&project, &[], &["migrate", "--yes", "--url", url]);
    to("postgres://u@127.0.0.1:1/d").expect(
        3,
        &[
            "cannot connect to database \"d\" as user \"u\" at 127.0.0.1:1: Connection refused",
            "is the server running, and does it listen there?",
        ],
    );
    to("postgres://u@no.such.host.invalid/d").expect(3, &["no.such.host.invalid", "host's name"]);
    to("host=/nowhere user=u").expect(3, &["/nowhere/.s.PGSQL.5432", "no server has its socket"]);
    let missing = holder.url.replace("/postgres", "/no_such_db");
    to(&missing).expect(3, &["database \"no_such_db\" does not exist", "createdb no_such_db"]);
    let hosts =
        format!("127.0.0.1,{}", holder.url.split('@').nth(1).unwrap().split(':').next().unwrap());
    let both = format!("postgres://pgtune@{hosts}/postgres").replace("127.0.0.1,", "127.0.0.1:1,");
    run(&project, &[], &["migrate", "--dry-run", "--url", &both]).expect(0, &[]);

    let mut client = connect(&holder.url);
    client.batch_execute("create role one_only login connection limit 0").unwrap();
    let limited = holder.url.replace("//pgtune@", "//one_only@");
    to(&limited).expect(3, &["too many connections for role", "connection limit"]);
    client.batch_execute("create role shut nologin").unwrap();
    to(&holder.url.replace("//pgtune@", "//shut@")).expect(3, &["is not permitted to log in"]);
    for (url, text) in [
        ("postgres://u@h/d?sslmode=perhaps", "sslmode cannot be \"perhaps\""),
        ("postgres://u@h/d?krbsrvname=x", "krbsrvname"),
        ("mysql://u@h/d", "--url"),
        ("postgres://u@h:99999/d", "port"),
    ] {
        to(url).expect(2, &[text]);
    }
}

/// Makes a certificate authority, a server's certificate for `localhost` and a client's for the
/// superuser; `None` without openssl.
pub fn certificates(folder: &Path) -> Option<()> {
    let script = "set -e
        openssl req -new -x509 -days 2 -nodes -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -new -x509 -days 2 -nodes -subj /CN=other -keyout other.key -out other.crt
        sign() {
            openssl req -new -nodes -subj /CN=$2 -keyout $1.key -out $1.csr
            printf \"$3\" > $1.ext
            openssl x509 -req -days 2 -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
                -extfile $1.ext -out $1.crt
        }
        sign server server 'subjectAltName=DNS:localhost\\n'
        sign client pgtune 'basicConstraints=CA:FALSE\\n'";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().ok()?;
    made.status.success().then_some(())
}

#[test]
fn tls_is_verified_as_asked() {
    if server().is_none() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    if certificates(folder.path()).is_none() {
        return skipped("TLS: openssl is not installed");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let shared = connect(&server().unwrap().url)
        .query_one("select current_setting('data_directory')", &[])
        .unwrap();
    let data = PathBuf::from(shared.get::<_, String>(0));
    let owner = fs::metadata(data).unwrap();
    use std::os::unix::fs::MetadataExt;
    chown(at("server.key"), Some(owner.uid()), Some(owner.gid())).unwrap();
    fs::set_permissions(at("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let set = |name: &str, file: &str| format!("{name}={}", at(file));
    let settings = [
        "ssl=on".to_string(),
        set("ssl_cert_file", "server.crt"),
        set("ssl_key_file", "server.key"),
        set("ssl_ca_file", "ca.crt"),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let holder = loopback(&settings).unwrap();
    let (port, password) = port_and_password(&holder);
    let project = Project::at("");
    let is_encrypted = "do $$ begin assert (select ssl from pg_stat_ssl \
                        where pid = pg_backend_pid()), 'not encrypted'; end $$;";
    project.migration("V1__encrypted", is_encrypted);
    let to = |host: &str, rest: &str| {
        let url = format!("postgres://pgtune@{host}:{port}/postgres?{rest}");
        run(&project, &[("PGPASSWORD", &password)], &["migrate", "--yes", "--url", &url])
    };
    let root = format!("sslrootcert={}", at("ca.crt"));
    to("localhost", "sslmode=disable").expect(3, &["not encrypted"]);
    for rest in ["sslmode=verify-full&", "sslmode=verify-ca&", "sslmode=require&", ""] {
        to("localhost", &format!("{rest}{root}")).expect(0, &[]);
    }
    to("localhost", "sslmode=require").expect(0, &[]);
    to("127.0.0.1", &format!("sslmode=verify-full&{root}")).expect(3, &["subjectAltName"]);
    to("127.0.0.1", &format!("sslmode=verify-ca&{root}")).expect(0, &[]);
    let other = format!("sslmode=verify-full&sslrootcert={}", at("other.crt"));
    to("localhost", &other).expect(3, &["sslrootcert=FILE"]);
    to("localhost", "sslmode=verify-full").expect(3, &["sslrootcert=FILE"]);
    to("localhost", "sslmode=verify-full&sslrootcert=/nowhere.crt").expect(2, &["/nowhere.crt"]);

    // A client certificate instead of a password.
    let mut client = connect(&holder.url);
    let hba: String = client.query_one("show hba_file", &[]).unwrap().get(0);
    let lines = format!(
        "hostssl all all 127.0.0.1/32 cert\nhostssl all all ::1/128 cert\n{}",
        fs::read_to_string(&hba).unwrap()
    );
    fs::write(&hba, lines).unwrap();
    client.batch_execute("select pg_reload_conf(); select pg_sleep(0.3)").unwrap();
    let identity = format!("&sslcert={}&sslkey={}", at("client.crt"), at("client.key"));
    to("localhost", &format!("sslmode=verify-full&{root}{identity}")).expect(0, &[]);
    let without = to("localhost", &format!("sslmode=verify-full&{root}"));
    without.expect(3, &["certificate", "sslcert"]);
    to("localhost", &format!("sslmode=require&sslcert={}", at("client.crt")))
        .expect(2, &["sslkey"]);
}

//! The private server: whatever happens to its pgtune, no process and no folder stays.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{
    Database, Holder, connect, debug_server, eventually, is_running, pgtune, program, server,
};

/// The user number of `nobody` on Linux, for what root must not do itself.
const NOBODY: u32 = 65534;

/// A server in a temporary folder of its own, so that no other test's start cleans it up.
fn start_in(temp: &Path) -> Holder {
    let mut command = debug_server();
    command.env("TMPDIR", temp);
    Holder::start(command).unwrap_or_else(|output| panic!("{}", stderr(&output)))
}

/// A temporary folder that everybody may use, with a short name.
fn temp_folder() -> tempfile::TempDir {
    let temp = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    temp
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sends a signal to a process: "TERM", "KILL".
fn kill(signal: &str, pid: u32) {
    let kill = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(kill.unwrap().success());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn one(url: &str) -> i32 {
    connect(url).query_one("SELECT 1", &[]).unwrap().get(0)
}

#[test]
fn a_database_per_test() {
    let Some(database) = Database::create("one") else { return };
    let name: String = database.connect().query_one("SELECT version()", &[]).unwrap().get(0);
    assert!(name.starts_with(&format!("PostgreSQL {}", server().unwrap().major)), "{name}");
}

#[test]
fn it_stops_when_input_closes() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let mut holder = start_in(temp.path());
    assert!(holder.folder.starts_with(temp.path()), "{}", holder.folder.display());
    // Stopping does not wait for clients.
    let mut client = connect(&holder.url);
    let settings = "SELECT current_setting('fsync') || current_setting('server_encoding')";
    assert_eq!(client.query_one(settings, &[]).unwrap().get::<_, String>(0), "offUTF8");
    drop(holder.child.stdin.take());
    assert!(holder.child.wait().unwrap().success());
    assert!(holder.is_gone());
    assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
}

#[test]
fn it_stops_on_signals() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    for signal in ["TERM", "INT", "HUP"] {
        let mut holder = start_in(temp.path());
        // Waiting would close it, and that is another reason to stop.
        let _stdin = holder.child.stdin.take();
        kill(signal, holder.child.id());
        assert_eq!(holder.child.wait().unwrap().code(), Some(130), "{signal}");
        assert!(holder.is_gone(), "{signal}");
    }
}

#[test]
fn a_signal_ends_a_start_under_way() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let mut command = debug_server();
    command.env("TMPDIR", temp.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let entries = || fs::read_dir(temp.path()).unwrap().count();
    eventually("its folder is made", || entries() == 1);
    let _stdin = child.stdin.take();
    kill("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(entries(), 0);
}

#[test]
fn the_next_start_cleans_up_after_a_killed_one() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let living = start_in(temp.path());
    let mut killed = start_in(temp.path());
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(is_running(killed.pid), "the server of a killed program lives on");
    let next = start_in(temp.path());
    assert!(killed.is_gone());
    assert_eq!(one(&living.url) + one(&next.url), 2);
    next.release();
    living.release();
}

#[test]
fn a_program_killed_during_initdb_is_cleaned_up_too() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let mut command = debug_server();
    command.env("TMPDIR", temp.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let marked = || {
        let folders = fs::read_dir(temp.path()).unwrap().flatten();
        folders.filter(|folder| folder.path().join("data/base").exists()).count() == 1
    };
    eventually("initdb is at work", marked);
    child.kill().unwrap();
    child.wait().unwrap();
    start_in(temp.path()).release();
    eventually("nothing is left", || fs::read_dir(temp.path()).unwrap().count() == 0);
}

#[test]
fn several_run_at_once() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let start = |number: usize| {
        let mut command = debug_server();
        command.env("TMPDIR", temp.path());
        if number.is_multiple_of(2) {
            command.arg("--loopback");
        }
        Holder::start(command).unwrap_or_else(|output| panic!("{}", stderr(&output)))
    };
    let holders: Vec<Holder> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || start(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(holders.iter().map(|holder| one(&holder.url)).sum::<i32>(), 4);
    let mut urls: Vec<&str> = holders.iter().map(|holder| holder.url.as_str()).collect();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), 4);
    holders.into_iter().for_each(|holder| drop(holder.release()));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn loopback_wants_its_password() {
    if server().is_none() {
        return;
    }
    let mut command = debug_server();
    command.arg("--loopback");
    let holder = Holder::start(command).unwrap_or_else(|output| panic!("{}", stderr(&output)));
    assert_eq!(one(&holder.url), 1);
    let (before, rest) = holder.url.split_once("pgtune:").unwrap();
    let (password, host) = rest.split_once('@').unwrap();
    assert_eq!(password.len(), 32);
    let wrong = format!("{before}pgtune:wrong@{host}");
    assert!(postgres::Client::connect(&wrong, postgres::NoTls).is_err());
    assert!(!holder.folder.join("password").exists());
    let said = holder.release();
    assert_eq!(said, "");
}

#[test]
fn the_socket_is_for_its_user_alone() {
    let Some(holder) = server() else { return };
    assert_eq!(holder.folder.metadata().unwrap().mode() & 0o777, 0o700);
    let listens: String = connect(&holder.url)
        .query_one("SELECT current_setting('listen_addresses')", &[])
        .unwrap()
        .get(0);
    assert_eq!(listens, "");
}

#[test]
fn settings_of_the_caller_win() {
    if server().is_none() {
        return;
    }
    let mut command = debug_server();
    command.args(["--set", "fsync=on", "--set", "work_mem=3MB", "--set", "port=1"]);
    command.args(["--set", "search_path=\"a b\", 'c'"]);
    let holder = Holder::start(command).unwrap_or_else(|output| panic!("{}", stderr(&output)));
    let mut client = connect(&holder.url);
    for (name, value) in [("fsync", "on"), ("work_mem", "3MB"), ("port", "5432")] {
        let row = client.query_one("SELECT current_setting($1)", &[&name]).unwrap();
        assert_eq!(row.get::<_, &str>(0), value);
    }
    drop(client);
    holder.release();

    let mut command = debug_server();
    command.args(["--set", "no_such_setting=1"]);
    let output = Holder::start(command).err().expect("an unknown setting is refused");
    assert_eq!(output.status.code(), Some(6));
    assert!(stderr(&output).contains("no_such_setting"), "{}", stderr(&output));
}

#[test]
fn an_ordinary_user_runs_it() {
    if server().is_none() || !is_root() {
        // Then every other test is this one.
        return;
    }
    let temp = temp_folder();
    let copy = temp.path().join("pgtune");
    fs::copy(program(), &copy).unwrap();
    let mut command = Command::new(copy);
    command.args(debug_server().get_args()).env("TMPDIR", temp.path());
    command.current_dir("/").uid(NOBODY).gid(NOBODY);
    let holder = Holder::start(command).unwrap_or_else(|output| panic!("{}", stderr(&output)));
    assert_eq!(holder.folder.metadata().unwrap().uid(), NOBODY);
    assert_eq!(one(&holder.url), 1);
    let folder = holder.folder.clone();
    holder.release();
    assert!(!folder.exists());
}

#[test]
fn roots_server_runs_as_somebody_else() {
    let Some(holder) = server() else { return };
    let owner = fs::metadata(holder.folder.join("data")).unwrap().uid();
    assert_ne!(owner, 0);
    let process = fs::metadata(format!("/proc/{}", holder.pid));
    assert!(process.is_err() || process.unwrap().uid() == owner);
}

#[test]
fn strangers_folders_are_left_alone() {
    if server().is_none() || !is_root() {
        return;
    }
    let temp = temp_folder();
    let stranger = temp.path().join("pgtune-server-stranger");
    fs::create_dir(&stranger).unwrap();
    let text = "pgtune private server: deleted when its pgtune has ended\n";
    fs::write(stranger.join("owner"), text).unwrap();
    chown(stranger.join("owner"), Some(NOBODY), Some(NOBODY)).unwrap();
    let link = temp.path().join("pgtune-server-link");
    symlink(&stranger, &link).unwrap();
    start_in(temp.path()).release();
    assert!(stranger.exists() && link.exists());
}

/// Runs `debug server` with `--pg-bin folder`, which has to be refused.
fn refused(folder: &Path) -> String {
    let mut command = pgtune(&["debug", "server", "--pg-bin"]);
    let output = command.arg(folder).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    stderr(&output)
}

/// A folder with a `postgres` and an `initdb` that only print `version`.
fn fake_server(folder: &Path, version: &str) {
    // Written by a child: a file that a fork of this process holds open cannot be run.
    let script = "for p in postgres initdb; do
        printf '#!/bin/sh\\necho \"%s\"\\n' \"$1\" >\"$0/$p\"; chmod 755 \"$0/$p\"; done";
    let shell = Command::new("sh").args(["-c", script]).arg(folder).arg(version).status();
    assert!(shell.unwrap().success());
}

#[test]
fn useless_binaries_are_refused() {
    let temp = temp_folder();
    let said = refused(temp.path());
    assert!(said.contains("does not hold both postgres and initdb"), "{said}");
    fake_server(temp.path(), "postgres (PostgreSQL) 11.2");
    let said = refused(temp.path());
    assert!(said.contains("is PostgreSQL 11.2, and pgtune needs 14 to 18"), "{said}");
    fake_server(temp.path(), "postgres (PostgreSQL) 19devel");
    assert!(refused(temp.path()).contains("is PostgreSQL 19devel"));
    fake_server(temp.path(), "ls (GNU coreutils) 9.1");
    assert!(refused(temp.path()).contains("is not PostgreSQL"));
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    if is_root() {
        let said = refused(temp.path());
        assert!(said.contains("must be readable for that user"), "{said}");
    }
}

#[test]
fn an_unwritable_temporary_folder_is_refused() {
    if server().is_none() {
        return;
    }
    let mut command = debug_server();
    command.env("TMPDIR", "/nowhere");
    let output = Holder::start(command).err().expect("there is no such folder");
    assert_eq!(output.status.code(), Some(6));
    assert!(stderr(&output).contains("cannot make a folder in /nowhere"), "{}", stderr(&output));
    assert!(stderr(&output).contains("hint: TMPDIR"), "{}", stderr(&output));
}

#[test]
fn a_long_temporary_folder_is_avoided() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let long = temp.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let holder = start_in(&long);
    assert_eq!(holder.folder.parent(), Some(Path::new("/tmp")));
    assert_eq!(one(&holder.url), 1);
    holder.release();
}

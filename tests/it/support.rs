//! What every test needs: the program, a server that it holds, databases, waiting with a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use serde_json::Value;

/// The variable that names the server programs to test with.
const PG_BIN_VARIABLE: &str = "PGTUNE_TEST_PG_BIN";

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pgtune"))
}

/// The program with arguments and the server programs to test with, and without the variables that
/// would change what it does.
pub fn pgtune(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env_remove("DATABASE_URL");
    with_server_programs(&mut command);
    command
}

/// Has a command use the server programs to test with, where the test run names any.
pub fn with_server_programs(command: &mut Command) {
    match std::env::var_os(PG_BIN_VARIABLE) {
        Some(folder) => command.env("PGTUNE_PG_BIN", folder),
        None => command.env_remove("PGTUNE_PG_BIN"),
    };
}

/// `pgtune debug server` with the test's server programs.
pub fn debug_server() -> Command {
    pgtune(&["debug", "server"])
}

/// A private server that a running `pgtune debug server` holds.
pub struct Holder {
    /// The program that holds it; it stops the server when its standard input closes.
    pub child: Child,
    /// How to connect to the database `postgres` as the superuser.
    pub url: String,
    /// The folder that has to be gone in the end.
    pub folder: PathBuf,
    /// The major version.
    pub major: u64,
    /// The process number of the server.
    pub pid: u32,
}

impl Holder {
    /// Starts a server with `command`; the error is what the program said instead.
    pub fn start(mut command: Command) -> Result<Holder, Output> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            return Err(child.wait_with_output().unwrap());
        };
        Ok(Holder {
            child,
            url: told["url"].as_str().unwrap().to_string(),
            folder: PathBuf::from(told["folder"].as_str().unwrap()),
            major: told["major"].as_u64().unwrap(),
            pid: u32::try_from(told["pid"].as_u64().unwrap()).unwrap(),
        })
    }

    /// Lets the program go and waits until it has ended; what it said on standard error.
    pub fn release(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }

    /// Whether neither the server's process nor its folder exists.
    pub fn is_gone(&self) -> bool {
        !is_running(self.pid) && !self.folder.exists()
    }
}

/// Whether the process `pid` runs; one that only waits for its parent's look does not.
pub fn is_running(pid: u32) -> bool {
    let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Says a figure or a loud line on stderr; `eprintln!` would be swallowed by the test harness.
pub fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// The one server that all tests share; `None` (said loudly) if this machine has none.
///
/// It ends with this process, since its holder's standard input closes then.
pub fn server() -> Option<&'static Holder> {
    static SERVER: OnceLock<Option<Holder>> = OnceLock::new();
    let start = || match Holder::start(debug_server()) {
        Ok(holder) => Some(holder),
        Err(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let searched = std::env::var_os(PG_BIN_VARIABLE).is_none();
            assert!(searched && said.contains("no PostgreSQL server"), "no server: {said}");
            say(&format!("\n==== SKIPPED: no test used a database ====\n{said}"));
            None
        }
    };
    SERVER.get_or_init(start).as_ref()
}

/// An empty database of the shared server.
pub struct Database {
    /// How to connect to it as the superuser.
    pub url: String,
}

impl Database {
    /// Makes one with a name nobody else has, beginning with `test`; `None` without a server.
    pub fn create(test: &str) -> Option<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let name = format!("{test}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        connect(&server.url).batch_execute(&format!("CREATE DATABASE \"{name}\"")).unwrap();
        let base = server.url.strip_suffix("/postgres").unwrap();
        Some(Database { url: format!("{base}/{name}") })
    }

    /// A new database like this one, to which nobody may be connected.
    pub fn copy(&self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (base, template) = self.url.rsplit_once('/').unwrap();
        let name = format!("{template}_copy_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        // A session that has just ended may still be seen.
        eventually("the template is not in use", || {
            connect(&server().unwrap().url).batch_execute(&sql).is_ok()
        });
        Database { url: format!("{base}/{name}") }
    }

    /// Removes it, and whoever is connected to it.
    pub fn drop(self) {
        let name = self.url.rsplit_once('/').unwrap().1;
        let sql = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
        connect(&server().unwrap().url).batch_execute(&sql).unwrap();
    }

    /// A connection to it.
    pub fn connect(&self) -> Client {
        connect(&self.url)
    }
}

/// A connection to `url`.
pub fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

/// Looks until `condition` holds; fails after twenty seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

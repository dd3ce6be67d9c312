//! Runs the program: a workload on its private server, once, or kept for more runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use postgres::{Client, NoTls};
use serde_json::Value;

/// The variable that names the server programs to measure with.
const PG_BIN_VARIABLE: &str = "PGTUNE_TEST_PG_BIN";

/// The program, without the variables that would change what it does.
fn pgtune(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtune"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
        .env_remove("DATABASE_URL")
        .env_remove("PGTUNE_BENCH_ROWS")
        .env_remove("PGTUNE_BENCH_ROUNDS")
        .stdin(Stdio::null());
    command
}

fn with_server(command: &mut Command) {
    if let Some(folder) = std::env::var_os(PG_BIN_VARIABLE) {
        command.arg("--pg-bin").arg(folder);
    }
}

/// Whether a private server can be started at all.
pub fn has_server() -> bool {
    let mut command = pgtune(&["debug", "server"]);
    with_server(&mut command);
    // Its standard input is closed, so it ends at once.
    command.output().unwrap().status.success()
}

/// Runs a workload to its end; a missed target is a figure, too.
pub fn run(arguments: &[&str]) -> Value {
    let mut command = pgtune(&["bench", "--json", "--quiet", "--report-only", "--workload"]);
    command.args(arguments);
    with_server(&mut command);
    answer(command)
}

/// What becomes of the plans of a workload's queries by its index change, as Markdown.
pub fn plans(workload: &str, rows: &str) -> String {
    let mut command = pgtune(&["demo", workload, "--rows", rows, "--plans", "--quiet"]);
    command.args(["--format", "markdown"]);
    with_server(&mut command);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let from = text.find("### plans before and after").expect("the demo shows plans");
    text[from..].to_string()
}

fn answer(mut command: Command) -> Value {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A workload whose server stays until the value goes.
pub struct Kept {
    holder: Child,
    workload: String,
    url: String,
    /// What the first run measured.
    pub first: Value,
}

impl Kept {
    /// Builds a workload and measures it for the first time.
    pub fn start(workload: &str, arguments: &[&str]) -> Kept {
        let mut command = pgtune(&["bench", "--json", "--quiet", "--report-only", "--keep"]);
        command.arg("--workload").arg(workload).args(arguments);
        with_server(&mut command);
        let mut holder = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The document ends with a brace of its own; the program goes on.
        let mut text = String::new();
        let mut lines = BufReader::new(holder.stdout.as_mut().unwrap()).lines();
        while !text.ends_with("\n}\n") {
            match lines.next() {
                Some(line) => text += &(line.unwrap() + "\n"),
                None => panic!("{}", said(&mut holder)),
            }
        }
        let first = serde_json::from_str(&text).unwrap();
        let mut lines = BufReader::new(holder.stderr.as_mut().unwrap()).lines();
        let folder = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let rest = line.split("psql -h ").nth(1)?.to_string();
            Some(rest.split_whitespace().next()?.to_string())
        });
        let url = format!("host={} user=pgtune dbname={workload}", folder.unwrap());
        Kept { holder, workload: workload.to_string(), url, first }
    }

    /// Measures it again with its profile.
    pub fn again(&self, arguments: &[&str]) -> Value {
        let mut command = pgtune(&["bench", "--json", "--quiet", "--report-only"]);
        command.args(["--profile", &self.profile(), "--url", &self.url]).args(arguments);
        answer(command)
    }

    /// Applies its migrations up to `version`.
    pub fn migrate(&self, version: &str) {
        self.ask(&["migrate", "--yes", "--quiet", "--to", version]);
    }

    /// What pgtune answers of it.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let mut command = pgtune(arguments);
        command.args(["--profile", &self.profile(), "--url", &self.url]);
        if let Some(folder) = std::env::var_os(PG_BIN_VARIABLE) {
            command.env("PGTUNE_PG_BIN", folder);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn profile(&self) -> String {
        format!("profiles/{}.toml", self.workload)
    }

    /// A session on it.
    pub fn connect(&self) -> Client {
        Client::connect(&self.url, NoTls).unwrap()
    }

    /// Runs each statement on its own.
    pub fn execute(&self, statements: &[&str]) {
        let mut client = self.connect();
        statements.iter().for_each(|statement| client.batch_execute(statement).unwrap());
    }
}

impl Drop for Kept {
    /// Asks the holder to stop, and waits for it to clean up.
    fn drop(&mut self) {
        let pid = self.holder.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.holder.wait();
    }
}

fn said(holder: &mut Child) -> String {
    let mut text = String::new();
    holder.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

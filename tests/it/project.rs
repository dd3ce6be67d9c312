//! A folder of migrations on a test's database: run them, look at what came of it, watch a run.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::Client;

use crate::support::{connect, eventually, pgtune};

/// A migration: its file's name without `.sql`, and its statements.
pub type Migration<'a> = (&'a str, &'a [&'a str]);

/// A folder with a profile and migrations, for one database.
pub struct Project {
    folder: tempfile::TempDir,
    url: String,
    variables: Vec<(String, String)>,
}

impl Project {
    /// A project without migrations for the database at `url`.
    pub fn new(url: &str) -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        fs::write(folder.path().join("pgtune.toml"), "").unwrap();
        Project { folder, url: url.to_string(), variables: Vec::new() }
    }

    /// The same with migrations.
    pub fn with(url: &str, migrations: &[Migration<'_>]) -> Project {
        let all = Project::new(url);
        migrations.iter().fold(all, |project, (stem, statements)| {
            project.migration(stem, &format!("{};\n", statements.join(";\n")))
        })
    }

    /// Adds a migration.
    pub fn migration(self, stem: &str, sql: &str) -> Project {
        let file = self.folder.path().join("migrations").join(format!("{stem}.sql"));
        fs::write(file, sql).unwrap();
        self
    }

    /// Sets a variable of every run: `("PGTUNE_LIMITS_LOCK_BUDGET", "200ms")`.
    pub fn variable(mut self, name: &str, value: &str) -> Project {
        self.variables.push((name.to_string(), value.to_string()));
        self
    }

    /// `pgtune migrate` with more arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pgtune(&["migrate", "--url", &self.url]);
        command.args(arguments).current_dir(self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `pgtune migrate` with more arguments.
    pub fn migrate(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs `pgtune migrate --yes`, which must succeed.
    pub fn apply(&self) -> Outcome {
        let outcome = self.migrate(&["--yes"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome
    }

    /// Runs `pgtune migrate --yes` once more: there must be nothing to do.
    pub fn apply_nothing(&self) {
        let outcome = self.apply();
        assert!(outcome.stdout.starts_with("nothing to do"), "{outcome:?}");
    }

    /// Starts `pgtune migrate --yes` and returns while it runs.
    pub fn start(&self) -> Run {
        Run::of(self.command(&["--yes"]))
    }
}

/// What a run of pgtune left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The answer.
    pub stdout: String,
    /// The messages.
    pub stderr: String,
}

impl Outcome {
    /// What the finished program left.
    pub fn of(output: Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A run at work.
pub struct Run {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Run {
    /// Starts the command and listens to its messages.
    pub fn of(mut command: Command) -> Run {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Run { child, said, reader }
    }

    /// Waits until its messages contain `text`.
    pub fn says(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.said.lock().unwrap().clone();
            if said.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "it did not say \"{text}\", but: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal: "TERM", "KILL".
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Outcome {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        self.reader.join().unwrap();
        let stderr = self.said.lock().unwrap().clone();
        Outcome { code, stdout, stderr }
    }
}

/// Runs the statements as psql would: in order, each on its own.
pub fn run_plainly(url: &str, statements: &[&str]) {
    let mut client = connect(url);
    for statement in statements {
        client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

/// The schema as text, without what pgtune keeps there: equal databases give equal texts.
pub fn dump(url: &str) -> String {
    let mut text = described(&mut connect(url));
    if let Some(program) = pg_dump() {
        text.push_str(&pg_dumped(&program, url));
    }
    text
}

/// Relations, columns, indexes, constraints and enum labels as the catalog has them.
pub fn described(client: &mut Client) -> String {
    let rows = client.query(include_str!("described.sql"), &[]).unwrap();
    rows.iter().map(|row| format!("{}\n", row.get::<_, String>(0))).collect()
}

/// A pg_dump that reads every supported server: the one that `scripts/postgres client` got.
fn pg_dump() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    Some(repository.join(".postgres/client/bin/pg_dump")).filter(|program| program.is_file())
}

fn pg_dumped(program: &Path, url: &str) -> String {
    let dumped = Command::new(program)
        .args(["--schema-only", "--exclude-schema=pgtune_state", "--exclude-table=*schema_history"])
        .arg(url)
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    let text = String::from_utf8(dumped.stdout).unwrap();
    // Newer versions write a random word around the dump.
    let kept = text.lines().filter(|line| !line.contains("restrict "));
    kept.map(|line| format!("{line}\n")).collect()
}

/// Checks that nothing is left over: each migration recorded once, no invalid index, no progress
/// rows, no session of a runner, no lock.
pub fn check_clean(url: &str, migrations: &[Migration<'_>]) {
    let mut client = connect(url);
    let stems: Vec<&str> = migrations.iter().map(|(stem, _)| *stem).collect();
    assert_eq!(recorded(&mut client), stems);
    assert_eq!(invalid_indexes(&mut client), Vec::<String>::new());
    assert_eq!(progress_rows(&mut client), 0);
    let leftovers = "select count(*) from pg_stat_activity where datname = current_database() \
                     and application_name like 'pgtune%'";
    eventually("no session is left", || count(&mut client, leftovers) == 0);
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and database = \
                 (select oid from pg_database where datname = current_database())";
    assert_eq!(count(&mut client, locks), 0);
}

/// What the history table holds, as file names without `.sql`.
pub fn recorded(client: &mut Client) -> Vec<String> {
    let query =
        "select 'V' || version || '__' || name from refinery_schema_history order by version";
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// The indexes that are not valid.
pub fn invalid_indexes(client: &mut Client) -> Vec<String> {
    let query = "select indexrelid::regclass::text from pg_index \
                 where not (indisvalid and indisready and indislive) order by 1";
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn progress_rows(client: &mut Client) -> i64 {
    let exists = "select count(*) from pg_class where relname = 'migration_progress'";
    match count(client, exists) {
        0 => 0,
        _ => count(client, "select count(*) from pgtune_state.migration_progress"),
    }
}

/// The number that a query returns.
pub fn count(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap().get(0)
}

/// Waits until `query` returns a number above 0.
pub fn eventually_some(client: &mut Client, what: &str, query: &str) {
    eventually(what, || count(client, query) > 0);
}

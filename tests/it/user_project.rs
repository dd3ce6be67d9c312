//! A folder with a profile and migrations, and runs of pgtune in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::support::{Database, program, with_server_programs};

/// A project of a user, on a database of its own.
pub struct Project {
    /// Where the profile would be, and the folder `migrations` is.
    pub folder: tempfile::TempDir,
    /// What `--url` gets; empty for none.
    pub url: String,
}

/// What a run said.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// The answer.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Said {
    fn of(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code and that standard error has all these texts.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        for text in texts {
            assert!(self.stderr.contains(text), "not said: {text}\n{self}");
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n-- stdout\n{}-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Project {
    /// A project without migrations on a new database; `None` without a server.
    pub fn new(test: &str) -> Option<(Project, Database)> {
        let database = Database::create(test)?;
        Some((Project::at(&database.url), database))
    }

    /// A project without migrations on the database at `url`.
    pub fn at(url: &str) -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        Project { folder, url: url.to_string() }
    }

    /// The folder of the migrations.
    pub fn migrations(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    /// Writes `migrations/NAME.sql`.
    pub fn migration(&self, name: &str, sql: impl AsRef<[u8]>) -> &Project {
        fs::write(self.migrations().join(format!("{name}.sql")), sql).unwrap();
        self
    }

    /// Writes the profile.
    pub fn profile(&self, text: impl AsRef<[u8]>) -> &Project {
        fs::write(self.folder.path().join("pgtune.toml"), text).unwrap();
        self
    }

    /// A run to be started, with no environment of this process.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command_in(self.folder.path(), arguments);
        if !self.url.is_empty() {
            command.args(["--url", &self.url]);
        }
        command
    }

    /// `pgtune ARGUMENTS`
    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// `pgtune migrate --yes`
    pub fn migrate(&self) -> Said {
        self.run(&["migrate", "--yes"])
    }

    /// `pgtune migrate --yes`, at work in the background.
    pub fn start_migrate(&self) -> Child {
        let mut command = self.command(&["migrate", "--yes"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// The program in a folder, with no environment of this process.
pub fn command_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    with_server_programs(&mut command);
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn said(mut command: Command) -> Said {
    Said::of(command.output().unwrap())
}

/// Waits for a run in the background.
pub fn said_by(child: Child) -> Said {
    Said::of(child.wait_with_output().unwrap())
}

/// The history's rows as `version name`, in order.
pub fn history(database: &Database) -> Vec<String> {
    let sql = "select version || ' ' || name from refinery_schema_history order by version";
    database.connect().query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Says, past the test harness, that something was not tested.
pub fn skipped(what: &str) {
    let text = format!("\n==== SKIPPED: {what} ====\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

//! Private servers to measure on, and the psql to measure against.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::connect;

/// The variable that names the server programs to measure with.
const PG_BIN_VARIABLE: &str = "PGTUNE_TEST_PG_BIN";

/// A server that a running `pgtune debug server` holds.
pub struct PrivateServer {
    holder: Child,
    /// How to connect to the database `postgres`.
    url: String,
    /// Its version: "15.13 (Debian 15.13-0+deb12u1)".
    pub version: String,
    /// The folder of its programs.
    pub bin: PathBuf,
    /// PostgreSQL's own client, in C: what pgtune is measured against.
    pub psql: PathBuf,
}

impl PrivateServer {
    /// Starts one with settings `NAME=VALUE`; `None`, with the reason on stderr, where it does not
    /// start.
    pub fn start(settings: &[&str]) -> Option<PrivateServer> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgtune"));
        command.args(["debug", "server"]).env_remove("PGTUNE_PG_BIN");
        if let Some(folder) = std::env::var_os(PG_BIN_VARIABLE) {
            command.arg("--pg-bin").arg(folder);
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            holder.wait().unwrap();
            return None;
        };
        let text = |key: &str| told[key].as_str().unwrap().to_string();
        // Debian's /usr/bin/psql is a script that looks for the program, and slow.
        let bin = PathBuf::from(text("bin_dir"));
        let psql = bin.join("psql");
        let psql = if psql.is_file() { psql } else { PathBuf::from("psql") };
        Some(PrivateServer { holder, url: text("url"), version: text("version"), bin, psql })
    }

    /// How to connect to a database.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.url.strip_suffix("/postgres").unwrap())
    }

    /// Makes an empty database with a name like `name`, and how to connect to it. What its making
    /// left to write is written, so that nobody pays for it later.
    pub fn database(&self, name: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut client = connect(&self.url);
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        client.batch_execute("CHECKPOINT").unwrap();
        self.url(&name)
    }

    /// psql on a database, deaf to the user's settings.
    pub fn psql(&self, url: &str) -> Command {
        PrivateServer::psql_at(&self.psql, url)
    }

    /// The same, of a psql that is known.
    pub fn psql_at(psql: &Path, url: &str) -> Command {
        let mut command = Command::new(psql);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
        command
    }

    /// Drops a database, so that the server does not grow from round to round.
    pub fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap();
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        connect(&self.url("postgres")).batch_execute(&drop).unwrap();
    }
}

impl Drop for PrivateServer {
    /// Lets the holder go, and waits for it to clean up.
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // One that died has left nothing to wait for.
        let _ = self.holder.wait();
    }
}

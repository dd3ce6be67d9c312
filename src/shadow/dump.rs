//! The statements that make a database's schema, as `pg_dump` writes them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::binaries;
use super::surroundings::Surroundings;
use crate::error::{Error, Kind, Result};
use crate::model::ident::QualifiedName;
use crate::pg::connect::target::{Endpoint, Host, Target};

/// What is of no use without rows, or on another server.
const ARGUMENTS: [&str; 8] = [
    "--exclude-schema=pgtune_state",
    "--schema-only",
    "--no-password",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--lock-wait-timeout=10s",
];

/// Finds a `pg_dump` that can read a server of this major version: in `explicit`, else on `PATH`,
/// else in the usual folders. `None` where there is none.
pub fn find(
    explicit: Option<&Path>,
    surroundings: &Surroundings,
    major: u32,
) -> Result<Option<PathBuf>> {
    if let Some(program) = explicit {
        return match version(program) {
            Some(known) if known >= major => Ok(Some(program.to_path_buf())),
            Some(known) => {
                let message = format!("{} is of version {known}", program.display());
                Err(Error::usage(message).hint(format!("the server needs at least {major}")))
            }
            None => Err(Error::usage(format!("{} is no pg_dump", program.display()))),
        };
    }
    let mut programs = binaries::folders(surroundings).map(|folder| folder.join("pg_dump"));
    Ok(programs.find(|program| version(program).is_some_and(|known| known >= major)))
}

/// "pg_dump (PostgreSQL) 17.2" is 17.
fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.strip_prefix("pg_dump (PostgreSQL) ")?;
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Runs `pg_dump`. It takes ACCESS SHARE on every table, and so needs a right on each; `closed` are
/// those that it is to leave out.
///
/// Errors with what it said; the password travels in its environment only.
pub fn schema(
    program: &Path,
    target: &Target,
    role: &str,
    closed: &[QualifiedName],
) -> Result<String> {
    let mut command = Command::new(program);
    command.args(ARGUMENTS).env("PGAPPNAME", "pgtune").stdin(Stdio::null());
    if !role.is_empty() {
        command.arg("--role").arg(role);
    }
    for table in closed {
        command.arg("--exclude-table").arg(table.to_string());
    }
    connect(&mut command, target);
    let output = command
        .output()
        .map_err(|error| Error::system(format!("run {}", program.display()), error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(
            Error::new(Kind::Database, "pg_dump cannot read the schema").hint(in_short(&said))
        );
    }
    String::from_utf8(output.stdout)
        .map_err(|error| Error::new(Kind::Database, "the schema is no UTF-8").caused_by(error))
}

/// What `pg_dump` said, without the statement that failed: that may name each table.
fn in_short(said: &str) -> String {
    const CHARS_MAX: usize = 500;
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.contains("Query was: "));
    lines.collect::<Vec<_>>().join("; ").chars().take(CHARS_MAX).collect()
}

/// Tells libpq where to go, in the variables that it reads; a service of the environment would be
/// stronger than these.
fn connect(command: &mut Command, target: &Target) {
    const OTHERS: [&str; 5] =
        ["PGSERVICE", "PGHOSTADDR", "PGPASSWORD", "PGOPTIONS", "PGTARGETSESSIONATTRS"];
    for variable in OTHERS {
        command.env_remove(variable);
    }
    for setting in &target.settings {
        let variable = match setting.keyword {
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            "sslcert" => "PGSSLCERT",
            "sslkey" => "PGSSLKEY",
            "options" => "PGOPTIONS",
            "channel_binding" => "PGCHANNELBINDING",
            "connect_timeout" => "PGCONNECT_TIMEOUT",
            "target_session_attrs" => "PGTARGETSESSIONATTRS",
            _ => continue,
        };
        command.env(variable, &setting.value);
    }
    let list = |of: &dyn Fn(&Endpoint) -> String| {
        target.endpoints.iter().map(of).collect::<Vec<_>>().join(",")
    };
    command.env("PGUSER", &target.user).env("PGDATABASE", &target.database);
    command.env("PGPORT", list(&|endpoint| endpoint.port.to_string()));
    command.env("PGHOST", list(&|endpoint| host(endpoint).0));
    let addresses = list(&|endpoint| host(endpoint).1);
    if addresses.chars().any(|c| c != ',') {
        command.env("PGHOSTADDR", addresses);
    }
    let mut passwords = target.endpoints.iter().filter_map(|one| one.password.as_ref());
    if let Some(password) = passwords.next() {
        command.env("PGPASSWORD", password.reveal());
    }
    command.env("PGCLIENTENCODING", "UTF8");
}

/// The host of one server, and its address where that is given apart.
fn host(endpoint: &Endpoint) -> (String, String) {
    match &endpoint.host {
        Host::Socket(folder) => (folder.display().to_string(), String::new()),
        Host::Tcp { name, address } => {
            (name.clone(), address.map_or_else(String::new, |address| address.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pg_dump_says_is_told_without_its_statement() {
        let said = "pg_dump: error: query failed: ERROR:  out of shared memory\nHINT:  You might \
                    need to increase max_locks_per_transaction.\npg_dump: detail: Query was: LOCK \
                    TABLE public.t_1, public.t_2 IN ACCESS SHARE MODE\n";
        let told = "pg_dump: error: query failed: ERROR:  out of shared memory; HINT:  You might \
                    need to increase max_locks_per_transaction.";
        assert_eq!(in_short(said), told);
        assert_eq!(in_short(&"x".repeat(1_000)).len(), 500);
    }
}

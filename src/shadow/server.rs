//! Starts one private server and stops it; when the value goes, the server and its folder go.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::account::Account;
use super::binaries::Binaries;
use super::folder::{self, Folder};
use super::process::{self, Signal};
use super::surroundings::Surroundings;
use crate::error::{Error, Kind, Result};

/// The superuser of the server, and the only user it starts with.
pub const SUPERUSER: &str = "pgtune";
/// The port in the name of the Unix socket; the folder around it makes it unique.
const SOCKET_PORT: u16 = 5432;
/// How often a loopback server looks for another port when somebody took the one it found.
const PORT_ATTEMPTS: u32 = 5;
const INITDB_LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(60);
/// Fast shutdown writes a checkpoint; a server full of data is not worth waiting longer.
const FAST_STOP_LIMIT: Duration = Duration::from_secs(5);
/// After five seconds of an immediate shutdown the server kills its own processes.
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(8);
/// Lines of the server's log to show when it does not start.
const LOG_LINES: usize = 10;

/// Settings that every private server starts with, unless the caller gives others: its data is
/// worth nothing after a crash of the machine.
const SETTINGS: [(&str, &str); 3] =
    [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")];

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// On a Unix socket in a folder that only the server's user (and root) can enter.
    UnixSocket,
    /// On a free port of 127.0.0.1 too, with a random password.
    Loopback,
}

/// What server to start.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Its programs.
    pub binaries: Binaries,
    /// Settings as in `postgresql.conf`; later ones win. Where it listens cannot be set here.
    pub settings: Vec<(String, String)>,
    /// Where it listens.
    pub listen: Listen,
    /// Whether its pages have checksums, for those who test with them.
    pub checksums: bool,
    /// Megabytes of a file of its log, 1 or 16: small ones take less room, large ones less time.
    pub wal_segment_mb: u32,
    /// The machine.
    pub surroundings: &'a Surroundings,
    /// Set when the user asks pgtune to stop; ends a start that is under way.
    pub interrupted: &'a AtomicBool,
}

/// A running server. Dropping the value stops the server and deletes its folder, also while a panic
/// unwinds.
#[derive(Debug)]
pub struct Server {
    // Fields are dropped in this order: the folder goes after the processes in it.
    postmaster: Postmaster,
    folder: Folder,
    binaries: Binaries,
    port: u16,
    password: Option<Password>,
}

/// A secret that `Debug` does not show.
struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Server {
    /// Makes a database cluster in a new folder and starts a server on it; returns when it accepts
    /// connections. Before that, it removes what killed predecessors left behind.
    ///
    /// Fails with the last lines of the log where initdb or the server refuses, and with
    /// [`Kind::Interrupted`] as soon as `options.interrupted` is set; nothing is left in any case.
    pub fn start(options: &Options) -> Result<Server> {
        folder::clean_stale(options.surroundings);
        let folder = Folder::create(options.surroundings)?;
        let password = match options.listen {
            Listen::UnixSocket => None,
            Listen::Loopback => Some(Password::random()?),
        };
        init_cluster(options, &folder, password.as_ref())?;
        let (postmaster, port) = launch_on_free_port(options, &folder)?;
        Ok(Server { postmaster, folder, binaries: options.binaries.clone(), port, password })
    }

    /// How to connect to `database` as the superuser, for PostgreSQL's own programs and for
    /// drivers. Holds the password of a loopback server.
    pub fn url(&self, database: &str) -> String {
        let (port, database) = (self.port, percent_encoded(database));
        match &self.password {
            None => {
                let folder = percent_encoded(&self.folder.path().to_string_lossy());
                format!("postgres://{SUPERUSER}@{folder}:{port}/{database}")
            }
            Some(Password(password)) => {
                let host = Ipv4Addr::LOCALHOST;
                format!("postgres://{SUPERUSER}:{password}@{host}:{port}/{database}")
            }
        }
    }

    /// The folder that holds the socket, the data directory and the log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process number of the postmaster.
    pub fn pid(&self) -> u32 {
        self.postmaster.child.id()
    }

    /// Its programs and their version.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }
}

impl Password {
    /// 128 bits from the system's generator.
    fn random() -> Result<Password> {
        let mut bytes = [0_u8; 16];
        File::open("/dev/urandom")
            .and_then(|mut urandom| urandom.read_exact(&mut bytes))
            .map_err(|error| Error::system("read /dev/urandom", error))?;
        Ok(Password(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// The server's main process; dropping it stops it.
#[derive(Debug)]
struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// Asks it to stop, each time more rudely, until it has ended ("Shutting Down the Server" in
    /// PostgreSQL's manual).
    fn stop(&mut self) {
        let steps = [
            (Signal::INT, FAST_STOP_LIMIT),
            (Signal::QUIT, IMMEDIATE_STOP_LIMIT),
            (Signal::KILL, IMMEDIATE_STOP_LIMIT),
        ];
        for (signal, limit) in steps {
            if self.has_ended() {
                return;
            }
            process::signal(self.child.id(), signal);
            process::poll(limit, || self.has_ended().then_some(()));
        }
    }

    /// Whether the process has ended; its number is free for others from then on.
    fn has_ended(&mut self) -> bool {
        // An error means that there is no such child (any more).
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes the cluster: UTF-8, with the same order of text everywhere.
fn init_cluster(options: &Options, folder: &Folder, password: Option<&Password>) -> Result<()> {
    // Not every system has C.UTF-8; C orders text in the same way.
    let first = init_with_locale(options, folder, password, "C.UTF-8");
    let failed_for_locale =
        first.is_err() && log_tail(folder, usize::MAX).contains("invalid locale name");
    if failed_for_locale { init_with_locale(options, folder, password, "C") } else { first }
}

fn init_with_locale(
    options: &Options,
    folder: &Folder,
    password: Option<&Password>,
    locale: &str,
) -> Result<()> {
    let mut command = command("initdb", options, folder)?;
    command.arg("-D").arg(folder.data()).args(["-U", SUPERUSER, "-E", "UTF8", "-T", "english"]);
    command.arg(format!("--locale={locale}")).args(["--lc-messages=C", "--no-sync"]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    command.arg(format!("--wal-segsize={}", options.wal_segment_mb));
    if options.checksums {
        command.arg("--data-checksums");
    } else if options.binaries.major >= 18 {
        // Off by default before 18.
        command.arg("--no-data-checksums");
    }
    let password_file = folder.path().join("password");
    if let Some(Password(password)) = password {
        write_secret(&password_file, password)?;
        folder.give_to(options.surroundings.account.as_ref(), &password_file)?;
        command.arg("--pwfile").arg(&password_file);
    }
    let status = run(command, options, folder);
    if password.is_some() {
        fs::remove_file(&password_file)
            .map_err(|error| Error::system("remove initdb's password file", error))?;
    }
    status
}

/// Writes `secret` to a new file that nobody else can read.
fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let written = fs::write(path, "")
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::write(path, secret));
    written.map_err(|error| Error::system("write initdb's password file", error))
}

/// Runs initdb to its end.
fn run(mut command: Command, options: &Options, folder: &Folder) -> Result<()> {
    let mut child = spawn(&mut command, options.surroundings.account.as_ref())?;
    let ended = process::poll(INITDB_LIMIT, || {
        let interrupted = options.interrupted.load(Ordering::Relaxed).then_some(None);
        child.try_wait().transpose().map(Some).or(interrupted)
    });
    match ended {
        Some(Some(Ok(status))) if status.success() => Ok(()),
        Some(Some(Ok(status))) => Err(failed("initdb", &status.to_string(), folder)),
        Some(Some(Err(error))) => Err(Error::system("wait for initdb", error)),
        Some(None) | None => {
            // It may have ended just now; then there is nothing to kill or to wait for.
            let _ = child.kill().and_then(|()| child.wait());
            Err(if ended.is_some() { interrupted() } else { too_slow("initdb", folder) })
        }
    }
}

/// Launches the server; on another port when somebody took the one that was free a moment ago.
fn launch_on_free_port(options: &Options, folder: &Folder) -> Result<(Postmaster, u16)> {
    let mut attempt = 1;
    loop {
        let port = choose_port(options.listen)?;
        match launch(options, folder, port) {
            Err(_) if attempt < PORT_ATTEMPTS && port_was_taken(folder) => attempt += 1,
            launched => return Ok((launched?, port)),
        }
    }
}

/// Starts the server and waits until it accepts connections.
fn launch(options: &Options, folder: &Folder, port: u16) -> Result<Postmaster> {
    let mut command = command("postgres", options, folder)?;
    command.arg("-D").arg(folder.data());
    let defaults = SETTINGS.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let listen = match options.listen {
        Listen::UnixSocket => String::new(),
        Listen::Loopback => Ipv4Addr::LOCALHOST.to_string(),
    };
    // A list, whose elements may be quoted like identifiers.
    let sockets = format!("\"{}\"", folder.path().to_string_lossy().replace('"', "\"\""));
    let ours = [
        ("listen_addresses", listen),
        ("port", port.to_string()),
        ("unix_socket_directories", sockets),
        ("unix_socket_permissions", "0700".to_string()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.to_string(), value));
    // The last one wins.
    for (name, value) in defaults.chain(options.settings.iter().cloned()).chain(ours) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    // Ctrl-C on the terminal is for pgtune, which stops the server when it has finished with it.
    command.process_group(0);
    let child = spawn(&mut command, options.surroundings.account.as_ref())?;
    let mut postmaster = Postmaster { child };
    wait_until_ready(&mut postmaster, options, folder)?;
    Ok(postmaster)
}

/// Waits for the status line of `postmaster.pid` to say "ready", as `pg_ctl --wait` does
/// (`wait_for_postmaster_start` in PostgreSQL's `pg_ctl.c`).
fn wait_until_ready(postmaster: &mut Postmaster, options: &Options, folder: &Folder) -> Result<()> {
    let pid_file = folder.data().join("postmaster.pid");
    let pid = postmaster.child.id();
    let outcome = process::poll(START_LIMIT, || {
        if options.interrupted.load(Ordering::Relaxed) {
            Some(Err(interrupted()))
        } else if postmaster.has_ended() {
            Some(Err(failed("the server", "ended while it started", folder)))
        } else {
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            is_ready(&text, pid).then_some(Ok(()))
        }
    });
    outcome.unwrap_or_else(|| Err(too_slow("the server", folder)))
}

/// Whether the text of `postmaster.pid` says that the server `pid` accepts connections: the number
/// is in line 1, the status in line 8 (`LOCK_FILE_LINE_PM_STATUS` in `pidfile.h`).
fn is_ready(pid_file: &str, pid: u32) -> bool {
    let line = |number: usize| pid_file.lines().nth(number - 1).map(str::trim);
    line(1) == Some(pid.to_string().as_str()) && line(8) == Some("ready")
}

/// One of the server's programs, to run in its folder, with its output appended to the log.
fn command(program: &str, options: &Options, folder: &Folder) -> Result<Command> {
    let log = File::options().create(true).append(true).open(folder.log());
    let (out, err) = log
        .and_then(|log| Ok((log.try_clone()?, log)))
        .map_err(|error| Error::system("write the server's log", error))?;
    let mut command = Command::new(options.binaries.bin_dir.join(program));
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(out).stderr(err);
    // A time zone spares initdb the search for the system's, which can be half of its time.
    command.env("TZ", "UTC").env("LC_ALL", "C");
    for variable in ["PGDATA", "PGPORT", "PGDATESTYLE", "PGCLIENTENCODING"] {
        command.env_remove(variable);
    }
    Ok(command)
}

fn spawn(command: &mut Command, account: Option<&Account>) -> Result<Child> {
    if let Some(account) = account {
        account.apply(command);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| match account {
        None => Error::system(format!("run {program}"), error),
        Some(account) => Error::system(format!("run {program} as {}", account.name), error)
            .hint("PostgreSQL does not run as root: its programs must be readable for that user"),
    })
}

/// A port to listen on. The system does not give one twice in a short time.
fn choose_port(listen: Listen) -> Result<u16> {
    let free = || -> io::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
    };
    match listen {
        Listen::UnixSocket => Ok(SOCKET_PORT),
        Listen::Loopback => free().map_err(|error| Error::system("find a free port", error)),
    }
}

fn port_was_taken(folder: &Folder) -> bool {
    log_tail(folder, LOG_LINES).contains("Address already in use")
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "stopped while the private server started")
}

fn too_slow(program: &str, folder: &Folder) -> Error {
    failed(program, "not ready in time", folder)
}

fn failed(program: &str, how: &str, folder: &Folder) -> Error {
    Error::new(Kind::System, format!("cannot start a private server: {program}: {how}"))
        .caused_by(log_tail(folder, LOG_LINES))
}

/// The last lines of the log.
fn log_tail(folder: &Folder, lines: usize) -> String {
    let log = fs::read(folder.log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// `text` as a part of a URL (RFC 3986, section 2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_line_eight_of_the_right_process() {
        let starting = "123\n/data\n1700000000\n5432\n/sockets\n\n  1 2\nstarting\n";
        let ready = starting.replace("starting", "ready   ");
        assert!(is_ready(&ready, 123));
        assert!(!is_ready(&ready, 124));
        assert!(!is_ready(starting, 123));
        assert!(!is_ready("", 123));
    }

    #[test]
    fn urls_are_encoded() {
        assert_eq!(percent_encoded("/tmp/a b"), "%2Ftmp%2Fa%20b");
        assert_eq!(percent_encoded("ä~1"), "%C3%A4~1");
    }

    #[test]
    fn passwords_differ_and_stay_secret() {
        let (one, two) = (Password::random().unwrap(), Password::random().unwrap());
        assert_eq!(one.0.len(), 32);
        assert_ne!(one.0, two.0);
        assert_eq!(format!("{one:?}"), "Password(..)");
    }
}

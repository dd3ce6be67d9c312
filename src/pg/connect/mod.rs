//! Reaches the database: `source` resolves where it is, [`connect`] goes there and says what is
//! wrong if it cannot.
//!
//! [`Environment::of_process`] is the only place that reads the process's environment.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use postgres::config as pg;
use postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Kind, Result};

pub mod conninfo;
mod failure;
mod passfile;
mod service;
pub mod source;
pub mod target;
pub mod tls;

#[cfg(test)]
mod tests;

use failure::Failure;
use source::{Environment, Found};
use target::{ChannelBinding, Endpoint, Host, SessionKind, Target};
use tls::Mode;

/// A session, and the means to cancel what it runs.
pub struct Connection {
    /// The session.
    pub client: Client,
    /// Cancels what the session runs, from any thread.
    pub canceler: Canceler,
    /// What the server remarks besides its answers.
    pub notices: mpsc::Receiver<Notice>,
}

/// A remark of the server: WARNING, NOTICE or INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How serious it is, in the server's language: `WARNING`.
    pub severity: String,
    /// What it says.
    pub message: String,
}

/// Remarks kept until somebody asks for them; a loop may raise millions.
const NOTICES_MAX: usize = 1_000;

/// Asks the server to cancel what a session runs, over a connection encrypted like the session.
#[derive(Clone)]
pub struct Canceler {
    token: CancelToken,
    tls: Option<MakeRustlsConnect>,
    limit: Option<Duration>,
}

impl Canceler {
    /// Sends the request, within the session's `connect_timeout`. The server does not say whether
    /// there was anything to cancel; an error means that it could not be reached.
    pub fn cancel(&self) -> Result<()> {
        let Canceler { token, tls, limit } = self.clone();
        let sent = within(limit, move || match tls {
            Some(tls) => token.cancel_query(tls),
            None => token.cancel_query(NoTls),
        });
        sent.and_then(|sent| sent.map_err(Failure::Refused)).map_err(|failure| {
            let cause = failure.cause();
            Error::new(Kind::Database, format!("cannot send the cancel request: {cause}"))
        })
    }
}

impl Environment {
    /// What this process knows: variables, user, home, files. Variables that are no UTF-8 are
    /// passed over.
    pub fn of_process() -> Environment {
        let variables = std::env::vars_os();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment {
            variables: variables.filter_map(text).collect(),
            user: whoami::username().ok(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            read: Box::new(read),
            exists: Box::new(Path::exists),
        }
    }
}

fn read(path: &Path) -> std::io::Result<Found> {
    let text = std::fs::read_to_string(path)?;
    let open_to_others = path.metadata()?.permissions().mode() & 0o077 != 0;
    Ok(Found { text, open_to_others })
}

/// How one attempt is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// Not at all.
    Plain,
    /// If the server can.
    Offered,
    /// Or there is no connection.
    Required,
}

/// Connects to the first server that takes us. `purpose` is the session's `application_name`.
///
/// Errors are of [`Kind::Database`] and name server, user and cause; those about certificate
/// files are the user's.
pub fn connect(target: &Target, purpose: &str) -> Result<Connection> {
    let is_tcp = |endpoint: &Endpoint| matches!(endpoint.host, Host::Tcp { .. });
    let encrypts = target.tls.mode != Mode::Disable && target.endpoints.iter().any(is_tcp);
    let tls = if encrypts { Some(tls::connector(&target.tls)?) } else { None };
    let mut failures = Vec::new();
    for endpoint in &target.endpoints {
        match connect_to(endpoint, target, purpose, tls.as_ref()) {
            Ok(connection) => return Ok(connection),
            Err(failed) => {
                let is_final = failed.last().is_some_and(Failure::is_final);
                failures.extend(failed.into_iter().map(|failure| (endpoint, failure)));
                if is_final {
                    break;
                }
            }
        }
    }
    Err(failure::explain(&failures, target))
}

/// Tries each address of a server, each in the ways that the mode allows. The error has the
/// failure of each attempt.
fn connect_to(
    endpoint: &Endpoint,
    target: &Target,
    purpose: &str,
    tls: Option<&MakeRustlsConnect>,
) -> std::result::Result<Connection, Vec<Failure>> {
    let mut config = config(endpoint, target, purpose);
    let limit = target.connect_timeout;
    let name = match &endpoint.host {
        Host::Socket(folder) => {
            config.host_path(folder);
            return attempt(config, Encryption::Plain, None, limit).map_err(|f| vec![f]);
        }
        Host::Tcp { name, .. } => name,
    };
    config.host(name);
    let mut failures = Vec::new();
    for address in addresses(endpoint).map_err(|failure| vec![failure])? {
        let mut config = config.clone();
        config.hostaddr(address);
        for encryption in encryptions(target.tls.mode) {
            match attempt(config.clone(), *encryption, tls.cloned(), limit) {
                Ok(connection) => return Ok(connection),
                Err(failure) => failures.push(failure),
            }
            if !failures.last().is_some_and(Failure::may_depend_on_encryption) {
                break;
            }
        }
        if failures.last().is_some_and(Failure::is_final) {
            break;
        }
    }
    Err(failures)
}

/// `prefer` falls back to a plain connection when TLS fails, `allow` the other way round.
fn encryptions(mode: Mode) -> &'static [Encryption] {
    match mode {
        Mode::Disable => &[Encryption::Plain],
        Mode::Allow => &[Encryption::Plain, Encryption::Required],
        Mode::Prefer => &[Encryption::Offered, Encryption::Plain],
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[Encryption::Required],
    }
}

/// Whether both mean the same server, as far as their addresses tell.
pub fn is_same_server(one: &Target, other: &Target) -> bool {
    !places(one).is_disjoint(&places(other))
}

/// Whether a server is on this machine, or seems to be: a tunnel may lead to another.
pub fn is_local(target: &Target) -> bool {
    let places = places(target);
    let is_local = |place: &Place| match place {
        Place::Socket(..) => true,
        Place::Tcp(address, _) => address.is_loopback(),
    };
    !places.is_empty() && places.iter().all(is_local)
}

/// Where a server is found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Socket(PathBuf, u16),
    /// The addresses of this machine are one.
    Tcp(IpAddr, u16),
}

/// A name without an address is of no server.
fn places(target: &Target) -> BTreeSet<Place> {
    let of_endpoint = |endpoint: &Endpoint| -> Vec<Place> {
        let port = endpoint.port;
        let one = |address: IpAddr| match address.is_loopback() {
            true => Place::Tcp(Ipv4Addr::LOCALHOST.into(), port),
            false => Place::Tcp(address, port),
        };
        match &endpoint.host {
            Host::Socket(folder) => {
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                vec![Place::Socket(folder, port)]
            }
            Host::Tcp { .. } => {
                addresses(endpoint).unwrap_or_default().into_iter().map(one).collect()
            }
        }
    };
    target.endpoints.iter().flat_map(of_endpoint).collect()
}

/// Looked up here and not by the client, so that `connect_timeout` counts for each address.
fn addresses(endpoint: &Endpoint) -> std::result::Result<Vec<IpAddr>, Failure> {
    match &endpoint.host {
        Host::Socket(_) => Ok(Vec::new()),
        Host::Tcp { address: Some(address), .. } => Ok(vec![*address]),
        Host::Tcp { name, address: None } => match (name.as_str(), endpoint.port).to_socket_addrs()
        {
            Ok(addresses) if addresses.len() == 0 => Err(Failure::NoAddress),
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(Failure::Lookup(error)),
        },
    }
}

fn config(endpoint: &Endpoint, target: &Target, purpose: &str) -> Config {
    let mut config = Config::new();
    config.port(endpoint.port).user(&target.user).dbname(&target.database);
    config.application_name(purpose);
    if let Some(password) = &endpoint.password {
        config.password(password.reveal());
    }
    if let Some(options) = &target.options {
        config.options(options);
    }
    if let Some(timeout) = target.connect_timeout {
        config.connect_timeout(timeout);
    }
    config.target_session_attrs(match target.session {
        SessionKind::Any => pg::TargetSessionAttrs::Any,
        SessionKind::ReadWrite => pg::TargetSessionAttrs::ReadWrite,
        SessionKind::ReadOnly => pg::TargetSessionAttrs::ReadOnly,
    });
    config.channel_binding(match target.channel_binding {
        ChannelBinding::Disable => pg::ChannelBinding::Disable,
        ChannelBinding::Prefer => pg::ChannelBinding::Prefer,
        ChannelBinding::Require => pg::ChannelBinding::Require,
    });
    let keepalives = target.keepalives;
    config.keepalives(keepalives.enabled).keepalives_idle(keepalives.idle);
    config.keepalives_interval(keepalives.interval).keepalives_retries(keepalives.count);
    if !keepalives.user_timeout.is_zero() {
        config.tcp_user_timeout(keepalives.user_timeout);
    }
    config
}

/// One attempt at one address.
fn attempt(
    mut config: Config,
    encryption: Encryption,
    tls: Option<MakeRustlsConnect>,
    limit: Option<Duration>,
) -> std::result::Result<Connection, Failure> {
    config.ssl_mode(match encryption {
        Encryption::Plain => pg::SslMode::Disable,
        Encryption::Offered => pg::SslMode::Prefer,
        Encryption::Required => pg::SslMode::Require,
    });
    let (sender, notices) = mpsc::sync_channel(NOTICES_MAX);
    config.notice_callback(move |notice| {
        let severity = notice.severity().to_string();
        let message = notice.message().to_string();
        // Those that do not fit are lost.
        sender.try_send(Notice { severity, message }).ok();
    });
    let tls = tls.filter(|_| encryption != Encryption::Plain);
    let connector = tls.clone();
    let client = within(limit, move || match connector {
        Some(tls) => config.connect(tls),
        None => config.connect(NoTls),
    })?
    .map_err(Failure::Refused)?;
    let canceler = Canceler { token: client.cancel_token(), tls, limit };
    Ok(Connection { client, canceler, notices })
}

/// Gives `work` a limit. The client's own limit ends when TCP is up, and a server that then says
/// nothing would hold us forever. What is late is left to its thread and dropped there.
fn within<T: Send + 'static>(
    limit: Option<Duration>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, Failure> {
    let Some(limit) = limit else { return Ok(work()) };
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name("connect".to_string());
    let started = thread.spawn(move || {
        // Fails only if nobody waits any more.
        sender.send(work()).ok();
    });
    started.map_err(Failure::NoThread)?;
    receiver.recv_timeout(limit).map_err(|_| Failure::TimedOut(limit))
}

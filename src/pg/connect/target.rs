//! A resolved connection: where to, as whom, how; and how it is shown. Pure.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::tls;

/// A password. Shown as `***` by every formatter.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Secret {
        Secret(password.into())
    }

    /// The password itself, for the server only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One keyword of the connection, to show: `host = db.example (PGHOST)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// libpq's keyword.
    pub keyword: &'static str,
    /// Its value; `***` for the password.
    pub value: String,
    /// Where it came from: a flag, a variable, a file, or "default".
    pub origin: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.keyword, self.value, self.origin)
    }
}

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Folder of a Unix socket.
    Socket(PathBuf),
    /// A name, which certificates are checked against, and the address if it is given apart.
    Tcp {
        /// Name, or an address as text.
        name: String,
        /// `hostaddr`: spares the look-up of the name.
        address: Option<IpAddr>,
    },
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub host: Host,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// Password for this server.
    pub password: Option<Secret>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Socket(folder) => write!(f, "{}/.s.PGSQL.{}", folder.display(), self.port),
            Host::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
        }
    }
}

/// What the session must be able to do; a host that cannot is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// Anything.
    Any,
    /// Writes: a primary whose transactions are not read-only by default.
    ReadWrite,
    /// No writes: a standby, or read-only by default.
    ReadOnly,
}

/// Whether the password exchange is tied to the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// When the server can.
    Prefer,
    /// Or there is no connection.
    Require,
}

/// How a dead server is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalives {
    /// Whether to probe at all.
    pub enabled: bool,
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes without an answer until the connection counts as dead.
    pub count: u32,
    /// Longest time that sent data may stay unacknowledged; zero means the system's.
    pub user_timeout: Duration,
}

/// A connection, resolved from all its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Servers in the order to try them; never empty.
    pub endpoints: Vec<Endpoint>,
    /// User to log in as.
    pub user: String,
    /// Database.
    pub database: String,
    /// Settings for the session, as `postgres -c` takes them.
    pub options: Option<String>,
    /// How to encrypt, and whom to trust.
    pub tls: tls::Settings,
    /// Longest time for one server to connect and log in; none means forever.
    pub connect_timeout: Option<Duration>,
    /// What the session must be able to do.
    pub session: SessionKind,
    /// Whether the password exchange is tied to the certificate.
    pub channel_binding: ChannelBinding,
    /// How a dead server is noticed.
    pub keepalives: Keepalives,
    /// Every keyword with its origin, to show.
    pub settings: Vec<Setting>,
    /// What the user should know: a password file that was ignored.
    pub warnings: Vec<String>,
}

impl fmt::Display for Target {
    /// `database "shop" at db:5432 as user "ann"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.endpoints.iter().map(Endpoint::to_string).collect();
        let (database, user) = (&self.database, &self.user);
        write!(f, "database \"{database}\" at {} as user \"{user}\"", hosts.join(", "))
    }
}

//! Resolves a connection from its layers. Pure: sees the world only through [`Environment`].
//!
//! Strongest first: `--url`, `PGTUNE_DATABASE_URL` or the overlay of `--env`; `DATABASE_URL`; the
//! profile's base part; the service file; libpq's variables; defaults. Of the connection strings
//! only the strongest counts, so that no password of one meets the host of another. An overlay is
//! asked for by name, so a `DATABASE_URL` left in the shell must not redirect it; but the base part
//! is the same for everyone, and this machine's `DATABASE_URL` knows better. The service file
//! beats the variables as in libpq (fe-connect.c, `conninfo_add_defaults`).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::conninfo::{self, KEYWORDS, Values};
use super::passfile::{self, Login};
use super::service;
use super::target::{ChannelBinding, Endpoint, Host, Keepalives, Secret, SessionKind};
use super::target::{Setting, Target};
use super::tls::{self, Identity, Mode, Roots};
use crate::error::{Error, Result};

/// What resolution may know of the process and its machine.
pub struct Environment {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// The user of the operating system: libpq's default user.
    pub user: Option<String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// Reads a file.
    pub read: Reader,
    /// Whether a file, folder or socket exists.
    pub exists: Box<dyn Fn(&Path) -> bool>,
}

/// Reads a file.
pub type Reader = Box<dyn Fn(&Path) -> io::Result<Found>>;

/// A file that was read.
pub struct Found {
    /// Its text.
    pub text: String,
    /// Whether others than its owner may use it.
    pub open_to_others: bool,
}

/// A connection string and where it came from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// URL or `key=value`; empty if there is none.
    pub text: &'a str,
    /// Flag, variable or file, to show.
    pub origin: &'a str,
}

/// Connection strings besides `DATABASE_URL`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidates<'a> {
    /// Asked for in this run: `--url`, `PGTUNE_DATABASE_URL`, `[env.NAME]`.
    pub asked: Given<'a>,
    /// The profile's base part.
    pub usual: Given<'a>,
}

/// Folders where servers put their sockets: Debian's, Red Hat's and PostgreSQL's own.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// libpq waits forever; an unattended run must not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts the connection together. Errors name the layer that is wrong, and never a password.
pub fn resolve(candidates: &Candidates<'_>, environment: &Environment) -> Result<Target> {
    let layers = Layers::read(candidates, environment)?;
    let user = match (layers.text("user"), &environment.user) {
        (Some(user), _) => user.to_string(),
        (None, Some(user)) => user.clone(),
        (None, None) => {
            return Err(Error::usage("no user to connect as")
                .hint("name one: user=… in the connection string, or PGUSER"));
        }
    };
    let database = layers.text("dbname").unwrap_or(&user).to_string();
    let mut warnings = Vec::new();
    let mut endpoints = endpoints(&layers, environment)?;
    let origin =
        set_passwords(&mut endpoints, &layers, environment, (&database, &user), &mut warnings);
    let tls = tls_settings(&layers, environment)?;
    let mut target = Target {
        options: layers.text("options").map(str::to_string),
        connect_timeout: connect_timeout(&layers)?,
        session: layers
            .choice(
                "target_session_attrs",
                &[
                    ("any", SessionKind::Any),
                    ("read-write", SessionKind::ReadWrite),
                    ("read-only", SessionKind::ReadOnly),
                ],
            )?
            .unwrap_or(SessionKind::Any),
        channel_binding: layers
            .choice(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?
            .unwrap_or(ChannelBinding::Prefer),
        keepalives: keepalives(&layers)?,
        settings: Vec::new(),
        endpoints,
        user,
        database,
        tls,
        warnings,
    };
    target.settings = shown(&target, &layers, origin);
    Ok(target)
}

/// The layers laid over each other: for each keyword the strongest value and its origin.
struct Layers {
    values: BTreeMap<&'static str, (String, String)>,
}

impl Layers {
    fn read(candidates: &Candidates<'_>, environment: &Environment) -> Result<Layers> {
        let mut layers = Layers { values: BTreeMap::new() };
        let database_url = Given {
            text: environment.variables.get("DATABASE_URL").map_or("", String::as_str),
            origin: "DATABASE_URL",
        };
        let strings = [candidates.asked, database_url, candidates.usual];
        if let Some(given) = strings.iter().find(|given| !given.text.trim().is_empty()) {
            layers.add(conninfo::parse(given.text, given.origin)?, |_| given.origin.to_string());
        }
        let service = match layers.values.get("service") {
            Some((name, origin)) => Some((name.clone(), origin.clone())),
            None => environment.variables.get("PGSERVICE").map(|s| (s.clone(), "PGSERVICE".into())),
        };
        if let Some((name, origin)) = service.filter(|(name, _)| !name.is_empty()) {
            let (values, file) = service::section(&name, &origin, environment)?;
            layers.add(values, |_| format!("service {name} of {}", file.display()));
        }
        let mut variables = Values::new();
        for (keyword, variable) in KEYWORDS {
            if let Some(value) = environment.variables.get(variable) {
                variables.insert(keyword, value.clone());
            }
        }
        layers.add(variables, |keyword| {
            let entry = KEYWORDS.iter().find(|(name, _)| *name == keyword);
            entry.map_or("", |(_, variable)| variable).to_string()
        });
        Ok(layers)
    }

    /// Adds a weaker layer; an empty value says nothing, as in libpq.
    fn add(&mut self, values: Values, origin: impl Fn(&str) -> String) {
        for (keyword, value) in values {
            if !value.is_empty() {
                self.values.entry(keyword).or_insert_with(|| (value, origin(keyword)));
            }
        }
    }

    fn text(&self, keyword: &str) -> Option<&str> {
        self.values.get(keyword).map(|(value, _)| value.as_str())
    }

    fn origin(&self, keyword: &str) -> &str {
        self.values.get(keyword).map_or("default", |(_, origin)| origin)
    }

    /// The value as one of a list of names.
    fn choice<T: Copy>(&self, keyword: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(keyword) else { return Ok(None) };
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        chosen.map(Some).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let origin = self.origin(keyword);
            Error::usage(format!("{origin}: {keyword} cannot be \"{text}\""))
                .hint(format!("it can be {}", names.join(", ")))
        })
    }

    /// The value as a whole number; negative ones count as zero, as in libpq.
    fn number(&self, keyword: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(keyword) else { return Ok(None) };
        match text.trim().parse::<i64>() {
            Ok(number) => Ok(Some(u64::try_from(number).unwrap_or(0))),
            Err(_) => {
                let origin = self.origin(keyword);
                Err(Error::usage(format!("{origin}: {keyword} must be a whole number")))
            }
        }
    }
}

/// A file below the user's home.
pub fn in_home(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment.home.as_ref().map(|home| home.join(name))
}

/// The servers: `host`, `hostaddr` and `port` are lists of the same length, or one port for all.
fn endpoints(layers: &Layers, environment: &Environment) -> Result<Vec<Endpoint>> {
    let list = |keyword| layers.text(keyword).map_or(Vec::new(), |text| text.split(',').collect());
    let (hosts, addresses, ports): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    for (keyword, length) in [("hostaddr", addresses.len()), ("host", hosts.len())] {
        if length != 0 && length != count {
            let origin = layers.origin(keyword);
            return Err(Error::usage(format!("{origin}: host and hostaddr differ in length")));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        let (origin, given) = (layers.origin("port"), ports.len());
        return Err(Error::usage(format!("{origin}: {given} ports for {count} hosts")));
    }
    (0..count)
        .map(|i| {
            let text =
                ports.get(if ports.len() == 1 { 0 } else { i }).map_or("", |port| port.trim());
            let port = match text {
                "" => 5432,
                text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                    let origin = layers.origin("port");
                    Error::usage(format!("{origin}: the port must be a number from 1 to 65535"))
                })?,
            };
            let address: Option<IpAddr> = match addresses
                .get(i)
                .map_or("", |address| address.trim())
            {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    let origin = layers.origin("hostaddr");
                    Error::usage(format!("{origin}: hostaddr must be an IP address, not a name"))
                })?),
            };
            let host = match (hosts.get(i).map_or("", |host| host.trim()), address) {
                ("", None) => default_host(port, environment),
                ("", Some(ip)) => Host::Tcp { name: ip.to_string(), address },
                (folder, _) if folder.starts_with(['/', '@']) => Host::Socket(folder.into()),
                (name, address) => Host::Tcp { name: name.to_string(), address },
            };
            Ok(Endpoint { host, port, password: None })
        })
        .collect()
}

/// The usual folder that has this server's socket, or TCP on this machine.
fn default_host(port: u16, environment: &Environment) -> Host {
    let socket =
        |folder: &&str| (environment.exists)(&Path::new(folder).join(format!(".s.PGSQL.{port}")));
    match SOCKET_FOLDERS.iter().find(|folder| socket(folder)) {
        Some(folder) => Host::Socket(folder.into()),
        None => Host::Tcp { name: "localhost".to_string(), address: None },
    }
}

/// Gives each server its password; returns where it came from, if there is one.
fn set_passwords(
    endpoints: &mut [Endpoint],
    layers: &Layers,
    environment: &Environment,
    (database, user): (&str, &str),
    warnings: &mut Vec<String>,
) -> Option<String> {
    if let Some(password) = layers.text("password") {
        for endpoint in endpoints {
            endpoint.password = Some(Secret::new(password));
        }
        return Some(layers.origin("password").to_string());
    }
    let named = layers.text("passfile").map(PathBuf::from);
    let file = named.or(in_home(environment, ".pgpass"))?;
    let found = match (environment.read)(&file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warnings.push(format!("ignored the password file {}: {error}", file.display()));
            return None;
        }
    };
    if found.open_to_others {
        let file = file.display();
        warnings.push(format!("ignored the password file {file}: others may use it; chmod 600"));
        return None;
    }
    for endpoint in endpoints.iter_mut() {
        let hosts = passfile_names(&endpoint.host);
        let login = Login { hosts: &hosts, port: endpoint.port, database, user };
        endpoint.password = passfile::find(&found.text, &login);
    }
    let any = endpoints.iter().any(|endpoint| endpoint.password.is_some());
    any.then(|| file.display().to_string())
}

/// What a password file calls this host.
fn passfile_names(host: &Host) -> Vec<String> {
    match host {
        Host::Tcp { name, .. } => vec![name.clone()],
        Host::Socket(folder) => {
            let folder = folder.display().to_string();
            let usual = SOCKET_FOLDERS.contains(&folder.as_str());
            std::iter::once(folder).chain(usual.then(|| "localhost".to_string())).collect()
        }
    }
}

fn tls_settings(layers: &Layers, environment: &Environment) -> Result<tls::Settings> {
    let mode = layers.choice("sslmode", &Mode::NAMES)?;
    let existing = |name| in_home(environment, name).filter(|file| (environment.exists)(file));
    let (mode, roots) = match (layers.text("sslrootcert"), mode) {
        // Anyone can have a certificate of a public authority, so only the name says something.
        (Some("system"), None | Some(Mode::VerifyFull)) => (Mode::VerifyFull, Roots::System),
        (Some("system"), Some(Mode::Disable)) => (Mode::Disable, Roots::Unchecked),
        (Some("system"), Some(_)) => {
            let origin = layers.origin("sslmode");
            return Err(Error::usage(format!("{origin}: this sslmode is too weak for the roots"))
                .hint("sslrootcert=system needs sslmode=verify-full"));
        }
        (Some(file), mode) => (mode.unwrap_or(Mode::Prefer), Roots::File(file.into())),
        (None, mode) => match (existing(".postgresql/root.crt"), mode.unwrap_or(Mode::Prefer)) {
            (Some(file), mode) => (mode, Roots::File(file)),
            (None, Mode::VerifyFull) => (Mode::VerifyFull, Roots::System),
            (None, Mode::VerifyCa) => {
                let origin = layers.origin("sslmode");
                return Err(Error::usage(format!("{origin}: verify-ca needs a root certificate"))
                    .hint("name it with sslrootcert, or put it into ~/.postgresql/root.crt")
                    .hint("sslmode=verify-full works with the system's own"));
            }
            (None, mode) => (mode, Roots::Unchecked),
        },
    };
    let given = |keyword, name| layers.text(keyword).map(PathBuf::from).or(existing(name));
    let identity = match given("sslcert", ".postgresql/postgresql.crt") {
        None => None,
        Some(certificate) => match given("sslkey", ".postgresql/postgresql.key") {
            Some(key) => Some(Identity { certificate, key }),
            None => {
                let file = certificate.display();
                return Err(Error::usage(format!("the client certificate {file} has no key"))
                    .hint("name it with sslkey, or put it into ~/.postgresql/postgresql.key"));
            }
        },
    };
    Ok(tls::Settings { mode, roots, identity })
}

/// Zero means forever, and one is two, as in libpq.
fn connect_timeout(layers: &Layers) -> Result<Option<Duration>> {
    Ok(match layers.number("connect_timeout")? {
        None => Some(CONNECT_TIMEOUT),
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds.clamp(2, 86_400))),
    })
}

/// By default a server that is silent for a minute counts as dead; the system waits two hours.
fn keepalives(layers: &Layers) -> Result<Keepalives> {
    let seconds = |keyword, default| -> Result<Duration> {
        // Zero asks libpq for the system's default, which is what we mean to avoid.
        let given = layers.number(keyword)?.filter(|seconds| *seconds > 0);
        Ok(Duration::from_secs(given.unwrap_or(default).min(86_400)))
    };
    let count = layers.number("keepalives_count")?.filter(|count| *count > 0).unwrap_or(3);
    Ok(Keepalives {
        enabled: layers.number("keepalives")?.unwrap_or(1) != 0,
        idle: seconds("keepalives_idle", 30)?,
        interval: seconds("keepalives_interval", 10)?,
        count: u32::try_from(count).unwrap_or(3).min(100),
        user_timeout: Duration::from_millis(layers.number("tcp_user_timeout")?.unwrap_or(60_000)),
    })
}

/// Every keyword that has a value, and the defaults that decide where the connection goes.
fn shown(target: &Target, layers: &Layers, password_origin: Option<String>) -> Vec<Setting> {
    let setting = |keyword, value: String| {
        let origin = layers.origin(keyword).to_string();
        Setting { keyword, value, origin }
    };
    let hosts: Vec<String> = target
        .endpoints
        .iter()
        .map(|endpoint| match &endpoint.host {
            Host::Socket(folder) => folder.display().to_string(),
            Host::Tcp { name, .. } => name.clone(),
        })
        .collect();
    let ports: Vec<String> = target.endpoints.iter().map(|e| e.port.to_string()).collect();
    let mode = Mode::NAMES.iter().find(|(_, mode)| *mode == target.tls.mode);
    let mut shown = vec![
        setting("host", hosts.join(",")),
        setting("port", ports.join(",")),
        setting("dbname", target.database.clone()),
        setting("user", target.user.clone()),
        setting("sslmode", mode.map_or("", |(name, _)| name).to_string()),
    ];
    if let Some(origin) = password_origin {
        shown.push(Setting { keyword: "password", value: "***".to_string(), origin });
    }
    for (keyword, (value, origin)) in &layers.values {
        if *keyword != "password" && !shown.iter().any(|setting| setting.keyword == *keyword) {
            let (value, origin) = (value.clone(), origin.clone());
            shown.push(Setting { keyword, value, origin });
        }
    }
    shown
}

//! Says why a connection failed, and what usually helps.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use postgres::error::SqlState;

use super::target::{Endpoint, Host, Target};
use crate::error::{Error, Kind};

/// Why one server did not take us.
#[derive(Debug)]
pub enum Failure {
    /// Its name could not be looked up.
    Lookup(io::Error),
    /// Its name has no address.
    NoAddress,
    /// It did not answer in time.
    TimedOut(Duration),
    /// There is no thread to connect on.
    NoThread(io::Error),
    /// It, or the network, refused.
    Refused(postgres::Error),
}

impl Failure {
    /// Whether other servers are not worth a try: this one answered, and refused who we are. Only
    /// a server that starts or stops sends us on, as in libpq (fe-connect.c, PQconnectPoll).
    pub fn is_final(&self) -> bool {
        self.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW)
    }

    /// Whether the same server may take us with TLS, or without: the handshake failed, or
    /// `pg_hba.conf` has no line for this kind of connection.
    pub fn may_depend_on_encryption(&self) -> bool {
        match self {
            Failure::Refused(error) => {
                is_tls(error)
                    || error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
            }
            Failure::Lookup(_)
            | Failure::NoAddress
            | Failure::TimedOut(_)
            | Failure::NoThread(_) => false,
        }
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Failure::Refused(error) => error.code(),
            Failure::Lookup(_)
            | Failure::NoAddress
            | Failure::TimedOut(_)
            | Failure::NoThread(_) => None,
        }
    }

    /// What happened, in one line.
    pub fn cause(&self) -> String {
        match self {
            Failure::Lookup(error) => error.to_string(),
            Failure::NoAddress => "the name has no address".to_string(),
            Failure::TimedOut(limit) => format!("no answer within {} s", limit.as_secs()),
            Failure::NoThread(error) => format!("cannot start a thread: {error}"),
            Failure::Refused(error) => match error.as_db_error() {
                Some(refusal) => refusal.message().to_string(),
                None => innermost(error),
            },
        }
    }
}

/// Whether the handshake failed. The client does not export its kinds of errors, only their text.
fn is_tls(error: &postgres::Error) -> bool {
    error.to_string().contains("TLS handshake") || tls_error(error).is_some()
}

/// The error of rustls below this one.
fn tls_error(error: &postgres::Error) -> Option<&rustls::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = io.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(tls);
        }
        next = error.source();
    }
    None
}

/// The error of the operating system below this one.
fn system_error(error: &postgres::Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn innermost(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = error.to_string();
        next = error.source();
    }
    text
}

/// One error for all servers that were tried: each with its causes, hints for the last.
pub fn explain(failures: &[(&Endpoint, Failure)], target: &Target) -> Error {
    let (user, database) = (&target.user, &target.database);
    let mut causes = Vec::new();
    for (endpoint, failure) in failures {
        let cause = format!("{endpoint}: {}", failure.cause());
        // Each address of a name often fails in the same way.
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let causes = causes.join("; ");
    let message =
        format!("cannot connect to database \"{database}\" as user \"{user}\" at {causes}");
    let error = Error::new(Kind::Database, message);
    match failures.last() {
        Some((endpoint, failure)) => {
            hints(endpoint, failure, target).into_iter().fold(error, Error::hint)
        }
        None => error,
    }
}

fn hints(endpoint: &Endpoint, failure: &Failure, target: &Target) -> Vec<String> {
    let hint = match failure {
        Failure::Lookup(_) | Failure::NoAddress => "check the host's name".to_string(),
        Failure::TimedOut(_) => "check host, port and firewalls; connect_timeout=30 waits \
                                 longer"
            .to_string(),
        Failure::NoThread(_) => return Vec::new(),
        Failure::Refused(error) => match error.code() {
            Some(code) => return refusal_hints(code, endpoint, target),
            None => return network_hints(error, endpoint),
        },
    };
    vec![hint]
}

/// Hints for a server that answered with an error.
fn refusal_hints(code: &SqlState, endpoint: &Endpoint, target: &Target) -> Vec<String> {
    let hint = match code.code() {
        "28P01" if endpoint.password.is_none() => NO_PASSWORD.to_string(),
        "28P01" => "the password is wrong or the user does not exist; `pgtune config show` says \
                    where the password came from"
            .to_string(),
        "28000" => "the server's pg_hba.conf decides who may connect from where, and whether TLS \
                    or a client certificate is needed (sslmode, sslcert, sslkey)"
            .to_string(),
        "3D000" => format!("create it (createdb {}), or name another: dbname=…", target.database),
        "53300" => {
            "end idle sessions, or raise max_connections or the role's connection limit".to_string()
        }
        "57P03" => "the server is starting or stopping; try again shortly".to_string(),
        "08P01" => {
            "a connection pooler may be in between; connect to the server itself".to_string()
        }
        _ => return Vec::new(),
    };
    vec![hint]
}

const NO_PASSWORD: &str = "there is no password for this login: put it into ~/.pgpass (chmod 600) \
                           or PGPASSWORD";

/// Hints for a connection that broke before the server said anything.
fn network_hints(error: &postgres::Error, endpoint: &Endpoint) -> Vec<String> {
    let text = innermost(error);
    let hint = if text == "password missing" {
        NO_PASSWORD
    } else if text == "server does not support TLS" {
        "switch TLS on in the server (ssl = on), or use sslmode=prefer on a network you trust"
    } else if text == "server did not use channel binding" {
        "channel_binding=require needs TLS and a password stored as scram-sha-256"
    } else if let Some(tls) = tls_error(error) {
        tls_hint(tls)
    } else {
        match (system_error(error), &endpoint.host) {
            (Some(io::ErrorKind::ConnectionRefused), _) => {
                "is the server running, and does it listen there? (port, listen_addresses)"
            }
            (Some(io::ErrorKind::NotFound), Host::Socket(_)) => {
                "no server has its socket there; is it running? name another folder or host: host=…"
            }
            (Some(io::ErrorKind::TimedOut), _) => {
                "check host, port and firewalls; connect_timeout=30 waits longer"
            }
            (Some(io::ErrorKind::PermissionDenied), Host::Tcp { .. }) => {
                "target_session_attrs asks for another kind of server; add the other hosts"
            }
            _ => return Vec::new(),
        }
    };
    vec![hint.to_string()]
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Reason;
    if let rustls::Error::AlertReceived(alert) = error
        && !matches!(alert, Alert::ProtocolVersion | Alert::HandshakeFailure)
    {
        return "the server refused our client certificate, or needs one: sslcert, sslkey";
    }
    let rustls::Error::InvalidCertificate(reason) = error else {
        return "client and server found no common way to encrypt; it needs TLS 1.2 or later";
    };
    if matches!(reason, Reason::NotValidForName | Reason::NotValidForNameContext { .. }) {
        "connect by a name that the certificate has as subjectAltName (a common name does not \
         count), or use sslmode=verify-ca"
    } else if matches!(reason, Reason::Expired | Reason::ExpiredContext { .. }) {
        "renew the server's certificate"
    } else {
        "name the authority that signed the server's certificate, or the certificate itself if \
         nobody else signed it: sslrootcert=FILE"
    }
}

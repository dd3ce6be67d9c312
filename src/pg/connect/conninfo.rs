//! Reads connection strings, URLs and `key=value`, as libpq does. Pure; never shows a password.
//!
//! `postgres::Config` reads them too, but refuses what it does not do itself, `verify-full` for
//! one. Source: the manual, "Connection Strings" (libpq-connect.html#LIBPQ-CONNSTRING).

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Keywords pgtune understands, each with the variable libpq reads for it ("" for none). The
/// application names and `client_encoding` are accepted and not used: sessions are named after
/// what pgtune does in them, and the client speaks UTF-8 only.
pub const KEYWORDS: [(&str, &str); 24] = [
    ("application_name", ""),
    ("channel_binding", "PGCHANNELBINDING"),
    ("client_encoding", ""),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("fallback_application_name", ""),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("keepalives", ""),
    ("keepalives_count", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("service", "PGSERVICE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("tcp_user_timeout", ""),
    ("user", "PGUSER"),
];

/// Values by keyword.
pub type Values = BTreeMap<&'static str, String>;

/// Reads a connection string of either form. `origin` (a flag, a variable) begins each error.
pub fn parse(text: &str, origin: &str) -> Result<Values> {
    let pairs = match url_body(text) {
        Some(body) => url(body),
        None => key_values(text),
    };
    pairs.and_then(known).map_err(|error| error.context(origin))
}

/// Checks the keywords; later values replace earlier ones of the same keyword.
fn known(pairs: Vec<(String, String)>) -> Result<Values> {
    let mut values = Values::new();
    let mut after_password = false;
    for (keyword, value) in pairs {
        match KEYWORDS.iter().find(|(name, _)| *name == keyword) {
            Some((name, _)) => {
                after_password = *name == "password";
                values.insert(*name, value);
            }
            // This may be the second half of a password that was not quoted.
            None if after_password => {
                return Err(Error::usage("what follows the password is no known keyword")
                    .hint("quote a password with spaces ('…'), percent-encode it in a URL"));
            }
            None => return Err(unknown(&keyword)),
        }
    }
    Ok(values)
}

/// The error for a keyword that pgtune does not know, with the nearest one it does.
pub fn unknown(keyword: &str) -> Error {
    let error = Error::usage(format!("unknown connection keyword \"{keyword}\""));
    let nearest = KEYWORDS
        .iter()
        .map(|(name, _)| (strsim::jaro_winkler(keyword, name), name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => error.hint(format!("did you mean `{name}`?")),
        None => {
            let names = KEYWORDS.map(|(name, _)| name).join(", ");
            error.hint(format!("known are {names}"))
        }
    }
}

fn url_body(text: &str) -> Option<&str> {
    ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme))
}

/// The parts of a URL behind its scheme, still encoded.
struct Parts<'a> {
    /// `user` or `user:password`.
    login: Option<&'a str>,
    /// `host:port,host:port`.
    hosts: &'a str,
    /// Database name.
    path: &'a str,
    /// `key=value&key=value`.
    query: &'a str,
}

fn parts(body: &str) -> Result<Parts<'_>> {
    let (authority, tail) = match body.split_once('/') {
        Some((authority, tail)) => (authority, Some(tail)),
        None => (body, None),
    };
    let (login, rest) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    // Without a slash the parameters follow the hosts: postgres://host?sslmode=require.
    let (hosts, path, query) = match (tail, rest.split_once('?')) {
        (None, Some((hosts, query))) => (hosts, "", query),
        (None, None) => (rest, "", ""),
        (Some(tail), _) => match tail.split_once('?') {
            Some((path, query)) => (rest, path, query),
            None => (rest, tail, ""),
        },
    };
    if path.contains('@') {
        return Err(Error::usage("there is an `@` behind the first `/` of the URL")
            .hint("percent-encode user, password and database: `/` is %2F, `@` is %40"));
    }
    Ok(Parts { login, hosts, path, query })
}

fn url(body: &str) -> Result<Vec<(String, String)>> {
    let parts = parts(body)?;
    let (user, password) = match parts.login {
        Some(login) => login.split_once(':').unwrap_or((login, "")),
        None => ("", ""),
    };
    let (hosts, ports) = hosts(parts.hosts)?;
    let mut pairs = vec![
        ("password".to_string(), decode(password)?),
        ("user".to_string(), decode(user)?),
        ("host".to_string(), hosts),
        ("port".to_string(), ports),
        ("dbname".to_string(), decode(parts.path)?),
    ];
    pairs.retain(|(_, value)| !value.is_empty());
    for parameter in parts.query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (keyword, value) = parameter
            .split_once('=')
            .ok_or_else(|| Error::usage("a parameter of the URL has no `=`"))?;
        let (keyword, value) = (decode(keyword)?, decode(value)?);
        // `ssl=true` is JDBC's, which libpq reads too.
        let jdbc = keyword == "ssl" && value == "true";
        pairs.push(if jdbc { ("sslmode".into(), "require".into()) } else { (keyword, value) });
    }
    Ok(pairs)
}

/// The lists of hosts and ports as libpq's keywords have them: "a,b" and "5432,".
fn hosts(text: &str) -> Result<(String, String)> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[').map(|inner| inner.split_once(']')) {
            Some(Some((address, rest))) => (address, rest.strip_prefix(':').unwrap_or(rest)),
            Some(None) => return Err(Error::usage("an address in `[` of the URL has no `]`")),
            None => part.split_once(':').unwrap_or((part, "")),
        };
        hosts.push(decode(host)?);
        ports.push(decode(port)?);
    }
    let given = |list: &[String]| list.iter().any(|item| !item.is_empty());
    let join = |list: Vec<String>| if given(&list) { list.join(",") } else { String::new() };
    Ok((join(hosts), join(ports)))
}

/// Replaces `%41` by `A`. Errors do not repeat the text, which may be a password.
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) if high + low > 0 => bytes.push((high * 16 + low) as u8),
            _ => {
                return Err(Error::usage("a `%` of the URL is not followed by two hex digits")
                    .hint("write `%` itself as %25"));
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::usage("the URL decodes to bytes that are no UTF-8"))
}

/// Reads `key = value key='quoted \' value'`.
fn key_values(text: &str) -> Result<Vec<(String, String)>> {
    if text.contains("://") && !text.contains('=') {
        return Err(not_a_connection_string());
    }
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, tail) = rest.split_once('=').ok_or_else(not_a_connection_string)?;
        let keyword = keyword.trim_end();
        if !keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || keyword.is_empty() {
            return Err(not_a_connection_string());
        }
        let (value, tail) = value(tail.trim_start())?;
        pairs.push((keyword.to_string(), value));
        rest = tail.trim_start();
    }
    Ok(pairs)
}

fn not_a_connection_string() -> Error {
    Error::usage("neither a postgres:// URL nor a list of keyword=value")
        .hint("write postgres://user@host:5432/database, or host=… dbname=…")
        .hint("quote a value with spaces: '…'")
}

/// One value and what is behind it; `\` takes the next character as it is.
fn value(text: &str) -> Result<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            character if !quoted && character.is_whitespace() => return Ok((value, &text[at..])),
            character => value.push(character),
        }
    }
    if quoted { Err(Error::usage("a quoted value has no closing quote")) } else { Ok((value, "")) }
}

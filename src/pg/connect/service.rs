//! Finds a service, a named set of connection keywords, in libpq's service files. Pure.
//!
//! Source: the manual, "The Connection Service File" (libpq-pgservice.html).

use std::io;
use std::path::{Path, PathBuf};

use super::conninfo::{self, KEYWORDS, Values};
use super::source::{Environment, in_home};
use crate::error::{Error, Result};

/// The values of service `name` and the file that has it: the user's own, or the system's if that
/// lacks it. Errors name `origin`, which asked for the service, or file and line.
pub fn section(name: &str, origin: &str, env: &Environment) -> Result<(Values, PathBuf)> {
    let variable =
        |name: &str| env.variables.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let own = variable("PGSERVICEFILE").or(in_home(env, ".pg_service.conf"));
    // Debian's place; others say theirs in PGSYSCONFDIR.
    let system = variable("PGSYSCONFDIR").unwrap_or("/etc/postgresql-common".into());
    let files: Vec<PathBuf> = own.into_iter().chain([system.join("pg_service.conf")]).collect();
    for file in &files {
        match (env.read)(file) {
            Ok(found) => {
                if let Some(values) = values_of(&found.text, name, file)? {
                    return Ok((values, file.clone()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::system(
                    format!("read the service file {}", file.display()),
                    error,
                ));
            }
        }
    }
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(Error::usage(format!("{origin}: no service \"{name}\" is defined"))
        .hint(format!("looked for [{name}] in {}", files.join(", "))))
}

/// The values below `[name]`; none if there is no such section.
fn values_of(text: &str, name: &str, file: &Path) -> Result<Option<Values>> {
    let mut section = None::<Values>;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if section.is_some() {
                break;
            }
            section = (line == format!("[{name}]")).then(Values::new);
            continue;
        }
        let Some(values) = &mut section else { continue };
        let place = format!("{}:{number}", file.display());
        let (keyword, value) = line
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{place}: a line needs keyword=value")))?;
        match KEYWORDS.iter().find(|(known, _)| *known == keyword) {
            Some(("service", _)) => {
                return Err(Error::usage(format!("{place}: a service cannot name a service")));
            }
            // The first of several holds, as in libpq.
            Some((known, _)) => drop(values.entry(*known).or_insert(value.to_string())),
            None => return Err(conninfo::unknown(keyword).context(place)),
        }
    }
    Ok(section)
}

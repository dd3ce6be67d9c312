//! The database that a command works on: where it is, and sessions to it.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::model::ident::{Ident, parse_name};
use crate::pg::connect::connect;
use crate::pg::connect::source::{Candidates, Environment, Given, resolve};
use crate::pg::connect::target::Target;
use crate::pg::runner_lock::RUNNER;
use crate::pg::session::Session;
use crate::profile::Profile;
use crate::profile::layers::Origin;

use super::context::Context;

/// `application_name` of sessions that look, wait and hold the lock.
const LOOKER: &str = "pgtune";

/// Where the database is: profile, flags and this process's environment put together.
pub fn target(context: &Context) -> Result<Target> {
    let origin = context.layered.origins.get("database.url");
    let name = origin.map_or_else(String::new, ToString::to_string);
    let url = Given { text: &context.profile().database.url, origin: &name };
    let candidates = match origin {
        Some(Origin::Overlay(_) | Origin::Variable(_) | Origin::Flag(_)) => {
            Candidates { asked: url, ..Candidates::default() }
        }
        Some(Origin::File(_) | Origin::Default) | None => {
            Candidates { usual: url, ..Candidates::default() }
        }
    };
    resolve(&candidates, &Environment::of_process())
}

/// Where the database is, and as whom to work there.
pub struct Database {
    target: Target,
    role: String,
    /// The history table as the profile writes it.
    pub history_table: Vec<Ident>,
}

impl std::fmt::Display for Database {
    /// Where it is, without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}

impl Database {
    /// Resolves the connection; does not connect. Shows what is worth a warning.
    pub fn of(context: &Context) -> Result<Database> {
        let profile = context.profile();
        let target = target(context)?;
        target.warnings.iter().for_each(|warning| context.ui.warn(warning));
        Database::at(target, profile)
    }

    /// The database at a URL that a flag gives; the environment adds what it always adds.
    pub fn asked(context: &Context, url: &str, flag: &str) -> Result<Database> {
        let asked = Given { text: url, origin: flag };
        let candidates = Candidates { asked, ..Candidates::default() };
        let target = resolve(&candidates, &Environment::of_process())?;
        target.warnings.iter().for_each(|warning| context.ui.warn(warning));
        Database::at(target, context.profile())
    }

    /// A database of our own server, at `url`: nothing of this machine's environment counts.
    pub fn private(url: &str, profile: &Profile) -> Result<Database> {
        let alone = Environment {
            variables: BTreeMap::new(),
            user: None,
            home: None,
            read: Box::new(|_| Err(std::io::ErrorKind::NotFound.into())),
            exists: Box::new(|_| false),
        };
        let asked = Given { text: url, origin: "the private server" };
        let target = resolve(&Candidates { asked, ..Candidates::default() }, &alone)?;
        Database::at(target, profile)
    }

    /// The database at a target that is resolved.
    pub fn at(target: Target, profile: &Profile) -> Result<Database> {
        let written = &profile.migrations.history_table;
        let history_table = parse_name(written).filter(|parts| parts.len() <= 2);
        let history_table = history_table.ok_or_else(|| {
            Error::usage(format!("migrations.history_table: \"{written}\" is no table name"))
                .hint("write table, or schema.table; quote what needs quotes: \"my schema\".t")
        })?;
        Ok(Database { target, role: profile.database.role.clone(), history_table })
    }

    /// Where it is, for other programs.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens a session that looks.
    pub fn open(&self) -> Result<Session> {
        Session::new(connect(&self.target, LOOKER)?, &self.role)
    }

    /// Opens a session that changes things.
    pub fn open_runner(&self) -> Result<Session> {
        let mut session = Session::new(connect(&self.target, RUNNER)?, &self.role)?;
        session.lift_limits().map_err(|failure| failure.explain("cannot set up a session"))?;
        Ok(session)
    }
}

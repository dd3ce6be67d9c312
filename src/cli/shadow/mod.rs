//! A database without rows that looks to the planner like the one of a snapshot.

use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::Ident;
use crate::model::snapshot::Snapshot;
use crate::model::units::Millis;
use crate::pg::borrowed;
use crate::pg::foretell::{Foretold, foretold};
use crate::pg::imitate::{imitate, load_schema, seclude, settle};
use crate::pg::server::{self, Server as Facts};
use crate::pg::session::Session;
use crate::planner::Migration;
use crate::profile::Profile;
use crate::query_plan::verdict::Mode;
use crate::shadow::server::Server;

use self::home::{Home, same_server};
use super::context::Context;
use super::database::Database;
use super::interrupt;
use super::plan::take::Terms;

mod home;
mod migrate;

pub use self::home::ShadowArgs;
pub use self::migrate::{Migrations, migrations};

/// How plans are asked for: nothing is run, and nobody is in the way.
pub const TERMS: Terms =
    Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout: Millis(0) };

/// Databases that imitate that of a snapshot.
pub struct Shadow<'a> {
    home: Home,
    snapshot: &'a Snapshot,
    profile: Profile,
    stopped: &'a AtomicBool,
    /// What is not as it was where the snapshot was taken.
    pub findings: Vec<Finding>,
}

impl<'a> Shadow<'a> {
    /// Takes the server that is lent, or starts a private one of the snapshot's version, or of the
    /// next best.
    pub fn start(
        context: &Context,
        args: &ShadowArgs,
        snapshot: &'a Snapshot,
        stopped: &'a AtomicBool,
    ) -> Result<Shadow<'a>> {
        let (home, major) = home::open(context, args, snapshot.major(), stopped)?;
        // What the shadow lacks for it is to be known where it is used.
        let is_schema = |one: &&Finding| one.check == "schema-unread";
        let mut findings: Vec<Finding> =
            snapshot.unread.iter().filter(is_schema).cloned().collect();
        if major != snapshot.major() {
            let there = snapshot.major();
            let message = format!("planned by PostgreSQL {major}, not {there}");
            let help = match home {
                Home::Private(_) => {
                    format!("install PostgreSQL {there}, or name its folder with --pg-bin")
                }
                Home::Borrowed(..) => format!("give --shadow-url a server of PostgreSQL {there}"),
            };
            findings.push(
                Finding::new("shadow-version", Severity::Warning, "the shadow", message).help(help),
            );
        }
        // The role to work as is one of the server that is imitated.
        let mut profile = context.profile().clone();
        profile.database.role = String::new();
        Ok(Shadow { home, snapshot, profile, stopped, findings })
    }

    /// Errors where a session is on the server that was lent.
    pub fn refuse_server_of(&mut self, session: &mut Session) -> Result<()> {
        let Home::Borrowed(server, _) = &mut self.home else { return Ok(()) };
        match (borrowed::system_identifier(server.session()), borrowed::system_identifier(session))
        {
            (Some(one), Some(other)) if one == other => Err(same_server("--shadow-url")),
            (_, _) => Ok(()),
        }
    }

    /// Makes a database with nothing in it.
    pub fn create_empty(&mut self, name: &str) -> Result<Database> {
        let roles = self.profile.queries.iter().map(|query| query.role.as_str());
        let found = match &mut self.home {
            Home::Private(server) => {
                let ident = Ident::new(name).map_err(Error::usage)?;
                let mut session = maintenance(server, &self.profile)?;
                server::create_roles(&mut session, roles)?;
                server::create_database_like(&mut session, &ident, None, self.snapshot)?
            }
            Home::Borrowed(server, _) => {
                server::create_roles(server.session(), roles)?;
                server.create(name, self.snapshot)?
            }
        };
        self.findings.extend(found.filter(|found| !self.findings.contains(found)));
        let database = self.database(name)?;
        seclude(&mut database.open_runner()?)?;
        self.set_up(&database)?;
        Ok(database)
    }

    /// Has names without a schema mean what they mean there, to migrations too, and the server
    /// speak English: what is missing is known by its messages.
    fn set_up(&self, database: &Database) -> Result<()> {
        const SEARCH_PATH: &str = "search_path";
        let path = self.snapshot.settings.get(SEARCH_PATH).map(|path| (SEARCH_PATH, path.as_str()));
        let mut session = database.open_runner()?;
        for (name, value) in path.into_iter().chain([("lc_messages", "C")]) {
            server::set_for_database(&mut session, name, value)?;
        }
        Ok(())
    }

    /// Makes a database with the snapshot's schema; `applied` makes it where the snapshot has none.
    pub fn create(&mut self, name: &str, applied: &[Migration]) -> Result<Database> {
        let database = self.create_empty(name)?;
        match &self.snapshot.ddl {
            Some(ddl) => {
                let mut session = database.open_runner()?;
                let load = |session: &mut Session| load_schema(session, ddl, self.stopped);
                let found = unless_stopped(&mut session, self.stopped, load)?;
                self.findings.extend(found);
            }
            None => {
                let left_out = self.migrate(&database, applied)?;
                self.findings.extend(left_out);
            }
        }
        let mut session = database.open_runner()?;
        settle(&mut session)?;
        server::privilege(&mut session, &self.snapshot.roles)?;
        Ok(database)
    }

    /// Makes a database with the schema of another, to which nobody may be connected.
    pub fn copy(&mut self, from: &str, name: &str) -> Result<Database> {
        match &mut self.home {
            Home::Private(server) => {
                let ident = |name| Ident::new(name).map_err(Error::usage);
                let mut session = maintenance(server, &self.profile)?;
                server::copy_database(&mut session, &ident(from)?, &ident(name)?, None)?;
                server::checkpoint(&mut session)?;
            }
            Home::Borrowed(server, _) => server.copy(from, name)?,
        }
        let database = self.database(name)?;
        self.set_up(&database)?;
        Ok(database)
    }

    fn database(&self, name: &str) -> Result<Database> {
        match &self.home {
            Home::Private(server) => Database::private(&server.url(name), &self.profile),
            Home::Borrowed(server, _) => Database::at(server.target(name), &self.profile),
        }
    }

    /// Makes the planner see what the snapshot says, and opens a session that plans as there.
    pub fn imitate(&mut self, database: &Database) -> Result<(Session, Facts)> {
        self.imitate_as(database, self.snapshot)
    }

    /// The snapshot as it will be after the migrations that have changed a database since it was
    /// copied from `before`, which has to plan as the snapshot says.
    pub fn foretell(&self, before: &mut Session, database: &Database) -> Result<Foretold> {
        foretold(before, &mut database.open()?, self.snapshot)
    }

    /// Makes the planner see what another snapshot says.
    pub fn imitate_as(
        &mut self,
        database: &Database,
        snapshot: &Snapshot,
    ) -> Result<(Session, Facts)> {
        let mut session = database.open_runner()?;
        // The history is read while its table is short: afterwards it is as long as any.
        let facts = server::look(&mut session, &database.history_table)?;
        let imitate = |session: &mut Session| imitate(session, snapshot);
        for finding in unless_stopped(&mut session, self.stopped, imitate)? {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        // A server of others may have been tuned.
        let mut settings = server::planner_defaults(&mut session)?;
        settings.extend(self.snapshot.settings.clone());
        for (name, value) in &settings {
            server::set_for_database(&mut session, name, value)?;
        }
        drop(session);
        Ok((database.open()?, facts))
    }
}

/// Does `work`, and errors where somebody wants it no more: what runs is cancelled.
fn unless_stopped<T>(
    session: &mut Session,
    stopped: &AtomicBool,
    work: impl FnOnce(&mut Session) -> Result<T>,
) -> Result<T> {
    let canceler = session.canceler();
    let done = interrupt::cancelling(&canceler, stopped, || work(session));
    interrupt::check(stopped)?;
    done
}

fn maintenance(server: &Server, profile: &Profile) -> Result<Session> {
    Database::private(&server.url("postgres"), profile)?.open()
}

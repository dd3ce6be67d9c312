//! A shadow's life on a server that somebody lends: databases and roles of its own there, and
//! nothing else. One run at a time, since roles belong to all databases: it holds the runner lock
//! of the database `postgres`, which the server gives back however the run ends. So whoever gets
//! the lock may drop what bears our mark: nobody needs it any more.

use crate::error::{Error, Kind, Result};
use crate::model::finding::Finding;
use crate::model::ident::Ident;
use crate::model::snapshot::Snapshot;
use crate::model::units::Millis;
use crate::pg::borrowed::{self, Facts};
use crate::pg::connect::connect;
use crate::pg::connect::target::Target;
use crate::pg::runner_lock::{self, Holder, RunnerLock};
use crate::pg::server;
use crate::pg::session::Session;

/// The database that every server has: what is done to the server is done from there.
const MAINTENANCE: &str = "postgres";
/// `application_name` of the session that holds the lock.
const PURPOSE: &str = "pgtune shadow";

/// How a server is taken over.
pub struct Terms<'a> {
    /// The system identifier of a server that is not to be taken.
    pub spared: Option<i64>,
    /// Whether others may use it, or hold data there.
    pub is_shared: bool,
    /// How long to wait for another shadow there.
    pub wait: Millis,
    /// Hears whom the wait is for.
    pub tell: &'a mut dyn FnMut(&Holder),
    /// Whether the user wants the run to end.
    pub stop: &'a dyn Fn() -> bool,
}

/// A server that is borrowed.
pub struct Borrowed {
    target: Target,
    lock: RunnerLock,
    owner: Ident,
    facts: Facts,
}

impl Borrowed {
    /// Takes a server over, after other shadows there have ended, and removes what those left that
    /// were killed.
    ///
    /// `None` where it is the one to be spared. Errors where it cannot hold a shadow, or should
    /// not.
    pub fn take_over(mut target: Target, terms: Terms<'_>) -> Result<Option<Borrowed>> {
        target.database = MAINTENANCE.to_string();
        // Sessions shall be as the snapshot says.
        target.options = None;
        let mut session = Session::new(connect(&target, PURPOSE)?, "")?;
        let facts = borrowed::look(&mut session)?;
        if terms.spared.is_some() && borrowed::system_identifier(&mut session) == terms.spared {
            return Ok(None);
        }
        if !terms.is_shared {
            borrowed::refuse_others(&mut session)?;
        }
        let mut lock = runner_lock::acquire(session, terms.wait, terms.tell, terms.stop)
            .map_err(|error| waited(error, terms.wait))?;
        let pid = Session::new(connect(&target, PURPOSE)?, "")?.learn_pid();
        lock.refuse_pooler(pid.map_err(|failure| failure.explain("cannot open another session"))?)?;
        borrowed::sweep(lock.session())?;
        borrowed::refuse_without_tools(lock.session())?;
        let random: String = (0..16).map(|_| fastrand::digit(16)).collect();
        let owner = Ident::new(format!("pgtune_shadow_{random}")).map_err(Error::usage)?;
        borrowed::make_owner(lock.session(), &owner, &facts)?;
        Ok(Some(Borrowed { target, lock, owner, facts }))
    }

    /// What the server is.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The session that holds the lock.
    pub fn session(&mut self) -> &mut Session {
        self.lock.session()
    }

    /// Where the shadow's database `name` is.
    pub fn target(&self, name: &str) -> Target {
        Target { database: self.database(name), ..self.target.clone() }
    }

    fn database(&self, name: &str) -> String {
        format!("{}_{name}", self.owner.as_str())
    }

    /// Makes a database that orders text as that of the snapshot, or a finding says why not.
    pub fn create(&mut self, name: &str, snapshot: &Snapshot) -> Result<Option<Finding>> {
        let name = Ident::new(self.database(name)).map_err(Error::usage)?;
        let session = self.lock.session();
        let found = server::create_database_like(session, &name, Some(&self.owner), snapshot)?;
        borrowed::mark_database(session, &name)?;
        Ok(found)
    }

    /// Makes a copy of a database, to which nobody may be connected.
    pub fn copy(&mut self, from: &str, name: &str) -> Result<()> {
        let [from, name] = [from, name].map(|name| Ident::new(self.database(name)));
        let (from, name) = (from.map_err(Error::usage)?, name.map_err(Error::usage)?);
        let session = self.lock.session();
        server::copy_database(session, &from, &name, Some(&self.owner))?;
        borrowed::mark_database(session, &name)
    }

    /// Drops all that is ours. Errors with what is left.
    pub fn clear(&mut self) -> Result<()> {
        borrowed::sweep(self.lock.session())
    }
}

/// What helps those who waited for long.
fn waited(error: Error, wait: Millis) -> Error {
    match error.kind {
        Kind::Locked => Error {
            hints: vec![
                "one pgtune at a time has a shadow on a server; limits.runner_wait is how long \
                 others wait"
                    .to_string(),
            ],
            ..Error::new(Kind::Locked, format!("the shadow's server was in use for {wait}"))
        },
        Kind::Answer
        | Kind::Usage
        | Kind::Database
        | Kind::Stopped
        | Kind::System
        | Kind::Interrupted
        | Kind::Bug => error,
    }
}

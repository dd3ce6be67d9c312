//! The one error type: a kind to branch on, a message and hints to show, an exit code to leave by.

use std::fmt;

use crate::model::finding::Place;
use crate::model::migration::StatementPlace;

/// What went wrong, as far as the caller may act on it. Each kind is one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The question was answered, and the answer is no: findings, drift, a diverged migration.
    Answer,
    /// Asked wrongly: flags, profile, migration files.
    Usage,
    /// The database refused, or cannot be reached.
    Database,
    /// Gave up waiting for a lock; nothing is half-done.
    Locked,
    /// Stopped between steps; run the same command again to continue.
    Stopped,
    /// The operating system refused: files, folders, processes.
    System,
    /// A user or a supervisor asked us to stop.
    Interrupted,
    /// pgtune is wrong.
    Bug,
}

impl Kind {
    /// The process exit code; documented in `docs/exit-codes.md` and part of the interface.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Answer => 1,
            Kind::Usage => 2,
            Kind::Database => 3,
            Kind::Locked => 4,
            Kind::Stopped => 5,
            Kind::System => 6,
            Kind::Bug => 70,
            Kind::Interrupted => 130,
        }
    }

    /// The kind of an exit code.
    pub fn of_exit_code(code: u8) -> Option<Kind> {
        const KINDS: [Kind; 8] = [
            Kind::Answer,
            Kind::Usage,
            Kind::Database,
            Kind::Locked,
            Kind::Stopped,
            Kind::System,
            Kind::Interrupted,
            Kind::Bug,
        ];
        KINDS.into_iter().find(|kind| kind.exit_code() == code)
    }
}

/// An error to show: `message` says what happened (a lowercase fragment), `hints` what to do.
#[derive(Debug)]
pub struct Error {
    /// What the caller may branch on.
    pub kind: Kind,
    /// What happened and where, in lowercase, without a final stop.
    pub message: String,
    /// Commands, flags or statements that help.
    pub hints: Vec<String>,
    /// The error below this one, shown as "caused by".
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// The step of a migration that the server refused.
    pub refused: Option<Box<Refused>>,
    /// The line of a file of the user's that is wrong.
    pub place: Option<Box<Place>>,
}

/// A step of a migration that the server refused, and would again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The statement that was run, or stood for.
    pub at: Option<StatementPlace>,
    /// SQLSTATE
    pub code: String,
    /// What the server, or we, advise for that; not what the run has left behind.
    pub advice: Vec<String>,
}

/// Everything fallible in pgtune returns this.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`, without hints or cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        let (message, hints) = (message.into(), Vec::new());
        Error { kind, message, hints, source: None, refused: None, place: None }
    }

    /// Asked wrongly: flags, profile, migration files.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// The operating system refused; `doing` says what we wanted ("read the profile pgtune.toml").
    pub fn system(doing: impl fmt::Display, source: std::io::Error) -> Error {
        Error::new(Kind::System, format!("cannot {doing}")).caused_by(source)
    }

    /// Says which line of a file is wrong.
    pub fn at(mut self, path: impl Into<String>, line: usize) -> Error {
        self.place = Some(Box::new(Place { path: path.into(), line }));
        self
    }

    /// Adds one thing the user can do.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// Adds the error below this one.
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done in front of the message.
    pub fn context(mut self, doing: impl fmt::Display) -> Error {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The chain of causes below the message, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(error) = next {
            let text = error.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            next = error.source();
        }
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

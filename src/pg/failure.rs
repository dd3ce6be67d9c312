//! What the server refused, and the one place that decides whether to try again.

use postgres::error::{ErrorPosition, SqlState};

use crate::error::{Error, Kind};

/// Begins the codes of failures that are no server's; the exit code follows.
const OWN_CODE: &str = "PT";

/// A statement's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// SQLSTATE; empty where the connection broke.
    pub code: String,
    /// The server's message.
    pub message: String,
    /// The server's detail and context lines.
    pub details: Vec<String>,
    /// The server's own hint.
    pub hint: Option<String>,
    /// Where in the message sent the error is: characters from 1.
    pub position: Option<usize>,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody was in the way: try again if nothing of the unit is committed.
    Retry,
    /// Cancelled: by us, by an administrator, or by a timeout.
    Cancelled,
    /// The connection is gone; what was sent may or may not have taken effect.
    Gone,
    /// It will fail again.
    Fatal,
}

impl Failure {
    /// Reads an error of the driver.
    pub fn of(error: &postgres::Error) -> Failure {
        let Some(db) = error.as_db_error() else { return Failure::broken(error) };
        let position = match db.position() {
            Some(ErrorPosition::Original(at)) => Some(*at as usize),
            Some(ErrorPosition::Internal { .. }) | None => None,
        };
        let details = [db.detail(), db.where_()].into_iter().flatten();
        Failure {
            code: db.code().code().to_string(),
            message: db.message().to_string(),
            details: details.map(str::to_string).collect(),
            hint: db.hint().map(str::to_string),
            position,
        }
    }

    /// Reads an error of a COPY's reader, which wraps the driver's.
    pub fn of_read(error: &std::io::Error) -> Failure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<postgres::Error>());
        inner.map_or_else(|| Failure::broken(error), Failure::of)
    }

    /// What is no statement's failure, for those who know only these: an archive's trouble. Its
    /// code is none of PostgreSQL's own where nothing is to be said of it.
    pub fn told(error: &Error) -> Failure {
        let code = match error.kind {
            Kind::Locked => "55P03".to_string(),
            Kind::Interrupted => "57014".to_string(),
            kind @ (Kind::Answer
            | Kind::Usage
            | Kind::Database
            | Kind::Stopped
            | Kind::System
            | Kind::Bug) => format!("{OWN_CODE}{:03}", kind.exit_code()),
        };
        Failure {
            code,
            message: error.message.clone(),
            details: error.causes(),
            hint: error.hints.first().cloned(),
            position: None,
        }
    }

    /// A statement got another number of values than it has parameters.
    pub fn wrong_parameters(wanted: usize, given: usize) -> Failure {
        let message =
            format!("the statement has {wanted} parameters, and {given} values are given");
        let code = SqlState::SYNTAX_ERROR.code().to_string();
        Failure { code, message, details: Vec::new(), hint: None, position: None }
    }

    /// A query is none, or several statements.
    pub fn not_one_statement(message: String) -> Failure {
        let code = SqlState::SYNTAX_ERROR.code().to_string();
        Failure { code, message, details: Vec::new(), hint: None, position: None }
    }

    /// As if the server had been asked to cancel.
    pub fn interrupted() -> Failure {
        let (code, message) = ("57014".to_string(), "interrupted".to_string());
        Failure { code, message, details: Vec::new(), hint: None, position: None }
    }

    fn broken(error: &dyn std::error::Error) -> Failure {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Failure { code: String::new(), message, details: Vec::new(), hint: None, position: None }
    }

    /// Whether a detach was begun before and has to be finished.
    pub fn is_half_done(&self) -> bool {
        self.code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE.code()
    }

    /// Whether to try again. The only place in the program that judges an SQLSTATE.
    pub fn verdict(&self) -> Verdict {
        match self.code.as_str() {
            // lock_not_available, deadlock_detected, serialization_failure
            "55P03" | "40P01" | "40001" => Verdict::Retry,
            // query_canceled
            "57014" => Verdict::Cancelled,
            // admin_shutdown, crash_shutdown, cannot_connect_now, idle-session timeout
            "" | "57P01" | "57P02" | "57P03" | "57P05" => Verdict::Gone,
            code if code.starts_with("08") => Verdict::Gone,
            _ => Verdict::Fatal,
        }
    }

    /// Whether not the table is in trouble, but what all of them need: a disk that is full, a store
    /// that is down.
    pub fn is_of_the_system(&self) -> bool {
        self.code == format!("{OWN_CODE}{:03}", Kind::System.exit_code())
    }

    /// Whether the statement is to blame, and not the server: its resources, its files, itself.
    pub fn is_of_the_statement(&self) -> bool {
        let is_of_the_server = ["53", "58", "F0", "XX", OWN_CODE];
        self.verdict() == Verdict::Fatal
            && !is_of_the_server.iter().any(|class| self.code.starts_with(class))
    }

    /// Whether the role may not do it.
    pub fn lacks_a_right(&self) -> bool {
        self.code == SqlState::INSUFFICIENT_PRIVILEGE.code()
    }

    /// Whether something of that name exists already (duplicate_table).
    pub fn is_duplicate(&self) -> bool {
        self.code == "42P07"
    }

    /// As an error to show; `doing` says what was being done.
    pub fn explain(&self, doing: &str) -> Error {
        let own = self.code.strip_prefix(OWN_CODE).and_then(|code| code.parse().ok());
        let kind = match (self.verdict(), own.and_then(Kind::of_exit_code)) {
            (_, Some(kind)) => kind,
            (Verdict::Retry, None) => Kind::Locked,
            (Verdict::Cancelled | Verdict::Gone | Verdict::Fatal, None) => Kind::Database,
        };
        let code = match self.code.as_str() {
            code if code.is_empty() || own.is_some() => String::new(),
            code => format!(" ({code})"),
        };
        let mut error = Error::new(kind, format!("{doing}: {}{code}", self.message));
        if !self.details.is_empty() {
            error = error.caused_by(self.details.join("; "));
        }
        let hints = self.hint.iter().map(String::as_str).chain(self.advice());
        hints.fold(error, Error::hint)
    }

    /// What helps against failures that migrations commonly meet.
    fn advice(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "57014" if self.message.contains("statement timeout") => {
                "raise limits.statement_timeout, or set it to 0"
            }
            "57014" => "somebody cancelled it; run the same command again",
            "53100" => "free disk space on the server, then run the same command again",
            "42501" => "grant the role what it lacks, or set database.role to one that has it",
            "25006" => "connect to the primary: this server is read-only",
            "53300" => "lower limits.lanes, or raise the server's max_connections",
            "55P03" | "40P01" => "try again when it is quieter, or raise limits.lock_deadline",
            code if code.is_empty() || code.starts_with("57P") || code.starts_with("08") => {
                "run the same command again: it finds out what took effect and goes on from there"
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_for_others_is_tried_again() {
        let verdict = |code: &str| {
            let code = code.to_string();
            let message = String::new();
            Failure { code, message, details: Vec::new(), hint: None, position: None }.verdict()
        };
        assert_eq!(verdict("55P03"), Verdict::Retry);
        assert_eq!(verdict("40P01"), Verdict::Retry);
        assert_eq!(verdict("57014"), Verdict::Cancelled);
        assert_eq!(verdict("57P01"), Verdict::Gone);
        assert_eq!(verdict("08006"), Verdict::Gone);
        assert_eq!(verdict(""), Verdict::Gone);
        for fatal in ["42P07", "23505", "53100", "42501", "25006", "XX000"] {
            assert_eq!(verdict(fatal), Verdict::Fatal, "{fatal}");
        }
    }
}

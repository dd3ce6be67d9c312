//! Why a query has no plan, and what to do about it: a finding each.

use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::model::units::plural;
use crate::pg::failure::{Failure, Verdict};
use crate::query_plan::verdict::Outcome;
use crate::sql::query::Refusal as NotOne;

/// SQLSTATE of a table, a schema, that is not there.
const NO_SUCH_RELATION: [&str; 2] = ["42P01", "3F000"];
/// SQLSTATE of what a role may not do.
const NO_RIGHT: &str = "42501";

/// Why a query has no plan.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// As it is remembered.
    pub outcome: Outcome,
    /// The name of the finding.
    check: &'static str,
    /// What to do.
    help: &'static str,
}

impl Refusal {
    fn new(check: &'static str, message: String, help: &'static str) -> Refusal {
        Refusal { outcome: Outcome::Error(message), check, help }
    }

    /// What the server refused. Errors where the server is gone.
    pub fn of(failure: Failure, query: &str) -> Result<Refusal> {
        Ok(match failure.verdict() {
            Verdict::Gone => return Err(failure.explain(&format!("cannot plan {query}"))),
            Verdict::Cancelled => Refusal {
                outcome: Outcome::TimedOut(failure.message),
                check: "query-times-out",
                help: "--timeout allows more",
            },
            Verdict::Retry => Refusal {
                outcome: Outcome::Locked(failure.message),
                check: "query-fails",
                help: "somebody holds a lock on one of its tables; try again",
            },
            Verdict::Fatal if NO_SUCH_RELATION.contains(&failure.code.as_str()) => Refusal::new(
                "query-table-missing",
                failure.message,
                "a temporary table of the application has to be a table of the schema here; one \
                 of another schema needs search_path in the query's settings",
            ),
            Verdict::Fatal if failure.code == NO_RIGHT => Refusal::new(
                "query-may-not",
                failure.message,
                "`role` of the query says whom to plan it as",
            ),
            Verdict::Fatal => Refusal::new("query-fails", failure.message, ""),
        })
    }

    /// It is none, or several statements.
    pub fn not_one_statement(why: &NotOne) -> Refusal {
        let help = match why {
            NotOne::Several(_) => "make each statement a query of its own",
            NotOne::Nothing | NotOne::NoSql(_) => "",
        };
        Refusal::new("query-not-one-statement", why.to_string(), help)
    }

    /// EXPLAIN does not take it.
    pub fn no_query() -> Refusal {
        Refusal::new(
            "query-has-no-plan",
            "EXPLAIN does not take such a statement".to_string(),
            "SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES and TABLE have plans",
        )
    }

    /// Its role cannot be one.
    pub fn role(message: &str) -> Refusal {
        Refusal::new("query-fails", format!("role: {message}"), "")
    }

    /// It has too few values, or too many, and `lacks` says why none could be chosen.
    pub fn values(wanted: usize, given: usize, lacks: &str) -> Refusal {
        let are = if given == 1 { "is" } else { "are" };
        let why = if lacks.is_empty() { String::new() } else { format!("; {lacks}") };
        Refusal::new(
            "query-parameter-missing",
            format!(
                "it takes {}, and {given} {} given{why}",
                plural(wanted, "value", "values"),
                are
            ),
            "`parameters` of the query holds its sets of values",
        )
    }

    /// The server's answer is no plan that can be read.
    pub fn unreadable(message: String) -> Refusal {
        Refusal::new("query-has-no-plan", message, "")
    }

    /// As a finding; its subject is for the caller to say.
    pub fn finding(&self) -> Finding {
        let message = match &self.outcome {
            Outcome::Error(message) | Outcome::TimedOut(message) | Outcome::Locked(message) => {
                message.as_str()
            }
            Outcome::Plan(_) => "",
        };
        Finding::new(self.check, Severity::Error, "", message).help(self.help)
    }
}

/// A query that was run and writes: rolled back, but not without a trace.
pub fn writes(what: &str) -> Finding {
    let message = format!("{what}: it was run and rolled back");
    Finding::new("query-writes", Severity::Warning, "", message)
        .help("sequences went on, and its triggers ran; --mode estimate runs nothing")
}

//! A finding: the one currency of everything that looks and judges.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// The answer is no.
    Error,
}

/// Something a check has to say about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name of the check, in kebab case; users may search for it.
    pub check: String,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: a migration, a relation, a file.
    pub subject: String,
    /// What is the case, as a lowercase fragment.
    pub message: String,
    /// What to do about it; empty where nothing needs doing.
    pub help: String,
    /// Where in a file it is, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<Box<Place>>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, as to be shown.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
}

impl Finding {
    /// A finding without help; add it with [`Finding::help`].
    pub fn new(
        check: &str,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            check: check.to_string(),
            severity,
            subject: subject.into(),
            message: message.into(),
            help: String::new(),
            place: None,
        }
    }

    /// Says what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = help.into();
        self
    }

    /// Says where in a file it is.
    pub fn at(mut self, path: impl Into<String>, line: usize) -> Finding {
        self.place = Some(Box::new(Place { path: path.into(), line }));
        self
    }
}

/// Whether any finding is an error.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Error)
}

//! The answer of a check in one line: whether what it looked at may be deployed. Pure.

use serde::Serialize;

use crate::model::finding::{Finding, Place, Severity};
use crate::model::units::plural;

/// What a check comes to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Verdict {
    /// Whether nothing speaks against it.
    pub passed: bool,
    /// The same in words.
    pub words: String,
    /// What was looked at.
    pub checked: Vec<Checked>,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// What it is: `migration`, `query`.
    pub kind: &'static str,
    /// Its name, which is the subject of findings about it.
    pub name: String,
    /// Where it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Verdict {
    /// The verdict of these findings: errors speak against it.
    pub fn of<'a>(
        findings: impl IntoIterator<Item = &'a Finding>,
        checked: Vec<Checked>,
    ) -> Verdict {
        let severities: Vec<Severity> = findings.into_iter().map(|one| one.severity).collect();
        let count = |wanted| severities.iter().filter(|severity| **severity == wanted).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let mut figures = Vec::new();
        if errors > 0 {
            figures.push(plural(errors, "error", "errors"));
        }
        if warnings > 0 {
            figures.push(plural(warnings, "warning", "warnings"));
        }
        let of_kind = |kind| checked.iter().filter(|one| one.kind == kind).count();
        let told = [("migration", "migrations"), ("query", "queries")]
            .map(|(one, many)| (of_kind(one), one, many))
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, many)| plural(count, one, many));
        let told = told.collect::<Vec<_>>().join(" and ");
        let answer = if errors > 0 { "should not be deployed" } else { "may be deployed" };
        let figures = if figures.is_empty() { vec!["no findings".to_string()] } else { figures };
        let subjects = if told.is_empty() { String::new() } else { format!(" in {told}") };
        let words = format!("{answer}: {}{subjects}", figures.join(", "));
        Verdict { passed: errors == 0, words, checked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_alone_speak_against_it() {
        let finding = |severity| Finding::new("a", severity, "b", "c");
        let checked = |kind| Checked { kind, name: "x".to_string(), place: None };
        let both = vec![checked("query"), checked("migration"), checked("query")];
        let warned = Verdict::of(&[finding(Severity::Warning), finding(Severity::Info)], both);
        assert!(warned.passed);
        assert_eq!(warned.words, "may be deployed: 1 warning in 1 migration and 2 queries");
        let refused = [finding(Severity::Error), finding(Severity::Error)];
        let refused = Verdict::of(&refused, Vec::new());
        assert!(!refused.passed);
        assert_eq!(refused.words, "should not be deployed: 2 errors");
        assert_eq!(Verdict::of(&[], Vec::new()).words, "may be deployed: no findings");
    }
}

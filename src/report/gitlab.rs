//! Findings as GitLab's Code Quality report (a subset of Code Climate's JSON).

use serde_json::{Value, json};

use super::Report;
use super::fingerprint::fingerprints;
use crate::model::finding::{Finding, Severity};

/// The findings as JSON. GitLab wants a line of a file for each: those without one are shown on
/// the first line of `fallback`.
pub fn render(report: &Report, fallback: &str) -> String {
    let findings: Vec<&Finding> = report.all_findings().collect();
    let names = fingerprints(&findings);
    let issues = findings.iter().zip(names).map(|(finding, name)| issue(finding, &name, fallback));
    let issues = Value::Array(issues.collect());
    format!("{issues:#}\n")
}

fn issue(finding: &Finding, fingerprint: &str, fallback: &str) -> Value {
    let Finding { check, severity, subject, message, help, place } = finding;
    let (path, line) = place.as_ref().map_or((fallback, 1), |at| (at.path.as_str(), at.line));
    json!({
        "description": format!("{subject}: {message}"),
        "content": { "body": help },
        "check_name": check,
        "fingerprint": fingerprint,
        "severity": match severity {
            Severity::Info => "info",
            Severity::Warning => "minor",
            Severity::Error => "critical",
        },
        "categories": ["Performance"],
        "type": "issue",
        "location": { "path": path.trim_start_matches("./"), "lines": { "begin": line.max(1) } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{HOSTILE, checked};

    #[test]
    fn each_finding_has_what_gitlab_needs() {
        let issues: Vec<Value> = serde_json::from_str(&render(&checked(), "pgtune.toml")).unwrap();
        assert_eq!(issues.len(), 3);
        assert_eq!(issues[0]["location"]["path"], "pgtune.toml");
        assert_eq!(issues[0]["location"]["lines"]["begin"], 1);
        assert_eq!(issues[1]["severity"], "minor");
        assert_eq!(issues[1]["location"]["path"], "migrations/V2__wide.sql");
        assert_eq!(issues[1]["location"]["lines"]["begin"], 3);
        assert_eq!(issues[2]["description"], format!("{HOSTILE}: {HOSTILE}"));
        assert_eq!(render(&Report::new(""), "x"), "[]\n");
    }
}

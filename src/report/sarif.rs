//! Findings as SARIF 2.1.0 (OASIS), which GitHub's code scanning and editors read.

use serde_json::{Value, json};

use super::Report;
use super::fingerprint::fingerprints;
use super::template::url_path;
use crate::model::finding::{Finding, Severity};

/// The findings as JSON. GitHub refuses results without a file: those are said to be on the first
/// line of `fallback`.
pub fn render(report: &Report, fallback: &str) -> String {
    let findings: Vec<&Finding> = report.all_findings().collect();
    let mut checks: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    checks.sort_unstable();
    checks.dedup();
    let rules: Vec<Value> = checks.iter().map(|check| rule(check, &findings)).collect();
    let names = fingerprints(&findings);
    let results: Vec<Value> = findings
        .iter()
        .zip(names)
        .map(|(finding, name)| {
            let index = checks.binary_search(&finding.check.as_str()).unwrap_or_default();
            result(finding, index, &name, fallback)
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "pgtune",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "%SRCROOT%": {
                "description": { "text": "the folder that pgtune was run in" },
            }},
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

/// What a check is, told by its findings: its name in words, its worst level, its first help.
fn rule(check: &str, findings: &[&Finding]) -> Value {
    let own = || findings.iter().filter(|finding| finding.check == check);
    let worst = own().map(|finding| finding.severity).max().unwrap_or(Severity::Info);
    let help = own().map(|finding| finding.help.as_str()).find(|help| !help.is_empty());
    let words = check.replace('-', " ");
    json!({
        "id": check,
        "shortDescription": { "text": words },
        "help": { "text": help.unwrap_or(&words) },
        "defaultConfiguration": { "level": level(worst) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn result(finding: &Finding, rule_index: usize, fingerprint: &str, fallback: &str) -> Value {
    let Finding { check, severity, subject, message, help, place } = finding;
    let (path, line) = place.as_ref().map_or((fallback, 1), |at| (at.path.as_str(), at.line));
    let help = if help.is_empty() { String::new() } else { format!("\n{help}") };
    json!({
        "ruleId": check,
        "ruleIndex": rule_index,
        "level": level(*severity),
        "message": { "text": format!("{subject}: {message}{help}") },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {
                    "uri": url_path(path.trim_start_matches("./")),
                    "uriBaseId": "%SRCROOT%",
                },
                "region": { "startLine": line.max(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": subject }],
        }],
        "partialFingerprints": { "pgtune/v1": fingerprint },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{HOSTILE, checked};

    /// What the schema demands of a log, as far as it is written here.
    fn assert_sarif(log: &Value) {
        assert_eq!(log["version"], "2.1.0");
        for run in log["runs"].as_array().unwrap() {
            let driver = &run["tool"]["driver"];
            assert!(driver["name"].is_string() && driver["informationUri"].is_string());
            let rules = driver["rules"].as_array().unwrap();
            let mut ids: Vec<&str> =
                rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
            let count = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), count, "rules have ids of their own");
            for text in rules.iter().flat_map(|r| [&r["shortDescription"], &r["help"]]) {
                assert!(!text["text"].as_str().unwrap().is_empty());
            }
            for result in run["results"].as_array().unwrap() {
                let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
                assert_eq!(rules[index]["id"], result["ruleId"]);
                let level = result["level"].as_str().unwrap();
                assert!(["none", "note", "warning", "error"].contains(&level));
                assert!(!result["message"]["text"].as_str().unwrap().is_empty());
                let place = &result["locations"][0]["physicalLocation"];
                let uri = place["artifactLocation"]["uri"].as_str().unwrap();
                assert!(uri.is_ascii() && !uri.starts_with('/') && !uri.contains([' ', ':']));
                assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
                assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
                assert!(result["partialFingerprints"]["pgtune/v1"].is_string());
            }
        }
    }

    #[test]
    fn it_is_what_the_standard_says() {
        let log: Value = serde_json::from_str(&render(&checked(), "pgtune.toml")).unwrap();
        assert_sarif(&log);
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        let uri =
            |at: usize| &results[at]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(uri(0), "pgtune.toml");
        assert_eq!(uri(1), "migrations/V2__wide.sql");
        assert_eq!(uri(2), "a%20b/100%25%2C%3A%C3%BC.sql");
        assert_eq!(results[2]["message"]["text"], format!("{HOSTILE}: {HOSTILE}\n{HOSTILE}"));
        let rule = &log["runs"][0]["tool"]["driver"]["rules"][2];
        assert_eq!(rule["help"]["text"], "add a column, fill it in batches, then swap");
        let empty: Value = serde_json::from_str(&render(&Report::new(""), "x")).unwrap();
        assert_sarif(&empty);
        assert_eq!(empty["runs"][0]["results"], json!([]));
    }
}

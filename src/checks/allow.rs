//! What is allowed although a check finds it: by `[[check.allow]]` of the profile, for any finding,
//! and by a comment in front of a statement, for what stands in its lines.
//!
//! Each needs a reason. One that is over allows nothing and says so; one that allows nothing is
//! told too, so that none outlives what it was for.

use chrono::NaiveDate;

use super::drift::DRIFT;
use super::dropped::DROPPED_SCANNED;
use super::lint::File;
use super::lint::table::CHECKS;
use super::plans::{DROPPED_IN_USE, PLAN_CHANGED, PLAN_WORSE, QUERY_FAILS};
use crate::model::check::Allow;
use crate::model::finding::{Finding, Place, Severity};
use crate::model::suggest::nearest;
use crate::sql::split::newlines;
use crate::sql::{Mark, Statement};

/// Something that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The check.
    check: String,
    /// What the finding has to be about; empty for anything.
    subject: String,
    /// The last day.
    until: Option<NaiveDate>,
    /// The lines that it holds for; `None` for all.
    lines: Option<Lines>,
}

/// The lines of a statement and of the comment that is about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lines {
    comment: Place,
    from: usize,
    to: usize,
}

/// How to write one.
const FORM: &str = "write -- pgtune: allow CHECK until 2027-01-01: reason";

/// What the profile allows. It was checked when it was read.
pub fn of_profile(allowed: &[Allow]) -> Vec<Allowance> {
    let allowance = |allow: &Allow| Allowance {
        check: allow.check.clone(),
        subject: allow.subject.clone(),
        until: allow.last_day().unwrap_or_default(),
        lines: None,
    };
    allowed.iter().map(allowance).collect()
}

/// What comments of a file allow, and what is wrong with them.
pub fn of_comments(file: &File<'_>) -> (Vec<Allowance>, Vec<Finding>) {
    let (mut allowances, mut findings) = (Vec::new(), Vec::new());
    for statement in file.statements {
        for mark in &statement.marks {
            match of_comment(file.path, statement, mark) {
                Ok(allowance) => allowances.push(allowance),
                Err(finding) => findings.push(finding),
            }
        }
    }
    (allowances, findings)
}

/// `allow CHECK: reason` or `allow CHECK until DAY: reason`
fn of_comment(path: &str, statement: &Statement, mark: &Mark) -> Result<Allowance, Finding> {
    let wrong = |check: &str, message: String| {
        Err(Finding::new(check, Severity::Error, "a comment to pgtune", message)
            .help(FORM)
            .at(path, mark.line))
    };
    let (head, reason) = mark.text.split_once(':').unwrap_or((&mark.text, ""));
    let words: Vec<&str> = head.split_whitespace().collect();
    let (check, day) = match words.as_slice() {
        ["allow", check] => (*check, ""),
        ["allow", check, "until", day] => (*check, *day),
        _ => return wrong("allow-unreadable", format!("`{}` is not understood", mark.text)),
    };
    if reason.trim().is_empty() {
        return wrong("allow-without-reason", format!("it does not say why {check} is allowed"));
    }
    let allow = Allow { until: day.to_string(), ..Allow::default() };
    let until = match allow.last_day() {
        Ok(until) => until,
        Err(why) => return wrong("allow-unreadable", why),
    };
    let comment = Place { path: path.to_string(), line: mark.line };
    let from = statement.line.min(mark.line);
    let lines = Some(Lines { comment, from, to: statement.line + newlines(&statement.text) });
    Ok(Allowance { check: check.to_string(), subject: String::new(), until, lines })
}

impl Allowance {
    fn is_about(&self, finding: &Finding) -> bool {
        let in_lines = |lines: &Lines| {
            finding.place.as_ref().is_some_and(|place| {
                place.path == lines.comment.path && (lines.from..=lines.to).contains(&place.line)
            })
        };
        self.check == finding.check
            && (self.subject.is_empty() || self.subject == finding.subject)
            && self.lines.as_ref().is_none_or(in_lines)
    }

    fn is_over(&self, today: NaiveDate) -> bool {
        self.until.is_some_and(|last| last < today)
    }

    /// Something to say about it.
    fn says(&self, check: &str, severity: Severity, message: String, help: &str) -> Finding {
        let finding = Finding::new(check, severity, self.check.as_str(), message).help(help);
        match &self.lines {
            Some(lines) => finding.at(lines.comment.path.as_str(), lines.comment.line),
            None => finding,
        }
    }
}

/// The findings that are not allowed, and what is to be said of the allowances.
pub fn without_allowed(
    findings: Vec<Finding>,
    allowances: &[Allowance],
    today: NaiveDate,
) -> Vec<Finding> {
    let mut about = Vec::new();
    for allowance in allowances {
        let is_used = findings.iter().any(|finding| allowance.is_about(finding));
        if is_used && allowance.is_over(today) {
            let last = allowance.until.map(|day| day.to_string()).unwrap_or_default();
            let message = format!("it was allowed until {last}");
            let help = "do what was put off, or allow it for longer";
            about.push(allowance.says("allow-expired", Severity::Warning, message, help));
        } else if !is_used {
            about.push(unused(allowance));
        }
    }
    let is_allowed = |finding: &Finding| {
        let mut holding = allowances.iter().filter(|allowance| !allowance.is_over(today));
        holding.any(|allowance| allowance.is_about(finding))
    };
    let left = findings.into_iter().filter(|finding| !is_allowed(finding));
    left.chain(about).collect()
}

/// Findings that do not come from reading (docs/check.md), and may be allowed too.
const NOT_READ: [&str; 14] = [
    PLAN_WORSE,
    QUERY_FAILS,
    DROPPED_IN_USE,
    DROPPED_SCANNED,
    PLAN_CHANGED,
    DRIFT,
    "drift-unknown",
    "migration-fails",
    "left-out",
    "shadow-role",
    "shadow-schema",
    "shadow-statistics",
    "snapshot-old",
    "values-unknown",
];

fn unused(allowance: &Allowance) -> Finding {
    let whose = match &allowance.lines {
        Some(_) => "the comment that allows it",
        None => "its [[check.allow]] in the profile",
    };
    let mut ids = CHECKS.iter().map(|check| check.id).chain(NOT_READ);
    let help = match nearest(&allowance.check, ids.clone()) {
        Some(near) if !ids.any(|id| id == allowance.check) => format!("did you mean {near}?"),
        Some(_) | None => "take it out".to_string(),
    };
    let message = format!("nothing was found that {whose} is about");
    allowance.says("allow-unused", Severity::Info, message, &help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn profile(check: &str, subject: &str, until: &str) -> Vec<Allowance> {
        let [check, subject, until] = [check, subject, until].map(str::to_string);
        of_profile(&[Allow { check, subject, reason: "so".to_string(), until }])
    }

    /// Names of what is left of two findings.
    fn left(allowances: &[Allowance]) -> Vec<String> {
        let findings = [("table-rewrite", "public.a", 3), ("small-key", "public.b", 6)];
        let findings = findings.map(|(check, subject, line)| {
            Finding::new(check, Severity::Error, subject, "m").at("V1__a.sql", line)
        });
        let left = without_allowed(findings.to_vec(), allowances, day("2026-06-15"));
        left.into_iter().map(|finding| finding.check).collect()
    }

    fn comments(sql: &str) -> (Vec<Allowance>, Vec<String>) {
        let statements = sql::parse(sql).unwrap();
        let file = File { path: "V1__a.sql", statements: &statements };
        let (allowances, findings) = of_comments(&file);
        (allowances, findings.into_iter().map(|finding| finding.check).collect())
    }

    #[test]
    fn the_profile_allows_for_a_subject_until_the_end_of_a_day() {
        assert_eq!(left(&profile("table-rewrite", "", "")), ["small-key"]);
        assert_eq!(left(&profile("table-rewrite", "public.a", "2026-06-15")), ["small-key"]);
        let all = ["table-rewrite", "small-key"];
        let over = left(&profile("table-rewrite", "", "2026-06-14"));
        assert_eq!(over, [&all[..], &["allow-expired"]].concat());
        let other = left(&profile("table-rewrite", "public.b", ""));
        assert_eq!(other, [&all[..], &["allow-unused"]].concat());
    }

    #[test]
    fn a_comment_allows_in_the_lines_of_its_statement() {
        let sql = "-- pgtune: allow table-rewrite until 2027-01-01: nobody uses it yet\n\
                   alter table a\n  alter b type int;\n\
                   -- pgtune: allow table-rewrite: not here\nselect\n\n1;";
        let (allowances, wrong) = comments(sql);
        assert!(wrong.is_empty());
        assert_eq!(left(&allowances[..1]), ["small-key"]);
        assert_eq!(left(&allowances[1..]), ["table-rewrite", "small-key", "allow-unused"]);
    }

    #[test]
    fn a_comment_needs_a_form_and_a_reason() {
        for (comment, expected) in [
            ("allow small-key", "allow-without-reason"),
            ("allow small-key: ", "allow-without-reason"),
            ("allow small-key until tomorrow: so", "allow-unreadable"),
            ("alow small-key: so", "allow-unreadable"),
        ] {
            let (allowances, wrong) = comments(&format!("-- pgtune: {comment}\nselect 1"));
            assert_eq!((allowances.len(), wrong), (0, vec![expected.to_string()]), "{comment}");
        }
    }

    #[test]
    fn a_misspelt_check_is_recognised() {
        let allowances = profile("small-keys", "", "");
        let left = without_allowed(Vec::new(), &allowances, day("2026-06-15"));
        assert_eq!(left[0].help, "did you mean small-key?");
    }
}

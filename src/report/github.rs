//! Findings as GitHub's workflow commands, which it shows beside the lines of a pull request.

use super::Report;
use crate::model::finding::{Finding, Severity};
use crate::model::units::plural;

/// How many of each severity GitHub shows for a step; it drops the others without a word.
const SHOWN_MAX: usize = 10;

/// A line for each finding, errors first. Where there are more than GitHub shows, the last one of
/// a severity says how many.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let all = || report.all_findings().filter(|finding| finding.severity == severity);
        let count = all().count();
        let shown = if count > SHOWN_MAX { SHOWN_MAX - 1 } else { count };
        text.extend(all().take(shown).map(command));
        if count > shown {
            let more = plural(count - shown, "more finding", "more findings");
            let message = format!("{more} of this severity: see the report");
            text += &format!("::{} title=pgtune::{message}\n", word(severity));
        }
    }
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn command(finding: &Finding) -> String {
    let Finding { check, severity, subject, message, help, place } = finding;
    let place = place.as_ref().map(|at| format!("file={},line={},", property(&at.path), at.line));
    let title = property(&format!("{subject} [{check}]"));
    let help = if help.is_empty() { String::new() } else { format!("\n{help}") };
    let message = data(&format!("{message}{help}"));
    format!("::{} {}title={title}::{message}\n", word(*severity), place.unwrap_or_default())
}

/// A message as the runner reads it (`actions/toolkit`, `command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property as the runner reads it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{HOSTILE, checked};

    /// What the runner makes of a line: command, properties, message.
    fn read(line: &str) -> (String, Vec<(String, String)>, String) {
        let plain = |text: &str| {
            let codes = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
            codes.iter().fold(text.to_string(), |text, (code, c)| text.replace(code, c))
        };
        let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (command, properties) = head.split_once(' ').unwrap();
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_string(), plain(value))
        };
        (command.to_string(), properties.split(',').map(pair).collect(), plain(message))
    }

    #[test]
    fn the_runner_reads_what_was_meant() {
        let text = render(&checked());
        let lines: Vec<_> = text.lines().map(read).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0].0, "error");
        assert_eq!(lines[0].1, [("title".to_string(), "by_customer [plan-worse]".to_string())]);
        assert_eq!(lines[0].2, "14 times the cost: no index any more");
        let (file, line) = (&lines[1].1[0], &lines[1].1[1]);
        assert_eq!((file.1.as_str(), line.1.as_str()), ("migrations/V2__wide.sql", "3"));
        assert_eq!(lines[1].2, "rewrites 3 GB\nadd a column, fill it in batches, then swap");
        assert_eq!(lines[2].0, "notice");
        assert_eq!(lines[2].1[0].1, "a b/100%,:ü.sql");
        assert_eq!(lines[2].1[2].1, format!("{HOSTILE} [hostile]"));
        assert_eq!(lines[2].2, format!("{HOSTILE}\n{HOSTILE}"));
    }

    #[test]
    fn what_github_would_drop_is_counted() {
        let finding = Finding::new("a", Severity::Warning, "b", "c");
        let text = render(&Report::new("").findings(vec![finding; 12]));
        assert_eq!(text.lines().count(), SHOWN_MAX);
        let last = "::warning title=pgtune::3 more findings of this severity: see the report\n";
        assert!(text.ends_with(last), "{text}");
    }
}

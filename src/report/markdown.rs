//! A report as Markdown, for comments on changes: tables as GitHub and GitLab show them, plans as
//! diffs.

use super::chart::draw;
use super::template::escaped;
use super::{Report, Section, Table, locks, timeline};
use crate::model::finding::{Finding, Severity};
use crate::query_plan::{Kept, Line};

/// How long a comment may be. GitHub takes 65,536 characters; whoever posts it adds some.
pub const LENGTH_MAX: usize = 64_000;
/// How many findings are told; those who want the others read the whole report.
const FINDINGS_MAX: usize = 50;

/// The report as Markdown with a final newline. The details of a check are folded, and what does
/// not fit into a comment is left out, and named.
pub fn render(report: &Report) -> String {
    render_within(report, LENGTH_MAX)
}

fn render_within(report: &Report, length_max: usize) -> String {
    let title = (!report.title.is_empty()).then(|| format!("## {}\n", plain(&report.title)));
    let is_check = report.verdict().is_some();
    let sections = report.sections.iter().map(|one| (name(one), section(one, is_check)));
    let parts = title.into_iter().map(|title| (String::new(), title)).chain(sections);
    let (mut text, mut length, mut left_out) = (String::new(), 0, Vec::new());
    for (name, part) in parts.filter(|(_, part)| !part.is_empty()) {
        let part = if text.is_empty() { part } else { format!("\n{part}") };
        let part_length = part.chars().count();
        // What is said about what is left out needs room too.
        if length + part_length + NOTE_LENGTH_MAX > length_max {
            left_out.push(name);
            continue;
        }
        text += &part;
        length += part_length;
    }
    text + &note(&left_out)
}

/// How long the line about what is left out may be.
const NOTE_LENGTH_MAX: usize = 1_000;
/// How many of the parts that are left out are named, and by how many characters each.
const NAMES_MAX: usize = 5;
const NAME_LENGTH_MAX: usize = 80;

/// What is left out, by name.
fn note(left_out: &[String]) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let short = |name: &String| plain(&name.chars().take(NAME_LENGTH_MAX).collect::<String>());
    let mut names: Vec<String> = left_out.iter().take(NAMES_MAX).map(short).collect();
    if left_out.len() > NAMES_MAX {
        names.push(format!("{} more", left_out.len() - NAMES_MAX));
    }
    let parts = match left_out.len() {
        1 => "1 part does not fit into a comment and is".to_string(),
        count => format!("{count} parts do not fit into a comment and are"),
    };
    format!("\n*{parts} left out here: {}*\n", names.join(", "))
}

/// What a section is about, for the line about what is left out.
fn name(section: &Section) -> String {
    let (words, title) = match section {
        Section::Verdict(_) => ("the verdict", ""),
        Section::Facts { title, .. } | Section::Text { title, .. } => ("a part", title.as_str()),
        Section::Table(table) => ("a table", table.title.as_str()),
        Section::Findings { .. } => ("findings", ""),
        Section::PlanDiff { title, .. } => ("a plan", title.as_str()),
        Section::Course(course) => ("a course", course.query.as_str()),
        Section::Locks { .. } => ("locks", ""),
        Section::Timeline(line) => ("a line of time", line.title.as_str()),
    };
    if title.is_empty() { words.to_string() } else { title.to_string() }
}

fn section(section: &Section, is_check: bool) -> String {
    let part = |title: &str, body: String| match (body.is_empty(), is_check) {
        (true, _) => String::new(),
        (false, true) => folded(if title.is_empty() { "details" } else { title }, &body),
        (false, false) => heading(title) + &body,
    };
    match section {
        Section::Verdict(verdict) => {
            let sign = if verdict.passed { "✓" } else { "✗" };
            format!("**{sign} {}**\n", plain(&verdict.words))
        }
        Section::Facts { title, facts } => {
            let lines =
                facts.iter().map(|(name, value)| format!("- {}: {}\n", plain(name), plain(value)));
            part(title, lines.collect())
        }
        Section::Table(table) => part(&table.title, self::table(table)),
        Section::Findings { findings } => self::findings(findings),
        Section::PlanDiff { title, lines } => {
            let lines: String = lines.iter().map(plan_line).collect();
            folded(title, &block("diff", &lines))
        }
        Section::Course(course) => {
            let chart = course.chart();
            match draw(&chart) {
                drawn if drawn.is_empty() => String::new(),
                drawn => part(&chart.title, block("", &drawn)),
            }
        }
        Section::Locks { rows } => part("locks", self::table(&locks::table(rows))),
        Section::Timeline(line) => match timeline::text(line) {
            drawn if drawn.is_empty() => String::new(),
            drawn => part(&line.title, block("", &drawn)),
        },
        Section::Text { title, body } if body.is_empty() => {
            heading(title).trim_end().to_string() + "\n"
        }
        Section::Text { title, body } => part(title, block("", body)),
    }
}

/// The worst first, as far as they are told.
fn findings(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    let more = (more > 0).then(|| format!("- and {more} more\n"));
    sorted.into_iter().take(FINDINGS_MAX).map(finding).chain(more).collect()
}

fn heading(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("### {}\n\n", plain(title)) }
}

/// What is long is opened by those who want to see it.
fn folded(title: &str, body: &str) -> String {
    // Markdown's own escapes mean nothing inside a tag.
    let title = escaped(title);
    format!("<details><summary>{title}</summary>\n\n{body}\n</details>\n")
}

/// Text as it is, between fences longer than any inside.
fn block(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

fn table(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = (0..table.header.len()).map(|column| match table.right_aligned.contains(&column) {
        true => "---:".to_string(),
        false => "---".to_string(),
    });
    let rule: Vec<String> = rule.collect();
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{}| {} |\n{rows}", line(&table.header), rule.join(" | "))
}

fn finding(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "**error**",
    };
    let Finding { subject, message, check, help, place, .. } = finding;
    let help = if help.is_empty() { String::new() } else { format!(" {}", plain(help)) };
    let place = place.as_ref().map(|at| format!(" at {}:{}", plain(&at.path), at.line));
    let place = place.unwrap_or_default();
    format!("- {word} {}: {}{place} (`{check}`){help}\n", plain(subject), plain(message))
}

fn plan_line(line: &Line) -> String {
    let sign = match line.kept {
        Kept::Both => ' ',
        Kept::Removed => '-',
        Kept::Added => '+',
    };
    let cost = line.cost_after.or(line.cost_before);
    let cost = cost.map_or_else(String::new, |cost| format!("{cost:.2}"));
    format!("{sign} {cost:>12} {}\n", line.text())
}

/// Text that means nothing to Markdown or HTML, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match c {
            '<' => plain += "&lt;",
            '>' => plain += "&gt;",
            '&' => plain += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => {
                plain.push('\\');
                plain.push(c);
            }
            c if c.is_control() => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{checked, example};

    #[test]
    fn forges_show_it_as_it_is_meant() {
        let expected = r"## status of app

- server: 16.1
- database name: app

### migrations

| migration | rows |
| --- | ---: |
| V1\_\_users | 7 |
| V2\_\_add\_an\_index | 1,234 |

HELP
- warning V2: takes long (`slow`)

### sql

```
select 1;
```
";
        let help = r"- **error** V1\_\_users: checksum differs from the recorded one (`diverged`) ";
        let help = format!("{help}restore the file, or run \\`pgtune repair\\`");
        assert_eq!(render(&example()), expected.replace("HELP", &help));
    }

    #[test]
    fn the_details_of_a_check_are_folded() {
        let text = render(&checked());
        assert!(text.starts_with("**✗ should not be deployed: 1 error"), "{text}");
        for title in ["queries", "by_customer", "locks", "app.events"] {
            assert!(text.contains(&format!("<details><summary>{title}</summary>")), "{text}");
        }
        assert!(!text.contains("\n### "), "{text}");
        assert!(text.contains("**error** by\\_customer: "), "{text}");
        assert!(text.contains(" at migrations/V2\\_\\_wide.sql:3 (`wide-table`)"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_by_name() {
        let long = "x".repeat(2_000);
        let (named, last) = ("kept out ".to_string() + &long, "y\n");
        let report = checked().text(&named, &long).text("short", last);
        let whole = render(&report);
        let text = render_within(&report, whole.chars().count() - 1);
        assert!(text.contains("<summary>short</summary>") && !text.contains(&long), "{text}");
        let note = "*1 part does not fit into a comment and are left out here: kept out xxx";
        assert!(text.contains(&note.replace(" and are", " and is")), "{text}");
        let mut report = checked();
        for number in 0..100 {
            report = report.text(&format!("{number} {long}"), &long);
        }
        let text = render(&report);
        assert!((60_000..LENGTH_MAX).contains(&text.chars().count()), "{}", text.chars().count());
        assert!(text.trim_end().ends_with(" more*"), "{}", &text[text.len() - 500..]);
        let many = vec![Finding::new("a", Severity::Info, "b", "c"); 51];
        assert!(render(&Report::new("").findings(many)).ends_with("- and 1 more\n"));
    }

    #[test]
    fn no_name_leaves_its_cell() {
        let mut table = Table::new("", &["a"]);
        table.rows.push(vec!["x | <b>\n".into()]);
        assert!(render(&Report::new("").table(table)).ends_with("| x \\| &lt;b&gt; |\n"));
        assert_eq!(block("", "a ``` b"), "````\na ``` b\n````\n");
    }
}

//! A report as Markdown, for comments on changes: tables as GitHub and GitLab show them, plans as
//! diffs.

use super::chart::draw;
use super::{Report, Section, Table};
use crate::model::finding::{Finding, Severity};
use crate::query_plan::{Kept, Line};

/// The report as Markdown with a final newline.
pub fn render(report: &Report) -> String {
    let title = (!report.title.is_empty()).then(|| format!("## {}\n", plain(&report.title)));
    let sections = report.sections.iter().map(section);
    title.into_iter().chain(sections).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn section(section: &Section) -> String {
    match section {
        Section::Facts { title, facts } => {
            let lines =
                facts.iter().map(|(name, value)| format!("- {}: {}\n", plain(name), plain(value)));
            heading(title) + &lines.collect::<String>()
        }
        Section::Table(table) => heading(&table.title) + &self::table(table),
        Section::Findings { findings } => findings.iter().map(finding).collect(),
        Section::PlanDiff { title, lines } => {
            let lines: String = lines.iter().map(plan_line).collect();
            folded(title, &block("diff", &lines))
        }
        Section::Course(course) => {
            let chart = course.chart();
            match draw(&chart) {
                drawn if drawn.is_empty() => String::new(),
                drawn => heading(&chart.title) + &block("", &drawn),
            }
        }
        Section::Text { title, body } if body.is_empty() => {
            heading(title).trim_end().to_string() + "\n"
        }
        Section::Text { title, body } => heading(title) + &block("", body),
    }
}

fn heading(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("### {}\n\n", plain(title)) }
}

/// What is long is opened by those who want to see it.
fn folded(title: &str, body: &str) -> String {
    // Markdown's own escapes mean nothing inside a tag.
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
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
    let Finding { subject, message, check, help, .. } = finding;
    let help = if help.is_empty() { String::new() } else { format!(" {}", plain(help)) };
    format!("- {word} {}: {} (`{check}`){help}\n", plain(subject), plain(message))
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
    use crate::report::tests::example;

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
    fn no_name_leaves_its_cell() {
        let mut table = Table::new("", &["a"]);
        table.rows.push(vec!["x | <b>\n".into()]);
        assert!(render(&Report::new("").table(table)).ends_with("| x \\| &lt;b&gt; |\n"));
        assert_eq!(block("", "a ``` b"), "````\na ``` b\n````\n");
    }
}

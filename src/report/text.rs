//! A report as text for people: aligned, coloured by tone, as wide as the terminal allows.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::chart::draw;
use super::tone::{Tone, paint};
use super::verdict::Verdict;
use super::{Report, Section, Table, locks, timeline};
use crate::model::finding::{Finding, Severity};
use crate::query_plan::{Kept, Line};

/// The report as text with a final newline. Tables wrap at `width` columns, if there is one.
pub fn render(report: &Report, width: Option<u16>) -> String {
    let title = (!report.title.is_empty()).then(|| heading(&report.title));
    let sections = report.sections.iter().map(|section| self::section(section, width));
    let parts = title.into_iter().chain(sections).filter(|part| !part.is_empty());
    let parts = parts.map(|part| if part.ends_with('\n') { part } else { part + "\n" });
    without_commands(&parts.collect::<Vec<_>>().join("\n"))
}

/// Names may begin like a command to GitHub's runner, `::error`: those of ours go elsewhere.
pub fn without_commands(text: &str) -> String {
    if !text.contains("::") {
        return text.to_string();
    }
    let defused = |line: &str| match line.trim_start().starts_with("::") {
        true => line.replacen("::", ": :", 1),
        false => line.to_string(),
    };
    text.split('\n').map(defused).collect::<Vec<_>>().join("\n")
}

fn section(section: &Section, width: Option<u16>) -> String {
    match section {
        Section::Verdict(verdict) => self::verdict(verdict),
        Section::Facts { title, facts } => titled(title, self::facts(facts, width)),
        Section::Table(table) => titled(&table.title, self::table(table, width)),
        Section::Findings { findings } => self::findings(findings),
        Section::PlanDiff { title, lines } => titled(title, lines.iter().map(plan_line).collect()),
        Section::Course(course) => {
            let chart = course.chart();
            titled(&harmless(&chart.title), harmless(&draw(&chart)))
        }
        Section::Locks { rows } => titled("locks", table(&locks::table(rows), width)),
        Section::Timeline(line) => titled(&harmless(&line.title), harmless(&timeline::text(line))),
        Section::Text { title, body } => {
            titled(title, body.split_inclusive('\n').map(harmless).collect())
        }
    }
}

fn verdict(verdict: &Verdict) -> String {
    let tone = if verdict.passed { Tone::Good } else { Tone::Bad };
    format!("{}\n", paint(tone, &harmless(&verdict.words)))
}

fn heading(text: &str) -> String {
    format!("{}\n", paint(Tone::Strong, text))
}

fn titled(title: &str, body: String) -> String {
    if title.is_empty() { body } else { heading(title) + &body }
}

fn facts(facts: &[(String, String)], width: Option<u16>) -> String {
    let rows = facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    lines(&mut grid(rows.collect(), &[], width))
}

fn table(table: &Table, width: Option<u16>) -> String {
    if table.rows.is_empty() {
        return "none\n".to_string();
    }
    let mut grid = grid(table.rows.clone(), &table.right_aligned, width);
    grid.set_header(table.header.clone());
    align(&mut grid, &table.right_aligned);
    let text = lines(&mut grid);
    let (header, rows) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rows}", paint(Tone::Faint, header))
}

/// Cells in columns, two spaces apart, without lines.
fn grid(rows: Vec<Vec<String>>, right_aligned: &[usize], width: Option<u16>) -> comfy_table::Table {
    let mut grid = comfy_table::Table::new();
    grid.load_style(presets::NOTHING);
    if let Some(width) = width {
        grid.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        grid.add_row(row.iter().map(|cell| harmless(cell)));
    }
    align(&mut grid, right_aligned);
    grid
}

fn align(grid: &mut comfy_table::Table, right_aligned: &[usize]) {
    for (i, column) in grid.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right_aligned.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn lines(grid: &mut comfy_table::Table) -> String {
    grid.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Text from a file or a server without the characters that steer a terminal.
fn harmless(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(steers, "\u{fffd}")
}

/// `error  V3__add_idx  checksum differs [diverged]`, and below it what to do.
fn findings(findings: &[Finding]) -> String {
    let width_of = |text: &str| text.chars().count();
    let widest = findings.iter().map(|f| width_of(&f.subject)).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for finding in findings {
        let (tone, word) = severity(finding.severity);
        let gap = " ".repeat(9 - word.len());
        let (subject, message) = (harmless(&finding.subject), harmless(&finding.message));
        let check = paint(Tone::Faint, &format!("[{}]", finding.check));
        text += &format!("{}{gap}{subject:widest$}  {message} {check}\n", paint(tone, word));
        if let Some(place) = &finding.place {
            let place = harmless(&format!("{}:{}", place.path, place.line));
            text += &format!("{:9}{} {place}\n", "", paint(Tone::Faint, "at:"));
        }
        for line in finding.help.lines() {
            let line = harmless(line);
            text += &format!("{:9}{} {line}\n", "", paint(Tone::Faint, "help:"));
        }
    }
    text
}

/// `- 1203.50  Seq Scan on t`: what only the plan before has, or only the one after, or both.
fn plan_line(line: &Line) -> String {
    let (sign, tone) = match line.kept {
        Kept::Both => (' ', Tone::Faint),
        Kept::Removed => ('-', Tone::Bad),
        Kept::Added => ('+', Tone::Good),
    };
    let cost = line.cost_after.or(line.cost_before);
    let cost = cost.map_or_else(String::new, |cost| format!("{cost:.2}"));
    let pieces = line.pieces.iter().map(|(differs, text)| match (differs, line.kept) {
        (true, Kept::Removed | Kept::Added) => paint(Tone::Strong, &harmless(text)),
        (true | false, Kept::Both | Kept::Removed | Kept::Added) => paint(tone, &harmless(text)),
    });
    let text: String = pieces.collect();
    format!(
        "{} {} {text}\n",
        paint(tone, &sign.to_string()),
        paint(Tone::Faint, &format!("{cost:>14}"))
    )
}

fn severity(severity: Severity) -> (Tone, &'static str) {
    match severity {
        Severity::Info => (Tone::Faint, "info"),
        Severity::Warning => (Tone::Warning, "warning"),
        Severity::Error => (Tone::Bad, "error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    fn plain(report: &Report, width: Option<u16>) -> String {
        anstream::adapter::strip_str(&render(report, width)).to_string()
    }

    #[test]
    fn no_name_is_a_command_to_github() {
        let text = without_commands("a::b\n::error file=x::y\n  ::stop-commands::z\n");
        assert_eq!(text, "a::b\n: :error file=x::y\n  : :stop-commands::z\n");
        let mut table = Table::new("", &["query"]);
        table.rows = vec![vec!["x\n::error::pwned".to_string()]];
        let text = plain(&Report::new("").table(table), None);
        assert!(text.lines().all(|line| !line.trim_start().starts_with("::")), "{text}");
    }

    #[test]
    fn people_read_aligned_text() {
        let expected = "\
status of app

server         16.1
database name  app

migrations
migration          rows
V1__users             7
V2__add_an_index  1,234

error    V1__users  checksum differs from the recorded one [diverged]
         help: restore the file, or run `pgtune repair`
warning  V2         takes long [slow]

sql
select 1;
";
        assert_eq!(plain(&example(), None), expected);
    }

    #[test]
    fn tables_wrap_at_the_terminals_width() {
        let mut table = Table::new("", &["key", "value"]);
        table.rows.push(vec!["limits.lanes".into(), "a long value that has to wrap".into()]);
        let text = plain(&Report::new("").table(table), Some(30));
        assert!(text.lines().all(|line| line.len() <= 30), "{text}");
        assert!(text.lines().count() > 2, "{text}");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let facts = vec![("table".to_string(), "a\u{1b}[2Jb".to_string())];
        let report = Report::new("").facts("", facts).text("", "x\r\u{9b}y");
        assert_eq!(render(&report, None), "table  a\u{fffd}[2Jb\n\nx\u{fffd}\u{fffd}y\n");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(plain(&Report::new("").table(Table::new("", &["a"])), None), "none\n");
        assert_eq!(plain(&Report::new("").findings(Vec::new()), None), "");
    }
}

//! A report as one HTML page that needs nothing else: no script, no network, no font. Pure.
//!
//! The looks are in `templates/report/`; here is what is put where.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Report, Section, Table, locks, template};
use crate::model::finding::Finding;

mod drawn;
mod trees;

const PAGE: &str = include_str!("../../templates/report/page.html");
const STYLE: &str = include_str!("../../templates/report/page.css");

/// The whole page.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    version: &'static str,
    style: &'static str,
    /// Lets this style alone be used.
    style_hash: String,
    parts: Vec<Part<'a>>,
}

/// A part of the page: what the template needs to show a section.
#[derive(Serialize)]
struct Part<'a> {
    /// What links to it call it; empty where it is not worth a link.
    title: &'a str,
    #[serde(flatten)]
    shown: Shown<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Shown<'a> {
    Verdict { passed: bool, words: &'a str, checked: &'a [super::verdict::Checked] },
    Facts { facts: &'a [(String, String)] },
    Table { columns: Vec<Column<'a>>, rows: &'a [Vec<String>] },
    Findings { findings: &'a [Finding] },
    Plan(trees::Trees),
    Chart(drawn::Rows),
    Locks { lines: drawn::Rows, columns: Vec<Column<'a>>, rows: Vec<Vec<String>> },
    Timeline(drawn::Line),
    Text { body: &'a str },
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    right: bool,
}

/// The report as a page.
pub fn render(report: &Report) -> String {
    let title = if report.title.is_empty() { "pgtune check" } else { &report.title };
    let page = Page {
        title,
        version: env!("CARGO_PKG_VERSION"),
        style: STYLE,
        style_hash: format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE))),
        parts: report.sections.iter().filter_map(part).collect(),
    };
    template::render("page.html", PAGE, page)
}

/// What there is to show; `None` where there is nothing.
fn part(section: &Section) -> Option<Part<'_>> {
    let part = |title, shown| Some(Part { title, shown });
    match section {
        Section::Verdict(verdict) => {
            let (passed, words, checked) = (verdict.passed, &verdict.words, &verdict.checked);
            part("", Shown::Verdict { passed, words, checked })
        }
        Section::Facts { title, facts } if !facts.is_empty() => part(title, Shown::Facts { facts }),
        Section::Table(table) => part(&table.title, shown_table(table)),
        Section::Findings { findings } if !findings.is_empty() => {
            part("findings", Shown::Findings { findings })
        }
        Section::PlanDiff { title, lines } => part(title, Shown::Plan(trees::trees(lines))),
        Section::Course(course) => {
            let chart = course.chart();
            if chart.bars.is_empty() {
                return None;
            }
            part(&course.query, Shown::Chart(drawn::chart(&chart)))
        }
        Section::Locks { rows } if !rows.is_empty() => {
            let Table { rows: cells, right_aligned, .. } = locks::table(rows);
            let columns = columns(&locks::HEADER, &right_aligned);
            part("locks", Shown::Locks { lines: drawn::locks(rows), columns, rows: cells })
        }
        Section::Timeline(line) if !line.stretches.is_empty() => {
            part(&line.title, Shown::Timeline(drawn::timeline(line)))
        }
        Section::Text { title, body } => part(title, Shown::Text { body }),
        Section::Facts { .. }
        | Section::Findings { .. }
        | Section::Locks { .. }
        | Section::Timeline(_) => None,
    }
}

fn shown_table(table: &Table) -> Shown<'_> {
    let columns = columns(&table.header, &table.right_aligned);
    Shown::Table { columns, rows: &table.rows }
}

fn columns<'a>(names: &'a [impl AsRef<str>], right_aligned: &[usize]) -> Vec<Column<'a>> {
    let column = |(at, name): (usize, &'a _)| Column {
        name: AsRef::as_ref(name),
        right: right_aligned.contains(&at),
    };
    names.iter().enumerate().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{HOSTILE, checked, example};

    #[test]
    fn it_needs_nothing_else_and_no_name_becomes_a_tag() {
        let page = render(&checked());
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{page}");
        assert!(page.contains(&template::escaped(HOSTILE)), "{page}");
        for word in ["<script", " src=", "url(", "@import", "javascript:", " style=", "onclick"] {
            assert!(!page.contains(word), "{word}");
        }
        let elsewhere: Vec<&str> = page.split("href=\"").skip(1).collect();
        assert!(elsewhere.iter().all(|link| link.starts_with('#')), "{elsewhere:?}");
    }

    #[test]
    fn every_element_that_is_opened_is_closed() {
        for page in [render(&checked()), render(&example()), render(&Report::new(""))] {
            let elements = [
                "html",
                "head",
                "body",
                "main",
                "header",
                "nav",
                "section",
                "details",
                "summary",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
                "svg",
                "ul",
                "ol",
                "li",
                "div",
                "p",
                "span",
                "code",
                "pre",
                "h1",
                "h2",
                "h3",
                "dl",
                "dt",
                "dd",
                "del",
                "ins",
                "mark",
                "figure",
                "figcaption",
                "footer",
                "a",
                "title",
                "text",
            ];
            for element in elements {
                let opened = page.matches(&format!("<{element}>")).count()
                    + page.matches(&format!("<{element} ")).count();
                assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
            }
        }
    }

    #[test]
    fn only_its_own_style_is_let_in() {
        let page = render(&example());
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(page.contains(&format!("style-src 'sha256-{hash}'")), "{hash}");
    }
}

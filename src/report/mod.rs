//! A report: what a command has to say, before anybody decided how it looks. Pure.
//!
//! Commands build a [`Report`]; the renderers (`text`, `json`, `html` and so on) know nothing else.

use serde::{Serialize, Serializer};

use crate::model::finding::Finding;
use crate::query_plan::Line;

use self::course::Course;
use self::locks::LockRow;
use self::timeline::Timeline;
use self::verdict::{Checked, Verdict};

pub mod chart;
pub mod course;
pub mod fingerprint;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json;
pub mod junit;
pub mod locks;
pub mod markdown;
pub mod metrics;
pub mod sarif;
pub mod svg;
pub mod template;
pub mod text;
pub mod timeline;
pub mod tone;
pub mod verdict;

/// An answer in titled sections.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// What it is about; may be empty.
    pub title: String,
    /// Its parts, in reading order.
    pub sections: Vec<Section>,
}

/// One part of a report. An empty title is not shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Section {
    /// What it all comes to.
    Verdict(Verdict),
    /// Names with one value each; in JSON an object.
    Facts {
        /// What they are about.
        title: String,
        /// Name and value, in reading order.
        #[serde(serialize_with = "as_object")]
        facts: Vec<(String, String)>,
    },
    /// Rows of the same columns.
    Table(Table),
    /// What checks found.
    Findings {
        /// In the order of their subjects.
        findings: Vec<Finding>,
    },
    /// Two plans as one tree.
    PlanDiff {
        /// Of which query.
        title: String,
        /// The lines of both.
        lines: Vec<Line>,
    },
    /// How a query fared over changes; shown as a chart.
    Course(Course),
    /// The locks that statements take, in the order in which they are taken.
    Locks {
        /// One for each statement and table.
        rows: Vec<LockRow>,
    },
    /// What lies along time.
    Timeline(Timeline),
    /// Text to be shown as it is: SQL, a tree.
    Text {
        /// What it is.
        title: String,
        /// The text; lines as they should appear.
        body: String,
    },
}

/// Rows of the same columns; in JSON each row is an object with the header's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the rows are.
    pub title: String,
    /// The columns' names.
    pub header: Vec<String>,
    /// The cells, as many in each row as the header has.
    pub rows: Vec<Vec<String>>,
    /// Columns (from 0) that hold numbers and line up on the right.
    pub right_aligned: Vec<usize>,
}

impl Table {
    /// A table without rows; add them to `rows`.
    pub fn new(title: &str, header: &[&str]) -> Table {
        Table {
            title: title.to_string(),
            header: header.iter().map(|name| (*name).to_string()).collect(),
            rows: Vec::new(),
            right_aligned: Vec::new(),
        }
    }

    /// Lines up these columns (from 0) on the right.
    pub fn right_aligned(mut self, columns: &[usize]) -> Table {
        self.right_aligned = columns.to_vec();
        self
    }
}

impl Report {
    /// A report without sections.
    pub fn new(title: &str) -> Report {
        Report { title: title.to_string(), sections: Vec::new() }
    }

    /// Its sections, its title before them.
    pub fn titled_sections(self) -> Vec<Section> {
        let title = Section::Text { title: self.title, body: String::new() };
        let has_title = matches!(&title, Section::Text { title, .. } if !title.is_empty());
        std::iter::once(title).filter(|_| has_title).chain(self.sections).collect()
    }

    /// The findings of all its sections.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| match section {
            Section::Findings { findings } => findings.as_slice(),
            Section::Verdict(_)
            | Section::Facts { .. }
            | Section::Table(_)
            | Section::PlanDiff { .. }
            | Section::Course(_)
            | Section::Locks { .. }
            | Section::Timeline(_)
            | Section::Text { .. } => &[],
        })
    }

    /// What was checked, where it was a check.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.sections.iter().find_map(|section| match section {
            Section::Verdict(verdict) => Some(verdict),
            Section::Facts { .. }
            | Section::Table(_)
            | Section::Findings { .. }
            | Section::PlanDiff { .. }
            | Section::Course(_)
            | Section::Locks { .. }
            | Section::Timeline(_)
            | Section::Text { .. } => None,
        })
    }

    /// Puts the verdict of all its findings on top.
    pub fn judged(mut self, checked: Vec<Checked>) -> Report {
        let verdict = Verdict::of(self.all_findings(), checked);
        self.sections.insert(0, Section::Verdict(verdict));
        self
    }

    /// Adds names with values.
    pub fn facts(mut self, title: &str, facts: Vec<(String, String)>) -> Report {
        self.sections.push(Section::Facts { title: title.to_string(), facts });
        self
    }

    /// Adds a table.
    pub fn table(mut self, table: Table) -> Report {
        self.sections.push(Section::Table(table));
        self
    }

    /// Adds findings.
    pub fn findings(mut self, findings: Vec<Finding>) -> Report {
        self.sections.push(Section::Findings { findings });
        self
    }

    /// Adds the difference of two plans.
    pub fn plan_diff(mut self, title: &str, lines: Vec<Line>) -> Report {
        self.sections.push(Section::PlanDiff { title: title.to_string(), lines });
        self
    }

    /// Adds the course of a query.
    pub fn course(mut self, course: Course) -> Report {
        self.sections.push(Section::Course(course));
        self
    }

    /// Adds locks, where there are any.
    pub fn locks(mut self, rows: Vec<LockRow>) -> Report {
        self.sections.extend((!rows.is_empty()).then_some(Section::Locks { rows }));
        self
    }

    /// Adds what lies along time.
    pub fn timeline(mut self, timeline: Timeline) -> Report {
        self.sections.push(Section::Timeline(timeline));
        self
    }

    /// Adds text that is shown as it is.
    pub fn text(mut self, title: &str, body: impl Into<String>) -> Report {
        self.sections.push(Section::Text { title: title.to_string(), body: body.into() });
        self
    }
}

/// Writes pairs as an object, in their order.
fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A row between the header's names.
        struct Row<'a>(&'a [String], &'a [String]);
        impl Serialize for Row<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().zip(self.1))
            }
        }
        #[derive(Serialize)]
        struct Shape<'a> {
            title: &'a str,
            columns: &'a [String],
            rows: Vec<Row<'a>>,
        }
        let rows = self.rows.iter().map(|cells| Row(&self.header, cells)).collect();
        Shape { title: &self.title, columns: &self.header, rows }.serialize(serializer)
    }
}

#[cfg(test)]
pub mod tests {
    use super::course::{Point, Seen};
    use super::*;
    use crate::model::finding::{Place, Severity};
    use crate::query_plan::Kept;

    /// One of each section, for the renderers' tests.
    pub fn example() -> Report {
        let mut table = Table::new("migrations", &["migration", "rows"]).right_aligned(&[1]);
        table.rows.push(vec!["V1__users".into(), "7".into()]);
        table.rows.push(vec!["V2__add_an_index".into(), "1,234".into()]);
        let diverged = Finding::new(
            "diverged",
            Severity::Error,
            "V1__users",
            "checksum differs from the recorded one",
        )
        .help("restore the file, or run `pgtune repair`");
        let slow = Finding::new("slow", Severity::Warning, "V2", "takes long");
        let facts = vec![("server".into(), "16.1".into()), ("database name".into(), "app".into())];
        Report::new("status of app")
            .facts("", facts)
            .table(table)
            .findings(vec![diverged, slow])
            .text("sql", "select 1;\n")
    }

    /// What no format may take for its own.
    pub const HOSTILE: &str =
        "a<script>alert(\"1\")</script>, 100%: it's\n::error::b ]]> \u{1b}[2J&amp;";

    /// A check with findings of each severity, with hostile names, and one of each section.
    pub fn checked() -> Report {
        let place = |path: &str, line| Some(Box::new(Place { path: path.to_string(), line }));
        let worse = Finding::new(
            "plan-worse",
            Severity::Error,
            "by_customer",
            "14 times the cost: no index any more",
        );
        let wide = Finding::new("wide-table", Severity::Warning, "V2__wide", "rewrites 3 GB")
            .help("add a column, fill it in batches, then swap");
        let wide = Finding { place: place("migrations/V2__wide.sql", 3), ..wide };
        let hostile = Finding::new("hostile", Severity::Info, HOSTILE, HOSTILE).help(HOSTILE);
        let hostile = Finding { place: place("a b/100%,:ü.sql", 1), ..hostile };
        let mut table = Table::new("queries", &["query", "cost"]).right_aligned(&[1]);
        table.rows.push(vec![HOSTILE.to_string(), "1.00".to_string()]);
        let subject = |kind, name: &str, place| Checked { kind, name: name.to_string(), place };
        let migration = Place { path: "migrations/V2__wide.sql".to_string(), line: 1 };
        let subjects = vec![
            subject("migration", "V2__wide", Some(migration)),
            subject("query", "by_customer", None),
            subject("query", "fine", None),
        ];
        let report = Report::new("")
            .findings(vec![worse, wide, hostile])
            .table(table)
            .plan_diff("by_customer", plan_lines())
            .locks(locks::tests::example())
            .course(course())
            .text("sql", format!("select '{HOSTILE}';\n"));
        report.timeline(timeline::tests::example()).judged(subjects)
    }

    /// An index scan that becomes a sequential scan below a limit.
    fn plan_lines() -> Vec<Line> {
        let line = |kept, before, after, text: &str| Line {
            kept,
            pieces: vec![(kept != Kept::Both, text.to_string())],
            cost_before: before,
            cost_after: after,
        };
        vec![
            line(Kept::Both, Some(8.5), Some(120.0), "Limit"),
            line(Kept::Removed, Some(8.0), None, "  ->  Index Scan using i on orders"),
            line(Kept::Removed, None, None, "        Index Cond: (customer = $1)"),
            line(Kept::Added, None, Some(119.0), "  ->  Seq Scan on orders"),
            line(Kept::Both, None, None, "  on a < b & c"),
        ]
    }

    fn course() -> Course {
        let seen = |cost, digest: &str| Seen {
            cost: Some(cost),
            time_ms: None,
            digest: digest.to_string(),
        };
        let words = ["2026-01-02T03:04:05Z", "V1__index", "improved"].map(str::to_string);
        let point = Point::new(words.into(), seen(1e4, "aaaa"), seen(10.0, "bbbb"));
        Course::new("by_customer".to_string(), [((0, String::new()), point)])
    }
}

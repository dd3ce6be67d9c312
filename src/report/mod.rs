//! A report: what a command has to say, before anybody decided how it looks. Pure.
//!
//! Commands build a [`Report`]; the renderers (`text`, `json`) know nothing else.

use serde::{Serialize, Serializer};

use crate::model::finding::Finding;
use crate::query_plan::Line;

use self::course::Course;

pub mod chart;
pub mod course;
pub mod json;
pub mod markdown;
pub mod metrics;
pub mod svg;
pub mod text;
pub mod timeline;
pub mod tone;

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
    use super::*;
    use crate::model::finding::Severity;

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
}

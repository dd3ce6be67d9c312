//! A report as JSON, for programs. The shape is part of the interface: see [`SCHEMA_VERSION`].

use serde::Serialize;

use super::Report;
use crate::bench::outcome::Outcome;
use crate::runbook::{Runbook, Stage};

/// Grows when a program that reads the JSON would have to change. New keys do not count.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report as indented JSON with a final newline.
pub fn render(report: &Report) -> String {
    let document = Document { schema_version: SCHEMA_VERSION, report };
    let mut text = serde_json::to_string_pretty(&document)
        .expect("strings and lists of strings always fit into JSON");
    text.push('\n');
    text
}

/// A runbook as indented JSON with a final newline.
pub fn runbook(runbook: &Runbook) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema_version: u32,
        basis: String,
        stages: &'a [Stage],
    }
    let (basis, stages) = (runbook.basis(), runbook.stages.as_slice());
    let document = Document { schema_version: SCHEMA_VERSION, basis, stages };
    let mut text = serde_json::to_string_pretty(&document).expect("a runbook fits into JSON");
    text.push('\n');
    text
}

/// A bench's outcome as indented JSON with a final newline.
pub fn bench(outcome: &Outcome) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema_version: u32,
        #[serde(flatten)]
        outcome: &'a Outcome,
    }
    let document = Document { schema_version: SCHEMA_VERSION, outcome };
    let mut text = serde_json::to_string_pretty(&document).expect("an outcome fits into JSON");
    text.push('\n');
    text
}

/// Reads what [`bench()`] wrote; the error says what is wrong with it.
pub fn read_bench(text: &str) -> Result<Outcome, String> {
    #[derive(serde::Deserialize)]
    struct Document {
        schema_version: u32,
        #[serde(flatten)]
        outcome: Outcome,
    }
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match document.schema_version {
        SCHEMA_VERSION => Ok(document.outcome),
        other => Err(format!("its schema_version is {other}, and not {SCHEMA_VERSION}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_is_read_as_it_was_written() {
        let outcome = Outcome { subject: "a".to_string(), ..Outcome::default() };
        assert_eq!(read_bench(&bench(&outcome)).unwrap(), outcome);
        let other = bench(&outcome).replace("\"schema_version\": 1", "\"schema_version\": 2");
        assert_eq!(read_bench(&other).unwrap_err(), "its schema_version is 2, and not 1");
        assert!(read_bench("{}").is_err());
    }
    use crate::report::tests::example;

    #[test]
    fn programs_find_each_section_by_kind() {
        let json: serde_json::Value = serde_json::from_str(&render(&example())).unwrap();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["title"], "status of app");
        assert_eq!(json["sections"][0]["facts"]["database name"], "app");
        assert_eq!(json["sections"][1]["kind"], "table");
        assert_eq!(json["sections"][1]["rows"][1]["migration"], "V2__add_an_index");
        assert_eq!(json["sections"][2]["findings"][0]["severity"], "error");
        assert_eq!(json["sections"][3]["body"], "select 1;\n");
    }
}

//! The four workloads measured, beside the figures they are to show: the tables of
//! `docs/workloads.md`.
//!
//! `cargo bench --bench workloads` measures and prints; with `UPDATE=1` it also writes the tables
//! into the document, between the marks that are there for them. Without cargo's `--bench`, so in
//! `cargo test`, every case runs once and small, and nothing is written.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark's answer")]

use std::path::Path;

mod accounts;
mod audience;
mod bench;
mod events;
mod markdown;
mod telemetry;

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Users, values or events; each workload's own number for a full run.
    rows: Option<u64>,
    /// How long each run is.
    duration: &'static str,
}

impl Sizes {
    /// The rows to ask for: `full`, unless the run is a small one.
    pub fn rows(self, full: u64) -> String {
        self.rows.unwrap_or(full).to_string()
    }

    /// How long each run is.
    pub fn duration(self) -> &'static str {
        self.duration
    }

    /// Enough to quote.
    const FULL: Sizes = Sizes { rows: None, duration: "20s" };
    /// Just enough to see that every case works.
    const TINY: Sizes = Sizes { rows: Some(2_000), duration: "200ms" };
}

/// A case: its name, which is that of its place in the document, what it measures, and whether it
/// runs only when it is asked for.
type Case = (&'static str, fn(Sizes) -> String, bool);

const CASES: [Case; 5] = [
    ("audience", audience::measure, false),
    // Ten million users take room for 15 GB and a good part of an hour.
    ("audience_10m", audience::measure_10m, true),
    ("telemetry", telemetry::measure, false),
    ("accounts", accounts::measure, false),
    ("events", events::measure, false),
];

/// Workloads whose index change is told as plans before and after: `NAME_plans` measures one.
const WITH_PLANS: [&str; 4] = ["audience", "telemetry", "accounts", "events"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_measurement = arguments.iter().any(|argument| argument == "--bench");
    let names: Vec<&String> = arguments.iter().filter(|name| !name.starts_with('-')).collect();
    if !is_measurement && !names.is_empty() {
        // `cargo test NAME` passes the name of some test to every target.
        return;
    }
    if !bench::has_server() {
        println!("==== SKIPPED: no benchmark without a PostgreSQL server ====");
        return;
    }
    let sizes = if is_measurement { Sizes::FULL } else { Sizes::TINY };
    let writes = is_measurement && std::env::var_os("UPDATE").is_some();
    for (name, measure, only_asked_for) in CASES {
        let asked = names.iter().any(|wanted| wanted.as_str() == name);
        if asked || names.is_empty() && !(only_asked_for && is_measurement) {
            let tables = measure(sizes);
            println!("## {name}\n\n{tables}");
            if writes {
                write("measured", name, &tables);
            }
        }
    }
    for name in WITH_PLANS {
        let word = format!("{name}_plans");
        if names.is_empty() || names.iter().any(|wanted| **wanted == word) {
            let plans = bench::plans(name, &sizes.rows(100_000));
            println!("## {word}\n\n{plans}");
            if writes {
                write("plans", name, &plans);
            }
        }
    }
}

/// Puts the tables between their marks in the document.
fn write(what: &str, name: &str, tables: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workloads.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- {what}: {name} -->\n");
    let end = "<!-- end -->\n";
    let from = text.find(&begin).unwrap_or_else(|| panic!("no place for {name}")) + begin.len();
    let to = from + text[from..].find(end).unwrap();
    std::fs::write(&path, format!("{}{tables}{}", &text[..from], &text[to..])).unwrap();
}

//! What the demo has to say in the end. Pure: measurements in, report out.

use std::time::Duration;

use crate::bench::speed_up;
use crate::model::units::{human_bytes, human_count, human_duration};
use crate::pg::sizes::Sizes;
use crate::profile::Query;
use crate::report::{Report, Table};
use crate::workload::Workload;

/// Tag of queries to the audience's old model; the new model's has the same name without it.
const OLD_MODEL: &str = "eav";

/// What was built, changed and measured.
#[derive(Debug, Clone)]
pub struct Change {
    /// The number asked for: users, values or events.
    pub units: u64,
    /// Rows in all tables.
    pub rows: u64,
    /// How long they took to load.
    pub loading: Duration,
    /// The migration that changed the indexes.
    pub migration: String,
    /// How long it took.
    pub changing: Duration,
    /// Before and after it.
    pub sizes: (Sizes, Sizes),
    /// Each query, before and after it.
    pub queries: Vec<Timed>,
}

/// A query's median time and scans, before and after.
#[derive(Debug, Clone)]
pub struct Timed {
    /// The query.
    pub query: Query,
    /// Before the index change.
    pub before: (Duration, String),
    /// After it.
    pub after: (Duration, String),
}

/// The final report; `version` is the server's, `elapsed` the time of it all.
pub fn report(workload: Workload, version: &str, change: &Change, elapsed: Duration) -> Report {
    let (before, after) = change.sizes;
    let data = format!(
        "{} {}: {} rows loaded in {}; {} in {} tables",
        human_count(change.units),
        workload.unit(),
        human_count(change.rows),
        human_duration(change.loading),
        human_bytes(after.tables_bytes),
        human_count(after.tables)
    );
    let migration = format!("{}, online in {}", change.migration, human_duration(change.changing));
    let indexes = format!(
        "{} of {} before, {} of {} after",
        human_count(before.indexes),
        human_bytes(before.indexes_bytes),
        human_count(after.indexes),
        human_bytes(after.indexes_bytes)
    );
    let server = format!("PostgreSQL {version}, private, {} in all", human_duration(elapsed));
    let facts = [("server", server), ("data", data), ("change", migration), ("indexes", indexes)];
    let facts = facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let title = format!("{workload}: {}", workload.description());
    let report = Report::new(&title).facts("", facts).table(queries(change));
    let models = models(change);
    if models.rows.is_empty() { report } else { report.table(models) }
}

/// Each query before and after.
fn queries(change: &Change) -> Table {
    let title = format!("before and after {} (median of up to 5 runs)", change.migration);
    let columns = ["query", "before", "after", "speed-up", "target", "scans"];
    let mut table = Table::new(&title, &columns).right_aligned(&[1, 2, 3]);
    for Timed { query, before, after } in &change.queries {
        let scans = match before.1 == after.1 {
            true => after.1.clone(),
            false => format!("{} -> {}", before.1, after.1),
        };
        table.rows.push(vec![
            query.name.clone(),
            human_duration(before.0),
            human_duration(after.0),
            speed_up(before.0, after.0),
            target(query, after.0),
            scans,
        ]);
    }
    table
}

/// Whether a time is good enough.
fn target(query: &Query, time: Duration) -> String {
    match query.target.duration() {
        Duration::ZERO => "none".to_string(),
        target if time <= target => format!("{} met", query.target),
        _ => format!("{} missed", query.target),
    }
}

/// Questions asked of the old and of the new model, both with all indexes they have in the end.
fn models(change: &Change) -> Table {
    let columns = ["question", "old model", "new model", "speed-up"];
    let mut table =
        Table::new("the same questions to both models", &columns).right_aligned(&[1, 2, 3]);
    for old in change.queries.iter().filter(|timed| timed.query.tags.iter().any(is_old_model)) {
        let name = old.query.name.trim_end_matches("_eav");
        let Some(new) = change.queries.iter().find(|timed| timed.query.name == name) else {
            continue;
        };
        let (old, new) = (old.after.0, new.after.0);
        let cells = [name.to_string(), human_duration(old), human_duration(new)];
        table.rows.push(cells.into_iter().chain([speed_up(old, new)]).collect());
    }
    table
}

fn is_old_model(tag: &String) -> bool {
    tag == OLD_MODEL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Millis;
    use crate::report::text::render;

    fn timed(name: &str, tag: &str, before_ms: u64, after_ms: u64, scans: [&str; 2]) -> Timed {
        let query = Query {
            name: name.to_string(),
            tags: vec![tag.to_string()],
            target: Millis(20),
            ..Query::default()
        };
        let [before, after] = scans.map(str::to_string);
        let ms = Duration::from_millis;
        Timed { query, before: (ms(before_ms), before), after: (ms(after_ms), after) }
    }

    fn change(queries: Vec<Timed>) -> Change {
        let sizes = |indexes, kilobytes: u64| Sizes {
            tables: 3,
            tables_bytes: 8 << 20,
            indexes,
            indexes_bytes: kilobytes * 1024,
        };
        Change {
            units: 2_000,
            rows: 9_876,
            loading: Duration::from_millis(250),
            migration: "V3__indexes".to_string(),
            changing: Duration::from_millis(1_500),
            sizes: (sizes(2, 8), sizes(5, 64)),
            queries,
        }
    }

    #[test]
    fn it_says_what_was_done_and_what_it_brought() {
        let queries = vec![
            timed("size_eav", "eav", 114, 114, ["Seq"; 2]),
            timed("size", "profile", 38, 19, ["8 Seq", "8 Index Only"]),
        ];
        let elapsed = Duration::from_secs(9);
        let report = report(Workload::Audience, "15.13", &change(queries), elapsed);
        let expected = "\
audience: count an audience of users, from attribute rows to profiles

server   PostgreSQL 15.13, private, 9.00 s in all
data     2,000 users: 9,876 rows loaded in 250 ms; 8.0 MB in 3 tables
change   V3__indexes, online in 1.50 s
indexes  2 of 8.0 kB before, 5 of 64.0 kB after

before and after V3__indexes (median of up to 5 runs)
query     before   after  speed-up  target       scans
size_eav  114 ms  114 ms      1.0x  20ms missed  Seq
size       38 ms   19 ms      2.0x  20ms met     8 Seq -> 8 Index Only

the same questions to both models
question  old model  new model  speed-up
size         114 ms      19 ms      6.0x
";
        assert_eq!(anstream::adapter::strip_str(&render(&report, None)).to_string(), expected);
    }

    #[test]
    fn workloads_of_one_model_have_one_table() {
        let queries = vec![timed("count", "point", 1, 1, ["Seq"; 2])];
        let report = report(Workload::Events, "18.0", &change(queries), Duration::ZERO);
        assert_eq!(report.sections.len(), 2);
    }
}

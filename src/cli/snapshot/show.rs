//! `pgtune snapshot show`: what a snapshot file discloses.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::error::Result;
use crate::model::extended_statistics::ExtendedStatistics;
use crate::model::snapshot::{ColumnStatistics, RelationSize, Snapshot};
use crate::model::units::{human_bytes, human_count, plural};
use crate::report::{Report, Table};

use super::file::{self, DEFAULT};
use super::origin::origin;
use super::statements;

/// Show what a snapshot file discloses: all of it that comes from rows
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    #[arg(value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = file::read(&args.file)?;
    context.show(&shown(&args.file, &snapshot))
}

fn shown(path: &Path, snapshot: &Snapshot) -> Report {
    let mut facts = origin(path, snapshot, 1.0);
    if let Some(since) = &snapshot.counters_since {
        facts.push(("counters".to_string(), format!("since {since}, of that server alone")));
    }
    let settings = snapshot.settings.iter().map(|(name, value)| format!("{name} = {value}"));
    let settings = settings.collect::<Vec<_>>().join("; ");
    let schema = match &snapshot.ddl {
        Some(ddl) => {
            format!("{} of statements, as pg_dump writes them", human_bytes(ddl.len() as u64))
        }
        None => "none; the migrations make it".to_string(),
    };
    let history = plural(snapshot.history.applied.len(), "migration", "migrations");
    let more = [("settings", settings), ("schema", schema), ("history", history)];
    facts.extend(more.map(|(name, value)| (name.to_string(), value)));
    let roles: Vec<String> = snapshot.roles.iter().map(|role| role.name.to_string()).collect();
    if !roles.is_empty() {
        let roles = format!("{} (superusers, or past row security)", roles.join(", "));
        facts.push(("roles".to_string(), roles));
    }
    let header = ["column", "nulls", "distinct", "values in the file"];
    let mut columns = Table::new("columns", &header).right_aligned(&[1, 2]);
    columns.rows = snapshot.columns.iter().map(column).collect();
    let mut report = Report::new("").facts("", facts);
    report = report.table(relations(snapshot)).table(columns);
    if !snapshot.extended.is_empty() {
        let header = ["extended statistics", "of", "holds", "values in the file"];
        let mut table = Table::new("extended statistics", &header);
        table.rows = snapshot.extended.iter().map(extended).collect();
        report = report.table(table);
    }
    if let Some(table) = statements::table(snapshot) {
        report = report.table(table);
    }
    report.findings(snapshot.unread.clone())
}

/// Relations, with what was counted of them; with their options where any has some.
fn relations(snapshot: &Snapshot) -> Table {
    let has_options = snapshot.relations.iter().any(|one| !one.options.is_empty());
    let header = ["name", "kind", "size", "rows", "scans", "rows written", "options"];
    let header = if has_options { &header[..] } else { &header[..6] };
    let mut table = Table::new("relations", header).right_aligned(&[2, 3, 4, 5]);
    let count = |count: Option<u64>| count.map_or_else(String::new, human_count);
    let row = |one: &RelationSize| {
        let counters = &one.counters;
        let mut row = vec![
            one.name.to_string(),
            kind(one),
            human_bytes(one.file_pages.saturating_mul(u64::from(snapshot.server.block_size))),
            human_count(one.tuples.max(0.0) as u64),
            count(counters.seq_scan.or(counters.idx_scan)),
            count(counters.written()),
            one.options.join(", "),
        ];
        row.truncate(header.len());
        row
    };
    table.rows = snapshot.relations.iter().map(row).collect();
    table
}

fn kind(one: &RelationSize) -> String {
    let kind = match one.kind {
        'p' => "partitioned table",
        'm' => "materialized view",
        'i' => "index",
        'I' => "partitioned index",
        'f' => "foreign table",
        _ => "table",
    };
    match &one.table {
        Some(table) => format!("{kind} on {table}, {}", one.access_method),
        None => kind.to_string(),
    }
}

fn column(one: &ColumnStatistics) -> Vec<String> {
    vec![
        format!("{}.{}", one.relation, one.column),
        format!("{:.0} %", one.null_frac * 100.0),
        if one.n_distinct < 0.0 {
            format!("{:.0} % of rows", -one.n_distinct * 100.0)
        } else {
            human_count(one.n_distinct as u64)
        },
        match one.is_substituted {
            true => format!("substitutes: {}", values(one).join(", ")),
            false => values(one).join(", "),
        },
    ]
}

/// All values that the file has of a column.
fn values(one: &ColumnStatistics) -> Vec<String> {
    let Some(sample) = &one.values else { return Vec::new() };
    let lengths = sample.range_length_histogram.iter().map(ToString::to_string);
    sample.texts().cloned().chain(lengths).collect()
}

fn extended(one: &ExtendedStatistics) -> Vec<String> {
    let common = one.most_common.as_ref();
    let has = [
        (!one.ndistinct.is_empty(), "groups"),
        (!one.dependencies.is_empty(), "dependencies"),
        (common.is_some(), "combinations"),
        (one.expressions.iter().any(|one| one.statistics.is_some()), "expressions"),
    ];
    let has: Vec<&str> = has.into_iter().filter_map(|(has, what)| has.then_some(what)).collect();
    let combination = |values: &Vec<Option<String>>| {
        let each = values.iter().map(|value| value.as_deref().unwrap_or("NULL"));
        format!("({})", each.collect::<Vec<_>>().join(", "))
    };
    let combinations = common.and_then(|common| common.values.as_ref()).into_iter().flatten();
    let expressions = one.expressions.iter().filter_map(|one| one.statistics.as_ref());
    let all: Vec<String> =
        combinations.map(combination).chain(expressions.flat_map(values)).collect();
    vec![
        one.name.to_string(),
        format!("{} ({})", one.relation, one.terms().join(", ")),
        has.join(", "),
        all.join(", "),
    ]
}

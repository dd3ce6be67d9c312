//! `pgtune snapshot show`: what a snapshot file discloses.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::error::Result;
use crate::model::extended_statistics::ExtendedStatistics;
use crate::model::snapshot::{ColumnStatistics, Snapshot};
use crate::model::units::{human_bytes, human_count};
use crate::report::{Report, Table};

use super::file::{self, DEFAULT};
use super::origin::origin;

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
    let server = &snapshot.server;
    let mut sizes =
        Table::new("relations", &["name", "kind", "size", "rows"]).right_aligned(&[2, 3]);
    sizes.rows = snapshot
        .relations
        .iter()
        .map(|one| {
            vec![
                one.name.to_string(),
                kind(one.kind).to_string(),
                human_bytes(one.file_pages * u64::from(server.block_size)),
                human_count(one.tuples.max(0.0) as u64),
            ]
        })
        .collect();
    let header = ["column", "nulls", "distinct", "values in the file"];
    let mut columns = Table::new("columns", &header).right_aligned(&[1, 2]);
    columns.rows = snapshot.columns.iter().map(column).collect();
    let mut report = Report::new("").facts("", origin(path, snapshot, 1.0));
    report = report.table(sizes).table(columns);
    if !snapshot.extended.is_empty() {
        let header = ["extended statistics", "of", "holds", "values in the file"];
        let mut table = Table::new("extended statistics", &header);
        table.rows = snapshot.extended.iter().map(extended).collect();
        report = report.table(table);
    }
    report.findings(snapshot.unread.clone())
}

fn kind(relkind: char) -> &'static str {
    match relkind {
        'p' => "partitioned table",
        'm' => "materialized view",
        'i' => "index",
        'I' => "partitioned index",
        'f' => "foreign table",
        _ => "table",
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
    let all = [
        &sample.most_common_vals,
        &sample.histogram_bounds,
        &sample.most_common_elems,
        &sample.range_bounds_histogram,
    ];
    all.into_iter().flatten().cloned().collect()
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

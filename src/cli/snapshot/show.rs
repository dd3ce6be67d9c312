//! `pgtune snapshot show`: what a snapshot file discloses.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::error::Result;
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
    let report = Report::new("").facts("", origin(path, snapshot, 1.0));
    report.table(sizes).table(columns).findings(snapshot.unread.clone())
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
    let values = one.values.as_ref().map_or_else(Vec::new, |sample| {
        [&sample.most_common_vals, &sample.histogram_bounds, &sample.most_common_elems]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<String>>()
    });
    vec![
        format!("{}.{}", one.relation, one.column),
        format!("{:.0} %", one.null_frac * 100.0),
        if one.n_distinct < 0.0 {
            format!("{:.0} % of rows", -one.n_distinct * 100.0)
        } else {
            human_count(one.n_distinct as u64)
        },
        match one.is_substituted {
            true => format!("substitutes: {}", values.join(", ")),
            false => values.join(", "),
        },
    ]
}

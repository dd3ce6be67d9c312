//! `pgtune plan diff`: two captures, or one and the database.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::plan::shown;
use crate::cli::plan::take::read_file;
use crate::cli::plan::workload::WorkloadArgs;
use crate::error::{Error, Kind, Result};
use crate::model::units::{Millis, plural};
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::query_plan::workload::WorkloadJudgement;

use super::capture::now;

/// Compare the plans of a capture with those of another, or of the database now
///
/// A verdict for each query, and the tree of each plan that changed. Exit code 1 where that costs
/// the workload more than `[gate]` of the profile allows, or where a query failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune plan diff before.json                 with the database as it is now
  pgtune plan diff before.json after.json      two files, without a database")]
pub struct Args {
    /// What to compare with: a file of `plan capture --save`
    #[arg(value_name = "BEFORE", value_hint = ValueHint::FilePath)]
    before: PathBuf,
    /// What to compare; without it the database is asked, in the same way
    #[arg(value_name = "AFTER", value_hint = ValueHint::FilePath)]
    after: Option<PathBuf>,
    /// The capture was made with --statements: ask for these again
    #[arg(long, conflicts_with = "after")]
    statements: bool,
    /// How long a query may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = Millis::parse)]
    timeout: Millis,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let before = read_file(&args.before)?;
    let after: Captures = match &args.after {
        Some(path) => read_file(path)?,
        None => {
            let workload = WorkloadArgs::of_all(args.statements);
            now(context, &workload, before.mode, args.timeout, Some(&before))?
        }
    };
    let compared = compare(&before, &after, &context.profile().gate);
    let unpaired = before.queries.len() + after.queries.len() - 2 * compared.len();
    if unpaired > 0 {
        context
            .ui
            .warn(&format!("{} only one side", plural(unpaired, "query is on", "queries are on")));
    }
    context.show(&shown::compared("", &compared))?;
    let workload = weigh(&compared, &context.profile().gate);
    if !workload.blocks() {
        return Ok(());
    }
    let message = format!("worse: {}", blocking(&workload).join(", "));
    Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
}

/// The queries that stop a gate.
pub fn blocking(workload: &WorkloadJudgement) -> Vec<String> {
    let blocking = workload.queries.iter().filter(|query| query.blocks);
    blocking.map(|query| query.name.clone()).collect()
}

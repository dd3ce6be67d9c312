//! `pgtune plan diff`: two captures, or one and the database.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::plan::shown;
use crate::cli::plan::sides::SidesArgs;
use crate::cli::plan::take::{Terms, read_file};
use crate::cli::plan::workload::WorkloadArgs;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::suggest::nearest;
use crate::model::units::{Millis, plural};
use crate::query_plan::captures::{Captures, Compared, compare, weigh};
use crate::query_plan::verdict::Mode;
use crate::query_plan::workload::WorkloadJudgement;

use super::capture::now;

/// Compare plans: of a capture with another or the database now, or of two sides of a database
///
/// A verdict for each query, and the tree of each plan that changed. Exit code 1 where that costs
/// the workload more than `[gate]` of the profile allows, or where a query failed. With --mode
/// analyze the two sides take turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune plan diff before.json                        with the database as it is now
  pgtune plan diff before.json after.json             two files, without a database
  pgtune plan diff --set random_page_cost=1.1         with another setting
  pgtune plan diff --set work_mem=64MB --mode analyze   the same, run in turns
  pgtune plan diff --to-url postgres://staging/app    with another database
  pgtune plan diff --policies                         what row-level security costs")]
pub struct Args {
    /// What to compare with: a file of `plan capture --save`
    #[arg(
        value_name = "BEFORE",
        value_hint = ValueHint::FilePath,
        required_unless_present_any = ["set", "to_url", "policies"],
        conflicts_with_all = ["set", "to_url", "policies"],
    )]
    before: Option<PathBuf>,
    /// What to compare; without it the database is asked, in the same way
    #[arg(value_name = "AFTER", value_hint = ValueHint::FilePath)]
    after: Option<PathBuf>,
    #[command(flatten)]
    sides: SidesArgs,
    /// Only this query; may be repeated
    #[arg(long = "query", value_name = "QUERY")]
    queries: Vec<String>,
    /// The statements of the server (pg_stat_statements), as in `plan capture`
    #[arg(long, conflicts_with = "after")]
    statements: bool,
    /// How to take the plans of both sides; those of a file are taken in its own way
    #[arg(long, value_enum, default_value = "estimate", conflicts_with = "before")]
    mode: Mode,
    /// How long a query may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = Millis::parse)]
    timeout: Millis,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let (before, mut after) = both(context, &args)?;
    let findings = std::mem::take(&mut after.findings);
    let compared = compare(&before, &after, &context.profile().gate);
    let unpaired = before.unpaired(&after) + after.unpaired(&before);
    if unpaired > 0 {
        context
            .ui
            .warn(&format!("{} only one side", plural(unpaired, "query is on", "queries are on")));
    }
    if args.sides.policies {
        return policies(context, &compared, findings);
    }
    let workload = weigh(&compared, &context.profile().gate);
    let mut report = shown::compared("", &compared);
    report.sections.extend(shown::weighed(&workload).sections);
    context.show(&report.findings(findings))?;
    if !workload.blocks() {
        return Ok(());
    }
    let message = format!("worse: {}", blocking(&workload).join(", "));
    Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
}

/// What there is to compare.
fn both(context: &Context, args: &Args) -> Result<(Captures, Captures)> {
    let workload = WorkloadArgs::of(args.queries.clone(), args.statements);
    let Some(before) = &args.before else {
        let lock_timeout = context.profile().limits.lock_budget;
        let terms = Terms { mode: args.mode, statement_timeout: args.timeout, lock_timeout };
        return args.sides.take(context, &workload, &terms);
    };
    let before = only(&args.queries, before, read_file(before)?)?;
    let after = match &args.after {
        Some(path) => only(&args.queries, path, read_file(path)?)?,
        None => now(context, &workload, before.mode, args.timeout, Some(&before))?,
    };
    Ok((before, after))
}

/// Only these queries of a file, or all where none is named.
fn only(names: &[String], path: &Path, mut captures: Captures) -> Result<Captures> {
    let is_there = |name: &&String| captures.queries.iter().any(|one| one.query == **name);
    if let Some(missing) = names.iter().find(|name| !is_there(name)) {
        let error = Error::usage(format!("{} has no query {missing}", path.display()));
        let known = captures.queries.iter().map(|one| one.query.as_str());
        return Err(match nearest(missing, known) {
            Some(known) => error.hint(format!("did you mean {known}?")),
            None => error,
        });
    }
    captures.queries.retain(|one| names.is_empty() || names.contains(&one.query));
    Ok(captures)
}

/// Policies are there to be paid for: their cost is told, and judged by nobody.
fn policies(context: &Context, compared: &[Compared<'_>], findings: Vec<Finding>) -> Result<()> {
    let failed = findings.iter().filter(|one| one.severity == Severity::Error).count();
    context.show(&shown::policies(compared).findings(findings))?;
    match failed {
        0 => Ok(()),
        failed => {
            let message = format!("{} no plan", plural(failed, "query has", "queries have"));
            Err(Error::new(Kind::Answer, message))
        }
    }
}

/// The queries that stop a gate.
pub fn blocking(workload: &WorkloadJudgement) -> Vec<String> {
    let blocking = workload.queries.iter().filter(|query| query.blocks);
    blocking.map(|query| query.name.clone()).collect()
}

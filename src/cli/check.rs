//! `pgtune check`: what the pending migrations would do to production, told before they get there.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::cli::lint;
use crate::cli::plan::shown;
use crate::cli::plan::take::take_all;
use crate::cli::plan::workload::QueryArgs;
use crate::cli::shadow::{self, Shadow};
use crate::cli::snapshot::file::{self, DEFAULT};
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, has_errors};
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::report::Report;

use super::plan::diff::blocking;
use super::plan::take::Side;

/// Check the pending migrations against a snapshot of production
///
/// Reads them, runs them on a private server that plans as production does, and says what they
/// would do: to tables, to plans, and under which locks. docs/checks.md explains each finding, and
/// how to allow one. Exit code 1 where something should not be deployed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune check --snapshot prod.json.zst")]
pub struct Args {
    /// The file of `pgtune snapshot take`
    #[arg(long, value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    snapshot: PathBuf,
    #[command(flatten)]
    queries: QueryArgs,
    /// The folder of the server programs
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pg_bin: Option<PathBuf>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = file::read(&args.snapshot)?;
    let profile = context.profile();
    let (applied, pending) = shadow::migrations(context, &snapshot.history)?;
    let linted = lint::found(&profile.check, &snapshot, &applied, &pending);
    let stopped = interrupt::listen()?;
    let mut shadow =
        Shadow::start(context.ui, args.pg_bin.as_deref(), (&snapshot, profile), stopped)?;
    let before = shadow.create("before", &applied)?;
    let after = shadow.copy("before", "after")?;
    shadow.migrate(&after, &pending)?;
    let (mut first, facts) = shadow.imitate(&before)?;
    let (mut second, _) = shadow.imitate_after(&mut first, &after)?;
    let queries = args.queries.queries(context)?;
    let mut sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let taken = take_all(&mut sides, &queries, &shadow::TERMS, None, |_, _| {})?;
    let [before, after] = <[Captures; 2]>::try_from(taken)
        .map_err(|_| Error::new(Kind::Bug, "two sides have other than two captures"))?;
    let mut findings = std::mem::take(&mut shadow.findings);
    findings.extend(after.findings.clone());
    findings.extend(linted);
    let findings = lint::not_allowed(&profile.check, &pending, findings);
    show(context, (&before, &after), findings)
}

/// Shows all of it; the exit code is the answer.
fn show(
    context: &Context,
    (before, after): (&Captures, &Captures),
    findings: Vec<Finding>,
) -> Result<()> {
    let thresholds = &context.profile().gate;
    let compared = compare(before, after, thresholds);
    let workload = weigh(&compared, thresholds);
    let mut report = Report::new("").findings(findings.clone());
    report.sections.extend(shown::weighed(&workload).sections);
    report.sections.extend(shown::compared("", &compared).sections);
    context.show(&report)?;
    match (workload.blocks(), has_errors(&findings)) {
        (true, _) => {
            let message = format!("would be worse: {}", blocking(&workload).join(", "));
            Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
        }
        (false, true) => Err(Error::new(Kind::Answer, "there are errors")),
        (false, false) => Ok(()),
    }
}

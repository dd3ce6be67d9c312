//! `pgtune check`: what the pending migrations would do to production, told before they get there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::cli::partitions::check::checked;
use crate::cli::plan::shown;
use crate::cli::plan::take::take_all;
use crate::cli::plan::workload::QueryArgs;
use crate::cli::shadow::{self, Shadow};
use crate::cli::snapshot::file::DEFAULT;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, has_errors};
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::lock_trace::TracedLock;
use crate::model::snapshot::Snapshot;
use crate::model::units::{human_bytes, human_duration};
use crate::profile::partitions::PartitionRule;
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::report::{Report, Table};

use super::plan::diff::blocking;
use super::plan::take::Side;

/// Check the pending migrations against a snapshot of production
///
/// Runs them on a private server that plans as production does, and says what they would do: to
/// plans, and under which locks. Exit code 1 where something should not be deployed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune check --snapshot prod.json.zst")]
pub struct Args {
    /// The file of `pgtune snapshot take`
    #[arg(long, value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    snapshot: PathBuf,
    /// Plan as with so many times the rows
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = shadow::factor)]
    scale: f64,
    #[command(flatten)]
    queries: QueryArgs,
    /// The folder of the server programs
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pg_bin: Option<PathBuf>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = shadow::read(&args.snapshot, args.scale)?;
    let profile = context.profile();
    let (applied, pending) = shadow::migrations(context, &snapshot.history)?;
    let stopped = interrupt::listen()?;
    let mut shadow =
        Shadow::start(context.ui, args.pg_bin.as_deref(), (&snapshot, profile), stopped)?;
    let before = shadow.create("before", &applied)?;
    let after = shadow.copy("before", "after")?;
    let locks = shadow.migrate_traced(&after, &pending)?;
    // Before its tables are as large as production's: a DEFAULT partition is read.
    let rules: Vec<&PartitionRule> = profile.partitions.iter().collect();
    let runway = match rules.is_empty() {
        true => Vec::new(),
        false => checked(&after, &rules, &profile.partitions, None)?.findings,
    };
    let (mut first, facts) = shadow.imitate(&before)?;
    let (mut second, _) = shadow.imitate_after(&mut first, &after)?;
    let queries = args.queries.queries(context)?;
    let mut sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let taken =
        take_all(&mut sides, &queries, &shadow::TERMS, None, |_, _| interrupt::check(stopped))?;
    let [before, after] = <[Captures; 2]>::try_from(taken)
        .map_err(|_| Error::new(Kind::Bug, "two sides have other than two captures"))?;
    let mut findings = std::mem::take(&mut shadow.findings);
    findings.extend(runway);
    findings.extend(after.findings.clone());
    show(context, (&before, &after), locks_told(&locks, &snapshot), findings)
}

/// Shows all of it; the exit code is the answer.
fn show(
    context: &Context,
    (before, after): (&Captures, &Captures),
    locks: Table,
    findings: Vec<Finding>,
) -> Result<()> {
    let thresholds = &context.profile().gate;
    let compared = compare(before, after, thresholds);
    let workload = weigh(&compared, thresholds);
    let mut report = Report::new("").findings(findings.clone());
    if !locks.rows.is_empty() {
        report = report.table(locks);
    }
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

/// The locks that stop somebody, statement by statement, on tables as large as they are there.
fn locks_told(locks: &[TracedLock], snapshot: &Snapshot) -> Table {
    let sizes: BTreeMap<&QualifiedName, u64> =
        snapshot.relations.iter().map(|one| (&one.name, one.file_pages)).collect();
    let block_size = u64::from(snapshot.server.block_size);
    let header = ["statement", "table", "size", "lock", "work"];
    let mut table = Table::new("locks", &header).right_aligned(&[2]);
    let stopping = locks.iter().filter(|one| one.mode >= LockMode::ShareUpdateExclusive);
    table.rows = stopping
        .map(|one| {
            let bytes = sizes.get(&one.table).copied().unwrap_or_default() * block_size;
            vec![
                format!("{}:{}", one.place.path, one.place.line),
                one.table.to_string(),
                human_bytes(bytes),
                format!("{}, {}", one.mode, one.mode.stops()),
                match one.rewrites {
                    true => format!("rewrites it, {}", human_duration(rewriting(bytes))),
                    false => String::new(),
                },
            ]
        })
        .collect();
    table
}

/// About how long a table takes to be written anew, with its indexes.
fn rewriting(bytes: u64) -> Duration {
    const BYTES_PER_SECOND: f64 = 50e6;
    Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND)
}

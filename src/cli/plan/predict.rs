//! `pgtune plan predict`: production's plans, before and after the pending migrations, without
//! production.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::cli::plan::shown;
use crate::cli::plan::take::{Side, take, take_both};
use crate::cli::plan::workload::ForetoldArgs;
use crate::cli::shadow::{self, Migrations, Shadow, ShadowArgs};
use crate::cli::snapshot::origin::OriginArgs;
use crate::cli::snapshot::substitutes::as_there;
use crate::error::{Error, Kind, Result};
use crate::profile::Query;
use crate::query_plan::captures::{Captures, compare, weigh};

use super::capture::save;
use super::diff::blocking;
use super::server_statements::with_texts;

/// Foretell plans from a snapshot: as they are, and after the pending migrations
///
/// Rebuilds what the planner sees of the database on a private server without rows, runs the
/// pending migrations there, and compares. Exit code 1 where a query would block by `[gate]`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune snapshot take prod.json.zst                on production
  pgtune plan predict --snapshot prod.json.zst      anywhere")]
pub struct Args {
    #[command(flatten)]
    origin: OriginArgs,
    #[command(flatten)]
    queries: ForetoldArgs,
    /// Show the whole plans
    #[arg(long)]
    tree: bool,
    /// Write the plans that are foretold into a file, for `plan diff`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    save: Option<PathBuf>,
    #[command(flatten)]
    shadow: ShadowArgs,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = args.origin.read()?;
    let (queries, changed) =
        as_there(&snapshot.substitutes, &args.queries.queries(context, &snapshot)?);
    let Migrations { applied, pending, findings } = shadow::migrations(context, &snapshot)?;
    let stopped = interrupt::listen()?;
    let mut shadow = Shadow::start(context, &args.shadow, &snapshot, stopped)?;
    shadow.findings.extend(changed);
    shadow.findings.extend(findings);
    let before = shadow.create("before", &applied)?;
    if pending.is_empty() {
        let (mut session, facts) = shadow.imitate(&before)?;
        let side = Side::new(&mut session, &facts);
        let captures =
            take(side, &queries, &shadow::TERMS, None, |_, _| interrupt::check(stopped))?;
        save(context, args.save.as_deref(), &captures)?;
        let report = shown::captures(&captures, args.tree).findings(shadow.findings.clone());
        let report = report.facts("", args.origin.facts(&snapshot));
        return context.show(&with_texts(report, &queries));
    }
    let after = shadow.copy("before", "after")?;
    let left_out = shadow.migrate(&after, &pending)?;
    shadow.findings.extend(left_out);
    let (mut first, facts) = shadow.imitate(&before)?;
    let foretold = shadow.foretell(&mut first, &after)?;
    let (mut second, _) = shadow.imitate_as(&after, &foretold.snapshot)?;
    let sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let [before, after] =
        take_both(sides, &queries, &shadow::TERMS, |_, _| interrupt::check(stopped))?;
    save(context, args.save.as_deref(), &after)?;
    let origin = args.origin.facts(&snapshot);
    show(context, (&before, &after), &shadow, (&queries, origin))
}

fn show(
    context: &Context,
    (before, after): (&Captures, &Captures),
    shadow: &Shadow<'_>,
    (queries, origin): (&[Query], Vec<(String, String)>),
) -> Result<()> {
    let thresholds = &context.profile().gate;
    let compared = compare(before, after, thresholds);
    let workload = weigh(&compared, thresholds);
    let mut report = shown::compared("", &compared);
    report.sections.extend(shown::weighed(&workload).sections);
    let findings = shadow.findings.iter().chain(&after.findings).cloned().collect();
    let report = report.findings(findings).facts("", origin);
    context.show(&with_texts(report, queries))?;
    match workload.blocks() {
        false => Ok(()),
        true => {
            let message = format!("would be worse: {}", blocking(&workload).join(", "));
            Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
        }
    }
}

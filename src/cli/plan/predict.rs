//! `pgtune plan predict`: production's plans, before and after the pending migrations, without
//! production.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::migrate::strictness;
use crate::cli::plan::shown;
use crate::cli::plan::take::{Side, Terms, take, take_all};
use crate::cli::plan::workload::QueryArgs;
use crate::cli::shadow::Shadow;
use crate::cli::snapshot::file;
use crate::cli::{converge, folder, interrupt};
use crate::error::{Error, Kind, Result};
use crate::model::migration::History;
use crate::model::units::Millis;
use crate::planner::Migration;
use crate::planner::verify::verify;
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::query_plan::verdict::Mode;

use super::capture::save;
use super::diff::blocking;

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
    /// The file of `pgtune snapshot take`
    #[arg(long, value_name = "FILE", default_value = "snapshot.json.zst", value_hint = ValueHint::FilePath)]
    snapshot: PathBuf,
    #[command(flatten)]
    queries: QueryArgs,
    /// Show the whole plans
    #[arg(long)]
    tree: bool,
    /// Write the plans that are foretold into a file, for `plan diff`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    save: Option<PathBuf>,
    /// The folder of the server programs
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pg_bin: Option<PathBuf>,
}

/// How plans are asked for: nothing is run, and nobody is in the way.
const TERMS: Terms =
    Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout: Millis(0) };

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = file::read(&args.snapshot)?;
    let profile = context.profile();
    let queries = args.queries.queries(context)?;
    let (applied, pending) = migrations(context, &snapshot.history)?;
    let stopped = interrupt::listen()?;
    let mut shadow =
        Shadow::start(context.ui, args.pg_bin.as_deref(), (&snapshot, profile), stopped)?;
    let before = shadow.create("before", &applied)?;
    if pending.is_empty() {
        let (mut session, facts) = shadow.imitate(&before)?;
        let side = Side::new(&mut session, &facts);
        let captures = take(side, &queries, &TERMS, None, |_, _| {})?;
        save(context, args.save.as_deref(), &captures)?;
        let report = shown::captures(&captures, args.tree).findings(shadow.findings.clone());
        return context.show(&report);
    }
    let after = shadow.copy("before", "after")?;
    shadow.migrate(&after, &pending)?;
    let (mut first, facts) = shadow.imitate(&before)?;
    let (mut second, _) = shadow.imitate_after(&mut first, &after)?;
    let mut sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let taken = take_all(&mut sides, &queries, &TERMS, None, |_, _| {})?;
    let [before, after] = <[Captures; 2]>::try_from(taken)
        .map_err(|_| Error::new(Kind::Bug, "two sides have other than two captures"))?;
    save(context, args.save.as_deref(), &after)?;
    show(context, &before, &after, &shadow)
}

fn show(context: &Context, before: &Captures, after: &Captures, shadow: &Shadow<'_>) -> Result<()> {
    let thresholds = &context.profile().gate;
    let compared = compare(before, after, thresholds);
    let workload = weigh(&compared, thresholds);
    let mut report = shown::compared("", &compared);
    report.sections.extend(shown::weighed(&workload).sections);
    let findings = shadow.findings.iter().chain(&after.findings).cloned().collect();
    context.show(&report.findings(findings))?;
    match workload.blocks() {
        false => Ok(()),
        true => {
            let message = format!("would be worse: {}", blocking(&workload).join(", "));
            Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
        }
    }
}

/// The migrations that the snapshot's database had, and those that it had not.
fn migrations(context: &Context, history: &History) -> Result<(Vec<Migration>, Vec<Migration>)> {
    let read = folder::read_files(&folder::sql_files(&context.migrations_folder())?)?;
    let verified = verify(&read.files, history, strictness(context.profile()));
    converge::refuse(&verified.findings)?;
    let mut sides = (Vec::new(), Vec::new());
    for (at, file) in read.files.iter().enumerate() {
        let is_pending = verified.pending.contains(&at);
        let side = if is_pending { &mut sides.1 } else { &mut sides.0 };
        side.push(folder::parse(file)?);
    }
    Ok(sides)
}

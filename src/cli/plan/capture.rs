//! `pgtune plan capture`: the plans of the application's queries at this moment.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::cli::plan::rivals::note_rivals;
use crate::cli::plan::server_statements;
use crate::cli::plan::shown;
use crate::cli::plan::take::{Side, Terms, take};
use crate::cli::plan::workload::WorkloadArgs;
use crate::error::{Error, Kind, Result};
use crate::model::units::{Millis, plural};
use crate::pg::server;
use crate::profile::Query;
use crate::query_plan::captures::Captures;
use crate::query_plan::verdict::Mode;
use crate::ui::progress;

/// Take the plans of the application's queries
///
/// Each query of the profile, as its role and with its settings, with each of its sets of values.
/// Nothing is run but with --mode analyze, and what that writes is rolled back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune plan capture                          costs and digests of all queries
  pgtune plan capture unread_count --tree      one query, with its whole plan
  pgtune plan capture --mode analyze           run them, and show times and blocks
  pgtune plan capture --save before.json       to compare with later
  pgtune plan capture --file queries.sql       queries of a file
  pgtune plan capture --statements             what the server spends its time on")]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// How to take them
    #[arg(
        long,
        value_enum,
        default_value = "estimate",
        default_value_if("statements", "true", "generic")
    )]
    mode: Mode,
    /// Show the whole plans
    #[arg(long)]
    tree: bool,
    /// Write the plans into a file, for `plan diff`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    save: Option<PathBuf>,
    /// How long a query may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = Millis::parse)]
    timeout: Millis,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let (queries, captures) = taken(context, &args.workload, args.mode, args.timeout, None)?;
    save(context, args.save.as_deref(), &captures)?;
    let report = shown::captures(&captures, args.tree);
    context.show(&server_statements::with_texts(report, &queries))?;
    let failed = captures.queries.iter().filter(|one| one.capture().is_none()).count();
    match failed {
        0 => Ok(()),
        failed => {
            let message = format!("{} no plan", plural(failed, "query has", "queries have"));
            Err(Error::new(Kind::Answer, message))
        }
    }
}

/// Writes plans into a file, where one is named.
pub fn save(context: &Context, path: Option<&Path>, captures: &Captures) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string(captures).expect("plans fit into JSON");
    std::fs::write(path, text + "\n")
        .map_err(|error| Error::system(format!("write {}", path.display()), error))?;
    context.ui.status(&format!("written  {}", path.display()));
    Ok(())
}

/// The plans of the database at this moment; to be compared with `known`, with the values that were
/// chosen there.
pub fn now(
    context: &Context,
    workload: &WorkloadArgs,
    mode: Mode,
    statement_timeout: Millis,
    known: Option<&Captures>,
) -> Result<Captures> {
    taken(context, workload, mode, statement_timeout, known).map(|(_, captures)| captures)
}

/// The same, with the queries.
fn taken(
    context: &Context,
    workload: &WorkloadArgs,
    mode: Mode,
    statement_timeout: Millis,
    known: Option<&Captures>,
) -> Result<(Vec<Query>, Captures)> {
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let queries = workload.queries(context, &mut session)?;
    let server = server::look(&mut session, &database.history_table)?;
    let lock_timeout = context.profile().limits.lock_budget;
    let terms = Terms { mode, statement_timeout, lock_timeout };
    let (canceler, stopped) = (session.canceler(), interrupt::listen()?);
    let side = Side::new(&mut session, &server);
    let mut show = None;
    let mut taken = interrupt::cancelling(&canceler, stopped, || {
        take(side, &queries, &terms, known, |done, of| {
            let show = show.get_or_insert_with(|| progress::count(context.ui, of as u64));
            show(done as u64, "plans");
            interrupt::check(stopped)
        })
    })?;
    if let Some(before) = known {
        let mut side = Side::new(&mut session, &server);
        let thresholds = &context.profile().gate;
        note_rivals(&mut side, &queries, before, &mut taken, &terms, thresholds)?;
    }
    Ok((queries, taken))
}

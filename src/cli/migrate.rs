//! `pgtune migrate`: shows the runbook of pending migrations, then runs it.

use std::thread;
use std::time::Instant;

use crate::error::Result;
use crate::executor::Crew;
use crate::model::finding::Finding;
use crate::model::units::{Millis, human_duration, plural};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::verify::{MigrationFile, Strictness, verify};
use crate::planner::{Migration, Planned, plan};
use crate::profile::{Profile, Query};
use crate::report::Report;
use crate::runbook::print;
use crate::ui::progress;

use super::context::Context;
use super::converge::{Aim, converge, look_and_plan, refuse};
use super::database::Database;
use super::plan::server_statements;
use super::plan::watch::{PlanWatch, Watching};
use super::runner::{Runner, take_over};
use super::{fault, folder};

/// Apply pending migrations, online
///
/// Shows what will run and be locked, asks, and runs it: index builds concurrently, also on
/// partitioned tables, everything else in transactions with short lock time-outs and retries.
/// After any stop, run it again: it finds what is left to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune migrate --dry-run           show the runbook, change nothing
  pgtune migrate --dry-run --sql     the same as SQL that psql can run
  pgtune migrate --yes --env prod    apply without asking, with the overlay [env.prod]
  pgtune migrate --to 7              stop after version 7")]
pub struct Args {
    /// Show the runbook and change nothing, not even the history table
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print runnable SQL instead of the overview
    #[arg(long, requires = "dry_run")]
    sql: bool,
    /// Apply versions up to this one
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    /// Go ahead without asking
    #[arg(long, short)]
    yes: bool,
    /// Stop where an index change makes the plan of one of the profile's queries worse
    #[arg(long)]
    gate: bool,
    /// Run the queries around each index change, and roll them back, to compare what they took
    #[arg(long)]
    measure: bool,
    /// Look at the plans of the server's statements as well (pg_stat_statements): of those that it
    /// spends most of its time on, and of all about tables whose indexes change
    #[arg(long)]
    statements: bool,
    /// How long to wait for another pgtune on the same database (default: limits.runner_wait)
    #[arg(long, value_name = "DURATION", value_parser = Millis::parse)]
    wait: Option<Millis>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let paths = folder::sql_files(&context.migrations_folder())?;
    let database = Database::of(context)?;
    // Reaching the server takes about as long as reading a thousand files.
    let (folder, session) = thread::scope(|scope| {
        let session = scope.spawn(|| database.open());
        let folder = folder::read_files(&paths);
        (folder, session.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (folder, mut session) = (folder?, session?);
    let pending = pending(context, &database, &mut session, &folder.files, args.to)?;
    warn_of(context, &folder.findings);
    if pending.is_empty() {
        return nothing_to_do(context, folder.files.len());
    }
    let profile = context.profile();
    let aim = Aim {
        migrations: &pending,
        history_table: &database.history_table,
        history_width: profile.migrations.history_version,
        limits: &profile.limits,
    };
    let planned = look_and_plan(&mut session, &aim, plan)?;
    if args.dry_run {
        return dry_run(context, &planned, args.sql);
    }
    refuse(&planned.findings)?;
    let queries = match args.statements {
        true => server_statements::watched(context, &mut session, &planned.runbook)?,
        false => profile.queries.clone(),
    };
    context.ui.status(&print::overview(&planned.runbook));
    if !args.yes {
        context.ui.confirm(&format!("Run it on {database}?"))?;
    }
    let begin = Instant::now();
    let watching = Watching { gates: args.gate, measures: args.measure };
    let wait = args.wait.unwrap_or(profile.limits.runner_wait);
    let (applied, steps, plans) =
        apply(context, &database, session, &aim, (&queries, watching), &planned, wait)?;
    if applied == 0 {
        return nothing_to_do(context, folder.files.len());
    }
    let elapsed = human_duration(begin.elapsed());
    let plans = server_statements::with_texts(plans, &queries);
    report(context, &pending, (applied, steps), &elapsed, plans)
}

/// The migrations to apply, read; errors where files and history do not fit together.
fn pending(
    context: &Context,
    database: &Database,
    session: &mut Session,
    files: &[MigrationFile],
    to: Option<i64>,
) -> Result<Vec<Migration>> {
    let server = server::look(session, &database.history_table)?;
    let verified = verify(files, &server.history, strictness(context.profile()));
    refuse(&verified.findings)?;
    warn_of(context, &verified.findings);
    if let Some(to) = to {
        warn_of_unknown_version(context, files, to);
    }
    verified
        .pending
        .iter()
        .map(|position| &files[*position])
        .filter(|file| to.is_none_or(|to| file.id.version <= to))
        .map(folder::parse)
        .collect()
}

/// `--to` with a version that no file has may be a slip of the pen.
fn warn_of_unknown_version(context: &Context, files: &[MigrationFile], to: i64) {
    let newest = files.iter().map(|file| &file.id).max_by_key(|id| id.version);
    if let Some(newest) = newest.filter(|_| files.iter().all(|file| file.id.version != to)) {
        context.ui.warn(&format!("--to {to}: no migration has this version; newest is {newest}"));
    }
}

/// How strict the profile wants to be.
pub fn strictness(profile: &Profile) -> Strictness {
    Strictness {
        abort_divergent: profile.migrations.abort_divergent,
        abort_missing: profile.migrations.abort_missing,
    }
}

fn warn_of(context: &Context, findings: &[Finding]) {
    for finding in findings {
        context.ui.warn(&format!("{} {}", finding.subject, finding.message));
    }
}

fn nothing_to_do(context: &Context, files: usize) -> Result<()> {
    let have = plural(files, "migration is", "migrations are");
    let title = format!("nothing to do: {have} applied");
    context.show(&Report::new(&title))
}

fn dry_run(context: &Context, planned: &Planned, sql: bool) -> Result<()> {
    let text = match sql {
        true => print::sql(&planned.runbook),
        false => print::overview(&planned.runbook),
    };
    let report = Report::new("").text("", text).findings(planned.findings.clone());
    context.show_runbook(&planned.runbook, &report)?;
    refuse(&planned.findings)
}

/// Takes the runner lock, looks again, and runs what is left. Returns how many migrations and
/// steps it ran, and what became of plans.
fn apply(
    context: &Context,
    database: &Database,
    session: Session,
    aim: &Aim<'_>,
    (queries, watching): (&[Query], Watching),
    shown: &Planned,
    wait: Millis,
) -> Result<(usize, usize, Report)> {
    let Runner { lock, mut lane, server: before, stopped } =
        take_over(context, database, session, wait)?;
    let planned = look_and_plan(&mut lane, aim, plan)?;
    refuse(&planned.findings)?;
    if !planned.runbook.is_empty() && planned.runbook.basis() != shown.runbook.basis() {
        context.ui.status("the database has changed since the runbook was shown; it is now:");
        context.ui.status(&print::overview(&planned.runbook));
    }
    let open = || database.open_runner();
    let mut crew = Crew {
        sessions: vec![lane],
        lock: Some(lock),
        watcher: None,
        archive: None,
        open: &open,
        stopped,
    };
    let mut display = progress::display(context.ui, planned.runbook.step_count());
    let mut fault = fault::Fault::of_process();
    let mut observe = |event: &_| {
        fault.strike();
        display(event);
    };
    let profile = context.profile();
    let terms = (&profile.gate, &profile.limits);
    let mut plans = PlanWatch::new(queries, terms, watching, &before);
    let watched = (!queries.is_empty()).then_some(&mut plans);
    let converged = converge(aim, &mut crew, watched, &mut observe);
    let plans = plans.into_report();
    let steps = match converged {
        Ok(steps) => steps,
        Err(error) => {
            // What the gate says is about these.
            context.show(&server_statements::with_texts(plans, queries))?;
            return Err(error);
        }
    };
    let after = server::look(&mut crew.sessions[0], &database.history_table)?;
    let applied = after.history.applied.len().saturating_sub(before.history.applied.len());
    Ok((applied, steps, plans))
}

fn report(
    context: &Context,
    pending: &[Migration],
    (applied, steps): (usize, usize),
    elapsed: &str,
    plans: Report,
) -> Result<()> {
    let migrations = plural(applied, "migration", "migrations");
    let steps = plural(steps, "step", "steps");
    let newest = pending.last().map_or_else(String::new, |migration| migration.id.to_string());
    let title = format!("{migrations} applied in {elapsed} ({steps}); now at {newest}");
    context.show(&Report { title, ..plans })
}

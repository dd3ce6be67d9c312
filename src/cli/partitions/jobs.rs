//! Runs what the partition commands plan: shows it, asks, and brings one table after the other
//! up to date, so that one in trouble stops no other.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::{DateTime, Utc};
use clap::ValueEnum;

use crate::archive::store::{Credentials, Place, Store};
use crate::cli::context::Context;
use crate::cli::converge::repeat;
use crate::cli::database::Database;
use crate::cli::fault;
use crate::cli::plan::watch::{PlanWatch, Watching};
use crate::cli::runner::{Runner, take_over};
use crate::error::{Error, Kind, Result};
use crate::executor::event::Event;
use crate::executor::{self, Crew};
use crate::model::finding::{Finding, Severity, has_errors};
use crate::model::ident::QualifiedName;
use crate::model::units::{Millis, human_duration, plural};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::Planned;
use crate::profile::partitions::PartitionRule;
use crate::profile::{Archive, Limits};
use crate::report::{Report, Table};
use crate::runbook::Runbook;
use crate::runbook::action::Action;
use crate::runbook::partition::{Hazard, PartitionAction};
use crate::runbook::print;
use crate::ui::progress;

use super::look::{Job, Sight, Terms, look, parse_as_of, plan, withdraw};

/// What all commands that change partitions take.
#[derive(Debug, clap::Args)]
pub struct CommonArgs {
    /// Show the runbook and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print runnable SQL instead of the overview
    #[arg(long, requires = "dry_run")]
    sql: bool,
    /// Plan as if it were this date, or time with zone
    #[arg(long, value_name = "DATE", value_parser = parse_as_of)]
    pub as_of: Option<DateTime<Utc>>,
    /// Go ahead without asking
    #[arg(long, short)]
    yes: bool,
    /// How long to wait for another pgtune on the same database (default: limits.runner_wait)
    #[arg(long, value_name = "DURATION", value_parser = Millis::parse)]
    wait: Option<Millis>,
}

/// How one rule came out.
struct Outcome {
    table: String,
    created: usize,
    detached: usize,
    archived: usize,
    dropped: usize,
    /// What the last plan says, and what it will do.
    findings: Vec<Finding>,
    actions: Vec<Action>,
    /// The tables that were locked for it.
    touched: BTreeSet<QualifiedName>,
    error: Option<Error>,
}

/// Plans the jobs on what was seen, and runs them.
pub fn run(
    context: &Context,
    (database, mut session, mut sight): (Database, Session, Sight),
    jobs: &[Job<'_>],
    terms: &Terms<'_>,
    args: &CommonArgs,
) -> Result<()> {
    if args.dry_run {
        // A rehearsal for another day plays that day.
        sight.clock = sight.now;
    }
    let mut planned = |terms: &Terms<'_>| {
        let plans = jobs.iter().map(|job| {
            // Without the runner's lock somebody may change the table between look and question.
            plan(&mut session, &sight, job, terms)
                .or_else(|_| {
                    let sight = look(&mut session, &database, args.as_of)?;
                    plan(&mut session, &sight, job, terms)
                })
                .unwrap_or_else(|error| refused(job, &error))
        });
        together(&plans.collect::<Vec<_>>())
    };
    let whole = planned(terms);
    if args.dry_run {
        if args.sql {
            // Who hands it to psql has allowed no more than this.
            return dry_run_for_psql(context, &whole);
        }
        // The runbook as it would be if all were allowed; the findings say what is not.
        let allowed = Hazard::value_variants().iter().copied().collect();
        let all = planned(&Terms { limits: terms.limits, allowed, rules: terms.rules });
        return dry_run(context, &Planned { runbook: all.runbook, ..whole });
    }
    if whole.runbook.is_empty() {
        let title =
            format!("nothing to do: {} up to date", plural(jobs.len(), "table is", "tables are"));
        let title = if has_errors(&whole.findings) { "nothing was done" } else { title.as_str() };
        context.show(&Report::new(title).findings(whole.findings.clone()))?;
        return answer(&whole.findings);
    }
    context.ui.status(&print::overview(&whole.runbook));
    if !args.yes {
        context.ui.confirm(&format!("Run it on {database}?"))?;
    }
    let begin = Instant::now();
    let crew =
        take_over(context, &database, session, args.wait.unwrap_or(terms.limits.runner_wait))?;
    let steps = whole.runbook.step_count();
    let (outcomes, plans) = apply(context, &database, crew, (jobs, terms, args.as_of), steps)?;
    report(context, outcomes, plans, &human_duration(begin.elapsed()))
}

/// A table that cannot even be planned stops no other.
fn refused(job: &Job<'_>, error: &Error) -> Planned {
    let (table, message) = (job.written.table.clone(), error.message.clone());
    let finding = Finding::new("rule-failed", Severity::Error, table, message);
    Planned { findings: vec![finding], ..Planned::default() }
}

/// All rules' stages, one after the other.
fn together(planned: &[Planned]) -> Planned {
    let stages = planned.iter().flat_map(|one| one.runbook.stages.clone()).collect();
    let findings = planned.iter().flat_map(|one| one.findings.clone()).collect();
    Planned { runbook: Runbook { stages }, findings }
}

fn dry_run(context: &Context, planned: &Planned) -> Result<()> {
    let Planned { runbook, findings } = planned;
    let report = Report::new("").text("", print::overview(runbook)).findings(findings.clone());
    context.show_runbook(runbook, &report)?;
    answer(findings)
}

/// What is for psql contains nothing else.
fn dry_run_for_psql(context: &Context, planned: &Planned) -> Result<()> {
    let Planned { runbook, findings } = planned;
    for Finding { subject, message, help, .. } in findings {
        context.ui.warn(format!("{subject}: {message}; {help}").trim_end_matches("; "));
    }
    context.show_runbook(runbook, &Report::new("").text("", print::sql(runbook)))?;
    answer(findings)
}

/// The answer in the exit code; the report has said the rest.
fn answer(findings: &[Finding]) -> Result<()> {
    match has_errors(findings) {
        true => Err(Error::new(Kind::Answer, "a rule cannot be followed")),
        false => Ok(()),
    }
}

/// Brings one table after the other up to date.
fn apply(
    context: &Context,
    database: &Database,
    runner: Runner,
    (jobs, terms, as_of): (&[Job<'_>], &Terms<'_>, Option<DateTime<Utc>>),
    steps: usize,
) -> Result<(Vec<Outcome>, Report)> {
    let Runner { lock, lane, server, stopped } = runner;
    server::refuse_read_only(&server)?;
    let open = || database.open_runner();
    let (settings, folder) = (&context.profile().archive, context.profile_folder.as_path());
    let open_store = || open_store(settings, folder);
    let archive = Some(Place::new(&open_store));
    let (sessions, lock) = (vec![lane], Some(lock));
    let mut crew = Crew { sessions, lock, watcher: None, archive, open: &open, stopped };
    let mut display = progress::display(context.ui, steps);
    let mut fault = fault::Fault::of_process();
    let mut observe = |event: &_| {
        fault.strike();
        display(event);
    };
    let profile = context.profile();
    let watched = (&profile.gate, terms.limits);
    let mut plans = PlanWatch::new(&profile.queries, watched, Watching::default(), &server);
    let mut outcomes = Vec::new();
    for job in jobs {
        if let Err(error) = plans.begin(&mut crew.sessions[0]) {
            context.ui.warn(&format!("{}: plans are not compared: {error}", job.written.table));
        }
        let outcome = RefCell::new(Outcome::of(job));
        let mut look_and_plan = |session: &mut Session| {
            let sight: Sight = look(session, database, as_of)?;
            let planned = plan(session, &sight, job, terms)?;
            outcome.borrow_mut().plan(&planned);
            Ok(planned)
        };
        let mut count = |event: &_| {
            outcome.borrow_mut().count(event);
            observe(event);
        };
        let result = repeat(ROUNDS_MAX, &mut look_and_plan, &mut crew, None, &mut count);
        let mut outcome = outcome.into_inner();
        outcome.error = result.err().map(|error| {
            let withdrawn = withdraw_proofs(database, job.written, terms, &mut crew, &mut observe);
            match withdrawn {
                Ok(()) => error,
                Err(_) => error.hint("the next run takes pgtune's check off the DEFAULT partition"),
            }
        });
        let change = format!("the partitions of {}", outcome.table);
        let compared = plans.end(&change, &outcome.touched, &mut crew, &mut observe);
        if let Err(error) = compared {
            context.ui.warn(&format!("{}: plans are not compared: {error}", outcome.table));
        }
        let interrupted = outcome.error.as_ref().is_some_and(|e| e.kind == Kind::Interrupted);
        outcomes.push(outcome);
        if interrupted {
            break;
        }
    }
    Ok((outcomes, plans.into_report()))
}

/// After a failure, also after a stop: a proof left behind would keep rows out of the DEFAULT
/// partition.
fn withdraw_proofs(
    database: &Database,
    rule: &PartitionRule,
    terms: &Terms<'_>,
    crew: &mut Crew<'_>,
    observe: &mut dyn FnMut(&Event),
) -> Result<()> {
    static GO_ON: AtomicBool = AtomicBool::new(false);
    let limits = Limits {
        lock_deadline: terms.limits.lock_deadline.min(WITHDRAWAL_DEADLINE),
        ..terms.limits.clone()
    };
    // Where the server is gone, the error says so.
    let Ok(sight) = look(&mut crew.sessions[0], database, None) else { return Ok(()) };
    let runbook = withdraw(&sight, rule, &limits);
    let stopped = std::mem::replace(&mut crew.stopped, &GO_ON);
    let result = executor::run(&runbook.stages, crew, observe);
    crew.stopped = stopped;
    result
}

/// How long to go on trying to take a proof back.
const WITHDRAWAL_DEADLINE: Millis = Millis(20_000);

/// The place for archives, as the profile names it.
pub fn store(context: &Context) -> Result<Store> {
    open_store(&context.profile().archive, &context.profile_folder)
}

fn open_store(settings: &Archive, profile_folder: &Path) -> Result<Store> {
    Store::open(settings, profile_folder, Credentials::of(|name| std::env::var(name).ok()))
}

/// A rule takes two rounds, more where others change the table meanwhile.
const ROUNDS_MAX: usize = 20;

impl Outcome {
    fn of(job: &Job<'_>) -> Outcome {
        Outcome {
            table: job.written.table.clone(),
            created: 0,
            detached: 0,
            archived: 0,
            dropped: 0,
            findings: Vec::new(),
            actions: Vec::new(),
            touched: BTreeSet::new(),
            error: None,
        }
    }

    /// Remembers a plan; the last one finds nothing left.
    fn plan(&mut self, planned: &Planned) {
        self.findings.clone_from(&planned.findings);
        let steps = || planned.runbook.stages.iter().flat_map(|stage| &stage.steps);
        self.actions = steps().map(|step| step.action.clone()).collect();
        let locks = steps().flat_map(|step| &step.locks);
        self.touched.extend(locks.map(|lock| lock.table.clone()));
    }

    /// Counts what was done of the plan.
    fn count(&mut self, event: &Event) {
        let Event::StepDone { step, .. } = event else { return };
        match self.actions.get(*step) {
            Some(Action::FinalizeDetach { .. }) => self.detached += 1,
            Some(Action::Partition(action)) => match action {
                PartitionAction::Create(_)
                | PartitionAction::CreateFromDefault { .. }
                | PartitionAction::Restore { .. } => self.created += 1,
                PartitionAction::Default(action) => self.created += action.created(),
                PartitionAction::DetachConcurrently { .. } => self.detached += 1,
                PartitionAction::Detach { partitions, .. } => self.detached += partitions.len(),
                PartitionAction::Archive { .. } => self.archived += 1,
                PartitionAction::Drop { tables } => self.dropped += tables.len(),
                PartitionAction::DropAttached { partitions, .. } => {
                    self.detached += partitions.len();
                    self.dropped += partitions.len();
                }
                PartitionAction::DropArchived { .. } => self.dropped += 1,
                PartitionAction::PrepareLedger
                | PartitionAction::Analyze { .. }
                | PartitionAction::AddProof { .. }
                | PartitionAction::ValidateProof { .. }
                | PartitionAction::DropProof { .. }
                | PartitionAction::NoteRetiring { .. }
                | PartitionAction::NoteDetached { .. }
                | PartitionAction::NoteAttached { .. } => {}
            },
            Some(_) | None => {}
        }
    }

    fn row(&self) -> Vec<String> {
        let result = match &self.error {
            Some(error) => error.message.clone(),
            None => "up to date".to_string(),
        };
        let counts = [self.created, self.detached, self.archived, self.dropped]
            .map(|count| count.to_string());
        [vec![self.table.clone()], counts.to_vec(), vec![result]].concat()
    }
}

/// Says how each rule came out; the exit code is that of the first error.
fn report(context: &Context, outcomes: Vec<Outcome>, plans: Report, elapsed: &str) -> Result<()> {
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    let title = match failed {
        0 => format!("{} up to date in {elapsed}", plural(outcomes.len(), "table", "tables")),
        failed => format!("{failed} of {} failed", plural(outcomes.len(), "table", "tables")),
    };
    let mut table =
        Table::new("", &["table", "created", "detached", "archived", "dropped", "result"])
            .right_aligned(&[1, 2, 3, 4]);
    table.rows = outcomes.iter().map(Outcome::row).collect();
    let findings: Vec<Finding> = outcomes.iter().flat_map(|o| o.findings.clone()).collect();
    let mut report = Report::new(&title).table(table).findings(findings.clone());
    report.sections.extend(plans.sections);
    context.show(&report)?;
    match outcomes.into_iter().find_map(|outcome| Some((outcome.table, outcome.error?))) {
        // A finding names its table itself.
        Some((table, error)) if error.message.starts_with(&table) => Err(error),
        Some((table, error)) => Err(error.context(table)),
        None => answer(&findings),
    }
}

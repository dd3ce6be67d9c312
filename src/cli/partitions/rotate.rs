//! `pgtune partitions rotate` and `create`: brings every rule up to date.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::error::{Error, Kind, Result};
use crate::executor::event::Event;
use crate::executor::{self, Crew};
use crate::model::finding::{Finding, Severity, has_errors};
use crate::model::units::{Millis, human_duration, plural};
use crate::pg::server;
use crate::pg::session::Session;
use crate::planner::Planned;
use crate::planner::partition::Scope;
use crate::profile::Limits;
use crate::profile::partitions::PartitionRule;
use crate::report::{Report, Table};
use crate::runbook::Runbook;
use crate::runbook::action::Action;
use crate::runbook::partition::{Hazard, PartitionAction};
use crate::runbook::print;
use crate::ui::progress;

use super::look::{Sight, Terms, look, parse_as_of, plan, rules, withdraw};
use crate::cli::context::Context;
use crate::cli::converge::repeat;
use crate::cli::database::Database;
use crate::cli::fault;
use crate::cli::runner::{Runner, take_over};

/// Bring every rule up to date: finish detaches, create ahead, detach and drop what is too old
///
/// Safe to run every minute from several hosts. A table in trouble stops no other. Taking
/// partitions away must be allowed by name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions rotate --dry-run                what would be done today
  pgtune partitions rotate --dry-run --as-of 2027-06-01
  pgtune partitions rotate --yes --allow detach-partition --allow drop-partition
  pgtune partitions rotate --table events           this table's rule only")]
pub struct RotateArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Allow what takes rows out of reach
    #[arg(long, value_enum, value_name = "HAZARD")]
    allow: Vec<Hazard>,
}

/// Create the partitions that the rules want and that are not there
///
/// Takes nothing away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions create --dry-run --sql
  pgtune partitions create --yes --table orders     all remainders of a HASH, for example")]
pub struct CreateArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// What both take.
#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Rules of this table only, as the profile names it; may be repeated
    #[arg(long = "table", short, value_name = "TABLE")]
    tables: Vec<String>,
    /// Show the runbook and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print runnable SQL instead of the overview
    #[arg(long, requires = "dry_run")]
    sql: bool,
    /// Plan as if it were this date, or time with zone
    #[arg(long, value_name = "DATE", value_parser = parse_as_of)]
    as_of: Option<DateTime<Utc>>,
    /// Go ahead without asking
    #[arg(long, short)]
    yes: bool,
    /// How long to wait for another pgtune on the same database (default: limits.runner_wait)
    #[arg(long, value_name = "DURATION", value_parser = Millis::parse)]
    wait: Option<Millis>,
}

/// Runs `rotate`.
pub fn rotate(context: &Context, args: RotateArgs) -> Result<()> {
    let allowed = args.allow.into_iter().collect();
    run(
        context,
        args.common,
        Terms { limits: &context.profile().limits, allowed, scope: Scope::Rotate },
    )
}

/// Runs `create`.
pub fn create(context: &Context, args: CreateArgs) -> Result<()> {
    let allowed = std::collections::BTreeSet::new();
    run(
        context,
        args.common,
        Terms { limits: &context.profile().limits, allowed, scope: Scope::Create },
    )
}

/// How one rule came out.
struct Outcome {
    table: String,
    created: usize,
    detached: usize,
    dropped: usize,
    /// What the last plan says, and what it will do.
    findings: Vec<Finding>,
    actions: Vec<Action>,
    error: Option<Error>,
}

fn run(context: &Context, args: CommonArgs, terms: Terms<'_>) -> Result<()> {
    let rules = rules(context, &args.tables)?;
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let sight = look(&mut session, &database, args.as_of)?;
    let planned: Vec<Planned> = rules
        .iter()
        .map(|rule| plan(&mut session, &sight, rule, &terms).unwrap_or_else(|e| refused(rule, &e)))
        .collect();
    let whole = together(&planned);
    if args.dry_run {
        return dry_run(context, &whole, args.sql);
    }
    if whole.runbook.is_empty() {
        let title =
            format!("nothing to do: {} up to date", plural(rules.len(), "rule is", "rules are"));
        let title = if has_errors(&whole.findings) { "nothing was done" } else { title.as_str() };
        context.show(&Report::new(title).findings(whole.findings.clone()))?;
        return answer(&whole.findings);
    }
    context.ui.status(&print::overview(&whole.runbook));
    if !args.yes {
        context.ui.confirm(&format!("Run it on {database}?"))?;
    }
    let begin = Instant::now();
    let steps = whole.runbook.step_count();
    let outcomes = apply(context, &database, session, &rules, &terms, &args, steps)?;
    report(context, outcomes, &human_duration(begin.elapsed()))
}

/// A rule that cannot even be planned stops no other.
fn refused(rule: &PartitionRule, error: &Error) -> Planned {
    let finding =
        Finding::new("rule-failed", Severity::Error, rule.table.clone(), error.message.clone());
    Planned { findings: vec![finding], ..Planned::default() }
}

/// All rules' stages, one after the other.
fn together(planned: &[Planned]) -> Planned {
    let stages = planned.iter().flat_map(|one| one.runbook.stages.clone()).collect();
    let findings = planned.iter().flat_map(|one| one.findings.clone()).collect();
    Planned { runbook: Runbook { stages }, findings }
}

fn dry_run(context: &Context, planned: &Planned, sql: bool) -> Result<()> {
    let text = match sql {
        true => print::sql(&planned.runbook),
        false => print::overview(&planned.runbook),
    };
    let report = Report::new("").text("", text).findings(planned.findings.clone());
    context.show_runbook(&planned.runbook, &report)?;
    answer(&planned.findings)
}

/// The answer in the exit code; the report has said the rest.
fn answer(findings: &[Finding]) -> Result<()> {
    match has_errors(findings) {
        true => Err(Error::new(Kind::Answer, "a rule cannot be followed")),
        false => Ok(()),
    }
}

/// Takes the runner lock and brings one rule after the other up to date.
fn apply(
    context: &Context,
    database: &Database,
    session: Session,
    rules: &[&PartitionRule],
    terms: &Terms<'_>,
    args: &CommonArgs,
    steps: usize,
) -> Result<Vec<Outcome>> {
    let wait = args.wait.unwrap_or(context.profile().limits.runner_wait);
    let Runner { lock, lane, server, stopped } = take_over(context, database, session, wait)?;
    server::refuse_read_only(&server)?;
    let open = || database.open_runner();
    let mut crew =
        Crew { sessions: vec![lane], lock: Some(lock), watcher: None, open: &open, stopped };
    let mut display = progress::display(context.ui, steps);
    let mut fault = fault::Fault::of_process();
    let mut observe = |event: &_| {
        fault.strike();
        display(event);
    };
    let mut outcomes = Vec::new();
    for rule in rules {
        let outcome = RefCell::new(Outcome::of(rule));
        let mut look_and_plan = |session: &mut Session| {
            let sight: Sight = look(session, database, args.as_of)?;
            let planned = plan(session, &sight, rule, terms)?;
            outcome.borrow_mut().plan(&planned);
            Ok(planned)
        };
        let mut count = |event: &_| {
            outcome.borrow_mut().count(event);
            observe(event);
        };
        let result = repeat(ROUNDS_MAX, &mut look_and_plan, &mut crew, &mut count);
        let mut outcome = outcome.into_inner();
        outcome.error = result.err().map(|error| {
            let withdrawn = withdraw_proofs(database, rule, terms, &mut crew, &mut observe);
            match withdrawn {
                Ok(()) => error,
                Err(_) => error.hint("the next run takes pgtune's check off the DEFAULT partition"),
            }
        });
        let interrupted = outcome.error.as_ref().is_some_and(|e| e.kind == Kind::Interrupted);
        outcomes.push(outcome);
        if interrupted {
            break;
        }
    }
    Ok(outcomes)
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

/// A rule takes two rounds, more where others change the table meanwhile.
const ROUNDS_MAX: usize = 20;

impl Outcome {
    fn of(rule: &PartitionRule) -> Outcome {
        Outcome {
            table: rule.table.clone(),
            created: 0,
            detached: 0,
            dropped: 0,
            findings: Vec::new(),
            actions: Vec::new(),
            error: None,
        }
    }

    /// Remembers a plan; the last one finds nothing left.
    fn plan(&mut self, planned: &Planned) {
        self.findings.clone_from(&planned.findings);
        let steps = planned.runbook.stages.iter().flat_map(|stage| &stage.steps);
        self.actions = steps.map(|step| step.action.clone()).collect();
    }

    /// Counts what was done of the plan.
    fn count(&mut self, event: &Event) {
        let Event::StepDone { step, .. } = event else { return };
        match self.actions.get(*step) {
            Some(Action::FinalizeDetach { .. }) => self.detached += 1,
            Some(Action::Partition(action)) => match action {
                PartitionAction::Create(_) => self.created += 1,
                PartitionAction::DetachConcurrently { .. } => self.detached += 1,
                PartitionAction::Detach { partitions, .. } => self.detached += partitions.len(),
                PartitionAction::Drop { tables } => self.dropped += tables.len(),
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
        let counts = [self.created, self.detached, self.dropped].map(|count| count.to_string());
        [vec![self.table.clone()], counts.to_vec(), vec![result]].concat()
    }
}

/// Says how each rule came out; the exit code is that of the first error.
fn report(context: &Context, outcomes: Vec<Outcome>, elapsed: &str) -> Result<()> {
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    let title = match failed {
        0 => format!("{} up to date in {elapsed}", plural(outcomes.len(), "rule", "rules")),
        failed => format!("{failed} of {} failed", plural(outcomes.len(), "rule", "rules")),
    };
    let mut table = Table::new("", &["table", "created", "detached", "dropped", "result"])
        .right_aligned(&[1, 2, 3]);
    table.rows = outcomes.iter().map(Outcome::row).collect();
    let findings: Vec<Finding> = outcomes.iter().flat_map(|o| o.findings.clone()).collect();
    context.show(&Report::new(&title).table(table).findings(findings.clone()))?;
    match outcomes.into_iter().find_map(|outcome| Some((outcome.table, outcome.error?))) {
        Some((table, error)) => Err(error.context(table)),
        None => answer(&findings),
    }
}

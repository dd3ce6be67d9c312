//! Plan, run up to where the plan rests on a guess, look again: until nothing is left to do.

use crate::error::{Error, Kind, Result};
use crate::executor::event::Event;
use crate::executor::{self, Crew};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity, has_errors};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::migration::VersionWidth;
use crate::pg::session::Session;
use crate::pg::{catalog, server};
use crate::planner::{Goal, Migration, Planned, needs_relations, plan_next};
use crate::profile::Limits;

use super::plan::watch::PlanWatch;

/// How often to look again; more means that the plan and the database do not understand each
/// other. An index on a partitioned table takes about six rounds.
const ROUNDS_MAX: usize = 20;
const ROUNDS_PER_STATEMENT_MAX: usize = 12;

/// What shall be, apart from where it is recorded, which the server knows.
pub struct Aim<'a> {
    /// Migrations to apply.
    pub migrations: &'a [Migration],
    /// The history table as the profile writes it.
    pub history_table: &'a [Ident],
    /// Its width if it is to be created.
    pub history_width: VersionWidth,
    /// What may be taken.
    pub limits: &'a Limits,
}

impl Aim<'_> {
    /// How often to look before giving up.
    pub fn rounds_max(&self) -> usize {
        let statements: usize = self.migrations.iter().map(|one| one.statements.len()).sum();
        ROUNDS_MAX + ROUNDS_PER_STATEMENT_MAX * statements
    }
}

/// `planner::plan` or `planner::plan_next`.
type Plan = fn(&Goal<'_>, &Catalog) -> Planned;

/// Looks at the database and plans what is left to do: all of it, or what can be run now.
pub fn look_and_plan(session: &mut Session, aim: &Aim<'_>, plan: Plan) -> Result<Planned> {
    let server = server::look(session, aim.history_table)?;
    server::refuse_read_only(&server)?;
    session.set_pid(server.pid);
    let catalog = if needs_relations(aim.migrations) {
        catalog::snapshot(session, server.version_num, server.history)?
    } else {
        Catalog { history: server.history, ..Catalog::default() }
    };
    Ok(plan(&goal(aim, server.history_table), &catalog))
}

fn goal<'a>(aim: &Aim<'a>, history_table: QualifiedName) -> Goal<'a> {
    Goal {
        migrations: aim.migrations,
        history_table,
        history_width: aim.history_width,
        limits: aim.limits,
    }
}

/// Makes the database what `aim` says. Returns how many steps ran.
///
/// Errors with the findings that stand against it, or with the step that failed.
pub fn converge(
    aim: &Aim<'_>,
    crew: &mut Crew<'_>,
    plans: Option<&mut PlanWatch<'_>>,
    observe: &mut dyn FnMut(&Event),
) -> Result<usize> {
    let mut look = |session: &mut Session| look_and_plan(session, aim, plan_next);
    repeat(aim.rounds_max(), &mut look, crew, plans, observe)
}

/// Looks and plans, runs what rests on no guess, and again, until nothing is left to do. Returns
/// how many steps ran. `plans` looks at plans around each stage.
pub fn repeat(
    rounds_max: usize,
    look_and_plan: &mut dyn FnMut(&mut Session) -> Result<Planned>,
    crew: &mut Crew<'_>,
    mut plans: Option<&mut PlanWatch<'_>>,
    observe: &mut dyn FnMut(&Event),
) -> Result<usize> {
    let mut steps = 0;
    let mut last_basis = String::new();
    for _ in 0..rounds_max {
        let planned = look_and_plan(&mut crew.sessions[0])?;
        refuse(&planned.findings)?;
        if planned.runbook.is_empty() {
            return Ok(steps);
        }
        let basis = planned.runbook.basis();
        if basis == last_basis {
            return Err(nothing_changed(&planned));
        }
        last_basis = basis;
        let stages = &planned.runbook.stages;
        let certain = stages.iter().position(|stage| stage.look_again);
        let (stages, later) = stages.split_at(certain.map_or(stages.len(), |at| at + 1));
        match plans.as_deref_mut() {
            None => executor::run(stages, crew, observe)?,
            Some(plans) => {
                for (at, stage) in stages.iter().enumerate() {
                    let next = stages.get(at + 1).or_else(|| later.first());
                    plans.around(stage, next, crew, observe)?;
                }
            }
        }
        steps += stages.iter().map(|stage| stage.steps.len()).sum::<usize>();
    }
    Err(Error::new(Kind::Stopped, "the database does not become what it should be")
        .hint("somebody may be changing it meanwhile; look at it before another run"))
}

/// An error when one of the findings is one.
pub fn refuse(findings: &[Finding]) -> Result<()> {
    if !has_errors(findings) {
        return Ok(());
    }
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let messages: Vec<String> =
        errors.iter().map(|finding| format!("{}: {}", finding.subject, finding.message)).collect();
    let error = Error::new(Kind::Answer, messages.join("\n       "));
    let mut helps: Vec<&str> = errors.iter().map(|f| f.help.as_str()).collect();
    helps.dedup();
    Err(helps.into_iter().filter(|help| !help.is_empty()).fold(error, Error::hint))
}

/// The catalog must show what was done; where it does not, going on would loop for ever.
fn nothing_changed(planned: &Planned) -> Error {
    let stage = planned.runbook.stages.first().map_or("", |stage| &stage.title);
    Error::new(Kind::Stopped, format!("\"{stage}\" ran, but the database does not show its effect"))
        .hint("somebody may have undone it meanwhile; run the same command again")
}

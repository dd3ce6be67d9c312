//! Looks at the plans of the application's queries right before and right after each change of a
//! run that may change them.

use std::collections::BTreeSet;

use crate::error::{self, Error, Result};
use crate::executor::event::Event;
use crate::executor::{self, Crew};
use crate::model::finding::{Finding, Severity};
use crate::model::gate::Thresholds;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::units::Millis;
use crate::pg::explain;
use crate::pg::server::Server;
use crate::pg::session::Session;
use crate::profile::{Limits, Query};
use crate::query_plan::captures::{Captured, Captures, Compared, compare, is_news, weigh};
use crate::query_plan::verdict::Mode;
use crate::report::Report;
use crate::runbook::action::Action;
use crate::runbook::plans::PlanRow;
use crate::runbook::{Limits as StepLimits, Stage, Step, Waiting};
use crate::sql::statement::Kind;
use crate::sql::{self, Statement};

use super::diff::blocking;
use super::rivals::note_rivals;
use super::shown;
use super::take::{Side, Terms, take};

/// How long planning a query may take, and running it where that is asked for.
const PLANNED_TIMEOUT: Millis = Millis(5_000);
const MEASURED_TIMEOUT: Millis = Millis(30_000);

/// What to do about plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watching {
    /// A regression ends the run.
    pub gates: bool,
    /// Queries are run, and rolled back, to be measured.
    pub measures: bool,
}

/// The application's queries, and what was last seen of their plans.
pub struct PlanWatch<'a> {
    /// The queries.
    queries: &'a [Query],
    /// What counts as a regression.
    thresholds: &'a Thresholds,
    /// How long to wait for locks.
    limits: &'a Limits,
    /// What to do about what is seen.
    watching: Watching,
    /// What the server is.
    server: &'a Server,
    /// The plans as they were when the last change was over.
    last: Option<Captures>,
    /// Whether statements of the user's ran since, which may have changed what plans rest on.
    stale: bool,
    /// Queries that became worse since the gate was last asked: their labels.
    worse: Vec<String>,
    /// Statements of a migration that takes back what changed their plans.
    take_back: Vec<String>,
    /// What there is to show in the end.
    report: Report,
}

impl<'a> PlanWatch<'a> {
    /// A watch that has not looked yet.
    pub fn new(
        queries: &'a [Query],
        (thresholds, limits): (&'a Thresholds, &'a Limits),
        watching: Watching,
        server: &'a Server,
    ) -> PlanWatch<'a> {
        PlanWatch {
            queries,
            thresholds,
            limits,
            watching,
            server,
            last: None,
            stale: false,
            worse: Vec::new(),
            take_back: Vec::new(),
            report: Report::new(""),
        }
    }

    /// What was seen, for the end of the run.
    pub fn into_report(self) -> Report {
        self.report
    }

    /// Runs one stage between two looks. `next` is the stage behind it: an index is whole, and the
    /// gate is asked, when no part of it is left to attach.
    ///
    /// Errors with what the run itself ends with, and with the gate's answer.
    pub fn around(
        &mut self,
        stage: &Stage,
        next: Option<&Stage>,
        crew: &mut Crew<'_>,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let watched = stage.steps.iter().any(|step| step.action.changes_plans());
        let runs_sql = stage.steps.iter().any(|step| step.action.runs_the_users_sql());
        // A query that had no plan may have one since its table was created.
        let unknown = self
            .last
            .as_ref()
            .is_none_or(|last| self.stale && !runs_sql && !last.without_plan().is_empty());
        if watched && unknown {
            self.last = Some(self.look(&mut crew.sessions[0])?);
            self.stale = false;
        }
        let touched = touched(stage);
        let concerned = self.last.as_ref().is_some_and(|last| !last.readers(&touched).is_empty());
        let concerned = watched && (concerned || drops_indexes(stage));
        if !concerned {
            self.stale |= runs_sql;
            self.note_undo(stage, &mut crew.sessions[0]);
            executor::run(std::slice::from_ref(stage), crew, observe)?;
            return self.ask_the_gate(next);
        }
        if self.stale {
            self.last = Some(self.look(&mut crew.sessions[0])?);
        }
        self.note_undo(stage, &mut crew.sessions[0]);
        executor::run(std::slice::from_ref(stage), crew, observe)?;
        if let Some(before) = self.last.take() {
            // Of which table an index was that their statement dropped, only the server knew.
            let touched = if drops_indexes(stage) { BTreeSet::new() } else { touched };
            self.compare_with(&before, (&subject(stage), &touched), crew, observe)?;
        }
        self.ask_the_gate(next)
    }

    /// Looks, for what is done in several rounds; [`PlanWatch::end`] looks again.
    pub fn begin(&mut self, session: &mut Session) -> Result<()> {
        if self.last.is_none() && !self.queries.is_empty() {
            self.last = Some(self.look(session)?);
        }
        Ok(())
    }

    /// Compares with the last look, where queries use one of the tables that were `touched`.
    pub fn end(
        &mut self,
        change: &str,
        touched: &BTreeSet<QualifiedName>,
        crew: &mut Crew<'_>,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        match self.last.take_if(|last| !last.readers(touched).is_empty()) {
            Some(before) => self.compare_with(&before, (change, touched), crew, observe),
            None => Ok(()),
        }
    }

    /// Looks and judges; what was seen is what the next change is compared with. Only queries that
    /// read one of the tables are looked at again, or all where nobody knows which.
    fn compare_with(
        &mut self,
        before: &Captures,
        (change, touched): (&str, &BTreeSet<QualifiedName>),
        crew: &mut Crew<'_>,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let concerned = before.readers(touched);
        let again = |query: &&Query| {
            let name = query.name.as_str();
            touched.is_empty() || concerned.contains(name) || before.without_plan().contains(name)
        };
        let queries: Vec<Query> = self.queries.iter().filter(again).cloned().collect();
        let (terms, gate) = (self.terms(), self.thresholds);
        let session = &mut crew.sessions[0];
        let side = Side::new(session, self.server);
        let mut after = take(side, &queries, &terms, Some(before), |_, _| Ok(()))?;
        let mut side = Side::new(session, self.server);
        note_rivals(&mut side, &queries, before, &mut after, &terms, gate)?;
        let names: BTreeSet<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        after.complete_with(before);
        self.judge((change, &names), before, &after, crew, observe)?;
        self.last = Some(after);
        self.stale = false;
        Ok(())
    }

    /// What was seen is shown in any case: that it could not be written down ends no migration.
    fn written(&mut self, noted: Result<()>) -> Result<()> {
        let Err(error) = noted else { return Ok(()) };
        match error.kind {
            error::Kind::Database | error::Kind::Locked | error::Kind::Stopped => {
                let finding = Finding::new("plans-not-noted", Severity::Warning, "", error.message);
                let help = error.hints.first().cloned().unwrap_or_default();
                let told = Report::new("").findings(vec![finding.help(help)]);
                self.report.sections.extend(told.sections);
                Ok(())
            }
            error::Kind::Answer
            | error::Kind::Usage
            | error::Kind::System
            | error::Kind::Interrupted
            | error::Kind::Bug => Err(error),
        }
    }

    /// Ends the run behind a regression, once the index is whole.
    fn ask_the_gate(&mut self, next: Option<&Stage>) -> Result<()> {
        let goes_on = next.is_some_and(|next| {
            next.steps.iter().any(|step| matches!(step.action, Action::AttachIndex { .. }))
        });
        if self.watching.gates && !goes_on && !self.worse.is_empty() {
            return Err(self.stopped());
        }
        Ok(())
    }

    fn terms(&self) -> Terms {
        let lock_timeout = self.limits.lock_budget;
        let (mode, statement_timeout) = match self.watching.measures {
            true => (Mode::Analyze, MEASURED_TIMEOUT),
            false => (Mode::Estimate, PLANNED_TIMEOUT),
        };
        Terms { mode, statement_timeout, lock_timeout }
    }

    fn look(&self, session: &mut Session) -> Result<Captures> {
        let terms = self.terms();
        let side = Side::new(session, self.server);
        take(side, self.queries, &terms, self.last.as_ref(), |_, _| Ok(()))
    }

    /// Compares, shows what is news, and writes down how the queries of these names fare.
    fn judge(
        &mut self,
        (change, names): (&str, &BTreeSet<&str>),
        before: &Captures,
        after: &Captures,
        crew: &mut Crew<'_>,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let compared = compare(before, after, self.thresholds);
        self.worse.extend(blocking(&weigh(&compared, self.thresholds)));
        // What had no plan before has nothing to lose.
        let seen: Vec<Compared<'_>> = compared
            .into_iter()
            .filter(|one| {
                one.before.capture().is_some() && names.contains(one.before.query.as_str())
            })
            .collect();
        if seen.is_empty() {
            return Ok(());
        }
        let rows = seen.iter().flat_map(|one| rows(change, one)).collect();
        let limits = StepLimits {
            waiting: Waiting::Short {
                budget: self.limits.lock_budget,
                deadline: self.limits.lock_deadline,
            },
            statement_timeout: Millis(0),
        };
        let action = Action::RecordPlans(rows);
        let (locks, settings, note) = (Vec::new(), Vec::new(), String::new());
        let step = Step { action, stands_for: None, limits, locks, settings, note };
        let noted = Stage::single("note the plans".to_string(), step);
        self.written(executor::run(std::slice::from_ref(&noted), crew, observe))?;
        let news: Vec<Compared<'_>> =
            seen.into_iter().filter(|one| is_news(one.judgement.verdict)).collect();
        if !news.is_empty() {
            let shown = shown::compared(&format!("plans around {change}"), &news);
            self.report.sections.extend(shown.titled_sections());
        }
        Ok(())
    }

    /// Remembers how to take a stage back, which is about to run. What came before it made nothing
    /// worse, or is the rest of the same index.
    fn note_undo(&mut self, stage: &Stage, session: &mut Session) {
        let undo = taken_back(stage, session);
        // What is attached to the index that made plans worse names the index itself.
        if self.worse.is_empty() || !undo.is_empty() {
            self.take_back = undo;
        }
    }

    fn stopped(&mut self) -> Error {
        let worse = std::mem::take(&mut self.worse).join(", ");
        let message = format!("the plans of {worse} became worse; what ran is committed");
        let error = Error::new(error::Kind::Answer, message);
        let error = match self.take_back.join(" ") {
            sql if sql.is_empty() => error,
            sql => error.hint(format!("a migration that takes it back: {sql}")),
        };
        error.hint("without --gate the run goes on; [gate] says what counts as worse")
    }
}

/// The statements that take back what a stage does to indexes; none where that cannot be said.
/// Where indexes are attached to another, it is the one at the top that takes all others with it.
fn taken_back(stage: &Stage, session: &mut Session) -> Vec<String> {
    let is_attached = |step: &&Step| matches!(step.action, Action::AttachIndex { .. });
    let steps = match stage.steps.iter().rfind(is_attached) {
        Some(last) => std::slice::from_ref(last),
        None => stage.steps.as_slice(),
    };
    let undone = steps.iter().filter_map(|step| {
        let definition = |index: &QualifiedName| definition(session, &index.to_string());
        step.action.taken_back(definition)
    });
    let mut undone: Vec<String> = undone.collect();
    let dropped = dropped_by(stage);
    let made = dropped.iter().filter_map(|index| definition(session, &dotted(index)));
    undone.extend(made.map(|sql| format!("{sql};")));
    undone
}

fn definition(session: &mut Session, index: &str) -> Option<String> {
    explain::definition(session, index).ok().flatten()
}

/// Whether statements of the user's drop an index: of which table, only the server knows.
fn drops_indexes(stage: &Stage) -> bool {
    !dropped_by(stage).is_empty()
}

/// The indexes that statements of the user's drop.
fn dropped_by(stage: &Stage) -> Vec<Vec<Ident>> {
    let texts = stage.steps.iter().filter_map(|step| {
        let Action::RunStatements { statements, .. } = &step.action else { return None };
        Some(statements)
    });
    let parsed = texts.flatten().filter_map(|one| sql::parse(&one.text).ok()).flatten();
    parsed.flat_map(dropped_indexes).collect()
}

fn dotted(name: &[Ident]) -> String {
    name.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

fn dropped_indexes(statement: Statement) -> Vec<Vec<Ident>> {
    if let Kind::DropIndex(drop) = statement.kind { drop.names } else { Vec::new() }
}

/// What changed, in words: the stage, and the index where it builds one.
fn subject(stage: &Stage) -> String {
    let built = stage.steps.iter().find_map(|step| {
        let Action::CreateIndex(new) = &step.action else { return None };
        Some(new.tail.trim())
    });
    built.map_or_else(|| stage.title.clone(), |tail| format!("{}, {tail}", stage.title))
}

/// The tables that a stage is about.
fn touched(stage: &Stage) -> BTreeSet<QualifiedName> {
    stage.steps.iter().flat_map(|step| &step.locks).map(|lock| lock.table.clone()).collect()
}

/// The tables whose plans a stage may change, and the indexes that it drops, as written in SQL.
pub fn changed_by(stage: &Stage) -> Vec<String> {
    if !stage.steps.iter().any(|step| step.action.changes_plans()) {
        return Vec::new();
    }
    let tables = touched(stage).into_iter().map(|table| table.to_string());
    tables.chain(dropped_by(stage).into_iter().map(|index| dotted(&index))).collect()
}

/// Both sides of a comparison, to be written down: the plans themselves where they are news.
fn rows(change: &str, one: &Compared<'_>) -> [PlanRow; 2] {
    let row = |captured: &Captured, after| {
        let capture = captured.capture();
        let outcome = || serde_json::to_string(&captured.outcome).expect("a plan fits into JSON");
        PlanRow {
            change: change.to_string(),
            after,
            query: captured.query.clone(),
            set: captured.set,
            set_name: captured.chosen.as_ref().map_or_else(String::new, |set| set.name.clone()),
            mode: capture.map_or_else(String::new, |capture| capture.mode.to_string()),
            verdict: one.judgement.verdict.to_string(),
            digest: capture.map_or_else(String::new, |capture| capture.plan.digest()),
            cost: capture.map(|capture| capture.plan.cost()),
            time_ms: capture.and_then(|capture| Some(capture.plan.measured?.time_ms)),
            outcome: is_news(one.judgement.verdict).then(outcome),
        }
    };
    [row(one.before, false), row(one.after, true)]
}

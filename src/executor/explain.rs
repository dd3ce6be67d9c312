//! Turns a failed step into an error that says what failed, what is committed, what to do.

use super::Running;
use super::step::StepFailure;
use crate::error::{Error, Kind, Refused};
use crate::model::migration::StatementPlace;
use crate::pg::failure::Verdict;
use crate::runbook::Step;
use crate::runbook::action::Action;
use crate::runbook::history::PROGRESS_TABLE;
use crate::runbook::print::{one_line, step_name};

/// The error for a step that failed; `ended` is what was seen of it from outside.
pub(super) fn failure(step: &Step, failed: &StepFailure, ended: Option<Running>) -> Error {
    let action = &step.action;
    let mut error = failed.failure.explain(&doing(action, failed));
    error.refused = refused(step, failed, &error.hints).map(Box::new);
    let (cancelled, blocker) = ended.map_or((None, None), |ended| (ended.cancelled, ended.blocker));
    if let Some(why) = cancelled {
        let kind = if why == "interrupted" { Kind::Interrupted } else { Kind::Locked };
        error = Error::new(kind, format!("{}: {why}", step_name(action)));
    } else if failed.failure.verdict() == Verdict::Retry && failed.attempts > 1 {
        error.message = format!("{} (tried {} times)", error.message, failed.attempts);
        error.hints.extend(blocker.map(|who| format!("last in its way: {who}")));
    }
    if let Some(statement) = &failed.statement {
        error = error.hint(format!("the statement: {}", one_line(&statement.text)));
    }
    if let Action::Prepare { progress: true, .. } = action
        && failed.failure.lacks_a_right()
    {
        error = error.hint(format!(
            "pgtune remembers half-applied files in {PROGRESS_TABLE}; somebody who may can make \
             the schema: CREATE SCHEMA pgtune_state AUTHORIZATION …"
        ));
    }
    error = error.hint(state_after(action, failed));
    if let Some(index) = &failed.left_invalid {
        error = error.hint(format!("{index} is left invalid; the next run drops it"));
    }
    error
}

/// What the server refused, where that and not the server is to blame.
fn refused(step: &Step, failed: &StepFailure, advice: &[String]) -> Option<Refused> {
    let of_user = failed.migration.as_ref().zip(failed.statement.as_ref());
    let of_user = of_user.map(|(migration, statement)| StatementPlace {
        version: migration.version,
        line: failed.place.map_or(statement.line, |(line, _)| line),
    });
    let at = of_user.or(step.stands_for);
    let (code, advice) = (failed.failure.code.clone(), advice.to_vec());
    failed.failure.is_of_the_statement().then_some(Refused { at, code, advice })
}

fn doing(action: &Action, failed: &StepFailure) -> String {
    match (&failed.migration, &failed.statement, failed.place) {
        (Some(migration), Some(_), Some((line, column))) => {
            format!("{migration}, line {line}, column {column}")
        }
        (Some(migration), Some(statement), None) => {
            // The server does not say which part of a message failed.
            let or_commit = if failed.with_commit { " or the commit behind it" } else { "" };
            format!("{migration}, line {}{or_commit}", statement.line)
        }
        (_, None, _) | (None, _, _) => step_name(action),
    }
}

/// What the database looks like after the failure.
fn state_after(action: &Action, failed: &StepFailure) -> &'static str {
    const ROLLED_BACK: &str = "this transaction was rolled back; the steps before it are committed";
    const GOES_ON: &str = "the steps before it are committed; the next run goes on from here";
    if failed.failure.verdict() == Verdict::Gone {
        return "whether this step took effect is not known here; the next run will know";
    }
    match action {
        Action::RunStatements { .. }
        | Action::Prepare { .. }
        | Action::Record(_)
        | Action::CorrectHistory(_)
        | Action::AttachIndex { .. }
        | Action::FinalizeDetach { .. }
        | Action::AddKeyOnly(_)
        | Action::AddKeyUsingIndex(_)
        | Action::AddNotNullCheck { .. }
        | Action::ValidateNotNullCheck { .. }
        | Action::SetNotNull { .. }
        | Action::RecordPlans(_) => ROLLED_BACK,
        Action::Partition(part) if part.script().transaction && action.cut(1).is_none() => {
            ROLLED_BACK
        }
        Action::Partition(_) => GOES_ON,
        Action::CreateIndex(_) | Action::DropIndex { .. } | Action::RebuildIndex { .. } => GOES_ON,
        Action::RunAlone { .. } => {
            "this statement runs outside a transaction; the steps before it are committed"
        }
    }
}

//! A runbook for people: as an overview, and as SQL that psql can run.

use std::borrow::Cow;
use std::fmt::Write;

use super::action::{Action, Script};
use super::history::{Record, What};
use super::{Lock, Runbook, Stage, Step, Waiting};
use crate::model::lock::LockMode;
use crate::model::units::{Millis, plural};

/// The overview shows at most this many steps of a stage, and stages of a runbook.
const SHOWN_MAX: usize = 40;

/// A script for psql cannot measure: what can be cut has this many tables in a transaction.
const PIECE: usize = 25;

/// What will be done and locked, a stage a paragraph.
pub fn overview(runbook: &Runbook) -> String {
    let stages = runbook.stages.len();
    let mut out = format!(
        "runbook: {}, {}, basis {}\n",
        plural(stages, "stage", "stages"),
        plural(runbook.step_count(), "step", "steps"),
        runbook.basis()
    );
    for (number, stage) in runbook.stages.iter().enumerate().take(SHOWN_MAX) {
        write_stage(&mut out, number + 1, stage);
    }
    if stages > SHOWN_MAX {
        let more = plural(stages - SHOWN_MAX, "more stage", "more stages");
        let _ = writeln!(out, "… {more}; --dry-run --sql shows all");
    }
    out
}

/// How many steps of each kind there are, and the strongest lock of each: a few lines even for
/// many indexes and partitions. pgtune's own notes are left out.
pub fn outline(runbook: &Runbook) -> String {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Some(name) = kind_name(&step.action) else { continue };
        let lock = step_locks(step).max().map_or_else(
            || "nothing that others use".to_string(),
            |(mode, limit)| format!("{mode} ({}), {limit}", mode.stops()),
        );
        let kind = format!("{name}\n         lock: {lock}");
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let steps = plural(runbook.step_count(), "step", "steps");
    let mut out = format!("{}, {steps}\n", plural(runbook.stages.len(), "stage", "stages"));
    for (kind, count) in kinds {
        let _ = writeln!(out, "{count:>5} x  {kind}");
    }
    out
}

/// What an action does, whatever to; `None` for pgtune's own notes.
fn kind_name(action: &Action) -> Option<&'static str> {
    Some(match action {
        Action::Prepare { .. }
        | Action::Record(_)
        | Action::CorrectHistory(_)
        | Action::RecordPlans(_) => return None,
        Action::RunStatements { .. } => "run statements in a transaction",
        Action::RunAlone { .. } => "run a statement alone",
        Action::CreateIndex(new) if new.only => "create an index on the parent alone",
        Action::CreateIndex(_) => "build an index concurrently",
        Action::DropIndex { .. } => "drop an index concurrently",
        Action::RebuildIndex { .. } => "rebuild an index concurrently",
        Action::AttachIndex { .. } => "attach an index to its parent",
        Action::FinalizeDetach { .. } => "finish a detach",
        Action::AddKeyOnly(_) => "add a constraint to the parent alone",
        Action::AddKeyUsingIndex(_) => "make an index a constraint",
        Action::AddNotNullCheck { .. } => "add a not-null check, not valid",
        Action::ValidateNotNullCheck { .. } => "validate a check",
        Action::SetNotNull { .. } => "set not null",
        Action::Partition(action) => return action.kind_name(),
    })
}

/// The step's locks that stop anybody, with how long others may queue behind them.
fn step_locks(step: &Step) -> impl Iterator<Item = (LockMode, String)> {
    let strong = step.locks.iter().filter(|lock| lock.mode > LockMode::RowExclusive);
    strong.map(|lock| (lock.mode, limit(step)))
}

/// How long a step waits for its locks.
fn limit(step: &Step) -> String {
    match step.limits.waiting {
        Waiting::Short { budget, .. } => format!("queues at most {budget}"),
        Waiting::Patient { wait } => format!("waits at most {wait}"),
    }
}

fn write_stage(out: &mut String, number: usize, stage: &Stage) {
    let lanes = match (stage.lanes as usize).min(stage.steps.len()) {
        0 | 1 => String::new(),
        lanes => format!(", {lanes} at a time"),
    };
    let _ = writeln!(out, "stage {number}  {}{lanes}", stage.title);
    let lines: Vec<String> = stage.steps.iter().flat_map(headlines).collect();
    for line in lines.iter().take(SHOWN_MAX) {
        let _ = writeln!(out, "    {line}");
    }
    if lines.len() > SHOWN_MAX {
        let _ = writeln!(out, "    … and {} more", lines.len() - SHOWN_MAX);
    }
    for line in lock_lines(&stage.steps) {
        let _ = writeln!(out, "      {line}");
    }
}

/// A step in a few lines: a statement a line, up to five. pgtune's own notes are left out.
fn headlines(step: &Step) -> Vec<String> {
    if let Action::Record(_) | Action::Prepare { .. } = step.action {
        return Vec::new();
    }
    let mut lines = if let Action::Partition(action) = &step.action {
        action.headlines().iter().map(|line| one_line(line)).collect()
    } else {
        statement_lines(&step.action)
    };
    if let Some(first) = lines.first_mut().filter(|_| !step.note.is_empty()) {
        first.push_str("   -- ");
        first.push_str(&step.note);
    }
    lines
}

fn statement_lines(action: &Action) -> Vec<String> {
    const STATEMENTS_MAX: usize = 5;
    let script = action.script();
    let shown = script.messages.len() - script.own_tail;
    let statements = script.messages[..shown].iter().take(STATEMENTS_MAX);
    let mut lines: Vec<String> = statements.map(|message| one_line(message)).collect();
    if shown > STATEMENTS_MAX {
        let more = plural(shown - STATEMENTS_MAX, "more statement", "more statements");
        lines.push(format!("… {more}"));
    }
    lines
}

/// A statement on one line, cut to a screen's width.
pub fn one_line(sql: &str) -> String {
    const WIDTH: usize = 110;
    let words: Vec<&str> = sql.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// The locks of a stage by strength: on what, what they stop, how long others may queue behind.
fn lock_lines(steps: &[Step]) -> Vec<String> {
    let mut kinds: Vec<(LockMode, String, Vec<String>)> = Vec::new();
    for step in steps {
        let limit = limit(step);
        for Lock { mode, table } in step.locks.iter().filter(|l| l.mode > LockMode::RowExclusive) {
            let table = table.to_string();
            match kinds.iter_mut().find(|kind| (kind.0, &kind.1) == (*mode, &limit)) {
                Some((_, _, tables)) if tables.contains(&table) => {}
                Some((_, _, tables)) => tables.push(table),
                None => kinds.push((*mode, limit.clone(), vec![table])),
            }
        }
    }
    kinds.iter().map(|(mode, limit, tables)| lock_line(*mode, limit, tables)).collect()
}

fn lock_line(mode: LockMode, limit: &str, tables: &[String]) -> String {
    const TABLES_MAX: usize = 2;
    let mut on = tables.iter().take(TABLES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if tables.len() > TABLES_MAX {
        let _ = write!(on, " and {} more", tables.len() - TABLES_MAX);
    }
    format!("lock: {mode} on {on} ({}), {limit}", mode.stops())
}

/// The runbook as a script for psql, with its timeouts.
pub fn sql(runbook: &Runbook) -> String {
    let mut out = String::from("-- written by pgtune; run with: psql --set ON_ERROR_STOP=1\n");
    let mut settings_left = false;
    for (number, stage) in runbook.stages.iter().enumerate() {
        let _ = writeln!(out, "\n-- stage {}: {}", number + 1, stage.title);
        for step in &stage.steps {
            if settings_left {
                out.push_str("RESET ALL;\nRESET ROLE;\n");
            }
            write_step_sql(&mut out, step);
            settings_left = leaves_settings(step);
        }
    }
    out
}

/// Whether the session is left with settings that the next step must not see.
fn leaves_settings(step: &Step) -> bool {
    let sets = matches!(step.action, Action::RunStatements { changes_settings: true, .. });
    sets || !step.settings.is_empty() || !step.action.script().transaction
}

fn write_step_sql(out: &mut String, step: &Step) {
    if !step.note.is_empty() {
        let _ = writeln!(out, "-- {}", step.note);
    }
    let lock_timeout = match step.limits.waiting {
        Waiting::Short { budget, .. } => budget,
        Waiting::Patient { .. } => Millis(0),
    };
    let mut rest = Cow::Borrowed(&step.action);
    while let Some((piece, others)) = rest.cut(PIECE) {
        write_script(out, step, &piece.script(), lock_timeout);
        rest = Cow::Owned(others);
    }
    write_script(out, step, &rest.script(), lock_timeout);
}

fn write_script(out: &mut String, step: &Step, script: &Script, lock_timeout: Millis) {
    let (begin, local) = if script.transaction { ("BEGIN;\n", "LOCAL ") } else { ("", "") };
    let timeouts = [
        format!("SET {local}lock_timeout = '{lock_timeout}'"),
        format!("SET {local}statement_timeout = '{}'", step.limits.statement_timeout),
    ];
    out.push_str(begin);
    for statement in step.settings.iter().chain(&timeouts).chain(&script.messages) {
        let _ = writeln!(out, "{statement};");
    }
    if script.transaction {
        out.push_str("COMMIT;\n");
    }
}

/// A step's name in events and errors: "V3__indexes statement 2 (line 7)", "create index x".
pub fn step_name(action: &Action) -> String {
    match action {
        Action::Prepare { .. } => "prepare the history table".to_string(),
        Action::RunStatements { statements, record, .. } => match statements.as_slice() {
            [one] => format!("{} (line {})", record.migration, one.line),
            many => {
                let statements = plural(many.len(), "statement", "statements");
                format!("{} ({statements})", record.migration)
            }
        },
        Action::RunAlone { migration, statement } => {
            format!("{migration} (line {})", statement.line)
        }
        Action::Record(Record { migration, what, .. }) => match what {
            What::Begun(_) => format!("note what begins of {migration}"),
            What::Done(_) => format!("note what is done of {migration}"),
            What::Applied { .. } => format!("record {migration}"),
        },
        Action::CorrectHistory(correction) => {
            let rows = plural(correction.changes.len(), "row", "rows");
            format!("correct {rows} of {}", correction.table)
        }
        Action::CreateIndex(new) if new.only => {
            format!("create index {} on {} alone", new.name.name, new.table)
        }
        Action::CreateIndex(new) => format!("build index {} on {}", new.name.name, new.table),
        Action::DropIndex { index } => format!("drop index {index}"),
        Action::RebuildIndex { index } => format!("rebuild index {index}"),
        Action::AttachIndex { index, .. } => format!("attach index {index}"),
        Action::FinalizeDetach { partition, .. } => format!("finish the detach of {partition}"),
        Action::AddKeyOnly(key) => format!("add constraint {} on {} alone", key.name, key.table),
        Action::AddKeyUsingIndex(key) => format!("add constraint {} on {}", key.name, key.table),
        Action::AddNotNullCheck { table, .. } => format!("add a not-null check on {table}"),
        Action::ValidateNotNullCheck { table } => format!("validate the check on {table}"),
        Action::SetNotNull { table, .. } => format!("set not null on {table}"),
        Action::Partition(action) => action.name(),
        Action::RecordPlans(_) => "note the plans".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::{Ident, QualifiedName};
    use crate::runbook::Limits;

    fn drop_index(name: &str, mode: LockMode) -> Step {
        let qualified = |name| QualifiedName::new(Ident::from_sql("public"), Ident::from_sql(name));
        Step {
            action: Action::DropIndex { index: qualified(name) },
            stands_for: None,
            limits: Limits {
                waiting: Waiting::Patient { wait: Millis(60_000) },
                statement_timeout: Millis(0),
            },
            locks: vec![Lock { mode, table: qualified("orders") }],
            settings: Vec::new(),
            note: String::new(),
        }
    }

    #[test]
    fn an_outline_counts_what_is_alike() {
        let stage = |name, mode| Stage::single(String::new(), drop_index(name, mode));
        let stages = vec![
            stage("a", LockMode::ShareUpdateExclusive),
            stage("b", LockMode::ShareUpdateExclusive),
            stage("c", LockMode::RowExclusive),
        ];
        let expected = "\
3 stages, 3 steps
    2 x  drop an index concurrently
         lock: SHARE UPDATE EXCLUSIVE (stops other schema changes, no rows), waits at most 1min
    1 x  drop an index concurrently
         lock: nothing that others use
";
        assert_eq!(outline(&Runbook { stages }), expected);
    }
}

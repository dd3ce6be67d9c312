//! Migrations on a database that has production's schema and none of its rows: what is left to run,
//! what has to be left out, and the locks of what cannot be traced there. Pure.

use super::verify::verify_progress;
use super::{Migration, statements_at};
use crate::error::{Error, Kind as ErrorKind, Refused, Result};
use crate::model::finding::{Finding, Place, Severity};
use crate::model::lock::LockMode;
use crate::model::lock_trace::{TracedLock, Work};
use crate::model::migration::{History, StatementPlace};
use crate::runbook::Runbook;
use crate::runbook::action::Action;
use crate::sql::Statement;
use crate::sql::split::newlines;
use crate::sql::statement::Kind;
use crate::sql::transaction::{empties_its_tables, leaves_its_database, reads_its_table};

/// A migration without the statements that production has finished: its schema has what they did.
/// Settings stay, since they hold for those behind them. Finished ones that were edited since are
/// findings.
pub fn left(migration: Migration, history: &History) -> (Migration, Vec<Finding>) {
    let Migration { id, path, statements, .. } = &migration;
    let findings = verify_progress(id, path, statements, history);
    let is_finished = |at: usize| {
        let mut rows = history.progress.iter().filter(|row| row.version == id.version);
        rows.any(|row| row.finished && row.statement as usize == at + 1)
    };
    let statements = statements.iter().enumerate();
    let left = statements.filter(|(at, one)| matches!(one.kind, Kind::Set(_)) || !is_finished(*at));
    let statements = left.map(|(_, one)| one.clone()).collect();
    (Migration { statements, ..migration }, findings)
}

/// Leaves the statement out that failed for want of rows, or of the database that it names, and
/// tells it; `None` where it failed for another reason.
pub fn leave_out(migrations: &mut [Migration], error: &Error) -> Option<Finding> {
    const INTEGRITY_CONSTRAINT_VIOLATION: &str = "23";
    const NO_DATA_FOUND: &str = "P0002";
    const UNDEFINED_DATABASE: &str = "3D000";
    let refused = error.refused.as_ref()?;
    let help = match refused.code.as_str() {
        UNDEFINED_DATABASE => "a shadow has another name: this statement was left out",
        code if code.starts_with(INTEGRITY_CONSTRAINT_VIOLATION) || code == NO_DATA_FOUND => {
            "a shadow has no rows: what this statement does was left out"
        }
        _ => return None,
    };
    let at = refused.at?;
    let migration = migrations.iter_mut().find(|one| one.id.version == at.version)?;
    let ends = |one: &Statement| one.line + newlines(&one.text);
    let mut statements = migration.statements.iter_mut();
    let statement =
        statements.find(|one| one.text != NOTHING && (one.line..=ends(one)).contains(&at.line))?;
    let line = statement.line;
    // In its place, since positions are counted.
    statement.text = NOTHING.to_string();
    let subject = migration.id.to_string();
    let found = Finding::new("left-out", Severity::Warning, subject, error.message.clone());
    Some(found.help(help).at(migration.path.clone(), line))
}

/// A statement that does nothing.
const NOTHING: &str = "SELECT 1";

/// What helps where a statement failed for want of an extension's files, which says nothing of
/// production's server. With 15 and later the server says so, before it is a file that is missing.
pub fn lacks_extension(error: &Error) -> Option<&'static str> {
    const FEATURE_NOT_SUPPORTED: &str = "0A000";
    const UNDEFINED_FILE: &str = "58P01";
    let code = error.refused.as_ref()?.code.as_str();
    let lacks = [FEATURE_NOT_SUPPORTED, UNDEFINED_FILE].contains(&code);
    (lacks && error.message.contains("extension")).then_some(
        "where only the shadow's server lacks it: give check one that has it, with --pg-bin or \
         --shadow-url",
    )
}

/// Errors where a statement outside of transactions would change more than its database on a server
/// that is borrowed: what it did could not be taken back.
pub fn refuse_to_leave(runbook: &Runbook) -> Result<()> {
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Action::RunAlone { migration, statement } = &step.action else { continue };
        if leaves_its_database(&statement.text) {
            const ADVICE: &str =
                "leave --shadow-url out: on a private server a migration may change everything";
            let place = format!("{migration}, line {}", statement.line);
            let message = format!("{place}: this changes the server, which is only borrowed");
            let refused = Refused {
                at: step.stands_for,
                code: String::new(),
                advice: vec![ADVICE.to_string()],
            };
            let error = Error::new(ErrorKind::Database, message).hint(ADVICE);
            return Err(Error { refused: Some(Box::new(refused)), ..error });
        }
    }
    Ok(())
}

/// The locks of steps that cannot be traced, which are known: pgtune's own, of the statement that
/// they stand for, and those of statements that run outside of transactions.
pub fn known_locks(runbook: &Runbook, migrations: &[Migration]) -> Vec<TracedLock> {
    let mut known = Vec::new();
    for step in runbook.stages.iter().flat_map(|stage| &stage.steps) {
        let Some(StatementPlace { version, line }) = step.stands_for else { continue };
        let Some(migration) = migrations.iter().find(|one| one.id.version == version) else {
            continue;
        };
        known.extend(step.locks.iter().map(|lock| TracedLock {
            place: Place { path: migration.path.clone(), line },
            table: lock.table.clone(),
            mode: lock.mode,
            work: work(&step.action, lock.mode),
        }));
    }
    known
}

/// What was traced, where TRUNCATE is told from a rewrite: both give a table another file.
pub fn without_truncation(locks: Vec<TracedLock>, migrations: &[Migration]) -> Vec<TracedLock> {
    let is_truncated = |place: &Place| {
        let mut here = statements_at(migrations, place).peekable();
        here.peek().is_some() && here.all(empties_its_tables)
    };
    let told = |one: TracedLock| match one.work {
        Work::Rewrite if is_truncated(&one.place) => TracedLock { work: Work::Instant, ..one },
        Work::Rewrite | Work::FullScan | Work::Instant => one,
    };
    locks.into_iter().map(told).collect()
}

/// What is done under a lock of a step that is not traced.
fn work(action: &Action, mode: LockMode) -> Work {
    let reads = action.reads_tables()
        || matches!(action, Action::RunAlone { statement, .. } if reads_its_table(&statement.text));
    match (reads, mode) {
        // VACUUM FULL, and CLUSTER of all tables.
        (true, LockMode::AccessExclusive) => Work::Rewrite,
        (true, _) => Work::FullScan,
        (false, _) => Work::Instant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::migration::{Checksums, MigrationId, Progress, statement_checksum};
    use crate::sql::parse;

    fn migration(sql: &str) -> Migration {
        let id = MigrationId::from_file_stem("V7__some").unwrap();
        let checksums = Checksums::of(&id, sql);
        Migration { id, path: "V7.sql".to_string(), checksums, statements: parse(sql).unwrap() }
    }

    fn texts(migration: &Migration) -> Vec<&str> {
        migration.statements.iter().map(|one| one.text.as_str()).collect()
    }

    #[test]
    fn what_is_finished_is_not_left_but_for_settings() {
        let whole = migration("set search_path = a; select 1; select 2; select 3");
        let row = |statement: u32, finished| Progress {
            version: 7,
            statement,
            checksum: statement_checksum(&whole.statements[statement as usize - 1].text),
            finished,
        };
        let other = Progress { version: 8, ..row(4, true) };
        let progress = vec![row(1, true), row(2, true), row(3, false), other];
        let history = History { progress, ..History::default() };
        let (rest, findings) = left(whole.clone(), &history);
        assert_eq!(texts(&rest), ["set search_path = a", "select 2", "select 3"]);
        assert_eq!(findings, []);
        let edited = migration("set search_path = a; select 11; select 2; select 3");
        assert_eq!(left(edited, &history).1[0].check, "edited-while-half-applied");
    }

    #[test]
    fn what_needs_rows_is_left_out_in_its_place() {
        let refused = |code: &str, line| {
            let at = Some(StatementPlace { version: 7, line });
            let refused = Refused { at, code: code.to_string(), advice: Vec::new() };
            let error = Error::new(ErrorKind::Database, "no");
            Error { refused: Some(Box::new(refused)), ..error }
        };
        let mut all = [migration("select 1;\ninsert into t\nvalues (null);\nselect 2;")];
        let found = leave_out(&mut all, &refused("23502", 3)).unwrap();
        assert_eq!((found.check.as_str(), found.place.unwrap().line), ("left-out", 2));
        assert_eq!(texts(&all[0]), ["select 1", NOTHING, "select 2"]);
        // Once, and for no other reason.
        assert_eq!(leave_out(&mut all, &refused("23502", 3)), None);
        assert_eq!(leave_out(&mut all, &refused("42601", 4)), None);
        assert_eq!(leave_out(&mut all, &Error::new(ErrorKind::Database, "gone")), None);
    }
}

//! Plans migrations: cuts each file into transactions and statements that stand alone, turns index
//! work into online index work, and puts the history row where it is atomic.
//!
//! What a file's own statements do to the database is followed as far as their heads tell
//! (`effects`); a stage whose successor rests on more than that says `look_again`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use super::index::Wanted;
use super::steps::{Frame, lock};
use super::verify::verify_progress;
use super::{Extent, Goal, Migration, Planned};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::migration::{History, StatementPlace, statement_checksum};
use crate::model::units::plural;
use crate::runbook::action::{Action, SqlText, apply_all};
use crate::runbook::history::{Record, What};
use crate::runbook::{Lock, Runbook, Stage, Step};
use crate::sql::Statement;
use crate::sql::setting::SearchPath;
use crate::sql::statement::Kind;

use effects::{follow_create_index, follow_create_table, follow_drop_table, new_table};

mod alone;
mod effects;
mod online;

/// Plans all migrations of the goal that the catalog's history does not have.
pub(super) fn plan(goal: &Goal<'_>, catalog: &Catalog, extent: Extent) -> Planned {
    let applied: BTreeSet<i64> = catalog.history.applied.iter().map(|a| a.version).collect();
    let mut catalog = catalog.clone();
    let mut planned = Planned::default();
    for migration in goal.migrations.iter().filter(|m| !applied.contains(&m.id.version)) {
        let certain = planned.runbook.is_empty();
        let (stages, findings) = plan_file(goal, migration, &mut catalog, certain);
        let looks_again = stages.iter().any(|stage| stage.look_again);
        planned.runbook.stages.extend(stages);
        planned.findings.extend(findings);
        if looks_again && extent == Extent::UntilLookAgain {
            break;
        }
    }
    look_again_before_index_work(&mut planned.runbook);
    planned.runbook.stages.splice(0..0, prepare(goal, &catalog, &planned.runbook));
    planned
}

/// Index work is planned from the catalog, so whatever runs before it must be looked at first.
fn look_again_before_index_work(runbook: &mut Runbook) {
    for i in 1..runbook.stages.len() {
        runbook.stages[i - 1].look_again |= runbook.stages[i].look_again;
    }
}

/// Makes the tables that the records of `runbook` go to, where they do not exist.
fn prepare(goal: &Goal<'_>, catalog: &Catalog, runbook: &Runbook) -> Option<Stage> {
    let writes_progress = runbook.stages.iter().flat_map(|s| &s.steps).any(|step| {
        let record = step.action.record();
        record.is_some_and(|record| matches!(record.what, What::Begun(_) | What::Done(_)))
    });
    let progress = writes_progress && !catalog.history.has_progress;
    let history = (!runbook.is_empty() && catalog.history.width.is_none())
        .then(|| (goal.history_table.clone(), goal.history_width));
    let frame = Frame::new(String::new(), goal.limits);
    (progress || history.is_some()).then(|| {
        let step = frame.short(Action::Prepare { history, progress }, Vec::new());
        Stage::single("prepare the history".to_string(), step)
    })
}

/// Statements waiting to be run in one transaction.
#[derive(Default)]
struct Group {
    statements: Vec<SqlText>,
    locks: Vec<Lock>,
    /// Settings of the file that hold when the group begins.
    settings_before: Vec<String>,
    /// Whether it changes settings.
    sets: bool,
    /// Whether it does anything but that.
    works: bool,
    /// Whether it runs code that this planner does not read: DO, CALL.
    runs_code: bool,
}

/// A file being planned.
struct File<'a> {
    goal: &'a Goal<'a>,
    migration: &'a Migration,
    frame: Frame<'a>,
    /// The search path that the file begins with.
    search_path: Vec<Ident>,
    /// Statements that earlier runs began (false) or finished (true).
    progress: BTreeMap<u32, bool>,
    /// Tables the file itself creates; nobody else uses them yet.
    created: BTreeSet<QualifiedName>,
    /// Statements waiting to be run in one transaction.
    group: Group,
    /// Statements planned, but not yet recorded.
    unrecorded: Vec<(u32, String)>,
    /// Whether progress rows of this file exist or will.
    has_progress: bool,
    /// Whether the catalog is known to be as the server's, not a guess.
    certain: bool,
    stages: Vec<Stage>,
    findings: Vec<Finding>,
}

fn plan_file(
    goal: &Goal<'_>,
    migration: &Migration,
    catalog: &mut Catalog,
    certain: bool,
) -> (Vec<Stage>, Vec<Finding>) {
    let Migration { id, path, statements, .. } = migration;
    let mut file = File {
        goal,
        migration,
        frame: Frame::new(id.to_string(), goal.limits),
        search_path: catalog.search_path.clone(),
        progress: progress_of(&catalog.history, id.version),
        created: BTreeSet::new(),
        group: Group::default(),
        unrecorded: Vec::new(),
        has_progress: catalog.history.progress.iter().any(|p| p.version == id.version),
        certain,
        stages: Vec::new(),
        findings: verify_progress(id, path, statements, &catalog.history),
    };
    for (position, statement) in statements.iter().enumerate() {
        file.plan_statement(catalog, position as u32 + 1, statement);
    }
    file.finish(catalog);
    catalog.search_path.clone_from(&file.search_path);
    (file.stages, file.findings)
}

fn progress_of(history: &History, version: i64) -> BTreeMap<u32, bool> {
    let rows = history.progress.iter().filter(|row| row.version == version);
    rows.map(|row| (row.statement, row.finished)).collect()
}

impl File<'_> {
    fn plan_statement(&mut self, catalog: &mut Catalog, number: u32, statement: &Statement) {
        let (version, line) = (self.migration.id.version, statement.line);
        self.frame.stands_for = Some(StatementPlace { version, line });
        let progress = self.progress.get(&number).copied();
        let (begun, finished) = (progress.is_some(), progress == Some(true));
        if !finished {
            self.plan_pending(catalog, number, statement, begun);
        }
        self.follow(catalog, statement, finished);
    }

    fn plan_pending(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        begun: bool,
    ) {
        match &statement.kind {
            Kind::CreateIndex(create) => match self.new_index(catalog, create) {
                Some(index) if self.is_there_already(catalog, create, &index) => {
                    self.note_done(number, statement);
                }
                Some(index) => {
                    let begun = begun && create.name.is_some();
                    let wanted = Wanted { index, key: None, begun };
                    self.online(catalog, number, statement, &wanted, create.name.as_ref());
                }
                None => {
                    self.alone_if(create.concurrently, catalog, number, statement, begun);
                    follow_create_index(catalog, create);
                }
            },
            Kind::AddKey(add) => match self.new_key(catalog, add) {
                Some(key) => {
                    let wanted = Wanted { index: key.new_index(), key: Some(key), begun };
                    self.online(catalog, number, statement, &wanted, add.name.as_ref());
                }
                None => self.together(catalog, number, statement),
            },
            Kind::DropIndex(drop) => self.drop_index(catalog, number, statement, drop, begun),
            Kind::Reindex(reindex) => self.reindex(catalog, number, statement, reindex, begun),
            Kind::DetachConcurrently(detach) => {
                self.detach(catalog, number, statement, detach, begun);
            }
            Kind::Alone => self.alone_if(true, catalog, number, statement, begun),
            Kind::AddEnumValue => {
                self.together(catalog, number, statement);
                self.end_group(catalog);
            }
            Kind::TransactionBoundary => self.note_done(number, statement),
            Kind::Set(_) => {
                self.together(catalog, number, statement);
                // A local one still holds when the history row is written.
                self.group.sets = true;
            }
            Kind::CreateTable(_) | Kind::DropTable(_) | Kind::Other => {
                self.together(catalog, number, statement);
            }
        }
    }

    /// Follows what a statement does to later ones: settings, tables, indexes.
    fn follow(&mut self, catalog: &mut Catalog, statement: &Statement, finished: bool) {
        match &statement.kind {
            Kind::Set(set) => {
                self.frame.settings.extend(set.again.clone());
                match &set.search_path {
                    Some(SearchPath::To(path)) => catalog.search_path.clone_from(path),
                    Some(SearchPath::Default) => catalog.search_path.clone_from(&self.search_path),
                    None => {}
                }
            }
            Kind::CreateTable(table) => {
                let old = table.if_not_exists && catalog.resolve_relation(&table.name).is_some();
                if !old {
                    self.created.extend(new_table(catalog, table));
                }
                if !finished {
                    follow_create_table(catalog, table);
                }
            }
            Kind::DropTable(names) => names.iter().for_each(|name| {
                if let Some(table) = self.created_table(catalog, name) {
                    self.created.remove(&table);
                }
                follow_drop_table(catalog, name);
            }),
            Kind::CreateIndex(_)
            | Kind::DropIndex(_)
            | Kind::Reindex(_)
            | Kind::AddKey(_)
            | Kind::TransactionBoundary
            | Kind::AddEnumValue
            | Kind::DetachConcurrently(_)
            | Kind::Alone
            | Kind::Other => {}
        }
    }

    /// Adds the statement to the current transaction.
    fn together(&mut self, catalog: &Catalog, number: u32, statement: &Statement) {
        for table_lock in &statement.locks {
            let table = catalog.resolve_relation(&table_lock.table).cloned();
            if let Some(table) = table.filter(|table| !self.created.contains(table)) {
                self.add_lock(table_lock.mode, &table);
            }
        }
        if self.group.statements.is_empty() {
            self.group.settings_before.clone_from(&self.frame.settings);
        }
        self.group.sets |= statement.runs_code();
        self.group.runs_code |= statement.runs_code();
        self.group.works |= !matches!(statement.kind, Kind::Set(_));
        self.group.statements.push(sql_text(number, statement));
        self.note_done(number, statement);
    }

    /// Keeps the strongest lock of each table.
    fn add_lock(&mut self, mode: LockMode, table: &QualifiedName) {
        match self.group.locks.iter_mut().find(|lock| lock.table == *table) {
            Some(lock) => lock.mode = lock.mode.max(mode),
            None => self.group.locks.push(lock(mode, table)),
        }
    }

    fn note_done(&mut self, number: u32, statement: &Statement) {
        self.unrecorded.push((number, statement_checksum(&statement.text)));
    }

    fn record(&self, what: What) -> Record {
        Record {
            table: self.goal.history_table.clone(),
            migration: self.migration.id.clone(),
            what,
        }
    }

    fn push(&mut self, catalog: &mut Catalog, stage: Stage) {
        apply_all(stage.steps.iter().map(|step| &step.action), catalog);
        self.stages.push(stage);
        self.certain = false;
    }

    /// Ends the current transaction; more of the file follows. Settings alone need none: they go
    /// with the steps that follow.
    fn end_group(&mut self, catalog: &mut Catalog) {
        if !self.group.works {
            self.group = Group::default();
            return;
        }
        self.has_progress = true;
        let what = What::Done(take(&mut self.unrecorded));
        self.push_group(catalog, what);
    }

    fn push_group(&mut self, catalog: &mut Catalog, what: What) {
        let Group { statements, locks, settings_before, sets, runs_code, .. } =
            take(&mut self.group);
        let note = if runs_code { "what DO and CALL lock is not known" } else { "" }.to_string();
        let count = plural(statements.len(), "statement", "statements");
        let title = format!("{}: {count} in one transaction", self.migration.id);
        let record = self.record(what);
        let action = Action::RunStatements { statements, record, changes_settings: sets };
        let step = self.frame.short(action, locks);
        // Its statements have places of their own.
        let step = Step { settings: settings_before, stands_for: None, note, ..step };
        self.push(catalog, Stage::single(title, step));
    }

    /// Ends the file: the history row goes into its last transaction.
    fn finish(&mut self, catalog: &mut Catalog) {
        let width = catalog.history.width.unwrap_or(self.goal.history_width);
        let Some(checksum) = self.migration.checksums.at(width) else {
            let message = "the version does not fit the history table's int4 column";
            let finding = Finding::new(
                "version-too-wide",
                Severity::Error,
                self.migration.id.to_string(),
                message,
            );
            self.findings.push(finding.help(
                "set migrations.history_version = \"int8\" before the table is created, or use \
                 versions up to 2147483647",
            ));
            return;
        };
        let what = What::Applied { checksum, has_progress: self.has_progress };
        if self.group.statements.is_empty() {
            let step = self.record_step(what);
            let title = format!("{}: record it in the history", self.migration.id);
            self.push(catalog, Stage::single(title, step));
        } else {
            self.push_group(catalog, what);
        }
    }

    /// Whether the server's catalog is known here: nothing of this plan runs before.
    fn is_certain(&self) -> bool {
        self.certain && self.group.statements.is_empty()
    }

    fn record_step(&self, what: What) -> Step {
        let action = Action::Record(self.record(what));
        let step = self.frame.short(action, Vec::new());
        Step { settings: Vec::new(), stands_for: None, ..step }
    }
}

fn sql_text(number: u32, statement: &Statement) -> SqlText {
    SqlText { number, line: statement.line, text: statement.text.clone() }
}

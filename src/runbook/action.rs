//! The closed list of things pgtune does to a database: what each says, and leaves behind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::history::{
    Change, Correction, Record, What, create_history_table, create_progress_table,
};
use super::partition::PartitionAction;
use super::plans::{self, PlanRow};
use crate::model::catalog::{Catalog, Check, Index, IndexDefinition, KeyConstraint};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::migration::{Applied, MigrationId, Progress, VersionWidth};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Make the tables that migrations are recorded in.
    Prepare {
        /// The history table to create, and its width.
        history: Option<(QualifiedName, VersionWidth)>,
        /// Whether to create `pgtune_state.migration_progress`.
        progress: bool,
    },
    /// Run statements of a migration in one transaction, and record that in it.
    RunStatements {
        /// The statements.
        statements: Vec<SqlText>,
        /// What is known afterwards.
        record: Record,
        /// Whether a `SET` among them outlives the transaction.
        changes_settings: bool,
    },
    /// Run a statement that PostgreSQL refuses inside a transaction.
    RunAlone {
        /// The migration.
        migration: MigrationId,
        /// The statement.
        statement: SqlText,
    },
    /// Write down how far a migration is, in a transaction of its own.
    Record(Record),
    /// Correct rows of the history table, all or none: what is recorded, not what was done.
    CorrectHistory(Correction),
    /// `CREATE INDEX`, concurrently or on a partitioned table alone.
    CreateIndex(NewIndex),
    /// `DROP INDEX CONCURRENTLY`
    DropIndex {
        /// The index.
        index: QualifiedName,
    },
    /// `REINDEX INDEX CONCURRENTLY`
    RebuildIndex {
        /// The index.
        index: QualifiedName,
    },
    /// `ALTER INDEX parent ATTACH PARTITION index`
    AttachIndex {
        /// The partitioned index.
        parent: QualifiedName,
        /// The index of one partition.
        index: QualifiedName,
    },
    /// `ALTER TABLE … DETACH PARTITION … FINALIZE`: completes an interrupted concurrent detach.
    FinalizeDetach {
        /// The partitioned table.
        parent: QualifiedName,
        /// The partition that is half gone.
        partition: QualifiedName,
    },
    /// `ALTER TABLE ONLY … ADD CONSTRAINT`: a key of a partitioned table, not of its partitions.
    AddKeyOnly(NewKey),
    /// `ALTER TABLE … ADD CONSTRAINT … USING INDEX`
    AddKeyUsingIndex(NewKey),
    /// `ADD CHECK (… IS NOT NULL) NOT VALID`, so that NOT NULL can be proven without a lock.
    AddNotNullCheck {
        /// The table.
        table: QualifiedName,
        /// Columns to become NOT NULL.
        columns: Vec<Ident>,
    },
    /// `VALIDATE CONSTRAINT`: reads the table while others go on writing.
    ValidateNotNullCheck {
        /// The table.
        table: QualifiedName,
    },
    /// `SET NOT NULL`, proven by the check, which then goes.
    SetNotNull {
        /// The table.
        table: QualifiedName,
        /// Columns to become NOT NULL.
        columns: Vec<Ident>,
    },
    /// Something to a partition as a whole.
    Partition(PartitionAction),
    /// Write down the plans around an index change.
    RecordPlans(Vec<PlanRow>),
}

/// A statement of a migration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlText {
    /// Its place in the file, from 1.
    pub number: u32,
    /// The line it starts on, from 1.
    pub line: usize,
    /// Its text, without a final semicolon.
    pub text: String,
}

/// An index to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIndex {
    /// Its name.
    pub name: QualifiedName,
    /// Its table.
    pub table: QualifiedName,
    /// UNIQUE
    pub unique: bool,
    /// All behind the table's name: `USING btree (a) WHERE b`.
    pub tail: String,
    /// The names PostgreSQL gives its columns.
    pub columns: Vec<Ident>,
    /// `ON ONLY` a partitioned table; otherwise concurrently.
    pub only: bool,
}

/// A primary key or unique constraint to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// The table.
    pub table: QualifiedName,
    /// The constraint's name, which is also the index's.
    pub name: Ident,
    /// Otherwise UNIQUE.
    pub primary: bool,
    /// The index it would build, from the table's name on: `(a, b) INCLUDE (c)`.
    pub tail: String,
    /// `NULLS NOT DISTINCT`
    pub nulls_not_distinct: bool,
    /// `DEFERRABLE …`; may be empty.
    pub attributes: String,
    /// The key's own columns, without included ones.
    pub key: Vec<Ident>,
    /// The names of the index's columns.
    pub columns: Vec<Ident>,
}

/// What a step says to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The messages, in order: SQL without BEGIN and COMMIT.
    pub messages: Vec<String>,
    /// How many of the last messages are pgtune's own and travel with the statement before them.
    pub own_tail: usize,
    /// Whether they share one transaction; otherwise there is one message.
    pub transaction: bool,
}

impl Script {
    /// One transaction of pgtune's own statements, which travel together.
    pub fn own(messages: Vec<String>) -> Script {
        Script { own_tail: messages.len(), messages, transaction: true }
    }

    /// One transaction of pgtune's own that begins with a LOCK in a message of its own: what takes
    /// time behind it is what others wait for.
    pub fn locking(messages: Vec<String>) -> Script {
        Script { own_tail: messages.len().saturating_sub(2), messages, transaction: true }
    }

    /// One transaction, a message for each statement.
    pub fn transaction(messages: Vec<String>) -> Script {
        Script { own_tail: 0, messages, transaction: true }
    }

    /// One statement outside transactions.
    pub fn alone(message: String) -> Script {
        Script { messages: vec![message], own_tail: 0, transaction: false }
    }
}

/// Name of the check that proves NOT NULL.
pub const NOT_NULL_CHECK: &str = "pgtune_not_null";

impl Action {
    /// What the action says to the server, without timeouts.
    pub fn script(&self) -> Script {
        match self {
            Action::Prepare { history, progress } => {
                let mut messages = Vec::new();
                if let Some((table, width)) = history {
                    messages.push(create_history_table(table, *width));
                }
                if *progress {
                    messages.extend(create_progress_table());
                }
                Script::transaction(messages)
            }
            Action::RunStatements { statements, record, .. } => {
                let record = record.sql();
                let own_tail = record.len();
                let texts = statements.iter().map(|statement| statement.text.clone());
                Script { messages: texts.chain(record).collect(), own_tail, transaction: true }
            }
            Action::RunAlone { statement, .. } => Script::alone(statement.text.clone()),
            Action::Record(record) => Script::transaction(record.sql()),
            Action::CorrectHistory(correction) => Script::transaction(correction.sql()),
            Action::CreateIndex(new) if new.only => Script::transaction(vec![new.sql()]),
            Action::CreateIndex(new) => Script::alone(new.sql()),
            Action::DropIndex { index } => {
                Script::alone(format!("DROP INDEX CONCURRENTLY {index}"))
            }
            Action::RebuildIndex { index } => {
                Script::alone(format!("REINDEX INDEX CONCURRENTLY {index}"))
            }
            Action::AttachIndex { parent, index } => {
                Script::transaction(vec![format!("ALTER INDEX {parent} ATTACH PARTITION {index}")])
            }
            Action::FinalizeDetach { parent, partition } => Script::transaction(vec![format!(
                "ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE"
            )]),
            Action::AddKeyOnly(key) => Script::transaction(vec![key.only_sql()]),
            Action::AddKeyUsingIndex(key) => Script::transaction(vec![key.using_index_sql()]),
            Action::AddNotNullCheck { table, columns } => {
                let tests: Vec<String> =
                    columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
                Script::transaction(vec![format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {NOT_NULL_CHECK} CHECK ({}) NOT VALID",
                    tests.join(" AND ")
                )])
            }
            Action::ValidateNotNullCheck { table } => Script::transaction(vec![format!(
                "ALTER TABLE {table} VALIDATE CONSTRAINT {NOT_NULL_CHECK}"
            )]),
            Action::SetNotNull { table, columns } => {
                let actions: Vec<String> =
                    columns.iter().map(|column| format!("ALTER {column} SET NOT NULL")).collect();
                Script::transaction(vec![
                    format!("ALTER TABLE {table} {}", actions.join(", ")),
                    format!("ALTER TABLE {table} DROP CONSTRAINT {NOT_NULL_CHECK}"),
                ])
            }
            Action::Partition(action) => action.script(),
            Action::RecordPlans(rows) => Script::own(plans::record(rows)),
        }
    }

    /// What it writes down about a migration.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Action::RunStatements { record, .. } | Action::Record(record) => Some(record),
            Action::Prepare { .. }
            | Action::RunAlone { .. }
            | Action::CorrectHistory(_)
            | Action::CreateIndex(_)
            | Action::DropIndex { .. }
            | Action::RebuildIndex { .. }
            | Action::AttachIndex { .. }
            | Action::FinalizeDetach { .. }
            | Action::AddKeyOnly(_)
            | Action::AddKeyUsingIndex(_)
            | Action::AddNotNullCheck { .. }
            | Action::ValidateNotNullCheck { .. }
            | Action::SetNotNull { .. }
            | Action::Partition(_)
            | Action::RecordPlans(_) => None,
        }
    }

    /// The same for the first `at` tables, and for the others ([`PartitionAction::cut`]).
    pub fn cut(&self, at: usize) -> Option<(Action, Action)> {
        let Action::Partition(action) = self else { return None };
        let (first, rest) = action.cut(at)?;
        Some((Action::Partition(first), Action::Partition(rest)))
    }

    /// Whether others of its stage are none the worse for its failure: each is about another table.
    pub fn stands_alone(&self) -> bool {
        let Action::Partition(action) = self else { return false };
        matches!(action, PartitionAction::Archive { .. } | PartitionAction::DropArchived { .. })
    }

    /// Whether it runs statements as the user wrote them.
    pub fn runs_the_users_sql(&self) -> bool {
        matches!(self, Action::RunStatements { .. } | Action::RunAlone { .. })
    }

    /// What takes the change of an index back, as a migration's statement; `None` for all that
    /// changes none, and for what only rebuilds one. `definition` knows how an index was made.
    pub fn taken_back(
        &self,
        definition: impl FnOnce(&QualifiedName) -> Option<String>,
    ) -> Option<String> {
        match self {
            Action::CreateIndex(new) => Some(format!("DROP INDEX {};", new.name)),
            Action::AttachIndex { parent, .. } => Some(format!("DROP INDEX {parent};")),
            Action::DropIndex { index } => Some(format!("{};", definition(index)?)),
            Action::Prepare { .. }
            | Action::RunStatements { .. }
            | Action::RunAlone { .. }
            | Action::Record(_)
            | Action::CorrectHistory(_)
            | Action::RebuildIndex { .. }
            | Action::FinalizeDetach { .. }
            | Action::AddKeyOnly(_)
            | Action::AddKeyUsingIndex(_)
            | Action::AddNotNullCheck { .. }
            | Action::ValidateNotNullCheck { .. }
            | Action::SetNotNull { .. }
            | Action::Partition(_)
            | Action::RecordPlans(_) => None,
        }
    }

    /// Whether plans may change with it: an index comes, goes or is built anew, a partition comes
    /// or goes, or it runs statements of the user's, which may do anything.
    pub fn changes_plans(&self) -> bool {
        match self {
            Action::CreateIndex(_)
            | Action::DropIndex { .. }
            | Action::RebuildIndex { .. }
            | Action::AttachIndex { .. }
            | Action::AddKeyUsingIndex(_)
            | Action::FinalizeDetach { .. }
            | Action::Partition(_) => true,
            Action::RunStatements { .. } | Action::RunAlone { .. } => true,
            Action::Prepare { .. }
            | Action::Record(_)
            | Action::CorrectHistory(_)
            | Action::AddKeyOnly(_)
            | Action::AddNotNullCheck { .. }
            | Action::ValidateNotNullCheck { .. }
            | Action::SetNotNull { .. }
            | Action::RecordPlans(_) => false,
        }
    }

    /// Whether a step of pgtune's own reads a whole table: it builds an index, or proves something.
    pub fn reads_tables(&self) -> bool {
        match self {
            Action::CreateIndex(new) => !new.only,
            Action::RebuildIndex { .. } | Action::ValidateNotNullCheck { .. } => true,
            Action::Prepare { .. }
            | Action::RunStatements { .. }
            | Action::RunAlone { .. }
            | Action::Record(_)
            | Action::CorrectHistory(_)
            | Action::DropIndex { .. }
            | Action::AttachIndex { .. }
            | Action::FinalizeDetach { .. }
            | Action::AddKeyOnly(_)
            | Action::AddKeyUsingIndex(_)
            | Action::AddNotNullCheck { .. }
            | Action::SetNotNull { .. }
            | Action::Partition(_)
            | Action::RecordPlans(_) => false,
        }
    }

    /// The index that a failed or abandoned attempt may leave invalid.
    pub fn leftover(&self) -> Option<&QualifiedName> {
        match self {
            Action::CreateIndex(new) if !new.only => Some(&new.name),
            Action::CreateIndex(_)
            | Action::Prepare { .. }
            | Action::RunStatements { .. }
            | Action::RunAlone { .. }
            | Action::Record(_)
            | Action::CorrectHistory(_)
            | Action::DropIndex { .. }
            | Action::RebuildIndex { .. }
            | Action::AttachIndex { .. }
            | Action::FinalizeDetach { .. }
            | Action::AddKeyOnly(_)
            | Action::AddKeyUsingIndex(_)
            | Action::AddNotNullCheck { .. }
            | Action::ValidateNotNullCheck { .. }
            | Action::SetNotNull { .. }
            | Action::Partition(_)
            | Action::RecordPlans(_) => None,
        }
    }

    fn apply(&self, catalog: &mut Catalog) {
        match self {
            Action::Prepare { history, progress } => {
                if let Some((_, width)) = history {
                    catalog.history.width = Some(*width);
                }
                catalog.history.has_progress |= progress;
            }
            Action::RunStatements { record, .. } | Action::Record(record) => {
                apply_record(record, catalog);
            }
            Action::CorrectHistory(correction) => apply_correction(correction, catalog),
            Action::RunAlone { .. } => {}
            Action::CreateIndex(new) => {
                let whole = !new.only || catalog.partitions(&new.table).next().is_none();
                let index = Index { valid: whole, ..new.index() };
                catalog.indexes.insert(new.name.clone(), index);
            }
            Action::DropIndex { index } => {
                catalog.indexes.remove(index);
            }
            Action::RebuildIndex { index } => {
                if let Some(index) = catalog.indexes.get_mut(index) {
                    index.valid = true;
                }
            }
            Action::AttachIndex { parent, index } => {
                if let Some(index) = catalog.indexes.get_mut(index) {
                    index.parent = Some(parent.clone());
                }
            }
            Action::FinalizeDetach { partition, .. } => {
                if let Some(relation) = catalog.relations.get_mut(partition) {
                    relation.partition_of = None;
                }
            }
            Action::AddKeyOnly(key) => {
                let whole = catalog.partitions(&key.table).next().is_none();
                let index = Index { valid: whole, ..key.index() };
                catalog.indexes.insert(key.table.sibling(key.name.clone()), index);
            }
            Action::AddKeyUsingIndex(key) => {
                let name = key.table.sibling(key.name.clone());
                if let Some(index) = catalog.indexes.get_mut(&name) {
                    index.constraint = key.index().constraint;
                }
            }
            Action::AddNotNullCheck { table, .. } => apply_not_null_check(table, false, catalog),
            Action::ValidateNotNullCheck { table } => apply_not_null_check(table, true, catalog),
            Action::SetNotNull { table, columns } => apply_not_null(table, columns, catalog),
            Action::RecordPlans(_) => {}
            Action::Partition(action) => action.apply(catalog),
        }
    }
}

impl NewIndex {
    fn sql(&self) -> String {
        let unique = if self.unique { "UNIQUE " } else { "" };
        let (concurrently, only) = if self.only { ("", "ONLY ") } else { ("CONCURRENTLY ", "") };
        format!(
            "CREATE {unique}INDEX {concurrently}{} ON {only}{} {}",
            self.name.name, self.table, self.tail
        )
    }

    /// The index as it stands once created.
    fn index(&self) -> Index {
        Index {
            table: self.table.clone(),
            definition: IndexDefinition {
                unique: self.unique,
                using: self.tail.clone(),
                columns: self.columns.clone(),
            },
            valid: true,
            builder_pid: None,
            parent: None,
            constraint: None,
            size_bytes: 0,
        }
    }
}

impl NewKey {
    fn words(&self) -> &'static str {
        match (self.primary, self.nulls_not_distinct) {
            (true, _) => "PRIMARY KEY",
            (false, true) => "UNIQUE NULLS NOT DISTINCT",
            (false, false) => "UNIQUE",
        }
    }

    fn only_sql(&self) -> String {
        let head = format!("ALTER TABLE ONLY {} ADD CONSTRAINT {}", self.table, self.name);
        format!("{head} {} {} {}", self.words(), self.tail, self.attributes).trim_end().to_string()
    }

    fn using_index_sql(&self) -> String {
        let kind = if self.primary { "PRIMARY KEY" } else { "UNIQUE" };
        let head = format!("ALTER TABLE {} ADD CONSTRAINT {name}", self.table, name = self.name);
        format!("{head} {kind} USING INDEX {} {}", self.name, self.attributes)
            .trim_end()
            .to_string()
    }

    /// The unique index to build concurrently before the constraint takes it over.
    pub fn new_index(&self) -> NewIndex {
        let nulls = if self.nulls_not_distinct { "NULLS NOT DISTINCT" } else { "" };
        NewIndex {
            name: self.table.sibling(self.name.clone()),
            table: self.table.clone(),
            unique: true,
            tail: nulls_before_with(&self.tail, nulls),
            columns: self.columns.clone(),
            only: false,
        }
    }

    fn index(&self) -> Index {
        let constraint =
            if self.primary { KeyConstraint::PrimaryKey } else { KeyConstraint::Unique };
        Index { constraint: Some(constraint), ..self.new_index().index() }
    }
}

/// In `CREATE INDEX` the words NULLS NOT DISTINCT stand behind the columns, before WITH.
fn nulls_before_with(tail: &str, nulls: &str) -> String {
    if nulls.is_empty() {
        return tail.to_string();
    }
    match tail.to_ascii_lowercase().rfind(" with ") {
        Some(at) => format!("{} {nulls}{}", &tail[..at], &tail[at..]),
        None => format!("{tail} {nulls}"),
    }
}

fn apply_correction(correction: &Correction, catalog: &mut Catalog) {
    let applied = &mut catalog.history.applied;
    for change in &correction.changes {
        match change {
            Change::Rewrite { migration, checksum } => {
                for row in applied.iter_mut().filter(|row| row.version == migration.version) {
                    row.name.clone_from(&migration.name);
                    row.checksum = checksum.to_string();
                }
            }
            Change::Forget { version } => applied.retain(|row| row.version != *version),
        }
    }
}

fn apply_record(record: &Record, catalog: &mut Catalog) {
    let version = record.migration.version;
    let history = &mut catalog.history;
    match &record.what {
        What::Begun(statements) | What::Done(statements) => {
            let finished = matches!(record.what, What::Done(_));
            let numbers: BTreeSet<u32> = statements.iter().map(|(number, _)| *number).collect();
            history.progress.retain(|p| p.version != version || !numbers.contains(&p.statement));
            for (number, checksum) in statements {
                let checksum = checksum.clone();
                history.progress.push(Progress { version, statement: *number, checksum, finished });
            }
        }
        What::Applied { checksum, .. } => {
            history.progress.retain(|p| p.version != version);
            history.applied.push(Applied {
                version,
                name: record.migration.name.clone(),
                applied_on: String::new(),
                checksum: checksum.to_string(),
            });
            history.applied.sort_by_key(|applied| applied.version);
        }
    }
}

/// Changes `catalog` as the actions will change the database, as far as pgtune itself decides it:
/// the effects of a migration's own statements are not known here.
pub fn apply_all<'a>(actions: impl Iterator<Item = &'a Action>, catalog: &mut Catalog) {
    let mut parents: Vec<&QualifiedName> = Vec::new();
    for action in actions {
        action.apply(catalog);
        if let Action::AttachIndex { parent, .. } = action
            && parents.last() != Some(&parent)
        {
            parents.push(parent);
        }
    }
    // Attached bottom-up, so that a child is settled before its parent.
    parents.iter().for_each(|parent| settle(parent, catalog));
}

/// A partitioned index is valid once every partition has a valid one attached to it
/// (`validatePartitionedIndex` in tablecmds.c).
fn settle(parent: &QualifiedName, catalog: &mut Catalog) {
    let Some(table) = catalog.indexes.get(parent).map(|index| index.table.clone()) else { return };
    let partitions = catalog.partitions(&table).count();
    let valid = catalog.attached_indexes(parent).filter(|(_, index)| index.valid).count();
    if let Some(index) = catalog.indexes.get_mut(parent) {
        index.valid = partitions == valid;
    }
}

fn apply_not_null_check(table: &QualifiedName, valid: bool, catalog: &mut Catalog) {
    if let Some(relation) = catalog.relations.get_mut(table) {
        relation.checks.retain(|check| check.name.as_str() != NOT_NULL_CHECK);
        relation.checks.push(Check { name: Ident::from_sql(NOT_NULL_CHECK), valid });
    }
}

fn apply_not_null(table: &QualifiedName, columns: &[Ident], catalog: &mut Catalog) {
    for table in catalog.tree(table) {
        let Some(relation) = catalog.relations.get_mut(&table) else { continue };
        for column in columns {
            if !relation.not_null.contains(column) {
                relation.not_null.push(column.clone());
            }
        }
        relation.checks.retain(|check| check.name.as_str() != NOT_NULL_CHECK);
    }
}

//! What pgtune does to partitions: creating them beside their parent and attaching them, detaching,
//! dropping; [`super::ledger`] remembers which tables were partitions once.

use serde::{Deserialize, Serialize};

use super::action::Script;
use super::default::DefaultAction;
use super::ledger::{
    create_ledger, drop_attached, forget, note, note_dropped, note_retiring, refuse_others,
};
use super::traits;
use crate::model::archive::Lineage;
use crate::model::below::{Below, hash_bound};
use crate::model::catalog::{Catalog, Check, Partition, Relation, RelationKind};
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::traits::Traits;

/// Checks that prove a DEFAULT partition empty of a range begin like this.
pub const PROOF_PREFIX: &str = "pgtune_no_rows_";

/// Checks that prove that all rows of a table fit a bound begin like this.
pub const FIT_PREFIX: &str = "pgtune_all_rows_";

/// Whether a check of this name is one of pgtune's proofs.
pub fn is_proof(name: &Ident) -> bool {
    [PROOF_PREFIX, FIT_PREFIX].iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// One thing to do to a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PartitionAction {
    /// Make the ledger, or add what one of an older pgtune has not.
    PrepareLedger,
    /// Create a table like its parent and attach it, in one transaction.
    Create(Box<NewPartition>),
    /// The same, with rows that the DEFAULT partition holds.
    CreateFromDefault {
        /// The partition.
        new: Box<NewPartition>,
        /// The DEFAULT partition.
        default: QualifiedName,
        /// The condition that its rows meet.
        rows: String,
    },
    /// Something to a DEFAULT partition that holds many rows.
    Default(DefaultAction),
    /// `ANALYZE`, so that the planner knows new partitions are empty.
    Analyze {
        /// What to look at.
        tables: Vec<QualifiedName>,
    },
    /// A check, not valid yet, of which rows a DEFAULT partition holds.
    AddProof {
        /// The DEFAULT partition.
        table: QualifiedName,
        /// The check's name.
        name: Ident,
        /// What holds for every row.
        condition: String,
    },
    /// `VALIDATE CONSTRAINT`: reads the DEFAULT partition while others go on writing.
    ValidateProof {
        /// The DEFAULT partition.
        table: QualifiedName,
        /// The check's name.
        name: Ident,
    },
    /// Take the check away, its work done.
    DropProof {
        /// The DEFAULT partition.
        table: QualifiedName,
        /// The check's name.
        name: Ident,
    },
    /// Write down that partitions are about to leave.
    NoteRetiring {
        /// The partitioned table.
        parent: QualifiedName,
        /// Partition and bound.
        partitions: Vec<(QualifiedName, String)>,
        /// Whether a rule will drop them after their grace; otherwise they stay.
        expires: bool,
    },
    /// `DETACH PARTITION … CONCURRENTLY`
    DetachConcurrently {
        /// The partitioned table.
        parent: QualifiedName,
        /// What leaves.
        partition: QualifiedName,
    },
    /// `DETACH PARTITION`, several in one transaction.
    Detach {
        /// The partitioned table.
        parent: QualifiedName,
        /// What leaves.
        partitions: Vec<QualifiedName>,
    },
    /// `DROP TABLE` of partitions as they hang there, and a note of it.
    DropAttached {
        /// The partitioned table.
        parent: QualifiedName,
        /// Partition and bound.
        partitions: Vec<(QualifiedName, String)>,
    },
    /// Write the rows of a detached table into the archive, read them back, and note it.
    Archive {
        /// The table.
        table: QualifiedName,
        /// Where it hung.
        lineage: Lineage,
    },
    /// Drop a detached table if the archive holds just its rows, and note it.
    DropArchived {
        /// The table.
        table: QualifiedName,
    },
    /// Make a partition out of an archive.
    Restore {
        /// The partition.
        new: Box<NewPartition>,
        /// The archive's name.
        archive: String,
    },
    /// Write down since when tables are detached: their grace begins.
    NoteDetached {
        /// The tables.
        tables: Vec<QualifiedName>,
    },
    /// Forget tables that somebody attached again: what leaves later, leaves anew.
    NoteAttached {
        /// The tables.
        tables: Vec<QualifiedName>,
    },
    /// `DROP TABLE` of tables that were detached, and a note of it.
    Drop {
        /// The tables.
        tables: Vec<QualifiedName>,
    },
}

/// A partition to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPartition {
    /// Its name.
    pub name: QualifiedName,
    /// The partitioned table.
    pub parent: QualifiedName,
    /// `FOR VALUES …`
    pub bound: String,
    /// What it has to have besides its columns.
    pub traits: Traits,
    /// How it is partitioned itself, and its partitions.
    pub below: Option<Below>,
}

/// What must be allowed by name before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Hazard {
    /// Rows can no longer be reached through the partitioned table.
    DetachPartition,
    /// Rows are gone.
    DropPartition,
}

impl PartitionAction {
    /// What the action says to the server, without timeouts.
    pub fn script(&self) -> Script {
        match self {
            PartitionAction::PrepareLedger => Script::transaction(create_ledger()),
            PartitionAction::Create(new) => Script::own(new.sql()),
            PartitionAction::CreateFromDefault { new, default, rows } => {
                Script::own(new.sql_with_rows(default, rows))
            }
            PartitionAction::Default(action) => action.script(),
            PartitionAction::Analyze { tables } => {
                Script::alone(format!("ANALYZE {}", list(tables)))
            }
            PartitionAction::AddProof { table, name, condition } => {
                Script::transaction(vec![format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID"
                )])
            }
            PartitionAction::ValidateProof { table, name } => {
                Script::transaction(vec![format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")])
            }
            PartitionAction::DropProof { table, name } => {
                Script::transaction(vec![format!("ALTER TABLE {table} DROP CONSTRAINT {name}")])
            }
            PartitionAction::NoteRetiring { parent, partitions, expires } => {
                Script::own(note_retiring(parent, partitions, *expires))
            }
            PartitionAction::DetachConcurrently { parent, partition } => Script::alone(format!(
                "ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY"
            )),
            PartitionAction::Detach { parent, partitions } => {
                let detach =
                    |p: &QualifiedName| format!("ALTER TABLE {parent} DETACH PARTITION {p}");
                Script::own(partitions.iter().map(detach).collect())
            }
            PartitionAction::DropAttached { parent, partitions } => {
                Script::locking(drop_attached(parent, partitions))
            }
            PartitionAction::Archive { table, .. } | PartitionAction::DropArchived { table } => {
                Script::alone(by_pgtune_alone(&format!("archive {table}")))
            }
            PartitionAction::Restore { archive, .. } => {
                Script::alone(by_pgtune_alone(&format!("restore {archive}")))
            }
            PartitionAction::NoteDetached { tables } => {
                Script::transaction(vec![note(tables, "detached_at")])
            }
            PartitionAction::NoteAttached { tables } => Script::transaction(vec![forget(tables)]),
            PartitionAction::Drop { tables } => Script::own(vec![
                format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", list(tables)),
                refuse_others(tables),
                note_dropped(tables),
                format!("DROP TABLE {}", list(tables)),
            ]),
        }
    }

    /// How many tables it is about, where it can be cut between them.
    pub fn tables(&self) -> Option<usize> {
        if let PartitionAction::Detach { partitions: tables, .. }
        | PartitionAction::Drop { tables } = self
        {
            return Some(tables.len());
        }
        let PartitionAction::DropAttached { partitions, .. } = self else { return None };
        Some(partitions.len())
    }

    /// Cuts what happens to many tables into the same for the first `at` of them and for the
    /// others, so that no lock is held for long. `None` where one of them would have nothing to do.
    pub fn cut(&self, at: usize) -> Option<(PartitionAction, PartitionAction)> {
        fn halves<T: Clone>(all: &[T], at: usize) -> Option<(Vec<T>, Vec<T>)> {
            let (first, rest) = all.split_at_checked(at)?;
            (!first.is_empty() && !rest.is_empty()).then(|| (first.to_vec(), rest.to_vec()))
        }
        match self {
            PartitionAction::Detach { parent, partitions } => {
                let (first, rest) = halves(partitions, at)?;
                let of =
                    |partitions| PartitionAction::Detach { parent: parent.clone(), partitions };
                Some((of(first), of(rest)))
            }
            PartitionAction::DropAttached { parent, partitions } => {
                let (first, rest) = halves(partitions, at)?;
                let of = |partitions| {
                    let parent = parent.clone();
                    PartitionAction::DropAttached { parent, partitions }
                };
                Some((of(first), of(rest)))
            }
            PartitionAction::Drop { tables } => {
                let (first, rest) = halves(tables, at)?;
                let of = |tables| PartitionAction::Drop { tables };
                Some((of(first), of(rest)))
            }
            PartitionAction::PrepareLedger
            | PartitionAction::Create(_)
            | PartitionAction::CreateFromDefault { .. }
            | PartitionAction::Default(_)
            | PartitionAction::Analyze { .. }
            | PartitionAction::AddProof { .. }
            | PartitionAction::ValidateProof { .. }
            | PartitionAction::DropProof { .. }
            | PartitionAction::NoteRetiring { .. }
            | PartitionAction::DetachConcurrently { .. }
            | PartitionAction::Archive { .. }
            | PartitionAction::DropArchived { .. }
            | PartitionAction::Restore { .. }
            | PartitionAction::NoteDetached { .. }
            | PartitionAction::NoteAttached { .. } => None,
        }
    }

    /// What completes it where a try was stopped half-way, which the server says with
    /// `object_not_in_prerequisite_state`: "already pending detach".
    pub fn second_half(&self) -> Option<Script> {
        let PartitionAction::DetachConcurrently { parent, partition } = self else { return None };
        Some(Script::transaction(vec![format!(
            "ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE"
        )]))
    }

    /// What it does in a line for each table; pgtune's own notes are left out.
    pub fn headlines(&self) -> Vec<String> {
        match self {
            PartitionAction::PrepareLedger
            | PartitionAction::NoteRetiring { .. }
            | PartitionAction::NoteDetached { .. }
            | PartitionAction::NoteAttached { .. } => Vec::new(),
            PartitionAction::Create(new) | PartitionAction::CreateFromDefault { new, .. } => {
                vec![format!("create {} {}", new.name, new.bound)]
            }
            PartitionAction::Default(action) => action.headlines(),
            PartitionAction::Drop { tables } => vec![format!("DROP TABLE {}", list(tables))],
            PartitionAction::DropAttached { partitions, .. } => {
                vec![format!("DROP TABLE {}", list(&names(partitions)))]
            }
            PartitionAction::Archive { table, .. } => {
                vec![format!("archive {table}, read it back")]
            }
            PartitionAction::DropArchived { table } => {
                vec![format!("compare {table} with its archive, DROP TABLE {table}")]
            }
            PartitionAction::Restore { new, archive } => {
                vec![format!("restore {} {} from {archive}", new.name, new.bound)]
            }
            PartitionAction::Analyze { .. }
            | PartitionAction::AddProof { .. }
            | PartitionAction::ValidateProof { .. }
            | PartitionAction::DropProof { .. }
            | PartitionAction::DetachConcurrently { .. }
            | PartitionAction::Detach { .. } => self.script().messages,
        }
    }

    /// What it does, whatever to; `None` for pgtune's own notes.
    pub fn kind_name(&self) -> Option<&'static str> {
        Some(match self {
            PartitionAction::PrepareLedger
            | PartitionAction::NoteRetiring { .. }
            | PartitionAction::NoteDetached { .. }
            | PartitionAction::NoteAttached { .. } => return None,
            PartitionAction::Create(_) => "create a partition and attach it",
            PartitionAction::CreateFromDefault { .. } => "create a partition with rows of DEFAULT",
            PartitionAction::Default(action) => action.kind_name(),
            PartitionAction::Analyze { .. } => "analyze new partitions",
            PartitionAction::AddProof { .. } => "add a check to the DEFAULT partition, not valid",
            PartitionAction::ValidateProof { .. } => "validate a check",
            PartitionAction::DropProof { .. } => "drop a check",
            PartitionAction::DetachConcurrently { .. } => "detach a partition concurrently",
            PartitionAction::Detach { .. } => "detach partitions",
            PartitionAction::Drop { .. } => "drop detached tables",
            PartitionAction::DropAttached { .. } => "drop partitions",
            PartitionAction::Archive { .. } => "archive a detached table, read it back",
            PartitionAction::DropArchived { .. } => "drop an archived table",
            PartitionAction::Restore { .. } => "restore a partition from its archive",
        })
    }

    /// Its name in events and errors: "create public.events_2026_12".
    pub fn name(&self) -> String {
        match self {
            PartitionAction::PrepareLedger => "prepare the ledger".to_string(),
            PartitionAction::Create(new) => format!("create {}", new.name),
            PartitionAction::CreateFromDefault { new, default, .. } => {
                format!("create {} with rows of {default}", new.name)
            }
            PartitionAction::Default(action) => action.name(),
            PartitionAction::Analyze { tables } => format!("analyze {}", some(tables)),
            PartitionAction::AddProof { table, .. } => format!("add a check to {table}"),
            PartitionAction::ValidateProof { table, .. } => {
                format!("validate the check on {table}")
            }
            PartitionAction::DropProof { table, .. } => format!("drop the check on {table}"),
            PartitionAction::NoteRetiring { partitions, .. } => {
                format!("note that {} will leave", some(&names(partitions)))
            }
            PartitionAction::DetachConcurrently { partition, .. } => format!("detach {partition}"),
            PartitionAction::Detach { partitions, .. } => format!("detach {}", some(partitions)),
            PartitionAction::NoteDetached { tables } => {
                format!("note that {} is detached", some(tables))
            }
            PartitionAction::NoteAttached { tables } => {
                format!("note that {} is attached again", some(tables))
            }
            PartitionAction::Drop { tables } => format!("drop {}", some(tables)),
            PartitionAction::DropAttached { partitions, .. } => {
                format!("drop {}", some(&names(partitions)))
            }
            PartitionAction::Archive { table, .. } => format!("archive {table}"),
            PartitionAction::DropArchived { table } => format!("drop {table}, archived"),
            PartitionAction::Restore { new, .. } => format!("restore {}", new.name),
        }
    }

    /// Changes `catalog` as the action will change the database.
    pub fn apply(&self, catalog: &mut Catalog) {
        match self {
            PartitionAction::PrepareLedger => catalog.ledger.prepared = true,
            PartitionAction::Create(new) | PartitionAction::CreateFromDefault { new, .. } => {
                new.apply(catalog);
            }
            PartitionAction::Default(action) => action.apply(catalog),
            PartitionAction::Analyze { tables } => {
                for table in tables {
                    with(catalog, table, |relation| relation.estimated_rows = Some(0));
                }
            }
            PartitionAction::AddProof { table, name, .. } => with(catalog, table, |relation| {
                relation.checks.push(Check { name: name.clone(), valid: false });
            }),
            PartitionAction::ValidateProof { table, name } => with(catalog, table, |relation| {
                let proof = relation.checks.iter_mut().filter(|check| check.name == *name);
                proof.for_each(|check| check.valid = true);
            }),
            PartitionAction::DropProof { table, name } => with(catalog, table, |relation| {
                relation.checks.retain(|check| check.name != *name);
            }),
            PartitionAction::NoteRetiring { parent, partitions, expires } => {
                catalog.ledger.retire(parent, partitions, *expires);
            }
            PartitionAction::DetachConcurrently { partition, .. } => detach(catalog, partition),
            PartitionAction::Detach { partitions, .. } => {
                partitions.iter().for_each(|partition| detach(catalog, partition));
            }
            PartitionAction::NoteDetached { tables } => catalog.ledger.detached(tables),
            PartitionAction::NoteAttached { tables } => catalog.ledger.forget(tables),
            PartitionAction::Drop { tables } => {
                tables.iter().for_each(|table| remove(catalog, table));
                catalog.ledger.forget(tables);
            }
            PartitionAction::DropAttached { partitions, .. } => {
                partitions.iter().for_each(|(table, _)| drop(catalog.relations.remove(table)));
                catalog.ledger.forget(&names(partitions));
            }
            PartitionAction::Archive { table, .. } => catalog.ledger.archived(table),
            PartitionAction::DropArchived { table } => {
                remove(catalog, table);
                catalog.ledger.forget(std::slice::from_ref(table));
            }
            PartitionAction::Restore { new, .. } => {
                new.apply(catalog);
                catalog.ledger.restored(&new.name, &new.parent, &new.bound);
            }
        }
    }
}

impl NewPartition {
    /// Made beside its parent, which readers and writers do not notice; ATTACH then takes SHARE
    /// UPDATE EXCLUSIVE on the parent and finds all it needs (manual, ALTER TABLE, ATTACH
    /// PARTITION). A partition must not have an identity column of its own (PostgreSQL 17).
    pub(super) fn sql(&self) -> Vec<String> {
        [self.create_sql(), self.attach_sql()].concat()
    }

    /// Writers wait from the LOCK on, so that no row comes between; readers see each row once,
    /// since both tables change in one transaction.
    fn sql_with_rows(&self, default: &QualifiedName, rows: &str) -> Vec<String> {
        let columns: Vec<String> = self.traits.columns.iter().map(ToString::to_string).collect();
        let columns = columns.join(", ");
        let mut sql = vec![format!("LOCK TABLE ONLY {default} IN ACCESS EXCLUSIVE MODE")];
        sql.extend(self.create_sql());
        sql.push(format!(
            "WITH moved AS (DELETE FROM ONLY {default} WHERE {rows} RETURNING {columns})\n  \
             INSERT INTO {} ({columns}) SELECT {columns} FROM moved",
            self.name
        ));
        sql.extend(self.attach_sql());
        sql
    }

    /// Makes the table, and its partitions where it is to have some.
    pub fn create_sql(&self) -> Vec<String> {
        let NewPartition { name, parent, traits, below, .. } = self;
        let like = format!("LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY");
        let options = traits::options(traits);
        let Some(below) = below else {
            let mut sql = vec![format!("CREATE TABLE {name} ({like}){options}")];
            sql.extend(traits::statements(traits, name));
            return sql;
        };
        let by = below.columns();
        let mut sql = vec![format!("CREATE TABLE {name} ({like}) PARTITION BY HASH ({by})")];
        sql.extend(below.create_sql(name, &options));
        for leaf in &below.partitions {
            sql.extend(traits::statements(traits, leaf));
        }
        // A table that is partitioned itself has no storage, and shows the leaves' changes.
        let own = Traits { publications: Vec::new(), ..traits.clone() };
        sql.extend(traits::statements(&own, name));
        sql
    }

    /// Lets it in.
    ///
    /// ATTACH gives an identity column to one level only (`MergeAttributesIntoExisting` in
    /// tablecmds.c, PostgreSQL 17), and DETACH fails where a leaf has none: there the leaves are
    /// attached once more.
    pub fn attach_sql(&self) -> Vec<String> {
        let NewPartition { name, parent, bound, traits, below } = self;
        let mut sql = vec![format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}")];
        if let Some(below) = below.as_ref().filter(|_| traits.identity) {
            sql.splice(0..0, below.detach_sql(name));
            sql.extend(below.attach_sql(name));
        }
        // Only now it is known which of its indexes are the parent's.
        let leaves = below.iter().flat_map(|below| &below.partitions);
        let tables = leaves.chain([name]);
        sql.extend(tables.filter_map(|table| traits::replicate_by_index(traits, table)));
        sql
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let partition_of = |parent: &QualifiedName, bound: String| {
            Some(Partition { parent: parent.clone(), bound, detach_pending: false })
        };
        let empty = |kind, partition_of| Relation { partition_of, ..Relation::empty(kind) };
        let kind = match self.below {
            Some(_) => RelationKind::PartitionedTable,
            None => RelationKind::Table,
        };
        let relation = empty(kind, partition_of(&self.parent, self.bound.clone()));
        catalog.relations.insert(self.name.clone(), relation);
        for (remainder, name) in self.below.iter().flat_map(|b| b.partitions.iter().enumerate()) {
            let below = self.below.as_ref().map_or(0, |below| below.partitions.len());
            let part = partition_of(&self.name, hash_bound(below, remainder));
            catalog.relations.insert(name.clone(), empty(RelationKind::Table, part));
        }
    }
}

impl Below {
    fn columns(&self) -> String {
        self.columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Nobody knows the new table yet, so that the locks of PARTITION OF stop nobody.
    fn create_sql(&self, parent: &QualifiedName, options: &str) -> Vec<String> {
        self.each(|name, bound| {
            format!("CREATE TABLE {name} PARTITION OF {parent} {bound}{options}")
        })
    }

    fn detach_sql(&self, parent: &QualifiedName) -> Vec<String> {
        self.each(|name, _| format!("ALTER TABLE {parent} DETACH PARTITION {name}"))
    }

    fn attach_sql(&self, parent: &QualifiedName) -> Vec<String> {
        self.each(|name, bound| format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"))
    }

    fn each(&self, sql: impl Fn(&QualifiedName, String) -> String) -> Vec<String> {
        let modulus = self.partitions.len();
        let one = |(remainder, name)| sql(name, hash_bound(modulus, remainder));
        self.partitions.iter().enumerate().map(one).collect()
    }
}

fn with(catalog: &mut Catalog, table: &QualifiedName, change: impl FnOnce(&mut Relation)) {
    if let Some(relation) = catalog.relations.get_mut(table) {
        change(relation);
    }
}

/// With its partitions, if it has some.
fn remove(catalog: &mut Catalog, table: &QualifiedName) {
    for name in catalog.tree(table) {
        catalog.relations.remove(&name);
    }
}

fn detach(catalog: &mut Catalog, partition: &QualifiedName) {
    with(catalog, partition, |relation| relation.partition_of = None);
}

/// The tables, without their bounds.
pub(super) fn names(partitions: &[(QualifiedName, String)]) -> Vec<QualifiedName> {
    partitions.iter().map(|(table, _)| table.clone()).collect()
}

pub(super) fn list(tables: &[QualifiedName]) -> String {
    tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The first and how many more.
fn some(tables: &[QualifiedName]) -> String {
    match tables {
        [] => "nothing".to_string(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

/// What psql cannot do stops its script.
pub(super) fn by_pgtune_alone(what: &str) -> String {
    let message = literal(&format!("only pgtune itself can {what}"));
    format!("DO $pgtune$ BEGIN RAISE EXCEPTION USING message = {message}; END $pgtune$")
}

//! Index and key changes without stopping anybody: on plain tables concurrently, on partitioned
//! ones by ON ONLY, concurrent builds of the leaves, and ATTACH.
//!
//! What exists is recognised by definition and validity, never trusted by name. Each function
//! plans what is left to do, applies it to the catalog it is given, and returns no stages when
//! nothing is left: after any stop the same plan, made again, goes on where the last one ended.

use std::cmp::Reverse;

use super::steps::{Frame, lock};
use super::tree::{Found, Node, is_the_wanted_one, says_the_same, tree};
use crate::model::catalog::{Catalog, Index, Relation, RelationKind};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::units::{human_bytes, plural};
use crate::runbook::action::{Action, NOT_NULL_CHECK, NewIndex, NewKey, apply_all};
use crate::runbook::{Stage, Step};

/// What to build: an index, and the constraint it serves, if any.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The index on the table that the migration names.
    pub index: NewIndex,
    /// The constraint.
    pub key: Option<NewKey>,
    /// An earlier run began to build it, so that what has its name is it.
    pub begun: bool,
}

impl Wanted {
    fn label(&self) -> &'static str {
        match &self.key {
            None => "idx",
            Some(key) if key.primary => "pkey",
            Some(_) => "key",
        }
    }

    fn key_on(&self, table: &QualifiedName, index: &QualifiedName) -> Option<NewKey> {
        let key = self.key.clone()?;
        Some(NewKey { table: table.clone(), name: index.name.clone(), ..key })
    }
}

/// Plans an index or key on `wanted.index.table`, whatever kind of table it is.
///
/// Errors where the name is taken by something else, or the table has partitions that cannot
/// have indexes.
pub fn create(
    catalog: &mut Catalog,
    frame: &Frame<'_>,
    wanted: &Wanted,
) -> Result<Vec<Stage>, Finding> {
    let table = &wanted.index.table;
    if let Some(existing) = catalog.indexes.get(&wanted.index.name)
        && !is_ours(existing, wanted)
    {
        let message = format!(
            "the name {} is taken by another index, on {} {}",
            wanted.index.name, existing.table, existing.definition.using
        );
        return Err(Finding::new("name-taken", Severity::Error, &frame.title, message)
            .help("give the new index another name, or drop the old one first"));
    }
    let partitioned =
        catalog.relations.get(table).is_some_and(|r| r.kind == RelationKind::PartitionedTable);
    let mut stages = Vec::new();
    let mut push = |catalog: &mut Catalog, stage: Stage| {
        if !stage.steps.is_empty() {
            apply_all(stage.steps.iter().map(|step| &step.action), catalog);
            stages.push(Stage { look_again: true, ..stage });
        }
    };
    if is_done(catalog, wanted) {
        return Ok(stages);
    }
    let planners: &[StagePlanner] = if partitioned { &PARTITIONED } else { &PLAIN };
    for planner in planners {
        let stage = planner(catalog, frame, wanted)?;
        push(catalog, stage);
    }
    Ok(stages)
}

/// Whether an index of the wanted name is the wanted one, or a part-way state of it: an invalid
/// one, an index that is to become a constraint, one that an earlier run began.
fn is_ours(existing: &Index, wanted: &Wanted) -> bool {
    let Wanted { index, key, begun } = wanted;
    let is_constraint = existing.constraint.is_some();
    let alike = is_the_wanted_one(existing, &index.table, index);
    if *begun || !existing.valid {
        return alike && (key.is_some() || !is_constraint);
    }
    !is_constraint && says_the_same(existing, index)
}

/// An invalid index may be one that somebody is building at this moment.
fn refuse_builds_under_way(
    catalog: &Catalog,
    frame: &Frame<'_>,
    index: &QualifiedName,
) -> Result<(), Finding> {
    let Some(pid) = catalog.indexes.get(index).and_then(|index| index.builder_pid) else {
        return Ok(());
    };
    let message = format!("{index} is being built by another session, pid {pid}");
    Err(Finding::new("build-under-way", Severity::Error, &frame.title, message)
        .help("run the same command again when that build has ended"))
}

type StagePlanner = fn(&Catalog, &Frame<'_>, &Wanted) -> Result<Stage, Finding>;

/// Stages for a plain table, in order.
const PLAIN: [StagePlanner; 4] = [not_null, drop_leftover, build_index, add_key];

/// Stages for a partitioned table, in order. A partition whose detach is pending misses what is
/// done to its parent, and then cannot be detached any more: that comes first.
const PARTITIONED: [StagePlanner; 7] = [
    finalize_detaches,
    not_null,
    create_only,
    drop_leaf_leftovers,
    build_leaves,
    add_leaf_keys,
    attach,
];

fn is_done(catalog: &Catalog, wanted: &Wanted) -> bool {
    catalog
        .indexes
        .get(&wanted.index.name)
        .is_some_and(|index| index.valid && index.constraint.is_some() == wanted.key.is_some())
}

fn stage(frame: &Frame<'_>, what: &str, steps: Vec<Step>) -> Stage {
    Stage { title: format!("{}: {what}", frame.title), steps, lanes: 1, look_again: true }
}

fn drop_leftover(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let NewIndex { name, table, .. } = &wanted.index;
    let leftover = catalog.indexes.get(name).is_some_and(|index| !index.valid);
    refuse_builds_under_way(catalog, frame, name)?;
    let steps = leftover.then(|| drop_step(frame, name, table)).into_iter().collect();
    Ok(stage(frame, "drop what an earlier build left", steps))
}

/// `DROP INDEX CONCURRENTLY` of an invalid index.
fn drop_step(frame: &Frame<'_>, index: &QualifiedName, table: &QualifiedName) -> Step {
    let locks = vec![lock(LockMode::ShareUpdateExclusive, table)];
    let step = frame.patient(Action::DropIndex { index: index.clone() }, locks);
    Step { note: "invalid: left by an earlier build".to_string(), ..step }
}

fn build_index(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let size_bytes = catalog.relations.get(&wanted.index.table).map_or(0, |r| r.size_bytes);
    let steps = if catalog.indexes.contains_key(&wanted.index.name) {
        Vec::new()
    } else {
        vec![build_step(frame, wanted.index.clone(), size_bytes)]
    };
    Ok(stage(frame, &format!("build {} concurrently", wanted.index.name.name), steps))
}

fn build_step(frame: &Frame<'_>, new: NewIndex, table_bytes: u64) -> Step {
    let locks = vec![lock(LockMode::ShareUpdateExclusive, &new.table)];
    let step = frame.patient(Action::CreateIndex(new), locks);
    Step { note: size_note(table_bytes), ..step }
}

fn size_note(table_bytes: u64) -> String {
    if table_bytes == 0 { String::new() } else { human_bytes(table_bytes) }
}

fn add_key(_: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let NewIndex { name, table, .. } = &wanted.index;
    let steps = wanted.key_on(table, name).map(|key| key_step(frame, key)).into_iter().collect();
    Ok(stage(frame, "make the index a constraint", steps))
}

fn key_step(frame: &Frame<'_>, key: NewKey) -> Step {
    let locks = vec![lock(LockMode::AccessExclusive, &key.table)];
    frame.short(Action::AddKeyUsingIndex(key), locks)
}

/// A primary key needs NOT NULL columns: proven by a check that is validated without stopping
/// writes, SET NOT NULL then needs no scan (manual, ALTER TABLE, SET NOT NULL).
fn not_null(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let table = &wanted.index.table;
    let relation = catalog.relations.get(table);
    let key = wanted.key.as_ref().filter(|key| key.primary);
    let columns: Vec<Ident> = relation.zip(key).map_or_else(Vec::new, |(relation, key)| {
        key.key.iter().filter(|c| !relation.not_null.contains(c)).cloned().collect()
    });
    let steps = match relation {
        Some(relation) if !columns.is_empty() => {
            not_null_steps(catalog, frame, (table, relation), columns)
        }
        Some(_) | None => Vec::new(),
    };
    Ok(stage(frame, "make the key's columns NOT NULL", steps))
}

fn not_null_steps(
    catalog: &Catalog,
    frame: &Frame<'_>,
    (table, relation): (&QualifiedName, &Relation),
    columns: Vec<Ident>,
) -> Vec<Step> {
    let check = relation.checks.iter().find(|check| check.name.as_str() == NOT_NULL_CHECK);
    let mut steps = Vec::new();
    let locks = |mode| catalog.tree(table).iter().map(|table| lock(mode, table)).collect();
    let exclusive = || locks(LockMode::AccessExclusive);
    if check.is_none() {
        let (table, columns) = (table.clone(), columns.clone());
        steps.push(frame.short(Action::AddNotNullCheck { table, columns }, exclusive()));
    }
    if check.is_none_or(|check| !check.valid) {
        let action = Action::ValidateNotNullCheck { table: table.clone() };
        let note = format!("reads {}", human_bytes(relation.size_bytes));
        let locks = locks(LockMode::ShareUpdateExclusive);
        steps.push(Step { note, ..frame.patient(action, locks) });
    }
    steps.push(frame.short(Action::SetNotNull { table: table.clone(), columns }, exclusive()));
    steps
}

/// A pending detach blocks other changes of the parent, so it is completed first.
fn finalize_detaches(
    catalog: &Catalog,
    frame: &Frame<'_>,
    wanted: &Wanted,
) -> Result<Stage, Finding> {
    let tables: Vec<QualifiedName> =
        tree(catalog, &wanted.index, wanted.label()).into_iter().map(|node| node.table).collect();
    let steps = tables
        .iter()
        .filter_map(|table| catalog.relations.get(table)?.partition_of.as_ref().zip(Some(table)))
        .filter(|(partition, _)| partition.detach_pending)
        .map(|(partition, table)| finalize_step(frame, &partition.parent, table))
        .collect();
    Ok(stage(frame, "finish an interrupted detach", steps))
}

/// `DETACH PARTITION … FINALIZE`.
pub fn finalize_step(frame: &Frame<'_>, parent: &QualifiedName, partition: &QualifiedName) -> Step {
    let locks = vec![
        lock(LockMode::ShareUpdateExclusive, parent),
        lock(LockMode::AccessExclusive, partition),
    ];
    let (parent, partition) = (parent.clone(), partition.clone());
    frame.short(Action::FinalizeDetach { parent, partition }, locks)
}

fn create_only(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let nodes = tree(catalog, &wanted.index, wanted.label());
    let foreign = |node: &&Node| {
        catalog.relations.get(&node.table).is_some_and(|r| r.kind == RelationKind::ForeignTable)
    };
    if let Some(node) = nodes.iter().find(foreign) {
        let message = format!("the partition {} is a foreign table and has no indexes", node.table);
        return Err(Finding::new("foreign-partition", Severity::Error, &frame.title, message)
            .help("put `-- pgtune: as-written` above the statement; it will stop writes"));
    }
    let steps = nodes
        .iter()
        .filter(|node| !node.leaf && node.found == Found::Absent)
        .map(|node| {
            let action = match wanted.key_on(&node.table, &node.index) {
                Some(key) => Action::AddKeyOnly(key),
                None => Action::CreateIndex(on_node(wanted, node, true)),
            };
            let mode =
                if wanted.key.is_some() { LockMode::AccessExclusive } else { LockMode::Share };
            frame.short(action, vec![lock(mode, &node.table)])
        })
        .collect();
    Ok(stage(frame, "create the index on the parent alone", steps))
}

fn on_node(wanted: &Wanted, node: &Node, only: bool) -> NewIndex {
    NewIndex { name: node.index.clone(), table: node.table.clone(), only, ..wanted.index.clone() }
}

fn drop_leaf_leftovers(
    catalog: &Catalog,
    frame: &Frame<'_>,
    wanted: &Wanted,
) -> Result<Stage, Finding> {
    let mut leftovers = tree(catalog, &wanted.index, wanted.label());
    leftovers.retain(|node| node.leaf && node.found == Found::Loose { valid: false });
    leftovers.iter().try_for_each(|node| refuse_builds_under_way(catalog, frame, &node.index))?;
    let drop = |node: &Node| drop_step(frame, &node.index, &node.table);
    let steps = leftovers.iter().map(drop).collect();
    Ok(stage(frame, "drop what an earlier build left", steps))
}

/// Builds the missing leaf indexes and rebuilds broken attached ones, largest first.
fn build_leaves(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let mut leaves = tree(catalog, &wanted.index, wanted.label());
    leaves.retain(|node| node.leaf && !node.found.valid());
    leaves.sort_by_key(|node| Reverse(node.size_bytes));
    let steps: Vec<Step> = leaves
        .iter()
        .map(|node| match node.found {
            Found::Attached { .. } => {
                let locks = vec![lock(LockMode::ShareUpdateExclusive, &node.table)];
                let step = frame.patient(Action::RebuildIndex { index: node.index.clone() }, locks);
                Step { note: "invalid, and attached: rebuilt in place".to_string(), ..step }
            }
            Found::Absent | Found::Loose { .. } => {
                build_step(frame, on_node(wanted, node, false), node.size_bytes)
            }
        })
        .collect();
    let leaves = plural(steps.len(), "leaf", "leaves");
    let stage = stage(frame, &format!("build on {leaves} concurrently"), steps);
    Ok(Stage { lanes: frame.limits.lanes.max(1), ..stage })
}

fn add_leaf_keys(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let steps = tree(catalog, &wanted.index, wanted.label())
        .iter()
        .filter(|node| {
            let index = catalog.indexes.get(&node.index);
            node.leaf && index.is_some_and(|index| index.constraint.is_none())
        })
        .filter_map(|node| wanted.key_on(&node.table, &node.index))
        .map(|key| key_step(frame, key))
        .collect();
    Ok(stage(frame, "make the leaf indexes constraints", steps))
}

/// Attaches bottom-up. A parent that stayed invalid although all its children are attached and
/// valid (one was rebuilt) becomes valid when any ATTACH is repeated.
fn attach(catalog: &Catalog, frame: &Frame<'_>, wanted: &Wanted) -> Result<Stage, Finding> {
    let mut nodes = tree(catalog, &wanted.index, wanted.label());
    nodes.sort_by_key(|node| Reverse(node.depth));
    let mut steps: Vec<Step> = Vec::new();
    for parent in nodes.iter().filter(|node| !node.leaf && !node.found.valid()) {
        let children: Vec<&Node> =
            nodes.iter().filter(|n| n.parent_index.as_ref() == Some(&parent.index)).collect();
        let loose = children.iter().filter(|n| !matches!(n.found, Found::Attached { .. }));
        let mut attach: Vec<&Node> = loose.copied().collect();
        if attach.is_empty() {
            attach.extend(children.first());
        }
        steps.extend(attach.into_iter().map(|child| attach_step(frame, &parent.index, child)));
    }
    let title = format!("attach {} to the parent", plural(steps.len(), "index", "indexes"));
    Ok(stage(frame, &title, steps))
}

fn attach_step(frame: &Frame<'_>, parent: &QualifiedName, child: &Node) -> Step {
    let (parent, index) = (parent.clone(), child.index.clone());
    let locks = vec![lock(LockMode::AccessExclusive, &index)];
    frame.short(Action::AttachIndex { parent, index }, locks)
}

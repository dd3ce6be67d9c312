//! The way out for a large DEFAULT partition whose rows fit no free range: they are copied into
//! partitions beside it, which then take its place. What an earlier run began goes on, or, where
//! the table has changed meanwhile, begins anew.

use super::Plan;
use super::create::{Missing, with_suffix};
use super::default::{default_traits, inside};
use super::members::{Members, members};
use super::rule::Range;
use crate::model::catalog::{Catalog, DEFAULT_BOUND};
use crate::model::default_rows::DefaultRows;
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::time_key::{Limit, RangeBound};
use crate::planner::names::is_free;
use crate::planner::steps::lock;
use crate::profile::partitions::Expiry;
use crate::runbook::Stage;
use crate::runbook::action::Action;
use crate::runbook::default::DefaultAction;
use crate::runbook::partition::{NewPartition, PartitionAction};
use crate::runbook::swap::{Preparation, Swap, TakeBack, Takeover, copy_of};

impl Plan<'_> {
    /// Whether a copy of the DEFAULT partition was begun.
    pub(super) fn has_copy(&self) -> bool {
        self.catalog.relations.contains_key(&copy_of(&self.rule.table))
    }

    /// Whether it can be gone on with: nothing that it rests on has changed, and its partitions
    /// overlap none of the table's.
    pub(super) fn copy_is_current(&self, range: &Range, rows: &DefaultRows) -> bool {
        let table = members(&self.catalog, self.rule, range);
        let bounds = self.bounds_of_copy(range);
        let (true, Ok(table), Some(bounds)) = (rows.copy_fits, table, bounds) else { return false };
        !bounds.iter().any(|bound| {
            table.ranges.iter().any(|member| {
                let other = &member.bound;
                other.lower() < bound.upper() && bound.lower() < other.upper()
            })
        })
    }

    /// The bounds of the copy's partitions, without DEFAULT.
    fn bounds_of_copy(&self, range: &Range) -> Option<Vec<RangeBound>> {
        let copy = copy_of(&self.rule.table);
        let bounds = self.catalog.partitions(&copy).filter_map(|(_, relation)| {
            let bound = &relation.partition_of.as_ref()?.bound;
            (bound != DEFAULT_BOUND).then(|| RangeBound::parse(range.key_type, bound).ok())
        });
        bounds.collect()
    }

    /// Gives up a copy that is of no use any more; what then is left to do is planned anew.
    pub(super) fn take_back(&mut self) {
        let parent = self.rule.table.clone();
        let default = self.catalog.default_partition(&parent).map(|(name, _)| name.clone());
        let references = self.catalog.relations[&parent].references.clone();
        let locks = references.iter().chain(&default);
        let locks = locks.map(|table| lock(LockMode::AccessExclusive, table)).collect();
        let action = DefaultAction::TakeBack(TakeBack { parent, default, references });
        let step = self.frame.short(Action::Partition(PartitionAction::Default(action)), locks);
        let stage = self.stage("give up a copy of the DEFAULT partition", vec![step]);
        self.push(Stage { look_again: true, ..stage });
    }

    /// Copies the DEFAULT partition into the missing ones and one of the rest, and puts these in
    /// its place.
    pub(super) fn swap(
        &mut self,
        range: &Range,
        default: &QualifiedName,
        rows: &DefaultRows,
        bounds: &[RangeBound],
        why: &str,
    ) -> Result<(), Finding> {
        self.drop_proofs();
        let swap = Swap {
            parent: self.rule.table.clone(),
            default: default.clone(),
            columns: rows.traits.columns.clone(),
            key: rows.key.clone(),
        };
        let shown = format!("({}; {why})", self.size());
        if !self.has_copy() {
            self.prepare_copy(range, &swap, rows, bounds, &shown)?;
        }
        let read = || vec![lock(LockMode::AccessShare, default)];
        let step = |action| {
            self.frame.patient(Action::Partition(PartitionAction::Default(action)), read())
        };
        let steps = vec![
            step(DefaultAction::Copy(Box::new(swap.clone()))),
            step(DefaultAction::Compare(Box::new(swap.clone()))),
        ];
        self.push(self.stage(&format!("copy the rows of {default} {shown}"), steps));
        self.take_over(swap, rows)
    }

    /// Makes the tables, and begins to note what changes.
    fn prepare_copy(
        &mut self,
        range: &Range,
        swap: &Swap,
        rows: &DefaultRows,
        bounds: &[RangeBound],
        shown: &str,
    ) -> Result<(), Finding> {
        let copy = swap.copy();
        let (mut created, mut partitions) = (Vec::new(), Vec::new());
        for bound in bounds {
            let missing: Missing = self.missing(range, bound)?;
            let new = self.new_partition(&missing, &created)?;
            created.push(new.name.clone());
            created.extend(new.below.iter().flat_map(|below| below.partitions.clone()));
            let new = NewPartition { parent: copy.clone(), ..new };
            partitions.push((new, inside(range, (bound.lower(), bound.upper()))));
        }
        let table = members(&self.catalog, self.rule, range)?;
        let rest = NewPartition {
            name: spare_name(&self.catalog, &swap.default, "_new", &created)?,
            parent: copy,
            bound: DEFAULT_BOUND.to_string(),
            traits: default_traits(rows),
            below: None,
        };
        partitions.push((rest, in_none(range, &table, bounds)));
        let relation = &self.catalog.relations[&swap.parent];
        let preparation = Preparation {
            swap: swap.clone(),
            partition_key: relation.partition_key.clone().unwrap_or_default(),
            foreign_keys: rows.foreign_keys.clone(),
            partitions,
        };
        let mut locks = vec![lock(LockMode::ShareRowExclusive, &swap.default)];
        let references = relation.references.iter();
        locks.extend(references.map(|table| lock(LockMode::ShareRowExclusive, table)));
        let action = DefaultAction::Prepare(Box::new(preparation));
        let step = self.frame.short(Action::Partition(PartitionAction::Default(action)), locks);
        let title = format!("make tables for the rows of {} {shown}", swap.default);
        self.push(self.stage(&title, vec![step]));
        Ok(())
    }

    /// Puts the copy in its place, and leaves the old DEFAULT partition as a detached table.
    fn take_over(&mut self, swap: Swap, rows: &DefaultRows) -> Result<(), Finding> {
        let copy = swap.copy();
        let (mut partitions, mut rest) = (Vec::new(), None);
        for (name, relation) in self.catalog.partitions(&copy) {
            match relation.partition_of.as_ref().map(|partition| partition.bound.as_str()) {
                Some(DEFAULT_BOUND) => rest = Some(name.clone()),
                Some(bound) => partitions.push((name.clone(), bound.to_string())),
                None => {}
            }
        }
        let rest = rest.ok_or_else(|| self.error("copy-broken", format!("{copy} is not whole")))?;
        let references = self.catalog.relations[&swap.parent].references.clone();
        let locks = [&swap.parent, &swap.default].into_iter().chain(&references);
        let locks = locks.map(|table| lock(LockMode::AccessExclusive, table)).collect();
        let created: Vec<QualifiedName> = partitions
            .iter()
            .flat_map(|(name, _)| self.leaves(name))
            .chain([swap.default.clone()])
            .collect();
        let title = format!("put the copy in the place of {}, which stays", swap.default);
        let takeover = Takeover {
            partitions,
            rest,
            retired: spare_name(&self.catalog, &swap.default, "_old", &[])?,
            expires: self.rule.written.expiry == Expiry::Drop,
            foreign_keys: rows.foreign_keys.clone(),
            references,
            swap,
        };
        let action = DefaultAction::TakeOver(Box::new(takeover));
        let step = self.frame.short(Action::Partition(PartitionAction::Default(action)), locks);
        let mut steps = self.ledger_steps();
        steps.push(step);
        self.push(self.stage(&title, steps));
        self.analyze(created);
        Ok(())
    }

    /// A partition, or what is below it.
    fn leaves(&self, partition: &QualifiedName) -> Vec<QualifiedName> {
        let below: Vec<QualifiedName> =
            self.catalog.partitions(partition).map(|(name, _)| name.clone()).collect();
        if below.is_empty() { vec![partition.clone()] } else { below }
    }
}

/// A name like the DEFAULT partition's that nothing has.
fn spare_name(
    catalog: &Catalog,
    default: &QualifiedName,
    suffix: &str,
    taken: &[QualifiedName],
) -> Result<QualifiedName, Finding> {
    const NAMES_MAX: u32 = 99;
    let mut names = (1..=NAMES_MAX).map(|number| {
        let number = if number == 1 { String::new() } else { number.to_string() };
        default.sibling(with_suffix(&default.name, &format!("{suffix}{number}")))
    });
    let free = |name: &QualifiedName| is_free(catalog, name) && !taken.contains(name);
    names.find(free).ok_or_else(|| {
        use crate::model::finding::Severity;
        let message = format!("all of {default}{suffix} to {default}{suffix}{NAMES_MAX} are taken");
        Finding::new("name-taken", Severity::Error, default.to_string(), message)
    })
}

/// What holds for rows that belong to none of the table's partitions and none of `bounds`, in the
/// form in which PostgreSQL proves it of a DEFAULT partition: a row without value, or one outside
/// of all ranges (`get_qual_for_range` in partbounds.c).
fn in_none(range: &Range, table: &Members<'_>, bounds: &[RangeBound]) -> String {
    let mut ranges: Vec<(Limit, Limit)> = table
        .ranges
        .iter()
        .map(|m| &m.bound)
        .chain(bounds)
        .map(|bound| (bound.lower(), bound.upper()))
        .collect();
    ranges.sort();
    let mut merged: Vec<(Limit, Limit)> = Vec::new();
    for (lower, upper) in ranges {
        match merged.last_mut() {
            Some(last) if last.1 == lower => last.1 = upper,
            Some(_) | None => merged.push((lower, upper)),
        }
    }
    let column: &Ident = &range.column;
    let value = |limit| range.key_type.print_limit(limit).unwrap_or_default();
    let outside = merged.iter().map(|(lower, upper)| {
        let below = (*lower != Limit::Min).then(|| format!("{column} < {}", value(*lower)));
        let above = (*upper != Limit::Max).then(|| format!("{column} >= {}", value(*upper)));
        let either: Vec<String> = below.into_iter().chain(above).collect();
        if either.is_empty() { "false".to_string() } else { format!("({})", either.join(" OR ")) }
    });
    format!("{column} IS NULL OR ({})", outside.collect::<Vec<_>>().join(" AND "))
}

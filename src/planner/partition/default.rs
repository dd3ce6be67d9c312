//! How partitions come into being beside a DEFAULT partition: proven to hold none of their rows, it
//! is not read under lock; where it holds some, there are ways out, by size and shown.
//!
//! - A few rows are moved in the transaction that creates their partition.
//! - Many that lie in one free range stay where they are: DEFAULT becomes the partition of that
//!   range, and an empty one takes its place.
//! - Others are copied into their partitions while they stay ([`super::swap`]).

use sha2::{Digest, Sha256};

use super::Plan;
use super::create::{Missing, missing_lists, missing_ranges};
use super::members::{Members, members};
use super::rule::{Range, Rule};
use crate::model::catalog::{Catalog, DEFAULT_BOUND, Relation, RelationKind};
use crate::model::default_rows::DefaultRows;
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::time_key::{Limit, RangeBound};
use crate::model::traits::Traits;
use crate::model::units::{human_bytes, plural};
use crate::planner::steps::lock;
use crate::runbook::action::Action;
use crate::runbook::default::{DefaultAction, Promotion};
use crate::runbook::partition::{
    FIT_PREFIX, NewPartition, PROOF_PREFIX, PartitionAction, is_proof,
};
use crate::runbook::{Lock, Stage, Step};

/// A DEFAULT partition up to this size is read in some milliseconds.
const MOVED_BYTES_MAX: u64 = 8 << 20;

/// What is to be done about rows of missing partitions that a DEFAULT partition holds.
enum Way {
    /// There are none.
    None,
    /// They are few: move them.
    Move,
    /// All of its rows lie in this range, which is free: make it the partition of the range.
    Promote(RangeBound),
    /// They do not: copy all of its rows to where they belong. And why they do not.
    Swap(&'static str),
}

impl Plan<'_> {
    /// The missing ranges that can be created once a DEFAULT partition is out of their way.
    pub(super) fn prepare_ranges(&mut self, range: &Range) -> Result<Vec<Missing>, Finding> {
        let members = members(&self.catalog, self.rule, range)?;
        let bounds = missing_ranges(self.rule, range, &members, self.moment.now)?;
        let default = members.default.map(|(name, relation)| (name.clone(), relation.clone()));
        let default = default.zip(region(&bounds));
        let way = default
            .as_ref()
            .map(|((name, relation), region)| self.way(range, &members, (name, relation), *region));
        if self.has_copy() && !matches!(way, Some(Ok(Way::Swap(_)))) {
            self.take_back();
            return Ok(Vec::new());
        }
        if let (Some(((name, relation), region)), Some(way)) = (default, way) {
            let condition = outside(range, region);
            match way? {
                Way::None => self.prove(&name, &relation, &condition)?,
                Way::Move => {
                    let all = self.further_columns_have_values();
                    let inside = |bound: &RangeBound| {
                        format!("NOT ({}){all}", outside(range, (bound.lower(), bound.upper())))
                    };
                    let moved = bounds.iter().map(|b| Ok((self.missing(range, b)?, inside(b))));
                    let moved = moved.collect::<Result<_, Finding>>()?;
                    self.move_out(&name, moved)?;
                    return Ok(Vec::new());
                }
                Way::Promote(bound) => return self.promote(range, (&name, &relation), &bound),
                Way::Swap(why) => {
                    let answers = self.answers;
                    if let Some(rows) = &answers.default_rows {
                        self.swap(range, &name, rows, &bounds, why)?;
                    }
                    return Ok(Vec::new());
                }
            }
        }
        bounds.iter().map(|bound| self.missing(range, bound)).collect()
    }

    /// The missing lists, in the same way; many rows stop the rule.
    pub(super) fn prepare_lists(&mut self) -> Result<Vec<Missing>, Finding> {
        let missing = missing_lists(&self.catalog, self.rule);
        let proof = list_proof(self.rule, &self.catalog, &missing);
        let proof = proof.map(|(name, relation, text)| (name.clone(), relation.clone(), text));
        let Some((name, relation, condition)) = proof else { return Ok(missing) };
        if self.answers.default_in_the_way.is_some_and(|bytes| bytes <= MOVED_BYTES_MAX) {
            self.refuse_to_touch((&name, &relation), &condition)?;
            let (column, _) = &self.catalog.relations[&self.rule.table].key_columns[0];
            let column =
                Ident::new(column.as_str()).map_err(|m| self.error("partition-rule", m))?;
            let moved = missing.into_iter().map(|one| {
                let values = one.bound.trim_start_matches("FOR VALUES ").to_string();
                (one, format!("{column} {values}"))
            });
            let moved = moved.collect();
            self.move_out(&name, moved)?;
            return Ok(Vec::new());
        }
        self.prove(&name, &relation, &condition)?;
        Ok(missing)
    }

    /// What else holds for rows of a partition: without a value in a further column of the key they
    /// stay in the DEFAULT partition.
    fn further_columns_have_values(&self) -> String {
        let columns = self.catalog.relations[&self.rule.table].key_columns.iter().skip(1);
        let columns = columns.filter_map(|(name, _)| Ident::new(name.as_str()).ok());
        columns.map(|column| format!(" AND {column} IS NOT NULL")).collect()
    }

    fn way(
        &self,
        range: &Range,
        members: &Members<'_>,
        default: (&QualifiedName, &Relation),
        region: (Limit, Limit),
    ) -> Result<Way, Finding> {
        let Some(bytes) = self.answers.default_in_the_way else { return Ok(Way::None) };
        let condition = outside(range, region);
        self.refuse_to_touch(default, &condition)?;
        if bytes <= MOVED_BYTES_MAX && self.rule.written.hash.is_none() {
            return Ok(Way::Move);
        }
        let stuck = |why: &str| Err(self.stuck(default.0, &format!(", and {why}"), &condition));
        let Some(rows) = &self.answers.default_rows else { return stuck("nothing else is known") };
        if let Some(trigger) = rows.own_triggers.first() {
            return stuck(&format!("has a trigger of its own, {trigger}"));
        }
        if rows.is_published {
            return stuck("a publication shows it by its own name");
        }
        let parent = &self.catalog.relations[&self.rule.table];
        if !further_columns_are_not_null(parent) {
            return stuck("rows may have no value in a further column of the key");
        }
        if self.has_copy() {
            return match self.copy_is_current(range, rows) {
                true => Ok(Way::Swap("a copy was begun")),
                false => stuck("a copy of it is out of date"),
            };
        }
        match self.free_range(range, members, rows, region) {
            Ok(bound) => Ok(Way::Promote(bound)),
            Err(_) if rows.traits.identity && self.rule.written.hash.is_some() => {
                stuck("PostgreSQL gives no identity column to partitions of partitions")
            }
            Err(why) => Ok(Way::Swap(why)),
        }
    }

    /// What stands against changing a DEFAULT partition at all.
    fn refuse_to_touch(
        &self,
        (default, relation): (&QualifiedName, &Relation),
        condition: &str,
    ) -> Result<(), Finding> {
        let table = &self.catalog.relations[&self.rule.table];
        let why = match relation.kind {
            RelationKind::Table => {
                let mut pointing = table.referenced_by.iter().chain(&relation.referenced_by);
                pointing.next().map(|from| format!(", and a foreign key of {from} points at it"))
            }
            RelationKind::PartitionedTable => Some(", and is partitioned itself".to_string()),
            RelationKind::MaterializedView | RelationKind::ForeignTable => {
                Some(", and is no ordinary table".to_string())
            }
        };
        match why {
            Some(why) => Err(self.stuck(default, &why, condition)),
            None => Ok(()),
        }
    }

    /// The finding about rows that pgtune leaves where they are.
    fn stuck(&self, default: &QualifiedName, why: &str, condition: &str) -> Finding {
        let message = format!("{default} holds rows of partitions that are to be created{why}");
        self.error("default-holds-rows", message)
            .help(format!("move them: those for which not ({condition}); see docs/partitions.md"))
    }

    /// Whole periods that hold all rows of the DEFAULT partition and the present, and overlap no
    /// partition; or why there are none. A row beyond what the rule wants ahead would take all time
    /// up to it.
    fn free_range(
        &self,
        range: &Range,
        members: &Members<'_>,
        rows: &DefaultRows,
        (wanted_from, wanted): (Limit, Limit),
    ) -> Result<RangeBound, &'static str> {
        const NO_TIME: &str = "a row has a key that is no time of the years 1 to 9999";
        if rows.has_nulls {
            return Err("a row has no key");
        }
        let read = |text: &Option<String>| range.key_type.read_value(text.as_deref()?);
        let (first, last) = read(&rows.first).zip(read(&rows.last)).ok_or(NO_TIME)?;
        let gaps = members.gaps(Limit::Min, Limit::Max);
        let holds_all =
            |gap: &&(Limit, Limit)| gap.0 <= Limit::At(first) && Limit::At(last) < gap.1;
        let (from, to) = *gaps.iter().find(holds_all).ok_or("partitions lie between its rows")?;
        if Limit::At(last) >= wanted {
            return Err("a row lies beyond what is wanted ahead");
        }
        // Rows of the present go on coming, and would be refused.
        let now = range.key_type.point_at(self.moment.now, range.zone).ok_or(NO_TIME)?;
        let is_here = from <= Limit::At(now) && Limit::At(now) < to;
        let end = if is_here { last.max(now) } else { last };
        // Missing periods before the first row would become a gap.
        let lower = Limit::At(range.grid.start_of(first).ok_or(NO_TIME)?);
        let lower = lower.min(wanted_from).max(from);
        let upper = Limit::At(range.grid.next(end).ok_or(NO_TIME)?).min(to);
        RangeBound::new(range.key_type, range.columns, lower, upper).map_err(|_| NO_TIME)
    }

    /// Makes the DEFAULT partition the one of a range, and an empty one like it. A check proves
    /// that it fits, so that it is read while others go on writing, and not under lock. Returns
    /// what is missing still.
    fn promote(
        &mut self,
        range: &Range,
        (default, relation): (&QualifiedName, &Relation),
        bound: &RangeBound,
    ) -> Result<Vec<Missing>, Finding> {
        let condition = inside(range, (bound.lower(), bound.upper()));
        let proof = proof_name(FIT_PREFIX, &condition);
        self.drop_proofs_but(Some(&proof));
        let note = format!("{}; its rows lie in one free range", self.size());
        let steps = self.proof_steps((default, relation), &proof, &condition);
        self.push(self.stage(&format!("prove that {default} fits {bound} ({note})"), steps));
        let usual = self.missing(range, bound)?.name;
        let parent = self.rule.table.clone();
        let table = &self.catalog.relations[&parent];
        let promotion = Promotion {
            default: default.clone(),
            name: self.free_name(&usual, &[])?,
            bound: bound.to_string(),
            proof,
            references: table.references.clone(),
            fresh: NewPartition {
                name: default.clone(),
                parent: parent.clone(),
                bound: DEFAULT_BOUND.to_string(),
                traits: self.answers.default_rows.as_ref().map(default_traits).unwrap_or_default(),
                below: None,
            },
        };
        let locks = self.exclusive_locks(&[&parent, default]);
        let action = PartitionAction::Default(DefaultAction::Promote(Box::new(promotion)));
        let step = self.frame.short(Action::Partition(action), locks);
        let title = format!("make {default} the partition of its rows: none of them moves");
        // What is created afterwards takes after the newest partition, which may be this one.
        let stage = self.stage(&title, vec![step]);
        self.push(Stage { look_again: true, ..stage });
        self.beside_an_empty_default(range)
    }

    /// What is missing still, once the DEFAULT partition holds nothing.
    fn beside_an_empty_default(&mut self, range: &Range) -> Result<Vec<Missing>, Finding> {
        let members = members(&self.catalog, self.rule, range)?;
        let bounds = missing_ranges(self.rule, range, &members, self.moment.now)?;
        if let (Some((name, relation)), Some(region)) = (members.default, region(&bounds)) {
            let (name, relation) = (name.clone(), relation.clone());
            self.prove_empty(&name, &relation, &outside(range, region));
        }
        bounds.iter().map(|bound| self.missing(range, bound)).collect()
    }

    /// How large the DEFAULT partition is.
    pub(super) fn size(&self) -> String {
        human_bytes(self.answers.default_in_the_way.unwrap_or_default())
    }

    /// ACCESS EXCLUSIVE on these, and what ATTACH and DETACH take where foreign keys point.
    pub(super) fn exclusive_locks(&self, tables: &[&QualifiedName]) -> Vec<Lock> {
        let mut locks: Vec<Lock> =
            tables.iter().map(|table| lock(LockMode::AccessExclusive, table)).collect();
        let references = self.catalog.relations[&self.rule.table].references.iter();
        locks.extend(references.map(|table| lock(LockMode::ShareRowExclusive, table)));
        locks
    }

    /// Creates missing partitions with the rows of the DEFAULT partition that meet a condition,
    /// each in one transaction.
    fn move_out(
        &mut self,
        default: &QualifiedName,
        moved: Vec<(Missing, String)>,
    ) -> Result<(), Finding> {
        self.drop_proofs();
        let (mut created, mut steps) = (Vec::new(), Vec::new());
        for (missing, rows) in moved {
            let new = self.new_partition(&missing, &created)?;
            created.push(new.name.clone());
            let mut locks = vec![
                lock(LockMode::ShareUpdateExclusive, &new.parent),
                lock(LockMode::AccessExclusive, default),
            ];
            let references = self.catalog.relations[&new.parent].references.iter();
            locks.extend(references.map(|table| lock(LockMode::ShareRowExclusive, table)));
            let (new, default) = (Box::new(new), default.clone());
            let action = PartitionAction::CreateFromDefault { new, default, rows };
            steps.push(self.frame.short(Action::Partition(action), locks));
        }
        let count = plural(steps.len(), "partition", "partitions");
        let title = format!("create {count} with their rows in DEFAULT ({})", self.size());
        self.push(self.stage(&title, steps));
        self.analyze(created);
        Ok(())
    }

    /// ATTACH takes ACCESS EXCLUSIVE on the DEFAULT partition and reads all of it, unless a check
    /// proves that it holds no row of the new one (manual, ALTER TABLE, ATTACH PARTITION). The
    /// check is validated while others go on writing.
    pub(super) fn prove(
        &mut self,
        default: &QualifiedName,
        relation: &Relation,
        condition: &str,
    ) -> Result<(), Finding> {
        if self.answers.default_in_the_way.is_some() {
            return Err(self.stuck(default, "", condition));
        }
        self.prove_empty(default, relation, condition);
        Ok(())
    }

    fn prove_empty(&mut self, default: &QualifiedName, relation: &Relation, condition: &str) {
        let name = proof_name(PROOF_PREFIX, condition);
        let steps = self.proof_steps((default, relation), &name, condition);
        self.push(self.stage("prove that the DEFAULT partition holds no such rows", steps));
    }

    /// Adds a check and validates it, as far as that is not done.
    fn proof_steps(
        &self,
        (default, relation): (&QualifiedName, &Relation),
        name: &Ident,
        condition: &str,
    ) -> Vec<Step> {
        let check = relation.checks.iter().find(|check| check.name == *name);
        let (table, name) = (default.clone(), name.clone());
        let mut steps = Vec::new();
        if check.is_none() {
            let (table, name, condition) = (table.clone(), name.clone(), condition.to_string());
            let action = PartitionAction::AddProof { table, name, condition };
            let locks = vec![lock(LockMode::AccessExclusive, default)];
            steps.push(self.frame.short(Action::Partition(action), locks));
        }
        if check.is_none_or(|check| !check.valid) {
            let action = PartitionAction::ValidateProof { table, name };
            let locks = vec![lock(LockMode::ShareUpdateExclusive, default)];
            steps.push(self.frame.patient(Action::Partition(action), locks));
        }
        steps
    }

    /// Proofs whose work is done, also those of a run that was stopped.
    pub(super) fn drop_proofs(&mut self) {
        self.drop_proofs_but(None);
    }

    fn drop_proofs_but(&mut self, kept: Option<&Ident>) {
        let mut steps = Vec::new();
        for (table, relation) in self.catalog.partitions(&self.rule.table) {
            let proofs = relation.checks.iter().filter(|check| is_proof(&check.name));
            for check in proofs.filter(|check| Some(&check.name) != kept) {
                let (table, name) = (table.clone(), check.name.clone());
                let locks = vec![lock(LockMode::AccessExclusive, &table)];
                let action = Action::Partition(PartitionAction::DropProof { table, name });
                steps.push(self.frame.short(action, locks));
            }
        }
        self.push(self.stage("drop the proof", steps));
    }
}

/// What a new DEFAULT partition has to have.
pub(super) fn default_traits(rows: &DefaultRows) -> Traits {
    rows.traits.clone()
}

/// Whether all rows have a value in the columns behind the first one: without, they stay in the
/// DEFAULT partition whatever the first one is.
fn further_columns_are_not_null(parent: &Relation) -> bool {
    let has_value =
        |(name, _): &(String, String)| parent.not_null.iter().any(|c| c.as_str() == name);
    parent.key_columns.iter().skip(1).all(has_value)
}

/// From the first lower to the last upper limit.
pub(super) fn region(bounds: &[RangeBound]) -> Option<(Limit, Limit)> {
    Some((bounds.first()?.lower(), bounds.last()?.upper()))
}

/// What holds for rows outside of a region.
pub(super) fn outside(range: &Range, (lower, upper): (Limit, Limit)) -> String {
    let column = &range.column;
    let value = |limit| range.key_type.print_limit(limit).unwrap_or_default();
    format!("{column} IS NULL OR {column} < {} OR {column} >= {}", value(lower), value(upper))
}

/// What holds for rows inside of a region whose limits are values.
pub(super) fn inside(range: &Range, (lower, upper): (Limit, Limit)) -> String {
    let column = &range.column;
    let value = |limit| range.key_type.print_limit(limit).unwrap_or_default();
    format!("{column} IS NOT NULL AND {column} >= {} AND {column} < {}", value(lower), value(upper))
}

/// A check of this name says just this.
fn proof_name(prefix: &str, condition: &str) -> Ident {
    let digest = Sha256::digest(condition);
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ident::new(format!("{prefix}{hex}")).expect("letters and digits")
}

/// The DEFAULT partition that lists come out of, and what holds for rows in none of them; `None`
/// also where the key is an expression. There, and for a boolean key, whose comparisons PostgreSQL
/// rewrites before it proves anything, the server reads the DEFAULT partition.
pub(super) fn list_proof<'a>(
    rule: &Rule<'_>,
    catalog: &'a Catalog,
    missing: &[Missing],
) -> Option<(&'a QualifiedName, &'a Relation, String)> {
    let (table, parent) = catalog.relations.get_key_value(&rule.table)?;
    let (default, relation) = catalog.default_partition(table)?;
    let (column, _) = parent.key_columns.first()?;
    let column = Ident::new(column.as_str()).ok()?;
    let lists: Vec<&str> = missing
        .iter()
        .filter_map(|one| one.bound.strip_prefix("FOR VALUES IN (")?.strip_suffix(')'))
        .collect();
    let condition = format!("{column} IS NULL OR {column} NOT IN ({})", lists.join(", "));
    (!lists.is_empty()).then_some((default, relation, condition))
}

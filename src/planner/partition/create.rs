//! Partitions that are missing: which, and under which names.

use chrono::{DateTime, Utc};

use super::analyze::never_analyzed;
use super::default::{list_proof, outside, region};
use super::health::expired;
use super::members::{Members, members};
use super::rule::{Range, Rule, Scheme};
use super::{Plan, Questions};
use crate::model::below::{Below, hash_bound};
use crate::model::catalog::{Catalog, RelationKind};
use crate::model::default_rows::DefaultQuestion;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, MAX_IDENT_BYTES, QualifiedName, literal, truncate};
use crate::model::lock::LockMode;
use crate::model::time_key::{Limit, Point, RangeBound};
use crate::model::traits::Traits;
use crate::model::units::plural;
use crate::planner::names::is_free;
use crate::planner::steps::lock;
use crate::runbook::Step;
use crate::runbook::action::Action;
use crate::runbook::partition::{NewPartition, PartitionAction};
use crate::runbook::swap::copy_of;

/// More missing partitions than this are a mistake in the rule.
const MISSING_MAX: usize = 10_000;
/// How many names are tried where the usual one is taken by a sibling.
const NAMES_MAX: u32 = 9;

/// A partition that is to be there.
pub(super) struct Missing {
    /// `FOR VALUES …`
    pub bound: String,
    /// The usual name, without schema.
    pub name: Ident,
}

/// What must be known of the database to create what is missing.
pub fn questions(
    rule: &Rule<'_>,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Questions, Finding> {
    let mut questions = Questions::default();
    let template = match &rule.scheme {
        Scheme::Range(range) => {
            let members = members(catalog, rule, range)?;
            let bounds = missing_ranges(rule, range, &members, now)?;
            if let (Some((default, _)), Some(region)) = (members.default, region(&bounds)) {
                let (parent, column) = (rule.table.clone(), range.column.clone());
                questions.default = Some((default.clone(), outside(range, region)));
                let default = default.clone();
                let has_copy = catalog.relations.contains_key(&copy_of(&parent));
                let question = DefaultQuestion { parent, default, column, has_copy };
                questions.default_rows = Some(question);
            }
            let point = range.key_type.point_at(now, range.zone);
            questions.long_users =
                point.is_some_and(|now| !expired(catalog, rule, range, &members, now).is_empty());
            let newest = members.newest().map(|member| leaf_of(catalog, member.name));
            (!bounds.is_empty()).then_some(newest)
        }
        Scheme::Hash { modulus } => {
            let first =
                catalog.partitions(&rule.table).next().map(|(name, _)| leaf_of(catalog, name));
            (!missing_remainders(catalog, rule, *modulus)?.is_empty()).then_some(first)
        }
        Scheme::Unruled => None,
        Scheme::List => {
            let first =
                catalog.partitions(&rule.table).next().map(|(name, _)| leaf_of(catalog, name));
            let missing = missing_lists(catalog, rule);
            questions.default = list_proof(rule, catalog, &missing)
                .map(|(default, _, condition)| (default.clone(), condition));
            (!missing.is_empty()).then_some(first)
        }
    };
    let table = &rule.table;
    questions.unanalyzed = never_analyzed(rule, catalog, now)?;
    questions.traits = template.map(|t| (table.clone(), t.unwrap_or_else(|| table.clone())));
    Ok(questions)
}

/// The table itself, or the first leaf below it: a table that is partitioned has no storage.
pub(super) fn leaf_of(catalog: &Catalog, table: &QualifiedName) -> QualifiedName {
    let below = catalog.partitions(table).next();
    below.map_or_else(|| table.clone(), |(name, _)| leaf_of(catalog, name))
}

impl Plan<'_> {
    pub(super) fn create(&mut self) -> Result<(), Finding> {
        let missing = match &self.rule.scheme {
            Scheme::Range(range) => self.prepare_ranges(range)?,
            Scheme::Hash { modulus } => missing_remainders(&self.catalog, self.rule, *modulus)?,
            Scheme::List => self.prepare_lists()?,
            Scheme::Unruled => Vec::new(),
        };
        let mut created = Vec::new();
        let mut steps = Vec::new();
        for missing in missing {
            let new = self.new_partition(&missing, &created)?;
            created.push(new.name.clone());
            created.extend(new.below.iter().flat_map(|below| below.partitions.clone()));
            steps.push(self.create_step(new));
        }
        let title = format!("create {}", plural(steps.len(), "partition", "partitions"));
        self.push(self.stage(&title, steps));
        self.drop_proofs();
        created.retain(|name| self.catalog.relations[name].kind != RelationKind::PartitionedTable);
        self.analyze(created);
        Ok(())
    }

    pub(super) fn missing(&self, range: &Range, bound: &RangeBound) -> Result<Missing, Finding> {
        let start = match bound.lower() {
            Limit::At(point) => range.pattern.render(&self.rule.table.name, &range.grid, point),
            Limit::Min | Limit::MinusInfinity | Limit::Infinity | Limit::Max => None,
        };
        let name = start.ok_or_else(|| self.error("no-name", format!("{bound} gives no name")))?;
        Ok(Missing { bound: bound.to_string(), name })
    }

    pub(super) fn error(&self, check: &str, message: String) -> Finding {
        Finding::new(check, Severity::Error, self.rule.table.to_string(), message)
    }

    fn create_step(&self, new: NewPartition) -> Step {
        let mut locks = vec![lock(LockMode::ShareUpdateExclusive, &new.parent)];
        let default = self.catalog.default_partition(&new.parent);
        locks.extend(default.map(|(name, _)| lock(LockMode::AccessExclusive, name)));
        let references = self.catalog.relations[&new.parent].references.iter();
        locks.extend(references.map(|table| lock(LockMode::ShareRowExclusive, table)));
        let note = own_identity(&new.traits);
        let action = Action::Partition(PartitionAction::Create(Box::new(new)));
        Step { note, ..self.frame.short(action, locks) }
    }

    pub(super) fn new_partition(
        &self,
        missing: &Missing,
        created: &[QualifiedName],
    ) -> Result<NewPartition, Finding> {
        let parent = self.rule.table.clone();
        let name = self.free_name(&missing.name, created)?;
        let below = self.below(&name, created)?;
        let traits = self.traits();
        Ok(NewPartition { name, parent, bound: missing.bound.clone(), traits, below })
    }

    /// What the table's partitions have, with what the rule says about storage.
    pub(super) fn traits(&self) -> Traits {
        let mut traits = self.answers.traits.get(&self.rule.table).cloned().unwrap_or_default();
        let written = self.rule.written;
        if !written.storage.is_empty() {
            traits.storage = written
                .storage
                .iter()
                .map(|(key, value)| format!("{key}={}", literal(value)))
                .collect();
        }
        if let Ok(tablespace) = Ident::new(written.tablespace.as_str()) {
            traits.tablespace = Some(tablespace);
        }
        traits
    }

    fn below(
        &self,
        name: &QualifiedName,
        created: &[QualifiedName],
    ) -> Result<Option<Below>, Finding> {
        let Some(hash) = &self.rule.written.hash else { return Ok(None) };
        let columns: Result<Vec<Ident>, String> = hash.columns.iter().map(Ident::new).collect();
        let columns = columns.map_err(|message| self.error("partition-rule", message))?;
        let names = (0..hash.modulus).map(|r| self.free_name(&with_label(&name.name, r), created));
        Ok(Some(Below { columns, partitions: names.collect::<Result<_, _>>()? }))
    }

    /// The usual name, or one with a number where a sibling has it: a period may be cut in two.
    pub(super) fn free_name(
        &self,
        usual: &Ident,
        created: &[QualifiedName],
    ) -> Result<QualifiedName, Finding> {
        let table = &self.rule.table;
        let mut names = (1..=NAMES_MAX).map(|n| match n {
            1 => table.sibling(usual.clone()),
            n => table.sibling(with_suffix(usual, &format!("_{n}"))),
        });
        let free = |name: &QualifiedName| is_free(&self.catalog, name) && !created.contains(name);
        let first = table.sibling(usual.clone());
        let is_sibling = self.catalog.relations.get(&first).is_some_and(|relation| {
            relation.partition_of.as_ref().is_some_and(|partition| partition.parent == *table)
        });
        if !free(&first) && !is_sibling && !created.contains(&first) {
            let message = format!("the name {first} is taken by something else");
            return Err(self
                .error("name-taken", message)
                .help("rename that, attach it if it belongs here, or set another name pattern"));
        }
        names.find(free).ok_or_else(|| {
            self.error("name-taken", format!("all of {first} to {first}_{NAMES_MAX} are taken"))
        })
    }
}

/// What is to be said where the newest partition replicates by an index that the table has not.
fn own_identity(traits: &Traits) -> String {
    match (traits.replica_identity.as_str(), &traits.replica_index) {
        ("i", None) => "replica identity: its primary key; the newest partition's index is its own",
        _ => "",
    }
    .to_string()
}

pub(super) fn with_suffix(name: &Ident, suffix: &str) -> Ident {
    let kept = truncate(name.as_str(), MAX_IDENT_BYTES - suffix.len());
    Ident::new(format!("{kept}{suffix}")).expect("it was cut to fit")
}

/// As the template `hash-partitions` names them.
fn with_label(name: &Ident, remainder: u32) -> Ident {
    with_suffix(name, &format!("_p{remainder}"))
}

/// The bounds that the rule wants and that are not there, oldest first.
///
/// A set that ran out is continued where it ended, as far as rows are kept.
pub(super) fn missing_ranges(
    rule: &Rule<'_>,
    range: &Range,
    members: &Members<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<RangeBound>, Finding> {
    let error = |message: &str| {
        Finding::new("partition-rule", Severity::Error, rule.table.to_string(), message)
    };
    let beyond = || error("the time lies beyond what the key can hold");
    let now = range.key_type.point_at(now, range.zone).ok_or_else(beyond)?;
    let start = range.grid.start_of(now).ok_or_else(beyond)?;
    let end = range.grid.add(now, rule.written.ahead.saturating_add(1)).ok_or_else(beyond)?;
    let ended = members.newest().map(|member| member.bound.upper());
    let from = match (ended, kept_since(rule, range, now)) {
        (Some(Limit::At(ended)), kept) if ended < start => ended.max(kept.unwrap_or(ended)),
        (_, _) => start,
    };
    let mut bounds = Vec::new();
    for (lower, upper) in members.gaps(Limit::At(from), Limit::At(end)) {
        let (Limit::At(lower), Limit::At(upper)) = (lower, upper) else { continue };
        cut(range, lower, upper, &mut bounds).map_err(|message| error(&message))?;
    }
    Ok(bounds)
}

/// The start of the oldest period that is still kept.
fn kept_since(rule: &Rule<'_>, range: &Range, now: Point) -> Option<Point> {
    range.grid.start_of(range.grid.minus(now, rule.written.retention?)?)
}

/// Cuts a gap at the boundaries of the rule.
fn cut(
    range: &Range,
    lower: Point,
    upper: Point,
    bounds: &mut Vec<RangeBound>,
) -> Result<(), String> {
    let inner = range.grid.boundaries_between(Point(lower.0 + 1), upper);
    let mut from = lower;
    for to in inner.chain(std::iter::once(upper)) {
        let (lower, upper) = (Limit::At(from), Limit::At(to));
        bounds.push(RangeBound::new(range.key_type, range.columns, lower, upper)?);
        if bounds.len() > MISSING_MAX {
            return Err(format!("more than {MISSING_MAX} partitions are missing"));
        }
        from = to;
    }
    Ok(())
}

fn missing_remainders(
    catalog: &Catalog,
    rule: &Rule<'_>,
    modulus: u32,
) -> Result<Vec<Missing>, Finding> {
    let bounds: Vec<&str> = catalog
        .partitions(&rule.table)
        .filter_map(|(_, relation)| Some(relation.partition_of.as_ref()?.bound.as_str()))
        .collect();
    let all: Vec<String> =
        (0..modulus as usize).map(|remainder| hash_bound(modulus as usize, remainder)).collect();
    if let Some(other) = bounds.iter().find(|bound| !all.iter().any(|one| one == *bound)) {
        let message = format!("it has a partition {other}, and the rule says modulus = {modulus}");
        return Err(Finding::new("hash-modulus", Severity::Error, rule.table.to_string(), message)
            .help("write the modulus that the table has"));
    }
    let missing = (0..modulus).zip(all).filter(|(_, bound)| !bounds.contains(&bound.as_str()));
    Ok(missing
        .map(|(remainder, bound)| Missing { bound, name: with_label(&rule.table.name, remainder) })
        .collect())
}

/// How many partitions by HASH or LIST are missing.
pub fn missing_count(rule: &Rule<'_>, catalog: &Catalog) -> Result<usize, Finding> {
    Ok(match &rule.scheme {
        Scheme::Range(_) | Scheme::Unruled => 0,
        Scheme::Hash { modulus } => missing_remainders(catalog, rule, *modulus)?.len(),
        Scheme::List => missing_lists(catalog, rule).len(),
    })
}

/// A list is there when some partition has all of its values.
pub(super) fn missing_lists(catalog: &Catalog, rule: &Rule<'_>) -> Vec<Missing> {
    let partitions: Vec<Vec<String>> = catalog
        .partitions(&rule.table)
        .filter_map(|(_, relation)| Some(list_values(&relation.partition_of.as_ref()?.bound)))
        .collect();
    let there = |values: &[String]| {
        partitions.iter().any(|known| values.iter().all(|value| known.contains(value)))
    };
    let lists = rule.written.lists.iter().filter(|(_, values)| !there(values));
    lists
        .filter_map(|(name, values)| {
            let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
            let bound = format!("FOR VALUES IN ({})", values.join(", "));
            Some(Missing { bound, name: Ident::new(name.as_str()).ok()? })
        })
        .collect()
}

/// The values of `FOR VALUES IN ('de', 'fr', 7)` without quotes.
pub(super) fn list_values(bound: &str) -> Vec<String> {
    let Some(list) = bound.strip_prefix("FOR VALUES IN (").and_then(|b| b.strip_suffix(')')) else {
        return Vec::new();
    };
    let mut values = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted_value(quoted),
            None => {
                let (value, after) = rest.split_once(", ").unwrap_or((rest, ""));
                (value.to_string(), after)
            }
        };
        values.push(value);
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    values
}

/// The text up to the closing quote, and what follows it.
fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\'') {
        value += before;
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return (value, after),
        }
    }
    (value + rest, "")
}

//! How one table is read before and after: by which index, which partitions, what the index checks.
//! Pure.

use std::collections::BTreeMap;

use super::canonical::parts;
use super::cause::{Cause, UseOfIndex};
use super::node::{Class, Node};
use super::text::{partitions_read, short_index, short_target};

/// What both catalogs say about the table: partitions at any depth.
#[derive(Debug, Clone, Copy, Default)]
pub struct Partitions {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Why a table is read in another way; nothing where it is not.
pub fn compare(before: &[&Node], after: &[&Node], partitions: Partitions) -> Vec<Cause> {
    let mut causes = pruning(before, after, partitions);
    let relation = relation(before).or(relation(after)).unwrap_or_default();
    let (b, a) = (forms(before), forms(after));
    if b.keys().eq(a.keys()) {
        let counts_moved = b != a && read(before) == read(after);
        causes.extend(counts_moved.then(|| access(&relation, &b, &a, UseOfIndex::Same)));
    } else if let (Some(index), Some(other)) = (only_index(before, &b), only_index(after, &a))
        && index.0 == other.0
    {
        let (before, after) = (index.1, other.1);
        causes.push(Cause::OtherIndex { relation: relation.clone(), before, after });
    } else {
        causes.push(access(&relation, &b, &a, use_of_index(before, after)));
    }
    causes.extend(moved(&relation, before, after));
    causes
}

/// The table's name, with the alias where that is another.
fn relation(scans: &[&Node]) -> Option<String> {
    scans.first()?.target.as_ref().map(short_target)
}

/// Partitions read.
fn read(scans: &[&Node]) -> u64 {
    let partitions = |node: &&Node| node.target.as_ref().map_or(0, |t| t.partitions.len() as u64);
    scans.iter().map(partitions).sum()
}

/// Whether more or fewer partitions are read, and whether that is because there are.
fn pruning(before: &[&Node], after: &[&Node], known: Partitions) -> Vec<Cause> {
    let removed = |scans: &[&Node]| scans.iter().map(|node| node.removed).sum::<u64>();
    let (b, a) = (read(before), read(after));
    let (gone_b, gone_a) = (removed(before), removed(after));
    // What the executor leaves out depends on values and the clock; the plan does not.
    let same_plan = b + gone_b == a + gone_a && (gone_b > 0) == (gone_a > 0);
    if b == 0 || a == 0 || b == a || same_plan {
        return Vec::new();
    }
    let relation = relation(after).unwrap_or_default();
    let more_exist = known.after.saturating_sub(known.before);
    let fewer_exist = known.before.saturating_sub(known.after);
    let (before, after) = (b, a);
    vec![if a > b && a - b <= more_exist || a < b && b - a <= fewer_exist {
        Cause::Partitions { relation, before, after }
    } else if a > b {
        Cause::PruningLost { relation, before, after }
    } else {
        Cause::PruningGained { relation, before, after }
    }]
}

/// The ways in which partitions (or the one table) are read, counted.
fn forms(scans: &[&Node]) -> BTreeMap<String, u64> {
    let mut forms = BTreeMap::new();
    for node in scans {
        *forms.entry(form(node)).or_insert(0) += node.count;
    }
    forms
}

/// `Index Only Scan using (country)`; whether workers share it is told by their Gather.
pub fn form(node: &Node) -> String {
    let operator = plain_operator(node);
    let indexes = indexes(node);
    match indexes.as_slice() {
        [] => operator.to_string(),
        indexes => format!("{operator} using {}", indexes.join(" and ")),
    }
}

/// A scan in one line, with the indexes of its bitmap.
pub fn told(node: &Node) -> String {
    let target = node.target.as_ref().map(short_target);
    let target = target.map_or_else(String::new, |target| format!(" on {target}"));
    format!("{}{}{target}", partitions_read(node), form(node))
}

/// The operator without what parallelism adds to it.
pub fn plain_operator(node: &Node) -> &str {
    let mut operator = node.operator.as_str();
    for word in ["Async ", "Parallel ", "Partial ", "Finalize "] {
        operator = operator.strip_prefix(word).unwrap_or(operator);
    }
    operator
}

/// The indexes of a scan, those of its bitmap included.
fn indexes(node: &Node) -> Vec<String> {
    let below = node.inputs().filter(|input| input.class == Class::Bitmap);
    let mut indexes: Vec<String> = node.index.iter().map(short_index).collect();
    indexes.extend(below.flat_map(indexes_below));
    indexes
}

fn indexes_below(bitmap: &Node) -> Vec<String> {
    bitmap.walk().filter_map(|node| node.index.as_ref()).map(short_index).collect()
}

/// The operator and the one index, where there is but one form with one index.
fn only_index(scans: &[&Node], forms: &BTreeMap<String, u64>) -> Option<(String, String)> {
    let first = scans.first().filter(|_| forms.len() == 1)?;
    match indexes(first).as_slice() {
        [index] => Some((plain_operator(first).to_string(), index.clone())),
        _ => None,
    }
}

fn access(
    relation: &str,
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
    use_of_index: UseOfIndex,
) -> Cause {
    let told = |forms: &BTreeMap<String, u64>| match forms.keys().collect::<Vec<_>>().as_slice() {
        [only] => (*only).clone(),
        _ => {
            let counted = forms.iter().map(|(form, count)| format!("{count} x {form}"));
            counted.collect::<Vec<_>>().join(" + ")
        }
    };
    Cause::Access {
        relation: relation.to_string(),
        before: told(before),
        after: told(after),
        use_of_index,
    }
}

/// How much of the work an index does: 2 all of it, 1 finding the rows, 0 nothing.
fn level(node: &Node) -> u8 {
    match plain_operator(node).trim_end_matches(" Backward") {
        "Index Only Scan" => 2,
        "Index Scan" | "Bitmap Heap Scan" => 1,
        _ => 0,
    }
}

/// The least that an index does for any of the scans.
pub fn least(scans: &[&Node]) -> u8 {
    scans.iter().map(|node| level(node)).min().unwrap_or(0)
}

fn use_of_index(before: &[&Node], after: &[&Node]) -> UseOfIndex {
    // What reads no table has lost no index.
    if before.iter().chain(after).any(|node| node.target.is_none()) {
        return UseOfIndex::Same;
    }
    match (least(before), least(after)) {
        (1.., 0) => UseOfIndex::Lost,
        (2.., 1) => UseOfIndex::OnlyLost,
        (0, 1..) => UseOfIndex::Gained,
        (1, 2..) => UseOfIndex::OnlyGained,
        _ => UseOfIndex::Same,
    }
}

/// Conditions that moved between the index and the filter, where both sides use an index, and other
/// conditions that came or went.
fn moved(relation: &str, before: &[&Node], after: &[&Node]) -> Vec<Cause> {
    let (Some(before_first), Some(after_first)) = (before.first(), after.first()) else {
        return Vec::new();
    };
    let (indexed_b, indexed_a) = (index_conditions(before_first), index_conditions(after_first));
    let (filter_b, filter_a) = (filters(before_first), filters(after_first));
    let mut causes = Vec::new();
    let use_indexes = least(before) > 0 && least(after) > 0;
    for condition in indexed_b.iter().filter(|part| use_indexes && !indexed_a.contains(part)) {
        if filter_a.contains(condition) {
            let (relation, condition) = (relation.to_string(), condition.clone());
            causes.push(Cause::CondBecameFilter { relation, condition });
        }
    }
    for condition in filter_b.iter().filter(|part| use_indexes && !filter_a.contains(part)) {
        if indexed_a.contains(condition) {
            let (relation, condition) = (relation.to_string(), condition.clone());
            causes.push(Cause::FilterBecameCond { relation, condition });
        }
    }
    let same_form = form(before_first) == form(after_first);
    let keys = ["Index Cond", "Filter", "TID Cond", "Order By", "One-Time Filter", "Function Call"];
    for key in keys.into_iter().filter(|_| same_form && causes.is_empty()) {
        let text = |node: &Node| node.property(key).unwrap_or_default().to_string();
        let (before, after) = (text(before_first), text(after_first));
        if before != after {
            causes.push(Cause::Condition { key: key.to_string(), before, after });
            break;
        }
    }
    causes
}

/// What indexes check.
fn index_conditions(node: &Node) -> Vec<String> {
    let own = node.property("Index Cond").into_iter();
    let below = node.inputs().filter(|input| input.class == Class::Bitmap).flat_map(Node::walk);
    own.chain(below.filter_map(|node| node.property("Index Cond"))).flat_map(parts).collect()
}

fn filters(node: &Node) -> Vec<String> {
    node.property("Filter").into_iter().flat_map(parts).collect()
}

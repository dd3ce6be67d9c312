//! Compares two plans result by result: which nodes are each other's, and why they differ. Pure.
//!
//! What both plans compute is paired by the relations below it (`logical`); the nodes of a pair,
//! and what is left over, by edit distance. A pair that differs is one [`Change`]; what differs
//! below it is told as part of it.

use std::collections::{BTreeMap, BTreeSet};

use super::access::{self, Partitions, form, plain_operator};
use super::cause::Cause;
use super::diff::{Change, Form};
use super::edit_distance::{Tree, pairs};
use super::logical::{Frame, Leaf, Logical, build, leaves};
use super::node::{Class, Node, QueryPlan};
use super::nodes::{cost, gone_cause, method, new_cause, node_causes, spilled};
use super::text::short_target;

/// Both plans, for what is known of their tables.
#[derive(Debug, Clone, Copy)]
pub struct Plans<'a> {
    /// The plan before.
    pub before: &'a QueryPlan,
    /// The plan after.
    pub after: &'a QueryPlan,
}

/// What differs, with the nodes that show it.
struct Finding<'a> {
    cause: Cause,
    before: Option<&'a Node>,
    after: Option<&'a Node>,
}

/// Compares two trees; `path` is what stands above them.
pub fn compare<'a>(
    plans: Plans<'a>,
    before: (&'a Node, &BTreeMap<&'a str, &'a Node>),
    after: (&'a Node, &BTreeMap<&'a str, &'a Node>),
    path: &[String],
) -> Vec<Change> {
    let (frame_b, frame_a, only_b, only_a) = frames(before, after);
    let (b, a) = (build(before.0, &frame_b), build(after.0, &frame_a));
    let mut extra = Vec::new();
    let is_relation = |leaf: &Leaf| !leaf.1.is_empty();
    for (leaf, node) in only_b.into_iter().filter(|(leaf, _)| is_relation(leaf)) {
        let cause = Cause::RelationGone { relation: leaf_name(&leaf) };
        extra.push(Finding { cause, before: Some(node), after: None });
    }
    for (leaf, node) in only_a.into_iter().filter(|(leaf, _)| is_relation(leaf)) {
        let cause = Cause::RelationAdded { relation: leaf_name(&leaf) };
        extra.push(Finding { cause, before: None, after: Some(node) });
    }
    pair(plans, &b, &a, path, extra)
}

/// Relations of one plan only, with what is at the top of that plan.
type Only<'a> = Vec<(Leaf, &'a Node)>;

/// What both trees have, and what only one has. A relation that goes by another name is the same.
fn frames<'a>(
    before: (&'a Node, &BTreeMap<&'a str, &'a Node>),
    after: (&'a Node, &BTreeMap<&'a str, &'a Node>),
) -> (Frame<'a>, Frame<'a>, Only<'a>, Only<'a>) {
    let of = |(root, ctes): (&'a Node, &BTreeMap<&'a str, &'a Node>)| {
        leaves(root, ctes).into_iter().collect::<BTreeSet<Leaf>>()
    };
    let (b, a) = (of(before), of(after));
    let mut common: BTreeSet<Leaf> = b.intersection(&a).cloned().collect();
    let mut only_a: Vec<Leaf> = a.difference(&b).cloned().collect();
    let (mut only_b, mut renamed) = (Vec::new(), BTreeMap::new());
    for leaf in b.difference(&a) {
        match only_a.iter().position(|other| other.0 == leaf.0) {
            Some(at) => {
                common.insert(leaf.clone());
                renamed.insert(only_a.remove(at), leaf.clone());
            }
            None => only_b.push(leaf.clone()),
        }
    }
    let none = BTreeMap::new();
    let frame_b = Frame { common: common.clone(), renamed: none, ctes: before.1.clone() };
    let frame_a = Frame { common, renamed, ctes: after.1.clone() };
    let with = |leaves: Vec<Leaf>, node: &'a Node| leaves.into_iter().map(|l| (l, node)).collect();
    (frame_b, frame_a, with(only_b, before.0), with(only_a, after.0))
}

/// A relation as text.
fn leaf_name((name, alias): &Leaf) -> String {
    if alias.is_empty() || name.rsplit('.').next() == Some(alias) {
        name.clone()
    } else {
        format!("{name} {alias}")
    }
}

/// Compares two groups of nodes that compute the same, and what is below them.
fn pair<'a>(
    plans: Plans<'a>,
    b: &Logical<'a>,
    a: &Logical<'a>,
    path: &[String],
    extra: Vec<Finding<'a>>,
) -> Vec<Change> {
    let mut findings = extra;
    chain(plans, b, a, &mut findings);
    if !b.scans.is_empty() && !a.scans.is_empty() {
        let partitions = partitions(plans, b);
        for cause in access::compare(&b.scans, &a.scans, partitions) {
            let (before, after) = (b.scans.first().copied(), a.scans.first().copied());
            findings.push(Finding { cause, before, after });
        }
    }
    let (paired, left_b, left_a) = paired_inputs(b, a);
    joins(b, a, (&left_b, &left_a), &mut findings);
    let mut here = path.to_vec();
    here.extend(a.nodes.iter().map(|node| short(node)));
    let mut below = Vec::new();
    for (b, a) in paired {
        below.extend(pair(plans, b, a, &here, Vec::new()));
    }
    if findings.is_empty() {
        return below;
    }
    vec![change(b, a, path, findings, below)]
}

/// What the catalogs know of the table that is read.
fn partitions(plans: Plans, logical: &Logical) -> Partitions {
    let name = logical.leaves.iter().next().map_or("", |leaf| leaf.0.as_str());
    let known = |plan: &QueryPlan| plan.relations.get(name).map_or(0, |facts| facts.partitions);
    Partitions { before: known(plans.before), after: known(plans.after) }
}

/// A node in a path.
fn short(node: &Node) -> String {
    match &node.target {
        Some(target) => format!("{} on {}", plain_operator(node), short_target(target)),
        None => plain_operator(node).to_string(),
    }
}

/// Compares the nodes of two groups from the top, by edit distance.
fn chain<'a>(plans: Plans<'a>, b: &Logical<'a>, a: &Logical<'a>, findings: &mut Vec<Finding<'a>>) {
    let tree = |logical: &Logical<'a>| {
        let mut tree = Tree::new();
        for (below, node) in logical.nodes.iter().rev().enumerate() {
            tree.push(*node, below);
        }
        tree
    };
    let (tree_b, tree_a) = (tree(b), tree(a));
    let matched = pairs(&tree_b, &tree_a, |b, a| cost(b, a));
    let (labels_b, labels_a) = (tree_b.labels(), tree_a.labels());
    let gone: Vec<&Node> = (0..labels_b.len())
        .filter(|at| !matched.iter().any(|(b, _)| b == at))
        .map(|at| labels_b[at])
        .collect();
    let new: Vec<&Node> = (0..labels_a.len())
        .filter(|at| !matched.iter().any(|(_, a)| a == at))
        .map(|at| labels_a[at])
        .collect();
    let is_gather = |nodes: &[&Node]| nodes.iter().any(|node| node.class == Class::Gather);
    let reads = !b.scans.is_empty() && !a.scans.is_empty();
    // What only serves parallelism or a Hash Join, or appends partitions, is told by its cause.
    let is_told = |node: &Node, nodes: &[&Node]| {
        let is_partial = node.operator.contains("Partial ") || node.operator.contains("Finalize ");
        let of_method = plain_operator(node) == "Hash";
        (is_partial && is_gather(nodes)) || (node.class == Class::Append && reads) || of_method
    };
    for node in gone.iter().rev().filter(|node| !is_told(node, &gone)) {
        findings.push(Finding {
            cause: gone_cause(node, plans.after),
            before: Some(node),
            after: None,
        });
    }
    for node in new.iter().rev().filter(|node| !is_told(node, &new)) {
        findings.push(Finding {
            cause: new_cause(node, plans.before),
            before: None,
            after: Some(node),
        });
        if let Some(kb) = spilled(node) {
            let operator = plain_operator(node).to_string();
            let cause = Cause::Spills { operator, kb };
            findings.push(Finding { cause, before: None, after: Some(node) });
        }
    }
    for (at_b, at_a) in matched.iter().rev() {
        let (before, after) = (labels_b[*at_b], labels_a[*at_a]);
        for cause in node_causes(before, after) {
            findings.push(Finding { cause, before: Some(before), after: Some(after) });
        }
    }
    let (before, after) = (variants(b), variants(a));
    let is_told = b.variants.is_empty() && a.variants.is_empty();
    if before != after && !is_told {
        let cause = Cause::Replaced { before, after };
        findings.push(Finding { cause, before: b.top(), after: a.top() });
    }
}

/// How members of an Append compute the same: `2 x Hash Join + 6 x Nested Loop`; where all do it in
/// one way, only that.
fn variants(logical: &Logical) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for node in &logical.variants {
        *counts.entry(plain_operator(node)).or_insert(0) += node.count;
    }
    if counts.len() < 2 {
        return logical
            .nodes
            .last()
            .map(|node| plain_operator(node).to_string())
            .unwrap_or_default();
    }
    counts.iter().map(|(form, count)| format!("{count} x {form}")).collect::<Vec<_>>().join(" + ")
}

/// Pairs what is below two groups, by the relations; gives what has no partner too.
fn paired_inputs<'l, 'a>(
    b: &'l Logical<'a>,
    a: &'l Logical<'a>,
) -> (Vec<(&'l Logical<'a>, &'l Logical<'a>)>, Vec<&'l Logical<'a>>, Vec<&'l Logical<'a>>) {
    let mut free: Vec<&Logical> = a.walk().skip(1).collect();
    let (mut paired, mut left_b) = (Vec::new(), Vec::new());
    let mut open: Vec<&Logical> = b.inputs.iter().rev().collect();
    while let Some(logical) = open.pop() {
        match free.iter().position(|other| other.leaves == logical.leaves) {
            Some(at) => {
                let partner = free.remove(at);
                free.retain(|other| !partner.walk().any(|below| std::ptr::eq(below, *other)));
                paired.push((logical, partner));
            }
            None => {
                left_b.push(logical);
                open.extend(logical.inputs.iter().rev());
            }
        }
    }
    let mut left_a = free;
    for (b, a) in leftovers(&left_b, &left_a) {
        left_b.retain(|other| !std::ptr::eq(*other, b));
        left_a.retain(|other| !std::ptr::eq(*other, a));
        paired.push((b, a));
    }
    (paired, left_b, left_a)
}

/// Pairs leaves that no set of relations paired, in order, where they read the same relation.
fn leftovers<'l, 'a>(
    b: &[&'l Logical<'a>],
    a: &[&'l Logical<'a>],
) -> Vec<(&'l Logical<'a>, &'l Logical<'a>)> {
    let tree = |list: &[&'l Logical<'a>]| {
        let mut tree = Tree::new();
        let leaves = list.iter().copied().filter(|logical| logical.inputs.is_empty());
        leaves.for_each(|logical| tree.push(Some(logical), 0));
        tree.push(None, tree.len());
        tree
    };
    let (b, a) = (tree(b), tree(a));
    let cost = |b: &Option<&Logical>, a: &Option<&Logical>| match (b, a) {
        (None, None) => Some(0),
        (Some(b), Some(a)) => {
            let same = b.leaves.iter().map(|leaf| &leaf.0).eq(a.leaves.iter().map(|leaf| &leaf.0));
            same.then_some(0)
        }
        (None, Some(_)) | (Some(_), None) => None,
    };
    let found = pairs(&b, &a, cost).into_iter();
    found.filter_map(|(at_b, at_a)| b.labels()[at_b].zip(a.labels()[at_a])).collect()
}

/// Why two joins of the same relations differ: the order, the sides, the inner side's index.
fn joins<'a>(
    b: &Logical<'a>,
    a: &Logical<'a>,
    left: (&[&Logical<'a>], &[&Logical<'a>]),
    findings: &mut Vec<Finding<'a>>,
) {
    let (Some(node_b), Some(node_a)) = (b.nodes.last().copied(), a.nodes.last().copied()) else {
        return;
    };
    let mut found = |cause| {
        findings.push(Finding { cause, before: Some(node_b), after: Some(node_a) });
    };
    if !left.0.is_empty() || !left.1.is_empty() {
        let (before, after) = (b.order(), a.order());
        if before != after {
            found(Cause::JoinOrder { before, after });
        }
        return;
    }
    let ([_, inner_b], [_, inner_a]) = (b.inputs.as_slice(), a.inputs.as_slice()) else {
        return;
    };
    if method(node_b) != method(node_a) || node_b.class != Class::Join {
        return;
    }
    if inner_b.leaves != inner_a.leaves {
        if method(node_a) != "Merge" {
            found(Cause::JoinSides { inner: inner_a.order() });
        }
    } else if method(node_a) == "Nested Loop"
        && access::least(&inner_b.scans) > 0
        && !inner_a.scans.is_empty()
        && access::least(&inner_a.scans) == 0
    {
        found(Cause::InnerIndexLost { relation: inner_a.order() });
    }
}

/// One change of all that was found of a pair.
fn change(
    b: &Logical,
    a: &Logical,
    path: &[String],
    mut findings: Vec<Finding>,
    below: Vec<Change>,
) -> Change {
    let before = side(b, findings.iter().filter_map(|finding| finding.before).collect());
    let after = side(a, findings.iter().filter_map(|finding| finding.after).collect());
    findings.sort_by_key(|finding| finding.cause.rank());
    let mut causes: Vec<Cause> = Vec::new();
    for finding in findings {
        if !causes.contains(&finding.cause) {
            causes.push(finding.cause);
        }
    }
    let top = after.as_ref().map(|(at, _)| *at).or(before.as_ref().map(|(at, _)| *at));
    let (nodes, at) = if after.is_some() { (a, top) } else { (b, top) };
    let all: Vec<&Node> = nodes.nodes.iter().chain(&nodes.scans).copied().collect();
    let own = all.iter().take(at.unwrap_or(0) + 1).map(|node| short(node));
    let path = path.iter().cloned().chain(own).collect::<Vec<_>>().join(" > ");
    let cost = (a.own_cost() - b.own_cost()).abs();
    let (before, after) = (before.map(|(_, form)| form), after.map(|(_, form)| form));
    Change { path, before, after, causes, own_cost_moved: cost, below }
}

/// One side of a change: the nodes that were found to differ, from the top, with the cost of the
/// highest; where it is in the group.
fn side(logical: &Logical, found: Vec<&Node>) -> Option<(usize, Form)> {
    let all: Vec<&Node> = logical.nodes.iter().chain(&logical.scans).copied().collect();
    let is_found = |node: &&Node| found.iter().any(|other| std::ptr::eq(*other, *node));
    let places: Vec<usize> = (0..all.len()).filter(|at| is_found(&all[*at])).collect();
    let first = *places.first()?;
    let told = |node: &Node| match node.class {
        Class::Scan => access::told(node),
        Class::Bitmap
        | Class::Join
        | Class::Aggregate
        | Class::Sort
        | Class::Append
        | Class::Gather
        | Class::Keep
        | Class::Pass
        | Class::Modify
        | Class::Other => form(node),
    };
    let text = places.iter().map(|at| told(all[*at])).collect::<Vec<_>>().join(" > ");
    let top = all[first];
    Some((first, Form { text, cost: top.estimate.total, rows: top.estimate.rows }))
}

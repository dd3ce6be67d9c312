//! Where two plans differ, and why. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::compare::{Plans, compare};
use super::lines::{Line, tree_lines};
use super::logical::{ctes, leaves, passed_on};
use super::node::{Node, QueryPlan, Role};
use super::text::{Figures, head};

/// How two plans of one query differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// The highest nodes that differ, what moved its own cost most first. None where the plans are
    /// the same.
    pub changes: Vec<Change>,
    /// Both trees as one.
    lines: Vec<Line>,
}

/// A place where two plans differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The nodes above and this one, from the top: `Limit > Sort > Seq Scan on app.users`.
    pub path: String,
    /// What was there; `None` where nothing was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Form>,
    /// What is there; `None` where nothing is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Form>,
    /// Why they differ, the most important first; never empty.
    pub causes: Vec<Cause>,
    /// By how much the cost moved that is not that of the nodes below.
    pub own_cost_moved: f64,
    /// What differs below, in nodes that both plans have.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub below: Vec<Change>,
}

/// One side of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// The nodes that differ, from the top: `Sort > Seq Scan on app.users`.
    pub text: String,
    /// The estimated cost of the highest, with what is below.
    pub cost: f64,
    /// The rows it was expected to put out.
    pub rows: f64,
}

impl PlanDiff {
    /// Both trees as one, with what only one of them has.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// All causes, of the highest changes and of those below.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.changes.iter().flat_map(Change::all_causes)
    }
}

impl Change {
    /// The causes of this change and of those below.
    pub fn all_causes(&self) -> Box<dyn Iterator<Item = &Cause> + '_> {
        Box::new(self.causes.iter().chain(self.below.iter().flat_map(Change::all_causes)))
    }
}

/// Compares two plans of one query.
pub fn diff(before: &QueryPlan, after: &QueryPlan) -> PlanDiff {
    let plans = Plans { before, after };
    let (ctes_b, ctes_a) = (ctes(&before.root), ctes(&after.root));
    let only = |ctes: &BTreeMap<&'_ str, _>, other: &BTreeMap<&'_ str, _>| {
        ctes.keys().filter(|name| !other.contains_key(*name)).count() > 0
    };
    let opened_b = if only(&ctes_b, &ctes_a) { without(&ctes_b, &ctes_a) } else { BTreeMap::new() };
    let opened_a = if only(&ctes_a, &ctes_b) { without(&ctes_a, &ctes_b) } else { BTreeMap::new() };
    let mut changes = compare(plans, (&before.root, &opened_b), (&after.root, &opened_a), &[]);
    let (subplans_b, mut free) = (subplans(&before.root), subplans(&after.root));
    for (label, b) in subplans_b {
        if is_opened(b, &opened_b) {
            continue;
        }
        match partner(b, &free) {
            Some(at) => {
                let (label, a) = free.remove(at);
                let (b, a) = ((b, &opened_b), (a, &opened_a));
                changes.extend(compare(plans, b, a, &[label]));
            }
            None => changes.push(alone(format!("{label} left out"), Some(b), None)),
        }
    }
    free.retain(|(_, a)| !is_opened(a, &opened_a));
    changes
        .extend(free.into_iter().map(|(label, a)| alone(format!("{label} added"), None, Some(a))));
    if changes.is_empty() && before.text(Figures::Without) != after.text(Figures::Without) {
        let what = "nodes are arranged in another way".to_string();
        changes.push(alone(what, Some(&before.root), Some(&after.root)));
    }
    changes.sort_by(|x, y| y.own_cost_moved.total_cmp(&x.own_cost_moved));
    PlanDiff { changes, lines: tree_lines(before, after) }
}

/// The CTEs that the other plan does not have.
fn without<'a>(
    ctes: &BTreeMap<&'a str, &'a Node>,
    other: &BTreeMap<&str, &Node>,
) -> BTreeMap<&'a str, &'a Node> {
    let only = ctes.iter().filter(|(name, _)| !other.contains_key(*name));
    only.map(|(name, node)| (*name, *node)).collect()
}

/// What expressions run, with what to call it; not what a Result passes on.
fn subplans(root: &Node) -> Vec<(String, &Node)> {
    let label = |node: &Node| match &node.role {
        Role::Input | Role::Inner => None,
        Role::InitPlan(number) => Some(format!("InitPlan {number}")),
        Role::SubPlan(number) => Some(format!("SubPlan {number}")),
        Role::Cte(name) => Some(format!("CTE {name}")),
    };
    let passed_on = passed_on(root);
    let is_input = |node: &Node| passed_on.iter().any(|other| std::ptr::eq(*other, node));
    let subplans = root.walk().filter(|node| !is_input(node));
    subplans.filter_map(|node| Some((label(node)?, node))).collect()
}

/// Whether it is a CTE that stands where it is read.
fn is_opened(node: &Node, opened: &BTreeMap<&str, &Node>) -> bool {
    opened.values().any(|cte| std::ptr::eq(*cte, node))
}

/// The subplan of the other side that is this one: a CTE by its name, others by the relations that
/// they read. Where they stand means nothing; expressions move.
fn partner(subplan: &Node, others: &[(String, &Node)]) -> Option<usize> {
    let reads = |node: &Node| {
        let mut leaves = leaves(node, &BTreeMap::new());
        leaves.sort();
        leaves
    };
    let wanted = reads(subplan);
    others.iter().position(|(_, other)| match (&subplan.role, &other.role) {
        (Role::Cte(name), Role::Cte(other)) => name == other,
        (Role::InitPlan(_), Role::InitPlan(_)) | (Role::SubPlan(_), Role::SubPlan(_)) => {
            wanted == reads(other)
        }
        (_, Role::Input | Role::Inner | Role::InitPlan(_) | Role::SubPlan(_) | Role::Cte(_)) => {
            false
        }
    })
}

/// The change of something that only one plan has.
fn alone(what: String, before: Option<&Node>, after: Option<&Node>) -> Change {
    let form = |node: &Node| Form {
        text: head(node),
        cost: node.estimate.total,
        rows: node.estimate.rows,
    };
    let cost = |node: Option<&Node>| node.map_or(0.0, |node| node.estimate.total);
    Change {
        path: after.or(before).map(head).unwrap_or_default(),
        before: before.map(form),
        after: after.map(form),
        causes: vec![Cause::Rearranged { what }],
        own_cost_moved: (cost(after) - cost(before)).abs(),
        below: Vec::new(),
    }
}

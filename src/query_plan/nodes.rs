//! Why two nodes that stand for each other differ, and what it means that one came or went. Pure.

use super::access::plain_operator;
use super::cause::Cause;
use super::node::{Class, Node, QueryPlan};
use super::text::head;

/// What it costs to take one node for the other: nothing where they are the same, little within
/// their class.
pub fn cost(b: &Node, a: &Node) -> Option<u32> {
    if head(b) == head(a) {
        return Some(0);
    }
    (b.class == a.class && b.class != Class::Pass && b.class != Class::Keep
        || plain_operator(b) == plain_operator(a))
    .then_some(1)
}

/// Workers planned of a Gather.
fn workers(node: &Node) -> u64 {
    node.property("Workers Planned").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A property, or nothing.
fn text(node: &Node, key: &str) -> String {
    node.property(key).unwrap_or_default().to_string()
}

/// Disk space that a node took because memory did not suffice.
pub fn spilled(node: &Node) -> Option<u64> {
    node.actual.map(|actual| actual.spilled_kb).filter(|kb| *kb > 0)
}

/// Whether any part of a plan runs in parallel.
fn is_parallel(plan: &QueryPlan) -> bool {
    plan.root.walk().any(|node| node.class == Class::Gather)
}

/// Why a node is not there any more in the plan after.
pub fn gone_cause(node: &Node, after: &QueryPlan) -> Cause {
    let operator = plain_operator(node).to_string();
    match node.class {
        Class::Sort => Cause::SortGone { key: text(node, "Sort Key") },
        Class::Gather if !is_parallel(after) => Cause::ParallelLost { workers: workers(node) },
        Class::Scan if operator == "CTE Scan" => Cause::CteInlined { name: target_name(node) },
        Class::Scan
        | Class::Bitmap
        | Class::Join
        | Class::Aggregate
        | Class::Append
        | Class::Gather
        | Class::Keep
        | Class::Pass
        | Class::Modify
        | Class::Other => Cause::Removed { operator },
    }
}

/// Why a node is there now, which was not in the plan before.
pub fn new_cause(node: &Node, before: &QueryPlan) -> Cause {
    let operator = plain_operator(node).to_string();
    match node.class {
        Class::Sort => Cause::SortAdded { key: text(node, "Sort Key") },
        Class::Gather if !is_parallel(before) => Cause::ParallelGained { workers: workers(node) },
        Class::Scan if operator == "CTE Scan" => Cause::CteMaterialized { name: target_name(node) },
        Class::Scan
        | Class::Bitmap
        | Class::Join
        | Class::Aggregate
        | Class::Append
        | Class::Gather
        | Class::Keep
        | Class::Pass
        | Class::Modify
        | Class::Other => Cause::Inserted { operator },
    }
}

fn target_name(node: &Node) -> String {
    node.target.as_ref().map(|target| target.name.clone()).unwrap_or_default()
}

/// `Hash` for `Hash Left Join`; of others the whole operator.
pub fn method(node: &Node) -> &str {
    let operator = plain_operator(node);
    let methods = ["Hash", "Merge", "Nested Loop"];
    match methods.into_iter().find(|method| operator.starts_with(method)) {
        Some(method) if node.class == Class::Join => method,
        Some(_) | None => operator,
    }
}

/// Why two nodes that stand for each other differ.
pub fn node_causes(b: &Node, a: &Node) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (before, after) = (plain_operator(b).to_string(), plain_operator(a).to_string());
    let is_join = b.class == Class::Join;
    if method(b) != method(a) {
        causes.push(if is_join {
            Cause::JoinMethod { before, after }
        } else {
            Cause::Replaced { before, after }
        });
    } else if before != after && !is_join {
        causes.push(Cause::Replaced { before, after });
    } else if workers(b) != workers(a) {
        causes.push(Cause::Workers { before: workers(b), after: workers(a) });
    } else {
        causes.extend(conditions(b, a));
    }
    match (spilled(b), spilled(a)) {
        (None, Some(kb)) if b.actual.is_some() => {
            causes.push(Cause::Spills { operator: plain_operator(a).to_string(), kb });
        }
        (Some(_), None) if a.actual.is_some() => {
            causes.push(Cause::SpillGone { operator: plain_operator(a).to_string() });
        }
        (None | Some(_), None | Some(_)) => {}
    }
    causes
}

/// Properties that differ. Which join condition is the method's own follows from the order.
fn conditions(b: &Node, a: &Node) -> Vec<Cause> {
    let mut keys: Vec<&str> = b.properties.iter().map(|property| property.key.as_str()).collect();
    keys.extend(a.properties.iter().map(|p| p.key.as_str()).filter(|k| b.property(k).is_none()));
    let differs = |key: &&str| b.property(key) != a.property(key);
    let to_cause = |key: &str| {
        let (key, before, after) = (key.to_string(), text(b, key), text(a, key));
        Cause::Condition { key, before, after }
    };
    let mut keys: Vec<&str> = keys.into_iter().filter(differs).collect();
    // That the planner knows of one match at most follows from the rest, where there is more.
    if keys.len() > 1 {
        keys.retain(|key| *key != "Inner Unique");
    }
    keys.into_iter().map(to_cause).collect()
}

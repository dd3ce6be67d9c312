//! What a plan computes, apart from how: nodes grouped by the relations below them. Pure.
//!
//! Within one query level each set of relations is joined once, so that the set names the same
//! logical result in both plans, whatever method, order or wrappers (Sort, Gather, Memoize, …)
//! produce it.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Class, Node, Role};

/// A relation and the name that the query has for it.
pub type Leaf = (String, String);

/// All nodes over the same set of relations.
#[derive(Debug)]
pub struct Logical<'a> {
    /// The relations below.
    pub leaves: BTreeSet<Leaf>,
    /// The nodes from the top; the last one joins the inputs, where there are any.
    pub nodes: Vec<&'a Node>,
    /// How one relation is read: one scan, or one per group of partitions.
    pub scans: Vec<&'a Node>,
    /// Members of an Append that compute the same, each in its own way.
    pub variants: Vec<&'a Node>,
    /// What it joins or appends.
    pub inputs: Vec<Logical<'a>>,
}

/// How to build: what both plans have, and what to look through.
#[derive(Debug, Default)]
pub struct Frame<'a> {
    /// Relations of both plans; others are left out.
    pub common: BTreeSet<Leaf>,
    /// What a relation is called in the other plan, where that is not the same.
    pub renamed: BTreeMap<Leaf, Leaf>,
    /// CTEs that the other plan does not have: their definitions stand where they are read.
    pub ctes: BTreeMap<&'a str, &'a Node>,
}

/// The relations below a node, in the order of the plan.
pub fn leaves<'a>(node: &'a Node, ctes: &BTreeMap<&'a str, &'a Node>) -> Vec<Leaf> {
    let mut found = Vec::new();
    let everything = Frame { ctes: ctes.clone(), ..Frame::default() };
    collect(node, &everything, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(node: &'a Node, frame: &Frame<'a>, open: &mut Vec<&'a str>, found: &mut Vec<Leaf>) {
    if let Some((name, definition)) = definition(node, frame, open) {
        open.push(name);
        collect(definition, frame, open, found);
        open.pop();
        return;
    }
    let inputs = inputs(node);
    if inputs.is_empty() {
        found.push(leaf(node));
    }
    for input in inputs {
        collect(input, frame, open, found);
    }
}

/// The nodes whose rows it takes; what feeds a bitmap belongs to the scan. A Result that takes none
/// passes on what its InitPlans found: that is how `min` and `max` use an index.
fn inputs(node: &Node) -> Vec<&Node> {
    let rows: Vec<&Node> = node.inputs().filter(|input| input.class != Class::Bitmap).collect();
    if rows.is_empty() && node.operator == "Result" {
        return node.children.iter().filter(|child| is_initplan(child)).collect();
    }
    rows
}

fn is_initplan(node: &Node) -> bool {
    match node.role {
        Role::InitPlan(_) => true,
        Role::Input | Role::Inner | Role::SubPlan(_) | Role::Cte(_) => false,
    }
}

/// The InitPlans whose results a Result passes on.
pub fn passed_on(root: &Node) -> Vec<&Node> {
    let results = root.walk().filter(|node| node.operator == "Result");
    results.flat_map(inputs).filter(|input| is_initplan(input)).collect()
}

/// What a node without inputs reads.
fn leaf(node: &Node) -> Leaf {
    match &node.target {
        Some(target) => (target.name.clone(), target.alias.clone()),
        None => (node.operator.clone(), String::new()),
    }
}

/// The definition of the CTE that the node reads, if it is to be looked through.
fn definition<'a>(
    node: &'a Node,
    frame: &Frame<'a>,
    open: &[&'a str],
) -> Option<(&'a str, &'a Node)> {
    let name = node.target.as_ref().filter(|_| node.operator == "CTE Scan")?.name.as_str();
    let (name, definition) = frame.ctes.get_key_value(name)?;
    (!open.contains(name)).then_some((*name, *definition))
}

/// The CTEs defined anywhere in a plan.
pub fn ctes(root: &Node) -> BTreeMap<&str, &Node> {
    let mut found = BTreeMap::new();
    for node in root.walk() {
        match &node.role {
            Role::Cte(name) => drop(found.insert(name.as_str(), node)),
            Role::Input | Role::Inner | Role::InitPlan(_) | Role::SubPlan(_) => {}
        }
    }
    found
}

/// Groups the nodes of a tree.
pub fn build<'a>(root: &'a Node, frame: &Frame<'a>) -> Logical<'a> {
    let mut logical = grouped(root, frame, &mut Vec::new());
    order(&mut logical);
    logical
}

/// Nodes were added from the bottom.
fn order(logical: &mut Logical) {
    logical.nodes.reverse();
    logical.inputs.iter_mut().for_each(order);
}

fn grouped<'a>(node: &'a Node, frame: &Frame<'a>, open: &mut Vec<&'a str>) -> Logical<'a> {
    if let Some((name, definition)) = definition(node, frame, open) {
        open.push(name);
        let mut below = grouped(definition, frame, open);
        open.pop();
        below.nodes.push(node);
        return below;
    }
    let mut below: Vec<Logical> =
        inputs(node).into_iter().map(|input| grouped(input, frame, open)).collect();
    if below.is_empty() {
        let leaf = leaf(node);
        let leaf = frame.renamed.get(&leaf).cloned().unwrap_or(leaf);
        let leaves = frame.common.get(&leaf).cloned().into_iter().collect();
        return Logical {
            leaves,
            nodes: Vec::new(),
            scans: vec![node],
            variants: Vec::new(),
            inputs: Vec::new(),
        };
    }
    let several = below.len() > 1;
    if below.iter().any(|input| !input.leaves.is_empty()) {
        below.retain(|input| !input.leaves.is_empty());
    } else {
        below.truncate(1);
    }
    if several && node.class == Class::Append && below.len() > 1 && are_alike(&below) {
        return variants(node, below);
    }
    if below.len() == 1 {
        let mut only = below.remove(0);
        only.nodes.push(node);
        return only;
    }
    let leaves = below.iter().flat_map(|input| input.leaves.clone()).collect();
    let (scans, variants) = (Vec::new(), Vec::new());
    Logical { leaves, nodes: vec![node], scans, variants, inputs: below }
}

/// Whether all compute the same.
fn are_alike(inputs: &[Logical]) -> bool {
    inputs.windows(2).all(|pair| pair[0].leaves == pair[1].leaves)
}

/// An Append whose members compute the same, each in its own way: their scans are put together, and
/// where they join in different ways, these are told apart.
fn variants<'a>(append: &'a Node, mut members: Vec<Logical<'a>>) -> Logical<'a> {
    let tops = members.iter().filter_map(Logical::top).collect();
    let largest = |member: &Logical| member.top().map_or(0, |top| top.count);
    members.sort_by_key(|member| std::cmp::Reverse(largest(member)));
    let rest = members.split_off(1);
    let Some(mut first) = members.pop() else {
        unreachable!("an Append with variants has members");
    };
    if !first.inputs.is_empty() {
        first.variants = tops;
    }
    rest.into_iter().for_each(|member| absorb(&mut first, member));
    first.nodes.push(append);
    first
}

/// Adds the scans of another member that computes the same.
fn absorb<'a>(into: &mut Logical<'a>, other: Logical<'a>) {
    into.scans.extend(other.scans);
    for input in other.inputs {
        if let Some(same) = into.inputs.iter_mut().find(|known| known.leaves == input.leaves) {
            absorb(same, input);
        }
    }
}

impl<'a> Logical<'a> {
    /// The node at the top, once nodes are in order; before that the one at the bottom.
    pub fn top(&self) -> Option<&'a Node> {
        self.nodes.first().or(self.scans.first()).copied()
    }

    /// This and all below, from the top.
    pub fn walk(&self) -> Box<dyn Iterator<Item = &Logical<'a>> + '_> {
        Box::new(std::iter::once(self).chain(self.inputs.iter().flat_map(Logical::walk)))
    }

    /// Its estimated cost without what it takes rows from.
    pub fn own_cost(&self) -> f64 {
        let total = |logical: &Logical| logical.top().map_or(0.0, |node| node.estimate.total);
        (total(self) - self.inputs.iter().map(total).sum::<f64>()).max(0.0)
    }

    /// How its relations are joined: `((a b) c)`.
    pub fn order(&self) -> String {
        let name = |(relation, alias): &Leaf| {
            if alias.is_empty() { relation.clone() } else { alias.clone() }
        };
        if self.inputs.is_empty() {
            return self.leaves.iter().map(name).collect::<Vec<_>>().join(" ");
        }
        let inputs = self.inputs.iter().map(Logical::order).collect::<Vec<_>>();
        format!("({})", inputs.join(" "))
    }
}

//! Makes a plan say what it is and no more: partitions that are alike become one line, generated
//! names go, rows of parallel workers are added up. Pure.

use std::collections::BTreeMap;

use super::canonical::{Renames, canonical, renumbered};
use super::node::{Actual, Class, Estimate, Node, Role};
use super::text::{Figures, lines};

/// Normalises the tree of a plan as it was read.
pub fn normalise(root: &mut Node, params: BTreeMap<String, String>) {
    let mut renames = Renames { params, ..Renames::default() };
    settle_aliases(root, None, &mut renames.aliases);
    canonicalise(root, &renames);
    sum_workers(root, 1.0);
    fold(root);
    renumber(root);
    round(root);
}

/// Rounds sums, so that what is stored is read back as the same number.
fn round(node: &mut Node) {
    let hundredths = |figure: f64| (figure * 100.0).round() / 100.0;
    let Estimate { startup, total, rows } = node.estimate;
    node.estimate =
        Estimate { startup: hundredths(startup), total: hundredths(total), rows: hundredths(rows) };
    if let Some(actual) = node.actual.as_mut() {
        actual.rows = hundredths(actual.rows);
        actual.rows_removed = hundredths(actual.rows_removed);
        actual.time_ms = hundredths(actual.time_ms);
    }
    node.children.iter_mut().for_each(round);
}

/// Gives partitions the alias of their table. Below an Append (and an UPDATE or DELETE) the server
/// numbers them: `e_1`, `e_2` (`set_rtable_names` in ruleutils.c).
fn settle_aliases(node: &mut Node, above: Option<Class>, aliases: &mut BTreeMap<String, String>) {
    if let Some(target) = node.target.as_mut().filter(|target| !target.partitions.is_empty())
        && above.is_some()
        && let Some(base) = numbered(&target.alias)
    {
        aliases.insert(quoted(&target.alias), quoted(base));
        target.alias = base.to_string();
    }
    let here = match node.class {
        Class::Append | Class::Modify => Some(node.class),
        Class::Scan
        | Class::Bitmap
        | Class::Join
        | Class::Aggregate
        | Class::Sort
        | Class::Gather
        | Class::Keep
        | Class::Pass
        | Class::Other => above,
    };
    for child in &mut node.children {
        settle_aliases(child, here, aliases);
    }
}

/// `e` for `e_12`.
fn numbered(alias: &str) -> Option<&str> {
    let (base, number) = alias.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !base.is_empty()).then_some(base)
}

/// An alias as conditions write it.
fn quoted(alias: &str) -> String {
    match crate::model::ident::Ident::new(alias) {
        Ok(ident) => ident.to_string(),
        Err(_) => alias.to_string(),
    }
}

/// Brings all conditions into their canonical form.
fn canonicalise(node: &mut Node, renames: &Renames) {
    for property in &mut node.properties {
        property.text = canonical(&property.text, renames);
    }
    for child in &mut node.children {
        canonicalise(child, renames);
    }
}

/// Estimates below a Gather are per worker: multiplies the rows of partial nodes by what
/// `get_parallel_divisor` (costsize.c) divided them by. Gives whether the node is partial.
fn sum_workers(node: &mut Node, divisor: f64) -> bool {
    let below = match node.class {
        Class::Gather => worker_share(node),
        Class::Scan
        | Class::Bitmap
        | Class::Join
        | Class::Aggregate
        | Class::Sort
        | Class::Append
        | Class::Keep
        | Class::Pass
        | Class::Modify
        | Class::Other => divisor,
    };
    let mut is_partial = node.operator.starts_with("Parallel ");
    for child in &mut node.children {
        let below = if child.role.is_subplan() { 1.0 } else { below };
        let child_is_partial = sum_workers(child, below);
        is_partial |= child_is_partial && !child.role.is_subplan();
    }
    if node.class == Class::Gather {
        return false;
    }
    if is_partial {
        node.estimate.rows = (node.estimate.rows * divisor).round();
    }
    is_partial
}

/// Workers, and what the leader does beside reading their rows.
fn worker_share(gather: &Node) -> f64 {
    let workers = gather.property("Workers Planned").and_then(|text| text.parse::<f64>().ok());
    let workers = workers.filter(|workers| workers.is_finite()).unwrap_or(0.0).max(0.0);
    workers + (1.0 - 0.3 * workers).max(0.0)
}

/// Folds members of Appends that are alike but for the partition they read.
fn fold(node: &mut Node) {
    for child in &mut node.children {
        fold(child);
    }
    if node.class != Class::Append {
        return;
    }
    let mut groups: BTreeMap<String, Node> = BTreeMap::new();
    let (mut others, mut partitioned) = (Vec::new(), Vec::new());
    for child in std::mem::take(&mut node.children) {
        let reads_partition = child
            .walk()
            .any(|below| below.target.as_ref().is_some_and(|t| !t.partitions.is_empty()));
        let list = if reads_partition && !child.role.is_subplan() {
            &mut partitioned
        } else {
            &mut others
        };
        list.push(child);
    }
    for mut member in partitioned {
        hoist(&mut member, &mut others);
        let key = shape(&member);
        match groups.get_mut(&key) {
            Some(group) => add(group, member),
            None => drop(groups.insert(key, member)),
        }
    }
    let mut groups: Vec<Node> = groups.into_values().collect();
    if let [group] = groups.as_mut_slice()
        && others.iter().all(|other| other.role.is_subplan())
    {
        group.removed = std::mem::take(&mut node.removed);
    }
    node.children = others;
    node.children.append(&mut groups);
}

/// Takes the subplans out of a member: EXPLAIN shows one that all members share below the first of
/// them only (`printed_subplans` in explain.c).
fn hoist(node: &mut Node, subplans: &mut Vec<Node>) {
    let (taken, kept) = std::mem::take(&mut node.children)
        .into_iter()
        .partition(|child: &Node| child.role.is_subplan());
    node.children = kept;
    subplans.extend::<Vec<Node>>(taken);
    node.children.iter_mut().for_each(|child| hoist(child, subplans));
}

/// What a member of an Append is, whichever partition it reads.
fn shape(member: &Node) -> String {
    let mut member = member.clone();
    renumber(&mut member);
    forget_partitions(&mut member);
    lines(&member, Figures::Without).join("\n")
}

fn forget_partitions(node: &mut Node) {
    node.count = 1;
    if let Some(target) = node.target.as_mut() {
        target.partitions.clear();
    }
    for child in &mut node.children {
        forget_partitions(child);
    }
}

/// Adds a member to the group of those like it.
fn add(group: &mut Node, member: Node) {
    group.count = group.count.saturating_add(member.count);
    group.disabled |= member.disabled;
    group.estimate = Estimate {
        startup: group.estimate.startup.min(member.estimate.startup),
        total: group.estimate.total + member.estimate.total,
        rows: group.estimate.rows + member.estimate.rows,
    };
    group.actual = group.actual.zip(member.actual).map(|(a, b)| both(a, b));
    if let (Some(target), Some(more)) = (group.target.as_mut(), member.target) {
        target.partitions.extend(more.partitions);
        target.partitions.sort();
    }
    for (child, more) in group.children.iter_mut().zip(member.children) {
        add(child, more);
    }
}

/// What two nodes did together.
fn both(a: Actual, b: Actual) -> Actual {
    let (x, y) = (a.buffers, b.buffers);
    Actual {
        rows: a.rows + b.rows,
        loops: a.loops + b.loops,
        rows_removed: a.rows_removed + b.rows_removed,
        time_ms: a.time_ms + b.time_ms,
        spilled_kb: a.spilled_kb.saturating_add(b.spilled_kb),
        buffers: super::node::Buffers {
            hit: x.hit.saturating_add(y.hit),
            read: x.read.saturating_add(y.read),
            temp: x.temp.saturating_add(y.temp),
        },
    }
}

/// Numbers InitPlans and SubPlans by where they are first mentioned.
fn renumber(root: &mut Node) {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    renumber_below(root, &mut numbers);
}

fn renumber_below(node: &mut Node, numbers: &mut BTreeMap<String, String>) {
    let mut number = |old: &str| {
        let next = numbers.len() + 1;
        numbers.entry(old.to_string()).or_insert_with(|| next.to_string()).clone()
    };
    for property in &mut node.properties {
        property.text = renumbered(&property.text, &mut number);
    }
    match &mut node.role {
        Role::InitPlan(old) | Role::SubPlan(old) => *old = number(old),
        Role::Input | Role::Inner | Role::Cte(_) => {}
    }
    for child in &mut node.children {
        renumber_below(child, numbers);
    }
}

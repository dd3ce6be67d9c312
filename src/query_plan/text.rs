//! The stable text of a plan, and the digest made of it. Pure.

use sha2::{Digest, Sha256};

use super::node::{Index, Node, QueryPlan, Role, Target};
use crate::model::units::human_count;

/// Which figures stand beside the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// None: what the plan is.
    Without,
    /// Costs and rows as expected, rounded to three digits.
    Estimated,
    /// Rows, time and blocks as measured; as expected where the plan was not run.
    Measured,
}

impl QueryPlan {
    /// The plan as a tree, one line per node and per condition.
    pub fn text(&self, figures: Figures) -> String {
        lines(&self.root, figures).join("\n")
    }

    /// What the plan is, as 64 hexadecimal digits: equal for equal text without figures.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.text(Figures::Without).as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The lines of a node and all below.
pub fn lines(node: &Node, figures: Figures) -> Vec<String> {
    let mut lines = Vec::new();
    add(node, 0, figures, &mut lines);
    lines
}

/// Adds the lines of `node`, as EXPLAIN's text format indents them.
fn add(node: &Node, depth: usize, figures: Figures, lines: &mut Vec<String>) {
    let (indent, arrow) = match depth {
        0 => (String::new(), ""),
        depth => ("     ".repeat(depth - 1) + "  ", "-> "),
    };
    let label = match &node.role {
        Role::Input | Role::Inner => String::new(),
        Role::InitPlan(number) => format!("InitPlan {number}: "),
        Role::SubPlan(number) => format!("SubPlan {number}: "),
        Role::Cte(name) => format!("CTE {name}: "),
    };
    lines.push(format!("{indent}{arrow}{label}{}{}", head(node), shown(node, figures)));
    let indent = " ".repeat(5 * depth + 2);
    for property in &node.properties {
        lines.push(format!("{indent}{}: {}", property.key, property.text));
    }
    for child in &node.children {
        add(child, depth + 1, figures, lines);
    }
}

/// A node in one line: `8 partitions x Index Only Scan using (country) on app.users u`.
pub fn head(node: &Node) -> String {
    let mut text = String::new();
    if let Some(target) = node.target.as_ref().filter(|target| !target.partitions.is_empty()) {
        let word = if target.partitions.len() == 1 { "partition" } else { "partitions" };
        text += &format!("{} {word} x ", target.partitions.len());
    }
    text += &node.operator;
    if let Some(index) = &node.index {
        text += &format!(" using {}", short_index(index));
    }
    if let Some(target) = &node.target {
        text += &format!(" on {}", short_target(target));
    }
    text
}

/// `(a, b DESC) WHERE c` for a b-tree, `brin (a)` for others.
pub fn short_index(index: &Index) -> String {
    let (unique, rest) = match index.definition.strip_prefix("UNIQUE ") {
        Some(rest) => ("unique ", rest),
        None => ("", index.definition.as_str()),
    };
    let rest = rest.strip_prefix("USING ").unwrap_or(rest);
    format!("{unique}{}", rest.strip_prefix("btree ").unwrap_or(rest))
}

/// `app.users u`, `app.users` where the alias says nothing new.
pub fn short_target(target: &Target) -> String {
    let last = target.name.rsplit('.').next().unwrap_or_default().trim_matches('"');
    if target.alias.is_empty() || target.alias == last || target.alias == target.name {
        target.name.clone()
    } else {
        format!("{} {}", target.name, target.alias)
    }
}

/// The figures of a node, in brackets.
fn shown(node: &Node, figures: Figures) -> String {
    let estimated = || {
        let estimate = node.estimate;
        format!("  (cost {}, rows {})", rounded(estimate.total), rounded(estimate.rows))
    };
    match (figures, node.actual) {
        (Figures::Without, _) => String::new(),
        (Figures::Estimated, _) | (Figures::Measured, None) => estimated(),
        (Figures::Measured, Some(actual)) => {
            let (rows, blocks) = (rounded(actual.rows), rounded(actual.buffers.all() as f64));
            format!("  (rows {rows}, {:.1} ms, blocks {blocks})", actual.time_ms)
        }
    }
}

/// A figure with three digits that count: "1,230,000", "12.3", "0.12".
pub fn rounded(figure: f64) -> String {
    if figure < 100.0 {
        let decimals = if figure < 10.0 { 2 } else { 1 };
        let text = format!("{figure:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let unit = 10f64.powf(figure.log10().floor() - 2.0);
    human_count(((figure / unit).round() * unit) as u64)
}

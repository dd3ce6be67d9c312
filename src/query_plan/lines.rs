//! Two plans as one tree, line by line, for whoever colours it. Pure.

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::node::{Node, QueryPlan};
use super::text::{Figures, lines};

/// A line of the tree diff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Which plan has it.
    pub kept: Kept,
    /// The line without figures, in pieces; the flag marks what differs within the line.
    pub pieces: Vec<(bool, String)>,
    /// The estimated cost of the node before, on a node's line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_before: Option<f64>,
    /// The estimated cost of the node after, on a node's line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_after: Option<f64>,
}

/// Which plan has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Both.
    Both,
    /// Only the one before.
    Removed,
    /// Only the one after.
    Added,
}

impl Line {
    /// The line as one text.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|(_, piece)| piece.as_str()).collect()
    }
}

/// Both trees as one. Lines are compared without figures, which are put beside them.
pub fn tree_lines(before: &QueryPlan, after: &QueryPlan) -> Vec<Line> {
    let text = |plan: &QueryPlan| plan.text(Figures::Without) + "\n";
    let (text_b, text_a) = (text(before), text(after));
    let (costs_b, costs_a) = (costs(&before.root), costs(&after.root));
    let diff = TextDiff::from_lines(&text_b, &text_a);
    let mut found = Vec::new();
    for change in diff.ops().iter().flat_map(|op| diff.iter_inline_changes(op)) {
        let kept = match change.tag() {
            ChangeTag::Equal => Kept::Both,
            ChangeTag::Delete => Kept::Removed,
            ChangeTag::Insert => Kept::Added,
        };
        let pieces = change.iter_strings_lossy();
        let pieces = pieces.map(|(differs, text)| (differs, text.trim_end_matches('\n').into()));
        let cost = |costs: &[Option<f64>], at: Option<usize>| costs.get(at?).copied().flatten();
        found.push(Line {
            kept,
            pieces: pieces.filter(|(_, text): &(bool, String)| !text.is_empty()).collect(),
            cost_before: cost(&costs_b, change.old_index()),
            cost_after: cost(&costs_a, change.new_index()),
        });
    }
    found
}

/// For each line of a plan's text the cost of its node, where it is a node's line.
fn costs(root: &Node) -> Vec<Option<f64>> {
    let mut costs = Vec::new();
    for node in root.walk() {
        costs.push(Some(node.estimate.total));
        costs.resize(costs.len() + node.properties.len(), None);
    }
    debug_assert_eq!(costs.len(), lines(root, Figures::Without).len());
    costs
}

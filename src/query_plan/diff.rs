//! Where two plans differ, and why. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::node::{Node, QueryPlan};
use super::text::{Figures, head, lines};

/// How two plans of one query differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// The highest nodes that differ, what costs most first. None where the plans are the same.
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
    /// What differs below, in nodes that both plans have.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub below: Vec<Change>,
}

/// One side of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// The node in one line.
    pub text: String,
    /// Its estimated cost, with the nodes below.
    pub cost: f64,
    /// The rows it was expected to put out.
    pub rows: f64,
}

/// Why two plans differ at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// One operation took another's place.
    Replaced {
        /// What it was.
        before: String,
        /// What it is.
        after: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Replaced { before, after } => write!(f, "{before} became {after}"),
        }
    }
}

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

impl PlanDiff {
    /// Both trees as one, with what only one of them has.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// All causes, of the highest changes and of those below.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.changes.iter().flat_map(Change::causes_below)
    }
}

impl Change {
    /// The causes of this change and of those below.
    fn causes_below(&self) -> Box<dyn Iterator<Item = &Cause> + '_> {
        Box::new(self.causes.iter().chain(self.below.iter().flat_map(Change::causes_below)))
    }
}

/// Compares two plans of one query.
pub fn diff(before: &QueryPlan, after: &QueryPlan) -> PlanDiff {
    let mut changes = Vec::new();
    if before.text(Figures::Without) != after.text(Figures::Without) {
        let (b, a) = (&before.root, &after.root);
        let causes = vec![Cause::Replaced { before: head(b), after: head(a) }];
        let (path, before, after) = (head(a), Some(form(b)), Some(form(a)));
        changes.push(Change { path, before, after, causes, below: Vec::new() });
    }
    PlanDiff { changes, lines: tree_lines(&before.root, &after.root) }
}

/// One side of a change.
fn form(node: &Node) -> Form {
    Form { text: head(node), cost: node.estimate.total, rows: node.estimate.rows }
}

/// Both trees as one.
fn tree_lines(before: &Node, after: &Node) -> Vec<Line> {
    let (b, a) = (lines(before, Figures::Without), lines(after, Figures::Without));
    let (b, a) = (b.join("\n") + "\n", a.join("\n") + "\n");
    let diff = TextDiff::from_lines(&b, &a);
    let mut found = Vec::new();
    for change in diff.ops().iter().flat_map(|op| diff.iter_inline_changes(op)) {
        let kept = match change.tag() {
            ChangeTag::Equal => Kept::Both,
            ChangeTag::Delete => Kept::Removed,
            ChangeTag::Insert => Kept::Added,
        };
        let pieces = change.iter_strings_lossy();
        let pieces = pieces.map(|(differs, text)| (differs, text.trim_end_matches('\n').into()));
        found.push(Line { kept, pieces: pieces.collect(), cost_before: None, cost_after: None });
    }
    found
}

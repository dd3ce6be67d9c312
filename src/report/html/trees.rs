//! Two plans side by side, made from the lines of both as one.

use serde::Serialize;

use crate::query_plan::{Kept, Line};

/// Both plans, line by line; the same node stands on the same line of both.
#[derive(Debug, PartialEq, Serialize)]
pub struct Trees {
    /// The plan before.
    before: Side,
    /// The plan after.
    after: Side,
}

/// One plan.
#[derive(Debug, PartialEq, Serialize)]
struct Side {
    /// What it is called.
    name: &'static str,
    /// Its cost; empty where nobody knows.
    cost: String,
    /// Its share of the dearer plan, in percent.
    bar: String,
    /// Its lines; `None` where only the other side has one.
    lines: Vec<Option<Cell>>,
}

/// A line of a plan.
#[derive(Debug, PartialEq, Serialize)]
struct Cell {
    /// Whether the other plan has it too.
    same: bool,
    /// Pieces, and whether each differs within the line.
    pieces: Vec<(bool, String)>,
    /// The node's cost; empty below a node's first line.
    cost: String,
    /// Its share of the plan's cost, in percent; empty where it has none.
    share: String,
}

/// Puts the lines of both plans apart.
pub fn trees(lines: &[Line]) -> Trees {
    let root = |pick: fn(&Line) -> Option<f64>| lines.iter().find_map(pick);
    let (cost_before, cost_after) = (root(|line| line.cost_before), root(|line| line.cost_after));
    let dearer = cost_before.into_iter().chain(cost_after).fold(0.0, f64::max);
    let side = |name, cost: Option<f64>| Side {
        name,
        cost: cost.map_or_else(String::new, |cost| format!("{cost:.2}")),
        bar: cost.map_or_else(String::new, |cost| percent(cost, dearer)),
        lines: Vec::new(),
    };
    let (mut before, mut after) = (side("before", cost_before), side("after", cost_after));
    for line in lines {
        let old = || Some(cell(line, line.cost_before, cost_before));
        let new = || Some(cell(line, line.cost_after, cost_after));
        match line.kept {
            Kept::Both => {
                level(&mut before.lines, &mut after.lines);
                before.lines.push(old());
                after.lines.push(new());
            }
            Kept::Removed => before.lines.push(old()),
            Kept::Added => after.lines.push(new()),
        }
    }
    level(&mut before.lines, &mut after.lines);
    Trees { before, after }
}

/// Makes both as long as the longer one.
fn level(a: &mut Vec<Option<Cell>>, b: &mut Vec<Option<Cell>>) {
    let length = a.len().max(b.len());
    a.resize_with(length, || None);
    b.resize_with(length, || None);
}

fn cell(line: &Line, cost: Option<f64>, whole: Option<f64>) -> Cell {
    let share = cost.zip(whole).map(|(cost, whole)| percent(cost, whole));
    Cell {
        same: line.kept == Kept::Both,
        pieces: line.pieces.clone(),
        cost: cost.map_or_else(String::new, |cost| format!("{cost:.2}")),
        share: share.unwrap_or_default(),
    }
}

/// At least so much that it is seen.
fn percent(part: f64, whole: f64) -> String {
    const LEAST: f64 = 0.5;
    let share = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    format!("{:.1}%", share.clamp(LEAST, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kept: Kept, cost: (Option<f64>, Option<f64>), text: &str) -> Line {
        let pieces = vec![(false, text.to_string())];
        Line { kept, pieces, cost_before: cost.0, cost_after: cost.1 }
    }

    #[test]
    fn the_same_node_stands_on_the_same_line() {
        let trees = trees(&[
            line(Kept::Both, (Some(50.0), Some(200.0)), "Limit"),
            line(Kept::Removed, (Some(10.0), None), "Index Scan"),
            line(Kept::Removed, (None, None), "Index Cond"),
            line(Kept::Added, (None, Some(100.0)), "Seq Scan"),
            line(Kept::Both, (None, None), "Filter"),
            line(Kept::Added, (None, Some(1e-9)), "Result"),
        ]);
        let told = |side: &Side| -> Vec<String> {
            let lines = side.lines.iter();
            let told = |cell: &Cell| format!("{} {} {}", cell.pieces[0].1, cell.cost, cell.share);
            lines.map(|cell| cell.as_ref().map_or_else(String::new, told)).collect()
        };
        let before = ["Limit 50.00 100.0%", "Index Scan 10.00 20.0%", "Index Cond  ", "Filter  "];
        assert_eq!(told(&trees.before)[..4], before);
        let after = ["Limit 200.00 100.0%", "Seq Scan 100.00 50.0%", "", "Filter  "];
        assert_eq!(told(&trees.after)[..4], after);
        assert_eq!(
            (told(&trees.before)[4].as_str(), told(&trees.after)[4].as_str()),
            ("", "Result 0.00 0.5%")
        );
        assert_eq!((trees.before.bar.as_str(), trees.after.bar.as_str()), ("25.0%", "100.0%"));
    }
}

//! The stable text of a plan, and the digest made of it. Pure.

use sha2::{Digest, Sha256};

use super::canonical::without_constants;
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

    /// What the plan is whatever its constants: to compare those of several parameters.
    pub fn shape(&self) -> String {
        without_constants(&self.text(Figures::Without))
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
    lines.push(one_line(&format!("{indent}{arrow}{label}{}{}", head(node), shown(node, figures))));
    let indent = " ".repeat(5 * depth + 2);
    for property in &node.properties {
        lines.push(one_line(&format!("{indent}{}: {}", property.key, property.text)));
    }
    for child in &node.children {
        add(child, depth + 1, figures, lines);
    }
}

/// Literals and names may hold line breaks.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// A node in one line: `8 partitions x Index Only Scan using (country) on app.users u`.
pub fn head(node: &Node) -> String {
    let mut text = partitions_read(node);
    text += &node.operator;
    if let Some(index) = &node.index {
        text += &format!(" using {}", short_index(index));
    }
    if let Some(target) = &node.target {
        text += &format!(" on {}", short_target(target));
    }
    text
}

/// `8 partitions x ` where it reads those of a partitioned table; `4 x ` where a join of partitions
/// was folded.
pub fn partitions_read(node: &Node) -> String {
    let partitions = node.target.as_ref().map_or(0, |target| target.partitions.len());
    match partitions {
        0 if node.count > 1 => format!("{} x ", node.count),
        0 => String::new(),
        read => {
            let count = read as u64 + node.removed;
            format!("{count} {} x ", if count == 1 { "partition" } else { "partitions" })
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::{Ident, QualifiedName};
    use crate::query_plan::node::Names;
    use crate::query_plan::read;

    fn name(text: &str) -> QualifiedName {
        QualifiedName::new(Ident::new("app").unwrap(), Ident::new(text).unwrap())
    }

    /// Two partitions read alike below a Gather, the second one's numbers twice the first one's.
    fn plan() -> QueryPlan {
        let scan = |number: u32| {
            format!(
                r#"{{"Node Type": "Seq Scan", "Parallel Aware": true, "Schema": "app",
                "Relation Name": "e{number}", "Alias": "e_{number}", "Total Cost": {number}0,
                "Plan Rows": {number}00, "Actual Rows": {number}.5, "Actual Loops": 2,
                "Actual Total Time": 1.25, "Shared Hit Blocks": 3,
                "Filter": "(e_{number}.a = 'x\ny'::text)"}}"#
            )
        };
        let json = format!(
            r#"[{{"Plan": {{"Node Type": "Gather", "Workers Planned": 2, "Total Cost": 1234.5,
            "Plan Rows": 720, "Actual Rows": 9, "Actual Loops": 1, "Shared Hit Blocks": 6,
            "Plans": [{{"Node Type": "Append", "Parallel Aware": true, "Plans": [{}, {}]}}]}}}}]"#,
            scan(1),
            scan(2)
        );
        let roots = [(name("e1"), name("e")), (name("e2"), name("e"))].into();
        read(&json, &Names { roots, ..Names::default() }).unwrap()
    }

    #[test]
    fn figures_stand_beside_the_nodes() {
        let plan = plan();
        assert_eq!(
            plan.text(Figures::Estimated),
            "Gather  (cost 1,230, rows 720)\n  Workers Planned: 2\n  \
             -> Parallel Append  (cost 0, rows 0)\n       \
             -> 2 partitions x Parallel Seq Scan on app.e  (cost 30, rows 720)\n            \
             Filter: (e.a = 'x\\ny')"
        );
        let measured = plan.text(Figures::Measured);
        assert!(measured.contains("on app.e  (rows 8, 5.0 ms, blocks 6)"), "{measured}");
        assert_eq!((plan.cost(), plan.rows()), (1234.5, 720.0));
        let run = plan.measured.unwrap();
        assert_eq!((run.buffers.unwrap().all(), run.rows_processed), (6, 17.0));
        assert_eq!(plan.relations["app.e"].partitions, 2);
        assert_eq!(plan.digest().len(), 64);
    }

    #[test]
    fn figures_are_rounded_to_three_digits() {
        for (figure, shown) in
            [(0.0, "0"), (0.126, "0.13"), (9.5, "9.5"), (42.34, "42.3"), (1_234_567.0, "1,230,000")]
        {
            assert_eq!(rounded(figure), shown);
        }
    }
}

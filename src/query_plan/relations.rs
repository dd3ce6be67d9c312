//! Which tables a plan is about, so that the catalog can be asked about them. Pure.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::node::{Names, QueryPlan};
use crate::model::ident::{Ident, QualifiedName};

/// The tables that a plan reads or changes, as `EXPLAIN (FORMAT JSON, VERBOSE)` names them: each
/// partition, not the table above it. None where the text is no plan.
pub fn relations(json: &str) -> BTreeSet<QualifiedName> {
    let mut found = BTreeSet::new();
    let explained: Option<Value> = serde_json::from_str(json).ok();
    if let Some(top) = explained.as_ref().and_then(|explained| explained.pointer("/0/Plan")) {
        collect(top, &mut found);
    }
    found
}

impl Names {
    /// When statistics were made of the tables that a plan reads, as a short digest: another one
    /// means that the planner knows something else.
    pub fn statistics(&self, plan: &QueryPlan) -> String {
        let mut hash = Sha256::new();
        for (name, analyzed_at) in &self.analyzed_at {
            let name = name.to_string();
            // What was never analyzed tells nothing, wherever it is read.
            if *analyzed_at > 0.0 && plan.relations.contains_key(&name) {
                hash.update(format!("{name} {analyzed_at}\n"));
            }
        }
        hash.finalize().iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

fn collect(node: &Value, found: &mut BTreeSet<QualifiedName>) {
    let ident = |key: &str| Ident::new(node[key].as_str()?).ok();
    if let (Some(schema), Some(name)) = (ident("Schema"), ident("Relation Name")) {
        found.insert(QualifiedName::new(schema, name));
    }
    let targets = node["Target Tables"].as_array().into_iter().flatten();
    let below = node["Plans"].as_array().into_iter().flatten();
    below.chain(targets).for_each(|child| collect(child, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_wherever_they_are() {
        let plan = r#"[{"Plan": {"Node Type": "ModifyTable", "Schema": "s", "Relation Name": "t",
            "Target Tables": [{"Schema": "s", "Relation Name": "t_1"}],
            "Plans": [{"Node Type": "Seq Scan", "Schema": "S", "Relation Name": "u"}]}}]"#;
        let names: Vec<String> = relations(plan).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["\"S\".u", "s.t", "s.t_1"]);
        assert!(relations("no plan").is_empty() && relations("[]").is_empty());
    }
}

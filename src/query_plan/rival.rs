//! The best other plan of a query: whether the planner was near to choosing it. Pure.
//!
//! A plan that hardly beats its rival is chosen by what ANALYZE happened to sample, and may be
//! another one tomorrow.

use super::node::{Node, QueryPlan};

/// The planner's default of `random_page_cost`.
const RANDOM_PAGE_COST: f64 = 4.0;
/// What a node costs more that is switched off, up to 17 (`disable_cost` in costsize.c).
const DISABLE_COST: f64 = 1e10;

/// A setting under which a rival may win.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// By how much the rival can at most be dearer than it says, without the setting.
    at_most: f64,
}

/// Settings to look for rivals of a plan under: each kind of node that it uses switched off, and
/// pages that cost a share of `tie` more and less to fetch.
pub fn variants(plan: &QueryPlan, tie: f64) -> Vec<Variant> {
    let mut found: Vec<Variant> = Vec::new();
    for name in plan.root.walk().filter_map(switch) {
        if !found.iter().any(|variant| variant.name == name) {
            let value = if name == WORKERS { "0" } else { "off" }.to_string();
            found.push(Variant { name, value, at_most: 1.0 });
        }
    }
    let set = plan.settings.get("random_page_cost").and_then(|set| set.parse().ok());
    let page: f64 = set.unwrap_or(RANDOM_PAGE_COST);
    // What wins because pages are dearer costs no more than it says when they are cheaper; what
    // wins because they are cheaper, by at most as much more as these are.
    for (factor, at_most) in [(1.0 + tie, 1.0), (1.0 - tie, 1.0 / (1.0 - tie))] {
        let value = (page * factor).to_string();
        found.push(Variant { name: "random_page_cost", value, at_most });
    }
    found
}

const WORKERS: &str = "max_parallel_workers_per_gather";

/// What switches a node off.
fn switch(node: &Node) -> Option<&'static str> {
    const SWITCHES: [(&str, &str); 14] = [
        ("Index Only Scan", "enable_indexonlyscan"),
        ("Index Scan", "enable_indexscan"),
        ("Bitmap Heap Scan", "enable_bitmapscan"),
        ("Seq Scan", "enable_seqscan"),
        ("Hash Aggregate", "enable_hashagg"),
        ("HashAggregate", "enable_hashagg"),
        ("Hash", "enable_hashjoin"),
        ("Merge Append", "enable_sort"),
        ("Merge", "enable_mergejoin"),
        ("Nested Loop", "enable_nestloop"),
        ("Incremental Sort", "enable_incremental_sort"),
        ("Sort", "enable_sort"),
        ("Memoize", "enable_memoize"),
        ("Gather", WORKERS),
    ];
    let words = ["Parallel ", "Partial ", "Finalize "];
    let operator = words.iter().fold(node.operator.as_str(), |operator, word| {
        operator.strip_prefix(word).unwrap_or(operator)
    });
    SWITCHES.iter().find(|(known, _)| operator.starts_with(known)).map(|(_, name)| *name)
}

/// What the plan under a variant costs at most without it; `None` where it is the same plan, or
/// only what is left when nothing else is allowed.
pub fn rival_cost(plan: &QueryPlan, variant: &Variant, other: &QueryPlan) -> Option<f64> {
    let is_forced = other.cost() >= DISABLE_COST || other.root.walk().any(|node| node.disabled);
    let is_other = plan.digest() != other.digest();
    (is_other && !is_forced).then(|| other.cost() * variant.at_most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan::{Names, read};

    fn plan(kind: &str, cost: f64) -> QueryPlan {
        let json = format!(
            r#"[{{"Plan": {{"Node Type": "Limit", "Total Cost": {cost}, "Plans": [{{"Node Type":
            "{kind}", "Schema": "app", "Relation Name": "t", "Alias": "t"}}]}}}}]"#
        );
        read(&json, &Names::default()).unwrap()
    }

    #[test]
    fn what_a_plan_uses_is_switched_off() {
        let told = |plan: &QueryPlan| {
            let each = variants(plan, 0.02).into_iter();
            each.map(|one| format!("{}={}", one.name, one.value)).collect::<Vec<_>>()
        };
        let pages = ["random_page_cost=4.08", "random_page_cost=3.92"];
        let mut expected = vec!["enable_seqscan=off"];
        expected.extend(pages);
        assert_eq!(told(&plan("Seq Scan", 1.0)), expected);
        let mut cheap = plan("Index Only Scan", 1.0);
        cheap.settings.insert("random_page_cost".to_string(), "1".to_string());
        let expected =
            ["enable_indexonlyscan=off", "random_page_cost=1.02", "random_page_cost=0.98"];
        assert_eq!(told(&cheap), expected);
        assert_eq!(told(&plan("Function Scan", 1.0)), pages);
    }

    #[test]
    fn a_rival_is_another_plan_that_was_free_to_be_chosen() {
        let chosen = plan("Index Scan", 100.0);
        let [off, dearer, cheaper] = &variants(&chosen, 0.02)[..] else { panic!("three") };
        assert_eq!(rival_cost(&chosen, off, &plan("Seq Scan", 101.0)), Some(101.0));
        assert_eq!(rival_cost(&chosen, dearer, &plan("Index Scan", 101.0)), None);
        assert_eq!(rival_cost(&chosen, cheaper, &plan("Seq Scan", 98.0)), Some(100.0));
        assert_eq!(rival_cost(&chosen, off, &plan("Seq Scan", 1e10 + 1.0)), None);
        let mut disabled = plan("Seq Scan", 101.0);
        disabled.root.disabled = true;
        assert_eq!(rival_cost(&chosen, off, &disabled), None);
    }
}

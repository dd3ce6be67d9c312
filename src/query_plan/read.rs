//! Reads what EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) of PostgreSQL 14 to 18 writes. Pure.
//!
//! Total: any text gives a plan or an error. What is not known to make a node what it is, is left
//! out, so that a key of a later version changes no digest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fold::normalise;
use super::node::{
    Actual, Buffers, Estimate, Index, Measured, Names, Node, Property, QueryPlan, RelationFacts,
    Role, SCHEMA_VERSION, Target,
};
use super::operator::{class, operator};
use super::text::short_index;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{Ident, QualifiedName};

/// Makes a normalised plan of EXPLAIN's JSON; `names` is what the catalog says about its names.
///
/// Takes plans with and without ANALYZE and BUFFERS. Errors where the text is no plan, or holds
/// several, as that of a statement which a rule rewrote.
pub fn read(json: &str, names: &Names) -> Result<QueryPlan> {
    let explained: Value = serde_json::from_str(json).map_err(|error| refused(&error))?;
    let explained = match explained.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        Some(several) => {
            return Err(refused(format!("it holds {} plans instead of one", several.len())));
        }
        None => return Err(refused("it is no list")),
    };
    let top = explained.get("Plan").ok_or_else(|| {
        refused("it has no node").hint("statements without rows or tables, as SET, have no plan")
    })?;
    let reader = Reader { names };
    let mut root = reader.node(top, None, Role::Input)?;
    let mut params = BTreeMap::new();
    initplan_results(top, &mut params);
    normalise(&mut root, params);
    Ok(QueryPlan {
        schema_version: SCHEMA_VERSION,
        settings: settings(explained),
        relations: reader.relations(&root),
        measured: measured(explained, &root),
        root,
    })
}

/// The error of a text that is no plan.
fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Database, format!("cannot read a plan: {why}"))
}

/// EXPLAIN's SETTINGS.
fn settings(explained: &Value) -> BTreeMap<String, String> {
    let settings = explained["Settings"].as_object().into_iter().flatten();
    settings.map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// A value as text: strings without quotes, lists with commas.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A number that a key holds, or 0; never negative, never infinite.
fn number(node: &Value, key: &str) -> f64 {
    node[key].as_f64().filter(|number| number.is_finite()).unwrap_or_default().max(0.0)
}

/// A count that a key holds, or 0; 18 writes some with decimals. Larger ones than a server can have
/// are cut, so that sums do not overflow.
fn count(node: &Value, key: &str) -> u64 {
    const MOST: u64 = 1 << 48;
    node[key].as_u64().unwrap_or(number(node, key) as u64).min(MOST)
}

/// The properties that make a node what it is, in the order they are shown. What is not here is
/// estimate, measurement, noise (`Output`, `Query Identifier`) or differs between versions only
/// (`Window` of 18).
const IDENTITY: &[&str] = &[
    "Inner Unique",
    "Single Copy",
    "Workers Planned",
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Order By",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Run Condition",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Grouping Sets",
    "Cache Key",
    "Cache Mode",
    "Function Call",
    "Table Function Call",
    "Sampling Method",
    "Sampling Parameters",
    "Repeatable Seed",
    "Conflict Resolution",
    "Conflict Arbiter Indexes",
    "Conflict Filter",
    "Remote SQL",
];

/// Reads nodes with the catalog's help.
struct Reader<'a> {
    names: &'a Names,
}

impl Reader<'_> {
    /// Reads a node and all below; `schema` is that of the bitmap heap scan above.
    fn node(&self, value: &Value, schema: Option<&str>, role: Role) -> Result<Node> {
        let kind = value["Node Type"].as_str().filter(|kind| !kind.is_empty());
        let kind = kind.ok_or_else(|| refused("a node has no \"Node Type\""))?;
        let schema = value["Schema"].as_str().or(schema);
        let below = value["Plans"].as_array().into_iter().flatten();
        let children = below
            .map(|child| self.node(child, schema, child_role(child)))
            .collect::<Result<Vec<Node>>>()?;
        let properties =
            IDENTITY.iter().filter_map(|key| self.property(value, schema, key)).collect();
        Ok(Node {
            operator: operator(value),
            class: class(kind),
            role,
            target: self.target(value)?,
            index: value["Index Name"].as_str().map(|name| self.index(schema, name)),
            properties,
            count: 1,
            removed: count(value, "Subplans Removed"),
            disabled: value["Disabled"] == true,
            estimate: Estimate {
                startup: number(value, "Startup Cost"),
                total: number(value, "Total Cost"),
                rows: number(value, "Plan Rows"),
            },
            actual: actual(value),
            children,
        })
    }

    /// What the node reads or writes.
    fn target(&self, value: &Value) -> Result<Option<Target>> {
        let alias = value["Alias"].as_str().unwrap_or_default().to_string();
        if let Some(relation) = value["Relation Name"].as_str() {
            let name = ident(relation)?;
            let Some(schema) = value["Schema"].as_str() else {
                return Ok(Some(Target { name: name.to_string(), alias, partitions: Vec::new() }));
            };
            let name = QualifiedName::new(ident(schema)?, name);
            let target = match self.names.roots.get(&name) {
                Some(root) => {
                    Target { name: root.to_string(), alias, partitions: vec![name.to_string()] }
                }
                None => Target { name: name.to_string(), alias, partitions: Vec::new() },
            };
            return Ok(Some(target));
        }
        let keys = ["CTE Name", "Function Name", "Table Function Name", "Tuplestore Name"];
        let name = keys.iter().find_map(|key| value[*key].as_str()).unwrap_or(&alias).to_string();
        Ok((!name.is_empty()).then_some(Target { name, alias, partitions: Vec::new() }))
    }

    /// The index `name`; an index is in its table's schema.
    fn index(&self, schema: Option<&str>, name: &str) -> Index {
        let qualified = schema.and_then(|schema| {
            Some(QualifiedName::new(Ident::new(schema).ok()?, Ident::new(name).ok()?))
        });
        let definition = qualified.and_then(|name| self.names.indexes.get(&name));
        let definition = definition.map_or_else(|| name.to_string(), Clone::clone);
        Index { definition, name: name.to_string() }
    }

    /// The property `key` of a node, if it has it and it says anything.
    fn property(&self, value: &Value, schema: Option<&str>, key: &str) -> Option<Property> {
        let value = value.get(key).filter(|value| !value.is_null() && **value != false)?;
        let text = match value.as_array().filter(|_| key == "Conflict Arbiter Indexes") {
            Some(indexes) => {
                let names = indexes.iter().filter_map(Value::as_str);
                let indexes = names.map(|name| short_index(&self.index(schema, name)));
                indexes.collect::<Vec<_>>().join(", ")
            }
            None => plain(value),
        };
        Some(Property { key: key.to_string(), text })
    }

    /// What the catalog knows of the tables below `root`.
    fn relations(&self, root: &Node) -> BTreeMap<String, RelationFacts> {
        let used: Vec<&str> =
            root.walk().filter_map(|node| Some(node.target.as_ref()?.name.as_str())).collect();
        let mut found = BTreeMap::new();
        for (name, size) in &self.names.sizes {
            let name = name.to_string();
            if used.contains(&name.as_str()) {
                found.insert(name, RelationFacts { size: Some(*size), partitions: 0 });
            }
        }
        for name in self.names.roots.values().map(QualifiedName::to_string) {
            if used.contains(&name.as_str()) {
                found.entry(name).or_insert_with(RelationFacts::default).partitions += 1;
            }
        }
        found
    }
}

/// A name that the server could have.
fn ident(name: &str) -> Result<Ident> {
    Ident::new(name).map_err(refused)
}

/// Up to 16 an InitPlan's results are parameters: `InitPlan 1 (returns $0,$1)`. Finds what 17 calls
/// them, `(InitPlan 1).col1`, by their numbers.
fn initplan_results(node: &Value, params: &mut BTreeMap<String, String>) {
    let name = node["Subplan Name"].as_str().unwrap_or_default();
    if let Some((plan, returned)) = name.split_once(" (returns ") {
        for (at, param) in returned.trim_end_matches(')').split(',').enumerate() {
            let number = param.trim().trim_start_matches('$').to_string();
            params.insert(number, format!("({plan}).col{}", at + 1));
        }
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        initplan_results(child, params);
    }
}

/// How a child hangs below its parent. Up to 16 an InitPlan is called `InitPlan 1 (returns $0)`.
fn child_role(child: &Value) -> Role {
    let name = child["Subplan Name"].as_str().unwrap_or_default();
    let name = name.split(" (returns ").next().unwrap_or(name);
    match (child["Parent Relationship"].as_str(), name.split_once(' ')) {
        (_, Some(("CTE", cte))) => Role::Cte(cte.to_string()),
        (_, Some(("InitPlan", number))) => Role::InitPlan(number.to_string()),
        (_, Some(("SubPlan", number))) => Role::SubPlan(number.to_string()),
        (Some("Inner"), _) => Role::Inner,
        _ => Role::Input,
    }
}

/// What a node did, all loops together; `None` without ANALYZE.
fn actual(value: &Value) -> Option<Actual> {
    let loops = value.get("Actual Loops")?.as_f64()?.max(0.0);
    let removed: f64 = ["Rows Removed by Filter", "Rows Removed by Join Filter"]
        .iter()
        .chain(&["Rows Removed by Index Recheck"])
        .map(|key| number(value, key))
        .sum();
    Some(Actual {
        rows: number(value, "Actual Rows") * loops,
        loops,
        rows_removed: removed * loops,
        time_ms: number(value, "Actual Total Time") * loops,
        spilled_kb: spilled_kb(value),
        buffers: buffers(value),
    })
}

/// Disk space that a node took because memory did not suffice, in kB. A Hash that splits into
/// batches does not say how much; its temporary blocks do.
fn spilled_kb(value: &Value) -> u64 {
    let sorted =
        if value["Sort Space Type"] == "Disk" { count(value, "Sort Space Used") } else { 0 };
    let batches = count(value, "Hash Batches");
    let hashed = if batches > 1 { (count(value, "Temp Written Blocks") * 8).max(1) } else { 0 };
    sorted.max(count(value, "Disk Usage")).max(hashed)
}

/// The blocks a node touched, with those below.
fn buffers(value: &Value) -> Buffers {
    let sum = |keys: &[&str]| keys.iter().fold(0, |sum: u64, key| sum + count(value, key));
    Buffers {
        hit: sum(&["Shared Hit Blocks", "Local Hit Blocks"]),
        read: sum(&["Shared Read Blocks", "Local Read Blocks"]),
        temp: sum(&["Temp Read Blocks", "Temp Written Blocks"]),
    }
}

/// What the run did as a whole; `None` without ANALYZE.
fn measured(explained: &Value, root: &Node) -> Option<Measured> {
    root.actual?;
    let top = &explained["Plan"];
    let rows = root.walk().filter_map(|node| node.actual);
    let io = ["I/O Read Time", "Shared I/O Read Time", "Local I/O Read Time", "Temp I/O Read Time"];
    Some(Measured {
        buffers: top.get("Shared Hit Blocks").map(|_| buffers(top)),
        rows_processed: rows.map(|actual| actual.rows + actual.rows_removed).sum(),
        time_ms: number(explained, "Execution Time"),
        planning_ms: number(explained, "Planning Time"),
        io_read_ms: io.iter().map(|key| number(top, key)).sum(),
    })
}

//! What a node does, in the words of EXPLAIN's text format, and what kind of thing that is. Pure.
//!
//! JSON spreads it over several keys (`ExplainNode` in explain.c composes them for text).

use serde_json::Value;

use super::node::Class;

/// `Parallel Seq Scan`, `Hash Left Join`, `Partial HashAggregate`, `Index Scan Backward`.
pub fn operator(node: &Value) -> String {
    let word = |key: &str| node[key].as_str().unwrap_or_default();
    let kind = word("Node Type");
    let name = match kind {
        "Aggregate" => match word("Strategy") {
            "Sorted" => "GroupAggregate".to_string(),
            "Hashed" => "HashAggregate".to_string(),
            "Mixed" => "MixedAggregate".to_string(),
            _ => "Aggregate".to_string(),
        },
        "SetOp" if word("Strategy") == "Hashed" => format!("HashSetOp {}", word("Command")),
        "SetOp" => format!("SetOp {}", word("Command")),
        "ModifyTable" => word("Operation").to_string(),
        "Nested Loop" => match word("Join Type") {
            "" | "Inner" => kind.to_string(),
            join => format!("{kind} {join} Join"),
        },
        "Hash Join" | "Merge Join" => match word("Join Type") {
            "" | "Inner" => kind.to_string(),
            join => format!("{} {join} Join", kind.trim_end_matches(" Join")),
        },
        "Foreign Scan" => match word("Operation") {
            "" | "Select" => kind.to_string(),
            operation => format!("Foreign {operation}"),
        },
        "Custom Scan" => format!("Custom Scan ({})", word("Custom Plan Provider")),
        _ => kind.to_string(),
    };
    let mode = match word("Partial Mode") {
        "" | "Simple" => String::new(),
        mode => format!("{mode} "),
    };
    let flag = |key: &str, text: &'static str| if node[key] == true { text } else { "" };
    let backward = if word("Scan Direction") == "Backward" { " Backward" } else { "" };
    let parallel = flag("Parallel Aware", "Parallel ");
    let name = format!("{}{parallel}{mode}{name}{backward}", flag("Async Capable", "Async "));
    name.trim().to_string()
}

/// The class of a `Node Type`.
pub fn class(kind: &str) -> Class {
    match kind {
        "Bitmap Index Scan" | "BitmapAnd" | "BitmapOr" => Class::Bitmap,
        "Subquery Scan" | "Result" | "Limit" | "ProjectSet" | "LockRows" => Class::Pass,
        "Nested Loop" | "Hash Join" | "Merge Join" => Class::Join,
        "Aggregate" | "Group" | "Unique" | "WindowAgg" | "SetOp" => Class::Aggregate,
        "Sort" | "Incremental Sort" => Class::Sort,
        "Append" | "Merge Append" | "Recursive Union" => Class::Append,
        "Gather" | "Gather Merge" => Class::Gather,
        "Materialize" | "Memoize" | "Hash" => Class::Keep,
        "ModifyTable" => Class::Modify,
        kind if kind.ends_with(" Scan") => Class::Scan,
        _ => Class::Other,
    }
}

//! How a plan gets at its tables, in a few words. Pure.

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// How a plan gets at its tables: its scans, counted, in the order of the plan:
/// `8 Index Only`, `Index + 2 Seq`. The nodes above them rarely change with an index, and those
/// below a bitmap scan only feed it.
///
/// Takes the text of `EXPLAIN (FORMAT JSON)`; errors where it is something else.
pub fn scans(json: &str) -> Result<String> {
    let refused = |why: String| Error::new(Kind::Database, format!("cannot read a plan: {why}"));
    let plan: Value = serde_json::from_str(json).map_err(|error| refused(error.to_string()))?;
    let root = plan.pointer("/0/Plan").ok_or_else(|| refused("it has no node".to_string()))?;
    let mut found = Vec::new();
    collect_scans(root, &mut found);
    let counted = found.into_iter().map(|(scan, count)| match count {
        1 => scan,
        count => format!("{count} {scan}"),
    });
    let text = counted.collect::<Vec<_>>().join(" + ");
    Ok(if text.is_empty() { "no table".to_string() } else { text })
}

/// Adds the scans at and below `node` to those found so far.
fn collect_scans(node: &Value, found: &mut Vec<(String, usize)>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if let Some(scan) = kind.strip_suffix(" Scan").filter(|_| node["Relation Name"].is_string()) {
        let scan = scan.trim_end_matches(" Heap");
        match found.iter_mut().find(|(known, _)| known == scan) {
            Some((_, count)) => *count += 1,
            None => found.push((scan.to_string(), 1)),
        }
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_scans(child, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_counted_wherever_they_are() {
        let plan = r#"[{"Plan": {"Node Type": "Aggregate", "Plans": [
            {"Node Type": "Index Scan", "Relation Name": "a"},
            {"Node Type": "Append", "Plans": [
                {"Node Type": "Seq Scan", "Relation Name": "p0"},
                {"Node Type": "Bitmap Heap Scan", "Relation Name": "p1", "Plans": [
                    {"Node Type": "Bitmap Index Scan", "Index Name": "p1_i"}]},
                {"Node Type": "Seq Scan", "Relation Name": "p2"}]}]}}]"#;
        assert_eq!(scans(plan).unwrap(), "Index + 2 Seq + Bitmap");
    }

    #[test]
    fn a_plan_without_tables_and_no_plan_at_all() {
        assert_eq!(scans(r#"[{"Plan": {"Node Type": "Result"}}]"#).unwrap(), "no table");
        assert!(scans("[]").unwrap_err().message.contains("no node"));
        assert!(scans("Seq Scan on a").unwrap_err().message.starts_with("cannot read a plan"));
    }
}

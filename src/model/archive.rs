//! What a partition was when it was archived: its place, its shape, and sums over its rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::below::Below;
use super::ident::{Ident, QualifiedName};

/// Where a partition hung before it was detached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The partitioned table.
    pub parent: QualifiedName,
    /// `pg_get_expr(relpartbound)`, timestamps in UTC.
    pub bound: String,
    /// Columns of a RANGE or LIST key, in order; none where the key is hashed or an expression.
    pub key: Vec<Ident>,
}

/// A table's shape: enough to make one that can take the rows back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Columns in order; dropped ones are none.
    pub columns: Vec<Column>,
    /// `ALTER TABLE … ADD` clauses of its constraints (`pg_get_constraintdef`), by name.
    pub constraints: BTreeMap<Ident, String>,
    /// `pg_get_indexdef` of the indexes that implement no constraint, by name.
    pub indexes: BTreeMap<Ident, String>,
    /// How it is partitioned itself: then its rows are those of its partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Below>,
}

/// A column as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// `format_type`, with the schema where it has one of its own.
    #[serde(rename = "type")]
    pub sql_type: String,
    /// NOT NULL.
    pub not_null: bool,
    /// Its collation, where it is not that of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Its default, or the expression that it is generated from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `GENERATED ALWAYS AS (…)`: computed anew when restored, so its values are not archived.
    #[serde(default)]
    pub generated: bool,
    /// `attidentity`: `always` or `by default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl Shape {
    /// The columns whose values are archived.
    pub fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.generated)
    }
}

/// What the server says of all rows of a table at one moment; equal rows give equal sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// How many rows.
    pub rows: u64,
    /// How many NULLs each stored column has.
    pub nulls: BTreeMap<Ident, u64>,
    /// What the key's columns range over.
    pub key: Vec<KeyRange>,
    /// The sum of the rows' hashes, in decimal; the order of the rows does not matter.
    pub hash: String,
}

/// Least and greatest value of a key's column, as text with timestamps in UTC; none without rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The column.
    pub column: Ident,
    /// Its least value that is not NULL.
    pub least: Option<String>,
    /// Its greatest.
    pub greatest: Option<String>,
}

impl Contents {
    /// What differs in `found`, in words; empty where the rows are the same.
    pub fn differences(&self, found: &Contents) -> Vec<String> {
        let mut differences = Vec::new();
        if self.rows != found.rows {
            differences.push(format!("{} rows instead of {}", found.rows, self.rows));
        }
        for (column, nulls) in &self.nulls {
            let now = found.nulls.get(column).copied().unwrap_or_default();
            if *nulls != now {
                differences.push(format!("{now} NULLs in {column} instead of {nulls}"));
            }
        }
        if self.hash != found.hash {
            differences.push(format!("content hash {} instead of {}", found.hash, self.hash));
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let column = Ident::new("Größe").unwrap();
        let nulls = |count| BTreeMap::from([(column.clone(), count)]);
        let contents = |rows, count, hash: &str| Contents {
            rows,
            nulls: nulls(count),
            key: vec![],
            hash: hash.to_string(),
        };
        let archived = contents(3, 1, "-5");
        assert_eq!(archived.differences(&contents(3, 1, "-5")), Vec::<String>::new());
        assert_eq!(
            archived.differences(&contents(4, 2, "6")),
            [
                "4 rows instead of 3",
                "2 NULLs in \"Größe\" instead of 1",
                "content hash 6 instead of -5"
            ]
        );
    }
}

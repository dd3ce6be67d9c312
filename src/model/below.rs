//! How a partition is partitioned itself: by HASH, as rules make it and archives describe it.

use serde::{Deserialize, Serialize};

use super::catalog::RelationKind;
use super::ident::{Ident, QualifiedName, parse_name};

/// Partitions of a partition, by HASH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Below {
    /// The columns to hash.
    pub columns: Vec<Ident>,
    /// Names of the partitions by remainder; there are as many as the modulus.
    pub partitions: Vec<QualifiedName>,
}

/// A partition of a partition, as the catalog has it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name.
    pub name: &'a QualifiedName,
    /// What it is.
    pub kind: RelationKind,
    /// `pg_get_expr(relpartbound)`
    pub bound: &'a str,
}

impl Below {
    /// Reads what `pg_get_partkeydef` and the bounds say. The error says in words what is not just
    /// one complete modulus of ordinary tables: `it is partitioned by RANGE`.
    pub fn of(key: &str, parts: &[Part<'_>]) -> Result<Below, String> {
        let (scheme, columns) = key.split_once(' ').unwrap_or((key, ""));
        if scheme != "HASH" {
            return Err(format!("it is partitioned by {scheme}"));
        }
        let inner = columns.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let mut quoted = false;
        let parts_of_key = inner.unwrap_or_default().split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let columns: Option<Vec<Ident>> = parts_of_key.map(column).collect();
        let columns = columns.ok_or("its key is more than columns")?;
        if let Some(part) = parts.iter().find(|part| part.kind != RelationKind::Table) {
            return Err(format!("its partition {} is no ordinary table", part.name));
        }
        let named = |remainder| {
            let bound = hash_bound(parts.len(), remainder);
            parts.iter().find(|part| part.bound == bound).map(|part| part.name.clone())
        };
        let partitions: Option<Vec<QualifiedName>> = (0..parts.len()).map(named).collect();
        match partitions.filter(|partitions| !partitions.is_empty()) {
            Some(partitions) => Ok(Below { columns, partitions }),
            None => Err("its partitions are not all those of one modulus".to_string()),
        }
    }
}

/// A column of a key, without operator class and collation.
fn column(text: &str) -> Option<Ident> {
    match parse_name(text)?.as_slice() {
        [column] => Some(column.clone()),
        [..] => None,
    }
}

/// The bound of one remainder, as the server prints it.
pub fn hash_bound(modulus: usize, remainder: usize) -> String {
    format!("FOR VALUES WITH (modulus {modulus}, remainder {remainder})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, bounds: &[(usize, usize)], kind: RelationKind) -> Result<Below, String> {
        let name = |n: usize| {
            QualifiedName::new(Ident::new("s").unwrap(), Ident::new(format!("p{n}")).unwrap())
        };
        let names: Vec<QualifiedName> = (0..bounds.len()).map(name).collect();
        let bounds: Vec<String> = bounds.iter().map(|(m, r)| hash_bound(*m, *r)).collect();
        let part = |(name, bound)| Part { name, kind, bound };
        let parts: Vec<Part<'_>> =
            names.iter().zip(bounds.iter().map(String::as_str)).map(part).collect();
        Below::of(key, &parts)
    }

    #[test]
    fn one_modulus_of_tables_is_read_in_the_order_of_remainders() {
        let below =
            read("HASH (a, \"B, \"\"(c)\")", &[(2, 1), (2, 0)], RelationKind::Table).unwrap();
        let columns: Vec<&str> = below.columns.iter().map(Ident::as_str).collect();
        assert_eq!(columns, ["a", "B, \"(c)"]);
        let names: Vec<String> = below.partitions.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["s.p1", "s.p0"]);
    }

    #[test]
    fn all_else_is_named() {
        let why = |key: &str, bounds: &[(usize, usize)], kind| read(key, bounds, kind).unwrap_err();
        let table = RelationKind::Table;
        assert_eq!(why("RANGE (a)", &[(1, 0)], table), "it is partitioned by RANGE");
        let more = "its key is more than columns";
        assert_eq!(why("HASH (lower(a))", &[(1, 0)], table), more);
        assert_eq!(why("HASH (a COLLATE \"C\")", &[(1, 0)], table), more);
        assert_eq!(why("HASH (a int4_special_ops, b)", &[(1, 0)], table), more);
        let modulus = "its partitions are not all those of one modulus";
        assert_eq!(why("HASH (a)", &[(2, 0), (4, 1), (4, 3)], table), modulus);
        assert_eq!(why("HASH (a)", &[(2, 0)], table), modulus);
        assert_eq!(why("HASH (a)", &[], table), modulus);
        let deeper = "its partition s.p0 is no ordinary table";
        assert_eq!(why("HASH (a)", &[(1, 0)], RelationKind::PartitionedTable), deeper);
    }
}

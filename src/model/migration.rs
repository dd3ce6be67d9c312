//! Migrations as files name them and as the history table records them.

use std::fmt;
use std::hash::{Hash, Hasher};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

/// `V` migrations run in order; `U` (unversioned) ones may come late, as refinery has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Prefix {
    /// In order.
    V,
    /// May be applied out of order.
    U,
}

/// A migration's identity: `V3__add_indexes`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MigrationId {
    /// The number after the prefix.
    pub version: i64,
    /// The name after the two underscores.
    pub name: String,
    /// Whether it must come in order.
    pub prefix: Prefix,
}

/// Where a statement of a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementPlace {
    /// The migration's version.
    pub version: i64,
    /// The line of its file, from 1.
    pub line: usize,
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.prefix {
            Prefix::V => 'V',
            Prefix::U => 'U',
        };
        write!(f, "{prefix}{}__{}", self.version, self.name)
    }
}

impl MigrationId {
    /// Reads `V3__add_indexes` (a file's name without `.sql`), by refinery's rule:
    /// `^([U|V])(\d+(?:\.\d+)?)__(\w+)$`, whole versions only.
    pub fn from_file_stem(stem: &str) -> Result<MigrationId, String> {
        let (head, name) = stem.split_once("__").ok_or("there is no `__` before the name")?;
        let prefix = match head.chars().next() {
            Some('V') => Prefix::V,
            Some('U') => Prefix::U,
            Some(_) | None => return Err("it must begin with V or U".to_string()),
        };
        let digits = &head[1..];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("`{digits}` is no whole number"));
        }
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err("the name may hold letters, digits and underscores only".to_string());
        }
        let version = digits.parse().map_err(|_| format!("{digits} does not fit 64 bits"))?;
        Ok(MigrationId { version, name: name.to_string(), prefix })
    }
}

/// refinery's checksums of one migration. The hash covers the version's integer width
/// (`refinery_core::Migration::unapplied`: SipHash-1-3 with zero keys over name, version, SQL),
/// so a file has one checksum per width of the history table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// As recorded in a table with an `int4` version; `None` where the version does not fit.
    pub int4: Option<u64>,
    /// As recorded in a table with an `int8` version.
    pub int8: u64,
}

impl Checksums {
    /// Computes both checksums.
    pub fn of(id: &MigrationId, sql: &str) -> Checksums {
        let hash = |write_version: &dyn Fn(&mut SipHasher13)| {
            let mut hasher = SipHasher13::new();
            id.name.hash(&mut hasher);
            write_version(&mut hasher);
            sql.hash(&mut hasher);
            hasher.finish()
        };
        Checksums {
            int4: i32::try_from(id.version)
                .ok()
                .map(|version| hash(&|hasher| version.hash(hasher))),
            int8: hash(&|hasher| id.version.hash(hasher)),
        }
    }
}

/// Width of the history's version column; refinery's checksums depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionWidth {
    /// `int4`: versions up to 2,147,483,647.
    Int4,
    /// `int8`: also timestamps such as 20261121093000.
    Int8,
}

impl Checksums {
    /// The checksum a table of this width records.
    pub fn at(self, width: VersionWidth) -> Option<u64> {
        match width {
            VersionWidth::Int4 => self.int4,
            VersionWidth::Int8 => Some(self.int8),
        }
    }
}

/// What the database remembers of migrations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// Width of the existing table's version column; `None` where there is no table.
    pub width: Option<VersionWidth>,
    /// The table's rows, by version.
    pub applied: Vec<Applied>,
    /// Whether `pgtune_state.migration_progress` exists.
    pub has_progress: bool,
    /// Statements of half-applied migrations.
    pub progress: Vec<Progress>,
}

/// One statement of a half-applied migration (`pgtune_state.migration_progress`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The migration's version.
    pub version: i64,
    /// The statement's place in its file, from 1.
    pub statement: u32,
    /// [`statement_checksum`] of its text.
    pub checksum: String,
    /// Otherwise it was begun, and may or may not have taken effect.
    pub finished: bool,
}

/// Fingerprint of a statement's text: the first 16 hexadecimal digits of its SHA-256.
pub fn statement_checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// One row of the history table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// `version`
    pub version: i64,
    /// `name`
    pub name: String,
    /// `applied_on`, RFC 3339 as written.
    pub applied_on: String,
    /// `checksum`, decimal text.
    pub checksum: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_checksums_are_refinerys() {
        for (stem, sql) in [
            ("V1__initial", "create table t (a int);"),
            ("U20261121093000__späte_änderung", "select 1;\r\n"),
            ("V007__x", ""),
        ] {
            let id = MigrationId::from_file_stem(stem).unwrap();
            let theirs = refinery::Migration::unapplied(stem, sql).unwrap();
            assert_eq!(id.version, theirs.version());
            assert_eq!(id.name, theirs.name());
            assert_eq!(Checksums::of(&id, sql).int8, theirs.checksum());
        }
    }

    #[test]
    fn bad_names_say_why() {
        for (stem, why) in [
            ("V1_initial", "no `__`"),
            ("W1__initial", "V or U"),
            ("V1.5__initial", "whole number"),
            ("V__initial", "whole number"),
            ("V1__in itial", "letters, digits"),
            ("V1__", "letters, digits"),
            ("V99999999999999999999__x", "64 bits"),
        ] {
            let error = MigrationId::from_file_stem(stem).unwrap_err();
            assert!(error.contains(why), "{stem}: {error}");
        }
    }
}

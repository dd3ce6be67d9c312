//! The manifest: what an archive holds and how that is proven, as JSON beside it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::stream::Sums;
use crate::error::{Error, Kind, Result};
use crate::model::archive::{Contents, Lineage, Shape};
use crate::model::ident::{Ident, QualifiedName, truncate};

/// Changes when a reader of the old form would go wrong: one of version 1 knows no table that is
/// partitioned itself.
const VERSIONS: [u32; 2] = [1, 2];
/// Longest part of a name that comes from a partition's bound.
const BOUND_BYTES_MAX: usize = 80;

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub version: u32,
    /// Its name in the store, without ending.
    pub name: String,
    /// The table the rows were in.
    pub table: QualifiedName,
    /// Where it hung before it was detached.
    pub lineage: Option<Lineage>,
    /// Its columns, constraints and indexes.
    pub shape: Shape,
    /// What the server counted and hashed, at the moment the rows were read.
    pub contents: Contents,
    /// What the bytes come to.
    pub stream: Sums,
    /// `server_version` of where they came from.
    pub server_version: String,
    /// The server's clock then: RFC 3339, UTC.
    pub at: String,
    /// The position of its write-ahead log then.
    pub lsn: String,
    /// SHA-256 of this file with nothing here: finds edits made by accident, not those of an
    /// enemy, who would write it anew.
    pub seal: String,
}

impl Manifest {
    /// Fills in version and seal.
    pub fn sealed(self) -> Manifest {
        let version = VERSIONS[usize::from(self.shape.below.is_some())];
        let mut manifest = Manifest { version, ..self };
        manifest.seal = manifest.seal_of();
        manifest
    }

    /// As the text of a file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest fits into JSON") + "\n"
    }

    /// Reads what [`Manifest::to_json`] wrote. Errors name the file: not a manifest, of a newer
    /// pgtune, or edited.
    pub fn from_json(name: &str, text: &str) -> Result<Manifest> {
        let wrong = |why: &str| Error::new(Kind::Answer, format!("the manifest {name} {why}"));
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| wrong("is not valid JSON").caused_by(error))?;
        match value["version"].as_u64() {
            Some(version) if VERSIONS.iter().any(|known| version == u64::from(*known)) => {}
            Some(version) => {
                let [oldest, newest] = VERSIONS;
                let known = format!("{oldest} to {newest}");
                let error = wrong(&format!("has version {version}; this pgtune reads {known}"));
                return Err(error.hint("use the pgtune that wrote it, or a newer one"));
            }
            None => return Err(wrong("has no version")),
        }
        let manifest: Manifest = serde_json::from_value(value)
            .map_err(|error| wrong("is incomplete").caused_by(error))?;
        if manifest.seal != manifest.seal_of() {
            return Err(wrong("was changed after it was written"));
        }
        if manifest.name != name {
            return Err(wrong(&format!("is that of {}", manifest.name)));
        }
        Ok(manifest)
    }

    /// The columns whose values are archived, in the order of the archive.
    pub fn columns(&self) -> Vec<Ident> {
        self.shape.stored().map(|column| column.name.clone()).collect()
    }

    /// The rows' place in the store.
    pub fn rows_file(&self) -> String {
        format!("{}.copy.zst", self.name)
    }

    fn seal_of(&self) -> String {
        hex(&Manifest { seal: String::new(), ..self.clone() }.to_json())
    }
}

/// The place of a manifest in the store.
pub fn manifest_file(name: &str) -> String {
    format!("{name}.json")
}

/// An archive's name: one folder for the partitions of a table, one name for each bound, so that
/// whoever archives the same partition again finds what is there. Without a bound the server's
/// clock makes the name.
pub fn archive_name(table: &QualifiedName, lineage: Option<&Lineage>, at: &str) -> String {
    match lineage {
        Some(lineage) => {
            let bound = bound_name(&lineage.bound);
            format!("{}/{bound}-{}", folder_name(&lineage.parent), &hex(&lineage.bound)[..8])
        }
        None => {
            let clock: String = at.chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
            format!("{}/{clock}", folder_name(table))
        }
    }
}

/// `schema.table`; other characters than letters and digits are written `%2e`.
fn folder_name(table: &QualifiedName) -> String {
    let escape = |name: &Ident| -> String {
        let one = |c: char| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => c.to_string(),
            c => {
                let mut buffer = [0; 4];
                c.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02x}")).collect()
            }
        };
        name.as_str().chars().map(one).collect()
    };
    format!("{}.{}", escape(&table.schema), escape(&table.name))
}

/// `2026-01-01_2026-02-01` for `FOR VALUES FROM ('2026-01-01 00:00:00+00') TO (…)`: for people,
/// and not unique, so a hash of the bound follows it.
fn bound_name(bound: &str) -> String {
    let words = ["FOR VALUES", "FROM", "TO", "IN", "WITH"];
    let plain = bound.replace(" 00:00:00+00'", "'").replace(" 00:00:00'", "'");
    let plain = plain.replace(['(', ')'], " ");
    let plain = words
        .iter()
        .fold(format!(" {plain} "), |text, word| text.replace(&format!(" {word} "), " "));
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let parts = plain.split(|c: char| !is_kept(c)).filter(|part| !part.is_empty());
    let name = parts.collect::<Vec<_>>().join("_");
    truncate(&name, BOUND_BYTES_MAX).to_string()
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> QualifiedName {
        QualifiedName::new(Ident::new(schema).unwrap(), Ident::new(name).unwrap())
    }

    fn manifest() -> Manifest {
        let contents = Contents {
            rows: 0,
            nulls: [(Ident::new("a b").unwrap(), 0)].into(),
            key: vec![],
            hash: "0".to_string(),
        };
        let stream = Sums {
            rows: 0,
            bytes: 0,
            line_hash: "0".to_string(),
            packed_bytes: 9,
            sha256: "f".to_string(),
        };
        let manifest = Manifest {
            version: 0,
            name: "public.t/x".to_string(),
            table: table("public", "t"),
            lineage: None,
            shape: Shape {
                columns: vec![],
                constraints: [].into(),
                indexes: [].into(),
                below: None,
            },
            contents,
            stream,
            server_version: "18.4".to_string(),
            at: "2026-11-21T09:00:00.000000Z".to_string(),
            lsn: "0/1".to_string(),
            seal: String::new(),
        };
        manifest.sealed()
    }

    #[test]
    fn a_manifest_survives_its_file() {
        let manifest = manifest();
        assert_eq!(Manifest::from_json(&manifest.name, &manifest.to_json()).unwrap(), manifest);
    }

    #[test]
    fn edits_and_strangers_are_refused() {
        let text = manifest().to_json();
        let said = |name: &str, text: &str| Manifest::from_json(name, text).unwrap_err().message;
        let edited = text.replace("\"rows\": 0", "\"rows\": 1");
        assert_ne!(edited, text);
        let name = "public.t/x";
        assert!(said(name, &edited).contains("was changed after it was written"));
        assert!(
            said(name, &text.replace("\"version\": 1", "\"version\": 3")).contains("version 3")
        );
        assert!(said(name, &text[..100]).contains("is not valid JSON"));
        assert!(said(name, "{}").contains("has no version"));
        assert!(said(name, "{\"version\": 1}").contains("is incomplete"));
        assert!(said("public.t/y", &text).contains("is that of public.t/x"));
    }

    #[test]
    fn names_tell_partitions_apart_and_stay_inside_the_store() {
        let name = |schema: &str, parent: &str, bound: &str| {
            let parent = table(schema, parent);
            let lineage = Lineage { parent, bound: bound.to_string(), key: vec![] };
            archive_name(&table("s", "p"), Some(&lineage), "")
        };
        let month = "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')";
        let january = name("public", "events", month);
        assert!(january.starts_with("public.events/2026-01-01_2026-02-01-"), "{january}");
        let list = name("../x", "a/b.c", "FOR VALUES IN ('a b', NULL)");
        assert!(list.starts_with("%2e%2e%2fx.a%2fb%2ec/a_b_NULL-"), "{list}");
        assert_ne!(list, name("../x", "a/b.c", "FOR VALUES IN ('a_b', NULL)"));
        let hash = name("s", "t", "FOR VALUES WITH (modulus 4, remainder 1)");
        assert!(hash.starts_with("s.t/modulus_4_remainder_1-"), "{hash}");
        assert!(name("s", "t", &format!("FOR VALUES IN ('{}')", "x".repeat(900))).len() < 100);
        let alone = archive_name(&table("public", "T"), None, "2026-11-21T09:00:00.000001Z");
        assert_eq!(alone, "public.T/20261121T090000000001Z");
    }
}

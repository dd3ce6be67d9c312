//! refinery's history under another name, or at another width of the version.

use super::{Claim, Claims, ForeignRow, MigrationId};
use crate::model::migration::Checksums;

/// Each row is an applied migration.
pub fn claims(rows: &[ForeignRow]) -> Claims {
    let claim = |row: &ForeignRow| {
        Some(Claim {
            version: row.version.parse().ok()?,
            label: format!("V{}__{}", row.version, row.name),
            checksum: Some(row.checksum.clone()),
            kind: row.kind.clone(),
        })
    };
    Claims { claims: rows.iter().filter_map(claim).collect(), ..Claims::default() }
}

/// refinery's checksum in a table whose version is of the type `kind`.
pub fn checksum(kind: &str, id: &MigrationId, text: &str) -> String {
    let checksums = Checksums::of(id, text);
    let checksum = if kind == "integer" { checksums.int4 } else { Some(checksums.int8) };
    checksum.map_or_else(String::new, |checksum| checksum.to_string())
}

/// Reads the name of a migration file.
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return Ok(None) };
    MigrationId::from_file_stem(stem).map(Some)
}

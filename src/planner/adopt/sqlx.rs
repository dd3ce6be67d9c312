//! sqlx: `_sqlx_migrations`, `20260101000000_x.sql` or `.up.sql` and `.down.sql`.

use std::fmt::Write;

use sha2::{Digest, Sha384};

use super::{Claim, Claims, ForeignRow, MigrationId, migration_id, unfinished};
use crate::model::foreign::Tool;

/// Each row is an applied migration; one without success is half-applied and refuses.
pub fn claims(rows: &[ForeignRow]) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        let label = format!("{}_{}", row.version, row.name.replace(' ', "_"));
        if !row.finished {
            let subject = format!("sqlx {label}");
            claims.findings.push(unfinished(subject, "was begun and not finished", Tool::Sqlx));
        } else if let Ok(version) = row.version.parse() {
            let checksum = Some(row.checksum.clone());
            claims.claims.push(Claim { version, label, checksum, kind: String::new() });
        }
    }
    claims
}

/// SHA-384 of the file's bytes in hexadecimal (`sqlx-core/src/migrate/migration.rs`).
pub fn checksum(text: &str) -> String {
    Sha384::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Reads `VERSION_words.sql` and `VERSION_words.up.sql`.
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return Ok(None) };
    if stem.ends_with(".down") {
        return Ok(None);
    }
    let stem = stem.strip_suffix(".up").unwrap_or(stem);
    let (version, words) = stem.split_once('_').ok_or("there is no `_` behind the version")?;
    migration_id(version, words).map(Some)
}

//! Flyway: `flyway_schema_history`, `V1__x.sql`.

use super::{Claim, Claims, ForeignRow, MigrationId, migration_id, unfinished, unmapped};
use crate::model::finding::{Finding, Severity};
use crate::model::foreign::Tool;

/// Reads the rows in the order of their making: an undo or a deletion takes back what an earlier
/// row of the same version says (`flyway-core`, `MigrationInfoServiceImpl`).
pub fn claims(rows: &[ForeignRow]) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        let subject = format!("flyway {}", label(row));
        let version: Option<i64> = row.version.parse().ok().filter(|version| *version >= 0);
        match (row.kind.as_str(), version) {
            _ if !row.finished => {
                claims.findings.push(unfinished(subject, "failed", Tool::Flyway));
            }
            ("SCHEMA", _) => {}
            (_, None) if row.version.is_empty() => claims.findings.push(repeatable(subject)),
            (_, None) => claims.findings.push(unmapped(subject)),
            ("BASELINE" | "SQL_BASELINE" | "JDBC_BASELINE", Some(version)) => {
                claims.up_to = Some((version, label(row)));
            }
            (kind, Some(version)) if kind == "DELETE" || kind.starts_with("UNDO") => {
                claims.claims.retain(|claim| claim.version != version);
            }
            (_, Some(version)) => {
                let checksum = Some(row.checksum.clone()).filter(|text| !text.is_empty());
                let label = label(row);
                let kind = String::new();
                claims.claims.push(Claim { version, label, checksum, kind });
            }
        }
    }
    claims
}

fn label(row: &ForeignRow) -> String {
    if row.file.is_empty() { format!("{} {}", row.version, row.name) } else { row.file.clone() }
}

fn repeatable(subject: String) -> Finding {
    let message = "is repeatable, which pgtune has nothing like; left out";
    Finding::new("unmapped-row", Severity::Warning, subject, message)
        .help("put its next change into a migration of its own")
}

/// CRC32 over all lines without their ends, a byte-order mark in front left out, as a signed
/// 32-bit number (`flyway-core`, `ChecksumCalculator` with `BufferedReader.readLine`).
pub fn checksum(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut hasher = crc32fast::Hasher::new();
    text.split(['\r', '\n']).for_each(|line| hasher.update(line.as_bytes()));
    hasher.finalize().cast_signed().to_string()
}

/// Reads `V1__add users.sql`; undo migrations lead backward.
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return Ok(None) };
    match (stem.chars().next(), stem.split_once("__")) {
        (Some('V'), Some((head, words))) => migration_id(&head[1..], words).map(Some),
        (Some('U'), Some(_)) => Ok(None),
        (Some('R'), Some(_)) => Err("is repeatable, which pgtune has nothing like".to_string()),
        _ => Err("is no versioned migration of Flyway (V1__name.sql)".to_string()),
    }
}

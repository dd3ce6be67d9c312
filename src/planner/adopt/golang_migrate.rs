//! golang-migrate: one row with the version reached, `1_x.up.sql` and `1_x.down.sql`.

use super::{Claims, ForeignRow, MigrationId, migration_id, unfinished};
use crate::model::finding::{Finding, Severity};
use crate::model::foreign::Tool;

/// The one row says how far the database is. A dirty one refuses, and so does a version that no
/// file has: the files may be numbered otherwise, and older numbers mean nothing then.
pub fn claims(rows: &[ForeignRow], has: &dyn Fn(i64) -> bool) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        let label = format!("version {}", row.version);
        if !row.finished {
            let message = "is dirty: a migration failed half-way";
            let subject = format!("golang-migrate {label}");
            claims.findings.push(unfinished(subject, message, Tool::GolangMigrate));
        } else if let Ok(version) = row.version.parse() {
            if !has(version) {
                claims.findings.push(unknown(&label));
            }
            claims.up_to = Some((version, label));
        }
    }
    claims
}

fn unknown(label: &str) -> Finding {
    let message = "no migration file has the version that the database is at";
    Finding::new("row-without-file", Severity::Error, format!("golang-migrate {label}"), message)
        .help("--from FOLDER --write-files copies the tool's files into the migrations folder")
}

/// Reads `VERSION_words.up.sql` (`source/parse.go`: `^([0-9]+)_(.*)\.(down|up)\.(.*)$`).
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".up.sql") else { return Ok(None) };
    let (version, words) = stem.split_once('_').ok_or("there is no `_` behind the version")?;
    migration_id(version, words).map(Some)
}

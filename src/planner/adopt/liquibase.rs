//! Liquibase: `databasechangelog`, one row for each change set of a change log.

use super::{Claim, Claims, ForeignRow, MigrationId, leading_digits, migration_id, unfinished};
use crate::model::finding::{Finding, Severity};
use crate::model::foreign::Tool;

/// A change set corresponds to the file whose version its own file's name or its id begins with.
/// Several change sets of one file make one migration.
pub fn claims(rows: &[ForeignRow], has: &dyn Fn(i64) -> bool) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        let label = format!("{}::{}", row.file, row.name);
        let subject = format!("liquibase {label}");
        let named = [version(base_name(&row.file)), version(&row.name)].into_iter().flatten();
        let found = named.clone().find(|version| has(*version)).or_else(|| named.clone().next());
        match (row.kind.as_str(), found) {
            _ if !row.finished => {
                claims.findings.push(unfinished(subject, "failed", Tool::Liquibase));
            }
            ("SKIPPED", _) => {
                let message = "was skipped by its preconditions; left out";
                let finding = Finding::new("skipped-row", Severity::Warning, subject, message);
                claims.findings.push(finding);
            }
            (_, None) => claims.findings.push(unnumbered(subject)),
            (_, Some(version)) if claims.claims.iter().any(|c| c.version == version) => {}
            (_, Some(version)) => {
                let kind = String::new();
                claims.claims.push(Claim { version, label, checksum: None, kind });
            }
        }
    }
    claims
}

fn unnumbered(subject: String) -> Finding {
    let message = "neither its file nor its id begins with a number, so no migration is its own";
    Finding::new("unmapped-row", Severity::Error, subject, message).help(
        "write its SQL into numbered files (V1__, V2__, …) and record them with \
         `pgtune baseline VERSION`",
    )
}

/// The version that `V7__x`, `007-x.sql` or `7` names.
fn version(text: &str) -> Option<i64> {
    let stem = text.strip_suffix(".sql").unwrap_or(text);
    let digits = leading_digits(stem.strip_prefix('V').unwrap_or(stem)).0;
    digits.parse().ok()
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Says so when a file in Liquibase's SQL format holds change sets that no row names.
pub fn open_change_sets(tool: Tool, rows: &[ForeignRow], text: &str) -> Option<String> {
    if tool != Tool::Liquibase {
        return None;
    }
    let sets = text.lines().filter_map(change_set_id);
    let open: Vec<&str> = sets.filter(|id| !rows.iter().any(|row| row.name == *id)).collect();
    (!open.is_empty()).then(|| format!("change set {} was not executed", open.join(", ")))
}

/// The id in `--changeset author:id attributes…`.
fn change_set_id(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("--")?.trim_start().strip_prefix("changeset")?;
    let name = rest.split_whitespace().next()?;
    name.split_once(':').map(|(_, id)| id)
}

/// Reads `007-words.sql` and `V7__words.sql`; other change logs (XML, YAML) hold no SQL.
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return Ok(None) };
    if let Ok(id) = MigrationId::from_file_stem(stem) {
        return Ok(Some(id));
    }
    let (digits, words) = leading_digits(stem);
    migration_id(digits, words).map(Some).map_err(|_| "its name begins with no number".to_string())
}

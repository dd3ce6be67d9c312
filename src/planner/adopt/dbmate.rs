//! dbmate: versions and nothing else, `20260101000000_x.sql` with an up and a down section.

use super::{Claim, Claims, ForeignRow, MigrationId, leading_digits, migration_id, unmapped};

/// Each row is an applied version.
pub fn claims(rows: &[ForeignRow]) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        match row.version.parse::<i64>() {
            Ok(version) => claims.claims.push(Claim {
                version,
                label: format!("version {}", row.version),
                checksum: None,
                kind: String::new(),
            }),
            Err(_) => claims.findings.push(unmapped(format!("dbmate version {}", row.version))),
        }
    }
    claims
}

/// What stands between the line `-- migrate:up` and the line `-- migrate:down`
/// (`pkg/dbmate/migration.go`); all where there is no such line.
pub fn up_section(text: &str) -> String {
    let mut up = Vec::new();
    let mut is_up = !text.lines().any(|line| is_mark(line, "migrate:up"));
    for line in text.split_inclusive('\n') {
        match (is_mark(line, "migrate:up"), is_mark(line, "migrate:down")) {
            (true, _) => is_up = true,
            (_, true) => is_up = false,
            (false, false) if is_up => up.push(line),
            (false, false) => {}
        }
    }
    up.concat()
}

fn is_mark(line: &str, mark: &str) -> bool {
    let comment = line.strip_prefix("--").map(str::trim_start);
    let rest = comment.and_then(|comment| comment.strip_prefix(mark));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Reads `VERSION_words.sql`; files that begin with no digit are none of dbmate's.
pub fn file_id(file_name: &str) -> Result<Option<MigrationId>, String> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return Ok(None) };
    match leading_digits(stem) {
        ("", _) => Ok(None),
        (version, words) => migration_id(version, words).map(Some),
    }
}

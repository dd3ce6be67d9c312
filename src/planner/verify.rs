//! Compares migration files with the history table, by refinery's rules (`verify_migrations`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::finding::{Finding, Severity};
use crate::model::migration::{
    Applied, Checksums, History, MigrationId, Prefix, VersionWidth, statement_checksum,
};
use crate::sql::Statement;

/// A migration file as far as the history needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// Version, name, prefix.
    pub id: MigrationId,
    /// The file, as to be shown.
    pub path: String,
    /// Its checksums.
    pub checksums: Checksums,
}

/// How strict to be; refinery's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// A changed file of an applied migration is an error, not a warning.
    pub abort_divergent: bool,
    /// A missing file, or a late migration, is an error, not a warning.
    pub abort_missing: bool,
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Positions in the files of those to apply, in order.
    pub pending: Vec<usize>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// State of each file, and of applied rows without one, by version.
    pub states: BTreeMap<(i64, String), State>,
}

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Applied, and the file is the one that was applied.
    Applied,
    /// To be applied.
    Pending,
    /// Applied, but the file is another one now.
    Diverged,
    /// Applied, but there is no file.
    Missing,
    /// Not applied, and older than the newest applied one.
    Late,
}

/// Compares `files` (in order of version) with `history`.
pub fn verify(files: &[MigrationFile], history: &History, strictness: Strictness) -> Verified {
    let mut verified = Verified { findings: repeated(files), ..Verified::default() };
    let by_version: BTreeMap<i64, &MigrationFile> =
        files.iter().map(|file| (file.id.version, file)).collect();
    let severity = |abort| if abort { Severity::Error } else { Severity::Warning };
    for applied in &history.applied {
        let key = (applied.version, applied.name.clone());
        let state = match by_version.get(&applied.version) {
            None => {
                let severity = severity(strictness.abort_missing);
                verified.findings.push(missing(applied, severity));
                State::Missing
            }
            Some(file) if diverges(file, applied, history.width) => {
                let severity = severity(strictness.abort_divergent);
                verified.findings.push(divergent(file, applied, severity));
                State::Diverged
            }
            Some(_) => State::Applied,
        };
        verified.states.insert(key, state);
    }
    let applied: BTreeSet<i64> = history.applied.iter().map(|a| a.version).collect();
    let newest = applied.last().copied();
    for (position, file) in files.iter().enumerate() {
        if applied.contains(&file.id.version) {
            continue;
        }
        let late =
            file.id.prefix == Prefix::V && newest.is_some_and(|newest| newest >= file.id.version);
        if late {
            verified.findings.push(too_late(file, newest, severity(strictness.abort_missing)));
        } else {
            verified.pending.push(position);
        }
        let state = if late { State::Late } else { State::Pending };
        verified.states.insert((file.id.version, file.id.name.clone()), state);
    }
    verified
}

/// Whether the applied row is of another file than `file` is now.
fn diverges(file: &MigrationFile, applied: &Applied, width: Option<VersionWidth>) -> bool {
    let checksum = file.checksums.at(width.unwrap_or(VersionWidth::Int8));
    file.id.name != applied.name
        || checksum.is_none_or(|checksum| checksum.to_string() != applied.checksum)
}

fn repeated(files: &[MigrationFile]) -> Vec<Finding> {
    files
        .windows(2)
        .filter(|pair| pair[0].id.version == pair[1].id.version)
        .map(|pair| {
            let message = format!("{} and {} have the same version", pair[0].path, pair[1].path);
            Finding::new("repeated-version", Severity::Error, pair[1].id.to_string(), message)
                .help("give one of them a version of its own")
        })
        .collect()
}

fn missing(applied: &Applied, severity: Severity) -> Finding {
    let subject = format!("V{}__{}", applied.version, applied.name);
    let message = format!("was applied on {}, but its file is gone", applied.applied_on);
    Finding::new("missing-migration", severity, subject, message).help(
        "bring the file back, or set migrations.abort_missing = false if it was removed on purpose",
    )
}

fn divergent(file: &MigrationFile, applied: &Applied, severity: Severity) -> Finding {
    let message = if file.id.name == applied.name {
        format!("{} was changed after it was applied on {}", file.path, applied.applied_on)
    } else {
        format!("was applied under the name {}", applied.name)
    };
    Finding::new("divergent-migration", severity, file.id.to_string(), message).help(
        "restore the file; if the change was harmless, `pgtune repair` records its new checksum",
    )
}

fn too_late(file: &MigrationFile, newest: Option<i64>, severity: Severity) -> Finding {
    let newest = newest.unwrap_or_default();
    let message = format!("was never applied, but version {newest} already is");
    Finding::new("late-migration", severity, file.id.to_string(), message)
        .help("rename it to a newer version, or to U… if its order does not matter")
}

/// Compares the executed statements of a half-applied migration with the file as it is now.
pub fn verify_progress(
    id: &MigrationId,
    path: &str,
    statements: &[Statement],
    history: &History,
) -> Vec<Finding> {
    let rows = history.progress.iter().filter(|progress| progress.version == id.version);
    rows.filter_map(|row| {
        let statement = statements.get(row.statement as usize - 1);
        let message = match statement {
            None => format!("statement {} was executed, and is gone from {path}", row.statement),
            Some(now) if statement_checksum(&now.text) != row.checksum => format!(
                "statement {} ({path}:{}) was executed, and was edited since",
                row.statement, now.line
            ),
            Some(_) => return None,
        };
        let finding =
            Finding::new("edited-while-half-applied", Severity::Error, id.to_string(), message);
        Some(finding.help("restore the statement; put what should change into a new migration"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Strictness = Strictness { abort_divergent: true, abort_missing: true };

    fn file(stem: &str, sql: &str) -> MigrationFile {
        let id = MigrationId::from_file_stem(stem).unwrap();
        let checksums = Checksums::of(&id, sql);
        MigrationFile { id, path: format!("{stem}.sql"), checksums }
    }

    fn history(files: &[MigrationFile]) -> History {
        let applied = files
            .iter()
            .map(|file| Applied {
                version: file.id.version,
                name: file.id.name.clone(),
                applied_on: "2026-01-01T00:00:00Z".to_string(),
                checksum: file.checksums.int4.unwrap().to_string(),
            })
            .collect();
        History { width: Some(VersionWidth::Int4), applied, ..History::default() }
    }

    /// Checks of the findings, and the pending versions.
    fn check(files: &[MigrationFile], history: &History) -> (Vec<String>, Vec<i64>) {
        let verified = verify(files, history, STRICT);
        let checks = verified.findings.iter().map(|f| format!("{} {}", f.check, f.subject));
        let pending = verified.pending.iter().map(|i| files[*i].id.version);
        (checks.collect(), pending.collect())
    }

    #[test]
    fn new_files_are_pending_in_order() {
        let files = [file("V1__a", "1"), file("V2__b", "2"), file("V3__c", "3")];
        assert_eq!(check(&files, &History::default()), (vec![], vec![1, 2, 3]));
        assert_eq!(check(&files, &history(&files[..2])), (vec![], vec![3]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let old = [file("V1__a", "1"), file("V2__b", "2"), file("V4__d", "4")];
        let new = [file("V1__a", "changed"), file("V3__c", "3"), file("V4__renamed", "4")];
        let (findings, pending) = check(&new, &history(&old));
        assert_eq!(
            findings,
            [
                "divergent-migration V1__a",
                "missing-migration V2__b",
                "divergent-migration V4__renamed",
                "late-migration V3__c",
            ]
        );
        assert!(pending.is_empty());
    }

    #[test]
    fn unversioned_files_may_come_late() {
        let old = [file("V1__a", "1"), file("V3__c", "3")];
        let new = [file("V1__a", "1"), file("U2__b", "2"), file("V3__c", "3")];
        assert_eq!(check(&new, &history(&old)), (vec![], vec![2]));
    }

    #[test]
    fn two_files_of_one_version_are_refused() {
        let files = [file("V1__a", "1"), file("V1__b", "2")];
        assert_eq!(check(&files, &History::default()).0, ["repeated-version V1__b"]);
    }
}

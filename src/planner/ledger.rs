//! Plans what is only written down: a baseline, and corrections of the history.

use std::collections::BTreeSet;

use super::Planned;
use super::steps::Frame;
use super::verify::{MigrationFile, State, Strictness, verify};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::migration::{Applied, History, VersionWidth};
use crate::model::units::plural;
use crate::profile::Limits;
use crate::runbook::action::Action;
use crate::runbook::history::{Change, Correction, Record, What};
use crate::runbook::{Runbook, Stage, Step};

/// The files, and what the database remembers of them.
#[derive(Debug, Clone)]
pub struct Ledger<'a> {
    /// The migration files, in order of version.
    pub files: &'a [MigrationFile],
    /// What is recorded.
    pub history: &'a History,
    /// Where it is recorded, or will be.
    pub table: &'a QualifiedName,
    /// Width of the table's version if it is to be created.
    pub new_width: VersionWidth,
    /// What may be taken.
    pub limits: &'a Limits,
}

/// Every difference weighs as much as it can.
const STRICT: Strictness = Strictness { abort_divergent: true, abort_missing: true };

impl Ledger<'_> {
    fn frame(&self) -> Frame<'_> {
        Frame::new(String::new(), self.limits)
    }

    /// The width of the table as it is, or will be.
    pub fn width(&self) -> VersionWidth {
        self.history.width.unwrap_or(self.new_width)
    }

    /// The recorded row of a version.
    pub fn applied(&self, version: i64) -> Option<&Applied> {
        self.history.applied.iter().find(|row| row.version == version)
    }

    /// Plans to record `files` as applied, without running them; those already recorded are
    /// passed over.
    pub fn record<'a>(&self, files: impl Iterator<Item = &'a MigrationFile>) -> Planned {
        let mut planned = Planned::default();
        let mut steps = Vec::new();
        for file in files.filter(|file| self.applied(file.id.version).is_none()) {
            match self.record_step(file) {
                Ok(step) => steps.push(step),
                Err(finding) => planned.findings.push(*finding),
            }
        }
        if steps.is_empty() {
            return planned;
        }
        if self.history.width.is_none() {
            let history = Some((self.table.clone(), self.new_width));
            let action = Action::Prepare { history, progress: false };
            let step = self.frame().short(action, Vec::new());
            planned.runbook.stages.push(Stage::single("prepare the history".to_string(), step));
        }
        let count = plural(steps.len(), "migration", "migrations");
        let title = format!("record {count} as applied, running none");
        planned.runbook.stages.push(Stage { title, steps, lanes: 1, look_again: false });
        planned
    }

    fn record_step(&self, file: &MigrationFile) -> Result<Step, Box<Finding>> {
        let Some(checksum) = file.checksums.at(self.width()) else {
            return Err(Box::new(too_wide(file)));
        };
        let has_progress = self.history.progress.iter().any(|p| p.version == file.id.version);
        let what = What::Applied { checksum, has_progress };
        let record = Record { table: self.table.clone(), migration: file.id.clone(), what };
        Ok(self.frame().short(Action::Record(record), Vec::new()))
    }
}

fn too_wide(file: &MigrationFile) -> Finding {
    let message = "the version does not fit the history table's int4 column";
    Finding::new("version-too-wide", Severity::Error, file.id.to_string(), message)
        .help("set migrations.history_version = \"int8\" before the table is created")
}

/// Plans to record all files up to `version` as applied, without running them.
///
/// Findings that are errors: no file has that version; the history has newer rows, or rows that
/// are not of these files.
pub fn baseline(ledger: &Ledger<'_>, version: i64) -> Planned {
    let up_to = || ledger.files.iter().filter(move |file| file.id.version <= version);
    let mut planned = ledger.record(up_to());
    let known = ledger.files.iter().any(|file| file.id.version == version);
    if !known {
        let newest = ledger.files.last().map_or_else(
            || "there are no migration files".to_string(),
            |newest| format!("the newest file is {}", newest.id),
        );
        let message = "no migration file has this version";
        let finding =
            Finding::new("unknown-version", Severity::Error, format!("version {version}"), message);
        planned.findings.push(finding.help(newest));
    }
    if let Some(newer) = ledger.history.applied.last().filter(|row| row.version > version) {
        let subject = format!("version {version}");
        let message = format!("version {} is already recorded as applied", newer.version);
        let finding = Finding::new("newer-applied", Severity::Error, subject, message);
        planned.findings.push(finding.help(
            "a baseline is for a database that pgtune has not worked on; `pgtune status` shows \
             what is recorded",
        ));
    }
    let verified = verify(ledger.files, ledger.history, STRICT).findings;
    planned.findings.extend(verified.into_iter().filter(|f| f.check != "late-migration"));
    let half = |version| ledger.history.progress.iter().any(|p| p.version == version);
    planned.findings.extend(up_to().filter(|file| half(file.id.version)).map(|file| {
        let message = "is half-applied; the baseline takes it for applied as a whole";
        Finding::new("half-applied", Severity::Warning, file.id.to_string(), message)
            .help("answer no, and run `pgtune migrate`, to have the rest of it run")
    }));
    planned
}

/// Plans to record diverged files as they are now, and to forget the rows of `forget`.
///
/// Each correction has a finding that says why. Errors: a version to forget is not recorded, or
/// its file exists.
pub fn repair(ledger: &Ledger<'_>, forget: &[i64]) -> Planned {
    let mut changes = Vec::new();
    let mut findings = Vec::new();
    let verified = verify(ledger.files, ledger.history, STRICT);
    let forget: BTreeSet<i64> = forget.iter().copied().collect();
    for row in &ledger.history.applied {
        let state = verified.states.get(&(row.version, row.name.clone()));
        let file = ledger.files.iter().find(|file| file.id.version == row.version);
        match (state, file) {
            (Some(State::Diverged), Some(file)) => {
                let Some(checksum) = file.checksums.at(ledger.width()) else { continue };
                findings.push(rewritten(row, file, checksum));
                changes.push(Change::Rewrite { migration: file.id.clone(), checksum });
            }
            (_, None) if forget.contains(&row.version) => {
                findings.push(forgotten(row));
                changes.push(Change::Forget { version: row.version });
            }
            (_, None) => findings.push(missing(row)),
            (_, Some(_)) => {}
        }
    }
    for version in &forget {
        if ledger.files.iter().any(|file| file.id.version == *version) {
            let message = "is not forgotten: its migration file exists";
            findings.push(unforgettable(*version, message));
        } else if ledger.applied(*version).is_none() {
            findings.push(unforgettable(*version, "is not in the history"));
        }
    }
    findings.extend(verified.findings.into_iter().filter(|f| f.check == "repeated-version"));
    Planned { runbook: corrections(ledger, changes), findings }
}

fn corrections(ledger: &Ledger<'_>, changes: Vec<Change>) -> Runbook {
    if changes.is_empty() {
        return Runbook::default();
    }
    let rows = plural(changes.len(), "row", "rows");
    let correction = Correction { table: ledger.table.clone(), changes };
    let step = ledger.frame().short(Action::CorrectHistory(correction), Vec::new());
    let title = format!("correct {rows} of {}", ledger.table);
    Runbook { stages: vec![Stage::single(title, step)] }
}

fn rewritten(row: &Applied, file: &MigrationFile, checksum: u64) -> Finding {
    let mut changes = Vec::new();
    if row.name != file.id.name {
        changes.push(format!("the name {} becomes {}", row.name, file.id.name));
    }
    if row.checksum != checksum.to_string() {
        changes.push(format!("checksum {} becomes {checksum}", row.checksum));
    }
    let message = format!("{} (applied {})", changes.join("; "), row.applied_on);
    Finding::new("divergent-migration", Severity::Warning, file.id.to_string(), message)
        .help(format!("make sure that the database is what {} says now", file.path))
}

fn subject(row: &Applied) -> String {
    format!("V{}__{}", row.version, row.name)
}

fn forgotten(row: &Applied) -> Finding {
    let message = format!("its row goes (applied {}); its file is gone", row.applied_on);
    Finding::new("missing-migration", Severity::Warning, subject(row), message)
}

fn missing(row: &Applied) -> Finding {
    let message = format!("applied {}, its file is gone; its row stays", row.applied_on);
    Finding::new("missing-migration", Severity::Info, subject(row), message)
        .help(format!("bring the file back, or delete the row with --forget {}", row.version))
}

fn unforgettable(version: i64, message: &str) -> Finding {
    Finding::new("not-missing", Severity::Error, format!("version {version}"), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::Ident;
    use crate::model::migration::{Checksums, MigrationId, Progress};

    fn file(stem: &str, sql: &str) -> MigrationFile {
        let id = MigrationId::from_file_stem(stem).unwrap();
        let checksums = Checksums::of(&id, sql);
        MigrationFile { id, path: format!("{stem}.sql"), checksums }
    }

    fn history(files: &[MigrationFile]) -> History {
        let row = |file: &MigrationFile| Applied {
            version: file.id.version,
            name: file.id.name.clone(),
            applied_on: "2026-01-01T00:00:00Z".to_string(),
            checksum: file.checksums.int4.unwrap().to_string(),
        };
        let applied = files.iter().map(row).collect();
        History { width: Some(VersionWidth::Int4), applied, ..History::default() }
    }

    /// The SQL of the plan, and its findings as "severity check subject".
    fn check(
        files: &[MigrationFile],
        history: &History,
        plan: impl Fn(&Ledger<'_>) -> Planned,
    ) -> (Vec<String>, Vec<String>) {
        let table = QualifiedName::new(Ident::from_sql("public"), Ident::from_sql("h"));
        let ledger = Ledger {
            files,
            history,
            table: &table,
            new_width: VersionWidth::Int4,
            limits: &Limits::default(),
        };
        let planned = plan(&ledger);
        let steps = planned.runbook.stages.iter().flat_map(|stage| &stage.steps);
        let sql = steps.flat_map(|step| step.action.script().messages);
        let finding = |f: &Finding| format!("{:?} {} {}", f.severity, f.check, f.subject);
        (sql.collect(), planned.findings.iter().map(finding).collect())
    }

    #[test]
    fn a_baseline_records_what_is_not_recorded() {
        let files = [file("V1__a", "1"), file("V2__b", "2"), file("V3__c", "3")];
        let (sql, findings) = check(&files, &History::default(), |l| baseline(l, 2));
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(sql.len(), 3, "{sql:?}");
        assert!(sql[0].starts_with("CREATE TABLE IF NOT EXISTS public.h("), "{sql:?}");
        assert!(sql[2].contains("(2, 'b', "), "{sql:?}");
        let (sql, findings) = check(&files, &history(&files[..1]), |l| baseline(l, 2));
        assert_eq!((sql.len(), findings.len()), (1, 0), "{sql:?} {findings:?}");
    }

    #[test]
    fn a_baseline_is_refused_where_the_history_knows_better() {
        let files = [file("V1__a", "1"), file("V2__b", "2")];
        let (_, findings) = check(&files, &history(&files), |l| baseline(l, 1));
        assert_eq!(findings, ["Error newer-applied version 1"]);
        let (_, findings) = check(&files, &History::default(), |l| baseline(l, 7));
        assert_eq!(findings, ["Error unknown-version version 7"]);
        let other = [file("V1__a", "other")];
        let (_, findings) = check(&files, &history(&other), |l| baseline(l, 2));
        assert_eq!(findings, ["Error divergent-migration V1__a"]);
        let wide = [file("V20261121093000__a", "1")];
        let (sql, findings) =
            check(&wide, &History::default(), |l| baseline(l, 20_261_121_093_000));
        assert_eq!(findings, ["Error version-too-wide V20261121093000__a"]);
        assert!(sql.is_empty());
    }

    #[test]
    fn a_baseline_over_a_half_applied_file_is_remarked_and_clears_its_progress() {
        let files = [file("V1__a", "1")];
        let progress =
            Progress { version: 1, statement: 1, checksum: String::new(), finished: true };
        let history = History { has_progress: true, progress: vec![progress], ..history(&[]) };
        let (sql, findings) = check(&files, &history, |l| baseline(l, 1));
        assert_eq!(findings, ["Warning half-applied V1__a"]);
        assert!(sql[1].starts_with("DELETE FROM pgtune_state.migration_progress"), "{sql:?}");
    }

    #[test]
    fn repair_rewrites_what_diverged_and_forgets_what_is_named() {
        let old = [file("V1__a", "1"), file("V2__b", "2"), file("V3__it", "3"), file("V4__d", "4")];
        let new = [file("V1__a", "1"), file("V2__b", "two"), file("V3__it_s", "3")];
        let (sql, findings) = check(&new, &history(&old), |l| repair(l, &[4]));
        assert_eq!(
            findings,
            [
                "Warning divergent-migration V2__b",
                "Warning divergent-migration V3__it_s",
                "Warning missing-migration V4__d"
            ]
        );
        assert_eq!(sql.len(), 3);
        let checksum = new[1].checksums.int4.unwrap();
        let expected =
            format!("UPDATE public.h SET name = 'b', checksum = '{checksum}' WHERE version = 2");
        assert_eq!(sql[0], expected);
        assert_eq!(sql[2], "DELETE FROM public.h WHERE version = 4");
    }

    #[test]
    fn repair_forgets_nothing_on_its_own() {
        let old = [file("V1__a", "1"), file("V2__b", "2")];
        let (sql, findings) = check(&old[..1], &history(&old), |l| repair(l, &[]));
        assert_eq!((sql.len(), findings), (0, vec!["Info missing-migration V2__b".to_string()]));
        let (sql, findings) = check(&old, &history(&old), |l| repair(l, &[1, 9]));
        let expected = ["Error not-missing version 1", "Error not-missing version 9"];
        assert_eq!((sql.len(), findings), (0, expected.map(str::to_string).to_vec()));
    }
}

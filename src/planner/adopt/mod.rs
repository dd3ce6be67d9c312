//! Takes over the history of another tool: its rows and files in, records and findings out.
//!
//! A row of the other tool corresponds to our file of the same version. Where the tool keeps a
//! checksum, our file or the tool's own must have it; where it keeps none, its word is believed
//! and that is said.

use super::Planned;
use super::ledger::Ledger;
use super::verify::{MigrationFile, Strictness, verify};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity};
use crate::model::foreign::{ForeignRow, Tool};
use crate::model::migration::{History, MigrationId, Prefix};
use crate::model::units::plural;
use crate::runbook::action::apply_all;

mod dbmate;
mod flyway;
mod golang_migrate;
mod liquibase;
mod refinery;
mod sqlx;

/// One of our migration files, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurFile {
    /// The file as the history compares it.
    pub file: MigrationFile,
    /// Its text, byte for byte.
    pub text: String,
}

/// A file of the other tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldFile {
    /// The file, as to be shown.
    pub path: String,
    /// What it is called in our folder.
    pub id: MigrationId,
    /// Its text, byte for byte.
    pub text: String,
    /// What of it leads forward: all, or its up section.
    pub up: String,
}

/// What the rows of a tool say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Claims {
    /// Migrations that are applied, each by a row of its own.
    claims: Vec<Claim>,
    /// Everything up to this version is applied, says the row of this name.
    up_to: Option<(i64, String)>,
    /// Rows that refuse, or mean nothing here.
    findings: Vec<Finding>,
}

/// A migration is applied, says a row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    /// The migration's version.
    version: i64,
    /// The row, as to be shown.
    label: String,
    /// The checksum of the migration's file, where the tool keeps one that can be recomputed.
    checksum: Option<String>,
    /// refinery's type of the version column, which its checksums cover.
    kind: String,
}

/// Why a migration counts as applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The migration.
    pub migration: MigrationId,
    /// The row that says so.
    pub row: String,
    /// Whether the checksum agrees; otherwise the row is believed.
    pub verified: bool,
    /// What was compared, or why nothing could be.
    pub reason: String,
}

/// What adopting comes to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adoption {
    /// What to record, and what stands against it.
    pub planned: Planned,
    /// Why, for each migration that will be recorded.
    pub evidence: Vec<Evidence>,
}

/// Reads a file of the other tool. `None`: a file that leads backward, or no migration.
///
/// Errors with a finding where the file has no counterpart in refinery's naming.
pub fn old_file(
    tool: Tool,
    path: &str,
    file_name: &str,
    text: String,
) -> Result<Option<OldFile>, Box<Finding>> {
    let id = match tool {
        Tool::Refinery => refinery::file_id(file_name),
        Tool::Flyway => flyway::file_id(file_name),
        Tool::Sqlx => sqlx::file_id(file_name),
        Tool::GolangMigrate => golang_migrate::file_id(file_name),
        Tool::Dbmate => dbmate::file_id(file_name),
        Tool::Liquibase => liquibase::file_id(file_name),
    };
    let id = id.map_err(|why| {
        let finding = Finding::new("unmapped-file", Severity::Warning, path, why);
        Box::new(finding.help("give it a name of refinery by hand: V1__what_it_does.sql"))
    })?;
    let up = match tool {
        Tool::Dbmate => dbmate::up_section(&text),
        Tool::Refinery | Tool::Flyway | Tool::Sqlx | Tool::GolangMigrate | Tool::Liquibase => {
            text.clone()
        }
    };
    Ok(id.map(|id| OldFile { path: path.to_string(), id, text, up }))
}

/// Plans to record those of our files that the other tool has applied.
///
/// `ours` are the files of `ledger`, in the same order.
pub fn adopt(
    tool: Tool,
    rows: &[ForeignRow],
    ours: &[OurFile],
    old: &[OldFile],
    ledger: &Ledger<'_>,
) -> Adoption {
    let has = |version: i64| ours.iter().any(|our| our.file.id.version == version);
    let Claims { claims, up_to, mut findings } = match tool {
        Tool::Refinery => refinery::claims(rows),
        Tool::Flyway => flyway::claims(rows),
        Tool::Sqlx => sqlx::claims(rows),
        Tool::GolangMigrate => golang_migrate::claims(rows, &has),
        Tool::Dbmate => dbmate::claims(rows),
        Tool::Liquibase => liquibase::claims(rows, &has),
    };
    findings.extend(claims.iter().filter(|c| !has(c.version)).map(|c| no_file(tool, c)));
    let mut evidence = Vec::new();
    let mut applied = Vec::new();
    for our in ours.iter().filter(|our| ledger.applied(our.file.id.version).is_none()) {
        let version = our.file.id.version;
        let claim = claims.iter().find(|claim| claim.version == version);
        let told = match (claim, &up_to) {
            (Some(claim), _) => weigh(tool, claim, rows, our, old),
            (None, Some((last, row))) if version <= *last => Ok(covered(our, row)),
            (None, _) => continue,
        };
        match told {
            Ok(told) => {
                findings.extend(rewritten(our, old));
                evidence.push(told);
                applied.push(&our.file);
            }
            Err(finding) => findings.push(*finding),
        }
    }
    let mut planned = ledger.record(applied.into_iter());
    planned.findings.splice(0..0, findings);
    planned.findings.extend(aftermath(ledger, &planned));
    planned.findings.extend(summary(tool, &evidence));
    Adoption { planned, evidence }
}

/// Compares a row with our file, or with the tool's own file of the same version.
fn weigh(
    tool: Tool,
    claim: &Claim,
    rows: &[ForeignRow],
    our: &OurFile,
    old: &[OldFile],
) -> Result<Evidence, Box<Finding>> {
    let told = |verified, reason: String| Evidence {
        migration: our.file.id.clone(),
        row: claim.label.clone(),
        verified,
        reason,
    };
    if let Some(open) = liquibase::open_change_sets(tool, rows, &our.text) {
        let subject = our.file.id.to_string();
        let finding = Finding::new("partly-applied", Severity::Error, subject, open);
        return Err(Box::new(finding.help("let Liquibase finish it, then adopt")));
    }
    let (Some(recorded), Some(name)) = (&claim.checksum, checksum_name(tool)) else {
        return Ok(told(false, format!("{} keeps no checksum to compare", tool.name())));
    };
    let same = |id: &MigrationId, text: &str| checksum(tool, claim, id, text) == *recorded;
    if same(&our.file.id, &our.text) {
        return Ok(told(true, format!("{name} of {}", our.file.path)));
    }
    let mut candidates = old.iter().filter(|old| old.id.version == claim.version);
    match candidates.find(|old| same(&old.id, &old.text)) {
        Some(old) => Ok(told(true, format!("{name} of {}", old.path))),
        None => Err(Box::new(divergent(tool, claim, recorded, our))),
    }
}

fn checksum_name(tool: Tool) -> Option<&'static str> {
    match tool {
        Tool::Refinery => Some("SipHash"),
        Tool::Flyway => Some("CRC32"),
        Tool::Sqlx => Some("SHA-384"),
        Tool::GolangMigrate | Tool::Dbmate | Tool::Liquibase => None,
    }
}

/// The tool's checksum of a file, as its table shows it.
fn checksum(tool: Tool, claim: &Claim, id: &MigrationId, text: &str) -> String {
    match tool {
        Tool::Refinery => refinery::checksum(&claim.kind, id, text),
        Tool::Flyway => flyway::checksum(text),
        Tool::Sqlx => sqlx::checksum(text),
        Tool::GolangMigrate | Tool::Dbmate | Tool::Liquibase => String::new(),
    }
}

fn covered(our: &OurFile, row: &str) -> Evidence {
    Evidence {
        migration: our.file.id.clone(),
        row: row.to_string(),
        verified: false,
        reason: "has no row of its own, and is not newer than that version".to_string(),
    }
}

/// Our file says something else than the tool's file of the same version.
fn rewritten(our: &OurFile, old: &[OldFile]) -> Option<Finding> {
    let old = old.iter().find(|old| old.id.version == our.file.id.version)?;
    if same_lines(&our.text, &old.text) || same_lines(&our.text, &old.up) {
        return None;
    }
    let message = format!("{} is not the text of {}", our.file.path, old.path);
    let subject = our.file.id.to_string();
    let finding = Finding::new("rewritten-migration", Severity::Warning, subject, message);
    Some(finding.help("make sure that both do the same: pgtune will take it for applied"))
}

/// Line ends and a byte-order mark change nothing for the server.
fn same_lines(one: &str, other: &str) -> bool {
    let lines = |text| str::lines(text).map(|line| line.trim_start_matches('\u{feff}'));
    lines(one).eq(lines(other))
}

fn divergent(tool: Tool, claim: &Claim, recorded: &str, our: &OurFile) -> Finding {
    let start: String = recorded.chars().take(16).collect();
    let message = format!(
        "{}: {} was applied with the checksum {start}, which {} does not have",
        tool.name(),
        claim.label,
        our.file.path
    );
    let subject = our.file.id.to_string();
    Finding::new("divergent-migration", Severity::Error, subject, message).help(
        "name the folder of the tool's own files with --from; to take it for applied all the \
         same, use `pgtune baseline`",
    )
}

fn no_file(tool: Tool, claim: &Claim) -> Finding {
    let subject = format!("{} {}", tool.name(), claim.label);
    let message = format!("there is no migration file of version {}; left out", claim.version);
    Finding::new("row-without-file", Severity::Warning, subject, message)
        .help("--from FOLDER --write-files copies the tool's files into the migrations folder")
}

/// A row whose version is no whole number of 64 bits.
fn unmapped(subject: String) -> Finding {
    let message = "its version is no whole number, which refinery's names need";
    Finding::new("unmapped-row", Severity::Error, subject, message).help(
        "number the files anew (V1__, V2__, …) and record them with `pgtune baseline VERSION`",
    )
}

/// A row of a migration that failed or was not finished.
fn unfinished(subject: String, message: &str, tool: Tool) -> Finding {
    Finding::new("failed-row", Severity::Error, subject, message)
        .help(format!("put it in order with {} itself, then adopt", tool.name()))
}

/// What `pgtune migrate` would have to say afterwards.
fn aftermath(ledger: &Ledger<'_>, planned: &Planned) -> Vec<Finding> {
    let mut catalog = Catalog { history: ledger.history.clone(), ..Catalog::default() };
    let steps = planned.runbook.stages.iter().flat_map(|stage| &stage.steps);
    apply_all(steps.map(|step| &step.action), &mut catalog);
    let strictness = Strictness { abort_divergent: true, abort_missing: false };
    let History { width, .. } = catalog.history;
    let history = History { width: width.or(Some(ledger.new_width)), ..catalog.history };
    verify(ledger.files, &history, strictness).findings
}

fn summary(tool: Tool, evidence: &[Evidence]) -> Vec<Finding> {
    let verified = evidence.iter().filter(|told| told.verified).count();
    let believed = evidence.len() - verified;
    let subject = || tool.name().to_string();
    let mut findings = Vec::new();
    if verified > 0 {
        let message =
            format!("{} verified by checksum", plural(verified, "migration", "migrations"));
        findings.push(Finding::new("verified", Severity::Info, subject(), message));
    }
    if believed > 0 {
        let count = plural(believed, "migration", "migrations");
        let message = format!("{count} believed: no checksum says that the file is what ran");
        findings.push(Finding::new("believed", Severity::Warning, subject(), message));
    }
    findings
}

/// Our name for a version and a description in the tool's words: `add users` becomes `add_users`.
fn migration_id(version: &str, words: &str) -> Result<MigrationId, String> {
    let digits = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    let version = version.parse().ok().filter(|_| digits);
    let version = version.ok_or("its version is no whole number of 64 bits")?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = words.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    let name = if name.is_empty() { "migration".to_string() } else { name };
    Ok(MigrationId { version, name, prefix: Prefix::V })
}

/// `20260101_add_users` as its leading digits and the rest.
fn leading_digits(stem: &str) -> (&str, &str) {
    let end = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    (&stem[..end], stem[end..].trim_start_matches(['_', '-', '.', ' ']))
}

#[cfg(test)]
mod tests;

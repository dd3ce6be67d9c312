//! `pgtune baseline`: records migrations as applied on a database that already has them.

use crate::error::Result;
use crate::model::units::plural;
use crate::planner::ledger::baseline;
use crate::report::{Report, Table};

use super::context::Context;
use super::database::Database;
use super::folder;
use super::rewrite::{Consent, Proposal, carry_out, ledger};

/// Record migrations as applied without running them
///
/// For a database that was there before pgtune: all files up to VERSION are taken for applied,
/// `pgtune migrate` goes on behind it. Refused where the history says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune baseline 7 --dry-run    show what would be recorded
  pgtune baseline 7 --yes        record it without asking")]
pub struct Args {
    /// The newest version that the database already has
    version: i64,
    #[command(flatten)]
    consent: Consent,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let folder = folder::read(&context.migrations_folder())?;
    let database = Database::of(context)?;
    carry_out(context, &args.consent, &database, &mut |_, server| {
        let planned = baseline(&ledger(context, &folder.files, server), args.version);
        let mut table = Table::new("to be recorded as applied", &["migration", "file"]);
        for file in &folder.files {
            let new = !server.history.applied.iter().any(|row| row.version == file.id.version);
            if file.id.version <= args.version && new {
                table.rows.push(vec![file.id.to_string(), file.path.clone()]);
            }
        }
        let count = plural(table.rows.len(), "migration", "migrations");
        let done = format!("{count} recorded as applied in {}", server.history_table);
        let mut findings = folder.findings.clone();
        findings.extend(planned.findings.iter().cloned());
        let report = Report::new("").table(table).findings(findings);
        Ok(Proposal { planned, files: Vec::new(), report, done })
    })
}

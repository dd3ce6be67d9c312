//! `pgtune repair`: records changed migration files as they are now, after showing why.

use crate::error::Result;
use crate::planner::ledger::repair;
use crate::report::Report;

use super::context::Context;
use super::database::Database;
use super::folder;
use super::rewrite::{Consent, Proposal, carry_out, ledger};

/// Record changed files of applied migrations as they are now
///
/// Shows why each migration diverges, asks, and corrects names and checksums in the history, all
/// or none. Runs no migration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune repair --dry-run     show what diverges, and what would be recorded
  pgtune repair --forget 4    also delete the row of version 4, whose file is gone")]
pub struct Args {
    /// Delete the row of a migration whose file is gone; may be repeated
    #[arg(long, value_name = "VERSION")]
    forget: Vec<i64>,
    #[command(flatten)]
    consent: Consent,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let folder = folder::read(&context.migrations_folder())?;
    let database = Database::of(context)?;
    carry_out(context, &args.consent, &database, &mut |_, server| {
        let planned = repair(&ledger(context, &folder.files, server), &args.forget);
        let mut findings = folder.findings.clone();
        findings.extend(planned.findings.iter().cloned());
        let report = Report::new("").findings(findings);
        let done = format!("{} corrected", server.history_table);
        Ok(Proposal { planned, files: Vec::new(), report, done })
    })
}

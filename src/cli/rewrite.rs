//! What `baseline`, `repair` and `adopt` share: propose, ask, take the runner lock, propose again,
//! and write the history down.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::executor::{self, Crew};
use crate::model::units::Millis;
use crate::pg::server::{self, Server};
use crate::pg::session::Session;
use crate::planner::Planned;
use crate::planner::ledger::Ledger;
use crate::planner::verify::MigrationFile;
use crate::report::{Report, text};
use crate::runbook::print;
use crate::ui::{Format, progress};

use super::context::Context;
use super::converge::refuse;
use super::database::Database;
use super::fault::Fault;
use super::files::{Written, write_new};
use super::runner::{Runner, take_over};

/// Flags of every command that writes the history.
#[derive(Debug, clap::Args)]
pub struct Consent {
    /// Show what would be written and write nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print the SQL that would run
    #[arg(long, requires = "dry_run")]
    sql: bool,
    /// Go ahead without asking
    #[arg(long, short)]
    yes: bool,
    /// How long to wait for another pgtune on the same database (default: limits.runner_wait)
    #[arg(long, value_name = "DURATION", value_parser = Millis::parse)]
    wait: Option<Millis>,
}

/// What a command wants to write.
#[derive(Debug, Default)]
pub struct Proposal {
    /// The history's changes, and what stands against them.
    pub planned: Planned,
    /// Files to write before.
    pub files: Vec<(PathBuf, String)>,
    /// The same for people; findings included.
    pub report: Report,
    /// Title of the final report: "2 migrations recorded".
    pub done: String,
}

impl Proposal {
    fn is_empty(&self) -> bool {
        self.planned.runbook.is_empty() && self.files.is_empty()
    }
}

/// Looks at the database and says what to write.
pub type Propose<'a> = dyn FnMut(&mut Session, &Server) -> Result<Proposal> + 'a;

/// The ledger of `files` and what the server remembers.
pub fn ledger<'a>(
    context: &'a Context,
    files: &'a [MigrationFile],
    server: &'a Server,
) -> Ledger<'a> {
    let profile = context.profile();
    Ledger {
        files,
        history: &server.history,
        table: &server.history_table,
        new_width: profile.migrations.history_version,
        limits: &profile.limits,
    }
}

/// Shows what `propose` wants to write, asks, and writes it.
pub fn carry_out(
    context: &Context,
    consent: &Consent,
    database: &Database,
    propose: &mut Propose<'_>,
) -> Result<()> {
    let mut session = database.open()?;
    let server = server::look(&mut session, &database.history_table)?;
    let proposal = propose(&mut session, &server)?;
    if consent.dry_run {
        return dry_run(context, consent, proposal);
    }
    context.ui.status(&text::render(&proposal.report, None));
    refuse(&proposal.planned.findings)?;
    if proposal.is_empty() {
        let title = "nothing to do: the history is as it should be".to_string();
        return finish(context, Report { title, ..proposal.report });
    }
    server::refuse_read_only(&server)?;
    ask(context, consent)?;
    let wait = consent.wait.unwrap_or(context.profile().limits.runner_wait);
    let runner = take_over(context, database, session, wait)?;
    let written = write(context, consent, database, runner, propose, &proposal)?;
    finish(context, Report { title: written.done, ..written.report })
}

fn ask(context: &Context, consent: &Consent) -> Result<()> {
    if consent.yes { Ok(()) } else { context.ui.confirm("Write it?") }
}

fn dry_run(context: &Context, consent: &Consent, proposal: Proposal) -> Result<()> {
    let Proposal { planned, report, .. } = proposal;
    let report = match consent.sql {
        true => Report::new("").text("", print::sql(&planned.runbook)),
        false => report,
    };
    context.show(&report)?;
    refuse(&planned.findings)
}

/// Proposes again under the lock and runs that; returns it. Asks again if it has become another.
fn write(
    context: &Context,
    consent: &Consent,
    database: &Database,
    runner: Runner,
    propose: &mut Propose<'_>,
    shown: &Proposal,
) -> Result<Proposal> {
    let Runner { lock, mut lane, stopped, .. } = runner;
    let server = server::look(&mut lane, &database.history_table)?;
    let proposal = propose(&mut lane, &server)?;
    refuse(&proposal.planned.findings)?;
    if proposal.planned.runbook.basis() != shown.planned.runbook.basis() {
        context.ui.status("the history has changed since it was shown; what is left to write:");
        context.ui.status(&text::render(&proposal.report, None));
        ask(context, consent)?;
    }
    for (path, text) in &proposal.files {
        if write_new(path, text)? == Written::Existed {
            return Err(Error::usage(format!("{} exists already", path.display())));
        }
    }
    let open = || database.open_runner();
    let mut crew = Crew {
        sessions: vec![lane],
        lock: Some(lock),
        watcher: None,
        archive: None,
        open: &open,
        stopped,
    };
    let mut display = progress::display(context.ui, proposal.planned.runbook.step_count());
    let mut fault = Fault::of_process();
    executor::run(&proposal.planned.runbook.stages, &mut crew, &mut |event| {
        fault.strike();
        display(event);
    })?;
    Ok(proposal)
}

/// People have seen what was written; programs get it now.
fn finish(context: &Context, report: Report) -> Result<()> {
    match context.ui.format {
        Format::Text | Format::Markdown => context.show(&Report::new(&report.title)),
        Format::Json => context.show(&report),
    }
}

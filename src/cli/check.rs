//! `pgtune check`: what the pending migrations would do to production, told before they get there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::cli::lint;
use crate::cli::outputs::{self, Examined, OutputArgs};
use crate::cli::partitions::check::checked;
use crate::cli::plan::shown;
use crate::cli::plan::take::take_both;
use crate::cli::plan::workload::ForetoldArgs;
use crate::cli::shadow::{self, Shadow, ShadowArgs};
use crate::cli::snapshot::file::DEFAULT;
use crate::cli::snapshot::origin::{origin, too_old};
use crate::cli::snapshot::substitutes::as_there;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Place, Severity, has_errors};
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::lock_trace::{TracedLock, Work};
use crate::model::snapshot::Snapshot;
use crate::planner::Migration;
use crate::profile::Query;
use crate::profile::partitions::PartitionRule;
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::query_plan::workload::WorkloadJudgement;
use crate::report::locks::LockRow;
use crate::report::timeline::Timeline;
use crate::report::verdict::Checked;
use crate::report::{Report, Section};

use super::plan::server_statements::with_texts;
use super::plan::take::Side;

/// Check the pending migrations against a snapshot of production
///
/// Reads them, runs them on a private server that plans as production does, and says what they
/// would do: to tables, to plans, and under which locks. docs/checks.md explains each finding, and
/// how to allow one. Exit code 1 where something should not be deployed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune check --snapshot prod.json.zst
  pgtune check --output html=check.html --output junit=check.xml --output sarif=check.sarif")]
pub struct Args {
    /// The file of `pgtune snapshot take`
    #[arg(long, value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    snapshot: PathBuf,
    /// Plan as with so many times the rows
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = shadow::factor)]
    scale: f64,
    #[command(flatten)]
    queries: ForetoldArgs,
    #[command(flatten)]
    shadow: ShadowArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    outputs::deliver(context, &args.outputs, examine(context, &args))
}

fn examine(context: &Context, args: &Args) -> Result<Examined> {
    let snapshot = shadow::read(&args.snapshot, args.scale)?;
    let profile = context.profile();
    let (applied, pending) = shadow::migrations(context, &snapshot.history)?;
    let mut linted = lint::found(&profile.check, &snapshot, &applied, &pending);
    linted.extend(too_old(&args.snapshot, &snapshot, profile.check.snapshot_days));
    let origin = origin(&args.snapshot, &snapshot, args.scale);
    let on_snapshot =
        |examined: Examined| Examined { report: examined.report.facts("", origin), ..examined };
    let stopped = interrupt::listen()?;
    let mut shadow = Shadow::start(context, &args.shadow, &snapshot, stopped)?;
    let before = shadow.create("before", &applied)?;
    let after = shadow.copy("before", "after")?;
    let locks = match shadow.migrate_traced(&after, &pending) {
        Ok(locks) => locks,
        Err(error) if error.kind == Kind::Interrupted => return Err(error),
        // What was read of the files is told all the same.
        Err(error) => return Ok(on_snapshot(unfit(context, &pending, linted, &error))),
    };
    // Before its tables are as large as production's: a DEFAULT partition is read.
    let rules: Vec<&PartitionRule> = profile.partitions.iter().collect();
    let (runway, timelines) = match rules.is_empty() {
        true => Default::default(),
        false => {
            let checked = checked(&after, &rules, &profile.partitions, None)?;
            (checked.findings, checked.timelines)
        }
    };
    let (mut first, facts) = shadow.imitate(&before)?;
    let (mut second, _) = shadow.imitate_after(&mut first, &after)?;
    let queries = args.queries.queries_if_any(context, &snapshot)?;
    let (queries, changed) = as_there(&snapshot.substitutes, &queries);
    let sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let [before, after] =
        take_both(sides, &queries, &shadow::TERMS, |_, _| interrupt::check(stopped))?;
    let mut findings = std::mem::take(&mut shadow.findings);
    findings.extend(changed);
    findings.extend(runway);
    findings.extend(after.findings.clone());
    findings.extend(linted);
    let report = Report::new("").locks(locks_told(&locks, &snapshot, &pending));
    let report = timelines.into_iter().fold(report, |report, line| {
        let title = format!("partitions of {}", line.title);
        report.timeline(Timeline { title, ..line })
    });
    let subjects = subjects(&pending, &queries);
    let judged = judged(context, &pending, (&before, &after), report, findings, subjects);
    let report = with_texts(judged.report, &queries);
    Ok(on_snapshot(Examined { report, ..judged }))
}

/// The answer where the migrations cannot even be run.
fn unfit(
    context: &Context,
    pending: &[Migration],
    mut findings: Vec<Finding>,
    error: &Error,
) -> Examined {
    // An error of a step begins with the migration, and tells the line.
    let told = |one: &&Migration| error.message.starts_with(&format!("{},", one.id));
    let migration = pending.iter().find(told).or(pending.first());
    let line = error.message.split(", line ").nth(1).and_then(|rest| rest.split(':').next());
    // "line 3 or the commit behind it"
    let line = line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(1);
    let subject = migration.map_or_else(String::new, |one| one.id.to_string());
    let finding = Finding::new("migration-fails", Severity::Error, subject, error.message.clone());
    let finding = finding.help(error.hints.join("; "));
    findings.push(match migration {
        Some(migration) => finding.at(migration.path.clone(), line),
        None => finding,
    });
    let findings = lint::not_allowed(&context.profile().check, pending, findings);
    let answer = answer(&findings);
    let subjects = subjects(pending, &[]);
    Examined { report: Report::new("").findings(findings).judged(subjects), answer }
}

/// All of it as a report, with the answer. `report` is told behind the findings.
fn judged(
    context: &Context,
    pending: &[Migration],
    (before, after): (&Captures, &Captures),
    report: Report,
    mut findings: Vec<Finding>,
    subjects: Vec<Checked>,
) -> Examined {
    let thresholds = &context.profile().gate;
    let compared = compare(before, after, thresholds);
    let workload = weigh(&compared, thresholds);
    findings.extend(worse(&workload));
    let findings = lint::not_allowed(&context.profile().check, pending, findings);
    let answer = answer(&findings);
    let mut told = Report::new("").findings(findings);
    told.sections.extend(report.sections);
    told.sections.extend(shown::weighed(&workload).sections);
    let mut queries = shown::compared("", &compared).sections;
    if let Some(Section::Table(table)) = queries.first_mut() {
        table.title = "queries".to_string();
    }
    told.sections.extend(queries);
    Examined { report: told.judged(subjects), answer }
}

/// The answer: no, where anything is an error.
fn answer(findings: &[Finding]) -> Result<()> {
    let worse = findings.iter().filter(|one| one.check == PLAN_WORSE);
    let worse: Vec<&str> = worse.map(|one| one.subject.as_str()).collect();
    match (has_errors(findings), worse.is_empty()) {
        (false, _) => Ok(()),
        (true, true) => Err(Error::new(Kind::Answer, "there are errors")),
        (true, false) => {
            let message = format!("would be worse: {}", worse.join(", "));
            Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
        }
    }
}

/// The check that a query fails which stops the gate.
const PLAN_WORSE: &str = "plan-worse";

/// The queries that stop the gate, as findings: those are what CI systems show.
fn worse(workload: &WorkloadJudgement) -> impl Iterator<Item = Finding> {
    workload.queries.iter().filter(|query| query.blocks).map(|query| {
        let reasons = query.reasons.join("; ");
        let message = format!("{}: {reasons}", query.verdict);
        Finding::new(PLAN_WORSE, Severity::Error, &query.name, message)
            .help("[gate] of the profile says what counts")
    })
}

/// What is looked at.
fn subjects(pending: &[Migration], queries: &[Query]) -> Vec<Checked> {
    let migrations = pending.iter().map(|one| Checked {
        kind: "migration",
        name: one.id.to_string(),
        place: Some(Place { path: one.path.clone(), line: 1 }),
    });
    let query = |one: &Query| Checked { kind: "query", name: one.name.clone(), place: None };
    migrations.chain(queries.iter().map(query)).collect()
}

/// How much of a statement is told.
const STATEMENT_MAX: usize = 80;

/// The locks that stop somebody, statement by statement, on tables as large as they are there.
fn locks_told(locks: &[TracedLock], snapshot: &Snapshot, pending: &[Migration]) -> Vec<LockRow> {
    let sizes: BTreeMap<&QualifiedName, u64> =
        snapshot.relations.iter().map(|one| (&one.name, one.file_pages)).collect();
    let block_size = u64::from(snapshot.server.block_size);
    let statement = |place: &Place| {
        let migration = pending.iter().find(|one| one.path == place.path)?;
        let statement = migration.statements.iter().find(|one| one.line == place.line)?;
        let words = statement.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_long = words.chars().count() > STATEMENT_MAX;
        let short: String = words.chars().take(STATEMENT_MAX).collect();
        Some(if is_long { format!("{}…", short.trim_end()) } else { short })
    };
    let stopping = locks.iter().filter(|one| one.mode >= LockMode::ShareUpdateExclusive);
    stopping
        .map(|one| {
            let bytes = sizes.get(&one.table).copied().unwrap_or_default() * block_size;
            let expected_ms = match one.work {
                Work::Rewrite | Work::FullScan => Some(working_ms(bytes)),
                Work::Instant => None,
            };
            LockRow {
                statement: statement(&one.place).unwrap_or_default(),
                expected_ms,
                ..LockRow::new(one.place.clone(), one.table.to_string(), bytes, one.mode, one.work)
            }
        })
        .collect()
}

/// About how long a table takes to be written anew with its indexes, or to be read and sorted.
fn working_ms(bytes: u64) -> u64 {
    const BYTES_PER_MS: u64 = 50_000;
    bytes / BYTES_PER_MS
}

//! `pgtune check`: what the pending migrations would do to production, told before they get there.

use std::sync::atomic::AtomicBool;

use crate::checks::lint::world::World;
use crate::checks::plans::{self, Told};
use crate::checks::{dropped, measured};
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::cli::lint;
use crate::cli::outputs::{self, Examined, OutputArgs};
use crate::cli::plan::server_statements::with_texts;
use crate::cli::plan::shown;
use crate::cli::plan::take::{Side, take_both};
use crate::cli::plan::workload::ForetoldArgs;
use crate::cli::shadow::{self, Migrations, Shadow, ShadowArgs};
use crate::cli::snapshot::origin::OriginArgs;
use crate::cli::snapshot::substitutes::as_there;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Place, Severity, has_errors};
use crate::model::ident::QualifiedName;
use crate::model::lock_trace::Work;
use crate::model::snapshot::Snapshot;
use crate::model::table_bytes::TableBytes;
use crate::pg::foretell::Foretold;
use crate::planner::Migration;
use crate::planner::rehearsal::lacks_extension;
use crate::profile::{Profile, Query};
use crate::query_plan::captures::{Captures, compare, weigh};
use crate::report::verdict::Checked;
use crate::report::{Report, Section};

mod drift;
mod indexes;
mod locks;
mod runway;
mod steps;

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
    #[command(flatten)]
    origin: OriginArgs,
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

/// What is examined.
pub struct Examination<'a> {
    profile: &'a Profile,
    snapshot: &'a Snapshot,
    /// The migrations that production has.
    applied: &'a [Migration],
    /// Those that it has not.
    pending: &'a [Migration],
    queries: &'a [Query],
    stopped: &'a AtomicBool,
}

/// A database with the schema of production, of which others are copied.
const ORIGIN: &str = "origin";

fn examine(context: &Context, args: &Args) -> Result<Examined> {
    let snapshot = args.origin.read()?;
    let profile = context.profile();
    let Migrations { applied, pending, findings } = shadow::migrations(context, &snapshot)?;
    let queries = args.queries.queries_if_any(context, &snapshot)?;
    let (queries, changed) = as_there(&snapshot.substitutes, &queries);
    let mut linted = lint::found(&profile.check, &snapshot, &applied, &pending);
    linted.findings.extend(findings);
    linted.findings.extend(args.origin.too_old(&snapshot, profile.check.snapshot_days));
    let origin = args.origin.facts(&snapshot);
    let on_snapshot =
        |examined: Examined| Examined { report: examined.report.facts("", origin), ..examined };
    let stopped = interrupt::listen()?;
    let mut shadow = Shadow::start(context, &args.shadow, &snapshot, stopped)?;
    shadow.create(ORIGIN, &applied)?;
    let after = shadow.copy(ORIGIN, "after")?;
    let traced = match shadow.migrate_traced(&after, &pending) {
        Ok(locks) => locks,
        Err(error) if error.refused.is_some() || error.kind == Kind::Answer => {
            // What was read of the files is told all the same, and why an object may be missing.
            linted.findings.splice(0..0, std::mem::take(&mut shadow.findings));
            return Ok(on_snapshot(unfit(context, &pending, linted.findings, &error)));
        }
        Err(error) => return Err(error),
    };
    let (snapshot, applied, pending, queries) = (&snapshot, &applied, &pending, &queries);
    let examination = Examination { profile, snapshot, applied, pending, queries, stopped };
    let (sizes, files) = (TableBytes::of(snapshot), lint::files(pending));
    let bytes = |table: &QualifiedName, work: Work| sizes.worked_on(table, work);
    let measured = measured::findings(&traced, bytes, &files, &profile.check, &linted.findings);
    // Before its tables are as large as production's.
    let (runway, timelines) = runway::look(context, &after, &linted.world)?;
    let before = shadow.copy(ORIGIN, "before")?;
    let drifted = drift::look(&examination, &mut shadow, [&before, &after])?;
    let planned = planned(&examination, &mut shadow, [&before, &after], &linted.world)?;
    let lost = measured::lost(&planned.foretold.lost, &traced, &linted.findings);
    let linted = linted.with_index_bytes(indexes::bytes(&planned.foretold), &profile.check);
    let mut findings = std::mem::take(&mut shadow.findings);
    findings.extend(drifted);
    findings.extend(changed);
    findings.extend(runway);
    findings.extend(planned.findings);
    findings.extend(linted.findings);
    findings.extend(measured);
    findings.extend(lost);
    let report = Report::new("").locks(locks::rows(&traced, &sizes, pending));
    let report = timelines.into_iter().fold(report, Report::timeline);
    let mut report = indexes::told(report, &planned.foretold);
    report.sections.extend(planned.report.sections);
    let judged = judged(&examination, report, findings, planned.told);
    let report = with_texts(judged.report, queries);
    Ok(on_snapshot(Examined { report, ..judged }))
}

/// What became of plans.
struct Planned {
    /// What is wrong with queries.
    findings: Vec<Finding>,
    /// Queries that are worse.
    told: Vec<Told>,
    /// The plans for people.
    report: Report,
    /// How large things will be.
    foretold: Foretold,
}

/// Plans before and after, and between where it takes that to know who did it.
fn planned(
    examination: &Examination<'_>,
    shadow: &mut Shadow<'_>,
    [before, after]: [&Database; 2],
    world: &World,
) -> Result<Planned> {
    let (mut first, facts) = shadow.imitate(before)?;
    let foretold = shadow.foretell(&mut first, after)?;
    let (mut second, _) = shadow.imitate_as(after, &foretold.snapshot)?;
    let sides = [Side::new(&mut first, &facts), Side::new(&mut second, &facts)];
    let Examination { queries, stopped, profile, .. } = examination;
    let taken = take_both(sides, queries, &shadow::TERMS, |_, _| interrupt::check(stopped))?;
    let [before, after]: [Captures; 2] = taken;
    let both = (before.clone(), after.clone());
    let steps = steps::between(examination, shadow, &mut first, both)?;
    let compared = compare(&before, &after, &profile.gate);
    let workload = weigh(&compared, &profile.gate);
    let files = lint::files(examination.pending);
    let pending = plans::Pending { files: &files, world, steps: &steps, thresholds: &profile.gate };
    let told = plans::findings(&pending, &compared, &workload);
    let mut report = shown::weighed(&workload);
    report.sections.extend(steps::told(examination, &steps).sections);
    let mut queries = shown::compared("", &compared).sections;
    if let Some(Section::Table(table)) = queries.first_mut() {
        table.title = "queries".to_string();
    }
    report.sections.extend(queries);
    let scanned = dropped::scanned(world, &before, examination.snapshot.counters_since.as_deref());
    let is_told = |one: &Finding| {
        let query = after.queries.iter().find(|query| query.label() == one.subject);
        query.is_some_and(|query| told.iter().any(|told| told.worse.contains(&query.query)))
    };
    let alone = after.findings.iter().filter(|one| !is_told(one)).cloned();
    let alone = alone.map(|one| plans::as_before(one, &before));
    let findings = alone.chain(scanned).collect();
    Ok(Planned { findings, told, report, foretold })
}

/// The answer where a migration cannot even be run.
fn unfit(
    context: &Context,
    pending: &[Migration],
    mut findings: Vec<Finding>,
    error: &Error,
) -> Examined {
    let refused = error.refused.as_ref();
    let at = refused.and_then(|one| one.at);
    let is_of = |one: &&Migration| at.is_none_or(|at| one.id.version == at.version);
    let migration = pending.iter().find(is_of);
    let subject = migration.map_or_else(String::new, |one| one.id.to_string());
    let finding = Finding::new("migration-fails", Severity::Error, subject, error.message.clone());
    let advice = refused.map_or(&error.hints, |refused| &refused.advice).clone();
    let lacks = lacks_extension(error).map(str::to_string).into_iter().collect();
    let finding = finding.help([error.causes(), advice, lacks].concat().join("; "));
    findings.push(match migration {
        Some(migration) => finding.at(migration.path.clone(), at.map_or(1, |at| at.line)),
        None => finding,
    });
    let findings = lint::not_allowed(&context.profile().check, pending, findings);
    let answer = answer(&findings, &[]);
    let subjects = subjects(pending, &[]);
    Examined { report: Report::new("").findings(findings).judged(subjects), answer }
}

/// All of it as a report, with the answer. `report` is told behind the findings.
fn judged(
    examination: &Examination<'_>,
    report: Report,
    mut findings: Vec<Finding>,
    told: Vec<Told>,
) -> Examined {
    findings.extend(told.iter().map(|one| one.finding.clone()));
    let rules = &examination.profile.check;
    let findings = lint::not_allowed(rules, examination.pending, findings);
    let answer = answer(&findings, &told);
    let mut whole = Report::new("").findings(findings);
    whole.sections.extend(report.sections);
    let subjects = subjects(examination.pending, examination.queries);
    Examined { report: whole.judged(subjects), answer }
}

/// The answer: no, where anything is an error.
fn answer(findings: &[Finding], told: &[Told]) -> Result<()> {
    let stays = |one: &&Told| findings.contains(&one.finding);
    let worse = told.iter().filter(stays).flat_map(|one| &one.worse);
    let worse: Vec<&str> = worse.map(String::as_str).collect();
    match (has_errors(findings), worse.is_empty()) {
        (false, _) => Ok(()),
        (true, true) => Err(Error::new(Kind::Answer, "there are errors")),
        (true, false) => {
            let message = format!("would be worse: {}", worse.join(", "));
            Err(Error::new(Kind::Answer, message).hint("[gate] of the profile says what counts"))
        }
    }
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

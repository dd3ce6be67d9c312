//! `pgtune snapshot verify`: how faithful a snapshot is, query by query.

use std::path::PathBuf;

use chrono::{SecondsFormat, Utc};
use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::cli::plan::server_statements::with_texts;
use crate::cli::plan::take::{Side, Terms, take};
use crate::cli::plan::workload::ForetoldArgs;
use crate::cli::shadow::{self, Shadow, ShadowArgs};
use crate::error::Result;
use crate::model::snapshot::{Fidelity, Snapshot};
use crate::model::units::Millis;
use crate::pg::server;
use crate::query_plan::captures::{Captured, Captures, Compared, compare};
use crate::query_plan::verdict::Mode;
use crate::query_plan::{Figures, QueryPlan, without_constants};
use crate::report::{Report, Table};

use super::file::{self, DEFAULT};
use super::substitutes::as_there;

/// Compare plans of the database with those that a snapshot of it foretells
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    #[arg(value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    queries: ForetoldArgs,
    /// Write the figures into the file: reports that come from it tell them
    #[arg(long)]
    record: bool,
    /// Plan as with so many times the rows: for a database that has grown since, or a larger one
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        value_parser = file::factor,
        conflicts_with = "record"
    )]
    scale: f64,
    #[command(flatten)]
    shadow: ShadowArgs,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = file::read_scaled(&args.file, args.scale)?;
    let profile = context.profile();
    let queries = args.queries.queries(context, &snapshot)?;
    let database = Database::of(context)?;
    let mut real = database.open()?;
    let facts = server::look(&mut real, &database.history_table)?;
    let stopped = interrupt::listen()?;
    let mut shadow = Shadow::start(context, &args.shadow, &snapshot, stopped)?;
    shadow.refuse_server_of(&mut real)?;
    let applied = match snapshot.ddl {
        Some(_) => Vec::new(),
        None => shadow::migrations(context, &snapshot)?.applied,
    };
    let imitated = shadow.create("before", &applied)?;
    let (mut session, shadow_facts) = shadow.imitate(&imitated)?;
    let lock_timeout = profile.limits.lock_budget;
    let terms = Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout };
    let mut progress = |_, _| interrupt::check(stopped);
    let there = take(Side::new(&mut real, &facts), &queries, &terms, None, &mut progress)?;
    let (queries, changed) = as_there(&snapshot.substitutes, &queries);
    // Values that were chosen there stand for themselves, unless others stand in their place.
    let known = (!snapshot.columns.iter().any(|one| one.is_substituted)).then_some(&there);
    let side = Side::new(&mut session, &shadow_facts);
    let here = take(side, &queries, &terms, known, &mut progress)?;
    let findings = shadow.findings.into_iter().chain(changed).chain(here.findings.clone());
    let findings = findings.collect();
    let compared = compare(&there, &here, &profile.gate);
    let graded = graded(&there, &here);
    let fidelity = fidelity(&graded);
    if args.record {
        let snapshot = Snapshot { fidelity: Some(fidelity.clone()), ..snapshot };
        file::write(&args.file, &snapshot)?;
    }
    let report = report(&graded, &fidelity, &compared).findings(findings);
    context.show(&with_texts(report, &queries))
}

/// How faithful a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// The same plan at the same cost, with the same rows.
    Exact,
    /// The same plan.
    SameShape,
    /// Another plan, or none.
    Different,
    /// There is no plan to compare with.
    Unplanned,
}

/// A plan of the database, that of the shadow, and how alike they are.
type Graded<'a> = (&'a Captured, Option<&'a Captured>, Grade);

fn graded<'a>(there: &'a Captures, here: &'a Captures) -> Vec<Graded<'a>> {
    let each = there.queries.iter().map(|one| {
        let other = here.of(one);
        (one, other, other.map_or(Grade::Different, |other| grade(one, other)))
    });
    each.collect()
}

fn fidelity(graded: &[Graded<'_>]) -> Fidelity {
    let count =
        |grades: &[Grade]| graded.iter().filter(|(_, _, grade)| grades.contains(grade)).count();
    Fidelity {
        verified_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        plans: count(&[Grade::Exact, Grade::SameShape, Grade::Different]),
        same_shape: count(&[Grade::Exact, Grade::SameShape]),
        exact: count(&[Grade::Exact]),
    }
}

fn report(graded: &[Graded<'_>], fidelity: &Fidelity, compared: &[Compared<'_>]) -> Report {
    let header = ["query", "fidelity", "cost there", "here", "rows there", "rows here", "why"];
    let mut table = Table::new("", &header).right_aligned(&[2, 3, 4, 5]);
    for (one, other, grade) in graded {
        let of_one = compared.iter().find(|pair| std::ptr::eq(pair.before, *one));
        let reasons = of_one.map(|pair| pair.judgement.reasons.as_slice()).unwrap_or_default();
        let why = match grade {
            Grade::Exact => String::new(),
            Grade::SameShape | Grade::Different | Grade::Unplanned => {
                reasons.iter().take(REASONS_MAX).cloned().collect::<Vec<_>>().join("; ")
            }
        };
        table.rows.push([row(one, *other, *grade), vec![why]].concat());
    }
    let Fidelity { plans, same_shape, exact, .. } = fidelity;
    let title = format!("{same_shape} of {plans} plans have the same shape, {exact} are exact");
    Report::new(&title).table(table)
}

/// How many reasons of a difference are told.
const REASONS_MAX: usize = 2;

fn grade(there: &Captured, here: &Captured) -> Grade {
    let Some(there) = there.capture() else { return Grade::Unplanned };
    let Some(here) = here.capture() else { return Grade::Different };
    let near = |a: f64, b: f64| (a - b).abs() <= 0.005 * a.abs().max(1.0);
    // Other values may stand for those of redacted columns.
    let shape = |plan: &QueryPlan| without_constants(&plan.text(Figures::Without));
    if shape(&there.plan) != shape(&here.plan) {
        Grade::Different
    } else if near(there.plan.cost(), here.plan.cost()) && near(there.plan.rows(), here.plan.rows())
    {
        Grade::Exact
    } else {
        Grade::SameShape
    }
}

fn row(there: &Captured, here: Option<&Captured>, grade: Grade) -> Vec<String> {
    let figures = |one: Option<&Captured>| {
        let plan = one.and_then(Captured::capture).map(|capture| &capture.plan);
        plan.map_or_else(Default::default, |plan| {
            (format!("{:.2}", plan.cost()), format!("{:.0}", plan.rows()))
        })
    };
    let ((cost, rows), (cost_here, rows_here)) = (figures(Some(there)), figures(here));
    let told = match grade {
        Grade::Exact => "exact",
        Grade::SameShape => "same shape",
        Grade::Different => "different",
        Grade::Unplanned => "no plan there",
    };
    vec![there.label(), told.to_string(), cost, cost_here, rows, rows_here]
}

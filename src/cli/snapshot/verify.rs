//! `pgtune snapshot verify`: how faithful a snapshot is, query by query.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::cli::plan::take::{Side, Terms, take_both};
use crate::cli::plan::workload::QueryArgs;
use crate::cli::shadow::{Shadow, ShadowArgs};
use crate::error::Result;
use crate::model::units::Millis;
use crate::pg::server;
use crate::query_plan::captures::{Captured, Captures, Compared, compare};
use crate::query_plan::verdict::Mode;
use crate::report::{Report, Table};

use super::file::{self, DEFAULT};

/// Compare plans of the database with those that a snapshot of it foretells
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    #[arg(value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    queries: QueryArgs,
    #[command(flatten)]
    shadow: ShadowArgs,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let snapshot = file::read(&args.file)?;
    let profile = context.profile();
    let queries = args.queries.queries(context)?;
    let database = Database::of(context)?;
    let mut real = database.open()?;
    let facts = server::look(&mut real, &database.history_table)?;
    let stopped = interrupt::listen()?;
    let mut shadow = Shadow::start(context, &args.shadow, &snapshot, stopped)?;
    shadow.refuse_server_of(&mut real)?;
    let imitated = shadow.create("before", &[])?;
    let (mut session, shadow_facts) = shadow.imitate(&imitated)?;
    let sides = [Side::new(&mut real, &facts), Side::new(&mut session, &shadow_facts)];
    let lock_timeout = profile.limits.lock_budget;
    let terms = Terms { mode: Mode::Estimate, statement_timeout: Millis(30_000), lock_timeout };
    let [there, here] = take_both(sides, &queries, &terms, |_, _| interrupt::check(stopped))?;
    let findings = shadow.findings.into_iter().chain(here.findings.clone()).collect();
    let compared = compare(&there, &here, &profile.gate);
    context.show(&report(&there, &here, &compared).findings(findings))
}

/// How faithful a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fidelity {
    /// The same plan at the same cost, with the same rows.
    Exact,
    /// The same plan.
    SameShape,
    /// Another plan, or none.
    Different,
    /// There is no plan to compare with.
    Unplanned,
}

fn report(there: &Captures, here: &Captures, compared: &[Compared<'_>]) -> Report {
    let header = ["query", "fidelity", "cost there", "here", "rows there", "rows here", "why"];
    let mut table = Table::new("", &header).right_aligned(&[2, 3, 4, 5]);
    let (mut exact, mut same, mut all) = (0, 0, 0);
    for one in &there.queries {
        let other = here.of(one);
        let fidelity = other.map_or(Fidelity::Different, |other| fidelity(one, other));
        all += usize::from(fidelity != Fidelity::Unplanned);
        exact += usize::from(fidelity == Fidelity::Exact);
        same += usize::from(matches!(fidelity, Fidelity::Exact | Fidelity::SameShape));
        let of_one = compared.iter().find(|pair| std::ptr::eq(pair.before, one));
        let reasons = of_one.map(|pair| pair.judgement.reasons.as_slice()).unwrap_or_default();
        let why = match fidelity {
            Fidelity::Exact => String::new(),
            Fidelity::SameShape | Fidelity::Different | Fidelity::Unplanned => {
                reasons.iter().take(REASONS_MAX).cloned().collect::<Vec<_>>().join("; ")
            }
        };
        table.rows.push([row(one, other, fidelity), vec![why]].concat());
    }
    let title = format!("{same} of {all} plans have the same shape, {exact} are exact");
    Report::new(&title).table(table)
}

/// How many reasons of a difference are told.
const REASONS_MAX: usize = 2;

fn fidelity(there: &Captured, here: &Captured) -> Fidelity {
    let Some(there) = there.capture() else { return Fidelity::Unplanned };
    let Some(here) = here.capture() else { return Fidelity::Different };
    let near = |a: f64, b: f64| (a - b).abs() <= 0.005 * a.abs().max(1.0);
    if there.plan.digest() != here.plan.digest() {
        Fidelity::Different
    } else if near(there.plan.cost(), here.plan.cost()) && near(there.plan.rows(), here.plan.rows())
    {
        Fidelity::Exact
    } else {
        Fidelity::SameShape
    }
}

fn row(there: &Captured, here: Option<&Captured>, fidelity: Fidelity) -> Vec<String> {
    let figures = |one: Option<&Captured>| {
        let plan = one.and_then(Captured::capture).map(|capture| &capture.plan);
        plan.map_or_else(Default::default, |plan| {
            (format!("{:.2}", plan.cost()), format!("{:.0}", plan.rows()))
        })
    };
    let ((cost, rows), (cost_here, rows_here)) = (figures(Some(there)), figures(here));
    let told = match fidelity {
        Fidelity::Exact => "exact",
        Fidelity::SameShape => "same shape",
        Fidelity::Different => "different",
        Fidelity::Unplanned => "no plan there",
    };
    vec![there.label(), told.to_string(), cost, cost_here, rows, rows_here]
}

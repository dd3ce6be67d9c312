//! What pending migrations do to the plans of queries, as findings at the statements that did it.
//! Pure.

use super::blame::{Blame, Did, Planned, blame};
use super::lint::File;
use super::lint::world::World;
use crate::model::finding::{Finding, Severity};
use crate::model::gate::Thresholds;
use crate::model::ident::QualifiedName;
use crate::model::units::plural;
use crate::query_plan::captures::{Captured, Captures, Compared, compare, is_news};
use crate::query_plan::verdict::{Outcome, Verdict, judge};
use crate::query_plan::workload::{Impact, WorkloadJudgement};

/// The check that a query fails which stops the gate.
pub const PLAN_WORSE: &str = "plan-worse";
/// The check that a query fails which has no plan any more.
pub const QUERY_FAILS: &str = "query-fails";
/// The check that an index fails which is dropped, and whose loss makes queries worse.
pub const DROPPED_IN_USE: &str = "dropped-index-in-use";
/// The check that a query fails which is cheaper by the estimate, and lost what made it safe.
pub const PLAN_CHANGED: &str = "plan-changed";

/// Queries of one finding that are told by name.
const QUERIES_MAX: usize = 10;

/// The plans of the workload after so many of the pending migrations: 0 of them, all, and some
/// between where plans changed.
pub type Steps = std::collections::BTreeMap<usize, Captures>;

/// Plans that changed between one number of migrations and another.
pub struct Step<'a> {
    /// After so many of the pending migrations they were the old ones.
    pub from: usize,
    /// After so many they are the new ones.
    pub to: usize,
    /// The queries whose plans are others.
    pub changed: Vec<Compared<'a>>,
}

/// Where plans changed, in the order of the migrations.
pub fn changes<'a>(steps: &'a Steps, thresholds: &Thresholds) -> Vec<Step<'a>> {
    let pairs = steps.iter().zip(steps.iter().skip(1));
    let each = pairs.map(|((from, before), (to, after))| {
        let changed = compare(before, after, thresholds).into_iter();
        let changed = changed.filter(|one| one.judgement.verdict != Verdict::Identical).collect();
        Step { from: *from, to: *to, changed }
    });
    each.filter(|step| !step.changed.is_empty()).collect()
}

/// A finding, and the queries that it is about.
pub struct Told {
    /// The finding.
    pub finding: Finding,
    /// The queries that stop the gate because of it.
    pub worse: Vec<String>,
}

/// What is known of the pending migrations.
pub struct Pending<'a> {
    /// Their files, in order.
    pub files: &'a [File<'a>],
    /// What their statements make and drop.
    pub world: &'a World,
    /// The plans after some of them.
    pub steps: &'a Steps,
    /// What counts.
    pub thresholds: &'a Thresholds,
}

/// The queries that stop the gate, those of one dropped index as one finding; then those that are
/// cheaper by the estimate alone.
pub fn findings(
    pending: &Pending<'_>,
    compared: &[Compared<'_>],
    workload: &WorkloadJudgement,
) -> Vec<Told> {
    let changes = changes(pending.steps, pending.thresholds);
    let mut dropped: Vec<(QualifiedName, Blame, Vec<&Impact>)> = Vec::new();
    let mut told = Vec::new();
    for impact in workload.queries.iter().filter(|query| query.blocks) {
        let blame = pending.blame(&changes, &impact.name);
        if impact.verdict == Verdict::Failed {
            let finding =
                Finding::new(QUERY_FAILS, Severity::Error, &impact.name, impact.reasons.join("; "))
                    .help("keep the old beside the new until nothing runs this query any more");
            told.push(Told { finding: at(finding, blame), worse: vec![impact.name.clone()] });
            continue;
        }
        if let Some(Blame { did: Did::Dropped(index), .. }) = &blame {
            match dropped.iter_mut().find(|(known, _, _)| known == index) {
                Some((_, _, queries)) => queries.push(impact),
                None => dropped.extend(blame.clone().map(|b| (index.clone(), b, vec![impact]))),
            }
            continue;
        }
        let message = format!("{}: {}", impact.verdict, impact.reasons.join("; "));
        let finding = Finding::new(PLAN_WORSE, Severity::Error, &impact.name, message)
            .help("[gate] of the profile says what counts");
        told.push(Told { finding: at(finding, blame), worse: vec![impact.name.clone()] });
    }
    let known: Vec<QualifiedName> = dropped.iter().map(|(index, _, _)| index.clone()).collect();
    let dropped = dropped.into_iter().map(|(index, blame, queries)| Told {
        finding: at(lost(&index, &queries), Some(blame)),
        worse: queries.iter().map(|query| query.name.clone()).collect(),
    });
    let mut told: Vec<Told> = dropped.chain(told).collect();
    let is_told = |name: &str| workload.queries.iter().any(|one| one.blocks && one.name == name);
    let mut seen: Vec<&str> = Vec::new();
    for one in compared.iter().filter(|one| !is_told(&one.before.query)) {
        let name = one.before.query.as_str();
        let Some(finding) = changed(one, pending.thresholds) else { continue };
        let blame = pending.blame(&changes, name);
        let is_known = |blame: &Blame| matches!(&blame.did, Did::Dropped(i) if known.contains(i));
        if !seen.contains(&name) && !blame.as_ref().is_some_and(is_known) {
            seen.push(name);
            told.push(Told { finding: at(finding, blame), worse: Vec::new() });
        }
    }
    told
}

/// What is wrong with a query, where no migration is to blame: one that had no plan before either
/// speaks against none.
pub fn as_before(finding: Finding, before: &Captures) -> Finding {
    let query = before.queries.iter().find(|one| one.label() == finding.subject);
    if query.is_none_or(|query| query.capture().is_some()) {
        return finding;
    }
    let message = format!("{}, before the migrations as well", finding.message);
    Finding { message, severity: finding.severity.min(Severity::Warning), ..finding }
}

fn at(finding: Finding, blame: Option<Blame>) -> Finding {
    match blame {
        Some(Blame { place, .. }) => finding.at(place.path, place.line),
        None => finding,
    }
}

/// An index whose loss makes queries worse.
fn lost(index: &QualifiedName, queries: &[&Impact]) -> Finding {
    let one = |query: &&Impact| match query.reasons.first() {
        Some(reason) => format!("{} ({reason})", query.name),
        None => query.name.clone(),
    };
    let mut names: Vec<String> = queries.iter().take(QUERIES_MAX).map(one).collect();
    let more = queries.len().saturating_sub(QUERIES_MAX);
    names.extend((more > 0).then(|| format!("{more} more")));
    let count = plural(queries.len(), "query that uses it gets", "queries that use it get");
    let message = format!("it is dropped, and {count} worse: {}", names.join(", "));
    let help = "keep it until no query needs it; [gate] of the profile says what counts";
    Finding::new(DROPPED_IN_USE, Severity::Error, index.to_string(), message).help(help)
}

/// A plan that is cheaper by the estimate, and lost what kept it fast whatever the values are.
fn changed(one: &Compared<'_>, thresholds: &Thresholds) -> Option<Finding> {
    let (before, after) = one.judgement.cost?;
    let lost = one.lost(thresholds);
    if lost.is_empty() || one.judgement.verdict != Verdict::Changed {
        return None;
    }
    let message =
        format!("cheaper by the estimate alone ({before:.0} → {after:.0}): {}", lost.join("; "));
    let help = "it is fast only if rows are spread as the planner believes: run it on real rows, \
                with `pgtune plan diff` or EXPLAIN ANALYZE, before this is deployed";
    Some(Finding::new(PLAN_CHANGED, Severity::Warning, &one.before.query, message).help(help))
}

impl Pending<'_> {
    /// The statement behind which a query is worse: of the first migration that made it so, else
    /// of the one that changed it most.
    fn blame(&self, changes: &[Step<'_>], query: &str) -> Option<Blame> {
        let of_query = |step: &&Step<'_>| step.changed.iter().any(|one| one.before.query == query);
        let steps: Vec<&Step<'_>> = changes.iter().filter(of_query).collect();
        let gone_bad = steps.iter().find(|step| {
            step.changed.iter().any(|one| one.before.query == query && self.is_worse(one))
        });
        let step = gone_bad.or_else(|| {
            let moved = |step: &Step<'_>| {
                let own = step.changed.iter().filter(|one| one.before.query == query);
                own.filter_map(grown).fold(f64::MIN, f64::max)
            };
            steps.iter().max_by(|a, b| moved(a).total_cmp(&moved(b)))
        })?;
        let worst = |one: &&Compared<'_>| one.before.query == query;
        let worst = step.changed.iter().filter(worst).max_by_key(|one| {
            (self.is_worse(one), is_news(one.judgement.verdict), one.judgement.verdict)
        })?;
        let files = self.files.get(step.from..step.to)?;
        blame(files, self.world, [planned(worst.before), planned(worst.after)])
    }

    /// Whether a query is worse after a step than it was before all of them.
    fn is_worse(&self, one: &Compared<'_>) -> bool {
        let first = self.steps.get(&0).and_then(|first| first.of(one.before));
        let judgement =
            first.map(|first| judge(&first.outcome, &one.after.outcome, self.thresholds));
        judgement.is_some_and(|judgement| judgement.verdict >= Verdict::Regressed)
    }
}

fn planned(captured: &Captured) -> Planned<'_> {
    match &captured.outcome {
        Outcome::Plan(capture) => Ok(&capture.plan),
        Outcome::Error(why) | Outcome::TimedOut(why) | Outcome::Locked(why) => Err(why),
    }
}

/// By how much the cost grew.
fn grown(one: &Compared<'_>) -> Option<f64> {
    one.judgement.cost.map(|(before, after)| after - before)
}

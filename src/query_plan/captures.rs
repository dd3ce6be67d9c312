//! The plans of many queries at one moment, saved and compared. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::alarm::alarms;
use super::diff::{PlanDiff, diff};
use super::values::ChosenSet;
use super::verdict::{Capture, Judgement, Mode, Outcome, Verdict, judge};
use super::workload::{Weighed, WorkloadJudgement, judge_sets, judge_workload};
use crate::model::finding::Finding;
use crate::model::gate::Thresholds;
use crate::model::ident::QualifiedName;

/// Grows when a program that reads the file would have to change. New keys do not count.
pub const SCHEMA_VERSION: u32 = 1;

/// The plans of many queries at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captures {
    /// The version of this form.
    pub schema_version: u32,
    /// When they were taken: RFC 3339, UTC.
    pub taken_at: String,
    /// `server_version` of the server.
    pub server_version: String,
    /// How they were asked for.
    pub mode: Mode,
    /// One for each query and each of its sets of values.
    pub queries: Vec<Captured>,
    /// The partitions that plans read, with the table at the top; not saved.
    #[serde(skip)]
    pub roots: BTreeMap<QualifiedName, QualifiedName>,
    /// What is wrong with queries; not saved.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// One query with one set of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    /// The query's name.
    pub query: String,
    /// Which of its sets of values, from 1; 0 where it takes none, or the plan is generic.
    pub set: usize,
    /// The values, where they were chosen from the statistics.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<ChosenSet>,
    /// How often it is run, beside the others.
    pub calls: f64,
    /// The plan, or why there is none.
    pub outcome: Outcome,
}

/// One query with one set of values, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared<'a> {
    /// Before.
    pub before: &'a Captured,
    /// After.
    pub after: &'a Captured,
    /// What to think of it.
    pub judgement: Judgement,
    /// Where the plans differ; `None` where one of them is none.
    pub diff: Option<PlanDiff>,
}

impl Compared<'_> {
    /// What the plan lost that makes a large table slow, whatever the estimates say, in words.
    pub fn lost(&self, thresholds: &Thresholds) -> Vec<String> {
        let plans = self.before.capture().zip(self.after.capture());
        let Some((diff, (before, after))) = self.diff.as_ref().zip(plans) else {
            return Vec::new();
        };
        alarms(diff, &before.plan, &after.plan, thresholds)
    }
}

impl Captured {
    /// "size_country (2)", "size_country (rare)": the query, and which of its sets of values.
    pub fn label(&self) -> String {
        match self.set_label() {
            set if set.is_empty() => self.query.clone(),
            set => format!("{} ({set})", self.query),
        }
    }

    /// "2", "rare"; nothing where there is one set.
    pub fn set_label(&self) -> String {
        match (&self.chosen, self.set) {
            (Some(chosen), _) => chosen.name.clone(),
            (None, 0) => String::new(),
            (None, set) => set.to_string(),
        }
    }

    /// The plan, where there is one.
    pub fn capture(&self) -> Option<&Capture> {
        match &self.outcome {
            Outcome::Plan(capture) => Some(capture),
            Outcome::Error(_) | Outcome::TimedOut(_) | Outcome::Locked(_) => None,
        }
    }
}

impl Captures {
    /// The queries whose plans read one of these tables, or the partitioned table above one.
    pub fn readers(&self, tables: &BTreeSet<QualifiedName>) -> BTreeSet<&str> {
        let names: BTreeSet<String> =
            tables.iter().map(|table| self.roots.get(table).unwrap_or(table).to_string()).collect();
        let reads = |one: &&Captured| {
            let relations = one.capture().map(|capture| &capture.plan.relations);
            relations.is_some_and(|read| read.keys().any(|name| names.contains(name)))
        };
        self.queries.iter().filter(reads).map(|one| one.query.as_str()).collect()
    }

    /// The queries that have no plan with some set of values.
    pub fn without_plan(&self) -> BTreeSet<&str> {
        let without = self.queries.iter().filter(|one| one.capture().is_none());
        without.map(|one| one.query.as_str()).collect()
    }

    /// Adds what `earlier` has of queries that were not looked at again.
    pub fn complete_with(&mut self, earlier: &Captures) {
        let missing: Vec<Captured> =
            earlier.queries.iter().filter(|one| self.of(one).is_none()).cloned().collect();
        self.queries.extend(missing);
        self.roots.extend(earlier.roots.clone());
    }

    /// Leaves out that a setting of the planner is another one, where that is what is compared.
    pub fn forget_setting(&mut self, name: &str) {
        for one in &mut self.queries {
            if let Outcome::Plan(capture) = &mut one.outcome {
                capture.plan.settings.remove(name);
            }
        }
    }

    /// The sets of values that were chosen for a query.
    pub fn chosen_for<'a>(&'a self, query: &'a str) -> impl Iterator<Item = &'a ChosenSet> {
        let of_query = self.queries.iter().filter(move |one| one.query == query);
        of_query.filter_map(|one| one.chosen.as_ref())
    }

    /// How many have no partner on the other side.
    pub fn unpaired(&self, other: &Captures) -> usize {
        self.queries.iter().filter(|one| other.of(one).is_none()).count()
    }

    /// The plan of the same query with the same set of values.
    pub fn of(&self, other: &Captured) -> Option<&Captured> {
        self.queries.iter().find(|one| (&one.query, one.set) == (&other.query, other.set))
    }
}

/// Compares what both have, in the order of `before`.
pub fn compare<'a>(
    before: &'a Captures,
    after: &'a Captures,
    thresholds: &Thresholds,
) -> Vec<Compared<'a>> {
    let pairs = before.queries.iter().filter_map(|one| Some((one, after.of(one)?)));
    pairs
        .map(|(before, after)| {
            let plans = before.capture().zip(after.capture());
            let judgement = judge(&before.outcome, &after.outcome, thresholds);
            Compared {
                before,
                after,
                judgement: with_values(before, after, judgement),
                diff: plans.map(|(before, after)| diff(&before.plan, &after.plan)),
            }
        })
        .collect()
}

/// Plans for other values tell nothing of each other, unless they are the same all the same.
fn with_values(before: &Captured, after: &Captured, judgement: Judgement) -> Judgement {
    let (Some(b), Some(a)) = (&before.chosen, &after.chosen) else { return judgement };
    let is_plan = before.capture().zip(after.capture()).is_some();
    if b.values == a.values || !is_plan || judgement.verdict == Verdict::Identical {
        return judgement;
    }
    let shown = |set: &ChosenSet| format!("{} ({})", set.values.join(", "), set.name);
    let other = format!("planned for other values: {} instead of {}", shown(a), shown(b));
    let reasons = [vec![other], judgement.reasons].concat();
    Judgement { verdict: Verdict::NotComparable, reasons, ..judgement }
}

/// What it all comes to, each query with its sets of values as one, weighed by how often it is run.
pub fn weigh(compared: &[Compared<'_>], thresholds: &Thresholds) -> WorkloadJudgement {
    let mut queries: Vec<(&Captured, Vec<(String, Judgement)>)> = Vec::new();
    for one in compared {
        let set = (one.before.set_label(), one.judgement.clone());
        match queries.iter_mut().find(|(known, _)| known.query == one.before.query) {
            Some((_, sets)) => sets.push(set),
            None => queries.push((one.before, vec![set])),
        }
    }
    let weighed: Vec<Weighed> = queries
        .into_iter()
        .map(|(captured, sets)| Weighed {
            name: captured.query.clone(),
            calls: captured.calls,
            judgement: judge_sets(&sets),
        })
        .collect();
    judge_workload(&weighed, thresholds)
}

/// Whether a verdict is worth a tree.
pub fn is_news(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Identical | Verdict::SameShape => false,
        Verdict::Improved
        | Verdict::Changed
        | Verdict::Unstable
        | Verdict::NotComparable
        | Verdict::Regressed
        | Verdict::Failed => true,
    }
}

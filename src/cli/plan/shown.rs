//! Plans and their differences as a report.

use crate::model::finding::{Finding, Severity};
use crate::model::units::human_duration;
use crate::query_plan::Figures;
use crate::query_plan::captures::{Captured, Captures, Compared, is_news};
use crate::query_plan::measure::percent;
use crate::query_plan::verdict::Outcome;
use crate::query_plan::workload::{WorkloadJudgement, shapes};
use crate::report::{Report, Table};

/// The plans that were taken: a line each, and their trees where `trees` are wanted.
pub fn captures(captures: &Captures, trees: bool) -> Report {
    let measured = captures.queries.iter().any(|one| time(one).is_some());
    let mut header = vec!["query", "cost", "rows"];
    if measured {
        header.extend(["time", "blocks"]);
    }
    header.extend(["digest", "plan"]);
    let mut table = Table::new("", &header).right_aligned(&[1, 2, 3, 4][..header.len() - 3]);
    table.rows = captures.queries.iter().map(|one| row(one, measured)).collect();
    let mut report = Report::new("").table(table).findings(captures.findings.clone());
    report = report.findings(sensitive(captures));
    for one in captures.queries.iter().filter(|_| trees) {
        let text = match &one.outcome {
            Outcome::Plan(capture) => capture.plan.text(match measured {
                true => Figures::Measured,
                false => Figures::Estimated,
            }),
            Outcome::Error(why) | Outcome::TimedOut(why) | Outcome::Locked(why) => why.clone(),
        };
        report = report.text(&one.label(), format!("{text}\n"));
    }
    report
}

/// Queries whose plan depends on their values.
fn sensitive(captures: &Captures) -> Vec<Finding> {
    let mut findings = Vec::new();
    for of_query in captures.queries.chunk_by(|a, b| a.query == b.query) {
        let outcomes: Vec<Outcome> = of_query.iter().map(|one| one.outcome.clone()).collect();
        let plans = shapes(&outcomes);
        if plans > 1 {
            let message = format!("{plans} plans for {} sets of values", of_query.len());
            let subject = of_query[0].query.clone();
            findings.push(Finding::new("parameter-sensitive", Severity::Info, subject, message));
        }
    }
    findings
}

fn time(one: &Captured) -> Option<f64> {
    Some(one.capture()?.plan.measured.as_ref()?.time_ms)
}

fn row(one: &Captured, measured: bool) -> Vec<String> {
    let Some(capture) = one.capture() else {
        let why = match &one.outcome {
            Outcome::Error(why) | Outcome::TimedOut(why) | Outcome::Locked(why) => why.clone(),
            Outcome::Plan(_) => String::new(),
        };
        let blanks = if measured { 5 } else { 3 };
        return [vec![one.label()], vec![String::new(); blanks], vec![why]].concat();
    };
    let plan = &capture.plan;
    let mut row = vec![one.label(), format!("{:.2}", plan.cost()), format!("{:.0}", plan.rows())];
    if measured {
        row.push(time(one).map_or_else(String::new, milliseconds));
        let blocks = plan.measured.as_ref().and_then(|m| m.buffers).map(|b| b.all().to_string());
        row.push(blocks.unwrap_or_default());
    }
    let text = plan.text(Figures::Without);
    let head = text.lines().next().unwrap_or_default().to_string();
    row.extend([plan.digest()[..8].to_string(), head]);
    row
}

/// How many reasons of a verdict are told; the tree tells the others.
const REASONS_MAX: usize = 2;

/// How queries fare, a line each, and the tree of each that is news.
pub fn compared(title: &str, compared: &[Compared<'_>]) -> Report {
    let columns = Columns::of(compared);
    let header =
        columns.header(["query", "verdict", "cost before", "after"], ["time before", "after"]);
    let mut table = Table::new("", &header).right_aligned(columns.figures(2));
    table.rows = compared
        .iter()
        .map(|one| {
            let verdict = one.judgement.verdict.to_string();
            columns.row(vec![one.before.label(), verdict], one, one.judgement.reasons.clone())
        })
        .collect();
    with_trees(Report::new(title).table(table), compared)
}

/// What it all comes to: what each query that changed means to one call and to the workload.
pub fn weighed(workload: &WorkloadJudgement) -> Report {
    let share = |share: f64| match share.abs() {
        // What has no figures, as what failed, has no share either.
        none if none < 0.0005 => String::new(),
        _ => percent(1.0, 1.0 + share),
    };
    let header = ["query", "verdict", "one call", "the workload", "blocks", "why"];
    let title = format!("the workload, by {} and calls", workload.unit);
    let mut table = Table::new(&title, &header).right_aligned(&[2, 3]);
    let news = workload.queries.iter().filter(|one| is_news(one.verdict) || one.blocks);
    table.rows = news
        .map(|one| {
            vec![
                one.name.clone(),
                one.verdict.to_string(),
                share(one.on_statement),
                share(one.on_workload),
                if one.blocks { "yes" } else { "no" }.to_string(),
                one.reasons.first().cloned().unwrap_or_default(),
            ]
        })
        .collect();
    if table.rows.is_empty() { Report::new("") } else { Report::new("").table(table) }
}

/// What policies of row-level security cost: each query past them, and as its role sees it.
pub fn policies(compared: &[Compared<'_>]) -> Report {
    let columns = Columns::of(compared);
    let header = columns.header(["query", "cost without", "with"], ["time without", "with"]);
    let mut table = Table::new("", &header).right_aligned(columns.figures(1));
    table.rows = compared
        .iter()
        .map(|one| {
            let mut why = one.judgement.reasons.clone();
            if why.is_empty() {
                why.push("no policy, or one that costs nothing".to_string());
            }
            columns.row(vec![one.before.label()], one, why)
        })
        .collect();
    with_trees(Report::new("").table(table), compared)
}

fn with_trees(report: Report, compared: &[Compared<'_>]) -> Report {
    let news = compared.iter().filter(|one| is_news(one.judgement.verdict));
    news.fold(report, |report, one| match &one.diff {
        Some(diff) => report.plan_diff(&one.before.label(), diff.lines().to_vec()),
        None => report,
    })
}

/// Which figures of two sides there are to show.
struct Columns {
    /// Whether any query was run on both sides.
    times: bool,
}

impl Columns {
    fn of(compared: &[Compared<'_>]) -> Columns {
        Columns { times: compared.iter().any(|one| times(one).is_some()) }
    }

    fn header(
        &self,
        front: impl Into<Vec<&'static str>>,
        times: [&'static str; 2],
    ) -> Vec<&'static str> {
        let times = if self.times { times.to_vec() } else { Vec::new() };
        [front.into(), times, vec!["why"]].concat()
    }

    /// The places of the figures, behind so many columns of words.
    fn figures(&self, words: usize) -> &'static [usize] {
        match (words, self.times) {
            (1, false) => &[1, 2],
            (1, true) => &[1, 2, 3, 4],
            (_, false) => &[2, 3],
            (_, true) => &[2, 3, 4, 5],
        }
    }

    /// A row: words, costs, times, and the first reasons.
    fn row(&self, words: Vec<String>, one: &Compared<'_>, why: Vec<String>) -> Vec<String> {
        let costs = one.judgement.cost.map_or_else(Default::default, |(before, after)| {
            [format!("{before:.2}"), format!("{after:.2}")]
        });
        let times = times(one).map_or_else(Default::default, |(before, after)| {
            [milliseconds(before), milliseconds(after)]
        });
        let times = if self.times { times.to_vec() } else { Vec::new() };
        let why = why.into_iter().take(REASONS_MAX).collect::<Vec<_>>().join("; ");
        [words, costs.to_vec(), times, vec![why]].concat()
    }
}

/// The medians of both sides, in milliseconds.
fn times(one: &Compared<'_>) -> Option<(f64, f64)> {
    time(one.before).zip(time(one.after))
}

fn milliseconds(ms: f64) -> String {
    let time = std::time::Duration::try_from_secs_f64(ms.max(0.0) / 1e3);
    human_duration(time.unwrap_or(std::time::Duration::MAX))
}

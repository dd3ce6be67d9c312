//! Plans and their differences as a report.

use crate::model::finding::{Finding, Severity};
use crate::model::units::human_duration;
use crate::query_plan::Figures;
use crate::query_plan::captures::{Captured, Captures, Compared, is_news};
use crate::query_plan::verdict::Outcome;
use crate::query_plan::workload::shapes;
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
            Outcome::Error(why) | Outcome::TimedOut(why) => why.clone(),
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
            Outcome::Error(why) | Outcome::TimedOut(why) => why.clone(),
            Outcome::Plan(_) => String::new(),
        };
        let blanks = if measured { 5 } else { 3 };
        return [vec![one.label()], vec![String::new(); blanks], vec![why]].concat();
    };
    let plan = &capture.plan;
    let mut row = vec![one.label(), format!("{:.2}", plan.cost()), format!("{:.0}", plan.rows())];
    if measured {
        let ms = |ms: f64| human_duration(std::time::Duration::from_secs_f64(ms.max(0.0) / 1e3));
        row.push(time(one).map_or_else(String::new, ms));
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
    let header = ["query", "verdict", "cost before", "after", "why"];
    let mut table = Table::new("", &header).right_aligned(&[2, 3]);
    table.rows = compared.iter().map(compared_row).collect();
    let report = Report::new(title).table(table);
    let news = compared.iter().filter(|one| is_news(one.judgement.verdict));
    news.fold(report, |report, one| match &one.diff {
        Some(diff) => report.plan_diff(&one.before.label(), diff.lines().to_vec()),
        None => report,
    })
}

fn compared_row(one: &Compared<'_>) -> Vec<String> {
    let (before, after) = one.judgement.cost.map_or_else(Default::default, |(before, after)| {
        (format!("{before:.2}"), format!("{after:.2}"))
    });
    let reasons: Vec<&str> =
        one.judgement.reasons.iter().take(REASONS_MAX).map(String::as_str).collect();
    let why = reasons.join("; ");
    vec![one.before.label(), one.judgement.verdict.to_string(), before, after, why]
}

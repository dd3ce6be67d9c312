//! `pgtune plan history`: how plans fared over the index changes of a database.

use crate::bench::chart::human_ms;
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::model::units::human_duration;
use crate::pg::plan_history::{Entry, entries};
use crate::report::course::{Course, Point, Seen};
use crate::report::{Report, Table};

/// Show how the plans of queries fared over index changes
///
/// `pgtune migrate` takes the plans of the profile's queries around each change that may touch
/// them, and remembers those that changed in pgtune_state.plan_history. Of one query, a chart shows
/// its cost after each change, and where its plan became another one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune plan history                    all queries
  pgtune plan history size_country       one, with the course of its cost")]
pub struct Args {
    /// Only this query
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    /// Show at most this many changes, the newest
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let entries = entries(&mut session, args.query.as_deref(), args.limit)?;
    if entries.is_empty() {
        return context.show(&Report::new("no plan has changed around a migration of pgtune's"));
    }
    let is_timed = entries.iter().any(|entry| entry.times_ms != [None, None]);
    let mut header = vec!["when", "change", "query", "verdict", "cost", "", "digest"];
    header.extend(is_timed.then_some("time"));
    let mut table = Table::new("", &header).right_aligned(&[4]);
    let most = entries.iter().flat_map(|entry| entry.costs).flatten().fold(0.0, f64::max);
    table.rows = entries.iter().map(|entry| row(entry, most, is_timed)).collect();
    let report = Report::new("").table(table);
    context.show(&match args.query {
        Some(query) => report.course(course(query, &entries)),
        None => report,
    })
}

fn row(entry: &Entry, most: f64, is_timed: bool) -> Vec<String> {
    let both = |both: [Option<f64>; 2], text: fn(f64) -> String| {
        both.map(|one| one.map_or("none".to_string(), text)).join(" -> ")
    };
    let query = match entry.set_label.as_str() {
        "" => entry.query.clone(),
        set => format!("{} ({set})", entry.query),
    };
    let age = std::time::Duration::from_secs_f64(entry.age_s.max(0.0));
    let mut row = vec![
        format!("{} ago", human_duration(age)),
        entry.change.clone(),
        query,
        entry.verdict.clone(),
        both(entry.costs, |cost| format!("{cost:.2}")),
        entry.costs.map(|cost| bar(cost.unwrap_or(0.0), most)).concat(),
        entry.digests.join(" -> "),
    ];
    row.extend(is_timed.then(|| both(entry.times_ms, human_ms)));
    row
}

/// The course of one query, whose entries these are.
fn course(query: String, entries: &[Entry]) -> Course {
    let points = entries.iter().map(|entry| {
        let seen = |side: usize| Seen {
            cost: entry.costs[side],
            time_ms: entry.times_ms[side],
            digest: entry.digests[side].clone(),
        };
        let Entry { taken_at, change, verdict, set, set_label, .. } = entry.clone();
        ((set, set_label), Point::new((taken_at, change, verdict), seen(0), seen(1)))
    });
    Course::new(query, points)
}

/// One of eight heights, by the logarithm: costs differ by orders of magnitude.
fn bar(cost: f64, most: f64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let share = if most > 0.0 { (1.0 + cost).ln() / (1.0 + most).ln() } else { 0.0 };
    HEIGHTS[((share * 7.0).round() as usize).min(7)].to_string()
}

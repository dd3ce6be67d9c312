//! `pgtune plan history`: how plans fared over the index changes of a database.

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::model::units::human_duration;
use crate::pg::plan_history::{Entry, entries};
use crate::report::{Report, Table};

/// Show how the plans of queries fared over index changes
///
/// `pgtune migrate` takes the plans of the profile's queries around each change that may touch
/// them, and remembers those that changed in pgtune_state.plan_history.
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
    let mut table = Table::new("", &["when", "change", "query", "verdict", "cost", "", "digest"])
        .right_aligned(&[4]);
    let most = entries.iter().flat_map(|entry| entry.costs).flatten().fold(0.0, f64::max);
    table.rows = entries.iter().map(|entry| row(entry, most)).collect();
    context.show(&Report::new("").table(table))
}

fn row(entry: &Entry, most: f64) -> Vec<String> {
    let cost = |cost: Option<f64>| cost.map_or("none".to_string(), |cost| format!("{cost:.2}"));
    let [before, after] = entry.costs;
    let query = match entry.set {
        0 => entry.query.clone(),
        set => format!("{} ({set})", entry.query),
    };
    let age = std::time::Duration::from_secs_f64(entry.age_s.max(0.0));
    vec![
        format!("{} ago", human_duration(age)),
        entry.change.clone(),
        query,
        entry.verdict.clone(),
        format!("{} -> {}", cost(before), cost(after)),
        [before, after].map(|cost| bar(cost.unwrap_or(0.0), most)).concat(),
        entry.digests.join(" -> "),
    ]
}

/// One of eight heights, by the logarithm: costs differ by orders of magnitude.
fn bar(cost: f64, most: f64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let share = if most > 0.0 { (1.0 + cost).ln() / (1.0 + most).ln() } else { 0.0 };
    HEIGHTS[((share * 7.0).round() as usize).min(7)].to_string()
}

//! `pgtune partitions check`: the gate for CI and monitoring.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::{Error, Kind, Result};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, has_errors};
use crate::model::ident::QualifiedName;
use crate::model::units::plural;
use crate::pg::partitions::{holds_rows, index_counts, locks_per_transaction};
use crate::pg::session::Session;
use crate::planner::partition::health::{Counts, Health, InDefault, health, portrait};
use crate::planner::partition::rule::{Rule, refuse_second, resolve};
use crate::profile::partitions::PartitionRule;
use crate::report::timeline::Timeline;
use crate::report::{Report, Table, metrics};

use super::list::timeline;
use super::look::{Sight, look, parse_as_of, rules};

/// Check how long the partitions last, and what is wrong with them
///
/// Reads only. Exit code 1 when rows of this moment have no partition, when no period beyond it is
/// ready, or when a rule cannot be followed; warnings alone leave with 0 unless --strict.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions check
  pgtune partitions check --strict --json
  pgtune partitions check --as-of 2027-03-01        would they last until then?
  pgtune partitions check --prometheus > /var/lib/node_exporter/pgtune.prom")]
pub struct Args {
    /// Rules of this table only, as the profile names it; may be repeated
    #[arg(long = "table", short, value_name = "TABLE")]
    tables: Vec<String>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Print metrics in the text format of Prometheus
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
    /// Check as if it were this date, or time with zone
    #[arg(long, value_name = "DATE", value_parser = parse_as_of)]
    as_of: Option<DateTime<Utc>>,
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let rules = rules(context, &args.tables)?;
    let database = Database::of(context)?;
    let Checked { healths, findings, now, .. } =
        checked(&database, &rules, &context.profile().partitions, args.as_of)?;
    if args.prometheus {
        context.ui.answer(&metrics::text(&healths_as_metrics(&healths, now), rules.len()))?;
    } else {
        context.show(&report(&healths, &findings))?;
    }
    let no = has_errors(&findings) || (args.strict && !findings.is_empty());
    if no { Err(Error::new(Kind::Answer, "partitions need attention")) } else { Ok(()) }
}

/// How partitioned tables are, and what is to be said about them.
pub struct Checked {
    /// Each table whose rule can be followed.
    healths: Vec<Health>,
    /// What needs attention.
    pub findings: Vec<Finding>,
    /// Each of the tables along time, where time is its key.
    pub timelines: Vec<Timeline>,
    /// When that was.
    now: DateTime<Utc>,
}

/// Looks at the tables of these rules, `all` of which the profile has.
pub fn checked(
    database: &Database,
    rules: &[&PartitionRule],
    all: &[PartitionRule],
    as_of: Option<DateTime<Utc>>,
) -> Result<Checked> {
    let mut session = database.open()?;
    let sight = look(&mut session, database, as_of)?;
    let resolved = rules.iter().map(|written| {
        let rule = resolve(written, &sight.catalog)?;
        refuse_second(rule, all, &sight.catalog)
    });
    let (rules_that_fit, mut findings) = split(resolved);
    let tables: Vec<QualifiedName> = rules_that_fit.iter().map(|r| r.table.clone()).collect();
    let indexes = index_counts(&mut session, &tables)?;
    let locks_per_transaction = locks_per_transaction(&mut session)?;
    let mut healths = Vec::new();
    for rule in &rules_that_fit {
        let default = in_default(&mut session, &sight, rule)?;
        let locks = locks(&sight.catalog, &rule.table, &indexes);
        let counts = Counts { default, locks, locks_per_transaction };
        match health(rule, &sight.catalog, counts, sight.now) {
            Ok(health) => healths.push(health),
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(healths.iter().flat_map(|health| health.findings.clone()));
    let timelines = rules_that_fit.iter().filter_map(|rule| {
        let members = portrait(rule, &sight.catalog, sight.now).ok()??;
        let line = timeline(rule, &members, sight.now)?;
        Some(Timeline { title: rule.table.to_string(), ..line })
    });
    Ok(Checked { timelines: timelines.collect(), healths, findings, now: sight.now })
}

/// What fits and what does not, apart.
fn split<T, E>(results: impl Iterator<Item = std::result::Result<T, E>>) -> (Vec<T>, Vec<E>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => good.push(one),
            Err(one) => bad.push(one),
        }
    }
    (good, bad)
}

/// One that cannot be looked into stops nothing else.
fn in_default(session: &mut Session, sight: &Sight, rule: &Rule<'_>) -> Result<InDefault> {
    let Some((name, _)) = sight.catalog.default_partition(&rule.table) else {
        return Ok(InDefault::Nothing);
    };
    Ok(match holds_rows(session, name)? {
        Ok(false) => InDefault::Nothing,
        Ok(true) => InDefault::Rows,
        Err(error) => InDefault::Unknown { why: error.message, help: error.hints.join("; ") },
    })
}

/// Locks of a query that prunes nothing: the table, every leaf, and the leaves' indexes.
fn locks(catalog: &Catalog, table: &QualifiedName, indexes: &BTreeMap<QualifiedName, u64>) -> u64 {
    let tree = catalog.tree(table);
    let leaves = tree.iter().filter_map(|name| indexes.get(name));
    1 + leaves.map(|indexes| 1 + indexes).sum::<u64>()
}

fn report(healths: &[Health], findings: &[Finding]) -> Report {
    let header = ["table", "ahead", "wanted", "until", "gaps", "overdue"];
    let mut table = Table::new("", &header).right_aligned(&[1, 2, 4, 5]);
    table.rows = healths.iter().map(row).collect();
    let title = match findings.len() {
        0 => format!("{} in order", plural(healths.len(), "table is", "tables are")),
        _ => String::new(),
    };
    Report::new(&title).table(table).findings(findings.to_vec())
}

fn row(health: &Health) -> Vec<String> {
    let (ahead, wanted) = match health.ahead {
        Some(ahead) => (ahead.to_string(), health.wanted_ahead.to_string()),
        None => (String::new(), String::new()),
    };
    vec![
        health.table.to_string(),
        ahead,
        wanted,
        health.until.map_or_else(String::new, |until| until.format("%F %R").to_string()),
        health.gaps.to_string(),
        (health.retention_overdue + health.drop_overdue).to_string(),
    ]
}

/// One sample of each metric for each table.
fn healths_as_metrics(healths: &[Health], now: DateTime<Utc>) -> Vec<metrics::Metric> {
    type Read = fn(&Health, DateTime<Utc>) -> Option<f64>;
    const METRICS: [(&str, &str, Read); 9] = [
        ("runway_seconds", "Time until rows find no partition", |h, now| {
            Some((h.until? - now).num_seconds() as f64)
        }),
        ("ahead", "Whole periods that are ready beyond the present one", |h, _| {
            h.ahead.map(f64::from)
        }),
        ("gaps", "Ranges between partitions that no partition holds", |h, _| Some(h.gaps as f64)),
        ("default_holds_rows", "Whether the DEFAULT partition holds rows", |h, _| {
            match h.counts.default {
                InDefault::Nothing => Some(0.0),
                InDefault::Rows => Some(1.0),
                InDefault::Unknown { .. } => None,
            }
        }),
        ("default_unknown", "Whether the DEFAULT partition could not be looked into", |h, _| {
            let unknown = matches!(h.counts.default, InDefault::Unknown { .. });
            Some(f64::from(u8::from(unknown)))
        }),
        ("pending_detaches", "Partitions whose detach was interrupted", |h, _| {
            Some(h.pending_detaches as f64)
        }),
        ("retention_overdue", "Partitions past the retention", |h, _| {
            Some(h.retention_overdue as f64)
        }),
        ("drop_overdue", "Detached tables past the grace period", |h, _| {
            Some(h.drop_overdue as f64)
        }),
        ("locks", "Locks of a query that prunes nothing", |h, _| Some(h.counts.locks as f64)),
    ];
    let metric = |(name, help, read): &(&str, &str, Read)| metrics::Metric {
        name: format!("pgtune_partitions_{name}"),
        help: (*help).to_string(),
        samples: healths
            .iter()
            .filter_map(|health| Some((health.table.to_string(), read(health, now)?)))
            .collect(),
    };
    METRICS.iter().map(metric).collect()
}

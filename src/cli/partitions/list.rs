//! `pgtune partitions list`: what there is, as a table and as a line of time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::{Error, Result};
use crate::model::catalog::{Catalog, Relation};
use crate::model::finding::Finding;
use crate::model::ident::{QualifiedName, parse_name};
use crate::model::ledger::RetiredProgress;
use crate::model::units::{human_bytes, human_count};
use crate::pg::partitions::{self, Stats};
use crate::planner::partition::health::{Portrayed, State, portrait};
use crate::planner::partition::rule::{Rule, Scheme, resolve};
use crate::report::timeline::{Fill, Mark, Stretch, Timeline};
use crate::report::{Report, Section, Table};

use super::look::{Sight, look, parse_as_of};

/// Show partitioned tables and their partitions: range, rows, size, last vacuum, state
///
/// Reads only. Tables without a rule are listed too; their partitions have no state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions list
  pgtune partitions list events --all
  pgtune partitions list --json")]
pub struct Args {
    /// Tables to list; without one all partitioned tables
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Show all partitions, not the newest alone
    #[arg(long)]
    all: bool,
    /// List as if it were this date, or time with zone
    #[arg(long, value_name = "DATE", value_parser = parse_as_of)]
    as_of: Option<DateTime<Utc>>,
}

/// How many partitions of a table are shown without --all.
const SHOWN_MAX: usize = 24;

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let sight = look(&mut session, &database, args.as_of)?;
    let tables = tables(&sight.catalog, &args.tables)?;
    let stats = partitions::stats(&mut session, &tables)?;
    let mut findings = Vec::new();
    let mut rules = Vec::new();
    for written in &context.profile().partitions {
        match resolve(written, &sight.catalog) {
            Ok(rule) => rules.push(rule),
            Err(finding) => findings.push(finding),
        }
    }
    let mut report = Report::new("");
    for table in &tables {
        let rule = rules.iter().find(|rule| rule.table == *table);
        report = of_table(report, &sight, table, rule, &stats, args.all, &mut findings);
    }
    if tables.is_empty() {
        report.title = "there are no partitioned tables".to_string();
    }
    context.show(&report.findings(findings))
}

/// The tables that were named, or all that are partitioned and no partition themselves.
fn tables(catalog: &Catalog, named: &[String]) -> Result<Vec<QualifiedName>> {
    if named.is_empty() {
        let roots = catalog.relations.iter().filter(|(_, relation)| {
            relation.partition_key.is_some() && relation.partition_of.is_none()
        });
        return Ok(roots.map(|(name, _)| name.clone()).collect());
    }
    let find = |text: &String| {
        let table = parse_name(text).and_then(|name| catalog.resolve_relation(&name).cloned());
        let partitioned = |table: &QualifiedName| catalog.relations[table].partition_key.is_some();
        table
            .filter(partitioned)
            .ok_or_else(|| Error::usage(format!("there is no partitioned table {text}")))
    };
    named.iter().map(find).collect()
}

fn of_table(
    report: Report,
    sight: &Sight,
    name: &QualifiedName,
    rule: Option<&Rule<'_>>,
    stats: &BTreeMap<QualifiedName, Stats>,
    all: bool,
    findings: &mut Vec<Finding>,
) -> Report {
    let members = rule.and_then(|rule| match portrait(rule, &sight.catalog, sight.now) {
        Ok(members) => members,
        Err(finding) => {
            findings.push(finding);
            None
        }
    });
    let relation = &sight.catalog.relations[name];
    let key = relation.partition_key.clone().unwrap_or_default();
    let mut table = Table::new(
        &format!("{name} by {key}"),
        &["partition", "from", "to", "rows", "size", "vacuumed", "state"],
    )
    .right_aligned(&[3, 4]);
    table.rows = match &members {
        Some(members) => members.iter().map(|m| member_row(&sight.catalog, m, stats)).collect(),
        None => sight
            .catalog
            .partitions(name)
            .map(|(partition, relation)| {
                let bound = bound_of(relation);
                let short = bound.trim_start_matches("FOR VALUES ").to_string();
                row(&sight.catalog, partition, (short, String::new()), stats, "")
            })
            .collect(),
    };
    table.rows.extend(retired_rows(&sight.catalog, name, stats));
    let hidden = if all { 0 } else { table.rows.len().saturating_sub(SHOWN_MAX) };
    if hidden > 0 {
        table.title += &format!(" ({hidden} older ones with --all)");
        table.rows.drain(..hidden);
    }
    let mut report = report.table(table);
    let line = members.zip(rule).and_then(|(members, rule)| timeline(rule, &members, sight.now));
    report.sections.extend(line.map(Section::Timeline));
    report
}

fn bound_of(relation: &Relation) -> &str {
    relation.partition_of.as_ref().map_or("", |partition| partition.bound.as_str())
}

fn member_row(
    catalog: &Catalog,
    member: &Portrayed,
    stats: &BTreeMap<QualifiedName, Stats>,
) -> Vec<String> {
    let ends = (member.from.clone(), member.to.clone());
    row(catalog, &member.name, ends, stats, member.state.word())
}

fn row(
    catalog: &Catalog,
    name: &QualifiedName,
    (from, to): (String, String),
    stats: &BTreeMap<QualifiedName, Stats>,
    state: &str,
) -> Vec<String> {
    let tree = catalog.tree(name);
    let leaves: Vec<&Stats> = tree.iter().filter_map(|table| stats.get(table)).collect();
    let vacuumed = leaves.iter().filter_map(|stats| stats.vacuumed_at).max();
    vec![
        name.name.to_string(),
        from,
        to,
        human_count(leaves.iter().map(|stats| stats.rows).sum()),
        human_bytes(leaves.iter().map(|stats| stats.size_bytes).sum()),
        vacuumed.map_or_else(String::new, |at| at.format("%F %R").to_string()),
        state.to_string(),
    ]
}

/// Tables that were partitions and are still there.
fn retired_rows(
    catalog: &Catalog,
    parent: &QualifiedName,
    stats: &BTreeMap<QualifiedName, Stats>,
) -> Vec<Vec<String>> {
    let loose = |table: &QualifiedName| {
        catalog.relations.get(table).is_some_and(|relation| relation.partition_of.is_none())
    };
    let retired = catalog.ledger.retired.iter().filter(|r| r.parent == *parent && loose(&r.table));
    retired
        .map(|retired| {
            let state = match retired.progress {
                RetiredProgress::DetachedAt(at) => format!("detached {}", at.format("%F %R")),
                RetiredProgress::Retiring
                | RetiredProgress::DetachedNow
                | RetiredProgress::Restored => "detached".to_string(),
            };
            row(catalog, &retired.table, (String::new(), String::new()), stats, &state)
        })
        .collect()
}

/// The partitions along time, with now and the end of what is kept; `None` where time is not their
/// key.
pub fn timeline(rule: &Rule<'_>, members: &[Portrayed], now: DateTime<Utc>) -> Option<Timeline> {
    let Scheme::Range(range) = &rule.scheme else { return None };
    let stretch = |member: &Portrayed| {
        let (from, to) = member.instants?;
        Some(Stretch { from: from.timestamp(), to: to.timestamp(), fill: member.state.fill() })
    };
    let stretches: Vec<Stretch> = members.iter().filter_map(stretch).collect();
    if stretches.is_empty() {
        return None;
    }
    let mut marks = vec![Mark { at: now.timestamp(), word: "now".to_string() }];
    let point = range.key_type.point_at(now, range.zone);
    let kept = point.zip(rule.written.retention).and_then(|(point, span)| {
        let since = range.grid.minus(point, span)?;
        Some((range.key_type.instant_of(since, range.zone)?, span))
    });
    if let Some((since, span)) = kept {
        marks.push(Mark { at: since.timestamp(), word: format!("kept since ({span})") });
    }
    let states = [State::Expired, State::Past, State::Present, State::Ahead];
    let used = states.iter().filter(|state| members.iter().any(|m| m.state == **state));
    let legend = used.map(|s| Fill { fill: s.fill(), word: s.word().to_string() }).collect();
    Some(Timeline { title: String::new(), stretches, marks, legend })
}

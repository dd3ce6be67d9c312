//! `pgtune partitions drop`: takes single partitions away now, whatever a rule says.

use std::collections::BTreeMap;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::{Error, Result};
use crate::model::catalog::Catalog;
use crate::model::ident::{QualifiedName, parse_name};
use crate::planner::partition::Scope;
use crate::profile::partitions::PartitionRule;
use crate::runbook::partition::Hazard;

use super::jobs::{CommonArgs, run};
use super::look::{Job, Terms, look};

/// Detach partitions and drop them at once, whatever their rule says
///
/// Also drops tables that pgtune detached earlier, without their grace. Both steps must be
/// allowed by name; with --allow detach-partition alone the tables stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions drop events_2024_01 --dry-run
  pgtune partitions drop events_2024_01 events_2024_02 \\
      --allow detach-partition --allow drop-partition")]
pub struct Args {
    /// Partitions, or tables that were some
    #[arg(value_name = "PARTITION", required = true)]
    partitions: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
    /// Allow what takes rows out of reach
    #[arg(long, value_enum, value_name = "HAZARD")]
    allow: Vec<Hazard>,
}

/// Runs the command.
pub fn run_drop(context: &Context, args: Args) -> Result<()> {
    by_name(context, &args.partitions, |tables| Scope::Drop(tables), args.allow, &args.common)
}

/// Does something to partitions that were named, whatever a rule says.
pub fn by_name(
    context: &Context,
    partitions: &[String],
    scope: for<'a> fn(&'a [QualifiedName]) -> Scope<'a>,
    allow: Vec<Hazard>,
    common: &CommonArgs,
) -> Result<()> {
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let sight = look(&mut session, &database, common.as_of)?;
    let by_parent = by_parent(&sight.catalog, partitions)?;
    let jobs: Vec<Job<'_>> =
        by_parent.iter().map(|(written, tables)| Job { written, scope: scope(tables) }).collect();
    let allowed = allow.into_iter().collect();
    let profile = context.profile();
    let terms = Terms { limits: &profile.limits, allowed, rules: &profile.partitions };
    run(context, (database, session, sight), &jobs, &terms, common)
}

/// The partitions that were named, by their tables: each with a rule that says nothing else.
fn by_parent(
    catalog: &Catalog,
    named: &[String],
) -> Result<Vec<(PartitionRule, Vec<QualifiedName>)>> {
    let mut by_parent: BTreeMap<QualifiedName, Vec<QualifiedName>> = BTreeMap::new();
    for text in named {
        let (parent, partition) = find(catalog, text)?;
        let partitions = by_parent.entry(parent).or_default();
        if !partitions.contains(&partition) {
            partitions.push(partition);
        }
    }
    let rule = |parent: QualifiedName| PartitionRule {
        table: parent.to_string(),
        ..PartitionRule::default()
    };
    Ok(by_parent.into_iter().map(|(parent, tables)| (rule(parent), tables)).collect())
}

/// A partition with its parent, as the catalog or the ledger knows it.
fn find(catalog: &Catalog, text: &str) -> Result<(QualifiedName, QualifiedName)> {
    let name = parse_name(text).and_then(|name| catalog.resolve_relation(&name).cloned());
    let name = name.ok_or_else(|| Error::usage(format!("there is no table {text}")))?;
    let attached = catalog.relations[&name].partition_of.as_ref().map(|p| p.parent.clone());
    let parent = attached.or_else(|| catalog.ledger.of(&name).map(|r| r.parent.clone()));
    match parent {
        Some(parent) => Ok((parent, name)),
        None => {
            Err(Error::usage(format!("{name} is no partition, and pgtune detached none of it"))
                .hint("`pgtune partitions list` shows what there is"))
        }
    }
}

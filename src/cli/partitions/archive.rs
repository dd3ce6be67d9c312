//! `pgtune partitions archive` and `restore`: single partitions into the archive and back.

use std::collections::BTreeSet;

use crate::archive::read_manifest;
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::{Error, Result};
use crate::model::catalog::Catalog;
use crate::model::ident::QualifiedName;
use crate::planner::partition::rule::resolve;
use crate::planner::partition::{Restoration, Scope};
use crate::profile::partitions::PartitionRule;
use crate::runbook::partition::Hazard;

use super::drop::by_name;
use super::jobs::{CommonArgs, run, store};
use super::look::{Job, Terms, look};

/// Detach partitions and write their rows into the archive, read back and compared
///
/// The archive is a folder or a bucket, `[archive]` in the profile. The tables stay; `partitions
/// drop` drops them if the archive still holds just their rows.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions archive events_2024_01 --allow detach-partition
  pgtune partitions archive events_2024_01 --dry-run")]
pub struct ArchiveArgs {
    /// Partitions, or tables that were some
    #[arg(value_name = "PARTITION", required = true)]
    partitions: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
    /// Allow what takes rows out of reach
    #[arg(long, value_enum, value_name = "HAZARD")]
    allow: Vec<Hazard>,
}

/// Make a partition out of an archive: created, loaded, compared, attached
///
/// Rotation leaves a partition that came back alone, however old its rows are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions restore public.events/2024-01-01_2024-02-01-1a2b3c4d
  pgtune partitions restore public.events/2024-01-01_2024-02-01-1a2b3c4d --dry-run")]
pub struct RestoreArgs {
    /// The archive's name, without `.json`
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `archive`.
pub fn archive(context: &Context, args: ArchiveArgs) -> Result<()> {
    by_name(context, &args.partitions, |tables| Scope::Archive(tables), args.allow, &args.common)
}

/// Runs `restore`.
pub fn restore(context: &Context, args: RestoreArgs) -> Result<()> {
    let manifest = read_manifest(&store(context)?, &args.archive)?;
    let lineage = manifest.lineage.ok_or_else(|| {
        Error::usage(format!("{} was no partition when it was archived", args.archive))
    })?;
    let restoration = Restoration {
        name: manifest.table,
        bound: lineage.bound,
        archive: args.archive,
        below: manifest.shape.below,
    };
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let sight = look(&mut session, &database, args.common.as_of)?;
    let written = rule_of(context, &sight.catalog, &lineage.parent);
    let jobs = [Job { written: &written, scope: Scope::Restore(&restoration) }];
    let profile = context.profile();
    let terms =
        Terms { limits: &profile.limits, allowed: BTreeSet::new(), rules: &profile.partitions };
    run(context, (database, session, sight), &jobs, &terms, &args.common)
}

/// The profile's rule for a table, or one that says nothing else.
fn rule_of(context: &Context, catalog: &Catalog, table: &QualifiedName) -> PartitionRule {
    let about_it = |rule: &&PartitionRule| {
        resolve(rule, catalog).is_ok_and(|resolved| resolved.table == *table)
    };
    let rule = context.profile().partitions.iter().find(about_it).cloned();
    rule.unwrap_or_else(|| PartitionRule { table: table.to_string(), ..PartitionRule::default() })
}

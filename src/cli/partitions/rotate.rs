//! `pgtune partitions rotate` and `create`: brings every rule up to date.

use std::collections::BTreeSet;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::planner::partition::Scope;
use crate::runbook::partition::Hazard;

use super::jobs::{CommonArgs, run};
use super::look::{Job, Terms, look, rules};

/// Bring every rule up to date: finish detaches, create ahead, detach and drop what is too old
///
/// Safe to run every minute from several hosts. A table in trouble stops no other. Taking
/// partitions away must be allowed by name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions rotate --dry-run                what would be done today
  pgtune partitions rotate --dry-run --as-of 2027-06-01
  pgtune partitions rotate --yes --allow detach-partition --allow drop-partition
  pgtune partitions rotate --table events           this table's rule only")]
pub struct RotateArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Rules of this table only, as the profile names it; may be repeated
    #[arg(long = "table", short, value_name = "TABLE")]
    tables: Vec<String>,
    /// Allow what takes rows out of reach
    #[arg(long, value_enum, value_name = "HAZARD")]
    allow: Vec<Hazard>,
}

/// Create the partitions that the rules want and that are not there
///
/// Takes nothing away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pgtune partitions create --dry-run --sql
  pgtune partitions create --yes --table orders     all remainders of a HASH, for example")]
pub struct CreateArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Rules of this table only, as the profile names it; may be repeated
    #[arg(long = "table", short, value_name = "TABLE")]
    tables: Vec<String>,
}

/// Runs `rotate`.
pub fn rotate(context: &Context, args: RotateArgs) -> Result<()> {
    let allowed = args.allow.into_iter().collect();
    by_rules(context, &args.tables, Scope::Rotate, allowed, &args.common)
}

/// Runs `create`.
pub fn create(context: &Context, args: CreateArgs) -> Result<()> {
    by_rules(context, &args.tables, Scope::Create, BTreeSet::new(), &args.common)
}

fn by_rules(
    context: &Context,
    tables: &[String],
    scope: Scope<'_>,
    allowed: BTreeSet<Hazard>,
    args: &CommonArgs,
) -> Result<()> {
    let rules = rules(context, tables)?;
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let sight = look(&mut session, &database, args.as_of)?;
    let jobs: Vec<Job<'_>> = rules.into_iter().map(|written| Job { written, scope }).collect();
    let profile = context.profile();
    let terms = Terms { limits: &profile.limits, allowed, rules: &profile.partitions };
    run(context, (database, session, sight), &jobs, &terms, args)
}

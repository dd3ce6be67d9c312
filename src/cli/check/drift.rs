//! Whether production is what its migrations make: they are run again on an empty database.

use crate::checks::drift::{DRIFT, bounded, drift};
use crate::cli::database::Database;
use crate::cli::shadow::Shadow;
use crate::error::{Kind, Result};
use crate::model::finding::{Finding, Place, Severity};
use crate::model::ident::QualifiedName;
use crate::model::partition_name::NamePattern;
use crate::model::structure::Structure;
use crate::pg::session::Session;
use crate::pg::{server, structure};
use crate::planner::{Migration, statements_at};
use crate::profile::partitions::PartitionRule;
use crate::sql::Statement;

use super::Examination;

/// The database that the migrations make.
const REPLAYED: &str = "replayed";

/// What is not the same, and will not be after the pending migrations: one may mend it. The
/// databases are those with production's schema, before and after these. Says nothing where the
/// snapshot has no schema of its own, or no history.
pub fn look(
    examination: &Examination<'_>,
    shadow: &mut Shadow<'_>,
    [before, after]: [&Database; 2],
) -> Result<Vec<Finding>> {
    let Examination { snapshot, applied, pending, profile, .. } = examination;
    if snapshot.ddl.is_none() || snapshot.history.applied.is_empty() {
        return Ok(Vec::new());
    }
    if snapshot.history.applied.len() != applied.len() {
        return Ok(vec![unknown("files of applied migrations are missing")]);
    }
    let is_lack = |one: &Finding| ["shadow-schema", "schema-unread"].contains(&one.check.as_str());
    if shadow.findings.iter().any(is_lack) {
        return Ok(vec![unknown("the shadow has not all of production's schema")]);
    }
    let replayed = match replay(shadow, applied) {
        Ok((replayed, None)) => replayed,
        Ok((_, Some(place))) => {
            let Place { path, line } = place;
            let why = format!("the code at {path}:{line} needs rows, and was left out");
            return Ok(vec![unknown(&why)]);
        }
        Err(error) if error.kind == Kind::Interrupted => return Err(error),
        Err(error) => {
            let why = "the migrations do not run on an empty database";
            return Ok(vec![unknown(&format!("{why}: {}", error.message))]);
        }
    };
    let (there, here) = both(before, &replayed, &profile.partitions)?;
    if there.tables.is_disjoint(&here.tables) && !there.tables.is_empty() {
        return Ok(vec![unknown("the migrations make none of its tables")]);
    }
    let mut found = drift(&there, &here);
    if !found.is_empty() && !pending.is_empty() {
        match shadow.migrate(&replayed, pending) {
            Ok(_) => {
                let (there, here) = both(after, &replayed, &profile.partitions)?;
                let left = drift(&there, &here);
                found.retain(|finding| left.contains(finding));
            }
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            // They may need what only production has.
            Err(_) => {}
        }
    }
    Ok(bounded(found))
}

/// What production and the replayed database are made of.
fn both(
    production: &Database,
    replayed: &Database,
    rules: &[PartitionRule],
) -> Result<(Structure, Structure)> {
    let (_, there) = read(production, rules)?;
    let (mut session, mut here) = read(replayed, rules)?;
    // As in production's schema, which was dumped and made again.
    structure::spell_again(&mut session, &mut here)?;
    Ok((there, here))
}

fn unknown(why: &str) -> Finding {
    let message = format!("whether it is what the migrations make cannot be told: {why}");
    Finding::new(&format!("{DRIFT}-unknown"), Severity::Info, "the database", message)
}

/// The database that the migrations make, and where code was left out that may have made more.
fn replay(shadow: &mut Shadow<'_>, applied: &[Migration]) -> Result<(Database, Option<Place>)> {
    let database = shadow.create_empty(REPLAYED)?;
    let left_out = shadow.migrate(&database, applied)?;
    let runs_code = |place: &Place| statements_at(applied, place).any(Statement::runs_code);
    let mut places = left_out.into_iter().filter_map(|finding| finding.place);
    Ok((database, places.find(|place| runs_code(place)).map(|place| *place)))
}

/// Reads a database.
fn read(database: &Database, rules: &[PartitionRule]) -> Result<(Session, Structure)> {
    let mut session = database.open_runner()?;
    let history = server::look(&mut session, &database.history_table)?.history_table;
    let is_left_out = |table: &QualifiedName| {
        *table == history || rules.iter().any(|rule| was_partition(rule, table))
    };
    let read = structure::read(&mut session, is_left_out)?;
    Ok((session, read))
}

/// Whether a table has the name of a partition that rotation has made, and detached since.
fn was_partition(rule: &PartitionRule, table: &QualifiedName) -> bool {
    let Some(interval) = rule.interval else { return false };
    let pattern = match rule.name.as_str() {
        "" => Ok(NamePattern::default_of(interval)),
        name => NamePattern::parse(name, interval),
    };
    let parent = rule.table.rsplit('.').next().unwrap_or_default().trim_matches('"');
    pattern.is_ok_and(|pattern| pattern.is_one(parent, table.name.as_str()))
}

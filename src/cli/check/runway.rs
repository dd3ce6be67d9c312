//! How long partitions last after the pending migrations, each finding at the statement that makes
//! its table, else at its rule.

use crate::checks::lint::world::World;
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::partitions::check::checked;
use crate::error::Result;
use crate::model::finding::Finding;
use crate::model::ident::parse_name;
use crate::profile::layers::Origin;
use crate::profile::partitions::{PartitionRule, lines_of_tables};
use crate::report::timeline::Timeline;

/// Looks at all tables that the profile has rules for. Their files must be empty still: a DEFAULT
/// partition is read.
pub fn look(
    context: &Context,
    database: &Database,
    world: &World,
) -> Result<(Vec<Finding>, Vec<Timeline>)> {
    let rules: Vec<&PartitionRule> = context.profile().partitions.iter().collect();
    if rules.is_empty() {
        return Ok(Default::default());
    }
    let checked = checked(database, &rules, &context.profile().partitions, None)?;
    let lines = lines(context);
    let place = |finding: Finding| {
        let made = world.tables.iter().find(|(name, _)| name.to_string() == finding.subject);
        if let Some(place) = made.and_then(|(_, table)| table.made.as_ref()) {
            return finding.at(place.path.as_str(), place.line);
        }
        // A rule may leave the schema out.
        let name = parse_name(&finding.subject).and_then(|name| name.last().cloned());
        let has_its_name = |table: &str| {
            parse_name(table).is_some_and(|table| table.len() == 1 && table.last() == name.as_ref())
        };
        let full = lines.iter().find(|(_, table, _)| *table == finding.subject);
        match full.or_else(|| lines.iter().find(|(_, table, _)| has_its_name(table))) {
            Some((path, _, line)) => finding.at(path.as_str(), *line),
            None => finding,
        }
    };
    let titled = |line: Timeline| {
        let title = format!("partitions of {}", line.title);
        Timeline { title, ..line }
    };
    let timelines = checked.timelines.into_iter().map(titled).collect();
    Ok((checked.findings.into_iter().map(place).collect(), timelines))
}

/// The profile's file, and each rule's table with its line; nothing where it cannot be read again.
fn lines(context: &Context) -> Vec<(String, String, usize)> {
    let Some(Origin::File(path)) = context.layered.origins.get("partitions") else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = lines_of_tables(&text).into_iter();
    lines.map(|(table, line)| (path.clone(), table, line)).collect()
}

//! Where a database is not what the migrations make. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::structure::{ColumnForm, Part, Structure};
use crate::model::units::plural;

/// The check.
pub const DRIFT: &str = "drift";
/// How many things are told; those who want the others mend these first.
const FINDINGS_MAX: usize = 20;

const HELP: &str = "write a migration that makes both the same, or allow it with its subject in \
                    [[check.allow]]";

/// Each thing that one of them has and the other has not: tables, then columns, indexes and
/// constraints of tables that both have. Names of indexes and constraints are left out, and so is
/// the order of columns.
pub fn drift(production: &Structure, migrations: &Structure) -> Vec<Finding> {
    let mut found = Vec::new();
    let (there, here) = (&production.tables, &migrations.tables);
    found.extend(there.difference(here).map(|table| {
        finding(table, "the table is in production and no migration makes it".to_string())
    }));
    found.extend(here.difference(there).map(|table| {
        finding(table, "the migrations make the table and production has none".to_string())
    }));
    let both: BTreeSet<&QualifiedName> = there.intersection(here).collect();
    found.extend(columns(production, migrations, &both));
    let index = |part: &Part, told: &str| {
        let on = format!("the index on {} {told}: {}", part.table, part.definition);
        finding(&part.name, on)
    };
    found.extend(parts(&production.indexes, &migrations.indexes, &both, index));
    let constraint = |part: &Part, told: &str| {
        let (name, definition) = (&part.name.name, &part.definition);
        finding(&part.table, format!("the constraint {name} {told}: {definition}"))
    };
    found.extend(parts(&production.constraints, &migrations.constraints, &both, constraint));
    found
}

/// As many of these as people read, and how many more there are.
pub fn bounded(mut found: Vec<Finding>) -> Vec<Finding> {
    let more = found.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        found.truncate(FINDINGS_MAX);
        let count = plural(more, "more difference", "more differences");
        let message = format!("{count} between production and what the migrations make");
        found.push(Finding::new(DRIFT, Severity::Warning, "the database", message).help(HELP));
    }
    found
}

fn finding(subject: &QualifiedName, message: String) -> Finding {
    Finding::new(DRIFT, Severity::Warning, subject.to_string(), message).help(HELP)
}

fn columns(
    production: &Structure,
    migrations: &Structure,
    both: &BTreeSet<&QualifiedName>,
) -> Vec<Finding> {
    let (there, here) = (&production.columns, &migrations.columns);
    let keys: BTreeSet<&(QualifiedName, String)> = there.keys().chain(here.keys()).collect();
    let keys = keys.into_iter().filter(|(table, _)| both.contains(table));
    let each = keys.filter_map(|key| {
        let (table, column) = key;
        let message = match (there.get(key), here.get(key)) {
            (Some(_), None) => "is in production and no migration makes it".to_string(),
            (None, Some(_)) => "is made by the migrations and not in production".to_string(),
            (Some(there), Some(here)) => differences(there, here)?,
            (None, None) => return None,
        };
        Some(finding(table, format!("column {column} {message}")))
    });
    each.collect()
}

/// Where two forms of a column differ; `None` where they do not.
fn differences(there: &ColumnForm, here: &ColumnForm) -> Option<String> {
    let mut told = Vec::new();
    if there.type_name != here.type_name {
        let (there, here) = (&there.type_name, &here.type_name);
        told.push(format!("has type {there} in production and {here} by the migrations"));
    }
    match (there.not_null, here.not_null) {
        (true, false) => told.push("is NOT NULL in production and not by the migrations".into()),
        (false, true) => told.push("is NOT NULL by the migrations and not in production".into()),
        (true, true) | (false, false) => {}
    }
    if there.default != here.default {
        let shown = |default: &str| match default {
            "" => "no default".to_string(),
            default => format!("the default {default}"),
        };
        let (there, here) = (shown(&there.default), shown(&here.default));
        told.push(format!("has {there} in production and {here} by the migrations"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// Parts that one side has more of than the other: two indexes alike are two.
fn parts(
    there: &[Part],
    here: &[Part],
    both: &BTreeSet<&QualifiedName>,
    finding: impl Fn(&Part, &str) -> Finding,
) -> Vec<Finding> {
    let mut unmatched: BTreeMap<(&QualifiedName, &str), Vec<&Part>> = BTreeMap::new();
    for part in here {
        unmatched.entry((&part.table, part.definition.as_str())).or_default().push(part);
    }
    let mut found = Vec::new();
    for part in there.iter().filter(|part| both.contains(&part.table)) {
        // Those of the same name first, so that the other one of two is told.
        let alike = unmatched.get_mut(&(&part.table, part.definition.as_str()));
        match alike.filter(|alike| !alike.is_empty()) {
            Some(alike) => {
                let named = alike.iter().position(|one| one.name == part.name);
                alike.remove(named.unwrap_or(0));
            }
            None => found.push(finding(part, "is in production and no migration makes it")),
        }
    }
    let left = unmatched.into_values().flatten().filter(|part| both.contains(&part.table));
    found.extend(left.map(|part| finding(part, "is made by the migrations and not in production")));
    found
}

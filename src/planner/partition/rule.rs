//! A rule as it fits its table: parsed, checked against the catalog, ready to plan with.

use chrono_tz::Tz;

use crate::model::calendar::Grid;
use crate::model::catalog::{Catalog, Relation};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName, parse_name};
use crate::model::partition_name::NamePattern;
use crate::model::suggest::nearest;
use crate::model::time_key::KeyType;
use crate::profile::partitions::PartitionRule;

/// A rule and the table it is about.
#[derive(Debug, Clone)]
pub struct Rule<'a> {
    /// The partitioned table.
    pub table: QualifiedName,
    /// What the user wrote.
    pub written: &'a PartitionRule,
    /// How the table is partitioned.
    pub scheme: Scheme,
}

/// How a table is partitioned, and by what the rule goes on.
#[derive(Debug, Clone)]
pub enum Scheme {
    /// RANGE by time.
    Range(Range),
    /// HASH, with all its remainders.
    Hash {
        /// How many.
        modulus: u32,
    },
    /// LIST, with the partitions of the profile.
    List,
    /// Any, without a rule: nothing is created.
    Unruled,
}

/// RANGE by time.
#[derive(Debug, Clone)]
pub struct Range {
    /// The first column of the key.
    pub column: Ident,
    /// Its type.
    pub key_type: KeyType,
    /// How many columns the key has.
    pub columns: usize,
    /// Where periods begin.
    pub grid: Grid,
    /// The time zone they begin in.
    pub zone: Tz,
    /// What new partitions are called.
    pub pattern: NamePattern,
}

/// Fits a rule to its table. The finding says what does not fit, and what to write instead.
pub fn resolve<'a>(written: &'a PartitionRule, catalog: &Catalog) -> Result<Rule<'a>, Finding> {
    let wrong = |message: String| {
        Finding::new("partition-rule", Severity::Error, written.table.clone(), message)
    };
    let name = parse_name(&written.table).ok_or_else(|| {
        wrong(
            "this is no table name as SQL writes it: table, schema.table, \"Two Words\""
                .to_string(),
        )
    })?;
    let table = catalog.resolve_relation(&name).ok_or_else(|| {
        wrong("there is no such table".to_string()).help(known_tables(catalog, &name))
    })?;
    let relation = &catalog.relations[table];
    let Some(key) = &relation.partition_key else {
        return Err(wrong("the table is not partitioned".to_string()));
    };
    let scheme = match key.split(' ').next().unwrap_or_default() {
        "RANGE" => range(written, relation).map(Scheme::Range),
        "HASH" => match written.modulus {
            Some(modulus) if (1..=MODULUS_MAX).contains(&modulus) => Ok(Scheme::Hash { modulus }),
            Some(_) => Err(format!("modulus goes from 1 to {MODULUS_MAX}")),
            None => Err("a table partitioned by HASH needs modulus".to_string()),
        },
        "LIST" if written.lists.is_empty() => {
            Err("a table partitioned by LIST needs lists".to_string())
        }
        "LIST" => Ok(Scheme::List),
        other => Err(format!("pgtune knows no partitioning by {other}")),
    };
    let scheme = scheme.map_err(wrong)?;
    refuse_keys_of_other_schemes(written, &scheme).map_err(wrong)?;
    refuse_odd_storage(written).map_err(wrong)?;
    Ok(Rule { table: table.clone(), written, scheme })
}

/// Refuses a rule whose table another one of `all` is about, too: what one creates or keeps, the
/// other might take away.
pub fn refuse_second<'a>(
    rule: Rule<'a>,
    all: &[PartitionRule],
    catalog: &Catalog,
) -> Result<Rule<'a>, Finding> {
    let table = |written: &PartitionRule| catalog.resolve_relation(&parse_name(&written.table)?);
    let about_it = all.iter().filter(|written| table(written) == Some(&rule.table)).count();
    if about_it < 2 {
        return Ok(rule);
    }
    let message = format!("{about_it} rules of the profile are about {}", rule.table);
    let finding =
        Finding::new("partition-rule", Severity::Error, rule.written.table.clone(), message);
    Err(finding.help("keep one of them"))
}

/// The table of a rule that says nothing else.
pub fn unruled<'a>(written: &'a PartitionRule, catalog: &Catalog) -> Result<Rule<'a>, Finding> {
    let name = parse_name(&written.table).unwrap_or_default();
    match catalog.resolve_relation(&name) {
        Some(table) => Ok(Rule { table: table.clone(), written, scheme: Scheme::Unruled }),
        None => {
            let message = "there is no such table".to_string();
            Err(Finding::new("partition-rule", Severity::Error, written.table.clone(), message))
        }
    }
}

/// More partitions than anybody wants to plan a query over.
const MODULUS_MAX: u32 = 4096;

fn known_tables(catalog: &Catalog, name: &[Ident]) -> String {
    let wanted = name.last().map_or("", Ident::as_str);
    let partitioned = catalog.relations.iter().filter(|(_, r)| r.partition_key.is_some());
    let names: Vec<&str> = partitioned.map(|(name, _)| name.name.as_str()).collect();
    let guess = nearest(wanted, names.iter().copied());
    guess.map_or_else(String::new, |name| format!("did you mean {name}?"))
}

fn range(written: &PartitionRule, relation: &Relation) -> Result<Range, String> {
    let interval = written
        .interval
        .ok_or("a table partitioned by RANGE needs interval: \"month\", \"day\", …")?;
    let (column, type_name) = relation.key_columns.first().ok_or("its key has no column")?;
    let column = Ident::new(column.clone())
        .map_err(|_| "its key is an expression, which pgtune cannot follow".to_string())?;
    let key_type = key_type(type_name, written)?;
    let zone: Tz = written.time_zone.parse().map_err(|_| unknown_zone(&written.time_zone))?;
    let grid = Grid::new(key_type, interval, zone)?;
    let pattern = match written.name.as_str() {
        "" => NamePattern::default_of(interval),
        pattern => NamePattern::parse(pattern, interval)?,
    };
    let columns = relation.key_columns.len();
    Ok(Range { column, key_type, columns, grid, zone, pattern })
}

fn key_type(type_name: &str, written: &PartitionRule) -> Result<KeyType, String> {
    match (type_name, written.epoch_unit) {
        ("timestamp with time zone", None) => Ok(KeyType::Timestamptz),
        ("timestamp without time zone", None) => Ok(KeyType::Timestamp),
        ("date", None) => Ok(KeyType::Date),
        ("uuid", None) => Ok(KeyType::Uuidv7),
        ("bigint" | "integer", Some(unit)) => Ok(KeyType::Epoch(unit)),
        ("bigint" | "integer", None) => {
            Err(format!("its key is a {type_name}: say what it counts with epoch_unit = \"ms\""))
        }
        (other, Some(_)) => Err(format!("its key is a {other}, which takes no epoch_unit")),
        (other, None) => Err(format!("its key is a {other}, which is no time")),
    }
}

fn unknown_zone(name: &str) -> String {
    let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let guess = nearest(name, names).map_or_else(String::new, |n| format!("; did you mean {n}?"));
    format!("time_zone: there is no \"{name}\"{guess}")
}

/// Storage parameters are written into SQL as they are.
fn refuse_odd_storage(written: &PartitionRule) -> Result<(), String> {
    let usual = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    match written.storage.keys().find(|key| key.is_empty() || !key.chars().all(usual)) {
        Some(key) => Err(format!("storage: \"{key}\" is no storage parameter")),
        None => Ok(()),
    }
}

/// A key that means nothing for the table's own scheme is a mistake of the user's.
fn refuse_keys_of_other_schemes(written: &PartitionRule, scheme: &Scheme) -> Result<(), String> {
    let (of, range, modulus, lists) = match scheme {
        Scheme::Range(_) => ("RANGE", false, written.modulus.is_some(), !written.lists.is_empty()),
        Scheme::Hash { .. } => ("HASH", true, false, !written.lists.is_empty()),
        Scheme::List => ("LIST", true, written.modulus.is_some(), false),
        Scheme::Unruled => return Ok(()),
    };
    let unused = [
        (range && written.interval.is_some(), "interval"),
        (range && written.retention.is_some(), "retention"),
        (modulus, "modulus"),
        (lists, "lists"),
    ];
    match unused.iter().find(|(given, _)| *given) {
        Some((_, key)) => Err(format!("{key} means nothing for a table partitioned by {of}")),
        None => Ok(()),
    }
}

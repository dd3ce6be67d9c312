//! Writes down what ANALYZE found elsewhere of several columns together, and of expressions
//! (`pg_statistic_ext_data`). Columns have other numbers here where some were dropped there.
//!
//! Counts have a simple form. For values there is a scratch table with columns of the same types:
//! the server itself makes the list of most common combinations of its rows, in which only their
//! frequencies are wrong.

use std::collections::BTreeMap;

use postgres::Row;
use postgres::types::Type;

use super::{escaped, insert_statistics};
use crate::error::{Error, Kind};
use crate::model::extended_statistics::{CommonGroups, Dependency, ExtendedStatistics, Groups};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::snapshot::ColumnStatistics;
use crate::pg::catalog::name;
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;

/// Types whose bytes are known and whose input functions take nothing.
const TYPES: [&str; 3] = ["pg_ndistinct", "pg_dependencies", "pg_mcv_list"];

/// The scratch table.
const SCRATCH: &str = "pg_temp.pgtune_scratch";

/// Writes all statistics whose objects are here and are about the same. Where values cannot be
/// written, as a migration has changed their types, that is told and the counts are written.
pub fn write_extended(
    session: &mut Session,
    extended: &[ExtendedStatistics],
) -> std::result::Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    if extended.is_empty() {
        return Ok(findings);
    }
    let targets = session.each(include_str!("../sql/imitate_extended.sql"), &[], |row| {
        Some((name(row, 0).ok()?, Target::of(row)?))
    })?;
    let targets: BTreeMap<QualifiedName, Target> = targets.into_iter().flatten().collect();
    let casts = |verb: &str, end: &str| {
        let each = TYPES.map(|name| format!("{verb} CAST (bytea AS {name}){end}"));
        each.join("; ")
    };
    session.run(&format!("BEGIN; {}", casts("CREATE", " WITHOUT FUNCTION")))?;
    for one in extended {
        let Some(target) = targets.get(&one.name) else { continue };
        let Some(places) = target.places(one) else { continue };
        let Err(failure) = try_one(session, one, target, &places)? else { continue };
        let subject = one.name.to_string();
        let message = format!("its values are not of their types here ({})", failure.code);
        findings.push(
            Finding::new("shadow-statistics", Severity::Info, subject, message)
                .help("plans are foretold with its counts alone"),
        );
        try_one(session, &one.counts(), target, &places)??;
    }
    session.run(&format!("{}; COMMIT", casts("DROP", "")))?;
    Ok(findings)
}

/// Writes one, or leaves everything as it was. The outer error is a lost connection.
fn try_one(
    session: &mut Session,
    one: &ExtendedStatistics,
    target: &Target,
    places: &[usize],
) -> std::result::Result<std::result::Result<(), Failure>, Failure> {
    session.run("SAVEPOINT pgtune_one")?;
    let written = write_one(session, one, target, places);
    let end = match &written {
        Ok(()) => "RELEASE SAVEPOINT pgtune_one",
        Err(failure) if failure.verdict() == Verdict::Gone => return written.map(Ok),
        Err(_) => "ROLLBACK TO SAVEPOINT pgtune_one",
    };
    session.run(end)?;
    Ok(written)
}

/// A statistics object of the shadow. Its places are its columns and then its expressions.
struct Target {
    oid: u32,
    relation: QualifiedName,
    attnums: Vec<i16>,
    columns: Vec<String>,
    expressions: Vec<String>,
    is_partitioned: bool,
    /// Whether what is inherited has a row of its own.
    has_inherited: bool,
}

impl Target {
    fn of(row: &Row) -> Option<Target> {
        Some(Target {
            relation: name(row, 2).ok()?,
            oid: row.get(4),
            attnums: row.get(5),
            columns: row.get(6),
            expressions: row.get(7),
            is_partitioned: row.get(8),
            has_inherited: row.get(9),
        })
    }

    /// The place here of each term there; `None` where the object is about something else, or has
    /// no room for such statistics.
    fn places(&self, one: &ExtendedStatistics) -> Option<Vec<usize>> {
        let has_room = self.has_inherited || one.inherited == self.is_partitioned;
        let is_same = self.relation == one.relation
            && self.columns.len() == one.columns.len()
            && self.expressions.len() == one.expressions.len();
        if !(has_room && is_same) {
            return None;
        }
        let columns = one
            .columns
            .iter()
            .map(|column| self.columns.iter().position(|known| known.as_str() == column.as_str()));
        let expressions = one.expressions.iter().map(|expression| {
            let at = self.expressions.iter().position(|known| *known == expression.text)?;
            Some(self.columns.len() + at)
        });
        columns.chain(expressions).collect()
    }

    /// How counts name a place.
    fn number(&self, place: usize) -> i16 {
        let expression = || i16::try_from(place + 1 - self.attnums.len()).unwrap_or_default();
        self.attnums.get(place).copied().unwrap_or_else(|| -expression())
    }
}

fn write_one(
    session: &mut Session,
    one: &ExtendedStatistics,
    target: &Target,
    places: &[usize],
) -> std::result::Result<(), Failure> {
    let numbers: Vec<i16> = places.iter().map(|place| target.number(*place)).collect();
    let groups = (!one.ndistinct.is_empty()).then(|| ndistinct_bytes(&one.ndistinct, &numbers));
    let depend =
        (!one.dependencies.is_empty()).then(|| dependencies_bytes(&one.dependencies, &numbers));
    let common = one.most_common.as_ref().and_then(|all| Some((all, all.values.as_ref()?)));
    let statistics: Option<Vec<&ColumnStatistics>> =
        one.expressions.iter().map(|expression| expression.statistics.as_ref()).collect();
    let statistics = statistics.filter(|all| !all.is_empty());
    let needs_scratch = common.is_some() || statistics.is_some();
    if needs_scratch {
        make_scratch(session, target)?;
    }
    let list = match common {
        Some((all, values)) => Some(most_common(session, all, values, places)?),
        None => None,
    };
    let count = one.expressions.len();
    let expressions = match statistics {
        Some(all) => {
            write_expressions(session, &all, &places[one.columns.len()..])?;
            format!(
                "(SELECT CASE count(*) WHEN {count} THEN array_agg(s ORDER BY s.staattnum) END \
                 FROM pg_statistic s WHERE s.starelid = '{SCRATCH}'::regclass)"
            )
        }
        None => "NULL".to_string(),
    };
    let (oid, inherited) = (target.oid, one.inherited);
    let (condition, column, value) = match target.has_inherited {
        true => {
            (format!(" AND stxdinherit = {inherited}"), ", stxdinherit", format!(", {inherited}"))
        }
        false => Default::default(),
    };
    session.run(&format!("DELETE FROM pg_statistic_ext_data WHERE stxoid = {oid}{condition}"))?;
    let insert = format!(
        "INSERT INTO pg_statistic_ext_data (stxoid{column}, stxdndistinct, stxddependencies, \
         stxdmcv, stxdexpr) SELECT {oid}{value}, $1::pg_ndistinct, $2::pg_dependencies, \
         $3::pg_mcv_list, {expressions}"
    );
    session
        .query(&insert, &[(&groups, Type::BYTEA), (&depend, Type::BYTEA), (&list, Type::BYTEA)])?;
    if needs_scratch {
        session.run(&format!("DROP TABLE {SCRATCH}"))?;
    }
    Ok(())
}

/// Makes a table with a number and a column for each place, of its type and collation.
fn make_scratch(session: &mut Session, target: &Target) -> std::result::Result<(), Failure> {
    let columns = target.columns.iter().map(|column| Ident::new(column.as_str()));
    let columns = columns.map(|column| column.map_or_else(|_| String::new(), |c| c.to_string()));
    let expressions = target.expressions.iter().map(|text| format!("({text})"));
    let each = columns.chain(expressions).enumerate();
    let each: Vec<String> = each.map(|(at, term)| format!(", {term} AS c{at}")).collect();
    session.run(&format!(
        "CREATE TEMP TABLE pgtune_scratch AS SELECT 0 AS id{} FROM ONLY {} WITH NO DATA",
        each.join(""),
        target.relation
    ))
}

/// Gives the scratch table's columns what is known of expressions.
fn write_expressions(
    session: &mut Session,
    statistics: &[&ColumnStatistics],
    places: &[usize],
) -> std::result::Result<(), Failure> {
    session.run(&format!("DELETE FROM pg_statistic WHERE starelid = '{SCRATCH}'::regclass"))?;
    let ident = |text: &str| Ident::new(text).map_err(|message| odd(&message));
    let scratch = QualifiedName::new(ident("pg_temp")?, ident("pgtune_scratch")?);
    let mut columns = Vec::new();
    for (one, place) in statistics.iter().zip(places) {
        let (relation, column) = (scratch.clone(), ident(&format!("c{place}"))?);
        columns.push(ColumnStatistics { relation, column, inherited: false, ..(*one).clone() });
    }
    insert_statistics(session, &columns)
}

fn odd(message: &str) -> Failure {
    Failure::told(&Error::new(Kind::Database, message))
}

/// More than ANALYZE keeps.
const ITEMS_MAX: usize = 10_000;

/// A list of most common combinations as the server keeps it. Leaves a row for each in the scratch
/// table.
fn most_common(
    session: &mut Session,
    common: &CommonGroups,
    values: &[Vec<Option<String>>],
    places: &[usize],
) -> std::result::Result<Vec<u8>, Failure> {
    let mut terms: Vec<usize> = (0..places.len()).collect();
    terms.sort_by_key(|term| places[*term]);
    let rows: Vec<String> = values
        .iter()
        .take(ITEMS_MAX)
        .enumerate()
        .map(|(at, values)| row(at, terms.iter().map(|term| values.get(*term)?.as_deref())))
        .collect();
    let insert = format!(
        "INSERT INTO {SCRATCH} SELECT s.* FROM unnest($1) AS t(line), LATERAL (SELECT \
         (t.line::{SCRATCH}).*) AS s"
    );
    session.query(&insert, &[(&rows, Type::TEXT_ARRAY)])?;
    let columns: Vec<String> = (0..places.len()).map(|at| format!("c{at}")).collect();
    let columns = columns.join(", ");
    session.run(&format!(
        "CREATE STATISTICS pg_temp.pgtune_common (mcv) ON {columns} FROM {SCRATCH}; \
         ALTER STATISTICS pg_temp.pgtune_common SET STATISTICS {ITEMS_MAX}; \
         ANALYZE {SCRATCH} ({columns})"
    ))?;
    // As pg_mcv_list_items writes them: by the output functions, not by casts.
    let texts: Vec<String> = (0..places.len())
        .map(|at| format!("CASE WHEN c{at} IS NOT NULL THEN format('%s', c{at}) END"))
        .collect();
    let made = format!(
        "SELECT d.stxdmcv::bytea, array(SELECT s.id FROM pg_mcv_list_items(d.stxdmcv) AS i LEFT \
         JOIN {SCRATCH} AS s ON ARRAY[{}] = i.values ORDER BY i.index) FROM pg_statistic_ext AS e \
         JOIN pg_statistic_ext_data AS d ON d.stxoid = e.oid WHERE e.stxrelid = \
         '{SCRATCH}'::regclass",
        texts.join(", ")
    );
    let made = session.query(&made, &[])?;
    let made = made.first().map(|row| (row.get(0), row.get::<_, Vec<Option<i32>>>(1)));
    let changed = made.and_then(|(mut bytes, ids): (Vec<u8>, _)| {
        let ids: Option<Vec<usize>> = ids.into_iter().map(|id| usize::try_from(id?).ok()).collect();
        set_frequencies(&mut bytes, places.len(), &ids?, common)?;
        Some(bytes)
    });
    changed.ok_or_else(|| odd("the server keeps most common combinations in another form"))
}

/// A row as a composite value is written.
fn row<'a>(id: usize, values: impl Iterator<Item = Option<&'a str>>) -> String {
    let values = values.map(|value| match value {
        Some(text) => format!(",\"{}\"", escaped(text)),
        None => ",".to_string(),
    });
    format!("({id}{})", values.collect::<String>())
}

/// Replaces the frequencies in a serialized list (`statext_mcv_serialize`): its items stand at its
/// end, each a flag for each column that is NULL, two frequencies, and two bytes for each column.
/// `ids` says which combination each item is. `None` where the frequencies are not where they
/// should be: each row was there once.
fn set_frequencies(
    bytes: &mut [u8],
    columns: usize,
    ids: &[usize],
    common: &CommonGroups,
) -> Option<()> {
    const DOUBLE: usize = 8;
    let item = 3 * columns + 2 * DOUBLE;
    let begin = bytes.len().checked_sub(ids.len() * item)?;
    for (bytes, id) in bytes[begin..].chunks_exact_mut(item).zip(ids) {
        let at = columns..columns + DOUBLE;
        let own = f64::from_ne_bytes(bytes.get(at.clone())?.try_into().ok()?);
        if (own * ids.len() as f64 - 1.0).abs() > 1e-6 {
            return None;
        }
        let base = common.base_frequencies.get(*id)?;
        bytes[at].copy_from_slice(&common.frequencies.get(*id)?.to_ne_bytes());
        bytes[columns + DOUBLE..columns + 2 * DOUBLE].copy_from_slice(&base.to_ne_bytes());
    }
    Some(())
}

/// A `pg_ndistinct` (`statext_ndistinct_serialize`).
fn ndistinct_bytes(groups: &[Groups], numbers: &[i16]) -> Vec<u8> {
    const MAGIC: u32 = 0xA352_BFA4;
    let mut bytes = header(MAGIC, groups.len());
    for one in groups {
        bytes.extend(one.count.to_ne_bytes());
        bytes.extend((one.terms.len() as i32).to_ne_bytes());
        bytes.extend(one.terms.iter().flat_map(|term| number(numbers, *term)));
    }
    bytes
}

/// A `pg_dependencies` (`statext_dependencies_serialize`).
fn dependencies_bytes(dependencies: &[Dependency], numbers: &[i16]) -> Vec<u8> {
    const MAGIC: u32 = 0xB454_9A2C;
    let mut bytes = header(MAGIC, dependencies.len());
    for one in dependencies {
        bytes.extend(one.degree.to_ne_bytes());
        bytes.extend((one.from.len() as i16 + 1).to_ne_bytes());
        bytes.extend(one.from.iter().flat_map(|term| number(numbers, *term)));
        bytes.extend(number(numbers, one.to));
    }
    bytes
}

fn header(magic: u32, items: usize) -> Vec<u8> {
    const BASIC: u32 = 1;
    [magic, BASIC, items as u32].iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn number(numbers: &[i16], term: usize) -> [u8; 2] {
    numbers.get(term).copied().unwrap_or_default().to_ne_bytes()
}

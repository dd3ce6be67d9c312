//! Puts other values in the place of those of redacted columns. Their order is the server's: it
//! alone knows its collations.

use std::collections::{BTreeMap, BTreeSet};

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::disclosure::{Column, Disclosure, Treatment};
use crate::model::snapshot::{ColumnSample, ColumnStatistics, Snapshot};
use crate::model::substitution::{Domain, Ranked, Substitute, Which, places};

/// A value that a query of the profile compares with a column.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The column.
    pub column: Column,
    /// Which value of which query; its own value is yet to be found.
    pub place: Substitute,
    /// What the profile says.
    pub value: String,
}

/// Values that compare with each other: those of columns of one type and collation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    /// The type as written in SQL.
    type_name: String,
    /// Its collation as written in SQL, where it is not the database's.
    collation: Option<String>,
}

impl Order {
    /// The query for the ranks of the texts in `$1`, and for what tells how far they are apart.
    fn ranking(&self) -> String {
        let Order { type_name, collation } = self;
        let collate =
            collation.as_ref().map_or_else(String::new, |name| format!(" COLLATE {name}"));
        let measure = match type_name.as_str() {
            "smallint" | "numeric" => "value::float8",
            name if name == "date" || name.starts_with("timestamp") => {
                "extract(epoch from value)::float8"
            }
            _ => "NULL::float8",
        };
        format!(
            "SELECT at::int4, dense_rank() OVER (ORDER BY value{collate})::int4, {measure} FROM \
             unnest($1::text[]::{type_name}[]) WITH ORDINALITY AS v(value, at)"
        )
    }
}

/// A column whose values are replaced.
struct Member {
    /// Its place in the snapshot.
    at: usize,
    domain: Domain,
}

/// Replaces the values of columns that are needed and may not be disclosed, where their type
/// allows it, and notes what then stands for `bindings`. All values of one type and collation are
/// replaced together, so that columns still join.
pub fn substitute(
    session: &mut Session,
    snapshot: &mut Snapshot,
    disclosure: &Disclosure<'_>,
    bindings: &[Binding],
) -> Result<()> {
    let mut substitutes = Vec::new();
    let mut compared: BTreeMap<Which<'_>, Vec<&Column>> = BTreeMap::new();
    for binding in bindings {
        compared.entry(binding.place.which()).or_default().push(&binding.column);
    }
    for (order, members) in orders(session, snapshot, disclosure)? {
        let columns: BTreeSet<Column> =
            members.iter().map(|member| column(&snapshot.columns[member.at])).collect();
        // Those that are compared with these columns, and with nothing else.
        let is_own = |one: &&Binding| {
            let with = compared.get(&one.place.which());
            with.is_some_and(|with| with.iter().all(|column| columns.contains(column)))
        };
        let own: Vec<&Binding> = bindings.iter().filter(is_own).collect();
        let of_columns = members.iter().filter_map(|one| snapshot.columns[one.at].values.as_ref());
        let known: Vec<String> = of_columns.flat_map(texts).cloned().collect();
        let of_queries: Vec<String> = own.iter().map(|binding| binding.value.clone()).collect();
        let ranked = ranked(session, &order, &known, &of_queries)?;
        let places = places(&ranked.values().copied().collect::<Vec<_>>());
        let digits = places.values().max().map_or(1, |last| last.to_string().len());
        let replaced = |value: &String, domain: Domain| {
            domain.value(*places.get(&ranked.get(value)?.rank)?, digits)
        };
        for member in &members {
            replace(&mut snapshot.columns[member.at], |value| replaced(value, member.domain));
        }
        let Some(Member { domain, .. }) = members.first() else { continue };
        substitutes.extend(own.iter().filter_map(|binding| {
            let value = replaced(&binding.value, *domain)?;
            Some(Substitute { value, ..binding.place.clone() })
        }));
    }
    snapshot.substitutes = substitutes;
    Ok(())
}

/// The columns to be replaced, with what decides about the order of their values.
fn orders(
    session: &mut Session,
    snapshot: &Snapshot,
    disclosure: &Disclosure<'_>,
) -> Result<BTreeMap<Order, Vec<Member>>> {
    let wanted = snapshot.columns.iter().enumerate().filter(|(_, column)| {
        let has_elements =
            column.values.as_ref().is_some_and(|values| !values.most_common_elems.is_empty());
        disclosure.treatment(column) == Treatment::Substituted && !has_elements
    });
    let wanted: Vec<serde_json::Value> = wanted
        .map(|(at, one)| {
            let (relation, attname) = (one.relation.to_string(), one.column.as_str());
            serde_json::json!({ "at": at, "relation": relation, "attname": attname })
        })
        .collect();
    let mut orders: BTreeMap<Order, Vec<Member>> = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(orders);
    }
    let json = serde_json::Value::from(wanted).to_string();
    let rows = session.query(include_str!("sql/substitution_types.sql"), &[(&json, Type::TEXT)]);
    for row in rows.map_err(|failure| failure.explain("cannot read the types of columns"))? {
        let at = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let Some(domain) = Domain::of(row.get(1)) else { continue };
        let order = Order { type_name: row.get(2), collation: row.get(3) };
        orders.entry(order).or_default().push(Member { at, domain });
    }
    Ok(orders)
}

fn column(one: &ColumnStatistics) -> Column {
    (one.relation.clone(), one.column.clone())
}

/// The texts of a sample that stand for values of the column's own type.
fn texts(sample: &ColumnSample) -> impl Iterator<Item = &String> {
    sample.most_common_vals.iter().chain(&sample.histogram_bounds)
}

/// Replaces all values, or leaves the column as it is.
fn replace(column: &mut ColumnStatistics, replaced: impl Fn(&String) -> Option<String>) {
    let Some(values) = &column.values else { return };
    let all = |values: &[String]| values.iter().map(&replaced).collect::<Option<Vec<String>>>();
    let (Some(most_common_vals), Some(histogram_bounds)) =
        (all(&values.most_common_vals), all(&values.histogram_bounds))
    else {
        return;
    };
    column.values =
        Some(ColumnSample { most_common_vals, histogram_bounds, ..ColumnSample::default() });
    column.is_substituted = true;
}

/// Where each value stands among all. Values that the type does not know stand nowhere.
fn ranked(
    session: &mut Session,
    order: &Order,
    known: &[String],
    of_queries: &[String],
) -> Result<BTreeMap<String, Ranked>> {
    let sql = order.ranking();
    let explain = |failure: Failure| failure.explain("cannot sort values");
    let mut values: Vec<&String> = known.iter().chain(of_queries).collect();
    let rows = match session.query(&sql, &[(&values, Type::TEXT_ARRAY)]) {
        Ok(rows) => rows,
        // A query's value that is none of the type.
        Err(failure) if failure.code.starts_with("22") => {
            values = known.iter().chain(known_to(session, order, of_queries)?).collect();
            session.query(&sql, &[(&values, Type::TEXT_ARRAY)]).map_err(explain)?
        }
        Err(failure) => return Err(explain(failure)),
    };
    let mut ranked: BTreeMap<String, Ranked> = BTreeMap::new();
    for row in rows {
        let at = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let (Some(value), Ok(rank)) = (values.get(at - 1), u32::try_from(row.get::<_, i32>(1)))
        else {
            continue;
        };
        let one = Ranked { rank, measure: row.get(2), is_known: at <= known.len() };
        ranked.entry((*value).clone()).or_insert(one).is_known |= one.is_known;
    }
    Ok(ranked)
}

/// Those that the type knows.
fn known_to<'a>(
    session: &mut Session,
    Order { type_name, .. }: &Order,
    values: &'a [String],
) -> Result<Vec<&'a String>> {
    let mut known = Vec::new();
    let sql = format!("SELECT $1::text::{type_name} IS NULL");
    for value in values {
        match session.query(&sql, &[(value, Type::TEXT)]) {
            Ok(_) => known.push(value),
            Err(failure) if failure.code.starts_with("22") => {}
            Err(failure) => return Err(failure.explain("cannot sort values")),
        }
    }
    Ok(known)
}

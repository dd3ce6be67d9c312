//! Values to plan a query with where its author gave none, chosen from the statistics of the
//! columns that they are compared with. Pure.
//!
//! A plan may be good for the common value and bad for the rare one; one value shows one of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::parameters::{Comparison, Use};
use crate::model::disclosure::Column;

/// What the statistics know of a column's values, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnValues {
    /// The first, the middle and the last of the most common values; none where no value is.
    pub common: Vec<String>,
    /// The bounds of the histogram at [`QUANTILES`] per cent; none without one.
    pub bounds: Vec<String>,
}

/// Which bounds of a histogram are asked for, in per cent.
pub const QUANTILES: [u8; 9] = [0, 1, 10, 50, 51, 60, 90, 99, 100];

/// A set of values with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenSet {
    /// What is special about it: `common`, `median`, `rare`, `newest`.
    pub name: String,
    /// A value for each parameter.
    pub values: Vec<String>,
}

/// What a set of values is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Many rows.
    Common,
    /// What is neither common nor rare.
    Median,
    /// Few rows.
    Rare,
    /// The end of what is known, where the newest rows are.
    Newest,
}

/// Chooses up to four sets of values for `parameters` of a query. Those in `fixed` count rows and
/// are what they are; each of the others needs a column beside it that has statistics.
///
/// The message says which parameter has no value, and why.
pub fn choose(
    parameters: usize,
    fixed: &BTreeMap<usize, &str>,
    uses: &BTreeSet<Use>,
    known: &BTreeMap<Column, ColumnValues>,
) -> Result<Vec<ChosenSet>, String> {
    let mut beside = Vec::new();
    for parameter in (1..=parameters).filter(|parameter| !fixed.contains_key(parameter)) {
        beside.push(column_of(parameter, uses, known)?);
    }
    let mut sets: Vec<ChosenSet> = Vec::new();
    for (purpose, name) in [
        (Purpose::Common, "common"),
        (Purpose::Median, "median"),
        (Purpose::Rare, "rare"),
        (Purpose::Newest, "newest"),
    ] {
        let own: Vec<Option<String>> =
            beside.iter().map(|(one, values)| value(purpose, one, values, uses)).collect();
        // A set that shows nothing of its own is none; the median is what is left.
        if own.iter().all(Option::is_none) && (purpose != Purpose::Median || beside.is_empty()) {
            continue;
        }
        let or_median = own.into_iter().zip(&beside).map(|(own, (one, values))| {
            own.or_else(|| value(Purpose::Median, one, values, uses))
                .or_else(|| value(Purpose::Common, one, values, uses))
                .unwrap_or_default()
        });
        let mut chosen = or_median.collect::<Vec<_>>().into_iter();
        let values = (1..=parameters).map(|parameter| match fixed.get(&parameter) {
            Some(fixed) => (*fixed).to_string(),
            None => chosen.next().unwrap_or_default(),
        });
        let values: Vec<String> = values.collect();
        if !sets.iter().any(|set| set.values == values) {
            sets.push(ChosenSet { name: name.to_string(), values });
        }
    }
    if sets.is_empty() {
        let values = fixed.values().map(ToString::to_string).collect();
        sets.push(ChosenSet { name: "any".to_string(), values });
    }
    Ok(sets)
}

/// The first column beside a parameter that has statistics.
fn column_of<'a>(
    parameter: usize,
    uses: &'a BTreeSet<Use>,
    known: &'a BTreeMap<Column, ColumnValues>,
) -> Result<(&'a Use, &'a ColumnValues), String> {
    let mut of_parameter = uses.iter().filter(|one| one.parameter == parameter).peekable();
    let Some(first) = of_parameter.peek().copied() else {
        return Err(format!("${parameter} is compared with no column whose values are known"));
    };
    let found = of_parameter
        .find_map(|one| Some((one, known.get(&(one.relation.clone(), one.column.clone()))?)))
        .filter(|(_, values)| !values.common.is_empty() || !values.bounds.is_empty());
    found.ok_or_else(|| {
        let (relation, column) = (&first.relation, &first.column);
        match known.contains_key(&(relation.clone(), column.clone())) {
            true => format!(
                "the statistics of {relation}.{column} hold no values (a snapshot may withhold \
                 them: `snapshot take --values`)"
            ),
            false => format!(
                "there are no statistics for {relation}.{column} that the role may see: ANALYZE it"
            ),
        }
    })
}

/// The value of one parameter for one purpose; `None` where the column has none of that kind.
fn value(
    purpose: Purpose,
    one: &Use,
    values: &ColumnValues,
    uses: &BTreeSet<Use>,
) -> Option<String> {
    match one.comparison {
        Comparison::Equal => single(purpose, values),
        Comparison::Any => single(purpose, values).map(|value| array_of(&value)),
        Comparison::Like => single(purpose, values).map(|value| prefix_of(&value)),
        Comparison::From | Comparison::UpTo => bound(purpose, one, values, uses),
    }
}

/// A value that a column shall be equal to.
fn single(purpose: Purpose, values: &ColumnValues) -> Option<String> {
    let ColumnValues { common, bounds } = values;
    let value = match purpose {
        Purpose::Common => common.first(),
        Purpose::Median => quantile(bounds, 50).or(common.get(1)),
        // Where no value is common, none is rare.
        Purpose::Rare if common.is_empty() => None,
        Purpose::Rare => quantile(bounds, 10).or(common.last()),
        Purpose::Newest => quantile(bounds, 100),
    };
    value.cloned()
}

/// A bound of a range: alone, or with the other bound of the same column.
fn bound(
    purpose: Purpose,
    one: &Use,
    values: &ColumnValues,
    uses: &BTreeSet<Use>,
) -> Option<String> {
    let is_from = one.comparison == Comparison::From;
    let other = if is_from { Comparison::UpTo } else { Comparison::From };
    let same_column = |other: &Use| other.relation == one.relation && other.column == one.column;
    let is_pair = uses.iter().any(|use_| use_.comparison == other && same_column(use_));
    let (from, up_to) = match (purpose, is_pair) {
        (Purpose::Common, _) => (10, 90),
        (Purpose::Median, false) => (50, 50),
        (Purpose::Median, true) => (50, 60),
        (Purpose::Rare, false) => (99, 1),
        (Purpose::Rare, true) => (50, 51),
        (Purpose::Newest, false) => (100, 100),
        (Purpose::Newest, true) => (99, 100),
    };
    let at = if is_from { from } else { up_to };
    let ends = || if at < 50 { values.common.first() } else { values.common.last() };
    quantile(&values.bounds, at).or_else(ends).cloned()
}

fn quantile(bounds: &[String], percent: u8) -> Option<&String> {
    bounds.get(QUANTILES.iter().position(|known| *known == percent)?)
}

/// An array with this one element, as text.
fn array_of(value: &str) -> String {
    format!("{{\"{}\"}}", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A pattern for LIKE that finds what begins as `value` does.
fn prefix_of(value: &str) -> String {
    const PREFIX_CHARS: usize = 3;
    let mut pattern = String::new();
    for c in value.chars().take(PREFIX_CHARS) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::{Ident, QualifiedName};

    fn uses(of: &[(usize, &str, Comparison)]) -> BTreeSet<Use> {
        let ident = |name: &str| Ident::new(name).unwrap();
        of.iter()
            .map(|(parameter, column, comparison)| Use {
                parameter: *parameter,
                relation: QualifiedName::new(ident("app"), ident("t")),
                column: ident(column),
                comparison: *comparison,
            })
            .collect()
    }

    fn known(of: &[(&str, &[&str], bool)]) -> BTreeMap<Column, ColumnValues> {
        let ident = |name: &str| Ident::new(name).unwrap();
        let relation = || QualifiedName::new(ident("app"), ident("t"));
        of.iter()
            .map(|(column, common, has_histogram)| {
                let common = common.iter().map(ToString::to_string).collect();
                let bounds = QUANTILES.map(|percent| percent.to_string()).to_vec();
                let bounds = if *has_histogram { bounds } else { Vec::new() };
                ((relation(), ident(column)), ColumnValues { common, bounds })
            })
            .collect()
    }

    fn chosen(
        parameters: usize,
        uses: &BTreeSet<Use>,
        known: &BTreeMap<Column, ColumnValues>,
    ) -> Vec<String> {
        let sets = choose(parameters, &BTreeMap::new(), uses, known).unwrap();
        sets.iter().map(|set| format!("{}: {}", set.name, set.values.join(" "))).collect()
    }

    #[test]
    fn values_show_the_spread_of_a_column() {
        use Comparison::{Any, Equal, From, Like, UpTo};
        let state = known(&[("a", &["done", "open", "odd"], false)]);
        let equal = uses(&[(1, "a", Equal)]);
        assert_eq!(chosen(1, &equal, &state), ["common: done", "median: open", "rare: odd"]);
        let skewed = known(&[("a", &["US", "DE", "FR"], true)]);
        let expected = ["common: US", "median: 50", "rare: 10", "newest: 100"];
        assert_eq!(chosen(1, &equal, &skewed), expected);
        let unique = known(&[("a", &[], true)]);
        assert_eq!(chosen(1, &equal, &unique), ["median: 50", "newest: 100"]);
        let from = uses(&[(1, "a", From)]);
        let expected = ["common: 10", "median: 50", "rare: 99", "newest: 100"];
        assert_eq!(chosen(1, &from, &unique), expected);
        let range = uses(&[(2, "a", From), (1, "a", UpTo)]);
        let expected = ["common: 90 10", "median: 60 50", "rare: 51 50", "newest: 100 99"];
        assert_eq!(chosen(2, &range, &unique), expected);
        assert_eq!(chosen(1, &uses(&[(1, "a", Any)]), &state)[0], "common: {\"done\"}");
        let odd = known(&[("a", &["5%_x"], false)]);
        assert_eq!(chosen(1, &uses(&[(1, "a", Like)]), &odd), ["common: 5\\%\\_%"]);
    }

    #[test]
    fn several_parameters_make_one_set_each() {
        let both = uses(&[(1, "a", Comparison::Equal), (2, "b", Comparison::Equal)]);
        let values = known(&[("a", &["US", "DE", "NZ"], false), ("b", &[], true)]);
        let expected = ["common: US 50", "median: DE 50", "rare: NZ 50", "newest: DE 100"];
        assert_eq!(chosen(2, &both, &values), expected);
        let fixed = BTreeMap::from([(2, "10")]);
        let one = uses(&[(1, "a", Comparison::Equal)]);
        let sets = choose(2, &fixed, &one, &values).unwrap();
        assert_eq!(sets[0].values, ["US", "10"]);
        let only_fixed = choose(1, &BTreeMap::from([(1, "10")]), &BTreeSet::new(), &values);
        assert_eq!(only_fixed.unwrap()[0].values, ["10"]);
    }

    #[test]
    fn what_has_no_value_is_told() {
        let one = uses(&[(1, "a", Comparison::Equal)]);
        let told = |parameters, known: &BTreeMap<Column, ColumnValues>| {
            choose(parameters, &BTreeMap::new(), &one, known).unwrap_err()
        };
        let values = known(&[("a", &["x"], false)]);
        let expected = "$2 is compared with no column whose values are known";
        assert_eq!(told(2, &values), expected);
        let expected = "there are no statistics for app.t.a that the role may see: ANALYZE it";
        assert_eq!(told(1, &BTreeMap::new()), expected);
        let expected = "the statistics of app.t.a hold no values (a snapshot may withhold them: \
                        `snapshot take --values`)";
        assert_eq!(told(1, &known(&[("a", &[], false)])), expected);
    }
}

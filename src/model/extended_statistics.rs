//! Statistics over several columns and on expressions (`CREATE STATISTICS`), as a snapshot holds
//! them: by the names of columns, since their numbers differ where columns were dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ident::{Ident, QualifiedName};
use super::snapshot::{ColumnStatistics, scaled_count};

/// What ANALYZE found for one statistics object, as `pg_stats_ext` shows it.
///
/// Its terms are its columns and then its expressions, counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtendedStatistics {
    /// The statistics object.
    pub name: QualifiedName,
    /// The table.
    pub relation: QualifiedName,
    /// Whether partitions and inheriting tables were counted in.
    pub inherited: bool,
    /// The columns.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub columns: Vec<Ident>,
    /// The expressions.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expressions: Vec<Expression>,
    /// How many groups the terms make.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ndistinct: Vec<Groups>,
    /// Which terms follow from which.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub dependencies: Vec<Dependency>,
    /// The most common combinations of values.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub most_common: Option<CommonGroups>,
}

/// An expression, and what is known of its values as of a column's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expression {
    /// As `pg_get_statisticsobjdef_expressions` writes it with an empty search path.
    pub text: String,
    /// What ANALYZE found; `column` has the name that an index would give it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statistics: Option<ColumnStatistics>,
}

/// How many groups some terms make (`ndistinct`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// The terms.
    pub terms: Vec<usize>,
    /// How many.
    pub count: f64,
}

/// How far one term follows from others (`dependencies`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    /// The others.
    pub from: Vec<usize>,
    /// The one.
    pub to: usize,
    /// The share of rows of which it is true.
    pub degree: f64,
}

/// The most common combinations of values (`mcv`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommonGroups {
    /// The share of rows of each.
    pub frequencies: Vec<f64>,
    /// The share that each would have if the terms had nothing to do with each other.
    pub base_frequencies: Vec<f64>,
    /// The values, one for each term; `None` where they are withheld.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub values: Option<Vec<Vec<Option<String>>>>,
}

/// Columns with numbers above 0 by their place among `attnums`, and expressions, numbered -1, -2
/// and so on, behind them.
fn term(number: &str, attnums: &[i16]) -> Option<usize> {
    let number: i16 = number.trim().parse().ok()?;
    match usize::try_from(-i32::from(number)) {
        Ok(expression) if expression > 0 => Some(attnums.len() + expression - 1),
        Ok(_) | Err(_) => attnums.iter().position(|known| *known == number),
    }
}

fn terms(numbers: &str, attnums: &[i16]) -> Option<Vec<usize>> {
    numbers.split(',').map(|number| term(number, attnums)).collect()
}

/// Reads a `pg_ndistinct` as the server prints it: `{"1, 2": 5, "1, -1": 7}`. `attnums` are the
/// numbers of the columns. `None` where it is in another form.
pub fn ndistinct(text: &str, attnums: &[i16]) -> Option<Vec<Groups>> {
    let all: BTreeMap<String, f64> = serde_json::from_str(text).ok()?;
    let groups = |(numbers, count): (&String, &f64)| {
        Some(Groups { terms: terms(numbers, attnums)?, count: *count })
    };
    all.iter().map(groups).collect()
}

/// Reads a `pg_dependencies` as the server prints it: `{"1, 2 => 3": 0.5}`.
pub fn dependencies(text: &str, attnums: &[i16]) -> Option<Vec<Dependency>> {
    let all: BTreeMap<String, f64> = serde_json::from_str(text).ok()?;
    let dependency = |(numbers, degree): (&String, &f64)| {
        let (from, to) = numbers.split_once("=>")?;
        let (from, to) = (terms(from, attnums)?, term(to, attnums)?);
        Some(Dependency { from, to, degree: *degree })
    };
    all.iter().map(dependency).collect()
}

impl ExtendedStatistics {
    /// The terms as people write them.
    pub fn terms(&self) -> Vec<String> {
        let expressions = self.expressions.iter().map(|one| one.text.clone());
        self.columns.iter().map(ToString::to_string).chain(expressions).collect()
    }

    /// What of it holds no values of rows.
    pub fn counts(&self) -> ExtendedStatistics {
        let expression = |one: &Expression| Expression { statistics: None, ..one.clone() };
        ExtendedStatistics {
            expressions: self.expressions.iter().map(expression).collect(),
            most_common: None,
            ..self.clone()
        }
    }

    /// Those of a table with so many times the rows.
    pub fn scaled(&self, factor: f64) -> ExtendedStatistics {
        let groups = |one: &Groups| {
            let count = scaled_count(one.count, factor).round();
            Groups { count, ..one.clone() }
        };
        let expression = |one: &Expression| Expression {
            statistics: one.statistics.as_ref().map(|statistics| statistics.scaled(factor)),
            ..one.clone()
        };
        ExtendedStatistics {
            expressions: self.expressions.iter().map(expression).collect(),
            ndistinct: self.ndistinct.iter().map(groups).collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_columns_become_places() {
        // The second column was dropped.
        let attnums = [1, 3, 4];
        let groups = ndistinct(r#"{"1, 3": 10, "4, -1": 50, "1, 3, -2": 7}"#, &attnums).unwrap();
        let told: Vec<(Vec<usize>, f64)> =
            groups.into_iter().map(|one| (one.terms, one.count)).collect();
        let expected = [(vec![0, 1], 10.0), (vec![0, 1, 4], 7.0), (vec![2, 3], 50.0)];
        assert_eq!(told, expected);
        assert_eq!(
            dependencies(r#"{"3, -1 => 4": 0.250000}"#, &attnums),
            Some(vec![Dependency { from: vec![1, 3], to: 2, degree: 0.25 }])
        );
    }

    #[test]
    fn other_forms_are_not_guessed_at() {
        assert_eq!(ndistinct(r#"[{"attributes": [1, 2], "ndistinct": 4}]"#, &[1, 2]), None);
        assert_eq!(ndistinct(r#"{"1, 2": 4}"#, &[1]), None);
        assert_eq!(dependencies(r#"{"1, 2": 4}"#, &[1, 2]), None);
    }
}

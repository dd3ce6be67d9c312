//! Which values of rows a snapshot discloses. Statistics hold copies of them: the most common ones,
//! and the bounds of histograms.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extended_statistics::ExtendedStatistics;
use super::ident::{Ident, QualifiedName};
use super::snapshot::{ColumnStatistics, Snapshot};

/// A column of a table.
pub type Column = (QualifiedName, Ident);

/// Of which columns values come into a snapshot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// None
    None,
    /// Columns that the profile's queries filter, join, group or sort by
    #[default]
    Workload,
    /// All columns
    All,
}

/// What may be disclosed.
pub struct Disclosure<'a> {
    /// Of which columns.
    pub values: Values,
    /// The columns that queries use, with [`Values::Workload`].
    pub used: &'a BTreeSet<Column>,
    /// Indexes on expressions, with the table and the text of what they index.
    pub expressions: &'a BTreeMap<QualifiedName, (QualifiedName, String)>,
    /// Columns with any of these in their name are never disclosed: other values stand for theirs.
    pub redact: &'a [&'a str],
}

/// Parts of names of columns whose values are somebody's secret or person.
pub const REDACTED: [&str; 13] = [
    "token",
    "secret",
    "passw",
    "hash",
    "mail",
    "phone",
    "name",
    "address",
    "birth",
    "iban",
    "card_number",
    "ssn",
    "ip_addr",
];

/// What becomes of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// They are needed and may be told.
    Disclosed,
    /// They are needed; others stand in their place, or none.
    Substituted,
    /// Nobody needs them.
    Withheld,
}

impl Disclosure<'_> {
    /// What becomes of this column's values.
    pub fn treatment(&self, column: &ColumnStatistics) -> Treatment {
        match self.expressions.get(&column.relation) {
            Some((table, text)) => self.of_expression(table, text),
            None => self.of_column(&column.column),
        }
    }

    /// A column of a partition is the same as that of the whole table, by its name.
    fn of_column(&self, column: &Ident) -> Treatment {
        self.judged(column.as_str(), || self.used.iter().any(|(_, used)| used == column))
    }

    fn of_expression(&self, table: &QualifiedName, text: &str) -> Treatment {
        self.judged(text, || self.used.iter().any(|(used, _)| used == table))
    }

    fn judged(&self, text: &str, is_used: impl Fn() -> bool) -> Treatment {
        let text = text.to_lowercase();
        let is_redacted = self.redact.iter().any(|part| text.contains(&part.to_lowercase()));
        let is_needed = match self.values {
            Values::None => false,
            Values::All => true,
            Values::Workload => is_used(),
        };
        match (is_needed, is_redacted) {
            (true, false) => Treatment::Disclosed,
            (true, true) => Treatment::Substituted,
            (false, _) => Treatment::Withheld,
        }
    }

    /// Takes out what may not be disclosed: combinations of values where one of them may not. There
    /// are no substitutes.
    fn disclose_extended(&self, extended: &mut ExtendedStatistics) {
        let table = &extended.relation;
        let is_told = |text: &str| self.of_expression(table, text) == Treatment::Disclosed;
        let are_told =
            extended.columns.iter().all(|one| self.of_column(one) == Treatment::Disclosed)
                && extended.expressions.iter().all(|one| is_told(&one.text));
        if let (Some(common), false) = (&mut extended.most_common, are_told) {
            common.values = None;
        }
        for expression in &mut extended.expressions {
            if let (Some(statistics), false) =
                (&mut expression.statistics, is_told(&expression.text))
            {
                statistics.values = None;
            }
        }
    }
}

/// Takes out of a snapshot what may not be disclosed. What is left of a column are shares and
/// counts: NULLs, widths, distinct values, correlation, how frequent the most common values are;
/// and what was put in the place of its values.
pub fn disclose(snapshot: &mut Snapshot, disclosure: &Disclosure<'_>) {
    for column in &mut snapshot.columns {
        let stays = match disclosure.treatment(column) {
            Treatment::Disclosed => true,
            Treatment::Substituted => column.is_substituted,
            Treatment::Withheld => false,
        };
        if !stays {
            column.values = None;
        }
    }
    snapshot.extended.iter_mut().for_each(|one| disclosure.disclose_extended(one));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::extended_statistics::{CommonGroups, Expression};
    use crate::model::snapshot::ColumnSample;

    fn name(text: &str) -> QualifiedName {
        QualifiedName::new(Ident::new("app").unwrap(), Ident::new(text).unwrap())
    }

    fn snapshot(columns: &[(&str, &str)]) -> Snapshot {
        let column = |(table, column): &(&str, &str)| ColumnStatistics {
            relation: name(table),
            column: Ident::new(*column).unwrap(),
            inherited: false,
            null_frac: 0.0,
            avg_width: 4,
            n_distinct: -1.0,
            correlation: None,
            most_common_freqs: Vec::new(),
            values: Some(ColumnSample::default()),
            is_substituted: false,
        };
        Snapshot { columns: columns.iter().map(column).collect(), ..Snapshot::default() }
    }

    #[test]
    fn only_what_the_workload_needs_and_nobodys_secret_is_disclosed() {
        let columns =
            [("users", "id"), ("users", "user_email"), ("users", "note"), ("lower_idx", "lower")];
        let used = BTreeSet::from([
            (name("users"), Ident::new("id").unwrap()),
            (name("users"), Ident::new("user_email").unwrap()),
        ]);
        let expression = (name("users"), "lower(user_email)".to_string());
        let expressions = BTreeMap::from([(name("lower_idx"), expression)]);
        let kept = |values, redact: &[&str]| {
            let mut snapshot = snapshot(&columns);
            let disclosure = Disclosure { values, used: &used, expressions: &expressions, redact };
            disclose(&mut snapshot, &disclosure);
            let kept = snapshot.columns.into_iter().filter(|column| column.values.is_some());
            kept.map(|column| column.column.as_str().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(kept(Values::Workload, &REDACTED), ["id"]);
        assert_eq!(kept(Values::Workload, &[]), ["id", "user_email", "lower"]);
        assert_eq!(kept(Values::All, &["MAIL"]), ["id", "note"]);
        assert_eq!(kept(Values::None, &[]), [""; 0]);
    }

    #[test]
    fn combinations_are_disclosed_where_each_of_their_values_is() {
        let used = BTreeSet::from([
            (name("users"), Ident::new("city").unwrap()),
            (name("users"), Ident::new("user_email").unwrap()),
        ]);
        let told = |values, columns: &[&str], expression: &str| {
            let statistics = snapshot(&[("users", "expr")]).columns.remove(0);
            let mut snapshot = Snapshot::default();
            let common = CommonGroups {
                frequencies: vec![0.5],
                base_frequencies: vec![0.1],
                values: Some(vec![vec![None, None]]),
            };
            snapshot.extended.push(ExtendedStatistics {
                name: name("users_stats"),
                relation: name("users"),
                inherited: false,
                columns: columns.iter().map(|column| Ident::new(*column).unwrap()).collect(),
                expressions: vec![Expression {
                    text: expression.to_string(),
                    statistics: Some(statistics),
                }],
                ndistinct: Vec::new(),
                dependencies: Vec::new(),
                most_common: Some(common),
            });
            let (expressions, redact) = (BTreeMap::new(), &["mail"][..]);
            let disclosure = Disclosure { values, used: &used, expressions: &expressions, redact };
            disclose(&mut snapshot, &disclosure);
            let one = snapshot.extended.remove(0);
            let expression = one.expressions[0].statistics.as_ref().unwrap();
            (one.most_common.unwrap().values.is_some(), expression.values.is_some())
        };
        assert_eq!(told(Values::Workload, &["city"], "lower(city)"), (true, true));
        assert_eq!(told(Values::Workload, &["city", "zip"], "lower(city)"), (false, true));
        assert_eq!(told(Values::All, &["city", "zip"], "lower(city)"), (true, true));
        assert_eq!(told(Values::All, &["user_email"], "lower(city)"), (false, true));
        assert_eq!(told(Values::All, &["city"], "lower(user_email)"), (false, false));
        assert_eq!(told(Values::None, &["city"], "lower(city)"), (false, false));
    }
}

//! Which values of rows a snapshot discloses. Statistics hold copies of them: the most common ones,
//! and the bounds of histograms.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extended_statistics::ExtendedStatistics;
use super::groups::Groups;
use super::ident::{Ident, QualifiedName};
use super::snapshot::{ColumnSample, ColumnStatistics, Snapshot};

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

/// What makes values of one column those of another.
#[derive(Debug, Default)]
pub struct Ties {
    /// Tables that share rows: partitions and their table, and those that inherit.
    pub trees: Groups<QualifiedName>,
    /// Columns of indexes that are expressions, with the table and the expression's text.
    pub expressions: BTreeMap<Column, (QualifiedName, String)>,
    /// Columns that foreign keys connect, in pairs.
    pub keys: Vec<(Column, Column)>,
    /// Columns of views, each with one that its values may come from.
    pub sources: Vec<(Column, Column)>,
    /// What names the content of columns besides their own names: the expression of a generated
    /// column, the parts of a composite one, the functions that a view calls.
    pub origins: Vec<(Column, String)>,
}

impl Ties {
    /// The same for this column of each table that shares rows with this one.
    fn of_tree(&self, table: &QualifiedName, column: &Ident) -> Column {
        (self.trees.name(table).clone(), column.clone())
    }
}

/// What may be disclosed.
pub struct Disclosure<'a> {
    values: Values,
    /// The columns that queries use, as [`Ties::of_tree`] names them.
    used: BTreeSet<Column>,
    redact: &'a [&'a str],
    ties: &'a Ties,
    /// Columns whose names say nothing, and that are redacted all the same, as [`Ties::of_tree`]
    /// names them: for what is in them, and those that foreign keys connect with one, which would
    /// not meet it any more.
    redacted: BTreeSet<Column>,
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

impl<'a> Disclosure<'a> {
    /// `used` are the columns that queries use, with [`Values::Workload`]. Columns with any of
    /// `redact` in their name are never disclosed: other values stand for theirs.
    pub fn new(
        values: Values,
        used: &BTreeSet<Column>,
        redact: &'a [&'a str],
        ties: &'a Ties,
    ) -> Disclosure<'a> {
        let used = used.iter().map(|(table, column)| ties.of_tree(table, column)).collect();
        let redacted = BTreeSet::new();
        let mut disclosure = Disclosure { values, used, redact, ties, redacted };
        disclosure.redacted = disclosure.redacted_columns();
        disclosure
    }

    /// Those that follow from the names, and from each other, until none is new.
    fn redacted_columns(&self) -> BTreeSet<Column> {
        let of_tree = |(table, column): &Column| self.ties.of_tree(table, column);
        let pairs = |pairs: &[(Column, Column)]| -> Vec<(Column, Column)> {
            pairs.iter().map(|(one, other)| (of_tree(one), of_tree(other))).collect()
        };
        let (keys, sources) = (pairs(&self.ties.keys), pairs(&self.ties.sources));
        let origins: Vec<(Column, &String)> =
            self.ties.origins.iter().map(|(column, text)| (of_tree(column), text)).collect();
        let mut redacted = BTreeSet::new();
        loop {
            let count = redacted.len();
            let is_known = |one: &Column| self.names(one.1.as_str()) || redacted.contains(one);
            let tells = |table: &QualifiedName, text: &str| {
                let mut of_table = redacted.iter().filter(|(of, _)| of == table);
                self.names(text) || of_table.any(|(_, column)| column.is_mentioned_in(text))
            };
            let made = origins.iter().filter(|(column, text)| tells(&column.0, text));
            let made = made.map(|(column, _)| column);
            let taken = sources.iter().filter(|(_, source)| is_known(source));
            let taken = taken.map(|(column, _)| column);
            let met = keys.iter().filter(|(one, other)| is_known(one) || is_known(other));
            let met = met.flat_map(|(one, other)| [one, other]);
            let new: Vec<Column> = made.chain(taken).chain(met).cloned().collect();
            redacted.extend(new);
            if redacted.len() == count {
                return redacted;
            }
        }
    }

    /// Whether a part of a name that is to be redacted is in a text.
    fn names(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.redact.iter().any(|part| text.contains(&part.to_lowercase()))
    }

    /// What becomes of this column's values.
    pub fn treatment(&self, column: &ColumnStatistics) -> Treatment {
        let ColumnStatistics { relation, column, .. } = column;
        match self.ties.expressions.get(&(relation.clone(), column.clone())) {
            Some((table, text)) => self.of_expression(table, text),
            None => self.of_column(relation, column),
        }
    }

    /// A column of a partition is the same as that of the whole table.
    fn of_column(&self, table: &QualifiedName, column: &Ident) -> Treatment {
        let of_tree = self.ties.of_tree(table, column);
        let is_redacted = self.names(column.as_str()) || self.redacted.contains(&of_tree);
        self.judged(is_redacted, || self.used.contains(&of_tree))
    }

    /// An expression is needed where a column in it is.
    fn of_expression(&self, table: &QualifiedName, text: &str) -> Treatment {
        let tree = self.ties.trees.name(table);
        let mut used = self.used.iter().filter(|(used, _)| used == tree);
        let mut redacted = self.redacted.iter().filter(|(table, _)| table == tree);
        let is_redacted =
            self.names(text) || redacted.any(|(_, column)| column.is_mentioned_in(text));
        self.judged(is_redacted, || used.any(|(_, column)| column.is_mentioned_in(text)))
    }

    fn judged(&self, is_redacted: bool, is_used: impl FnOnce() -> bool) -> Treatment {
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

    /// Whether one of these values is a document with a key that is to be redacted.
    fn is_told_by<'t>(&self, values: impl Iterator<Item = &'t String>) -> bool {
        // JSON, alone or in an array, and hstore.
        let is_document = |text: &&String| {
            text.contains("\"=>") || (text.starts_with(['{', '[']) && text.contains("\":"))
        };
        let mut documents = values.filter(is_document);
        documents.any(|text| self.names(text))
    }

    /// The same of what statistics have of a column.
    fn tells_of_documents(&self, column: &ColumnStatistics) -> bool {
        self.is_told_by(column.values.iter().flat_map(ColumnSample::texts))
    }

    /// Takes out what may not be disclosed: combinations of values where one of them may not. There
    /// are no substitutes.
    fn disclose_extended(&self, extended: &mut ExtendedStatistics) {
        let table = &extended.relation;
        let is_told = |text: &str| self.of_expression(table, text) == Treatment::Disclosed;
        let are_told =
            extended.columns.iter().all(|one| self.of_column(table, one) == Treatment::Disclosed)
                && extended.expressions.iter().all(|one| is_told(&one.text));
        if let Some(common) = &mut extended.most_common {
            let texts = common.values.iter().flatten().flatten().flatten();
            if !are_told || self.is_told_by(texts) {
                common.values = None;
            }
        }
        for expression in &mut extended.expressions {
            let Some(statistics) = &mut expression.statistics else { continue };
            if !is_told(&expression.text) || self.tells_of_documents(statistics) {
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
            Treatment::Disclosed => !disclosure.tells_of_documents(column),
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

    fn name(text: &str) -> QualifiedName {
        QualifiedName::new(Ident::new("app").unwrap(), Ident::new(text).unwrap())
    }

    fn column(table: &str, column: &str) -> Column {
        (name(table), Ident::new(column).unwrap())
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
        let columns = [
            ("users", "id"),
            ("users", "user_email"),
            ("users", "note"),
            ("users_old", "id"),
            ("pages", "id"),
            ("lower_idx", "lower"),
            ("lower_idx", "upper"),
        ];
        let used = BTreeSet::from([column("users", "id"), column("users", "user_email")]);
        let of_users = |text: &str| (name("users"), text.to_string());
        let expressions = BTreeMap::from([
            (column("lower_idx", "lower"), of_users("lower(user_email)")),
            (column("lower_idx", "upper"), of_users("upper(note)")),
        ]);
        // Both are partitions of the same table.
        let trees = ["users", "users_old"].map(|partition| (name(partition), name("all_users")));
        let ties = Ties { trees: Groups::of(trees), expressions, ..Ties::default() };
        let kept = |values, redact: &[&str]| {
            let mut snapshot = snapshot(&columns);
            disclose(&mut snapshot, &Disclosure::new(values, &used, redact, &ties));
            let kept = snapshot.columns.into_iter().filter(|column| column.values.is_some());
            let kept = kept.map(|one| format!("{}.{}", one.relation.name, one.column));
            kept.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kept(Values::Workload, &REDACTED), "users.id users_old.id");
        let all = "users.id users.user_email users_old.id lower_idx.lower";
        assert_eq!(kept(Values::Workload, &[]), all);
        let all = "users.id users.note users_old.id pages.id lower_idx.upper";
        assert_eq!(kept(Values::All, &["MAIL"]), all);
        assert_eq!(kept(Values::None, &[]), "");
    }

    #[test]
    fn combinations_are_disclosed_where_each_of_their_values_is() {
        let used = BTreeSet::from([column("users", "city"), column("users", "user_email")]);
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
            let ties = Ties::default();
            disclose(&mut snapshot, &Disclosure::new(values, &used, &["mail"], &ties));
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

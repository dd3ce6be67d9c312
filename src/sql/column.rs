//! Columns and constraints, as CREATE TABLE and ALTER TABLE … ADD define them.

use super::statement::Name;
use super::tokens::Cursor;
use super::type_name::TypeName;
use crate::model::ident::Ident;

/// A column's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub type_name: TypeName,
    /// `NOT NULL`
    pub not_null: bool,
    /// `DEFAULT …`, as written.
    pub default: Option<String>,
    /// Where its values come from.
    pub generated: Option<Generated>,
    /// The key that it is on its own.
    pub key: Option<Key>,
    /// The table that it refers to.
    pub references: Option<Name>,
    /// `CHECK (…)`
    pub check: Option<String>,
}

/// Where the values of a generated column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// `AS IDENTITY`
    Identity,
    /// `AS (…) STORED`
    Stored,
    /// `AS (…) VIRTUAL`, the default of PostgreSQL 18.
    Virtual,
}

/// PRIMARY KEY or UNIQUE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `PRIMARY KEY`
    Primary,
    /// `UNIQUE`
    Unique,
}

/// A constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Its name, where it has one.
    pub name: Option<Ident>,
    /// What it says.
    pub body: Body,
    /// `NOT VALID`: existing rows are not looked at.
    pub not_valid: bool,
}

/// What a constraint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A key with an index to be built.
    Key {
        /// Which.
        key: Key,
        /// Its columns.
        columns: Vec<Ident>,
    },
    /// A key whose index is there.
    KeyUsingIndex {
        /// Which.
        key: Key,
        /// The index.
        index: Ident,
    },
    /// `FOREIGN KEY`
    ForeignKey {
        /// The columns that refer.
        columns: Vec<Ident>,
        /// The table that is referred to.
        references: Name,
    },
    /// `CHECK (…)`, the text inside.
    Check(String),
    /// `NOT NULL column`, of PostgreSQL 18.
    NotNull(Ident),
    /// `EXCLUDE`
    Exclude,
}

/// Words that end a column's type or default.
const CLAUSES: &[&str] = &[
    "check",
    "collate",
    "compression",
    "constraint",
    "default",
    "deferrable",
    "generated",
    "initially",
    "not",
    "null",
    "options",
    "primary",
    "references",
    "storage",
    "unique",
    "using",
];

/// Skips to the next clause of a column, over groups; returns what was skipped.
fn take_until_clause<'a>(cursor: &mut Cursor<'a>) -> Cursor<'a> {
    let start = cursor.clone();
    while !cursor.at_end() && !CLAUSES.iter().any(|word| cursor.sees(&[word])) {
        cursor.skip_item();
    }
    start.until(cursor)
}

/// Reads a type up to the next clause.
pub fn take_type(cursor: &mut Cursor<'_>) -> TypeName {
    TypeName::read(take_until_clause(cursor))
}

impl Column {
    /// Reads `name type clauses`.
    pub fn read(mut cursor: Cursor<'_>) -> Option<Column> {
        let name = cursor.take_ident()?;
        let type_name = take_type(&mut cursor);
        let mut column = Column {
            name,
            type_name,
            not_null: false,
            default: None,
            generated: None,
            key: None,
            references: None,
            check: None,
        };
        while !cursor.at_end() {
            column.take_clause(&mut cursor);
        }
        Some(column)
    }

    fn take_clause(&mut self, cursor: &mut Cursor<'_>) {
        if cursor.take(&["not", "null"]) {
            self.not_null = true;
        } else if cursor.take(&["default"]) {
            let start = cursor.clone();
            // The first token belongs to it whatever it is: DEFAULT NULL.
            cursor.skip_item();
            take_until_clause(cursor);
            self.default = Some(start.until(cursor).rest().to_string());
        } else if cursor.take(&["generated"]) {
            cursor.skip_to(&["as"]);
            cursor.skip();
            let identity = cursor.take(&["identity"]);
            cursor.take_group();
            let stored = cursor.take(&["stored"]);
            self.generated = Some(match (identity, stored) {
                (true, _) => Generated::Identity,
                (false, true) => Generated::Stored,
                (false, false) => Generated::Virtual,
            });
        } else if cursor.take(&["primary", "key"]) {
            (self.key, self.not_null) = (Some(Key::Primary), true);
        } else if cursor.take(&["unique"]) {
            self.key = Some(Key::Unique);
        } else if cursor.take(&["references"]) {
            self.references = cursor.take_name();
            // MATCH, ON DELETE SET NULL and the like hold words of other clauses.
            while cursor.take_group().is_some()
                || cursor.take_any(&["match", "full", "partial", "simple"]).is_some()
                || (cursor.take(&["on"]) && skip_reaction(cursor))
            {}
        } else if cursor.take(&["check"]) {
            self.check = cursor.take_group().map(|group| group.rest().to_string());
        } else if cursor.take(&["constraint"]) {
            cursor.skip();
        } else {
            cursor.skip_item();
        }
    }
}

/// `DELETE SET NULL (a)`, `UPDATE CASCADE`, `DELETE NO ACTION`.
fn skip_reaction(cursor: &mut Cursor<'_>) -> bool {
    cursor.skip();
    let two: [&[&str]; 3] = [&["set", "null"], &["set", "default"], &["no", "action"]];
    if !two.iter().any(|words| cursor.take(words)) {
        cursor.skip();
    }
    true
}

fn columns(group: Cursor<'_>) -> Vec<Ident> {
    group.split_commas().into_iter().filter_map(|mut item| item.take_ident()).collect()
}

impl Constraint {
    /// Reads `[CONSTRAINT name] body`; `None` where it is none.
    pub fn read(mut cursor: Cursor<'_>) -> Option<Constraint> {
        let name = if cursor.take(&["constraint"]) { Some(cursor.take_ident()?) } else { None };
        let body = take_body(&mut cursor)?;
        let not_valid = cursor.skip_to(&["not", "valid"]);
        Some(Constraint { name, body, not_valid })
    }
}

fn take_body(cursor: &mut Cursor<'_>) -> Option<Body> {
    if cursor.take(&["check"]) {
        return Some(Body::Check(cursor.take_group()?.rest().to_string()));
    }
    if cursor.take(&["foreign", "key"]) {
        let columns = columns(cursor.take_group()?);
        cursor.take(&["references"]);
        return Some(Body::ForeignKey { columns, references: cursor.take_name()? });
    }
    if cursor.take(&["not", "null"]) {
        return Some(Body::NotNull(cursor.take_ident()?));
    }
    if cursor.take(&["exclude"]) {
        // A column may have this name.
        return (cursor.sees(&["using"]) || cursor.take_group().is_some()).then_some(Body::Exclude);
    }
    let key = match cursor.take_any(&["primary", "unique"])? {
        "primary" => Key::Primary,
        _ => Key::Unique,
    };
    cursor.take(&["key"]);
    if cursor.take(&["using", "index"]) {
        return Some(Body::KeyUsingIndex { key, index: cursor.take_ident()? });
    }
    if cursor.take(&["nulls"]) {
        cursor.take(&["not"]);
        cursor.take(&["distinct"]);
    }
    Some(Body::Key { key, columns: columns(cursor.take_group()?) })
}

/// What the parentheses of CREATE TABLE hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A column.
    Column(Column),
    /// A constraint.
    Constraint(Constraint),
}

/// The elements of `CREATE TABLE name (…)`, with where each begins; none of what is made by a
/// query, by LIKE or elsewhere.
pub fn elements(mut cursor: Cursor<'_>) -> Vec<(usize, Element)> {
    let starts = cursor.take(&["create"]);
    cursor.take_any(&["global", "local"]);
    cursor.take_any(&["temporary", "temp", "unlogged"]);
    if !starts || !cursor.take(&["table"]) {
        return Vec::new();
    }
    cursor.take(&["if", "not", "exists"]);
    cursor.take_name();
    if cursor.take(&["partition", "of"]) || cursor.take(&["of"]) {
        cursor.take_name();
    }
    let Some(group) = cursor.take_group() else { return Vec::new() };
    let items = group.split_commas().into_iter();
    items.filter_map(|item| Some((item.offset()?, element(item)?))).collect()
}

fn element(cursor: Cursor<'_>) -> Option<Element> {
    if cursor.sees(&["like"]) {
        return None;
    }
    // A quoted name or one that no constraint begins with is a column's.
    let constraint = Constraint::read(cursor.clone()).map(Element::Constraint);
    constraint.or_else(|| Column::read(cursor).map(Element::Column))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn read(sql: &str) -> Vec<Element> {
        let tokens: Vec<_> = tokens(sql).collect();
        let elements = elements(Cursor::new(sql, &tokens));
        elements.into_iter().map(|(_, element)| element).collect()
    }

    fn column(sql: &str) -> Column {
        let Some(Element::Column(column)) = read(&format!("create table t ({sql})")).pop() else {
            panic!("{sql}")
        };
        column
    }

    #[test]
    fn columns_are_taken_apart() {
        let id = column("id bigint generated by default as identity (start 5) primary key");
        assert_eq!((id.generated, id.key), (Some(Generated::Identity), Some(Key::Primary)));
        let text = column("note varchar(20) collate \"C\" default null not null");
        assert_eq!(text.type_name.to_string(), "varchar(20)");
        assert_eq!((text.default.as_deref(), text.not_null), (Some("null"), true));
        let owner = column("a int references s.b (id) on delete set null check (a > 0) not null");
        assert_eq!(owner.references.unwrap().len(), 2);
        assert_eq!((owner.check.as_deref(), owner.not_null), (Some("a > 0"), true));
        let made = column("full_name text generated always as (a || b) stored");
        assert_eq!(made.generated, Some(Generated::Stored));
        let when = column("at timestamp with time zone default now() - interval '1 day' unique");
        assert_eq!(when.type_name.to_string(), "timestamptz");
        assert_eq!(when.default.as_deref(), Some("now() - interval '1 day'"));
        assert_eq!(when.key, Some(Key::Unique));
    }

    #[test]
    fn constraints_are_taken_apart() {
        let sql = "create unlogged table if not exists s.t (a int, like u, \
                   constraint k primary key (a, \"B\"), foreign key (a) references u not valid, \
                   check (a > 0), exclude using gist (r with &&), unique using index i, \
                   exclude int)";
        let elements = read(sql);
        assert_eq!(elements.len(), 7, "{elements:?}");
        let Element::Constraint(key) = &elements[1] else { panic!() };
        assert_eq!(key.name.as_ref().unwrap().as_str(), "k");
        assert!(
            matches!(&key.body, Body::Key { key: Key::Primary, columns } if columns.len() == 2)
        );
        let Element::Constraint(foreign) = &elements[2] else { panic!() };
        assert!(foreign.not_valid && matches!(foreign.body, Body::ForeignKey { .. }));
        assert!(read("create table t as select 1").is_empty());
        assert!(read("create table c partition of p for values in (1)").is_empty());
    }
}

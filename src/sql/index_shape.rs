//! What an index indexes, in one spelling for people's and the server's (`pg_get_indexdef`), so
//! that two can be compared.

use super::tokens::{Cursor, Kind, tokens};
use crate::model::ident::Ident;

/// What an index indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexShape {
    /// The access method: `btree`.
    pub method: String,
    /// Its keys, in order.
    pub keys: Vec<IndexKey>,
    /// `INCLUDE`, in order of name.
    pub included: Vec<String>,
    /// `WHERE`
    pub predicate: Option<String>,
    /// `NULLS NOT DISTINCT`
    pub nulls_not_distinct: bool,
}

/// A key of an index. Equal keys are of equal use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// A column's name, or an expression.
    pub expression: String,
    /// Whether it is a column.
    pub is_column: bool,
    /// `COLLATE`, operator class and order, where they are not the defaults.
    pub options: String,
}

impl IndexKey {
    /// The same key, whatever its order.
    pub fn in_any_order(&self) -> IndexKey {
        let is_order = |word: &&str| ["desc", "nulls", "first", "last"].contains(word);
        let left: Vec<&str> = self.options.split(' ').filter(|word| !is_order(word)).collect();
        IndexKey { options: left.join(" "), ..self.clone() }
    }
}

impl IndexShape {
    /// Reads all behind the table's name: `USING btree (a, lower(b)) WHERE c`.
    pub fn read(tail: &str) -> Option<IndexShape> {
        let tokens: Vec<_> = tokens(tail).filter(|token| token.kind != Kind::Comment).collect();
        let mut cursor = Cursor::new(tail, &tokens);
        let mut method = "btree".to_string();
        if cursor.take(&["using"]) {
            method = cursor.take_ident()?.as_str().to_string();
        }
        let keys = cursor.take_group()?.split_commas().into_iter().map(key).collect();
        let mut included = Vec::new();
        if cursor.take(&["include"]) {
            let group = cursor.take_group()?;
            included.extend(group.split_commas().into_iter().map(spelled));
        }
        included.sort();
        let nulls_not_distinct = cursor.take(&["nulls", "not", "distinct"]);
        let predicate = cursor.skip_to(&["where"]).then(|| {
            cursor.skip();
            spelled(cursor)
        });
        Some(IndexShape { method, keys, included, predicate, nulls_not_distinct })
    }

    /// A b-tree of these columns: what a key's constraint makes.
    pub fn of_columns(columns: &[Ident]) -> IndexShape {
        let key = |column: &Ident| IndexKey {
            expression: column.as_str().to_string(),
            is_column: true,
            options: String::new(),
        };
        IndexShape {
            method: "btree".to_string(),
            keys: columns.iter().map(key).collect(),
            included: Vec::new(),
            predicate: None,
            nulls_not_distinct: false,
        }
    }

    /// Whether another b-tree answers all that this one does: its first keys are the same, its
    /// rows too, and it holds the included columns.
    pub fn is_prefix_of(&self, other: &IndexShape) -> bool {
        let holds = |column: &String| {
            let is_key = |key: &IndexKey| key.is_column && key.expression == *column;
            other.included.contains(column) || other.keys.iter().any(is_key)
        };
        self.method == "btree"
            && other.method == "btree"
            && other.keys.starts_with(&self.keys)
            && self.predicate == other.predicate
            && self.included.iter().all(holds)
    }

    /// Whether rows can be found by these columns, in any order: its first keys are they.
    pub fn finds(&self, columns: &[Ident]) -> bool {
        let first = self.keys.get(..columns.len()).unwrap_or_default();
        let named = |column: &Ident| {
            first.iter().any(|key| key.is_column && key.expression == column.as_str())
        };
        self.method == "btree"
            && self.predicate.is_none()
            && first.len() == columns.len()
            && columns.iter().all(named)
    }

    /// The same with another name of a column, where it is a key or included by itself.
    pub fn rename(&mut self, old: &Ident, new: &Ident) {
        let keys = self.keys.iter_mut().filter(|key| key.is_column).map(|key| &mut key.expression);
        for name in keys.chain(&mut self.included).filter(|name| *name == old.as_str()) {
            *name = new.as_str().to_string();
        }
    }

    /// Whether it names a column, as far as can be told.
    pub fn names(&self, column: &Ident) -> bool {
        self.keys.iter().any(|key| key.is_column && key.expression == column.as_str())
            || self.included.iter().any(|name| name == column.as_str())
    }
}

/// One element of the list of keys.
fn key(mut cursor: Cursor<'_>) -> IndexKey {
    let start = cursor.clone();
    cursor.take_name();
    // A function's arguments, or an expression in parentheses.
    cursor.take_group();
    let expression = start.until(&cursor);
    let is_column = expression.words().count() == 1;
    let (mut options, mut descending) = (Vec::new(), false);
    while !cursor.at_end() {
        if cursor.take(&["nulls", if descending { "first" } else { "last" }]) {
            continue; // the default
        }
        match cursor.take_any(&["asc", "desc"]) {
            Some("desc") => {
                descending = true;
                options.push("desc".to_string());
            }
            Some(_) => {}
            None => {
                options.push(word(cursor.kind(), cursor.first_text()));
                cursor.skip();
            }
        }
    }
    IndexKey { expression: spelled(expression), is_column, options: options.join(" ") }
}

/// A token in one spelling: names unquoted, other words in lower case.
fn word(kind: Option<Kind>, text: &str) -> String {
    match kind {
        Some(Kind::Word | Kind::QuotedName) => Ident::from_sql(text).as_str().to_string(),
        Some(
            Kind::Literal
            | Kind::Semicolon
            | Kind::Open
            | Kind::Close
            | Kind::Comma
            | Kind::Dot
            | Kind::Comment
            | Kind::Other
            | Kind::Backslash
            | Kind::Unterminated,
        )
        | None => text.to_string(),
    }
}

/// An expression in one spelling: without the casts and parentheses that the server adds.
fn spelled(mut cursor: Cursor<'_>) -> String {
    // ((a + b)) is a + b.
    loop {
        let mut inside = cursor.clone();
        match inside.take_group().filter(|_| inside.at_end() && cursor.first_text() == "(") {
            Some(group) => cursor = group,
            None => break,
        }
    }
    let mut words = Vec::new();
    while !cursor.at_end() {
        // Colons are single tokens. What the server adds is ::text, and a type behind literals.
        let after_literal = words.last().is_some_and(|word: &String| word.starts_with('\''));
        if cursor.first_text() == ":" {
            let mut cast = cursor.clone();
            cast.skip();
            cast.skip();
            if cast.sees(&["text"]) || after_literal {
                skip_type(&mut cast);
                cursor = cast;
                continue;
            }
        }
        let mut group = cursor.clone();
        // (a) is a, but in f(a) it is not.
        let is_call = words.last().is_some_and(|word: &String| word.starts_with(is_letter));
        let single = group.take_group().filter(|inside| inside.words().count() == 1 && !is_call);
        match single {
            Some(inside) => {
                words.extend(inside.words().map(|(kind, text)| word(Some(kind), text)));
                cursor = group;
            }
            None => {
                words.push(word(cursor.kind(), cursor.first_text()));
                cursor.skip();
            }
        }
    }
    words.join(" ")
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Skips `text`, `character varying(20)`, `timestamp with time zone`, `s.mood`.
fn skip_type(cursor: &mut Cursor<'_>) {
    cursor.take_name();
    cursor.take_any(&["varying", "precision"]);
    cursor.take_group();
    for words in [["with", "time", "zone"], ["without", "time", "zone"]] {
        cursor.take(&words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tail: &str) -> IndexShape {
        IndexShape::read(tail).unwrap_or_else(|| panic!("{tail}"))
    }

    #[test]
    fn people_and_the_server_spell_alike() {
        for (ours, theirs) in [
            ("(a, B desc)", "USING btree (a, b DESC)"),
            ("(a asc nulls last, b desc nulls first)", "USING btree (a, b DESC)"),
            ("(lower(email))", "USING btree (lower((email)::text))"),
            ("((data ->> 'k'))", "USING btree (((data ->> 'k'::text)))"),
            ("(a) where status = 'open'", "USING btree (a) WHERE ((status)::text = 'open'::text)"),
            ("(a) where b is null", "USING btree (a) WHERE (b IS NULL)"),
            ("using gin (doc jsonb_path_ops)", "USING gin (doc jsonb_path_ops)"),
            ("(a) include (c, b)", "USING btree (a) INCLUDE (b, c)"),
            ("(\"a\")", "USING btree (a)"),
        ] {
            assert_eq!(read(ours), read(theirs), "{ours}");
        }
        for (one, other) in [
            ("(a)", "(a desc)"),
            ("(a)", "(a) where b"),
            ("(a)", "(a text_pattern_ops)"),
            ("(a, b)", "(b, a)"),
            ("(a)", "((a + 1))"),
            ("(a) where b = 1", "(a) where b = 2"),
            ("(a)", "using hash (a)"),
        ] {
            assert_ne!(read(one), read(other), "{one}");
        }
    }

    #[test]
    fn a_prefix_has_the_same_rows_and_order() {
        let covers = |one: &str, other: &str| read(one).is_prefix_of(&read(other));
        assert!(covers("(a)", "(a, b)"));
        assert!(covers("(a) where x", "(a, b) where x"));
        assert!(covers("(a) include (b)", "(a, b)"));
        assert!(!covers("(a)", "(b, a)"));
        assert!(!covers("(a) where x", "(a, b)"));
        assert!(!covers("(a)", "(a, b) where x"));
        assert!(!covers("(a desc)", "(a, b)"));
        assert!(!covers("(a) include (c)", "(a, b)"));
        assert!(!covers("using gin (a)", "using gin (a, b)"));
    }

    #[test]
    fn a_foreign_key_is_found_by_the_first_keys_in_any_order() {
        let ident = |name| Ident::new(name).unwrap();
        let finds = |tail: &str| read(tail).finds(&[ident("a"), ident("b")]);
        assert!(finds("(b, a, c)") && finds("(a, b)"));
        assert!(!finds("(a)") && !finds("(a, c, b)") && !finds("(a, b) where c"));
        assert!(!finds("using brin (a, b)"));
        assert!(read("(a) include (b)").names(&ident("b")));
    }
}

//! SQL identifiers: the only place that quotes a name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// PostgreSQL keeps the first 63 bytes of a name (`NAMEDATALEN - 1`).
pub const MAX_IDENT_BYTES: usize = 63;

/// A name as PostgreSQL stores it: unquoted, case kept. `Display` writes it as SQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ident(String);

impl Ident {
    /// Takes a stored name (from the catalog, or a validated flag).
    ///
    /// Errors when the name is empty, longer than 63 bytes or holds a NUL: PostgreSQL would
    /// refuse the first and the last, and silently cut the second.
    pub fn new(name: impl Into<String>) -> Result<Ident, String> {
        let name = name.into();
        if name.is_empty() {
            return Err("a name may not be empty".to_string());
        }
        if name.len() > MAX_IDENT_BYTES {
            return Err(format!(
                "the name \"{name}\" is {} bytes long; PostgreSQL keeps {MAX_IDENT_BYTES}",
                name.len()
            ));
        }
        if name.contains('\0') {
            return Err("a name may not contain a NUL character".to_string());
        }
        Ok(Ident(name))
    }

    /// Reads a name as it stands in SQL: folds unquoted letters, unescapes quoted ones, and cuts
    /// at 63 bytes as the server does (`truncate_identifier` in scansup.c).
    pub fn from_sql(text: &str) -> Ident {
        let name = match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => text.to_ascii_lowercase(),
        };
        Ident(truncate(&name, MAX_IDENT_BYTES).to_string())
    }

    /// The stored name, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text, as the server writes expressions, has it as a whole name.
    pub fn is_mentioned_in(&self, text: &str) -> bool {
        let text = text.replace("\"\"", "\"");
        let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        text.match_indices(self.as_str()).any(|(at, name)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            !before.ends_with(is_of_name) && !after.starts_with(is_of_name)
        })
    }
}

impl fmt::Display for Ident {
    /// Quotes as `quote_identifier` in ruleutils.c does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && self.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && KEYWORDS.binary_search(&self.0.as_str()).is_err();
        if plain { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

/// Cuts `text` to at most `max_bytes`, never inside a character.
pub fn truncate(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Writes a string literal: `it's` becomes `'it''s'`, with `E''` where a backslash needs it.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A relation or index name with its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema.
    pub schema: Ident,
    /// The name inside the schema.
    pub name: Ident,
}

impl QualifiedName {
    /// A name in a schema.
    pub fn new(schema: Ident, name: Ident) -> QualifiedName {
        QualifiedName { schema, name }
    }

    /// Another name in the same schema.
    pub fn sibling(&self, name: Ident) -> QualifiedName {
        QualifiedName { schema: self.schema.clone(), name }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl Serialize for QualifiedName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QualifiedName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match parse_name(&text).as_deref() {
            Some([schema, name]) => Ok(QualifiedName::new(schema.clone(), name.clone())),
            Some(_) | None => {
                Err(serde::de::Error::custom(format!("\"{text}\" is not schema.name")))
            }
        }
    }
}

/// Splits `a."B.c".d` as SQL would read it into its parts; `None` where that is no name.
pub fn parse_name(text: &str) -> Option<Vec<Ident>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let end = match rest.strip_prefix('"') {
            Some(body) => 2 + quoted_length(body)?,
            None => rest.find('.').unwrap_or(rest.len()),
        };
        let part = &rest[..end];
        let bare = !part.starts_with('"');
        if part.is_empty() || part == "\"\"" || (bare && !is_bare_name(part)) {
            return None;
        }
        parts.push(Ident::from_sql(part));
        match rest[end..].strip_prefix('.') {
            Some(more) => rest = more,
            None if rest.len() == end => return Some(parts),
            None => return None,
        }
    }
}

/// Bytes up to the closing quote of `body"…`, counting `""` as one character.
fn quoted_length(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn is_bare_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// Keywords that `quote_identifier` quotes: all but the unreserved ones (kwlist.h of PostgreSQL
/// 14 to 18, united). Sorted, for binary search.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mention_whole_names() {
        for (expression, expected) in [
            ("lower(state)", true),
            ("lower(\"state\")", true),
            ("state || town", true),
            ("lower(states)", false),
            ("(the_state + 1)", false),
        ] {
            let state = Ident::new("state").unwrap();
            assert_eq!(state.is_mentioned_in(expression), expected, "{expression}");
        }
        let quoted = Ident::new("my \"state").unwrap();
        assert!(quoted.is_mentioned_in("lower(\"my \"\"state\")"));
    }

    #[test]
    fn quotes_what_the_server_would_quote() {
        for (stored, sql) in [
            ("events", "events"),
            ("Events", "\"Events\""),
            ("order", "\"order\""),
            ("my table", "\"my table\""),
            ("a\"b", "\"a\"\"b\""),
            ("1st", "\"1st\""),
            ("übersicht", "\"übersicht\""),
            ("x; drop table y", "\"x; drop table y\""),
        ] {
            assert_eq!(Ident::new(stored).unwrap().to_string(), sql);
            assert_eq!(Ident::from_sql(sql).as_str(), stored);
        }
    }

    #[test]
    fn refuses_names_the_server_would_cut() {
        assert!(Ident::new("n".repeat(63)).is_ok());
        assert!(Ident::new("n".repeat(64)).unwrap_err().contains("64 bytes"));
        assert!(Ident::new("").is_err());
        assert_eq!(Ident::from_sql(&"ü".repeat(40)).as_str(), "ü".repeat(31));
    }

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn reads_dotted_names() {
        let read = |text: &str| {
            parse_name(text).map(|p| p.iter().map(|i| i.as_str().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(read("a.b"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(read("A.\"B.c\"\"\""), Some(vec!["a".into(), "B.c\"".into()]));
        for bad in ["", "a.", ".a", "a b", "\"a", "a\"b\"", "\"\"", "a;b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn literals_survive_quotes_and_backslashes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), " E'a\\\\b'");
    }
}

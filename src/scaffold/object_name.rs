//! Names for new objects, chosen and cut as PostgreSQL does it.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::ident::{Ident, MAX_IDENT_BYTES, parse_name, truncate};

/// A name as it was typed: with a schema, or found by the search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The schema, where one was given.
    pub schema: Option<Ident>,
    /// The name inside the schema.
    pub name: Ident,
}

impl ObjectName {
    /// Reads `name` or `schema.name` as SQL would; `flag` is named in errors.
    pub fn parse(flag: &str, text: &str) -> Result<ObjectName> {
        let parts = parse_parts(flag, text)?;
        match parts.as_slice() {
            [name] => Ok(ObjectName { schema: None, name: name.clone() }),
            [schema, name] => Ok(ObjectName { schema: Some(schema.clone()), name: name.clone() }),
            _ => Err(Error::usage(format!("{flag} {text}: write name or schema.name"))),
        }
    }

    /// Another name in the same schema.
    pub fn sibling(&self, name: Ident) -> ObjectName {
        ObjectName { schema: self.schema.clone(), name }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// Reads one name without a schema, as SQL would; `flag` is named in errors.
pub fn parse_single(flag: &str, text: &str) -> Result<Ident> {
    match parse_parts(flag, text)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Error::usage(format!("{flag} {text}: a single name is meant here"))
            .hint("quote a name that holds a dot: '\"a.b\"'")),
    }
}

fn parse_parts(flag: &str, text: &str) -> Result<Vec<Ident>> {
    let text = text.trim();
    // A line break in a name would end the comments that templates put it into.
    let parts = parse_name(text).filter(|_| !text.contains(char::is_control)).ok_or_else(|| {
        Error::usage(format!("{flag} {text}: this is no name in SQL")).hint(
            "write it as in SQL: letters, digits and _, anything else in double quotes; \
             templates take names, not expressions",
        )
    })?;
    if longest_part(text) > MAX_IDENT_BYTES {
        let limit = format!("PostgreSQL keeps {MAX_IDENT_BYTES} bytes of a name");
        return Err(Error::usage(format!("{flag} {text}: the name is too long; {limit}")));
    }
    Ok(parts)
}

/// Bytes of the longest part of a dotted name, without the quotes around it.
fn longest_part(text: &str) -> usize {
    let (mut longest, mut length, mut in_quotes, mut before) = (0, 0, false, ' ');
    for c in text.chars() {
        match c {
            '"' => {
                // The second of "" stands for a quote in the name.
                length += usize::from(!in_quotes && before == '"');
                in_quotes = !in_quotes;
            }
            '.' if !in_quotes => length = 0,
            _ => length += c.len_utf8(),
        }
        longest = longest.max(length);
        before = c;
    }
    longest
}

/// The name PostgreSQL gives an index: `table_column_idx` (`ChooseIndexName` in indexcmds.c).
pub fn index_name(table: &Ident, columns: &[Ident]) -> Ident {
    let columns: Vec<&str> = columns.iter().map(Ident::as_str).collect();
    make_object_name(table.as_str(), Some(&columns.join("_")), "idx")
}

/// `name_label`, with the name cut where both do not fit.
pub fn with_suffix(name: &Ident, label: &str) -> Ident {
    make_object_name(name.as_str(), None, label)
}

/// `makeObjectName` in indexcmds.c: cuts the longer of both names until all fits.
fn make_object_name(first: &str, second: Option<&str>, label: &str) -> Ident {
    let second_text = second.unwrap_or("");
    let overhead = 1 + label.len() + usize::from(second.is_some());
    let room = MAX_IDENT_BYTES.saturating_sub(overhead);
    let (mut first_length, mut second_length) = (first.len(), second_text.len());
    while first_length + second_length > room {
        if first_length > second_length {
            first_length -= 1;
        } else {
            second_length -= 1;
        }
    }
    let first = truncate(first, first_length);
    let name = match second {
        Some(_) => format!("{first}_{}_{label}", truncate(second_text, second_length)),
        None => format!("{first}_{label}"),
    };
    Ident::new(name).expect("two cut names and a short label are neither empty nor too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_as_sql_does() {
        let read = |text: &str| ObjectName::parse("--table", text).map(|name| name.to_string());
        assert_eq!(read("events").unwrap(), "events");
        assert_eq!(read("Public.Events").unwrap(), "public.events");
        assert_eq!(read("app.\"Order\"").unwrap(), "app.\"Order\"");
        assert_eq!(read("order").unwrap(), "\"order\"");
        assert_eq!(read("\"x; drop table y\"").unwrap(), "\"x; drop table y\"");
        for bad in ["", "a.b.c", "x; drop table y", "a b", "\"a\nb\"", "lower(a)"] {
            assert!(read(bad).unwrap_err().message.starts_with("--table"), "{bad}");
        }
    }

    #[test]
    fn refuses_names_that_would_be_cut() {
        let read = |text: String| parse_single("--column", &text);
        assert!(read("n".repeat(63)).is_ok());
        assert!(read(format!("\"{}\"\"\"", "n".repeat(62))).is_ok());
        assert!(read("n".repeat(64)).unwrap_err().message.contains("too long"));
        assert!(read(format!("\"{}\"\"\"", "n".repeat(63))).is_err());
        assert!(ObjectName::parse("--table", &format!("a.\"{}\"", "n".repeat(64))).is_err());
    }

    /// Expected names are what a PostgreSQL 16 server chose for `create index on …`.
    #[test]
    fn index_names_are_the_servers_own() {
        let name = |table: &str, columns: &[&str]| {
            let columns: Vec<Ident> = columns.iter().map(|c| Ident::new(*c).unwrap()).collect();
            index_name(&Ident::new(table).unwrap(), &columns).as_str().to_string()
        };
        assert_eq!(name("events", &["app_id", "created_at"]), "events_app_id_created_at_idx");
        let (long, column) = ("t".repeat(60), "c".repeat(40));
        assert_eq!(name(&long, &["a"]), format!("{}_a_idx", "t".repeat(57)));
        assert_eq!(name(&long, &[&column]), format!("{}_{}_idx", "t".repeat(29), "c".repeat(29)));
        assert_eq!(name("t", &[&column, &column]).len(), 63);
        assert_eq!(name(&"ü".repeat(31), &["ß"]), format!("{}_ß_idx", "ü".repeat(28)));
    }
}

//! Names of types, as people and the server spell them, and which changes of a column's type leave
//! its rows as they are.

use super::tokens::{Cursor, Kind};

/// A type's name with one spelling: `varchar(20)`, `timestamptz`, `bigint[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// The name in lower case, aliases resolved; with its schema if it has one.
    pub base: String,
    /// What is in parentheses: length, precision, scale.
    pub modifiers: Vec<i64>,
    /// Whether it is an array.
    pub is_array: bool,
}

/// Spellings of the manual (section 8, table 8.1) and what the server calls them.
const ALIASES: &[(&str, &str)] = &[
    ("int", "integer"),
    ("int4", "integer"),
    ("int2", "smallint"),
    ("int8", "bigint"),
    ("serial4", "serial"),
    ("serial2", "smallserial"),
    ("serial8", "bigserial"),
    ("bool", "boolean"),
    ("float8", "double precision"),
    ("float", "double precision"),
    ("float4", "real"),
    ("decimal", "numeric"),
    ("dec", "numeric"),
    ("character varying", "varchar"),
    ("char varying", "varchar"),
    ("character", "char"),
    ("bpchar", "char"),
    ("bit varying", "varbit"),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    ("time without time zone", "time"),
    ("time with time zone", "timetz"),
];

impl TypeName {
    /// Reads all that the cursor has left.
    pub fn read(mut cursor: Cursor<'_>) -> TypeName {
        let (mut base, mut modifiers, mut is_array) = (String::new(), Vec::new(), false);
        cursor.take(&["setof"]);
        while let Some(kind) = cursor.kind() {
            let text = cursor.first_text();
            if kind == Kind::Open {
                is_array |= text == "[";
                let inside = cursor.take_group();
                let numbers = inside.into_iter().flat_map(|group| group.split_commas());
                let numbers = numbers.filter_map(|item| item.rest().parse::<i64>().ok());
                if text == "(" {
                    modifiers.extend(numbers);
                }
                continue;
            }
            is_array |= text.eq_ignore_ascii_case("array");
            let joins = kind == Kind::Dot || base.ends_with('.') || base.is_empty();
            if !text.eq_ignore_ascii_case("array") {
                base += if joins { "" } else { " " };
                base += &if kind == Kind::QuotedName { text.into() } else { text.to_lowercase() };
            }
            cursor.skip();
        }
        let base = base.strip_prefix("pg_catalog.").unwrap_or(&base);
        let known = ALIASES.iter().find(|(alias, _)| *alias == base);
        let base = known.map_or(base, |(_, name)| name).to_string();
        TypeName { base, modifiers, is_array }
    }

    /// Whether it is `smallint` or `integer`, also as a serial.
    pub fn is_small_integer(&self) -> bool {
        ["smallint", "integer", "smallserial", "serial"].contains(&self.base.as_str())
    }

    /// Whether it is an integer with a sequence.
    pub fn is_serial(&self) -> bool {
        ["smallserial", "serial", "bigserial"].contains(&self.base.as_str())
    }

    /// Whether rows of a column of this type may stay when it becomes `new`: the types are
    /// binary-coercible, and a length or precision does not shrink (`ATColumnChangeRequiresRewrite`
    /// in tablecmds.c and the transform functions of the types).
    pub fn stays_as(&self, new: &TypeName) -> bool {
        if self == new {
            return true;
        }
        if self.is_array || new.is_array {
            return false;
        }
        let grows = |default: i64| {
            let first = |of: &TypeName| of.modifiers.first().copied().unwrap_or(default);
            first(new) >= first(self)
        };
        match (self.base.as_str(), new.base.as_str()) {
            ("varchar" | "text", "text") => true,
            ("varchar", "varchar") | ("varbit", "varbit") => grows(i64::MAX),
            ("text", "varchar") => new.modifiers.is_empty(),
            ("numeric", "numeric") => {
                let scale = |of: &TypeName| of.modifiers.get(1).copied().unwrap_or(0);
                new.modifiers.is_empty()
                    || (!self.modifiers.is_empty() && scale(self) == scale(new) && grows(0))
            }
            ("timestamp", "timestamp")
            | ("timestamptz", "timestamptz")
            | ("time", "time")
            | ("timetz", "timetz") => grows(6),
            ("cidr", "inet") => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for TypeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)?;
        if !self.modifiers.is_empty() {
            let modifiers: Vec<String> = self.modifiers.iter().map(i64::to_string).collect();
            write!(f, "({})", modifiers.join(","))?;
        }
        if self.is_array { f.write_str("[]") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn read(text: &str) -> TypeName {
        let tokens: Vec<_> = tokens(text).collect();
        TypeName::read(Cursor::new(text, &tokens))
    }

    #[test]
    fn spellings_of_one_type_are_equal() {
        for (one, other) in [
            ("INT", "integer"),
            ("pg_catalog.int8", "bigint"),
            ("character varying ( 20 )", "varchar(20)"),
            ("timestamp(3) with time zone", "timestamptz(3)"),
            ("double  precision", "float8"),
            ("integer ARRAY", "int[]"),
        ] {
            assert_eq!(read(one), read(other), "{one}");
        }
        assert_eq!(read("public.\"Mood\"[]").to_string(), "public.\"Mood\"[]");
    }

    #[test]
    fn some_changes_leave_the_rows_alone() {
        for (old, new, stays) in [
            ("varchar(10)", "varchar(20)", true),
            ("varchar(20)", "varchar(10)", false),
            ("varchar(10)", "varchar", true),
            ("varchar", "varchar(10)", false),
            ("varchar(10)", "text", true),
            ("text", "varchar", true),
            ("text", "varchar(10)", false),
            ("numeric(8,2)", "numeric(10,2)", true),
            ("numeric(8,2)", "numeric(10,3)", false),
            ("numeric(8,2)", "numeric", true),
            ("numeric", "numeric(8,2)", false),
            ("timestamptz(3)", "timestamptz", true),
            ("timestamp", "timestamptz", false),
            ("int", "bigint", false),
            ("text[]", "varchar[]", false),
        ] {
            assert_eq!(read(old).stays_as(&read(new)), stays, "{old} to {new}");
        }
    }
}

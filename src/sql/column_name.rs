//! The names PostgreSQL gives the columns of an index: `FigureIndexColname` in parse_target.c.

use super::tokens::{Cursor, Kind};

/// The name of one element of an index, opclass and order and all; what has none is an "expr".
pub fn element_name(mut element: Cursor<'_>) -> String {
    let name = match element.take_group() {
        Some(inside) => expression_name(inside),
        None => primary_name(&mut element),
    };
    name.map_or_else(|| "expr".to_string(), |(name, _)| name)
}

/// How sure a name is: a cast gives its type's name only where there is no better one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

type Found = Option<(String, Strength)>;

/// A whole expression has a name if it is one operand, perhaps with casts, subscripts, COLLATE.
fn expression_name(mut cursor: Cursor<'_>) -> Found {
    let mut found = primary_name(&mut cursor);
    while !cursor.at_end() {
        if cursor.first_text() == ":" {
            cursor.skip();
            cursor.skip();
            found = cast(found, &mut cursor);
        } else if cursor.take(&["collate"]) {
            cursor.take_name();
        } else if cursor.take_group().is_none() {
            return None;
        }
    }
    found
}

fn primary_name(cursor: &mut Cursor<'_>) -> Found {
    let strong = |name: String| Some((name, Strength::Strong));
    if let Some(inside) = cursor.take_group() {
        return expression_name(inside);
    }
    if cursor.sees(&["case"]) {
        return case_name(cursor);
    }
    if cursor.take(&["cast"]) {
        return cast_function(cursor.take_group()?);
    }
    if cursor.sees(&["not"]) {
        return None;
    }
    let name = cursor.take_name()?.pop()?;
    cursor.take_group();
    strong(name.as_str().to_string())
}

/// `CASE … ELSE x END` is called as x is; without a name for x, "case".
fn case_name(cursor: &mut Cursor<'_>) -> Found {
    let mut otherwise = None;
    let mut depth = 0;
    while !cursor.at_end() {
        depth += i32::from(cursor.sees(&["case"]));
        depth -= i32::from(cursor.sees(&["end"]));
        let ends = depth == 0;
        let reads = depth == 1 && cursor.sees(&["else"]);
        cursor.skip();
        if ends {
            break;
        }
        if reads {
            let mut value = cursor.clone();
            let name = primary_name(&mut value);
            otherwise = name.filter(|_| value.sees(&["end"]));
        }
    }
    let strong = otherwise.filter(|(_, strength)| *strength == Strength::Strong);
    strong.or_else(|| Some(("case".to_string(), Strength::Weak)))
}

/// What is between the parentheses of `CAST (x AS type)`.
fn cast_function(mut inside: Cursor<'_>) -> Found {
    let operand = primary_name(&mut inside).filter(|_| inside.sees(&["as"]));
    inside.skip_to(&["as"]);
    inside.skip();
    cast(operand, &mut inside)
}

fn cast(operand: Found, cursor: &mut Cursor<'_>) -> Found {
    let type_name = type_name(cursor)?;
    match operand {
        Some((name, Strength::Strong)) => Some((name, Strength::Strong)),
        Some((_, Strength::Weak)) | None => Some((type_name, Strength::Weak)),
    }
}

/// A type's name in the catalog (`SystemTypeName` in gram.y).
fn type_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let name = cursor.take_name()?.pop()?.as_str().to_string();
    let varying = cursor.take(&["varying"]);
    cursor.take(&["precision"]);
    cursor.take_group();
    let zone = cursor.take(&["with", "time", "zone"]);
    cursor.take(&["without", "time", "zone"]);
    while cursor.take_kind(Kind::Open) || cursor.take_kind(Kind::Close) {}
    Some(
        match (name.as_str(), varying, zone) {
            ("int" | "integer", _, _) => "int4",
            ("bigint", _, _) => "int8",
            ("smallint", _, _) => "int2",
            ("real", _, _) => "float4",
            ("double" | "float", _, _) => "float8",
            ("boolean", _, _) => "bool",
            ("decimal" | "dec", _, _) => "numeric",
            ("char" | "character" | "nchar", true, _) => "varchar",
            ("char" | "character" | "nchar", false, _) => "bpchar",
            ("timestamp", _, true) => "timestamptz",
            ("time", _, true) => "timetz",
            (other, _, _) => other,
        }
        .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn names_follow_the_server() {
        for (element, name) in [
            ("a desc nulls last", "a"),
            ("lower(b) text_pattern_ops", "lower"),
            ("pg_catalog.lower(b)", "lower"),
            ("(a)", "a"),
            ("(tags[1])", "tags"),
            ("(a::text)", "a"),
            ("(cast(a as bigint))", "a"),
            ("((a || b)::varchar(3)) collate \"C\"", "varchar"),
            ("((doc ->> 'x')::int)", "int4"),
            ("((doc ->> 'x')::timestamp with time zone)", "timestamptz"),
            ("coalesce(a, 1)", "coalesce"),
            ("(case when a > 1 then b end)", "case"),
            ("(case when a > 1 then b else c end)", "c"),
            ("(a + 1)", "expr"),
            ("(lower(a) || b)", "expr"),
            ("(not a)", "expr"),
        ] {
            let tokens: Vec<_> = tokens(element).collect();
            assert_eq!(element_name(Cursor::new(element, &tokens)), name, "{element}");
        }
    }
}

//! Queries in a file of SQL: each below a line `-- name: …`. Pure.
//!
//! ```sql
//! -- name: unread_count
//! -- parameters: ["42"] ["7"]
//! select count(*) from notifications where user_id = $1 and not is_read;
//! ```

use super::Query;

/// Reads all queries of a file. The message says what is wrong, and in which line.
///
/// The name is one word, as libraries that generate code from such files write it; words behind it
/// are theirs. A line `-- parameters:` gives sets of values, each a list in JSON.
pub fn parse_file(text: &str) -> Result<Vec<Query>, String> {
    let mut queries: Vec<Query> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if let Some(name) = header(line, "name:") {
            let name = name.split_whitespace().next().unwrap_or_default().to_string();
            if name.is_empty() || queries.iter().any(|query| query.name == name) {
                return Err(format!("line {number}: a query needs a name of its own"));
            }
            queries.push(Query { name, ..Query::default() });
            continue;
        }
        let Some(query) = queries.last_mut() else {
            match line.trim() {
                comment if comment.is_empty() || comment.starts_with("--") => continue,
                _ => return Err(format!("line {number}: SQL before the first line `-- name: …`")),
            }
        };
        if let Some(sets) = header(line, "parameters:") {
            query.parameters = sets_of(sets).map_err(|m| format!("line {number}: {m}"))?;
        } else {
            query.sql += line;
            query.sql.push('\n');
        }
    }
    match queries.iter().find(|query| query.sql.trim().is_empty()) {
        Some(query) => Err(format!("the query {} is empty", query.name)),
        None => Ok(queries),
    }
}

/// What follows `-- word` on a line.
fn header<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    Some(line.trim().strip_prefix("--")?.trim_start().strip_prefix(word)?.trim())
}

fn sets_of(text: &str) -> Result<Vec<Vec<String>>, String> {
    let sets = serde_json::Deserializer::from_str(text).into_iter::<Vec<String>>();
    sets.collect::<Result<_, _>>()
        .map_err(|error| format!("sets of values are written [\"US\", \"7 days\"]: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_stand_below_their_names() {
        let text = "-- all of them\n-- name: one :many\nselect 1;\n\n--name: two\n\
                    -- parameters: [\"it's\", \"2\"] [\"a\", \"b\"]\nselect $1,\n  $2\n";
        let queries = parse_file(text).unwrap();
        assert_eq!(queries.len(), 2);
        assert_eq!((queries[0].name.as_str(), queries[0].sql.trim()), ("one", "select 1;"));
        assert_eq!(queries[1].parameters, [["it's", "2"], ["a", "b"]]);
        assert_eq!(queries[1].sql, "select $1,\n  $2\n");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = |text| parse_file(text).unwrap_err();
        assert_eq!(wrong("select 1"), "line 1: SQL before the first line `-- name: …`");
        assert_eq!(
            wrong("-- name: a\nselect 1\n-- name: a"),
            "line 3: a query needs a name of its own"
        );
        assert!(wrong("-- name: a\n-- parameters: US\nselect 1").starts_with("line 2: sets of"));
        assert_eq!(wrong("-- name: a\n"), "the query a is empty");
    }
}

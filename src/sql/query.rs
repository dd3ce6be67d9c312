//! One statement of an application, as somebody who plans it must know it: how many parameters it
//! takes, and whether it changes anything.

use std::collections::BTreeMap;

use super::split::{Piece, SyntaxError, split};
use super::tokens::{Kind, Token};

/// What a statement does with tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// SELECT, VALUES, TABLE.
    Reads,
    /// INSERT, UPDATE, DELETE, MERGE, also below WITH.
    Writes,
    /// What EXPLAIN does not take.
    Other,
}

/// A statement looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// Its text without the final semicolon.
    pub text: &'a str,
    /// The highest `$n`.
    pub parameters: usize,
    /// Those that only count rows, `LIMIT $1` and `OFFSET $2`, with a value for each: the first
    /// page, of ten rows.
    pub pages: BTreeMap<usize, &'static str>,
    /// What it does.
    pub does: Does,
}

/// Why a text is not one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is empty.
    Nothing,
    /// It is several.
    Several(usize),
    /// It is no SQL.
    NoSql(SyntaxError),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Nothing => f.write_str("there is no statement"),
            Refusal::Several(count) => write!(f, "these are {count} statements, not one"),
            Refusal::NoSql(error) => f.write_str(&error.message),
        }
    }
}

/// Looks at a text that should be one statement. The server alone judges its grammar.
pub fn look(text: &str) -> Result<Query<'_>, Refusal> {
    let mut pieces = split(text).map_err(Refusal::NoSql)?;
    match pieces.len() {
        0 => Err(Refusal::Nothing),
        1 => {
            let piece = pieces.remove(0);
            let (parameters, does) = (parameters(text, &piece), does(text, &piece));
            Ok(Query { text: piece.text, parameters, pages: pages(text, &piece), does })
        }
        count => Err(Refusal::Several(count)),
    }
}

/// `$n`, where the token is one.
fn number(text: &str, token: &Token) -> Option<usize> {
    text[token.range.clone()].strip_prefix('$')?.parse().ok()
}

fn parameters(text: &str, piece: &Piece<'_>) -> usize {
    piece.tokens.iter().filter_map(|token| number(text, token)).max().unwrap_or(0)
}

fn pages(text: &str, piece: &Piece<'_>) -> BTreeMap<usize, &'static str> {
    let counted = piece.tokens.windows(2).filter_map(|pair| {
        let word = &text[pair[0].range.clone()];
        let value = [("limit", "10"), ("first", "10"), ("next", "10"), ("offset", "0")]
            .into_iter()
            .find_map(|(known, value)| word.eq_ignore_ascii_case(known).then_some(value))?;
        Some((number(text, &pair[1])?, value))
    });
    counted.collect()
}

fn does(text: &str, piece: &Piece<'_>) -> Does {
    let mut words = piece.tokens.iter().map(|token| &text[token.range.clone()]);
    let is = |word: &str, any: &[&str]| any.iter().any(|one| word.eq_ignore_ascii_case(one));
    let head = words.find(|word| *word != "(").unwrap_or_default();
    let writes = ["insert", "update", "delete", "merge"];
    if is(head, &writes) {
        return Does::Writes;
    }
    if is(head, &["select", "values", "table"]) {
        return Does::Reads;
    }
    if !is(head, &["with"]) {
        return Does::Other;
    }
    // A word that begins a statement stands behind a parenthesis: behind the last one, or inside.
    let begins = piece.tokens.windows(2).any(|pair| {
        let before = matches!(pair[0].kind, Kind::Open | Kind::Close);
        before && pair[1].kind == Kind::Word && is(&text[pair[1].range.clone()], &writes)
    });
    if begins { Does::Writes } else { Does::Reads }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, parameters: usize, does: Does) {
        let query = look(text).unwrap();
        assert_eq!((query.parameters, query.does), (parameters, does), "{text}");
    }

    #[test]
    fn a_statement_says_what_it_takes_and_does() {
        check("select 1", 0, Does::Reads);
        check("(select $2::int) union (select $1);", 2, Does::Reads);
        check("select '$3', \"$4\", $$ $5 $$, a$6 from t -- $7", 0, Does::Reads);
        check("update t set a = $1 where b = $12", 12, Does::Writes);
        check("with x as (select 1) select * from x", 0, Does::Reads);
        check("with x as (delete from t returning 1) select 1", 0, Does::Writes);
        check("with x as (select 1) INSERT into t select * from x", 0, Does::Writes);
        check("with x as (select update from t) select 1", 0, Does::Reads);
        check("vacuum t", 0, Does::Other);
    }

    #[test]
    fn what_counts_rows_is_told_from_what_selects_them() {
        let query = look("select * from t where a = $1 limit $2 offset $3").unwrap();
        assert_eq!(query.pages, BTreeMap::from([(2, "10"), (3, "0")]));
        let query = look("select * from t fetch first $1 rows only").unwrap();
        assert_eq!(query.pages, BTreeMap::from([(1, "10")]));
    }

    #[test]
    fn what_is_not_one_statement_is_refused() {
        assert_eq!(look(" -- nothing"), Err(Refusal::Nothing));
        assert_eq!(look("select 1; drop table t"), Err(Refusal::Several(2)));
        assert!(look("select 'x").is_err());
    }
}

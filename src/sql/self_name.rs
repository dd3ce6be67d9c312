//! Expressions in which a table names itself, as `pg_get_expr` prints them where a subquery looks
//! at the row outside: `EXISTS (SELECT … WHERE m.id = events.app_id)`. Pure.

use crate::model::ident::Ident;

use super::tokens::{Kind, Token, tokens};

/// The text in pieces, between which the table's name stood before a column.
///
/// PostgreSQL gives other mentions of the same table inside a subquery an alias of their own
/// (`set_rtable_names` in ruleutils.c). A schema of the table's name before a table in FROM,
/// before a type or a function is not meant.
pub fn split(text: &str, table: &Ident) -> Vec<String> {
    let tokens: Vec<Token> = tokens(text).collect();
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in 0..tokens.len() {
        if is_self(text, &tokens, at, table) {
            let range = &tokens[at].range;
            pieces.push(text[start..range.start].to_string());
            start = range.end;
        }
    }
    pieces.push(text[start..].to_string());
    pieces
}

fn is_self(text: &str, tokens: &[Token], at: usize, table: &Ident) -> bool {
    let word = |token: &Token| &text[token.range.clone()];
    let is_name = matches!(tokens[at].kind, Kind::Word | Kind::QuotedName);
    if !is_name || Ident::from_sql(word(&tokens[at])) != *table {
        return false;
    }
    let before = at.checked_sub(1).map_or("", |before| word(&tokens[before]));
    let is_column = !["FROM", "JOIN", ".", ":", "::"].contains(&before);
    let is_followed_by =
        |kind: Kind, by: usize| tokens.get(at + by).is_some_and(|token: &Token| token.kind == kind);
    is_column && is_followed_by(Kind::Dot, 1) && !is_followed_by(Kind::Open, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(text: &str, table: &str) -> String {
        split(text, &Ident::new(table).unwrap()).join("NEW")
    }

    #[test]
    fn only_the_outer_table_is_meant() {
        let outer = "(EXISTS ( SELECT 1 FROM app a WHERE (a.id = ev.app_id) AND a.ev = 'ev.x'))";
        assert_eq!(renamed(outer, "ev"), outer.replace("= ev.", "= NEW."));
        assert_eq!(renamed("(a.ev).x = \"ev\".y", "ev"), "(a.ev).x = NEW.y");
        assert_eq!(renamed("\"Ev\".a = ev.b", "Ev"), "NEW.a = ev.b");
        for untouched in ["ev > 1", "ev.fits(a)", "a = 'x'::ev.mood", "SELECT 1 FROM ev.app b"] {
            assert_eq!(renamed(untouched, "ev"), untouched);
        }
    }
}

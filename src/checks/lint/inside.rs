//! The statements inside a DO block: they run as they stand, in one transaction.

use crate::sql::split::split;
use crate::sql::tokens::{Cursor, Kind, tokens};

/// What opens a statement that a check may have something to say about.
const HEADS: &[&str] =
    &["alter", "cluster", "create", "delete", "drop", "refresh", "reindex", "truncate", "update"];
/// How deep EXECUTE is followed.
const DEPTH_MAX: usize = 3;

/// The statements inside, with where in `text` they begin. What is put together from values while
/// it runs cannot be read.
pub fn statements(text: &str) -> Vec<(usize, String)> {
    let body = tokens(text)
        .find(|token| token.kind == Kind::Literal && text[token.range.clone()].starts_with('$'));
    let Some(body) = body else { return Vec::new() };
    let literal = &text[body.range.clone()];
    let Some(tag) = literal[1..].find('$').map(|end| end + 2) else { return Vec::new() };
    let inside = literal.get(tag..literal.len() - tag).unwrap_or_default();
    let mut found = Vec::new();
    collect(inside, body.range.start + tag, DEPTH_MAX, &mut found);
    found
}

fn collect(body: &str, offset: usize, depth: usize, found: &mut Vec<(usize, String)>) {
    for piece in split(body).unwrap_or_default() {
        let mut cursor = Cursor::new(body, &piece.tokens);
        let mut begins = true;
        while let Some(at) = cursor.offset() {
            if begins && HEADS.iter().any(|head| cursor.sees(&[head])) {
                found.push((offset + at, cursor.rest().to_string()));
                break;
            }
            if begins && cursor.take(&["execute"]) {
                executed(&cursor, offset, depth, found);
                break;
            }
            let opens = ["begin", "then", "else", "loop"];
            begins = cursor.take_any(&opens).is_some();
            if !begins {
                cursor.skip();
            }
        }
    }
}

/// `EXECUTE 'a statement'`
fn executed(cursor: &Cursor<'_>, offset: usize, depth: usize, found: &mut Vec<(usize, String)>) {
    let (Some(at), Some(Kind::Literal)) = (cursor.offset(), cursor.kind()) else { return };
    let text = cursor.first_text();
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    if let Some(statement) = quoted.filter(|_| depth > 0) {
        let mut inner = Vec::new();
        collect(&statement.replace("''", "'"), 0, depth - 1, &mut inner);
        found.extend(inner.into_iter().map(|(_, text)| (offset + at, text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_inside_are_found_with_their_places() {
        let text = "do $x$\nbegin\n  if not exists (select 1) then\n    create index a on t \
                    (b);\n  end if;\n  execute 'alter table t alter c set default ''x''';\n  \
                    perform f('drop table t');\nend $x$";
        let found = statements(text);
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["create index a on t (b)", "alter table t alter c set default 'x'"]);
        assert!(text[found[0].0..].starts_with("create index a"));
        assert!(text[found[1].0..].starts_with("'alter table t"));
        assert!(statements("do 'begin end'").is_empty());
    }
}

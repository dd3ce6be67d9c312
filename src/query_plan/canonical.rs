//! Conditions as EXPLAIN writes them, in one form whatever version wrote them. Pure.
//!
//! The server deparses expressions without regard to looks (`deparse_expression` in ruleutils.c):
//! each AND list stands in brackets of its own, which is what makes this little parser enough.

use std::collections::BTreeMap;

/// Deeper brackets than these are left as they are, so that no text overflows the stack.
const DEPTH_MAX: usize = 100;

/// What the plan as a whole says about the names in its conditions.
#[derive(Debug, Default)]
pub struct Renames {
    /// Aliases that were generated for partitions, with the alias of their table.
    pub aliases: BTreeMap<String, String>,
    /// Up to 16: `$0` with what 17 writes, `(InitPlan 1).col1`.
    pub params: BTreeMap<String, String>,
}

/// A condition in its canonical form: constants without casts, AND lists sorted, names as
/// `renames` says, subplans as up to 16 but the results of InitPlans as from 17.
pub fn canonical(text: &str, renames: &Renames) -> String {
    let tokens = rename(without_windows(without_casts(tokens(text))), renames);
    if depth(&tokens) > DEPTH_MAX {
        return tokens.concat();
    }
    let mut rest = tokens.into_iter();
    render(&group(&mut rest))
}

/// The conditions of an AND list: `((a = 1) AND (b = 2))` is `(a = 1)` and `(b = 2)`.
pub fn parts(condition: &str) -> Vec<String> {
    let tokens = tokens(condition);
    if depth(&tokens) > DEPTH_MAX {
        return vec![condition.to_string()];
    }
    let whole = group(&mut tokens.into_iter());
    let inner = match whole.as_slice() {
        [Piece::Group(inner)] if is_and_list(inner) => inner,
        _ => return vec![condition.to_string()],
    };
    inner.split(is_and).map(|part| render(part).trim().to_string()).collect()
}

/// The condition with `?` for each constant: what it asks, whatever the values.
pub fn without_constants(text: &str) -> String {
    let is_constant =
        |token: &String| token.starts_with('\'') || token.starts_with(|c: char| c.is_ascii_digit());
    let mut shape = String::new();
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        let is_part_of_name = at > 0 && [".", "$"].contains(&tokens[at - 1].as_str());
        let is_plan = at > 1 && ["InitPlan", "SubPlan"].contains(&tokens[at - 2].as_str());
        let masked = is_constant(token) && !is_part_of_name && !is_plan;
        shape += if masked { "?" } else { token };
    }
    shape
}

/// Rewrites the numbers of InitPlans and SubPlans.
pub fn renumbered(text: &str, number: &mut impl FnMut(&str) -> String) -> String {
    let mut tokens = tokens(text);
    for at in 2..tokens.len() {
        let is_plan = ["InitPlan", "SubPlan"].contains(&tokens[at - 2].as_str());
        if is_plan && tokens[at - 1] == " " {
            tokens[at] = number(&tokens[at]);
        }
    }
    tokens.concat()
}

/// Cuts a text into literals, quoted names, words, blanks and single characters.
pub fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => quoted_length(rest, first),
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token.to_string());
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the quoted text at the start; a doubled quote is none. All of it where it never ends.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(quote) {
        at += end + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Leaves out `::type` behind literals and NULL.
fn without_casts(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_cast = tokens[at..].starts_with(&[":".to_string(), ":".to_string()]);
        let of_constant = kept.last().is_some_and(|last| last.starts_with('\'') || last == "NULL");
        if is_cast && of_constant {
            at += 2 + type_length(&tokens[at + 2..]);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// From 18 a window has the name that EXPLAIN gives it, `OVER w1`; up to 17 it is `OVER (?)`.
fn without_windows(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for token in tokens {
        let is_window = kept.ends_with(&[
            ")".to_string(),
            " ".to_string(),
            "OVER".to_string(),
            " ".to_string(),
        ]);
        match is_window && token != "(" {
            true => kept.extend(["(", "?", ")"].map(str::to_string)),
            false => kept.push(token),
        }
    }
    kept
}

/// Tokens of the type name at the start: `timestamp(3) without time zone[]`, `app."Mood"`.
pub fn type_length(tokens: &[String]) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut at = 1;
    while word(at) == "." {
        at += 2;
    }
    let modifier = |at: usize| match tokens[at.min(tokens.len())..].iter().position(|t| t == ")") {
        Some(end) if word(at) == "(" => at + end + 1,
        _ => at,
    };
    at = modifier(at);
    let second: &[&str] = match word(0) {
        "timestamp" | "time" if word(at + 1) == "with" || word(at + 1) == "without" => {
            &["with", "without", "time", "zone"]
        }
        "double" => &["precision"],
        "character" | "bit" => &["varying"],
        "interval" => &["year", "month", "day", "hour", "minute", "second", "to"],
        _ => &[],
    };
    while word(at) == " " && second.contains(&word(at + 1)) {
        at = modifier(at + 2);
    }
    while word(at) == "[" && word(at + 1) == "]" {
        at += 2;
    }
    at.min(tokens.len())
}

/// Puts in the names that hold for the whole plan.
fn rename(tokens: Vec<String>, renames: &Renames) -> Vec<String> {
    let mut renamed: Vec<String> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let next = tokens.get(at + 1).map_or("", String::as_str);
        let is_qualifier = next == "." && renamed.last().is_none_or(|last| last != ".");
        let alias = renames.aliases.get(token).filter(|_| is_qualifier);
        let param = renames.params.get(next).filter(|_| token == "$");
        if let Some(param) = param {
            renamed.extend(self::tokens(param));
            at += 1;
        } else {
            renamed.push(alias.unwrap_or(token).clone());
        }
        at += 1;
    }
    renamed
}

/// A token, or what stands in brackets.
#[derive(Debug, PartialEq)]
enum Piece {
    Token(String),
    Group(Vec<Piece>),
}

/// How deep brackets go.
fn depth(tokens: &[String]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for token in tokens {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// Reads up to the closing bracket. One that is never closed is closed at the end; one that was
/// never opened stays a token.
fn group(tokens: &mut impl Iterator<Item = String>) -> Vec<Piece> {
    group_at(tokens, 0)
}

fn group_at(tokens: &mut dyn Iterator<Item = String>, level: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "(" => pieces.push(Piece::Group(group_at(tokens, level + 1))),
            ")" if level > 0 => return pieces,
            _ => pieces.push(Piece::Token(token)),
        }
    }
    pieces
}

fn is_and(piece: &Piece) -> bool {
    *piece == Piece::Token("AND".to_string())
}

/// Whether the pieces are `(…) AND (…)`, and not the bounds of something else.
fn is_and_list(pieces: &[Piece]) -> bool {
    pieces.iter().any(is_and) && !pieces.iter().any(|piece| is_token(piece, "CASE"))
}

fn is_token(piece: &Piece, word: &str) -> bool {
    match piece {
        Piece::Token(token) => token == word,
        Piece::Group(_) => false,
    }
}

/// Writes the pieces in canonical form.
fn render(pieces: &[Piece]) -> String {
    if is_and_list(pieces) {
        let mut parts: Vec<String> =
            pieces.split(is_and).map(|part| render(part).trim().to_string()).collect();
        parts.sort();
        return parts.join(" AND ");
    }
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Token(token) => text += token,
            Piece::Group(inner) => {
                let inner = render(inner);
                let (kept, inner) = subplan(&text, &inner);
                text.truncate(kept);
                text += &format!("({inner})");
            }
        }
    }
    text
}

/// From 17 a SubPlan stands in what is done with it: `EXISTS(SubPlan 1)`, `ARRAY(SubPlan 1)`,
/// `(ANY (a = (hashed SubPlan 1).col1))`; up to 16 it is `(SubPlan 1)`. Gives how much of the text
/// before it stays, and what is in the brackets.
fn subplan<'a>(before: &str, inner: &'a str) -> (usize, &'a str) {
    let kept = if is_subplan(inner) {
        let shorter = before.strip_suffix("EXISTS").or(before.strip_suffix("ARRAY"));
        shorter.unwrap_or(before).len()
    } else {
        before.len()
    };
    let quantified = inner.strip_prefix("ANY (").or(inner.strip_prefix("ALL ("));
    let named = quantified.and_then(|rest| {
        let start = rest.find("(hashed SubPlan ").or(rest.find("(SubPlan "))?;
        let end = start + rest[start..].find(')')?;
        Some(&rest[start + 1..end])
    });
    (kept, named.unwrap_or(inner))
}

/// Whether the text is `SubPlan 1` or `hashed SubPlan 1`.
fn is_subplan(text: &str) -> bool {
    let text = text.strip_prefix("hashed ").unwrap_or(text);
    text.strip_prefix("SubPlan ").is_some_and(|number| !number.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        canonical(text, &Renames::default())
    }

    #[test]
    fn constants_lose_their_casts_and_columns_keep_them() {
        for (written, canonical) in [
            ("(a = 'x'::text)", "(a = 'x')"),
            ("((a)::text = 'it''s::text'::text)", "((a)::text = 'it''s::text')"),
            (
                "(t < '2024-01-01 00:00:00+00'::timestamp with time zone)",
                "(t < '2024-01-01 00:00:00+00')",
            ),
            ("(t < '1'::timestamp(3) without time zone)", "(t < '1')"),
            ("(m = ANY ('{a,b}'::app.\"Mood\"[]))", "(m = ANY ('{a,b}'))"),
            ("(a = 'x'::character varying(20))", "(a = 'x')"),
            ("(i > '1 day'::interval day to second)", "(i > '1 day')"),
            ("(d = '1.5'::double precision)", "(d = '1.5')"),
            ("COALESCE(a, NULL::integer)", "COALESCE(a, NULL)"),
            ("(a = 'x'::text COLLATE \"C\")", "(a = 'x' COLLATE \"C\")"),
        ] {
            assert_eq!(plain(written), canonical);
        }
    }

    #[test]
    fn and_lists_are_sorted_at_every_depth() {
        assert_eq!(plain("((b = 2) AND (a = 1))"), "((a = 1) AND (b = 2))");
        assert_eq!(
            plain("((z) OR ((d = ')AND') AND (c = 1)))"),
            "((z) OR ((c = 1) AND (d = ')AND')))"
        );
        assert_eq!(parts("((a = 1) AND (b = 2))"), ["(a = 1)", "(b = 2)"]);
        assert_eq!(parts("(a = 1)"), ["(a = 1)"]);
        let deep = format!("{}b{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(plain(&deep), deep);
    }

    #[test]
    fn subplans_read_the_same_from_any_version() {
        let renames = Renames {
            params: BTreeMap::from([("0".to_string(), "(InitPlan 1).col1".to_string())]),
            ..Renames::default()
        };
        assert_eq!(canonical("(a > $0)", &renames), "(a > (InitPlan 1).col1)");
        assert_eq!(plain("(NOT EXISTS(SubPlan 1))"), "(NOT (SubPlan 1))");
        assert_eq!(plain("(ANY (o.a = (hashed SubPlan 1).col1))"), "(hashed SubPlan 1)");
        assert_eq!(plain("(NOT (ANY (a = (SubPlan 2).col1)))"), "(NOT (SubPlan 2))");
        assert_eq!(plain("(a = ANY (b))"), "(a = ANY (b))");
        let mut next = |number: &str| format!("{number}0");
        assert_eq!(
            renumbered("(SubPlan 1) + (InitPlan 2).col1", &mut next),
            "(SubPlan 10) + (InitPlan 20).col1"
        );
    }

    #[test]
    fn windows_have_no_names() {
        let old = "(row_number() OVER (?) <= 3)";
        assert_eq!(plain("(row_number() OVER w1 <= 3)"), old);
        assert_eq!(plain(old), old);
        assert_eq!(plain("(rank() OVER \"My window\")"), "(rank() OVER (?))");
        assert_eq!(plain("(t.over w)"), "(t.over w)");
    }

    #[test]
    fn aliases_are_renamed_only_as_qualifiers() {
        let renames = Renames {
            aliases: BTreeMap::from([("e_1".to_string(), "e".to_string())]),
            ..Renames::default()
        };
        assert_eq!(
            canonical("((e_1.a = 'e_1.a'::text) AND (x.e_1.b))", &renames),
            "((e.a = 'e_1.a') AND (x.e_1.b))"
        );
    }

    #[test]
    fn constants_can_be_masked() {
        assert_eq!(
            without_constants("((a1 = 'x') AND (b > 15) AND (SubPlan 1) = $2)"),
            "((a1 = ?) AND (b > ?) AND (SubPlan 1) = $2)"
        );
    }
}

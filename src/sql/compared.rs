//! Values that stand inside a query's text and are compared with something: as parameters, which a
//! plan shows beside its columns, and with others in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::tokens::{Kind, Token, tokens};

/// A value inside a text: `'a'`, `5`, `date '2020-02-29'`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    /// Where it stands, with its type's name in front.
    range: Range<usize>,
    /// What it says.
    text: String,
}

/// A query whose compared values are parameters, which count on behind its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameterised {
    /// The query.
    pub text: String,
    /// The number of the last parameter that the query had itself; 0 where it had none.
    pub own: usize,
    /// The values of those behind.
    pub values: Vec<String>,
}

/// Makes the compared values of a query parameters.
pub fn as_parameters(text: &str) -> Parameterised {
    let own = own_parameters(text);
    let values = values(text);
    let numbers = own + 1..;
    let replaced = numbers.zip(&values).map(|(number, value)| (value, format!("${number}")));
    let text = spliced(text, replaced);
    Parameterised { text, own, values: values.into_iter().map(|value| value.text).collect() }
}

/// A query with others in the place of some of its compared values, by the numbers that
/// [`as_parameters`] gives them.
pub fn with_values(text: &str, others: &BTreeMap<usize, String>) -> String {
    let numbers = own_parameters(text) + 1..;
    let values = values(text);
    let replaced = numbers.zip(&values).filter_map(|(number, value)| {
        Some((value, format!("'{}'", others.get(&number)?.replace('\'', "''"))))
    });
    spliced(text, replaced)
}

fn spliced<'a>(text: &str, replaced: impl Iterator<Item = (&'a Value, String)>) -> String {
    let (mut out, mut end) = (String::new(), 0);
    for (Value { range, .. }, other) in replaced {
        out += &text[end..range.start];
        out += &other;
        end = range.end;
    }
    out + &text[end..]
}

fn own_parameters(text: &str) -> usize {
    let numbers = tokens(text).filter(|token| token.kind == Kind::Other);
    let numbers =
        numbers.filter_map(|token| text[token.range].strip_prefix('$')?.parse::<u16>().ok());
    numbers.max().unwrap_or_default().into()
}

/// The compared values of a text, in order.
fn values(text: &str) -> Vec<Value> {
    let tokens: Vec<Token> = tokens(text).filter(|token| token.kind != Kind::Comment).collect();
    let mut read = Read { text, tokens: &tokens, in_lists: BTreeSet::new() };
    read.in_lists = read.lists();
    (0..tokens.len()).filter_map(|at| read.value(at)).collect()
}

/// The tokens of a text.
struct Read<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// The brackets and commas in front of the values of lists behind `IN`.
    in_lists: BTreeSet<usize>,
}

/// Operators and words that compare.
const COMPARISONS: [&str; 13] =
    ["=", "<", ">", "<=", ">=", "<>", "!=", "~", "~*", "~~", "~~*", "like", "ilike"];
/// Names of types that may stand in front of a string.
const TYPES: [&str; 7] = ["date", "timestamp", "timestamptz", "text", "uuid", "inet", "numeric"];

impl Read<'_> {
    fn word(&self, at: usize) -> String {
        let token = self.tokens.get(at);
        token.map(|token| self.text[token.range.clone()].to_lowercase()).unwrap_or_default()
    }

    /// The value that ends with this token, where it is a plain one that is compared.
    fn value(&self, at: usize) -> Option<Value> {
        let token = self.tokens.get(at).filter(|token| token.kind == Kind::Literal)?;
        let written = &self.text[token.range.clone()];
        let string = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        let is_number = written.starts_with(|c: char| c.is_ascii_digit());
        let before = self.word(at.checked_sub(1)?);
        let (start, value) = match string {
            Some(string) if TYPES.contains(&before.as_str()) => (at - 1, string.replace("''", "'")),
            Some(string) => (at, string.replace("''", "'")),
            None if is_number && before == "-" => (at - 1, format!("-{written}")),
            None if is_number => (at, written.to_string()),
            None => return None,
        };
        let is_whole = self.ends_value(at + 1) && self.is_compared(start);
        let range = self.tokens[start].range.start..token.range.end;
        is_whole.then_some(Value { range, text: value })
    }

    /// Whether the value before this token is not part of a larger one.
    fn ends_value(&self, at: usize) -> bool {
        match self.tokens.get(at).map(|token| token.kind) {
            Some(Kind::Literal | Kind::QuotedName | Kind::Dot | Kind::Open) => false,
            Some(Kind::Other) => [":", "=", "<", ">", "!"].contains(&self.word(at).as_str()),
            Some(
                Kind::Word
                | Kind::Semicolon
                | Kind::Close
                | Kind::Comma
                | Kind::Comment
                | Kind::Backslash
                | Kind::Unterminated,
            )
            | None => self.word(at) != "at" && self.word(at) != "collate",
        }
    }

    /// Whether something is compared with the value that begins here: by an operator, `BETWEEN`, or
    /// in a list behind `IN`.
    fn is_compared(&self, start: usize) -> bool {
        let Some(last) = start.checked_sub(1) else { return false };
        match self.word(last).as_str() {
            "between" | "symmetric" | "like" | "ilike" => true,
            // The upper end.
            "and" => {
                let low = (0..last)
                    .rev()
                    .take(4)
                    .find(|at| ["between", "symmetric"].contains(&self.word(*at).as_str()));
                low.is_some_and(|low| self.is_list(low + 1..last))
            }
            "(" if last > 0 && ["any", "all", "some"].contains(&self.word(last - 1).as_str()) => {
                true
            }
            "(" | "," => self.in_lists.contains(&last),
            _ => COMPARISONS.contains(&self.operator(last).as_str()),
        }
    }

    /// The operator that ends with this token: a run of signs without anything between them.
    fn operator(&self, last: usize) -> String {
        let mut start = last;
        let is_sign = |at: usize| self.tokens[at].kind == Kind::Other;
        if !is_sign(last) {
            return String::new();
        }
        while let Some(one) = start.checked_sub(1)
            && is_sign(one)
            && self.tokens[one].range.end == self.tokens[start].range.start
        {
            start = one;
        }
        self.text[self.tokens[start].range.start..self.tokens[last].range.end].to_string()
    }

    /// The brackets and commas of lists behind `IN`, as far as these hold values alone.
    fn lists(&self) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let is_open = |at: &usize| self.word(*at) == "in" && self.word(at + 1) == "(";
        for open in (0..self.tokens.len()).filter(is_open).map(|at| at + 1) {
            let values = (open + 1..self.tokens.len()).take_while(|at| self.is_list(*at..at + 1));
            let commas = values.filter(|at| self.tokens[*at].kind == Kind::Comma);
            found.extend(std::iter::once(open).chain(commas));
        }
        found
    }

    /// Whether these are values and commas alone.
    fn is_list(&self, range: Range<usize>) -> bool {
        let mut range = range;
        range.all(|at| {
            let kind = self.tokens[at].kind;
            let is_type = || TYPES.contains(&self.word(at).as_str());
            matches!(kind, Kind::Literal | Kind::Comma) || self.word(at) == "-" || is_type()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The query with its values as parameters, and these.
    fn shown(text: &str) -> String {
        let Parameterised { text, values, .. } = as_parameters(text);
        if values.is_empty() { text } else { format!("{text} | {}", values.join(", ")) }
    }

    #[test]
    fn compared_values_are_parameters() {
        for (text, expected) in [
            ("select 1 where a = 'it''s'", "select 1 where a = $1 | it's"),
            ("a=$2 and b >= 5", "a=$2 and b >= $3 | 5"),
            ("a > -5.5 or b<>'x'", "a > $1 or b<>$2 | -5.5, x"),
            ("a < date '2020-02-29'::date", "a < $1::date | 2020-02-29"),
            ("a between 'x' and 'y' and b = 1", "a between $1 and $2 and b = $3 | x, y, 1"),
            ("a not in ('x', 'y') limit 3", "a not in ($1, $2) limit 3 | x, y"),
            ("a = any ('{x,y}'::text[])", "a = any ($1::text[]) | {x,y}"),
            ("a like 'x%' and /* = 'y' */ b", "a like $1 and /* = 'y' */ b | x%"),
            ("case when a = 'x' then 'y' end", "case when a = $1 then 'y' end | x"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_part_of_more_or_compared_with_nothing_stays() {
        for text in [
            "a = 'x' || b",
            "a = 5 + b",
            "a = interval '1 day'",
            "a = E'x\\n'",
            "a = b - 5",
            "m -> 'key' = b",
            "m @> '{}'",
            "f('x', 'y')",
            "values ('x')",
            "limit 5",
            "'x' = a",
            "a = timestamp 'x' at time zone 'UTC'",
            "a = 'x' collate \"C\"",
            "a in (b, 'x')",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn others_stand_in_their_place() {
        let others = BTreeMap::from([(2, "s'1".to_string()), (4, "9".to_string())]);
        let text = "a = $1 and b in ('x', 'y') and c > 7 and d = 8";
        let expected = "a = $1 and b in ('s''1', 'y') and c > '9' and d = 8";
        assert_eq!(with_values(text, &others), expected);
        assert_eq!(with_values(text, &BTreeMap::new()), text);
    }
}

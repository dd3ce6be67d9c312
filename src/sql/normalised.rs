//! Statements as `pg_stat_statements` remembers them, with `$n` for each constant, and what it
//! takes to plan them.
//!
//! PostgreSQL's grammar wants a literal where some of these parameters stand: `interval $1`,
//! `EXTRACT($1 FROM at)`. And an expression that GROUP BY repeats keeps its constants there only.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Kind, Token, tokens};
use crate::model::ident::{Ident, QualifiedName};

/// Keywords that are types: a literal may follow them.
const TYPE_KEYWORDS: &[&str] = &[
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "dec",
    "decimal",
    "float",
    "int",
    "integer",
    "interval",
    "nchar",
    "numeric",
    "real",
    "smallint",
    "time",
    "timestamp",
    "varchar",
];
/// Words that could be a type's name, with an expression behind them.
const BEFORE_EXPRESSIONS: &[&str] = &[
    "by", "content", "document", "escape", "first", "groups", "key", "next", "passing", "path",
    "prior", "range", "return", "rows", "uescape", "value", "version", "zone",
];
/// What ends an expression of ORDER BY or GROUP BY.
const ENDS_EXPRESSION: &[&str] = &[
    "asc",
    "desc",
    "except",
    "fetch",
    "for",
    "having",
    "intersect",
    "limit",
    "nulls",
    "offset",
    "order",
    "range",
    "returning",
    "rows",
    "union",
    "using",
    "window",
];
/// A field that all dates, times and intervals have.
const ANY_FIELD: &str = "epoch";

/// The statement as PostgreSQL can plan it. What it parses anyhow stays byte for byte; where a
/// constant is put back, the parameters behind it move up.
pub fn plannable(text: &str) -> String {
    let Some(statement) = Statement::read(text) else { return text.to_string() };
    let mut known = statement.fields();
    known.extend(statement.repeated());
    let numbers = statement.numbers();
    let left = numbers.iter().filter(|(at, _)| !known.contains_key(at));
    let left: BTreeSet<usize> = left.map(|(_, number)| *number).collect();
    let gone: BTreeSet<usize> = numbers.values().filter(|n| !left.contains(n)).copied().collect();
    let gone: Vec<usize> = gone.into_iter().collect();
    let (mut out, mut copied) = (String::new(), 0);
    for at in numbers.keys() {
        let range = statement.tokens[*at].range.clone();
        let number = numbers[at] - gone.partition_point(|gone| *gone < numbers[at]);
        let typed = statement.type_before(*at);
        let (start, new) = match (known.get(at), typed) {
            (Some(constant), _) => (range.start, constant.clone()),
            (None, None) => (range.start, format!("${number}")),
            (None, Some(first)) => {
                let of_type = statement.tokens[first].range.start;
                let name = &text[of_type..statement.tokens[at - 1].range.end];
                (of_type, format!("${number}::{name}"))
            }
        };
        out += &text[copied..start];
        out += &new;
        copied = range.end;
    }
    out + &text[copied..]
}

/// Whether constants are left in a statement that may come from rows: the server keeps some texts
/// as they were sent. Short numbers (`ORDER BY 1`, `numeric(10, 2)`) are none, nor are words where
/// an expression of GROUP BY or ORDER BY keeps them (`date_trunc('day', at)`).
pub fn holds_constants(text: &str) -> bool {
    const SHORT: usize = 5;
    let Some(statement) = Statement::read(text) else { return true };
    let listed = statement.listed();
    (0..statement.tokens.len()).any(|at| {
        if statement.kind(at) != Some(Kind::Literal) {
            return false;
        }
        let literal = statement.word(at);
        let is_number = literal.bytes().all(|byte| byte.is_ascii_digit());
        let word = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        let is_word = word.is_some_and(|word| word.bytes().all(|b| b.is_ascii_lowercase()));
        let is_listed = listed.iter().any(|one| one.contains(&at));
        !(is_number && literal.len() <= SHORT || is_word && is_listed)
    })
}

/// The statement without comments, which may say who asked.
pub fn without_comments(text: &str) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for comment in tokens(text).filter(|one| one.kind == Kind::Comment) {
        out += &text[from..comment.range.start];
        out.push(' ');
        from = comment.range.end;
    }
    (out + &text[from..]).trim().to_string()
}

/// Relations to be found in statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relations {
    /// The schemas in which there is one of each name.
    schemas: BTreeMap<Ident, BTreeSet<Ident>>,
}

impl FromIterator<QualifiedName> for Relations {
    fn from_iter<T: IntoIterator<Item = QualifiedName>>(relations: T) -> Relations {
        let mut schemas: BTreeMap<Ident, BTreeSet<Ident>> = BTreeMap::new();
        for QualifiedName { schema, name } in relations {
            schemas.entry(name).or_default().insert(schema);
        }
        Relations { schemas }
    }
}

impl Relations {
    /// Whether a statement names one of them: in quotes or not, with its schema or without. A
    /// column of the same name counts as well.
    pub fn any_named(&self, text: &str) -> bool {
        let (mut before, mut dotted) = (None, false);
        for token in tokens(text) {
            if matches!(token.kind, Kind::Word | Kind::QuotedName) {
                let name = Ident::from_sql(&text[token.range]);
                let schema = before.take_if(|_| dotted);
                if let Some(schemas) = self.schemas.get(&name)
                    && schema.is_none_or(|schema| schemas.contains(&schema))
                {
                    return true;
                }
                before = Some(name);
            }
            if token.kind != Kind::Comment {
                dotted = token.kind == Kind::Dot;
            }
        }
        false
    }
}

/// A statement's tokens without comments.
struct Statement<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Statement<'a> {
    /// `None` where a quote has no end: what follows it would be misread.
    fn read(text: &'a str) -> Option<Statement<'a>> {
        let tokens: Vec<Token> = tokens(text).filter(|one| one.kind != Kind::Comment).collect();
        let whole = tokens.iter().all(|one| one.kind != Kind::Unterminated);
        whole.then_some(Statement { text, tokens })
    }

    /// The token as written; empty where there is none.
    fn word(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| &self.text[token.range.clone()])
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn is(&self, at: usize, any: &[&str]) -> bool {
        self.kind(at) == Some(Kind::Word)
            && any.iter().any(|word| self.word(at).eq_ignore_ascii_case(word))
    }

    /// Whether one of the words stands `steps` before `at`.
    fn back(&self, at: usize, steps: usize, any: &[&str]) -> bool {
        at.checked_sub(steps).is_some_and(|before| self.is(before, any))
    }

    /// `$n` at this place.
    fn number(&self, at: usize) -> Option<usize> {
        self.word(at).strip_prefix('$')?.parse().ok()
    }

    /// All `$n` with their places.
    fn numbers(&self) -> BTreeMap<usize, usize> {
        (0..self.tokens.len()).filter_map(|at| Some((at, self.number(at)?))).collect()
    }

    /// Places of the fields in `EXTRACT($1 FROM at)`.
    fn fields(&self) -> BTreeMap<usize, String> {
        let is_field = |at: &usize| self.is_field(*at) && self.number(*at).is_some();
        (0..self.tokens.len()).filter(is_field).map(|at| (at, ANY_FIELD.to_string())).collect()
    }

    fn is_field(&self, at: usize) -> bool {
        self.is(at + 1, &["from"])
            && self.back(at, 2, &["extract"])
            && self.kind(at - 1) == Some(Kind::Open)
    }

    /// Constants that stand in an expression of GROUP BY, ORDER BY or DISTINCT ON, and are
    /// parameters in the same expression elsewhere.
    fn repeated(&self) -> BTreeMap<usize, String> {
        let mut known = BTreeMap::new();
        for expression in self.listed() {
            for from in 0..(self.tokens.len() + 1).saturating_sub(expression.len()) {
                known.extend(self.constants(&expression, from).into_iter().flatten());
            }
        }
        known
    }

    /// The constants of an expression for the parameters of the same one that begins at `from`;
    /// `None` where that is another expression.
    fn constants(
        &self,
        expression: &std::ops::Range<usize>,
        from: usize,
    ) -> Option<Vec<(usize, String)>> {
        let mut constants = Vec::new();
        for (at, known) in (from..).zip(expression.clone()) {
            let (here, there) = (self.word(at), self.word(known));
            let is_constant = self.kind(known) == Some(Kind::Literal) || self.is_field(known);
            if is_constant && self.number(at).is_some() {
                constants.push((at, there.to_string()));
            } else if !(here == there
                || self.kind(at) == Some(Kind::Word) && here.eq_ignore_ascii_case(there))
            {
                return None;
            }
        }
        Some(constants)
    }

    /// The expressions of GROUP BY, ORDER BY and DISTINCT ON that name something.
    fn listed(&self) -> Vec<std::ops::Range<usize>> {
        let begins = |at: &usize| {
            self.is(*at, &["by"]) && self.back(*at, 1, &["group", "order"])
                || self.kind(*at) == Some(Kind::Open)
                    && self.back(*at, 1, &["on"])
                    && self.back(*at, 2, &["distinct"])
        };
        let mut listed = Vec::new();
        for begin in (0..self.tokens.len()).filter(begins) {
            let (mut from, mut depth) = (begin + 1, 0_usize);
            for at in begin + 1..=self.tokens.len() {
                let ends = depth == 0
                    && (matches!(self.kind(at), None | Some(Kind::Close | Kind::Semicolon))
                        || self.is(at, ENDS_EXPRESSION));
                if ends || depth == 0 && self.kind(at) == Some(Kind::Comma) {
                    listed.push(from..at);
                    from = at + 1;
                }
                if ends && !self.is(at, &["asc", "desc", "nulls"]) {
                    break;
                }
                match self.kind(at) {
                    Some(Kind::Open) => depth += 1,
                    Some(Kind::Close) => depth = depth.saturating_sub(1),
                    Some(_) | None => {}
                }
            }
        }
        let names = |at| matches!(self.kind(at), Some(Kind::Word | Kind::QuotedName));
        listed.retain(|one| one.clone().any(names));
        listed
    }

    /// Where the type begins whose literal stands at `at`; `None` where none does.
    fn type_before(&self, at: usize) -> Option<usize> {
        let last = at.checked_sub(1)?;
        // time (3) with time zone
        if self.is(last, &["zone"])
            && self.back(last, 1, &["time"])
            && self.back(last, 2, &["with", "without"])
        {
            let first = self.before_typmod(last.checked_sub(3)?);
            return self.is(first, &["time", "timestamp"]).then_some(first);
        }
        let first = self.before_typmod(last);
        if self.is(first, &["precision"]) {
            return self.back(first, 1, &["double"]).then(|| first - 1);
        }
        let first = match self.is(first, &["varying"]) {
            true => first
                .checked_sub(1)
                .filter(|_| self.back(first, 1, &["bit", "char", "character", "nchar"]))?,
            false => first,
        };
        if self.is(first, &["char", "character"]) && self.back(first, 1, &["national"]) {
            return Some(first - 1);
        }
        if self.is(first, TYPE_KEYWORDS) {
            return Some(self.qualified(first));
        }
        (first == last).then(|| self.other_type(first)).flatten()
    }

    /// A type of whatever name.
    fn other_type(&self, last: usize) -> Option<usize> {
        let first = self.qualified(last);
        match self.kind(last)? {
            Kind::QuotedName => Some(first),
            Kind::Word if first < last => Some(first),
            Kind::Word => {
                let word = Ident::from_sql(self.word(last));
                let is_keyword = word.to_string().starts_with('"') && word.as_str().is_ascii();
                (!is_keyword && !self.is(last, BEFORE_EXPRESSIONS)).then_some(first)
            }
            Kind::Literal
            | Kind::Semicolon
            | Kind::Open
            | Kind::Close
            | Kind::Comma
            | Kind::Dot
            | Kind::Comment
            | Kind::Other
            | Kind::Backslash
            | Kind::Unterminated => None,
        }
    }

    /// The place before `(3)` that ends at `last`; `last` where none does.
    fn before_typmod(&self, last: usize) -> usize {
        if self.kind(last) != Some(Kind::Close) {
            return last;
        }
        let inside = |at: &&Token| matches!(at.kind, Kind::Literal | Kind::Comma);
        let length = self.tokens[..last].iter().rev().take_while(inside).count();
        last.saturating_sub(length + 2)
    }

    /// The first of the dotted names that end at `last`.
    fn qualified(&self, mut last: usize) -> usize {
        while last >= 2 && self.kind(last - 1) == Some(Kind::Dot) {
            last -= 2;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(plannable(text), expected);
    }

    #[test]
    fn constants_that_may_come_from_rows_are_found() {
        for text in [
            "select * from t where email = 'a@b.c'",
            "select * from t where ssn = 123456789",
            "select * from t where a = $1 and b = $$x$$",
            "select * from t where a = 'lost",
            "select count(*) from t group by coalesce(city, 'Bern 12')",
        ] {
            assert!(holds_constants(text), "{text}");
        }
        for text in [
            "select $1::numeric(10, 2) from t where a = $2 order by 1 limit $3",
            "select date_trunc($1, at), count(*) from t group by date_trunc('day', at)",
            "select \"it's\" from t -- user 4711's",
        ] {
            assert!(!holds_constants(text), "{text}");
        }
    }

    #[test]
    fn comments_are_left_out() {
        let text = "/* user=4711 */ select a -- b\nfrom t where '-- c' = $1";
        assert_eq!(without_comments(text), "select a  \nfrom t where '-- c' = $1");
    }

    #[test]
    fn literals_with_their_type_before_them_become_casts() {
        check(
            "select * from t where at > now() - interval $1 and d = date  $2",
            "select * from t where at > now() - $1::interval and d = $2::date",
        );
        check(
            "select INTERVAL(3) $1, interval $2 day to second, timestamp(3) with time zone $3",
            "select $1::INTERVAL(3), $2::interval day to second, $3::timestamp(3) with time zone",
        );
        check(
            "select time without time zone $1, timestamptz $2, time $3, timestamp $4",
            "select $1::time without time zone, $2::timestamptz, $3::time, $4::timestamp",
        );
        check(
            "select double precision $1, numeric(5,2) $2, character varying(5) $3, bit varying $4",
            "select $1::double precision, $2::numeric(5,2), $3::character varying(5), \
             $4::bit varying",
        );
        check(
            "select national character $1, pg_catalog.date $2, app.\"My type\" $3, mood $4",
            "select $1::national character, $2::pg_catalog.date, $3::app.\"My type\", $4::mood",
        );
        check("select interval /* of */ $1 from t", "select $1::interval from t");
    }

    #[test]
    fn all_else_stays_byte_for_byte() {
        for text in [
            "select  at at time zone $1, c LIKE $2 escape $3 from t -- interval $4",
            "select a from t where a in ($1 /*, ... */)\n limit $2 offset $3",
            "select a from t where a between $1 and +$2 fetch first $3 rows only",
            "select sum(a) over (order by $1 rows $2 preceding) from t group by $3 having $4",
            "select case $1 when $2 then $3 else $4 end, 'interval $5', a[$6], $7::interval",
            "select substring(a from $1 for $2), x = any (array[$3]), date($4), not $5",
            "select json_object(key $1 value $2), xmlparse(document $3), f (3) + $4",
            "update t set a = $1 where b like $2 returning $3",
            "select 'no end, interval $1",
            "",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_field_is_one_that_parses_and_the_others_move_up() {
        check(
            "select extract($1 from at), a + $2 from t where a in ($3, $4) and $2 > $5",
            "select extract(epoch from at), a + $1 from t where a in ($2, $3) and $1 > $4",
        );
        check("select extract($2) from t where a = $1", "select extract($2) from t where a = $1");
    }

    #[test]
    fn what_group_by_repeats_is_put_back() {
        check(
            "select date_trunc($1, at), count(*) from t where a = $2 group by \
             date_trunc('day', at), $3-$4 order by 1",
            "select date_trunc('day', at), count(*) from t where a = $1 group by \
             date_trunc('day', at), $2-$3 order by 1",
        );
        check(
            "select EXTRACT($1 FROM at), a + $2 from t group by b, extract(year from at)",
            "select EXTRACT(year FROM at), a + $1 from t group by b, extract(year from at)",
        );
        check(
            "select distinct coalesce(a, $1) from t order by coalesce(a, 'x') desc, b limit $2",
            "select distinct coalesce(a, 'x') from t order by coalesce(a, 'x') desc, b limit $1",
        );
        check(
            "select distinct on (a - 1) a - $1, a - $2 from (select 1 order by c, b || 'z') x",
            "select distinct on (a - 1) a - 1, a - 1 from (select 1 order by c, b || 'z') x",
        );
        let alike = "select $1, date_trunc($2, b) from t group by date_trunc('day', a) order by 1";
        check(alike, alike);
    }

    #[test]
    fn relations_are_named_in_quotes_and_with_their_schema() {
        let name = |schema, name| {
            QualifiedName::new(Ident::new(schema).unwrap(), Ident::new(name).unwrap())
        };
        let known: Relations =
            [name("app", "orders"), name("public", "My table")].into_iter().collect();
        for text in [
            "select * from Orders o",
            "delete from app . \"orders\" where true",
            "select orders.a from x.y",
            "select * from db.app.orders",
            "select * from x.y, \"My table\"",
        ] {
            assert!(known.any_named(text), "{text}");
        }
        for text in [
            "select * from other.orders, my_table, orders_2, 'orders' -- orders",
            "select * from public.orders",
            "select * from \"Orders\", \"my table\"",
            "",
        ] {
            assert!(!known.any_named(text), "{text}");
        }
    }
}

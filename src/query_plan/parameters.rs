//! With which columns a statement's parameters are compared, as its generic plan says. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::canonical::{tokens, type_length};
use crate::model::disclosure::Column;
use crate::model::ident::{Ident, QualifiedName};

/// A parameter beside a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// `$n`.
    pub parameter: usize,
    /// The table, or the partition of it that the plan reads.
    pub relation: QualifiedName,
    /// Its column.
    pub column: Ident,
    /// How they are compared.
    pub comparison: Comparison,
}

/// How a column is compared with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// `column = $1`
    Equal,
    /// `column = ANY ($1)`
    Any,
    /// `column >= $1`, `column > $1`
    From,
    /// `column <= $1`, `column < $1`
    UpTo,
    /// `column LIKE $1`
    Like,
}

/// Each use of a parameter in the conditions of a generic plan (`EXPLAIN (FORMAT JSON, VERBOSE)`).
/// None where the text is no plan.
pub fn uses(json: &str) -> BTreeSet<Use> {
    let read = Read::of(json);
    let found = read.conditions.iter().flat_map(|condition| in_condition(condition));
    let named = found.filter_map(|found| {
        let relation = read.aliases.get(&found.alias)?.clone();
        let column = Ident::new(found.column).ok()?;
        Some(Use { parameter: found.parameter, relation, column, comparison: found.comparison })
    });
    named.collect()
}

/// The columns that a generic plan compares with values in any other way than [`uses`] tells of one
/// value: with patterns and arrays, within expressions. None where the text is no plan.
pub fn otherwise_compared(json: &str) -> BTreeSet<Column> {
    let read = Read::of(json);
    let mut columns = BTreeSet::new();
    for condition in &read.conditions {
        let tokens = without_casts(&tokens(condition));
        let is_between = |token: &String| ["AND", "OR", "NOT"].contains(&token.as_str());
        for one in tokens.split(is_between).filter(|one| has_value(one) && !is_told(one)) {
            columns.extend(read.columns(one));
        }
    }
    columns
}

/// Whether one comparison has a value in it.
fn has_value(tokens: &[String]) -> bool {
    let is_value = |token: &String| {
        token == "$" || token.starts_with(|c: char| c == '\'' || c.is_ascii_digit())
    };
    tokens.iter().any(is_value)
}

/// Whether one comparison is that of a column with one value.
fn is_told(tokens: &[String]) -> bool {
    let is_single = |found: &Found| match found.comparison {
        Comparison::Equal | Comparison::From | Comparison::UpTo => true,
        Comparison::Any | Comparison::Like => false,
    };
    (0..tokens.len()).filter_map(|at| beside(tokens, at)).any(|found| is_single(&found))
}

/// The columns of tables that a plan (`EXPLAIN (FORMAT JSON, VERBOSE)`) filters, joins, groups or
/// sorts by. None where the text is no plan.
///
/// What comes out of a subquery or CTE that is a node of its own is of no table that the plan
/// names: it counts as that column of each table that is read.
pub fn columns(json: &str) -> BTreeSet<Column> {
    let read = Read::of(json);
    let mut columns = BTreeSet::new();
    for condition in &read.conditions {
        columns.extend(read.columns(&without_casts(&tokens(condition))));
    }
    columns
}

/// What a plan reads, and by which conditions.
#[derive(Default)]
struct Read {
    /// Tables by their aliases, each of which a plan has once.
    aliases: BTreeMap<String, QualifiedName>,
    /// Aliases of what other parts of the plan make.
    derived: BTreeSet<String>,
    conditions: Vec<String>,
}

impl Read {
    /// Nothing, where the text is no plan.
    fn of(json: &str) -> Read {
        let explained: Option<Value> = serde_json::from_str(json).ok();
        let mut read = Read::default();
        if let Some(top) = explained.as_ref().and_then(|explained| explained.pointer("/0/Plan")) {
            read.collect(top);
        }
        read
    }

    fn collect(&mut self, node: &Value) {
        let ident = |key: &str| Ident::new(node[key].as_str()?).ok();
        let is_derived = node["Node Type"].as_str().is_some_and(|node| DERIVED.contains(&node));
        if let Some(alias) = node["Alias"].as_str() {
            if let (Some(schema), Some(name)) = (ident("Schema"), ident("Relation Name")) {
                self.aliases.insert(alias.to_string(), QualifiedName::new(schema, name));
            } else if is_derived {
                self.derived.insert(alias.to_string());
            }
        }
        for (key, value) in node.as_object().into_iter().flatten() {
            let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            if ["Cond", "Filter", "Key", "Order By"].iter().any(|end| key.ends_with(end)) {
                let texts = texts.iter().filter_map(Value::as_str);
                self.conditions.extend(texts.map(str::to_string));
            }
        }
        let below = node["Plans"].as_array().into_iter().flatten();
        below.for_each(|child| self.collect(child));
    }

    /// The columns of tables in a condition.
    fn columns(&self, tokens: &[String]) -> Vec<Column> {
        let mut columns = Vec::new();
        for dot in (1..tokens.len().saturating_sub(1)).filter(|at| tokens[*at] == ".") {
            let Ok(column) = Ident::new(unquoted(&tokens[dot + 1])) else { continue };
            let tables = self.tables(&unquoted(&tokens[dot - 1]));
            columns.extend(tables.into_iter().map(|table| (table.clone(), column.clone())));
        }
        columns
    }

    /// The table that the alias means, or those that it may mean.
    fn tables(&self, alias: &str) -> Vec<&QualifiedName> {
        match self.aliases.get(alias) {
            Some(table) => vec![table],
            None if self.derived.contains(alias) => self.aliases.values().collect(),
            None => Vec::new(),
        }
    }
}

/// Nodes whose columns are those of other parts of the plan.
const DERIVED: [&str; 3] = ["Subquery Scan", "CTE Scan", "WorkTable Scan"];

/// A parameter beside `alias.column`.
#[derive(Debug, PartialEq)]
struct Found {
    parameter: usize,
    alias: String,
    column: String,
    comparison: Comparison,
}

fn in_condition(condition: &str) -> Vec<Found> {
    let tokens = without_casts(&tokens(condition));
    (0..tokens.len()).filter_map(|at| beside(&tokens, at)).collect()
}

/// Without blanks, and without `::type` behind anything.
fn without_casts(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        if first == ":" && after.first().is_some_and(|second| second == ":") {
            rest = &after[1 + type_length(&after[1..])..];
            continue;
        }
        if !first.trim().is_empty() {
            kept.push(first.clone());
        }
        rest = after;
    }
    kept
}

/// What the parameter at this token, if it is one, is compared with.
fn beside(tokens: &[String], at: usize) -> Option<Found> {
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    if word(at) != "$" {
        return None;
    }
    let parameter = word(at + 1).parse().ok()?;
    let (start, end) = in_brackets(tokens, at, at + 2);
    let before = |at: usize| at.checked_sub(1).map_or("", word);
    // `= ANY ($1)` is one value for several; `= ANY (ARRAY[$1, $2])` was `IN ($1, $2)`.
    let list = in_list(tokens, start);
    let is_any = before(start) == "ANY";
    let start = if is_any { start - 1 } else { list.unwrap_or(start) };
    // `column = $1`, in brackets of its own.
    let operator_at = operator_before(tokens, start);
    let (operator, operand, turned) = if operator_at < start {
        let open = enclosing(tokens, operator_at)?;
        (tokens[operator_at..start].concat(), &tokens[open + 1..operator_at], false)
    } else if before(start) == "(" && word(end) != ")" {
        let length = tokens[end..].iter().take_while(|token| is_operator(token)).count();
        let close = closing(tokens, end)?;
        (tokens[end..end + length].concat(), &tokens[end + length..close], true)
    } else {
        return None;
    };
    let comparison = match (operator.as_str(), is_any, turned) {
        ("=", true, _) => Comparison::Any,
        (_, true, _) => return None,
        ("=", false, _) => Comparison::Equal,
        (">" | ">=", _, false) | ("<" | "<=", _, true) => Comparison::From,
        ("<" | "<=", _, false) | (">" | ">=", _, true) => Comparison::UpTo,
        ("~~", _, false) => Comparison::Like,
        (_, _, _) => return None,
    };
    let (alias, column) = column(operand)?;
    Some(Found { parameter, alias, column, comparison })
}

/// Where `ANY (ARRAY[…` begins, of whose list the token at `at` is one; `None` where it is in none.
fn in_list(tokens: &[String], at: usize) -> Option<usize> {
    let is_item = |token: &&String| {
        let is_sign = ["$", ",", "(", ")"].contains(&token.as_str());
        is_sign || token.chars().all(|c| c.is_ascii_digit())
    };
    let items = tokens[..at].iter().rev().take_while(is_item).count();
    let start = (at - items).checked_sub(4)?;
    let is_list = tokens[start..].iter().take(4).eq(["ANY", "(", "ARRAY", "["].iter());
    is_list.then_some(start)
}

/// `tokens[start..end]` with the brackets that hold nothing else: those of `($1)::text`.
fn in_brackets(tokens: &[String], mut start: usize, mut end: usize) -> (usize, usize) {
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    while start > 0 && word(start - 1) == "(" && word(end) == ")" {
        (start, end) = (start - 1, end + 1);
    }
    (start, end)
}

fn is_operator(token: &str) -> bool {
    token.chars().all(|c| "<>=~!@#%^&|?+-*/".contains(c))
}

/// Where the operator that ends before `at` begins; `at` where there is none.
fn operator_before(tokens: &[String], at: usize) -> usize {
    at - tokens[..at].iter().rev().take_while(|token| is_operator(token)).count()
}

/// The bracket that is open at `at`.
fn enclosing(tokens: &[String], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens[..at].iter().enumerate().rev() {
        match token.as_str() {
            ")" => depth += 1,
            "(" if depth == 0 => return Some(index),
            "(" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The bracket that closes what is open at `at`.
fn closing(tokens: &[String], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "(" => depth += 1,
            ")" if depth == 0 => return Some(index),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `alias.column`, also in brackets; `None` where the operand is more than that.
fn column(operand: &[String]) -> Option<(String, String)> {
    let inner = operand.iter().position(|token| token != "(")?;
    let [alias, dot, column, rest @ ..] = &operand[inner..] else { return None };
    let is_all = dot == "." && rest.iter().all(|token| token == ")");
    is_all.then(|| (unquoted(alias), unquoted(column)))
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(condition: &str) -> Vec<String> {
        let one = |found: Found| {
            format!("{} {:?} {}.{}", found.parameter, found.comparison, found.alias, found.column)
        };
        in_condition(condition).into_iter().map(one).collect()
    }

    #[test]
    fn parameters_stand_beside_columns() {
        assert_eq!(found("(orders.customer = $1)"), ["1 Equal orders.customer"]);
        assert_eq!(found("(($12)::text = (o.\"My state\")::text)"), ["12 Equal o.My state"]);
        assert_eq!(
            found("((e.at >= $1) AND (e.at < ($2)::timestamp with time zone))"),
            ["1 From e.at", "2 UpTo e.at"]
        );
        assert_eq!(found("($1 <= e.at)"), ["1 From e.at"]);
        assert_eq!(found("((e.kind)::text = ANY (($3)::text[]))"), ["3 Any e.kind"]);
        assert_eq!(found("(t.name ~~ $1)"), ["1 Like t.name"]);
        assert_eq!(
            found("((t.kind)::text = ANY (ARRAY[($1)::text, $2, $12]))"),
            ["1 Equal t.kind", "2 Equal t.kind", "12 Equal t.kind"]
        );
        let either = "((t.a = $1) OR ((t.b > $2) AND (t.c = 'it''s $9')))";
        assert_eq!(found(either), ["1 Equal t.a", "2 From t.b"]);
    }

    #[test]
    fn what_is_compared_otherwise_is_told() {
        let told = |filter: &str| {
            let filter = serde_json::Value::from(filter).to_string();
            let json = format!(
                r#"[{{"Plan": {{"Schema": "app", "Relation Name": "t", "Alias": "t",
                "Filter": {filter}}}}}]"#
            );
            let columns = otherwise_compared(&json).into_iter();
            columns.map(|(_, column)| column.to_string()).collect::<Vec<_>>().join(" ")
        };
        for (filter, expected) in [
            ("((t.a = $1) AND (t.b > ($2)::date))", ""),
            ("(t.a IS NOT NULL)", ""),
            ("(t.a = t.b)", ""),
            ("((t.a)::text = ANY (ARRAY[($1)::text, $2]))", ""),
            ("((t.a = ANY ('{x,y}'::text[])) OR (t.b = $1))", "a"),
            ("((t.a = ANY ($1)) AND (t.b ~~ $2))", "a b"),
            ("((t.a ~~* 'x%'::text) AND (t.b <> $1))", "a b"),
            ("((t.doc ->> 'email'::text) = $1)", "doc"),
            ("(lower(t.a) = $1)", "a"),
            ("(t.a << '10.0.0.0/8'::inet)", "a"),
            ("((t.n + 5) < t.m)", "m n"),
        ] {
            assert_eq!(told(filter), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_more_than_a_column_is_none() {
        for condition in [
            "(lower(t.name) = $1)",
            "(t.at >= (now() - $1))",
            "(t.a = f($1))",
            "(f($1) = t.a)",
            "((t.a + 1) = $1)",
            "($1 IS NULL)",
            "($1 OR t.a)",
            "(t.a <> ALL ($1))",
            "(t.m @> $1)",
            "($1)",
            "$1",
            "",
        ] {
            assert_eq!(found(condition), [""; 0], "{condition}");
        }
    }

    #[test]
    fn aliases_are_those_of_the_plan() {
        let json = r#"[{"Plan": {"Node Type": "Hash Join", "Hash Cond": "(a.id = b.id)",
          "Join Filter": "(b.x > $2)", "Plans": [
          {"Schema": "app", "Relation Name": "orders", "Alias": "a", "Filter": "(a.k = $1)"},
          {"Node Type": "CTE Scan", "Alias": "c", "Filter": "(c.k = $3)"},
          {"Schema": "app", "Relation Name": "items", "Alias": "b"}]}}]"#;
        let told: Vec<String> = uses(json)
            .into_iter()
            .map(|one| format!("{} {}.{}", one.parameter, one.relation, one.column))
            .collect();
        assert_eq!(told, ["1 app.orders.k", "2 app.items.x"]);
        assert!(uses("no plan").is_empty());
        let sorted =
            json.replace("\"Hash Cond\"", "\"Sort Key\": [\"lower(a.name)\"], \"Hash Cond\"");
        let told: Vec<String> =
            columns(&sorted).iter().map(|(table, column)| format!("{table}.{column}")).collect();
        // `c.k` may be of either.
        let of_items = ["app.items.id", "app.items.k", "app.items.x"];
        let of_orders = ["app.orders.id", "app.orders.k", "app.orders.name"];
        assert_eq!(told, [of_items, of_orders].concat());
    }
}

//! A large table is written anew while nobody can read it.

use crate::checks::lint::check::{At, Check, Found, Large, Look};
use crate::checks::lint::squawk::Rule;
use crate::model::finding::Severity;
use crate::model::lock::LockMode;
use crate::sql::alter_table::Action;
use crate::sql::column::{Column, Generated};
use crate::sql::locks::locks;
use crate::sql::tokens::{Cursor, tokens};

/// The check.
pub const CHECK: Check = Check {
    id: "table-rewrite",
    severity: Severity::Error,
    meaning: "A table of at least `check.rewrite_mb` is written anew under ACCESS EXCLUSIVE: \
              nobody reads or writes it until all rows and all indexes are written. So do `ALTER \
              COLUMN … TYPE` (unless the rows can stay, as from `varchar(10)` to `text`), `ADD \
              COLUMN` with a volatile default, an identity or a stored expression, `SET LOGGED` \
              and `UNLOGGED`, `SET ACCESS METHOD`, `SET TABLESPACE`, `VACUUM FULL`, `CLUSTER` and \
              `REFRESH MATERIALIZED VIEW` without CONCURRENTLY.",
    doubt: "A function of your own counts as volatile, and a domain over the same type as another \
            type. A table that nobody uses yet may be rewritten.",
    remedy: "add a new column, fill it in batches, and switch over; or plan a pause",
    bad: include_str!("../examples/table-rewrite/bad.sql"),
    good: include_str!("../examples/table-rewrite/good.sql"),
    look: Look::Statement(look),
};

/// Functions that squawk takes for volatile when they have arguments or stand in parentheses.
const STABLE: &[&str] = &[
    "abs",
    "age",
    "array_fill",
    "coalesce",
    "concat",
    "current_setting",
    "date_trunc",
    "jsonb_build_array",
    "jsonb_build_object",
    "left",
    "lower",
    "make_date",
    "make_interval",
    "md5",
    "now",
    "repeat",
    "right",
    "round",
    "statement_timestamp",
    "timezone",
    "to_char",
    "to_date",
    "to_jsonb",
    "to_timestamp",
    "transaction_timestamp",
    "upper",
];
/// What else may stand before a parenthesis: words of expressions, and types with a length.
const NO_CALLS: &[&str] = &[
    "and",
    "as",
    "bit",
    "cast",
    "char",
    "decimal",
    "else",
    "in",
    "interval",
    "not",
    "numeric",
    "or",
    "then",
    "timestamp",
    "timestamptz",
    "varchar",
    "varying",
    "when",
];

fn look(at: &At<'_>) -> Vec<Found> {
    let found = |large: Large<'_>, offset, what: &str| {
        let message = format!("{} are written anew while nobody can read: {what}", large.size);
        Found::new(large.name, offset, message)
    };
    let Some(alter) = at.alter else {
        let tokens: Vec<_> = tokens(at.text).collect();
        let Some((name, what)) = whole_statement(Cursor::new(at.text, &tokens)) else {
            return Vec::new();
        };
        return at.large_to_rewrite(&name).map(|large| found(large, 0, what)).into_iter().collect();
    };
    let Some(large) = at.large_to_rewrite(&alter.table) else { return Vec::new() };
    let offsets = alter.actions.iter().map(|(offset, _)| *offset);
    let ends = offsets.skip(1).chain([at.text.len()]);
    let causes = alter.actions.iter().zip(ends).filter_map(|((offset, action), end)| {
        let default_hit = at
            .hits(&[Rule::AddingFieldWithDefault])
            .any(|hit| (*offset..end).contains(&hit.offset) && !only_stable(&hit.text));
        Some((*offset, cause(&large, action, default_hit)?))
    });
    let causes: Vec<(usize, String)> = causes.collect();
    // One statement rewrites once, whatever its actions.
    let what: Vec<&str> = causes.iter().map(|(_, what)| what.as_str()).collect();
    let first = causes.first().map(|(offset, _)| *offset);
    first.map(|offset| found(large, offset, &what.join(", "))).into_iter().collect()
}

/// Why an action rewrites the table, if it does.
fn cause(large: &Large<'_>, action: &Action, default_hit: bool) -> Option<String> {
    // Of a partitioned table these concern partitions to come.
    let has_rows = !large.table.is_partitioned;
    match action {
        Action::SetType { column, type_name, computed } => {
            let old = large.table.columns.get(column).map(|column| &column.type_name);
            let stays = old.is_some_and(|old| old.stays_as(type_name)) && !computed;
            (!stays).then(|| format!("{column} becomes {type_name}"))
        }
        Action::AddColumn(column) => added(column, default_hit),
        Action::SetLogged(true) => has_rows.then(|| "the table becomes logged".to_string()),
        Action::SetLogged(false) => has_rows.then(|| "the table becomes unlogged".to_string()),
        Action::SetAccessMethod => has_rows.then(|| "it gets another access method".to_string()),
        Action::SetTablespace => has_rows.then(|| "it moves to another tablespace".to_string()),
        Action::DropColumn(_)
        | Action::SetNotNull(_)
        | Action::AddConstraint(_)
        | Action::Validate(_)
        | Action::DropConstraint(_)
        | Action::Attach(_)
        | Action::Detach(_)
        | Action::RenameColumn(..)
        | Action::RenameTo(_)
        | Action::SetSchema(_)
        | Action::Other => None,
    }
}

fn added(column: &Column, default_hit: bool) -> Option<String> {
    let name = &column.name;
    match column.generated {
        Some(Generated::Identity) => Some(format!("each row gets an identity in {name}")),
        Some(Generated::Stored) => Some(format!("each row gets a computed {name}")),
        Some(Generated::Virtual) => None,
        None if column.type_name.is_serial() => Some(format!("each row gets a number in {name}")),
        None => (column.default.is_some() && default_hit)
            .then(|| format!("the default of {name} is volatile")),
    }
}

/// Whether all calls in an expression are known not to be volatile.
fn only_stable(expression: &str) -> bool {
    let tokens: Vec<_> = tokens(expression).collect();
    let text = |i: usize| &expression[tokens[i].range.clone()];
    let mut calls = (1..tokens.len()).filter(|i| text(*i) == "(").map(|i| text(i - 1));
    // Without a call it is something that squawk does not know: CASE, current_date, -1.
    let is_word = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let known =
        |name: &str| STABLE.iter().chain(NO_CALLS).any(|known| name.eq_ignore_ascii_case(known));
    calls.all(|name| !is_word(name) || known(name))
}

/// Statements that rewrite a whole table.
fn whole_statement(
    mut cursor: Cursor<'_>,
) -> Option<(Vec<crate::model::ident::Ident>, &'static str)> {
    let lock = locks(cursor.clone()).pop()?;
    let what = match cursor.take_any(&["vacuum", "cluster", "refresh"])? {
        "vacuum" => "VACUUM FULL",
        "cluster" => "CLUSTER",
        _ => "REFRESH without CONCURRENTLY",
    };
    (lock.mode == LockMode::AccessExclusive).then_some((lock.table, what))
}

//! Statements and transactions: what bounds one, what none can hold, and what cannot be taken back.

use super::Statement;
use super::tokens::{Cursor, Kind as TokenKind, tokens};
use crate::model::ident::Ident;

/// `BEGIN`, `COMMIT` and `END` with or without a word behind them; options would be lost.
pub(super) fn is_boundary(mut cursor: Cursor<'_>) -> bool {
    if cursor.take(&["start", "transaction"]) {
        return cursor.at_end();
    }
    let boundary = cursor.take_any(&["begin", "commit", "end"]).is_some();
    cursor.take_any(&["work", "transaction"]);
    boundary && cursor.at_end()
}

/// `BEGIN ISOLATION LEVEL …`, `COMMIT AND CHAIN`, `PREPARE TRANSACTION`: pgtune's own transactions
/// leave no room for them.
pub(super) fn manages_transactions(mut cursor: Cursor<'_>) -> bool {
    let heads: [&[&str]; 3] = [&["prepare", "transaction"], &["commit"], &["end"]];
    let begins = cursor.sees(&["begin"]) || cursor.sees(&["start", "transaction"]);
    let prepared = cursor.sees(&["commit", "prepared"]);
    let manages = !prepared && (begins || heads.iter().any(|head| cursor.sees(head)));
    cursor.skip();
    manages && !cursor.at_end()
}

/// Statements that call `PreventInTransactionBlock` in the server (utility.c and below).
pub(super) fn runs_alone(cursor: Cursor<'_>) -> bool {
    const HEADS: &[&[&str]] = &[
        &["vacuum"],
        &["create", "database"],
        &["drop", "database"],
        &["create", "tablespace"],
        &["drop", "tablespace"],
        &["alter", "system"],
        &["create", "subscription"],
        &["drop", "subscription"],
        &["discard", "all"],
        &["commit", "prepared"],
        &["rollback", "prepared"],
        &["create", "index", "concurrently"],
        &["create", "unique", "index", "concurrently"],
        &["drop", "index", "concurrently"],
    ];
    HEADS.iter().any(|head| cursor.sees(head))
        || whole_database(cursor.clone())
        || (cursor.sees(&["reindex"]) && cursor.clone().skip_to(&["concurrently"]))
        || (cursor.sees(&["alter", "database"]) && cursor.clone().skip_to(&["set", "tablespace"]))
}

/// Whether a statement that runs alone changes more than its own database.
pub fn leaves_its_database(text: &str) -> bool {
    const HEADS: &[&[&str]] = &[
        &["create", "database"],
        &["drop", "database"],
        &["alter", "database"],
        &["create", "tablespace"],
        &["drop", "tablespace"],
        &["alter", "system"],
        &["commit", "prepared"],
        &["rollback", "prepared"],
    ];
    begins_with(text, HEADS)
}

/// Whether a statement that runs alone reads the table which it locks from end to end.
pub fn reads_its_table(text: &str) -> bool {
    begins_with(text, &[&["vacuum"], &["cluster"], &["reindex"], &["create"]])
}

/// Whether what a statement writes anew is an empty table: TRUNCATE, also in code that does not
/// alter any.
pub fn empties_its_tables(statement: &Statement) -> bool {
    if !statement.runs_code() {
        return begins_with(&statement.text, &[&["truncate"]]);
    }
    let code = statement.text.to_lowercase();
    let says = |word| Ident::from_sql(word).is_mentioned_in(&code);
    says("truncate") && !["alter", "cluster", "full"].into_iter().any(says)
}

fn begins_with(text: &str, heads: &[&[&str]]) -> bool {
    let tokens: Vec<_> = tokens(text).filter(|token| token.kind != TokenKind::Comment).collect();
    let cursor = Cursor::new(text, &tokens);
    heads.iter().any(|head| cursor.sees(head))
}

/// `REINDEX SCHEMA | DATABASE | SYSTEM`, and `CLUSTER` without a table.
fn whole_database(mut cursor: Cursor<'_>) -> bool {
    if cursor.take(&["cluster"]) {
        cursor.take_group();
        cursor.take(&["verbose"]);
        return cursor.at_end();
    }
    if !cursor.take(&["reindex"]) {
        return false;
    }
    cursor.take_group();
    cursor.take_any(&["schema", "database", "system"]).is_some()
}

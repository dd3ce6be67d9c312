//! Which locks a statement takes on which tables, as the manual says (section 13.3.1 and the page
//! of each command). What is unknown is left out; `pgtune check` measures.

use serde::{Deserialize, Serialize};

use super::statement::Name;
use super::tokens::Cursor;
use crate::model::lock::LockMode;

/// A lock on a table, by the name the statement uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLock {
    /// How strong.
    pub mode: LockMode,
    /// On what.
    pub table: Name,
}

/// The locks that a statement takes, from its head.
pub fn locks(cursor: Cursor<'_>) -> Vec<TableLock> {
    let readers: [fn(Cursor<'_>) -> Vec<TableLock>; 6] =
        [alter_table, drop_or_truncate, create, rewrite, lock_table, write_rows];
    readers.iter().map(|read| read(cursor.clone())).find(|l| !l.is_empty()).unwrap_or_default()
}

fn one(mode: LockMode, table: Option<Name>) -> Vec<TableLock> {
    table.into_iter().map(|table| TableLock { mode, table }).collect()
}

/// `ALTER TABLE`: the strongest of its actions (`AlterTableGetLockLevel` in tablecmds.c).
fn alter_table(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    if !cursor.take(&["alter", "table"]) {
        return Vec::new();
    }
    cursor.take(&["if", "exists"]);
    cursor.take(&["only"]);
    let Some(table) = cursor.take_name() else { return Vec::new() };
    let mut mode = LockMode::ShareUpdateExclusive;
    let mut locks = Vec::new();
    for mut action in cursor.split_commas() {
        let (action_mode, other) = alter_table_action(&mut action);
        mode = mode.max(action_mode);
        locks.extend(other);
    }
    locks.insert(0, TableLock { mode, table });
    locks
}

/// The lock of one action on the table itself, and on another table.
fn alter_table_action(action: &mut Cursor<'_>) -> (LockMode, Option<TableLock>) {
    let other = |mode, table: Option<Name>| table.map(|table| TableLock { mode, table });
    if action.take(&["validate", "constraint"]) || action.take(&["cluster", "on"]) {
        return (LockMode::ShareUpdateExclusive, None);
    }
    if action.take(&["attach", "partition"]) {
        let lock = other(LockMode::AccessExclusive, action.take_name());
        return (LockMode::ShareUpdateExclusive, lock);
    }
    if action.take(&["detach", "partition"]) {
        let child = action.take_name();
        let parent = match action.take_any(&["concurrently", "finalize"]) {
            Some(_) => LockMode::ShareUpdateExclusive,
            None => LockMode::AccessExclusive,
        };
        return (parent, other(LockMode::AccessExclusive, child));
    }
    if action.sees(&["alter"]) && action.clone().skip_to(&["set", "statistics"]) {
        return (LockMode::ShareUpdateExclusive, None);
    }
    if action.take_any(&["enable", "disable"]).is_some() {
        action.take_any(&["always", "replica"]);
        let rows = action.take_any(&["row", "rule"]).is_some();
        let mode = if rows { LockMode::AccessExclusive } else { LockMode::ShareRowExclusive };
        return (mode, None);
    }
    if storage_parameters(action.clone()) {
        return (LockMode::ShareUpdateExclusive, None);
    }
    let foreign_key = action.clone().skip_to(&["foreign", "key"]);
    let adds_column = action.sees(&["add", "column"]);
    let references = action.skip_to(&["references"]) && action.take(&["references"]);
    let referenced = references.then(|| action.take_name()).flatten();
    let mode = match foreign_key && !adds_column {
        true => LockMode::ShareRowExclusive,
        false => LockMode::AccessExclusive,
    };
    (mode, other(LockMode::ShareRowExclusive, referenced))
}

/// `SET (fillfactor = …)` and `RESET (…)`, also of a column; not `SET SCHEMA` and the like.
fn storage_parameters(mut action: Cursor<'_>) -> bool {
    if action.take(&["alter"]) {
        action.take(&["column"]);
        action.take_ident();
    }
    action.take_any(&["set", "reset"]).is_some() && action.take_group().is_some()
}

fn drop_or_truncate(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    let drops = cursor.take(&["drop", "table"]) || cursor.take(&["drop", "materialized", "view"]);
    if !drops && !cursor.take(&["truncate"]) {
        return Vec::new();
    }
    cursor.take(&["table"]);
    cursor.take(&["if", "exists"]);
    cursor.take(&["only"]);
    let mode = LockMode::AccessExclusive;
    cursor.take_names().into_iter().map(|table| TableLock { mode, table }).collect()
}

/// `CREATE INDEX`, `CREATE TRIGGER`, `CREATE RULE`, `CREATE POLICY`, `CREATE TABLE … PARTITION OF`.
fn create(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    if !cursor.take(&["create"]) {
        return Vec::new();
    }
    cursor.take(&["or", "replace"]);
    cursor.take_any(&["unique", "constraint", "unlogged"]);
    let kinds = ["index", "trigger", "rule", "policy", "statistics", "table"];
    let (mode, before) = match cursor.take_any(&kinds) {
        Some("index") if cursor.sees(&["concurrently"]) => (LockMode::ShareUpdateExclusive, "on"),
        Some("index") => (LockMode::Share, "on"),
        Some("trigger") => (LockMode::ShareRowExclusive, "on"),
        Some("rule") => (LockMode::AccessExclusive, "to"),
        Some("policy") => (LockMode::AccessExclusive, "on"),
        Some("statistics") => (LockMode::ShareUpdateExclusive, "from"),
        Some("table") => (LockMode::AccessExclusive, "of"),
        Some(_) | None => return Vec::new(),
    };
    let referenced = if before == "of" { references(cursor.clone()) } else { Vec::new() };
    if !cursor.skip_to(&[before]) {
        return referenced;
    }
    cursor.skip();
    cursor.take(&["only"]);
    let mut locks = one(mode, cursor.take_name());
    locks.extend(referenced);
    locks
}

/// The tables that foreign keys of a new table refer to: each gets triggers.
fn references(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    let mut locks = Vec::new();
    while cursor.skip_to(&["references"]) {
        cursor.skip();
        locks.extend(one(LockMode::ShareRowExclusive, cursor.take_name()));
    }
    locks
}

/// `CLUSTER`, `REINDEX TABLE`, `REFRESH MATERIALIZED VIEW`, `VACUUM`.
fn rewrite(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    if cursor.take(&["refresh", "materialized", "view"]) {
        let concurrently = cursor.take(&["concurrently"]);
        let mode = if concurrently { LockMode::Exclusive } else { LockMode::AccessExclusive };
        return one(mode, cursor.take_name());
    }
    if cursor.take(&["vacuum"]) {
        let full = cursor.clone().skip_to(&["full"]);
        cursor.take_group();
        while cursor.take_any(&["full", "freeze", "verbose", "analyze"]).is_some() {}
        let weak = LockMode::ShareUpdateExclusive;
        return one(if full { LockMode::AccessExclusive } else { weak }, cursor.take_name());
    }
    if cursor.take(&["cluster"]) {
        cursor.take(&["verbose"]);
        return one(LockMode::AccessExclusive, cursor.take_name());
    }
    if cursor.take(&["reindex"]) {
        cursor.take_group();
        if cursor.take(&["table"]) {
            let concurrently = cursor.take(&["concurrently"]);
            let weak = LockMode::ShareUpdateExclusive;
            return one(if concurrently { weak } else { LockMode::Share }, cursor.take_name());
        }
    }
    Vec::new()
}

/// `LOCK TABLE a, b IN SHARE MODE`; without a mode it is the strongest.
fn lock_table(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    if !cursor.take(&["lock"]) {
        return Vec::new();
    }
    cursor.take(&["table"]);
    cursor.take(&["only"]);
    let tables = cursor.take_names();
    let mode = if cursor.take(&["in"]) {
        let words = cursor.words().map(|(_, word)| word.to_uppercase());
        let words: Vec<String> = words.take_while(|word| word != "MODE").collect();
        LockMode::ALL.into_iter().find(|mode| mode.to_string() == words.join(" "))
    } else {
        Some(LockMode::AccessExclusive)
    };
    let lock = |table| Some(TableLock { mode: mode?, table });
    tables.into_iter().filter_map(lock).collect()
}

fn write_rows(mut cursor: Cursor<'_>) -> Vec<TableLock> {
    let heads: [&[&str]; 4] =
        [&["insert", "into"], &["update"], &["delete", "from"], &["merge", "into"]];
    if !heads.iter().any(|head| cursor.take(head)) {
        return Vec::new();
    }
    cursor.take(&["only"]);
    one(LockMode::RowExclusive, cursor.take_name())
}

#[cfg(test)]
mod tests {
    use super::super::split::split;
    use super::*;

    fn shown(sql: &str) -> String {
        let pieces = split(sql).unwrap();
        locks(Cursor::new(sql, &pieces[0].tokens))
            .iter()
            .map(|l| {
                let name: Vec<String> = l.table.iter().map(ToString::to_string).collect();
                format!("{} on {}", l.mode, name.join("."))
            })
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn locks_follow_the_manual() {
        for (sql, expected) in [
            ("alter table a.t add column c int", "ACCESS EXCLUSIVE on a.t"),
            ("alter table t validate constraint c", "SHARE UPDATE EXCLUSIVE on t"),
            ("alter table t alter c set statistics 500", "SHARE UPDATE EXCLUSIVE on t"),
            ("alter table t set (fillfactor = 70)", "SHARE UPDATE EXCLUSIVE on t"),
            ("alter table t set (fillfactor = 70), drop column c", "ACCESS EXCLUSIVE on t"),
            (
                "alter table t add constraint f foreign key (a) references u (a)",
                "SHARE ROW EXCLUSIVE on t, SHARE ROW EXCLUSIVE on u",
            ),
            (
                "alter table p attach partition c default",
                "SHARE UPDATE EXCLUSIVE on p, ACCESS EXCLUSIVE on c",
            ),
            ("alter table p detach partition c", "ACCESS EXCLUSIVE on p, ACCESS EXCLUSIVE on c"),
            ("drop table if exists a, b cascade", "ACCESS EXCLUSIVE on a, ACCESS EXCLUSIVE on b"),
            ("truncate only t", "ACCESS EXCLUSIVE on t"),
            ("create index i on t (a)", "SHARE on t"),
            (
                "create trigger g before insert on t execute function f()",
                "SHARE ROW EXCLUSIVE on t",
            ),
            ("create table c partition of p default", "ACCESS EXCLUSIVE on p"),
            ("create table c (a int)", ""),
            (
                "create table c (a int references p, foreign key (a) references s.q (b))",
                "SHARE ROW EXCLUSIVE on p, SHARE ROW EXCLUSIVE on s.q",
            ),
            ("alter table t reset (fillfactor)", "SHARE UPDATE EXCLUSIVE on t"),
            ("alter table t alter c set (n_distinct = 5)", "SHARE UPDATE EXCLUSIVE on t"),
            ("alter table t alter c set default 5", "ACCESS EXCLUSIVE on t"),
            ("alter table t enable always rule r", "ACCESS EXCLUSIVE on t"),
            ("alter table t enable replica trigger g", "SHARE ROW EXCLUSIVE on t"),
            ("reindex (verbose) table concurrently t", "SHARE UPDATE EXCLUSIVE on t"),
            ("lock table a, b in share mode nowait", "SHARE on a, SHARE on b"),
            ("lock only t", "ACCESS EXCLUSIVE on t"),
            ("vacuum (full) t", "ACCESS EXCLUSIVE on t"),
            ("refresh materialized view concurrently m", "EXCLUSIVE on m"),
            ("insert into t select 1", "ROW EXCLUSIVE on t"),
            ("select 1", ""),
        ] {
            assert_eq!(shown(sql), expected, "{sql}");
        }
    }
}

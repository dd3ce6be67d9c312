//! What a statement does, as far as the planner must know it: read from its head, not guessed.
//!
//! Only heads that change how a statement is run are told apart; all others are [`Kind::Other`]
//! and run as they stand, inside their file's transaction.

use serde::{Deserialize, Serialize};

use super::column_name::element_name;
use super::setting::{Set, set, set_config};
use super::split::{Piece, SyntaxError};
use super::tokens::{Cursor, Kind as TokenKind, tokens};
use super::transaction::{is_boundary, manages_transactions, runs_alone};
use crate::model::ident::Ident;

/// A name as written: one to three parts.
pub type Name = Vec<Ident>;

/// What kind of statement it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `CREATE INDEX`
    CreateIndex(CreateIndex),
    /// `DROP INDEX`
    DropIndex(DropIndex),
    /// `REINDEX INDEX` and `REINDEX TABLE`
    Reindex(Reindex),
    /// `ALTER TABLE … ADD PRIMARY KEY` or `ADD UNIQUE`, as the only action
    AddKey(AddKey),
    /// `CREATE TABLE`, `CREATE TABLE AS`, `CREATE MATERIALIZED VIEW`
    CreateTable(CreateTable),
    /// `DROP TABLE`
    DropTable(Vec<Name>),
    /// `BEGIN`, `START TRANSACTION`, `COMMIT`, `END`: pgtune groups transactions itself
    TransactionBoundary,
    /// `SET`, `RESET` or `SELECT set_config(…)` of a setting that later statements of the file
    /// rely on
    Set(Set),
    /// `ALTER TYPE … ADD VALUE`: the value cannot be used in the same transaction
    AddEnumValue,
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`
    DetachConcurrently(Detach),
    /// Any other statement that PostgreSQL refuses inside a transaction block
    Alone,
    /// Everything else
    Other,
}

/// `CREATE INDEX`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIndex {
    /// UNIQUE
    pub unique: bool,
    /// CONCURRENTLY
    pub concurrently: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// The index's name; PostgreSQL picks one where there is none.
    pub name: Option<Ident>,
    /// ON ONLY
    pub only: bool,
    /// The table.
    pub table: Name,
    /// All behind the table's name: `USING brin (created_at) WHERE …`.
    pub tail: String,
    /// Names PostgreSQL would give the index's columns.
    pub columns: Vec<String>,
}

/// `DROP INDEX`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIndex {
    /// CONCURRENTLY
    pub concurrently: bool,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
    /// What to drop.
    pub names: Vec<Name>,
}

/// `REINDEX`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reindex {
    /// An index or a table.
    pub target: ReindexTarget,
    /// Its name.
    pub name: Name,
    /// CONCURRENTLY, in either place the grammar allows.
    pub concurrently: bool,
    /// Other options in parentheses, as written: `TABLESPACE fast`.
    pub options: Vec<String>,
}

/// What REINDEX works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReindexTarget {
    /// One index, or all of a partitioned index.
    Index,
    /// All indexes of a table.
    Table,
}

/// `ALTER TABLE … ADD [CONSTRAINT name] PRIMARY KEY | UNIQUE (…)`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddKey {
    /// The table.
    pub table: Name,
    /// ALTER TABLE ONLY: leaves the partitions of a partitioned table out.
    pub only: bool,
    /// The constraint's name, where it has one.
    pub name: Option<Ident>,
    /// Otherwise UNIQUE.
    pub primary: bool,
    /// Columns in parentheses and what else belongs to the index: `(a, b) INCLUDE (c)`.
    pub tail: String,
    /// The key's columns.
    pub key: Vec<Ident>,
    /// Key columns and included ones.
    pub columns: Vec<String>,
    /// `DEFERRABLE INITIALLY DEFERRED`, as written; may be empty.
    pub attributes: String,
    /// `NULLS NOT DISTINCT`
    pub nulls_not_distinct: bool,
}

/// `CREATE TABLE` and its kin, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    /// The new table.
    pub name: Name,
    /// IF NOT EXISTS: it may be an old table after all.
    pub if_not_exists: bool,
    /// A temporary table, which lives in no schema of ours.
    pub temporary: bool,
    /// The partitioned table it is created under.
    pub partition_of: Option<Name>,
    /// PARTITION BY, with what follows.
    pub partition_by: Option<String>,
}

/// `ALTER TABLE parent DETACH PARTITION partition CONCURRENTLY`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detach {
    /// The partitioned table.
    pub parent: Name,
    /// The partition.
    pub partition: Name,
}

/// Reads what a statement does. `file` is the text the piece was cut from.
///
/// Errors for statements that no migration can hold: `ROLLBACK`.
pub fn read(file: &str, piece: &Piece<'_>) -> Result<Kind, SyntaxError> {
    let cursor = Cursor::new(file, &piece.tokens);
    let error =
        |message: &str, hint: &str| Err(SyntaxError::at(file, piece.offset, message).hint(hint));
    let partly = [["rollback", "to"], ["rollback", "prepared"]].iter().any(|w| cursor.sees(w));
    if (cursor.sees(&["rollback"]) || cursor.sees(&["abort"])) && !partly {
        return error(
            "a migration cannot roll itself back",
            "take the statement out; a failing migration is rolled back by pgtune",
        );
    }
    let kind = kind(cursor.clone(), piece.as_written);
    if kind == Kind::Other && manages_transactions(cursor) {
        return error(
            "a migration cannot manage transactions",
            "take the statement out: each file runs in as few transactions as it can",
        );
    }
    Ok(kind)
}

/// What a statement does, also where it is marked to run as written.
pub fn kind_of(text: &str) -> Kind {
    let tokens: Vec<_> = tokens(text).filter(|token| token.kind != TokenKind::Comment).collect();
    kind(Cursor::new(text, &tokens), false)
}

fn kind(cursor: Cursor<'_>, as_written: bool) -> Kind {
    let online = (!as_written).then(|| {
        create_index(cursor.clone())
            .map(Kind::CreateIndex)
            .or_else(|| drop_index(cursor.clone()).map(Kind::DropIndex))
            .or_else(|| reindex(cursor.clone()).map(Kind::Reindex))
            .or_else(|| add_key(cursor.clone()).map(Kind::AddKey))
    });
    online
        .flatten()
        .or_else(|| create_table(cursor.clone()).map(Kind::CreateTable))
        .or_else(|| drop_table(cursor.clone()).map(Kind::DropTable))
        .or_else(|| set(cursor.clone()).or_else(|| set_config(cursor.clone())).map(Kind::Set))
        .or_else(|| is_boundary(cursor.clone()).then_some(Kind::TransactionBoundary))
        .or_else(|| add_enum_value(cursor.clone()).then_some(Kind::AddEnumValue))
        .or_else(|| detach_concurrently(cursor.clone()).map(Kind::DetachConcurrently))
        .or_else(|| runs_alone(cursor.clone()).then_some(Kind::Alone))
        .unwrap_or(Kind::Other)
}

fn create_index(mut cursor: Cursor<'_>) -> Option<CreateIndex> {
    if !cursor.take(&["create"]) {
        return None;
    }
    let unique = cursor.take(&["unique"]);
    if !cursor.take(&["index"]) {
        return None;
    }
    let concurrently = cursor.take(&["concurrently"]);
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = if cursor.sees(&["on"]) { None } else { Some(cursor.take_ident()?) };
    if !cursor.take(&["on"]) {
        return None;
    }
    let only = cursor.take(&["only"]);
    let table = cursor.take_name()?;
    let tail = cursor.rest().to_string();
    let columns = index_columns(cursor);
    Some(CreateIndex { unique, concurrently, if_not_exists, name, only, table, tail, columns })
}

/// The names of an index's columns: key columns first, then INCLUDE.
fn index_columns(mut cursor: Cursor<'_>) -> Vec<String> {
    if cursor.take(&["using"]) {
        cursor.skip();
    }
    let keys = cursor.take_group();
    let included = if cursor.take(&["include"]) { cursor.take_group() } else { None };
    keys.into_iter()
        .chain(included)
        .flat_map(|group| group.split_commas())
        .map(element_name)
        .collect()
}

fn drop_index(mut cursor: Cursor<'_>) -> Option<DropIndex> {
    if !cursor.take(&["drop", "index"]) {
        return None;
    }
    let concurrently = cursor.take(&["concurrently"]);
    let if_exists = cursor.take(&["if", "exists"]);
    let names = cursor.take_names();
    let cascade = cursor.take(&["cascade"]);
    cursor.take(&["restrict"]);
    (cursor.at_end() && !names.is_empty()).then_some(DropIndex {
        concurrently,
        if_exists,
        cascade,
        names,
    })
}

fn reindex(mut cursor: Cursor<'_>) -> Option<Reindex> {
    if !cursor.take(&["reindex"]) {
        return None;
    }
    let mut concurrently = false;
    let mut options = Vec::new();
    if let Some(group) = cursor.take_group() {
        for mut option in group.split_commas() {
            if option.take(&["concurrently"]) {
                concurrently |= option.take_any(&["false", "off"]).is_none();
            } else {
                options.push(option.rest().to_string());
            }
        }
    }
    let target = match cursor.take_any(&["index", "table"])? {
        "index" => ReindexTarget::Index,
        _ => ReindexTarget::Table,
    };
    concurrently |= cursor.take(&["concurrently"]);
    let name = cursor.take_name()?;
    cursor.at_end().then_some(Reindex { target, name, concurrently, options })
}

fn add_key(mut cursor: Cursor<'_>) -> Option<AddKey> {
    if !cursor.take(&["alter", "table"]) {
        return None;
    }
    cursor.take(&["if", "exists"]);
    let only = cursor.take(&["only"]);
    let table = cursor.take_name()?;
    if !cursor.take(&["add"]) {
        return None;
    }
    let name = if cursor.take(&["constraint"]) { Some(cursor.take_ident()?) } else { None };
    let primary = cursor.take(&["primary", "key"]);
    if !primary && !cursor.take(&["unique"]) {
        return None;
    }
    let nulls_not_distinct = cursor.take(&["nulls", "not", "distinct"]);
    if !nulls_not_distinct {
        cursor.take(&["nulls", "distinct"]);
    }
    let start = cursor.clone();
    let key = cursor.take_group()?;
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for mut item in key.split_commas() {
        let name = item.take_ident().filter(|_| item.at_end())?;
        columns.push(name.as_str().to_string());
        names.push(name);
    }
    if cursor.take(&["include"]) {
        for mut item in cursor.take_group()?.split_commas() {
            columns.push(item.take_ident()?.as_str().to_string());
        }
    }
    if cursor.take(&["with"]) {
        cursor.take_group()?;
    }
    if cursor.take(&["using", "index", "tablespace"]) {
        return None; // CREATE INDEX spells the tablespace otherwise; rare enough to run as written
    }
    let attributes = cursor.rest();
    if attributes.contains(',') {
        return None; // more actions follow
    }
    let tail = start.rest().strip_suffix(attributes)?.trim_end().to_string();
    Some(AddKey {
        table,
        only,
        name,
        primary,
        tail,
        key: names,
        columns,
        attributes: attributes.to_string(),
        nulls_not_distinct,
    })
}

fn create_table(mut cursor: Cursor<'_>) -> Option<CreateTable> {
    if !cursor.take(&["create"]) {
        return None;
    }
    cursor.take_any(&["global", "local"]);
    let temporary = cursor.take_any(&["temporary", "temp"]).is_some();
    cursor.take(&["unlogged"]);
    if !cursor.take(&["table"]) && !cursor.take(&["materialized", "view"]) {
        return None;
    }
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = cursor.take_name()?;
    let partition_of =
        if cursor.take(&["partition", "of"]) { Some(cursor.take_name()?) } else { None };
    let partition_by = partition_by(cursor);
    Some(CreateTable { name, if_not_exists, temporary, partition_of, partition_by })
}

/// `PARTITION BY …`, behind the column list (inside it, the words would be column names).
fn partition_by(mut cursor: Cursor<'_>) -> Option<String> {
    while !cursor.at_end() {
        if cursor.take(&["partition", "by"]) {
            return Some(cursor.rest().to_string());
        }
        if cursor.take_group().is_none() {
            cursor.skip();
        }
    }
    None
}

fn drop_table(mut cursor: Cursor<'_>) -> Option<Vec<Name>> {
    if !cursor.take(&["drop", "table"]) {
        return None;
    }
    cursor.take(&["if", "exists"]);
    Some(cursor.take_names())
}

fn add_enum_value(mut cursor: Cursor<'_>) -> bool {
    cursor.take(&["alter", "type"])
        && cursor.take_name().is_some()
        && cursor.take(&["add", "value"])
}

fn detach_concurrently(mut cursor: Cursor<'_>) -> Option<Detach> {
    if !cursor.take(&["alter", "table"]) {
        return None;
    }
    cursor.take(&["if", "exists"]);
    let parent = cursor.take_name()?;
    if !cursor.take(&["detach", "partition"]) {
        return None;
    }
    let partition = cursor.take_name()?;
    cursor.take(&["concurrently"]).then_some(Detach { parent, partition })
}

#[cfg(test)]
mod tests {
    use super::super::split::split;
    use super::*;

    fn kind_of(sql: &str) -> Kind {
        let pieces = split(sql).unwrap();
        read(sql, &pieces[0]).unwrap()
    }

    #[test]
    fn takes_create_index_apart() {
        let Kind::CreateIndex(index) = kind_of(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"My Idx\" ON ONLY app.events \
             USING btree (a, lower(b) desc, (c + 1)) INCLUDE (d) WHERE a > 0;",
        ) else {
            panic!("no CREATE INDEX")
        };
        assert!(index.unique && index.concurrently && index.if_not_exists && index.only);
        assert_eq!(index.name.unwrap().as_str(), "My Idx");
        assert_eq!(index.table.iter().map(Ident::as_str).collect::<Vec<_>>(), ["app", "events"]);
        assert!(index.tail.starts_with("USING btree (a") && index.tail.ends_with("WHERE a > 0"));
        assert_eq!(index.columns, ["a", "lower", "expr", "d"]);
    }

    #[test]
    fn an_index_needs_no_name() {
        let Kind::CreateIndex(index) = kind_of("create index on t using gin (doc)") else {
            panic!("no CREATE INDEX")
        };
        assert_eq!((index.name, index.tail.as_str()), (None, "using gin (doc)"));
        assert_eq!(index.columns, ["doc"]);
    }

    #[test]
    fn the_opt_out_leaves_statements_as_they_are() {
        assert_eq!(kind_of("-- pgtune: as-written\ncreate index a on t (x)"), Kind::Other);
        let alone = "-- pgtune: as-written\ncreate index concurrently a on t (x)";
        assert_eq!(kind_of(alone), Kind::Alone);
    }

    #[test]
    fn takes_keys_apart() {
        let Kind::AddKey(key) = kind_of(
            "alter table t add constraint u unique nulls not distinct (a, \"B\") include (c) \
             with (fillfactor = 70) deferrable",
        ) else {
            panic!("no key")
        };
        assert!(!key.primary && key.nulls_not_distinct);
        assert_eq!(key.tail, "(a, \"B\") include (c) with (fillfactor = 70)");
        assert_eq!((key.attributes.as_str(), key.columns.len()), ("deferrable", 3));
        assert!(matches!(kind_of("alter table t add primary key (id)"), Kind::AddKey(_)));
        for other in [
            "alter table t add unique using index i",
            "alter table t add unique (a), add b int",
            "alter table t add column c int primary key",
        ] {
            assert_eq!(kind_of(other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn knows_what_runs_alone() {
        for sql in [
            "vacuum (analyze) t",
            "reindex schema s",
            "reindex (verbose) database d",
            "cluster",
            "cluster verbose",
            "create subscription s connection '' publication p",
            "commit prepared 'x'",
            "alter database d set tablespace fast",
        ] {
            assert_eq!(kind_of(sql), Kind::Alone, "{sql}");
        }
        let detach = kind_of("alter table p detach partition a.c concurrently");
        assert!(matches!(detach, Kind::DetachConcurrently(d) if d.partition.len() == 2));
        for sql in ["cluster t using i", "alter table p detach partition c", "analyze t"] {
            assert_eq!(kind_of(sql), Kind::Other, "{sql}");
        }
    }

    #[test]
    fn reads_tables_and_partitions() {
        let Kind::CreateTable(table) = kind_of(
            "create unlogged table if not exists s.t (a int, partition text) partition by hash (a)",
        ) else {
            panic!("no table")
        };
        assert_eq!(table.partition_by.as_deref(), Some("hash (a)"));
        let Kind::CreateTable(table) = kind_of("create table c partition of s.t default") else {
            panic!("no table")
        };
        assert_eq!(table.partition_of.unwrap().len(), 2);
        assert_eq!(table.partition_by, None);
    }

    #[test]
    fn refuses_what_no_migration_can_hold() {
        for sql in [
            "rollback",
            "abort",
            "begin isolation level serializable",
            "start transaction read only",
            "commit and chain",
            "prepare transaction 'x'",
        ] {
            let pieces = split(sql).unwrap();
            assert!(!read(sql, &pieces[0]).unwrap_err().hint.is_empty(), "{sql}");
        }
        for sql in ["commit prepared 'x'", "rollback prepared 'x'"] {
            assert_eq!(kind_of(sql), Kind::Alone);
        }
        for sql in ["begin", "BEGIN WORK", "commit transaction", "end", "start transaction"] {
            assert_eq!(kind_of(sql), Kind::TransactionBoundary, "{sql}");
        }
    }
}

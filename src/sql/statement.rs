//! What a statement does, as far as the planner must know it: read from its head, not guessed.
//!
//! Only heads that change how a statement is run are told apart; all others are [`Kind::Other`]
//! and run as they stand, inside their file's transaction.

use serde::{Deserialize, Serialize};

use super::column_name::element_name;
use super::split::{Piece, SyntaxError};
use super::tokens::{Cursor, Kind as TokenKind, tokens};
use crate::model::ident::{Ident, parse_name};

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

/// `SET name = value`, `RESET name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `SET LOCAL` and `SET TRANSACTION`: gone with the transaction.
    pub local: bool,
    /// The same for later transactions of the file, which were one in the author's mind; `None`
    /// for what makes sense in one transaction only.
    pub again: Option<String>,
    /// What `search_path` becomes, when it is set.
    pub search_path: Option<SearchPath>,
}

/// What `search_path` becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchPath {
    /// These schemas.
    To(Vec<Ident>),
    /// What the session began with.
    Default,
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
        .or_else(|| transaction_boundary(cursor.clone()).then_some(Kind::TransactionBoundary))
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

fn set(mut cursor: Cursor<'_>) -> Option<Set> {
    let text = cursor.rest().to_string();
    if cursor.take(&["reset"]) {
        let search_path = cursor.take_any(&["all", "search_path"]).map(|_| SearchPath::Default);
        return Some(Set { local: false, again: Some(text), search_path });
    }
    if !cursor.take(&["set"]) {
        return None;
    }
    if cursor.take_any(&["constraints", "transaction"]).is_some() {
        return Some(Set { local: true, again: None, search_path: None });
    }
    let local = cursor.take(&["local"]);
    if cursor.take(&["session"]) && cursor.sees(&["characteristics"]) {
        return Some(Set { local: false, again: Some(text), search_path: None });
    }
    let again = Some(format!("SET {}", cursor.rest()));
    if cursor.take(&["schema"]) {
        let search_path = Some(SearchPath::To(schema_in_path(&mut cursor).into_iter().collect()));
        return Some(Set { local, again, search_path });
    }
    let search_path = cursor.take(&["search_path"]).then(|| {
        if !cursor.take(&["to"]) {
            cursor.take_kind(TokenKind::Other);
        }
        if cursor.take(&["default"]) {
            return SearchPath::Default;
        }
        let mut schemas = cursor.split_commas();
        SearchPath::To(schemas.iter_mut().filter_map(schema_in_path).collect())
    });
    Some(Set { local, again, search_path })
}

/// `SELECT pg_catalog.set_config('search_path', '', false)`, as pg_dump writes it.
fn set_config(mut cursor: Cursor<'_>) -> Option<Set> {
    let text = cursor.rest().to_string();
    if !cursor.take(&["select"]) {
        return None;
    }
    let name = cursor.take_name()?;
    let arguments = cursor.take_group()?.split_commas();
    let [setting, value, local] = arguments.as_slice() else { return None };
    if name.last()?.as_str() != "set_config" || !cursor.at_end() {
        return None;
    }
    let unquoted = |text: &Cursor<'_>| text.rest().trim_matches('\'').to_string();
    let schemas = || SearchPath::To(parse_path(&unquoted(value)));
    let search_path = (unquoted(setting) == "search_path").then(schemas);
    let local = !local.sees(&["false"]);
    Some(Set { local, again: Some(text).filter(|_| !local), search_path })
}

/// The schemas of a search_path in a string.
fn parse_path(text: &str) -> Vec<Ident> {
    let schemas = text.split(',').map(str::trim).filter(|schema| !schema.is_empty());
    schemas.filter_map(|schema| parse_name(schema)?.pop()).collect()
}

/// A schema in `SET search_path`: a name, or a name in a string.
fn schema_in_path(item: &mut Cursor<'_>) -> Option<Ident> {
    let schema = item.take_ident().or_else(|| Ident::new(item.rest().trim_matches('\'')).ok());
    // "$user" means a schema of the role's name, which hardly anybody has.
    schema.filter(|schema| schema.as_str() != "$user")
}

/// `BEGIN`, `COMMIT` and `END` with or without a word behind them; options would be lost.
fn transaction_boundary(mut cursor: Cursor<'_>) -> bool {
    if cursor.take(&["start", "transaction"]) {
        return cursor.at_end();
    }
    let boundary = cursor.take_any(&["begin", "commit", "end"]).is_some();
    cursor.take_any(&["work", "transaction"]);
    boundary && cursor.at_end()
}

/// `BEGIN ISOLATION LEVEL …`, `COMMIT AND CHAIN`, `PREPARE TRANSACTION`: pgtune's own transactions
/// leave no room for them.
fn manages_transactions(mut cursor: Cursor<'_>) -> bool {
    let heads: [&[&str]; 3] = [&["prepare", "transaction"], &["commit"], &["end"]];
    let begins = cursor.sees(&["begin"]) || cursor.sees(&["start", "transaction"]);
    let prepared = cursor.sees(&["commit", "prepared"]);
    let manages = !prepared && (begins || heads.iter().any(|head| cursor.sees(head)));
    cursor.skip();
    manages && !cursor.at_end()
}

fn add_enum_value(mut cursor: Cursor<'_>) -> bool {
    cursor.take(&["alter", "type"])
        && cursor.take_name().is_some()
        && cursor.take(&["add", "value"])
}

/// Statements that call `PreventInTransactionBlock` in the server (utility.c and below).
fn runs_alone(cursor: Cursor<'_>) -> bool {
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
    let tokens: Vec<_> = tokens(text).filter(|token| token.kind != TokenKind::Comment).collect();
    let cursor = Cursor::new(text, &tokens);
    HEADS.iter().any(|head| cursor.sees(head))
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
    fn reads_settings() {
        let Kind::Set(set) = kind_of("SET search_path TO app, \"$user\", 'public'") else {
            panic!("no SET")
        };
        let Some(SearchPath::To(path)) = set.search_path else { panic!("no schemas") };
        let path: Vec<String> = path.iter().map(|i| i.as_str().to_string()).collect();
        assert_eq!(path, ["app", "public"]);
        assert!(matches!(
            kind_of("set local work_mem = '1GB'"),
            Kind::Set(Set { local: true, .. })
        ));
        for sql in ["reset all", "RESET search_path", "set search_path = default"] {
            let Kind::Set(set) = kind_of(sql) else { panic!("{sql}") };
            assert_eq!(set.search_path, Some(SearchPath::Default), "{sql}");
        }
    }

    #[test]
    fn reads_set_config_and_reset_as_settings() {
        let sql = "SELECT pg_catalog.set_config('search_path', 'app, \"B\"', false)";
        let Kind::Set(Set { local: false, search_path: Some(path), .. }) = kind_of(sql) else {
            panic!("no setting")
        };
        let schemas = vec![Ident::new("app").unwrap(), Ident::new("B").unwrap()];
        assert_eq!(path, SearchPath::To(schemas));
        let local = kind_of("select set_config('work_mem', '1MB', true)");
        assert_eq!(local, Kind::Set(Set { local: true, again: None, search_path: None }));
        let again = |sql: &str| {
            let Kind::Set(set) = kind_of(sql) else { panic!("{sql}") };
            set.again
        };
        assert_eq!(again("reset role").as_deref(), Some("reset role"));
        assert_eq!(again("set local work_mem = '1GB'").as_deref(), Some("SET work_mem = '1GB'"));
        assert_eq!(again("set session a.b to c").as_deref(), Some("SET a.b to c"));
        let Kind::Set(set) = kind_of("set schema 'App'") else { panic!("no SET") };
        assert_eq!(set.search_path, Some(SearchPath::To(vec![Ident::new("App").unwrap()])));
        assert_eq!(kind_of("select set_config('a.b', c, true) from t"), Kind::Other);
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

//! What archiving asks a server: a table's shape and contents, the same on every version.

use std::collections::BTreeMap;
use std::fmt;

use postgres::Row;
use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::archive::{Column, Contents, KeyRange, Lineage, Shape};
use crate::model::below::{Below, Part};
use crate::model::catalog::RelationKind;
use crate::model::ident::{Ident, QualifiedName};

/// Makes values into the same text everywhere, whatever role, database and server have set, and
/// reads it back. `row_security = off` turns hidden rows into an error.
const PINS: &str = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; \
    SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = 'content'; SET LOCAL row_security = off; \
    SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'";

/// With it, names in values (`regclass`) and in definitions are written in full.
const FULL_NAMES: &str = "SET LOCAL search_path = ''";

/// The rows of a table: its own, or those of its partitions where it is partitioned. `Display` is
/// what follows FROM and LOCK TABLE.
#[derive(Debug, Clone)]
pub struct Rows {
    table: QualifiedName,
    of_partitions: bool,
}

impl Rows {
    /// Those of a table of that shape.
    pub fn of(table: &QualifiedName, shape: &Shape) -> Rows {
        Rows { table: table.clone(), of_partitions: shape.below.is_some() }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = if self.of_partitions { "" } else { "ONLY " };
        write!(f, "{only}{}", self.table)
    }
}

/// A table as it is described in the archive of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its columns, constraints and indexes.
    pub shape: Shape,
    /// Where it hangs, while it is a partition.
    pub lineage: Option<Lineage>,
    /// `server_version`.
    pub server_version: String,
    /// The server's clock at the start of the transaction: RFC 3339, UTC.
    pub at: String,
    /// The write-ahead log's position.
    pub lsn: String,
}

/// Begins a transaction that sees one moment and writes nothing.
pub fn begin_snapshot(session: &mut Session) -> Result<()> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    run(session, &format!("{begin}; {PINS}; {FULL_NAMES}"))
}

/// Begins a transaction that loads rows, and lets nobody else write there. Names are looked up as
/// usual, for the sake of generated columns.
pub fn begin_load(session: &mut Session, rows: &Rows) -> Result<()> {
    run(session, &format!("BEGIN; {PINS}; LOCK TABLE {rows} IN SHARE ROW EXCLUSIVE MODE"))
}

/// After loading, before [`describe`] and [`summarize`].
pub fn use_full_names(session: &mut Session) -> Result<()> {
    run(session, FULL_NAMES)
}

/// Ends the transaction well.
pub fn commit(session: &mut Session) -> Result<()> {
    run(session, "COMMIT")
}

/// Keeps writers away from the rows until the transaction of the caller ends, and asks `look` with
/// the settings of a snapshot, of which nothing stays behind. Partitions are locked after their
/// table, as everybody does.
pub fn look_in_transaction<T>(
    session: &mut Session,
    rows: &Rows,
    look: impl FnOnce(&mut Session) -> Result<T>,
) -> Result<T> {
    run(session, &format!("LOCK TABLE {rows} IN SHARE MODE"))?;
    run(session, &format!("SAVEPOINT pgtune_archive; {PINS}; {FULL_NAMES}"))?;
    let seen = look(session)?;
    run(session, "ROLLBACK TO SAVEPOINT pgtune_archive; RELEASE SAVEPOINT pgtune_archive")?;
    Ok(seen)
}

/// Reads a table's shape and place. Errors where there is no table of that name, or none that can
/// be archived.
pub fn describe(session: &mut Session, table: &QualifiedName) -> Result<Description> {
    let name = table.to_string();
    let mut ask = |sql| {
        let rows = session.query(sql, &[(&name, Type::TEXT)]);
        rows.map_err(|failure: Failure| failure.explain(&format!("cannot describe {table}")))
    };
    let tables = ask(include_str!("sql/archive_table.sql"))?;
    let Some(row) = tables.first() else {
        return Err(Error::usage(format!("there is no table {table}")));
    };
    let below = match (row.get(0), row.get::<_, Option<&str>>(8)) {
        ("r", _) => Ok(None),
        ("p", Some(key)) => below(key, &ask(include_str!("sql/archive_parts.sql"))?)?.map(Some),
        _ => Err("it has no rows of its own".to_string()),
    };
    let below = below.map_err(|why| {
        let error = Error::usage(format!("{table} is no ordinary table: {why}"));
        error.hint("archive its partitions one by one")
    })?;
    let columns = ask(include_str!("sql/archive_columns.sql"))?;
    let columns = columns.iter().map(column).collect::<Result<_>>()?;
    let (mut constraints, mut indexes) = (BTreeMap::new(), BTreeMap::new());
    for row in ask(include_str!("sql/archive_definitions.sql"))? {
        let into = if row.get(2) { &mut constraints } else { &mut indexes };
        into.insert(ident(row.get(0))?, row.get(1));
    }
    Ok(Description {
        shape: Shape { columns, constraints, indexes, below },
        lineage: lineage(row)?,
        server_version: row.get(5),
        at: row.get(6),
        lsn: row.get::<_, Option<String>>(7).unwrap_or_default(),
    })
}

/// How a table is partitioned by `key` into the rows of `archive_parts.sql`; the inner error is
/// what cannot be archived.
fn below(key: &str, rows: &[Row]) -> Result<std::result::Result<Below, String>> {
    let name = |row: &Row| Ok(QualifiedName::new(ident(row.get(0))?, ident(row.get(1))?));
    let names = rows.iter().map(name).collect::<Result<Vec<_>>>()?;
    let parts: Vec<Part<'_>> = rows.iter().zip(&names).map(part).collect();
    Ok(Below::of(key, &parts))
}

fn part<'a>((row, name): (&'a Row, &'a QualifiedName)) -> Part<'a> {
    let kind = match row.get(2) {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        _ => RelationKind::ForeignTable,
    };
    Part { name, kind, bound: row.get(3) }
}

/// Counts and hashes all rows of a table, in one query: `columns` decide, in that order.
///
/// A row's hash is the first 64 bits of the SHA-256 of its text in UTF-8. SHA-256 is the same by
/// definition on every version and machine, which PostgreSQL promises of none of its hash
/// functions (`hashtextextended` depends on the byte order, `md5` may be forbidden by FIPS). The
/// sum is exact: `sum(int8)` is `numeric`.
pub fn summarize(
    session: &mut Session,
    rows: &Rows,
    columns: &[Ident],
    key: &[Ident],
) -> Result<Contents> {
    let answer = session
        .query(&summary_sql(rows, columns, key), &[])
        .map_err(|failure| failure.explain(&format!("cannot count and hash {}", rows.table)))?;
    let row =
        answer.first().ok_or_else(|| Error::new(Kind::Database, "the server said nothing"))?;
    let nulls: Vec<i64> = row.get(2);
    let ends: (Vec<Option<String>>, Vec<Option<String>>) = (row.get(3), row.get(4));
    let ranges = key.iter().zip(ends.0.into_iter().zip(ends.1));
    Ok(Contents {
        rows: row.get::<_, i64>(0).unsigned_abs(),
        nulls: columns.iter().cloned().zip(nulls.into_iter().map(i64::unsigned_abs)).collect(),
        key: ranges
            .map(|(column, (least, greatest))| KeyRange { column: column.clone(), least, greatest })
            .collect(),
        hash: row.get(1),
    })
}

/// Ends of the key come from queries of their own: an index answers them, and types without
/// `min()` (uuid before 18) have them, too.
fn summary_sql(rows: &Rows, columns: &[Ident], key: &[Ident]) -> String {
    let values: Vec<String> = columns.iter().map(|column| format!("t.{column}")).collect();
    let nulls: Vec<String> =
        values.iter().map(|value| format!("count(*) - count({value})")).collect();
    let end = |direction: &str| {
        let one = |column: &Ident| {
            format!(
                "(SELECT k.{column}::text FROM {rows} AS k WHERE k.{column} IS NOT NULL \
                 ORDER BY k.{column} {direction} LIMIT 1)"
            )
        };
        key.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let digest = format!("sha256(convert_to(ROW({})::text, 'UTF8'))", values.join(", "));
    let hash = format!("('x' || encode(substr({digest}, 1, 8), 'hex'))::bit(64)::int8");
    format!(
        "SELECT count(*), coalesce(sum({hash}), 0)::text, ARRAY[{}]::int8[], ARRAY[{}]::text[], \
         ARRAY[{}]::text[] FROM {rows} AS t",
        nulls.join(", "),
        end("ASC"),
        end("DESC")
    )
}

/// Whether there is a row.
pub fn has_rows(session: &mut Session, rows: &Rows) -> Result<bool> {
    let found = session.query(&format!("SELECT FROM {rows} LIMIT 1"), &[]);
    let explain = |failure: Failure| failure.explain(&format!("cannot look into {}", rows.table));
    Ok(!found.map_err(explain)?.is_empty())
}

/// The COPY that reads all rows, as text.
pub fn copy_out_sql(rows: &Rows, columns: &[Ident]) -> String {
    format!("COPY (SELECT {} FROM {rows}) TO STDOUT", list(columns))
}

/// The COPY that takes them back.
pub fn copy_in_sql(table: &QualifiedName, columns: &[Ident]) -> String {
    format!("COPY {table} ({}) FROM STDIN", list(columns))
}

fn list(columns: &[Ident]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn run(session: &mut Session, sql: &str) -> Result<()> {
    session.run(sql).map_err(|failure| failure.explain("cannot prepare the archive"))
}

fn ident(name: String) -> Result<Ident> {
    Ident::new(name).map_err(|message| Error::new(Kind::Database, message))
}

fn column(row: &Row) -> Result<Column> {
    Ok(Column {
        name: ident(row.get(0))?,
        sql_type: row.get(1),
        not_null: row.get(2),
        collation: row.get(3),
        default: row.get(4),
        generated: row.get(5),
        identity: row.get(6),
    })
}

fn lineage(row: &Row) -> Result<Option<Lineage>> {
    let parent = row.get::<_, Option<String>>(1).zip(row.get::<_, Option<String>>(2));
    let Some(((schema, name), bound)) = parent.zip(row.get::<_, Option<String>>(3)) else {
        return Ok(None);
    };
    let key: Vec<String> = row.get(4);
    Ok(Some(Lineage {
        parent: QualifiedName::new(ident(schema)?, ident(name)?),
        bound,
        key: key.into_iter().map(ident).collect::<Result<_>>()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_in_each_place() {
        let ident = |name: &str| Ident::new(name).unwrap();
        let table = QualifiedName::new(ident("My"), ident("t;"));
        let columns = [ident("a"), ident("B\"")];
        let of = |of_partitions| Rows { table: table.clone(), of_partitions };
        assert_eq!(of(true).to_string(), "\"My\".\"t;\"");
        assert_eq!(
            copy_out_sql(&of(false), &columns),
            "COPY (SELECT a, \"B\"\"\" FROM ONLY \"My\".\"t;\") TO STDOUT"
        );
        assert_eq!(copy_in_sql(&table, &columns), "COPY \"My\".\"t;\" (a, \"B\"\"\") FROM STDIN");
        let sql = summary_sql(&of(false), &columns, &columns[1..]);
        assert!(sql.contains("ROW(t.a, t.\"B\"\"\")::text"), "{sql}");
        assert!(sql.contains("ORDER BY k.\"B\"\"\" DESC LIMIT 1"), "{sql}");
    }
}

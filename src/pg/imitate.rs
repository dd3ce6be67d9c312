//! Makes an empty database look to the planner like the one that a snapshot was taken of: files of
//! the right length without blocks, trees of the right height without entries, statistics. SQL
//! alone; needs a superuser on a server that is to be thrown away.
//!
//! How large a relation is the planner asks the file system (`RelationGetNumberOfBlocks`); a page
//! of zeros is a valid empty page, and what was never written takes no room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use postgres::Row;
use postgres::types::Type;
use serde::Serialize;

use super::btree_pages;
use super::catalog::name;
use super::failure::{Failure, Verdict};
use super::server;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::index_size::{shares_keys, storage_parameter};
use crate::model::snapshot::{ColumnSample, ColumnStatistics, RelationSize, Snapshot};
use crate::model::tree::{Key, Tree};
use crate::runbook::seclusion;
use crate::sql::split::split;
use crate::sql::without_psql;

mod extended;
mod gin;

/// Bytes of a page; a server with others is refused.
const BLOCK: u64 = 8_192;
/// Pages of a segment, a file of 1 GB.
const SEGMENT_PAGES: u64 = 131_072;
/// The trees of today's largest tables have five levels.
const HEIGHT_MAX: u32 = 9;

/// Makes an empty database one that reaches no other server.
pub fn seclude(session: &mut Session) -> Result<()> {
    let made = session.run(&seclusion::seclude());
    made.map_err(|failure| failure.explain("cannot keep the shadow to itself"))
}

/// Makes the schema of a dump. Roles that it names are made without rights of their own, and
/// marked; what cannot be made, as an extension that is not there, is a finding, and the rest goes
/// on, until somebody has it `stopped`.
pub fn load_schema(session: &mut Session, ddl: &str, stopped: &AtomicBool) -> Result<Vec<Finding>> {
    let ddl = without_psql(ddl);
    let pieces = split(&ddl).map_err(|error| {
        Error::new(Kind::Database, format!("cannot read the schema: {}", error.message))
    })?;
    let mut findings = Vec::new();
    for piece in pieces {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let Err(failure) = run_with_roles(session, piece.text) else { continue };
        if failure.verdict() == Verdict::Gone {
            return Err(failure.explain("cannot make the schema"));
        }
        // Newer programs set what older servers do not know.
        if piece.text.starts_with("SET ") || piece.text.starts_with("SELECT pg_catalog.set_config")
        {
            continue;
        }
        let subject: String =
            piece.text.lines().next().unwrap_or_default().chars().take(80).collect();
        findings.push(
            Finding::new("shadow-schema", Severity::Warning, subject, failure.message)
                .help("plans of queries that need it cannot be foretold"),
        );
    }
    session.forget_settings();
    Ok(findings)
}

/// Materialized views are empty as their tables are. Event triggers but ours are off, and so are
/// foreign keys: what rows would refer to is not here.
const SETTLE: &str = "
update pg_class set relispopulated = true where relkind = 'm' and not relispopulated;
do $$
declare name name;
begin
  for name in select evtname from pg_event_trigger where evtname <> 'pgtune_shadow' loop
    execute format('alter event trigger %I disable', name);
  end loop;
end $$
;
update pg_trigger set tgenabled = 'D'
where tgisinternal and tgconstraint in (select oid from pg_constraint where contype = 'f')";

/// Makes a schema that was just made what it is on a database at work: materialized views can be
/// read, and no event trigger of production's stops us, who are none of its roles.
pub fn settle(session: &mut Session) -> Result<()> {
    let settled = session.run(SETTLE);
    settled.map_err(|failure| failure.explain("cannot prepare the shadow"))
}

/// Runs a statement, and once more for each role that it lacks.
fn run_with_roles(session: &mut Session, sql: &str) -> std::result::Result<(), Failure> {
    const ROLES_MAX: usize = 20;
    let mut outcome = session.run(sql);
    for _ in 0..ROLES_MAX {
        let Err(failure) = &outcome else { return Ok(()) };
        let Some(role) = server::missing_role(&failure.code, &failure.message) else { break };
        let Ok(role) = Ident::new(role) else { break };
        server::create_role(session, &role)?;
        outcome = session.run(sql);
    }
    outcome
}

/// Makes the planner see what the snapshot says. The tables must be empty, and nothing may have
/// been planned since the last call but one that made other sizes. What cannot be imitated is told.
pub fn imitate(session: &mut Session, snapshot: &Snapshot) -> Result<Vec<Finding>> {
    let explain = |failure: Failure| failure.explain("cannot prepare the shadow");
    if u64::from(snapshot.server.block_size) != BLOCK {
        let size = snapshot.server.block_size;
        return Err(Error::new(
            Kind::Database,
            format!("the pages have {size} bytes, not {BLOCK}"),
        )
        .hint("only servers with pages of 8 kB can be imitated"));
    }
    let files = renewed_files(session, &snapshot.relations)?;
    let relations = with_heights(session, snapshot, &files)?;
    extend_files(session, &files, &relations)?;
    write_sizes(session, &relations).map_err(explain)?;
    let mut findings = write_statistics(session, &snapshot.columns).map_err(explain)?;
    findings.extend(extended::write_extended(session, &snapshot.extended).map_err(explain)?);
    Ok(findings)
}

/// The snapshot's relations, with the heights of all trees: as read, else as their pages and keys
/// make likely.
fn with_heights(
    session: &mut Session,
    snapshot: &Snapshot,
    files: &[File],
) -> Result<Vec<RelationSize>> {
    let known = Known::of(snapshot);
    let files: BTreeMap<&QualifiedName, &File> =
        files.iter().map(|file| (&file.name, file)).collect();
    let sizes: BTreeMap<&QualifiedName, &RelationSize> =
        snapshot.relations.iter().map(|one| (&one.name, one)).collect();
    let heights = session.each(include_str!("sql/imitate_trees.sql"), &[], |row| {
        let (name, table) = (name(row, 0)?, name(row, 2)?);
        let Some((size, file)) = sizes.get(&name).zip(files.get(&name)) else { return Ok(None) };
        let height = tree(row, (file, &table), size, &known).height();
        Ok(Some((name, height)))
    });
    let heights = heights.map_err(|failure| failure.explain("cannot read the shadow's indexes"))?;
    let heights: Vec<Option<(QualifiedName, u32)>> = heights.into_iter().collect::<Result<_>>()?;
    let heights: BTreeMap<QualifiedName, u32> = heights.into_iter().flatten().collect();
    let with_height = |one: &RelationSize| RelationSize {
        tree_height: one.tree_height.or(heights.get(&one.name).copied()),
        ..one.clone()
    };
    Ok(snapshot.relations.iter().map(with_height).collect())
}

/// A b-tree of the shadow's with what the snapshot knows of it.
fn tree(
    row: &Row,
    (file, table): (&File, &QualifiedName),
    size: &RelationSize,
    known: &Known<'_>,
) -> Tree {
    let columns: Vec<String> = row.get(4);
    let lengths: Vec<i32> = row.get(5);
    let are_expressions: Vec<bool> = row.get(6);
    let each = columns.iter().zip(lengths).zip(are_expressions);
    let mut keys: Vec<Key> = each
        .map(|((column, length), is_expression)| {
            known.key(if is_expression { &file.name } else { table }, column, length, table)
        })
        .collect();
    let included =
        keys.split_off(usize::try_from(row.get::<_, i64>(7)).unwrap_or_default().min(keys.len()));
    let is_unique = row.get(8);
    let fillfactor = storage_parameter(&size.options, "fillfactor");
    Tree {
        pages: size.file_pages,
        rows: size.tuples,
        keys,
        included_width: included.iter().map(|column| column.width).sum(),
        is_unique,
        shares_keys: shares_keys(file.all_equal_image, is_unique, &size.options),
        fillfactor: fillfactor.and_then(|percent| percent.parse().ok()),
    }
}

/// A snapshot's statistics by column, and rows by table.
struct Known<'a> {
    columns: BTreeMap<(&'a QualifiedName, &'a str), &'a ColumnStatistics>,
    tuples: BTreeMap<&'a QualifiedName, f64>,
}

impl<'a> Known<'a> {
    fn of(snapshot: &'a Snapshot) -> Known<'a> {
        let columns =
            snapshot.columns.iter().map(|one| ((&one.relation, one.column.as_str()), one));
        let tuples = snapshot.relations.iter().map(|one| (&one.name, one.tuples.max(0.0)));
        Known { columns: columns.collect(), tuples: tuples.collect() }
    }

    /// What is known of a key column; `length` is its bytes where all values have as many.
    fn key(&self, of: &QualifiedName, column: &str, length: i32, table: &QualifiedName) -> Key {
        const UNKNOWN_WIDTH: f64 = 32.0;
        let rows = self.tuples.get(table).copied().unwrap_or_default();
        let known = self.columns.get(&(of, column));
        let width = match u16::try_from(length) {
            Ok(length) if length > 0 => f64::from(length),
            Ok(_) | Err(_) => known.map_or(UNKNOWN_WIDTH, |known| f64::from(known.avg_width)),
        };
        let distinct = known.map_or(rows, |known| match f64::from(known.n_distinct) {
            share if share < 0.0 => -share * rows,
            count => count,
        });
        Key { width, distinct }
    }
}

/// A relation's file.
struct File {
    name: QualifiedName,
    path: String,
    access_method: String,
    /// Of a b-tree: `btm_allequalimage`.
    all_equal_image: bool,
}

/// All files, after all indexes were rebuilt, so that no page of theirs is in memory.
fn renewed_files(session: &mut Session, relations: &[RelationSize]) -> Result<Vec<File>> {
    let explain = |failure: Failure| failure.explain("cannot renew the shadow's files");
    let there = session.query("select nspname::text from pg_namespace", &[]).map_err(explain)?;
    let there: BTreeSet<&str> = there.iter().map(|row| row.get(0)).collect();
    let schemas: BTreeSet<&Ident> = relations.iter().map(|one| &one.name.schema).collect();
    // A migration may have dropped one.
    for schema in schemas.into_iter().filter(|schema| there.contains(schema.as_str())) {
        session.run(&format!("REINDEX SCHEMA {schema}")).map_err(explain)?;
    }
    gin::renew_files(session, relations).map_err(explain)?;
    let at = btree_pages::ALL_EQUAL_IMAGE as i64;
    let files = include_str!("sql/imitate_files.sql");
    let files = session.each(files, &[(&at, Type::INT8)], |row| {
        let all_equal_image = row.get::<_, Option<bool>>(4).unwrap_or_default();
        Ok(File {
            name: name(row, 0)?,
            path: row.get(2),
            access_method: row.get(3),
            all_equal_image,
        })
    });
    files.map_err(explain)?.into_iter().collect()
}

/// Gives files their length.
fn extend_files(session: &mut Session, files: &[File], relations: &[RelationSize]) -> Result<()> {
    let explain = |failure: Failure| failure.explain("cannot extend the shadow's files");
    let known: BTreeMap<&QualifiedName, &RelationSize> =
        relations.iter().map(|one| (&one.name, one)).collect();
    let lines = script(files, &known);
    let lines: Vec<String> = lines.iter().map(|line| literal(line)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let copy =
        format!("COPY (SELECT unnest(ARRAY[{}]::text[])) TO PROGRAM 'sh -e'", lines.join(", "));
    session.run(&copy).map_err(explain)
}

/// Commands for a shell in the data directory: as few as possible, since each is a process.
fn script(files: &[File], known: &BTreeMap<&QualifiedName, &RelationSize>) -> Vec<String> {
    let mut trees: BTreeMap<(u32, bool), Vec<String>> = BTreeMap::new();
    let mut lengths: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for file in files {
        let Some(size) = known.get(&file.name) else { continue };
        let mut pages = size.file_pages;
        if let (Some(height), "btree") = (size.tree_height, file.access_method.as_str()) {
            let kind = (height.min(HEIGHT_MAX), file.all_equal_image);
            trees.entry(kind).or_default().push(file.path.clone());
            pages = pages.max(u64::from(kind.0) + 2);
        }
        if let (Some(gin), "gin") = (&size.gin, file.access_method.as_str()) {
            lines.push(gin::write(&file.path, gin));
        }
        for (segment, bytes) in segments(&file.path, pages) {
            lengths.entry(bytes).or_default().push(segment);
        }
    }
    for ((height, all_equal_image), paths) in &trees {
        let pages = BASE64.encode(btree_pages::pages(*height, *all_equal_image));
        let paths = paths.chunks(PATHS_PER_COMMAND).map(|paths| paths.join(" "));
        lines.extend(paths.map(|to| format!("echo {pages} | base64 -d | tee {to} > /dev/null")));
    }
    for (bytes, paths) in &lengths {
        let paths = paths.chunks(PATHS_PER_COMMAND).map(|paths| paths.join(" "));
        lines.extend(paths.map(|of| format!("truncate -s {bytes} {of}")));
    }
    lines
}

/// How many paths a command gets: far less than what any system takes.
const PATHS_PER_COMMAND: usize = 200;

/// The files of a relation, one for each gigabyte, and their lengths.
fn segments(path: &str, pages: u64) -> Vec<(String, u64)> {
    let (full, rest) = (pages / SEGMENT_PAGES, pages % SEGMENT_PAGES);
    let name = |at: u64| if at == 0 { path.to_string() } else { format!("{path}.{at}") };
    let mut segments: Vec<(String, u64)> =
        (0..full).map(|at| (name(at), SEGMENT_PAGES * BLOCK)).collect();
    if rest > 0 {
        segments.push((name(full), rest * BLOCK));
    }
    segments
}

/// What pg_class shall say of a relation.
#[derive(Serialize)]
struct ClassRow {
    name: String,
    pages: i64,
    tuples: f64,
    all_visible_pages: i64,
}

fn write_sizes(
    session: &mut Session,
    relations: &[RelationSize],
) -> std::result::Result<(), Failure> {
    let rows: Vec<ClassRow> = relations
        .iter()
        .map(|one| ClassRow {
            name: one.name.to_string(),
            pages: one.pages,
            tuples: one.tuples,
            all_visible_pages: one.all_visible_pages,
        })
        .collect();
    let json = serde_json::to_string(&rows).unwrap_or_default();
    session.query(include_str!("sql/imitate_sizes.sql"), &[(&json, Type::TEXT)]).map(drop)
}

/// Writes all statistics of columns. Where a migration has given a column another type, which
/// cannot read its values, there are none; that is told.
fn write_statistics(
    session: &mut Session,
    columns: &[ColumnStatistics],
) -> std::result::Result<Vec<Finding>, Failure> {
    session.run("DELETE FROM pg_statistic WHERE starelid >= 16384")?;
    let mut findings = Vec::new();
    let mut batches: Vec<&[ColumnStatistics]> = columns.chunks(COLUMNS_PER_QUERY).rev().collect();
    while let Some(batch) = batches.pop() {
        match (insert_statistics(session, batch), batch) {
            (Ok(()), _) => {}
            (Err(failure), _) if failure.verdict() == Verdict::Gone => return Err(failure),
            (Err(failure), [one]) => {
                let without = ColumnStatistics { values: None, ..one.clone() };
                insert_statistics(session, &[without])?;
                let subject = format!("{}.{}", one.relation, one.column);
                // The server's words would have one of them.
                let message = format!("its values are not of its type here ({})", failure.code);
                findings.push(
                    Finding::new("shadow-statistics", Severity::Info, subject, message)
                        .help("plans are foretold without them"),
                );
            }
            (Err(_), several) => {
                let (first, second) = several.split_at(several.len() / 2);
                batches.extend([second, first]);
            }
        }
    }
    Ok(findings)
}

/// How many columns are written at once: each may have hundreds of values.
const COLUMNS_PER_QUERY: usize = 1_000;

/// Writes statistics of columns that have none yet.
fn insert_statistics(
    session: &mut Session,
    columns: &[ColumnStatistics],
) -> std::result::Result<(), Failure> {
    let sql = include_str!("sql/imitate_statistics.sql");
    let rows: Vec<serde_json::Value> = columns.iter().map(statistic).collect();
    let json = serde_json::to_string(&rows).unwrap_or_default();
    session.query(sql, &[(&json, Type::TEXT)]).map(drop)
}

/// A column's row of pg_statistic.
fn statistic(column: &ColumnStatistics) -> serde_json::Value {
    let mut row = serde_json::json!({
        "relation": column.relation.to_string(),
        "attname": column.column.as_str(),
        "inherited": column.inherited,
        "null_frac": column.null_frac,
        "avg_width": column.avg_width,
        "n_distinct": column.n_distinct,
    });
    let slots = slots(column);
    for at in 0..5 {
        let (kind, numbers, values) = slots.get(at).cloned().unwrap_or_default();
        row[format!("k{}", at + 1)] = kind.into();
        row[format!("n{}", at + 1)] = numbers.into();
        row[format!("v{}", at + 1)] = values.into();
    }
    row
}

/// A slot: its kind, its numbers and its values as array literals.
type Slot = (i16, Option<String>, Option<String>);

fn slots(column: &ColumnStatistics) -> Vec<Slot> {
    let nothing = ColumnSample::default();
    let sample = column.values.as_ref().unwrap_or(&nothing);
    let mut slots = Vec::new();
    if !sample.most_common_vals.is_empty() {
        let values = text_array(&sample.most_common_vals);
        slots.push((1, Some(number_array(&column.most_common_freqs)), Some(values)));
    }
    if !sample.histogram_bounds.is_empty() {
        slots.push((2, None, Some(text_array(&sample.histogram_bounds))));
    }
    if let Some(correlation) = column.correlation {
        slots.push((3, Some(number_array(&[correlation])), None));
    }
    if !sample.most_common_elems.is_empty() {
        let values = text_array(&sample.most_common_elems);
        slots.push((4, Some(number_array(&sample.most_common_elem_freqs)), Some(values)));
    }
    if !sample.elem_count_histogram.is_empty() {
        slots.push((5, Some(number_array(&sample.elem_count_histogram)), None));
    }
    if let Some(empty) = sample.range_empty_frac {
        let lengths = &sample.range_length_histogram;
        let lengths = (!lengths.is_empty()).then(|| number_array(lengths));
        slots.push((6, Some(number_array(&[empty])), lengths));
    }
    if !sample.range_bounds_histogram.is_empty() {
        slots.push((7, None, Some(text_array(&sample.range_bounds_histogram))));
    }
    slots
}

fn number_array(numbers: &[impl ToString]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

/// An array of texts as `array_in` reads it.
fn text_array(values: &[String]) -> String {
    let mut text = "{".to_string();
    for (at, value) in values.iter().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        let _ = write!(text, "{separator}\"{}\"", escaped(value));
    }
    text + "}"
}

/// What stands between double quotes in an array or a composite value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_of_gigabytes_has_a_file_for_each() {
        let named = |pages| {
            let segments = segments("base/1/2", pages).into_iter();
            segments.map(|(path, bytes)| format!("{path} {bytes}")).collect::<Vec<_>>()
        };
        assert_eq!(named(3), ["base/1/2 24576"]);
        let whole = ["base/1/2 1073741824", "base/1/2.1 1073741824", "base/1/2.2 8192"];
        assert_eq!(named(2 * SEGMENT_PAGES + 1), whole);
        assert!(named(0).is_empty());
    }

    #[test]
    fn many_relations_take_few_commands() {
        let name = |at: usize| {
            QualifiedName::new(Ident::new("app").unwrap(), Ident::new(format!("i{at}")).unwrap())
        };
        let relations: Vec<RelationSize> = (0..1_000)
            .map(|at| RelationSize {
                file_pages: 7,
                tree_height: Some(1),
                ..RelationSize::new(name(at), 'i')
            })
            .collect();
        let files: Vec<File> = relations
            .iter()
            .enumerate()
            .map(|(at, one)| File {
                name: one.name.clone(),
                path: format!("base/5/{at}"),
                access_method: "btree".to_string(),
                all_equal_image: true,
            })
            .collect();
        let known = relations.iter().map(|one| (&one.name, one)).collect();
        let lines = script(&files, &known);
        assert_eq!(lines.len(), 2 * 1_000 / PATHS_PER_COMMAND);
        assert!(lines[0].contains("| tee base/5/0 base/5/1 "), "{}", lines[0]);
        let last = &lines[lines.len() - 1];
        assert!(last.starts_with("truncate -s 57344 ") && last.ends_with(" base/5/999"), "{last}");
    }

    #[test]
    fn arrays_of_texts_are_quoted() {
        let values = ["a,b", "say \"x\"", "\\"].map(str::to_string);
        assert_eq!(text_array(&values), r#"{"a,b","say \"x\"","\\"}"#);
    }
}

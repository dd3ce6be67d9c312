//! Archives a table's rows, proves from the store that they are there, and loads them back.
//!
//! Who drops a table first asks [`write()`], then [`verify`], and in the transaction of the drop
//! [`unchanged`]. Nothing here creates or drops a table.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::model::archive::{Contents, Lineage, Shape};
use crate::model::ident::{Ident, QualifiedName};
use crate::pg::archive::{self as server, Rows};
use crate::pg::session::Session;

pub mod manifest;
pub mod store;
mod stream;

use manifest::{Manifest, archive_name, manifest_file};
use store::Store;
use stream::{Packing, Sums, Unpacking};

/// How many plain bytes pass between two reports.
const REPORT_BYTES: u64 = 1 << 20;

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far, unpacked.
    pub bytes: u64,
    /// Rows in all.
    pub all_rows: u64,
}

/// Gets to know how far a transfer is; its error stops it.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> Result<()>;

/// What to archive.
#[derive(Debug, Clone)]
pub struct Source {
    /// The table. Where it is partitioned, its rows are those of its partitions.
    pub table: QualifiedName,
    /// Where it hung; one that is still attached knows it itself.
    pub lineage: Option<Lineage>,
}

/// Writes the rows of a table into the store, and its manifest last. What the manifest says and
/// the rows come from one snapshot.
///
/// Errors leave nothing behind, and where an archive of that name exists, it is left as it is.
pub fn write(
    session: &mut Session,
    store: &Store,
    source: &Source,
    watch: Watch<'_>,
) -> Result<Manifest> {
    server::begin_snapshot(session)?;
    let written = write_snapshot(session, store, source, watch);
    session.roll_back();
    let manifest = written?;
    let put = put_text(store, &manifest_file(&manifest.name), &manifest.to_json());
    if put.is_err() {
        // What went wrong is known; rows without manifest are no archive.
        let _ = store.remove(&manifest.rows_file());
    }
    put.map(|()| manifest)
}

fn write_snapshot(
    session: &mut Session,
    store: &Store,
    source: &Source,
    watch: Watch<'_>,
) -> Result<Manifest> {
    let table = &source.table;
    let described = server::describe(session, table)?;
    let lineage = described.lineage.or_else(|| source.lineage.clone());
    let name = archive_name(table, lineage.as_ref(), &described.at);
    if store.exists(&manifest_file(&name))? {
        let error = Error::usage(format!("{store} already holds an archive {name}"));
        return Err(error.hint("verify that one, or remove it first"));
    }
    let columns: Vec<Ident> = described.shape.stored().map(|column| column.name.clone()).collect();
    if columns.is_empty() {
        return Err(Error::usage(format!("{table} has no columns to archive")));
    }
    let key = lineage.as_ref().map_or(&[][..], |lineage| &lineage.key);
    let rows = Rows::of(table, &described.shape);
    let mut manifest = Manifest {
        version: 0,
        contents: server::summarize(session, &rows, &columns, key)?,
        name,
        table: table.clone(),
        lineage: lineage.clone(),
        shape: described.shape,
        stream: Sums::default(),
        server_version: described.server_version,
        at: described.at,
        lsn: described.lsn,
        seal: String::new(),
    };
    let mut packing = Packing::new(store.put(&manifest.rows_file())?)?;
    let sql = server::copy_out_sql(&rows, &columns);
    copy_out(session, &sql, &mut packing, (manifest.contents.rows, watch))?;
    let (sums, upload) = packing.finish()?;
    if sums.rows != manifest.contents.rows {
        let (sent, counted) = (sums.rows, manifest.contents.rows);
        let message = format!("{table}: the server counted {counted} rows and sent {sent}");
        return Err(Error::new(Kind::Database, message));
    }
    upload.finish()?;
    manifest.stream = sums;
    Ok(manifest.sealed())
}

/// Moves the rows of a COPY; stops the server where the store fails.
fn copy_out<W: std::io::Write>(
    session: &mut Session,
    sql: &str,
    packing: &mut Packing<W>,
    (all_rows, watch): (u64, Watch<'_>),
) -> Result<()> {
    let canceler = session.canceler();
    let explain = |failure: crate::pg::failure::Failure| failure.explain("cannot read the rows");
    let mut copy = session.copy_out(sql).map_err(explain)?;
    let mut reports = Reports::new(watch, all_rows);
    loop {
        let chunk = copy.chunk().map_err(explain)?;
        if chunk.is_empty() {
            return reports.last(packing.so_far());
        }
        let taken = packing.take(chunk).and_then(|()| reports.say(packing.so_far()));
        if taken.is_err() {
            // Else the driver would read the rest of the table, to throw it away. Where it cannot
            // be cancelled, it does.
            let _ = canceler.cancel();
            return taken;
        }
    }
}

/// Reads a manifest from the store.
pub fn read_manifest(store: &Store, name: &str) -> Result<Manifest> {
    let mut text = String::new();
    let file = manifest_file(name);
    let read = std::io::Read::read_to_string(&mut store.read(&file)?, &mut text);
    read.map_err(|error| Error::system(format!("read {file} from {store}"), error))?;
    Manifest::from_json(name, &text)
}

/// Reads the rows back from the store and compares them with the manifest; an error names what
/// differs. No server is asked.
pub fn verify(store: &Store, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
    let mut unpacking = Unpacking::new(store.read(&manifest.rows_file())?)?;
    let mut reports = Reports::new(watch, manifest.stream.rows);
    while !unpacking.chunk()?.is_empty() {
        reports.say(unpacking.so_far())?;
    }
    reports.last(unpacking.so_far())?;
    let mut differences = unpacking.differences(&manifest.stream)?;
    if manifest.contents.rows != manifest.stream.rows {
        let (counted, sent) = (manifest.contents.rows, manifest.stream.rows);
        differences.push(format!("{sent} rows where the server counted {counted}"));
    }
    same(differences, &format!("the archive {} in {store} is not what was written", manifest.name))
}

/// Whether `table` still holds exactly the archived rows; an error names what differs.
///
/// Call it in the transaction that will drop the table: nobody writes there until its end, so
/// that no row comes between, and its own `lock_timeout` limits the wait for those who do. The
/// settings of the transaction stay as they are.
/// Every row is read: the server's own counters (`n_tup_ins`) lag behind, and are lost in a crash.
pub fn unchanged(session: &mut Session, manifest: &Manifest, table: &QualifiedName) -> Result<()> {
    let rows = Rows::of(table, &manifest.shape);
    let (shape, contents) = server::look_in_transaction(session, &rows, |session| {
        let shape = server::describe(session, table)?.shape;
        let contents = match other_columns(&manifest.shape, &shape).is_empty() {
            true => contents_again(session, manifest, &rows)?,
            false => manifest.contents.clone(),
        };
        Ok((shape, contents))
    })?;
    let mut differences = other_columns(&manifest.shape, &shape);
    differences.extend(manifest.contents.differences(&contents));
    same(differences, &format!("{table} is not what was archived as {}", manifest.name))
}

fn contents_again(session: &mut Session, manifest: &Manifest, rows: &Rows) -> Result<Contents> {
    let key = manifest.lineage.as_ref().map_or(&[][..], |lineage| &lineage.key);
    server::summarize(session, rows, &manifest.columns(), key)
}

/// How the stored columns of a table became others than those archived, in words; or that the rows
/// are elsewhere.
fn other_columns(archived: &Shape, found: &Shape) -> Vec<String> {
    let before: BTreeMap<&Ident, &str> =
        archived.stored().map(|column| (&column.name, column.sql_type.as_str())).collect();
    let other = found.stored().filter_map(|column| match before.get(&column.name) {
        None => Some(format!("the column {} is new", column.name)),
        Some(before) if *before != column.sql_type => {
            let (name, now) = (&column.name, &column.sql_type);
            Some(format!("the column {name} is {now} instead of {before}"))
        }
        Some(_) => None,
    });
    let elsewhere = match (&archived.below, &found.below) {
        (Some(_), None) => Some("it is not partitioned any more".to_string()),
        (None, Some(_)) => Some("it is partitioned now".to_string()),
        (Some(_), Some(_)) | (None, None) => None,
    };
    missing_columns(archived, found).chain(other).chain(elsewhere).collect()
}

/// The archived columns that a table has not, in words.
fn missing_columns<'a>(
    archived: &'a Shape,
    found: &'a Shape,
) -> impl Iterator<Item = String> + use<'a> {
    let has = |name: &Ident| found.stored().any(|column| column.name == *name);
    let missing = archived.stored().filter(move |column| !has(&column.name));
    missing.map(|column| format!("it has no column {}", column.name))
}

/// Loads an archive into `table`, which exists, is empty and has at least its columns, and lets the
/// server count and hash what arrived. Any difference takes everything back and is an error.
pub fn load(
    session: &mut Session,
    store: &Store,
    manifest: &Manifest,
    table: &QualifiedName,
    watch: Watch<'_>,
) -> Result<()> {
    let loaded = server::begin_load(session, &Rows::of(table, &manifest.shape))
        .and_then(|()| load_rows(session, store, manifest, table, watch))
        .and_then(|()| server::commit(session));
    if loaded.is_err() {
        session.roll_back();
    }
    loaded
}

fn load_rows(
    session: &mut Session,
    store: &Store,
    manifest: &Manifest,
    table: &QualifiedName,
    watch: Watch<'_>,
) -> Result<()> {
    let shape = server::describe(session, table)?.shape;
    // More columns than before, or wider ones, do no harm: their rows are compared anyway.
    let missing: Vec<String> = missing_columns(&manifest.shape, &shape).collect();
    if !missing.is_empty() {
        let message = format!("{table} cannot take the rows of {}", manifest.table);
        return Err(Error::usage(format!("{message}: {}", missing.join("; "))));
    }
    let rows = Rows::of(table, &shape);
    if server::has_rows(session, &rows)? {
        return Err(Error::usage(format!("{table} is not empty")));
    }
    copy_in(session, store, manifest, table, watch)?;
    server::use_full_names(session)?;
    let contents = contents_again(session, manifest, &rows)?;
    let message = format!("{table} did not become what was archived as {}", manifest.name);
    same(manifest.contents.differences(&contents), &message)
}

/// What is wrong with the archive is said first: the server only sees what follows from it.
fn copy_in(
    session: &mut Session,
    store: &Store,
    manifest: &Manifest,
    table: &QualifiedName,
    watch: Watch<'_>,
) -> Result<()> {
    let mut unpacking = Unpacking::new(store.read(&manifest.rows_file())?)?;
    let mut reports = Reports::new(watch, manifest.stream.rows);
    let mut next = |chunk: &mut Vec<u8>| -> Result<bool> {
        chunk.clear();
        chunk.extend_from_slice(unpacking.chunk()?);
        reports.say(unpacking.so_far())?;
        Ok(!chunk.is_empty())
    };
    let mut stopped = Ok(());
    let copied = session.copy(&server::copy_in_sql(table, &manifest.columns()), |chunk| {
        next(chunk).unwrap_or_else(|error| {
            stopped = Err(error);
            false
        })
    });
    stopped?;
    reports.last(unpacking.so_far())?;
    let refused = copied.map_err(|failure| failure.explain(&format!("cannot load {table}")));
    // Where the server stopped early, only the SHA-256 of the rest counts.
    while refused.is_ok() && !unpacking.chunk()?.is_empty() {}
    let differences = unpacking.differences(&manifest.stream)?;
    let message = format!("the archive {} in {store} is not what was written", manifest.name);
    match refused {
        Err(error) if differences.iter().all(|text| !text.starts_with("SHA-256")) => Err(error),
        Ok(()) | Err(_) => same(differences, &message),
    }
}

fn same(differences: Vec<String>, message: &str) -> Result<()> {
    match differences.as_slice() {
        [] => Ok(()),
        [..] => Err(Error::new(Kind::Answer, format!("{message}: {}", differences.join("; ")))),
    }
}

fn put_text(store: &Store, name: &str, text: &str) -> Result<()> {
    let mut upload = store.put(name)?;
    std::io::Write::write_all(&mut upload, text.as_bytes()).map_err(|error| {
        error.downcast::<Error>().unwrap_or_else(|e| Error::system(format!("write {name}"), e))
    })?;
    upload.finish()
}

/// Thins reports out.
struct Reports<'a> {
    watch: Watch<'a>,
    all_rows: u64,
    said_bytes: u64,
}

impl<'a> Reports<'a> {
    fn new(watch: Watch<'a>, all_rows: u64) -> Reports<'a> {
        Reports { watch, all_rows, said_bytes: 0 }
    }

    fn say(&mut self, (rows, bytes): (u64, u64)) -> Result<()> {
        if bytes - self.said_bytes < REPORT_BYTES {
            return Ok(());
        }
        self.last((rows, bytes))
    }

    fn last(&mut self, (rows, bytes): (u64, u64)) -> Result<()> {
        self.said_bytes = bytes;
        (self.watch)(Progress { rows, bytes, all_rows: self.all_rows })
    }
}

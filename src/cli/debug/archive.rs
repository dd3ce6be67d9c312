//! `pgtune debug archive`, `verify`, `unchanged`, `restore`: archiving without the rest of pgtune.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::archive::store::{Credentials, Store};
use crate::archive::{self, Progress, Source, Watch};
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{QualifiedName, parse_name};
use crate::pg::session::Session;

/// How often progress is said, at most.
const SAY_INTERVAL: Duration = Duration::from_secs(1);

/// What to archive.
#[derive(Debug, clap::Args)]
pub struct WriteArgs {
    /// The table, as schema.name
    #[arg(value_parser = table)]
    table: QualifiedName,
    /// The size of the parts of a multipart upload
    #[arg(long, value_name = "BYTES")]
    part_bytes: Option<usize>,
}

/// Which archive.
#[derive(Debug, clap::Args)]
pub struct NameArgs {
    /// The archive's name in the store
    name: String,
}

/// Which archive, and a table.
#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The archive's name in the store
    name: String,
    /// The table, as schema.name
    #[arg(value_parser = table)]
    table: QualifiedName,
}

/// Archives a table.
pub fn write(context: &Context, args: &WriteArgs) -> Result<()> {
    let store = store(context)?;
    let store = match args.part_bytes {
        Some(part_bytes) => store.with_part_bytes(part_bytes),
        None => store,
    };
    let source = Source { table: args.table.clone(), lineage: None };
    let manifest =
        with_session(context, |session, watch| archive::write(session, &store, &source, watch))?;
    context.ui.answer(&manifest.to_json())
}

/// Verifies an archive.
pub fn verify(context: &Context, args: &NameArgs) -> Result<()> {
    let store = store(context)?;
    let manifest = archive::read_manifest(&store, &args.name)?;
    let stopped = interrupt::listen()?;
    let mut say = said(context, stopped);
    archive::verify(&store, &manifest, &mut say)?;
    context.ui.answer(&format!("{}\n", json!({ "rows": manifest.stream.rows })))
}

/// Compares a table with an archive.
pub fn unchanged(context: &Context, args: &TableArgs) -> Result<()> {
    let store = store(context)?;
    let manifest = archive::read_manifest(&store, &args.name)?;
    with_session(context, |session, _watch| {
        session
            .run("BEGIN; SET LOCAL lock_timeout = '2s'")
            .map_err(|failure| failure.explain("cannot begin"))?;
        let compared = archive::unchanged(session, &manifest, &args.table);
        session.roll_back();
        compared
    })
}

/// Loads an archive.
pub fn restore(context: &Context, args: &TableArgs) -> Result<()> {
    let store = store(context)?;
    let manifest = archive::read_manifest(&store, &args.name)?;
    with_session(context, |session, watch| {
        archive::load(session, &store, &manifest, &args.table, watch)
    })
}

fn store(context: &Context) -> Result<Store> {
    let credentials = Credentials::of(|name| std::env::var(name).ok());
    Store::open(&context.profile().archive, &context.profile_folder, credentials)
}

/// Opens a session, listens for signals, and works.
fn with_session<T>(
    context: &Context,
    work: impl FnOnce(&mut Session, Watch<'_>) -> Result<T>,
) -> Result<T> {
    let stopped = interrupt::listen()?;
    let mut session = Database::of(context)?.open_runner()?;
    let canceler = session.canceler();
    let mut say = said(context, stopped);
    interrupt::cancelling(&canceler, stopped, || work(&mut session, &mut say))
}

/// Says progress now and then; fails once somebody asks pgtune to stop.
fn said<'a>(
    context: &'a Context,
    stopped: &'a std::sync::atomic::AtomicBool,
) -> impl FnMut(Progress) -> Result<()> + 'a {
    let mut last = Instant::now();
    move |Progress { rows, bytes, .. }| {
        if stopped.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, "interrupted"));
        }
        if last.elapsed() >= SAY_INTERVAL {
            last = Instant::now();
            context.ui.status(&format!("{rows} rows, {bytes} bytes"));
        }
        Ok(())
    }
}

/// Reads `schema.name`.
fn table(text: &str) -> std::result::Result<QualifiedName, String> {
    match parse_name(text).as_deref() {
        Some([schema, name]) => Ok(QualifiedName::new(schema.clone(), name.clone())),
        Some(_) | None => Err("write schema.name; quote what needs quotes".to_string()),
    }
}

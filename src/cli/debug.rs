//! `pgtune debug`: for pgtune's own tests and scripts; hidden, and no part of the interface.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::pg::{catalog, server};
use crate::shadow::binaries;
use crate::shadow::server::{Listen, Options, Server};
use crate::shadow::surroundings::Surroundings;
use crate::ui::Ui;

use super::context::Context;
use super::database::Database;
use super::interrupt;
use super::private::setting;

mod archive;

/// How often a holding pgtune looks whether it was interrupted.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);

/// Look inside pgtune; may change at any time
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Panic, to see what a bug looks like
    Panic,
    /// Print the database's catalog as JSON: a bug report becomes a test of the planner
    Catalog,
    /// Run a private server until standard input closes
    Server(ServerArgs),
    /// Archive a table's rows, and print the manifest
    Archive(archive::WriteArgs),
    /// Read an archive back and compare it with its manifest
    Verify(archive::NameArgs),
    /// Compare a table with an archive
    Unchanged(archive::TableArgs),
    /// Load an archive into an empty table
    Restore(archive::TableArgs),
}

/// The private server to run.
#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// The folder of PostgreSQL's server programs
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
    /// A server setting; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Listen on 127.0.0.1 too, with a password
    #[arg(long)]
    loopback: bool,
    /// With checksums of pages
    #[arg(long)]
    checksums: bool,
}

/// Runs a debug command.
pub fn run(args: Args, ui: Ui, context: impl FnOnce() -> Result<Context>) -> Result<()> {
    match args.command {
        Command::Catalog => catalog(&context()?),
        Command::Panic => panic!("asked to panic"),
        Command::Server(args) => hold(args, ui, interrupt::listen()?),
        Command::Archive(args) => archive::write(&context()?, &args),
        Command::Verify(args) => archive::verify(&context()?, &args),
        Command::Unchanged(args) => archive::unchanged(&context()?, &args),
        Command::Restore(args) => archive::restore(&context()?, &args),
    }
}

/// Prints what the planner would see.
fn catalog(context: &Context) -> Result<()> {
    let database = Database::of(context)?;
    let mut session = database.open()?;
    let server = server::look(&mut session, &database.history_table)?;
    let catalog = catalog::snapshot(&mut session, server.version_num, server.history)?;
    let text = serde_json::to_string_pretty(&catalog).expect("a catalog fits into JSON");
    context.ui.answer(&format!("{text}\n"))
}

/// Starts a server, prints where it is as one line of JSON, and holds it until standard input
/// closes or somebody asks pgtune to stop.
fn hold(args: ServerArgs, ui: Ui, interrupted: &AtomicBool) -> Result<()> {
    let surroundings = Surroundings::of_process()?;
    let server = Server::start(&Options {
        binaries: binaries::find(args.pg_bin.as_deref(), &surroundings)?,
        settings: args.set,
        checksums: args.checksums,
        wal_segment_mb: 16,
        listen: if args.loopback { Listen::Loopback } else { Listen::UnixSocket },
        surroundings: &surroundings,
        interrupted,
    })?;
    let line = json!({
        "url": server.url("postgres"),
        "folder": server.folder(),
        "bin_dir": server.binaries().bin_dir,
        "version": server.binaries().version,
        "major": server.binaries().major,
        "pid": server.pid(),
    });
    ui.answer(&format!("{line}\n"))?;
    wait_for_end_of_input(interrupted)
}

/// Returns when standard input has closed; fails when the user asks pgtune to stop before that.
fn wait_for_end_of_input(interrupted: &AtomicBool) -> Result<()> {
    let (closed, closing) = mpsc::channel::<()>();
    // The thread may stay in its read for good; it ends with the process.
    thread::spawn(move || {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(1)) {}
        drop(closed);
    });
    while !interrupted.load(Ordering::Relaxed) {
        match closing.recv_timeout(INTERRUPT_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Err(Error::new(Kind::Interrupted, "the private server was stopped"))
}

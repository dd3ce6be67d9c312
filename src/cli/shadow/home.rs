//! The server that a shadow lives on: a private one, or one that somebody lends.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::cli::database::{self, Database};
use crate::error::{Error, Result};
use crate::pg::borrowed;
use crate::pg::connect::target::Setting;
use crate::pg::connect::{is_local, is_same_server};
use crate::shadow::binaries;
use crate::shadow::borrowed::{Borrowed, Terms as LoanTerms};
use crate::shadow::server::{Listen, Options, Server};
use crate::shadow::surroundings::Surroundings;
use crate::ui::Ui;

/// Where a shadow is made.
#[derive(Debug, clap::Args)]
pub struct ShadowArgs {
    /// The folder of the programs of the private server that plans
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pg_bin: Option<PathBuf>,
    /// Plan on this server instead, which is to be thrown away: postgres://…, as a superuser
    ///
    /// A service container of a CI job, for example. The environment variable PGTUNE_SHADOW_URL is
    /// the same. Databases and roles are made there, and dropped (docs/snapshot.md).
    #[arg(long, value_name = "URL", conflicts_with = "pg_bin")]
    shadow_url: Option<String>,
    /// Use the server of --shadow-url also where others work, or keep more than 1 GB
    #[arg(long)]
    shadow_shared: bool,
}

/// The variable that stands for --shadow-url.
const URL_VARIABLE: &str = "PGTUNE_SHADOW_URL";

impl ShadowArgs {
    /// The server to borrow, and the name of what says so; `None` for a private one.
    fn url(&self) -> Option<(String, &'static str)> {
        let variable = || match self.pg_bin {
            // A flag is stronger.
            Some(_) => None,
            None => std::env::var(URL_VARIABLE).ok().map(|url| (url, URL_VARIABLE)),
        };
        let flag = self.shadow_url.clone().map(|url| (url, "--shadow-url"));
        flag.or_else(variable).filter(|(url, _)| !url.trim().is_empty())
    }
}

/// Where a shadow lives.
pub(super) enum Home {
    /// On a private server, which goes with it.
    Private(Server),
    /// On a server that somebody lends.
    Borrowed(Box<Borrowed>, Ui),
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Home::Borrowed(server, ui) = self
            && let Err(error) = server.clear()
        {
            ui.warn(&format!("left for the next run on that server: {}", error.message));
        }
    }
}

/// Takes the server that is lent, or starts a private one of a major version, or of the next best.
/// Returns its major version too.
pub(super) fn open(
    context: &Context,
    args: &ShadowArgs,
    major: u32,
    stopped: &AtomicBool,
) -> Result<(Home, u32)> {
    match args.url() {
        Some((url, origin)) => borrow(context, (&url, origin), args.shadow_shared, stopped),
        None if args.shadow_shared => Err(Error::usage("--shadow-shared: no server is lent")
            .hint(format!("give --shadow-url, or set {URL_VARIABLE}"))),
        None => start_private(context.ui, args.pg_bin.as_deref(), major, stopped),
    }
}

/// Starts a private server. Returns its major version too.
fn start_private(
    ui: Ui,
    pg_bin: Option<&Path>,
    major: u32,
    stopped: &AtomicBool,
) -> Result<(Home, u32)> {
    let surroundings = Surroundings::of_process()?;
    let binaries = binaries::find_major(pg_bin, &surroundings, major)?;
    let major = binaries.major;
    ui.status(&format!("starting  a shadow on PostgreSQL {}", binaries.version));
    // What the planner knows shall stay what it was told.
    let settings = [
        ("autovacuum", "off"),
        ("max_locks_per_transaction", "1024"),
        // No subscription is at work.
        ("max_logical_replication_workers", "0"),
        // Copies of a database are written to the log too: what is done with is no longer kept.
        ("max_wal_size", "8MB"),
        ("min_wal_size", "2MB"),
        ("wal_recycle", "off"),
    ];
    let server = Server::start(&Options {
        binaries,
        settings: settings.map(|(name, value)| (name.to_string(), value.to_string())).to_vec(),
        listen: Listen::UnixSocket,
        checksums: false,
        wal_segment_mb: 1,
        surroundings: &surroundings,
        interrupted: stopped,
    })?;
    Ok((Home::Private(server), major))
}

/// Takes over the server at a URL, unless it is that of the project's database. Returns its major
/// version too.
fn borrow(
    context: &Context,
    (url, origin): (&str, &str),
    is_shared: bool,
    stopped: &AtomicBool,
) -> Result<(Home, u32)> {
    let ui = context.ui;
    let target = Database::asked(context, url, origin)?.target().clone();
    let names_host = |setting: &Setting| {
        ["host", "hostaddr"].contains(&setting.keyword) && !setting.origin.starts_with("PGHOST")
    };
    if !target.settings.iter().any(|setting| names_host(setting) && setting.origin != "default") {
        return Err(Error::usage(format!("{origin} names no host"))
            .hint("write postgres://user@host:port/postgres"));
    }
    let project = project_database(context);
    if project.as_ref().is_some_and(|other| is_same_server(&target, other.target())) {
        return Err(same_server(origin));
    }
    // Others are far, perhaps behind a firewall, and have another address.
    let spared = project.filter(|other| is_local(other.target()));
    let spared = spared.and_then(|other| borrowed::system_identifier(&mut other.open().ok()?));
    let server = Borrowed::take_over(
        target,
        LoanTerms {
            spared,
            is_shared,
            wait: context.profile().limits.runner_wait,
            tell: &mut |holder| ui.status(&format!("waiting for another pgtune: {holder}")),
            stop: &|| stopped.load(Ordering::Relaxed),
        },
    )
    .map_err(|error| error.context(origin))?
    .ok_or_else(|| same_server(origin))?;
    let facts = server.facts().clone();
    ui.status(&format!("using     the PostgreSQL {} of {origin} for a shadow", facts.version));
    Ok((Home::Borrowed(Box::new(server), ui), facts.version_num / 10_000))
}

/// The database that the other commands work on, where anything says which.
fn project_database(context: &Context) -> Option<Database> {
    let target = database::target(context).ok()?;
    let is_named = target.settings.iter().any(|setting| setting.origin != "default");
    let database = is_named.then(|| Database::at(target, context.profile()))?;
    database.ok()
}

pub(super) fn same_server(origin: &str) -> Error {
    let message = format!("{origin} is the server of the project's database");
    Error::usage(message)
        .hint("a shadow is made where everything may be thrown away: give it a server of its own")
        .hint("if this one is, do not name it twice: leave out --url and DATABASE_URL here")
}

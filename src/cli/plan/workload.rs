//! Which queries to plan: the profile's, or those of a file.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::model::snapshot::Snapshot;
use crate::model::suggest::nearest;
use crate::pg::session::Session;
use crate::pg::statements::query;
use crate::profile::Query;
use crate::profile::queries::parse_file;

use super::server_statements::server_statements;

/// Which queries, where no server has to be asked.
#[derive(Debug, Default, clap::Args)]
pub struct QueryArgs {
    /// Queries of the profile, or of the files; without one all of them
    #[arg(value_name = "QUERY")]
    names: Vec<String>,
    /// Queries with this tag only; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Queries of a file, each below a line `-- name: …`, instead of the profile's; may be repeated
    #[arg(long = "file", short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Which queries.
#[derive(Debug, Default, clap::Args)]
pub struct WorkloadArgs {
    #[command(flatten)]
    queries: QueryArgs,
    /// The statements that the server spends 95 % of its time on (pg_stat_statements), instead of
    /// the profile's queries; they have no values: generic plans
    #[arg(long, conflicts_with = "files")]
    statements: bool,
}

impl WorkloadArgs {
    /// These queries of the profile, or of the server's statements; without a name all of them.
    pub fn of(names: Vec<String>, statements: bool) -> WorkloadArgs {
        WorkloadArgs { queries: QueryArgs { names, ..QueryArgs::default() }, statements }
    }

    /// The queries that were asked for. Errors where a name is unknown, and where there are none.
    pub fn queries(&self, context: &Context, session: &mut Session) -> Result<Vec<Query>> {
        match self.statements {
            true => self.queries.asked_for(server_statements(context, session, &[])?.queries()),
            false => self.queries.queries(context),
        }
    }
}

/// Which queries, where a snapshot may hold statements.
#[derive(Debug, Default, clap::Args)]
pub struct ForetoldArgs {
    #[command(flatten)]
    queries: QueryArgs,
    /// The statements that the snapshot has (`snapshot take --statements`), instead of the
    /// profile's queries; without any of these they are taken anyway
    #[arg(long, conflicts_with = "files")]
    statements: bool,
}

impl ForetoldArgs {
    /// The queries that were asked for. Errors where a name is unknown, and where there are none.
    pub fn queries(&self, context: &Context, snapshot: &Snapshot) -> Result<Vec<Query>> {
        let own = &snapshot.statements;
        if self.statements && own.is_empty() {
            return Err(Error::usage("the snapshot has no statements")
                .hint("`pgtune snapshot take --statements` adds them"));
        }
        let has_others = !self.queries.files.is_empty() || !context.profile().queries.is_empty();
        match self.statements || !has_others && !own.is_empty() {
            true => self.queries.asked_for(own.iter().map(query).collect()),
            false => self.queries.queries(context),
        }
    }

    /// The same; where nobody asked for any and there are none, there are none.
    pub fn queries_if_any(&self, context: &Context, snapshot: &Snapshot) -> Result<Vec<Query>> {
        match self.statements || !snapshot.statements.is_empty() {
            true => self.queries(context, snapshot),
            false => self.queries.queries_if_any(context),
        }
    }
}

impl QueryArgs {
    /// The queries that were asked for, of the profile or of files. Errors as above.
    pub fn queries(&self, context: &Context) -> Result<Vec<Query>> {
        let mut all = Vec::new();
        for file in &self.files {
            add(&mut all, read(file)?, file)?;
        }
        if self.files.is_empty() {
            all.clone_from(&context.profile().queries);
        }
        self.asked_for(all)
    }

    /// The same; where nobody asked for any and the profile has none, there are none.
    pub fn queries_if_any(&self, context: &Context) -> Result<Vec<Query>> {
        let asked = !self.names.is_empty() || !self.tags.is_empty() || !self.files.is_empty();
        match asked || !context.profile().queries.is_empty() {
            true => self.queries(context),
            false => Ok(Vec::new()),
        }
    }

    /// Those of `all` with the names and tags that were given.
    fn asked_for(&self, mut all: Vec<Query>) -> Result<Vec<Query>> {
        for name in &self.names {
            if !all.iter().any(|query| query.name == *name) {
                let error = Error::usage(format!("there is no query {name}"));
                let guess = nearest(name, all.iter().map(|query| query.name.as_str()));
                return Err(match guess {
                    Some(known) => error.hint(format!("did you mean {known}?")),
                    None => error.hint(format!("there are {}", some_names(&all))),
                });
            }
        }
        all.retain(|query| {
            let named = self.names.is_empty() || self.names.contains(&query.name);
            let tagged = self.tags.is_empty() || query.tags.iter().any(|t| self.tags.contains(t));
            named && tagged
        });
        match all.is_empty() {
            true => Err(Error::usage("there are no such queries").hint(
                "queries are [[queries]] of the profile, or those of a file given with --file",
            )),
            false => Ok(all),
        }
    }
}

/// Adds the queries of a file. Errors where one of them is called as another file's.
fn add(all: &mut Vec<Query>, queries: Vec<Query>, path: &Path) -> Result<()> {
    if let Some(twice) = queries.iter().find(|query| all.iter().any(|one| one.name == query.name)) {
        let message = format!("{}: another file has a query {} too", path.display(), twice.name);
        return Err(Error::usage(message).hint("give each query a name of its own"));
    }
    all.extend(queries);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Query>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::system(format!("read {shown}"), error))?;
    parse_file(&text).map_err(|message| Error::usage(format!("{shown}: {message}")))
}

/// The first names, for somebody who looks for one.
fn some_names(queries: &[Query]) -> String {
    const TOLD_MAX: usize = 10;
    let more = if queries.len() > TOLD_MAX { ", …" } else { "" };
    let names: Vec<&str> = queries.iter().take(TOLD_MAX).map(|one| one.name.as_str()).collect();
    names.join(", ") + more
}

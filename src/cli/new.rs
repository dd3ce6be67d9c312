//! `pgtune new`: the next migration, from a template.

use std::path::Path;

use super::context::Context;
use super::files::{Written, write_new};
use crate::error::{Error, Result};
use crate::model::migration::VersionWidth;
use crate::report::Report;
use crate::scaffold::file_name::{file_name, migration_name, next_version, version_digits};
use crate::scaffold::migration::{self, Need, Options, Template};

/// Write the next migration from a template
///
/// Columns and tables are names as in SQL, quoted where needed. On a terminal pgtune asks for what
/// the template needs and the flags do not say. A file of the same name in the profile's folder
/// `templates` (key migrations.templates) replaces a built-in template.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// What the migration does; becomes part of the file's name
    #[arg(value_name = "NAME")]
    migration: String,
    /// Template to fill in
    #[arg(long, short, value_name = "TEMPLATE", default_value = "empty")]
    template: String,
    /// Table, with its schema where that is not in the search path
    #[arg(long)]
    table: Option<String>,
    /// Column of the index; repeat it or separate several by commas
    #[arg(long = "column", value_name = "COLUMN", value_delimiter = ',')]
    columns: Vec<String>,
    /// Condition of a partial index, in SQL
    #[arg(long = "where", value_name = "CONDITION")]
    predicate: Option<String>,
    /// Name of the index [default: as PostgreSQL would choose]
    #[arg(long = "name", value_name = "INDEX")]
    index: Option<String>,
    /// First month of monthly partitions
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<String>,
    /// How many monthly partitions
    #[arg(long, value_name = "N")]
    months: Option<u32>,
    /// How many hash partitions
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
    /// Use the time (UTC, YYYYMMDDHHMMSS) as version, not the highest plus one
    #[arg(long)]
    timestamp: bool,
    /// Print the SQL and write nothing
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  pgtune new create_orders
  pgtune new index_orders -t index --table orders --column customer_id,created_at
  pgtune new unread -t partial-index --table notifications --column user_id --where 'not is_read'
  pgtune new year_2026 -t monthly-partitions --table events --from 2026-01 --months 12 --dry-run";

/// The templates with the flags they need, and examples.
fn after_help() -> String {
    let flag = |need: &Need| need.flag().split(' ').next().unwrap_or_default();
    let mut text = String::from("Templates:\n");
    for template in migration::TEMPLATES {
        let flags: Vec<&str> = template.needs.iter().map(flag).collect();
        let flags =
            if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(", ")) };
        text += &format!("  {:20} {}{flags}\n", template.name, template.about);
    }
    format!("{text}\n{EXAMPLES}")
}

/// Renders the template and writes the file, or prints the SQL.
pub fn run(context: &Context, args: Args) -> Result<()> {
    let template = migration::find(&args.template)?;
    let mut options = Options {
        name: migration_name(&args.migration)?,
        table: args.table,
        columns: args.columns,
        predicate: args.predicate,
        index: args.index,
        from: args.from,
        months: args.months,
        partitions: args.partitions,
    };
    if context.ui.can_ask() {
        for need in migration::missing(template, &options) {
            ask(context, need, &mut options)?;
        }
    }
    let own = own_template(context, template)?;
    // A template of the user's own may use whatever it likes.
    if own.is_none() {
        migration::refuse_unused(template, &options)?;
    }
    let sql = migration::render(template, own.as_deref(), &options)?;
    if args.dry_run {
        return context.show(&Report::new("").text("", sql));
    }
    let folder = context.migrations_folder();
    let version = version(context, &folder, args.timestamp)?;
    let path = folder.join(file_name(&version, &options.name));
    match write_new(&path, &sql)? {
        Written::New => {
            let facts = vec![("written".to_string(), path.display().to_string())];
            context.show(&Report::new("").facts("", facts))
        }
        Written::Existed => {
            Err(Error::usage(format!("{} exists, and was left as it is", path.display())))
        }
    }
}

/// Asks for one thing on the terminal.
fn ask(context: &Context, need: Need, options: &mut Options) -> Result<()> {
    let answer = context.ui.ask(need.question())?;
    let number = || {
        answer.trim().parse().map_err(|_| Error::usage(format!("\"{answer}\" is no whole number")))
    };
    match need {
        Need::Table => options.table = Some(answer),
        Need::Column => options.columns = answer.split(',').map(str::to_string).collect(),
        Need::Where => options.predicate = Some(answer),
        Need::Index => options.index = Some(answer),
        Need::From => options.from = Some(answer),
        Need::Months => options.months = Some(number()?),
        Need::Partitions => options.partitions = Some(number()?),
    }
    Ok(())
}

/// The project's own text for the template, where there is one.
fn own_template(context: &Context, template: &Template) -> Result<Option<String>> {
    let folder = context.profile_folder.join(&context.profile().migrations.templates);
    let path = folder.join(format!("{}.sql", template.name));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::system(format!("read the template {}", path.display()), error)),
    }
}

/// The new migration's version: a timestamp, or the one after the highest.
fn version(context: &Context, folder: &Path, timestamp: bool) -> Result<String> {
    let version = if timestamp {
        chrono::Utc::now().format("%Y%m%d%H%M%S").to_string()
    } else {
        let names = file_names(folder)?;
        next_version(names.iter().map(String::as_str))?
    };
    let fits = version.parse::<i32>().is_ok();
    if !fits && context.profile().migrations.history_version == VersionWidth::Int4 {
        context.ui.warn(&format!(
            "version {version} needs migrations.history_version = \"int8\" in the profile, \
             or a history table that has it"
        ));
    }
    Ok(version)
}

/// Names of the migration files in a folder and those below it, as refinery finds them.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::system(format!("read the folder {}", folder.display()), error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            names.extend(file_names(&entry.path())?);
        } else if let Ok(name) = entry.file_name().into_string() {
            names.extend(version_digits(&name).is_some().then_some(name));
        }
    }
    Ok(names)
}

//! `pgtune config`: what holds, and where it comes from.

use super::context::{Context, DEFAULT_PROFILE, GlobalArgs};
use super::database::target;
use crate::error::{Error, Kind, Result};
use crate::profile::show;
use crate::report::{Report, Table};
use crate::ui::Ui;

/// Show the profile's values and where they come from
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show every value with its origin, and what the connection comes to; passwords are hidden
    #[command(after_help = "Examples:
  pgtune config show
  pgtune config show --env prod
  PGTUNE_LIMITS_LANES=4 pgtune config show --json")]
    Show,
    /// Print the path of the profile that is read
    Path,
}

/// Shows the values, or the profile's path.
pub fn run(global: &GlobalArgs, ui: Ui, args: Args) -> Result<()> {
    match args.command {
        Command::Show => show(&Context::load(global, ui)?),
        Command::Path => path(global, ui),
    }
}

fn show(context: &Context) -> Result<()> {
    let mut table = Table::new("", &["key", "value", "origin"]);
    for shown in show::values(&context.layered) {
        table.rows.push(vec![shown.key, shown.value, shown.origin.to_string()]);
    }
    let target = target(context);
    let mut connection = Table::new("connection", &["key", "value", "origin"]);
    for setting in target.iter().flat_map(|target| &target.settings) {
        let (value, origin) = (setting.value.clone(), setting.origin.clone());
        connection.rows.push(vec![setting.keyword.to_string(), value, origin]);
    }
    context.show(&Report::new("").table(table).table(connection))?;
    target?.warnings.iter().for_each(|warning| context.ui.warn(warning));
    Ok(())
}

fn path(global: &GlobalArgs, ui: Ui) -> Result<()> {
    let path = global.profile_path().ok_or_else(|| {
        Error::new(Kind::Answer, format!("there is no {DEFAULT_PROFILE} in this folder"))
            .hint("`pgtune init` writes one; --profile names another")
    })?;
    let absolute = std::path::absolute(&path)
        .map_err(|error| Error::system(format!("find {}", path.display()), error))?;
    ui.answer(&format!("{}\n", absolute.display()))
}

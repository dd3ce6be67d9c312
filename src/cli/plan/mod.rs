//! `pgtune plan`: what PostgreSQL makes of the application's queries.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::error::Result;

mod capture;
pub mod diff;
mod history;
mod predict;
mod refusal;
mod rivals;
pub mod server_statements;
pub mod shown;
mod sides;
pub mod take;
mod values;
pub mod watch;
pub mod workload;

/// See how PostgreSQL runs the application's queries, and compare plans
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Capture(capture::Args),
    Diff(diff::Args),
    Predict(predict::Args),
    History(history::Args),
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.command {
        Command::Capture(args) => capture::run(context, args),
        Command::Diff(args) => diff::run(context, args),
        Command::Predict(args) => predict::run(context, args),
        Command::History(args) => history::run(context, args),
    }
}

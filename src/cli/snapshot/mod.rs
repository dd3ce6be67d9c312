//! `pgtune snapshot`: what a database looks like to the planner, in one small file.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::error::Result;

pub mod file;
pub mod origin;
mod show;
mod statements;
pub mod substitutes;
mod take;
mod verify;
mod workload;

/// Describe a database to the planner in one small file, without its rows
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Take(take::Args),
    Show(show::Args),
    Verify(verify::Args),
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.command {
        Command::Take(args) => take::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::Verify(args) => verify::run(context, args),
    }
}

//! `pgtune partitions`: tables kept by their rules.

use crate::error::Result;

use super::context::Context;

mod archive;
pub mod check;
mod drop;
mod jobs;
mod list;
mod look;
mod rotate;

/// Keep partitioned tables by their rules: create ahead, detach, drop, look
///
/// The rules are `[[partitions]]` in the profile. What exists is read from the bounds of the
/// partitions, never from their names.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Create(rotate::CreateArgs),
    Rotate(rotate::RotateArgs),
    Drop(drop::Args),
    Archive(archive::ArchiveArgs),
    Restore(archive::RestoreArgs),
    Check(check::Args),
}

/// Runs the command.
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.command {
        Command::List(args) => list::run(context, args),
        Command::Create(args) => rotate::create(context, args),
        Command::Rotate(args) => rotate::rotate(context, args),
        Command::Drop(args) => drop::run_drop(context, args),
        Command::Archive(args) => archive::archive(context, args),
        Command::Restore(args) => archive::restore(context, args),
        Command::Check(args) => check::run(context, args),
    }
}

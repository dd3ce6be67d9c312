//! The command line: parses arguments, calls one file per command, turns errors into exit codes.
//!
//! No decisions are made here. A command is one file (its arguments are its help text), one
//! variant of [`Command`] and one arm of [`dispatch`].

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Kind, Result};
use crate::ui::Ui;
use context::{Context, GlobalArgs};

mod adopt;
mod baseline;
mod bench;
mod bug;
mod check;
mod completions;
mod config;
mod context;
mod converge;
mod database;
mod debug;
mod demo;
mod fault;
mod files;
mod folder;
mod init;
mod interrupt;
mod lint;
mod man;
mod migrate;
mod new;
mod outputs;
mod partitions;
mod plan;
mod private;
mod repair;
mod rewrite;
mod runner;
mod schema;
mod shadow;
mod snapshot;
mod status;

/// Changes indexes and partitions of big PostgreSQL tables online, and shows its locks first
#[derive(Debug, Parser)]
#[command(
    name = "pgtune",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_long_help = "Exit codes: 0 yes or done, 1 the answer is no, 2 asked wrongly, 3 the \
        database refused or cannot be reached, 4 gave up waiting for a lock, 5 stopped between \
        steps (run again to continue), 6 the operating system refused, 70 a bug in pgtune, \
        130 interrupted."
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    New(new::Args),
    Migrate(migrate::Args),
    Partitions(partitions::Args),
    Plan(plan::Args),
    Snapshot(snapshot::Args),
    Check(check::Args),
    Bench(bench::Args),
    Demo(demo::Args),
    Status(status::Args),
    Baseline(baseline::Args),
    Repair(repair::Args),
    Adopt(adopt::Args),
    Config(config::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Debug(debug::Args),
}

/// Runs pgtune with the given arguments (the first is the program's name).
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help, version or a usage error; a reader that went away is none.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let ui = cli.global.ui();
    bug::install_hook(ui);
    match bug::catch(|| dispatch(cli, ui)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            ui.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
        None => ExitCode::from(Kind::Bug.exit_code()),
    }
}

/// Calls the command. Only those that need the profile read it.
fn dispatch(cli: Cli, ui: Ui) -> Result<()> {
    let context = || Context::load(&cli.global, ui);
    match cli.command {
        Command::Init(args) => init::run(ui, args),
        Command::New(args) => new::run(&context()?, args),
        Command::Migrate(args) => migrate::run(&context()?, args),
        Command::Partitions(args) => partitions::run(&context()?, args),
        Command::Plan(args) => plan::run(&context()?, args),
        Command::Check(args) => check::run(&context()?, args),
        Command::Snapshot(args) => snapshot::run(&context()?, args),
        Command::Bench(args) => bench::run(ui, args, context),
        Command::Demo(args) => demo::run(ui, args),
        Command::Status(args) => status::run(&context()?, args),
        Command::Baseline(args) => baseline::run(&context()?, args),
        Command::Repair(args) => repair::run(&context()?, args),
        Command::Adopt(args) => adopt::run(&context()?, args),
        Command::Config(args) => config::run(&cli.global, ui, args),
        Command::Schema(args) => schema::run(ui, args),
        Command::Completions(args) => completions::run(ui, args),
        Command::Man(args) => man::run(ui, args),
        Command::Debug(args) => debug::run(args, ui, context),
    }
}

/// The whole command line as clap describes it, for completions, manual pages and the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}

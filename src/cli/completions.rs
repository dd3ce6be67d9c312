//! `pgtune completions`: completions for the shells.

use clap_complete::Shell;

use crate::error::Result;
use crate::ui::Ui;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pgtune completions bash > ~/.local/share/bash-completion/completions/pgtune
  pgtune completions zsh > ~/.zfunc/_pgtune
  pgtune completions fish > ~/.config/fish/completions/pgtune.fish")]
pub struct Args {
    /// Shell to complete in
    shell: Shell,
}

/// Prints the completions.
pub fn run(ui: Ui, args: Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "pgtune", &mut script);
    ui.answer(&String::from_utf8_lossy(&script))
}

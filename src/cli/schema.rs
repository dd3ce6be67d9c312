//! `pgtune schema`: the profile's JSON Schema.

use crate::error::Result;
use crate::profile;
use crate::ui::Ui;

/// Print the JSON Schema of the profile, for editors and checks
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, for editors that check TOML (taplo, Even Better TOML):
  pgtune schema > pgtune.schema.json
  then let the profile start with the line: #:schema pgtune.schema.json")]
pub struct Args {}

/// Prints the schema; JSON whatever the format.
pub fn run(ui: Ui, _args: Args) -> Result<()> {
    ui.answer(&profile::schema())
}

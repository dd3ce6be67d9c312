//! `pgtune man`: manual pages.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ui::Ui;

/// Write manual pages, one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pgtune man | man -l -                  read the main page
  pgtune man ~/.local/share/man/man1     install all of them")]
pub struct Args {
    /// Folder to write them to; without it the main page is printed
    folder: Option<PathBuf>,
}

/// Prints the main page, or writes all pages to the folder.
pub fn run(ui: Ui, args: Args) -> Result<()> {
    match args.folder {
        Some(folder) => write(ui, &folder),
        None => print(ui),
    }
}

fn print(ui: Ui) -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command())
        .render(&mut page)
        .map_err(|error| Error::system("render the manual page", error))?;
    ui.answer(&String::from_utf8_lossy(&page))
}

fn write(ui: Ui, folder: &Path) -> Result<()> {
    let failed =
        |error| Error::system(format!("write the manual pages to {}", folder.display()), error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(super::command(), folder).map_err(failed)?;
    ui.status(&format!("wrote the manual pages to {}", folder.display()));
    Ok(())
}

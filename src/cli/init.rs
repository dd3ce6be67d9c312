//! `pgtune init`: a project to start with.

use std::path::{Path, PathBuf};

use super::files::{Written, write_new};
use crate::error::{Error, Result};
use crate::report::{Report, Table};
use crate::scaffold::project::{self, Ci, Schedule};
use crate::ui::Ui;

/// Write a profile, a migrations folder and a CI workflow to start with
///
/// Files that exist are left as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pgtune init
  pgtune init --ci github
  pgtune init --schedule systemd
  pgtune init services/billing --ci gitlab")]
pub struct Args {
    /// Folder of the project
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Write a workflow that checks the migrations and applies them to an empty PostgreSQL
    #[arg(long, value_enum)]
    ci: Option<Ci>,
    /// Write what runs `pgtune partitions rotate` every hour
    #[arg(long, value_enum)]
    schedule: Option<Schedule>,
}

/// Writes what is not there yet, and says what it did.
pub fn run(ui: Ui, args: Args) -> Result<()> {
    let mut table = Table::new("", &["path", "result"]);
    let mut add = |path: &Path, written: Written| {
        let result = match written {
            Written::New => "written",
            Written::Existed => "exists, left as it is",
        };
        table.rows.push(vec![path.display().to_string(), result.to_string()]);
    };
    let folder = args.folder.strip_prefix(".").unwrap_or(&args.folder);
    for file in project::files(args.ci, args.schedule) {
        let path = folder.join(file.path);
        add(&path, write_new(&path, file.text)?);
    }
    let migrations = folder.join("migrations");
    let existed = migrations.is_dir();
    std::fs::create_dir_all(&migrations)
        .map_err(|error| Error::system(format!("create {}", migrations.display()), error))?;
    add(&migrations, if existed { Written::Existed } else { Written::New });
    ui.show(&Report::new("").table(table))?;
    ui.status("next: pgtune new create_orders --template empty");
    Ok(())
}

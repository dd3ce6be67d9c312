//! What the private server needs to know about the machine, as a value.
//!
//! [`Surroundings::of_process`] is the only place below `cli` that reads the environment; all else
//! takes the value, so that a test can describe any machine.

use std::env;
use std::path::PathBuf;

use super::account::{self, Account};
use crate::error::{Error, Result};

/// The part of the process and its machine that the search and the server depend on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `PGTUNE_PG_BIN`: the folder of the server programs.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`, as folders.
    pub path: Vec<PathBuf>,
    /// The current folder; `.postgres/` is looked for in it.
    pub current_folder: PathBuf,
    /// The root of the file system: `/`, except in tests.
    pub root: PathBuf,
    /// `TMPDIR`, or the system's.
    pub temp_folder: PathBuf,
    /// Who runs the server; `None` is the user that runs pgtune.
    pub account: Option<Account>,
}

impl Surroundings {
    /// Reads this process: its environment, current folder and user.
    ///
    /// Fails where the current folder is gone, or where root has no other user to run a server as.
    pub fn of_process() -> Result<Surroundings> {
        let current_folder = env::current_dir()
            .map_err(|error| Error::system("find out the current folder", error))?;
        Ok(Surroundings {
            pg_bin: env::var_os("PGTUNE_PG_BIN").filter(|v| !v.is_empty()).map(PathBuf::from),
            path: env::var_os("PATH").map(|v| env::split_paths(&v).collect()).unwrap_or_default(),
            current_folder,
            root: PathBuf::from("/"),
            temp_folder: env::temp_dir(),
            account: account::for_server()?,
        })
    }
}

//! Writes files for users, never over one that exists.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// What came of writing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was not there before.
    New,
    /// Something is there already, and was left alone.
    Existed,
}

/// Writes a new file and the folders above it; leaves an existing one (or a link) alone.
pub fn write_new(path: &Path, text: &str) -> Result<Written> {
    let failed = |error| Error::system(format!("write {}", path.display()), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(failed).map(|()| Written::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Existed),
        Err(error) => Err(failed(error)),
    }
}

//! Snapshots in files: JSON, compressed where the name ends in `.zst`.

use std::path::Path;

use crate::error::{Error, Result};
use crate::model::snapshot::{SCHEMA_VERSION, Snapshot};

/// The file where none is named.
pub const DEFAULT: &str = "snapshot.json.zst";
/// zstd's own default.
const LEVEL: i32 = 3;

/// Writes a snapshot; returns the bytes that it takes.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<usize> {
    let wrong = |error| Error::system(format!("write {}", path.display()), error);
    let mut bytes = serde_json::to_vec_pretty(snapshot).expect("a snapshot fits into JSON");
    bytes.push(b'\n');
    if is_compressed(path) {
        bytes = zstd::encode_all(bytes.as_slice(), LEVEL).map_err(wrong)?;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A file that is there is whole, whenever we are stopped.
    let mut whole =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(wrong)?;
    std::io::Write::write_all(&mut whole, &bytes).map_err(wrong)?;
    whole.persist(path).map_err(|error| wrong(error.error))?;
    Ok(bytes.len())
}

/// Reads a snapshot.
pub fn read(path: &Path) -> Result<Snapshot> {
    let shown = path.display();
    let mut bytes = std::fs::read(path).map_err(|e| Error::system(format!("read {shown}"), e))?;
    let damaged = || {
        Error::usage(format!("{shown} holds no snapshot"))
            .hint("`pgtune snapshot take FILE` writes one")
    };
    if is_compressed(path) {
        bytes = zstd::decode_all(bytes.as_slice()).map_err(|error| damaged().caused_by(error))?;
    }
    let snapshot: Snapshot =
        serde_json::from_slice(&bytes).map_err(|error| damaged().caused_by(error))?;
    match snapshot.schema_version {
        SCHEMA_VERSION => Ok(snapshot),
        other => Err(Error::usage(format!("{shown} was written by another pgtune (form {other})"))
            .hint("take the snapshot anew")),
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

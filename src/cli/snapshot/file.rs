//! Snapshots in files: JSON, compressed where the name ends in `.zst`.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::model::snapshot::{SCHEMA_VERSION, Snapshot};

/// The file where none is named.
pub const DEFAULT: &str = "snapshot.json.zst";
/// zstd's own default.
const LEVEL: i32 = 3;

/// Writes a snapshot; returns the bytes that it takes.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<u64> {
    let wrong = |error| Error::system(format!("write {}", path.display()), error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A file that is there is whole, whenever we are stopped.
    let mut whole =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(wrong)?;
    let file = whole.as_file_mut();
    if is_compressed(path) {
        let mut compressed = zstd::Encoder::new(file, LEVEL).map_err(wrong)?;
        put(&mut compressed, snapshot).map_err(wrong)?;
        compressed.finish().map_err(wrong)?;
    } else {
        put(file, snapshot).map_err(wrong)?;
    }
    let bytes = whole.as_file().metadata().map_err(wrong)?.len();
    whole.persist(path).map_err(|error| wrong(error.error))?;
    Ok(bytes)
}

fn put(out: impl Write, snapshot: &Snapshot) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, snapshot)?;
    out.write_all(b"\n")?;
    out.flush()
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

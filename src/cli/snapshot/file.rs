//! Snapshots in files: JSON, compressed where the name ends in `.zst`.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};
use crate::model::snapshot::{SCHEMA_VERSION, Snapshot};
use crate::model::units::human_bytes;

/// The file where none is named.
pub const DEFAULT: &str = "snapshot.json.zst";
/// zstd's own default.
const LEVEL: i32 = 3;
/// No more is read: ten times what 50,000 relations need.
const BYTES_MAX: u64 = 2 << 30;

/// Writes a snapshot; returns the bytes that it takes. A file that is there stays what it was to
/// others: behind its link, with its rights.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<u64> {
    let wrong = |error| Error::system(format!("write {}", path.display()), error);
    let is_compressed = is_compressed(path);
    // A pipe or a device is written to, not replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut device = File::options().write(true).open(path).map_err(wrong)?;
        return put(&mut device, snapshot, is_compressed).map_err(wrong);
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut whole = beside(&target).map_err(wrong)?;
    let bytes = put(whole.as_file_mut(), snapshot, is_compressed).map_err(wrong)?;
    whole.persist(target).map_err(|error| wrong(error.error))?;
    Ok(bytes)
}

/// A new file that takes the place of another when it is whole, whenever we are stopped.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    const MODE: u32 = 0o666;
    let there = fs::metadata(target).ok().map(|file| file.permissions());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder: PathBuf = folder.map_or_else(|| ".".into(), Path::to_path_buf);
    fs::metadata(&folder)?;
    let made = Builder::new().permissions(Permissions::from_mode(MODE)).tempfile_in(folder);
    // The name that it has for a moment says nothing to people.
    let made = made.map_err(|error| io::Error::from(error.kind()))?;
    if let Some(permissions) = there {
        made.as_file().set_permissions(permissions)?;
    }
    Ok(made)
}

/// Writes a snapshot; returns the bytes that it takes.
fn put(out: impl Write, snapshot: &Snapshot, is_compressed: bool) -> io::Result<u64> {
    let mut counted = Counted { out, bytes: 0 };
    match is_compressed {
        true => {
            let mut compressed = zstd::Encoder::new(&mut counted, LEVEL)?;
            put_text(&mut compressed, snapshot)?;
            compressed.finish()?;
        }
        false => put_text(&mut counted, snapshot)?,
    }
    counted.flush()?;
    Ok(counted.bytes)
}

fn put_text(out: impl Write, snapshot: &Snapshot) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, snapshot)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a snapshot.
pub fn read(path: &Path) -> Result<Snapshot> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| Error::system(format!("read {shown}"), error))?;
    let damaged = || {
        Error::usage(format!("{shown} holds no snapshot"))
            .hint("`pgtune snapshot take FILE` writes one")
    };
    let text = text(file, is_compressed(path)).map_err(|error| damaged().caused_by(error))?;
    let snapshot: Snapshot =
        serde_json::from_slice(&text).map_err(|error| damaged().caused_by(error))?;
    if snapshot.schema_version != SCHEMA_VERSION {
        let form = snapshot.schema_version;
        let message = format!("{shown} was written by another pgtune (form {form})");
        return Err(Error::usage(message).hint("take the snapshot anew"));
    }
    match snapshot.implausible() {
        Some(what) => Err(Error::usage(format!("{shown} is of no database: {what}"))
            .hint("take the snapshot anew")),
        None => Ok(snapshot),
    }
}

/// Reads a snapshot, with so many times the rows.
pub fn read_scaled(path: &Path, scale: f64) -> Result<Snapshot> {
    let snapshot = read(path)?;
    if scale == 1.0 {
        return Ok(snapshot);
    }
    let scaled = snapshot.scaled(scale);
    match scaled.implausible() {
        Some(what) => Err(Error::usage(format!("--scale {scale} is too much: {what}"))
            .hint("a table has 32 TB at most")),
        None => Ok(scaled),
    }
}

/// Reads a factor that rows can be multiplied by.
pub fn factor(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (1e-6..=1e6).contains(&factor) => Ok(factor),
        Ok(_) | Err(_) => Err("write a number from 0.000001 to 1000000: 10 or 0.5".to_string()),
    }
}

fn text(file: File, is_compressed: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = match is_compressed {
        true => zstd::Decoder::new(file)?.take(BYTES_MAX + 1).read_to_end(&mut text)?,
        false => file.take(BYTES_MAX + 1).read_to_end(&mut text)?,
    };
    if read as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {}", human_bytes(BYTES_MAX))));
    }
    Ok(text)
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

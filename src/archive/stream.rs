//! The bytes of an archive: rows as COPY writes them, hashed by line, packed, hashed once more.
//!
//! The same sums come from writing and from reading back, so that a store need not be trusted.
//! Memory does not grow with the archive.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::error::{Error, Kind, Result};

/// zstd's own default: higher ones cost more time than they save bytes.
const LEVEL: i32 = 3;
/// How many plain bytes are read at once.
const CHUNK_BYTES: usize = 1 << 17;

/// What an archive's bytes come to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Lines of COPY's text format: a newline in a value is written `\n`, so each is a row.
    pub rows: u64,
    /// Bytes before packing.
    pub bytes: u64,
    /// The first 128 bits of each line's SHA-256, summed modulo 2^128, so that the order of the
    /// rows does not matter; in hexadecimal.
    pub line_hash: String,
    /// Bytes in the store.
    pub packed_bytes: u64,
    /// SHA-256 of the bytes in the store.
    pub sha256: String,
}

impl Sums {
    /// What differs in `found`, in words; empty where the bytes are the same.
    pub fn differences(&self, found: &Sums) -> Vec<String> {
        let pairs = [
            ("size", self.packed_bytes.to_string(), found.packed_bytes.to_string()),
            ("SHA-256", self.sha256.clone(), found.sha256.clone()),
            ("number of rows", self.rows.to_string(), found.rows.to_string()),
            ("unpacked size", self.bytes.to_string(), found.bytes.to_string()),
            ("hash of the rows", self.line_hash.clone(), found.line_hash.clone()),
        ];
        let differing = pairs.into_iter().filter(|(_, written, found)| written != found);
        differing.map(|(what, written, found)| format!("{what} {found}, not {written}")).collect()
    }
}

/// Counts and hashes lines, however they are cut into pieces.
#[derive(Default)]
struct Lines {
    rows: u64,
    bytes: u64,
    sum: u128,
    line: Sha256,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.update(piece);
            if piece.ends_with(b"\n") {
                let digest = self.line.finalize_reset();
                let first: [u8; 16] = std::array::from_fn(|at| digest[at]);
                self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
                self.rows += 1;
            }
        }
    }
}

/// Counts and hashes what passes to or from `inner`.
struct Hashing<T> {
    inner: T,
    bytes: u64,
    sha256: Sha256,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Hashing<T> {
        Hashing { inner, bytes: 0, sha256: Sha256::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.take(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Marked, so that a store that fails is told from bytes that make no sense.
        let read = self.inner.read(buffer).map_err(|error| store_failed(error, "read"))?;
        self.take(&buffer[..read]);
        Ok(read)
    }
}

/// Carries an error of a store through `std::io`.
fn store_failed(error: io::Error, doing: &str) -> io::Error {
    match error.downcast::<Error>() {
        Ok(error) => io::Error::other(error),
        Err(error) => io::Error::other(Error::system(format!("{doing} the archive"), error)),
    }
}

fn sums<T>(lines: &Lines, packed: Hashing<T>) -> Sums {
    let sha256 = packed.sha256.finalize();
    Sums {
        rows: lines.rows,
        bytes: lines.bytes,
        line_hash: format!("{:032x}", lines.sum),
        packed_bytes: packed.bytes,
        sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Packs rows into a store.
pub struct Packing<W: Write> {
    lines: Lines,
    encoder: Encoder<'static, Hashing<W>>,
}

impl<W: Write> Packing<W> {
    /// Begins to write into `to`, whose errors are [`Error`]s.
    pub fn new(to: W) -> Result<Packing<W>> {
        let encoder = Encoder::new(Hashing::new(to), LEVEL).map_err(not_written)?;
        Ok(Packing { lines: Lines::default(), encoder })
    }

    /// Takes the next bytes of the rows.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.lines.take(bytes);
        self.encoder.write_all(bytes).map_err(not_written)
    }

    /// Rows and bytes so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.lines.rows, self.lines.bytes)
    }

    /// Writes the rest and returns the sums with what was written to.
    pub fn finish(self) -> Result<(Sums, W)> {
        let Hashing { inner, bytes, sha256 } = self.encoder.finish().map_err(not_written)?;
        Ok((sums(&self.lines, Hashing { inner: (), bytes, sha256 }), inner))
    }
}

fn not_written(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::system("pack the archive", error))
}

/// Reads an archive back.
pub struct Unpacking<R: Read> {
    lines: Lines,
    decoder: Decoder<'static, io::BufReader<Hashing<R>>>,
    buffer: Vec<u8>,
    /// Why the bytes cannot be unpacked any further.
    broken: Option<String>,
}

impl<R: Read> Unpacking<R> {
    /// Begins to read `from`.
    pub fn new(from: R) -> Result<Unpacking<R>> {
        let decoder = Decoder::new(Hashing::new(from)).map_err(|error| {
            Error::new(Kind::System, "cannot unpack the archive").caused_by(error)
        })?;
        let buffer = vec![0; CHUNK_BYTES];
        Ok(Unpacking { lines: Lines::default(), decoder, buffer, broken: None })
    }

    /// The next bytes of the rows; empty at the end, and where the bytes make no sense any more.
    /// Errors are the store's.
    pub fn chunk(&mut self) -> Result<&[u8]> {
        let read = match self.decoder.read(&mut self.buffer) {
            Ok(read) => read,
            Err(error) => {
                self.broken = Some(error.downcast::<Error>().map_or_else(as_text, Err)?);
                0
            }
        };
        self.lines.take(&self.buffer[..read]);
        Ok(&self.buffer[..read])
    }

    /// Rows and bytes so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.lines.rows, self.lines.bytes)
    }

    /// Reads what is left and names what differs from what was written; empty where nothing does.
    pub fn differences(self, written: &Sums) -> Result<Vec<String>> {
        let mut packed = self.decoder.finish().into_inner();
        io::copy(&mut packed, &mut io::sink()).map_err(|error| {
            error.downcast::<Error>().unwrap_or_else(|e| Error::system("read the archive", e))
        })?;
        let mut differences = written.differences(&sums(&self.lines, packed));
        differences.extend(self.broken.map(|why| format!("it cannot be unpacked ({why})")));
        Ok(differences)
    }
}

fn as_text(error: io::Error) -> Result<String> {
    Ok(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "1\ta\\nb\n2\t\\N\n3\tü\n";

    fn packed(rows: &str) -> (Sums, Vec<u8>) {
        let mut packing = Packing::new(Vec::new()).unwrap();
        packing.take(rows.as_bytes()).unwrap();
        packing.finish().unwrap()
    }

    fn differences(written: &Sums, bytes: &[u8]) -> Vec<String> {
        let mut unpacking = Unpacking::new(bytes).unwrap();
        while !unpacking.chunk().unwrap().is_empty() {}
        unpacking.differences(written).unwrap()
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        for rows in [ROWS, ""] {
            let (sums, bytes) = packed(rows);
            assert_eq!(sums.rows, rows.lines().count() as u64);
            assert_eq!((sums.bytes, sums.packed_bytes), (rows.len() as u64, bytes.len() as u64));
            assert_eq!(differences(&sums, &bytes), Vec::<String>::new());
        }
    }

    #[test]
    fn neither_order_nor_pieces_matter() {
        let (sums, _) = packed(ROWS);
        assert_eq!(packed("3\tü\n1\ta\\nb\n2\t\\N\n").0.line_hash, sums.line_hash);
        assert_ne!(packed("3\tü\n1\ta\\nc\n2\t\\N\n").0.line_hash, sums.line_hash);
        assert_ne!(packed("1\ta\\n\nb2\t\\N\n3\tü\n").0.line_hash, sums.line_hash);
        let mut packing = Packing::new(Vec::new()).unwrap();
        ROWS.bytes().for_each(|byte| packing.take(&[byte]).unwrap());
        assert_eq!(packing.finish().unwrap().0.line_hash, sums.line_hash);
    }

    #[test]
    fn every_changed_byte_is_found() {
        let (sums, bytes) = packed(ROWS);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let found = differences(&sums, &changed);
            assert!(found.iter().any(|text| text.starts_with("SHA-256")), "{at}: {found:?}");
        }
        for length in 0..bytes.len() {
            let found = differences(&sums, &bytes[..length]);
            assert!(found[0].starts_with(&format!("size {length}, not")), "{found:?}");
        }
        let found = differences(&sums, &[bytes.clone(), bytes].concat());
        assert!(found.iter().any(|text| text.starts_with("number of rows 6, not 3")), "{found:?}");
    }

    #[test]
    fn a_failing_store_is_no_broken_archive() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the cable is cut"))
            }
        }
        let error = Unpacking::new(Failing).unwrap().chunk().map(<[u8]>::len).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the archive");
        assert_eq!(error.causes(), ["the cable is cut"]);
    }
}

//! Rows to write, read once before anything is measured.

use crate::error::{Error, Kind, Result};
use crate::model::ident::Ident;
use crate::pg::failure::Failure;
use crate::pg::session::Session;

/// As many rows are read at most; then they are written again.
const ROWS_MAX: usize = 50_000;

/// Rows in COPY's text format, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The columns that the query named.
    pub columns: Vec<Ident>,
    text: Vec<u8>,
    /// Where each line ends, its newline included.
    ends: Vec<usize>,
}

impl Rows {
    /// Runs the query; `name` says whose it is.
    pub fn read(session: &mut Session, name: &str, query: &str) -> Result<Rows> {
        let query = query.trim().trim_end_matches(';');
        let explain =
            |failure: Failure| failure.explain(&format!("cannot read the rows of {name}"));
        let columns = session.columns(query).map_err(explain)?;
        let columns: std::result::Result<Vec<Ident>, _> = columns.iter().map(Ident::new).collect();
        let columns = columns.map_err(Error::usage)?;
        let copy = format!("COPY (SELECT * FROM ({query}) AS rows LIMIT {ROWS_MAX}) TO STDOUT");
        let mut out = session.copy_out(&copy).map_err(explain)?;
        let mut text = Vec::new();
        loop {
            let chunk = out.chunk().map_err(explain)?;
            if chunk.is_empty() {
                break;
            }
            text.extend_from_slice(chunk);
        }
        let rows = Rows::of(columns, text);
        match rows.count() {
            0 => Err(Error::new(Kind::Usage, format!("the query for the rows of {name} has none"))
                .hint("load some data first, or make rows with generate_series")),
            _ => Ok(rows),
        }
    }

    /// Rows as COPY writes them.
    pub fn of(columns: Vec<Ident>, text: Vec<u8>) -> Rows {
        // The text format escapes newlines, so each ends a row.
        let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let ends = newlines.map(|(at, _)| at + 1).collect();
        Rows { columns, text, ends }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// One row in COPY's text format, with its newline; after the last comes the first again.
    pub fn line(&self, row: u64) -> &[u8] {
        let row = usize::try_from(row % self.ends.len() as u64).unwrap_or(0);
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[begin..self.ends[row]]
    }

    /// The same as values.
    pub fn values(&self, row: u64) -> Vec<Option<String>> {
        let line = self.line(row);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.split(|byte| *byte == b'\t').map(value).collect()
    }
}

/// A field without COPY's escapes (manual, COPY, "Text Format"); `\N` is NULL.
fn value(field: &[u8]) -> Option<String> {
    if field == b"\\N" {
        return None;
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_again_as_lines_and_as_values() {
        let rows = Rows::of(Vec::new(), b"1\t\\N\n2\ta\\tb\\\\c\\n\n".to_vec());
        assert_eq!(rows.count(), 2);
        assert_eq!(rows.line(0), b"1\t\\N\n");
        assert_eq!(rows.line(5), b"2\ta\\tb\\\\c\\n\n");
        assert_eq!(rows.values(2), [Some("1".to_string()), None]);
        assert_eq!(rows.values(1), [Some("2".to_string()), Some("a\tb\\c\n".to_string())]);
    }
}

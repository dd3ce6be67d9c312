//! One table's generated rows, streamed in PostgreSQL's COPY text format. Pure: no clock, no files.
//!
//! A generator is a function from the number of a unit (a row, or a user with several rows) to its
//! lines, so memory is one chunk whatever the number of rows, and every table can ask about any
//! unit of another one.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

/// A chunk is finished when it has at least this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The rows of one table, to be read chunk by chunk and sent with COPY.
pub struct TableData {
    /// Name of the table.
    pub table: &'static str,
    /// Its columns, in the order of the fields.
    pub columns: &'static [&'static str],
    /// How many rows all chunks have together.
    pub rows: u64,
    units: u64,
    next_unit: u64,
    write_unit: Box<WriteUnit>,
}

/// Writes the lines of the unit with this number, counted from 0.
type WriteUnit = dyn Fn(u64, &mut Lines) + Send;

impl TableData {
    /// A table with one row for each number below `rows`.
    pub fn new(
        table: &'static str,
        columns: &'static [&'static str],
        rows: u64,
        write_row: impl Fn(u64, &mut Lines) + Send + 'static,
    ) -> TableData {
        let write_unit = Box::new(write_row);
        TableData { table, columns, rows, units: rows, next_unit: 0, write_unit }
    }

    /// The same table with `rows` rows in all, when `write_row` writes several lines or none.
    pub fn with_rows(self, rows: u64) -> TableData {
        TableData { rows, ..self }
    }

    /// The statement that the chunks are the input of. The names are ours, and plain.
    pub fn copy_sql(&self) -> String {
        format!("copy {} ({}) from stdin", self.table, self.columns.join(", "))
    }

    /// Replaces `chunk` by the next lines, always whole ones; false when there are no more.
    pub fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        chunk.clear();
        let mut lines = Lines { bytes: std::mem::take(chunk) };
        while self.next_unit < self.units && lines.bytes.len() < CHUNK_BYTES {
            (self.write_unit)(self.next_unit, &mut lines);
            self.next_unit += 1;
        }
        *chunk = lines.bytes;
        !chunk.is_empty()
    }
}

/// Lines in COPY text format: fields end with a tab, the last one with a newline.
pub struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Appends a field; what COPY would read as syntax is escaped here and nowhere else.
    pub fn field(&mut self, value: impl fmt::Display) -> &mut Lines {
        fmt::write(self, format_args!("{value}")).expect("writing to memory does not fail");
        self.bytes.push(b'\t');
        self
    }

    /// Appends a NULL.
    pub fn null(&mut self) -> &mut Lines {
        self.bytes.extend_from_slice(b"\\N\t");
        self
    }

    /// Appends a field, or NULL for `None`.
    pub fn optional(&mut self, value: Option<impl fmt::Display>) -> &mut Lines {
        match value {
            Some(value) => self.field(value),
            None => self.null(),
        }
    }

    /// Ends the row after its last field.
    pub fn end(&mut self) {
        if let Some(last) = self.bytes.last_mut() {
            *last = b'\n';
        }
    }
}

/// Escapes as the manual's chapter on COPY, "Text Format", asks for.
impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'\\' => self.bytes.extend_from_slice(b"\\\\"),
                b'\t' => self.bytes.extend_from_slice(b"\\t"),
                b'\n' => self.bytes.extend_from_slice(b"\\n"),
                b'\r' => self.bytes.extend_from_slice(b"\\r"),
                _ => self.bytes.push(byte),
            }
        }
        Ok(())
    }
}

/// A point in time, in microseconds since 1970; shown as a timestamptz in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

const MICROS_PER_DAY: f64 = 86_400e6;

impl Time {
    /// The time that `now` is.
    pub fn at(now: DateTime<Utc>) -> Time {
        Time(now.timestamp_micros())
    }

    /// The time this many days later; earlier if negative.
    pub fn plus_days(self, days: f64) -> Time {
        Time(self.0 + (days * MICROS_PER_DAY) as i64)
    }

    /// The day alone, as a date.
    pub fn date(self) -> impl fmt::Display {
        self.utc().date_naive()
    }

    fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).expect("times are near now, and chrono goes far")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.utc();
        write!(f, "{}-{:02}-{:02}", at.year(), at.month(), at.day())?;
        write!(f, " {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())?;
        write!(f, ".{:06}+00", at.nanosecond() / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut data: TableData) -> String {
        let (mut chunk, mut text) = (Vec::new(), String::new());
        while data.next_chunk(&mut chunk) {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        text
    }

    #[test]
    fn what_copy_reads_as_syntax_is_escaped() {
        let data = TableData::new("t", &["a", "b"], 1, |_, lines| {
            lines.field("tab\t back\\slash").field("line\r\n, \\N").end();
        });
        assert_eq!(data.copy_sql(), "copy t (a, b) from stdin");
        assert_eq!(all(data), "tab\\t back\\\\slash\tline\\r\\n, \\\\N\n");
    }

    #[test]
    fn null_and_empty_text_differ() {
        let data = TableData::new("t", &["a", "b", "c"], 1, |_, lines| {
            lines.null().field("").optional(None::<i64>).end();
        });
        assert_eq!(all(data), "\\N\t\t\\N\n");
    }

    #[test]
    fn chunks_are_bounded_and_end_with_whole_lines() {
        let mut data = TableData::new("t", &["a"], 100_000, |row, lines| lines.field(row).end());
        let (mut chunk, mut rows, mut chunks) = (Vec::new(), 0, 0);
        while data.next_chunk(&mut chunk) {
            assert!(chunk.len() < CHUNK_BYTES + 100);
            assert_eq!(chunk.last(), Some(&b'\n'));
            rows += chunk.iter().filter(|byte| **byte == b'\n').count();
            chunks += 1;
        }
        assert_eq!(rows, 100_000);
        assert!(chunks > 1);
    }

    #[test]
    fn times_are_utc_with_microseconds() {
        let now = DateTime::parse_from_rfc3339("2026-03-01T00:00:00.000005+01:00").unwrap();
        let time = Time::at(now.to_utc());
        assert_eq!(time.to_string(), "2026-02-28 23:00:00.000005+00");
        assert_eq!(time.plus_days(-0.5).to_string(), "2026-02-28 11:00:00.000005+00");
        assert_eq!(time.plus_days(1.0).date().to_string(), "2026-03-01");
    }
}

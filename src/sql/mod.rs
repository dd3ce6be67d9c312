//! SQL text to statements: cut, check against PostgreSQL's grammar, say what each one does. Pure.

use squawk_syntax::SourceFile;

use self::locks::TableLock;
use self::split::{SyntaxError, newlines};
use self::statement::Kind;
use self::tokens::Cursor;

pub mod alter_table;
pub mod column;
mod column_name;
pub mod compared;
pub mod index_shape;
pub mod locks;
pub mod normalised;
pub mod query;
pub mod secrets;
pub mod self_name;
pub mod setting;
pub mod split;
pub mod statement;
pub mod tokens;
pub mod transaction;
pub mod type_name;

/// One statement of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the final semicolon.
    pub text: String,
    /// The line of the file it starts on, from 1.
    pub line: usize,
    /// What it does.
    pub kind: Kind,
    /// The table locks it takes.
    pub locks: Vec<TableLock>,
    /// Whether a comment says `pgtune: as-written`.
    pub as_written: bool,
    /// What other comments before or inside it say to pgtune.
    pub marks: Vec<Mark>,
}

/// A comment `-- pgtune: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it says behind the colon.
    pub text: String,
    /// Its line of the file, from 1.
    pub line: usize,
}

impl Statement {
    /// Whether it runs code that its text does not show: it may change settings and take locks.
    pub fn runs_code(&self) -> bool {
        let end = self.text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.text.len());
        ["do", "call"].iter().any(|head| self.text[..end].eq_ignore_ascii_case(head))
    }
}

/// Above this many bytes a statement is data, not schema: the server alone judges its grammar.
pub const GRAMMAR_CHECK_BYTES_MAX: usize = 256 * 1024;

/// Reads a migration file: all statements, or the first thing that is no SQL.
///
/// A statement marked `-- pgtune: as-written` is not held against our grammar, which may lag
/// behind the server's.
pub fn parse(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    let mut statements = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for piece in split::split(text)? {
        let kind = statement::read(text, &piece)?;
        if !piece.as_written && piece.text.len() <= GRAMMAR_CHECK_BYTES_MAX {
            check_grammar(text, piece.offset, piece.text)?;
        }
        line += newlines(&text[counted..piece.offset]);
        counted = piece.offset;
        let locks = locks::locks(Cursor::new(text, &piece.tokens));
        let marks = piece.marks.iter().map(|(at, said)| {
            let after = piece.offset.min(*at)..piece.offset.max(*at);
            let lines = newlines(&text[after]);
            let line = if *at < piece.offset { line - lines } else { line + lines };
            Mark { text: (*said).to_string(), line }
        });
        let marks = marks.collect();
        let (text, as_written) = (piece.text.to_string(), piece.as_written);
        statements.push(Statement { text, line, kind, locks, as_written, marks });
    }
    Ok(statements)
}

/// The texts of the statements of a dump. Lines of psql that pg_dump writes are passed over.
pub fn parse_dump(text: &str) -> Result<Vec<String>, SyntaxError> {
    Ok(split::split(&without_psql(text))?.into_iter().map(|piece| piece.text.to_string()).collect())
}

/// A dump without the lines that pg_dump writes for psql alone.
pub fn without_psql(dump: &str) -> String {
    let is_sql = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    dump.lines().filter(is_sql).fold(String::new(), |all, line| all + line + "\n")
}

fn check_grammar(file: &str, offset: usize, statement: &str) -> Result<(), SyntaxError> {
    let errors = SourceFile::parse(statement).errors();
    match errors.iter().min_by_key(|error| error.range().start()) {
        None => Ok(()),
        Some(error) => {
            let at = offset + usize::from(error.range().start());
            Err(SyntaxError::at(file, at, format!("syntax error: {}", error.message())).hint(
                "if PostgreSQL accepts this, put the comment `-- pgtune: as-written` above it",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_with_places() {
        let statements =
            parse("\u{feff}-- first\r\nselect 1;\r\n\r\ncreate index on t (a);").unwrap();
        let seen: Vec<(usize, &str)> =
            statements.iter().map(|s| (s.line, s.text.as_str())).collect();
        assert_eq!(seen, [(2, "select 1"), (4, "create index on t (a)")]);
    }

    #[test]
    fn comments_to_us_have_their_lines() {
        let sql = "select 1;\n-- pgtune: a\n\nselect\n  2; -- pgtune: b\n";
        let statement = &parse(sql).unwrap()[1];
        let seen: Vec<(&str, usize)> =
            statement.marks.iter().map(|mark| (mark.text.as_str(), mark.line)).collect();
        assert_eq!((statement.line, seen), (4, vec![("a", 2), ("b", 5)]));
    }

    #[test]
    fn points_at_what_is_no_sql() {
        let error = parse("select 1;\ncreate tabel x (a int);").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains("2 | create tabel x (a int);"), "{error}");
        assert!(parse("-- pgtune: as-written\ncreate tabel x (a int);").is_ok());
    }
}

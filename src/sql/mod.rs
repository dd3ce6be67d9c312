//! SQL text to statements: cut, check against PostgreSQL's grammar, say what each one does. Pure.

use squawk_syntax::SourceFile;

use self::locks::TableLock;
use self::split::{SyntaxError, newlines};
use self::statement::Kind;
use self::tokens::Cursor;

mod column_name;
pub mod locks;
pub mod normalised;
pub mod query;
pub mod self_name;
pub mod split;
pub mod statement;
pub mod tokens;

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
}

impl Statement {
    /// Whether it runs code that its text does not show: it may change settings and take locks.
    pub fn runs_code(&self) -> bool {
        let end = self.text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.text.len());
        ["do", "call"].iter().any(|head| self.text[..end].eq_ignore_ascii_case(head))
    }
}

/// Above this many bytes a statement is data, not schema: the server alone judges its grammar.
const GRAMMAR_CHECK_BYTES_MAX: usize = 256 * 1024;

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
        statements.push(Statement { text: piece.text.to_string(), line, kind, locks });
    }
    Ok(statements)
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
    fn points_at_what_is_no_sql() {
        let error = parse("select 1;\ncreate tabel x (a int);").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains("2 | create tabel x (a int);"), "{error}");
        assert!(parse("-- pgtune: as-written\ncreate tabel x (a int);").is_ok());
    }
}

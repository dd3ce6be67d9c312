//! Cuts a migration file into statements, as psql would, and reports what is no SQL.

use std::fmt;

use super::tokens::{Cursor, Kind, Token, tokens};

/// One statement of a file: its text without the final semicolon, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// From the first to the last token.
    pub text: &'a str,
    /// Byte offset of `text` in the file.
    pub offset: usize,
    /// Its tokens without comments, in bytes of the file.
    pub tokens: Vec<Token>,
    /// Whether a comment before or inside it says `pgtune: as-written`.
    pub as_written: bool,
    /// What other comments before or inside it say to pgtune, with their byte offsets.
    pub marks: Vec<(usize, &'a str)>,
}

/// Something in a file that is no SQL for us, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column in characters.
    pub column: usize,
    /// The line's text, cut to a screen's width around the column.
    pub excerpt: String,
    /// Where in `excerpt` to point, in characters from 0.
    pub caret: usize,
}

impl SyntaxError {
    /// An error at a byte offset of `text`.
    pub fn at(text: &str, offset: usize, message: impl Into<String>) -> SyntaxError {
        const AROUND: usize = 60;
        let offset = text.floor_char_boundary(offset);
        let line_start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[offset..].find('\n').map_or(text.len(), |i| offset + i);
        let line_text: Vec<char> =
            text[line_start..line_end].trim_end_matches('\r').chars().collect();
        let column = text[line_start..offset].chars().count();
        let from = column.saturating_sub(AROUND);
        let to = line_text.len().min(column + AROUND);
        SyntaxError {
            message: message.into(),
            hint: String::new(),
            line: newlines(&text[..offset]) + 1,
            column: column + 1,
            excerpt: line_text[from.min(to)..to].iter().map(|c| detab(*c)).collect(),
            caret: column - from.min(to),
        }
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: &str) -> SyntaxError {
        self.hint = hint.to_string();
        self
    }
}

impl fmt::Display for SyntaxError {
    /// Message, excerpt and caret, on three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = self.line.to_string().len();
        writeln!(f, "{}", self.message)?;
        writeln!(f, "{} | {}", self.line, self.excerpt)?;
        write!(f, "{:margin$} | {:caret$}^", "", "", caret = self.caret)
    }
}

fn detab(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// How many lines end in `text`.
pub fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Cuts `text` at the semicolons that end statements.
///
/// Semicolons inside parentheses (`CREATE RULE … DO (a; b)`) and inside the `BEGIN ATOMIC … END`
/// body of a function do not end one (psqlscan.l of psql does the same).
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, SyntaxError> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut current = Current::default();
    for token in tokens(text) {
        match token.kind {
            Kind::Unterminated => return Err(unterminated(text, &token)),
            Kind::Backslash => {
                return Err(SyntaxError::at(text, token.range.start, "this is a psql command")
                    .hint("a migration holds SQL only; psql's backslash commands do not work"));
            }
            Kind::Comment => {
                let Some(said) = said_to_us(&text[token.range.clone()]) else { continue };
                let ended_here = |piece: &&mut Piece<'_>| {
                    let end = piece.offset + piece.text.len();
                    current.tokens.is_empty() && !text[end..token.range.start].contains('\n')
                };
                let (as_written, marks) = match pieces.last_mut().filter(ended_here) {
                    Some(piece) => (&mut piece.as_written, &mut piece.marks),
                    None => (&mut current.as_written, &mut current.marks),
                };
                match said {
                    "as-written" => *as_written = true,
                    _ => marks.push((token.range.start, said)),
                }
            }
            Kind::Semicolon if current.may_end() => {
                let piece = std::mem::take(&mut current).finish(text);
                // What follows it is data, which would be misread as SQL.
                piece.iter().try_for_each(|piece| refuse_copy_by_the_client(text, piece))?;
                pieces.extend(piece);
            }
            Kind::Word
            | Kind::QuotedName
            | Kind::Literal
            | Kind::Semicolon
            | Kind::Open
            | Kind::Close
            | Kind::Comma
            | Kind::Dot
            | Kind::Other => current.push(text, token),
        }
    }
    let last = current.finish(text);
    last.iter().try_for_each(|piece| refuse_copy_by_the_client(text, piece))?;
    pieces.extend(last);
    Ok(pieces)
}

fn refuse_copy_by_the_client(text: &str, piece: &Piece<'_>) -> Result<(), SyntaxError> {
    let copies = |words: &[&str]| {
        let mut cursor = Cursor::new(text, &piece.tokens);
        cursor.take(&["copy"]) && cursor.skip_to(words)
    };
    let (message, hint) = if copies(&["from", "stdin"]) {
        let message = "COPY FROM STDIN needs data that a migration file cannot hold";
        (message, "use INSERT, or COPY from a file the server can read")
    } else if copies(&["to", "stdout"]) {
        let message = "COPY TO STDOUT gives rows that nobody would take";
        (message, "COPY into a file of the server, or copy with psql")
    } else {
        return Ok(());
    };
    Err(SyntaxError::at(text, piece.offset, message).hint(hint))
}

fn unterminated(text: &str, token: &Token) -> SyntaxError {
    let what = match &text[token.range.clone()] {
        t if t.starts_with("/*") => "comment",
        t if t.starts_with('"') => "quoted name",
        t if t.starts_with('$') => "dollar-quoted string",
        _ => "string",
    };
    SyntaxError::at(text, token.range.start, format!("this {what} has no end"))
}

/// What a comment says behind `pgtune:`, if it does.
fn said_to_us(comment: &str) -> Option<&str> {
    let words = comment.trim_start_matches("--").trim_start_matches("/*");
    let words = words.trim_end_matches("*/").trim();
    words.strip_prefix("pgtune:").map(str::trim)
}

/// The statement being read.
#[derive(Default)]
struct Current<'a> {
    tokens: Vec<Token>,
    parentheses: usize,
    /// Open BEGIN ATOMIC and CASE, each of which an END closes.
    blocks: usize,
    as_written: bool,
    marks: Vec<(usize, &'a str)>,
}

impl<'a> Current<'a> {
    fn may_end(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn push(&mut self, text: &str, token: Token) {
        let is = |token: &Token, word: &str| {
            token.kind == Kind::Word && text[token.range.clone()].eq_ignore_ascii_case(word)
        };
        let after_begin = self.tokens.last().is_some_and(|last| is(last, "begin"));
        let opens_block =
            (is(&token, "atomic") && after_begin) || (self.blocks > 0 && is(&token, "case"));
        if token.kind == Kind::Open {
            self.parentheses += 1;
        } else if token.kind == Kind::Close {
            self.parentheses = self.parentheses.saturating_sub(1);
        } else if opens_block {
            self.blocks += 1;
        } else if self.blocks > 0 && is(&token, "end") {
            self.blocks -= 1;
        }
        self.tokens.push(token);
    }

    fn finish(self, text: &'a str) -> Option<Piece<'a>> {
        let offset = self.tokens.first()?.range.start;
        let end = self.tokens.last()?.range.end;
        Some(Piece {
            text: &text[offset..end],
            offset,
            tokens: self.tokens,
            as_written: self.as_written,
            marks: self.marks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).unwrap().into_iter().map(|p| p.text).collect()
    }

    #[test]
    fn cuts_at_semicolons_that_end_statements() {
        assert_eq!(texts("select 1; select 2 ;; -- end\n"), ["select 1", "select 2"]);
        assert_eq!(
            texts("select ';', $$;$$, $a$;$a$ /* ; /* ; */ */;"),
            ["select ';', $$;$$, $a$;$a$"]
        );
        assert_eq!(
            texts("create rule r as on insert to t do (select 1; select 2); select 3"),
            ["create rule r as on insert to t do (select 1; select 2)", "select 3"]
        );
    }

    #[test]
    fn keeps_function_bodies_whole() {
        let body = "create function f() returns int begin atomic \
                    select case when true then 1 end; select 2; end";
        assert_eq!(texts(&format!("{body}; select 1")), [body, "select 1"]);
        let plain = "create function f() returns int language plpgsql as $$ begin; end; $$";
        assert_eq!(texts(&format!("{plain};")), [plain]);
    }

    #[test]
    fn a_begin_of_a_transaction_is_no_block() {
        assert_eq!(
            texts("begin; select 1; end; select 2"),
            ["begin", "select 1", "end", "select 2"]
        );
    }

    #[test]
    fn finds_the_opt_out() {
        let sql = "-- pgtune: as-written\ncreate index a on t (x);\ncreate index b on t (y)";
        let flags: Vec<bool> = split(sql).unwrap().iter().map(|p| p.as_written).collect();
        assert_eq!(flags, [true, false]);
        let sql = "create index a on t (x); -- pgtune: as-written\ncreate index b on t (y)";
        let flags: Vec<bool> = split(sql).unwrap().iter().map(|p| p.as_written).collect();
        assert_eq!(flags, [true, false], "behind it, on its line");
    }

    #[test]
    fn keeps_what_comments_say_to_us() {
        let sql =
            "-- pgtune: allow a: b\n-- other\nselect 1; -- pgtune: c\n/* pgtune: d */ select 2";
        let pieces = split(sql).unwrap();
        assert_eq!(pieces[0].marks, [(0, "allow a: b"), (41, "c")]);
        assert_eq!(pieces[1].marks, [(54, "d")]);
    }

    #[test]
    fn says_where_a_quote_begins() {
        let error = split("select 1;\n  select 'oops;\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this string has no end\n2 |   select 'oops;\n  |          ^"
        );
        assert_eq!((error.line, error.column), (2, 10));
        assert!(split("select $x$ abc").unwrap_err().message.contains("dollar-quoted"));
        assert!(split("select 1 /* abc").unwrap_err().message.contains("comment"));
        assert!(split("\\i other.sql").unwrap_err().hint.contains("psql"));
    }

    #[test]
    fn empty_files_have_no_statements() {
        assert!(texts("").is_empty());
        assert!(texts(" -- nothing\n/* here */ ;").is_empty());
    }
}

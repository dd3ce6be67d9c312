//! Tokens of PostgreSQL's SQL with their places, and a cursor to read statement heads with.
//!
//! The lexer is squawk's: quotes, dollar quotes, nested comments and Unicode escapes are its job.

use std::collections::BTreeSet;
use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use crate::model::ident::Ident;

/// What a token is, as far as statement heads need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted word: keyword or name.
    Word,
    /// A quoted name.
    QuotedName,
    /// A string, number or bit string.
    Literal,
    /// `;`
    Semicolon,
    /// `(` or `[`
    Open,
    /// `)` or `]`
    Close,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `-- …` or `/* … */`
    Comment,
    /// Any other punctuation.
    Other,
    /// A backslash outside quotes: a psql meta-command.
    Backslash,
    /// A quote, dollar quote or comment without its end.
    Unterminated,
}

/// One token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// All that may be a name in a text.
pub fn names(text: &str) -> BTreeSet<Ident> {
    let is_name = |token: &Token| matches!(token.kind, Kind::Word | Kind::QuotedName);
    let found = tokens(text).filter(is_name);
    found.filter_map(|token| Some(Ident::from_sql(text.get(token.range)?))).collect()
}

/// All tokens of `text` but white space, in order.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> + '_ {
    let mut start = 0;
    tokenize(text).filter_map(move |token| {
        let range = start..start + token.len as usize;
        start = range.end;
        let kind = classify(token.kind, &text[range.clone()])?;
        Some(Token { kind, range })
    })
}

fn classify(kind: TokenKind, text: &str) -> Option<Kind> {
    Some(match kind {
        TokenKind::Whitespace | TokenKind::Eof => return None,
        TokenKind::Ident => Kind::Word,
        TokenKind::QuotedIdent { terminated: true, .. } => Kind::QuotedName,
        TokenKind::Literal { kind } if terminated(kind) => Kind::Literal,
        TokenKind::LineComment | TokenKind::BlockComment { terminated: true } => Kind::Comment,
        TokenKind::QuotedIdent { .. }
        | TokenKind::Literal { .. }
        | TokenKind::BlockComment { .. } => Kind::Unterminated,
        TokenKind::Semi => Kind::Semicolon,
        TokenKind::OpenParen | TokenKind::OpenBracket => Kind::Open,
        TokenKind::CloseParen | TokenKind::CloseBracket => Kind::Close,
        TokenKind::Comma => Kind::Comma,
        TokenKind::Dot => Kind::Dot,
        TokenKind::Unknown if text == "\\" => Kind::Backslash,
        TokenKind::Unknown
        | TokenKind::Slash
        | TokenKind::Minus
        | TokenKind::Colon
        | TokenKind::DotDot
        | TokenKind::Eq
        | TokenKind::Gt
        | TokenKind::And
        | TokenKind::Lt
        | TokenKind::Bang
        | TokenKind::Plus
        | TokenKind::Tilde
        | TokenKind::Pound
        | TokenKind::Question
        | TokenKind::Or
        | TokenKind::Percent
        | TokenKind::Caret
        | TokenKind::Star
        | TokenKind::Backtick
        | TokenKind::At
        | TokenKind::CloseCurly
        | TokenKind::OpenCurly
        | TokenKind::PositionalParam { .. } => Kind::Other,
    })
}

fn terminated(kind: LiteralKind) -> bool {
    match kind {
        LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => true,
        LiteralKind::Str { terminated }
        | LiteralKind::NationalStr { terminated }
        | LiteralKind::ByteStr { terminated }
        | LiteralKind::BitStr { terminated }
        | LiteralKind::DollarQuotedString { terminated }
        | LiteralKind::UnicodeEscStr { terminated }
        | LiteralKind::EscStr { terminated } => terminated,
    }
}

/// Reads one statement's tokens (without comments) from the left.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Cursor<'a> {
    /// A cursor before the first of `tokens`, which lie in `text`.
    pub fn new(text: &'a str, tokens: &'a [Token]) -> Cursor<'a> {
        Cursor { text, tokens }
    }

    /// Whether all tokens are read.
    pub fn at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Takes the words if all of them come next, in any case.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let next = words.iter().zip(self.tokens).all(|(word, token)| self.is_word(token, word));
        let found = next && self.tokens.len() >= words.len();
        if found {
            self.tokens = &self.tokens[words.len()..];
        }
        found
    }

    /// Takes any one of the words; says which.
    pub fn take_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().copied().find(|word| self.take(&[word]))
    }

    /// Whether the words come next, without taking them.
    pub fn sees(&self, words: &[&str]) -> bool {
        self.clone().take(words)
    }

    /// Takes the next token if it is of `kind`.
    pub fn take_kind(&mut self, kind: Kind) -> bool {
        let found = self.tokens.first().is_some_and(|token| token.kind == kind);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    /// Takes one name: a word or a quoted name.
    pub fn take_ident(&mut self) -> Option<Ident> {
        let token = self.tokens.first()?;
        match token.kind {
            Kind::Word | Kind::QuotedName => {
                self.tokens = &self.tokens[1..];
                Some(Ident::from_sql(&self.text[token.range.clone()]))
            }
            Kind::Literal
            | Kind::Semicolon
            | Kind::Open
            | Kind::Close
            | Kind::Comma
            | Kind::Dot
            | Kind::Comment
            | Kind::Other
            | Kind::Backslash
            | Kind::Unterminated => None,
        }
    }

    /// Takes a dotted name: `a.b.c`.
    pub fn take_name(&mut self) -> Option<Vec<Ident>> {
        let mut parts = vec![self.take_ident()?];
        while self.take_kind(Kind::Dot) {
            parts.push(self.take_ident()?);
        }
        Some(parts)
    }

    /// Takes `a, b.c, d`.
    pub fn take_names(&mut self) -> Vec<Vec<Ident>> {
        let mut names: Vec<Vec<Ident>> = self.take_name().into_iter().collect();
        while self.take_kind(Kind::Comma) {
            names.extend(self.take_name());
        }
        names
    }

    /// Takes a parenthesised group and returns a cursor over what is inside.
    pub fn take_group(&mut self) -> Option<Cursor<'a>> {
        if self.tokens.first()?.kind != Kind::Open {
            return None;
        }
        let mut depth = 0_usize;
        for (i, token) in self.tokens.iter().enumerate() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                Kind::Word
                | Kind::QuotedName
                | Kind::Literal
                | Kind::Semicolon
                | Kind::Comma
                | Kind::Dot
                | Kind::Comment
                | Kind::Other
                | Kind::Backslash
                | Kind::Unterminated => {}
            }
            if depth == 0 {
                let inside = Cursor { text: self.text, tokens: &self.tokens[1..i] };
                self.tokens = &self.tokens[i + 1..];
                return Some(inside);
            }
        }
        None
    }

    /// Splits what is left at its top-level commas.
    pub fn split_commas(&self) -> Vec<Cursor<'a>> {
        let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
        for (i, token) in self.tokens.iter().enumerate() {
            if token.kind == Kind::Open {
                depth += 1;
            } else if token.kind == Kind::Close {
                depth = depth.saturating_sub(1);
            } else if token.kind == Kind::Comma && depth == 0 {
                parts.push(Cursor { text: self.text, tokens: &self.tokens[start..i] });
                start = i + 1;
            }
        }
        parts.push(Cursor { text: self.text, tokens: &self.tokens[start..] });
        parts
    }

    /// The next token as written; empty at the end.
    pub fn first_text(&self) -> &'a str {
        self.tokens.first().map_or("", |token| &self.text[token.range.clone()])
    }

    /// Skips one token.
    pub fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }

    /// Skips to the first place where the words come next, at any depth; whether there is one.
    pub fn skip_to(&mut self, words: &[&str]) -> bool {
        while !self.at_end() {
            if self.sees(words) {
                return true;
            }
            self.skip();
        }
        false
    }

    /// Where the next token is in the text; `None` at the end.
    pub fn offset(&self) -> Option<usize> {
        self.tokens.first().map(|token| token.range.start)
    }

    /// The kind of the next token.
    pub fn kind(&self) -> Option<Kind> {
        self.tokens.first().map(|token| token.kind)
    }

    /// What lies before `end`, a later state of this cursor.
    pub fn until(&self, end: &Cursor<'a>) -> Cursor<'a> {
        let count = self.tokens.len().saturating_sub(end.tokens.len());
        Cursor { text: self.text, tokens: &self.tokens[..count] }
    }

    /// The tokens that are left, as written.
    pub fn words(&self) -> impl Iterator<Item = (Kind, &'a str)> {
        let text = self.text;
        self.tokens.iter().map(move |token| (token.kind, &text[token.range.clone()]))
    }

    /// Skips one token, or a whole group.
    pub fn skip_item(&mut self) {
        if self.take_group().is_none() {
            self.skip();
        }
    }

    /// The text of all that is left, from the first to the last token.
    pub fn rest(&self) -> &'a str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => &self.text[first.range.start..last.range.end],
            _ => "",
        }
    }

    fn is_word(&self, token: &Token, word: &str) -> bool {
        token.kind == Kind::Word && self.text[token.range.clone()].eq_ignore_ascii_case(word)
    }
}

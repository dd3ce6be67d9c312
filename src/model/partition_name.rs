//! The names of partitions: a pattern such as `{table}_{yyyy}_{mm}`, filled with the period's
//! start in the rule's time zone. Pure.

use chrono::{Datelike, NaiveDateTime, Timelike};

use crate::model::calendar::{Grid, Interval};
use crate::model::ident::{Ident, MAX_IDENT_BYTES, truncate};
use crate::model::suggest::nearest;
use crate::model::time_key::Point;

/// A pattern that gives each period of its interval a name of its own, for all years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Table,
    Year,
    Quarter,
    Month,
    Day,
    Hour,
    IsoYear,
    IsoWeek,
}

const PLACEHOLDERS: [(&str, Placeholder); 8] = [
    ("table", Placeholder::Table),
    ("yyyy", Placeholder::Year),
    ("q", Placeholder::Quarter),
    ("mm", Placeholder::Month),
    ("dd", Placeholder::Day),
    ("hh", Placeholder::Hour),
    ("iyyy", Placeholder::IsoYear),
    ("ww", Placeholder::IsoWeek),
];

/// What a pattern has to leave of 63 bytes for the table's name, if it holds it.
const MIN_TABLE_BYTES: usize = 16;

impl NamePattern {
    /// Reads the pattern of a rule.
    ///
    /// The placeholders are `{table}`, `{yyyy}`, `{q}`, `{mm}`, `{dd}`, `{hh}`, and `{iyyy}` and
    /// `{ww}` for ISO 8601's year and week. Errors where one is unknown, where two periods of the
    /// interval would get one name, and where names could be longer than 63 bytes.
    pub fn parse(pattern: &str, interval: Interval) -> Result<NamePattern, String> {
        let refused = |why: String| Err(format!("the name pattern \"{pattern}\" {why}"));
        let parts = match split(pattern) {
            Ok(parts) => parts,
            Err(why) => return refused(why),
        };
        let has = |wanted: &Placeholder| parts.contains(&Part::Placeholder(*wanted));
        let identifying = identifying(interval);
        if !identifying.iter().any(|wanted| wanted.iter().all(has)) {
            let wanted = identifying.iter().map(|wanted| written(wanted)).collect::<Vec<_>>();
            let wanted = wanted.join(", or ");
            return refused(format!("gives several {interval}s one name; it needs {wanted}"));
        }
        let tables = parts.iter().filter(|part| **part == Part::Placeholder(Placeholder::Table));
        let room = match tables.count() {
            0 => MAX_IDENT_BYTES,
            1 => MAX_IDENT_BYTES - MIN_TABLE_BYTES,
            _ => return refused("holds {table} more than once".to_string()),
        };
        let length = parts.iter().map(Part::length).sum::<usize>();
        if length > room {
            return refused(format!(
                "takes {length} bytes without the table's name, at most {room} are free"
            ));
        }
        if pattern.contains('\0') {
            return refused("contains a NUL character".to_string());
        }
        Ok(NamePattern { parts })
    }

    /// The pattern of a rule that names none.
    pub fn default_of(interval: Interval) -> NamePattern {
        let pattern = match interval {
            Interval::Hour => "{table}_{yyyy}_{mm}_{dd}_{hh}",
            Interval::Day => "{table}_{yyyy}_{mm}_{dd}",
            Interval::Week => "{table}_{iyyy}_w{ww}",
            Interval::Month => "{table}_{yyyy}_{mm}",
            Interval::Quarter => "{table}_{yyyy}_q{q}",
            Interval::Year => "{table}_{yyyy}",
        };
        NamePattern::parse(pattern, interval).expect("a test has parsed all of them")
    }

    /// The name of the partition that a point of the table belongs to. The table's part is cut, on
    /// a character, to make the name at most 63 bytes long.
    ///
    /// The date and hour are those that the wall clock of the grid's zone shows. They are unique
    /// even where clocks are put back, since the repeated hour is one period.
    ///
    /// `None` where the grid has no period. Expects a grid of the interval that the pattern was
    /// parsed for.
    pub fn render(&self, table: &Ident, grid: &Grid, point: Point) -> Option<Ident> {
        let start = grid.period(point)?;
        let length = self.parts.iter().map(Part::length).sum::<usize>();
        let table = truncate(table.as_str(), MAX_IDENT_BYTES.saturating_sub(length));
        let name = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Placeholder(placeholder) => placeholder.fill(table, start),
        });
        Ident::new(name.collect::<String>()).ok()
    }

    /// Whether a table has a name that a partition of `table` could have. One whose table's part
    /// was cut is not known again.
    pub fn is_one(&self, table: &str, name: &str) -> bool {
        let mut rest = name;
        for part in &self.parts {
            let after = match part {
                Part::Literal(text) => rest.strip_prefix(text.as_str()),
                Part::Placeholder(Placeholder::Table) => rest.strip_prefix(table),
                Part::Placeholder(_) => {
                    let digits = rest.get(..part.length()).unwrap_or_default();
                    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
                    (is_number && !digits.is_empty()).then(|| &rest[digits.len()..])
                }
            };
            let Some(after) = after else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

impl Part {
    /// The bytes of the part, none for the table's name. Years have four digits in every grid.
    fn length(&self) -> usize {
        match self {
            Part::Literal(text) => text.len(),
            Part::Placeholder(placeholder) => match placeholder {
                Placeholder::Table => 0,
                Placeholder::Quarter => 1,
                Placeholder::Month
                | Placeholder::Day
                | Placeholder::Hour
                | Placeholder::IsoWeek => 2,
                Placeholder::Year | Placeholder::IsoYear => 4,
            },
        }
    }
}

impl Placeholder {
    fn fill(self, table: &str, start: NaiveDateTime) -> String {
        match self {
            Placeholder::Table => table.to_string(),
            Placeholder::Year => format!("{:04}", start.year()),
            Placeholder::Quarter => start.quarter().to_string(),
            Placeholder::Month => format!("{:02}", start.month()),
            Placeholder::Day => format!("{:02}", start.day()),
            Placeholder::Hour => format!("{:02}", start.hour()),
            Placeholder::IsoYear => format!("{:04}", start.iso_week().year()),
            Placeholder::IsoWeek => format!("{:02}", start.iso_week().week()),
        }
    }
}

/// The sets of placeholders of which a pattern needs one, so that no two periods share a name.
/// `{yyyy}` does not go with `{ww}`: 2024-01-01 and 2024-12-30 both begin a week 1.
fn identifying(interval: Interval) -> &'static [&'static [Placeholder]] {
    use Placeholder::{Day, Hour, IsoWeek, IsoYear, Month, Quarter, Year};
    match interval {
        Interval::Hour => &[&[Year, Month, Day, Hour]],
        Interval::Day => &[&[Year, Month, Day]],
        Interval::Week => &[&[IsoYear, IsoWeek], &[Year, Month, Day]],
        Interval::Month => &[&[Year, Month]],
        Interval::Quarter => &[&[Year, Quarter], &[Year, Month]],
        Interval::Year => &[&[Year]],
    }
}

/// The placeholders as a pattern has them.
fn written(placeholders: &[Placeholder]) -> String {
    let words = placeholders.iter().filter_map(|wanted| {
        let (word, _) = PLACEHOLDERS.iter().find(|(_, placeholder)| placeholder == wanted)?;
        Some(format!("{{{word}}}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The parts of a pattern; errors with what is wrong about it.
fn split(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(brace) = rest.find(['{', '}']) {
        let (literal, placeholder) = rest.split_at(brace);
        let (word, after) = placeholder
            .strip_prefix('{')
            .and_then(|placeholder| placeholder.split_once('}'))
            .ok_or("has a brace without its other half")?;
        let known = PLACEHOLDERS.iter().find(|(known, _)| *known == word);
        let (_, placeholder) = known.ok_or_else(|| unknown(word))?;
        parts.push(Part::Literal(literal.to_string()));
        parts.push(Part::Placeholder(*placeholder));
        rest = after;
    }
    parts.push(Part::Literal(rest.to_string()));
    Ok(parts)
}

fn unknown(word: &str) -> String {
    let hint = match nearest(word, PLACEHOLDERS.iter().map(|(known, _)| *known)) {
        Some(known) => format!("did you mean {{{known}}}?"),
        None => format!("there are {}", written(&PLACEHOLDERS.map(|(_, placeholder)| placeholder))),
    };
    format!("has the unknown placeholder {{{word}}}; {hint}")
}

#[cfg(test)]
mod tests;

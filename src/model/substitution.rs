//! Other values in the place of those that may not be disclosed, in the same order: the planner
//! asks how values compare, and never what they mean. Pure.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Kinds of values that can be made from a place in their order alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Texts.
    Text,
    /// `smallint`.
    SmallNumber,
    /// All other numbers.
    Number,
    /// Days, also those of times without and with a time zone.
    Date,
    /// `uuid`.
    Uuid,
    /// `inet`.
    Inet,
    /// `bytea`.
    Bytes,
}

impl Domain {
    /// The domain of a type of `pg_catalog`, or of `citext`. `None` of one whose values no place
    /// stands for: those with a structure, and those whose values the schema says anyway.
    pub fn of(typname: &str) -> Option<Domain> {
        match typname {
            "text" | "varchar" | "bpchar" | "name" | "citext" => Some(Domain::Text),
            "int2" => Some(Domain::SmallNumber),
            "int4" | "int8" | "numeric" | "float4" | "float8" => Some(Domain::Number),
            "date" | "timestamp" | "timestamptz" => Some(Domain::Date),
            "uuid" => Some(Domain::Uuid),
            "inet" => Some(Domain::Inet),
            "bytea" => Some(Domain::Bytes),
            _ => None,
        }
    }

    /// The value at a place, as text: later places have greater ones, texts under every collation,
    /// as all have as many `digits`. None is likely to be a real one. `None` where the type has no
    /// such value.
    pub fn value(self, place: u32, digits: usize) -> Option<String> {
        match self {
            Domain::Text => Some(format!("s{place:0digits$}")),
            Domain::SmallNumber => {
                let number = i64::from(i16::MIN) + i64::from(place);
                i16::try_from(number).ok().map(|number| number.to_string())
            }
            // A float4 holds it as it is.
            Domain::Number => Some((i64::from(place) - 1_000_000).to_string()),
            Domain::Date => {
                let first = NaiveDate::from_ymd_opt(4000, 1, 1)?;
                let day = first.checked_add_days(Days::new(place.into()))?;
                (day.year() <= 9_999).then(|| day.to_string())
            }
            // The planner takes a uuid's place between two others for the middle.
            Domain::Uuid => Some(format!("{place:08x}-0000-0000-0000-000000000000")),
            // Of the addresses that nobody has.
            Domain::Inet => {
                let [_, high, middle, low] = place.to_be_bytes();
                (place < 1 << 24).then(|| format!("240.{high}.{middle}.{low}"))
            }
            Domain::Bytes => Some(format!("\\x{place:08x}")),
        }
    }
}

/// A value in the order of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its rank among them; equal ones have the same.
    pub rank: u32,
    /// What the planner measures distances between values by, where the type has such a thing.
    pub measure: Option<f64>,
    /// Whether it is one of the statistics, and not of a query.
    pub is_known: bool,
}

/// How many places there are from one value of the statistics to the next.
const GAP: u32 = 16;

/// The place of each rank. Values of the statistics stand at equal distances, whatever is between
/// them; those of queries stand between two of these as they do in truth.
pub fn places(values: &[Ranked]) -> BTreeMap<u32, u32> {
    let mut by_rank: BTreeMap<u32, Ranked> = BTreeMap::new();
    for value in values {
        let of_rank = by_rank.entry(value.rank).or_insert(*value);
        of_rank.is_known |= value.is_known;
    }
    let ordered: Vec<Ranked> = by_rank.into_values().collect();
    let (mut places, mut start) = (BTreeMap::new(), 0);
    let mut before: Option<&Ranked> = None;
    for between in ordered.chunk_by(|one, _| !one.is_known) {
        let after = between.last().filter(|last| last.is_known);
        let strangers = &between[..between.len() - usize::from(after.is_some())];
        for (at, one) in strangers.iter().enumerate() {
            let evenly = (at + 1) as f64 / (strangers.len() + 1) as f64;
            let share = share(before, one, after).unwrap_or(evenly);
            let offset = (share * f64::from(GAP)).round().clamp(1.0, f64::from(GAP - 1));
            places.insert(one.rank, start + offset as u32);
        }
        if let Some(after) = after {
            start += GAP;
            places.insert(after.rank, start);
            before = Some(after);
        }
    }
    places
}

/// How far a value is on the way from one to another; `None` where that cannot be measured.
fn share(before: Option<&Ranked>, one: &Ranked, after: Option<&Ranked>) -> Option<f64> {
    let (before, after) = (before?.measure?, after?.measure?);
    let share = (one.measure? - before) / (after - before);
    share.is_finite().then_some(share)
}

/// What stands for a value that a query of the profile is planned with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitute {
    /// The query's name.
    pub query: String,
    /// Its text, as [`sql_digest`] writes it: another text may mean other values.
    pub sql_digest: String,
    /// Which of its sets of values, from 0.
    pub set: usize,
    /// `$n`; values inside the text count on behind these.
    pub parameter: usize,
    /// The value in its place.
    pub value: String,
}

/// A value of a query: the query's name, the set, the parameter.
pub type Which<'a> = (&'a str, usize, usize);

impl Substitute {
    /// What it stands for.
    pub fn which(&self) -> Which<'_> {
        (&self.query, self.set, self.parameter)
    }
}

/// A short digest of a statement's text, in hexadecimal digits.
pub fn sql_digest(sql: &str) -> String {
    let digest = Sha256::digest(sql.trim());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_places_have_greater_values() {
        for (domain, expected) in [
            (Domain::Text, ["s009", "s010", "s300"]),
            (Domain::Number, ["-999991", "-999990", "-999700"]),
            (Domain::SmallNumber, ["-32759", "-32758", "-32468"]),
            (Domain::Date, ["4000-01-10", "4000-01-11", "4000-10-27"]),
            (Domain::Inet, ["240.0.0.9", "240.0.0.10", "240.0.1.44"]),
            (Domain::Bytes, ["\\x00000009", "\\x0000000a", "\\x0000012c"]),
        ] {
            let values = [9, 10, 300].map(|rank| domain.value(rank, 3).unwrap());
            assert_eq!(values, expected, "{domain:?}");
        }
        let uuids = [9, 300].map(|rank| Domain::Uuid.value(rank, 3).unwrap());
        assert!(uuids[0] < uuids[1], "{uuids:?}");
    }

    #[test]
    fn values_of_queries_stand_between_those_of_statistics() {
        let value = |rank, measure, is_known| Ranked { rank, measure, is_known };
        let dates = [
            value(1, Some(0.0), false),
            value(2, Some(10.0), true),
            value(3, Some(35.0), false),
            value(4, Some(110.0), true),
            value(4, Some(110.0), false),
            value(5, Some(110.5), false),
        ];
        let expected = [(1, 8), (2, 16), (3, 20), (4, 32), (5, 40)];
        assert_eq!(places(&dates), BTreeMap::from(expected));
        let texts = [1, 2, 3, 4].map(|rank| value(rank, None, rank == 1 || rank == 4));
        let expected = [(1, 16), (2, 21), (3, 27), (4, 32)];
        assert_eq!(places(&texts), BTreeMap::from(expected));
        assert!(places(&[]).is_empty());
    }

    #[test]
    fn what_a_type_cannot_hold_is_none() {
        assert_eq!(Domain::SmallNumber.value(70_000, 5), None);
        assert_eq!(Domain::Inet.value(1 << 24, 8), None);
        assert_eq!(Domain::Date.value(u32::MAX, 10), None);
        assert_eq!(Domain::of("jsonb"), None);
        assert_eq!(Domain::of("bool"), None);
    }

    #[test]
    fn digests_tell_texts_apart() {
        assert_eq!(sql_digest("select 1\n"), sql_digest("select 1"));
        assert_ne!(sql_digest("select 1"), sql_digest("select 2"));
        assert_eq!(sql_digest("select 1").len(), 16);
    }
}

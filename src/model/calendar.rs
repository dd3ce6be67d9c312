//! Where partitions begin: the grid that an interval draws on a key, in the rule's time zone. Pure.
//!
//! A period begins when the wall clock of the zone first gets to it. So periods tile: a day without
//! midnight begins at the end of the gap, a day that the calendar skips has no period, and a time
//! that comes twice belongs to one period. That holds for hours as well: the hour that the clock
//! repeats is one period of two hours, as its day is one of 25.

use std::fmt;

use chrono::{Datelike, Months, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time_key::{KeyType, Limit, Point};

/// The length of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// An hour of the wall clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday (ISO 8601).
    Week,
    /// From the first of a month.
    Month,
    /// From the first of January, April, July or October.
    Quarter,
    /// From the first of January.
    Year,
}

/// A length of time of a rule, such as its retention: "12 months", "90 days", "36 hours".
/// At least one of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    count: u32,
    interval: Interval,
}

/// The boundaries of one partitioned table: an interval, repeated along its key.
///
/// Keys that hold instants have their boundaries where the zone's wall clock puts them; timestamp
/// and date keys where a wall clock would, in any zone. Every method gives `None` rather than a
/// point that the key cannot hold or that lies outside the years 1 to 9999 (for a uuid also the
/// start of the period in which 1970 UTC began).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    key_type: KeyType,
    interval: Interval,
    zone: Tz,
}

/// All intervals, the shortest first.
const INTERVALS: [Interval; 6] = [
    Interval::Hour,
    Interval::Day,
    Interval::Week,
    Interval::Month,
    Interval::Quarter,
    Interval::Year,
];

impl Interval {
    /// As in the profile.
    pub fn word(self) -> &'static str {
        match self {
            Interval::Hour => "hour",
            Interval::Day => "day",
            Interval::Week => "week",
            Interval::Month => "month",
            Interval::Quarter => "quarter",
            Interval::Year => "year",
        }
    }

    /// The start of the period that a time on the wall clock belongs to.
    fn start_of(self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = wall.date();
        let start = match self {
            Interval::Hour => return date.and_hms_opt(wall.hour(), 0, 0),
            Interval::Day => date,
            Interval::Week => {
                let days = date.weekday().num_days_from_monday();
                date.checked_sub_signed(TimeDelta::days(days.into()))?
            }
            Interval::Month => date.with_day(1)?,
            Interval::Quarter => date.with_day(1)?.with_month0(date.month0() / 3 * 3)?,
            Interval::Year => date.with_ordinal(1)?,
        };
        Some(start.and_time(NaiveTime::MIN))
    }

    /// A time on the wall clock that many intervals later, or earlier if negative. Where the month
    /// has no such day, it is the end of its last one: a later time must not come to an earlier
    /// one, as it does in PostgreSQL, which keeps the time of day.
    fn shift(self, wall: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
        let months = |each: u64| {
            let months = Months::new(count.unsigned_abs().checked_mul(each)?.try_into().ok()?);
            let shifted = if count < 0 {
                wall.checked_sub_months(months)?
            } else {
                wall.checked_add_months(months)?
            };
            let is_same_day = shifted.day() == wall.day();
            if is_same_day {
                Some(shifted)
            } else {
                shifted.date().and_hms_nano_opt(23, 59, 59, 999_999_999)
            }
        };
        match self {
            Interval::Hour => wall.checked_add_signed(TimeDelta::try_hours(count)?),
            Interval::Day => wall.checked_add_signed(TimeDelta::try_days(count)?),
            Interval::Week => wall.checked_add_signed(TimeDelta::try_weeks(count)?),
            Interval::Month => months(1),
            Interval::Quarter => months(3),
            Interval::Year => months(12),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Grid {
    /// The grid of a rule. Errors where the key cannot tell two periods apart: hours of a date.
    pub fn new(key_type: KeyType, interval: Interval, zone: Tz) -> Result<Grid, String> {
        if key_type == KeyType::Date && interval == Interval::Hour {
            return Err(
                "a date key has no hours; take the interval day or a longer one".to_string()
            );
        }
        Ok(Grid { key_type, interval, zone })
    }

    /// The interval of the rule.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// The greatest boundary up to a point.
    pub fn start_of(&self, point: Point) -> Option<Point> {
        self.first_at(self.period(point)?)
    }

    /// The least boundary after a point.
    pub fn next(&self, point: Point) -> Option<Point> {
        self.first_at(self.interval.shift(self.period(point)?, 1)?)
    }

    /// Whether a period begins at a point.
    pub fn is_boundary(&self, point: Point) -> bool {
        self.start_of(point) == Some(point)
    }

    /// The boundaries from a point up to, and without, another. Ends early where the grid does.
    pub fn boundaries_between(&self, from: Point, to: Point) -> impl Iterator<Item = Point> {
        let first = if self.is_boundary(from) { Some(from) } else { self.next(from) };
        let grid = *self;
        std::iter::successors(first, move |boundary| grid.next(*boundary))
            .take_while(move |boundary| *boundary < to)
    }

    /// The boundary that many periods after the start of a point's own.
    pub fn add(&self, point: Point, periods: u16) -> Option<Point> {
        (0..periods).try_fold(self.start_of(point)?, |boundary, _| self.next(boundary))
    }

    /// How many whole periods lie between the end of a point's own and a limit; as many as a
    /// number holds where the limit is no point.
    pub fn periods_between(&self, point: Point, limit: Limit) -> u16 {
        let Limit::At(end) = limit else { return u16::MAX };
        let Some(next) = self.next(point) else { return 0 };
        let whole = self.boundaries_between(next, end).take(u16::MAX.into()).skip(1).count();
        let ends_whole = next < end && self.is_boundary(end);
        u16::try_from(whole + usize::from(ends_whole)).unwrap_or(u16::MAX)
    }

    /// The point a span earlier. Days and longer are those of the zone's calendar, hours are time
    /// that passes, except for a timestamp, whose hours are the wall clock's. A date rounds down.
    ///
    /// Never decreases while the point grows, so that a later run never keeps more. For that, the
    /// 31st less a month is the end of the 30th, and a time that comes for the second time counts
    /// as the end of the first.
    pub fn minus(&self, point: Point, span: Span) -> Option<Point> {
        self.shift(point, span.interval, -i64::from(span.count))
    }

    /// What the wall clock first shows in the period of a point, if no gap hides it: the period's
    /// own date and hour, for its name.
    pub fn period(&self, point: Point) -> Option<NaiveDateTime> {
        self.interval.start_of(self.key_type.wall_of(point, self.zone)?)
    }

    fn first_at(&self, wall: NaiveDateTime) -> Option<Point> {
        self.key_type.first_at(wall, self.zone)
    }

    fn shift(&self, point: Point, interval: Interval, count: i64) -> Option<Point> {
        if interval == Interval::Hour && !self.key_type.is_wall_clock() {
            let instant = self.key_type.instant_of(point, self.zone)?;
            let shifted = instant.checked_add_signed(TimeDelta::try_hours(count)?)?;
            return self.key_type.point_at(shifted, self.zone);
        }
        self.first_at(interval.shift(self.key_type.wall_of(point, self.zone)?, count)?)
    }
}

impl Span {
    /// Reads "12 months", "1 day", "36 hours".
    pub fn parse(text: &str) -> Result<Span, String> {
        let text = text.trim();
        let (count, word) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let word = word.strip_prefix(' ').unwrap_or(word);
        let interval = INTERVALS
            .into_iter()
            .find(|interval| word.strip_suffix('s').unwrap_or(word) == interval.word());
        match (count.parse::<u32>(), interval) {
            (Ok(0), Some(_)) => Err(format!("\"{text}\" is no span; it has to be at least 1")),
            (Ok(count), Some(interval)) => Ok(Span { count, interval }),
            (Ok(_) | Err(_), Some(_) | None) => Err(format!(
                "\"{text}\" is no span; write for example 12 months, 90 days, 6 weeks, 36 hours \
                 or 2 years"
            )),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { count, interval } = self;
        write!(f, "{count} {interval}{}", if *count == 1 { "" } else { "s" })
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Span::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]* ?(hour|day|week|month|quarter|year)s?$",
            "description": "a span of the calendar: 12 months, 90 days, 6 weeks, 36 hours, 2 years",
        })
    }
}

#[cfg(test)]
mod tests;

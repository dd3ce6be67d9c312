//! The key of a table partitioned by RANGE of time: its points, its bounds, and their SQL. Pure.
//!
//! Bounds are read as `pg_get_expr(relpartbound, oid)` prints them under `TimeZone=UTC` and
//! `DateStyle=ISO` (`get_range_partbound_string` in ruleutils.c), and printed so that no setting
//! of a session can shift them.

use std::fmt::{self, Write};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::wall_clock;

/// What a partition key holds and how time is written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `timestamp with time zone`: an instant.
    Timestamptz,
    /// `timestamp without time zone`: what a wall clock showed.
    Timestamp,
    /// `date`: what a calendar on the wall showed.
    Date,
    /// `bigint` or `integer`: the time since 1970 UTC.
    Epoch(EpochUnit),
    /// `uuid`, version 7: an instant in milliseconds in the first 48 bits (RFC 9562, 5.7).
    Uuidv7,
}

/// The unit of a key that counts from 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EpochUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

/// A place on the key's own axis. Its unit is the key's: microseconds since 1970 UTC for
/// timestamptz, microseconds of the wall clock since 1970-01-01 for timestamp, days since
/// 1970-01-01 for date, the number itself for an epoch. A uuid is its 128 bits as a number, less
/// 2^127: all of them fit, in PostgreSQL's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point(pub i128);

/// One end of a range, in the order of PostgreSQL (`partition_rbound_datum_cmp` in partbounds.c):
/// an infinity is a value of the key like any other, MINVALUE and MAXVALUE lie beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// MINVALUE.
    Min,
    /// `'-infinity'`, of timestamptz, timestamp and date.
    MinusInfinity,
    /// A value.
    At(Point),
    /// `'infinity'`, of timestamptz, timestamp and date.
    Infinity,
    /// MAXVALUE.
    Max,
}

/// The bound of one partition: from the lower limit up to, and without, the upper one.
///
/// Where the key has more columns than the time, the others are MINVALUE, so that the time alone
/// decides. `Display` writes `FOR VALUES FROM (…) TO (…)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeBound {
    key_type: KeyType,
    columns: usize,
    lower: Limit,
    upper: Limit,
}

/// The years that PostgreSQL writes with four digits; beyond them nothing is read or computed.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// The bits of a uuid behind the milliseconds.
const UUID_TAIL_BITS: u32 = 80;

/// The highest bit of a uuid, flipped so that the order of unsigned bits is that of `i128`.
const UUID_HIGH_BIT: u128 = 1 << 127;

impl KeyType {
    /// The point of an instant, rounded down to the key's unit. For timestamp and date it is what
    /// the wall clock of the zone shows; for a uuid the bits behind the milliseconds are zero.
    ///
    /// `None` outside the years 1 to 9999, and where the key cannot hold the value: nanoseconds in
    /// a bigint end in 2262, UUIDs begin in 1970.
    pub fn point_at(self, instant: DateTime<Utc>, zone: Tz) -> Option<Point> {
        let instant = in_years(instant.naive_utc())?.and_utc();
        match self {
            KeyType::Timestamptz => Some(Point(EpochUnit::Microseconds.count(instant))),
            KeyType::Timestamp | KeyType::Date => {
                self.first_at(wall_clock::shown(instant, zone), zone)
            }
            KeyType::Epoch(unit) => {
                i64::try_from(unit.count(instant)).ok().map(|count| Point(count.into()))
            }
            KeyType::Uuidv7 => {
                let ms = u128::try_from(EpochUnit::Milliseconds.count(instant)).ok()?;
                Some(Point::from_uuid(ms << UUID_TAIL_BITS))
            }
        }
    }

    /// The instant of a point, to show it; what a uuid holds behind the milliseconds is dropped.
    /// For timestamp and date it is the first instant at which the zone's wall clock gets there.
    ///
    /// `None` outside the years 1 to 9999.
    pub fn instant_of(self, point: Point, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            KeyType::Timestamptz => EpochUnit::Microseconds.instant(point.0),
            KeyType::Timestamp | KeyType::Date => {
                wall_clock::first_instant(self.wall_of(point, zone)?, zone)
            }
            KeyType::Epoch(unit) => unit.instant(point.0),
            KeyType::Uuidv7 => {
                let ms = i128::try_from(point.uuid() >> UUID_TAIL_BITS).ok()?;
                EpochUnit::Milliseconds.instant(ms)
            }
        }
    }

    /// How far the zone's wall clock has got at a point ([`wall_clock::furthest`]); for timestamp
    /// and date the point itself, in any zone. `None` outside the years 1 to 9999.
    pub fn wall_of(self, point: Point, zone: Tz) -> Option<NaiveDateTime> {
        let wall = match self {
            KeyType::Timestamp => EpochUnit::Microseconds.instant(point.0)?.naive_utc(),
            KeyType::Date => {
                let days = i32::try_from(point.0).ok()?;
                NaiveDate::from_epoch_days(days)?.and_time(NaiveTime::MIN)
            }
            KeyType::Timestamptz | KeyType::Epoch(_) | KeyType::Uuidv7 => {
                wall_clock::furthest(self.instant_of(point, zone)?, zone)?
            }
        };
        in_years(wall)
    }

    /// The first point at which the zone's wall clock has got to `wall`
    /// ([`wall_clock::first_instant`]), rounded down to the key's unit; for timestamp and date
    /// `wall` itself, in any zone. `None` where [`KeyType::point_at`] is.
    pub fn first_at(self, wall: NaiveDateTime, zone: Tz) -> Option<Point> {
        let wall = in_years(wall)?;
        match self {
            KeyType::Timestamp => Some(Point(EpochUnit::Microseconds.count(wall.and_utc()))),
            KeyType::Date => Some(Point(wall.date().to_epoch_days().into())),
            KeyType::Timestamptz | KeyType::Epoch(_) | KeyType::Uuidv7 => {
                self.point_at(wall_clock::first_instant(wall, zone)?, zone)
            }
        }
    }

    /// Whether the key holds what a wall clock shows, rather than an instant.
    pub fn is_wall_clock(self) -> bool {
        match self {
            KeyType::Timestamp | KeyType::Date => true,
            KeyType::Timestamptz | KeyType::Epoch(_) | KeyType::Uuidv7 => false,
        }
    }

    /// A point as PostgreSQL prints it, without quotes; `None` where the key cannot hold it.
    fn print(self, point: Point) -> Option<String> {
        match self {
            KeyType::Timestamptz => {
                let instant = EpochUnit::Microseconds.instant(point.0)?;
                Some(format!("{}+00", print_timestamp(instant.naive_utc())))
            }
            KeyType::Timestamp => self.wall_of(point, Tz::UTC).map(print_timestamp),
            KeyType::Date => Some(print_date(self.wall_of(point, Tz::UTC)?)),
            KeyType::Epoch(_) => i64::try_from(point.0).ok().map(|count| count.to_string()),
            KeyType::Uuidv7 => Some(print_uuid(point.uuid())),
        }
    }

    /// Reads what [`KeyType::print`] writes, and nothing else.
    fn read(self, text: &str) -> Option<Point> {
        let point = match self {
            KeyType::Timestamptz => read_timestamp(text.strip_suffix("+00")?)?,
            KeyType::Timestamp => read_timestamp(text)?,
            KeyType::Date => Point(read_date(text)?.to_epoch_days().into()),
            KeyType::Epoch(_) => Point(text.parse::<i64>().ok()?.into()),
            KeyType::Uuidv7 => {
                Point::from_uuid(u128::from_str_radix(&text.replace('-', ""), 16).ok()?)
            }
        };
        Some(point).filter(|point| self.print(*point).as_deref() == Some(text))
    }

    /// Reads a value as PostgreSQL prints it under `TimeZone=UTC` and `DateStyle=ISO`; `None` for
    /// an infinity, and outside the years 1 to 9999.
    pub fn read_value(self, text: &str) -> Option<Point> {
        self.read(text)
    }

    /// Reads one value of a bound: MINVALUE, MAXVALUE, a bare number, or a value in quotes. What is
    /// read can be printed.
    fn read_limit(self, value: &str) -> Result<Limit, String> {
        let text = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
        let limit = match value {
            "MINVALUE" => Some(Limit::Min),
            "MAXVALUE" => Some(Limit::Max),
            "'-infinity'" => self.is_time().then_some(Limit::MinusInfinity),
            "'infinity'" => self.is_time().then_some(Limit::Infinity),
            _ => self.read(text).map(Limit::At),
        };
        limit.ok_or_else(|| {
            format!(
                "cannot read the bound {value} as {self}; pgtune knows the years 1 to 9999, \
                 printed under TimeZone=UTC and DateStyle=ISO"
            )
        })
    }

    /// A limit as SQL; `None` where the key cannot hold it. Numbers are quoted as PostgreSQL
    /// prints bigint; an integer key takes them too.
    pub fn print_limit(self, limit: Limit) -> Option<String> {
        match limit {
            Limit::Min => Some("MINVALUE".to_string()),
            Limit::MinusInfinity => self.is_time().then(|| "'-infinity'".to_string()),
            Limit::At(point) => self.print(point).map(|text| format!("'{text}'")),
            Limit::Infinity => self.is_time().then(|| "'infinity'".to_string()),
            Limit::Max => Some("MAXVALUE".to_string()),
        }
    }

    /// Whether its type knows infinities.
    fn is_time(self) -> bool {
        match self {
            KeyType::Timestamptz | KeyType::Timestamp | KeyType::Date => true,
            KeyType::Epoch(_) | KeyType::Uuidv7 => false,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyType::Timestamptz => "timestamptz",
            KeyType::Timestamp => "timestamp",
            KeyType::Date => "date",
            KeyType::Epoch(EpochUnit::Seconds) => "epoch (s)",
            KeyType::Epoch(EpochUnit::Milliseconds) => "epoch (ms)",
            KeyType::Epoch(EpochUnit::Microseconds) => "epoch (us)",
            KeyType::Epoch(EpochUnit::Nanoseconds) => "epoch (ns)",
            KeyType::Uuidv7 => "uuidv7",
        })
    }
}

impl EpochUnit {
    /// How many of the unit are a second.
    fn per_second(self) -> i128 {
        match self {
            EpochUnit::Seconds => 1,
            EpochUnit::Milliseconds => 1_000,
            EpochUnit::Microseconds => 1_000_000,
            EpochUnit::Nanoseconds => 1_000_000_000,
        }
    }

    /// The units from 1970 UTC to an instant, rounded down.
    fn count(self, instant: DateTime<Utc>) -> i128 {
        let (seconds, nanoseconds) = (instant.timestamp(), instant.timestamp_subsec_nanos());
        let per_second = self.per_second();
        i128::from(seconds) * per_second + i128::from(nanoseconds) * per_second / 1_000_000_000
    }

    /// The instant that many units after 1970 UTC; `None` outside the years 1 to 9999.
    fn instant(self, count: i128) -> Option<DateTime<Utc>> {
        let per_second = self.per_second();
        let seconds = i64::try_from(count.div_euclid(per_second)).ok()?;
        let nanoseconds = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
        let instant = DateTime::from_timestamp(seconds, u32::try_from(nanoseconds).ok()?)?;
        Some(in_years(instant.naive_utc())?.and_utc())
    }
}

impl Point {
    fn from_uuid(bits: u128) -> Point {
        Point((bits ^ UUID_HIGH_BIT).cast_signed())
    }

    fn uuid(self) -> u128 {
        self.0.cast_unsigned() ^ UUID_HIGH_BIT
    }
}

impl RangeBound {
    /// The bound of a partition whose key has that many columns, the time being the first.
    ///
    /// Errors where the key cannot hold a limit, and where the range is empty, which PostgreSQL
    /// refuses too.
    pub fn new(
        key_type: KeyType,
        columns: usize,
        lower: Limit,
        upper: Limit,
    ) -> Result<RangeBound, String> {
        if columns == 0 {
            return Err("a partition key has at least one column".to_string());
        }
        if [lower, upper].iter().any(|limit| key_type.print_limit(*limit).is_none()) {
            return Err(format!("a bound lies beyond what a key of type {key_type} can hold"));
        }
        RangeBound { key_type, columns, lower, upper }.not_empty()
    }

    fn not_empty(self) -> Result<RangeBound, String> {
        if self.lower < self.upper {
            return Ok(self);
        }
        let print = |limit| self.key_type.print_limit(limit).unwrap_or_default();
        Err(format!("the range from {} to {} is empty", print(self.lower), print(self.upper)))
    }

    /// Reads `FOR VALUES FROM (…) TO (…)`, not `DEFAULT`.
    ///
    /// Errors where the first column is no such key, and where another column takes part in the
    /// bound.
    pub fn parse(key_type: KeyType, text: &str) -> Result<RangeBound, String> {
        let (lower, upper) =
            split(text).ok_or_else(|| format!("\"{text}\" is not the bound of a RANGE"))?;
        if lower.len() != upper.len() {
            return Err(format!("the ends of \"{text}\" differ in their number of columns"));
        }
        let limit = |values: &[&str]| {
            let limit = key_type.read_limit(values[0])?;
            let expected = other_columns(limit);
            match values[1..].iter().find(|value| **value != expected) {
                Some(value) => Err(format!(
                    "in the bound \"{text}\" a further column is {value}, not {expected}"
                )),
                None => Ok(limit),
            }
        };
        let (columns, lower, upper) = (lower.len(), limit(&lower)?, limit(&upper)?);
        RangeBound { key_type, columns, lower, upper }.not_empty()
    }

    /// The lower limit; its point belongs to the partition.
    pub fn lower(&self) -> Limit {
        self.lower
    }

    /// The upper limit; its point belongs to the next partition.
    pub fn upper(&self) -> Limit {
        self.upper
    }
}

impl fmt::Display for RangeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let print = |limit| {
            let first = self.key_type.print_limit(limit).expect("new() has printed it");
            format!("{first}{}", format!(", {}", other_columns(limit)).repeat(self.columns - 1))
        };
        write!(f, "FOR VALUES FROM ({}) TO ({})", print(self.lower), print(self.upper))
    }
}

/// What the columns behind the time hold, so that the time alone decides. PostgreSQL wants
/// MINVALUE and MAXVALUE to be followed by the same (`transformPartitionRangeBounds` in
/// parse_utilcmd.c).
fn other_columns(limit: Limit) -> &'static str {
    match limit {
        Limit::Min | Limit::MinusInfinity | Limit::At(_) | Limit::Infinity => "MINVALUE",
        Limit::Max => "MAXVALUE",
    }
}

/// The values on both sides of the text of a bound, as they are written.
fn split(text: &str) -> Option<(Vec<&str>, Vec<&str>)> {
    let (lower, rest) = split_values(text.strip_prefix("FOR VALUES FROM (")?)?;
    let (upper, rest) = split_values(rest.strip_prefix(" TO (")?)?;
    rest.is_empty().then_some((lower, upper))
}

/// The values up to the closing parenthesis, at least one, and what follows it.
fn split_values(text: &str) -> Option<(Vec<&str>, &str)> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        // A quote inside a text is doubled, which closes and opens it again.
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '\'';
            !quoted && (c == ',' || c == ')')
        })?;
        values.push(&rest[..end]);
        match rest[end..].strip_prefix(", ") {
            Some(more) => rest = more,
            None => return Some((values, rest[end..].strip_prefix(')')?)),
        }
    }
}

/// A time of the years 1 to 9999.
fn in_years(time: NaiveDateTime) -> Option<NaiveDateTime> {
    Some(time).filter(|time| YEARS.contains(&time.year()))
}

/// As `timestamp_out` under `DateStyle=ISO`: microseconds without the zeros at their end. Written
/// out, since tables with ten thousand partitions have twenty thousand of them.
fn print_timestamp(time: NaiveDateTime) -> String {
    let mut text = print_date(time);
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let _ = write!(text, " {hour:02}:{minute:02}:{second:02}");
    let micros = time.and_utc().timestamp_subsec_micros();
    if micros > 0 {
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

fn print_date(time: NaiveDateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day())
}

/// Reads what [`print_timestamp`] writes, and somewhat more.
fn read_timestamp(text: &str) -> Option<Point> {
    let (date, time) = text.split_once(' ')?;
    let time = read_date(date)?.and_time(time.parse().ok()?);
    Some(Point(EpochUnit::Microseconds.count(time.and_utc())))
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let mut next = || parts.next()?.parse::<u32>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// As `uuid_out`: lowercase digits in groups of 8, 4, 4, 4 and 12.
fn print_uuid(bits: u128) -> String {
    let digits = format!("{bits:032x}");
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    groups.join("-")
}

#[cfg(test)]
pub mod tests;

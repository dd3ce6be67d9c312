//! The calendar against a clock that is watched for days, and days that are known to be odd.

use chrono::{DateTime, Utc};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;
use crate::model::time_key::tests::KEY_TYPES;
use crate::model::time_key::{Limit, RangeBound};
use crate::model::wall_clock::shown;

/// A grid and a point on its key.
type Place = (Grid, Point);

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(text: &str) -> Span {
    Span::parse(text).unwrap()
}

/// The point of a timestamptz key.
fn at(text: &str) -> Point {
    KeyType::Timestamptz.point_at(instant(text), Tz::UTC).unwrap()
}

/// The boundaries of a timestamptz key from one instant up to another, as its zone's clock shows
/// them.
fn boundaries(zone: Tz, interval: Interval, from: &str, to: &str) -> Vec<String> {
    let grid = Grid::new(KeyType::Timestamptz, interval, zone).unwrap();
    let show = |point| {
        let instant = KeyType::Timestamptz.instant_of(point, zone).unwrap();
        instant.with_timezone(&zone).format("%m-%d %H:%M%:z").to_string()
    };
    grid.boundaries_between(at(from), at(to)).map(show).collect()
}

#[test]
fn days_are_as_long_as_the_zone_has_them() {
    use Interval::Day;
    let days = |zone, from, to| boundaries(zone, Day, from, to);
    assert_eq!(
        days(Tz::Europe__Berlin, "2026-03-28T12:00:00Z", "2026-03-31T00:00:00Z"),
        ["03-29 00:00+01:00", "03-30 00:00+02:00", "03-31 00:00+02:00"]
    );
    assert_eq!(
        days(Tz::Europe__Berlin, "2026-10-24T12:00:00Z", "2026-10-27T00:00:00Z"),
        ["10-25 00:00+02:00", "10-26 00:00+01:00", "10-27 00:00+01:00"]
    );
    // Midnight is in the gap.
    assert_eq!(
        days(Tz::America__Sao_Paulo, "2018-11-03T00:00:00Z", "2018-11-05T12:00:00Z"),
        ["11-03 00:00-03:00", "11-04 01:00-02:00", "11-05 00:00-02:00"]
    );
    // Midnight comes only once, after the clock was put back to 23:00.
    assert_eq!(
        days(Tz::America__Sao_Paulo, "2018-02-17T12:00:00Z", "2018-02-19T12:00:00Z"),
        ["02-18 00:00-03:00", "02-19 00:00-03:00"]
    );
    // Midnight comes twice.
    assert_eq!(
        days(Tz::America__Havana, "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
        ["11-01 00:00-04:00", "11-02 00:00-05:00"]
    );
    // The clock was put back from 00:01 to 23:01: the day begins before that.
    assert_eq!(
        days(Tz::America__St_Johns, "2010-11-06T12:00:00Z", "2010-11-08T12:00:00Z"),
        ["11-07 00:00-02:30", "11-08 00:00-03:30"]
    );
    assert_eq!(
        days(Tz::Pacific__Apia, "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z"),
        ["12-29 00:00-10:00", "12-31 00:00+14:00", "01-01 00:00+14:00"]
    );
    // Midnight is the end of the gap.
    assert_eq!(
        days(Tz::America__Nuuk, "2024-03-30T12:00:00Z", "2024-04-01T12:00:00Z"),
        ["03-31 00:00-01:00", "04-01 00:00-01:00"]
    );
    assert_eq!(
        days(Tz::Asia__Kathmandu, "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
        ["01-02 00:00+05:45", "01-03 00:00+05:45"]
    );
}

#[test]
fn hours_are_those_of_the_wall_clock() {
    use Interval::Hour;
    let hours = |zone, from, to| boundaries(zone, Hour, from, to);
    assert_eq!(
        hours(Tz::Europe__Berlin, "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z"),
        ["03-29 01:00+01:00", "03-29 03:00+02:00", "03-29 04:00+02:00"]
    );
    // 02:00 comes twice and is one period of two hours.
    assert_eq!(
        hours(Tz::Europe__Berlin, "2026-10-24T23:00:00Z", "2026-10-25T03:30:00Z"),
        ["10-25 01:00+02:00", "10-25 02:00+02:00", "10-25 03:00+01:00", "10-25 04:00+01:00"]
    );
    // Half an hour, forwards and back.
    assert_eq!(
        hours(Tz::Australia__Lord_Howe, "2026-10-03T14:30:00Z", "2026-10-03T16:30:00Z"),
        ["10-04 01:00+10:30", "10-04 02:30+11:00", "10-04 03:00+11:00"]
    );
    assert_eq!(
        hours(Tz::Australia__Lord_Howe, "2026-04-04T14:00:00Z", "2026-04-04T17:00:00Z"),
        ["04-05 01:00+11:00", "04-05 02:00+10:30", "04-05 03:00+10:30"]
    );
    assert_eq!(
        hours(Tz::Asia__Kathmandu, "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"),
        ["01-01 06:00+05:45", "01-01 07:00+05:45"]
    );
    assert_eq!(
        hours(Tz::UTC, "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"),
        ["01-01 00:00+00:00", "01-01 01:00+00:00"]
    );
}

#[test]
fn weeks_months_quarters_and_years_begin_where_people_expect() {
    let zone = Tz::Africa__Casablanca;
    let (from, to) = ("2024-12-20T00:00:00Z", "2025-01-10T00:00:00Z");
    let starts = |interval| boundaries(zone, interval, from, to);
    let mondays = ["12-23 00:00+01:00", "12-30 00:00+01:00", "01-06 00:00+01:00"];
    assert_eq!(starts(Interval::Week), mondays);
    for interval in [Interval::Month, Interval::Quarter, Interval::Year] {
        assert_eq!(starts(interval), ["01-01 00:00+01:00"]);
    }
    // Around Ramadan, from February 23rd to April 6th, the clock is an hour behind.
    assert_eq!(
        boundaries(zone, Interval::Month, "2025-02-20T00:00:00Z", "2025-05-02T00:00:00Z"),
        ["03-01 00:00+00:00", "04-01 00:00+00:00", "05-01 00:00+01:00"]
    );
}

#[test]
fn wall_clock_keys_have_the_same_boundaries_in_every_zone() {
    let day = |zone| Grid::new(KeyType::Date, Interval::Day, zone).unwrap();
    for zone in [Tz::UTC, Tz::Pacific__Apia] {
        assert_eq!(day(zone).next(Point(15_337)), Some(Point(15_338)));
    }
    let hour = Grid::new(KeyType::Timestamp, Interval::Hour, Tz::Europe__Berlin).unwrap();
    let text = "FOR VALUES FROM ('2026-10-25 02:00:00') TO ('2026-10-25 03:00:00')";
    let bound = RangeBound::parse(KeyType::Timestamp, text).unwrap();
    let Limit::At(lower) = bound.lower() else { panic!("{bound}") };
    assert_eq!(hour.next(lower).map(Limit::At), Some(bound.upper()));
    let refused = Grid::new(KeyType::Date, Interval::Hour, Tz::UTC).unwrap_err();
    assert!(refused.contains("a date key has no hours"), "{refused}");
}

#[test]
fn retention_counts_in_the_zones_calendar() {
    let minus = |zone, from, text| {
        let grid = Grid::new(KeyType::Timestamptz, Interval::Month, zone).unwrap();
        grid.minus(at(from), span(text))
    };
    let berlin = Tz::Europe__Berlin;
    for (from, text, expected) in [
        ("2026-03-31T10:00:00Z", "1 month", "2026-02-28T22:59:59.999999Z"),
        ("2026-03-29T10:00:00Z", "1 day", "2026-03-28T11:00:00Z"),
        ("2026-03-29T10:00:00Z", "24 hours", "2026-03-28T10:00:00Z"),
        ("2028-02-29T10:00:00Z", "1 year", "2027-02-28T22:59:59.999999Z"),
        ("2026-10-26T10:00:00Z", "1 week", "2026-10-19T09:00:00Z"),
        ("2026-10-26T10:00:00Z", "2 quarters", "2026-04-26T09:00:00Z"),
        // 02:30, for the first and for the second time.
        ("2026-10-25T00:30:00Z", "1 day", "2026-10-24T00:30:00Z"),
        ("2026-10-25T01:30:00Z", "1 day", "2026-10-24T00:59:59.999999Z"),
    ] {
        assert_eq!(minus(berlin, from, text), Some(at(expected)), "{from} - {text}");
    }
    let day = Grid::new(KeyType::Date, Interval::Day, berlin).unwrap();
    assert_eq!(day.minus(Point(100), span("36 hours")), Some(Point(98)));
    assert_eq!(day.minus(Point(100), span("4000000000 years")), None);
}

#[test]
fn spans_are_read_and_written() {
    for text in ["12 months", "90 days", "6 weeks", "36 hours", "2 years", "1 quarter", "1 day"] {
        assert_eq!(span(text).to_string(), text);
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span(text));
        assert_eq!(serde_json::to_string(&span(text)).unwrap(), json);
    }
    assert_eq!(span(" 12month "), span("12 months"));
    for bad in ["", "12", "months", "-1 days", "+1 days", "1.5 days", "1  day", "12 moths"] {
        let error = Span::parse(bad).unwrap_err();
        assert!(error.contains("write for example 12 months"), "{error}");
    }
    assert!(Span::parse("99999999999 days").is_err());
    assert!(Span::parse("0 days").unwrap_err().contains("at least 1"));
    let schema = schemars::schema_for!(Span);
    assert_eq!(schema.get("type"), Some(&serde_json::json!("string")));
    for interval in INTERVALS {
        assert_eq!(serde_json::to_value(interval).unwrap(), interval.word());
    }
}

/// A grid of any kind, and a point of the years 1970 to 2100, often next to a change of the clock.
fn place() -> impl Strategy<Value = Place> {
    let zone = proptest::sample::select(TZ_VARIANTS.to_vec());
    let key_type = proptest::sample::select(KEY_TYPES.to_vec());
    let interval = proptest::sample::select(INTERVALS.to_vec());
    let seconds =
        instant("1970-01-03T00:00:00Z").timestamp()..instant("2100-01-01T00:00:00Z").timestamp();
    let near = proptest::option::weighted(0.7, (-12_i64..12, -1_i64..2));
    (zone, key_type, interval, seconds, near).prop_filter_map(
        "a date has no hours, and 1970 no start as a uuid",
        |(zone, key_type, interval, seconds, near)| {
            let mut instant = DateTime::from_timestamp(seconds, 0)?;
            if let (Some((quarters, tick)), Some(change)) = (near, change(zone, instant)) {
                let distance = TimeDelta::minutes(15 * quarters) + TimeDelta::microseconds(tick);
                instant = change + distance;
            }
            let grid = Grid::new(key_type, interval, zone).ok()?;
            let point = key_type.point_at(instant, zone)?;
            grid.start_of(point).or_else(|| {
                assert!(
                    key_type == KeyType::Uuidv7 && instant.year() == 1970,
                    "{grid:?} {point:?}"
                );
                None
            })?;
            Some((grid, point))
        },
    )
}

/// The last quarter of an hour before the clock of the zone is next changed, within a year.
fn change(zone: Tz, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| shown(at, zone) - at.naive_utc();
    let find = |from: DateTime<Utc>, step: TimeDelta, steps: i32| {
        let mut places = (0..steps).map(|i| from + step * i);
        places.find(|at| offset(*at) != offset(*at + step))
    };
    let midnight = from.date_naive().and_time(NaiveTime::MIN).and_utc();
    find(find(midnight, TimeDelta::days(1), 366)?, TimeDelta::minutes(15), 96)
}

fn any_span() -> impl Strategy<Value = Span> {
    (1_u32..40, proptest::sample::select(INTERVALS.to_vec()))
        .prop_map(|(count, interval)| Span { count, interval })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn periods_tile((grid, point) in place()) {
        let (start, next) = (grid.start_of(point).unwrap(), grid.next(point).unwrap());
        prop_assert!(start <= point && point < next, "{start:?} {next:?}");
        for inside in [start, point, Point(next.0 - 1)] {
            prop_assert_eq!(grid.start_of(inside), Some(start));
            prop_assert_eq!(grid.next(inside), Some(next));
            prop_assert_eq!(grid.period(inside), grid.period(point));
        }
        prop_assert!(grid.is_boundary(start) && grid.is_boundary(next));
        prop_assert_eq!(grid.is_boundary(point), point == start);
        prop_assert!(grid.period(next) > grid.period(point));
        prop_assert_eq!(grid.add(point, 0), Some(start));
        prop_assert_eq!(grid.add(point, 1), Some(next));
        let end = grid.add(point, 4).unwrap();
        let some = grid.boundaries_between(start, end).collect::<Vec<_>>();
        prop_assert!(some.len() == 4 && some.is_sorted() && some[0] == start && some[1] == next);
        let after = Point(start.0 + 1);
        prop_assert_eq!(grid.boundaries_between(after, end).collect::<Vec<_>>(), &some[1..]);
    }

    #[test]
    fn bounds_of_periods_round_trip((grid, point) in place()) {
        let limits = (grid.start_of(point).unwrap(), grid.next(point).unwrap());
        let (lower, upper) = (Limit::At(limits.0), Limit::At(limits.1));
        let bound = RangeBound::new(grid.key_type, 1, lower, upper).unwrap();
        prop_assert_eq!(RangeBound::parse(grid.key_type, &bound.to_string()), Ok(bound));
    }

    /// `None` is less than any point: only UUIDs end, in 1970.
    #[test]
    fn a_later_run_keeps_no_more(
        (grid, point) in place(),
        span in any_span(),
        later in prop_oneof![0_i64..90, 0_i64..2000],
    ) {
        let zone = grid.zone;
        let instant = grid.key_type.instant_of(point, zone).unwrap();
        let later = grid.key_type.point_at(instant + TimeDelta::minutes(later), zone).unwrap();
        let (low, high) = (point.min(later), point.max(later));
        prop_assert!(grid.minus(low, span) <= grid.minus(high, span));
        prop_assert!(grid.minus(low, span) < Some(low));
    }

    #[test]
    fn no_point_panics((grid, _) in place(), number in any::<i128>(), bits in 0_u32..127) {
        let point = Point(number >> bits);
        let year = span("1 year");
        let _ = (grid.start_of(point), grid.next(point), grid.add(point, 3), grid.period(point));
        let _ = (grid.is_boundary(point), grid.minus(point, year));
        let _ = grid.boundaries_between(point, Point(i128::MAX)).take(3).count();
        let most = Span { count: u32::MAX, interval: grid.interval };
        let _ = grid.minus(point, most);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A boundary is where the clock, watched for four days, first gets to a new period.
    #[test]
    fn periods_begin_when_the_clock_first_gets_there((place, point) in place()) {
        let start = place.key_type.instant_of(point, place.zone).unwrap();
        let start = start.date_naive().and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(2);
        let grid = Grid { key_type: KeyType::Timestamptz, ..place };
        let point = |at| KeyType::Timestamptz.point_at(at, Tz::UTC).unwrap();
        let period = |wall| grid.interval.start_of(wall).unwrap();
        // Clocks change at full half minutes.
        let half_minutes = (1..4 * 24 * 120).map(|i| start + TimeDelta::seconds(30 * i));
        let mut furthest = shown(start, grid.zone);
        let mut expected = Vec::new();
        for at in half_minutes {
            let wall = shown(at, grid.zone).max(furthest);
            if period(wall) > period(furthest) {
                expected.push(point(at));
            }
            furthest = wall;
        }
        let end = start + TimeDelta::days(4);
        let first = start + TimeDelta::microseconds(1);
        let found = grid.boundaries_between(point(first), point(end)).collect::<Vec<_>>();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn every_zone_has_its_months_from_1970_to_2100() {
    let (from, to) = (at("1970-01-03T00:00:00Z"), at("2100-01-01T12:00:00Z"));
    for zone in TZ_VARIANTS {
        let grid = Grid::new(KeyType::Timestamptz, Interval::Month, zone).unwrap();
        let mut period = grid.period(from).unwrap();
        let mut count = 0;
        for boundary in grid.boundaries_between(from, to) {
            let next = grid.period(boundary).unwrap();
            assert_eq!(Interval::Month.shift(period, 1), Some(next), "{zone}");
            (period, count) = (next, count + 1);
        }
        assert!((1559..=1560).contains(&count), "{zone}: {count}");
    }
}

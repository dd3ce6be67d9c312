//! Bounds as PostgreSQL 15 printed them, and round trips of every key.

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

/// Every type of key.
pub const KEY_TYPES: [KeyType; 8] = [
    KeyType::Timestamptz,
    KeyType::Timestamp,
    KeyType::Date,
    KeyType::Epoch(EpochUnit::Seconds),
    KeyType::Epoch(EpochUnit::Milliseconds),
    KeyType::Epoch(EpochUnit::Microseconds),
    KeyType::Epoch(EpochUnit::Nanoseconds),
    KeyType::Uuidv7,
];

const MS: KeyType = KeyType::Epoch(EpochUnit::Milliseconds);

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn at(key_type: KeyType, text: &str) -> Limit {
    Limit::At(key_type.point_at(instant(text), Tz::UTC).unwrap())
}

#[test]
fn bounds_are_read_and_printed_as_postgres_prints_them() {
    use KeyType::{Date, Timestamp, Timestamptz, Uuidv7};
    let new_year = "2026-01-01T00:00:00Z";
    for (key_type, values, lower, upper) in [
        (
            Timestamptz,
            "('2026-01-01 00:00:00+00') TO (MAXVALUE)",
            at(Timestamptz, new_year),
            Limit::Max,
        ),
        (
            Timestamptz,
            "('2026-01-01 00:00:00.5+00') TO ('2026-01-31 22:00:00.12345+00')",
            at(Timestamptz, "2026-01-01T00:00:00.5Z"),
            at(Timestamptz, "2026-01-31T22:00:00.123450Z"),
        ),
        (Timestamptz, "(MINVALUE) TO ('-infinity')", Limit::Min, Limit::MinusInfinity),
        (Timestamptz, "('infinity') TO (MAXVALUE)", Limit::Infinity, Limit::Max),
        (
            Timestamp,
            "('0001-01-01 00:00:00') TO ('9999-12-31 23:59:59.999999')",
            at(Timestamp, "0001-01-01T00:00:00Z"),
            at(Timestamp, "9999-12-31T23:59:59.999999Z"),
        ),
        (
            Date,
            "('-infinity', MINVALUE) TO ('2026-01-01', MINVALUE)",
            Limit::MinusInfinity,
            at(Date, new_year),
        ),
        (
            Date,
            "('2026-01-01', MINVALUE, MINVALUE) TO (MAXVALUE, MAXVALUE, MAXVALUE)",
            at(Date, new_year),
            Limit::Max,
        ),
        (MS, "('-5') TO ('1767225600000')", Limit::At(Point(-5)), at(MS, new_year)),
        (
            Uuidv7,
            "('019b76da-a800-0000-0000-000000000000') TO ('ffffffff-ffff-ffff-ffff-ffffffffffff')",
            at(Uuidv7, new_year),
            Limit::At(Point(i128::MAX)),
        ),
    ] {
        let text = format!("FOR VALUES FROM {values}");
        let bound = RangeBound::parse(key_type, &text).unwrap();
        assert_eq!((bound.lower(), bound.upper()), (lower, upper), "{text}");
        assert_eq!(bound.to_string(), text);
    }
}

#[test]
fn an_integer_key_is_printed_without_quotes() {
    let key_type = KeyType::Epoch(EpochUnit::Seconds);
    let bound = RangeBound::parse(key_type, "FOR VALUES FROM ('-5') TO (1767225600)").unwrap();
    assert_eq!(bound.upper(), at(key_type, "2026-01-01T00:00:00Z"));
    assert_eq!(bound.to_string(), "FOR VALUES FROM ('-5') TO ('1767225600')");
}

#[test]
fn what_is_no_bound_of_the_key_is_refused() {
    use KeyType::{Date, Timestamp, Timestamptz, Uuidv7};
    for (key_type, text, why) in [
        (Date, "DEFAULT", "is not the bound of a RANGE"),
        (Date, "FOR VALUES IN ('2026-01-01')", "is not the bound of a RANGE"),
        (Date, "FOR VALUES FROM () TO ()", "cannot read the bound "),
        (Date, "FOR VALUES FROM ('2026-01-01", "is not the bound of a RANGE"),
        (Date, "FOR VALUES FROM (MINVALUE) TO (MAXVALUE) ", "is not the bound of a RANGE"),
        (Date, "FOR VALUES FROM ('10000-01-01') TO (MAXVALUE)", "the years 1 to 9999"),
        (Date, "FOR VALUES FROM ('0044-03-15 BC') TO (MAXVALUE)", "the years 1 to 9999"),
        (Date, "FOR VALUES FROM ('2026-1-1') TO (MAXVALUE)", "DateStyle=ISO"),
        (Date, "FOR VALUES FROM ('2026-02-30') TO (MAXVALUE)", "cannot read the bound"),
        (Date, "FOR VALUES FROM ('2026-02-01') TO ('2026-02-01')", "is empty"),
        (Date, "FOR VALUES FROM (MAXVALUE) TO (MINVALUE)", "from MAXVALUE to MINVALUE is empty"),
        (Date, "FOR VALUES FROM (MINVALUE) TO (MAXVALUE, MAXVALUE)", "number of columns"),
        (
            Date,
            "FOR VALUES FROM ('2026-01-01', 'a, ''b)') TO (MAXVALUE, MAXVALUE)",
            "a further column is 'a, ''b)', not MINVALUE",
        ),
        (
            Date,
            "FOR VALUES FROM ('2026-01-01', MAXVALUE) TO (MAXVALUE, MAXVALUE)",
            "a further column is MAXVALUE, not MINVALUE",
        ),
        (
            Timestamptz,
            "FOR VALUES FROM ('0044-03-15 00:00:00+00 BC') TO ('0999-01-01 00:00:00+00')",
            "the years 1 to 9999",
        ),
        (Timestamptz, "FOR VALUES FROM ('2026-01-01 00:00:00+01') TO (MAXVALUE)", "TimeZone=UTC"),
        (Timestamp, "FOR VALUES FROM ('2026-01-01 00:00:60') TO (MAXVALUE)", "cannot read"),
        (Timestamp, "FOR VALUES FROM ('10000-01-01 00:00:00') TO (MAXVALUE)", "1 to 9999"),
        (MS, "FOR VALUES FROM ('infinity') TO (MAXVALUE)", "cannot read the bound 'infinity'"),
        (MS, "FOR VALUES FROM ('9223372036854775808') TO (MAXVALUE)", "cannot read the bound"),
        (Uuidv7, "FOR VALUES FROM ('019b76da') TO (MAXVALUE)", "cannot read the bound"),
    ] {
        let error = RangeBound::parse(key_type, text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let beyond = Limit::At(Point(i128::MAX));
    let error = RangeBound::new(MS, 1, beyond, Limit::Max).unwrap_err();
    assert_eq!(error, "a bound lies beyond what a key of type epoch (ms) can hold");
    assert!(RangeBound::new(MS, 0, Limit::Min, Limit::Max).unwrap_err().contains("one column"));
}

#[test]
fn an_instant_has_its_point_on_every_axis() {
    let zone = Tz::Asia__Kathmandu;
    let now = instant("2026-01-01T00:00:00.123456789Z");
    let local = "2026-01-01T05:45:00.123456Z";
    for (key_type, point, back) in [
        (KeyType::Timestamptz, 1_767_225_600_123_456, "2026-01-01T00:00:00.123456Z"),
        (
            KeyType::Timestamp,
            instant(local).timestamp_micros().into(),
            "2026-01-01T00:00:00.123456Z",
        ),
        (KeyType::Date, 20_454, "2025-12-31T18:15:00Z"),
        (KeyType::Epoch(EpochUnit::Seconds), 1_767_225_600, "2026-01-01T00:00:00Z"),
        (MS, 1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
        (KeyType::Epoch(EpochUnit::Nanoseconds), 1_767_225_600_123_456_789, &now.to_rfc3339()),
        (KeyType::Uuidv7, Point::from_uuid(1_767_225_600_123 << 80).0, "2026-01-01T00:00:00.123Z"),
    ] {
        assert_eq!(key_type.point_at(now, zone), Some(Point(point)), "{key_type}");
        assert_eq!(key_type.instant_of(Point(point), zone), Some(instant(back)), "{key_type}");
    }
    let early = instant("1969-12-31T23:59:59.9Z");
    assert_eq!(KeyType::Epoch(EpochUnit::Seconds).point_at(early, zone), Some(Point(-1)));
    assert_eq!(KeyType::Uuidv7.point_at(early, zone), None);
    let ns = KeyType::Epoch(EpochUnit::Nanoseconds);
    assert_eq!(ns.point_at(instant("2263-01-01T00:00:00Z"), zone), None);
    assert_eq!(KeyType::Date.point_at(instant("9999-12-31T23:00:00Z"), zone), None);
}

#[test]
fn a_wall_clock_time_that_never_comes_is_the_end_of_the_gap() {
    let zone = Tz::Europe__Berlin;
    let point = |text: &str| read_timestamp(text).unwrap();
    let show = |text| KeyType::Timestamp.instant_of(point(text), zone).unwrap();
    assert_eq!(show("2026-03-29 02:30:00"), instant("2026-03-29T01:00:00Z"));
    assert_eq!(show("2026-10-25 02:30:00"), instant("2026-10-25T00:30:00Z"));
}

#[test]
fn units_are_written_as_in_the_profile() {
    let units = ["s", "ms", "us", "ns"];
    let read: Vec<EpochUnit> = serde_json::from_value(serde_json::json!(units)).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::json!(units));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bounds_round_trip(
        key_type in proptest::sample::select(KEY_TYPES.to_vec()),
        number in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), -9999_i128..99999],
        columns in 1_usize..4,
    ) {
        let point = Limit::At(Point(number));
        for (lower, upper) in [(Limit::Min, point), (point, Limit::Max), (point, Limit::Infinity)] {
            if let Ok(bound) = RangeBound::new(key_type, columns, lower, upper) {
                prop_assert_eq!(RangeBound::parse(key_type, &bound.to_string()), Ok(bound));
            }
        }
    }

    #[test]
    fn points_keep_the_order_of_instants(
        key_type in proptest::sample::select(KEY_TYPES.to_vec()),
        (seconds, later) in (0_i64..4_102_444_800, 0_i64..2_000_000_000),
        nanoseconds in 0_u32..1_000_000_000,
    ) {
        let first = Utc.timestamp_opt(seconds, nanoseconds).unwrap();
        let second = first + chrono::TimeDelta::nanoseconds(later);
        let point = |instant| key_type.point_at(instant, Tz::UTC).unwrap();
        prop_assert!(point(first) <= point(second));
        let back = key_type.instant_of(point(first), Tz::UTC).unwrap();
        prop_assert!(back <= first);
        prop_assert_eq!(point(back), point(first));
        let text = |instant| key_type.print(point(instant)).unwrap();
        let is_fixed_width = key_type != KeyType::Timestamptz && key_type != KeyType::Timestamp;
        if is_fixed_width && text(first).len() == text(second).len() {
            prop_assert!(text(first) <= text(second));
        }
    }

    #[test]
    fn no_text_panics(
        key_type in proptest::sample::select(KEY_TYPES.to_vec()),
        lower in "(MINVALUE|'[-0-9a-f:.+ é]{0,9}'|[0-9]{0,9})(, MINVALUE)?",
        upper in "(MAXVALUE|'[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?(\\+00)?')?",
        number in any::<i128>(),
    ) {
        let text = format!("FOR VALUES FROM ({lower}) TO ({upper})");
        let _ = RangeBound::parse(key_type, &text);
        let point = Point(number);
        let _ = (key_type.instant_of(point, Tz::Asia__Tokyo), key_type.print(point));
    }
}

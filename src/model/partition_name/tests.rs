//! Patterns that are refused, known names, and names of all periods.

use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;

use super::*;
use crate::model::time_key::KeyType;
use crate::model::time_key::tests::KEY_TYPES;

const INTERVALS: [Interval; 6] = [
    Interval::Hour,
    Interval::Day,
    Interval::Week,
    Interval::Month,
    Interval::Quarter,
    Interval::Year,
];

fn point(key_type: KeyType, zone: Tz, text: &str) -> Point {
    key_type.point_at(text.parse().unwrap(), zone).unwrap()
}

/// The name of the partition of `events` that an instant is in.
fn name(pattern: &NamePattern, interval: Interval, zone: Tz, text: &str) -> String {
    let grid = Grid::new(KeyType::Timestamptz, interval, zone).unwrap();
    let point = point(KeyType::Timestamptz, zone, text);
    let name = pattern.render(&Ident::new("events").unwrap(), &grid, point).unwrap();
    name.as_str().to_string()
}

#[test]
fn names_are_of_the_periods_start_in_the_zone() {
    let berlin = Tz::Europe__Berlin;
    for (interval, zone, text, expected) in [
        (Interval::Hour, berlin, "2025-12-31T23:30:00Z", "events_2026_01_01_00"),
        (Interval::Hour, berlin, "2026-10-25T00:30:00Z", "events_2026_10_25_02"),
        (Interval::Hour, berlin, "2026-10-25T01:30:00Z", "events_2026_10_25_02"),
        (Interval::Day, berlin, "2025-12-31T23:30:00Z", "events_2026_01_01"),
        (Interval::Day, Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z", "events_2018_11_04"),
        (Interval::Day, Tz::Pacific__Apia, "2011-12-30T10:00:00Z", "events_2011_12_31"),
        (Interval::Week, Tz::UTC, "2024-12-31T00:00:00Z", "events_2025_w01"),
        (Interval::Month, berlin, "2026-01-31T23:30:00Z", "events_2026_02"),
        (Interval::Quarter, Tz::UTC, "2026-06-30T00:00:00Z", "events_2026_q2"),
        (Interval::Year, Tz::UTC, "0999-06-30T00:00:00Z", "events_0999"),
    ] {
        assert_eq!(name(&NamePattern::default_of(interval), interval, zone, text), expected);
    }
    let pattern = NamePattern::parse("p{yyyy}{mm}{dd}", Interval::Week).unwrap();
    assert_eq!(name(&pattern, Interval::Week, Tz::UTC, "2025-01-01T00:00:00Z"), "p20241230");
}

#[test]
fn long_tables_are_cut_on_a_character() {
    let grid = Grid::new(KeyType::Date, Interval::Month, Tz::UTC).unwrap();
    let pattern = NamePattern::default_of(Interval::Month);
    let table = Ident::new("ä".repeat(31)).unwrap();
    let name = pattern.render(&table, &grid, Point(0)).unwrap();
    assert_eq!(name.as_str(), format!("{}_1970_01", "ä".repeat(27)));
}

#[test]
fn patterns_that_cannot_work_are_refused() {
    let long = format!("{{table}}_{}_{{yyyy}}", "x".repeat(45));
    let longer = format!("{}_{{yyyy}}", "x".repeat(59));
    for (pattern, interval, why) in [
        ("{table}_{yyy}", Interval::Year, "unknown placeholder {yyy}; did you mean {yyyy}?"),
        ("{table}_{a}", Interval::Year, "{a}; there are {table} {yyyy} {q} {mm} {dd}"),
        ("{table}_{yyyy", Interval::Year, "has a brace without its other half"),
        ("{table}_yyyy}", Interval::Year, "has a brace without its other half"),
        ("", Interval::Year, "gives several years one name; it needs {yyyy}"),
        ("{table}_{yyyy}", Interval::Month, "gives several months one name; it needs {yyyy} {mm}"),
        ("{table}_{mm}", Interval::Month, "gives several months one name"),
        ("{table}_{yyyy}_w{ww}", Interval::Week, "it needs {iyyy} {ww}, or {yyyy} {mm} {dd}"),
        ("{table}_{yyyy}_{mm}_{dd}", Interval::Hour, "it needs {yyyy} {mm} {dd} {hh}"),
        ("{table}_{table}_{yyyy}", Interval::Year, "holds {table} more than once"),
        (&long, Interval::Year, "takes 51 bytes without the table's name, at most 47 are free"),
        (&longer, Interval::Year, "takes 64 bytes without the table's name, at most 63 are free"),
        ("{yyyy}\0", Interval::Year, "contains a NUL character"),
    ] {
        let error = NamePattern::parse(pattern, interval).unwrap_err();
        assert!(error.contains(why), "{pattern}: {error}");
    }
}

#[test]
fn a_year_of_hours_has_a_year_of_names() {
    for zone in [Tz::Europe__Berlin, Tz::Australia__Lord_Howe, Tz::Antarctica__Troll] {
        let grid = Grid::new(KeyType::Timestamptz, Interval::Hour, zone).unwrap();
        let from = point(KeyType::Timestamptz, zone, "2026-01-01T00:00:00Z");
        let to = point(KeyType::Timestamptz, zone, "2027-01-01T00:00:00Z");
        let pattern = NamePattern::default_of(Interval::Hour);
        let table = Ident::new("events").unwrap();
        let name = |boundary| pattern.render(&table, &grid, boundary).unwrap();
        let names = grid.boundaries_between(from, to).map(name).collect::<Vec<_>>();
        assert!(names.is_sorted_by(|one, next| one < next), "{zone}");
        assert!(names.len() > 8_750, "{zone}: {}", names.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_period_has_a_name_of_its_own(
        zone in proptest::sample::select(TZ_VARIANTS.to_vec()),
        key_type in proptest::sample::select(KEY_TYPES.to_vec()),
        interval in proptest::sample::select(INTERVALS.to_vec()),
        seconds in 31_536_000_i64..4_102_444_800,
        table in "[a-zé€𝄞\"]{1,15}",
    ) {
        let Ok(grid) = Grid::new(key_type, interval, zone) else { return Ok(()) };
        let table = Ident::new(table.clone() + &"x".repeat(60 - table.len().min(60))).unwrap();
        let pattern = NamePattern::default_of(interval);
        let instant = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let first = key_type.point_at(instant, zone).unwrap();
        let render = |point| pattern.render(&table, &grid, point).unwrap();
        let mut names = Vec::new();
        let mut boundary = grid.start_of(first).unwrap();
        // A year of days; of hours a month, which has a change of the clock now and then.
        while names.len() < if interval == Interval::Hour { 740 } else { 367 } {
            let Some(next) = grid.next(boundary) else { break };
            let name = render(boundary);
            prop_assert!(name.as_str().len() <= MAX_IDENT_BYTES);
            prop_assert_eq!(&name, &render(Point(next.0 - 1)));
            names.push(name);
            boundary = next;
        }
        prop_assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    }

    #[test]
    fn no_pattern_panics(
        pattern in "([a-zé]|\\{(table|yyyy|mm|dd|hh|iyyy|ww|q|x)\\}|[{}_]){0,12}",
    ) {
        for interval in INTERVALS {
            if let Ok(pattern) = NamePattern::parse(&pattern, interval) {
                let zone = Tz::Europe__Berlin;
                let name = name(&pattern, interval, zone, "2026-10-25T01:30:00Z");
                prop_assert!(name.len() <= MAX_IDENT_BYTES);
            }
        }
    }
}

//! Bounds of every kind of key, whatever the time zone and date style of the client.

use super::{Kept, rotation};

const TABLES: &[&str] = &[
    "create table k_tz (k timestamptz, v int, primary key (k, v)) partition by range (k, v)",
    "create table k_tz_old partition of k_tz for values
       from ('2025-12-01 05:00+00', minvalue) to ('2026-01-01 05:00+00', minvalue)",
    "create table k_ts (k timestamp) partition by range (k)",
    "create table k_date (k date) partition by range (k)",
    "create table k_ms (k bigint) partition by range (k)",
    "create table k_s (k int) partition by range (k)",
    "create table k_uuid (k uuid) partition by range (k)",
    "create table k_utc (k timestamptz) partition by range (k)",
    "create table k_east (k timestamptz) partition by range (k)",
];

fn rules() -> String {
    let rule = |table: &str, zone: &str, more: &str| {
        format!(
            "[[partitions]]\ntable = \"{table}\"\ninterval = \"month\"\nahead = 1\n\
             time_zone = \"{zone}\"\nretention = \"1 month\"\n{more}\n"
        )
    };
    let york = "America/New_York";
    [
        rule("k_tz", york, ""),
        rule("k_ts", york, ""),
        rule("k_date", york, ""),
        rule("k_ms", york, "epoch_unit = \"ms\""),
        rule("k_s", york, "epoch_unit = \"s\""),
        rule("k_uuid", york, ""),
        rule("k_utc", "UTC", ""),
        rule("k_east", "Pacific/Kiritimati", ""),
    ]
    .concat()
}

/// Still February in New York, the first of March elsewhere.
const NOW: &str = "2026-03-01T02:00:00Z";

/// A rotated database, by a client with such settings.
fn rotated(zone: &str, style: &str) -> Option<Kept> {
    let kept = Kept::new("keys", TABLES, &rules())?;
    let mut command = kept.project.command(&rotation(NOW));
    command.env("PGTZ", zone).env("PGDATESTYLE", style);
    command.env("PGOPTIONS", format!("-c TimeZone={zone} -c DateStyle={style}"));
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(kept)
}

fn bounds(kept: &Kept) -> Vec<String> {
    TABLES
        .iter()
        .filter(|sql| !sql.contains("partition of"))
        .flat_map(|sql| kept.partitions(sql.split(' ').nth(2).unwrap()))
        .collect()
}

#[test]
fn bounds_do_not_depend_on_the_client() {
    let Some(utc) = rotated("UTC", "ISO,MDY") else { return };
    for (zone, style) in [("Etc/GMT-14", "SQL,DMY"), ("Etc/GMT+12", "German,DMY")] {
        let kept = rotated(zone, style).unwrap();
        assert_eq!(bounds(&kept), bounds(&utc), "{zone}");
        assert_eq!(kept.described(), utc.described(), "{zone}");
        // Settings of the database hold for every client, and for plain SQL.
        kept.sql(&format!(
            "do $$ begin execute format('alter database %I set timezone = %L', current_database(),
               '{zone}') ; end $$"
        ));
        kept.check_done(NOW);
        for (table, value) in [
            ("k_tz (k, v)", "'2026-04-01 03:59:59.999999+00', 1"),
            ("k_utc", "'2026-03-01 00:00+00'"),
            ("k_east", "'2026-02-28 10:00+00'"),
            ("k_ts", "'2026-03-31 23:59:59.999999'"),
            ("k_date", "'2026-03-31'"),
        ] {
            kept.sql(&format!("insert into {table} values ({value})"));
        }
        assert_eq!(kept.count("select count(*) from k_tz_2026_03"), 1);
        assert_eq!(kept.count("select count(*) from k_east_2026_03"), 1);
        assert_eq!(kept.count("select count(*) from k_utc_2026_03"), 1);
    }
}

#[test]
fn bounds_are_what_the_rules_say() {
    let Some(kept) = rotated("Asia/Kathmandu", "Postgres,MDY") else { return };
    let bound = |lower: &str, upper: &str| format!("FOR VALUES FROM ({lower}) TO ({upper})");
    let york = ["'2026-02-01 05:00:00+00'", "'2026-03-01 05:00:00+00'", "'2026-04-01 04:00:00+00'"];
    assert_eq!(
        kept.partitions("k_tz"),
        [
            format!("k_tz_2026_01 {}", bound(&min("'2026-01-01 05:00:00+00'"), &min(york[0]))),
            format!("k_tz_2026_02 {}", bound(&min(york[0]), &min(york[1]))),
            format!("k_tz_2026_03 {}", bound(&min(york[1]), &min(york[2]))),
        ]
    );
    let wall = ["'2026-02-01 00:00:00'", "'2026-03-01 00:00:00'", "'2026-04-01 00:00:00'"];
    let pairs = |table: &str, values: &[String]| -> Vec<String> {
        let names = ["02", "03"];
        let pair = |(name, pair): (&&str, &[String])| {
            format!("{table}_2026_{name} {}", bound(&pair[0], &pair[1]))
        };
        names.iter().zip(values.windows(2)).map(pair).collect()
    };
    assert_eq!(kept.partitions("k_ts"), pairs("k_ts", &wall.map(str::to_string)));
    let dates = wall.map(|wall| wall.replace(" 00:00:00", ""));
    assert_eq!(kept.partitions("k_date"), pairs("k_date", &dates));
    let epoch = |factor: i64, york: &str| {
        let sql = format!("select (extract(epoch from timestamptz {york}) * {factor})::bigint");
        kept.count(&sql)
    };
    let ms = york.map(|york| format!("'{}'", epoch(1000, york)));
    assert_eq!(kept.partitions("k_ms"), pairs("k_ms", &ms));
    let seconds = york.map(|york| epoch(1, york).to_string());
    assert_eq!(kept.partitions("k_s"), pairs("k_s", &seconds));
    let uuids = york.map(|york| {
        let hex = format!("{:012x}", epoch(1000, york));
        format!("'{}-{}-0000-0000-000000000000'", &hex[..8], &hex[8..])
    });
    assert_eq!(kept.partitions("k_uuid"), pairs("k_uuid", &uuids));
    assert_eq!(kept.partitions("k_utc").len(), 2);
    assert_eq!(
        kept.partitions("k_utc")[0],
        format!("k_utc_2026_03 {}", bound("'2026-03-01 00:00:00+00'", "'2026-04-01 00:00:00+00'"))
    );
    assert_eq!(
        kept.partitions("k_east")[0],
        format!("k_east_2026_03 {}", bound("'2026-02-28 10:00:00+00'", "'2026-03-31 10:00:00+00'"))
    );
}

fn min(value: &str) -> String {
    format!("{value}, MINVALUE")
}

//! Events of some applications, appended in the order of time; one application is the busiest, and
//! few users are far more active than the rest.

use chrono::{DateTime, Utc};

use super::data::{Lines, TableData, Time};
use super::random::{arrival, mix, rng, skewed, weighted};

const APPS: u64 = 40;

/// Three months and a bit, so that the table is worth partitioning by month.
const OLDEST_DAYS: f64 = 100.0;

const EVENT_TYPES: [(&str, u32); 7] = [
    ("page_view", 600),
    ("click", 220),
    ("scroll", 100),
    ("search", 50),
    ("signup", 15),
    ("purchase", 10),
    ("error", 5),
];
const BROWSERS: [(&str, u32); 3] = [("chrome", 65), ("safari", 25), ("firefox", 10)];
const PLANS: [(&str, u32); 3] = [("free", 85), ("team", 12), ("business", 3)];
const CAMPAIGNS: [(&str, u32); 4] = [("none", 80), ("autumn", 12), ("winter", 6), ("spring", 2)];

/// The tables of `rows` events, in the order to load them.
pub fn tables(rows: u64, seed: u64, now: DateTime<Utc>) -> Vec<TableData> {
    let now = Time::at(now);
    vec![
        TableData::new("apps", &["app_id", "name"], APPS, |app, lines| {
            lines.field(app + 1).field(format_args!("app {}", app + 1)).end();
        }),
        TableData::new(
            "api_keys",
            &["api_key_id", "app_id", "key_hash"],
            APPS * 2,
            |key, lines| {
                let hash = format_args!("{:016x}{:016x}", mix(key), mix(!key)).to_string();
                lines.field(key + 1).field(key / 2 + 1).field(hash).end();
            },
        ),
        TableData::new(
            "events",
            &["id", "app_id", "event_type", "user_id", "session_id", "created_at", "metadata"],
            rows,
            move |row, lines| write_event(row, rows, seed, now, lines),
        ),
    ]
}

fn write_event(row: u64, rows: u64, seed: u64, now: Time, lines: &mut Lines) {
    let mut rng = rng(seed, "events", row);
    let user = skewed(&mut rng, (rows / 20).max(100));
    // Nine of ten visitors are known; their sessions come again, the others' do not.
    let user_id = (rng.f64() < 0.9).then_some(user + 1);
    let session = if user_id.is_some() { user * 1_000 + rng.u64(0..20) } else { !row };
    lines.field(row + 1).field(app_id(user)).field(weighted(&mut rng, &EVENT_TYPES));
    lines.optional(user_id);
    lines.field(format_args!("{:016x}{:016x}", mix(session), mix(!session)));
    lines.field(arrival(&mut rng, row, rows, now, OLDEST_DAYS));
    lines
        .field(format_args!(
            "{{\"browser\": \"{}\", \"plan\": \"{}\", \"campaign\": \"{}\", \"page\": {}}}",
            weighted(&mut rng, &BROWSERS),
            weighted(&mut rng, &PLANS),
            weighted(&mut rng, &CAMPAIGNS),
            skewed(&mut rng, 500),
        ))
        .end();
}

/// A user belongs to one app: the most active one, and four of ten others, to the first.
fn app_id(user: u64) -> u64 {
    let mut rng = rng(0, "app of user", user);
    if user == 0 || rng.f64() < 0.4 { 1 } else { 2 + skewed(&mut rng, APPS - 1) }
}

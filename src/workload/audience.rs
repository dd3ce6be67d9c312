//! Users with three to five attributes each, for the old model; migration V2 fills the new one.

use chrono::{DateTime, Utc};

use super::data::{Lines, TableData, Time};
use super::random::{rng, weighted};

/// Country and share, in percent.
const COUNTRIES: [(&str, u32); 20] = [
    ("US", 18),
    ("IN", 12),
    ("BR", 9),
    ("DE", 8),
    ("GB", 7),
    ("FR", 6),
    ("JP", 6),
    ("MX", 5),
    ("ID", 5),
    ("IT", 4),
    ("ES", 4),
    ("CA", 3),
    ("PL", 3),
    ("NL", 2),
    ("SE", 2),
    ("AU", 2),
    ("CH", 1),
    ("PT", 1),
    ("IE", 1),
    ("NZ", 1),
];

/// Tier and share, in thousandths: the ones that campaigns ask for are few.
const TIERS: [(&str, u32); 4] =
    [("free", 820), ("basic", 130), ("premium", 40), ("enterprise", 10)];

/// Of ten users, so many have told whether they purchased, and so many of these have.
const ANSWERED_OF_TEN: u64 = 7;
const PURCHASED_OF_TEN: u64 = 3;

/// The tables of `rows` users, in the order to load them.
pub fn tables(rows: u64, seed: u64, now: DateTime<Utc>) -> Vec<TableData> {
    let now = Time::at(now);
    let attribute_rows = 3 * rows + of_ten(rows, ANSWERED_OF_TEN) + of_ten(rows, PURCHASED_OF_TEN);
    vec![
        TableData::new("users", &["user_id"], rows, |user, lines| lines.field(user + 1).end()),
        TableData::new(
            "user_attributes",
            &["user_id", "key", "value"],
            rows,
            move |user, lines| write_attributes(user, seed, now, lines),
        )
        .with_rows(attribute_rows),
    ]
}

fn write_attributes(user: u64, seed: u64, now: Time, lines: &mut Lines) {
    let mut rng = rng(seed, "users", user);
    let user_id = user + 1;
    let country = weighted(&mut rng, &COUNTRIES);
    let tier = weighted(&mut rng, &TIERS);
    // Up to three years ago; three of ten users were here in the last 30 days.
    let last_active_at = now.plus_days(-1_100.0 * rng.f64().powi(3));
    lines.field(user_id).field("country").field(country).end();
    lines.field(user_id).field("tier").field(tier).end();
    lines.field(user_id).field("last_active_at").field(last_active_at).end();
    let has_purchased = user % 10 < PURCHASED_OF_TEN;
    if user % 10 < ANSWERED_OF_TEN {
        lines.field(user_id).field("has_purchased").field(has_purchased).end();
    }
    if has_purchased {
        let cents = 500 + (100_000.0 * rng.f64().powi(4)) as u64;
        let (whole, cents) = (cents / 100, cents % 100);
        lines.field(user_id).field("total_spend").field(format_args!("{whole}.{cents:02}")).end();
    }
}

/// How many of the users below `users` are among the first `count` of their ten.
fn of_ten(users: u64, count: u64) -> u64 {
    users / 10 * count + (users % 10).min(count)
}

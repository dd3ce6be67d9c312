//! Users of a web application and what belongs to them. Child rows are scattered over the tables,
//! as they are where users come back over months: a user's rows do not lie side by side.
//!
//! What the profile's queries ask for (user 42's active session, its key, its webhook) follows from
//! row numbers alone, so it is there whatever the seed, from 1,000 users on.

use chrono::{DateTime, Utc};

use super::data::{Lines, TableData, Time};
use super::random::{arrival, mix, rng, scattered, skewed, weighted};

const SESSIONS_PER_USER: u64 = 3;
const EXPERIENCES_PER_USER: u64 = 3;
const NOTIFICATIONS_PER_USER: u64 = 5;
/// One user of so many has a business, with two API keys and two webhooks.
const USERS_PER_BUSINESS: u64 = 10;

/// The oldest usage log; within the months that the migrations make, on any day of the year.
const USAGE_DAYS: f64 = 55.0;

/// The tables of `rows` users, in the order to load them.
pub fn tables(rows: u64, seed: u64, now: DateTime<Utc>) -> Vec<TableData> {
    let source = Source { seed, now: Time::at(now), users: rows };
    let businesses = rows / USERS_PER_BUSINESS;
    vec![
        source.table("users", &["id", "email", "name", "created_at"], rows, Source::user),
        source.table("user_sessions", &SESSION, rows * SESSIONS_PER_USER, Source::session),
        source.table("profiles", &PROFILE, rows, Source::profile),
        source.table(
            "work_experiences",
            &EXPERIENCE,
            rows * EXPERIENCES_PER_USER,
            Source::experience,
        ),
        source.table(
            "notifications",
            &["id", "user_id", "kind", "body", "is_read", "created_at"],
            rows * NOTIFICATIONS_PER_USER,
            Source::notification,
        ),
        source.table(
            "business_profiles",
            &["id", "user_id", "name", "industry"],
            businesses,
            Source::business,
        ),
        source.table("api_keys", &API_KEY, businesses * 2, Source::api_key),
        source.table(
            "webhooks",
            &["id", "business_id", "url", "event_kind", "is_active"],
            businesses * 2,
            Source::webhook,
        ),
        source.table(
            "pin_verifications",
            &["id", "user_id", "pin_hash", "expires_at", "created_at"],
            rows / 2,
            Source::pin,
        ),
        source.table(
            "api_usage_logs",
            &USAGE,
            if businesses > 0 { rows } else { 0 },
            Source::usage,
        ),
    ]
}

const SESSION: [&str; 7] = [
    "id",
    "user_id",
    "refresh_token",
    "refresh_token_expires_at",
    "is_active",
    "user_agent",
    "created_at",
];
const PROFILE: [&str; 6] =
    ["id", "user_id", "headline", "biography", "location", "profile_completion_percentage"];
const EXPERIENCE: [&str; 7] =
    ["id", "user_id", "company", "title", "started_on", "ended_on", "is_current"];
const API_KEY: [&str; 6] = ["id", "user_id", "name", "key_hash", "is_active", "last_used_at"];
const USAGE: [&str; 7] =
    ["id", "api_key_id", "user_id", "endpoint", "status_code", "duration_ms", "created_at"];

const NAMES: [&str; 8] = ["Ada", "Björn", "Chen", "Dana", "Emeka", "Fatima", "Goran", "Hana"];
const TITLES: [&str; 6] =
    ["Engineer", "Designer", "Analyst", "Product manager", "Writer", "Consultant"];
const CITIES: [&str; 6] = ["Lisbon", "Nairobi", "Osaka", "Berlin", "Toronto", "Recife"];
const INDUSTRIES: [&str; 4] = ["software", "retail", "health", "travel"];
const AGENTS: [&str; 3] = ["Firefox/145", "Chrome/142", "Safari/26"];
const KINDS: [(&str, u32); 4] = [("message", 60), ("follow", 25), ("mention", 10), ("billing", 5)];
const ENDPOINTS: [(&str, u32); 4] =
    [("/v1/search", 50), ("/v1/profiles", 30), ("/v1/export", 15), ("/v1/import", 5)];
const STATUS_CODES: [(u16, u32); 4] = [(200, 960), (404, 25), (429, 10), (500, 5)];

/// What every table is made from.
#[derive(Debug, Clone, Copy)]
struct Source {
    seed: u64,
    now: Time,
    users: u64,
}

impl Source {
    fn table(
        self,
        table: &'static str,
        columns: &'static [&'static str],
        rows: u64,
        write_row: fn(Source, u64, &mut Lines),
    ) -> TableData {
        TableData::new(table, columns, rows, move |row, lines| write_row(self, row, lines))
    }

    /// The user of a row in tables that go through all users, again and again.
    fn user_id(self, row: u64) -> u64 {
        scattered(row, self.users) + 1
    }

    fn user(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "users", row);
        let (id, name) = (row + 1, rng.choice(NAMES).unwrap_or_default());
        lines.field(id).field(format_args!("user{id}@example.com")).field(name);
        lines.field(arrival(&mut rng, row, self.users, self.now, 900.0)).end();
    }

    /// Each user's last session is active and valid for ten days at least; the others have ended.
    fn session(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "user_sessions", row);
        let user_id = self.user_id(row);
        let round = row / self.users;
        let is_active = round == SESSIONS_PER_USER - 1;
        let oldest_days = if is_active { 20.0 } else { 200.0 };
        let created_at = self.now.plus_days(-oldest_days * rng.f64());
        lines.field(row + 1).field(user_id).field(refresh_token(user_id, round));
        lines.field(created_at.plus_days(30.0)).field(is_active);
        lines.optional(rng.choice(AGENTS)).field(created_at).end();
    }

    fn profile(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "profiles", row);
        let (title, city) = (rng.choice(TITLES), rng.choice(CITIES));
        let biography = "Likes short queries and long walks. ".repeat(rng.usize(1..8));
        lines.field(row + 1).field(self.user_id(row)).optional(title).field(biography.trim_end());
        lines.optional(city).field(rng.u32(2..=10) * 10).end();
    }

    /// The last of each user's positions is the current one.
    fn experience(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "work_experiences", row);
        let round = row / self.users;
        let is_current = round == EXPERIENCES_PER_USER - 1;
        let years_ago = (EXPERIENCES_PER_USER - round) as f64 * 2.0;
        let started_on = self.now.plus_days(-365.0 * (years_ago - rng.f64()));
        let ended_on = (!is_current).then(|| started_on.plus_days(300.0).date());
        lines.field(row + 1).field(self.user_id(row));
        lines.field(format_args!("Company {}", rng.u32(1..5_000))).optional(rng.choice(TITLES));
        lines.field(started_on.date()).optional(ended_on).field(is_current).end();
    }

    /// The newest notification of each user is unread; of the older ones, which go to few users
    /// far more often, one in twenty.
    fn notification(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "notifications", row);
        let rows = self.users * NOTIFICATIONS_PER_USER;
        let is_newest = row >= rows - self.users;
        let user_id = if is_newest { self.user_id(row) } else { skewed(&mut rng, self.users) + 1 };
        let kind = weighted(&mut rng, &KINDS);
        let is_read = !is_newest && rng.f64() >= 0.05;
        lines.field(row + 1).field(user_id).field(kind).field(format_args!("A new {kind} for you"));
        lines.field(is_read).field(arrival(&mut rng, row, rows, self.now, 90.0)).end();
    }

    fn business(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "business_profiles", row);
        let id = row + 1;
        lines.field(id).field(owner_id(id)).field(format_args!("Business {id}"));
        lines.optional(rng.choice(INDUSTRIES)).end();
    }

    /// Two keys for each business, the first of them active.
    fn api_key(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "api_keys", row);
        let is_active = row.is_multiple_of(2);
        let name = if is_active { "production" } else { "retired" };
        lines.field(row + 1).field(owner_id(row / 2 + 1)).field(name);
        lines.field(format_args!("{:016x}{:016x}", mix(row), mix(!row))).field(is_active);
        lines.field(self.now.plus_days(-30.0 * rng.f64())).end();
    }

    /// Two webhooks for each business, the first of them active.
    fn webhook(self, row: u64, lines: &mut Lines) {
        let business_id = row / 2 + 1;
        lines.field(row + 1).field(business_id);
        lines.field(format_args!("https://business{business_id}.example/hooks/{row}"));
        lines.field("profile.updated").field(row.is_multiple_of(2)).end();
    }

    fn pin(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "pin_verifications", row);
        let created_at = arrival(&mut rng, row, self.users / 2, self.now, 30.0);
        lines.field(row + 1).field(self.user_id(row));
        lines.field(format_args!("{:016x}", mix(row ^ self.seed)));
        lines.field(created_at.plus_days(0.01)).field(created_at).end();
    }

    /// Calls in the order of time; few keys make most of them.
    fn usage(self, row: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "api_usage_logs", row);
        let key = skewed(&mut rng, self.users / USERS_PER_BUSINESS * 2);
        lines.field(row + 1).field(key + 1).field(owner_id(key / 2 + 1));
        lines.field(weighted(&mut rng, &ENDPOINTS)).field(weighted(&mut rng, &STATUS_CODES));
        lines.field(5 + skewed(&mut rng, 2_000));
        lines.field(arrival(&mut rng, row, self.users, self.now, USAGE_DAYS)).end();
    }
}

/// The user who owns a business: 2, 12, 22 and so on.
fn owner_id(business_id: u64) -> u64 {
    (business_id - 1) * USERS_PER_BUSINESS + 2
}

/// The token of one of a user's sessions; without the seed, so that a profile can name one.
pub fn refresh_token(user_id: u64, round: u64) -> String {
    let number = user_id * SESSIONS_PER_USER + round;
    format!("{:016x}{:016x}", mix(number), mix(!number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_tokens_of_active_sessions() {
        let profile = include_str!("../../profiles/accounts.toml");
        for user_id in [42, 7] {
            let token = refresh_token(user_id, SESSIONS_PER_USER - 1);
            assert!(profile.contains(&token), "user {user_id}: {token}");
        }
    }
}

//! Tests of all workloads' data: determinism, counts, keys, skew.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::profile::layers;

const ROWS: u64 = 2_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// Rows of fields, by table.
type Tables = BTreeMap<&'static str, Table>;

struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    fn column(&self, name: &str) -> Vec<&str> {
        let index = self.columns.iter().position(|column| *column == name).unwrap();
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }

    fn share(&self, column: &str, value: &str) -> f64 {
        let hits = self.column(column).into_iter().filter(|field| *field == value).count();
        hits as f64 / self.rows.len() as f64
    }
}

fn text(data: &mut TableData) -> String {
    let (mut chunk, mut text) = (Vec::new(), Vec::new());
    while data.next_chunk(&mut chunk) {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).unwrap()
}

fn generate(workload: Workload, rows: u64) -> Tables {
    let tables = workload.tables(rows, 7, now()).into_iter().map(|mut data| {
        let text = text(&mut data);
        let rows = text.lines().map(|line| line.split('\t').map(String::from).collect()).collect();
        (data.table, Table { columns: data.columns, rows })
    });
    tables.collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for workload in Workload::ALL {
        let of = |seed| -> Vec<String> {
            workload.tables(500, seed, now()).iter_mut().map(text).collect()
        };
        assert_eq!(of(1), of(1), "{workload}");
        assert_ne!(of(1), of(2), "{workload}");
    }
}

#[test]
fn each_table_has_the_rows_and_fields_it_says() {
    for workload in Workload::ALL {
        for rows in [0, 1, 9, 1_234] {
            for mut data in workload.tables(rows, 7, now()) {
                let text = text(&mut data);
                assert_eq!(text.lines().count() as u64, data.rows, "{workload} {}", data.table);
                let fields = |line: &str| line.split('\t').count() == data.columns.len();
                assert!(text.lines().all(fields), "{workload} {}", data.table);
            }
        }
    }
}

#[test]
fn foreign_keys_hold_and_parents_come_first() {
    // Child, column, parent, column.
    let keys = [
        (Workload::Audience, "user_attributes", "user_id", "users", "user_id"),
        (Workload::Telemetry, "entities", "tenant_id", "tenants", "tenant_id"),
        (Workload::Telemetry, "entity_jsonb", "entity_id", "entities", "entity_id"),
        (Workload::Telemetry, "entity_values", "attribute_id", "attributes", "attribute_id"),
        (Workload::Telemetry, "entity_values_ts", "entity_id", "entities", "entity_id"),
        (Workload::Accounts, "user_sessions", "user_id", "users", "id"),
        (Workload::Accounts, "profiles", "user_id", "users", "id"),
        (Workload::Accounts, "work_experiences", "user_id", "users", "id"),
        (Workload::Accounts, "notifications", "user_id", "users", "id"),
        (Workload::Accounts, "business_profiles", "user_id", "users", "id"),
        (Workload::Accounts, "api_keys", "user_id", "users", "id"),
        (Workload::Accounts, "webhooks", "business_id", "business_profiles", "id"),
        (Workload::Accounts, "pin_verifications", "user_id", "users", "id"),
        (Workload::Accounts, "api_usage_logs", "api_key_id", "api_keys", "id"),
        (Workload::Events, "api_keys", "app_id", "apps", "app_id"),
        (Workload::Events, "events", "app_id", "apps", "app_id"),
    ];
    for workload in Workload::ALL {
        let tables = generate(workload, ROWS);
        let order: Vec<&str> =
            workload.tables(ROWS, 7, now()).iter().map(|data| data.table).collect();
        let place = |table| order.iter().position(|name| *name == table).unwrap();
        for (_, child, column, parent, id) in keys.iter().filter(|key| key.0 == workload) {
            let known: BTreeSet<&str> = tables[parent].column(id).into_iter().collect();
            let missing = tables[child].column(column).into_iter().find(|id| !known.contains(id));
            assert_eq!(missing, None, "{workload} {child}.{column}");
            assert!(place(*parent) < place(*child), "{workload} {child}");
        }
    }
}

#[test]
fn a_tenants_values_are_of_its_own_entities() {
    let tables = generate(Workload::Telemetry, ROWS);
    let pairs = |table: &Table| -> BTreeSet<(String, String)> {
        let ids = table.column("entity_id").into_iter().map(String::from);
        ids.zip(table.column("tenant_id").into_iter().map(String::from)).collect()
    };
    let owners = pairs(&tables["entities"]);
    for table in ["entity_values", "entity_values_ts", "entity_jsonb"] {
        assert!(pairs(&tables[table]).is_subset(&owners), "{table}");
    }
}

#[test]
fn the_largest_tenant_has_forty_percent_and_the_last_week_eighty() {
    let tables = generate(Workload::Telemetry, 50_000);
    let values = &tables["entity_values_ts"];
    let share = values.share("tenant_id", "1");
    assert!((0.37..0.43).contains(&share), "{share}");
    let week_ago = data::Time::at(now()).plus_days(-7.0).to_string();
    let times = values.column("ingested_at");
    let recent = times.iter().filter(|time| **time >= week_ago.as_str()).count() as f64;
    assert!((0.79..0.81).contains(&(recent / values.rows.len() as f64)));
    assert!(times.is_sorted());
    let now = data::Time::at(now());
    assert!(times[times.len() - 1] <= now.to_string().as_str());
    assert!(times[0] >= now.plus_days(-55.0).to_string().as_str());
}

#[test]
fn audience_conditions_are_selective() {
    let tables = generate(Workload::Audience, 20_000);
    let attributes = &tables["user_attributes"];
    let per_user = attributes.rows.len() as f64 / 20_000.0;
    assert!((3.0..=5.0).contains(&per_user), "{per_user}");
    let share = |value| attributes.share("value", value) * per_user;
    assert!((0.16..0.20).contains(&share("US")));
    assert!((0.03..0.05).contains(&share("premium")));
    assert!((0.005..0.015).contains(&share("enterprise")));
}

#[test]
fn most_sessions_and_notifications_are_done_with() {
    let tables = generate(Workload::Accounts, ROWS);
    assert!((0.3..0.4).contains(&tables["user_sessions"].share("is_active", "true")));
    assert!((0.2..0.3).contains(&tables["notifications"].share("is_read", "false")));
    let emails: BTreeSet<&str> = tables["users"].column("email").into_iter().collect();
    assert_eq!(emails.len() as u64, ROWS);
}

#[test]
fn profiles_are_valid_and_name_their_folder() {
    for workload in Workload::ALL {
        let name = format!("profiles/{workload}.toml");
        let read = layers::read(Some((&name, workload.profile())), None, Vec::new()).unwrap();
        assert_eq!(read.profile.migrations.folder, format!("../migrations/{workload}"));
        assert!(!read.profile.queries.is_empty());
        assert!(read.profile.queries.iter().all(|query| query.target.0 > 0));
    }
}

#[test]
fn audience_asks_each_question_of_both_models() {
    let read = layers::read(Some(("audience", Workload::Audience.profile())), None, Vec::new());
    let queries = read.unwrap().profile.queries;
    let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
    let pairs = queries.iter().filter(|query| query.tags[0] == "profile");
    for query in pairs {
        assert!(names.contains(&format!("{}_eav", query.name).as_str()), "{}", query.name);
    }
    assert_eq!(names.len(), 6);
}

#[test]
fn migrations_are_in_order_and_plain_ascii() {
    for workload in Workload::ALL {
        let migrations = workload.migrations();
        let versions: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "{workload}");
        assert!(versions.contains(&workload.index_change_version()));
        assert!(workload.load_after_version() < workload.index_change_version());
        assert!(migrations.iter().all(|migration| migration.sql.is_ascii()));
        assert!(migrations[0].stem.starts_with("V1__"));
    }
}

#[test]
fn migrations_and_queries_parse() {
    for workload in Workload::ALL {
        let read = layers::read(Some(("profile", workload.profile())), None, Vec::new()).unwrap();
        let queries = read.profile.queries.into_iter().map(|query| (query.name, query.sql));
        let files = workload.migrations().into_iter().map(|file| (file.stem, file.sql));
        for (name, sql) in files.chain(queries) {
            let errors = squawk_syntax::SourceFile::parse(&sql).errors();
            assert!(errors.is_empty(), "{workload} {name}: {errors:?}");
        }
    }
}

#[test]
fn names_are_read_back() {
    for workload in Workload::ALL {
        assert_eq!(workload.name().parse::<Workload>().unwrap(), workload);
    }
    let error = "acounts".parse::<Workload>().unwrap_err();
    assert_eq!(error.message, "there is no workload \"acounts\"");
}

//! Values of many attributes of many entities over time, of some tenants: the largest has 40 % of
//! the traffic, and 80 % of the values are of the last seven days.

use chrono::{DateTime, Utc};
use fastrand::Rng;

use super::data::{Lines, TableData, Time};
use super::random::{arrival, rng, skewed, weighted};

/// Within the 50 to 100 that such a platform has.
const TENANTS: u64 = 64;

/// The oldest value; within the months that the migrations make, on any day of the year.
const OLDEST_DAYS: f64 = 55.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Numeric,
    Text(&'static [(&'static str, u32)]),
    Time,
    Bool,
}

/// Name, type and whether it is hot; the attribute's id is its place, from 1.
const ATTRIBUTES: [(&str, Type, bool); 20] = [
    ("temperature", Type::Numeric, false),
    ("humidity", Type::Numeric, false),
    ("pressure", Type::Numeric, false),
    ("battery", Type::Int, true),
    ("signal", Type::Int, false),
    ("status", Type::Text(&STATUSES), true),
    ("region", Type::Text(&REGIONS), true),
    ("firmware", Type::Text(&FIRMWARES), true),
    ("online", Type::Bool, true),
    ("last_seen_at", Type::Time, true),
    ("uptime", Type::Int, false),
    ("voltage", Type::Numeric, false),
    ("current", Type::Numeric, false),
    ("power", Type::Numeric, false),
    ("door_open", Type::Bool, false),
    ("motion", Type::Bool, false),
    ("speed", Type::Numeric, false),
    ("altitude", Type::Numeric, false),
    ("error_count", Type::Int, false),
    ("calibrated_at", Type::Time, false),
];

const STATUSES: [(&str, u32); 4] = [("active", 85), ("idle", 10), ("fault", 4), ("retired", 1)];
const REGIONS: [(&str, u32); 4] = [("eu-west", 40), ("us-east", 35), ("ap-south", 20), ("sa", 5)];
const FIRMWARES: [(&str, u32); 3] = [("4.2.0", 70), ("4.1.3", 25), ("3.9.9", 5)];

/// Columns of a value; both tables of values have them.
const VALUE_COLUMNS: [&str; 9] = [
    "tenant_id",
    "entity_id",
    "attribute_id",
    "value_int",
    "value_num",
    "value_text",
    "value_time",
    "value_bool",
    "ingested_at",
];

/// The tables of `rows` values, in the order to load them. The old table gets a fifth as many, so
/// that the two designs can be compared.
pub fn tables(rows: u64, seed: u64, now: DateTime<Utc>) -> Vec<TableData> {
    let now = Time::at(now);
    let source = Source { seed, now, entities: (rows / 10).max(1_000) };
    vec![
        TableData::new("tenants", &["tenant_id", "name"], TENANTS, |tenant, lines| {
            lines.field(tenant + 1).field(format_args!("tenant {}", tenant + 1)).end();
        }),
        TableData::new(
            "attributes",
            &["attribute_id", "name", "type", "is_hot"],
            ATTRIBUTES.len() as u64,
            write_attribute,
        ),
        TableData::new(
            "entities",
            &["entity_id", "tenant_id", "created_at"],
            source.entities,
            move |entity, lines| {
                let created_at = now.plus_days(-OLDEST_DAYS - entity as f64 % 300.0);
                lines.field(entity + 1).field(source.tenant_id(entity)).field(created_at).end();
            },
        ),
        TableData::new(
            "entity_jsonb",
            &["entity_id", "tenant_id", "hot_attrs", "updated_at"],
            source.entities,
            move |entity, lines| source.write_document(entity, lines),
        ),
        source.values("entity_values", rows / 5),
        source.values("entity_values_ts", rows),
    ]
}

/// What every table of values and entities is made from.
#[derive(Debug, Clone, Copy)]
struct Source {
    seed: u64,
    now: Time,
    entities: u64,
}

impl Source {
    /// The first entities belong to one tenant each, so that none is without.
    fn tenant_id(self, entity: u64) -> u64 {
        let mut rng = rng(self.seed, "entities", entity);
        match entity {
            entity if entity < TENANTS => entity + 1,
            _ if rng.f64() < 0.4 => 1,
            _ => 2 + skewed(&mut rng, TENANTS - 1),
        }
    }

    fn write_document(self, entity: u64, lines: &mut Lines) {
        let mut rng = rng(self.seed, "entity_jsonb", entity);
        let updated_at = self.now.plus_days(-7.0 * rng.f64().powi(2));
        let document = format!(
            "{{\"status\": \"{}\", \"region\": \"{}\", \"firmware\": \"{}\", \
             \"online\": {}, \"battery\": {}, \"last_seen_at\": \"{updated_at}\"}}",
            weighted(&mut rng, &STATUSES),
            weighted(&mut rng, &REGIONS),
            weighted(&mut rng, &FIRMWARES),
            rng.f64() < 0.95,
            rng.u64(0..=100),
        );
        let tenant_id = self.tenant_id(entity);
        lines.field(entity + 1).field(tenant_id).field(document).field(updated_at).end();
    }

    fn values(self, table: &'static str, rows: u64) -> TableData {
        TableData::new(table, &VALUE_COLUMNS, rows, move |row, lines| {
            let mut rng = rng(self.seed, table, row);
            let entity = rng.u64(0..self.entities);
            let attribute = rng.usize(0..ATTRIBUTES.len());
            let ingested_at = self.ingested_at(&mut rng, row, rows);
            lines.field(self.tenant_id(entity)).field(entity + 1).field(attribute + 1);
            write_value(ATTRIBUTES[attribute].1, &mut rng, ingested_at, lines);
            lines.field(ingested_at).end();
        })
    }

    /// Rows come in the order of time, a fifth of them before the last seven days.
    fn ingested_at(self, rng: &mut Rng, row: u64, rows: u64) -> Time {
        const RECENT_DAYS: f64 = 7.0;
        let old_rows = rows / 5;
        if row < old_rows {
            let end = self.now.plus_days(-RECENT_DAYS);
            arrival(rng, row, old_rows, end, OLDEST_DAYS - RECENT_DAYS)
        } else {
            arrival(rng, row - old_rows, rows - old_rows, self.now, RECENT_DAYS)
        }
    }
}

fn write_attribute(attribute: u64, lines: &mut Lines) {
    let (name, value_type, is_hot) = ATTRIBUTES[attribute as usize];
    let type_name = match value_type {
        Type::Int => "int",
        Type::Numeric => "numeric",
        Type::Text(_) => "text",
        Type::Time => "timestamptz",
        Type::Bool => "bool",
    };
    lines.field(attribute + 1).field(name).field(type_name).field(is_hot).end();
}

/// The five value columns, of which one is filled.
fn write_value(value_type: Type, rng: &mut Rng, ingested_at: Time, lines: &mut Lines) {
    match value_type {
        Type::Int => lines.field(rng.u64(0..=100)).null().null().null().null(),
        Type::Numeric => {
            let (whole, tenth) = (rng.u64(0..100), rng.u64(0..10));
            lines.null().field(format_args!("{whole}.{tenth}")).null().null().null()
        }
        Type::Text(choices) => lines.null().null().field(weighted(rng, choices)).null().null(),
        Type::Time => lines.null().null().null().field(ingested_at).null(),
        Type::Bool => lines.null().null().null().null().field(rng.bool()),
    };
}

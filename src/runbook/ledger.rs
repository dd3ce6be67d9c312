//! The ledger of partitions that leave, and of those that came back: what is said to the server.
//!
//! What a row is about is the table's OID: a rename does not change it, and another table of the
//! same name does not have it.

use super::partition::{NewPartition, list, names};
use crate::model::ident::{QualifiedName, literal};

/// Where partitions that leave are remembered, from before they are detached.
pub const LEDGER_TABLE: &str = "pgtune_state.partition_ledger";

/// Creates the ledger. What a row is about is the table's OID, which a rename does not change and
/// another table of the same name does not have. Rows of an older pgtune have no `parent_relid`;
/// adding it rewrites nothing (ALTER TABLE: a column without a default).
pub(super) fn create_ledger() -> Vec<String> {
    vec![
        super::history::create_state_schema(),
        format!(
            "CREATE TABLE IF NOT EXISTS {LEDGER_TABLE}(\n  relid oid NOT NULL,\n  partition text \
             NOT NULL,\n  parent text NOT NULL,\n  bound text NOT NULL,\n  retiring_at timestamptz \
             NOT NULL DEFAULT now(),\n  detached_at timestamptz,\n  archive text,\n  manifest \
             text,\n  dropped_at timestamptz,\n  restored_at timestamptz,\n  expires \
             boolean NOT NULL DEFAULT false,\n  PRIMARY KEY \
             (relid, retiring_at))"
        ),
        format!("ALTER TABLE {LEDGER_TABLE} ADD COLUMN IF NOT EXISTS parent_relid oid"),
    ]
}

/// A table that left before and was attached again begins anew.
pub(super) fn note_retiring(
    parent: &QualifiedName,
    partitions: &[(QualifiedName, String)],
    expires: bool,
) -> Vec<String> {
    let parent = literal(&parent.to_string());
    let (mut relids, mut rows) = (Vec::new(), Vec::new());
    for (name, bound) in partitions {
        let name = literal(&name.to_string());
        rows.push(format!(
            "({name}::regclass, {name}, {parent}, {parent}::regclass, {}, {expires})",
            literal(bound)
        ));
        relids.push(format!("{name}::regclass"));
    }
    vec![
        format!(
            "DELETE FROM {LEDGER_TABLE}\n  WHERE relid IN ({}) AND dropped_at IS NULL",
            relids.join(", ")
        ),
        format!(
            "INSERT INTO {LEDGER_TABLE}\n  (relid, partition, parent, parent_relid, bound, \
             expires)\n  VALUES {}",
            rows.join(", ")
        ),
    ]
}

/// The table first, then its partitions, as readers lock them: else the two would deadlock. What
/// was planned is compared once nobody can change it any more.
pub(super) fn drop_attached(
    parent: &QualifiedName,
    partitions: &[(QualifiedName, String)],
) -> Vec<String> {
    let tables = names(partitions);
    let expected = partitions.iter().map(|(name, bound)| {
        format!("({}::regclass, {})", literal(&name.to_string()), literal(bound))
    });
    let body = format!(
        "BEGIN IF EXISTS (SELECT FROM (VALUES {}) AS e (relid, bound) WHERE NOT EXISTS (SELECT \
         FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = e.relid AND \
         i.inhparent = {}::regclass AND pg_get_expr(c.relpartbound, c.oid) = e.bound)) THEN RAISE \
         EXCEPTION 'this is no longer the partition it was, and is not dropped'; END IF; END",
        expected.collect::<Vec<_>>().join(", "),
        literal(&parent.to_string())
    );
    let noted = note_retiring(parent, partitions, true);
    let dropped = format!(
        "UPDATE {LEDGER_TABLE} SET detached_at = now(), dropped_at = now()\n  WHERE relid IN ({}) \
         AND dropped_at IS NULL",
        regclasses(&tables)
    );
    let begin = vec![
        format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"),
        // A rename locks the partition alone: the names must not change between look and drop.
        format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", list(&tables)),
        "SET LOCAL TimeZone = 'UTC'".to_string(),
        "SET LOCAL DateStyle = 'ISO'".to_string(),
        format!("DO {}", literal(&body)),
    ];
    [begin, noted, vec![dropped, format!("DROP TABLE {}", list(&tables))]].concat()
}

/// Writes down that a table's rows are in the archive, and what they come to.
pub fn note_archived(table: &QualifiedName, archive: &str, manifest: &str) -> String {
    format!(
        "UPDATE {LEDGER_TABLE} SET archive = {}, manifest = {}\n  WHERE relid = {}::regclass AND \
         dropped_at IS NULL",
        literal(archive),
        literal(manifest),
        literal(&table.to_string())
    )
}

/// Writes down that tables are dropped, just before.
pub(super) fn note_dropped(tables: &[QualifiedName]) -> String {
    note(tables, "dropped_at")
}

/// Writes down that a partition came back: rotation leaves it alone, however old it is.
/// What was known of a table that was attached again in its grace is forgotten.
pub fn note_restored(new: &NewPartition) -> String {
    let NewPartition { name, parent, bound, .. } = new;
    let forget = forget(std::slice::from_ref(name));
    let (name, parent) = (literal(&name.to_string()), literal(&parent.to_string()));
    format!(
        "{forget};\nINSERT INTO {LEDGER_TABLE}\n  (relid, partition, parent, \
         parent_relid, bound, restored_at)\n  VALUES \
         ({name}::regclass, {name}, {parent}, {parent}::regclass, {}, now())",
        literal(bound)
    )
}

/// Stops a transaction where a name no longer means the table that was detached: somebody may have
/// renamed it, or attached it again, since the catalog was read.
pub(super) fn refuse_others(tables: &[QualifiedName]) -> String {
    let body = format!(
        "BEGIN IF EXISTS (SELECT FROM pg_class c WHERE c.oid IN ({}) AND (c.relispartition OR NOT \
         EXISTS (SELECT FROM {LEDGER_TABLE} l WHERE l.relid = c.oid AND l.detached_at IS NOT NULL \
         AND l.dropped_at IS NULL))) THEN RAISE EXCEPTION 'this is no longer what was \
         detached, and is not dropped'; END IF; END",
        regclasses(tables)
    );
    format!("DO {}", literal(&body))
}

pub(super) fn forget(tables: &[QualifiedName]) -> String {
    let tables = regclasses(tables);
    format!("DELETE FROM {LEDGER_TABLE}\n  WHERE relid IN ({tables}) AND dropped_at IS NULL")
}

/// Sets one time of the rows about tables that still exist.
pub(super) fn note(tables: &[QualifiedName], column: &str) -> String {
    format!(
        "UPDATE {LEDGER_TABLE} SET {column} = now()\n  WHERE relid IN ({}) AND dropped_at IS NULL",
        regclasses(tables)
    )
}

fn regclasses(tables: &[QualifiedName]) -> String {
    let name = |table: &QualifiedName| format!("{}::regclass", literal(&table.to_string()));
    tables.iter().map(name).collect::<Vec<_>>().join(", ")
}

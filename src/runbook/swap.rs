//! A DEFAULT partition that is copied into partitions beside it, and then replaced by them: what is
//! said to the server.
//!
//! The copy is a partitioned table of pgtune's own, so that PostgreSQL routes the rows. Rows stay
//! where they are until the end, and a trigger notes the key of each one that changes. Whenever the
//! copy is worked on, all that is noted is first made in it as it is in the DEFAULT partition, of
//! one snapshot: so the copy holds rows of that snapshot and no others, whatever transactions of
//! which isolation level go on meanwhile. At the end nobody can write, and what is noted then makes
//! it exact.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::history::create_state_schema;
use super::ledger::LEDGER_TABLE;
use super::partition::NewPartition;
use crate::model::catalog::{Catalog, DEFAULT_BOUND, Partition, Relation, RelationKind};
use crate::model::default_rows::ForeignKey;
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::ledger::RetiredProgress;

/// How far each copy is.
pub const COPY_TABLE: &str = "pgtune_state.default_copy";
/// The trigger on the DEFAULT partition.
pub const COPY_TRIGGER: &str = "pgtune_note_changes";
/// The check of each partition of the copy that it fits its bound.
pub const COPY_CHECK: &str = "pgtune_all_rows_fit";
/// Where a row of the copy came from, where the table has no key.
const ROW_COLUMN: &str = "pgtune_row";
/// More changes than this are not made up for while nobody can write.
pub const LATE_CHANGES_MAX: usize = 5_000;

/// Each row finds its partner by an index or by its place, whatever is known of new tables. What
/// is discouraged costs so much on paper that PostgreSQL would compile each statement (`jit`), for
/// half a second, also under lock.
const BY_INDEX: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL enable_material = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
/// Hidden rows are an error.
const ALL_ROWS: &str = "SET LOCAL row_security = off";

/// A DEFAULT partition and the copy beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The partitioned table.
    pub parent: QualifiedName,
    /// Its DEFAULT partition.
    pub default: QualifiedName,
    /// The columns that hold values of their own.
    pub columns: Vec<Ident>,
    /// The columns of a key, none of which is null; empty where there is none, and rows are known
    /// by their place.
    pub key: Vec<Ident>,
}

/// The copy of the DEFAULT partition of a table: a partitioned table of pgtune's own.
pub fn copy_of(parent: &QualifiedName) -> QualifiedName {
    let digest = Sha256::digest(parent.to_string());
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    QualifiedName::new(Ident::from_sql("pgtune_state"), Ident::from_sql(&format!("copy_{hex}")))
}

/// What changed since it was copied.
pub fn changes_of(copy: &QualifiedName) -> QualifiedName {
    copy.sibling(Ident::from_sql(&format!("{}_changes", copy.name.as_str())))
}

/// The columns that changes are noted by.
pub fn noted_columns(key: &[Ident]) -> Vec<Ident> {
    if key.is_empty() { vec![Ident::from_sql(ROW_COLUMN)] } else { key.to_vec() }
}

/// What begins a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// What is copied.
    pub swap: Swap,
    /// `RANGE (at)`
    pub partition_key: String,
    /// The foreign keys of the partitioned table.
    pub foreign_keys: Vec<ForeignKey>,
    /// The partitions of the copy, one of them DEFAULT, and what holds for the rows of each.
    pub partitions: Vec<(NewPartition, String)>,
}

/// The end of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// What was copied.
    pub swap: Swap,
    /// The partitions of the copy with their bounds, without DEFAULT.
    pub partitions: Vec<(QualifiedName, String)>,
    /// The copy's DEFAULT partition.
    pub rest: QualifiedName,
    /// What the old DEFAULT partition will be called.
    pub retired: QualifiedName,
    /// Whether a rule drops it after its grace.
    pub expires: bool,
    /// The foreign keys of the partitioned table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Tables that they point at.
    pub references: Vec<QualifiedName>,
}

impl Swap {
    /// The copy.
    pub fn copy(&self) -> QualifiedName {
        copy_of(&self.parent)
    }

    fn changes(&self) -> QualifiedName {
        changes_of(&self.copy())
    }

    /// The trigger's function has the name of the table that it writes to.
    fn function(&self) -> String {
        format!("{}()", self.changes())
    }

    /// The DEFAULT partition's own name for a column that changes are noted by.
    fn source(&self, alias: &str, column: &Ident) -> String {
        if self.key.is_empty() { format!("{alias}.ctid") } else { format!("{alias}.{column}") }
    }

    fn all(&self, one: impl Fn(&Ident) -> String, between: &str) -> String {
        noted_columns(&self.key).iter().map(one).collect::<Vec<_>>().join(between)
    }

    /// The columns that are written, and what is read for them.
    fn columns(&self) -> (String, String) {
        let mut names: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let mut values: Vec<String> = self.columns.iter().map(|c| format!("d.{c}")).collect();
        if self.key.is_empty() {
            names.push(ROW_COLUMN.to_string());
            values.push("d.ctid".to_string());
        }
        (names.join(", "), values.join(", "))
    }

    /// Begins a transaction that works on the copy, in which nobody can rewrite the DEFAULT
    /// partition; then [`Swap::progress_sql`] has to be asked.
    pub fn begin_sql(&self) -> String {
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; {ALL_ROWS}; SET LOCAL statement_timeout = 0; \
             SET LOCAL lock_timeout = '10s'; LOCK TABLE ONLY {} IN ACCESS SHARE MODE",
            self.default
        )
    }

    /// How far it is: the next block, the end, whether it is still the table that was begun with,
    /// whether it was compared. Whoever asks is alone with the copy until the transaction ends.
    pub fn progress_sql(&self) -> String {
        format!(
            "SELECT next_block, end_block, relid = {default}::regclass AND filenode = \
             pg_relation_filenode({default}::regclass), compared_at IS NOT NULL FROM {COPY_TABLE} \
             WHERE copy = {} FOR UPDATE",
            literal(&self.copy().to_string()),
            default = literal(&self.default.to_string())
        )
    }

    /// Makes all rows that are noted in the copy as they are in the DEFAULT partition.
    pub fn catch_up_sql(&self) -> Vec<String> {
        let (copy, changes, default) = (self.copy(), self.changes(), &self.default);
        let (names, values) = self.columns();
        let noted = format!("(SELECT DISTINCT {} FROM {changes}) AS c", self.all(named, ", "));
        let of_copy = self.all(|column| format!("s.{column} = c.{column}"), " AND ");
        let of_default =
            self.all(|column| format!("{} = c.{column}", self.source("d", column)), " AND ");
        vec![
            BY_INDEX.to_string(),
            format!("DELETE FROM {copy} AS s USING {noted} WHERE {of_copy}"),
            format!(
                "INSERT INTO {copy} ({names})\n  SELECT {values} FROM {noted} JOIN ONLY {default} \
                 AS d ON {of_default}"
            ),
            format!("DELETE FROM {changes}"),
        ]
    }

    /// Copies the rows of some blocks that are not in the copy yet.
    pub fn copy_sql(&self, from_block: i64, to_block: i64) -> Vec<String> {
        let (copy, default) = (self.copy(), &self.default);
        let (names, values) = self.columns();
        let same = self.all(|column| format!("s.{column} = {}", self.source("d", column)), " AND ");
        vec![
            format!(
                "INSERT INTO {copy} ({names})\n  SELECT {values} FROM ONLY {default} AS d WHERE \
                 d.ctid >= '({from_block},0)' AND d.ctid < '({to_block},0)'\n  AND NOT EXISTS \
                 (SELECT FROM {copy} AS s WHERE {same})"
            ),
            self.note_sql(&format!("next_block = {to_block}")),
        ]
    }

    /// Whether the copy holds just the rows of the DEFAULT partition, and how many both hold:
    /// without those noted as changed, which it need not have yet. It takes no locks on rows.
    pub fn compare_sql(&self) -> String {
        let values: Vec<String> = self.columns.iter().map(|c| format!("t.{c}")).collect();
        let sum = format!(
            "SELECT count(*) AS rows, coalesce(sum(hashtextextended(ROW({})::text, 0)), 0) AS sum \
             FROM",
            values.join(", ")
        );
        let changes = self.changes();
        let unchanged = |of: &dyn Fn(&Ident) -> String| {
            let noted = self.all(|column| format!("c.{column} = {}", of(column)), " AND ");
            format!("WHERE NOT EXISTS (SELECT FROM {changes} AS c WHERE {noted})")
        };
        format!(
            "SELECT a.rows = b.rows AND a.sum = b.sum, a.rows, b.rows\n  FROM ({sum} ONLY {} AS t \
             {}) AS a,\n  ({sum} {} AS t {}) AS b",
            self.default,
            unchanged(&|column| self.source("t", column)),
            self.copy(),
            unchanged(&|column| format!("t.{column}"))
        )
    }

    /// Notes that both were found to be the same.
    pub fn compared_sql(&self) -> String {
        self.note_sql("compared_at = now()")
    }

    fn note_sql(&self, what: &str) -> String {
        let copy = literal(&self.copy().to_string());
        format!("UPDATE {COPY_TABLE} SET {what} WHERE copy = {copy}")
    }

    /// How many changes are noted, as far as it matters.
    pub fn late_changes_sql(&self) -> String {
        let limit = LATE_CHANGES_MAX + 1;
        format!("SELECT count(*) FROM (SELECT FROM {} LIMIT {limit}) AS c", self.changes())
    }

    /// Notes that it is of no use: the next plan gives it up.
    pub fn spoil_sql(&self) -> String {
        self.note_sql("relid = 0")
    }
}

/// A copy that is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBack {
    /// The partitioned table.
    pub parent: QualifiedName,
    /// Its DEFAULT partition, if it still has one.
    pub default: Option<QualifiedName>,
    /// Tables that foreign keys of the partitioned table point at.
    pub references: Vec<QualifiedName>,
}

impl TakeBack {
    /// One transaction; the DEFAULT partition is as it was.
    pub fn sql(&self) -> Vec<String> {
        let copy = copy_of(&self.parent);
        let changes = changes_of(&copy);
        let mut sql: Vec<String> =
            self.references.iter().chain(&self.default).map(lock_exclusive).collect();
        sql.push(format!("DROP FUNCTION IF EXISTS {changes}() CASCADE"));
        sql.push(format!("DROP TABLE IF EXISTS {copy}, {changes}"));
        sql.push(format!("DELETE FROM {COPY_TABLE} WHERE copy = {}", literal(&copy.to_string())));
        sql
    }

    /// Changes `catalog` likewise.
    pub fn apply(&self, catalog: &mut Catalog) {
        forget_copy(&self.parent, catalog);
    }
}

/// Takes a copy out of `catalog`.
fn forget_copy(parent: &QualifiedName, catalog: &mut Catalog) {
    for table in catalog.tree(&copy_of(parent)) {
        catalog.relations.remove(&table);
    }
}

fn named(column: &Ident) -> String {
    column.to_string()
}

impl Preparation {
    /// One transaction: all of it is there, or nothing. What locks the DEFAULT partition is last.
    pub fn sql(&self) -> Vec<String> {
        let Swap { parent, .. } = &self.swap;
        let copy = self.swap.copy();
        let mut sql = vec![
            create_state_schema(),
            format!(
                "CREATE TABLE IF NOT EXISTS {COPY_TABLE}(\n  copy text PRIMARY KEY,\n  relid oid \
                 NOT NULL,\n  filenode oid NOT NULL,\n  next_block int8 NOT NULL DEFAULT 0,\n  \
                 end_block int8 NOT NULL,\n  compared_at timestamptz)"
            ),
            format!(
                "CREATE TABLE {copy} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY) PARTITION BY \
                 {}",
                self.partition_key
            ),
        ];
        if self.swap.key.is_empty() {
            sql.push(format!("ALTER TABLE {copy} ADD COLUMN {ROW_COLUMN} tid"));
            sql.push(format!("CREATE INDEX ON {copy} ({ROW_COLUMN})"));
        }
        for foreign_key in &self.foreign_keys {
            sql.extend(foreign_key_sql(&copy, foreign_key));
        }
        for (new, condition) in &self.partitions {
            sql.extend(new.sql());
            sql.push(format!(
                "ALTER TABLE {} ADD CONSTRAINT {COPY_CHECK} CHECK ({condition})",
                new.name
            ));
        }
        sql.extend(self.note_changes_sql());
        sql
    }

    /// From here on, each change of the DEFAULT partition is noted. The function has the rights of
    /// its owner: writers need none on pgtune's own tables. It also fires for what replication
    /// applies.
    fn note_changes_sql(&self) -> Vec<String> {
        let Swap { default, key, .. } = &self.swap;
        let (changes, function) = (self.swap.changes(), self.swap.function());
        let source = |alias: &str| self.swap.all(|c| self.swap.source(alias, c), ", ");
        let names = self.swap.all(named, ", ");
        let columns = match key.as_slice() {
            [] => format!("ctid AS {ROW_COLUMN}"),
            _ => names,
        };
        let body = format!(
            "BEGIN\n  IF TG_OP <> 'INSERT' THEN\n    INSERT INTO {changes} VALUES ({});\n  END \
             IF;\n  IF TG_OP <> 'DELETE' THEN\n    INSERT INTO {changes} VALUES ({});\n  END \
             IF;\n  RETURN NULL;\nEND",
            source("OLD"),
            source("NEW")
        );
        let (name, copy) = (literal(&default.to_string()), self.swap.copy());
        vec![
            format!("CREATE TABLE {changes} AS SELECT {columns} FROM ONLY {default} WITH NO DATA"),
            format!(
                "CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n  \
                 SET search_path = '' AS {}",
                literal(&body)
            ),
            format!(
                "CREATE TRIGGER {COPY_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {default}\n  \
                 FOR EACH ROW EXECUTE FUNCTION {function}"
            ),
            format!("ALTER TABLE {default} ENABLE ALWAYS TRIGGER {COPY_TRIGGER}"),
            format!(
                "INSERT INTO {COPY_TABLE} (copy, relid, filenode, end_block)\n  SELECT {}, \
                 {name}::regclass, pg_relation_filenode({name}::regclass), \
                 pg_relation_size({name}::regclass) / current_setting('block_size')::int8",
                literal(&copy.to_string())
            ),
        ]
    }

    /// Changes `catalog` likewise.
    pub fn apply(&self, catalog: &mut Catalog) {
        let mut copy = Relation::empty(RelationKind::PartitionedTable);
        copy.partition_key = Some(self.partition_key.clone());
        catalog.relations.insert(self.swap.copy(), copy);
        self.partitions.iter().for_each(|(new, _)| new.apply(catalog));
    }
}

/// A row that leaves a table may let somebody delete what it pointed at, before its copy is gone:
/// a second foreign key takes the copy away then, and the first finds nothing. Triggers of one
/// event fire in the order of their names, which is that in which they were made. A copy that goes
/// too early is made again, since its row is noted as changed.
fn foreign_key_sql(copy: &QualifiedName, foreign_key: &ForeignKey) -> Vec<String> {
    let ForeignKey { name, definition, following } = foreign_key;
    vec![
        format!("ALTER TABLE {copy} ADD CONSTRAINT {} {following}", following_name(name)),
        format!("ALTER TABLE {copy} ADD CONSTRAINT {name} {definition}"),
    ]
}

/// What the second foreign key is called.
fn following_name(name: &Ident) -> Ident {
    let kept = crate::model::ident::truncate(name.as_str(), 48);
    Ident::new(format!("{kept}_pgtune_copy")).expect("it was cut to fit")
}

impl Takeover {
    /// One transaction, in which nobody uses the table: what is noted by now is made up for, the
    /// DEFAULT partition goes, and all partitions of the copy come, proven by their checks to fit.
    pub fn sql(&self) -> Vec<String> {
        let Takeover { swap, rest, retired, .. } = self;
        let Swap { parent, default, .. } = swap;
        let copy = swap.copy();
        let mut sql: Vec<String> = self.references.iter().map(lock_exclusive).collect();
        sql.push(format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"));
        sql.push(format!("LOCK TABLE ONLY {default} IN ACCESS EXCLUSIVE MODE"));
        sql.push(self.guard_sql());
        sql.push(ALL_ROWS.to_string());
        sql.extend(swap.catch_up_sql());
        sql.push(format!("DROP FUNCTION {} CASCADE", swap.function()));
        sql.push(format!("ALTER TABLE {parent} DETACH PARTITION {default}"));
        sql.push(drop_foreign_keys(default));
        sql.push(format!("ALTER TABLE {default} RENAME TO {}", retired.name));
        for ForeignKey { name, .. } in &self.foreign_keys {
            sql.push(format!("ALTER TABLE {copy} DROP CONSTRAINT {}", following_name(name)));
        }
        if swap.key.is_empty() {
            sql.push(format!("ALTER TABLE {copy} DROP COLUMN {ROW_COLUMN}"));
        }
        for (partition, bound) in &self.partitions {
            sql.extend(self.take_over(partition, partition, bound));
        }
        sql.extend(self.take_over(rest, default, DEFAULT_BOUND));
        sql.push(format!("DROP TABLE {copy}, {}", swap.changes()));
        sql.push(format!("DELETE FROM {COPY_TABLE} WHERE copy = {}", literal(&copy.to_string())));
        sql.push(self.note_retired());
        sql
    }

    /// Refuses what was not copied to its end and compared, and too many changes: then it is tried
    /// again, like a lock that was not to be had.
    fn guard_sql(&self) -> String {
        let swap = &self.swap;
        let default = literal(&swap.default.to_string());
        let body = format!(
            "BEGIN\n  IF NOT EXISTS (SELECT FROM {COPY_TABLE} WHERE copy = {}\n      AND relid = \
             {default}::regclass AND filenode = pg_relation_filenode({default}::regclass)\n      \
             AND next_block >= end_block AND compared_at IS NOT NULL)\n  THEN RAISE EXCEPTION \
             'this is no longer what was copied';\n  END IF;\n  IF ({}) > {LATE_CHANGES_MAX}\n  \
             THEN RAISE EXCEPTION USING errcode = '55P03', message = 'too many rows \
             change';\n  END IF;\nEND",
            literal(&swap.copy().to_string()),
            swap.late_changes_sql()
        );
        format!("DO {}", literal(&body))
    }

    /// Hangs a partition of the copy on the table, under a name.
    fn take_over(
        &self,
        partition: &QualifiedName,
        name: &QualifiedName,
        bound: &str,
    ) -> Vec<String> {
        let (copy, parent) = (self.swap.copy(), &self.swap.parent);
        let mut sql = vec![format!("ALTER TABLE {copy} DETACH PARTITION {partition}")];
        if partition != name {
            sql.push(format!("ALTER TABLE {partition} RENAME TO {}", name.name));
        }
        sql.push(format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"));
        sql.push(format!("ALTER TABLE {name} DROP CONSTRAINT {COPY_CHECK}"));
        sql
    }

    /// The old DEFAULT partition is a detached table now.
    fn note_retired(&self) -> String {
        let (retired, parent) = (self.retired.to_string(), self.swap.parent.to_string());
        let (retired, parent) = (literal(&retired), literal(&parent));
        format!(
            "INSERT INTO {LEDGER_TABLE}\n  (relid, partition, parent, parent_relid, bound, \
             detached_at, expires)\n  VALUES ({retired}::regclass, {retired}, {parent}, \
             {parent}::regclass, '{DEFAULT_BOUND}', now(), {})",
            self.expires
        )
    }

    /// Changes `catalog` likewise.
    pub fn apply(&self, catalog: &mut Catalog) {
        let Takeover { swap, partitions, rest, retired, .. } = self;
        if let Some(mut old) = catalog.relations.remove(&swap.default) {
            old.partition_of = None;
            old.references.clear();
            catalog.relations.insert(retired.clone(), old);
        }
        let mut hang = |from: &QualifiedName, name: &QualifiedName, bound: &str| {
            let Some(mut relation) = catalog.relations.remove(from) else { return };
            let (parent, bound) = (swap.parent.clone(), bound.to_string());
            relation.checks.retain(|check| check.name.as_str() != COPY_CHECK);
            relation.partition_of = Some(Partition { parent, bound, detach_pending: false });
            catalog.relations.insert(name.clone(), relation);
        };
        partitions.iter().for_each(|(partition, bound)| hang(partition, partition, bound));
        hang(rest, &swap.default, DEFAULT_BOUND);
        forget_copy(&swap.parent, catalog);
        let left = (retired.clone(), DEFAULT_BOUND.to_string());
        catalog.ledger.retire(&swap.parent, &[left], self.expires);
        for known in catalog.ledger.retired.iter_mut().filter(|known| known.table == *retired) {
            known.progress = RetiredProgress::DetachedNow;
        }
    }
}

/// With a foreign key go its triggers on the table that it points at. Tables pointed at are locked
/// first, as those do who write to both.
fn lock_exclusive(table: &QualifiedName) -> String {
    format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
}

/// Rows that are elsewhere now must not keep what they point at.
fn drop_foreign_keys(table: &QualifiedName) -> String {
    let name = literal(&table.to_string());
    let body = format!(
        "DECLARE foreign_key name; BEGIN FOR foreign_key IN SELECT conname FROM pg_constraint \
         WHERE conrelid = {name}::regclass AND contype = 'f' LOOP EXECUTE format('ALTER TABLE %s \
         DROP CONSTRAINT %I', {name}, foreign_key); END LOOP; END"
    );
    format!("DO {}", literal(&body))
}

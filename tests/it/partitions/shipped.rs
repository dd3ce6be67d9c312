//! The rules of the shipped workloads, with a writer and a reader at work.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::stalls::{BUDGET, worst};
use super::{ALLOWED, Kept};
use crate::support::{Database, say};
use crate::user_project::{Said, said};

/// A workload with a partitioned table: what to write and read there, and to which month ahead its
/// rotation is planned.
struct Workload {
    name: &'static str,
    table: &'static str,
    key: &'static str,
    insert: &'static str,
    select: &'static str,
    months_later: u32,
}

const TELEMETRY: Workload = Workload {
    name: "telemetry",
    table: "entity_values_ts",
    key: "ingested_at",
    insert: "insert into entity_values_ts (tenant_id, entity_id, attribute_id, value_int)
        values (1, $1::int, 1, 1)",
    select: "select count(*) from entity_values_ts where entity_id = $1::int",
    months_later: 11,
};

const ACCOUNTS: Workload = Workload {
    name: "accounts",
    table: "api_usage_logs",
    key: "created_at",
    insert: "insert into api_usage_logs (api_key_id, user_id, endpoint, status_code, duration_ms)
        values (1, $1::int, '/', 200, 1)",
    select: "select count(*) from api_usage_logs where api_key_id = $1::int",
    months_later: 5,
};

impl Workload {
    /// `pgtune` with the shipped profile.
    fn run(&self, kept: &Kept, arguments: &[&str]) -> Said {
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let profile = profiles.join(format!("{}.toml", self.name));
        let mut command = kept.project.command(arguments);
        command.arg("--profile").arg(profile);
        command.env("PGTUNE_ARCHIVE_TO", kept.project.folder.path().join("archive"));
        said(command)
    }

    /// A partition that is past the retention by any clock, and what it holds.
    fn grow_old(&self, kept: &Kept) {
        let Workload { table, key, insert, .. } = self;
        let old = "(date_trunc('month', now() at time zone 'UTC') - interval '30 months')";
        let insert = insert.replacen('(', &format!("({key}, "), 1).replace("$1", "7");
        let insert = insert.replacen("values (", &format!("values ({old} at time zone 'UTC', "), 1);
        kept.sql(&format!(
            "do $$ begin set local timezone = 'UTC'; execute format('create table {table}_old
               partition of {table} for values from (%L) to (%L)', {old},
               {old} + interval '1 month'); end $$;
             set session_replication_role = replica; {insert}; {insert}"
        ));
        assert_eq!(kept.count(&format!("select count(*) from {table}_old")), 2);
    }

    fn keeps(&self) {
        let Some(database) = Database::create(self.name) else { return };
        let kept = Kept::at(database, "");
        self.run(&kept, &["migrate", "--yes"]).expect(0, &[]);
        let count = kept.partitions(self.table).len();
        // A migration analyzes nothing.
        let analyzed = self.run(&kept, &["partitions", "rotate", "--yes"]);
        assert!(analyzed.stderr.contains("runbook: 1 stage, 1 step"), "{analyzed}");
        assert!(analyzed.stderr.contains("ANALYZE"), "{analyzed}");
        let nothing = self.run(&kept, &["partitions", "rotate", "--yes"]);
        assert!(nothing.stdout.starts_with("nothing to do"), "{nothing}");
        assert_eq!(kept.partitions(self.table).len(), count);
        self.grow_old(&kept);
        let later = format!(
            "select to_char(now() at time zone 'UTC' + interval '{} months', 'YYYY-MM-DD')",
            self.months_later
        );
        let day = kept.texts(&later, &[]).remove(0);
        let rotate = [&["partitions", "rotate", "--yes", "--as-of", &day], ALLOWED].concat();
        let stop = AtomicBool::new(false);
        // Rows without parents: the writer has no other table.
        let url = format!("{}?options=-csession_replication_role%3Dreplica", kept.database.url);
        let ((writer, writes), (reader, _)) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| worst(&url, &stop, self.insert));
            let reader = scope.spawn(|| worst(&url, &stop, self.select));
            let said = self.run(&kept, &rotate);
            stop.store(true, Ordering::Relaxed);
            said.expect(0, &[]);
            (writer.join().unwrap(), reader.join().unwrap())
        });
        say(&format!(
            "{}: worst stall of a writer {writer:.1?}, of a reader {reader:.1?}",
            self.name
        ));
        assert!(writer < BUDGET && reader < BUDGET, "{writer:?}, {reader:?}");
        let months = self.months_later as usize;
        // The old one is detached, archived by one of the rules, and dropped after its grace.
        assert_eq!(kept.partitions(self.table).len(), count + months);
        let ledger =
            "select count(*) from pgtune_state.partition_ledger where detached_at is not null";
        assert_eq!(kept.count(&format!("{ledger} and dropped_at is null")), 1);
        kept.sql(
            "update pgtune_state.partition_ledger set detached_at = now() - interval '1 year'",
        );
        self.run(&kept, &rotate).expect(0, &[]);
        assert_eq!(kept.count(&format!("{ledger} and dropped_at is not null")), 1);
        let rows = format!("select count(*) from {}", self.table);
        assert_eq!(kept.count(&rows), writes as i64);
        let again = self.run(&kept, &rotate);
        assert!(again.stdout.starts_with("nothing to do"), "{again}");
    }
}

#[test]
fn telemetry_is_kept_by_its_rule() {
    TELEMETRY.keeps();
}

#[test]
fn accounts_are_kept_by_their_rule() {
    ACCOUNTS.keeps();
}

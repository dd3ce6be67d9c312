//! `pgtune partitions rotate` and `create`, end to end.

use postgres::Client;

use crate::project::{Run, count, described, run_plainly};
use crate::support::{Database, eventually};
use crate::user_project::{Project, Said};

mod analyze;
mod archive;
mod check;
mod create;
mod default;
mod facts;
mod keys;
mod retention;
mod shipped;
mod stalls;
mod stores;
mod sweep;
mod together;
mod traits;
mod ways_out;

/// What takes rows out of reach.
const ALLOWED: &[&str] = &["--allow", "detach-partition", "--allow", "drop-partition"];

/// A database whose partitions a profile keeps.
struct Kept {
    project: Project,
    database: Database,
}

impl Kept {
    /// A new database made by `before`, and the rules.
    fn new(test: &str, before: &[&str], rules: &str) -> Option<Kept> {
        let database = Database::create(test)?;
        run_plainly(&database.url, before);
        Some(Kept::at(database, rules))
    }

    /// A database that is there.
    fn at(database: Database, rules: &str) -> Kept {
        let project = Project::at(&database.url);
        project.profile(rules);
        Kept { project, database }
    }

    fn connect(&self) -> Client {
        self.database.connect()
    }

    /// `pgtune partitions` with these arguments, separated by spaces.
    fn run(&self, arguments: &str) -> Said {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.project.run(&[&["partitions"], arguments.as_slice()].concat())
    }

    /// `rotate --yes` with all allowed; it must succeed.
    #[track_caller]
    fn rotate(&self, day: &str) -> Said {
        let said = self.project.run(&rotation(day));
        said.expect(0, &[]);
        said
    }

    /// The same, in the background.
    fn start(&self, day: &str) -> Run {
        Run::of(self.project.command(&rotation(day)))
    }

    /// Nothing is left to do, and nothing is left over.
    #[track_caller]
    fn check_done(&self, day: &str) {
        let said = self.rotate(day);
        assert!(said.stdout.starts_with("nothing to do"), "{said}");
        check_tidy(&mut self.connect());
    }

    #[track_caller]
    fn sql(&self, statement: &str) {
        self.connect().batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    }

    fn count(&self, query: &str) -> i64 {
        count(&mut self.connect(), query)
    }

    fn described(&self) -> String {
        described(&mut self.connect())
    }

    /// The partitions with their bounds, in order.
    fn partitions(&self, table: &str) -> Vec<String> {
        let query = "select relid::regclass || ' ' || pg_get_expr(relpartbound, relid)
            from pg_partition_tree($1::text::regclass) join pg_class on oid = relid
            where level > 0 order by 1";
        self.texts(query, &[&table])
    }

    /// The first column of a query's rows, under TimeZone UTC.
    #[track_caller]
    fn texts(
        &self,
        query: &str,
        parameters: &[&(dyn postgres::types::ToSql + Sync)],
    ) -> Vec<String> {
        let mut client = self.connect();
        client.batch_execute("set timezone = 'UTC'").unwrap();
        client.query(query, parameters).unwrap().iter().map(|row| row.get(0)).collect()
    }
}

fn rotation(day: &str) -> Vec<&str> {
    [&["partitions", "rotate", "--yes", "--as-of", day], ALLOWED].concat()
}

/// Nothing half-done: no pending detach, no check of a proof, no table beside its parent that the
/// ledger does not know, no session, no lock.
#[track_caller]
fn check_tidy(client: &mut Client) {
    let pending = "select count(*) from pg_inherits where inhdetachpending";
    assert_eq!(count(client, pending), 0, "a detach is pending");
    let proofs = "select count(*) from pg_constraint where conname like 'pgtune%'";
    assert_eq!(count(client, proofs), 0, "a proof is left");
    let invalid = "select count(*) from pg_index where not (indisvalid and indisready)";
    assert_eq!(count(client, invalid), 0, "an index is invalid");
    let sessions = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name like 'pgtune%'";
    eventually("no session is left", || count(client, sessions) == 0);
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and database =
        (select oid from pg_database where datname = current_database())";
    assert_eq!(count(client, locks), 0, "a lock is left");
}

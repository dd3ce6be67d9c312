//! Facts about PostgreSQL that the commands rest on, asked of each version.

use postgres::Client;

use crate::project::{count, run_plainly};
use crate::support::{Database, server};

fn fails(client: &mut Client, statement: &str) -> String {
    let error = client.batch_execute(statement).expect_err(statement);
    let said = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}"));
    format!("{} {}", said.code().code(), said.message())
}

#[test]
fn identity_columns_go_one_level_down_from_17_on() {
    let Some(database) = Database::create("fact_identity") else { return };
    let mut client = database.connect();
    run_plainly(
        &database.url,
        &[
            "create table p (id int generated always as identity, k int) partition by range (k)",
            "create table own (like p including all)",
            "create table mid (like p including all excluding identity) partition by hash (k)",
            "create table leaf partition of mid for values with (modulus 1, remainder 0)",
            "alter table p attach partition mid for values from (1) to (2)",
        ],
    );
    let attach = "alter table p attach partition own for values from (0) to (1)";
    let detach = "alter table p detach partition mid";
    if server().unwrap().major < 17 {
        client.batch_execute(attach).unwrap();
        client.batch_execute(detach).unwrap();
    } else {
        let said = fails(&mut client, attach);
        assert!(said.contains("being attached contains an identity column"), "{said}");
        let said = fails(&mut client, detach);
        assert!(said.contains("is not an identity column"), "{said}");
    }
}

#[test]
fn a_lock_timeout_leaves_a_detach_pending() {
    let Some(database) = Database::create("fact_pending") else { return };
    let mut client = database.connect();
    run_plainly(
        &database.url,
        &[
            "create table p (k int) partition by list (k)",
            "create table p_1 partition of p for values in (1)",
            "create table p_2 partition of p for values in (2)",
        ],
    );
    let mut reader = database.connect();
    reader.batch_execute("begin; select * from p").unwrap();
    client.batch_execute("set lock_timeout = '100ms'").unwrap();
    let detach = "alter table p detach partition p_1 concurrently";
    let said = fails(&mut client, detach);
    assert!(said.starts_with("55P03"), "{said}");
    let pending = "select count(*) from pg_inherits where inhdetachpending";
    assert_eq!(count(&mut client, pending), 1);
    for again in [detach, "alter table p detach partition p_2 concurrently"] {
        let said = fails(&mut client, again);
        assert!(said.starts_with("55000") && said.contains("already pending detach"), "{said}");
    }
    // A reader that holds no snapshot holds the partition up, and not what is created beside it.
    let said = fails(&mut client, "alter table p detach partition p_1 finalize");
    assert!(said.starts_with("55P03"), "{said}");
    client.batch_execute("create table p_3 (k int)").unwrap();
    client.batch_execute("alter table p attach partition p_3 for values in (3)").unwrap();
    reader.batch_execute("commit").unwrap();
    client.batch_execute("alter table p detach partition p_1 finalize").unwrap();
    assert_eq!(count(&mut client, pending), 0);
    // The bound stays behind as a check of the table's own, so that it can come back unread.
    let checks = "select count(*) from pg_constraint where conrelid = 'p_1'::regclass
        and contype = 'c'";
    assert_eq!(count(&mut client, checks), 1);
}

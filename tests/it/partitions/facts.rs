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

/// What a statement makes the server say at DEBUG1 about constraints.
fn proven(client: &mut Client, statement: &str) -> Vec<String> {
    let path = server().unwrap().folder.join("log");
    let before = std::fs::metadata(&path).unwrap().len();
    let database: String = client.query_one("select current_database()", &[]).unwrap().get(0);
    client.batch_execute("set log_min_messages = debug1").unwrap();
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    client.batch_execute("reset log_min_messages").unwrap();
    let log = std::fs::read_to_string(path).unwrap();
    // Other tests write to the log as well: the tables' names are this database's own.
    let lines = log[before as usize..].lines().filter_map(|line| line.split_once("DEBUG:  "));
    let told = lines.map(|(_, said)| said.to_string());
    told.filter(|said| said.contains(&format!("\"{database}"))).collect()
}

/// A table named like the database, with a DEFAULT partition, a foreign key and two columns in its
/// key.
fn with_default(test: &str) -> Option<(Database, String)> {
    let database = Database::create(test)?;
    let name = database.url.rsplit_once('/').unwrap().1.to_string();
    let table = format!(
        "create table app (id int primary key);
         insert into app values (1), (2);
         create table {name} (k date not null, v int not null constraint {name}_fk references app,
             primary key (k, v))
           partition by range (k, v);
         create table {name}_a partition of {name}
           for values from ('2026-01-01', minvalue) to ('2026-02-01', minvalue);
         create table {name}_d partition of {name} default;
         insert into {name} values ('2026-03-05', 1), ('2026-04-05', 2)"
    );
    database.connect().batch_execute(&table).unwrap();
    Some((database, name))
}

#[test]
fn a_default_partition_comes_back_as_another_unread_and_keeps_its_foreign_keys() {
    let Some((database, name)) = with_default("fact_promote") else { return };
    let mut client = database.connect();
    let check = format!(
        "alter table {name}_d add constraint fits
           check (k is not null and k >= '2026-03-01' and k < '2026-05-01')"
    );
    client.batch_execute(&check).unwrap();
    client.batch_execute(&format!("alter table {name} detach partition {name}_d")).unwrap();
    let attach = format!(
        "alter table {name} attach partition {name}_d
           for values from ('2026-03-01', minvalue) to ('2026-05-01', minvalue)"
    );
    let implied =
        format!("partition constraint for table \"{name}_d\" is implied by existing constraints");
    assert_eq!(proven(&mut client, &attach), [implied]);
    // The foreign key is the parent's again, and nothing was validated.
    let adopted = "select count(*) from pg_constraint where contype = 'f' and conparentid <> 0
        and convalidated and conrelid::regclass::text like '%\\_d'";
    assert_eq!(count(&mut client, adopted), 1);
    // Without the check it is read.
    let again = format!(
        "alter table {name} detach partition {name}_d;
         alter table {name}_d drop constraint fits; {attach}"
    );
    assert_eq!(proven(&mut client, &again), [format!("verifying table \"{name}_d\"")]);
}

#[test]
fn tables_that_were_filled_beside_come_unread_with_their_foreign_keys() {
    let Some((database, name)) = with_default("fact_swap") else { return };
    let mut client = database.connect();
    let beside = format!(
        "alter table {name} detach partition {name}_d;
         create table {name}_c (like {name} including all) partition by range (k, v);
         alter table {name}_c add constraint {name}_fk foreign key (v) references app;
         create table {name}_m partition of {name}_c
           for values from ('2026-03-01', minvalue) to ('2026-04-01', minvalue);
         alter table {name}_m add constraint fits
           check (k is not null and k >= '2026-03-01' and k < '2026-04-01');
         create table {name}_r partition of {name}_c default;
         alter table {name}_r add constraint fits check (k is null or
           ((k < '2026-01-01' or k >= '2026-02-01') and (k < '2026-03-01' or k >= '2026-04-01')));
         insert into {name}_c select * from {name}_d;
         alter table {name}_c detach partition {name}_m;
         alter table {name}_c detach partition {name}_r"
    );
    client.batch_execute(&beside).unwrap();
    let attach = format!(
        "alter table {name} attach partition {name}_m
           for values from ('2026-03-01', minvalue) to ('2026-04-01', minvalue);
         alter table {name} attach partition {name}_r default"
    );
    let implied = ["m", "r"].map(|one| {
        format!(
            "partition constraint for table \"{name}_{one}\" is implied by existing constraints"
        )
    });
    assert_eq!(proven(&mut client, &attach), implied);
    // The same said range by range proves nothing of a DEFAULT partition.
    let again = format!(
        "alter table {name} detach partition {name}_r;
         alter table {name}_r drop constraint fits, add constraint fits check (
           (k is null or k < '2026-01-01' or k >= '2026-02-01')
           and (k is null or k < '2026-03-01' or k >= '2026-04-01'))"
    );
    client.batch_execute(&again).unwrap();
    let attach = format!("alter table {name} attach partition {name}_r default");
    assert_eq!(proven(&mut client, &attach), [format!("verifying table \"{name}_r\"")]);
}

#[test]
fn a_trigger_knows_the_places_of_rows() {
    let Some(database) = Database::create("fact_places") else { return };
    let mut client = database.connect();
    run_plainly(
        &database.url,
        &[
            "create table p (k int, v int) partition by range (k)",
            "create table p_d partition of p default",
            "create table p_1 partition of p for values from (1) to (2)",
            "create table seen (op text, old tid, new tid)",
            "create function see() returns trigger language plpgsql as $$ begin
               insert into seen values (tg_op, case when tg_op <> 'INSERT' then old.ctid end,
                 case when tg_op <> 'DELETE' then new.ctid end); return null; end $$",
            "create trigger see after insert or update or delete on p_d
               for each row execute function see()",
            "insert into p values (5, 1), (6, 1)",
            "update p set v = 2 where k = 6",
            "update p set k = 1 where k = 5",
            "delete from p where k = 6",
        ],
    );
    let rows = client.query("select concat_ws(' ', op, old, new) from seen", &[]).unwrap();
    let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    // A row that moves to another partition is deleted here.
    let expected =
        ["INSERT (0,1)", "INSERT (0,2)", "UPDATE (0,2) (0,3)", "DELETE (0,1)", "DELETE (0,3)"];
    assert_eq!(seen, expected);
}

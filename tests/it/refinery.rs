//! pgtune and the crate `refinery` take turns on one database: same files, rows and checksums.
//!
//! The width of a version is a compile-time choice of the crate: `refinery` is built with 64 bits,
//! `refinery_int4` (its previous release, of the same format) with 32.

use postgres::Client;

use crate::support::Database;
use crate::user_project::{Project, history};

/// The crate, by the width it was built with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Width {
    Int4,
    Int8,
}

const WIDTHS: [Width; 2] = [Width::Int4, Width::Int8];

/// Runs the crate on the project's files up to a version, as strictly as it can.
macro_rules! run_crate {
    ($refinery:ident, $project:expr, $client:expr, $to:expr) => {{
        let migrations = $refinery::load_sql_migrations($project.migrations()).unwrap();
        let runner = $refinery::Runner::new(&migrations)
            .set_abort_divergent(true)
            .set_abort_missing(true)
            .set_target($refinery::Target::Version($to));
        let report = runner.run($client).unwrap();
        let applied = runner.get_applied_migrations($client).unwrap();
        (report.applied_migrations().len(), applied.len())
    }};
}

impl Width {
    /// The crate applies what is left up to `to`: how many now, and how many there are.
    fn refinery(self, project: &Project, database: &Database, to: i32) -> (usize, usize) {
        let client = &mut database.connect();
        match self {
            Width::Int4 => run_crate!(refinery_int4, project, client, to),
            Width::Int8 => run_crate!(refinery, project, client, i64::from(to)),
        }
    }

    /// The crate's checksum of a file.
    fn checksum(self, name: &str, sql: &str) -> String {
        match self {
            Width::Int4 => refinery_int4::Migration::unapplied(name, sql).unwrap().checksum(),
            Width::Int8 => refinery::Migration::unapplied(name, sql).unwrap().checksum(),
        }
        .to_string()
    }

    fn name(self) -> &'static str {
        match self {
            Width::Int4 => "int4",
            Width::Int8 => "int8",
        }
    }

    /// pgtune applies what is left up to `to`.
    fn pgtune(self, project: &Project, to: i32) {
        let mut command = project.command(&["migrate", "--yes", "--to", &to.to_string()]);
        command.env("PGTUNE_MIGRATIONS_HISTORY_VERSION", self.name());
        crate::user_project::said(command).expect(0, &[]);
    }
}

/// File names and texts that tools read differently if they are careless.
const FILES: [(&str, &str); 8] = [
    ("V1__plain", "create table t (a int);\ninsert into t values (1);\n"),
    ("V2__windows", "create table windows (a int);\r\n-- two lines\r\ninsert into t values (2);"),
    ("V3__späte_änderung", "create table \"Größe\" (\"Maß\" text);\ncomment on table t is 'ñ';"),
    ("V4__index", "create index t_a on t (a);\n"),
    ("V005__zeros", "-- nothing but a comment\n"),
    ("V6__two", "insert into t values (6);\ncreate index on t (a, (a + 1));\nselect 1;\n"),
    ("U7__unversioned", "insert into t values (7);\n"),
    ("V8__empty", ""),
];

fn project(width: Width, first: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(&format!("{first}_{}", width.name()))?;
    for (name, sql) in FILES {
        project.migration(name, sql);
    }
    Some((project, database))
}

/// Columns and constraints of the history table.
fn table_format(client: &mut Client) -> Vec<String> {
    let sql = "
        select attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
          from pg_attribute
         where attrelid = 'refinery_schema_history'::regclass and attnum > 0
        union all
        select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
         where conrelid = 'refinery_schema_history'::regclass and contype = 'p'";
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Every row is what the crate would have written for the file.
fn check_rows(width: Width, client: &mut Client) {
    let sql = "select version::int8, name, applied_on, checksum from refinery_schema_history \
               order by version";
    let rows = client.query(sql, &[]).unwrap();
    assert_eq!(rows.len(), FILES.len());
    for ((file, text), row) in FILES.iter().zip(&rows) {
        let (version, name): (i64, &str) = (row.get(0), row.get(1));
        let stem = file.replace("V005", "V5");
        assert_eq!(stem[1..], format!("{version}__{name}"));
        assert_eq!(row.get::<_, String>(3), width.checksum(file, text), "{file}");
        assert!(row.get::<_, &str>(2).contains('T'), "{file}");
    }
}

#[test]
fn pgtune_goes_on_where_refinery_stopped_and_back() {
    let mut formats = Vec::new();
    for width in WIDTHS {
        let Some((project, database)) = project(width, "refinery_first") else { return };
        assert_eq!(width.refinery(&project, &database, 2), (2, 2));
        formats.push(table_format(&mut database.connect()));
        width.pgtune(&project, 4);
        assert_eq!(width.refinery(&project, &database, 5), (1, 5));
        width.pgtune(&project, 7);
        assert_eq!(width.refinery(&project, &database, 8), (1, 8));
        let end = project.migrate();
        assert!(end.stdout.contains("nothing to do: 8 migrations are applied"), "{end}");
        check_rows(width, &mut database.connect());
    }
    assert!(formats[0] != formats[1], "the widths differ");
}

#[test]
fn refinery_goes_on_where_pgtune_stopped_and_back() {
    for width in WIDTHS {
        let Some((project, database)) = project(width, "pgtune_first") else { return };
        width.pgtune(&project, 2);
        let ours = table_format(&mut database.connect());
        assert_eq!(width.refinery(&project, &database, 4), (2, 4));
        width.pgtune(&project, 6);
        assert_eq!(width.refinery(&project, &database, 7), (1, 7));
        width.pgtune(&project, 8);
        assert_eq!(width.refinery(&project, &database, 8), (0, 8));
        check_rows(width, &mut database.connect());

        let other = Database::create("format").unwrap();
        width.refinery(&project, &other, 1);
        assert_eq!(ours, table_format(&mut other.connect()));
    }
}

#[test]
fn an_unversioned_file_may_come_late_in_both() {
    for width in WIDTHS {
        let Some((project, database)) = Project::new("late") else { return };
        project.migration("V1__a", "select 1;").migration("V5__e", "select 5;");
        assert_eq!(width.refinery(&project, &database, 5), (2, 2));
        project.migration("U2__b", "select 2;");
        width.pgtune(&project, 9);
        project.migration("U3__c", "select 3;");
        assert_eq!(width.refinery(&project, &database, 9), (1, 4));
        assert_eq!(history(&database), ["1 a", "2 b", "3 c", "5 e"]);
        project.migration("V4__d", "select 4;");
        project.migrate().expect(1, &["V4__d: was never applied, but version 5 already is"]);
    }
}

#[test]
fn a_byte_order_mark_counts_for_both() {
    for width in WIDTHS {
        let Some((project, database)) = Project::new("mark") else { return };
        // refinery hands the mark to the server, which refuses it; pgtune takes it off.
        let text = "\u{feff}create table t (a int);\r\n";
        project.migration("V1__mark", text).migration("V2__next", "select 1;");
        width.pgtune(&project, 1);
        assert_eq!(width.refinery(&project, &database, 2), (1, 2));
        let sql = "select checksum from refinery_schema_history where version = 1";
        let checksum: String = database.connect().query_one(sql, &[]).unwrap().get(0);
        assert_eq!(checksum, width.checksum("V1__mark", text));
        project.migrate().expect(0, &[]);
    }
}

#[test]
fn both_refuse_what_the_other_calls_divergent() {
    for width in WIDTHS {
        let Some((project, database)) = Project::new("divergent") else { return };
        project.migration("V1__a", "select 1;");
        width.refinery(&project, &database, 1);
        project.migration("V1__a", "select 1;\r\n").migration("V2__b", "select 2;");
        let refused = project.migrate();
        refused.expect(1, &["V1__a.sql was changed after it was applied on 20", "pgtune repair"]);
        assert_eq!(history(&database), ["1 a"]);
    }
}

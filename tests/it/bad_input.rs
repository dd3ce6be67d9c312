//! What users write wrongly: migration files, names, profiles. Each has its exit code, names the
//! place, and leaves the database as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::Database;
use crate::user_project::{Project, Said, history, said, said_by};

/// Tables of the database besides the history.
fn tables(database: &Database) -> Vec<String> {
    let sql = "select format('%s', c.oid::regclass) from pg_class c
                 join pg_namespace n on n.oid = c.relnamespace
                where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema)'
                  and c.relname <> 'refinery_schema_history' order by 1";
    let rows = database.connect().query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Whether there is a history table.
fn has_history(database: &Database) -> bool {
    let sql = "select to_regclass('refinery_schema_history') is not null";
    database.connect().query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn what_is_no_sql_is_pointed_at_before_anything_runs() {
    let Some((project, database)) = Project::new("no_sql") else { return };
    project.migration("V1__good", "create table good (a int);");
    for (sql, place, excerpt) in [
        (
            "create table a (b int);\n\n  create tabel c (d int);\n",
            ":3:",
            "3 |   create tabel c (d",
        ),
        ("select 'no end;\n", ":1:8: this string has no end", "1 | select 'no end;\n  |        ^"),
        ("select $$\n", ":1:8: this dollar-quoted string has no end", "1 | select $$"),
        ("select 1;\n/* no end", ":2:1: this comment has no end", "2 | /* no end"),
        ("\u{feff}-- first\r\n\tselect \"x;\r\n", ":2:9: this quoted name has no end", "\"x;\n"),
        ("copy t to stdout;\n", ":1:1: COPY TO STDOUT", "1 | copy t to stdout;"),
        ("copy t from stdin;\n1\n\\.\n", ":1:1: COPY FROM STDIN", "1 | copy t from stdin;"),
        ("\\connect other\nselect 1;", ":1:1: this is a psql command", "1 | \\connect other"),
        ("select 1;\nrollback;", ":2:1: a migration cannot roll itself back", "2 | rollback;"),
        ("select 'ä', 'ö', ';\n", ":1:18: this string has no end", "  |                  ^"),
    ] {
        project.migration("V2__bad", sql);
        for arguments in [&["migrate", "--yes"][..], &["migrate", "--dry-run"]] {
            let bad = project.run(arguments);
            bad.expect(2, &["V2__bad.sql", place, excerpt]);
        }
    }
    assert!(tables(&database).is_empty() && !has_history(&database));
}

#[test]
fn what_is_not_utf8_is_pointed_at() {
    let Some((project, database)) = Project::new("latin1") else { return };
    project.migration("V1__latin", b"select 1;\nselect 'gr\xf6\xdfe';\n");
    project.migrate().expect(2, &["V1__latin.sql:2: byte 20 is not UTF-8", "iconv -f latin1"]);
    assert!(!has_history(&database));
    project.migration("V1__latin", "select 1;");
    project.profile(b"[limits]\n# gr\xf6\xdfe\n");
    project.migrate().expect(2, &["pgtune.toml: byte 13 is not UTF-8"]);
    project.profile("\u{feff}[limits]\r\nlanes = 1\r\n");
    project.migrate().expect(0, &[]);
}

#[test]
fn empty_files_and_comments_are_recorded() {
    let Some((project, database)) = Project::new("empty") else { return };
    project.migration("V1__empty", "").migration("V2__comments", "-- a\n/* b */\n;;\n");
    project.migration("V3__mark", "\u{feff}").migration("V4__lines", "\r\n\r\n");
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 empty", "2 comments", "3 mark", "4 lines"]);
    assert!(project.migrate().stdout.contains("nothing to do: 4 migrations"));
}

#[test]
fn marks_and_windows_line_ends_are_no_obstacle() {
    let Some((project, database)) = Project::new("windows") else { return };
    let sql = "\u{feff}create table t (a int);\r\n-- say;\r\ninsert into t values (1);\r\n\
               insert into nowhere values (1);\r\n";
    project.migration("V1__windows", sql);
    project.migrate().expect(3, &["V1__windows, line 4, column 13", "42P01"]);
    assert!(tables(&database).is_empty(), "rolled back");
    project.migration("V1__windows", sql.replace("nowhere", "t"));
    project.migrate().expect(0, &[]);
    assert_eq!(tables(&database), ["t"]);
}

#[test]
fn two_files_of_one_version_are_refused() {
    let Some((project, database)) = Project::new("twice") else { return };
    project.migration("V1__a", "select 1;").migration("V1__b", "select 2;");
    project.migrate().expect(1, &["V1__a.sql", "V1__b.sql have the same version"]);
    // Leading zeros do not make another number.
    fs::remove_file(project.migrations().join("V1__b.sql")).unwrap();
    project.migration("V001__c", "select 2;");
    project.migrate().expect(1, &["have the same version"]);
    assert!(!has_history(&database));
}

#[test]
fn misnamed_files_are_reported() {
    let Some((project, _database)) = Project::new("misnamed") else { return };
    project.migration("V1__good", "select 1;");
    for name in ["V1_one_underscore", "v2__lower", "notes", "V1.5__dotted", "V2__with space"] {
        project.migration(name, "this is never read");
        let first = project.migrate();
        first.expect(0, &["warning:", &format!("{name}.sql is passed over: ")]);
        fs::remove_file(project.migrations().join(format!("{name}.sql"))).unwrap();
    }
}

#[test]
fn changed_and_missing_files_are_found() {
    let Some((project, database)) = Project::new("changed") else { return };
    project.migration("V1__a", "select 1;").migration("V3__c", "select 3;");
    project.migrate().expect(0, &[]);
    project.migration("V1__a", "select 11;");
    project.migrate().expect(1, &["V1__a: ", "V1__a.sql was changed after it was applied on 2"]);
    project.migration("V1__a", "select 1;").migration("V2__b", "select 2;");
    project.migrate().expect(1, &["V2__b: was never applied, but version 3 already is"]);
    fs::remove_file(project.migrations().join("V2__b.sql")).unwrap();
    fs::remove_file(project.migrations().join("V3__c.sql")).unwrap();
    project.migrate().expect(1, &["V3__c: was applied on 2", "its file is gone"]);
    project.profile("[migrations]\nabort_missing = false\n").migration("V4__d", "select 4;");
    project.migrate().expect(0, &["warning: V3__c was applied"]);
    assert_eq!(history(&database), ["1 a", "3 c", "4 d"]);
}

#[test]
fn transactions_in_a_file_are_pgtunes_own_business() {
    let Some((project, database)) = Project::new("transactions") else { return };
    let sql = "begin;\ncreate table a (x int);\ncommit;\nstart transaction;\n\
               create table b (x int);\nend;\nselect 1 / 0;";
    project.migration("V1__boundaries", sql);
    project.migrate().expect(3, &["V1__boundaries, line 7", "22012", "was rolled back"]);
    assert!(tables(&database).is_empty(), "all of a file's transaction is rolled back");
    project.migration("V1__boundaries", sql.replace("/ 0", "/ 1"));
    let sql = "savepoint s;\ncreate table c (x int);\nrollback to s;\nrelease s;";
    project.migration("V2__savepoint", sql);
    project.migrate().expect(0, &[]);
    assert_eq!(tables(&database), ["a", "b"]);
}

#[test]
fn an_error_says_what_is_committed() {
    let Some((project, database)) = Project::new("committed") else { return };
    let sql = "create table a (x int);\n\ncreate index a_x on a (x);\n\
               insert into a\n  values (1), ('zwei');\nselect 4;\nselect 5;\n";
    project.migration("V1__five", sql).migration("V2__never", "select 1;");
    let failed = project.migrate();
    failed.expect(
        3,
        &[
            "V1__five, line 5, column 16",
            "22P02",
            "the statement: insert into a values (1), ('zwei')",
            "this transaction was rolled back; the steps before it are committed",
        ],
    );
    assert!(tables(&database).is_empty() && history(&database).is_empty());

    project.migration("V1__five", "create table a (x int);");
    project.migration("V2__never", "create index concurrently a_x on a (x);\nselect 1;\nselect y;");
    project.migrate().expect(3, &["V2__never, line 3, column 8", "42703"]);
    assert_eq!(history(&database), ["1 five"]);
    project.migration(
        "V2__never",
        "create index concurrently a_x on a (x);\nselect 1;\nselect x from a;",
    );
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 five", "2 never"]);
}

#[test]
fn an_edit_of_an_executed_statement_is_refused() {
    let Some((project, database)) = Project::new("edited") else { return };
    let sql = "create table a (x int);\nalter type t add value 'b';\nselect 'b'::t;\n";
    database.connect().batch_execute("create type t as enum ('a')").unwrap();
    project.migration("V1__half", sql.replace("select 'b'", "select 'c'"));
    project.migrate().expect(3, &["V1__half, line 3", "22P02", "steps before it are committed"]);
    assert_eq!(tables(&database), ["a", "pgtune_state.migration_progress"]);
    project.migration("V1__half", sql.replace("(x int)", "(x bigint)"));
    let refused = project.migrate();
    refused.expect(1, &["statement 1 (", "V1__half.sql:1) was executed, and was edited since"]);
    project.migration("V1__half", sql);
    project.migrate().expect(0, &[]);
    assert_eq!(history(&database), ["1 half"]);
}

#[test]
fn an_edit_after_a_kill_is_refused() {
    let Some((project, database)) = Project::new("killed") else { return };
    database.connect().batch_execute("create table t (a int)").unwrap();
    let sql = "insert into t values (1);\ncreate index t_a on t (a);\ninsert into t values (2);";
    project.migration("V1__half", sql);
    let progress = || {
        let sql = "select to_regclass('pgtune_state.migration_progress') is not null";
        database.connect().query_one(sql, &[]).unwrap().get::<_, bool>(0)
    };
    let mut event = 1;
    while !progress() || history(&database).is_empty() {
        assert!(event < 30, "the run ends");
        let mut command = project.command(&["migrate", "--yes"]);
        command.env("PGTUNE_FAULT", event.to_string());
        said(command);
        event += 1;
        let rows = "select count(*) from t";
        let inserted: i64 = database.connect().query_one(rows, &[]).unwrap().get(0);
        if inserted == 1 && progress() {
            break;
        }
    }
    project.migration("V1__half", sql.replace("(1)", "(3)"));
    project.migrate().expect(1, &["statement 1 (", "was executed, and was edited since"]);
    // What was not executed yet may still be edited.
    project.migration("V1__half", sql.replace("(2)", "(4)"));
    project.migrate().expect(0, &[]);
    let sum = "select sum(a)::int4, count(*)::int4 from t";
    let row = database.connect().query_one(sum, &[]).unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (5, 2));
}

#[test]
fn settings_of_a_file_do_not_leak() {
    let Some((project, database)) = Project::new("leak") else { return };
    database
        .connect()
        .batch_execute(
            "
        create role leak_role; create schema other; create schema theirs authorization leak_role
    ",
        )
        .unwrap();
    let check = "do $$ begin
        assert current_user = session_user, 'role ' || current_user;
        assert current_setting('search_path') = '\"$user\", public', 'search_path';
        assert current_setting('lock_timeout') <> '7s', 'lock_timeout';
        assert current_setting('work_mem') <> '77kB', 'work_mem';
        assert current_setting('standard_conforming_strings') = 'on', 'strings';
    end $$;\ncreate table at_NUMBER (a int);";
    for (version, sql) in [
        (1, "set role leak_role;\ncreate table theirs.a (a int);"),
        (3, "set search_path to other;\ncreate table b (a int);"),
        (
            5,
            "set lock_timeout = '7s';\nset work_mem = '77kB';\n\
             set standard_conforming_strings = off;",
        ),
        (
            7,
            "select pg_catalog.set_config('search_path', 'other', false);\ncreate table c (a int);",
        ),
        (9, "select 1;\ndiscard all;\ncreate table d (a int);"),
        (11, "set session authorization leak_role;\ncreate table theirs.e (a int);"),
        (13, "set search_path = '';\ncreate index concurrently a_a on theirs.a (a);\nselect 1;"),
        (15, "do $$ begin set role leak_role; end $$;\ncreate table theirs.f (a int);"),
        (17, "begin;\nset local role leak_role;\ncreate table theirs.g (a int);\ncommit;"),
    ] {
        project.migration(&format!("V{version}__sets"), sql);
        let next = version + 1;
        project.migration(&format!("V{next}__check"), check.replace("NUMBER", &next.to_string()));
        let ran = project.migrate();
        assert_eq!(ran.code, 0, "{sql}\n{ran}");
    }
    assert_eq!(history(&database).len(), 18);
    let tables = tables(&database);
    for name in ["at_2", "at_18", "d", "other.b", "other.c", "theirs.a", "theirs.f", "theirs.g"] {
        assert!(tables.contains(&name.to_string()), "{name} in {tables:?}");
    }
}

#[test]
fn a_role_of_the_profile_holds_in_every_file() {
    let Some((project, database)) = Project::new("role") else { return };
    database
        .connect()
        .batch_execute(
            "
        create role \"Owner; drop\"; grant all on schema public to \"Owner; drop\";
        do $$ begin execute format('grant create on database %I to \"Owner; drop\"',
            current_database()); end $$",
        )
        .unwrap();
    project.profile("[database]\nrole = \"Owner; drop\"\n");
    project.migration("V1__a", "create table a (x int);\ndiscard all;\ncreate table b (x int);");
    project
        .migration("V2__c", "reset role;\nselect 1;")
        .migration("V3__d", "create table d (x int);");
    project.migrate().expect(0, &[]);
    let sql =
        "select count(*) from pg_tables where schemaname = 'public' and tableowner = 'Owner; drop'";
    assert_eq!(database.connect().query_one(sql, &[]).unwrap().get::<_, i64>(0), 4);
}

#[test]
fn a_failure_at_commit_is_not_blamed_on_a_statement_alone() {
    let Some((project, database)) = Project::new("commit") else { return };
    let sql = "create table a (x int primary key);\n\
               create table b (x int references a deferrable initially deferred);\n\
               insert into b values (1);\nselect 'innocent';";
    project.migration("V1__deferred", sql);
    project.migrate().expect(3, &["23503", "line 4 or the commit behind it", "was rolled back"]);
    assert!(tables(&database).is_empty() && history(&database).is_empty());
}

#[test]
fn what_the_server_remarks_is_shown() {
    let Some((project, _database)) = Project::new("remarks") else { return };
    let sql = "do $$ begin raise warning 'three rows look odd'; raise notice 'two moved'; end $$;\n\
               create table if not exists t (a int);\ndrop table if exists nothing_here;";
    project.migration("V1__remarks", sql);
    let ran = project.migrate();
    ran.expect(
        0,
        &[
            "warning: V1__remarks (3 statements): three rows look odd",
            "notice: V1__remarks (3 statements): two moved",
            "table \"nothing_here\" does not exist",
        ],
    );
    assert!(!ran.stdout.contains("odd"), "{ran}");
}

#[test]
fn strange_names_work_and_cannot_inject() {
    let Some((project, database)) = Project::new("names") else { return };
    let longest = "é".repeat(31) + "x";
    let evil = "a\"; drop table keep; --";
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names = [longest.as_str(), evil, "select", "UPPER", "with space", "o'clock", "$$", "\\x"];
    project.migration("V1__keep", "create table keep (a int);");
    for (version, name) in names.iter().enumerate() {
        let name = quoted(name);
        let sql = format!("create table {name} ({name} int);\n");
        project.migration(&format!("V{}__table", version * 2 + 2), sql);
        let sql = format!("create index on {name} ({name});\nselect 1;");
        project.migration(&format!("V{}__index", version * 2 + 3), sql);
    }
    let dry = project.run(&["migrate", "--dry-run", "--sql"]);
    dry.expect(0, &[]);
    project.migrate().expect(0, &[]);
    let made = tables(&database);
    assert_eq!(made.len(), names.len() + 2, "{made:?}");
    let sql = "select count(*) from pg_index where indisvalid and indrelid::regclass::text in
        (select format('%s', oid::regclass) from pg_class where relkind = 'r'
          and relnamespace = 'public'::regnamespace and relname not like 'refinery%')";
    assert_eq!(
        database.connect().query_one(sql, &[]).unwrap().get::<_, i64>(0),
        names.len() as i64
    );
    assert!(project.migrate().stdout.contains("nothing to do"));
}

#[test]
fn names_of_64_bytes_are_cut_as_the_server_cuts_them() {
    let Some((project, database)) = Project::new("cut") else { return };
    let long = "n".repeat(64);
    project.migration("V1__table", format!("create table {long} (a int);"));
    let index = "i".repeat(64);
    project.migration("V2__index", format!("create index {index} on {long} (a);\nselect 1;"));
    project.migrate().expect(0, &["notice: V1__table (line 1): identifier", "will be truncated"]);
    assert_eq!(tables(&database), ["n".repeat(63)]);
    assert!(project.migrate().stdout.contains("nothing to do"));
}

#[test]
fn history_tables_with_strange_names() {
    let Some((project, database)) = Project::new("history_names") else { return };
    database
        .connect()
        .batch_execute("create schema \"My Schema\"; create table keep (a int)")
        .unwrap();
    project.migration("V1__a", "create table a (x int);\ncreate index concurrently on a (x);");
    let longest = "h".repeat(63);
    for (written, found) in [
        (
            "\\\"My Schema\\\".\\\"x'; drop table keep; --\\\"",
            "\"My Schema\".\"x'; drop table keep; --\"",
        ),
        (longest.as_str(), longest.as_str()),
    ] {
        project.profile(format!("[migrations]\nhistory_table = \"{written}\"\n"));
        project.migration("V1__a", format!("select '{}';", written.len()));
        project.migrate().expect(0, &[]);
        let sql = format!("select count(*) from {found}");
        assert_eq!(database.connect().query_one(&sql, &[]).unwrap().get::<_, i64>(0), 1);
    }
    assert!(tables(&database).contains(&"keep".to_string()));
    for (written, code, said) in [
        ("x; drop table keep", 2, "is no table name"),
        ("a.b.c", 2, "is no table name"),
        ("", 2, "is no table name"),
        ("nowhere.history", 3, "3F000"),
        ("keep", 2, "is no history table"),
    ] {
        project.profile(format!("[migrations]\nhistory_table = \"{written}\"\n"));
        let bad = project.migrate();
        bad.expect(code, &[said]);
    }
}

#[test]
fn profiles_that_are_wrong() {
    let Some((project, database)) = Project::new("profiles") else { return };
    project.migration("V1__a", "select 1;");
    for (text, texts) in [
        ("[limit]\nlanes = 2\n", &["pgtune.toml:1", "did you mean `limits`"][..]),
        ("[limits]\nlaness = 2\n", &["pgtune.toml:2", "did you mean `lanes`"]),
        ("[limits]\nlanes = \"two\"\n", &["pgtune.toml:2"]),
        ("[limits]\nlock_budget = \"2 parsecs\"\n", &["pgtune.toml:2"]),
        ("[limits\nlanes = 2\n", &["pgtune.toml:1"]),
        ("[migrations]\nfolder = \"elsewhere\"\n", &["elsewhere", "migrations.folder"]),
    ] {
        let code = if text.contains("elsewhere") { 6 } else { 2 };
        project.profile(text);
        project.migrate().expect(code, texts);
    }
    project.profile("[env.prod.limits]\nlanes = 1\n");
    project.run(&["migrate", "--yes", "--env", "prd"]).expect(2, &["prd", "prod"]);
    project.run(&["migrate", "--yes", "--profile", "no.toml"]).expect(2, &["no.toml", "init"]);
    assert!(!has_history(&database));
}

#[test]
fn what_may_not_be_read_is_an_error_of_the_system() {
    use std::os::unix::process::CommandExt;
    let Some((project, _database)) = Project::new("unreadable") else { return };
    project.migration("V1__a", "select 1;").profile("");
    let root = project.folder.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    let as_nobody = || -> Said {
        let mut command = project.command(&["migrate", "--yes"]);
        command.env("HOME", "/").uid(65534).gid(65534);
        said(command)
    };
    for name in ["pgtune.toml", "migrations", "migrations/V1__a.sql"] {
        let path = root.join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        let is_root =
            fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        let ran = if is_root { as_nobody() } else { project.migrate() };
        fs::set_permissions(&path, before).unwrap();
        ran.expect(6, &["cannot read", name, "ermission denied"]);
    }
}

/// Runs the migrations and measures: the time, and the peak memory in MiB where Linux tells.
fn measured(project: &Project) -> (Said, Duration, u64) {
    let begin = Instant::now();
    let mut child = project.start_migrate();
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    (said_by(child), begin.elapsed(), peak_kib / 1024)
}

#[test]
fn a_file_of_50_megabytes() {
    let Some((project, database)) = Project::new("big") else { return };
    database.connect().batch_execute("create table t (a int, b text)").unwrap();
    let size = 50 * 1024 * 1024;
    let row = format!("(1, '{}')", "x".repeat(1_000));
    let rows = size / row.len();
    let one = format!("insert into t values {};\n", vec![row.as_str(); rows].join(",\n"));
    let many = format!("insert into t values {row};\n").repeat(rows);
    let short = "insert into t values (1, 'short');\n".repeat(20_000);
    for (version, name, sql) in [(1, "one statement", one), (2, "many", many), (3, "short", short)]
    {
        project.migration(&format!("V{version}__big"), &sql);
        let (ran, elapsed, peak) = measured(&project);
        ran.expect(0, &[]);
        let text = format!(
            "{name}: {} MiB in {:.1} s, peak memory {peak} MiB\n",
            sql.len() / 1024 / 1024,
            elapsed.as_secs_f64()
        );
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
        assert!(elapsed < Duration::from_secs(120) && peak < 600, "{text}");
    }
}

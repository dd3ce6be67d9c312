//! Runs that are stopped: killed, cancelled, cut off from the server. The next run goes on.

use postgres::Client;

use crate::oracle::same;
use crate::project::{
    Migration, Project, check_clean, dump, eventually_some, invalid_indexes, run_plainly,
};
use crate::support::{Database, Holder, connect, debug_server, eventually, server};

const BEFORE: &[&str] = &["create table t (a int)", "insert into t values (1), (2)"];
const MIGRATIONS: &[Migration<'static>] = &[("V1__index", &["create index t_a on t (a)"])];

/// Builds that wait for the transactions of others.
const WAITING_BUILDS: &str = "select count(*) from pg_stat_activity a
     join pg_stat_progress_create_index p using (pid)
     where a.datname = current_database() and p.phase like 'waiting%'
     and a.wait_event_type = 'Lock'";

/// A database whose table somebody has written to without an end, and a build that waits for it.
struct Waiting {
    database: Database,
    project: Project,
    holder: Client,
    looker: Client,
}

impl Waiting {
    fn new(test: &str) -> Option<Waiting> {
        let database = Database::create(test)?;
        run_plainly(&database.url, BEFORE);
        let project = Project::with(&database.url, MIGRATIONS);
        let mut holder = database.connect();
        holder.batch_execute("set application_name = 'a writer'; begin").unwrap();
        holder.batch_execute("insert into t values (3)").unwrap();
        let looker = database.connect();
        Some(Waiting { database, project, holder, looker })
    }

    fn build_waits(&mut self) {
        eventually_some(&mut self.looker, "the build waits", WAITING_BUILDS);
    }

    fn check_converges(mut self) {
        self.holder.batch_execute("commit").unwrap();
        self.project.apply();
        self.check_done();
    }

    fn check_done(self) {
        let plain = Database::create("stops_plain").unwrap();
        run_plainly(&plain.url, &[BEFORE, MIGRATIONS[0].1].concat());
        same(&dump(&self.database.url), &dump(&plain.url));
        check_clean(&self.database.url, MIGRATIONS);
        self.project.apply_nothing();
    }
}

#[test]
fn killed_while_a_build_waits() {
    let Some(mut waiting) = Waiting::new("killed_while") else { return };
    let first = waiting.project.start();
    waiting.build_waits();
    first.signal("KILL");
    assert_eq!(first.finish().code, None);
    let mut second = waiting.project.start();
    second.says("waiting for a session of an earlier run: pid ");
    assert!(second.is_running());
    waiting.holder.batch_execute("commit").unwrap();
    let outcome = second.finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    waiting.check_done();
}

#[test]
fn cancelled_while_a_build_waits() {
    for signal in ["INT", "TERM"] {
        let Some(mut waiting) = Waiting::new("cancelled_while") else { return };
        // Somebody who only looks does not stop the invalid index from being dropped.
        waiting.holder.batch_execute("commit; begin isolation level repeatable read").unwrap();
        waiting.holder.batch_execute("select 1").unwrap();
        let run = waiting.project.start();
        waiting.build_waits();
        run.says("waiting  build index t_a on public.t for pid ");
        run.signal(signal);
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        assert!(outcome.stderr.contains("interrupted"), "{outcome:?}");
        assert!(outcome.stderr.contains("a writer"), "{outcome:?}");
        assert_eq!(invalid_indexes(&mut waiting.looker), Vec::<String>::new());
        waiting.check_converges();
    }
}

#[test]
fn cancelled_twice() {
    let Some(mut waiting) = Waiting::new("cancelled_twice") else { return };
    let run = waiting.project.start();
    waiting.build_waits();
    run.signal("TERM");
    // The clean-up waits for the writer; the second signal does not.
    let drops = "select count(*) from pg_stat_activity
         where datname = current_database() and query like 'DROP INDEX%' and state = 'active'";
    eventually_some(&mut waiting.looker, "the clean-up waits", drops);
    run.signal("TERM");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    waiting.check_converges();
}

#[test]
fn the_building_backend_is_terminated() {
    let Some(mut waiting) = Waiting::new("terminated") else { return };
    let run = waiting.project.start();
    waiting.build_waits();
    let terminate = "select pg_terminate_backend(pid) from pg_stat_progress_create_index
         where datname = current_database()";
    waiting.looker.execute(terminate, &[]).unwrap();
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("the next run will know"), "{outcome:?}");
    waiting.check_converges();
}

#[test]
fn the_server_ends_during_a_statement() {
    if server().is_none() {
        return;
    }
    let temp = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    let mut command = debug_server();
    command.env("TMPDIR", temp.path());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(temp.path(), open).unwrap();
    let own = Holder::start(command).unwrap();
    run_plainly(&own.url, BEFORE);
    let project = Project::with(&own.url, &[("V1__sleep", &["select pg_sleep(600)"])]);
    let run = project.start();
    let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    eventually_some(&mut connect(&own.url), "the statement runs", sleeps);
    own.release();
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("run the same command again"), "{outcome:?}");
    let outcome = project.migrate(&["--yes"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
}

#[test]
fn a_build_that_waits_too_long_is_taken_back() {
    let Some(mut waiting) = Waiting::new("waits_too_long") else { return };
    waiting.holder.batch_execute("commit; begin isolation level repeatable read").unwrap();
    waiting.holder.batch_execute("select 1").unwrap();
    waiting.project = waiting.project.variable("PGTUNE_LIMITS_BUILD_WAIT", "1s");
    let outcome = waiting.project.migrate(&["--yes"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let pid = waiting.holder.query_one("select pg_backend_pid()", &[]).unwrap().get::<_, i32>(0);
    let error = outcome.stderr.split("error:").nth(1).unwrap();
    assert!(error.contains(&format!("waited longer than 1s for pid {pid} (a writer")), "{error}");
    assert_eq!(invalid_indexes(&mut waiting.looker), Vec::<String>::new());
    waiting.check_converges();
}

#[test]
fn an_index_that_cannot_be_dropped_is_named() {
    let Some(mut waiting) = Waiting::new("left_invalid") else { return };
    waiting.project = waiting.project.variable("PGTUNE_LIMITS_BUILD_WAIT", "1s");
    // A writer is in the way of the build, and of dropping what it leaves.
    let outcome = waiting.project.migrate(&["--yes"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("public.t_a is left invalid"), "{outcome:?}");
    assert_eq!(invalid_indexes(&mut waiting.looker), ["t_a"]);
    waiting.check_converges();
}

#[test]
fn a_cancelled_statement_is_rolled_back() {
    let Some(database) = Database::create("cancelled_statement") else { return };
    let statements = ["create table done (a int)", "select pg_sleep(600)"];
    let project = Project::with(&database.url, &[("V1__sleep", &statements)]);
    let run = project.start();
    let mut looker = database.connect();
    let sleeps = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event = 'PgSleep'";
    eventually_some(&mut looker, "the statement runs", sleeps);
    run.signal("INT");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(outcome.stderr.contains("was rolled back"), "{outcome:?}");
    let tables = "select count(*) from pg_class where relname = 'done'";
    eventually("nothing is half-done", || crate::project::count(&mut looker, tables) == 0);
}

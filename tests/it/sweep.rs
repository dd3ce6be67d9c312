//! Death at every event: the process aborts before it handles its first, second, … event, and the
//! next run must lead to what an undisturbed run leads to.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::oracle::same;
use crate::project::{Migration, Project, check_clean, described, run_plainly};
use crate::support::{Database, say};

/// How many sweeps go on side by side.
const LANES: u32 = 4;
/// No example has more events; one that never survives must not run for ever.
const EVENTS_MAX: u32 = 300;

/// Sweeps over all events of one run of `migrations` on a database that `before` made.
fn sweep(test: &str, before: &[&str], migrations: &[Migration<'_>]) {
    let Some(template) = Database::create(test) else { return };
    run_plainly(&template.url, before);
    let expected = {
        let database = template.copy();
        Project::with(&database.url, migrations).apply();
        described(&mut database.connect())
    };
    let (next, survived_at) = (AtomicU32::new(1), AtomicU32::new(u32::MAX));
    let lane = || loop {
        let event = next.fetch_add(1, Ordering::Relaxed);
        if event > survived_at.load(Ordering::Relaxed) {
            return;
        }
        assert!(event <= EVENTS_MAX, "event {event}, and it still dies");
        if die_at(event, &template, migrations, &expected) == Death::Survived {
            survived_at.fetch_min(event, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let events = survived_at.load(Ordering::Relaxed) - 1;
    assert!(events > 10, "only {events} events");
    say(&format!("{test}: died at each of {events} events"));
}

#[derive(PartialEq, Eq)]
enum Death {
    Died,
    Survived,
}

/// Dies at one event of a run on a fresh database, runs again, and compares.
fn die_at(event: u32, template: &Database, migrations: &[Migration<'_>], expected: &str) -> Death {
    let database = template.copy();
    let project = Project::with(&database.url, migrations);
    let mut command = project.command(&["--yes"]);
    let died = command.env("PGTUNE_FAULT", event.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&died.stderr).into_owned();
    assert!(died.status.code().is_none_or(|code| code == 0), "event {event}: {said}");
    project.apply();
    same(&described(&mut database.connect()), expected);
    check_clean(&database.url, migrations);
    project.apply_nothing();
    database.drop();
    if died.status.success() { Death::Survived } else { Death::Died }
}

const TREE: &[&str] = &[
    "create table p (a int, b int, c text) partition by list (a)",
    "create table p_1 partition of p for values in (1)",
    "create table p_2 partition of p for values in (2) partition by hash (b)",
    "create table p_2_0 partition of p_2 for values with (modulus 1, remainder 0)",
    "insert into p select i % 2 + 1, i, 'c' from generate_series(1, 20) i",
];

#[test]
fn indexes_of_partitions() {
    // The parent's index is broken: one leaf is invalid and attached, another is missing.
    let broken = [
        "create index p_b on p (b)",
        "update pg_index set indisvalid = false
           where indexrelid in ('p_b'::regclass, 'p_1_b_idx'::regclass)",
        "create table loose (a int, b int)",
        "create index loose_b on loose (b)",
        "update pg_index set indisvalid = false where indexrelid = 'loose_b'::regclass",
        "alter table p attach partition p_3 for values in (3)",
    ];
    let before = [TREE, &["create table p_3 (a int, b int, c text)"], &broken[..5]].concat();
    let migrations: &[Migration<'_>] = &[
        ("V1__repair", &["create index p_b on p (b)", "create index loose_b on loose (b)"]),
        ("V2__unnamed", &["create index on p (c)", "create index on loose (a)", broken[5]]),
    ];
    sweep("sweep_indexes", &before, migrations);
}

#[test]
fn keys_of_partitions() {
    let pending = [
        "create table p_9 partition of p for values in (9)",
        "update pg_inherits set inhdetachpending = true where inhrelid = 'p_9'::regclass",
    ];
    let before = [TREE, &pending].concat();
    let migrations: &[Migration<'_>] = &[
        ("V1__key", &["alter table p add constraint p_key primary key (a, b)"]),
        ("V2__more", &["alter table p add unique (b, a)", "insert into p values (1, 99)"]),
    ];
    sweep("sweep_keys", &before, migrations);
}

#[test]
fn statements_alone_and_together() {
    let before = [TREE, &["create table t (a int)", "create index t_a on t (a)"]].concat();
    let migrations: &[Migration<'_>] = &[
        (
            "V1__mixed",
            &[
                "create type mood as enum ('ok')",
                "alter type mood add value 'odd'",
                "create table m (m mood default 'odd')",
                "vacuum t",
                "set search_path = public",
                "reindex table t",
                "drop index t_a",
                "alter table t add column b int",
            ],
        ),
        (
            "V2__detach",
            &[
                "alter table p detach partition p_1 concurrently",
                "create index on t (a, b)",
                "alter table p attach partition p_1 for values in (1)",
                "alter table t add primary key (a)",
            ],
        ),
    ];
    sweep("sweep_mixed", &before, migrations);
}

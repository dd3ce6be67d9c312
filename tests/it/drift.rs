//! Production beside what its migrations make.

use std::path::Path;

use serde_json::Value;

use crate::support::Database;
use crate::user_project::{Project, skipped};

const MADE: &str = "\
create table kinds (kind text primary key);
create table orders (
  id bigint generated always as identity primary key,
  kind text not null references kinds,
  state varchar(10) not null default 'new',
  amount int not null default 0,
  note text,
  constraint state_known check (state in ('new', 'paid', 'sent'))
);
create index orders_kind_idx on orders (kind);
create index orders_state_idx on orders (state) where state in ('new', 'paid');
create index orders_note_idx on orders (note);
create table events (at timestamptz not null, kind text references kinds) partition by range (at);
create index events_kind_idx on events (kind);
create table events_2026 partition of events
  for values from ('2026-01-01Z') to ('2027-01-01Z');
";

/// What somebody did by hand, each line a difference.
const BY_HAND: &str = "
alter table orders alter column amount type bigint;
alter table orders alter column note set default '', alter column note set not null;
alter table orders add column extra int;
alter table orders drop constraint orders_kind_fkey;
alter table orders add constraint amount_sane check (amount >= 0);
drop index orders_note_idx;
create index orders_amount_idx on orders (amount);
create table notes (id bigint primary key, body text);
drop table kinds cascade;
";

/// What is no difference: names, another index of the same kind being the only one, what pgtune
/// makes, partitions, and those that rotation has detached.
const SAME: &str = "
alter index orders_kind_idx rename to by_kind;
alter table orders rename constraint orders_kind_fkey to has_kind;
create table events_2027 partition of events for values from ('2027-01-01Z') to ('2028-01-01Z');
create index on events_2027 (at);
create table events_2025 (at timestamptz not null, kind text);
create schema pgtune_state;
create table pgtune_state.something (a int);
alter table orders add constraint pgtune_not_null check (id is not null) not valid;
";

const PROFILE: &str = "[[partitions]]\ntable = \"events\"\ninterval = \"year\"\nahead = 0\n";

/// A project whose production was made by a first migration and then changed.
fn project(test: &str, changed: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    project.profile("").migration("V1__made", MADE);
    project.migrate().expect(0, &[]);
    database.connect().batch_execute(changed).unwrap();
    take(&project)?;
    Some((project, database))
}

/// Takes a snapshot; `None` without a `pg_dump`.
fn take(project: &Project) -> Option<()> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join(".postgres/client/bin/pg_dump");
    let program = client.to_string_lossy().into_owned();
    let mut arguments = vec!["snapshot", "take", "prod.json"];
    if client.exists() {
        arguments.extend(["--pg-dump", &program]);
    }
    let taken = project.run(&arguments);
    taken.expect(0, &[]);
    if taken.stdout.contains("there is no pg_dump") {
        skipped("drift beside a snapshot's schema");
        return None;
    }
    project.profile(PROFILE);
    Some(())
}

/// The findings about drift: `check subject: message`.
fn drift(project: &Project) -> Vec<String> {
    let said = project.run(&["check", "--snapshot", "prod.json", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let sections = json["sections"].as_array().unwrap().iter();
    let findings = sections.filter(|section| section["kind"] == "findings");
    let findings = findings.flat_map(|section| section["findings"].as_array().unwrap());
    let word = |value: &Value| value.as_str().unwrap().to_string();
    let shown = findings.filter(|one| word(&one["check"]).starts_with("drift")).map(|one| {
        let [check, subject, message] = ["check", "subject", "message"].map(|key| word(&one[key]));
        format!("{check} {subject}: {message}")
    });
    shown.collect()
}

#[test]
fn each_difference_is_told_once() {
    let Some((project, _database)) = project("drift", BY_HAND) else { return };
    project.migration("V2__more", "create table more (id bigint primary key);");
    let expected = "\
drift public.notes: the table is in production and no migration makes it
drift public.kinds: the migrations make the table and production has none
drift public.orders: column amount has type bigint in production and integer by the migrations
drift public.orders: column extra is in production and no migration makes it
drift public.orders: column note is NOT NULL in production and not by the migrations; has the \
default \
''::text in production and no default by the migrations
drift public.orders_amount_idx: the index on public.orders is in production and no migration makes \
it: USING btree (amount)
drift public.orders_note_idx: the index on public.orders is made by the migrations and not in \
production: USING btree (note)
drift public.orders: the constraint amount_sane is in production and no migration makes it: CHECK \
((amount >= 0))
drift public.events: the constraint events_kind_fkey is made by the migrations and not in \
production: FOREIGN KEY (kind) REFERENCES kinds(kind)
drift public.orders: the constraint orders_kind_fkey is made by the migrations and not in \
production: FOREIGN KEY (kind) REFERENCES kinds(kind)";
    assert_eq!(drift(&project), expected.lines().collect::<Vec<_>>());
    // One that mends some of it is not scolded for the rest of its way.
    project.migration(
        "V2__more",
        "create table if not exists notes (id bigint primary key, body text);\n\
         create index if not exists orders_amount_idx on orders (amount);\n\
         create index if not exists orders_note_idx on orders (note);\n\
         alter table orders alter amount type bigint, alter note set default '',\n  \
           alter note set not null, add column if not exists extra int;\n",
    );
    let left = drift(&project);
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.iter().all(|one| one.contains("constraint") || one.contains("kinds")), "{left:?}");
}

#[test]
fn what_is_the_same_under_another_name_or_pgtunes_own_is_none() {
    let Some((project, database)) = project("drift_same", SAME) else { return };
    assert_eq!(drift(&project), Vec::<String>::new());
    let many: String = (0..30).map(|n| format!("create table t{n} (a int);")).collect();
    database.connect().batch_execute(&many).unwrap();
    project.profile("");
    if take(&project).is_none() {
        return;
    }
    let told = drift(&project);
    assert_eq!(told.len(), 21, "{told:?}");
    let more = "drift the database: 10 more differences between production and what the \
                migrations make";
    assert_eq!(told[20], more);
}

#[test]
fn migrations_that_began_on_a_schema_cannot_tell() {
    let Some((project, database)) = Project::new("drift_begun") else { return };
    database.connect().batch_execute("create table old (a int)").unwrap();
    project.profile("").migration("V1__on_old", "alter table old add column b int;");
    project.migrate().expect(0, &[]);
    if take(&project).is_none() {
        return;
    }
    project.profile("").migration("V2__more", "create table more (id bigint primary key);");
    let told = drift(&project);
    let [only] = told.as_slice() else { panic!("{told:?}") };
    let begins = "drift-unknown the database: whether it is what the migrations make cannot be \
                  told: the migrations do not run on an empty database: V1__on_old";
    assert!(only.starts_with(begins) && only.contains("old"), "{only}");
    project.run(&["check", "--snapshot", "prod.json"]).expect(0, &[]);
}

//! The planner without a server: cases to read in `cases/`, and properties over random catalogs.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::model::catalog::{Index, IndexDefinition, Partition, Relation, RelationKind};
use crate::model::ident::Ident;
use crate::runbook::action::apply_all;
use crate::runbook::history::What;
use crate::runbook::{Stage, Step, print};
use crate::sql;

fn migration(stem: &str, text: &str) -> Migration {
    let id = MigrationId::from_file_stem(stem).unwrap();
    let checksums = Checksums::of(&id, text);
    let path = format!("{stem}.sql");
    let statements = sql::parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    Migration { id, path, checksums, statements }
}

fn planned(migrations: &[Migration], catalog: &Catalog) -> Planned {
    planned_by(plan, migrations, catalog)
}

fn planned_by(
    plan: fn(&Goal<'_>, &Catalog) -> Planned,
    migrations: &[Migration],
    catalog: &Catalog,
) -> Planned {
    let goal = Goal {
        migrations,
        history_table: name("refinery_schema_history"),
        history_width: VersionWidth::Int4,
        limits: &Limits::default(),
    };
    plan(&goal, catalog)
}

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn name(table: &str) -> QualifiedName {
    QualifiedName::new(ident("public"), ident(table))
}

/// Each folder of `cases/` holds a catalog (`pgtune debug catalog` prints one), migrations, and
/// the runbook they come to. `UPDATE=1` writes the runbooks anew.
#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/planner/cases");
    let mut count = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        let catalog = std::fs::read_to_string(case.join("catalog.json")).unwrap();
        let catalog: Catalog = serde_json::from_str(&catalog).unwrap();
        let planned = planned(&migrations_in(&case), &catalog);
        let findings = planned.findings.iter().map(|f| format!("{}: {}\n", f.check, f.message));
        let text = print::overview(&planned.runbook) + &findings.collect::<String>();
        let path = case.join("runbook.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: UPDATE=1 writes it anew", case.display());
        count += 1;
    }
    assert!(count >= 5, "{count} cases");
}

fn migrations_in(case: &Path) -> Vec<Migration> {
    let mut files: Vec<_> = std::fs::read_dir(case).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        migration(stem, &std::fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

fn relation(kind: RelationKind, parent: Option<&str>, not_null: bool) -> Relation {
    Relation {
        kind,
        partition_of: parent.map(|parent| Partition {
            parent: name(parent),
            bound: String::new(),
            detach_pending: false,
        }),
        not_null: if not_null { vec![ident("a")] } else { Vec::new() },
        size_bytes: 8192,
        ..Relation::empty(kind)
    }
}

/// What a random leaf has of the index on (a).
#[derive(Debug, Clone, Copy)]
enum Has {
    Nothing,
    Valid,
    Invalid,
    Other,
}

fn index(table: &str, has: Has) -> Option<(QualifiedName, Index)> {
    let (column, valid) = match has {
        Has::Nothing => return None,
        Has::Valid => ("a", true),
        Has::Invalid => ("a", false),
        Has::Other => ("b", true),
    };
    let index = Index {
        table: name(table),
        definition: IndexDefinition {
            unique: false,
            using: format!("USING btree ({column})"),
            columns: vec![ident(column)],
        },
        valid,
        builder_pid: None,
        parent: None,
        constraint: None,
        size_bytes: 0,
    };
    Some((name(&format!("{table}_odd_name")), index))
}

fn has() -> impl Strategy<Value = Has> {
    prop_oneof![Just(Has::Nothing), Just(Has::Valid), Just(Has::Invalid), Just(Has::Other)]
}

/// A plain table, a partitioned one with leaves and a partitioned partition with leaves.
fn catalog() -> impl Strategy<Value = Catalog> {
    (proptest::collection::vec(has(), 0..6), any::<bool>(), any::<bool>()).prop_map(
        |(leaves, not_null, pending)| {
            let mut catalog = Catalog { search_path: vec![ident("public")], ..Catalog::default() };
            let mut add = |table: &str, kind, parent: Option<&str>| {
                catalog.relations.insert(name(table), relation(kind, parent, not_null));
            };
            add("plain", RelationKind::Table, None);
            add("top", RelationKind::PartitionedTable, None);
            add("middle", RelationKind::PartitionedTable, Some("top"));
            for number in 0..leaves.len() {
                let parent = if number % 2 == 0 { "top" } else { "middle" };
                add(&format!("leaf{number}"), RelationKind::Table, Some(parent));
            }
            for (number, has) in leaves.iter().enumerate() {
                catalog.indexes.extend(index(&format!("leaf{number}"), *has));
            }
            catalog.indexes.extend(index("plain", Has::Other));
            if let Some(leaf) = catalog.relations.get_mut(&name("leaf0")) {
                leaf.partition_of.as_mut().unwrap().detach_pending = pending;
            }
            catalog
        },
    )
}

fn statement() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("create index i1 on top (a)"),
        Just("create index on top (a)"),
        Just("create index concurrently i2 on plain (a)"),
        Just("create unique index i3 on top (a)"),
        Just("alter table plain add primary key (a)"),
        Just("alter table top add constraint k unique (a)"),
        Just("drop index if exists plain_odd_name"),
        Just("reindex table plain"),
        Just("vacuum plain"),
        Just("alter table plain add column c int"),
        Just("set work_mem = '64MB'"),
        Just("insert into plain values (1)"),
    ]
}

fn migrations() -> impl Strategy<Value = Vec<Migration>> {
    let file = proptest::sample::subsequence((0..12_usize).collect::<Vec<_>>(), 0..5);
    let file = (file, proptest::collection::vec(statement(), 12)).prop_map(|(chosen, pool)| {
        chosen.iter().map(|i| pool[*i]).collect::<std::collections::BTreeSet<_>>()
    });
    proptest::collection::vec(file, 1..4).prop_map(|files| {
        let mut used = std::collections::BTreeSet::new();
        let mut texts = Vec::new();
        for file in &files {
            let fresh = file.iter().filter(|statement| used.insert(**statement));
            texts.push(fresh.copied().collect::<Vec<_>>().join(";\n"));
        }
        let numbered = texts.iter().enumerate();
        numbered.map(|(i, text)| migration(&format!("V{}__m", i + 1), text)).collect()
    })
}

fn steps(runbook: &Runbook) -> Vec<&Step> {
    runbook.stages.iter().flat_map(|stage| &stage.steps).collect()
}

/// Plans and applies until nothing is left, as `pgtune migrate` does; the steps it took.
fn converge(migrations: &[Migration], catalog: &mut Catalog) -> usize {
    let mut count = 0;
    loop {
        let planned = planned_by(plan_next, migrations, catalog);
        assert_eq!(planned.findings, []);
        if planned.runbook.is_empty() {
            return count;
        }
        let stages = &planned.runbook.stages;
        let until = stages.iter().position(|stage| stage.look_again);
        for stage in &stages[..until.map_or(stages.len(), |i| i + 1)] {
            apply_all(stage.steps.iter().map(|step| &step.action), catalog);
            count += stage.steps.len();
        }
        assert!(count < 1_000, "it does not converge");
    }
}

/// What must hold of every runbook.
fn check(runbook: &Runbook) {
    for stage in &runbook.stages {
        check_lanes(stage);
        assert!(!stage.steps.is_empty());
    }
    for step in steps(runbook) {
        let script = step.action.script();
        let alone = script.messages.iter().any(|m| m.to_uppercase().contains("CONCURRENTLY"));
        assert!(!(alone && script.transaction), "{script:?}");
        assert!(script.transaction || script.messages.len() == 1, "{script:?}");
    }
}

/// No two steps that run side by side touch one relation.
fn check_lanes(stage: &Stage) {
    if stage.lanes > 1 {
        let mut tables: Vec<_> = stage.steps.iter().flat_map(|s| &s.locks).collect();
        tables.sort_by_key(|lock| &lock.table);
        assert!(tables.windows(2).all(|pair| pair[0].table != pair[1].table));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planning_after_applying_plans_nothing(catalog in catalog(), migrations in migrations()) {
        let mut after = catalog.clone();
        let runbook = planned(&migrations, &catalog).runbook;
        check(&runbook);
        apply_all(steps(&runbook).into_iter().map(|step| &step.action), &mut after);
        prop_assert_eq!(planned(&migrations, &after), Planned::default());
        let ours = |name: &QualifiedName| !name.name.as_str().ends_with("_odd_name");
        let invalid = after.indexes.iter().find(|(name, index)| ours(name) && !index.valid);
        prop_assert_eq!(invalid, None);
    }

    #[test]
    fn no_statement_is_lost(catalog in catalog(), migrations in migrations()) {
        let runbook = planned(&migrations, &catalog).runbook;
        let sent: Vec<String> = steps(&runbook)
            .into_iter()
            .flat_map(|step| step.action.script().messages)
            .map(|message| message.to_lowercase())
            .collect();
        let has = |word: &str| sent.iter().any(|message| message.contains(word));
        for statement in migrations.iter().flat_map(|migration| &migration.statements) {
            let there = match &statement.kind {
                Kind::CreateIndex(create) => create.name.iter().all(|name| has(name.as_str())),
                Kind::AddKey(_) => has("add constraint"),
                Kind::DropIndex(_) => has("drop index"),
                Kind::Set(_) => true,
                Kind::Reindex(_) => has("reindex"),
                Kind::CreateTable(_)
                | Kind::DropTable(_)
                | Kind::TransactionBoundary
                | Kind::AddEnumValue
                | Kind::DetachConcurrently(_)
                | Kind::Alone
                | Kind::Other => has(&statement.text),
            };
            prop_assert!(there, "{} is not in {:?}", statement.text, sent);
        }
    }

    #[test]
    fn running_by_rounds_does_what_the_whole_plan_says(
        catalog in catalog(),
        migrations in migrations(),
    ) {
        let mut at_once = catalog.clone();
        let runbook = planned(&migrations, &catalog).runbook;
        apply_all(steps(&runbook).into_iter().map(|step| &step.action), &mut at_once);
        let mut by_rounds = catalog.clone();
        converge(&migrations, &mut by_rounds);
        prop_assert_eq!(by_rounds, at_once);
    }

    #[test]
    fn the_same_input_gives_the_same_text(catalog in catalog(), migrations in migrations()) {
        let text = |catalog: &Catalog| print::sql(&planned(&migrations, catalog).runbook);
        prop_assert_eq!(text(&catalog), text(&catalog.clone()));
    }

    #[test]
    fn a_run_that_stops_anywhere_ends_where_an_undisturbed_one_does(
        catalog in catalog(),
        migrations in migrations(),
        stop in 0..40_usize,
    ) {
        let mut undisturbed = catalog.clone();
        converge(&migrations, &mut undisturbed);
        let mut stopped = catalog.clone();
        let runbook = planned(&migrations, &catalog).runbook;
        let done = steps(&runbook).into_iter().take(stop);
        apply_all(done.map(|step| &step.action), &mut stopped);
        converge(&migrations, &mut stopped);
        prop_assert_eq!(stopped, undisturbed);
    }

    #[test]
    fn each_migration_is_recorded_once(catalog in catalog(), migrations in migrations()) {
        let runbook = planned(&migrations, &catalog).runbook;
        for migration in &migrations {
            let records = steps(&runbook).into_iter().filter_map(|step| step.action.record());
            let applied = records.filter(|record| {
                record.migration == migration.id && matches!(record.what, What::Applied { .. })
            });
            prop_assert_eq!(applied.count(), 1);
        }
    }
}

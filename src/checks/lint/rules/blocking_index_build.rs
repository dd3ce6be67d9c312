//! An index of a large table is built while nobody can write.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;
use crate::sql::column::Body;
use crate::sql::statement::{Kind, ReindexTarget};

/// The check.
pub const CHECK: Check = Check {
    id: "blocking-index-build",
    severity: Severity::Error,
    meaning: "An index of a table of at least `check.rewrite_mb` is built in a way that pgtune \
              cannot make online, so that writes (for a constraint: reads too) wait until it is \
              built. A plain CREATE INDEX, ADD PRIMARY KEY or ADD UNIQUE is built concurrently, \
              also on partitioned tables. It is not where it is marked `-- pgtune: as-written`, \
              stands in a DO block, or is one of several actions of an ALTER TABLE; EXCLUDE and a \
              key of a new column never are.",
    doubt: "What a DO block runs depends on its conditions; statements that it puts together from \
            values are not seen.",
    remedy: "write CREATE INDEX, or ALTER TABLE with the key as its only action, as a statement \
             of its own and without a mark",
    bad: include_str!("../examples/blocking-index-build/bad.sql"),
    good: include_str!("../examples/blocking-index-build/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let (table, what) = match at.kind {
        Kind::CreateIndex(create) if !at.online && !create.concurrently => {
            let old = at.old(&create.table);
            if create.only && old.is_some_and(|(_, table)| table.is_partitioned) {
                return Vec::new(); // nothing is built
            }
            (Some(create.table.clone()), "CREATE INDEX")
        }
        Kind::Reindex(reindex) if !at.online && !reindex.concurrently => {
            let of_index = || {
                let index = at.world.resolve_index(&reindex.name)?;
                let table = &at.world.indexes.get(&index)?.table;
                Some(vec![table.schema.clone(), table.name.clone()])
            };
            let table = match reindex.target {
                ReindexTarget::Table => Some(reindex.name.clone()),
                ReindexTarget::Index => of_index(),
            };
            (table, "REINDEX")
        }
        Kind::CreateIndex(_)
        | Kind::Reindex(_)
        | Kind::DropIndex(_)
        | Kind::AddKey(_)
        | Kind::CreateTable(_)
        | Kind::DropTable(_)
        | Kind::TransactionBoundary
        | Kind::Set(_)
        | Kind::AddEnumValue
        | Kind::DetachConcurrently(_)
        | Kind::Alone
        | Kind::Other => return constraints(at),
    };
    let large = table.and_then(|table| at.large_to_write(&table));
    let found = large.map(|large| {
        let message =
            format!("{what} as it stands keeps writers out while it reads {}", large.size);
        Found::new(large.name, 0, message)
    });
    found.into_iter().collect()
}

/// Constraints whose indexes are built under ACCESS EXCLUSIVE.
fn constraints(at: &At<'_>) -> Vec<Found> {
    let Some(alter) = at.alter else { return Vec::new() };
    let Some(large) = at.large_to_write(&alter.table) else { return Vec::new() };
    let made_online = at.online && matches!(at.kind, Kind::AddKey(_));
    let builds = |action: &Action| {
        if let Action::AddColumn(column) = action {
            return column.key.is_some();
        }
        let Action::AddConstraint(constraint) = action else { return false };
        match constraint.body {
            Body::Key { .. } => !made_online,
            Body::Exclude => true,
            Body::KeyUsingIndex { .. }
            | Body::ForeignKey { .. }
            | Body::Check(_)
            | Body::NotNull(_) => false,
        }
    };
    let building = alter.actions.iter().filter(|(_, action)| builds(action));
    let found = building.map(|(offset, _)| {
        let message =
            format!("its index is built over {} while nobody can read or write", large.size);
        Found::new(&large.name, *offset, message)
    });
    found.collect()
}

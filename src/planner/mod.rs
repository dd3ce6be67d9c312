//! Compares what should be with what is, and writes the runbook that leads from one to the other.
//!
//! Pure: the same goal and catalog give the same runbook. Planning never fails; what it cannot do
//! is a finding.

use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Place};
use crate::model::ident::QualifiedName;
use crate::model::migration::{Checksums, MigrationId, VersionWidth};
use crate::profile::Limits;
use crate::runbook::Runbook;
use crate::sql::Statement;
use crate::sql::statement::Kind;

pub mod adopt;
mod index;
pub mod ledger;
mod migrate;
mod names;
pub mod partition;
pub mod rehearsal;
mod steps;
mod tree;
pub mod verify;

#[cfg(test)]
mod tests;

/// What should be: these migrations applied.
#[derive(Debug, Clone)]
pub struct Goal<'a> {
    /// Migrations to apply, in order. Those the catalog's history already has are passed over.
    pub migrations: &'a [Migration],
    /// Where they are recorded.
    pub history_table: QualifiedName,
    /// Width of the history table's version if it is to be created.
    pub history_width: VersionWidth,
    /// What may be taken, and how long to wait.
    pub limits: &'a Limits,
}

/// A migration file, read.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Version, name, prefix.
    pub id: MigrationId,
    /// The file, as to be shown.
    pub path: String,
    /// Its checksums.
    pub checksums: Checksums,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// The statements of these migrations at a place: several may stand on one line.
pub fn statements_at<'a>(
    migrations: &'a [Migration],
    place: &'a Place,
) -> impl Iterator<Item = &'a Statement> {
    let migration = migrations.iter().find(|one| one.path == place.path);
    let statements = migration.into_iter().flat_map(|one| &one.statements);
    statements.filter(|one| one.line == place.line)
}

/// What there is to do, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Planned {
    /// What to do.
    pub runbook: Runbook,
    /// What stands against it, or is worth knowing.
    pub findings: Vec<Finding>,
}

/// Plans all that is left to do of `goal`.
pub fn plan(goal: &Goal<'_>, catalog: &Catalog) -> Planned {
    migrate::plan(goal, catalog, Extent::All)
}

/// Plans what can be run now: up to the file in which the catalog must be looked at again.
pub fn plan_next(goal: &Goal<'_>, catalog: &Catalog) -> Planned {
    migrate::plan(goal, catalog, Extent::UntilLookAgain)
}

/// How far to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Everything.
    All,
    /// The files up to the first with a stage that says `look_again`.
    UntilLookAgain,
}

/// Whether planning these migrations needs to know the relations of the database, or only its
/// history: true as soon as one of them touches a table or an index.
pub fn needs_relations(migrations: &[Migration]) -> bool {
    migrations.iter().flat_map(|migration| &migration.statements).any(|statement| {
        !statement.locks.is_empty()
            || match &statement.kind {
                Kind::CreateIndex(_)
                | Kind::DropIndex(_)
                | Kind::Reindex(_)
                | Kind::AddKey(_)
                | Kind::DetachConcurrently(_) => true,
                Kind::CreateTable(table) => table.partition_of.is_some(),
                Kind::DropTable(_)
                | Kind::TransactionBoundary
                | Kind::Set(_)
                | Kind::AddEnumValue
                | Kind::Alone
                | Kind::Other => false,
            }
    })
}

//! What a check is, and what it gets to see.

use crate::model::check::CheckRules;
use crate::model::finding::{Place, Severity};
use crate::model::ident::QualifiedName;
use crate::model::units::human_bytes;
use crate::sql::alter_table::{Action, AlterTable};
use crate::sql::statement::{Kind, Name};

use super::squawk::{Hit, Rule};
use super::world::{Table, World};

/// A check.
#[cfg_attr(not(test), expect(dead_code, reason = "docs/checks.md and tests are made of the rest"))]
pub struct Check {
    /// Its stable name.
    pub id: &'static str,
    /// How much its findings weigh.
    pub severity: Severity,
    /// What is the case where it finds something, and what harm that does.
    pub meaning: &'static str,
    /// When a finding may be nothing to worry about.
    pub doubt: &'static str,
    /// What to do instead; shown with each finding.
    pub remedy: &'static str,
    /// A migration in which it finds one thing.
    pub bad: &'static str,
    /// One that does the same and has no finding.
    pub good: &'static str,
    /// How it looks.
    pub look: Look,
}

/// How a check looks.
#[derive(Clone, Copy)]
pub enum Look {
    /// At each statement.
    Statement(fn(&At<'_>) -> Vec<Found>),
    /// At what all migrations together have made.
    End(fn(&World, &CheckRules) -> Vec<FoundAt>),
}

/// Something found in a statement.
pub struct Found {
    /// What it is about.
    pub subject: String,
    /// What is the case.
    pub message: String,
    /// Where in the statement's text.
    pub offset: usize,
}

/// Something found in the end.
pub struct FoundAt {
    /// What it is about.
    pub subject: String,
    /// What is the case.
    pub message: String,
    /// The statement that made it so.
    pub place: Place,
}

/// A statement about to run.
pub struct At<'a> {
    /// The database before it.
    pub world: &'a World,
    /// The thresholds.
    pub rules: &'a CheckRules,
    /// Its text.
    pub text: &'a str,
    /// Whether pgtune may turn it into online work: it is neither marked as written nor inside DO.
    pub online: bool,
    /// What it does, whether or not pgtune may touch it.
    pub kind: &'a Kind,
    /// Its actions, where it is an ALTER TABLE.
    pub alter: Option<&'a AlterTable>,
    /// What squawk says about it.
    pub hits: &'a [Hit],
    /// Constraints that its transaction added NOT VALID before.
    pub not_valid: &'a [(QualifiedName, String)],
}

/// A table that was there before, and is large.
pub struct Large<'a> {
    /// Its name.
    pub name: QualifiedName,
    /// The table.
    pub table: &'a Table,
    /// Its size for people.
    pub size: String,
}

impl<'a> At<'a> {
    /// A table that was there before the pending migrations.
    pub fn old(&self, name: &Name) -> Option<(QualifiedName, &'a Table)> {
        let name = self.world.resolve(name)?;
        let table = self.world.tables.get(&name).filter(|table| table.made.is_none())?;
        Some((name, table))
    }

    /// The same, where it is large enough to matter when it is rewritten, with its TOAST.
    pub fn large_to_rewrite(&self, name: &Name) -> Option<Large<'a>> {
        self.large(name, self.rules.rewrite_mb, World::toast_bytes)
    }

    /// The same, where it is large enough to matter when all of its rows are written or indexed.
    pub fn large_to_write(&self, name: &Name) -> Option<Large<'a>> {
        self.large(name, self.rules.rewrite_mb, |_, _| 0)
    }

    /// The same, where it is large enough to matter when it is read.
    pub fn large_to_scan(&self, name: &Name) -> Option<Large<'a>> {
        self.large(name, self.rules.scan_mb, |_, _| 0)
    }

    fn large(
        &self,
        name: &Name,
        at_least_mb: u64,
        more_bytes: impl Fn(&World, &QualifiedName) -> u64,
    ) -> Option<Large<'a>> {
        let (name, table) = self.old(name)?;
        let bytes = self.world.bytes(&name) + more_bytes(self.world, &name);
        let size = human_bytes(bytes);
        (bytes >> 20 >= at_least_mb).then_some(Large { name, table, size })
    }

    /// The actions of an ALTER TABLE of a table that was there before.
    pub fn old_actions(&self) -> impl Iterator<Item = (QualifiedName, usize, &'a Action)> {
        let alter = self.alter.and_then(|alter| Some((self.old(&alter.table)?.0, alter)));
        alter.into_iter().flat_map(|(name, alter)| {
            alter.actions.iter().map(move |(offset, action)| (name.clone(), *offset, action))
        })
    }

    /// What squawk says by these rules, with the table it is about: the one of an ALTER TABLE or
    /// CREATE TABLE.
    pub fn hits(&self, rules: &'static [Rule]) -> impl Iterator<Item = &'a Hit> {
        self.hits.iter().filter(move |hit| rules.contains(&hit.rule))
    }

    /// The table that the statement alters or creates, as to be shown.
    pub fn subject(&self) -> String {
        let created = match self.kind {
            Kind::CreateTable(table) => Some(&table.name),
            Kind::CreateIndex(index) => Some(&index.table),
            Kind::DropIndex(_)
            | Kind::Reindex(_)
            | Kind::AddKey(_)
            | Kind::DropTable(_)
            | Kind::TransactionBoundary
            | Kind::Set(_)
            | Kind::AddEnumValue
            | Kind::DetachConcurrently(_)
            | Kind::Alone
            | Kind::Other => self.alter.map(|alter| &alter.table),
        };
        let resolve = |name| self.world.resolve(name).unwrap_or_else(|| self.world.name(name));
        created.map_or_else(|| "a statement".to_string(), |name| resolve(name).to_string())
    }
}

impl Found {
    /// Something about a table.
    pub fn new(subject: impl ToString, offset: usize, message: impl Into<String>) -> Found {
        Found { subject: subject.to_string(), message: message.into(), offset }
    }
}

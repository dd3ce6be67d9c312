//! The course of pending migrations: each statement is looked at, then followed.

use crate::model::check::CheckRules;
use crate::model::finding::{Finding, Place};
use crate::model::ident::QualifiedName;
use crate::sql::alter_table::{Action, AlterTable, alter_table};
use crate::sql::split::newlines;
use crate::sql::statement::{Kind, kind_of};
use crate::sql::{GRAMMAR_CHECK_BYTES_MAX, Statement};

use super::check::{At, Check, Found, Look};
use super::table::CHECKS;
use super::world::World;
use super::{Linted, inside, squawk};

/// A migration file.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// As to be shown.
    pub path: &'a str,
    /// What it holds.
    pub statements: &'a [Statement],
}

/// Files being looked at.
pub struct Course<'a> {
    world: World,
    rules: &'a CheckRules,
    /// Constraints added NOT VALID in the transaction that is open.
    not_valid: Vec<(QualifiedName, String)>,
    findings: Vec<Finding>,
}

impl<'a> Course<'a> {
    /// Begins with a database.
    pub fn new(world: World, rules: &'a CheckRules) -> Course<'a> {
        Course { world, rules, not_valid: Vec::new(), findings: Vec::new() }
    }

    /// Looks at a file.
    pub fn run(&mut self, file: &File<'_>) {
        self.world.begin_file();
        self.not_valid.clear();
        for statement in file.statements {
            if self.cuts(&statement.kind) {
                self.not_valid.clear();
            }
            self.world.follow_path(&statement.kind);
            self.world.note_write(&statement.text, statement.runs_code());
            if statement.runs_code() {
                for (offset, text) in inside::statements(&statement.text) {
                    self.look(file, statement, (offset, &text), false);
                }
            } else {
                self.look(file, statement, (0, &statement.text), !statement.as_written);
            }
        }
    }

    /// Looks at one statement, which stands at an offset of that of the file, and follows it.
    fn look(
        &mut self,
        file: &File<'_>,
        statement: &Statement,
        (offset, text): (usize, &str),
        online: bool,
    ) {
        let kind = kind_of(text);
        let alter = alter_table(text);
        let hits = if is_schema(text) { squawk::hits(text) } else { Vec::new() };
        let at = At {
            world: &self.world,
            rules: self.rules,
            text,
            online,
            kind: &kind,
            alter: alter.as_ref(),
            hits: &hits,
            not_valid: &self.not_valid,
        };
        let place = |at: usize| {
            let before = statement.text.get(..offset + at).unwrap_or(&statement.text[..offset]);
            Place { path: file.path.to_string(), line: statement.line + newlines(before) }
        };
        for check in CHECKS {
            let Look::Statement(look) = check.look else { continue };
            for Found { subject, message, offset } in look(&at) {
                self.findings.push(finding(check, subject, message, place(offset)));
            }
        }
        let added = alter.iter().flat_map(|alter| added_not_valid(&self.world, alter));
        self.not_valid.extend(added);
        self.world.follow(text, Some(&place(0)));
    }

    /// Whether pgtune ends a transaction before this statement.
    fn cuts(&self, kind: &Kind) -> bool {
        let is_old = |name| {
            let table = self.world.resolve(name).and_then(|name| self.world.tables.get(&name));
            table.is_some_and(|table| table.made.is_none())
        };
        match kind {
            Kind::CreateIndex(create) => create.concurrently || is_old(&create.table),
            Kind::AddKey(add) => is_old(&add.table),
            Kind::DropIndex(_)
            | Kind::Reindex(_)
            | Kind::DetachConcurrently(_)
            | Kind::AddEnumValue
            | Kind::Alone => true,
            Kind::CreateTable(_)
            | Kind::DropTable(_)
            | Kind::TransactionBoundary
            | Kind::Set(_)
            | Kind::Other => false,
        }
    }

    /// What was found, by place.
    pub fn finish(mut self) -> Linted {
        self.findings.extend(at_end(&self.world, self.rules, CHECKS));
        Linted { findings: by_place(self.findings), world: self.world }
    }
}

/// What these checks find in the end.
pub fn at_end(world: &World, rules: &CheckRules, checks: &[&Check]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in checks {
        let Look::End(look) = check.look else { continue };
        for found in look(world, rules) {
            findings.push(finding(check, found.subject, found.message, found.place));
        }
    }
    findings
}

/// The findings in the order of files and lines.
pub fn by_place(mut findings: Vec<Finding>) -> Vec<Finding> {
    // Files keep their order, which need not be that of their names.
    let mut paths: Vec<String> = Vec::new();
    let path_of = |finding: &Finding| finding.place.as_ref().map(|place| place.path.clone());
    for path in findings.iter().filter_map(path_of) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    findings.sort_by_key(|finding| {
        let place = finding.place.as_deref();
        let file = place.and_then(|place| paths.iter().position(|path| *path == place.path));
        (file, place.map(|place| place.line))
    });
    findings
}

/// Whether a statement is about the schema; the others may be many, and large.
fn is_schema(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let heads = ["alter", "create", "drop", "truncate"];
    text.len() <= GRAMMAR_CHECK_BYTES_MAX
        && heads.iter().any(|head| text[..end].eq_ignore_ascii_case(head))
}

/// The constraints that an ALTER TABLE adds NOT VALID.
fn added_not_valid(world: &World, alter: &AlterTable) -> Vec<(QualifiedName, String)> {
    let Some(table) = world.resolve(&alter.table) else { return Vec::new() };
    let names = alter.actions.iter().filter_map(|(_, action)| {
        let Action::AddConstraint(constraint) = action else { return None };
        constraint.name.as_ref().filter(|_| constraint.not_valid)
    });
    names.map(|name| (table.clone(), name.as_str().to_string())).collect()
}

fn finding(check: &Check, subject: String, message: String, place: Place) -> Finding {
    Finding::new(check.id, check.severity, subject, message)
        .help(check.remedy)
        .at(place.path, place.line)
}

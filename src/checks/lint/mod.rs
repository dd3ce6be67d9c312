//! Lint: what can be said of pending migrations from their text and from what the database holds,
//! before anything is run. Pure.
//!
//! Each check is a file in `rules/`, a line in [`table::CHECKS`] and two examples, which are its
//! test and its page in `docs/checks.md`. `squawk` alone speaks to the crate of that name.

use std::collections::BTreeMap;

use crate::model::check::CheckRules;
use crate::model::finding::Finding;
use crate::model::ident::QualifiedName;

use self::check::Check;
use self::course::Course;
pub use self::course::File;
use self::world::World;

pub mod check;
mod course;
mod inside;
mod rules;
mod squawk;
pub mod table;
pub mod world;

#[cfg(test)]
pub mod tests;

/// What reading comes to.
pub struct Linted {
    /// What the checks find, in the order of the files.
    pub findings: Vec<Finding>,
    /// The database after the files, with the statements that make and drop things.
    pub world: World,
}

impl Linted {
    /// The same where it was foretold how many bytes all indexes of tables will have.
    pub fn with_index_bytes(
        mut self,
        index_bytes: BTreeMap<QualifiedName, u64>,
        rules: &CheckRules,
    ) -> Linted {
        const BUDGET: &[&Check] = &[&rules::index_budget::CHECK];
        self.world.index_bytes = index_bytes;
        self.findings.retain(|finding| BUDGET.iter().all(|check| finding.check != check.id));
        self.findings.extend(course::at_end(&self.world, rules, BUDGET));
        Linted { findings: course::by_place(self.findings), ..self }
    }
}

/// Looks at these files. `world` is the database before them.
pub fn lint(files: &[File<'_>], world: World, rules: &CheckRules) -> Linted {
    let mut course = Course::new(world, rules);
    files.iter().for_each(|file| course.run(file));
    course.finish()
}

//! pgtune: changes indexes and partitions of PostgreSQL online, and shows its locks first.
//!
//! What should be (profile, migration files) is compared with what is (a catalog snapshot); the
//! difference is a runbook, plain data, which one executor runs. `docs/ARCHITECTURE.md` is the map.
//! The library exports only [`run`], so that unused code is reported.

mod archive;
mod bench;
mod checks;
mod cli;
mod error;
mod executor;
mod model;
mod pg;
mod planner;
mod profile;
mod query_plan;
mod report;
mod runbook;
mod scaffold;
mod shadow;
mod sql;
mod ui;
mod workload;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tidy;

pub use cli::run;

//! What EXPLAIN says, read, compared and judged. Pure: plans come in as text.
//!
//! [`read()`] makes a normalised [`node::QueryPlan`] of what a server of 14 to 18 wrote;
//! [`diff::diff`] says where two of them differ and why; [`verdict`] says whether that is good;
//! `docs/plans.md` explains it to users.

mod access;
mod alarm;
mod canonical;
pub mod captures;
mod cause;
mod compare;
mod diff;
mod edit_distance;
mod fold;
mod lines;
mod logical;
pub mod measure;
mod node;
mod nodes;
mod operator;
pub mod parameters;
mod read;
mod relations;
pub mod rival;
mod scans;
mod text;
pub mod values;
pub mod verdict;
pub mod workload;

pub use canonical::without_constants;
pub use lines::{Kept, Line};
pub use node::{Index, Names, Node, QueryPlan, Size};
pub use read::read;
pub use relations::relations;
pub use scans::scans;
pub use text::Figures;

#[cfg(test)]
mod tests;

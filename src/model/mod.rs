//! The words of PostgreSQL as plain values: names, locks, the catalog, findings. Pure.

pub mod archive;
pub mod catalog;
pub mod finding;
pub mod foreign;
pub mod ident;
pub mod lock;
pub mod migration;
pub mod suggest;
pub mod units;

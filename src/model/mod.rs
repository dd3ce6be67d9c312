//! The words of PostgreSQL as plain values: names, locks, the catalog, findings. Pure.

pub mod archive;
pub mod below;
pub mod calendar;
pub mod catalog;
pub mod check;
pub mod default_rows;
pub mod disclosure;
pub mod extended_statistics;
pub mod finding;
pub mod foreign;
pub mod gate;
pub mod ident;
pub mod index_size;
pub mod ledger;
pub mod lock;
pub mod lock_trace;
pub mod migration;
pub mod partition_name;
pub mod snapshot;
pub mod substitution;
pub mod suggest;
pub mod time_key;
pub mod traits;
pub mod tree;
pub mod units;
pub mod wall_clock;

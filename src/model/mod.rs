//! The words of PostgreSQL as plain values: names, locks, the catalog, findings. Pure.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the partition planner, in the next commit, uses it")
)]
pub mod calendar;
pub mod catalog;
pub mod finding;
pub mod foreign;
pub mod ident;
pub mod lock;
pub mod migration;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the partition planner, in the next commit, uses it")
)]
pub mod partition_name;
pub mod suggest;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the partition planner, in the next commit, uses it")
)]
pub mod time_key;
pub mod units;
pub mod wall_clock;

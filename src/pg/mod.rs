//! PostgreSQL itself: the only place that holds a connection.

pub mod archive;
pub mod borrowed;
pub mod btree_pages;
pub mod catalog;
pub mod column_values;
pub mod connect;
pub mod default_rows;
pub mod explain;
pub mod failure;
pub mod foreign;
pub mod foretell;
pub mod imitate;
pub mod load;
pub mod lock_trace;
pub mod partitions;
pub mod plan_history;
pub mod query_run;
pub mod runner_lock;
pub mod server;
pub mod session;
pub mod sizes;
pub mod snapshot;
pub mod statements;
pub mod substitution;
pub mod watch;

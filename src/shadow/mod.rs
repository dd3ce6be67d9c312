//! Where shadows live: a private PostgreSQL server, found, started, stopped and deleted by pgtune,
//! never downloaded; or one that is [`borrowed`].
//!
//! The private one runs as a child process in a temporary folder of its own, reachable through a
//! Unix socket that only its user can open. Nothing of it outlives the [`server::Server`] value;
//! what a killed pgtune leaves behind is removed by the next start.

pub mod account;
pub mod binaries;
pub mod borrowed;
pub mod dump;
pub mod folder;
pub mod process;
pub mod server;
pub mod surroundings;

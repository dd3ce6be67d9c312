//! Drives the real program against a real server. One binary, one private server for all tests,
//! one database per test.
//!
//! `PGTUNE_TEST_PG_BIN` names the server programs to test with; without it the program's own
//! search decides, and without any server the tests are skipped with a loud line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod bad_input;
mod bad_server;
mod bench;
mod browser;
mod catalog;
mod check;
mod ci_files;
mod connect;
mod crowd;
mod demo;
mod drift;
mod history;
mod huge;
mod locks;
mod lookalikes;
mod oracle;
mod outputs;
mod partitions;
mod plan_trouble;
mod plans;
mod project;
mod pull_request;
mod redaction;
mod refinery;
mod server;
mod shadow_life;
mod shadow_url;
mod shell;
mod snapshot;
mod snapshot_files;
mod statements;
mod stops;
mod support;
mod sweep;
mod user_project;

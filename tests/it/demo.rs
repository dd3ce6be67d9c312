//! `pgtune demo`: every workload runs end to end on a server of its own, and nothing of it stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{eventually, pgtune, server};

/// Few enough rows for a test.
const ROWS: &str = "2000";

/// The demo with the test's server programs, in a temporary folder of its own.
fn demo(temp: &Path, arguments: &[&str]) -> Command {
    let mut command = pgtune(&["demo"]);
    command.args(arguments).env("TMPDIR", temp);
    command
}

/// A temporary folder that the server's user may use, with a short name.
pub fn temp_folder() -> tempfile::TempDir {
    let temp = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    temp
}

/// Nothing is in the folder, and no process names it.
pub fn assert_nothing_left(temp: &Path) {
    assert!(fs::read_dir(temp).unwrap().next().is_none(), "a folder is left");
    let ps = Command::new("ps").args(["-e", "-o", "args="]).output().unwrap();
    let running = String::from_utf8_lossy(&ps.stdout).into_owned();
    assert!(!running.contains(temp.to_str().unwrap()), "a process is left:\n{running}");
}

/// Runs a workload; its queries are all reported.
fn runs(workload: &str, queries: &[&str]) {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let output = demo(temp.path(), &[workload, "--rows", ROWS, "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["sections"][1]["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["query"].as_str().unwrap()).collect();
    assert_eq!(names, queries);
    assert!(rows.iter().all(|row| row["scans"] != "" && row["speed-up"] != "-"), "{report:#}");
    assert!(said.contains("runbook   of V"), "{said}");
    assert_nothing_left(temp.path());
}

#[test]
fn plans_are_shown_where_they_are_asked_for() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let arguments = ["events", "--rows", "20000", "--plans", "--format", "markdown"];
    let output = demo(temp.path(), &arguments).output().unwrap();
    let (shown, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    let (_, plans) = shown.split_once("### plans before and after V3").expect(&shown);
    assert!(plans.contains("| identical |") || plans.contains("| same shape |"), "{plans}");
    assert!(plans.contains("```diff") && plans.contains("<details>"), "{plans}");
}

#[test]
fn audience() {
    let pairs = ["size_country", "size_complex_or", "size_complex_and"];
    let names: Vec<String> =
        pairs.iter().flat_map(|name| [format!("{name}_eav"), name.to_string()]).collect();
    runs("audience", &names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn telemetry() {
    let queries = [
        "single_entity",
        "multi_attribute_filter",
        "recent_values",
        "aggregation",
        "aggregation_old_table",
        "values_of_period",
    ];
    runs("telemetry", &queries);
}

#[test]
fn accounts() {
    let queries = [
        "profile_fetch",
        "profile_completion",
        "unread_count",
        "unread_newest",
        "session_by_refresh_token",
        "sessions_of_user",
        "api_keys",
        "webhooks",
        "api_usage",
        "work_timeline",
    ];
    runs("accounts", &queries);
}

#[test]
fn events() {
    let queries = [
        "event_summary",
        "timeline_by_hour",
        "user_events",
        "app_overview",
        "metadata_containment",
    ];
    runs("events", &queries);
}

/// Whenever Ctrl-C comes, the demo ends soon and leaves nothing.
#[test]
fn interrupted_at_any_time() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    for delay_ms in [50, 600, 1_500, 3_000] {
        // Enough rows to be at work in each case.
        let mut command = demo(temp.path(), &["--rows", "10000000"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let interrupted = Instant::now();
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        eventually("the demo ends", || child.try_wait().unwrap().is_some());
        assert!(interrupted.elapsed() < Duration::from_secs(10));
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Before the program listens, the signal ends it by itself.
        assert!(matches!(output.status.code(), Some(130) | None), "{said}");
        assert_nothing_left(temp.path());
    }
}

/// A kept server answers until somebody asks pgtune to stop.
#[test]
fn a_kept_server_stays_until_ctrl_c() {
    if server().is_none() {
        return;
    }
    let temp = temp_folder();
    let mut command = demo(temp.path(), &["events", "--rows", "10", "--keep"]);
    let log = temp.path().join("said");
    command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    eventually("the server is kept", || {
        said = fs::read_to_string(&log).unwrap();
        said.contains("stays until Ctrl-C")
    });
    let folder = said.split("psql -h ").nth(1).unwrap().split_whitespace().next().unwrap();
    let url = format!("host={folder} user=pgtune dbname=events");
    let count = "select count(*) from refinery_schema_history";
    let applied: i64 = crate::support::connect(&url).query_one(count, &[]).unwrap().get(0);
    assert_eq!(applied, 3);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert!(child.wait().unwrap().success());
    fs::remove_file(&log).unwrap();
    assert_nothing_left(temp.path());
}

#[test]
fn asked_wrongly() {
    let temp = temp_folder();
    for arguments in [&["audiance"][..], &["--rows", "0"], &["--rows", "99999999999"]] {
        let output = demo(temp.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

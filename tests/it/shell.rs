//! The command-line shell without a database: flags, configuration, new files, exit codes.

use std::path::Path;
use std::process::Command;

/// What a run of pgtune left behind.
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs pgtune in `folder` with no environment but `variables`.
fn pgtune_with(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_pgtune"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the program was built for this test");
    Output {
        code: output.status.code().expect("no signal ended it"),
        stdout: String::from_utf8(output.stdout).expect("answers are UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
    }
}

fn pgtune(folder: &Path, arguments: &[&str]) -> Output {
    pgtune_with(folder, &[], arguments)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("the test may write temporary files")
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    let parent = path.parent().expect("the file is below the test's folder");
    std::fs::create_dir_all(parent).expect("the test's folder is writable");
    std::fs::write(path, text).expect("the test's folder is writable");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("the file was written")
}

#[test]
fn usage_errors_leave_with_2_and_suggest() {
    let folder = folder();
    let bare = pgtune(folder.path(), &[]);
    assert_eq!((bare.code, bare.stdout.as_str()), (2, ""));
    assert!(bare.stderr.contains("Usage: pgtune"), "{}", bare.stderr);
    let typo = pgtune(folder.path(), &["confg"]);
    assert_eq!(typo.code, 2);
    assert!(typo.stderr.contains("'config'"), "{}", typo.stderr);
    let version = pgtune(folder.path(), &["--version"]);
    assert_eq!(version.stdout, concat!("pgtune ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_bug_leaves_with_70_and_says_how_to_report_it() {
    let output = pgtune(folder().path(), &["debug", "panic"]);
    assert_eq!((output.code, output.stdout.as_str()), (70, ""));
    assert!(output.stderr.starts_with("error: this is a bug in pgtune at src/cli/debug.rs:"));
    assert!(output.stderr.contains("please report it"), "{}", output.stderr);
    assert!(!output.stderr.contains("backtrace"), "{}", output.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgtune"))
        .args(["completions", "bash"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn config_show_names_each_origin_and_no_password() {
    let folder = folder();
    let profile = "[database]\nurl = \"postgres://app:s3cret@db/app\"\n\
        [limits]\nlanes = 3\nlock_budget = \"1s\"\n[env.prod.limits]\nlock_budget = \"500ms\"\n";
    write(folder.path(), "pgtune.toml", profile);
    let variables = [("PGTUNE_LIMITS_LANES", "4"), ("PGTUNE_ENV", "prod")];
    let output = pgtune_with(folder.path(), &variables, &["config", "show"]);
    let lines: Vec<Vec<&str>> =
        output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    assert!(lines.contains(&vec!["limits.lanes", "4", "PGTUNE_LIMITS_LANES"]));
    assert!(lines.contains(&vec!["limits.lock_budget", "500ms", "[env.prod]"]));
    assert!(lines.contains(&vec!["limits.runner_wait", "10min", "default"]));
    assert!(lines.contains(&vec!["database.url", "postgres://app:***@db/app", "pgtune.toml"]));

    let url = "host=other password='s3cret'";
    let json = pgtune(folder.path(), &["config", "show", "--json", "--url", url]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["schema_version"], 1);
    let rows = json["sections"][0]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "database.url").unwrap();
    assert_eq!(
        (&row["value"], &row["origin"]),
        (&"host=other password=***".into(), &"--url".into())
    );
}

#[test]
fn config_path_is_absolute_and_needs_no_valid_profile() {
    let folder = folder();
    let none = pgtune(folder.path(), &["config", "path"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("there is no pgtune.toml in this folder"), "{}", none.stderr);
    let empty = pgtune_with(folder.path(), &[("PGTUNE_PROFILE", "")], &["config", "path"]);
    assert_eq!(empty.code, 1, "{}", empty.stderr);
    write(folder.path(), "pgtune.toml", "broken");
    let path = folder.path().canonicalize().unwrap().join("pgtune.toml");
    assert_eq!(pgtune(folder.path(), &["config", "path"]).stdout, format!("{}\n", path.display()));
}

#[test]
fn broken_configuration_is_asked_wrongly() {
    let folder = folder();
    let missing = pgtune(folder.path(), &["config", "show", "--profile", "none.toml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("cannot read the profile none.toml"), "{}", missing.stderr);
    write(folder.path(), "pgtune.toml", "[limits]\nlane = 3\n");
    let unknown = pgtune(folder.path(), &["config", "show"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("pgtune.toml:2:1: unknown field `lane`"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("did you mean `lanes`?"), "{}", unknown.stderr);
    std::fs::write(folder.path().join("pgtune.toml"), b"# \xff").unwrap();
    let latin = pgtune(folder.path(), &["config", "show"]);
    assert_eq!(latin.code, 2);
    assert!(latin.stderr.contains("byte 2 is not UTF-8"), "{}", latin.stderr);
    write(folder.path(), "pgtune.toml", "\u{feff}[limits]\r\nlanes = 3\r\n");
    assert_eq!(pgtune(folder.path(), &["config", "show"]).code, 0);
    let variable = [("PGTUNE_LIMITS_LANE", "3")];
    let variable = pgtune_with(folder.path(), &variable, &["config", "show"]);
    assert_eq!(variable.code, 2);
    assert!(variable.stderr.contains("did you mean PGTUNE_LIMITS_LANES?"), "{}", variable.stderr);
}

#[test]
fn new_numbers_and_writes_migrations() {
    let folder = folder();
    let first = pgtune(folder.path(), &["new", "create orders"]);
    assert_eq!(first.stdout, "written  migrations/V1__create_orders.sql\n");
    write(folder.path(), "migrations/2026/V7__nested.sql", "");
    let index = ["new", "idx", "-t", "index", "--table", "app.Orders", "--column", "a,\"B c\""];
    let second = pgtune(folder.path(), &index);
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
    let sql = read(folder.path(), "migrations/V8__idx.sql");
    assert!(
        sql.ends_with("create index \"orders_a_B c_idx\" on app.orders (a, \"B c\");\n"),
        "{sql}"
    );
    let stamped = pgtune(folder.path(), &["new", "late", "--timestamp"]);
    assert!(stamped.stderr.contains("history_version = \"int8\""), "{}", stamped.stderr);
    let name = stamped.stdout.trim().trim_start_matches("written  migrations/V");
    assert!(name.len() == "20261121093000__late.sql".len(), "{name}");
}

#[test]
fn new_writes_nothing_where_it_should_not() {
    let folder = folder();
    let dry = ["new", "x", "-t", "hash-partitions", "--table", "t", "--partitions", "2"];
    let dry = pgtune(folder.path(), &[&dry[..], &["--dry-run"]].concat());
    assert!(dry.stdout.contains("values with (modulus 2, remainder 1);\n"), "{}", dry.stdout);
    for (arguments, message) in [
        (&["new", "x", "-t", "brin", "--table", "t"][..], "add: --column created_at"),
        (&["new", "x", "--where", "a"], "the template empty has no use for --where"),
        (&["new", "x", "-t", "brinn"], "did you mean brin?"),
        (&["new", "/"], "holds no letter or digit"),
        (&["new", "x", "-t", "index", "--table", "t; drop table u", "--column", "a"], "no name"),
        (&["new", "x", "-t", "index", "--table", "t", "--column", "lower(a)"], "no name in SQL"),
    ] {
        let output = pgtune(folder.path(), arguments);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_projects_own_templates_come_first() {
    let folder = folder();
    write(folder.path(), "db/pgtune.toml", "[migrations]\ntemplates = \"sql\"\n");
    write(folder.path(), "db/sql/empty.sql", "-- by us: {{ name }}\n");
    let output = pgtune(folder.path(), &["--profile", "db/pgtune.toml", "new", "x"]);
    assert_eq!(output.stdout, "written  db/migrations/V1__x.sql\n", "{}", output.stderr);
    assert_eq!(read(folder.path(), "db/migrations/V1__x.sql"), "-- by us: x\n");
}

#[test]
fn init_starts_a_project_and_never_overwrites() {
    let folder = folder();
    let first = pgtune(folder.path(), &["init", "--ci", "github"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.contains("pgtune.toml                   written"), "{}", first.stdout);
    assert!(folder.path().join("migrations").is_dir());
    assert!(read(folder.path(), ".github/workflows/pgtune.yml").contains("pgtune migrate --yes"));
    assert_eq!(pgtune(folder.path(), &["config", "show"]).code, 0);

    write(folder.path(), "pgtune.toml", "[limits]\nlanes = 9\n");
    let timer = pgtune(folder.path(), &["init", "--schedule", "systemd"]);
    assert!(timer.stdout.contains("deploy/pgtune-partitions.timer"), "{}", timer.stderr);
    let again = pgtune(folder.path(), &["init", "--ci", "gitlab", "--quiet"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    assert!(again.stdout.contains("pgtune.toml     exists, left as it is"), "{}", again.stdout);
    assert_eq!(read(folder.path(), "pgtune.toml"), "[limits]\nlanes = 9\n");
    assert!(read(folder.path(), ".gitlab-ci.yml").contains("pgtune migrate --dry-run"));
}

#[test]
fn schema_completions_and_manual_pages_come_out() {
    let folder = folder();
    // None of them reads the profile.
    write(folder.path(), "pgtune.toml", "broken");
    let schema = pgtune(folder.path(), &["schema"]).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["title"], "Profile");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = pgtune(folder.path(), &["completions", shell]).stdout;
        assert!(script.contains("hash-partitions") || script.contains("completions"), "{shell}");
    }
    assert!(pgtune(folder.path(), &["man"]).stdout.contains(".TH pgtune 1"));
    assert_eq!(pgtune(folder.path(), &["man", "pages"]).code, 0);
    assert!(folder.path().join("pages/pgtune-config-show.1").is_file());
}

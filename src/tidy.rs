//! Test only: the house rules that a machine can check, over every file in git.
//!
//! Each rule is a function from a file to complaints, and is seen to fail on a bad example below.

use std::path::Path;
use std::process::Command;

/// A file of the repository.
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

/// Who may import whom, by the first name of the path below `src/`. `error` may be used anywhere.
const IMPORTS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["cli"]),
    (
        "cli",
        &[
            "model",
            "profile",
            "sql",
            "runbook",
            "planner",
            "checks",
            "query_plan",
            "bench",
            "report",
            "scaffold",
            "workload",
            "pg",
            "archive",
            "executor",
            "shadow",
            "ui",
        ],
    ),
    ("ui", &["model", "report", "executor"]),
    ("error", &["model"]),
    ("model", &[]),
    ("profile", &["model"]),
    ("sql", &["model"]),
    ("runbook", &["model"]),
    ("query_plan", &["model"]),
    ("bench", &["model"]),
    ("scaffold", &["model"]),
    ("planner", &["model", "profile", "sql", "runbook"]),
    ("checks", &["model", "sql", "query_plan", "runbook"]),
    ("report", &["model", "runbook", "query_plan", "bench"]),
    ("pg", &["model", "profile", "sql", "runbook", "query_plan", "bench"]),
    ("archive", &["model", "profile", "pg"]),
    ("executor", &["archive", "model", "pg", "runbook"]),
    ("shadow", &["model", "pg"]),
    ("workload", &["model", "pg", "profile"]),
    ("docs", &["checks", "cli", "model", "profile"]),
    ("tidy", &[]),
];

/// Modules without I/O, clock, environment and randomness.
const PURE: &[&str] = &[
    "error",
    "model",
    "profile",
    "sql",
    "runbook",
    "query_plan",
    "bench",
    "scaffold",
    "planner",
    "checks",
    "report",
];

/// What a pure module must not say.
const IMPURE: &[&str] = &[
    "postgres::",
    "std::{",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "Local::now",
    "fastrand::",
    "rand::",
];

/// Marks of code that is not finished or silences the compiler.
const UNFINISHED: &[&str] = &["#[allow", "#![allow", "todo!(", "unimplemented!(", "dbg!("];

/// Folders at the top of a machine that no file of the repository may name.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home", "Users"];

/// Homes that tests invent.
const INVENTED_FOLDERS: &[&str] = &["/home/os/", "/home/app/"];

type Rule = fn(&File) -> Vec<(usize, String)>;

/// The rules for Rust files below `src/`.
const SOURCE_RULES: &[Rule] = &[
    opens_with_its_purpose,
    imports_only_what_it_may,
    short_functions,
    only_ui_prints,
    only_pg_speaks_to_servers,
    pure_modules_stay_pure,
    finished,
    no_unwrap,
];

/// The rules for all text files.
const TEXT_RULES: &[Rule] = &[no_machine_folders];

#[test]
fn the_house_is_tidy() {
    let mut complaints = Vec::new();
    for file in files() {
        let mut rules = TEXT_RULES.to_vec();
        if file.path.ends_with(".rs") {
            rules.push(lines_fit);
        }
        if file.path.starts_with("src/") && file.path.ends_with(".rs") {
            rules.extend(SOURCE_RULES);
        }
        for (line, rule) in rules.iter().flat_map(|rule| rule(&file)) {
            complaints.push(format!("{}:{line}: {rule}", file.path));
        }
    }
    assert!(complaints.is_empty(), "house rules (docs/STYLE.md):\n{}", complaints.join("\n"));
}

/// What git tracks or would track, as far as it is text.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git lists the files that tidy looks at");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_string(), text })
    };
    let files: Vec<File> = listed.lines().filter_map(read).collect();
    // A packaged copy has no git, and its files were looked at before.
    assert!(files.len() > 20 || !root.join(".git").exists(), "git lists too few files");
    files
}

impl File {
    /// `pg` for `src/pg/catalog.rs`, `ui` for `src/ui.rs`.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/");
        path.split(['/', '.']).next().unwrap_or(path)
    }

    /// Numbered lines up to the tests, which have more freedom; none of a file that is all tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = ["docs", "tidy"].contains(&self.module()) || self.path.ends_with("/tests.rs");
        let lines: Vec<&str> = self.text.lines().collect();
        let opens_tests = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
        };
        let end = lines.windows(2).position(opens_tests).unwrap_or(lines.len());
        let end = if is_test { 0 } else { end };
        lines.into_iter().take(end).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Code without comments and without the contents of strings that fit a line.
    fn bare_code(&self) -> impl Iterator<Item = (usize, String)> {
        self.code().map(|(number, line)| (number, strip(line)))
    }

    /// Complains about each line of code that holds one of the words.
    fn lines_with(&self, words: &[&str], rule: &str) -> Vec<(usize, String)> {
        let find = |line: &str| words.iter().find(|word| holds_word(line, word)).copied();
        self.bare_code()
            .filter_map(|(number, line)| Some((number, format!("`{}`: {rule}", find(&line)?))))
            .collect()
    }
}

/// Whether the line holds the word, not as the end of a longer name.
fn holds_word(line: &str, word: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || c == '_';
    let starts_name = word.starts_with(longer);
    line.match_indices(word).any(|(at, _)| !(starts_name && line[..at].ends_with(longer)))
}

/// A line without its comment and the contents of its strings.
fn strip(line: &str) -> String {
    let mut bare = String::new();
    let mut in_string = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' if in_string => drop(characters.next()),
            // The character '"' opens no string.
            '"' if bare.ends_with('\'') && characters.peek() == Some(&'\'') => {}
            '"' => in_string = !in_string,
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => bare.push(c),
        }
    }
    bare
}

fn opens_with_its_purpose(file: &File) -> Vec<(usize, String)> {
    let opens = file.text.starts_with("//! ");
    complain(!opens, 1, "a file opens with `//!` and says what it is for")
}

fn complain(is_wrong: bool, line: usize, rule: &str) -> Vec<(usize, String)> {
    is_wrong.then(|| (line, rule.to_string())).into_iter().collect()
}

fn lines_fit(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().enumerate().filter(|(_, line)| line.chars().count() > 100);
    lines.map(|(i, _)| (i + 1, "a line has at most 100 columns".to_string())).collect()
}

fn imports_only_what_it_may(file: &File) -> Vec<(usize, String)> {
    let module = file.module();
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == module) else {
        let rule = format!("the module {module} has no line in IMPORTS of src/tidy.rs");
        return vec![(1, rule)];
    };
    let mut complaints = Vec::new();
    for (number, line) in file.bare_code() {
        if ["crate::{", "super::super::"].iter().any(|way| line.contains(way)) {
            complaints.push((number, "write `crate::module::…`, one `use` each".to_string()));
        }
        for name in crate_paths(&line) {
            // Below it is nothing.
            let is_error = name == "error" && module != "model";
            if name != module && !is_error && !allowed.contains(&name) {
                complaints.push((number, format!("{module} may not import {name}")));
            }
        }
    }
    complaints
}

/// The first names of the `crate::` paths in a line.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let paths = line.split("crate::").skip(1);
    paths.filter_map(move |path| path.split(|c| !is_name(c)).next().filter(|name| !name.is_empty()))
}

/// Counts lines from `fn` to the brace that closes at its indentation; rustfmt makes that exact.
fn short_functions(file: &File) -> Vec<(usize, String)> {
    let mut complaints = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let trimmed = line.trim_start();
        let indentation = line[..line.len() - trimmed.len()].to_string();
        if is_function(trimmed) && !trimmed.ends_with('}') && !trimmed.ends_with(';') {
            open.push((i, indentation));
        } else if trimmed == "}" && open.last().is_some_and(|(_, indent)| *indent == indentation) {
            let (start, _) = open.pop().expect("the last one was just looked at");
            let length = i - start + 1;
            if length > 70 {
                let rule = format!("a function has at most 70 lines, this one has {length}");
                complaints.push((start + 1, rule));
            }
        }
    }
    complaints
}

fn is_function(trimmed: &str) -> bool {
    let rest = trimmed.strip_prefix("pub").unwrap_or(trimmed);
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest = rest.trim_start();
    let rest = ["const ", "async ", "unsafe "]
        .iter()
        .fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    rest.starts_with("fn ")
}

fn only_ui_prints(file: &File) -> Vec<(usize, String)> {
    if file.module() == "ui" {
        return Vec::new();
    }
    let words = ["println!", "eprintln!", "print!", "eprint!", "stdout()", "stderr()"];
    file.lines_with(&words, "only src/ui.rs prints")
}

fn only_pg_speaks_to_servers(file: &File) -> Vec<(usize, String)> {
    if file.module() == "pg" {
        return Vec::new();
    }
    let words = ["postgres::", "tokio_postgres::", "tokio_postgres_rustls::"];
    file.lines_with(&words, "only src/pg/ holds a database client")
}

fn pure_modules_stay_pure(file: &File) -> Vec<(usize, String)> {
    if !PURE.contains(&file.module()) {
        return Vec::new();
    }
    file.lines_with(IMPURE, "a pure module has no I/O, clock, environment or randomness")
}

fn finished(file: &File) -> Vec<(usize, String)> {
    file.lines_with(UNFINISHED, "finish it; use #[expect(.., reason)] where a lint is wrong")
}

fn no_unwrap(file: &File) -> Vec<(usize, String)> {
    file.lines_with(&[".unwrap()"], "return an error, or expect(\"why it cannot fail\")")
}

fn no_machine_folders(file: &File) -> Vec<(usize, String)> {
    if file.path == "src/tidy.rs" {
        return Vec::new();
    }
    let find = |line: &str| {
        let rest =
            INVENTED_FOLDERS.iter().fold(line.to_string(), |rest, home| rest.replace(home, ""));
        MACHINE_FOLDERS.iter().find(|folder| rest.contains(&format!("/{folder}/")))
    };
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(i, line)| {
            let rule = "a folder of one machine; nobody else has it";
            Some((i + 1, format!("`{}`: {rule}", find(line)?)))
        })
        .collect()
}

/// Asserts that `rule` complains about `text` in `path`, on `line`.
fn fails(rule: Rule, path: &str, text: &str, line: usize) {
    let file = File { path: path.to_string(), text: text.to_string() };
    let lines: Vec<usize> = rule(&file).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [line], "{path}:\n{text}");
}

/// Asserts that `rule` has nothing to say about `text` in `path`.
fn passes(rule: Rule, path: &str, text: &str) {
    let file = File { path: path.to_string(), text: text.to_string() };
    assert_eq!(rule(&file), Vec::new(), "{path}:\n{text}");
}

#[test]
fn sources_are_formatted() {
    let output = Command::new(env!("CARGO"))
        .args(["fmt", "--check"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the cargo that built this test runs");
    assert!(output.status.success(), "cargo fmt:\n{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn each_rule_fails_where_it_should() {
    fails(opens_with_its_purpose, "src/ui.rs", "use x;\n", 1);
    fails(lines_fit, "src/ui.rs", &format!("//! x\n// {}\n", "x".repeat(98)), 2);
    fails(imports_only_what_it_may, "src/model/a.rs", "//! x\nuse crate::pg::Session;\n", 2);
    fails(imports_only_what_it_may, "src/ui.rs", "use crate::{error, report};\n", 1);
    fails(imports_only_what_it_may, "src/sql/a.rs", "let a = crate::pg::connect();\n", 1);
    fails(imports_only_what_it_may, "src/unheard_of.rs", "//! x\n", 1);
    fails(only_ui_prints, "src/pg/mod.rs", "//! x\n    println!(\"x\");\n", 2);
    fails(only_ui_prints, "src/cli/mod.rs", "let out = std::io::stdout();\n", 1);
    fails(only_pg_speaks_to_servers, "src/shadow/a.rs", "use postgres::Client;\n", 1);
    fails(pure_modules_stay_pure, "src/planner/a.rs", "use std::fs;\n", 1);
    fails(pure_modules_stay_pure, "src/sql/a.rs", "let now = chrono::Utc::now();\n", 1);
    fails(finished, "src/pg/a.rs", "#[allow(dead_code)]\nfn x() {}\n", 1);
    fails(finished, "src/pg/a.rs", "fn x() {\n    todo!()\n}\n", 2);
    fails(no_unwrap, "src/pg/a.rs", "let x = y.unwrap();\n", 1);
    fails(no_unwrap, "src/pg/a.rs", "#[cfg(test)]\nmod tests;\nlet x = y.unwrap();\n", 3);
    fails(no_machine_folders, "docs/a.md", "see /home/somebody/x\n", 1);
    let long = format!("//! x\nimpl A {{\n    pub fn a() {{\n{}    }}\n}}\n", "x;\n".repeat(69));
    fails(short_functions, "src/pg/a.rs", &long, 3);
}

#[test]
fn no_rule_fails_where_it_should_not() {
    passes(imports_only_what_it_may, "src/ui.rs", "use crate::report::tone::paint;\n");
    passes(imports_only_what_it_may, "src/pg/a.rs", "use crate::error::Error;\n// crate::cli\n");
    passes(only_ui_prints, "src/ui.rs", "println!(\"x\");\n");
    passes(only_ui_prints, "src/pg/a.rs", "let text = \"println!\"; // println!\n");
    passes(pure_modules_stay_pure, "src/pg/a.rs", "use std::fs;\n");
    passes(pure_modules_stay_pure, "src/sql/a.rs", "use tokio_postgres_words::x;\n");
    passes(no_unwrap, "src/pg/a.rs", "#[cfg(test)]\nmod tests {\n    x.unwrap();\n}\n");
    passes(no_unwrap, "src/pg/a.rs", "let x = '\"'; // x.unwrap()\n");
    passes(no_unwrap, "src/pg/tests.rs", "x.unwrap();\n");
    passes(no_machine_folders, "src/pg/tests.rs", "let home = \"/home/os/x\";\n");
    let long = format!("    fn a() {{\n{}    }}\n", "x;\n".repeat(68));
    passes(short_functions, "src/pg/a.rs", &long);
}

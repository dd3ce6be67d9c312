//! Test only: the parts of `docs/` that are written from the code, and that they are not stale.
//!
//! `UPDATE=1 cargo test --lib docs` writes them anew.

use serde_json::Value;

use crate::checks::lint::check::Check;
use crate::checks::lint::table::CHECKS;
use crate::checks::lint::tests::{GIVEN, SEEN, SIZES, found};
use crate::cli;
use crate::model::finding::Severity;
use crate::model::units::human_bytes;
use crate::profile;
use crate::profile::layers::{keys, variable_name};

/// Compares a file of the repository with what it should hold; writes it under `UPDATE=1`.
fn check(path: &str, expected: &str) {
    let full = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&full, expected).unwrap();
    }
    let found = std::fs::read_to_string(&full).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is stale; `UPDATE=1 cargo test --lib docs` writes it, read the difference"
    );
}

#[test]
fn cli_reference_is_current() {
    let mut command = cli::command().term_width(100);
    command.build();
    let mut text = String::from(
        "# Command-line reference\n\nWritten from the program itself: what `--help` prints.\n\
         Global options are listed once, at the top; every command takes them.\n",
    );
    describe(&mut command, "", &mut text);
    check("docs/cli-reference.md", &text);
}

/// Adds a command and its subcommands, hidden ones left out.
fn describe(command: &mut clap::Command, parents: &str, text: &mut String) {
    let path = format!("{parents} {}", command.get_name()).trim().to_string();
    let help = command.render_long_help().to_string();
    let help = if parents.is_empty() { help } else { without_global_options(&help) };
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## `{path}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    for subcommand in command.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        describe(subcommand, &path, text);
    }
}

fn without_global_options(help: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        inside = *line == "Global options:" || inside && (line.is_empty() || line.starts_with(' '));
        !inside
    };
    help.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

/// What stands at the top of the page about checks.
const ABOUT_CHECKS: &str = "\
# Checks

Written from the checks and their examples, which are also their tests. `pgtune check` reads the
pending migrations beside what a snapshot knows of production: how large tables are, which indexes
and constraints there are. It knows what pgtune does itself: a plain CREATE INDEX is built online,
locks are waited for briefly and again, transactions are cut. What is left is told, each with its
file and line. Tables that the same migrations create have no rows yet: nothing is said about their
locks.

An error makes the exit code 1; a warning or an info does not.

## Allow something

In front of the statement, for what is found in it:

```sql
-- pgtune: allow table-rewrite until 2027-01-01: deployed in the maintenance window
ALTER TABLE events ALTER COLUMN created_at TYPE date;
```

Or in the profile, for any finding of `pgtune check`:

```toml
[[check.allow]]
check = \"unlogged-table\"
subject = \"public.carts\"      # as the finding names it; may be left out
reason = \"carts may be lost\"
until = \"2027-01-01\"          # the last day; may be left out
```

Each needs a reason (`allow-without-reason`). After its last day it allows nothing any more, and
says so (`allow-expired`); one that nothing is found for is told too (`allow-unused`). A comment
that begins with `pgtune:` and is not understood is an error (`allow-unreadable`).

## The database of the examples

";

#[test]
fn checks_are_current() {
    let sizes: Vec<String> =
        SIZES.iter().map(|(name, bytes)| format!("{name} {}", human_bytes(*bytes))).collect();
    let seen = SEEN.iter().map(|(table, column, seen)| {
        let what = if seen.repeats { "equal values" } else { "NULLs" };
        format!("{what} in {table}.{column}")
    });
    let seen: Vec<String> = seen.collect();
    let mut text = ABOUT_CHECKS.to_string();
    text += &format!("Sizes: {}. ANALYZE has seen {}.\n\n", sizes.join(", "), seen.join(", "));
    text += &format!("```sql\n{GIVEN}```\n");
    text += "\n## The checks\n\n| check | |\n|---|---|\n";
    for Check { id, severity, .. } in CHECKS {
        text += &format!("| [{id}](#{id}) | {} |\n", severity_name(*severity));
    }
    for check in CHECKS {
        describe_check(check, &mut text);
    }
    check("docs/checks.md", &text);
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn describe_check(check: &Check, text: &mut String) {
    let Check { id, severity, meaning, doubt, remedy, bad, good, .. } = check;
    let severity = severity_name(*severity);
    *text += &format!("\n### {id}\n\n*{severity}*: {meaning}\n\nInstead: {remedy}.\n\n");
    *text += &format!("When it may be wrong: {doubt}\n\n```sql\n{bad}```\n\n");
    for finding in found(bad) {
        let line = finding.place.map_or(0, |place| place.line);
        *text += &format!("> line {line}: {}: {}\n", finding.subject, finding.message);
    }
    *text += &format!("\nNothing to say about:\n\n```sql\n{good}```\n");
}

#[test]
fn schema_is_current() {
    check("docs/profile.schema.json", &profile::schema());
}

#[test]
fn profile_reference_is_current() {
    let schema: Value = serde_json::from_str(&profile::schema()).unwrap();
    let mut text = String::from(
        "# Profile reference\n\nWritten from the types that read the profile. A profile is \
         `pgtune.toml` in the current folder,\nor the file named by `--profile`. Flags win over \
         `PGTUNE_*` variables, these over `[env.NAME]`,\nthat over the profile, and that over the \
         defaults; `pgtune config show` prints each value with\nits origin. Durations are written \
         `250ms`, `2s`, `10min`, `1h` or `7d`.\n",
    );
    for (name, property) in schema["properties"].as_object().unwrap() {
        let section = resolve(&schema, property);
        let doc = section["description"].as_str();
        let title = match property["type"].as_str() {
            Some("array") => format!("[[{name}]]"),
            Some("object") => format!("[{name}.NAME]"),
            Some(_) | None => format!("[{name}]"),
        };
        text += &format!("\n## `{title}`\n\n{}\n", paragraph(doc.unwrap_or_default()));
        if name != "env" {
            describe_keys(&schema, name, section, &mut text);
        }
        for (key, property) in section["properties"].as_object().into_iter().flatten() {
            if name != "env" && is_list_of_tables(property) {
                let section = resolve(&schema, property);
                let doc = paragraph(section["description"].as_str().unwrap_or_default());
                text += &format!("\n## `[[{name}.{key}]]`\n\n{doc}\n");
                describe_keys(&schema, &format!("{name}.{key}"), section, &mut text);
            }
        }
    }
    check("docs/profile.md", &text);
}

/// The type behind a `$ref`, of the property itself, or of a list's items. What may be left out
/// has null beside its type.
fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    if let Some(some) = property["anyOf"].as_array().and_then(|types| types.first()) {
        return resolve(schema, some);
    }
    let reference = property["$ref"].as_str().or(property["items"]["$ref"].as_str());
    reference
        .and_then(|reference| schema.pointer(reference.trim_start_matches('#')))
        .unwrap_or(property)
}

/// Whether a key is a section of its own, which may be repeated.
fn is_list_of_tables(property: &Value) -> bool {
    property["type"] == "array" && property["items"]["$ref"].is_string()
}

fn describe_keys(schema: &Value, section_name: &str, section: &Value, text: &mut String) {
    for (key, property) in section["properties"].as_object().unwrap() {
        if is_list_of_tables(property) {
            continue;
        }
        let resolved = resolve(schema, property);
        let doc = property["description"].as_str().or(resolved["description"].as_str());
        *text += &format!("\n### `{key}`\n\n{}\n\n", paragraph(doc.unwrap_or_default()));
        *text += &format!("- type: {}\n", type_of(property, resolved));
        if let Some(default) = property.get("default") {
            *text += &format!("- default: `{default}`\n");
        }
        let path = format!("{section_name}.{key}");
        if keys().contains(&path) {
            *text += &format!("- variable: `{}`\n", variable_name(&path));
        }
    }
}

/// The type in the words of TOML; names of choices are listed.
fn type_of(property: &Value, resolved: &Value) -> String {
    if let Some(choices) = resolved["oneOf"].as_array() {
        let choices: Vec<String> = choices.iter().map(|c| format!("`{}`", c["const"])).collect();
        return choices.join(" or ");
    }
    if let Some(choices) = resolved["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        return choices.join(" or ");
    }
    if property["$ref"].as_str().is_some_and(|reference| reference.ends_with("/Millis")) {
        return "duration".to_string();
    }
    let may_be_null = property["type"].as_array().and_then(|types| types.first());
    match may_be_null.or(resolved.get("type")).and_then(Value::as_str) {
        Some("array") => format!("list of {}s", type_of(&property["items"], &property["items"])),
        Some("object") => "table of strings".to_string(),
        Some("integer") => "whole number".to_string(),
        Some(other) => other.to_string(),
        None => panic!("docs::type_of knows no type for {property}"),
    }
}

/// Joins the lines of a paragraph, as Markdown does.
fn paragraph(doc: &str) -> String {
    doc.split("\n\n").map(|p| p.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

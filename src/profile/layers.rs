//! Reads a profile in layers and remembers where each value came from.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::{Limits, Profile};
use crate::error::{Error, Result};
use crate::model::suggest::nearest;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The profile's base part, by file name.
    File(String),
    /// `[env.NAME]` of the profile.
    Overlay(String),
    /// An environment variable, by name.
    Variable(String),
    /// A flag, by name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(name) => f.write_str(name),
            Origin::Overlay(name) => write!(f, "[env.{name}]"),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// A profile put together from its layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Layered {
    /// The values that hold.
    pub profile: Profile,
    /// Origin of each key, by dotted path: `limits.lock_budget`.
    pub origins: BTreeMap<String, Origin>,
}

/// Single values from outside the file, by dotted path, in increasing order of strength.
pub type Overrides = Vec<(String, String, Origin)>;

/// Puts a profile together: defaults, the file's text, its overlay `env`, then `overrides`.
///
/// `file` is the name to show and the text. Errors are the user's: bad TOML, unknown keys (with
/// a suggestion), an unknown overlay, a value of the wrong type; each with line and column.
pub fn read(
    file: Option<(&str, &str)>,
    env: Option<&str>,
    overrides: Overrides,
) -> Result<Layered> {
    let mut layers = vec![(Origin::Default, to_table(&Profile::default()))];
    if let Some((name, text)) = file {
        let mut base = parse(name, text)?;
        let overlays = base.remove("env").unwrap_or(Value::Table(Table::new()));
        layers.push((Origin::File(name.to_string()), base));
        if let Some(env) = env {
            layers.push((Origin::Overlay(env.to_string()), overlay(name, &overlays, env)?));
        }
    } else if let Some(env) = env {
        return Err(Error::usage(format!("--env {env} needs a profile, and there is none"))
            .hint("run `pgtune init` to write pgtune.toml, or name one with --profile"));
    }
    let mut merged = Table::new();
    let mut origins = BTreeMap::new();
    for (origin, table) in layers {
        merge(&mut merged, table, &origin, "", &mut origins);
    }
    for (path, text, origin) in overrides {
        let layer = single_value(&path, &text, &merged);
        merge(&mut merged, layer, &origin, "", &mut origins);
        // Read after each, so that an error names the variable or flag that brought it.
        let read: std::result::Result<Profile, _> = merged.clone().try_into();
        read.map_err(|error| Error::usage(format!("{origin}: {}", error.message())))?;
    }
    let profile: Profile =
        merged.try_into().map_err(|e: toml::de::Error| Error::usage(e.message()))?;
    check_limits(&profile.limits, &origins)?;
    if let Some((key, why)) = profile.bench.wrong() {
        return Err(wrong_value(&format!("bench.{key}"), &why, &origins));
    }
    if let Some((key, why)) = profile.check.wrong() {
        return Err(wrong_value(&format!("check.{key}"), &why, &origins));
    }
    Ok(Layered { profile, origins })
}

/// Limits that would make pgtune wait for ever, or not at all.
fn check_limits(limits: &Limits, origins: &BTreeMap<String, Origin>) -> Result<()> {
    let wrong = |key: &str, why: &str| Err(wrong_value(&format!("limits.{key}"), why, origins));
    if limits.lock_budget.0 == 0 || limits.build_wait.0 == 0 {
        let key = if limits.lock_budget.0 == 0 { "lock_budget" } else { "build_wait" };
        return wrong(key, "0 would be no limit at all; write for example 2s or 30min");
    }
    if limits.lock_deadline < limits.lock_budget {
        return wrong("lock_deadline", "it must not be shorter than limits.lock_budget");
    }
    if !(1..=LANES_MAX).contains(&limits.lanes) {
        return wrong("lanes", &format!("from 1 to {LANES_MAX}"));
    }
    Ok(())
}

/// A value that cannot hold, with where it came from.
fn wrong_value(key: &str, why: &str, origins: &BTreeMap<String, Origin>) -> Error {
    let origin = origins.get(key).map_or_else(String::new, |origin| format!(" ({origin})"));
    Error::usage(format!("{key}{origin}: {why}"))
}

/// Each lane is a connection and a core's work of the server.
const LANES_MAX: u32 = 64;

/// The name of the environment variable for a key: `PGTUNE_LIMITS_LANES` for `limits.lanes`.
pub fn variable_name(path: &str) -> String {
    format!("PGTUNE_{}", path.replace('.', "_").to_uppercase())
}

/// The keys that hold single values, by dotted path, in order.
pub fn keys() -> Vec<String> {
    let (mut merged, mut origins) = (Table::new(), BTreeMap::new());
    let defaults = to_table(&Profile::default());
    merge(&mut merged, defaults, &Origin::Default, "", &mut origins);
    origins.into_keys().collect()
}

/// Picks the profile's keys out of the process's environment; empty variables count as unset.
///
/// Errors on a variable that has a section's prefix but names none of its keys, as the same
/// mistake in the file would.
pub fn variables(environment: impl Iterator<Item = (String, String)>) -> Result<Overrides> {
    let known: BTreeMap<String, String> =
        keys().into_iter().map(|path| (variable_name(&path), path)).collect();
    let sections: Vec<String> =
        to_table(&Profile::default()).keys().map(|key| variable_name(key) + "_").collect();
    let mut overrides = Overrides::new();
    for (name, value) in environment.filter(|(_, value)| !value.is_empty()) {
        if let Some(path) = known.get(&name) {
            overrides.push((path.clone(), value, Origin::Variable(name)));
        } else if sections.iter().any(|section| name.starts_with(section)) {
            let error = Error::usage(format!("the variable {name} is no key of the profile"));
            return Err(match nearest(&name, known.keys().map(String::as_str)) {
                Some(key) => error.hint(format!("did you mean {key}?")),
                None => error,
            });
        }
    }
    Ok(overrides)
}

/// Parses and checks the file's text; returns it as a table without defaults.
fn parse(name: &str, text: &str) -> Result<Table> {
    let profile: Profile = toml::from_str(text).map_err(|error| explain(name, text, &error))?;
    for (env, overlay) in &profile.env {
        if !overlay.env.is_empty() {
            return Err(Error::usage(format!("{name}: [env.{env}] cannot have overlays itself")));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for query in &profile.queries {
        if query.name.is_empty() || query.sql.trim().is_empty() {
            return Err(Error::usage(format!("{name}: each of [[queries]] needs a name and sql")));
        }
        if !seen.insert(&query.name) {
            return Err(Error::usage(format!("{name}: two queries are named \"{}\"", query.name)));
        }
    }
    text.parse().map_err(|error: toml::de::Error| explain(name, text, &error))
}

fn overlay(name: &str, overlays: &Value, env: &str) -> Result<Table> {
    let known = overlays.as_table().into_iter().flat_map(Table::keys);
    match overlays.get(env) {
        Some(Value::Table(table)) => Ok(table.clone()),
        Some(_) | None => {
            let known: Vec<&str> = known.map(String::as_str).collect();
            let error = Error::usage(format!("{name} has no [env.{env}]"));
            Err(match known.as_slice() {
                [] => error.hint("the profile has no overlays; leave --env out"),
                known => error.hint(format!("it has: {}", known.join(", "))),
            })
        }
    }
}

/// A TOML error with its place in the file, and the nearest known key.
fn explain(name: &str, text: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map_or_else(String::new, |span| {
        let before = &text[..text.floor_char_boundary(span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(":{line}:{column}")
    });
    let message = error.message().lines().next().unwrap_or("cannot be read").to_string();
    let result = Error::usage(format!("{name}{place}: {message}"));
    match suggestion(&message) {
        Some(key) => result.hint(format!("did you mean `{key}`?")),
        None => result,
    }
}

/// From serde's "unknown field `lok`, expected one of `lock`, …" the known name nearest to it.
fn suggestion(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().filter(|_| message.starts_with("unknown "))?;
    nearest(wrong, names).map(str::to_string)
}

fn to_table(profile: &Profile) -> Table {
    match Value::try_from(profile) {
        Ok(Value::Table(table)) => table,
        Ok(_) | Err(_) => unreachable!("a profile is a TOML table"),
    }
}

/// `{a = {b = text}}` for `a.b`, with the text read as the type of the value it replaces.
fn single_value(path: &str, text: &str, merged: &Table) -> Table {
    let current = path
        .split('.')
        .try_fold(None::<&Value>, |at, key| match at {
            None => merged.get(key).map(Some),
            Some(value) => value.get(key).map(Some),
        })
        .flatten();
    let value = match current {
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
        Some(Value::Float(_)) => text.parse().map(Value::Float).ok(),
        Some(_) | None => None,
    }
    .unwrap_or_else(|| Value::String(text.to_string()));
    path.rsplit('.')
        .fold(value, |inner, key| Value::Table(Table::from_iter([(key.to_string(), inner)])))
        .as_table()
        .cloned()
        .unwrap_or_default()
}

fn merge(
    into: &mut Table,
    from: Table,
    origin: &Origin,
    prefix: &str,
    origins: &mut BTreeMap<String, Origin>,
) {
    for (key, value) in from {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => {
                merge(inner, table, origin, &path, origins);
            }
            (None, Value::Table(table)) => {
                let mut inner = Table::new();
                merge(&mut inner, table, origin, &path, origins);
                into.insert(key, Value::Table(inner));
            }
            (Some(_) | None, value) => {
                origins.insert(path, origin.clone());
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Millis;

    const TEXT: &str = "
[limits]
lock_budget = \"1s\"
lanes = 3

[env.prod.limits]
lock_budget = \"500ms\"
";

    fn message(text: &str) -> String {
        let error = read(Some(("pgtune.toml", text)), None, Vec::new()).unwrap_err();
        format!("{error} | {}", error.hints.join(" | "))
    }

    #[test]
    fn later_layers_replace_single_keys() {
        let flag = Origin::Flag("--lanes".into());
        let overrides = vec![("limits.lanes".to_string(), "7".to_string(), flag.clone())];
        let layered = read(Some(("pgtune.toml", TEXT)), Some("prod"), overrides).unwrap();
        assert_eq!(layered.profile.limits.lock_budget, Millis(500));
        assert_eq!(layered.profile.limits.lanes, 7);
        assert_eq!(layered.profile.limits.runner_wait, Millis(600_000));
        assert_eq!(layered.origins["limits.lock_budget"], Origin::Overlay("prod".into()));
        assert_eq!(layered.origins["limits.lanes"], flag);
        assert_eq!(layered.origins["limits.runner_wait"], Origin::Default);
    }

    #[test]
    fn mistakes_name_their_place_and_the_nearest_key() {
        assert_eq!(
            message("[limits]\nlok_budget = \"1s\"\n"),
            "pgtune.toml:2:1: unknown field `lok_budget`, expected one of `lock_budget`, \
             `lock_deadline`, `statement_timeout`, `build_wait`, `lanes`, `runner_wait` | \
             did you mean `lock_budget`?"
        );
        assert!(
            message("[limits]\nlock_budget = \"soon\"").contains("2:15: \"soon\" is no duration")
        );
        assert!(message("[env.prod.limits]\nlane = 1").contains("2:1: unknown field `lane`"));
        assert!(message("[limits\n").starts_with("pgtune.toml:1:"));
        assert!(message("[[queries]]\nname = \"a\"").contains("needs a name and sql"));
    }

    #[test]
    fn unknown_overlays_list_the_known_ones() {
        let error = read(Some(("p.toml", TEXT)), Some("stage"), Vec::new()).unwrap_err();
        assert_eq!(error.message, "p.toml has no [env.stage]");
        assert_eq!(error.hints, ["it has: prod"]);
    }

    #[test]
    fn variables_are_found_by_their_keys() {
        let read = |name: &str| variables([(name.to_string(), "3".to_string())].into_iter());
        let origin = Origin::Variable("PGTUNE_LIMITS_LANES".into());
        let expected = vec![("limits.lanes".to_string(), "3".to_string(), origin)];
        assert_eq!(read("PGTUNE_LIMITS_LANES").unwrap(), expected);
        assert_eq!(read("PGTUNE_PROFILE").unwrap(), Vec::new());
        let error = read("PGTUNE_LIMITS_LANE").unwrap_err();
        assert_eq!(error.hints, ["did you mean PGTUNE_LIMITS_LANES?"]);
        assert!(keys().contains(&"database.url".to_string()));
    }

    #[test]
    fn limits_that_limit_nothing_are_refused() {
        for (limits, said) in [
            ("lock_budget = \"0\"", "limits.lock_budget (p.toml): 0 would be no limit"),
            ("build_wait = \"0\"", "limits.build_wait (p.toml): 0 would be"),
            ("lock_deadline = \"1s\"", "limits.lock_deadline (p.toml): it must not be shorter"),
            ("lanes = 0", "limits.lanes (p.toml): from 1 to 64"),
            ("lanes = 1\n[bench]\nclients = 0", "bench.clients (p.toml): from 1 to 1000"),
            ("lanes = 1\n[bench]\nduration = \"0\"", "bench.duration (p.toml): 0 would measure"),
        ] {
            let text = format!("[limits]\n{limits}\n");
            let error = read(Some(("p.toml", &text)), None, Vec::new()).unwrap_err();
            assert!(error.message.starts_with(said), "{error}");
        }
    }

    #[test]
    fn overrides_name_themselves_when_wrong() {
        let origin = Origin::Variable("PGTUNE_LIMITS_LANES".into());
        let overrides = vec![("limits.lanes".to_string(), "many".to_string(), origin)];
        let error = read(None, None, overrides).unwrap_err();
        assert!(error.message.starts_with("PGTUNE_LIMITS_LANES: invalid type"), "{error}");
    }
}

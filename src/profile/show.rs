//! A profile's values with their origins, as they may be shown: without secrets.

use toml::{Table, Value};

use super::layers::{Layered, Origin};
use super::secret::{MASK, mask_url_password};

/// One value of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Dotted path: `limits.lanes`.
    pub key: String,
    /// The value as text; lists by their names.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Every value that holds, ordered by key.
pub fn values(layered: &Layered) -> Vec<Shown> {
    let table = Table::try_from(&layered.profile).unwrap_or_default();
    layered
        .origins
        .iter()
        .map(|(key, origin)| Shown {
            key: key.clone(),
            value: show(key, lookup(&table, key)),
            origin: origin.clone(),
        })
        .collect()
}

fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

fn show(key: &str, value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) if key == "database.url" => mask_url_password(text),
        // A store's credentials do not belong there; whoever put them there shall not show them.
        Some(Value::String(text)) if key == "archive.endpoint" && text.contains('@') => {
            MASK.to_string()
        }
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let names = items.iter().filter_map(|item| item.get("name")?.as_str());
            names.collect::<Vec<_>>().join(", ")
        }
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::layers;

    #[test]
    fn each_value_has_its_origin_and_no_secret() {
        let text = "
[database]
url = \"postgres://a:s3cret@db/x\"
[limits]
lanes = 3
[[queries]]
name = \"one\"
sql = \"select 1\"
[[queries]]
name = \"two\"
sql = \"select 2\"
";
        let layered = layers::read(Some(("p.toml", text)), None, Vec::new()).unwrap();
        let shown = |key: &str| {
            let found = values(&layered).into_iter().find(|shown| shown.key == key).unwrap();
            format!("{} from {}", found.value, found.origin)
        };
        assert_eq!(shown("database.url"), "postgres://a:***@db/x from p.toml");
        assert_eq!(shown("limits.lanes"), "3 from p.toml");
        assert_eq!(shown("limits.lock_budget"), "2s from default");
        assert_eq!(shown("queries"), "one, two from p.toml");
    }
}

//! `SET`, `RESET` and `set_config`: what later statements of a file rely on.

use super::tokens::{Cursor, Kind as TokenKind};
use crate::model::ident::{Ident, parse_name};

/// `SET name = value`, `RESET name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `SET LOCAL` and `SET TRANSACTION`: gone with the transaction.
    pub local: bool,
    /// The same for later transactions of the file, which were one in the author's mind; `None`
    /// for what makes sense in one transaction only.
    pub again: Option<String>,
    /// What `search_path` becomes, when it is set.
    pub search_path: Option<SearchPath>,
}

/// What `search_path` becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchPath {
    /// These schemas.
    To(Vec<Ident>),
    /// What the session began with.
    Default,
}

pub(super) fn set(mut cursor: Cursor<'_>) -> Option<Set> {
    let text = cursor.rest().to_string();
    if cursor.take(&["reset"]) {
        let search_path = cursor.take_any(&["all", "search_path"]).map(|_| SearchPath::Default);
        return Some(Set { local: false, again: Some(text), search_path });
    }
    if !cursor.take(&["set"]) {
        return None;
    }
    if cursor.take_any(&["constraints", "transaction"]).is_some() {
        return Some(Set { local: true, again: None, search_path: None });
    }
    let local = cursor.take(&["local"]);
    if cursor.take(&["session"]) && cursor.sees(&["characteristics"]) {
        return Some(Set { local: false, again: Some(text), search_path: None });
    }
    let again = Some(format!("SET {}", cursor.rest()));
    if cursor.take(&["schema"]) {
        let search_path = Some(SearchPath::To(schema_in_path(&mut cursor).into_iter().collect()));
        return Some(Set { local, again, search_path });
    }
    let search_path = cursor.take(&["search_path"]).then(|| {
        if !cursor.take(&["to"]) {
            cursor.take_kind(TokenKind::Other);
        }
        if cursor.take(&["default"]) {
            return SearchPath::Default;
        }
        let mut schemas = cursor.split_commas();
        SearchPath::To(schemas.iter_mut().filter_map(schema_in_path).collect())
    });
    Some(Set { local, again, search_path })
}

/// `SELECT pg_catalog.set_config('search_path', '', false)`, as pg_dump writes it.
pub(super) fn set_config(mut cursor: Cursor<'_>) -> Option<Set> {
    let text = cursor.rest().to_string();
    if !cursor.take(&["select"]) {
        return None;
    }
    let name = cursor.take_name()?;
    let arguments = cursor.take_group()?.split_commas();
    let [setting, value, local] = arguments.as_slice() else { return None };
    if name.last()?.as_str() != "set_config" || !cursor.at_end() {
        return None;
    }
    let unquoted = |text: &Cursor<'_>| text.rest().trim_matches('\'').to_string();
    let schemas = || SearchPath::To(parse_path(&unquoted(value)));
    let search_path = (unquoted(setting) == "search_path").then(schemas);
    let local = !local.sees(&["false"]);
    Some(Set { local, again: Some(text).filter(|_| !local), search_path })
}

/// The schemas of a search_path in a string; without "$user".
pub fn parse_path(text: &str) -> Vec<Ident> {
    let schemas = text.split(',').map(str::trim).filter(|schema| !schema.is_empty());
    schemas.filter_map(|schema| parse_name(schema)?.pop()).filter(is_schema).collect()
}

/// A schema in `SET search_path`: a name, or a name in a string.
fn schema_in_path(item: &mut Cursor<'_>) -> Option<Ident> {
    let schema = item.take_ident().or_else(|| Ident::new(item.rest().trim_matches('\'')).ok());
    schema.filter(is_schema)
}

/// "$user" means a schema of the role's name, which hardly anybody has.
fn is_schema(name: &Ident) -> bool {
    name.as_str() != "$user"
}

#[cfg(test)]
mod tests {
    use super::super::statement::{Kind, kind_of};
    use super::*;

    #[test]
    fn reads_settings() {
        let Kind::Set(set) = kind_of("SET search_path TO app, \"$user\", 'public'") else {
            panic!("no SET")
        };
        let Some(SearchPath::To(path)) = set.search_path else { panic!("no schemas") };
        let path: Vec<String> = path.iter().map(|i| i.as_str().to_string()).collect();
        assert_eq!(path, ["app", "public"]);
        assert!(matches!(
            kind_of("set local work_mem = '1GB'"),
            Kind::Set(Set { local: true, .. })
        ));
        for sql in ["reset all", "RESET search_path", "set search_path = default"] {
            let Kind::Set(set) = kind_of(sql) else { panic!("{sql}") };
            assert_eq!(set.search_path, Some(SearchPath::Default), "{sql}");
        }
    }

    #[test]
    fn reads_set_config_and_reset_as_settings() {
        let sql = "SELECT pg_catalog.set_config('search_path', 'app, \"B\"', false)";
        let Kind::Set(Set { local: false, search_path: Some(path), .. }) = kind_of(sql) else {
            panic!("no setting")
        };
        let schemas = vec![Ident::new("app").unwrap(), Ident::new("B").unwrap()];
        assert_eq!(path, SearchPath::To(schemas));
        let local = kind_of("select set_config('work_mem', '1MB', true)");
        assert_eq!(local, Kind::Set(Set { local: true, again: None, search_path: None }));
        let again = |sql: &str| {
            let Kind::Set(set) = kind_of(sql) else { panic!("{sql}") };
            set.again
        };
        assert_eq!(again("reset role").as_deref(), Some("reset role"));
        assert_eq!(again("set local work_mem = '1GB'").as_deref(), Some("SET work_mem = '1GB'"));
        assert_eq!(again("set session a.b to c").as_deref(), Some("SET a.b to c"));
        let Kind::Set(set) = kind_of("set schema 'App'") else { panic!("no SET") };
        assert_eq!(set.search_path, Some(SearchPath::To(vec![Ident::new("App").unwrap()])));
        assert_eq!(kind_of("select set_config('a.b', c, true) from t"), Kind::Other);
    }
}

//! ALTER TABLE, taken apart into its actions.

use super::column::{Column, Constraint, take_type};
use super::statement::Name;
use super::tokens::{Cursor, tokens};
use super::type_name::TypeName;
use crate::model::ident::Ident;

/// An ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTable {
    /// The table.
    pub table: Name,
    /// What is done, with where in the statement's text each begins.
    pub actions: Vec<(usize, Action)>,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `ADD COLUMN`
    AddColumn(Column),
    /// `DROP COLUMN`
    DropColumn(Ident),
    /// `ALTER COLUMN … TYPE`
    SetType {
        /// The column.
        column: Ident,
        /// Its new type.
        type_name: TypeName,
        /// Whether USING computes the values from more than a cast of the column.
        computed: bool,
    },
    /// `ALTER COLUMN … SET NOT NULL`
    SetNotNull(Ident),
    /// `ADD CONSTRAINT`
    AddConstraint(Constraint),
    /// `VALIDATE CONSTRAINT`
    Validate(Ident),
    /// `DROP CONSTRAINT`
    DropConstraint(Ident),
    /// `ATTACH PARTITION`
    Attach(Name),
    /// `DETACH PARTITION`
    Detach(Name),
    /// `SET LOGGED` and `SET UNLOGGED`
    SetLogged(bool),
    /// `SET ACCESS METHOD`
    SetAccessMethod,
    /// `SET TABLESPACE`
    SetTablespace,
    /// `RENAME COLUMN`
    RenameColumn(Ident, Ident),
    /// `RENAME TO`
    RenameTo(Ident),
    /// `SET SCHEMA`
    SetSchema(Ident),
    /// Anything else.
    Other,
}

/// Reads a statement that may be an ALTER TABLE.
pub fn alter_table(text: &str) -> Option<AlterTable> {
    let tokens: Vec<_> = tokens(text).filter(|t| t.kind != super::tokens::Kind::Comment).collect();
    let mut cursor = Cursor::new(text, &tokens);
    if !cursor.take(&["alter", "table"]) {
        return None;
    }
    cursor.take(&["if", "exists"]);
    cursor.take(&["only"]);
    let table = cursor.take_name()?;
    cursor.take_kind(super::tokens::Kind::Other);
    let actions = cursor.split_commas().into_iter();
    let actions = actions.filter_map(|action| Some((action.offset()?, read(action)))).collect();
    Some(AlterTable { table, actions })
}

fn read(mut cursor: Cursor<'_>) -> Action {
    let heads = ["add", "drop", "alter", "validate", "attach", "detach", "set", "rename"];
    let action = match cursor.take_any(&heads) {
        Some("add") => add(cursor),
        Some("drop") => drop(cursor),
        Some("alter") => alter_column(cursor),
        Some("validate") => {
            cursor.take(&["constraint"]);
            cursor.take_ident().map(Action::Validate)
        }
        Some("attach") => {
            cursor.take(&["partition"]);
            cursor.take_name().map(Action::Attach)
        }
        Some("detach") => {
            cursor.take(&["partition"]);
            cursor.take_name().map(Action::Detach)
        }
        Some("set") => set(cursor),
        Some("rename") => rename(cursor),
        Some(_) | None => None,
    };
    action.unwrap_or(Action::Other)
}

fn add(mut cursor: Cursor<'_>) -> Option<Action> {
    if let Some(constraint) = Constraint::read(cursor.clone()) {
        return Some(Action::AddConstraint(constraint));
    }
    cursor.take(&["column"]);
    cursor.take(&["if", "not", "exists"]);
    Column::read(cursor).map(Action::AddColumn)
}

fn drop(mut cursor: Cursor<'_>) -> Option<Action> {
    let constraint = cursor.take(&["constraint"]);
    if !constraint {
        cursor.take(&["column"]);
    }
    cursor.take(&["if", "exists"]);
    let name = cursor.take_ident()?;
    Some(if constraint { Action::DropConstraint(name) } else { Action::DropColumn(name) })
}

fn alter_column(mut cursor: Cursor<'_>) -> Option<Action> {
    cursor.take(&["column"]);
    let column = cursor.take_ident()?;
    if cursor.take(&["set", "not", "null"]) {
        return Some(Action::SetNotNull(column));
    }
    if !cursor.take(&["set", "data", "type"]) && !cursor.take(&["type"]) {
        return None;
    }
    let type_name = take_type(&mut cursor);
    let computed = cursor.skip_to(&["using"]) && is_computed(cursor, &column);
    Some(Action::SetType { column, type_name, computed })
}

/// Whether `USING …` is more than the column itself, or a cast of it.
fn is_computed(mut cursor: Cursor<'_>, column: &Ident) -> bool {
    cursor.take(&["using"]);
    while let Some(group) = cursor.take_group().filter(|_| cursor.at_end()) {
        cursor = group;
    }
    if cursor.take(&["cast"]) {
        let Some(group) = cursor.take_group() else { return true };
        cursor = group;
    }
    let itself = cursor.take_ident().as_ref() == Some(column);
    let cast = cursor.at_end() || cursor.rest().starts_with("::") || cursor.sees(&["as"]);
    let operators = cursor.words().filter(|(kind, text)| {
        let is_colon = text.chars().all(|c| c == ':');
        *kind == super::tokens::Kind::Other && !is_colon
    });
    !itself || !cast || operators.count() > 0
}

fn set(mut cursor: Cursor<'_>) -> Option<Action> {
    match cursor.take_any(&["logged", "unlogged", "access", "tablespace", "schema"])? {
        "logged" => Some(Action::SetLogged(true)),
        "unlogged" => Some(Action::SetLogged(false)),
        "access" => Some(Action::SetAccessMethod),
        "tablespace" => Some(Action::SetTablespace),
        _ => cursor.take_ident().map(Action::SetSchema),
    }
}

fn rename(mut cursor: Cursor<'_>) -> Option<Action> {
    if cursor.take(&["to"]) {
        return cursor.take_ident().map(Action::RenameTo);
    }
    if cursor.take(&["constraint"]) {
        return None;
    }
    cursor.take(&["column"]);
    let old = cursor.take_ident()?;
    cursor.take(&["to"]);
    Some(Action::RenameColumn(old, cursor.take_ident()?))
}

#[cfg(test)]
mod tests {
    use super::super::column::Body;
    use super::*;

    fn actions(sql: &str) -> Vec<Action> {
        let alter = alter_table(sql).unwrap_or_else(|| panic!("{sql}"));
        alter.actions.into_iter().map(|(_, action)| action).collect()
    }

    #[test]
    fn actions_are_taken_apart() {
        let sql = "alter table if exists only s.t add column if not exists a int default 1, \
                   add b text, drop column if exists c, alter column d set not null, \
                   add constraint k check (a > 0) not valid, validate constraint k";
        let alter = alter_table(sql).unwrap();
        assert_eq!(alter.table.len(), 2);
        let actions: Vec<Action> = alter.actions.into_iter().map(|(_, action)| action).collect();
        assert!(matches!(&actions[0], Action::AddColumn(c) if c.default.as_deref() == Some("1")));
        assert!(matches!(&actions[1], Action::AddColumn(c) if c.name.as_str() == "b"));
        assert!(matches!(&actions[2], Action::DropColumn(c) if c.as_str() == "c"));
        assert!(matches!(&actions[3], Action::SetNotNull(c) if c.as_str() == "d"));
        assert!(matches!(&actions[4], Action::AddConstraint(c)
            if c.not_valid && matches!(c.body, Body::Check(_))));
        assert!(matches!(&actions[5], Action::Validate(_)));
        assert_eq!(alter_table("create table t (a int)"), None);
    }

    #[test]
    fn a_cast_of_the_column_is_no_computation() {
        for (using, expected) in [
            ("", false),
            ("using a", false),
            ("using (a::bigint)", false),
            ("using cast(a as bigint)", false),
            ("using a + 1", true),
            ("using b", true),
            ("using a::text || 'x'", true),
            ("using lower(a)", true),
        ] {
            let sql = format!("alter table t alter a type bigint {using}");
            let [Action::SetType { computed, .. }] = actions(&sql)[..] else { panic!("{sql}") };
            assert_eq!(computed, expected, "{sql}");
        }
    }

    #[test]
    fn tables_are_moved_and_renamed() {
        let is = |sql: &str, wanted: fn(&Action) -> bool| {
            assert!(wanted(&actions(sql)[0]), "{sql}: {:?}", actions(sql));
        };
        is("alter table t set unlogged", |a| *a == Action::SetLogged(false));
        is("alter table t set access method heap", |a| *a == Action::SetAccessMethod);
        is("alter table t set tablespace fast", |a| *a == Action::SetTablespace);
        is("alter table t rename a to b", |a| matches!(a, Action::RenameColumn(..)));
        is("alter table t rename to u", |a| matches!(a, Action::RenameTo(_)));
        is("alter table t rename constraint a to b", |a| *a == Action::Other);
        is("alter table t set (fillfactor = 70)", |a| *a == Action::Other);
        is("alter table p attach partition s.c default", |a| matches!(a, Action::Attach(_)));
        is("alter table t alter column a set default 5", |a| *a == Action::Other);
    }
}

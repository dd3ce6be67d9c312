//! A table that a crash empties.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;
use crate::sql::statement::Kind;
use crate::sql::tokens::{Cursor, tokens};

/// The check.
pub const CHECK: Check = Check {
    id: "unlogged-table",
    severity: Severity::Warning,
    meaning: "A table is or becomes UNLOGGED: after a crash it is empty, replicas do not have its \
              rows, and a failover loses them.",
    doubt: "Right for what can be made again, as a staging table or a cache.",
    remedy: "make it an ordinary table, or allow this and say why its rows may be lost",
    bad: include_str!("../examples/unlogged-table/bad.sql"),
    good: include_str!("../examples/unlogged-table/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let message = "a crash empties it";
    if let Kind::CreateTable(create) = at.kind {
        let tokens: Vec<_> = tokens(at.text).collect();
        let is_unlogged = Cursor::new(at.text, &tokens).sees(&["create", "unlogged"]);
        let name = at.world.name(&create.name);
        return is_unlogged.then(|| Found::new(name, 0, message)).into_iter().collect();
    }
    let actions = at.old_actions();
    let becomes = actions.filter(|(_, _, action)| **action == Action::SetLogged(false));
    becomes.map(|(table, offset, _)| Found::new(table, offset, message)).collect()
}

//! Reads what the first pages of indexes say, where the extension pageinspect is there and the role
//! may use it. Elsewhere it is estimated.

use std::collections::BTreeMap;

use postgres::Row;

use crate::model::ident::{Ident, QualifiedName};
use crate::model::snapshot::{GinPages, RelationSize};
use crate::pg::catalog::name;
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;

/// Where the extension is, where the role may use it: its functions look for superusers.
const EXTENSION: &str = "select n.nspname::text from pg_extension e join pg_namespace n on n.oid = \
                         e.extnamespace where e.extname = 'pageinspect' and \
                         current_setting('is_superuser')::bool";

/// What a first page says.
type First = (Option<u32>, Option<GinPages>);

/// Adds the heights of b-trees and what GIN has counted. Whatever is refused leaves all as it is.
pub fn add(
    session: &mut Session,
    relations: &mut [RelationSize],
) -> std::result::Result<(), Failure> {
    let rows = session.query(EXTENSION, &[])?;
    let Some(schema) = rows.first().and_then(|row| Ident::new(row.get::<_, &str>(0)).ok()) else {
        return Ok(());
    };
    session.run("SAVEPOINT pgtune_pages")?;
    let sql =
        include_str!("../sql/snapshot_pages.sql").replace("{pageinspect}", &schema.to_string());
    let read = session.each(&sql, &[], |row| Some((name(row, 0).ok()?, first(row))));
    let read: BTreeMap<QualifiedName, First> = match read {
        Ok(rows) => rows.into_iter().flatten().collect(),
        Err(failure) if failure.verdict() == Verdict::Gone => return Err(failure),
        Err(_) => return session.run("ROLLBACK TO SAVEPOINT pgtune_pages"),
    };
    for relation in relations {
        if let Some((height, gin)) = read.get(&relation.name) {
            (relation.tree_height, relation.gin) = (*height, gin.clone());
        }
    }
    Ok(())
}

fn first(row: &Row) -> First {
    let count = |at| row.get::<_, Option<i64>>(at).and_then(|count| u32::try_from(count).ok());
    let gin = || {
        Some(GinPages {
            pending_pages: count(3)?,
            total_pages: count(4)?,
            entry_pages: count(5)?,
            data_pages: count(6)?,
            entries: row.get::<_, Option<i64>>(7)?,
        })
    };
    (count(2), gin())
}

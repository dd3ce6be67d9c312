//! Asks a DEFAULT partition about rows that belong to partitions to be created.

use postgres::types::Type;

use super::failure::Failure;
use super::partitions::{LOOK_LOCK_TIMEOUT, traits};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::default_rows::{DefaultQuestion, DefaultRows};
use crate::model::ident::Ident;

/// Looks into the DEFAULT partition: by an index on the column where there is one, else by reading
/// all of it, while others go on.
pub fn look(session: &mut Session, question: &DefaultQuestion) -> Result<DefaultRows> {
    let DefaultQuestion { parent, default, .. } = question;
    let explain = |failure: Failure| failure.explain(&format!("cannot look into {default}"));
    // Values are printed as bounds are, and read as these.
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL lock_timeout = '{LOOK_LOCK_TIMEOUT}'; \
         SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL row_security = off"
    );
    session.run(&begin).map_err(explain)?;
    let rows = session.query(&span_sql(question), &[]);
    let own =
        session.query(include_str!("sql/default_rows.sql"), &[(&default.to_string(), Type::TEXT)]);
    session.roll_back();
    let (rows, own) = (rows.map_err(explain)?, own.map_err(explain)?);
    let (Some(span), Some(own)) = (rows.first(), own.first()) else {
        return Err(Error::new(Kind::Database, "the server said nothing"));
    };
    let triggers: Vec<String> = own.get(0);
    let triggers: std::result::Result<Vec<Ident>, String> =
        triggers.into_iter().map(Ident::new).collect();
    let mut traits = traits(session, &[(parent.clone(), default.clone())])?;
    Ok(DefaultRows {
        first: span.get(0),
        last: span.get(1),
        has_nulls: span.get(2),
        own_triggers: triggers.map_err(|message| Error::new(Kind::Database, message))?,
        is_published: own.get(1),
        traits: traits.remove(parent).unwrap_or_default(),
    })
}

/// `min` and `max` know no uuid before PostgreSQL 18.
fn span_sql(DefaultQuestion { default, column, .. }: &DefaultQuestion) -> String {
    let end = |order: &str| {
        format!(
            "(SELECT {column}::text FROM ONLY {default} WHERE {column} IS NOT NULL ORDER BY \
             {column} {order} LIMIT 1)"
        )
    };
    format!(
        "SELECT {}, {}, EXISTS (SELECT FROM ONLY {default} WHERE {column} IS NULL)",
        end("ASC"),
        end("DESC")
    )
}

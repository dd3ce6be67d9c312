//! Asks a DEFAULT partition about rows that belong to partitions to be created.

use postgres::Row;
use postgres::types::Type;

use super::failure::Failure;
use super::partitions::{LOOK_LOCK_TIMEOUT, traits};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::default_rows::{DefaultQuestion, DefaultRows};
use crate::model::ident::Ident;
use crate::runbook::swap::{COPY_TRIGGER, changes_of, copy_of, noted_columns};

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
    let found = read(session, question);
    session.roll_back();
    let mut found = found.map_err(explain)??;
    let mut traits = traits(session, &[(parent.clone(), default.clone())])?;
    found.traits = traits.remove(parent).unwrap_or_default();
    Ok(found)
}

type Read<T> = std::result::Result<T, Failure>;

fn read(session: &mut Session, question: &DefaultQuestion) -> Read<Result<DefaultRows>> {
    // What was begun goes on wherever the rows lie.
    let span = if question.has_copy { NO_SPAN.to_string() } else { span_sql(question) };
    let rows = session.query(&span, &[])?;
    let (default, parent) = (question.default.to_string(), question.parent.to_string());
    let own = session.query(
        include_str!("sql/default_rows.sql"),
        &[(&default, Type::TEXT), (&parent, Type::TEXT), (&COPY_TRIGGER, Type::TEXT)],
    )?;
    let (Some(span), Some(own)) = (rows.first(), own.first()) else {
        return Ok(Err(Error::new(Kind::Database, "the server said nothing")));
    };
    let mut found = match found(span, own) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    if question.has_copy {
        let copy = copy_of(&question.parent);
        let changes = changes_of(&copy).to_string();
        let noted: Vec<String> =
            noted_columns(&found.key).iter().map(|c| c.as_str().to_string()).collect();
        let rows = session.query(
            include_str!("sql/default_copy.sql"),
            &[
                (&copy.to_string(), Type::TEXT),
                (&default, Type::TEXT),
                (&parent, Type::TEXT),
                (&changes, Type::TEXT),
                (&noted, Type::TEXT_ARRAY),
                (&COPY_TRIGGER, Type::TEXT),
            ],
        )?;
        found.copy_fits = rows.first().is_some_and(|row| row.get(0));
    }
    Ok(Ok(found))
}

fn found(span: &Row, own: &Row) -> Result<DefaultRows> {
    let idents = |names: Vec<String>| {
        let idents: std::result::Result<Vec<Ident>, String> =
            names.into_iter().map(Ident::new).collect();
        idents.map_err(|message| Error::new(Kind::Database, message))
    };
    let foreign_keys = serde_json::from_str(own.get(3))
        .map_err(|error| Error::new(Kind::Bug, "cannot read foreign keys").caused_by(error))?;
    Ok(DefaultRows {
        first: span.get(0),
        last: span.get(1),
        has_nulls: span.get(2),
        own_triggers: idents(own.get(0))?,
        is_published: own.get(1),
        key: idents(own.get(2))?,
        foreign_keys,
        ..DefaultRows::default()
    })
}

/// Where it does not matter where the rows lie.
const NO_SPAN: &str = "SELECT NULL::text, NULL::text, false";

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

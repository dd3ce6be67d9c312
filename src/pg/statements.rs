//! The statements that the server spends its time on, as `pg_stat_statements` counts them.

use std::collections::BTreeMap;

use postgres::types::Type;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::statement::CountedStatement;
use crate::profile::Query;
use crate::sql::normalised::{Relations, plannable};
use crate::sql::query::{Does, look};

/// Statements up to this share of all time are read, the dearest first.
const SHARE: f64 = 0.95;

/// What the names of statements begin with.
pub const NAME_PREFIX: &str = "statement_";

/// What the server remembers of statements.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statements {
    /// The statements, the dearest first.
    pub counted: Vec<CountedStatement>,
    /// How many statements were forgotten for want of room: what was read is not all there was.
    pub forgotten: i64,
    /// How many have a text that the role may not read.
    pub hidden: i64,
    /// Their share of all time, from 0 to 1.
    pub hidden_share: f64,
}

/// One text, whoever ran it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    sql: String,
    calls: i64,
    time_ms: f64,
}

/// Reads the statements of this database that name one of its tables: the dearest, and all that
/// name a table of `touched`, which holds tables and indexes as written in SQL. Not those about
/// `history_table`: pgtune's own.
///
/// Constants in them are parameters; their names are digests of their texts, and so the same on
/// every server. Errors where the extension is missing, or may not be read.
pub fn statements(
    session: &mut Session,
    history_table: &[Ident],
    touched: &[String],
) -> Result<Statements> {
    let schema = extension_schema(session)?;
    let rows = session.query(&sql(schema)?, &[]).map_err(explain)?;
    let mut statements = Statements::default();
    let (mut seen, mut hidden_ms) = (Vec::new(), 0.0);
    for row in &rows {
        let (calls, time_ms): (i64, f64) = (row.get(1), row.get(2));
        statements.forgotten = row.get(4);
        match row.get(0) {
            Some(sql) => seen.push(Seen { sql, calls, time_ms }),
            None => (statements.hidden, hidden_ms) = (row.get(3), time_ms),
        }
    }
    let whole_ms = seen.iter().map(|one| one.time_ms).sum::<f64>() + hidden_ms;
    statements.hidden_share = if whole_ms > 0.0 { hidden_ms / whole_ms } else { 0.0 };
    let history: Vec<String> = history_table.iter().map(ToString::to_string).collect();
    let application = relations(
        session,
        include_str!("sql/application_relations.sql"),
        (&history.join("."), Type::TEXT),
    )?;
    let tables = match touched {
        [] => Relations::default(),
        touched => {
            relations(session, include_str!("sql/related.sql"), (&touched, Type::TEXT_ARRAY))?
        }
    };
    statements.counted = chosen(seen, &application, &tables);
    Ok(statements)
}

fn explain(failure: Failure) -> Error {
    failure.explain("cannot read pg_stat_statements")
}

fn ident(name: &str) -> Result<Ident> {
    Ident::new(name).map_err(|message| Error::new(Kind::Database, message))
}

/// Where the extension is.
fn extension_schema(session: &mut Session) -> Result<Ident> {
    let schema = "select n.nspname::text from pg_extension e join pg_namespace n on n.oid = \
                  e.extnamespace where e.extname = 'pg_stat_statements'";
    let rows = session.query(schema, &[]).map_err(explain)?;
    let schema = rows.first().map(|row| row.get::<_, String>(0)).ok_or_else(|| {
        Error::new(Kind::Database, "the database has no extension pg_stat_statements").hint(
            "CREATE EXTENSION pg_stat_statements; it also has to be in shared_preload_libraries",
        )
    })?;
    ident(&schema)
}

fn sql(schema: Ident) -> Result<String> {
    let info = QualifiedName::new(schema, ident("pg_stat_statements_info")?);
    let view = info.sibling(ident("pg_stat_statements")?);
    Ok(include_str!("sql/statements.sql")
        .replace("{statements}", &view.to_string())
        .replace("{info}", &info.to_string()))
}

fn relations(
    session: &mut Session,
    sql: &str,
    parameter: (&(dyn postgres::types::ToSql + Sync), Type),
) -> Result<Relations> {
    let name = |row: &postgres::Row| Ok(QualifiedName::new(ident(row.get(0))?, ident(row.get(1))?));
    let relations = session.each(sql, &[parameter], name);
    relations
        .map_err(|failure| failure.explain("cannot read what statements are about"))?
        .into_iter()
        .collect()
}

/// Those that have a plan and are about the application's tables: the dearest, which take most of
/// the time of all, and those about one of `tables`.
fn chosen(seen: Vec<Seen>, application: &Relations, tables: &Relations) -> Vec<CountedStatement> {
    let has_plan = |sql: &str| match look(sql) {
        Ok(looked) => matches!(looked.does, Does::Reads | Does::Writes),
        Err(_) => false,
    };
    // What differs in white space alone is the same.
    let mut named: BTreeMap<String, Seen> = BTreeMap::new();
    for one in seen {
        if has_plan(&one.sql) && application.any_named(&one.sql) {
            named
                .entry(name(&one.sql))
                .and_modify(|known| {
                    known.calls += one.calls;
                    known.time_ms += one.time_ms;
                })
                .or_insert(one);
        }
    }
    let mut named: Vec<(String, Seen)> = named.into_iter().collect();
    named.sort_by(|(_, a), (_, b)| b.time_ms.total_cmp(&a.time_ms));
    let whole_ms: f64 = named.iter().map(|(_, one)| one.time_ms).sum();
    let mut dearer_ms = 0.0;
    named.retain(|(_, one)| {
        let is_dear = dearer_ms < SHARE * whole_ms;
        dearer_ms += one.time_ms;
        is_dear || tables.any_named(&one.sql)
    });
    let counted = |(name, one): (String, Seen)| CountedStatement {
        name,
        sql: one.sql,
        calls: one.calls,
        total_ms: one.time_ms,
    };
    named.into_iter().map(counted).collect()
}

/// The statement as a query without values, as PostgreSQL can plan it.
pub fn query(one: &CountedStatement) -> Query {
    Query {
        name: one.name.clone(),
        sql: plannable(&one.sql),
        calls: one.calls as f64,
        ..Query::default()
    }
}

fn name(sql: &str) -> String {
    let digest = Sha256::digest(sql.split_whitespace().collect::<Vec<_>>().join(" "));
    digest.iter().take(4).fold(NAME_PREFIX.to_string(), |name, byte| format!("{name}{byte:02x}"))
}

impl Statements {
    /// The statements as queries without values.
    pub fn queries(&self) -> Vec<Query> {
        self.counted.iter().map(query).collect()
    }

    /// The profile's queries and these, each text once. A query of the profile whose calls nobody
    /// told is run as often as the same statement, or else as often as statements are on average:
    /// as once it would weigh nothing beside them.
    pub fn beside(&self, profile: &[Query]) -> Vec<Query> {
        let mut rest = self.queries();
        let calls: f64 = rest.iter().map(|query| query.calls).sum();
        let average = (calls / rest.len().max(1) as f64).max(1.0);
        let mut queries = Vec::new();
        for query in profile {
            let name = name(query.sql.trim().trim_end_matches(';'));
            let same = rest.iter().position(|statement| statement.name == name);
            let same = same.map(|at| rest.remove(at).calls);
            let calls = if query.calls > 0.0 { query.calls } else { same.unwrap_or(average) };
            queries.push(Query { calls, ..query.clone() });
        }
        queries.extend(rest);
        queries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sql: &str, calls: i64, time_ms: f64) -> Seen {
        Seen { sql: sql.to_string(), calls, time_ms }
    }

    fn relations(names: &[&str]) -> Relations {
        let name = |name: &&str| QualifiedName::new(ident("public").unwrap(), ident(name).unwrap());
        names.iter().map(name).collect()
    }

    fn texts(counted: &[CountedStatement]) -> Vec<String> {
        counted.iter().map(|one| query(one).sql).collect()
    }

    #[test]
    fn the_dear_and_the_touched_are_chosen() {
        let all = || {
            vec![
                seen("select 3 from b", 1, 30.0),
                seen("select  1\nfrom a", 1, 600.0),
                seen("select 1 from a", 2, 340.0),
                seen("select relname from pg_class", 9, 9e9),
                seen("vacuum a", 1, 9e9),
                seen("explain select 1 from a", 1, 9e9),
                seen("-- name: two\nselect interval $1 from a", 1, 20.0),
                seen("select 'lost from a", 1, 9e9),
                seen("insert into c values ($1)", 1, 10.0),
            ]
        };
        let application = relations(&["a", "b", "c"]);
        let dear = chosen(all(), &application, &Relations::default());
        assert_eq!(texts(&dear), ["select  1\nfrom a", "select 3 from b"]);
        assert_eq!((dear[0].calls, dear[0].total_ms), (3, 940.0));
        let touched = chosen(all(), &application, &relations(&["a", "c"]));
        let more = ["-- name: two\nselect $1::interval from a", "insert into c values ($1)"];
        assert_eq!(texts(&touched)[2..], more);
    }

    #[test]
    fn queries_of_the_profile_weigh_as_much_as_statements() {
        let statements = Statements {
            counted: chosen(
                vec![seen("select 1 from a", 30, 2.0), seen("select 2 from a", 10, 1.0)],
                &relations(&["a"]),
                &relations(&["a"]),
            ),
            ..Statements::default()
        };
        let query = |sql: &str, calls| Query { sql: sql.to_string(), calls, ..Query::default() };
        let profile =
            [query("select 1\nfrom a;", 0.0), query("select 3", 0.0), query("select 4", 2.0)];
        let together = statements.beside(&profile);
        let calls: Vec<f64> = together.iter().map(|query| query.calls).collect();
        assert_eq!(calls, [30.0, 20.0, 2.0, 10.0]);
        assert_eq!(Statements::default().beside(&profile)[0].calls, 1.0);
    }
}

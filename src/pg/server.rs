//! The first questions to a server: may we work here, and what does it remember of migrations?

use std::collections::BTreeSet;

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::migration::{Applied, History, Progress, VersionWidth};
use crate::model::snapshot::{PrivilegedRole, ServerFacts, Snapshot};
use crate::runbook::guard::MARK;
use crate::runbook::history::PROGRESS_TABLE;

/// The oldest server pgtune works with.
const OLDEST_VERSION_NUM: i32 = 140_000;

/// What a server is, and remembers.
#[derive(Debug, Clone)]
pub struct Server {
    /// `server_version_num`.
    pub version_num: u32,
    /// The database's name.
    pub database: String,
    /// The session's process.
    pub pid: i32,
    /// A standby, which replays and does not write.
    pub in_recovery: bool,
    /// Transactions may not write.
    pub read_only: bool,
    /// The history table, found or to be created.
    pub history_table: QualifiedName,
    /// What the tables of migrations hold.
    pub history: History,
}

/// Asks a server who it is and reads its history: two or three round trips.
///
/// `history_table` is as the profile writes it, with or without a schema.
pub fn look(session: &mut Session, history_table: &[Ident]) -> Result<Server> {
    let written = history_table.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    let explain = |failure: Failure| failure.explain("cannot ask the server about itself");
    // A migration's own search_path would hide the history table.
    session.apply_settings(&[]).map_err(explain)?;
    let rows = session
        .query(include_str!("sql/server.sql"), &[(&written, Type::TEXT)])
        .map_err(explain)?;
    let row = rows.first().ok_or_else(|| Error::new(Kind::Database, "the server said nothing"))?;
    let version_num: i32 = row.get(0);
    if version_num < OLDEST_VERSION_NUM {
        let version = format!("{}.{}", version_num / 10_000, version_num % 10_000);
        return Err(Error::new(Kind::Database, format!("PostgreSQL {version} is too old"))
            .hint("pgtune works with PostgreSQL 14 and later"));
    }
    let found: Option<(String, String)> = row.get::<_, Option<String>>(5).zip(row.get(6));
    let current_schema: String = row.get(4);
    let table = match (found.clone(), history_table) {
        (Some((schema, name)), _) => (schema, name),
        (None, [schema, name]) => (schema.as_str().to_string(), name.as_str().to_string()),
        (None, [name]) if !current_schema.is_empty() => (current_schema, name.as_str().to_string()),
        (None, _) => {
            return Err(Error::new(Kind::Database, "the search_path names no existing schema")
                .hint("set migrations.history_table = \"schema.table\""));
        }
    };
    let ident = |name: String| Ident::new(name).map_err(Error::usage);
    let history_table = QualifiedName::new(ident(table.0)?, ident(table.1)?);
    let width = match (found, row.get::<_, Option<bool>>(7)) {
        (None, _) => None,
        (Some(_), Some(true)) => Some(VersionWidth::Int8),
        (Some(_), Some(false)) => Some(VersionWidth::Int4),
        (Some(_), None) => {
            return Err(Error::usage(format!("{history_table} is no history table of refinery"))
                .hint("name another with migrations.history_table, or see `pgtune adopt`"));
        }
    };
    let has_progress: bool = row.get(8);
    Ok(Server {
        version_num: version_num as u32,
        database: row.get(9),
        pid: row.get(3),
        in_recovery: row.get(1),
        read_only: row.get(2),
        history: History {
            width,
            applied: if width.is_some() { applied(session, &history_table)? } else { Vec::new() },
            has_progress,
            progress: if has_progress { progress(session, &history_table)? } else { Vec::new() },
        },
        history_table,
    })
}

fn applied(session: &mut Session, table: &QualifiedName) -> Result<Vec<Applied>> {
    let sql = format!(
        "select version::int8, name::text, applied_on::text, checksum::text from {table} \
         order by version"
    );
    let rows = session
        .query(&sql, &[])
        .map_err(|failure| failure.explain(&format!("cannot read the history table {table}")))?;
    let text = |row: &postgres::Row, i: usize| row.get::<_, Option<String>>(i).unwrap_or_default();
    Ok(rows
        .iter()
        .map(|row| Applied {
            version: row.get(0),
            name: text(row, 1),
            applied_on: text(row, 2),
            checksum: text(row, 3),
        })
        .collect())
}

fn progress(session: &mut Session, table: &QualifiedName) -> Result<Vec<Progress>> {
    let sql = format!(
        "select version, statement, checksum, finished_at is not null from {PROGRESS_TABLE} \
         where history_table = {} order by version, statement",
        literal(&table.to_string())
    );
    let rows = session
        .query(&sql, &[])
        .map_err(|failure| failure.explain(&format!("cannot read {PROGRESS_TABLE}")))?;
    Ok(rows
        .iter()
        .map(|row| Progress {
            version: row.get(0),
            statement: row.get::<_, i32>(1) as u32,
            checksum: row.get(2),
            finished: row.get(3),
        })
        .collect())
}

/// Creates an empty database.
pub fn create_database(session: &mut Session, name: &Ident) -> Result<()> {
    let created = session.run(&format!("CREATE DATABASE {name}"));
    created.map_err(|failure| failure.explain(&format!("cannot create the database {name}")))
}

/// Creates an empty database that orders text as that of a snapshot does. Where the server does not
/// know its collation, it has that of the server, and a finding says so.
pub fn create_database_like(
    session: &mut Session,
    name: &Ident,
    owner: Option<&Ident>,
    snapshot: &Snapshot,
) -> Result<Option<Finding>> {
    let ServerFacts { encoding, collate, ctype, .. } = &snapshot.server;
    let alike = format!(
        "CREATE DATABASE {name}{} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        owned_by(owner),
        literal(encoding),
        literal(collate),
        literal(ctype)
    );
    let Err(failure) = session.run(&alike) else { return Ok(None) };
    // Not from template1: others may have put something there.
    let created =
        session.run(&format!("CREATE DATABASE {name}{} TEMPLATE template0", owned_by(owner)));
    created.map_err(|failure| failure.explain(&format!("cannot create the database {name}")))?;
    let help = "ranges of text and LIKE may be planned otherwise; install the locale";
    Ok(Some(
        Finding::new("shadow-collation", Severity::Warning, collate.as_str(), failure.message)
            .help(help),
    ))
}

/// Creates a database with all that is in another.
pub fn copy_database(
    session: &mut Session,
    from: &Ident,
    name: &Ident,
    owner: Option<&Ident>,
) -> Result<()> {
    let created =
        session.run(&format!("CREATE DATABASE {name}{} TEMPLATE {from}", owned_by(owner)));
    created.map_err(|failure| failure.explain(&format!("cannot create the database {name}")))
}

/// Lets go of what the log holds of a copied database: from 15 on, all of its pages.
pub fn checkpoint(session: &mut Session) -> Result<()> {
    session.run("CHECKPOINT").map_err(|failure| failure.explain("cannot write a checkpoint"))
}

fn owned_by(owner: Option<&Ident>) -> String {
    owner.map_or_else(String::new, |owner| format!(" OWNER {owner}"))
}

/// Creates a role without rights, marked as ours in the same transaction.
pub fn create_role(session: &mut Session, role: &Ident) -> std::result::Result<(), Failure> {
    session.run(&format!("CREATE ROLE {role}; COMMENT ON ROLE {role} IS {}", literal(MARK)))
}

/// Has roles of ours be stopped by as little as those that they stand for.
pub fn privilege(session: &mut Session, roles: &[PrivilegedRole]) -> Result<()> {
    const OURS: &str = "SELECT rolname::text FROM pg_roles \
                        WHERE shobj_description(oid, 'pg_authid') = $1";
    if roles.is_empty() {
        return Ok(());
    }
    let explain = |failure: Failure| failure.explain("cannot prepare the shadow");
    let ours = session.query(OURS, &[(&MARK, Type::TEXT)]).map_err(explain)?;
    let ours: BTreeSet<&str> = ours.iter().map(|row| row.get(0)).collect();
    let each = roles.iter().filter(|role| ours.contains(role.name.as_str()));
    let each = each.map(|PrivilegedRole { name, superuser, bypass_rls }| {
        let superuser = if *superuser { " SUPERUSER" } else { "" };
        let bypass_rls = if *bypass_rls { " BYPASSRLS" } else { "" };
        format!("ALTER ROLE {name}{superuser}{bypass_rls}")
    });
    session.run(&each.collect::<Vec<_>>().join("; ")).map_err(explain)
}

/// The role that a statement failed for want of, by the server's code and its English message.
pub fn missing_role<'a>(code: &str, message: &'a str) -> Option<&'a str> {
    const UNDEFINED_OBJECT: &str = "42704";
    let (_, rest) = message.split_once("role \"").filter(|_| code == UNDEFINED_OBJECT)?;
    rest.split_once("\" does not exist").map(|(role, _)| role)
}

/// Creates those of the roles that are not there; an empty name is none.
pub fn create_roles<'a>(session: &mut Session, roles: impl Iterator<Item = &'a str>) -> Result<()> {
    const EXISTS: &str = "42710";
    for role in roles.filter_map(|role| Ident::new(role).ok()) {
        match create_role(session, &role) {
            Err(failure) if failure.code != EXISTS => {
                return Err(failure.explain(&format!("cannot create the role {role}")));
            }
            Err(_) | Ok(()) => {}
        }
    }
    Ok(())
}

/// The built-in defaults of what decides about plans, where the server has something else.
pub fn planner_defaults(session: &mut Session) -> Result<Vec<(String, String)>> {
    let rows = session.query(include_str!("sql/imitate_settings.sql"), &[]);
    let rows = rows.map_err(|failure| failure.explain("cannot read the shadow's settings"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Makes a setting hold in all later sessions of this user in the session's database, whatever the
/// server, the user or the database have. One that this version does not know stays as it is.
pub fn set_for_database(session: &mut Session, name: &str, value: &str) -> Result<()> {
    const UNKNOWN: &str = "42704";
    let sql = format!(
        "DO $$ BEGIN PERFORM set_config({name}, {}, true); \
         EXECUTE format('ALTER ROLE SESSION_USER IN DATABASE %I SET %I FROM CURRENT', \
         current_database(), {name}); END $$",
        literal(value),
        name = literal(name)
    );
    match session.run(&sql) {
        Err(failure) if failure.code != UNKNOWN => {
            Err(failure.explain(&format!("cannot set {name}")))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Errors where nothing can be changed: a standby, or a read-only server or role.
pub fn refuse_read_only(server: &Server) -> Result<()> {
    let reason = match (server.in_recovery, server.read_only) {
        (true, _) => "this server is a standby: it cannot be changed",
        (false, true) => "this session is read-only (default_transaction_read_only)",
        (false, false) => return Ok(()),
    };
    Err(Error::new(Kind::Database, reason)
        .hint("connect to the primary; target_session_attrs=read-write finds it among hosts"))
}

//! A server that somebody lends for a shadow: whether it may be used, and databases and roles of
//! our own there, which are marked, found again and dropped. Touches nothing without a mark.

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{Ident, literal};
use crate::model::units::human_bytes;
use crate::runbook::guard::{self, MARK};

/// Other databases may hold this much on a server that is to be thrown away.
const OTHERS_BYTES_MAX: i64 = 1 << 30;
/// How often to ask for the end of a database that is still in use; the server waits five seconds
/// each time.
const DROP_ATTEMPTS_MAX: u32 = 4;

/// What a server is.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `server_version`
    pub version: String,
    /// `server_version_num`
    pub version_num: u32,
    /// Where its sessions see us.
    client: String,
}

/// Asks a server who it is. Errors where it cannot hold a shadow.
pub fn look(session: &mut Session) -> Result<Facts> {
    const NEEDED: &str = "a shadow needs a superuser on a server that is to be thrown away";
    let rows = session.query(include_str!("sql/borrowed_server.sql"), &[]);
    let rows = rows.map_err(|failure| failure.explain("cannot ask the server about itself"))?;
    let row = rows.first().ok_or_else(|| Error::new(Kind::Database, "the server said nothing"))?;
    let version_num = row.get::<_, i32>(1).unsigned_abs();
    let refused = |message: String| Err(Error::new(Kind::Database, message).hint(NEEDED));
    if !(14..=18).contains(&(version_num / 10_000)) {
        let version: String = row.get(0);
        return Err(Error::new(Kind::Database, format!("the shadow's server is of {version}"))
            .hint("pgtune plans on PostgreSQL 14 to 18"));
    }
    if row.get::<_, bool>(3) {
        return refused("the shadow's server is a standby, where nothing can be made".to_string());
    }
    if !row.get::<_, bool>(4) {
        let user: String = row.get(5);
        return refused(format!("the role {user} is no superuser of the shadow's server"));
    }
    let block_size: i32 = row.get(2);
    if block_size != 8_192 {
        return refused(format!("the shadow's server has pages of {block_size} bytes, not 8192"));
    }
    Ok(Facts { version: row.get(0), version_num, client: row.get(6) })
}

/// Errors where a server holds more, or serves others, than one that is to be thrown away.
pub fn refuse_others(session: &mut Session) -> Result<()> {
    let rows = session.query(include_str!("sql/borrowed_others.sql"), &[(&MARK, Type::TEXT)]);
    let rows = rows.map_err(|failure| failure.explain("cannot look at the shadow's server"))?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (bytes, used) = (row.get::<_, i64>(0), row.get::<_, Option<String>>(1));
    let why = match used {
        Some(database) => format!("somebody works in its database {database}"),
        None if bytes > OTHERS_BYTES_MAX => {
            format!("its databases hold {}", human_bytes(bytes.unsigned_abs()))
        }
        None => return Ok(()),
    };
    Err(Error::usage(format!("the shadow's server is not to be thrown away, it seems: {why}"))
        .hint("use a server of its own, for example a container")
        .hint("--shadow-shared takes this one all the same: migrations run there as a superuser"))
}

/// What tells a server and its copies from all others; `None` where the role may not ask.
pub fn system_identifier(session: &mut Session) -> Option<i64> {
    let rows = session.query("select system_identifier from pg_control_system()", &[]).ok()?;
    rows.first().map(|row| row.get(0))
}

/// The programs that make files as long as the originals; each stands for a bit of the exit code.
const TOOLS: [&str; 4] = ["sh", "base64", "tee", "truncate"];

/// Errors where the server cannot run what gives files their length.
pub fn refuse_without_tools(session: &mut Session) -> Result<()> {
    let looks = TOOLS.iter().enumerate().map(|(at, tool)| {
        format!("command -v {tool} >/dev/null 2>&1 || n=$((n + {}))", 1_u32 << at)
    });
    let script = format!("n=0; {}; exit $n", looks.collect::<Vec<_>>().join("; "));
    let copy = format!("COPY (SELECT WHERE false) TO PROGRAM {}", literal(&script));
    session.run(&copy).map_err(|failure| without_tools(&failure))
}

fn without_tools(failure: &Failure) -> Error {
    const EXTERNAL_ROUTINE: &str = "38000";
    const IMAGE: &str = "the official images of postgres have sh, base64, tee and truncate";
    if failure.code != EXTERNAL_ROUTINE {
        return failure.explain("the shadow's server refuses COPY … TO PROGRAM").hint(
            "a managed service cannot hold a shadow: use a container, or leave --shadow-url out",
        );
    }
    // "child process exited with exit code 5", in any language.
    let code = failure.details.first().and_then(|detail| {
        let digits = detail.rsplit(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty());
        digits?.parse::<u32>().ok()
    });
    let missing: Vec<&str> = match code {
        Some(code) if code < 1 << TOOLS.len() => {
            let each = TOOLS.iter().enumerate().filter(|(at, _)| code & 1 << at != 0);
            each.map(|(_, tool)| *tool).collect()
        }
        // There is not even a shell to count.
        Some(_) | None => vec!["shell"],
    };
    let message = format!("the shadow's server has no {}", missing.join(", "));
    Error::new(Kind::Database, message).hint(IMAGE)
}

/// Makes the role that will own the databases of a shadow, marked in the same transaction: a
/// database is ours by its owner as soon as it is there.
pub fn make_owner(session: &mut Session, owner: &Ident, facts: &Facts) -> Result<()> {
    let explain = |failure: Failure| failure.explain("cannot make a role for the shadow");
    let pid = session.learn_pid().map_err(explain)?;
    let mark = literal(&format!("{MARK} (session {pid} from {})", facts.client));
    session.run(&format!("CREATE ROLE {owner}; COMMENT ON ROLE {owner} IS {mark}")).map_err(explain)
}

/// Writes down for people whose a database is.
pub fn mark_database(session: &mut Session, name: &Ident) -> Result<()> {
    let marked = session.run(&format!("COMMENT ON DATABASE {name} IS {}", literal(MARK)));
    marked.map_err(|failure| failure.explain(&format!("cannot mark the database {name}")))
}

/// The number that migrations must not change: see [`guard`].
pub fn fingerprint(session: &mut Session, version_num: u32) -> Result<i64> {
    let rows = session.query(&guard::fingerprint(version_num), &[]);
    let rows = rows.map_err(|failure| failure.explain("cannot look at the shadow's server"))?;
    Ok(rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or_default())
}

/// Drops all databases and roles of shadows. The caller has the server's runner lock, so there is
/// no run that needs them.
///
/// Errors with what is left.
pub fn sweep(session: &mut Session) -> Result<()> {
    let mut left = Vec::new();
    for name in names(session, include_str!("sql/borrowed_databases.sql"))? {
        if let Err(failure) = drop_database(session, &name) {
            left.push(format!("database {name}: {}", failure.message));
        }
    }
    // Sessions in these databases have ended, and make no role any more.
    let roles = names(session, include_str!("sql/borrowed_roles.sql"))?;
    let all: Vec<String> = roles.iter().map(Ident::to_string).collect();
    // Together, since one may have given the other what it has.
    let together = format!("DROP ROLE IF EXISTS {}", all.join(", "));
    if !roles.is_empty() && session.run(&together).is_err() {
        for role in roles {
            if let Err(failure) = session.run(&format!("DROP ROLE IF EXISTS {role}")) {
                left.push(format!("role {role}: {}", failure.message));
            }
        }
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(Error::new(
            Kind::Database,
            format!("cannot drop what was a shadow: {}", left.join("; ")),
        )
        .hint("the next run on this server tries again")),
    }
}

fn names(session: &mut Session, sql: &str) -> Result<Vec<Ident>> {
    let rows = session.query(sql, &[(&MARK, Type::TEXT)]);
    let rows = rows.map_err(|failure| failure.explain("cannot look for shadows"))?;
    rows.iter().map(|row| Ident::new(row.get::<_, String>(0)).map_err(Error::usage)).collect()
}

fn drop_database(session: &mut Session, name: &Ident) -> std::result::Result<(), Failure> {
    const OBJECT_IN_USE: &str = "55006";
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    let mut attempt = 1;
    loop {
        match session.run(&sql) {
            Err(failure) if failure.code == OBJECT_IN_USE && attempt < DROP_ATTEMPTS_MAX => {
                attempt += 1;
            }
            ended => return ended,
        }
    }
}

//! A session: the only place that sends SQL.

use std::io::{BufRead, Write};
use std::sync::mpsc::Receiver;

use bytes::BytesMut;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Row, SimpleQueryMessage};

use super::connect::{Canceler, Connection, Notice};
use super::failure::Failure;
use crate::error::Error;
use crate::model::ident::Ident;

/// Lifts the limits that a role or database may have of its own: they would end a session that
/// waits for others, or a long build, and pgtune has limits for each step. `transaction_timeout`
/// came with PostgreSQL 17.
const NO_LIMITS: &str = "SELECT pg_catalog.set_config(name, '0', false) \
    FROM pg_catalog.pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout', \
    'idle_session_timeout', 'idle_in_transaction_session_timeout')";

/// A connection to the database, with what is set in it.
pub struct Session {
    client: Client,
    canceler: Canceler,
    notices: Receiver<Notice>,
    pid: i32,
    /// `SET` statements in force; `None` when unknown, after a migration made its own.
    settings: Option<Vec<String>>,
    /// Makes the session work as whom it shall, whatever a migration said.
    own_role: String,
    /// Whether the limits of role and database are lifted.
    unlimited: bool,
}

impl Session {
    /// Takes a fresh connection over; assumes `role` where it is not empty.
    pub fn new(connection: Connection, role: &str) -> Result<Session, Error> {
        let Connection { client, canceler, notices } = connection;
        let settings = Some(Vec::new());
        let own_role = "RESET SESSION AUTHORIZATION;\nRESET ROLE".to_string();
        let mut session =
            Session { client, canceler, notices, pid: 0, settings, own_role, unlimited: false };
        if !role.is_empty() {
            let role = Ident::new(role).map_err(Error::usage)?;
            session
                .run(&format!("SET ROLE {role}"))
                .map_err(|failure| failure.explain(&format!("cannot assume the role {role}")))?;
            session.own_role = format!("RESET SESSION AUTHORIZATION;\nSET ROLE {role}");
        }
        Ok(session)
    }

    /// Statements that bring back the role that a migration may have left.
    pub fn own_role(&self) -> &str {
        &self.own_role
    }

    /// Lifts limits of role and database for the life of this session.
    pub fn lift_limits(&mut self) -> Result<(), Failure> {
        self.unlimited = true;
        self.run(NO_LIMITS)
    }

    /// The server's process, where it was asked for ([`Session::learn_pid`]).
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Remembers the server's process, asked for with other things ([`super::server::look`]).
    pub fn set_pid(&mut self, pid: i32) {
        self.pid = pid;
    }

    /// Asks for the server's process.
    pub fn learn_pid(&mut self) -> Result<i32, Failure> {
        let rows = self.query("select pg_backend_pid()", &[])?;
        self.pid = rows.first().map_or(0, |row| row.get(0));
        Ok(self.pid)
    }

    /// What cancels the session's statements from another thread.
    pub fn canceler(&self) -> Canceler {
        self.canceler.clone()
    }

    /// What the server remarked since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.try_iter().collect()
    }

    /// Runs one message of statements without results, by the simple protocol.
    pub fn run(&mut self, sql: &str) -> Result<(), Failure> {
        self.client.batch_execute(sql).map_err(|error| Failure::of(&error))
    }

    /// Runs one query, planned and executed in one round trip.
    pub fn query(
        &mut self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Failure> {
        self.client.query_typed(sql, parameters).map_err(|error| Failure::of(&error))
    }

    /// The same, for many rows: `take` gets each as it comes.
    pub fn each<T>(
        &mut self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        mut take: impl FnMut(&Row) -> T,
    ) -> Result<Vec<T>, Failure> {
        let parameters = parameters.iter().map(|(value, sql_type)| (*value, sql_type.clone()));
        let rows = self.client.query_typed_raw(sql, parameters);
        let mut rows = rows.map_err(|error| Failure::of(&error))?;
        let mut taken = Vec::new();
        while let Some(row) = rows.next().map_err(|error| Failure::of(&error))? {
            taken.push(take(&row));
        }
        Ok(taken)
    }

    /// Prepares a statement, as drivers do; the server decides about the types of its parameters.
    pub fn prepare(&mut self, sql: &str) -> Result<Prepared, Failure> {
        self.client.prepare(sql).map(Prepared).map_err(|error| Failure::of(&error))
    }

    /// Runs a prepared statement with values as text, `None` for NULL. Returns how many rows it
    /// returned, or wrote.
    pub fn execute(
        &mut self,
        prepared: &Prepared,
        values: &[Option<String>],
    ) -> Result<u64, Failure> {
        let wanted = prepared.0.params().len();
        if wanted != values.len() {
            return Err(Failure::wrong_parameters(wanted, values.len()));
        }
        let values = values.iter().map(|value| value.as_deref().map(TextValue));
        let rows = self.client.query_raw(&prepared.0, values.collect::<Vec<_>>());
        let mut rows = rows.map_err(|error| Failure::of(&error))?;
        let mut returned = 0;
        while rows.next().map_err(|error| Failure::of(&error))?.is_some() {
            returned += 1;
        }
        Ok(rows.rows_affected().unwrap_or(returned).max(returned))
    }

    /// Makes exactly these `SET` statements hold, and no others.
    pub fn apply_settings(&mut self, settings: &[String]) -> Result<(), Failure> {
        if self.settings.as_deref() == Some(settings) {
            return Ok(());
        }
        self.settings = None;
        // RESET ALL leaves the role as it is.
        let limits = if self.unlimited { NO_LIMITS } else { "" };
        let settings_sql = settings.join(";\n");
        self.run(&format!("RESET ALL;\n{};\n{limits};\n{settings_sql}", self.own_role))?;
        self.settings = Some(settings.to_vec());
        Ok(())
    }

    /// A migration's own `SET` ran: what holds now is unknown.
    pub fn forget_settings(&mut self) {
        self.settings = None;
    }

    /// Ends a failed transaction; a broken connection has none.
    pub fn roll_back(&mut self) {
        let _ = self.run("ROLLBACK");
    }

    /// Runs one message by the simple protocol; the first column of its rows as text.
    pub fn texts(&mut self, sql: &str) -> Result<Vec<String>, Failure> {
        let messages = self.client.simple_query(sql).map_err(|error| Failure::of(&error))?;
        let rows = messages.iter().filter_map(|message| {
            let SimpleQueryMessage::Row(row) = message else { return None };
            Some(row.get(0).unwrap_or_default().to_string())
        });
        Ok(rows.collect())
    }

    /// The names of the columns that a query returns.
    pub fn columns(&mut self, sql: &str) -> Result<Vec<String>, Failure> {
        let prepared = self.prepare(sql)?;
        Ok(prepared.0.columns().iter().map(|column| column.name().to_string()).collect())
    }

    /// Runs a COPY FROM STDIN. `next` replaces its argument by the next bytes to send; false ends
    /// the COPY.
    pub fn copy(
        &mut self,
        sql: &str,
        mut next: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), Failure> {
        let mut writer = self.copy_in(sql)?;
        let mut chunk = Vec::new();
        while next(&mut chunk) {
            if writer.write_all(&chunk).is_err() {
                // The server ended the COPY; it says why when asked to finish.
                break;
            }
        }
        writer.finish().map(drop).map_err(|error| Failure::of(&error))
    }

    /// Opens a COPY FROM STDIN; the writer must be finished.
    pub fn copy_in(&mut self, sql: &str) -> Result<postgres::CopyInWriter<'_>, Failure> {
        self.client.copy_in(sql).map_err(|error| Failure::of(&error))
    }

    /// Opens a COPY TO STDOUT. One that is not read to its end still runs: cancel it.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>, Failure> {
        let reader = self.client.copy_out(sql).map_err(|error| Failure::of(&error))?;
        Ok(CopyOut { reader, taken: 0 })
    }
}

/// A statement that the session's server process keeps.
pub struct Prepared(postgres::Statement);

/// A value of any type as the server would read it from text.
#[derive(Debug)]
struct TextValue<'a>(&'a str);

impl ToSql for TextValue<'_> {
    fn to_sql(
        &self,
        _sql_type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_sql_type: &Type) -> bool {
        true
    }

    fn encode_format(&self, _sql_type: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A COPY TO STDOUT at work.
pub struct CopyOut<'a> {
    reader: postgres::CopyOutReader<'a>,
    /// Bytes of the reader's buffer that were handed out.
    taken: usize,
}

impl CopyOut<'_> {
    /// The next bytes, usually one row; empty at the end.
    pub fn chunk(&mut self) -> Result<&[u8], Failure> {
        self.reader.consume(self.taken);
        self.taken = 0;
        let chunk = self.reader.fill_buf().map_err(|error| Failure::of_read(&error))?;
        self.taken = chunk.len();
        Ok(chunk)
    }
}

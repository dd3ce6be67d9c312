//! What a partition has to have besides its columns to be like its parent and its siblings.
//!
//! `CREATE TABLE … LIKE` copies columns, defaults, checks and indexes; ATTACH adds foreign keys and
//! row triggers. The rest is here (manual, CREATE TABLE, LIKE).

use serde::{Deserialize, Serialize};

use super::ident::{Ident, QualifiedName};

/// What the parent has (owner, rights, policies) and the newest partition (how it is stored).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// The parent's owner.
    pub owner: Option<Ident>,
    /// The parent's columns that hold values of their own: without generated ones.
    pub columns: Vec<Ident>,
    /// Rights on the parent.
    pub grants: Vec<Grant>,
    /// ROW LEVEL SECURITY of the parent.
    pub row_security: bool,
    /// The same for the owner.
    pub force_row_security: bool,
    /// The parent's policies.
    pub policies: Vec<Policy>,
    /// `relreplident` of the newest partition: `d`, `n`, `f` or `i`.
    pub replica_identity: String,
    /// With `i`: the parent's index that the newest partition's is a part of.
    pub replica_index: Option<QualifiedName>,
    /// Storage parameters: `fillfactor=90`.
    pub storage: Vec<String>,
    /// Tablespace, where it is not the database's.
    pub tablespace: Option<Ident>,
    /// Table access method, where it is not heap.
    pub access_method: Option<Ident>,
    /// Columns with a statistics target of their own.
    pub statistics: Vec<(Ident, i32)>,
    /// Publications that name the newest partition itself.
    pub publications: Vec<Publication>,
    /// Whether the parent has an identity column.
    pub identity: bool,
}

/// A publication that names a table, and what it shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Its name.
    pub name: Ident,
    /// Some columns only; `None` means all.
    pub columns: Option<Vec<Ident>>,
    /// Some rows only: `WHERE`.
    pub filter: Option<String>,
}

/// An expression that may name its own table: the pieces between which the name stands.
pub type Expression = Vec<String>;

/// Rights of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role; `None` means PUBLIC.
    pub role: Option<Ident>,
    /// Some columns only; none means the table.
    #[serde(default)]
    pub column: Option<Ident>,
    /// SELECT, INSERT, …
    pub privileges: Vec<String>,
    /// WITH GRANT OPTION
    pub grantable: bool,
}

/// A policy of row-level security.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: Ident,
    /// Otherwise RESTRICTIVE.
    pub permissive: bool,
    /// ALL, SELECT, INSERT, UPDATE or DELETE.
    pub command: String,
    /// For whom; none means PUBLIC.
    pub roles: Vec<Ident>,
    /// USING
    pub using: Option<Expression>,
    /// WITH CHECK
    pub check: Option<Expression>,
}

//! What must be known of rows in a DEFAULT partition that belong to partitions to be created.

use serde::{Deserialize, Serialize};

use super::ident::{Ident, QualifiedName};
use super::traits::Traits;

/// What to ask, where a DEFAULT partition turns out to hold such rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultQuestion {
    /// The partitioned table.
    pub parent: QualifiedName,
    /// Its DEFAULT partition.
    pub default: QualifiedName,
    /// The column whose values say which partition a row belongs to.
    pub column: Ident,
    /// Whether a copy of it was begun.
    pub has_copy: bool,
}

/// A foreign key of a partitioned table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: Ident,
    /// `FOREIGN KEY … REFERENCES …`, as it is.
    pub definition: String,
    /// The same with ON DELETE CASCADE.
    pub following: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultRows {
    /// The lowest value of the column, as the server prints it under TimeZone=UTC.
    pub first: Option<String>,
    /// The highest.
    pub last: Option<String>,
    /// Whether rows without a value are among them.
    pub has_nulls: bool,
    /// Triggers that somebody made on the DEFAULT partition itself.
    pub own_triggers: Vec<Ident>,
    /// Whether a publication shows the DEFAULT partition under its own name, or all tables.
    pub is_published: bool,
    /// What a DEFAULT partition like this one has to have.
    pub traits: Traits,
    /// The columns of a key of the partitioned table, none of which may be null: of the primary
    /// key, else of another unique one that is checked at once. Empty where there is none.
    pub key: Vec<Ident>,
    /// The foreign keys of the partitioned table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Whether the copy that was begun is still one of this DEFAULT partition.
    pub copy_fits: bool,
}

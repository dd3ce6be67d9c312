//! What must be known of rows in a DEFAULT partition that belong to partitions to be created.

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
}

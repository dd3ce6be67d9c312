//! The checks, in the order in which `docs/checks.md` explains them.

use super::check::Check;
use super::rules;

/// All checks.
pub const CHECKS: &[&Check] = &[
    &rules::table_rewrite::CHECK,
    &rules::table_scan::CHECK,
    &rules::late_validation::CHECK,
    &rules::blocking_index_build::CHECK,
    &rules::whole_table_write::CHECK,
    &rules::refused_by_rows::CHECK,
    &rules::duplicate_index::CHECK,
    &rules::redundant_index::CHECK,
    &rules::foreign_key_without_index::CHECK,
    &rules::index_budget::CHECK,
    &rules::required_column::CHECK,
    &rules::drop_in_use::CHECK,
    &rules::rename_in_use::CHECK,
    &rules::truncate_cascade::CHECK,
    &rules::unlogged_table::CHECK,
    &rules::small_key::CHECK,
    &rules::long_name::CHECK,
    &rules::column_type::CHECK,
];

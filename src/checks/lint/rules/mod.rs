//! The checks, one in each file. A new one also takes a line in [`super::table::CHECKS`].

pub mod blocking_index_build;
pub mod column_type;
pub mod drop_in_use;
pub mod duplicate_index;
pub mod foreign_key_without_index;
pub mod index_budget;
pub mod late_validation;
pub mod long_name;
pub mod redundant_index;
pub mod refused_by_rows;
pub mod rename_in_use;
pub mod required_column;
pub mod small_key;
pub mod table_rewrite;
pub mod table_scan;
pub mod truncate_cascade;
pub mod unlogged_table;
pub mod whole_table_write;

//! The files pgtune writes for a project to start with: migrations, profile, CI workflow. Pure.
//!
//! The texts are in `templates/`; here is what fills them in. The command line writes the files.

pub mod file_name;
pub mod migration;
pub mod object_name;
pub mod project;

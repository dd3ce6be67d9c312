//! Facts to findings: what is judged without a server. Pure.

pub mod allow;
pub mod lint;

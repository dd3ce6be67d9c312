//! Facts to findings: what is judged without a server. Pure.

pub mod allow;
pub mod blame;
pub mod drift;
pub mod dropped;
pub mod lint;
pub mod measured;
pub mod plans;

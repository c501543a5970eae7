//! Pure algorithms over bytes and numbers.

pub mod glob;
pub mod lcs;
pub mod long_double;

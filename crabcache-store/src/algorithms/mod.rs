//! Pure algorithms over bytes.

pub mod glob;

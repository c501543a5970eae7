//! The generic group: what can be done with keys whatever they hold.
//!
//! A file for each theme. None of them looks into values: a new data type changes nothing here.

pub(super) mod dump;
pub(super) mod expire;
pub(super) mod keys;
pub(super) mod migrate;
pub(super) mod object;
pub(super) mod rename;
pub(super) mod scan;
pub(super) mod sort;
pub(super) mod wait;

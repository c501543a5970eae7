//! Data in the reference's own formats: what it writes we read, and the other way round.

pub mod rdb;

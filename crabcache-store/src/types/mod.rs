//! The data types: what a value can be, its encodings, and what can be done to it.

pub mod collection;
pub mod hash;
pub mod hyperloglog;
pub mod limits;
pub mod list;
pub mod set;
pub mod stream;
pub mod string;
pub mod vector_set;
pub mod zset;

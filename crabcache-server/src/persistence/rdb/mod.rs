//! RDB: the format of snapshots, and of the values that DUMP and RESTORE carry.
//!
//! - [`opcodes`]: the numbers of the format.
//! - [`string`]: lengths and strings, which everything else is made of.
//! - [`object`]: values of all types; [`list`] and its like: those of one type.
//! - [`payload`]: one value with a version and a checksum behind it.
//! - [`encode`], [`decode`]: whole files; [`older`]: values as older versions have them.
//!
//! Reading trusts nothing: memory is taken as bytes arrive, never by a length that was claimed, and
//! whatever is damaged gives an [`RdbError`].

pub mod decode;
pub mod encode;
pub mod hash;
pub mod list;
pub mod object;
pub mod older;
pub mod opcodes;
pub mod payload;
pub mod set;
mod source;
pub mod stream;
pub mod string;
pub mod vector_set;
mod ziplist;
mod zipmap;
pub mod zset;

pub use crate::error::RdbError;

/// The version that is written: Redis 8.2's.
pub const VERSION: u16 = 12;

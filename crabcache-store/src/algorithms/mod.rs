//! Pure algorithms over bytes and numbers.

pub mod crc64;
pub mod glob;
pub mod lcs;
pub mod long_double;
pub mod lzf;

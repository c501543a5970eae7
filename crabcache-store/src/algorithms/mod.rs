//! Pure algorithms over bytes and numbers.

pub mod bit_field;
pub mod bits;
pub mod crc64;
pub mod double;
pub mod filter;
pub mod geohash;
pub mod glob;
pub mod lcs;
pub mod long_double;
pub mod lzf;
pub mod murmur;
pub(crate) mod wide;

//! Encodings: how values and keyspaces are laid out in memory. They know nothing of keys' meaning,
//! of time or of locks.

mod bucket;
pub mod by_eight;
pub(crate) mod bytes;
pub mod intset;
pub mod listpack;
pub mod pages;
pub(crate) mod size_class;
pub(crate) mod slim;
pub mod table;
pub(crate) mod thin_buffer;

//! What all values other than strings have in common, and the one place that tells which Rust type
//! stands behind which [`Kind`].
//!
//! A collection is a small handle (16 bytes at most) that stands in its entry; what it owns is
//! elsewhere. It does not know its key, its expiry or the time. An empty collection does not stay
//! in a keyspace: [`crate::WriteDb::edit`] removes its key (streams alone may be empty).

use crate::entry::Kind;

/// A value that is no string. See the module's text.
pub trait Collection: Send + Sync + Sized + 'static {
    /// Its data type.
    const KIND: Kind;

    /// Whether its key is to go.
    fn is_empty(&self) -> bool;

    /// What OBJECT ENCODING answers.
    fn encoding(&self) -> &'static str;

    /// Bytes of memory that it owns, itself not included. May be an estimate from samples if there
    /// are many elements.
    fn mem_bytes(&self) -> usize;

    /// About how many allocations there are to be freed, in the reference's measure: beyond 64,
    /// UNLINK counts as lazily freed.
    fn free_effort(&self) -> usize;

    /// A copy. O(n)
    fn duplicate(&self) -> Self;

    /// Asks the processor to fetch what looking for these elements will touch. Nothing to do for a
    /// collection that is in the cache when its entry is.
    #[inline]
    fn prefetch<'m>(&self, _elements: impl Iterator<Item = &'m [u8]>) {}

    /// No element expires before this (Unix milliseconds); `None` if none ever does. O(1)
    #[inline]
    fn next_expire_ms(&self) -> Option<i64> {
        None
    }
}

/// Evaluates an expression with `$C` standing for the type behind a kind; `$string` if there is
/// none.
macro_rules! by_kind {
    ($kind:expr, $string:expr, $C:ident => $body:expr) => {
        match $kind {
            $crate::entry::Kind::String => $string,
            $crate::entry::Kind::List => {
                type $C = $crate::types::list::List;
                $body
            }
            $crate::entry::Kind::Set => {
                type $C = $crate::types::set::Set;
                $body
            }
            $crate::entry::Kind::ZSet => {
                type $C = $crate::types::zset::ZSet;
                $body
            }
            $crate::entry::Kind::Hash => {
                type $C = $crate::types::hash::Hash;
                $body
            }
            $crate::entry::Kind::Stream => {
                type $C = $crate::types::stream::Stream;
                $body
            }
            $crate::entry::Kind::VectorSet => {
                type $C = $crate::types::vector_set::VectorSet;
                $body
            }
        }
    };
}
pub(crate) use by_kind;

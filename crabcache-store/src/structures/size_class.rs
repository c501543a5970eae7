//! Sizes that allocators have. What is allocated in one of them can grow and shrink within it, and
//! the size of an allocation follows from the length of what it holds.

/// Rounds up to a size of which little is wasted.
#[inline]
pub(crate) fn size_class(bytes: usize) -> usize {
    let step = match bytes {
        0..=64 => 8,
        65..=128 => 16,
        _ => 1 << ((bytes - 1).ilog2() - 2),
    };
    bytes.next_multiple_of(step)
}

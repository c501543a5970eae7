//! A node of a long list: a listpack of several elements, or one large element by itself.

use crate::structures::listpack::Listpack;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How large a node may become: `list-max-listpack-size` when the list became long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill(i32);

/// Bytes of a node whose elements are limited by number.
const SAFE_BYTES_MAX: usize = 8192;
/// Bytes of the smallest element that has a node of its own, whatever the limits; 0: they decide.
static PLAIN_BYTES_MIN: AtomicUsize = AtomicUsize::new(0);

/// Lets elements of so many bytes have nodes of their own, in all lists of the process; 0: those
/// that are too large for others. For tests: the limits that lists have otherwise take megabytes to
/// be reached.
pub fn set_plain_bytes_min(n_bytes: usize) {
    PLAIN_BYTES_MIN.store(n_bytes, Ordering::Relaxed);
}

/// What an element is taken to need beside its own bytes.
const OVERHEAD_BYTES: usize = 8;

impl Fill {
    /// `limit`: a number of elements if it is positive, else a class of sizes from -1 to -5.
    pub(super) fn new(limit: i32) -> Fill {
        Fill(limit.clamp(-5, i32::from(i16::MAX)))
    }

    /// Most bytes and elements of a node.
    pub(super) fn limits(self) -> (usize, usize) {
        match self.0 {
            0 => (SAFE_BYTES_MAX, 1),
            n_elements @ 1.. => (SAFE_BYTES_MAX, n_elements.unsigned_abs() as usize),
            class => (4096 << (-1 - class), usize::MAX),
        }
    }

    /// Up to what size a single node may become the whole list. Where elements are limited by
    /// number, bytes are not looked at.
    pub(super) fn whole_limits(self) -> (usize, usize) {
        match self.limits() {
            (_, n_elements @ ..usize::MAX) => (usize::MAX, n_elements),
            by_bytes => by_bytes,
        }
    }

    /// Whether a node of this size is too large.
    pub(super) fn is_exceeded(self, n_bytes: usize, n_elements: usize) -> bool {
        let (n_bytes_max, n_elements_max) = self.limits();
        n_bytes > n_bytes_max || n_elements > n_elements_max
    }

    /// Whether an element is too large for a node with others.
    pub(super) fn is_large(self, value: &[u8]) -> bool {
        match PLAIN_BYTES_MIN.load(Ordering::Relaxed) {
            0 => value.len() > self.limits().0,
            n_bytes_min => value.len() >= n_bytes_min,
        }
    }
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Elements in a listpack, and how many there are, so that nobody needs to look into it.
    Packed(Listpack, u32),
    /// One large element.
    Plain(Box<[u8]>),
}

impl Node {
    /// A node of one element.
    pub(super) fn of(value: &[u8], fill: Fill) -> Node {
        if fill.is_large(value) {
            return Node::Plain(value.into());
        }
        let mut pack = Listpack::new();
        pack.push_back(value);
        Node::Packed(pack, 1)
    }

    /// A node of the elements of a listpack.
    pub(super) fn packed(pack: Listpack) -> Node {
        let len = u32::try_from(pack.len()).expect("listpacks are below 4 GB");
        Node::Packed(pack, len)
    }

    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Packed(_, len) => *len as usize,
            Node::Plain(_) => 1,
        }
    }

    /// Whether one more element fits.
    pub(super) fn admits(&self, value: &[u8], fill: Fill) -> bool {
        self.admits_beside(value, fill, 0, 0)
    }

    /// Whether one more element fits beside so many bytes and elements that belong to the node, too.
    pub(super) fn admits_beside(
        &self,
        value: &[u8],
        fill: Fill,
        more_bytes: usize,
        more_elements: usize,
    ) -> bool {
        match self {
            Node::Packed(pack, len) => {
                let n_bytes = pack.n_bytes() + more_bytes + value.len() + OVERHEAD_BYTES;
                let n_elements = *len as usize + more_elements + 1;
                !fill.is_large(value) && !fill.is_exceeded(n_bytes, n_elements)
            }
            Node::Plain(_) => false,
        }
    }

    /// Bytes of its elements, with a listpack's own.
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Node::Packed(pack, _) => pack.n_bytes(),
            Node::Plain(value) => value.len(),
        }
    }

    /// Whether the elements of another node fit as well.
    pub(super) fn admits_all(&self, other: &Node, fill: Fill) -> bool {
        match (self, other) {
            (Node::Packed(pack, len), Node::Packed(other, other_len)) => {
                let n_bytes = pack.n_bytes() + other.elements_bytes();
                !fill.is_exceeded(n_bytes, (*len + *other_len) as usize)
            }
            _ => false,
        }
    }

    /// Bytes of memory that it owns.
    pub(super) fn mem_bytes(&self) -> usize {
        match self {
            Node::Packed(pack, _) => pack.mem_bytes(),
            Node::Plain(value) => value.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_limited_by_bytes_or_by_number() {
        let cases = [
            (-1, 4096, usize::MAX),
            (-2, 8192, usize::MAX),
            (-5, 65536, usize::MAX),
            (-9, 65536, usize::MAX),
            (i32::MIN, 65536, usize::MAX),
            (0, 8192, 1),
            (3, 8192, 3),
            (i32::MAX, 8192, 32767),
        ];
        for (limit, n_bytes, n_elements) in cases {
            assert_eq!(Fill::new(limit).limits(), (n_bytes, n_elements), "{limit}");
        }
        assert!(size_of::<Node>() <= 24);
    }
}

//! A node of a long list: a listpack of several elements, or one large element by itself; either of
//! them compressed, where `list-compress-depth` wants it and it is worth it.

use crate::algorithms::lzf;
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

    /// The limit that it was made of.
    pub(super) fn limit(self) -> i32 {
        self.0
    }

    /// Most bytes and elements of a node.
    #[inline]
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
    #[inline]
    pub(super) fn is_exceeded(self, n_bytes: usize, n_elements: usize) -> bool {
        let (n_bytes_max, n_elements_max) = self.limits();
        n_bytes > n_bytes_max || n_elements > n_elements_max
    }

    /// Whether an element is too large for a node with others.
    #[inline]
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
    /// One of these two.
    Compressed(Box<Compressed>),
}

/// Nodes below that stay as they are.
const COMPRESSED_BYTES_MIN: usize = 48;
/// So many bytes, and one more, must be saved.
const SAVED_BYTES: usize = 8;

/// A node that nobody has looked into for a while. See [`lzf`].
#[derive(Debug, Clone)]
pub(super) struct Compressed {
    /// What was made of the bytes.
    pub(super) block: Box<[u8]>,
    /// How many bytes there are.
    pub(super) n_bytes: usize,
    len: u32,
    /// Whether they are one large element.
    pub(super) is_plain: bool,
}

impl Compressed {
    /// The node as it was.
    pub(super) fn open(&self) -> Node {
        let bytes = lzf::decompress(&self.block, self.n_bytes).expect("compressed by us");
        match self.is_plain {
            true => Node::Plain(bytes.into()),
            false => {
                let pack = Listpack::from_bytes(&bytes).expect("it was a listpack");
                Node::Packed(pack, self.len)
            }
        }
    }
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
            Node::Compressed(compressed) => compressed.len as usize,
        }
    }

    /// Compresses it if that is worth it.
    pub(super) fn compress(&mut self) {
        let (bytes, len, is_plain) = match self {
            Node::Packed(pack, len) => (pack.as_bytes(), *len, false),
            Node::Plain(value) => (&**value, 1, true),
            Node::Compressed(_) => return,
        };
        let n_bytes = bytes.len();
        if n_bytes >= COMPRESSED_BYTES_MIN
            && let Some(block) = lzf::compress(bytes, n_bytes)
            && block.len() + SAVED_BYTES < n_bytes
        {
            let compressed = Compressed { block: block.into(), n_bytes, len, is_plain };
            *self = Node::Compressed(Box::new(compressed));
        }
    }

    /// Undoes that.
    #[inline]
    pub(super) fn open(&mut self) {
        if let Node::Compressed(compressed) = self {
            *self = compressed.open();
        }
    }

    /// Whether one more element fits.
    pub(super) fn admits(&self, value: &[u8], fill: Fill) -> bool {
        self.admits_beside(value, fill, 0, 0)
    }

    /// Whether one more element fits beside so many bytes and elements that belong to the node, too.
    #[inline]
    pub(super) fn admits_beside(
        &self,
        value: &[u8],
        fill: Fill,
        more_bytes: usize,
        more_elements: usize,
    ) -> bool {
        if self.is_plain() {
            return false;
        }
        let n_bytes = self.n_bytes() + more_bytes + value.len() + OVERHEAD_BYTES;
        let n_elements = self.len() + more_elements + 1;
        !fill.is_large(value) && !fill.is_exceeded(n_bytes, n_elements)
    }

    /// Whether it is one large element.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Node::Packed(..) => false,
            Node::Plain(_) => true,
            Node::Compressed(compressed) => compressed.is_plain,
        }
    }

    /// Bytes of its elements, with a listpack's own, before they are compressed.
    #[inline]
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Node::Packed(pack, _) => pack.n_bytes(),
            Node::Plain(value) => value.len(),
            Node::Compressed(compressed) => compressed.n_bytes,
        }
    }

    /// Whether the elements of another node fit as well.
    pub(super) fn admits_all(&self, other: &Node, fill: Fill) -> bool {
        let n_bytes = self.n_bytes() + other.n_bytes() - Listpack::EMPTY_BYTES;
        let is_within = !fill.is_exceeded(n_bytes, self.len() + other.len());
        is_within && !self.is_plain() && !other.is_plain()
    }

    /// Bytes of memory that it owns.
    pub(super) fn mem_bytes(&self) -> usize {
        match self {
            Node::Packed(pack, _) => pack.mem_bytes(),
            Node::Plain(value) => value.len(),
            Node::Compressed(compressed) => size_of::<Compressed>() + compressed.block.len(),
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

    #[test]
    fn nodes_are_compressed_where_it_is_worth_it() {
        let fill = Fill::new(-2);
        let mut noise = 1u32;
        let mut noisy = |n| -> Vec<u8> {
            let next = |_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            };
            (0..n).map(next).collect()
        };
        let cases = [
            (b"a".repeat(100), true),
            (b"a".repeat(9000), true),
            (b"a".repeat(40), true),
            (b"a".repeat(38), false),
            (noisy(500), false),
            (noisy(9000), false),
        ];
        for (value, is_compressed) in cases {
            let mut node = Node::of(&value, fill);
            let (len, n_bytes, is_plain) = (node.len(), node.n_bytes(), node.is_plain());
            node.compress();
            assert_eq!(matches!(node, Node::Compressed(_)), is_compressed, "{}", value.len());
            assert_eq!((node.len(), node.n_bytes(), node.is_plain()), (len, n_bytes, is_plain));
            assert!(!is_compressed || node.mem_bytes() < n_bytes + 16);
            node.open();
            match node {
                Node::Packed(pack, 1) => {
                    assert_eq!(pack.get(pack.first().unwrap()).to_vec(), value)
                }
                Node::Plain(own) => assert_eq!(*own, *value),
                other => panic!("{other:?}"),
            }
        }
    }
}

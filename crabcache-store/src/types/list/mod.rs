//! The list type: elements in order, quick at both ends.
//!
//! | encoding | what it is | until |
//! |---|---|---|
//! | `listpack` | one listpack | it exceeds `list-max-listpack-size` |
//! | `quicklist` | a deque of nodes, see [`quicklist`] | one node is left, below half of that |
//!
//! A list grows into the long form before elements are added, as if each took no more than its own
//! bytes, and comes back after some were removed: both as the reference does it, for OBJECT ENCODING
//! tells of it.

mod iter;
mod node;
mod quicklist;

use crate::entry::Kind;
use crate::structures::listpack::Listpack;
use crate::structures::slim::{Either, Slim};
use crate::types::collection::Collection;
use crate::types::limits::Limits;
use crate::types::string::{StrRef, parse_int};
pub use iter::{OpenedNodes, Part};
pub use node::set_plain_bytes_min;
use node::{Fill, Node};
use quicklist::Quicklist;
use std::ops::ControlFlow::{Break, Continue};

/// One of the two ends of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is (LEFT).
    Front,
    /// Where index -1 is (RIGHT).
    Back,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub struct List(Slim<Listpack, Quicklist>);

impl Default for List {
    fn default() -> Self {
        List(Slim::small(Listpack::new()))
    }
}

/// A value to look for, with what makes comparing quick.
#[derive(Debug, Clone, Copy)]
pub struct Needle<'v> {
    bytes: &'v [u8],
    int: Option<i64>,
}

impl<'v> Needle<'v> {
    /// Looks for this value.
    pub fn new(bytes: &'v [u8]) -> Needle<'v> {
        Needle { bytes, int: parse_int(bytes) }
    }

    /// Whether an element is the value.
    #[inline]
    pub fn is(&self, element: StrRef<'_>) -> bool {
        match element {
            StrRef::Int(own) => self.int == Some(own),
            StrRef::Bytes(own) => own == self.bytes,
        }
    }
}

impl List {
    /// A list of these elements.
    pub fn from_elements<'v>(
        elements: impl IntoIterator<Item = &'v [u8]>,
        limits: &Limits,
    ) -> List {
        let mut list = List::default();
        for element in elements {
            list.push(End::Back, element, limits);
        }
        list
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match self.0.get() {
            Either::Small(pack) => pack.len(),
            Either::Large(long) => long.len(),
        }
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self.0.get() {
            Either::Small(pack) => pack.is_empty(),
            Either::Large(long) => long.len() == 0,
        }
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, value: &[u8], limits: &Limits) {
        self.push_all(end, std::iter::once(value), limits);
    }

    /// Adds elements at an end, one after the other.
    pub fn push_all<'v>(
        &mut self,
        end: End,
        values: impl Iterator<Item = &'v [u8]> + Clone,
        limits: &Limits,
    ) {
        self.grow(values.clone(), limits);
        for value in values {
            match (self.0.get_mut(), end) {
                (Either::Small(pack), End::Front) => pack.push_front(value),
                (Either::Small(pack), End::Back) => pack.push_back(value),
                (Either::Large(long), end) => long.push(end, value),
            }
        }
    }

    /// Takes the element at an end, which `read` sees before it goes. [`List::shrink`] is to be
    /// called before the list is left alone.
    pub fn pop<T>(&mut self, end: End, read: impl FnOnce(StrRef<'_>) -> T) -> Option<T> {
        match self.0.get_mut() {
            Either::Small(pack) => {
                let at = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                }?;
                let result = read(pack.get(at));
                pack.remove(at, 1);
                Some(result)
            }
            Either::Large(long) => long.pop(end, read),
        }
    }

    /// The number of an element, counted from the front, of an index that may count from the back.
    pub fn index(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = if index < 0 { index.checked_add_unsigned(len as u64)? } else { index };
        usize::try_from(index).ok().filter(|index| *index < len)
    }

    /// Shows `read` element number `index`, which may count from the back.
    pub fn get<T>(&self, index: i64, read: impl FnOnce(StrRef<'_>) -> T) -> Option<T> {
        match self.0.get() {
            Either::Small(pack) => pack.seek(index).map(|at| read(pack.get(at))),
            Either::Large(_) => {
                let (mut read, mut result) = (Some(read), None);
                self.show(self.index(index)?, 1, End::Back, |element| {
                    result = read.take().map(|read| read(element));
                });
                result
            }
        }
    }

    /// The limit of a long list's nodes, and how many of them at each end are not compressed.
    pub fn node_limits(&self) -> Option<(i32, usize)> {
        match self.0.get() {
            Either::Small(_) => None,
            Either::Large(long) => Some((long.fill().limit(), long.depth())),
        }
    }

    /// Puts another value into the place of element number `index`. Whether there is one.
    pub fn set(&mut self, index: i64, value: &[u8], limits: &Limits) -> bool {
        self.grow(std::iter::once(value), limits);
        let Some(index) = self.index(index) else { return false };
        match self.0.get_mut() {
            Either::Small(pack) => {
                if let Some(at) = pack.seek(index as i64) {
                    pack.replace(at, value);
                }
            }
            Either::Large(long) => {
                long.replace(index, value);
                self.shrink(limits);
            }
        }
        true
    }

    /// Adds an element before or behind the first that is `pivot`. Whether there is one.
    pub fn insert(&mut self, pivot: &[u8], value: &[u8], is_behind: bool, limits: &Limits) -> bool {
        self.grow(std::iter::once(value), limits);
        let (needle, mut index) = (Needle::new(pivot), 0);
        let found = self.show_from(0, End::Back, |element| {
            if needle.is(element) {
                return Break(());
            }
            index += 1;
            Continue(())
        });
        if found.is_continue() {
            return false;
        }
        match self.0.get_mut() {
            Either::Small(pack) => {
                let at = pack.seek(index as i64).expect("found");
                if is_behind {
                    pack.insert_after(at, value);
                } else {
                    pack.insert(at, value);
                }
            }
            Either::Large(long) => {
                long.insert(index, value, is_behind);
            }
        }
        true
    }

    /// Removes `n` elements from number `start` on, or as many as there are.
    pub fn remove_range(&mut self, start: usize, n: usize, limits: &Limits) {
        let n = n.min(self.len().saturating_sub(start));
        if n == 0 {
            return;
        }
        match self.0.get_mut() {
            Either::Small(pack) => {
                if let Some(at) = pack.seek(start as i64) {
                    pack.remove(at, n);
                }
            }
            Either::Large(long) => {
                long.remove(start, n);
                self.shrink(limits);
            }
        }
    }

    /// Keeps `n` elements from number `start` on; all of them must be there.
    pub fn trim(&mut self, start: usize, n: usize, limits: &Limits) {
        // The front first: what the list is encoded as may depend on it.
        match self.0.get_mut() {
            Either::Small(_) => {
                self.remove_range(0, start, limits);
                self.remove_range(n, usize::MAX, limits);
            }
            Either::Large(long) => {
                long.remove(0, start);
                long.remove(n, long.len() - n);
                self.shrink(limits);
            }
        }
    }

    /// Removes up to `n_max` elements that are `value`, looking from `end`. Returns how many.
    pub fn remove_matching(
        &mut self,
        value: &[u8],
        end: End,
        n_max: usize,
        limits: &Limits,
    ) -> usize {
        let needle = Needle::new(value);
        let is_wanted = |element: StrRef<'_>| needle.is(element);
        match self.0.get_mut() {
            Either::Small(pack) => quicklist::remove_matching(pack, end, n_max, is_wanted),
            Either::Large(long) => {
                let n_removed = long.remove_matching(end, n_max, is_wanted);
                if n_removed > 0 {
                    self.shrink(limits);
                }
                n_removed
            }
        }
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        *self = List::default();
    }

    /// Adds a part that a snapshot had by itself: a listpack of any length.
    pub fn push_part(&mut self, pack: Listpack, limits: &Limits) {
        /// The count in a listpack's head ends here.
        const LEN_MAX: usize = 65_534;
        let long = self.make_long(limits);
        if pack.len() <= LEN_MAX {
            long.push_node(Node::packed(pack));
        } else {
            for element in pack.forward(pack.first()) {
                long.push(End::Back, &element.bytes());
            }
        }
    }

    /// Adds an element at the end as to a long list, whatever the list's size.
    pub fn push_long(&mut self, value: &[u8], limits: &Limits) {
        self.make_long(limits).push(End::Back, value);
    }

    /// Adds a part that a snapshot had by itself: one large element.
    pub fn push_large_part(&mut self, value: Vec<u8>, limits: &Limits) {
        self.make_long(limits).push_node(Node::Plain(value.into()));
    }

    /// Takes the encoding that fits, after the list was built in parts.
    pub fn settle(&mut self, limits: &Limits) {
        let (n_bytes_max, n_elements_max) = Fill::new(limits.list_listpack_size_max).whole_limits();
        self.pack_within(n_bytes_max, n_elements_max);
    }

    /// Becomes long if values to be added would make it too large for a listpack.
    fn grow<'v>(&mut self, values: impl Iterator<Item = &'v [u8]>, limits: &Limits) {
        let Either::Small(pack) = self.0.get() else { return };
        let (mut n_bytes, mut n_elements) = (pack.n_bytes(), pack.len());
        for value in values {
            n_bytes = n_bytes.saturating_add(value.len());
            n_elements += 1;
        }
        if Fill::new(limits.list_listpack_size_max).is_exceeded(n_bytes, n_elements) {
            self.make_long(limits);
        }
    }

    fn make_long(&mut self, limits: &Limits) -> &mut Quicklist {
        if let Either::Small(pack) = self.0.get_mut() {
            let pack = std::mem::take(pack);
            let fill = Fill::new(limits.list_listpack_size_max);
            let mut long = Quicklist::new(fill, limits.list_compress_depth);
            long.push_node(Node::packed(pack));
            self.0 = Slim::large(long);
        }
        match self.0.get_mut() {
            Either::Large(long) => long,
            Either::Small(_) => unreachable!("made long above"),
        }
    }

    /// Becomes a listpack again if elements were removed and few are left: far fewer than would
    /// make it long, so that it does not change with every command.
    pub fn shrink(&mut self, limits: &Limits) {
        let (n_bytes_max, n_elements_max) = Fill::new(limits.list_listpack_size_max).whole_limits();
        self.pack_within(n_bytes_max / 2, n_elements_max / 2);
    }

    fn pack_within(&mut self, n_bytes_max: usize, n_elements_max: usize) {
        if let Either::Large(long) = self.0.get_mut()
            && let Some(pack) = long.take_small(n_bytes_max, n_elements_max)
        {
            self.0 = Slim::small(pack);
        }
    }

    /// Checks the invariants.
    #[cfg(test)]
    fn check(&self) {
        if let Either::Large(long) = self.0.get() {
            long.check();
        }
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;

    fn is_empty(&self) -> bool {
        List::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match self.0.get() {
            Either::Small(_) => "listpack",
            Either::Large(_) => "quicklist",
        }
    }

    fn mem_bytes(&self) -> usize {
        match self.0.get() {
            Either::Small(pack) => pack.mem_bytes(),
            Either::Large(long) => {
                let nodes = &long.nodes;
                let owned: usize = nodes.iter().map(Node::mem_bytes).sum();
                size_of::<Quicklist>() + nodes.capacity() * size_of::<Node>() + owned
            }
        }
    }

    fn free_effort(&self) -> usize {
        match self.0.get() {
            Either::Small(_) => 1,
            Either::Large(long) => long.n_nodes(),
        }
    }

    fn duplicate(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests;

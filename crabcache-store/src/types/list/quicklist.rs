//! A long list: a deque of nodes. The ends cost O(1); the middle costs a look at the nodes between
//! and, where a node is added or removed, a move of the nodes on the shorter side (24 bytes each).
//!
//! Nodes are filled, split and merged as the reference does it, so that a list has the same nodes
//! there and here, and its DUMP is the same.
//!
//! With a depth (`list-compress-depth` when the list became long), all nodes but so many at each end
//! are compressed if that is worth it. Whoever changes one opens it first; [`Quicklist::settle`] sees to
//! the rest. Without a depth this costs a comparison.
//!
//! Pushing at the front moves the bytes of the front node. So where that node is large, its beginning
//! stands apart, as a small *head* before it, and is put into it when it has grown, or before anything
//! else happens to these two than pushes and pops. What is seen from outside takes them as one node.
//!
//! Invariant: no node is empty, and `len` is the sum of their lengths. With a head there are two nodes
//! at least, the first two are listpacks, and together within the limits; with a depth there is none.

use super::End;
use super::node::{Fill, Node};
use crate::structures::listpack::Listpack;
use crate::types::string::StrRef;
use std::collections::VecDeque;
use std::ops::Range;

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Quicklist {
    pub(super) nodes: VecDeque<Node>,
    len: usize,
    fill: Fill,
    /// Nodes at each end that are not compressed; 0: none is.
    depth: usize,
    has_head: bool,
}

/// Bytes of a node that gets a head when something is pushed before it.
const HEADED_BYTES_MIN: usize = 1024;
/// Bytes that a head has grown to when it is put into its node.
const HEAD_BYTES_MAX: usize = 512;

/// Where an element is: its node, and its number within.
pub(super) type Place = (usize, usize);

impl Quicklist {
    /// An empty list whose nodes are filled so far, and compressed from this depth on.
    pub(super) fn new(fill: Fill, depth: usize) -> Quicklist {
        Quicklist { nodes: VecDeque::new(), len: 0, fill, depth, has_head: false }
    }

    /// How its nodes are filled.
    pub(super) fn fill(&self) -> Fill {
        self.fill
    }

    /// Nodes at each end that are not compressed; 0: none is.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// To be called when nodes were added, removed or opened: those around `touched` are compressed
    /// again, and the ends are not.
    #[inline]
    fn settle(&mut self, touched: Range<usize>) {
        if self.depth > 0 {
            self.settle_nodes(touched);
        }
    }

    #[cold]
    fn settle_nodes(&mut self, touched: Range<usize>) {
        /// So many nodes an operation adds, which moves as many of an end towards the middle.
        const N_ADDED_MAX: usize = 2;
        let (n_nodes, depth) = (self.nodes.len(), self.depth);
        if n_nodes <= depth.saturating_mul(2) {
            return self.nodes.iter_mut().for_each(Node::open);
        }
        let inner = depth..n_nodes - depth;
        self.nodes.range_mut(..inner.start).for_each(Node::open);
        self.nodes.range_mut(inner.end..).for_each(Node::open);
        let touched = touched.start.saturating_sub(2)..touched.end + 3;
        let from_ends =
            [inner.start..inner.start + N_ADDED_MAX, inner.end - N_ADDED_MAX..inner.end];
        for range in from_ends.into_iter().chain([touched]) {
            let range = range.start.max(inner.start)..range.end.min(inner.end);
            range.for_each(|index| self.nodes[index].compress());
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of nodes.
    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len() - usize::from(self.has_head)
    }

    /// The front node as a whole, and how many nodes it is made of.
    pub(super) fn joined_front(&self) -> Option<(Listpack, usize)> {
        match (self.has_head, self.nodes.front()?, self.nodes.get(1)?) {
            (true, Node::Packed(head, _), Node::Packed(pack, _)) => {
                let mut joined = head.clone();
                joined.append(pack);
                Some((joined, 2))
            }
            _ => None,
        }
    }

    /// Puts the head into its node.
    pub(super) fn join_head(&mut self) {
        if std::mem::take(&mut self.has_head)
            && let Some(Node::Packed(head, head_len)) = self.nodes.pop_front()
            && let Some(Node::Packed(pack, len)) = self.nodes.front_mut()
        {
            pack.prepend(&head);
            *len += head_len;
        }
    }

    /// Whether the head may grow by an element.
    fn head_admits(&self, value: &[u8]) -> bool {
        match (self.nodes.front(), self.nodes.get(1)) {
            (Some(Node::Packed(head, head_len)), Some(node)) if head.n_bytes() < HEAD_BYTES_MAX => {
                node.admits_beside(value, self.fill, head.elements_bytes(), *head_len as usize)
            }
            _ => false,
        }
    }

    /// Adds a node at the end. An empty one is left out.
    pub(super) fn push_node(&mut self, node: Node) {
        if node.len() > 0 {
            self.join_head();
            self.len += node.len();
            self.nodes.push_back(node);
            self.settle(0..0);
        }
    }

    /// Adds an element at an end.
    pub(super) fn push(&mut self, end: End, value: &[u8]) {
        self.len += 1;
        let n_nodes = self.nodes.len();
        match end {
            End::Front => self.push_front(value),
            End::Back => self.push_back(value),
        }
        if self.nodes.len() != n_nodes {
            self.settle(0..0);
        }
    }

    fn push_front(&mut self, value: &[u8]) {
        let fill = self.fill;
        if self.has_head && !self.head_admits(value) {
            self.join_head();
        }
        let has_head = self.has_head;
        match self.nodes.front_mut() {
            Some(node) if has_head || node.admits(value, fill) => {
                let Node::Packed(pack, len) = node else { return };
                if has_head || pack.n_bytes() < HEADED_BYTES_MIN || self.depth > 0 {
                    *len += 1;
                    pack.push_front(value);
                } else {
                    self.nodes.push_front(Node::of(value, fill));
                    self.has_head = true;
                }
            }
            _ => self.nodes.push_front(Node::of(value, fill)),
        }
    }

    fn push_back(&mut self, value: &[u8]) {
        let fill = self.fill;
        if self.n_nodes() == 1 {
            self.join_head();
        }
        match self.nodes.back_mut() {
            Some(node) if node.admits(value, fill) => {
                let Node::Packed(pack, len) = node else { return };
                *len += 1;
                pack.push_back(value);
            }
            _ => self.nodes.push_back(Node::of(value, fill)),
        }
    }

    /// Takes the element at an end, which `read` sees before it goes.
    pub(super) fn pop<T>(&mut self, end: End, read: impl FnOnce(StrRef<'_>) -> T) -> Option<T> {
        let index = match end {
            End::Front => 0,
            End::Back => self.nodes.len().checked_sub(1)?,
        };
        let node = self.nodes.get_mut(index)?;
        node.open();
        let result = match node {
            Node::Compressed(_) => unreachable!("it was opened"),
            Node::Plain(value) => read(StrRef::Bytes(value)),
            Node::Packed(pack, len) => {
                let at = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                }?;
                let result = read(pack.get(at));
                if *len > 1 {
                    *len -= 1;
                    self.len -= 1;
                    pack.remove(at, 1);
                    return Some(result);
                }
                result
            }
        };
        self.remove_node(index);
        self.settle(0..0);
        Some(result)
    }

    /// The place of element number `index`. Counts nodes from the nearer end.
    pub(super) fn locate(&self, index: usize) -> Option<Place> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut offset = index;
            for (number, node) in self.nodes.iter().enumerate() {
                if offset < node.len() {
                    return Some((number, offset));
                }
                offset -= node.len();
            }
            return None;
        }
        let mut n_behind = self.len - index;
        for (number, node) in self.nodes.iter().enumerate().rev() {
            if n_behind <= node.len() {
                return Some((number, node.len() - n_behind));
            }
            n_behind -= node.len();
        }
        None
    }

    /// Adds an element before or behind element number `at`, which must be there.
    pub(super) fn insert(&mut self, at: usize, value: &[u8], is_behind: bool) {
        self.join_head();
        if let Some(place) = self.locate(at) {
            self.nodes[place.0].open();
            self.insert_at(place, value, is_behind);
            self.settle(place.0..place.0 + 1);
        }
    }

    fn insert_at(&mut self, (index, offset): Place, value: &[u8], is_behind: bool) {
        let fill = self.fill;
        self.len += 1;
        let node = &mut self.nodes[index];
        if node.admits(value, fill) {
            return put_into(node, offset, value, is_behind);
        }
        let is_outer = if is_behind { offset + 1 == node.len() } else { offset == 0 };
        if is_outer || node.is_plain() {
            let neighbour = if is_behind { Some(index + 1) } else { index.checked_sub(1) };
            let neighbour = neighbour.and_then(|index| self.nodes.get_mut(index));
            match neighbour.filter(|node| node.admits(value, fill)) {
                Some(node) => {
                    node.open();
                    let offset = if is_behind { 0 } else { node.len() - 1 };
                    put_into(node, offset, value, !is_behind);
                }
                None => {
                    self.nodes.insert(index + usize::from(is_behind), Node::of(value, fill));
                }
            }
            return;
        }
        self.split(index, offset + usize::from(is_behind));
        if fill.is_large(value) {
            self.nodes.insert(index + 1, Node::of(value, fill));
            return;
        }
        // The element joins the half that is not its neighbour's.
        let (half, offset) =
            if is_behind { (index + 1, 0) } else { (index, self.nodes[index].len() - 1) };
        put_into(&mut self.nodes[half], offset, value, !is_behind);
        self.merge_around(if is_behind { index } else { index + 1 });
    }

    /// Puts another value in the place of element number `at`, if there is one.
    pub(super) fn replace(&mut self, at: usize, value: &[u8]) {
        self.join_head();
        if let Some(place) = self.locate(at) {
            self.nodes[place.0].open();
            self.replace_at(place, value);
            self.settle(place.0..place.0 + 1);
        }
    }

    fn replace_at(&mut self, (index, offset): Place, value: &[u8]) {
        let fill = self.fill;
        match &mut self.nodes[index] {
            Node::Compressed(_) => unreachable!("it was opened"),
            Node::Packed(pack, _) if !fill.is_large(value) => {
                let at = pack.seek(offset as i64).expect("a place is in its node");
                pack.replace(at, value);
            }
            Node::Plain(old) if fill.is_large(value) => *old = value.into(),
            Node::Plain(_) => {
                self.insert_at((index, offset), value, true);
                self.remove_node(index);
            }
            Node::Packed(_, len) => {
                let (is_only, is_last) = (*len == 1, offset + 1 == *len as usize);
                if !is_last {
                    self.split(index, offset + 1);
                }
                self.len += 1;
                self.nodes.insert(index + 1, Node::of(value, fill));
                self.remove_from_node(index, offset, 1);
                if !is_only {
                    self.merge_around(index + 1);
                }
            }
        }
    }

    /// Removes `n` elements from number `start` on; there must be so many.
    pub(super) fn remove(&mut self, start: usize, n: usize) {
        if n == 0 {
            return;
        }
        let (mut index, mut offset) = match self.locate(start) {
            Some((0 | 1, _)) if self.has_head => {
                self.join_head();
                // One node now, so the element is in the first.
                (0, start)
            }
            Some(place) => place,
            None => return,
        };
        let mut n_left = n;
        let mut whole = index..index;
        while n_left > 0 && index < self.nodes.len() {
            let node_len = self.nodes[index].len();
            let n_removed = n_left.min(node_len - offset);
            if n_removed == node_len {
                if whole.is_empty() {
                    whole = index..index;
                }
                whole.end = index + 1;
            } else {
                self.remove_from_node(index, offset, n_removed);
            }
            (n_left, index, offset) = (n_left - n_removed, index + 1, 0);
        }
        // All at once: each removal would move the nodes behind it.
        let first = whole.start;
        self.len -= self.nodes.drain(whole).map(|node| node.len()).sum::<usize>();
        self.settle(first..first + 1);
    }

    /// Removes up to `n_max` elements for which `is_wanted` holds, looking from `end`. Returns how
    /// many.
    pub(super) fn remove_matching(
        &mut self,
        end: End,
        n_max: usize,
        is_wanted: impl Fn(StrRef<'_>) -> bool,
    ) -> usize {
        self.join_head();
        let mut n_left = n_max;
        let mut remove = |node: &mut Node| {
            if n_left > 0 {
                let is_compressed = matches!(node, Node::Compressed(_));
                node.open();
                match node {
                    Node::Compressed(_) => unreachable!("it was opened"),
                    Node::Plain(value) if is_wanted(StrRef::Bytes(value)) => {
                        n_left -= 1;
                        return false;
                    }
                    Node::Plain(_) => {}
                    Node::Packed(pack, len) => {
                        let n_removed = remove_matching(pack, end, n_left, &is_wanted);
                        n_left -= n_removed;
                        *len -= n_removed as u32;
                    }
                }
                if is_compressed && node.len() > 0 {
                    node.compress();
                }
            }
            node.len() > 0
        };
        match end {
            End::Front => self.nodes.retain_mut(remove),
            End::Back => {
                let mut kept: VecDeque<Node> = VecDeque::with_capacity(self.nodes.len());
                while let Some(mut node) = self.nodes.pop_back() {
                    if remove(&mut node) {
                        kept.push_front(node);
                    }
                }
                self.nodes = kept;
            }
        }
        let n_removed = n_max - n_left;
        self.len -= n_removed;
        self.settle(0..0);
        n_removed
    }

    /// The only node, if it is a listpack within these limits.
    pub(super) fn take_small(
        &mut self,
        n_bytes_max: usize,
        n_elements_max: usize,
    ) -> Option<Listpack> {
        if self.n_nodes() != 1 || self.nodes.back()?.n_bytes() > n_bytes_max {
            return None;
        }
        self.join_head();
        match self.nodes.make_contiguous() {
            [Node::Packed(pack, len)]
                if pack.n_bytes() <= n_bytes_max && *len as usize <= n_elements_max =>
            {
                Some(std::mem::take(pack))
            }
            _ => None,
        }
    }

    fn remove_from_node(&mut self, index: usize, offset: usize, n: usize) {
        let node = &mut self.nodes[index];
        if node.len() > n {
            node.open();
        }
        let is_emptied = match node {
            Node::Packed(pack, len) if *len as usize > n => {
                let at = pack.seek(offset as i64).expect("a place is in its node");
                pack.remove(at, n);
                *len -= n as u32;
                self.len -= n;
                false
            }
            _ => true,
        };
        if is_emptied {
            self.remove_node(index);
        }
    }

    fn remove_node(&mut self, index: usize) {
        if index <= 1 {
            // Of a head and its node, what is left is a node by itself.
            self.has_head = false;
        }
        let node = self.nodes.remove(index);
        self.len -= node.map_or(0, |node| node.len());
    }

    /// Moves the elements of a node from number `offset` on into a new node behind it.
    fn split(&mut self, index: usize, offset: usize) {
        let Node::Packed(pack, len) = &mut self.nodes[index] else { return };
        let Some(at) = pack.seek(offset as i64) else { return };
        let tail = pack.split_off(at);
        let tail_len = *len - offset as u32;
        *len = offset as u32;
        self.nodes.insert(index + 1, Node::Packed(tail, tail_len));
    }

    /// Merges what fits into one node around node number `centre`.
    fn merge_around(&mut self, mut centre: usize) {
        if centre >= 2 && self.merge(centre - 2) {
            centre -= 1;
        }
        self.merge(centre + 1);
        if centre >= 1 && self.merge(centre - 1) {
            centre -= 1;
        }
        self.merge(centre);
    }

    /// Merges a node with the next, if they fit.
    fn merge(&mut self, index: usize) -> bool {
        let fill = self.fill;
        let fits = match (self.nodes.get(index), self.nodes.get(index + 1)) {
            (Some(node), Some(next)) => node.admits_all(next, fill),
            _ => false,
        };
        if fits && let Some(mut next) = self.nodes.remove(index + 1) {
            let node = &mut self.nodes[index];
            node.open();
            next.open();
            if let (Node::Packed(pack, len), Node::Packed(next, next_len)) = (node, &next) {
                pack.append(next);
                *len += next_len;
            }
        }
        fits
    }

    /// Checks the invariant.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.len, self.nodes.iter().map(Node::len).sum::<usize>());
        if let Some((joined, n)) = self.joined_front() {
            assert_eq!(joined.len(), self.nodes.iter().take(n).map(Node::len).sum::<usize>());
        }
        assert_eq!(self.has_head, self.joined_front().is_some());
        for node in &self.nodes {
            assert!(node.len() > 0);
            if let Node::Packed(pack, len) = node {
                assert_eq!(pack.len(), *len as usize);
            }
        }
        self.check_compression();
    }

    #[cfg(test)]
    fn check_compression(&self) {
        let inner = match (self.depth, self.nodes.len()) {
            (1.., n_nodes) if n_nodes > 2 * self.depth => self.depth..n_nodes - self.depth,
            _ => 0..0,
        };
        assert!(!self.has_head || self.depth == 0);
        for (index, node) in self.nodes.iter().enumerate() {
            let is_compressed = matches!(node, Node::Compressed(_));
            let mut other = node.clone();
            other.open();
            other.compress();
            let is_worth_it = matches!(other, Node::Compressed(_));
            assert_eq!(
                is_compressed,
                inner.contains(&index) && is_worth_it,
                "{index} of {inner:?}"
            );
        }
    }
}

/// Adds an element before or behind number `offset` of a node that admits it.
fn put_into(node: &mut Node, offset: usize, value: &[u8], is_behind: bool) {
    let Node::Packed(pack, len) = node else { return };
    let at = pack.seek(offset as i64).expect("a place is in its node");
    if is_behind {
        pack.insert_after(at, value);
    } else {
        pack.insert(at, value);
    }
    *len += 1;
}

/// As [`Quicklist::remove_matching`], in a listpack.
pub(super) fn remove_matching(
    pack: &mut Listpack,
    end: End,
    n_max: usize,
    is_wanted: impl Fn(StrRef<'_>) -> bool,
) -> usize {
    let mut n_removed = 0;
    let mut at = match end {
        End::Front => pack.first(),
        End::Back => pack.last(),
    };
    while let Some(here) = at
        && n_removed < n_max
    {
        let is_removed = is_wanted(pack.get(here));
        at = match end {
            End::Front if is_removed => pack.remove(here, 1),
            End::Front => pack.next(here),
            End::Back => {
                let before = pack.prev(here);
                if is_removed {
                    pack.remove(here, 1);
                }
                before
            }
        };
        n_removed += usize::from(is_removed);
    }
    n_removed
}

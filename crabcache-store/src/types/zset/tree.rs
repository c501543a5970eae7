//! The order of a large sorted set: a B+-tree that counts, so that positions (ranks) are found as
//! quickly as scores.
//!
//! Leaves are arrays of scores and of members' addresses, 512 bytes together; a search reads scores
//! and looks at a member only where scores are equal. Above them stand nodes with, for each child, its number
//! of elements and its first element. Changes are made at positions: the tree itself does not
//! compare elements, its caller finds the place with [`Tree::partition_point`].
//!
//! What this is not: it does not own the members, and it knows no hash table.
//!
//! Invariants: no node is empty; all leaves are at the same depth; number and first element of each
//! child are as said; a node that became small was merged with a neighbour if both fit well.

use super::member::MemberRef;
use smallvec::SmallVec;
use std::ops::Range;

/// Elements of a leaf: with the length, 512 bytes.
const LEAF_MAX: usize = 31;
/// Children of a node.
const FAN_MAX: usize = 24;

/// An element: a score and whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Element {
    pub(super) score: f64,
    pub(super) member: MemberRef,
}

#[repr(align(64))]
struct Leaf {
    len: usize,
    scores: [f64; LEAF_MAX],
    members: [MemberRef; LEAF_MAX],
}

const _: () = assert!(size_of::<Leaf>() == 512);

struct Child {
    n_elements: usize,
    first: Element,
    node: Node,
}

enum Node {
    Leaf(Box<Leaf>),
    Inner(Vec<Child>),
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Tree {
    root: Option<Child>,
    n_leaves: usize,
}

/// Whether a place is at an end of the whole tree: growth there fills nodes to the brim.
#[derive(Clone, Copy)]
struct Edge {
    is_first: bool,
    is_last: bool,
}

impl Tree {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.n_elements)
    }

    /// Bytes of memory, about.
    pub(super) fn mem_bytes(&self) -> usize {
        // A leaf has its part of the nodes above, which are about two thirds full.
        self.n_leaves * (size_of::<Leaf>() + size_of::<Child>() * 3 / 2)
    }

    /// The position of the first element of which `is_before` is false; it must be true of all
    /// elements before and of none behind.
    pub(super) fn partition_point(&self, is_before: impl Fn(Element) -> bool) -> usize {
        let (mut n_before, mut node) = match &self.root {
            Some(root) => (0, &root.node),
            None => return 0,
        };
        loop {
            match node {
                Node::Leaf(leaf) => return n_before + leaf.partition_point(is_before),
                Node::Inner(children) => {
                    let index = children.partition_point(|child| is_before(child.first));
                    let Some(last) = index.checked_sub(1) else { return n_before };
                    n_before +=
                        children[..last].iter().map(|child| child.n_elements).sum::<usize>();
                    node = &children[last].node;
                }
            }
        }
    }

    /// The element at a position.
    pub(super) fn get(&self, position: usize) -> Option<Element> {
        self.iter(position..position + 1, false).next()
    }

    /// Adds an element at a position, up to the number of elements.
    pub(super) fn insert(&mut self, position: usize, element: Element) {
        let Some(root) = &mut self.root else {
            self.root = Some(Child::of(Node::Leaf(Leaf::with(element))));
            self.n_leaves = 1;
            return;
        };
        let edge = Edge { is_first: true, is_last: true };
        let split = root.insert(position, element, edge, &mut self.n_leaves);
        if let Some(right) = split
            && let Some(left) = self.root.take()
        {
            let mut children = Vec::with_capacity(FAN_MAX);
            children.extend([left, right]);
            self.root = Some(Child::of(Node::Inner(children)));
        }
    }

    /// Removes the element at a position, which must exist.
    pub(super) fn remove(&mut self, position: usize) {
        let Some(root) = &mut self.root else { return };
        root.remove(position, &mut self.n_leaves);
        if root.n_elements == 0 {
            self.root = None;
            self.n_leaves = 0;
        } else if let Node::Inner(children) = &mut root.node
            && children.len() == 1
        {
            self.root = children.pop();
        }
    }

    /// Gives the element at a position another score, which must not change its position.
    pub(super) fn set_score(&mut self, position: usize, score: f64) {
        let (mut child, mut position) = (self.root.as_mut(), position);
        while let Some(at) = child {
            if position == 0 {
                at.first.score = score;
            }
            child = match &mut at.node {
                Node::Leaf(leaf) => {
                    leaf.scores[position] = score;
                    None
                }
                Node::Inner(children) => {
                    let (index, within) = locate(children, position, |n, at| at >= n);
                    position = within;
                    children.get_mut(index)
                }
            };
        }
    }

    /// The elements at these positions, which are cut off at the end; from the last one if
    /// `is_reverse`.
    pub(super) fn iter(&self, positions: Range<usize>, is_reverse: bool) -> Iter<'_> {
        let end = positions.end.min(self.len());
        let n_left = end.saturating_sub(positions.start);
        let start = if is_reverse { end.wrapping_sub(1) } else { positions.start };
        let cursor = self.root.as_ref().filter(|_| n_left > 0);
        Iter { n_left, is_reverse, cursor: cursor.map(|root| Cursor::at(root, start)) }
    }

    /// Checks every invariant but the order. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut depths = Vec::new();
        let mut n_leaves = 0;
        if let Some(root) = &self.root {
            root.check(0, &mut depths, &mut n_leaves);
        }
        depths.dedup();
        assert!(depths.len() <= 1, "all leaves are at the same depth");
        assert_eq!(n_leaves, self.n_leaves);
    }
}

#[cfg(test)]
impl Child {
    fn check(&self, depth: usize, depths: &mut Vec<usize>, n_leaves: &mut usize) {
        assert!(self.n_elements > 0, "no node is empty");
        assert_eq!(self.n_elements, self.node.n_elements());
        assert_eq!(self.first, self.node.first());
        match &self.node {
            Node::Leaf(leaf) => {
                assert!(leaf.len <= LEAF_MAX);
                depths.push(depth);
                *n_leaves += 1;
            }
            Node::Inner(children) => {
                assert!(children.len() <= FAN_MAX);
                children.iter().for_each(|child| child.check(depth + 1, depths, n_leaves));
            }
        }
    }
}

/// The child with a position and the position within it; `passes` tells whether a position is
/// beyond a child with so many elements.
fn locate(
    children: &[Child],
    mut position: usize,
    passes: impl Fn(usize, usize) -> bool,
) -> (usize, usize) {
    let mut index = 0;
    while index + 1 < children.len() && passes(children[index].n_elements, position) {
        position -= children[index].n_elements;
        index += 1;
    }
    (index, position)
}

impl Leaf {
    fn with(element: Element) -> Box<Leaf> {
        let mut leaf = Leaf::new();
        leaf.insert(0, element);
        leaf
    }

    fn new() -> Box<Leaf> {
        Box::new(Leaf { len: 0, scores: [0.0; LEAF_MAX], members: [MemberRef::NONE; LEAF_MAX] })
    }

    fn get(&self, index: usize) -> Element {
        Element { score: self.scores[index], member: self.members[index] }
    }

    fn partition_point(&self, is_before: impl Fn(Element) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_before(self.get(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn insert(&mut self, at: usize, element: Element) {
        self.scores.copy_within(at..self.len, at + 1);
        self.members.copy_within(at..self.len, at + 1);
        self.scores[at] = element.score;
        self.members[at] = element.member;
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        self.scores.copy_within(at + 1..self.len, at);
        self.members.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    /// Moves the elements from `at` on behind those of another leaf.
    fn move_to(&mut self, at: usize, other: &mut Leaf) {
        let n_moved = self.len - at;
        let to = other.len..other.len + n_moved;
        other.scores[to.clone()].copy_from_slice(&self.scores[at..self.len]);
        other.members[to].copy_from_slice(&self.members[at..self.len]);
        other.len += n_moved;
        self.len = at;
    }
}

impl Node {
    fn n_elements(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len,
            Node::Inner(children) => children.iter().map(|child| child.n_elements).sum(),
        }
    }

    fn first(&self) -> Element {
        match self {
            Node::Leaf(leaf) => leaf.get(0),
            Node::Inner(children) => children[0].first,
        }
    }

    /// Elements or children, and how many there can be.
    fn fill(&self) -> (usize, usize) {
        match self {
            Node::Leaf(leaf) => (leaf.len, LEAF_MAX),
            Node::Inner(children) => (children.len(), FAN_MAX),
        }
    }

    fn is_small(&self) -> bool {
        let (len, max) = self.fill();
        len < max / 4
    }

    /// Takes all of a right neighbour, if both are of the same kind, which they are.
    fn append(&mut self, right: Node) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(mut right)) => right.move_to(0, left),
            (Node::Inner(left), Node::Inner(right)) => left.extend(right),
            _ => unreachable!("neighbours are at the same depth"),
        }
    }
}

/// Where a full node is split that gets something at `at`.
fn split_at(at: usize, max: usize, edge: Edge) -> usize {
    if edge.is_last && at == max {
        max
    } else if edge.is_first && at == 0 {
        0
    } else {
        max / 2
    }
}

impl Child {
    fn of(node: Node) -> Child {
        Child { n_elements: node.n_elements(), first: node.first(), node }
    }

    /// Adds an element. Returns a new right neighbour if there was no room.
    fn insert(
        &mut self,
        position: usize,
        element: Element,
        edge: Edge,
        n_leaves: &mut usize,
    ) -> Option<Child> {
        let right = match &mut self.node {
            Node::Leaf(leaf) => leaf.insert_or_split(position, element, edge),
            Node::Inner(children) => {
                let (index, within) = locate(children, position, |n, at| at > n);
                let edge = Edge {
                    is_first: edge.is_first && index == 0,
                    is_last: edge.is_last && index + 1 == children.len(),
                };
                let split = children[index].insert(within, element, edge, n_leaves);
                split.and_then(|new| insert_child(children, index + 1, new, edge))
            }
        };
        match right {
            None => {
                self.n_elements += 1;
                if position == 0 {
                    self.first = element;
                }
                None
            }
            Some(right) => {
                *n_leaves += usize::from(matches!(right, Node::Leaf(_)));
                self.n_elements = self.node.n_elements();
                self.first = self.node.first();
                Some(Child::of(right))
            }
        }
    }

    fn remove(&mut self, position: usize, n_leaves: &mut usize) {
        self.n_elements -= 1;
        match &mut self.node {
            Node::Leaf(leaf) => leaf.remove(position),
            Node::Inner(children) => {
                let (index, within) = locate(children, position, |n, at| at >= n);
                children[index].remove(within, n_leaves);
                mend(children, index, n_leaves);
            }
        }
        if position == 0 && self.n_elements > 0 {
            self.first = self.node.first();
        }
    }
}

impl Leaf {
    fn insert_or_split(&mut self, at: usize, element: Element, edge: Edge) -> Option<Node> {
        if self.len < LEAF_MAX {
            self.insert(at, element);
            return None;
        }
        let mut right = Leaf::new();
        let middle = split_at(at, LEAF_MAX, edge);
        self.move_to(middle, &mut right);
        if at < middle || middle == 0 {
            self.insert(at, element);
        } else {
            right.insert(at - middle, element);
        }
        Some(Node::Leaf(right))
    }
}

/// Adds a child. Returns a new right neighbour of its parent if there was no room.
fn insert_child(children: &mut Vec<Child>, at: usize, child: Child, edge: Edge) -> Option<Node> {
    if children.len() < FAN_MAX {
        children.insert(at, child);
        return None;
    }
    let mut right = Vec::with_capacity(FAN_MAX);
    // A new child is never the first: growth at the front leaves full nodes behind as it is.
    let middle = if edge.is_first && at == 1 { 1 } else { split_at(at, FAN_MAX, edge) };
    right.extend(children.drain(middle..));
    if at < middle {
        children.insert(at, child);
    } else {
        right.insert(at - middle, child);
    }
    Some(Node::Inner(right))
}

/// Restores the invariants after child number `index` lost an element.
fn mend(children: &mut Vec<Child>, index: usize, n_leaves: &mut usize) {
    let mut forget =
        |removed: &Child| *n_leaves -= usize::from(matches!(removed.node, Node::Leaf(_)));
    if children[index].n_elements == 0 {
        forget(&children.remove(index));
        return;
    }
    if !children[index].node.is_small() || children.len() == 1 {
        return;
    }
    let left = if index + 1 < children.len() { index } else { index - 1 };
    let (left_len, max) = children[left].node.fill();
    if left_len + children[left + 1].node.fill().0 <= max * 3 / 4 {
        let right = children.remove(left + 1);
        forget(&right);
        children[left].n_elements += right.n_elements;
        children[left].node.append(right.node);
    }
}

/// See [`Tree::iter`].
pub(super) struct Iter<'a> {
    n_left: usize,
    is_reverse: bool,
    cursor: Option<Cursor<'a>>,
}

impl Iterator for Iter<'_> {
    type Item = Element;

    #[inline]
    fn next(&mut self) -> Option<Element> {
        if self.n_left == 0 {
            return None;
        }
        self.n_left -= 1;
        let cursor = self.cursor.as_mut()?;
        let element = cursor.leaf.get(cursor.index);
        if self.n_left > 0 {
            if self.is_reverse { cursor.backward() } else { cursor.forward() }
        }
        Some(element)
    }
}

/// A place in a leaf, and the way to it.
struct Cursor<'a> {
    way: SmallVec<[(&'a [Child], usize); 6]>,
    leaf: &'a Leaf,
    index: usize,
}

impl<'a> Cursor<'a> {
    /// At a position of the tree, which must exist.
    fn at(root: &'a Child, position: usize) -> Cursor<'a> {
        let mut way = SmallVec::new();
        let (mut node, mut index) = (&root.node, position);
        loop {
            match node {
                Node::Leaf(leaf) => return Cursor { way, leaf, index },
                Node::Inner(children) => {
                    let (child, within) = locate(children, index, |n, at| at >= n);
                    way.push((&children[..], child));
                    (node, index) = (&children[child].node, within);
                }
            }
        }
    }

    /// Moves to the next element, which must exist.
    fn forward(&mut self) {
        self.index += 1;
        while self.index >= self.leaf.len {
            let Some((children, index)) = self.way.pop() else { return };
            if let Some(child) = children.get(index + 1) {
                self.way.push((children, index + 1));
                self.descend(&child.node, |_| 0);
                self.index = 0;
            }
        }
    }

    /// Moves to the element before, which must exist.
    fn backward(&mut self) {
        if let Some(index) = self.index.checked_sub(1) {
            self.index = index;
            return;
        }
        while let Some((children, index)) = self.way.pop() {
            if let Some(before) = index.checked_sub(1) {
                self.way.push((children, before));
                self.descend(&children[before].node, |len| len - 1);
                self.index = self.leaf.len - 1;
                return;
            }
        }
    }

    fn descend(&mut self, mut node: &'a Node, choose: impl Fn(usize) -> usize) {
        loop {
            match node {
                Node::Leaf(leaf) => {
                    self.leaf = leaf;
                    return;
                }
                Node::Inner(children) => {
                    let index = choose(children.len());
                    self.way.push((&children[..], index));
                    node = &children[index].node;
                }
            }
        }
    }
}

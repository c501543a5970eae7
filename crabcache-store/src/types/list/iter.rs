//! Going through a list, in either direction, node by node.

use super::List;
use super::node::Node;
use crate::structures::listpack::{Backward, Forward, Listpack};
use crate::structures::slim::Either;
use crate::types::string::StrRef;
use std::borrow::Cow;
use std::collections::vec_deque;

/// A node as a snapshot writes it.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Elements in a listpack.
    Packed(Cow<'a, Listpack>),
    /// One large element.
    Large(&'a [u8]),
}

/// Elements of a list, one after the other.
#[derive(Clone)]
pub struct Elements<'a> {
    /// Nodes that come after the current one.
    nodes: vec_deque::Iter<'a, Node>,
    current: Current<'a>,
    is_backward: bool,
}

/// What is left of the current node.
#[derive(Clone)]
enum Current<'a> {
    Forward(Forward<'a>),
    Backward(Backward<'a>),
    Large(&'a [u8]),
    Nothing,
}

impl<'a> Current<'a> {
    /// A node from its element number `offset` on.
    fn of(node: &'a Node, offset: usize, is_backward: bool) -> Current<'a> {
        match node {
            Node::Plain(value) => Current::Large(value),
            Node::Packed(pack, _) => Current::packed(pack, offset as i64, is_backward),
        }
    }

    fn packed(pack: &'a Listpack, offset: i64, is_backward: bool) -> Current<'a> {
        let at = pack.seek(offset);
        if is_backward {
            Current::Backward(pack.backward(at))
        } else {
            Current::Forward(pack.forward(at))
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = StrRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<StrRef<'a>> {
        loop {
            let element = match &mut self.current {
                Current::Forward(elements) => elements.next(),
                Current::Backward(elements) => elements.next(),
                Current::Large(value) => {
                    let value = StrRef::Bytes(value);
                    self.current = Current::Nothing;
                    Some(value)
                }
                Current::Nothing => None,
            };
            if element.is_some() {
                return element;
            }
            self.current = if self.is_backward {
                let node = self.nodes.next_back()?;
                Current::of(node, node.len() - 1, true)
            } else {
                Current::of(self.nodes.next()?, 0, false)
            };
        }
    }
}

impl<'a> Elements<'a> {
    /// Shows the next `n` elements. Faster than the iterator: those of a node come in one loop.
    pub fn show(mut self, n: usize, mut show: impl FnMut(StrRef<'a>)) {
        let mut n_left = n;
        while n_left > 0 {
            if let Current::Forward(elements) = &mut self.current {
                for element in elements.by_ref().take(n_left) {
                    show(element);
                    n_left -= 1;
                }
                if n_left == 0 {
                    return;
                }
            }
            let Some(element) = self.next() else { return };
            show(element);
            n_left -= 1;
        }
    }
}

impl List {
    /// The elements from number `start` on.
    pub fn elements(&self, start: usize) -> Elements<'_> {
        self.elements_in_direction(start, false)
    }

    /// The elements from number `start` on to the front.
    pub fn elements_backward(&self, start: usize) -> Elements<'_> {
        self.elements_in_direction(start, true)
    }

    fn elements_in_direction(&self, start: usize, is_backward: bool) -> Elements<'_> {
        let (nodes, current) = match self.0.get() {
            Either::Small(pack) => {
                (vec_deque::Iter::default(), Current::packed(pack, start as i64, is_backward))
            }
            Either::Large(long) => match long.locate(start) {
                None => (vec_deque::Iter::default(), Current::Nothing),
                Some((index, offset)) => {
                    let current = Current::of(&long.nodes[index], offset, is_backward);
                    let nodes = if is_backward {
                        long.nodes.range(..index)
                    } else {
                        long.nodes.range(index + 1..)
                    };
                    (nodes, current)
                }
            },
        };
        Elements { nodes, current, is_backward }
    }

    /// All elements, in order.
    pub fn iter(&self) -> Elements<'_> {
        self.elements(0)
    }

    /// The list's nodes; a list in a listpack has one.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let (first, long) = match self.0.get() {
            Either::Small(pack) => (Some(Part::Packed(Cow::Borrowed(pack))), None),
            Either::Large(long) => (None, Some(long)),
        };
        let joined = long.and_then(|long| long.joined_front());
        let n_joined = joined.as_ref().map_or(0, |(_, n_joined)| *n_joined);
        let first = first.or(joined.map(|(pack, _)| Part::Packed(Cow::Owned(pack))));
        let nodes = long.into_iter().flat_map(move |long| long.nodes.range(n_joined..));
        let nodes = nodes.map(|node| match node {
            Node::Packed(pack, _) => Part::Packed(Cow::Borrowed(pack)),
            Node::Plain(value) => Part::Large(value),
        });
        first.into_iter().chain(nodes)
    }
}

//! Going through a list, in either direction, node by node.
//!
//! Nodes that are compressed are opened one at a time, for as long as somebody looks at them: so
//! elements are shown, not given. Who needs all of them at once keeps the opened nodes
//! ([`List::elements`]).

use super::node::Node;
use super::{End, List};
use crate::structures::listpack::Listpack;
use crate::structures::slim::Either;
use crate::types::string::StrRef;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::ControlFlow::{self, Break, Continue};

/// A node as a snapshot writes it.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Elements in a listpack.
    Packed(Cow<'a, Listpack>),
    /// One large element.
    Large(&'a [u8]),
    /// One of these, compressed.
    Compressed {
        /// What LZF has made of it.
        block: &'a [u8],
        /// Bytes before.
        n_bytes: usize,
        /// Whether it is a large element.
        is_large: bool,
    },
}

impl Part<'_> {
    /// Bytes of its elements, before they were compressed.
    pub fn n_bytes(&self) -> usize {
        match self {
            Part::Packed(pack) => pack.n_bytes(),
            Part::Large(value) => value.len(),
            Part::Compressed { n_bytes, .. } => *n_bytes,
        }
    }
}

/// Shows the elements of a listpack from number `offset` on.
#[inline]
fn show_pack<'a, B>(
    pack: &'a Listpack,
    offset: usize,
    towards: End,
    show: &mut impl FnMut(StrRef<'a>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let at = pack.seek(offset as i64);
    match towards {
        End::Back => pack.forward(at).try_for_each(show),
        End::Front => pack.backward(at).try_for_each(show),
    }
}

/// Shows the elements of a node, from the first in this direction or from number `offset` on.
#[inline]
fn show_node<B>(
    node: &Node,
    offset: Option<usize>,
    towards: End,
    show: &mut impl FnMut(StrRef<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let first = || if towards == End::Back { 0 } else { node.len() - 1 };
    match node {
        Node::Plain(value) => show(StrRef::Bytes(value)),
        Node::Packed(pack, _) => show_pack(pack, offset.unwrap_or_else(first), towards, show),
        Node::Compressed(compressed) => match compressed.open() {
            Node::Packed(pack, _) => show_pack(&pack, offset.unwrap_or_else(first), towards, show),
            Node::Plain(value) => show(StrRef::Bytes(&value)),
            Node::Compressed(_) => unreachable!("it was opened"),
        },
    }
}

impl List {
    /// Shows the elements from number `start` on, towards an end, until `show` breaks off.
    #[inline]
    pub fn show_from<B>(
        &self,
        start: usize,
        towards: End,
        mut show: impl FnMut(StrRef<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let show = &mut show;
        let long = match self.0.get() {
            Either::Small(pack) => return show_pack(pack, start, towards, show),
            Either::Large(long) => long,
        };
        let Some((index, offset)) = long.locate(start) else { return Continue(()) };
        show_node(&long.nodes[index], Some(offset), towards, show)?;
        match towards {
            End::Back => {
                let mut rest = long.nodes.range(index + 1..);
                rest.try_for_each(|node| show_node(node, None, towards, show))
            }
            End::Front => {
                let mut rest = long.nodes.range(..index).rev();
                rest.try_for_each(|node| show_node(node, None, towards, show))
            }
        }
    }

    /// Shows `n` elements from number `start` on, or as many as there are.
    #[inline]
    pub fn show(&self, start: usize, n: usize, towards: End, mut show: impl FnMut(StrRef<'_>)) {
        let mut n_left = n;
        if n_left == 0 {
            return;
        }
        let _ = self.show_from(start, towards, |element| {
            show(element);
            n_left -= 1;
            if n_left == 0 { Break(()) } else { Continue(()) }
        });
    }

    /// Shows all elements, in order.
    pub fn for_each(&self, mut show: impl FnMut(StrRef<'_>)) {
        let _: ControlFlow<Infallible> = self.show_from(0, End::Back, |element| {
            show(element);
            Continue(())
        });
    }

    /// All elements, in order. Those of compressed nodes are in `opened` then.
    pub fn elements<'a>(&'a self, opened: &'a OpenedNodes) -> Vec<StrRef<'a>> {
        let mut elements = Vec::with_capacity(self.len());
        let mut add = |node: &'a Node| match node {
            Node::Packed(pack, _) => elements.extend(pack.forward(pack.first())),
            Node::Plain(value) => elements.push(StrRef::Bytes(value)),
            Node::Compressed(_) => unreachable!("opened nodes are not compressed"),
        };
        match self.0.get() {
            Either::Small(pack) => elements.extend(pack.forward(pack.first())),
            Either::Large(long) => {
                let mut opened = opened.of(&long.nodes).iter();
                let nodes = long.nodes.iter().filter_map(|node| match node {
                    Node::Compressed(_) => opened.next(),
                    node => Some(node),
                });
                nodes.for_each(&mut add);
            }
        }
        elements
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
            Node::Compressed(own) => {
                Part::Compressed { block: &own.block, n_bytes: own.n_bytes, is_large: own.is_plain }
            }
        });
        first.into_iter().chain(nodes)
    }
}

/// The nodes of a list that are compressed, as they were before.
#[derive(Debug, Default)]
pub struct OpenedNodes(OnceCell<Vec<Node>>);

impl OpenedNodes {
    fn of(&self, nodes: &VecDeque<Node>) -> &[Node] {
        let opened = |node: &Node| match node {
            Node::Compressed(compressed) => Some(compressed.open()),
            Node::Packed(..) | Node::Plain(_) => None,
        };
        self.0.get_or_init(|| nodes.iter().filter_map(opened).collect())
    }
}

//! The graph that finds near vectors: a hierarchical navigable small world (Malkov and Yashunin,
//! 2016) of which nodes can be removed.
//!
//! Every node stands on layer 0, every fourth on layer 1 as well, and so on; on each of its layers it
//! has links to near nodes. A search walks from the entry, a node of the highest layer, to the
//! nearest node of each layer in turn, and on layer 0 collects the nearest of all.
//!
//! Nodes are numbered from 0 without gaps: the last takes the number of one that is removed.
//!
//! Invariants: links go both ways; no node is linked with itself or twice with another; who is
//! linked on a layer stands on it; the entry is missing only if there is no node.

mod insert;
mod load;
mod remove;
mod search;

pub(super) use load::LoadedNode;

use super::quantize::{self, Owned, Quantization, Stored};
use super::rows::Rows;
use super::vectors::Vectors;

/// The highest layer that chance gives a node.
const LEVEL_MAX: usize = 16;

/// The links of a node on one of its layers.
#[derive(Debug, Clone, Default, PartialEq)]
struct Links {
    to: Vec<u32>,
    /// The distance of the farthest.
    worst: f32,
}

/// A node without its vector.
#[derive(Debug, Clone)]
struct Node {
    /// Never given to another node of this set.
    id: u64,
    /// The length of the vector before it was normalised.
    l2: f32,
    base: Links,
    /// Links on the layers from 1 on.
    upper: Box<[Links]>,
}

/// A node to be inserted.
#[derive(Debug)]
pub(super) struct NewNode {
    pub(super) id: u64,
    pub(super) l2: f32,
    pub(super) vector: Owned,
    /// Its highest layer.
    pub(super) level: usize,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    vectors: Vectors,
    nodes: Rows<Node>,
    /// How many links a node is to get when it comes. It can have twice as many on layer 0.
    m: usize,
    entry: Option<u32>,
}

/// The highest layer of a node, of 64 random bits: each is four times as rare as the one below.
pub(super) fn random_level(random: u64) -> usize {
    (random.trailing_zeros() as usize / 2).min(LEVEL_MAX)
}

impl Graph {
    pub(super) fn new(quantization: Quantization, dim: usize, m: usize) -> Graph {
        Graph { vectors: Vectors::new(quantization, dim), nodes: Rows::new(1), m, entry: None }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn m(&self) -> usize {
        self.m
    }

    pub(super) fn quantization(&self) -> Quantization {
        self.vectors.quantization()
    }

    /// The highest layer.
    pub(super) fn level_max(&self) -> usize {
        self.entry.map_or(0, |entry| self.level(entry))
    }

    /// The highest layer of a node.
    pub(super) fn level(&self, node: u32) -> usize {
        self.node(node).upper.len()
    }

    pub(super) fn id(&self, node: u32) -> u64 {
        self.node(node).id
    }

    pub(super) fn l2(&self, node: u32) -> f32 {
        self.node(node).l2
    }

    pub(super) fn vector(&self, node: u32) -> Stored<'_> {
        self.vectors.get(node)
    }

    /// Whom a node is linked with on one of its layers.
    #[inline]
    pub(super) fn links(&self, node: u32, layer: usize) -> &[u32] {
        &self.links_of(node, layer).to
    }

    /// The distance between two nodes.
    #[inline]
    pub(super) fn distance(&self, a: u32, b: u32) -> f32 {
        quantize::distance(self.vector(a), self.vector(b))
    }

    /// How many links a node can have, unless others could not be reached else.
    pub(super) fn capacity(&self, layer: usize) -> usize {
        if layer == 0 { self.m * 2 } else { self.m }
    }

    /// Bytes of memory; what the links take is estimated from some of them.
    pub(super) fn mem_bytes(&self) -> usize {
        const N_SAMPLES: usize = 64;
        let len = self.len();
        let step = len.div_ceil(N_SAMPLES).max(1);
        let bytes_of = |links: &Links| links.to.capacity() * size_of::<u32>();
        let sampled = (0..len).step_by(step).map(|node| {
            let node = &self.nodes.get(node)[0];
            bytes_of(&node.base)
                + size_of_val(&*node.upper)
                + node.upper.iter().map(bytes_of).sum::<usize>()
        });
        let (n_sampled, bytes) = sampled.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        let in_links = (bytes * len).checked_div(n_sampled).unwrap_or(0);
        self.vectors.mem_bytes() + self.nodes.mem_bytes() + in_links
    }

    #[inline]
    fn node(&self, node: u32) -> &Node {
        &self.nodes.get(node as usize)[0]
    }

    #[inline]
    fn links_of(&self, node: u32, layer: usize) -> &Links {
        let node = self.node(node);
        if layer == 0 { &node.base } else { &node.upper[layer - 1] }
    }

    #[inline]
    fn links_of_mut(&mut self, node: u32, layer: usize) -> &mut Links {
        let node = &mut self.nodes.get_mut(node as usize)[0];
        if layer == 0 { &mut node.base } else { &mut node.upper[layer - 1] }
    }

    /// Links two nodes that are so far apart.
    fn link(&mut self, layer: usize, a: u32, b: u32, distance: f32) {
        for (from, to) in [(a, b), (b, a)] {
            let links = self.links_of_mut(from, layer);
            links.worst = if links.to.is_empty() { distance } else { links.worst.max(distance) };
            links.to.push(to);
        }
    }

    /// Removes the link from one node to another that is so far away.
    fn forget(&mut self, layer: usize, from: u32, to: u32, distance: f32) {
        let links = self.links_of_mut(from, layer);
        links.to.retain(|linked| *linked != to);
        if distance >= links.worst || distance.is_nan() {
            let distances = self.links(from, layer).iter().map(|to| self.distance(from, *to));
            let worst = distances.fold(0.0, f32::max);
            self.links_of_mut(from, layer).worst = worst;
        }
    }

    /// The place of the farthest of a node's links among them in the order of `ids`, and its
    /// distance.
    pub(super) fn worst_of(&self, node: u32, sorted: &[u32]) -> (usize, f32) {
        let distances = sorted.iter().map(|to| self.distance(node, *to)).enumerate();
        distances.fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst })
    }

    /// Checks the invariants. O(n)
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.entry.is_none(), self.len() == 0);
        for node in 0..self.len() as u32 {
            for layer in 0..=self.level(node) {
                let links = self.links_of(node, layer);
                let mut seen = links.to.clone();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), links.to.len(), "links are different");
                for to in seen {
                    assert!(to != node && self.level(to) >= layer);
                    assert!(self.links(to, layer).contains(&node), "links go both ways");
                }
                let worst = self.worst_of(node, &links.to).1;
                assert!(links.to.is_empty() || (links.worst - worst).abs() < 1e-6);
            }
        }
    }

    /// How many nodes can be reached from the entry.
    #[cfg(test)]
    pub(super) fn n_reachable(&self) -> usize {
        let mut seen: std::collections::BTreeSet<u32> = self.entry.into_iter().collect();
        let mut next: Vec<u32> = self.entry.into_iter().collect();
        while let Some(node) = next.pop() {
            for layer in 0..=self.level(node) {
                next.extend(self.links(node, layer).iter().filter(|to| seen.insert(**to)));
            }
        }
        seen.len()
    }
}

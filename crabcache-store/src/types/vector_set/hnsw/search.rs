//! Finding near nodes.

use super::Graph;
use crate::types::vector_set::quantize::{self, Stored};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A node and how far it is from what is searched for. Ordered by distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::types::vector_set) struct Near {
    pub(in crate::types::vector_set) distance: f32,
    pub(in crate::types::vector_set) node: u32,
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Near) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Near) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.node.cmp(&other.node))
    }
}

/// The nearest so far, at most so many.
struct Nearest {
    heap: BinaryHeap<Near>,
    len_max: usize,
}

impl Nearest {
    fn new(len_max: usize) -> Nearest {
        Nearest { heap: BinaryHeap::new(), len_max }
    }

    /// Whether something at this distance would be among them.
    #[inline]
    fn wants(&self, distance: f32) -> bool {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.len_max => distance < worst.distance,
            _ => true,
        }
    }

    /// Whether all of them are nearer than this, so that nothing is to be found from there. What is
    /// just as far may lead on: of bits, much is at equal distances.
    #[inline]
    fn are_nearer(&self, distance: f32) -> bool {
        self.heap.len() >= self.len_max
            && self.heap.peek().is_some_and(|worst| distance > worst.distance)
    }

    #[inline]
    fn add(&mut self, near: Near) {
        if self.heap.len() < self.len_max {
            self.heap.push(near);
        } else if let Some(mut worst) = self.heap.peek_mut() {
            *worst = near;
        }
    }

    fn into_sorted(self) -> Vec<Near> {
        self.heap.into_sorted_vec()
    }
}

/// Which nodes a search has seen.
struct Visited(Box<[u64]>);

impl Visited {
    fn new(n_nodes: usize) -> Visited {
        Visited(vec![0; n_nodes.div_ceil(64)].into())
    }

    /// Whether the node was not in it before.
    #[inline]
    fn insert(&mut self, node: u32) -> bool {
        let (word, bit) = (&mut self.0[node as usize / 64], 1 << (node % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

impl Graph {
    /// The nodes nearest to a vector that `accept` does not refuse, at most `ef`, the nearest first.
    /// The search looks at the links of `n_visits_max` nodes at most.
    pub(in crate::types::vector_set) fn search(
        &self,
        point: Stored<'_>,
        ef: usize,
        n_visits_max: usize,
        accept: impl FnMut(u32) -> bool,
    ) -> Vec<Near> {
        match self.entry_for(point, 0) {
            Some(entry) => self.search_layer(point, entry, 0, ef, n_visits_max, accept),
            None => Vec::new(),
        }
    }

    /// The same by looking at every node.
    pub(in crate::types::vector_set) fn search_all(
        &self,
        point: Stored<'_>,
        ef: usize,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Vec<Near> {
        let mut nearest = Nearest::new(ef);
        for node in 0..self.len() as u32 {
            let near = self.near(point, node);
            if nearest.wants(near.distance) && accept(node) {
                nearest.add(near);
            }
        }
        nearest.into_sorted()
    }

    pub(super) fn near(&self, point: Stored<'_>, node: u32) -> Near {
        Near { distance: quantize::distance(point, self.vector(node)), node }
    }

    /// Where a search of a layer is best begun.
    pub(super) fn entry_for(&self, point: Stored<'_>, layer: usize) -> Option<Near> {
        let mut nearest = self.near(point, self.entry?);
        for layer in (layer + 1..=self.level_max()).rev() {
            nearest = self.descend(point, nearest, layer);
        }
        Some(nearest)
    }

    /// Walks from node to node as long as one is nearer.
    fn descend(&self, point: Stored<'_>, from: Near, layer: usize) -> Near {
        let mut nearest = from;
        loop {
            let links = self.links(nearest.node, layer).iter();
            let Some(next) = links.map(|node| self.near(point, *node)).min() else {
                return nearest;
            };
            if next.distance.total_cmp(&nearest.distance) != Ordering::Less {
                return nearest;
            }
            nearest = next;
        }
    }

    /// The nearest nodes of one layer; see [`Graph::search`].
    pub(super) fn search_layer(
        &self,
        point: Stored<'_>,
        entry: Near,
        layer: usize,
        ef: usize,
        n_visits_max: usize,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Vec<Near> {
        let mut visited = Visited::new(self.len());
        let mut candidates = BinaryHeap::from([Reverse(entry)]);
        let mut nearest = Nearest::new(ef);
        visited.insert(entry.node);
        if accept(entry.node) {
            nearest.add(entry);
        }
        let mut fresh = Vec::new();
        let mut n_visits = 0;
        while let Some(Reverse(next)) = candidates.pop() {
            if n_visits == n_visits_max || nearest.are_nearer(next.distance) {
                break;
            }
            n_visits += 1;
            fresh.clear();
            let links = self.links(next.node, layer).iter().copied();
            fresh.extend(links.filter(|node| visited.insert(*node)));
            for node in &fresh {
                let near = self.near(point, *node);
                if !nearest.wants(near.distance) {
                    continue;
                }
                candidates.push(Reverse(near));
                if accept(*node) {
                    nearest.add(near);
                }
            }
        }
        nearest.into_sorted()
    }
}

//! A node that goes, and what becomes of those it was linked with.

use super::insert::Pressure;
use super::{Graph, search::Near};

/// Nodes that are searched for a node that lost a link.
const EF: usize = 64;

/// Nodes that are looked at together, of which all pairs are compared.
const ORPHANS_MAX: usize = 64;

impl Graph {
    /// Removes a node. The last node gets its number.
    pub(in crate::types::vector_set) fn remove(&mut self, node: u32) {
        let level = self.level(node);
        let mut orphans = Vec::with_capacity(level + 1);
        for layer in 0..=level {
            let linked = std::mem::take(&mut self.links_of_mut(node, layer).to);
            for &other in &linked {
                let distance = self.distance(node, other);
                self.forget(layer, other, node, distance);
            }
            orphans.push(linked);
        }
        if self.entry == Some(node) {
            let linked = orphans.iter().rev().find_map(|linked| linked.first().copied());
            self.entry = linked.or_else(|| self.highest_but(node));
        }
        for (layer, linked) in orphans.iter().enumerate() {
            for orphans in linked.chunks(ORPHANS_MAX) {
                self.relink(layer, orphans);
            }
        }
        self.vectors.swap_remove(node);
        self.nodes.swap_remove(node as usize);
        let last = self.len() as u32;
        if node != last {
            self.renumber(last, node);
        }
    }

    /// A node of the highest layer beside this one.
    fn highest_but(&self, node: u32) -> Option<u32> {
        (0..self.len() as u32).filter(|other| *other != node).max_by_key(|other| self.level(*other))
    }

    /// Tells those who are linked with a node that it has another number.
    fn renumber(&mut self, old: u32, new: u32) {
        if self.entry == Some(old) {
            self.entry = Some(new);
        }
        for layer in 0..=self.level(new) {
            for at in 0..self.links(new, layer).len() {
                let other = self.links(new, layer)[at];
                let links = &mut self.links_of_mut(other, layer).to;
                links.iter_mut().filter(|to| **to == old).for_each(|to| *to = new);
            }
        }
    }

    /// Links nodes that were linked with the one that went, the nearest pairs first, until they are
    /// as connected as they were.
    fn relink(&mut self, layer: usize, orphans: &[u32]) {
        let mut parts = Parts((0..orphans.len()).collect());
        let mut pairs = Vec::new();
        for (at_a, &a) in orphans.iter().enumerate() {
            for (at_b, &b) in orphans.iter().enumerate().skip(at_a + 1) {
                if self.links(a, layer).contains(&b) {
                    parts.join(at_a, at_b);
                } else {
                    pairs.push((Near { distance: self.distance(a, b), node: b }, at_a, at_b));
                }
            }
        }
        pairs.sort_unstable();
        let n_links_max = self.capacity(layer) + self.m / 2;
        for (Near { distance, node: b }, at_a, at_b) in pairs {
            let a = orphans[at_a];
            let has_room = |node| self.links(node, layer).len() < n_links_max;
            if has_room(a) && has_room(b) && parts.join(at_a, at_b) {
                self.link(layer, a, b, distance);
            }
        }
        for &node in orphans {
            if self.links(node, layer).len() <= self.m / 2 {
                self.search_links(layer, node);
            }
        }
    }

    /// Links a node that has few links with whom a search finds.
    fn search_links(&mut self, layer: usize, node: u32) {
        if self.level_max() < layer {
            return;
        }
        let Some(entry) = self.entry_for(self.vector(node), layer) else { return };
        let found = self.search_layer(self.vector(node), entry, layer, EF, usize::MAX, |_| true);
        let wanted = self.links(node, layer).len() + 1;
        for pressure in [Pressure::Choosy, Pressure::Open, Pressure::Pressing] {
            if self.links(node, layer).len() < wanted {
                self.connect(layer, node, &found, wanted, pressure);
            }
        }
    }
}

/// Which of some nodes are connected: each place leads to another of the same part, or to itself.
struct Parts(Vec<usize>);

impl Parts {
    /// Makes one part of two. Whether they were two.
    fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.first(a), self.first(b));
        self.0[a] = b;
        a != b
    }

    fn first(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }
}

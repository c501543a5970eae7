//! A node that comes, and which links it gets.

use super::{Graph, Links, NewNode, Node, search::Near};
use crate::types::vector_set::quantize::Quantization;

/// How much is done to link a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Only with nodes that are nearer to it than to those it is linked with: links in all
    /// directions lead everywhere. Who has no room gives up a link that is longer.
    Choosy,
    /// With whoever has room.
    Open,
    /// Whoever has no room gives up any link.
    Pressing,
    /// Who cannot do that gets more room.
    Forced,
}

/// Links of a node that are tried until one can be given up.
const TRIED_MAX: usize = 4;

impl Graph {
    /// Adds a node, linked with the nearest that a search of `ef` nodes finds. Returns its number.
    pub(in crate::types::vector_set) fn insert(&mut self, new: NewNode, ef: usize) -> u32 {
        let number = u32::try_from(self.len()).expect("memory ends before 2^32 nodes");
        let NewNode { id, l2, vector, level } = new;
        self.vectors.push(vector);
        let upper = vec![Links::default(); level].into();
        self.nodes.push([Node { id, l2, base: Links::default(), upper }]);
        if self.entry.is_none() {
            self.entry = Some(number);
            return number;
        }
        let level_max = self.level_max();
        let Some(mut nearest) = self.entry_for(self.vector(number), level) else { return number };
        for layer in (0..=level.min(level_max)).rev() {
            let point = self.vector(number);
            let found = self.search_layer(point, nearest, layer, ef, usize::MAX, |_| true);
            nearest = found.first().copied().unwrap_or(nearest);
            self.settle(layer, number, &found);
        }
        if level > level_max {
            self.entry = Some(number);
        }
        number
    }

    /// Links a new node with nodes that were found, the nearest first.
    fn settle(&mut self, layer: usize, node: u32, found: &[Near]) {
        let m = self.m;
        self.connect(layer, node, found, m, Pressure::Choosy);
        for (wanted, pressure) in
            [(m, Pressure::Open), (m / 2, Pressure::Pressing), (m / 4, Pressure::Forced)]
        {
            if self.links(node, layer).len() < wanted {
                self.connect(layer, node, found, wanted, pressure);
            }
        }
    }

    /// Links a node with some of `found` until it has as many links as wanted, not counting those
    /// that others have left to it.
    pub(super) fn connect(
        &mut self,
        layer: usize,
        node: u32,
        found: &[Near],
        wanted: usize,
        pressure: Pressure,
    ) {
        let capacity = self.capacity(layer);
        let has_few_ties = self.quantization() != Quantization::Binary;
        let mut n_wanted = wanted.saturating_sub(self.links(node, layer).len());
        for near in found {
            let (other, links) = (near.node, self.links(node, layer));
            if n_wanted == 0 || links.len() >= capacity {
                return;
            }
            if other == node || links.contains(&other) {
                continue;
            }
            // Floats at equal distances are likely to be at one place, and then one is enough; of
            // bits, many are at equal distances.
            let is_closer = |linked: &u32| {
                let distance = self.distance(other, *linked);
                let is_same = distance == near.distance && (has_few_ties || distance == 0.0);
                distance < near.distance || is_same
            };
            if pressure == Pressure::Choosy && links.iter().any(is_closer) {
                continue;
            }
            if self.has_room(layer, node, *near, pressure) {
                self.link(layer, node, other, near.distance);
                n_wanted -= 1;
            }
        }
    }

    /// Whether a node can get a link with the newcomer; it may have given one up for it.
    fn has_room(&mut self, layer: usize, newcomer: u32, near: Near, pressure: Pressure) -> bool {
        let n_links = self.links(near.node, layer).len();
        if n_links < self.capacity(layer) {
            return true;
        }
        match pressure {
            Pressure::Open => false,
            Pressure::Choosy => self.give_up_link(layer, newcomer, near, self.m / 2),
            Pressure::Pressing | Pressure::Forced => {
                let any = Near { distance: f32::NEG_INFINITY, ..near };
                self.give_up_link(layer, newcomer, any, self.m / 4)
                    || pressure == Pressure::Forced && n_links < self.capacity(layer) + self.m
            }
        }
    }

    /// Removes the longest link of a node that can be spared, of those longer than to the newcomer.
    /// Whether there is one.
    ///
    /// Who was connected stays so: both ends have a neighbour in common, or the newcomer takes the
    /// link over.
    fn give_up_link(&mut self, layer: usize, newcomer: u32, near: Near, n_kept: usize) -> bool {
        let node = near.node;
        if near.distance >= self.links_of(node, layer).worst {
            return false;
        }
        let far = |to: &u32| Near { distance: self.distance(node, *to), node: *to };
        let mut links: Vec<Near> = self.links(node, layer).iter().map(far).collect();
        links.sort_unstable_by(|a, b| b.cmp(a));
        let longer = links.iter().take_while(|link| link.distance > near.distance);
        for (at, &Near { distance, node: other }) in longer.take(TRIED_MAX).enumerate() {
            let others = self.links(other, layer);
            let has_links = others.len() > n_kept;
            let is_shared = |own: &Near| own.node != other && others.contains(&own.node);
            let stays_connected = others.contains(&newcomer) || links.iter().any(is_shared);
            let can_take_over = self.links(newcomer, layer).len() + 1 < self.capacity(layer)
                && other != newcomer
                && !others.contains(&newcomer);
            if !(has_links && stays_connected || can_take_over) {
                continue;
            }
            let kept = links[if at == 0 { 1 } else { 0 }].distance;
            let own = self.links_of_mut(node, layer);
            own.to.retain(|linked| *linked != other);
            own.worst = kept;
            self.forget(layer, other, node, distance);
            if !(has_links && stays_connected) {
                let distance = self.distance(newcomer, other);
                self.link(layer, newcomer, other, distance);
            }
            return true;
        }
        false
    }
}

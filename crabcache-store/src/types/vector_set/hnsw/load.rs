//! A graph as a payload describes it.

use super::{Graph, Links, Node};
use crate::types::vector_set::quantize::{Owned, Quantization};

/// A node of a payload. Links are ids.
#[derive(Debug)]
pub(in crate::types::vector_set) struct LoadedNode {
    pub(in crate::types::vector_set) id: u64,
    pub(in crate::types::vector_set) l2: f32,
    pub(in crate::types::vector_set) vector: Owned,
    /// Layer by layer; at least one.
    pub(in crate::types::vector_set) layers: Vec<Vec<u64>>,
}

impl Graph {
    /// The graph of these nodes, in the order of their ids; `None` if they are not one: ids or links
    /// twice, links that lead nowhere or do not lead back.
    pub(in crate::types::vector_set) fn load(
        quantization: Quantization,
        dim: usize,
        m: usize,
        nodes: Vec<LoadedNode>,
    ) -> Option<Graph> {
        let ids: Vec<u64> = nodes.iter().map(|node| node.id).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let mut graph = Graph::new(quantization, dim, m);
        for node in nodes {
            let number = |id: &u64| ids.binary_search(id).ok().map(|at| at as u32);
            let mut layers = node.layers.iter().map(|linked| {
                let mut to = linked.iter().map(number).collect::<Option<Vec<u32>>>()?;
                to.sort_unstable();
                Some(Links { to, worst: 0.0 })
            });
            let base = layers.next()??;
            let upper = layers.collect::<Option<_>>()?;
            graph.vectors.push(node.vector);
            graph.nodes.push([Node { id: node.id, l2: node.l2, base, upper }]);
        }
        graph.entry = (0..ids.len() as u32).max_by_key(|node| graph.level(*node));
        let numbers = 0..ids.len() as u32;
        if !numbers.clone().all(|node| graph.links_are_sound(node)) {
            return None;
        }
        for node in numbers {
            for layer in 0..=graph.level(node) {
                let worst = graph.worst_of(node, graph.links(node, layer)).1;
                graph.links_of_mut(node, layer).worst = worst;
            }
        }
        Some(graph)
    }

    /// Whether the links of a node, which are sorted, are different, lead to others that stand on
    /// the same layer, and back.
    fn links_are_sound(&self, node: u32) -> bool {
        (0..=self.level(node)).all(|layer| {
            let links = self.links(node, layer);
            links.is_sorted_by(|a, b| a < b)
                && links.iter().all(|to| {
                    *to != node
                        && self.level(*to) >= layer
                        && self.links(*to, layer).binary_search(&node).is_ok()
                })
        })
    }
}

//! Vector sets: elements with a vector each, found by how near it is to another vector.
//!
//! - [`quantize`]: the forms in which vectors are stored, and their distance.
//! - [`project`]: fewer components (REDUCE).
//! - `hnsw`: the graph that is searched.
//! - `rows`, `vectors`, `names`: where it all stands: dense numbers instead of addresses.
//!
//! What this is not: it does not know what attributes mean (`algorithms/filter`), and draws no random
//! numbers.

mod hnsw;
mod names;
pub mod project;
pub mod quantize;
mod rows;
mod vectors;

use super::collection::Collection;
use crate::entry::Kind;
use crate::hash::hash;
use hnsw::{Graph, LoadedNode, NewNode};
use names::Names;
use project::Projection;
use quantize::{Owned, Quantization, Stored};
use rows::Rows;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many sets there have been: the number of the next.
static NEXT_UID: AtomicU64 = AtomicU64::new(0);

/// What all vectors of a set have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Components of the vectors; not 0.
    pub dim: usize,
    /// How they are stored.
    pub quantization: Quantization,
    /// How many links a node of the graph is to have.
    pub m: usize,
}

impl Form {
    /// Fewest links that VADD takes.
    pub const M_MIN: usize = 4;
    /// Most links.
    pub const M_MAX: usize = 4096;
    /// The links that there are if nobody says how many.
    pub const M_DEFAULT: usize = 16;
    /// The most links on one layer that a payload may have.
    pub const LINKS_MAX: usize = Self::M_MAX * 4;
}

/// What an element is beside its vector.
#[derive(Debug, Clone, Default)]
struct Element {
    name: Box<[u8]>,
    attributes: Option<Box<[u8]>>,
}

/// A vector set. See the module's text.
#[derive(Debug, Clone)]
pub struct VectorSet(Box<Body>);

#[derive(Debug, Clone)]
struct Body {
    dim: usize,
    projection: Option<Projection>,
    graph: Graph,
    elements: Rows<Element>,
    names: Names,
    n_attributes: usize,
    last_id: u64,
    uid: u64,
}

/// An element that was found, and how far its vector is from what was searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The number of the element.
    pub node: u32,
    /// The distance: 0 to 2, or NaN.
    pub distance: f32,
}

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// How many elements to find.
    pub ef: usize,
    /// How many nodes may be visited; for searches that refuse elements.
    pub n_visits_max: usize,
    /// Whether to look at every element.
    pub is_exact: bool,
}

/// An element as a payload describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its name.
    pub name: Vec<u8>,
    /// Its attributes, or nothing.
    pub attributes: Vec<u8>,
    /// Its vector as it is stored.
    pub vector: Vec<u8>,
    /// The number that no other element had.
    pub id: u64,
    /// The length of the vector.
    pub l2: f32,
    /// What the largest byte of a vector of bytes stands for.
    pub range: f32,
    /// The ids of those it is linked with, layer by layer.
    pub layers: Vec<Vec<u64>>,
}

impl VectorSet {
    /// An empty set.
    pub fn new(form: Form, projection: Option<Projection>) -> VectorSet {
        let graph = Graph::new(form.quantization, form.dim, form.m);
        VectorSet::with_graph(form.dim, projection, graph)
    }

    fn with_graph(dim: usize, projection: Option<Projection>, graph: Graph) -> VectorSet {
        VectorSet(Box::new(Body {
            dim,
            projection,
            graph,
            elements: Rows::new(1),
            names: Names::default(),
            n_attributes: 0,
            last_id: 0,
            uid: NEXT_UID.fetch_add(1, Ordering::Relaxed),
        }))
    }

    /// The set of these elements; `None` if they cannot be one.
    pub fn load(
        form: Form,
        projection: Option<Projection>,
        mut elements: Vec<Loaded>,
    ) -> Option<VectorSet> {
        let Form { dim, quantization, m } = form;
        elements.sort_unstable_by_key(|element| element.id);
        let mut kept = Vec::with_capacity(elements.len());
        let mut nodes = Vec::with_capacity(elements.len());
        for Loaded { name, attributes, vector, id, l2, range, layers } in elements {
            kept.push(Element { name: name.into(), attributes: attributes_of(&attributes) });
            let vector = Owned::from_bytes(&vector, range, quantization, dim)?;
            nodes.push(LoadedNode { id, l2, vector, layers });
        }
        let last_id = nodes.last()?.id;
        let graph = Graph::load(quantization, dim, m, nodes)?;
        let mut set = VectorSet::with_graph(dim, projection, graph);
        set.0.last_id = last_id;
        for element in kept {
            if set.find(&element.name).is_some() {
                return None;
            }
            set.keep(element);
        }
        Some(set)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.graph.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the vectors have in common.
    pub fn form(&self) -> Form {
        let graph = &self.0.graph;
        Form { dim: self.0.dim, quantization: graph.quantization(), m: graph.m() }
    }

    /// What reduces vectors before they come.
    pub fn projection(&self) -> Option<&Projection> {
        self.0.projection.as_ref()
    }

    /// Number of elements with attributes.
    pub fn n_attributes(&self) -> usize {
        self.0.n_attributes
    }

    /// The highest layer of the graph.
    pub fn level_max(&self) -> usize {
        self.0.graph.level_max()
    }

    /// The largest id that an element had.
    pub fn last_id(&self) -> u64 {
        self.0.last_id
    }

    /// A number that no other set had since the start.
    pub fn uid(&self) -> u64 {
        self.0.uid
    }

    /// A vector as the set's are: reduced, if those are.
    pub fn reduce(&self, vector: Vec<f32>) -> Vec<f32> {
        match &self.0.projection {
            Some(projection) => projection.apply(&vector),
            None => vector,
        }
    }

    /// The number of an element.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.0.names.find(hash(name), |node| self.name(node) == name)
    }

    /// Sets the vector of an element, which is added if it is not there; `attributes`: those to set,
    /// or empty ones to remove them. A new node is linked with those that a search for `ef` of them finds;
    /// `random` decides on its layers. Returns whether the element is new.
    pub fn insert(
        &mut self,
        name: &[u8],
        mut vector: Vec<f32>,
        attributes: Option<&[u8]>,
        ef: usize,
        random: u64,
    ) -> bool {
        debug_assert_eq!(vector.len(), self.0.dim);
        let old = self.find(name).map(|node| self.take(node));
        let is_new = old.is_none();
        let element = match (old, attributes) {
            (Some(old), None) => old,
            (Some(old), Some(new)) => Element { attributes: attributes_of(new), ..old },
            // Compat: with the reference, attributes of a new element can be empty until a snapshot
            // is loaded, which has no form for them. A replica would differ from its primary.
            (None, new) => Element { name: name.into(), attributes: new.and_then(attributes_of) },
        };
        let l2 = quantize::normalize(&mut vector);
        let body = &mut *self.0;
        body.last_id += 1;
        let vector = Owned::of(vector, body.graph.quantization());
        let level = hnsw::random_level(random);
        body.graph.insert(NewNode { id: body.last_id, l2, vector, level }, ef);
        self.keep(element);
        is_new
    }

    /// Removes an element. Whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.find(name).map(|node| self.take(node)).is_some()
    }

    /// Sets the attributes of an element; nothing removes them.
    pub fn set_attributes(&mut self, node: u32, attributes: &[u8]) {
        let body = &mut *self.0;
        let element = &mut body.elements.get_mut(node as usize)[0];
        body.n_attributes -= usize::from(element.attributes.is_some());
        element.attributes = attributes_of(attributes);
        body.n_attributes += usize::from(element.attributes.is_some());
    }

    /// The name of an element.
    #[inline]
    pub fn name(&self, node: u32) -> &[u8] {
        &self.0.elements.get(node as usize)[0].name
    }

    /// The attributes of an element.
    #[inline]
    pub fn attributes(&self, node: u32) -> Option<&[u8]> {
        self.0.elements.get(node as usize)[0].attributes.as_deref()
    }

    /// The vector of an element as it is stored.
    pub fn stored(&self, node: u32) -> Stored<'_> {
        self.0.graph.vector(node)
    }

    /// The length of an element's vector when it came.
    pub fn l2(&self, node: u32) -> f32 {
        self.0.graph.l2(node)
    }

    /// The vector of an element, about as it came.
    pub fn vector(&self, node: u32) -> Vec<f32> {
        self.stored(node).to_floats(self.l2(node))
    }

    /// Number of layers that an element's node stands on.
    pub fn n_layers(&self, node: u32) -> usize {
        self.0.graph.level(node) + 1
    }

    /// With whom an element is linked on a layer, and how far those are.
    pub fn links(&self, node: u32, layer: usize) -> impl ExactSizeIterator<Item = Found> {
        let graph = &self.0.graph;
        let found = move |to: &u32| {
            let distance = quantize::told_distance(graph.vector(node), graph.vector(*to));
            Found { node: *to, distance }
        };
        graph.links(node, layer).iter().map(found)
    }

    /// The elements nearest to a vector that `accept` does not refuse, the nearest first.
    pub fn search(
        &self,
        mut vector: Vec<f32>,
        search: Search,
        accept: impl FnMut(u32) -> bool,
    ) -> Vec<Found> {
        let graph = &self.0.graph;
        quantize::normalize(&mut vector);
        let vector = Owned::of(vector, graph.quantization());
        let point = vector.as_stored();
        let found = if search.is_exact {
            graph.search_all(point, search.ef, accept)
        } else {
            graph.search(point, search.ef, search.n_visits_max, accept)
        };
        let told = |node| quantize::told_distance(point, graph.vector(node));
        found.into_iter().map(|near| Found { node: near.node, distance: told(near.node) }).collect()
    }

    /// The id of an element's node.
    pub fn id(&self, node: u32) -> u64 {
        self.0.graph.id(node)
    }

    /// The most links that a node may have on a layer, as payloads tell it.
    pub fn capacity(&self, node: u32, layer: usize) -> usize {
        let graph = &self.0.graph;
        graph.capacity(layer).max(graph.links(node, layer).len())
    }

    /// The links of a node as payloads have them: in the order of their ids, with the place and the
    /// distance of the farthest.
    pub fn sorted_links(&self, node: u32, layer: usize) -> (Vec<u64>, usize, f32) {
        let graph = &self.0.graph;
        let mut links = graph.links(node, layer).to_vec();
        links.sort_unstable_by_key(|to| graph.id(*to));
        let (place, distance) = graph.worst_of(node, &links);
        (links.into_iter().map(|to| graph.id(to)).collect(), place, distance)
    }

    /// Keeps what belongs to the last node of the graph.
    fn keep(&mut self, element: Element) {
        let body = &mut *self.0;
        let node = body.elements.len() as u32;
        body.names.insert(hash(&element.name), node);
        body.n_attributes += usize::from(element.attributes.is_some());
        body.elements.push([element]);
    }

    /// Takes an element out; the last gets its number.
    fn take(&mut self, node: u32) -> Element {
        let body = &mut *self.0;
        body.graph.remove(node);
        let element = std::mem::take(&mut body.elements.get_mut(node as usize)[0]);
        body.names.remove(hash(&element.name), node);
        body.n_attributes -= usize::from(element.attributes.is_some());
        body.elements.swap_remove(node as usize);
        let last = body.elements.len() as u32;
        if node != last {
            body.names.renumber(hash(&body.elements.get(node as usize)[0].name), last, node);
        }
        element
    }

    /// Checks that all parts agree.
    #[cfg(test)]
    fn check(&self) {
        self.0.graph.check();
        assert_eq!(self.0.elements.len(), self.len());
        for node in 0..self.len() as u32 {
            assert_eq!(self.find(self.name(node)), Some(node));
        }
        let with = (0..self.len() as u32).filter(|node| self.attributes(*node).is_some());
        assert_eq!(with.count(), self.n_attributes());
    }
}

fn attributes_of(bytes: &[u8]) -> Option<Box<[u8]>> {
    (!bytes.is_empty()).then(|| bytes.into())
}

impl Collection for VectorSet {
    const KIND: Kind = Kind::VectorSet;

    fn is_empty(&self) -> bool {
        VectorSet::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        // What the reference calls the encoding of all that comes from modules.
        "raw"
    }

    fn mem_bytes(&self) -> usize {
        const N_SAMPLES: usize = 64;
        let body = &*self.0;
        let len = self.len();
        let step = len.div_ceil(N_SAMPLES).max(1);
        let sampled = (0..len as u32)
            .step_by(step)
            .map(|node| self.name(node).len() + self.attributes(node).map_or(0, <[u8]>::len));
        let (n_sampled, bytes) = sampled.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        let in_elements = (bytes * len).checked_div(n_sampled).unwrap_or(0);
        size_of::<Body>()
            + body.projection.as_ref().map_or(0, Projection::mem_bytes)
            + body.graph.mem_bytes()
            + body.elements.mem_bytes()
            + body.names.mem_bytes()
            + in_elements
    }

    fn free_effort(&self) -> usize {
        self.len()
    }

    fn duplicate(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests;

//! The list type: elements in order, quick at both ends.

use crate::entry::Kind;
use crate::structures::listpack::Listpack;
use crate::types::collection::Collection;
use crate::types::string::StrRef;

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub struct List(Listpack);

impl List {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an element at the end.
    pub fn push_back(&mut self, value: &[u8]) {
        self.0.push_back(value);
    }

    /// All elements, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = StrRef<'_>> {
        self.0.iter().map(|(_, element)| element)
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.0 = Listpack::new();
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn encoding(&self) -> &'static str {
        "listpack"
    }

    fn mem_bytes(&self) -> usize {
        self.0.mem_bytes()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn duplicate(&self) -> Self {
        self.clone()
    }
}

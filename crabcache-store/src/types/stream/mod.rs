//! The stream type: entries of fields and values that are only ever added at the end, and groups of
//! consumers that share the reading of them.
//!
//! - [`Log`]: the entries, in nodes of some tens each ([`node`] has their layout).
//! - [`Groups`]: how far groups have read, and what they have not acknowledged.
//! - [`Trim`]: how old entries go.
//!
//! An entry of a few bytes takes about as many more: ids are offsets from the node's, and fields
//! that all entries have stand once in a node. Adding and looking up cost O(log n) of the number of
//! nodes and a walk through one of them.
//!
//! A stream stays in its keyspace when its last entry goes: its last id and its groups are content.

mod group;
mod id;
mod log;
mod node;
mod radix;
mod range;
mod trim;

pub use group::{Consumer, ConsumerId, Group, GroupMut, Groups, Pending, References};
pub use id::{IdText, StreamId};
pub use log::{Counters, Log};
pub use node::{Fields, NODE_BYTES_MAX};
pub use range::{Entries, EntriesBackwards, Entry};
pub use trim::{Trim, TrimTo};

use crate::entry::Kind;
use crate::types::collection::Collection;
use std::ops::{Deref, DerefMut};

/// See the module's text. Takes 8 bytes in its entry.
#[derive(Debug, Clone, Default)]
pub struct Stream(Box<Parts>);

/// What a stream consists of. Entries are read while groups are changed, so both can be borrowed.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The entries.
    pub log: Log,
    /// The consumer groups.
    pub groups: Groups,
}

impl Stream {
    /// A stream of these parts.
    pub fn new(log: Log, groups: Groups) -> Stream {
        Stream(Box::new(Parts { log, groups }))
    }

    /// Deletes an entry, if groups allow it. Returns whether they do, and whether it was there.
    pub fn delete(&mut self, id: StreamId, references: References) -> (bool, bool) {
        let Parts { log, groups } = &mut *self.0;
        let may_go = groups.release(id, references);
        (may_go, may_go && log.delete(id))
    }
}

impl Deref for Stream {
    type Target = Parts;

    #[inline]
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Stream {
    #[inline]
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;

    fn is_empty(&self) -> bool {
        false
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn mem_bytes(&self) -> usize {
        size_of::<Parts>() + self.log.mem_bytes() + self.groups.mem_bytes()
    }

    fn free_effort(&self) -> usize {
        /// Beyond so many nodes the answer is the same.
        const COUNTED_NODES_MAX: usize = 128;
        let n_nodes = self.log.n_nodes();
        let n_log = if n_nodes > COUNTED_NODES_MAX { n_nodes } else { self.log.n_radix_nodes() };
        let first = self.groups.iter().next();
        let n_groups = first
            .map_or(0, |(_, group)| self.groups.len().saturating_mul(1 + group.pending().len()));
        n_log.saturating_add(n_groups)
    }

    fn duplicate(&self) -> Self {
        let mut copy = self.clone();
        copy.groups.forget_min();
        copy
    }
}

#[cfg(test)]
mod tests;

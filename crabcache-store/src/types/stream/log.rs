//! The entries of a stream: nodes in the order of their ids, and the counters beside them.

use super::id::StreamId;
use super::node::{Node, Records};
use super::radix;
use super::range::{Entries, EntriesBackwards};
use crate::structures::listpack::Listpack;
use crate::types::limits::Limits;
use std::collections::BTreeMap;

/// See the module's text.
///
/// Invariant: no node is without a live entry, ids rise from entry to entry, and none is above
/// `last_id`.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// By the id of their first entry.
    pub(super) nodes: BTreeMap<StreamId, Node>,
    pub(super) len: u64,
    /// Of the first live entry, [`StreamId::MIN`] if there is none.
    pub(super) first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
}

/// The counters of a log as snapshots have them. Older ones have only the last id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Id of the last entry that was ever added.
    pub last_id: StreamId,
    /// Largest id that was ever deleted.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added; `None`: as many as there are.
    pub entries_added: Option<u64>,
}

impl Log {
    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nodes.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Number of nodes of the radix tree that the reference would have. O(n)
    pub fn n_radix_nodes(&self) -> usize {
        radix::n_nodes(self.nodes.keys().copied())
    }

    /// Id of the first entry, [`StreamId::MIN`] if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The largest id that was given to an entry or set by XSETID.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The largest id that was deleted by name (not by trimming).
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// XSETID; `None` leaves a counter as it is.
    pub fn set_counters(
        &mut self,
        last_id: StreamId,
        entries_added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        self.last_id = last_id;
        self.entries_added = entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Adds an entry. Its id must be above the last one, and its fields and values at most
    /// [`super::NODE_BYTES_MAX`] long together. Amortised O(log n) and the entry's length
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
        limits: &Limits,
    ) {
        debug_assert!(id > self.last_id);
        let n_bytes = fields.clone().map(|(field, value)| field.len() + value.len()).sum();
        match self.nodes.last_entry() {
            Some(mut tail) if tail.get().has_room_for(n_bytes, limits) => {
                let base = *tail.key();
                tail.get_mut().push(base, id, fields);
            }
            _ => {
                let mut node = Node::new(fields.clone().map(|(field, _)| field));
                node.push(id, id, fields);
                self.nodes.insert(id, node);
            }
        }
        self.len += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    /// Deletes an entry. Returns whether it was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((&base, node)) = self.nodes.range_mut(..=id).next_back() else { return false };
        let found = node.records(base).find(|record| record.id >= id);
        let Some(record) = found.filter(|record| record.id == id && !record.is_deleted) else {
            return false;
        };
        let at = record.at;
        if node.n_live() == 1 {
            self.nodes.remove(&base);
        } else {
            node.mark_deleted(&[at]);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    /// Looks for the first entry again.
    pub(super) fn find_first(&mut self) {
        self.first_id = self.iter().next().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Whether there is an entry of this id.
    pub fn contains(&self, id: StreamId) -> bool {
        self.range(id, id).next().is_some()
    }

    /// Id of the last entry that is there.
    pub fn last_present_id(&self) -> Option<StreamId> {
        self.range_backwards(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// Id of the first entry, even if it is marked as deleted; the largest of all if there is none.
    pub fn first_kept_id(&self) -> StreamId {
        let first = self.nodes.first_key_value();
        let record = first.and_then(|(&base, node)| node.records(base).next());
        record.map_or(StreamId::MAX, |record| record.id)
    }

    /// All entries.
    pub fn iter(&self) -> Entries<'_> {
        self.range(StreamId::MIN, StreamId::MAX)
    }

    /// The entries between two ids, both included.
    pub fn range(&self, start: StreamId, end: StreamId) -> Entries<'_> {
        Entries::new(self.nodes_for(start, end), start, end)
    }

    /// The same from the last to the first.
    pub fn range_backwards(&self, start: StreamId, end: StreamId) -> EntriesBackwards<'_> {
        EntriesBackwards::new(self.nodes_for(start, end), start, end)
    }

    /// The nodes that can have entries between two ids.
    fn nodes_for(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> std::collections::btree_map::Range<'_, StreamId, Node> {
        let holder = self.nodes.range(..=start).next_back();
        let from = holder.map_or(start, |(&base, _)| base);
        if start > end { self.nodes.range(..StreamId::MIN) } else { self.nodes.range(from..=end) }
    }

    /// All nodes with their ids, as snapshots have them.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (StreamId, &Listpack)> {
        self.nodes.iter().map(|(&base, node)| (base, node.pack()))
    }

    /// A log of nodes from a snapshot, which come in any order. `None` if they do not make one.
    pub fn from_nodes(
        nodes: impl IntoIterator<Item = (StreamId, Listpack)>,
        counters: Counters,
    ) -> Option<Log> {
        let mut log = Log::default();
        for (base, pack) in nodes {
            let node = Node::checked(pack, base)?;
            log.len = log.len.checked_add(node.n_live())?;
            if log.nodes.insert(base, node).is_some() {
                return None;
            }
        }
        let mut ends = log.nodes.iter().map(|(&base, node)| node.last_id(base));
        let next_begins = log.nodes.keys().skip(1).copied();
        if ends.clone().zip(next_begins).any(|(end, next)| end >= next)
            || ends.next_back().is_some_and(|end| end > counters.last_id)
        {
            return None;
        }
        let entries_added = counters.entries_added.unwrap_or(log.len);
        log.set_counters(counters.last_id, Some(entries_added), Some(counters.max_deleted_id));
        log.find_first();
        Some(log)
    }

    /// Whether an entry beyond `id` may have been deleted by name.
    pub(super) fn has_gap_beyond(&self, id: StreamId) -> bool {
        !self.is_empty() && self.max_deleted_id != StreamId::MIN && id <= self.max_deleted_id
    }

    /// How many entries were added up to `id`, itself included, if that can be told: not if entries
    /// beyond it were deleted by name, nor from the middle of the log.
    pub fn n_added_up_to(&self, id: StreamId) -> Option<i64> {
        let n_added = self.entries_added as i64;
        if n_added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id {
            return Some(n_added);
        }
        if id != StreamId::MIN && id < self.max_deleted_id {
            return None;
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(n_added);
        }
        let is_whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let n_before = n_added.wrapping_sub(self.len as i64);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if is_whole => Some(n_before),
            std::cmp::Ordering::Equal if is_whole => Some(n_before.wrapping_add(1)),
            _ => None,
        }
    }

    /// Bytes of memory, estimated from some nodes if there are many.
    pub(super) fn mem_bytes(&self) -> usize {
        const SAMPLES: usize = 5;
        let n_nodes = self.nodes.len();
        let sampled: usize = self.nodes.values().take(SAMPLES).map(Node::mem_bytes).sum();
        let slots = n_nodes * (size_of::<StreamId>() + size_of::<Node>()) * 3 / 2;
        slots + if n_nodes <= SAMPLES { sampled } else { sampled / SAMPLES * n_nodes }
    }

    /// The records of the node that begins with an id.
    pub(super) fn records(&self, base: StreamId) -> Option<Records<'_>> {
        self.nodes.get(&base).map(|node| node.records(base))
    }
}

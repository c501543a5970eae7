//! Consumer groups: how far each has read, and what its consumers have not acknowledged yet.
//!
//! A pending entry is kept once in its group, by id, with the consumer that it was delivered to;
//! each consumer has the ids of its own. What is pending may have been deleted from the log.
//!
//! Invariant: an id is in the set of a consumer if and only if the group's entry of this id names
//! that consumer.

use super::id::StreamId;
use super::log::Log;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What becomes of entries that consumer groups refer to when they are to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum References {
    /// KEEPREF: they go, and stay pending.
    #[default]
    Keep,
    /// DELREF: they go, and are pending no more.
    Delete,
    /// ACKED: they stay unless all groups have read and acknowledged them.
    OnlyAcked,
}

/// The groups of a stream, by name.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    by_name: BTreeMap<Box<[u8]>, Box<Group>>,
    /// The smallest id up to which a group has read, if it is known.
    //
    // Compat: that a group is destroyed does not make the reference look again, and what it takes
    // for unread must be the same everywhere.
    min_last_id: Option<StreamId>,
}

impl Groups {
    /// Number of groups.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All groups by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, &**group))
    }

    /// The group of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name).map(|group| &**group)
    }

    /// The group of this name, to be changed.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<GroupMut<'_>> {
        let group = self.by_name.get_mut(name)?;
        Some(GroupMut { group, min_last_id: &mut self.min_last_id })
    }

    /// Adds a group. Returns whether the name was free.
    pub fn create(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<i64>) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        let group = self.by_name.entry(name.into()).or_default();
        let mut group = GroupMut { group, min_last_id: &mut self.min_last_id };
        group.set_last_id(last_id);
        group.entries_read = entries_read;
        true
    }

    /// Removes a group. Returns whether it was there.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Prepares the deletion of an entry. Returns whether it may be deleted.
    pub fn release(&mut self, id: StreamId, references: References) -> bool {
        match references {
            References::Keep => true,
            References::OnlyAcked => !self.refer_to(id),
            References::Delete => {
                for group in self.by_name.values_mut() {
                    group.acknowledge(id);
                }
                true
            }
        }
    }

    /// Whether a group has still to read an entry, or to acknowledge it.
    fn refer_to(&mut self, id: StreamId) -> bool {
        if self.is_empty() {
            return false;
        }
        let groups = self.by_name.values();
        let find_min = || groups.map(|group| group.last_id).min().unwrap_or(StreamId::MAX);
        let min_last_id = *self.min_last_id.get_or_insert_with(find_min);
        min_last_id < id || self.by_name.values().any(|group| group.pending.contains_key(&id))
    }

    /// A copy begins without what is known.
    pub(super) fn forget_min(&mut self) {
        self.min_last_id = None;
    }

    pub(super) fn mem_bytes(&self) -> usize {
        let group = |(name, group): (&[u8], &Group)| name.len() + group.mem_bytes();
        self.iter().map(group).sum()
    }
}

/// A group that is being changed.
#[derive(Debug)]
pub struct GroupMut<'a> {
    group: &'a mut Group,
    min_last_id: &'a mut Option<StreamId>,
}

impl GroupMut<'_> {
    /// Says up to where the group has read.
    pub fn set_last_id(&mut self, id: StreamId) {
        if self.min_last_id.is_some_and(|min| self.group.last_id == min || id < min) {
            *self.min_last_id = None;
        }
        self.group.last_id = id;
    }

    /// The group reads an entry of the log. Returns whether it is beyond what it has read.
    pub fn read(&mut self, log: &Log, id: StreamId) -> bool {
        if id <= self.last_id {
            return false;
        }
        let last_id = self.last_id;
        match &mut self.group.entries_read {
            Some(n_read) if last_id >= log.first_id() && !log.has_gap_beyond(last_id) => {
                *n_read = n_read.saturating_add(1);
            }
            n_read if log.entries_added() > 0 => *n_read = log.n_added_up_to(id),
            _ => {}
        }
        self.set_last_id(id);
        true
    }
}

impl Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupMut<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

/// A consumer of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Who has it.
    pub consumer: ConsumerId,
    /// When it was delivered last, in Unix milliseconds.
    pub delivered_at_ms: i64,
    /// How often.
    pub n_deliveries: u64,
}

/// A reader of a group.
#[derive(Debug, Clone)]
pub struct Consumer {
    name: Arc<[u8]>,
    /// When it last asked for entries.
    pub seen_at_ms: i64,
    /// When it last got some.
    pub active_at_ms: Option<i64>,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The ids of what it has not acknowledged.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

/// A consumer group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    last_id: StreamId,
    /// How many entries it has read, if that is known.
    pub entries_read: Option<i64>,
    pending: BTreeMap<StreamId, Pending>,
    by_name: BTreeMap<Arc<[u8]>, ConsumerId>,
    /// By number; those that are gone are `None`.
    consumers: Vec<Option<Consumer>>,
    free: Vec<ConsumerId>,
}

impl Group {
    /// Up to where it has read.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// What was delivered and not acknowledged.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// A pending entry, to change when and how often it was delivered.
    pub fn pending_mut(&mut self, id: StreamId) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    /// Number of consumers.
    pub fn n_consumers(&self) -> usize {
        self.by_name.len()
    }

    /// All consumers by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.by_name.values().map(|&id| self.consumer(id))
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    /// A consumer of this group.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("a consumer that is there")
    }

    /// A consumer of this group, to be changed.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("a consumer that is there")
    }

    /// Adds a consumer. `None` if the name is taken.
    ///
    /// # Panics
    /// If there are 2^32 of them.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        if self.by_name.contains_key(name) {
            return None;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.consumers.push(None);
            ConsumerId(u32::try_from(self.consumers.len() - 1).expect("fewer consumers"))
        });
        let name: Arc<[u8]> = name.into();
        self.by_name.insert(name.clone(), id);
        let pending = BTreeSet::new();
        let consumer = Consumer { name, seen_at_ms: now_ms, active_at_ms: None, pending };
        self.consumers[id.0 as usize] = Some(consumer);
        Some(id)
    }

    /// Removes a consumer with all that is pending for it. Returns how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.by_name.remove(name)?;
        let consumer = self.consumers[id.0 as usize].take()?;
        self.free.push(id);
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Gives an entry to a consumer, whoever had it.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let old = self.pending.insert(id, pending);
        if let Some(old) = old
            && old.consumer != pending.consumer
        {
            self.consumer_mut(old.consumer).pending.remove(&id);
        }
        self.consumer_mut(pending.consumer).pending.insert(id);
    }

    /// An entry is pending no more. Returns whether it was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.consumer_mut(pending.consumer).pending.remove(&id);
        true
    }

    /// How many entries of the log it has still to read, if that can be told.
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let n_added = log.entries_added() as i64;
        if n_added == 0 || log.is_empty() {
            return Some(0);
        }
        if self.last_id < log.first_id() && log.max_deleted_id() < log.first_id() {
            return Some(log.len() as i64);
        }
        match self.entries_read {
            Some(n_read) if !log.has_gap_beyond(self.last_id) => Some(n_added.wrapping_sub(n_read)),
            _ => log.n_added_up_to(self.last_id).map(|n_read| n_added.wrapping_sub(n_read)),
        }
    }

    fn mem_bytes(&self) -> usize {
        let per_pending = size_of::<(StreamId, Pending)>() + size_of::<StreamId>();
        let names: usize =
            self.by_name.keys().map(|name| name.len() + 2 * size_of::<usize>()).sum();
        size_of::<Group>()
            + self.pending.len() * per_pending * 3 / 2
            + self.by_name.len() * size_of::<(Arc<[u8]>, ConsumerId)>() * 3 / 2
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + names
    }

    /// Checks the invariant. For tests, and for what comes from a snapshot.
    pub fn is_sound(&self) -> bool {
        let n_of_consumers: usize = self.consumers().map(|consumer| consumer.pending.len()).sum();
        n_of_consumers == self.pending.len()
            && self.pending.iter().all(|(id, pending)| {
                let consumer = self.consumers.get(pending.consumer.0 as usize);
                consumer.is_some_and(|c| c.as_ref().is_some_and(|c| c.pending.contains(id)))
            })
    }
}

//! The prefixes of clients in BCAST mode, with the keys that have changed since they were last told.

use crate::client::ClientHandle;
use indexmap::IndexMap;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Changed keys, each with the client that changed it last.
pub(super) type Changed = BTreeMap<Box<[u8]>, Option<u64>>;

/// Who wants to know of keys with one prefix, and what there is to know.
#[derive(Debug, Default)]
struct Prefix {
    clients: IndexMap<u64, Arc<ClientHandle>, ahash::RandomState>,
    changed: Changed,
}

#[derive(Debug, Default)]
struct State {
    by_prefix: HashMap<Box<[u8]>, Prefix, ahash::RandomState>,
    /// How many prefixes there are of each length.
    lengths: BTreeMap<usize, usize>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    state: Mutex<State>,
    len: AtomicUsize,
    has_changed: AtomicBool,
}

impl Prefixes {
    /// Number of prefixes.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Adds a client to those who want to know of keys with a prefix.
    pub(super) fn enter(&self, prefix: &[u8], client: &Arc<ClientHandle>) {
        let State { by_prefix, lengths } = &mut *self.state.lock();
        if !by_prefix.contains_key(prefix) {
            *lengths.entry(prefix.len()).or_default() += 1;
        }
        by_prefix.entry(prefix.into()).or_default().clients.insert(client.id, client.clone());
        self.len.store(by_prefix.len(), Ordering::Release);
    }

    /// Removes a client.
    pub(super) fn leave(&self, id: u64, prefixes: &[Box<[u8]>]) {
        let State { by_prefix, lengths } = &mut *self.state.lock();
        for name in prefixes {
            let Some(prefix) = by_prefix.get_mut(name) else { continue };
            prefix.clients.swap_remove(&id);
            if !prefix.clients.is_empty() {
                continue;
            }
            by_prefix.remove(name);
            if let Some(count) = lengths.get_mut(&name.len()) {
                *count -= 1;
                if *count == 0 {
                    lengths.remove(&name.len());
                }
            }
        }
        self.len.store(by_prefix.len(), Ordering::Release);
    }

    /// Notes that a key has changed.
    pub(super) fn note(&self, key: &[u8], writer: Option<u64>) {
        if self.len() == 0 {
            return;
        }
        let State { by_prefix, lengths } = &mut *self.state.lock();
        for len in lengths.keys().take_while(|len| **len <= key.len()) {
            if let Some(prefix) = by_prefix.get_mut(&key[..*len]) {
                prefix.changed.insert(key.into(), writer);
                self.has_changed.store(true, Ordering::Release);
            }
        }
    }

    /// Calls `tell` with the changed keys of each prefix and its clients, and forgets the keys.
    pub(super) fn drain(
        &self,
        mut tell: impl FnMut(&Changed, &mut dyn Iterator<Item = &Arc<ClientHandle>>),
    ) {
        if !self.has_changed.swap(false, Ordering::AcqRel) {
            return;
        }
        for prefix in self.state.lock().by_prefix.values_mut() {
            let changed = std::mem::take(&mut prefix.changed);
            if !changed.is_empty() {
                tell(&changed, &mut prefix.clients.values());
            }
        }
    }
}

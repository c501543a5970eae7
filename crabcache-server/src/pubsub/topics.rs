//! Channels of one kind with their subscribers, in parts that are locked each for itself.

use super::{Name, Subscribers};
use crate::client::ClientHandle;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Channels are spread over so many locks.
const N_PARTS: usize = 64;

type Part = HashMap<Name, Subscribers, ahash::RandomState>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Topics {
    parts: Box<[CachePadded<Mutex<Part>>]>,
    hasher: ahash::RandomState,
    n_topics: AtomicUsize,
}

impl Default for Topics {
    fn default() -> Self {
        Topics {
            parts: (0..N_PARTS).map(|_| CachePadded::default()).collect(),
            hasher: ahash::RandomState::default(),
            n_topics: AtomicUsize::new(0),
        }
    }
}

impl Topics {
    fn part(&self, name: &[u8]) -> &Mutex<Part> {
        &self.parts[self.hasher.hash_one(name) as usize % N_PARTS]
    }

    /// Number of channels.
    pub(super) fn len(&self) -> usize {
        self.n_topics.load(Ordering::Acquire)
    }

    /// Adds a subscriber. Returns the name as all share it.
    pub(super) fn enter(&self, name: &[u8], client: &Arc<ClientHandle>) -> Name {
        let mut part = self.part(name).lock();
        let shared = match part.get_key_value(name) {
            Some((shared, _)) => shared.clone(),
            None => {
                self.n_topics.fetch_add(1, Ordering::AcqRel);
                name.into()
            }
        };
        part.entry(shared.clone()).or_default().insert(client.id, client.clone());
        shared
    }

    /// Removes a subscriber, and with the last one the channel.
    pub(super) fn leave(&self, name: &[u8], id: u64) {
        let mut part = self.part(name).lock();
        let Some(subscribers) = part.get_mut(name) else { return };
        subscribers.swap_remove(&id);
        if subscribers.is_empty() {
            part.remove(name);
            self.n_topics.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Calls `act` with the subscribers of a channel. While it runs, nobody else does anything with
    /// the channel.
    pub(super) fn with_subscribers(&self, name: &[u8], act: impl FnOnce(Option<&Subscribers>)) {
        act(self.part(name).lock().get(name));
    }

    /// Number of subscribers of a channel.
    pub(super) fn n_subscribers(&self, name: &[u8]) -> usize {
        self.part(name).lock().get(name).map_or(0, Subscribers::len)
    }

    /// Calls `visit` with the names of all channels.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&[u8])) {
        for part in &self.parts {
            part.lock().keys().for_each(|name| visit(name));
        }
    }
}

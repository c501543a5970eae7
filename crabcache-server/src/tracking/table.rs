//! Which clients have read which keys and may have them cached.
//!
//! Cut into parts, each with a lock of its own, which is held for a look-up or an insertion only.

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keys are spread over so many locks.
const N_PARTS: usize = 64;

/// Ids of clients, in order.
pub(super) type Ids = SmallVec<[u64; 2]>;

type Part = HashMap<Box<[u8]>, Ids, ahash::RandomState>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Table {
    parts: Box<[CachePadded<Mutex<Part>>]>,
    hasher: ahash::RandomState,
    n_keys: AtomicUsize,
    n_items: AtomicUsize,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            parts: (0..N_PARTS).map(|_| CachePadded::default()).collect(),
            hasher: ahash::RandomState::default(),
            n_keys: AtomicUsize::new(0),
            n_items: AtomicUsize::new(0),
        }
    }
}

impl Table {
    fn part(&self, key: &[u8]) -> &Mutex<Part> {
        &self.parts[self.hasher.hash_one(key) as usize % N_PARTS]
    }

    /// Number of keys.
    pub(super) fn n_keys(&self) -> usize {
        self.n_keys.load(Ordering::Relaxed)
    }

    /// Number of pairs of a key and a client.
    pub(super) fn n_items(&self) -> usize {
        self.n_items.load(Ordering::Relaxed)
    }

    /// Enters a client as one that may have a key cached.
    pub(super) fn remember(&self, key: &[u8], id: u64) {
        let mut part = self.part(key).lock();
        let ids = match part.get_mut(key) {
            Some(ids) => ids,
            None => {
                self.n_keys.fetch_add(1, Ordering::Relaxed);
                part.entry(key.into()).or_default()
            }
        };
        if let Err(at) = ids.binary_search(&id) {
            ids.insert(at, id);
            self.n_items.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes a key. Returns who may have it cached.
    pub(super) fn take(&self, key: &[u8]) -> Option<Ids> {
        if self.n_keys() == 0 {
            return None;
        }
        let ids = self.part(key).lock().remove(key)?;
        self.n_keys.fetch_sub(1, Ordering::Relaxed);
        self.n_items.fetch_sub(ids.len(), Ordering::Relaxed);
        Some(ids)
    }

    /// Some key.
    pub(super) fn any_key(&self) -> Option<Box<[u8]>> {
        let first = rand::random_range(0..N_PARTS);
        let parts = self.parts.iter().cycle().skip(first).take(N_PARTS);
        parts.into_iter().find_map(|part| part.lock().keys().next().cloned())
    }

    /// Removes all keys.
    pub(super) fn clear(&self) {
        for part in &self.parts {
            let removed = std::mem::take(&mut *part.lock());
            let n_items = removed.values().map(|ids| ids.len()).sum();
            self.n_keys.fetch_sub(removed.len(), Ordering::Relaxed);
            self.n_items.fetch_sub(n_items, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_clients_are_counted_once() {
        let table = Table::default();
        for (key, id) in [("a", 2), ("a", 1), ("a", 2), ("b", 3)] {
            table.remember(key.as_bytes(), id);
        }
        assert_eq!((table.n_keys(), table.n_items()), (2, 3));
        assert_eq!(table.take(b"a").as_deref(), Some(&[1, 2][..]));
        assert_eq!((table.take(b"a"), table.take(b"c")), (None, None));
        assert_eq!(table.any_key().as_deref(), Some(&b"b"[..]));
        table.clear();
        assert_eq!((table.n_keys(), table.n_items(), table.any_key()), (0, 0, None));
    }
}

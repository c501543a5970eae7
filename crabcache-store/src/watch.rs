//! WATCH: who wants to know that a key was changed.
//!
//! A watcher is a flag that a client shares with the stripes of the keys it watches. It is set
//! while the stripe is locked for the change, so whoever holds the stripes of all its keys reads a
//! flag that is final.

use crate::entry::Entry;
use crate::structures::table::Table;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One client's watch: set as soon as a watched key changes.
#[derive(Debug, Default)]
pub struct WatchFlag(AtomicBool);

impl WatchFlag {
    /// Whether a watched key was changed.
    pub fn is_dirty(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Says that a watched key was changed.
    pub fn set_dirty(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Begins anew, once no key is watched any more.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Debug)]
struct Watcher {
    flag: Arc<WatchFlag>,
    /// The key had expired, but was still there, when the watch began: its removal is no change.
    was_expired: bool,
}

type Key = (usize, Box<[u8]>);

/// The watchers of one stripe's keys. Empty, it takes a word.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "a word in each of a thousand stripes, not six")]
pub(crate) struct Watchers(Option<Box<HashMap<Key, Vec<Watcher>>>>);

impl Watchers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether the key is the first to be watched under its name.
    pub(crate) fn add(
        &mut self,
        db: usize,
        key: &[u8],
        flag: Arc<WatchFlag>,
        was_expired: bool,
    ) -> bool {
        let watchers = self.0.get_or_insert_default().entry((db, key.into())).or_default();
        watchers.push(Watcher { flag, was_expired });
        watchers.len() == 1
    }

    /// Returns whether nobody watches the key any more, though somebody did.
    pub(crate) fn remove(&mut self, db: usize, key: &[u8], flag: &Arc<WatchFlag>) -> bool {
        let Some(all) = &mut self.0 else { return false };
        let key = (db, key.into());
        let mut is_last = false;
        if let Some(watchers) = all.get_mut(&key) {
            watchers.retain(|watcher| !Arc::ptr_eq(&watcher.flag, flag));
            is_last = watchers.is_empty();
            if is_last {
                all.remove(&key);
            }
        }
        if all.is_empty() {
            self.0 = None;
        }
        is_last
    }

    /// Whether, for this watcher, the key had expired already when it last was what it is.
    pub(crate) fn was_expired(&self, db: usize, key: &[u8], flag: &Arc<WatchFlag>) -> bool {
        let watchers = self.0.as_ref().and_then(|all| all.get(&(db, key.into())));
        let own = watchers.into_iter().flatten().find(|watcher| Arc::ptr_eq(&watcher.flag, flag));
        own.is_some_and(|watcher| watcher.was_expired)
    }

    /// A key was changed; `exists` is whether it is there now.
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], exists: bool) {
        let Some(all) = &mut self.0 else { return };
        for watcher in all.get_mut(&(db, key.into())).into_iter().flatten() {
            if watcher.was_expired && !exists {
                watcher.was_expired = false;
            } else {
                watcher.flag.set_dirty();
            }
        }
    }

    /// All entries of database `db` were replaced by others (FLUSHALL, SWAPDB).
    pub(crate) fn touch_all(
        &mut self,
        db: usize,
        old: Option<&Table<Entry>>,
        new: Option<&Table<Entry>>,
        now_ms: i64,
    ) {
        let Some(all) = &mut self.0 else { return };
        for ((watched_db, key), watchers) in all.iter_mut() {
            let find = |table: Option<&Table<Entry>>| {
                let entry = table?.get(crate::hash::hash(key), key)?;
                Some(entry.expire_at_ms().is_some_and(|at_ms| at_ms < now_ms))
            };
            let (was_there, is_expired_now) = (find(old).is_some(), find(new));
            if *watched_db != db || (!was_there && is_expired_now.is_none()) {
                continue;
            }
            for watcher in watchers {
                match is_expired_now {
                    None if watcher.was_expired => watcher.was_expired = false,
                    Some(true) if watcher.was_expired => {}
                    // Nothing was there, and what has expired is as good as nothing.
                    Some(true) if !was_there => watcher.was_expired = true,
                    _ => watcher.flag.set_dirty(),
                }
            }
        }
    }
}

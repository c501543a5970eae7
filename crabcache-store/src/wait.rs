//! Who waits for keys: numbers of waits, entered in the stripes of the keys.
//!
//! A command that finds nothing enters its wait while it still holds the stripe, even if only for
//! reading; so nobody changes the key in between. Whoever changes the key holds the stripe for
//! writing and finds the wait. What a number stands for is the server's business.
//!
//! Invariant: the waits of a key stand in ascending order of their numbers, which is the order in
//! which they began.

use crate::entry::Kind;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a wait for a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The data type that the key must hold.
    pub kind: Kind,
    /// Whether the command must run again too if the key is gone or holds something else.
    pub even_if_gone: bool,
}

#[derive(Debug)]
struct Entered {
    id: u64,
    wanted: Wanted,
}

type Name = (usize, Box<[u8]>);
/// The waits for each key, in ascending order.
type ByKey = HashMap<Name, VecDeque<Entered>>;

/// The waits for one stripe's keys.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// Whether there is one. Read by those who hold the stripe for writing, which orders it.
    any: AtomicBool,
    #[allow(clippy::box_collection, reason = "a word in each of a thousand stripes, not six")]
    by_key: Mutex<Option<Box<ByKey>>>,
}

/// What an entry made different: whether the key is the first, or no longer, to be waited for, and
/// the same among those that are waited for even if they are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Changed {
    pub(crate) key: bool,
    pub(crate) even_if_gone: bool,
}

impl Waits {
    /// Whether somebody waits for a key of the stripe.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, db: usize, key: &[u8], id: u64, wanted: Wanted) -> Changed {
        let mut by_key = self.by_key.lock();
        let waits = by_key.get_or_insert_default().entry((db, key.into())).or_default();
        let is_known = |entered: &Entered| entered.wanted.even_if_gone;
        let changed = Changed {
            key: waits.is_empty(),
            even_if_gone: wanted.even_if_gone && !waits.iter().any(is_known),
        };
        let at = waits.partition_point(|entered| entered.id < id);
        waits.insert(at, Entered { id, wanted });
        self.any.store(true, Ordering::Relaxed);
        changed
    }

    pub(crate) fn leave(&self, db: usize, key: &[u8], id: u64) -> Changed {
        let mut by_key = self.by_key.lock();
        let mut changed = Changed::default();
        let Some(all) = by_key.as_mut() else { return changed };
        let name = (db, key.into());
        if let Some(waits) = all.get_mut(&name) {
            let at = waits.partition_point(|entered| entered.id < id);
            if waits.get(at).is_some_and(|entered| entered.id == id)
                && let Some(left) = waits.remove(at)
            {
                let is_known = |entered: &Entered| entered.wanted.even_if_gone;
                changed.key = waits.is_empty();
                changed.even_if_gone = left.wanted.even_if_gone && !waits.iter().any(is_known);
            }
            if waits.is_empty() {
                all.remove(&name);
            }
        }
        if all.is_empty() {
            *by_key = None;
            self.any.store(false, Ordering::Relaxed);
        }
        changed
    }

    /// Whether somebody waits for the key.
    pub(crate) fn has(&self, db: usize, key: &[u8]) -> bool {
        let by_key = self.by_key.lock();
        by_key.as_ref().is_some_and(|all| all.contains_key(&(db, key.into())))
    }

    /// The first wait for the key with a number above `after` that a value of this kind, or that
    /// there is none, may be of interest to.
    pub(crate) fn next(
        &self,
        db: usize,
        key: &[u8],
        after: u64,
        kind: Option<Kind>,
    ) -> Option<u64> {
        let by_key = self.by_key.lock();
        let waits = by_key.as_ref()?.get(&(db, key.into()))?;
        let start = waits.partition_point(|entered| entered.id <= after);
        let mut later = waits.range(start..);
        let found = later.find(|entered| {
            entered.wanted.even_if_gone || kind.is_some_and(|kind| kind == entered.wanted.kind)
        });
        found.map(|entered| entered.id)
    }

    /// All keys that somebody waits for.
    pub(crate) fn keys(&self) -> Vec<Name> {
        let by_key = self.by_key.lock();
        by_key.iter().flat_map(|all| all.keys().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_found_in_the_order_in_which_they_began() {
        let waits = Waits::default();
        let list = Wanted { kind: Kind::List, even_if_gone: false };
        let any = Wanted { kind: Kind::List, even_if_gone: true };
        assert!(!waits.any() && !waits.has(0, b"k"));
        assert_eq!(waits.enter(0, b"k", 5, list), Changed { key: true, even_if_gone: false });
        assert_eq!(waits.enter(0, b"k", 3, any), Changed { key: false, even_if_gone: true });
        assert_eq!(waits.enter(0, b"k", 7, any), Changed::default());
        assert_eq!(waits.enter(1, b"k", 6, list), Changed { key: true, even_if_gone: false });
        assert!(waits.any() && waits.has(0, b"k") && !waits.has(2, b"k"));
        let order = |kind| {
            let next = |after: &u64| waits.next(0, b"k", *after, kind);
            std::iter::successors(next(&0), next).collect::<Vec<_>>()
        };
        assert_eq!(order(Some(Kind::List)), [3, 5, 7]);
        assert_eq!(order(Some(Kind::String)), [3, 7]);
        assert_eq!(order(None), [3, 7]);
        assert_eq!(waits.keys().len(), 2);
        assert_eq!(waits.leave(0, b"k", 4), Changed::default());
        assert_eq!(waits.leave(0, b"k", 3), Changed::default());
        assert_eq!(waits.leave(0, b"k", 7), Changed { key: false, even_if_gone: true });
        assert_eq!(waits.leave(0, b"k", 5), Changed { key: true, even_if_gone: false });
        assert!(waits.any());
        waits.leave(1, b"k", 6);
        assert!(!waits.any());
    }
}

//! A snapshot of the whole keyspace, taken while it changes: every entry as it was when the snapshot
//! began.
//!
//! ```text
//!  table of one stripe and database, in the order of the reversed bits of hashes
//!  [ seen by the walk | still to be seen: unchanged, or marked                  ]
//!                     ^ cursor
//! ```
//!
//! The walk goes through the tables in slices, with the stripe locked for each. Whoever is about to
//! change or remove an entry that the walk has not come to hands it over as it is to [`Images`]
//! first, and marks it; new entries there are marked too. What is marked the walk passes over, and
//! takes the mark away. So each entry is told once, and nothing is kept for those that nobody
//! changes.
//!
//! The cursor is one that survives growth and shrinking of the table, and whether an entry lies
//! before it follows from its hash. Tables that are flushed meanwhile are left to the walk as they
//! are; databases that are exchanged take their state along.
//!
//! What this is not: it does no I/O and knows no format. A walk that has begun must be gone through
//! to its end, if need be without telling anybody ([`Snapshot::abandon`]): only then are all marks
//! gone.

use crate::entry::Entry;
use crate::keyspace::{DbSize, Locked, Mode, Pass};
use crate::stripe::Db;
use crate::structures::table::{Table, was_scanned};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Who takes entries as they were when the snapshot began.
pub trait Images: Send + Sync {
    /// An entry that is about to change, and the database that it was in. Its stripe is locked: this
    /// must not lock another.
    fn put(&self, db: usize, entry: &Entry);
}

/// What the snapshot has seen of one table.
pub(crate) struct Saving {
    images: Arc<dyn Images>,
    /// The database that it was in when the snapshot began.
    db: usize,
    cursor: u64,
}

impl Saving {
    /// A sweep removes an entry that is not marked.
    pub(crate) fn removed_by_sweep(&self, entry: &Entry) {
        if !was_scanned(crate::hash::hash(entry.key()), self.cursor) {
            self.images.put(self.db, entry);
        }
    }
}

impl Db {
    /// To be called before the entry of this key is changed or removed.
    #[inline]
    pub(crate) fn before_change(&mut self, hash: u64, key: &[u8]) {
        if self.saving.is_some() {
            self.hand_over(hash, key, true);
        }
    }

    /// To be called after an entry was inserted.
    #[inline]
    pub(crate) fn inserted(&mut self, hash: u64, key: &[u8]) {
        if self.saving.is_some() {
            self.hand_over(hash, key, false);
        }
    }

    /// Marks the entry of this key if the walk has not come to it; it `was_there` when the snapshot
    /// began unless it is marked.
    #[cold]
    fn hand_over(&mut self, hash: u64, key: &[u8], was_there: bool) {
        let Some(saving) = self.saving.as_deref().filter(|s| !was_scanned(hash, s.cursor)) else {
            return;
        };
        if let Some(mut place) = self.table.occupied(hash, key)
            && !place.mark()
        {
            if was_there {
                saving.images.put(saving.db, &place.get());
            }
            place.set_mark();
        }
    }

    /// Goes on with the walk for some buckets. Returns whether it has come to the end.
    fn walk_on(&mut self, n_buckets: usize, visit: &mut dyn FnMut(usize, &Entry)) -> bool {
        let Some(saving) = self.saving.as_deref_mut() else { return true };
        for _ in 0..n_buckets {
            let db = saving.db;
            saving.cursor = self.table.scan_once(saving.cursor, |entry| visit(db, entry));
            if saving.cursor == 0 {
                self.saving = None;
                return true;
            }
        }
        false
    }
}

/// What the keyspace knows of the snapshot under way.
#[derive(Default)]
pub(crate) struct Shared {
    is_under_way: AtomicBool,
    /// Tables that the walk has not come to the end of.
    n_unfinished: AtomicUsize,
    /// Those of them that were flushed.
    flushed: Mutex<Vec<Db>>,
}

impl Shared {
    /// Leaves a table that is flushed to the walk.
    pub(crate) fn leave(&self, table: Table<Entry>, saving: Box<Saving>) {
        let mut part = Db::default();
        (part.table, part.saving) = (table, Some(saving));
        self.flushed.lock().push(part);
    }
}

/// A snapshot under way. See the module's text.
pub struct Snapshot {
    sizes: Vec<DbSize>,
    db: usize,
    stripe: u32,
    is_abandoned: bool,
}

impl Locked<'_> {
    /// Begins a snapshot, unless one is under way. Needs the whole keyspace.
    pub fn begin_snapshot(&mut self, images: &Arc<dyn Images>) -> Option<Snapshot> {
        assert!(self.is_exclusive());
        if self.keyspace().snapshot.is_under_way.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (n_databases, n_stripes) = (self.keyspace().n_databases(), self.keyspace().n_stripes());
        let sizes: Vec<DbSize> = (0..n_databases).map(|db| self.keyspace().size(db)).collect();
        let mut n_unfinished = 0;
        for stripe in 0..n_stripes as u32 {
            for db in (0..n_databases).filter(|db| sizes[*db].n_keys > 0) {
                if self.stripe(stripe).db(db).is_some_and(|part| !part.table.is_empty()) {
                    let part = self.stripe_mut(stripe).db_mut(db);
                    part.saving = Some(Box::new(Saving { images: images.clone(), db, cursor: 0 }));
                    n_unfinished += 1;
                }
            }
        }
        self.keyspace().snapshot.n_unfinished.store(n_unfinished, Ordering::Release);
        Some(Snapshot { sizes, db: 0, stripe: 0, is_abandoned: false })
    }
}

impl Snapshot {
    /// Keys by database when the snapshot began.
    pub fn sizes(&self) -> &[DbSize] {
        &self.sizes
    }

    /// From now on nobody is told of anything, neither by the walk nor by those who change entries,
    /// as far as that is up to the walk; it has to be gone through all the same.
    pub fn abandon(&mut self) {
        self.is_abandoned = true;
    }

    /// Goes on for a slice: a number of buckets of one table. Calls `visit` with each entry and the
    /// database that it was in when the snapshot began. Returns whether there is more to come.
    pub fn step(
        &mut self,
        pass: &mut Pass<'_>,
        n_buckets: usize,
        mut visit: impl FnMut(usize, &Entry),
    ) -> bool {
        let is_abandoned = self.is_abandoned;
        let mut visit = |db: usize, entry: &Entry| {
            if !is_abandoned {
                visit(db, entry);
            }
        };
        let keyspace = pass.keyspace();
        let shared = &keyspace.snapshot;
        if shared.n_unfinished.load(Ordering::Acquire) == 0 {
            shared.is_under_way.store(false, Ordering::Release);
            return false;
        }
        let flushed = shared.flushed.lock().pop();
        if let Some(mut flushed) = flushed {
            if flushed.walk_on(n_buckets, &mut visit) {
                shared.n_unfinished.fetch_sub(1, Ordering::AcqRel);
            } else {
                shared.flushed.lock().push(flushed);
            }
            return true;
        }
        self.step_in_place(pass, n_buckets, &mut visit);
        true
    }

    fn step_in_place(
        &mut self,
        pass: &mut Pass<'_>,
        n_buckets: usize,
        visit: &mut dyn FnMut(usize, &Entry),
    ) {
        let keyspace = pass.keyspace();
        // Databases that were exchanged may bring back tables where the walk has been: it goes
        // around until all are finished.
        let n_places = keyspace.n_databases() * keyspace.n_stripes();
        for _ in 0..n_places {
            let (db, stripe) = (self.db, self.stripe);
            let is_saving = |locked: &Locked<'_>| {
                locked.stripe(stripe).db(db).is_some_and(|part| part.saving.is_some())
            };
            if is_saving(&pass.lock_one(stripe, Mode::Read)) {
                let mut locked = pass.lock_one(stripe, Mode::Write);
                let part = locked.stripe_mut(stripe).db_mut(db);
                if part.saving.is_some() {
                    if part.walk_on(n_buckets, visit) {
                        keyspace.snapshot.n_unfinished.fetch_sub(1, Ordering::AcqRel);
                        drop(locked);
                        self.go_on(pass);
                    }
                    return;
                }
            }
            self.go_on(pass);
        }
    }

    fn go_on(&mut self, pass: &Pass<'_>) {
        let keyspace = pass.keyspace();
        self.stripe += 1;
        if self.stripe as usize == keyspace.n_stripes() {
            self.stripe = 0;
            self.db = (self.db + 1) % keyspace.n_databases();
        }
    }
}

#[cfg(test)]
mod tests;

//! One stripe: the part of every database whose keys fall under one lock. Single-threaded code.
//!
//! It counts what it holds, sweeps expired entries and keeps the watchers of its keys. What this is
//! not: it takes no lock (`keyspace.rs` does) and reads no clock (`now_ms` is an argument).

use crate::entry::Entry;
use crate::keyspace::Key;
use crate::snapshot::Saving;
use crate::structures::table::Table;
use crate::types::collection::Collection;
use crate::types::hash::Hash;
use crate::wait::Waits;
use crate::watch::Watchers;

/// One database's part of a stripe.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Db {
    pub(crate) table: Table<Entry>,
    /// Entries with an expiry.
    pub(crate) n_expires: usize,
    /// What a snapshot under way still has to see of it. On the cache line that every change reads.
    pub(crate) saving: Option<Box<Saving>>,
    /// Hashes that have fields with an expiry.
    pub(crate) n_subexpires: usize,
    /// Nothing expires before this, unless nothing has an expiry.
    next_expire_ms: i64,
    /// Where the sweep under way goes on, the earliest expiry it has met, and the most buckets it
    /// has seen.
    sweep_index: usize,
    sweep_min_ms: i64,
    sweep_n_buckets: usize,
}

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Buckets looked at.
    pub n_buckets: usize,
    /// Entries with an expiry among what was looked at.
    pub n_sampled: usize,
    /// Entries removed.
    pub n_expired: usize,
    /// Milliseconds that the others still have, together.
    pub ttl_sum_ms: i64,
    /// Entries with an expiry that needed no look: none of them had expired.
    pub n_passed: usize,
    /// Fields with an expiry that were looked at in hashes of which one had expired.
    pub n_fields_sampled: usize,
    /// Fields removed.
    pub n_fields_expired: usize,
}

/// What a sweep found expired, and has removed.
#[derive(Debug)]
pub enum Expired<'a> {
    /// A key.
    Key(Entry),
    /// Fields of a hash.
    Fields {
        /// The hash's key.
        key: &'a [u8],
        /// Their names.
        names: &'a [Box<[u8]>],
        /// The hash, if that were its last fields.
        emptied: Option<Entry>,
    },
}

impl Expired<'_> {
    /// The key.
    pub fn key(&self) -> &[u8] {
        match self {
            Expired::Key(entry) => entry.key(),
            Expired::Fields { key, .. } => key,
        }
    }

    /// Whether the key itself is gone.
    pub fn is_gone(&self) -> bool {
        matches!(self, Expired::Key(_) | Expired::Fields { emptied: Some(_), .. })
    }
}

impl Db {
    /// Whether anything has an expiry.
    pub(crate) fn has_times(&self) -> bool {
        self.n_expires > 0 || self.n_subexpires > 0
    }

    /// To be called with each expiry that an entry, or a part of it, gets.
    #[inline]
    pub(crate) fn expiry_set(&mut self, expire_at_ms: i64) {
        self.next_expire_ms =
            if self.has_times() { self.next_expire_ms.min(expire_at_ms) } else { expire_at_ms };
        self.sweep_min_ms = self.sweep_min_ms.min(expire_at_ms);
    }

    /// Whether a sweep may find something.
    pub(crate) fn may_have_expired(&self, now_ms: i64) -> bool {
        self.has_times() && self.next_expire_ms < now_ms
    }

    /// Looks at how long entries still have, in up to `n_buckets_max` buckets; which these are,
    /// `start` decides. Removes nothing.
    pub(crate) fn sample(&self, now_ms: i64, start: u64, n_buckets_max: usize) -> Swept {
        let mut swept = Swept::default();
        let mut cursor = start;
        while swept.n_buckets < n_buckets_max {
            cursor = self.table.scan(cursor, |entry| {
                if let Some(at_ms) = entry.expire_at_ms().filter(|at_ms| *at_ms >= now_ms) {
                    swept.n_sampled += 1;
                    swept.ttl_sum_ms = swept.ttl_sum_ms.saturating_add(at_ms - now_ms);
                }
            });
            swept.n_buckets += 1;
            if cursor == 0 {
                break;
            }
        }
        swept
    }

    /// Removes expired entries and fields from up to `n_buckets_max` buckets, going on where the last
    /// sweep ended; gives each to `expired` afterwards.
    pub(crate) fn sweep(
        &mut self,
        now_ms: i64,
        n_buckets_max: usize,
        mut expired: impl FnMut(Expired<'_>),
    ) -> Swept {
        let mut swept = Swept::default();
        if self.sweep_index == 0 || self.sweep_index >= self.table.n_buckets() {
            (self.sweep_index, self.sweep_min_ms, self.sweep_n_buckets) = (0, i64::MAX, 0);
        }
        self.sweep_n_buckets = self.sweep_n_buckets.max(self.table.n_buckets());
        let mut due = Vec::new();
        while swept.n_buckets < n_buckets_max && self.sweep_index < self.table.n_buckets() {
            let (sweep_min_ms, counts) = (&mut self.sweep_min_ms, &mut swept);
            let saving = self.saving.as_deref();
            let taken = self.table.take_flagged(self.sweep_index, |entry, is_marked| {
                if let Some(at_ms) = entry.expire_at_ms() {
                    counts.n_sampled += 1;
                    if at_ms < now_ms {
                        if let Some(saving) = saving.filter(|_| !is_marked) {
                            saving.removed_by_sweep(entry);
                        }
                        return true;
                    }
                    *sweep_min_ms = at_ms.min(*sweep_min_ms);
                    counts.ttl_sum_ms = counts.ttl_sum_ms.saturating_add(at_ms - now_ms);
                }
                match entry.next_element_expire_ms() {
                    Some(at_ms) if at_ms < now_ms => due.push(Box::from(entry.key())),
                    Some(at_ms) => *sweep_min_ms = at_ms.min(*sweep_min_ms),
                    None => {}
                }
                false
            });
            swept.n_buckets += 1;
            for entry in taken {
                swept.n_expired += 1;
                self.n_expires -= 1;
                self.n_subexpires -= usize::from(entry.next_element_expire_ms().is_some());
                expired(Expired::Key(entry));
            }
            let mut is_done = true;
            for key in due.drain(..) {
                is_done &= self.sweep_fields(&key, now_ms, &mut swept, &mut expired);
            }
            if !is_done {
                // The same bucket again, when others had their turn.
                swept.n_buckets = n_buckets_max;
                return swept;
            }
            self.sweep_index += 1;
        }
        if self.sweep_index >= self.table.n_buckets() {
            // A whole round: from now on nothing expires before the earliest that was met, unless
            // the table shrank and a bucket merged unseen into one that the sweep had passed.
            self.sweep_index = 0;
            if self.table.n_buckets() >= self.sweep_n_buckets {
                self.next_expire_ms = self.sweep_min_ms;
            }
        }
        self.table.shrink();
        swept
    }

    /// Removes expired fields of the hash at `key`, which is there. Returns whether that were all.
    fn sweep_fields(
        &mut self,
        key: &[u8],
        now_ms: i64,
        swept: &mut Swept,
        expired: &mut impl FnMut(Expired<'_>),
    ) -> bool {
        /// Buckets of one hash that are swept in one go.
        const N_FIELD_BUCKETS: usize = 64;
        let key_hash = crate::hash::hash(key);
        self.before_change(key_hash, key);
        let Some(mut place) = self.table.occupied(key_hash, key) else { return true };
        let Some(hash) = place.collection_mut::<Hash>() else { return true };
        let mut names: Vec<Box<[u8]>> = Vec::new();
        swept.n_fields_sampled +=
            hash.sweep(now_ms, N_FIELD_BUCKETS, |name| names.push(Box::from(name)));
        swept.n_fields_expired += names.len();
        let next_ms = hash.next_expire_ms();
        let mut emptied = None;
        if next_ms.is_none() {
            self.n_subexpires -= 1;
            let has_expire = place.get().expire_at_ms().is_some();
            place.set_flag(has_expire);
            if place.get().collection::<Hash>().is_some_and(Hash::is_empty) {
                self.n_expires -= usize::from(has_expire);
                emptied = Some(place.remove());
            }
        }
        if let Some(at_ms) = next_ms.filter(|at_ms| *at_ms >= now_ms) {
            self.sweep_min_ms = self.sweep_min_ms.min(at_ms);
        }
        if !names.is_empty() {
            expired(Expired::Fields { key, names: &names, emptied });
        }
        next_ms.is_none_or(|at_ms| at_ms >= now_ms)
    }
}

/// See the module's text.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Stripe {
    /// Database 0, which nearly everybody uses.
    db0: Db,
    /// Databases 1.., each made when it is first used and dropped when it is flushed: few are.
    others: Vec<Option<Box<Db>>>,
    pub(crate) watchers: Watchers,
    pub(crate) waits: Waits,
}

impl Stripe {
    #[inline]
    pub(crate) fn db(&self, db: usize) -> Option<&Db> {
        if db == 0 { Some(&self.db0) } else { self.others.get(db - 1)?.as_deref() }
    }

    /// Whether a key of the stripe is there.
    pub(crate) fn has(&self, db: usize, key: &Key<'_>) -> bool {
        self.db(db).is_some_and(|db| db.table.get(key.hash, key.bytes).is_some())
    }

    #[inline]
    pub(crate) fn db_mut(&mut self, db: usize) -> &mut Db {
        if db == 0 {
            return &mut self.db0;
        }
        if self.others.len() < db {
            self.others.resize_with(db, || None);
        }
        self.others[db - 1].get_or_insert_default()
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, first: usize, second: usize) {
        if first != second {
            let taken = std::mem::take(self.db_mut(first));
            let taken = std::mem::replace(self.db_mut(second), taken);
            *self.db_mut(first) = taken;
        }
    }

    /// Takes a database's entries away, and what a snapshot still has to see of them.
    pub(crate) fn take_db(&mut self, db: usize) -> (Table<Entry>, Option<Box<Saving>>) {
        let taken = match db.checked_sub(1) {
            None => std::mem::take(&mut self.db0),
            Some(index) => {
                let taken = self.others.get_mut(index).and_then(Option::take);
                while self.others.last().is_some_and(Option::is_none) {
                    self.others.pop();
                }
                taken.map(|db| *db).unwrap_or_default()
            }
        };
        (taken.table, taken.saving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash;
    use crate::types::string::Str;

    fn add(db: &mut Db, number: i64, expire_at_ms: Option<i64>) {
        let key = number.to_string();
        if let Some(at_ms) = expire_at_ms {
            db.expiry_set(at_ms);
            db.n_expires += 1;
        }
        let entry = Entry::new(key.as_bytes(), Str::Int(number), expire_at_ms, 0);
        db.table.insert_new(hash(key.as_bytes()), entry, expire_at_ms.is_some());
    }

    #[test]
    fn sweeps_remove_what_has_expired_and_learn_when_to_come_again() {
        let mut db = Db::default();
        let n = if cfg!(miri) { 60 } else { 600 };
        (0..n).for_each(|number| add(&mut db, number, (number % 3 != 0).then_some(1000 + number)));
        assert!(!db.may_have_expired(1001) && db.may_have_expired(1002));
        let mut names = Vec::new();
        // Bit by bit, a few buckets at a time.
        let mut n_expired = 0;
        for _ in 0..n {
            let swept = db.sweep(1031, 3, |expired| match expired {
                Expired::Key(entry) => names.push(entry.key().to_vec()),
                Expired::Fields { .. } => panic!("there is no hash"),
            });
            assert!(swept.n_buckets <= 3 && swept.n_sampled >= swept.n_expired);
            assert!(swept.ttl_sum_ms <= swept.n_sampled as i64 * 600);
            n_expired += swept.n_expired;
        }
        assert_eq!((n_expired, names.len()), (20, 20));
        assert_eq!(db.table.len(), n as usize - 20);
        assert_eq!(db.n_expires, n as usize * 2 / 3 - 20);
        assert!(!db.may_have_expired(1031) && db.may_have_expired(1033));
        let sampled = db.sample(1031, 0, usize::MAX);
        assert_eq!(sampled.n_sampled, n as usize * 2 / 3 - 20);
        assert!(sampled.ttl_sum_ms > 0 && sampled.n_expired == 0);
        assert_eq!(db.sample(1031, 5, 2).n_buckets, 2);
        // The round under way ends, and another one finds the rest.
        let n_expired = [(); 2].map(|()| db.sweep(9999, usize::MAX, |_| {}).n_expired);
        assert_eq!(n_expired.iter().sum::<usize>(), n as usize * 2 / 3 - 20);
        assert!(!db.may_have_expired(i64::MAX));
    }

    #[test]
    fn entries_that_move_behind_the_sweep_are_not_forgotten() {
        let mut db = Db::default();
        let n = if cfg!(miri) { 60 } else { 600 };
        (0..n).for_each(|number| add(&mut db, number, (number % 10 == 0).then_some(1000)));
        db.sweep(500, db.table.n_buckets() - 2, |_| {});
        for number in (0..n).filter(|number| number % 10 != 0) {
            let key = number.to_string();
            db.table.occupied(hash(key.as_bytes()), key.as_bytes()).unwrap().remove();
        }
        db.sweep(500, usize::MAX, |_| {});
        assert!(db.may_have_expired(1001));
        while db.may_have_expired(1001) {
            db.sweep(1001, 3, |_| {});
        }
        assert!(db.table.is_empty());
    }

    #[test]
    fn databases_are_made_when_used() {
        let mut stripe = Stripe::default();
        assert!(stripe.db(0).is_some() && stripe.db(3).is_none());
        add(stripe.db_mut(3), 1, None);
        stripe.swap(0, 3);
        assert_eq!(stripe.db(0).unwrap().table.len(), 1);
        assert_eq!((stripe.take_db(0).0.len(), stripe.take_db(9).0.len()), (1, 0));
        assert!(stripe.db(0).unwrap().table.is_empty());
        add(stripe.db_mut(3), 1, None);
        assert_eq!(stripe.take_db(3).0.len(), 1);
        assert!(stripe.others.is_empty());
    }
}

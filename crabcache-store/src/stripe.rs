//! One stripe: the part of every database whose keys fall under one lock. Single-threaded code.
//!
//! It counts what it holds, sweeps expired entries and keeps the watchers of its keys. What this is
//! not: it takes no lock (`keyspace.rs` does) and reads no clock (`now_ms` is an argument).

use crate::entry::Entry;
use crate::structures::table::Table;
use crate::wait::Waits;
use crate::watch::Watchers;

/// One database's part of a stripe.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Db {
    pub(crate) table: Table<Entry>,
    /// Entries with an expiry.
    pub(crate) n_expires: usize,
    /// No entry expires before this, unless there is none with an expiry.
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
}

impl Db {
    /// To be called with each expiry that an entry gets.
    #[inline]
    pub(crate) fn expiry_set(&mut self, expire_at_ms: i64) {
        self.next_expire_ms =
            if self.n_expires == 0 { expire_at_ms } else { self.next_expire_ms.min(expire_at_ms) };
        self.sweep_min_ms = self.sweep_min_ms.min(expire_at_ms);
    }

    /// Whether a sweep may find something.
    pub(crate) fn may_have_expired(&self, now_ms: i64) -> bool {
        self.n_expires > 0 && self.next_expire_ms < now_ms
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

    /// Removes expired entries from up to `n_buckets_max` buckets, going on where the last sweep
    /// ended; gives each to `expired` first.
    pub(crate) fn sweep(
        &mut self,
        now_ms: i64,
        n_buckets_max: usize,
        mut expired: impl FnMut(Entry),
    ) -> Swept {
        let mut swept = Swept::default();
        if self.sweep_index == 0 || self.sweep_index >= self.table.n_buckets() {
            (self.sweep_index, self.sweep_min_ms, self.sweep_n_buckets) = (0, i64::MAX, 0);
        }
        self.sweep_n_buckets = self.sweep_n_buckets.max(self.table.n_buckets());
        while swept.n_buckets < n_buckets_max && self.sweep_index < self.table.n_buckets() {
            let (sweep_min_ms, counts) = (&mut self.sweep_min_ms, &mut swept);
            let taken = self.table.take_flagged(self.sweep_index, |entry| {
                let at_ms = entry.expire_at_ms().unwrap_or(i64::MAX);
                counts.n_sampled += 1;
                if at_ms >= now_ms {
                    *sweep_min_ms = at_ms.min(*sweep_min_ms);
                    counts.ttl_sum_ms = counts.ttl_sum_ms.saturating_add(at_ms - now_ms);
                }
                at_ms < now_ms
            });
            swept.n_expired += taken.len();
            swept.n_buckets += 1;
            self.n_expires -= taken.len();
            self.sweep_index += 1;
            taken.into_iter().for_each(&mut expired);
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
}

/// See the module's text.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Stripe {
    /// Database 0, which nearly everybody uses.
    db0: Db,
    /// Databases 1.., as far as one was used.
    others: Vec<Db>,
    pub(crate) watchers: Watchers,
    pub(crate) waits: Waits,
}

impl Stripe {
    #[inline]
    pub(crate) fn db(&self, db: usize) -> Option<&Db> {
        if db == 0 { Some(&self.db0) } else { self.others.get(db - 1) }
    }

    #[inline]
    pub(crate) fn db_mut(&mut self, db: usize) -> &mut Db {
        if db == 0 {
            return &mut self.db0;
        }
        if self.others.len() < db {
            self.others.resize_with(db, Db::default);
        }
        &mut self.others[db - 1]
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, first: usize, second: usize) {
        if first != second {
            let taken = std::mem::take(self.db_mut(first));
            let taken = std::mem::replace(self.db_mut(second), taken);
            *self.db_mut(first) = taken;
        }
    }

    /// Takes a database's entries away.
    pub(crate) fn take_db(&mut self, db: usize) -> Table<Entry> {
        if db > self.others.len() {
            return Table::new();
        }
        std::mem::take(self.db_mut(db)).table
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
            let swept = db.sweep(1031, 3, |entry| names.push(entry.key().to_vec()));
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
        let n_expired = [(); 2].map(|()| db.sweep(9999, usize::MAX, drop).n_expired);
        assert_eq!(n_expired.iter().sum::<usize>(), n as usize * 2 / 3 - 20);
        assert!(!db.may_have_expired(i64::MAX));
    }

    #[test]
    fn entries_that_move_behind_the_sweep_are_not_forgotten() {
        let mut db = Db::default();
        let n = if cfg!(miri) { 60 } else { 600 };
        (0..n).for_each(|number| add(&mut db, number, (number % 10 == 0).then_some(1000)));
        db.sweep(500, db.table.n_buckets() - 2, drop);
        for number in (0..n).filter(|number| number % 10 != 0) {
            let key = number.to_string();
            db.table.occupied(hash(key.as_bytes()), key.as_bytes()).unwrap().remove();
        }
        db.sweep(500, usize::MAX, drop);
        assert!(db.may_have_expired(1001));
        while db.may_have_expired(1001) {
            db.sweep(1001, 3, drop);
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
        assert_eq!((stripe.take_db(0).len(), stripe.take_db(9).len()), (1, 0));
        assert!(stripe.db(0).unwrap().table.is_empty());
    }
}

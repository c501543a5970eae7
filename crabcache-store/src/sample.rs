//! Samples of a stripe's entries, for whoever looks for a key to remove.
//!
//! What this is not: it judges no entry and removes none; that is for the caller, who sees each one
//! while its stripe is locked for reading.

use crate::entry::Entry;
use crate::keyspace::{Mode, Pass};

/// Buckets that are looked at for one sample: entries with an expiry may be rare.
const N_BUCKETS_MAX: usize = 32;

impl Pass<'_> {
    /// Shows about `n_entries` entries of a stripe's part of a database, from consecutive buckets,
    /// of which `start`, a random number, chooses the first, and the first of a bucket's entries; if `only_timed`, those with an expiry alone. None of a
    /// stripe that a script holds for long.
    pub fn sample(
        &mut self,
        stripe: u32,
        db: usize,
        start: u64,
        n_entries: usize,
        only_timed: bool,
        mut visit: impl FnMut(&Entry),
    ) {
        let Some(locked) = self.try_lock_one(stripe, Mode::Read) else { return };
        let Some(part) = locked.stripe(stripe).db(db) else { return };
        if part.table.is_empty() || only_timed && part.n_expires == 0 {
            return;
        }
        // A cursor names one bucket or two: after so many steps it has been everywhere.
        let n_cursors = 1 << part.table.n_buckets().ilog2();
        let is_meant = |entry: &Entry| !only_timed || entry.expire_at_ms().is_some();
        let (mut n_shown, mut cursor) = (0, start);
        for _ in 0..N_BUCKETS_MAX.min(n_cursors) {
            let mut n_there = 0;
            part.table.scan(cursor, |entry| n_there += usize::from(is_meant(entry)));
            // Were the first ones of a bucket shown each time, the last ones would never go.
            let n_wanted = n_entries - n_shown;
            let n_before = (start >> 32) as usize % n_there.max(1);
            let mut index = 0;
            cursor = part.table.scan(cursor, |entry| {
                if !is_meant(entry) {
                    return;
                }
                if (index + n_there - n_before) % n_there < n_wanted {
                    n_shown += 1;
                    visit(entry);
                }
                index += 1;
            });
            if n_shown >= n_entries {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Access, Env, Expiry, Keyspace, Mode, SetExpire, Str, Trace};

    use std::collections::HashSet;

    /// What no sample shows would stay for ever.
    #[test]
    fn every_entry_is_shown_at_times() {
        let keyspace = Keyspace::new(1, 1, 1);
        let env = Env {
            now_ms: 1000,
            access: Access::Lru { clock: 1 },
            touches: true,
            expiry: Expiry::Remove,
        };
        let trace = Trace::default();
        let mut pass = keyspace.enter(0);
        for number in 0..40u32 {
            let name = format!("{number}");
            let key = keyspace.key(name.as_bytes());
            let mut locked = pass.lock_one(key.stripe(), Mode::Write);
            locked.write(0, &env, &trace).set_string(&key, Str::Bytes(b"v"), SetExpire::Keep);
        }
        for n_entries in [1, 5] {
            let mut shown = HashSet::new();
            for round in 0..2000u64 {
                let start = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                pass.sample(0, 0, start, n_entries, false, |entry| {
                    shown.insert(entry.key().to_vec());
                });
            }
            assert_eq!(shown.len(), 40, "{n_entries}");
        }
    }

    #[test]
    fn samples_are_of_one_stripe_and_kind() {
        let keyspace = Keyspace::new(4, 1, 2);
        let access = Access::Lru { clock: 1 };
        let env = Env { now_ms: 1000, access, touches: true, expiry: Expiry::Remove };
        let trace = Trace::default();
        let mut pass = keyspace.enter(0);
        for number in 0..100u32 {
            let name = format!("{number}");
            let key = keyspace.key(name.as_bytes());
            let expire = SetExpire::To((number % 4 == 0).then_some(5000));
            let mut locked = pass.lock_one(key.stripe(), Mode::Write);
            locked.write(0, &env, &trace).set_string(&key, Str::Bytes(b"v"), expire);
        }
        for stripe in 0..4 {
            for only_timed in [false, true] {
                let mut shown = HashSet::new();
                pass.sample(stripe, 0, 12345, 5, only_timed, |entry| {
                    assert_eq!(keyspace.key(entry.key()).stripe(), stripe);
                    assert!(!only_timed || entry.expire_at_ms().is_some());
                    assert!(shown.insert(entry.key().to_vec()), "shown twice");
                });
                assert!((1..=5).contains(&shown.len()), "{shown:?}");
            }
            pass.sample(stripe, 1, 0, 5, false, |_| panic!("nothing is there"));
        }
    }
}

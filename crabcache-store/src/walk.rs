//! A way through all entries of a database, stripe by stripe: SCAN, KEYS, RANDOMKEY.
//!
//! Each stripe is locked while it is looked at, or the whole keyspace is held already; what a walk
//! sees is no single instant unless it is. Entries whose time has come are passed over.
//!
//! A SCAN cursor is the stripe's number in the low bits and the cursor of its table above them.

use crate::Entry;
use crate::keyspace::{Keyspace, Locked, Mode, Pass};
use crate::structures::table::Table;
use crate::view::{Env, Expiry, Trace, is_expired};

/// How the entries are reached.
enum Source<'a, 'k> {
    /// Each stripe is locked in its turn.
    Stepwise(&'a mut Pass<'k>),
    /// The whole keyspace is held (a transaction, a script).
    Held(&'a Locked<'k>),
}

/// See the module's text.
pub struct Walk<'a, 'k> {
    source: Source<'a, 'k>,
    env: &'a Env,
    trace: &'a Trace,
}

/// What the tables of one database are like, all stripes together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TableStats {
    /// Stripes that have a table.
    pub n_tables: usize,
    /// Buckets, without those that stand behind another because it was full.
    pub n_buckets: usize,
    /// Bytes of those that do.
    pub chained_bytes: usize,
    /// Entries.
    pub n_entries: usize,
    /// Bytes of the tables, without the entries.
    pub mem_bytes: usize,
}

/// Lengths that [`Walk::chain_lens`] tells apart.
pub const N_CHAIN_LENS: usize = 24;

/// Draws of expired keys after which RANDOMKEY looks for any other, one after the other.
const N_DRAWS_MAX: usize = 100;

impl<'a, 'k> Walk<'a, 'k> {
    /// A walk that locks each stripe in its turn.
    pub fn stepwise(pass: &'a mut Pass<'k>, env: &'a Env, trace: &'a Trace) -> Self {
        Walk { source: Source::Stepwise(pass), env, trace }
    }

    /// A walk of a keyspace that is held as a whole.
    pub fn held(locked: &'a Locked<'k>, env: &'a Env, trace: &'a Trace) -> Self {
        assert!(locked.is_exclusive(), "a walk needs all stripes");
        Walk { source: Source::Held(locked), env, trace }
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &Keyspace {
        match &self.source {
            Source::Stepwise(pass) => pass.keyspace(),
            Source::Held(locked) => locked.keyspace(),
        }
    }

    /// Goes through a database from where `cursor` stands and calls `visit` with each entry, until
    /// `n_entries` were met or all were. Returns the next cursor, 0 at the end. Every entry that is
    /// there from the first call to the last is visited. With `only`, nothing outside that stripe
    /// is of interest.
    ///
    /// Expired entries count as met; they are noted for removal.
    pub fn scan(
        &mut self,
        db: usize,
        cursor: u64,
        n_entries: usize,
        only: Option<u32>,
        mut visit: impl FnMut(&Entry),
    ) -> u64 {
        let n_stripes = self.keyspace().n_stripes();
        let stripe_bits = n_stripes.trailing_zeros();
        let (mut stripe, mut inner) = (cursor as usize & (n_stripes - 1), cursor >> stripe_bits);
        if let Some(only) = only.map(|only| only as usize) {
            match stripe.cmp(&only) {
                std::cmp::Ordering::Less => (stripe, inner) = (only, 0),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => return 0,
            }
        }
        let (env, trace) = (self.env, self.trace);
        let (mut n_met, mut n_buckets) = (0, 0);
        // As in the reference: a sparse table ends the call after ten times as many buckets.
        while n_met < n_entries.max(1) && n_buckets < n_entries.saturating_mul(10).max(1) {
            self.with_entries(stripe, db, |entries| {
                n_buckets += usize::from(!entries.is_empty());
                inner = entries.scan(inner, |entry| {
                    n_met += 1;
                    if is_expired(env, entry) {
                        trace.note_met(env, db, entry);
                    } else {
                        visit(entry);
                    }
                });
            });
            if inner == 0 {
                stripe += 1;
                if stripe == n_stripes || only.is_some() {
                    return 0;
                }
            }
        }
        inner << stripe_bits | stripe as u64
    }

    /// Calls `visit` with each entry of a database, or with those of one stripe alone.
    pub fn each(&mut self, db: usize, only: Option<u32>, mut visit: impl FnMut(&Entry)) {
        let stripes = match only {
            Some(stripe) => stripe as usize..stripe as usize + 1,
            None => 0..self.keyspace().n_stripes(),
        };
        let env = self.env;
        for stripe in stripes {
            self.with_entries(stripe, db, |entries| {
                entries.iter().filter(|entry| !is_expired(env, entry)).for_each(|e| visit(&e));
            });
        }
    }

    /// What the tables of a database are like.
    pub fn tables(&mut self, db: usize) -> TableStats {
        let mut stats = TableStats::default();
        self.until(db, 0, |entries| {
            stats.n_tables += usize::from(entries.n_buckets() > 0);
            stats.n_buckets += entries.n_buckets();
            stats.chained_bytes += entries.chained_bytes();
            stats.n_entries += entries.len();
            stats.mem_bytes += entries.mem_bytes();
            false
        });
        stats
    }

    /// How many chains of a database's tables have no entry, one, two, ...; the last number is of
    /// all that have as many or more. Reads every bucket.
    pub fn chain_lens(&mut self, db: usize) -> [usize; N_CHAIN_LENS] {
        let mut lens = [0; N_CHAIN_LENS];
        self.until(db, 0, |entries| {
            for index in 0..entries.n_buckets() {
                lens[entries.chain_len(index).min(N_CHAIN_LENS - 1)] += 1;
            }
            false
        });
        lens
    }

    /// An entry drawn with equal chances, of which `look` takes what it needs. `random` gives
    /// numbers below its argument. Expired entries that were drawn are noted for removal.
    pub fn random<T>(
        &mut self,
        db: usize,
        mut random: impl FnMut(usize) -> usize,
        look: impl Fn(&Entry) -> T,
    ) -> Option<T> {
        let (env, trace) = (self.env, self.trace);
        for _ in 0..N_DRAWS_MAX {
            let n_keys = self.keyspace().size(db).n_keys;
            if n_keys == 0 {
                return None;
            }
            let mut n_before = random(n_keys);
            let mut found = None;
            self.until(db, 0, |entries| {
                if n_before < entries.len() {
                    found = entries.random(&mut random).and_then(|entry| {
                        if is_expired(env, &entry) {
                            trace.note_met(env, db, &entry);
                            return None;
                        }
                        Some(look(&entry))
                    });
                    return true;
                }
                n_before -= entries.len();
                false
            });
            if found.is_some() {
                return found;
            }
        }
        // Nearly all have expired: the first that has not.
        let first = random(self.keyspace().n_stripes());
        let mut found = None;
        self.until(db, first, |entries| {
            found = entries.iter().find(|entry| !is_expired(env, entry)).map(|entry| look(&entry));
            found.is_some()
        });
        if found.is_none() && env.expiry == Expiry::Hide {
            // Compat: where keys that have expired stay, one of them is given rather than none.
            self.until(db, first, |entries| {
                found = entries.iter().next().map(|entry| look(&entry));
                found.is_some()
            });
        }
        found
    }

    /// Looks at the stripes, from `first` on and around, until `look` says that it is enough.
    fn until(&mut self, db: usize, first: usize, mut look: impl FnMut(&Table<Entry>) -> bool) {
        let n_stripes = self.keyspace().n_stripes();
        for offset in 0..n_stripes {
            let mut is_enough = false;
            self.with_entries((first + offset) % n_stripes, db, |entries| {
                is_enough = look(entries);
            });
            if is_enough {
                return;
            }
        }
    }

    fn with_entries(&mut self, stripe: usize, db: usize, look: impl FnOnce(&Table<Entry>)) {
        const NOTHING: &Table<Entry> = &Table::new();
        let entries = |locked: &Locked<'_>| {
            look(locked.stripe(stripe as u32).db(db).map_or(NOTHING, |db| &db.table));
        };
        match &mut self.source {
            Source::Stepwise(pass) => {
                pass.give_way();
                entries(&pass.lock_one(stripe as u32, Mode::Read));
            }
            Source::Held(locked) => entries(locked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Expiry, SetExpire, Str};
    use std::collections::{BTreeMap, BTreeSet};

    const N: i64 = if cfg!(miri) { 60 } else { 2000 };

    fn env(now_ms: i64) -> Env {
        Env { now_ms, access: Access::Lru { clock: 1 }, touches: true, expiry: Expiry::Remove }
    }

    fn set(pass: &mut Pass<'_>, key: &str, expire_at_ms: Option<i64>) {
        let key = pass.keyspace().key(key.as_bytes());
        let (env, trace) = (env(0), Trace::default());
        let mut locked = pass.lock_one(key.stripe(), Mode::Write);
        locked.write(0, &env, &trace).set_string(&key, Str::Int(1), SetExpire::To(expire_at_ms));
    }

    fn name(entry: &Entry) -> String {
        String::from_utf8(entry.key().to_vec()).unwrap()
    }

    fn scan_all(
        pass: &mut Pass<'_>,
        trace: &Trace,
        count: usize,
        only: Option<u32>,
    ) -> Vec<String> {
        let (env, mut names, mut cursor) = (env(100), Vec::new(), 0);
        loop {
            let mut walk = Walk::stepwise(pass, &env, trace);
            cursor = walk.scan(0, cursor, count, only, |entry| names.push(name(entry)));
            if cursor == 0 {
                return names;
            }
        }
    }

    #[test]
    fn scans_visit_every_live_entry_once_and_note_the_others() {
        let keyspace = Keyspace::new(16, 1, 1);
        let mut pass = keyspace.enter(0);
        for number in 0..N {
            let expire = [None, Some(99), Some(101)][number as usize % 3];
            set(&mut pass, &number.to_string(), expire);
        }
        for count in [1, 10, 100_000] {
            let trace = Trace::default();
            let names = scan_all(&mut pass, &trace, count, None);
            let expired = trace.expired.take();
            assert_eq!(names.len() + expired.len(), N as usize);
            let names: BTreeSet<String> = names.into_iter().collect();
            assert_eq!(names.len(), N as usize - expired.len());
            assert!(names.iter().all(|name| name.parse::<i64>().unwrap() % 3 != 1));
            assert!(expired.iter().all(|expired| !expired.is_removed));
        }
        let trace = Trace::default();
        let mut names = Vec::new();
        let env = env(100);
        Walk::stepwise(&mut pass, &env, &trace).each(0, None, |entry| names.push(name(entry)));
        assert_eq!(names.len(), (0..N).filter(|number| number % 3 != 1).count());
        assert!(trace.expired.borrow().is_empty());
    }

    #[test]
    fn walks_of_one_stripe_see_all_its_keys() {
        let keyspace = Keyspace::new(16, 1, 1);
        let mut pass = keyspace.enter(0);
        for number in 0..N {
            set(&mut pass, &format!("{{{}}}{number}", number % 10), None);
        }
        let stripe = keyspace.key(b"{7}").stripe();
        let trace = Trace::default();
        let names = scan_all(&mut pass, &trace, 3, Some(stripe));
        let is_7 = |name: &&String| name.starts_with("{7}");
        assert_eq!(names.iter().filter(is_7).count(), N as usize / 10);
        let mut names = Vec::new();
        let env = env(0);
        let mut walk = Walk::stepwise(&mut pass, &env, &trace);
        walk.each(0, Some(stripe), |entry| names.push(name(entry)));
        assert_eq!(names.iter().filter(is_7).count(), N as usize / 10);
        // A cursor of another stripe: nothing there, or all of it still to come.
        let mut count = 0;
        let behind = walk.scan(0, u64::from(stripe) + 1, 9999, Some(stripe), |_| count += 1);
        assert_eq!((behind, count), (0, 0));
    }

    #[test]
    fn tables_are_described() {
        let keyspace = Keyspace::new(16, 1, 2);
        let mut pass = keyspace.enter(0);
        for number in 0..N {
            set(&mut pass, &number.to_string(), None);
        }
        let (env, trace) = (env(0), Trace::default());
        let mut walk = Walk::stepwise(&mut pass, &env, &trace);
        let (stats, lens) = (walk.tables(0), walk.chain_lens(0));
        assert_eq!((stats.n_entries, stats.n_tables), (N as usize, 16));
        assert!(stats.mem_bytes >= stats.n_buckets * 64 + stats.chained_bytes);
        assert_eq!(lens.iter().sum::<usize>(), stats.n_buckets);
        let n_entries = lens.iter().enumerate().map(|(len, count)| len * count).sum::<usize>();
        assert_eq!(n_entries, N as usize);
        assert_eq!((walk.tables(1), walk.chain_lens(1)), Default::default());
    }

    #[test]
    fn any_cursor_is_taken() {
        let keyspace = Keyspace::new(16, 1, 1);
        let mut pass = keyspace.enter(0);
        (0..50).for_each(|number| set(&mut pass, &number.to_string(), None));
        let (env, trace) = (env(0), Trace::default());
        let mut walk = Walk::stepwise(&mut pass, &env, &trace);
        for cursor in [u64::MAX, u64::MAX / 3, 1 << 63, 15, 16] {
            let mut cursor = cursor;
            for _ in 0..1000 {
                cursor = walk.scan(0, cursor, 1, None, |_| {});
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(cursor, 0);
        }
    }

    #[test]
    fn random_entries_are_fair_however_the_stripes_are_filled() {
        let keyspace = Keyspace::new(16, 1, 1);
        let mut pass = keyspace.enter(0);
        let (env, trace) = (env(0), Trace::default());
        // One stripe with many keys, others with one or none.
        (0..12).for_each(|number| set(&mut pass, &format!("{{tag}}{number}"), None));
        (0..4).for_each(|number| set(&mut pass, &number.to_string(), None));
        let mut state = 7u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut walk = Walk::stepwise(&mut pass, &env, &trace);
        let n_draws = if cfg!(miri) { 0 } else { 16_000 };
        let mut counts = BTreeMap::new();
        for _ in 0..n_draws {
            *counts.entry(walk.random(0, &mut random, name).unwrap()).or_insert(0) += 1;
        }
        assert!(n_draws == 0 || counts.len() == 16);
        assert!(counts.values().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn random_entries_are_alive() {
        let keyspace = Keyspace::new(16, 1, 1);
        let mut pass = keyspace.enter(0);
        let trace = Trace::default();
        let mut next = 0;
        let mut random = |below: usize| {
            next += 1;
            next * 7 % below
        };
        let env = env(100);
        let draw = |pass: &mut Pass<'_>, random: &mut dyn FnMut(usize) -> usize| {
            Walk::stepwise(pass, &env, &trace).random(0, random, name)
        };
        assert_eq!(draw(&mut pass, &mut random), None);
        (0..N / 2).for_each(|number| set(&mut pass, &number.to_string(), Some(99)));
        assert_eq!(draw(&mut pass, &mut random), None);
        assert!(!trace.expired.take().is_empty());
        set(&mut pass, "alive", None);
        for _ in 0..20 {
            assert_eq!(draw(&mut pass, &mut random), Some("alive".to_string()));
        }
    }
}

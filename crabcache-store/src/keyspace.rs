//! The keyspace: all databases, cut into stripes, and the only code that locks them.
//!
//! ```text
//!  worker 0    worker 1    expire cycle          a gate each, held over a batch of commands
//!     |           |             |
//!  [stripe 0] [stripe 1] ... [stripe 1023]       a lock each: a part of every database
//! ```
//!
//! - A command holds its own gate and locks the stripes of its keys before it runs: all of them, in
//!   ascending order. So any two commands run as if one came after the other.
//! - Whoever holds *all* gates has the whole keyspace to itself without locking a stripe.
//!
//! Lock order: own gate, then stripes in ascending order; or all gates in ascending order, after
//! giving up one's own. Nobody waits for a gate while holding a stripe.
//!
//! What this is not: it does not know which keys a command has, nor what they mean.

use crate::snapshot::Shared;
use crate::stripe::{Expired, Stripe, Swept};
use crate::view::{Env, ReadDb, Trace, WriteDb, is_expired};
use crate::wait::{Changed, Wanted};
use crate::watch::WatchFlag;
use crate::{Entry, Table};
use crossbeam_utils::CachePadded;
use parking_lot::lock_api::{
    GuardNoSend, RawMutex as _, RawMutexFair as _, RawMutexTimed as _, RawRwLock as _,
    RawRwLockTimed as _,
};
use parking_lot::{Condvar, Mutex, RawMutex, RawRwLock};
use smallvec::SmallVec;
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// Stripes unless told otherwise, and the most there can be. A power of two.
pub const N_STRIPES_DEFAULT: usize = 1024;

/// Where a key belongs: its hash and stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    hash: u64,
    stripe: u32,
}

impl Place {
    /// The key of these bytes, which must be those the place was computed from.
    #[inline]
    pub fn key(self, bytes: &[u8]) -> Key<'_> {
        Key { bytes, hash: self.hash, stripe: self.stripe }
    }

    /// The stripe that the key is in.
    #[inline]
    pub fn stripe(self) -> u32 {
        self.stripe
    }
}

/// A key with its hash and stripe: computed once per command.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    /// The key's bytes.
    pub bytes: &'k [u8],
    pub(crate) hash: u64,
    pub(crate) stripe: u32,
}

impl Key<'_> {
    /// The stripe that the key is in.
    #[inline]
    pub fn stripe(&self) -> u32 {
        self.stripe
    }

    /// Where the key belongs.
    #[inline]
    pub fn place(&self) -> Place {
        Place { hash: self.hash, stripe: self.stripe }
    }
}

/// Whether locked stripes may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Many may hold the stripe.
    Read,
    /// One holds it.
    Write,
}

impl Mode {
    /// Whether a stripe locked in mode `held` will do for this one.
    #[inline]
    fn is_served_by(self, held: Mode) -> bool {
        self == held || held == Mode::Write
    }
}

/// The stripes that a command needs; few, as a rule.
pub type StripeSet = SmallVec<[u32; 16]>;

struct LockedStripe {
    lock: RawRwLock,
    stripe: UnsafeCell<Stripe>,
}

// SAFETY: `stripe` is reached only through `Locked`, which holds the lock or all gates.
unsafe impl Sync for LockedStripe {}

struct Gate {
    lock: RawMutex,
    /// What this gate's holder added to each database: the sum over all gates is the truth.
    totals: Box<[Totals]>,
}

#[derive(Default)]
struct Totals {
    n_keys: AtomicI64,
    n_expires: AtomicI64,
    n_subexpires: AtomicI64,
}

/// How many keys a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DbSize {
    /// All keys.
    pub n_keys: usize,
    /// Keys with an expiry.
    pub n_expires: usize,
    /// Hashes that have fields with an expiry.
    pub n_subexpires: usize,
}

/// See the module's text.
pub struct Keyspace {
    stripes: Box<[CachePadded<LockedStripe>]>,
    gates: Box<[CachePadded<Gate>]>,
    n_databases: usize,
    n_watched_keys: AtomicUsize,
    n_waited_keys: AtomicUsize,
    n_waited_keys_even_if_gone: AtomicUsize,
    /// Whether somebody has the keyspace to itself although others pass their gates.
    is_reserved: AtomicBool,
    /// Whether those who try to lock something give up where they would have to wait.
    gives_up: AtomicBool,
    /// Taken when the reservation ends.
    reservation: Mutex<()>,
    reservation_ends: Condvar,
    pub(crate) snapshot: Shared,
}

impl Keyspace {
    /// An empty keyspace.
    ///
    /// `n_stripes` is a power of two; `n_gates` is how many threads work on it at a time.
    pub fn new(n_stripes: usize, n_gates: usize, n_databases: usize) -> Keyspace {
        assert!(n_stripes.is_power_of_two() && n_gates > 0 && n_databases > 0);
        assert!(n_stripes <= N_STRIPES_DEFAULT);
        let stripe = || LockedStripe { lock: RawRwLock::INIT, stripe: UnsafeCell::default() };
        let gate = || Gate {
            lock: RawMutex::INIT,
            totals: (0..n_databases).map(|_| Totals::default()).collect(),
        };
        Keyspace {
            stripes: (0..n_stripes).map(|_| CachePadded::new(stripe())).collect(),
            gates: (0..n_gates).map(|_| CachePadded::new(gate())).collect(),
            n_databases,
            n_watched_keys: AtomicUsize::new(0),
            n_waited_keys: AtomicUsize::new(0),
            n_waited_keys_even_if_gone: AtomicUsize::new(0),
            is_reserved: AtomicBool::new(false),
            gives_up: AtomicBool::new(false),
            reservation: Mutex::new(()),
            reservation_ends: Condvar::new(),
            snapshot: Shared::default(),
        }
    }

    /// Waits as long as somebody else has the keyspace to itself. The caller has passed its gate, so
    /// nobody can take it again meanwhile.
    #[inline]
    fn wait_unless_free(&self) {
        if self.is_reserved.load(Ordering::SeqCst) {
            self.wait_for_reservation();
        }
    }

    /// Has those who try to lock something give up where they would have to wait, or wait again:
    /// somebody holds locks for longer than anybody should wait.
    pub fn give_up_waits(&self, gives_up: bool) {
        self.gives_up.store(gives_up, Ordering::SeqCst);
    }

    /// Calls `attempt`, which waits for a while at most, until it succeeds. `false`: gave up.
    #[cold]
    fn wait_or_give_up(&self, mut attempt: impl FnMut(Duration) -> bool) -> bool {
        const ATTEMPT: Duration = Duration::from_millis(5);
        loop {
            if self.gives_up.load(Ordering::SeqCst) {
                return false;
            }
            if self.is_reserved.load(Ordering::SeqCst) {
                let mut reservation = self.reservation.lock();
                self.reservation_ends.wait_for(&mut reservation, ATTEMPT);
            } else if attempt(ATTEMPT) {
                return true;
            }
        }
    }

    #[cold]
    fn wait_for_reservation(&self) {
        let mut reservation = self.reservation.lock();
        while self.is_reserved.load(Ordering::SeqCst) {
            self.reservation_ends.wait(&mut reservation);
        }
    }

    /// Number of databases.
    pub fn n_databases(&self) -> usize {
        self.n_databases
    }

    /// Number of keys that somebody watches.
    pub fn n_watched_keys(&self) -> usize {
        self.n_watched_keys.load(Ordering::Relaxed)
    }

    /// Number of keys that somebody waits for.
    pub fn n_waited_keys(&self) -> usize {
        self.n_waited_keys.load(Ordering::Relaxed)
    }

    /// Number of those where it is of interest too that they are gone.
    pub fn n_waited_keys_even_if_gone(&self) -> usize {
        self.n_waited_keys_even_if_gone.load(Ordering::Relaxed)
    }

    /// Number of stripes.
    pub fn n_stripes(&self) -> usize {
        self.stripes.len()
    }

    /// Computes a key's hash and stripe. Keys with the same `{tag}` have the same stripe.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        let hash = crate::hash::hash(bytes);
        let stripe_hash = hash_tag(bytes).map_or(hash, crate::hash::hash);
        // Other bits than those that choose the bucket or the tag.
        let stripe = (stripe_hash >> 32) as u32 & (self.stripes.len() - 1) as u32;
        Key { bytes, hash, stripe }
    }

    /// Passes gate number `gate`, waiting for whoever holds all gates.
    #[inline]
    pub fn enter(&self, gate: usize) -> Pass<'_> {
        let _: GuardNoSend = self.gates[gate].lock.lock();
        Pass { keyspace: self, gate, kept: None, many: Several::default() }
    }

    /// Keys of a database. O(gates), without a lock: exact when nothing runs.
    pub fn size(&self, db: usize) -> DbSize {
        let sum = |count: fn(&Totals) -> &AtomicI64| {
            let sum: i64 =
                self.gates.iter().map(|gate| count(&gate.totals[db]).load(Ordering::Relaxed)).sum();
            usize::try_from(sum).unwrap_or(0)
        };
        DbSize {
            n_keys: sum(|totals| &totals.n_keys),
            n_expires: sum(|totals| &totals.n_expires),
            n_subexpires: sum(|totals| &totals.n_subexpires),
        }
    }

    fn count(&self, gate: usize, db: usize, n_keys: i64, n_expires: i64, n_subexpires: i64) {
        // Only the gate's holder writes, so no atomic addition is needed.
        let add = |counter: &AtomicI64, n: i64| {
            counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        };
        let totals = &self.gates[gate].totals[db];
        if n_keys != 0 {
            add(&totals.n_keys, n_keys);
        }
        if n_expires != 0 {
            add(&totals.n_expires, n_expires);
        }
        if n_subexpires != 0 {
            add(&totals.n_subexpires, n_subexpires);
        }
    }
}

/// The part of `key` that decides its stripe and cluster slot: what stands between the first `{`
/// and the next `}`, if that is not empty.
#[inline]
pub fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    if !crate::structures::bytes::contains(key, b'{') {
        return None;
    }
    let open = memchr::memchr(b'{', key)?;
    let rest = &key[open + 1..];
    let close = memchr::memchr(b'}', rest)?;
    (close > 0).then(|| &rest[..close])
}

/// A passed gate: the right to lock stripes. Give it up often.
pub struct Pass<'k> {
    keyspace: &'k Keyspace,
    gate: usize,
    /// A stripe that is still locked because the next command needs it too.
    kept: Option<(u32, Mode)>,
    /// Several stripes that are locked.
    many: Several,
}

/// Stripes that are locked together.
#[derive(Default)]
struct Several {
    /// Which, in ascending order.
    stripes: StripeSet,
    /// A bit for each that there is: whether it is one of them.
    bits: [u64; N_STRIPES_DEFAULT / 64],
}

impl Several {
    fn set(&mut self, stripes: StripeSet) {
        for stripe in &stripes {
            self.bits[*stripe as usize / 64] |= 1 << (stripe % 64);
        }
        self.stripes = stripes;
    }

    #[inline]
    fn contains(&self, stripe: u32) -> bool {
        self.bits.get(stripe as usize / 64).is_some_and(|bits| bits >> (stripe % 64) & 1 == 1)
    }
}

impl<'k> Pass<'k> {
    /// The keyspace.
    pub fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }

    /// Lets whoever waits for the gate pass first, in the middle of a long walk.
    pub fn give_way(&mut self) {
        self.release();
        // SAFETY: the gate is held by `self`, and is held again afterwards.
        unsafe { self.keyspace.gates[self.gate].lock.bump(&mut GuardNoSend::new()) };
    }

    /// Locks one stripe. One that was kept and is locked for writing serves a reader as well.
    #[inline]
    pub fn lock_one(&mut self, stripe: u32, mode: Mode) -> Locked<'_> {
        let mode = match self.kept {
            Some((kept, kept_mode)) if kept == stripe && mode.is_served_by(kept_mode) => kept_mode,
            _ => {
                self.release();
                lock_stripe(self.keyspace, stripe, mode);
                mode
            }
        };
        self.kept = None;
        self.locked(mode, Held::One(stripe))
    }

    /// Locks several stripes. `stripes` may be in any order and name a stripe twice.
    pub fn lock_many(&mut self, mut stripes: StripeSet, mode: Mode) -> Locked<'_> {
        self.release();
        stripes.sort_unstable();
        stripes.dedup();
        for stripe in &stripes {
            lock_stripe(self.keyspace, *stripe, mode);
        }
        self.many.set(stripes);
        self.locked(mode, Held::Many)
    }

    /// Waits until nobody else works on the keyspace and keeps it that way. While somebody takes too
    /// long, it stands in nobody's way.
    pub fn lock_all(&mut self) -> Locked<'_> {
        const PAUSE: Duration = Duration::from_millis(2);
        while !self.pass_all_gates() {
            std::thread::sleep(PAUSE);
        }
        self.locked(Mode::Write, Held::All)
    }

    /// As [`Pass::lock_one`]. `None`: it would have to wait for somebody who takes too long.
    #[inline(always)] // on the way of most requests
    pub fn try_lock_one(&mut self, stripe: u32, mode: Mode) -> Option<Locked<'_>> {
        let mode = match self.kept {
            Some((kept, kept_mode)) if kept == stripe && mode.is_served_by(kept_mode) => kept_mode,
            _ => {
                self.release();
                if !try_lock_stripe(self.keyspace, stripe, mode) {
                    return None;
                }
                mode
            }
        };
        self.kept = None;
        Some(self.locked(mode, Held::One(stripe)))
    }

    /// As [`Pass::lock_many`]. `None`: it would have to wait for somebody who takes too long.
    pub fn try_lock_many(&mut self, mut stripes: StripeSet, mode: Mode) -> Option<Locked<'_>> {
        self.release();
        stripes.sort_unstable();
        stripes.dedup();
        for (index, stripe) in stripes.iter().enumerate() {
            if !try_lock_stripe(self.keyspace, *stripe, mode) {
                stripes[..index].iter().for_each(|held| unlock_stripe(self.keyspace, *held, mode));
                return None;
            }
        }
        self.many.set(stripes);
        Some(self.locked(mode, Held::Many))
    }

    /// As [`Pass::lock_all`]. `None`: it would have to wait for somebody who takes too long.
    pub fn try_lock_all(&mut self) -> Option<Locked<'_>> {
        self.pass_all_gates().then(|| self.locked(Mode::Write, Held::All))
    }

    /// Passes all gates, or none but its own if it would have to wait for somebody who takes too long.
    fn pass_all_gates(&mut self) -> bool {
        self.release();
        let keyspace = self.keyspace;
        // SAFETY: the gate is held by `self`; it is taken again in its turn.
        unsafe { keyspace.gates[self.gate].lock.unlock(GuardNoSend::new()) };
        for (index, gate) in keyspace.gates.iter().enumerate() {
            if gate.lock.try_lock().is_some()
                || keyspace.wait_or_give_up(|time| gate.lock.try_lock_for(time).is_some())
            {
                continue;
            }
            for taken in &keyspace.gates[..index] {
                // SAFETY: locked above.
                unsafe { taken.lock.unlock(GuardNoSend::new()) };
            }
            let _: GuardNoSend = keyspace.gates[self.gate].lock.lock();
            return false;
        }
        true
    }

    #[inline]
    fn locked(&mut self, mode: Mode, held: Held) -> Locked<'_> {
        let Pass { keyspace, gate, kept, many } = self;
        Locked { keyspace, gate: *gate, mode, held, kept, many }
    }

    /// Unlocks the stripe that was kept, if there is one.
    #[inline]
    pub fn release(&mut self) {
        if let Some((stripe, mode)) = self.kept.take() {
            unlock_stripe(self.keyspace, stripe, mode);
        }
    }

    /// Asks the processor to fetch the buckets and entries of these keys: all are on their way
    /// before the first is needed. Leaves out keys whose stripe is being changed.
    ///
    /// Measured with a million keys and sixteen requests a batch: the locks cost about 10 ns a key,
    /// the cache misses that they hide 300.
    #[inline]
    pub fn prefetch(&mut self, db: usize, places: impl Iterator<Item = Place>) {
        let mut locked: SmallVec<[Place; 32]> = SmallVec::new();
        if self.keyspace.is_reserved.load(Ordering::SeqCst) {
            return;
        }
        for place in places {
            if locked.last() == Some(&place) {
                continue;
            }
            let stripe = &self.keyspace.stripes[place.stripe as usize];
            if stripe.lock.try_lock_shared().is_some() {
                // SAFETY: the stripe is held for reading.
                if let Some(db) = unsafe { &*stripe.stripe.get() }.db(db) {
                    db.table.prefetch_bucket(place.hash);
                }
                locked.push(place);
            }
        }
        for place in locked {
            let stripe = &self.keyspace.stripes[place.stripe as usize];
            // SAFETY: the stripe is held for reading.
            if let Some(db) = unsafe { &*stripe.stripe.get() }.db(db) {
                db.table.prefetch_items(place.hash);
            }
            // SAFETY: locked above.
            unsafe { stripe.lock.unlock_shared(GuardNoSend::new()) };
        }
    }

    /// Asks the processor to fetch what looking for these elements of a collection will touch, all
    /// on its way before the first is needed. Does nothing if the key's stripe is being changed.
    ///
    /// Measured with sixteen requests a batch on a set of a million members: a third of the cost.
    pub fn prefetch_elements<'m>(
        &mut self,
        db: usize,
        key: &Key<'_>,
        elements: impl Iterator<Item = &'m [u8]>,
    ) {
        let stripe = &self.keyspace.stripes[key.stripe as usize];
        let is_reserved = self.keyspace.is_reserved.load(Ordering::SeqCst);
        if is_reserved || stripe.lock.try_lock_shared().is_none() {
            return;
        }
        // SAFETY: the stripe is held for reading.
        let db = unsafe { &*stripe.stripe.get() }.db(db);
        if let Some(entry) = db.and_then(|db| db.table.get(key.hash, key.bytes)) {
            entry.prefetch(elements);
        }
        // SAFETY: locked above.
        unsafe { stripe.lock.unlock_shared(GuardNoSend::new()) };
    }

    /// Removes expired entries and fields of one stripe and database from up to `n_buckets_max`
    /// buckets. Calls `expired` with each while the stripe is locked, and whether somebody waits for
    /// its key.
    ///
    /// Where nothing can have expired, it only looks at a few entries that have an expiry, if
    /// `wants_sample`.
    pub fn sweep_expired(
        &mut self,
        stripe: u32,
        db: usize,
        now_ms: i64,
        n_buckets_max: usize,
        wants_sample: bool,
        mut expired: impl FnMut(Expired<'_>, bool),
    ) -> Swept {
        /// Buckets of a sample.
        const N_SAMPLED_BUCKETS: usize = 4;
        let locked = self.lock_one(stripe, Mode::Read);
        let Some(part) = locked.stripe(stripe).db(db).filter(|part| part.has_times()) else {
            return Swept::default();
        };
        if !part.may_have_expired(now_ms) {
            let swept = if wants_sample {
                part.sample(now_ms, now_ms.cast_unsigned(), N_SAMPLED_BUCKETS)
            } else {
                Swept::default()
            };
            return Swept { n_buckets: 0, n_passed: part.n_expires, ..swept };
        }
        drop(locked);
        let mut locked = self.lock_one(stripe, Mode::Write);
        let parts = locked.stripe_mut(stripe);
        let mut names: SmallVec<[(Box<[u8]>, bool); 8]> = SmallVec::new();
        let any_watcher = !parts.watchers.is_empty();
        let waits = std::mem::take(&mut parts.waits);
        let part = parts.db_mut(db);
        let before = (part.table.len(), part.n_expires, part.n_subexpires);
        let swept = part.sweep(now_ms, n_buckets_max, |what| {
            if any_watcher {
                names.push((what.key().into(), !what.is_gone()));
            }
            let is_waited_for = waits.any() && waits.has(db, what.key());
            expired(what, is_waited_for);
        });
        let after = (part.table.len(), part.n_expires, part.n_subexpires);
        parts.waits = waits;
        for (name, exists) in names {
            parts.watchers.touch(db, &name, exists);
        }
        let change = |before: usize, after: usize| after as i64 - before as i64;
        locked.count(db, change(before.0, after.0), change(before.1, after.1));
        locked.count_subexpires(db, change(before.2, after.2));
        swept
    }
}

impl Drop for Pass<'_> {
    #[inline]
    fn drop(&mut self) {
        self.release();
        // SAFETY: locked in `enter`; `lock_all` leaves it locked.
        unsafe { self.keyspace.gates[self.gate].lock.unlock(GuardNoSend::new()) };
    }
}

#[inline]
fn lock_stripe(keyspace: &Keyspace, stripe: u32, mode: Mode) {
    keyspace.wait_unless_free();
    let lock = &keyspace.stripes[stripe as usize].lock;
    let _: GuardNoSend = match mode {
        Mode::Read => lock.lock_shared(),
        Mode::Write => lock.lock_exclusive(),
    };
}

/// As [`lock_stripe`], unless that would have to wait for somebody who takes too long.
#[inline]
fn try_lock_stripe(keyspace: &Keyspace, stripe: u32, mode: Mode) -> bool {
    let lock = &keyspace.stripes[stripe as usize].lock;
    let is_free = !keyspace.is_reserved.load(Ordering::SeqCst);
    match mode {
        Mode::Read => {
            is_free && lock.try_lock_shared().is_some()
                || keyspace.wait_or_give_up(|time| lock.try_lock_shared_for(time).is_some())
        }
        Mode::Write => {
            is_free && lock.try_lock_exclusive().is_some()
                || keyspace.wait_or_give_up(|time| lock.try_lock_exclusive_for(time).is_some())
        }
    }
}

/// Unlocks a stripe that the caller locked in this mode with [`lock_stripe`].
#[inline]
fn unlock_stripe(keyspace: &Keyspace, stripe: u32, mode: Mode) {
    let lock = &keyspace.stripes[stripe as usize].lock;
    match mode {
        // SAFETY: locked in this mode.
        Mode::Read => unsafe { lock.unlock_shared(GuardNoSend::new()) },
        // SAFETY: locked in this mode.
        Mode::Write => unsafe { lock.unlock_exclusive(GuardNoSend::new()) },
    }
}

/// What is locked. Small: it is passed on with every command.
#[derive(Clone, Copy)]
enum Held {
    One(u32),
    /// Those that the pass knows.
    Many,
    /// All gates.
    All,
    /// One's own gate, and nobody can lock a stripe.
    Reserved,
    /// Nothing any more: the stripe was left to the next command.
    Nothing,
}

/// Locked stripes, or the whole keyspace. Unlocks when dropped.
pub struct Locked<'p> {
    keyspace: &'p Keyspace,
    gate: usize,
    mode: Mode,
    held: Held,
    kept: &'p mut Option<(u32, Mode)>,
    many: &'p mut Several,
}

impl<'p> Locked<'p> {
    /// Ends the use of the stripes but leaves a single one locked, for a command of the same batch
    /// that comes next. It is unlocked when another one is locked, or with the [`Pass`]. Nothing can be
    /// reached through `self` any more.
    #[inline]
    pub fn keep(&mut self) {
        if let Held::One(stripe) = self.held {
            *self.kept = Some((stripe, self.mode));
            self.held = Held::Nothing;
        }
    }

    /// A view for reading database `db`.
    #[inline]
    pub fn read<'a>(&'a self, db: usize, env: &'a Env, trace: &'a Trace) -> ReadDb<'a> {
        ReadDb::new(self, db, env, trace)
    }

    /// A view for changing database `db`. The stripes must be locked for writing.
    #[inline]
    pub fn write<'a>(&'a mut self, db: usize, env: &'a Env, trace: &'a Trace) -> WriteDb<'a, 'p> {
        assert!(self.mode == Mode::Write);
        WriteDb::new(self, db, env, trace)
    }

    /// Whether the whole keyspace is held.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.held, Held::All | Held::Reserved)
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &Keyspace {
        self.keyspace
    }

    /// Whether a stripe is held.
    #[inline]
    pub fn holds(&self, stripe: u32) -> bool {
        match self.held {
            Held::One(held) => held == stripe,
            Held::Many => self.many.contains(stripe),
            Held::All | Held::Reserved => true,
            Held::Nothing => false,
        }
    }

    /// Lets other threads pass their gates in the middle of something that takes long, if the whole
    /// keyspace is held. They still cannot lock a stripe before this is dropped.
    pub fn let_others_pass(&mut self) {
        if matches!(self.held, Held::All) {
            self.keyspace.is_reserved.store(true, Ordering::SeqCst);
            self.unlock_other_gates();
            self.held = Held::Reserved;
        }
    }

    fn unlock_other_gates(&self) {
        for (index, gate) in self.keyspace.gates.iter().enumerate() {
            if index != self.gate {
                // SAFETY: locked in `lock_all`; one's own gate stays locked for the `Pass`.
                unsafe { gate.lock.unlock(GuardNoSend::new()) };
            }
        }
    }

    /// Whether changes are allowed.
    pub fn is_for_writing(&self) -> bool {
        self.mode == Mode::Write
    }

    /// Whether a key, whose stripe is held, is there but past its time.
    pub fn has_expired(&self, db: usize, key: &Key<'_>, now_ms: i64) -> bool {
        let entries = self.stripe(key.stripe).db(db).map(|db| &db.table);
        entries
            .and_then(|entries| entries.get(key.hash, key.bytes))
            .and_then(|entry| entry.expire_at_ms())
            .is_some_and(|at_ms| at_ms < now_ms)
    }

    /// Whether a key, whose stripe is held, has come to its end since `flag` began to watch it.
    pub fn watched_has_expired(
        &self,
        db: usize,
        key: &Key<'_>,
        flag: &Arc<WatchFlag>,
        now_ms: i64,
    ) -> bool {
        self.has_expired(db, key, now_ms)
            && !self.stripe(key.stripe).watchers.was_expired(db, key.bytes, flag)
    }

    /// Begins to watch a key, whose stripe is held for writing. If it `was_expired` already, its
    /// removal is no change.
    pub fn watch(&mut self, db: usize, key: &Key<'_>, flag: Arc<WatchFlag>, was_expired: bool) {
        if self.stripe_mut(key.stripe).watchers.add(db, key.bytes, flag, was_expired) {
            self.keyspace.n_watched_keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends a watch of a key, whose stripe is held for writing.
    pub fn unwatch(&mut self, db: usize, key: &Key<'_>, flag: &Arc<WatchFlag>) {
        if self.stripe_mut(key.stripe).watchers.remove(db, key.bytes, flag) {
            self.keyspace.n_watched_keys.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tells the watchers of a key, whose stripe is held for writing, that it was changed.
    #[inline]
    pub fn touch_watchers(&mut self, db: usize, key: &Key<'_>) {
        let stripe = self.stripe_mut(key.stripe);
        if !stripe.watchers.is_empty() {
            let exists =
                stripe.db(db).is_some_and(|db| db.table.get(key.hash, key.bytes).is_some());
            stripe.watchers.touch(db, key.bytes, exists);
        }
    }

    /// Enters a wait for a key, whose stripe is held. `id` is greater than those of waits that began
    /// before.
    pub fn enter_wait(&self, db: usize, key: &Key<'_>, id: u64, wanted: Wanted) {
        let changed = self.stripe(key.stripe).waits.enter(db, key.bytes, id, wanted);
        self.count_waits(changed, |count| count.fetch_add(1, Ordering::Relaxed));
    }

    /// Removes a wait for a key, whose stripe is held.
    pub fn leave_wait(&self, db: usize, key: &Key<'_>, id: u64) {
        let changed = self.stripe(key.stripe).waits.leave(db, key.bytes, id);
        self.count_waits(changed, |count| count.fetch_sub(1, Ordering::Relaxed));
    }

    fn count_waits(&self, changed: Changed, count: fn(&AtomicUsize) -> usize) {
        if changed.key {
            count(&self.keyspace.n_waited_keys);
        }
        if changed.even_if_gone {
            count(&self.keyspace.n_waited_keys_even_if_gone);
        }
    }

    /// The first wait after number `after` for a key, whose stripe is held, that the key's value, or
    /// that there is none, may be of interest to.
    pub fn next_wait(&self, db: usize, key: &Key<'_>, after: u64, env: &Env) -> Option<u64> {
        let stripe = self.stripe(key.stripe);
        let entry = stripe.db(db).and_then(|db| db.table.get(key.hash, key.bytes));
        let kind = entry.filter(|entry| !is_expired(env, entry)).map(|entry| entry.kind());
        stripe.waits.next(db, key.bytes, after, kind)
    }

    /// Notes all keys that somebody waits for, after whole databases were changed. Needs the whole
    /// keyspace.
    pub fn note_waited(&self, trace: &Trace) {
        if self.keyspace.n_waited_keys() == 0 {
            return;
        }
        for index in 0..self.keyspace.stripes.len() as u32 {
            for (db, key) in self.stripe(index).waits.keys() {
                trace.note_ready(db, &key);
            }
        }
    }

    /// Empties a database; the caller drops its tables, at a time that suits it, but those that a
    /// snapshot still has to see. Needs the whole keyspace.
    pub fn flush(&mut self, db: usize, now_ms: i64) -> Vec<Table<Entry>> {
        let mut tables = Vec::new();
        let size = self.keyspace.size(db);
        for index in 0..self.keyspace.stripes.len() as u32 {
            let stripe = self.stripe_mut(index);
            let (old, saving) = stripe.take_db(db);
            stripe.watchers.touch_all(db, Some(&old), None, now_ms);
            match saving {
                Some(saving) => self.keyspace.snapshot.leave(old, saving),
                None if !old.is_empty() => tables.push(old),
                None => {}
            }
        }
        self.count(db, -(size.n_keys as i64), -(size.n_expires as i64));
        self.count_subexpires(db, -(size.n_subexpires as i64));
        tables
    }

    /// Exchanges two databases. Needs the whole keyspace.
    pub fn swap(&mut self, first: usize, second: usize, now_ms: i64) {
        let (size1, size2) = (self.keyspace.size(first), self.keyspace.size(second));
        for index in 0..self.keyspace.stripes.len() as u32 {
            let stripe = self.stripe_mut(index);
            stripe.swap(first, second);
            let mut watchers = std::mem::take(&mut stripe.watchers);
            let table = |db| stripe.db(db).map(|db| &db.table);
            watchers.touch_all(first, table(second), table(first), now_ms);
            watchers.touch_all(second, table(first), table(second), now_ms);
            stripe.watchers = watchers;
        }
        let keys = size2.n_keys as i64 - size1.n_keys as i64;
        let expires = size2.n_expires as i64 - size1.n_expires as i64;
        self.count(first, keys, expires);
        self.count(second, -keys, -expires);
        let subexpires = size2.n_subexpires as i64 - size1.n_subexpires as i64;
        self.count_subexpires(first, subexpires);
        self.count_subexpires(second, -subexpires);
    }

    /// Asks the processor to fetch the buckets and entries of some keys whose stripes are held, so
    /// that the cache misses of a command with many keys overlap.
    #[inline]
    pub fn prefetch(&self, db: usize, places: impl Iterator<Item = Place> + Clone) {
        let table = |place: Place| Some((&self.stripe(place.stripe).db(db)?.table, place.hash));
        let tables = places.filter_map(table);
        tables.clone().for_each(|(table, hash)| table.prefetch_bucket(hash));
        tables.for_each(|(table, hash)| table.prefetch_items(hash));
    }

    /// The stripe, which must be held.
    #[inline]
    pub(crate) fn stripe(&self, stripe: u32) -> &Stripe {
        self.assert_held(stripe);
        // SAFETY: held, for reading at least, as long as `self` lives.
        unsafe { &*self.keyspace.stripes[stripe as usize].stripe.get() }
    }

    /// The stripe, which must be held for writing.
    #[inline]
    pub(crate) fn stripe_mut(&mut self, stripe: u32) -> &mut Stripe {
        self.assert_held(stripe);
        assert!(self.mode == Mode::Write);
        // SAFETY: held for writing as long as `self` lives, and borrowed through `&mut self`.
        unsafe { &mut *self.keyspace.stripes[stripe as usize].stripe.get() }
    }

    #[inline]
    pub(crate) fn count(&self, db: usize, n_keys: i64, n_expires: i64) {
        self.keyspace.count(self.gate, db, n_keys, n_expires, 0);
    }

    /// Counts hashes that have fields with an expiry.
    pub(crate) fn count_subexpires(&self, db: usize, n_subexpires: i64) {
        self.keyspace.count(self.gate, db, 0, 0, n_subexpires);
    }

    #[inline]
    fn assert_held(&self, stripe: u32) {
        assert!(self.holds(stripe), "a command reached for a key outside its lock set");
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        match &self.held {
            Held::One(stripe) => unlock_stripe(self.keyspace, *stripe, self.mode),
            Held::Many => {
                let unlock = |stripe: &u32| unlock_stripe(self.keyspace, *stripe, self.mode);
                self.many.stripes.iter().for_each(unlock);
                self.many.bits.fill(0);
            }
            Held::Nothing => {}
            Held::All => self.unlock_other_gates(),
            Held::Reserved => {
                let _ending = self.keyspace.reservation.lock();
                self.keyspace.is_reserved.store(false, Ordering::SeqCst);
                self.keyspace.reservation_ends.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! What a command sees of a database: look-ups that know time, changes that keep the books.
//!
//! [`ReadDb`] cannot change anything; an expired entry is absent to it and noted for removal.
//! [`WriteDb`] removes an expired entry as soon as it meets it. Both note in [`Trace`] what the
//! server has to account for: hits, misses, expired keys.
//!
//! Invariant: key counts, expiry counts and the flag of entries with an expiry agree with the table.

use crate::access::Access;
use crate::entry::{Entry, Kind};
use crate::error::StoreError;
use crate::keyspace::{Key, Locked};
use crate::structures::table::{ItemRef, Occupied};
use crate::types::string::{Str, StrRef};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};

mod collections;
mod fields;

pub use collections::Edited;

/// What happens to a key whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is absent, and removed.
    Remove,
    /// It is absent, but stays until the primary says so.
    Hide,
    /// The same, unless something is to be changed about it: then it is removed.
    HideFromReads,
    /// It is as good as any other.
    Ignore,
}

/// The circumstances of a command: an argument, never read from the system here.
#[derive(Debug, Clone, Copy)]
pub struct Env {
    /// Unix time in milliseconds.
    pub now_ms: i64,
    /// What uses leave on access clocks.
    pub access: Access,
    /// Whether uses leave anything (CLIENT NO-TOUCH).
    pub touches: bool,
    /// What happens to expired keys.
    pub expiry: Expiry,
}

impl Env {
    /// Whether what expires at `at_ms`, if ever, is absent now.
    #[inline]
    pub fn has_passed(&self, at_ms: Option<i64>) -> bool {
        at_ms.is_some_and(|at_ms| at_ms < self.now_ms) && self.expiry != Expiry::Ignore
    }
}

/// What has expired of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// The key itself.
    Key,
    /// Fields of the hash that it holds.
    Fields {
        /// Which; while they are still to be removed, none stands for all that have expired.
        names: Vec<Box<[u8]>>,
        /// Whether none was left, so that the key went as well.
        is_emptied: bool,
    },
}

/// A key that was found expired, or of which fields were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredKey {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// What has expired.
    pub what: Gone,
    /// Whether it was removed; else that is still to be done.
    pub is_removed: bool,
}

/// What the views noted while commands ran.
#[derive(Debug, Default)]
pub struct Trace {
    /// Look-ups that found their key.
    pub n_hits: Cell<u64>,
    /// Look-ups that did not.
    pub n_misses: Cell<u64>,
    /// Keys that were found expired.
    pub expired: RefCell<Vec<ExpiredKey>>,
    /// Whether missed keys are wanted.
    pub wants_missed: Cell<bool>,
    /// Keys that look-ups missed, if they are wanted.
    pub missed: RefCell<Vec<(usize, Box<[u8]>)>>,
    /// Whether new keys are wanted.
    pub wants_created: Cell<bool>,
    /// Keys that came into being, if they are wanted.
    pub created: RefCell<Vec<(usize, Box<[u8]>)>>,
    /// What was taken out and is costly to free: to be freed when no lock is held.
    pub discarded: RefCell<Vec<Discarded>>,
    /// Keys that somebody waits for and that were changed: to be served when no lock is held.
    pub ready: RefCell<Vec<(usize, Box<[u8]>)>>,
    /// Whether there may be something in `expired`, `discarded` or `ready`.
    has_news: Cell<bool>,
    random: Cell<u64>,
}

/// Why a view took an entry out that no command asked it to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// A command put another into its place, or has no further use for it.
    Deleted,
    /// Its time had come.
    Expired,
}

/// An entry that a view took out.
#[derive(Debug)]
pub struct Discarded {
    /// The entry.
    pub entry: Entry,
    /// Why it was taken out.
    pub why: Discard,
}

impl Trace {
    /// Whether there may be something that must be seen to: expired keys, entries to be freed, keys
    /// that somebody waits for. One look for all commands that left nothing.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.has_news.get()
    }

    /// To be called when what there was has been seen to.
    pub fn note_settled(&self) {
        let is_empty = self.expired.borrow().is_empty()
            && self.discarded.borrow().is_empty()
            && self.ready.borrow().is_empty();
        self.has_news.set(!is_empty);
    }

    /// Counts a look-up.
    #[inline]
    fn count_lookup(&self, db: usize, key: &[u8], is_hit: bool, lookup: Lookup) {
        if is_hit {
            self.n_hits.set(self.n_hits.get() + 1);
        } else {
            self.n_misses.set(self.n_misses.get() + 1);
            if self.wants_missed.get() && lookup != Lookup::Inspect {
                self.note_missed(db, key);
            }
        }
    }

    #[cold]
    fn note_missed(&self, db: usize, key: &[u8]) {
        self.missed.borrow_mut().push((db, key.into()));
    }

    /// Frees an entry, at once if that is cheap.
    #[inline]
    fn discard(&self, entry: Entry, why: Discard) {
        if entry.is_costly_to_free() {
            self.has_news.set(true);
            self.discarded.borrow_mut().push(Discarded { entry, why });
        }
    }

    /// Notes an expired entry that somebody met and could not remove.
    pub(crate) fn note_met(&self, env: &Env, db: usize, entry: &Entry) {
        if env.expiry == Expiry::Remove {
            self.note_expired(db, entry.key(), false);
        }
    }

    #[cold]
    fn note_expired(&self, db: usize, key: &[u8], is_removed: bool) {
        self.push_expired(ExpiredKey { db, key: key.into(), what: Gone::Key, is_removed });
    }

    /// Notes what has expired.
    fn push_expired(&self, expired: ExpiredKey) {
        self.has_news.set(true);
        self.expired.borrow_mut().push(expired);
    }

    #[inline]
    fn note_created(&self, db: usize, key: &[u8]) {
        if self.wants_created.get() {
            self.created.borrow_mut().push((db, key.into()));
        }
    }

    /// Notes a changed key that somebody waits for.
    #[cold]
    pub fn note_ready(&self, db: usize, key: &[u8]) {
        self.has_news.set(true);
        let mut ready = self.ready.borrow_mut();
        if !ready.iter().any(|known| (known.0, &*known.1) == (db, key)) {
            ready.push((db, key.into()));
        }
    }

    /// A number in 0..1, good enough for counting by chance.
    fn chance(&self) -> f64 {
        let state = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random.set(state);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How a look-up counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// A use: counted as hit or miss, and sets the access clock.
    Use,
    /// A use even by a client that leaves no trace on access clocks otherwise (TOUCH).
    Touch,
    /// Counted as hit or miss, leaves the access clock alone (TTL, TYPE, EXISTS).
    Glance,
    /// The same without an event if the key is missed (OBJECT).
    Inspect,
    /// Not counted, sets the access clock (look-ups of commands that write).
    Write,
    /// Leaves no trace (DEBUG).
    Peek,
}

/// What becomes of a key's expiry when its value is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetExpire {
    /// The old one, if there is one, stays.
    Keep,
    /// This one, or none.
    To(Option<i64>),
}

/// A database for reading.
#[derive(Clone, Copy)]
pub struct ReadDb<'a> {
    locked: &'a Locked<'a>,
    db: usize,
    env: &'a Env,
    trace: &'a Trace,
}

impl<'a> ReadDb<'a> {
    #[inline]
    pub(crate) fn new(
        locked: &'a Locked<'_>,
        db: usize,
        env: &'a Env,
        trace: &'a Trace,
    ) -> ReadDb<'a> {
        ReadDb { locked, db, env, trace }
    }

    /// The database's number.
    pub fn number(&self) -> usize {
        self.db
    }

    /// The entry of `key`.
    #[inline(always)] // how a look-up counts is known where it is made
    pub fn get(&self, key: &Key<'_>, lookup: Lookup) -> Option<ItemRef<'a, Entry>> {
        let found = self.find(key).filter(|entry| !self.is_expired(entry));
        note_lookup(self.env, self.trace, self.db, key, found.as_deref(), lookup);
        found
    }

    /// The string at `key`.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if it holds something else.
    #[inline]
    pub fn get_string(&self, key: &Key<'_>) -> Result<Option<StringRef<'a>>, StoreError> {
        string_of(self.get(key, Lookup::Use))
    }

    /// The circumstances.
    pub fn env(&self) -> &'a Env {
        self.env
    }

    /// Computes a key's hash and stripe.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.locked.keyspace().key(bytes)
    }

    #[inline]
    fn find(&self, key: &Key<'_>) -> Option<ItemRef<'a, Entry>> {
        self.locked.stripe(key.stripe).db(self.db)?.table.get(key.hash, key.bytes)
    }

    #[inline]
    fn is_expired(&self, entry: &Entry) -> bool {
        let is_expired = is_expired(self.env, entry);
        if is_expired {
            self.trace.note_met(self.env, self.db, entry);
        }
        is_expired
    }
}

/// A borrowed entry that is known to hold a string.
pub struct StringRef<'a>(ItemRef<'a, Entry>);

impl StringRef<'_> {
    /// The string.
    #[inline]
    pub fn get(&self) -> StrRef<'_> {
        self.0.string()
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.0
    }
}

/// A database for changing.
pub struct WriteDb<'a, 'p> {
    locked: &'a mut Locked<'p>,
    db: usize,
    env: &'a Env,
    trace: &'a Trace,
}

impl<'a, 'p> WriteDb<'a, 'p> {
    #[inline]
    pub(crate) fn new(
        locked: &'a mut Locked<'p>,
        db: usize,
        env: &'a Env,
        trace: &'a Trace,
    ) -> WriteDb<'a, 'p> {
        WriteDb { locked, db, env, trace }
    }

    /// The database's number.
    pub fn number(&self) -> usize {
        self.db
    }

    /// The circumstances.
    pub fn env(&self) -> &'a Env {
        self.env
    }

    /// The same locks, seen as another database (MOVE, COPY).
    pub fn in_db(&mut self, db: usize) -> WriteDb<'_, 'p> {
        self.locked.write(db, self.env, self.trace)
    }

    /// The locks, for what only the whole keyspace can do.
    pub fn locked(&mut self) -> &mut Locked<'p> {
        self.locked
    }

    /// Computes a key's hash and stripe.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.locked.keyspace().key(bytes)
    }

    /// The same database for reading, so that several values can be held at once. An expired entry
    /// that is met there stays; see [`WriteDb::expire_if_due`].
    pub fn as_read(&self) -> ReadDb<'_> {
        self.locked.read(self.db, self.env, self.trace)
    }

    /// The entry of `key`. An expired one is removed.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>, lookup: Lookup) -> Option<ItemRef<'_, Entry>> {
        self.expire_if_due(key);
        let found = self
            .locked
            .stripe(key.stripe)
            .db(self.db)
            .and_then(|db| db.table.get(key.hash, key.bytes))
            .filter(|entry| !is_expired(self.env, entry));
        note_lookup(self.env, self.trace, self.db, key, found.as_deref(), lookup);
        found
    }

    /// The string at `key`.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if it holds something else.
    pub fn get_string(
        &mut self,
        key: &Key<'_>,
        lookup: Lookup,
    ) -> Result<Option<StringRef<'_>>, StoreError> {
        string_of(self.get(key, lookup))
    }

    /// Sets `key` to a string, whatever it held. Returns what kind of value that was.
    #[inline]
    pub fn set_string(&mut self, key: &Key<'_>, value: Str<'_>, expire: SetExpire) -> Option<Kind> {
        let (env, trace) = (self.env, self.trace);
        let Some(mut place) = self.occupied(key) else {
            let expire_at_ms = if let SetExpire::To(at_ms) = expire { at_ms } else { None };
            let entry = Entry::new(key.bytes, value, expire_at_ms, env.access.initial());
            self.insert_new(key, entry);
            return None;
        };
        let old_kind = place.get().kind();
        let old_at_ms = place.get().expire_at_ms();
        let old_element_ms = place.get().next_element_expire_ms();
        let new_at_ms = match expire {
            SetExpire::Keep => old_at_ms,
            SetExpire::To(at_ms) => at_ms,
        };
        place.replace(|entry| {
            if !entry.frees_much_for(&value, new_at_ms.is_some()) {
                return used(entry.with_string(value, new_at_ms), env, trace);
            }
            let new = Entry::new(entry.key(), value, new_at_ms, entry.clock());
            trace.discard(entry, Discard::Deleted);
            used(new, env, trace)
        });
        if (old_at_ms, old_element_ms) != (new_at_ms, None) {
            place.set_flag(new_at_ms.is_some());
            self.account_expire(key, old_at_ms, new_at_ms);
            self.account_elements(key, old_element_ms, None);
        }
        self.signal(key);
        Some(old_kind)
    }

    /// Adds to the integer at `key`, 0 if there is none. Returns the sum.
    ///
    /// # Errors
    /// [`StoreError::WrongType`], [`StoreError::NotInteger`], [`StoreError::Overflow`]
    #[inline]
    pub fn increment(&mut self, key: &Key<'_>, by: i64) -> Result<i64, StoreError> {
        let (env, trace) = (self.env, self.trace);
        let Some(mut place) = self.occupied(key) else {
            let entry = Entry::new(key.bytes, Str::Int(by), None, env.access.initial());
            self.insert_new(key, entry);
            return Ok(by);
        };
        let (old, expire_at_ms) = {
            let entry = place.get();
            if entry.kind() != Kind::String {
                return Err(StoreError::WrongType);
            }
            (entry.string().to_int().ok_or(StoreError::NotInteger)?, entry.expire_at_ms())
        };
        let new = old.checked_add(by).ok_or(StoreError::Overflow)?;
        place.replace(|entry| used(entry.with_string(Str::Int(new), expire_at_ms), env, trace));
        Ok(new)
    }

    /// Lets `edit` change the bytes of the string at `key`, which must hold one if it is there,
    /// after zero bytes were added up to a length of `len_min`. The value is `raw` afterwards; its
    /// expiry stays.
    pub fn edit_string<T>(
        &mut self,
        key: &Key<'_>,
        len_min: usize,
        edit: impl FnOnce(&mut [u8]) -> T,
    ) -> T {
        let (env, trace) = (self.env, self.trace);
        let Some(mut place) = self.occupied(key) else {
            let mut buffer = vec![0; len_min];
            let result = edit(&mut buffer);
            let entry = Entry::new(key.bytes, Str::Raw(buffer), None, env.access.initial());
            self.insert_new(key, entry);
            return result;
        };
        debug_assert_eq!(place.get().kind(), Kind::String);
        let mut result = None;
        place.replace(|entry| {
            let (entry, edited) = entry.edit_string(len_min, edit);
            result = Some(edited);
            used(entry, env, trace)
        });
        result.expect("`replace` calls its function once")
    }

    /// Sets or ends the expiry of `key`. Returns whether there is such a key.
    pub fn set_expire(&mut self, key: &Key<'_>, expire_at_ms: Option<i64>) -> bool {
        self.expire_if_due(key);
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        db.before_change(key.hash, key.bytes);
        let Some(mut place) = db.table.occupied(key.hash, key.bytes) else { return false };
        let old_at_ms = place.get().expire_at_ms();
        if old_at_ms != expire_at_ms {
            place.replace(|entry| entry.with_expire(expire_at_ms));
            let has_times =
                expire_at_ms.is_some() || place.get().next_element_expire_ms().is_some();
            place.set_flag(has_times);
            self.account_expire(key, old_at_ms, expire_at_ms);
        }
        true
    }

    /// Takes the entry of `key` away. An expired one counts as expired, not as removed.
    pub fn remove(&mut self, key: &Key<'_>) -> Option<Entry> {
        self.expire_if_due(key);
        self.take(key)
    }

    /// Removes `key`. Returns whether it was there.
    pub fn delete(&mut self, key: &Key<'_>) -> bool {
        let entry = self.remove(key);
        let was_there = entry.is_some();
        if let Some(entry) = entry {
            self.trace.discard(entry, Discard::Deleted);
        }
        was_there
    }

    /// Puts an entry into the place of `key`, which its key must be; an older one is discarded.
    /// The access clock begins anew.
    pub fn put(&mut self, key: &Key<'_>, entry: Entry) {
        debug_assert_eq!(entry.key(), key.bytes);
        self.expire_if_due(key);
        if let Some(old) = self.take(key) {
            self.trace.discard(old, Discard::Deleted);
        }
        entry.set_clock(self.env.access.initial());
        self.insert_new(key, entry);
    }

    /// Puts an entry there as a snapshot has it; expiry and access clock are the entry's own. If its
    /// key is there, the old entry is discarded if it is `to_be_replaced`.
    ///
    /// # Errors
    /// The entry, if its key is there and is not to be replaced.
    pub fn load(&mut self, entry: Entry, to_be_replaced: bool) -> Result<(), Entry> {
        let place = self.key(entry.key()).place();
        let name: SmallVec<[u8; 64]> = SmallVec::from_slice(entry.key());
        let key = place.key(&name);
        if self.locked.stripe(key.stripe).has(self.db, &key) {
            if !to_be_replaced {
                return Err(entry);
            }
            if let Some(old) = self.take(&key) {
                self.trace.discard(old, Discard::Deleted);
            }
        }
        self.insert_again(&key, entry);
        Ok(())
    }

    /// Removes `key` if its time has come, and notes it. For keys that readers met.
    #[inline]
    pub fn expire_if_due(&mut self, key: &Key<'_>) {
        let Some(db) = self.locked.stripe(key.stripe).db(self.db) else { return };
        let stays = matches!(self.env.expiry, Expiry::Hide | Expiry::Ignore);
        if db.n_expires > 0
            && !stays
            && db.table.get(key.hash, key.bytes).is_some_and(|entry| is_expired(self.env, &entry))
        {
            self.expire(key);
        }
    }

    #[cold]
    fn expire(&mut self, key: &Key<'_>) {
        if let Some(entry) = self.take(key) {
            self.trace.discard(entry, Discard::Expired);
        }
        self.locked.touch_watchers(self.db, key);
        self.trace.note_expired(self.db, key.bytes, true);
    }

    /// The place of `key` for changing it. An expired entry is removed first.
    #[inline]
    fn occupied(&mut self, key: &Key<'_>) -> Option<Occupied<'_, Entry>> {
        self.expire_if_due(key);
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        db.before_change(key.hash, key.bytes);
        db.table.occupied(key.hash, key.bytes)
    }

    fn take(&mut self, key: &Key<'_>) -> Option<Entry> {
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        db.before_change(key.hash, key.bytes);
        let entry = db.table.occupied(key.hash, key.bytes)?.remove();
        let has_expire = entry.expire_at_ms().is_some();
        db.n_expires -= usize::from(has_expire);
        self.locked.count(self.db, -1, -i64::from(has_expire));
        self.account_elements(key, entry.next_element_expire_ms(), None);
        self.signal(key);
        Some(entry)
    }

    /// Lets those know who wait for a key that it was changed.
    #[inline]
    fn signal(&self, key: &Key<'_>) {
        let waits = &self.locked.stripe(key.stripe).waits;
        if waits.any() && waits.has(self.db, key.bytes) {
            self.trace.note_ready(self.db, key.bytes);
        }
    }

    fn insert_new(&mut self, key: &Key<'_>, entry: Entry) {
        self.trace.note_created(self.db, key.bytes);
        self.insert_again(key, entry);
    }

    /// As `insert_new`, of a key that is not new.
    fn insert_again(&mut self, key: &Key<'_>, entry: Entry) {
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        let (expire_at_ms, element_ms) = (entry.expire_at_ms(), entry.next_element_expire_ms());
        let has_times = expire_at_ms.is_some() || element_ms.is_some();
        db.table.insert_new(key.hash, entry, has_times);
        db.inserted(key.hash, key.bytes);
        self.locked.count(self.db, 1, 0);
        self.account_expire(key, None, expire_at_ms);
        self.account_elements(key, None, element_ms);
        self.signal(key);
    }

    /// To be called when the earliest expiry among the elements of an entry's value has changed.
    #[inline]
    fn account_elements(&mut self, key: &Key<'_>, old_ms: Option<i64>, new_ms: Option<i64>) {
        if old_ms == new_ms {
            return;
        }
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        if let Some(at_ms) = new_ms {
            db.expiry_set(at_ms);
        }
        let change = i64::from(new_ms.is_some()) - i64::from(old_ms.is_some());
        if change != 0 {
            db.n_subexpires = db.n_subexpires.checked_add_signed(change as isize).expect("counted");
            self.locked.count_subexpires(self.db, change);
        }
    }

    fn account_expire(&mut self, key: &Key<'_>, old_at_ms: Option<i64>, new_at_ms: Option<i64>) {
        let db = self.locked.stripe_mut(key.stripe).db_mut(self.db);
        if let Some(at_ms) = new_at_ms {
            db.expiry_set(at_ms);
        }
        let change = i64::from(new_at_ms.is_some()) - i64::from(old_at_ms.is_some());
        if change != 0 {
            db.n_expires = db.n_expires.checked_add_signed(change as isize).expect("counted");
            self.locked.count(self.db, 0, change);
        }
    }
}

#[inline]
pub(crate) fn is_expired(env: &Env, entry: &Entry) -> bool {
    match entry.expire_at_ms() {
        Some(at_ms) => at_ms < env.now_ms && env.expiry != Expiry::Ignore,
        None => false,
    }
}

#[inline(always)] // how a look-up counts is known where it is made
fn note_lookup(
    env: &Env,
    trace: &Trace,
    db: usize,
    key: &Key<'_>,
    found: Option<&Entry>,
    lookup: Lookup,
) {
    if !matches!(lookup, Lookup::Write | Lookup::Peek) {
        trace.count_lookup(db, key.bytes, found.is_some(), lookup);
    }
    let touches = match lookup {
        Lookup::Use | Lookup::Write => env.touches,
        Lookup::Touch => true,
        Lookup::Glance | Lookup::Inspect | Lookup::Peek => false,
    };
    if let Some(entry) = found
        && touches
    {
        entry.set_clock(env.access.used(entry.clock(), || trace.chance()));
    }
}

/// The entry with the access clock of a use.
#[inline]
fn used(entry: Entry, env: &Env, trace: &Trace) -> Entry {
    if env.touches {
        entry.set_clock(env.access.used(entry.clock(), || trace.chance()));
    }
    entry
}

#[inline]
fn string_of(entry: Option<ItemRef<'_, Entry>>) -> Result<Option<StringRef<'_>>, StoreError> {
    match entry {
        None => Ok(None),
        Some(entry) if entry.kind() == Kind::String => Ok(Some(StringRef(entry))),
        Some(_) => Err(StoreError::WrongType),
    }
}

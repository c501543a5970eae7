//! The hash type: fields with values, each with an expiry if one was given.
//!
//! | encoding | what | until |
//! |---|---|---|
//! | `listpack` | field, value, field, value, ... in the order in which they came | a limit of [`Limits`] is exceeded, or a field is to expire |
//! | `listpackex` | the same with times; see `timed_pack.rs` | a limit is exceeded |
//! | `hashtable` | see `table.rs`; a look-up takes constant time | for good |
//!
//! A hash does not know the time: whether a field has expired is its callers' to decide. Fields that
//! have expired count as fields until they are removed.

mod field;
mod table;
mod timed_pack;

use crate::entry::Kind;
use crate::structures::listpack::{At, Forward, Listpack};
use crate::structures::slim::{Either, Slim};
use crate::structures::table::ItemRef;
use crate::types::collection::Collection;
use crate::types::limits::Limits;
use crate::types::string::StrRef;
use table::FieldTable;

/// A listpack does not grow beyond this, whatever the limits say.
const PACK_BYTES_MAX: usize = 1 << 30;

/// See the module's text.
#[derive(Clone)]
pub struct Hash(Slim<Listpack, Large>);

/// What has an allocation of its own.
#[derive(Clone)]
enum Large {
    TimedPack(Listpack),
    Table(FieldTable),
}

/// What a hash is made of, to be looked at or changed.
enum Encoding<P, T> {
    Pack(P),
    TimedPack(P),
    Table(T),
}
use Encoding::{Pack, Table, TimedPack};

/// The last time at which a field may expire: times have 48 bits.
pub const AT_MS_MAX: i64 = (1 << 48) - 2;

/// One field with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldRef<'a> {
    /// Its name.
    pub name: StrRef<'a>,
    /// Its value.
    pub value: StrRef<'a>,
    /// When it expires, in Unix milliseconds.
    pub expire_at_ms: Option<i64>,
}

/// A listpack whose elements do not make a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash")]
pub struct Malformed;

/// How a hash is kept, with what a snapshot needs of it.
pub enum Form<'a> {
    /// Fields and values.
    Pack(&'a Listpack),
    /// Fields, values and times.
    TimedPack(&'a Listpack),
    /// Anything else: see [`Hash::iter`].
    Other,
}

impl Default for Hash {
    fn default() -> Self {
        Hash(Slim::small(Listpack::new()))
    }
}

impl Hash {
    /// The hash that a listpack of fields and values is, with times if `is_timed`.
    ///
    /// # Errors
    /// [`Malformed`] if there is a field twice, an element is missing, or a time is none.
    pub fn from_pack(pack: Listpack, is_timed: bool, limits: &Limits) -> Result<Hash, Malformed> {
        let tuple_len = if is_timed { timed_pack::TUPLE_LEN } else { 2 };
        if !pack.len().is_multiple_of(tuple_len) {
            return Err(Malformed);
        }
        let mut names = std::collections::HashSet::new();
        let mut last_ms = i64::MIN;
        let mut is_sorted = true;
        for (index, (_, element)) in pack.iter().enumerate() {
            if index % tuple_len == 0 && !names.insert(element.bytes()) {
                return Err(Malformed);
            }
            if index % tuple_len == 2 {
                let at_ms = element.to_int().filter(|at_ms| (0..=AT_MS_MAX).contains(at_ms));
                let at_ms = at_ms.ok_or(Malformed)?;
                let at_ms = if at_ms == 0 { i64::MAX } else { at_ms };
                is_sorted &= last_ms <= at_ms;
                last_ms = at_ms;
            }
        }
        drop(names);
        let mut hash = Hash(if is_timed { timed(pack) } else { Slim::small(pack) });
        if hash.len() > limits.hash_listpack_entries_max || !is_sorted {
            hash.make_table();
        }
        Ok(hash)
    }

    #[inline]
    fn view(&self) -> Encoding<&Listpack, &FieldTable> {
        match self.0.get() {
            Either::Small(pack) => Pack(pack),
            Either::Large(Large::TimedPack(pack)) => TimedPack(pack),
            Either::Large(Large::Table(table)) => Table(table),
        }
    }

    #[inline]
    fn view_mut(&mut self) -> Encoding<&mut Listpack, &mut FieldTable> {
        match self.0.get_mut() {
            Either::Small(pack) => Pack(pack),
            Either::Large(Large::TimedPack(pack)) => TimedPack(pack),
            Either::Large(Large::Table(table)) => Table(table),
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match self.view() {
            Pack(pack) => pack.len() / 2,
            TimedPack(pack) => pack.len() / timed_pack::TUPLE_LEN,
            Table(table) => table.len(),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        match self.view() {
            Pack(pack) | TimedPack(pack) => pack.is_empty(),
            Table(table) => table.len() == 0,
        }
    }

    /// Whether any field has an expiry.
    pub fn has_times(&self) -> bool {
        match self.view() {
            Pack(_) => false,
            TimedPack(pack) => timed_pack::next_expire_ms(pack).is_some(),
            Table(table) => table.n_timed() > 0,
        }
    }

    /// The field of this name.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        match self.view() {
            Pack(pack) => {
                let at = pack.find(pack.first()?, name, 2)?;
                let value = pack.get(pack.next(at)?);
                Some(FieldRef { name: pack.get(at), value, expire_at_ms: None })
            }
            TimedPack(pack) => {
                let at = find_timed(pack, name)?;
                let value = pack.get(pack.next(at)?);
                let expire_at_ms = timed_pack::expire_at_ms(pack, at);
                Some(FieldRef { name: pack.get(at), value, expire_at_ms })
            }
            Table(table) => table.get(name).map(ItemRef::into_parts),
        }
    }

    /// Changes the encoding if these elements (fields or values), which are going to be set, are too
    /// many or too long for it.
    pub fn make_room<'e>(
        &mut self,
        elements: impl ExactSizeIterator<Item = &'e [u8]>,
        limits: &Limits,
    ) {
        let (Pack(pack) | TimedPack(pack)) = self.view() else { return };
        let mut n_bytes = pack.n_bytes();
        let is_too_much = elements.len().div_ceil(2) > limits.hash_listpack_entries_max;
        let mut is_too_long = |element: &[u8]| {
            n_bytes = n_bytes.saturating_add(element.len());
            element.len() > limits.hash_listpack_value_bytes_max || n_bytes > PACK_BYTES_MAX
        };
        if is_too_much || { elements }.any(&mut is_too_long) {
            self.make_table();
        }
    }

    /// Makes room for times, which an expiry needs.
    pub fn hold_times(&mut self) {
        if let Pack(pack) = self.view() {
            self.0 = timed(timed_pack::from_pack(pack));
        }
    }

    /// Sets the value of a field, which is added if it is not there. With `keeps_expire`, its expiry
    /// stays, else it ends. Returns whether the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], keeps_expire: bool, limits: &Limits) -> bool {
        if name.len().max(value.len()) > limits.hash_listpack_value_bytes_max {
            self.make_table();
        }
        let is_new = match self.view_mut() {
            Pack(pack) => set_in_pack(pack, name, value),
            TimedPack(pack) => set_in_timed_pack(pack, name, value, keeps_expire),
            Table(table) => return table.set(name, value, keeps_expire),
        };
        if self.len() > limits.hash_listpack_entries_max {
            self.make_table();
        }
        is_new
    }

    /// Adds a field that is not there yet. For snapshots.
    pub fn insert_new(
        &mut self,
        name: &[u8],
        value: &[u8],
        expire_at_ms: Option<i64>,
        limits: &Limits,
    ) {
        let is_long = name.len().max(value.len()) > limits.hash_listpack_value_bytes_max;
        if is_long || self.len() >= limits.hash_listpack_entries_max {
            self.make_table();
        }
        match self.view_mut() {
            Pack(pack) if expire_at_ms.is_none() => {
                pack.push_back(name);
                pack.push_back(value);
            }
            Pack(_) => {
                self.hold_times();
                self.insert_new(name, value, expire_at_ms, limits);
            }
            TimedPack(pack) => timed_pack::insert(pack, name, value, expire_at_ms),
            Table(table) => table.insert_new(name, value, expire_at_ms),
        }
    }

    /// Sets or ends the expiry of a field. Returns whether it is there.
    pub fn set_expire(&mut self, name: &[u8], expire_at_ms: Option<i64>) -> bool {
        if expire_at_ms.is_some() {
            self.hold_times();
        }
        match self.view_mut() {
            Pack(pack) => pack.first().is_some_and(|first| pack.find(first, name, 2).is_some()),
            TimedPack(pack) => {
                let Some(at) = find_timed(pack, name) else { return false };
                timed_pack::set_expire(pack, at, expire_at_ms);
                true
            }
            Table(table) => table.set_expire(name, expire_at_ms),
        }
    }

    /// Removes a field. Returns whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let (pack, at, n_elements) = match self.view_mut() {
            Pack(pack) => {
                let at = pack.first().and_then(|first| pack.find(first, name, 2));
                (pack, at, 2)
            }
            TimedPack(pack) => {
                let at = find_timed(pack, name);
                (pack, at, timed_pack::TUPLE_LEN)
            }
            Table(table) => return table.remove(name),
        };
        at.is_some_and(|at| {
            pack.remove(at, n_elements);
            true
        })
    }

    /// All fields. Those of a listpack come in its order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = FieldRef<'_>> + '_> {
        match self.view() {
            Pack(pack) => Box::new(pairs(pack, false)),
            TimedPack(pack) => Box::new(pairs(pack, true)),
            Table(table) => Box::new(table.iter().map(ItemRef::into_parts)),
        }
    }

    /// Calls `visit` with each field, in the order of [`Hash::iter`].
    #[inline]
    pub fn each(&self, visit: impl FnMut(FieldRef<'_>)) {
        match self.view() {
            Pack(pack) => pairs(pack, false).for_each(visit),
            TimedPack(pack) => pairs(pack, true).for_each(visit),
            Table(table) => table.iter().map(ItemRef::into_parts).for_each(visit),
        }
    }

    /// Calls `visit` with each field from where `cursor` stands, until `n_fields` were met or all
    /// were. Returns the next cursor, 0 at the end. A listpack is gone through at once.
    pub fn scan(&self, cursor: u64, n_fields: usize, mut visit: impl FnMut(FieldRef<'_>)) -> u64 {
        let Table(table) = self.view() else {
            self.each(visit);
            return 0;
        };
        table.scan(cursor, n_fields, |name, value, expire_at_ms| {
            let (name, value) = (StrRef::Bytes(name), StrRef::Bytes(value));
            visit(FieldRef { name, value, expire_at_ms });
        })
    }

    /// A field drawn with equal chances; `random` gives numbers below its argument. O(1) for a
    /// table, else O(n).
    pub fn random(&self, mut random: impl FnMut(usize) -> usize) -> Option<FieldRef<'_>> {
        match self.view() {
            Table(table) => table.random(random).map(ItemRef::into_parts),
            _ if self.is_empty() => None,
            _ => self.iter().nth(random(self.len())),
        }
    }

    /// Whether drawing single fields is cheap.
    pub fn is_table(&self) -> bool {
        matches!(self.view(), Table(_))
    }

    /// Removes fields that have expired and gives the name of each to `expired`: all of a listpack,
    /// those from up to `n_buckets_max` buckets of a table, where a further call goes on. While
    /// [`Collection::next_expire_ms`] lies in the past, there may be more. Returns how many fields
    /// with an expiry it met.
    pub fn sweep(
        &mut self,
        now_ms: i64,
        n_buckets_max: usize,
        mut expired: impl FnMut(&[u8]),
    ) -> usize {
        match self.view_mut() {
            Pack(_) => 0,
            TimedPack(pack) => {
                let mut n_met = 0;
                timed_pack::remove_due(pack, now_ms, |name| {
                    n_met += 1;
                    expired(name);
                });
                n_met
            }
            Table(table) => table.sweep(now_ms, n_buckets_max, expired),
        }
    }

    /// How the hash is kept.
    pub fn form(&self) -> Form<'_> {
        match self.view() {
            Pack(pack) => Form::Pack(pack),
            TimedPack(pack) => Form::TimedPack(pack),
            Table(_) => Form::Other,
        }
    }

    /// Changes the encoding to the one for large hashes.
    pub fn make_table(&mut self) {
        if self.is_table() {
            return;
        }
        let mut table = FieldTable::default();
        self.each(|field| {
            table.insert_new(&field.name.bytes(), &field.value.bytes(), field.expire_at_ms);
        });
        self.0 = Slim::large(Large::Table(table));
    }

    /// Checks every invariant. For tests.
    #[cfg(test)]
    fn check(&self) {
        match self.view() {
            Pack(pack) => assert_eq!(pack.len() % 2, 0),
            TimedPack(pack) => {
                let times = self.iter().map(|field| field.expire_at_ms.unwrap_or(i64::MAX));
                assert!(pack.len() % 3 == 0 && times.is_sorted());
            }
            Table(table) => table.check(),
        }
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn timed(pack: Listpack) -> Slim<Listpack, Large> {
    Slim::large(Large::TimedPack(pack))
}

fn find_timed(pack: &Listpack, name: &[u8]) -> Option<At> {
    pack.find(pack.first()?, name, timed_pack::TUPLE_LEN)
}

fn set_in_pack(pack: &mut Listpack, name: &[u8], value: &[u8]) -> bool {
    let found = pack.first().and_then(|first| pack.find(first, name, 2));
    if let Some(at) = found.and_then(|field| pack.next(field)) {
        pack.replace(at, value);
        return false;
    }
    pack.push_back(name);
    pack.push_back(value);
    true
}

fn set_in_timed_pack(pack: &mut Listpack, name: &[u8], value: &[u8], keeps_expire: bool) -> bool {
    let Some(field) = find_timed(pack, name) else {
        timed_pack::insert(pack, name, value, None);
        return true;
    };
    if let Some(at) = pack.next(field) {
        pack.replace(at, value);
    }
    if !keeps_expire && timed_pack::expire_at_ms(pack, field).is_some() {
        timed_pack::set_expire(pack, field, None);
    }
    false
}

/// The fields of a listpack, in order.
struct Pairs<'a> {
    elements: Forward<'a>,
    is_timed: bool,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = FieldRef<'a>;

    // A field is much to hand over in memory.
    #[inline(always)]
    fn next(&mut self) -> Option<FieldRef<'a>> {
        let (name, value) = (self.elements.next()?, self.elements.next()?);
        let time = if self.is_timed { Some(self.elements.next()?) } else { None };
        Some(FieldRef { name, value, expire_at_ms: time.and_then(timed_pack::time_of) })
    }
}

#[inline]
fn pairs(pack: &Listpack, is_timed: bool) -> Pairs<'_> {
    Pairs { elements: pack.forward(pack.first()), is_timed }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;

    fn prefetch<'m>(&self, fields: impl Iterator<Item = &'m [u8]>) {
        if let Table(table) = self.view() {
            table.prefetch(fields);
        }
    }

    fn is_empty(&self) -> bool {
        Hash::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match self.view() {
            Pack(_) => "listpack",
            TimedPack(_) => "listpackex",
            Table(_) => "hashtable",
        }
    }

    fn mem_bytes(&self) -> usize {
        match self.view() {
            Pack(pack) | TimedPack(pack) => pack.mem_bytes(),
            Table(table) => table.mem_bytes(),
        }
    }

    fn free_effort(&self) -> usize {
        match self.view() {
            Pack(_) | TimedPack(_) => 1,
            Table(table) => table.len(),
        }
    }

    fn duplicate(&self) -> Self {
        self.clone()
    }

    #[inline]
    fn next_expire_ms(&self) -> Option<i64> {
        match self.view() {
            Pack(_) => None,
            TimedPack(pack) => timed_pack::next_expire_ms(pack),
            Table(table) => table.next_expire_ms(),
        }
    }
}

#[cfg(test)]
mod tests;

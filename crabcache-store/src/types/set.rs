//! The set type: strings, each once, in no particular order.
//!
//! Encodings, as OBJECT ENCODING names them: `intset` (all members are integers), `listpack` (few
//! short members), `hashtable`. They change where the reference changes them: with what is added,
//! never with what is removed.
//!
//! Invariant: no member is there twice.

use crate::entry::Kind;
use crate::hash::hash;
use crate::structures::intset::{self, Intset};
use crate::structures::listpack::{self, Listpack};
use crate::structures::table::Table;
use crate::types::collection::Collection;
use crate::types::limits::Limits;
use crate::types::string::{StrRef, parse_int};
use member::Member;
use std::collections::HashSet;

mod algebra;
mod member;

pub use algebra::{Wanted, difference, intersect, intersection, union};

/// See the module's text.
pub struct Set(Repr);

enum Repr {
    Ints(Intset),
    Pack(Listpack),
    Table(Box<Table<Member>>),
}

/// The encoding of a set, to be written as it stands.
#[derive(Debug, Clone, Copy)]
pub enum Encoded<'a> {
    /// The bytes of an intset.
    Ints(&'a [u8]),
    /// All members in a listpack.
    Pack(&'a Listpack),
    /// Member by member.
    Table,
}

impl Default for Set {
    fn default() -> Self {
        Set(Repr::Ints(Intset::new()))
    }
}

impl Set {
    /// A set without members that is to get `n` of them, `first` the first.
    pub fn for_members(first: &[u8], n: usize, limits: &Limits) -> Set {
        if int_of(first).is_some() && n <= limits.set_intset_entries_max {
            Set::default()
        } else if n <= limits.set_listpack_entries_max {
            Set(Repr::Pack(Listpack::new()))
        } else {
            Set::table()
        }
    }

    /// A set without members that is to be loaded with `n` of any kind.
    pub fn for_loading(n: u64, limits: &Limits) -> Set {
        let is_large = usize::try_from(n).map_or(true, |n| n > ints_max(limits));
        if is_large { Set::table() } else { Set::default() }
    }

    fn table() -> Set {
        Set(Repr::Table(Box::default()))
    }

    /// The set of these integers. `None` if there is none.
    pub fn from_intset(ints: Intset, limits: &Limits) -> Option<Set> {
        let is_large = ints.len() > limits.set_intset_entries_max;
        let mut set = Set(Repr::Ints(ints));
        if is_large {
            set.make_table();
        }
        (!set.is_empty()).then_some(set)
    }

    /// The set of the elements of a listpack. `None` if there is none, or one of them twice. O(n)
    pub fn from_listpack(pack: Listpack, limits: &Limits) -> Option<Set> {
        let mut seen = HashSet::new();
        let is_set = pack.iter().all(|(_, element)| seen.insert(element.bytes()));
        drop(seen);
        let is_large = pack.len() > limits.set_listpack_entries_max;
        let mut set = Set(Repr::Pack(pack));
        if is_large {
            set.make_table();
        }
        (is_set && !set.is_empty()).then_some(set)
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.len(),
            Repr::Pack(pack) => pack.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The encoding.
    pub fn encoded(&self) -> Encoded<'_> {
        match &self.0 {
            Repr::Ints(ints) => Encoded::Ints(ints.as_bytes()),
            Repr::Pack(pack) => Encoded::Pack(pack),
            Repr::Table(_) => Encoded::Table,
        }
    }

    /// All members, each once.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Repr::Ints(ints) => IterRepr::Ints(ints.iter()),
            Repr::Pack(pack) => IterRepr::Pack(pack.iter()),
            Repr::Table(table) => {
                IterRepr::Table(Box::new(table.iter().map(|member| member.into_bytes())))
            }
        })
    }

    /// Calls `visit` with all members, each once.
    pub fn for_each(&self, mut visit: impl FnMut(StrRef<'_>)) {
        match &self.0 {
            Repr::Ints(ints) => ints.iter().for_each(|int| visit(StrRef::Int(int))),
            Repr::Pack(pack) => pack.forward(pack.first()).for_each(visit),
            Repr::Table(table) => {
                table.iter().for_each(|member| visit(StrRef::Bytes(member.into_bytes())));
            }
        }
    }

    /// Calls `visit` with about `n_members` members and returns the cursor of the next call, 0 at
    /// the end. Begin with 0. Small sets end with the first call.
    pub fn scan(&self, cursor: u64, n_members: usize, mut visit: impl FnMut(StrRef<'_>)) -> u64 {
        match &self.0 {
            Repr::Table(table) => {
                table.scan_many(cursor, n_members, |member| visit(StrRef::Bytes(member.bytes())))
            }
            _ => {
                self.for_each(visit);
                0
            }
        }
    }

    /// Whether `value` is a member.
    #[inline]
    pub fn contains(&self, value: &[u8]) -> bool {
        match &self.0 {
            Repr::Ints(ints) => int_of(value).is_some_and(|int| ints.contains(int)),
            Repr::Pack(pack) => find(pack, value).is_some(),
            Repr::Table(table) => table.get(hash(value), value).is_some(),
        }
    }

    /// Makes room in the way of the reference for `n` more members, before they are added.
    pub fn expect(&mut self, n: usize, limits: &Limits) {
        let is_too_much = match &self.0 {
            Repr::Ints(_) => n > limits.set_intset_entries_max,
            Repr::Pack(_) => n > limits.set_listpack_entries_max,
            Repr::Table(_) => false,
        };
        if is_too_much {
            self.make_table();
        }
    }

    /// Adds a member; `false` if it was there.
    #[inline]
    pub fn add(&mut self, value: &[u8], limits: &Limits) -> bool {
        match &mut self.0 {
            Repr::Table(table) => add_to_table(table, hash(value), value),
            Repr::Ints(ints) => {
                let Some(int) = int_of(value) else {
                    return self.add_first_text(value, limits);
                };
                let is_new = ints.insert(int);
                if is_new && ints.len() > ints_max(limits) {
                    self.make_table();
                }
                is_new
            }
            Repr::Pack(pack) => {
                if find(pack, value).is_some() {
                    return false;
                }
                let fits = pack.len() < limits.set_listpack_entries_max
                    && value.len() <= limits.set_listpack_value_bytes_max
                    && is_safe(pack.n_bytes(), value.len());
                if fits {
                    pack.push_back(value);
                    return true;
                }
                self.make_table();
                self.add(value, limits)
            }
        }
    }

    /// Adds a member that is no integer to integers, which become something else.
    fn add_first_text(&mut self, value: &[u8], limits: &Limits) -> bool {
        let Repr::Ints(ints) = &self.0 else { return self.add(value, limits) };
        let len = ints.len();
        let ends = [ints.get(0), len.checked_sub(1).and_then(|last| ints.get(last))];
        let (mut value_len, mut element_len) = (value.len(), 0);
        for end in ends.into_iter().flatten() {
            StrRef::Int(end).with_bytes(|text| {
                value_len = value_len.max(text.len());
                element_len = element_len.max(Listpack::n_bytes_of(text));
            });
        }
        let fits = len < limits.set_listpack_entries_max
            && value_len <= limits.set_listpack_value_bytes_max
            && is_safe(len.saturating_mul(element_len), value.len());
        if !fits {
            self.make_table();
            return self.add(value, limits);
        }
        let mut pack = Listpack::new();
        ints.iter().for_each(|int| StrRef::Int(int).with_bytes(|text| pack.push_back(text)));
        pack.push_back(value);
        self.0 = Repr::Pack(pack);
        true
    }

    /// Removes a member; `false` if it was not there.
    pub fn remove(&mut self, value: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Ints(ints) => int_of(value).is_some_and(|int| ints.remove(int)),
            Repr::Pack(pack) => match find(pack, value) {
                Some(at) => {
                    pack.remove(at, 1);
                    true
                }
                None => false,
            },
            Repr::Table(table) => match table.occupied(hash(value), value) {
                Some(place) => {
                    drop(place.remove());
                    true
                }
                None => false,
            },
        }
    }

    /// A member drawn with equal chances; `random` gives numbers below its argument.
    pub fn random(&self, mut random: impl FnMut(usize) -> usize) -> Option<StrRef<'_>> {
        if self.is_empty() {
            return None;
        }
        match &self.0 {
            Repr::Ints(ints) => ints.get(random(ints.len())).map(StrRef::Int),
            Repr::Pack(pack) => {
                let index = random(pack.len()) as i64;
                pack.seek(index).map(|at| pack.get(at))
            }
            Repr::Table(table) => table.random(random).map(|m| StrRef::Bytes(m.into_bytes())),
        }
    }

    /// Calls `visit` with `n` different members, drawn with equal chances; with all if there are no
    /// more.
    pub fn sample(
        &self,
        n: usize,
        mut random: impl FnMut(usize) -> usize,
        mut visit: impl FnMut(StrRef<'_>),
    ) {
        let len = self.len();
        if let Repr::Table(_) = self.0
            && n < len / 3
        {
            let mut seen = HashSet::with_capacity(n);
            while seen.len() < n {
                let Some(StrRef::Bytes(member)) = self.random(&mut random) else { return };
                if seen.insert(member) {
                    visit(StrRef::Bytes(member));
                }
            }
            return;
        }
        let mut n_wanted = n.min(len);
        for (index, member) in self.iter().enumerate() {
            if n_wanted == 0 {
                return;
            }
            if random(len - index) < n_wanted {
                n_wanted -= 1;
                visit(member);
            }
        }
    }

    /// Removes a member drawn with equal chances.
    pub fn pop(&mut self, random: impl FnMut(usize) -> usize) -> Option<Vec<u8>> {
        let value = self.random(random)?.to_vec();
        self.remove(&value);
        Some(value)
    }

    /// Removes `n` members, which must be fewer than there are, drawn with equal chances, and calls
    /// `visit` with each.
    pub fn take(
        &mut self,
        n: usize,
        limits: &Limits,
        mut random: impl FnMut(usize) -> usize,
        mut visit: impl FnMut(StrRef<'_>),
    ) {
        // Above so many members taken for each that stays, those that stay are drawn. The
        // reference's number: the encoding follows from it.
        const TAKEN_PER_KEPT_MAX: usize = 5;
        let len = self.len();
        let n_kept = len.saturating_sub(n);
        if let Repr::Pack(pack) = &mut self.0 {
            let (mut kept, mut n_wanted) = (Listpack::new(), n);
            for (index, (_, element)) in pack.iter().enumerate() {
                if random(len - index) < n_wanted {
                    n_wanted -= 1;
                    visit(element);
                } else {
                    element.with_bytes(|bytes| kept.push_back(bytes));
                }
            }
            *pack = kept;
        } else if n_kept.saturating_mul(TAKEN_PER_KEPT_MAX) > n {
            for _ in 0..n {
                let Some(value) = self.pop(&mut random) else { return };
                visit(StrRef::Bytes(&value));
            }
        } else {
            let mut kept = match &self.0 {
                Repr::Ints(_) => Set::default(),
                _ => Set(Repr::Pack(Listpack::new())),
            };
            for _ in 0..n_kept {
                let Some(value) = self.pop(&mut random) else { break };
                kept.add(&value, limits);
            }
            self.for_each(visit);
            *self = kept;
        }
    }

    /// Makes it a table, whatever it was.
    fn make_table(&mut self) {
        if let Repr::Table(_) = self.0 {
            return;
        }
        let mut table = Table::new();
        self.for_each(|element| {
            element.with_bytes(|bytes| add_to_table(&mut table, hash(bytes), bytes));
        });
        self.0 = Repr::Table(Box::new(table));
    }

    /// Makes it an intset, if it may be one. All members must be integers.
    fn make_ints(&mut self, limits: &Limits) {
        if matches!(self.0, Repr::Ints(_)) || self.len() > ints_max(limits) {
            return;
        }
        let mut ints: Vec<i64> = self.iter().filter_map(StrRef::to_int).collect();
        debug_assert_eq!(ints.len(), self.len());
        ints.sort_unstable();
        self.0 = Repr::Ints(Intset::from_sorted(&ints));
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;

    fn prefetch<'m>(&self, members: impl Iterator<Item = &'m [u8]>) {
        if let Repr::Table(table) = &self.0 {
            table.prefetch_keys(members);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        Set::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Ints(_) => "intset",
            Repr::Pack(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    fn mem_bytes(&self) -> usize {
        const SAMPLES: usize = 32;
        match &self.0 {
            Repr::Ints(ints) => ints.mem_bytes(),
            Repr::Pack(pack) => pack.mem_bytes(),
            Repr::Table(table) => {
                let n_samples = table.len().clamp(1, SAMPLES);
                let sampled: usize = table.iter().take(n_samples).map(|m| m.mem_bytes()).sum();
                let members = sampled.saturating_mul(table.len()) / n_samples;
                size_of::<Table<Member>>() + table.mem_bytes() + members
            }
        }
    }

    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Ints(_) | Repr::Pack(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }

    fn duplicate(&self) -> Self {
        Set(match &self.0 {
            Repr::Ints(ints) => Repr::Ints(ints.clone()),
            Repr::Pack(pack) => Repr::Pack(pack.clone()),
            Repr::Table(table) => {
                let mut copy = Table::new();
                for member in table.iter() {
                    let bytes = member.bytes();
                    copy.insert_new(hash(bytes), Member::new(bytes), false);
                }
                Repr::Table(Box::new(copy))
            }
        })
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// See [`Set::iter`].
pub struct Iter<'a>(IterRepr<'a>);

enum IterRepr<'a> {
    Ints(intset::Iter<'a>),
    Pack(listpack::Iter<'a>),
    Table(Box<dyn Iterator<Item = &'a [u8]> + 'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = StrRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<StrRef<'a>> {
        match &mut self.0 {
            IterRepr::Ints(ints) => ints.next().map(StrRef::Int),
            IterRepr::Pack(pack) => pack.next().map(|(_, element)| element),
            IterRepr::Table(table) => table.next().map(StrRef::Bytes),
        }
    }
}

/// The integer whose text `value` is.
#[inline]
fn int_of(value: &[u8]) -> Option<i64> {
    // The text of an i64 has 20 bytes at most.
    if value.len() <= 20 { parse_int(value) } else { None }
}

#[inline]
fn find(pack: &Listpack, value: &[u8]) -> Option<listpack::At> {
    pack.first().and_then(|first| pack.find(first, value, 1))
}

fn add_to_table(table: &mut Table<Member>, hash: u64, value: &[u8]) -> bool {
    let is_new = table.get(hash, value).is_none();
    if is_new {
        table.insert_new(hash, Member::new(value), false);
    }
    is_new
}

/// Integers that an intset may hold.
fn ints_max(limits: &Limits) -> usize {
    // Compat: four times as many in the reference, whose intsets may have more than 4 GB.
    const INTS_MAX: usize = 1 << 28;
    limits.set_intset_entries_max.min(INTS_MAX)
}

/// Whether a listpack of so many bytes may get so many more.
fn is_safe(n_bytes: usize, n_added: usize) -> bool {
    const PACK_BYTES_MAX: usize = 1 << 30;
    n_bytes.saturating_add(n_added) <= PACK_BYTES_MAX
}

#[cfg(test)]
mod tests;

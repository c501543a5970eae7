//! Unions, intersections and differences, whatever the encodings.
//!
//! Members are looked up in tables a batch at a time: what the processor must fetch for them is
//! asked for before the first is compared, so that the cache misses overlap.

use super::member::Member;
use super::{Repr, Set, add_to_table};
use crate::hash::hash;
use crate::structures::listpack::Listpack;
use crate::structures::table::Table;
use crate::types::limits::Limits;
use crate::types::string::StrRef;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::ops::ControlFlow;

/// What a result is for, which decides the encoding that it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// To be stored: as compact as a set that was built member by member.
    Stored,
    /// To be told.
    Told,
}

/// Members that are looked up together.
const BATCH_LEN: usize = 16;

struct Probe<'a> {
    member: StrRef<'a>,
    hash: u64,
}

type Batch<'a> = SmallVec<[Probe<'a>; BATCH_LEN]>;

/// Calls `visit` with the members that are in all of `sets`, until it breaks off. Sorts the sets by
/// their size.
pub fn intersect<'a>(sets: &mut [&'a Set], mut visit: impl FnMut(StrRef<'a>) -> ControlFlow<()>) {
    sets.sort_by_key(|set| set.len());
    let Some((first, others)) = sets.split_first() else { return };
    let others: SmallVec<[&Set; 8]> =
        others.iter().copied().filter(|other| !std::ptr::eq(*first, *other)).collect();
    each_batch(first, others.iter().any(|other| is_table(other)), |batch| {
        others.iter().for_each(|other| retain(batch, other, true));
        batch.iter().try_for_each(|probe| visit(probe.member))
    });
}

/// The members that are in all of `sets`, to be stored. Sorts the sets by their size.
pub fn intersection(sets: &mut [&Set], limits: &Limits) -> Set {
    sets.sort_by_key(|set| set.len());
    let mut result = match sets.first() {
        Some(Set(Repr::Pack(_) | Repr::Table(_))) => Set(Repr::Pack(Listpack::new())),
        _ => Set::default(),
    };
    let mut is_all_ints = true;
    intersect(sets, |member| {
        is_all_ints = is_all_ints && member.to_int().is_some();
        member.with_bytes(|bytes| result.add(bytes, limits));
        ControlFlow::Continue(())
    });
    if is_all_ints {
        result.make_ints(limits);
    }
    result
}

/// The members that are in any of `sets`.
pub fn union(sets: &[&Set], wanted: Wanted, limits: &Limits) -> Set {
    let mut result = begin(sets, wanted);
    for (index, set) in sets.iter().enumerate() {
        if !sets[..index].iter().any(|earlier| std::ptr::eq(*earlier, *set)) {
            add_all(&mut result, set, limits);
        }
    }
    result
}

/// The members of `first` that are in none of `others`.
pub fn difference(first: &Set, others: &[&Set], wanted: Wanted, limits: &Limits) -> Set {
    let mut others: SmallVec<[&Set; 8]> = others.iter().copied().collect();
    others.push(first);
    let mut result = begin(&others, wanted);
    others.pop();
    if others.iter().any(|other| std::ptr::eq(*other, first)) {
        return result;
    }
    // The reference's choice: the encoding of what is stored may follow from it.
    let looked_up = first.len().saturating_mul(others.len() + 1) / 2;
    let gone_through =
        others.iter().fold(first.len(), |sum, other| sum.saturating_add(other.len()));
    if looked_up <= gone_through {
        others.sort_by_key(|other| Reverse(other.len()));
        each_batch(first, others.iter().any(|other| is_table(other)), |batch| {
            others.iter().for_each(|other| retain(batch, other, false));
            for probe in batch {
                probe.member.with_bytes(|bytes| result.add(bytes, limits));
            }
            ControlFlow::Continue(())
        });
        return result;
    }
    add_all(&mut result, first, limits);
    for other in others {
        other.for_each(|member| {
            member.with_bytes(|bytes| result.remove(bytes));
        });
        if result.is_empty() {
            break;
        }
    }
    result
}

/// What a result begins with.
fn begin(sets: &[&Set], wanted: Wanted) -> Set {
    let is_all_ints = sets.iter().all(|set| matches!(set.0, Repr::Ints(_)));
    if wanted == Wanted::Stored || is_all_ints { Set::default() } else { Set::table() }
}

fn is_table(set: &Set) -> bool {
    matches!(set.0, Repr::Table(_))
}

/// Calls `visit` with the members of a set in batches, until it breaks off. Hashes are computed if
/// they are wanted.
fn each_batch<'a>(
    set: &'a Set,
    wants_hashes: bool,
    mut visit: impl FnMut(&mut Batch<'a>) -> ControlFlow<()>,
) {
    let mut members = set.iter();
    let mut batch = Batch::new();
    loop {
        batch.clear();
        let probe = |member: StrRef<'a>| {
            let hash = if wants_hashes { member.with_bytes(hash) } else { 0 };
            Probe { member, hash }
        };
        batch.extend(members.by_ref().take(BATCH_LEN).map(probe));
        if batch.is_empty() || visit(&mut batch).is_break() {
            return;
        }
    }
}

/// Keeps the probes that are members of `set` (`is_wanted`), or those that are not.
fn retain(batch: &mut Batch<'_>, set: &Set, is_wanted: bool) {
    if let Repr::Table(table) = &set.0 {
        prefetch(table, batch);
    }
    batch.retain(|probe| {
        let is_member = match (&set.0, probe.member) {
            (Repr::Ints(ints), member) => member.to_int().is_some_and(|int| ints.contains(int)),
            (Repr::Table(table), member) => {
                member.with_bytes(|bytes| table.get(probe.hash, bytes).is_some())
            }
            (Repr::Pack(_), member) => member.with_bytes(|bytes| set.contains(bytes)),
        };
        is_member == is_wanted
    });
}

fn add_all(result: &mut Set, set: &Set, limits: &Limits) {
    each_batch(set, true, |batch| {
        if let Repr::Table(table) = &result.0 {
            prefetch(table, batch);
        }
        for Probe { member, hash } in batch {
            member.with_bytes(|bytes| match &mut result.0 {
                Repr::Table(table) => add_to_table(table, *hash, bytes),
                _ => result.add(bytes, limits),
            });
        }
        ControlFlow::Continue(())
    });
}

fn prefetch(table: &Table<Member>, batch: &Batch<'_>) {
    batch.iter().for_each(|probe| table.prefetch_bucket(probe.hash));
    batch.iter().for_each(|probe| table.prefetch_items(probe.hash));
}

//! A sorted set of any size: a hash table of its members, and a tree that has their order.
//!
//! Invariant: table and tree hold the same members with the same scores; the tree is ordered by
//! score, then by the bytes of the member.

use super::member::{Member, MemberRef};
use super::range::{LexRange, ScoreRange};
use super::tree::{Element, Tree};
use crate::hash::hash;
use crate::structures::table::{Item, Table};
use std::cmp::Ordering;
use std::ops::Range;

/// See the module's text.
#[derive(Default)]
pub(super) struct Large {
    // Dropped before the members that it names.
    tree: Tree,
    table: Table<Member>,
    member_bytes: usize,
}

/// The bytes of a member whose set is borrowed.
///
/// All addresses in a tree are those of members in the table beside it.
fn bytes_of(_owner: &Table<Member>, member: MemberRef) -> &[u8] {
    // SAFETY: the table owns the member, and is borrowed for as long as the result.
    unsafe { member.bytes() }
}

impl Large {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn mem_bytes(&self) -> usize {
        size_of::<Large>() + self.tree.mem_bytes() + self.table.mem_bytes() + self.member_bytes
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(hash(member), member).map(|found| found.score())
    }

    /// As [`Table::prefetch_keys`].
    pub(super) fn prefetch<'m>(&self, members: impl Iterator<Item = &'m [u8]>) {
        self.table.prefetch_keys(members);
    }

    /// Number of elements before this one, whether it is there or not.
    fn n_before(&self, score: f64, member: &[u8]) -> usize {
        self.tree.partition_point(|element| {
            match element.score.partial_cmp(&score).unwrap_or(Ordering::Equal) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => bytes_of(&self.table, element.member) < member,
            }
        })
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.n_before(score, member), score))
    }

    /// Sets the score that `decide` makes of the old one, if it makes one. Returns the old one.
    pub(super) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let hash = hash(member);
        let old = self.table.get(hash, member).map(|found| found.score());
        let Some(new) = decide(old) else { return old };
        match old {
            None => self.insert(hash, member, new),
            Some(old) if old != new => self.set_score(hash, member, old, new),
            Some(_) => {}
        }
        old
    }

    fn insert(&mut self, hash: u64, member: &[u8], score: f64) {
        let item = Member::new(member, score);
        let address = item.as_ref();
        self.member_bytes += Member::mem_bytes(member.len());
        self.table.insert_new(hash, item, false);
        let position = self.n_before(score, member);
        self.tree.insert(position, Element { score, member: address });
    }

    fn set_score(&mut self, hash: u64, member: &[u8], old: f64, new: f64) {
        let position = self.n_before(old, member);
        let Some(element) = self.tree.get(position) else { return };
        let stays = self.n_before(new, member);
        if stays == position || stays == position + 1 {
            self.tree.set_score(position, new);
        } else {
            self.tree.remove(position);
            let position = if stays > position { stays - 1 } else { stays };
            self.tree.insert(position, Element { score: new, ..element });
        }
        if let Some(mut place) = self.table.occupied(hash, member) {
            place.replace(|mut item| {
                item.set_score(new);
                item
            });
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((position, _)) = self.rank(member) else { return false };
        self.tree.remove(position);
        self.forget(member);
        true
    }

    /// Takes a member out of the table that is not in the tree any more.
    fn forget(&mut self, member: &[u8]) {
        self.member_bytes -= Member::mem_bytes(member.len());
        if let Some(place) = self.table.occupied(hash(member), member) {
            drop(place.remove());
        }
    }

    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        let start = ranks.start;
        for _ in ranks {
            let Some(element) = self.tree.get(start) else { return };
            self.tree.remove(start);
            let member = bytes_of(&self.table, element.member).to_vec();
            self.forget(&member);
        }
    }

    pub(super) fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.tree.partition_point(|element| !range.reaches_min(element.score));
        let end = self.tree.partition_point(|element| range.keeps_to_max(element.score));
        start..end.max(start)
    }

    pub(super) fn lex_ranks(&self, range: &LexRange<'_>) -> Range<usize> {
        let member = |element: Element| bytes_of(&self.table, element.member);
        let start = self.tree.partition_point(|element| !range.reaches_min(member(element)));
        let end = self.tree.partition_point(|element| range.keeps_to_max(member(element)));
        start..end.max(start)
    }

    pub(super) fn iter(
        &self,
        ranks: Range<usize>,
        is_reverse: bool,
    ) -> impl Iterator<Item = (&[u8], f64)> {
        let elements = self.tree.iter(ranks, is_reverse);
        elements.map(|element| (bytes_of(&self.table, element.member), element.score))
    }

    /// As [`Table::scan_many`].
    pub(super) fn scan(
        &self,
        cursor: u64,
        n_members: usize,
        mut visit: impl FnMut(&[u8], f64),
    ) -> u64 {
        self.table.scan_many(cursor, n_members, |member| visit(member.key(), member.score()))
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.tree.check();
        self.table.check();
        assert_eq!(self.tree.len(), self.table.len());
        let mut last = None;
        for element in self.tree.iter(0..usize::MAX, false) {
            let member = bytes_of(&self.table, element.member);
            assert_eq!(self.score(member), Some(element.score));
            assert!(last < Some((element.score, member)));
            last = Some((element.score, member));
        }
    }
}

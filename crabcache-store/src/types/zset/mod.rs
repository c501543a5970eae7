//! The sorted set type: members with scores, ordered by score, then by their bytes.
//!
//! Encodings, as OBJECT ENCODING names them: `listpack` (small: members and scores in turn in a
//! [`Listpack`]) and `skiplist` (everything else: a hash table and a counting B+-tree). A set
//! leaves the first one for good when a member is added that is beyond the limits.
//!
//! Every range of scores or members is first made a range of ranks, in log time for the second
//! encoding: counting, going through and removing then are the same for all.
//!
//! Scores are never NaN.

mod large;
mod member;
mod packed;
mod range;
mod tree;

use crate::entry::Kind;
use crate::structures::listpack::Listpack;
use crate::structures::slim::{Either, Slim};
use crate::types::collection::Collection;
use crate::types::limits::Limits;
use crate::types::string::StrRef;
use large::Large;
use packed::Packed;
pub use range::{LexBound, LexRange, ScoreRange};
use std::ops::Range;

/// See the module's text.
pub struct ZSet(Slim<Packed, Large>);

impl Default for ZSet {
    fn default() -> Self {
        ZSet(Slim::small(Packed::default()))
    }
}

impl ZSet {
    /// An empty set in the encoding of large ones: scores are kept as they are, a zero's sign
    /// among them, until [`ZSet::pack_if_small`] is called.
    pub fn large() -> ZSet {
        ZSet(Slim::large(Large::default()))
    }

    /// Takes the compact encoding if the limits allow it.
    pub fn pack_if_small(&mut self, limits: &Limits) {
        let Either::Large(large) = self.0.get() else { return };
        let len_max = limits.zset_listpack_value_bytes_max;
        if large.len() > limits.zset_listpack_entries_max
            || large.iter(0..large.len(), false).any(|(member, _)| member.len() > len_max)
        {
            return;
        }
        let mut packed = Packed::default();
        for (member, score) in large.iter(0..large.len(), false) {
            packed.insert(member, score);
        }
        self.0 = Slim::small(packed);
    }

    /// The set that a listpack of members and scores is; `None` if it is not one.
    pub fn from_listpack(pack: Listpack, limits: &Limits) -> Option<ZSet> {
        let mut set = ZSet(Slim::small(Packed::from_listpack(pack)?));
        let len_max = limits.zset_listpack_value_bytes_max;
        let is_too_long = set.iter(0..set.len(), false).any(|(member, _)| member.len() > len_max);
        if is_too_long || set.len() > limits.zset_listpack_entries_max {
            set.enlarge();
        }
        Some(set)
    }

    /// The listpack, if that is the encoding.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match self.0.get() {
            Either::Small(packed) => Some(packed.listpack()),
            Either::Large(_) => None,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self.0.get() {
            Either::Small(packed) => packed.len(),
            Either::Large(large) => large.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self.0.get() {
            Either::Small(packed) => packed.score(member),
            Either::Large(large) => large.score(member),
        }
    }

    /// The number of members before this one, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self.0.get() {
            Either::Small(packed) => packed.rank(member),
            Either::Large(large) => large.rank(member),
        }
    }

    /// The member at a rank, with its score.
    pub fn get(&self, rank: usize) -> Option<(StrRef<'_>, f64)> {
        self.iter(rank..rank.saturating_add(1), false).next()
    }

    /// The members at these ranks, in order or from the end of the range.
    pub fn iter(
        &self,
        ranks: Range<usize>,
        is_reverse: bool,
    ) -> impl Iterator<Item = (StrRef<'_>, f64)> {
        let (packed, large) = match self.0.get() {
            Either::Small(packed) => (Some(packed.iter(ranks, is_reverse)), None),
            Either::Large(large) => (None, Some(large.iter(ranks, is_reverse))),
        };
        let large = large.into_iter().flatten();
        let large = large.map(|(member, score)| (StrRef::Bytes(member), score));
        packed.into_iter().flatten().chain(large)
    }

    /// Calls `visit` with the members of [`ZSet::iter`], which is cheaper.
    #[inline]
    pub fn each(
        &self,
        ranks: Range<usize>,
        is_reverse: bool,
        mut visit: impl FnMut(StrRef<'_>, f64),
    ) {
        match self.0.get() {
            Either::Small(packed) => {
                packed.iter(ranks, is_reverse).for_each(|(member, score)| visit(member, score));
            }
            Either::Large(large) => large
                .iter(ranks, is_reverse)
                .for_each(|(member, score)| visit(StrRef::Bytes(member), score)),
        }
    }

    /// The ranks of the members with scores in a range.
    pub fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        match self.0.get() {
            Either::Small(packed) => packed.score_ranks(range),
            Either::Large(large) => large.score_ranks(range),
        }
    }

    /// The ranks of the members in a range, if all scores are equal. If they are not, whatever is
    /// found from the front, or from the end.
    pub fn lex_ranks(&self, range: &LexRange<'_>, is_reverse: bool) -> Range<usize> {
        match self.0.get() {
            Either::Small(packed) => packed.lex_ranks(range, is_reverse),
            Either::Large(large) => large.lex_ranks(range),
        }
    }

    /// Gives a member the score that `decide` makes of its old one, if it makes one; a new member
    /// is added. Returns the old score.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let packed = match self.0.get_mut() {
            Either::Large(large) => return large.update(member, decide),
            Either::Small(packed) => packed,
        };
        let old = packed.score(member);
        let Some(new) = decide(old) else { return old };
        match old {
            Some(old) if old == new => {}
            Some(_) => {
                packed.remove(member);
                packed.insert(member, new);
            }
            None if packed.len() < limits.zset_listpack_entries_max
                && member.len() <= limits.zset_listpack_value_bytes_max =>
            {
                packed.insert(member, new);
            }
            None => {
                self.enlarge().update(member, |_| Some(new));
            }
        }
        old
    }

    /// Gives a member a score. Returns its old one.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Option<f64> {
        self.update(member, limits, |_| Some(score))
    }

    /// Removes a member. Whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.0.get_mut() {
            Either::Small(packed) => packed.remove(member),
            Either::Large(large) => large.remove(member),
        }
    }

    /// Removes the members at these ranks, which must exist.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) {
        match self.0.get_mut() {
            Either::Small(packed) => packed.remove_ranks(ranks),
            Either::Large(large) => large.remove_ranks(ranks),
        }
    }

    /// Prepares for so many new members: if there are more than the compact encoding may have, it
    /// is left at once, as the reference does it even if the members turn out to be there already.
    pub fn expect(&mut self, n_members: usize, limits: &Limits) {
        if n_members > limits.zset_listpack_entries_max {
            self.enlarge();
        }
    }

    /// The same for a set that is made for a first member of this length.
    pub fn expect_first(&mut self, member_len: usize, limits: &Limits) {
        if member_len > limits.zset_listpack_value_bytes_max {
            self.enlarge();
        }
    }

    /// Calls `visit` with about `n_members` members, and returns the cursor of the next call, 0 at
    /// the end. Begin with 0. Small sets end with the first call.
    pub fn scan(
        &self,
        cursor: u64,
        n_members: usize,
        mut visit: impl FnMut(StrRef<'_>, f64),
    ) -> u64 {
        match self.0.get() {
            Either::Small(packed) => {
                packed.iter(0..usize::MAX, false).for_each(|(member, score)| visit(member, score));
                0
            }
            Either::Large(large) => {
                large.scan(cursor, n_members, |member, score| visit(StrRef::Bytes(member), score))
            }
        }
    }

    /// Leaves the compact encoding.
    fn enlarge(&mut self) -> &mut Large {
        if let Either::Small(packed) = self.0.get() {
            let mut large = Large::default();
            for (member, score) in packed.iter(0..packed.len(), false) {
                large.update(&member.bytes(), |_| Some(score));
            }
            self.0 = Slim::large(large);
        }
        match self.0.get_mut() {
            Either::Large(large) => large,
            Either::Small(_) => unreachable!("it was just left"),
        }
    }

    #[cfg(test)]
    fn check(&self) {
        if let Either::Large(large) = self.0.get() {
            large.check();
        }
    }
}

impl Collection for ZSet {
    const KIND: Kind = Kind::ZSet;

    fn prefetch<'m>(&self, members: impl Iterator<Item = &'m [u8]>) {
        if let Either::Large(large) = self.0.get() {
            large.prefetch(members);
        }
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn encoding(&self) -> &'static str {
        match self.0.get() {
            Either::Small(_) => "listpack",
            Either::Large(_) => "skiplist",
        }
    }

    fn mem_bytes(&self) -> usize {
        match self.0.get() {
            Either::Small(packed) => packed.listpack().mem_bytes(),
            Either::Large(large) => large.mem_bytes(),
        }
    }

    fn free_effort(&self) -> usize {
        match self.0.get() {
            Either::Small(_) => 1,
            Either::Large(large) => large.len(),
        }
    }

    fn duplicate(&self) -> Self {
        match self.0.get() {
            Either::Small(packed) => ZSet(Slim::small(packed.clone())),
            Either::Large(large) => {
                let mut copy = Large::default();
                for (member, score) in large.iter(0..large.len(), false) {
                    copy.update(member, |_| Some(score));
                }
                ZSet(Slim::large(copy))
            }
        }
    }
}

#[cfg(test)]
mod tests;

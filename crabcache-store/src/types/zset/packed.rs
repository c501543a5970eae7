//! A small sorted set: members and scores in turn in a listpack, in order, as Redis has them.
//!
//! An integer score stands as an integer, another one as its text. Everything is found by going
//! through the elements.

use super::range::{LexRange, ScoreRange};
use crate::algorithms::double;
use crate::structures::listpack::{At, Listpack};
use crate::structures::slim::Thin;
use crate::types::string::StrRef;
use std::ops::Range;

/// See the module's text.
#[derive(Clone, Default)]
#[repr(transparent)]
pub(super) struct Packed(Listpack);

// SAFETY: it is a listpack and nothing else, which is one.
unsafe impl Thin for Packed {}

impl Packed {
    /// The set that a listpack is; `None` if it is not one: members twice or out of order, scores
    /// that are no numbers.
    pub(super) fn from_listpack(pack: Listpack) -> Option<Packed> {
        let packed = Packed(pack);
        let mut elements = packed.0.iter().map(|(_, element)| element);
        let mut last: Option<(f64, Vec<u8>)> = None;
        let mut members = std::collections::HashSet::new();
        while let Some(member) = elements.next() {
            let score = read_score(elements.next()?)?;
            let member = member.to_vec();
            if !members.insert(member.clone()) {
                return None;
            }
            let this = Some((score, member));
            if last.is_some() && last >= this {
                return None;
            }
            last = this;
        }
        drop(elements);
        Some(packed)
    }

    pub(super) fn listpack(&self) -> &Listpack {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Elements with the places of their members, in order.
    fn elements(&self) -> impl Iterator<Item = (At, StrRef<'_>, f64)> {
        let mut places = self.0.places(self.0.first());
        std::iter::from_fn(move || {
            let ((at, member), (_, score)) = (places.next()?, places.next()?);
            Some((at, member, score_of(score)))
        })
    }

    pub(super) fn iter(
        &self,
        ranks: Range<usize>,
        is_reverse: bool,
    ) -> impl Iterator<Item = (StrRef<'_>, f64)> {
        let end = ranks.end.min(self.len());
        let n_elements = end.saturating_sub(ranks.start);
        let at = |rank: usize, offset: usize| {
            let is_there = n_elements > 0;
            is_there.then(|| self.0.seek(i64::try_from(rank * 2 + offset).ok()?)).flatten()
        };
        let (forward, backward) = if is_reverse {
            (None, Some(self.0.backward(at(end.wrapping_sub(1), 1))))
        } else {
            (Some(self.0.forward(at(ranks.start, 0))), None)
        };
        let forward = forward.map(|mut elements| {
            std::iter::from_fn(move || {
                let (member, score) = (elements.next()?, elements.next()?);
                Some((member, score_of(score)))
            })
        });
        let backward = backward.map(|mut elements| {
            std::iter::from_fn(move || {
                let (score, member) = (elements.next()?, elements.next()?);
                Some((member, score_of(score)))
            })
        });
        let forward = forward.into_iter().flatten();
        forward.chain(backward.into_iter().flatten()).take(n_elements)
    }

    /// The place of a member, and its score.
    fn find(&self, member: &[u8]) -> Option<(At, f64)> {
        let at = self.0.find(self.0.first()?, member, 2)?;
        Some((at, score_of(self.0.get(self.0.next(at)?))))
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|(_, score)| score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let mut elements = self.elements().enumerate();
        let found = elements.find(|(_, (_, own, _))| own.is(member));
        found.map(|(rank, (_, _, score))| (rank, score))
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        let is_behind = |own: StrRef<'_>, own_score: f64| {
            own_score > score || own_score == score && *own.bytes() > *member
        };
        let behind = self.elements().find(|(_, own, own_score)| is_behind(*own, *own_score));
        let mut text = Vec::with_capacity(double::TEXT_BYTES_MAX);
        double::write(&mut text, score);
        match behind.map(|(at, _, _)| at) {
            Some(at) => {
                self.0.insert(at, &text);
                self.0.insert(at, member);
            }
            None => {
                self.0.push_back(member);
                self.0.push_back(&text);
            }
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let found = self.find(member);
        if let Some((at, _)) = found {
            self.0.remove(at, 2);
        }
        found.is_some()
    }

    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        let index = i64::try_from(ranks.start * 2).unwrap_or(i64::MAX);
        if let Some(at) = self.0.seek(index) {
            self.0.remove(at, ranks.len() * 2);
        }
    }

    pub(super) fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        let n_below =
            self.elements().take_while(|(_, _, score)| !range.reaches_min(*score)).count();
        let rest = self.elements().skip(n_below);
        n_below..n_below + rest.take_while(|(_, _, score)| range.keeps_to_max(*score)).count()
    }

    // Compat: where scores differ, a range of members has no meaning, but the reference goes from
    // the end that comes first to the first member that is outside.
    pub(super) fn lex_ranks(&self, range: &LexRange<'_>, is_reverse: bool) -> Range<usize> {
        let len = self.len();
        let members = self.iter(0..len, is_reverse).map(|(member, _)| member.bytes());
        let (mut n_skipped, mut n_within) = (0, 0);
        for member in members {
            let (enters, stays) = (range.reaches_min(&member), range.keeps_to_max(&member));
            let (enters, stays) = if is_reverse { (stays, enters) } else { (enters, stays) };
            if n_within == 0 && !enters {
                n_skipped += 1;
            } else if stays {
                n_within += 1;
            } else {
                break;
            }
        }
        if is_reverse {
            len - n_skipped - n_within..len - n_skipped
        } else {
            n_skipped..n_skipped + n_within
        }
    }
}

fn read_score(element: StrRef<'_>) -> Option<f64> {
    match element {
        StrRef::Int(value) => Some(value as f64),
        StrRef::Bytes(text) => double::parse(text),
    }
}

/// The score in a well-formed set.
fn score_of(element: StrRef<'_>) -> f64 {
    read_score(element).unwrap_or(0.0)
}

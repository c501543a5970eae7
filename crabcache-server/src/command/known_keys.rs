//! The places of a request's keys: computed once, for the lock set, and kept for the handler.

use crabcache_store::{Place, StripeSet};
use smallvec::SmallVec;
use std::cell::Cell;

/// Where the keys of a request belong, in the order in which its words name them: computed for the
/// lock set and kept for the handler.
#[derive(Debug, Default)]
pub struct KnownKeys {
    places: SmallVec<[Place; 16]>,
    /// Address and length of the words.
    words: SmallVec<[(usize, usize); 16]>,
    /// The key that the handler will probably ask for next.
    next: Cell<usize>,
}

impl KnownKeys {
    /// Forgets all keys.
    #[inline]
    pub fn clear(&mut self) {
        self.places.clear();
        self.words.clear();
        self.next.set(0);
    }

    /// Adds the key that stands in `word`.
    #[inline]
    pub fn push(&mut self, word: &[u8], place: Place) {
        self.places.push(place);
        self.words.push((word.as_ptr().addr(), word.len()));
    }

    /// The place of the key in `word`, if it is the one that comes next; after the last comes the
    /// first again.
    #[inline]
    pub fn find(&self, word: &[u8]) -> Option<Place> {
        let index = self.next.get();
        let known = *self.words.get(index)?;
        if known != (word.as_ptr().addr(), word.len()) {
            return None;
        }
        self.next.set(if index + 1 == self.words.len() { 0 } else { index + 1 });
        self.places.get(index).copied()
    }

    /// The places of all keys.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The stripes of all keys.
    pub fn stripes(&self) -> StripeSet {
        self.places.iter().map(|place| place.stripe()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_are_found_in_their_order_again_and_again() {
        let keyspace = crabcache_store::Keyspace::new(16, 1, 1);
        let words: [&[u8]; 3] = [b"a", b"bb", b"a"];
        let mut known = KnownKeys::default();
        assert_eq!(known.find(words[0]), None);
        for word in words {
            known.push(word, keyspace.key(word).place());
        }
        for word in words.into_iter().chain(words) {
            assert_eq!(known.find(word), Some(keyspace.key(word).place()));
        }
        assert_eq!(known.find(words[1]), None);
        assert_eq!(known.find(words[0]), Some(keyspace.key(b"a").place()));
        assert_eq!((known.places().len(), known.stripes().len()), (3, 3));
    }
}

//! The places of a request's keys: computed once, for the lock set, and kept for the handler.

use crabcache_store::{Place, StripeSet};
use smallvec::SmallVec;
use std::cell::Cell;

/// Where the keys of a request belong, in the order in which its words name them: computed for the
/// lock set and kept for the handler.
#[derive(Debug, Default)]
pub struct KnownKeys {
    /// The only key, of the many commands that have one at a fixed place.
    single: Option<KnownKey>,
    many: SmallVec<[KnownKey; 16]>,
    /// The one of `many` that the handler will probably ask for next.
    next: Cell<usize>,
}

#[derive(Debug, Clone, Copy)]
struct KnownKey {
    /// Address and length of the word.
    word: (usize, usize),
    place: Place,
}

impl KnownKey {
    #[inline]
    fn new(word: &[u8], place: Place) -> KnownKey {
        KnownKey { word: (word.as_ptr().addr(), word.len()), place }
    }

    #[inline]
    fn is(&self, word: &[u8]) -> bool {
        self.word == (word.as_ptr().addr(), word.len())
    }
}

impl KnownKeys {
    /// Forgets all keys.
    #[inline]
    pub fn clear(&mut self) {
        self.single = None;
        if !self.many.is_empty() {
            self.many.clear();
            self.next.set(0);
        }
    }

    /// Knows the key in `word` and, until the next `clear`, no other.
    #[inline]
    pub fn set_single(&mut self, word: &[u8], place: Place) {
        self.single = Some(KnownKey::new(word, place));
    }

    /// The place of the only key, if it was set as such.
    #[inline]
    pub fn single(&self) -> Option<Place> {
        self.single.map(|key| key.place)
    }

    /// Adds the key that stands in `word`.
    #[inline]
    pub fn push(&mut self, word: &[u8], place: Place) {
        self.many.push(KnownKey::new(word, place));
    }

    /// The place of the key in `word`, if it is the one that comes next; after the last comes the
    /// first again.
    #[inline]
    pub fn find(&self, word: &[u8]) -> Option<Place> {
        if let Some(key) = &self.single {
            return key.is(word).then_some(key.place);
        }
        let index = self.next.get();
        let key = self.many.get(index).filter(|key| key.is(word))?;
        self.next.set(if index + 1 == self.many.len() { 0 } else { index + 1 });
        Some(key.place)
    }

    /// The places of the keys that were added one by one, some at a time.
    pub fn batches(&self, len: usize) -> impl Iterator<Item = impl Iterator<Item = Place> + Clone> {
        self.many.chunks(len).map(|keys| keys.iter().map(|key| key.place))
    }

    /// Their stripes.
    pub fn stripes(&self) -> StripeSet {
        self.many.iter().map(|key| key.place.stripe()).collect()
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
        assert_eq!(known.batches(2).map(Iterator::count).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(known.stripes().len(), 3);
        known.clear();
        known.set_single(words[1], keyspace.key(b"bb").place());
        assert_eq!(known.single(), Some(keyspace.key(b"bb").place()));
        assert_eq!((known.find(words[1]), known.find(words[0])), (known.single(), None));
    }
}

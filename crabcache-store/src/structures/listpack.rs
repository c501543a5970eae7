//! Listpack: a list of short strings and integers in one run of bytes, in Redis's own layout, so
//! that a snapshot or DUMP of one is a copy.
//!
//! ```text
//! u32 length in bytes | u16 number of elements, 65535: unknown | element ... | 0xff
//! element: encoding and data | its length backwards, 7 bits a byte
//! ```
//!
//! Elements are addressed by [`At`], a byte offset that holds until the next change before it.
//! Every change costs a move of what stands behind it: this is for small collections and for nodes
//! of large ones.
//!
//! Invariant: the bytes are always a well-formed listpack; what comes from outside is checked
//! before it becomes one.
//!
//! Format: <https://github.com/antirez/listpack/blob/master/listpack.md>

mod element;

use super::bytes::are_equal;
use super::slim::Thin;
use super::thin_buffer::ThinBuffer;
use crate::types::string::{StrRef, parse_int};
use element::{Encoded, back_len, element_at, n_back_len_bytes};
use smallvec::SmallVec;

const HEADER_BYTES: usize = 6;
const COUNT_AT: usize = 4;
const END: u8 = 0xff;
/// Stands for "count them".
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Where an element stands: its offset in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(usize);

/// Bytes that are no listpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a listpack")]
pub struct Malformed;

/// See the module's text. Takes 8 bytes and one allocation.
#[derive(Clone)]
#[repr(transparent)]
pub struct Listpack(ThinBuffer);

// SAFETY: it is one.
unsafe impl Thin for Listpack {}

/// Elements that are to be added at once: one growth of the listpack instead of one for each.
#[derive(Debug, Default)]
pub struct Elements {
    bytes: SmallVec<[u8; 512]>,
    n_elements: usize,
}

impl Elements {
    /// Adds an element.
    pub fn push(&mut self, value: &[u8]) {
        self.push_encoded(&Encoded::new(value));
    }

    /// Adds an integer.
    #[inline]
    pub fn push_int(&mut self, value: i64) {
        if let 0..=127 = value {
            // The common case: the value is its own encoding, and takes one byte.
            self.bytes.extend_from_slice(&[value as u8, 1]);
            self.n_elements += 1;
        } else {
            self.push_encoded(&Encoded::of_int(value));
        }
    }

    fn push_encoded(&mut self, encoded: &Encoded<'_>) {
        let (back, n_back) = back_len(encoded.data_len());
        self.bytes.extend_from_slice(encoded.head());
        self.bytes.extend_from_slice(encoded.tail());
        self.bytes.extend_from_slice(&back[..n_back]);
        self.n_elements += 1;
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    /// Bytes of a listpack without elements.
    pub const EMPTY_BYTES: usize = HEADER_BYTES + 1;

    /// A listpack without elements.
    pub fn new() -> Listpack {
        Listpack(ThinBuffer::new(&[7, 0, 0, 0, 0, 0, END]))
    }

    /// The listpack that `bytes` are. Every element is checked. O(n)
    ///
    /// # Errors
    /// [`Malformed`], whatever is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Listpack, Malformed> {
        let (head, count) = match bytes {
            [a, b, c, d, low, high, .., END] => {
                (u32::from_le_bytes([*a, *b, *c, *d]), u16::from_le_bytes([*low, *high]))
            }
            _ => return Err(Malformed),
        };
        if head as usize != bytes.len() {
            return Err(Malformed);
        }
        let (mut at, mut n_elements) = (HEADER_BYTES, 0usize);
        while at < bytes.len() - 1 {
            let data_len = element::checked_len(&bytes[at..bytes.len() - 1]).ok_or(Malformed)?;
            at += data_len + n_back_len_bytes(data_len);
            n_elements += 1;
        }
        if count != COUNT_UNKNOWN && usize::from(count) != n_elements {
            return Err(Malformed);
        }
        Ok(Listpack(ThinBuffer::new(bytes)))
    }

    /// The bytes, as a snapshot has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn n_bytes(&self) -> usize {
        self.0.len()
    }

    /// Length in bytes of the elements alone.
    pub fn elements_bytes(&self) -> usize {
        self.0.len() - Listpack::EMPTY_BYTES
    }

    /// Bytes of memory.
    pub fn mem_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Number of elements. O(1) below 65535, else O(n).
    pub fn len(&self) -> usize {
        match self.count() {
            COUNT_UNKNOWN => self.forward(self.first()).count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no element. O(1)
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// Bytes that an element of this value takes, for limits on length.
    pub fn n_bytes_of(value: &[u8]) -> usize {
        Encoded::new(value).n_bytes()
    }

    /// The first element.
    #[inline]
    pub fn first(&self) -> Option<At> {
        (self.0[HEADER_BYTES] != END).then_some(At(HEADER_BYTES))
    }

    /// The last element.
    pub fn last(&self) -> Option<At> {
        self.before(self.0.len() - 1)
    }

    /// The element behind `at`.
    #[inline]
    pub fn next(&self, at: At) -> Option<At> {
        let next = self.end_of(at);
        (self.0[next] != END).then_some(At(next))
    }

    /// The element before `at`.
    pub fn prev(&self, at: At) -> Option<At> {
        self.before(at.0)
    }

    /// The element number `index`, counted from 0, or from -1 at the end. O(n), from the nearer end.
    pub fn seek(&self, index: i64) -> Option<At> {
        let (mut at, n_steps) = match self.count() {
            COUNT_UNKNOWN => return self.seek_from_end_named(index),
            count => {
                let len = i64::from(count);
                let index = if index < 0 { index + len } else { index };
                if !(0..len).contains(&index) {
                    return None;
                }
                if index > len / 2 {
                    (self.last()?, index - len + 1)
                } else {
                    (self.first()?, index)
                }
            }
        };
        for _ in 0..n_steps.unsigned_abs() {
            at = if n_steps < 0 { self.prev(at)? } else { self.next(at)? };
        }
        Some(at)
    }

    /// As [`Listpack::seek`], from the end that the sign names.
    fn seek_from_end_named(&self, index: i64) -> Option<At> {
        if index < 0 {
            let step = |at: &At| self.prev(*at);
            std::iter::successors(self.last(), step).nth(usize::try_from(-(index + 1)).ok()?)
        } else {
            let step = |at: &At| self.next(*at);
            std::iter::successors(self.first(), step).nth(usize::try_from(index).ok()?)
        }
    }

    /// The element at `at`.
    #[inline]
    pub fn get(&self, at: At) -> StrRef<'_> {
        element_at(&self.0[at.0..]).0
    }

    /// All elements with their places, in order; also from the end.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pack: self, front: self.first(), back: self.last() }
    }

    /// The elements from `at` on, in order. Cheaper than [`Listpack::iter`].
    #[inline]
    pub fn forward(&self, at: Option<At>) -> Forward<'_> {
        let end = self.0.len() - 1;
        Forward { bytes: &self.0[at.map_or(end, |at| at.0)..] }
    }

    /// The same with their places.
    #[inline]
    pub fn places(&self, at: Option<At>) -> Places<'_> {
        Places { n_bytes: self.0.len(), rest: self.forward(at) }
    }

    /// The elements from `at` on to the front.
    #[inline]
    pub fn backward(&self, at: Option<At>) -> Backward<'_> {
        Backward { pack: self, at }
    }

    /// The first element from `at` on, of every `step`th, that is `value`.
    pub fn find(&self, at: At, value: &[u8], step: usize) -> Option<At> {
        let int = if value.len() <= 20 { parse_int(value) } else { None };
        let mut places = self.places(Some(at));
        loop {
            let (here, element) = places.next()?;
            let is_equal = match element {
                StrRef::Int(own) => int == Some(own),
                StrRef::Bytes(own) => are_equal(own, value),
            };
            if is_equal {
                return Some(here);
            }
            for _ in 1..step {
                places.next()?;
            }
        }
    }

    /// Adds an element at the end.
    pub fn push_back(&mut self, value: &[u8]) {
        self.put(self.0.len() - 1, 0, value, 1);
    }

    /// Adds elements at the end.
    pub fn push_all(&mut self, elements: &Elements) {
        self.0.splice(self.0.len() - 1, 0, &[&elements.bytes]);
        self.add_to_count(elements.n_elements as i64);
    }

    /// The integer at `at`; `None` if it is something else.
    #[inline]
    pub fn get_int(&self, at: At) -> Option<i64> {
        match self.get(at) {
            StrRef::Int(value) => Some(value),
            StrRef::Bytes(_) => None,
        }
    }

    /// Puts an integer into the element at `at`, which stays its place.
    pub fn replace_int(&mut self, at: At, value: i64) {
        let encoded = Encoded::of_int(value);
        let (back, n_back) = back_len(encoded.data_len());
        let removed = self.end_of(at) - at.0;
        self.0.splice(at.0, removed, &[encoded.head(), &back[..n_back]]);
    }

    /// Adds an element at the front.
    pub fn push_front(&mut self, value: &[u8]) {
        self.put(HEADER_BYTES, 0, value, 1);
    }

    /// Adds an element before `at`, which is then the new one's place.
    pub fn insert(&mut self, at: At, value: &[u8]) {
        self.put(at.0, 0, value, 1);
    }

    /// Adds an element behind `at`. Returns its place.
    pub fn insert_after(&mut self, at: At, value: &[u8]) -> At {
        let end = self.end_of(at);
        self.put(end, 0, value, 1);
        At(end)
    }

    /// Puts another value into the element at `at`, which stays its place.
    pub fn replace(&mut self, at: At, value: &[u8]) {
        let removed = self.end_of(at) - at.0;
        self.put(at.0, removed, value, 0);
    }

    /// Removes the `n` elements from `at` on, or as many as there are. Returns the place of the one
    /// that follows, if there is one.
    pub fn remove(&mut self, at: At, n: usize) -> Option<At> {
        let (mut end, mut n_removed) = (at.0, 0);
        while n_removed < n && self.0[end] != END {
            end = self.end_of(At(end));
            n_removed += 1;
        }
        self.0.splice(at.0, end - at.0, &[]);
        self.add_to_count(-(n_removed as i64));
        (self.0[at.0] != END).then_some(at)
    }

    /// Moves the elements from `at` on into a listpack of their own.
    pub fn split_off(&mut self, at: At) -> Listpack {
        let mut tail = Listpack::new();
        let end = self.0.len() - 1;
        tail.0.splice(HEADER_BYTES, 0, &[&self.0[at.0..end]]);
        let n_moved = self.forward(Some(at)).count();
        tail.add_to_count(n_moved as i64);
        self.0.splice(at.0, end - at.0, &[]);
        self.add_to_count(-(n_moved as i64));
        tail
    }

    /// Adds all elements of another listpack behind the own ones.
    pub fn append(&mut self, other: &Listpack) {
        self.splice_all(self.0.len() - 1, other);
    }

    /// Adds all elements of another listpack before the own ones.
    pub fn prepend(&mut self, other: &Listpack) {
        self.splice_all(HEADER_BYTES, other);
    }

    fn splice_all(&mut self, at: usize, other: &Listpack) {
        let n_added = other.len();
        let elements = &other.0[HEADER_BYTES..other.0.len() - 1];
        self.0.splice(at, 0, &[elements]);
        self.add_to_count(n_added as i64);
    }

    fn count(&self) -> u16 {
        u16::from_le_bytes([self.0[COUNT_AT], self.0[COUNT_AT + 1]])
    }

    /// Keeps the number of elements. Once it is too large to be written, it is counted when asked
    /// for, until so many are gone that somebody who counted has written it again.
    fn add_to_count(&mut self, change: i64) {
        let old = match self.count() {
            // The elements have been changed already.
            COUNT_UNKNOWN if change < 0 => self.forward(self.first()).count() as i64 - change,
            COUNT_UNKNOWN => return,
            count => i64::from(count),
        };
        let new = u16::try_from(old + change).unwrap_or(COUNT_UNKNOWN);
        self.0[COUNT_AT..HEADER_BYTES].copy_from_slice(&new.to_le_bytes());
    }

    fn put(&mut self, at: usize, removed: usize, value: &[u8], change: i64) {
        let encoded = Encoded::new(value);
        match encoded.as_short() {
            Some((bytes, len)) => self.0.splice(at, removed, &[&bytes[..len]]),
            None => {
                let (back, n_back) = back_len(encoded.data_len());
                self.0.splice(at, removed, &[encoded.head(), encoded.tail(), &back[..n_back]]);
            }
        }
        self.add_to_count(change);
    }

    /// Where the element at `at` ends.
    #[inline]
    fn end_of(&self, at: At) -> usize {
        let (_, data_len) = element_at(&self.0[at.0..]);
        at.0 + data_len + n_back_len_bytes(data_len)
    }

    /// The element that ends at `end`.
    fn before(&self, end: usize) -> Option<At> {
        if end == HEADER_BYTES {
            return None;
        }
        let data_len = element::read_back_len(&self.0[..end]);
        Some(At(end - n_back_len_bytes(data_len) - data_len))
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(_, element)| element)).finish()
    }
}

impl<'a> FromIterator<&'a [u8]> for Listpack {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut pack = Listpack::new();
        values.into_iter().for_each(|value| pack.push_back(value));
        pack
    }
}

/// See [`Listpack::forward`].
#[derive(Clone)]
pub struct Forward<'a> {
    /// From the next element to the end of the listpack.
    bytes: &'a [u8],
}

impl<'a> Forward<'a> {
    /// The next element, if it is no short string.
    #[inline(never)]
    fn next_other(&mut self) -> Option<StrRef<'a>> {
        if *self.bytes.first()? == END {
            return None;
        }
        let (element, data_len) = element_at(self.bytes);
        self.bytes = &self.bytes[data_len + n_back_len_bytes(data_len)..];
        Some(element)
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = StrRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = self.bytes.split_first()?;
        if let 0x80..=0xbf = first {
            // A short string, the common case: one byte before it and one behind it.
            let (string, rest) = rest.split_at(usize::from(first & 0x3f));
            self.bytes = &rest[1..];
            return Some(StrRef::Bytes(string));
        }
        self.next_other()
    }
}

/// See [`Listpack::places`].
#[derive(Clone)]
pub struct Places<'a> {
    n_bytes: usize,
    rest: Forward<'a>,
}

impl<'a> Iterator for Places<'a> {
    type Item = (At, StrRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = At(self.n_bytes - self.rest.bytes.len());
        Some((at, self.rest.next()?))
    }
}

/// See [`Listpack::backward`].
#[derive(Clone)]
pub struct Backward<'a> {
    pack: &'a Listpack,
    at: Option<At>,
}

impl<'a> Iterator for Backward<'a> {
    type Item = StrRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at?;
        self.at = self.pack.prev(at);
        Some(self.pack.get(at))
    }
}

/// See [`Listpack::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    pack: &'a Listpack,
    front: Option<At>,
    back: Option<At>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (At, StrRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.front?;
        if self.front == self.back {
            (self.front, self.back) = (None, None);
        } else {
            self.front = self.pack.next(at);
        }
        Some((at, self.pack.get(at)))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let at = self.back?;
        if self.front == self.back {
            (self.front, self.back) = (None, None);
        } else {
            self.back = self.pack.prev(at);
        }
        Some((at, self.pack.get(at)))
    }
}

#[cfg(test)]
mod tests;

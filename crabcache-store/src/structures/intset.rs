//! Intset: integers in ascending order in one run of bytes, in Redis's own layout, so that a
//! snapshot or DUMP of one is a copy.
//!
//! ```text
//! u32 bytes of an integer: 2, 4 or 8 | u32 number of integers | integer ...   lowest byte first
//! ```
//!
//! All integers are as wide as the widest that was ever in it. A look-up is a binary search; every
//! change costs a move of what stands behind it.
//!
//! Invariant: the integers ascend strictly; what comes from outside is checked first.

use super::thin_buffer::ThinBuffer;
use std::ops::Range;

/// The layout stands behind the buffer's own length.
const BASE: usize = size_of::<u32>();
const WIDTH_AT: usize = BASE;
const COUNT_AT: usize = BASE + 4;
const INTS_AT: usize = BASE + 8;

/// Bytes that are no intset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an intset")]
pub struct Malformed;

/// See the module's text. Takes 8 bytes and one allocation.
#[derive(Clone)]
pub struct Intset(ThinBuffer);

impl Default for Intset {
    fn default() -> Self {
        Intset::new()
    }
}

impl Intset {
    /// An intset without integers.
    pub fn new() -> Intset {
        Intset::of_width(2, [].into_iter())
    }

    /// The intset that `bytes` are. Every integer is checked. O(n)
    ///
    /// # Errors
    /// [`Malformed`], whatever is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Intset, Malformed> {
        let [a, b, c, d, e, f, g, h, ints @ ..] = bytes else { return Err(Malformed) };
        let width = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let count = u32::from_le_bytes([*e, *f, *g, *h]) as usize;
        let is_whole = matches!(width, 2 | 4 | 8)
            && count.checked_mul(width) == Some(ints.len())
            && u32::try_from(bytes.len() + BASE).is_ok();
        if !is_whole {
            return Err(Malformed);
        }
        let ascends = ints.chunks_exact(width).map(read).is_sorted_by(|a, b| a < b);
        if !ascends {
            return Err(Malformed);
        }
        let mut buffer = vec![0; BASE];
        buffer.extend_from_slice(bytes);
        Ok(Intset(ThinBuffer::new(&buffer)))
    }

    /// The intset of integers that ascend strictly.
    pub fn from_sorted(ints: &[i64]) -> Intset {
        debug_assert!(ints.is_sorted_by(|a, b| a < b));
        let ends = [ints.first(), ints.last()];
        let width = ends.into_iter().flatten().map(|int| width_of(*int)).max().unwrap_or(2);
        Intset::of_width(width, ints.iter().copied())
    }

    fn of_width(width: usize, ints: impl Iterator<Item = i64>) -> Intset {
        let mut buffer = vec![0; INTS_AT];
        buffer[WIDTH_AT] = width as u8;
        let mut count = 0u32;
        for int in ints {
            buffer.extend_from_slice(&int.to_le_bytes()[..width]);
            count += 1;
        }
        buffer[COUNT_AT..INTS_AT].copy_from_slice(&count.to_le_bytes());
        Intset(ThinBuffer::new(&buffer))
    }

    /// The bytes, as a snapshot has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[BASE..]
    }

    /// Bytes of memory.
    pub fn mem_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Number of integers.
    #[inline]
    pub fn len(&self) -> usize {
        self.word(COUNT_AT) as usize
    }

    /// Whether there is no integer.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Integer number `index`, counted from the smallest.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// All integers, in ascending order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { ints: self, range: 0..self.len() }
    }

    /// Whether the integer is there. O(log n)
    #[inline]
    pub fn contains(&self, int: i64) -> bool {
        self.position(int).is_ok()
    }

    /// Adds an integer; `false` if it was there. O(n)
    pub fn insert(&mut self, int: i64) -> bool {
        let Err(index) = self.position(int) else { return false };
        if width_of(int) > self.width() {
            *self = Intset::of_width(width_of(int), self.iter());
        }
        let (width, count) = (self.width(), self.word(COUNT_AT));
        self.0.splice(INTS_AT + index * width, 0, &[&int.to_le_bytes()[..width]]);
        self.write_count(count + 1);
        true
    }

    /// Removes an integer; `false` if it was not there. O(n)
    pub fn remove(&mut self, int: i64) -> bool {
        let Ok(index) = self.position(int) else { return false };
        let (width, count) = (self.width(), self.word(COUNT_AT));
        self.0.splice(INTS_AT + index * width, width, &[]);
        self.write_count(count - 1);
        true
    }

    /// Where an integer stands, or where it would.
    #[inline]
    fn position(&self, int: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        if width_of(int) > self.width() {
            return Err(if int < 0 { low } else { high });
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let own = self.at(middle);
            if own == int {
                return Ok(middle);
            }
            if own < int {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Err(low)
    }

    #[inline]
    fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let at = INTS_AT + index * width;
        read(&self.0[at..at + width])
    }

    #[inline]
    fn width(&self) -> usize {
        usize::from(self.0[WIDTH_AT])
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    fn write_count(&mut self, count: u32) {
        self.0[COUNT_AT..INTS_AT].copy_from_slice(&count.to_le_bytes());
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// See [`Intset::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    ints: &'a Intset,
    range: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.range.next().map(|index| self.ints.at(index))
    }
}

/// Reads an integer of two, four or eight bytes.
#[inline]
fn read(bytes: &[u8]) -> i64 {
    match *bytes {
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(bytes.try_into().expect("two, four or eight bytes")),
    }
}

/// Bytes that an integer needs.
#[inline]
fn width_of(int: i64) -> usize {
    if i16::try_from(int).is_ok() {
        2
    } else if i32::try_from(int).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn any_int() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20..20i64,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
            Just(i64::MIN),
            Just(i64::MAX),
            Just(32768),
            Just(-32769)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 200 }))]

        #[test]
        fn behaves_as_a_sorted_set(steps in proptest::collection::vec((any_int(), 0..3u8), 0..80)) {
            let (mut ints, mut model) = (Intset::new(), BTreeSet::new());
            for (int, step) in steps {
                match step {
                    0 => prop_assert_eq!(ints.remove(int), model.remove(&int)),
                    _ => prop_assert_eq!(ints.insert(int), model.insert(int)),
                }
                prop_assert_eq!(ints.contains(int), model.contains(&int));
                prop_assert!(ints.iter().eq(model.iter().copied()));
                prop_assert_eq!(ints.len(), model.len());
                let read = Intset::from_bytes(ints.as_bytes());
                prop_assert!(read.is_ok_and(|read| read.as_bytes() == ints.as_bytes()));
            }
            let sorted: Vec<i64> = model.into_iter().collect();
            prop_assert!(Intset::from_sorted(&sorted).iter().eq(ints.iter()));
            prop_assert_eq!(ints.get(sorted.len()), None);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Intset::from_bytes(&bytes);
        }
    }

    #[test]
    fn the_layout_is_the_references() {
        let ints = Intset::from_sorted(&[-1, 2, 300]);
        assert_eq!(ints.as_bytes(), b"\x02\0\0\0\x03\0\0\0\xff\xff\x02\0\x2c\x01");
        let damaged: &[&[u8]] = &[
            b"",
            b"\x02\0\0\0\0\0\0",
            b"\x03\0\0\0\0\0\0\0",
            b"\x02\0\0\0\x01\0\0\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\x02\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x08\0\0\0\xff\xff\xff\xff\x01\0",
        ];
        for bytes in damaged {
            assert!(Intset::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}

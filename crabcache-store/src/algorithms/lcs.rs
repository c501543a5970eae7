//! The longest common subsequence of two strings, and where its parts stand.
//!
//! Where several subsequences are longest, the choice is the reference's: the walk from the ends of
//! both strings goes back in `a` only if that loses nothing that going back in `b` would keep.
//!
//! Computed 64 columns at a time (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): bit
//! j of row i is clear where the table of lengths steps up from column j to j + 1. These bits are
//! all that the walk needs, so a table takes `a.len() * b.len() / 8` bytes, and a row if only the
//! length is wanted.

/// A part of the subsequence that is contiguous in both strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Where it begins in the first string.
    pub a: usize,
    /// Where it begins in the second string.
    pub b: usize,
    /// Its length in bytes.
    pub len: usize,
}

/// Length of the longest common subsequence.
pub fn length(a: &[u8], b: &[u8]) -> usize {
    let masks = Masks::new(a, b);
    let mut row = vec![u64::MAX; masks.n_words];
    for byte in a {
        masks.next_row(*byte, &mut row);
    }
    n_steps(&row, b.len())
}

/// The longest common subsequence: its parts, the last first. The sum of their lengths is its
/// length.
pub fn matches(a: &[u8], b: &[u8]) -> Vec<Match> {
    let masks = Masks::new(a, b);
    let n_words = masks.n_words;
    let mut rows = vec![u64::MAX; n_words * (a.len() + 1)];
    for (index, byte) in a.iter().enumerate() {
        let (done, next) = rows.split_at_mut(n_words * (index + 1));
        let next = &mut next[..n_words];
        next.copy_from_slice(&done[n_words * index..]);
        masks.next_row(*byte, next);
    }
    let steps_up = |i: usize, j: usize| rows[n_words * i + j / 64] >> (j % 64) & 1 == 0;
    let mut matches: Vec<Match> = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            match matches.last_mut() {
                Some(last) if (last.a, last.b) == (i + 1, j + 1) => {
                    *last = Match { a: i, b: j, len: last.len + 1 };
                }
                _ => matches.push(Match { a: i, b: j, len: 1 }),
            }
        } else if steps_up(i, j - 1) {
            // Without b[j - 1] it would be shorter, so it is no shorter without a[i - 1].
            i -= 1;
        } else {
            j -= 1;
        }
    }
    matches
}

/// For each byte, in which columns (bytes of `b`) it stands.
struct Masks {
    n_words: usize,
    /// Which mask belongs to a byte; the first is empty.
    indexes: [u16; 256],
    words: Vec<u64>,
}

impl Masks {
    /// The masks of the bytes in `a`.
    fn new(a: &[u8], b: &[u8]) -> Masks {
        let n_words = b.len().div_ceil(64);
        let mut is_needed = [false; 256];
        a.iter().for_each(|byte| is_needed[usize::from(*byte)] = true);
        let mut indexes = [0; 256];
        let mut n_masks = 1;
        for byte in b {
            let index = &mut indexes[usize::from(*byte)];
            if *index == 0 && is_needed[usize::from(*byte)] {
                *index = n_masks;
                n_masks += 1;
            }
        }
        let mut words = vec![0; n_words * usize::from(n_masks)];
        for (column, byte) in b.iter().enumerate() {
            let index = usize::from(indexes[usize::from(*byte)]);
            if index > 0 {
                words[n_words * index + column / 64] |= 1 << (column % 64);
            }
        }
        Masks { n_words, indexes, words }
    }

    /// Turns the row before `byte` of `a` into the row after it.
    fn next_row(&self, byte: u8, row: &mut [u64]) {
        let index = usize::from(self.indexes[usize::from(byte)]);
        if index == 0 {
            return;
        }
        let mask = &self.words[self.n_words * index..][..self.n_words];
        let mut carry = false;
        for (word, mask) in row.iter_mut().zip(mask) {
            let matching = *word & mask;
            let (sum, carry1) = word.overflowing_add(matching);
            let (sum, carry2) = sum.overflowing_add(u64::from(carry));
            carry = carry1 || carry2;
            *word = sum | (*word & !mask);
        }
    }
}

/// Clear bits among the first `n_columns` of a row.
fn n_steps(row: &[u64], n_columns: usize) -> usize {
    let mut n_left = n_columns;
    let mut n_steps = 0;
    for word in row {
        let n_bits = n_left.min(64);
        let unused = if n_bits == 64 { 0 } else { u64::MAX << n_bits };
        n_steps += (word | unused).count_zeros() as usize;
        n_left -= n_bits;
    }
    n_steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same from the whole table of lengths.
    fn matches_by_table(a: &[u8], b: &[u8]) -> Vec<Match> {
        let mut lengths = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                lengths[i][j] = if a[i - 1] == b[j - 1] {
                    lengths[i - 1][j - 1] + 1
                } else {
                    lengths[i - 1][j].max(lengths[i][j - 1])
                };
            }
        }
        let (mut i, mut j, mut pairs) = (a.len(), b.len(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if lengths[i - 1][j] > lengths[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        assert_eq!(pairs.len(), lengths[a.len()][b.len()]);
        let contiguous = |last: &(usize, usize), next: &(usize, usize)| {
            (next.0 + 1, next.1 + 1) == (last.0, last.1)
        };
        let part = |part: &[(usize, usize)]| {
            let (a, b) = part[part.len() - 1];
            Match { a, b, len: part.len() }
        };
        pairs.chunk_by(contiguous).map(part).collect()
    }

    #[test]
    fn examples() {
        let parts = |a: &str, b: &str| matches(a.as_bytes(), b.as_bytes());
        let found = parts("ohmytext", "mynewtext");
        assert_eq!(found, [Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }]);
        assert_eq!(length(b"ohmytext", b"mynewtext"), 6);
        for (a, b) in [("", ""), ("", "x"), ("x", ""), ("abc", "xyz")] {
            assert_eq!((parts(a, b), length(a.as_bytes(), b.as_bytes())), (Vec::new(), 0));
        }
        let long = "x".repeat(1000);
        assert_eq!(parts(&long, &long), [Match { a: 0, b: 0, len: 1000 }]);
    }

    fn strings() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let of = |letters: u8| {
            let string = move || proptest::collection::vec(0..letters, 0..200);
            (string(), string())
        };
        prop_oneof![of(2), of(4), of(20), of(255)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 500 }))]

        #[test]
        fn agrees_with_the_table_of_lengths((a, b) in strings()) {
            let found = matches(&a, &b);
            prop_assert_eq!(&found, &matches_by_table(&a, &b));
            prop_assert_eq!(found.iter().map(|part| part.len).sum::<usize>(), length(&a, &b));
        }
    }
}

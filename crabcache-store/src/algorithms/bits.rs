//! Strings as rows of bits: counting, searching and combining them.
//!
//! Bit 0 is the highest bit of the first byte. All loops run over whole words or blocks, so that the
//! compiler can use vector instructions (`wide.rs`).

use super::wide::wide;
use std::ops::Range;

wide! {
    /// Number of bits that are set.
    pub fn count(bytes: &[u8]) -> u64 {
        // No sum can overflow; checking it would keep the compiler from using vectors.
        let add = |sum: u64, ones: u32| sum.wrapping_add(u64::from(ones));
        let (words, rest) = bytes.as_chunks::<8>();
        let in_words = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones());
        let in_rest = rest.iter().map(|byte| byte.count_ones());
        in_rest.fold(in_words.fold(0, add), add)
    }
}

/// Number of bits that are set among those of a range.
pub fn count_range(bytes: &[u8], bits: Range<usize>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    let before = bytes[first] & !from_bit(bits.start);
    let behind = bytes[last] & from_bit_behind(bits.end);
    let outside = before.count_ones() + behind.count_ones();
    count(&bytes[first..=last]) - u64::from(outside)
}

/// The place of the first bit that is `bit`.
pub fn find(bytes: &[u8], bit: bool) -> Option<usize> {
    let other = if bit { 0 } else { 0xff };
    let index = count_leading(bytes, other);
    let byte = bytes.get(index)? ^ other;
    Some(index * 8 + byte.leading_zeros() as usize)
}

/// The place of the first bit that is `bit` among those of a range.
pub fn find_range(bytes: &[u8], bits: Range<usize>, bit: bool) -> Option<usize> {
    if bits.is_empty() {
        return None;
    }
    let other = if bit { 0 } else { 0xff };
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    let in_first = (bytes[first] ^ other) & from_bit(bits.start);
    let found = if in_first != 0 {
        first * 8 + in_first.leading_zeros() as usize
    } else {
        (first + 1) * 8 + find(&bytes[first + 1..=last], bit)?
    };
    (found < bits.end).then_some(found)
}

/// The bits of a byte from bit number `bit` of the string on.
fn from_bit(bit: usize) -> u8 {
    0xff >> (bit % 8)
}

/// The bits of the last byte that stand behind a range that ends before bit number `end`.
fn from_bit_behind(end: usize) -> u8 {
    if end.is_multiple_of(8) { 0 } else { from_bit(end) }
}

wide! {
    /// How many of the first bytes are `byte`.
    fn count_leading(bytes: &[u8], byte: u8) -> usize {
        let (blocks, _) = bytes.as_chunks::<64>();
        let differs = |block: &[u8; 64]| block.iter().fold(0, |all, own| all | (own ^ byte)) != 0;
        let start = 64 * blocks.iter().position(differs).unwrap_or(blocks.len());
        let rest = &bytes[start..];
        start + rest.iter().position(|own| *own != byte).unwrap_or(rest.len())
    }
}

/// How BITOP combines strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combination {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number of them.
    Xor,
    /// Not set in the first, which is the only one.
    Not,
    /// Set in the first and in none of the others.
    Diff,
    /// Not set in the first, but in any of the others.
    Diff1,
    /// Set in the first and in any of the others.
    AndOr,
    /// Set in exactly one.
    One,
}

/// Combined so many bytes at a time, which stay in the processor's nearest cache meanwhile.
const BLOCK_BYTES: usize = if cfg!(miri) { 64 } else { 4096 };

/// Combines strings; the shorter ones are continued by zeros. The result is as long as the longest.
pub fn combine(combination: Combination, sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = vec![0; len];
    for (index, block) in result.chunks_mut(BLOCK_BYTES).enumerate() {
        let range = index * BLOCK_BYTES..index * BLOCK_BYTES + block.len();
        combine_block(combination, sources, range, block);
    }
    result
}

/// Combines the bytes of a range into `block`, which holds zeros.
fn combine_block(
    combination: Combination,
    sources: &[&[u8]],
    range: Range<usize>,
    block: &mut [u8],
) {
    let part = |source: &&'_ [u8]| -> Range<usize> {
        range.start.min(source.len())..range.end.min(source.len())
    };
    let [first, others @ ..] = sources else { return };
    let first = &first[part(first)];
    let mut others = others.iter().map(|source| &source[part(source)]);
    match combination {
        Combination::Diff | Combination::Diff1 | Combination::AndOr => {
            others.by_ref().for_each(|source| or(block, source));
        }
        _ => block[..first.len()].copy_from_slice(first),
    }
    match combination {
        Combination::And => others.for_each(|source| and(block, source)),
        Combination::Or => others.for_each(|source| or(block, source)),
        Combination::Xor => others.for_each(|source| xor(block, source)),
        Combination::Not => not(block),
        Combination::Diff => {
            not(block);
            and(block, first);
        }
        Combination::Diff1 => and_not(block, first),
        Combination::AndOr => and(block, first),
        Combination::One => {
            let mut repeated = [0; BLOCK_BYTES];
            for source in others {
                note_common(&mut repeated, block, source);
                xor(block, source);
            }
            and_not(block, &repeated);
        }
    }
}

wide! {
    fn and(block: &mut [u8], source: &[u8]) {
        let (both, rest) = block.split_at_mut(source.len());
        both.iter_mut().zip(source).for_each(|(byte, other)| *byte &= other);
        rest.fill(0);
    }
}

wide! {
    fn and_not(block: &mut [u8], source: &[u8]) {
        block.iter_mut().zip(source).for_each(|(byte, other)| *byte &= !other);
    }
}

wide! {
    fn or(block: &mut [u8], source: &[u8]) {
        block.iter_mut().zip(source).for_each(|(byte, other)| *byte |= other);
    }
}

wide! {
    fn xor(block: &mut [u8], source: &[u8]) {
        block.iter_mut().zip(source).for_each(|(byte, other)| *byte ^= other);
    }
}

wide! {
    fn not(block: &mut [u8]) {
        block.iter_mut().for_each(|byte| *byte = !*byte);
    }
}

wide! {
    /// Adds to `common` what is set both in `block` and in `source`.
    fn note_common(common: &mut [u8], block: &[u8], source: &[u8]) {
        let both = block.iter().zip(source).map(|(byte, other)| byte & other);
        common.iter_mut().zip(both).for_each(|(common, both)| *common |= both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], index: usize) -> bool {
        bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1)
    }

    /// Strings with long runs of equal bytes, where searches skip whole blocks.
    fn strings() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![3 => Just(0), 3 => Just(0xff), 1 => any::<u8>()];
        let runs = prop::collection::vec((byte, 0..200usize), 0..8);
        runs.prop_map(|runs| runs.into_iter().flat_map(|(byte, n)| vec![byte; n]).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

        #[test]
        fn counts_and_places_are_those_found_bit_by_bit(
            bytes in strings(),
            start in any::<prop::sample::Index>(),
            len in any::<prop::sample::Index>(),
            wanted: bool,
        ) {
            let n_bits = bytes.len() * 8;
            let set = (0..n_bits).filter(|index| bit(&bytes, *index)).count();
            prop_assert_eq!(count(&bytes), set as u64);
            prop_assert_eq!(find(&bytes, wanted), (0..n_bits).find(|i| bit(&bytes, *i) == wanted));
            let start = start.index(n_bits + 1);
            let range = start..start + len.index(n_bits - start + 1);
            let set = range.clone().filter(|index| bit(&bytes, *index)).count();
            prop_assert_eq!(count_range(&bytes, range.clone()), set as u64);
            let expected = range.clone().find(|index| bit(&bytes, *index) == wanted);
            prop_assert_eq!(find_range(&bytes, range, wanted), expected);
        }

        #[test]
        fn combinations_are_what_they_are_bit_by_bit(
            sources in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    prop::collection::vec(any::<u8>(), BLOCK_BYTES - 4..BLOCK_BYTES + 40),
                ],
                2..5,
            ),
        ) {
            use Combination::{And, AndOr, Diff, Diff1, Not, One, Or, Xor};
            let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            for combination in [And, Or, Xor, Not, Diff, Diff1, AndOr, One] {
                let sources = if combination == Not { &sources[..1] } else { &sources[..] };
                let result = combine(combination, sources);
                let len = sources.iter().map(|source| source.len()).max().unwrap();
                prop_assert_eq!(result.len(), len);
                for index in 0..len * 8 {
                    let first = bit(sources[0], index);
                    let n = sources.iter().filter(|source| bit(source, index)).count();
                    let others = n - usize::from(first) > 0;
                    let expected = match combination {
                        And => n == sources.len(),
                        Or => n > 0,
                        Xor => n % 2 == 1,
                        Not => !first,
                        Diff => first && !others,
                        Diff1 => !first && others,
                        AndOr => first && others,
                        One => n == 1,
                    };
                    prop_assert_eq!(bit(&result, index), expected, "{:?} {}", combination, index);
                }
            }
        }
    }

    #[test]
    fn nothing_has_no_bits() {
        assert_eq!((count(b""), find(b"", true), find(b"", false)), (0, None, None));
        assert_eq!(count_range(b"", 0..0), 0);
        assert_eq!(find_range(b"", 0..0, false), None);
        assert_eq!(combine(Combination::Not, &[]), b"");
        assert_eq!(combine(Combination::One, &[b"\xf0"]), b"\xf0");
    }
}

//! Names of commands, packed into two words, so that a look-up costs a few instructions.
//!
//! What this is not: it knows no command; `table.rs` does.

/// Bytes that are packed; what a longer name has beyond is compared byte by byte.
pub(super) const PACKED_BYTES: usize = 16;

/// The first [`PACKED_BYTES`] of a name in lower case, filled up with zeros, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedName {
    words: [u64; 2],
    len: usize,
}

impl PackedName {
    #[inline(always)] // on the way of every request
    pub(super) fn new(name: &[u8]) -> PackedName {
        let words = match name.len() {
            len @ 0..4 => [to_lower(few(name, len)), 0],
            // Both halves overlap, where they agree.
            len @ 4..=8 => [to_lower(first_u32(name) | last_u32(name) << (8 * (len - 4))), 0],
            len @ 9..=16 => [first_u64(name), last_u64(name) >> (8 * (16 - len))].map(to_lower),
            _ => [first_u64(name), first_u64(&name[8..])].map(to_lower),
        };
        PackedName { words, len: name.len() }
    }

    /// A hash of which the high bits are good.
    #[inline]
    pub(super) fn hash(self) -> u64 {
        // Odd constants without pattern.
        let mixed = self.words[0] ^ self.words[1].wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ self.len as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    /// Whether the name is longer than what is packed.
    #[inline]
    pub(super) fn is_cut(self) -> bool {
        self.len > PACKED_BYTES
    }
}

/// The bytes of a name of at most three: its first, its middle and its last one are all.
#[inline]
fn few(name: &[u8], len: usize) -> u64 {
    match (name.first(), name.get(len / 2), name.last()) {
        (Some(first), Some(middle), Some(last)) => {
            u64::from(*first)
                | u64::from(*middle) << (8 * (len / 2))
                | u64::from(*last) << (8 * (len - 1))
        }
        _ => 0,
    }
}

#[inline]
fn first_u64(name: &[u8]) -> u64 {
    name.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn last_u64(name: &[u8]) -> u64 {
    name.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn first_u32(name: &[u8]) -> u64 {
    name.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

#[inline]
fn last_u32(name: &[u8]) -> u64 {
    name.last_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

/// Turns the bytes `A` to `Z` of a word into lower case, all at once: the high bit of a byte's sum
/// tells whether it is at least `A`, and whether it is beyond `Z`.
#[inline]
fn to_lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let seven_bits = word & !HIGH;
    let from_a = seven_bits + (0x80 - b'A' as u64) * ONES;
    let beyond_z = seven_bits + (0x7f - b'Z' as u64) * ONES;
    let is_upper = (from_a ^ beyond_z) & HIGH & !word;
    word | is_upper >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_more_than_letter_case() {
        let name = b"zRemRangeByScore.and-more";
        for len in 0..=name.len() {
            let packed = PackedName::new(&name[..len]);
            assert_eq!(packed, PackedName::new(&name[..len].to_ascii_uppercase()), "{len}");
            assert_eq!(packed.hash(), PackedName::new(&name[..len].to_ascii_lowercase()).hash());
            assert_eq!(packed.is_cut(), len > PACKED_BYTES);
            for at in 0..len.min(PACKED_BYTES) {
                let mut other = name[..len].to_vec();
                other[at] ^= 0x80;
                assert_ne!(packed, PackedName::new(&other), "{len} {at}");
            }
            let longer = [&name[..len], b"\0"].concat();
            assert_ne!(packed, PackedName::new(&longer), "{len}");
        }
    }

    #[test]
    fn only_letters_have_a_case() {
        for byte in 0..=u8::MAX {
            let expected = u64::from(byte.to_ascii_lowercase());
            assert_eq!(to_lower(u64::from(byte)), expected);
            assert_eq!(to_lower(u64::from(byte) << 56 | 0x41ff), expected << 56 | 0x61ff);
        }
    }
}

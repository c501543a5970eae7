//! Comparisons of short byte strings without calling anything: keys, fields and members are short as
//! a rule, and a call of the C library's functions costs more than such a comparison.

/// Whether two strings are the same.
#[inline]
pub(crate) fn are_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match a.len() {
            0..4 => a.iter().zip(b).all(|(a, b)| a == b),
            // Two parts that overlap, where they agree.
            4..8 => first_u32(a) == first_u32(b) && last_u32(a) == last_u32(b),
            8..=16 => first_u64(a) == first_u64(b) && last_u64(a) == last_u64(b),
            _ => a == b,
        }
}

/// Whether a byte is among these.
#[inline]
pub(crate) fn contains(bytes: &[u8], byte: u8) -> bool {
    match bytes.len() {
        0..8 => bytes.contains(&byte),
        8..=16 => has_byte(first_u64(bytes), byte) || has_byte(last_u64(bytes), byte),
        _ => memchr::memchr(byte, bytes).is_some(),
    }
}

/// Whether one of the bytes of a word is `byte`: zero then, after the exclusive or, and so below 1.
#[inline]
fn has_byte(word: u64, byte: u8) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeroed = word ^ (ONES * u64::from(byte));
    zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7) != 0
}

#[inline]
fn first_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[inline]
fn last_u32(bytes: &[u8]) -> Option<u32> {
    bytes.last_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[inline]
fn first_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[inline]
fn last_u64(bytes: &[u8]) -> u64 {
    bytes.last_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_plain_way() {
        for len in 0..36 {
            let bytes: Vec<u8> = (0..len).map(|i| i * 7 + 1).collect();
            assert!(are_equal(&bytes, &bytes.clone()));
            assert!(!contains(&bytes, 0) && !contains(&bytes, 0x80));
            for at in 0..len as usize {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!are_equal(&bytes, &other) && !are_equal(&bytes, &bytes[..at]));
                assert!(contains(&bytes, bytes[at]) && contains(&other, other[at]));
                other[at] = 0;
                assert!(contains(&other, 0));
            }
        }
    }
}

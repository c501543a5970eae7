//! Ziplists: what versions before 7 kept small collections in. Only read.
//!
//! ```text
//! u32 length in bytes | u32 offset of the last element | u16 number of elements, 65535: unknown
//! element: length of the one before (1 byte, or 254 and 4 bytes) | encoding | data     ... | 0xff
//! ```
//!
//! Lengths of strings stand with the highest byte first, all other numbers with the lowest.

use super::RdbError;
use crabcache_store::StrRef;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
const LONG_PREV_LEN: u8 = 254;
const COUNT_UNKNOWN: u16 = u16::MAX;

const MALFORMED: RdbError = RdbError::Malformed("Ziplist");

/// The elements of a ziplist, every one checked.
///
/// # Errors
/// [`RdbError::Malformed`], whatever is wrong.
pub(super) fn elements(bytes: &[u8]) -> Result<Vec<StrRef<'_>>, RdbError> {
    let [a, b, c, d, tail @ .., END] = bytes else { return Err(MALFORMED) };
    let [e, f, g, h, low, high, rest @ ..] = tail else { return Err(MALFORMED) };
    let last_at = u32::from_le_bytes([*e, *f, *g, *h]) as usize;
    let count = u16::from_le_bytes([*low, *high]);
    if u32::from_le_bytes([*a, *b, *c, *d]) as usize != bytes.len() {
        return Err(MALFORMED);
    }
    let (mut elements, mut input) = (Vec::new(), rest);
    let (mut at, mut prev_at) = (HEADER_BYTES, HEADER_BYTES);
    while !input.is_empty() {
        let (prev_len, element, len) = read_element(input).ok_or(MALFORMED)?;
        if prev_len != at - prev_at {
            return Err(MALFORMED);
        }
        elements.push(element);
        input = &input[len..];
        (prev_at, at) = (at, at + len);
    }
    if last_at != prev_at || (count != COUNT_UNKNOWN && usize::from(count) != elements.len()) {
        return Err(MALFORMED);
    }
    Ok(elements)
}

/// The first element: the length of the one before, its value, its own length.
fn read_element(input: &[u8]) -> Option<(usize, StrRef<'_>, usize)> {
    let (prev_len, head) = match *input.first()? {
        LONG_PREV_LEN => {
            let len: [u8; 4] = input.get(1..5)?.try_into().ok()?;
            (u32::from_le_bytes(len) as usize, 5)
        }
        END => return None,
        len => (usize::from(len), 1),
    };
    let encoded = &input[head..];
    let string = |head: usize, len: usize| {
        let end = head.checked_add(len)?;
        Some((StrRef::Bytes(encoded.get(head..end)?), end))
    };
    let int = |n_bytes: usize| {
        let mut wide = [0; 8];
        wide[8 - n_bytes..].copy_from_slice(encoded.get(1..=n_bytes)?);
        Some((StrRef::Int(i64::from_le_bytes(wide) >> (64 - 8 * n_bytes)), 1 + n_bytes))
    };
    let (element, len) = match *encoded.first()? {
        first @ 0..=0x3f => string(1, usize::from(first)),
        first @ 0x40..=0x7f => {
            string(2, usize::from(first & 0x3f) << 8 | usize::from(*encoded.get(1)?))
        }
        0x80 => {
            let len: [u8; 4] = encoded.get(1..5)?.try_into().ok()?;
            string(5, u32::from_be_bytes(len) as usize)
        }
        0xc0 => int(2),
        0xd0 => int(4),
        0xe0 => int(8),
        0xf0 => int(3),
        0xfe => int(1),
        first @ 0xf1..=0xfd => Some((StrRef::Int(i64::from(first & 0x0f) - 1), 1)),
        _ => None,
    }?;
    Some((prev_len, element, head + len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ziplist(elements: &[u8], last_at: u8, count: u8) -> Vec<u8> {
        let len = (HEADER_BYTES + elements.len() + 1) as u8;
        let mut bytes = vec![len, 0, 0, 0, last_at, 0, 0, 0, count, 0];
        bytes.extend_from_slice(elements);
        bytes.push(END);
        bytes
    }

    #[test]
    fn all_encodings_are_read() {
        let cases: &[(&[u8], StrRef<'_>)] = &[
            (b"\x00\x02ab", StrRef::Bytes(b"ab")),
            (b"\x00\x40\x02ab", StrRef::Bytes(b"ab")),
            (b"\x00\x80\x00\x00\x00\x02ab", StrRef::Bytes(b"ab")),
            (b"\x00\xf1", StrRef::Int(0)),
            (b"\x00\xfd", StrRef::Int(12)),
            (b"\x00\xfe\xff", StrRef::Int(-1)),
            (b"\x00\xc0\x00\x80", StrRef::Int(-32768)),
            (b"\x00\xf0\x00\x00\x80", StrRef::Int(-8_388_608)),
            (b"\x00\xd0\xff\xff\xff\x7f", StrRef::Int(2_147_483_647)),
            (b"\x00\xe0\x00\x00\x00\x00\x00\x00\x00\x80", StrRef::Int(i64::MIN)),
        ];
        for (element, expected) in cases {
            assert_eq!(elements(&ziplist(element, 10, 1)), Ok(vec![*expected]));
            assert!(elements(&ziplist(element, 10, 2)).is_err());
            assert!(elements(&ziplist(element, 11, 1)).is_err());
        }
        assert_eq!(elements(&ziplist(b"", 10, 0)), Ok(vec![]));
        assert!(elements(&ziplist(b"\x01\xf1", 10, 1)).is_err());
        assert!(elements(&ziplist(b"\x00\xff", 10, 1)).is_err());
        assert!(elements(&ziplist(b"\x00\x03ab", 10, 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(content in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = elements(&content);
            let _ = elements(&ziplist(&content, 10, 1));
        }
    }
}

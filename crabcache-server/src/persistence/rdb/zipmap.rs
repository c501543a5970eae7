//! Zipmaps: small hashes of Redis before 2.6. Only read.
//!
//! ```text
//! number of pairs, 254 and more: unknown | pair ... | 0xff
//! pair: length, field, length, number of unused bytes, value, unused bytes
//! length: 1 byte below 254, or 254 and 4
//! ```

use crabcache_store::StrRef;

const END: u8 = 0xff;
const BIG: u8 = 254;

/// Fields and values, as they alternate; `None` if the bytes are no zipmap, or one without any.
pub(super) fn elements(bytes: &[u8]) -> Option<Vec<StrRef<'_>>> {
    let (count, mut rest) = bytes.split_first()?;
    let mut elements = Vec::new();
    while rest != [END] {
        let name_len = take_len(&mut rest)?;
        let name = take(&mut rest, name_len)?;
        let value_len = take_len(&mut rest)?;
        let n_unused = usize::from(*rest.split_off_first()?);
        let value = take(&mut rest, value_len)?;
        take(&mut rest, n_unused)?;
        elements.extend([StrRef::Bytes(name), StrRef::Bytes(value)]);
    }
    let is_sound = *count >= BIG || usize::from(*count) * 2 == elements.len();
    (is_sound && !elements.is_empty()).then_some(elements)
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    rest.split_off(..len)
}

fn take_len(rest: &mut &[u8]) -> Option<usize> {
    match *rest.split_off_first()? {
        END => None,
        BIG => Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize),
        len => Some(usize::from(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xff";
        let expected = ["foo", "bar", "hello", "world"].map(|text| StrRef::Bytes(text.as_bytes()));
        assert_eq!(elements(bytes), Some(expected.to_vec()));
        for len in 0..bytes.len() {
            assert_eq!(elements(&bytes[..len]), None);
        }
        assert_eq!(elements(b"\x00\xff"), None);
        assert_eq!(elements(b"\x01\xff"), None);
        assert_eq!(elements(b"\x01\xfe\xff\xff\xff\xffa\xff"), None);
    }
}

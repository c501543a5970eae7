//! Sorted sets: a listpack, or a number of members with scores.

use super::string::{read_array, read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes, ziplist};
use crabcache_store::Limits;
use crabcache_store::algorithms::double;
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::zset::ZSet;
use std::io::Read;

const MALFORMED: RdbError = RdbError::Malformed("Zset");
const MALFORMED_ZIPLIST: RdbError = RdbError::Malformed("Zset ziplist");

/// Bytes before a score as text that stand for what has no digits.
const NOT_A_NUMBER: u8 = 253;
const INFINITY: u8 = 254;
const NEGATIVE_INFINITY: u8 = 255;

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, set: &ZSet, compress: bool) {
    if let Some(pack) = set.as_listpack() {
        out.push(opcodes::TYPE_ZSET_LISTPACK);
        write_string(out, pack.as_bytes(), compress);
        return;
    }
    out.push(opcodes::TYPE_ZSET_2);
    write_len(out, set.len() as u64);
    // From the end, as the reference does it: whoever reads it then adds each at the front.
    for (member, score) in set.iter(0..set.len(), true) {
        member.with_bytes(|bytes| write_string(out, bytes, compress));
        out.extend_from_slice(&score.to_le_bytes());
    }
}

/// Reads a value of one of the four types.
///
/// # Errors
/// If the input ends or is damaged: members twice or out of order, scores that are no numbers.
pub fn read(input: &mut impl Read, kind: u8, limits: &Limits) -> Result<ZSet, RdbError> {
    let set = match kind {
        opcodes::TYPE_ZSET_LISTPACK => {
            let bytes = read_string(input)?.into_bytes();
            let pack = Listpack::from_bytes(&bytes).map_err(|_| MALFORMED)?;
            ZSet::from_listpack(pack, limits).ok_or(MALFORMED)?
        }
        opcodes::TYPE_ZSET_ZIPLIST => {
            let bytes = read_string(input)?.into_bytes();
            let mut pack = Listpack::new();
            for element in ziplist::elements(&bytes).map_err(|_| MALFORMED_ZIPLIST)? {
                element.with_bytes(|bytes| pack.push_back(bytes));
            }
            ZSet::from_listpack(pack, limits).ok_or(MALFORMED)?
        }
        _ => read_members(input, kind, limits)?,
    };
    if set.is_empty() { Err(RdbError::Empty) } else { Ok(set) }
}

fn read_members(input: &mut impl Read, kind: u8, limits: &Limits) -> Result<ZSet, RdbError> {
    // Not a listpack first: that has no negative zero.
    let mut set = ZSet::large();
    for _ in 0..read_plain_len(input)? {
        let member = read_string(input)?.into_bytes();
        let score = match kind {
            opcodes::TYPE_ZSET => read_text_score(input)?,
            _ => f64::from_le_bytes(read_array(input)?),
        };
        if score.is_nan() || set.insert(&member, score, limits).is_some() {
            return Err(MALFORMED);
        }
    }
    set.pack_if_small(limits);
    Ok(set)
}

fn read_text_score(input: &mut impl Read) -> Result<f64, RdbError> {
    match read_array(input)? {
        [NOT_A_NUMBER] => Err(MALFORMED),
        [INFINITY] => Ok(f64::INFINITY),
        [NEGATIVE_INFINITY] => Ok(f64::NEG_INFINITY),
        [len] => {
            let mut text = vec![0; len.into()];
            input.read_exact(&mut text)?;
            double::parse(&text).ok_or(MALFORMED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(set: &ZSet) -> Vec<(Vec<u8>, f64)> {
        set.iter(0..set.len(), false).map(|(member, score)| (member.to_vec(), score)).collect()
    }

    fn check(bytes: &[u8], expected: Result<&[(&[u8], f64)], RdbError>) {
        let read = read(&mut &bytes[1..], bytes[0], &Limits::default());
        let expected = expected.map(|pairs| {
            pairs.iter().map(|(member, score)| (member.to_vec(), *score)).collect::<Vec<_>>()
        });
        assert_eq!(read.map(|set| listed(&set)), expected);
    }

    #[test]
    fn all_forms_are_read() {
        let pairs: &[(&[u8], f64)] = &[(b"a", 1.0), (b"b", 2.5)];
        check(b"\x03\x02\x01b\x032.5\x01a\x011", Ok(pairs));
        check(b"\x05\x01\x01a\0\0\0\0\0\0\xf0\x3f", Ok(&pairs[..1]));
        let pack: Listpack = [&b"a"[..], b"1", b"b", b"2.5"].into_iter().collect();
        let mut bytes = vec![opcodes::TYPE_ZSET_LISTPACK];
        write_string(&mut bytes, pack.as_bytes(), false);
        check(&bytes, Ok(pairs));
        // A ziplist of "a", 1, "b" and "2.5".
        let ziplist = b"\x18\0\0\0\x12\0\0\0\x04\0\x00\x01a\x03\xf2\x02\x01b\x03\x032.5\xff";
        let mut bytes = vec![opcodes::TYPE_ZSET_ZIPLIST];
        write_string(&mut bytes, ziplist, false);
        check(&bytes, Ok(pairs));
    }

    #[test]
    fn infinities_have_bytes_of_their_own() {
        let pairs: &[(&[u8], f64)] = &[(b"b", f64::NEG_INFINITY), (b"a", f64::INFINITY)];
        check(b"\x03\x02\x01a\xfe\x01b\xff", Ok(pairs));
        check(b"\x03\x01\x01a\xfd", Err(MALFORMED));
    }

    #[test]
    fn damage_is_found() {
        check(b"\x03\x00", Err(RdbError::Empty));
        check(b"\x03\x02\x01a\x011\x01a\x012", Err(MALFORMED));
        check(b"\x03\x01\x01a\x01x", Err(MALFORMED));
        check(b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f", Err(MALFORMED));
        check(b"\x05\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a", Err(RdbError::Truncated));
        check(b"\x11\x01a", Err(MALFORMED));
        check(b"\x0c\x01a", Err(MALFORMED_ZIPLIST));
    }

    #[test]
    fn a_large_set_keeps_a_negative_zero() {
        let limits = Limits { zset_listpack_entries_max: 1, ..Limits::default() };
        let bytes = b"\x05\x02\x01a\0\0\0\0\0\0\0\x80\x01b\0\0\0\0\0\0\0\0";
        let set = read(&mut &bytes[1..], bytes[0], &limits).unwrap();
        assert!(set.as_listpack().is_none());
        assert!(set.score(b"a").unwrap().is_sign_negative());
        let set = read(&mut &bytes[1..], bytes[0], &Limits::default()).unwrap();
        assert!(set.as_listpack().is_some());
    }

    #[test]
    fn large_sets_are_written_from_the_end() {
        let limits = Limits { zset_listpack_entries_max: 0, ..Limits::default() };
        let mut set = ZSet::default();
        set.insert(b"a", 1.0, &limits);
        set.insert(b"b", 2.0, &limits);
        let mut out = Vec::new();
        write(&mut out, &set, true);
        assert_eq!(out, b"\x05\x02\x01b\0\0\0\0\0\0\0\x40\x01a\0\0\0\0\0\0\xf0\x3f");
    }
}

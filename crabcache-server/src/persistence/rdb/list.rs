//! Lists: nodes that are listpacks or single large elements, and the forms that older versions
//! wrote.

use super::string::{read_plain_len, read_string, write_compressed, write_len, write_string};
use super::{RdbError, opcodes, ziplist};
use crabcache_store::Limits;
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::list::{List, Part};
use std::io::Read;

/// A node that is one large element.
const CONTAINER_PLAIN: u64 = 1;
/// A node with several elements in a listpack.
const CONTAINER_PACKED: u64 = 2;

const MALFORMED: RdbError = RdbError::Malformed("List");

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, list: &List, compress: bool) {
    out.push(opcodes::TYPE_LIST_QUICKLIST_2);
    write_len(out, list.parts().count() as u64);
    for part in list.parts() {
        match part {
            Part::Packed(pack) => {
                write_len(out, CONTAINER_PACKED);
                write_string(out, pack.as_bytes(), compress);
            }
            Part::Large(value) => {
                write_len(out, CONTAINER_PLAIN);
                write_string(out, value, compress);
            }
            // Compat: what is compressed stays so, also where strings are not to be.
            Part::Compressed { block, n_bytes, is_large } => {
                write_len(out, if is_large { CONTAINER_PLAIN } else { CONTAINER_PACKED });
                write_compressed(out, block, n_bytes);
            }
        }
    }
}

/// Reads a value of the type `TYPE_LIST_QUICKLIST_2`.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read(input: &mut impl Read, limits: &Limits) -> Result<List, RdbError> {
    let mut list = List::default();
    for _ in 0..read_plain_len(input)? {
        let container = read_plain_len(input)?;
        let bytes = read_string(input)?.into_bytes();
        match container {
            _ if bytes.is_empty() => return Err(MALFORMED),
            CONTAINER_PLAIN => list.push_large_part(bytes, limits),
            CONTAINER_PACKED => {
                list.push_part(Listpack::from_bytes(&bytes).map_err(|_| MALFORMED)?, limits);
            }
            _ => return Err(MALFORMED),
        }
    }
    settled(list, limits)
}

/// Reads a value of the type `TYPE_LIST_QUICKLIST`: nodes that are ziplists.
///
/// # Errors
/// As [`read`].
pub fn read_ziplists(input: &mut impl Read, limits: &Limits) -> Result<List, RdbError> {
    let mut list = List::default();
    for _ in 0..read_plain_len(input)? {
        let bytes = read_string(input)?.into_bytes();
        let mut pack = Listpack::new();
        for element in ziplist::elements(&bytes)? {
            pack.push_back(&element.bytes());
        }
        list.push_part(pack, limits);
    }
    settled(list, limits)
}

/// Reads a value of the type `TYPE_LIST_ZIPLIST`: one ziplist.
///
/// # Errors
/// As [`read`].
pub fn read_ziplist(input: &mut impl Read, limits: &Limits) -> Result<List, RdbError> {
    let mut list = List::default();
    for element in ziplist::elements(&read_string(input)?.into_bytes())? {
        list.push_long(&element.bytes(), limits);
    }
    // Compat: it stays as it is until elements are removed.
    if list.is_empty() { Err(RdbError::Empty) } else { Ok(list) }
}

/// Reads a value of the type `TYPE_LIST`: one element after the other.
///
/// # Errors
/// As [`read`].
pub fn read_elements(input: &mut impl Read, limits: &Limits) -> Result<List, RdbError> {
    let mut list = List::default();
    for _ in 0..read_plain_len(input)? {
        list.push_long(&read_string(input)?.into_bytes(), limits);
    }
    settled(list, limits)
}

fn settled(mut list: List, limits: &Limits) -> Result<List, RdbError> {
    list.settle(limits);
    if list.is_empty() { Err(RdbError::Empty) } else { Ok(list) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crabcache_store::Collection;
    use crabcache_store::types::list::End;

    const LIMITS: fn() -> Limits = Limits::default;

    fn texts(list: &List) -> Vec<String> {
        let mut texts = Vec::new();
        list.for_each(|element| texts.push(String::from_utf8(element.to_vec()).unwrap()));
        texts
    }

    #[test]
    fn lists_come_back_node_by_node() {
        let mut list = List::default();
        for number in 0..3000 {
            let value = match number % 1000 {
                7 => vec![b'l'; 9000],
                _ => format!("element {number}").into_bytes(),
            };
            list.push(End::Back, &value, &LIMITS());
        }
        for compress in [false, true] {
            let mut out = Vec::new();
            write(&mut out, &list, compress);
            assert_eq!(out[0], opcodes::TYPE_LIST_QUICKLIST_2);
            let again = read(&mut &out[1..], &LIMITS()).unwrap();
            assert_eq!(texts(&again), texts(&list));
            assert_eq!(again.parts().count(), list.parts().count());
            for end in (0..out.len()).step_by(101) {
                assert!(read(&mut &out[1..end.max(1)], &LIMITS()).is_err());
            }
        }
    }

    #[test]
    fn older_forms_are_read() {
        // From a payload of Redis 2.8: RPUSH l a 1 -100 100000.
        let ziplist: &[u8] =
            b"\x1a\x00\x00\x00\x17\x00\x00\x00\x04\x00\x00\x01a\x03\xf2\x02\xfe\x9c\x03\xf0\xa0\x86\x01\xff";
        let mut ziplist = ziplist.to_vec();
        ziplist[0] = ziplist.len() as u8;
        ziplist[4] = ziplist.len() as u8 - 6;
        let expected = ["a", "1", "-100", "100000"];
        let mut input = Vec::new();
        write_string(&mut input, &ziplist, false);
        let list = read_ziplist(&mut &input[..], &LIMITS()).unwrap();
        assert_eq!(
            (texts(&list), list.encoding()),
            (expected.map(String::from).into(), "quicklist")
        );
        input.insert(0, 1);
        let list = read_ziplists(&mut &input[..], &LIMITS()).unwrap();
        assert_eq!(
            (texts(&list), list.encoding()),
            (expected.map(String::from).into(), "listpack")
        );
        let list = read_elements(&mut &b"\x02\x01a\xc0\x05"[..], &LIMITS()).unwrap();
        assert_eq!((texts(&list), list.encoding()), (vec!["a".into(), "5".into()], "listpack"));
    }

    #[test]
    fn damage_is_found() {
        let cases: &[&[u8]] =
            &[b"\x00", b"\x01\x03\x01a", b"\x01\x02\x01a", b"\x01\x01\x00", b"\x01"];
        for input in cases {
            assert!(read(&mut &**input, &LIMITS()).is_err(), "{input:?}");
        }
        assert!(read_ziplist(&mut &b"\x01a"[..], &LIMITS()).is_err());
        assert!(read_elements(&mut &b"\x00"[..], &LIMITS()).is_err());
        assert!(
            read_elements(&mut &b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a"[..], &LIMITS())
                .is_err()
        );
    }
}

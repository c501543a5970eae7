//! Values of all types: a type byte and what follows from it.

use super::string::{RdbString, read_array, read_string, write_int, write_string};
use super::{RdbError, hash, list, opcodes, set, stream, vector_set, zset};
use crabcache_store::{Collection, Entry, Kind, Limits, Str, StrRef};
use std::io::Read;

/// Writes the type and the value of an entry; `compress`: strings may be compressed.
pub fn write_object(out: &mut Vec<u8>, entry: &Entry, compress: bool) {
    match entry.kind() {
        Kind::String => {
            out.push(opcodes::TYPE_STRING);
            match entry.string() {
                StrRef::Int(value) => write_int(out, value),
                StrRef::Bytes(bytes) => write_string(out, bytes, compress),
            }
        }
        Kind::List => list::write(out, collection(entry), compress),
        Kind::Set => set::write(out, collection(entry), compress),
        Kind::ZSet => zset::write(out, collection(entry), compress),
        Kind::Hash => hash::write(out, collection(entry), compress),
        Kind::Stream => stream::write(out, collection(entry), compress),
        Kind::VectorSet => vector_set::write(out, collection(entry), compress),
    }
}

/// The collection of an entry whose kind is known.
fn collection<C: Collection>(entry: &Entry) -> &C {
    entry.collection().expect("of its kind")
}

/// Reads a type and a value, and makes an entry of it. Collections take the encoding that `limits`
/// ask for.
///
/// # Errors
/// If the input ends, the type is unknown, or the value is damaged.
pub fn read_object(
    input: &mut impl Read,
    key: &[u8],
    expire_at_ms: Option<i64>,
    limits: &Limits,
) -> Result<Entry, RdbError> {
    let [kind] = read_array(input)?;
    read_value(input, kind, key, expire_at_ms, limits)
}

/// As [`read_object`], of a type that was read already.
///
/// # Errors
/// If the input ends, the type is unknown, or the value is damaged.
pub fn read_value(
    input: &mut impl Read,
    kind: u8,
    key: &[u8],
    expire_at_ms: Option<i64>,
    limits: &Limits,
) -> Result<Entry, RdbError> {
    match kind {
        opcodes::TYPE_STRING => {
            let string = read_string(input)?;
            let value = match &string {
                RdbString::Int(value) => Str::Int(*value),
                RdbString::Bytes(bytes) => Str::encode(bytes),
            };
            Ok(Entry::new(key, value, expire_at_ms, 0))
        }
        opcodes::TYPE_LIST => entry_with(key, expire_at_ms, list::read_elements(input, limits)?),
        opcodes::TYPE_LIST_ZIPLIST => {
            entry_with(key, expire_at_ms, list::read_ziplist(input, limits)?)
        }
        opcodes::TYPE_LIST_QUICKLIST => {
            entry_with(key, expire_at_ms, list::read_ziplists(input, limits)?)
        }
        opcodes::TYPE_LIST_QUICKLIST_2 => entry_with(key, expire_at_ms, list::read(input, limits)?),
        opcodes::TYPE_SET => entry_with(key, expire_at_ms, set::read(input, limits)?),
        opcodes::TYPE_SET_INTSET => entry_with(key, expire_at_ms, set::read_intset(input, limits)?),
        opcodes::TYPE_SET_LISTPACK => {
            entry_with(key, expire_at_ms, set::read_listpack(input, limits)?)
        }
        opcodes::TYPE_HASH
        | opcodes::TYPE_HASH_ZIPMAP
        | opcodes::TYPE_HASH_ZIPLIST
        | opcodes::TYPE_HASH_LISTPACK
        | opcodes::TYPE_HASH_METADATA_PRE_GA
        | opcodes::TYPE_HASH_LISTPACK_EX_PRE_GA
        | opcodes::TYPE_HASH_METADATA
        | opcodes::TYPE_HASH_LISTPACK_EX => {
            entry_with(key, expire_at_ms, hash::read(input, kind, limits)?)
        }
        opcodes::TYPE_ZSET
        | opcodes::TYPE_ZSET_2
        | opcodes::TYPE_ZSET_ZIPLIST
        | opcodes::TYPE_ZSET_LISTPACK => {
            entry_with(key, expire_at_ms, zset::read(input, kind, limits)?)
        }
        opcodes::TYPE_STREAM_LISTPACKS
        | opcodes::TYPE_STREAM_LISTPACKS_2
        | opcodes::TYPE_STREAM_LISTPACKS_3 => {
            entry_with(key, expire_at_ms, stream::read(input, kind)?)
        }
        opcodes::TYPE_MODULE_2 => entry_with(key, expire_at_ms, vector_set::read(input)?),
        unknown => Err(RdbError::UnknownType(unknown)),
    }
}

fn entry_with<C: Collection>(
    key: &[u8],
    expire_at_ms: Option<i64>,
    value: C,
) -> Result<Entry, RdbError> {
    Ok(Entry::with_collection(key, value, expire_at_ms, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Str<'_>, expected: &[u8]) {
        let entry = Entry::new(b"k", value, None, 0);
        let mut out = Vec::new();
        write_object(&mut out, &entry, true);
        assert_eq!(out, expected);
        let read = read_object(&mut &out[..], b"other", Some(7), &Limits::default()).unwrap();
        assert_eq!((read.key(), read.expire_at_ms()), (&b"other"[..], Some(7)));
        assert_eq!(read.string().to_vec(), entry.string().to_vec());
    }

    #[test]
    fn strings() {
        check(Str::Int(5), b"\x00\xc0\x05");
        check(Str::Int(i64::MAX), b"\x00\x139223372036854775807");
        check(Str::Bytes(b"abc"), b"\x00\x03abc");
        check(Str::Raw(b"12".to_vec()), b"\x00\xc0\x0c");
    }

    #[test]
    fn unknown_types_are_refused() {
        let read = |mut input: &[u8]| read_object(&mut input, b"k", None, &Limits::default()).err();
        assert_eq!(read(b"\xff"), Some(RdbError::UnknownType(255)));
        assert_eq!(read(b""), Some(RdbError::Truncated));
        assert_eq!(read(b"\x00"), Some(RdbError::Truncated));
    }
}

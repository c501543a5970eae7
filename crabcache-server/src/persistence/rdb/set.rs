//! Sets: an intset, a listpack, or a number of strings.

use super::string::{read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes};
use crabcache_store::Limits;
use crabcache_store::structures::intset::Intset;
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::set::{Encoded, Set};
use std::io::Read;

const MALFORMED: RdbError = RdbError::Malformed("Set");

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, set: &Set, compress: bool) {
    match set.encoded() {
        Encoded::Ints(bytes) => {
            out.push(opcodes::TYPE_SET_INTSET);
            write_string(out, bytes, compress);
        }
        Encoded::Pack(pack) => {
            out.push(opcodes::TYPE_SET_LISTPACK);
            write_string(out, pack.as_bytes(), compress);
        }
        Encoded::Table => {
            out.push(opcodes::TYPE_SET);
            write_len(out, set.len() as u64);
            set.for_each(|member| member.with_bytes(|bytes| write_string(out, bytes, compress)));
        }
    }
}

/// Reads a value of the type `TYPE_SET`.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read(input: &mut impl Read, limits: &Limits) -> Result<Set, RdbError> {
    let len = read_plain_len(input)?;
    let mut set = Set::for_loading(len, limits);
    for _ in 0..len {
        if !set.add(&read_string(input)?.into_bytes(), limits) {
            return Err(MALFORMED);
        }
    }
    if set.is_empty() { Err(RdbError::Empty) } else { Ok(set) }
}

/// Reads a value of the type `TYPE_SET_INTSET`.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read_intset(input: &mut impl Read, limits: &Limits) -> Result<Set, RdbError> {
    let ints = Intset::from_bytes(&read_string(input)?.into_bytes()).map_err(|_| MALFORMED)?;
    Set::from_intset(ints, limits).ok_or(RdbError::Empty)
}

/// Reads a value of the type `TYPE_SET_LISTPACK`.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read_listpack(input: &mut impl Read, limits: &Limits) -> Result<Set, RdbError> {
    let pack = Listpack::from_bytes(&read_string(input)?.into_bytes()).map_err(|_| MALFORMED)?;
    if pack.is_empty() {
        return Err(RdbError::Empty);
    }
    Set::from_listpack(pack, limits).ok_or(MALFORMED)
}

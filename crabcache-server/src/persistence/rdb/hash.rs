//! Hashes: listpacks as they are, tables field by field; with times where fields expire.

use super::string::{read_array, read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes, ziplist, zipmap};
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::hash::{AT_MS_MAX, Form, Hash};
use crabcache_store::{Limits, StrRef};
use std::collections::HashSet;
use std::io::Read;

const MALFORMED: RdbError = RdbError::Malformed("Hash");

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, hash: &Hash, compress: bool) {
    let next_ms = hash.iter().filter_map(|field| field.expire_at_ms).min();
    match hash.form() {
        Form::Pack(pack) => {
            out.push(opcodes::TYPE_HASH_LISTPACK);
            write_string(out, pack.as_bytes(), compress);
        }
        Form::TimedPack(pack) => {
            out.push(opcodes::TYPE_HASH_LISTPACK_EX);
            out.extend_from_slice(&next_ms.unwrap_or(0).to_le_bytes());
            write_string(out, pack.as_bytes(), compress);
        }
        Form::Other => {
            out.push(if next_ms.is_some() {
                opcodes::TYPE_HASH_METADATA
            } else {
                opcodes::TYPE_HASH
            });
            if let Some(next_ms) = next_ms {
                out.extend_from_slice(&next_ms.to_le_bytes());
            }
            write_len(out, hash.len() as u64);
            for field in hash.iter() {
                if let Some(next_ms) = next_ms {
                    let after_ms = field.expire_at_ms.map_or(0, |at_ms| at_ms - next_ms + 1);
                    write_len(out, after_ms as u64);
                }
                write_string(out, &field.name.bytes(), compress);
                write_string(out, &field.value.bytes(), compress);
            }
        }
    }
}

/// Reads a value of this type, which is one of hashes.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read(input: &mut impl Read, kind: u8, limits: &Limits) -> Result<Hash, RdbError> {
    let hash = match kind {
        opcodes::TYPE_HASH => read_fields(input, None, limits)?,
        opcodes::TYPE_HASH_METADATA_PRE_GA => read_fields(input, Some(1), limits)?,
        opcodes::TYPE_HASH_METADATA => {
            let next_ms = i64::from_le_bytes(read_array(input)?);
            if !(0..=AT_MS_MAX + 1).contains(&next_ms) {
                return Err(MALFORMED);
            }
            read_fields(input, Some(next_ms), limits)?
        }
        opcodes::TYPE_HASH_ZIPMAP | opcodes::TYPE_HASH_ZIPLIST => {
            let bytes = read_string(input)?.into_bytes();
            let elements = if kind == opcodes::TYPE_HASH_ZIPMAP {
                zipmap::elements(&bytes).ok_or(RdbError::Malformed("Zipmap"))?
            } else {
                ziplist::elements(&bytes)?
            };
            of_elements(&elements, limits)?
        }
        _ => {
            if kind == opcodes::TYPE_HASH_LISTPACK_EX {
                // The earliest time, which the fields tell as well.
                read_array::<8>(input)?;
            }
            let bytes = read_string(input)?.into_bytes();
            let pack = Listpack::from_bytes(&bytes).map_err(|_| MALFORMED)?;
            let is_timed = kind != opcodes::TYPE_HASH_LISTPACK;
            if is_timed && !has_ordered_times(&pack) {
                return Err(MALFORMED);
            }
            Hash::from_pack(pack, is_timed, limits).map_err(|_| MALFORMED)?
        }
    };
    if hash.is_empty() { Err(RdbError::Empty) } else { Ok(hash) }
}

/// Whether the times behind fields and values of a listpack are in order, those that never come last.
fn has_ordered_times(pack: &Listpack) -> bool {
    let times = pack.forward(pack.first()).skip(2).step_by(3);
    let mut last_ms = 0;
    times.into_iter().all(|time| {
        let StrRef::Int(at_ms) = time else { return false };
        let is_in_order = match at_ms {
            0 => true,
            _ => (last_ms.max(1)..=AT_MS_MAX).contains(&at_ms),
        };
        // Behind one that never comes, none does.
        last_ms = if at_ms == 0 { i64::MAX } else { at_ms };
        is_in_order
    })
}

/// Reads fields one by one; if they have times, these count from one millisecond before `base_ms`,
/// and 0 is never.
fn read_fields(
    input: &mut impl Read,
    base_ms: Option<i64>,
    limits: &Limits,
) -> Result<Hash, RdbError> {
    let n_fields = read_plain_len(input)?;
    let mut hash = Hash::default();
    if base_ms.is_some() {
        hash.hold_times();
    }
    if usize::try_from(n_fields).map_or(true, |n| n > limits.hash_listpack_entries_max) {
        hash.make_table();
    }
    for _ in 0..n_fields {
        let at_ms = match base_ms {
            None => None,
            Some(base_ms) => match read_plain_len(input)? {
                0 => None,
                after_ms => {
                    let at_ms = i64::try_from(after_ms).ok().and_then(|ms| ms.checked_add(base_ms));
                    let at_ms = at_ms.map(|at_ms| at_ms - 1).filter(|at_ms| *at_ms <= AT_MS_MAX);
                    Some(at_ms.ok_or(MALFORMED)?)
                }
            },
        };
        let name = read_string(input)?.into_bytes();
        let value = read_string(input)?.into_bytes();
        if hash.get(&name).is_some() {
            return Err(MALFORMED);
        }
        hash.insert_new(&name, &value, at_ms.filter(|at_ms| *at_ms != 0), limits);
    }
    Ok(hash)
}

/// Reads a hash in the form that Valkey 9 writes where fields expire: each with its own time, -1 for
/// never.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read_valkey(input: &mut impl Read, limits: &Limits) -> Result<Hash, RdbError> {
    let mut hash = Hash::default();
    hash.hold_times();
    for _ in 0..read_plain_len(input)? {
        let name = read_string(input)?.into_bytes();
        let value = read_string(input)?.into_bytes();
        let at_ms = Some(i64::from_le_bytes(read_array(input)?)).filter(|at_ms| *at_ms != -1);
        let is_sound = at_ms.is_none_or(|at_ms| (1..=AT_MS_MAX).contains(&at_ms));
        if !is_sound || hash.get(&name).is_some() {
            return Err(MALFORMED);
        }
        hash.insert_new(&name, &value, at_ms, limits);
    }
    if hash.is_empty() { Err(RdbError::Empty) } else { Ok(hash) }
}

/// The hash of these fields and values, as they alternate.
fn of_elements(elements: &[StrRef<'_>], limits: &Limits) -> Result<Hash, RdbError> {
    let (pairs, rest) = elements.as_chunks::<2>();
    let mut names = HashSet::new();
    if !rest.is_empty() || !pairs.iter().all(|[name, _]| names.insert(name.bytes())) {
        return Err(MALFORMED);
    }
    let mut hash = Hash::default();
    for [name, value] in pairs {
        hash.insert_new(&name.bytes(), &value.bytes(), None, limits);
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_48_bits_are_refused_in_listpacks_too() {
        for (at_ms, is_sound) in [(AT_MS_MAX, true), (AT_MS_MAX + 1, false), (i64::MAX, false)] {
            let mut pack = Listpack::new();
            for element in ["b", "2", "5", "a", "1", &at_ms.to_string()] {
                pack.push_back(element.as_bytes());
            }
            let mut value = Vec::new();
            write_string(&mut value, pack.as_bytes(), false);
            let kind = opcodes::TYPE_HASH_LISTPACK_EX_PRE_GA;
            let hash = read(&mut &value[..], kind, &Limits::default());
            assert_eq!(hash.is_ok(), is_sound, "{at_ms}");
        }
    }
}

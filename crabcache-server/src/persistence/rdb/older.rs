//! Values in the forms of older versions, so that older servers load them.
//!
//! | version | written by | not known there |
//! |---|---|---|
//! | 11 | Redis 7.2, Valkey 8 | times of hash fields, vector sets |
//! | 10 | Redis 7.0 | sets as listpacks; when a consumer of a stream last got something |
//! | 9 | Redis 5 to 6.2 | listpacks, but in streams; counters of streams; functions |
//!
//! What an older server could not keep is refused, not dropped: fields that outlive their time would
//! be wrong data.

use super::object::write_object;
use super::string::{write_len, write_string};
use super::{opcodes, stream};
use crabcache_store::types::hash::Hash;
use crabcache_store::types::list::List;
use crabcache_store::types::set::{Encoded, Set};
use crabcache_store::types::stream::Stream;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Collection, Entry, Kind};

/// The oldest version that can be written: Redis 5.
pub const VERSION_MIN: u16 = 9;

/// Writes the type and the value of an entry in the form of an older version.
///
/// # Errors
/// If there is no such form: what it would have to hold.
pub fn write_older(
    out: &mut Vec<u8>,
    entry: &Entry,
    compress: bool,
    version: u16,
) -> Result<(), &'static str> {
    match entry.kind() {
        Kind::Hash if collection::<Hash>(entry).has_times() => {
            return Err("a hash with fields that expire");
        }
        Kind::VectorSet => return Err("a vector set"),
        Kind::Stream if version <= 10 => {
            stream::write_as(out, collection::<Stream>(entry), compress, version);
        }
        Kind::Set
            if version <= 10 && matches!(collection::<Set>(entry).encoded(), Encoded::Pack(_)) =>
        {
            let set = collection::<Set>(entry);
            out.push(opcodes::TYPE_SET);
            write_len(out, set.len() as u64);
            set.for_each(|member| member.with_bytes(|bytes| write_string(out, bytes, compress)));
        }
        Kind::List if version <= 9 => {
            let list = collection::<List>(entry);
            out.push(opcodes::TYPE_LIST);
            write_len(out, list.len() as u64);
            list.for_each(|element| {
                element.with_bytes(|bytes| write_string(out, bytes, compress));
            });
        }
        Kind::Hash if version <= 9 => {
            let hash = collection::<Hash>(entry);
            out.push(opcodes::TYPE_HASH);
            write_len(out, hash.len() as u64);
            for field in hash.iter() {
                write_string(out, &field.name.bytes(), compress);
                write_string(out, &field.value.bytes(), compress);
            }
        }
        Kind::ZSet if version <= 9 => {
            let set = collection::<ZSet>(entry);
            out.push(opcodes::TYPE_ZSET_2);
            write_len(out, set.len() as u64);
            for (member, score) in set.iter(0..set.len(), true) {
                member.with_bytes(|bytes| write_string(out, bytes, compress));
                out.extend_from_slice(&score.to_le_bytes());
            }
        }
        _ => write_object(out, entry, compress),
    }
    Ok(())
}

fn collection<C: Collection>(entry: &Entry) -> &C {
    entry.collection().expect("of its kind")
}

//! Files of all versions, whole and damaged.

use super::super::encode::{Encoder, Filter};
use super::*;
use crate::config::MaxmemoryPolicy;
use crabcache_store::algorithms::crc64;
use crabcache_store::types::hash::Hash;
use crabcache_store::types::list::{End, List};
use crabcache_store::types::set::Set;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Access, DbSize, Str};
use proptest::prelude::*;

fn options() -> Options {
    Options { limits: Limits::default(), n_databases: 16, verifies: true, skips_modules: false }
}

fn encoder(policy: MaxmemoryPolicy, version: u16) -> Encoder {
    Encoder {
        version,
        compresses: true,
        policy,
        access: Access::Lru { clock: 100 },
        filter: Filter::default(),
    }
}

fn with_checksum(mut file: Vec<u8>) -> Vec<u8> {
    file.push(opcodes::EOF);
    file.extend_from_slice(&crc64::checksum(&file).to_le_bytes());
    file
}

/// Reads a file to its end; what it has, a line each.
fn read(file: &[u8], options: &Options) -> Result<Vec<String>, RdbFileError> {
    let mut decoder = Decoder::new(file, options.clone())?;
    let mut lines = Vec::new();
    while let Some(item) = decoder.next_item()? {
        lines.push(match item {
            Item::Key(LoadedKey { db, entry, idle_s, frequency }) => {
                let key = entry.key().escape_ascii().to_string();
                let rest = (entry.expire_at_ms(), idle_s, frequency);
                format!("{db} {key} {} {rest:?}", entry.kind().name())
            }
            Item::Empty(key) => format!("empty {}", key.escape_ascii()),
            Item::Skipped(key, name) => format!("skipped {} {name}", key.escape_ascii()),
            Item::SkippedData(name) => format!("skipped data {name}"),
            Item::Function(code) => format!("function {}", code.escape_ascii()),
            Item::Aux(name, value) => {
                format!("aux {} {}", name.escape_ascii(), value.escape_ascii())
            }
        });
    }
    Ok(lines)
}

fn entries() -> Vec<Entry> {
    let limits = Limits::default();
    let mut list = List::default();
    let mut set = Set::default();
    let mut zset = ZSet::default();
    let mut hash = Hash::default();
    let mut timed = Hash::default();
    timed.hold_times();
    for number in 0..40u8 {
        let text = format!("element {number}");
        list.push(End::Back, text.as_bytes(), &limits);
        set.add(text.as_bytes(), &limits);
        zset.insert(text.as_bytes(), f64::from(number) / 3.0, &limits);
        hash.insert_new(text.as_bytes(), b"value", None, &limits);
        let at_ms = (number % 2 == 0).then_some(9_000_000_000_000);
        timed.insert_new(text.as_bytes(), b"value", at_ms, &limits);
    }
    vec![
        Entry::new(b"string", Str::Bytes(b"some text, some text, some text"), None, 90),
        Entry::new(b"int", Str::Int(-7), Some(9_000_000_000_000), 100),
        Entry::with_collection(b"list", list, None, 0),
        Entry::with_collection(b"set", set, None, 0),
        Entry::with_collection(b"zset", zset, None, 0),
        Entry::with_collection(b"hash", hash, None, 0),
        Entry::with_collection(b"timed", timed, None, 0),
    ]
}

fn sample(policy: MaxmemoryPolicy) -> Vec<u8> {
    let encoder = encoder(policy, VERSION);
    let mut file = Vec::new();
    encoder.magic(&mut file);
    encoder.aux(&mut file, "redis-ver", "8.2.3");
    encoder.function(&mut file, b"#!lua name=x");
    encoder.select(&mut file, 3);
    encoder.size(&mut file, DbSize { n_keys: 7, n_expires: 1, n_subexpires: 1 });
    entries().iter().for_each(|entry| encoder.entry(&mut file, entry).unwrap());
    with_checksum(file)
}

#[test]
fn files_come_back() {
    let lines = read(&sample(MaxmemoryPolicy::NoEviction), &options()).unwrap();
    let expected = [
        "aux redis-ver 8.2.3",
        "function #!lua name=x",
        "3 string string (None, None, None)",
        "3 int string (Some(9000000000000), None, None)",
        "3 list list (None, None, None)",
        "3 set set (None, None, None)",
        "3 zset zset (None, None, None)",
        "3 hash hash (None, None, None)",
        "3 timed hash (None, None, None)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn use_of_keys_is_told_by_policy() {
    let lines = read(&sample(MaxmemoryPolicy::AllkeysLru), &options()).unwrap();
    assert_eq!(lines[2], "3 string string (None, Some(10), None)");
    let lines = read(&sample(MaxmemoryPolicy::VolatileLfu), &options()).unwrap();
    assert_eq!(lines[2], "3 string string (None, None, Some(90))");
}

#[test]
fn older_versions_hold_all_but_times_of_fields() {
    for version in 9..VERSION {
        let encoder = encoder(MaxmemoryPolicy::NoEviction, version);
        let mut file = Vec::new();
        encoder.magic(&mut file);
        encoder.function(&mut file, b"code");
        for entry in entries() {
            let written = encoder.entry(&mut file, &entry);
            assert_eq!(written.is_err(), entry.key() == b"timed", "{version}");
        }
        let lines = read(&with_checksum(file), &options()).unwrap();
        assert_eq!(lines.len(), 6 + usize::from(version >= 10), "{version}: {lines:?}");
    }
}

#[test]
fn old_opcodes_and_files_without_a_checksum_are_read() {
    let file = b"REDIS0003\xfd\x01\0\0\0\x00\x01k\x01v\xfe\x02\x00\x01l\x01v\xff";
    let expected = ["0 k string (Some(1000), None, None)", "2 l string (None, None, None)"];
    assert_eq!(read(file, &options()).unwrap(), expected);
    let file = b"REDIS0012\xf4\x05\x01\x00\x02\x01k\x00\x00\x01l\x01v\xff\0\0\0\0\0\0\0\0";
    let expected = ["empty k", "0 l string (None, None, None)"];
    assert_eq!(read(file, &options()).unwrap(), expected);
}

#[test]
fn valkey_has_a_hash_of_its_own() {
    let mut file = b"VALKEY080\xf3\x03job\x01\x00\x05\x16\x01h\x02\x01f\x01v".to_vec();
    file.extend_from_slice(&(-1i64).to_le_bytes());
    file.extend_from_slice(b"\x01g\x01v");
    file.extend_from_slice(&9_000_000_000_000i64.to_le_bytes());
    assert_eq!(read(&with_checksum(file), &options()).unwrap(), ["0 h hash (None, None, None)"]);
}

#[test]
fn values_of_modules_are_skipped_or_refused_by_name() {
    let mut file = b"REDIS0012\xf7".to_vec();
    let name =
        b"ABCDEFGHI".iter().fold(0u64, |id, byte| id << 6 | u64::from(byte - b'A')) << 10 | 3;
    let id = [&[opcodes::LEN_64_BITS][..], &name.to_be_bytes()].concat();
    file.extend_from_slice(&id);
    file.extend_from_slice(b"\x02\x01\x05\x03abc\x00\x07\x01m");
    file.extend_from_slice(&id);
    file.extend_from_slice(
        b"\x01\x05\x03\0\0\0\0\x04\0\0\0\0\0\0\0\0\x05\xc0\x05\x00\x00\x01k\x01v",
    );
    let file = with_checksum(file);
    let skipping = Options { skips_modules: true, ..options() };
    let expected =
        ["skipped data ABCDEFGHI", "skipped m ABCDEFGHI", "0 k string (None, None, None)"];
    assert_eq!(read(&file, &skipping).unwrap(), expected);
    let refused = read(&file, &options()).unwrap_err();
    assert_eq!(refused.to_string(), "data of the unknown module type 'ABCDEFGHI' at offset 19");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let check = |file: &[u8], expected: &str| {
        assert_eq!(read(file, &options()).unwrap_err().to_string(), expected);
    };
    check(b"REDIX0012", "Wrong signature trying to load DB from file at offset 9");
    check(b"REDIS0013", "Can't handle RDB format version 13 at offset 9");
    check(b"VALKEY081", "Can't handle RDB format version 81 at offset 9");
    check(b"REDIS", "unexpected end at offset 5");
    check(
        b"REDIS0012\xfe\x10",
        "database 16 does not exist: `databases` is too small at offset 11",
    );
    check(b"REDIS0012\x63\x01k", "unknown type of value: 99 at offset 12, key 'k'");
    check(b"REDIS0012\x00\x01k\x05v", "unexpected end at offset 14, key 'k'");
    check(b"REDIS0012\xf6", "Pre-release function format not supported. at offset 10");
    check(b"REDIS0012\xff12345678", "wrong checksum at offset 18");
}

proptest! {
    #[test]
    fn damage_is_found(at in any::<prop::sample::Index>(), bit in 0..8u32, cut in any::<bool>()) {
        let mut file = sample(MaxmemoryPolicy::AllkeysLru);
        let at = 9 + at.index(file.len() - 9);
        if cut {
            file.truncate(at);
        } else {
            file[at] ^= 1 << bit;
        }
        prop_assert!(read(&file, &options()).is_err());
        // Without a checksum it may be taken for something else, but that is all.
        let _ = read(&file, &Options { verifies: false, skips_modules: true, ..options() });
    }

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for magic in [&b"REDIS0012"[..], b"REDIS0003", b"VALKEY080"] {
            let file = [magic, &bytes].concat();
            let _ = read(&file, &Options { verifies: false, skips_modules: true, ..options() });
        }
    }
}

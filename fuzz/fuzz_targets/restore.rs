//! Payloads of all types with valid checksums, as RESTORE takes them: never a panic, no memory beyond
//! what the bytes are worth; what was taken can be dumped and taken again, and serves commands.
//!
//! The bytes are type and value; version and checksum are added.

#![no_main]

use compat_tests::wire::request;
use crabcache_fuzz::{count_replies, serve};
use crabcache_server::persistence::rdb::payload;
use crabcache_store::Limits;
use libfuzzer_sys::fuzz_target;

/// Commands that go through a value and change it everywhere; those of other types are refused.
const COMMANDS: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "MEMORY USAGE k",
    "COPY k copy",
    "DUMP k",
    "SORT k ALPHA LIMIT 0 5",
    "GET k",
    "SETRANGE k 3 x",
    "PFCOUNT k",
    "PFADD k a",
    "BITCOUNT k",
    "LRANGE k 0 -1",
    "LINSERT k BEFORE a b",
    "LSET k -1 b",
    "LREM k -1 a",
    "LPUSH k a",
    "RPOP k 2",
    "SMEMBERS k",
    "SADD k a 7 70000 5000000000",
    "SREM k 7",
    "SPOP k 2",
    "HGETALL k",
    "HPTTL k FIELDS 1 a",
    "HSET k a b",
    "HEXPIRE k 100 FIELDS 1 a",
    "HINCRBY k b 1",
    "HDEL k a",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZADD k 1.5 a 2 b",
    "ZREVRANK k a",
    "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1000 KM",
    "ZPOPMAX k 2",
    "XRANGE k - +",
    "XINFO STREAM k FULL",
    "XADD k * a b",
    "XGROUP CREATE k g 0",
    "XREADGROUP GROUP g c COUNT 2 STREAMS k >",
    "XAUTOCLAIM k g c 0 -",
    "XPENDING k g - + 10",
    "XTRIM k MAXLEN 1 DELREF",
    "VINFO k",
    "VRANDMEMBER k 5",
    "VEMB k a",
    "VLINKS k a",
    "VSIM k ELE a COUNT 5 FILTER .a>1",
    "VREM k a",
    "DEL k",
    "GET copy",
];

fuzz_target!(|data: &[u8]| {
    let sealed = payload::seal(data.to_vec());
    let limits = Limits::default();
    let value = payload::verify(&sealed, false).expect("it was just sealed");
    let Ok(entry) = payload::restore(value, b"k", None, &limits) else { return };
    let dumped = payload::dump(&entry, true);
    let again =
        payload::restore(payload::verify(&dumped, false).expect("as dumped"), b"k", None, &limits);
    assert!(again.is_ok(), "{again:?}");

    let mut input = request(&[&b"RESTORE"[..], b"k", b"0", &sealed]);
    for line in COMMANDS {
        input.extend(request(&line.split(' ').collect::<Vec<_>>()));
    }
    let (out, is_closed) = serve(&input, input.len());
    assert!(!is_closed);
    assert_eq!(count_replies(&out), COMMANDS.len() + 1);
});

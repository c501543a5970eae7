//! Any bytes as a snapshot's file: never a panic, no memory beyond what the bytes are worth, and what
//! was read can be written and read again.
//!
//! The bytes are what follows magic and version; the checksum is not verified.

#![no_main]

use crabcache_server::persistence::rdb::VERSION;
use crabcache_server::persistence::rdb::decode::{Decoder, Item, Options};
use crabcache_server::persistence::rdb::object::write_object;
use crabcache_server::persistence::rdb::payload;
use crabcache_store::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let magic = if first & 1 == 0 { format!("REDIS{VERSION:04}") } else { "VALKEY080".to_string() };
    let mut file = magic.into_bytes();
    file.extend_from_slice(rest);
    let limits = Limits::default();
    let options =
        Options { limits, n_databases: 16, verifies: false, skips_modules: first & 2 == 0 };
    let mut decoder = Decoder::new(&file[..], options).expect("the header is right");
    loop {
        match decoder.next_item() {
            Ok(Some(Item::Key(key))) => {
                let mut value = Vec::new();
                write_object(&mut value, &key.entry, true);
                let again = payload::restore(&value, key.entry.key(), None, &limits);
                assert!(again.is_ok(), "{again:?}");
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    assert!(decoder.offset() <= file.len() as u64);
});

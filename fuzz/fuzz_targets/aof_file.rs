//! Any bytes as an append-only file and as its manifest: never a panic, no memory beyond what the
//! bytes are worth, and what a manifest was read as can be written and read again.

#![no_main]

use crabcache_server::persistence::aof::manifest::Manifest;
use crabcache_server::persistence::aof::reader::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data, 0);
    let mut end = 0;
    while let Ok(batch) = reader.next_batch() {
        if batch.is_empty() {
            break;
        }
        for index in 0..batch.len() {
            assert!(!batch.args(index).is_empty());
            assert!(batch.ends[index].1 > end && batch.ends[index].1 <= data.len() as u64);
            end = batch.ends[index].1;
        }
    }
    if let Ok(manifest) = Manifest::parse(data)
        && !manifest.to_text().is_empty()
    {
        assert_eq!(Manifest::parse(&manifest.to_text()).as_ref(), Ok(&manifest));
    }
});

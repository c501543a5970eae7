//! Streams of commands through a server without sockets: never a panic, replies that are replies, and
//! as many of them however the bytes arrive.
//!
//! The first byte says how long the pieces are; the rest is what a client sends.

#![no_main]

use crabcache_fuzz::{count_replies, serve};
use libfuzzer_sys::fuzz_target;

/// What would end the process, write files or lift the limit on memory.
const LEFT_OUT: &[&str] =
    &["shutdown", "debug", "save", "bgrewriteaof", "rewrite", "proto-max-bulk-len", "failover"];

fuzz_target!(|data: &[u8]| {
    let Some((&piece_len, input)) = data.split_first() else { return };
    let lower = input.to_ascii_lowercase();
    let has = |word: &&str| lower.windows(word.len()).any(|window| window == word.as_bytes());
    if LEFT_OUT.iter().any(has) {
        return;
    }
    let run = |piece_len| {
        let (out, is_closed) = serve(input, piece_len);
        (count_replies(&out), is_closed)
    };
    assert_eq!(run(usize::from(piece_len)), run(input.len()));
});

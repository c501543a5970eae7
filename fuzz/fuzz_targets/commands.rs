//! Streams of commands through a server without sockets: never a panic, replies that are replies, and
//! as many of them however the bytes arrive.
//!
//! The first byte says how long the pieces are; the rest is what a client sends.

#![no_main]

use bytes::BytesMut;
use compat_tests::frame::Scanner;
use crabcache_server::client::{Client, Peer};
use crabcache_server::command::pipeline::{Pipeline, Stop};
use crabcache_server::config::Config;
use crabcache_server::server::Server;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// What would end the process, write files or lift the limit on memory.
const LEFT_OUT: &[&str] =
    &["shutdown", "debug", "save", "bgrewriteaof", "rewrite", "proto-max-bulk-len", "failover"];

fuzz_target!(|data: &[u8]| {
    let Some((&piece_len, input)) = data.split_first() else { return };
    let lower = input.to_ascii_lowercase();
    let has = |word: &&str| lower.windows(word.len()).any(|window| window == word.as_bytes());
    if LEFT_OUT.iter().any(|word| has(&word)) {
        return;
    }
    let whole = run(input, input.len());
    assert_eq!(run(input, usize::from(piece_len)), whole);
});

/// Gives the number of replies, and whether the connection is to be closed.
fn run(input: &[u8], piece_len: usize) -> (usize, bool) {
    // Strings of a megabyte at most: what matters happens to small ones.
    let config = Config {
        io_threads: 1,
        proto_max_bulk_len: 1 << 20,
        // FLUSHALL would write a file.
        save: Vec::new(),
        ..Config::default()
    };
    let server = Arc::new(Server::new(config).expect("the configuration is valid"));
    let user = server.users.default_user().clone();
    let handle = server.clients.add(Peer::default(), 0, user, server.clock.unix_ms());
    let mut client = Client::new(handle, false);
    let mut pipeline = Pipeline::new(server, 0);
    let (mut buf, mut out, mut is_closed) = (BytesMut::new(), Vec::new(), false);
    'pieces: for piece in input.chunks(piece_len.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            match pipeline.run(&mut client, &mut buf, &mut out) {
                Stop::NeedsInput { .. } => break,
                Stop::NeedsFlush => {}
                // Nobody comes to wake it.
                Stop::Waits => break 'pieces,
                Stop::Closes => {
                    is_closed = true;
                    break 'pieces;
                }
            }
        }
    }
    pipeline.forget(&mut client);
    (count_replies(&out), is_closed)
}

fn count_replies(mut out: &[u8]) -> usize {
    let mut n_replies = 0;
    while !out.is_empty() {
        let scanned = Scanner::default().scan(out);
        let len = scanned.ok().flatten().unwrap_or_else(|| panic!("{}", out.escape_ascii()));
        out = &out[len..];
        n_replies += 1;
    }
    n_replies
}

//! What fuzz targets share: a server without sockets, and one client of it.

use bytes::BytesMut;
use compat_tests::frame::Scanner;
use crabcache_server::client::{Client, Peer};
use crabcache_server::command::pipeline::{Pipeline, Stop};
use crabcache_server::config::Config;
use crabcache_server::server::Server;
use std::sync::Arc;

/// Serves a client that sends `input` in pieces of so many bytes. Gives what it is answered, and
/// whether the connection is to be closed.
pub fn serve(input: &[u8], piece_len: usize) -> (Vec<u8>, bool) {
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
                // Closed at once, or no longer a client's.
                stop => {
                    if stop != Stop::Closes {
                        out.clear();
                    }
                    is_closed = true;
                    break 'pieces;
                }
            }
        }
    }
    pipeline.forget(&mut client);
    (out, is_closed)
}

/// The number of replies.
///
/// # Panics
/// If the bytes are no replies.
pub fn count_replies(mut out: &[u8]) -> usize {
    let mut n_replies = 0;
    while !out.is_empty() {
        let scanned = Scanner::default().scan(out);
        let len = scanned.ok().flatten().unwrap_or_else(|| panic!("{}", out.escape_ascii()));
        out = &out[len..];
        n_replies += 1;
    }
    n_replies
}

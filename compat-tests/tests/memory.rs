//! What was freed goes back to the system.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, request};
use crabcache_resp::Protocol;
use std::time::{Duration, Instant};

const N_KEYS: usize = 400_000;
const TIMEOUT: Duration = Duration::from_secs(40);

/// Sends a command for each number, and waits for the replies.
fn send_all(connection: &mut Connection, command: impl Fn(usize) -> Vec<u8>) {
    for first in (0..N_KEYS).step_by(1000) {
        let numbers = first..first + 1000;
        connection.send(&numbers.clone().flat_map(&command).collect::<Vec<u8>>()).unwrap();
        numbers.for_each(|_| drop(connection.receive(TIMEOUT)));
    }
}

fn fill(connection: &mut Connection) {
    let value = "x".repeat(200);
    send_all(connection, |number| request(&["SET", &format!("key:{number}"), &value]));
}

#[track_caller]
fn assert_shrinks(server: &Server, limit_mb: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while server.resident_mb() > limit_mb {
        assert!(Instant::now() < deadline, "still {} MB", server.resident_mb());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn freed_memory_goes_back_to_the_system() {
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    fill(&mut connection);
    let full_mb = server.resident_mb();
    assert!(full_mb > 90, "{full_mb} MB for {N_KEYS} keys");
    connection.call(&["FLUSHALL"]).unwrap();
    // Nobody does anything meanwhile.
    assert_shrinks(&server, full_mb / 3);
    fill(&mut connection);
    send_all(&mut connection, |number| request(&["DEL", &format!("key:{number}")]));
    assert_shrinks(&server, full_mb / 3);
}

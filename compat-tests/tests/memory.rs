//! What was freed goes back to the system, and `maxmemory` holds whatever comes.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, reply_text, request};
use crabcache_resp::Protocol;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
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

const MAXMEMORY_MB: usize = 30;

/// Writes without end: small and large strings, and collections that grow.
fn flood(server: &Server, writer: usize, is_over: &AtomicBool) {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let value = "x".repeat(4000);
    for batch in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let commands = (batch * 100..batch * 100 + 100).flat_map(|number| {
            let key = format!("{writer}:{number}");
            let group = format!("{writer}:group:{}", number / 50);
            let value = &value[..number * 37 % 4000];
            match number % 4 {
                0 => request(&["SADD", &group, &key]),
                1 => request(&["HSET", &format!("h{group}"), &key, value]),
                _ => request(&["SET", &key, value, "EX", "1000"]),
            }
        });
        connection.send(&commands.collect::<Vec<u8>>()).unwrap();
        (0..100).for_each(|_| drop(connection.receive(TIMEOUT)));
    }
}

#[test]
fn a_flood_of_writes_stays_within_maxmemory() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "noeviction"] {
        let maxmemory = format!("{MAXMEMORY_MB}mb");
        let options = ["--maxmemory", &maxmemory, "--maxmemory-policy", policy];
        let server = Server::start(Which::CrabCache, &options).unwrap();
        let is_over = AtomicBool::new(false);
        let mut largest_mb = 0;
        thread::scope(|scope| {
            for writer in 0..3 {
                let (server, is_over) = (&server, &is_over);
                scope.spawn(move || flood(server, writer, is_over));
            }
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(2) {
                largest_mb = largest_mb.max(server.resident_mb());
                thread::sleep(Duration::from_millis(10));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let bound_mb = MAXMEMORY_MB * 6 / 5 + 32;
        assert!(largest_mb <= bound_mb, "{policy}: {largest_mb} MB, not {bound_mb}");
        // The flood was one.
        let mut connection = server.connect(Protocol::Resp2).unwrap();
        let info = connection.call(&["INFO", "everything"]).unwrap();
        let info = String::from_utf8(reply_text(&info).unwrap()).unwrap();
        let was_full = match policy {
            "noeviction" => info.contains("errorstat_OOM:"),
            _ => !info.contains("evicted_keys:0\r"),
        };
        assert!(was_full, "{policy}: {info}");
    }
}

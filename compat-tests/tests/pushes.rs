//! What clients are sent without asking, while others change keys on all threads: caches are never
//! stale, and events come in the order of the changes.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received, request};
use crabcache_resp::{Protocol, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);
const N_KEYS: usize = 50;

fn key(number: usize) -> String {
    format!("key:{}", number % N_KEYS)
}

/// A client with a cache.
struct Reader {
    connection: Connection,
    cache: HashMap<Vec<u8>, Value>,
    n_invalidated: usize,
}

impl Reader {
    fn start(server: &Server, options: &[&str]) -> Reader {
        let mut connection = server.connect(Protocol::Resp3).unwrap();
        let words = [&["CLIENT", "TRACKING", "ON"], options].concat();
        assert_eq!(connection.call(&words).unwrap().show(), "+OK\\r\\n");
        Reader { connection, cache: HashMap::new(), n_invalidated: 0 }
    }

    /// The next reply, or nothing within that time; invalidations on the way are obeyed.
    fn next_reply(&mut self, timeout: Duration) -> Option<Value> {
        loop {
            let Received::Reply(bytes) = self.connection.receive(timeout) else { return None };
            let (value, _) = Value::decode(&bytes, Protocol::Resp3).unwrap().unwrap();
            match value {
                Value::Push(items) => self.invalidate(&items),
                reply => return Some(reply),
            }
        }
    }

    fn invalidate(&mut self, push: &[Value]) {
        let [Value::Bulk(name), keys] = push else { panic!("{push:?}") };
        assert_eq!(name, b"invalidate");
        self.n_invalidated += 1;
        match keys {
            Value::Null => self.cache.clear(),
            Value::Array(keys) => {
                for key in keys {
                    let Value::Bulk(key) = key else { panic!("{key:?}") };
                    self.cache.remove(key);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads a key that is not in the cache, in one of several ways.
    fn read(&mut self, number: usize) {
        let key = key(number);
        if self.cache.contains_key(key.as_bytes()) {
            return;
        }
        let script = "return redis.call('GET', KEYS[1])";
        let (requests, n_replies) = match number % 3 {
            0 => (request(&["GET", &key]), 1),
            1 => (request(&["EVAL", script, "1", &key]), 1),
            _ => ([request(&["MULTI"]), request(&["GET", &key]), request(&["EXEC"])].concat(), 3),
        };
        self.connection.send(&requests).unwrap();
        let mut value = Value::Null;
        for _ in 0..n_replies {
            // A value is in the cache from the moment when it is received.
            value = self.next_reply(TIMEOUT).expect("a reply");
        }
        if let Value::Array(mut values) = value {
            value = values.remove(0);
        }
        self.cache.insert(key.into_bytes(), value);
    }
}

/// Changes keys without end, in several ways.
fn change(server: &Server, writer: usize, is_over: &AtomicBool) {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let (one, other) = (key(number * 7 + writer), key(number * 11));
        let value = format!("{writer}:{number}");
        let script = "redis.call('SET', KEYS[1], ARGV[1]); redis.call('DEL', KEYS[2])";
        let requests: &[&[&str]] = match number % 50 {
            0 => &[&["FLUSHDB"]],
            1..10 => &[&["EVAL", script, "2", &one, &other, &value]],
            10..20 => &[&["MULTI"], &["SET", &one, &value], &["APPEND", &other, "x"], &["EXEC"]],
            20..30 => &[&["SET", &one, &value, "PX", "5"]],
            30..35 => &[&["RENAME", &one, &other]],
            _ => &[&["SET", &one, &value]],
        };
        connection
            .send(&requests.iter().flat_map(|words| request(words)).collect::<Vec<u8>>())
            .unwrap();
        requests.iter().for_each(|_| drop(connection.receive(TIMEOUT)));
    }
}

#[test]
fn caches_are_never_stale() {
    let server = Server::start(Which::CrabCache, &["--io-threads", "4"]).unwrap();
    let is_over = AtomicBool::new(false);
    let modes: [&[&str]; 4] = [&[], &[], &["BCAST"], &["BCAST", "PREFIX", "key:"]];
    let mut readers = thread::scope(|scope| {
        let (server, is_over) = (&server, &is_over);
        for writer in 0..3 {
            scope.spawn(move || change(server, writer, is_over));
        }
        let readers = modes.map(|options| {
            scope.spawn(move || {
                let mut reader = Reader::start(server, options);
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return reader;
                    }
                    reader.read(number * 13);
                }
                reader
            })
        });
        thread::sleep(Duration::from_secs(2));
        is_over.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap())
    });
    // What has expired is removed in the meantime.
    let mut plain = server.connect(Protocol::Resp3).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        for reader in &mut readers {
            assert_eq!(reader.next_reply(Duration::from_millis(20)), None);
        }
    }
    for (reader, mode) in readers.iter().zip(modes) {
        assert!(reader.n_invalidated > 100, "{mode:?}: {} invalidations", reader.n_invalidated);
        for (key, cached) in &reader.cache {
            let Received::Reply(bytes) = plain.call(&[&b"GET"[..], key]).unwrap() else { panic!() };
            let (value, _) = Value::decode(&bytes, Protocol::Resp3).unwrap().unwrap();
            assert_eq!(*cached, value, "{mode:?}: {}", key.escape_ascii());
        }
    }
}

/// Pushes to a list and pops from it without end.
fn push_and_pop(server: &Server, number: usize, is_over: &AtomicBool) {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let requests: [&[&str]; 4] = [
        &["RPUSH", "list", "a"],
        &["LPOP", "list"],
        &["EVAL", "redis.call('RPUSH', KEYS[1], 1); redis.call('LPOP', KEYS[1])", "1", "list"],
        &["RPOP", "list"],
    ];
    for turn in number.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        connection.call(requests[turn * turn % 7 % 4]).unwrap();
    }
}

#[test]
fn events_come_in_the_order_of_the_changes() {
    let options = ["--io-threads", "4", "--notify-keyspace-events", "KA"];
    let server = Server::start(Which::CrabCache, &options).unwrap();
    let mut subscriber = server.connect(Protocol::Resp3).unwrap();
    subscriber.call(&["SUBSCRIBE", "__keyspace@0__:list"]).unwrap();
    let is_over = AtomicBool::new(false);
    let (mut len, mut n_events) = (0, 0);
    thread::scope(|scope| {
        let (server, is_over) = (&server, &is_over);
        for number in 0..4 {
            scope.spawn(move || push_and_pop(server, number, is_over));
        }
        let began = Instant::now();
        loop {
            let is_ending = began.elapsed() > Duration::from_secs(2);
            is_over.store(is_ending, Ordering::Relaxed);
            let timeout = Duration::from_millis(if is_ending { 300 } else { 20_000 });
            let Received::Reply(bytes) = subscriber.receive(timeout) else { break };
            let (push, _) = Value::decode(&bytes, Protocol::Resp3).unwrap().unwrap();
            let Value::Push(items) = push else { panic!("{push:?}") };
            let Value::Bulk(event) = &items[2] else { panic!("{items:?}") };
            match &event[..] {
                b"rpush" => len += 1,
                b"lpop" | b"rpop" => len -= 1,
                b"del" => assert_eq!(len, 0, "removed while it had elements"),
                other => panic!("{}", other.escape_ascii()),
            }
            assert!(len >= 0, "popped before it was pushed");
            n_events += 1;
        }
    });
    assert!(n_events > 1000, "{n_events} events");
    let mut plain = server.connect(Protocol::Resp2).unwrap();
    assert_eq!(plain.call(&["LLEN", "list"]).unwrap().show(), format!(":{len}\\r\\n"));
}

//! What was freed goes back to the system, much data stands in huge pages, `maxmemory` holds whatever
//! comes, and snapshots take little.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, reply_text, request};
use crabcache_resp::Protocol;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const N_KEYS: usize = 400_000;
const TIMEOUT: Duration = Duration::from_secs(40);

/// Sends a command for each number, and waits for the replies.
fn send_all(connection: &mut Connection, n_keys: usize, command: impl Fn(usize) -> Vec<u8>) {
    for first in (0..n_keys).step_by(1000) {
        let numbers = first..first + 1000;
        connection.send(&numbers.clone().flat_map(&command).collect::<Vec<u8>>()).unwrap();
        numbers.for_each(|_| drop(connection.receive(TIMEOUT)));
    }
}

fn fill(connection: &mut Connection, n_keys: usize, letter: &str) {
    let value = letter.repeat(200);
    send_all(connection, n_keys, |number| request(&["SET", &format!("key:{number}"), &value]));
}

fn info(connection: &mut Connection) -> String {
    let info = connection.call(&["INFO", "everything"]).unwrap();
    String::from_utf8(reply_text(&info).unwrap()).unwrap()
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
    fill(&mut connection, N_KEYS, "x");
    let full_mb = server.resident_mb();
    assert!(full_mb > 90, "{full_mb} MB for {N_KEYS} keys");
    connection.call(&["FLUSHALL"]).unwrap();
    // Nobody does anything meanwhile.
    assert_shrinks(&server, full_mb / 3);
    fill(&mut connection, N_KEYS, "x");
    send_all(&mut connection, N_KEYS, |number| request(&["DEL", &format!("key:{number}")]));
    assert_shrinks(&server, full_mb / 3);
}

/// Whether a kernel of today is there, and may give huge pages.
fn can_have_huge_pages() -> bool {
    let enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = kernel.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next(), numbers.next());
    version >= (Some(6), Some(1))
        && std::fs::read_to_string(enabled).is_ok_and(|enabled| !enabled.contains("[never]"))
}

#[test]
fn much_data_is_in_huge_pages_and_little_is_not() {
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    fill(&mut connection, N_KEYS / 10, "x");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(server.huge_mb(), 0);
    fill(&mut connection, N_KEYS, "x");
    let full_mb = server.resident_mb();
    let deadline = Instant::now() + TIMEOUT;
    while can_have_huge_pages() && server.huge_mb() < full_mb / 2 {
        assert!(Instant::now() < deadline, "{} MB of {full_mb}", server.huge_mb());
        thread::sleep(Duration::from_millis(100));
    }
    assert!(server.resident_mb() <= full_mb + full_mb / 20, "{full_mb} MB before");
    // All keys are what they were.
    let value = "x".repeat(200);
    for number in (0..N_KEYS).step_by(1000) {
        let reply = connection.call(&["GET", &format!("key:{number}")]).unwrap();
        assert_eq!(reply_text(&reply).unwrap(), value.as_bytes());
    }
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
        let info = info(&mut connection);
        let was_full = match policy {
            "noeviction" => info.contains("errorstat_OOM:"),
            _ => !info.contains("evicted_keys:0\r"),
        };
        assert!(was_full, "{policy}: {info}");
    }
}

/// Every key is changed while the snapshot is made: the file has none of that, and what waits for it
/// takes little memory.
#[test]
fn a_snapshot_takes_little_memory_whatever_changes() {
    const N_KEYS: usize = 100_000;
    let mut server = Server::start(Which::CrabCache, &["--rdb-key-save-delay", "1"]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    fill(&mut connection, N_KEYS, "a");
    // The same sizes again, so that the tables and the allocator have taken what they need.
    fill(&mut connection, N_KEYS, "a");
    let full_mb = server.resident_mb();
    connection.call(&["BGSAVE"]).unwrap();
    let is_over = AtomicBool::new(false);
    let largest_mb = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut largest_mb = 0;
            while !is_over.load(Ordering::Relaxed) {
                largest_mb = largest_mb.max(server.resident_mb());
                thread::sleep(Duration::from_millis(5));
            }
            largest_mb
        });
        fill(&mut connection, N_KEYS, "b");
        let was_under_way = info(&mut connection).contains("rdb_bgsave_in_progress:1");
        let deadline = Instant::now() + TIMEOUT;
        while info(&mut connection).contains("rdb_bgsave_in_progress:1") {
            assert!(Instant::now() < deadline, "the snapshot does not end");
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(was_under_way, "the snapshot was over before all keys had changed");
        watch.join().unwrap()
    });
    // The last is for a huge page that is being made.
    let bound_mb = full_mb + full_mb / 20 + 3 + 2;
    assert!(largest_mb <= bound_mb, "{largest_mb} MB, {full_mb} MB before");
    server.restart(Which::CrabCache, &[]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let script = "local n = 0 for i = 0, ARGV[1] - 1 do local v = redis.call('GET', 'key:' .. i) \
                  if v == ARGV[2] then n = n + 1 end end return n";
    let counted = connection.call(&["EVAL", script, "0", &N_KEYS.to_string(), &"a".repeat(200)]);
    assert_eq!(counted.unwrap().show(), format!(":{N_KEYS}\\r\\n"));
}

/// A number of INFO.
fn info_number(connection: &mut Connection, field: &str) -> i64 {
    let info = info(connection);
    let number = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    number.unwrap().parse().unwrap()
}

/// Bytes that are in use.
fn used(connection: &mut Connection) -> i64 {
    info_number(connection, "used_memory")
}

/// Waits until INFO has `line`, and some time longer, so that every thread has done what it does then.
fn await_info(connection: &mut Connection, line: &str) {
    let deadline = Instant::now() + TIMEOUT;
    while !info(connection).contains(line) {
        assert!(Instant::now() < deadline, "no {line}");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
}

/// One thread takes connections in, another ends them; one begins snapshots, another writes them.
#[test]
fn what_one_thread_allocates_and_another_frees_leaves_nothing_in_use() {
    const N_CONNECTIONS: usize = 3000;
    const TOLERANCE: i64 = 100_000;
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let before = used(&mut connection);
    connection.call(&["BGSAVE"]).unwrap();
    await_info(&mut connection, "rdb_bgsave_in_progress:0");
    let after = used(&mut connection);
    assert!((after - before).abs() < TOLERANCE, "snapshot: {before}, {after}");
    (0..N_CONNECTIONS).for_each(|_| drop(TcpStream::connect(server.address).unwrap()));
    await_info(&mut connection, "connected_clients:1\r");
    let after = used(&mut connection);
    assert!((after - before).abs() < TOLERANCE, "connections: {before}, {after}");
}

/// What clients are told of evicted keys is no reason to evict more, neither on its way nor just sent.
#[test]
fn keys_do_not_go_for_what_clients_are_told_of_others() {
    const N_KEYS: usize = 300;
    const EXCESS: i64 = 40_000;
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let keys: Vec<String> = (0..N_KEYS).map(|number| format!("{number:01000}")).collect();
    keys.iter().for_each(|key| drop(connection.call(&["SET", key, "x"]).unwrap()));
    let trackers: Vec<Connection> = (0..10)
        .map(|_| {
            let mut tracker = server.connect(Protocol::Resp3).unwrap();
            tracker.call(&["CLIENT", "TRACKING", "ON"]).unwrap();
            keys.iter().for_each(|key| drop(tracker.call(&["GET", key]).unwrap()));
            tracker
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    let limit = (used(&mut connection) - EXCESS).to_string();
    let policy = ["maxmemory-policy", "allkeys-lru", "maxmemory-eviction-tenacity", "100"];
    let limits = [&["CONFIG", "SET", "maxmemory", &limit], &policy[..]].concat();
    assert_eq!(connection.call(&limits).unwrap().show(), "+OK\\r\\n");
    // Longer than the server takes to look at its memory by itself.
    thread::sleep(Duration::from_millis(400));
    let n_evicted = info_number(&mut connection, "evicted_keys");
    assert!((10..100).contains(&n_evicted), "{n_evicted}");
    drop(trackers);
}

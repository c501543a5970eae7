//! Many connections, slow ones, and clients that never read: memory stays bounded, everyone else is
//! served.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, request};
use crabcache_resp::Protocol;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

/// As many files as this process and its children may have; most of them.
fn connections_max() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(hard).unwrap_or(usize::MAX).saturating_sub(500).min(9_900)
}

#[track_caller]
fn assert_serves(connection: &mut Connection) {
    let answer = connection.call(&["ECHO", "here"]).unwrap();
    assert_eq!(answer.show(), "$4\\r\\nhere\\r\\n");
}

#[test]
fn ten_thousand_idle_and_slow_connections() {
    let n_connections = connections_max();
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut active = server.connect(Protocol::Resp2).unwrap();
    let mut beginning = request(&["ECHO", "late"]);
    let end = beginning.split_off(9);
    let mut streams = Vec::new();
    for index in 0..n_connections {
        let mut stream = TcpStream::connect(server.address).unwrap();
        if index % 2 == 0 {
            stream.write_all(&beginning).unwrap();
        }
        streams.push(stream);
    }
    assert_serves(&mut active);
    let resident_mb = server.resident_mb();
    assert!(resident_mb < 100, "{resident_mb} MB for {n_connections} connections");
    for stream in streams.iter_mut().step_by(2) {
        stream.write_all(&end).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"$4\r\nlate\r\n");
    }
    assert_serves(&mut active);
}

#[test]
fn a_client_that_never_reads() {
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut active = server.connect(Protocol::Resp2).unwrap();
    active.call(&["SET", "big", &"x".repeat(64 * 1024)]).unwrap();
    // 50,000 replies of 64 KB would be 3 GB.
    let batch = request(&["GET", "big"]).repeat(1000);
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        // The server stops to read what it cannot answer.
        let _ = (0..50).try_for_each(|_| stream.write_all(&batch));
        deaf.push(stream);
    }
    for _ in 0..100 {
        assert_serves(&mut active);
    }
    let resident_mb = server.resident_mb();
    assert!(resident_mb < 100, "{resident_mb} MB");
}

/// CVE-2025-21605: replies to who has not even introduced himself must not pile up.
#[test]
fn who_is_not_authenticated_cannot_fill_memory() {
    let server = Server::start(Which::CrabCache, &["--requirepass", "secret"]).unwrap();
    // Errors for all of these would be 500 MB.
    let batch = request(&["GET", "a"]).repeat(10_000);
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let written = (0..400).try_for_each(|_| stream.write_all(&batch));
        assert!(written.is_err(), "all was read and answered");
        deaf.push(stream);
    }
    let resident_mb = server.resident_mb();
    assert!(resident_mb < 50, "{resident_mb} MB");
    let mut active = server.connect(Protocol::Resp2).unwrap();
    assert_eq!(active.call(&["AUTH", "secret"]).unwrap().show(), "+OK\\r\\n");
    assert_serves(&mut active);
}

/// A long command holds its own keys only: clients of other keys go on.
#[test]
fn long_commands_hold_up_nobody_else() {
    const N_LONG: usize = 20;
    let server = Server::start(Which::CrabCache, &["--io-threads", "2"]).unwrap();
    let mut slow = server.connect(Protocol::Resp2).unwrap();
    for key in ["first", "second"] {
        for batch in 0..50 {
            let members = (0..4000).map(|number| format!("{key}:{batch}:{number}"));
            let words = ["SADD", key].map(str::to_string).into_iter().chain(members);
            slow.call(&words.collect::<Vec<_>>()).unwrap();
        }
    }
    let is_over = AtomicBool::new(false);
    let n_answered = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut other = server.connect(Protocol::Resp2).unwrap();
            let mut n_answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                other.call(&["INCR", "another"]).unwrap();
                n_answered += 1;
            }
            n_answered
        });
        for _ in 0..N_LONG {
            slow.call(&["SUNIONSTORE", "third", "first", "second"]).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        others.join().unwrap()
    });
    // One or two for each of the long ones if they had to wait for them.
    assert!(n_answered > 20 * N_LONG, "{n_answered} commands during {N_LONG} long ones");
}

#[test]
fn a_monitor_sees_every_command_once_and_in_order() {
    const N_CLIENTS: usize = 4;
    const N_COMMANDS: usize = 5000;
    let server = Server::start(Which::CrabCache, &["--io-threads", "2"]).unwrap();
    let mut monitor = server.connect(Protocol::Resp2).unwrap();
    monitor.call(&["MONITOR"]).unwrap();
    thread::scope(|scope| {
        for client in 0..N_CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect(Protocol::Resp2).unwrap();
                for first in (0..N_COMMANDS).step_by(100) {
                    let echo = |number| request(&["ECHO", &format!("client:{client}:{number}")]);
                    let commands: Vec<u8> = (first..first + 100).flat_map(echo).collect();
                    connection.send(&commands).unwrap();
                    (0..100).for_each(|_| drop(connection.receive(TIMEOUT)));
                }
            });
        }
        let mut n_seen = [0; N_CLIENTS];
        while n_seen.iter().sum::<usize>() < N_CLIENTS * N_COMMANDS {
            let line = monitor.receive(TIMEOUT).show();
            // Others connect and say hello.
            let Some((_, words)) = line.split_once("client:") else { continue };
            let (client, number) = words.split_once(':').unwrap();
            let number: usize =
                number.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            let n_seen = &mut n_seen[client.parse::<usize>().unwrap()];
            assert_eq!(number, *n_seen, "{line}");
            *n_seen += 1;
        }
    });
}

/// These fields of a client's line in CLIENT LIST.
fn fields_of(list: &str, name: &str, fields: &[&str]) -> Vec<String> {
    let line = list.split("\\n").find(|line| line.contains(&format!("name={name} "))).unwrap();
    let is_meant = |word: &&str| fields.iter().any(|field| word.starts_with(&format!("{field}=")));
    line.split(' ').filter(is_meant).map(str::to_string).collect()
}

/// What of a request has come is told as the reference tells it: what was parsed as words, the rest as
/// input.
#[test]
fn unfinished_requests_are_told() {
    let pieces: &[(&str, usize)] = &[
        ("*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$100000\r\n", 0),
        ("", 50_000),
        ("", 45_000),
        ("", 5_000),
        ("\r\n*1\r\n$8000000\r\n", 3_000_000),
    ];
    let told = [Which::Reference, Which::CrabCache].map(|which| {
        let server = Server::start(which, &[]).unwrap();
        let mut observer = server.connect(Protocol::Resp2).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"CLIENT SETNAME slow\r\n").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        let mut told = Vec::new();
        for (line, n_bytes) in pieces {
            let piece = [line.as_bytes(), &b"x".repeat(*n_bytes)].concat();
            stream.write_all(&piece).unwrap();
            let mut last = Vec::new();
            // It stands still when all was read.
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(20));
                let list = observer.call(&["CLIENT", "LIST"]).unwrap().show();
                let now = fields_of(&list, "slow", &["qbuf", "argv-mem", "multi-mem"]);
                if now == last {
                    break;
                }
                last = now;
            }
            told.push(last);
        }
        told
    });
    assert_eq!(told[1], told[0]);
}

/// However a request comes, its client counts with no more than it needs or one read brings: a large
/// one would have to go under `maxmemory-clients`.
#[test]
fn a_request_in_pieces_has_a_buffer_of_its_size() {
    const READ_BYTES: usize = 256 * 1024;
    const LEN: usize = 220_000;
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut observer = server.connect(Protocol::Resp2).unwrap();
    // The buffer of the large request must not stay for the others.
    for len in [0, 400_000] {
        observer.call(&["SET", "key", &"x".repeat(len)]).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"CLIENT SETNAME slow\r\n").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        stream.write_all(format!("*1\r\n${LEN}\r\n").as_bytes()).unwrap();
        for (piece_len, all) in [(4000, 4000), (LEN - 4000, LEN)] {
            stream.write_all(&b"x".repeat(piece_len)).unwrap();
            let began = Instant::now();
            loop {
                let list = observer.call(&["CLIENT", "LIST"]).unwrap().show();
                let sizes = fields_of(&list, "slow", &["qbuf", "qbuf-free"]);
                let sizes: Vec<usize> = sizes
                    .iter()
                    .map(|field| field.split('=').nth(1).unwrap().parse().unwrap())
                    .collect();
                assert!(sizes.iter().sum::<usize>() <= READ_BYTES, "{sizes:?}");
                if sizes[0] >= all {
                    break;
                }
                assert!(began.elapsed() < TIMEOUT, "{sizes:?}");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// What the socket does not take at once follows, though nothing else happens on the connection.
#[test]
fn a_large_message_arrives_whole() {
    const LEN: usize = 20_000_000;
    let server = Server::start(Which::CrabCache, &[]).unwrap();
    let mut active = server.connect(Protocol::Resp2).unwrap();
    let mut subscriber = TcpStream::connect(server.address).unwrap();
    subscriber.set_read_timeout(Some(TIMEOUT)).unwrap();
    subscriber.write_all(&request(&["SUBSCRIBE", "news"])).unwrap();
    let mut answer = [0; 33];
    subscriber.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b":1\r\n"), "{}", answer.escape_ascii());
    let text = "x".repeat(LEN);
    assert_eq!(active.call(&["PUBLISH", "news", &text]).unwrap().show(), ":1\\r\\n");
    let head = format!("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${LEN}\r\n");
    let mut message = vec![0; head.len() + LEN + 2];
    subscriber.read_exact(&mut message).unwrap();
    assert!(message.starts_with(head.as_bytes()) && message.ends_with(b"xx\r\n"));
}

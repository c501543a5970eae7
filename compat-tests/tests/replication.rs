//! Replication between CrabCache and real servers, both ways, with links that are cut.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::differential::RandomCommands;
use compat_tests::frame::Frame;
use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received, reply_text, request};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(30);

fn start(which: Which, options: &[&str]) -> Server {
    let all = [&["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"], options];
    Server::start(which, &all.concat()).unwrap()
}

/// The text of a reply.
#[track_caller]
fn ask(server: &Server, words: &[&str]) -> String {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let reply = connection.call(words).unwrap();
    match reply_text(&reply) {
        Some(text) => String::from_utf8_lossy(&text).into_owned(),
        None => reply.show(),
    }
}

fn info(server: &Server, field: &str) -> String {
    let text = ask(server, &["INFO", "all"]);
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().to_string()
}

/// Waits until something is so.
#[track_caller]
fn await_that(what: &str, servers: &[&Server], mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        if Instant::now() > deadline {
            let logs = servers.iter().map(|server| {
                let log = server.log();
                let tail = log.len().saturating_sub(4000);
                format!("{:?}:\n{}", server.which, log.get(tail..).unwrap_or(&log))
            });
            panic!("{what} did not come\n{}", logs.collect::<Vec<_>>().join("\n"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn follow(replica: &Server, primary: &Server) {
    assert_eq!(ask(replica, &["REPLICAOF", "127.0.0.1", &primary.port()]), "OK");
    let servers = [replica, primary];
    await_that("the link", &servers, || info(replica, "master_link_status") == "up");
}

/// What is in a server: a digest and the number of keys of each database.
fn content(server: &Server) -> (String, Vec<String>) {
    let keyspace = ask(server, &["INFO", "keyspace"]);
    let counts = keyspace.lines().filter(|line| line.starts_with("db"));
    let counts = counts.map(|line| line.split(',').next().unwrap().to_string()).collect();
    (ask(server, &["DEBUG", "DIGEST"]), counts)
}

/// All have the same.
#[track_caller]
fn assert_same(primary: &Server, replicas: &[&Server]) {
    let all = [&[primary], replicas].concat();
    // What has expired goes when the primary finds it.
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let own = content(primary);
        if replicas.iter().all(|replica| content(replica) == own) {
            return;
        }
        if Instant::now() > deadline {
            let all: Vec<_> = all.iter().map(|server| digests(server)).collect();
            let names: BTreeSet<_> = all.iter().flat_map(BTreeMap::keys).collect();
            let of_all = |name: &&String| all.iter().map(|own| own.get(*name)).collect::<Vec<_>>();
            let differ = names.iter().filter(|name| {
                let digests = of_all(name);
                digests.iter().any(|digest| *digest != digests[0])
            });
            let lines = differ.map(|name| format!("{name}: {:?}", of_all(name)));
            let lines = lines.collect::<Vec<_>>().join("\n");
            assert!(lines.is_empty(), "keys differ, from the primary on:\n{lines}");
            panic!("the digests differ, those of the keys do not");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Each key with the digest of its value, for people.
fn digests(server: &Server) -> BTreeMap<String, String> {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    let mut digests = BTreeMap::new();
    for db in 0..16 {
        connection.call(&["SELECT", &db.to_string()]).unwrap();
        let Received::Reply(reply) = connection.call(&["KEYS", "*"]).unwrap() else { panic!() };
        for key in Frame::parse(&reply).unwrap().children.iter().map(|key| key.text().to_vec()) {
            let digest = connection.call(&[b"DEBUG", &b"DIGEST-VALUE"[..], &key]).unwrap().show();
            let kind = connection.call(&[b"TYPE", &key[..]]).unwrap().show();
            digests.insert(format!("{db} {} {kind}", key.escape_ascii()), digest);
        }
    }
    digests
}

/// Sends random commands, many in one write.
fn change(server: &Server, n_commands: usize, random: &mut StdRng) {
    let is_reference = server.which != Which::CrabCache;
    let (commands, mut connection) =
        (RandomCommands::default(), server.connect(Protocol::Resp2).unwrap());
    for _ in 0..n_commands.div_ceil(50) {
        let mut bytes = Vec::new();
        let mut n_sent = 0;
        while n_sent < 50 {
            let words = commands.next(random);
            let is_rare = words[0].eq_ignore_ascii_case(b"flushall") && !random.random_bool(0.02);
            // Redis 8.2.3 forgets to replicate some changes of vector sets, to its own replicas, too.
            let is_forgotten = is_reference && words[0].to_ascii_lowercase().starts_with(b"v");
            if !is_rare && !is_forgotten {
                bytes.extend_from_slice(&request(&words));
                n_sent += 1;
            }
        }
        connection.send(&bytes).unwrap();
        for _ in 0..n_sent {
            let Received::Reply(_) = connection.receive(TIMEOUT) else { panic!("no reply") };
        }
    }
    // A transaction may be open.
    let mut last: Connection = server.connect(Protocol::Resp2).unwrap();
    last.call(&["PING"]).unwrap();
}

#[expect(clippy::print_stderr, reason = "shown when a test fails")]
fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    eprintln!("SEED={seed}");
    seed
}

/// A primary, a replica of each kind and a replica of each of these; links are cut meanwhile.
fn replicate(primary: Which, n_rounds: usize) {
    let mut random = StdRng::seed_from_u64(seed());
    let primary = start(primary, &[]);
    let [ours, theirs, below_ours, below_theirs] =
        [Which::CrabCache, Which::Reference, Which::Reference, Which::CrabCache]
            .map(|which| start(which, &[]));
    change(&primary, 2000, &mut random);
    follow(&ours, &primary);
    follow(&theirs, &primary);
    follow(&below_ours, &ours);
    follow(&below_theirs, &theirs);
    let replicas = [&ours, &theirs, &below_ours, &below_theirs];
    for round in 0..n_rounds {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                // Sometimes more is missing afterwards than is kept.
                let kept = if round % 2 == 0 { "1mb" } else { "16kb" };
                ask(&primary, &["CONFIG", "SET", "repl-backlog-size", kept]);
                ask(&primary, &["CLIENT", "KILL", "TYPE", "replica"]);
                ask(&ours, &["CLIENT", "KILL", "TYPE", "master"]);
                ask(&theirs, &["CLIENT", "KILL", "TYPE", "replica"]);
            });
            change(&primary, 2000, &mut random);
        });
        assert_same(&primary, &replicas);
    }
    assert_ne!(info(&primary, "sync_partial_ok"), "0");
}

#[test]
fn crabcache_is_a_primary() {
    replicate(Which::CrabCache, 4);
}

#[test]
fn crabcache_is_a_replica() {
    replicate(Which::Reference, 4);
}

/// Fills a server with what Redis 7.0 knows.
fn fill(server: &Server) {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    for number in 0..300 {
        let n = number.to_string();
        for words in [
            &["SET", &format!("string:{n}"), &n][..],
            &["SET", &format!("expiring:{n}"), &n, "PX", "100000"],
            &["RPUSH", "list", &n, "text"],
            &["SADD", "set", &n],
            &["SADD", "words", &format!("word{n}")],
            &["ZADD", "zset", &n, &format!("member{n}")],
            &["HSET", "hash", &n, "value"],
            &["XADD", "stream", "*", "field", &n],
            &["SETBIT", "bits", &n, "1"],
            &["PFADD", "hll", &n],
            &["EVAL", "redis.call('incr', KEYS[1]); return redis.call('incr', KEYS[1])", "1", "n"],
        ] {
            let Received::Reply(reply) = connection.call(words).unwrap() else { panic!() };
            assert_ne!(reply[0], b'-', "{words:?}");
        }
    }
    connection.call(&["XGROUP", "CREATE", "stream", "group", "0"]).unwrap();
    connection.call(&["XREADGROUP", "GROUP", "group", "one", "STREAMS", "stream", ">"]).unwrap();
}

#[test]
fn redis_7_on_both_sides() {
    let (old, ours, other) =
        (start(Which::Older, &[]), start(Which::CrabCache, &[]), start(Which::Older, &[]));
    fill(&old);
    follow(&ours, &old);
    follow(&other, &ours);
    fill(&old);
    assert_same(&old, &[&ours, &other]);
    // And the other way round.
    assert_eq!(ask(&ours, &["REPLICAOF", "NO", "ONE"]), "OK");
    fill(&ours);
    follow(&old, &ours);
    fill(&ours);
    await_that("the link", &[&other], || info(&other, "master_link_status") == "up");
    assert_same(&ours, &[&old, &other]);
    // The old primary could go on, too.
    assert_eq!(info(&ours, "sync_full"), "1");
}

#[test]
fn a_promoted_replica_goes_on_with_the_others() {
    let [first, second, third] = [(); 3].map(|()| start(Which::CrabCache, &[]));
    fill(&first);
    follow(&second, &first);
    follow(&third, &first);
    fill(&first);
    assert_same(&first, &[&second, &third]);
    assert_eq!(
        ask(&second, &["SET", "x", "y"]),
        "READONLY You can't write against a read only replica."
    );
    assert_eq!(ask(&second, &["REPLICAOF", "NO", "ONE"]), "OK");
    assert_eq!(ask(&second, &["SET", "x", "y"]), "OK");
    follow(&third, &second);
    follow(&first, &second);
    assert_same(&second, &[&first, &third]);
    assert_eq!(info(&second, "sync_full"), "0");
    assert_eq!(ask(&second, &["SET", "x", "z"]), "OK");
    let mut waiting = second.connect(Protocol::Resp2).unwrap();
    waiting.call(&["SET", "x", "w"]).unwrap();
    assert_eq!(waiting.call(&["WAIT", "2", "5000"]).unwrap().show(), ":2\\r\\n");
    assert_eq!(ask(&third, &["GET", "x"]), "w");
}

#[test]
fn too_few_replicas_refuse_writes() {
    let (primary, replica) = (start(Which::CrabCache, &[]), start(Which::CrabCache, &[]));
    ask(&primary, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(ask(&primary, &["SET", "k", "v"]), "NOREPLICAS Not enough good replicas to write.");
    follow(&replica, &primary);
    await_that("the replica", &[&primary], || ask(&primary, &["SET", "k", "v"]) == "OK");
}

/// A primary that sends `snapshot` to whoever asks, again and again. Gives its port.
fn false_primary(snapshot: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1000];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).to_lowercase();
                if !text.contains("psync") {
                    stream.write_all(b"+PONG\r\n").unwrap();
                    continue;
                }
                let replid = "a".repeat(40);
                stream.write_all(format!("+FULLRESYNC {replid} 0\r\n").as_bytes()).unwrap();
                // The other side may have hung up.
                let _ = stream.write_all(snapshot);
                break;
            }
        }
    });
    port
}

#[test]
fn what_a_false_primary_sends_destroys_nothing() {
    let snapshots: [&[u8]; 6] = [
        b"$20\r\nREDIS0099aaaaaaaaaaa",
        b"$20\r\nREDIS0011aaaaaaaaaaa",
        b"$18446744073709551615\r\nREDIS0011",
        b"$-5\r\n",
        b"-ERR no\r\n",
        b"\x00\x01\x02garbage",
    ];
    let server = start(Which::CrabCache, &["--repl-timeout", "2"]);
    fill(&server);
    let before = content(&server);
    for snapshot in snapshots {
        let port = false_primary(snapshot);
        assert_eq!(ask(&server, &["REPLICAOF", "127.0.0.1", &port]), "OK");
        await_that("a second attempt", &[&server], || {
            info(&server, "master_total_sync_attempts").parse::<u64>().unwrap_or(0) >= 2
        });
        assert_eq!(content(&server), before);
        assert_eq!(info(&server, "master_link_status"), "down");
    }
    assert_eq!(ask(&server, &["REPLICAOF", "NO", "ONE"]), "OK");
    assert_eq!(ask(&server, &["SET", "k", "v"]), "OK");
}

#[test]
fn sync_is_answered_by_the_snapshot_alone() {
    for which in [Which::Reference, Which::CrabCache] {
        let server = start(which, &[]);
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"SYNC\r\n").unwrap();
        let mut first = [b'\n'];
        while first == [b'\n'] {
            stream.read_exact(&mut first).unwrap();
        }
        assert_eq!(first, [b'$'], "{which:?}");
    }
}

#[test]
fn a_replica_that_sends_garbage_is_cut() {
    let server = start(Which::CrabCache, &[]);
    fill(&server);
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"SYNC\r\n").unwrap();
    let mut beginning = [0; 100];
    stream.read_exact(&mut beginning).unwrap();
    stream.write_all(b"*1\r\n$-77\r\n").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    await_that("its end", &[&server], || info(&server, "connected_slaves") == "0");
    assert_eq!(ask(&server, &["SET", "k", "v"]), "OK");
}

//! Replication between CrabCache and real servers, both ways, with links that are cut.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::differential::RandomCommands;
use compat_tests::group::{
    TIMEOUT, ask, assert_same, await_link, await_that, content, follow, info, start,
};
use compat_tests::server::{Server, Which, tool};
use compat_tests::wire::{Connection, Received, request};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sends random commands, many in one write.
fn change(server: &Server, n_commands: usize, random: &mut StdRng) {
    let (commands, mut connection) =
        (RandomCommands::default(), server.connect(Protocol::Resp2).unwrap());
    for _ in 0..n_commands.div_ceil(50) {
        let mut bytes = Vec::new();
        let mut n_sent = 0;
        while n_sent < 50 {
            let words = commands.next_replicated(server.which, random);
            let is_rare = words[0].eq_ignore_ascii_case(b"flushall") && !random.random_bool(0.02);
            if !is_rare {
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
    // A ping that the old primary has sent and nobody has got would keep it from going on.
    let options = ["--repl-ping-replica-period", "1000"];
    let [old, ours, other] =
        [Which::Older, Which::CrabCache, Which::Older].map(|which| start(which, &options));
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
    await_link(&other, &ours);
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

#[test]
fn a_pause_holds_up_what_the_primary_sends() {
    for which in [Which::Reference, Which::CrabCache] {
        let (primary, replica) = (start(Which::CrabCache, &[]), start(which, &[]));
        follow(&replica, &primary);
        ask(&primary, &["SET", "k", "1"]);
        await_that("the key", &[&primary, &replica], || ask(&replica, &["GET", "k"]) == "1");
        for (mode, ms) in [("WRITE", "100000"), ("ALL", "1000")] {
            let n = ask(&primary, &["INCR", "n"]);
            await_that("the key", &[&primary, &replica], || ask(&replica, &["GET", "n"]) == n);
            ask(&replica, &["CLIENT", "PAUSE", ms, mode]);
            ask(&primary, &["INCR", "k"]);
            // More than is received while nothing goes on.
            ask(&primary, &["SET", "long", &"x".repeat(3_000_000)]);
            if mode == "WRITE" {
                let number = |field| info(&replica, field).parse::<u64>().unwrap();
                let applied = number("slave_repl_offset");
                await_that("bytes", &[&replica], || number("slave_read_repl_offset") > applied);
                std::thread::sleep(Duration::from_millis(1500));
                assert_eq!(number("slave_repl_offset"), applied, "{which:?}");
                assert_eq!(ask(&replica, &["GET", "k"]), "1", "{which:?}");
                // It is still there for its primary.
                assert!(info(&primary, "slave0").contains("state=online"), "{which:?}");
            }
            ask(&replica, &["CLIENT", "UNPAUSE"]);
            assert_same(&primary, &[&replica]);
        }
        assert_eq!(info(&primary, "sync_full"), "1", "{which:?}");
    }
}

/// A primary that sends `snapshot` to whoever asks for one, again and again, and hangs up, or is
/// silent. Gives its port.
fn false_primary(snapshot: Vec<u8>, hangs_up: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1000];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).to_lowercase();
                if !text.contains("\r\npsync\r\n") {
                    stream.write_all(b"+PONG\r\n").unwrap();
                    continue;
                }
                let replid = "a".repeat(40);
                stream.write_all(format!("+FULLRESYNC {replid} 0\r\n").as_bytes()).unwrap();
                // The other side may have hung up.
                let _ = stream.write_all(&snapshot);
                break;
            }
            if !hangs_up {
                silent.push(stream);
            }
        }
    });
    port
}

/// A sound snapshot.
fn snapshot() -> Vec<u8> {
    let server = start(Which::Reference, &[]);
    fill(&server);
    assert_eq!(ask(&server, &["SAVE"]), "OK");
    std::fs::read(server.folder.path().join("dump.rdb")).unwrap()
}

#[test]
fn what_a_false_primary_sends_destroys_nothing() {
    let sound = snapshot();
    let (len, mark) = (sound.len(), "m".repeat(40));
    let with_len = |bytes: &[u8]| [format!("${len}\r\n").as_bytes(), bytes].concat();
    let streamed = |bytes: &[u8], mark_sent: &str| {
        [format!("$EOF:{mark}\r\n").as_bytes(), bytes, mark_sent.as_bytes()].concat()
    };
    let mut unknown_version = sound.clone();
    unknown_version[5..9].copy_from_slice(b"0099");
    let mut damaged = sound.clone();
    damaged[len / 2] ^= 0x55;
    let lost = "Error condition on socket for SYNC: unexpected end of file";
    let unsound = "the snapshot that was received cannot be loaded, the data stays as it is";
    let no_snapshot = "Bad protocol from MASTER, the first byte is not '$' (we received ";
    let late = "Timeout receiving bulk data from MASTER";
    let cases = [
        (
            with_len(&unknown_version),
            true,
            "the data stays as it is: Can't handle RDB format version 99",
        ),
        (with_len(&damaged), true, unsound),
        (streamed(&damaged, &mark), true, unsound),
        (streamed(&sound[..len / 2], &mark), true, unsound),
        // It stops, or never comes to an end.
        (with_len(&sound[..len / 2]), true, lost),
        (with_len(&sound[..len / 2]), false, late),
        (streamed(&sound, &"n".repeat(40)), true, lost),
        (streamed(&sound, &"n".repeat(40)), false, late),
        (b"$18446744073709551615\r\nREDIS0011".to_vec(), true, lost),
        (b"$-5\r\n".to_vec(), true, no_snapshot),
        (b"$EOF:short\r\n".to_vec(), true, no_snapshot),
        (b"\x00\x01\x02garbage\r\n".to_vec(), true, "we received '\\0\\u{1}\\u{2}garbage'"),
        (b"-ERR no\r\n".to_vec(), true, "MASTER aborted replication with an error: ERR no"),
    ];
    let server = start(Which::CrabCache, &["--repl-timeout", "2"]);
    fill(&server);
    let before = content(&server);
    for (bytes, hangs_up, told) in cases {
        let (port, log_len) = (false_primary(bytes, hangs_up), server.log().len());
        let began = Instant::now();
        assert_eq!(ask(&server, &["REPLICAOF", "127.0.0.1", &port]), "OK");
        let log = || server.log().split_off(log_len);
        await_that("a second attempt", &[&server], || log().matches(told).count() >= 2);
        assert_eq!(content(&server), before, "{told}");
        assert_eq!(info(&server, "master_link_status"), "down");
        // Not at full speed.
        let n_attempts = info(&server, "master_total_sync_attempts").parse::<u64>().unwrap();
        assert!(n_attempts <= began.elapsed().as_secs() + 2, "{n_attempts}: {}", log());
    }
    assert_eq!(ask(&server, &["REPLICAOF", "NO", "ONE"]), "OK");
    assert_eq!(ask(&server, &["SET", "k", "v"]), "OK");
    // A sound one takes its place.
    let port = false_primary(with_len(&sound), false);
    assert_eq!(ask(&server, &["REPLICAOF", "127.0.0.1", &port]), "OK");
    await_that("the snapshot", &[&server], || ask(&server, &["EXISTS", "k"]) == "0");
}

/// A connection that has become a replica, and its snapshot's first byte.
fn false_replica(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"SYNC\r\n").unwrap();
    let mut first = [b'\n'];
    while first == [b'\n'] {
        stream.read_exact(&mut first).unwrap();
    }
    assert_eq!(first, [b'$']);
    stream
}

#[test]
fn a_replica_that_asks_is_cut() {
    let keyspace = "== CRITICAL == This master is sending an error to its replica: 'Replica can't \
                    interact with the keyspace' after processing the command ";
    for which in [Which::Reference, Which::CrabCache] {
        let server = start(which, &[]);
        for (request, name, is_keyed) in [
            ("PING\r\n", "ping", false),
            ("GET k\r\n", "get", true),
            ("SLOWLOG GET\r\n", "slowlog|get", false),
            ("REPLCONF listening-port 7\r\n", "replconf", false),
            ("NOSUCH\r\n", "<unknown>", false),
        ] {
            let log_len = server.log().len();
            let mut stream = false_replica(&server);
            // These it may send.
            stream.write_all(b"REPLCONF ACK 0\r\nSYNC\r\n").unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            let log = server.log().split_off(log_len);
            let told =
                format!("Replica generated a reply to command '{name}', disconnecting it: id=");
            assert_eq!(log.matches(&told).count(), 1, "{which:?}: {log}");
            assert_eq!(log.contains(&format!("{keyspace}'{name}'")), is_keyed, "{which:?}: {log}");
        }
        assert_eq!(ask(&server, &["SET", "k", "v"]), "OK");
    }
}

/// Who is killed does not get what is changed behind that: not even by the same transaction.
#[test]
fn a_killed_replica_gets_nothing_more() {
    for which in [Which::Reference, Which::CrabCache] {
        let (primary, replica) = (start(which, &[]), start(Which::CrabCache, &[]));
        follow(&replica, &primary);
        let long = "x".repeat(16 * 1024);
        let mut requests = vec![
            request(&["MULTI"]),
            request(&["CLIENT", "KILL", "TYPE", "replica"]),
            request(&["CONFIG", "SET", "repl-backlog-size", "16384"]),
        ];
        requests.extend((0..10).map(|number| request(&["SET", &number.to_string(), &long])));
        requests.push(request(&["EXEC"]));
        let mut connection = primary.connect(Protocol::Resp2).unwrap();
        connection.send(&requests.concat()).unwrap();
        await_that("the snapshot", &[&primary], || info(&primary, "sync_full") == "2");
        assert_same(&primary, &[&replica]);
    }
}

/// The numbers about a link that comes and goes.
#[test]
fn a_replica_counts_its_attempts() {
    for which in [Which::Reference, Which::CrabCache] {
        let [primary, other] = [(); 2].map(|()| start(Which::CrabCache, &[]));
        let replica = start(which, &[]);
        let attempts = || {
            ["master_current_sync_attempts", "master_total_sync_attempts"]
                .map(|field| info(&replica, field))
        };
        assert_eq!(ask(&replica, &["REPLICAOF", "127.0.0.1", "1"]), "OK");
        await_that("attempts", &[&replica], || attempts()[0].parse::<u32>().unwrap() >= 2);
        assert_eq!(info(&replica, "master_link_down_since_seconds"), "-1", "{which:?}");
        follow(&replica, &primary);
        assert_eq!(attempts(), ["1", "1"], "{which:?}");
        assert_eq!(ask(&replica, &["CLIENT", "KILL", "TYPE", "master"]), "1");
        await_that("another link", &[&replica], || {
            info(&replica, "master_link_status") == "up" && attempts()[1] == "2"
        });
        assert_eq!(attempts(), ["1", "2"], "{which:?}");
        follow(&replica, &other);
        assert_eq!(attempts(), ["1", "1"], "{which:?}");
        assert_eq!(ask(&replica, &["REPLICAOF", "NO", "ONE"]), "OK");
        std::thread::sleep(Duration::from_millis(1100));
        follow(&replica, &primary);
        let down_s = info(&replica, "total_disconnect_time_sec").parse::<u32>().unwrap();
        assert!((1..4).contains(&down_s), "{which:?}: {down_s}");
    }
}

/// Whose wait ends because the server becomes a replica has failed.
#[test]
fn a_wait_that_a_change_of_the_role_ends_has_failed() {
    for which in [Which::Reference, Which::CrabCache] {
        let server = start(which, &[]);
        let mut waiting = server.connect(Protocol::Resp2).unwrap();
        waiting.send(&request(&["BLPOP", "k", "0"])).unwrap();
        await_that("a wait", &[&server], || info(&server, "blocked_clients") == "1");
        assert_eq!(ask(&server, &["REPLICAOF", "127.0.0.1", "1"]), "OK");
        let reply = waiting.receive(TIMEOUT).show();
        assert!(reply.starts_with("-UNBLOCKED force unblock"), "{which:?}: {reply}");
        let stats = info(&server, "cmdstat_blpop");
        assert!(stats.contains("calls=1,"), "{which:?}: {stats}");
        assert!(stats.ends_with("rejected_calls=0,failed_calls=1"), "{which:?}: {stats}");
    }
}

/// Keys that have expired on a replica that may be written to are replaced, not changed.
#[test]
fn a_writable_replica_does_not_change_what_has_expired() {
    for which in [Which::Reference, Which::CrabCache] {
        let (primary, replica) = (start(Which::CrabCache, &[]), start(which, &[]));
        follow(&replica, &primary);
        ask(&primary, &["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        for key in ["a", "b"] {
            assert_eq!(ask(&primary, &["SET", key, "5", "PX", "10"]), "OK");
        }
        await_that("the keys", &[&replica], || ask(&replica, &["DBSIZE"]) == "2");
        ask(&replica, &["CONFIG", "SET", "replica-read-only", "no"]);
        std::thread::sleep(Duration::from_millis(20));
        let asked = [&["INCR", "a"][..], &["TTL", "a"], &["GET", "b"], &["DBSIZE"]];
        let replies = asked.map(|words| ask(&replica, words));
        assert_eq!(replies, ["1", "-1", "$-1\\r\\n", "2"], "{which:?}");
    }
}

#[test]
fn sync_is_answered_by_the_snapshot_alone() {
    for which in [Which::Reference, Which::CrabCache] {
        let server = start(which, &[]);
        let mut stream = TcpStream::connect(server.address).unwrap();
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
    let mut stream = TcpStream::connect(server.address).unwrap();
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

/// Two servers that change places again and again while somebody writes; nobody begins anew.
fn fail_over(others: Which) {
    let servers = [start(Which::CrabCache, &[]), start(others, &[])];
    fill(&servers[0]);
    follow(&servers[1], &servers[0]);
    for round in 0..4 {
        let (primary, replica) = (&servers[round % 2], &servers[1 - round % 2]);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Paused, and refused afterwards.
            scope.spawn(|| {
                let mut connection = primary.connect(Protocol::Resp2).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let reply = connection.call(&["INCR", "counter"]).unwrap().show();
                    assert!(reply.starts_with(':') || reply.starts_with("-READONLY"), "{reply}");
                }
            });
            std::thread::sleep(Duration::from_millis(50));
            let port = replica.port();
            await_that("the replica", &[primary, replica], || {
                ask(primary, &["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "20000"]) == "OK"
            });
            await_that("the end", &[primary, replica], || {
                info(primary, "master_failover_state") == "no-failover"
            });
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(info(replica, "role"), "master", "{}", primary.log());
        await_link(primary, replica);
        assert_eq!(ask(replica, &["SET", "round", "x"]), "OK");
        assert_same(replica, &[primary]);
    }
    assert_eq!(
        (info(&servers[0], "sync_full"), info(&servers[1], "sync_full")),
        ("1".into(), "0".into())
    );
}

#[test]
fn servers_change_places() {
    fail_over(Which::CrabCache);
    fail_over(Which::Reference);
}

#[test]
fn a_failover_that_cannot_be_is_given_up() {
    let (primary, replica) = (start(Which::CrabCache, &[]), start(Which::CrabCache, &[]));
    follow(&replica, &primary);
    assert_eq!(ask(&replica, &["ACL", "SETUSER", "default", "-psync"]), "OK");
    let before = info(&primary, "master_replid");
    await_that("the replica", &[&primary], || ask(&primary, &["FAILOVER"]) == "OK");
    await_that("the end", &[&primary], || info(&primary, "master_failover_state") == "no-failover");
    assert!(primary.log().contains("Failover target rejected psync request"));
    assert_eq!(ask(&primary, &["SET", "k", "v"]), "OK");
    assert_ne!(info(&primary, "master_replid"), before);
    assert_eq!(ask(&replica, &["ACL", "SETUSER", "default", "+psync"]), "OK");
    await_link(&replica, &primary);
    assert_same(&primary, &[&replica]);
    assert_eq!(info(&primary, "sync_full"), "1");
    // A replica that does not answer.
    std::thread::scope(|scope| {
        scope.spawn(|| ask(&replica, &["DEBUG", "SLEEP", "1"]));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(ask(&primary, &["SET", "k", "w"]), "OK");
        assert_eq!(ask(&primary, &["FAILOVER", "TIMEOUT", "100000"]), "OK");
        assert_eq!(info(&primary, "master_failover_state"), "waiting-for-sync");
        assert_eq!(ask(&primary, &["GET", "k"]), "w");
        assert_eq!(ask(&primary, &["FAILOVER"]), "ERR FAILOVER already in progress.");
        let refused = ask(&primary, &["REPLICAOF", "127.0.0.1", "1"]);
        assert_eq!(refused, "ERR REPLICAOF not allowed while failing over.");
        assert_eq!(ask(&primary, &["FAILOVER", "ABORT"]), "OK");
        assert_eq!(ask(&primary, &["SET", "k", "x"]), "OK");
    });
    assert_same(&primary, &[&replica]);
}

#[test]
fn replicas_tell_what_they_have_on_disk() {
    let logged = ["--appendonly", "yes", "--appendfsync", "everysec"];
    for (first, second) in [
        (Which::CrabCache, Which::CrabCache),
        (Which::CrabCache, Which::Reference),
        (Which::Reference, Which::CrabCache),
    ] {
        let (primary, replica) = (start(first, &[]), start(second, &logged));
        follow(&replica, &primary);
        let mut client = primary.connect(Protocol::Resp2).unwrap();
        client.call(&["SET", "k", "v"]).unwrap();
        let reply = client.call(&["WAITAOF", "0", "1", "10000"]).unwrap().show();
        assert_eq!(reply, "*2\\r\\n:0\\r\\n:1\\r\\n", "{first:?} {second:?}");
        assert_eq!(ask(&replica, &["CONFIG", "SET", "appendonly", "no"]), "OK");
        client.call(&["SET", "k", "w"]).unwrap();
        let reply = client.call(&["WAITAOF", "0", "1", "1500"]).unwrap().show();
        assert_eq!(reply, "*2\\r\\n:0\\r\\n:0\\r\\n", "{first:?} {second:?}");
    }
}

/// Servers that come back with their snapshot go on where they were.
#[test]
fn a_restart_costs_no_full_synchronization() {
    let mut primary = start(Which::CrabCache, &[]);
    let mut replicas = [start(Which::CrabCache, &[]), start(Which::Reference, &[])];
    fill(&primary);
    for replica in &replicas {
        follow(replica, &primary);
    }
    let port = primary.port();
    let followed = ["--replicaof", "127.0.0.1", &port];
    let options = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let mut connection = primary.connect(Protocol::Resp2).unwrap();
    for db in ["3", "5"] {
        connection.call(&["SELECT", db]).unwrap();
        connection.call(&["INCR", "n"]).unwrap();
    }
    for replica in &mut replicas {
        assert_same(&primary, &[replica]);
        end(replica);
        // What they miss goes on in the database that is selected.
        connection.call(&["INCR", "n"]).unwrap();
        replica.start_again(&[&options[..], &followed].concat()).unwrap();
        assert_same(&primary, &[replica]);
    }
    assert_eq!(info(&primary, "sync_full"), "2");
    let mut soon = primary.connect(Protocol::Resp2).unwrap();
    soon.call(&["SET", "soon", "x", "PX", "300"]).unwrap();
    let all: Vec<_> = replicas.iter().collect();
    await_that("the stream", &all, || {
        all.iter().all(|replica| {
            info(replica, "master_repl_offset") == info(&primary, "master_repl_offset")
        })
    });
    end(&mut primary);
    std::thread::sleep(Duration::from_millis(400));
    primary.start_again(&options).unwrap();
    let all: Vec<_> = replicas.iter().collect();
    await_that("the links", &all, || {
        all.iter().all(|replica| info(replica, "master_link_status") == "up")
    });
    assert_same(&primary, &all);
    assert_eq!(info(&primary, "sync_full"), "0", "{}", primary.log());
}

/// Saves the data and ends a server.
fn end(server: &mut Server) {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    connection.send(&request(&["SHUTDOWN", "SAVE"])).unwrap();
    assert!(server.has_ended(TIMEOUT));
}

/// A snapshot that a replica makes for another one has nothing that the stream behind it brings again,
/// although the replica waits in the middle of what it has read, for commands that need everything.
#[test]
fn snapshots_of_a_replica_fit_to_their_offset() {
    let [primary, middle, last] = [(); 3].map(|()| start(Which::CrabCache, &[]));
    follow(&middle, &primary);
    let change: [&[&str]; 3] = [&["INCR", "n"], &["SWAPDB", "5", "6"], &["INCR", "n"]];
    let requests = change.map(request).concat().repeat(20);
    for _ in 0..8 {
        ask(&last, &["REPLICAOF", "NO", "ONE"]);
        ask(&last, &["DEBUG", "CHANGE-REPL-ID"]);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut connection = primary.connect(Protocol::Resp2).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    connection.send(&requests).unwrap();
                    for _ in 0..60 {
                        assert!(matches!(connection.receive(TIMEOUT), Received::Reply(_)));
                    }
                }
            });
            follow(&last, &middle);
            is_over.store(true, Ordering::Relaxed);
        });
        assert_same(&primary, &[&middle, &last]);
    }
}

#[test]
fn functions_alone_are_sent_to_who_wants_no_more() {
    let server = start(Which::CrabCache, &[]);
    fill(&server);
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    assert_eq!(ask(&server, &["FUNCTION", "LOAD", code]), "lib");
    let path = server.folder.path().join("functions.rdb");
    let port = server.port();
    for (option, n_keys) in [("--functions-rdb", 0), ("--rdb", 1)] {
        let words = ["-p", &port, option, path.to_str().unwrap()];
        let output = std::process::Command::new(tool("redis-cli")).args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let other = start(Which::CrabCache, &[]);
        std::fs::copy(&path, other.folder.path().join("dump.rdb")).unwrap();
        ask(&other, &["DEBUG", "RELOAD", "NOSAVE"]);
        assert_eq!(ask(&other, &["EXISTS", "list"]), n_keys.to_string());
        assert!(ask(&other, &["FUNCTION", "LIST"]).contains("lib"));
    }
}

//! What parameters and their peers make of replicas: names, passwords, versions, limits.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::group::{
    TIMEOUT, ask, assert_same, await_link, await_that, follow, info, signal, start,
};
use compat_tests::server::{Server, Which};
use compat_tests::wire::request;
use crabcache_resp::Protocol;
use std::io::{Read, Write};
use std::net::TcpStream;

const KINDS: [Which; 2] = [Which::Reference, Which::CrabCache];

/// Each kind as a primary and as a replica, one of them at least being ours.
const PAIRS: [(Which, Which); 3] = [
    (Which::Reference, Which::CrabCache),
    (Which::CrabCache, Which::Reference),
    (Which::CrabCache, Which::CrabCache),
];

#[test]
fn replicas_are_known_by_what_they_announce() {
    let announced = ["--replica-announce-ip", "10.1.2.3", "--replica-announce-port", "7777"];
    for (first, second) in PAIRS {
        let (primary, replica) = (start(first, &[]), start(second, &announced));
        follow(&replica, &primary);
        let known = info(&primary, "slave0");
        assert!(known.starts_with("ip=10.1.2.3,port=7777,state="), "{first:?} {second:?}: {known}");
        let role = ask(&primary, &["ROLE"]);
        assert!(role.contains("10.1.2.3") && role.contains("7777"), "{first:?} {second:?}: {role}");
        assert_eq!(info(&replica, "replica_announced"), "1");
        assert_eq!(ask(&replica, &["CONFIG", "SET", "replica-announced", "no"]), "OK");
        assert_eq!(info(&replica, "replica_announced"), "0");
    }
}

#[test]
fn replicas_log_in_as_the_user_that_they_are_told() {
    for (first, second) in PAIRS {
        let rules = ["ACL", "SETUSER", "follower", "on", ">right", "+psync", "+replconf", "+ping"];
        let (primary, replica) = (start(first, &[]), start(second, &[]));
        assert_eq!(ask(&primary, &rules), "OK");
        // Everybody else may do everything but that.
        assert_eq!(ask(&primary, &["ACL", "SETUSER", "default", "-psync", "-sync"]), "OK");
        for pair in [["masteruser", "follower"], ["masterauth", "wrong"]] {
            assert_eq!(ask(&replica, &["CONFIG", "SET", pair[0], pair[1]]), "OK");
        }
        assert_eq!(ask(&replica, &["REPLICAOF", "127.0.0.1", &primary.port()]), "OK");
        let refused = "Unable to AUTH to MASTER: -WRONGPASS";
        await_that("a refusal", &[&replica], || replica.log().contains(refused));
        assert_eq!(info(&replica, "master_link_status"), "down");
        assert_eq!(ask(&replica, &["CONFIG", "SET", "masterauth", "right"]), "OK");
        await_link(&replica, &primary);
        assert_eq!(ask(&primary, &["SET", "k", "v"]), "OK");
        assert_same(&primary, &[&replica]);
    }
}

/// The version of the snapshot that a replica gets which has told nothing but these capabilities.
fn version_for(server: &Server, capabilities: &[&str]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let capabilities: String = capabilities.iter().map(|name| format!(" capa {name}")).collect();
    stream.write_all(format!("REPLCONF listening-port 1{capabilities}\r\n").as_bytes()).unwrap();
    stream.write_all(b"SYNC\r\n").unwrap();
    let mut received = Vec::new();
    loop {
        let mut buffer = [0; 1000];
        let n_bytes = stream.read(&mut buffer).unwrap();
        assert_ne!(n_bytes, 0, "{}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..n_bytes]);
        let text = String::from_utf8_lossy(&received);
        if let Some((_, behind)) = text.split_once("REDIS")
            && behind.len() > 4
        {
            return behind[..4].to_string();
        }
    }
}

#[test]
fn snapshots_have_a_version_that_their_reader_knows() {
    let server = start(Which::CrabCache, &[]);
    assert_eq!(ask(&server, &["HSET", "h", "f", "v"]), "1");
    assert_eq!(version_for(&server, &[]), "0010");
    assert_eq!(version_for(&server, &["eof", "psync2"]), "0010");
    assert_eq!(version_for(&server, &["psync2", "crabcache"]), "0012");
    assert_eq!(ask(&server, &["CONFIG", "SET", "repl-rdb-version", "11"]), "OK");
    assert_eq!(version_for(&server, &["psync2", "crabcache"]), "0011");
    assert_eq!(ask(&server, &["CONFIG", "SET", "repl-rdb-version", "0"]), "OK");
    // What an older version cannot tell.
    ask(&server, &["HEXPIRE", "h", "1000", "FIELDS", "1", "f"]);
    assert_eq!(version_for(&server, &[]), "0012");
}

/// A replica that does not read is cut when too much waits for it; nobody waits for that.
#[test]
fn a_slow_replica_holds_up_nobody() {
    for which in KINDS {
        let (primary, replica) = (start(Which::CrabCache, &[]), start(which, &[]));
        let limit = ["CONFIG", "SET", "client-output-buffer-limit", "replica 8mb 0 0"];
        assert_eq!(ask(&primary, &limit), "OK");
        follow(&replica, &primary);
        let waiting = || info(&primary, "mem_clients_slaves").parse::<u64>().unwrap();
        signal(&replica, "STOP");
        let long = "x".repeat(1 << 20);
        let mut most = 0;
        for number in 0..40 {
            assert_eq!(ask(&primary, &["SET", &format!("k{}", number % 4), &long]), "OK");
            most = most.max(waiting());
        }
        await_that("its end", &[&primary], || info(&primary, "connected_slaves") == "0");
        // The limit, and the command that went beyond it.
        assert!((1 << 20..10 << 20).contains(&most), "{most}");
        assert!(primary.log().contains("for overcoming of output buffer limits"));
        assert!(waiting() < 1 << 20, "{}", waiting());
        signal(&replica, "CONT");
        await_link(&replica, &primary);
        assert_same(&primary, &[&replica]);
    }
}

/// Data may be asked for while the primary is away, unless that is not wanted.
#[test]
fn old_data_is_served_if_it_may_be() {
    for which in KINDS {
        let (mut primary, replica) = (start(Which::CrabCache, &[]), start(which, &[]));
        assert_eq!(ask(&primary, &["SET", "k", "v"]), "OK");
        follow(&replica, &primary);
        assert_same(&primary, &[&replica]);
        primary.kill();
        await_that("the loss", &[&replica], || info(&replica, "master_link_status") == "down");
        assert_eq!(ask(&replica, &["GET", "k"]), "v");
        assert_eq!(ask(&replica, &["CONFIG", "SET", "replica-serve-stale-data", "no"]), "OK");
        let refused = ask(&replica, &["GET", "k"]);
        assert!(refused.starts_with("MASTERDOWN Link with MASTER is down"), "{which:?}: {refused}");
        assert!(ask(&replica, &["INFO", "replication"]).contains("role:slave"));
    }
}

/// A script that does not come to its end keeps no replica from being heard: here it waits for one to go.
#[test]
fn replicas_are_heard_while_a_script_takes_too_long() {
    const AWAIT_NONE: &str = "repeat local info = redis.call('INFO', 'replication') \
                              until info:find('connected_slaves:0') return 1";
    for kind in KINDS {
        let primary = start(kind, &["--busy-reply-threshold", "10"]);
        let replica = start(Which::CrabCache, &[]);
        follow(&replica, &primary);
        let mut waiting = primary.connect(Protocol::Resp2).unwrap();
        waiting.send(&request(&["EVAL", AWAIT_NONE, "0"])).unwrap();
        await_that("a busy primary", &[&primary], || ask(&primary, &["PING"]).starts_with("BUSY"));
        assert_eq!(ask(&replica, &["REPLICAOF", "NO", "ONE"]), "OK");
        let reply = waiting.receive(TIMEOUT);
        assert_eq!(reply.show(), ":1\\r\\n", "{kind:?}");
    }
}

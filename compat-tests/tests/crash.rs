//! What is left after a crash, a full disk, and in other servers that get the files.

use compat_tests::crash::{Policy, run};
use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received};
use crabcache_resp::Protocol;
use std::process::Command;
use std::time::{Duration, Instant};

/// The short form of `make crash`.
#[test]
fn crashes_lose_nothing_that_was_promised() {
    for policy in Policy::ALL {
        run(7, 3, &[policy], |_, _, _| {}).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

fn connect(server: &Server) -> Connection {
    server.connect(Protocol::Resp2).expect("a connection")
}

fn call(connection: &mut Connection, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match connection.call(&words).expect("a connection") {
        Received::Reply(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_string(),
        other => panic!("{line}: {}", other.show()),
    }
}

/// Limits the size of files that the server writes: further writes fail as on a full disk.
fn limit_files(server: &Server, limit: &str) {
    let status = Command::new("prlimit")
        .args([&format!("--pid={}", server.pid()), &format!("--fsize={limit}:unlimited")])
        .status()
        .expect("prlimit");
    assert!(status.success());
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_disk_stops_changes_until_there_is_room() {
    let options = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let mut server = Server::start(Which::CrabCache, &options).unwrap();
    let mut client = connect(&server);
    limit_files(&server, "20000");
    let mut n_acked = 0;
    let value = "x".repeat(1000);
    wait_for("the disk is full", || {
        let reply = call(&mut client, &format!("SET key:{n_acked} {value}"));
        let is_refused =
            reply.starts_with("-MISCONF Errors writing to the AOF file: File too large");
        assert!(is_refused || reply == "+OK", "{reply}");
        n_acked += u32::from(!is_refused);
        is_refused
    });
    assert!(call(&mut client, "PING").starts_with("-MISCONF"));
    assert!(call(&mut client, "GET key:0").ends_with(&value));
    assert!(call(&mut client, "INFO persistence").contains("aof_last_write_status:err"));
    limit_files(&server, "unlimited");
    wait_for("writing goes on", || call(&mut client, "SET after 1") == "+OK");
    assert!(server.log().contains("AOF write error looks solved"));
    std::thread::sleep(Duration::from_millis(100));
    server.restart(Which::CrabCache, &options).unwrap();
    let mut client = connect(&server);
    assert_eq!(call(&mut client, "DBSIZE"), format!(":{}", n_acked + 1));
}

#[test]
fn under_always_a_full_disk_ends_the_server_before_it_lies() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = Server::start(Which::CrabCache, &options).unwrap();
    let mut client = connect(&server);
    limit_files(&server, "20000");
    let value = "x".repeat(1000);
    let mut n_acked = 0;
    while let Received::Reply(bytes) =
        client.call(&["SET", &format!("key:{n_acked}"), &value]).unwrap()
    {
        assert_eq!(bytes, b"+OK\r\n");
        n_acked += 1;
        assert!(n_acked < 100);
    }
    assert!(server.has_ended(Duration::from_secs(10)));
    assert!(server.log().contains("Can't recover from AOF write error"));
    server.restart(Which::CrabCache, &options).unwrap();
    assert_eq!(call(&mut connect(&server), "DBSIZE"), format!(":{n_acked}"));
}

#[test]
fn a_rewrite_that_fails_leaves_the_old_files() {
    let options = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
    let mut server = Server::start(Which::CrabCache, &options).unwrap();
    let mut client = connect(&server);
    call(&mut client, "DEBUG POPULATE 1000 key 100");
    call(&mut client, "SET a 1");
    limit_files(&server, "20000");
    call(&mut client, "BGREWRITEAOF");
    wait_for("it fails", || {
        call(&mut client, "INFO persistence").contains("aof_last_bgrewrite_status:err")
    });
    assert_eq!(call(&mut client, "SET b 2"), "+OK");
    limit_files(&server, "unlimited");
    call(&mut client, "BGREWRITEAOF");
    wait_for("it succeeds", || {
        call(&mut client, "INFO persistence").contains("aof_last_bgrewrite_status:ok")
    });
    assert_eq!(call(&mut client, "SET c 3"), "+OK");
    std::thread::sleep(Duration::from_millis(100));
    server.restart(Which::CrabCache, &options).unwrap();
    assert_eq!(call(&mut connect(&server), "DBSIZE"), ":1003");
}

#[test]
fn a_snapshot_that_fails_leaves_the_old_file() {
    let options = ["--save", "3600 1"];
    let mut server = Server::start(Which::CrabCache, &options).unwrap();
    let mut client = connect(&server);
    call(&mut client, "SET old 1");
    assert_eq!(call(&mut client, "SAVE"), "+OK");
    call(&mut client, "DEBUG POPULATE 1000 key 100");
    limit_files(&server, "20000");
    call(&mut client, "BGSAVE");
    wait_for("it fails", || call(&mut client, "PING").starts_with("-MISCONF"));
    limit_files(&server, "unlimited");
    assert!(call(&mut client, "BGSAVE").starts_with("+Background saving started"));
    wait_for("it succeeds", || call(&mut client, "PING") == "+PONG");
    limit_files(&server, "20000");
    assert_eq!(call(&mut client, "SAVE"), "-ERR");
    server.restart(Which::CrabCache, &options).unwrap();
    assert_eq!(call(&mut connect(&server), "DBSIZE"), ":1001");
}

/// Values of every type and encoding that Redis 7.0 knows.
const FILL: &[&str] = &[
    "SET int 12345",
    "SET text embedded",
    "SET expiring v PXAT 99999999999999",
    "RPUSH list a 1 -70000 b",
    "SADD intset 1 2 70000 5000000000",
    "SADD set a b c 1 2.5",
    "ZADD zset 1 a 2.5 b -inf c",
    "HSET hash f v g 1",
    "PFADD hll a b c d",
    "XADD stream 1-1 f v",
    "XADD stream 2-5 f v g w",
    "XADD stream 3-1 other fields here too",
    "XDEL stream 2-5",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
    "SETBIT bits 1000 1",
    "GEOADD geo 13.361389 38.115556 Palermo",
    "SELECT 9",
    "SET other 1",
    "SELECT 0",
];

/// What Redis 8 has beyond.
const FILL_NEWER: &[&str] = &["HSET timed f v g w", "HPEXPIREAT timed 9999999999999 FIELDS 1 f"];

fn fill(client: &mut Connection, is_newer: bool) {
    let check = |client: &mut Connection, line: &str| {
        let reply = call(client, line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    };
    FILL.iter().for_each(|line| check(client, line));
    if is_newer {
        FILL_NEWER.iter().for_each(|line| check(client, line));
    }
    check(client, &format!("SET long {}", "abc".repeat(10_000)));
    for number in 0..2000 {
        check(client, &format!("RPUSH long-list element:{number}"));
        check(client, &format!("SADD long-intset {number}"));
        check(client, &format!("SADD long-set member:{number}"));
        check(client, &format!("ZADD long-zset {number} member:{number}"));
        check(client, &format!("HSET long-hash field:{number} {number}"));
        if number % 10 == 0 {
            check(client, &format!("XADD long-stream {number}-1 number {number}"));
        }
    }
}

/// What must be the same everywhere; digests do not see all of a stream.
fn content(client: &mut Connection) -> Vec<String> {
    let mut content: Vec<String> =
        ["DEBUG DIGEST", "XRANGE stream - +", "XPENDING stream group", "XLEN long-stream"]
            .iter()
            .map(|line| call(client, line))
            .collect();
    for line in ["XINFO STREAM stream", "XINFO GROUPS stream"] {
        // Only what is data: the shape of a radix tree is its owner's.
        let reply = call(client, line);
        let lines: Vec<&str> = reply.lines().collect();
        for name in ["last-generated-id", "entries-added", "entries-read", "pending", "consumers"] {
            if let Some(at) = lines.iter().position(|line| *line == name) {
                content.push(lines[at..lines.len().min(at + 3)].join(" "));
            }
        }
    }
    content
}

/// Fills a server, and gives its files to another one.
#[track_caller]
fn hand_over(from: Which, to: Which, options: &[&str], save: &[&str]) {
    let is_newer = from != Which::Older && to != Which::Older;
    let own = |which: Which| -> Vec<&str> {
        let mut own = options.to_vec();
        if which == Which::Older || to == Which::Older {
            own.retain(|word| !word.contains("rdb-write-version"));
        }
        if which == Which::CrabCache && to == Which::Older {
            own.extend(["--rdb-write-version", "10"]);
        }
        own
    };
    let mut server = Server::start(from, &own(from)).expect("a server");
    let mut client = connect(&server);
    fill(&mut client, is_newer);
    for line in save {
        assert!(!call(&mut client, line).starts_with('-'), "{line}");
        wait_for("it is written", || {
            let info = call(&mut client, "INFO persistence");
            info.contains("aof_rewrite_in_progress:0") && info.contains("rdb_bgsave_in_progress:0")
        });
    }
    call(&mut client, "SET last 1");
    if save.contains(&"SAVE") {
        call(&mut client, "SAVE");
    }
    let before = content(&mut client);
    std::thread::sleep(Duration::from_millis(100));
    server.restart(to, &own(to)).expect("a server that loads it");
    assert_eq!(content(&mut connect(&server)), before, "{from:?} {to:?}");
}

#[test]
fn snapshots_go_to_other_servers_and_come_back() {
    for other in [Which::Reference, Which::Older] {
        hand_over(Which::CrabCache, other, &[], &["SAVE"]);
        hand_over(other, Which::CrabCache, &[], &["SAVE"]);
    }
}

#[test]
fn logs_go_to_other_servers_and_come_back() {
    for other in [Which::Reference, Which::Older] {
        for preamble in ["yes", "no"] {
            let options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble];
            for save in [&[][..], &["BGREWRITEAOF"][..]] {
                hand_over(Which::CrabCache, other, &options, save);
                hand_over(other, Which::CrabCache, &options, save);
            }
        }
    }
}

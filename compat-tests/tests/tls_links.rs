//! Replication and migration over TLS, between CrabCache and Redis 7.0 (the reference is built without
//! TLS).

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::certificates::Certificates;
use compat_tests::group::{ask, assert_same, await_link, await_that, content, info};
use compat_tests::server::{Server, Which, free_port};
use std::process::Command;
use std::time::Duration;

const N_KEYS: &str = "3000";

/// A server that speaks TLS on a port of its own, with other servers as well.
struct Node {
    server: Server,
    tls_port: String,
}

impl Node {
    /// `authority` has signed its certificate and vouches for others.
    fn start(which: Which, files: &Certificates, authority: &str) -> Node {
        let tls_port = free_port().to_string();
        let file = |end: &str| files.text(&format!("{authority}-{end}"));
        let options = [
            ("--tls-port", tls_port.as_str()),
            ("--tls-cert-file", &file("server.crt")),
            ("--tls-key-file", &file("server.key")),
            ("--tls-ca-cert-file", &file("ca.crt")),
            ("--tls-replication", "yes"),
            ("--repl-diskless-sync-delay", "0"),
            ("--repl-ping-replica-period", "1"),
        ];
        let options: Vec<&str> = options.iter().flat_map(|(name, value)| [*name, *value]).collect();
        Node { server: Server::start(which, &options).unwrap(), tls_port }
    }

    fn follow(&self, primary: &Node) {
        let reply = ask(&self.server, &["REPLICAOF", "127.0.0.1", &primary.tls_port]);
        assert_eq!(reply, "OK");
    }
}

fn replicate(primary: Which, replica: Which) {
    let files = Certificates::new();
    let [primary, replica] = [primary, replica].map(|which| Node::start(which, &files, "one"));
    ask(&primary.server, &["DEBUG", "POPULATE", N_KEYS, "key", "500"]);
    replica.follow(&primary);
    await_link(&replica.server, &primary.server);
    // More than TLS encrypts at a time, in many writes.
    for number in 0..50 {
        let value = "x".repeat(number * 2000);
        assert_eq!(ask(&primary.server, &["SET", &format!("long:{number}"), &value]), "OK");
    }
    assert_same(&primary.server, &[&replica.server]);
    // It says where it is reached by TLS, and has come by TLS.
    let known = info(&primary.server, "slave0");
    assert!(known.contains(&format!("port={},state=online", replica.tls_port)), "{known}");
    let clients = ask(&primary.server, &["CLIENT", "LIST", "TYPE", "REPLICA"]);
    assert!(clients.contains(&format!("laddr=127.0.0.1:{}", primary.tls_port)), "{clients}");
    // A link that breaks is taken up where it was.
    ask(&primary.server, &["CLIENT", "KILL", "TYPE", "REPLICA"]);
    assert_eq!(ask(&primary.server, &["SET", "after", "it"]), "OK");
    assert_same(&primary.server, &[&replica.server]);
    assert_eq!(info(&primary.server, "sync_full"), "1");
    assert_eq!(info(&primary.server, "sync_partial_ok"), "1");
}

#[test]
fn crabcache_follows_crabcache() {
    replicate(Which::CrabCache, Which::CrabCache);
}

#[test]
fn crabcache_follows_redis() {
    replicate(Which::Older, Which::CrabCache);
}

#[test]
fn redis_follows_crabcache() {
    replicate(Which::CrabCache, Which::Older);
}

#[test]
fn a_primary_that_nobody_vouches_for_is_not_followed() {
    let files = Certificates::new();
    for which in [Which::CrabCache, Which::Older] {
        let primary = Node::start(which, &files, "one");
        let replica = Node::start(Which::CrabCache, &files, "two");
        ask(&replica.server, &["SET", "own", "data"]);
        let before = content(&replica.server);
        replica.follow(&primary);
        let log = || replica.server.log();
        let n_told = || log().matches("Unable to connect to MASTER: ").count();
        await_that("two attempts", &[&replica.server], || n_told() >= 2);
        std::thread::sleep(Duration::from_secs(1));
        // One line for each attempt, and one attempt in a second.
        let n_attempts = info(&replica.server, "master_total_sync_attempts").parse::<usize>();
        assert!((2..6).contains(&n_told()), "{}", log());
        assert!(n_told().abs_diff(n_attempts.unwrap()) <= 1, "{}", log());
        assert!(log().contains("UnknownIssuer"), "{}", log());
        assert_eq!(info(&replica.server, "master_link_status"), "down");
        assert_eq!(content(&replica.server), before);
        // The settings of the next attempt are those of now.
        for (parameter, file) in [
            (&["tls-ca-cert-file"][..], &["one-ca.crt"][..]),
            (&["tls-cert-file", "tls-key-file"], &["one-server.crt", "one-server.key"]),
        ] {
            let files: Vec<String> = file.iter().map(|file| files.text(file)).collect();
            let mut words = vec!["CONFIG", "SET"];
            for (name, file) in parameter.iter().zip(&files) {
                words.extend([*name, file]);
            }
            assert_eq!(ask(&replica.server, &words), "OK");
        }
        await_link(&replica.server, &primary.server);
        assert_same(&primary.server, &[&replica.server]);
    }
}

/// Runs `crabcache-server migrate` with the certificates of the first authority. Returns whether it has
/// succeeded, and what it has said.
fn migrate(files: &Certificates, source: &str, target: &str, options: &[&str]) -> (bool, String) {
    let output = Command::new(Which::CrabCache.program().unwrap())
        .args(["migrate", source, "--target", target])
        .arg("--cacert")
        .arg(files.path("one-ca.crt"))
        .arg("--cert")
        .arg(files.path("one-client.crt"))
        .arg("--key")
        .arg(files.path("one-client.key"))
        .args(options)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn address(node: &Node) -> String {
    format!("rediss://127.0.0.1:{}", node.tls_port)
}

#[test]
fn redis_is_migrated_there_and_back() {
    let files = Certificates::new();
    let [redis, crabcache] =
        [Which::Older, Which::CrabCache].map(|which| Node::start(which, &files, "one"));
    ask(&redis.server, &["DEBUG", "POPULATE", N_KEYS, "key", "100"]);
    // Whoever follows has it set where it is needed.
    ask(&crabcache.server, &["CONFIG", "SET", "tls-replication", "no"]);
    for (source, target) in [(&redis, &crabcache), (&crabcache, &redis)] {
        let (is_done, said) = migrate(&files, &address(source), &address(target), &["--promote"]);
        assert!(is_done, "{said}");
        assert!(said.contains("the target is the primary"), "{said}");
        assert_eq!(ask(&target.server, &["INCR", "written"]).split(' ').count(), 1);
        assert_same(&target.server, &[&source.server]);
        assert_eq!(info(&source.server, "master_port"), target.tls_port);
    }
    assert_eq!(ask(&redis.server, &["GET", "written"]), "2");
}

#[test]
fn a_migration_by_tls_says_what_is_in_the_way() {
    let files = Certificates::new();
    let source = Node::start(Which::Older, &files, "one");
    let target = Server::start(Which::CrabCache, &[]).unwrap();
    let plain = format!("redis://127.0.0.1:{}", target.port());
    let (is_done, said) = migrate(&files, &address(&source), &plain, &[]);
    assert!(!is_done && said.contains("PROBLEM  the target cannot follow by TLS"), "{said}");
    assert!(ask(&target, &["ROLE"]).contains("master"));
    // Who is not vouched for is not talked to.
    let output = Command::new(Which::CrabCache.program().unwrap())
        .args(["migrate", &address(&source), "--target", &plain, "--cacert"])
        .arg(files.path("two-ca.crt"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("UnknownIssuer") && said.trim_end().lines().count() == 1, "{said}");
}

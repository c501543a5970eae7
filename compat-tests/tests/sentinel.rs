//! Debian's real redis-sentinel watches CrabCache: it discovers, fails over after kill -9, and makes
//! the old primary a replica when it returns. A client of redis-py goes on all the time.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which, free_port, repository, tool};
use compat_tests::wire::{Connection, reply_text};
use crabcache_resp::Protocol;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A sentinel; it ends with this value.
struct Sentinel {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_sentinel(primary: &Server) -> Sentinel {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let config = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 2\n\
         sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
        primary.port()
    );
    std::fs::write(folder.path().join("sentinel.conf"), config).unwrap();
    let child = Command::new(tool("redis-sentinel"))
        .arg("sentinel.conf")
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Sentinel { port, child, _folder: folder }
}

/// The words of a reply; empty if there is none.
fn ask(port: u16, words: &[&str]) -> Vec<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut connection) = Connection::open(address, Protocol::Resp2) else { return Vec::new() };
    let Ok(reply) = connection.call(words) else { return Vec::new() };
    if let Some(text) = reply_text(&reply) {
        return vec![String::from_utf8_lossy(&text).into_owned()];
    }
    let shown = reply.show();
    let is_word = |word: &&str| !word.starts_with(['*', '$']);
    shown.split("\\r\\n").filter(is_word).map(str::to_string).collect()
}

#[track_caller]
fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Starts a client that writes and reads until [`end_client`].
fn start_client(sentinels: &[Sentinel]) -> Child {
    Command::new(repository().join(".tools/python/bin/python"))
        .arg(repository().join("compat-tests/clients/redis_py_sentinel.py"))
        .args(sentinels.iter().map(|sentinel| sentinel.port.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: run scripts/install_tests"))
}

/// Ends the client. Returns how often it has succeeded and failed.
fn end_client(client: Child) -> (u64, u64) {
    // Its input ends.
    let output = client.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let text = text(&output.stdout);
    let (done, failed) = text.trim().split_once(' ').unwrap();
    (done.parse().unwrap(), failed.parse().unwrap())
}

/// A group of a primary of the first kind and replicas of the others.
fn fail_over(kinds: [Which; 3]) {
    let options = ["--repl-diskless-sync-delay", "0"];
    let mut servers = kinds.map(|which| Server::start(which, &options).unwrap());
    let ports = [0, 1, 2].map(|index| servers[index].address.port());
    for port in &ports[1..] {
        let reply = ask(*port, &["REPLICAOF", "127.0.0.1", &ports[0].to_string()]);
        assert_eq!(reply, ["OK"]);
    }
    let sentinels = [(); 3].map(|()| start_sentinel(&servers[0]));
    await_that("a group that is known", || {
        sentinels.iter().all(|sentinel| {
            let about = ask(sentinel.port, &["SENTINEL", "MASTER", "main"]);
            let field = |name: &str| {
                let at = about.iter().position(|word| word == name)?;
                about.get(at + 1).cloned()
            };
            field("num-slaves").as_deref() == Some("2")
                && field("num-other-sentinels").as_deref() == Some("2")
        })
    });
    assert_eq!(ask(ports[0], &["SET", "key", "value"]), ["OK"]);
    await_that("the key", || {
        ports[1..].iter().all(|port| ask(*port, &["GET", "key"]) == ["value"])
    });
    let counted = |port: u16| -> u64 {
        ask(port, &["GET", "by-client"]).first().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let client = start_client(&sentinels);
    await_that("the client", || counted(ports[0]) > 20);
    servers[0].kill();
    let primary = || -> u16 {
        let address = ask(sentinels[0].port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        address.get(1).and_then(|port| port.parse().ok()).unwrap_or(0)
    };
    await_that("another primary", || ports[1..].contains(&primary()));
    let new = primary();
    await_that("its promotion", || ask(new, &["SET", "key", "other"]) == ["OK"]);
    let before = counted(new);
    await_that("the client, at the new primary", || counted(new) > before + 20);
    servers[0].start_again(&options).unwrap();
    await_that("the same everywhere", || {
        ports.iter().all(|port| ask(*port, &["GET", "key"]) == ["other"])
    });
    await_that("the old primary as a replica", || {
        ask(ports[0], &["ROLE"]).first().map(String::as_str) == Some("slave")
    });
    let (n_done, n_failed) = end_client(client);
    assert!(n_done > 40 && n_failed > 0, "{n_done} {n_failed}");
    await_that("the same numbers", || {
        let last = counted(new);
        last > 40 && ports.iter().all(|port| counted(*port) == last)
    });
}

#[test]
fn sentinels_fail_over_crabcache() {
    fail_over([Which::CrabCache; 3]);
}

#[test]
fn sentinels_fail_over_a_mixed_group() {
    fail_over([Which::Older, Which::CrabCache, Which::Older]);
}

#[test]
fn sentinels_fail_over_from_crabcache_to_redis() {
    fail_over([Which::CrabCache, Which::Reference, Which::Reference]);
}

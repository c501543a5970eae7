//! Servers that follow each other. What fails here fails the test.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::content;
use crate::server::{Server, Which};
use std::process::Command;
use std::time::{Duration, Instant};

/// What does not come by then does not come.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a server that lets its replicas wait for nothing.
pub fn start(which: Which, options: &[&str]) -> Server {
    let all = [&["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"], options];
    Server::start(which, &all.concat()).unwrap()
}

/// As [`content::ask`], of a server that is there.
#[track_caller]
pub fn ask(server: &Server, words: &[&str]) -> String {
    content::ask(server, words).unwrap()
}

/// As [`content::info`].
pub fn info(server: &Server, field: &str) -> String {
    content::info(server, field).unwrap()
}

/// As [`content::content`].
pub fn content(server: &Server) -> content::Content {
    content::content(server).unwrap()
}

/// Waits until something is so.
#[track_caller]
pub fn await_that(what: &str, servers: &[&Server], mut is_so: impl FnMut() -> bool) {
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

/// Makes a server a replica, and waits until it is one.
#[track_caller]
pub fn follow(replica: &Server, primary: &Server) {
    assert_eq!(ask(replica, &["REPLICAOF", "127.0.0.1", &primary.port()]), "OK");
    await_link(replica, primary);
}

/// Waits until a replica gets the stream.
#[track_caller]
pub fn await_link(replica: &Server, primary: &Server) {
    let servers = [replica, primary];
    await_that("the link", &servers, || info(replica, "master_link_status") == "up");
}

/// All have the same.
#[track_caller]
pub fn assert_same(primary: &Server, replicas: &[&Server]) {
    let all = [&[primary], replicas].concat();
    // What has expired goes when the primary finds it.
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let own = content(primary);
        if replicas.iter().all(|replica| content(replica) == own) {
            return;
        }
        if Instant::now() > deadline {
            let lines = content::differences(&all).unwrap();
            assert!(lines.is_empty(), "keys differ, from the primary on:\n{lines}");
            panic!("the digests differ, those of the keys do not");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal (`STOP`, `CONT`, `TERM`) to a server.
pub fn signal(server: &Server, name: &str) {
    let mut kill = Command::new("kill");
    assert!(kill.args(["-s", name, &server.pid().to_string()]).status().unwrap().success());
}

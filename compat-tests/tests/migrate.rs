//! `crabcache-server migrate`: there and back under load, what it refuses, and the page that describes
//! it, run as written.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which, free_port, repository, tool};
use compat_tests::wire::{Connection, Received, reply_text};
use crabcache_resp::Protocol;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// Runs the subcommand. Returns whether it succeeded, and all that it said.
fn migrate(source: &Server, target: &Server, options: &[&str]) -> (bool, String) {
    let address = |server: &Server| format!("redis://127.0.0.1:{}", server.port());
    let output = Command::new(Which::CrabCache.program().unwrap())
        .args(["migrate", &address(source), "--target", &address(target)])
        .args(options)
        .output()
        .unwrap();
    (output.status.success(), all_of(&output))
}

fn all_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn connect(server: &Server) -> Connection {
    server.connect(Protocol::Resp2).unwrap()
}

fn call(server: &Server, words: &[&str]) -> String {
    match connect(server).call(words).unwrap() {
        Received::Reply(reply) => String::from_utf8(reply).unwrap(),
        other => other.show(),
    }
}

/// Data of all types that both servers have, in two databases.
fn fill(server: &Server) {
    let mut connection = connect(server);
    for number in 0..200 {
        let key = |name: &str| format!("{name}:{number}");
        for request in [
            vec!["SET", &key("string"), &"x".repeat(number)],
            vec!["SET", &key("expiring"), "v", "EX", "1000"],
            vec!["RPUSH", &key("list"), "a", "b", &key("c")],
            vec!["SADD", &key("set"), "1", "2", &key("x")],
            vec!["ZADD", &key("zset"), "1.5", "a", "inf", &key("b")],
            vec!["HSET", &key("hash"), "f", "v", &key("g"), "w"],
            vec!["XADD", &key("stream"), "*", "f", &key("v")],
        ] {
            connection.call(&request).unwrap();
        }
    }
    connection.call(&["SELECT", "9"]).unwrap();
    connection.call(&["SET", "other", "database"]).unwrap();
}

/// Counts up on a server until it refuses. Returns what it acknowledged.
fn write_until_refused(server: &Server, is_over: &AtomicBool) -> i64 {
    let mut connection = connect(server);
    let mut n_acknowledged = 0;
    while !is_over.load(Ordering::Relaxed) {
        match connection.call(&["INCR", "counter"]).unwrap() {
            Received::Reply(reply) if reply.starts_with(b":") => n_acknowledged += 1,
            _ => break,
        }
    }
    n_acknowledged
}

fn there_and_back(other: Which) {
    let (redis, crabcache) =
        (Server::start(other, &[]).unwrap(), Server::start(Which::CrabCache, &[]).unwrap());
    fill(&redis);
    let mut total = 0;
    for (source, target) in [(&redis, &crabcache), (&crabcache, &redis)] {
        let is_over = AtomicBool::new(false);
        let ((is_done, said), n_acknowledged) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_until_refused(source, &is_over));
            let done = migrate(source, target, &["--promote"]);
            is_over.store(true, Ordering::Relaxed);
            (done, writer.join().unwrap())
        });
        assert!(is_done, "{said}");
        assert!(n_acknowledged > 0);
        total += n_acknowledged;
        assert_eq!(call(target, &["GET", "counter"]), {
            let digits = total.to_string();
            format!("${}\r\n{digits}\r\n", digits.len())
        });
        assert!(call(source, &["SET", "k", "v"]).starts_with("-READONLY"));
        assert_eq!(call(source, &["DEBUG", "DIGEST"]), call(target, &["DEBUG", "DIGEST"]));
    }
}

#[test]
fn redis_8_there_and_back() {
    there_and_back(Which::Reference);
}

#[test]
fn redis_7_there_and_back() {
    there_and_back(Which::Older);
}

#[test]
fn a_dry_run_changes_nothing() {
    let source = Server::start(Which::Reference, &[]).unwrap();
    let target = Server::start(Which::CrabCache, &["--databases", "5"]).unwrap();
    fill(&source);
    call(&target, &["SET", "own", "1"]);
    let (is_done, said) = migrate(&source, &target, &["--dry-run"]);
    assert!(!is_done);
    assert!(said.contains("PROBLEM  the target has 1 keys"), "{said}");
    assert!(said.contains("PROBLEM  the target has 5 databases, the source uses more"), "{said}");
    let (is_done, said) = migrate(&source, &target, &["--dry-run", "--replace", "--force"]);
    assert!(is_done && said.contains("Dry run: nothing was changed."), "{said}");
    assert_eq!(call(&target, &["GET", "own"]), "$1\r\n1\r\n");
    assert!(call(&target, &["ROLE"]).contains("master"));
}

#[test]
fn commands_that_the_target_lacks_are_a_problem() {
    let source = Server::start(Which::Reference, &[]).unwrap();
    let target = Server::start(Which::Older, &[]).unwrap();
    call(&source, &["HSET", "h", "f", "v"]);
    call(&source, &["HEXPIRE", "h", "100", "FIELDS", "1", "f"]);
    call(&source, &["VADD", "vectors", "VALUES", "2", "1", "2", "e"]);
    let (is_done, said) = migrate(&source, &target, &[]);
    assert!(!is_done);
    assert!(said.contains("commands that were used: hexpire, vadd"), "{said}");
    assert!(said.contains("does not have the type of 1 keys: vectorset"), "{said}");
    assert!(call(&target, &["ROLE"]).contains("master"));
}

#[test]
fn passwords_are_used_and_not_shown() {
    let options = ["--requirepass", "s3cret"];
    let source = Server::start(Which::CrabCache, &[]).unwrap();
    let target = Server::start(Which::CrabCache, &[]).unwrap();
    call(&source, &["SET", "k", "v"]);
    for server in [&source, &target] {
        call(server, &["CONFIG", "SET", &options[0][2..], options[1]]);
    }
    let (is_done, said) = migrate(&source, &target, &[]);
    assert!(!is_done && said.contains("NOAUTH"), "{said}");
    let address = |server: &Server| format!("redis://:s3cret@127.0.0.1:{}", server.port());
    let output = Command::new(Which::CrabCache.program().unwrap())
        .args(["migrate", &address(&source), "--target", &address(&target), "--promote"])
        .output()
        .unwrap();
    let said = all_of(&output);
    assert!(output.status.success() && !said.contains("s3cret"), "{said}");
    let mut connection = connect(&target);
    connection.call(&["AUTH", "s3cret"]).unwrap();
    let value = connection.call(&["GET", "k"]).unwrap();
    assert_eq!(reply_text(&value).as_deref(), Some(&b"v"[..]));
}

/// The commands of a page: what stands between lines of three back quotes and `sh`.
fn commands_of(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_is_true() {
    let redis = Server::start(Which::Older, &[]).unwrap();
    fill(&redis);
    let folder = TempDir::new().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let link = |name: &str, to: &Path| symlink(to, programs.join(name)).unwrap();
    link("crabcache-server", &Which::CrabCache.program().unwrap());
    link("redis-cli", &tool("redis-cli"));
    std::fs::write(folder.path().join("redis.conf"), "save 3600 1\nmaxmemory-policy noeviction\n")
        .unwrap();
    let page = std::fs::read_to_string(repository().join("docs/migration.md")).unwrap();
    let commands = commands_of(&page);
    assert!(commands.matches("migrate").count() >= 4, "{commands}");
    let commands =
        commands.replace("6379", &redis.port()).replace("6380", &free_port().to_string());
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euxc", &commands])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", all_of(&output));
    assert_eq!(call(&redis, &["GET", "written"]), "$5\r\nagain\r\n");
    assert_eq!(call(&redis, &["DBSIZE"]), ":1401\r\n");
}

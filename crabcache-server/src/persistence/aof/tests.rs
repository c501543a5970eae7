//! The append-only file through commands: logged, rewritten, loaded.

use super::files;
use crate::persistence::snapshot::run_in_background;
use crate::server::Server;
use crate::testing::{TempDir, TestServer, temp_dir};
use std::sync::Arc;

/// A server with its writer's thread, and with the data of its directory.
fn start(dir: &TempDir, params: &[(&str, &str)]) -> TestServer {
    let path = dir.path().to_str().unwrap();
    let all: Vec<(&str, &str)> =
        [("dir", path), ("appendonly", "yes")].into_iter().chain(params.iter().copied()).collect();
    let t = TestServer::with_config(&all);
    super::writer::start(&t.server).unwrap();
    crate::persistence::load::at_start(&t.server).unwrap();
    super::open_at_start(&t.server).unwrap();
    t
}

fn flush(server: &Arc<Server>) {
    super::writer::flush(server).unwrap();
}

fn rewrite(t: &mut TestServer) {
    t.check("BGREWRITEAOF", "+Background append only file rewriting started");
    t.check("BGREWRITEAOF", "-ERR Background append only file rewriting already in progress");
    run_in_background(&t.server, t.server.persistence.jobs.take_waiting().unwrap());
}

/// One of every kind of value and of expiry, and the shapes that streams can have.
const FILL: &[&str] = &[
    "SET s 'a b'",
    "SET i 12 PXAT 99999999999999",
    "RPUSH l a 1 b",
    "SADD m 1 2 3 x",
    "SADD ints 1 2 3",
    "ZADD z 1 a 2.5 b -inf c",
    "HSET h f v g w",
    "HPEXPIREAT h 9999999999999 FIELDS 1 f",
    "XADD x 1-1 f v",
    "XADD x 2-1 f v g w",
    "XADD x 3-1 f v",
    "XDEL x 2-1",
    "XGROUP CREATE x grp 0",
    "XGROUP CREATECONSUMER x grp idle",
    "XREADGROUP GROUP grp bob COUNT 1 STREAMS x >",
    "XADD gone 5-5 f v",
    "XDEL gone 5-5",
    "XGROUP CREATE empty grp $ MKSTREAM",
    "PFADD p a b c",
    "VADD v VALUES 2 1 2 element",
    "SELECT 3",
    "SET other x",
    "SELECT 0",
    "FUNCTION LOAD '#!lua name=lib\\nredis.register_function(\"f\", function() return 1 end)'",
];

fn content(t: &mut TestServer) -> Vec<String> {
    let lines = ["DEBUG DIGEST", "XINFO STREAM x", "XINFO GROUPS x", "XPENDING x grp", "FCALL f 0"];
    lines.iter().map(|line| t.run(line)).collect()
}

#[test]
fn changes_come_back() {
    let dir = temp_dir("aof-changes");
    let mut t = start(&dir, &[]);
    FILL.iter().for_each(|line| drop(t.run(line)));
    let before = content(&mut t);
    flush(&t.server);
    t.check("DEBUG LOADAOF", "+OK");
    assert_eq!(content(&mut t), before);
    t.run("SET after 1");
    let before = content(&mut t);
    flush(&t.server);
    drop(t);
    let mut t = start(&dir, &[]);
    assert_eq!(content(&mut t), before);
    t.check("GET after", "\"1\"");
}

#[test]
fn a_rewrite_changes_nothing() {
    for preamble in ["yes", "no"] {
        let dir = temp_dir(&format!("aof-rewrite-{preamble}"));
        let params = [("aof-use-rdb-preamble", preamble), ("aof-timestamp-enabled", "yes")];
        let mut t = start(&dir, &params);
        FILL.iter().for_each(|line| drop(t.run(line)));
        t.run("SET passing 1");
        rewrite(&mut t);
        t.run("DEL passing");
        let before = content(&mut t);
        flush(&t.server);
        let config = t.server.config.get();
        let manifest = files::read_manifest(&config).unwrap();
        assert_eq!(manifest, *t.server.aof.manifest.lock());
        assert_eq!((manifest.increments.len(), manifest.history.len()), (1, 0));
        let suffix = if preamble == "yes" { "2.base.rdb" } else { "2.base.aof" };
        assert!(manifest.base.unwrap().shown_name().ends_with(suffix));
        assert_eq!(std::fs::read_dir(files::dir(&config)).unwrap().count(), 3);
        drop(t);
        assert_eq!(content(&mut start(&dir, &params)), before, "{preamble}");
    }
}

#[test]
fn what_is_torn_is_cut() {
    let dir = temp_dir("aof-torn");
    let mut t = start(&dir, &[]);
    t.check_all(&[("SET a 1", "+OK"), ("MULTI", "+OK"), ("SET a 2", "+QUEUED")]);
    t.check_all(&[("SET b 2", "+QUEUED"), ("EXEC", "[+OK, +OK]")]);
    flush(&t.server);
    let config = t.server.config.get();
    let path = files::dir(&config).join("appendonly.aof.1.incr.aof");
    drop(t);
    let bytes = std::fs::read(&path).unwrap();
    let multi = memchr::memmem::find(&bytes, b"*1\r\n$5\r\nMULTI").unwrap();
    for len in multi + 1..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let mut t = start(&dir, &[]);
        t.check_all(&[("GET a", "\"1\""), ("DBSIZE", ":1"), ("SET c 3", "+OK")]);
        flush(&t.server);
        drop(t);
        // The block is gone, not only its end: the next EXEC must not bring a part of it back.
        let mut t = start(&dir, &[]);
        t.check_all(&[("GET a", "\"1\""), ("GET c", "\"3\""), ("DBSIZE", ":2")]);
    }
}

#[test]
fn what_has_expired_counts_until_the_log_says_otherwise() {
    let dir = temp_dir("aof-expired");
    let mut t = start(&dir, &[]);
    t.check_all(&[("SET n 5 PX 10", "+OK"), ("INCR n", ":6"), ("HSET h f 1", ":1")]);
    t.check_all(&[("HPEXPIRE h 10 FIELDS 1 f", "[:1]"), ("HINCRBY h f 1", ":2")]);
    flush(&t.server);
    drop(t);
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Had the first command been without effect, the second would make keys that stay.
    let mut t = start(&dir, &[]);
    t.check_all(&[("GET n", "nil"), ("HGET h f", "nil"), ("DBSIZE", ":0")]);
}

#[test]
fn nothing_expires_by_itself_while_data_are_loaded() {
    let mut t = TestServer::new();
    t.check("SET k v PX 1", "+OK");
    t.advance_ms(5);
    let is_under_way = &t.server.persistence.loading.is_under_way;
    is_under_way.store(true, std::sync::atomic::Ordering::Relaxed);
    crate::expire::slow_cycle(&t.server);
    assert_eq!(t.server.keyspace.size(0).n_keys, 1);
    is_under_way.store(false, std::sync::atomic::Ordering::Relaxed);
    crate::expire::slow_cycle(&t.server);
    assert_eq!(t.server.keyspace.size(0).n_keys, 0);
}

#[test]
fn logging_can_be_turned_on_and_off() {
    let dir = temp_dir("aof-toggle");
    let mut t = start(&dir, &[("appendonly", "no")]);
    t.check_all(&[("SET a 1", "+OK"), ("CONFIG SET appendonly yes", "+OK")]);
    super::rewrite::begin_if_due(&t.server);
    t.check("SET b 2", "+OK");
    run_in_background(&t.server, t.server.persistence.jobs.take_waiting().unwrap());
    assert_eq!(t.server.aof.state(), super::State::On);
    t.check_all(&[("SET c 3", "+OK"), ("CONFIG SET appendonly no", "+OK"), ("SET d 4", "+OK")]);
    drop(t);
    let mut t = start(&dir, &[]);
    t.check("MGET a b c d", "[\"1\", \"2\", \"3\", nil]");
    assert!(t.run("INFO persistence").contains("aof_enabled:1"));
}

#[test]
fn a_rewrite_waits_for_a_snapshot() {
    let dir = temp_dir("aof-postponed");
    let mut t = start(&dir, &[("appendonly", "no")]);
    t.check("BGSAVE", "+Background saving started");
    t.check("CONFIG SET appendonly yes", "+OK");
    let info = t.run("INFO persistence");
    assert!(info.contains("aof_rewrite_in_progress:0"), "{info}");
    assert!(info.contains("aof_rewrite_scheduled:1"), "{info}");
    run_in_background(&t.server, t.server.persistence.jobs.take_waiting().unwrap());
    let info = t.run("INFO persistence");
    assert!(info.contains("aof_rewrite_in_progress:1"), "{info}");
    super::rewrite::begin_if_due(&t.server);
    assert!(t.run("INFO stats").contains("total_forks:2"));
}

#[test]
fn an_old_file_is_adopted() {
    let dir = temp_dir("aof-old");
    let text = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    std::fs::write(dir.path().join("appendonly.aof"), text).unwrap();
    let mut t = start(&dir, &[]);
    t.check_all(&[("GET a", "\"1\""), ("SET b 2", "+OK")]);
    flush(&t.server);
    assert!(!dir.path().join("appendonly.aof").exists());
    drop(t);
    let mut t = start(&dir, &[]);
    t.check("MGET a b", "[\"1\", \"2\"]");
    rewrite(&mut t);
    assert!(!dir.path().join("appendonlydir/appendonly.aof").exists());
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let dir = temp_dir("aof-bad");
    let config = |params: &[(&str, &str)]| {
        let path = dir.path().to_str().unwrap();
        let all: Vec<(&str, &str)> = [("dir", path), ("appendonly", "yes")]
            .into_iter()
            .chain(params.iter().copied())
            .collect();
        TestServer::with_config(&all)
    };
    let aof_dir = dir.path().join("appendonlydir");
    std::fs::create_dir(&aof_dir).unwrap();
    let load = |text: &[u8], params: &[(&str, &str)]| {
        std::fs::write(aof_dir.join("f"), text).unwrap();
        crate::persistence::load::at_start(&config(params).server).is_ok()
    };
    assert!(load(b"", &[]));
    std::fs::write(aof_dir.join("appendonly.aof.manifest"), "file f seq 1 type i\n").unwrap();
    assert!(load(b"*1\r\n$4\r\nPING\r\n", &[]) && load(b"", &[]));
    assert!(!load(b"*1\r\n$3\r\nbla\r\n", &[]) && !load(b"PING\r\n", &[]));
    assert!(!load(b"*1\r\n$3\r\nGET\r\n", &[]) && !load(b"REDIS0012xyz", &[]));
    assert!(load(b"*1\r\n$4\r\nPI", &[]));
    assert!(!load(b"*1\r\n$4\r\nPI", &[("aof-load-truncated", "no")]));
    std::fs::write(aof_dir.join("appendonly.aof.manifest"), "file g seq 1 type i\n").unwrap();
    assert!(!load(b"", &[]));
}

/// Who has changed something finds it there, though the writer takes its time.
#[test]
fn the_size_that_is_told_has_every_change() {
    const SET: &str = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n";
    let dir = temp_dir("aof-size");
    let mut t = start(&dir, &[]);
    let size = |t: &mut TestServer| -> usize {
        let info = t.run("INFO persistence");
        let (_, behind) = info.split_once("aof_current_size:").unwrap();
        let n_digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap();
        behind[..n_digits].parse().unwrap()
    };
    // Selects the database, too.
    t.run("SET k 1");
    t.check("DEBUG AOF-FLUSH-SLEEP 100000", "+OK");
    let before = size(&mut t);
    t.run("SET k 1");
    assert_eq!(size(&mut t) - before, SET.len());
}

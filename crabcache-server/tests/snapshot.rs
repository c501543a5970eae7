//! Snapshots while clients change everything: each file has one moment of the whole keyspace.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{Client, N_PAUSES_MAX, PAUSE, Program};
use crabcache_resp::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const N_ACCOUNTS: usize = 5000;
const BALANCE: i64 = 1000;
const N_LISTS: usize = 100;
const N_SNAPSHOTS: usize = 6;
const N_WRITERS: usize = 3;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("crabcache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

fn fill(client: &mut Client) {
    for number in 0..N_ACCOUNTS {
        client.call(&format!("SET account:{number} {BALANCE}")).unwrap();
    }
}

/// Moves money between accounts; adds to a list and to a counter, or removes both; each in one
/// transaction.
fn write(client: &mut Client, seed: u64, is_over: &AtomicBool, n_done: &AtomicUsize) {
    let mut random = Random(seed);
    while !is_over.load(Ordering::Relaxed) {
        let (from, to) = (random.below(N_ACCOUNTS), random.below(N_ACCOUNTS));
        let amount = random.below(100);
        let list = random.below(N_LISTS);
        let pair = match random.below(10) {
            0 => format!("DEL list:{list} count:{list}"),
            _ => format!("LPUSH list:{list} x\r\nHINCRBY count:{list} n 1"),
        };
        client
            .send(&format!(
                "MULTI\r\nDECRBY account:{from} {amount}\r\nINCRBY account:{to} {amount}\r\n\
                 EXEC\r\nMULTI\r\n{pair}\r\nEXEC"
            ))
            .unwrap();
        let n_replies = if pair.starts_with("DEL") { 7 } else { 8 };
        for _ in 0..n_replies {
            client.receive().unwrap();
        }
        n_done.fetch_add(1, Ordering::Relaxed);
    }
}

fn info(client: &mut Client, field: &str) -> String {
    let Value::Bulk(text) = client.call("INFO persistence").unwrap() else { panic!("no text") };
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().trim().to_string()
}

fn check(dir: &Path, name: &str) {
    let program = Program::start(dir, &["--dbfilename", name]);
    let mut client = program.client();
    let mut sum = 0;
    for number in 0..N_ACCOUNTS {
        sum += client.int(&format!("INCRBY account:{number} 0"));
    }
    assert_eq!(sum, N_ACCOUNTS as i64 * BALANCE, "{name}");
    for number in 0..N_LISTS {
        let len = client.int(&format!("LLEN list:{number}"));
        let count = client.int(&format!("HINCRBY count:{number} n 0"));
        assert_eq!(len, count, "{name}, list {number}");
    }
}

#[test]
fn every_file_is_one_moment_of_the_whole_keyspace() {
    let dir = Dir::new("moments");
    let program = Program::start(&dir.0, &["--snapshot-queue-limit", "4kb"]);
    let mut client = program.client();
    fill(&mut client);
    let (is_over, n_done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for seed in 0..N_WRITERS as u64 {
            let mut writer = program.client();
            let (is_over, n_done) = (&is_over, &n_done);
            scope.spawn(move || write(&mut writer, seed, is_over, n_done));
        }
        for number in 0..N_SNAPSHOTS {
            let n_before = n_done.load(Ordering::Relaxed);
            while n_done.load(Ordering::Relaxed) < n_before + 100 {
                std::thread::sleep(PAUSE);
            }
            if number % 2 == 0 {
                client.call("SAVE").unwrap();
            } else {
                client.call("BGSAVE").unwrap();
                let mut n_pauses = 0;
                while info(&mut client, "rdb_bgsave_in_progress") == "1" {
                    n_pauses += 1;
                    assert!(n_pauses < N_PAUSES_MAX, "the snapshot does not end");
                    std::thread::sleep(PAUSE);
                }
            }
            let copy = dir.0.join(format!("copy-{number}.rdb"));
            std::fs::rename(dir.0.join("dump.rdb"), copy).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    drop(program);
    (0..N_SNAPSHOTS).for_each(|number| check(&dir.0, &format!("copy-{number}.rdb")));
}

#[test]
fn a_kill_in_the_middle_leaves_the_old_file() {
    let dir = Dir::new("killed");
    let program = Program::start(&dir.0, &["--rdb-key-save-delay", "1000"]);
    let mut client = program.client();
    (0..50).for_each(|number| drop(client.call(&format!("SET key:{number} old")).unwrap()));
    client.call("SAVE").unwrap();
    let old = std::fs::read(dir.0.join("dump.rdb")).unwrap();
    (0..1000).for_each(|number| drop(client.call(&format!("SET key:{number} new")).unwrap()));
    client.call("BGSAVE").unwrap();
    while info(&mut client, "current_save_keys_processed") == "0" {
        std::thread::sleep(PAUSE);
    }
    assert_eq!(info(&mut client, "rdb_bgsave_in_progress"), "1");
    drop(program);
    assert_eq!(std::fs::read(dir.0.join("dump.rdb")).unwrap(), old);
    let program = Program::start(&dir.0, &[]);
    assert_eq!(program.client().int("DBSIZE"), 50);
}

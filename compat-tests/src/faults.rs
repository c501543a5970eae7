//! Whether all servers of a group agree in the end, whatever happens to them and their links.
//!
//! ```text
//!  clients --> primary <== link == replica <== link == replica
//!                 ^======= link == replica
//! ```
//!
//! One of the servers is the reference, each may become the primary. Each link is a [`Proxy`]. In a
//! round clients write all kinds of things to the primary, while links break at random bytes or for
//! good, replicas are killed or restarted with their snapshot, the backlog is overrun, the primary
//! changes its history, is killed, restarted, or changes places with a replica. Then the links are
//! mended, and within a time
//!
//! - all servers have the same offset, DEBUG DIGEST and numbers of keys;
//! - no replica has connected again and again for that;
//! - none of them takes more memory than it should.

use crate::content::{ask, content, differences, info};
use crate::differential::RandomCommands;
use crate::proxy::Proxy;
use crate::server::{Server, StartError, Which};
use crate::wire::{Connection, Received, request};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SERVERS: [Which; 4] =
    [Which::CrabCache, Which::CrabCache, Which::CrabCache, Which::Reference];
/// Until then all must agree.
const AGREE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections through one link until then. Who fails tries again after a second.
const N_CONNECTIONS_MAX: u64 = 8;
/// What a server may take, with data of some megabytes.
const RSS_KB_MAX: u64 = 400_000;
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a round has failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server did not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// A connection failed that should not.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// Servers do not agree, or one does not behave.
    #[error("round {round} of seed {seed} ({faults}): {what}\n{logs}")]
    Wrong {
        /// Number of the round.
        round: u32,
        /// Makes the rounds.
        seed: u64,
        /// What has happened.
        faults: String,
        /// What is wrong.
        what: String,
        /// The ends of the servers' logs.
        logs: String,
    },
}

/// What happens in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A link breaks now.
    Cut,
    /// A link breaks after some bytes.
    BreakAfter,
    /// A link breaks, and there is more to send than is kept.
    Overrun,
    /// Nobody can go on with the primary's history; the links break while snapshots are sent.
    OtherHistory,
    /// A replica stands still.
    Stall,
    /// A replica is killed and comes back with what it has on disk, or without data.
    KillReplica,
    /// A replica saves its data and comes back with them.
    RestartReplica,
    /// The primary saves its data and comes back with them.
    RestartPrimary,
    /// The primary is killed and a replica takes its place.
    KillPrimary,
    /// The primary changes places with a replica.
    Failover,
}

impl Fault {
    const ALL: [Fault; 10] = [
        Fault::Cut,
        Fault::BreakAfter,
        Fault::Overrun,
        Fault::OtherHistory,
        Fault::Stall,
        Fault::KillReplica,
        Fault::RestartReplica,
        Fault::RestartPrimary,
        Fault::KillPrimary,
        Fault::Failover,
    ];
}

struct Group {
    servers: Vec<Server>,
    /// How each server reaches the one that it follows.
    links: Vec<Proxy>,
    /// Whom each server follows.
    parents: Vec<usize>,
    primary: usize,
    /// Where clients write.
    written: Arc<Mutex<SocketAddr>>,
}

/// Runs `n_rounds` rounds. `told` is told what happened in each.
///
/// # Errors
/// The first that fails.
pub fn run(seed: u64, n_rounds: u32, mut told: impl FnMut(u32, &str)) -> Result<(), Failure> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut group = Group::start()?;
    for round in 1..=n_rounds {
        let n_faults = random.random_range(1..=4);
        let faults: Vec<Fault> =
            (0..n_faults).map(|_| Fault::ALL[random.random_range(0..Fault::ALL.len())]).collect();
        let began = Instant::now();
        let outcome = group.round(&faults, &mut random);
        let faults = format!("{faults:?}");
        if let Some(what) = outcome? {
            let logs = group.logs();
            return Err(Failure::Wrong { round, seed, faults, what, logs });
        }
        told(round, &format!("{:.1} s, {faults}", began.elapsed().as_secs_f64()));
    }
    Ok(())
}

impl Group {
    fn start() -> Result<Group, Failure> {
        let servers = SERVERS
            .iter()
            .map(|which| Server::start(*which, &OPTIONS))
            .collect::<Result<Vec<_>, _>>()?;
        let written = servers[0].address;
        let links = servers.iter().map(|_| Proxy::start(written)).collect::<io::Result<_>>()?;
        let mut group = Group {
            parents: vec![0; servers.len()],
            servers,
            links,
            primary: 0,
            written: Arc::new(Mutex::new(written)),
        };
        group.mend()?;
        Ok(group)
    }

    /// One round. What is wrong in the end, if anything is.
    fn round(&mut self, faults: &[Fault], random: &mut StdRng) -> Result<Option<String>, Failure> {
        self.arrange(random);
        self.mend()?;
        let (is_over, written) = (AtomicBool::new(false), self.written.clone());
        let seeds: [u64; 2] = random.random();
        std::thread::scope(|scope| {
            for seed in seeds {
                let (written, is_over) = (&written, &is_over);
                scope.spawn(move || write(written, seed, is_over));
            }
            let suffered = faults.iter().try_for_each(|fault| self.suffer(*fault, random));
            is_over.store(true, Ordering::Relaxed);
            suffered
        })?;
        self.mend()?;
        let n_before: Vec<u64> = self.links.iter().map(Proxy::n_connections).collect();
        if let Some(what) = self.disagreement()? {
            return Ok(Some(what));
        }
        for (link, before) in self.links.iter().zip(n_before) {
            let n_connections = link.n_connections() - before;
            if n_connections > N_CONNECTIONS_MAX {
                return Ok(Some(format!("{n_connections} connections until all agreed")));
            }
        }
        Ok(self.fat_server())
    }

    /// Decides who follows whom, and how.
    fn arrange(&mut self, random: &mut StdRng) {
        for node in self.replicas() {
            self.parents[node] = self.primary;
        }
        let mut replicas = self.replicas();
        let last = replicas.swap_remove(random.random_range(0..replicas.len()));
        if random.random_bool(0.7) {
            self.parents[last] = replicas[random.random_range(0..replicas.len())];
        }
        let (kept, is_diskless) =
            (["16kb", "1mb"][random.random_range(0..2)], ["yes", "no"][random.random_range(0..2)]);
        for server in &self.servers {
            // A server that is loading is asked again in the next round.
            let _ = ask(server, &["CONFIG", "SET", "repl-backlog-size", kept]);
            let _ = ask(server, &["CONFIG", "SET", "repl-diskless-sync", is_diskless]);
        }
    }

    fn replicas(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|node| *node != self.primary).collect()
    }

    /// Has all links work, and everybody follow whom he should.
    fn mend(&mut self) -> Result<(), Failure> {
        for node in self.replicas() {
            self.links[node].mend(self.servers[self.parents[node]].address);
        }
        *lock(&self.written) = self.servers[self.primary].address;
        let primary = &self.servers[self.primary];
        if info(primary, "role")? != "master" {
            ask(primary, &["REPLICAOF", "NO", "ONE"])?;
        }
        for node in self.replicas() {
            let (server, port) = (&self.servers[node], self.links[node].port().to_string());
            if info(server, "master_port")? != port {
                ask(server, &["REPLICAOF", "127.0.0.1", &port])?;
            }
        }
        Ok(())
    }

    fn suffer(&mut self, fault: Fault, random: &mut StdRng) -> Result<(), Failure> {
        let replicas = self.replicas();
        let node = replicas[random.random_range(0..replicas.len())];
        std::thread::sleep(Duration::from_millis(random.random_range(5..150)));
        let n_bytes = 1 << random.random_range(0..22);
        match fault {
            Fault::Cut => self.links[node].cut(),
            Fault::BreakAfter => self.links[node].break_after(random.random_range(0..n_bytes)),
            Fault::Overrun => {
                self.configure_backlog("16kb");
                self.links[node].break_after(0);
                std::thread::sleep(Duration::from_millis(300));
                self.links[node].mend(self.servers[self.parents[node]].address);
            }
            Fault::OtherHistory => {
                ask(&self.servers[self.primary], &["DEBUG", "CHANGE-REPL-ID"])?;
                for node in replicas {
                    self.links[node].cut();
                    self.links[node].break_after(random.random_range(0..n_bytes));
                }
                // They try again a second later.
                std::thread::sleep(Duration::from_millis(random.random_range(500..1500)));
            }
            Fault::Stall => {
                // It may be loading.
                let _ = ask(&self.servers[node], &["DEBUG", "SLEEP", "0.3"]);
            }
            Fault::KillReplica => self.restart(node, false, random)?,
            Fault::RestartReplica => self.restart(node, true, random)?,
            Fault::RestartPrimary => self.restart(self.primary, true, random)?,
            Fault::KillPrimary => {
                let old = self.primary;
                self.servers[old].kill();
                self.promote(node)?;
                self.restart(old, false, random)?;
            }
            Fault::Failover => self.fail_over(node)?,
        }
        Ok(())
    }

    fn configure_backlog(&self, size: &str) {
        for server in &self.servers {
            // It may be gone or loading.
            let _ = ask(server, &["CONFIG", "SET", "repl-backlog-size", size]);
        }
    }

    /// Ends a server, orderly or not, and starts it again.
    fn restart(&mut self, node: usize, is_saved: bool, random: &mut StdRng) -> Result<(), Failure> {
        let server = &mut self.servers[node];
        if is_saved && let Ok(mut connection) = server.connect(Protocol::Resp2) {
            // If it cannot end so, it is killed below.
            let _ = connection.send(&request(&["SHUTDOWN", "SAVE"]));
            server.has_ended(Duration::from_secs(10));
        }
        server.kill();
        if !is_saved && random.random_bool(0.5) {
            // There may be none.
            let _ = std::fs::remove_file(server.folder.path().join("dump.rdb"));
        }
        let port = self.links[node].port().to_string();
        let followed = ["--replicaof", "127.0.0.1", &port];
        let followed = if node == self.primary { &[][..] } else { &followed[..] };
        server.start_again(&[&OPTIONS[..], followed].concat())?;
        Ok(())
    }

    /// Makes a replica the primary. The old one is to follow it.
    fn promote(&mut self, node: usize) -> Result<(), Failure> {
        ask(&self.servers[node], &["REPLICAOF", "NO", "ONE"])?;
        self.crown(node);
        Ok(())
    }

    fn crown(&mut self, node: usize) {
        self.primary = node;
        for replica in self.replicas() {
            self.parents[replica] = node;
            self.links[replica].mend(self.servers[node].address);
        }
        *lock(&self.written) = self.servers[node].address;
    }

    /// Has a replica and the primary change places, if they can.
    fn fail_over(&mut self, node: usize) -> Result<(), Failure> {
        let (old, port) = (self.primary, self.servers[node].port());
        let words = ["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "2000"];
        if ask(&self.servers[old], &words)? != "OK" {
            // It is not online, or not this one's replica.
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while info(&self.servers[old], "master_failover_state")? != "no-failover" {
            if Instant::now() > deadline {
                ask(&self.servers[old], &["FAILOVER", "ABORT"])?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if info(&self.servers[node], "role")? == "master" {
            self.crown(node);
        }
        Ok(())
    }

    /// Waits until all agree. What they disagree about, if they do not.
    fn disagreement(&self) -> Result<Option<String>, Failure> {
        let deadline = Instant::now() + AGREE_TIMEOUT;
        while !self.agrees()? {
            if Instant::now() > deadline {
                let servers: Vec<&Server> = self.servers.iter().collect();
                let states = servers.iter().map(|server| state(server));
                let states = states.collect::<io::Result<Vec<_>>>()?.join("\n");
                let keys = differences(&servers)?;
                let (primary, parents) = (self.primary, &self.parents);
                return Ok(Some(format!(
                    "no agreement; primary {primary}, parents {parents:?}\n{states}\n{keys}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    fn agrees(&self) -> io::Result<bool> {
        let primary = &self.servers[self.primary];
        let (own, offset) = (content(primary)?, info(primary, "master_repl_offset")?);
        for node in self.replicas() {
            let server = &self.servers[node];
            if info(server, "master_link_status")? != "up" || content(server)? != own {
                return Ok(false);
            }
        }
        // Pings may have come meanwhile; what has come before must be everywhere.
        let offset = offset.parse::<u64>().unwrap_or(u64::MAX);
        let offsets = self.servers.iter().map(|server| info(server, "master_repl_offset"));
        let offsets = offsets.collect::<io::Result<Vec<_>>>()?;
        Ok(offsets.iter().all(|own| own.parse::<u64>().is_ok_and(|own| own >= offset)))
    }

    /// A server that takes too much memory.
    fn fat_server(&self) -> Option<String> {
        let ours = self.servers.iter().filter(|server| server.which == Which::CrabCache);
        ours.filter_map(|server| Some((server, rss_kb(server)?)))
            .find(|(_, kb)| *kb > RSS_KB_MAX)
            .map(|(server, kb)| format!("{kb} KB at port {}", server.port()))
    }

    fn logs(&self) -> String {
        let logs = self.servers.iter().map(|server| {
            let log = server.log();
            let mut start = log.len().saturating_sub(6000);
            while !log.is_char_boundary(start) {
                start += 1;
            }
            format!("{:?} at port {}:\n{}", server.which, server.port(), &log[start..])
        });
        logs.collect::<Vec<_>>().join("\n")
    }
}

const OPTIONS: [&str; 8] = [
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
    "--repl-timeout",
    "10",
    "--io-threads",
    "2",
];

fn state(server: &Server) -> io::Result<String> {
    let text = ask(server, &["INFO", "replication"])?;
    let fields = ["role", "master_", "slave", "second_", "repl_backlog"];
    let lines = text.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    Ok(format!(
        "{:?} at port {}: {}",
        server.which,
        server.port(),
        lines.collect::<Vec<_>>().join(" ")
    ))
}

fn rss_kb(server: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to the primary, whoever that is, until the round is over.
fn write(primary: &Mutex<SocketAddr>, seed: u64, is_over: &AtomicBool) {
    let (mut random, commands) = (StdRng::seed_from_u64(seed), RandomCommands::default());
    while !is_over.load(Ordering::Relaxed) {
        let address = *lock(primary);
        let Ok(mut connection) = Connection::open(address, Protocol::Resp2) else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        while !is_over.load(Ordering::Relaxed) && *lock(primary) == address {
            let (mut bytes, mut n_replies) = (Vec::new(), 0);
            for _ in 0..random.random_range(1..30) {
                n_replies += put_change(&commands, &mut random, &mut bytes);
            }
            let is_sent = connection.send(&bytes).is_ok();
            let mut replies = (0..n_replies).map(|_| connection.receive(REPLY_TIMEOUT));
            if !is_sent || !replies.all(|reply| matches!(reply, Received::Reply(_))) {
                break;
            }
        }
    }
}

/// Puts a random change: a command, a transaction, a script, something that expires soon, or something
/// long. Returns the number of replies.
fn put_change(commands: &RandomCommands, random: &mut StdRng, bytes: &mut Vec<u8>) -> usize {
    let number = random.random_range(0..50).to_string();
    let soon = random.random_range(1..400).to_string();
    let mut put = |words: &[&str]| bytes.extend_from_slice(&request(words));
    match random.random_range(0..21) {
        0 => put(&["SET", &format!("soon:{number}"), &number, "PX", &soon]),
        1 => {
            let key = format!("fields:{number}");
            put(&["HSET", &key, "a", "1", &soon, "2"]);
            put(&["HPEXPIRE", &key, &soon, "FIELDS", "1", &soon]);
            return 2;
        }
        2 => {
            let (key, other) = (format!("script:{number}"), format!("count:{number}"));
            put(&["EVAL", SCRIPT, "2", &key, &other, &soon]);
        }
        3 => {
            let long = "x".repeat(random.random_range(1..40_000));
            put(&["SET", &format!("long:{number}"), &long]);
        }
        4 => {
            // By itself, a replica of Redis runs it too, and is another one than its primary then.
            let key = format!("q{}", random.random_range(0..3));
            put(&["MULTI"]);
            put(&["PFADD", &key, &soon]);
            put(&["PFCOUNT", &key]);
            put(&["EXEC"]);
            return 4;
        }
        5 | 6 => {
            put(&["MULTI"]);
            let n_commands = random.random_range(1..6);
            for _ in 0..n_commands {
                bytes.extend_from_slice(&request(&next(commands, random)));
            }
            bytes.extend_from_slice(&request(&["EXEC"]));
            return n_commands + 2;
        }
        _ => bytes.extend_from_slice(&request(&next(commands, random))),
    }
    1
}

/// Changes two keys, one of which expires.
const SCRIPT: &str = "redis.call('set', KEYS[1], ARGV[1]) redis.call('pexpire', KEYS[1], ARGV[1]) \
                      return redis.call('incr', KEYS[2])";

/// A command; most often one that does not remove everything.
fn next(commands: &RandomCommands, random: &mut StdRng) -> Vec<Vec<u8>> {
    loop {
        // The reference may be the primary.
        let words = commands.next_replicated(Which::Reference, random);
        let name = words[0].to_ascii_lowercase();
        let is_rare = matches!(name.as_slice(), b"flushall" | b"flushdb" | b"swapdb");
        if name == b"pfcount" {
            // Not by itself: see `put_change`.
            continue;
        }
        if !is_rare || random.random_bool(0.02) {
            return words;
        }
    }
}

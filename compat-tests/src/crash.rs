//! Kills servers at random moments while clients write, and looks what is left after a restart.
//!
//! Each writer counts. Its rounds are one transaction each, which sets two keys to the number and
//! appends it to a list, and one plain command behind it. So after a restart it can be told
//!
//! - that no transaction is there by half: both keys and the end of the list agree, and the list has
//!   every number up to there;
//! - how much is lost: under `appendfsync always` nothing that was acknowledged, otherwise at most
//!   what the last second has brought; of a snapshot, everything since the last one that was complete;
//! - that nothing is there that never was sent.
//!
//! Meanwhile another client has the file rewritten and snapshots made.

use crate::server::{Server, StartError, Which};
use crate::wire::{Connection, REPLY_TIMEOUT, Received, reply_text, request};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// Clients that write.
const N_WRITERS: usize = 4;
/// Rounds that go on with the same files.
const ROUNDS_PER_FOLDER: u32 = 8;
/// What `everysec` may lose.
const LOSS_MAX: Duration = Duration::from_secs(1);

/// What a server promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// `appendfsync always`
    Always,
    /// `appendfsync everysec`
    Everysec,
    /// `appendfsync no`
    No,
    /// Snapshots alone.
    Snapshots,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 4] = [Policy::Always, Policy::Everysec, Policy::No, Policy::Snapshots];

    fn options(self, random: &mut StdRng) -> Vec<&'static str> {
        let fsync = match self {
            Policy::Always => "always",
            Policy::Everysec => "everysec",
            Policy::No => "no",
            Policy::Snapshots => return vec!["--appendonly", "no"],
        };
        let mut one_of = |values: &[&'static str]| values[random.random_range(0..values.len())];
        vec![
            "--appendonly",
            "yes",
            "--appendfsync",
            fsync,
            "--aof-use-rdb-preamble",
            one_of(&["yes", "no"]),
            "--aof-timestamp-enabled",
            one_of(&["yes", "no"]),
            "--auto-aof-rewrite-min-size",
            one_of(&["1", "64mb"]),
            "--no-appendfsync-on-rewrite",
            if self == Policy::Always { "no" } else { one_of(&["yes", "no"]) },
        ]
    }
}

/// Why a round has failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server did not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// A connection failed that should not.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// What is there must not be there, or something is missing.
    #[error("round {round} of seed {seed} ({policy:?}), writer {writer}: {what}\n{log}")]
    Lost {
        /// Number of the round.
        round: u32,
        /// Makes the rounds.
        seed: u64,
        /// What was promised.
        policy: Policy,
        /// Whose data it is.
        writer: usize,
        /// What is wrong with it.
        what: String,
        /// The server's log.
        log: String,
    },
}

/// What a writer knows.
#[derive(Debug, Default)]
struct Known {
    /// The last number that it has sent.
    sent: AtomicU64,
    /// The last number that was acknowledged.
    acked: AtomicU64,
}

/// What a writer's data are after a restart.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    number: u64,
    twin: u64,
    list: Vec<u64>,
    plain: u64,
}

/// Runs `n_rounds` rounds. `told` is told what each has found.
///
/// # Errors
/// The first that fails.
pub fn run(
    seed: u64,
    n_rounds: u32,
    policies: &[Policy],
    mut told: impl FnMut(u32, Policy, &str),
) -> Result<(), Failure> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut round = 0;
    while round < n_rounds {
        let policy = policies[(round / ROUNDS_PER_FOLDER) as usize % policies.len()];
        let mut server = Server::start(Which::CrabCache, &policy.options(&mut random))?;
        let known: Vec<Known> = (0..N_WRITERS).map(|_| Known::default()).collect();
        for _ in 0..ROUNDS_PER_FOLDER.min(n_rounds - round) {
            round += 1;
            let acked_before = crash(&mut server, &known, &mut random)?;
            server.restart(Which::CrabCache, &policy.options(&mut random))?;
            let mut connection = server.connect(Protocol::Resp2)?;
            for (writer, own) in known.iter().enumerate() {
                let found = find(&mut connection, writer)?;
                let least = match policy {
                    Policy::Always => own.acked.load(Ordering::Relaxed),
                    Policy::Everysec | Policy::No => acked_before[writer],
                    Policy::Snapshots => 0,
                };
                let what = check(&found, least, own.sent.load(Ordering::Relaxed));
                if let Err(what) = what {
                    let log = server.log();
                    return Err(Failure::Lost { round, seed, policy, writer, what, log });
                }
                // What is gone was sent all the same; numbers go on behind what is there.
                own.sent.store(found.number, Ordering::Relaxed);
                own.acked.store(found.number, Ordering::Relaxed);
                if writer == 0 {
                    told(round, policy, &format!("{} of writer 0, {least} promised", found.number));
                }
            }
        }
    }
    Ok(())
}

/// Lets clients write for a while and kills the server. Returns what each had acknowledged early
/// enough not to be lost.
fn crash(server: &mut Server, known: &[Known], random: &mut StdRng) -> Result<Vec<u64>, Failure> {
    let is_over = AtomicBool::new(false);
    let time = Duration::from_millis(random.random_range(20..1600));
    let early = time.saturating_sub(LOSS_MAX);
    let seed = random.random();
    let connections: std::io::Result<Vec<Connection>> =
        (0..=N_WRITERS).map(|_| server.connect(Protocol::Resp2)).collect();
    let mut connections = connections?;
    let Some(disturber) = connections.pop() else { return Ok(Vec::new()) };
    let acked =
        |known: &[Known]| known.iter().map(|own| own.acked.load(Ordering::Relaxed)).collect();
    Ok(std::thread::scope(|scope| {
        let is_over = &is_over;
        let mut threads: Vec<ScopedJoinHandle<'_, ()>> = Vec::new();
        for (writer, connection) in connections.into_iter().enumerate() {
            threads.push(scope.spawn(move || write(connection, writer, &known[writer], is_over)));
        }
        threads.push(scope.spawn(move || disturb(disturber, seed, is_over)));
        let began = Instant::now();
        std::thread::sleep(early);
        let early: Vec<u64> = acked(known);
        std::thread::sleep(time.saturating_sub(began.elapsed()));
        server.kill();
        is_over.store(true, Ordering::Relaxed);
        early
    }))
}

/// Writes until the server is gone.
fn write(mut connection: Connection, writer: usize, known: &Known, is_over: &AtomicBool) {
    let mut number = known.acked.load(Ordering::Relaxed);
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        let text = number.to_string();
        let words: [&[&str]; 6] = [
            &["MULTI"],
            &["SET", &format!("a{writer}"), &text],
            &["SET", &format!("b{writer}"), &text],
            &["RPUSH", &format!("l{writer}"), &text],
            &["EXEC"],
            &["SET", &format!("p{writer}"), &text],
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|words| request(words)).collect();
        known.sent.store(number, Ordering::Relaxed);
        if connection.send(&bytes).is_err() {
            return;
        }
        for _ in words {
            match connection.receive(REPLY_TIMEOUT) {
                Received::Reply(reply) if !reply.starts_with(b"-") => {}
                _ => return,
            }
        }
        known.acked.store(number, Ordering::Relaxed);
    }
}

/// Has the file rewritten and snapshots made, again and again.
fn disturb(mut connection: Connection, seed: u64, is_over: &AtomicBool) {
    let mut random = StdRng::seed_from_u64(seed);
    while !is_over.load(Ordering::Relaxed) {
        let command = if random.random_bool(0.5) { "BGREWRITEAOF" } else { "BGSAVE" };
        // It may be refused because one is under way.
        if !matches!(connection.call(&[command]), Ok(Received::Reply(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(random.random_range(1..60)));
    }
}

fn find(connection: &mut Connection, writer: usize) -> Result<Found, Failure> {
    let number = |connection: &mut Connection, key: String| -> Result<u64, Failure> {
        let text = reply_text(&connection.call(&["GET", &key])?).unwrap_or_default();
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    let [one, twin, plain] =
        ["a", "b", "p"].map(|name| number(connection, format!("{name}{writer}")));
    let reply = connection.call(&["LRANGE", &format!("l{writer}"), "0", "-1"])?;
    let list = match &reply {
        Received::Reply(bytes) => String::from_utf8_lossy(bytes)
            .lines()
            .filter(|line| !line.starts_with(['$', '*']))
            .filter_map(|line| line.parse().ok())
            .collect(),
        _ => Vec::new(),
    };
    Ok(Found { number: one?, twin: twin?, list, plain: plain? })
}

fn check(found: &Found, least: u64, most: u64) -> Result<(), String> {
    let Found { number, twin, list, plain } = found;
    if number != twin || list.len() as u64 != *number {
        return Err(format!(
            "half a transaction: {number} and {twin}, a list of {} elements",
            list.len()
        ));
    }
    if let Some(index) = list.iter().zip(1..).position(|(element, number)| *element != number) {
        return Err(format!("element {index} of the list is {}", list[index]));
    }
    if *plain > *number || plain + 1 < *number {
        return Err(format!("the plain command has {plain}, the transaction before it {number}"));
    }
    if *number < least || *plain < least {
        return Err(format!("{least} was acknowledged, {number} and {plain} are left"));
    }
    if *number > most {
        return Err(format!("{number} is there, {most} was sent last"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_found() {
        let found =
            |number, twin, list: &[u64], plain| Found { number, twin, list: list.to_vec(), plain };
        assert_eq!(check(&found(2, 2, &[1, 2], 2), 2, 2), Ok(()));
        assert_eq!(check(&found(2, 2, &[1, 2], 1), 1, 3), Ok(()));
        assert_eq!(check(&found(0, 0, &[], 0), 0, 0), Ok(()));
        for bad in [
            found(2, 1, &[1, 2], 2),
            found(2, 2, &[1], 2),
            found(2, 2, &[1, 3], 2),
            found(2, 2, &[1, 2], 0),
            found(2, 2, &[1, 2], 3),
            found(1, 1, &[1], 1),
            found(2, 2, &[1, 2], 1),
            found(4, 4, &[1, 2, 3, 4], 4),
        ] {
            assert!(check(&bad, 2, 3).is_err(), "{bad:?}");
        }
    }
}

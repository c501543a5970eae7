//! The link to our primary: makes this server a replica.
//!
//! One thread does it, with a gate of its own: it connects, shakes hands ([`handshake`]), takes a
//! snapshot if it must ([`transfer`]) and then runs what the primary has run ([`follow`]), through the
//! same pipeline as clients' requests.
//!
//! Invariant: who the primary is changes only while the keyspace is held. The thread looks, whenever
//! it has entered its gate, whether it still is the one that it follows: so nothing of an old primary
//! is applied after a change.

pub mod follow;
mod handshake;
mod socket;
mod transfer;

use crate::config::Config;
use crate::server::Server;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What a thread that follows a primary keeps in its client.
#[derive(Debug, Default)]
pub struct PrimaryState {
    /// Which of all primaries it is.
    generation: u64,
    /// Bytes of a transaction that has begun and not ended: they are not handed on yet.
    unended: Vec<u8>,
    /// Where, in the bytes of this batch, the last command or transaction ended.
    ended_at: usize,
}

/// Where a primary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or number.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How far the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Is to connect.
    #[default]
    Connect,
    /// Waits for the connection.
    Connecting,
    /// Talks about what is to be sent.
    Handshake,
    /// Gets a snapshot.
    Sync,
    /// Gets the stream.
    Connected,
}

impl Phase {
    /// As ROLE names it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Connecting => "connecting",
            Phase::Handshake => "handshake",
            Phase::Sync => "sync",
            Phase::Connected => "connected",
        }
    }
}

/// The snapshot that is being received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Its length; 0: not known before its end.
    pub total_bytes: u64,
    /// Bytes received.
    pub read_bytes: u64,
}

/// A primary that does not let us follow is asked so often: a second, with the attempt itself.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(950);

/// What is known about the link.
#[derive(Debug, Clone, Default)]
pub struct LinkStatus {
    /// The primary; `None`: this server is one.
    pub primary: Option<Address>,
    /// How far the link is.
    pub phase: Phase,
    /// The snapshot that is being received.
    pub transfer: Transfer,
    /// Since when the link is not up that this replica has had: Unix milliseconds; 0: it had none.
    pub down_since_ms: i64,
    /// Since when it is: Unix milliseconds; 0: it is not.
    pub up_since_ms: i64,
    /// When the last link ended, as whatever this server is since then: Unix milliseconds.
    lost_at_ms: i64,
    /// It was up for so long that another one may be made at once.
    has_lasted: bool,
    /// Milliseconds without a link, until it was up last.
    pub down_total_ms: i64,
    /// Attempts since the last link ended, with the one that made this one.
    pub n_attempts: u64,
    /// Attempts to reach this primary.
    pub n_attempts_ever: u64,
}

impl LinkStatus {
    /// The link has ended, if there was one.
    fn note_end(&mut self, now_ms: i64) {
        if self.up_since_ms != 0 {
            self.has_lasted = now_ms - self.up_since_ms >= BETWEEN_ATTEMPTS.as_millis() as i64;
            (self.lost_at_ms, self.down_since_ms) = (now_ms, now_ms);
            (self.up_since_ms, self.n_attempts) = (0, 0);
        }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Link {
    status: Mutex<LinkStatus>,
    /// Told when the primary changes.
    changed: Condvar,
    /// Counts changes of the primary.
    generation: AtomicU64,
    /// The socket, for ending whatever waits for it.
    socket: Mutex<Option<TcpStream>>,
    /// When the primary sent something: Unix milliseconds.
    heard_ms: AtomicI64,
    /// Bytes of the stream that have been received and are not applied yet.
    pub unapplied_bytes: AtomicU64,
    /// The primary wants to know how far we are.
    is_ack_wanted: AtomicBool,
}

impl Link {
    /// Whether it is one that gets the stream.
    pub fn is_connected(&self) -> bool {
        let status = self.status.lock();
        status.primary.is_some() && status.phase == Phase::Connected
    }

    /// What is known.
    pub fn status(&self) -> LinkStatus {
        self.status.lock().clone()
    }

    /// When the primary sent something: Unix milliseconds.
    pub fn heard_ms(&self) -> i64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// Has the thread tell the primary at once how far we are.
    pub fn want_ack(&self) {
        self.is_ack_wanted.store(true, Ordering::Relaxed);
    }

    /// Makes the server a replica of `primary`, or a primary. The keyspace is held.
    pub fn follow(&self, server: &Server, primary: Option<Address>) {
        let mut status = self.status.lock();
        server.conditions.set_replica(primary.is_some());
        status.note_end(server.clock.unix_ms());
        let down_since_ms = if primary.is_some() { status.down_since_ms } else { 0 };
        let LinkStatus { lost_at_ms, down_total_ms, .. } = *status;
        *status = LinkStatus {
            primary,
            down_since_ms,
            lost_at_ms,
            down_total_ms,
            ..LinkStatus::default()
        };
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.interrupt();
        self.changed.notify_all();
    }

    /// Ends a connection that gets the stream: the link is down from now on, whenever the thread
    /// learns of it.
    pub fn cut(&self, now_ms: i64) {
        let mut status = self.status.lock();
        if status.phase == Phase::Connected {
            status.phase = Phase::Connect;
            status.note_end(now_ms);
        }
        self.interrupt();
    }

    /// Ends the connection; the thread makes another one.
    pub fn interrupt(&self) {
        if let Some(socket) = &*self.socket.lock() {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Which of all primaries is followed now.
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the one with this number is still followed.
    #[inline]
    pub fn is_current(&self, state: &PrimaryState) -> bool {
        self.generation() == state.generation
    }

    /// Has the thread look after a failover.
    pub fn look(&self) {
        self.changed.notify_all();
    }

    /// Waits until there is a primary, or the server ends. Carries out a failover.
    fn await_primary(&self, server: &Server) -> Option<(Address, u64)> {
        const LOOK_AGAIN: Duration = Duration::from_millis(200);
        const LOOK_SOON: Duration = Duration::from_millis(10);
        let mut status = self.status.lock();
        while !server.is_stopping() {
            // Data that is being loaded comes first.
            if let Some(primary) = &status.primary
                && !server.conditions.is_loading()
            {
                return Some((primary.clone(), self.generation()));
            }
            let is_failing_over = server.conditions.is_failing_over();
            if is_failing_over {
                MutexGuard::unlocked(&mut status, || server.replication.failover.go_on(server));
                if status.primary.is_some() {
                    continue;
                }
            }
            let look_again = if is_failing_over { LOOK_SOON } else { LOOK_AGAIN };
            self.changed.wait_for(&mut status, look_again);
        }
        None
    }

    /// Waits before the next attempt, unless the primary changes, or there was a link that has lasted.
    fn rest(&self, generation: u64) {
        let mut status = self.status.lock();
        let may_hurry = std::mem::take(&mut status.has_lasted);
        if self.generation() == generation && !may_hurry {
            self.changed.wait_for(&mut status, BETWEEN_ATTEMPTS);
        }
    }

    fn enter(&self, generation: u64, phase: Phase, now_ms: i64) {
        let mut status = self.status.lock();
        if self.generation() != generation {
            return;
        }
        status.phase = phase;
        match phase {
            Phase::Connecting => {
                status.n_attempts += 1;
                status.n_attempts_ever += 1;
            }
            Phase::Connected => {
                status.up_since_ms = now_ms;
                if status.lost_at_ms != 0 {
                    status.down_total_ms += now_ms - status.lost_at_ms;
                }
                (status.lost_at_ms, status.down_since_ms) = (0, 0);
            }
            Phase::Connect => status.note_end(now_ms),
            Phase::Handshake | Phase::Sync => {}
        }
    }

    fn note_transfer(&self, transfer: Transfer) {
        self.status.lock().transfer = transfer;
    }
}

/// Why an attempt has ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// The log has been told.
    #[error("")]
    Told,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another primary is to be followed, or none.
    #[error("the primary has changed")]
    Changed,
}

/// Follows primaries until the server ends. Runs on a thread of its own.
pub fn run(server: &Arc<Server>) {
    let link = &server.replication.link;
    let mut follower = follow::Follower::new(server.clone());
    while let Some((primary, generation)) = link.await_primary(server) {
        match attempt(server, &mut follower, &primary, generation) {
            Ok(()) | Err(Lost::Told | Lost::Changed) => {}
            Err(Lost::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                tell_timeout(link.status().phase);
            }
            Err(Lost::Io(error)) => {
                tracing::warn!(
                    "Error condition on socket for SYNC: {}",
                    crate::config::apply::system_text(&error)
                );
            }
        }
        *link.socket.lock() = None;
        link.enter(generation, Phase::Connect, server.clock.unix_ms());
        link.rest(generation);
    }
}

/// Tells the log what has been waited for in vain.
fn tell_timeout(phase: Phase) {
    match phase {
        Phase::Sync => tracing::warn!(
            "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
             'repl-timeout' parameter in redis.conf to a larger value."
        ),
        _ => tracing::warn!("Timeout connecting to the MASTER..."),
    }
}

/// Connects once and follows the primary as long as that lasts.
fn attempt(
    server: &Arc<Server>,
    follower: &mut follow::Follower,
    primary: &Address,
    generation: u64,
) -> Result<(), Lost> {
    let link = &server.replication.link;
    let config = server.config.get();
    let now_ms = || server.clock.unix_ms();
    tracing::info!("Connecting to MASTER {}:{}", primary.host, primary.port);
    link.enter(generation, Phase::Connecting, now_ms());
    let mut socket = socket::Socket::connect(server, &config, (primary, generation))?;
    *link.socket.lock() = Some(socket.interrupter()?);
    if link.generation() != generation {
        return Err(Lost::Changed);
    }
    tracing::info!("MASTER <-> REPLICA sync started");
    link.enter(generation, Phase::Handshake, now_ms());
    handshake::introduce(server, &config, &mut socket)?;
    let is_handing_over = server.replication.failover.is_handing_over();
    let answer = handshake::ask(server, &mut socket, is_handing_over);
    if is_handing_over && link.generation() == generation {
        match &answer {
            Ok(_) => server.replication.failover.note_accepted(server),
            Err(_) => server.replication.failover.note_rejected(server),
        }
    }
    match answer? {
        handshake::Answer::Continue(replid) => follower.resume(server, generation, replid)?,
        handshake::Answer::Full { replid, offset } => {
            link.enter(generation, Phase::Sync, now_ms());
            let file = transfer::receive(server, &config, &mut socket)?;
            follower.begin(server, &config, generation, (replid, offset), file)?;
        }
    }
    link.enter(generation, Phase::Connected, now_ms());
    follower.follow(server, &mut socket)
}

/// Takes care of what `config` says about the primary at the start of the server.
pub fn at_start(server: &Arc<Server>, config: &Config) {
    if let Some((host, port)) = &config.replicaof {
        let mut pass = server.keyspace.enter(server.cron_worker());
        let _locked = pass.lock_all();
        let address = Address { host: host.clone(), port: *port };
        server.replication.follow(server, config, Some(address));
    }
    let server = server.clone();
    let thread = std::thread::Builder::new().name("replica link".to_string());
    if let Err(error) = thread.spawn(move || run(&server)) {
        tracing::error!("Can't start the thread of the replica link: {error}");
    }
}

//! Replication: the stream of changes, and who gets it.
//!
//! ```text
//!  changes --> log --> backlog --> sender (a task for each replica) --> replicas
//!               \----> append-only file
//! ```
//!
//! - [`log`]: takes every change, while its stripes are held; [`unit`]: what enters it as one;
//!   [`backlog`]: its end, for replicas.
//! - [`history`]: the names of the stream.
//! - [`replicas`]: who they are and how far they have come; [`sender`]: sends to one of them.
//! - [`full_sync`], [`spool`]: snapshots for them.
//! - [`link`]: makes this server a replica itself.
//! - [`failover`]: has a replica take this primary's place.
//! - [`cron`]: pings, time-outs.

pub mod backlog;
pub mod cron;
pub mod failover;
pub mod full_sync;
pub mod history;
pub mod link;
pub mod log;
pub mod replicas;
pub mod sender;
pub mod spool;
pub mod unit;

use crate::blocking::{Unblock, WaitKind};
use crate::config::Config;
use crate::output_limits;
use crate::server::Server;
use failover::Failover;
use history::History;
use link::{Address, Link};
use log::{Kept, Targets};
use parking_lot::Mutex;
use replicas::Replicas;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The state of replication.
#[derive(Debug, Default)]
pub struct Replication {
    /// What the data's history is called.
    pub history: Mutex<History>,
    /// Our replicas.
    pub replicas: Replicas,
    /// The next snapshot for replicas must be in the newest version.
    pub needs_new_rdb: AtomicBool,
    /// The way to our primary.
    pub link: Link,
    /// The failover that is under way.
    pub failover: Failover,
    /// What the snapshot that was loaded last tells.
    pub loaded: Mutex<Position>,
    /// When replicas were pinged last: Unix milliseconds.
    pinged_ms: AtomicI64,
}

/// Where in a stream a snapshot was made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name of the history; empty: it does not tell.
    pub replid: String,
    /// The offset.
    pub offset: Option<u64>,
    /// The database that the stream had selected there.
    pub db: usize,
}

impl Replication {
    /// Goes on, at the start of the server, where the snapshot was made whose beginning has been
    /// read: as a replica with the stream itself, as a primary with a new one that those can go on
    /// with who have got as far.
    pub fn go_on_from_loaded(&self, server: &Server, config: &Config) {
        let Position { replid, offset, db } = self.loaded.lock().clone();
        let Some(offset) = offset.filter(|_| replid.len() == history::REPLID_LEN) else { return };
        let mut history = self.history.lock();
        history.renew();
        history.replid = replid;
        if config.replicaof.is_none() {
            history.branch(offset);
        }
        drop(history);
        server.log.restart_stream(offset, db, kept(config));
        self.replicas.none_since_ms.store(server.clock.unix_ms(), Ordering::Relaxed);
        server.note_log_readers();
    }

    /// Has the stream collected from now on. The keyspace is held. Returns the stream's end.
    pub fn open_stream(&self, server: &Server, config: &Config) -> u64 {
        if server.log.backlog().is_none() {
            // Compat: what was before the backlog nobody can go on with.
            let mut history = self.history.lock();
            history.renew();
            tracing::info!(
                "Replication backlog created, my new replication IDs are '{}' and '{}'",
                history.replid,
                history.replid2
            );
        }
        self.replicas.none_since_ms.store(server.clock.unix_ms(), Ordering::Relaxed);
        let end = server.log.open_stream(kept(config));
        server.note_log_readers();
        end
    }

    /// Forgets the stream, when no replica has been there for long.
    pub fn close_stream(&self, server: &Server) {
        let mut pass = server.keyspace.enter(server.cron_worker());
        let _locked = pass.lock_all();
        if self.replicas.is_empty() {
            server.log.close_stream();
            server.note_log_readers();
            self.history.lock().renew();
        }
    }

    /// Has replicas tell at once how far they are. It may have come meanwhile, too.
    pub fn ask_for_acks(&self, server: &Server) {
        let words = [&b"REPLCONF"[..], b"GETACK", b"*"];
        server.log.append(Targets::REPLICAS, None, words.into_iter());
        self.replicas.serve_waiting(server);
    }

    /// Makes this server a replica of another one, or a primary. The keyspace is held.
    pub fn follow(&self, server: &Server, config: &Config, primary: Option<Address>) {
        let is_replica = primary.is_some();
        let was_replica = server.conditions.is_replica();
        if is_replica || server.log.backlog().is_some() {
            self.open_stream(server, config);
        }
        if was_replica && !is_replica {
            // Whoever has followed the same primary can go on with us.
            self.history.lock().branch(server.log.ends().replicas);
        }
        server.log.hand_on(is_replica);
        self.link.follow(server, primary);
        server.active_expire.own.clear();
        if is_replica && !was_replica {
            unblock_clients(server);
        }
        if !is_replica {
            // They must learn the new name of the history. Whoever follows a replica stays: it goes on
            // with its stream, unless it needs a snapshot.
            self.replicas.disconnect(server);
        }
    }

    /// The same for good: CONFIG REWRITE will say so. The keyspace is held.
    pub fn follow_from_now_on(&self, server: &Server, primary: Option<Address>) {
        let _change = server.config.begin_change();
        let mut config = (*server.config.get()).clone();
        self.follow(server, &config, primary.clone());
        config.replicaof = primary.map(|at| (at.host, at.port));
        server.config.publish(config);
    }

    /// Tells, for a snapshot of the keyspace as it is held now, where in the stream that is.
    pub fn describe(&self, server: &Server, mut tell: impl FnMut(&str, &str)) {
        let Some((end, db)) = server.log.stream_end() else { return };
        tell("repl-stream-db", &db.to_string());
        tell("repl-id", &self.history.lock().replid);
        tell("repl-offset", &end.to_string());
    }

    /// Whether it is time for something that is due every `period_s` seconds.
    fn is_ping_due(&self, period_s: i64, now_ms: i64) -> bool {
        let pinged_ms = self.pinged_ms.load(Ordering::Relaxed);
        let is_due = now_ms - pinged_ms >= period_s * 1000;
        if is_due {
            self.pinged_ms.store(now_ms, Ordering::Relaxed);
        }
        // The time begins with the first replica.
        is_due && pinged_ms != 0
    }
}

/// How much of the stream is kept.
pub fn kept(config: &Config) -> Kept {
    Kept {
        in_any_case: u64::try_from(config.repl_backlog_size).unwrap_or(0),
        lag_max: output_limits::replica_lag_max(config),
    }
}

/// Ends the waits of clients for what only a primary brings.
fn unblock_clients(server: &Server) {
    server.clients.for_each(|client| {
        let is_meant = |kind| matches!(kind, WaitKind::Keys | WaitKind::Replicas);
        if client.end_wait(is_meant) {
            client.post(|mail| mail.unblock = Some(Unblock::RoleChanged));
        }
    });
}

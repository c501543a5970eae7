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
//! - [`cron`]: pings, time-outs.

pub mod backlog;
pub mod cron;
pub mod full_sync;
pub mod history;
pub mod log;
pub mod replicas;
pub mod sender;
pub mod spool;
pub mod unit;

use crate::config::Config;
use crate::server::Server;
use crate::server::interest::Interest;
use history::History;
use log::Targets;
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
    /// When replicas were pinged last: Unix milliseconds.
    pinged_ms: AtomicI64,
}

impl Replication {
    /// Has the stream collected from now on. The keyspace is held. Returns the stream's end.
    pub fn open_stream(&self, server: &Server, config: &Config) -> u64 {
        let bytes_kept = u64::try_from(config.repl_backlog_size).unwrap_or(0);
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
        let end = server.log.open_stream(bytes_kept);
        server.interests.set(Interest::PROPAGATION, true);
        end
    }

    /// Forgets the stream, when no replica has been there for long.
    pub fn close_stream(&self, server: &Server) {
        let mut pass = server.keyspace.enter(server.cron_worker());
        let _locked = pass.lock_all();
        if self.replicas.is_empty() {
            server.log.close_stream();
            server.interests.set(Interest::PROPAGATION, server.log.is_wanted());
            self.history.lock().renew();
        }
    }

    /// Has replicas tell at once how far they are. It may have come meanwhile, too.
    pub fn ask_for_acks(&self, server: &Server) {
        let words = [&b"REPLCONF"[..], b"GETACK", b"*"];
        server.log.append(Targets::REPLICAS, None, words.into_iter());
        self.replicas.serve_waiting();
    }

    /// Whether it is time for something that is due every `period_s` seconds.
    fn is_ping_due(&self, period_s: i64, now_ms: i64) -> bool {
        let is_due = now_ms - self.pinged_ms.load(Ordering::Relaxed) >= period_s * 1000;
        if is_due {
            self.pinged_ms.store(now_ms, Ordering::Relaxed);
        }
        is_due
    }
}

//! Snapshots for replicas: when one begins, and in which version of the format.
//!
//! The replicas that wait get the same snapshot. At the instant when it begins, the keyspace is held:
//! what is in the snapshot and what the stream brings from then on fit together.
//!
//! It goes through a file without a name in any case ([`Spool`]): `repl-diskless-sync` decides only
//! whether replicas get it while it is made, or when it is complete. A replica that reads slowly thus
//! never holds up a command, and costs no memory.

use super::replicas::{Replica, Stage};
use super::spool::Spool;
use crate::config::Config;
use crate::persistence::form::Form;
use crate::persistence::rdb::VERSION;
use crate::persistence::rdb::encode::Encoder;
use crate::persistence::snapshot::{self, Destination, Purpose};
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The version that Redis 7.0 reads.
const VERSION_OF_7_0: u16 = 10;

/// Begins a snapshot if replicas wait for one and there is no reason to wait further.
pub fn begin_if_due(server: &Server) {
    if server.replication.replicas.is_empty() {
        return;
    }
    let config = server.config.get();
    let replicas = server.replication.replicas.all();
    let waiting: Vec<_> =
        replicas.into_iter().filter(|replica| waits_since(replica).is_some()).collect();
    let Some(since_ms) = waiting.iter().filter_map(waits_since).min() else {
        return;
    };
    // Those that want something else are next.
    let filter = waiting[0].introduction.filter;
    let waiting: Vec<_> =
        waiting.into_iter().filter(|replica| replica.introduction.filter == filter).collect();
    let waited_s = (server.clock.unix_ms() - since_ms) / 1000;
    let n_enough = usize::try_from(config.repl_diskless_sync_max_replicas).unwrap_or(0);
    let takes_file = |replica: &Arc<Replica>| !replica.introduction.knows_eof;
    let is_due = !config.repl_diskless_sync
        || waiting.iter().any(takes_file)
        || waited_s >= config.repl_diskless_sync_delay
        || (n_enough > 0 && waiting.len() >= n_enough);
    if is_due && server.persistence.current.lock().is_none() {
        begin(server, &config, &waiting);
    }
}

fn waits_since(replica: &Arc<Replica>) -> Option<i64> {
    match replica.stage() {
        Stage::Waiting(since_ms) => Some(since_ms),
        Stage::Snapshot(..) | Stage::Online(_) | Stage::Served => None,
    }
}

fn begin(server: &Server, config: &Arc<Config>, waiting: &[Arc<Replica>]) {
    let target = if config.repl_diskless_sync { "replicas sockets" } else { "disk" };
    tracing::info!("Starting BGSAVE for SYNC with target: {target}");
    let spool = Spool::new();
    let mut pass = server.keyspace.enter(server.cron_worker());
    let mut locked = pass.lock_all();
    let mut encoder = Encoder::new(server, config);
    encoder.version = version_for(server, config, waiting);
    encoder.filter = waiting[0].introduction.filter;
    // The snapshot tells where in the stream it is.
    let end = server.replication.open_stream(server, config);
    let destination = Destination::Replicas(spool.clone());
    let Ok(job) = snapshot::begin_for(server, config, &mut locked, destination, Form::Rdb(encoder))
    else {
        return;
    };
    for replica in waiting {
        if let Some(reader) = server.log.reader_at(&replica.client, end) {
            replica.set_stage(Stage::Snapshot(spool.clone(), reader));
        }
    }
    drop(locked);
    tracing::info!("Background RDB transfer started by pid {}", std::process::id());
    snapshot::leave_to_background(server, job);
}

/// The version that all of the replicas can read and that can hold the data. Redis does not tell
/// which versions it reads; what 7.0 reads, all do.
fn version_for(server: &Server, config: &Config, waiting: &[Arc<Replica>]) -> u16 {
    if config.repl_rdb_version > 0 {
        return u16::try_from(config.repl_rdb_version).expect("in the parameter's range");
    }
    let all_read_newest = waiting.iter().all(|replica| replica.introduction.reads_rdb_12);
    let n_databases = server.keyspace.n_databases();
    let has_subexpires = (0..n_databases).any(|db| server.keyspace.size(db).n_subexpires > 0);
    let needs_newest = server.replication.needs_new_rdb.load(Ordering::Relaxed);
    if all_read_newest || has_subexpires || needs_newest { VERSION } else { VERSION_OF_7_0 }
}

/// Ends the snapshot that is made for replicas if none of them is there any more.
pub fn end_if_unwanted(server: &Server) {
    let replicas = server.replication.replicas.all();
    let is_wanted = replicas.iter().any(|replica| matches!(replica.stage(), Stage::Snapshot(..)));
    if !is_wanted && server.persistence.abort(Purpose::Sync) {
        tracing::info!("Diskless rdb transfer, last replica dropped, killing fork child.");
    }
}

/// A snapshot for replicas has ended. If it has failed, they will come back: then the newest version
/// is tried, in case the data was what could not be written.
pub fn note_ended(server: &Server, is_complete: bool, is_aborted: bool) {
    if is_aborted {
        return;
    }
    if is_complete {
        tracing::info!("Background RDB transfer terminated with success");
    } else {
        tracing::warn!("Background transfer error");
    }
    server.replication.needs_new_rdb.store(!is_complete, Ordering::Relaxed);
}

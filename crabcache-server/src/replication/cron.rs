//! What replication does at regular times: pings, time-outs, snapshots that are due.

use super::log::Targets;
use super::replicas::{Replica, Stage};
use super::{full_sync, kept};
use crate::config::Config;
use crate::output_limits;
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One tick.
pub fn tick(server: &Server) {
    let (config, now_ms) = (server.config.get(), server.clock.unix_ms());
    let replication = &server.replication;
    // What a slow replica has got by now need not be kept any more.
    server.log.keep(kept(&config));
    if replication.replicas.is_empty() {
        replication.replicas.count_good(server, &config, now_ms);
        return close_if_due(server, &config, now_ms);
    }
    // Replicas must come to the end of the stream.
    if !server.conditions.are_writes_held()
        && replication.is_ping_due(config.repl_ping_replica_period, now_ms)
    {
        let _pass = server.keyspace.enter(server.cron_worker());
        // Replicas must not have more than the last snapshot: they could not go on with it.
        if !server.conditions.is_ending() {
            server.log.append(Targets::REPLICAS, None, [&b"PING"[..]].into_iter());
        }
    }
    for replica in replication.replicas.all() {
        check(server, &config, &replica, now_ms);
    }
    server.log.trim();
    replication.replicas.count_good(server, &config, now_ms);
    full_sync::begin_if_due(server);
}

/// Forgets the stream if no replica has come back for it.
fn close_if_due(server: &Server, config: &Config, now_ms: i64) {
    let replication = &server.replication;
    let gone_s = (now_ms - replication.replicas.none_since_ms.load(Ordering::Relaxed)) / 1000;
    let is_kept = config.repl_backlog_ttl == 0 || gone_s <= config.repl_backlog_ttl;
    if !is_kept && !server.conditions.is_replica() && server.log.backlog().is_some() {
        tracing::info!(
            "Replication backlog freed after {} seconds without connected replicas.",
            config.repl_backlog_ttl
        );
        replication.close_stream(server);
    }
}

/// Cuts a replica that is silent or does not take what is sent to it.
fn check(server: &Server, config: &Config, replica: &Arc<Replica>, now_ms: i64) {
    let is_silent = matches!(replica.stage(), Stage::Online(_))
        && !replica.introduction.expects_no_header
        && replica.acked_ms.load(Ordering::Relaxed) > 0
        && replica.lag_s(now_ms) > config.repl_timeout;
    if is_silent {
        tracing::warn!("Disconnecting timedout replica (streaming sync): {}", replica.name());
        return server.clients.kill(server, &replica.client);
    }
    // The connection of one that is cut ends itself.
    let Some(reader) = replica.reader().filter(|reader| !reader.is_cut()) else { return };
    let lag = server.log.lag(&reader);
    replica.client.output_bytes.store(lag, Ordering::Relaxed);
    output_limits::enforce(server, config, &replica.client, lag, now_ms);
}

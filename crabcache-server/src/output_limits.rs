//! `client-output-buffer-limit`: cutting clients that do not take what is sent to them.
//!
//! The limits are by class. Above the hard limit a client is cut at once, above the soft limit when
//! it has been there for a while. A client that has not authenticated may have hardly anything.
//!
//! What a replica has not read yet is in the replication log, which lets go of it by itself when the
//! hard limit is reached.

use crate::acl::Users;
use crate::client::{ClientFlags, ClientHandle, ClientType, Running, describe};
use crate::config::{Config, OutputLimit};
use crate::server::Server;
use std::sync::atomic::Ordering;

/// What may wait for a client that has not authenticated: it must not fill the server's memory by
/// not reading its errors (CVE-2025-21605).
pub const UNAUTHENTICATED_BYTES_MAX: usize = 16 * 1024;

/// Cuts `client`, for which `n_bytes` wait to be sent, if that is more than it may have. Whether
/// it did.
pub fn enforce(
    server: &Server,
    config: &Config,
    client: &ClientHandle,
    n_bytes: usize,
    now_ms: i64,
) -> bool {
    let is_cut = needs_auth(&server.users, client) && n_bytes > UNAUTHENTICATED_BYTES_MAX
        || exceeds(limit_of(config, client), client, n_bytes, now_ms);
    if is_cut {
        cut(server, client);
    }
    is_cut
}

/// Cuts a client for which too much waits.
pub fn cut(server: &Server, client: &ClientHandle) {
    tracing::warn!(
        "Client {} closed for overcoming of output buffer limits.",
        describe(server, client, Running::default())
    );
    server.stats.client_output_buffer_limit_disconnections.fetch_add(1, Ordering::Relaxed);
    server.clients.kill(server, client);
}

/// How far a replica may not be behind.
pub fn replica_lag_max(config: &Config) -> Option<u64> {
    match replica_limit(config).hard_bytes {
        0 => None,
        bytes => Some(bytes),
    }
}

fn needs_auth(users: &Users, client: &ClientHandle) -> bool {
    client.flags().contains(ClientFlags::NEEDS_AUTH) && !users.default_user().is_open()
}

fn limit_of(config: &Config, client: &ClientHandle) -> OutputLimit {
    let limits = &config.client_output_buffer_limit;
    match client.client_type() {
        // What a monitor gets does not depend on what it asks for. So if requests and replies are
        // not limited, it is treated as a subscriber. Compat: the reference would let its output
        // grow until memory is out.
        ClientType::Normal
            if client.flags().contains(ClientFlags::MONITOR)
                && limits.normal.hard_bytes == 0
                && limits.normal.soft_bytes == 0 =>
        {
            limits.pubsub
        }
        ClientType::Normal | ClientType::Master => limits.normal,
        ClientType::Replica => replica_limit(config),
        ClientType::Pubsub => limits.pubsub,
    }
}

fn replica_limit(config: &Config) -> OutputLimit {
    beyond_backlog(config.client_output_buffer_limit.replica, config.repl_backlog_size)
}

/// A replica's limit: what the backlog keeps in any case costs nothing more, and a replica that were
/// cut for it would come back for the same again and again.
fn beyond_backlog(limit: OutputLimit, backlog_bytes: i64) -> OutputLimit {
    let least = u64::try_from(backlog_bytes).unwrap_or(0) + 1;
    let raised = |bytes: u64| if bytes == 0 { 0 } else { bytes.max(least) };
    OutputLimit {
        hard_bytes: raised(limit.hard_bytes),
        soft_bytes: raised(limit.soft_bytes),
        ..limit
    }
}

/// Whether `n_bytes` are too many, and remembers since when the soft limit is exceeded.
fn exceeds(limit: OutputLimit, client: &ClientHandle, n_bytes: usize, now_ms: i64) -> bool {
    let is_above = |limit_bytes: u64| limit_bytes > 0 && n_bytes as u64 >= limit_bytes;
    let since_ms = client.output_soft_since_ms.load(Ordering::Relaxed);
    if !is_above(limit.soft_bytes) {
        if since_ms != 0 {
            client.output_soft_since_ms.store(0, Ordering::Relaxed);
        }
    } else if since_ms == 0 {
        client.output_soft_since_ms.store(now_ms, Ordering::Relaxed);
    } else if now_ms / 1000 - since_ms / 1000 > limit.soft_seconds {
        return true;
    }
    is_above(limit.hard_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Peer;
    use std::sync::Arc;

    #[test]
    fn the_backlog_is_a_replicas_in_any_case() {
        let limit =
            |hard_bytes, soft_bytes| OutputLimit { hard_bytes, soft_bytes, soft_seconds: 5 };
        assert_eq!(beyond_backlog(limit(500, 0), 1000), limit(1001, 0));
        assert_eq!(beyond_backlog(limit(5000, 100), 1000), limit(5000, 1001));
    }

    #[test]
    fn the_hard_limit_cuts_at_once_the_soft_one_after_a_while() {
        let client = ClientHandle::new(1, Peer::default(), 0, Arc::default(), 0);
        let exceeds = |limit: (u64, u64, i64), n_bytes, now_ms| {
            let (hard_bytes, soft_bytes, soft_seconds) = limit;
            let limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
            super::exceeds(limit, &client, n_bytes, now_ms)
        };
        assert!(!exceeds((0, 0, 0), usize::MAX >> 1, 1000));
        assert!(!exceeds((100, 0, 0), 99, 1000) && exceeds((100, 0, 0), 100, 1000));
        let soft = (0, 100, 2);
        assert!(!exceeds(soft, 100, 1000) && !exceeds(soft, 200, 3000));
        assert!(exceeds(soft, 100, 4000));
        // Having been below for a moment counts anew.
        assert!(!exceeds(soft, 99, 4500) && !exceeds(soft, 100, 5000) && !exceeds(soft, 100, 7900));
        assert!(exceeds(soft, 100, 8000));
    }
}

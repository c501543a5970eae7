//! `maxmemory-clients`: when all clients together take more memory than they may, the largest go.
//!
//! Looked at by the cron, and by a connection whose own buffers have grown, so that nobody fills
//! the memory between two ticks.

use crate::client::{ClientFlags, ClientHandle, ClientType, Running, describe, mem_bytes};
use crate::config::Config;
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The limit is never below that, so that it can be lifted again.
const LIMIT_BYTES_MIN: usize = 128 * 1024;

/// What all clients may take together; `None`: as much as they like.
fn limit_bytes(config: &Config) -> Option<usize> {
    let bytes = match (config.maxmemory_clients, config.maxmemory) {
        (0, _) | (..0, 0) => return None,
        (percent @ ..0, maxmemory) => maxmemory / 100 * -percent + maxmemory % 100 * -percent / 100,
        (bytes, _) => bytes,
    };
    Some(usize::try_from(bytes).unwrap_or(usize::MAX).max(LIMIT_BYTES_MIN))
}

/// Cuts the largest clients until the others are within the limit. O(clients)
pub fn enforce(server: &Server, config: &Config) {
    let Some(limit_bytes) = limit_bytes(config) else { return };
    let mut total_bytes = 0;
    let mut evictable: Vec<(usize, Arc<ClientHandle>)> = Vec::new();
    server.clients.for_each(|client| {
        let n_bytes = mem_bytes(client);
        if matches!(client.client_type(), ClientType::Normal | ClientType::Pubsub)
            && !client.flags().contains(ClientFlags::MONITOR)
        {
            total_bytes += n_bytes;
            if !client.flags().contains(ClientFlags::NO_EVICT) {
                evictable.push((n_bytes, client.clone()));
            }
        }
    });
    if total_bytes < limit_bytes {
        return;
    }
    evictable.sort_by_key(|(n_bytes, _)| *n_bytes);
    while total_bytes >= limit_bytes
        && let Some((n_bytes, client)) = evictable.pop()
    {
        tracing::info!("Evicting client: {}", describe(server, &client, Running::default()));
        server.stats.evicted_clients.fetch_add(1, Ordering::Relaxed);
        server.clients.kill(server, &client);
        total_bytes -= n_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn the_largest_go_first_and_some_never() {
        let t = TestServer::with_config(&[("maxmemory-clients", "1mb")]);
        let (large, larger, mut exempt, small) = (t.client(), t.client(), t.client(), t.client());
        exempt.client.set_flag(ClientFlags::NO_EVICT, true);
        let takes = |handle: &ClientHandle, kb: usize| {
            handle.input_bytes.store(kb << 10, Ordering::Relaxed)
        };
        takes(&large.client.handle, 300);
        takes(&larger.client.handle, 400);
        takes(&exempt.client.handle, 500);
        let config = t.server.config.get();
        enforce(&t.server, &config);
        let is_gone = [&large, &larger, &exempt, &small].map(|test| test.client.handle.is_killed());
        assert_eq!(is_gone, [false, true, false, false]);
        assert_eq!(t.server.stats.evicted_clients.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_lower_limit_holds_at_once() {
        let mut t = TestServer::new();
        let large = t.client();
        large.client.handle.input_bytes.store(300 << 10, Ordering::Relaxed);
        t.check("CONFIG SET maxmemory-clients 1mb", "+OK");
        assert!(!large.client.handle.is_killed());
        t.check("CONFIG SET maxmemory-clients 200kb", "+OK");
        assert!(large.client.handle.is_killed());
    }

    #[test]
    fn the_limit_may_be_a_part_of_maxmemory() {
        let limit = |clients: &str, maxmemory: &str| {
            let t = TestServer::with_config(&[
                ("maxmemory", maxmemory),
                ("maxmemory-clients", clients),
            ]);
            limit_bytes(&t.server.config.get())
        };
        assert_eq!(limit("0", "100mb"), None);
        assert_eq!(limit("7%", "0"), None);
        assert_eq!(limit("7%", "100000000"), Some(7_000_000));
        assert_eq!(limit("5%", "1000"), Some(LIMIT_BYTES_MIN));
        assert_eq!(limit("1gb", "0"), Some(1 << 30));
    }
}

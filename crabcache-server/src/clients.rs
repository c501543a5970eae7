//! The registry of all connected clients.

use crate::acl::User;
use crate::client::{ClientFlags, ClientHandle, Peer};
use crate::config::Config;
use crate::output_limits;
use crate::server::Server;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All clients, by id, which is also the order of their connecting.
#[derive(Debug, Default)]
pub struct Clients {
    next_id: AtomicU64,
    n_clients: AtomicUsize,
    by_id: Mutex<BTreeMap<u64, Arc<ClientHandle>>>,
    /// Where the cron's round stands: the last client it looked at.
    checked_id: AtomicU64,
}

impl Clients {
    /// Registers a client that connected and is given to `worker`.
    pub fn add(
        &self,
        peer: Peer,
        worker: usize,
        user: Arc<User>,
        now_ms: i64,
    ) -> Arc<ClientHandle> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let handle = Arc::new(ClientHandle::new(id, peer, worker, user, now_ms));
        self.by_id.lock().insert(id, handle.clone());
        self.n_clients.fetch_add(1, Ordering::Relaxed);
        handle
    }

    /// Forgets a client that has gone.
    pub fn remove(&self, id: u64) {
        if self.by_id.lock().remove(&id).is_some() {
            self.n_clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends a connection. From now on the client is neither listed nor counted nor does it wait for
    /// anything, nor gets it messages, whenever its worker gets to closing the socket.
    pub fn kill(&self, server: &Server, client: &ClientHandle) {
        self.remove(client.id);
        // Who ends the wait does not matter: there is no reply.
        let _ = client.end_wait(|_| true);
        client.kill();
        if client.flags().contains(ClientFlags::PRIMARY) {
            server.replication.link.cut(server.clock.unix_ms());
        }
        server.pubsub.forget(client);
        server.tracking.forget(server, client);
    }

    /// Number of clients.
    pub fn len(&self) -> usize {
        self.n_clients.load(Ordering::Relaxed)
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client with this id.
    pub fn get(&self, id: u64) -> Option<Arc<ClientHandle>> {
        self.by_id.lock().get(&id).cloned()
    }

    /// All clients, oldest first.
    pub fn all(&self) -> Vec<Arc<ClientHandle>> {
        self.by_id.lock().values().cloned().collect()
    }

    /// Calls `visit` with each client, oldest first. Nobody can connect or go meanwhile.
    pub fn for_each(&self, visit: impl FnMut(&Arc<ClientHandle>)) {
        self.by_id.lock().values().for_each(visit);
    }

    /// Has all connections look at what has changed.
    pub fn wake_all(&self) {
        self.for_each(|client| client.wake());
    }

    /// Looks after the next clients, so many that each has its turn about once a second.
    pub fn check_some(&self, server: &Server, config: &Config) {
        const N_CLIENTS_MIN: usize = 5;
        let n_clients = (self.len() / config.hz.max(1) as usize).max(N_CLIENTS_MIN);
        let now_ms = server.clock.unix_ms();
        for client in self.next_to_check(n_clients.min(self.len())) {
            check(server, config, &client, now_ms);
        }
    }

    fn next_to_check(&self, n_clients: usize) -> Vec<Arc<ClientHandle>> {
        let checked_id = self.checked_id.load(Ordering::Relaxed);
        let by_id = self.by_id.lock();
        let rest = by_id.range((Bound::Excluded(checked_id), Bound::Unbounded));
        let found: Vec<Arc<ClientHandle>> =
            rest.chain(by_id.iter()).take(n_clients).map(|(_, client)| client.clone()).collect();
        if let Some(last) = found.last() {
            self.checked_id.store(last.id, Ordering::Relaxed);
        }
        found
    }
}

/// Clients that may be silent.
const NEVER_IDLE: ClientFlags = ClientFlags::MONITOR
    .union(ClientFlags::BLOCKED)
    .union(ClientFlags::PUBSUB)
    .union(ClientFlags::REPLICA)
    .union(ClientFlags::PRIMARY);

/// Cuts a client that has been idle for too long or does not take its output.
fn check(server: &Server, config: &Config, client: &ClientHandle, now_ms: i64) {
    let is_exempt = client.flags().intersects(NEVER_IDLE);
    let idle_s = now_ms / 1000 - client.active_ms() / 1000;
    if config.timeout > 0 && !is_exempt && idle_s > config.timeout {
        tracing::debug!("Closing idle client");
        server.clients.kill(server, client);
        return;
    }
    let n_bytes = client.output_bytes.load(Ordering::Relaxed);
    if n_bytes > 0 {
        output_limits::enforce(server, config, client, n_bytes, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn killed_clients_are_neither_listed_nor_counted() {
        let t = TestServer::new();
        let client = t.client();
        let clients = &t.server.clients;
        assert_eq!(clients.len(), 2);
        clients.kill(&t.server, &client.client.handle);
        assert_eq!((clients.len(), clients.all().len()), (1, 1));
        assert!(client.client.handle.is_killed());
        clients.remove(client.client.handle.id);
        assert_eq!(clients.len(), 1);
    }

    #[test]
    fn each_client_has_its_turn() {
        let t = TestServer::new();
        let others: Vec<_> = (0..6).map(|_| t.client()).collect();
        let clients = &t.server.clients;
        let ids =
            |n| -> Vec<u64> { clients.next_to_check(n).iter().map(|client| client.id).collect() };
        assert_eq!((ids(5), ids(5)), (vec![1, 2, 3, 4, 5], vec![6, 7, 1, 2, 3]));
        drop(others);
    }

    #[test]
    fn idle_clients_are_cut() {
        let t = TestServer::with_config(&[("timeout", "10")]);
        let config = t.server.config.get();
        let (idle, mut blocked) = (t.client(), t.client());
        blocked.client.set_flag(ClientFlags::BLOCKED, true);
        t.server.clients.check_some(&t.server, &config);
        assert_eq!(t.server.clients.len(), 3);
        t.advance_ms(12_000);
        t.server.clients.check_some(&t.server, &config);
        assert!(idle.client.handle.is_killed() && !blocked.client.handle.is_killed());
    }
}

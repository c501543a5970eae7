//! The registry of all connected clients.

use crate::client::{ClientHandle, Peer};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All clients, by id, which is also the order of their connecting.
#[derive(Debug, Default)]
pub struct Clients {
    next_id: AtomicU64,
    n_clients: AtomicUsize,
    by_id: Mutex<BTreeMap<u64, Arc<ClientHandle>>>,
}

impl Clients {
    /// Registers a client that connected to `worker`.
    pub fn add(&self, peer: Peer, worker: usize, now_ms: i64) -> Arc<ClientHandle> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let handle = Arc::new(ClientHandle::new(id, peer, worker, now_ms));
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

    /// Wakes all connections.
    pub fn wake_all(&self) {
        self.all().iter().for_each(|client| client.wake());
    }
}

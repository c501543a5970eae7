//! The section about clients, and what others need to know of all clients together.

use super::Fields;
use crate::client::ClientType;
use crate::client::mem_bytes;
use crate::server::Server;
use std::sync::atomic::Ordering;

/// All clients together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) n_clients: usize,
    /// By worker.
    pub(crate) n_by_worker: Vec<usize>,
    /// The largest buffers.
    pub(crate) input_bytes_max: usize,
    pub(crate) output_bytes_max: usize,
    /// Memory of all of them but replicas.
    pub(crate) bytes: usize,
}

impl Totals {
    /// Adds up. O(clients)
    pub(crate) fn of(server: &Server) -> Totals {
        let mut totals = Totals { n_by_worker: vec![0; server.n_workers], ..Totals::default() };
        for client in server.clients.all() {
            let load = |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed);
            let input_bytes = load(&client.input_bytes) + load(&client.input_free_bytes);
            let output_bytes = load(&client.output_bytes);
            if client.client_type() != ClientType::Replica {
                totals.n_clients += 1;
                // What waits for replicas is the log's.
                totals.bytes += mem_bytes(&client);
            }
            // The client that is our primary has a thread of its own.
            if let Some(n_clients) = totals.n_by_worker.get_mut(client.worker()) {
                *n_clients += 1;
            }
            totals.input_bytes_max = totals.input_bytes_max.max(input_bytes);
            totals.output_bytes_max = totals.output_bytes_max.max(output_bytes);
        }
        totals
    }
}

pub(super) fn clients(fields: &mut Fields) {
    let server = fields.server;
    let totals = Totals::of(server);
    fields.add("connected_clients", totals.n_clients);
    fields.add("cluster_connections", 0);
    fields.add("maxclients", fields.config.maxclients);
    fields.add("client_recent_max_input_buffer", totals.input_bytes_max);
    fields.add("client_recent_max_output_buffer", totals.output_bytes_max);
    fields.add("blocked_clients", server.blocking.n_blocked());
    fields.add("tracking_clients", server.tracking.n_clients());
    fields.add("pubsub_clients", server.pubsub.n_clients());
    fields.add("watching_clients", server.interests.n_watching());
    fields.add("clients_in_timeout_table", 0);
    fields.add("total_watched_keys", server.keyspace.n_watched_keys());
    fields.add("total_blocking_keys", server.keyspace.n_waited_keys());
    fields.add("total_blocking_keys_on_nokey", server.keyspace.n_waited_keys_even_if_gone());
}

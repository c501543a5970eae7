//! What all connections of a worker share: the pipelines, the buffers, who they are, and the outbox.
//!
//! It is here that one connection, or a task of the worker, gets at others: to send what was delivered to
//! them or was kept, and to have them served while a script keeps the thread. What is done for each is the
//! connection's own (`turn.rs`, `output.rs`). Other threads have no part in this: they put something into a
//! client's mail and wake its connection.
//!
//! Invariant: nothing here owns a connection. One that cannot be borrowed is the one on whose stack this
//! happens: it is passed over, and goes on by itself.

use super::Connection;
use super::buffers::Buffers;
use crate::client::ClientHandle;
use crate::command::pipeline::Pipeline;
use crate::net::crew::Crew;
use crate::net::replica::Replicas;
use crate::net::spin::Spin;
use crate::server::Server;
use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::rc::Weak;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Connections whose replies wait for each other: the first ones' clients should not wait for long.
const OUTBOX_LEN_MAX: usize = 32;

/// What all connections of a worker share.
pub(in crate::net) struct Shared {
    pub(super) server: Arc<Server>,
    pub(super) crew: Arc<Crew>,
    /// The worker's number.
    pub(super) worker: usize,
    pipeline: RefCell<Pipeline>,
    /// Serves while a script keeps the other pipeline.
    stand_in: RefCell<Pipeline>,
    pub(super) buffers: RefCell<Buffers>,
    /// The connections by their clients' ids.
    pub(super) connections: RefCell<HashMap<u64, Weak<RefCell<Connection>>>>,
    pub(super) replicas: Replicas,
    outbox: RefCell<Outbox>,
    pub(in crate::net) spin: Spin,
}

/// Connections whose replies go out when those that have something to do were served.
#[derive(Default)]
struct Outbox {
    connections: Vec<Weak<RefCell<Connection>>>,
    /// Wakes the task that sends them.
    sender: Option<Waker>,
}

impl Shared {
    /// For worker number `index` of a crew, without connections.
    pub(in crate::net) fn new(server: Arc<Server>, crew: Arc<Crew>, index: usize) -> Shared {
        Shared {
            pipeline: RefCell::new(Pipeline::new(server.clone(), index)),
            stand_in: RefCell::new(Pipeline::new(server.clone(), server.stand_in_worker())),
            buffers: RefCell::new(Buffers::new()),
            connections: RefCell::default(),
            replicas: Replicas::default(),
            outbox: RefCell::default(),
            spin: Spin::default(),
            worker: index,
            crew,
            server,
        }
    }

    /// The worker's pipeline, or the one that stands in while a script keeps that.
    pub(super) fn pipeline(&self) -> RefMut<'_, Pipeline> {
        self.pipeline.try_borrow_mut().unwrap_or_else(|_| self.stand_in.borrow_mut())
    }

    /// Sends what waits in the outbox, for ever. Woken by the first that comes into it, the task runs
    /// behind all that were ready then.
    pub(in crate::net) fn poll_outbox(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.borrow_mut().sender.get_or_insert_with(|| cx.waker().clone());
        self.empty_outbox();
        Poll::Pending
    }

    fn empty_outbox(&self) {
        let mut connections = std::mem::take(&mut self.outbox.borrow_mut().connections);
        for connection in connections.drain(..).filter_map(|connection| connection.upgrade()) {
            // Who is about to come into it anew cannot be borrowed.
            if let Ok(mut connection) = connection.try_borrow_mut() {
                connection.with_own_waker(Connection::send_posted);
            }
        }
        self.outbox.borrow_mut().connections = connections;
    }

    /// Puts a connection into the outbox, where it is not yet.
    pub(super) fn post(&self, connection: Weak<RefCell<Connection>>) {
        if self.outbox.borrow().connections.len() >= OUTBOX_LEN_MAX {
            self.empty_outbox();
        }
        let mut outbox = self.outbox.borrow_mut();
        outbox.connections.push(connection);
        if outbox.connections.len() == 1
            && let Some(sender) = &outbox.sender
        {
            sender.wake_by_ref();
        }
    }

    /// Sends what was delivered to a client of this worker.
    pub(in crate::net) fn deliver(&self, handle: &ClientHandle) {
        let connection = self.connections.borrow().get(&handle.id).and_then(Weak::upgrade);
        let is_sent = connection.is_some_and(|connection| {
            connection.try_borrow_mut().is_ok_and(|mut connection| connection.deliver())
        });
        if !is_sent {
            handle.wake();
        }
    }

    /// Serves the worker's connections on the stack of one of them, which runs a script that is over
    /// its time. Of other commands, only those run that are meant for that.
    pub(in crate::net) fn stand_in(&self) {
        let connections = self.connections.borrow();
        let connections: Vec<_> = connections.values().filter_map(Weak::upgrade).collect();
        for connection in connections {
            // The one that runs the script cannot be borrowed.
            if let Ok(mut connection) = connection.try_borrow_mut() {
                connection.stand_in();
            }
        }
        self.replicas.stand_in();
    }
}

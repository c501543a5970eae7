//! A worker: a thread with a Tokio runtime that serves the connections it is given.

use super::connection::{Connection, Shared, serve};
use super::stream::{RawStream, Stream};
use crate::client::{Client, ClientHandle};
use crate::scripting::running::set_stand_in;
use crate::server::Server;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

/// A connection that a worker is to serve.
pub(super) struct Accepted {
    pub(super) stream: RawStream,
    pub(super) handle: Arc<ClientHandle>,
    pub(super) needs_auth: bool,
}

/// A running worker, as the listener sees it.
pub struct Worker {
    index: usize,
    /// The way to the thread, and the thread; `None` when it was stopped.
    running: Mutex<Option<(UnboundedSender<Accepted>, JoinHandle<()>)>>,
    n_connections: Arc<AtomicUsize>,
}

impl Worker {
    /// Starts worker number `index`.
    ///
    /// # Errors
    /// If the thread or its runtime cannot be made.
    pub fn start(server: Arc<Server>, index: usize) -> io::Result<Worker> {
        let (queue, accepted) = unbounded_channel();
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counter = n_connections.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name(format!("worker {index}")).spawn(move || {
                let tasks = LocalSet::new();
                tasks.block_on(&runtime, work(server, index, accepted, counter));
            })?;
        Ok(Worker { index, running: Mutex::new(Some((queue, thread))), n_connections })
    }

    /// The worker's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Connections that the worker serves or is about to.
    pub fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::Relaxed)
    }

    /// Gives the worker a connection.
    pub(super) fn give(&self, accepted: Accepted) {
        let running = self.running.lock();
        // If it has stopped, the socket is closed.
        let Some((queue, _)) = &*running else { return };
        self.n_connections.fetch_add(1, Ordering::Relaxed);
        if queue.send(accepted).is_err() {
            self.n_connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends the worker: its connections are dropped.
    pub fn stop(&self) {
        let Some((queue, thread)) = self.running.lock().take() else { return };
        drop(queue);
        // A panic of the worker has been logged by its own thread.
        let _ = thread.join();
    }
}

/// The worker with the fewest connections, of those that no script holds up.
pub fn least_loaded<'w>(server: &Server, workers: &'w [Worker]) -> Option<&'w Worker> {
    let running = &server.scripting.running;
    workers
        .iter()
        .min_by_key(|worker| (running.is_overtime(worker.index()), worker.n_connections()))
}

/// A client is known to the server as long as this exists: also when its connection panics.
struct Registered {
    server: Arc<Server>,
    handle: Arc<ClientHandle>,
    n_connections: Arc<AtomicUsize>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.server.clients.remove(self.handle.id);
        self.n_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a worker has on its own thread.
struct Work {
    server: Arc<Server>,
    shared: Rc<Shared>,
    accepted: RefCell<UnboundedReceiver<Accepted>>,
    n_connections: Arc<AtomicUsize>,
}

/// Serves connections until the queue ends.
async fn work(
    server: Arc<Server>,
    index: usize,
    accepted: UnboundedReceiver<Accepted>,
    n_connections: Arc<AtomicUsize>,
) {
    let post = server.clone();
    tokio::task::spawn_local(poll_fn(move |cx| post.post.poll_round(index, cx)));
    let shared = Rc::new(Shared::new(server.clone(), index));
    let accepted = RefCell::new(accepted);
    let work = Rc::new(Work { server, shared, accepted, n_connections });
    let weak = Rc::downgrade(&work);
    set_stand_in(move || {
        if let Some(work) = weak.upgrade() {
            work.stand_in();
        }
    });
    while let Some(accepted) = poll_fn(|cx| work.accepted.borrow_mut().poll_recv(cx)).await {
        work.take_in(accepted);
    }
}

impl Work {
    /// Begins to serve a connection.
    fn take_in(&self, Accepted { stream, handle, needs_auth }: Accepted) {
        let registered = Registered {
            server: self.server.clone(),
            handle: handle.clone(),
            n_connections: self.n_connections.clone(),
        };
        let client = Client::new(handle, needs_auth);
        match stream.open() {
            Ok(Ok(stream)) => {
                let connection = Connection::new(&self.shared, stream, client);
                tokio::task::spawn_local(async move {
                    let _registered = registered;
                    serve(connection).await;
                });
            }
            Ok(Err(stream)) => {
                let shared = self.shared.clone();
                tokio::task::spawn_local(async move {
                    match stream.accept().await {
                        Ok(stream) => {
                            let stream = Stream::Tls(Box::new(stream));
                            serve(Connection::new(&shared, stream, client)).await;
                        }
                        Err(error) => registered.tell(&error),
                    }
                });
            }
            Err(error) => registered.tell(&error),
        }
    }

    /// Serves new and old connections while a script keeps the thread. TLS connections that have
    /// not shaken hands must wait.
    fn stand_in(&self) {
        loop {
            let accepted = self.accepted.borrow_mut().try_recv();
            let Ok(accepted) = accepted else { break };
            self.take_in(accepted);
        }
        self.shared.stand_in();
    }
}

impl Registered {
    /// Tells of a connection that does not come about.
    fn tell(&self, error: &io::Error) {
        let peer = &self.handle.peer;
        tracing::debug!(
            "Error accepting a client connection: {error} (addr={} laddr={})",
            peer.addr,
            peer.laddr
        );
    }
}

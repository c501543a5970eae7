//! A worker: a thread with a Tokio runtime that serves the connections it is given.

use super::connection::{Connection, Moved, Shared, serve};
use super::crew::{Accepted, Crew, Given};
use super::stream::Stream;
use crate::client::{Client, ClientHandle};
use crate::scripting::running::set_stand_in;
use crate::server::Server;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

/// Starts worker number `index` of a crew.
///
/// # Errors
/// If the thread or its runtime cannot be made.
pub(super) fn start(
    server: &Arc<Server>,
    crew: &Arc<Crew>,
    index: usize,
    queue: UnboundedReceiver<Given>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, crew) = (server.clone(), crew.clone());
    std::thread::Builder::new().name(format!("worker {index}")).spawn(move || {
        crew.note_thread(index, nix::unistd::gettid().as_raw());
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, work(server, crew, index, queue));
    })
}

/// A client is known to the server, and a connection to the crew, as long as this exists: also when
/// the connection panics.
struct Registered {
    server: Arc<Server>,
    crew: Arc<Crew>,
    worker: usize,
    handle: Arc<ClientHandle>,
    /// The client goes on with another worker.
    is_moving: bool,
}

impl Drop for Registered {
    fn drop(&mut self) {
        if !self.is_moving {
            self.server.clients.remove(self.handle.id);
        }
        self.crew.note_gone(self.worker);
    }
}

/// Has a task of this thread send what others leave for it, for ever. What they had allocated goes here.
fn spawn_sender(
    server: &Arc<Server>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<()> + 'static,
) {
    let server = server.clone();
    tokio::task::spawn_local(poll_fn(move |cx| {
        let polled = poll(cx);
        server.memory.used.note();
        polled
    }));
}

/// What a worker has on its own thread.
struct Work {
    server: Arc<Server>,
    crew: Arc<Crew>,
    index: usize,
    shared: Rc<Shared>,
    queue: RefCell<UnboundedReceiver<Given>>,
    is_ending: Cell<bool>,
}

/// Serves connections until it is told to end.
async fn work(server: Arc<Server>, crew: Arc<Crew>, index: usize, queue: UnboundedReceiver<Given>) {
    let shared = Rc::new(Shared::new(server.clone(), crew.clone(), index));
    let (here, sender) = (shared.clone(), server.clone());
    let deliver = move |handle: &Arc<ClientHandle>| here.deliver(handle);
    spawn_sender(&server, move |cx| sender.post.poll_round(index, cx, &deliver));
    let here = shared.clone();
    spawn_sender(&server, move |cx| here.poll_outbox(cx));
    let (here, of, all) = (shared.clone(), server.clone(), crew.clone());
    tokio::task::spawn_local(poll_fn(move |cx| here.spin.poll(cx, &of, &all, index)));
    let queue = RefCell::new(queue);
    let is_ending = Cell::new(false);
    let work = Rc::new(Work { server, crew, index, shared, queue, is_ending });
    let weak = Rc::downgrade(&work);
    set_stand_in(move || {
        if let Some(work) = weak.upgrade() {
            work.stand_in();
        }
    });
    while !work.is_ending.get() {
        let given = poll_fn(|cx| work.queue.borrow_mut().poll_recv(cx)).await;
        work.take(given.unwrap_or(Given::End));
    }
}

impl Work {
    fn register(&self, handle: Arc<ClientHandle>) -> Registered {
        let (server, crew) = (self.server.clone(), self.crew.clone());
        Registered { server, crew, worker: self.index, handle, is_moving: false }
    }

    fn take(&self, given: Given) {
        match given {
            Given::New(accepted) => self.take_in(accepted),
            Given::Moved(moved) => self.take_over(moved),
            Given::End => self.is_ending.set(true),
        }
    }

    /// Begins to serve a connection.
    fn take_in(&self, Accepted { stream, handle, needs_auth }: Accepted) {
        let registered = self.register(handle.clone());
        let client = Client::new(handle, needs_auth);
        match stream.open() {
            Ok(Ok(stream)) => self.serve(stream, client, registered),
            Ok(Err(stream)) => {
                let shared = self.shared.clone();
                tokio::task::spawn_local(async move {
                    match stream.accept().await {
                        Ok(stream) => {
                            let stream = Stream::Tls(Box::new(stream));
                            registered.serve(Connection::new(&shared, stream, client)).await;
                        }
                        Err(error) => registered.tell(&error),
                    }
                });
            }
            Err(error) => registered.tell(&error),
        }
    }

    /// Goes on serving a connection that another worker had.
    fn take_over(&self, Moved { stream, client, .. }: Moved) {
        let registered = self.register(client.handle.clone());
        client.handle.set_worker(self.index);
        match stream.open() {
            Ok(Ok(stream)) => self.serve(stream, client, registered),
            // TLS does not move.
            Ok(Err(_)) => {}
            Err(error) => registered.tell(&error),
        }
    }

    fn serve(&self, stream: Stream, client: Client, registered: Registered) {
        let connection = Connection::new(&self.shared, stream, client);
        tokio::task::spawn_local(registered.serve(connection));
    }

    /// Serves new and old connections while a script keeps the thread. TLS connections that have
    /// not shaken hands must wait.
    fn stand_in(&self) {
        loop {
            let given = self.queue.borrow_mut().try_recv();
            let Ok(given) = given else { break };
            self.take(given);
        }
        self.shared.stand_in();
    }
}

impl Registered {
    /// Serves a connection until it ends or goes to another worker.
    async fn serve(mut self, connection: Rc<RefCell<Connection>>) {
        if let Some(moved) = serve(connection).await {
            self.is_moving = true;
            self.crew.give(moved.to, Given::Moved(moved));
        }
    }

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

//! One connection: reads what has arrived, has the pipeline serve it, sends the replies.
//!
//! | part | what it has |
//! |---|---|
//! | this file | the state of a connection, how it begins and ends |
//! | [`turn`] | what it does next: the loop that serves |
//! | [`input`] | reading and serving requests |
//! | [`output`] | sending replies, or keeping them |
//! | [`buffers`] | what it reads into and writes from |
//! | [`shared`] | what it has in common with the others of its worker |
//!
//! It knows no command and parses nothing (`command/pipeline.rs`); which worker it belongs to, others
//! decide (`crew.rs`), and when it has become a replica's, others serve it (`replica.rs`).
//!
//! - While a client does not take its replies, its requests wait, but they are read on: a client
//!   that sends everything before it reads anything is served, without output piling up here.
//! - Requests that came before the end of the stream are executed, even if nobody will read the
//!   replies. A client that is blocked or paused when it goes has none.
//!
//! Invariant: a connection is its task's. All others refer to it weakly, and have it no longer than a call
//! takes, on the same thread: so the task can take it apart when it ends or moves.

mod buffers;
mod input;
mod output;
mod shared;
mod turn;

use super::replica::Steered;
use super::stream::{RawStream, Stream};
use crate::client::Client;
use crate::replication::sender;
use bytes::BytesMut;
pub(super) use shared::Shared;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use tokio::io::AsyncWrite;
use tokio::time::Sleep;

/// The end of a connection; why does not matter to anybody but the log.
struct Closed;

/// A connection that goes to another worker: it has nothing under way.
pub(super) struct Moved {
    pub(super) stream: RawStream,
    pub(super) client: Client,
    pub(super) to: usize,
}

/// See the module's text.
pub(super) struct Connection {
    /// Itself.
    me: Weak<RefCell<Connection>>,
    shared: Rc<Shared>,
    stream: Stream,
    client: Client,
    /// Input that has not been served: an unfinished request, or more while the client waits.
    input: BytesMut,
    /// At least so many bytes are missing to the next request.
    wanted: usize,
    /// Output that the socket has not taken.
    pending: BytesMut,
    /// It is in the worker's outbox: the socket was not asked yet.
    is_posted: bool,
    /// What is kept may leave when the append-only file is safe up to here.
    held_until: Option<u64>,
    /// The stream itself keeps some more (TLS).
    is_unflushed: bool,
    /// Runs out when the client's wait does.
    timer: Option<Pin<Box<Sleep>>>,
    /// Wakes this connection; known to the client's handle.
    waker: Option<Waker>,
    /// There may be requests in `input` that can be served without reading more.
    has_work: bool,
    /// The turn is over.
    yields: bool,
    /// The client will send no more.
    is_at_end: bool,
    /// Nothing can be sent to the client any more.
    is_deaf: bool,
    /// It has ended while a script had it served.
    is_over: bool,
    /// The client has become a replica, which somebody else serves.
    is_handed_over: bool,
    /// The last look at the crew that counts this connection.
    seen: u32,
    /// The worker that is to serve it from now on.
    moves_to: Option<usize>,
}

/// Serves a client until its connection ends or moves.
pub(super) async fn serve(connection: Rc<RefCell<Connection>>) -> Option<Moved> {
    poll_fn(|cx| connection.borrow_mut().poll_to_end(cx)).await;
    // Scripts have it only while they run, and then no task does.
    let mut connection = Rc::into_inner(connection)?.into_inner();
    if let Some(to) = connection.moves_to {
        return connection.leave(to);
    }
    connection.forget();
    let shared = connection.shared.clone();
    if connection.is_handed_over && !connection.client.handle.is_killed() {
        let id = connection.client.handle.id;
        shared.replicas.serve(id, |is_direct| connection.serve_replica(is_direct)).await;
    } else {
        connection.take_leave().await;
        drop(connection);
    }
    shared.server.memory.used.note();
    None
}

impl Connection {
    /// A connection that is known to the worker.
    pub(super) fn new(
        shared: &Rc<Shared>,
        stream: Stream,
        client: Client,
    ) -> Rc<RefCell<Connection>> {
        let id = client.handle.id;
        let connection = Rc::new_cyclic(|me| {
            RefCell::new(Connection {
                me: me.clone(),
                shared: shared.clone(),
                stream,
                client,
                input: BytesMut::new(),
                wanted: 1,
                pending: BytesMut::new(),
                is_posted: false,
                held_until: None,
                is_unflushed: false,
                timer: None,
                waker: None,
                has_work: false,
                yields: false,
                is_at_end: false,
                is_deaf: false,
                is_over: false,
                is_handed_over: false,
                seen: 0,
                moves_to: None,
            })
        });
        shared.connections.borrow_mut().insert(id, Rc::downgrade(&connection));
        connection
    }

    /// Takes the connection from this worker.
    fn leave(self, to: usize) -> Option<Moved> {
        let Connection { shared, stream, mut client, .. } = self;
        shared.connections.borrow_mut().remove(&client.handle.id);
        match stream.into_raw() {
            Ok(stream) => Some(Moved { stream, client, to }),
            Err(_) => {
                shared.pipeline().forget(&mut client);
                None
            }
        }
    }

    /// Tells a TLS client that this is the end, if its socket takes that at once.
    async fn take_leave(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            poll_fn(|cx| {
                // It goes either way.
                let _ = Pin::new(&mut **stream).poll_shutdown(cx);
                Poll::Ready(())
            })
            .await;
        }
    }

    /// Ends what the client has under way.
    fn forget(&mut self) {
        let Connection { shared, client, .. } = self;
        shared.connections.borrow_mut().remove(&client.handle.id);
        shared.pipeline().forget(client);
    }

    /// Serves a client that has become a replica, to its end.
    async fn serve_replica(mut self, is_direct: Rc<Cell<bool>>) {
        let client = &mut self.client;
        let Some(request) = client.sync.take() else { return };
        let introduction = client.introduction.take().map(|own| *own).unwrap_or_default();
        let input = std::mem::take(&mut self.input);
        let (server, handle) = (&self.shared.server, client.handle.clone());
        let stream = Steered { stream: &mut self.stream, is_direct };
        sender::serve(server, stream, &handle, (introduction, request), input).await;
    }
}

//! One connection: reads what has arrived, has the pipeline serve it, sends the replies.
//!
//! Reads and replies go through buffers that all connections of the worker share; a connection has
//! buffers of its own only while a request is incomplete or the socket takes no more. So an idle
//! connection costs little, and memory is bounded by what a client has sent and not yet read.
//!
//! - While a client does not take its replies, its requests wait, but they are read on: a client
//!   that sends everything before it reads anything is served, without output piling up here.
//! - Requests that came before the end of the stream are executed, even if nobody will read the
//!   replies. A client that is blocked or paused when it goes has none.
//! - Replies to batches of requests go out when all connections that had some were served: so a
//!   client of many connections, or several on one processor, is woken once and finds many replies,
//!   instead of being woken for each while it has nothing else to do. A single reply is not kept.
//! - After a turn of work the connection goes to the end of the worker's queue, however much more
//!   its client has sent.
//! - A command that panics ends its connection and nothing else.
//! - While one of the worker's scripts is over its time, the script itself has the other connections
//!   served from time to time ([`Shared::stand_in`]), so that somebody can end it.

use super::crew::Crew;
use super::replica::{Replicas, Steered};
use super::stream::{RawStream, Stream};
use crate::client::{Client, ClientFlags, ClientHandle, Running, describe};
use crate::command::pipeline::{Pipeline, Stop};
use crate::replication::sender;
use crate::server::Server;
use crate::{client_eviction, output_limits};
use bytes::{Buf, BytesMut};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::AsyncWrite;
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

/// Bytes asked for with one read: a large value comes with one or two.
const READ_BYTES: usize = 256 * 1024;
/// Room that a connection's own buffer has at the least for the next read.
const ROOM_BYTES_MIN: usize = READ_BYTES / 16;
/// An unfinished request from this length on keeps the buffer that it was read into.
const LARGE_INPUT_BYTES: usize = READ_BYTES / 8;
/// Output that a worker has room for from the beginning, as for input. No key should go because a worker
/// gets its first connection or gives its first long reply.
const OUTPUT_BYTES: usize = 16 * 1024;
/// Room for output that a worker keeps.
const OUTPUT_BYTES_KEPT: usize = 512 * 1024;
/// An unfinished request up to this length waits in a buffer of just its size and goes back to the
/// shared buffer for the next read: many slow clients must not cost a read buffer each.
const SMALL_INPUT_BYTES: usize = 4 * 1024;
/// A connection whose socket has not taken so much output gets no further command served.
const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// A claimed length makes a connection ask for this much buffer at a time, or for as much as it has
/// already filled.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;
/// What a client may send before it has authenticated, if it is not served.
const UNAUTHENTICATED_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Input below this is not held against the limits.
const UNLIMITED_INPUT_BYTES: usize = 64 * 1024;
/// Output below this is not held against the limits: the socket will take it.
const UNLIMITED_OUTPUT_BYTES: usize = 16 * 1024;
/// Connections whose replies wait for each other: the first ones' clients should not wait for long.
const OUTBOX_LEN_MAX: usize = 32;

/// What all connections of a worker share.
pub(super) struct Shared {
    server: Arc<Server>,
    crew: Arc<Crew>,
    /// The worker's number.
    worker: usize,
    pipeline: RefCell<Pipeline>,
    /// Serves while a script keeps the other pipeline.
    stand_in: RefCell<Pipeline>,
    buffers: RefCell<Buffers>,
    /// The connections by their clients' ids.
    connections: RefCell<HashMap<u64, Weak<RefCell<Connection>>>>,
    replicas: Replicas,
    outbox: RefCell<Outbox>,
}

/// Connections whose replies go out when those that have something to do were served.
#[derive(Default)]
struct Outbox {
    connections: Vec<Weak<RefCell<Connection>>>,
    /// Wakes the task that sends them.
    sender: Option<Waker>,
}

struct Buffers {
    input: BytesMut,
    output: Vec<u8>,
}

impl Buffers {
    /// The buffer for a read, empty, of [`READ_BYTES`]: it may become a connection's own, whose client
    /// counts with all of it.
    fn empty_input(&mut self) -> &mut BytesMut {
        self.input.clear();
        if !self.input.try_reclaim(READ_BYTES) {
            self.input = BytesMut::with_capacity(READ_BYTES);
        }
        &mut self.input
    }

    /// Takes the buffer back that a large request has taken, now that it was served.
    fn take_back(&mut self, mut input: BytesMut) {
        if self.input.capacity() == 0
            && input.try_reclaim(READ_BYTES)
            && input.capacity() == READ_BYTES
        {
            self.input = input;
        }
    }
}

impl Shared {
    /// For worker number `index` of a crew, without connections.
    pub(super) fn new(server: Arc<Server>, crew: Arc<Crew>, index: usize) -> Shared {
        let output = Vec::with_capacity(OUTPUT_BYTES);
        let buffers = Buffers { input: BytesMut::with_capacity(READ_BYTES), output };
        Shared {
            pipeline: RefCell::new(Pipeline::new(server.clone(), index)),
            stand_in: RefCell::new(Pipeline::new(server.clone(), server.stand_in_worker())),
            buffers: RefCell::new(buffers),
            connections: RefCell::default(),
            replicas: Replicas::default(),
            outbox: RefCell::default(),
            worker: index,
            crew,
            server,
        }
    }

    fn pipeline(&self) -> RefMut<'_, Pipeline> {
        self.pipeline.try_borrow_mut().unwrap_or_else(|_| self.stand_in.borrow_mut())
    }

    /// Sends what waits in the outbox, for ever. Woken by the first that comes into it, the task runs
    /// behind all that were ready then.
    pub(super) fn poll_outbox(&self, cx: &mut Context<'_>) -> Poll<()> {
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
    fn post(&self, connection: Weak<RefCell<Connection>>) {
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
    pub(super) fn deliver(&self, handle: &ClientHandle) {
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
    pub(super) fn stand_in(&self) {
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

/// Makes room for the `wanted` bytes that are missing, and no more if they are many: clients count with
/// their buffers, and the largest may have to go.
fn make_room(input: &mut BytesMut, wanted: usize) {
    if input.capacity() - input.len() >= wanted.max(1) {
        return;
    }
    if wanted < ROOM_BYTES_MIN {
        return input.reserve(ROOM_BYTES_MIN);
    }
    let n_bytes = wanted.min(RESERVE_BYTES_MAX.max(input.len()));
    let mut larger = BytesMut::with_capacity(input.len() + n_bytes);
    larger.extend_from_slice(input);
    *input = larger;
}

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

    /// The worker that the connection belongs to now, if that is another one and nothing keeps it.
    #[inline]
    fn destination(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if !self.shared.crew.note_served(self.shared.worker, &mut self.seen) {
            return None;
        }
        // What the socket does not take keeps it here.
        self.send_posted(cx);
        let Shared { crew, worker, server, .. } = &*self.shared;
        if self.is_at_rest() { crew.destination(server, *worker) } else { None }
    }

    /// Whether it only waits for the client's next request.
    fn is_at_rest(&self) -> bool {
        let has_bytes = !self.input.is_empty() || !self.pending.is_empty() || self.is_unflushed;
        let waits = self.timer.is_some() || self.held_until.is_some();
        let is_ending = self.is_at_end || self.is_over || self.is_handed_over;
        let is_kept = has_bytes || waits || is_ending || self.has_work;
        !is_kept
            && self.client.blocked.is_none()
            && self.stream.is_movable()
            && !self.stream.is_direct()
    }

    /// Goes on as far as possible on the stack of a script. Of what cannot be done now, the
    /// connection's own task will learn.
    fn stand_in(&mut self) {
        // What it waits for may need stripes that the script holds.
        if self.is_over || self.client.blocked.is_some() {
            return;
        }
        let waker = self.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        self.stream.set_direct(true);
        self.is_over = self.poll_safely(&mut Context::from_waker(&waker)).is_ready();
        self.stream.set_direct(false);
        waker.wake();
    }

    /// Sends what was kept while others were served. Of what the socket does not take, the task is told
    /// when it does.
    fn send_posted(&mut self, cx: &mut Context<'_>) {
        if self.is_posted && self.poll_send(cx).is_ready() && self.is_deaf {
            cx.waker().wake_by_ref();
        }
    }

    /// Does something without its task, as if that did: it is the one that will be woken. `None`: it has
    /// not begun.
    fn with_own_waker<R>(
        &mut self,
        act: impl FnOnce(&mut Self, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let waker = self.waker.take()?;
        let done = act(self, &mut Context::from_waker(&waker));
        self.waker = Some(waker);
        Some(done)
    }

    /// Sends what was delivered to the client, without its task. `false`: the task has more to do.
    fn deliver(&mut self) -> bool {
        let has_more = self.is_over || self.is_deaf || self.client.handle.is_killed();
        if has_more || self.client.blocked.is_some() || !self.pending.is_empty() {
            return false;
        }
        let sent = self.with_own_waker(|this, cx| {
            let Some(mail) = this.client.handle.take_delivered() else { return false };
            let sent = this.send(cx, &mail.output);
            this.is_over |= sent.is_err();
            // What the socket has not taken is for the task to send, and an end is the task's as well.
            sent.is_ok() && this.pending.is_empty() && !this.is_deaf
        });
        sent.unwrap_or(false)
    }

    fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over { Poll::Ready(()) } else { self.poll_safely(cx) }
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

    /// As [`Connection::poll`]; a panic ends the connection.
    ///
    /// Locks and shared buffers are released as the stack unwinds. What the command had changed
    /// already stays.
    fn poll_safely(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll(cx))).unwrap_or_else(|_| {
            tracing::error!(
                "A command failed, its connection is closed: {}",
                describe(&self.shared.server, &self.client.handle, Running::default())
            );
            self.shared.pipeline().recover();
            Poll::Ready(())
        });
        self.shared.server.memory.used.note();
        polled
    }

    /// Goes on as far as possible without waiting. Ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.client.handle.register(cx.waker());
            if let Some(end) = self.held_until {
                // Woken otherwise, it would not learn that it may go on.
                self.shared.server.aof.barrier.wait(end, cx.waker());
            }
        }
        loop {
            match self.step(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Closed)) => return Poll::Ready(()),
                Poll::Pending => {
                    self.moves_to = self.destination(cx);
                    return if self.moves_to.is_some() { Poll::Ready(()) } else { Poll::Pending };
                }
            }
            if std::mem::take(&mut self.yields) {
                // Behind those, too, whose requests have come meanwhile: the runtime looks for them before
                // it wakes this one, where one that wakes itself keeps it from looking for 61 turns.
                return pin!(tokio::task::yield_now()).poll(cx);
            }
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if self.client.handle.has_mail() {
            self.take_mail(cx)?;
        }
        if self.timer.is_some() {
            self.poll_timer(cx)?;
        }
        let is_sent = !self.may_wait() && self.poll_send(cx).is_ready();
        if self.client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY)
            || self.shared.server.is_stopping()
        {
            // What it sends now is of no interest, but the last replies still go out.
            return if is_sent { Poll::Ready(Err(Closed)) } else { Poll::Pending };
        }
        if self.is_handed_over {
            return if is_sent { Poll::Ready(Err(Closed)) } else { Poll::Pending };
        }
        if self.held_until.is_some() {
            return Poll::Pending;
        }
        if self.has_work && self.pending.len() < PENDING_BYTES_MAX {
            self.has_work = false;
            let mut input = std::mem::take(&mut self.input);
            let served = self.serve_input(cx, &mut input);
            self.keep_input(input);
            return Poll::Ready(served);
        }
        if !self.is_at_end {
            return self.poll_receive(cx);
        }
        if is_sent { Poll::Ready(Err(Closed)) } else { Poll::Pending }
    }

    /// Whether its replies are to wait in the outbox.
    #[inline]
    fn may_wait(&self) -> bool {
        let is_ending = self.is_at_end
            || self.is_handed_over
            || self.client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY)
            || self.shared.server.is_stopping();
        self.is_posted && !is_ending && !self.stream.is_direct()
    }

    /// Takes what others have put into the connection's way.
    #[cold]
    fn take_mail(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let mail = self.client.handle.take_mail(cx.waker());
        if self.client.handle.is_killed() {
            return Err(Closed);
        }
        self.send(cx, &mail.output)?;
        if mail.unblock.is_none() && self.client.blocked.is_none() {
            return Ok(());
        }
        self.with_output(cx, |pipeline, client, out| {
            pipeline.settle_mail(client, mail.unblock, out);
        })
    }

    /// Ends the client's wait if its time has come.
    #[cold]
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let is_over = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if !is_over {
            return Ok(());
        }
        self.timer = None;
        self.with_output(cx, |pipeline, client, out| {
            pipeline.time_out(client, out);
        })
    }

    /// Has the pipeline do something about the client's wait, and sends what comes of it.
    fn with_output(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Pipeline, &mut Client, &mut Vec<u8>),
    ) -> Result<(), Closed> {
        let mut out = Vec::new();
        act(&mut self.shared.pipeline(), &mut self.client, &mut out);
        self.has_work = true;
        self.set_timer(cx);
        self.send(cx, &out)
    }

    /// Has a timer exactly while the client waits for something that ends by itself.
    fn set_timer(&mut self, cx: &mut Context<'_>) {
        let deadline = self.client.blocked.as_ref().and_then(|blocked| blocked.deadline);
        self.timer = deadline.map(|deadline| {
            let wait = deadline.saturating_sub(self.shared.server.clock.elapsed());
            Box::pin(tokio::time::sleep(wait))
        });
        if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            cx.waker().wake_by_ref();
        }
    }

    /// Reads once and serves what has come.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let shared = self.shared.clone();
        let uses_shared =
            self.input.len() <= SMALL_INPUT_BYTES && self.wanted <= READ_BYTES - self.input.len();
        let mut buffers = shared.buffers.borrow_mut();
        let input = if uses_shared {
            let input = buffers.empty_input();
            input.extend_from_slice(&self.input);
            input
        } else {
            make_room(&mut self.input, self.wanted);
            &mut self.input
        };
        let received = match poll_read_buf(Pin::new(&mut self.stream), cx, input) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(received) => received.unwrap_or(0),
        };
        if received == 0 {
            drop(buffers);
            return Poll::Ready(self.end_of_input());
        }
        self.count_received(received);
        self.yields |= received >= READ_BYTES - SMALL_INPUT_BYTES;
        if !uses_shared {
            drop(buffers);
            self.wanted = self.wanted.saturating_sub(received);
            self.has_work = true;
            return Poll::Ready(self.check_input(self.input.len()));
        }
        let mut input = std::mem::take(&mut buffers.input);
        drop(buffers);
        // It has moved into the shared buffer.
        self.input = BytesMut::new();
        self.check_input(input.len())?;
        if self.client.handle.has_mail() {
            // It was sent before the client sent this.
            self.take_mail(cx)?;
        }
        let served = if self.pending.len() < PENDING_BYTES_MAX {
            self.serve_input(cx, &mut input)
        } else {
            self.has_work = true;
            Ok(())
        };
        if input.len() >= LARGE_INPUT_BYTES {
            self.input = std::mem::take(&mut input);
        } else if !input.is_empty() {
            self.input.extend_from_slice(&input);
            input.clear();
        }
        self.show_input();
        shared.buffers.borrow_mut().input = input;
        Poll::Ready(served)
    }

    /// The client will send no more: what it has sent is still served, unless it waits.
    fn end_of_input(&mut self) -> Result<(), Closed> {
        self.is_at_end = true;
        if self.client.flags.contains(ClientFlags::BLOCKED) {
            return Err(Closed);
        }
        Ok(())
    }

    /// Cuts clients if too much has been sent: this one (`client-query-buffer-limit`), or those that
    /// take most (`maxmemory-clients`).
    fn check_input(&mut self, input_bytes: usize) -> Result<(), Closed> {
        let multi_bytes = self.client.multi.as_ref().map_or(0, |multi| multi.mem_bytes);
        let n_bytes = input_bytes + multi_bytes;
        if n_bytes <= UNLIMITED_INPUT_BYTES {
            return Ok(());
        }
        // What is in the shared buffer is the client's as well.
        self.show_input_bytes(input_bytes, self.input.capacity() - self.input.len());
        self.limit_clients()?;
        let server = &self.shared.server;
        let limit = server.config.get().client_query_buffer_limit;
        let is_unauthenticated = self.client.flags.contains(ClientFlags::NEEDS_AUTH)
            && n_bytes > UNAUTHENTICATED_INPUT_BYTES_MAX;
        if n_bytes as i64 <= limit && !is_unauthenticated {
            return Ok(());
        }
        tracing::warn!(
            "Closing client that reached max query buffer length: {}",
            describe(server, &self.client.handle, Running::default())
        );
        server.stats.client_query_buffer_limit_disconnections.fetch_add(1, Ordering::Relaxed);
        Err(Closed)
    }

    /// Cuts the largest clients if all together take too much. This one has grown.
    #[cold]
    fn limit_clients(&self) -> Result<(), Closed> {
        let config = self.shared.server.config.get();
        if config.maxmemory_clients != 0 {
            client_eviction::enforce(&self.shared.server, &config);
        }
        if self.client.handle.is_killed() { Err(Closed) } else { Ok(()) }
    }

    /// Keeps what has not been served of the connection's own input.
    fn keep_input(&mut self, input: BytesMut) {
        self.input = match input.len() {
            0 => {
                self.shared.buffers.borrow_mut().take_back(input);
                BytesMut::new()
            }
            // Not the buffer that much more has stood in.
            1..=SMALL_INPUT_BYTES => BytesMut::from(&input[..]),
            _ => input,
        };
        self.show_input();
    }

    fn show_input(&self) {
        let len = self.input.len();
        self.show_input_bytes(len, self.input.capacity() - len);
    }

    /// Tells how much input has not been parsed, of so many bytes, and what was parsed of a request.
    fn show_input_bytes(&self, len: usize, free_bytes: usize) {
        let (handle, parser) = (&self.client.handle, &self.client.parser);
        handle.input_free_bytes.store(free_bytes, Ordering::Relaxed);
        handle.input_bytes.store(len.saturating_sub(parser.n_read()), Ordering::Relaxed);
        handle.words_bytes.store(parser.words_bytes(), Ordering::Relaxed);
        let parsed_bytes = parser.n_read() + parser.mem_bytes();
        handle.parsed_bytes.store(parsed_bytes, Ordering::Relaxed);
    }

    fn show_output(&self) {
        self.client.handle.show_output(self.pending.len(), self.pending.capacity());
    }

    /// Serves the requests in `input`, and sends the replies or keeps them.
    fn serve_input(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Result<(), Closed> {
        let shared = self.shared.clone();
        let mut output = std::mem::take(&mut shared.buffers.borrow_mut().output);
        // Compat: where other threads read, a request in a shared buffer is not seen as input.
        let is_seen = shared.server.n_workers == 1 || input.len() > SMALL_INPUT_BYTES;
        let n_seen = if is_seen { input.len() } else { 0 };
        self.client.handle.input_bytes.store(n_seen, Ordering::Relaxed);
        let (stop, is_batch) = {
            let mut pipeline = shared.pipeline();
            let stop = pipeline.run(&mut self.client, input, &mut output);
            (stop, pipeline.n_served() > 1)
        };
        match stop {
            Stop::NeedsInput { wanted } => self.wanted = wanted,
            Stop::NeedsFlush => (self.has_work, self.yields) = (true, true),
            Stop::Waits if self.timer.is_none() => self.set_timer(cx),
            Stop::Waits => {}
            Stop::Closes => input.clear(),
            Stop::HandsOver => self.is_handed_over = true,
            Stop::Aborts => return Err(Closed),
        }
        let result = if is_batch { self.post(cx, &output) } else { self.send(cx, &output) };
        output.clear();
        // One huge reply must not stay with the worker for ever.
        output.shrink_to(OUTPUT_BYTES_KEPT);
        shared.buffers.borrow_mut().output = output;
        result
    }

    /// Has `output` go out when others were served as well, unless it is much or something keeps what
    /// there is already.
    fn post(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Result<(), Closed> {
        let is_held = self.held_until.is_some() || self.shared.server.aof.barrier.is_up();
        let is_kept = self.is_deaf || !self.pending.is_empty() && !self.is_posted;
        let n_bytes = self.pending.len() + output.len();
        if n_bytes > UNLIMITED_OUTPUT_BYTES || is_held || is_kept || self.stream.is_direct() {
            return self.send(cx, output);
        }
        self.pending.extend_from_slice(output);
        if !output.is_empty() && !self.is_posted {
            self.is_posted = true;
            self.shared.post(self.me.clone());
        }
        Ok(())
    }

    /// Sends `output`, or keeps what the socket does not take.
    fn send(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Result<(), Closed> {
        if !output.is_empty() && self.shared.server.aof.barrier.is_up() {
            self.hold(cx);
        }
        if output.len() + self.pending.len() > UNLIMITED_OUTPUT_BYTES
            && !self.client.flags.contains(ClientFlags::NEEDS_AUTH)
        {
            self.check_output(output.len() + self.pending.len())?;
        }
        let mut rest = output;
        let may_leave = self.pending.is_empty() && self.held_until.is_none();
        if may_leave && !rest.is_empty() && !self.is_deaf {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(sent)) => {
                    self.count_sent(sent);
                    rest = &rest[sent..];
                    self.is_unflushed = Pin::new(&mut self.stream).poll_flush(cx).is_pending();
                }
                Poll::Ready(Err(_)) => self.deafen(),
                Poll::Pending => {}
            }
        }
        if !rest.is_empty() && !self.is_deaf {
            self.pending.extend_from_slice(rest);
            self.show_output();
            if self.pending.len() > UNLIMITED_OUTPUT_BYTES {
                self.check_output(self.pending.len())?;
                self.limit_clients()?;
            }
        }
        Ok(())
    }

    /// Has output wait until the append-only file has what it tells of, if that is promised.
    fn hold(&mut self, cx: &mut Context<'_>) {
        let server = &self.shared.server;
        let end = server.log.aof_end();
        if !server.aof.barrier.lets_pass(end) && server.aof.barrier.wait(end, cx.waker()) {
            self.held_until = Some(end);
        }
    }

    /// Cuts a client for which more output waits than it may have.
    #[cold]
    fn check_output(&mut self, n_bytes: usize) -> Result<(), Closed> {
        let server = &self.shared.server;
        let pipeline = self.shared.pipeline();
        let now_ms = server.clock.unix_ms();
        let client = &self.client.handle;
        let is_cut = output_limits::enforce(server, pipeline.config(), client, n_bytes, now_ms);
        if is_cut { Err(Closed) } else { Ok(()) }
    }

    /// Nothing can be sent any more: the connection ends when what was received is served.
    #[cold]
    fn deafen(&mut self) {
        (self.is_deaf, self.is_at_end) = (true, true);
        self.pending = BytesMut::new();
        self.show_output();
    }

    /// Sends what was kept. Ready when nothing is left.
    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.is_posted = false;
        if self.pending.is_empty() && !self.is_unflushed && self.held_until.is_none() {
            Poll::Ready(())
        } else {
            self.poll_send_pending(cx)
        }
    }

    #[cold]
    fn poll_send_pending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = self.held_until {
            if !self.shared.server.aof.barrier.lets_pass(end) {
                return Poll::Pending;
            }
            self.held_until = None;
        }
        while !self.pending.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.pending)) {
                Ok(sent) => {
                    self.count_sent(sent);
                    self.pending.advance(sent);
                    self.show_output();
                    self.client.handle.touch(self.shared.server.clock.unix_ms());
                }
                Err(_) => self.deafen(),
            }
        }
        if !self.shared.server.keeps_output_buffers.load(Ordering::Relaxed) {
            self.pending = BytesMut::new();
        }
        self.show_output();
        if ready!(Pin::new(&mut self.stream).poll_flush(cx)).is_err() {
            self.deafen();
        }
        self.is_unflushed = false;
        Poll::Ready(())
    }

    #[inline]
    fn count_received(&self, n_bytes: usize) {
        let stats = self.shared.server.stats.begin(self.shared.worker);
        stats.total_reads_processed.add(1);
        stats.total_net_input_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_in_bytes, n_bytes as u64);
    }

    #[inline]
    fn count_sent(&self, n_bytes: usize) {
        let stats = &self.shared.server.stats.workers[self.shared.worker];
        stats.total_writes_processed.add(1);
        stats.total_net_output_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_out_bytes, n_bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients of one large word each must not count twice what they have sent.
    #[test]
    fn a_buffer_is_as_large_as_its_request() {
        const N_BYTES: usize = 5 << 20;
        let mut input = BytesMut::from(&b"*1\r\n$5242880\r\n"[..]);
        let whole = input.len() + N_BYTES + 2;
        while input.len() < whole {
            let wanted = whole - input.len();
            make_room(&mut input, wanted);
            let room = input.capacity() - input.len();
            assert!(room <= RESERVE_BYTES_MAX.max(input.len()), "{room}");
            input.resize(input.len() + room.min(READ_BYTES).min(whole - input.len()), 0);
        }
        assert_eq!(input.capacity(), whole);
        // Small words: the buffer grows by more than one at a time.
        make_room(&mut input, 10);
        assert!(input.capacity() >= whole + ROOM_BYTES_MIN);
    }
}

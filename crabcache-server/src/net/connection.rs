//! One connection: reads what has arrived, has the pipeline serve it, sends the replies.
//!
//! Reads and replies go through buffers that all connections of the worker share; a connection has
//! buffers of its own only while a request is incomplete or the socket takes no more. So an idle
//! connection costs little, and memory is bounded by what a client has sent and not yet read.

use super::stream::Stream;
use crate::client::{Client, ClientFlags, ClientHandle};
use crate::command::pipeline::{Pipeline, Stop};
use crate::server::Server;
use bytes::{Buf, BytesMut};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

/// Bytes asked for with one read.
const READ_BYTES: usize = 64 * 1024;
/// A connection whose socket has not taken so much output gets no further command served.
const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// A claimed length makes a connection ask for this much buffer at a time, not more.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

/// What all connections of a worker share.
pub(super) struct Shared {
    server: Arc<Server>,
    pub(super) pipeline: RefCell<Pipeline>,
    buffers: RefCell<Buffers>,
}

struct Buffers {
    input: BytesMut,
    output: Vec<u8>,
}

impl Shared {
    pub(super) fn new(pipeline: Pipeline) -> Shared {
        let buffers = Buffers { input: BytesMut::new(), output: Vec::new() };
        let server = pipeline.server().clone();
        Shared { server, pipeline: RefCell::new(pipeline), buffers: RefCell::new(buffers) }
    }
}

/// The end of a connection; why does not matter to anybody but the log.
struct Closed;

struct Connection<'w> {
    shared: &'w Shared,
    stream: Stream,
    client: Client,
    /// Input that has not been served: an unfinished request, or more while the client waits.
    input: BytesMut,
    /// At least so many bytes are missing to the next request.
    wanted: usize,
    /// Output that the socket has not taken.
    pending: BytesMut,
    /// There may be requests in `input` that can be served without reading more.
    has_work: bool,
    /// The client will send no more.
    is_at_end: bool,
}

/// Serves a client until its connection ends.
pub(super) async fn serve(shared: &Shared, stream: Stream, client: Client) {
    let mut connection = Connection {
        shared,
        stream,
        client,
        input: BytesMut::new(),
        wanted: 1,
        pending: BytesMut::new(),
        has_work: false,
        is_at_end: false,
    };
    poll_fn(|cx| connection.poll(cx)).await;
    shared.pipeline.borrow_mut().forget(&mut connection.client);
}

impl Connection<'_> {
    /// Goes on as far as possible without waiting. Ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.handle.register(cx.waker());
        loop {
            match self.step(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Closed)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if let Some(mail) = self.client.handle.take_mail() {
            if mail.is_killed {
                return Poll::Ready(Err(Closed));
            }
            self.pending.extend_from_slice(&mail.output);
            if let Some(reply) = mail.unblock
                && self.client.blocked.take().is_some()
            {
                self.client.set_flag(ClientFlags::BLOCKED, false);
                self.pending.extend_from_slice(&reply);
            }
            self.has_work = true;
        }
        let is_sent = self.poll_send(cx)?.is_ready();
        if self.shared.server.is_stopping() {
            // The last replies still go out, for as long as the server waits for that.
            return if is_sent { Poll::Ready(Err(Closed)) } else { Poll::Pending };
        }
        if self.client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY) && is_sent {
            return Poll::Ready(Err(Closed));
        }
        if self.has_work && (self.pending.len() < PENDING_BYTES_MAX || self.is_at_end) {
            self.has_work = false;
            let mut input = std::mem::take(&mut self.input);
            self.serve_input(cx, &mut input)?;
            self.input = input;
            return Poll::Ready(Ok(()));
        }
        if self.is_at_end {
            return Poll::Ready(Err(Closed));
        }
        self.poll_receive(cx)
    }

    /// Reads once and serves what has come.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let is_unfinished = !self.input.is_empty();
        let shared = self.shared;
        let mut buffers = shared.buffers.borrow_mut();
        let input = if is_unfinished { &mut self.input } else { &mut buffers.input };
        input.reserve(if is_unfinished {
            self.wanted.clamp(16 * 1024, RESERVE_BYTES_MAX)
        } else {
            READ_BYTES
        });
        let received = match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, input)) {
            Ok(received) => received,
            Err(_) => return Poll::Ready(Err(Closed)),
        };
        self.count_received(received);
        if received == 0 {
            // What was complete has been served, unless the client waits or took no replies.
            self.is_at_end = true;
            self.has_work = !self.client.flags.contains(ClientFlags::BLOCKED);
            return Poll::Ready(Ok(()));
        }
        self.wanted = self.wanted.saturating_sub(received);
        if self.pending.len() >= PENDING_BYTES_MAX {
            if !is_unfinished {
                self.input.extend_from_slice(&buffers.input);
                buffers.input.clear();
            }
            self.has_work = true;
            return Poll::Ready(Ok(()));
        }
        if is_unfinished {
            drop(buffers);
            self.has_work = true;
            return Poll::Ready(Ok(()));
        }
        let mut input = std::mem::take(&mut buffers.input);
        drop(buffers);
        let served = self.serve_input(cx, &mut input);
        if !input.is_empty() {
            self.input.extend_from_slice(&input);
            input.clear();
        }
        shared.buffers.borrow_mut().input = input;
        Poll::Ready(served)
    }

    /// Serves the requests in `input`, and sends the replies or keeps them.
    fn serve_input(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Result<(), Closed> {
        let shared = self.shared;
        let mut output = std::mem::take(&mut shared.buffers.borrow_mut().output);
        let stop = shared.pipeline.borrow_mut().run(&mut self.client, input, &mut output);
        match stop {
            Stop::NeedsInput { wanted } => self.wanted = wanted,
            Stop::NeedsFlush => self.has_work = true,
            Stop::Waits => {}
            Stop::Closes => input.clear(),
        }
        let result = self.send(cx, &output);
        output.clear();
        // One huge reply must not stay with the worker for ever.
        output.shrink_to(READ_BYTES * 8);
        shared.buffers.borrow_mut().output = output;
        result
    }

    /// Sends `output`, or keeps what the socket does not take.
    fn send(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Result<(), Closed> {
        let mut rest = output;
        if self.pending.is_empty() && !rest.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(sent)) => {
                    self.count_sent(sent);
                    rest = &rest[sent..];
                }
                Poll::Ready(Err(_)) => return Err(Closed),
                Poll::Pending => {}
            }
        }
        if !rest.is_empty() {
            self.pending.extend_from_slice(rest);
            self.client.handle.output_bytes.store(self.pending.len(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends what was kept. Ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Closed> {
        while !self.pending.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.pending) {
                Poll::Ready(Ok(sent)) => {
                    self.count_sent(sent);
                    self.pending.advance(sent);
                    self.client.handle.output_bytes.store(self.pending.len(), Ordering::Relaxed);
                }
                Poll::Ready(Err(_)) => return Err(Closed),
                Poll::Pending => return Ok(Poll::Pending),
            }
            if self.pending.is_empty() {
                self.pending = BytesMut::new();
            }
        }
        Ok(Poll::Ready(()))
    }

    #[inline]
    fn count_received(&self, n_bytes: usize) {
        let stats = self.shared.server.stats.begin(self.client.handle.worker);
        stats.total_reads_processed.add(1);
        stats.total_net_input_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_in_bytes, n_bytes as u64);
    }

    #[inline]
    fn count_sent(&self, n_bytes: usize) {
        let stats = &self.shared.server.stats.workers[self.client.handle.worker];
        stats.total_writes_processed.add(1);
        stats.total_net_output_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_out_bytes, n_bytes as u64);
    }
}

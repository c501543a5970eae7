//! What a client sends: it is read, served, held against the limits, and kept while it has to wait.
//!
//! It is read into the worker's buffer and served from there; what is left waits in the connection's own.
//! If that is little, it goes back to the worker's for the next read; if much, the next read adds to it
//! where it is.
//!
//! Nothing is parsed here: the pipeline takes what it has served, and says how many bytes it lacks.
//!
//! Invariant: between two polls of a connection all its input that was not served is in its own buffer,
//! and nothing in the worker's counts.

use super::buffers::{
    LARGE_INPUT_BYTES, OUTPUT_BYTES_KEPT, READ_BYTES, SMALL_INPUT_BYTES, make_room,
};
use super::output::PENDING_BYTES_MAX;
use super::{Closed, Connection};
use crate::client::{ClientFlags, ClientHandle, Running, describe};
use crate::client_eviction;
use crate::command::pipeline::Stop;
use bytes::BytesMut;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tokio_util::io::poll_read_buf;

/// What a client may send before it has authenticated, if it is not served.
const UNAUTHENTICATED_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Input below this is not held against the limits.
const UNLIMITED_INPUT_BYTES: usize = 64 * 1024;

impl Connection {
    /// Reads once and serves what has come.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
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
    pub(super) fn limit_clients(&self) -> Result<(), Closed> {
        let config = self.shared.server.config.get();
        if config.maxmemory_clients != 0 {
            client_eviction::enforce(&self.shared.server, &config);
        }
        if self.client.handle.is_killed() { Err(Closed) } else { Ok(()) }
    }

    /// Keeps what has not been served of the connection's own input.
    pub(super) fn keep_input(&mut self, input: BytesMut) {
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

    /// Serves the requests in `input`, and sends the replies or keeps them.
    pub(super) fn serve_input(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Result<(), Closed> {
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

    #[inline]
    fn count_received(&self, n_bytes: usize) {
        self.shared.spin.note_served();
        let stats = self.shared.server.stats.begin(self.shared.worker);
        stats.total_reads_processed.add(1);
        stats.total_net_input_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_in_bytes, n_bytes as u64);
    }
}

//! What a client is sent: at once, with that of others, or when the socket and the append-only file let it.
//!
//! - Replies to batches of requests go out when all connections that had some were served: so a
//!   client of many connections, or several on one processor, is woken once and finds many replies,
//!   instead of being woken for each while it has nothing else to do. A single reply is not kept.
//! - A client that cannot be sent anything any more is *deaf*: nothing is kept for it, and its connection
//!   ends when what it has sent was served.
//!
//! Replies are not made here, and how much may wait for which kind of client is not known here
//! (`output_limits.rs`).
//!
//! Invariant: output leaves in the order in which it was made, so all goes behind what is kept; and it does
//! not leave before the append-only file has what it tells of, where that is promised.

use super::{Closed, Connection};
use crate::client::{ClientFlags, ClientHandle};
use crate::output_limits;
use bytes::{Buf, BytesMut};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A connection whose socket has not taken so much output gets no further command served.
pub(super) const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// Output below this is not held against the limits: the socket will take it.
const UNLIMITED_OUTPUT_BYTES: usize = 16 * 1024;

impl Connection {
    /// Sends what was kept while others were served. Of what the socket does not take, the task is told
    /// when it does.
    pub(super) fn send_posted(&mut self, cx: &mut Context<'_>) {
        if self.is_posted && self.poll_send(cx).is_ready() && self.is_deaf {
            cx.waker().wake_by_ref();
        }
    }

    /// Has `output` go out when others were served as well, unless it is much or something keeps what
    /// there is already.
    pub(super) fn post(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Result<(), Closed> {
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
    pub(super) fn send(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Result<(), Closed> {
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
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

    fn show_output(&self) {
        self.client.handle.show_output(self.pending.len(), self.pending.capacity());
    }

    #[inline]
    fn count_sent(&self, n_bytes: usize) {
        let stats = &self.shared.server.stats.workers[self.shared.worker];
        stats.total_writes_processed.add(1);
        stats.total_net_output_bytes.add(n_bytes as u64);
        ClientHandle::add(&self.client.handle.net_out_bytes, n_bytes as u64);
    }
}

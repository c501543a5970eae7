//! A connection's turn: what it does next, until there is nothing to do or others are to have theirs.
//!
//! Usually its task polls it. Besides, whoever has the thread may act for the task: a sender that has
//! something for many clients, and a script that is over its time.
//!
//! - After a turn of work the connection goes to the end of the worker's queue, however much more
//!   its client has sent.
//! - A command that panics ends its connection and nothing else.
//! - While one of the worker's scripts is over its time, the script itself has the other connections
//!   served from time to time ([`Shared::stand_in`]), so that somebody can end it.
//!
//! Nothing is read, served or sent here: that is `input.rs` and `output.rs`, and with them the pipeline,
//! which say when it has been enough for a turn.
//!
//! Invariant: a connection that waits is woken by what it waits for, and it is its task that is woken:
//! whoever acts for the task does so with the task's waker.

use super::output::PENDING_BYTES_MAX;
use super::{Closed, Connection, Shared};
use crate::client::{Client, ClientFlags, Running, describe};
use crate::command::pipeline::Pipeline;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

impl Connection {
    /// For its task, which may find that the connection has ended on the stack of a script.
    pub(super) fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over { Poll::Ready(()) } else { self.poll_safely(cx) }
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
    pub(super) fn take_mail(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
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
    pub(super) fn set_timer(&mut self, cx: &mut Context<'_>) {
        let deadline = self.client.blocked.as_ref().and_then(|blocked| blocked.deadline);
        self.timer = deadline.map(|deadline| {
            let wait = deadline.saturating_sub(self.shared.server.clock.elapsed());
            Box::pin(tokio::time::sleep(wait))
        });
        if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            cx.waker().wake_by_ref();
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
    pub(super) fn stand_in(&mut self) {
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

    /// Does something without its task, as if that did: it is the one that will be woken. `None`: it has
    /// not begun.
    pub(super) fn with_own_waker<R>(
        &mut self,
        act: impl FnOnce(&mut Self, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let waker = self.waker.take()?;
        let done = act(self, &mut Context::from_waker(&waker));
        self.waker = Some(waker);
        Some(done)
    }

    /// Sends what was delivered to the client, without its task. `false`: the task has more to do.
    pub(super) fn deliver(&mut self) -> bool {
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
}

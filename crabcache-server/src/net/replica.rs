//! The connection of a replica. Its task serves it, and so do scripts that are over their time, as
//! they do with the connections of clients: a replica must get the stream and be heard meanwhile.

use super::stream::Stream;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

/// The replicas of a worker, by their clients' ids.
#[derive(Default)]
pub(super) struct Replicas(RefCell<HashMap<u64, Weak<RefCell<Replica>>>>);

struct Replica {
    serving: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether the socket asks the kernel, see [`Stream::set_direct`].
    is_direct: Rc<Cell<bool>>,
    /// Wakes its task.
    waker: Waker,
    /// It has ended while a script had it served.
    is_over: bool,
}

impl Replicas {
    /// Serves a replica until its connection ends, in the way that `serve` says.
    pub(super) async fn serve<F: Future<Output = ()> + 'static>(
        &self,
        id: u64,
        serve: impl FnOnce(Rc<Cell<bool>>) -> F,
    ) {
        let is_direct = Rc::<Cell<bool>>::default();
        let serving = Box::pin(serve(is_direct.clone()));
        let waker = Waker::noop().clone();
        let replica = Rc::new(RefCell::new(Replica { serving, is_direct, waker, is_over: false }));
        self.0.borrow_mut().insert(id, Rc::downgrade(&replica));
        poll_fn(|cx| replica.borrow_mut().poll(cx)).await;
        self.0.borrow_mut().remove(&id);
    }

    /// Serves all of them on the stack of a script.
    pub(super) fn stand_in(&self) {
        let replicas: Vec<_> = self.0.borrow().values().filter_map(Weak::upgrade).collect();
        replicas.iter().for_each(|replica| replica.borrow_mut().stand_in());
    }
}

impl Replica {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        self.waker.clone_from(cx.waker());
        self.serving.as_mut().poll(cx)
    }

    /// Goes on as far as possible. Of what cannot be done now, its own task will learn.
    fn stand_in(&mut self) {
        if self.is_over {
            return;
        }
        let waker = self.waker.clone();
        self.is_direct.set(true);
        // The script's task has no share of the thread left that it could give.
        let serving = pin!(unconstrained(&mut self.serving));
        self.is_over = serving.poll(&mut Context::from_waker(&waker)).is_ready();
        self.is_direct.set(false);
        waker.wake();
    }
}

/// A stream that asks the kernel while a shared flag says so.
pub(super) struct Steered<'s> {
    pub(super) stream: &'s mut Stream,
    pub(super) is_direct: Rc<Cell<bool>>,
}

impl Steered<'_> {
    fn stream(&mut self) -> Pin<&mut Stream> {
        self.stream.set_direct(self.is_direct.get());
        Pin::new(&mut *self.stream)
    }
}

impl AsyncRead for Steered<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Steered<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

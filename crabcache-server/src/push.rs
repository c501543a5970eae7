//! Pushes: what clients are sent without having asked at this moment (messages of channels,
//! invalidations of cached keys).
//!
//! A push is encoded once for each protocol, however many clients get it, and appended to the mail
//! of each. It goes out behind the replies that the client has before it; what a command pushes to
//! its own client follows the command's reply.
//!
//! Connections get it through their worker: whoever delivers to a hundred connections of another
//! thread wakes that thread once, or a few times, not a hundred times, and it sends for all of them
//! without waking their tasks.
//!
//! A client that does not read is cut (`output_limits.rs`); it never holds up who delivers.

use crate::client::ClientHandle;
use crate::memory::PassingSum;
use crate::output_limits;
use crate::server::Server;
use atomic_waker::AtomicWaker;
use crabcache_resp::{Protocol, Reply};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Mail is held against the limits whenever it has grown by so much. What is below, the socket will
/// take.
const LIMIT_STEP_BYTES: usize = 16 * 1024;

/// A push that `write` writes, encoded when it is first needed in a protocol.
pub struct Push<F> {
    write: F,
    resp2: Option<Vec<u8>>,
    resp3: Option<Vec<u8>>,
}

impl<F: Fn(&mut Reply<'_>)> Push<F> {
    /// A push that nobody has got yet.
    pub fn new(write: F) -> Push<F> {
        Push { write, resp2: None, resp3: None }
    }

    /// Its bytes.
    pub fn bytes(&mut self, protocol: Protocol) -> &[u8] {
        let encoded = match protocol {
            Protocol::Resp2 => &mut self.resp2,
            Protocol::Resp3 => &mut self.resp3,
        };
        encoded.get_or_insert_with(|| {
            let mut bytes = Vec::new();
            (self.write)(&mut Reply::new(&mut bytes, protocol));
            bytes
        })
    }
}

/// A round of deliveries. Ends with [`Delivery::finish`], when the caller holds no lock that is
/// needed to end a connection.
pub struct Delivery<'s> {
    server: &'s Server,
    n_delivered: usize,
    overfull: SmallVec<[(Arc<ClientHandle>, usize); 1]>,
}

impl<'s> Delivery<'s> {
    /// A round that has not begun.
    pub fn new(server: &'s Server) -> Delivery<'s> {
        Delivery { server, n_delivered: 0, overfull: SmallVec::new() }
    }

    /// Puts a push into a client's mail.
    pub fn send<F: Fn(&mut Reply<'_>)>(&mut self, client: &Arc<ClientHandle>, push: &mut Push<F>) {
        self.put(client, push, None);
    }

    /// The same; what it takes is added to a sum until the connection takes it.
    pub fn send_passing<F: Fn(&mut Reply<'_>)>(
        &mut self,
        client: &Arc<ClientHandle>,
        push: &mut Push<F>,
        sum: &PassingSum,
    ) {
        self.put(client, push, Some(sum));
    }

    fn put<F: Fn(&mut Reply<'_>)>(
        &mut self,
        client: &Arc<ClientHandle>,
        push: &mut Push<F>,
        passing: Option<&PassingSum>,
    ) {
        self.n_delivered += 1;
        let delivered = client.deliver(|protocol| push.bytes(protocol), passing);
        if delivered.is_first {
            self.server.post.wake(client);
        }
        let n_steps = |n_bytes| n_bytes / LIMIT_STEP_BYTES;
        if n_steps(delivered.n_bytes_after) != n_steps(delivered.n_bytes_before) {
            self.overfull.push((client.clone(), delivered.n_bytes_after));
        }
    }

    /// Cuts the clients that have not read enough. Returns the number of deliveries.
    pub fn finish(self) -> usize {
        if !self.overfull.is_empty() {
            self.enforce_limits();
        }
        self.n_delivered
    }

    #[cold]
    fn enforce_limits(&self) {
        let (config, now_ms) = (self.server.config.get(), self.server.clock.unix_ms());
        for (client, n_bytes) in &self.overfull {
            if !client.is_killed() {
                output_limits::enforce(self.server, &config, client, *n_bytes, now_ms);
            }
        }
    }
}

/// The way to the connections of each worker.
#[derive(Debug)]
pub struct Post {
    workers: Box<[CachePadded<Round>]>,
}

/// Connections of one worker that have got mail.
#[derive(Debug, Default)]
struct Round {
    clients: Mutex<Vec<Arc<ClientHandle>>>,
    waker: AtomicWaker,
}

impl Post {
    /// A post for so many workers.
    pub fn new(n_workers: usize) -> Post {
        Post { workers: (0..n_workers).map(|_| CachePadded::default()).collect() }
    }

    /// Has a connection look at its mail.
    pub fn wake(&self, client: &Arc<ClientHandle>) {
        let round = &self.workers[client.worker()];
        let mut clients = round.clients.lock();
        clients.push(client.clone());
        let is_first = clients.len() == 1;
        drop(clients);
        if is_first {
            round.waker.wake();
        }
    }

    /// Has the connections of a worker take their mail, on its thread, for ever.
    pub fn poll_round(
        &self,
        worker: usize,
        cx: &mut Context<'_>,
        deliver: impl FnMut(&Arc<ClientHandle>),
    ) -> Poll<()> {
        let round = &self.workers[worker];
        round.waker.register(cx.waker());
        let clients = std::mem::take(&mut *round.clients.lock());
        clients.iter().for_each(deliver);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Peer;
    use std::cell::Cell;

    #[test]
    fn a_push_is_encoded_once_for_each_protocol() {
        let n_encoded = Cell::new(0);
        let mut push = Push::new(|reply: &mut Reply<'_>| {
            n_encoded.set(n_encoded.get() + 1);
            reply.push(1);
            reply.int(7);
        });
        for _ in 0..2 {
            assert_eq!(push.bytes(Protocol::Resp2), b"*1\r\n:7\r\n");
            assert_eq!(push.bytes(Protocol::Resp3), b">1\r\n:7\r\n");
        }
        assert_eq!(n_encoded.get(), 2);
    }

    #[test]
    fn connections_are_woken_by_their_worker() {
        let post = Post::new(2);
        let client = Arc::new(ClientHandle::new(1, Peer::default(), 1, Arc::default(), 0));
        post.wake(&client);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(post.poll_round(0, &mut cx, |client| client.wake()).is_pending());
        assert!(!client.has_mail());
        assert!(post.poll_round(1, &mut cx, |client| client.wake()).is_pending());
        assert!(client.has_mail());
        assert_eq!(Arc::strong_count(&client), 1);
    }
}

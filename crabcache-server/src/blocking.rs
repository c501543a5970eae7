//! Clients that wait: blocked in a command, or held back by CLIENT PAUSE.
//!
//! A handler that cannot answer yet calls `ctx.block(...)` instead of writing a reply. The client's
//! connection then serves none of its requests until the wait ends, which happens once and in one
//! of these ways:
//!
//! | who ends it | how |
//! |---|---|
//! | the connection's own timer | the reply that the command has left for this |
//! | whoever brings what is waited for | the same |
//! | CLIENT UNBLOCK | the same, or an error |
//! | the end of the pause | none: the request runs from the beginning |
//! | CLIENT KILL, disconnection | none |
//!
//! Invariant: all of them call [`Wait::end`], and only the one that gets `true` goes on. So a
//! client is never answered twice, and what was meant for it is never lost.
//!
//! ## Waiting for keys
//!
//! A wait for keys is entered in the stripes of these keys while the command that found nothing
//! still holds them, so no change can come between. Whoever changes such a key holds the same
//! stripe, finds the waits there in the order in which they began, and after its own reply runs
//! their commands again, each with all its stripes held, before it goes on. It claims each wait
//! first, so a timer that runs out at this moment, or a client that is killed, does so before or
//! after, and no element is taken for nobody. See [`keys`].

pub mod keys;
pub mod late;

pub use keys::{KeyWait, Parked};

use crate::client::ClientHandle;
use crate::command::args::OwnedArgs;
use crate::server::Server;
use crabcache_resp::Reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// WAIT: for replicas.
    Replicas,
    /// CLIENT PAUSE: for its end.
    Pause,
    /// FLUSHALL: for memory to be freed.
    Memory,
    /// BLPOP and its like: for keys.
    Keys,
    /// MIGRATE: for another server.
    Migration,
    /// SHUTDOWN: for replicas before the server ends, or for the reason why it does not.
    Shutdown,
}

impl WaitKind {
    /// Whether the command expects that nothing may come, so that CLIENT UNBLOCK can end the wait.
    pub fn may_time_out(self) -> bool {
        match self {
            WaitKind::Replicas | WaitKind::Keys => true,
            WaitKind::Pause | WaitKind::Memory | WaitKind::Migration | WaitKind::Shutdown => false,
        }
    }
}

/// One wait, as others see it.
#[derive(Debug)]
pub struct Wait {
    /// What for.
    pub kind: WaitKind,
    state: AtomicU8,
    n_blocked: Arc<AtomicUsize>,
}

/// States of a wait: it goes on,
const WAITING: u8 = 0;
/// the command is being run again, which may end it,
const CLAIMED: u8 = 1;
/// or it is over.
const OVER: u8 = 2;

impl Wait {
    /// Ends the wait. Whether it is the caller who did: only then is something to be done about it.
    #[must_use]
    pub fn end(&self) -> bool {
        loop {
            match self.turn(WAITING, OVER) {
                Ok(_) => {
                    self.n_blocked.fetch_sub(1, Ordering::Relaxed);
                    return true;
                }
                // For as long as one command takes.
                Err(CLAIMED) => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
    }

    /// Keeps others from ending the wait, while its command is run again. `false`: it is over.
    #[must_use]
    fn claim(&self) -> bool {
        self.turn(WAITING, CLAIMED).is_ok()
    }

    /// Gives up the claim; the wait goes on or is over.
    fn settle(&self, is_over: bool) {
        self.state.store(if is_over { OVER } else { WAITING }, Ordering::Release);
        if is_over {
            self.n_blocked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn turn(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }
}

/// How a wait ends that another thread has ended.
#[derive(Debug)]
pub enum Unblock {
    /// It has been answered.
    Served,
    /// With [`Blocked::end_reply`].
    Ended,
    /// With the error of CLIENT UNBLOCK.
    WithError,
    /// With an error, and the connection ends: the server has become a replica.
    RoleChanged,
}

/// Writes the reply of a command whose wait has ended.
pub type EndReply = Box<dyn FnOnce(&Server, &mut Reply<'_>) + Send>;

/// A wait, as the client's connection keeps it.
pub struct Blocked {
    /// The part that others see.
    pub wait: Arc<Wait>,
    /// When it ends at the latest, on the clock that counts from the start. `None`: never.
    pub deadline: Option<Duration>,
    /// The reply when it ends, in time or not.
    pub end_reply: EndReply,
    /// The request, for whoever runs it again or logs it. Empty if the pause holds the client: its
    /// request is still in its input.
    pub request: OwnedArgs,
    /// Row of the command.
    pub row: usize,
    /// How long it ran before it blocked.
    pub took_ns: u64,
    /// The keys that it is to wait for, until the dispatcher has parked it.
    pub key_wait: Option<KeyWait>,
    /// The request as those see it who can serve it, if it waits for keys.
    pub parked: Option<Arc<Parked>>,
}

/// How many clients wait.
#[derive(Debug, Default)]
pub struct Blocking {
    n_blocked: Arc<AtomicUsize>,
    parking: keys::Parking,
}

impl Blocking {
    /// A client begins to wait.
    pub fn begin(&self, client: &ClientHandle, kind: WaitKind) -> Arc<Wait> {
        self.n_blocked.fetch_add(1, Ordering::Relaxed);
        let (state, n_blocked) = (AtomicU8::new(WAITING), self.n_blocked.clone());
        let wait = Arc::new(Wait { kind, state, n_blocked });
        *client.wait.lock() = Some(wait.clone());
        wait
    }

    /// Clients that wait now.
    pub fn n_blocked(&self) -> usize {
        self.n_blocked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Peer;

    #[test]
    fn a_wait_ends_once() {
        let client = ClientHandle::new(1, Peer::default(), 0, Arc::default(), 0);
        let blocking = Blocking::default();
        let wait = blocking.begin(&client, WaitKind::Replicas);
        assert_eq!((blocking.n_blocked(), wait.is_over()), (1, false));
        assert!(!client.end_wait(|kind| kind == WaitKind::Pause));
        let n_ends = std::thread::scope(|scope| {
            let ends = [0; 4].map(|_| scope.spawn(|| wait.end()));
            ends.into_iter().map(|end| usize::from(end.join().unwrap())).sum()
        });
        assert_eq!((n_ends, blocking.n_blocked(), wait.is_over()), (1usize, 0, true));
        assert!(!client.end_wait(|_| true));
    }
}

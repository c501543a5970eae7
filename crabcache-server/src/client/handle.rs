//! The part of a client that other threads see.

use super::{ClientFlags, ClientType};
use crate::acl::User;
use crate::blocking::{Unblock, Wait, WaitKind};
use crate::memory::{Passing, PassingSum};
use crate::pubsub::{Kind, Subscriptions};
use crate::transaction::Multi;
use atomic_waker::AtomicWaker;
use crabcache_resp::Protocol;
use crabcache_store::WatchFlag;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

/// What a client told about itself.
#[derive(Debug, Clone)]
pub struct Names {
    /// CLIENT SETNAME
    pub name: String,
    /// CLIENT SETINFO LIB-NAME
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER
    pub lib_ver: String,
    /// Whom it has authenticated as.
    pub user: Arc<User>,
}

/// What others put into a connection's way.
#[derive(Debug, Default)]
pub struct Mail {
    /// Bytes to send.
    pub output: Vec<u8>,
    /// Memory of them, which goes before it.
    passing: Passing,
    /// How the command ends that the client is blocked in.
    pub unblock: Option<Unblock>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    /// Bytes of output that the connection had before it, and has with it.
    pub n_bytes_before: usize,
    /// See there.
    pub n_bytes_after: usize,
    /// Whether the connection must be woken: it has not been since it last took its mail.
    pub is_first: bool,
}

/// Where a client connected from and to.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Address of the peer, as CLIENT LIST shows it.
    pub addr: String,
    /// Address of the server's side.
    pub laddr: String,
    /// File descriptor number.
    pub fd: i32,
    /// Whether it is a unix socket.
    pub is_unix: bool,
}

/// See the module's text. Numbers are written by the client's connection alone, so it shares no
/// cache line with a client of another worker.
#[derive(Debug)]
#[repr(align(64))]
pub struct ClientHandle {
    /// Unique in the server's life.
    pub id: u64,
    /// Where it connected from and to.
    pub peer: Peer,
    /// When it connected: Unix milliseconds.
    pub connected_ms: i64,
    /// Number of the worker that serves it.
    worker: AtomicUsize,
    flags: AtomicU32,
    protocol: AtomicU32,
    db: AtomicUsize,
    active_ms: AtomicI64,
    /// Row of its last command + 1; 0: none.
    pub last_command: AtomicUsize,
    /// Commands queued by MULTI; -1: no transaction.
    n_queued: AtomicI64,
    /// Bytes of the words of queued commands.
    multi_args_bytes: AtomicUsize,
    /// Bytes of memory that queued commands take.
    multi_mem_bytes: AtomicUsize,
    /// Watched keys.
    pub n_watched: AtomicUsize,
    /// Set as soon as a watched key changes.
    pub watch_flag: Arc<WatchFlag>,
    /// Bytes of input that have not been parsed.
    pub input_bytes: AtomicUsize,
    /// Free bytes of its own input buffer.
    pub input_free_bytes: AtomicUsize,
    /// Bytes of the words of its unfinished request.
    pub words_bytes: AtomicUsize,
    /// Bytes of memory that what was parsed of that request takes.
    pub parsed_bytes: AtomicUsize,
    /// Bytes of output that the socket has not taken.
    pub output_bytes: AtomicUsize,
    /// Bytes of its own output buffer, used or not; and the most of them that were used.
    pub output_buffer_bytes: AtomicUsize,
    /// See there.
    pub output_peak_bytes: AtomicUsize,
    /// Since when there is more output than the soft limit of its class allows: Unix milliseconds;
    /// 0: there is not.
    pub output_soft_since_ms: AtomicI64,
    /// Bytes received.
    pub net_in_bytes: AtomicU64,
    /// Bytes sent.
    pub net_out_bytes: AtomicU64,
    /// Commands processed.
    pub n_commands: AtomicU64,
    /// What it told about itself.
    pub names: Mutex<Names>,
    /// What it has subscribed to.
    pub subscriptions: Mutex<Option<Box<Subscriptions>>>,
    /// Id of the client that gets its invalidations instead; 0: none.
    pub redirect: AtomicU64,
    /// Whether that client is gone.
    pub is_redirect_broken: AtomicBool,
    /// Bytes of the prefixes that it tracks.
    pub prefix_bytes: AtomicUsize,
    /// What it is blocked in, if it is.
    pub wait: Mutex<Option<Arc<Wait>>>,
    is_killed: AtomicBool,
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
    waker: AtomicWaker,
}

impl ClientHandle {
    /// Number of the worker that serves it.
    #[inline]
    pub fn worker(&self) -> usize {
        self.worker.load(Ordering::Relaxed)
    }

    /// Another worker serves it from now on.
    pub fn set_worker(&self, worker: usize) {
        self.worker.store(worker, Ordering::Relaxed);
    }

    /// The handle of a client that has just connected.
    pub fn new(id: u64, peer: Peer, worker: usize, user: Arc<User>, now_ms: i64) -> ClientHandle {
        let flags = if peer.is_unix { ClientFlags::UNIX_SOCKET } else { ClientFlags::empty() };
        let names =
            Names { name: String::new(), lib_name: String::new(), lib_ver: String::new(), user };
        ClientHandle {
            id,
            peer,
            connected_ms: now_ms,
            worker: AtomicUsize::new(worker),
            flags: AtomicU32::new(flags.bits()),
            protocol: AtomicU32::new(2),
            db: AtomicUsize::new(0),
            active_ms: AtomicI64::new(now_ms),
            last_command: AtomicUsize::new(0),
            n_queued: AtomicI64::new(-1),
            multi_args_bytes: AtomicUsize::new(0),
            multi_mem_bytes: AtomicUsize::new(0),
            n_watched: AtomicUsize::new(0),
            watch_flag: Arc::default(),
            input_bytes: AtomicUsize::new(0),
            input_free_bytes: AtomicUsize::new(0),
            words_bytes: AtomicUsize::new(0),
            parsed_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            output_buffer_bytes: AtomicUsize::new(0),
            output_peak_bytes: AtomicUsize::new(0),
            output_soft_since_ms: AtomicI64::new(0),
            net_in_bytes: AtomicU64::new(0),
            net_out_bytes: AtomicU64::new(0),
            n_commands: AtomicU64::new(0),
            names: Mutex::new(names),
            subscriptions: Mutex::default(),
            redirect: AtomicU64::new(0),
            is_redirect_broken: AtomicBool::new(false),
            prefix_bytes: AtomicUsize::new(0),
            wait: Mutex::default(),
            is_killed: AtomicBool::new(false),
            has_mail: AtomicBool::new(false),
            mail: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// See [`ClientFlags`].
    pub fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    pub(super) fn set_flags(&self, flags: ClientFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// See [`ClientType`].
    pub fn client_type(&self) -> ClientType {
        // Monitors are normal clients.
        match self.flags() {
            flags if flags.contains(ClientFlags::REPLICA) => ClientType::Replica,
            flags if flags.contains(ClientFlags::PRIMARY) => ClientType::Master,
            flags if flags.contains(ClientFlags::PUBSUB) => ClientType::Pubsub,
            _ => ClientType::Normal,
        }
    }

    /// 2 or 3.
    pub fn protocol_number(&self) -> u32 {
        self.protocol.load(Ordering::Relaxed)
    }

    /// The protocol that pushes are written in. Changes only while the mail is locked.
    fn protocol(&self) -> Protocol {
        if self.protocol_number() == 3 { Protocol::Resp3 } else { Protocol::Resp2 }
    }

    /// Speaks another protocol from now on. Returns the mail so far, which is in the old one.
    pub(super) fn set_protocol(&self, protocol: Protocol) -> Vec<u8> {
        let mut mail = self.mail.lock();
        self.protocol.store(protocol.number() as u32, Ordering::Relaxed);
        std::mem::take(&mut mail.output)
    }

    /// Number of the selected database.
    pub fn db(&self) -> usize {
        self.db.load(Ordering::Relaxed)
    }

    pub(super) fn set_db(&self, db: usize) {
        self.db.store(db, Ordering::Relaxed);
    }

    /// When it last sent or took something: Unix milliseconds.
    pub fn active_ms(&self) -> i64 {
        self.active_ms.load(Ordering::Relaxed)
    }

    /// It has sent or taken something.
    #[inline]
    pub fn touch(&self, now_ms: i64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Its last command has this row; `None`: there is no such command.
    #[inline]
    pub fn show_command(&self, row: Option<usize>) {
        self.last_command.store(row.map_or(0, |id| id + 1), Ordering::Relaxed);
    }

    /// Commands queued by MULTI; -1: no transaction.
    pub fn n_queued(&self) -> i64 {
        self.n_queued.load(Ordering::Relaxed)
    }

    /// Bytes of the words of queued commands.
    pub fn multi_args_bytes(&self) -> usize {
        self.multi_args_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of memory that queued commands take.
    pub fn multi_mem_bytes(&self) -> usize {
        self.multi_mem_bytes.load(Ordering::Relaxed)
    }

    /// Tells what the client's transaction holds.
    pub fn show_multi(&self, multi: Option<&Multi>) {
        let n_queued = multi.map_or(-1, |multi| multi.queue.len() as i64);
        self.n_queued.store(n_queued, Ordering::Relaxed);
        let bytes = |count: fn(&Multi) -> usize| multi.map_or(0, count);
        self.multi_args_bytes.store(bytes(|multi| multi.args_bytes), Ordering::Relaxed);
        self.multi_mem_bytes.store(bytes(|multi| multi.mem_bytes), Ordering::Relaxed);
    }

    /// Tells what waits in a buffer of the client's own because the socket has not taken it.
    pub fn show_output(&self, len: usize, capacity: usize) {
        self.output_bytes.store(len, Ordering::Relaxed);
        self.output_buffer_bytes.store(capacity, Ordering::Relaxed);
        let peak = self.output_peak_bytes.load(Ordering::Relaxed).max(len);
        self.output_peak_bytes.store(if capacity == 0 { 0 } else { peak }, Ordering::Relaxed);
    }

    /// Puts something into the connection's way and wakes it.
    pub fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.mail.lock());
        self.wake();
    }

    /// Wakes the connection, so that it looks again at what held it up.
    pub fn wake(&self) {
        self.has_mail.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Has the connection send `bytes`, which do not answer a request of its own. Returns how much
    /// output it then has before it.
    pub fn push(&self, bytes: &[u8]) -> usize {
        let mut n_bytes = self.output_bytes.load(Ordering::Relaxed);
        self.post(|mail| {
            mail.output.extend_from_slice(bytes);
            n_bytes += mail.output.len();
        });
        n_bytes
    }

    /// Puts into the mail what `bytes` gives for the client's protocol, and wakes nobody. What that
    /// takes is added to `passing` until it is taken.
    pub fn deliver<'b>(
        &self,
        bytes: impl FnOnce(Protocol) -> &'b [u8],
        passing: Option<&PassingSum>,
    ) -> Delivered {
        /// Room for some messages, so that it does not grow with each.
        const ROOM_BYTES: usize = 1024;
        let mut mail = self.mail.lock();
        let is_first = mail.output.is_empty();
        let capacity = mail.output.capacity();
        if capacity == 0 {
            mail.output.reserve(ROOM_BYTES);
        }
        let output_bytes = self.output_bytes.load(Ordering::Relaxed);
        let n_bytes_before = output_bytes + mail.output.len();
        mail.output.extend_from_slice(bytes(self.protocol()));
        if let Some(sum) = passing {
            let n_bytes = mail.output.capacity() - capacity;
            mail.passing.add(n_bytes, sum);
        }
        let n_bytes_after = output_bytes + mail.output.len();
        drop(mail);
        self.has_mail.store(true, Ordering::Release);
        Delivered { n_bytes_before, n_bytes_after, is_first }
    }

    /// Bytes that the connection has not taken.
    pub fn n_mail_bytes(&self) -> usize {
        self.mail.lock().output.len()
    }

    /// What was to be sent, for the connection to send it at once.
    #[cold]
    pub fn take_output(&self) -> Mail {
        let mut mail = self.mail.lock();
        let Mail { output, passing, .. } = &mut *mail;
        Mail { output: std::mem::take(output), passing: std::mem::take(passing), unblock: None }
    }

    /// Who gets its invalidations, as it is shown: 0 for itself, -1 if it does not track.
    pub fn redirect_shown(&self) -> i64 {
        if self.flags().contains(ClientFlags::TRACKING) {
            self.redirect.load(Ordering::Relaxed) as i64
        } else {
            -1
        }
    }

    /// Number of subscriptions of one kind.
    pub fn n_subscribed(&self, kind: Kind) -> usize {
        self.subscriptions.lock().as_ref().map_or(0, |subscriptions| subscriptions.len(kind))
    }

    /// Ends what the client waits for, if it waits and `kinds` holds for it. As [`Wait::end`].
    #[must_use]
    pub fn end_wait(&self, kinds: impl Fn(WaitKind) -> bool) -> bool {
        let wait = self.wait.lock().clone();
        wait.is_some_and(|wait| kinds(wait.kind) && wait.end())
    }

    /// Ends the connection.
    pub fn kill(&self) {
        self.is_killed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the connection is to end.
    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Acquire)
    }

    /// Has `waker` woken by the next that is put into the connection's way.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether something was put into the connection's way.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// What was put into the connection's way. Has `waker` woken by the next.
    pub fn take_mail(&self, waker: &Waker) -> Mail {
        // In this order: what comes after the registration wakes, what came before it is taken.
        self.waker.register(waker);
        self.has_mail.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.mail.lock())
    }

    /// What was delivered, for a connection that nobody has woken: the waker that it has registered still
    /// is. `None` if there is more.
    pub fn take_delivered(&self) -> Option<Mail> {
        self.has_mail.store(false, Ordering::SeqCst);
        let mut mail = self.mail.lock();
        if mail.unblock.is_some() {
            self.has_mail.store(true, Ordering::SeqCst);
            return None;
        }
        Some(std::mem::take(&mut *mail))
    }

    /// Adds to a number that only the connection writes.
    #[inline]
    pub fn add(counter: &AtomicU64, by: u64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn mail_is_taken_once_and_wakes() {
        let handle = ClientHandle::new(1, Peer::default(), 0, Arc::default(), 0);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        handle.wake();
        assert!(handle.has_mail() && handle.take_mail(&waker).output.is_empty());
        assert!(!handle.has_mail());
        assert_eq!((handle.push(b"ab"), handle.push(b"c")), (2, 3));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(handle.take_mail(&waker).output, b"abc");
        handle.kill();
        assert!(handle.has_mail() && handle.is_killed());
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}

//! The state of one client.
//!
//! [`Client`] belongs to the connection that serves it, alone. [`ClientHandle`] is the part that
//! other connections see: CLIENT LIST reads it, CLIENT KILL and pushes reach the connection by it.

use crate::transaction::Multi;
use atomic_waker::AtomicWaker;
use bitflags::bitflags;
use crabcache_resp::{Protocol, RequestParser};
use crabcache_store::WatchFlag;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

bitflags! {
    /// Facts about a client that the dispatcher or CLIENT LIST must know.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ClientFlags: u32 {
        /// Has yet to authenticate.
        const NEEDS_AUTH = 1;
        /// Is queueing a transaction.
        const MULTI = 1 << 1;
        /// Sees all commands of others.
        const MONITOR = 1 << 2;
        /// Waits for something.
        const BLOCKED = 1 << 3;
        /// Came by a unix socket.
        const UNIX_SOCKET = 1 << 4;
        /// Goes after its replies are sent.
        const CLOSE_AFTER_REPLY = 1 << 5;
        /// Is spared when clients are evicted.
        const NO_EVICT = 1 << 6;
        /// Leaves no trace on access clocks.
        const NO_TOUCH = 1 << 7;
    }
}

impl ClientFlags {
    /// Those that make the dispatcher go through its checks.
    pub const EXCEPTIONAL: ClientFlags = ClientFlags::NEEDS_AUTH.union(ClientFlags::MULTI);
}

/// CLIENT REPLY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Every command is answered.
    #[default]
    On,
    /// None is.
    Off,
    /// The next one is not.
    SkipNext,
    /// This one is not.
    Skip,
}

/// What a blocked client waits for.
#[derive(Debug, Clone)]
pub struct Blocked {
    /// When it gives up: on the clock's elapsed milliseconds. `None`: never.
    pub deadline_ms: Option<u64>,
    /// The reply, ready to send, when it gives up.
    pub timeout_reply: Vec<u8>,
}

/// A key that a client watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedKey {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Whether it was there but past its time when the watch began.
    pub was_expired: bool,
}

/// See the module's text.
pub struct Client {
    /// What others see.
    pub handle: Arc<ClientHandle>,
    /// Number of the selected database.
    pub db: usize,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// See [`ClientFlags`].
    pub flags: ClientFlags,
    /// The transaction being queued.
    pub multi: Option<Box<Multi>>,
    /// Watched keys, and the flag that a change sets.
    pub watched: Vec<WatchedKey>,
    /// See `watched`.
    pub watch_flag: Arc<WatchFlag>,
    /// A command wants all watches to end; the dispatcher does it.
    pub forgets_watches: bool,
    /// Whether replies are wanted.
    pub reply_mode: ReplyMode,
    /// What the client waits for.
    pub blocked: Option<Blocked>,
    /// Reads the client's requests.
    pub parser: RequestParser,
}

impl Client {
    /// A client that has just connected.
    pub fn new(handle: Arc<ClientHandle>, needs_auth: bool) -> Client {
        let mut flags = handle.flags();
        flags.set(ClientFlags::NEEDS_AUTH, needs_auth);
        Client {
            handle,
            db: 0,
            protocol: Protocol::Resp2,
            flags,
            multi: None,
            watched: Vec::new(),
            watch_flag: Arc::default(),
            forgets_watches: false,
            reply_mode: ReplyMode::On,
            blocked: None,
            parser: RequestParser::default(),
        }
    }

    /// Sets a flag, for others to see as well.
    pub fn set_flag(&mut self, flag: ClientFlags, value: bool) {
        self.flags.set(flag, value);
        self.handle.flags.store(self.flags.bits(), Ordering::Relaxed);
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.handle.db.store(db, Ordering::Relaxed);
    }

    /// Speaks another protocol from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.handle.protocol.store(protocol.number() as u32, Ordering::Relaxed);
    }

    /// Whether the connection must not go on with the client's requests now.
    #[inline]
    pub fn is_held_up(&self) -> bool {
        self.flags.intersects(ClientFlags::BLOCKED | ClientFlags::CLOSE_AFTER_REPLY)
    }
}

/// What a client told about itself.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// CLIENT SETNAME
    pub name: String,
    /// CLIENT SETINFO LIB-NAME
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER
    pub lib_ver: String,
}

/// What others put into a connection's way.
#[derive(Debug, Default)]
pub struct Mail {
    /// Bytes to send.
    pub output: Vec<u8>,
    /// The connection must end.
    pub is_killed: bool,
    /// CLIENT UNBLOCK or the like: the reply of the command that the client is blocked in.
    pub unblock: Option<Vec<u8>>,
}

/// The part of a client that other threads see. Numbers are written by its connection alone, so it
/// shares no cache line with a client of another worker.
#[derive(Debug)]
#[repr(align(64))]
pub struct ClientHandle {
    /// Unique in the server's life.
    pub id: u64,
    /// Address of the peer, as CLIENT LIST shows it.
    pub addr: String,
    /// Address of the server's side.
    pub laddr: String,
    /// File descriptor number, for CLIENT LIST.
    pub fd: i32,
    /// When it connected: Unix milliseconds.
    pub connected_ms: i64,
    /// Number of the worker that serves it.
    pub worker: usize,
    flags: AtomicU32,
    protocol: AtomicU32,
    /// Number of the selected database.
    pub db: AtomicUsize,
    /// When it last sent something: Unix milliseconds.
    pub active_ms: AtomicI64,
    /// Row of its last command + 1; 0: none.
    pub last_command: AtomicUsize,
    /// Commands queued by MULTI; -1: no transaction.
    pub n_queued: AtomicI64,
    /// Watched keys.
    pub n_watched: AtomicUsize,
    /// Bytes of unprocessed input.
    pub input_bytes: AtomicUsize,
    /// Free bytes of the input buffer.
    pub input_free_bytes: AtomicUsize,
    /// Bytes of queued commands.
    pub multi_bytes: AtomicUsize,
    /// Bytes of output that the socket has not taken.
    pub output_bytes: AtomicUsize,
    /// Bytes received.
    pub net_in_bytes: AtomicU64,
    /// Bytes sent.
    pub net_out_bytes: AtomicU64,
    /// Commands processed.
    pub n_commands: AtomicU64,
    /// What it told about itself.
    pub names: Mutex<Names>,
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
    waker: AtomicWaker,
}

/// Where a client connected from and to.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Address of the peer.
    pub addr: String,
    /// Address of the server's side.
    pub laddr: String,
    /// File descriptor number.
    pub fd: i32,
    /// Whether it is a unix socket.
    pub is_unix: bool,
}

impl ClientHandle {
    /// The handle of a client that has just connected.
    pub fn new(id: u64, peer: Peer, worker: usize, now_ms: i64) -> ClientHandle {
        let flags = if peer.is_unix { ClientFlags::UNIX_SOCKET } else { ClientFlags::empty() };
        ClientHandle {
            id,
            addr: peer.addr,
            laddr: peer.laddr,
            fd: peer.fd,
            connected_ms: now_ms,
            worker,
            flags: AtomicU32::new(flags.bits()),
            protocol: AtomicU32::new(2),
            db: AtomicUsize::new(0),
            active_ms: AtomicI64::new(now_ms),
            last_command: AtomicUsize::new(0),
            n_queued: AtomicI64::new(-1),
            n_watched: AtomicUsize::new(0),
            input_bytes: AtomicUsize::new(0),
            input_free_bytes: AtomicUsize::new(0),
            multi_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            net_in_bytes: AtomicU64::new(0),
            net_out_bytes: AtomicU64::new(0),
            n_commands: AtomicU64::new(0),
            names: Mutex::default(),
            has_mail: AtomicBool::new(false),
            mail: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// See [`ClientFlags`].
    pub fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// 2 or 3.
    pub fn protocol_number(&self) -> u32 {
        self.protocol.load(Ordering::Relaxed)
    }

    /// Puts something into the connection's way and wakes it.
    pub fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.mail.lock());
        self.has_mail.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the connection.
    pub fn kill(&self) {
        self.post(|mail| mail.is_killed = true);
    }

    /// Wakes the connection, so that it looks again at what held it up.
    pub fn wake(&self) {
        self.post(|_| {});
    }

    /// What was put into the connection's way since the last call.
    #[inline]
    pub fn take_mail(&self) -> Option<Mail> {
        if !self.has_mail.load(Ordering::Acquire) {
            return None;
        }
        self.has_mail.store(false, Ordering::Relaxed);
        Some(std::mem::take(&mut *self.mail.lock()))
    }

    /// Has `waker` woken by [`ClientHandle::post`].
    pub fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// Adds to a number that only the connection writes.
    #[inline]
    pub fn add(counter: &AtomicU64, by: u64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }
}

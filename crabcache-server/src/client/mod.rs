//! The state of one client.
//!
//! [`Client`] belongs to the connection that serves it, alone. [`ClientHandle`] is the part that
//! other connections see: CLIENT LIST reads it, CLIENT KILL and pushes reach the connection by it.

mod describe;
mod handle;

pub use describe::{Running, describe, mem_bytes};
pub use handle::{ClientHandle, Mail, Names, Peer};

use crate::acl::User;
use crate::blocking::Blocked;
use crate::replication::link::PrimaryState;
use crate::replication::log::Ends;
use crate::replication::replicas::{Introduction, SyncRequest};
use crate::transaction::Multi;
use bitflags::bitflags;
use crabcache_resp::{Protocol, RequestParser};
use std::sync::Arc;

bitflags! {
    /// Facts about a client that the dispatcher or CLIENT LIST must know.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ClientFlags: u32 {
        /// Has not authenticated.
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
        /// Goes at once; what it has not been sent is lost.
        const CLOSE_ASAP = 1 << 8;
        /// Is a user who may not do everything. As of the last look at the user's rules.
        const RESTRICTED = 1 << 9;
        /// Has subscribed to channels.
        const PUBSUB = 1 << 10;
        /// Is told when keys change that it has read.
        const TRACKING = 1 << 11;
        /// Is told of all keys with a prefix instead.
        const TRACKING_BCAST = 1 << 12;
        /// Chooses the reads that are tracked.
        const TRACKING_OPTIN = 1 << 13;
        /// Chooses the reads that are not tracked.
        const TRACKING_OPTOUT = 1 << 14;
        /// Is not told of its own changes.
        const TRACKING_NOLOOP = 1 << 15;
        /// Has chosen the next command or transaction.
        const TRACKING_CACHING = 1 << 16;
        /// Has asked for the replication stream.
        const REPLICA = 1 << 17;
        /// Our primary, whose stream we apply.
        const PRIMARY = 1 << 18;
    }
}

impl ClientFlags {
    /// Those that make the dispatcher go through its checks.
    pub const EXCEPTIONAL: ClientFlags = ClientFlags::NEEDS_AUTH
        .union(ClientFlags::MULTI)
        .union(ClientFlags::MONITOR)
        .union(ClientFlags::RESTRICTED)
        .union(ClientFlags::PUBSUB);

    /// Those with which no further request is served.
    pub const HELD_UP: ClientFlags = ClientFlags::BLOCKED
        .union(ClientFlags::CLOSE_AFTER_REPLY)
        .union(ClientFlags::CLOSE_ASAP)
        .union(ClientFlags::REPLICA);
}

/// What kind of peer a client is: CLIENT LIST and KILL choose by it, and so do output limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// Any other; monitors too.
    Normal,
    /// Our primary.
    Master,
    /// A replica of ours.
    Replica,
    /// Has subscribed to channels.
    Pubsub,
}

impl ClientType {
    /// The type of this name, in any letter case.
    pub fn by_name(name: &[u8]) -> Option<ClientType> {
        const NAMES: &[(&str, ClientType)] = &[
            ("normal", ClientType::Normal),
            ("master", ClientType::Master),
            ("slave", ClientType::Replica),
            ("replica", ClientType::Replica),
            ("pubsub", ClientType::Pubsub),
        ];
        let found = NAMES.iter().find(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, kind)| *kind)
    }
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

/// A key that a client watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedKey {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
}

/// See the module's text.
pub struct Client {
    /// What others see.
    pub handle: Arc<ClientHandle>,
    /// Number of the selected database.
    pub db: usize,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// Whom it has authenticated as.
    pub user: Arc<User>,
    /// See [`ClientFlags`].
    pub flags: ClientFlags,
    /// The transaction being queued.
    pub multi: Option<Box<Multi>>,
    /// Watched keys; a change of one sets the handle's flag.
    pub watched: Vec<WatchedKey>,
    /// A command wants all watches to end; the dispatcher does it.
    pub forgets_watches: bool,
    /// Whether replies are wanted.
    pub reply_mode: ReplyMode,
    /// What the client waits for. Set exactly while the flag `BLOCKED` is.
    pub blocked: Option<Box<Blocked>>,
    /// Reads the client's requests.
    pub parser: RequestParser,
    /// What it told about itself, if it is to be a replica.
    pub introduction: Option<Box<Introduction>>,
    /// What it asks for as a replica. Set exactly while the flag `REPLICA` is.
    pub sync: Option<SyncRequest>,
    /// What is kept of it if it is our primary. Set exactly while the flag `PRIMARY` is.
    pub primary: Option<Box<PrimaryState>>,
    /// Where the streams of changes ended behind its last one.
    pub last_write: Ends,
}

impl Client {
    /// A client that has just connected.
    pub fn new(handle: Arc<ClientHandle>, needs_auth: bool) -> Client {
        let user = handle.names.lock().user.clone();
        let mut client = Client {
            db: 0,
            protocol: Protocol::Resp2,
            user,
            flags: handle.flags(),
            multi: None,
            watched: Vec::new(),
            forgets_watches: false,
            reply_mode: ReplyMode::On,
            blocked: None,
            parser: RequestParser::default(),
            introduction: None,
            sync: None,
            primary: None,
            last_write: Ends::default(),
            handle,
        };
        client.set_flag(ClientFlags::NEEDS_AUTH, needs_auth);
        client
    }

    /// Whether its commands have been accepted elsewhere: those of a primary, and of an append-only
    /// file, whose client has no number.
    pub fn is_obeyed(&self) -> bool {
        self.handle.id == 0 || self.flags.contains(ClientFlags::PRIMARY)
    }

    /// Wants all watches to end, if there are any: those to come stay.
    pub fn forget_watches(&mut self) {
        self.forgets_watches |= !self.watched.is_empty();
    }

    /// A client that a request of another one runs as, on whatever thread. Others do not see it.
    pub(crate) fn stand_in(
        handle: Arc<ClientHandle>,
        db: usize,
        protocol: Protocol,
        flags: ClientFlags,
        reply_mode: ReplyMode,
    ) -> Client {
        let user = handle.names.lock().user.clone();
        Client {
            user,
            handle,
            db,
            protocol,
            flags,
            multi: None,
            watched: Vec::new(),
            forgets_watches: false,
            reply_mode,
            blocked: None,
            parser: RequestParser::default(),
            introduction: None,
            sync: None,
            primary: None,
            last_write: Ends::default(),
        }
    }

    /// Sets a flag, for others to see as well.
    pub fn set_flag(&mut self, flag: ClientFlags, value: bool) {
        self.flags.set(flag, value);
        self.handle.set_flags(self.flags);
    }

    /// Makes it another user.
    pub fn set_user(&mut self, user: Arc<User>) {
        self.handle.names.lock().user = user.clone();
        self.user = user;
        self.look_at_user();
    }

    /// Looks at what its user may do, which others can change between two batches.
    #[inline]
    pub fn look_at_user(&mut self) {
        self.flags.set(ClientFlags::RESTRICTED, self.user.is_restricted());
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.handle.set_db(db);
    }

    /// Speaks another protocol from now on. Returns what others have pushed in the old one.
    #[must_use]
    pub fn set_protocol(&mut self, protocol: Protocol) -> Vec<u8> {
        self.protocol = protocol;
        self.handle.set_protocol(protocol)
    }

    /// Whether it has subscribed and speaks RESP2, where only some commands can be told from
    /// messages.
    pub fn is_subscribed_in_resp2(&self) -> bool {
        self.flags.contains(ClientFlags::PUBSUB) && self.protocol == Protocol::Resp2
    }

    /// Whether the connection must not go on with the client's requests now.
    #[inline]
    pub fn is_held_up(&self) -> bool {
        self.flags.intersects(ClientFlags::HELD_UP)
    }

    /// Whether the client wants the reply to the command that has just run. To be asked once for
    /// each command: CLIENT REPLY SKIP counts by it.
    #[inline]
    pub fn takes_reply(&mut self) -> bool {
        self.reply_mode == ReplyMode::On || self.takes_some_reply()
    }

    #[cold]
    fn takes_some_reply(&mut self) -> bool {
        match self.reply_mode {
            ReplyMode::On | ReplyMode::Off => {}
            ReplyMode::SkipNext => self.reply_mode = ReplyMode::Skip,
            ReplyMode::Skip => self.reply_mode = ReplyMode::On,
        }
        false
    }
}

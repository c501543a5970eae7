//! The machinery of commands: their table, arguments, keys, context, checks and execution.
//!
//! No command lives here: `commands/` has one row and one function for each. All that COMMAND says
//! and all that the dispatcher must know follows from the row.

pub mod apply;
pub mod args;
pub mod context;
pub mod dispatch;
pub mod effects;
mod help;
#[cfg(test)]
mod hostile;
pub mod keys;
pub mod known_keys;
mod lap;
mod name;
pub mod pipeline;
pub mod syntax;
pub mod table;

pub use args::{Args, Words};
pub use context::Ctx;
pub use effects::Effects;
pub use help::help;
pub use keys::{KeyFinder, KeyFlags, KeySpec};
pub use table::{CommandRow, CommandTable};

use crate::error::CommandError;
use bitflags::bitflags;
use crabcache_store::{Locked, Pass, ReadDb, Trace, Walk, WriteDb};
use std::ops::Range;

/// What a handler returns: its reply is written, or it failed and has changed nothing.
pub type CommandResult = Result<(), CommandError>;

/// Whether word number `index` of a request is a secret.
pub type Secrets = fn(Args<'_>, usize) -> bool;

/// The function of a command. The kind decides what it can do and what is locked for it.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Reads keys; their stripes are locked for reading.
    Read(fn(&ReadDb, &mut Ctx, Args) -> CommandResult),
    /// Changes keys; their stripes are locked for writing.
    Write(fn(&mut WriteDb, &mut Ctx, Args) -> CommandResult),
    /// Goes through whole databases, stripe by stripe.
    Walk(fn(&mut Walk, &mut Ctx, Args) -> CommandResult),
    /// Changes whole databases; nothing else runs meanwhile.
    Exclusive(fn(&mut WriteDb, &mut Ctx, Args) -> CommandResult),
    /// Touches no data.
    Server(fn(&mut Ctx, Args) -> CommandResult),
    /// Locks what it needs itself: EXEC and WATCH. Never runs inside a transaction.
    Gated(fn(&mut Pass, &mut Ctx, Args, &Trace) -> CommandResult),
    /// Runs other commands on what it has locked: scripts.
    Script(fn(&mut Locked, &mut Ctx, Args, &Trace) -> CommandResult),
    /// Has subcommands and no function of its own.
    Container,
}

bitflags! {
    /// What a command is and when it may run. READONLY and WRITE follow from the handler's kind.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Changes data.
        const WRITE = 1;
        /// Reads data.
        const READONLY = 1 << 1;
        /// Refused while memory is above `maxmemory`.
        const DENYOOM = 1 << 2;
        /// Comes from a module in the reference.
        const MODULE = 1 << 3;
        /// For administrators.
        const ADMIN = 1 << 4;
        /// Publish and subscribe.
        const PUBSUB = 1 << 5;
        /// Not from scripts.
        const NOSCRIPT = 1 << 6;
        /// May block its client.
        const BLOCKING = 1 << 7;
        /// Runs while data is loaded.
        const LOADING = 1 << 8;
        /// Runs on a replica with outdated data.
        const STALE = 1 << 9;
        /// Not shown to monitors.
        const SKIP_MONITOR = 1 << 10;
        /// Not in the slow log.
        const SKIP_SLOWLOG = 1 << 11;
        /// Implies ASKING.
        const ASKING = 1 << 12;
        /// Takes constant or logarithmic time.
        const FAST = 1 << 13;
        /// Needs no authentication.
        const NO_AUTH = 1 << 14;
        /// Has keys only with some options.
        const NO_MANDATORY_KEYS = 1 << 15;
        /// Not while a replica loads beside its old data.
        const NO_ASYNC_LOADING = 1 << 16;
        /// Not in a transaction.
        const NO_MULTI = 1 << 17;
        /// Keys are not at fixed places.
        const MOVABLE_KEYS = 1 << 18;
        /// Runs while a script is over its time.
        const ALLOW_BUSY = 1 << 19;
        /// May be replicated although it changes no key.
        const MAY_REPLICATE = 1 << 20;
        /// Only if the configuration allows it.
        const PROTECTED = 1 << 21;
        /// Runs at once even in a transaction.
        const NOT_QUEUED = 1 << 22;
        /// Runs on a connection that has subscribed in RESP2.
        const SUBSCRIBED = 1 << 23;
        /// A subcommand HELP or the like: documented, but of no use to programs.
        const SYSCMD = 1 << 24;
        /// Answers with pushes, which a client gets even if it wants no replies.
        const PUSHES = 1 << 25;
        /// Takes a time that its request and reply tell: if they are short, so is it. The clock is read
        /// once for several of them.
        const LIGHT = 1 << 26;
    }
}

impl Flags {
    /// The flags that COMMAND tells of, with their names, in its order.
    pub const NAMES: &[(Flags, &str)] = &[
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::MODULE, "module"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::MOVABLE_KEYS, "movablekeys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];
}

bitflags! {
    /// ACL categories; those of the group, of reading, writing and speed follow from the row.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Categories: u32 {
        /// @keyspace
        const KEYSPACE = 1;
        /// @read
        const READ = 1 << 1;
        /// @write
        const WRITE = 1 << 2;
        /// @set
        const SET = 1 << 3;
        /// @sortedset
        const SORTEDSET = 1 << 4;
        /// @list
        const LIST = 1 << 5;
        /// @hash
        const HASH = 1 << 6;
        /// @string
        const STRING = 1 << 7;
        /// @bitmap
        const BITMAP = 1 << 8;
        /// @hyperloglog
        const HYPERLOGLOG = 1 << 9;
        /// @geo
        const GEO = 1 << 10;
        /// @stream
        const STREAM = 1 << 11;
        /// @pubsub
        const PUBSUB = 1 << 12;
        /// @admin
        const ADMIN = 1 << 13;
        /// @fast
        const FAST = 1 << 14;
        /// @slow
        const SLOW = 1 << 15;
        /// @blocking
        const BLOCKING = 1 << 16;
        /// @dangerous
        const DANGEROUS = 1 << 17;
        /// @connection
        const CONNECTION = 1 << 18;
        /// @transaction
        const TRANSACTION = 1 << 19;
        /// @scripting
        const SCRIPTING = 1 << 20;
    }
}

impl Categories {
    /// The category of this name, in any letter case.
    pub fn by_name(name: &[u8]) -> Option<Categories> {
        let mut all = Categories::all().iter_names();
        let found = all.find(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, category)| category)
    }

    /// The names of these categories, in the reference's order.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase())
    }
}

/// The group that COMMAND DOCS names; a family's file is called after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// generic
    Generic,
    /// geo
    Geo,
    /// hash
    Hash,
    /// string
    String,
    /// list
    List,
    /// connection
    Connection,
    /// pubsub
    Pubsub,
    /// server
    Server,
    /// set
    Set,
    /// sorted-set
    SortedSet,
    /// transactions
    Transactions,
    /// bitmap
    Bitmap,
    /// hyperloglog
    Hyperloglog,
    /// stream
    Stream,
    /// scripting
    Scripting,
    /// module
    Module,
}

impl Group {
    /// The group's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::String => "string",
            Group::List => "list",
            Group::Connection => "connection",
            Group::Pubsub => "pubsub",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Transactions => "transactions",
            Group::Bitmap => "bitmap",
            Group::Hyperloglog => "hyperloglog",
            Group::Stream => "stream",
            Group::Scripting => "scripting",
            Group::Module => "module",
        }
    }
}

/// Which words of a request are channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Whether all words behind the name are, or the first alone.
    pub all: bool,
    /// Whether they are patterns.
    pub are_patterns: bool,
}

impl Channels {
    /// The first word behind the name.
    pub const FIRST: Channels = Channels { all: false, are_patterns: false };
    /// All words behind the name.
    pub const ALL: Channels = Channels { all: true, are_patterns: false };
    /// All words behind the name, which are patterns.
    pub const PATTERNS: Channels = Channels { all: true, are_patterns: true };

    /// Their positions in a request of `len` words.
    pub fn positions(self, len: usize) -> Range<usize> {
        if self.all { 1..len } else { 1..len.min(2) }
    }
}

/// A deprecated command or form.
#[derive(Debug, Clone, Copy)]
pub struct Deprecated {
    /// Since when.
    pub since: &'static str,
    /// What to use instead.
    pub replaced_by: &'static str,
}

/// What COMMAND DOCS tells.
#[derive(Debug, Clone, Copy)]
pub struct Docs {
    /// The version that brought the command.
    pub since: &'static str,
    /// Its cost.
    pub complexity: &'static str,
    /// Its arguments, in the notation of `command/syntax.rs`.
    pub syntax: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// If it should not be used any more.
    pub deprecated: Option<Deprecated>,
}

/// A row of the command table. Built by the constructors named after the kinds of handler.
#[derive(Clone, Copy)]
pub struct Command {
    /// Lower-case name, but upper-case where the reference has it from a module; of a subcommand,
    /// its own part alone.
    pub name: &'static str,
    /// Its function.
    pub handler: Handler,
    /// Number of words with the name; negative: at least so many.
    pub arity: i32,
    /// See [`Flags`].
    pub flags: Flags,
    /// Categories that do not follow from the rest of the row.
    pub categories: Categories,
    /// Rows of its subcommands.
    pub subcommands: &'static [Command],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// The word that names an element of the collection at the key, if the first one stands at a
    /// fixed place: a batch's elements are fetched into the cache together.
    pub element: Option<usize>,
    /// Finds keys that `keys` leaves open.
    pub key_finder: Option<KeyFinder>,
    /// Where its channels are.
    pub channels: Option<Channels>,
    /// Tells which requests need keys that nothing finds: they get the keyspace to themselves.
    pub whole_keyspace_if: Option<fn(Args<'_>) -> bool>,
    /// Which words of a request are not shown to anybody but the client.
    pub secrets: Option<Secrets>,
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// What COMMAND DOCS tells.
    pub docs: Docs,
}

const fn command(name: &'static str, handler: Handler, flags: Flags) -> Command {
    Command {
        name,
        handler,
        arity: -1,
        flags,
        categories: Categories::empty(),
        subcommands: &[],
        keys: &[],
        element: None,
        key_finder: None,
        channels: None,
        whole_keyspace_if: None,
        secrets: None,
        tips: &[],
        docs: Docs { since: "", complexity: "", syntax: "", summary: "", deprecated: None },
    }
}

/// A command that reads the keys it names.
pub const fn read(
    name: &'static str,
    handler: fn(&ReadDb, &mut Ctx, Args) -> CommandResult,
) -> Command {
    command(name, Handler::Read(handler), Flags::READONLY)
}

/// A command that changes the keys it names.
pub const fn write(
    name: &'static str,
    handler: fn(&mut WriteDb, &mut Ctx, Args) -> CommandResult,
) -> Command {
    command(name, Handler::Write(handler), Flags::WRITE)
}

/// A command that reads whole databases.
pub const fn walk(
    name: &'static str,
    handler: fn(&mut Walk, &mut Ctx, Args) -> CommandResult,
) -> Command {
    command(name, Handler::Walk(handler), Flags::READONLY)
}

/// A command that changes whole databases while nothing else runs.
pub const fn exclusive(
    name: &'static str,
    handler: fn(&mut WriteDb, &mut Ctx, Args) -> CommandResult,
) -> Command {
    command(name, Handler::Exclusive(handler), Flags::WRITE)
}

/// A command that touches no data.
pub const fn server(name: &'static str, handler: fn(&mut Ctx, Args) -> CommandResult) -> Command {
    command(name, Handler::Server(handler), Flags::empty())
}

/// A command that locks what it needs itself. It runs at once even in a transaction.
pub const fn gated(
    name: &'static str,
    handler: fn(&mut Pass, &mut Ctx, Args, &Trace) -> CommandResult,
) -> Command {
    command(name, Handler::Gated(handler), Flags::NOT_QUEUED)
}

/// A command that runs other commands, on keys that its script tells of.
pub const fn script(
    name: &'static str,
    handler: fn(&mut Locked, &mut Ctx, Args, &Trace) -> CommandResult,
) -> Command {
    command(name, Handler::Script(handler), Flags::empty())
}

/// A command with subcommands.
pub const fn container(name: &'static str, subcommands: &'static [Command]) -> Command {
    command(name, Handler::Container, Flags::empty()).subcommands(subcommands).arity(-2)
}

impl Command {
    /// Number of words with the name; negative: at least so many.
    pub const fn arity(self, arity: i32) -> Command {
        Command { arity, ..self }
    }

    /// Adds flags.
    pub const fn flags(self, flags: Flags) -> Command {
        Command { flags: self.flags.union(flags), ..self }
    }

    /// Takes flags away that the constructor set.
    pub const fn without(self, flags: Flags) -> Command {
        Command { flags: self.flags.difference(flags), ..self }
    }

    /// Constant or logarithmic time.
    pub const fn fast(self) -> Command {
        self.flags(Flags::FAST)
    }

    /// If the request and the reply are short, so is the time.
    pub const fn light(self) -> Command {
        self.flags(Flags::LIGHT)
    }

    /// Adds ACL categories.
    pub const fn categories(self, categories: Categories) -> Command {
        Command { categories: self.categories.union(categories), ..self }
    }

    /// Adds subcommands to a command that can also be called without any.
    pub const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command { subcommands, ..self }
    }

    /// Where the keys are.
    pub const fn keys(self, keys: &'static [KeySpec]) -> Command {
        Command { keys, ..self }
    }

    /// Which word names an element (a field, a member) of the collection at the key.
    pub const fn element(self, word: usize) -> Command {
        Command { element: Some(word), ..self }
    }

    /// Finds keys that the specifications leave open, or whose flags depend on options.
    pub const fn key_finder(self, finder: KeyFinder) -> Command {
        Command { key_finder: Some(finder), ..self }
    }

    /// Where the channels are that a user must be allowed to use.
    pub const fn channels(self, channels: Channels) -> Command {
        Command { channels: Some(channels), ..self }
    }

    /// Some requests need keys that only data tells of: nothing else runs meanwhile.
    pub const fn whole_keyspace_if(self, is_needed: fn(Args<'_>) -> bool) -> Command {
        Command { whole_keyspace_if: Some(is_needed), ..self }
    }

    /// Keeps words, such as passwords, out of the slow log and away from monitors.
    pub const fn secrets(self, secrets: Secrets) -> Command {
        Command { secrets: Some(secrets), ..self }
    }

    /// Hints for clients and proxies.
    pub const fn tips(self, tips: &'static [&'static str]) -> Command {
        Command { tips, ..self }
    }

    /// Since which version, the cost, the arguments, and what it does.
    pub const fn doc(
        self,
        since: &'static str,
        complexity: &'static str,
        syntax: &'static str,
        summary: &'static str,
    ) -> Command {
        let docs = Docs { since, complexity, syntax, summary, deprecated: None };
        Command { docs, ..self }
    }

    /// Should not be used any more.
    pub const fn deprecated(self, since: &'static str, replaced_by: &'static str) -> Command {
        let docs = Docs { deprecated: Some(Deprecated { since, replaced_by }), ..self.docs };
        Command { docs, ..self }
    }
}

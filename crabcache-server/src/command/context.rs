//! What a handler gets beside the data and its arguments.

use super::args::{Args, OwnedArgs};
use super::dispatch::Refusal;
use super::effects::Effects;
use super::known_keys::KnownKeys;
use super::table::CommandRow;
use crate::blocking::{Blocked, KeyWait, WaitKind};
use crate::client::{Client, ClientFlags};
use crate::config::Config;
use crate::error::CommandError;
use crate::notify::Event;
use crate::replication::log::Targets;
use crate::scripting::FoundScript;
use crate::server::Server;
use crate::server::interest::Interest;
use crate::stats::WorkerStats;
use crabcache_resp::{Protocol, Reply};
use crabcache_store::{Env, Expiry, Key, Kind};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// The surroundings of one command.
pub struct Ctx<'a> {
    /// What all connections share.
    pub server: &'a Server,
    /// The configuration when the command's batch began, or that it has put in force itself.
    pub config: CurrentConfig<'a>,
    /// Calls that take so long are slow to the slow log or the latency monitor.
    pub(crate) slow_ns: u64,
    /// Whether latencies are kept (`latency-tracking`).
    pub(crate) tracks_latency: bool,
    /// Who asks.
    pub client: &'a mut Client,
    /// Where the answer goes.
    pub reply: Reply<'a>,
    /// Time and other circumstances.
    pub env: Env,
    /// What the command did, told by the handler.
    pub effects: Effects,
    /// The command's row.
    pub row: &'a CommandRow,
    /// Where the command's keys are.
    pub(crate) known_keys: KnownKeys,
    /// Whether the next command of the batch needs the same stripe, which then stays locked.
    pub(crate) keeps_stripe: bool,
    /// Whether the command runs inside a transaction, where it must not block.
    pub in_exec: bool,
    /// Number of the thread that runs the command.
    pub(crate) worker: usize,
    /// What it counts in.
    pub(crate) stats: &'a WorkerStats,
    /// Whether the command runs again after it has waited for keys.
    pub(crate) is_served: bool,
    /// Whether such a command is to wait further.
    pub(crate) blocks_again: bool,
    /// Whether memory is full and nothing can be removed.
    pub(crate) lacks_memory: bool,
    /// Where the replies of the request begin in the output; of EXEC, those of all its commands.
    pub(crate) mark: usize,
    /// Whether a script runs the command.
    pub(crate) in_script: bool,
    /// What the script that runs takes for the time, once it has asked: Unix microseconds.
    pub(crate) script_time_us: Option<i64>,
    /// Why the command may not run after all, found out when the whole keyspace was waited for.
    pub(crate) refusal: Option<Refusal>,
    /// The script that is about to run, once it was found for its keys.
    pub(crate) script: Option<FoundScript>,
    /// Lines for monitors, sent at the end of the batch.
    pub(crate) shown: Vec<u8>,
}

impl<'a> Ctx<'a> {
    /// The surroundings of the next commands of `client`, whose replies go to `out`.
    pub(crate) fn new(
        server: &'a Server,
        config: &'a Arc<Config>,
        client: &'a mut Client,
        out: &'a mut Vec<u8>,
    ) -> Ctx<'a> {
        let mut env = server.env(config);
        let worker = client.handle.worker();
        env.touches = !client.flags.contains(ClientFlags::NO_TOUCH);
        // What has expired was as good as any other key where the commands were made.
        if client.is_obeyed() {
            env.expiry = Expiry::Ignore;
        }
        client.look_at_user();
        Ctx {
            server,
            config: CurrentConfig::Kept(config),
            slow_ns: slow_ns(config),
            tracks_latency: config.latency_tracking,
            reply: Reply::new(out, client.protocol),
            client,
            env,
            effects: Effects::default(),
            row: server.commands.row(0),
            known_keys: KnownKeys::default(),
            keeps_stripe: false,
            in_exec: false,
            worker,
            stats: &server.stats.workers[worker],
            is_served: false,
            blocks_again: false,
            lacks_memory: false,
            mark: 0,
            in_script: false,
            script_time_us: None,
            refusal: None,
            script: None,
            shown: Vec::new(),
        }
    }

    /// Whether the command may block its client instead of answering at once.
    pub fn may_block(&self) -> bool {
        !self.in_exec
    }

    /// Blocks the client; the handler then writes no reply. Without a `deadline_ms` (Unix
    /// milliseconds) it may wait for ever. See `blocking.rs`.
    pub fn block(
        &mut self,
        kind: WaitKind,
        deadline_ms: Option<i64>,
        end_reply: impl FnOnce(&Server, &mut Reply<'_>) + Send + 'static,
    ) {
        assert!(self.may_block(), "a command blocked inside a transaction");
        let deadline = deadline_ms.map(|deadline_ms| {
            let wait_ms = u64::try_from(deadline_ms - self.env.now_ms).unwrap_or(0);
            self.server.clock.elapsed().saturating_add(Duration::from_millis(wait_ms))
        });
        self.client.blocked = Some(Box::new(Blocked {
            wait: self.server.blocking.begin(&self.client.handle, kind),
            deadline,
            end_reply: Box::new(end_reply),
            request: OwnedArgs::default(),
            row: self.row.id,
            took_ns: 0,
            key_wait: None,
            parked: None,
        }));
        self.client.set_flag(ClientFlags::BLOCKED, true);
    }

    /// Blocks the client until one of the keys changes; then the command runs again. A null array
    /// is the reply if it waits in vain. Otherwise as [`Ctx::block`].
    pub fn block_for_keys(&mut self, key_wait: KeyWait, deadline_ms: Option<i64>) {
        if self.is_served {
            self.blocks_again = true;
            return;
        }
        self.block(WaitKind::Keys, deadline_ms, |_, reply| reply.null_array());
        if let Some(blocked) = &mut self.client.blocked {
            blocked.key_wait = Some(key_wait);
        }
    }

    /// The key of these bytes. Costs nothing for the keys that the command was locked by, if it
    /// asks for them in the order of the request.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        match self.known_keys.find(bytes) {
            Some(place) => place.key(bytes),
            None => self.server.keyspace.key(bytes),
        }
    }

    /// Answers in another protocol from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        let pushed = self.client.set_protocol(protocol);
        self.reply.insert(self.mark, &pushed);
        self.reply.set_protocol(protocol);
    }

    /// Sends what others have pushed to the client so far before the reply to the request.
    pub fn send_pushed(&mut self) {
        let pushed = self.client.handle.take_output();
        self.reply.insert(self.mark, &pushed.output);
    }

    /// Lets the next commands treat what has expired as the server's role wants it now. It can change
    /// only while the thread's gate is not held.
    pub(crate) fn refresh_expiry(&mut self) {
        if !self.client.is_obeyed() {
            self.env.expiry = self.server.expiry(self.env.now_ms);
        }
    }

    /// Lets the commands of the batch see a configuration that one of them has put in force.
    pub fn refresh_config(&mut self) {
        self.config = CurrentConfig::New(self.server.config.get());
        self.slow_ns = slow_ns(&self.config);
        self.tracks_latency = self.config.latency_tracking;
    }

    /// The number of a database that exists.
    ///
    /// # Errors
    /// [`CommandError::DbIndex`] if there is none.
    pub fn db_number(&self, number: i32) -> Result<usize, CommandError> {
        let number = usize::try_from(number).map_err(|_| CommandError::DbIndex)?;
        let exists = number < self.server.keyspace.n_databases();
        exists.then_some(number).ok_or(CommandError::DbIndex)
    }

    /// Says that a key of the client's database was changed.
    #[inline]
    pub fn changed(&mut self, key: &[u8], event: Event) {
        self.effects.changed(self.client.db, key, event);
    }

    /// Says that something beside the value of a key was changed; see [`Effects::changed_aside`].
    pub fn changed_aside(&mut self, key: &[u8], event: Event) {
        self.effects.changed_aside(self.client.db, key, event);
    }

    /// As [`Ctx::changed`], of a collection that lost elements; without any left, its key is gone.
    #[inline]
    pub fn shrunk(&mut self, key: &[u8], event: Event, is_emptied: bool) {
        self.changed(key, event);
        if is_emptied {
            self.event(key, Event::DEL);
        }
    }

    /// Tells that a value of the kind `new` took the place of whatever was there, `old`. To be told
    /// before the event of the change itself.
    #[inline]
    pub fn overwritten(&mut self, key: &[u8], old: Option<Kind>, new: Kind) {
        if let Some(old) = old {
            self.effects.overwritten(self.client.db, key, old != new);
        }
    }

    /// Sends the request to replicas: a message that changes nothing.
    pub fn propagate_message(&self, args: Args<'_>) {
        if self.server.interests.get().contains(Interest::PROPAGATION) {
            let targets = self.effects.targets & Targets::REPLICAS;
            self.server.propagate(targets, Some(self.client.db), args.iter());
        }
    }

    /// Tells of an event about a key of the client's database, without counting a change.
    #[inline]
    pub fn event(&mut self, key: &[u8], event: Event) {
        self.effects.event(self.client.db, key, event);
    }
}

/// The configuration that a command sees. The worker's own reference serves all batches, because
/// counting references is expensive when all workers do it.
pub enum CurrentConfig<'a> {
    /// In force when the batch began.
    Kept(&'a Arc<Config>),
    /// Put in force by a command of the batch.
    New(Arc<Config>),
}

impl CurrentConfig<'_> {
    /// The same, to be kept.
    pub(crate) fn shared(&self) -> &Arc<Config> {
        match self {
            CurrentConfig::Kept(config) => config,
            CurrentConfig::New(config) => config,
        }
    }
}

impl Deref for CurrentConfig<'_> {
    type Target = Config;

    #[inline]
    fn deref(&self) -> &Config {
        self.shared()
    }
}

/// How long a call may take without being noted anywhere.
pub(super) fn slow_ns(config: &Config) -> u64 {
    let limit = |limit: i64, is_on: bool, unit_ns: u64| match u64::try_from(limit) {
        Ok(limit) if is_on => limit.saturating_mul(unit_ns),
        _ => u64::MAX,
    };
    let slowlog_us = limit(config.slowlog_log_slower_than, config.slowlog_max_len > 0, 1000);
    let monitor_ms = config.latency_monitor_threshold;
    slowlog_us.min(limit(monitor_ms, monitor_ms > 0, 1_000_000))
}

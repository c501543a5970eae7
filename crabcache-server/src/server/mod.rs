//! What all threads of one server share.

pub mod conditions;
pub mod control;
pub mod interest;

use crate::acl::{AclLog, Users};
use crate::blocking::{Blocking, WaitKind};
use crate::client::ClientHandle;
use crate::clients::Clients;
use crate::clock::{Clock, Throttle};
use crate::command::{Args, CommandTable, Ctx, Flags};
use crate::config::{Config, ConfigStore};
use crate::error::CommandError;
use crate::eviction::Eviction;
use crate::expire::ActiveExpire;
use crate::key_migration::KeyMigration;
use crate::latency::Monitor;
use crate::lazyfree::LazyFree;
use crate::memory::Memory;
use crate::monitor::Monitors;
use crate::net::tls::Tls;
use crate::notify::{self, Event, Notifications};
use crate::persistence::aof::Aof;
use crate::persistence::state::Persistence;
use crate::pubsub::PubSub;
use crate::push::Post;
use crate::replication::Replication;
use crate::replication::log::{Log, Targets};
use crate::replication::unit::Unit;
use crate::scripting::Scripting;
use crate::shutdown::Shutdown;
use crate::slowlog::SlowLog;
use crate::stats::Stats;
use crate::tracking::{self, Tracking};
use conditions::Conditions;
use control::Control;
use crabcache_store::keyspace::N_STRIPES_DEFAULT;
use crabcache_store::{Env, Expiry, Keyspace};
use interest::{Interest, Interests};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module's text.
pub struct Server {
    /// The data.
    pub keyspace: Keyspace,
    /// The commands.
    pub commands: CommandTable,
    /// The configuration in force.
    pub config: ConfigStore,
    /// The connected clients.
    pub clients: Clients,
    /// Those that can be.
    pub users: Users,
    /// What users were refused.
    pub acl_log: AclLog,
    /// TLS.
    pub tls: Tls,
    /// Those that wait.
    pub blocking: Blocking,
    /// Those that look on.
    pub monitors: Monitors,
    /// Who may have which keys cached.
    pub tracking: Tracking,
    /// Which keyspace events are published.
    pub notifications: Notifications,
    /// Channels and their subscribers.
    pub pubsub: PubSub,
    /// The way to clients of other threads.
    pub post: Post,
    /// Counters.
    pub stats: Stats,
    /// Memory.
    pub memory: Memory,
    /// Names this process.
    pub run_id: String,
    /// Scripts.
    pub scripting: Scripting,
    /// Slow commands.
    pub slowlog: SlowLog,
    /// Slow events of all kinds.
    pub latency: Monitor,
    /// Time.
    pub clock: Clock,
    /// Who wants to know what commands do.
    pub interests: Interests,
    /// What commands must be checked for.
    pub conditions: Conditions,
    /// The active expire cycle.
    pub active_expire: ActiveExpire,
    /// What is removed when memory is full.
    pub eviction: Eviction,
    /// Memory to be freed.
    pub lazyfree: LazyFree,
    /// Snapshots.
    pub persistence: Persistence,
    /// Keys on their way to other servers.
    pub migration: KeyMigration,
    /// The append-only file.
    pub aof: Aof,
    /// All changes, for the append-only file and for replicas.
    pub log: Log,
    /// Replication.
    pub replication: Replication,
    /// When clients that speak HTTP are logged.
    pub http_warning: Throttle,
    /// When it is logged that what a primary sends cannot be written to disk.
    pub disk_warning: Throttle,
    /// When it is logged that connections cannot be accepted.
    pub accept_warning: Throttle,
    /// Number of worker threads; gates and counters beyond are those of background threads.
    pub n_workers: usize,
    /// The end that is under way.
    pub shutdown: Shutdown,
    /// The way to the main thread.
    pub control: Control,
    /// What the out-of-memory killer thought of the process before we told it something else.
    pub oom_base: Mutex<Option<i64>>,
    /// Whether what is due at regular times is left undone (DEBUG PAUSE-CRON).
    pub is_cron_paused: AtomicBool,
    /// Whether connections keep their own output buffers when they are empty (DEBUG REPLYBUFFER).
    pub keeps_output_buffers: AtomicBool,
    is_stopping: AtomicBool,
    /// What tests look at.
    #[cfg(test)]
    pub(crate) recorded: Recorded,
}

/// Events and replicated commands, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) events: parking_lot::Mutex<Vec<(usize, Vec<u8>, Event)>>,
    pub(crate) propagated: parking_lot::Mutex<Vec<(usize, Vec<Vec<u8>>)>>,
}

/// Gates beside those of the workers: of the expire cycle, of whoever saves or loads, of the link to a
/// primary, of MIGRATE, and of workers that serve their connections while a script of theirs has their own gate.
const N_FURTHER_GATES: usize = 5;

impl Server {
    /// A server with this configuration, without network.
    ///
    /// # Errors
    /// A text, if the configuration cannot be used.
    pub fn new(config: Config) -> Result<Server, String> {
        let n_workers = match usize::try_from(config.io_threads) {
            Ok(0) | Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
            Ok(n_threads) => n_threads,
        };
        let commands = CommandTable::new(&config.renames)?;
        let n_gates = n_workers + N_FURTHER_GATES;
        let n_databases = usize::try_from(config.databases).map_err(|error| error.to_string())?;
        let users = Users::new(&config, &commands).map_err(|error| error.to_string())?;
        let memory = Memory::default();
        let (tracking, log) = (Tracking::new(&memory.used), Log::new(&memory.used));
        let server = Server {
            keyspace: Keyspace::new(N_STRIPES_DEFAULT, n_gates, n_databases),
            stats: Stats::new(n_gates, commands.rows().len()),
            memory,
            eviction: Eviction::new(n_gates),
            run_id: random_id(),
            replication: Replication::default(),
            scripting: Scripting::new(n_gates),
            slowlog: SlowLog::default(),
            latency: Monitor::default(),
            commands,
            config: ConfigStore::new(config),
            clients: Clients::default(),
            users,
            acl_log: AclLog::default(),
            tls: Tls::default(),
            blocking: Blocking::default(),
            monitors: Monitors::default(),
            tracking,
            notifications: Notifications::default(),
            pubsub: PubSub::default(),
            post: Post::new(n_gates),
            clock: Clock::default(),
            interests: Interests::default(),
            conditions: Conditions::default(),
            active_expire: ActiveExpire::new(n_databases),
            lazyfree: LazyFree::default(),
            persistence: Persistence::new(crate::clock::wall_us() / 1_000_000),
            migration: KeyMigration::default(),
            aof: Aof::default(),
            log,
            http_warning: Throttle::default(),
            disk_warning: Throttle::default(),
            accept_warning: Throttle::default(),
            n_workers,
            shutdown: Shutdown::default(),
            control: Control::default(),
            oom_base: Mutex::new(None),
            is_cron_paused: AtomicBool::new(false),
            keeps_output_buffers: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            #[cfg(test)]
            recorded: Recorded::default(),
        };
        let classes = server.config.get().notify_keyspace_events;
        server.notifications.set(classes, &server.interests);
        Ok(server)
    }

    /// Number of the gate and counters that the cron thread uses.
    pub fn cron_worker(&self) -> usize {
        self.n_workers
    }

    /// Number of the gate that whoever loads or saves in the background uses.
    pub fn snapshot_worker(&self) -> usize {
        self.n_workers + 1
    }

    /// Number of the gate and counters that the link to a primary uses.
    pub fn link_worker(&self) -> usize {
        self.n_workers + 2
    }

    /// Number of the gate and counters that MIGRATE uses.
    pub fn migration_worker(&self) -> usize {
        self.n_workers + 3
    }

    /// Number of the gate that a worker uses whose own is taken by a script of its own.
    pub fn stand_in_worker(&self) -> usize {
        self.n_workers + N_FURTHER_GATES - 1
    }

    /// Whether the server is about to end.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether data are being loaded, also while clients are not told so because it takes no time.
    pub fn is_loading(&self) -> bool {
        self.conditions.is_loading()
            || self.persistence.loading.is_under_way.load(Ordering::Relaxed)
    }

    /// Lets background threads end.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// The circumstances of a command that begins now.
    pub fn env(&self, config: &Config) -> Env {
        let now_ms = self.clock.carried_unix_ms();
        Env {
            now_ms,
            access: config.maxmemory_policy.access(config, now_ms),
            touches: true,
            expiry: self.expiry(now_ms),
        }
    }

    /// What happens now to keys whose time has come: none is removed while writes are paused.
    #[inline]
    pub fn expiry(&self, now_ms: i64) -> Expiry {
        // A replica leaves it to its primary to remove them, but for those that its clients change.
        if self.conditions.is_paused(true, now_ms) {
            Expiry::Hide
        } else if !self.conditions.is_replica() {
            Expiry::Remove
        } else if self.config.get().replica_read_only {
            Expiry::Hide
        } else {
            Expiry::HideFromReads
        }
    }

    /// Says whether a script is over its time: commands are then refused, also those that wait.
    pub fn set_busy(&self, is_busy: bool) {
        self.conditions.set_busy(is_busy);
        self.keyspace.give_up_waits(is_busy);
    }

    /// What those are told that a script keeps from running.
    pub fn busy_error(&self) -> CommandError {
        match self.scripting.running.overtime_call() {
            Some(call) if call.is_function => CommandError::BusyFunction,
            _ => CommandError::BusyScript,
        }
    }

    /// Ends CLIENT PAUSE.
    pub fn unpause(&self) {
        if self.conditions.unpause() {
            self.resume_paused();
        }
    }

    /// Lets the clients go on that a pause holds.
    pub fn resume_paused(&self) {
        self.clients.for_each(|client| {
            if client.end_wait(|kind| kind == WaitKind::Pause) {
                client.wake();
            }
        });
    }

    /// Tells subscribers of keyspace events. Called while the key's stripe is held.
    #[inline]
    pub fn notify(&self, db: usize, key: &[u8], event: Event) {
        #[cfg(test)]
        self.recorded.events.lock().push((db, key.to_vec(), event));
        notify::publish(self, db, key, event);
    }

    /// Replicates a command that concerns a database, or none. Called while the stripes of its keys
    /// are held.
    pub fn propagate<'w>(
        &self,
        targets: Targets,
        db: Option<usize>,
        words: impl ExactSizeIterator<Item = &'w [u8]> + Clone,
    ) {
        #[cfg(test)]
        if !targets.is_empty() {
            let command = words.clone().map(<[u8]>::to_vec).collect();
            self.recorded.propagated.lock().push((db.unwrap_or(0), command));
        }
        self.log.append(targets, db, words);
    }

    /// Has handlers tell what is to be replicated as long as somebody reads the log. The keyspace is
    /// held, or nobody is served yet.
    pub fn note_log_readers(&self) {
        self.interests.set(Interest::PROPAGATION, self.log.is_wanted());
    }

    /// Has all that this thread replicates until the unit ends enter the log as one, if anything is
    /// replicated at all and `is_wanted`.
    #[inline]
    pub fn unit_if(
        &self,
        interest: Interest,
        is_wanted: impl FnOnce() -> bool,
    ) -> Option<Unit<'_>> {
        (interest.contains(Interest::PROPAGATION) && is_wanted()).then(|| self.log.unit())
    }

    /// Replicates that the server itself has removed a key, and tells those who may have it cached.
    /// Called while its stripe is held.
    pub fn propagate_removal(&self, db: usize, key: &[u8], is_lazy: bool) {
        tracking::invalidate(self, key, None);
        if self.interests.get().contains(Interest::PROPAGATION) {
            let command: [&[u8]; 2] = [if is_lazy { b"UNLINK" } else { b"DEL" }, key];
            self.propagate(Targets::all(), Some(db), command.into_iter());
        }
    }

    /// Replicates that the server itself has removed a field of a hash. Called while its stripe is
    /// held.
    pub fn propagate_field_removal(&self, db: usize, key: &[u8], field: &[u8]) {
        if self.interests.get().contains(Interest::PROPAGATION) {
            let command: [&[u8]; 3] = [b"HDEL", key, field];
            self.propagate(Targets::all(), Some(db), command.into_iter());
        }
    }

    /// Counts a call that has run, and notes it where it was slow.
    pub fn count_call(&self, ctx: &Ctx<'_>, args: Args<'_>, took_ns: u64) {
        self.count_calls(ctx, args, 1, took_ns);
    }

    /// The same of several calls of one command that took so long together; `args` are the last one's,
    /// which was the slow one if any was.
    #[inline(always)] // on the way of every request
    pub fn count_calls(&self, ctx: &Ctx<'_>, args: Args<'_>, n_calls: u64, took_ns: u64) {
        ClientHandle::add(&ctx.client.handle.n_commands, n_calls);
        ctx.stats.total_commands_processed.add(n_calls);
        ctx.stats.commands[ctx.row.id].count(n_calls, took_ns, ctx.tracks_latency);
        if took_ns >= ctx.slow_ns {
            self.note_slow_call(ctx, args, took_ns);
        }
    }

    #[cold]
    fn note_slow_call(&self, ctx: &Ctx<'_>, args: Args<'_>, took_ns: u64) {
        let event = if ctx.row.flags.contains(Flags::FAST) { "fast-command" } else { "command" };
        self.note_latency(event, took_ns / 1_000_000);
        let config = &ctx.config;
        let (Ok(threshold_us), Ok(len_max)) = (
            u64::try_from(config.slowlog_log_slower_than),
            usize::try_from(config.slowlog_max_len),
        ) else {
            return;
        };
        let is_slow = took_ns / 1000 >= threshold_us && len_max > 0;
        if is_slow && !ctx.row.flags.contains(Flags::SKIP_SLOWLOG) {
            let at_s = self.clock.unix_ms() / 1000;
            let took_us = i64::try_from(took_ns / 1000).unwrap_or(i64::MAX);
            self.slowlog.add(ctx.row, args, &ctx.client.handle, (at_s, took_us), len_max);
        }
    }

    /// Resets what CONFIG RESETSTAT resets. `worker` is the calling thread's number.
    pub fn reset_stats(&self, worker: usize) {
        self.stats.reset(worker);
        self.lazyfree.reset_stats();
        self.scripting.cache.evicted_scripts.store(0, Ordering::Relaxed);
        self.persistence.rdb_saves.store(0, Ordering::Relaxed);
        self.aof.rewrites.n_begun.store(0, Ordering::Relaxed);
        self.aof.n_delayed_syncs.store(0, Ordering::Relaxed);
    }

    /// Tells the latency monitor of an event, if it was slow.
    pub fn note_latency(&self, event: &'static str, latency_ms: u64) {
        let threshold_ms = self.config.get().latency_monitor_threshold;
        if threshold_ms > 0 && latency_ms >= threshold_ms.unsigned_abs() {
            self.latency.add(event, self.clock.unix_ms() / 1000, latency_ms);
        }
    }
}

/// Forty random hexadecimal digits.
pub(crate) fn random_id() -> String {
    (0..5).map(|_| format!("{:08x}", rand::random::<u32>())).collect()
}

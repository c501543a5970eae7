//! Our replicas: how far each has come, and who waits for them.

use super::log::Reader;
use super::spool::{Progress, Spool};
use crate::blocking::{Unblock, Wait};
use crate::client::ClientHandle;
use crate::config::Config;
use crate::persistence::rdb::encode::Filter;
use crate::server::Server;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// What a replica says about itself before it asks for data (REPLCONF).
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// Port that it serves clients on.
    pub listening_port: i64,
    /// Address to be shown; empty: where it connects from.
    pub ip_address: String,
    /// It can read a snapshot whose length is not known before its end.
    pub knows_eof: bool,
    /// It understands that a history can get another name.
    pub knows_psync2: bool,
    /// It reads version 12 of the snapshot format.
    pub reads_rdb_12: bool,
    /// It wants a snapshot and no stream.
    pub wants_rdb_only: bool,
    /// It asked with SYNC and expects the snapshot at once, without a line that tells of the history.
    pub expects_no_header: bool,
    /// What it wants of it.
    pub filter: Filter,
}

/// What a replica asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncRequest {
    /// SYNC: of old; it acknowledges nothing.
    Sync,
    /// PSYNC
    Psync {
        /// The history that it has followed.
        replid: String,
        /// What it needs next, counted from 1.
        offset: i64,
    },
}

/// How far a replica is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Waits for a snapshot to begin, since then (Unix milliseconds).
    Waiting(i64),
    /// A snapshot is made for it; it is to read the stream from there on.
    Snapshot(Arc<Spool>, Arc<Reader>),
    /// It gets the stream.
    Online(Arc<Reader>),
    /// It has got a snapshot and wants nothing else.
    Served,
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    /// Its connection.
    pub client: Arc<ClientHandle>,
    /// What it told about itself.
    pub introduction: Introduction,
    stage: Mutex<Stage>,
    /// Told when the stage changes.
    pub news: tokio::sync::Notify,
    /// What it has, as it tells.
    pub acked: AtomicU64,
    /// What it has on disk, as it tells.
    pub acked_aof: AtomicU64,
    /// When it told: Unix milliseconds.
    pub acked_ms: AtomicI64,
    /// Whether the stream waits for its first acknowledgement.
    pub awaits_ack: AtomicBool,
}

impl Replica {
    /// A replica that waits for a snapshot, or gets the stream.
    pub fn new(
        client: Arc<ClientHandle>,
        introduction: Introduction,
        stage: Stage,
        now_ms: i64,
    ) -> Replica {
        Replica {
            client,
            introduction,
            stage: Mutex::new(stage),
            news: tokio::sync::Notify::new(),
            acked: AtomicU64::new(0),
            acked_aof: AtomicU64::new(0),
            acked_ms: AtomicI64::new(now_ms),
            awaits_ack: AtomicBool::new(false),
        }
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage.lock().clone()
    }

    /// It comes to the next stage.
    pub fn set_stage(&self, stage: Stage) {
        *self.stage.lock() = stage;
        self.news.notify_one();
    }

    /// What it reads the stream with, if it is to get that.
    pub fn reader(&self) -> Option<Arc<Reader>> {
        match &*self.stage.lock() {
            Stage::Snapshot(_, reader) | Stage::Online(reader) => Some(reader.clone()),
            Stage::Waiting(_) | Stage::Served => None,
        }
    }

    /// Whether it gets the stream.
    pub fn is_online(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Online(_)) && !self.awaits_ack.load(Ordering::Relaxed)
    }

    /// Whether it gets the stream, or will.
    pub fn follows_stream(&self) -> bool {
        !self.introduction.wants_rdb_only
    }

    /// As INFO names the stage.
    pub fn state_name(&self) -> &'static str {
        match &*self.stage.lock() {
            Stage::Waiting(_) => "wait_bgsave",
            Stage::Snapshot(spool, _) if spool.progress() == Progress::Growing => "wait_bgsave",
            Stage::Snapshot(..) => "send_bulk",
            Stage::Online(_) if self.awaits_ack.load(Ordering::Relaxed) => "send_bulk",
            Stage::Online(_) => "online",
            Stage::Served => "rdb_transmitted",
        }
    }

    /// The address that others reach it by.
    pub fn ip(&self) -> &str {
        match self.introduction.ip_address.as_str() {
            "" => self.client.peer.addr.rsplit_once(':').map_or("", |(ip, _)| ip),
            announced => announced,
        }
    }

    /// As log lines name it.
    pub fn name(&self) -> String {
        match self.introduction.listening_port {
            0 => format!("{}:<unknown-replica-port>", self.ip()),
            port => format!("{}:{port}", self.ip()),
        }
    }

    /// As INFO shows its lag: who gets no stream yet has none.
    pub fn shown_lag_s(&self, now_ms: i64) -> i64 {
        let has_stream = matches!(*self.stage.lock(), Stage::Online(_));
        if has_stream { self.lag_s(now_ms) } else { 0 }
    }

    /// Seconds since it told how far it is.
    pub fn lag_s(&self, now_ms: i64) -> i64 {
        match self.acked_ms.load(Ordering::Relaxed) {
            0 => 0,
            acked_ms => now_ms / 1000 - acked_ms / 1000,
        }
    }
}

/// All replicas.
#[derive(Debug, Default)]
pub struct Replicas {
    all: Mutex<Vec<Arc<Replica>>>,
    n_replicas: AtomicUsize,
    /// Those near enough for `min-replicas-to-write`.
    n_good: AtomicUsize,
    /// Clients in WAIT or WAITAOF.
    waiting: Mutex<Vec<Waiting>>,
    /// When the last of them went: Unix milliseconds.
    pub none_since_ms: AtomicI64,
}

/// A client that waits for replicas.
#[derive(Debug)]
struct Waiting {
    client: Arc<ClientHandle>,
    wait: Arc<Wait>,
    wanted: Wanted,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// So many replicas have
    pub n_replicas: usize,
    /// the stream up to here,
    pub offset: u64,
    /// on disk or not,
    pub is_on_disk: bool,
    /// and our own append-only file has its stream on disk up to here.
    pub aof_end: Option<u64>,
}

impl Replicas {
    /// A replica has come.
    pub fn add(&self, replica: Arc<Replica>) {
        let mut all = self.all.lock();
        all.push(replica);
        self.n_replicas.store(all.len(), Ordering::Relaxed);
    }

    /// A replica has gone.
    pub fn remove(&self, replica: &Arc<Replica>, now_ms: i64) {
        let mut all = self.all.lock();
        all.retain(|own| !Arc::ptr_eq(own, replica));
        self.n_replicas.store(all.len(), Ordering::Relaxed);
        if all.is_empty() {
            self.none_since_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Replica>> {
        self.all.lock().clone()
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.n_replicas.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replicas that are online and not further behind than `min-replicas-max-lag`.
    pub fn n_good(&self) -> usize {
        self.n_good.load(Ordering::Relaxed)
    }

    /// Counts the good ones: whether there are enough is a condition of the server.
    pub fn count_good(&self, server: &Server, config: &Config, now_ms: i64) {
        let is_good = |replica: &&Arc<Replica>| {
            replica.is_online() && replica.lag_s(now_ms) <= config.min_replicas_max_lag
        };
        let n_good = self.all.lock().iter().filter(is_good).count();
        self.n_good.store(n_good, Ordering::Relaxed);
        let n_wanted = usize::try_from(config.min_replicas_to_write).unwrap_or(0);
        let lacks = n_good < n_wanted && config.min_replicas_max_lag > 0;
        if lacks != server.conditions.lacks_replicas() {
            server.conditions.set_lacks_replicas(lacks);
        }
    }

    /// How many replicas have the stream up to `offset`.
    pub fn n_acked(&self, offset: u64, is_on_disk: bool) -> usize {
        let has = |replica: &&Arc<Replica>| {
            let acked = if is_on_disk { &replica.acked_aof } else { &replica.acked };
            replica.is_online() && acked.load(Ordering::Relaxed) >= offset
        };
        self.all.lock().iter().filter(has).count()
    }

    /// A client that is blocked waits for this.
    pub fn wait(&self, client: &Arc<ClientHandle>, wanted: Wanted) {
        let wait = client.wait.lock().clone();
        if let Some(wait) = wait {
            self.waiting.lock().push(Waiting { client: client.clone(), wait, wanted });
        }
    }

    /// Lets those go on who have waited for what is there now, and forgets those whose wait is over.
    pub fn serve_waiting(&self, server: &Server) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|Waiting { client, wait, wanted }| {
            let has_enough = self.n_acked(wanted.offset, wanted.is_on_disk) >= wanted.n_replicas;
            let is_logged = wanted.aof_end.is_none_or(|end| server.aof.need_not_wait(end));
            if has_enough && is_logged && wait.end() {
                client.post(|mail| mail.unblock = Some(Unblock::Ended));
            }
            !wait.is_over()
        });
    }

    /// Ends all replicas' connections.
    pub fn disconnect(&self, server: &Server) {
        for replica in self.all() {
            server.clients.kill(server, &replica.client);
        }
    }
}

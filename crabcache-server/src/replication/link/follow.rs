//! Runs what the primary has run, and tells it how far that is.
//!
//! The bytes of a command are handed on to our own replicas as they are, when the command has run;
//! those of a transaction when its EXEC has. So our offset is that of what has been applied, and a
//! snapshot of ours fits to it.

use super::socket::Socket;
use super::{Lost, PrimaryState};
use crate::client::{Client, ClientFlags, Peer, ReplyMode};
use crate::command::Ctx;
use crate::command::pipeline::{Pipeline, Stop};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::persistence::aof::State;
use crate::persistence::file::TempFile;
use crate::persistence::{load, save};
use crate::replication::kept;
use crate::replication::log::Ends;
use crate::server::Server;
use crate::tracking;
use bytes::BytesMut;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that are received while a pause holds up what has come before.
const HELD_UP_BYTES_MAX: usize = 1 << 20;
/// When there are so many, it is looked so often whether the pause is over.
const HELD_UP_PAUSE: Duration = Duration::from_millis(10);
/// The primary is told how far we are so often.
const ACK_MS: i64 = 1000;

/// See the module's text. Outlives connections: a partial resynchronization goes on in the same
/// database.
pub(super) struct Follower {
    pipeline: Pipeline,
    client: Option<Client>,
    acked_ms: i64,
    durable: Durable,
}

/// What the primary is told of our append-only file.
#[derive(Debug, Default)]
struct Durable {
    /// The ends of both streams at some moment: when the file is on disk up to there, what has been
    /// applied until then is, too.
    mark: Option<Ends>,
    /// The replication stream is on disk up to here.
    offset: u64,
    /// The primary has asked when the stream ended here, and waits for it.
    wanted: Option<u64>,
}

impl Durable {
    /// Finds out how far the disk is; whether that is what the primary waits for.
    fn look(&mut self, server: &Server) -> bool {
        if server.aof.state() != State::On {
            *self = Durable::default();
            return false;
        }
        // A mark that has been reached makes room for the next one.
        for _ in 0..2 {
            let mark = *self.mark.get_or_insert_with(|| server.log.ends());
            if !server.aof.has_on_disk(mark.aof) {
                break;
            }
            (self.mark, self.offset) = (None, mark.replicas);
        }
        let is_reached = self.wanted.is_some_and(|wanted| wanted <= self.offset);
        if is_reached {
            self.wanted = None;
        }
        is_reached
    }
}

impl Follower {
    pub(super) fn new(server: Arc<Server>) -> Follower {
        let worker = server.link_worker();
        Follower {
            pipeline: Pipeline::new(server, worker),
            client: None,
            acked_ms: 0,
            durable: Durable::default(),
        }
    }

    /// Goes on where it was, with a history that may have got another name.
    pub(super) fn resume(
        &mut self,
        server: &Server,
        generation: u64,
        replid: Option<String>,
    ) -> Result<(), Lost> {
        let db = match &self.client {
            Some(client) => client.db,
            None => server.replication.loaded.lock().db,
        };
        self.renew_client(server, generation, db);
        let mut pass = server.keyspace.enter(server.link_worker());
        let _locked = pass.lock_all();
        if server.replication.link.generation() != generation {
            return Err(Lost::Changed);
        }
        let mut history = server.replication.history.lock();
        if let Some(replid) = replid
            && replid != history.replid
        {
            let end = server.log.ends().replicas;
            tracing::info!("Master replication ID changed to {replid}");
            history.branch(end);
            history.replid = replid;
            drop(history);
            // They must learn the new name.
            server.replication.replicas.disconnect(server);
        }
        Ok(())
    }

    /// Puts a snapshot in the place of all data.
    pub(super) fn begin(
        &mut self,
        server: &Server,
        config: &Arc<Config>,
        generation: u64,
        (replid, offset): (String, u64),
        file: TempFile,
    ) -> Result<(), Lost> {
        let reader = file.reader()?;
        Follower::replace_data(server, config, generation, (replid, offset), (file, reader))?;
        let db = server.replication.loaded.lock().db;
        self.renew_client(server, generation, db);
        self.durable = Durable::default();
        tracing::info!("MASTER <-> REPLICA sync: Finished with success");
        self.acked_ms = 0;
        Ok(())
    }

    fn replace_data(
        server: &Server,
        config: &Arc<Config>,
        generation: u64,
        (replid, offset): (String, u64),
        (file, reader): (TempFile, File),
    ) -> Result<(), Lost> {
        if let Err(crate::error::Logged) = file.finish(&save::path(config)) {
            return Err(Lost::Told);
        }
        {
            let mut pass = server.keyspace.enter(server.link_worker());
            let mut locked = pass.lock_all();
            if server.replication.link.generation() != generation {
                return Err(Lost::Changed);
            }
            tracing::info!("MASTER <-> REPLICA sync: Flushing old data");
            server.conditions.set_loading(true);
            server.replication.replicas.disconnect(server);
            load::empty(server, &mut locked, config.replica_lazy_flush);
            tracking::invalidate_all(server);
        }
        tracing::info!("MASTER <-> REPLICA sync: Loading DB in memory");
        let loaded = load::from_primary(server, config, reader);
        let mut pass = server.keyspace.enter(server.link_worker());
        let _locked = pass.lock_all();
        if loaded.is_ok() {
            let mut history = server.replication.history.lock();
            history.renew();
            history.replid = replid;
            let db = server.replication.loaded.lock().db;
            server.log.restart_stream(offset, db, kept(config));
            server.log.hand_on(server.conditions.is_replica());
        }
        server.conditions.set_loading(false);
        loaded.map_err(|_| Lost::Told)?;
        if server.replication.link.generation() != generation {
            return Err(Lost::Changed);
        }
        Ok(())
    }

    fn renew_client(&mut self, server: &Server, generation: u64, db: usize) {
        self.forget_client(server);
        let primary = server.replication.link.status().primary;
        let addr = primary.map_or(String::new(), |at| format!("{}:{}", at.host, at.port));
        let peer = Peer { addr, ..Peer::default() };
        let now_ms = server.clock.unix_ms();
        let handle = server.clients.add(peer, server.link_worker(), Arc::default(), now_ms);
        let mut client = Client::new(handle, false);
        client.set_flag(ClientFlags::PRIMARY, true);
        client.reply_mode = ReplyMode::Off;
        client.select(db);
        client.primary = Some(Box::new(PrimaryState { generation, ..PrimaryState::default() }));
        self.client = Some(client);
    }

    fn forget_client(&mut self, server: &Server) {
        if let Some(client) = &mut self.client {
            self.pipeline.forget(client);
            server.clients.remove(client.handle.id);
        }
    }

    /// Follows the stream until the connection ends or the primary is followed no more.
    pub(super) fn follow(&mut self, server: &Server, socket: &mut Socket) -> Result<(), Lost> {
        let (mut input, mut output) = (BytesMut::new(), Vec::new());
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut is_held_up = false;
        let outcome = loop {
            if let Err(lost) = self.acknowledge_if_due(server, socket) {
                break Err(lost);
            }
            match self.receive(server, socket, &mut buffer, &mut input) {
                Ok(false) if !is_held_up => continue,
                Ok(_) => {}
                Err(lost) => break Err(lost),
            }
            match self.apply(server, &mut input, &mut output) {
                Ok(held_up) => is_held_up = held_up,
                Err(lost) => break Err(lost),
            }
            server.memory.used.note();
        };
        server.replication.link.unapplied_bytes.store(0, Ordering::Relaxed);
        if let Err(Lost::Io(_)) = &outcome {
            tracing::warn!("Connection with master lost.");
            tracing::info!("Caching the disconnected master state.");
        }
        if let Some(client) = &mut self.client {
            server.clients.remove(client.handle.id);
        }
        outcome
    }

    /// Waits a moment for bytes. Whether some came.
    fn receive(
        &self,
        server: &Server,
        socket: &mut Socket,
        buffer: &mut [u8],
        input: &mut BytesMut,
    ) -> Result<bool, Lost> {
        if input.len() > HELD_UP_BYTES_MAX && self.is_held_up() {
            std::thread::sleep(HELD_UP_PAUSE);
            return Ok(false);
        }
        match socket.glance(server, buffer)? {
            Some(n_bytes) => input.extend_from_slice(&buffer[..n_bytes]),
            None if self.is_silent(server) => {
                tracing::warn!("MASTER timeout: no data nor PING received...");
                return Err(Lost::Told);
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Whether a pause keeps the primary's commands from running.
    fn is_held_up(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_held_up)
    }

    /// Runs all that is complete. Whether a pause keeps it from that.
    fn apply(
        &mut self,
        server: &Server,
        input: &mut BytesMut,
        output: &mut Vec<u8>,
    ) -> Result<bool, Lost> {
        let Some(client) = &mut self.client else { return Err(Lost::Changed) };
        loop {
            let stop = self.pipeline.run(client, input, output);
            output.clear();
            let unended = client.primary.as_ref().map_or(0, |primary| primary.unended.len());
            let n_unapplied = (unended + input.len()) as u64;
            server.replication.link.unapplied_bytes.store(n_unapplied, Ordering::Relaxed);
            match stop {
                Stop::NeedsInput { .. } => return Ok(false),
                Stop::NeedsFlush => {}
                Stop::Waits => {
                    let mail = client.handle.take_mail(std::task::Waker::noop());
                    self.pipeline.settle_mail(client, mail.unblock, output);
                    self.pipeline.time_out(client, output);
                    if client.is_held_up() {
                        return Ok(true);
                    }
                }
                Stop::Aborts => return Err(Lost::Changed),
                Stop::Closes | Stop::HandsOver => {
                    tracing::warn!("The master has sent what is no request: {}", excerpt(input));
                    return Err(Lost::Told);
                }
            }
            if server.is_stopping() || client.handle.is_killed() {
                return Err(Lost::Changed);
            }
        }
    }

    fn is_silent(&self, server: &Server) -> bool {
        let silent_ms = server.clock.unix_ms() - server.replication.link.heard_ms();
        silent_ms / 1000 > server.config.get().repl_timeout
    }

    /// Tells the primary how far we are.
    fn acknowledge_if_due(&mut self, server: &Server, socket: &mut Socket) -> Result<(), Lost> {
        let now_ms = server.clock.unix_ms();
        let link = &server.replication.link;
        if self.client.as_ref().is_none_or(|client| client.handle.is_killed())
            || server.is_stopping()
        {
            return Err(Lost::Changed);
        }
        let is_wanted = link.is_ack_wanted.swap(false, Ordering::Relaxed);
        let is_reached = self.durable.look(server);
        if !is_wanted && !is_reached && now_ms - self.acked_ms < ACK_MS {
            return Ok(());
        }
        self.acked_ms = now_ms;
        let end = server.log.ends().replicas;
        if is_wanted && self.durable.offset < end {
            self.durable.wanted = Some(end);
        }
        let (offset, durable) = (end.to_string(), self.durable.offset.to_string());
        let words = [&b"REPLCONF"[..], b"ACK", offset.as_bytes(), b"FACK", durable.as_bytes()];
        let n_words = if server.aof.state() == State::On { 5 } else { 3 };
        let mut request = Vec::new();
        crabcache_resp::request::write(&mut request, words[..n_words].iter().copied());
        socket.send(&request).map_err(|error| {
            tracing::warn!("Connection with master lost: {}", system_text(&error));
            Lost::Told
        })
    }
}

fn excerpt(input: &[u8]) -> String {
    input[..input.len().min(64)].escape_ascii().to_string()
}

/// Whether the client, if it is a primary, is still the one that is followed. To be asked once the
/// thread has entered its gate.
#[inline]
pub fn is_current(ctx: &Ctx<'_>) -> bool {
    let link = &ctx.server.replication.link;
    ctx.client.primary.as_ref().is_none_or(|primary| link.is_current(primary))
}

/// A command of a primary has run; `end` is where it ends in the bytes of the batch.
#[cold]
pub fn note_applied(client: &mut Client, end: usize) {
    let is_open = client.flags.contains(ClientFlags::MULTI);
    if let Some(primary) = &mut client.primary
        && !is_open
    {
        primary.ended_at = end;
    }
}

/// Hands on to our own replicas what has been applied of a batch of these bytes. The thread's gate is
/// held: so no snapshot can begin between the change and this.
#[cold]
pub fn hand_on(server: &Server, client: &mut Client, batch: &[u8]) {
    let Some(primary) = &mut client.primary else { return };
    if !server.replication.link.is_current(primary) {
        // It has changed while the keyspace was waited for.
        return;
    }
    let (ended, unended) = batch.split_at(std::mem::take(&mut primary.ended_at).min(batch.len()));
    if !ended.is_empty() {
        if !primary.unended.is_empty() {
            server.log.append_handed_on(&primary.unended, client.db);
            primary.unended.clear();
        }
        server.log.append_handed_on(ended, client.db);
    }
    primary.unended.extend_from_slice(unended);
}

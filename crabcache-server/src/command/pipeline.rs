//! From bytes to replies: parses all complete requests that have arrived, prefetches what they will
//! read, runs them in order.
//!
//! One pipeline serves all connections of a worker, one at a time, so its buffers are shared and
//! stay warm. It does no I/O: bytes in, bytes out.

use super::context::{Ctx, slow_ns};
use super::dispatch::{Outcome, execute, refuse_unknown};
use super::known_keys::KnownKeys;
use super::table::Found;
use super::{Args, CommandRow, Effects};
use crate::client::{Client, ClientFlags};
use crate::config::Config;
use crate::error::CommandError;
use crate::server::Server;
use bytes::{Buf, BytesMut};
use crabcache_resp::{Limits, Progress, ProtocolError, Reply, Span};
use crabcache_store::{Place, Trace};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Requests parsed before the first of them runs. Enough to hide the memory's latency, few enough
/// that what was prefetched is still in the cache.
const BATCH_LEN_MAX: usize = 32;
/// Output beyond which the pipeline stops, so that the socket can take some.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// After a command that took so long, the time of the batch is no longer the time.
const LONG_COMMAND_NS: u64 = 500_000;

/// Why the pipeline stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All complete requests were served; `wanted` more bytes at least are needed for the next.
    NeedsInput {
        /// Bytes.
        wanted: usize,
    },
    /// There is enough output; call again when it was sent.
    NeedsFlush,
    /// The client waits for something (blocked, paused): call again when it is woken.
    Waits,
    /// The connection is to be closed once the output was sent.
    Closes,
}

/// A parsed request.
struct Request {
    words: Range<usize>,
    /// Row of the command; `None` if there is no such command.
    row: Option<usize>,
    place: Option<Place>,
    /// Where the request ends in the input.
    end: usize,
}

/// See the module's text.
pub struct Pipeline {
    server: Arc<Server>,
    worker: usize,
    /// Of this worker alone: see [`own_copy`].
    config: Arc<Config>,
    config_generation: u64,
    requests: Vec<Request>,
    spans: Vec<Span>,
    trace: Trace,
}

impl Pipeline {
    /// The pipeline of worker number `worker`.
    pub fn new(server: Arc<Server>, worker: usize) -> Pipeline {
        Pipeline {
            config_generation: server.config.generation(),
            config: own_copy(&server),
            server,
            worker,
            requests: Vec::new(),
            spans: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Serves the requests in `input` and removes them from it; appends replies to `out`.
    pub fn run(&mut self, client: &mut Client, input: &mut BytesMut, out: &mut Vec<u8>) -> Stop {
        loop {
            if client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY) {
                input.clear();
                return Stop::Closes;
            }
            if client.is_held_up() {
                return Stop::Waits;
            }
            let parsed = self.parse(client, input);
            if self.requests.is_empty() {
                return match parsed {
                    Ok(wanted) => Stop::NeedsInput { wanted },
                    Err(error) => {
                        self.refuse_protocol(client, error, out);
                        Stop::Closes
                    }
                };
            }
            let stop = self.execute(client, input, out);
            if let Some(stop) = stop {
                return stop;
            }
        }
    }

    /// Parses requests from the front of `input`. Returns how many bytes the next one needs.
    fn parse(&mut self, client: &mut Client, input: &mut BytesMut) -> Result<usize, ProtocolError> {
        self.requests.clear();
        self.spans.clear();
        let needs_auth = client.flags.contains(ClientFlags::NEEDS_AUTH);
        // Before authentication, one at a time: AUTH changes the limits of what follows.
        let (limits, batch_len) = if needs_auth {
            (Limits::UNAUTHENTICATED, 1)
        } else {
            (Limits::authenticated(self.config.proto_max_bulk_len), BATCH_LEN_MAX)
        };
        let mut start = 0;
        while self.requests.len() < batch_len {
            let first = self.spans.len();
            match client.parser.parse(input, start, &limits, &mut self.spans)? {
                Progress::Incomplete { wanted } => {
                    if self.requests.is_empty() {
                        input.advance(start);
                    }
                    return Ok(wanted);
                }
                Progress::Complete { consumed } => start += consumed,
            }
            if self.spans.len() == first {
                continue;
            }
            let args = Args::new(input, &self.spans[first..]);
            let row = match self.server.commands.find(args) {
                Found::Row(row) => Some(row),
                _ => None,
            };
            let place = row.and_then(|row| self.place_of(row, args));
            let words = first..self.spans.len();
            self.requests.push(Request { words, row: row.map(|row| row.id), place, end: start });
        }
        Ok(1)
    }

    fn place_of(&self, row: &CommandRow, args: Args<'_>) -> Option<Place> {
        let index = row.single_key.filter(|index| *index < args.len())?;
        Some(self.server.keyspace.key(args.get(index)).place())
    }

    /// Runs the parsed requests.
    fn execute(
        &mut self,
        client: &mut Client,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
    ) -> Option<Stop> {
        self.refresh_config();
        // Borrowed, not cloned: workers would take the counts of references from each other.
        let Pipeline { server, config, worker, requests, spans, trace, .. } = &*self;
        let stats = server.stats.begin(*worker);
        let mut pass = server.keyspace.enter(*worker);
        let mut env = server.env(config);
        env.touches = !client.flags.contains(ClientFlags::NO_TOUCH);
        client.handle.active_ms.store(env.now_ms, Ordering::Relaxed);
        let protocol = client.protocol;
        let mut ctx = Ctx {
            server,
            config: config.clone(),
            slow_ns: slow_ns(config),
            client,
            reply: Reply::new(out, protocol),
            env,
            effects: Effects::default(),
            row: server.commands.row(0),
            known_keys: KnownKeys::default(),
            in_exec: false,
        };
        if requests.len() > 1 {
            let places = requests.iter().filter_map(|request| request.place);
            pass.prefetch(ctx.client.db, places);
        }
        let batch_began_ns = server.clock.elapsed_ns();
        let mut began_ns = batch_began_ns;
        let (mut end, mut stop, mut n_commands) = (0, None, 0);
        for request in requests {
            let args = Args::new(input, &spans[request.words.clone()]);
            match request.row {
                None => refuse_unknown(&mut ctx, args),
                Some(id) => {
                    ctx.row = server.commands.row(id);
                    let outcome = execute(&mut pass, &mut ctx, args, request.place, trace);
                    if outcome == Outcome::Postponed {
                        stop = Some(Stop::Waits);
                        break;
                    }
                    let ended_ns = server.clock.elapsed_ns();
                    if outcome == Outcome::Ran {
                        server.count_call(&ctx, args, ended_ns.saturating_sub(began_ns));
                    }
                    ctx.client.handle.last_command.store(id + 1, Ordering::Relaxed);
                    if ended_ns.saturating_sub(began_ns) > LONG_COMMAND_NS {
                        ctx.env.now_ms = server.clock.unix_ms();
                    }
                    began_ns = ended_ns;
                }
            }
            n_commands += 1;
            end = request.end;
            // What CONFIG SET changed holds for the next request.
            let is_outdated = server.config.generation() != self.config_generation;
            if ctx.client.is_held_up() || is_outdated {
                break;
            }
            if ctx.reply.len() >= OUTPUT_BYTES_MAX {
                stop = Some(Stop::NeedsFlush);
                break;
            }
        }
        drop(pass);
        crate::client::ClientHandle::add(&ctx.client.handle.n_commands, n_commands);
        stats.count_cycle(began_ns.saturating_sub(batch_began_ns), n_commands);
        stats.keyspace_hits.add(trace.n_hits.take());
        stats.keyspace_misses.add(trace.n_misses.take());
        input.advance(end);
        stop
    }

    /// Ends what the client has under way, when its connection is gone.
    pub fn forget(&mut self, client: &mut Client) {
        if client.watched.is_empty() {
            return;
        }
        let server = self.server.clone();
        let mut pass = server.keyspace.enter(self.worker);
        crate::transaction::unwatch(&server, &mut pass, client);
    }

    /// Answers bytes that are no request.
    #[cold]
    fn refuse_protocol(&mut self, client: &mut Client, error: ProtocolError, out: &mut Vec<u8>) {
        let line = CommandError::Protocol(error).to_string();
        self.server.stats.count_error(CommandError::code(&line));
        Reply::new(out, client.protocol).error(line.as_bytes());
        client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
    }

    #[inline]
    fn refresh_config(&mut self) {
        let generation = self.server.config.generation();
        if generation != self.config_generation {
            (self.config_generation, self.config) = (generation, own_copy(&self.server));
        }
    }
}

/// A copy of the configuration whose count of references no other worker touches: each batch does,
/// and a cache line that two processors write costs more than a command.
fn own_copy(server: &Server) -> Arc<Config> {
    Arc::new(Config::clone(&server.config.get()))
}

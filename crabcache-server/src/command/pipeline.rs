//! From bytes to replies: parses all complete requests that have arrived, prefetches what they will
//! read, runs them in order.
//!
//! One pipeline serves all connections of a worker, one at a time, so its buffers are shared and
//! stay warm. It does no I/O: bytes in, bytes out.

use super::context::Ctx;
use super::dispatch::{
    Outcome, execute, fail, needs_whole_keyspace, refuse_unknown, withhold_reply,
};
use super::lap::Lap;
use super::table::Found;
use super::{Args, CommandRow, Handler};
use crate::blocking::{Blocked, Unblock, WaitKind, keys};
use crate::client::{Client, ClientFlags, Running, describe};
use crate::config::Config;
use crate::error::{CommandError, ReplicationError};
use crate::monitor;
use crate::replication::link::follow;
use crate::replication::log;
use crate::server::Server;
use crate::tracking;
use bytes::{Buf, BytesMut};
use crabcache_resp::{Limits, Progress, ProtocolError, Reply, RequestParser, Span};
use crabcache_store::{Pass, Place, Trace};
use std::ops::Range;
use std::sync::Arc;

/// Requests parsed before the first of them runs. Enough to hide the memory's latency, few enough
/// that what was prefetched is still in the cache.
const BATCH_LEN_MAX: usize = 32;
/// Output beyond which the pipeline stops, so that the socket can take some.
pub(crate) const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// The same for a client that has not authenticated.
const UNAUTHENTICATED_OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Time after which the pipeline stops, so that other clients of the worker have their turn.
const TURN_NS: u64 = 250_000;
/// After a command that took so long, the time of the batch is no longer the time.
const LONG_COMMAND_NS: u64 = 500_000;
/// A command that takes so long holds up the worker's other clients. (A thread that is preempted gets
/// its processor back within a few milliseconds.)
const HINDERING_COMMAND_NS: u64 = 10_000_000;

/// One request of very many words must not keep its memory for ever.
const SPANS_KEPT_MAX: usize = 8192;

/// After so long into a batch, a stripe is unlocked between commands: others want it too.
const KEPT_STRIPE_NS_MAX: u64 = 50_000;

/// Why the pipeline stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All complete requests were served; `wanted` more bytes at least are needed for the next.
    NeedsInput {
        /// Bytes.
        wanted: usize,
    },
    /// There is enough output, or others want their turn; call again when the output was sent.
    NeedsFlush,
    /// The client waits for something (blocked, paused): call again when it is woken.
    Waits,
    /// The connection is to be closed once the output was sent.
    Closes,
    /// The connection is to be closed at once.
    Aborts,
    /// The client has become a replica: the connection serves requests no more.
    HandsOver,
}

/// A parsed request.
struct Request {
    words: Range<usize>,
    /// Row of the command; `None` if there is no such command.
    row: Option<usize>,
    place: Option<Place>,
    /// Where the request ends in the input.
    end: usize,
    /// Whether it is a line with quotes. They have been resolved in place, so it cannot be parsed
    /// again; it is alone in its batch.
    is_quoted: bool,
}

impl Request {
    /// Whether one stripe is all that both need.
    fn is_on_stripe_of(&self, other: &Request) -> bool {
        matches!((self.place, other.place), (Some(a), Some(b)) if a.stripe() == b.stripe())
    }
}

/// See the module's text.
pub struct Pipeline {
    server: Arc<Server>,
    worker: usize,
    config: Arc<Config>,
    config_generation: u64,
    requests: Vec<Request>,
    spans: Vec<Span>,
    trace: Trace,
    n_served: usize,
}

impl Pipeline {
    /// The pipeline of worker number `worker`.
    pub fn new(server: Arc<Server>, worker: usize) -> Pipeline {
        Pipeline {
            config_generation: server.config.generation(),
            config: server.config.get(),
            server,
            worker,
            requests: Vec::new(),
            spans: Vec::new(),
            trace: Trace::default(),
            n_served: 0,
        }
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The configuration of the commands that ran last.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Requests that the last [`Pipeline::run`] has served.
    pub fn n_served(&self) -> usize {
        self.n_served
    }

    /// Serves the requests in `input` and removes them from it; appends replies to `out`.
    pub fn run(&mut self, client: &mut Client, input: &mut BytesMut, out: &mut Vec<u8>) -> Stop {
        let mut turn_ends_ns = None;
        self.n_served = 0;
        loop {
            if client.is_held_up() {
                return if client.flags.contains(ClientFlags::CLOSE_ASAP) {
                    Stop::Aborts
                } else if client.flags.contains(ClientFlags::REPLICA) {
                    Stop::HandsOver
                } else if client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY) {
                    Stop::Closes
                } else {
                    Stop::Waits
                };
            }
            let parsed = self.parse(client, input);
            if self.requests.is_empty() {
                return match parsed {
                    Ok(wanted) => {
                        if turn_ends_ns.is_none() {
                            // A part of a request is a sign of life too.
                            client.handle.touch(self.server.clock.unix_ms());
                        }
                        Stop::NeedsInput { wanted }
                    }
                    Err(error) => {
                        self.refuse_protocol(client, error, out);
                        Stop::Closes
                    }
                };
            }
            if let Some(stop) = self.execute(client, input, out, &mut turn_ends_ns) {
                return stop;
            }
            if input.is_empty() && !client.is_held_up() {
                return Stop::NeedsInput { wanted: 1 };
            }
        }
    }

    /// Parses requests from the front of `input`. Returns how many bytes the next one needs.
    fn parse(&mut self, client: &mut Client, input: &mut BytesMut) -> Result<usize, ProtocolError> {
        self.requests.clear();
        self.spans.clear();
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans.shrink_to(SPANS_KEPT_MAX);
        }
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
            let is_quoted = is_quoted_line(&input[start..]);
            if is_quoted && !self.requests.is_empty() {
                break;
            }
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
                // An empty request goes with the one before it: what the parser has read of the
                // next one is to stand at the front when that was served.
                if let Some(last) = self.requests.last_mut() {
                    last.end = start;
                }
                continue;
            }
            let args = Args::new(input, &self.spans[first..]);
            let row = match self.server.commands.find(args) {
                Found::Row(row) => Some(row),
                _ => None,
            };
            let place = row.and_then(|row| self.place_of(row, args));
            let words = first..self.spans.len();
            let row = row.map(|row| row.id);
            self.requests.push(Request { words, row, place, end: start, is_quoted });
            if is_quoted {
                break;
            }
        }
        Ok(1)
    }

    fn place_of(&self, row: &CommandRow, args: Args<'_>) -> Option<Place> {
        let index = row.single_key.filter(|index| *index < args.len())?;
        Some(self.server.keyspace.key(args.get(index)).place())
    }

    /// Prefetches the elements that the requests from number `start` on name, as long as they are
    /// of the same key. Returns the number of the first request that is not.
    fn prefetch_elements(
        &self,
        pass: &mut Pass<'_>,
        ctx: &Ctx<'_>,
        input: &[u8],
        start: usize,
    ) -> usize {
        let requests = &self.requests[start..];
        let args = |request: &Request| Args::new(input, &self.spans[request.words.clone()]);
        let element = |request: &Request| {
            let element = self.server.commands.row(request.row?).element;
            element.filter(|(_, index)| *index < request.words.len())
        };
        let Some((key_index, _)) = element(&requests[0]) else { return start + 1 };
        let is_of_the_same = |request: &&Request| request.place == requests[0].place;
        let indexes = requests
            .iter()
            .take_while(is_of_the_same)
            .map_while(|request| element(request).map(|(_, index)| (request, index)));
        let n_elements = indexes.clone().count();
        if n_elements > 1 {
            let key = self.server.keyspace.key(args(&requests[0]).get(key_index));
            let elements = indexes.map(|(request, index)| args(request).get(index));
            pass.prefetch_elements(ctx.client.db, &key, elements);
        }
        start + n_elements
    }

    /// Runs the parsed requests as long as the turn lasts, which begins with the first of a run.
    fn execute(
        &mut self,
        client: &mut Client,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
        turn_ends_ns: &mut Option<u64>,
    ) -> Option<Stop> {
        self.refresh_config();
        // Borrowed, not cloned: workers would take the counts of references from each other.
        let Pipeline { server, worker, config, requests, spans, trace, .. } = &*self;
        let output_bytes_max = output_bytes_max(client);
        let stats = server.stats.begin(*worker);
        let mut pass = server.keyspace.enter(*worker);
        let mut ctx = Ctx::new(server, config, client, out);
        if !follow::is_current(&ctx) {
            return Some(Stop::Aborts);
        }
        ctx.client.handle.touch(ctx.env.now_ms);
        if requests.len() > 1 {
            let places = requests.iter().filter_map(|request| request.place);
            pass.prefetch(ctx.client.db, places);
        }
        let batch_began_ns = server.clock.elapsed_ns();
        let mut lap = Lap::begin(batch_began_ns);
        let turn_ends_ns = *turn_ends_ns.get_or_insert(batch_began_ns + TURN_NS);
        let (mut n_served, mut n_ran, mut fetched_end, mut stop) = (0usize, 0, 0, None);
        for (index, request) in requests.iter().enumerate() {
            let args = Args::new(input, &spans[request.words.clone()]);
            if index > 0 && ctx.client.primary.is_some() && may_leave_gate(server, request, args) {
                break;
            }
            ctx.client.handle.show_command(request.row);
            let row = request.row.map(|id| server.commands.row(id));
            if index >= fetched_end && row.is_some_and(|row| row.element.is_some()) {
                fetched_end = self.prefetch_elements(&mut pass, &ctx, input, index);
            }
            ctx.keeps_stripe = requests.get(index + 1).is_some_and(|next| {
                next.is_on_stripe_of(request)
                    && lap.began_ns.saturating_sub(batch_began_ns) < KEPT_STRIPE_NS_MAX
            });
            let outcome = run_request(&mut pass, &mut ctx, row, &args, request.place, trace);
            if outcome == Outcome::Postponed {
                postpone(&mut ctx);
                break;
            }
            n_served += 1;
            n_ran += u64::from(outcome != Outcome::Answered);
            lap.n_calls += u64::from(outcome == Outcome::Ran);
            let next = requests.get(n_served).and_then(|next| next.row);
            let n_bytes = request.end - requests[..index].last().map_or(0, |last| last.end);
            if outcome != Outcome::Ran || !lap.goes_on(&ctx, n_bytes, next) {
                end_lap(&mut ctx, args, outcome, &mut lap);
            }
            if ctx.client.primary.is_some() {
                follow::note_applied(ctx.client, request.end);
            }
            settle(&mut ctx, args, outcome);
            // What CONFIG SET changed holds for the next request.
            let is_outdated = server.config.generation() != self.config_generation;
            if ctx.client.is_held_up() || is_outdated {
                break;
            }
            if ctx.reply.len() >= output_bytes_max || lap.began_ns > turn_ends_ns {
                stop = Some(Stop::NeedsFlush);
                break;
            }
        }
        self.end_served(&mut ctx, input, n_served, &mut lap);
        drop(pass);
        settle_batch(&mut ctx);
        stats.count_cycle(lap.began_ns.saturating_sub(batch_began_ns), n_ran);
        stats.count_lookups(trace);
        self.take_served(client, input, n_served);
        self.n_served += n_served;
        stop
    }

    /// Ends what the served requests have begun, while the gate is still held.
    #[inline]
    fn end_served(&self, ctx: &mut Ctx<'_>, input: &[u8], n_served: usize, lap: &mut Lap) {
        let Some(last) = self.requests[..n_served].last() else { return };
        if lap.n_calls > 0 {
            let args = Args::new(input, &self.spans[last.words.clone()]);
            end_lap(ctx, args, Outcome::Ran, lap);
        }
        if ctx.client.primary.is_some() {
            follow::hand_on(&self.server, ctx.client, &input[..last.end]);
        }
    }

    /// Removes the first `n_served` of the parsed requests from the input. The others will be
    /// parsed again.
    fn take_served(&self, client: &mut Client, input: &mut BytesMut, n_served: usize) {
        let (served, unserved) = self.requests.split_at(n_served);
        if !unserved.is_empty() {
            // What it has read of the next request does not stand at the front now.
            client.parser = RequestParser::default();
        }
        if let [request] = unserved
            && request.is_quoted
        {
            *input = self.rewrite(input, request);
        } else if let Some(last) = served.last() {
            input.advance(last.end);
        }
    }

    /// The input with the first request written so that it can be parsed again.
    #[cold]
    fn rewrite(&self, input: &[u8], request: &Request) -> BytesMut {
        let mut fresh = BytesMut::new();
        let mut put = |bytes: &[u8]| fresh.extend_from_slice(bytes);
        put(format!("*{}\r\n", request.words.len()).as_bytes());
        for span in &self.spans[request.words.clone()] {
            put(format!("${}\r\n", span.len).as_bytes());
            put(span.of(input));
            put(b"\r\n");
        }
        put(&input[request.end..]);
        fresh
    }

    /// Takes a client out of its wait; the [`crate::blocking::Wait`] itself has been ended.
    fn unblock(&mut self, client: &mut Client, how: Unblock, out: &mut Vec<u8>) {
        let Some(blocked) = resume(client) else { return };
        if blocked.wait.kind == WaitKind::Pause {
            return;
        }
        self.unpark(&blocked);
        self.refresh_config();
        let mut ctx = Ctx::new(&self.server, &self.config, client, out);
        ctx.row = self.server.commands.row(blocked.row);
        let mark = ctx.reply.len();
        match how {
            Unblock::Served => {}
            Unblock::Ended => (blocked.end_reply)(&self.server, &mut ctx.reply),
            Unblock::WithError => fail(&mut ctx, mark, &CommandError::Unblocked),
            Unblock::RoleChanged => {
                fail(&mut ctx, mark, &ReplicationError::RoleChanged.into());
                ctx.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
            }
        }
        withhold_reply(&mut ctx, mark);
        self.server.count_call(&ctx, blocked.request.as_args(), blocked.took_ns);
    }

    /// Takes a request that waits for keys out of their stripes.
    fn unpark(&self, blocked: &Blocked) {
        if let Some(parked) = &blocked.parked {
            keys::unpark(&self.server, &mut self.server.keyspace.enter(self.worker), parked);
        }
    }

    /// Ends the wait of a client that another thread has ended.
    pub fn settle_mail(
        &mut self,
        client: &mut Client,
        unblock: Option<Unblock>,
        out: &mut Vec<u8>,
    ) {
        let waits_for_pause = |blocked: &Blocked| blocked.wait.kind == WaitKind::Pause;
        if let Some(Unblock::Served) = unblock {
            // The reply has been counted and sent, or withheld.
            resume(client);
            client.takes_reply();
        } else if let Some(how) = unblock {
            self.unblock(client, how, out);
        } else if client.blocked.as_deref().is_some_and(waits_for_pause)
            && client.blocked.as_ref().is_some_and(|blocked| blocked.wait.is_over())
        {
            resume(client);
        }
    }

    /// Ends the wait of a client if its time has come. Whether it did.
    pub fn time_out(&mut self, client: &mut Client, out: &mut Vec<u8>) -> bool {
        let now = self.server.clock.elapsed();
        let is_due = client.blocked.as_ref().is_some_and(|blocked| {
            blocked.deadline.is_some_and(|deadline| deadline <= now) && blocked.wait.end()
        });
        if is_due {
            self.unblock(client, Unblock::Ended, out);
        }
        is_due
    }

    /// Forgets what a command left behind that panicked.
    pub fn recover(&mut self) {
        self.requests.clear();
        self.spans.clear();
        self.trace = Trace::default();
    }

    /// Ends what the client has under way, when its connection is gone.
    pub fn forget(&mut self, client: &mut Client) {
        if let Some(blocked) = resume(client) {
            // If somebody else has ended the wait, there is nobody to tell.
            let _ = blocked.wait.end();
            self.unpark(&blocked);
        }
        self.server.monitors.remove(&self.server, client);
        self.server.pubsub.forget(&client.handle);
        self.server.tracking.forget(&self.server, &client.handle);
        if !client.watched.is_empty() {
            let mut pass = self.server.keyspace.enter(self.worker);
            crate::transaction::unwatch(&self.server, &mut pass, client);
        }
    }

    /// Answers bytes that are no request.
    #[cold]
    fn refuse_protocol(&mut self, client: &mut Client, error: ProtocolError, out: &mut Vec<u8>) {
        let line = CommandError::Protocol(error).to_string();
        self.server.stats.count_error(CommandError::code(&line));
        if client.takes_reply() {
            Reply::new(out, client.protocol).error(line.as_bytes());
        }
        tracing::debug!(
            "{error} from client: {}",
            describe(&self.server, &client.handle, Running::default())
        );
        client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
    }

    #[inline]
    fn refresh_config(&mut self) {
        let generation = self.server.config.generation();
        if generation != self.config_generation {
            (self.config_generation, self.config) = (generation, self.server.config.get());
        }
    }
}

/// Carries out one request; `row` is that of its command, if there is one.
#[inline]
fn run_request<'a>(
    pass: &mut Pass<'_>,
    ctx: &mut Ctx<'a>,
    row: Option<&'a CommandRow>,
    args: &Args<'_>,
    place: Option<Place>,
    trace: &Trace,
) -> Outcome {
    let Some(row) = row else {
        refuse_unknown(ctx, *args);
        return Outcome::Answered;
    };
    ctx.row = row;
    execute(pass, ctx, args, place, trace)
}

/// Does what is done once for all commands of a batch.
#[inline]
fn settle_batch(ctx: &mut Ctx<'_>) {
    if let Some(ends) = log::take_last() {
        ctx.client.last_write = ends;
    }
    monitor::send(ctx);
    tracking::settle(ctx.server);
}

/// Bytes of output that end a batch.
#[inline]
fn output_bytes_max(client: &Client) -> usize {
    match client.flags.contains(ClientFlags::NEEDS_AUTH) {
        true => UNAUTHENTICATED_OUTPUT_BYTES_MAX,
        false => OUTPUT_BYTES_MAX,
    }
}

/// Whether somebody else may hold the whole keyspace before the request runs, while it waits for the
/// same. What a primary has sent before must be handed on by then: that begins a batch of its own.
fn may_leave_gate(server: &Server, request: &Request, args: Args<'_>) -> bool {
    request.row.map(|id| server.commands.row(id)).is_some_and(|row| {
        !matches!(row.spec.handler, Handler::Read(_) | Handler::Write(_) | Handler::Server(_))
            || needs_whole_keyspace(row, args)
    })
}

/// Looks at the clock and accounts for the calls since the last look, of which `args` are the last one's.
#[inline]
fn end_lap(ctx: &mut Ctx<'_>, args: Args<'_>, outcome: Outcome, lap: &mut Lap) {
    let ended_ns = ctx.server.clock.elapsed_ns();
    let took_ns = ended_ns.saturating_sub(lap.began_ns);
    if lap.n_calls > 0 {
        ctx.server.count_calls(ctx, args, lap.n_calls, took_ns);
    }
    if outcome == Outcome::Blocked
        && let Some(blocked) = &mut ctx.client.blocked
    {
        (blocked.request, blocked.took_ns) = (args.to_owned(), took_ns);
    }
    if took_ns > LONG_COMMAND_NS {
        ctx.env.now_ms = ctx.server.clock.unix_ms();
        ctx.stats.n_long_commands.add(u64::from(took_ns > HINDERING_COMMAND_NS));
    }
    *lap = Lap::begin(ended_ns);
}

/// Does what is left to do about a request that was served.
#[inline]
fn settle(ctx: &mut Ctx<'_>, args: Args<'_>, outcome: Outcome) {
    if ctx.client.flags.contains(ClientFlags::TRACKING_CACHING) {
        tracking::end_caching(ctx);
    }
    if matches!(outcome, Outcome::Ran | Outcome::Blocked) {
        monitor::show_if_wanted(ctx, args);
    }
    send_pushed(ctx);
}

/// Sends what the command has pushed to its own client, behind its reply.
#[inline]
fn send_pushed(ctx: &mut Ctx<'_>) {
    if ctx.client.handle.has_mail() {
        let pushed = ctx.client.handle.take_output();
        ctx.reply.raw(&pushed.output);
    }
}

/// Holds a client until the pause is over.
#[cold]
fn postpone(ctx: &mut Ctx<'_>) {
    // It may have ended just now, so this is tried again now and then.
    const RETRY_MS: i64 = 100;
    let until_ms = match ctx.server.conditions.are_writes_held() {
        true => ctx.env.now_ms + RETRY_MS,
        false => ctx.server.conditions.pause_until_ms(),
    };
    ctx.block(WaitKind::Pause, Some(until_ms), |_, _| {});
}

/// Takes a client out of its wait.
fn resume(client: &mut Client) -> Option<Box<Blocked>> {
    let blocked = client.blocked.take()?;
    client.set_flag(ClientFlags::BLOCKED, false);
    *client.handle.wait.lock() = None;
    Some(blocked)
}

/// Whether `input` begins with a line, not a multibulk request, that has quotes.
#[inline]
fn is_quoted_line(input: &[u8]) -> bool {
    match input.first() {
        None | Some(b'*') => false,
        Some(_) => memchr::memchr3(b'\n', b'"', b'\'', input).is_some_and(|at| input[at] != b'\n'),
    }
}

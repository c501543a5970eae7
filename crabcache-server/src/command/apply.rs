//! Runs the commands of an append-only file. (Those of a primary come as those of clients do, through
//! the pipeline: `replication/link/follow.rs`.)
//!
//! They go through the dispatcher as those of clients do, with these differences: whoever has written
//! the stream has decided already, so nothing is refused but what is no command; replies are thrown
//! away; no command waits for anything; and what has expired is as good as any other key until the
//! stream says otherwise, because the commands that follow were made with it in view.
//!
//! What this is not: it reads no bytes (see [`Batch`]) and knows nothing of positions.

use super::args::Args;
use super::context::Ctx;
use super::dispatch;
use super::table::Found;
use crate::acl::User;
use crate::client::{Client, ClientFlags, ClientHandle, Peer, ReplyMode};
use crate::config::Config;
use crate::replication::log::Targets;
use crate::server::Server;
use crabcache_resp::{Protocol, Span};
use crabcache_store::{Locked, Pass, Place, Trace};
use std::sync::Arc;

/// Requests whose keys are fetched before the first of them runs.
const PREFETCHED_MAX: usize = 32;

/// Requests in a row, parsed.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// The words of all requests.
    pub spans: Vec<Span>,
    /// By request, where its words end in `spans`, and where it ends in the stream.
    pub ends: Vec<(usize, u64)>,
}

impl Batch {
    /// The words of request number `index`.
    pub fn args(&self, index: usize) -> Args<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].0);
        Args::new(&self.bytes, &self.spans[start..self.ends[index].0])
    }

    /// Requests.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// What a command runs on: stripes that it locks itself, or the whole keyspace, which is held.
pub enum Ground<'g, 'p> {
    /// A gate.
    Pass(&'g mut Pass<'p>),
    /// Everything.
    Held(&'g mut Locked<'p>),
}

/// How far a batch was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Number of the request that is no command, or none with so many words.
    pub index: usize,
}

/// See the module's text.
pub struct Applier {
    client: Client,
    worker: usize,
    trace: Trace,
    out: Vec<u8>,
    rows: Vec<Option<(usize, Option<Place>)>>,
    /// Who is told of what the commands change.
    pub targets: Targets,
}

impl Applier {
    /// Of the thread with gate and counters number `worker`; nobody is told of what it changes.
    pub fn new(server: &Server, worker: usize) -> Applier {
        let user = Arc::new(User::default());
        let now_ms = server.clock.unix_ms();
        let handle = Arc::new(ClientHandle::new(0, Peer::default(), worker, user, now_ms));
        let client =
            Client::stand_in(handle, 0, Protocol::Resp2, ClientFlags::empty(), ReplyMode::On);
        Applier {
            client,
            worker,
            trace: Trace::default(),
            out: Vec::new(),
            rows: Vec::new(),
            targets: Targets::empty(),
        }
    }

    /// The client that the commands run as.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether a transaction has begun and not ended.
    pub fn is_in_transaction(&self) -> bool {
        self.client.flags.contains(ClientFlags::MULTI)
    }

    /// Runs the requests in order. `done` is told the number of each that has run, and whether a
    /// transaction is open behind it.
    ///
    /// # Errors
    /// The first that is no command; those before it have run.
    pub fn run(
        &mut self,
        server: &Server,
        config: &Arc<Config>,
        mut ground: Ground<'_, '_>,
        batch: &Batch,
        mut done: impl FnMut(usize, bool),
    ) -> Result<(), Refused> {
        for start in (0..batch.len()).step_by(PREFETCHED_MAX) {
            let end = batch.len().min(start + PREFETCHED_MAX);
            self.find_rows(server, batch, start..end);
            if let Ground::Pass(pass) = &mut ground {
                let places = self.rows.iter().filter_map(|row| row.and_then(|(_, place)| place));
                pass.prefetch(self.client.db, places);
            }
            let Applier { client, trace, out, rows, worker, targets } = self;
            let mut ctx = Ctx::new(server, config, client, out);
            ctx.worker = *worker;
            for (index, row) in (start..end).zip(&*rows) {
                let (id, place) = row.ok_or(Refused { index })?;
                ctx.row = server.commands.row(id);
                ctx.in_exec = true;
                ctx.effects.targets = *targets;
                let args = batch.args(index);
                match &mut ground {
                    Ground::Pass(pass) => dispatch::apply(pass, &mut ctx, args, place, trace),
                    Ground::Held(locked) => dispatch::apply_held(locked, &mut ctx, args, trace),
                }
                ctx.reply.truncate(0);
                done(index, ctx.client.flags.contains(ClientFlags::MULTI));
            }
            server.lazyfree.free_discarded(config, trace);
        }
        Ok(())
    }

    fn find_rows(&mut self, server: &Server, batch: &Batch, range: std::ops::Range<usize>) {
        self.rows.clear();
        self.rows.extend(range.map(|index| {
            let args = batch.args(index);
            let Found::Row(row) = server.commands.find(args) else { return None };
            let key = row.single_key.filter(|index| *index < args.len());
            let place = key.map(|index| server.keyspace.key(args.get(index)).place());
            row.arity_fits(args.len()).then_some((row.id, place))
        }));
    }
}

//! Waiting for keys: parking requests that found nothing, and serving them when their keys change.
//!
//! ```text
//! BLPOP k 0 finds nothing      -> park: enters its number in k's stripe, which it still holds
//! RPUSH k a changes k          -> the view finds the number there and notes k as ready
//!   ... its reply, its effects, its stripes unlocked
//!   serve_ready                -> locks all stripes of the parked request, claims the wait,
//!                                 runs the request again, posts the reply to the other client
//! ```
//!
//! A request that finds nothing again stays parked where it was. What serving changes may make
//! further keys ready, which are served in turn, before the server's own client goes on.
//!
//! Invariant: a wait is claimed while the stripes of its keys are held, and settled before they are
//! unlocked. So whoever ends it otherwise waits for a moment at most, without any lock in between.

use super::Wait;
use super::late::LateRequest;
use crate::acl;
use crate::command::args::OwnedArgs;
use crate::command::dispatch::{
    finish_served, mode_of, refuse_served, run_locked, settle_data, stripes_of,
};
use crate::command::{Args, Ctx};
use crate::config::Config;
use crate::server::Server;
use crabcache_store::{Locked, Mode, Pass, StripeSet, Trace, Wanted};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a handler waits for.
#[derive(Debug)]
pub struct KeyWait {
    /// What the keys must hold.
    pub wanted: Wanted,
    /// The keys, of the client's database. They are among those that the command was locked by.
    pub keys: Vec<Box<[u8]>>,
    /// What is to run instead of the request, if that would mean something else later (`$`).
    pub request: Option<OwnedArgs>,
}

/// A request that waits for keys.
#[derive(Debug)]
pub struct Parked {
    id: u64,
    late: LateRequest,
    keys: Vec<Box<[u8]>>,
}

impl Parked {
    /// Removes the request from the stripes of its keys, which are held.
    fn leave(&self, server: &Server, locked: &Locked<'_>) {
        for key in &self.keys {
            locked.leave_wait(self.late.db(), &server.keyspace.key(key), self.id);
        }
        server.blocking.parking.requests.lock().remove(&self.id);
    }
}

/// All parked requests, by number.
#[derive(Debug, Default)]
pub struct Parking {
    requests: Mutex<HashMap<u64, Arc<Parked>>>,
    last_id: AtomicU64,
}

impl Parking {
    fn find(&self, id: u64) -> Option<Arc<Parked>> {
        self.requests.lock().get(&id).cloned()
    }
}

/// Parks the request of a client that its handler has blocked for keys. The stripes of the keys are
/// held.
#[cold]
pub fn park(locked: &Locked<'_>, ctx: &mut Ctx<'_>, args: Args<'_>) {
    let Some(blocked) = ctx.client.blocked.as_mut() else { return };
    let Some(KeyWait { wanted, mut keys, request }) = blocked.key_wait.take() else { return };
    let wait = blocked.wait.clone();
    keys.sort_unstable();
    keys.dedup();
    let parking = &ctx.server.blocking.parking;
    let id = parking.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let late = LateRequest::new(ctx, wait, request.unwrap_or_else(|| args.to_owned()));
    let parked = Arc::new(Parked { id, late, keys });
    parking.requests.lock().insert(id, parked.clone());
    for key in &parked.keys {
        locked.enter_wait(ctx.client.db, &ctx.server.keyspace.key(key), id, wanted);
    }
    if let Some(blocked) = ctx.client.blocked.as_mut() {
        blocked.parked = Some(parked);
    }
}

/// Takes a request out of the stripes whose wait has ended otherwise than by being served.
pub fn unpark(server: &Server, pass: &mut Pass<'_>, parked: &Parked) {
    let stripes: StripeSet =
        parked.keys.iter().map(|key| server.keyspace.key(key).stripe()).collect();
    parked.leave(server, &pass.lock_many(stripes, Mode::Read));
}

/// Serves those who wait for keys that commands have changed. No stripe is held. `worker` is the
/// calling thread's number.
#[cold]
pub fn serve_ready(
    server: &Server,
    config: &Arc<Config>,
    worker: usize,
    pass: &mut Pass<'_>,
    trace: &Trace,
) {
    loop {
        let ready = trace.ready.take();
        if ready.is_empty() {
            return;
        }
        for (db, key) in ready {
            let key = server.keyspace.key(&key);
            let mut last = 0;
            loop {
                let env = server.env(config);
                let locked = pass.lock_one(key.stripe(), Mode::Read);
                let next = locked.next_wait(db, &key, last, &env);
                drop(locked);
                let Some(id) = next else { break };
                last = id;
                if let Some(parked) = server.blocking.parking.find(id) {
                    serve(server, config, worker, pass, trace, &parked);
                }
            }
        }
    }
}

/// Runs a parked request again.
fn serve(
    server: &Server,
    config: &Arc<Config>,
    worker: usize,
    pass: &mut Pass<'_>,
    trace: &Trace,
    parked: &Parked,
) {
    let late = &parked.late;
    let (mut client, mut out) = (late.stand_in(), Vec::new());
    let mut ctx = Ctx::new(server, config, &mut client, &mut out);
    (ctx.worker, ctx.is_served) = (worker, true);
    ctx.row = server.commands.row(late.row);
    let args = late.args();
    let mut locked = pass.lock_many(stripes_of(&ctx, args), mode_of(ctx.row));
    let Some(claim) = Claim::new(&late.wait) else { return };
    let began_ns = server.clock.elapsed_ns();
    let n_mail_bytes = late.n_mail_bytes();
    // What the user may do may have changed since the client began to wait.
    let denied = acl::admit(&ctx, ctx.row, args, acl::Context::TopLevel).err();
    match &denied {
        None => run_locked(&mut locked, &mut ctx, args, trace, 0),
        Some((error, _)) => refuse_served(&mut ctx, error),
    }
    let is_answered = !ctx.blocks_again;
    if is_answered {
        parked.leave(server, &locked);
    }
    claim.settle(is_answered);
    drop(locked);
    settle_data(pass, server, config, &ctx.env, trace);
    if is_answered {
        if denied.is_none() {
            finish_served(&mut ctx, args, server.clock.elapsed_ns().saturating_sub(began_ns));
        }
        late.answer(out, n_mail_bytes);
    }
}

/// A wait that nobody else can end. It goes on if the claim is given up, as by a panic.
struct Claim<'w>(&'w Wait);

impl<'w> Claim<'w> {
    fn new(wait: &'w Wait) -> Option<Claim<'w>> {
        // Not `then_some`: a claim that was never had must not be given up.
        wait.claim().then(|| Claim(wait))
    }

    fn settle(self, is_over: bool) {
        if is_over {
            self.0.settle(true);
            std::mem::forget(self);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.settle(false);
    }
}

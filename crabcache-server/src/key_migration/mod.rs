//! MIGRATE: keys on their way to another server.
//!
//! ```text
//!  worker:  sees that there are keys --> thread:  connects, while nothing is locked
//!                                                 locks the keys, sends them, waits for the answers,
//!  client <-------- reply ----------------------- removes what has arrived, unlocks
//! ```
//!
//! The other server may be slow or gone, so this is no worker's business. While keys are locked, whoever
//! wants other stripes goes on; the reference stands still. In a transaction or script, which is one
//! with what comes before and behind, the command runs where that runs.
//!
//! - [`request`]: what is asked for; [`target`]: the other server.
//!
//! Invariant: a key is removed while its stripe is held, since before it was sent. So nobody changes it
//! in between, and it is never nowhere.

pub mod request;
pub mod target;

use crate::blocking::keys;
use crate::blocking::late::LateRequest;
use crate::command::Ctx;
use crate::command::dispatch::{
    Refusal, fail, finish_served, may_still_run, refuse_served, run_locked, settle_data, stripes_of,
};
use crate::config::Config;
use crate::error::CommandError;
use crate::server::Server;
use crabcache_store::{Mode, Trace};
use request::Request;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use target::Kept;

/// While writes are paused, it is looked so often whether they still are.
const PAUSE: Duration = Duration::from_millis(10);

/// See the module's text.
#[derive(Debug, Default)]
pub struct KeyMigration {
    queue: OnceLock<Sender<LateRequest>>,
    /// Connections that may be used again.
    pub kept: Kept,
}

impl KeyMigration {
    /// Whether there is a thread; else keys are sent where the command runs.
    pub fn has_thread(&self) -> bool {
        self.queue.get().is_some()
    }

    /// Has the thread carry out a request whose client is blocked.
    pub fn hand_over(&self, late: LateRequest) {
        if let Some(queue) = self.queue.get() {
            // The thread lives as long as the server.
            let _ = queue.send(late);
        }
    }
}

/// Starts the thread. It ends with the server.
///
/// # Errors
/// If it cannot be started.
pub fn start(server: &Arc<Server>) -> io::Result<()> {
    let (sender, receiver) = channel();
    // It is started once.
    let _ = server.migration.queue.set(sender);
    let server = server.clone();
    let thread = std::thread::Builder::new().name("migration".to_string());
    thread.spawn(move || work(&server, &receiver)).map(drop)
}

fn work(server: &Server, queue: &Receiver<LateRequest>) {
    while let Ok(late) = queue.recv() {
        // Who has gone does not want it any more.
        if !late.wait.is_over() {
            carry_out(server, &server.config.get(), &late);
            drop(late);
            server.memory.used.note();
        }
    }
}

fn carry_out(server: &Server, config: &Arc<Config>, late: &LateRequest) {
    let began_ns = server.clock.elapsed_ns();
    let connected = Request::parse(late.args())
        .and_then(|request| server.migration.kept.prepare(server, config, &request));
    let (mut client, mut out) = (late.stand_in(), Vec::new());
    let mut ctx = Ctx::new(server, config, &mut client, &mut out);
    (ctx.worker, ctx.is_served) = (server.migration_worker(), true);
    ctx.row = server.commands.row(late.row);
    let n_mail_bytes = late.n_mail_bytes();
    let refused = match connected {
        Ok(()) => run(&mut ctx, config, late),
        Err(error) => {
            fail(&mut ctx, 0, &error);
            None
        }
    };
    if let Some(error) = &refused {
        refuse_served(&mut ctx, error);
    } else {
        let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
        finish_served(&mut ctx, late.args(), took_ns);
    }
    if late.wait.end() {
        late.answer(out, n_mail_bytes);
    }
}

/// Runs the command on the keys. Gives the reason if it may not run any more.
fn run(ctx: &mut Ctx<'_>, config: &Arc<Config>, late: &LateRequest) -> Option<CommandError> {
    let (server, args, trace) = (ctx.server, late.args(), Trace::default());
    while !late.wait.is_over() {
        let mut pass = server.keyspace.enter(ctx.worker);
        let mut locked = pass.lock_many(stripes_of(ctx, args), Mode::Write);
        ctx.env.now_ms = server.clock.unix_ms();
        if may_still_run(ctx, args) {
            run_locked(&mut locked, ctx, args, &trace, 0);
            drop(locked);
            settle_data(&mut pass, server, config, &ctx.env, &trace);
            keys::serve_ready(server, config, ctx.worker, &mut pass, &trace);
            return None;
        }
        if let Some(Refusal::Error(error)) = ctx.refusal.take() {
            return Some(error);
        }
        drop(locked);
        drop(pass);
        std::thread::sleep(PAUSE);
    }
    None
}

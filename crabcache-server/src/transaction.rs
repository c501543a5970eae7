//! MULTI, EXEC, WATCH: queueing commands and running them as one.
//!
//! EXEC locks the union of what its commands and watched keys need, so it is atomic and isolated
//! across databases and stripes; a watched key cannot change between the check and the commands.

use crate::acl;
use crate::client::{Client, ClientFlags, WatchedKey};
use crate::command::args::OwnedArgs;
use crate::command::dispatch::{
    may_still_run, mode_of, needs_whole_keyspace, run_locked, stripes_of, write_error,
};
use crate::command::{Args, CommandResult, Ctx, Flags, Handler, effects};
use crate::error::CommandError;
use crate::monitor;
use crate::scripting::{self, Plan};
use crate::server::Server;
use crabcache_store::{Locked, Mode, Pass, StripeSet, Trace};
use std::sync::atomic::Ordering;

/// A transaction being queued.
#[derive(Debug)]
pub struct Multi {
    /// Row and words of each command.
    pub queue: Vec<(usize, OwnedArgs)>,
    /// A command was refused: EXEC will not run.
    pub is_aborted: bool,
    /// The flags of all queued commands together.
    pub flags: Flags,
    /// The flags that every queued command has.
    pub common: Flags,
    /// Bytes of the words of the queued commands.
    pub args_bytes: usize,
    /// Bytes of memory that the queue takes.
    pub mem_bytes: usize,
}

impl Default for Multi {
    fn default() -> Self {
        Multi {
            queue: Vec::new(),
            is_aborted: false,
            flags: Flags::empty(),
            common: Flags::all(),
            args_bytes: 0,
            mem_bytes: 0,
        }
    }
}

/// Begins a transaction.
pub fn begin(ctx: &mut Ctx<'_>) {
    ctx.client.multi = Some(Box::default());
    ctx.client.set_flag(ClientFlags::MULTI, true);
    ctx.client.handle.show_multi(ctx.client.multi.as_deref());
}

/// Queues a command that passed its checks.
pub fn queue(ctx: &mut Ctx<'_>, args: Args<'_>) {
    let flags = if matches!(ctx.row.spec.handler, Handler::Script(_)) {
        scripting::effective_flags(ctx, args)
    } else {
        ctx.row.flags
    };
    if let Some(multi) = &mut ctx.client.multi {
        multi.args_bytes += args.bytes();
        let args = args.to_owned();
        multi.mem_bytes += args.mem_bytes() + size_of::<(usize, OwnedArgs)>();
        multi.flags |= flags;
        multi.common &= flags;
        multi.queue.push((ctx.row.id, args));
        ctx.client.handle.show_multi(Some(multi));
    }
    ctx.reply.status("QUEUED");
}

/// Forgets the queued commands.
pub fn end(ctx: &mut Ctx<'_>) -> Option<Box<Multi>> {
    let multi = ctx.client.multi.take();
    ctx.client.set_flag(ClientFlags::MULTI, false);
    ctx.client.handle.show_multi(None);
    multi
}

/// Runs the queued commands as one.
pub fn exec(
    pass: &mut Pass<'_>,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    trace: &Trace,
) -> CommandResult {
    let Some(multi) = ctx.client.multi.take() else { return Err(CommandError::ExecWithoutMulti) };
    let (is_aborted, lock_set) = (multi.is_aborted, lock_set(ctx, &multi));
    ctx.client.multi = Some(multi);
    if is_aborted {
        end(ctx);
        unwatch(ctx.server, pass, ctx.client);
        return Err(CommandError::ExecAborted);
    }
    // What was accepted elsewhere must be done here, too.
    let waits = ctx.client.is_obeyed();
    let waits_for_all = lock_set.is_none();
    if let Some(mut locked) = match lock_set {
        None if waits => Some(pass.lock_all()),
        None => pass.try_lock_all(),
        Some((stripes, mode)) if waits => Some(pass.lock_many(stripes, mode)),
        Some((stripes, mode)) => pass.try_lock_many(stripes, mode),
    } {
        if waits_for_all && !may_still_run(ctx, args) {
            return Ok(());
        }
        return exec_held(&mut locked, ctx, trace);
    }
    end(ctx);
    unwatch(ctx.server, pass, ctx.client);
    Err(CommandError::ExecAbortedBecause(ctx.server.busy_error().without_code()))
}

/// The same while what it needs is held.
///
/// # Errors
/// If there is no transaction.
pub fn exec_held(locked: &mut Locked<'_>, ctx: &mut Ctx<'_>, trace: &Trace) -> CommandResult {
    let multi = end(ctx).ok_or(CommandError::ExecWithoutMulti)?;
    exec_locked(locked, ctx, &multi, trace)
}

/// The stripes that a transaction needs; `None` if it needs the whole keyspace.
fn lock_set(ctx: &mut Ctx<'_>, multi: &Multi) -> Option<(StripeSet, Mode)> {
    let mut stripes: StripeSet = watched_stripes(ctx.server, ctx.client);
    let mut mode = if stripes.is_empty() { Mode::Read } else { Mode::Write };
    let exec = ctx.row;
    let mut needs_all = false;
    for (id, args) in &multi.queue {
        ctx.row = ctx.server.commands.row(*id);
        if matches!(ctx.row.spec.handler, Handler::Script(_)) {
            match scripting::plan(ctx, args.as_args()) {
                Plan::Everything => needs_all = true,
                Plan::Stripes(more, Mode::Read) => stripes.extend(more),
                Plan::Stripes(more, Mode::Write) => {
                    stripes.extend(more);
                    mode = Mode::Write;
                }
            }
            // It is looked for again when it runs: another command of the queue may change that.
            ctx.script = None;
        }
        needs_all |= matches!(ctx.row.spec.handler, Handler::Walk(_))
            || needs_whole_keyspace(ctx.row, args.as_args());
        if matches!(ctx.row.spec.handler, Handler::Read(_) | Handler::Write(_)) {
            stripes.extend(stripes_of(ctx, args.as_args()));
            if mode_of(ctx.row) == Mode::Write {
                mode = Mode::Write;
            }
        }
    }
    ctx.row = exec;
    (!needs_all).then_some((stripes, mode))
}

fn exec_locked(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    multi: &Multi,
    trace: &Trace,
) -> CommandResult {
    let is_dirty = ctx.client.handle.watch_flag.is_dirty() || watched_key_expired(locked, ctx);
    end_watches(ctx.server, locked, ctx.client);
    if is_dirty {
        ctx.reply.null_array();
        return Ok(());
    }
    ctx.reply.array(multi.queue.len());
    let exec = ctx.row;
    let _unit = ctx.server.unit_if(ctx.server.interests.get(), || true);
    let mut began_ns = ctx.server.clock.elapsed_ns();
    for (id, args) in &multi.queue {
        ctx.row = ctx.server.commands.row(*id);
        ctx.known_keys.clear();
        ctx.in_exec = true;
        if let Err(error) = acl::check_queued(ctx, args.as_args()) {
            write_error(ctx, &error);
            continue;
        }
        let mark = ctx.reply.len();
        run_locked(locked, ctx, args.as_args(), trace, mark);
        expire_met(locked, ctx, trace);
        let ended_ns = ctx.server.clock.elapsed_ns();
        ctx.server.count_call(ctx, args.as_args(), ended_ns.saturating_sub(began_ns));
        monitor::show_if_wanted(ctx, args.as_args());
        began_ns = ended_ns;
    }
    (ctx.row, ctx.in_exec) = (exec, false);
    Ok(())
}

/// Whether a watched key has come to its end without anybody noticing.
fn watched_key_expired(locked: &Locked<'_>, ctx: &Ctx<'_>) -> bool {
    let flag = &ctx.client.handle.watch_flag;
    ctx.client.watched.iter().any(|watched| {
        let key = ctx.server.keyspace.key(&watched.key);
        locked.watched_has_expired(watched.db, &key, flag, ctx.env.now_ms)
    })
}

/// Removes expired keys that a command of a transaction or script met as a reader.
pub(crate) fn expire_met(locked: &mut Locked<'_>, ctx: &mut Ctx<'_>, trace: &Trace) {
    if trace.expired.borrow().is_empty() || !locked.is_for_writing() {
        return;
    }
    // A walk meets keys that nobody has named.
    if matches!(ctx.row.spec.handler, Handler::Walk(_))
        && !ctx.config.lazyexpire_nested_arbitrary_keys
    {
        return trace.expired.borrow_mut().clear();
    }
    crate::expire::remove_met_locked(ctx.server, locked, &ctx.env, trace);
    effects::tell_missed(ctx.server, trace);
}

fn watched_stripes(server: &Server, client: &Client) -> StripeSet {
    let stripe = |watched: &WatchedKey| server.keyspace.key(&watched.key).stripe();
    client.watched.iter().map(stripe).collect()
}

/// Watches the keys that the words after the first name.
///
/// # Errors
/// If a script keeps it from being done.
pub fn watch(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>, args: Args<'_>) -> CommandResult {
    // No use in watching more: EXEC will fail.
    if ctx.client.handle.watch_flag.is_dirty() {
        return Ok(());
    }
    let is_first = ctx.client.watched.is_empty();
    if is_first {
        ctx.server.interests.watching_begins();
    }
    let Some(mut locked) = pass.try_lock_many(stripes_of(ctx, args), Mode::Write) else {
        if is_first {
            ctx.server.interests.watching_ends();
        }
        return Err(ctx.server.busy_error());
    };
    let db = ctx.client.db;
    for word in args.iter().skip(1) {
        if ctx.client.watched.iter().any(|watched| watched.db == db && *watched.key == *word) {
            continue;
        }
        let key = ctx.key(word);
        // Kept with the watcher: SWAPDB may change what stands under the key's name.
        let was_expired = locked.has_expired(db, &key, ctx.env.now_ms);
        locked.watch(db, &key, ctx.client.handle.watch_flag.clone(), was_expired);
        let watched = WatchedKey { db, key: word.into() };
        ctx.client.watched.push(watched);
    }
    ctx.client.handle.n_watched.store(ctx.client.watched.len(), Ordering::Relaxed);
    Ok(())
}

/// Ends all watches of a client. While a script keeps it from being done, it is left for the next
/// command that may do it.
pub fn unwatch(server: &Server, pass: &mut Pass<'_>, client: &mut Client) {
    client.forgets_watches = false;
    if !client.watched.is_empty() {
        match pass.try_lock_many(watched_stripes(server, client), Mode::Write) {
            Some(mut locked) => end_watches(server, &mut locked, client),
            None => client.forgets_watches = true,
        }
    }
}

fn end_watches(server: &Server, locked: &mut Locked<'_>, client: &mut Client) {
    if client.watched.is_empty() {
        return;
    }
    for watched in std::mem::take(&mut client.watched) {
        let key = server.keyspace.key(&watched.key);
        locked.unwatch(watched.db, &key, &client.handle.watch_flag);
    }
    client.handle.watch_flag.clear();
    client.handle.n_watched.store(0, Ordering::Relaxed);
    server.interests.watching_ends();
}

//! The life of a command: find its row, check, lock, run, tell what it did, count.
//!
//! The order of [`CHECKS`] is the order in which a client learns of what is wrong. Handlers are
//! plain functions and see none of this.

use super::table::Found;
use super::{Args, CommandResult, CommandRow, Ctx, Flags, Handler, effects};
use crate::acl;
use crate::blocking::keys;
use crate::client::ClientFlags;
use crate::config::{Config, PropagationError};
use crate::error::{self, AofError, CommandError, ReplicationError, excerpt, shown};
use crate::eviction::{self, Room};
use crate::monitor;
use crate::replication::link::follow;
use crate::scripting::{self, Plan};
use crate::server::Server;
use crate::server::interest::Interest;
use crate::{shutdown, tracking, transaction};
use crabcache_store::{Env, Locked, Lookup, Mode, Pass, Place, StripeSet, Trace, Walk};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran.
    Ran,
    /// It was answered without running: refused, or queued for a transaction.
    Answered,
    /// It ran and waits for something: the client is answered later.
    Blocked,
    /// It cannot run now and is to be tried again.
    Postponed,
}

/// Why a check stops a command.
#[derive(Debug)]
pub enum Refusal {
    /// It is answered with this.
    Error(CommandError),
    /// It is to be tried again later.
    Postpone,
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Refusal::Error(error)
    }
}

/// Carries out one request. `place` is where its only key is, if it has one at a fixed place.
#[inline]
pub fn execute(
    pass: &mut Pass<'_>,
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    place: Option<Place>,
    trace: &Trace,
) -> Outcome {
    let row = ctx.row;
    note_place(ctx, args, place);
    ctx.lacks_memory = eviction::is_full(ctx.server, &ctx.config) && !has_made_room(pass, ctx);
    if let Err(refusal) = check(ctx, args) {
        return turn_away(pass, ctx, *args, refusal);
    }
    let mark = ctx.reply.len();
    ctx.mark = mark;
    let mut outcome = Outcome::Ran;
    if is_queued(ctx) {
        transaction::queue(ctx, *args);
        outcome = Outcome::Answered;
    } else {
        run(pass, ctx, args, trace, mark);
        // Looked at first: taking it copies the place of an error.
        if ctx.refusal.is_some()
            && let Some(refusal) = ctx.refusal.take()
        {
            return turn_away(pass, ctx, *args, refusal);
        }
        if ctx.client.blocked.is_some() {
            return Outcome::Blocked;
        }
    }
    if row.flags.contains(Flags::PUSHES) && outcome == Outcome::Ran {
        ctx.client.takes_reply();
    } else {
        withhold_reply(ctx, mark);
    }
    outcome
}

/// Whether there is memory for the command, now or soon. That a key has gone for it is told before the
/// reply.
#[cold]
fn has_made_room(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>) -> bool {
    let room = eviction::make_room(ctx.server, &ctx.config, pass, &ctx.env, ctx.worker);
    if ctx.client.handle.has_mail() {
        ctx.mark = ctx.reply.len();
        ctx.send_pushed();
    }
    room != Room::None
}

/// Carries out a request of a trusted stream, of which only the arity was checked. Its reply is the
/// caller's to throw away.
pub fn apply(
    pass: &mut Pass<'_>,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    place: Option<Place>,
    trace: &Trace,
) {
    note_place(ctx, &args, place);
    if is_queued(ctx) {
        transaction::queue(ctx, args);
    } else {
        let mark = ctx.reply.len();
        run(pass, ctx, &args, trace, mark);
    }
}

/// The same while the whole keyspace is held.
pub fn apply_held(locked: &mut Locked<'_>, ctx: &mut Ctx<'_>, args: Args<'_>, trace: &Trace) {
    ctx.known_keys.clear();
    let mark = ctx.reply.len();
    if is_queued(ctx) {
        transaction::queue(ctx, args);
    } else if matches!(ctx.row.spec.handler, Handler::Gated(_)) {
        // Of those that lock for themselves, streams have EXEC alone.
        let result = transaction::exec_held(locked, ctx, trace);
        finish(ctx, mark, boxed(result));
    } else {
        run_locked(locked, ctx, args, trace, mark);
    }
}

/// Notes where the request's only key is, if that was computed before.
#[inline]
fn note_place(ctx: &mut Ctx<'_>, args: &Args<'_>, place: Option<Place>) {
    ctx.known_keys.clear();
    if let (Some(place), Some(index)) = (place, ctx.row.single_key) {
        ctx.known_keys.set_single(args.get(index), place);
    }
}

fn is_queued(ctx: &Ctx<'_>) -> bool {
    ctx.client.flags.contains(ClientFlags::MULTI) && !ctx.row.flags.contains(Flags::NOT_QUEUED)
}

/// Answers a request that names no command.
#[cold]
pub fn refuse_unknown(ctx: &mut Ctx<'_>, args: Args<'_>) {
    if args.is(0, "post") || args.is(0, "host:") {
        return drop_http(ctx);
    }
    let error = match ctx.server.commands.find(args) {
        Found::NoSubcommand(row) => CommandError::UnknownSubcommand(
            excerpt(args.get(1)),
            row.full_name.to_ascii_uppercase(),
        ),
        _ => {
            let mut beginning = String::new();
            for word in args.iter().skip(1) {
                if beginning.len() >= 128 {
                    break;
                }
                let room = 128 - beginning.len();
                let word = shown(&word[..word.len().min(room)]);
                beginning.push_str(&format!("'{word}' "));
            }
            CommandError::UnknownCommand(excerpt(args.get(0)), beginning)
        }
    };
    refuse(ctx, &error);
}

/// Drops a client that speaks HTTP: a browser that was lured into sending commands in the body of
/// a request, most likely.
fn drop_http(ctx: &mut Ctx<'_>) {
    const LOGGED_EVERY_MS: i64 = 60_000;
    if ctx.server.http_warning.is_due(ctx.env.now_ms, LOGGED_EVERY_MS) {
        tracing::warn!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: \
             commands to Redis. This is likely due to an attacker attempting to use Cross Protocol \
             Scripting to compromise your Redis instance. Connection from {} aborted.",
            ctx.client.handle.peer.addr
        );
    }
    ctx.client.set_flag(ClientFlags::CLOSE_ASAP, true);
}

/// A check has stopped a command.
#[cold]
fn turn_away(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>, args: Args<'_>, refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Postpone => Outcome::Postponed,
        Refusal::Error(error) => {
            refuse_call(pass, ctx, args, error);
            Outcome::Answered
        }
    }
}

/// Answers a command that a check has stopped.
fn refuse_call(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>, args: Args<'_>, error: CommandError) {
    count_rejected(ctx);
    if ctx.row.spec.name != "exec" {
        return refuse(ctx, &error);
    }
    // Whatever stops EXEC ends the transaction, and the client must learn that too.
    transaction::end(ctx);
    transaction::unwatch(ctx.server, pass, ctx.client);
    refuse(ctx, &CommandError::ExecAbortedBecause(error.without_code()));
    monitor::show_if_wanted(ctx, args);
}

/// Answers with an error before the command ran; a transaction being queued is lost.
fn refuse(ctx: &mut Ctx<'_>, error: &CommandError) {
    if let Some(multi) = &mut ctx.client.multi {
        multi.is_aborted = true;
    }
    let mark = ctx.reply.len();
    write_error(ctx, error);
    withhold_reply(ctx, mark);
}

/// Counts a call that a check has stopped.
pub fn count_rejected(ctx: &Ctx<'_>) {
    ctx.stats.commands[ctx.row.id].rejected_calls.add(1);
}

/// Writes and counts an error reply.
pub fn write_error(ctx: &mut Ctx<'_>, error: &CommandError) {
    let line = error.to_string();
    ctx.server.stats.count_error(CommandError::code(&line));
    if ctx.client.is_obeyed() {
        tell_unexpected(ctx, &line);
    }
    ctx.reply.error(&error::bytes(line));
}

/// A command has failed here that has been carried out elsewhere: the data are not the same any more.
#[cold]
fn tell_unexpected(ctx: &Ctx<'_>, line: &str) {
    use PropagationError::{Ignore, Panic, PanicOnReplicas};
    let is_replica = ctx.client.flags.contains(ClientFlags::PRIMARY);
    let (from, to) =
        if is_replica { ("replica", "master") } else { ("server", "AOF-loading-client") };
    let command = &ctx.row.full_name;
    tracing::warn!(
        "== CRITICAL == This {from} is sending an error to its {to}: '{line}' after processing the \
         command '{command}'"
    );
    ctx.server.stats.unexpected_error_replies.fetch_add(1, Ordering::Relaxed);
    let ends = match ctx.config.propagation_error_behavior {
        Ignore => false,
        Panic => !is_replica || ctx.config.replica_read_only,
        PanicOnReplicas => is_replica && ctx.config.replica_read_only,
    };
    if ends {
        let why = format!(
            "This {from} panicked sending an error to its {to} after processing the command \
             '{command}'"
        );
        shutdown::crash(&ctx.config, &why);
    }
}

/// Takes the reply back if the client does not want one (CLIENT REPLY).
#[inline]
pub fn withhold_reply(ctx: &mut Ctx<'_>, mark: usize) {
    if !ctx.client.takes_reply() {
        ctx.reply.truncate(mark);
    }
}

impl From<ReplicationError> for Refusal {
    fn from(error: ReplicationError) -> Self {
        Refusal::Error(error.into())
    }
}

type Check = fn(&Ctx<'_>, Args<'_>) -> Result<(), Refusal>;

/// What may stand in the way of a command whose arity is right, in the order of the reference.
const CHECKS: &[Check] = &[
    check_protected,
    check_auth,
    check_transaction,
    check_acl,
    check_memory,
    check_disk,
    check_replicas,
    check_read_only,
    check_subscribed,
    check_stale,
    check_loading,
    check_busy,
    check_monitor,
    check_pause,
];

#[inline]
fn check(ctx: &mut Ctx<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if !ctx.row.arity_fits(args.len()) {
        return Err(CommandError::Arity(ctx.row.full_name.clone()).into());
    }
    let is_ordinary = !ctx.client.flags.intersects(ClientFlags::EXCEPTIONAL)
        && !ctx.server.conditions.any()
        && !ctx.lacks_memory
        && !ctx.row.flags.contains(Flags::PROTECTED);
    if is_ordinary { Ok(()) } else { check_thoroughly(ctx, *args) }
}

#[cold]
fn check_thoroughly(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    // What a primary has let through is done, but for a pause.
    if ctx.client.flags.contains(ClientFlags::PRIMARY) {
        look_after_disk(ctx, args);
        return check_loading(ctx, args).and_then(|()| check_pause(ctx, args));
    }
    // A pause may have begun or ended since the batch did.
    ctx.refresh_expiry();
    CHECKS.iter().try_for_each(|check| check(ctx, args))
}

/// Whether a command may still run that has waited for the whole keyspace, which is held now: others
/// have run meanwhile, and what it was let through by may have changed. If not, the dispatcher
/// refuses it.
pub fn may_still_run(ctx: &mut Ctx<'_>, args: Args<'_>) -> bool {
    if ctx.client.is_obeyed() {
        return follow::is_current(ctx);
    }
    ctx.refresh_expiry();
    ctx.refusal = check(ctx, &args).err();
    ctx.refusal.is_none()
}

fn check_protected(ctx: &Ctx<'_>, _: Args<'_>) -> Result<(), Refusal> {
    if !ctx.row.flags.contains(Flags::PROTECTED) {
        return Ok(());
    }
    let name = ctx.row.parent.map_or(ctx.row, |id| ctx.server.commands.row(id)).spec.name;
    let (command, parameter, allowed) = if name == "module" {
        ("MODULE", "enable-module-command", ctx.config.enable_module_command)
    } else {
        ("DEBUG", "enable-debug-command", ctx.config.enable_debug_command)
    };
    if allowed.allows(&ctx.client.handle) {
        Ok(())
    } else {
        Err(CommandError::Protected(command, parameter).into())
    }
}

fn check_auth(ctx: &Ctx<'_>, _: Args<'_>) -> Result<(), Refusal> {
    let is_refused = ctx.client.flags.contains(ClientFlags::NEEDS_AUTH)
        && !ctx.row.flags.contains(Flags::NO_AUTH)
        && !ctx.server.users.default_user().is_open();
    if is_refused { Err(CommandError::NotAuthenticated.into()) } else { Ok(()) }
}

fn check_transaction(ctx: &Ctx<'_>, _: Args<'_>) -> Result<(), Refusal> {
    let is_refused =
        ctx.client.flags.contains(ClientFlags::MULTI) && ctx.row.flags.contains(Flags::NO_MULTI);
    if is_refused { Err(CommandError::NotInTransaction.into()) } else { Ok(()) }
}

fn check_acl(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    if !ctx.client.flags.contains(ClientFlags::RESTRICTED) {
        return Ok(());
    }
    acl::admit(ctx, ctx.row, args, acl::Context::of(ctx)).map_err(|(error, _)| error.into())
}

fn check_subscribed(ctx: &Ctx<'_>, _: Args<'_>) -> Result<(), Refusal> {
    let is_refused =
        ctx.client.is_subscribed_in_resp2() && !ctx.row.flags.contains(Flags::SUBSCRIBED);
    if is_refused {
        Err(CommandError::NotWhileSubscribed(ctx.row.full_name.clone()).into())
    } else {
        Ok(())
    }
}

fn check_memory(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    // Queueing takes memory; the commands that end a transaction without queueing do not.
    let is_queued = ctx.client.flags.contains(ClientFlags::MULTI)
        && !matches!(ctx.row.spec.name, "exec" | "discard" | "quit" | "reset");
    let needs_memory = is_queued || flags_of(ctx, args).contains(Flags::DENYOOM);
    if ctx.lacks_memory && needs_memory { Err(CommandError::OutOfMemory.into()) } else { Ok(()) }
}

fn check_busy(ctx: &Ctx<'_>, _: Args<'_>) -> Result<(), Refusal> {
    if ctx.server.conditions.is_busy() && !ctx.row.flags.contains(Flags::ALLOW_BUSY) {
        return Err(ctx.server.busy_error().into());
    }
    Ok(())
}

/// The command's flags; of EXEC, with those of all that it will run; of a script, with those that
/// it declares.
fn flags_of(ctx: &Ctx<'_>, args: Args<'_>) -> Flags {
    match &ctx.client.multi {
        Some(multi) if ctx.row.spec.name == "exec" => ctx.row.flags | multi.flags,
        _ if matches!(ctx.row.spec.handler, Handler::Script(_)) => {
            scripting::effective_flags(ctx, args)
        }
        _ => ctx.row.flags,
    }
}

/// Whether the command has a flag that lets it run when others do not; EXEC, if all that it will run
/// have it.
fn is_allowed_by(ctx: &Ctx<'_>, args: Args<'_>, flag: Flags) -> bool {
    match &ctx.client.multi {
        Some(multi) if ctx.row.spec.name == "exec" => (ctx.row.flags & multi.common).contains(flag),
        _ => flags_of(ctx, args).contains(flag),
    }
}

const MAY_REPLICATE: Flags = Flags::WRITE.union(Flags::MAY_REPLICATE);

/// Whether nothing may be written because snapshots fail.
fn snapshots_fail(ctx: &Ctx<'_>) -> bool {
    ctx.server.conditions.has_save_failed()
        && ctx.config.stop_writes_on_bgsave_error
        && !ctx.config.save.is_empty()
}

/// Why nothing may be changed now because it would be lost.
pub fn disk_error(ctx: &Ctx<'_>) -> Option<CommandError> {
    if snapshots_fail(ctx) {
        return Some(CommandError::SnapshotsFail);
    }
    ctx.server.conditions.has_aof_failed().then(|| {
        let errno = ctx.server.aof.write_errno.load(std::sync::atomic::Ordering::Relaxed);
        AofError::CannotWrite(nix::errno::Errno::from_raw(errno).desc().to_string()).into()
    })
}

/// While data cannot be written to disk, nothing may be changed that would be lost: somebody should
/// look.
fn check_disk(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    // Compat: PING tells of it too, to those who look whether the server is well.
    let is_meant = flags_of(ctx, args).contains(Flags::WRITE) || ctx.row.spec.name == "ping";
    match disk_error(ctx) {
        Some(error) if is_meant => Err(error.into()),
        _ => Ok(()),
    }
}

/// What a primary has changed must get to disk here, too.
fn look_after_disk(ctx: &Ctx<'_>, args: Args<'_>) {
    const LOGGED_EVERY_MS: i64 = 1000;
    if disk_error(ctx).is_none() || !flags_of(ctx, args).contains(Flags::WRITE) {
        return;
    }
    if !ctx.config.replica_ignore_disk_write_errors {
        shutdown::crash(&ctx.config, "Replica was unable to write command to disk.");
    }
    if ctx.server.disk_warning.is_due(ctx.env.now_ms, LOGGED_EVERY_MS) {
        tracing::warn!("Replica is applying a command even though it is unable to write to disk.");
    }
}

/// Without enough replicas near, nothing may be changed that could be lost.
fn check_replicas(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let is_refused = lacks_replicas(ctx) && flags_of(ctx, args).contains(Flags::WRITE);
    if is_refused { Err(ReplicationError::NotEnoughReplicas.into()) } else { Ok(()) }
}

/// Whether fewer replicas are near than there must be for changes.
pub fn lacks_replicas(ctx: &Ctx<'_>) -> bool {
    let n_wanted = usize::try_from(ctx.config.min_replicas_to_write).unwrap_or(0);
    ctx.server.conditions.lacks_replicas() && ctx.server.replication.replicas.n_good() < n_wanted
}

/// A replica has what its primary has.
fn check_read_only(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let is_refused = is_read_only(ctx) && flags_of(ctx, args).contains(Flags::WRITE);
    if is_refused { Err(ReplicationError::ReadOnly.into()) } else { Ok(()) }
}

/// Whether clients may change nothing here.
pub fn is_read_only(ctx: &Ctx<'_>) -> bool {
    ctx.server.conditions.is_replica()
        && ctx.config.replica_read_only
        && !ctx.client.flags.contains(ClientFlags::PRIMARY)
}

/// What a replica has whose link is down may be old.
fn check_stale(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let is_refused = is_stale(ctx) && !is_allowed_by(ctx, args, Flags::STALE);
    if is_refused { Err(ReplicationError::PrimaryDown.into()) } else { Ok(()) }
}

/// Whether this is a replica whose data may be old, and it is not to show them.
pub fn is_stale(ctx: &Ctx<'_>) -> bool {
    !ctx.config.replica_serve_stale_data
        && ctx.server.conditions.is_replica()
        && !ctx.server.replication.link.is_connected()
}

fn check_loading(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let is_refused =
        ctx.server.conditions.is_loading() && !is_allowed_by(ctx, args, Flags::LOADING);
    if is_refused { Err(CommandError::Loading.into()) } else { Ok(()) }
}

/// Compat: the reference takes a monitor for a replica here.
fn check_monitor(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let is_refused = ctx.client.flags.contains(ClientFlags::MONITOR)
        && flags_of(ctx, args).intersects(MAY_REPLICATE | Flags::READONLY);
    if is_refused { Err(CommandError::ReplicaTouchesKeyspace.into()) } else { Ok(()) }
}

fn check_pause(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), Refusal> {
    let may_replicate = flags_of(ctx, args).intersects(MAY_REPLICATE);
    let is_paused = ctx.server.conditions.is_paused(may_replicate, ctx.env.now_ms)
        && !ctx.client.flags.contains(ClientFlags::MONITOR);
    if is_paused { Err(Refusal::Postpone) } else { Ok(()) }
}

/// Runs a command that was let through.
#[inline(always)] // on the way of every request
fn run(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>, args: &Args<'_>, trace: &Trace, mark: usize) {
    if !try_run(pass, ctx, args, trace, mark) {
        run_busy(pass, ctx, args, trace, mark);
    }
}

/// Waits until the script ends that has what the command needs, if the command was accepted elsewhere
/// and must be done here, too; else refuses it.
#[cold]
fn run_busy(pass: &mut Pass<'_>, ctx: &mut Ctx<'_>, args: &Args<'_>, trace: &Trace, mark: usize) {
    while ctx.client.is_obeyed() {
        std::thread::sleep(BUSY_WAIT);
        if try_run(pass, ctx, args, trace, mark) {
            return;
        }
    }
    let error = ctx.server.busy_error();
    fail(ctx, mark, &error);
}

/// Runs a command that was let through. `false`: a script has what it needs for too long.
#[inline(always)] // as above
fn try_run(
    pass: &mut Pass<'_>,
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    trace: &Trace,
    mark: usize,
) -> bool {
    match ctx.row.spec.handler {
        Handler::Server(handler) => {
            pass.release();
            let result = handler(ctx, *args);
            if ctx.client.forgets_watches {
                transaction::unwatch(ctx.server, pass, ctx.client);
            }
            finish(ctx, mark, boxed(result));
            return true;
        }
        Handler::Walk(handler) => {
            let env = ctx.env;
            let result = handler(&mut Walk::stepwise(pass, &env, trace), ctx, *args);
            finish(ctx, mark, boxed(result));
            // It has given way to others.
            ctx.refresh_expiry();
        }
        Handler::Gated(handler) => {
            let result = handler(pass, ctx, *args, trace);
            finish(ctx, mark, boxed(result));
        }
        _ => {
            let mut locked = lock(pass, ctx, args);
            // By reference: what was just written in parts is slow to copy as a whole.
            let Some(locked) = &mut locked else { return false };
            run_on(locked, ctx, args, trace, mark);
        }
    }
    settle(pass, ctx, trace);
    true
}

/// Locks what a command needs. `None`: a script has it for too long.
#[inline(always)] // as above
fn lock<'p>(pass: &'p mut Pass<'_>, ctx: &mut Ctx<'_>, args: &Args<'_>) -> Option<Locked<'p>> {
    match ctx.row.spec.handler {
        Handler::Script(_) => match scripting::plan(ctx, *args) {
            Plan::Everything => pass.try_lock_all(),
            Plan::Stripes(stripes, mode) => pass.try_lock_many(stripes, mode),
        },
        _ if needs_whole_keyspace(ctx.row, *args) => pass.try_lock_all(),
        _ => match ctx.known_keys.single() {
            Some(place) => pass.try_lock_one(place.stripe(), mode_of(ctx.row)),
            None => lock_many(pass, ctx, *args),
        },
    }
}

/// Runs a command on what was locked for it.
#[inline(always)] // as above
fn run_on(locked: &mut Locked<'_>, ctx: &mut Ctx<'_>, args: &Args<'_>, trace: &Trace, mark: usize) {
    // Others have run while the whole keyspace was waited for.
    if locked.is_exclusive() && !may_still_run(ctx, *args) {
        return;
    }
    run_here(locked, ctx, args, trace, mark);
    if ctx.keeps_stripe {
        locked.keep();
    }
}

/// Finds the keys of a command, locks their stripes and has what it will look for fetched. `None`: a
/// script has them for too long.
fn lock_many<'p>(pass: &'p mut Pass<'_>, ctx: &mut Ctx<'_>, args: Args<'_>) -> Option<Locked<'p>> {
    find_keys(ctx, args);
    let locked = pass.try_lock_many(ctx.known_keys.stripes(), mode_of(ctx.row))?;
    for places in ctx.known_keys.batches(PREFETCHED_TOGETHER).take(PREFETCHED_BATCHES_MAX) {
        locked.prefetch(ctx.client.db, places);
    }
    Some(locked)
}

/// Time between two looks whether a script still runs.
const BUSY_WAIT: Duration = Duration::from_millis(1);

/// Keys of one command that are on their way into the cache at once.
const PREFETCHED_TOGETHER: usize = 16;
/// As many of these are fetched before the command runs as the second-level cache can hold.
const PREFETCHED_BATCHES_MAX: usize = 64;

/// How the stripes of a command's keys are locked.
pub fn mode_of(row: &CommandRow) -> Mode {
    if matches!(row.spec.handler, Handler::Read(_)) { Mode::Read } else { Mode::Write }
}

/// Whether a request needs the keyspace to itself.
#[inline]
pub fn needs_whole_keyspace(row: &CommandRow, args: Args<'_>) -> bool {
    matches!(row.spec.handler, Handler::Exclusive(_))
        || row.spec.whole_keyspace_if.is_some_and(|is_needed| is_needed(args))
}

/// The stripes of a command's keys. A request whose keys cannot be found is malformed: its handler
/// will refuse it before it touches data.
pub fn stripes_of(ctx: &Ctx<'_>, args: Args<'_>) -> StripeSet {
    key_words(ctx.row, args).map(|word| ctx.server.keyspace.key(word).stripe()).collect()
}

/// Computes where the command's keys are.
fn find_keys(ctx: &mut Ctx<'_>, args: Args<'_>) {
    let Ctx { server, row, known_keys, .. } = ctx;
    key_words(row, args).for_each(|word| known_keys.push(word, server.keyspace.key(word).place()));
}

fn key_words<'a>(row: &CommandRow, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> {
    let positions = row.spec.keys.iter().filter_map(move |spec| spec.positions(args)).flatten();
    let find = row.spec.key_finder.filter(|_| row.flags.contains(Flags::MOVABLE_KEYS));
    let further = find.into_iter().flat_map(move |find| find(args)).map(|(index, _)| index);
    positions.chain(further).map(move |index| args.get(index))
}

/// Runs a command whose stripes are held, as part of a transaction or a script.
pub fn run_locked(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    trace: &Trace,
    mark: usize,
) {
    run_here(locked, ctx, &args, trace, mark);
}

/// The same where every request comes along.
#[inline(always)]
fn run_here(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    trace: &Trace,
    mark: usize,
) {
    let (db, env) = (ctx.client.db, ctx.env);
    let interest = ctx.server.interests.get();
    ctx.effects.begin(interest);
    trace.wants_missed.set(interest.contains(Interest::MISSES));
    trace.wants_created.set(interest.contains(Interest::FINE_EVENTS));
    let result = match ctx.row.spec.handler {
        Handler::Read(handler) => boxed(handler(&locked.read(db, &env, trace), ctx, *args)),
        Handler::Write(handler) | Handler::Exclusive(handler) => {
            let result = boxed(handler(&mut locked.write(db, &env, trace), ctx, *args));
            if ctx.effects.n_dirty > 0 {
                ctx.stats.dirty.add(ctx.effects.n_dirty);
            }
            let writer = ctx.client.handle.id;
            ctx.effects.perform(ctx.server, (writer, db), locked, trace, *args);
            if ctx.server.conditions.is_replica() {
                note_own_expiries(locked, ctx, *args);
            }
            if locked.is_exclusive() && matches!(ctx.row.spec.handler, Handler::Exclusive(_)) {
                locked.note_waited(trace);
            }
            result
        }
        Handler::Walk(handler) => boxed(handler(&mut Walk::held(locked, &env, trace), ctx, *args)),
        Handler::Server(handler) => boxed(handler(ctx, *args)),
        Handler::Script(handler) => boxed(handler(locked, ctx, *args, trace)),
        // Containers have no handler of their own; the others are never queued.
        Handler::Container | Handler::Gated(_) => boxed(Err(CommandError::Syntax)),
    };
    // What a script reads it reads with commands of its own.
    if ctx.client.flags.contains(ClientFlags::TRACKING)
        && ctx.row.flags.contains(Flags::READONLY)
        && !matches!(ctx.row.spec.handler, Handler::Script(_))
    {
        tracking::remember(ctx, key_words(ctx.row, *args));
    }
    if ctx.client.blocked.is_some() {
        keys::park(locked, ctx, *args);
    }
    // An expired key that a reader met expires first, then it is missed.
    if !trace.has_news() || trace.expired.borrow().is_empty() {
        effects::tell_missed(ctx.server, trace);
    }
    finish(ctx, mark, result);
}

/// Notes the keys with an expiry that a client has written to on a replica: its primary does not know
/// of them.
#[cold]
fn note_own_expiries(locked: &Locked<'_>, ctx: &Ctx<'_>, args: Args<'_>) {
    if ctx.client.is_obeyed() || ctx.effects.n_dirty == 0 {
        return;
    }
    let (env, trace) = (Env { touches: false, ..ctx.env }, Trace::default());
    let db = locked.read(ctx.client.db, &env, &trace);
    for word in key_words(ctx.row, args) {
        let entry = db.get(&ctx.server.keyspace.key(word), Lookup::Inspect);
        if entry.is_some_and(|entry| entry.expire_at_ms().is_some()) {
            ctx.server.active_expire.own.insert(ctx.client.db, word);
        }
    }
}

/// What a handler returned, in one word: an error is large, and copying the place where none stands would
/// wait until the handler's own word about it has arrived there.
#[inline(always)] // on the way of every request
fn boxed(result: CommandResult) -> Result<(), Box<CommandError>> {
    result.map_err(Box::new)
}

/// Turns a failure into the reply.
#[inline]
fn finish(ctx: &mut Ctx<'_>, mark: usize, result: Result<(), Box<CommandError>>) {
    if let Err(error) = result {
        fail(ctx, mark, &error);
    }
}

/// Counts a command that has failed, and answers with the error.
#[cold]
pub fn fail(ctx: &mut Ctx<'_>, mark: usize, error: &CommandError) {
    ctx.reply.truncate(mark);
    ctx.stats.commands[ctx.row.id].failed_calls.add(1);
    write_error(ctx, error);
}

/// Does what had to wait until the command held no stripe: removes the expired keys that readers
/// met, frees what is costly to free, serves those who wait for keys.
#[inline]
fn settle(pass: &mut Pass<'_>, ctx: &Ctx<'_>, trace: &Trace) {
    if trace.has_news() {
        settle_news(pass, ctx, trace);
    }
}

#[cold]
fn settle_news(pass: &mut Pass<'_>, ctx: &Ctx<'_>, trace: &Trace) {
    settle_data(pass, ctx.server, &ctx.config, &ctx.env, trace);
    if !trace.ready.borrow().is_empty() {
        keys::serve_ready(ctx.server, ctx.config.shared(), ctx.worker, pass, trace);
    }
    trace.note_settled();
}

/// The same without serving those who wait for keys.
pub fn settle_data(
    pass: &mut Pass<'_>,
    server: &Server,
    config: &Config,
    env: &Env,
    trace: &Trace,
) {
    if !trace.expired.borrow().is_empty() {
        crate::expire::remove_met(server, pass, env, trace);
        effects::tell_missed(server, trace);
    }
    if !trace.discarded.borrow().is_empty() {
        server.lazyfree.free_discarded(config, trace);
    }
}

/// Answers a command that has waited for keys and may not run any more.
pub fn refuse_served(ctx: &mut Ctx<'_>, error: &CommandError) {
    count_rejected(ctx);
    write_error(ctx, error);
    withhold_reply(ctx, 0);
}

/// Accounts for a command that has waited for keys and was answered, and withholds its reply if the
/// client does not want one.
pub fn finish_served(ctx: &mut Ctx<'_>, args: Args<'_>, took_ns: u64) {
    withhold_reply(ctx, 0);
    ctx.server.count_call(ctx, args, took_ns);
}

#[cfg(test)]
mod tests;

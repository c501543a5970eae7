//! A script's way to the commands: what `redis.call` reaches.
//!
//! Invariant: a command runs only if the stripes of its keys are held, whatever was thought about
//! the script before.

use super::engine::{Engine, Failure};
use super::plan::{self, FoundScript};
use super::reply;
use super::running::{Call, stand_in};
use super::shebang::ScriptFlags;
use crate::acl;
use crate::command::dispatch::{
    count_rejected, disk_error, is_read_only, is_stale, lacks_replicas, run_locked, stripes_of,
    write_error,
};
use crate::command::table::Found;
use crate::command::{Args, CommandResult, Ctx, Flags, Handler};
use crate::error::{AofError, CommandError, FunctionError, ReplicationError, with_code};
use crate::monitor;
use crate::replication::log::Targets;
use crate::server::Server;
use crate::transaction::expire_met;
use crabcache_resp::{Protocol, Span, number};
use crabcache_store::{Locked, Trace};
use scoped_tls_hkt::scoped_thread_local;

scoped_thread_local!(
    /// The call of the script that this thread runs. Not set while one of its commands runs.
    pub(super) static mut HOST: for<'a> &'a mut (dyn Host + 'a)
);

/// While a script is over its time, its worker's connections are served so often at most.
const STAND_IN_PERIOD_NS: u64 = 5_000_000;

/// What scripts can ask for.
pub(super) trait Host {
    /// Runs a command and gives its reply, as bytes, to `take`.
    fn call(&mut self, words: &CommandBuffer, take: &mut dyn FnMut(&[u8]));
    /// Called every so many instructions. Why the script is to end, if it is.
    fn interrupt(&mut self) -> Option<CommandError>;
    /// Whether the user may run a command; `None` if there is no such command.
    fn may_run(&mut self, words: &CommandBuffer) -> Option<bool>;
    /// Has replies of commands written in another protocol.
    fn set_protocol(&mut self, protocol: Protocol);
    /// Who gets what is replicated.
    fn set_targets(&mut self, targets: Targets);
}

/// The words of a command, kept from call to call.
#[derive(Debug, Default)]
pub(super) struct CommandBuffer {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl CommandBuffer {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        // One huge argument must not stay for ever.
        self.bytes.shrink_to(64 * 1024);
    }

    pub(super) fn push(&mut self, word: &[u8]) {
        self.spans.push(Span { start: self.bytes.len(), len: word.len() });
        self.bytes.extend_from_slice(word);
    }

    /// A number, as an integer if it is one.
    pub(super) fn push_number(&mut self, value: f64) {
        let start = self.bytes.len();
        match number::exact_integer(value) {
            Some(integer) => number::write_i64(&mut self.bytes, integer),
            // Compat: only here does the reference tell one of them from the other.
            None if value.is_nan() && value.is_sign_negative() => {
                self.bytes.extend_from_slice(b"-nan");
            }
            None => number::write_f64(&mut self.bytes, value),
        }
        self.spans.push(Span { start, len: self.bytes.len() - start });
    }

    fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.spans)
    }

    /// The bytes of all words.
    pub(super) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// One call of a script.
struct ScriptCall<'s, 'l, 'p, 'c> {
    locked: &'l mut Locked<'p>,
    ctx: &'l mut Ctx<'c>,
    trace: &'l Trace,
    protocol: Protocol,
    targets: Targets,
    is_reader: bool,
    /// Whether its commands may take memory although memory is full.
    ignores_memory: bool,
    is_overtime: bool,
    has_written: bool,
    began_ns: u64,
    /// When the worker's connections are served again while the script is over its time.
    stand_in_ns: u64,
    name: &'s str,
    request: Args<'s>,
    is_function: bool,
}

impl ScriptCall<'_, '_, '_, '_> {
    /// Runs a command and leaves its reply in the output.
    fn run_command(&mut self, args: Args<'_>) {
        let server = self.ctx.server;
        let Found::Row(row) = server.commands.find(args) else {
            return self.refuse(&CommandError::UnknownScriptCommand);
        };
        self.ctx.row = row;
        if let Err(error) = self.check(args) {
            count_rejected(self.ctx);
            return self.refuse(&error);
        }
        let began_ns = server.clock.elapsed_ns();
        self.ctx.in_exec = true;
        self.ctx.in_script = true;
        self.ctx.effects.targets = self.targets;
        let mark = self.ctx.reply.len();
        run_locked(self.locked, self.ctx, args, self.trace, mark);
        expire_met(self.locked, self.ctx, self.trace);
        let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
        server.count_call(self.ctx, args, took_ns);
        monitor::show_if_wanted(self.ctx, args);
        self.ctx.effects.targets = Targets::all();
    }

    fn refuse(&mut self, error: &CommandError) {
        write_error(self.ctx, error);
    }

    /// Whether the script is over its time, of which others learn here.
    fn notices_overtime(&mut self, now_ns: u64) -> bool {
        let (server, worker) = (self.ctx.server, self.ctx.worker);
        let limit_ms = u64::try_from(self.ctx.config.busy_reply_threshold).unwrap_or(0);
        let elapsed_ms = now_ns.saturating_sub(self.began_ns) / 1_000_000;
        if limit_ms == 0 || elapsed_ms < limit_ms {
            return false;
        }
        self.is_overtime = true;
        tracing::warn!(
            "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try \
             killing the script using the {} command. Script name is: {}.",
            if self.is_function { "FUNCTION KILL" } else { "SCRIPT KILL" },
            self.name
        );
        let words = self.request.iter().map(<[u8]>::to_vec).collect();
        let (name, began_ns) = (self.name.to_string(), self.began_ns);
        let call = Call { name, words, is_function: self.is_function, began_ns };
        server.scripting.running.note_overtime(worker, call);
        server.set_busy(true);
        self.locked.let_others_pass();
        true
    }

    /// What may stand in the way of a script's command.
    fn check(&mut self, args: Args<'_>) -> Result<(), CommandError> {
        let row = self.ctx.row;
        if !row.arity_fits(args.len()) {
            return Err(CommandError::ScriptArity);
        }
        let denies_nothing =
            || self.ctx.server.scripting.denies_nothing.load(std::sync::atomic::Ordering::Relaxed);
        let is_denied = (row.flags.contains(Flags::NOSCRIPT) && !denies_nothing())
            || matches!(row.spec.handler, Handler::Gated(_) | Handler::Script(_));
        if is_denied {
            return Err(CommandError::NotFromScript);
        }
        if is_stale(self.ctx) && !row.flags.contains(Flags::STALE) {
            return Err(ReplicationError::StaleInScript.into());
        }
        let user = &self.ctx.client.user;
        if user.is_restricted() {
            acl::admit(self.ctx, row, args, acl::Context::Lua)
                .map_err(|(_, denied)| CommandError::ScriptAcl(denied.error(user, row).text()))?;
        }
        if self.is_reader && row.flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE) {
            return Err(CommandError::WriteFromReader);
        }
        // What has begun to write cannot stop in the middle.
        let begins_to_write = row.flags.contains(Flags::WRITE) && !self.has_written;
        if begins_to_write {
            self.check_write()?;
        }
        if self.ctx.lacks_memory
            && row.flags.contains(Flags::DENYOOM)
            && !self.has_written
            && !self.ignores_memory
        {
            return Err(CommandError::OutOfMemory);
        }
        self.find_keys(args)?;
        if begins_to_write {
            if !self.ctx.server.scripting.running.note_write(self.ctx.worker) {
                return Err(CommandError::ScriptKilled);
            }
            self.has_written = true;
        }
        Ok(())
    }

    /// Whether the server takes changes now.
    fn check_write(&self) -> Result<(), CommandError> {
        if is_read_only(self.ctx) {
            return Err(ReplicationError::ReadOnly.into());
        }
        if let Some(error) = disk_error(self.ctx) {
            return Err(error);
        }
        if lacks_replicas(self.ctx) {
            return Err(ReplicationError::NotEnoughReplicas.into());
        }
        Ok(())
    }

    /// Computes where the command's keys are; they must be held.
    fn find_keys(&mut self, args: Args<'_>) -> Result<(), CommandError> {
        self.ctx.known_keys.clear();
        let row = self.ctx.row;
        if self.locked.is_exclusive() {
            return Ok(());
        }
        let needs_all = matches!(row.spec.handler, Handler::Walk(_) | Handler::Exclusive(_))
            || row.spec.whole_keyspace_if.is_some_and(|is_needed| is_needed(args));
        let is_held = !needs_all
            && match row.single_key {
                Some(index) if !matches!(row.spec.handler, Handler::Server(_)) => {
                    let place = self.ctx.server.keyspace.key(args.get(index)).place();
                    self.ctx.known_keys.set_single(args.get(index), place);
                    self.locked.holds(place.stripe())
                }
                _ if matches!(row.spec.handler, Handler::Server(_)) => true,
                _ => stripes_of(self.ctx, args).iter().all(|stripe| self.locked.holds(*stripe)),
            };
        if is_held { Ok(()) } else { Err(CommandError::UndeclaredKey) }
    }
}

impl Host for ScriptCall<'_, '_, '_, '_> {
    fn call(&mut self, words: &CommandBuffer, take: &mut dyn FnMut(&[u8])) {
        let mark = self.ctx.reply.len();
        let outer = self.ctx.reply.protocol();
        self.ctx.reply.set_protocol(self.protocol);
        self.run_command(words.args());
        self.ctx.reply.set_protocol(outer);
        take(self.ctx.reply.written_since(mark));
        self.ctx.reply.truncate(mark);
    }

    fn interrupt(&mut self) -> Option<CommandError> {
        let (server, worker) = (self.ctx.server, self.ctx.worker);
        let now_ns = server.clock.elapsed_ns();
        if !self.is_overtime && !self.notices_overtime(now_ns) {
            return None;
        }
        if now_ns >= self.stand_in_ns {
            stand_in();
            let ended_ns = server.clock.elapsed_ns();
            // It must not take much of the script's time, however many connections there are.
            let pause_ns = (ended_ns.saturating_sub(now_ns) * 8).max(STAND_IN_PERIOD_NS);
            self.stand_in_ns = ended_ns + pause_ns;
        }
        if server.is_stopping() {
            return Some(CommandError::ScriptKilled);
        }
        let is_killed = server.scripting.running.is_killed(worker);
        if is_killed {
            tracing::info!("Lua script killed by user with SCRIPT KILL.");
        }
        is_killed.then_some(CommandError::ScriptKilled)
    }

    fn may_run(&mut self, words: &CommandBuffer) -> Option<bool> {
        match self.ctx.server.commands.find(words.args()) {
            // What is no request is refused for that.
            Found::Row(row) if !row.arity_fits(words.args().len()) => Some(true),
            Found::Row(row) => Some(acl::check(&self.ctx.client.user, row, words.args()).is_ok()),
            _ => None,
        }
    }

    fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    fn set_targets(&mut self, targets: Targets) {
        self.targets = targets;
    }
}

/// Runs an EVAL or one of its siblings, whose stripes are held.
pub fn run(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    trace: &Trace,
) -> CommandResult {
    monitor::show_now(ctx, args);
    let known = ctx.script.take();
    let n_keys = plan::n_keys(args)?;
    let FoundScript { mut script, is_recent } = match known {
        Some(found) => found,
        None => plan::script_of(ctx, args)?,
    };
    let engine = Engine::get(ctx.server);
    let function = engine.script(ctx.server, &script)?;
    if !is_recent {
        script = ctx.server.scripting.cache.add(script, true);
        engine.keep_recent(&script);
    }
    let call = (script.name(), args, false, check_flags(ctx, script.flags)?);
    let (keys, arguments) = plan::words(args, n_keys);
    let ran = in_call(locked, ctx, trace, call, || {
        engine.run((&function, script.is_one_line), keys, arguments)
    });
    ctx.server.scripting.cache.touch(&script);
    finish(ctx, &engine, script.name(), ran)
}

/// Runs an FCALL or FCALL_RO.
pub fn run_function(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    trace: &Trace,
) -> CommandResult {
    monitor::show_now(ctx, args);
    let found = ctx.server.scripting.functions.function(args.get(1));
    let (library, info) = found.ok_or(CommandError::FunctionNotFound)?;
    let n_keys = plan::n_keys(args).map_err(|error| match error {
        CommandError::NotInteger => CommandError::BadKeyCount,
        other => other,
    })?;
    let call = (&*info.name, args, true, check_flags(ctx, info.flags)?);
    let engine = Engine::get(ctx.server);
    let function = load_host(ctx.server, || engine.function(ctx.server, &library, &info.name))?;
    let (keys, arguments) = plan::words(args, n_keys);
    let ran = in_call(locked, ctx, trace, call, || engine.run_function(&function, keys, arguments));
    finish(ctx, &engine, &info.name, ran)
}

/// Stands in for a call while a library is loaded: it can call nothing, and must not take long.
struct LoadHost<'s> {
    server: &'s Server,
    began_ns: u64,
}

/// Runs `load` in these circumstances.
pub(super) fn load_host<R>(server: &Server, load: impl FnOnce() -> R) -> R {
    let mut host = LoadHost { server, began_ns: server.clock.elapsed_ns() };
    HOST.set(&mut host, load)
}

impl Host for LoadHost<'_> {
    fn call(&mut self, _: &CommandBuffer, take: &mut dyn FnMut(&[u8])) {
        take(format!("-{}\r\n", CommandError::NotFromScript).as_bytes());
    }

    fn interrupt(&mut self) -> Option<CommandError> {
        const LIMIT_NS: u64 = 500_000_000;
        let took_ns = self.server.clock.elapsed_ns().saturating_sub(self.began_ns);
        (took_ns > LIMIT_NS).then_some(CommandError::Function(FunctionError::FunctionLoadTimeout))
    }

    fn may_run(&mut self, _: &CommandBuffer) -> Option<bool> {
        None
    }

    fn set_protocol(&mut self, _: Protocol) {}

    fn set_targets(&mut self, _: Targets) {}
}

/// What a call may do, of what its script or function declares.
///
/// # Errors
/// If it must not run: from a command that only reads, unless it declares that it does; where the
/// state of the server does not let it. Of that the dispatcher has found most already, but in a
/// transaction.
fn check_flags(ctx: &Ctx<'_>, flags: ScriptFlags) -> Result<Rights, CommandError> {
    let command = ctx.row.spec.name;
    let declares = !flags.contains(ScriptFlags::COMPAT);
    if is_stale(ctx) && !(declares && flags.contains(ScriptFlags::ALLOW_STALE)) {
        let error = ReplicationError::StaleScript;
        return Err(if declares { error } else { ReplicationError::PrimaryDown }.into());
    }
    if declares && !flags.contains(ScriptFlags::NO_WRITES) {
        if is_read_only(ctx) {
            return Err(ReplicationError::ScriptOnReplica.into());
        }
        if let Some(error) = disk_error(ctx) {
            return Err(match error {
                CommandError::Aof(AofError::CannotWrite(why)) => AofError::ScriptWrites(why).into(),
                _ => CommandError::SnapshotsFailForScript,
            });
        }
        if command.ends_with("_ro") {
            return Err(CommandError::WriteScriptFromReader);
        }
        if lacks_replicas(ctx) {
            return Err(ReplicationError::NotEnoughReplicas.into());
        }
    }
    if declares && ctx.lacks_memory && flags.needs_memory() {
        return Err(CommandError::ScriptNeedsMemory);
    }
    Ok(Rights {
        is_reader: flags.is_reader(command),
        ignores_memory: flags.contains(ScriptFlags::ALLOW_OOM),
    })
}

/// What the commands of a script may do.
struct Rights {
    is_reader: bool,
    ignores_memory: bool,
}

/// What a script left behind: its value, unless it failed, and the protocol that it had chosen.
type Ran = (Option<mlua::Value>, Protocol, bool);

/// Runs Lua code that can call commands.
fn in_call(
    locked: &mut Locked<'_>,
    ctx: &mut Ctx<'_>,
    trace: &Trace,
    (name, request, is_function, rights): (&str, Args<'_>, bool, Rights),
    run: impl FnOnce() -> Option<mlua::Value>,
) -> Ran {
    let server = ctx.server;
    let (row, db, was_in_exec) = (ctx.row, ctx.client.db, ctx.in_exec);
    let began_ns = server.clock.elapsed_ns();
    server.scripting.running.begin(ctx.worker, began_ns, is_function);
    let mut call = ScriptCall {
        locked,
        ctx,
        trace,
        protocol: Protocol::Resp2,
        targets: Targets::all(),
        is_reader: rights.is_reader,
        ignores_memory: rights.ignores_memory,
        is_overtime: false,
        has_written: false,
        began_ns,
        stand_in_ns: 0,
        name,
        request,
        is_function,
    };
    // What a script has done is replicated as one.
    let unit = server.unit_if(server.interests.get(), || true);
    call.ctx.script_time_us = None;
    let value = HOST.set(&mut call, run);
    drop(unit);
    let (protocol, worker) = (call.protocol, call.ctx.worker);
    let was_killed = server.scripting.running.is_killed(worker);
    if server.scripting.running.end(worker) {
        server.set_busy(server.scripting.running.any_overtime());
    }
    (ctx.row, ctx.in_exec, ctx.in_script) = (row, was_in_exec, false);
    ctx.known_keys.clear();
    if ctx.client.db != db {
        ctx.client.select(db);
    }
    (value, protocol, was_killed)
}

/// Writes the reply.
fn finish(ctx: &mut Ctx<'_>, engine: &Engine, name: &str, ran: Ran) -> CommandResult {
    let (value, protocol, was_killed) = ran;
    match value {
        Some(value) => {
            let mark = ctx.reply.len();
            if let Err(error) = reply::write(&mut ctx.reply, &ctx.server.stats, protocol, value) {
                ctx.reply.truncate(mark);
                ctx.reply.error(&with_code(error.to_string().as_bytes()));
            }
            // A script may return what a command has answered.
            if ctx.reply.written_since(mark).first() == Some(&b'-') {
                ctx.stats.commands[ctx.row.id].failed_calls.add(1);
            }
        }
        // The process is about to end: whoever waits learns that by the end of the connection.
        None if ctx.server.is_stopping() => drop(engine.failure()),
        None => write_failure(ctx, name, &engine.failure()),
    }
    engine.settle(ctx.server, ctx.worker, was_killed);
    Ok(())
}

fn write_failure(ctx: &mut Ctx<'_>, name: &str, failure: &Failure) {
    let mut line = failure.line.clone();
    if let Some(position) = &failure.position {
        line.extend_from_slice(format!(" script: {name}, on {position}.").as_bytes());
    }
    if !failure.is_counted {
        ctx.server.stats.count_error(CommandError::code(&String::from_utf8_lossy(&line)));
    }
    ctx.stats.commands[ctx.row.id].failed_calls.add(1);
    ctx.reply.error(&line);
}

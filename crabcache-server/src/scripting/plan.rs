//! What a call of a script locks.

use super::cache::Script;
use super::reach::Reach;
use super::shebang::ScriptFlags;
use crate::command::{Args, Ctx, Flags};
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;
use crabcache_store::{Mode, StripeSet};
use std::sync::Arc;

/// What a call locks.
#[derive(Debug)]
pub enum Plan {
    /// These stripes.
    Stripes(StripeSet, Mode),
    /// The keyspace.
    Everything,
}

/// How many of the words are keys.
///
/// # Errors
/// If the number is none or does not fit.
pub(super) fn n_keys(args: Args<'_>) -> Result<usize, CommandError> {
    let n_keys = parse_i64(args.get(2)).ok_or(CommandError::NotInteger)?;
    if n_keys > args.len() as i64 - 3 {
        return Err(CommandError::TooManyKeys);
    }
    usize::try_from(n_keys).map_err(|_| CommandError::NegativeKeys)
}

/// The keys and the arguments of a call with so many keys.
pub(super) fn words(args: Args<'_>, n_keys: usize) -> (Args<'_>, Args<'_>) {
    (args.first(3 + n_keys).skip(3), args.skip(3 + n_keys))
}

/// The script of a request, found for its keys before it runs.
#[derive(Debug)]
pub struct FoundScript {
    /// The script.
    pub script: Arc<Script>,
    /// Whether the worker will find it again by its text.
    pub is_recent: bool,
}

/// The script of a request: the one that is cached, or a new one.
///
/// # Errors
/// NOSCRIPT, or if its declarations are not understood.
pub(super) fn script_of(ctx: &Ctx<'_>, args: Args<'_>) -> Result<FoundScript, CommandError> {
    let cache = &ctx.server.scripting.cache;
    if ctx.row.spec.name.starts_with("evalsha") {
        let known = super::engine::recent_by_sha(ctx.server, args.get(1));
        let script = known.or_else(|| cache.find(args.get(1))).ok_or(CommandError::NoScript)?;
        return Ok(FoundScript { script, is_recent: true });
    }
    if let Some(script) = super::engine::recent(ctx.server, args.get(1)) {
        return Ok(FoundScript { script, is_recent: true });
    }
    let script = match cache.find(&super::sha1_hex(args.get(1))) {
        Some(script) => script,
        None => Arc::new(Script::new(args.get(1), &ctx.server.commands)?),
    };
    Ok(FoundScript { script, is_recent: false })
}

/// The flags of a call with what its script or function declares about itself, if it declares
/// anything.
pub fn effective_flags(ctx: &Ctx<'_>, args: Args<'_>) -> Flags {
    let flags = ctx.row.flags;
    let Some(declared) = declared_flags(ctx, args) else { return flags };
    let mut flags = flags - (Flags::STALE | Flags::DENYOOM | Flags::WRITE | Flags::MAY_REPLICATE);
    flags.set(Flags::DENYOOM, declared.needs_memory());
    flags.set(Flags::WRITE, !declared.contains(ScriptFlags::NO_WRITES));
    flags.set(Flags::STALE, declared.contains(ScriptFlags::ALLOW_STALE));
    flags
}

fn declared_flags(ctx: &Ctx<'_>, args: Args<'_>) -> Option<ScriptFlags> {
    if ctx.row.spec.name.starts_with("fcall") {
        let found = ctx.server.scripting.functions.function(args.get(1));
        return found.map(|(_, info)| info.flags);
    }
    let found = script_of(ctx, args).ok().map(|found| found.script.flags);
    found.filter(|flags| !flags.contains(ScriptFlags::COMPAT))
}

/// What a call of a script, as `args` make it, has to lock. One that is malformed locks nothing: it
/// is refused before it runs.
pub fn plan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Plan {
    let nothing = Plan::Stripes(StripeSet::new(), Mode::Read);
    ctx.script = None;
    if args.len() < 3 {
        return nothing;
    }
    let Ok(n_keys) = n_keys(args) else { return nothing };
    if ctx.row.spec.name.starts_with("fcall") {
        let Some((library, info)) = ctx.server.scripting.functions.function(args.get(1)) else {
            return nothing;
        };
        return plan_of(ctx, args, n_keys, &library.reach, info.flags);
    }
    let Ok(found) = script_of(ctx, args) else { return nothing };
    let plan = plan_of(ctx, args, n_keys, &found.script.reach, found.script.flags);
    ctx.script = Some(found);
    plan
}

fn plan_of(
    ctx: &Ctx<'_>,
    args: Args<'_>,
    n_keys: usize,
    reach: &Reach,
    flags: ScriptFlags,
) -> Plan {
    let Reach::Declared { literals, arguments } = reach else { return Plan::Everything };
    let n_words = if *arguments { args.len() } else { 3 + n_keys };
    let keyspace = &ctx.server.keyspace;
    let declared = args.first(n_words).skip(3);
    let words = declared.iter().chain(literals.iter().map(|key| &**key));
    let stripes = words.map(|word| keyspace.key(word).stripe()).collect();
    let is_reader = flags.is_reader(ctx.row.spec.name);
    Plan::Stripes(stripes, if is_reader { Mode::Read } else { Mode::Write })
}

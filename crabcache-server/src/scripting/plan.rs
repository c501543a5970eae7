//! What a call of a script locks.

use super::cache::Script;
use super::reach::Reach;
use crate::command::{Args, Ctx};
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

/// The script of a request: the one that is cached, or a new one.
///
/// # Errors
/// NOSCRIPT, or if its declarations are not understood.
pub(super) fn script_of(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Arc<Script>, CommandError> {
    let cache = &ctx.server.scripting.cache;
    if ctx.row.spec.name.starts_with("evalsha") {
        return cache.find(args.get(1)).ok_or(CommandError::NoScript);
    }
    if let Some(known) = super::engine::recent(ctx.server, args.get(1)) {
        return Ok(known);
    }
    match cache.find(&super::sha1_hex(args.get(1))) {
        Some(script) => Ok(script),
        None => Script::new(args.get(1), &ctx.server.commands).map(Arc::new),
    }
}

/// What a call of a script, as `args` make it, has to lock. One that is malformed locks nothing: it
/// is refused before it runs.
pub fn plan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Plan {
    let nothing = Plan::Stripes(StripeSet::new(), Mode::Read);
    ctx.script = None;
    if args.len() < 3 {
        return nothing;
    }
    if ctx.row.spec.name.starts_with("fcall") {
        // What a function reaches for cannot be told: keys are its parameters.
        let exists = ctx.server.scripting.functions.function(args.get(1)).is_some();
        return if exists && n_keys(args).is_ok() { Plan::Everything } else { nothing };
    }
    let (Ok(n_keys), Ok(script)) = (n_keys(args), script_of(ctx, args)) else { return nothing };
    let plan = match &script.reach {
        Reach::Everything => Plan::Everything,
        Reach::Declared { literals, arguments } => {
            let n_words = if *arguments { args.len() } else { 3 + n_keys };
            let keyspace = &ctx.server.keyspace;
            let declared = args.first(n_words).skip(3);
            let words = declared.iter().chain(literals.iter().map(|key| &**key));
            let stripes = words.map(|word| keyspace.key(word).stripe()).collect();
            let is_reader = script.flags.is_reader(ctx.row.spec.name);
            Plan::Stripes(stripes, if is_reader { Mode::Read } else { Mode::Write })
        }
    };
    ctx.script = Some(script);
    plan
}

//! BITOP.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::algorithms::bits::{Combination, combine};
use crabcache_store::{Kind, SetExpire, Str, WriteDb};
use std::borrow::Cow;

/// BITOP AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE destkey key [key ...]
pub(super) fn bitop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let combination = parse_combination(args)?;
    let result = combine_keys(db, ctx, args, combination)?;
    let (key, len) = (ctx.key(args.get(2)), result.len());
    if len > 0 {
        let old = db.set_string(&key, Str::Raw(result), SetExpire::To(None));
        ctx.overwritten(key.bytes, old, Kind::String);
        ctx.changed(key.bytes, Event::SET);
    } else if db.delete(&key) {
        ctx.changed(key.bytes, Event::DEL);
    }
    ctx.reply.count(len);
    Ok(())
}

fn parse_combination(args: Args) -> Result<Combination, CommandError> {
    const NAMES: &[(&str, Combination)] = &[
        ("AND", Combination::And),
        ("OR", Combination::Or),
        ("XOR", Combination::Xor),
        ("NOT", Combination::Not),
        ("DIFF", Combination::Diff),
        ("DIFF1", Combination::Diff1),
        ("ANDOR", Combination::AndOr),
        ("ONE", Combination::One),
    ];
    let found = NAMES.iter().find(|(name, _)| args.is(1, name));
    let (name, combination) = found.ok_or(CommandError::Syntax)?;
    let n_sources = args.len() - 3;
    match combination {
        Combination::Not if n_sources != 1 => Err(CommandError::BitopNotSources),
        Combination::Diff | Combination::Diff1 | Combination::AndOr if n_sources < 2 => {
            Err(CommandError::BitopFewSources(name))
        }
        _ => Ok(*combination),
    }
}

fn combine_keys(
    db: &mut WriteDb,
    ctx: &Ctx,
    args: Args,
    combination: Combination,
) -> Result<Vec<u8>, CommandError> {
    let keys = || args.iter().skip(3).map(|word| ctx.key(word));
    keys().for_each(|key| db.expire_if_due(&key));
    let db = db.as_read();
    let values: Result<Vec<_>, _> = keys().map(|key| db.get_string(&key)).collect();
    let values = values?;
    let bytes = values.iter().map(|value| value.as_ref().map(|value| value.get().bytes()));
    // An absent key is an empty string.
    let bytes: Vec<Cow<[u8]>> = bytes.map(Option::unwrap_or_default).collect();
    let sources: Vec<&[u8]> = bytes.iter().map(AsRef::as_ref).collect();
    Ok(combine(combination, &sources))
}

//! VREM and VSETATTR.

use super::{changed, check_arity};
use crate::command::{Args, CommandResult, Ctx};
use crabcache_store::WriteDb;
use crabcache_store::types::vector_set::VectorSet;

/// VREM key element
pub(super) fn vrem(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 3)?;
    change(db, ctx, args, |set| set.remove(args.get(2)))
}

/// VSETATTR key element attributes
pub(super) fn vsetattr(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 4)?;
    change(db, ctx, args, |set| match set.find(args.get(2)) {
        Some(node) => {
            set.set_attributes(node, args.get(3));
            true
        }
        None => false,
    })
}

/// Changes a set, and answers with whether it was.
fn change(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    change: impl FnOnce(&mut VectorSet) -> bool,
) -> CommandResult {
    let key = ctx.key(args.get(1));
    let is_changed = db.edit(&key, change)?.is_some_and(|edited| edited.result);
    if is_changed {
        changed(ctx, key.bytes);
    }
    ctx.reply.bool(is_changed);
    Ok(())
}

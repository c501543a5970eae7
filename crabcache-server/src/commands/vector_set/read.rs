//! What is known of a vector set and its elements.

use super::{check_arity, find, similarity};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::VectorSetError;
use crabcache_store::ReadDb;
use crabcache_store::types::vector_set::VectorSet;
use crabcache_store::types::vector_set::quantize::Stored;

/// VCARD key
pub(super) fn vcard(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 2)?;
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.map_or(0, VectorSet::len));
    Ok(())
}

/// VDIM key
pub(super) fn vdim(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 2)?;
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.ok_or(VectorSetError::KeyMissing)?.form().dim);
    Ok(())
}

/// VISMEMBER key element
pub(super) fn vismember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 3)?;
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    ctx.reply.bool(find(set, args.get(2)).is_some());
    Ok(())
}

/// VGETATTR key element
pub(super) fn vgetattr(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 3)?;
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    match find(set, args.get(2)).and_then(|(set, node)| set.attributes(node)) {
        Some(attributes) => ctx.reply.bulk(attributes),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// VEMB key element [RAW]
pub(super) fn vemb(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() >= 3)?;
    if (3..args.len()).any(|at| !args.is(at, "RAW")) {
        return Err(VectorSetError::Invalid("option").into());
    }
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    let Some((set, node)) = find(set, args.get(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    if args.len() == 3 {
        let vector = set.vector(node);
        ctx.reply.array(vector.len());
        vector.into_iter().for_each(|component| ctx.reply.double(component.into()));
        return Ok(());
    }
    let stored = set.stored(node);
    let has_range = matches!(stored, Stored::Q8(..));
    ctx.reply.array(3 + usize::from(has_range));
    ctx.reply.status(set.form().quantization.name());
    ctx.reply.bulk(&stored.to_bytes());
    ctx.reply.double(set.l2(node).into());
    if has_range {
        ctx.reply.double(stored.range().into());
    }
    Ok(())
}

/// VLINKS key element [WITHSCORES]
pub(super) fn vlinks(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let with_scores = args.len() == 4 && args.is(3, "WITHSCORES");
    check_arity(ctx, args.len() == 3 || with_scores)?;
    let set = db.get_as::<VectorSet>(&ctx.key(args.get(1)))?;
    let Some((set, node)) = find(set, args.get(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    ctx.reply.array(set.n_layers(node));
    for layer in (0..set.n_layers(node)).rev() {
        let links = set.links(node, layer);
        if !with_scores {
            ctx.reply.array(links.len());
            links.for_each(|link| ctx.reply.bulk(set.name(link.node)));
            continue;
        }
        ctx.reply.map(links.len());
        for link in links {
            ctx.reply.bulk(set.name(link.node));
            // Compat: rounded to a 32-bit float, unlike the scores of VSIM.
            ctx.reply.double(f64::from(similarity(link.distance) as f32));
        }
    }
    Ok(())
}

/// VINFO key
pub(super) fn vinfo(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() == 2)?;
    let Some(set) = db.get_as::<VectorSet>(&ctx.key(args.get(1)))? else {
        ctx.reply.null_array();
        return Ok(());
    };
    let form = set.form();
    let numbers = [
        ("hnsw-m", form.m as u64),
        ("vector-dim", form.dim as u64),
        ("projection-input-dim", set.projection().map_or(0, |p| p.input_dim()) as u64),
        ("size", set.len() as u64),
        ("max-level", set.level_max() as u64),
        ("attributes-count", set.n_attributes() as u64),
        ("vset-uid", set.uid()),
        ("hnsw-max-node-uid", set.last_id()),
    ];
    ctx.reply.map(1 + numbers.len());
    ctx.reply.status("quant-type");
    ctx.reply.status(form.quantization.name());
    for (name, number) in numbers {
        ctx.reply.status(name);
        ctx.reply.int(number.cast_signed());
    }
    Ok(())
}

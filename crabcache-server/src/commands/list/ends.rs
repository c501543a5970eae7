//! Adding and taking elements at the ends of a list.

use super::{reply_elements, wait_for_lists};
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::multi_pop::MultiPop;
use crate::commands::string::reply_string;
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::list::{End, List};
use crabcache_store::{Key, Lookup, StoreError, WriteDb};

/// LPUSH key element [element ...]
pub(super) fn lpush(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    push(db, ctx, args, End::Front)
}

/// RPUSH key element [element ...]
pub(super) fn rpush(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    push(db, ctx, args, End::Back)
}

fn push(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    let pushed = db.edit_or_new(&key, |list: &mut List| {
        list.push_all(end, args.from(2), &limits);
        list.len()
    })?;
    tell_pushed(ctx, &key, end, args.len() - 2);
    ctx.reply.count(pushed.result);
    Ok(())
}

/// LPUSHX key element [element ...]
pub(super) fn lpushx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pushx(db, ctx, args, End::Front)
}

/// RPUSHX key element [element ...]
pub(super) fn rpushx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pushx(db, ctx, args, End::Back)
}

fn pushx(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    let pushed = db.edit(&key, |list: &mut List| {
        list.push_all(end, args.from(2), &limits);
        list.len()
    })?;
    if pushed.is_some() {
        tell_pushed(ctx, &key, end, args.len() - 2);
    }
    ctx.reply.count(pushed.map_or(0, |pushed| pushed.result));
    Ok(())
}

fn tell_pushed(ctx: &mut Ctx, key: &Key<'_>, end: End, n_pushed: usize) {
    ctx.changed(key.bytes, pushed_event(end));
    ctx.effects.n_dirty += n_pushed as u64 - 1;
}

/// The event of adding elements at an end.
pub(super) fn pushed_event(end: End) -> Event {
    match end {
        End::Front => Event::LPUSH,
        End::Back => Event::RPUSH,
    }
}

/// LPOP key [count]
pub(super) fn lpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Front)
}

/// RPOP key [count]
pub(super) fn rpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Back)
}

fn pop(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let key = ctx.key(args.get(1));
    match args.len() {
        2 => {
            if !pop_one(db, ctx, &key, end)? {
                ctx.reply.null();
            }
        }
        3 => {
            let count = parse_i64(args.get(2)).and_then(|count| usize::try_from(count).ok());
            let count = count.ok_or(CommandError::NotPositive)?;
            if count == 0 && db.get_as::<List>(&key, Lookup::Write)?.is_some() {
                ctx.reply.array(0);
            } else if count == 0 || pop_many(db, ctx, &key, end, count)? == 0 {
                ctx.reply.null_array();
            }
        }
        _ => return Err(CommandError::Arity(ctx.row.full_name.clone())),
    }
    Ok(())
}

/// Replies with the element at an end of a list and takes it away. `false`: there is no list, and
/// no reply.
pub(super) fn pop_one(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    key: &Key<'_>,
    end: End,
) -> Result<bool, StoreError> {
    let limits = ctx.config.limits();
    let popped = db.edit(key, |list: &mut List| {
        list.pop(end, |element| reply_string(&mut ctx.reply, element));
        list.shrink(&limits);
    })?;
    if let Some(popped) = &popped {
        tell_popped(ctx, key, end, 1, popped.is_emptied);
    }
    Ok(popped.is_some())
}

/// Replies with up to `count` elements, from an end of a list on, and takes them away. Returns how
/// many; 0: there is no list, and no reply.
pub(super) fn pop_many(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    key: &Key<'_>,
    end: End,
    count: usize,
) -> Result<usize, StoreError> {
    let limits = ctx.config.limits();
    let popped = db.edit(key, |list: &mut List| {
        let (len, n_popped) = (list.len(), count.min(list.len()));
        match end {
            End::Front => reply_elements(&mut ctx.reply, list, 0, n_popped, End::Back),
            End::Back => reply_elements(&mut ctx.reply, list, len - 1, n_popped, End::Front),
        }
        list.remove_range(if end == End::Front { 0 } else { len - n_popped }, n_popped, &limits);
        n_popped
    })?;
    let Some(popped) = popped else { return Ok(0) };
    tell_popped(ctx, key, end, popped.result, popped.is_emptied);
    Ok(popped.result)
}

/// Tells that elements were taken from an end of a list.
pub(super) fn tell_popped(
    ctx: &mut Ctx,
    key: &Key<'_>,
    end: End,
    n_popped: usize,
    is_emptied: bool,
) {
    let event = match end {
        End::Front => Event::LPOP,
        End::Back => Event::RPOP,
    };
    ctx.shrunk(key.bytes, event, is_emptied);
    ctx.effects.n_dirty += n_popped as u64 - 1;
}

/// LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]
pub(super) fn lmpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let MultiPop { keys, end, count } = MultiPop::parse(args, 1, ENDS)?;
    if !pop_first(db, ctx, keys, end, Some(count))? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// BLPOP key [key ...] timeout
pub(super) fn blpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    blocking_pop(db, ctx, args, End::Front)
}

/// BRPOP key [key ...] timeout
pub(super) fn brpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    blocking_pop(db, ctx, args, End::Back)
}

fn blocking_pop(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let n_keys = args.len() - 2;
    let deadline_ms = args.deadline_ms_of_seconds(n_keys + 1, ctx.env.now_ms)?;
    pop_or_wait(db, ctx, args.skip(1).first(n_keys), end, None, deadline_ms)
}

/// BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]
pub(super) fn blmpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let MultiPop { keys, end, count } = MultiPop::parse(args, 2, ENDS)?;
    let deadline_ms = args.deadline_ms_of_seconds(1, ctx.env.now_ms)?;
    pop_or_wait(db, ctx, keys, end, Some(count), deadline_ms)
}

fn pop_or_wait(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    keys: Args<'_>,
    end: End,
    count: Option<usize>,
    deadline_ms: Option<i64>,
) -> CommandResult {
    if pop_first(db, ctx, keys, end, count)? {
    } else if ctx.may_block() {
        wait_for_lists(ctx, keys.iter(), deadline_ms);
    } else {
        ctx.reply.null_array();
    }
    Ok(())
}

/// The names of the ends.
const ENDS: [(&str, End); 2] = [("LEFT", End::Front), ("RIGHT", End::Back)];

/// Takes elements from the first of `keys` that is a list, and replies with the key and them: an
/// array of up to `count`, or a single one without an array. `false`: there is none, and no reply.
pub(super) fn pop_first(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    keys: Args<'_>,
    end: End,
    count: Option<usize>,
) -> Result<bool, CommandError> {
    for word in keys.iter() {
        let key = ctx.key(word);
        if db.get_as::<List>(&key, Lookup::Write)?.is_none() {
            continue;
        }
        ctx.reply.array(2);
        ctx.reply.bulk(word);
        let command: &[u8] = if end == End::Front { b"LPOP" } else { b"RPOP" };
        if let Some(count) = count {
            let n_popped = pop_many(db, ctx, &key, end, count)?;
            let mut text = itoa::Buffer::new();
            ctx.effects.propagate([command, word, text.format(n_popped).as_bytes()]);
        } else {
            pop_one(db, ctx, &key, end)?;
            ctx.effects.propagate([command, word]);
        }
        return Ok(true);
    }
    Ok(false)
}

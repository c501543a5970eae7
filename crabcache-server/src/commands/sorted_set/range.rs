//! Ranges of ranks, scores and members: told, stored, removed.

use super::{parse_lex_range, parse_score_range, reply_elements, store};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::types::zset::{LexRange, ScoreRange, ZSet};
use crabcache_store::{Lookup, ReadDb, WriteDb};
use std::ops::Range;

/// What a range is a range of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Rank,
    Score,
    Lex,
}

/// A range, with its bounds in ascending order but for ranks.
#[derive(Debug, Clone, Copy)]
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

/// What a command says about a range beside its bounds; `None` where options may say it.
#[derive(Debug, Clone, Copy, Default)]
struct Fixed {
    form: Option<Form>,
    is_reverse: Option<bool>,
    is_stored: bool,
}

/// A range as a command asks for it.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    bounds: Bounds<'a>,
    is_reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

impl<'a> Request<'a> {
    /// Reads bounds from word number `at` on, and the options behind them.
    fn parse(args: Args<'a>, at: usize, fixed: Fixed) -> Result<Request<'a>, CommandError> {
        let (mut form, mut is_reverse) = (fixed.form, fixed.is_reverse);
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut words = args.from(at + 2);
        while words.remaining() > 0 {
            if !fixed.is_stored && words.accept("WITHSCORES") {
                with_scores = true;
            } else if words.remaining() > 2 && words.accept("LIMIT") {
                (offset, limit) = (words.int()?, words.int()?);
            } else if fixed.is_reverse.is_none() && is_reverse.is_none() && words.accept("REV") {
                is_reverse = Some(true);
            } else if form.is_none() && words.accept("BYLEX") {
                form = Some(Form::Lex);
            } else if form.is_none() && words.accept("BYSCORE") {
                form = Some(Form::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (form, is_reverse) = (form.unwrap_or(Form::Rank), is_reverse.unwrap_or(false));
        if limit != -1 && form == Form::Rank {
            return Err(CommandError::LimitByRank);
        }
        if with_scores && form == Form::Lex {
            return Err(CommandError::ScoresByLex);
        }
        let (first, second) = (args.get(at), args.get(at + 1));
        // Scores and members are said in the order in which they are to come.
        let (min, max) = if is_reverse { (second, first) } else { (first, second) };
        let bounds = match form {
            Form::Rank => Bounds::Rank(args.int(at)?, args.int(at + 1)?),
            Form::Score => Bounds::Score(parse_score_range(min, max)?),
            Form::Lex => Bounds::Lex(parse_lex_range(min, max)?),
        };
        Ok(Request { bounds, is_reverse, with_scores, offset, limit })
    }

    /// The ranks of what is asked for.
    fn ranks(&self, set: &ZSet) -> Range<usize> {
        let ranks = match self.bounds {
            Bounds::Rank(start, stop) => {
                let places = places(start, stop, set.len());
                return if self.is_reverse {
                    set.len() - places.end..set.len() - places.start
                } else {
                    places
                };
            }
            Bounds::Score(range) => set.score_ranks(&range),
            Bounds::Lex(range) => set.lex_ranks(&range, self.is_reverse),
        };
        // A negative offset leaves nothing.
        let n_skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let n_max = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let n = n_max.min(ranks.len() - n_skipped);
        if self.is_reverse {
            let end = ranks.end - n_skipped;
            end - n..end
        } else {
            let start = ranks.start + n_skipped;
            start..start + n
        }
    }
}

/// The places from `start` to `stop`, both counted from the end if negative, of `len`.
fn places(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len_i64 = i64::try_from(len).unwrap_or(i64::MAX);
    let from_front = |place: i64| if place < 0 { place.saturating_add(len_i64) } else { place };
    let start = usize::try_from(from_front(start)).unwrap_or(0).min(len);
    let end = from_front(stop).saturating_add(1).clamp(0, len_i64);
    start..usize::try_from(end).unwrap_or(len).max(start)
}

fn tell(db: &ReadDb, ctx: &mut Ctx, args: Args, fixed: Fixed) -> CommandResult {
    let request = Request::parse(args, 2, fixed)?;
    let Some(set) = db.get_as::<ZSet>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let ranks = request.ranks(set);
    reply_elements(&mut ctx.reply, set, ranks, request.is_reverse, request.with_scores);
    Ok(())
}

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub(super) fn zrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell(db, ctx, args, Fixed::default())
}

/// ZREVRANGE key start stop [WITHSCORES]
pub(super) fn zrevrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_fixed(db, ctx, args, Form::Rank, true)
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub(super) fn zrangebyscore(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_fixed(db, ctx, args, Form::Score, false)
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
pub(super) fn zrevrangebyscore(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_fixed(db, ctx, args, Form::Score, true)
}

/// ZRANGEBYLEX key min max [LIMIT offset count]
pub(super) fn zrangebylex(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_fixed(db, ctx, args, Form::Lex, false)
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count]
pub(super) fn zrevrangebylex(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_fixed(db, ctx, args, Form::Lex, true)
}

fn tell_fixed(
    db: &ReadDb,
    ctx: &mut Ctx,
    args: Args,
    form: Form,
    is_reverse: bool,
) -> CommandResult {
    let fixed = Fixed { form: Some(form), is_reverse: Some(is_reverse), is_stored: false };
    tell(db, ctx, args, fixed)
}

/// ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
pub(super) fn zrangestore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = Request::parse(args, 3, Fixed { is_stored: true, ..Fixed::default() })?;
    let (target, source) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    let limits = ctx.config.limits();
    let mut copy = ZSet::default();
    if let Some(set) = db.get_as::<ZSet>(&source, Lookup::Use)? {
        for (member, score) in set.iter(request.ranks(set), false) {
            member.with_bytes(|member| copy.insert(member, score, &limits));
        }
    }
    store(db, ctx, &target, copy, Event::ZRANGESTORE);
    Ok(())
}

/// ZREMRANGEBYRANK key start stop
pub(super) fn zremrangebyrank(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    remove(db, ctx, args, Event::ZREMRANGEBYRANK, |set| places(start, stop, set.len()))
}

/// ZREMRANGEBYSCORE key min max
pub(super) fn zremrangebyscore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let range = parse_score_range(args.get(2), args.get(3))?;
    remove(db, ctx, args, Event::ZREMRANGEBYSCORE, |set| set.score_ranks(&range))
}

/// ZREMRANGEBYLEX key min max
pub(super) fn zremrangebylex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let range = parse_lex_range(args.get(2), args.get(3))?;
    remove(db, ctx, args, Event::ZREMRANGEBYLEX, |set| set.lex_ranks(&range, false))
}

fn remove(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    event: Event,
    ranks: impl FnOnce(&ZSet) -> Range<usize>,
) -> CommandResult {
    let key = ctx.key(args.get(1));
    let edited = db.edit(&key, |set: &mut ZSet| {
        let ranks = ranks(set);
        set.remove_ranks(ranks.clone());
        ranks.len()
    })?;
    let n_removed = edited.map_or(0, |edited| edited.result);
    if let Some(edited) = edited
        && n_removed > 0
    {
        ctx.shrunk(key.bytes, event, edited.is_emptied);
        ctx.effects.n_dirty += n_removed as u64 - 1;
    }
    ctx.reply.count(n_removed);
    Ok(())
}

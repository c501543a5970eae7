//! The sorted-set group.

pub(super) mod add;
mod algebra;
mod blocking;
mod random;
mod range;
mod read;
mod remove;
mod scan;

use crate::command::{Command, Ctx, Flags, KeySpec, read, write};
use crate::error::CommandError;
use crate::notify::Event;
use blocking::{bzmpop, bzpopmax, bzpopmin};
use crabcache_resp::Reply;
use crabcache_store::algorithms::double;
use crabcache_store::types::zset::{LexBound, LexRange, ScoreRange, ZSet};
use crabcache_store::{Key, Kind, StrRef, WriteDb};
use std::ops::Range;

use add::{zadd, zincrby};
use algebra::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
use random::zrandmember;
use range::{
    zrange, zrangebylex, zrangebyscore, zrangestore, zremrangebylex, zremrangebyrank,
    zremrangebyscore, zrevrange, zrevrangebylex, zrevrangebyscore,
};
use read::{zcard, zcount, zlexcount, zmscore, zrank, zrevrank, zscore};
use remove::{zmpop, zpopmax, zpopmin, zrem};
use scan::zscan;

pub(super) const COMMANDS: &[Command] = &[
    write("bzmpop", bzmpop)
        .arity(-5)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(2).counted(0, 1).rw().access().delete()])
        .doc("7.0.0", "O(K) + O(M*log(N)), K being the keys and M the members popped", "timeout:double numkeys:int key... where:{MIN | MAX} [COUNT=count:int]", "Removes the members at one end of the first set that there is, and returns them; waits for one."),
    write("bzpopmax", bzpopmax)
        .arity(-3)
        .fast()
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(1).range(-2, 1).rw().access().delete()])
        .doc("5.0.0", "O(log(N))", "key... timeout:double", "Removes the member with the highest score and returns it; waits for one."),
    write("bzpopmin", bzpopmin)
        .arity(-3)
        .fast()
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(1).range(-2, 1).rw().access().delete()])
        .doc("5.0.0", "O(log(N))", "key... timeout:double", "Removes the member with the lowest score and returns it; waits for one."),
    write("zadd", zadd)
        .arity(-4)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .element(3)
        .doc("1.2.0", "O(log(N)) for each member added", "key [condition:{NX | XX}@3.0.2] [comparison:{GT | LT}@6.2.0] [change:CH@3.0.2] [increment:INCR@3.0.2] data:(score:double member)...", "Adds members to a sorted set, or changes their scores."),
    read("zcard", zcard)
        .arity(2)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro()])
        .doc("1.2.0", "O(1)", "key", "Counts the members of a sorted set."),
    read("zcount", zcount)
        .arity(4)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("2.0.0", "O(log(N))", "key min:double max:double", "Counts the members with scores in a range."),
    read("zdiff", zdiff)
        .arity(-3)
        .keys(&[KeySpec::at(1).counted(0, 1).ro().access()])
        .doc("6.2.0", "O(L + (N-K)log(N)), L being the members of all sets, N those of the first and K the result", "numkeys:int key... [WITHSCORES]", "Returns what is in the first set and in none of the others."),
    write("zdiffstore", zdiffstore)
        .arity(-4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).counted(0, 1).ro().access()])
        .doc("6.2.0", "O(L + (N-K)log(N)), L being the members of all sets, N those of the first and K the result", "destination:key numkeys:int key...", "Stores what is in the first set and in none of the others."),
    write("zincrby", zincrby)
        .arity(4)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .element(3)
        .doc("1.2.0", "O(log(N))", "key increment:int member", "Adds to the score of a member."),
    read("zinter", zinter)
        .arity(-3)
        .keys(&[KeySpec::at(1).counted(0, 1).ro().access()])
        .doc("6.2.0", "O(N*K)+O(M*log(M)), N being the smallest set, K the number of sets and M the result", "numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate:{SUM | MIN | MAX}] [WITHSCORES]", "Returns what is in all of several sets."),
    read("zintercard", zintercard)
        .arity(-3)
        .keys(&[KeySpec::at(1).counted(0, 1).ro().access()])
        .doc("7.0.0", "O(N*K), N being the smallest set and K the number of sets", "numkeys:int key... [LIMIT=limit:int]", "Counts what is in all of several sets."),
    write("zinterstore", zinterstore)
        .arity(-4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).counted(0, 1).ro().access()])
        .doc("2.0.0", "O(N*K)+O(M*log(M)), N being the smallest set, K the number of sets and M the result", "destination:key numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate:{SUM | MIN | MAX}]", "Stores what is in all of several sets."),
    read("zlexcount", zlexcount)
        .arity(4)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("2.8.9", "O(log(N))", "key min max", "Counts the members between two of them, where all scores are equal."),
    write("zmpop", zmpop)
        .arity(-4)
        .keys(&[KeySpec::at(1).counted(0, 1).rw().access().delete()])
        .doc("7.0.0", "O(K) + O(M*log(N)), K being the keys and M the members popped", "numkeys:int key... where:{MIN | MAX} [COUNT=count:int]", "Removes the members at one end of the first set that there is, and returns them."),
    read("zmscore", zmscore)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("6.2.0", "O(N), N being the members asked for", "key member...", "Returns the scores of several members."),
    write("zpopmax", zpopmax)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete()])
        .doc("5.0.0", "O(log(N)*M), M being the members popped", "key [count:int]", "Removes the members with the highest scores and returns them."),
    write("zpopmin", zpopmin)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete()])
        .doc("5.0.0", "O(log(N)*M), M being the members popped", "key [count:int]", "Removes the members with the lowest scores and returns them."),
    read("zrandmember", zrandmember)
        .arity(-2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("6.2.0", "O(N), N being the members returned", "key [options:(count:int [WITHSCORES])]", "Returns members drawn at random."),
    read("zrange", zrange)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("1.2.0", "O(log(N)+M), M being the members returned", "key start stop [sortby:{BYSCORE | BYLEX}@6.2.0] [REV@6.2.0] [LIMIT=limit:(offset:int count:int)@6.2.0] [WITHSCORES]", "Returns the members in a range of ranks, scores or members."),
    read("zrangebylex", zrangebylex)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("2.8.9", "O(log(N)+M), M being the members returned", "key min max [LIMIT=limit:(offset:int count:int)]", "Returns the members between two of them, where all scores are equal.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    read("zrangebyscore", zrangebyscore)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("1.0.5", "O(log(N)+M), M being the members returned", "key min:double max:double [WITHSCORES@2.0.0] [LIMIT=limit:(offset:int count:int)]", "Returns the members with scores in a range.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    write("zrangestore", zrangestore)
        .arity(-5)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).ro().access()])
        .doc("6.2.0", "O(log(N)+M), M being the members stored", "dst:key src:key min max [sortby:{BYSCORE | BYLEX}] [REV] [LIMIT=limit:(offset:int count:int)]", "Stores the members in a range of ranks, scores or members."),
    read("zrank", zrank)
        .arity(-3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("2.0.0", "O(log(N))", "key member [WITHSCORE]", "Returns the place of a member, counted from the lowest score."),
    write("zrem", zrem)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).rw().delete()])
        .element(2)
        .doc("1.2.0", "O(M*log(N)), M being the members removed", "key member...", "Removes members from a sorted set."),
    write("zremrangebylex", zremrangebylex)
        .arity(4)
        .keys(&[KeySpec::at(1).rw().delete()])
        .doc("2.8.9", "O(log(N)+M), M being the members removed", "key min max", "Removes the members between two of them, where all scores are equal."),
    write("zremrangebyrank", zremrangebyrank)
        .arity(4)
        .keys(&[KeySpec::at(1).rw().delete()])
        .doc("2.0.0", "O(log(N)+M), M being the members removed", "key start:int stop:int", "Removes the members in a range of ranks."),
    write("zremrangebyscore", zremrangebyscore)
        .arity(4)
        .keys(&[KeySpec::at(1).rw().delete()])
        .doc("1.2.0", "O(log(N)+M), M being the members removed", "key min:double max:double", "Removes the members with scores in a range."),
    read("zrevrange", zrevrange)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("1.2.0", "O(log(N)+M), M being the members returned", "key start:int stop:int [WITHSCORES]", "Returns the members in a range of ranks, counted from the highest score.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
    read("zrevrangebylex", zrevrangebylex)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("2.8.9", "O(log(N)+M), M being the members returned", "key max min [LIMIT=limit:(offset:int count:int)]", "Returns the members between two of them from the last on, where all scores are equal.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    read("zrevrangebyscore", zrevrangebyscore)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("2.2.0", "O(log(N)+M), M being the members returned", "key max:double min:double [WITHSCORES] [LIMIT=limit:(offset:int count:int)]", "Returns the members with scores in a range, from the highest on.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    read("zrevrank", zrevrank)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("2.0.0", "O(log(N))", "key member [WITHSCORE]", "Returns the place of a member, counted from the highest score."),
    read("zscan", zscan)
        .arity(-3)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("2.8.0", "O(1) per call, O(N) for a whole round", "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int]", "Goes through the members and scores of a sorted set in many small steps."),
    read("zscore", zscore)
        .arity(3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("1.2.0", "O(1)", "key member", "Returns the score of a member."),
    read("zunion", zunion)
        .arity(-3)
        .keys(&[KeySpec::at(1).counted(0, 1).ro().access()])
        .doc("6.2.0", "O(N)+O(M*log(M)), N being the members of all sets and M the result", "numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate:{SUM | MIN | MAX}] [WITHSCORES]", "Returns what is in any of several sets."),
    write("zunionstore", zunionstore)
        .arity(-4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).counted(0, 1).ro().access()])
        .doc("2.0.0", "O(N)+O(M*log(M)), N being the members of all sets and M the result", "destination:key numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate:{SUM | MIN | MAX}]", "Stores what is in any of several sets."),
];

/// Reads a score, a weight or a distance.
pub(super) fn parse_double(word: &[u8]) -> Option<f64> {
    double::parse(word)
}

/// Reads the ends of a range of scores: `(` before one leaves it out.
fn parse_score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let bound = |word: &[u8]| {
        let (leaves_out, text) = match word {
            [b'(', text @ ..] => (true, text),
            text => (false, text),
        };
        let score = double::parse_bound(text).ok_or(CommandError::ScoreBound);
        score.map(|score| (score, leaves_out))
    };
    let ((min, leaves_min_out), (max, leaves_max_out)) = (bound(min)?, bound(max)?);
    Ok(ScoreRange { min, leaves_min_out, max, leaves_max_out })
}

/// Reads the ends of a range of members: `-`, `+`, or a member behind `[` or, left out, `(`.
fn parse_lex_range<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, CommandError> {
    // Compat: a 0 byte behind `-` and `+` ends the word.
    let bound = |word: &'a [u8]| match word {
        [b'-'] | [b'-', 0, ..] => Ok(LexBound::Lowest),
        [b'+'] | [b'+', 0, ..] => Ok(LexBound::Highest),
        [b'[', member @ ..] => Ok(LexBound::With(member)),
        [b'(', member @ ..] => Ok(LexBound::Without(member)),
        _ => Err(CommandError::LexBound),
    };
    Ok(LexRange { min: bound(min)?, max: bound(max)? })
}

/// Answers with a member.
#[inline]
fn reply_member(reply: &mut Reply<'_>, member: StrRef<'_>) {
    match member {
        StrRef::Bytes(bytes) => reply.bulk(bytes),
        StrRef::Int(value) => reply.bulk_int(value),
    }
}

/// Answers with the members at some ranks.
fn reply_elements(
    reply: &mut Reply<'_>,
    set: &ZSet,
    ranks: Range<usize>,
    is_reverse: bool,
    with_scores: bool,
) {
    if !with_scores {
        reply.array(ranks.len());
        return set.each(ranks, is_reverse, |member, _| reply_member(reply, member));
    }
    reply.pairs(ranks.len());
    set.each(ranks, is_reverse, |member, score| {
        reply.nested_pair();
        reply_member(reply, member);
        reply.double(score);
    });
}

/// Puts a set into a key, whatever it held, or removes the key if the set is empty. Answers with the
/// number of members.
pub(super) fn store(db: &mut WriteDb, ctx: &mut Ctx, key: &Key<'_>, set: ZSet, event: Event) {
    let n_members = set.len();
    if n_members > 0 {
        let old = db.set_collection(key, set);
        ctx.overwritten(key.bytes, old, Kind::ZSet);
        ctx.changed(key.bytes, event);
    } else if db.delete(key) {
        ctx.changed(key.bytes, Event::DEL);
    }
    ctx.reply.count(n_members);
}

#[cfg(test)]
mod tests;

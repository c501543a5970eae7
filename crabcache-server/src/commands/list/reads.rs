//! Looking at lists.

use super::reply_elements;
use crate::command::{Args, CommandResult, Ctx, Words};
use crate::commands::string::reply_string;
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;
use crabcache_store::ReadDb;
use crabcache_store::types::list::{End, List, Needle};
use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;

/// LLEN key
pub(super) fn llen(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let list = db.get_as::<List>(&ctx.key(args.get(1)))?;
    ctx.reply.count(list.map_or(0, List::len));
    Ok(())
}

/// LINDEX key index
pub(super) fn lindex(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let Some(list) = db.get_as::<List>(&ctx.key(args.get(1)))? else {
        ctx.reply.null();
        return Ok(());
    };
    if list.get(args.int(2)?, |element| reply_string(&mut ctx.reply, element)).is_none() {
        ctx.reply.null();
    }
    Ok(())
}

/// LRANGE key start stop
pub(super) fn lrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let Some(list) = db.get_as::<List>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let range = range(list.len(), start, stop);
    reply_elements(&mut ctx.reply, list, range.start, range.len(), End::Back);
    Ok(())
}

/// The elements between two indexes, which may count from the back.
pub(super) fn range(len: usize, start: i64, stop: i64) -> Range<usize> {
    let signed_len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_front = |index: i64| if index < 0 { index + signed_len } else { index };
    let (start, stop) = (from_front(start).max(0), from_front(stop).min(signed_len - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

/// The options of LPOS.
struct Search {
    rank: i64,
    count: Option<u64>,
    len_max: Option<u64>,
}

impl Search {
    fn parse(mut words: Words) -> Result<Search, CommandError> {
        let mut search = Search { rank: 1, count: None, len_max: None };
        let natural = |word: &[u8]| parse_i64(word).and_then(|n| u64::try_from(n).ok());
        while let Some(option) = words.next() {
            let Some(word) = words.next() else { return Err(CommandError::Syntax) };
            if option.eq_ignore_ascii_case(b"RANK") {
                search.rank = parse_i64(word).ok_or(CommandError::NotInteger)?;
                if search.rank == i64::MIN {
                    return Err(CommandError::OutsideRange(-i64::MAX, i64::MAX));
                }
                if search.rank == 0 {
                    return Err(CommandError::ZeroRank);
                }
            } else if option.eq_ignore_ascii_case(b"COUNT") {
                search.count = Some(natural(word).ok_or(CommandError::NegativeOption("COUNT"))?);
            } else if option.eq_ignore_ascii_case(b"MAXLEN") {
                let len_max = natural(word).ok_or(CommandError::NegativeOption("MAXLEN"))?;
                search.len_max = (len_max > 0).then_some(len_max);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    /// Calls `tell` with the places in the list where the element is, `n_max` at most.
    fn run(&self, list: &List, value: &[u8], n_max: usize, mut tell: impl FnMut(usize)) {
        let (needle, last) = (Needle::new(value), list.len() - 1);
        let (start, towards) = if self.rank < 0 { (last, End::Front) } else { (0, End::Back) };
        let n_seen_max = self.len_max.and_then(|max| usize::try_from(max).ok());
        let mut n_skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let (mut n_seen, mut n_found) = (0, 0);
        let _ = list.show_from(start, towards, |element| {
            if needle.is(element) {
                if n_skipped > 0 {
                    n_skipped -= 1;
                } else {
                    tell(if self.rank < 0 { last - n_seen } else { n_seen });
                    n_found += 1;
                }
            }
            n_seen += 1;
            if n_found == n_max || Some(n_seen) == n_seen_max { Break(()) } else { Continue(()) }
        });
    }
}

/// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
pub(super) fn lpos(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let search = Search::parse(args.from(3))?;
    let list = db.get_as::<List>(&ctx.key(args.get(1)))?;
    match search.count {
        None => {
            let mut place = None;
            if let Some(list) = list {
                search.run(list, args.get(2), 1, |found| place = Some(found));
            }
            match place {
                Some(place) => ctx.reply.count(place),
                None => ctx.reply.null(),
            }
        }
        Some(count) => {
            let n_max = usize::try_from(count).ok().filter(|count| *count > 0);
            let array = ctx.reply.deferred();
            let mut n_found = 0;
            if let Some(list) = list {
                search.run(list, args.get(2), n_max.unwrap_or(usize::MAX), |place| {
                    ctx.reply.count(place);
                    n_found += 1;
                });
            }
            ctx.reply.end_array(array, n_found);
        }
    }
    Ok(())
}

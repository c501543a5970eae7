//! Members and scores that come and change: ZADD, ZINCRBY.

use super::parse_double;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Limits, WriteDb};
use smallvec::SmallVec;

/// The options of ZADD.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    /// NX: no score is changed.
    keeps_old: bool,
    /// XX: no member is added.
    adds_none: bool,
    /// GT: scores only grow.
    only_greater: bool,
    /// LT: scores only sink.
    only_less: bool,
    /// CH: changed scores are counted, too.
    counts_changed: bool,
    /// INCR: the score is added to the old one.
    increments: bool,
}

impl Options {
    /// Takes the option that a word is. Whether it is one.
    fn accept(&mut self, word: &[u8]) -> bool {
        let option = match word.len() {
            2 if word.eq_ignore_ascii_case(b"NX") => &mut self.keeps_old,
            2 if word.eq_ignore_ascii_case(b"XX") => &mut self.adds_none,
            2 if word.eq_ignore_ascii_case(b"GT") => &mut self.only_greater,
            2 if word.eq_ignore_ascii_case(b"LT") => &mut self.only_less,
            2 if word.eq_ignore_ascii_case(b"CH") => &mut self.counts_changed,
            4 if word.eq_ignore_ascii_case(b"INCR") => &mut self.increments,
            _ => return false,
        };
        *option = true;
        true
    }

    fn check(self, n_pairs: usize) -> CommandResult {
        if self.keeps_old && self.adds_none {
            return Err(CommandError::XxWithNx);
        }
        let n_comparing = [self.only_greater, self.only_less, self.keeps_old];
        if n_comparing.into_iter().filter(|is_set| *is_set).count() > 1 {
            return Err(CommandError::GtLtNx);
        }
        if self.increments && n_pairs > 1 {
            return Err(CommandError::IncrementOfMany);
        }
        Ok(())
    }

    /// The score that a member gets, if it gets one.
    fn decide(self, old: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else { return Ok((!self.adds_none).then_some(given)) };
        if self.keeps_old {
            return Ok(None);
        }
        let new = if self.increments { old + given } else { given };
        if new.is_nan() {
            return Err(CommandError::ScoreNotANumber);
        }
        let is_refused = self.only_less && new >= old || self.only_greater && new <= old;
        Ok((!is_refused).then_some(new))
    }
}

/// What was done.
#[derive(Debug, Default)]
struct Added {
    n_new: usize,
    n_changed: usize,
    /// The score of the last member that was not passed over.
    score: Option<f64>,
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
pub(super) fn zadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    add(db, ctx, args, Options::default())
}

/// ZINCRBY key increment member
// Compat: as ZADD INCR, so a word that is an option there is no increment here.
pub(super) fn zincrby(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    add(db, ctx, args, Options { increments: true, ..Options::default() })
}

fn add(db: &mut WriteDb, ctx: &mut Ctx, args: Args, mut options: Options) -> CommandResult {
    let mut pairs_at = 2;
    while pairs_at < args.len() && options.accept(args.get(pairs_at)) {
        pairs_at += 1;
    }
    let n_words = args.len() - pairs_at;
    if n_words == 0 || !n_words.is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    options.check(n_words / 2)?;
    let mut pairs = SmallVec::<[(f64, &[u8]); 4]>::with_capacity(n_words / 2);
    for at in (pairs_at..args.len()).step_by(2) {
        let score = parse_double(args.get(at)).ok_or(CommandError::NotFloat)?;
        pairs.push((score, args.get(at + 1)));
    }
    store_pairs(db, ctx, args, &pairs, options)
}

/// ZADD with what GEOADD has made of positions.
pub(in crate::commands) fn add_scored(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    option_words: &[&[u8]],
    pairs: &[(f64, &[u8])],
) -> CommandResult {
    let mut options = Options::default();
    option_words.iter().for_each(|word| {
        options.accept(word);
    });
    options.check(pairs.len())?;
    store_pairs(db, ctx, args, pairs, options)
}

fn store_pairs(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    pairs: &[(f64, &[u8])],
    options: Options,
) -> CommandResult {
    let key = ctx.key(args.get(1));
    let limits = ctx.config.limits();
    let edited = db.edit_or_new(&key, |set: &mut ZSet| add_pairs(set, pairs, options, &limits))?;
    let added = edited.result?;
    let n_dirty = added.n_new + added.n_changed;
    if n_dirty > 0 {
        ctx.changed(key.bytes, if options.increments { Event::ZINCR } else { Event::ZADD });
        ctx.effects.n_dirty += n_dirty as u64 - 1;
    }
    match (options.increments, added.score) {
        (true, Some(score)) => ctx.reply.double(score),
        (true, None) => ctx.reply.null(),
        (false, _) if options.counts_changed => ctx.reply.count(n_dirty),
        (false, _) => ctx.reply.count(added.n_new),
    }
    Ok(())
}

/// Fails only where one increment was asked for, and so has changed nothing.
fn add_pairs(
    set: &mut ZSet,
    pairs: &[(f64, &[u8])],
    options: Options,
    limits: &Limits,
) -> Result<Added, CommandError> {
    if set.is_empty() {
        set.expect_first(pairs[0].1.len(), limits);
    }
    set.expect(pairs.len(), limits);
    let mut added = Added::default();
    for (given, member) in pairs {
        let mut decided = Ok(None);
        let old = set.update(member, limits, |old| {
            decided = options.decide(old, *given);
            decided.clone().ok().flatten()
        });
        let Some(new) = decided? else { continue };
        added.score = Some(new);
        match old {
            None => added.n_new += 1,
            Some(old) => added.n_changed += usize::from(old != new),
        }
    }
    Ok(added)
}

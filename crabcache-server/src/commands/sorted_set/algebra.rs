//! Unions, intersections and differences of sorted sets, told or stored.

use super::{parse_double, reply_elements, store};
use crate::command::{Args, CommandResult, Ctx, Words};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::structures::table::ItemRef;
use crabcache_store::types::set::Set;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Entry, Kind, Limits, Lookup, ReadDb, StoreError, StrRef, WriteDb};
use std::collections::HashMap;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of a member in several inputs become one.
#[derive(Debug, Clone, Copy, Default)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    // Compat: a sum that is no number is 0; a score that is compared with another of the same value
    // stays.
    fn of(self, own: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => zero_if_nan(own + other),
            Aggregate::Min => {
                if other < own {
                    other
                } else {
                    own
                }
            }
            Aggregate::Max => {
                if other > own {
                    other
                } else {
                    own
                }
            }
        }
    }
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A sorted set, or a set whose members all have the score 1.
#[derive(Clone, Copy)]
enum Source<'a> {
    Scored(&'a ZSet),
    Plain(&'a Set),
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Scored(set) => set.len(),
            Source::Plain(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Scored(set) => set.score(member),
            Source::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn is(self, other: Source<'_>) -> bool {
        match (self, other) {
            (Source::Scored(set), Source::Scored(other)) => std::ptr::eq(set, other),
            (Source::Plain(set), Source::Plain(other)) => std::ptr::eq(set, other),
            _ => false,
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (StrRef<'a>, f64)> + 'a> {
        match self {
            Source::Scored(set) => Box::new(set.iter(0..set.len(), false)),
            Source::Plain(set) => Box::new(set.iter().map(|member| (member, 1.0))),
        }
    }

    fn of(entry: ItemRef<'a, Entry>) -> Result<Source<'a>, StoreError> {
        match entry.kind() {
            Kind::ZSet => entry.into_collection().map(Source::Scored).ok_or(StoreError::WrongType),
            Kind::Set => entry.into_collection().map(Source::Plain).ok_or(StoreError::WrongType),
            _ => Err(StoreError::WrongType),
        }
    }
}

/// What a command may have beside its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Told,
    Stored,
    Counted,
}

/// A request, without its keys.
#[derive(Debug, Default)]
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// 0: none.
    limit: usize,
}

/// The number of keys, which is word number `at`; the keys follow.
fn key_count(ctx: &Ctx, args: Args, at: usize) -> Result<usize, CommandError> {
    let n_keys = args.int(at)?;
    if n_keys < 1 {
        return Err(CommandError::NoInputKeys(ctx.row.full_name.clone()));
    }
    let n_keys = usize::try_from(n_keys).unwrap_or(usize::MAX);
    if n_keys > args.len() - at - 1 { Err(CommandError::Syntax) } else { Ok(n_keys) }
}

impl Options {
    fn parse(
        args: Args,
        at: usize,
        n_keys: usize,
        operation: Operation,
        mode: Mode,
    ) -> Result<Options, CommandError> {
        let mut options = Options { weights: vec![1.0; n_keys], ..Options::default() };
        let mut words = args.from(at);
        let has_scores = operation != Operation::Difference && mode != Mode::Counted;
        while words.remaining() > 0 {
            if has_scores && words.remaining() > n_keys && words.accept("WEIGHTS") {
                for weight in &mut options.weights {
                    let value = parse_double(words.word()?);
                    *weight = value.ok_or(CommandError::WeightNotFloat)?;
                }
            } else if has_scores && words.remaining() > 1 && words.accept("AGGREGATE") {
                options.aggregate = if words.accept("SUM") {
                    Aggregate::Sum
                } else if words.accept("MIN") {
                    Aggregate::Min
                } else if words.accept("MAX") {
                    Aggregate::Max
                } else {
                    return Err(CommandError::Syntax);
                };
            } else if mode == Mode::Told && words.accept("WITHSCORES") {
                options.with_scores = true;
            } else if mode == Mode::Counted && words.remaining() > 1 && words.accept("LIMIT") {
                let limit = parse_i64(words.word()?).and_then(|limit| usize::try_from(limit).ok());
                options.limit = limit.ok_or(CommandError::NegativeOption("LIMIT"))?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// Inputs with their weights; absent ones are `None`.
type Inputs<'a> = Vec<(Option<Source<'a>>, f64)>;

/// Calls `visit` with what is in all inputs, until it says that it is enough.
fn intersect(
    inputs: &mut Inputs<'_>,
    aggregate: Aggregate,
    mut visit: impl FnMut(&[u8], f64) -> bool,
) {
    // The order decides what floating-point sums are: from the smallest to the largest.
    inputs.sort_by_key(|(source, _)| source.map_or(0, Source::len));
    let Some(((Some(first), weight), others)) = inputs.split_first() else { return };
    for (member, own) in first.iter() {
        let more = member.with_bytes(|member| {
            let mut score = zero_if_nan(weight * own);
            for (other, weight) in others {
                let Some(other) = other else { return true };
                let found = if other.is(*first) { Some(own) } else { other.score(member) };
                let Some(found) = found else { return true };
                score = aggregate.of(score, found * weight);
            }
            visit(member, score)
        });
        if !more {
            return;
        }
    }
}

fn unite(inputs: &mut Inputs<'_>, aggregate: Aggregate) -> HashMap<Vec<u8>, f64> {
    inputs.sort_by_key(|(source, _)| source.map_or(0, Source::len));
    let mut all: HashMap<Vec<u8>, f64> = HashMap::new();
    for (source, weight) in inputs.iter() {
        let Some(source) = source else { continue };
        for (member, own) in source.iter() {
            let score = zero_if_nan(weight * own);
            member.with_bytes(|member| match all.get_mut(member) {
                Some(sum) => *sum = aggregate.of(*sum, score),
                None => {
                    all.insert(member.to_vec(), score);
                }
            });
        }
    }
    all
}

// Compat: replies show what is stored in a small set as well, but with the signs of zeros.
fn compute(
    operation: Operation,
    inputs: &mut Inputs<'_>,
    options: &Options,
    limits: &Limits,
) -> ZSet {
    let mut result = ZSet::large();
    match operation {
        Operation::Intersection => intersect(inputs, options.aggregate, |member, score| {
            result.insert(member, score, limits);
            true
        }),
        Operation::Union => {
            for (member, score) in unite(inputs, options.aggregate) {
                result.insert(&member, score, limits);
            }
        }
        Operation::Difference => {
            let Some(((Some(first), _), others)) = inputs.split_first() else { return result };
            let others: Vec<_> = others.iter().filter_map(|(source, _)| *source).collect();
            for (member, score) in first.iter() {
                member.with_bytes(|member| {
                    if others.iter().all(|other| other.score(member).is_none()) {
                        result.insert(member, score, limits);
                    }
                });
            }
        }
    }
    result
}

/// What the keys hold.
fn read_sources<'a>(
    db: &ReadDb<'a>,
    ctx: &Ctx,
    words: Words<'_>,
    n_keys: usize,
    lookup: Lookup,
) -> Result<Vec<Option<Source<'a>>>, CommandError> {
    let read = |word| match db.get(&ctx.key(word), lookup) {
        Some(entry) => Ok(Some(Source::of(entry)?)),
        None => Ok(None),
    };
    words.take(n_keys).map(read).collect()
}

/// Reads a request and what its keys hold.
fn read_request<'a>(
    db: &ReadDb<'a>,
    ctx: &Ctx,
    args: Args,
    operation: Operation,
    mode: Mode,
) -> Result<(Inputs<'a>, Options), CommandError> {
    let n_keys = key_count(ctx, args, 1)?;
    let sources = read_sources(db, ctx, args.from(2), n_keys, Lookup::Use)?;
    let options = Options::parse(args, 2 + n_keys, n_keys, operation, mode)?;
    Ok((sources.into_iter().zip(options.weights.iter().copied()).collect(), options))
}

fn tell(db: &ReadDb, ctx: &mut Ctx, args: Args, operation: Operation) -> CommandResult {
    let (mut inputs, options) = read_request(db, ctx, args, operation, Mode::Told)?;
    let result = compute(operation, &mut inputs, &options, &ctx.config.limits());
    reply_elements(&mut ctx.reply, &result, 0..result.len(), false, options.with_scores);
    Ok(())
}

/// ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]
/// [WITHSCORES]
pub(super) fn zunion(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell(db, ctx, args, Operation::Union)
}

/// ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]
/// [WITHSCORES]
pub(super) fn zinter(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell(db, ctx, args, Operation::Intersection)
}

/// ZDIFF numkeys key [key ...] [WITHSCORES]
pub(super) fn zdiff(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell(db, ctx, args, Operation::Difference)
}

/// ZINTERCARD numkeys key [key ...] [LIMIT limit]
pub(super) fn zintercard(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (mut inputs, options) =
        read_request(db, ctx, args, Operation::Intersection, Mode::Counted)?;
    let mut n_members = 0;
    intersect(&mut inputs, Aggregate::Sum, |_, _| {
        n_members += 1;
        n_members != options.limit
    });
    ctx.reply.count(n_members);
    Ok(())
}

/// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]]
/// [AGGREGATE SUM | MIN | MAX]
pub(super) fn zunionstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store_result(db, ctx, args, Operation::Union, Event::ZUNIONSTORE)
}

/// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]]
/// [AGGREGATE SUM | MIN | MAX]
pub(super) fn zinterstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store_result(db, ctx, args, Operation::Intersection, Event::ZINTERSTORE)
}

/// ZDIFFSTORE destination numkeys key [key ...]
pub(super) fn zdiffstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store_result(db, ctx, args, Operation::Difference, Event::ZDIFFSTORE)
}

fn store_result(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    operation: Operation,
    event: Event,
) -> CommandResult {
    let target = ctx.key(args.get(1));
    let n_keys = key_count(ctx, args, 2)?;
    for word in args.from(3).take(n_keys) {
        if let Some(entry) = db.get(&ctx.key(word), Lookup::Use) {
            Source::of(entry)?;
        }
    }
    let options = Options::parse(args, 3 + n_keys, n_keys, operation, Mode::Stored)?;
    let limits = ctx.config.limits();
    let mut result = {
        let sources = read_sources(&db.as_read(), ctx, args.from(3), n_keys, Lookup::Peek)?;
        let mut inputs = sources.into_iter().zip(options.weights.iter().copied()).collect();
        compute(operation, &mut inputs, &options, &limits)
    };
    result.pack_if_small(&limits);
    store(db, ctx, &target, result, event);
    Ok(())
}

//! Positions that come, and what is known about them.

use super::{distance_text, parse_unit};
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::sorted_set::add::add_scored;
use crate::commands::sorted_set::parse_double;
use crate::error::CommandError;
use crabcache_store::algorithms::geohash::Position;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{ReadDb, WriteDb};

/// Reads a longitude and a latitude.
pub(super) fn parse_position(longitude: &[u8], latitude: &[u8]) -> Result<Position, CommandError> {
    let longitude = parse_double(longitude).ok_or(CommandError::NotFloat)?;
    let latitude = parse_double(latitude).ok_or(CommandError::NotFloat)?;
    let text = |degrees: f64| format!("{degrees:.6}");
    Position::new(longitude, latitude)
        .ok_or_else(|| CommandError::NoSuchPosition(text(longitude), text(latitude)))
}

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
// Compat: replicated as the ZADD that it is.
pub(super) fn geoadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_option = |at: usize| ["NX", "XX", "CH"].into_iter().any(|option| args.is(at, option));
    let mut places_at = 2;
    while places_at < args.len() && is_option(places_at) {
        places_at += 1;
    }
    let options: Vec<&[u8]> = args.from(2).take(places_at - 2).collect();
    let has = |option: &[u8]| options.iter().any(|word| word.eq_ignore_ascii_case(option));
    let n_words = args.len() - places_at;
    if !n_words.is_multiple_of(3) || has(b"NX") && has(b"XX") {
        return Err(CommandError::Syntax);
    }
    let mut pairs = Vec::with_capacity(n_words / 3);
    let mut scores = Vec::with_capacity(n_words / 3);
    for at in (places_at..args.len()).step_by(3) {
        let score = parse_position(args.get(at), args.get(at + 1))?.score();
        pairs.push((score as f64, args.get(at + 2)));
        scores.push(itoa::Buffer::new().format(score).to_string());
    }
    if pairs.is_empty() {
        return Err(CommandError::Syntax);
    }
    add_scored(db, ctx, args, &options, &pairs)?;
    if ctx.effects.n_dirty > 0 {
        let words =
            scores.iter().zip(&pairs).flat_map(|(score, (_, member))| [score.as_bytes(), member]);
        let beginning: [&[u8]; 2] = [b"zadd", args.get(1)];
        ctx.effects.propagate(beginning.into_iter().chain(options).chain(words));
    }
    Ok(())
}

fn position_of(set: Option<&ZSet>, member: &[u8]) -> Option<Position> {
    set?.score(member).map(Position::of_score)
}

/// GEOPOS key [member [member ...]]
pub(super) fn geopos(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match position_of(set, member) {
            Some(Position { longitude, latitude }) => {
                ctx.reply.array(2);
                ctx.reply.double(longitude);
                ctx.reply.double(latitude);
            }
            None => ctx.reply.null_array(),
        }
    }
    Ok(())
}

/// GEOHASH key [member [member ...]]
pub(super) fn geohash(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match position_of(set, member) {
            Some(position) => ctx.reply.bulk(&position.text()),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// GEODIST key member1 member2 [M | KM | FT | MI]
pub(super) fn geodist(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let metres = match args.len() {
        4 => 1.0,
        5 => parse_unit(args.get(4))?,
        _ => return Err(CommandError::Syntax),
    };
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    match (position_of(set, args.get(2)), position_of(set, args.get(3))) {
        (Some(first), Some(second)) => {
            let distance = first.distance_m(second) / metres;
            ctx.reply.bulk(distance_text(distance).as_bytes());
        }
        _ => ctx.reply.null(),
    }
    Ok(())
}

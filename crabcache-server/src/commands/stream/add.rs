//! XADD and XTRIM, and the options that they share.

use super::ids::{self, NewId};
use super::reply::{edit, reply_id};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::WriteDb;
use crabcache_store::types::stream::{
    Log, NODE_BYTES_MAX, References, Stream, StreamId, Trim, TrimTo,
};

/// XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED]
/// [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]
pub(super) fn xadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = Options::parse(ctx, args, true)?;
    let (id_at, first) = (options.end, options.end + 1);
    if args.len() < first + 2 || (args.len() - first) % 2 == 1 {
        return Err(CommandError::Arity(ctx.row.full_name.to_string()));
    }
    if options.id == NewId::Given(StreamId::MIN) {
        return Err(CommandError::StreamIdZero);
    }
    let n_bytes: usize = (first..args.len()).map(|index| args.get(index).len()).sum();
    let key = ctx.key(args.get(1));
    let limits = ctx.config.limits();
    let now_ms = ctx.env.now_ms;
    let add = |stream: &mut Stream| -> Result<Added, CommandError> {
        let id = next_id(&stream.log, options.id, now_ms)?;
        if n_bytes > NODE_BYTES_MAX {
            return Err(CommandError::StreamEntryTooLarge);
        }
        let pair = |n: usize| (args.get(first + 2 * n), args.get(first + 2 * n + 1));
        stream.log.append(id, (0..(args.len() - first) / 2).map(pair), &limits);
        let n_trimmed = options.trim.map_or(0, |trim| stream.trim(&trim));
        Ok(Added { id, n_trimmed, threshold: options.threshold_now(&stream.log) })
    };
    let added = if options.only_if_present {
        edit(db, &key, add)?
    } else if n_bytes > NODE_BYTES_MAX {
        // No key is made for an entry that cannot be added.
        edit(db, &key, add)?;
        return Err(CommandError::StreamEntryTooLarge);
    } else {
        Some(db.edit_or_new(&key, add)?.result?)
    };
    let Some(added) = added else {
        ctx.reply.null();
        return Ok(());
    };
    reply_id(&mut ctx.reply, added.id);
    ctx.changed(key.bytes, Event::XADD);
    if added.n_trimmed > 0 {
        ctx.event(key.bytes, Event::XTRIM);
    }
    let is_new_id = !matches!(options.id, NewId::Given(_));
    if is_new_id || added.threshold.is_some() {
        let id = added.id.text();
        let id = if is_new_id { id.as_bytes() } else { args.get(id_at) };
        options.propagate(ctx, args, added.threshold.as_deref(), Some((id_at, id)));
    }
    Ok(())
}

/// What XADD did.
struct Added {
    id: StreamId,
    n_trimmed: u64,
    /// See [`Options::threshold_now`].
    threshold: Option<Vec<u8>>,
}

/// The id of the next entry.
#[inline]
fn next_id(log: &Log, id: NewId, now_ms: i64) -> Result<StreamId, CommandError> {
    let last = log.last_id();
    if last == StreamId::MAX {
        return Err(CommandError::StreamIdsExhausted);
    }
    let id = match id {
        NewId::Given(id) => id,
        NewId::AutoSeq(ms) if ms != last.ms => StreamId::new(ms, 0),
        NewId::AutoSeq(ms) => {
            let seq = last.seq.checked_add(1).ok_or(CommandError::StreamIdTooSmall)?;
            StreamId::new(ms, seq)
        }
        NewId::Auto => match u64::try_from(now_ms) {
            Ok(ms) if ms > last.ms => StreamId::new(ms, 0),
            _ => last.next().ok_or(CommandError::StreamIdsExhausted)?,
        },
    };
    if id > last { Ok(id) } else { Err(CommandError::StreamIdTooSmall) }
}

/// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]
pub(super) fn xtrim(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = Options::parse(ctx, args, false)?;
    let Some(trim) = options.trim else { return Err(CommandError::NoTrim) };
    let key = ctx.key(args.get(1));
    let trimmed = edit(db, &key, |stream| {
        let n_removed = stream.trim(&trim);
        Ok((n_removed, options.threshold_now(&stream.log)))
    })?;
    let (n_removed, threshold) = trimmed.unwrap_or((0, None));
    if n_removed > 0 {
        ctx.changed(key.bytes, Event::XTRIM);
        ctx.effects.n_dirty += n_removed - 1;
        if threshold.is_some() {
            options.propagate(ctx, args, threshold.as_deref(), None);
        }
    }
    ctx.reply.int(n_removed as i64);
    Ok(())
}

/// The options of both commands.
#[derive(Debug)]
struct Options {
    /// NOMKSTREAM
    only_if_present: bool,
    trim: Option<Trim>,
    /// Where the threshold of the trim is.
    threshold_at: usize,
    /// Where the options end: at XADD's id.
    end: usize,
    id: NewId,
}

impl Options {
    fn parse(ctx: &Ctx, args: Args, is_xadd: bool) -> Result<Options, CommandError> {
        let mut parser = Parser::default();
        let mut at = 2;
        let mut id = NewId::Auto;
        while at < args.len() {
            if is_xadd && args.get(at) == b"*" {
                break;
            }
            let n_words = parser.accept(args, at, is_xadd)?;
            if n_words == 0 && is_xadd {
                id = ids::parse_new(args.get(at))?;
                break;
            } else if n_words == 0 {
                return Err(CommandError::Syntax);
            }
            at += n_words;
        }
        if ctx.client.is_obeyed() {
            // The threshold was made exact, and LIMIT stayed where it was.
            parser.limit = None;
        }
        let trim = parser.trim(is_xadd, ctx.config.limits().stream_node_entries_max)?;
        let Parser { only_if_present, threshold_at, .. } = parser;
        Ok(Options { only_if_present, trim, threshold_at, end: at, id })
    }

    /// What an exact trim to the present state has for its threshold, if the trim was approximate:
    /// how far that goes depends on the nodes, which are not the same everywhere.
    fn threshold_now(&self, log: &Log) -> Option<Vec<u8>> {
        let trim = self.trim.filter(|trim| trim.is_approximate)?;
        Some(match trim.to {
            TrimTo::MaxLen(_) => itoa::Buffer::new().format(log.len()).as_bytes().to_vec(),
            TrimTo::MinId(_) => log.first_kept_id().text().as_bytes().to_vec(),
        })
    }

    /// Replicates the request with an exact trim and the id that was given to the entry.
    fn propagate(
        &self,
        ctx: &mut Ctx,
        args: Args,
        threshold: Option<&[u8]>,
        id: Option<(usize, &[u8])>,
    ) {
        let word = |(index, word)| match (threshold, id) {
            (_, Some((id_at, id))) if index == id_at => id,
            (Some(threshold), _) if index == self.threshold_at => threshold,
            (Some(_), _) if index + 1 == self.threshold_at => b"=",
            _ => word,
        };
        ctx.effects.propagate(args.iter().enumerate().map(word));
    }
}

/// Options as far as they have been read.
#[derive(Debug, Default)]
struct Parser {
    only_if_present: bool,
    to: Option<TrimTo>,
    is_approximate: bool,
    threshold_at: usize,
    limit: Option<u64>,
    references: Option<References>,
}

impl Parser {
    /// Takes the option that begins at a word. Returns how many words it has, 0 if there is none.
    fn accept(&mut self, args: Args, at: usize, is_xadd: bool) -> Result<usize, CommandError> {
        let n_more = args.len() - at - 1;
        if n_more > 0 && (args.is(at, "MAXLEN") || args.is(at, "MINID")) {
            return self.accept_trim(args, at);
        }
        if n_more > 0 && args.is(at, "LIMIT") {
            let limit = parse_i64(args.get(at + 1)).ok_or(CommandError::NotInteger)?;
            self.limit = Some(u64::try_from(limit).map_err(|_| CommandError::TrimLimitNegative)?);
            return Ok(2);
        }
        if let Some(references) = references(args, at)
            && self.references.is_none()
        {
            self.references = Some(references);
            return Ok(1);
        }
        if is_xadd && args.is(at, "NOMKSTREAM") {
            self.only_if_present = true;
            return Ok(1);
        }
        Ok(0)
    }

    fn accept_trim(&mut self, args: Args, at: usize) -> Result<usize, CommandError> {
        if self.to.is_some() {
            return Err(CommandError::TwoTrims);
        }
        let has_operator = args.len() - at > 2 && matches!(args.get(at + 1), b"~" | b"=");
        self.is_approximate = has_operator && args.get(at + 1) == b"~";
        self.threshold_at = at + 1 + usize::from(has_operator);
        let threshold = args.get(self.threshold_at);
        self.to = Some(if args.is(at, "MAXLEN") {
            let len = parse_i64(threshold).ok_or(CommandError::NotInteger)?;
            TrimTo::MaxLen(u64::try_from(len).map_err(|_| CommandError::MaxLenNegative)?)
        } else {
            TrimTo::MinId(ids::parse(threshold, 0)?)
        });
        Ok(self.threshold_at + 1 - at)
    }

    /// The trim that was asked for.
    fn trim(&self, is_xadd: bool, node_entries_max: usize) -> Result<Option<Trim>, CommandError> {
        /// An approximate trim without LIMIT removes so many nodes' worth at most.
        const NODES_MAX: u64 = 100;
        if self.to.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(CommandError::TrimLimitAlone);
        }
        if self.to.is_none() && !is_xadd {
            return Err(CommandError::NoTrim);
        }
        if self.limit.is_some() && !self.is_approximate {
            return Err(CommandError::TrimLimitOfExact);
        }
        let n_removed_max = match self.limit {
            Some(limit) => limit,
            None if !self.is_approximate => 0,
            None => match NODES_MAX.saturating_mul(node_entries_max as u64) {
                0 => 10_000,
                max => max.min(1_000_000),
            },
        };
        let references = self.references.unwrap_or_default();
        let Parser { is_approximate, .. } = *self;
        Ok(self.to.map(|to| Trim { to, is_approximate, n_removed_max, references }))
    }
}

/// KEEPREF | DELREF | ACKED
pub(super) fn references(args: Args, at: usize) -> Option<References> {
    let words = [
        ("KEEPREF", References::Keep),
        ("DELREF", References::Delete),
        ("ACKED", References::OnlyAcked),
    ];
    words.into_iter().find(|(word, _)| args.is(at, word)).map(|(_, references)| references)
}

//! Groups and counters of a stream: XGROUP and XSETID.

use super::ids;
use super::reply::{edit, text};
use crate::command::{Args, CommandResult, Ctx, help};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::stream::{GroupMut, Log, Parts, Stream, StreamId};
use crabcache_store::{Lookup, WriteDb};

/// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]
pub(super) fn xgroup_create(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = Options::parse(args, true)?;
    let key = ctx.key(args.get(2));
    let is_there = db.get_as::<Stream>(&key, Lookup::Write)?.is_some();
    if !is_there && !options.makes_stream {
        return Err(CommandError::XgroupWithoutKey);
    }
    if args.len() > 8 {
        return Err(CommandError::subcommand_syntax(args, "XGROUP"));
    }
    let given = parse_last_id(args.get(4), ids::parse)?;
    let created = db.edit_or_new(&key, |stream: &mut Stream| {
        let last_id = given.unwrap_or(stream.log.last_id());
        let entries_read = options.entries_read_of(&stream.log);
        stream.groups.create(args.get(3), last_id, entries_read)
    })?;
    if !created.result {
        return Err(CommandError::BusyGroup);
    }
    if !is_there {
        ctx.effects.touched(ctx.client.db, key.bytes);
    }
    ctx.changed_aside(key.bytes, Event::XGROUP_CREATE);
    ctx.reply.ok();
    Ok(())
}

/// XGROUP SETID key group id | $ [ENTRIESREAD entries-read]
pub(super) fn xgroup_setid(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = Options::parse(args, false)?;
    edit_group(db, ctx, args, |ctx, log, mut group| {
        if args.len() > 7 {
            return Err(CommandError::subcommand_syntax(args, "XGROUP"));
        }
        let given = parse_last_id(args.get(4), ids::parse_or_end)?;
        group.set_last_id(given.unwrap_or(log.last_id()));
        group.entries_read = options.entries_read_of(log);
        ctx.changed_aside(args.get(2), Event::XGROUP_SETID);
        ctx.reply.ok();
        Ok(())
    })
}

/// XGROUP DESTROY key group
pub(super) fn xgroup_destroy(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(2));
    let is_destroyed = edit(db, &key, |stream| Ok(stream.groups.destroy(args.get(3))))?;
    let is_destroyed = is_destroyed.ok_or(CommandError::XgroupWithoutKey)?;
    if is_destroyed {
        ctx.changed_aside(key.bytes, Event::XGROUP_DESTROY);
    }
    ctx.reply.int(is_destroyed.into());
    Ok(())
}

/// XGROUP CREATECONSUMER key group consumer
pub(super) fn xgroup_createconsumer(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    edit_group(db, ctx, args, |ctx, _, mut group| {
        let is_created = group.create_consumer(args.get(4), ctx.env.now_ms).is_some();
        if is_created {
            ctx.changed_aside(args.get(2), Event::XGROUP_CREATECONSUMER);
        }
        ctx.reply.int(is_created.into());
        Ok(())
    })
}

/// XGROUP DELCONSUMER key group consumer
pub(super) fn xgroup_delconsumer(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    edit_group(db, ctx, args, |ctx, _, mut group| {
        let n_pending = group.delete_consumer(args.get(4));
        if n_pending.is_some() {
            ctx.changed_aside(args.get(2), Event::XGROUP_DELCONSUMER);
        }
        ctx.reply.count(n_pending.unwrap_or(0));
        Ok(())
    })
}

/// Lets `change` change the group of a request, which must be there.
fn edit_group(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    change: impl FnOnce(&mut Ctx, &Log, GroupMut<'_>) -> CommandResult,
) -> CommandResult {
    let key = ctx.key(args.get(2));
    let changed = edit(db, &key, |stream| {
        let Parts { log, groups } = &mut **stream;
        let group = groups.get_mut(args.get(3));
        let missing = || CommandError::NoGroup(text(args.get(3)), text(args.get(2)));
        change(ctx, log, group.ok_or_else(missing)?)
    })?;
    changed.ok_or(CommandError::XgroupWithoutKey)
}

/// The options of CREATE and SETID.
#[derive(Debug, Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    /// A group cannot have read more than there ever was.
    fn entries_read_of(&self, log: &Log) -> Option<i64> {
        self.entries_read.map(|entries_read| entries_read.min(log.entries_added() as i64))
    }

    fn parse(args: Args, is_create: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut words = args.from(5);
        while words.remaining() > 0 {
            if is_create && words.accept("MKSTREAM") {
                options.makes_stream = true;
            } else if words.remaining() > 1 && words.accept("ENTRIESREAD") {
                options.entries_read = match words.int()? {
                    -1 => None,
                    ..-1 => return Err(CommandError::EntriesReadNegative),
                    entries_read => Some(entries_read),
                };
            } else {
                return Err(CommandError::subcommand_syntax(args, "XGROUP"));
            }
        }
        Ok(options)
    }
}

/// Up to where a group is to have read; `None`: to the end.
fn parse_last_id(
    word: &[u8],
    parse: fn(&[u8], u64) -> Result<StreamId, CommandError>,
) -> Result<Option<StreamId>, CommandError> {
    if word == b"$" { Ok(None) } else { parse(word, 0).map(Some) }
}

/// XGROUP HELP
pub(super) fn xgroup_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            (
                "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <count>]",
                "Makes a group that reads from behind <id>, or from the end of the stream on.\nMKSTREAM makes an empty stream if there is none; ENTRIESREAD is for replication.",
            ),
            ("CREATECONSUMER <key> <group> <consumer>", "Makes a consumer of a group."),
            (
                "DELCONSUMER <key> <group> <consumer>",
                "Deletes a consumer with all that is pending for it.",
            ),
            ("DESTROY <key> <group>", "Deletes a group."),
            (
                "SETID <key> <group> <id|$> [ENTRIESREAD <count>]",
                "Says up to where a group has read.",
            ),
        ],
    )
}

/// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
pub(super) fn xsetid(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let id = ids::parse(args.get(2), 0)?;
    let (mut entries_added, mut max_deleted_id) = (None, StreamId::MIN);
    let mut words = args.from(3);
    while words.remaining() > 0 {
        if words.remaining() > 1 && words.accept("ENTRIESADDED") {
            let count = parse_i64(words.word()?).ok_or(CommandError::NotInteger)?;
            entries_added =
                Some(u64::try_from(count).map_err(|_| CommandError::EntriesAddedNegative)?);
        } else if words.remaining() > 1 && words.accept("MAXDELETEDID") {
            max_deleted_id = ids::parse(words.word()?, 0)?;
            if id < max_deleted_id {
                return Err(CommandError::SetIdBelowGiven);
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let key = ctx.key(args.get(1));
    let max_deleted_id = Some(max_deleted_id).filter(|id| *id != StreamId::MIN);
    let set = edit(db, &key, |stream| {
        let log = &mut stream.log;
        if id < log.max_deleted_id() {
            return Err(CommandError::SetIdBelowDeleted);
        }
        if log.last_present_id().is_some_and(|last| id < last) {
            return Err(CommandError::SetIdBelowTop);
        }
        if !log.is_empty() && entries_added.is_some_and(|count| log.len() > count) {
            return Err(CommandError::EntriesAddedTooSmall);
        }
        log.set_counters(id, entries_added, max_deleted_id);
        Ok(())
    })?;
    set.ok_or(CommandError::NoSuchKey)?;
    ctx.changed_aside(key.bytes, Event::XSETID);
    ctx.reply.ok();
    Ok(())
}

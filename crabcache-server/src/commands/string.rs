//! The string group.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, KeySpec, read, write};
use crate::notify::Event;
use crabcache_store::{ReadDb, SetExpire, Str, StrRef, WriteDb};

pub(super) const COMMANDS: &[Command] = &[
    read("get", get).arity(2).fast().keys(&[KeySpec::at(1).ro().access()]).doc(
        "1.0.0",
        "O(1)",
        "key",
        "Returns a string.",
    ),
    write("set", set)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update().variable()])
        .doc("1.0.0", "O(1)", "key value", "Sets a key to a string."),
];

/// GET key
fn get(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get_string(&ctx.key(args.get(1)))? {
        None => ctx.reply.null(),
        Some(value) => match value.get() {
            StrRef::Bytes(bytes) => ctx.reply.bulk(bytes),
            StrRef::Int(value) => ctx.reply.bulk_int(value),
        },
    }
    Ok(())
}

/// SET key value
fn set(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    db.set_string(&key, Str::encode(args.get(2)), SetExpire::To(None));
    ctx.changed(key.bytes, Event::SET);
    ctx.reply.ok();
    Ok(())
}

//! The connection group.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, server};

pub(super) const COMMANDS: &[Command] = &[server("ping", ping)
    .arity(-1)
    .fast()
    .flags(Flags::SUBSCRIBED)
    .doc("1.0.0", "O(1)", "[message]", "Tells that the server lives.")];

/// PING [message]
fn ping(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() > 1 {
        ctx.reply.bulk(args.get(1))
    } else {
        ctx.reply.pong()
    }
    Ok(())
}

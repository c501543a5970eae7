//! The connection group: PING and what a client says about its own connection.
//!
//! `auth.rs` has AUTH and HELLO, the `client*.rs` files have CLIENT.

mod auth;
mod client;
mod client_kill;
mod client_list;
mod client_tracking;

use crate::client::{ClientFlags, ReplyMode};
use crate::command::{Args, Command, CommandResult, Ctx, Flags, container, server};
use crate::error::CommandError;
use crate::{tracking, transaction};
use crabcache_resp::Protocol;

/// Flags of commands that are possible at any time.
const ANY_TIME: Flags = Flags::NOSCRIPT
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::NO_AUTH)
    .union(Flags::ALLOW_BUSY);

pub(super) const COMMANDS: &[Command] = &[
    server("auth", auth::auth).arity(-2).fast().flags(ANY_TIME).secrets(auth::is_secret).doc(
        "1.0.0",
        "O(N), N being the passwords of the user",
        "[username@6.0.0] password",
        "Authenticates the connection.",
    ),
    container("client", client::SUBCOMMANDS).doc(
        "2.4.0",
        "Depends on subcommand.",
        "",
        "Commands about client connections.",
    ),
    server("echo", echo).arity(2).fast().light().flags(Flags::LOADING.union(Flags::STALE)).doc(
        "1.0.0",
        "O(1)",
        "message",
        "Returns its argument.",
    ),
    server("hello", auth::hello)
        .arity(-1)
        .fast()
        .flags(ANY_TIME)
        .secrets(auth::is_hello_secret)
        .doc(
            "6.0.0",
            "O(1)",
            "[arguments:(protover:int [AUTH=auth:(username password)] [SETNAME=clientname])]",
            "Chooses the protocol, authenticates, and tells about the server.",
        ),
    server("ping", ping)
        .arity(-1)
        .fast()
        .light()
        .flags(Flags::SUBSCRIBED)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("1.0.0", "O(1)", "[message]", "Tells that the server lives."),
    server("quit", quit)
        .arity(-1)
        .fast()
        .flags(ANY_TIME.union(Flags::NOT_QUEUED).union(Flags::SUBSCRIBED))
        .doc("1.0.0", "O(1)", "", "Closes the connection.")
        .deprecated("7.2.0", "just closing the connection"),
    server("reset", reset)
        .arity(1)
        .fast()
        .flags(ANY_TIME.union(Flags::NOT_QUEUED).union(Flags::SUBSCRIBED))
        .doc("6.2.0", "O(1)", "", "Makes the connection as good as new."),
    server("select", select).arity(2).fast().flags(Flags::LOADING.union(Flags::STALE)).doc(
        "1.0.0",
        "O(1)",
        "index:int",
        "Selects a database.",
    ),
];

/// PING [message]
fn ping(ctx: &mut Ctx, args: Args) -> CommandResult {
    match args.len() {
        1 | 2 if ctx.client.is_subscribed_in_resp2() => {
            ctx.reply.push(2);
            ctx.reply.bulk(b"pong");
            ctx.reply.bulk(if args.len() == 2 { args.get(1) } else { b"" });
        }
        1 => ctx.reply.pong(),
        2 => ctx.reply.bulk(args.get(1)),
        _ => return Err(CommandError::Arity(ctx.row.full_name.clone())),
    }
    Ok(())
}

/// ECHO message
fn echo(ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.reply.bulk(args.get(1));
    Ok(())
}

/// SELECT index
fn select(ctx: &mut Ctx, args: Args) -> CommandResult {
    let db = ctx.db_number(args.int32(1)?)?;
    ctx.client.select(db);
    ctx.reply.ok();
    Ok(())
}

/// QUIT
fn quit(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
    ctx.reply.ok();
    Ok(())
}

/// RESET
fn reset(ctx: &mut Ctx, _: Args) -> CommandResult {
    crate::monitor::send(ctx);
    ctx.server.monitors.remove(ctx.server, ctx.client);
    transaction::end(ctx);
    ctx.server.pubsub.forget(&ctx.client.handle);
    tracking::end(ctx.server, ctx.client);
    ctx.set_protocol(Protocol::Resp2);
    let client = &mut *ctx.client;
    client.forget_watches();
    client.select(0);
    client.reply_mode = ReplyMode::On;
    let options = ClientFlags::NO_TOUCH | ClientFlags::NO_EVICT | ClientFlags::PUBSUB;
    client.set_flag(options, false);
    ctx.env.touches = true;
    // What a client library says about itself stays true.
    let user = ctx.server.users.default_user();
    client.set_user(user.clone());
    client.set_flag(ClientFlags::NEEDS_AUTH, !user.is_open());
    client.handle.names.lock().name.clear();
    ctx.reply.status("RESET");
    Ok(())
}

#[cfg(test)]
mod tests;

//! CLIENT, but for its listing and killing of clients.

use super::{client_kill, client_list, client_tracking as tracking};
use crate::blocking::{Unblock, WaitKind};
use crate::client::{Client, ClientFlags, ReplyMode};
use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::error::{self, CommandError};
use crabcache_resp::number::parse_i64;

const FLAGS: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ADMIN: Flags = FLAGS.union(Flags::ADMIN);

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("caching", tracking::caching).arity(3).flags(FLAGS).doc(
        "6.0.0",
        "O(1)",
        "mode:{YES | NO}",
        "Chooses whether the keys of the next command are tracked.",
    ),
    server("getredir", tracking::getredir).arity(2).flags(FLAGS).doc(
        "6.0.0",
        "O(1)",
        "",
        "Returns the client that gets the invalidations of this one.",
    ),
    server("tracking", tracking::tracking).arity(-3).flags(FLAGS).doc(
        "6.0.0",
        "O(1); some more for each prefix",
        "status:{ON | OFF} [REDIRECT=client-id:int] [PREFIX=prefix...!] [BCAST] [OPTIN] [OPTOUT] \
         [NOLOOP]",
        "Has the connection told when keys change that it has read.",
    ),
    server("trackinginfo", tracking::trackinginfo).arity(2).flags(FLAGS).doc(
        "6.2.0",
        "O(1)",
        "",
        "Returns how keys are tracked for this connection.",
    ),
    server("getname", getname).arity(2).flags(FLAGS).doc(
        "2.6.9",
        "O(1)",
        "",
        "Returns the connection's name.",
    ),
    server("help", client_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Lists the subcommands.",
    ),
    server("id", id).arity(2).flags(FLAGS).doc("5.0.0", "O(1)", "", "Returns the connection's id."),
    server("info", client_list::info).arity(2).flags(FLAGS).tips(&["nondeterministic_output"]).doc(
        "6.2.0",
        "O(1)",
        "",
        "Describes the connection.",
    ),
    server("kill", client_kill::kill).arity(-3).flags(ADMIN).doc(
        "2.4.0",
        "O(N), N being the client connections",
        "filter:{old-format\"ip:port\"@-2.8.12 | new-format:{[ID=client-id:int@2.8.12] | \
         [TYPE=client-type:{NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB}@2.8.12] | \
         [USER=username] | [ADDR=addr\"ip:port\"] | [LADDR=laddr\"ip:port\"@6.2.0] | \
         [SKIPME=skipme:{YES | NO}] | [MAXAGE=maxage:int@7.4.0]}...}",
        "Closes connections.",
    ),
    server("list", client_list::list)
        .arity(-2)
        .flags(ADMIN)
        .tips(&["nondeterministic_output"])
        .doc(
            "2.4.0",
            "O(N), N being the client connections",
            "[TYPE=client-type:{NORMAL | MASTER | REPLICA | PUBSUB}@5.0.0] \
             [ID=client-id:int@6.2.0...]",
            "Describes connections.",
        ),
    server("no-evict", no_evict).arity(3).flags(ADMIN).doc(
        "7.0.0",
        "O(1)",
        "enabled:{ON | OFF}",
        "Spares the connection when clients are evicted.",
    ),
    server("no-touch", no_touch).arity(3).flags(FLAGS).doc(
        "7.2.0",
        "O(1)",
        "enabled:{ON | OFF}",
        "Chooses whether the connection's commands count as uses of keys.",
    ),
    server("pause", pause).arity(-3).flags(ADMIN).doc(
        "3.0.0",
        "O(1)",
        "timeout:int [mode:{WRITE | ALL}@6.2.0]",
        "Holds commands back for a while.",
    ),
    server("reply", reply).arity(3).flags(FLAGS).doc(
        "3.2.0",
        "O(1)",
        "action:{ON | OFF | SKIP}",
        "Chooses whether commands are answered.",
    ),
    server("setinfo", setinfo)
        .arity(4)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc(
            "7.2.0",
            "O(1)",
            "attr:{LIB-NAME=libname | LIB-VER=libver}",
            "Says which client library this is.",
        ),
    server("setname", setname)
        .arity(3)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("2.6.9", "O(1)", "connection-name", "Names the connection."),
    server("unblock", unblock).arity(-3).flags(ADMIN).doc(
        "5.0.0",
        "O(log N), N being the client connections",
        "client-id:int [unblock-type:{TIMEOUT | ERROR}]",
        "Ends the wait of a client that is blocked in a command.",
    ),
    server("unpause", unpause).arity(2).flags(ADMIN).doc(
        "6.2.0",
        "O(N), N being the paused clients",
        "",
        "Ends CLIENT PAUSE.",
    ),
];

/// CLIENT GETNAME
fn getname(ctx: &mut Ctx, _: Args) -> CommandResult {
    let names = ctx.client.handle.names.lock();
    match names.name.as_str() {
        "" => ctx.reply.null(),
        name => ctx.reply.bulk(name.as_bytes()),
    }
    Ok(())
}

/// CLIENT HELP
fn client_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("CACHING (YES|NO)", "Choose whether the keys of the next command are tracked."),
            ("GETREDIR", "Return the ID of the client that gets the invalidations."),
            ("GETNAME", "Return the name of this connection."),
            ("ID", "Return the ID of this connection."),
            ("INFO", "Describe this connection."),
            ("KILL <ip:port>", "Close the connection from <ip:port>."),
            (
                "KILL <option> <value> [<option> <value> [...]]",
                "Close all connections that every option fits:\n\
                 * ADDR (<ip:port>|<unixsocket>:0): made from this address.\n\
                 * LADDR (<ip:port>|<unixsocket>:0): made to this address.\n\
                 * TYPE (NORMAL|MASTER|REPLICA|PUBSUB): of this type.\n\
                 * USER <username>: authenticated as this user.\n\
                 * SKIPME (YES|NO): whether to spare this connection (default: yes).\n\
                 * ID <client-id>: with this ID.\n\
                 * MAXAGE <maxage>: older than so many seconds.",
            ),
            (
                "LIST [options ...]",
                "Describe all connections, or those that an option fits:\n\
                 * TYPE (NORMAL|MASTER|REPLICA|PUBSUB): of this type.\n\
                 * ID <client-id> [<client-id> ...]: with one of these IDs.",
            ),
            ("UNPAUSE", "End a pause."),
            (
                "PAUSE <timeout> [WRITE|ALL]",
                "Hold back all commands, or those that write, for <timeout> milliseconds.",
            ),
            ("REPLY (ON|OFF|SKIP)", "Choose whether commands of this connection are answered."),
            ("SETNAME <name>", "Name this connection."),
            (
                "SETINFO <option> <value>",
                "Describe the client library of this connection:\n\
                 * LIB-NAME: its name.\n\
                 * LIB-VER: its version.",
            ),
            (
                "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] \
                 [OPTIN] [OPTOUT] [NOLOOP]",
                "Have this connection told when keys change that it has read.",
            ),
            ("TRACKINGINFO", "Return how keys are tracked for this connection."),
            ("UNBLOCK <clientid> [TIMEOUT|ERROR]", "End the wait of a blocked client."),
            ("NO-EVICT (ON|OFF)", "Spare this connection when clients are evicted."),
            ("NO-TOUCH (ON|OFF)", "Leave access clocks of keys alone."),
        ],
    )
}

/// CLIENT ID
fn id(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.int(ctx.client.handle.id as i64);
    Ok(())
}

fn on_or_off(args: Args) -> Result<bool, CommandError> {
    match (args.is(2, "on"), args.is(2, "off")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

/// CLIENT NO-EVICT ON | OFF
fn no_evict(ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.client.set_flag(ClientFlags::NO_EVICT, on_or_off(args)?);
    ctx.reply.ok();
    Ok(())
}

/// CLIENT NO-TOUCH ON | OFF
fn no_touch(ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_on = on_or_off(args)?;
    ctx.client.set_flag(ClientFlags::NO_TOUCH, is_on);
    ctx.env.touches = !is_on;
    ctx.reply.ok();
    Ok(())
}

/// CLIENT PAUSE timeout [WRITE | ALL]
fn pause(ctx: &mut Ctx, args: Args) -> CommandResult {
    let all = match args.len() {
        3 => true,
        4 if args.is(3, "write") => false,
        4 if args.is(3, "all") => true,
        4 => return Err(CommandError::PauseMode),
        _ => return Err(CommandError::subcommand_syntax(args, "CLIENT")),
    };
    let now_ms = ctx.env.now_ms;
    let until_ms = args.deadline_ms(2, now_ms)?.unwrap_or(0);
    ctx.server.conditions.pause(until_ms, all, now_ms);
    ctx.reply.ok();
    Ok(())
}

/// CLIENT UNPAUSE
fn unpause(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.server.unpause();
    ctx.reply.ok();
    Ok(())
}

/// CLIENT REPLY ON | OFF | SKIP
fn reply(ctx: &mut Ctx, args: Args) -> CommandResult {
    let mode = &mut ctx.client.reply_mode;
    if args.is(2, "on") {
        *mode = ReplyMode::On;
        ctx.reply.ok();
    } else if args.is(2, "off") {
        *mode = ReplyMode::Off;
    } else if args.is(2, "skip") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

/// CLIENT SETINFO LIB-NAME libname | LIB-VER libver
fn setinfo(ctx: &mut Ctx, args: Args) -> CommandResult {
    let (is_name, is_version) = (args.is(2, "lib-name"), args.is(2, "lib-ver"));
    let attribute = || error::shown(args.get(2));
    if !is_name && !is_version {
        return Err(CommandError::UnrecognizedOption(attribute()));
    }
    let value = listable(args.get(3)).ok_or_else(|| CommandError::ClientAttribute(attribute()))?;
    let mut names = ctx.client.handle.names.lock();
    if is_name {
        names.lib_name = value;
    } else {
        names.lib_ver = value;
    }
    ctx.reply.ok();
    Ok(())
}

/// CLIENT SETNAME connection-name
fn setname(ctx: &mut Ctx, args: Args) -> CommandResult {
    set_name(ctx.client, args.get(2))?;
    ctx.reply.ok();
    Ok(())
}

/// Names a client; an empty name is none.
pub(super) fn set_name(client: &mut Client, name: &[u8]) -> CommandResult {
    client.handle.names.lock().name = listable(name).ok_or(CommandError::ClientName)?;
    Ok(())
}

/// Whether this can be a client's name.
pub(super) fn check_name(name: &[u8]) -> CommandResult {
    listable(name).map(|_| ()).ok_or(CommandError::ClientName)
}

/// The text, if it can stand in a line of CLIENT LIST, which is split at spaces.
fn listable(text: &[u8]) -> Option<String> {
    let is_listable = text.iter().all(u8::is_ascii_graphic);
    is_listable.then(|| String::from_utf8_lossy(text).into_owned())
}

/// CLIENT UNBLOCK client-id [TIMEOUT | ERROR]
fn unblock(ctx: &mut Ctx, args: Args) -> CommandResult {
    let with_error = match args.len() {
        3 => false,
        4 if args.is(3, "timeout") => false,
        4 if args.is(3, "error") => true,
        4 => return Err(CommandError::UnblockReason),
        _ => return Err(CommandError::subcommand_syntax(args, "CLIENT")),
    };
    let id = parse_i64(args.get(2)).ok_or(CommandError::NotInteger)?;
    let client = u64::try_from(id).ok().and_then(|id| ctx.server.clients.get(id));
    let unblocked = client.filter(|client| client.end_wait(WaitKind::may_time_out));
    if let Some(client) = &unblocked {
        let how = if with_error { Unblock::WithError } else { Unblock::Ended };
        client.post(|mail| mail.unblock = Some(how));
    }
    ctx.reply.int(i64::from(unblocked.is_some()));
    Ok(())
}

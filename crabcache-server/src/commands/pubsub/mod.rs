//! The pubsub group: channels, patterns and shard channels. How messages are delivered stands in
//! `crate::pubsub`.

use crate::acl;
use crate::client::ClientFlags;
use crate::command::{
    Args, Channels, Command, CommandResult, Ctx, Flags, KeySpec, container, help, server,
};
use crate::error::CommandError;
use crate::pubsub::{self, Kind};
use crabcache_store::algorithms::glob::{self, Case};

const FLAGS: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);
/// Subscribing and unsubscribing.
const SUBSCRIBING: Flags =
    FLAGS.union(Flags::NOSCRIPT).union(Flags::SUBSCRIBED).union(Flags::PUSHES);
const PUBLISHING: Flags = FLAGS.union(Flags::MAY_REPLICATE);

pub(super) const COMMANDS: &[Command] = &[
    server("psubscribe", psubscribe).arity(-2).flags(SUBSCRIBING).channels(Channels::PATTERNS).doc(
        "2.0.0",
        "O(N), N being the patterns",
        "pattern:pattern...",
        "Subscribes to all channels whose names match.",
    ),
    server("publish", publish).arity(3).fast().flags(PUBLISHING).channels(Channels::FIRST).doc(
        "2.0.0",
        "O(N+M), N being the channel's subscribers and M all patterns",
        "channel message",
        "Sends a message to a channel.",
    ),
    container("pubsub", PUBSUB_SUBCOMMANDS).doc(
        "2.8.0",
        "Depends on subcommand.",
        "",
        "Commands about channels and their subscribers.",
    ),
    server("punsubscribe", punsubscribe).arity(-1).flags(SUBSCRIBING).doc(
        "2.0.0",
        "O(N), N being the patterns",
        "[pattern:pattern...]",
        "Ends subscriptions to patterns.",
    ),
    server("spublish", spublish)
        .arity(3)
        .fast()
        .flags(PUBLISHING)
        .channels(Channels::FIRST)
        .keys(&[KeySpec::at(1).not_key()])
        .doc(
            "7.0.0",
            "O(N), N being the channel's subscribers",
            "shardchannel message",
            "Sends a message to a shard channel.",
        ),
    server("ssubscribe", ssubscribe)
        .arity(-2)
        .flags(SUBSCRIBING)
        .channels(Channels::ALL)
        .keys(&[KeySpec::at(1).range(-1, 1).not_key()])
        .doc(
            "7.0.0",
            "O(N), N being the channels",
            "shardchannel...",
            "Subscribes to shard channels.",
        ),
    server("subscribe", subscribe).arity(-2).flags(SUBSCRIBING).channels(Channels::ALL).doc(
        "2.0.0",
        "O(N), N being the channels",
        "channel...",
        "Subscribes to channels.",
    ),
    server("sunsubscribe", sunsubscribe)
        .arity(-1)
        .flags(SUBSCRIBING)
        .keys(&[KeySpec::at(1).range(-1, 1).not_key()])
        .doc(
            "7.0.0",
            "O(N), N being the channels",
            "[shardchannel...]",
            "Ends subscriptions to shard channels.",
        ),
    server("unsubscribe", unsubscribe).arity(-1).flags(SUBSCRIBING).doc(
        "2.0.0",
        "O(N), N being the channels",
        "[channel...]",
        "Ends subscriptions to channels.",
    ),
];

const PUBSUB_SUBCOMMANDS: &[Command] = &[
    server("channels", pubsub_channels).arity(-2).flags(FLAGS).doc(
        "2.8.0",
        "O(N), N being all channels",
        "[pattern:pattern]",
        "Lists the channels that have subscribers.",
    ),
    server("help", pubsub_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "6.2.0",
        "O(1)",
        "",
        "Lists the subcommands of PUBSUB.",
    ),
    server("numpat", pubsub_numpat).arity(2).flags(FLAGS).doc(
        "2.8.0",
        "O(1)",
        "",
        "Counts the patterns that have subscribers.",
    ),
    server("numsub", pubsub_numsub).arity(-2).flags(FLAGS).doc(
        "2.8.0",
        "O(N), N being the channels",
        "[channel...]",
        "Counts the subscribers of channels.",
    ),
    server("shardchannels", pubsub_shardchannels).arity(-2).flags(FLAGS).doc(
        "7.0.0",
        "O(N), N being all shard channels",
        "[pattern:pattern]",
        "Lists the shard channels that have subscribers.",
    ),
    server("shardnumsub", pubsub_shardnumsub).arity(-2).flags(FLAGS).doc(
        "7.0.0",
        "O(N), N being the channels",
        "[shardchannel...]",
        "Counts the subscribers of shard channels.",
    ),
];

/// SUBSCRIBE channel [channel ...]
fn subscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    subscribe_to(ctx, args, Kind::Channel, "subscribe");
    Ok(())
}

/// PSUBSCRIBE pattern [pattern ...]
fn psubscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    subscribe_to(ctx, args, Kind::Pattern, "psubscribe");
    Ok(())
}

/// SSUBSCRIBE shardchannel [shardchannel ...]
fn ssubscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    // Compat: transactions may hold the other two, which are older.
    if ctx.in_exec {
        return Err(CommandError::ShardSubscribeInTransaction);
    }
    subscribe_to(ctx, args, Kind::ShardChannel, "ssubscribe");
    Ok(())
}

fn subscribe_to(ctx: &mut Ctx, args: Args, kind: Kind, event: &str) {
    for name in args.from(1) {
        let n_subscribed = pubsub::subscribe(ctx.server, ctx.client, kind, name);
        confirm(ctx, event, Some(name), n_subscribed);
    }
    // Whoever has taken channels away from the user meanwhile may have looked too early.
    let user = &ctx.client.user;
    if user.is_restricted() && acl::check(user, ctx.row, args).is_err() {
        ctx.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
    }
}

/// UNSUBSCRIBE [channel [channel ...]]
fn unsubscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    unsubscribe_from(ctx, args, Kind::Channel, "unsubscribe");
    Ok(())
}

/// PUNSUBSCRIBE [pattern [pattern ...]]
fn punsubscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    unsubscribe_from(ctx, args, Kind::Pattern, "punsubscribe");
    Ok(())
}

/// SUNSUBSCRIBE [shardchannel [shardchannel ...]]
fn sunsubscribe(ctx: &mut Ctx, args: Args) -> CommandResult {
    unsubscribe_from(ctx, args, Kind::ShardChannel, "sunsubscribe");
    Ok(())
}

fn unsubscribe_from(ctx: &mut Ctx, args: Args, kind: Kind, event: &str) {
    let all;
    let names: Vec<&[u8]> = if args.len() > 1 {
        args.from(1).collect()
    } else {
        all = pubsub::names_of(&ctx.client.handle, kind);
        all.iter().map(|name| &**name).collect()
    };
    for name in &names {
        let n_left = pubsub::unsubscribe(ctx.server, ctx.client, kind, name);
        confirm(ctx, event, Some(name), n_left);
    }
    if names.is_empty() {
        let n_left = pubsub::n_told(&ctx.client.handle, kind);
        confirm(ctx, event, None, n_left);
    }
    // The last messages of the channels come before the confirmations: afterwards the client may
    // take whatever comes for a reply.
    ctx.send_pushed();
}

fn confirm(ctx: &mut Ctx, event: &str, name: Option<&[u8]>, n_subscribed: usize) {
    ctx.reply.push(3);
    ctx.reply.bulk(event.as_bytes());
    match name {
        Some(name) => ctx.reply.bulk(name),
        None => ctx.reply.null(),
    }
    ctx.reply.count(n_subscribed);
}

/// PUBLISH channel message
fn publish(ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_receivers = pubsub::publish(ctx.server, false, args.get(1), args.get(2));
    ctx.propagate_message(args);
    ctx.reply.count(n_receivers);
    Ok(())
}

/// SPUBLISH shardchannel message
fn spublish(ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_receivers = pubsub::publish(ctx.server, true, args.get(1), args.get(2));
    ctx.propagate_message(args);
    ctx.reply.count(n_receivers);
    Ok(())
}

/// PUBSUB CHANNELS [pattern]
fn pubsub_channels(ctx: &mut Ctx, args: Args) -> CommandResult {
    list_channels(ctx, args, false)
}

/// PUBSUB SHARDCHANNELS [pattern]
fn pubsub_shardchannels(ctx: &mut Ctx, args: Args) -> CommandResult {
    list_channels(ctx, args, true)
}

fn list_channels(ctx: &mut Ctx, args: Args, is_shard: bool) -> CommandResult {
    let pattern = match args.len() {
        2 => None,
        3 => Some(args.get(2)),
        _ => return Err(CommandError::subcommand_syntax(args, "PUBSUB")),
    };
    let (array, mut n_channels) = (ctx.reply.deferred(), 0);
    ctx.server.pubsub.for_each_channel(is_shard, |name| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, name, Case::Sensitive)) {
            ctx.reply.bulk(name);
            n_channels += 1;
        }
    });
    ctx.reply.end_array(array, n_channels);
    Ok(())
}

/// PUBSUB NUMPAT
fn pubsub_numpat(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.count(ctx.server.pubsub.len(Kind::Pattern));
    Ok(())
}

/// PUBSUB NUMSUB [channel [channel ...]]
fn pubsub_numsub(ctx: &mut Ctx, args: Args) -> CommandResult {
    count_subscribers(ctx, args, false)
}

/// PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]
fn pubsub_shardnumsub(ctx: &mut Ctx, args: Args) -> CommandResult {
    count_subscribers(ctx, args, true)
}

fn count_subscribers(ctx: &mut Ctx, args: Args, is_shard: bool) -> CommandResult {
    ctx.reply.array((args.len() - 2) * 2);
    for channel in args.from(2) {
        ctx.reply.bulk(channel);
        ctx.reply.count(ctx.server.pubsub.n_subscribers(is_shard, channel));
    }
    Ok(())
}

/// PUBSUB HELP
fn pubsub_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            (
                "CHANNELS [<pattern>]",
                "List the channels that have subscribers, or those that match <pattern>.",
            ),
            ("NUMPAT", "Count the patterns that have subscribers."),
            (
                "NUMSUB [<channel> ...]",
                "Count the subscribers of each channel,\nthose of patterns left aside.",
            ),
            (
                "SHARDCHANNELS [<pattern>]",
                "List the shard channels that have subscribers, or those that match <pattern>.",
            ),
            ("SHARDNUMSUB [<shardchannel> ...]", "Count the subscribers of each shard channel."),
        ],
    )
}

#[cfg(test)]
mod tests;

//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO. How keys are tracked stands in
//! `crate::tracking`.

use crate::client::ClientFlags;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, TrackingError};
use crate::tracking::{self, Options};
use crabcache_resp::number::parse_i64;
use std::sync::atomic::Ordering;

/// CLIENT TRACKING ON | OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN]
/// [OPTOUT] [NOLOOP]
pub(super) fn tracking(ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = parse(ctx, args)?;
    if args.is(2, "on") {
        check(ctx, &options)?;
        tracking::begin(ctx.server, ctx.client, &options);
    } else if args.is(2, "off") {
        tracking::end(ctx.server, ctx.client);
    } else {
        return Err(CommandError::Syntax);
    }
    ctx.reply.ok();
    Ok(())
}

fn parse<'a>(ctx: &Ctx, args: Args<'a>) -> Result<Options<'a>, CommandError> {
    const FLAGS: [(&str, ClientFlags); 4] = [
        ("bcast", ClientFlags::TRACKING_BCAST),
        ("optin", ClientFlags::TRACKING_OPTIN),
        ("optout", ClientFlags::TRACKING_OPTOUT),
        ("noloop", ClientFlags::TRACKING_NOLOOP),
    ];
    let mut options = Options { flags: ClientFlags::empty(), ..Options::default() };
    let mut words = args.from(3);
    while words.remaining() > 0 {
        if words.remaining() > 1 && words.accept("redirect") {
            if options.redirect != 0 {
                return Err(TrackingError::TwoRedirections.into());
            }
            let id = parse_i64(words.word()?).ok_or(CommandError::NotInteger)?;
            options.redirect = u64::try_from(id)
                .ok()
                .filter(|id| ctx.server.clients.get(*id).is_some())
                .ok_or(TrackingError::NoRedirectClient)?;
        } else if words.remaining() > 1 && words.accept("prefix") {
            options.prefixes.push(words.word()?);
        } else {
            let flag = FLAGS.iter().find(|(name, _)| words.accept(name));
            options.flags |= flag.ok_or(CommandError::Syntax)?.1;
        }
    }
    Ok(options)
}

/// Whether the options fit together, and with what the client has chosen before.
fn check(ctx: &Ctx, options: &Options<'_>) -> CommandResult {
    let (new, old) = (options.flags, ctx.client.flags);
    let is_bcast = new.contains(ClientFlags::TRACKING_BCAST);
    let (optin, optout) = (ClientFlags::TRACKING_OPTIN, ClientFlags::TRACKING_OPTOUT);
    if !is_bcast && !options.prefixes.is_empty() {
        return Err(TrackingError::PrefixWithoutBcast.into());
    }
    if old.contains(ClientFlags::TRACKING) && old.contains(ClientFlags::TRACKING_BCAST) != is_bcast
    {
        return Err(TrackingError::CannotSwitchBcast.into());
    }
    if is_bcast && new.intersects(optin | optout) {
        return Err(TrackingError::OptionWithBcast.into());
    }
    if new.contains(optin | optout) {
        return Err(TrackingError::OptinAndOptout.into());
    }
    if (new.contains(optin) && old.contains(optout))
        || (new.contains(optout) && old.contains(optin))
    {
        return Err(TrackingError::CannotSwitchOptin.into());
    }
    if is_bcast {
        tracking::check_prefixes(ctx.server, ctx.client, &options.prefixes)?;
    }
    Ok(())
}

/// CLIENT CACHING YES | NO
pub(super) fn caching(ctx: &mut Ctx, args: Args) -> CommandResult {
    let flags = ctx.client.flags;
    if !flags.contains(ClientFlags::TRACKING) {
        return Err(TrackingError::CachingWithoutTracking.into());
    }
    if args.is(2, "yes") {
        if !flags.contains(ClientFlags::TRACKING_OPTIN) {
            return Err(TrackingError::CachingWithoutOptin.into());
        }
    } else if args.is(2, "no") {
        if !flags.contains(ClientFlags::TRACKING_OPTOUT) {
            return Err(TrackingError::CachingWithoutOptout.into());
        }
    } else {
        return Err(CommandError::Syntax);
    }
    ctx.client.set_flag(ClientFlags::TRACKING_CACHING, true);
    ctx.reply.ok();
    Ok(())
}

/// CLIENT GETREDIR
pub(super) fn getredir(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.int(ctx.client.handle.redirect_shown());
    Ok(())
}

/// CLIENT TRACKINGINFO
pub(super) fn trackinginfo(ctx: &mut Ctx, _: Args) -> CommandResult {
    let flags = ctx.client.flags;
    let has = |flag| flags.contains(flag);
    let is_chosen = has(ClientFlags::TRACKING_CACHING);
    let is_on = has(ClientFlags::TRACKING);
    let is_broken = ctx.client.handle.is_redirect_broken.load(Ordering::Relaxed);
    let facts = [
        (is_on, "on"),
        (!is_on, "off"),
        (has(ClientFlags::TRACKING_BCAST), "bcast"),
        (has(ClientFlags::TRACKING_OPTIN), "optin"),
        (has(ClientFlags::TRACKING_OPTIN) && is_chosen, "caching-yes"),
        (has(ClientFlags::TRACKING_OPTOUT), "optout"),
        (has(ClientFlags::TRACKING_OPTOUT) && is_chosen, "caching-no"),
        (has(ClientFlags::TRACKING_NOLOOP), "noloop"),
        (is_broken, "broken_redirect"),
    ];
    let reply = &mut ctx.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(facts.iter().filter(|(is_so, _)| *is_so).count());
    facts.iter().filter(|(is_so, _)| *is_so).for_each(|(_, name)| reply.bulk(name.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(ctx.client.handle.redirect_shown());
    let prefixes = ctx.server.tracking.prefixes_of(ctx.client.handle.id);
    reply.bulk(b"prefixes");
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    Ok(())
}

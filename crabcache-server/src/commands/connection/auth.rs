//! AUTH and HELLO.

use super::client::set_name;
use crate::acl::{Context, DEFAULT_USER, Incident, Reason};
use crate::client::ClientFlags;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{self, CommandError};
use crate::start::arguments::REDIS_VERSION;
use crabcache_resp::Protocol;
use crabcache_resp::number::parse_i64;

/// Compat: an AUTH with too many words is shown as it is.
pub(super) fn is_secret(args: Args, index: usize) -> bool {
    index > 0 && args.len() <= 3
}

/// The two words after AUTH.
pub(super) fn is_hello_secret(args: Args, index: usize) -> bool {
    let mut option = 2;
    while option < args.len() {
        if args.is(option, "AUTH") {
            if (option + 1..=option + 2).contains(&index) {
                return true;
            }
            option += 3;
        } else {
            option += 2;
        }
    }
    false
}

/// AUTH [username] password
pub(super) fn auth(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if args.len() == 2 {
        if ctx.server.users.default_user().is_nopass() {
            return Err(CommandError::NoPasswordConfigured);
        }
        authenticate(ctx, args, DEFAULT_USER.as_bytes(), args.get(1))?;
    } else {
        authenticate(ctx, args, args.get(1), args.get(2))?;
    }
    ctx.reply.ok();
    Ok(())
}

/// `words` are the request, whose first one is noted if this fails.
fn authenticate(ctx: &mut Ctx, words: Args, name: &[u8], password: &[u8]) -> CommandResult {
    match ctx.server.users.authenticate(name, password) {
        Ok(user) => {
            ctx.client.set_user(user);
            ctx.client.set_flag(ClientFlags::NEEDS_AUTH, false);
            Ok(())
        }
        Err(error) => {
            let (reason, context) = (Reason::Auth, Context::of(ctx));
            let incident = Incident { reason, context, object: words.get(0), username: name };
            ctx.server.acl_log.note(ctx, incident);
            Err(error)
        }
    }
}

/// HELLO [protover [AUTH username password] [SETNAME clientname]]
pub(super) fn hello(ctx: &mut Ctx, args: Args) -> CommandResult {
    let protocol = match (args.len() > 1).then(|| parse_i64(args.get(1))) {
        None => None,
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return Err(CommandError::ProtocolVersion),
        Some(None) => return Err(CommandError::ProtocolVersionNotInteger),
    };
    let (mut credentials, mut name) = (None, None);
    let mut index = 2;
    while index < args.len() {
        let n_values = args.len() - index - 1;
        if args.is(index, "AUTH") && n_values >= 2 {
            credentials = Some((args.get(index + 1), args.get(index + 2)));
            index += 3;
        } else if args.is(index, "SETNAME") && n_values >= 1 {
            name = Some(args.get(index + 1));
            super::client::check_name(args.get(index + 1))?;
            index += 2;
        } else {
            let option = error::shown(args.get(index));
            return Err(CommandError::HelloOption(option));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(ctx, args, user, password)?;
    }
    if ctx.client.flags.contains(ClientFlags::NEEDS_AUTH) {
        return Err(CommandError::HelloNotAuthenticated);
    }
    if let Some(name) = name {
        set_name(ctx.client, name)?;
    }
    if let Some(protocol) = protocol {
        ctx.set_protocol(protocol);
    }
    introduce(ctx);
    Ok(())
}

fn introduce(ctx: &mut Ctx) {
    let reply = &mut ctx.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(ctx.client.protocol.number());
    reply.bulk(b"id");
    reply.int(ctx.client.handle.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

//! CLIENT LIST and CLIENT INFO.

use crate::client::{ClientHandle, ClientType, Running, describe};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{self, CommandError};
use crabcache_resp::number::parse_i64;

/// CLIENT INFO
pub(super) fn info(ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut text = String::new();
    append(&mut text, ctx, args, &ctx.client.handle);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// CLIENT LIST [TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id [client-id ...]]
pub(super) fn list(ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut text = String::new();
    let clients = &ctx.server.clients;
    if args.len() == 2 {
        clients.for_each(|client| append(&mut text, ctx, args, client));
    } else if args.len() == 4 && args.is(2, "type") {
        let wanted = client_type(args.get(3))?;
        clients.for_each(|client| {
            if client.client_type() == wanted {
                append(&mut text, ctx, args, client);
            }
        });
    } else if args.len() > 3 && args.is(2, "id") {
        for word in args.from(3) {
            let id = parse_i64(word).ok_or(CommandError::InvalidClientId)?;
            if let Some(client) = u64::try_from(id).ok().and_then(|id| clients.get(id)) {
                append(&mut text, ctx, args, &client);
            }
        }
    } else {
        return Err(CommandError::Syntax);
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The type of client of this name.
pub(super) fn client_type(name: &[u8]) -> Result<ClientType, CommandError> {
    ClientType::by_name(name).ok_or_else(|| CommandError::UnknownClientType(error::shown(name)))
}

fn append(text: &mut String, ctx: &Ctx, args: Args, client: &ClientHandle) {
    let running = if client.id == ctx.client.handle.id {
        Running { args_bytes: args.bytes(), output_bytes: ctx.reply.len() }
    } else {
        Running::default()
    };
    text.push_str(&describe(ctx.server, client, running));
    text.push('\n');
}

//! CLIENT KILL.

use super::client_list::client_type;
use crate::client::{ClientFlags, ClientHandle, ClientType};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{self, CommandError};
use crabcache_resp::number::parse_i64;

/// Which clients are meant: those that fit in every respect.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    client_type: Option<ClientType>,
    user: Option<&'a [u8]>,
    age_s_min: Option<i64>,
    /// A client that is spared.
    skipped_id: Option<u64>,
}

impl<'a> Filter<'a> {
    /// Reads the new form: pairs of an option and its value.
    fn parse(ctx: &Ctx, args: Args<'a>) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter { skipped_id: Some(ctx.client.handle.id), ..Filter::default() };
        let mut words = args.from(2);
        while words.remaining() > 1 {
            if words.accept("id") {
                let id = parse_i64(words.word()?).and_then(|id| u64::try_from(id).ok());
                let id = id.filter(|id| *id > 0);
                filter.id = Some(id.ok_or(CommandError::ClientIdOutOfRange)?);
            } else if words.accept("maxage") {
                let age_s = parse_i64(words.word()?).ok_or(CommandError::MaxAgeNotInteger)?;
                filter.age_s_min = Some(age_s)
                    .filter(|age_s| *age_s > 0)
                    .ok_or(CommandError::MaxAgeOutOfRange)?
                    .into();
            } else if words.accept("type") {
                filter.client_type = Some(client_type(words.word()?)?);
            } else if words.accept("addr") {
                filter.addr = Some(words.word()?);
            } else if words.accept("laddr") {
                filter.laddr = Some(words.word()?);
            } else if words.accept("user") {
                let name = words.word()?;
                if ctx.server.users.get(name).is_none() {
                    let name = error::shown(name);
                    return Err(CommandError::NoSuchUser(name));
                }
                filter.user = Some(name);
            } else if words.accept("skipme") {
                filter.skipped_id = if words.accept("yes") {
                    Some(ctx.client.handle.id)
                } else if words.accept("no") {
                    None
                } else {
                    return Err(CommandError::Syntax);
                };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if words.remaining() == 0 { Ok(filter) } else { Err(CommandError::Syntax) }
    }

    fn fits(&self, client: &ClientHandle, now_ms: i64) -> bool {
        let age_s = now_ms / 1000 - client.connected_ms / 1000;
        self.id.is_none_or(|id| client.id == id)
            && self.addr.is_none_or(|addr| client.peer.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| client.peer.laddr.as_bytes() == laddr)
            && self.client_type.is_none_or(|wanted| client.client_type() == wanted)
            && self.age_s_min.is_none_or(|age_s_min| age_s >= age_s_min)
            && self.skipped_id.is_none_or(|id| client.id != id)
            && self.user.is_none_or(|user| *client.names.lock().user.name == *user)
    }
}

/// CLIENT KILL addr | option value [option value ...]
pub(super) fn kill(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() == 3 {
        let filter = Filter { addr: Some(args.get(2)), ..Filter::default() };
        if kill_all(ctx, &filter) == 0 {
            return Err(CommandError::NoSuchClient);
        }
        ctx.reply.ok();
    } else {
        let filter = Filter::parse(ctx, args)?;
        let n_killed = kill_all(ctx, &filter);
        ctx.reply.count(n_killed);
    }
    Ok(())
}

/// Ends the connections that fit; the caller's own once it has the reply. Returns how many.
fn kill_all(ctx: &mut Ctx, filter: &Filter) -> usize {
    let mut clients = ctx.server.clients.all();
    clients.retain(|client| filter.fits(client, ctx.env.now_ms));
    for client in &clients {
        if client.id == ctx.client.handle.id {
            ctx.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
        } else {
            ctx.server.clients.kill(ctx.server, client);
        }
    }
    clients.len()
}

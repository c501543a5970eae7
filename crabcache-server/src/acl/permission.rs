//! Whether a request may run: the check of the dispatcher, of EXEC, of scripts and of ACL DRYRUN.
//!
//! All of a request must be allowed by one selector. What is wrong with it is told by the selector
//! that came furthest.

use super::log::{Context, Incident};
use super::patterns::Access;
use super::selector::Selector;
use super::user::{Rules, User};
use crate::client::ClientFlags;
use crate::command::keys::keys_of;
use crate::command::{Args, CommandRow, Ctx, Flags, KeyFlags};
use crate::error::{CommandError, no_access};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What a user may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Call the command.
    Command,
    /// Use a key, or so.
    Key,
    /// Authenticate with these words.
    Auth,
    /// Use a channel.
    Channel,
}

impl Reason {
    /// The word of ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Auth => "auth",
            Reason::Channel => "channel",
        }
    }
}

/// Why a request may not run. What is greater came further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denied {
    /// What is not allowed.
    pub reason: Reason,
    /// The word that it is about.
    pub index: usize,
}

impl Denied {
    /// The error that tells a client.
    pub fn error(self, user: &User, row: &CommandRow) -> CommandError {
        match self.reason {
            Reason::Command | Reason::Auth => {
                CommandError::NoPermission(user.shown_name(), row.original_name().to_string())
            }
            Reason::Key => CommandError::NoKeyPermission,
            Reason::Channel => CommandError::NoChannelPermission,
        }
    }

    /// The same with the name of the key or channel: for administrators alone.
    pub fn details(self, user: &User, row: &CommandRow, args: Args<'_>) -> Vec<u8> {
        match self.reason {
            Reason::Command | Reason::Auth => self.error(user, row).text().into_bytes(),
            Reason::Key => no_access(&user.name, args.get(self.index), "key"),
            Reason::Channel => no_access(&user.name, args.get(self.index), "channel"),
        }
    }

    /// What is told of a command that was allowed when it was queued.
    fn error_in_exec(self) -> CommandError {
        CommandError::NoPermissionAnyMore(match self.reason {
            Reason::Command | Reason::Auth => "no permission to execute the command or subcommand",
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
        })
    }
}

/// Whether `user` may have this request run. The arity must be right. `args` begins with the
/// command's name, whoever sent it.
///
/// # Errors
/// What is not allowed.
pub fn check(user: &User, row: &CommandRow, args: Args<'_>) -> Result<(), Denied> {
    if user.is_restricted() { check_rules(&user.rules(), row, args) } else { Ok(()) }
}

fn check_rules(rules: &Rules, row: &CommandRow, args: Args<'_>) -> Result<(), Denied> {
    let request = Request::new(row, args);
    let mut furthest = Denied { reason: Reason::Command, index: 0 };
    for selector in rules.selectors() {
        match request.check(selector) {
            Ok(()) => return Ok(()),
            Err(denied) => furthest = furthest.max(denied),
        }
    }
    Err(furthest)
}

/// A request with its keys, which all selectors are asked for.
struct Request<'a> {
    row: &'a CommandRow,
    args: Args<'a>,
    keys: SmallVec<[(usize, KeyFlags); 4]>,
}

impl<'a> Request<'a> {
    fn new(row: &'a CommandRow, args: Args<'a>) -> Request<'a> {
        let keys = match row.single_key {
            Some(index) if row.spec.key_finder.is_none() => {
                SmallVec::from_iter([(index, row.spec.keys[0].flags)])
            }
            _ => SmallVec::from_vec(keys_of(row.spec, args)),
        };
        Request { row, args, keys }
    }

    fn check(&self, selector: &Selector) -> Result<(), Denied> {
        let Request { row, args, keys } = self;
        let first_arg = (args.len() > 1).then(|| args.get(1));
        if !row.flags.contains(Flags::NO_AUTH) && !selector.allows_command(row, first_arg) {
            return Err(Denied { reason: Reason::Command, index: 0 });
        }
        for (index, flags) in keys {
            if flags.contains(KeyFlags::NOT_KEY) || *index >= args.len() {
                continue;
            }
            if !selector.allows_key(args.get(*index), Access::needed_for(*flags)) {
                return Err(Denied { reason: Reason::Key, index: *index });
            }
        }
        if let Some(channels) = row.spec.channels {
            for index in channels.positions(args.len()) {
                if !selector.allows_channel(args.get(index), channels.are_patterns) {
                    return Err(Denied { reason: Reason::Channel, index });
                }
            }
        }
        Ok(())
    }
}

/// As [`check`], for the client that asks. What is refused is noted.
///
/// # Errors
/// What the client is told, and why.
pub fn admit(
    ctx: &Ctx<'_>,
    row: &CommandRow,
    args: Args<'_>,
    context: Context,
) -> Result<(), (CommandError, Denied)> {
    let user = &ctx.client.user;
    let Err(denied) = check(user, row, args) else { return Ok(()) };
    let object = match denied.reason {
        Reason::Command => Cow::from(row.original_name().as_bytes()),
        _ => Cow::from(args.get(denied.index)),
    };
    ctx.server.acl_log.note(
        ctx,
        Incident { reason: denied.reason, context, object: &object, username: &user.name },
    );
    Err((denied.error(user, row), denied))
}

/// As [`admit`], of a command of a transaction that is about to run: rules may have changed since
/// it was queued.
///
/// # Errors
/// What the client is told.
#[inline]
pub fn check_queued(ctx: &Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !ctx.client.user.is_restricted() {
        return Ok(());
    }
    admit(ctx, ctx.row, args, Context::Multi).map_err(|(_, denied)| denied.error_in_exec())
}

/// Whether the client may read whatever key with this request: those that SORT's BY and GET name
/// cannot be told from its words.
pub fn may_read_all_keys(ctx: &Ctx<'_>, args: Args<'_>) -> bool {
    let user = &ctx.client.user;
    if !user.is_restricted() {
        return true;
    }
    let request = Request::new(ctx.row, args);
    user.rules()
        .selectors()
        .iter()
        .any(|selector| selector.allows_all_keys(Access::READ) && request.check(selector).is_ok())
}

/// Where the client's request stands when it is checked before it runs.
pub(super) fn context_of(ctx: &Ctx<'_>) -> Context {
    let is_multi = ctx.in_exec || ctx.client.flags.contains(ClientFlags::MULTI);
    if is_multi { Context::Multi } else { Context::TopLevel }
}

//! Which connections end when users change: those of users who are no more, and those that listen
//! to channels that their users have lost.

use super::patterns::allow_channel;
use super::user::{Rules, User};
use super::users::Replaced;
use crate::client::{ClientFlags, ClientHandle};
use crate::command::Ctx;
use crate::pubsub::Kind;
use std::sync::Arc;

/// The connections that a change of users is about.
#[derive(Debug, Default)]
pub struct Sessions {
    removed: Vec<Arc<User>>,
    /// Users who have lost channels, with the patterns that they still have.
    narrowed: Vec<(Arc<User>, Vec<Vec<u8>>)>,
}

impl Sessions {
    pub(super) fn of(replaced: Replaced) -> Sessions {
        let mut sessions = Sessions::of_removed(replaced.removed);
        for (user, old) in replaced.kept {
            sessions.narrowed.extend(narrowed(user, &old));
        }
        sessions
    }

    /// Those of users who were removed.
    pub fn of_removed(removed: Vec<Arc<User>>) -> Sessions {
        Sessions { removed, narrowed: Vec::new() }
    }

    /// Those of a user whose rules were others, if it was there.
    pub fn of_changed(user: Arc<User>, old: Option<&Rules>) -> Sessions {
        let narrowed = old.and_then(|old| narrowed(user, old)).into_iter().collect();
        Sessions { removed: Vec::new(), narrowed }
    }

    fn is_over(&self, client: &ClientHandle) -> bool {
        let user = client.names.lock().user.clone();
        let is_removed = self.removed.iter().any(|removed| Arc::ptr_eq(removed, &user));
        let narrowed = self.narrowed.iter().find(|(own, _)| Arc::ptr_eq(own, &user));
        is_removed || narrowed.is_some_and(|(_, left)| listens_beyond(client, left))
    }
}

/// The user with the patterns of channels that are left, if some are gone.
fn narrowed(user: Arc<User>, old: &Rules) -> Option<(Arc<User>, Vec<Vec<u8>>)> {
    let left = user.rules().channels_left(old)?;
    Some((user, left))
}

/// Whether a client has subscribed to what none of the patterns allows.
fn listens_beyond(client: &ClientHandle, patterns: &[Vec<u8>]) -> bool {
    let subscriptions = client.subscriptions.lock();
    let Some(subscriptions) = &*subscriptions else { return false };
    [Kind::Channel, Kind::Pattern, Kind::ShardChannel].into_iter().any(|kind| {
        let is_pattern = kind == Kind::Pattern;
        subscriptions.names(kind).any(|name| !allow_channel(patterns, name, is_pattern))
    })
}

/// Has everybody see changed users, and ends the connections whose time has come; that of the
/// client that asks, once it has its reply.
pub fn drop_revoked(ctx: &mut Ctx<'_>, sessions: &Sessions) {
    ctx.server.config.announce();
    if sessions.removed.is_empty() && sessions.narrowed.is_empty() {
        return;
    }
    let own = ctx.client.handle.id;
    for client in ctx.server.clients.all() {
        if !sessions.is_over(&client) {
            continue;
        }
        if client.id == own {
            ctx.client.set_user(ctx.server.users.default_user().clone());
            ctx.client.set_flag(ClientFlags::NEEDS_AUTH | ClientFlags::CLOSE_AFTER_REPLY, true);
        } else {
            ctx.server.clients.kill(ctx.server, &client);
        }
    }
}

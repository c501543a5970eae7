//! Which connections end when users change: those of users who are no more.

use super::user::User;
use super::users::Replaced;
use crate::client::{ClientFlags, ClientHandle};
use crate::command::Ctx;
use std::sync::Arc;

/// The connections that a change of users is about.
#[derive(Debug, Default)]
pub struct Sessions {
    removed: Vec<Arc<User>>,
}

impl Sessions {
    pub(super) fn of(replaced: Replaced) -> Sessions {
        Sessions { removed: replaced.removed }
    }

    /// Those of users who were removed.
    pub fn of_removed(removed: Vec<Arc<User>>) -> Sessions {
        Sessions { removed }
    }

    fn is_over(&self, client: &ClientHandle) -> bool {
        let user = &client.names.lock().user;
        self.removed.iter().any(|removed| Arc::ptr_eq(removed, user))
    }
}

/// Has everybody see changed users, and ends the connections whose time has come; that of the
/// client that asks, once it has its reply.
pub fn drop_revoked(ctx: &mut Ctx<'_>, sessions: &Sessions) {
    ctx.server.config.announce();
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

//! A request that runs later, on whatever thread, and answers its client, which waits, then.

use super::{Unblock, Wait};
use crate::client::{Client, ClientFlags, ClientHandle, ReplyMode};
use crate::command::args::OwnedArgs;
use crate::command::{Args, Ctx};
use crabcache_resp::Protocol;
use std::sync::Arc;

/// See the module's text.
#[derive(Debug)]
pub struct LateRequest {
    /// The client's wait.
    pub wait: Arc<Wait>,
    /// Row of the command.
    pub row: usize,
    client: Arc<ClientHandle>,
    db: usize,
    protocol: Protocol,
    flags: ClientFlags,
    reply_mode: ReplyMode,
    request: OwnedArgs,
}

impl LateRequest {
    /// The request of a client that its handler has blocked.
    pub fn new(ctx: &Ctx<'_>, wait: Arc<Wait>, request: OwnedArgs) -> LateRequest {
        let client = &*ctx.client;
        LateRequest {
            wait,
            row: ctx.row.id,
            client: client.handle.clone(),
            db: client.db,
            protocol: client.protocol,
            flags: client.flags,
            reply_mode: client.reply_mode,
            request,
        }
    }

    /// Its words.
    pub fn args(&self) -> Args<'_> {
        self.request.as_args()
    }

    /// The client's database.
    pub fn db(&self) -> usize {
        self.db
    }

    /// A client that it can run as, on any thread.
    pub fn stand_in(&self) -> Client {
        Client::stand_in(self.client.clone(), self.db, self.protocol, self.flags, self.reply_mode)
    }

    /// Bytes that others have pushed to the client. What the command pushes to its own client comes
    /// behind these.
    pub fn n_mail_bytes(&self) -> usize {
        self.client.n_mail_bytes()
    }

    /// Answers the client, whose wait has been ended. What the command has pushed to its own client,
    /// behind the first `n_mail_bytes`, goes behind the reply.
    pub fn answer(&self, reply: Vec<u8>, n_mail_bytes: usize) {
        self.client.post(|mail| {
            let at = n_mail_bytes.min(mail.output.len());
            mail.output.splice(at..at, reply);
            mail.unblock = Some(Unblock::Served);
        });
    }
}

//! ACL LOG: what was refused lately, and to whom.
//!
//! The same refusal again, within a minute of the last, counts on an entry that is there: an
//! attacker who tries for long fills one entry, not the log.

use super::permission::{Reason, context_of};
use crate::client::{Running, describe};
use crate::command::Ctx;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// Where a request was when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// On its own.
    TopLevel,
    /// In a transaction, being queued or run.
    Multi,
    /// In a script.
    Lua,
}

impl Context {
    /// Where the client's request stands.
    pub fn of(ctx: &Ctx<'_>) -> Context {
        context_of(ctx)
    }

    /// The word of ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

/// What was refused.
#[derive(Debug, Clone, Copy)]
pub struct Incident<'a> {
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// The command, key or channel.
    pub object: &'a [u8],
    /// Who it was, or claimed to be.
    pub username: &'a [u8],
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// How often.
    pub count: u64,
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// The command, key or channel.
    pub object: Vec<u8>,
    /// Who it was, or claimed to be.
    pub username: Vec<u8>,
    /// The client that it happened to last, as CLIENT LIST shows it.
    pub client: String,
    /// Unique in the server's life.
    pub id: i64,
    /// When it happened first: Unix milliseconds.
    pub created_ms: i64,
    /// When it happened last: Unix milliseconds.
    pub updated_ms: i64,
}

impl Entry {
    fn is_same(&self, other: &Incident<'_>, now_ms: i64) -> bool {
        const MERGED_WITHIN_MS: u64 = 60_000;
        self.reason == other.reason
            && self.context == other.context
            && self.object == other.object
            && self.username == other.username
            && self.updated_ms.abs_diff(now_ms) <= MERGED_WITHIN_MS
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct AclLog {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Newest first.
    all: VecDeque<Entry>,
    next_id: i64,
}

impl AclLog {
    /// Counts a refusal and keeps it, as one of `acllog-max-len`.
    pub fn note(&self, ctx: &Ctx<'_>, incident: Incident<'_>) {
        let stats = &ctx.server.stats;
        let counter = match incident.reason {
            Reason::Command => &stats.acl_access_denied_cmd,
            Reason::Key => &stats.acl_access_denied_key,
            Reason::Auth => &stats.acl_access_denied_auth,
            Reason::Channel => &stats.acl_access_denied_channel,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let len_max = usize::try_from(ctx.config.acllog_max_len).unwrap_or(0);
        if len_max == 0 {
            self.clear();
            return;
        }
        let running = Running { args_bytes: 0, output_bytes: ctx.reply.len() };
        let client = describe(ctx.server, &ctx.client.handle, running);
        self.add(incident, client, ctx.env.now_ms, len_max);
    }

    fn add(&self, incident: Incident<'_>, client: String, now_ms: i64, len_max: usize) {
        /// So many entries are looked at for the same refusal.
        const N_COMPARED: usize = 10;
        let mut entries = self.entries.lock();
        let mut newest = entries.all.iter().take(N_COMPARED);
        let place = newest.position(|entry| entry.is_same(&incident, now_ms));
        if let Some(mut entry) = place.and_then(|place| entries.all.remove(place)) {
            (entry.client, entry.updated_ms) = (client, now_ms);
            entry.count += 1;
            entries.all.push_front(entry);
            return;
        }
        let Incident { reason, context, object, username } = incident;
        let entry = Entry {
            count: 1,
            reason,
            context,
            object: object.to_vec(),
            username: username.to_vec(),
            client,
            id: entries.next_id,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        entries.next_id += 1;
        entries.all.push_front(entry);
        entries.all.truncate(len_max);
    }

    /// The newest entries, newest first.
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.entries.lock().all.iter().take(count).cloned().collect()
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        self.entries.lock().all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_counted_on_one_entry() {
        let log = AclLog::default();
        let add = |object: &str, now_ms: i64| {
            let incident = Incident {
                reason: Reason::Key,
                context: Context::TopLevel,
                object: object.as_bytes(),
                username: b"u",
            };
            log.add(incident, format!("at {now_ms}"), now_ms, 3);
        };
        let shown = || -> Vec<String> {
            let entries = log.newest(10);
            let line = |entry: &Entry| {
                let object = String::from_utf8_lossy(&entry.object).into_owned();
                format!("{object} {} {} {}", entry.count, entry.id, entry.client)
            };
            entries.iter().map(line).collect()
        };
        for (object, now_ms) in [("a", 0), ("b", 1), ("a", 60_000)] {
            add(object, now_ms);
        }
        assert_eq!(shown(), ["a 2 0 at 60000", "b 1 1 at 1"]);
        // Too late, and then too many.
        add("a", 120_001);
        add("c", 120_002);
        assert_eq!(shown(), ["c 1 3 at 120002", "a 1 2 at 120001", "a 2 0 at 60000"]);
        log.clear();
        add("a", 120_003);
        assert_eq!(shown(), ["a 1 4 at 120003"]);
    }
}

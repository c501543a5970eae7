//! Entries, ids and names in replies, and what all commands of the group share.

use crate::error::{self, CommandError};
use crabcache_resp::Reply;
use crabcache_store::types::stream::{Entry, Fields, Stream, StreamId};
use crabcache_store::{Key, StrRef, WriteDb};

/// An id.
pub(super) fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text().as_bytes());
}

/// An entry: its id, and its fields with their values.
pub(super) fn reply_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply_fields(reply, entry.fields);
}

fn reply_fields(reply: &mut Reply<'_>, fields: Fields<'_>) {
    reply.array(2 * fields.len());
    for (field, value) in fields {
        reply_value(reply, field);
        reply_value(reply, value);
    }
}

fn reply_value(reply: &mut Reply<'_>, value: StrRef<'_>) {
    match value {
        StrRef::Int(value) => reply.bulk_int(value),
        StrRef::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Entries, at most `count` of them; 0: all. Returns how many.
pub(super) fn reply_entries<'a>(
    reply: &mut Reply<'_>,
    entries: impl Iterator<Item = Entry<'a>>,
    count: usize,
) -> usize {
    let array = reply.deferred();
    let mut n_entries = 0;
    for entry in entries.take(if count == 0 { usize::MAX } else { count }) {
        reply_entry(reply, entry);
        n_entries += 1;
    }
    reply.end_array(array, n_entries);
    n_entries
}

/// An integer that may be unknown.
pub(super) fn reply_known(reply: &mut Reply<'_>, value: Option<i64>) {
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

/// Lets `edit` change the stream at a key, if there is one. It must not fail after a change.
pub(super) fn edit<T>(
    db: &mut WriteDb,
    key: &Key<'_>,
    edit: impl FnOnce(&mut Stream) -> Result<T, CommandError>,
) -> Result<Option<T>, CommandError> {
    db.edit(key, edit)?.map(|edited| edited.result).transpose()
}

/// A name in an error.
pub(super) fn text(name: &[u8]) -> String {
    error::shown(name)
}

/// The error of commands that need a key and a group.
pub(super) fn no_key_or_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::NoKeyOrGroup(text(key), text(group), "")
}

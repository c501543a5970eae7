//! Data as commands that make them: the base of an append-only file without `aof-use-rdb-preamble`.
//!
//! Only commands that the reference has known since version 7.0 are written, but for what such a
//! version has no commands for (times of fields, vector sets).

use crate::persistence::rdb::payload;
use crabcache_resp::request;
use crabcache_store::algorithms::double;
use crabcache_store::types::hash::Hash;
use crabcache_store::types::list::List;
use crabcache_store::types::set::Set;
use crabcache_store::types::stream::{Group, Stream, StreamId};
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Collection, Entry, Kind, StrRef};

/// Elements of one command.
const ITEMS_MAX: usize = 64;

/// SELECT
pub fn select(out: &mut Vec<u8>, db: usize) {
    put(out, &[b"SELECT", db.to_string().as_bytes()]);
}

/// FUNCTION LOAD
pub fn function(out: &mut Vec<u8>, code: &[u8]) {
    put(out, &[b"FUNCTION", b"LOAD", code]);
}

/// All that makes one key.
pub fn entry(out: &mut Vec<u8>, entry: &Entry) {
    let key = entry.key();
    match entry.kind() {
        Kind::String => match entry.string() {
            StrRef::Int(value) => put(out, &[b"SET", key, value.to_string().as_bytes()]),
            StrRef::Bytes(bytes) => put(out, &[b"SET", key, bytes]),
        },
        Kind::List => list(out, key, collection(entry)),
        Kind::Set => set(out, key, collection(entry)),
        Kind::ZSet => sorted_set(out, key, collection(entry)),
        Kind::Hash => hash(out, key, collection(entry)),
        Kind::Stream => stream(out, key, collection(entry)),
        Kind::VectorSet => {
            // What it is made of cannot be said in commands without loss.
            put(out, &[b"RESTORE", key, b"0", &payload::dump(entry, true)]);
        }
    }
    if let Some(at_ms) = entry.expire_at_ms() {
        put(out, &[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]);
    }
}

fn put(out: &mut Vec<u8>, words: &[&[u8]]) {
    request::write(out, words.iter().copied());
}

fn collection<C: Collection>(entry: &Entry) -> &C {
    entry.collection().expect("of its kind")
}

/// Commands of some items each, of one or two words.
struct Row<'o> {
    out: &'o mut Vec<u8>,
    start: [&'o [u8]; 2],
    words: Vec<Vec<u8>>,
    item_len: usize,
}

impl<'o> Row<'o> {
    fn new(out: &'o mut Vec<u8>, name: &'o [u8], key: &'o [u8], item_len: usize) -> Row<'o> {
        Row { out, start: [name, key], words: Vec::new(), item_len }
    }

    fn push(&mut self, word: Vec<u8>) {
        self.words.push(word);
        if self.words.len() == ITEMS_MAX * self.item_len {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.words.is_empty() {
            let words: Vec<&[u8]> =
                self.start.into_iter().chain(self.words.iter().map(Vec::as_slice)).collect();
            put(self.out, &words);
            self.words.clear();
        }
    }
}

fn list(out: &mut Vec<u8>, key: &[u8], list: &List) {
    let mut row = Row::new(out, b"RPUSH", key, 1);
    list.for_each(|element| row.push(element.bytes().to_vec()));
    row.flush();
}

fn set(out: &mut Vec<u8>, key: &[u8], set: &Set) {
    let mut row = Row::new(out, b"SADD", key, 1);
    set.for_each(|member| member.with_bytes(|bytes| row.push(bytes.to_vec())));
    row.flush();
}

fn sorted_set(out: &mut Vec<u8>, key: &[u8], set: &ZSet) {
    let mut row = Row::new(out, b"ZADD", key, 2);
    for (member, score) in set.iter(0..set.len(), false) {
        let mut text = Vec::new();
        double::write_shortest(&mut text, score);
        row.push(text);
        member.with_bytes(|bytes| row.push(bytes.to_vec()));
    }
    row.flush();
}

fn hash(out: &mut Vec<u8>, key: &[u8], hash: &Hash) {
    let mut times = Vec::new();
    let mut row = Row::new(out, b"HMSET", key, 2);
    hash.each(|field| {
        let name = field.name.bytes().to_vec();
        if let Some(at_ms) = field.expire_at_ms {
            times.push((name.clone(), at_ms));
        }
        row.push(name);
        row.push(field.value.bytes().to_vec());
    });
    row.flush();
    for (name, at_ms) in times {
        let at_ms = at_ms.to_string();
        put(out, &[b"HPEXPIREAT", key, at_ms.as_bytes(), b"FIELDS", b"1", &name]);
    }
}

fn id_text(id: StreamId) -> Vec<u8> {
    format!("{}-{}", id.ms, id.seq).into_bytes()
}

fn stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    let log = &stream.log;
    for entry in log.iter() {
        let id = id_text(entry.id);
        let fields: Vec<_> = entry
            .fields
            .map(|(name, value)| (name.bytes().to_vec(), value.bytes().to_vec()))
            .collect();
        let mut words: Vec<&[u8]> = vec![b"XADD", key, &id];
        words.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
        put(out, &words);
    }
    if log.is_empty() {
        // An entry that goes at once makes the stream; XSETID cannot take its id back below it.
        let id = id_text(log.last_id().max(StreamId { ms: 0, seq: 1 }));
        put(out, &[b"XADD", key, b"MAXLEN", b"0", &id, b"x", b"y"]);
    }
    let (last, deleted) = (id_text(log.last_id()), id_text(log.max_deleted_id()));
    let added = log.entries_added().to_string();
    put(
        out,
        &[b"XSETID", key, &last, b"ENTRIESADDED", added.as_bytes(), b"MAXDELETEDID", &deleted],
    );
    stream.groups.iter().for_each(|(name, group)| self::group(out, key, name, group));
}

fn group(out: &mut Vec<u8>, key: &[u8], name: &[u8], group: &Group) {
    let last = id_text(group.last_id());
    let read = group.entries_read.unwrap_or(-1).to_string();
    put(out, &[b"XGROUP", b"CREATE", key, name, &last, b"ENTRIESREAD", read.as_bytes()]);
    for consumer in group.consumers() {
        put(out, &[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
        for id in consumer.pending() {
            let Some(pending) = group.pending().get(id) else { continue };
            let (time, n) = (pending.delivered_at_ms.to_string(), pending.n_deliveries.to_string());
            put(
                out,
                &[
                    b"XCLAIM",
                    key,
                    name,
                    consumer.name(),
                    b"0",
                    &id_text(*id),
                    b"TIME",
                    time.as_bytes(),
                    b"RETRYCOUNT",
                    n.as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ],
            );
        }
    }
}

//! Streams: their nodes as they are, counters, and consumer groups with what is pending.
//!
//! Three types differ in what they have beside the nodes: the second added counters (first id,
//! largest deleted id, entries added, entries read), the third the time when a consumer last got
//! something.

use super::string::{read_array, read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes};
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::stream::{
    Counters, Group, GroupMut, Groups, Log, Pending, Stream, StreamId,
};
use std::collections::BTreeMap;
use std::io::Read;

/// Stands for a time that never was, and for a number that is not known.
const NONE: i64 = -1;

const MALFORMED: RdbError = RdbError::Malformed("Stream");
const MALFORMED_LISTPACK: RdbError = RdbError::Malformed("Stream listpack");

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, stream: &Stream, compress: bool) {
    write_form(out, stream, compress, opcodes::TYPE_STREAM_LISTPACKS_3);
}

/// As [`write`], for a version of the format before the newest type of streams.
pub fn write_as(out: &mut Vec<u8>, stream: &Stream, compress: bool, version: u16) {
    let kind = match version {
        ..=9 => opcodes::TYPE_STREAM_LISTPACKS,
        10 => opcodes::TYPE_STREAM_LISTPACKS_2,
        _ => opcodes::TYPE_STREAM_LISTPACKS_3,
    };
    write_form(out, stream, compress, kind);
}

fn write_form(out: &mut Vec<u8>, stream: &Stream, compress: bool, kind: u8) {
    let log = &stream.log;
    let has_counters = kind != opcodes::TYPE_STREAM_LISTPACKS;
    out.push(kind);
    write_len(out, log.n_nodes() as u64);
    for (base, pack) in log.nodes() {
        write_string(out, &base.to_bytes(), compress);
        write_string(out, pack.as_bytes(), compress);
    }
    write_len(out, log.len());
    write_id(out, log.last_id());
    if has_counters {
        write_id(out, log.first_id());
        write_id(out, log.max_deleted_id());
        write_len(out, log.entries_added());
    }
    write_len(out, stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        write_string(out, name, compress);
        write_id(out, group.last_id());
        if has_counters {
            write_len(out, group.entries_read.unwrap_or(NONE) as u64);
        }
        write_pending(out, group);
        write_consumers(out, group, compress, kind);
    }
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    write_len(out, id.ms);
    write_len(out, id.seq);
}

fn write_pending(out: &mut Vec<u8>, group: &Group) {
    write_len(out, group.pending().len() as u64);
    for (id, pending) in group.pending() {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
        write_len(out, pending.n_deliveries);
    }
}

fn write_consumers(out: &mut Vec<u8>, group: &Group, compress: bool, kind: u8) {
    write_len(out, group.n_consumers() as u64);
    for consumer in group.consumers() {
        write_string(out, consumer.name(), compress);
        out.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
        if kind == opcodes::TYPE_STREAM_LISTPACKS_3 {
            out.extend_from_slice(&consumer.active_at_ms.unwrap_or(NONE).to_le_bytes());
        }
        write_len(out, consumer.pending().len() as u64);
        consumer.pending().iter().for_each(|id| out.extend_from_slice(&id.to_bytes()));
    }
}

/// Reads a value of one of the three types. What does not fit together is refused, also where the
/// reference would take it.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read(input: &mut impl Read, kind: u8) -> Result<Stream, RdbError> {
    let mut nodes = Vec::new();
    for _ in 0..read_plain_len(input)? {
        let base: [u8; 16] = read_string(input)?.into_bytes().try_into().map_err(|_| MALFORMED)?;
        let pack = read_string(input)?.into_bytes();
        let pack = Listpack::from_bytes(&pack).map_err(|_| MALFORMED_LISTPACK)?;
        nodes.push((StreamId::from_bytes(base), pack));
    }
    // The number of entries is counted, and the first id looked for.
    read_plain_len(input)?;
    let mut counters =
        Counters { last_id: read_id(input)?, max_deleted_id: StreamId::MIN, entries_added: None };
    if kind != opcodes::TYPE_STREAM_LISTPACKS {
        read_id(input)?;
        counters.max_deleted_id = read_id(input)?;
        counters.entries_added = Some(read_plain_len(input)?);
    }
    let log = Log::from_nodes(nodes, counters).ok_or(MALFORMED_LISTPACK)?;
    let mut groups = Groups::default();
    for _ in 0..read_plain_len(input)? {
        let name = read_string(input)?.into_bytes();
        let last_id = read_id(input)?;
        let entries_read = if kind == opcodes::TYPE_STREAM_LISTPACKS {
            log.n_added_up_to(last_id)
        } else {
            Some(read_plain_len(input)? as i64).filter(|entries_read| *entries_read != NONE)
        };
        if !groups.create(&name, last_id, entries_read) {
            return Err(MALFORMED);
        }
        let group = groups.get_mut(&name).ok_or(MALFORMED)?;
        read_group(input, group, kind)?;
    }
    Ok(Stream::new(log, groups))
}

fn read_id(input: &mut impl Read) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: read_plain_len(input)?, seq: read_plain_len(input)? })
}

/// Reads what is pending, and the consumers that have it.
fn read_group(input: &mut impl Read, mut group: GroupMut<'_>, kind: u8) -> Result<(), RdbError> {
    let mut unowned = BTreeMap::new();
    for _ in 0..read_plain_len(input)? {
        let id = StreamId::from_bytes(read_array(input)?);
        let delivered_at_ms = i64::from_le_bytes(read_array(input)?);
        if unowned.insert(id, (delivered_at_ms, read_plain_len(input)?)).is_some() {
            return Err(MALFORMED);
        }
    }
    for _ in 0..read_plain_len(input)? {
        let name = read_string(input)?.into_bytes();
        let seen_at_ms = i64::from_le_bytes(read_array(input)?);
        let consumer =
            group.create_consumer(&name, seen_at_ms).ok_or(RdbError::DuplicateConsumer)?;
        let active_at_ms = if kind == opcodes::TYPE_STREAM_LISTPACKS_3 {
            i64::from_le_bytes(read_array(input)?)
        } else {
            seen_at_ms
        };
        group.consumer_mut(consumer).active_at_ms =
            Some(active_at_ms).filter(|at_ms| *at_ms != NONE);
        for _ in 0..read_plain_len(input)? {
            let id = StreamId::from_bytes(read_array(input)?);
            let (delivered_at_ms, n_deliveries) = unowned.remove(&id).ok_or(MALFORMED)?;
            group.assign(id, Pending { consumer, delivered_at_ms, n_deliveries });
        }
    }
    if unowned.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crabcache_store::Limits;
    use proptest::prelude::*;

    /// A stream with two nodes, a deleted entry, two groups and a pending entry.
    fn sample() -> Stream {
        let mut stream = Stream::default();
        let limits = Limits { stream_node_entries_max: 2, ..Limits::default() };
        for ms in 1..=3 {
            stream.log.append(StreamId::new(ms, 0), [(&b"f"[..], &b"v"[..])].into_iter(), &limits);
        }
        stream.log.delete(StreamId::new(2, 0));
        stream.groups.create(b"idle", StreamId::MAX, None);
        stream.groups.create(b"g", StreamId::new(1, 0), Some(1));
        let mut group = stream.groups.get_mut(b"g").unwrap();
        let consumer = group.create_consumer(b"c", 1000).unwrap();
        group.consumer_mut(consumer).active_at_ms = Some(999);
        let pending = Pending { consumer, delivered_at_ms: 998, n_deliveries: 3 };
        group.assign(StreamId::new(1, 0), pending);
        group.create_consumer(b"d", 5).unwrap();
        stream
    }

    fn written(stream: &Stream) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, stream, true);
        out
    }

    #[test]
    fn streams_come_back() {
        let bytes = written(&sample());
        assert_eq!(bytes[0], opcodes::TYPE_STREAM_LISTPACKS_3);
        let read = read(&mut &bytes[1..], bytes[0]).unwrap();
        assert_eq!(written(&read), bytes);
        assert!(read.groups.iter().all(|(_, group)| group.is_sound()));
        assert_eq!((read.log.len(), read.log.entries_added()), (2, 3));
        assert_eq!(read.log.max_deleted_id(), StreamId::new(2, 0));
    }

    #[test]
    fn older_types_lack_counters() {
        let mut stream = sample();
        stream.groups = Groups::default();
        let bytes = written(&stream);
        // Behind the nodes: length, last, first and largest deleted id, entries added, no groups.
        let tail = [2, 3, 0, 1, 0, 2, 0, 3, 0];
        assert_eq!(bytes[bytes.len() - tail.len()..], tail);
        let mut old = bytes[1..bytes.len() - tail.len()].to_vec();
        // Length, last id; a group that has read up to the last entry, without consumers.
        old.extend_from_slice(&[2, 3, 0, 1, 1, b'g', 3, 0, 0, 0]);
        let read = read(&mut &old[..], opcodes::TYPE_STREAM_LISTPACKS).unwrap();
        assert_eq!((read.log.len(), read.log.entries_added()), (2, 2));
        assert_eq!(read.log.first_id(), StreamId::new(1, 0));
        assert_eq!(read.groups.get(b"g").map(|group| group.entries_read), Some(Some(2)));
    }

    #[test]
    fn damage_is_refused() {
        let bytes = written(&sample());
        for len in 1..bytes.len() {
            assert!(read(&mut &bytes[1..len], bytes[0]).is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_change_is_taken_or_refused(at in 1usize..400, byte in any::<u8>()) {
            let mut bytes = written(&sample());
            let at = 1 + at % (bytes.len() - 1);
            bytes[at] = byte;
            for kind in [15, 19, 21] {
                if let Ok(stream) = read(&mut &bytes[1..], kind) {
                    let n = stream.log.iter().count() as u64;
                    prop_assert_eq!(n, stream.log.len());
                    let backwards = stream.log.range_backwards(StreamId::MIN, StreamId::MAX);
                    prop_assert_eq!(backwards.count() as u64, n);
                    prop_assert!(stream.groups.iter().all(|(_, group)| group.is_sound()));
                }
            }
        }
    }
}

//! Walks over the entries between two ids, in both directions.

use super::id::StreamId;
use super::node::{Fields, Node, Record, Records, RecordsBackwards};
use std::collections::btree_map;

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Its fields with their values.
    pub fields: Fields<'a>,
}

/// From the first to the last.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    nodes: btree_map::Range<'a, StreamId, Node>,
    records: Option<Records<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Entries<'a> {
    pub(super) fn new(
        nodes: btree_map::Range<'a, StreamId, Node>,
        start: StreamId,
        end: StreamId,
    ) -> Entries<'a> {
        Entries { nodes, records: None, start, end }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            for Record { id, is_deleted, fields, .. } in self.records.iter_mut().flatten() {
                if id > self.end {
                    return None;
                }
                if id >= self.start && !is_deleted {
                    return Some(Entry { id, fields });
                }
            }
            let (&base, node) = self.nodes.next()?;
            self.records = Some(node.records(base));
        }
    }
}

/// From the last to the first.
#[derive(Debug, Clone)]
pub struct EntriesBackwards<'a> {
    nodes: btree_map::Range<'a, StreamId, Node>,
    records: Option<RecordsBackwards<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> EntriesBackwards<'a> {
    pub(super) fn new(
        nodes: btree_map::Range<'a, StreamId, Node>,
        start: StreamId,
        end: StreamId,
    ) -> EntriesBackwards<'a> {
        EntriesBackwards { nodes, records: None, start, end }
    }
}

impl<'a> Iterator for EntriesBackwards<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            for Record { id, is_deleted, fields, .. } in self.records.iter_mut().flatten() {
                if id < self.start {
                    return None;
                }
                if id <= self.end && !is_deleted {
                    return Some(Entry { id, fields });
                }
            }
            let (&base, node) = self.nodes.next_back()?;
            self.records = Some(node.records_backwards(base));
        }
    }
}

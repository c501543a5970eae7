//! Trimming: entries go from the front.

use super::id::StreamId;
use super::log::Log;
use super::{References, Stream};
use crate::structures::listpack::At;

/// What is to be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrimTo {
    /// So many entries.
    MaxLen(u64),
    /// Entries from this id on.
    MinId(StreamId),
}

/// How to trim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// What is to be left.
    pub to: TrimTo,
    /// Whether only whole nodes go.
    pub is_approximate: bool,
    /// No more entries than that go; 0: no limit.
    pub n_removed_max: u64,
    /// What becomes of entries that consumer groups refer to.
    pub references: References,
}

impl Stream {
    /// Trims. Returns how many entries have gone.
    //
    // Compat: only with KEEPREF do whole nodes go at once, so an approximate trim with another
    // choice removes nothing.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let mut n_removed = 0;
        let mut from = StreamId::MIN;
        while let Some((base, n_live, is_due)) = self.next_due(trim, from) {
            if trim.n_removed_max != 0 && n_removed + n_live > trim.n_removed_max {
                break;
            }
            if is_due && trim.references == References::Keep {
                self.log.nodes.remove(&base);
                self.log.len -= n_live;
                n_removed += n_live;
                continue;
            }
            if trim.is_approximate {
                break;
            }
            n_removed += self.trim_node(trim, base);
            if !is_due {
                break;
            }
            match base.next() {
                Some(next) => from = next,
                None => break,
            }
        }
        if n_removed > 0 {
            self.log.find_first();
        }
        n_removed
    }

    /// The first node from `from` on that may have entries to be removed, the number of its live
    /// entries, and whether all of them are due.
    fn next_due(&self, trim: &Trim, from: StreamId) -> Option<(StreamId, u64, bool)> {
        let log = &self.log;
        let (&base, node) = log.nodes.range(from..).next()?;
        let n_live = node.n_live();
        let is_due = match trim.to {
            TrimTo::MaxLen(len) if log.len <= len => return None,
            TrimTo::MaxLen(len) => log.len - n_live >= len,
            TrimTo::MinId(id) => node.last_id(base) < id,
        };
        Some((base, n_live, is_due))
    }

    /// Removes the entries of one node that are due, as far as consumer groups allow it.
    fn trim_node(&mut self, trim: &Trim, base: StreamId) -> u64 {
        let mut doomed: Vec<At> = Vec::new();
        let mut len = self.log.len;
        let records = self.log.records(base).into_iter().flatten();
        let live = records.filter(|record| !record.is_deleted).map(|record| (record.id, record.at));
        for (id, at) in live.collect::<Vec<_>>() {
            let is_kept = match trim.to {
                TrimTo::MaxLen(len_max) => len <= len_max,
                TrimTo::MinId(id_min) => id >= id_min,
            };
            if is_kept {
                break;
            }
            if self.groups.release(id, trim.references) {
                doomed.push(at);
                len -= 1;
            }
        }
        let n_removed = doomed.len() as u64;
        self.log.remove_from_node(base, &doomed);
        n_removed
    }
}

impl Log {
    /// Removes live entries of one node by their places.
    fn remove_from_node(&mut self, base: StreamId, places: &[At]) {
        let Some(node) = self.nodes.get_mut(&base) else { return };
        let n_removed = places.len() as u64;
        if node.n_live() == n_removed {
            self.nodes.remove(&base);
        } else {
            node.mark_deleted(places);
        }
        self.len -= n_removed;
    }
}

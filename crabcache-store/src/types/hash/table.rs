//! The encoding of large hashes: a table of fields, and the bookkeeping of those that expire.
//!
//! Fields with an expiry are flagged in the table; a sweep goes through it bucket by bucket, a few
//! at a time, as that of a stripe does through its keys. `next_expire_ms` may be too early (after
//! the earliest field went), never too late; a whole round of the sweep makes it exact.

use super::field::Field;
use crate::hash::hash;
use crate::structures::table::{Item, ItemRef, Occupied, Table};

/// See the module's text.
#[derive(Default)]
pub(super) struct FieldTable {
    table: Table<Field>,
    /// Fields with an expiry.
    n_timed: usize,
    /// No field expires before this, unless there is none with an expiry.
    next_expire_ms: i64,
    /// Where the sweep under way goes on, the earliest expiry it has met, and the most buckets it
    /// has seen.
    sweep_index: usize,
    sweep_min_ms: i64,
    sweep_n_buckets: usize,
}

impl FieldTable {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<ItemRef<'_, Field>> {
        self.table.get(hash(name), name)
    }

    /// Sets the value of a field, which is added if it is not there. With `keeps_expire`, its expiry
    /// stays, else it ends. Returns whether the field is new.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], keeps_expire: bool) -> bool {
        let hash = hash(name);
        let Some(mut place) = self.table.occupied(hash, name) else {
            self.table.insert_new(hash, Field::new(name, value, None), false);
            return true;
        };
        let had_expire = place.get().expire_at_ms().is_some();
        place.replace(|mut field| {
            field.set_value(value);
            field
        });
        if had_expire && !keeps_expire {
            Self::write_expire(&mut place, None);
            self.n_timed -= 1;
        }
        false
    }

    /// Adds a field that is not there yet.
    pub(super) fn insert_new(&mut self, name: &[u8], value: &[u8], expire_at_ms: Option<i64>) {
        let field = Field::new(name, value, expire_at_ms);
        self.table.insert_new(hash(name), field, expire_at_ms.is_some());
        if let Some(at_ms) = expire_at_ms {
            self.note_expire(at_ms);
            self.n_timed += 1;
        }
    }

    /// Sets or ends the expiry of a field. Returns whether it is there.
    pub(super) fn set_expire(&mut self, name: &[u8], expire_at_ms: Option<i64>) -> bool {
        let Some(mut place) = self.table.occupied(hash(name), name) else { return false };
        let had_expire = place.get().expire_at_ms().is_some();
        Self::write_expire(&mut place, expire_at_ms);
        if let Some(at_ms) = expire_at_ms {
            self.note_expire(at_ms);
        }
        self.n_timed = self.n_timed + usize::from(expire_at_ms.is_some()) - usize::from(had_expire);
        true
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(place) = self.table.occupied(hash(name), name) else { return false };
        self.n_timed -= usize::from(place.remove().expire_at_ms().is_some());
        true
    }

    /// As [`Table::prefetch_keys`].
    pub(super) fn prefetch<'m>(&self, names: impl Iterator<Item = &'m [u8]>) {
        self.table.prefetch_keys(names);
    }

    /// Fields with an expiry.
    pub(super) fn n_timed(&self) -> usize {
        self.n_timed
    }

    /// No field expires before this.
    pub(super) fn next_expire_ms(&self) -> Option<i64> {
        (self.n_timed > 0).then_some(self.next_expire_ms)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = ItemRef<'_, Field>> {
        self.table.iter()
    }

    /// As [`Table::scan_many`].
    pub(super) fn scan(
        &self,
        cursor: u64,
        n_fields: usize,
        mut visit: impl FnMut(&[u8], &[u8], Option<i64>),
    ) -> u64 {
        let visit_field = |field: &Field| visit(field.key(), field.value(), field.expire_at_ms());
        self.table.scan_many(cursor, n_fields, visit_field)
    }

    /// As [`Table::random`].
    pub(super) fn random(&self, random: impl FnMut(usize) -> usize) -> Option<ItemRef<'_, Field>> {
        self.table.random(random)
    }

    /// Removes fields that have expired from up to `n_buckets_max` buckets, going on where the last
    /// sweep ended, and gives the name of each to `expired`. Returns how many fields with an expiry
    /// it met. While [`FieldTable::next_expire_ms`] lies in the past, there may be more.
    pub(super) fn sweep(
        &mut self,
        now_ms: i64,
        n_buckets_max: usize,
        mut expired: impl FnMut(&[u8]),
    ) -> usize {
        if self.sweep_index == 0 || self.sweep_index >= self.table.n_buckets() {
            (self.sweep_index, self.sweep_min_ms, self.sweep_n_buckets) = (0, i64::MAX, 0);
        }
        self.sweep_n_buckets = self.sweep_n_buckets.max(self.table.n_buckets());
        let end = self.sweep_index.saturating_add(n_buckets_max).min(self.table.n_buckets());
        let mut n_met = 0;
        while self.sweep_index < end {
            let sweep_min_ms = &mut self.sweep_min_ms;
            let taken = self.table.take_flagged(self.sweep_index, |field, _| {
                let at_ms = field.expire_at_ms().unwrap_or(i64::MAX);
                n_met += 1;
                if at_ms >= now_ms {
                    *sweep_min_ms = at_ms.min(*sweep_min_ms);
                }
                at_ms < now_ms
            });
            self.n_timed -= taken.len();
            taken.iter().for_each(|field| expired(field.key()));
            self.sweep_index += 1;
        }
        if self.sweep_index >= self.table.n_buckets() {
            self.sweep_index = 0;
            // If the table shrank meanwhile, a bucket may have merged unseen into one that the sweep
            // had passed: the next round tells.
            if self.table.n_buckets() >= self.sweep_n_buckets {
                self.next_expire_ms = self.sweep_min_ms;
            }
        }
        self.table.shrink();
        n_met
    }

    /// Bytes of memory; that of the fields is estimated from some of them if there are many.
    pub(super) fn mem_bytes(&self) -> usize {
        const N_SAMPLES: usize = 64;
        let n_samples = self.len().min(N_SAMPLES);
        let sampled: usize = self.iter().take(n_samples).map(|field| field.mem_bytes()).sum();
        let fields = (sampled * self.len()).checked_div(n_samples).unwrap_or(0);
        size_of::<FieldTable>() + self.table.mem_bytes() + fields
    }

    fn note_expire(&mut self, at_ms: i64) {
        self.next_expire_ms =
            if self.n_timed == 0 { at_ms } else { self.next_expire_ms.min(at_ms) };
        self.sweep_min_ms = self.sweep_min_ms.min(at_ms);
    }

    fn write_expire(place: &mut Occupied<'_, Field>, expire_at_ms: Option<i64>) {
        place.replace(|mut field| {
            field.set_expire(expire_at_ms);
            field
        });
        place.set_flag(expire_at_ms.is_some());
    }

    /// Checks the counts. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let times: Vec<i64> = self.iter().filter_map(|field| field.expire_at_ms()).collect();
        assert_eq!(times.len(), self.n_timed);
        assert!(times.iter().all(|at_ms| *at_ms >= self.next_expire_ms));
    }
}

impl Clone for FieldTable {
    fn clone(&self) -> Self {
        let mut copy = FieldTable::default();
        for field in self.iter() {
            copy.insert_new(field.key(), field.value(), field.expire_at_ms());
        }
        copy
    }
}

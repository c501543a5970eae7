//! The hash table under everything: 64-byte buckets with one-byte tags, growing bucket by bucket.
//!
//! It grows by linear hashing (Litwin, VLDB 1980): there are `n` buckets, any number; item of hash
//! h lives in bucket `h mod 2^L+1` if that exists, else `h mod 2^L`, where 2^L <= n < 2^L+1. An insertion
//! into a full table splits one bucket, a removal from a sparse one merges one, so no operation
//! pauses for the rest, and the table is always about as full as is good for it.
//!
//! Buckets live in segments of [`SEGMENT`] that never move; the first alone grows step by step, so
//! that small tables are small. (One array that grows by reallocation was tried: freed arrays of
//! every size were left behind, and a million keys took 10 bytes each more.) SCAN goes through the
//! buckets in the order of their reversed index bits, so a cursor survives growth and shrinking:
//! every item that is there from the first to the last call is returned.
//!
//! What this is not: it has no lock, and it does not decide which bytes are the key; [`Item`] does.
//!
//! Invariants: an item is in the bucket its hash names or in the chain behind it; of a chain only
//! the last bucket may have free positions, and those behind the first have two items at least; `len`
//! counts items.

use super::bucket::{AnyBucket, Bucket, SLOTS, STORED_HASH_BITS, Slot, tag_of};
use super::bytes::are_equal;
use smallvec::SmallVec;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Buckets of a segment: 1 KB.
const SEGMENT: usize = 16;
/// Above so many items a bucket, the table grows. Measured with a million keys and more: 7, 8 and 10
/// cost 12.3, 11.8 and 11.4 bytes a key; a look-up takes two instructions more from one to the next,
/// and in 24, 30 and 42 of 100 cases a second bucket.
const LOAD_MAX: usize = 8;
/// Below so many items a bucket, the table shrinks.
const LOAD_MIN: usize = 3;

/// What a table holds: an owned thin pointer to something that carries its key.
///
/// # Safety
/// `into_raw` gives an address below 2^48, not null, and `from_raw` undoes it. (The low bits are the
/// item's own: the table never follows the address.) `key` must not change while the item is in a
/// table.
pub unsafe trait Item {
    /// Gives up ownership.
    fn into_raw(self) -> *mut u8;
    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and was not taken back since.
    unsafe fn from_raw(raw: *mut u8) -> Self;
    /// The bytes that the item is found by.
    fn key(&self) -> &[u8];
}

/// A borrowed item.
pub struct ItemRef<'a, E>(ManuallyDrop<E>, PhantomData<&'a E>);

impl<E> Deref for ItemRef<'_, E> {
    type Target = E;
    #[inline]
    fn deref(&self) -> &E {
        &self.0
    }
}

impl<'a, E: Item> ItemRef<'a, E> {
    /// # Safety
    /// `slot` holds an item that lives and is not written to for `'a`.
    #[inline]
    unsafe fn new(slot: Slot) -> Self {
        // SAFETY: the slot's item came from `into_raw`; `ManuallyDrop` keeps the table its owner.
        ItemRef(ManuallyDrop::new(unsafe { E::from_raw(slot.item()) }), PhantomData)
    }
}

/// Where an item stands.
struct Location {
    head: usize,
    bucket: *mut Bucket,
    position: usize,
}

type Chain = SmallVec<[(u8, Slot); 2 * SLOTS]>;

/// See the module's text.
pub struct Table<E: Item> {
    segments: Vec<*mut Bucket>,
    /// A table with more would not fit into the memory of any machine.
    n_buckets: u32,
    /// The bits of a hash that choose among as many buckets, rounded up to a power of two.
    mask: u32,
    len: usize,
    /// What buckets behind others take, in words.
    n_chained_words: u32,
    /// Buckets that the first segment has room for.
    first_capacity: u32,
    items: PhantomData<E>,
}

// SAFETY: a table owns its items and buckets alone.
unsafe impl<E: Item + Send> Send for Table<E> {}
// SAFETY: `&Table` only reads.
unsafe impl<E: Item + Sync> Sync for Table<E> {}

impl<E: Item> Default for Table<E> {
    fn default() -> Self {
        Table::new()
    }
}

impl<E: Item> Table<E> {
    /// A table without items; takes no memory.
    pub const fn new() -> Self {
        Table {
            segments: Vec::new(),
            n_buckets: 0,
            mask: 0,
            len: 0,
            n_chained_words: 0,
            first_capacity: 0,
            items: PhantomData,
        }
    }

    /// Number of items.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of buckets, without those of chains. SCAN visits so many.
    pub fn n_buckets(&self) -> usize {
        self.n_buckets as usize
    }

    /// Bytes of the table itself, without its items.
    pub fn mem_bytes(&self) -> usize {
        let further = self.segments.len().saturating_sub(1) * SEGMENT;
        let buckets = self.first_capacity as usize + further;
        let links = self.segments.capacity() * size_of::<*mut Bucket>();
        buckets * size_of::<Bucket>() + links + self.chained_bytes()
    }

    /// Bytes of buckets that stand behind another because it was full.
    pub fn chained_bytes(&self) -> usize {
        self.n_chained_words as usize * size_of::<usize>()
    }

    /// Items in the chain of bucket `index`.
    pub fn chain_len(&self, index: usize) -> usize {
        self.chain(index).map(|bucket| bucket.occupied().count()).sum()
    }

    /// The item with this key. `hash` is the key's.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<ItemRef<'_, E>> {
        let (_, slot) = self.find(hash, key)?;
        // SAFETY: an item of the table, which lives as long as the table is borrowed.
        Some(unsafe { ItemRef::new(slot) })
    }

    /// The place of the item with this key, for changing or removing it.
    #[inline]
    pub fn occupied(&mut self, hash: u64, key: &[u8]) -> Option<Occupied<'_, E>> {
        let (location, _) = self.find(hash, key)?;
        Some(Occupied { table: self, location })
    }

    /// Adds an item whose key is not in the table. `hash` is its key's; `flag` is the caller's.
    pub fn insert_new(&mut self, hash: u64, item: E, flag: bool) {
        if self.n_buckets == 0 {
            self.push_bucket();
        }
        let bucket = self.bucket(self.index(hash));
        self.push_into(bucket, tag_of(hash), Slot::new(item.into_raw(), hash, flag));
        self.len += 1;
        if self.len > self.n_buckets() * LOAD_MAX {
            self.split_one();
        }
    }

    /// Calls `visit` with each item of one bucket (or two) and returns the cursor of the next call,
    /// 0 at the end. Begin with 0.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(&E)) -> u64 {
        if self.n_buckets == 0 {
            return 0;
        }
        let level = 1usize << self.n_buckets().ilog2();
        let index = (cursor as usize) & (level - 1);
        self.visit_chain(index, &mut visit);
        if index + level < self.n_buckets() {
            self.visit_chain(index + level, &mut visit);
        }
        next_cursor(cursor, level)
    }

    /// As [`Table::scan`], for a walk that visits every item once: those that are marked are not
    /// visited, nor those that it has visited before the table shrank. Takes all marks away that it
    /// comes across.
    pub fn scan_once(&mut self, cursor: u64, mut visit: impl FnMut(&E)) -> u64 {
        if self.n_buckets == 0 {
            return 0;
        }
        let level = 1usize << self.n_buckets().ilog2();
        let first = cursor as usize & (level - 1);
        let has_shrunk = cursor != first as u64;
        let second = Some(first + level).filter(|index| *index < self.n_buckets());
        for index in std::iter::once(first).chain(second) {
            let mut at = self.bucket(index);
            while !at.is_null() {
                // SAFETY: a bucket of this table, which is borrowed mutably.
                let bucket = unsafe { &mut *AnyBucket::at(at) };
                for position in bucket.occupied() {
                    let slot = bucket.slot(position);
                    // SAFETY: as in `iter`.
                    let item = unsafe { ItemRef::<E>::new(slot) };
                    if slot.mark() {
                        bucket.set_slot(position, slot.with_mark(false));
                    } else if !has_shrunk || !was_scanned(crate::hash::hash(item.key()), cursor) {
                        visit(&item);
                    }
                }
                at = bucket.next();
            }
        }
        next_cursor(cursor, level)
    }

    /// As [`Table::scan`], bucket after bucket until `n_items` were met; a sparse table ends the call
    /// after ten times as many buckets, as in the reference.
    pub fn scan_many(&self, mut cursor: u64, n_items: usize, mut visit: impl FnMut(&E)) -> u64 {
        let (mut n_met, mut n_steps) = (0, 0);
        loop {
            cursor = self.scan(cursor, |item| {
                n_met += 1;
                visit(item);
            });
            n_steps += 1;
            if cursor == 0 || n_met >= n_items || n_steps > n_items.saturating_mul(10) {
                return cursor;
            }
        }
    }

    /// All items, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = ItemRef<'_, E>> {
        let chain = |index| {
            self.prefetch_chain(index + 1);
            self.chain(index)
        };
        (0..self.n_buckets()).flat_map(chain).flat_map(|bucket| {
            bucket.occupied().map(|position| {
                // SAFETY: occupied positions hold items, which live as long as the table is borrowed.
                unsafe { ItemRef::new(bucket.slot(position)) }
            })
        })
    }

    /// An item drawn with equal chances; `random` gives numbers below its argument.
    pub fn random(&self, mut random: impl FnMut(usize) -> usize) -> Option<ItemRef<'_, E>> {
        if self.len == 0 {
            return None;
        }
        // Each draw of a bucket and a position hits each item alike; most miss.
        const POSITIONS: usize = 4 * SLOTS;
        for _ in 0..200 {
            let (index, position) = (random(self.n_buckets()), random(POSITIONS));
            if let Some(bucket) = self.chain(index).nth(position / SLOTS)
                && bucket.tag(position % SLOTS) != 0
            {
                // SAFETY: as in `iter`.
                return Some(unsafe { ItemRef::new(bucket.slot(position % SLOTS)) });
            }
        }
        let n_skipped = random(self.len);
        self.iter().nth(n_skipped)
    }

    /// Goes through the flagged items of bucket `index` and takes out those that `take` accepts; it
    /// is told whether they are marked.
    ///
    /// The table does not shrink by this; call [`Table::shrink`] after the last bucket.
    pub fn take_flagged(&mut self, index: usize, mut take: impl FnMut(&E, bool) -> bool) -> Vec<E> {
        let mut taken = Vec::new();
        let any = self
            .chain(index)
            .any(|bucket| bucket.occupied().any(|position| bucket.slot(position).flag()));
        if !any {
            return taken;
        }
        let mut kept = self.empty_chain(index);
        kept.retain(|(_, slot)| {
            // SAFETY: the slot was an item's; nothing else refers to it now.
            let is_taken = slot.flag() && take(&*unsafe { ItemRef::<E>::new(*slot) }, slot.mark());
            if is_taken {
                // SAFETY: the slot leaves the table, so ownership passes to `taken`.
                taken.push(unsafe { E::from_raw(slot.item()) });
            }
            !is_taken
        });
        self.len -= taken.len();
        self.fill(self.bucket(index), &kept);
        taken
    }

    /// Gives back buckets that removals made superfluous.
    pub fn shrink(&mut self) {
        if self.len == 0 {
            self.free_buckets();
        }
        while self.n_buckets() > 1 && self.len < self.n_buckets() * LOAD_MIN {
            self.merge_one();
        }
    }

    /// Asks the processor to fetch the bucket of this hash.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if self.n_buckets != 0 {
            prefetch_line(self.bucket(self.index(hash)).cast());
        }
    }

    /// Asks the processor to fetch the items that may have this hash.
    #[inline]
    pub fn prefetch_items(&self, hash: u64) {
        if self.n_buckets == 0 {
            return;
        }
        // SAFETY: the bucket exists; prefetching has no effect that could be wrong.
        let bucket: &AnyBucket = unsafe { &*self.bucket(self.index(hash)) };
        for position in bucket.candidates(tag_of(hash)) {
            let item = bucket.slot(position).item();
            prefetch_line(item);
            // Most entries end in the next line.
            prefetch_line(item.wrapping_add(LINE_BYTES));
        }
        if bucket.is_chained() {
            prefetch_line(bucket.next().cast());
        }
    }

    /// Asks the processor to fetch buckets and items of these keys, all on their way at once.
    pub fn prefetch_keys<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let hashes: SmallVec<[u64; 32]> = keys.map(crate::hash::hash).collect();
        hashes.iter().for_each(|hash| self.prefetch_bucket(*hash));
        hashes.iter().for_each(|hash| self.prefetch_items(*hash));
    }

    /// Asks the processor to fetch the items of a bucket, if it exists.
    #[inline]
    fn prefetch_chain(&self, index: usize) {
        if index < self.n_buckets() {
            // SAFETY: the bucket exists; prefetching has no effect that could be wrong.
            let bucket: &AnyBucket = unsafe { &*self.bucket(index) };
            bucket.occupied().for_each(|position| prefetch_line(bucket.slot(position).item()));
        }
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        let index = hash as u32 & self.mask;
        let index = if index < self.n_buckets { index } else { index & self.mask >> 1 };
        index as usize
    }

    #[inline]
    fn bucket(&self, index: usize) -> *mut Bucket {
        debug_assert!(index < self.n_buckets());
        // SAFETY: the segments have room for `n_buckets` buckets.
        unsafe { self.segments[index / SEGMENT].add(index % SEGMENT) }
    }

    #[inline(always)] // into both that look for one item
    fn find(&self, hash: u64, key: &[u8]) -> Option<(Location, Slot)> {
        if self.n_buckets == 0 {
            return None;
        }
        let head = self.index(hash);
        let tag = tag_of(hash);
        let mut at = self.bucket(head);
        // SAFETY: a bucket of the table, read only while the table is borrowed. It has all slots.
        let mut bucket: &AnyBucket = unsafe { &*at };
        loop {
            for position in bucket.candidates(tag) {
                let slot = bucket.slot(position);
                if !slot.agrees_with(hash) {
                    continue;
                }
                // SAFETY: a position with a tag holds an item of the table.
                let item = unsafe { ItemRef::<E>::new(slot) };
                if are_equal(item.key(), key) {
                    return Some((Location { head, bucket: at, position }, slot));
                }
            }
            at = bucket.next();
            if at.is_null() {
                return None;
            }
            // SAFETY: as above, of any number of slots.
            bucket = unsafe { &*AnyBucket::at(at) };
        }
    }

    /// The buckets of a chain, first to last.
    fn chain(&self, index: usize) -> impl Iterator<Item = &AnyBucket> {
        let mut next = self.bucket(index);
        std::iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            // SAFETY: a bucket of the table, which is borrowed.
            let bucket = unsafe { &*AnyBucket::at(next) };
            next = bucket.next();
            Some(bucket)
        })
    }

    fn visit_chain(&self, index: usize, visit: &mut impl FnMut(&E)) {
        for bucket in self.chain(index) {
            for position in bucket.occupied() {
                // SAFETY: as in `iter`.
                visit(&*unsafe { ItemRef::<E>::new(bucket.slot(position)) });
            }
        }
    }

    /// The last bucket of the chain that begins with `head`, and the one in front of it, or null.
    fn last_of(&self, head: *mut Bucket) -> (*mut Bucket, *mut Bucket) {
        let (mut front, mut last) = (std::ptr::null_mut(), head);
        loop {
            // SAFETY: a bucket of this table, which is borrowed.
            let next = unsafe { &*AnyBucket::at(last) }.next();
            if next.is_null() {
                return (front, last);
            }
            (front, last) = (last, next);
        }
    }

    /// Puts a slot at the end of the chain that begins with `head`.
    fn push_into(&mut self, head: *mut Bucket, tag: u8, slot: Slot) {
        let (front, last) = self.last_of(head);
        // SAFETY: a bucket of this table, which is borrowed mutably.
        let bucket = unsafe { &mut *AnyBucket::at(last) };
        match bucket.free() {
            Some(position) => bucket.put(position, tag, slot),
            None if bucket.n_slots() == SLOTS => self.push_behind(last, tag, slot),
            None => {
                let position = bucket.n_slots();
                // SAFETY: a bucket behind another; the one in front learns where it is now.
                let wider = unsafe { AnyBucket::widened(last) };
                self.relink(front, position, wider);
                // SAFETY: as above.
                unsafe { &mut *AnyBucket::at(wider) }.put(position, tag, slot);
            }
        }
    }

    /// Puts a slot into a bucket of its own behind the last one, together with the last item of
    /// that, in whose place the link comes.
    fn push_behind(&mut self, last: *mut Bucket, tag: u8, slot: Slot) {
        // SAFETY: a bucket of this table, which is borrowed mutably.
        let bucket = unsafe { &mut *AnyBucket::at(last) };
        let moved = (bucket.tag(SLOTS - 1), bucket.slot(SLOTS - 1));
        bucket.clear(SLOTS - 1);
        let next = self.add_behind(bucket, 2);
        self.fill(next, &[moved, (tag, slot)]);
    }

    /// Adds a bucket for so many items behind a last one, whose last position is free.
    fn add_behind(&mut self, last: &mut AnyBucket, n_items: usize) -> *mut Bucket {
        let next = AnyBucket::with_room_for(n_items);
        last.set_next(next);
        // SAFETY: it was made just now.
        self.n_chained_words += words_of(unsafe { &*AnyBucket::at(next) });
        next
    }

    /// Puts slots into the bucket `first`, which is empty, and behind it what it has no room for.
    fn fill(&mut self, first: *mut Bucket, mut slots: &[(u8, Slot)]) {
        let mut at = first;
        loop {
            // SAFETY: a bucket of this table, which is borrowed mutably.
            let bucket = unsafe { &mut *AnyBucket::at(at) };
            let n_here = if slots.len() > SLOTS { SLOTS - 1 } else { slots.len() };
            let (here, behind) = slots.split_at(n_here);
            for (position, (tag, slot)) in here.iter().enumerate() {
                bucket.put(position, *tag, *slot);
            }
            if behind.is_empty() {
                return;
            }
            at = self.add_behind(bucket, behind.len());
            slots = behind;
        }
    }

    /// Tells a bucket that the one behind it, which had `n_slots_before`, is at another address.
    fn relink(&mut self, front: *mut Bucket, n_slots_before: usize, address: *mut Bucket) {
        // SAFETY: buckets of this table, which is borrowed mutably.
        let (front, behind) = unsafe { (&mut *AnyBucket::at(front), &*AnyBucket::at(address)) };
        front.set_next(address);
        self.n_chained_words += behind.n_slots() as u32;
        self.n_chained_words -= n_slots_before as u32;
    }

    /// Takes all slots out of a chain and frees the buckets behind the first.
    fn empty_chain(&mut self, index: usize) -> Chain {
        let mut slots = Chain::new();
        let head = self.bucket(index);
        let mut at = head;
        while !at.is_null() {
            // SAFETY: a bucket of this table, which is borrowed mutably.
            let bucket = unsafe { &*AnyBucket::at(at) };
            slots.extend(bucket.occupied().map(|p| (bucket.tag(p), bucket.slot(p))));
            let next = bucket.next();
            if at != head {
                self.n_chained_words -= words_of(bucket);
                // SAFETY: it stood behind another, and has just been left out.
                unsafe { AnyBucket::give_back(at) };
            }
            at = next;
        }
        // SAFETY: as above; nothing is in it, nor behind it, any more.
        unsafe { head.write(Bucket::EMPTY) };
        slots
    }

    /// Adds a bucket and moves into it what belongs there: about half of one other bucket.
    fn split_one(&mut self) {
        let level = self.n_buckets.ilog2();
        let source = self.n_buckets() - (1 << level);
        let mut slots = self.empty_chain(source);
        self.push_bucket();
        let mut n_low = 0;
        for index in 0..slots.len() {
            if !hash_bit::<E>(slots[index].1, level) {
                slots.swap(index, n_low);
                n_low += 1;
            }
        }
        let (low, high) = slots.split_at(n_low);
        self.fill(self.bucket(source), low);
        self.fill(self.bucket(self.n_buckets() - 1), high);
    }

    /// Removes the last bucket; what it held goes back to the bucket it was split from.
    fn merge_one(&mut self) {
        let last = self.n_buckets() - 1;
        let target = last - (1 << last.ilog2());
        let mut slots = self.empty_chain(last);
        self.pop_bucket();
        slots.extend(self.empty_chain(target));
        self.fill(self.bucket(target), &slots);
    }

    fn set_n_buckets(&mut self, n_buckets: usize) {
        self.n_buckets = u32::try_from(n_buckets).expect("fewer than 2^31 buckets");
        self.mask = self.n_buckets.next_power_of_two().wrapping_sub(1);
    }

    fn push_bucket(&mut self) {
        let index = self.n_buckets();
        if index < SEGMENT {
            if index == self.first_capacity as usize {
                self.resize_first((index * 2).clamp(1, SEGMENT));
            }
        } else if index.is_multiple_of(SEGMENT) {
            // SAFETY: the layout is not empty.
            let segment = unsafe { alloc(layout_of(SEGMENT)) }.cast::<Bucket>();
            assert_allocated(segment, SEGMENT);
            self.segments.push(segment);
        }
        self.set_n_buckets(index + 1);
        // SAFETY: there is room for the bucket, which held nothing.
        unsafe { self.bucket(index).write(Bucket::EMPTY) };
    }

    fn pop_bucket(&mut self) {
        self.set_n_buckets(self.n_buckets() - 1);
        if self.n_buckets() >= SEGMENT {
            if self.n_buckets().is_multiple_of(SEGMENT)
                && let Some(segment) = self.segments.pop()
            {
                // SAFETY: allocated with this layout in `push_bucket`; its buckets are empty.
                unsafe { dealloc(segment.cast(), layout_of(SEGMENT)) };
                if self.segments.len() * 4 < self.segments.capacity() {
                    self.segments.shrink_to(self.segments.len() * 2);
                }
            }
        } else if self.n_buckets() * 2 <= self.first_capacity as usize {
            self.resize_first(self.n_buckets());
        }
    }

    /// Moves the first segment into an allocation of `capacity` buckets, which is not 0.
    fn resize_first(&mut self, capacity: usize) {
        let new = match self.segments.first() {
            // SAFETY: the layout is not empty.
            None => unsafe { alloc(layout_of(capacity)) },
            Some(first) => {
                let old = layout_of(self.first_capacity as usize);
                // SAFETY: allocated with this layout; the new size is not 0 and small.
                unsafe { realloc(first.cast(), old, capacity * size_of::<Bucket>()) }
            }
        };
        assert_allocated(new.cast(), capacity);
        self.first_capacity = capacity as u32;
        self.segments.truncate(0);
        self.segments.push(new.cast());
    }

    /// Frees all buckets. They must be empty.
    fn free_buckets(&mut self) {
        debug_assert_eq!(self.n_chained_words, 0);
        for (index, segment) in std::mem::take(&mut self.segments).into_iter().enumerate() {
            let n_buckets = if index == 0 { self.first_capacity as usize } else { SEGMENT };
            // SAFETY: allocated with this layout in `push_bucket` or `resize_first`.
            unsafe { dealloc(segment.cast(), layout_of(n_buckets)) };
        }
        self.first_capacity = 0;
        self.set_n_buckets(0);
    }

    /// Takes the item at `location` out.
    fn remove(&mut self, location: &Location) -> E {
        // SAFETY: `location` was found in this table, which is borrowed mutably and unchanged since.
        let bucket = unsafe { &mut *AnyBucket::at(location.bucket) };
        let slot = bucket.slot(location.position);
        bucket.clear(location.position);
        self.len -= 1;
        self.close_gap(location);
        // SAFETY: the slot left the table, so ownership passes to the caller.
        unsafe { E::from_raw(slot.item()) }
    }

    /// Fills the free position at `location` from the end of its chain.
    fn close_gap(&mut self, location: &Location) {
        let (front, last) = self.last_of(self.bucket(location.head));
        if front.is_null() {
            return;
        }
        if location.bucket != last {
            let (tag, slot) = self.pop_from(last);
            // SAFETY: a bucket of this table, which is borrowed mutably.
            unsafe { &mut *AnyBucket::at(location.bucket) }.put(location.position, tag, slot);
        }
        // SAFETY: as above.
        let bucket = unsafe { &*AnyBucket::at(last) };
        let n_slots = bucket.n_slots();
        if bucket.occupied().count() > 1 {
            // SAFETY: a bucket behind another; the one in front learns where it is now.
            let narrower = unsafe { AnyBucket::narrowed(last) };
            return self.relink(front, n_slots, narrower);
        }
        self.n_chained_words -= words_of(bucket);
        let (tag, slot) = self.pop_from(last);
        // SAFETY: as above; nobody needs the last bucket any more.
        unsafe {
            AnyBucket::give_back(last);
            let front = &mut *AnyBucket::at(front);
            front.clear_next();
            front.put(SLOTS - 1, tag, slot);
        }
    }

    /// Takes an item out of a bucket that has one.
    fn pop_from(&mut self, bucket: *mut Bucket) -> (u8, Slot) {
        // SAFETY: a bucket of this table, which is borrowed mutably.
        let bucket = unsafe { &mut *AnyBucket::at(bucket) };
        let position = bucket.occupied().next().expect("buckets behind others have items");
        let taken = (bucket.tag(position), bucket.slot(position));
        bucket.clear(position);
        taken
    }

    /// Checks every invariant. For tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.check_chains();
        for index in 0..self.n_buckets() {
            for bucket in self.chain(index) {
                for position in bucket.occupied() {
                    // SAFETY: as in `iter`.
                    let item = unsafe { ItemRef::<E>::new(bucket.slot(position)) };
                    let hash = crate::hash::hash(item.key());
                    assert_eq!(self.index(hash), index);
                    assert_eq!(bucket.tag(position), tag_of(hash));
                    assert!(bucket.slot(position).agrees_with(hash));
                }
            }
        }
        assert!(self.n_buckets == 0 || self.len <= self.n_buckets() * LOAD_MAX);
    }

    /// Checks all that does not depend on hashes.
    #[cfg(test)]
    pub(crate) fn check_chains(&self) {
        let (mut len, mut n_chained_words) = (0, 0);
        for index in 0..self.n_buckets() {
            for (nth, bucket) in self.chain(index).enumerate() {
                let n_items = bucket.occupied().count();
                assert!(!bucket.is_chained() || n_items == SLOTS - 1);
                assert!(nth == 0 || n_items >= 2 && n_items <= bucket.n_slots());
                n_chained_words += if nth == 0 { 0 } else { words_of(bucket) };
                len += n_items;
            }
        }
        assert_eq!((len, n_chained_words), (self.len, self.n_chained_words));
    }
}

impl<E: Item> Drop for Table<E> {
    fn drop(&mut self) {
        for index in 0..self.n_buckets() {
            for (_, slot) in self.empty_chain(index) {
                // SAFETY: the slot left the table; nothing else owns its item.
                drop(unsafe { E::from_raw(slot.item()) });
            }
        }
        self.free_buckets();
    }
}

/// An item in its place.
pub struct Occupied<'a, E: Item> {
    table: &'a mut Table<E>,
    location: Location,
}

impl<'a, E: Item> Occupied<'a, E> {
    /// The item.
    #[inline]
    pub fn get(&self) -> ItemRef<'_, E> {
        // SAFETY: the place of an item of the borrowed table.
        unsafe { ItemRef::new(self.slot()) }
    }

    /// The item, for as long as the table was borrowed.
    pub fn into_ref(self) -> ItemRef<'a, E> {
        // SAFETY: as in `get`; the table stays borrowed for `'a`.
        unsafe { ItemRef::new(self.slot()) }
    }

    /// Lets `change` make another item of this one. The key must stay the same.
    ///
    /// A panic in `change` ends the process: the item would be gone and the table still name it.
    pub fn replace(&mut self, change: impl FnOnce(E) -> E) {
        struct AbortOnPanic;
        impl Drop for AbortOnPanic {
            fn drop(&mut self) {
                std::process::abort();
            }
        }
        let slot = self.slot();
        let guard = AbortOnPanic;
        // SAFETY: the slot's item; it is put back below, or the process ends.
        let item = change(unsafe { E::from_raw(slot.item()) });
        std::mem::forget(guard);
        self.set_slot(slot.with_item(item.into_raw()));
    }

    /// Sets the caller's flag of the item.
    pub fn set_flag(&mut self, flag: bool) {
        self.set_slot(self.slot().with_flag(flag));
    }

    /// Whether a walk has no need to visit the item (see [`Table::scan_once`]).
    #[inline]
    pub fn mark(&self) -> bool {
        self.slot().mark()
    }

    /// Tells a walk that it has no need to visit the item.
    pub fn set_mark(&mut self) {
        self.set_slot(self.slot().with_mark(true));
    }

    /// Takes the item out. The table may shrink by a bucket.
    pub fn remove(self) -> E {
        let item = self.table.remove(&self.location);
        if self.table.len == 0 {
            self.table.free_buckets();
        } else if self.table.n_buckets() > 1 && self.table.len < self.table.n_buckets() * LOAD_MIN {
            self.table.merge_one();
        }
        item
    }

    #[inline]
    fn slot(&self) -> Slot {
        // SAFETY: a bucket of the borrowed table.
        unsafe { AnyBucket::slot_at(self.location.bucket, self.location.position).read() }
    }

    fn set_slot(&mut self, slot: Slot) {
        // SAFETY: a bucket of the table, which is borrowed mutably.
        unsafe { AnyBucket::slot_at(self.location.bucket, self.location.position).write(slot) };
    }
}

/// The cursor after one at which buckets of a table of this level were visited.
fn next_cursor(cursor: u64, level: usize) -> u64 {
    // Adds 1 to the index with its bits reversed: "a before b" then holds in every table size.
    ((cursor | !(level as u64 - 1)).reverse_bits().wrapping_add(1)).reverse_bits()
}

/// Whether a scan that has come to `cursor` has visited the items of this hash: it goes in the order
/// of the reversed bits of hashes.
#[inline]
pub fn was_scanned(hash: u64, cursor: u64) -> bool {
    hash.reverse_bits() < cursor.reverse_bits()
}

/// Bit number `level` of the hash of the item in `slot`.
fn hash_bit<E: Item>(slot: Slot, level: u32) -> bool {
    let hash = if level < STORED_HASH_BITS {
        slot.stored_hash()
    } else {
        // SAFETY: the slot holds an item that its table still owns.
        crate::hash::hash(unsafe { ItemRef::<E>::new(slot) }.key())
    };
    hash >> level & 1 == 1
}

/// Memory of a bucket behind another, in words.
fn words_of(bucket: &AnyBucket) -> u32 {
    1 + bucket.n_slots() as u32
}

/// Each bucket is a cache line.
fn layout_of(n_buckets: usize) -> Layout {
    Layout::from_size_align(n_buckets * size_of::<Bucket>(), size_of::<Bucket>())
        .expect("a segment is small")
}

fn assert_allocated(bucket: *mut Bucket, n_buckets: usize) {
    if bucket.is_null() {
        handle_alloc_error(layout_of(n_buckets));
    }
}

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

#[inline]
fn prefetch_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: prefetching never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

#[cfg(test)]
mod tests;

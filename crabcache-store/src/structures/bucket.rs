//! One bucket of the hash table: 64 bytes, a cache line, seven items.
//!
//! ```text
//! meta  : tag0 tag1 tag2 tag3 tag4 tag5 tag6 state      (one byte each)
//! slots : seven words: 14 hash bits | 2 flag bits | 48 address bits
//! ```
//!
//! A tag is eight bits of the item's hash, never 0: a tag of 0 marks a free slot. So a look-up
//! touches an item only if 8 + 14 hash bits agree, and a table can be split without touching the
//! items at all while 14 bits tell their place. When seven items are not enough, the last slot
//! becomes the address of another bucket (`state` says so), and so on. Most of those hold two or
//! three items: they have three slots at first, then five, then seven (`state` says that, too).
//!
//! What this is not: it knows neither keys nor hashing; `table.rs` does.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// Items of a bucket that has no further bucket behind it.
pub(crate) const SLOTS: usize = 7;
/// Slots of the smallest bucket behind another, and by how many it grows: 32, 48 and 64 bytes.
const SLOTS_MIN: usize = 3;
const SLOTS_STEP: usize = 2;

const ADDRESS_BITS: u32 = 48;
const ADDRESS_MASK: usize = (1 << ADDRESS_BITS) - 1;
const FLAG: usize = 1 << ADDRESS_BITS;
const MARK: usize = 1 << (ADDRESS_BITS + 1);
/// Low hash bits that a slot keeps.
pub(crate) const STORED_HASH_BITS: u32 = 14;
const STORED_HASH_SHIFT: u32 = ADDRESS_BITS + 2;

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
/// The high bit of each tag; not of the state byte.
const TAG_HIGH_BITS: u64 = 0x0080_8080_8080_8080;
/// The other seven bits of each tag.
const TAG_REST_BITS: u64 = 0x007f_7f7f_7f7f_7f7f;
const CHAINED: u64 = 1 << 56;
/// Where the state byte tells how many steps of slots are missing.
const MISSING_SHIFT: u32 = 57;

/// An item's address with 14 bits of its hash, a flag and a mark in the bits that addresses leave
/// free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(*mut u8);

impl Slot {
    pub(crate) fn new(item: *mut u8, hash: u64, flag: bool) -> Self {
        let bits = (hash as usize) << STORED_HASH_SHIFT;
        Slot(item.map_addr(|address| {
            assert!(address & !ADDRESS_MASK == 0, "addresses of data have 48 bits");
            address | bits | if flag { FLAG } else { 0 }
        }))
    }

    #[inline]
    pub(crate) fn item(self) -> *mut u8 {
        self.0.map_addr(|address| address & ADDRESS_MASK)
    }

    /// The low [`STORED_HASH_BITS`] bits of the item's hash.
    #[inline]
    pub(crate) fn stored_hash(self) -> u64 {
        (self.0.addr() >> STORED_HASH_SHIFT) as u64
    }

    #[inline]
    pub(crate) fn agrees_with(self, hash: u64) -> bool {
        self.stored_hash() == hash & ((1 << STORED_HASH_BITS) - 1)
    }

    #[inline]
    pub(crate) fn flag(self) -> bool {
        self.0.addr() & FLAG != 0
    }

    #[must_use]
    pub(crate) fn with_flag(self, flag: bool) -> Self {
        Slot(self.0.map_addr(|bits| (bits & !FLAG) | if flag { FLAG } else { 0 }))
    }

    /// The other flag: whether a walk has no need to visit the item.
    #[inline]
    pub(crate) fn mark(self) -> bool {
        self.0.addr() & MARK != 0
    }

    #[must_use]
    pub(crate) fn with_mark(self, mark: bool) -> Self {
        Slot(self.0.map_addr(|bits| (bits & !MARK) | if mark { MARK } else { 0 }))
    }

    #[must_use]
    pub(crate) fn with_item(self, item: *mut u8) -> Self {
        let bits = self.0.addr() & !ADDRESS_MASK;
        Slot(item.map_addr(|address| {
            assert!(address & !ADDRESS_MASK == 0, "addresses of data have 48 bits");
            address | bits
        }))
    }
}

/// Tag of an item: the top eight bits of its hash, but never 0.
#[inline]
pub(crate) fn tag_of(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

/// See the module's text. All zero bytes are an empty bucket with all slots.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Bucket<S: ?Sized = [Slot; SLOTS]> {
    meta: u64,
    slots: S,
}

/// A bucket of any number of slots. Its address is that of a whole one, however many it has.
pub(crate) type AnyBucket = Bucket<[Slot]>;

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    pub(crate) const EMPTY: Bucket = Bucket { meta: 0, slots: [Slot(std::ptr::null_mut()); SLOTS] };
}

impl AnyBucket {
    /// The bucket at an address.
    ///
    /// # Safety
    /// One must be there. What the pointer may be used for depends on who owns it.
    #[inline]
    pub(crate) unsafe fn at(address: *mut Bucket) -> *mut AnyBucket {
        // SAFETY: every bucket begins with this word.
        let meta = unsafe { address.cast::<u64>().read() };
        let n_slots = SLOTS - SLOTS_STEP * (meta >> MISSING_SHIFT) as usize;
        std::ptr::slice_from_raw_parts_mut(address.cast::<Slot>(), n_slots) as *mut AnyBucket
    }

    /// A slot of the bucket at an address.
    ///
    /// # Safety
    /// A bucket with this position must be there.
    #[inline]
    pub(crate) unsafe fn slot_at(address: *mut Bucket, position: usize) -> *mut Slot {
        // SAFETY: by the caller's promise. The slots follow a word.
        unsafe { address.cast::<Slot>().add(1 + position) }
    }

    /// An empty bucket in an allocation of its own, with slots for so many items, or all slots.
    pub(crate) fn with_room_for(n_items: usize) -> *mut Bucket {
        let n_steps = n_items.saturating_sub(SLOTS_MIN).div_ceil(SLOTS_STEP);
        AnyBucket::allocate((SLOTS_MIN + n_steps * SLOTS_STEP).min(SLOTS))
    }

    fn allocate(n_slots: usize) -> *mut Bucket {
        let layout = layout_of(n_slots);
        // SAFETY: the layout is not empty.
        let address = unsafe { alloc_zeroed(layout) };
        if address.is_null() {
            handle_alloc_error(layout);
        }
        let n_missing = ((SLOTS - n_slots) / SLOTS_STEP) as u64;
        // SAFETY: a fresh allocation with room for the word.
        unsafe { address.cast::<u64>().write(n_missing << MISSING_SHIFT) };
        address.cast()
    }

    /// Gives back a bucket that `with_room_for` has made. What is in it is forgotten.
    ///
    /// # Safety
    /// Nobody uses the bucket any more.
    pub(crate) unsafe fn give_back(address: *mut Bucket) {
        // SAFETY: a bucket that was allocated with the layout of its slots.
        unsafe { dealloc(address.cast(), layout_of((&*AnyBucket::at(address)).n_slots())) };
    }

    /// A bucket that `with_room_for` has made, with more slots: elsewhere.
    ///
    /// # Safety
    /// Nobody uses the old address any more.
    pub(crate) unsafe fn widened(address: *mut Bucket) -> *mut Bucket {
        // SAFETY: by the caller's promise.
        unsafe { AnyBucket::moved(address, (&*AnyBucket::at(address)).n_slots() + SLOTS_STEP) }
    }

    /// A bucket that `with_room_for` has made, with fewer slots if it can do with them: elsewhere.
    ///
    /// # Safety
    /// As for `widened`. There is no bucket behind this one.
    pub(crate) unsafe fn narrowed(address: *mut Bucket) -> *mut Bucket {
        // SAFETY: by the caller's promise.
        let bucket = unsafe { &*AnyBucket::at(address) };
        let n_slots = bucket.slots.len() - SLOTS_STEP;
        // Not if it would be full: the next insertion would widen it again.
        if n_slots < SLOTS_MIN || bucket.occupied().count() >= n_slots {
            return address;
        }
        // SAFETY: by the caller's promise.
        unsafe { AnyBucket::moved(address, n_slots) }
    }

    /// # Safety
    /// As for `narrowed`, and there are slots for all items.
    unsafe fn moved(address: *mut Bucket, n_slots: usize) -> *mut Bucket {
        let moved = AnyBucket::allocate(n_slots);
        // SAFETY: the old bucket, which is the caller's, and a new one.
        unsafe {
            let (old, new) = (&*AnyBucket::at(address), &mut *AnyBucket::at(moved));
            for (to, from) in old.occupied().enumerate() {
                new.put(to, old.tag(from), old.slot(from));
            }
            AnyBucket::give_back(address);
        }
        moved
    }

    /// Slots of the bucket.
    pub(crate) fn n_slots(&self) -> usize {
        self.slots.len()
    }

    /// Positions whose tag is `tag`.
    #[inline]
    pub(crate) fn candidates(&self, tag: u8) -> Positions {
        Positions(nonzero_tags(self.meta ^ (LOW_BITS * u64::from(tag))) ^ TAG_HIGH_BITS)
    }

    /// Positions of all items.
    #[inline]
    pub(crate) fn occupied(&self) -> Positions {
        Positions(nonzero_tags(self.meta))
    }

    /// The first free position.
    #[inline]
    pub(crate) fn free(&self) -> Option<usize> {
        let end = self.slots.len() - usize::from(self.is_chained());
        self.candidates(0).next().filter(|position| *position < end)
    }

    #[inline]
    pub(crate) fn slot(&self, position: usize) -> Slot {
        self.slots[position]
    }

    #[inline]
    pub(crate) fn set_slot(&mut self, position: usize, slot: Slot) {
        self.slots[position] = slot;
    }

    pub(crate) fn tag(&self, position: usize) -> u8 {
        (self.meta >> (8 * position)) as u8
    }

    pub(crate) fn put(&mut self, position: usize, tag: u8, slot: Slot) {
        debug_assert!(tag != 0 && self.tag(position) == 0);
        self.meta |= u64::from(tag) << (8 * position);
        self.slots[position] = slot;
    }

    pub(crate) fn clear(&mut self, position: usize) {
        self.meta &= !(0xff << (8 * position));
    }

    #[inline]
    pub(crate) fn is_chained(&self) -> bool {
        self.meta & CHAINED != 0
    }

    /// The bucket behind this one, or null.
    #[inline]
    pub(crate) fn next(&self) -> *mut Bucket {
        // Only a bucket with all slots has another behind it.
        if self.is_chained() { self.slots[SLOTS - 1].0.cast() } else { std::ptr::null_mut() }
    }

    /// Makes `next` the bucket behind this one, which has all slots. The last position must be free.
    pub(crate) fn set_next(&mut self, next: *mut Bucket) {
        debug_assert!(self.tag(SLOTS - 1) == 0);
        self.slots[SLOTS - 1] = Slot(next.cast());
        self.meta |= CHAINED;
    }

    /// Makes this the last bucket; its last position is free then.
    pub(crate) fn clear_next(&mut self) {
        self.meta &= !CHAINED;
    }
}

/// The layout of a bucket with an allocation of its own.
fn layout_of(n_slots: usize) -> Layout {
    Layout::array::<u64>(1 + n_slots).expect("a bucket is small")
}

/// Sets the high bit of each tag that is not 0: it is set already, or adding 0x7f to the rest of
/// the tag carries into it.
#[inline]
fn nonzero_tags(meta: u64) -> u64 {
    (((meta & TAG_REST_BITS) + TAG_REST_BITS) | meta) & TAG_HIGH_BITS
}

/// Positions in a bucket, in ascending order.
pub(crate) struct Positions(u64);

impl Iterator for Positions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let position = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_address_hash_and_flag() {
        let item = Box::into_raw(Box::new(7u64)).cast::<u8>();
        let slot = Slot::new(item, 0xffff_ffff_ffff_ffff, false);
        assert_eq!((slot.item(), slot.flag(), slot.stored_hash()), (item, false, 0x3fff));
        let slot = slot.with_flag(true);
        assert!(slot.flag() && slot.item() == item && slot.agrees_with(0x3fff));
        assert!(!slot.with_flag(false).flag() && !slot.agrees_with(0x3ffe));
        assert_eq!(slot.with_item(item), slot);
        let marked = slot.with_mark(true);
        assert!(!slot.mark() && marked.mark() && marked.flag() && marked.item() == item);
        assert_eq!(marked.with_mark(false), slot);
        // SAFETY: made by `Box::into_raw` above.
        drop(unsafe { Box::from_raw(item.cast::<u64>()) });
    }

    #[test]
    fn tags_are_found() {
        let mut bucket = Bucket::EMPTY;
        let bucket: &mut AnyBucket = &mut bucket;
        let slot = Slot(std::ptr::null_mut());
        for position in 0..SLOTS {
            assert_eq!(bucket.free(), Some(position));
            assert_eq!(bucket.occupied().count(), position);
            bucket.put(position, [1, 0x80, 0xff, 0x7f, 1, 0x81, 2][position], slot);
        }
        assert_eq!(bucket.free(), None);
        assert_eq!(bucket.occupied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(bucket.candidates(1).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(bucket.candidates(0xff).collect::<Vec<_>>(), [2]);
        bucket.clear(6);
        bucket.set_next(std::ptr::null_mut());
        assert_eq!((bucket.free(), bucket.is_chained()), (None, true));
        assert_eq!(bucket.occupied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        bucket.clear(3);
        assert_eq!(bucket.free(), Some(3));
        assert_eq!(bucket.candidates(0x80).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn buckets_of_their_own_grow_and_shrink() {
        let slot = |number: usize| Slot(std::ptr::without_provenance_mut(number));
        let mut address = AnyBucket::with_room_for(1);
        // SAFETY: made above and used by nobody else.
        let at = |address| unsafe { &mut *AnyBucket::at(address) };
        for number in 1..=SLOTS {
            if at(address).free().is_none() {
                // SAFETY: as above.
                address = unsafe { AnyBucket::widened(address) };
            }
            let position = at(address).free().unwrap();
            at(address).put(position, number as u8, slot(number));
        }
        assert_eq!((at(address).n_slots(), at(address).free()), (SLOTS, None));
        let mut sizes = Vec::new();
        for position in 0..SLOTS - 1 {
            let first = at(address).occupied().next().unwrap();
            assert_eq!(at(address).slot(first), slot(position + 1));
            at(address).clear(first);
            // SAFETY: as above.
            address = unsafe { AnyBucket::narrowed(address) };
            sizes.push(at(address).n_slots());
        }
        assert_eq!(sizes, [7, 7, 5, 5, 3, 3]);
        // SAFETY: as above.
        unsafe { AnyBucket::give_back(address) };
    }
}

//! One key and all that belongs to it, in one allocation where the value is small.
//!
//! ```text
//! 0..3   access clock, in one word with the next byte: readers set it under a shared lock
//! 3      kind of value, where it is, whether there is an expiry, long lengths; whether it is raw
//! 4      length of the key, and
//! 5      of an embedded value, if both are below 256; or
//! 5..8   an integer of 24 bits
//! [8]    expiry in Unix milliseconds, if there is one
//! [8]    lengths as two u32, if they are long
//! [8|24|16] body: a larger integer, the `Vec` of a long string, or a collection of 8 or 16 bytes
//! ...    the key, then the embedded value
//! ```
//!
//! A 16-byte key takes 24 bytes with a counter up to eight million, 88 with a value of 64; the expiry 8
//! more. Allocation sizes follow from the header alone, so a new value of about the old size is written
//! in place.
//!
//! What this is not: it does not know time, so it never decides that it has expired.

use crate::structures::table::{Item, ItemRef, Occupied};
use crate::types::collection::{Collection, by_kind};
use crate::types::string::{Encoding, Str, StrRef, grown_capacity};
use shape::{
    Body, HAS_EXPIRE, HEADER_BYTES, KEY_LEN_AT, LONG, META_SHIFT, RAW, Shape, VALUE_LEN_AT, small,
    with_small,
};
use std::alloc::{alloc, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

mod shape;

/// Beyond so much effort, freeing an entry is left to another thread.
const LAZY_EFFORT_MIN: usize = 64;

/// The access clock in the header's first word, below what [`Shape::meta`] gives.
const CLOCK_MASK: u32 = (1 << META_SHIFT) - 1;

/// The data types, with the names that TYPE gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A string, whatever its encoding.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    ZSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 5,
    /// A vector set.
    VectorSet = 6,
}

impl Kind {
    #[inline]
    const fn from_number(number: u8) -> Kind {
        match number {
            0 => Kind::String,
            1 => Kind::List,
            2 => Kind::Set,
            3 => Kind::ZSet,
            4 => Kind::Hash,
            5 => Kind::Stream,
            6 => Kind::VectorSet,
            _ => panic!("entries have a kind"),
        }
    }

    /// What TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::ZSet => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
            Kind::VectorSet => "vectorset",
        }
    }
}

/// See the module's text. Owns its allocation.
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its memory alone.
unsafe impl Send for Entry {}
// SAFETY: through `&Entry` only the access clock is written, atomically.
unsafe impl Sync for Entry {}

// SAFETY: allocations are aligned to 8 and user addresses are below 2^48 (the table checks it); the
// key is written once.
unsafe impl Item for Entry {
    #[inline]
    fn into_raw(self) -> *mut u8 {
        ManuallyDrop::new(self).0.as_ptr()
    }

    #[inline]
    unsafe fn from_raw(raw: *mut u8) -> Self {
        // SAFETY: comes from `into_raw`, which never gives null.
        Entry(unsafe { NonNull::new_unchecked(raw) })
    }

    #[inline]
    fn key(&self) -> &[u8] {
        Entry::key(self)
    }
}

impl Entry {
    /// A new entry. `clock` is its access clock.
    pub fn new(key: &[u8], value: Str<'_>, expire_at_ms: Option<i64>, clock: u32) -> Entry {
        let shape = Shape::of_value(key.len(), &value, expire_at_ms.is_some());
        let mut entry = Entry::allocate(shape);
        // SAFETY: a fresh allocation of this shape: all parts are in bounds and nobody else's.
        unsafe {
            entry.at(0).cast::<u32>().write(clock & CLOCK_MASK);
            entry.write_head(shape, false);
            entry.at(shape.key_at()).copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        entry.write_expire(expire_at_ms);
        entry.write_value(shape, value);
        entry
    }

    /// A new entry with a collection.
    pub fn with_collection<C: Collection>(
        key: &[u8],
        value: C,
        expire_at_ms: Option<i64>,
        clock: u32,
    ) -> Entry {
        const { assert!(align_of::<C>() <= 8) };
        let has_expire = expire_at_ms.is_some();
        let body = Body::collection(C::KIND);
        let shape = Shape { body, has_expire, key_len: key.len(), value_len: 0 };
        let mut entry = Entry::allocate(shape);
        // SAFETY: a fresh allocation of this shape: all parts are in bounds and nobody else's.
        unsafe {
            entry.at(0).cast::<u32>().write(clock & CLOCK_MASK);
            entry.write_head(shape, false);
            entry.at(shape.body_at()).cast::<C>().write(value);
            entry.at(shape.key_at()).copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        entry.write_expire(expire_at_ms);
        entry
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let meta = self.meta();
        let (at, len) = if meta & LONG == 0 {
            let expire_bytes = if meta & HAS_EXPIRE == 0 { 0 } else { 8 };
            let at = HEADER_BYTES + expire_bytes + Body::of(meta).bytes();
            (at, usize::from(self.byte(KEY_LEN_AT)))
        } else {
            let shape = self.shape();
            (shape.key_at(), shape.key_len)
        };
        // SAFETY: the key's bytes were written when the entry was made.
        unsafe { std::slice::from_raw_parts(self.at(at), len) }
    }

    /// Which data type the value has.
    #[inline]
    pub fn kind(&self) -> Kind {
        Body::of(self.meta()).kind()
    }

    /// The collection, if it is of this type.
    #[inline]
    pub fn collection<C: Collection>(&self) -> Option<&C> {
        // SAFETY: the entry is borrowed as long as the collection.
        (self.kind() == C::KIND).then(|| unsafe { &*self.collection_ptr::<C>() })
    }

    /// # Safety
    /// The entry's kind must be that of the type. What the pointer may be used for depends on how
    /// the entry is borrowed.
    #[inline]
    unsafe fn collection_ptr<C: Collection>(&self) -> *mut C {
        debug_assert_eq!(self.kind(), C::KIND);
        // SAFETY: an entry of this kind has a body of this type.
        unsafe { self.at(self.shape().body_at()).cast() }
    }

    /// The string value.
    ///
    /// # Panics
    /// If it is no string.
    #[inline]
    pub fn string(&self) -> StrRef<'_> {
        let shape = self.shape();
        // SAFETY: the body is of the kind that the header says, and lives as long as the entry.
        unsafe {
            match shape.body {
                Body::EMBEDDED => {
                    let value = self.at(shape.value_at());
                    StrRef::Bytes(std::slice::from_raw_parts(value, shape.value_len))
                }
                Body::SMALL_INT => StrRef::Int(small(self.at(KEY_LEN_AT).cast::<u32>().read())),
                Body::INT => StrRef::Int(self.at(shape.body_at()).cast::<i64>().read()),
                Body::HEAP => StrRef::Bytes(&*self.at(shape.body_at()).cast::<Vec<u8>>()),
                _ => panic!("a collection was taken for a string"),
            }
        }
    }

    /// See [`Collection::prefetch`].
    pub(crate) fn prefetch<'m>(&self, elements: impl Iterator<Item = &'m [u8]>) {
        // SAFETY: the type is that of the kind.
        by_kind!(self.kind(), (), C => unsafe { (*self.collection_ptr::<C>()).prefetch(elements) });
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        // SAFETY: the type is that of the kind.
        by_kind!(self.kind(), self.string_encoding().name(), C => unsafe {
            (*self.collection_ptr::<C>()).encoding()
        })
    }

    fn string_encoding(&self) -> Encoding {
        let shape = self.shape();
        match shape.body {
            Body::SMALL_INT | Body::INT => Encoding::Int,
            Body::EMBEDDED if self.meta() & RAW == 0 => {
                Encoding::of_bytes(shape.key_len, shape.value_len, shape.has_expire)
            }
            _ => Encoding::Raw,
        }
    }

    /// Whether the value is `raw`, and stays so whatever becomes of key and expiry.
    fn is_raw(&self) -> bool {
        self.kind() == Kind::String && self.string_encoding() == Encoding::Raw
    }

    /// Whether the entry is so large that its memory should be given back when no lock is held.
    #[inline]
    pub fn is_costly_to_free(&self) -> bool {
        /// Measured: the allocator gives the pages of a large block back to the system at once. That
        /// takes 0.1 ms for 1 MB, 8 ms for 16 MB, 280 ms for 256 MB.
        const BYTES_MAX: usize = 1 << 20;
        match Body::of(self.meta()) {
            Body::EMBEDDED | Body::SMALL_INT | Body::INT => false,
            Body::HEAP => self.mem_bytes() > BYTES_MAX,
            _ => self.free_effort() > LAZY_EFFORT_MIN,
        }
    }

    /// Whether [`Entry::with_string`] would give back so much memory that it should be done when no
    /// lock is held.
    #[inline]
    pub fn frees_much_for(&self, value: &Str<'_>, has_expire: bool) -> bool {
        self.is_costly_to_free() && !self.has_buffer_for(value, has_expire)
    }

    /// Whether a value can be written into the buffer that the entry has.
    fn has_buffer_for(&self, value: &Str<'_>, has_expire: bool) -> bool {
        let (old, Str::Bytes(bytes)) = (self.shape(), value) else { return false };
        if old.body != Body::HEAP || Shape::of_value(old.key_len, value, has_expire) != old {
            return false;
        }
        // SAFETY: the body is a `Vec`, as the shape says.
        let capacity = unsafe { &*self.at(old.body_at()).cast::<Vec<u8>>() }.capacity();
        // One of about the right size.
        capacity >= bytes.len() && capacity / 2 <= bytes.len()
    }

    /// Whether the reference would free the value on another thread where a command asks for it
    /// (UNLINK); it counts what it has freed so. It never does that with a string.
    pub fn is_freed_lazily(&self) -> bool {
        self.free_effort() > LAZY_EFFORT_MIN
    }

    /// See [`Collection::free_effort`]; 1 for a string.
    fn free_effort(&self) -> usize {
        // SAFETY: the type is that of the kind.
        by_kind!(self.kind(), 1, C => unsafe { (*self.collection_ptr::<C>()).free_effort() })
    }

    /// When the entry expires, in Unix milliseconds.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<i64> {
        if self.meta() & HAS_EXPIRE == 0 {
            return None;
        }
        // SAFETY: the flag says that an expiry follows the header.
        Some(unsafe { self.at(HEADER_BYTES).cast::<i64>().read() })
    }

    /// Before when no element of the value expires, if one ever does (fields of hashes).
    #[inline]
    pub fn next_element_expire_ms(&self) -> Option<i64> {
        // SAFETY: the type is that of the kind.
        by_kind!(self.kind(), None, C => unsafe { (*self.collection_ptr::<C>()).next_expire_ms() })
    }

    /// The access clock: 24 bits, whose meaning is the eviction policy's.
    pub fn clock(&self) -> u32 {
        self.head().load(Ordering::Relaxed) & CLOCK_MASK
    }

    /// Sets the access clock. Needs no exclusive access.
    #[inline]
    pub fn set_clock(&self, clock: u32) {
        let head = self.head().load(Ordering::Relaxed);
        let new = head & !CLOCK_MASK | clock & CLOCK_MASK;
        // A key that all threads read must not travel between their caches for nothing.
        if new != head {
            // Readers change the clock alone, of which a lost update does not matter.
            self.head().store(new, Ordering::Relaxed);
        }
    }

    /// Bytes that the entry takes, with what its value owns.
    pub fn mem_bytes(&self) -> usize {
        self.shape().layout().size() + self.heap_bytes()
    }

    /// Bytes that the value owns outside of the entry.
    pub fn heap_bytes(&self) -> usize {
        let shape = self.shape();
        match shape.body {
            Body::EMBEDDED | Body::SMALL_INT | Body::INT => 0,
            // SAFETY: the body is a `Vec`, as the shape says.
            Body::HEAP => unsafe { &*self.at(shape.body_at()).cast::<Vec<u8>>() }.capacity(),
            // SAFETY: the type is that of the kind.
            _ => by_kind!(self.kind(), 0, C => unsafe {
                (*self.collection_ptr::<C>()).mem_bytes()
            }),
        }
    }

    /// The same entry with another expiry; its value stays.
    pub fn with_expire(mut self, expire_at_ms: Option<i64>) -> Entry {
        let old = self.shape();
        let new = Shape { has_expire: expire_at_ms.is_some(), ..old };
        if old != new {
            let raw = self.is_raw();
            let tail_len = old.total() - old.body_at();
            self = self.moved(old, new, old.body_at(), new.body_at(), tail_len);
            self.write_head(new, raw);
        }
        self.write_expire(expire_at_ms);
        self
    }

    /// The same entry with another value and expiry. Writes in place where the size allows it.
    pub fn with_string(mut self, value: Str<'_>, expire_at_ms: Option<i64>) -> Entry {
        let old = self.shape();
        let new = Shape::of_value(old.key_len, &value, expire_at_ms.is_some());
        if old == new && new.body != Body::HEAP {
            // Nothing moves.
            self.write_head(new, false);
            self.write_expire(expire_at_ms);
            self.write_value(new, value);
            return self;
        }
        if self.has_buffer_for(&value, expire_at_ms.is_some())
            && let Str::Bytes(bytes) = value
        {
            // SAFETY: the body is a `Vec`, as the shape says.
            let buffer = unsafe { &mut *self.at(old.body_at()).cast::<Vec<u8>>() };
            buffer.clear();
            buffer.extend_from_slice(bytes);
            self.write_head(new, false);
            self.write_expire(expire_at_ms);
            return self;
        }
        self.drop_body(old);
        self = self.moved(old, new, old.key_at(), new.key_at(), old.key_len);
        self.write_head(new, false);
        self.write_expire(expire_at_ms);
        self.write_value(new, value);
        self
    }

    /// Lets `edit` change the string in place, after zero bytes were added up to a length of
    /// `len_min`. The value is `raw` afterwards.
    ///
    /// A long string gets room to grow by more than was asked for, so that appending to it again and
    /// again is cheap.
    pub fn edit_string<T>(
        mut self,
        len_min: usize,
        edit: impl FnOnce(&mut [u8]) -> T,
    ) -> (Entry, T) {
        let expire_at_ms = self.expire_at_ms();
        if let StrRef::Int(value) = self.string() {
            let mut text = itoa::Buffer::new();
            self = self.with_string(Str::Bytes(text.format(value).as_bytes()), expire_at_ms);
        }
        let old = self.shape();
        if old.body == Body::HEAP {
            // SAFETY: the body is a `Vec`, as the shape says.
            let buffer = unsafe { &mut *self.at(old.body_at()).cast::<Vec<u8>>() };
            if len_min > buffer.capacity() {
                buffer.reserve_exact(grown_capacity(len_min) - buffer.len());
            }
            buffer.resize(buffer.len().max(len_min), 0);
            let result = edit(buffer);
            self.write_head(old, true);
            return (self, result);
        }
        let value_len = old.value_len.max(len_min);
        let new = Shape::of_len(old.key_len, value_len, old.has_expire);
        if new.body == Body::HEAP {
            let mut buffer = Vec::with_capacity(grown_capacity(value_len));
            buffer.extend_from_slice(&self.string().bytes());
            buffer.resize(value_len, 0);
            let result = edit(&mut buffer);
            return (self.with_string(Str::Raw(buffer), expire_at_ms), result);
        }
        let kept_len = old.key_len + old.value_len;
        self = self.moved(old, new, old.key_at(), new.key_at(), kept_len);
        self.write_head(new, true);
        self.write_expire(expire_at_ms);
        // SAFETY: the value's place in the new shape; its first bytes came along, the rest is zeroed
        // before anybody reads it.
        let value = unsafe {
            let value = self.at(new.value_at());
            value.add(old.value_len).write_bytes(0, value_len - old.value_len);
            std::slice::from_raw_parts_mut(value, value_len)
        };
        let result = edit(value);
        (self, result)
    }

    /// The same entry under another key (RENAME).
    pub fn renamed(self, key: &[u8]) -> Entry {
        let entry = self.copy_as(key);
        // The body moved into the new entry bit by bit: free the memory alone.
        let shape = self.shape();
        let memory = ManuallyDrop::new(self).0;
        // SAFETY: allocated with the layout of the shape it had until now.
        unsafe { dealloc(memory.as_ptr(), shape.layout()) };
        entry
    }

    /// A copy of the entry under another key (COPY).
    pub fn duplicate(&self, key: &[u8]) -> Entry {
        let entry = self.copy_as(key);
        // Nobody may see, let alone drop, the bitwise copy of what belongs to `self`.
        let entry = ManuallyDrop::new(entry);
        let shape = entry.shape();
        if shape.body == Body::HEAP {
            let copy = self.string().to_vec();
            // SAFETY: overwrites the bitwise copy of a `Vec`.
            unsafe { entry.at(shape.body_at()).cast::<Vec<u8>>().write(copy) };
        }
        by_kind!(self.kind(), (), C => {
            // SAFETY: the type is that of the kind, of both entries.
            let copy = unsafe { &*self.collection_ptr::<C>() }.duplicate();
            // SAFETY: overwrites the bitwise copy of the collection.
            unsafe { entry.collection_ptr::<C>().write(copy) };
        });
        ManuallyDrop::into_inner(entry)
    }

    /// A bitwise copy under another key: what the body owns is then owned twice, which the caller
    /// must mend.
    fn copy_as(&self, key: &[u8]) -> Entry {
        let old = self.shape();
        let new = Shape { key_len: key.len(), ..old };
        let mut entry = Entry::allocate(new);
        // SAFETY: two allocations of the given shapes.
        unsafe {
            entry.at(0).copy_from_nonoverlapping(self.at(0), HEADER_BYTES);
            entry.write_head(new, self.is_raw());
            let body = self.at(old.body_at());
            entry.at(new.body_at()).copy_from_nonoverlapping(body, old.body.bytes());
            entry.at(new.key_at()).copy_from_nonoverlapping(key.as_ptr(), key.len());
            let value = self.at(old.value_at());
            entry.at(new.value_at()).copy_from_nonoverlapping(value, old.value_len);
        }
        entry.write_expire(self.expire_at_ms());
        entry
    }

    /// Moves `len` bytes from one place of the old shape to one of the new, into another allocation
    /// if the size class differs. The header comes along; its flags and lengths, expiry and value
    /// are the caller's to write. The body must have been taken or be moved.
    fn moved(self, old: Shape, new: Shape, from: usize, to: usize, len: usize) -> Entry {
        let (old_layout, new_layout) = (old.layout(), new.layout());
        if old_layout == new_layout {
            // SAFETY: both ranges lie in the allocation, which has the size of both shapes.
            unsafe { self.at(to).copy_from(self.at(from), len) };
            return self;
        }
        let entry = Entry::allocate(new);
        let old_memory = ManuallyDrop::new(self).0;
        // SAFETY: two allocations of the given shapes; the old one is freed with its own layout.
        unsafe {
            let old_memory = old_memory.as_ptr();
            entry.at(0).copy_from_nonoverlapping(old_memory, HEADER_BYTES);
            entry.at(to).copy_from_nonoverlapping(old_memory.add(from), len);
            dealloc(old_memory, old_layout);
        }
        entry
    }

    fn allocate(shape: Shape) -> Entry {
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc(shape.layout()) };
        Entry(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(shape.layout())))
    }

    #[inline]
    fn shape(&self) -> Shape {
        let meta = self.meta();
        let body = Body::of(meta);
        let has_expire = meta & HAS_EXPIRE != 0;
        if meta & LONG == 0 {
            let key_len = usize::from(self.byte(KEY_LEN_AT));
            let is_embedded = body == Body::EMBEDDED;
            let value_len = if is_embedded { usize::from(self.byte(VALUE_LEN_AT)) } else { 0 };
            return Shape { body, has_expire, key_len, value_len };
        }
        let lengths_at = HEADER_BYTES + if has_expire { 8 } else { 0 };
        // SAFETY: the flag says that two lengths stand here.
        let [key_len, value_len] = unsafe { self.at(lengths_at).cast::<[u32; 2]>().read() };
        Shape { body, has_expire, key_len: key_len as usize, value_len: value_len as usize }
    }

    /// Writes all of the header but the clock and a small integer, and long lengths.
    fn write_head(&mut self, shape: Shape, raw: bool) {
        let head = self.head().load(Ordering::Relaxed) & CLOCK_MASK;
        let meta = u32::from(shape.meta(raw)) << META_SHIFT;
        self.head().store(head | meta, Ordering::Relaxed);
        // SAFETY: the header is in every entry, and long lengths where the shape has them.
        unsafe {
            self.at(KEY_LEN_AT).write(shape.key_len as u8);
            if shape.body == Body::EMBEDDED {
                self.at(VALUE_LEN_AT).write(shape.value_len as u8);
            }
            if shape.is_long() {
                let lengths = [shape.key_len, shape.value_len]
                    .map(|len| u32::try_from(len).expect("keys are below 4 GB"));
                self.at(shape.lengths_at()).cast::<[u32; 2]>().write(lengths);
            }
        }
    }

    fn write_expire(&mut self, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            debug_assert!(self.meta() & HAS_EXPIRE != 0);
            // SAFETY: the flag says that there is room for it behind the header.
            unsafe { self.at(HEADER_BYTES).cast::<i64>().write(at_ms) };
        }
    }

    /// Writes a value into the place that `shape` has for it; whatever was there is forgotten.
    fn write_value(&mut self, shape: Shape, value: Str<'_>) {
        let raw = matches!(value, Str::Raw(_));
        // SAFETY: `shape` was made for this value, so its place exists.
        unsafe {
            match (shape.body, value) {
                (Body::SMALL_INT, Str::Int(value)) => {
                    let word = with_small(shape.key_len, value);
                    self.at(KEY_LEN_AT).cast::<u32>().write(word);
                }
                (Body::INT, Str::Int(value)) => {
                    self.at(shape.body_at()).cast::<i64>().write(value);
                }
                (Body::HEAP, Str::Raw(buffer)) => {
                    self.at(shape.body_at()).cast::<Vec<u8>>().write(buffer);
                }
                (Body::HEAP, value) => {
                    self.at(shape.body_at()).cast::<Vec<u8>>().write(value.as_bytes().to_vec());
                }
                (_, value) => {
                    let bytes = value.as_bytes();
                    self.at(shape.value_at()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
            }
        }
        if raw {
            self.write_head(shape, true);
        }
    }

    fn drop_body(&mut self, shape: Shape) {
        match shape.body {
            Body::EMBEDDED | Body::SMALL_INT | Body::INT => {}
            // SAFETY: the body is a `Vec`, as the shape says, and is not used again.
            Body::HEAP => unsafe { self.at(shape.body_at()).cast::<Vec<u8>>().drop_in_place() },
            // SAFETY: the type is that of the kind; the collection is not used again.
            _ => by_kind!(self.kind(), (), C => unsafe {
                self.collection_ptr::<C>().drop_in_place();
            }),
        }
    }

    /// The first word of the header: the clock, and what [`Shape::meta`] gives.
    #[inline]
    fn head(&self) -> &AtomicU32 {
        // SAFETY: aligned to 8, written when the entry was made, and since then only atomically.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr().cast()) }
    }

    #[inline]
    fn meta(&self) -> u8 {
        (self.head().load(Ordering::Relaxed) >> META_SHIFT) as u8
    }

    /// A byte of the header's second word.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        debug_assert!((KEY_LEN_AT..HEADER_BYTES).contains(&at));
        // SAFETY: the header is in every entry.
        unsafe { self.at(at).read() }
    }

    /// # Safety
    /// `offset` lies in the allocation.
    #[inline]
    unsafe fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: by the caller's promise.
        unsafe { self.0.as_ptr().add(offset) }
    }
}

impl<'a> ItemRef<'a, Entry> {
    /// The collection, for as long as the entry is borrowed, if it is of this type.
    #[inline]
    pub fn into_collection<C: Collection>(self) -> Option<&'a C> {
        // SAFETY: the table's entry, not this reference to it, owns the collection, and nobody
        // writes to it for `'a`.
        (self.kind() == C::KIND).then(|| unsafe { &*self.collection_ptr::<C>() })
    }
}

impl Occupied<'_, Entry> {
    /// The collection, if it is of this type. It may be changed but not moved out of its entry.
    #[inline]
    pub fn collection_mut<C: Collection>(&mut self) -> Option<&mut C> {
        let entry = self.get();
        // SAFETY: the table and with it the entry are borrowed mutably as long as the collection.
        (entry.kind() == C::KIND).then(|| unsafe { &mut *entry.collection_ptr::<C>() })
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.key().escape_ascii().to_string();
        f.debug_struct("Entry").field("key", &key).field("kind", &self.kind()).finish()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shape = self.shape();
        self.drop_body(shape);
        // SAFETY: allocated with the layout of its shape; `moved` keeps that true.
        unsafe { dealloc(self.0.as_ptr(), shape.layout()) };
    }
}

#[cfg(test)]
mod tests;

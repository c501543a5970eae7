//! One key and all that belongs to it, in one allocation where the value is small.
//!
//! ```text
//! 0..4   access clock (24 bits used), atomic: readers set it under a shared lock
//! 4      kind of value
//! 5      flags: expiry, long lengths, body, raw
//! 6, 7   length of the key and of an embedded value, if both are below 256
//! [8]    expiry in Unix milliseconds, if there is one
//! [8]    lengths as two u32, if they are long
//! [8|24] body: the integer, or the `Vec` of a long string
//! ...    the key, then the embedded value
//! ```
//!
//! A 16-byte key with a 64-byte value takes 88 bytes; the expiry 8 more. Allocation sizes follow
//! from the header alone, so a new value of about the old size is written in place.
//!
//! What this is not: it does not know time, so it never decides that it has expired.

use crate::structures::table::Item;
use crate::types::string::{Encoding, Str, StrRef, grown_capacity};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

const HEADER_BYTES: usize = 8;
const KIND_AT: usize = 4;
const FLAGS_AT: usize = 5;
const KEY_LEN_AT: usize = 6;
const VALUE_LEN_AT: usize = 7;

const HAS_EXPIRE: u8 = 1;
const LONG: u8 = 1 << 1;
const BODY_SHIFT: u8 = 2;
const RAW: u8 = 1 << 4;

const CLOCK_MASK: u32 = 0x00ff_ffff;

/// Entries up to this size hold their string value themselves.
const EMBEDDED_TOTAL_BYTES_MAX: usize = 512;

/// The six data types, with the names that TYPE gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A string, whatever its encoding.
    String = 0,
}

impl Kind {
    /// What TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
        }
    }
}

/// Where the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Behind the key, in the same allocation.
    Embedded = 0,
    /// Eight bytes before the key.
    Int = 1,
    /// A `Vec<u8>` before the key.
    Heap = 2,
}

impl Body {
    fn of(flags: u8) -> Body {
        match flags >> BODY_SHIFT & 3 {
            0 => Body::Embedded,
            1 => Body::Int,
            _ => Body::Heap,
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Body::Embedded => 0,
            Body::Int => 8,
            Body::Heap => size_of::<Vec<u8>>(),
        }
    }
}

/// All that decides the size of an entry and where its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    body: Body,
    has_expire: bool,
    key_len: usize,
    /// 0 unless embedded.
    value_len: usize,
}

impl Shape {
    fn is_long(self) -> bool {
        self.key_len > 255 || self.value_len > 255
    }

    fn lengths_at(self) -> usize {
        HEADER_BYTES + if self.has_expire { 8 } else { 0 }
    }

    fn body_at(self) -> usize {
        self.lengths_at() + if self.is_long() { 8 } else { 0 }
    }

    fn key_at(self) -> usize {
        self.body_at() + self.body.bytes()
    }

    fn value_at(self) -> usize {
        self.key_at() + self.key_len
    }

    fn total(self) -> usize {
        self.value_at() + self.value_len
    }

    fn flags(self, raw: bool) -> u8 {
        (if self.has_expire { HAS_EXPIRE } else { 0 })
            | (if self.is_long() { LONG } else { 0 })
            | ((self.body as u8) << BODY_SHIFT)
            | (if raw { RAW } else { 0 })
    }

    fn layout(self) -> Layout {
        Layout::from_size_align(size_class(self.total()), 8).expect("keys are below 4 GB")
    }
}

/// Rounds up to a size that allocators have: entries of one class replace each other in place.
fn size_class(bytes: usize) -> usize {
    let step = match bytes {
        0..=64 => 8,
        65..=128 => 16,
        _ => 1 << ((bytes - 1).ilog2() - 2),
    };
    bytes.next_multiple_of(step)
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
        let shape = shape_for(key.len(), &value, expire_at_ms.is_some());
        let mut entry = Entry::allocate(shape);
        // SAFETY: a fresh allocation of this shape: all parts are in bounds and nobody else's.
        unsafe {
            entry.at(0).cast::<u32>().write(clock & CLOCK_MASK);
            entry.at(KIND_AT).write(Kind::String as u8);
            entry.write_lengths(shape, false);
            entry.at(shape.key_at()).copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        entry.write_expire(expire_at_ms);
        entry.write_value(shape, value);
        entry
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: the key's bytes were written when the entry was made.
        unsafe { std::slice::from_raw_parts(self.at(shape.key_at()), shape.key_len) }
    }

    /// Which data type the value has.
    #[inline]
    pub fn kind(&self) -> Kind {
        // One kind so far; the byte is written for those to come.
        Kind::String
    }

    /// The string value.
    #[inline]
    pub fn string(&self) -> StrRef<'_> {
        let shape = self.shape();
        // SAFETY: the body is of the kind that the header says, and lives as long as the entry.
        unsafe {
            match shape.body {
                Body::Embedded => {
                    let value = self.at(shape.value_at());
                    StrRef::Bytes(std::slice::from_raw_parts(value, shape.value_len))
                }
                Body::Int => StrRef::Int(self.at(shape.body_at()).cast::<i64>().read()),
                Body::Heap => StrRef::Bytes(&*self.at(shape.body_at()).cast::<Vec<u8>>()),
            }
        }
    }

    /// The encoding that OBJECT ENCODING names.
    pub fn encoding(&self) -> Encoding {
        let shape = self.shape();
        match shape.body {
            Body::Int => Encoding::Int,
            Body::Embedded if self.byte(FLAGS_AT) & RAW == 0 => {
                Encoding::of_bytes(shape.key_len, shape.value_len, shape.has_expire)
            }
            Body::Embedded | Body::Heap => Encoding::Raw,
        }
    }

    /// Whether the value is `raw`, and stays so whatever becomes of key and expiry.
    fn is_raw(&self) -> bool {
        self.encoding() == Encoding::Raw
    }

    /// Whether the entry is so large that its memory should be given back when no lock is held.
    #[inline]
    pub fn is_costly_to_free(&self) -> bool {
        /// Measured: the allocator gives the pages of a large block back to the system at once. That
        /// takes 0.1 ms for 1 MB, 8 ms for 16 MB, 280 ms for 256 MB.
        const BYTES_MAX: usize = 1 << 20;
        Body::of(self.byte(FLAGS_AT)) == Body::Heap && self.mem_bytes() > BYTES_MAX
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
        if old.body != Body::Heap || shape_for(old.key_len, value, has_expire) != old {
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
        match self.kind() {
            Kind::String => false,
        }
    }

    /// When the entry expires, in Unix milliseconds.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<i64> {
        if self.byte(FLAGS_AT) & HAS_EXPIRE == 0 {
            return None;
        }
        // SAFETY: the flag says that an expiry follows the header.
        Some(unsafe { self.at(HEADER_BYTES).cast::<i64>().read() })
    }

    /// The access clock: 24 bits, whose meaning is the eviction policy's.
    pub fn clock(&self) -> u32 {
        self.clock_word().load(Ordering::Relaxed) & CLOCK_MASK
    }

    /// Sets the access clock. Needs no exclusive access.
    #[inline]
    pub fn set_clock(&self, clock: u32) {
        let clock = clock & CLOCK_MASK;
        // A key that all threads read must not travel between their caches for nothing.
        if self.clock() != clock {
            // Other bits of the word do not exist yet; a lost update would not matter.
            self.clock_word().store(clock, Ordering::Relaxed);
        }
    }

    /// Bytes that the entry takes, with what its value owns.
    pub fn mem_bytes(&self) -> usize {
        let shape = self.shape();
        let heap = match (shape.body, self.string()) {
            // SAFETY: the body is a `Vec`, as the shape says.
            (Body::Heap, _) => unsafe { &*self.at(shape.body_at()).cast::<Vec<u8>>() }.capacity(),
            _ => 0,
        };
        shape.layout().size() + heap
    }

    /// The same entry with another expiry; its value stays.
    pub fn with_expire(mut self, expire_at_ms: Option<i64>) -> Entry {
        let old = self.shape();
        let new = Shape { has_expire: expire_at_ms.is_some(), ..old };
        if old != new {
            let raw = self.is_raw();
            let tail_len = old.total() - old.body_at();
            self = self.moved(old, new, old.body_at(), new.body_at(), tail_len);
            self.write_lengths(new, raw);
        }
        self.write_expire(expire_at_ms);
        self
    }

    /// The same entry with another value and expiry. Writes in place where the size allows it.
    pub fn with_string(mut self, value: Str<'_>, expire_at_ms: Option<i64>) -> Entry {
        let old = self.shape();
        let new = shape_for(old.key_len, &value, expire_at_ms.is_some());
        if old == new && new.body != Body::Heap {
            // Nothing moves.
            self.write_lengths(new, false);
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
            self.write_lengths(new, false);
            self.write_expire(expire_at_ms);
            return self;
        }
        self.drop_body(old);
        self = self.moved(old, new, old.key_at(), new.key_at(), old.key_len);
        self.write_lengths(new, false);
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
        if old.body == Body::Heap {
            // SAFETY: the body is a `Vec`, as the shape says.
            let buffer = unsafe { &mut *self.at(old.body_at()).cast::<Vec<u8>>() };
            if len_min > buffer.capacity() {
                buffer.reserve_exact(grown_capacity(len_min) - buffer.len());
            }
            buffer.resize(buffer.len().max(len_min), 0);
            let result = edit(buffer);
            self.write_lengths(old, true);
            return (self, result);
        }
        let value_len = old.value_len.max(len_min);
        let new = shape_for_len(old.key_len, value_len, old.has_expire);
        if new.body == Body::Heap {
            let mut buffer = Vec::with_capacity(grown_capacity(value_len));
            buffer.extend_from_slice(&self.string().bytes());
            buffer.resize(value_len, 0);
            let result = edit(&mut buffer);
            return (self.with_string(Str::Raw(buffer), expire_at_ms), result);
        }
        let kept_len = old.key_len + old.value_len;
        self = self.moved(old, new, old.key_at(), new.key_at(), kept_len);
        self.write_lengths(new, true);
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
        let shape = entry.shape();
        if shape.body == Body::Heap {
            let copy = self.string().to_vec();
            // SAFETY: overwrites the bitwise copy of a `Vec` that belongs to `self`.
            unsafe { entry.at(shape.body_at()).cast::<Vec<u8>>().write(copy) };
        }
        entry
    }

    /// A bitwise copy under another key: what the body owns is then owned twice, which the caller
    /// must mend.
    fn copy_as(&self, key: &[u8]) -> Entry {
        let old = self.shape();
        let new = Shape { key_len: key.len(), ..old };
        let mut entry = Entry::allocate(new);
        // SAFETY: two allocations of the given shapes.
        unsafe {
            entry.at(0).copy_from_nonoverlapping(self.at(0), KIND_AT + 1);
            entry.write_lengths(new, self.is_raw());
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
    /// if the size class differs. The header's first word comes along; flags and lengths, expiry
    /// and value are the caller's to write. The body must have been taken or be moved.
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
            entry.at(0).copy_from_nonoverlapping(old_memory, KIND_AT + 1);
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
        let flags = self.byte(FLAGS_AT);
        let body = Body::of(flags);
        let has_expire = flags & HAS_EXPIRE != 0;
        if flags & LONG == 0 {
            let (key_len, value_len) = (self.byte(KEY_LEN_AT), self.byte(VALUE_LEN_AT));
            return Shape {
                body,
                has_expire,
                key_len: usize::from(key_len),
                value_len: usize::from(value_len),
            };
        }
        let lengths_at = HEADER_BYTES + if has_expire { 8 } else { 0 };
        // SAFETY: the flag says that two lengths stand here.
        let [key_len, value_len] = unsafe { self.at(lengths_at).cast::<[u32; 2]>().read() };
        Shape { body, has_expire, key_len: key_len as usize, value_len: value_len as usize }
    }

    fn write_lengths(&mut self, shape: Shape, raw: bool) {
        // SAFETY: the header is in every entry, and long lengths where the shape has them.
        unsafe {
            self.at(FLAGS_AT).write(shape.flags(raw));
            if shape.is_long() {
                let lengths = [shape.key_len, shape.value_len]
                    .map(|len| u32::try_from(len).expect("keys are below 4 GB"));
                self.at(shape.lengths_at()).cast::<[u32; 2]>().write(lengths);
            } else {
                self.at(KEY_LEN_AT).write(shape.key_len as u8);
                self.at(VALUE_LEN_AT).write(shape.value_len as u8);
            }
        }
    }

    fn write_expire(&mut self, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            debug_assert!(self.byte(FLAGS_AT) & HAS_EXPIRE != 0);
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
                (Body::Int, Str::Int(value)) => {
                    self.at(shape.body_at()).cast::<i64>().write(value);
                }
                (Body::Heap, Str::Raw(buffer)) => {
                    self.at(shape.body_at()).cast::<Vec<u8>>().write(buffer);
                }
                (Body::Heap, value) => {
                    self.at(shape.body_at()).cast::<Vec<u8>>().write(value.as_bytes().to_vec());
                }
                (_, value) => {
                    let bytes = value.as_bytes();
                    self.at(shape.value_at()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
            }
        }
        if raw {
            self.write_lengths(shape, true);
        }
    }

    fn drop_body(&mut self, shape: Shape) {
        if shape.body == Body::Heap {
            // SAFETY: the body is a `Vec`, as the shape says, and is not used again.
            unsafe { self.at(shape.body_at()).cast::<Vec<u8>>().drop_in_place() };
        }
    }

    fn clock_word(&self) -> &AtomicU32 {
        // SAFETY: aligned to 8, written when the entry was made, and since then only atomically.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr().cast()) }
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        debug_assert!(at < HEADER_BYTES);
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

/// The shape that a value needs beside a key of `key_len` bytes.
fn shape_for(key_len: usize, value: &Str<'_>, has_expire: bool) -> Shape {
    if let Str::Int(_) = value {
        return Shape { body: Body::Int, has_expire, key_len, value_len: 0 };
    }
    shape_for_len(key_len, value.as_bytes().len(), has_expire)
}

/// The shape that a value of so many bytes needs.
fn shape_for_len(key_len: usize, value_len: usize, has_expire: bool) -> Shape {
    let embedded = Shape { body: Body::Embedded, has_expire, key_len, value_len };
    if value_len == 0 || embedded.total() <= EMBEDDED_TOTAL_BYTES_MAX {
        embedded
    } else {
        Shape { body: Body::Heap, has_expire, key_len, value_len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(value: &[u8]) -> Str<'_> {
        Str::Bytes(value)
    }

    #[test]
    fn sizes() {
        let size = |key: usize, value: Str<'_>, expire| {
            Entry::new(&vec![b'k'; key], value, expire, 0).mem_bytes()
        };
        assert_eq!(size(16, bytes(&[0; 64]), None), 96);
        assert_eq!(size(16, bytes(&[0; 64]), Some(1)), 96);
        assert_eq!(size(16, bytes(&[0; 8]), None), 32);
        assert_eq!(size(16, Str::Int(1), None), 32);
        assert_eq!(size(16, bytes(&[0; 1000]), None), 48 + 1000);
        assert_eq!(size(300, bytes(b""), None), 320);
    }

    #[test]
    fn clock_is_set_by_readers() {
        let entry = Entry::new(b"k", Str::Int(1), None, 0x0100_0007);
        assert_eq!(entry.clock(), 7);
        entry.set_clock(0xffff_ffff);
        assert_eq!((entry.clock(), entry.kind().name()), (0x00ff_ffff, "string"));
    }

    #[test]
    fn encodings() {
        let encoding = |value| Entry::new(b"k", value, None, 0).encoding().name();
        assert_eq!(encoding(Str::Int(5)), "int");
        assert_eq!(encoding(bytes(&[b'x'; 40])), "embstr");
        assert_eq!(encoding(bytes(&[b'x'; 41])), "raw");
        assert_eq!(encoding(Str::Raw(b"x".to_vec())), "raw");
        let entry = Entry::new(b"k", bytes(b"a"), Some(3), 0);
        let (entry, len) = entry.edit_string(2, |value| {
            value[1] += b'b';
            value.len()
        });
        assert_eq!((entry.encoding(), len, entry.expire_at_ms()), (Encoding::Raw, 2, Some(3)));
        let entry = entry.with_expire(None);
        assert_eq!((entry.encoding(), entry.string().to_vec()), (Encoding::Raw, b"ab".to_vec()));
        assert_eq!(entry.with_string(bytes(b"c"), None).encoding(), Encoding::Embstr);
        // What was too long once, with an expiry or under another key, is raw from then on.
        let entry = Entry::new(b"k", bytes(&[b'x'; 40]), None, 0);
        assert_eq!(entry.duplicate(b"k2").renamed(b"k").encoding(), Encoding::Raw);
        assert_eq!(entry.with_expire(Some(1)).with_expire(None).encoding(), Encoding::Raw);
    }

    #[test]
    fn repeated_growth_is_amortised_and_slack_is_bounded() {
        let mut entry = Entry::new(b"k", Str::Int(7), None, 0);
        let (mut n_moves, mut capacity) = (0, 0);
        for len in 2..100_000 {
            entry = entry.edit_string(len, |value| value[len - 1] = 1).0;
            let mem_bytes = entry.mem_bytes();
            assert!(mem_bytes <= 2 * len + 64, "{mem_bytes} for {len}");
            n_moves += usize::from(mem_bytes != capacity);
            capacity = mem_bytes;
        }
        assert!(n_moves < 50, "{n_moves}");
        assert_eq!(
            (entry.string().len(), &entry.string().bytes()[..3]),
            (99_999, &b"7\x01\x01"[..])
        );
    }

    #[test]
    fn renamed_and_duplicated() {
        for value in [Str::Int(5), bytes(b"abc"), Str::Raw(vec![7; 2000]), bytes(&[7; 600])] {
            let text = if value == Str::Int(5) { b"5".to_vec() } else { value.as_bytes().to_vec() };
            let entry = Entry::new(b"k", value, Some(9), 3);
            let encoding = entry.encoding();
            let copy = entry.duplicate(&[b'l'; 300]);
            let renamed = entry.renamed(b"other");
            // A key of 300 bytes leaves no room for a string beside it.
            let long = if encoding == Encoding::Int { Encoding::Int } else { Encoding::Raw };
            for (entry, key, encoding) in
                [(copy, &[b'l'; 300][..], long), (renamed, b"other", encoding)]
            {
                assert_eq!((entry.key(), entry.string().to_vec()), (key, text.clone()));
                assert_eq!((entry.expire_at_ms(), entry.clock()), (Some(9), 3));
                assert_eq!(entry.encoding(), encoding);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Int(i64, Option<i64>),
        Bytes(Vec<u8>, Option<i64>),
        Expire(Option<i64>),
        Append(Vec<u8>),
        Put(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..100),
            proptest::collection::vec(any::<u8>(), 0..1000),
        ];
        prop_oneof![
            (any::<i64>(), any::<Option<i64>>()).prop_map(|(int, expire)| Step::Int(int, expire)),
            (value.clone(), any::<Option<i64>>()).prop_map(|(v, expire)| Step::Bytes(v, expire)),
            any::<Option<i64>>().prop_map(Step::Expire),
            value.prop_map(Step::Append),
            (0..700usize, any::<u8>()).prop_map(|(at, byte)| Step::Put(at, byte)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 500 }))]

        #[test]
        fn any_sequence_of_changes_keeps_key_value_and_expiry(
            key in proptest::collection::vec(any::<u8>(), 0..300),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let mut entry = Entry::new(&key, Str::Int(0), None, 99);
            let (mut value, mut expire) = (b"0".to_vec(), None);
            for step in steps {
                match step {
                    Step::Int(int, at) => {
                        (value, expire) = (int.to_string().into_bytes(), at);
                        entry = entry.with_string(Str::Int(int), at);
                    }
                    Step::Bytes(new, at) => {
                        (value, expire) = (new, at);
                        entry = entry.with_string(Str::Bytes(&value), at);
                    }
                    Step::Expire(at) => {
                        expire = at;
                        entry = entry.with_expire(at);
                    }
                    Step::Append(more) => {
                        let len = value.len();
                        value.extend_from_slice(&more);
                        let append = |value: &mut [u8]| value[len..].copy_from_slice(&more);
                        entry = entry.edit_string(value.len(), append).0;
                        prop_assert_eq!(entry.encoding(), Encoding::Raw);
                    }
                    Step::Put(at, byte) => {
                        value.resize(value.len().max(at + 1), 0);
                        value[at] = byte;
                        entry = entry.edit_string(at + 1, |value| value[at] = byte).0;
                    }
                }
                prop_assert_eq!(entry.key(), &key[..]);
                prop_assert_eq!(entry.string().to_vec(), &value[..]);
                prop_assert_eq!((entry.expire_at_ms(), entry.clock()), (expire, 99));
            }
        }
    }
}

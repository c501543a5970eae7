//! One of two: something small, or something large in a box of its own. Takes 8 bytes, where an enum
//! would take 16: most collections are small, and eight bytes are a quarter of what their entry takes
//! beside the key.
//!
//! What is small is a [`ThinBuffer`], which begins with its length, 4 at least; what is boxed stands
//! behind a zero. So what the pointer points to tells which of the two it is.

use super::thin_buffer::ThinBuffer;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// What is nothing but a [`ThinBuffer`].
///
/// # Safety
/// The type must be `repr(transparent)` over one.
pub(crate) unsafe trait Thin {}

/// What stands in front of what is large.
const MARK: u32 = 0;

#[repr(C)]
struct Boxed<L> {
    mark: u32,
    large: L,
}

/// What is in a [`Slim`], to be looked at or changed.
#[derive(Debug)]
pub(crate) enum Either<S, L> {
    Small(S),
    Large(L),
}

/// See the module's text.
pub(crate) struct Slim<S: Thin, L>(NonNull<u8>, PhantomData<(S, Box<L>)>);

// SAFETY: owns one of the two alone.
unsafe impl<S: Thin + Send, L: Send> Send for Slim<S, L> {}
// SAFETY: `&Slim` gives no more than a shared reference to one of the two.
unsafe impl<S: Thin + Sync, L: Sync> Sync for Slim<S, L> {}

impl<S: Thin, L> Slim<S, L> {
    /// Something small.
    pub(crate) fn small(small: S) -> Self {
        const { assert!(size_of::<S>() == size_of::<NonNull<u8>>()) };
        let small = ManuallyDrop::new(small);
        // SAFETY: it is a `ThinBuffer`, which is such a pointer; `small` is not dropped.
        Slim(unsafe { (&raw const small).cast::<NonNull<u8>>().read() }, PhantomData)
    }

    /// Something large.
    pub(crate) fn large(large: L) -> Self {
        let boxed = Box::new(Boxed { mark: MARK, large });
        Slim(NonNull::from(Box::leak(boxed)).cast(), PhantomData)
    }

    #[inline]
    fn is_small(&self) -> bool {
        // SAFETY: both begin with four bytes that are aligned and initialised: a buffer with its
        // length, a box with the mark.
        unsafe { self.0.cast::<u32>().read() != MARK }
    }

    /// What is there.
    #[inline]
    pub(crate) fn get(&self) -> Either<&S, &L> {
        if self.is_small() {
            // SAFETY: the pointer is that of a buffer, so it is an `S`.
            Either::Small(unsafe { &*(&raw const self.0).cast::<S>() })
        } else {
            // SAFETY: the mark says that `large` has made the pointer.
            Either::Large(unsafe { &(*self.0.cast::<Boxed<L>>().as_ptr()).large })
        }
    }

    /// What is there, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Either<&mut S, &mut L> {
        if self.is_small() {
            // SAFETY: as in `get`; whatever is put into its place is an `S`, too.
            Either::Small(unsafe { &mut *(&raw mut self.0).cast::<S>() })
        } else {
            // SAFETY: as in `get`, and borrowed mutably. The mark stays.
            Either::Large(unsafe { &mut (*self.0.cast::<Boxed<L>>().as_ptr()).large })
        }
    }
}

impl<S: Thin, L> Drop for Slim<S, L> {
    fn drop(&mut self) {
        if self.is_small() {
            // SAFETY: the pointer is that of a buffer, which nobody uses any more.
            unsafe { (&raw mut self.0).cast::<S>().drop_in_place() };
        } else {
            // SAFETY: `large` has leaked this box, and nobody uses it any more.
            drop(unsafe { Box::from_raw(self.0.cast::<Boxed<L>>().as_ptr()) });
        }
    }
}

impl<S: Thin + Clone, L: Clone> Clone for Slim<S, L> {
    fn clone(&self) -> Self {
        match self.get() {
            Either::Small(small) => Slim::small(small.clone()),
            Either::Large(large) => Slim::large(large.clone()),
        }
    }
}

impl<S: Thin + std::fmt::Debug, L: std::fmt::Debug> std::fmt::Debug for Slim<S, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

// SAFETY: it is one.
unsafe impl Thin for ThinBuffer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(slim: &Slim<ThinBuffer, Vec<String>>) -> String {
        match slim.get() {
            Either::Small(buffer) => format!("{:?}", &buffer[4..]),
            Either::Large(words) => words.join(" "),
        }
    }

    #[test]
    fn both_are_kept_changed_copied_and_dropped() {
        assert_eq!(size_of::<Slim<ThinBuffer, Vec<String>>>(), 8);
        let mut slim = Slim::small(ThinBuffer::new(&[0, 0, 0, 0, 1]));
        assert_eq!(text(&slim), "[1]");
        let Either::Small(buffer) = slim.get_mut() else { panic!("it is small") };
        buffer.splice(5, 0, &[&[2; 100]]);
        let copy = slim.clone();
        let Either::Small(buffer) = slim.get_mut() else { panic!("it is small") };
        let taken = std::mem::replace(buffer, ThinBuffer::new(&[0; 4]));
        assert_eq!((text(&slim).as_str(), taken.len()), ("[]", 105));
        assert!(text(&copy).starts_with("[1, 2, 2, "));

        slim = Slim::large(vec!["a".to_string()]);
        let Either::Large(words) = slim.get_mut() else { panic!("it is large") };
        words.push("b".to_string());
        let copy = slim.clone();
        let Either::Large(words) = slim.get_mut() else { panic!("it is large") };
        words.clear();
        assert_eq!((text(&slim).as_str(), text(&copy).as_str()), ("", "a b"));
    }
}

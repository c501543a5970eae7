//! Loops over many bytes, compiled twice: for every processor, and for those with AVX2.
//!
//! The loops are plain Rust that the compiler turns into vector instructions. What this is not: no
//! intrinsics, and no other result, only another speed.

/// Whether the processor has what the second form of a [`wide!`] function is compiled for.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt")
}

/// Whether there is a second form.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_there() -> bool {
    false
}

/// Defines a function in both forms; the right one is chosen at each call.
macro_rules! wide {
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? $body:block
    ) => {
        $(#[$meta])*
        $visibility fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,popcnt")]
                fn with_avx2($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                if $crate::algorithms::wide::is_there() {
                    // SAFETY: the processor has the instructions that the function may contain.
                    return unsafe { with_avx2($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}

pub(crate) use wide;

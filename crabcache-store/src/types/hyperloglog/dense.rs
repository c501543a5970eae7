//! Dense registers: six bits each, the lowest bits first, four registers in three bytes.

use super::estimate::Histogram;
use super::{Corrupted, DENSE_BYTES, FORM_AT, Form, HEADER_BYTES, Registers, sparse};
use crate::algorithms::wide::{self, wide};
use std::sync::atomic::{AtomicBool, Ordering};

const REGISTER_MAX: u32 = 63;

/// The register at `index`.
#[inline]
pub fn get(registers: &[u8], index: usize) -> u8 {
    let group = group_at(registers, index / 4 * 3);
    (group >> (index % 4 * 6) & REGISTER_MAX) as u8
}

/// Sets the register at `index` to a value below 64.
#[inline]
pub fn set(registers: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index / 4 * 3, index % 4 * 6);
    let group = group_at(registers, at) & !(REGISTER_MAX << shift) | u32::from(value) << shift;
    registers[at..at + 3].copy_from_slice(&group.to_le_bytes()[..3]);
}

/// Sets the register at `index` to `value` if it is lower. Returns whether it was.
#[inline]
pub fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    let is_lower = get(registers, index) < value;
    if is_lower {
        set(registers, index, value);
    }
    is_lower
}

fn group_at(registers: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([registers[at], registers[at + 1], registers[at + 2], 0])
}

/// The dense form of a sparse string, with its header.
///
/// # Errors
/// [`Corrupted`]
pub fn from_sparse(string: &[u8]) -> Result<Vec<u8>, Corrupted> {
    let mut dense = vec![0; DENSE_BYTES];
    dense[..HEADER_BYTES].copy_from_slice(&string[..HEADER_BYTES]);
    dense[FORM_AT] = Form::Dense as u8;
    let registers = &mut dense[HEADER_BYTES..];
    sparse::for_each_run(&string[HEADER_BYTES..], |range, value| {
        if value > 0 {
            range.for_each(|index| set(registers, index, value));
        }
    })?;
    Ok(dense)
}

/// How often each value occurs.
pub(super) fn histogram(registers: &[u8]) -> Histogram {
    let mut histogram = Histogram::default();
    let (groups, _) = registers.as_chunks::<12>();
    for group in groups {
        for value in unpack(group) {
            histogram.add(value, 1);
        }
    }
    histogram
}

/// Sixteen registers.
#[inline(always)]
fn unpack(group: &[u8; 12]) -> [u8; 16] {
    std::array::from_fn(|index| {
        let (at, shift) = (index / 4 * 3, index % 4 * 6);
        let group = u32::from_le_bytes([group[at], group[at + 1], group[at + 2], 0]);
        (group >> shift & REGISTER_MAX) as u8
    })
}

/// Whether PFDEBUG SIMD lets the wide forms of the loops be used.
static MAY_BE_WIDE: AtomicBool = AtomicBool::new(true);

/// Allows or forbids the forms of [`merge`] and [`pack`] for processors with AVX2. Returns whether
/// they are used from now on.
pub fn allow_wide(may_be_wide: bool) -> bool {
    MAY_BE_WIDE.store(may_be_wide, Ordering::Relaxed);
    uses_wide()
}

fn uses_wide() -> bool {
    MAY_BE_WIDE.load(Ordering::Relaxed) && wide::is_there()
}

/// Raises `all` to dense registers where they are lower.
pub(super) fn merge(all: &mut Registers, registers: &[u8]) {
    if uses_wide() { merge_wide(all, registers) } else { merge_plain(all, registers) }
}

/// Writes all registers in the dense form.
pub fn pack(registers: &mut [u8], all: &Registers) {
    if uses_wide() { pack_wide(registers, all) } else { pack_plain(registers, all) }
}

wide! {
    fn merge_wide(all: &mut Registers, registers: &[u8]) {
        merge_plain(all, registers);
    }
}

wide! {
    fn pack_wide(registers: &mut [u8], all: &Registers) {
        pack_plain(registers, all);
    }
}

#[inline(always)]
fn merge_plain(all: &mut Registers, registers: &[u8]) {
    let (groups, _) = registers.as_chunks::<12>();
    let (targets, _) = all.as_chunks_mut::<16>();
    for (target, group) in targets.iter_mut().zip(groups) {
        let own = unpack(group);
        target.iter_mut().zip(own).for_each(|(register, own)| *register = own.max(*register));
    }
}

#[inline(always)]
fn pack_plain(registers: &mut [u8], all: &Registers) {
    let (groups, _) = registers.as_chunks_mut::<3>();
    let (sources, _) = all.as_chunks::<4>();
    for (group, source) in groups.iter_mut().zip(sources) {
        let [a, b, c, d] = source.map(u32::from);
        let packed = a | b << 6 | c << 12 | d << 18;
        group.copy_from_slice(&packed.to_le_bytes()[..3]);
    }
}

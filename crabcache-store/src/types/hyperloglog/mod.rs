//! HyperLogLogs: strings that tell about how many different elements were added to them.
//!
//! The bytes are the reference's, so that strings can be copied between servers:
//!
//! ```text
//! 0..4    "HYLL"
//! 4       form: 0 dense, 1 sparse
//! 5..8    not used
//! 8..16   cached cardinality, little-endian; the highest bit tells that it is out of date
//! 16..    the registers
//! ```
//!
//! - [`dense`]: 16384 registers of 6 bits.
//! - [`sparse`]: runs of equal registers, while that is shorter.
//! - [`estimate`]: the cardinality that registers stand for.
//! - [`self_test`]: what PFSELFTEST does.
//!
//! A string can come from anywhere. [`Form::of`] looks at the header alone; whether sparse registers
//! make sense is seen by whoever reads them ([`Corrupted`]).

pub mod dense;
pub mod estimate;
pub mod self_test;
pub mod sparse;

use crate::algorithms::murmur::murmur64a;

/// Number of registers.
pub const N_REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 14;
/// Bits of a hash that a register's value tells about.
const RANK_BITS: u32 = 64 - INDEX_BITS;
/// The greatest value of a register that an element can cause.
const RANK_MAX: u8 = RANK_BITS as u8 + 1;

/// Bytes before the registers.
pub const HEADER_BYTES: usize = 16;
/// Length of a dense string.
pub const DENSE_BYTES: usize = HEADER_BYTES + N_REGISTERS * 6 / 8;

const MAGIC: &[u8; 4] = b"HYLL";
const FORM_AT: usize = 4;
const CACHE_AT: usize = 8;
const OUT_OF_DATE: u8 = 0x80;

/// All registers, a byte each.
pub type Registers = [u8; N_REGISTERS];

/// The sparse registers of a string are not those of a HyperLogLog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupted;

/// How a string holds its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Six bits each.
    Dense = 0,
    /// Runs of equal ones.
    Sparse = 1,
}

impl Form {
    /// The form of a string; `None` if it is no HyperLogLog.
    pub fn of(string: &[u8]) -> Option<Form> {
        let header = string.get(..HEADER_BYTES)?;
        match header[FORM_AT] {
            _ if !header.starts_with(MAGIC) => None,
            0 if string.len() == DENSE_BYTES => Some(Form::Dense),
            1 => Some(Form::Sparse),
            _ => None,
        }
    }

    /// The name that PFDEBUG ENCODING gives it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Dense => "dense",
            Form::Sparse => "sparse",
        }
    }
}

/// A string to which nothing was added.
pub fn empty() -> Vec<u8> {
    let mut string = header(Form::Sparse);
    sparse::write_empty(&mut string);
    string
}

fn header(form: Form) -> Vec<u8> {
    let mut header = vec![0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[FORM_AT] = form as u8;
    header
}

/// The register that an element belongs to, and the value that the element wants it to have at
/// least.
#[inline]
pub fn place_of(element: &[u8]) -> (usize, u8) {
    const SEED: u64 = 0xadc8_3b19;
    let hash = murmur64a(element, SEED);
    // The bit added on top ends the run of zeros in any case.
    let rank_bits = hash >> INDEX_BITS | 1 << RANK_BITS;
    ((hash as usize) & (N_REGISTERS - 1), rank_bits.trailing_zeros() as u8 + 1)
}

/// Raises a register of a string of any form to `value` if it is lower. Returns whether it was.
/// A sparse string that would be longer than `sparse_bytes_max` becomes dense.
///
/// # Errors
/// [`Corrupted`]; the string is as it was.
pub fn raise(
    string: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_bytes_max: usize,
) -> Result<bool, Corrupted> {
    if string[FORM_AT] == Form::Sparse as u8 {
        return sparse::raise(string, index, value, sparse_bytes_max);
    }
    let is_raised = dense::raise(&mut string[HEADER_BYTES..], index, value);
    if is_raised {
        invalidate(string);
    }
    Ok(is_raised)
}

/// Raises `registers` to those of a string of this form, where they are lower.
///
/// # Errors
/// [`Corrupted`]
pub fn merge(registers: &mut Registers, form: Form, string: &[u8]) -> Result<(), Corrupted> {
    let own = &string[HEADER_BYTES..];
    match form {
        Form::Dense => {
            dense::merge(registers, own);
            Ok(())
        }
        Form::Sparse => sparse::for_each_run(own, |range, value| {
            let lower = registers[range].iter_mut().filter(|register| **register < value);
            lower.for_each(|register| *register = value);
        }),
    }
}

/// The cardinality of a string of this form, computed from its registers.
///
/// # Errors
/// [`Corrupted`]
pub fn count(form: Form, string: &[u8]) -> Result<u64, Corrupted> {
    let own = &string[HEADER_BYTES..];
    let histogram = match form {
        Form::Dense => dense::histogram(own),
        Form::Sparse => {
            let mut histogram = estimate::Histogram::default();
            sparse::for_each_run(own, |range, value| histogram.add(value, range.len()))?;
            histogram
        }
    };
    Ok(histogram.cardinality())
}

/// The cardinality that a string remembers, if it is up to date.
pub fn cached(string: &[u8]) -> Option<u64> {
    let bytes = string[CACHE_AT..HEADER_BYTES].try_into().expect("eight bytes");
    let is_up_to_date = string[HEADER_BYTES - 1] & OUT_OF_DATE == 0;
    is_up_to_date.then_some(u64::from_le_bytes(bytes))
}

/// Lets a string remember its cardinality.
pub fn set_cached(string: &mut [u8], cardinality: u64) {
    string[CACHE_AT..HEADER_BYTES].copy_from_slice(&cardinality.to_le_bytes());
}

/// Marks the cardinality that a string remembers as out of date.
pub fn invalidate(string: &mut [u8]) {
    string[HEADER_BYTES - 1] |= OUT_OF_DATE;
}

#[cfg(test)]
mod tests;

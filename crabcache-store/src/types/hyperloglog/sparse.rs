//! Sparse registers: runs of equal ones.
//!
//! ```text
//! 00nnnnnn            n + 1 registers are 0 (1 to 64)
//! 01nnnnnn nnnnnnnn   n + 1 registers are 0 (1 to 16384)
//! 1vvvvvnn            n + 1 registers (1 to 4) are v + 1 (1 to 32)
//! ```
//!
//! Raising a register changes the one run that it belongs to, then joins neighbours of equal value,
//! as the reference does it and no further: which of the possible forms a string has is visible to
//! clients. A value above 32, or a string that would become too long, makes it dense.

use super::{Corrupted, HEADER_BYTES, N_REGISTERS, dense, invalidate};
use std::fmt::Write as _;
use std::ops::Range;

const VALUE_MAX: u8 = 32;
const SHORT_ZEROS_MAX: usize = 64;
const VALUES_MAX: usize = 4;
/// Runs around a changed one that are looked at for neighbours of equal value.
const JOINED_RUNS_MAX: usize = 5;

/// A run of equal registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Zeros(usize),
    /// Zeros in the form of two bytes, however few they are.
    LongZeros(usize),
    Values(u8, usize),
}

impl Run {
    /// The run that begins at `at`, where there must be a byte. A second byte that is missing is
    /// taken for 0, as the reference finds one behind every string.
    #[inline]
    fn read(bytes: &[u8], at: usize) -> Run {
        let first = bytes[at];
        match first >> 6 {
            0 => Run::Zeros(usize::from(first) + 1),
            1 => {
                let second = bytes.get(at + 1).copied().unwrap_or(0);
                Run::LongZeros((usize::from(first & 0x3f) << 8 | usize::from(second)) + 1)
            }
            _ => Run::Values((first >> 2 & 0x1f) + 1, usize::from(first & 3) + 1),
        }
    }

    /// The shortest form of so many zeros, or nothing.
    fn zeros(len: usize) -> Option<Run> {
        match len {
            0 => None,
            1..=SHORT_ZEROS_MAX => Some(Run::Zeros(len)),
            _ => Some(Run::LongZeros(len)),
        }
    }

    fn values(value: u8, len: usize) -> Option<Run> {
        (len > 0).then_some(Run::Values(value, len))
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Run::Zeros(len) => out.push((len - 1) as u8),
            Run::LongZeros(len) => out.extend([0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
            Run::Values(value, len) => out.push(0x80 | (value - 1) << 2 | (len - 1) as u8),
        }
    }

    fn value(self) -> u8 {
        match self {
            Run::Zeros(_) | Run::LongZeros(_) => 0,
            Run::Values(value, _) => value,
        }
    }

    fn len(self) -> usize {
        match self {
            Run::Zeros(len) | Run::LongZeros(len) | Run::Values(_, len) => len,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Run::LongZeros(_) => 2,
            Run::Zeros(_) | Run::Values(..) => 1,
        }
    }
}

/// Writes the runs of registers that are all 0.
pub(super) fn write_empty(out: &mut Vec<u8>) {
    Run::LongZeros(N_REGISTERS).write(out);
}

/// Calls `each` for every run, with its registers and their value.
///
/// # Errors
/// [`Corrupted`] if the runs are not those of all registers.
pub(super) fn for_each_run(
    bytes: &[u8],
    mut each: impl FnMut(Range<usize>, u8),
) -> Result<(), Corrupted> {
    let (mut at, mut first) = (0, 0);
    while at < bytes.len() {
        let run = Run::read(bytes, at);
        let end = first + run.len();
        if end > N_REGISTERS {
            return Err(Corrupted);
        }
        each(first..end, run.value());
        (at, first) = (at + run.bytes(), end);
    }
    if first == N_REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// The runs as PFDEBUG DECODE tells them: `z` and `Z` are zeros in the short and the long form.
pub fn describe(string: &[u8]) -> String {
    let bytes = &string[HEADER_BYTES..];
    let (mut text, mut at) = (String::new(), 0);
    while at < bytes.len() {
        let run = Run::read(bytes, at);
        let separator = if at > 0 { " " } else { "" };
        let written = match run {
            Run::Zeros(len) => write!(text, "{separator}z:{len}"),
            Run::LongZeros(len) => write!(text, "{separator}Z:{len}"),
            Run::Values(value, len) => write!(text, "{separator}v:{value},{len}"),
        };
        written.expect("writing to a string succeeds");
        at += run.bytes();
    }
    text
}

/// Where a register's run is.
struct Found {
    at: usize,
    run: Run,
    /// The run's first register.
    first: usize,
    /// Where the run before it begins.
    previous_at: Option<usize>,
}

fn find(bytes: &[u8], index: usize) -> Option<Found> {
    let (mut at, mut first, mut previous_at) = (0, 0, None);
    while at < bytes.len() {
        let run = Run::read(bytes, at);
        if index < first + run.len() {
            return Some(Found { at, run, first, previous_at });
        }
        previous_at = Some(at);
        at += run.bytes();
        first += run.len();
    }
    None
}

/// Raises a register of a sparse string to `value` if it is lower, and marks the cardinality that
/// the string remembers as out of date. Returns whether it was lower. A string that would be longer
/// than `bytes_max` becomes dense.
///
/// # Errors
/// [`Corrupted`]; the string is as it was.
pub fn raise(
    string: &mut Vec<u8>,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<bool, Corrupted> {
    if value > VALUE_MAX {
        return make_dense(string, index, value);
    }
    let Found { at, run, first, previous_at } =
        find(&string[HEADER_BYTES..], index).ok_or(Corrupted)?;
    if run.value() >= value {
        return Ok(false);
    }
    let (before, behind) = (index - first, first + run.len() - 1 - index);
    let rest = |len| match run {
        Run::Values(old, _) => Run::values(old, len),
        Run::Zeros(_) | Run::LongZeros(_) => Run::zeros(len),
    };
    let mut bytes = Vec::with_capacity(5);
    for run in [rest(before), Run::values(value, 1), rest(behind)].into_iter().flatten() {
        run.write(&mut bytes);
    }
    let new_len = string.len() + bytes.len() - run.bytes();
    if new_len > string.len() && new_len > bytes_max {
        return make_dense(string, index, value);
    }
    let start = HEADER_BYTES + at;
    let end = (start + run.bytes()).min(string.len());
    string.splice(start..end, bytes);
    // Shorter by one byte only if the string ended within the run.
    string.truncate(new_len);
    join_around(string, HEADER_BYTES + previous_at.unwrap_or(0));
    invalidate(string);
    Ok(true)
}

fn make_dense(string: &mut Vec<u8>, index: usize, value: u8) -> Result<bool, Corrupted> {
    *string = dense::from_sparse(string)?;
    invalidate(string);
    Ok(dense::raise(&mut string[HEADER_BYTES..], index, value))
}

/// Joins neighbours of equal value from the run at `at` on.
fn join_around(string: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS_MAX {
        if at >= string.len() {
            return;
        }
        let run = Run::read(string, at);
        if let Run::Values(value, len) = run
            && at + 1 < string.len()
            && let Run::Values(next_value, next_len) = Run::read(string, at + 1)
            && value == next_value
            && len + next_len <= VALUES_MAX
        {
            string.remove(at);
            string[at] = 0x80 | (value - 1) << 2 | (len + next_len - 1) as u8;
            // Perhaps the next one can be joined as well.
            continue;
        }
        at += run.bytes();
    }
}

//! What PFSELFTEST does: registers keep their values, and estimates are near the truth.

use super::{DENSE_BYTES, Form, HEADER_BYTES, N_REGISTERS, count, dense, empty, place_of, raise};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A register reads as something else than what was written.
    Register {
        /// Its number.
        index: usize,
        /// What was written.
        written: u8,
        /// What was read.
        read: u8,
    },
    /// A few elements took the dense form.
    NotSparse,
    /// The same elements gave different estimates in both forms.
    Disagreement,
    /// An estimate is too far from the truth.
    Error {
        /// The number of elements.
        cardinality: u64,
        /// How far off the estimate is.
        error: u64,
    },
}

/// Tests the registers `n_cycles` times, then estimates up to `n_elements` elements. `random` gives
/// random numbers; `sparse_bytes_max` is the greatest length of the sparse form.
///
/// # Errors
/// The first [`Failure`].
pub fn run(
    n_cycles: usize,
    n_elements: u64,
    sparse_bytes_max: usize,
    mut random: impl FnMut() -> u64,
) -> Result<(), Failure> {
    for _ in 0..n_cycles {
        test_registers(&mut random)?;
    }
    test_estimates(n_elements, sparse_bytes_max, random())
}

fn test_registers(random: &mut impl FnMut() -> u64) -> Result<(), Failure> {
    let mut registers = vec![0; DENSE_BYTES - HEADER_BYTES];
    let values: Vec<u8> = (0..N_REGISTERS).map(|_| (random() & 63) as u8).collect();
    for (index, value) in values.iter().enumerate() {
        dense::set(&mut registers, index, *value);
    }
    for (index, written) in values.into_iter().enumerate() {
        let read = dense::get(&registers, index);
        if read != written {
            return Err(Failure::Register { index, written, read });
        }
    }
    Ok(())
}

fn test_estimates(n_elements: u64, sparse_bytes_max: usize, seed: u64) -> Result<(), Failure> {
    let mut all_dense = vec![0; DENSE_BYTES];
    let mut string = empty();
    let mut checkpoint = 1;
    for n in 1..=n_elements {
        let (index, value) = place_of(&(n ^ seed).to_ne_bytes());
        dense::raise(&mut all_dense[HEADER_BYTES..], index, value);
        let raised = raise(&mut string, index, value, sparse_bytes_max);
        raised.map_err(|_| Failure::Disagreement)?;
        if n == checkpoint {
            check(&all_dense, &string, n, sparse_bytes_max)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

fn check(all_dense: &[u8], string: &[u8], n: u64, bytes_max: usize) -> Result<(), Failure> {
    /// Standard errors that an estimate may be off by.
    const SPREADS_MAX: f64 = 6.0;
    let form = Form::of(string).expect("made here");
    if n < (bytes_max / 2) as u64 && form != Form::Sparse {
        return Err(Failure::NotSparse);
    }
    let (estimate, other) = (count(Form::Dense, all_dense), count(form, string));
    let (Ok(estimate), true) = (estimate, estimate == other) else {
        return Err(Failure::Disagreement);
    };
    let spread = 1.04 / (N_REGISTERS as f64).sqrt();
    // Ten elements collide often enough that the rule would be too strict or too lax for them.
    let error_max = if n == 10 { 1 } else { (spread * SPREADS_MAX * n as f64).ceil() as u64 };
    let error = estimate.abs_diff(n);
    if error > error_max {
        return Err(Failure::Error { cardinality: n, error });
    }
    Ok(())
}

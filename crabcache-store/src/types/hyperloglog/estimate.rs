//! The cardinality that registers stand for.
//!
//! Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (arXiv:1702.01284),
//! algorithm 6: it needs no table of corrections, and only how often each value occurs.

use super::{N_REGISTERS, RANK_BITS, RANK_MAX, Registers};

/// How often each value of a register occurs.
// Dense registers can hold values that no element causes; they are counted and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts `n` registers of a value.
    #[inline]
    pub(super) fn add(&mut self, value: u8, n: usize) {
        self.0[usize::from(value & 63)] += n as u32;
    }

    /// The estimate.
    pub(super) fn cardinality(&self) -> u64 {
        /// 1 / (2 ln 2)
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        let m = N_REGISTERS as f64;
        let share = |value: u8| f64::from(self.0[usize::from(value)]) / m;
        let mut z = m * tau((m - f64::from(self.0[usize::from(RANK_MAX)])) / m);
        for value in (1..=RANK_BITS as usize).rev() {
            z = (z + f64::from(self.0[value])) * 0.5;
        }
        z += m * sigma(share(0));
        let estimate = (ALPHA * m * m / z).round();
        // Compat: if no register holds a value that an element can cause, the estimate is infinite,
        // and the reference answers with what its conversion makes of that.
        if estimate.is_finite() { estimate as u64 } else { 1 << 63 }
    }
}

/// The cardinality of the union that `registers` were merged from.
pub fn cardinality(registers: &Registers) -> u64 {
    let mut histogram = Histogram::default();
    registers.iter().for_each(|value| histogram.add(*value, 1));
    histogram.cardinality()
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

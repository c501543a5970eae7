//! Vectors as they are stored and compared: normalised, then as floats, as bytes or as bits.
//!
//! The distance is that of the cosine: 0 for the same direction, 1 for a right angle, 2 for opposite
//! directions. The loops over components are plain Rust that the compiler turns into vector
//! instructions (`algorithms/wide.rs`).
//!
//! What is stored is bit for bit what the reference stores, so VEMB, DUMP and DEBUG DIGEST agree
//! with it; that is why [`normalize`] adds in groups of four.

use crate::algorithms::wide::wide;

/// How the components of a set's vectors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 32-bit floats.
    None,
    /// Bytes, with the range that they cover for each vector.
    Q8,
    /// The signs alone.
    Binary,
}

impl Quantization {
    /// What VINFO and VEMB answer.
    pub fn name(self) -> &'static str {
        match self {
            Quantization::None => "f32",
            Quantization::Q8 => "int8",
            Quantization::Binary => "bin",
        }
    }

    /// Bytes of a vector of `dim` components.
    pub fn vector_bytes(self, dim: usize) -> usize {
        match self {
            Quantization::None => dim * size_of::<f32>(),
            Quantization::Q8 => dim,
            Quantization::Binary => dim.div_ceil(64) * size_of::<u64>(),
        }
    }
}

/// A vector in the form that a set stores, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stored<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Bytes, and what the largest stands for.
    Q8(&'a [i8], f32),
    /// Bits, the lowest of each word first, and the number of components.
    Binary(&'a [u64], usize),
}

impl Stored<'_> {
    /// The bytes that DUMP, VEMB RAW and DEBUG DIGEST have.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Stored::F32(floats) => floats.iter().flat_map(|float| float.to_le_bytes()).collect(),
            Stored::Q8(bytes, _) => bytes.iter().map(|byte| byte.cast_unsigned()).collect(),
            Stored::Binary(words, _) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }

    /// The range of a vector of bytes, else 0.
    pub fn range(self) -> f32 {
        if let Stored::Q8(_, range) = self { range } else { 0.0 }
    }

    /// The components, about as they were given; `l2` was the vector's length.
    pub fn to_floats(self, l2: f32) -> Vec<f32> {
        match self {
            Stored::F32(floats) => floats.iter().map(|float| float * l2).collect(),
            Stored::Q8(bytes, range) => {
                bytes.iter().map(|byte| f32::from(*byte) * range / 127.0 * l2).collect()
            }
            Stored::Binary(words, dim) => {
                let is_positive = |at: usize| words[at / 64] >> (at % 64) & 1 == 1;
                (0..dim).map(|at| if is_positive(at) { 1.0 } else { -1.0 }).collect()
            }
        }
    }
}

/// A vector in the form that a set stores.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owned {
    F32(Vec<f32>),
    Q8(Vec<i8>, f32),
    Binary(Vec<u64>, usize),
}

impl Owned {
    /// Of a vector that was normalised.
    pub(super) fn of(vector: Vec<f32>, quantization: Quantization) -> Owned {
        match quantization {
            Quantization::None => Owned::F32(vector),
            Quantization::Q8 => {
                let (bytes, range) = to_bytes(&vector);
                Owned::Q8(bytes, range)
            }
            Quantization::Binary => Owned::Binary(to_bits(&vector), vector.len()),
        }
    }

    /// Of what [`Stored::to_bytes`] gave; `None` if it has another length.
    pub(super) fn from_bytes(
        bytes: &[u8],
        range: f32,
        quantization: Quantization,
        dim: usize,
    ) -> Option<Owned> {
        if bytes.len() != quantization.vector_bytes(dim) {
            return None;
        }
        let words = || bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let floats = || bytes.as_chunks::<4>().0.iter().map(|float| f32::from_le_bytes(*float));
        Some(match quantization {
            Quantization::None => Owned::F32(floats().collect()),
            Quantization::Q8 => {
                Owned::Q8(bytes.iter().map(|byte| byte.cast_signed()).collect(), range)
            }
            Quantization::Binary => Owned::Binary(words().collect(), dim),
        })
    }

    pub(super) fn as_stored(&self) -> Stored<'_> {
        match self {
            Owned::F32(floats) => Stored::F32(floats),
            Owned::Q8(bytes, range) => Stored::Q8(bytes, *range),
            Owned::Binary(words, dim) => Stored::Binary(words, *dim),
        }
    }
}

/// Gives a vector the length 1, and returns the length it had; 1 for a vector of zeros.
pub(super) fn normalize(vector: &mut [f32]) -> f32 {
    let (groups, rest) = vector.as_chunks::<4>();
    let in_groups =
        groups.iter().fold(0.0f32, |sum, [a, b, c, d]| sum + (a * a + b * b + c * c + d * d));
    let square = rest.iter().fold(in_groups, |sum, component| sum + component * component);
    if square == 0.0 {
        return 1.0;
    }
    let l2 = square.sqrt();
    vector.iter_mut().for_each(|component| *component /= l2);
    l2
}

/// Each component as a part of the largest in 127 steps, and the largest.
fn to_bytes(vector: &[f32]) -> (Vec<i8>, f32) {
    // What is no number counts for nothing.
    let largest = vector.iter().fold(0.0f32, |largest, component| largest.max(component.abs()));
    if largest == 0.0 {
        return (vec![0; vector.len()], 0.0);
    }
    let scale = 127.0 / largest;
    let step = |component: &f32| {
        let step = (component * scale).round();
        // Where the largest is too small for a scale, all are.
        if step.is_finite() { step as i8 } else { 0 }
    };
    (vector.iter().map(step).collect(), largest)
}

/// Which components are above 0.
fn to_bits(vector: &[f32]) -> Vec<u64> {
    let word = |components: &[f32]| {
        let bits = components.iter().enumerate();
        bits.fold(0, |word, (at, component)| word | u64::from(*component > 0.0) << at)
    };
    vector.chunks(64).map(word).collect()
}

/// The distance between two vectors of the same form. NaN is always the positive one.
#[inline]
pub(super) fn distance(a: Stored<'_>, b: Stored<'_>) -> f32 {
    match (a, b) {
        (Stored::F32(a), Stored::F32(b)) => number(1.0 - dot_f32(a, b)),
        (Stored::Q8(a, range_a), Stored::Q8(b, range_b)) => {
            of_bytes(dot_i8(a, b), range_a, range_b)
        }
        (Stored::Binary(a, dim), Stored::Binary(b, _)) => of_bits(differing(a, b), dim),
        _ => unreachable!("the vectors of a set have one form"),
    }
}

/// As [`distance`], but floats are added in the reference's order, so that scores are its own to the
/// last digit.
pub(super) fn told_distance(a: Stored<'_>, b: Stored<'_>) -> f32 {
    let (Stored::F32(a), Stored::F32(b)) = (a, b) else { return distance(a, b) };
    let (groups_a, rest_a) = a.as_chunks::<4>();
    let (groups_b, rest_b) = b.as_chunks::<4>();
    let n_paired = groups_a.len() & !1;
    let mut sums = [0.0f32; 2];
    for (at, (a, b)) in groups_a.iter().zip(groups_b).enumerate() {
        if at < n_paired {
            sums[at % 2] += a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
        } else {
            a.iter().zip(b).for_each(|(a, b)| sums[0] += a * b);
        }
    }
    rest_a.iter().zip(rest_b).for_each(|(a, b)| sums[0] += a * b);
    number(1.0 - (sums[0] + sums[1]))
}

fn number(distance: f32) -> f32 {
    if distance.is_nan() { f32::NAN } else { distance }
}

fn of_bytes(dot: i64, range_a: f32, range_b: f32) -> f32 {
    if range_a == 0.0 || range_b == 0.0 {
        return 1.0;
    }
    let scale = (range_a / 127.0) * (range_b / 127.0);
    number((1.0 - dot as f32 * scale).clamp(0.0, 2.0))
}

fn of_bits(n_differing: u64, dim: usize) -> f32 {
    n_differing as f32 * 2.0 / dim as f32
}

wide! {
    /// The sum of the products of the components.
    fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
        let (blocks_a, rest_a) = a.as_chunks::<32>();
        let (blocks_b, rest_b) = b.as_chunks::<32>();
        let mut sums = [0.0f32; 32];
        for (a, b) in blocks_a.iter().zip(blocks_b) {
            for lane in 0..32 {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let in_rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
        let mut width = 16;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        sums[0] + in_rest
    }
}

wide! {
    /// The sum of the products of the components.
    fn dot_i8(a: &[i8], b: &[i8]) -> i64 {
        // Sums of so many products fit 32 bits. Checking each would keep the compiler from using
        // vectors.
        const BLOCK: usize = 1 << 15;
        let mut total = 0i64;
        for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
            let mut sum = 0i32;
            for (a, b) in a.iter().zip(b) {
                sum = sum.wrapping_add(i32::from(*a).wrapping_mul(i32::from(*b)));
            }
            total = total.wrapping_add(i64::from(sum));
        }
        total
    }
}

wide! {
    /// Number of bits that differ.
    fn differing(a: &[u64], b: &[u64]) -> u64 {
        let ones = a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones()));
        ones.fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn component() -> impl Strategy<Value = f32> {
        prop_oneof![-100.0f32..100.0, Just(0.0)]
    }

    fn both() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        proptest::collection::vec((component(), component()), 1..200)
            .prop_map(|pairs| pairs.into_iter().unzip())
    }

    /// The distance of the cosine, in doubles.
    fn expected(a: &[f32], b: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let lengths = (dot(a, a) * dot(b, b)).sqrt();
        if lengths == 0.0 { 1.0 } else { 1.0 - dot(a, b) / lengths }
    }

    fn stored(vector: &[f32], quantization: Quantization) -> (Owned, f32) {
        let mut vector = vector.to_vec();
        let l2 = normalize(&mut vector);
        (Owned::of(vector, quantization), l2)
    }

    proptest! {
        #[test]
        fn distances_are_those_of_the_cosine((a, b) in both()) {
            for (quantization, tolerance) in [(Quantization::None, 1e-5), (Quantization::Q8, 0.07)] {
                let ((a_stored, _), (b_stored, _)) = (stored(&a, quantization), stored(&b, quantization));
                let (a_stored, b_stored) = (a_stored.as_stored(), b_stored.as_stored());
                let found = distance(a_stored, b_stored);
                let apart = (f64::from(found) - expected(&a, &b)).abs();
                prop_assert!(apart < tolerance, "{quantization:?} {found}");
                prop_assert!((found - told_distance(a_stored, b_stored)).abs() < 1e-5);
                prop_assert_eq!(found, distance(b_stored, a_stored));
            }
        }

        #[test]
        fn signs_alone_are_compared((a, b) in both()) {
            let ((a_stored, _), (b_stored, _)) =
                (stored(&a, Quantization::Binary), stored(&b, Quantization::Binary));
            let n_differing = a.iter().zip(&b).filter(|(a, b)| (**a > 0.0) != (**b > 0.0)).count();
            let found = distance(a_stored.as_stored(), b_stored.as_stored());
            prop_assert_eq!(found, 2.0 * n_differing as f32 / a.len() as f32);
        }

        #[test]
        fn what_is_stored_is_about_what_was_given(vector in proptest::collection::vec(component(), 1..100)) {
            let largest = vector.iter().fold(0.0f32, |largest, one| largest.max(one.abs()));
            for (quantization, tolerance) in [(Quantization::None, 1e-3), (Quantization::Q8, 0.005)] {
                let (owned, l2) = stored(&vector, quantization);
                let back = owned.as_stored().to_floats(l2);
                let apart = vector.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                prop_assert!(apart <= largest * tolerance, "{quantization:?} {apart}");
                let bytes = owned.as_stored().to_bytes();
                let range = owned.as_stored().range();
                let again = Owned::from_bytes(&bytes, range, quantization, vector.len());
                prop_assert_eq!(again.as_ref(), Some(&owned));
                prop_assert_eq!(Owned::from_bytes(&bytes[1..], range, quantization, vector.len()), None);
            }
        }
    }

    #[test]
    fn what_is_no_number_makes_no_panic() {
        let odd =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, 1.0, f32::MIN_POSITIVE];
        for quantization in [Quantization::None, Quantization::Q8, Quantization::Binary] {
            for a in odd {
                let (own, l2) = stored(&[a, 1.0, 0.0], quantization);
                own.as_stored().to_floats(l2);
                let (other, _) = stored(&[1.0, 2.0, 3.0], quantization);
                let found = distance(own.as_stored(), other.as_stored());
                assert!(found.is_nan() || (0.0..=2.0).contains(&found), "{a} {found}");
                assert!(!found.is_nan() || found.is_sign_positive());
            }
        }
    }
}

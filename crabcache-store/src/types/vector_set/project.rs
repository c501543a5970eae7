//! REDUCE: vectors of many components made into vectors of few, distances about kept.
//!
//! Each component of the result is the sum of all given components with signs of their own, those of
//! a Hadamard matrix: component j counts negatively for result i if `i & j` has an odd number of
//! ones. Such a matrix need not be kept; one that a payload brings and that is another is.

/// Rows of the matrix that are computed side by side.
const LANES: usize = 16;

/// A matrix for vectors of `input_dim` components.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    input_dim: usize,
    output_dim: usize,
    /// Row by row, if it is not the Hadamard matrix.
    matrix: Option<Box<[f32]>>,
}

impl Projection {
    /// Most elements of a matrix: 256 MB, which is what DUMP has to write.
    pub const ELEMENTS_MAX: usize = 1 << 26;

    /// The Hadamard matrix; `None` if it would be too large.
    pub fn new(input_dim: usize, output_dim: usize) -> Option<Projection> {
        let n_elements = input_dim.checked_mul(output_dim)?;
        (n_elements <= Self::ELEMENTS_MAX).then_some(Projection {
            input_dim,
            output_dim,
            matrix: None,
        })
    }

    /// A matrix as [`Projection::to_bytes`] gave it; `None` if it has another size.
    pub fn from_bytes(input_dim: usize, output_dim: usize, bytes: &[u8]) -> Option<Projection> {
        let (elements, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || Some(elements.len()) != input_dim.checked_mul(output_dim) {
            return None;
        }
        let projection = Projection { input_dim, output_dim, matrix: None };
        let elements = elements.iter().map(|element| f32::from_le_bytes(*element));
        if elements.clone().map(f32::to_bits).eq(projection.elements().map(f32::to_bits)) {
            return Some(projection);
        }
        Some(Projection { matrix: Some(elements.collect()), ..projection })
    }

    /// Components of the vectors that come.
    pub fn input_dim(&self) -> usize {
        self.input_dim
    }

    /// The matrix row by row.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.matrix {
            Some(matrix) => matrix.iter().flat_map(|element| element.to_le_bytes()).collect(),
            None => self.elements().flat_map(f32::to_le_bytes).collect(),
        }
    }

    /// Bytes of memory.
    pub(super) fn mem_bytes(&self) -> usize {
        self.matrix.as_ref().map_or(0, |matrix| size_of_val(&**matrix))
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.input_dim as f64).sqrt()) as f32
    }

    fn elements(&self) -> impl Iterator<Item = f32> + use<> {
        let (scale, input_dim) = (self.scale(), self.input_dim);
        let row = move |row| (0..input_dim).map(move |column| scale * sign(row & column));
        (0..self.output_dim).flat_map(row)
    }

    /// The reduced vector, added up in the reference's order.
    pub(super) fn apply(&self, input: &[f32]) -> Vec<f32> {
        debug_assert_eq!(input.len(), self.input_dim);
        if let Some(matrix) = &self.matrix {
            let rows = matrix.chunks(self.input_dim);
            let sum = |row: &[f32]| row.iter().zip(input).fold(0.0, |sum, (a, b)| sum + a * b);
            return rows.map(sum).collect();
        }
        let scale = self.scale();
        // Signs of the elements in a block of rows that begins at a multiple of `LANES`: those of
        // the low bits, by column, and the sign of the high bits, which is the same in all rows.
        let low: [[f32; LANES]; LANES] =
            std::array::from_fn(|column| std::array::from_fn(|lane| scale * sign(lane & column)));
        let mut output = Vec::with_capacity(self.output_dim);
        for first in (0..self.output_dim).step_by(LANES) {
            let mut sums = [0.0f32; LANES];
            for (column, component) in input.iter().enumerate() {
                let (low, high) = (&low[column % LANES], sign(first & column) * component);
                for lane in 0..LANES {
                    sums[lane] += low[lane] * high;
                }
            }
            output.extend(&sums[..LANES.min(self.output_dim - first)]);
        }
        output
    }
}

fn sign(bits: usize) -> f32 {
    if bits.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_matrix_need_not_be_there(
            input in proptest::collection::vec(-9.0f32..9.0, 1..70),
            output_dim in 1usize..70,
        ) {
            let known = Projection::new(input.len(), output_dim).unwrap();
            let bytes = known.to_bytes();
            prop_assert_eq!(bytes.len(), input.len() * output_dim * 4);
            prop_assert_eq!(Projection::from_bytes(input.len(), output_dim, &bytes), Some(known.clone()));
            let matrix = known.elements().collect();
            let kept = Projection { matrix: Some(matrix), ..known.clone() };
            prop_assert_eq!(kept.apply(&input), known.apply(&input));
            prop_assert_eq!(kept.to_bytes(), bytes);
        }
    }

    #[test]
    fn other_matrices_are_kept() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|e| e.to_le_bytes()).collect();
        let other = Projection::from_bytes(2, 2, &bytes).unwrap();
        assert_eq!(other.apply(&[1.0, 10.0]), [21.0, 43.0]);
        assert_eq!(other.to_bytes(), bytes);
        assert_eq!(Projection::from_bytes(2, 3, &bytes), None);
        assert_eq!(Projection::from_bytes(usize::MAX, 2, &bytes), None);
        assert_eq!(Projection::from_bytes(2, 2, &bytes[1..]), None);
        assert_eq!(Projection::new(1 << 20, 1 << 20), None);
    }
}

//! The vectors of a set, side by side.

use super::quantize::{Owned, Quantization, Stored};
use super::rows::Rows;

/// Bytes behind a vector of bytes: its range.
const RANGE_BYTES: usize = size_of::<f32>();

/// Vectors of one form and length, by the number of their node.
#[derive(Debug, Clone)]
pub(super) enum Vectors {
    F32(Rows<f32>),
    /// With the range behind each, so that it comes with the vector's cache lines.
    Q8(Rows<i8>),
    Binary(Rows<u64>, usize),
}

impl Vectors {
    pub(super) fn new(quantization: Quantization, dim: usize) -> Vectors {
        match quantization {
            Quantization::None => Vectors::F32(Rows::new(dim)),
            Quantization::Q8 => Vectors::Q8(Rows::new(dim + RANGE_BYTES)),
            Quantization::Binary => Vectors::Binary(Rows::new(dim.div_ceil(64)), dim),
        }
    }

    pub(super) fn quantization(&self) -> Quantization {
        match self {
            Vectors::F32(_) => Quantization::None,
            Vectors::Q8(_) => Quantization::Q8,
            Vectors::Binary(..) => Quantization::Binary,
        }
    }

    #[inline]
    pub(super) fn get(&self, node: u32) -> Stored<'_> {
        match self {
            Vectors::F32(rows) => Stored::F32(rows.get(node as usize)),
            Vectors::Q8(rows) => match rows.get(node as usize).split_last_chunk() {
                Some((vector, range)) => {
                    Stored::Q8(vector, f32::from_ne_bytes(range.map(i8::cast_unsigned)))
                }
                None => unreachable!("rows have room for the range"),
            },
            Vectors::Binary(rows, dim) => Stored::Binary(rows.get(node as usize), *dim),
        }
    }

    pub(super) fn push(&mut self, vector: Owned) {
        match (self, vector) {
            (Vectors::F32(rows), Owned::F32(vector)) => rows.push(vector),
            (Vectors::Q8(rows), Owned::Q8(vector, range)) => {
                let range = range.to_ne_bytes().map(u8::cast_signed);
                rows.push(vector.into_iter().chain(range));
            }
            (Vectors::Binary(rows, _), Owned::Binary(vector, _)) => rows.push(vector),
            _ => unreachable!("the vectors of a set have one form"),
        }
    }

    pub(super) fn swap_remove(&mut self, node: u32) {
        match self {
            Vectors::F32(rows) => rows.swap_remove(node as usize),
            Vectors::Q8(rows) => rows.swap_remove(node as usize),
            Vectors::Binary(rows, _) => rows.swap_remove(node as usize),
        }
    }

    pub(super) fn mem_bytes(&self) -> usize {
        match self {
            Vectors::F32(rows) => rows.mem_bytes(),
            Vectors::Q8(rows) => rows.mem_bytes(),
            Vectors::Binary(rows, _) => rows.mem_bytes(),
        }
    }
}

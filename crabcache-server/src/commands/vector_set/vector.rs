//! Vectors as requests have them.

use crate::command::Args;
use crate::error::VectorSetError;
use crabcache_resp::number::parse_i64;
use crabcache_store::algorithms::double;

const INVALID: VectorSetError = VectorSetError::Invalid("vector specification");

/// A vector of a request.
pub(super) struct Given {
    pub(super) vector: Vec<f32>,
    /// REDUCE: how many components are to be made of it.
    pub(super) reduce: Option<usize>,
    /// Words that it took.
    pub(super) n_words: usize,
}

impl Given {
    /// Reads `FP32 blob` or `VALUES num value...` from word number `start` on.
    pub(super) fn parse(args: Args, start: usize) -> Result<Given, VectorSetError> {
        if args.is(start, "FP32") {
            let blob = if start + 1 < args.len() { args.get(start + 1) } else { b"" };
            let (floats, rest) = blob.as_chunks::<4>();
            if floats.is_empty() || !rest.is_empty() {
                return Err(INVALID);
            }
            let vector = floats.iter().map(|float| f32::from_le_bytes(*float)).collect();
            return Ok(Given { vector, reduce: None, n_words: 2 });
        }
        if !args.is(start, "VALUES") || start + 1 >= args.len() {
            return Err(INVALID);
        }
        let dim = parse_i64(args.get(start + 1)).and_then(|dim| usize::try_from(dim).ok());
        let n_left = args.len() - start - 2;
        let dim = dim.filter(|dim| (1..=n_left).contains(dim)).ok_or(INVALID)?;
        let words = args.from(start + 2).take(dim);
        let component = |word| double::parse(word).map(|component| component as f32);
        let vector = words.map(component).collect::<Option<_>>().ok_or(INVALID)?;
        Ok(Given { vector, reduce: None, n_words: 2 + dim })
    }

    /// The same with `REDUCE dim` before it, perhaps.
    pub(super) fn parse_reduced(args: Args, start: usize) -> Result<Given, VectorSetError> {
        if !args.is(start, "REDUCE") || args.len() <= start + 2 {
            return Given::parse(args, start);
        }
        let dim = parse_i64(args.get(start + 1)).and_then(|dim| u32::try_from(dim).ok());
        let dim = dim.filter(|dim| *dim > 0).ok_or(INVALID)?;
        let given = Given::parse(args, start + 2)?;
        Ok(Given { reduce: Some(dim as usize), n_words: given.n_words + 2, ..given })
    }
}

//! Rows of equal length, found by number, in chunks that never move.
//!
//! A chunk is about 64 KB, so a million rows do not have to be copied when one more comes, and no
//! more than a chunk stands empty. The rows are dense: the last takes the place of one that goes.

/// Bytes that a chunk is to have.
const CHUNK_BYTES: usize = 64 * 1024;

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Rows<T> {
    chunks: Vec<Vec<T>>,
    /// Items of a row.
    stride: usize,
    /// Rows of a chunk, as a power of two.
    shift: u32,
    len: usize,
}

impl<T> Rows<T> {
    /// Without rows; `stride`, the items of each, is not 0.
    pub(super) fn new(stride: usize) -> Self {
        let row_bytes = stride.saturating_mul(size_of::<T>()).max(1);
        let shift = (CHUNK_BYTES / row_bytes).max(1).ilog2();
        Rows { chunks: Vec::new(), stride, shift, len: 0 }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn place(&self, index: usize) -> (usize, usize) {
        let in_chunk = index & ((1 << self.shift) - 1);
        (index >> self.shift, in_chunk * self.stride)
    }

    /// Row number `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> &[T] {
        let (chunk, start) = self.place(index);
        &self.chunks[chunk][start..start + self.stride]
    }

    /// Row number `index`, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> &mut [T] {
        let (chunk, start) = self.place(index);
        &mut self.chunks[chunk][start..start + self.stride]
    }

    /// Adds a row of as many items as all rows have.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = T>) {
        let (chunk, _) = self.place(self.len);
        if chunk == self.chunks.len() {
            // The first chunk grows with a small set.
            let n_rows = if chunk == 0 { 1 } else { 1 << self.shift };
            self.chunks.push(Vec::with_capacity(n_rows * self.stride));
        }
        let chunk = &mut self.chunks[chunk];
        let len_before = chunk.len();
        chunk.extend(row);
        assert_eq!(chunk.len() - len_before, self.stride, "rows are of equal length");
        self.len += 1;
    }

    /// Takes row number `index` out; the last row gets its number.
    pub(super) fn swap_remove(&mut self, index: usize) {
        let last = self.len - 1;
        let (chunk, start) = self.place(last);
        let row = self.chunks[chunk].split_off(start);
        if index != last {
            self.get_mut(index).iter_mut().zip(row).for_each(|(slot, item)| *slot = item);
        }
        if start == 0 {
            self.chunks.pop();
        }
        self.len = last;
    }

    /// Bytes of the chunks.
    pub(super) fn mem_bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_those_of_a_vector(
            stride in prop_oneof![Just(1usize), Just(3), Just(20_000), Just(70_000)],
            steps in proptest::collection::vec(any::<Option<u16>>(), 0..60),
        ) {
            let mut rows = Rows::new(stride);
            let mut model: Vec<Vec<u32>> = Vec::new();
            for (number, step) in (0..).zip(steps) {
                match step {
                    Some(index) if !model.is_empty() => {
                        let index = usize::from(index) % model.len();
                        rows.swap_remove(index);
                        model.swap_remove(index);
                    }
                    _ => {
                        let row: Vec<u32> = (number..).take(stride).collect();
                        rows.push(row.iter().copied());
                        model.push(row);
                    }
                }
                prop_assert_eq!(rows.len(), model.len());
                prop_assert!(model.iter().enumerate().all(|(at, row)| rows.get(at) == &row[..]));
            }
        }
    }
}

//! The end of the replication stream, kept for replicas that lag or come back.
//!
//! Offsets count the bytes of the stream from its beginning, as `master_repl_offset` does: the backlog
//! holds the bytes from `start` up to `end`, in blocks of one size.

use std::collections::VecDeque;

/// Bytes of a block.
const BLOCK_BYTES: usize = 16 * 1024;

/// See the module's text.
#[derive(Debug)]
pub struct Backlog {
    /// All are full but the last.
    blocks: VecDeque<Vec<u8>>,
    start: u64,
    end: u64,
}

impl Backlog {
    /// Without bytes, at an offset.
    pub fn new(offset: u64) -> Backlog {
        Backlog { blocks: VecDeque::new(), start: offset, end: offset }
    }

    /// Offset of the first byte that is there.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether a reader can go on at `offset`.
    pub fn holds(&self, offset: u64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// Adds bytes. Whether a new block was begun: then it may be time to [`Backlog::trim`].
    pub fn extend(&mut self, mut bytes: &[u8]) -> bool {
        let n_blocks = self.blocks.len();
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |block| BLOCK_BYTES - block.len());
            if room == 0 {
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
                continue;
            }
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.back_mut() {
                block.extend_from_slice(head);
            }
            bytes = rest;
        }
        self.blocks.len() != n_blocks
    }

    /// Drops blocks before `keep_from`, but none of the last `size` bytes.
    pub fn trim(&mut self, keep_from: u64, size: u64) {
        let keep_from = keep_from.min(self.end.saturating_sub(size));
        while self.blocks.len() > 1 && self.start + BLOCK_BYTES as u64 <= keep_from {
            self.blocks.pop_front();
            self.start += BLOCK_BYTES as u64;
        }
        // What a slow replica has needed is not kept for the next one.
        if self.blocks.capacity() > 64 + 4 * self.blocks.len() {
            self.blocks.shrink_to(2 * self.blocks.len());
        }
    }

    /// Appends to `out` the bytes from `offset` on that stand together, at most a block. Nothing if
    /// there are none, or none any more.
    pub fn read(&self, offset: u64, out: &mut Vec<u8>) {
        if !self.holds(offset) || offset == self.end {
            return;
        }
        let at = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        if let Some(block) = self.blocks.get(at / BLOCK_BYTES) {
            out.extend_from_slice(&block[at % BLOCK_BYTES..]);
        }
    }

    /// Bytes of memory.
    pub fn mem_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES + self.blocks.capacity() * size_of::<Vec<u8>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_added_is_read(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30_000), 0..12),
            size in 0u64..100_000,
            lag in 0u64..60_000,
        ) {
            const ORIGIN: u64 = 1_000_000;
            let (mut backlog, mut model) = (Backlog::new(ORIGIN), Vec::new());
            for piece in pieces {
                if backlog.extend(&piece) {
                    backlog.trim(backlog.end().saturating_sub(lag), size);
                }
                model.extend_from_slice(&piece);
                prop_assert_eq!(backlog.end(), ORIGIN + model.len() as u64);
                prop_assert!(backlog.len() >= size.max(lag).min(model.len() as u64));
                prop_assert!(backlog.len() <= size.max(lag) + 30_000 + 2 * BLOCK_BYTES as u64);
                let mut read = Vec::new();
                let mut offset = backlog.start();
                while offset < backlog.end() {
                    backlog.read(offset, &mut read);
                    offset = backlog.start() + read.len() as u64;
                }
                prop_assert_eq!(&read[..], &model[(backlog.start() - ORIGIN) as usize..]);
            }
            let mut none = Vec::new();
            backlog.read(backlog.end() + 1, &mut none);
            if backlog.start() > ORIGIN {
                backlog.read(backlog.start() - 1, &mut none);
            }
            prop_assert!(none.is_empty());
        }
    }
}

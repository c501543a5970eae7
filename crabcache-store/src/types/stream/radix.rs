//! How many nodes the reference's radix tree would have for a stream's ids.
//!
//! We keep no radix tree. XINFO STREAM tells the number, and lazy freeing measures effort by it.

use super::id::StreamId;

const KEY_BYTES: usize = 16;

/// Number of nodes of a compressed radix tree of these ids, which come in order: a node where keys
/// part, one for the bytes that a path has in common, one at the end of each key.
pub(super) fn n_nodes(mut ids: impl Iterator<Item = StreamId>) -> usize {
    let Some(first) = ids.next() else { return 1 };
    let mut count = Count { n_nodes: 0, branches: Vec::new() };
    let (mut previous, mut parted_before) = (first.to_bytes(), None);
    for id in ids {
        let bytes = id.to_bytes();
        let depth = previous.iter().zip(&bytes).take_while(|(one, other)| one == other).count();
        count.leaf(parted_before.max(Some(depth)));
        count.parting(depth);
        (previous, parted_before) = (bytes, Some(depth));
    }
    count.leaf(parted_before);
    count.close_beyond(None);
    count.n_nodes
}

struct Count {
    n_nodes: usize,
    /// Depths of the branches on the way to the last key.
    branches: Vec<usize>,
}

impl Count {
    /// A path from below a branch to a node at `depth`: one node if it is not empty.
    fn path(&mut self, parent: Option<usize>, depth: usize) {
        self.n_nodes += usize::from(parent.map_or(0, |parent| parent + 1) < depth);
    }

    fn leaf(&mut self, parent: Option<usize>) {
        self.path(parent, KEY_BYTES);
        self.n_nodes += 1;
    }

    /// Two neighbours part at `depth`.
    fn parting(&mut self, depth: usize) {
        self.close_beyond(Some(depth));
        if self.branches.last() != Some(&depth) {
            self.branches.push(depth);
            self.n_nodes += 1;
        }
    }

    /// No more keys come below the branches beyond a depth.
    fn close_beyond(&mut self, depth: Option<usize>) {
        while let Some(&branch) = self.branches.last()
            && Some(branch) > depth
        {
            self.branches.pop();
            self.path(self.branches.last().copied().max(depth), branch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_references() {
        let count = |ids: &[(u64, u64)]| n_nodes(ids.iter().map(|&(ms, seq)| StreamId { ms, seq }));
        // From XINFO STREAM of Redis 8.2.3, with stream-node-max-entries 1.
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[(1, 0)]), 2);
        assert_eq!(count(&[(1, 0), (2, 0)]), 6);
        assert_eq!(count(&[(1, 0), (1, 1)]), 4);
        assert_eq!(count(&[(1, 0), (1, 1), (1, 2)]), 5);
        assert_eq!(count(&[(1, 0), (1, 1), (2, 0)]), 8);
        assert_eq!(count(&[(1, 0), (1, 256), (256, 0), (u64::MAX, u64::MAX)]), 13);
    }
}

//! The buffers that all connections of a worker share, and how large those become that a connection has
//! of its own.
//!
//! A connection has some only while a request is incomplete or the socket takes no more. So an idle
//! connection costs little, and memory is bounded by what a client has sent and not yet read.
//!
//! Nothing is read or sent here, and nobody is cut: that is for `input.rs` and `output.rs`.
//!
//! Invariant: the buffers are not borrowed while a command runs, for it may be a script that has other
//! connections served. Who serves takes them out and puts them back, and the others make do with new ones.

use bytes::BytesMut;

/// Bytes asked for with one read: a large value comes with one or two.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// Room that a connection's own buffer has at the least for the next read.
const ROOM_BYTES_MIN: usize = READ_BYTES / 16;
/// An unfinished request from this length on keeps the buffer that it was read into.
pub(super) const LARGE_INPUT_BYTES: usize = READ_BYTES / 8;
/// Output that a worker has room for from the beginning, as for input. No key should go because a worker
/// gets its first connection or gives its first long reply.
const OUTPUT_BYTES: usize = 16 * 1024;
/// Room for output that a worker keeps.
pub(super) const OUTPUT_BYTES_KEPT: usize = 512 * 1024;
/// An unfinished request up to this length waits in a buffer of just its size and goes back to the
/// shared buffer for the next read: many slow clients must not cost a read buffer each.
pub(super) const SMALL_INPUT_BYTES: usize = 4 * 1024;
/// A claimed length makes a connection ask for this much buffer at a time, or for as much as it has
/// already filled.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

/// See the module's text.
pub(super) struct Buffers {
    pub(super) input: BytesMut,
    pub(super) output: Vec<u8>,
}

impl Buffers {
    /// For a worker that begins.
    pub(super) fn new() -> Buffers {
        let output = Vec::with_capacity(OUTPUT_BYTES);
        Buffers { input: BytesMut::with_capacity(READ_BYTES), output }
    }

    /// The buffer for a read, empty, of [`READ_BYTES`]: it may become a connection's own, whose client
    /// counts with all of it.
    pub(super) fn empty_input(&mut self) -> &mut BytesMut {
        self.input.clear();
        if !self.input.try_reclaim(READ_BYTES) {
            self.input = BytesMut::with_capacity(READ_BYTES);
        }
        &mut self.input
    }

    /// Takes the buffer back that a large request has taken, now that it was served.
    pub(super) fn take_back(&mut self, mut input: BytesMut) {
        if self.input.capacity() == 0
            && input.try_reclaim(READ_BYTES)
            && input.capacity() == READ_BYTES
        {
            self.input = input;
        }
    }
}

/// Makes room for the `wanted` bytes that are missing, and no more if they are many: clients count with
/// their buffers, and the largest may have to go.
pub(super) fn make_room(input: &mut BytesMut, wanted: usize) {
    if input.capacity() - input.len() >= wanted.max(1) {
        return;
    }
    if wanted < ROOM_BYTES_MIN {
        return input.reserve(ROOM_BYTES_MIN);
    }
    let n_bytes = wanted.min(RESERVE_BYTES_MAX.max(input.len()));
    let mut larger = BytesMut::with_capacity(input.len() + n_bytes);
    larger.extend_from_slice(input);
    *input = larger;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients of one large word each must not count twice what they have sent.
    #[test]
    fn a_buffer_is_as_large_as_its_request() {
        const N_BYTES: usize = 5 << 20;
        let mut input = BytesMut::from(&b"*1\r\n$5242880\r\n"[..]);
        let whole = input.len() + N_BYTES + 2;
        while input.len() < whole {
            let wanted = whole - input.len();
            make_room(&mut input, wanted);
            let room = input.capacity() - input.len();
            assert!(room <= RESERVE_BYTES_MAX.max(input.len()), "{room}");
            input.resize(input.len() + room.min(READ_BYTES).min(whole - input.len()), 0);
        }
        assert_eq!(input.capacity(), whole);
        // Small words: the buffer grows by more than one at a time.
        make_room(&mut input, 10);
        assert!(input.capacity() >= whole + ROOM_BYTES_MIN);
    }
}

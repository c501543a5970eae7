//! LZF compression, the format of long strings in snapshots and DUMP payloads.
//!
//! ```text
//! 000lllll                     l + 1 literal bytes follow
//! lllooooo oooooooo            l + 2 bytes from o + 1 bytes before, l in 1..7
//! 111ooooo llllllll oooooooo   l + 9 bytes from o + 1 bytes before
//! ```
//!
//! Both directions are bounded: the compressor by the length that is still worth it, the
//! decompressor by what so much input can expand to.

use std::cell::RefCell;

/// Longest run of literals.
const LITERALS_MAX: usize = 32;
/// Shortest and longest match.
const MATCH_LEN_MIN: usize = 3;
const MATCH_LEN_MAX: usize = 264;
/// How far back a match may lie.
const OFFSET_MAX: usize = 1 << 13;
/// Three bytes of input give so many bytes at most.
const EXPANSION_MAX: usize = MATCH_LEN_MAX / 3;

/// Where three bytes were last seen, by what they hash to.
///
/// A table serves one input after the other without being cleared: positions are counted on from those
/// of the inputs before, so that what an earlier one has left is known by its smallness.
struct Seen {
    slots: Box<[u32]>,
    /// Position of the first byte of the input, never 0.
    start: u32,
}

impl Seen {
    const N_SLOTS: usize = 1 << 16;

    fn new() -> Seen {
        Seen { slots: vec![0; Seen::N_SLOTS].into_boxed_slice(), start: 1 }
    }

    /// Begins with an input of this length, behind one of `len_before`.
    fn begin(&mut self, len_before: u32, len: u32) {
        match self.start.checked_add(len_before).filter(|start| start.checked_add(len).is_some()) {
            Some(start) => self.start = start,
            None => *self = Seen::new(),
        }
    }

    /// Notes that three bytes stand at `at`; gives where their like stood before.
    fn replace(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let [a, b, c] = [0, 1, 2].map(|index| usize::from(input[at + index]));
        let slot = (a << 8 | b).wrapping_sub(5 * (b << 8 | c)) % Seen::N_SLOTS;
        let position = self.start + at as u32;
        let earlier = std::mem::replace(&mut self.slots[slot], position);
        earlier.checked_sub(self.start).map(|earlier| earlier as usize)
    }
}

thread_local! {
    /// The table, and the length of the input that it served last.
    static SEEN: RefCell<Option<(Seen, u32)>> = const { RefCell::new(None) };
}

/// Compresses `input` if the result is no longer than `len_max`.
pub fn compress(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    // Positions are kept in 32 bits.
    let len = u32::try_from(input.len()).ok().filter(|len| *len < u32::MAX / 2)?;
    if input.is_empty() || len_max == 0 {
        return None;
    }
    SEEN.with_borrow_mut(|state| {
        let (seen, len_before) = state.get_or_insert_with(|| (Seen::new(), 0));
        seen.begin(*len_before, len);
        *len_before = len;
        Compressor::new(len_max).run(input, seen)
    })
}

/// What has been written so far.
///
/// Which matches are taken, and when there is said to be too little room, is the same as in the
/// library that Redis uses, in its setting "very fast": so payloads are the same, byte by byte.
struct Compressor {
    /// Ends with a run of literals, whose first byte is to hold their number.
    out: Vec<u8>,
    n_literals: usize,
    len_max: usize,
}

impl Compressor {
    fn new(len_max: usize) -> Compressor {
        Compressor { out: vec![0], n_literals: 0, len_max }
    }

    fn run(mut self, input: &[u8], seen: &mut Seen) -> Option<Vec<u8>> {
        // Nothing begins in the last two bytes.
        let end = input.len().saturating_sub(MATCH_LEN_MIN - 1);
        let mut at = 0;
        while at < end {
            // Compat: a match never begins at the first byte.
            let earlier = seen.replace(input, at).filter(|from| {
                *from > 0 && at - from <= OFFSET_MAX && input[*from..from + 3] == input[at..at + 3]
            });
            let Some(from) = earlier else {
                if self.out.len() >= self.len_max {
                    return None;
                }
                self.literal(input[at]);
                at += 1;
                continue;
            };
            let is_run_empty = self.n_literals == 0;
            if self.out.len() + 4 - usize::from(is_run_empty) >= self.len_max {
                return None;
            }
            let len = match_len(input, from, at);
            self.end_run();
            write_match(&mut self.out, at - from, len);
            self.out.push(0);
            at += len;
            if at >= end {
                break;
            }
            // Compat: of what a match covers, only the last two bytes are remembered.
            seen.replace(input, at - 2);
            seen.replace(input, at - 1);
        }
        if self.out.len() + 3 > self.len_max {
            return None;
        }
        input[at..].iter().for_each(|byte| self.literal(*byte));
        self.end_run();
        Some(self.out)
    }

    fn literal(&mut self, byte: u8) {
        self.out.push(byte);
        self.n_literals += 1;
        if self.n_literals == LITERALS_MAX {
            self.end_run();
            self.out.push(0);
        }
    }

    /// Notes the number of literals; a run without any is none.
    fn end_run(&mut self) {
        let header = self.out.len() - self.n_literals - 1;
        match self.n_literals.checked_sub(1) {
            Some(count) => self.out[header] = count as u8,
            None => self.out.truncate(header),
        }
        self.n_literals = 0;
    }
}

/// How many bytes at `at` are the same as those at `from`, three or more. Compat: the last two bytes of
/// the input are left to literals, but for matches of three or of nineteen that end there.
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let len_max = match (input.len() - at - 2).min(MATCH_LEN_MAX) {
        len @ ..=16 => len.max(MATCH_LEN_MIN),
        len => len.max(19),
    };
    let pairs = input[from..].iter().zip(&input[at..]);
    pairs.take(len_max).take_while(|(earlier, later)| earlier == later).count()
}

fn write_match(out: &mut Vec<u8>, offset: usize, len: usize) {
    let offset = offset - 1;
    let high = (offset >> 8) as u8;
    if len < 9 {
        out.push(((len - 2) as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (len - 9) as u8]);
    }
    out.push(offset as u8);
}

/// Expands `input` to exactly `len` bytes; `None` if it is damaged.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = input;
    while let [control, tail @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (literals, tail) = tail.split_at_checked(control + 1)?;
            if literals.len() > len - out.len() {
                return None;
            }
            out.extend_from_slice(literals);
            rest = tail;
            continue;
        }
        let (match_len, low, tail) = match (control >> 5, tail) {
            (7, [more, low, tail @ ..]) => (9 + usize::from(*more), *low, tail),
            (short, [low, tail @ ..]) if short < 7 => (short + 2, *low, tail),
            _ => return None,
        };
        let offset = ((control & 0x1f) << 8 | usize::from(low)) + 1;
        if match_len > len - out.len() {
            return None;
        }
        let from = out.len().checked_sub(offset)?;
        copy_within(&mut out, from, match_len);
        rest = tail;
    }
    (out.len() == len).then_some(out)
}

/// Appends `len` bytes from `from` on; what is appended may be part of it.
fn copy_within(out: &mut Vec<u8>, from: usize, len: usize) {
    let mut n_left = len;
    while n_left > 0 {
        // What stands there now repeats itself in what follows, so it can be copied as a whole.
        let n_copied = n_left.min(out.len() - from);
        out.extend_from_within(from..from + n_copied);
        n_left -= n_copied;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_blocks() {
        assert_eq!(decompress(b"\x00a", 1).as_deref(), Some(&b"a"[..]));
        // From the reference: DUMP of a hundred times `a`.
        assert_eq!(decompress(b"\x01aa\xe0\x57\x00\x01aa", 100), Some(vec![b'a'; 100]));
        assert_eq!(decompress(b"", 0), Some(Vec::new()));
        assert_eq!(compress(&[b'a'; 100], 96).as_deref(), Some(&b"\x01aa\xe0\x57\x00\x01aa"[..]));
    }

    #[test]
    fn damage_is_found() {
        let cases: &[(&[u8], usize)] = &[
            (b"", 1),
            (b"\x00a", 0),
            (b"\x00a", 2),
            (b"\x01a", 2),
            (b"\x20\x00", 3),
            (b"\x00a\x20", 4),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a\xe0\x00\x00", 9),
            (b"\x00a\xe0\xff\x00", usize::MAX),
        ];
        for (input, len) in cases {
            assert_eq!(decompress(input, *len), None, "{input:?}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        let mut state = 1u32;
        let noise: Vec<u8> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert_eq!(compress(&noise, noise.len() - 4), None);
        assert_eq!((compress(b"", 0), compress(b"ab", 1)), (None, None));
    }

    #[test]
    fn matches_reach_as_far_as_the_format() {
        let mut input = b"abcdefgh".to_vec();
        input.resize(OFFSET_MAX, b'-');
        input.extend_from_slice(b"abcdefgh");
        let compressed = compress(&input, input.len()).unwrap();
        assert!(compressed.len() < 120, "{}", compressed.len());
        assert_eq!(decompress(&compressed, input.len()), Some(input.clone()));
        input.insert(100, b'-');
        let compressed = compress(&input, input.len()).unwrap();
        assert_eq!(decompress(&compressed, input.len()), Some(input));
    }

    /// The table is used by one input after the other.
    #[test]
    fn what_was_compressed_before_does_not_matter() {
        let inputs = [&b"abcabcabcabcabcabcabcabc"[..], b"xabcabcabcxabcabcabcxabcabc"];
        let fresh: Vec<_> = inputs
            .map(|input| std::thread::spawn(move || compress(input, 100)).join().unwrap())
            .into();
        for _ in 0..3 {
            assert_eq!(inputs.map(|input| compress(input, 100)).to_vec(), fresh);
        }
        let mut seen = Seen::new();
        seen.begin(u32::MAX - 20, 10);
        assert_eq!((seen.start, seen.replace(b"abcd", 0)), (u32::MAX - 19, None));
        // Positions are at their end: the table is begun anew.
        seen.begin(10, 11);
        assert_eq!((seen.start, seen.replace(b"abcd", 0)), (1, None));
        assert_eq!(seen.replace(b"abcd", 0), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 1000 }))]

        #[test]
        fn what_was_compressed_comes_back(
            words in proptest::collection::vec("[a-c]{1,9}|[ -~]{0,40}", 0..200)
        ) {
            let input = words.concat().into_bytes();
            if let Some(compressed) = compress(&input, input.len() + 100) {
                prop_assert!(compressed.len() <= input.len() + 100);
                prop_assert_eq!(decompress(&compressed, input.len()), Some(input));
            } else {
                prop_assert!(input.is_empty() || input.len() > 3000);
            }
        }

        #[test]
        fn any_input_is_taken(input in proptest::collection::vec(any::<u8>(), 0..200), len in 0..9000usize) {
            if let Some(out) = decompress(&input, len) {
                prop_assert_eq!(out.len(), len);
            }
        }

        #[test]
        fn damaged_blocks_are_taken(at in 0..60usize, byte: u8, len in 0..300usize) {
            let mut block = compress(&b"to be or not to be, that is the question; ".repeat(5), 300).unwrap();
            let at = at % block.len();
            block[at] = byte;
            if let Some(out) = decompress(&block, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}

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

/// Longest run of literals.
const LITERALS_MAX: usize = 32;
/// Shortest and longest match.
const MATCH_LEN_MIN: usize = 3;
const MATCH_LEN_MAX: usize = 264;
/// How far back a match may lie.
const OFFSET_MAX: usize = 1 << 13;
/// Three bytes of input give so many bytes at most.
const EXPANSION_MAX: usize = MATCH_LEN_MAX / 3;

/// Compresses `input` if the result is no longer than `len_max`.
pub fn compress(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    // Positions are kept in 32 bits.
    u32::try_from(input.len()).ok()?;
    let table_bits = (usize::BITS - input.len().leading_zeros()).clamp(6, 14);
    let slot = |at: usize| {
        let three = u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0]);
        (three.wrapping_mul(0x9e37_79b1) >> (32 - table_bits)) as usize
    };
    // Where a hash was last seen, plus one.
    let mut seen = vec![0u32; 1 << table_bits];
    let mut out = Vec::with_capacity(len_max.min(input.len()) / 2);
    let (mut at, mut n_written) = (0, 0);
    while at + MATCH_LEN_MIN <= input.len() {
        let earlier = std::mem::replace(&mut seen[slot(at)], at as u32 + 1) as usize;
        let len = match earlier.checked_sub(1) {
            Some(from) if at - from <= OFFSET_MAX => match_len(input, from, at),
            _ => 0,
        };
        if len < MATCH_LEN_MIN {
            at += 1;
            continue;
        }
        write_literals(&mut out, &input[n_written..at]);
        write_match(&mut out, at - (earlier - 1), len);
        if out.len() > len_max {
            return None;
        }
        let end = at + len;
        for inside in at + 1..end.min(input.len() - (MATCH_LEN_MIN - 1)) {
            seen[slot(inside)] = inside as u32 + 1;
        }
        (at, n_written) = (end, end);
    }
    let rest = &input[n_written..];
    if out.len() + rest.len() > len_max {
        return None;
    }
    write_literals(&mut out, rest);
    (out.len() <= len_max).then_some(out)
}

/// How many bytes at `at` are the same as those at `from`.
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let pairs = input[from..].iter().zip(&input[at..]);
    pairs.take(MATCH_LEN_MAX).take_while(|(earlier, later)| earlier == later).count()
}

fn write_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
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
        let compressed = compress(&[b'a'; 100], 96).unwrap();
        assert!(compressed.len() < 12);
        assert_eq!(decompress(&compressed, 100), Some(vec![b'a'; 100]));
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
        assert_eq!(compress(b"", 0), Some(Vec::new()));
        assert_eq!(compress(b"ab", 1), None);
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
                prop_assert!(input.len() > 3000);
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

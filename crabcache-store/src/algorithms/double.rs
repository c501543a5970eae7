//! Doubles as text, in Redis's way: what is read as a score, and what a score is written as.
//!
//! The text is that of `crabcache_resp::number::write_f64`, which writes replies; a test of the
//! server holds them together. It is needed here because scores stand in listpacks as text.

// One source in both crates: neither may depend on the other.
#[path = "../../../crabcache-resp/src/number/digits.rs"]
mod digits;

/// Longest text of [`write`] in bytes.
pub const TEXT_BYTES_MAX: usize = 32;

/// Appends a text that reads back as `value`: `3`, `0.1`, `1e+21`, `inf`. A zero has no sign, and an
/// integer all of its digits.
pub fn write(out: &mut Vec<u8>, value: f64) {
    match exact_integer(value) {
        Some(integer) => out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes()),
        None => write_shortest(out, value),
    }
}

/// Appends a text that reads back as `value`, with the sign of a zero and digits as few as the
/// reference finds.
pub fn write_shortest(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
    } else {
        digits::write_finite(out, value);
    }
}

/// Appends `value` with 17 significant digits, but for zeros at the end: 0.1 is
/// 0.10000000000000001. This is C's `%.17g`.
pub fn write_17_digits(out: &mut Vec<u8>, value: f64) {
    const N_DIGITS: i32 = 17;
    if value == 0.0 || value.is_infinite() {
        return write_shortest(out, value);
    }
    let text = format!("{:.16e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let n_digits = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    if value < 0.0 {
        out.push(b'-');
    }
    if !(-4..N_DIGITS).contains(&exponent) {
        out.push(digits[0]);
        if n_digits > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..n_digits]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
        return;
    }
    let Ok(n_whole) = usize::try_from(exponent + 1) else {
        out.extend_from_slice(b"0.");
        out.extend((exponent + 1..0).map(|_| b'0'));
        out.extend_from_slice(&digits[..n_digits]);
        return;
    };
    if n_whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits[..n_whole]);
    if n_digits > n_whole {
        out.push(b'.');
        out.extend_from_slice(&digits[n_whole..n_digits]);
    }
}

/// The integer that a double is, if it is small enough for that to be certain.
pub fn exact_integer(value: f64) -> Option<i64> {
    digits::exact_integer(value)
}

/// Reads a double: decimal digits with a point and an exponent, hexadecimal ones, or an infinity.
/// `None` for anything else, for NaN, and for numbers that are too large or too small.
pub fn parse(text: &[u8]) -> Option<f64> {
    let value = match parse_decimal(text) {
        Some(value) => value,
        None => parse_hexadecimal(text)?,
    };
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    if value.is_infinite() {
        return (!text.iter().any(is_digit)).then_some(value);
    }
    let end = text.iter().position(|byte| matches!(byte, b'e' | b'E' | b'p' | b'P' | b'x' | b'X'));
    let digits = &text[..end.unwrap_or(text.len())];
    let is_too_small = value == 0.0 && digits.iter().any(|byte| matches!(byte, b'1'..=b'9'));
    (!is_too_small).then_some(value)
}

/// Reads an end of a range of scores: what is too large is infinite, what is too small is 0, and
/// so is nothing at all. A 0 byte ends the text.
pub fn parse_bound(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or(text);
    if text.is_empty() { Some(0.0) } else { parse_decimal(text) }
}

fn parse_decimal(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Reads `[sign]0x` with hexadecimal digits, a point among them, and `p` with a power of two.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    let (digits, power) = match digits.split_once(['p', 'P']) {
        Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut mantissa, mut exponent) = (0u64, i64::from(power) - 4 * fraction.len() as i64);
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            // Beyond 64 bits a digit can only break a tie.
            mantissa |= u64::from(digit != 0);
            exponent += 4;
        }
    }
    let half = i32::try_from(exponent.clamp(-2400, 2400) / 2).ok()?;
    let rest = i32::try_from(exponent.clamp(-2400, 2400)).ok()? - half;
    let value = sign * mantissa as f64 * 2f64.powi(half) * 2f64.powi(rest);
    // What had a value and lost all of it is too small.
    (mantissa == 0 || value != 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_the_reference_does() {
        // Read off Redis 8.2.3 (ZADD).
        let cases: &[(&str, Option<f64>)] = &[
            ("1", Some(1.0)),
            ("+1", Some(1.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e-320", Some(1e-320)),
            ("0x10", Some(16.0)),
            ("-0x.8p1", Some(-1.0)),
            ("+inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0e400", Some(0.0)),
            ("1e400", None),
            ("1e-400", None),
            ("0x1p-1080", None),
            ("0x1p2000", None),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("1\0", None),
            ("0x", None),
            ("1e", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_read_as_the_reference_does() {
        let cases: &[(&str, Option<f64>)] = &[
            ("", Some(0.0)),
            ("1e400", Some(f64::INFINITY)),
            ("1e-400", Some(0.0)),
            ("+1", Some(1.0)),
            ("5\0x", Some(5.0)),
            ("0x1", None),
            ("nan", None),
            (" ", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bound(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn seventeen_digits_are_those_of_the_reference() {
        // Read off Redis 8.2.3 (ZSCAN of a large set).
        let cases: &[(f64, &str)] = &[
            (0.1, "0.10000000000000001"),
            (-0.1, "-0.10000000000000001"),
            (0.5, "0.5"),
            (3.0, "3"),
            (-0.0, "-0"),
            (3.000_000_1, "3.0000000999999998"),
            (12_345_678_901_234_567.0, "12345678901234568"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e21, "1e+21"),
            (1.5e-4, "0.00014999999999999999"),
            (1e-5, "1.0000000000000001e-05"),
            (0.012, "0.012"),
            (1e300, "1.0000000000000001e+300"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, expected) in cases {
            let mut text = Vec::new();
            write_17_digits(&mut text, *value);
            assert_eq!(String::from_utf8_lossy(&text), *expected);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(bits in any::<u64>(), small in -1e12..1e12f64) {
            for value in [f64::from_bits(bits), small, small.round()] {
                prop_assume!(!value.is_nan());
                let mut text = Vec::new();
                write(&mut text, value);
                prop_assert!(text.len() <= TEXT_BYTES_MAX);
                prop_assert_eq!(parse(&text), Some(value));
            }
        }
    }
}

//! Doubles as text, in Redis's way: what is read as a score, and what a score is written as.
//!
//! The text is that of `crabcache_resp::number::write_f64`, which writes replies; a test of the
//! server holds them together. It is needed here because scores stand in listpacks as text.

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

/// Appends the shortest text that reads back as `value`, with the sign of a zero.
pub fn write_shortest(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value == 0.0 {
        out.push(b'0');
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(b"inf");
        return;
    }
    let mut text = ryu::Buffer::new();
    let (digits, exponent) = digits_of(text.format(value.abs()));
    lay_out(out, &digits, exponent);
}

/// The integer that a double is, if it is small enough for that to be certain.
pub fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    let integer = value as i64;
    ((-LIMIT..=LIMIT).contains(&value) && integer as f64 == value).then_some(integer)
}

/// The significant digits, with no zero at either end, and the power of ten of the last one.
fn digits_of(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i32>().unwrap_or(0) - fraction.len() as i32;
    let all = [whole.as_bytes(), fraction.as_bytes()].concat();
    let end = all.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    let start = all[..end].iter().take_while(|digit| **digit == b'0').count();
    (all[start..end].to_vec(), exponent + (all.len() - end) as i32)
}

fn lay_out(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let n_digits = digits.len() as i32;
    let scientific = exponent + n_digits - 1;
    if exponent >= 0 && scientific < n_digits + 7 {
        out.extend_from_slice(digits);
        out.extend((0..exponent).map(|_| b'0'));
    } else if exponent < 0 && (exponent > -7 || scientific.abs() < 4) {
        let point = n_digits + exponent;
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend((point..0).map(|_| b'0'));
            out.extend_from_slice(digits);
        } else {
            let (whole, fraction) = digits.split_at(point as usize);
            out.extend_from_slice(&[whole, b".", fraction].concat());
        }
    } else {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if scientific < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(scientific.abs()).as_bytes());
    }
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

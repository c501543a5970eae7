//! How integers and doubles look on the wire.
//!
//! Integers are canonical decimal: no sign `+`, no leading zero, no space. Doubles print the
//! shortest digits that read back as the same double, laid out as the reference lays them out.

/// Longest text of [`format_f64`] in bytes.
pub const F64_TEXT_BYTES_MAX: usize = 32;

/// Reads a canonical decimal integer. `None` for anything else, overflow included.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if matches!(digits, [b'0', _, ..]) || (negative && digits == b"0") {
        return None;
    }
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut magnitude: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 2^64.
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Appends `value` in decimal.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value` as the reference prints doubles: `3`, `0.1`, `1e+21`, `inf`, `nan`.
///
/// Integers up to 2^62 are plain. Else, with d digits and decimal exponent e: plain while
/// e < d + 7 and down to 1e-6, else scientific notation.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
        return;
    }
    if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    if let Some(integer) = exact_integer(value) {
        write_i64(out, integer);
        return;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let mut text = ryu::Buffer::new();
    let (digits, exponent) = shortest_digits(text.format_finite(value.abs()));
    layout(out, &digits, exponent);
}

/// `value` as an integer, if it is one whose double is certain to be exact.
pub fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    if !(-LIMIT..=LIMIT).contains(&value) {
        return None;
    }
    let integer = value as i64;
    (integer as f64 == value).then_some(integer)
}

/// The significant digits (no zero at either end) and the power of ten of the last one.
fn shortest_digits(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole.as_bytes(), fraction.as_bytes()].concat();
    let mut exponent: i32 = exponent - i32::try_from(fraction.len()).unwrap_or(0);
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
        exponent += 1;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros);
    (digits, exponent)
}

fn layout(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let n_digits = i32::try_from(digits.len()).unwrap_or(0);
    let scientific = exponent + n_digits - 1;
    let zeros = |out: &mut Vec<u8>, count: i32| out.extend((0..count).map(|_| b'0'));
    if exponent >= 0 && scientific < n_digits + 7 {
        out.extend_from_slice(digits);
        zeros(out, exponent);
    } else if exponent < 0 && (exponent > -7 || scientific.abs() < 4) {
        let point = n_digits + exponent;
        if point <= 0 {
            out.extend_from_slice(b"0.");
            zeros(out, -point);
            out.extend_from_slice(digits);
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if scientific < 0 { b'-' } else { b'+' });
        write_i64(out, i64::from(scientific.abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        assert!(out.len() <= F64_TEXT_BYTES_MAX);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_canonical() {
        let check = |text: &str, expected| assert_eq!(parse_i64(text.as_bytes()), expected);
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        for wrong in ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "9223372036854775808"] {
            check(wrong, None);
        }
        check("-9223372036854775809", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn doubles_are_laid_out_as_the_reference_does() {
        // Expectations read off Redis 8.2.3 (ZADD, ZSCORE).
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e7, "10000000"),
            (1.5e10, "15000000000"),
            (1e8, "100000000"),
            (1e18, "1000000000000000000"),
            (123_456_789_012_345_678.0, "123456789012345680"),
            (1.5e20, "1.5e+20"),
            (1e21, "1e+21"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1_234_567.891, "1234567.891"),
            (1.23e-9, "1.23e-9"),
            (3.0e-4, "0.0003"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
    }

    proptest! {
        #[test]
        fn doubles_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn integers_read_back(value in any::<i64>()) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(parse_i64(&out), Some(value));
        }
    }
}

//! How integers and doubles look on the wire.
//!
//! Integers are canonical decimal: no sign `+`, no leading zero, no space. Doubles print
//! digits that read back as the same double, the same as the reference's (`number/digits.rs`).

mod digits;

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
/// Integers up to 2^62 are plain.
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
    digits::write_finite(out, value);
}

/// `value` as an integer, if it is one whose double is certain to be exact.
pub fn exact_integer(value: f64) -> Option<i64> {
    digits::exact_integer(value)
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

    #[test]
    fn digits_are_the_references_where_they_are_not_the_fewest() {
        // Read off Redis 8.2.3 (ZADD, ZSCORE).
        let cases = [
            (700.946330375174, "700.9463303751741"),
            (432.4851127658292, "432.48511276582917"),
            (-364.2340355618459, "-364.23403556184587"),
            (-738.1743774414062, "-738.1743774414063"),
            (2.773710039994054e-7, "2.7737100399940537e-7"),
            (4.143914166084864e19, "41439141660848636000"),
            (5.136883929598332e75, "5.1368839295983324e+75"),
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

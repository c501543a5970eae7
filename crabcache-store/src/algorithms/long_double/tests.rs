//! Tests of the 80-bit arithmetic: against exact arithmetic, and what the reference printed.

use super::*;
use num_bigint::BigInt;
use proptest::prelude::*;

fn text(number: LongDouble) -> String {
    String::from_utf8(number.to_text()).unwrap()
}

/// What INCRBYFLOAT makes of two texts.
fn sum(first: &str, second: &str) -> Option<String> {
    let (first, second) =
        (LongDouble::parse(first.as_bytes())?, LongDouble::parse(second.as_bytes())?);
    Some(text(first.checked_add(second)?))
}

#[test]
fn sums_are_those_of_the_reference() {
    // Read off Redis 8.2.3: SET of the first, INCRBYFLOAT by the second.
    let cases = [
        ("0.1", "0.2", "0.3"),
        ("1", "0.25", "1.25"),
        ("3.0e3", "200", "3200"),
        ("1.1", "-1.1", "0"),
        ("-0", "-0", "0"),
        ("10.5", "0.1", "10.6"),
        ("5.0e3", "2.0e2", "5200"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("18446744073709551616", "3", "18446744073709551620"),
        ("0.00000000000000001", "0", "0.00000000000000001"),
        ("0.000000000000000006", "0", "0.00000000000000001"),
        ("0.000000000000000004", "0", "0"),
        ("-0.000000000000000004", "0", "0"),
        ("1e-4940", "0", "0"),
        ("0x10", "0x.8p1", "17"),
        ("1.23456789012345678901234567890", "0", "1.23456789012345679"),
        ("1e19", "0.5", "10000000000000000000"),
        ("1e18", "0.03125", "1000000000000000000"),
        ("1e18", "0.0625", "1000000000000000000.0625"),
    ];
    for (first, second, expected) in cases {
        assert_eq!(sum(first, second).as_deref(), Some(expected), "{first} + {second}");
        assert_eq!(sum(second, first).as_deref(), Some(expected), "{second} + {first}");
    }
}

#[test]
fn what_is_no_number() {
    let wrong = [
        "",
        " ",
        " 1",
        "1 ",
        "abc",
        "1a",
        "-",
        "+",
        ".",
        "-.",
        ".e5",
        "1e",
        "1e+",
        "e5",
        "1.2.3",
        "--1",
        "1,5",
        "nan",
        "NaN",
        "-nan",
        "nan(1)",
        "0x",
        "0x.",
        "0xg",
        "0x1p",
        "0x1p+",
        "0x1e+5",
        "infi",
        "infinit",
        "1e4933",
        "-1e4933",
        "1.2e4932",
        "1e99999999999999999999",
        "1e-4952",
        "1e-5000",
        "0x1p16384",
        "0x1p-16446",
        "0x1p99999999999",
        "1\0",
        "１",
    ];
    for text in wrong {
        assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(LongDouble::parse(&[b'0'; 5120]), None);
    assert_eq!(LongDouble::parse(&[b'0'; 5119]), Some(LongDouble::from(0)));
}

#[test]
fn what_is_a_number() {
    let same = [
        ("5.", 5),
        ("+5", 5),
        ("-5", -5),
        (".5e1", 5),
        ("0005", 5),
        ("50e-1", 5),
        ("5E0", 5),
        ("0X5", 5),
        ("0x5.", 5),
        ("0x.5p+4", 5),
        ("-0x50P-4", -5),
        ("0e99999999999", 0),
        ("0x0p-999999", 0),
        ("0.000e-9999", 0),
        ("500000000000000000000e-20", 5),
    ];
    for (text, value) in same {
        let read = LongDouble::parse(text.as_bytes()).unwrap();
        assert_eq!(read.to_text(), LongDouble::from(value).to_text(), "{text}");
    }
    for text in ["1.1e4932", "1e-4950", "2e-4951", "0x1p-16445", "0x1.fffffffffffffffep16383"] {
        assert!(LongDouble::parse(text.as_bytes()).is_some(), "{text}");
    }
}

#[test]
fn infinities_are_read_but_never_added() {
    for text in ["inf", "-inf", "+INF", "Infinity", "-infinity"] {
        let infinity = LongDouble::parse(text.as_bytes()).unwrap();
        assert!(!infinity.is_finite());
        assert_eq!(infinity.checked_add(LongDouble::from(1)), None);
        assert_eq!(LongDouble::from(1).checked_add(infinity), None);
    }
    assert_eq!(sum("1.1e4932", "1.1e4932"), None);
    assert_eq!(text(LongDouble::parse(b"-inf").unwrap()), "-inf");
}

#[test]
fn large_numbers_are_printed_to_the_last_digit() {
    let largest = sum("1.18973149535723176502e4932", "0").unwrap();
    assert_eq!((largest.len(), &largest[..20]), (4933, "11897314953572317650"));
    let exact = (BigUint::from(u64::MAX) << EXPONENT_MAX).to_string();
    assert_eq!(largest, exact);
}

/// The number as an exact fraction: numerator and the power of two it is divided by.
fn exact(number: LongDouble) -> (BigInt, u32) {
    let Magnitude::Finite { mantissa, exponent } = number.magnitude else { panic!("finite") };
    let signed = if number.is_negative { -BigInt::from(mantissa) } else { BigInt::from(mantissa) };
    match u32::try_from(exponent) {
        Ok(exponent) => (signed << exponent, 0),
        Err(_) => (signed, exponent.unsigned_abs()),
    }
}

/// Twice the distance of `numerator / denominator` from `number`, in units of its last place, is at
/// most 1; if it is 1, the mantissa is even.
fn assert_nearest(number: LongDouble, numerator: &BigInt, denominator: &BigInt) {
    let Magnitude::Finite { mantissa, exponent } = number.magnitude else { panic!("finite") };
    let exponent = if mantissa == 0 { EXPONENT_MIN } else { exponent };
    assert!(mantissa >> 63 == 1 || exponent == EXPONENT_MIN);
    let (value, shift) = exact(number);
    // |value / 2^shift - numerator / denominator| * 2 * 2^-exponent, over a common denominator.
    let difference = value * denominator - (numerator << shift);
    let doubled = difference.magnitude() << 1u32;
    let (left, right) = match u32::try_from(exponent) {
        Ok(up) => (doubled, denominator.magnitude() << up << shift),
        Err(_) => (doubled << exponent.unsigned_abs(), denominator.magnitude() << shift),
    };
    assert!(left < right || (left == right && mantissa & 1 == 0), "{number:?}");
}

fn number() -> impl Strategy<Value = LongDouble> {
    let exponent = prop_oneof![-200..200i32, EXPONENT_MIN - 70..EXPONENT_MAX - 70];
    let mantissa = prop_oneof![any::<u64>(), 0..16u64, Just(u64::MAX), Just(1 << 63)];
    (any::<bool>(), mantissa, exponent)
        .prop_map(|(sign, mantissa, exponent)| {
            LongDouble::rounded(sign, u128::from(mantissa), exponent, false)
        })
        .prop_filter("finite", |number| number.is_finite())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 1000 }))]

    #[test]
    fn sums_are_the_nearest_numbers(first in number(), second in number()) {
        let ((value1, shift1), (value2, shift2)) = (exact(first), exact(second));
        let shift = shift1.max(shift2);
        let exact_sum = (value1 << (shift - shift1)) + (value2 << (shift - shift2));
        if let Some(sum) = first.checked_add(second) {
            assert_nearest(sum, &exact_sum, &(BigInt::from(1) << shift));
            prop_assert_eq!(second.checked_add(first), Some(sum));
        }
    }

    #[test]
    fn near_sums_are_the_nearest_numbers(
        mantissas in any::<(u64, u64)>(),
        distance in 0..140i32,
        signs in any::<(bool, bool)>(),
    ) {
        let first = LongDouble::rounded(signs.0, u128::from(mantissas.0), 0, false);
        let second = LongDouble::rounded(signs.1, u128::from(mantissas.1), -distance, false);
        let ((value1, shift1), (value2, shift2)) = (exact(first), exact(second));
        let shift = shift1.max(shift2);
        let exact_sum = (value1 << (shift - shift1)) + (value2 << (shift - shift2));
        assert_nearest(first.checked_add(second).unwrap(), &exact_sum, &(BigInt::from(1) << shift));
    }

    #[test]
    fn decimals_are_read_as_the_nearest_number(
        digits in "[0-9]{1,40}",
        exponent in prop_oneof![-60..60i32, -4990..4890i32],
    ) {
        let numerator: BigInt = digits.parse().unwrap();
        let power = BigInt::from(10).pow(exponent.unsigned_abs());
        let one = BigInt::from(1);
        let (numerator, denominator) =
            if exponent < 0 { (numerator, power) } else { (numerator * power, one) };
        match LongDouble::parse(format!("{digits}e{exponent}").as_bytes()) {
            Some(number) => assert_nearest(number, &numerator, &denominator),
            // Too small: below half of the smallest number.
            None => prop_assert!(numerator << (EXPONENT_MIN.unsigned_abs() + 1) <= denominator),
        }
    }

    #[test]
    fn digits_are_nearest_to_the_number(number in number()) {
        let printed = text(number);
        let (whole, fraction) = printed.split_once('.').unwrap_or((&printed, ""));
        prop_assert!(fraction.len() <= FRACTION_DIGITS && !fraction.ends_with('0'));
        let digits: BigInt = format!("{whole}{fraction:0<FRACTION_DIGITS$}").parse().unwrap();
        let (value, shift) = exact(number);
        // |value / 2^shift - digits / 10^17| <= 10^-17 / 2
        let difference = value * BigInt::from(TEN_TO_FRACTION_DIGITS) - (digits << shift);
        prop_assert!(difference.magnitude() << 1u32 <= BigUint::from(1u8) << shift);
    }

    #[test]
    fn integers_are_exact(first in any::<i64>(), second in any::<i64>()) {
        let sum = i128::from(first) + i128::from(second);
        let long_sum = LongDouble::from(first).checked_add(LongDouble::from(second)).unwrap();
        prop_assert_eq!(text(long_sum), sum.to_string());
        prop_assert_eq!(LongDouble::parse(first.to_string().as_bytes()), Some(LongDouble::from(first)));
    }

    #[test]
    fn hexadecimal_digits_are_exact(mantissa in any::<u64>(), exponent in -16000..16000i32) {
        let text = format!("0x{mantissa:x}p{exponent}");
        let number = LongDouble::rounded(false, u128::from(mantissa), exponent, false);
        prop_assert_eq!(LongDouble::parse(text.as_bytes()), Some(number));
        // The bits behind the sixteenth digit round.
        let text = format!("0x{mantissa:x}8000000000000000000000000000000000000001p{exponent}");
        let above = LongDouble::parse(text.as_bytes()).unwrap();
        let value = BigInt::from(mantissa) << 160 | BigInt::from(8) << 156 | BigInt::from(1);
        if let Ok(up) = u32::try_from(exponent) {
            assert_nearest(above, &(value << up), &BigInt::from(1));
        } else {
            assert_nearest(above, &value, &(BigInt::from(1) << exponent.unsigned_abs()));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9a-fxpinN.eE ]{0,30}") {
        if let Some(number) = LongDouble::parse(text.as_bytes()) {
            number.to_text();
        }
    }
}

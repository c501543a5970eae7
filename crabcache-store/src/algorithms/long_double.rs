//! 80-bit floating point, as C's `long double` on x86: what INCRBYFLOAT and HINCRBYFLOAT compute in.
//!
//! Numbers are `mantissa * 2^exponent` with a mantissa of 64 bits. Reading and adding round to the
//! nearest number, ties to the even mantissa; printing is exact up to its last digit. So 0.1 + 0.2
//! is 0.3, and a counter gives the same digits here and on the reference.
//!
//! What this is not: there is no NaN (nothing that would make one succeeds), no other arithmetic,
//! and no other layout of digits than the reference's "human" one.

use num_bigint::BigUint;

/// Longer texts are not read as numbers.
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;
/// Digits behind the point of the longest output.
const FRACTION_DIGITS: usize = 17;
const TEN_TO_FRACTION_DIGITS: u128 = 10u128.pow(FRACTION_DIGITS as u32);

const MANTISSA_BITS: i32 = 64;
const EXPONENT_MIN: i32 = -16445;
const EXPONENT_MAX: i32 = 16383 - (MANTISSA_BITS - 1);
/// Decimal exponents that are surely too large, or too small to differ from 0.
const DECIMAL_EXPONENT_MAX: i64 = 4940;
const DECIMAL_EXPONENT_MIN: i64 = -4960;

/// An 80-bit floating-point number, or an infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongDouble {
    is_negative: bool,
    magnitude: Magnitude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Magnitude {
    /// The highest bit of the mantissa is set, unless the exponent is the least one or the number 0.
    Finite {
        mantissa: u64,
        exponent: i32,
    },
    Infinite,
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        LongDouble::rounded(value < 0, u128::from(value.unsigned_abs()), 0, false)
    }
}

impl LongDouble {
    const ZERO: Magnitude = Magnitude::Finite { mantissa: 0, exponent: 0 };

    /// Reads what `strtold` reads, if it is the whole text: decimal or hexadecimal digits with a
    /// point and an exponent, or an infinity. `None` for anything else, for spaces, and for numbers
    /// that are too large or too small.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { is_negative, magnitude: Magnitude::Infinite });
        }
        let number = match text {
            [b'0', b'x' | b'X', hex @ ..] => Digits::read(hex, 16, b'p')?.hexadecimal()?,
            _ => Digits::read(text, 10, b'e')?.decimal()?,
        };
        number.is_finite().then_some(LongDouble { is_negative, ..number })
    }

    /// Whether this is no infinity.
    pub fn is_finite(self) -> bool {
        self.magnitude != Magnitude::Infinite
    }

    /// The sum, or `None` if it is not finite.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        // Zero bits behind the mantissas, so that what alignment shifts out is below any rounding.
        const GUARD_BITS: i32 = 63;
        let (
            Magnitude::Finite { mantissa: mantissa1, exponent: exponent1 },
            Magnitude::Finite { mantissa: mantissa2, exponent: exponent2 },
        ) = (self.magnitude, other.magnitude)
        else {
            return None;
        };
        if (mantissa1, mantissa2) == (0, 0) {
            let is_negative = self.is_negative && other.is_negative;
            return Some(LongDouble { is_negative, ..self });
        }
        if mantissa1 == 0 {
            return Some(other);
        }
        if mantissa2 == 0 {
            return Some(self);
        }
        if (exponent1, mantissa1) < (exponent2, mantissa2) {
            return other.checked_add(self);
        }
        let large = u128::from(mantissa1) << GUARD_BITS;
        let aligned = u128::from(mantissa2) << GUARD_BITS;
        let distance = exponent1.abs_diff(exponent2).min(127);
        let small = aligned >> distance;
        let is_inexact = small << distance != aligned;
        let sum = if self.is_negative == other.is_negative {
            large + small
        } else {
            large - small - u128::from(is_inexact)
        };
        let sign = self.is_negative && sum != 0;
        let sum = LongDouble::rounded(sign, sum, exponent1 - GUARD_BITS, is_inexact);
        sum.is_finite().then_some(sum)
    }

    /// The number nearest to `mantissa * 2^exponent`, or to slightly more if it `is_inexact`; then
    /// the mantissa must have more than 65 significant bits.
    fn rounded(is_negative: bool, mantissa: u128, exponent: i32, is_inexact: bool) -> LongDouble {
        if mantissa == 0 {
            return LongDouble { is_negative, magnitude: LongDouble::ZERO };
        }
        let n_bits = 128 - mantissa.leading_zeros() as i32;
        let shift = (n_bits - MANTISSA_BITS).max(EXPONENT_MIN.saturating_sub(exponent));
        let mut exponent = exponent.saturating_add(shift);
        let mut kept = shift_right_rounding(mantissa, shift, is_inexact);
        if kept == 1 << MANTISSA_BITS {
            (kept, exponent) = (kept >> 1, exponent + 1);
        }
        let magnitude = match u64::try_from(kept) {
            Ok(0) => LongDouble::ZERO,
            Ok(mantissa) if exponent <= EXPONENT_MAX => Magnitude::Finite { mantissa, exponent },
            _ => Magnitude::Infinite,
        };
        LongDouble { is_negative, magnitude }
    }

    /// As [`LongDouble::rounded`], of an integer of any size.
    fn from_big(integer: &BigUint, exponent: i32, is_inexact: bool) -> LongDouble {
        let dropped = integer.bits().saturating_sub(128);
        let top = u128::try_from(integer >> dropped).unwrap_or(u128::MAX);
        let is_inexact =
            is_inexact || integer.trailing_zeros().is_some_and(|zeros| zeros < dropped);
        let exponent = exponent.saturating_add(i32::try_from(dropped).unwrap_or(i32::MAX));
        LongDouble::rounded(false, top, exponent, is_inexact)
    }

    /// The digits, as the reference prints them: 17 behind the point at most, no zeros at the end,
    /// never an exponent, never `-0`.
    pub fn to_text(self) -> Vec<u8> {
        let digits = match self.magnitude {
            Magnitude::Infinite => "inf".to_string(),
            Magnitude::Finite { mantissa, exponent } if exponent >= 0 => {
                (BigUint::from(mantissa) << exponent).to_string()
            }
            Magnitude::Finite { mantissa, exponent } => fraction_text(mantissa, -exponent),
        };
        let sign = if self.is_negative && digits != "0" { "-" } else { "" };
        [sign, &digits].concat().into_bytes()
    }
}

/// `mantissa / 2^shift`, rounded to 17 digits behind the point.
fn fraction_text(mantissa: u64, shift: i32) -> String {
    let scaled = u128::from(mantissa) * TEN_TO_FRACTION_DIGITS;
    let rounded = shift_right_rounding(scaled, shift, false);
    let (whole, fraction) = (rounded / TEN_TO_FRACTION_DIGITS, rounded % TEN_TO_FRACTION_DIGITS);
    let text = format!("{whole}.{fraction:0FRACTION_DIGITS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// `value / 2^shift` (`value * 2^-shift` if that is negative), rounded to the nearest integer, ties
/// to the even one. `is_inexact`: the value is slightly more.
fn shift_right_rounding(value: u128, shift: i32, is_inexact: bool) -> u128 {
    if shift <= 0 {
        return value << shift.unsigned_abs();
    }
    if shift > 128 {
        return 0;
    }
    let half = 1u128 << (shift - 1);
    // In two steps, for a shift by 128.
    let kept = value >> (shift - 1) >> 1;
    let dropped = value & (half | (half - 1));
    let is_up = dropped > half || (dropped == half && (is_inexact || kept & 1 == 1));
    kept + u128::from(is_up)
}

/// The digits of a number without their point, and the power of the base to multiply them by.
struct Digits {
    /// Values of the digits, without zeros in front.
    values: Vec<u8>,
    /// Digits behind the point.
    n_fraction: i64,
    /// The exponent that was written.
    exponent: i64,
}

impl Digits {
    /// Reads digits of base `radix` with at most one point, and an exponent after `marker`.
    fn read(text: &[u8], radix: u32, marker: u8) -> Option<Digits> {
        let mut digits = Digits { values: Vec::new(), n_fraction: 0, exponent: 0 };
        let (mut n_digits, mut point_seen) = (0, false);
        let mut rest = text;
        while let [byte, behind @ ..] = rest {
            match char::from(*byte).to_digit(radix) {
                Some(value) => {
                    n_digits += 1;
                    digits.n_fraction += i64::from(point_seen);
                    if value != 0 || !digits.values.is_empty() {
                        digits.values.push(value as u8);
                    }
                }
                None if *byte == b'.' && !point_seen => point_seen = true,
                None => break,
            }
            rest = behind;
        }
        if n_digits == 0 {
            return None;
        }
        match rest {
            [] => Some(digits),
            [byte, exponent @ ..] if byte.eq_ignore_ascii_case(&marker) => {
                digits.exponent = read_exponent(exponent)?;
                Some(digits)
            }
            _ => None,
        }
    }

    /// The number of decimal digits; `None` if it is too small to differ from 0.
    fn decimal(self) -> Option<LongDouble> {
        let n_digits = self.values.len() as i64;
        if n_digits == 0 {
            return Some(LongDouble::from(0));
        }
        let exponent = self.exponent - self.n_fraction;
        // The number is below 10 to this.
        let size = exponent + n_digits;
        if size < DECIMAL_EXPONENT_MIN {
            return None;
        }
        if size > DECIMAL_EXPONENT_MAX {
            return Some(LongDouble { is_negative: false, magnitude: Magnitude::Infinite });
        }
        let integer = BigUint::from_radix_be(&self.values, 10)?;
        let power = BigUint::from(10u8).pow(u32::try_from(exponent.unsigned_abs()).ok()?);
        let number = if exponent >= 0 {
            LongDouble::from_big(&(integer * power), 0, false)
        } else {
            // Enough zero bits that the quotient has more bits than a mantissa.
            let shift = (power.bits() + 70).saturating_sub(integer.bits());
            let dividend = integer << shift;
            let quotient = &dividend / &power;
            let is_inexact = &quotient * &power != dividend;
            LongDouble::from_big(&quotient, -i32::try_from(shift).ok()?, is_inexact)
        };
        (number.magnitude != LongDouble::ZERO).then_some(number)
    }

    /// The number of hexadecimal digits; `None` if it is too small to differ from 0.
    fn hexadecimal(self) -> Option<LongDouble> {
        // 31 digits are more than a mantissa holds.
        const N_DIGITS_MAX: usize = 31;
        if self.values.is_empty() {
            return Some(LongDouble::from(0));
        }
        let (top, rest) = self.values.split_at(self.values.len().min(N_DIGITS_MAX));
        let mantissa = top.iter().fold(0u128, |sum, digit| sum << 4 | u128::from(*digit));
        let is_inexact = rest.iter().any(|digit| *digit != 0);
        let exponent = self.exponent + 4 * (rest.len() as i64 - self.n_fraction);
        let exponent = i32::try_from(exponent).ok()?;
        let number = LongDouble::rounded(false, mantissa, exponent, is_inexact);
        (number.magnitude != LongDouble::ZERO).then_some(number)
    }
}

/// A signed decimal exponent; what is beyond any use becomes a large one.
fn read_exponent(text: &[u8]) -> Option<i64> {
    const LARGE: i64 = 1_000_000_000;
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(LARGE));
    Some(sign * value)
}

#[cfg(test)]
mod tests;

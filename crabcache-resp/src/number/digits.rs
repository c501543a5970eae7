//! The digits of doubles, as the reference prints them: Grisu2 with the reference's choices.
//!
//! Grisu2 always gives digits that read back as the same double, and nearly always the fewest; where
//! it gives one more than needed, so does the reference, and so must we.
//!
//! This file is part of two crates, of which neither may know the other: replies print doubles, and
//! sorted sets keep scores as text.

/// Appends the text of a double that is finite and not 0. With n digits it is plain below 10^(n + 7)
/// and down to 1e-6, else in scientific notation.
pub(super) fn write_finite(out: &mut Vec<u8>, value: f64) {
    debug_assert!(value.is_finite() && value != 0.0);
    let is_negative = value < 0.0;
    if is_negative {
        out.push(b'-');
    }
    let digits = Digits::of(value.abs());
    digits.lay_out(out, if is_negative { 17 } else { 18 });
}

/// The integer that a double is, if it is small enough for that to be certain.
pub(super) fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    let integer = value as i64;
    ((-LIMIT..=LIMIT).contains(&value) && integer as f64 == value).then_some(integer)
}

/// `0.digits * 10^n`, so to speak: significant digits and the power of ten of the last one.
struct Digits {
    text: [u8; 20],
    len: usize,
    exponent: i32,
}

/// `fraction * 2^exponent`.
#[derive(Clone, Copy)]
struct Float {
    fraction: u64,
    exponent: i32,
}

impl Float {
    /// With the highest bit set.
    fn normalized(self) -> Float {
        let shift = self.fraction.leading_zeros();
        Float { fraction: self.fraction << shift, exponent: self.exponent - shift as i32 }
    }

    /// The product, rounded.
    fn times(self, other: Float) -> Float {
        let product = u128::from(self.fraction) * u128::from(other.fraction) + (1 << 63);
        Float { fraction: (product >> 64) as u64, exponent: self.exponent + other.exponent + 64 }
    }
}

impl Digits {
    fn of(value: f64) -> Digits {
        const HIDDEN: u64 = 1 << 52;
        let bits = value.to_bits();
        let (fraction, biased) = (bits & (HIDDEN - 1), (bits >> 52) as i32);
        let exact = match biased {
            0 => Float { fraction, exponent: -1074 },
            _ => Float { fraction: fraction | HIDDEN, exponent: biased - 1075 },
        };
        // Half way to the neighbours; the one below is nearer where a power of two begins.
        let upper = Float { fraction: (exact.fraction << 1) + 1, exponent: exact.exponent - 1 };
        let upper = upper.normalized();
        let shift = if exact.fraction == HIDDEN { 2 } else { 1 };
        let lower = ((exact.fraction << shift) - 1) << (exact.exponent - shift - upper.exponent);
        let lower = Float { fraction: lower, exponent: upper.exponent };

        let (power, ten_power) = power_of_ten_for(upper.exponent);
        let scaled = exact.normalized().times(power);
        let (mut upper, mut lower) = (upper.times(power), lower.times(power));
        // The products may be wrong by one.
        upper.fraction -= 1;
        lower.fraction += 1;
        let mut digits = Digits { text: [0; 20], len: 0, exponent: -ten_power };
        digits.generate(scaled, upper, upper.fraction - lower.fraction);
        digits
    }

    /// Makes digits of `upper` until what is left of it is within `delta`, then goes down towards
    /// `exact` in units of the last digit.
    fn generate(&mut self, exact: Float, upper: Float, mut delta: u64) {
        let n_bits = -upper.exponent;
        let one = 1u64 << n_bits;
        let mut distance = upper.fraction - exact.fraction;
        let (mut whole, mut part) = (upper.fraction >> n_bits, upper.fraction & (one - 1));
        let mut unit = 1_000_000_000;
        for n_left in (0..10).rev() {
            self.push(whole / unit);
            whole %= unit;
            let rest = (whole << n_bits) + part;
            if rest <= delta {
                self.exponent += n_left;
                return self.approach(distance, delta, rest, unit << n_bits);
            }
            unit /= 10;
        }
        loop {
            part = part.wrapping_mul(10);
            delta = delta.wrapping_mul(10);
            distance = distance.wrapping_mul(10);
            self.exponent -= 1;
            self.push(part >> n_bits);
            part &= one - 1;
            if part < delta {
                return self.approach(distance, delta, part, one);
            }
        }
    }

    fn push(&mut self, digit: u64) {
        if digit != 0 || self.len > 0 {
            self.text[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// Lowers the last digit while that brings the number, `rest` below the upper limit, nearer to
    /// the exact one, which is `distance` below it.
    fn approach(&mut self, distance: u64, delta: u64, mut rest: u64, unit: u64) {
        while rest < distance
            && delta - rest >= unit
            && (rest + unit < distance || distance - rest > rest + unit - distance)
        {
            self.text[self.len - 1] -= 1;
            rest += unit;
        }
    }

    fn lay_out(&self, out: &mut Vec<u8>, n_digits_max: usize) {
        let (digits, n_digits) = (&self.text[..self.len], self.len as i32);
        let scientific = self.exponent + n_digits - 1;
        let zeros = |out: &mut Vec<u8>, count: i32| out.extend((0..count).map(|_| b'0'));
        if self.exponent >= 0 && scientific.abs() < n_digits + 7 {
            out.extend_from_slice(digits);
            zeros(out, self.exponent);
        } else if self.exponent < 0 && (self.exponent > -7 || scientific.abs() < 4) {
            let point = n_digits + self.exponent;
            if point <= 0 {
                out.extend_from_slice(b"0.");
                zeros(out, -point);
                out.extend_from_slice(digits);
            } else {
                let (whole, fraction) = digits.split_at(point as usize);
                out.extend_from_slice(whole);
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        } else {
            let digits = &digits[..digits.len().min(n_digits_max)];
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.extend_from_slice(if scientific < 0 { b"e-" } else { b"e+" });
            out.extend_from_slice(itoa::Buffer::new().format(scientific.abs()).as_bytes());
        }
    }
}

const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;
const N_POWERS: usize = 87;

/// The significands of 10^-348, 10^-340, ... 10^340.
static POWERS: [u64; N_POWERS] = significands();

/// The smallest of the powers that brings a float of this exponent to one of -60 or more, and its
/// exponent to the base of ten.
fn power_of_ten_for(exponent: i32) -> (Float, i32) {
    // The first 64 bits of 10^k stand at floor(k * log2(10)) - 63.
    let exponent_of = |index: i32| {
        let power = i64::from(FIRST_POWER + index * POWER_STEP);
        ((power * 217_706) >> 16) as i32 - 63
    };
    // A step is 26.6 bits.
    let mut index = ((-125 - exponent - exponent_of(0)) / 27).max(0);
    while exponent + exponent_of(index) + 64 < -60 {
        index += 1;
    }
    let power = Float { fraction: POWERS[index as usize], exponent: exponent_of(index) };
    (power, FIRST_POWER + index * POWER_STEP)
}

/// All powers from exact integers: those below 1 as 2^1344 times themselves.
const fn significands() -> [u64; N_POWERS] {
    const TEN_TO_STEP: u128 = 10u128.pow(POWER_STEP as u32);
    /// The first power above 1, which is half a step above it.
    const ABOVE_ONE: usize = (-FIRST_POWER / POWER_STEP) as usize + 1;
    const HALF_STEP: u64 = 10u64.pow(POWER_STEP as u32 / 2);
    assert!(FIRST_POWER + ABOVE_ONE as i32 * POWER_STEP == POWER_STEP / 2);
    /// More than 64 bits of the smallest power stay.
    const N_WORDS: usize = 22;
    let mut powers = [0; N_POWERS];
    // The lowest word first.
    let mut number = [0u64; N_WORDS];
    // 10^4 * 2^1344, so that the first step gives 10^-4.
    number[N_WORDS - 1] = HALF_STEP;
    let mut index = ABOVE_ONE;
    while index > 0 {
        index -= 1;
        let (mut at, mut rest) = (N_WORDS, 0u128);
        while at > 0 {
            at -= 1;
            let word = rest << 64 | number[at] as u128;
            number[at] = (word / TEN_TO_STEP) as u64;
            rest = word % TEN_TO_STEP;
        }
        powers[index] = first_64_bits(&number);
    }
    number = [0; N_WORDS];
    // There always is a word below the first bits.
    number[1] = HALF_STEP;
    index = ABOVE_ONE;
    while index < N_POWERS {
        powers[index] = first_64_bits(&number);
        let (mut at, mut carry) = (0, 0u128);
        while at < N_WORDS {
            let word = number[at] as u128 * TEN_TO_STEP + carry;
            number[at] = word as u64;
            carry = word >> 64;
            at += 1;
        }
        index += 1;
    }
    powers
}

/// The first 64 bits of a number, rounded by the bit that follows.
const fn first_64_bits(number: &[u64]) -> u64 {
    let mut top = number.len() - 1;
    while number[top] == 0 {
        top -= 1;
    }
    let high = (number[top] as u128) << 64 | number[top - 1] as u128;
    let shift = number[top].leading_zeros();
    // The bits of the third word that move up matter to the rounding only beyond the 64th bit after.
    let bits = high << shift;
    (bits >> 64) as u64 + (bits >> 63 & 1) as u64
}

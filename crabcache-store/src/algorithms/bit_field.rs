//! Integers of 1 to 64 bits at any place in a string, as BITFIELD reads and writes them.
//!
//! A field's first bit is its highest; bit 0 of the string is the highest bit of its first byte.
//! What lies behind the end of the string reads as zeros.

/// The width of an integer and whether it has a sign. With 64 bits it has one: an unsigned one
/// would not fit what replies can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    is_signed: bool,
    bits: u32,
}

/// What becomes of a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are kept.
    Wrap,
    /// It becomes the nearest value that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// Bytes that a field of 64 bits can touch.
const WINDOW_BYTES: usize = 9;

impl FieldType {
    /// The type with so many bits; `None` if there is none.
    pub fn new(is_signed: bool, bits: i64) -> Option<FieldType> {
        let bits_max = if is_signed { 64 } else { 63 };
        let bits = u32::try_from(bits).ok().filter(|bits| (1..=bits_max).contains(bits))?;
        Some(FieldType { is_signed, bits })
    }

    /// Its width.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// The least and the greatest value.
    fn bounds(self) -> (i128, i128) {
        if self.is_signed {
            let half = 1i128 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        }
    }

    /// The value of the lowest bits of `bits`.
    fn decode(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.is_signed {
            (bits << unused).cast_signed() >> unused
        } else {
            // Below 2^63, as there are no unsigned fields of 64 bits.
            (bits << unused >> unused).cast_signed()
        }
    }

    /// The integer at bit number `offset`.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let mut window = [0; 16];
        if let Ok(start) = usize::try_from(offset / 8)
            && let Some(rest) = bytes.get(start..)
        {
            let len = rest.len().min(WINDOW_BYTES);
            window[..len].copy_from_slice(&rest[..len]);
        }
        let window = u128::from_be_bytes(window) << (offset % 8);
        self.decode((window >> (128 - self.bits)) as u64)
    }

    /// Writes the lowest bits of `value` at bit number `offset`, where the string must have bytes.
    pub fn set(self, bytes: &mut [u8], offset: u64, value: i64) {
        let shift = 128 - self.bits - (offset % 8) as u32;
        let mask = ((1u128 << self.bits) - 1) << shift;
        let new = u128::from(value.cast_unsigned()) << shift & mask;
        let start = usize::try_from(offset / 8).expect("inside the string");
        let window = bytes[start..].iter_mut().zip(mask.to_be_bytes()).zip(new.to_be_bytes());
        for ((byte, mask), new) in window.take(WINDOW_BYTES) {
            *byte = *byte & !mask | new;
        }
    }

    /// What is written for `value`; `None` if it does not fit and should not.
    pub fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        // Compat: where there is no sign, the reference reads negative values as huge ones.
        let wide = if self.is_signed { value.into() } else { value.cast_unsigned().into() };
        let max = self.bounds().1;
        // Compat: the reference takes a value for too large if its distance from the greatest one
        // has no place in 64 bits.
        let is_far = self.bits < 64 && max - wide > i128::from(i64::MAX);
        match overflow {
            Overflow::Saturate if is_far => i64::try_from(max).ok(),
            _ => self.fit_wide(wide, overflow),
        }
    }

    /// What is written for the sum; `None` if it does not fit and should not.
    pub fn add(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.fit_wide(i128::from(value) + i128::from(increment), overflow)
    }

    fn fit_wide(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = self.bounds();
        let is_fitting = (min..=max).contains(&value);
        match overflow {
            Overflow::Fail if !is_fitting => None,
            Overflow::Saturate => i64::try_from(value.clamp(min, max)).ok(),
            _ => Some(self.decode(value as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn types() -> impl Strategy<Value = FieldType> {
        (any::<bool>(), 1..=64i64)
            .prop_filter_map("unsigned ones have 63 bits", |(is_signed, bits)| {
                FieldType::new(is_signed, bits)
            })
    }

    fn bits(bytes: &[u8]) -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |i| byte >> (7 - i) & 1 == 1)).collect()
    }

    #[test]
    fn types_have_limits() {
        assert!(FieldType::new(true, 64).is_some() && FieldType::new(false, 63).is_some());
        for (is_signed, bits) in [(true, 65), (false, 64), (true, 0), (false, 0), (true, -1)] {
            assert_eq!(FieldType::new(is_signed, bits), None);
        }
    }

    #[test]
    fn values_that_do_not_fit() {
        use Overflow::{Fail, Saturate, Wrap};
        let (u8, i8) = (FieldType::new(false, 8).unwrap(), FieldType::new(true, 8).unwrap());
        let (u63, i64) = (FieldType::new(false, 63).unwrap(), FieldType::new(true, 64).unwrap());
        assert_eq!((u8.fit(255, Fail), u8.fit(256, Fail)), (Some(255), None));
        assert_eq!((u8.fit(257, Wrap), u8.fit(257, Saturate)), (Some(1), Some(255)));
        assert_eq!((u8.fit(-1, Wrap), u8.fit(-1, Saturate)), (Some(255), Some(255)));
        assert_eq!((u8.add(5, -6, Wrap), u8.add(5, -6, Saturate)), (Some(255), Some(0)));
        assert_eq!((i8.fit(-129, Saturate), i8.fit(i64::MIN, Saturate)), (Some(-128), Some(127)));
        assert_eq!((i8.fit(128, Wrap), i8.fit(-129, Wrap)), (Some(-128), Some(127)));
        assert_eq!(
            (i8.add(100, 100, Saturate), i8.add(-100, -100, Saturate)),
            (Some(127), Some(-128))
        );
        assert_eq!(i64.add(i64::MAX, 1, Wrap), Some(i64::MIN));
        assert_eq!(i64.add(i64::MIN, -1, Saturate), Some(i64::MIN));
        assert_eq!(i64.add(i64::MIN, -1, Fail), None);
        assert_eq!(u63.add(i64::MAX, 1, Wrap), Some(0));
        assert_eq!(u63.add(i64::MAX, i64::MAX, Saturate), Some(i64::MAX));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 512 }))]

        #[test]
        fn fields_are_where_they_should_be(
            field in types(), mut bytes in prop::collection::vec(any::<u8>(), 1..24),
            offset in 0..100u64, value: i64,
        ) {
            let end = offset as usize + field.bits() as usize;
            if end > bytes.len() * 8 {
                // Zeros are read behind the end.
                let mut longer = bytes.clone();
                longer.resize(40, 0);
                prop_assert_eq!(field.get(&bytes, offset), field.get(&longer, offset));
                bytes.resize(end.div_ceil(8), 0);
            }
            let before = bits(&bytes);
            let fitted = field.fit(value, Overflow::Wrap).unwrap();
            field.set(&mut bytes, offset, fitted);
            prop_assert_eq!(field.get(&bytes, offset), fitted);
            let after = bits(&bytes);
            let field_bits = offset as usize..end;
            for index in 0..after.len() {
                if field_bits.contains(&index) {
                    let place = end - 1 - index;
                    prop_assert_eq!(after[index], value >> place & 1 == 1);
                } else {
                    prop_assert_eq!(after[index], before[index]);
                }
            }
        }

        #[test]
        fn sums_fit_or_are_made_to(field in types(), value: i64, increment: i64) {
            let value = field.fit(value, Overflow::Wrap).unwrap();
            let sum = i128::from(value) + i128::from(increment);
            let (min, max) = field.bounds();
            prop_assert!((min..=max).contains(&value.into()));
            let failed = field.add(value, increment, Overflow::Fail);
            prop_assert_eq!(failed.map(i128::from), (min..=max).contains(&sum).then_some(sum));
            let saturated = field.add(value, increment, Overflow::Saturate).unwrap();
            prop_assert_eq!(i128::from(saturated), sum.clamp(min, max));
            let wrapped = i128::from(field.add(value, increment, Overflow::Wrap).unwrap());
            prop_assert!((min..=max).contains(&wrapped));
            prop_assert_eq!((wrapped - sum).rem_euclid(max - min + 1), 0);
        }
    }

    #[test]
    fn far_offsets_read_zeros() {
        let field = FieldType::new(true, 64).unwrap();
        assert_eq!(field.get(b"abc", u64::MAX), 0);
        assert_eq!(field.get(b"", 0), 0);
        assert_eq!(FieldType::new(false, 8).unwrap().get(b"abc", 16), 99);
    }
}

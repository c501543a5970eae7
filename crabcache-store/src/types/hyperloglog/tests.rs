//! HyperLogLogs against plain arrays of registers, and strings that are none.

use super::*;
use proptest::prelude::*;

fn raise(string: &mut Vec<u8>, index: usize, value: u8, bytes_max: usize) -> bool {
    super::raise(string, index, value, bytes_max).unwrap()
}

fn registers_of(string: &[u8]) -> Registers {
    let mut registers = [0; N_REGISTERS];
    merge(&mut registers, Form::of(string).unwrap(), string).unwrap();
    registers
}

/// Registers close to each other, so that runs meet, and some anywhere.
fn places() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let index = prop_oneof![0..12usize, 100..180usize, 16_370..16_384usize, 0..N_REGISTERS];
    prop::collection::vec((index, prop_oneof![1..4u8, 1..=32u8]), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn both_forms_hold_the_greatest_values(places in places(), bytes_max in 16..400usize) {
        let mut model = [0u8; N_REGISTERS];
        let mut string = empty();
        for (index, value) in places {
            let is_raised = raise(&mut string, index, value, bytes_max);
            prop_assert_eq!(is_raised, model[index] < value);
            model[index] = model[index].max(value);
            let is_sparse = Form::of(&string) == Some(Form::Sparse);
            prop_assert!(!is_sparse || string.len() <= bytes_max.max(18));
        }
        prop_assert_eq!(registers_of(&string), model);
        let own = count(Form::of(&string).unwrap(), &string).unwrap();
        prop_assert_eq!(own, estimate::cardinality(&model));
        if Form::of(&string) == Some(Form::Sparse) {
            let dense = dense::from_sparse(&string).unwrap();
            prop_assert_eq!(registers_of(&dense), model);
            prop_assert_eq!(count(Form::Dense, &dense).unwrap(), own);
        }
    }

    #[test]
    fn packed_registers_are_the_same(values in prop::collection::vec(0..64u8, 64)) {
        let all: Registers = std::array::from_fn(|index| values[index * 7 % 64]);
        for is_wide in [false, true] {
            dense::allow_wide(is_wide);
            let mut packed = vec![0; DENSE_BYTES - HEADER_BYTES];
            dense::pack(&mut packed, &all);
            for (index, value) in all.iter().enumerate() {
                prop_assert_eq!(dense::get(&packed, index), *value);
            }
            let mut merged = [3; N_REGISTERS];
            dense::merge(&mut merged, &packed);
            prop_assert!(merged.iter().zip(all).all(|(merged, own)| *merged == own.max(3)));
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..60), index in 0..N_REGISTERS, value in 1..52u8,
    ) {
        let mut string = empty();
        string.truncate(HEADER_BYTES);
        string.extend(bytes);
        let counted = count(Form::Sparse, &string);
        prop_assert_eq!(dense::from_sparse(&string).is_err(), counted.is_err());
        prop_assert_eq!(merge(&mut [0; N_REGISTERS], Form::Sparse, &string).is_err(), counted.is_err());
        sparse::describe(&string);
        let before = string.clone();
        if sparse::raise(&mut string, index, value, 3000) != Ok(true) {
            prop_assert_eq!(string, before);
        }
    }
}

#[test]
fn strings_are_recognised_by_their_header() {
    assert_eq!(Form::of(&empty()), Some(Form::Sparse));
    assert_eq!(empty().len(), 18);
    let mut dense = dense::from_sparse(&empty()).unwrap();
    assert_eq!(Form::of(&dense), Some(Form::Dense));
    dense.push(0);
    assert_eq!(Form::of(&dense), None);
    assert_eq!(Form::of(b"HYLL"), None);
    let mut other = empty();
    other[4] = 2;
    assert_eq!(Form::of(&other), None);
    other[..5].copy_from_slice(b"HYLK\x01");
    assert_eq!(Form::of(&other), None);
}

#[test]
fn cardinalities_are_remembered_until_something_changes() {
    let mut string = empty();
    assert_eq!(cached(&string), Some(0));
    assert!(raise(&mut string, 7, 3, 3000));
    assert_eq!(cached(&string), None);
    set_cached(&mut string, 1);
    assert_eq!(cached(&string), Some(1));
    assert!(!raise(&mut string, 7, 2, 3000));
    assert_eq!(cached(&string), Some(1));
}

#[test]
fn runs_are_split_and_joined() {
    let mut string = empty();
    let mut check = |index, value, expected: &str| {
        raise(&mut string, index, value, 3000);
        assert_eq!(sparse::describe(&string), expected);
    };
    check(100, 1, "Z:100 v:1,1 Z:16283");
    check(102, 1, "Z:100 v:1,1 z:1 v:1,1 Z:16281");
    check(101, 1, "Z:100 v:1,3 Z:16281");
    check(101, 2, "Z:100 v:1,1 v:2,1 v:1,1 Z:16281");
    check(0, 32, "v:32,1 Z:99 v:1,1 v:2,1 v:1,1 Z:16281");
    check(16_383, 5, "v:32,1 Z:99 v:1,1 v:2,1 v:1,1 Z:16280 v:5,1");
    check(60, 1, "v:32,1 z:59 v:1,1 z:39 v:1,1 v:2,1 v:1,1 Z:16280 v:5,1");
}

#[test]
fn empty_and_full_registers() {
    assert_eq!(count(Form::Sparse, &empty()), Ok(0));
    let mut dense = dense::from_sparse(&empty()).unwrap();
    dense[HEADER_BYTES..].fill(0xff);
    assert_eq!(count(Form::Dense, &dense), Ok(1 << 63));
}

#[test]
fn self_test_succeeds() {
    let mut state = 1u64;
    let random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 20
    };
    assert_eq!(self_test::run(1, if cfg!(miri) { 100 } else { 100_000 }, 3000, random), Ok(()));
}

//! Model tests of the table: random operations beside `std::collections::HashMap`, SCAN during
//! growth and shrinking. They run under Miri with fewer steps.

use super::*;
use crate::hash::hash;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// A boxed key with a value.
struct Pair(Box<KeyValue>);

struct KeyValue {
    key: Vec<u8>,
    value: u32,
}

impl Pair {
    fn value(&self) -> u32 {
        self.0.value
    }
}

// SAFETY: a `Box` is an aligned pointer, undone by `from_raw`; the key is never changed.
unsafe impl Item for Pair {
    fn into_raw(self) -> *mut u8 {
        Box::into_raw(self.0).cast()
    }
    unsafe fn from_raw(raw: *mut u8) -> Self {
        // SAFETY: by contract made by `into_raw`.
        Pair(unsafe { Box::from_raw(raw.cast()) })
    }
    fn key(&self) -> &[u8] {
        &self.0.key
    }
}

fn pair(key: u32, value: u32) -> Pair {
    Pair(Box::new(KeyValue { key: key.to_string().into_bytes(), value }))
}

fn hash_of(key: u32) -> u64 {
    hash(key.to_string().as_bytes())
}

fn insert(table: &mut Table<Pair>, key: u32, value: u32) {
    table.insert_new(hash_of(key), pair(key, value), value.is_multiple_of(2));
}

fn remove(table: &mut Table<Pair>, key: u32) -> Option<u32> {
    let text = key.to_string();
    table.occupied(hash_of(key), text.as_bytes()).map(|place| place.remove().value())
}

fn get(table: &Table<Pair>, key: u32) -> Option<u32> {
    table.get(hash_of(key), key.to_string().as_bytes()).map(|item| item.value())
}

const STEPS: u32 = if cfg!(miri) { 300 } else { 40_000 };

#[test]
fn grows_and_shrinks_back_to_nothing() {
    let mut table = Table::new();
    assert_eq!((table.mem_bytes(), get(&table, 1)), (0, None));
    for key in 0..STEPS {
        insert(&mut table, key, key);
        if key % (STEPS / 10) == 0 {
            table.check();
        }
    }
    table.check();
    let bytes_per_item = table.mem_bytes() as f64 / f64::from(STEPS);
    assert!(bytes_per_item < 14.0, "{bytes_per_item}");
    assert!((0..STEPS).all(|key| get(&table, key) == Some(key)));
    assert_eq!(get(&table, STEPS), None);
    assert_eq!(table.iter().count(), STEPS as usize);
    for key in 0..STEPS {
        assert_eq!(remove(&mut table, key), Some(key));
        if key % (STEPS / 10) == 0 {
            table.check();
        }
    }
    assert_eq!((table.len(), table.mem_bytes()), (0, 0));
}

/// Keys with one hash: nothing but a chain.
#[test]
fn equal_hashes_are_told_apart_by_key() {
    let mut table = Table::new();
    for key in 0..40 {
        table.insert_new(0, pair(key, key), false);
        table.check_chains();
    }
    for key in (0..40).step_by(3) {
        let text = key.to_string();
        assert_eq!(table.occupied(0, text.as_bytes()).unwrap().remove().value(), key);
        table.check_chains();
    }
    for key in 0..40 {
        let found = table.get(0, key.to_string().as_bytes()).map(|item| item.value());
        assert_eq!(found, (key % 3 != 0).then_some(key));
    }
    for key in (0..40).filter(|key| key % 3 != 0) {
        table.occupied(0, key.to_string().as_bytes()).unwrap().remove();
        table.check_chains();
    }
    assert_eq!((table.len(), table.mem_bytes()), (0, 0));
}

#[test]
fn replace_and_flags() {
    let mut table = Table::new();
    insert(&mut table, 1, 1);
    let mut place = table.occupied(hash_of(1), b"1").unwrap();
    place.replace(|old| pair(1, 7 + (old.value() - 1)));
    place.set_flag(true);
    assert_eq!(get(&table, 1), Some(7));
    assert_eq!(table.take_flagged(0, |item, _| item.value() == 8).len(), 0);
    assert_eq!(table.take_flagged(0, |item, _| item.value() == 7).len(), 1);
    table.shrink();
    assert_eq!((table.len(), table.mem_bytes()), (0, 0));
}

#[test]
fn random_items_come_with_about_equal_chances() {
    let mut table = Table::new();
    let n = if cfg!(miri) { 20 } else { 500 };
    (0..n).for_each(|key| insert(&mut table, key, key));
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut counts = HashMap::new();
    for _ in 0..n * 20 {
        *counts.entry(table.random(&mut random).unwrap().value()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), n as usize);
    assert!(counts.values().all(|count| (1..=60).contains(count)), "{counts:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32),
    Remove(u32),
    TakeFlagged(u32),
    Scan,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..400u32).prop_map(Step::Insert),
        3 => (0..400u32).prop_map(Step::Remove),
        1 => (0..1000u32).prop_map(Step::TakeFlagged),
        2 => Just(Step::Scan),
    ];
    proptest::collection::vec(step, 0..if cfg!(miri) { 60 } else { 1500 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 100 }))]

    #[test]
    fn behaves_like_a_hash_map(steps in steps()) {
        let (mut table, mut model) = (Table::new(), HashMap::new());
        for step in steps {
            match step {
                Step::Insert(key) => {
                    if let std::collections::hash_map::Entry::Vacant(place) = model.entry(key) {
                        place.insert(key);
                        insert(&mut table, key, key);
                    }
                }
                Step::Remove(key) => prop_assert_eq!(remove(&mut table, key), model.remove(&key)),
                Step::TakeFlagged(bucket) => {
                    if table.n_buckets() > 0 {
                        let index = bucket as usize % table.n_buckets();
                        for taken in table.take_flagged(index, |item, _| item.value() % 3 == 0) {
                            prop_assert!(taken.value() % 6 == 0);
                            prop_assert!(model.remove(&taken.value()).is_some());
                        }
                        table.shrink();
                    }
                }
                Step::Scan => {}
            }
            prop_assert_eq!(table.len(), model.len());
        }
        table.check();
        for key in 0..400 {
            prop_assert_eq!(get(&table, key), model.get(&key).copied());
        }
    }

    /// SCAN's promise: what is there from the first call to the last is returned.
    #[test]
    fn scan_returns_every_stable_item(
        stable in 1..300u32,
        steps in steps(),
    ) {
        let mut table = Table::new();
        (1000..1000 + stable).for_each(|key| insert(&mut table, key, key));
        let (mut model, mut seen, mut cursor) = (HashSet::new(), HashSet::new(), 0);
        let mut steps = steps.into_iter();
        loop {
            cursor = table.scan(cursor, |item| {
                seen.insert(item.value());
            });
            if cursor == 0 {
                break;
            }
            // A few changes, sometimes many, between two calls.
            for step in steps.by_ref() {
                match step {
                    Step::Insert(key) => {
                        if model.insert(key) {
                            insert(&mut table, key, key);
                        }
                    }
                    Step::Remove(key) => {
                        model.remove(&key);
                        remove(&mut table, key);
                    }
                    Step::TakeFlagged(_) => {
                        model.drain().for_each(|key| {
                            remove(&mut table, key);
                        });
                    }
                    Step::Scan => break,
                }
            }
        }
        prop_assert!((1000..1000 + stable).all(|key| seen.contains(&key)));
    }
}

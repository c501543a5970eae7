//! Sets against a model, through all encodings.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

type Model = BTreeSet<Vec<u8>>;

const LIMITS: Limits = Limits {
    set_intset_entries_max: 12,
    set_listpack_entries_max: 8,
    set_listpack_value_bytes_max: 10,
    ..DEFAULT
};

const DEFAULT: Limits = Limits {
    hash_listpack_entries_max: 0,
    hash_listpack_value_bytes_max: 0,
    list_listpack_size_max: 0,
    list_compress_depth: 0,
    set_intset_entries_max: 512,
    set_listpack_entries_max: 128,
    set_listpack_value_bytes_max: 64,
    zset_listpack_entries_max: 0,
    zset_listpack_value_bytes_max: 0,
    stream_node_bytes_max: 0,
    stream_node_entries_max: 0,
};

fn of(set: &Set) -> Model {
    let members: Vec<Vec<u8>> = set.iter().map(StrRef::to_vec).collect();
    let model: Model = members.iter().cloned().collect();
    assert_eq!((members.len(), model.len()), (set.len(), set.len()));
    let mut visited = 0;
    set.for_each(|_| visited += 1);
    assert_eq!(visited, set.len());
    model
}

fn set_of<'v>(values: impl IntoIterator<Item = &'v [u8]>, limits: &Limits) -> Set {
    let mut set = Set::default();
    for value in values {
        set.add(value, limits);
    }
    set
}

/// A generator of numbers below its argument.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (-5..40i64).prop_map(|int| int.to_string().into_bytes()),
        any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        proptest::collection::vec(97..105u8, 0..4),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

fn any_values(max: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        proptest::collection::vec(any_value(), 0..max),
        proptest::collection::vec((0..30i64).prop_map(|int| int.to_string().into_bytes()), 0..max),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 200 }))]

    #[test]
    fn behaves_as_a_set(steps in proptest::collection::vec((any_value(), 0..8u8), 0..120)) {
        let (mut set, mut model) = (Set::default(), Model::new());
        let mut random = random();
        for (value, step) in steps {
            match step {
                0 | 1 => prop_assert_eq!(set.remove(&value), model.remove(&value)),
                2 => {
                    let popped = set.pop(&mut random);
                    prop_assert_eq!(popped.is_some(), !model.is_empty());
                    prop_assert!(popped.is_none_or(|popped| model.remove(&popped)));
                }
                _ => prop_assert_eq!(set.add(&value, &LIMITS), model.insert(value.clone())),
            }
            prop_assert_eq!(set.contains(&value), model.contains(&value));
            prop_assert_eq!(set.len(), model.len());
        }
        prop_assert_eq!(of(&set), model.clone());
        prop_assert_eq!(of(&set.duplicate()), model.clone());
        prop_assert_eq!(set.duplicate().encoding(), set.encoding());
        let mut scanned = Model::new();
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, 1, |member| { scanned.insert(member.to_vec()); });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(&scanned, &model);
        for n in [1, model.len() / 4, model.len() / 2, model.len()] {
            let mut sampled = Model::new();
            set.sample(n, &mut random, |m| assert!(sampled.insert(m.to_vec())));
            prop_assert_eq!(sampled.len(), n.min(model.len()));
            prop_assert!(sampled.is_subset(&model));
        }
    }

    #[test]
    fn taken_members_are_gone(values in any_values(60), part in 0..100usize) {
        let mut set = set_of(values.iter().map(Vec::as_slice), &LIMITS);
        let before = of(&set);
        prop_assume!(!before.is_empty());
        let n = before.len() * part / 100;
        let mut taken = Model::new();
        set.take(n, &LIMITS, random(), |member| assert!(taken.insert(member.to_vec())));
        prop_assert_eq!(taken.len(), n);
        let left = of(&set);
        prop_assert!(left.is_disjoint(&taken));
        prop_assert_eq!(left.union(&taken).cloned().collect::<Model>(), before);
    }

    #[test]
    fn algebra_is_that_of_sets(
        lists in proptest::collection::vec(any_values(50), 1..5),
        wanted in prop_oneof![Just(Wanted::Stored), Just(Wanted::Told)],
        repeats in any::<bool>(),
    ) {
        let sets: Vec<Set> =
            lists.iter().map(|values| set_of(values.iter().map(Vec::as_slice), &LIMITS)).collect();
        let mut refs: Vec<&Set> = sets.iter().collect();
        if repeats {
            refs.push(&sets[sets.len() / 2]);
        }
        let models: Vec<Model> = refs.iter().map(|set| of(set)).collect();
        let united: Model = models.iter().flatten().cloned().collect();
        prop_assert_eq!(of(&union(&refs, wanted, &LIMITS)), united);
        let rest: Model = models[0].iter()
            .filter(|member| !models[1..].iter().any(|other| other.contains(*member)))
            .cloned().collect();
        prop_assert_eq!(of(&difference(refs[0], &refs[1..], wanted, &LIMITS)), rest);
        let common: Model = models[0].iter()
            .filter(|member| models.iter().all(|other| other.contains(*member)))
            .cloned().collect();
        prop_assert_eq!(of(&intersection(&mut refs.clone(), &LIMITS)), common.clone());
        let mut n = 0;
        intersect(&mut refs, |_| {
            n += 1;
            if n == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        prop_assert_eq!(n, common.len().min(3));
    }
}

#[test]
fn encodings_change_where_the_reference_changes_them() {
    let check = |values: &[&str], expected: &str| {
        let set = set_of(values.iter().map(|value| value.as_bytes()), &LIMITS);
        assert_eq!(set.encoding(), expected, "{values:?}");
    };
    check(&["1", "-2", "9223372036854775807"], "intset");
    check(&["1", "a"], "listpack");
    check(&["1", "01"], "listpack");
    check(&["12345678901", "a"], "hashtable");
    check(&["a", "12345678901"], "hashtable");
    check(&["a", "1234567890"], "listpack");
    let ints: Vec<String> = (0..13).map(|int| int.to_string()).collect();
    let ints: Vec<&str> = ints.iter().map(String::as_str).collect();
    check(&ints[..12], "intset");
    check(&ints, "hashtable");
    check(&[&ints[..7], &["a"]].concat(), "listpack");
    check(&[&ints[..8], &["a"]].concat(), "hashtable");
    check(&[&["a"], &ints[..7]].concat(), "listpack");
    check(&[&["a"], &ints[..8]].concat(), "hashtable");
    for (first, n, expected) in
        [("1", 12, "intset"), ("1", 13, "hashtable"), ("a", 8, "listpack"), ("a", 9, "hashtable")]
    {
        assert_eq!(Set::for_members(first.as_bytes(), n, &LIMITS).encoding(), expected);
    }
}

#[test]
fn random_members_are_fair() {
    let n = if cfg!(miri) { 20 } else { 300 };
    for limits in [LIMITS, DEFAULT] {
        let values: Vec<String> = (0..n).map(|index| format!("m{index}")).collect();
        let set = set_of(values.iter().map(|value| value.as_bytes()), &limits);
        let mut counts = std::collections::BTreeMap::new();
        let mut random = random();
        let n_draws = n * if cfg!(miri) { 20 } else { 100 };
        for _ in 0..n_draws {
            *counts.entry(set.random(&mut random).unwrap().to_vec()).or_insert(0usize) += 1;
        }
        assert_eq!(counts.len(), n);
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(*most < 4 * (*least).max(5), "{least} to {most}");
    }
}

#[test]
fn outside_bytes_are_checked() {
    let pack = |values: &[&[u8]]| values.iter().copied().collect::<Listpack>();
    assert!(Set::from_listpack(pack(&[]), &DEFAULT).is_none());
    assert!(Set::from_listpack(pack(&[b"a", b"1", b"a"]), &DEFAULT).is_none());
    assert_eq!(Set::from_listpack(pack(&[b"a", b"1"]), &DEFAULT).unwrap().len(), 2);
    let limits = Limits { set_listpack_entries_max: 1, set_intset_entries_max: 1, ..DEFAULT };
    let set = Set::from_listpack(pack(&[b"a", b"1"]), &limits).unwrap();
    assert_eq!((set.len(), set.encoding()), (2, "hashtable"));
    assert!(Set::from_intset(Intset::new(), &DEFAULT).is_none());
    let set = Set::from_intset(Intset::from_sorted(&[1, 2]), &limits).unwrap();
    assert_eq!((set.len(), set.encoding()), (2, "hashtable"));
    assert_eq!(Set::for_loading(2, &limits).encoding(), "hashtable");
    assert_eq!(Set::for_loading(u64::MAX, &DEFAULT).encoding(), "hashtable");
}

//! Hashes of all encodings against a model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Debug, Clone)]
enum Step {
    Set(u8, Vec<u8>, bool),
    SetExpire(u8, Option<i64>),
    Remove(u8),
    HoldTimes,
    MakeTable,
    Sweep(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..6),
        any::<i16>().prop_map(|int| int.to_string().into_bytes()),
        Just(vec![b'x'; 70]),
    ];
    let time = proptest::option::of(1..100i64);
    prop_oneof![
        6 => (any::<u8>(), value, any::<bool>()).prop_map(|(n, v, keeps)| Step::Set(n, v, keeps)),
        3 => (any::<u8>(), time).prop_map(|(name, time)| Step::SetExpire(name, time)),
        2 => any::<u8>().prop_map(Step::Remove),
        1 => Just(Step::HoldTimes),
        1 => (0..20u8).prop_map(|n| if n == 0 { Step::MakeTable } else { Step::HoldTimes }),
        1 => (0..100i64).prop_map(Step::Sweep),
    ]
}

/// Few names, so that they come again; of both kinds that a listpack has.
fn name(number: u8) -> Vec<u8> {
    let number = number % 40;
    if number < 20 { number.to_string().into_bytes() } else { format!("f{number}").into_bytes() }
}

fn limits() -> Limits {
    Limits { hash_listpack_entries_max: 24, hash_listpack_value_bytes_max: 64, ..Limits::default() }
}

fn content(hash: &Hash) -> Model {
    let field = |f: FieldRef<'_>| (f.name.to_vec(), (f.value.to_vec(), f.expire_at_ms));
    hash.iter().map(field).collect()
}

fn apply(hash: &mut Hash, model: &mut Model, step: Step) {
    match step {
        Step::Set(number, value, keeps_expire) => {
            let name = name(number);
            let old = model.get(&name).map(|(_, at_ms)| *at_ms);
            let is_new = hash.set(&name, &value, keeps_expire, &limits());
            assert_eq!(is_new, old.is_none());
            model.insert(name, (value, old.flatten().filter(|_| keeps_expire)));
        }
        Step::SetExpire(number, at_ms) => {
            let name = name(number);
            assert_eq!(hash.set_expire(&name, at_ms), model.contains_key(&name));
            if let Some((_, own)) = model.get_mut(&name) {
                *own = at_ms;
            }
        }
        Step::Remove(number) => {
            let name = name(number);
            assert_eq!(hash.remove(&name), model.remove(&name).is_some());
        }
        Step::HoldTimes => hash.hold_times(),
        Step::MakeTable => hash.make_table(),
        Step::Sweep(now_ms) => {
            let mut expired = Vec::new();
            // As often as there may be more; a round under way and a whole one are enough.
            for _ in 0..20 {
                if hash.next_expire_ms().is_some_and(|at_ms| at_ms < now_ms) {
                    hash.sweep(now_ms, 3, |name| expired.push(name.to_vec()));
                }
            }
            expired.sort();
            let is_due = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| at_ms < now_ms);
            let due = model.iter().filter(|(_, (_, at_ms))| is_due(*at_ms));
            let due: Vec<Vec<u8>> = due.map(|(name, _)| name.clone()).collect();
            assert_eq!(expired, due);
            model.retain(|_, (_, at_ms)| !is_due(*at_ms));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 300 }))]

    #[test]
    fn hashes_are_maps(steps in proptest::collection::vec(step(), 0..150)) {
        let (mut hash, mut model) = (Hash::default(), Model::new());
        for step in steps {
            apply(&mut hash, &mut model, step);
            hash.check();
            prop_assert_eq!((hash.len(), hash.is_empty()), (model.len(), model.is_empty()));
            let times = model.values().filter_map(|(_, at_ms)| *at_ms).min();
            prop_assert_eq!(hash.has_times(), times.is_some());
            prop_assert!(hash.next_expire_ms() <= times);
        }
        prop_assert_eq!(content(&hash), model.clone());
        prop_assert_eq!(content(&hash.duplicate()), model.clone());
        let (mut scanned, mut cursor) = (BTreeMap::new(), 0);
        loop {
            cursor = hash.scan(cursor, 5, |f| {
                scanned.insert(f.name.to_vec(), (f.value.to_vec(), f.expire_at_ms));
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(scanned, model.clone());
        for (name, (value, at_ms)) in &model {
            let field = hash.get(name).expect("there");
            prop_assert_eq!((field.value.to_vec(), field.expire_at_ms), (value.clone(), *at_ms));
        }
        if let Form::Pack(pack) | Form::TimedPack(pack) = hash.form() {
            let is_timed = matches!(hash.form(), Form::TimedPack(_));
            let copy = Hash::from_pack(pack.clone(), is_timed, &limits()).expect("a hash");
            prop_assert_eq!(copy.encoding(), hash.encoding());
            prop_assert_eq!(content(&copy), model);
        }
    }
}

#[test]
fn encodings_follow_the_limits() {
    let limits = Limits { hash_listpack_entries_max: 2, ..Limits::default() };
    let mut hash = Hash::default();
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"a", b"1", false, &limits);
    hash.set_expire(b"a", Some(5));
    assert_eq!((hash.encoding(), hash.free_effort()), ("listpackex", 1));
    hash.set(b"b", b"1", false, &limits);
    hash.set(b"c", b"1", false, &limits);
    assert_eq!((hash.encoding(), hash.free_effort()), ("hashtable", 3));
    assert_eq!(hash.next_expire_ms(), Some(5));
    for (name, value) in [(vec![b'x'; 65], vec![]), (vec![], vec![b'x'; 65])] {
        let mut hash = Hash::default();
        hash.make_room([&name[..], &value].into_iter(), &Limits::default());
        assert_eq!(hash.encoding(), "hashtable");
        let mut hash = Hash::default();
        hash.set(&name, &value, false, &Limits::default());
        assert_eq!(hash.encoding(), "hashtable");
    }
    let mut hash = Hash::default();
    hash.make_room([&b"a"[..]; 6].into_iter(), &limits);
    assert_eq!(hash.encoding(), "hashtable");
}

#[test]
fn timed_listpacks_stand_in_the_order_of_redis() {
    let limits = Limits::default();
    let mut hash = Hash::default();
    for name in [b"a", b"b", b"c", b"d"] {
        hash.set(name, b"v", false, &limits);
    }
    for (name, at_ms) in [(b"c", Some(20)), (b"a", Some(20)), (b"d", Some(10)), (b"a", None)] {
        hash.set_expire(name, at_ms);
    }
    let order =
        |hash: &Hash| hash.iter().flat_map(|field| field.name.to_vec()).collect::<Vec<u8>>();
    assert_eq!(order(&hash), b"dcba");
    hash.set_expire(b"b", Some(20));
    assert_eq!(order(&hash), b"dbca");
    hash.set(b"d", b"w", false, &limits);
    assert_eq!(order(&hash), b"bcad");
}

#[test]
fn listpacks_that_are_no_hashes_are_refused() {
    let pack = |elements: &[&[u8]]| elements.iter().copied().collect::<Listpack>();
    let check = |elements: &[&[u8]], is_timed| {
        Hash::from_pack(pack(elements), is_timed, &Limits::default()).map(|hash| hash.encoding())
    };
    assert_eq!(check(&[b"a", b"1"], false), Ok("listpack"));
    assert_eq!(check(&[b"a"], false), Err(Malformed));
    assert_eq!(check(&[b"a", b"1", b"a", b"2"], false), Err(Malformed));
    assert_eq!(check(&[b"a", b"1", b"5", b"b", b"2", b"0"], true), Ok("listpackex"));
    assert_eq!(check(&[b"a", b"1", b"x"], true), Err(Malformed));
    assert_eq!(check(&[b"a", b"1", b"-1"], true), Err(Malformed));
    assert_eq!(check(&[b"a", b"1", b"0", b"b", b"2", b"5"], true), Ok("hashtable"));
}

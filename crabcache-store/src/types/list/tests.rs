//! Lists against a `Vec`, their encodings and nodes.

use super::*;
use crate::algorithms::lzf;
use proptest::prelude::*;

const LIMITS: [i32; 6] = [-1, -2, -5, 0, 3, 100];

fn limits(size_max: i32) -> Limits {
    Limits { list_listpack_size_max: size_max, ..Limits::default() }
}

fn contents(list: &List) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    list.for_each(|element| contents.push(element.to_vec()));
    contents
}

/// The elements from one on, towards an end.
fn rest(list: &List, start: usize, towards: End) -> Vec<Vec<u8>> {
    let mut rest = Vec::new();
    list.show(start, usize::MAX, towards, |element| rest.push(element.to_vec()));
    rest
}

/// Bytes of the nodes.
fn sizes(list: &List) -> Vec<usize> {
    list.parts().map(|part| part.n_bytes()).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Push(bool, Vec<Vec<u8>>),
    /// Many short elements, one by one.
    PushMany(bool, usize),
    Pop(bool),
    Set(i64, Vec<u8>),
    Insert(u8, Vec<u8>, bool),
    Remove(usize, usize),
    Trim(usize, usize),
    RemoveMatching(u8, bool, usize),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..6u8).prop_map(|n| n.to_string().into_bytes()),
        3 => (0..600usize).prop_map(|n| vec![b'x'; n]),
        1 => (3000..9000usize).prop_map(|n| vec![b'y'; n]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), proptest::collection::vec(value(), 1..12))
            .prop_map(|(front, values)| Step::Push(front, values)),
        1 => (any::<bool>(), 1..400usize).prop_map(|(front, n)| Step::PushMany(front, n)),
        3 => any::<bool>().prop_map(Step::Pop),
        3 => (-40..40i64, value()).prop_map(|(index, value)| Step::Set(index, value)),
        4 => (0..6u8, value(), any::<bool>()).prop_map(|(p, v, b)| Step::Insert(p, v, b)),
        1 => (0..40usize, 0..30usize).prop_map(|(start, n)| Step::Remove(start, n)),
        1 => (0..5usize, 20..60usize).prop_map(|(start, n)| Step::Trim(start, n)),
        2 => (0..6u8, any::<bool>(), 0..9usize).prop_map(|(v, b, n)| Step::RemoveMatching(v, b, n)),
    ]
}

/// What the steps do to a `Vec`.
fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, step: Step, limits: &Limits) {
    let end = |is_front: bool| if is_front { End::Front } else { End::Back };
    match step {
        Step::Push(front, values) => {
            list.push_all(end(front), values.iter().map(Vec::as_slice), limits);
            for value in values {
                model.insert(if front { 0 } else { model.len() }, value);
            }
        }
        Step::PushMany(front, n) => {
            for number in 0..n {
                let value = number.to_string().into_bytes();
                list.push(end(front), &value, limits);
                model.insert(if front { 0 } else { model.len() }, value);
            }
        }
        Step::Pop(front) => {
            let popped = list.pop(end(front), |element| element.to_vec());
            list.shrink(limits);
            let expected =
                if front && !model.is_empty() { Some(model.remove(0)) } else { model.pop() };
            assert_eq!(popped, expected);
        }
        Step::Set(index, value) => {
            let at = if index < 0 { index + model.len() as i64 } else { index };
            let place = usize::try_from(at).ok().and_then(|at| model.get_mut(at));
            assert_eq!(list.set(index, &value, limits), place.is_some());
            if let Some(place) = place {
                *place = value;
            }
        }
        Step::Insert(pivot, value, is_behind) => {
            let pivot = pivot.to_string().into_bytes();
            let at = model.iter().position(|own| *own == pivot);
            assert_eq!(list.insert(&pivot, &value, is_behind, limits), at.is_some());
            if let Some(at) = at {
                model.insert(at + usize::from(is_behind), value);
            }
        }
        Step::Remove(start, n) => {
            list.remove_range(start, n, limits);
            let start = start.min(model.len());
            model.drain(start..(start + n).min(model.len()));
        }
        Step::Trim(start, n) => {
            let start = start.min(model.len());
            let n = n.min(model.len() - start);
            list.trim(start, n, limits);
            *model = model[start..start + n].to_vec();
        }
        Step::RemoveMatching(value, front, n) => {
            let value = value.to_string().into_bytes();
            let mut places: Vec<usize> =
                (0..model.len()).filter(|at| model[*at] == value).collect();
            if !front {
                places.reverse();
            }
            places.truncate(n);
            places.sort_unstable();
            assert_eq!(list.remove_matching(&value, end(front), n, limits), places.len());
            places.iter().rev().for_each(|at| drop(model.remove(*at)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 300 }))]

    #[test]
    fn lists_are_those_of_a_vec(
        size_max in proptest::sample::select(&LIMITS[..]),
        list_compress_depth in proptest::sample::select(&[0, 0, 1, 2, 5][..]),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let plain_limits = limits(size_max);
        let limits = Limits { list_compress_depth, ..plain_limits };
        let (mut list, mut model) = (List::default(), Vec::new());
        // The same without a head and compression, which nobody is to see.
        let (mut joined, mut joined_model) = (List::default(), Vec::new());
        for step in steps {
            apply(&mut joined, &mut joined_model, step.clone(), &plain_limits);
            if let Either::Large(long) = joined.0.get_mut() {
                long.join_head();
            }
            apply(&mut list, &mut model, step, &limits);
            list.check();
            prop_assert_eq!(sizes(&list), sizes(&joined));
            prop_assert_eq!(list.encoding(), joined.encoding());
            prop_assert_eq!(list.free_effort(), joined.free_effort());
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.is_empty(), model.is_empty());
        }
        prop_assert_eq!(&contents(&list), &model);
        for at in 0..model.len() {
            let from_back = at as i64 - model.len() as i64;
            for index in [at as i64, from_back] {
                prop_assert_eq!(list.get(index, |element| element.is(&model[at])), Some(true));
            }
            prop_assert_eq!(&rest(&list, at, End::Back)[..], &model[at..]);
            let mut before = rest(&list, at, End::Front);
            before.reverse();
            prop_assert_eq!(&before[..], &model[..=at]);
        }
        prop_assert!(list.get(model.len() as i64, |_| ()).is_none());
        prop_assert!(list.get(-1 - model.len() as i64, |_| ()).is_none());
        prop_assert!(rest(&list, model.len(), End::Back).is_empty());
        let opened = OpenedNodes::default();
        let elements: Vec<_> = list.elements(&opened).into_iter().map(StrRef::to_vec).collect();
        prop_assert_eq!(&elements, &model);
        let mut copy = List::default();
        for part in list.parts() {
            match part {
                Part::Packed(pack) => copy.push_part(pack.into_owned(), &limits),
                Part::Large(value) => copy.push_large_part(value.to_vec(), &limits),
                Part::Compressed { block, n_bytes, is_large } => {
                    let bytes = lzf::decompress(block, n_bytes).unwrap();
                    match is_large {
                        true => copy.push_large_part(bytes, &limits),
                        false => copy.push_part(Listpack::from_bytes(&bytes).unwrap(), &limits),
                    }
                }
            }
        }
        copy.settle(&limits);
        copy.check();
        prop_assert_eq!(&contents(&copy), &model);
    }
}

#[test]
fn encodings_change_at_the_limits_and_not_back_at_once() {
    let small = limits(4);
    let mut list = List::default();
    for len in 1..=4 {
        list.push(End::Back, b"a", &small);
        assert_eq!((list.len(), list.encoding()), (len, "listpack"));
    }
    list.push(End::Back, b"a", &small);
    assert_eq!(list.encoding(), "quicklist");
    for expected in ["quicklist", "quicklist", "listpack"] {
        list.pop(End::Back, |_| ());
        list.shrink(&small);
        assert_eq!(list.encoding(), expected);
    }
    let mut list = List::default();
    list.push(End::Back, &[b'x'; 9000], &Limits::default());
    assert_eq!((list.encoding(), list.parts().count()), ("quicklist", 1));
    assert!(list.set(-1, b"small", &Limits::default()));
    assert_eq!(list.encoding(), "listpack");
}

#[test]
fn parts_of_any_length_are_taken() {
    let n = if cfg!(miri) { 70 } else { 70_000usize };
    let texts: Vec<String> = (0..n).map(|number| number.to_string()).collect();
    let pack: Listpack = texts.iter().map(String::as_bytes).collect();
    let mut list = List::default();
    list.push_part(pack, &Limits::default());
    list.push_part(Listpack::new(), &Limits::default());
    list.check();
    assert_eq!(list.len(), n);
    let is_it = list.get(n as i64 / 2, |element| element.is((n / 2).to_string().as_bytes()));
    assert_eq!(is_it, Some(true));
}

#[test]
fn the_handle_fits_an_entry_and_small_lists_are_small() {
    assert_eq!(size_of::<List>(), 8);
    let mut list = List::default();
    for number in 0..10 {
        list.push(End::Back, format!("value:{number}").as_bytes(), &Limits::default());
    }
    assert!(list.mem_bytes() <= 112, "{}", list.mem_bytes());
}

#[test]
fn a_head_grows_before_a_large_node_and_is_emptied() {
    let limits = Limits::default();
    let mut list = List::default();
    let mut n_headed = 0;
    for number in 0..5000 {
        list.push(End::Front, number.to_string().as_bytes(), &limits);
        list.check();
        let Either::Large(long) = list.0.get() else { continue };
        n_headed += usize::from(long.n_nodes() < long.nodes.len());
    }
    assert!(n_headed > 1000, "{n_headed}");
    for number in (0..5000).rev() {
        let is_it = list.pop(End::Front, |element| element.is(number.to_string().as_bytes()));
        assert_eq!(is_it, Some(true));
        list.shrink(&limits);
        list.check();
    }
    assert!(list.is_empty());
}

#[test]
fn the_middle_of_a_list_is_compressed() {
    let plain = Limits::default();
    let compressing = Limits { list_compress_depth: 2, ..plain };
    let mut lists = [plain, compressing].map(|limits| {
        let mut list = List::default();
        for number in 0..5000 {
            list.push(End::Back, format!("element number {number}").as_bytes(), &limits);
            list.check();
        }
        list
    });
    assert!(lists[1].mem_bytes() * 2 < lists[0].mem_bytes());
    assert_eq!(lists[1].node_limits(), Some((-2, 2)));
    assert_eq!(contents(&lists[1]), contents(&lists[0]));
    // Looking does not change it.
    let n_bytes = lists[1].mem_bytes();
    lists[1].get(2500, |_| ());
    assert_eq!(lists[1].mem_bytes(), n_bytes);
    // The depth is that of the time when the list became long.
    assert!(lists[1].set(2500, b"another", &plain));
    lists[1].check();
    assert!(lists[0].set(2500, b"another", &compressing));
    lists[0].check();
    let [plain, compressed] = &lists;
    assert_eq!(sizes(compressed), sizes(plain));
}

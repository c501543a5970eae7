//! Listpacks against the reference, against a `Vec`, and against damage.

use super::*;
use proptest::prelude::*;

fn values(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(|(_, element)| element.to_vec()).collect()
}

#[test]
fn bytes_are_those_of_the_reference() {
    // From DUMP of small lists on Redis 8.2.3.
    let pack: Listpack = [&b"1"[..], b"-1", b"ab", b"5000", b"100000"].into_iter().collect();
    let expected: &[u8] = &[
        28, 0, 0, 0, 5, 0, 0x01, 0x01, 0xdf, 0xff, 0x02, 0x82, b'a', b'b', 0x03, 0xf1, 0x88, 0x13,
        0x03, 0xf2, 0xa0, 0x86, 0x01, 0x04, 0xff,
    ];
    assert_eq!(pack.as_bytes()[4..], expected[4..]);
    assert_eq!(pack.n_bytes(), expected.len());
    assert_eq!(format!("{pack:?}"), "[Int(1), Int(-1), Bytes([97, 98]), Int(5000), Int(100000)]");
}

#[test]
fn integers_and_lengths_at_their_limits() {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for power in [0u32, 6, 7, 8, 11, 12, 13, 15, 16, 23, 24, 31, 32, 62, 63] {
        for offset in -1..=1i128 {
            for sign in [-1, 1] {
                texts.push((sign * ((1i128 << power) + offset)).to_string().into_bytes());
            }
        }
    }
    texts.extend([0, 1, 63, 64, 127, 128, 4095, 4096, 16_380, 70_000].map(|len| vec![b'x'; len]));
    let pack: Listpack = texts.iter().map(|text| &text[..]).collect();
    assert_eq!(values(&pack), texts);
    let reversed: Vec<Vec<u8>> = pack.iter().rev().map(|(_, element)| element.to_vec()).collect();
    assert!(reversed.iter().eq(texts.iter().rev()));
    assert_eq!(Listpack::from_bytes(pack.as_bytes()).map(|copy| values(&copy)), Ok(texts));
}

// So many elements take Miri an hour.
#[cfg(not(miri))]
#[test]
fn counts_beyond_the_header() {
    let mut pack = Listpack::new();
    for number in 0..70_000u32 {
        pack.push_back(number.to_string().as_bytes());
    }
    assert_eq!((pack.len(), pack.count()), (70_000, COUNT_UNKNOWN));
    assert_eq!(pack.seek(-1).map(|at| pack.get(at)), Some(StrRef::Int(69_999)));
    assert_eq!(pack.seek(65_600).map(|at| pack.get(at)), Some(StrRef::Int(65_600)));
    assert_eq!((pack.seek(70_000), pack.seek(-70_001)), (None, None));
    let at = pack.seek(60_000).unwrap();
    assert_eq!(pack.remove(at, usize::MAX), None);
    assert_eq!((pack.len(), pack.count()), (60_000, 60_000));
}

#[test]
fn every_element_is_checked() {
    let pack: Listpack = [&b"12"[..], b"abc", &[b'x'; 200]].into_iter().collect();
    let bytes = pack.as_bytes();
    for len in 0..bytes.len() {
        assert!(Listpack::from_bytes(&bytes[..len]).is_err());
    }
    let mut n_refused = 0;
    for (index, flip) in (0..bytes.len()).flat_map(|index| [1, 0x80, 0xff].map(|f| (index, f))) {
        let mut wrong = bytes.to_vec();
        wrong[index] ^= flip;
        match Listpack::from_bytes(&wrong) {
            Ok(other) => assert_eq!(other.iter().count(), other.len()),
            Err(Malformed) => n_refused += 1,
        }
    }
    assert!(n_refused > 30, "{n_refused}");
}

#[derive(Debug, Clone)]
enum Step {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Insert(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
    Split(usize),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        (-200..200i64).prop_map(|int| int.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..100),
        (0..5000usize).prop_map(|len| vec![b'v'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        value().prop_map(Step::PushBack),
        value().prop_map(Step::PushFront),
        (any::<usize>(), value()).prop_map(|(index, value)| Step::Insert(index, value)),
        (any::<usize>(), value()).prop_map(|(index, value)| Step::InsertAfter(index, value)),
        (any::<usize>(), value()).prop_map(|(index, value)| Step::Replace(index, value)),
        (any::<usize>(), 0..4usize).prop_map(|(index, n)| Step::Remove(index, n)),
        any::<usize>().prop_map(Step::Split),
    ]
}

/// Does the same to both. Steps that name an element do nothing if there is none.
fn take(step: Step, pack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let place = |index: usize, pack: &Listpack, model: &[Vec<u8>]| {
        let index = index.checked_rem(model.len())?;
        Some((index, pack.seek(index as i64).unwrap()))
    };
    match step {
        Step::PushBack(value) => {
            pack.push_back(&value);
            model.push(value);
        }
        Step::PushFront(value) => {
            pack.push_front(&value);
            model.insert(0, value);
        }
        Step::Insert(index, value) => {
            let Some((index, at)) = place(index, pack, model) else { return };
            pack.insert(at, &value);
            model.insert(index, value);
        }
        Step::InsertAfter(index, value) => {
            let Some((index, at)) = place(index, pack, model) else { return };
            let new = pack.insert_after(at, &value);
            assert!(pack.get(new).is(&value));
            model.insert(index + 1, value);
        }
        Step::Replace(index, value) => {
            let Some((index, at)) = place(index, pack, model) else { return };
            pack.replace(at, &value);
            model[index] = value;
        }
        Step::Remove(index, n) => {
            let Some((index, at)) = place(index, pack, model) else { return };
            let next = pack.remove(at, n);
            model.drain(index..model.len().min(index + n));
            assert_eq!(next.map(|at| pack.get(at).to_vec()).as_ref(), model.get(index));
        }
        Step::Split(index) => {
            let Some((index, at)) = place(index, pack, model) else { return };
            let tail = pack.split_off(at);
            assert_eq!(
                (values(pack), values(&tail)),
                (model[..index].into(), model[index..].into())
            );
            assert_eq!((pack.len(), tail.len()), (index, model.len() - index));
            let mut joined = tail;
            joined.append(pack);
            model.rotate_left(index);
            *pack = joined;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 200 }))]

    #[test]
    fn behaves_like_a_vec(steps in proptest::collection::vec(step(), 0..25), probe in value()) {
        let (mut pack, mut model) = (Listpack::new(), Vec::new());
        for step in steps {
            take(step, &mut pack, &mut model);
            prop_assert_eq!(values(&pack), &model[..]);
            prop_assert_eq!((pack.len(), pack.is_empty()), (model.len(), model.is_empty()));
            prop_assert!(Listpack::from_bytes(pack.as_bytes()).is_ok());
        }
        let found = |value: &[u8]| {
            let at = pack.first().and_then(|at| pack.find(at, value, 1))?;
            pack.iter().position(|(place, _)| place == at)
        };
        for value in model.iter().chain([&probe]) {
            prop_assert_eq!(found(value), model.iter().position(|own| own == value));
        }
        let every_second = pack.first().and_then(|at| pack.find(at, &probe, 2)).is_some();
        prop_assert_eq!(every_second, model.iter().step_by(2).any(|own| *own == probe));
        let total: usize = model.iter().map(|value| Listpack::n_bytes_of(value)).sum();
        prop_assert_eq!(pack.n_bytes(), HEADER_BYTES + total + 1);
    }
}

#[test]
fn elements_added_at_once_are_those_added_one_by_one() {
    let texts: [&[u8]; 7] = [b"0", b"127", b"128", b"-1", b"abc", &[b'x'; 300], b""];
    let mut elements = Elements::default();
    for text in texts {
        match parse_int(text) {
            Some(value) => elements.push_int(value),
            None => elements.push(text),
        }
    }
    let mut pack: Listpack = [&b"first"[..]].into_iter().collect();
    let mut expected = pack.clone();
    pack.push_all(&elements);
    texts.iter().for_each(|text| expected.push_back(text));
    assert_eq!(pack.as_bytes(), expected.as_bytes());
    let at = pack.seek(2).unwrap();
    for value in [5, 70_000, -3, i64::MIN, 127] {
        pack.replace_int(at, value);
        expected.replace(at, value.to_string().as_bytes());
        assert_eq!(pack.as_bytes(), expected.as_bytes());
        assert_eq!((pack.get_int(at), pack.len()), (Some(value), 8));
    }
    assert_eq!(pack.get_int(pack.first().unwrap()), None);
}

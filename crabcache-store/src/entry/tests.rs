//! Entries through all their changes.

use super::*;
use crate::types::limits::Limits;
use crate::types::list::{End, List};
use proptest::prelude::*;

fn bytes(value: &[u8]) -> Str<'_> {
    Str::Bytes(value)
}

#[test]
fn sizes() {
    let size = |key: usize, value: Str<'_>, expire| {
        Entry::new(&vec![b'k'; key], value, expire, 0).mem_bytes()
    };
    assert_eq!(size(16, bytes(&[0; 64]), None), 96);
    assert_eq!(size(16, bytes(&[0; 64]), Some(1)), 96);
    assert_eq!(size(16, bytes(&[0; 8]), None), 32);
    assert_eq!(size(16, Str::Int(1), None), 24);
    assert_eq!(size(16, Str::Int(1), Some(1)), 32);
    assert_eq!(size(16, Str::Int(1 << 23), None), 32);
    assert_eq!(size(16, bytes(&[0; 1000]), None), 48 + 1000);
    assert_eq!(size(300, bytes(b""), None), 320);
}

#[test]
fn clock_is_set_by_readers() {
    let entry = Entry::new(b"k", Str::Int(1), None, 0x0100_0007);
    assert_eq!(entry.clock(), 7);
    entry.set_clock(0xffff_ffff);
    assert_eq!((entry.clock(), entry.kind().name()), (0x00ff_ffff, "string"));
}

#[test]
fn encodings() {
    let encoding = |value| Entry::new(b"k", value, None, 0).encoding();
    assert_eq!(encoding(Str::Int(5)), "int");
    assert_eq!(encoding(bytes(&[b'x'; 40])), "embstr");
    assert_eq!(encoding(bytes(&[b'x'; 41])), "raw");
    assert_eq!(encoding(Str::Raw(b"x".to_vec())), "raw");
    let entry = Entry::new(b"k", bytes(b"a"), Some(3), 0);
    let (entry, len) = entry.edit_string(2, |value| {
        value[1] += b'b';
        value.len()
    });
    assert_eq!((entry.encoding(), len, entry.expire_at_ms()), ("raw", 2, Some(3)));
    let entry = entry.with_expire(None);
    assert_eq!((entry.encoding(), entry.string().to_vec()), ("raw", b"ab".to_vec()));
    assert_eq!(entry.with_string(bytes(b"c"), None).encoding(), "embstr");
    // What was too long once, with an expiry or under another key, is raw from then on.
    let entry = Entry::new(b"k", bytes(&[b'x'; 40]), None, 0);
    assert_eq!(entry.duplicate(b"k2").renamed(b"k").encoding(), "raw");
    assert_eq!(entry.with_expire(Some(1)).with_expire(None).encoding(), "raw");
}

#[test]
fn repeated_growth_is_amortised_and_slack_is_bounded() {
    let mut entry = Entry::new(b"k", Str::Int(7), None, 0);
    let (mut n_moves, mut capacity) = (0, 0);
    let len_max = if cfg!(miri) { 1000 } else { 100_000 };
    for len in 2..len_max {
        entry = entry.edit_string(len, |value| value[len - 1] = 1).0;
        let mem_bytes = entry.mem_bytes();
        assert!(mem_bytes <= 2 * len + 64, "{mem_bytes} for {len}");
        n_moves += usize::from(mem_bytes != capacity);
        capacity = mem_bytes;
    }
    assert!(n_moves < 50, "{n_moves}");
    assert_eq!(
        (entry.string().len(), &entry.string().bytes()[..3]),
        (len_max - 1, &b"7\x01\x01"[..])
    );
}

#[test]
fn renamed_and_duplicated() {
    let values =
        [Str::Int(-5), Str::Int(1 << 40), bytes(b"abc"), Str::Raw(vec![7; 2000]), bytes(&[7; 600])];
    for value in values {
        let text = match value {
            Str::Int(value) => value.to_string().into_bytes(),
            ref value => value.as_bytes().to_vec(),
        };
        let entry = Entry::new(b"k", value, Some(9), 3);
        let encoding = entry.encoding();
        let copy = entry.duplicate(&[b'l'; 300]);
        let renamed = entry.renamed(b"other");
        // A key of 300 bytes leaves no room for a string beside it.
        let long = if encoding == "int" { "int" } else { "raw" };
        for (entry, key, encoding) in
            [(copy, &[b'l'; 300][..], long), (renamed, b"other", encoding)]
        {
            assert_eq!((entry.key(), entry.string().to_vec()), (key, text.clone()));
            assert_eq!((entry.expire_at_ms(), entry.clock()), (Some(9), 3));
            assert_eq!(entry.encoding(), encoding);
        }
    }
}

#[test]
fn collections_live_and_die_with_their_entry() {
    let mut list = List::default();
    list.push(End::Back, b"a", &Limits::default());
    list.push(End::Back, &[b'x'; 100], &Limits::default());
    let entry = Entry::with_collection(b"k", list, Some(5), 7);
    let kept = |entry: &Entry| {
        let list = entry.collection::<List>().unwrap();
        assert_eq!((list.len(), list.get(0, |element| element.is(b"a"))), (2, Some(true)));
        (entry.expire_at_ms(), entry.clock())
    };
    assert_eq!((kept(&entry), entry.kind()), ((Some(5), 7), Kind::List));
    assert_eq!(entry.encoding(), "listpack");
    assert!(entry.mem_bytes() > 100 && !entry.is_freed_lazily());
    let entry = entry.with_expire(None).renamed(&[b'l'; 300]);
    let copy = entry.duplicate(b"copy");
    drop(entry);
    assert_eq!((kept(&copy), copy.key()), ((None, 7), &b"copy"[..]));
    let string = copy.with_string(Str::Int(3), None);
    assert_eq!((string.kind(), string.string()), (Kind::String, StrRef::Int(3)));
    assert!(string.collection::<List>().is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Int(i64, Option<i64>),
    Bytes(Vec<u8>, Option<i64>),
    Expire(Option<i64>),
    Append(Vec<u8>),
    Put(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100),
        proptest::collection::vec(any::<u8>(), 0..1000),
    ];
    let int = prop_oneof![any::<i64>(), -(1i64 << 24)..1 << 24];
    prop_oneof![
        (int, any::<Option<i64>>()).prop_map(|(int, expire)| Step::Int(int, expire)),
        (value.clone(), any::<Option<i64>>()).prop_map(|(v, expire)| Step::Bytes(v, expire)),
        any::<Option<i64>>().prop_map(Step::Expire),
        value.prop_map(Step::Append),
        (0..700usize, any::<u8>()).prop_map(|(at, byte)| Step::Put(at, byte)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 500 }))]

    #[test]
    fn any_sequence_of_changes_keeps_key_value_and_expiry(
        key in proptest::collection::vec(any::<u8>(), 0..300),
        steps in proptest::collection::vec(step(), 0..12),
    ) {
        let mut entry = Entry::new(&key, Str::Int(0), None, 99);
        let (mut value, mut expire) = (b"0".to_vec(), None);
        for step in steps {
            match step {
                Step::Int(int, at) => {
                    (value, expire) = (int.to_string().into_bytes(), at);
                    entry = entry.with_string(Str::Int(int), at);
                }
                Step::Bytes(new, at) => {
                    (value, expire) = (new, at);
                    entry = entry.with_string(Str::Bytes(&value), at);
                }
                Step::Expire(at) => {
                    expire = at;
                    entry = entry.with_expire(at);
                }
                Step::Append(more) => {
                    let len = value.len();
                    value.extend_from_slice(&more);
                    let append = |value: &mut [u8]| value[len..].copy_from_slice(&more);
                    entry = entry.edit_string(value.len(), append).0;
                    prop_assert_eq!(entry.encoding(), "raw");
                }
                Step::Put(at, byte) => {
                    value.resize(value.len().max(at + 1), 0);
                    value[at] = byte;
                    entry = entry.edit_string(at + 1, |value| value[at] = byte).0;
                }
            }
            prop_assert_eq!(entry.key(), &key[..]);
            prop_assert_eq!(entry.string().to_vec(), &value[..]);
            prop_assert_eq!((entry.expire_at_ms(), entry.clock()), (expire, 99));
        }
    }
}

//! Streams against simple models, and nodes against the reference and against damage.

use super::*;
use crate::structures::listpack::Listpack;
use crate::types::limits::Limits;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<StreamId, Fields>;

fn limits(n_entries: usize) -> Limits {
    Limits { stream_node_entries_max: n_entries, ..Limits::default() }
}

fn add(stream: &mut Stream, id: StreamId, fields: &Fields, limits: &Limits) {
    let pairs = fields.iter().map(|(field, value)| (&field[..], &value[..]));
    stream.log.append(id, pairs, limits);
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(field, value)| (field.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

fn content<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<(StreamId, Fields)> {
    let pair =
        |(field, value): (crate::StrRef<'_>, crate::StrRef<'_>)| (field.to_vec(), value.to_vec());
    entries.map(|entry| (entry.id, entry.fields.map(pair).collect())).collect()
}

fn check(stream: &Stream, model: &Model) {
    let log = &stream.log;
    assert_eq!(log.len(), model.len() as u64);
    assert_eq!(log.first_id(), model.keys().next().copied().unwrap_or_default());
    assert_eq!(log.last_present_id(), model.keys().next_back().copied());
    let expected: Vec<_> = model.clone().into_iter().collect();
    assert_eq!(content(log.iter()), expected);
    let backwards = content(log.range_backwards(StreamId::MIN, StreamId::MAX));
    assert!(backwards.iter().rev().eq(&expected));
    let n_live: u64 = log.nodes.values().map(node::Node::n_live).sum();
    assert_eq!(n_live, log.len());
    assert!(log.nodes.values().all(|node| node.n_live() > 0));
}

#[test]
fn nodes_are_those_of_the_reference() {
    let mut stream = Stream::default();
    let limits = Limits::default();
    let id = |ms, seq| StreamId { ms, seq };
    add(&mut stream, id(1, 0), &fields(&[("a", "1"), ("b", "x")]), &limits);
    add(&mut stream, id(1, 5), &fields(&[("a", "2"), ("b", "y")]), &limits);
    add(&mut stream, id(300, 1), &fields(&[("c", "z")]), &limits);
    assert!(stream.log.delete(id(1, 5)));
    let (base, pack) = stream.log.nodes().next().unwrap();
    assert_eq!(base, id(1, 0));
    // From DUMP of Redis 8.2.3.
    let expected = [2, 1, 2, -1, -1, 0, 2, 0, 0, 1, -1, 5, 3, 0, 5, 2, -1, 5, 0, 299];
    let elements: Vec<i64> = pack.iter().map(|(_, value)| value.to_int().unwrap_or(-1)).collect();
    assert_eq!(elements[..20], expected[..]);
    let tail: Vec<Vec<u8>> = pack.iter().skip(20).map(|(_, value)| value.to_vec()).collect();
    assert_eq!(tail, [&b"1"[..], b"1", b"c", b"z", b"6"]);
}

#[test]
fn damaged_nodes_are_refused() {
    let mut stream = Stream::default();
    for seq in 1..=3 {
        let fields = fields(&[("f", "v"), ("g", if seq == 2 { "" } else { "long" })]);
        add(&mut stream, StreamId::new(7, seq), &fields, &Limits::default());
    }
    let last_id = stream.log.last_id();
    let counters = Counters { last_id, max_deleted_id: StreamId::MIN, entries_added: None };
    let nodes: Vec<(StreamId, Listpack)> =
        stream.log.nodes().map(|(base, pack)| (base, pack.clone())).collect();
    let [(base, pack)] = &nodes[..] else { panic!("one node") };
    let read = |base: StreamId, pack: &Listpack| Log::from_nodes([(base, pack.clone())], counters);
    assert!(read(*base, pack).is_some_and(|log| content(log.iter()) == content(stream.log.iter())));
    assert!(read(StreamId::MAX, pack).is_none());
    assert!(Log::from_nodes([nodes[0].clone(), nodes[0].clone()], counters).is_none());
    let places: Vec<_> = pack.iter().map(|(at, _)| at).collect();
    for at in places {
        let mut shorter = pack.clone();
        shorter.remove(at, 1);
        assert!(read(*base, &shorter).is_none(), "{shorter:?}");
        // Offsets and values may be anything; the rest may not.
        let mut other = pack.clone();
        other.replace_int(at, 1000);
        if let Some(log) = read(*base, &other) {
            assert_eq!(content(log.iter()).len() as u64, log.len());
        }
        other.replace_int(at, -1);
        if let Some(log) = read(*base, &other) {
            assert_eq!(
                content(log.range_backwards(StreamId::MIN, StreamId::MAX)).len() as u64,
                log.len()
            );
        }
    }
}

#[test]
fn small_entries_take_few_bytes() {
    let mut stream = Stream::default();
    for number in 0..100_000u64 {
        let value = number.to_string().into_bytes();
        let id = StreamId::new(1_700_000_000_000 + number, 0);
        add(&mut stream, id, &vec![(b"field".to_vec(), value)], &Limits::default());
    }
    assert!(stream.mem_bytes() < 100_000 * 20, "{}", stream.mem_bytes());
}

/// One step of the model test.
#[derive(Debug, Clone)]
enum Step {
    Add(u64, Fields),
    Delete(usize),
    TrimLen(usize, bool),
    TrimId(usize, bool),
    Range(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![Just(b"f".to_vec()), Just(b"g".to_vec()), Just(b"12".to_vec())];
    let value = prop_oneof![
        any::<i32>().prop_map(|i| i.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..80)
    ];
    let fields = proptest::collection::vec((name, value), 1..4);
    prop_oneof![
        8 => (0u64..3, fields).prop_map(|(gap, fields)| Step::Add(gap, fields)),
        3 => any::<usize>().prop_map(Step::Delete),
        1 => (0usize..40, any::<bool>()).prop_map(|(len, whole)| Step::TrimLen(len, whole)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(index, whole)| Step::TrimId(index, whole)),
        2 => any::<(usize, usize)>().prop_map(|(start, end)| Step::Range(start, end)),
    ]
}

/// The id of some entry that was ever added.
fn pick(ids: &[StreamId], index: usize) -> StreamId {
    if ids.is_empty() { StreamId::MIN } else { ids[index % ids.len()] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 200 }))]

    #[test]
    fn logs_are_those_of_a_map(
        steps in proptest::collection::vec(step(), 1..60),
        node_entries in 1usize..8,
    ) {
        let limits = limits(node_entries);
        let (mut stream, mut model) = (Stream::default(), Model::new());
        let (mut ids, mut last) = (Vec::new(), StreamId::MIN);
        for step in steps {
            match step {
                Step::Add(gap, fields) => {
                    last = StreamId::new(last.ms + gap, if gap > 0 { 0 } else { last.seq + 1 });
                    add(&mut stream, last, &fields, &limits);
                    model.insert(last, fields);
                    ids.push(last);
                }
                Step::Delete(index) => {
                    let id = pick(&ids, index);
                    prop_assert_eq!(stream.log.delete(id), model.remove(&id).is_some());
                }
                Step::TrimLen(len, is_approximate) => {
                    let to = TrimTo::MaxLen(len as u64);
                    let n = trim(&mut stream, to, is_approximate);
                    if !is_approximate {
                        prop_assert_eq!(n as usize, model.len().saturating_sub(len));
                    }
                    prop_assert!(model.len() - n as usize >= len.min(model.len()));
                    (0..n).for_each(|_| drop(model.pop_first()));
                }
                Step::TrimId(index, is_approximate) => {
                    let id = pick(&ids, index);
                    let n = trim(&mut stream, TrimTo::MinId(id), is_approximate);
                    let n_due = model.range(..id).count() as u64;
                    let is_right = if is_approximate { n <= n_due } else { n == n_due };
                    prop_assert!(is_right);
                    (0..n).for_each(|_| drop(model.pop_first()));
                }
                Step::Range(start, end) => {
                    let (start, end) = (pick(&ids, start), pick(&ids, end));
                    let got = content(stream.log.range(start, end));
                    let mut expected = Vec::new();
                    if start <= end {
                        let range = model.range(start..=end);
                        expected.extend(range.map(|(id, fields)| (*id, fields.clone())));
                    }
                    prop_assert_eq!(&got, &expected);
                    let mut backwards = content(stream.log.range_backwards(start, end));
                    backwards.reverse();
                    prop_assert_eq!(&backwards, &expected);
                    prop_assert_eq!(stream.log.contains(start), model.contains_key(&start));
                }
            }
            check(&stream, &model);
            let nodes = stream.log.nodes().map(|(base, pack)| (base, pack.clone()));
            let counters = Counters {
                last_id: stream.log.last_id(),
                max_deleted_id: stream.log.max_deleted_id(),
                entries_added: Some(stream.log.entries_added()),
            };
            let read = Stream::new(Log::from_nodes(nodes, counters).unwrap(), Groups::default());
            check(&read, &model);
        }
        prop_assert_eq!(stream.log.entries_added(), ids.len() as u64);
    }

    #[test]
    fn groups_stay_sound(
        steps in proptest::collection::vec((0u8..5, 0u64..20, 0u8..4), 1..100),
    ) {
        let mut stream = Stream::default();
        for ms in 1..20 {
            add(&mut stream, StreamId::new(ms, 0), &fields(&[("f", "v")]), &limits(3));
        }
        stream.groups.create(b"g", StreamId::MIN, None);
        let mut model: BTreeMap<StreamId, u8> = BTreeMap::new();
        for (action, ms, name) in steps {
            let id = StreamId::new(ms, 0);
            let Parts { log, groups } = &mut *stream;
            let mut group = groups.get_mut(b"g").unwrap();
            match action {
                0 | 1 => {
                    let found = group.find_consumer(&[name]);
                    let consumer = found.or_else(|| group.create_consumer(&[name], 0)).unwrap();
                    let pending = Pending { consumer, delivered_at_ms: 0, n_deliveries: 1 };
                    group.assign(id, pending);
                    group.read(log, id);
                    model.insert(id, name);
                }
                2 => prop_assert_eq!(group.acknowledge(id), model.remove(&id).is_some()),
                3 => {
                    let n = model.len();
                    model.retain(|_, owner| *owner != name);
                    let n_gone = group.delete_consumer(&[name]).unwrap_or(0);
                    prop_assert_eq!(n_gone, n - model.len());
                }
                _ => {
                    let is_pending = model.contains_key(&id);
                    let is_unread = group.last_id() < id;
                    let (may_go, _) = stream.delete(id, References::OnlyAcked);
                    prop_assert_eq!(may_go, !is_pending && !is_unread);
                }
            }
            let group = stream.groups.get(b"g").unwrap();
            prop_assert!(group.is_sound());
            let owners: Vec<(StreamId, Vec<u8>)> = group.pending().iter()
                .map(|(id, pending)| (*id, group.consumer(pending.consumer).name().to_vec()))
                .collect();
            let expected: Vec<_> = model.iter().map(|(id, name)| (*id, vec![*name])).collect();
            prop_assert_eq!(owners, expected);
        }
        stream.delete(StreamId::new(3, 0), References::Delete);
        prop_assert!(!stream.groups.get(b"g").unwrap().pending().contains_key(&StreamId::new(3, 0)));
    }
}

fn trim(stream: &mut Stream, to: TrimTo, is_approximate: bool) -> u64 {
    stream.trim(&Trim { to, is_approximate, n_removed_max: 0, references: References::Keep })
}

//! Sorted sets against a model, through both encodings.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Never packed, so that the tree is tested with few members, too.
fn limits(entries_max: usize) -> Limits {
    Limits { zset_listpack_entries_max: entries_max, ..Limits::default() }
}

/// What a set should be: members with scores, and their order.
#[derive(Default)]
struct Model {
    scores: BTreeMap<Vec<u8>, i64>,
    order: BTreeSet<(i64, Vec<u8>)>,
}

impl Model {
    fn insert(&mut self, member: &[u8], score: i64) -> Option<i64> {
        let old = self.scores.insert(member.to_vec(), score);
        if let Some(old) = old {
            self.order.remove(&(old, member.to_vec()));
        }
        self.order.insert((score, member.to_vec()));
        old
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let old = self.scores.remove(member);
        old.is_some_and(|old| self.order.remove(&(old, member.to_vec())))
    }

    fn remove_ranks(&mut self, ranks: Range<usize>) {
        for (_, member) in self.list(ranks) {
            self.remove(&member);
        }
    }

    fn list(&self, ranks: Range<usize>) -> Vec<(i64, Vec<u8>)> {
        self.order.iter().skip(ranks.start).take(ranks.len()).cloned().collect()
    }
}

fn list(set: &ZSet, ranks: Range<usize>, is_reverse: bool) -> Vec<(i64, Vec<u8>)> {
    set.iter(ranks, is_reverse).map(|(member, score)| (score as i64, member.to_vec())).collect()
}

fn assert_same(set: &ZSet, model: &Model) {
    set.check();
    let all = model.list(0..usize::MAX);
    assert_eq!(list(set, 0..usize::MAX, false), all);
    assert_eq!(list(set, 0..all.len(), true), all.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(set.len(), all.len());
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u16, i8),
    Remove(u16),
    RemoveRanks(u16, u8),
    Check(u16, i8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..2000u16, any::<i8>()).prop_map(|(member, score)| Step::Insert(member, score)),
        4 => (0..2000u16).prop_map(Step::Remove),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(start, n)| Step::RemoveRanks(start, n)),
        2 => (0..2000u16, any::<i8>(), any::<u8>()).prop_map(|(m, s, n)| Step::Check(m, s, n)),
    ];
    proptest::collection::vec(step, 0..if cfg!(miri) { 60 } else { 600 })
}

fn run(steps: Vec<Step>, limits: &Limits) {
    let (mut set, mut model) = (ZSet::default(), Model::default());
    for step in steps {
        match step {
            Step::Insert(member, score) => {
                let member = member.to_string();
                let old = set.insert(member.as_bytes(), score.into(), limits);
                assert_eq!(
                    old.map(|old| old as i64),
                    model.insert(member.as_bytes(), score.into())
                );
            }
            Step::Remove(member) => {
                let member = member.to_string();
                assert_eq!(set.remove(member.as_bytes()), model.remove(member.as_bytes()));
            }
            Step::RemoveRanks(start, n) => {
                let start = usize::from(start) % (set.len() + 1);
                let ranks = start..(start + usize::from(n)).min(set.len());
                set.remove_ranks(ranks.clone());
                model.remove_ranks(ranks);
            }
            Step::Check(member, score, n) => check_reads(&set, &model, member, score, n),
        }
        if cfg!(miri) {
            set.check();
        }
    }
    assert_same(&set, &model);
    assert_same(&set.duplicate(), &model);
}

fn check_reads(set: &ZSet, model: &Model, member: u16, score: i8, n: u8) {
    let member = member.to_string();
    let own = model.scores.get(member.as_bytes());
    let rank = own
        .map(|own| (model.order.range(..(*own, member.clone().into_bytes())).count(), *own as f64));
    assert_eq!(set.rank(member.as_bytes()), rank);
    assert_eq!(set.score(member.as_bytes()), own.map(|own| *own as f64));
    let (low, high) = (i64::from(score), i64::from(score) + i64::from(n / 8));
    for (leaves_min_out, leaves_max_out) in [(false, false), (true, true)] {
        let (min, max) = (low as f64, high as f64);
        let range = ScoreRange { min, leaves_min_out, max, leaves_max_out };
        let edge = i64::from(leaves_min_out);
        let within = |score: i64| (low + edge..=high - edge).contains(&score);
        let expected: Vec<_> = model.order.iter().filter(|(s, _)| within(*s)).cloned().collect();
        assert_eq!(list(set, set.score_ranks(&range), false), expected);
    }
    let start = usize::from(n);
    assert_eq!(list(set, start..start + 40, false), model.list(start..start + 40));
    assert_eq!(
        set.get(start).map(|(member, _)| member.to_vec()),
        model.list(start..start + 1).pop().map(|last| last.1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 200 }))]

    #[test]
    fn a_tree_is_the_model(steps in steps()) {
        run(steps, &limits(0));
    }

    #[test]
    fn a_set_of_any_encoding_is_the_model(steps in steps(), entries_max in 0..200usize) {
        run(steps, &limits(entries_max));
    }

    #[test]
    fn ranges_of_members(
        members in proptest::collection::btree_set("[a-d]{0,3}", 0..60),
        bounds in ("[a-d]{0,3}", "[a-d]{0,3}"),
        kinds in (0..4u8, 0..4u8),
    ) {
        fn bound(kind: u8, member: &str) -> LexBound<'_> {
            match kind {
                0 => LexBound::Lowest,
                1 => LexBound::Highest,
                2 => LexBound::With(member.as_bytes()),
                _ => LexBound::Without(member.as_bytes()),
            }
        }
        let range = LexRange { min: bound(kinds.0, &bounds.0), max: bound(kinds.1, &bounds.1) };
        let expected: Vec<Vec<u8>> = members
            .iter()
            .map(|member| member.clone().into_bytes())
            .filter(|member| range.reaches_min(member) && range.keeps_to_max(member))
            .collect();
        for entries_max in [0, 100] {
            let mut set = ZSet::default();
            for member in &members {
                set.insert(member.as_bytes(), 1.0, &limits(entries_max));
            }
            for is_reverse in [false, true] {
                let ranks = set.lex_ranks(&range, is_reverse);
                let found = set.iter(ranks, false).map(|(member, _)| member.to_vec());
                prop_assert_eq!(found.collect::<Vec<_>>(), expected.clone());
            }
        }
    }
}

#[test]
fn growth_at_the_ends_fills_the_nodes() {
    let n = if cfg!(miri) { 200 } else { 20_000 };
    for ascends in [true, false] {
        let mut set = ZSet::default();
        for number in 0..n {
            let score = f64::from(if ascends { number } else { -number });
            set.insert(number.to_string().as_bytes(), score, &limits(0));
        }
        set.check();
        let Either::Large(large) = set.0.get() else { panic!("it is large") };
        let bytes = large.mem_bytes() / set.len();
        assert!(cfg!(miri) || bytes < 72, "{bytes} bytes a member");
        while !set.is_empty() {
            set.remove_ranks(0..set.len().min(77));
            if set.len() % 10 == 0 {
                set.check();
            }
        }
    }
}

#[test]
fn a_scan_finds_all_members() {
    let n_members = if cfg!(miri) { 50 } else { 500 };
    for entries_max in [0, 1000] {
        let mut set = ZSet::default();
        for number in 0..n_members {
            set.insert(number.to_string().as_bytes(), 1.5, &limits(entries_max));
        }
        let (mut cursor, mut found) = (0, BTreeSet::new());
        loop {
            cursor = set.scan(cursor, 1, |member, score| {
                assert!(score == 1.5);
                found.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(found.len(), n_members);
    }
}

#[test]
fn encodings_are_left_at_the_limits() {
    let limits = Limits::default();
    let mut set = ZSet::default();
    for number in 0..128 {
        set.insert(number.to_string().as_bytes(), 1.0, &limits);
    }
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"5", 2.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"x", 2.0, &limits);
    assert_eq!((set.encoding(), set.len()), ("skiplist", 129));
    for (len, expected) in [(64, "listpack"), (65, "skiplist")] {
        let mut set = ZSet::default();
        set.insert(&vec![b'x'; len], 1.0, &limits);
        assert_eq!(set.encoding(), expected);
    }
    let mut set = ZSet::default();
    set.expect(129, &limits);
    assert_eq!(set.encoding(), "skiplist");
}

#[test]
fn listpacks_from_outside_are_checked() {
    let read = |elements: &[&str]| {
        let pack = elements.iter().map(|element| element.as_bytes()).collect();
        ZSet::from_listpack(pack, &Limits::default()).map(|set| list(&set, 0..9, false))
    };
    let pair = |score: i64, member: &str| (score, member.as_bytes().to_vec());
    assert_eq!(read(&["a", "1", "b", "2"]), Some(vec![pair(1, "a"), pair(2, "b")]));
    assert_eq!(read(&["a", "2", "b", "1"]), None);
    assert_eq!(read(&["a", "1", "a", "2"]), None);
    assert_eq!(read(&["b", "1", "a", "1"]), None);
    assert_eq!(read(&["a", "1", "b"]), None);
    assert_eq!(read(&["a", "x"]), None);
    assert_eq!(read(&["a", "nan"]), None);
    assert_eq!(read(&[]), Some(vec![]));
}

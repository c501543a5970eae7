//! What snapshots tell, against a model.

use super::*;
use crate::types::list::{End, List};
use crate::{Access, Env, Expiry, Keyspace, Limits, SetExpire, Str, Trace};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Data = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// Collects what it is told; nothing may be told twice.
#[derive(Default)]
struct Collected(Mutex<Data>);

impl Images for Collected {
    fn put(&self, db: usize, entry: &Entry) {
        let old = self.0.lock().insert((db, entry.key().to_vec()), value_of(entry));
        assert_eq!(old, None, "{:?} was told twice", entry.key());
    }
}

fn value_of(entry: &Entry) -> Vec<u8> {
    match entry.collection::<List>() {
        Some(list) => {
            let mut all = Vec::new();
            list.for_each(|element| all.extend(element.to_vec()));
            all
        }
        None => entry.string().to_vec(),
    }
}

fn env(now_ms: i64) -> Env {
    Env { now_ms, access: Access::Lru { clock: 1 }, touches: true, expiry: Expiry::Remove }
}

fn data_of(pass: &mut Pass<'_>) -> Data {
    let env = Env { expiry: Expiry::Ignore, ..env(0) };
    let trace = Trace::default();
    let mut data = Data::new();
    for db in 0..pass.keyspace().n_databases() {
        crate::Walk::stepwise(pass, &env, &trace).each(db, None, |entry| {
            data.insert((db, entry.key().to_vec()), value_of(entry));
        });
    }
    data
}

#[derive(Debug, Clone)]
enum Op {
    Set(usize, u16, u8),
    SetExpiring(usize, u16),
    Delete(usize, u16),
    Push(usize, u16, u8),
    Expire(usize, u16),
    Sweep(usize),
    Flush(usize),
    Swap,
    DeleteMany(u16),
    Step(usize),
}

const NOW_MS: i64 = 1000;

fn run(pass: &mut Pass<'_>, op: &Op) {
    let (env, trace) = (env(NOW_MS), Trace::default());
    let with = |pass: &mut Pass<'_>,
                db: usize,
                number: u16,
                act: &dyn Fn(&mut crate::WriteDb<'_, '_>, &crate::Key<'_>)| {
        let name = number.to_string();
        let key = pass.keyspace().key(name.as_bytes());
        let mut locked = pass.lock_one(key.stripe(), Mode::Write);
        act(&mut locked.write(db, &env, &trace), &key);
    };
    match *op {
        Op::Set(db, number, value) => with(pass, db, number, &|db, key| {
            db.set_string(key, Str::Int(value.into()), SetExpire::To(None));
        }),
        Op::SetExpiring(db, number) => with(pass, db, number, &|db, key| {
            db.set_string(key, Str::Int(1), SetExpire::To(Some(NOW_MS - 1)));
        }),
        Op::Delete(db, number) => with(pass, db, number, &|db, key| {
            db.delete(key);
        }),
        Op::Push(db, number, value) => with(pass, db, number, &|db, key| {
            let push = |list: &mut List| list.push(End::Back, &[value], &Limits::default());
            // It may be a string, which stays as it is.
            let _ = db.edit_or_new(key, push);
        }),
        Op::Expire(db, number) => with(pass, db, number, &|db, key| {
            db.set_expire(key, Some(NOW_MS + 10));
        }),
        Op::Sweep(db) => {
            for stripe in 0..pass.keyspace().n_stripes() as u32 {
                pass.sweep_expired(stripe, db, NOW_MS, 100, false, |_, _| {});
            }
        }
        Op::Flush(db) => drop(pass.lock_all().flush(db, NOW_MS)),
        Op::Swap => pass.lock_all().swap(0, 1, NOW_MS),
        Op::DeleteMany(first) => {
            for number in first..first.saturating_add(300) {
                with(pass, 0, number, &|db, key| {
                    db.delete(key);
                });
            }
        }
        Op::Step(_) => {}
    }
}

fn op() -> impl Strategy<Value = Op> {
    let db = 0..2usize;
    prop_oneof![
        20 => (db.clone(), 0..600u16, any::<u8>()).prop_map(|(db, key, value)| Op::Set(db, key, value)),
        4 => (db.clone(), 0..600u16).prop_map(|(db, key)| Op::SetExpiring(db, key)),
        8 => (db.clone(), 0..600u16).prop_map(|(db, key)| Op::Delete(db, key)),
        8 => (db.clone(), 0..600u16, any::<u8>()).prop_map(|(db, key, value)| Op::Push(db, key, value)),
        4 => (db.clone(), 0..600u16).prop_map(|(db, key)| Op::Expire(db, key)),
        2 => db.clone().prop_map(Op::Sweep),
        1 => db.prop_map(Op::Flush),
        1 => Just(Op::Swap),
        1 => (0..600u16).prop_map(Op::DeleteMany),
        20 => (1..4usize).prop_map(Op::Step),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 200 }, ..ProptestConfig::default() })]
    #[test]
    fn every_entry_is_told_once_as_it_was(
        n_keys in 0..600u16,
        before in proptest::collection::vec(op(), 0..50),
        during in proptest::collection::vec(op(), 0..400),
    ) {
        let keyspace = Keyspace::new(4, 1, 2);
        let mut pass = keyspace.enter(0);
        (0..n_keys).for_each(|number| run(&mut pass, &Op::Set(usize::from(number % 5 == 0), number, 7)));
        before.iter().for_each(|op| run(&mut pass, op));
        // Twice: the first leaves no trace for the second.
        for _ in 0..2 {
            let expected = data_of(&mut pass);
            let collected = Arc::new(Collected::default());
            let images: Arc<dyn Images> = collected.clone();
            let mut snapshot = pass.lock_all().begin_snapshot(&images).unwrap();
            prop_assert!(pass.lock_all().begin_snapshot(&images).is_none());
            let n_keys: usize = snapshot.sizes().iter().map(|size| size.n_keys).sum();
            prop_assert_eq!(n_keys, expected.len());
            for op in &during {
                match op {
                    Op::Step(n_buckets) => {
                        snapshot.step(&mut pass, *n_buckets, |db, entry| images.put(db, entry));
                    }
                    op => run(&mut pass, op),
                }
            }
            while snapshot.step(&mut pass, 3, |db, entry| images.put(db, entry)) {}
            prop_assert_eq!(&*collected.0.lock(), &expected);
        }
    }
}

#[test]
fn an_abandoned_snapshot_leaves_no_marks() {
    let keyspace = Keyspace::new(4, 1, 2);
    let mut pass = keyspace.enter(0);
    (0..100).for_each(|number| run(&mut pass, &Op::Set(0, number, 7)));
    let images: Arc<dyn Images> = Arc::new(Collected::default());
    let mut snapshot = pass.lock_all().begin_snapshot(&images).unwrap();
    (0..50).for_each(|number| run(&mut pass, &Op::Set(0, number, 8)));
    snapshot.abandon();
    let mut n_visited = 0;
    while snapshot.step(&mut pass, 3, |_, _| n_visited += 1) {}
    assert_eq!(n_visited, 0);
    let mut snapshot = pass.lock_all().begin_snapshot(&images).unwrap();
    while snapshot.step(&mut pass, 3, |_, _| n_visited += 1) {}
    assert_eq!(n_visited, 100);
}

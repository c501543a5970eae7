//! Tests of locks, lock sets, whole-keyspace operations, scans, expiry and watches.

use super::*;
use crate::view::{ExpiredKey, Expiry, Lookup, SetExpire};
use crate::{Access, Str};
use std::collections::HashSet;

fn env(now_ms: i64) -> Env {
    Env { now_ms, access: Access::Lru { clock: 1 }, touches: true, expiry: Expiry::Remove }
}

fn set(pass: &mut Pass<'_>, db: usize, key: &str, value: i64, expire_at_ms: Option<i64>) {
    let key = pass.keyspace().key(key.as_bytes());
    let (env, trace) = (env(0), Trace::default());
    let mut locked = pass.lock_one(key.stripe(), Mode::Write);
    let mut view = locked.write(db, &env, &trace);
    view.set_string(&key, Str::Int(value), SetExpire::To(expire_at_ms));
    locked.touch_watchers(db, &key);
}

fn get_at(pass: &mut Pass<'_>, now_ms: i64, db: usize, key: &str) -> (Option<i64>, Trace) {
    let key = pass.keyspace().key(key.as_bytes());
    let (env, trace) = (env(now_ms), Trace::default());
    let locked = pass.lock_one(key.stripe(), Mode::Read);
    let value = locked.read(db, &env, &trace).get_string(&key).unwrap();
    (value.map(|value| value.get().to_int().unwrap()), trace)
}

fn get(pass: &mut Pass<'_>, db: usize, key: &str) -> Option<i64> {
    get_at(pass, 0, db, key).0
}

#[test]
fn hash_tags_decide_the_stripe() {
    let check = |key: &str, tag: Option<&str>| {
        assert_eq!(hash_tag(key.as_bytes()), tag.map(str::as_bytes), "{key}");
    };
    check("abc", None);
    check("{a}b", Some("a"));
    check("x{a}{b}", Some("a"));
    check("x{}{b}", None);
    check("x{a", None);
    check("x}a{b}", Some("b"));
    check("{{a}}", Some("{a"));
    let keyspace = Keyspace::new(1024, 1, 1);
    let stripe = |key: &str| keyspace.key(key.as_bytes()).stripe();
    assert_eq!(stripe("{user}:a"), stripe("b{user}"));
    assert_eq!(stripe("user"), stripe("{user}"));
}

#[test]
fn keys_are_counted_per_database() {
    let keyspace = Keyspace::new(8, 2, 16);
    let (mut first, mut second) = (keyspace.enter(0), keyspace.enter(1));
    set(&mut first, 0, "a", 1, None);
    set(&mut second, 0, "a", 2, Some(100));
    set(&mut second, 3, "b", 3, Some(100));
    assert_eq!(keyspace.size(0), DbSize { n_keys: 1, n_expires: 1, n_subexpires: 0 });
    assert_eq!(keyspace.size(3), DbSize { n_keys: 1, n_expires: 1, n_subexpires: 0 });
    set(&mut first, 0, "a", 3, None);
    assert_eq!(keyspace.size(0), DbSize { n_keys: 1, n_expires: 0, n_subexpires: 0 });
    assert_eq!((get(&mut first, 0, "a"), get(&mut first, 3, "b")), (Some(3), Some(3)));
    drop(second);
    let mut all = first.lock_all();
    all.swap(0, 3, 0);
    assert_eq!(all.flush(3, 0).iter().map(Table::len).sum::<usize>(), 1);
    drop(all);
    assert_eq!(keyspace.size(0), DbSize { n_keys: 1, n_expires: 1, n_subexpires: 0 });
    assert_eq!(keyspace.size(3), DbSize::default());
}

#[test]
fn expired_keys_are_absent_to_readers_and_removed_by_writers() {
    let keyspace = Keyspace::new(8, 1, 1);
    let mut pass = keyspace.enter(0);
    set(&mut pass, 0, "a", 1, Some(100));
    assert_eq!(get_at(&mut pass, 100, 0, "a").0, Some(1));
    let (value, trace) = get_at(&mut pass, 101, 0, "a");
    assert_eq!((value, trace.n_misses.get()), (None, 1));
    let expected =
        ExpiredKey { db: 0, key: (*b"a").into(), what: crate::Gone::Key, is_removed: false };
    assert_eq!(*trace.expired.borrow(), [expected]);
    assert_eq!(keyspace.size(0).n_keys, 1);

    let key = keyspace.key(b"a");
    for (expiry, is_there, n_keys) in
        [(Expiry::Ignore, true, 1), (Expiry::Hide, false, 1), (Expiry::Remove, false, 0)]
    {
        let (env, trace) = (Env { expiry, ..env(101) }, Trace::default());
        let mut locked = pass.lock_one(key.stripe(), Mode::Write);
        let found = locked.write(0, &env, &trace).get(&key, Lookup::Write).is_some();
        assert_eq!((found, trace.expired.borrow().len()), (is_there, usize::from(n_keys == 0)));
        drop(locked);
        assert_eq!(keyspace.size(0).n_keys, n_keys);
    }
}

#[test]
fn sweeps_find_expired_keys() {
    let keyspace = Keyspace::new(4, 1, 2);
    let mut pass = keyspace.enter(0);
    for number in 0..100 {
        set(&mut pass, 1, &number.to_string(), number, (number % 2 == 0).then_some(number));
    }
    let mut names = HashSet::new();
    for stripe in 0..4 {
        pass.sweep_expired(stripe, 1, 50, usize::MAX, false, |expired, _| {
            let crate::Expired::Key(entry) = expired else { panic!("there is no hash") };
            names.insert(entry.key().to_vec());
        });
    }
    assert_eq!(
        (names.len(), keyspace.size(1)),
        (25, DbSize { n_keys: 75, n_expires: 25, n_subexpires: 0 })
    );
    let mut n_passed = 0;
    for stripe in 0..4 {
        let swept = pass.sweep_expired(stripe, 1, 50, usize::MAX, false, |_, _| {});
        assert_eq!(swept, Swept { n_passed: swept.n_passed, ..Swept::default() });
        n_passed += swept.n_passed;
    }
    assert_eq!(n_passed, 25);
    let swept = pass.sweep_expired(0, 1, 50, usize::MAX, true, |_, _| {});
    assert!(swept.n_sampled > 0 && swept.ttl_sum_ms > 0);
}

fn watch(pass: &mut Pass<'_>, now_ms: i64, key: &str) -> Arc<WatchFlag> {
    let flag = Arc::new(WatchFlag::default());
    let key = pass.keyspace().key(key.as_bytes());
    let mut locked = pass.lock_one(key.stripe(), Mode::Write);
    let was_expired = locked.has_expired(0, &key, now_ms);
    locked.watch(0, &key, flag.clone(), was_expired);
    flag
}

#[test]
fn watchers_learn_of_changes() {
    let keyspace = Keyspace::new(4, 1, 2);
    let mut pass = keyspace.enter(0);
    set(&mut pass, 0, "a", 1, None);
    let (a, b) = (watch(&mut pass, 0, "a"), watch(&mut pass, 0, "b"));
    set(&mut pass, 0, "c", 1, None);
    set(&mut pass, 1, "a", 1, None);
    assert!(!a.is_dirty() && !b.is_dirty());
    set(&mut pass, 0, "b", 1, None);
    assert!(!a.is_dirty() && b.is_dirty());

    let unwatched = watch(&mut pass, 0, "a");
    let key = keyspace.key(b"a");
    pass.lock_one(key.stripe(), Mode::Write).unwatch(0, &key, &unwatched);
    set(&mut pass, 0, "a", 2, None);
    assert!(a.is_dirty() && !unwatched.is_dirty());

    let (there, missing) = (watch(&mut pass, 0, "a"), watch(&mut pass, 0, "zzz"));
    pass.lock_all().flush(0, 0);
    assert!(there.is_dirty() && !missing.is_dirty());
    let missing = watch(&mut pass, 0, "a");
    pass.lock_all().swap(0, 1, 0);
    assert!(missing.is_dirty());
}

#[test]
fn removal_of_a_key_that_had_expired_before_is_no_change() {
    let keyspace = Keyspace::new(4, 1, 1);
    let mut pass = keyspace.enter(0);
    set(&mut pass, 0, "a", 1, Some(10));
    let (before, after) = (watch(&mut pass, 5, "a"), watch(&mut pass, 11, "a"));
    for stripe in 0..4 {
        pass.sweep_expired(stripe, 0, 11, usize::MAX, false, |_, _| {});
    }
    assert!(before.is_dirty() && !after.is_dirty());
    set(&mut pass, 0, "a", 2, None);
    assert!(after.is_dirty());
}

/// Many threads move amounts between keys of several stripes; others sum them up, by lock set and
/// with the whole keyspace. The sum never changes.
#[test]
fn lock_sets_make_several_keys_one() {
    const N_KEYS: i64 = 12;
    let (n_threads, n_rounds) = if cfg!(miri) { (3, 10) } else { (6, 3000) };
    let keyspace = Keyspace::new(8, n_threads, 1);
    let name = |number: i64| format!("account{}", number.rem_euclid(N_KEYS));
    let mut pass = keyspace.enter(0);
    (0..N_KEYS).for_each(|number| set(&mut pass, 0, &name(number), 100, None));
    drop(pass);
    let sum = |locked: &Locked<'_>| -> i64 {
        let (env, trace) = (env(0), Trace::default());
        let view = locked.read(0, &env, &trace);
        let value = |number| {
            let name = name(number);
            let key = keyspace.key(name.as_bytes());
            view.get_string(&key).unwrap().unwrap().get().to_int().unwrap()
        };
        (0..N_KEYS).map(value).sum()
    };
    let stripes = |numbers: &[i64]| -> StripeSet {
        numbers.iter().map(|n| keyspace.key(name(*n).as_bytes()).stripe()).collect()
    };
    std::thread::scope(|scope| {
        for thread in 0..n_threads {
            let (keyspace, name, sum, stripes) = (&keyspace, &name, &sum, &stripes);
            scope.spawn(move || {
                for round in 0..n_rounds {
                    let mut pass = keyspace.enter(thread);
                    let (from, to) = (round * 7 + thread as i64, round * 5 + 3);
                    match round % 8 {
                        0 => assert_eq!(sum(&pass.lock_all()), N_KEYS * 100),
                        1 => {
                            let all: Vec<i64> = (0..N_KEYS).collect();
                            let locked = pass.lock_many(stripes(&all), Mode::Read);
                            assert_eq!(sum(&locked), N_KEYS * 100);
                        }
                        _ => {
                            let mut locked = pass.lock_many(stripes(&[from, to]), Mode::Write);
                            let (env, trace) = (env(0), Trace::default());
                            let mut view = locked.write(0, &env, &trace);
                            for (number, amount) in [(from, -round), (to, round)] {
                                let name = name(number);
                                let key = keyspace.key(name.as_bytes());
                                let old = view.get_string(&key, Lookup::Write).unwrap().unwrap();
                                let new = old.get().to_int().unwrap() + amount;
                                view.set_string(&key, Str::Int(new), SetExpire::Keep);
                            }
                        }
                    }
                }
            });
        }
    });
    assert_eq!(sum(&keyspace.enter(0).lock_all()), N_KEYS * 100);
}

/// Somebody holds everything for long and lets others pass; a second one waits for everything. A third
/// must not find its gate shut because of that.
#[test]
fn who_waits_for_everything_stands_in_nobodys_way() {
    use std::sync::mpsc::channel;
    let keyspace = Keyspace::new(4, 3, 1);
    let key = keyspace.key(b"k");
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let holder = &keyspace;
        scope.spawn(move || {
            let mut pass = holder.enter(0);
            let mut locked = pass.lock_all();
            locked.let_others_pass();
            holder.give_up_waits(true);
            tell.send(()).unwrap();
            // The end of the other side means the same.
            let _ = ended.recv();
            holder.give_up_waits(false);
        });
        told.recv().unwrap();
        let waits = scope.spawn(|| {
            let mut pass = keyspace.enter(1);
            let locked = pass.lock_all();
            locked.is_exclusive()
        });
        for _ in 0..20 {
            let mut pass = keyspace.enter(2);
            assert!(pass.try_lock_one(key.stripe(), Mode::Read).is_none());
            drop(pass);
            std::thread::yield_now();
        }
        assert!(!waits.is_finished());
        drop(end);
        assert!(waits.join().unwrap());
    });
    assert!(keyspace.enter(2).try_lock_one(key.stripe(), Mode::Read).is_some());
}

#[test]
fn others_pass_but_lock_nothing_while_the_keyspace_is_reserved() {
    let (n_threads, n_rounds) = if cfg!(miri) { (3, 4) } else { (4, 500) };
    // The last gate is nobody's.
    let keyspace = Keyspace::new(2, n_threads + 1, 1);
    set(&mut keyspace.enter(0), 0, "n", 0, None);
    let key = keyspace.key(b"n");
    let is_reserved = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 1..n_threads {
            let (keyspace, key, is_reserved) = (&keyspace, &key, &is_reserved);
            scope.spawn(move || {
                for _ in 0..n_rounds {
                    let mut pass = keyspace.enter(thread);
                    let mut locked = pass.lock_one(key.stripe(), Mode::Write);
                    assert!(!is_reserved.load(Ordering::SeqCst));
                    let (env, trace) = (env(0), Trace::default());
                    let mut view = locked.write(0, &env, &trace);
                    let old = view.get_string(key, Lookup::Write).unwrap().unwrap();
                    let new = old.get().to_int().unwrap() + 1;
                    view.set_string(key, Str::Int(new), SetExpire::Keep);
                }
            });
        }
        for _ in 0..n_rounds {
            let mut pass = keyspace.enter(0);
            let mut locked = pass.lock_all();
            locked.let_others_pass();
            is_reserved.store(true, Ordering::SeqCst);
            let value = || {
                let (env, trace) = (env(0), Trace::default());
                let value = locked.read(0, &env, &trace).get_string(&key).unwrap();
                value.unwrap().get().to_int().unwrap()
            };
            let before = value();
            let mut other = keyspace.enter(n_threads);
            keyspace.give_up_waits(true);
            assert!(other.try_lock_one(key.stripe(), Mode::Read).is_none());
            keyspace.give_up_waits(false);
            assert_eq!(value(), before);
            is_reserved.store(false, Ordering::SeqCst);
        }
    });
    let n_changes = (n_threads as i64 - 1) * n_rounds;
    assert_eq!(get(&mut keyspace.enter(0), 0, "n"), Some(n_changes));
}

#[test]
#[should_panic(expected = "outside its lock set")]
fn keys_outside_the_lock_set_are_out_of_reach() {
    let keyspace = Keyspace::new(1024, 1, 1);
    let mut pass = keyspace.enter(0);
    let (first, second) = (keyspace.key(b"a"), keyspace.key(b"b"));
    assert_ne!(first.stripe(), second.stripe());
    let (env, trace) = (env(0), Trace::default());
    let locked = pass.lock_one(first.stripe(), Mode::Read);
    locked.read(0, &env, &trace).get(&second, Lookup::Use);
}

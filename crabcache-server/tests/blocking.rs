//! Many producers and consumers on all threads of the program, some of which die meanwhile: what
//! went in comes out, once.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{N_PAUSES_MAX, PAUSE, Program};
use crabcache_resp::Value;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const N_LISTS: usize = 4;
const N_PRODUCERS: usize = 4;
const N_ROUNDS: usize = 400;
/// Elements of each round of a producer.
const ROUND_LEN: usize = 4;
const N_ELEMENTS: usize = N_PRODUCERS * N_ROUNDS * ROUND_LEN;

/// What the threads share.
#[derive(Default)]
struct State {
    is_over: AtomicBool,
    n_taken: AtomicUsize,
    n_killed: AtomicUsize,
}

/// Pushes its elements in every way there is.
fn produce(program: &Program, number: usize) {
    let mut client = program.client();
    for round in 0..N_ROUNDS {
        let list = (number + round) % N_LISTS;
        let values: Vec<String> =
            (0..ROUND_LEN).map(|index| format!("{number}:{round}:{index}")).collect();
        match round % 4 {
            0 => drop(client.call(&format!("RPUSH list:{list} {}", values.join(" "))).unwrap()),
            1 => {
                client.call("MULTI").unwrap();
                for value in &values {
                    client.call(&format!("LPUSH list:{list} {value}")).unwrap();
                }
                client.call("EXEC").unwrap();
            }
            2 => {
                let fresh = format!("fresh:{number}");
                client.int(&format!("RPUSH {fresh} {}", values.join(" ")));
                while client.int(&format!("RENAMENX {fresh} list:{list}")) == 0 {}
            }
            _ => values.iter().for_each(|value| {
                client.int(&format!("LPUSH list:{list} {value}"));
            }),
        }
    }
}

/// Moves elements into lists where they stay, and dies now and then without taking its reply.
fn keep_moving(program: &Program, state: &State, number: usize) {
    let mut n_moves = 0;
    while !state.is_over.load(Ordering::Relaxed) {
        let mut client = program.client();
        for lifetime in 1.. {
            let list = (number + n_moves) % N_LISTS;
            n_moves += 1;
            let line = format!("BLMOVE list:{list} done:{number} LEFT RIGHT 0.01");
            if lifetime % 50 == 0 {
                let _ = client.send(&line);
                break;
            }
            match client.call(&line) {
                Ok(Value::Error(error)) => panic!("{}", error.escape_ascii()),
                Ok(_) if state.is_over.load(Ordering::Relaxed) => return,
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}

/// Takes elements and gives them back at the end.
fn keep_taking(program: &Program, state: &State) -> Vec<Vec<u8>> {
    let mut client = program.client();
    client.call("CLIENT SETNAME taker").unwrap();
    let lists: Vec<String> = (0..N_LISTS).map(|number| format!("list:{number}")).collect();
    let lines = [
        format!("BLPOP {} 0.01", lists.join(" ")),
        format!("BRPOP {} 0.01", lists.join(" ")),
        format!("BLMPOP 0.01 {N_LISTS} {} LEFT COUNT 3", lists.join(" ")),
    ];
    let mut taken = Vec::new();
    for line in lines.iter().cycle() {
        if state.is_over.load(Ordering::Relaxed) {
            break;
        }
        let before = taken.len();
        match client.call(line).unwrap() {
            Value::Array(items) => match items.into_iter().nth(1) {
                Some(Value::Bulk(value)) => taken.push(value.to_vec()),
                Some(Value::Array(values)) => taken.extend(values.iter().map(bulk)),
                other => panic!("{other:?}"),
            },
            Value::Null => {}
            other => panic!("{other:?}"),
        }
        state.n_taken.fetch_add(taken.len() - before, Ordering::Relaxed);
    }
    taken
}

fn bulk(value: &Value) -> Vec<u8> {
    match value {
        Value::Bulk(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Kills movers by their ids.
fn keep_killing(program: &Program, state: &State) {
    let mut client = program.client();
    while !state.is_over.load(Ordering::Relaxed) {
        let Value::Bulk(text) = client.call("CLIENT LIST").unwrap() else { panic!("no list") };
        let text = String::from_utf8_lossy(&text).into_owned();
        let movers = text.lines().filter(|line| line.contains("cmd=blmove"));
        for id in movers.filter_map(|line| line.split([' ', '=']).nth(1)) {
            state
                .n_killed
                .fetch_add(client.int(&format!("CLIENT KILL ID {id}")) as usize, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(3));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn no_element_is_lost_or_taken_twice() {
    const N_MOVERS: usize = 6;
    const N_TAKERS: usize = 4;
    let program = Program::start(&std::env::temp_dir(), &["--dbfilename", "there-is-none.rdb"]);
    let state = State::default();
    let mut control = program.client();
    let mut found = std::thread::scope(|scope| {
        let (program, state) = (&program, &state);
        for number in 0..N_MOVERS {
            scope.spawn(move || keep_moving(program, state, number));
        }
        let takers: Vec<_> =
            (0..N_TAKERS).map(|_| scope.spawn(|| keep_taking(program, state))).collect();
        scope.spawn(|| keep_killing(program, state));
        for number in 0..N_PRODUCERS {
            scope.spawn(move || produce(program, number));
        }
        for _ in 0..N_PAUSES_MAX {
            let n_done: i64 =
                (0..N_MOVERS).map(|number| control.int(&format!("LLEN done:{number}"))).sum();
            if n_done as usize + state.n_taken.load(Ordering::Relaxed) >= N_ELEMENTS {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        state.is_over.store(true, Ordering::Relaxed);
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
    });
    for number in 0..N_MOVERS {
        match control.call(&format!("LRANGE done:{number} 0 -1")).unwrap() {
            Value::Array(values) => found.extend(values.iter().map(bulk)),
            other => panic!("{other:?}"),
        }
    }
    let n_found = found.len();
    let distinct: HashSet<Vec<u8>> = found.into_iter().collect();
    assert_eq!((n_found, distinct.len()), (N_ELEMENTS, N_ELEMENTS));
    assert!(state.n_killed.load(Ordering::Relaxed) > 0);
    let Value::Bulk(info) = control.call("INFO clients").unwrap() else { panic!("no INFO") };
    let info = String::from_utf8_lossy(&info).into_owned();
    for line in ["blocked_clients:0", "total_blocking_keys:0"] {
        assert!(info.lines().any(|own| own == line), "{info}");
    }
}

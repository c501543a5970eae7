//! Publishers and subscribers on all threads of the program: every message arrives once, those of a
//! publisher in their order, and those of a channel in one order everywhere.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{Client, N_PAUSES_MAX, PAUSE, Program, TIME_MAX};
use crabcache_resp::{Protocol, Value};
use std::sync::atomic::{AtomicBool, Ordering};

const N_CHANNELS: usize = 3;
const N_PUBLISHERS: usize = 6;
const N_SUBSCRIBERS: usize = 12;
const N_MESSAGES: usize = 3000;
/// Messages that a publisher sends before it reads the replies.
const PIPELINE: usize = 10;

fn start() -> Program {
    Program::start(&std::env::temp_dir(), &[])
}

/// The words of the next message.
fn message(client: &mut Client) -> Vec<String> {
    let (Value::Array(items) | Value::Push(items)) = client.receive().unwrap() else {
        panic!("no message");
    };
    let text = |item: &Value| match item {
        Value::Bulk(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => format!("{other:?}"),
    };
    items.iter().map(text).collect()
}

/// What one subscriber gets of each channel, in order.
fn subscribe(program: &Program, number: usize, is_ready: impl FnOnce()) -> Vec<Vec<String>> {
    let mut client = program.client();
    if number % 2 == 1 {
        client.send("HELLO 3").unwrap();
        client.protocol = Protocol::Resp3;
        client.receive().unwrap();
    }
    let has_pattern = number.is_multiple_of(3);
    if has_pattern {
        client.send("PSUBSCRIBE channel:*").unwrap();
        message(&mut client);
    } else {
        for channel in 0..N_CHANNELS {
            client.send(&format!("SUBSCRIBE channel:{channel}")).unwrap();
            message(&mut client);
        }
    }
    is_ready();
    let mut received = vec![Vec::new(); N_CHANNELS];
    for _ in 0..N_PUBLISHERS * N_MESSAGES {
        let words = message(&mut client);
        let [channel, message] = &words[words.len() - 2..] else { panic!("{words:?}") };
        assert_eq!(words[0], if has_pattern { "pmessage" } else { "message" });
        let channel: usize = channel.strip_prefix("channel:").unwrap().parse().unwrap();
        received[channel].push(message.clone());
    }
    received
}

fn publish(program: &Program, number: usize) {
    let mut client = program.client();
    let mut text = String::new();
    for index in 0..N_MESSAGES {
        let channel = (index / 7 + number) % N_CHANNELS;
        text.push_str(&format!("PUBLISH channel:{channel} {number}:{index}\r\n"));
        if (index + 1) % PIPELINE == 0 {
            client.send(text.trim_end()).unwrap();
            text.clear();
            for _ in 0..PIPELINE {
                assert_eq!(client.receive().unwrap(), Value::Int(N_SUBSCRIBERS as i64));
            }
        }
    }
}

#[test]
fn every_message_arrives_once_and_in_order() {
    let program = &start();
    let all: Vec<Vec<Vec<String>>> = std::thread::scope(|scope| {
        let (ready, all_ready) = std::sync::mpsc::channel();
        let subscribers: Vec<_> = (0..N_SUBSCRIBERS)
            .map(|number| {
                let ready = ready.clone();
                scope.spawn(move || subscribe(program, number, || ready.send(()).unwrap()))
            })
            .collect();
        (0..N_SUBSCRIBERS).for_each(|_| all_ready.recv_timeout(TIME_MAX).unwrap());
        (0..N_PUBLISHERS).for_each(|number| drop(scope.spawn(move || publish(program, number))));
        subscribers.into_iter().map(|subscriber| subscriber.join().unwrap()).collect()
    });
    // One order for all.
    assert!(all.iter().all(|received| *received == all[0]));
    for messages in &all[0] {
        let mut next = [0; N_PUBLISHERS];
        for message in messages {
            let (publisher, index) = message.split_once(':').unwrap();
            let (publisher, index): (usize, usize) =
                (publisher.parse().unwrap(), index.parse().unwrap());
            assert!(index >= next[publisher], "{message} after {}", next[publisher]);
            next[publisher] = index + 1;
        }
    }
}

#[test]
fn subscribers_that_come_and_go_leave_nothing_behind() {
    let program = &start();
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..2)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = program.client();
                    while !is_over.load(Ordering::Relaxed) {
                        let reply = client.call(&format!("PUBLISH channel:{number} x")).unwrap();
                        assert!(matches!(reply, Value::Int(_)), "{reply:?}");
                    }
                })
            })
            .collect();
        let comers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    for round in 0..150 {
                        come_and_go(program, number + round);
                    }
                })
            })
            .collect();
        comers.into_iter().for_each(|comer| comer.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    });
    let mut client = program.client();
    for _ in 0..N_PAUSES_MAX {
        if client.call("PUBSUB CHANNELS").unwrap() == Value::Array(Vec::new()) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let Value::Bulk(info) = client.call("INFO").unwrap() else { panic!("no INFO") };
    let info = String::from_utf8(info).unwrap();
    for field in ["pubsub_clients:0", "pubsub_channels:0", "pubsub_patterns:0"] {
        assert!(info.contains(&format!("{field}\r\n")), "{field}");
    }
}

/// Subscribes, takes some messages, and leaves in one of several ways. A message never takes the
/// place of a reply.
fn come_and_go(program: &Program, number: usize) {
    let mut client = program.client();
    client.send("SUBSCRIBE channel:0 channel:1\r\nPSUBSCRIBE channel:*").unwrap();
    for _ in 0..20 {
        message(&mut client);
    }
    match number % 3 {
        0 => client.send("UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nECHO end").unwrap(),
        1 => client.send("RESET\r\nECHO end").unwrap(),
        _ => return,
    }
    let mut n_left = 4;
    loop {
        match client.receive().unwrap() {
            Value::Array(items) if items[0] == Value::Bulk(b"message".to_vec()) => {}
            Value::Array(items) if items[0] == Value::Bulk(b"pmessage".to_vec()) => {}
            Value::Array(_) => n_left -= 1,
            Value::Status(status) => assert_eq!(status, b"RESET"),
            reply => {
                assert_eq!(reply, Value::Bulk(b"end".to_vec()));
                // Three ends of subscriptions, and perhaps one of the beginnings.
                assert!(number % 3 == 1 || n_left <= 1);
                return;
            }
        }
    }
}

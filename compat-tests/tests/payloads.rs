//! Payloads of DUMP beside the reference's: what LZF makes of values must be the same, byte by byte.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::Connection;
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn both(options: &[&str]) -> [(Server, Connection); 2] {
    [Which::Reference, Which::CrabCache].map(|which| {
        let server = Server::start(which, options).unwrap();
        let connection = server.connect(Protocol::Resp2).unwrap();
        (server, connection)
    })
}

#[track_caller]
fn same(servers: &mut [(Server, Connection); 2], words: &[&[u8]], what: &dyn std::fmt::Debug) {
    let [expected, answer] = servers.each_mut().map(|(_, to)| to.call(words).unwrap().show());
    assert!(
        answer == expected,
        "{what:?}: {} {}",
        words[0].escape_ascii(),
        words[1].escape_ascii()
    );
}

/// Bytes with much, little or nothing in them that repeats itself.
fn compressible(random: &mut StdRng) -> Vec<u8> {
    const WORDS: [&[u8]; 6] =
        [b"foo", b"barbar", b"{\"id\":", b"hello world ", b"x", b"0123456789"];
    let len = match random.random_range(0..3) {
        0 => random.random_range(21..60),
        1 => random.random_range(21..600),
        _ => random.random_range(21..30_000),
    };
    let mut bytes = Vec::new();
    let kind = random.random_range(0..6);
    let alphabet = random.random_range(1..5u8);
    let period: Vec<u8> = (0..random.random_range(1..40)).map(|_| random.random()).collect();
    while bytes.len() < len {
        match kind {
            0 => bytes.push(b'a' + random.random_range(0..alphabet)),
            1 => bytes.extend_from_slice(&period),
            2 => bytes.extend_from_slice(WORDS[random.random_range(0..WORDS.len())]),
            3 => bytes.push(random.random()),
            4 => {
                let n = random.random_range(1..300);
                bytes.resize(bytes.len() + n, random.random());
            }
            _ => {
                bytes.extend_from_slice(format!("user:{}:", random.random_range(0..999)).as_bytes())
            }
        }
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn strings_are_compressed_as_by_the_reference() {
    let mut servers = both(&[]);
    let mut random = StdRng::seed_from_u64(1);
    for round in 0..1500 {
        let value = compressible(&mut random);
        same(&mut servers, &[b"SET", b"k", &value], &round);
        same(&mut servers, &[b"DUMP", b"k"], &round);
    }
}

/// Lists whose middle is compressed go through many changes and stay the reference's. (But for LINSERT:
/// a node that it makes worth compressing the reference leaves as it is.)
#[test]
fn lists_are_compressed_as_by_the_reference() {
    for (depth, size_max) in [("1", "-1"), ("2", "5"), ("3", "-2"), ("1", "1")] {
        let options = ["--list-compress-depth", depth, "--list-max-listpack-size", size_max];
        let mut servers = both(&options);
        let mut random = StdRng::seed_from_u64(2);
        for round in 0..400 {
            let what = (depth, size_max, round);
            let value = match random.random_range(0..4) {
                0 => compressible(&mut random),
                1 => random.random_range(0..1000).to_string().into_bytes(),
                _ => {
                    format!("an element of some length {}", random.random_range(0..9)).into_bytes()
                }
            };
            let index = random.random_range(-40..40i32).to_string();
            let end = (200 - random.random_range(0..400i32)).to_string();
            let words: &[&[u8]] = match random.random_range(0..12) {
                0..4 => &[b"RPUSH", b"l", &value, b"and", &value],
                4..6 => &[b"LPUSH", b"l", &value, b"and", &value],
                6 => &[b"LSET", b"l", index.as_bytes(), &value],
                7 => &[b"RPOP", b"l", b"2"],
                8 => &[b"LREM", b"l", b"-1", b"and"],
                9 => &[b"LPOP", b"l", b"3"],
                10 => &[b"LRANGE", b"l", index.as_bytes(), end.as_bytes()],
                _ => &[b"LMOVE", b"l", b"l", b"LEFT", b"RIGHT"],
            };
            same(&mut servers, words, &what);
            if round % 3 == 0 {
                // What is compressed in memory is told by payloads that are not compressed otherwise.
                let compress: &[u8] = if round % 2 == 0 { b"yes" } else { b"no" };
                same(&mut servers, &[b"CONFIG", b"SET", b"rdbcompression", compress], &what);
                same(&mut servers, &[b"DUMP", b"l"], &what);
            }
        }
    }
}

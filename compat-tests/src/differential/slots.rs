//! What stands for a slot of a description: keys from a small set, so that commands meet; numbers
//! around the limits; texts of all lengths at which a server changes its mind.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the slots of a family draw from.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    /// Keys of the family's own type.
    own_keys: Vec<Vec<u8>>,
    /// Keys of all types.
    all_keys: Vec<Vec<u8>>,
    now_s: i64,
}

/// Beginnings of the keys of each type: `s0`, `h3`.
const KEY_PREFIXES: &[&str] = &["s", "h", "l", "t", "z", "x", "b", "p", "g"];
const KEYS_PER_PREFIX: usize = 5;

impl Slots {
    /// The slots of the family whose keys begin with `prefix`.
    pub(super) fn new(prefix: &str) -> Slots {
        let keys = |prefix: &str| -> Vec<Vec<u8>> {
            (0..KEYS_PER_PREFIX).map(|i| format!("{prefix}{i}").into_bytes()).collect()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Slots {
            own_keys: keys(prefix),
            all_keys: KEY_PREFIXES.iter().flat_map(|prefix| keys(prefix)).collect(),
            now_s: now.as_secs() as i64,
        }
    }

    fn key(&self, random: &mut StdRng) -> Vec<u8> {
        match random.random_range(0..50) {
            0 => Vec::new(),
            1 => b"{tag}\r\n\x00\xff".to_vec(),
            2..=6 => pick(&self.all_keys, random).clone(),
            _ => pick(&self.own_keys, random).clone(),
        }
    }
}

fn pick<'a, T>(from: &'a [T], random: &mut StdRng) -> &'a T {
    from.choose(random).expect("slots draw from something")
}

fn one_of(from: &[&str], random: &mut StdRng) -> Vec<u8> {
    pick(from, random).as_bytes().to_vec()
}

/// Integers, and what looks like one.
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "10",
    "-10",
    "100",
    "127",
    "128",
    "255",
    "256",
    "32767",
    "32768",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-0",
    "+1",
    "01",
    " 1",
    "1 ",
    "1.0",
    "1e3",
    "0x10",
    "",
    "-",
    "abc",
    "１",
];

/// Floating-point numbers, and what looks like one.
const FLOATS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "-0.3",
    "1.5",
    "3.14159265358979",
    "100.25",
    "1e3",
    "1E-3",
    "5e-324",
    "1e-5",
    "1.7e308",
    "-1.7e308",
    "1e400",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "Infinity",
    "123456789012345678",
    "0.1234567890123456789",
    "1e17",
    "1e21",
    "9007199254740993",
    "0x1p3",
    "0x10",
    " 1",
    "1 ",
    "1.2.3",
    "",
    "abc",
    ".5",
    "5.",
    "+2",
];

fn integer(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..3) {
        0 => one_of(INTEGERS, random),
        1 => random.random_range(-20..=20).to_string().into_bytes(),
        _ => random.random_range(-100_000..=100_000).to_string().into_bytes(),
    }
}

fn float(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..3) {
        0 => one_of(FLOATS, random),
        1 => format!("{:.2}", random.random_range(-50.0..50.0)).into_bytes(),
        _ => random.random_range(-9..=9).to_string().into_bytes(),
    }
}

/// Lengths around which encodings change.
const LENGTHS: &[usize] = &[0, 1, 2, 5, 20, 43, 44, 45, 63, 64, 65, 127, 128, 192, 255, 256, 4096];

fn value(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..10) {
        0..=2 => integer(random),
        3 => float(random),
        4 => {
            let len = *pick(LENGTHS, random);
            vec![b'a' + random.random_range(0..3); len]
        }
        5 => {
            let len = random.random_range(0..40);
            (0..len).map(|_| random.random::<u8>()).collect()
        }
        _ => element(random),
    }
}

/// A word from a small set, so that elements meet.
fn element(random: &mut StdRng) -> Vec<u8> {
    const ELEMENTS: &[&str] =
        &["a", "b", "c", "d", "hello", "Hello world", "1", "2", "3", "10", "", "foo bar"];
    one_of(ELEMENTS, random)
}

fn pattern(random: &mut StdRng) -> Vec<u8> {
    const PATTERNS: &[&str] = &[
        "*", "?", "s*", "*1", "s?", "s[0-2]", "s[^0-2]", "[sh]*", "h\\*", "*a*", "", "s0", "**",
        "[", "\\", "s[2-0]",
    ];
    one_of(PATTERNS, random)
}

/// A time to live, in units of which `per_second` make a second. Never so short that it would end
/// during the test, unless it has ended before it begins.
fn time_to_live(per_second: i64, random: &mut StdRng) -> Vec<u8> {
    if random.random_bool(0.15) {
        const ODD: &[&str] = &[
            "0",
            "-1",
            "-1000",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775",
            "9223372036854775808",
            "abc",
            "",
            "1.5",
        ];
        return one_of(ODD, random);
    }
    (random.random_range(1000..1_000_000) * per_second).to_string().into_bytes()
}

fn unix_time(per_second: i64, slots: &Slots, random: &mut StdRng) -> Vec<u8> {
    if random.random_bool(0.1) {
        return time_to_live(per_second, random);
    }
    ((slots.now_s + random.random_range(1000..1_000_000)) * per_second).to_string().into_bytes()
}

/// Positions in strings: small ones of both signs, and a few that no string reaches.
fn position(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..20) {
        0 => one_of(INTEGERS_NOT_IN_A_STRING, random),
        1 => random.random_range(0..5000).to_string().into_bytes(),
        _ => random.random_range(-12..=12).to_string().into_bytes(),
    }
}

/// None of these makes a server allocate much.
const INTEGERS_NOT_IN_A_STRING: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "4294967296",
    "536870912",
    "abc",
    "",
    "1.5",
];

const LEXICAL_BOUNDS: &[&str] =
    &["-", "+", "[a", "(a", "[b", "(c", "[", "(", "[hello", "(3", "[\u{7f}", "a", "", "-1"];

/// Degrees, so many that two places are never equally far from a third.
fn coordinate(limit: f64, random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..30) {
        0 => one_of(&["180.1", "-181", "abc", "inf", ""], random),
        _ => format!("{:.6}", random.random_range(-limit..limit)).into_bytes(),
    }
}

/// The ID of an entry to be, mostly one that its stream can still take.
fn new_id(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..100) {
        0..=94 => b"7-*".to_vec(),
        95 => b"8-*".to_vec(),
        96 => one_of(&["0-0", "0-*", "-1", "abc", "7", "8-", "1-1-1", ""], random),
        _ => stream_id(random),
    }
}

/// The ID of an entry, mostly one that there may be.
fn stream_id(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..40) {
        0 => one_of(&["0", "abc", "-", "18446744073709551615-18446744073709551615", "7-"], random),
        1 => one_of(&["0-0", "7", "8", "8-0", "18446744073709551616-0"], random),
        _ => format!("7-{}", random.random_range(0..30)).into_bytes(),
    }
}

/// Appends what stands for the slot `name`.
///
/// # Panics
/// If there is no such slot: the tables are part of the program.
pub(super) fn fill(name: &str, slots: &Slots, random: &mut StdRng, words: &mut Vec<Vec<u8>>) {
    match name {
        // Many words that are all different: pairs, numbers first.
        "crowd" => {
            let start: i64 = random.random_range(-50..50) * 20;
            let len = *pick(&[10, 64, 65, 128, 129, 256, 257, 300, 513], random);
            words.extend((start..start + 2 * len).map(|number| number.to_string().into_bytes()));
        }
        "noise" => {
            words.extend((0..1000).map(|_| random.random::<u64>().to_string().into_bytes()));
        }
        "ids" => counted(words, random, stream_id),
        "fields" => counted(words, random, element),
        "numkeys" => counted(words, random, |random| slots.key(random)),
        _ => {
            let word = general(name, slots, random).or_else(|| special(name, random));
            words.push(word.unwrap_or_else(|| panic!("no slot is called {name}")));
        }
    }
}

/// Appends a number and so many words, mostly.
fn counted(
    words: &mut Vec<Vec<u8>>,
    random: &mut StdRng,
    mut word: impl FnMut(&mut StdRng) -> Vec<u8>,
) {
    let count = random.random_range(1..=3);
    let said = if random.random_bool(0.9) { count } else { 7 };
    words.push(said.to_string().into_bytes());
    words.extend((0..count).map(|_| word(random)));
}

/// Slots that families share.
fn general(name: &str, slots: &Slots, random: &mut StdRng) -> Option<Vec<u8>> {
    Some(match name {
        "key" => slots.key(random),
        "anykey" => pick(&slots.all_keys, random).clone(),
        "value" => value(random),
        "element" => element(random),
        "int" => integer(random),
        "float" => float(random),
        "count" => one_of(&["0", "1", "2", "5", "10", "-1", "-3", "1000", "abc"], random),
        "scorebound" => match random.random_range(0..6) {
            0 => one_of(&["-inf", "+inf", "(-inf", "", "(", "x", "(1.5", "(2"], random),
            1 => [b"(", &float(random)[..]].concat(),
            _ => float(random),
        },
        "pattern" => pattern(random),
        "position" => position(random),
        // The reference cuts a larger one to 32 bits, and changes the wrong element.
        "index" => random.random_range(-12..=12).to_string().into_bytes(),
        "seconds" => time_to_live(1, random),
        "milliseconds" => time_to_live(1000, random),
        "unixseconds" => unix_time(1, slots, random),
        "unixmilliseconds" => unix_time(1000, slots, random),
        "bit" => one_of(&["0", "1", "0", "1", "0", "1", "2", "-1", "abc"], random),
        "bitoffset" => match random.random_range(0..20) {
            0 => one_of(&["4294967296", "-1", "abc", "9223372036854775807", ""], random),
            _ => random.random_range(0..300).to_string().into_bytes(),
        },
        "db" => one_of(&["0", "0", "0", "1", "2", "3", "16", "-1", "abc"], random),
        "type" => {
            one_of(&["string", "hash", "list", "set", "zset", "stream", "STRING", "nosuch"], random)
        }
        _ => return None,
    })
}

/// Slots of one family.
fn special(name: &str, random: &mut StdRng) -> Option<Vec<u8>> {
    Some(match name {
        "lexkey" => one_of(&["y0", "y1", "y2"], random),
        "sortkey" => one_of(&["w0", "w1", "w2"], random),
        "hllkey" => one_of(&["q0", "q1", "q2"], random),
        "vectorkey" => one_of(&["v0", "v1", "v2"], random),
        "lexbound" => one_of(LEXICAL_BOUNDS, random),
        "bittype" => one_of(
            &["u8", "i8", "u1", "i5", "i64", "u63", "u32", "i1", "u64", "i65", "u0", "x"],
            random,
        ),
        "fieldoffset" => match random.random_range(0..20) {
            0 => one_of(&["-1", "#-1", "abc", "", "9223372036854775807", "#"], random),
            1..=5 => format!("#{}", random.random_range(0..10)).into_bytes(),
            _ => random.random_range(0..300).to_string().into_bytes(),
        },
        "longitude" => coordinate(180.0, random),
        "latitude" => coordinate(85.0, random),
        "radius" => match random.random_range(0..20) {
            0 => one_of(&["0", "-1", "abc", "nan", ""], random),
            _ => format!("{:.1}", random.random_range(0.0..20_000.0)).into_bytes(),
        },
        "component" => match random.random_range(0..40) {
            0 => one_of(&["abc", "", "nan"], random),
            _ => format!("{:.3}", random.random_range(-2.0..2.0)).into_bytes(),
        },
        // Not empty: of new elements, the reference keeps such attributes for a while.
        "json" => one_of(&["{\"a\":2}", "{\"b\":[1]}", "x"], random),
        "attributes" => one_of(&["{\"a\":1}", "{\"b\":\"x\"}", "", "[1,2]"], random),
        "group" => one_of(&["g1", "g2"], random),
        "consumer" => one_of(&["c1", "c2", "c3"], random),
        "newid" => new_id(random),
        "streamid" => stream_id(random),
        "groupid" => match random.random_range(0..2) {
            0 => b"$".to_vec(),
            _ => stream_id(random),
        },
        "rangeid" => match random.random_range(0..8) {
            0..=2 => b"-".to_vec(),
            3..=5 => b"+".to_vec(),
            6 => [b"(", &stream_id(random)[..]].concat(),
            _ => stream_id(random),
        },
        _ => return None,
    })
}

//! Access control lists on both servers: the categories of all commands, and random rules.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, show};
use crabcache_resp::{Protocol, Value};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;

/// Both servers with a connection each, the reference first.
struct Both {
    _servers: [Server; 2],
    connections: [Connection; 2],
}

impl Both {
    fn start() -> Both {
        let servers =
            [Which::Reference, Which::CrabCache].map(|which| Server::start(which, &[]).unwrap());
        let connections =
            [0, 1].map(|index: usize| servers[index].connect(Protocol::Resp2).unwrap());
        Both { _servers: servers, connections }
    }

    fn call(&mut self, words: &[&str]) -> [Vec<u8>; 2] {
        [0, 1].map(|index: usize| match self.connections[index].call(words).unwrap() {
            compat_tests::wire::Received::Reply(reply) => reply,
            other => panic!("{words:?}: {}", other.show()),
        })
    }

    fn texts(&mut self, words: &[&str]) -> [BTreeSet<String>; 2] {
        self.call(words).map(|reply| {
            let Ok(Some((Value::Array(items), _))) = Value::decode(&reply, Protocol::Resp2) else {
                panic!("{words:?}: {}", show(&reply));
            };
            let text = |item: Value| match item {
                Value::Bulk(bytes) => String::from_utf8(bytes).unwrap(),
                other => panic!("{other:?}"),
            };
            items.into_iter().map(text).collect()
        })
    }
}

#[test]
fn commands_have_the_categories_of_the_reference() {
    let mut both = Both::start();
    let [categories, ours] = both.texts(&["ACL", "CAT"]);
    assert_eq!(ours, categories);
    let found: Vec<_> = categories
        .iter()
        .map(|category| (category, both.texts(&["ACL", "CAT", category])))
        .collect();
    let all = |side: usize| -> BTreeSet<String> {
        found.iter().flat_map(|(_, lists)| lists[side].clone()).collect()
    };
    let shared: BTreeSet<String> = all(0).intersection(&all(1)).cloned().collect();
    assert!(shared.len() > 200);
    for (category, lists) in found {
        let [expected, ours] = lists.map(|list| &list & &shared);
        assert_eq!(ours, expected, "{category}");
    }
}

const WORDS: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    ">pw",
    "<pw",
    ">other",
    "<other",
    "allkeys",
    "resetkeys",
    "~a*",
    "~b?",
    "%R~r*",
    "%W~w*",
    "%RW~x",
    "%R~a*",
    "~*",
    "%W~*",
    "%r~c[ab]",
    "%~z",
    "allchannels",
    "resetchannels",
    "&ch*",
    "&*",
    "allcommands",
    "nocommands",
    "+@all",
    "-@all",
    "clearselectors",
    "reset",
    "(+get ~s*)",
    "(+@write %W~sel ~a)",
    "(-@all +@read allkeys)",
    "(~k",
    "(+nosuch)",
    "(+set allkeys -@all +mget)",
    "skip-sanitize-payload",
    "sanitize-payload",
    "+select|1",
    "+select|2",
    "-select|1",
    "+config|get",
    "-config|get",
    "+config",
    "-config",
    "+config|nosuch",
    "+config|get|x",
    "+client|id",
    "-client|id",
    "-client",
    "+client",
    "+set|a",
    "+object|encoding",
    "nosuchrule",
    "",
    "+memory|usage",
    "-memory",
    "+xgroup|create",
    "-xgroup",
    "+slowlog|get",
];

/// Requests of every kind of key specification.
const REQUESTS: &[&str] = &[
    "GET a1",
    "GET r1",
    "GET w1",
    "SET a b",
    "SET w1 v",
    "SET w1 v GET",
    "SET r1 v GET",
    "SET sel v",
    "MGET a1 r1 b1",
    "MSET a1 1 w1 2",
    "DEL w1",
    "EXISTS r1 w1",
    "STRLEN w1",
    "TYPE ca",
    "RENAME a r1",
    "RENAME r1 w1",
    "COPY r1 w1",
    "COPY w1 r1",
    "LMOVE a1 w1 LEFT LEFT",
    "BLPOP a1 w1 0",
    "LMPOP 2 a1 x LEFT",
    "SMOVE a1 w1 m",
    "SINTERSTORE w1 r1 ca",
    "SINTERCARD 2 r1 a1",
    "ZUNIONSTORE w1 2 r1 a1",
    "ZUNIONSTORE w1 3 r1 a1",
    "ZRANGESTORE w1 r1 0 -1",
    "ZMPOP 1 a1 MIN",
    "XREAD COUNT 1 STREAMS r1 a1 0 0",
    "XREADGROUP GROUP g c STREAMS a1 >",
    "XGROUP CREATE w1 g 0",
    "XADD w1 * f v",
    "GEORADIUS r1 0 0 1 m STORE w1",
    "GEOSEARCHSTORE w1 r1 FROMLONLAT 0 0 BYRADIUS 1 m",
    "BITOP AND w1 r1 a1",
    "BITFIELD r1 GET u8 0",
    "BITFIELD w1 SET u8 0 1",
    "PFCOUNT r1 w1",
    "PFMERGE w1 r1",
    "SORT r1",
    "SORT r1 STORE w1",
    "SORT a1 BY x* STORE b1",
    "SORT_RO r1 BY x*",
    "OBJECT ENCODING r1",
    "MEMORY USAGE w1",
    "HGETDEL a1 FIELDS 1 f",
    "HSETEX w1 FIELDS 1 f v",
    "GETEX r1",
    "GETEX a1 EX 1",
    "GETDEL w1",
    "INCR w1",
    "APPEND w1 x",
    "LCS r1 a1",
    "PING",
    "SELECT 1",
    "SELECT 2",
    "SELECT 3",
    "CONFIG GET x",
    "CONFIG SET x y",
    "CONFIG",
    "CLIENT ID",
    "CLIENT LIST",
    "FLUSHALL",
    "KEYS *",
    "SCAN 0",
    "AUTH x",
    "HELLO",
    "MULTI",
    "EXEC",
    "INFO",
    "DEBUG SLEEP 0",
    "WATCH a b",
    "SLOWLOG GET",
    "SLOWLOG LEN",
    "DUMP r1",
    "RESTORE w1 0 x",
    "NOSUCH",
    "GET",
    "CONFIG NOSUCH",
];

/// A rule: one of the words above, or about any command or category.
fn rule(rng: &mut StdRng, commands: &[String], categories: &[String]) -> String {
    let sign = if rng.random_bool(0.6) { '+' } else { '-' };
    match rng.random_range(0..10) {
        0..6 => (*WORDS.choose(rng).unwrap()).to_string(),
        6..8 => format!("{sign}{}", commands.choose(rng).unwrap()),
        _ => format!("{sign}@{}", categories.choose(rng).unwrap()),
    }
}

/// What has bits for commands that CrabCache lacks is described alike all the same: rules are kept.
#[test]
fn random_rules_mean_the_same() {
    const N_USERS: usize = 400;
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(8);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut both = Both::start();
    let [categories, _] = both.texts(&["ACL", "CAT"]);
    let categories: Vec<String> = categories.into_iter().collect();
    let mut commands = BTreeSet::new();
    for category in &categories {
        let [reference, ours] = both.texts(&["ACL", "CAT", category]);
        commands.extend(reference.intersection(&ours).cloned());
    }
    let commands: Vec<String> = commands.into_iter().collect();
    for user in 0..N_USERS {
        let name = format!("user{user}");
        let mut history = Vec::new();
        for _ in 0..rng.random_range(1..12) {
            let n_rules = rng.random_range(0..4);
            let rules: Vec<String> =
                (0..n_rules).map(|_| rule(&mut rng, &commands, &categories)).collect();
            let mut words = vec!["ACL", "SETUSER", &name];
            words.extend(rules.iter().map(String::as_str));
            history.push(words.join(" "));
            let [expected, ours] = both.call(&words);
            assert_eq!(show(&ours), show(&expected), "{history:#?}");
        }
        let [expected, ours] = both.call(&["ACL", "GETUSER", &name]);
        assert_eq!(show(&ours), show(&expected), "{history:#?}");
        for _ in 0..40 {
            let request = REQUESTS.choose(&mut rng).unwrap();
            let mut words = vec!["ACL", "DRYRUN", &name];
            words.extend(request.split(' '));
            let [expected, ours] = both.call(&words);
            assert_eq!(show(&ours), show(&expected), "{request} after {history:#?}");
        }
    }
    let [expected, ours] = both.call(&["ACL", "LIST"]);
    assert_eq!(show(&ours), show(&expected));
}

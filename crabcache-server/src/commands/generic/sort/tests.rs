//! SORT in process: what it reads, what it stores, what it tells.

use super::*;
use crate::command::args::OwnedArgs;
use crate::testing::TestServer;

fn with_sets() -> TestServer {
    let mut t = TestServer::new();
    t.check_all(&[
        ("SADD s 3 1 20 10", ":4"),
        ("SADD w b a D c", ":4"),
        ("MSET w_1 5 w_3 -1.5 w_10 5 x_1 one x_3 three", "+OK"),
    ]);
    t.events();
    t.propagated();
    t
}

#[test]
fn elements_are_sorted() {
    let mut t = with_sets();
    t.check_all(&[
        ("SORT s", "[\"1\", \"3\", \"10\", \"20\"]"),
        ("SORT s DESC", "[\"20\", \"10\", \"3\", \"1\"]"),
        ("SORT s ALPHA", "[\"1\", \"10\", \"20\", \"3\"]"),
        ("SORT s LIMIT 1 2", "[\"3\", \"10\"]"),
        ("SORT s LIMIT -5 2", "[\"1\", \"3\"]"),
        ("SORT s LIMIT 2 -1", "[\"10\", \"20\"]"),
        ("SORT s LIMIT 7 2", "[]"),
        ("SORT s LIMIT 1 9223372036854775807", "[\"3\", \"10\", \"20\"]"),
        ("SORT_RO w ALPHA desc", "[\"c\", \"b\", \"a\", \"D\"]"),
        ("SORT w", "-ERR One or more scores can't be converted into double"),
        ("SORT missing", "[]"),
        ("SORT missing BY x* GET y*", "[]"),
    ]);
    assert!(t.events().is_empty() && t.propagated().is_empty());
}

#[test]
fn other_keys_are_looked_up() {
    let mut t = with_sets();
    t.check_all(&[
        ("SORT s BY w_*", "[\"3\", \"20\", \"1\", \"10\"]"),
        ("SORT s BY w_* DESC", "[\"10\", \"1\", \"20\", \"3\"]"),
        ("SORT s BY nosuch*->field", "[\"1\", \"10\", \"20\", \"3\"]"),
        ("SORT_RO s BY w_* GET x_* GET # LIMIT 0 2", "[\"three\", \"3\", nil, \"20\"]"),
        ("SORT s BY x_* ALPHA LIMIT 2 2 GET x_* GET constant", "[\"one\", nil, \"three\", nil]"),
        ("SORT s BY x_*", "-ERR One or more scores can't be converted into double"),
        ("SORT s BY nosort", "[\"1\", \"3\", \"10\", \"20\"]"),
    ]);
    t.check_all(&[("MULTI", "+OK"), ("SORT s GET w_*", "+QUEUED"), ("PING", "+QUEUED")]);
    t.check("EXEC", "[[\"5\", \"-1.5\", \"5\", nil], +PONG]");
}

#[test]
fn results_are_stored() {
    let mut t = with_sets();
    t.check_all(&[
        ("SORT s STORE l", ":4"),
        ("TYPE l", "+list"),
        ("SORT l BY nosort DESC LIMIT 0 2", "[\"20\", \"10\"]"),
        ("SORT l BY nosort", "[\"1\", \"3\", \"10\", \"20\"]"),
        ("SORT s BY w_* GET x_* STORE l", ":4"),
        ("SORT l BY nosort", "[\"three\", \"\", \"one\", \"\"]"),
        ("SORT w BY nosort STORE w", ":4"),
        ("SORT w BY nosort", "[\"D\", \"a\", \"b\", \"c\"]"),
        ("SORT missing STORE l", ":0"),
        ("EXISTS l", ":0"),
        ("SORT missing STORE l", ":0"),
        ("SORT w STORE l", "-ERR One or more scores can't be converted into double"),
    ]);
    assert_eq!(t.events(), ["sortstore l", "sortstore l", "sortstore w", "del l"]);
    assert_eq!(t.propagated().len(), 4);
    assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 4 + 4 + 5 + 4 + 4 + 4 + 1);
}

#[test]
fn errors() {
    let mut t = with_sets();
    let syntax = "-ERR syntax error";
    t.check_all(&[
        ("SORT s FOO", syntax),
        ("SORT s LIMIT 1", syntax),
        ("SORT s LIMIT a b", "-ERR value is not an integer or out of range"),
        ("SORT s BY", syntax),
        ("SORT s GET", syntax),
        ("SORT s STORE", syntax),
        ("SORT_RO s STORE l", syntax),
        ("SORT w_1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("SORT w_1 FOO", syntax),
        ("SORT", "-ERR wrong number of arguments for 'sort' command"),
    ]);
}

#[test]
fn requests_tell_which_keys_they_need() {
    let cases: &[(&str, &[usize], bool)] = &[
        ("SORT k", &[1], false),
        ("SORT k BY w GET #", &[1], false),
        ("SORT k BY w_* STORE a STORE b", &[1, 7], true),
        ("SORT k GET STORE STORE c", &[1, 5], false),
        ("SORT k get x*->y", &[1], true),
        ("SORT k LIMIT STORE STORE STORE d", &[1, 6], false),
        ("SORT k STORE", &[1], false),
    ];
    for (line, keys, needs_all) in cases {
        let owned = OwnedArgs::new(line.split(' ').map(str::as_bytes));
        let found: Vec<usize> = sort_keys(owned.as_args()).iter().map(|key| key.0).collect();
        assert_eq!((&found[..], looks_keys_up(owned.as_args())), (*keys, *needs_all), "{line}");
    }
}

#[test]
fn scores_are_read_as_the_reference_does() {
    let good = [("", 0.0), ("1", 1.0), ("-.5e1", -5.0), ("5.", 5.0), ("+inf", f64::INFINITY)];
    for (text, score) in good {
        assert_eq!(score_of(text.as_bytes()), Some(score), "{text}");
    }
    for text in ["++1", "+", " 1", "1 ", "nan", "a", "1e", "-", "0x10", "\u{663}"] {
        assert_eq!(score_of(text.as_bytes()), None, "{text}");
    }
    assert_eq!(score_of(b"7\0x"), Some(7.0));
}

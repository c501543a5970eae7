//! Tests of the commands that do not wait.

use crate::testing::TestServer;

const WRONG: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn elements_come_and_go_at_both_ends() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("RPUSH l a 1 b", ":3"),
        ("LPUSH l x y", ":5"),
        ("LRANGE l 0 -1", "[\"y\", \"x\", \"a\", \"1\", \"b\"]"),
        ("LPUSHX no a", ":0"),
        ("RPUSHX l z", ":6"),
        ("LPOP l", "\"y\""),
        ("RPOP l 2", "[\"z\", \"b\"]"),
        ("LPOP l 0", "[]"),
        ("LPOP no", "nil"),
        ("LPOP no 0", "nil"),
        ("LPOP no 2", "nil"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPOP l a", "-ERR value is out of range, must be positive"),
        ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
        ("LPOP l 9223372036854775807", "[\"x\", \"a\", \"1\"]"),
        ("EXISTS l", ":0"),
        ("SET s v", "+OK"),
    ]);
    for line in ["LPUSH s a", "RPUSHX s a", "LPOP s", "RPOP s 0", "LLEN s", "LMPOP 2 no s LEFT"] {
        t.check(line, WRONG);
    }
    assert_eq!(
        t.events(),
        [
            "rpush l",
            "lpush l",
            "keymiss no",
            "rpush l",
            "lpop l",
            "rpop l",
            "keymiss no",
            "lpop l",
            "del l",
            "set s"
        ]
        .into_iter()
        .filter(|event| !event.starts_with("keymiss"))
        .collect::<Vec<_>>()
    );
    assert_eq!(t.server.stats.workers[0].dirty.get(), 3 + 2 + 1 + 1 + 2 + 3 + 1);
}

#[test]
fn elements_are_found() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("RPUSH l a b c 1 2 3 c c", ":8"),
        ("LLEN l", ":8"),
        ("LINDEX l 3", "\"1\""),
        ("LINDEX l -8", "\"a\""),
        ("LINDEX l -9", "nil"),
        ("LINDEX no a", "nil"),
        ("LINDEX l a", "-ERR value is not an integer or out of range"),
        ("LRANGE l -2 100", "[\"c\", \"c\"]"),
        ("LRANGE l 5 4", "[]"),
        ("LRANGE l -9223372036854775808 9223372036854775807", "[\"a\", \"b\", \"c\", \"1\", \"2\", \"3\", \"c\", \"c\"]"),
        ("LPOS l c", ":2"),
        ("LPOS l c RANK 2", ":6"),
        ("LPOS l c RANK -1 COUNT 2", "[:7, :6]"),
        ("LPOS l c COUNT 0 MAXLEN 7", "[:2, :6]"),
        ("LPOS l 1", ":3"),
        ("LPOS l 01", "nil"),
        ("LPOS no c COUNT 1", "[]"),
        ("LPOS l c RANK 0", "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"),
        ("LPOS l c RANK -9223372036854775808", "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"),
        ("LPOS l c RANK 9223372036854775807", "nil"),
        ("LPOS l c COUNT -1", "-ERR COUNT can't be negative"),
        ("LPOS l c MAXLEN a", "-ERR MAXLEN can't be negative"),
        ("LPOS l c MAXLEN", "-ERR syntax error"),
        ("LPOS l c FOO 1", "-ERR syntax error"),
    ]);
}

#[test]
fn the_middle_is_changed() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("RPUSH l a b c b", ":4"),
        ("LINSERT l before b x", ":5"),
        ("LINSERT l AFTER b y", ":6"),
        ("LINSERT l after no y", ":-1"),
        ("LINSERT no after b y", ":0"),
        ("LINSERT l at b y", "-ERR syntax error"),
        ("LRANGE l 0 -1", "[\"a\", \"x\", \"b\", \"y\", \"c\", \"b\"]"),
        ("LSET l -1 z", "+OK"),
        ("LSET l 6 z", "-ERR index out of range"),
        ("LSET no 0 z", "-ERR no such key"),
        ("LSET l a z", "-ERR value is not an integer or out of range"),
        ("LREM l 0 no", ":0"),
        ("LREM l -1 z", ":1"),
        ("LREM l -9223372036854775808 z", "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"),
        ("LTRIM l 0 -1", "+OK"),
        ("LTRIM l 1 -2", "+OK"),
        ("LTRIM no 1 -2", "+OK"),
        ("LRANGE l 0 -1", "[\"x\", \"b\", \"y\"]"),
        ("LTRIM l 5 10", "+OK"),
        ("EXISTS l", ":0"),
    ]);
    let events = t.events();
    assert_eq!(
        events,
        [
            "rpush l",
            "linsert l",
            "linsert l",
            "lset l",
            "lrem l",
            "ltrim l",
            "ltrim l",
            "ltrim l",
            "del l"
        ]
    );
    assert_eq!(t.propagated().len(), 7, "a trim of nothing is not replicated");
}

#[test]
fn elements_move_between_lists() {
    let mut t = TestServer::new();
    t.check_all(&[("RPUSH a 1 2 3", ":3"), ("SET s v", "+OK")]);
    t.events();
    t.check_all(&[
        ("RPOPLPUSH a b", "\"3\""),
        ("LMOVE a b left right", "\"1\""),
        ("LMOVE b b left right", "\"3\""),
        ("LRANGE b 0 -1", "[\"1\", \"3\"]"),
        ("LMOVE no s left right", "nil"),
        ("LMOVE a s left right", WRONG),
        ("LMOVE s a left right", WRONG),
        ("LMOVE a b up right", "-ERR syntax error"),
        ("RPOPLPUSH a a", "\"2\""),
        ("RPOPLPUSH a b", "\"2\""),
        ("EXISTS a", ":0"),
    ]);
    assert_eq!(
        t.events(),
        [
            "lpush b", "rpop a", "rpush b", "lpop a", "rpush b", "lpop b", "lpush a", "rpop a",
            "lpush b", "rpop a", "del a"
        ]
    );
}

#[test]
fn lmpop_takes_from_the_first_list() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("RPUSH b 1 2 3", ":3"),
        ("LMPOP 2 a b LEFT", "[\"b\", [\"1\"]]"),
        ("LMPOP 2 a b right COUNT 10", "[\"b\", [\"3\", \"2\"]]"),
        ("LMPOP 2 a b right", "nil"),
        ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP a a LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP 9223372036854775807 a LEFT", "-ERR syntax error"),
        ("LMPOP 2 a LEFT", "-ERR syntax error"),
        ("LMPOP 1 a UP", "-ERR syntax error"),
        ("LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0"),
        ("LMPOP 1 a LEFT COUNT", "-ERR syntax error"),
        ("LMPOP 1 a LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
    ]);
    assert_eq!(t.propagated(), ["RPUSH b 1 2 3", "LPOP b 1", "RPOP b 2"]);
}

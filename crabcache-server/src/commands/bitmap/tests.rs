//! The bitmap group in process: replies, events, what is replicated.

use crate::testing::TestServer;

#[test]
fn setbit_grows_and_tells_of_changes_alone() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("SETBIT k 7 1", ":0"),
        ("SETBIT k 7 1", ":1"),
        ("GET k", "\"\\x01\""),
        ("SETBIT k 20 0", ":0"),
        ("STRLEN k", ":3"),
        ("SETBIT k 20 0", ":0"),
        ("GETBIT k 7", ":1"),
        ("GETBIT k 1000", ":0"),
        ("SETBIT k 4294967296 1", "-ERR bit offset is not an integer or out of range"),
        ("SETBIT k 0 2", "-ERR bit is not an integer or out of range"),
    ]);
    assert_eq!(t.events(), ["setbit k", "setbit k"]);
    assert_eq!(t.propagated(), ["SETBIT k 7 1", "SETBIT k 20 0"]);
}

#[test]
fn bitcount_and_bitpos_take_ranges() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("SET k foobar", "+OK"),
        ("BITCOUNT k", ":26"),
        ("BITCOUNT k 1 1", ":6"),
        ("BITCOUNT k 5 30 BIT", ":17"),
        ("BITCOUNT k 0", "-ERR syntax error"),
        ("SET k \"\\xff\\xf0\\x00\"", "+OK"),
        ("BITPOS k 0", ":12"),
        ("BITPOS k 1 2", ":-1"),
        ("BITPOS k 0 0 0", ":-1"),
        ("BITPOS k 1 7 15 BIT", ":7"),
        ("SET k \"\\xff\"", "+OK"),
        ("BITPOS k 0", ":8"),
        ("BITPOS k 0 0", ":8"),
        ("BITPOS k 0 0 -1", ":-1"),
        ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
    ]);
    assert!(t.propagated().len() == 3 && t.events().len() == 3);
}

#[test]
fn bitop_replaces_its_destination() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("MSET a \"\\x0f\" b \"\\xff\\xf0\"", "+OK"),
        ("SET d old EX 100", "+OK"),
        ("BITOP AND d a b", ":2"),
        ("GET d", "\"\\x0f\\x00\""),
        ("TTL d", ":-1"),
        ("BITOP AND d nosuch", ":0"),
        ("BITOP AND d nosuch", ":0"),
        ("EXISTS d", ":0"),
        ("BITOP NOT a a", ":1"),
        ("GET a", "\"\\xf0\""),
        ("BITOP DIFF d a", "-ERR BITOP DIFF must be called with at least two source keys."),
        ("BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key."),
    ]);
    assert_eq!(t.events()[2..], ["set d", "expire d", "set d", "del d", "set a"]);
    // Sources that have expired are empty.
    t.check_all(&[("SET d \"\\xff\" PX 10", "+OK"), ("SET a \"\\xf0\" PX 10", "+OK")]);
    t.advance_ms(20);
    t.check_all(&[("BITOP OR d a d b", ":2"), ("GET d", "\"\\xff\\xf0\""), ("TTL d", ":-1")]);
    assert_eq!(t.events()[4..], ["expired a", "expired d", "set d"]);
}

#[test]
fn bitfield_counts_its_changes() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("BITFIELD k SET u8 0 255 INCRBY u8 0 2 GET i8 0", "[:0, :1, :1]"),
        ("BITFIELD k OVERFLOW SAT INCRBY u8 0 300 OVERFLOW FAIL INCRBY u8 0 1", "[:255, nil]"),
        ("BITFIELD k OVERFLOW FAIL INCRBY u8 0 1", "[nil]"),
        ("BITFIELD k GET u8 0", "[:255]"),
        ("BITFIELD_RO k GET u8 #1 GET u4 0", "[:0, :15]"),
        ("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
    ]);
    assert_eq!(t.events(), ["setbit k", "setbit k"]);
    assert_eq!(t.propagated().len(), 2);
    // The string grows, although nothing is written.
    t.check("BITFIELD new OVERFLOW FAIL INCRBY u1 0 2", "[nil]");
    t.check("STRLEN new", ":1");
    assert!(t.events().iter().all(|event| event != "setbit new"));
    assert_eq!(t.propagated(), ["BITFIELD new OVERFLOW FAIL INCRBY u1 0 2"]);
}

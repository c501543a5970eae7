//! The hyperloglog group in process: replies, events, what is replicated.

use crate::testing::TestServer;

#[test]
fn pfadd_and_pfcount() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("PFADD k a b c d e f g", ":1"),
        ("PFADD k a b c", ":0"),
        ("PFCOUNT k", ":7"),
        ("PFCOUNT k", ":7"),
        ("PFCOUNT nosuch", ":0"),
        ("PFCOUNT k nosuch", ":7"),
        ("PFADD empty", ":1"),
        ("PFADD empty", ":0"),
        ("OBJECT ENCODING k", "\"raw\""),
        ("SET s abc", "+OK"),
        ("PFADD s a", "-WRONGTYPE Key is not a valid HyperLogLog string value."),
        ("PFCOUNT k s", "-WRONGTYPE Key is not a valid HyperLogLog string value."),
    ]);
    assert_eq!(t.events(), ["pfadd k", "pfadd empty", "set s"]);
    let propagated = ["PFADD k a b c d e f g", "PFCOUNT k", "PFADD empty", "SET s abc"];
    assert_eq!(t.propagated(), propagated);
}

#[test]
fn a_replica_stays_what_its_primary_is() {
    let mut t = TestServer::new();
    t.check("PFADD k a b c", ":1");
    let payload = t.dump("k");
    t.propagated();
    t.server.conditions.set_replica(true);
    t.check_all(&[
        ("PFCOUNT k", ":3"),
        ("EVAL \"return redis.call('pfcount', KEYS[1])\" 1 k", ":3"),
    ]);
    assert!(t.dump("k") == payload && t.propagated().is_empty());
    t.run("CONFIG SET replica-read-only no");
    t.check("PFCOUNT k", ":3");
    assert!(t.dump("k") != payload);
}

#[test]
fn pfmerge_makes_unions() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("PFADD a 1 2 3", ":1"),
        ("PFADD b 3 4 5", ":1"),
        ("PFMERGE d a b nosuch", "+OK"),
        ("PFCOUNT d", ":5"),
        ("PFDEBUG ENCODING d", "+sparse"),
        ("PFDEBUG TODENSE a", ":1"),
        ("PFDEBUG TODENSE a", ":0"),
        ("PFMERGE d a", "+OK"),
        ("PFDEBUG ENCODING d", "+dense"),
        ("PFCOUNT d", ":5"),
    ]);
    assert_eq!(t.events(), ["pfadd a", "pfadd b", "pfadd d", "pfadd d"]);
}

#[test]
fn corrupted_strings_stay_as_they_are() {
    let mut t = TestServer::new();
    let corrupted =
        "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x00\\x00\"";
    let error = "-INVALIDOBJ Corrupted HLL object detected";
    t.check(&format!("SET k {corrupted}"), "+OK");
    for command in ["PFADD k a b c", "PFCOUNT k", "PFCOUNT k k", "PFMERGE d k", "PFDEBUG GETREG k"]
    {
        t.check(command, error);
    }
    t.check("GET k", corrupted);
    t.check("EXISTS d", ":0");
    assert_eq!(t.events(), ["set k"]);
}

#[test]
fn pfdebug_shows_registers() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("PFDEBUG GETREG k", "-ERR The specified key does not exist"),
        ("PFADD k", ":1"),
        ("PFDEBUG DECODE k", "\"Z:16384\""),
        ("PFDEBUG FOO k", "-ERR Unknown PFDEBUG subcommand 'FOO'"),
        ("PFDEBUG SIMD maybe", "-ERR Argument must be ON or OFF"),
        ("PFDEBUG SIMD OFF", "+disabled"),
    ]);
    t.run("PFDEBUG SIMD ON");
    assert_eq!(t.run("PFDEBUG GETREG k").matches(":0").count(), 16384);
    t.check("PFDEBUG DECODE k", "-ERR HLL encoding is not sparse");
}

//! Tests of DEBUG, but for those that need the reference.

use crate::testing::TestServer;
use std::sync::atomic::Ordering;

const WRONG: &str = "-ERR unknown subcommand or wrong number of arguments for";

#[test]
fn forms_are_found_by_name_and_number_of_words() {
    let mut t = TestServer::new();
    for line in ["NOSUCH", "SLEEP", "SLEEP 1 2", "HELP x", "DIGEST k", "ERROR", "RESTART"] {
        let word = line.split(' ').next().unwrap();
        t.check(&format!("DEBUG {line}"), &format!("{WRONG} '{word}'. Try DEBUG HELP."));
    }
    t.check("DEBUG", "-ERR wrong number of arguments for 'debug' command");
    let help = t.run("DEBUG HELP");
    assert!(help.contains("+SLEEP <seconds>") && help.contains("+DIGEST, "), "{help}");
}

#[test]
fn it_must_be_allowed() {
    const NOT_ALLOWED: &str = "-ERR DEBUG command not allowed. If the enable-debug-command option";
    let mut t = TestServer::with_config(&[("enable-debug-command", "no")]);
    assert!(t.run("DEBUG SLEEP 0").starts_with(NOT_ALLOWED));
    assert!(t.run("DEBUG HELP").starts_with(NOT_ALLOWED));
    let mut t = TestServer::with_config(&[("enable-debug-command", "local")]);
    t.check("DEBUG SLEEP 0", "+OK");
}

#[test]
fn digests_are_those_of_the_reference() {
    let mut t = TestServer::new();
    let nothing = "0".repeat(40);
    t.check("DEBUG DIGEST", &format!("+{nothing}"));
    t.check_all(&[("SET k v", "+OK"), ("SET n 12", "+OK"), ("SET '' ''", "+OK")]);
    t.check_all(&[
        ("DEBUG DIGEST", "+3c6a77a0fca7b7836ffbb9f9b58bcd61afc76dee"),
        (
            "DEBUG DIGEST-VALUE k n '' missing",
            "[+d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f, \
             +655ac46b180ad2f61a3cee25f0b1780fa2ec879a, \
             +8b3447c33a834b810e3e181b6fd6a2ee1020921c, \
             +0000000000000000000000000000000000000000]",
        ),
        ("DEBUG DIGEST-VALUE", "[]"),
        ("EXPIRE k 100", ":1"),
        ("DEBUG DIGEST-VALUE k", "[+311b17018163335616e089f6b951c82c477335ac]"),
        ("SELECT 2", "+OK"),
        ("SET k v", "+OK"),
        ("DEBUG DIGEST", "+f85218b2390e0ec5eca11cd17f3835840869ce85"),
    ]);
}

#[test]
fn expired_keys_are_seen_and_stay() {
    let mut t = TestServer::new();
    t.check_all(&[("SET k v", "+OK"), ("PEXPIRE k 10", ":1")]);
    let before = (t.run("DEBUG DIGEST"), t.run("DEBUG DIGEST-VALUE k"));
    t.advance_ms(20);
    assert_eq!((t.run("DEBUG DIGEST"), t.run("DEBUG DIGEST-VALUE k")), before);
    assert!(t.run("DEBUG OBJECT k").starts_with("+Value at:0x"));
    t.check_all(&[("DBSIZE", ":1"), ("GET k", "nil"), ("DEBUG OBJECT k", "-ERR no such key")]);
}

#[test]
fn entries_are_described() {
    let mut t = TestServer::new();
    t.check_all(&[("SET k hello", "+OK"), ("SET n 12", "+OK")]);
    let text = t.run("DEBUG OBJECT k");
    assert!(text.contains(" refcount:1 encoding:embstr serializedlength:6 lru:"), "{text}");
    assert!(text.ends_with(" lru_seconds_idle:0"), "{text}");
    t.advance_ms(5000);
    assert!(t.run("DEBUG OBJECT k").ends_with(" lru_seconds_idle:5"));
    assert!(t.run("DEBUG OBJECT n").contains(" encoding:int serializedlength:2 "));
    t.check("DEBUG SDSLEN n", "-ERR Not an sds encoded string.");
    t.check("DEBUG SDSLEN missing", "-ERR no such key");
    t.check(
        "DEBUG SDSLEN k",
        "+key_sds_len:1, key_sds_avail:0, key_zmalloc: 16, val_sds_len:5, val_sds_avail:0, \
         val_zmalloc: 0",
    );
    t.check(&format!("SET l {}", "a".repeat(1000)), "+OK");
    t.check("APPEND l b", ":1001");
    let text = t.run("DEBUG SDSLEN l");
    assert!(text.contains("val_sds_len:1001, val_sds_avail:") && !text.contains("val_sds_avail:0"));
}

#[test]
fn tables_are_described() {
    let mut t = TestServer::new();
    let text = t.run("DEBUG HTSTATS 0 FULL");
    assert!(text.contains("number of elements: 0") && !text.contains("buckets of"), "{text}");
    t.check_all(&[("DEBUG POPULATE 1000", "+OK"), ("EXPIRE key:7 100", ":1")]);
    let text = t.run("DEBUG HTSTATS 0 full");
    assert!(
        text.contains("number of elements: 1000\\n") && text.contains("buckets of 1: "),
        "{text}"
    );
    assert!(text.ends_with("number of elements: 1\\n\""), "{text}");
    t.check("DEBUG HTSTATS 16", "-ERR Out of range database");
    t.check("DEBUG HTSTATS -1", "-ERR Out of range database");
    t.check("DEBUG HTSTATS x", "-ERR value is not an integer or out of range");
}

#[test]
fn populate_adds_what_is_not_there() {
    let mut t = TestServer::new();
    t.check_all(&[("SET key:1 old", "+OK"), ("WATCH key:0", "+OK"), ("DEBUG POPULATE 3", "+OK")]);
    t.check_all(&[("GET key:0", "\"value:0\""), ("GET key:1", "\"old\""), ("DBSIZE", ":3")]);
    t.check_all(&[("MULTI", "+OK"), ("EXEC", "nil")]);
    assert_eq!(
        (t.events(), t.propagated()),
        (vec!["set key:1".into()], vec!["SET key:1 old".into()])
    );
    t.check_all(&[
        ("DEBUG POPULATE 1 p 10", "+OK"),
        ("GET p:0", "\"value:0\\x00\\x00\\x00\""),
        ("DEBUG POPULATE 1 q 3", "+OK"),
        ("GET q:0", "\"val\""),
        ("DEBUG POPULATE -1", "-ERR value is out of range, must be positive"),
        ("DEBUG POPULATE x", "-ERR value is out of range, must be positive"),
        ("DEBUG POPULATE 1 r -1", "-ERR value is out of range, must be positive"),
        ("DEBUG POPULATE 9223372036854775807", "-ERR OOM in dictTryExpand"),
    ]);
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    t.check("DEBUG POPULATE 1 r 999999999999", too_long);
}

#[test]
fn replies_of_every_type() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("DEBUG PROTOCOL map", "[:0, :0, :1, :1, :2, :0]"),
        ("DEBUG PROTOCOL attrib", "\"Some real reply following the attribute\""),
        ("DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command"),
    ]);
    t.run("HELLO 3");
    t.check_all(&[
        ("DEBUG PROTOCOL double", ",3.141"),
        ("DEBUG PROTOCOL verbatim", "txt\"This is a verbatim\\nstring\""),
        ("DEBUG PROTOCOL FALSE", "#f"),
        ("DEBUG PROTOCOL null", "nil"),
    ]);
    assert!(t.run("DEBUG PROTOCOL x").starts_with("-ERR Wrong protocol type name."));
}

#[test]
fn switches() {
    let mut t = TestServer::new();
    t.check("DEBUG PAUSE-CRON 1", "+OK");
    assert!(t.server.is_cron_paused.load(Ordering::Relaxed));
    t.check("DEBUG PAUSE-CRON 0x", "+OK");
    assert!(!t.server.is_cron_paused.load(Ordering::Relaxed));
    t.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert!(!t.server.active_expire.is_enabled());
    let replid = t.server.replication.history.lock().replid.clone();
    t.check("DEBUG CHANGE-REPL-ID", "+OK");
    assert_ne!(t.server.replication.history.lock().replid, replid);
    t.check("DEBUG ERROR 'WRONG a b'", "-WRONG a b");
    t.check_all(&[("DEBUG LOG x", "+OK"), ("DEBUG SLEEP -1", "+OK"), ("DEBUG SLEEP x", "+OK")]);
    t.check("DEBUG SLEEP 0.001", "+OK");
}

#[test]
fn transactions_hold_it() {
    let mut t = TestServer::new();
    t.check_all(&[("MULTI", "+OK"), ("SET k v", "+QUEUED"), ("DEBUG OBJECT k", "+QUEUED")]);
    t.check("DEBUG SLEEP 0", "+QUEUED");
    let reply = t.run("EXEC");
    assert!(reply.starts_with("[+OK, +Value at:0x") && reply.ends_with(", +OK]"), "{reply}");
}

#[test]
fn reply_buffers_may_be_kept() {
    let mut t = TestServer::new();
    let keeps = |t: &TestServer| t.server.keeps_output_buffers.load(Ordering::Relaxed);
    t.check("DEBUG REPLYBUFFER RESIZING 0", "+OK");
    assert!(keeps(&t));
    t.check("DEBUG REPLYBUFFER resizing 1", "+OK");
    assert!(!keeps(&t));
    assert!(t.run("DEBUG REPLYBUFFER PEAK-RESET-TIME 100").starts_with("-ERR unknown subcommand"));
}

//! The vector-set group in process.

use crate::testing::TestServer;
use crabcache_resp::words::split_words;

/// A set of three elements, of which two have attributes.
fn with_set() -> TestServer {
    let mut t = TestServer::new();
    t.check_all(&[
        ("VADD v VALUES 3 1 0 0 a SETATTR '{\"n\":1}'", ":1"),
        ("VADD v VALUES 3 0 2 0 b", ":1"),
        ("VADD v VALUES 3 0 0 -3 c SETATTR '{\"n\":3}' EF 10 CAS", ":1"),
    ]);
    t
}

#[test]
fn elements_are_added_changed_and_removed() {
    let mut t = with_set();
    t.check_all(&[
        ("VCARD v", ":3"),
        ("VDIM v", ":3"),
        ("TYPE v", "+vectorset"),
        ("OBJECT ENCODING v", "\"raw\""),
        ("VISMEMBER v a", ":1"),
        ("VISMEMBER v x", ":0"),
        ("VEMB v b", "[\"0\", \"2\", \"0\"]"),
        ("VEMB v b raw", "[+int8, \"\\x00\\x7f\\x00\", \"2\", \"1\"]"),
        ("VADD v VALUES 3 0 5 0 b", ":0"),
        ("VEMB v b", "[\"0\", \"5\", \"0\"]"),
        ("VADD v VALUES 3 1 0 0 a", ":0"),
        ("VGETATTR v a", "\"{\\\"n\\\":1}\""),
        ("VSETATTR v a ''", ":1"),
        ("VGETATTR v a", "nil"),
        ("VSETATTR v x {}", ":0"),
        ("VREM v x", ":0"),
        ("VREM v a", ":1"),
        ("VREM v b", ":1"),
        ("VREM v c", ":1"),
        ("EXISTS v", ":0"),
        ("VREM v c", ":0"),
    ]);
    assert_eq!(t.events(), Vec::<String>::new());
    let propagated = t.propagated();
    assert_eq!(propagated.len(), 9, "{propagated:?}");
    assert_eq!(propagated[3], "VADD v VALUES 3 0 5 0 b");
    assert_eq!(propagated[8], "VREM v c");
}

#[test]
fn empty_attributes_are_none() {
    let mut t = with_set();
    t.propagated();
    t.check_all(&[
        ("VADD v VALUES 3 1 1 1 d EF 20 setattr x CAS SETATTR '' M 16", ":1"),
        ("VGETATTR v d", "nil"),
        ("VADD v VALUES 3 1 1 1 a SETATTR ''", ":0"),
        ("VGETATTR v a", "nil"),
    ]);
    // Redis would keep those of a new element.
    let expected = ["VADD v VALUES 3 1 1 1 d EF 20 CAS M 16", "VADD v VALUES 3 1 1 1 a SETATTR "];
    assert_eq!(t.propagated(), expected);
}

#[test]
fn changes_are_seen_by_watchers() {
    let mut t = with_set();
    let mut other = t.client();
    for (change, is_seen) in [
        ("VREM v x", false),
        ("VSETATTR v a 1", true),
        ("VADD v VALUES 3 1 1 1 a", true),
        ("VREM v a", true),
    ] {
        t.check("WATCH v", "+OK");
        t.run_as(&mut other, change);
        t.check_all(&[("MULTI", "+OK"), ("EXEC", if is_seen { "nil" } else { "[]" })]);
    }
}

#[test]
fn near_elements_are_found() {
    let mut t = with_set();
    t.check_all(&[
        ("VSIM v ELE a COUNT 1", "[\"a\"]"),
        ("VSIM v VALUES 3 0 1 0 COUNT 1 WITHSCORES", "[\"b\", \"1\"]"),
        (
            "VSIM v VALUES 3 0 0 1 COUNT 3 WITHSCORES EPSILON 0.6 FILTER '.n == 1'",
            "[\"a\", \"0.5\"]",
        ),
        (
            "VSIM v ELE a WITHATTRIBS FILTER .n WITHSCORES COUNT 1",
            "[\"a\", \"1\", \"{\\\"n\\\":1}\"]",
        ),
        ("VSIM v ELE b COUNT 1 WITHATTRIBS TRUTH NOTHREAD EF 1 FILTER-EF 1", "[\"b\", nil]"),
        ("VSIM v ELE a FILTER '.n == 7'", "[]"),
        ("VSIM missing ELE a NOSUCH", "[]"),
    ]);
    t.run("HELLO 3");
    t.check_all(&[
        ("VSIM v ELE a COUNT 1", "[\"a\"]"),
        ("VSIM v ELE a COUNT 1 WITHSCORES", "{\"a\": ,1}"),
        ("VSIM v ELE b COUNT 1 WITHATTRIBS", "{\"b\": nil}"),
        ("VSIM v ELE b COUNT 1 WITHATTRIBS WITHSCORES", "{\"b\": [,1, nil]}"),
        ("VSIM missing ELE a WITHSCORES", "[]"),
        ("VISMEMBER v a", "#t"),
    ]);
}

#[test]
fn errors() {
    let mut t = with_set();
    t.check("SET s 1", "+OK");
    for (line, expected) in [
        ("VADD v VALUES 3", "wrong number of arguments for 'VADD' command"),
        ("VADD v FP32 abcd", "wrong number of arguments for 'VADD' command"),
        ("VADD v FP32 abcd x y", "invalid option after element"),
        ("VADD v FP32 abc x NOQUANT", "invalid vector specification"),
        ("VADD v VALUES 4 1 2 3", "invalid vector specification"),
        ("VADD v VALUES 0 1 2 3", "invalid vector specification"),
        ("VADD v VALUES -1 1 2 3", "invalid vector specification"),
        ("VADD v VALUES 9223372036854775807 1 2 3", "invalid vector specification"),
        ("VADD v VALUES 2 1 nan x", "invalid vector specification"),
        ("VADD v REDUCE 0 VALUES 2 1 2 x", "invalid vector specification"),
        ("VADD w REDUCE 4294967295 VALUES 2 1 2 x", "invalid vector specification"),
        ("VADD v VALUES 2 1 2 x EF 0", "invalid EF"),
        ("VADD v VALUES 2 1 2 x EF 1000001", "invalid EF"),
        ("VADD v VALUES 2 1 2 x EF", "invalid option after element"),
        ("VADD v VALUES 2 1 2 x M 3", "invalid M"),
        ("VADD v VALUES 2 1 2 x M 4097", "invalid M"),
        ("VADD v VALUES 2 1 2 x M 17", "asked M value mismatch with existing vector set"),
        ("VADD v VALUES 2 1 2 x BIN", "asked quantization mismatch with existing vector set"),
        ("VADD v VALUES 2 1 2 x", "Vector dimension mismatch - got 2 but set has 3"),
        (
            "VADD v REDUCE 2 VALUES 3 1 2 3 x",
            "cannot add projection to existing set without projection",
        ),
        ("VSIM v ELE x", "element not found in set"),
        ("VSIM v FOO x", "invalid vector specification"),
        ("VSIM v VALUES 2 1 2", "Vector dimension mismatch - got 2 but set has 3"),
        ("VSIM v ELE a COUNT 0", "invalid COUNT"),
        ("VSIM v ELE a COUNT -1", "invalid COUNT"),
        ("VSIM v ELE a EF 0", "invalid EF"),
        ("VSIM v ELE a EPSILON 0", "invalid EPSILON"),
        ("VSIM v ELE a FILTER-EF 0", "invalid FILTER-EF"),
        ("VSIM v ELE a FILTER", "syntax error in VSIM command"),
        ("VSIM v ELE a FILTER '1 == #x'", "syntax error in FILTER expression near: #x"),
        ("VSIM v ELE", "wrong number of arguments for 'VSIM' command"),
        ("VDIM missing", "key does not exist"),
        ("VEMB v a foo", "invalid option"),
        ("VLINKS v a foo", "wrong number of arguments for 'VLINKS' command"),
        ("VRANDMEMBER v x", "COUNT value is not an integer"),
        ("COPY v w", "not supported for this module key"),
    ] {
        t.check(line, &format!("-ERR {expected}"));
    }
    for line in
        ["VADD s VALUES 1 1 a", "VSIM s ELE a", "VCARD s", "VREM s a", "VRANDMEMBER s", "VINFO s"]
    {
        assert!(t.run(line).starts_with("-WRONGTYPE"), "{line}");
    }
    assert!(t.run("GET v").starts_with("-WRONGTYPE"));
    t.check_all(&[("VCARD v", ":3"), ("EXISTS w", ":0")]);
}

#[test]
fn huge_numbers_are_no_trouble() {
    let mut t = with_set();
    let most = "9223372036854775807";
    for line in [
        format!("VSIM v ELE a COUNT {most} EF {most} FILTER .n FILTER-EF {most}"),
        format!("VSIM v ELE a COUNT {most} FILTER .n TRUTH"),
    ] {
        t.check(&line, "[\"a\", \"c\"]");
    }
    t.check("VRANDMEMBER v -9223372036854775808", "-ERR value is out of range");
    assert_eq!(t.run(&format!("VRANDMEMBER v {most}")).matches('"').count(), 6);
    t.check("VADD odd VALUES 2 inf 1e300 a NOQUANT", ":1");
    t.check("VSIM odd VALUES 2 1 1 WITHSCORES", "[\"a\", \"nan\"]");
    t.check("VSIM odd VALUES 2 0 0 WITHSCORES", "[\"a\", \"nan\"]");
}

#[test]
fn vectors_are_reduced() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("VADD v REDUCE 2 VALUES 4 1 2 3 4 a NOQUANT", ":1"),
        ("VDIM v", ":2"),
        ("VADD v REDUCE 2 VALUES 4 2 4 6 8 b NOQUANT", ":1"),
        (
            "VADD v VALUES 4 2 4 6 8 b NOQUANT",
            "-ERR Vector dimension mismatch - got 4 but set has 2",
        ),
        (
            "VADD v REDUCE 2 VALUES 3 2 4 6 b NOQUANT",
            "-ERR Input dimension mismatch for projection - got 3 but projection expects 4",
        ),
        ("VEMB v a", "[\"5\", \"-1\"]"),
        ("VSIM v VALUES 4 1 2 3 4 WITHSCORES COUNT 1", "[\"a\", \"1\"]"),
        ("VSIM v VALUES 2 5 -1 COUNT 1", "[\"a\"]"),
        (
            "VSIM v VALUES 3 5 -1 1",
            "-ERR Input dimension mismatch for projection - got 3 but projection expects 4",
        ),
    ]);
    let reply = t.run("VINFO v");
    assert!(reply.contains("+vector-dim, :2, +projection-input-dim, :4, +size, :2"), "{reply}");
}

#[test]
fn random_members() {
    let mut t = with_set();
    t.check_all(&[
        ("VRANDMEMBER v 0", "[]"),
        ("VRANDMEMBER missing", "nil"),
        ("VRANDMEMBER missing 2", "[]"),
    ]);
    let mut all: Vec<String> = (0..100).map(|_| t.run("VRANDMEMBER v")).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, ["\"a\"", "\"b\"", "\"c\""]);
    assert_eq!(t.run("VRANDMEMBER v -7").matches('"').count(), 14);
}

#[test]
fn payloads_are_the_references() {
    let mut t = TestServer::new();
    // DUMP of Redis 8.2.3 after VADD v VALUES 2 1 0 a.
    let payload = b"\x07\x81\xbd\xe7-\xa2\xbb\x1e\xb4\x00\x02\x02\x02\x01\x02P\x01\x02\x00\x05\
        \x01a\x05\x02\x7f\x00\x02\x06\x02\x01\x02\x80\x01\x00\x00\x00\x02\x00\x02 \x02\x00\
        \x02\x81?\x80\x00\x00?\x80\x00\x00\x00\x0c\x00\x1a\xdc\xff\x8cl\xe1\xa24";
    assert_eq!(t.run_words(&[b"RESTORE", b"v", b"0", payload]), "+OK");
    t.check("VEMB v a", "[\"1\", \"0\"]");
    assert_eq!(t.dump("v"), payload);
    for form in ["NOQUANT", "Q8", "BIN", "REDUCE"] {
        t.check("DEL v", ":1");
        let (before, behind) = if form == "REDUCE" { ("REDUCE 2", "") } else { ("", form) };
        for number in 0..40 {
            let attributes = if number % 3 == 0 { "SETATTR {}" } else { "" };
            let line =
                format!("VADD v {before} VALUES 3 {number} 1 -2 e{number} {behind} {attributes}");
            t.check(&line, ":1");
        }
        let payload = t.dump("v");
        let restore: [&[u8]; 5] = [b"RESTORE", b"w", b"0", &payload, b"REPLACE"];
        assert_eq!(t.run_words(&restore), "+OK");
        for question in [
            "VCARD {}",
            "DEBUG DIGEST-VALUE {}",
            "VEMB {} e7",
            "VSIM {} ELE e7 WITHSCORES COUNT 40 TRUTH",
        ] {
            let [own, restored] = ["v", "w"].map(|key| question.replace("{}", key));
            let expected = t.run(&own);
            let both = |text: &str| text.replace('v', "w");
            assert_eq!(both(&t.run(&restored)), both(&expected), "{question} {form}");
        }
    }
}

#[test]
fn commands_are_those_of_a_module() {
    let mut t = TestServer::new();
    let info = t.run("COMMAND INFO vsim");
    assert!(
        info.starts_with("[[\"VSIM\", :-1, [+readonly, +module], :1, :1, :1, [], [], "),
        "{info}"
    );
    t.check("COMMAND DOCS vsim", "[\"VSIM\", [\"group\", \"module\", \"module\", \"vectorset\"]]");
    assert_eq!(t.run("COMMAND LIST FILTERBY MODULE vectorset").matches("\"V").count(), 12);
    t.check("COMMAND LIST FILTERBY MODULE other", "[]");
    let words = split_words(b"CONFIG GET vset-force-single-threaded-execution").unwrap();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    assert!(t.run_words(&words).ends_with("\"no\"]"));
}

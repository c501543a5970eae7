//! Tests of XREAD and XREADGROUP that wait.

use crate::testing::TestServer;

#[test]
fn readers_get_what_is_added_from_now_on() {
    let mut t = TestServer::new();
    let (mut one, mut other) = (t.client(), t.client());
    t.check("XADD s 1 a b", "\"1-0\"");
    t.wait_as(&mut one, "XREAD BLOCK 0 STREAMS s missing $ 0");
    t.wait_as(&mut other, "XREAD BLOCK 0 COUNT 1 STREAMS s 5");
    t.check("XADD s 2 c d", "\"2-0\"");
    let expected = "*1 *2 $1 s *1 *2 $3 2-0 *2 $1 c $1 d ";
    assert_eq!(t.taken_by(&mut one), expected);
    assert_eq!(t.taken_by(&mut other), "");
    t.check("XADD s 6 e f", "\"6-0\"");
    assert_eq!(t.taken_by(&mut other), "*1 *2 $1 s *1 *2 $3 6-0 *2 $1 e $1 f ");
    assert_eq!(t.taken_by(&mut one), "");
    // Neither another type nor the end of the stream is an answer to a reader.
    t.wait_as(&mut one, "XREAD BLOCK 0 STREAMS s $");
    t.check_all(&[("DEL s", ":1"), ("SET s x", "+OK"), ("DEL s", ":1")]);
    assert_eq!(t.taken_by(&mut one), "");
    t.check("XADD s 7 a b", "\"7-0\"");
    assert!(t.taken_by(&mut one).contains("7-0"));
}

#[test]
fn each_consumer_of_a_group_gets_its_own() {
    let mut t = TestServer::new();
    let (mut one, mut two) = (t.client(), t.client());
    t.check("XGROUP CREATE s g $ MKSTREAM", "+OK");
    t.wait_as(&mut one, "XREADGROUP GROUP g one BLOCK 0 COUNT 1 STREAMS s >");
    t.wait_as(&mut two, "XREADGROUP GROUP g two BLOCK 0 COUNT 1 STREAMS s >");
    t.check_all(&[("MULTI", "+OK"), ("XADD s 1 a b", "+QUEUED"), ("XADD s 2 a b", "+QUEUED")]);
    t.check("EXEC", "[\"1-0\", \"2-0\"]");
    assert!(t.taken_by(&mut one).contains("1-0"));
    assert!(t.taken_by(&mut two).contains("2-0"));
    t.check("XPENDING s g", "[:2, \"1-0\", \"2-0\", [[\"one\", \"1\"], [\"two\", \"1\"]]]");
}

#[test]
fn consumers_are_told_when_their_group_goes() {
    let mut t = TestServer::new();
    let mut one = t.client();
    for (end, reply) in [
        ("XGROUP DESTROY s g", "-NOGROUP "),
        ("DEL s", "-NOGROUP "),
        ("SET s x", "-WRONGTYPE "),
        ("RENAME s elsewhere", "-NOGROUP "),
    ] {
        t.run("DEL s");
        t.check("XGROUP CREATE s g $ MKSTREAM", "+OK");
        t.wait_as(&mut one, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
        t.run(end);
        let sent = t.taken_by(&mut one);
        assert!(sent.starts_with(reply), "{end}: {sent}");
    }
}

#[test]
fn waits_end_in_time() {
    let mut t = TestServer::new();
    let mut one = t.client();
    t.wait_as(&mut one, "XREAD BLOCK 5 STREAMS s 0");
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(t.time_out(&mut one), b"*-1\r\n");
    t.check("XGROUP CREATE s g $ MKSTREAM", "+OK");
    t.wait_as(&mut one, "XREADGROUP GROUP g c BLOCK 5 STREAMS s >");
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(t.time_out(&mut one), b"*-1\r\n");
    t.check("XADD s 1 a b", "\"1-0\"");
    assert_eq!(t.taken_by(&mut one), "");
}

//! The connection group without sockets.

use crate::command::pipeline::Stop;
use crate::testing::TestServer;

const HELLO_2: &str = "[\"server\", \"redis\", \"version\", \"8.2.3\", \"proto\", :2, \"id\", :1, \
    \"mode\", \"standalone\", \"role\", \"master\", \"modules\", []]";

#[test]
fn ping_echo_and_select() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("PING", "+PONG"),
        ("PING hi", "\"hi\""),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO ''", "\"\""),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
        ("SET a 1", "+OK"),
        ("SELECT 15", "+OK"),
        ("GET a", "nil"),
        ("SELECT 16", "-ERR DB index is out of range"),
        ("SELECT -1", "-ERR DB index is out of range"),
        ("SELECT a", "-ERR value is not an integer or out of range"),
        (
            "SELECT 2147483648",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("SELECT 0", "+OK"),
        ("GET a", "\"1\""),
    ]);
}

#[test]
fn hello_switches_the_protocol() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("HELLO", HELLO_2),
        ("HELLO 2 SETNAME me", HELLO_2),
        ("CLIENT GETNAME", "\"me\""),
        ("HELLO 2 setname ''", HELLO_2),
        ("CLIENT GETNAME", "nil"),
        ("HELLO 1", "-NOPROTO unsupported protocol version"),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'"),
        (
            "HELLO 3 SETNAME 'a b'",
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            "HELLO 3 SETNAME a AUTH x y",
            "-WRONGPASS invalid username-password pair or user is disabled.",
        ),
        ("CLIENT GETNAME", "nil"),
        ("HELLO 2 AUTH default any", HELLO_2),
    ]);
    let mut client = t.client();
    let (out, _) = t.send_as(&mut client, b"HELLO 3\r\nHELLO\r\nGET a\r\n");
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("%7\r\n$6\r\nserver\r\n") && out.ends_with("*0\r\n_\r\n"), "{out}");
    assert_eq!(out.matches("$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:2\r\n").count(), 2);
}

#[test]
fn hello_inside_a_transaction_switches_in_the_middle() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for line in ["MULTI", "GET a", "HELLO 3", "GET a"] {
        t.run_as(&mut client, line);
    }
    let (out, _) = t.send_as(&mut client, b"EXEC\r\n");
    assert!(out.starts_with(b"*3\r\n$-1\r\n%7\r\n") && out.ends_with(b"*0\r\n_\r\n"));
}

#[test]
fn auth_without_a_password() {
    let mut t = TestServer::new();
    t.check_all(&[
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        ("AUTH default x", "+OK"),
        ("AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH a b c", "-ERR syntax error"),
        ("AUTH", "-ERR wrong number of arguments for 'auth' command"),
    ]);
}

#[test]
fn auth_with_a_password() {
    let mut t = TestServer::with_config(&[("requirepass", "secret")]);
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    t.check_all(&[
        ("GET a", "-NOAUTH Authentication required."),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: "),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        (
            "HELLO 3",
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ),
        ("EXEC", "-EXECABORT Transaction discarded because of: NOAUTH Authentication required."),
        ("AUTH wrong", wrong),
        ("AUTH default wrong", wrong),
        ("AUTH other secret", wrong),
        ("AUTH secret", "+OK"),
        ("GET a", "nil"),
        ("AUTH wrong", wrong),
        ("GET a", "nil"),
        ("RESET", "+RESET"),
        ("GET a", "-NOAUTH Authentication required."),
        ("HELLO 2 AUTH default secret", HELLO_2),
        ("GET a", "nil"),
    ]);
    let denied = &t.server.stats.acl_access_denied_auth;
    assert_eq!(denied.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn a_new_password_is_for_new_clients() {
    let mut t = TestServer::new();
    t.server.users.set_requirepass(b"secret");
    let mut other = t.client();
    t.check("GET a", "nil");
    assert_eq!(t.run_as(&mut other, "GET a"), "-NOAUTH Authentication required.");
    t.server.users.set_requirepass(b"");
    assert_eq!(t.run_as(&mut other, "GET a"), "nil");
}

#[test]
fn unauthenticated_requests_are_limited() {
    for (request, error) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut t = TestServer::with_config(&[("requirepass", "secret")]);
        let mut client = t.client();
        let (out, stop) = t.send_as(&mut client, request);
        let expected = format!("-ERR Protocol error: {error}\r\n");
        assert_eq!((String::from_utf8(out).unwrap(), stop), (expected, Stop::Closes));
        let mut client = t.client();
        t.run_as(&mut client, "AUTH secret");
        assert!(matches!(t.send_as(&mut client, request).1, Stop::NeedsInput { .. }));
    }
}

#[test]
fn reset_makes_a_connection_as_good_as_new() {
    let mut t = TestServer::new();
    let mut other = t.client();
    for line in [
        "HELLO 3 SETNAME me",
        "CLIENT SETINFO lib-name lib",
        "CLIENT NO-EVICT on",
        "CLIENT NO-TOUCH on",
        "SELECT 2",
        "WATCH a",
        "MULTI",
        "SET b 1",
    ] {
        t.run(line);
    }
    t.check("RESET", "+RESET");
    let info = t.run("CLIENT INFO");
    for field in [" name= ", " flags=N ", " db=0 ", " multi=-1 watch=0 ", " resp=2 lib-name=lib "] {
        assert!(info.contains(field), "{field} in {info}");
    }
    t.check_all(&[
        ("EXEC", "-ERR EXEC without MULTI"),
        ("CLIENT REPLY OFF", ""),
        ("RESET", "+RESET"),
    ]);
    assert_eq!(t.run_as(&mut other, "SET a 1"), "+OK");
    t.check_all(&[("MULTI", "+OK"), ("EXEC", "[]")]);
}

#[test]
fn quit_answers_and_ends() {
    let mut t = TestServer::new();
    for request in ["QUIT", "quit now"] {
        let mut client = t.client();
        let bytes = format!("MULTI\r\nSET a 1\r\n{request}\r\nSET b 1\r\n");
        let (out, stop) = t.send_as(&mut client, bytes.as_bytes());
        assert_eq!((&out[..], stop), (&b"+OK\r\n+QUEUED\r\n+OK\r\n"[..], Stop::Closes));
    }
    t.check_all(&[("GET a", "nil"), ("GET b", "nil")]);
}

#[test]
fn http_is_dropped_without_an_answer() {
    let mut t = TestServer::new();
    for request in
        ["POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n", "PING\r\nhost: x\r\nSET a 1\r\n"]
    {
        let mut client = t.client();
        assert_eq!(t.send_as(&mut client, request.as_bytes()).1, Stop::Aborts);
    }
    t.check("GET a", "nil");
}

#[test]
fn client_names() {
    let mut t = TestServer::new();
    let error = "-ERR Client names cannot contain spaces, newlines or special characters.";
    t.check_all(&[
        ("CLIENT GETNAME", "nil"),
        ("CLIENT SETNAME a", "+OK"),
        ("CLIENT GETNAME", "\"a\""),
        ("CLIENT SETNAME 'b c'", error),
        ("CLIENT SETNAME \"b\\n\"", error),
        ("CLIENT SETNAME \"\\xc3\\xa4\"", error),
        ("CLIENT GETNAME", "\"a\""),
        ("CLIENT SETNAME ''", "+OK"),
        ("CLIENT GETNAME", "nil"),
        ("CLIENT SETINFO lib-name x", "+OK"),
        ("CLIENT SETINFO LIB-VER 1.2", "+OK"),
        (
            "CLIENT SETINFO Lib-Ver '1 2'",
            "-ERR Lib-Ver cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'"),
    ]);
    assert!(t.run("CLIENT INFO").contains(" lib-name=x lib-ver=1.2 "));
}

#[test]
fn replies_can_be_turned_off_and_skipped() {
    let mut t = TestServer::new();
    let mut client = t.client();
    let mut check = |request: &str, expected: &str| {
        let (out, _) = t.send_as(&mut client, request.as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{request}");
    };
    check("CLIENT REPLY SKIP\r\nPING\r\nPING 2\r\n", "$1\r\n2\r\n");
    check("CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING 2\r\n", "$1\r\n2\r\n");
    check("CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    check("CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nGET\r\nCLIENT REPLY SKIP\r\nPING\r\n", "");
    check("MULTI\r\nPING\r\nEXEC\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    check("CLIENT REPLY x\r\n", "-ERR syntax error\r\n");
    // A protocol error is a reply too.
    check("CLIENT REPLY OFF\r\n*x\r\n", "");
}

#[test]
fn everything_in_one_pipeline() {
    let mut t = TestServer::new();
    let mut client = t.client();
    let request = "CLIENT REPLY SKIP\r\nHELLO 3\r\nMULTI\r\nGET a\r\nCLIENT REPLY OFF\r\nRESET\r\n\
        GET a\r\nHELLO 3\r\nGET a\r\nMULTI\r\nGET a\r\nEXEC\r\nQUIT\r\nGET a\r\n";
    let (out, stop) = t.send_as(&mut client, request.as_bytes());
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("+OK\r\n+QUEUED\r\n+QUEUED\r\n+RESET\r\n$-1\r\n%7\r\n"), "{out}");
    assert!(out.ends_with("*0\r\n_\r\n+OK\r\n+QUEUED\r\n*1\r\n_\r\n+OK\r\n"), "{out}");
    assert_eq!(stop, Stop::Closes);
}

#[test]
fn client_info_tells_true_numbers() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for line in ["SELECT 4", "WATCH a b", "MULTI", "SET abc 1"] {
        t.run_as(&mut client, line);
    }
    t.run("SET a 1");
    t.run("SELECT 4");
    t.run("SET a 1");
    let id = client.client.handle.id;
    let line = t.run(&format!("CLIENT LIST ID {id}"));
    for field in [
        " flags=xd db=4 ",
        " multi=1 watch=2 ",
        " argv-mem=0 multi-mem=7 ",
        " obl=0 oll=0 omem=0 ",
        " events=r cmd=set user=default redir=-1 resp=2 ",
        " tot-cmds=3",
    ] {
        assert!(line.contains(field), "{field} in {line}");
    }
    let mine = t.run("CLIENT LIST");
    assert!(mine.contains(" argv-mem=10 ") && mine.contains(" cmd=client|list "), "{mine}");
    assert!(mine.contains(" tot-cmds=4\\n"), "{mine}");
}

#[test]
fn client_list_chooses() {
    let mut t = TestServer::new();
    let other = t.client();
    let n_lines = |reply: String| reply.matches("\\n").count();
    assert_eq!(n_lines(t.run("CLIENT LIST")), 2);
    assert_eq!(n_lines(t.run("CLIENT LIST TYPE normal")), 2);
    assert_eq!(n_lines(t.run("CLIENT LIST TYPE replica")), 0);
    assert!(t.run("CLIENT LIST ID 2 99 2 1").matches("id=2 ").count() == 2);
    t.check_all(&[
        ("CLIENT LIST ID 99", "\"\""),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST ID", "-ERR syntax error"),
        ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'"),
        ("CLIENT LIST x", "-ERR syntax error"),
        ("CLIENT ID", ":1"),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("CLIENT foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP."),
    ]);
    drop(other);
}

#[test]
fn client_kill_chooses() {
    let mut t = TestServer::new();
    let others: Vec<_> = (0..4).map(|_| t.client()).collect();
    t.advance_ms(3000);
    t.check_all(&[
        ("CLIENT KILL id", "-ERR No such client"),
        ("CLIENT KILL id 2 id", "-ERR syntax error"),
        ("CLIENT KILL 1.2.3.4:5", "-ERR No such client"),
        ("CLIENT KILL id 1", ":0"),
        ("CLIENT KILL id 2 maxage 60", ":0"),
        ("CLIENT KILL id 2 type pubsub", ":0"),
        ("CLIENT KILL id 2 addr 1.2.3.4:5", ":0"),
        ("CLIENT KILL id 2 laddr 1.2.3.4:5", ":0"),
        ("CLIENT KILL id 2 maxage 3 type normal user default addr 127.0.0.1:1", ":1"),
        ("CLIENT KILL id 2 skipme no", ":0"),
        ("CLIENT KILL type normal skipme yes", ":3"),
    ]);
    assert!(others.iter().all(|client| client.client.handle.is_killed()));
    let mut client = t.client();
    let (out, stop) = t.send_as(&mut client, b"CLIENT KILL 127.0.0.1:1\r\nPING\r\n");
    assert_eq!((&out[..], stop), (&b"+OK\r\n"[..], Stop::Closes));
}

#[test]
fn client_kill_with_wrong_values() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT KILL id 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL id x", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL maxage x", "-ERR maxage is not an integer or out of range"),
        ("CLIENT KILL maxage 0", "-ERR maxage should be greater than 0"),
        ("CLIENT KILL type x", "-ERR Unknown client type 'x'"),
        ("CLIENT KILL user x", "-ERR No such user 'x'"),
        ("CLIENT KILL skipme x", "-ERR syntax error"),
        ("CLIENT KILL foo bar", "-ERR syntax error"),
    ]);
}

#[test]
fn a_killed_client_that_was_blocked_is_not_counted() {
    let mut t = TestServer::new();
    let mut client = t.client();
    t.send_as(&mut client, b"WAIT 1 0\r\n");
    let id = client.client.handle.id;
    assert!(t.run(&format!("CLIENT LIST ID {id}")).contains(" flags=b "));
    assert_eq!(t.server.blocking.n_blocked(), 1);
    t.check(&format!("CLIENT KILL ID {id} SKIPME yes"), ":1");
    assert_eq!(t.server.blocking.n_blocked(), 0);
}

#[test]
fn client_subcommands_with_wrong_values() {
    let mut t = TestServer::new();
    let arity = |name: &str| {
        format!(
            "-ERR unknown subcommand or wrong number of arguments for '{name}'. Try CLIENT HELP."
        )
    };
    t.check_all(&[
        ("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range"),
        ("CLIENT UNBLOCK x y", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        ("CLIENT UNBLOCK -5", ":0"),
        ("CLIENT Unblock 1 TIMEOUT x", &arity("Unblock")),
        ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "-ERR timeout is negative"),
        ("CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range"),
        ("CLIENT PAUSE x y", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
        ("CLIENT PAUSE 0 ALL x", &arity("PAUSE")),
        ("CLIENT NO-EVICT x", "-ERR syntax error"),
        ("CLIENT NO-TOUCH x", "-ERR syntax error"),
        ("CLIENT NO-EVICT ON", "+OK"),
        ("CLIENT NO-TOUCH on", "+OK"),
    ]);
    assert!(t.run("CLIENT INFO").contains(" flags=eT "));
    t.check_all(&[("CLIENT NO-EVICT off", "+OK"), ("CLIENT NO-TOUCH OFF", "+OK")]);
    assert!(t.run("CLIENT INFO").contains(" flags=N "));
}

#[test]
fn client_help_lists_usages() {
    let mut t = TestServer::new();
    let help = t.run("CLIENT HELP");
    let first = "[+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, +CACHING";
    assert!(help.starts_with(first) && help.ends_with("+HELP, +    Print this help.]"), "{help}");
}

#[test]
fn a_pause_of_writes_lets_reads_go_on() {
    let mut t = TestServer::new();
    let (mut reader, mut writer) = (t.client(), t.client());
    t.check_all(&[("SET a 1", "+OK"), ("CLIENT PAUSE 60000 WRITE", "+OK")]);
    assert_eq!(t.run_as(&mut reader, "GET a"), "\"1\"");
    let sent = b"GET a\r\nSET 'a' \"2\"\r\nGET a\r\n*1\r\n$4\r\nPI";
    assert_eq!(t.send_as(&mut writer, sent), (b"$1\r\n1\r\n".to_vec(), Stop::Waits));
    assert_eq!(t.server.blocking.n_blocked(), 1);
    let id = writer.client.handle.id;
    t.check(&format!("CLIENT UNBLOCK {id}"), ":0");
    t.check("SET", "-ERR wrong number of arguments for 'set' command");
    assert_eq!(t.send_as(&mut writer, b"NG\r\n").0, b"");
    t.check_all(&[("CLIENT UNPAUSE", "+OK"), ("GET a", "\"1\"")]);
    assert_eq!(t.server.blocking.n_blocked(), 0);
    assert_eq!(t.take_mail(&mut writer), b"+OK\r\n$1\r\n2\r\n+PONG\r\n");
}

#[test]
fn a_pause_of_all_ends_by_itself() {
    let mut t = TestServer::new();
    let mut client = t.client();
    t.check("CLIENT PAUSE 40", "+OK");
    assert_eq!(t.send_as(&mut client, b"PING\r\n").1, Stop::Waits);
    assert!(t.time_out(&mut client).is_empty());
    std::thread::sleep(std::time::Duration::from_millis(41));
    assert_eq!(t.time_out(&mut client), b"+PONG\r\n");
    assert_eq!(t.server.blocking.n_blocked(), 0);
    assert!(!t.server.conditions.unpause_if_due(0));
    t.check("PING", "+PONG");
}

#[test]
fn transactions_wait_if_they_write() {
    let mut t = TestServer::new();
    let (mut reader, mut writer) = (t.client(), t.client());
    t.run_as(&mut writer, "MULTI");
    t.run_as(&mut writer, "SET a 1");
    t.check("CLIENT PAUSE 60000 WRITE", "+OK");
    for (line, expected) in [("MULTI", "+OK"), ("GET a", "+QUEUED"), ("EXEC", "[nil]")] {
        assert_eq!(t.run_as(&mut reader, line), expected);
    }
    assert_eq!(t.send_as(&mut writer, b"EXEC\r\n").1, Stop::Waits);
    t.check("CLIENT UNPAUSE", "+OK");
    assert_eq!(t.take_mail(&mut writer), b"*1\r\n+OK\r\n");
}

#[test]
fn a_pause_in_a_transaction_begins_after_it() {
    let mut t = TestServer::new();
    let mut other = t.client();
    for line in ["MULTI", "SET a 1", "CLIENT PAUSE 60000 WRITE", "SET b 1"] {
        t.run(line);
    }
    t.check("EXEC", "[+OK, +OK, +OK]");
    assert_eq!(t.send_as(&mut other, b"SET c 1\r\n").1, Stop::Waits);
    t.check_all(&[("GET b", "\"1\""), ("CLIENT UNPAUSE", "+OK")]);
}

#[test]
fn what_a_stale_replica_must_not_answer_is_refused_at_exec() {
    const REFUSED: &str = "-EXECABORT Transaction discarded because of: MASTERDOWN Link with \
        MASTER is down and replica-serve-stale-data is set to 'no'.";
    let mut t = TestServer::with_config(&[("replica-serve-stale-data", "no")]);
    for (command, reply) in [("GET k", REFUSED), ("PING", REFUSED), ("INFO", "")] {
        t.check_all(&[("MULTI", "+OK"), (command, "+QUEUED")]);
        t.server.conditions.set_replica(true);
        let exec = t.run("EXEC");
        t.server.conditions.set_replica(false);
        assert!(exec.starts_with(reply), "{command} {exec}");
        assert_eq!(exec.starts_with("-EXECABORT"), !reply.is_empty(), "{command} {exec}");
    }
}

//! Tests of ACL, but for those that need the reference.

use crate::testing::TestServer;
use std::sync::atomic::Ordering;

/// Another client that has authenticated as `user`, who needs no password.
fn client_as(t: &mut TestServer, user: &str) -> crate::testing::TestClient {
    let mut client = t.client();
    assert_eq!(t.run_as(&mut client, &format!("AUTH {user} x")), "+OK");
    client
}

#[test]
fn rules_hold_for_connected_clients_at_once() {
    let mut t = TestServer::new();
    t.check("ACL SETUSER u on nopass +@all ~* &*", "+OK");
    let mut client = client_as(&mut t, "u");
    assert_eq!(t.run_as(&mut client, "SET k v"), "+OK");
    t.check("ACL SETUSER u resetkeys ~a", "+OK");
    assert_eq!(t.run_as(&mut client, "GET k"), "-NOPERM No permissions to access a key");
    t.check("ACL SETUSER u allkeys", "+OK");
    assert_eq!(t.run_as(&mut client, "GET k"), "\"v\"");
}

#[test]
fn rules_hold_within_a_batch() {
    let mut t = TestServer::new();
    t.check("ACL SETUSER u on nopass +@all ~* &*", "+OK");
    let mut client = client_as(&mut t, "u");
    let batch = b"SET k v\r\nACL SETUSER u -get\r\nGET k\r\nAUTH default x\r\nGET k\r\n";
    let (out, _) = t.send_as(&mut client, batch);
    let denied = "-NOPERM User u has no permissions to run the 'get' command";
    let expected = format!("+OK\r\n+OK\r\n{denied}\r\n+OK\r\n$1\r\nv\r\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn connections_of_deleted_users_end() {
    let mut t = TestServer::new();
    t.check("ACL SETUSER u on nopass +@all ~* &*", "+OK");
    let (mut client, other) = (client_as(&mut t, "u"), t.client());
    t.check("ACL DELUSER u nosuch", ":1");
    assert!(client.client.handle.is_killed() && !other.client.handle.is_killed());
    // What it has under way until it notices is refused.
    let denied = "-NOPERM User u has no permissions to run the 'get' command";
    assert_eq!(t.run_as(&mut client, "GET k"), denied);
}

#[test]
fn subscribers_end_with_their_channels() {
    let mut t = TestServer::new();
    t.check("ACL SETUSER u on nopass +@all resetchannels &a* &b", "+OK");
    let (mut one, mut other) = (client_as(&mut t, "u"), client_as(&mut t, "u"));
    t.run_as(&mut one, "SUBSCRIBE a1 b");
    t.run_as(&mut other, "PSUBSCRIBE a*");
    let denied = "-NOPERM No permissions to access a channel";
    assert_eq!(t.run_as(&mut other, "PSUBSCRIBE b*"), denied);
    t.check("ACL SETUSER u &c", "+OK");
    assert!(!one.client.handle.is_killed() && !other.client.handle.is_killed());
    t.check("ACL SETUSER u resetchannels &a*", "+OK");
    assert!(one.client.handle.is_killed() && !other.client.handle.is_killed());
    t.check("ACL SETUSER u allchannels", "+OK");
    t.check("ACL SETUSER u resetchannels &a1", "+OK");
    assert!(other.client.handle.is_killed());
}

#[test]
fn refusals_are_counted_and_kept_without_secrets() {
    let mut t = TestServer::with_config(&[("slowlog-log-slower-than", "0")]);
    t.check("ACL SETUSER u on >secret +get ~a", "+OK");
    let mut client = t.client();
    t.run_as(&mut client, "AUTH u wrong");
    t.run_as(&mut client, "AUTH u secret");
    t.run_as(&mut client, "SET a 1");
    t.run_as(&mut client, "GET b");
    t.run_as(&mut client, "GET c");
    let stats = &t.server.stats;
    let counts = [
        &stats.acl_access_denied_auth,
        &stats.acl_access_denied_cmd,
        &stats.acl_access_denied_key,
        &stats.acl_access_denied_channel,
    ];
    assert_eq!(counts.map(|counter| counter.load(Ordering::Relaxed)), [1, 1, 2, 0]);
    let log = t.run("ACL LOG");
    let objects = [r#""object", "c""#, r#""object", "b""#, r#""object", "set""#, "AUTH"];
    let places: Vec<usize> = objects.iter().map(|object| log.find(object).unwrap()).collect();
    assert!(places.is_sorted(), "{log}");
    let slow = t.run("SLOWLOG GET");
    let users = t.run("ACL LIST");
    assert!(![&log, &slow, &users].iter().any(|text| text.contains("secret")), "{slow}");
    assert!(slow.contains(r#"["ACL", "SETUSER", "(redacted)", "(redacted)""#), "{slow}");
}

#[test]
fn files_are_loaded_whole_or_not_at_all() {
    let path = std::env::temp_dir().join(format!("users-{}.acl", std::process::id()));
    let text = path.to_str().unwrap();
    std::fs::write(&path, "user a on nopass +@all ~* &*\nuser b on nopass +@all ~* &*\n").unwrap();
    let mut t = TestServer::with_config(&[("aclfile", text)]);
    t.check("ACL USERS", r#"["a", "b", "default"]"#);
    let (a, b) = (client_as(&mut t, "a"), client_as(&mut t, "b"));
    std::fs::write(&path, "user b on nopass +get ~*\nuser c on\nuser c off\n").unwrap();
    let error = t.run("ACL LOAD");
    assert!(error.starts_with("-ERR WARNING: Duplicate user 'c' found on line 3. "), "{error}");
    t.check("ACL USERS", r#"["a", "b", "default"]"#);
    std::fs::write(&path, "user b on nopass +get ~*\nuser c on\n").unwrap();
    t.check_all(&[("ACL LOAD", "+OK"), ("ACL USERS", r#"["b", "c", "default"]"#)]);
    assert!(a.client.handle.is_killed() && !b.client.handle.is_killed());
    let mut b = b;
    let denied = "-NOPERM User b has no permissions to run the 'set' command";
    assert_eq!(t.run_as(&mut b, "SET k v"), denied);
    t.check_all(&[("ACL SETUSER c (+get ~x)", "+OK"), ("ACL SAVE", "+OK")]);
    let saved = std::fs::read_to_string(&path).unwrap();
    let expected = "user b on nopass sanitize-payload ~* resetchannels -@all +get\n\
                    user c on sanitize-payload resetchannels -@all (~x resetchannels -@all +get)\n\
                    user default on nopass sanitize-payload ~* &* +@all\n";
    assert_eq!(saved, expected);
    std::fs::remove_file(&path).unwrap();
    let error = t.run("ACL LOAD");
    assert!(error.contains("Error loading ACLs, opening file"), "{error}");
}

#[test]
fn passwords_are_made_up() {
    let mut t = TestServer::new();
    let (one, other) = (t.run("ACL GENPASS"), t.run("ACL GENPASS"));
    assert!(one.len() == 66 && one != other, "{one}");
    assert_eq!((t.run("ACL GENPASS 5").len(), t.run("ACL GENPASS 4096").len()), (4, 1026));
}

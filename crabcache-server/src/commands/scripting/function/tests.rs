//! FUNCTION and FCALL in process.

use crate::testing::{TestServer, temp_dir};

const MY: &str = "#!lua name=my\n\
    local calls = 0\n\
    redis.register_function('put', function(keys, args) \
        return redis.call('SET', keys[1], args[1]) end)\n\
    redis.register_function{function_name='peek', flags={'no-writes'}, description='reads', \
        callback=function(keys) return redis.call('GET', keys[1]) end}\n\
    redis.register_function{function_name='cheat', flags={'no-writes'}, \
        callback=function(keys) return redis.call('DEL', keys[1]) end}\n\
    redis.register_function('count', function() calls = calls + 1 return calls end)";

fn load(t: &mut TestServer, code: &str) -> String {
    t.run_words(&[b"FUNCTION", b"LOAD", code.as_bytes()])
}

fn with_my() -> TestServer {
    let mut t = TestServer::new();
    assert_eq!(load(&mut t, MY), "\"my\"");
    t.propagated();
    t
}

#[test]
fn functions_run_commands() {
    let mut t = with_my();
    t.check_all(&[
        ("FCALL put 1 k v", "+OK"),
        ("FCALL PEEK 1 k", "\"v\""),
        ("FCALL_RO peek 1 k", "\"v\""),
        ("FCALL count 0", ":1"),
        ("FCALL count 0", ":2"),
        ("FCALL nosuch 0", "-ERR Function not found"),
        ("FCALL put x k", "-ERR Bad number of keys provided"),
        ("FCALL put 2 k", "-ERR Number of keys can't be greater than number of args"),
        ("FCALL put -1 k", "-ERR Number of keys can't be negative"),
        ("FCALL_RO put 1 k v", "-ERR Can not execute a script with write flag using *_ro command."),
    ]);
    let reply = t.run("FCALL cheat 1 k");
    assert!(reply.contains("Write commands are not allowed from read-only scripts"), "{reply}");
    assert_eq!(t.propagated(), ["SET k v"]);
    assert_eq!(t.events(), ["set k"]);
}

#[test]
fn libraries_come_and_go_as_a_whole() {
    let mut t = with_my();
    assert_eq!(load(&mut t, MY), "-ERR Library 'my' already exists");
    let other = MY.replace("name=my", "name=other");
    assert_eq!(load(&mut t, &other), "-ERR Function put already exists");
    let shorter = "#!lua name=my\nredis.register_function('put', function() return 7 end)";
    let replace: [&[u8]; 4] = [b"FUNCTION", b"LOAD", b"REPLACE", shorter.as_bytes()];
    assert_eq!(t.run_words(&replace), "\"my\"");
    t.check_all(&[
        ("FCALL put 0", ":7"),
        ("FCALL peek 1 k", "-ERR Function not found"),
        ("FUNCTION DELETE other", "-ERR Library not found"),
        ("FUNCTION DELETE my", "+OK"),
        ("FUNCTION LIST", "[]"),
    ]);
    assert_eq!(t.propagated().len(), 2);
    // What fails leaves nothing behind.
    let half = "#!lua name=half\nredis.register_function('a', function() end) error('no')";
    assert!(load(&mut t, half).starts_with("-ERR Error registering functions"));
    let twice = "#!lua name=twice\nlocal f = function() end \
        redis.register_function('a', f) redis.register_function('a', f)";
    assert!(load(&mut t, twice).contains("Function already exists in the library"));
    t.check_all(&[("FUNCTION LIST", "[]"), ("FCALL a 0", "-ERR Function not found")]);
}

#[test]
fn dumps_are_restored_by_policy() {
    let mut t = with_my();
    let dump = t.dump_functions();
    let restore =
        |t: &mut TestServer, policy: &[u8]| t.run_words(&[b"FUNCTION", b"RESTORE", &dump, policy]);
    assert_eq!(restore(&mut t, b"APPEND"), "-ERR Library my already exists");
    assert_eq!(restore(&mut t, b"REPLACE"), "+OK");
    load(&mut t, "#!lua name=more\nredis.register_function('more', function() return 1 end)");
    assert_eq!(restore(&mut t, b"FLUSH"), "+OK");
    t.check_all(&[
        ("FCALL more 0", "-ERR Function not found"),
        ("FCALL put 1 k v", "+OK"),
        ("FUNCTION FLUSH", "+OK"),
        ("FCALL put 1 k v", "-ERR Function not found"),
    ]);
    assert_eq!(restore(&mut t, b"APPEND"), "+OK");
    t.check("FCALL peek 1 k", "\"v\"");
    let mut damaged = dump.clone();
    damaged[3] ^= 1;
    let reply = t.run_words(&[b"FUNCTION", b"RESTORE", &damaged]);
    assert_eq!(reply, "-ERR DUMP payload version or checksum are wrong");
}

#[test]
fn a_snapshot_does_not_silently_replace_a_library() {
    let dir = temp_dir("reload-functions");
    let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
    load(&mut t, MY);
    const FAILED: &str = "-ERR Error trying to load the RDB dump, check server logs.";
    t.check_all(&[
        ("DEBUG RELOAD NOFLUSH", FAILED),
        ("DEBUG RELOAD NOFLUSH MERGE", "+OK"),
        ("DEBUG RELOAD", "+OK"),
        ("FCALL put 1 k v", "+OK"),
    ]);
    let shorter = "#!lua name=other\nredis.register_function('f', function() return 7 end)";
    load(&mut t, shorter);
    t.check_all(&[
        ("DEBUG RELOAD NOSAVE NOFLUSH MERGE", "+OK"),
        ("FCALL f 0", ":7"),
        ("FCALL peek 1 k", "\"v\""),
    ]);
}

/// Each of them takes a place on a stack of Lua if it is held by the program.
#[test]
fn there_may_be_more_scripts_and_functions_than_lua_has_places_for() {
    let mut t = TestServer::new();
    let first = t.run("SCRIPT LOAD 'return 0'");
    for number in 1..8200 {
        assert_eq!(t.run(&format!("SCRIPT LOAD 'return {number}'")).len(), 42, "{number}");
    }
    t.check(&format!("EVALSHA {first} 0"), ":0");
    let many = "#!lua name=many\nfor i = 1, 8200 do \
        redis.register_function('f' .. i, function() return i end) end";
    assert_eq!(load(&mut t, many), "\"many\"");
    for number in (1..8200).rev() {
        t.check(&format!("FCALL f{number} 0"), &format!(":{number}"));
    }
    t.check("FUNCTION DELETE many", "+OK");
    assert_eq!(load(&mut t, MY), "\"my\"");
    t.check_all(&[("FCALL f1 0", "-ERR Function not found"), ("FCALL put 1 k v", "+OK")]);
}

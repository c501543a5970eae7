//! EVAL and its siblings in process.

use crate::testing::TestServer;

#[test]
fn scripts_run_commands() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("EVAL 'return redis.call(\"SET\", KEYS[1], ARGV[1])' 1 k v", "+OK"),
        ("EVAL 'return redis.call(\"GET\", KEYS[1])' 1 k", "\"v\""),
        (
            "EVAL 'return {1, 2.9, \"a\", true, false, {ok=\"fine\"}}' 0",
            "[:1, :2, \"a\", :1, nil, +fine]",
        ),
        ("EVAL 'return redis.call(\"GET\", \"k\" .. \"\")' 0", "\"v\""),
        ("EVAL 'return #redis.call(\"KEYS\", \"*\")' 0", ":1"),
        ("EVAL 'return redis.call(\"BLPOP\", \"none\", 0)' 0", "nil"),
    ]);
    assert_eq!(t.events(), ["set k"]);
    assert_eq!(t.propagated(), ["SET k v"]);
}

#[test]
fn effects_of_scripts() {
    let mut t = TestServer::new();
    t.check("EVAL 'redis.call(\"INCR\", KEYS[1]) redis.call(\"DEL\", KEYS[1]) return 1' 1 k", ":1");
    assert_eq!(t.events(), ["incrby k", "del k"]);
    assert_eq!(t.propagated(), ["INCR k", "DEL k"]);
    t.check("EVAL 'redis.set_repl(redis.REPL_NONE) redis.call(\"INCR\", KEYS[1])' 1 k", "nil");
    assert_eq!((t.events().len(), t.propagated().len()), (1, 0));
    t.check("EVAL 'redis.call(\"SELECT\", 3) redis.call(\"SET\", \"a\", 1)' 0", "nil");
    assert_eq!(t.propagated(), ["@3 SET a 1"]);
    t.check("GET a", "nil");
}

#[test]
fn scripts_in_transactions() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("MULTI", "+OK"),
        ("EVAL 'return redis.call(\"SET\", KEYS[1], 1)' 1 a", "+QUEUED"),
        ("EVAL 'return redis.call(\"GET\", \"a\" .. \"\")' 0", "+QUEUED"),
        ("EXEC", "[+OK, \"1\"]"),
        ("WATCH w", "+OK"),
        ("EVAL 'redis.call(\"SET\", KEYS[1], 1)' 1 w", "nil"),
        ("MULTI", "+OK"),
        ("EXEC", "nil"),
    ]);
}

#[test]
fn expired_keys_are_gone_for_scripts() {
    let mut t = TestServer::new();
    t.run("SET k v PX 10");
    t.advance_ms(11);
    t.check("EVAL 'return redis.call(\"EXISTS\", KEYS[1])' 1 k", ":0");
}

#[test]
fn calls_are_counted() {
    let mut t = TestServer::new();
    t.run("EVAL 'redis.call(\"SET\", KEYS[1], 1) redis.pcall(\"LPUSH\", KEYS[1], 1) redis.pcall(\"NOSUCH\")' 1 k");
    let info = t.run("INFO commandstats errorstats");
    for expected in [
        "cmdstat_set:calls=1",
        "cmdstat_lpush:calls=1",
        "cmdstat_eval:calls=1",
        "errorstat_WRONGTYPE:count=1",
        "errorstat_ERR:count=1",
    ] {
        assert!(info.contains(expected), "{expected} {info}");
    }
}

#[test]
fn a_returned_error_is_a_failed_call() {
    let mut t = TestServer::new();
    t.run("EVAL 'return redis.pcall(\"SELECT\", 99)' 0");
    t.run("EVAL 'return redis.pcall(\"SELECT\", 99).err' 0");
    let info = t.run("INFO commandstats errorstats");
    let eval = info.split("cmdstat_eval:").nth(1).unwrap();
    assert!(eval.starts_with("calls=2,"), "{eval}");
    assert!(eval.split("failed_calls=").nth(1).unwrap().starts_with('1'), "{eval}");
    assert!(info.contains("errorstat_ERR:count=2"), "{info}");
}

#[test]
fn scripts_cannot_do_harm() {
    let mut t = TestServer::new();
    for script in [
        "local function f() return f() + 1 end f()",
        "local s = string.rep(\"a\", 1000000) for i = 1, 3 do s = s .. s end return #s",
        "return string.find(string.rep(\"a\", 300000), string.rep(\"a?\", 200000))",
        "local t = {} t[1] = t return t",
        "local t = {} for i = 1, 10000 do t = {t} end return cjson.encode(t)",
        "return cjson.decode(string.rep(\"[\", 100000))",
        "return cmsgpack.unpack(string.rep(string.char(0x91), 100000))",
        "return cmsgpack.unpack(string.char(0xdd, 255, 255, 255, 255))",
        "cjson.encode_max_depth(1000000) local t = {} for i = 1, 5000 do t = {t} end return cjson.encode(t)",
        "error(setmetatable({}, {__tostring = function() error(\"x\") end}))",
        "error(coroutine.create(function() end))",
        "local co co = coroutine.wrap(function() return co() end) return co()",
        "return unpack({}, 1, 100000000)",
        "return unpack({}, 1, -2147483648)",
        "return unpack({1, 2, 3}, -2, 2147483647)",
        "return unpack({1, 2, 3}, -2147483648)",
        "return unpack({1, 2, 3}, 2147483648, 5)",
        "return unpack({1, 2, 3}, 0/0, 2147483647)",
        "return unpack({}, 2147483646, 2147483647)",
        "return bit.tohex(65535, -2147483648)",
        "return bit.rol(-1, 1e308)",
        "return struct.pack(\"I2147483648\", 10)",
        "return struct.unpack(\"s\", \"abc\", 2147483647)",
        "return string.format(\"%99999d\", 1)",
        "return loadstring(\"return [\" .. string.rep(\"=\", 100000))",
        "for i = 1, 20000 do loadstring(string.rep(\"x\", i % 50), \"n\" .. i) end return 1",
        "return cjson.encode({[1] = 1, [4294967296] = 2})",
        "return ((\"x\"):rep(100)):format(unpack({}))",
        "for i = 1, 250 do local ok = pcall(function() error({}) end) end return 1",
        "local f = function() end for i = 1, 300 do local g = f f = function() return pcall(g) end end return f()",
        "return redis.call(\"EVAL\", \"return 1\", 0)",
        "return setmetatable({}, {__index = function(t, k) return t[k .. \"x\"] end}).a",
    ] {
        t.run(&format!("EVAL '{script}' 0"));
        t.check("PING", "+PONG");
        t.check("EVAL 'return 1' 0", ":1");
    }
}

#[test]
fn globals_cannot_be_left_behind() {
    let mut t = TestServer::new();
    for script in [
        "rawset(_G, \"x\", 1)",
        "table.insert(_G, 1)",
        "_G.x = 1",
        "getmetatable(_G).__index = function() return 1 end",
        "getmetatable(\"\").__index = {}",
        "for k, v in pairs(_G) do if k == \"redis\" then v.x = 1 end end",
        "local f, s = pairs(redis) s.x = 1",
        "loadstring(\"x = 1\")()",
        "coroutine.wrap(function() x = 1 end)()",
    ] {
        let reply = t.run(&format!("EVAL '{script}' 0"));
        assert!(reply.contains("readonly table"), "{script}: {reply}");
        let reply = t.run("EVAL 'return {rawget(_G, \"x\"), rawget(redis, \"x\"), x}' 0");
        assert!(reply.contains("nonexistent global variable 'x'"), "{reply}");
    }
}

#[test]
fn settings_of_a_script_end_with_it() {
    let mut t = TestServer::new();
    t.run("EVAL 'cjson.encode_number_precision(3) redis.setresp(3)' 0");
    t.check("EVAL 'return cjson.encode(1/3)' 0", "\"0.33333333333333\"");
    t.check("EVAL 'return false' 0", "nil");
}

/// Scripts that write, that may as far as they say, and that say that they do not.
const WRITES: &str = r#"EVAL "return redis.call('SET', KEYS[1], 1)" 1 k"#;
const DECLARES: &str = r##"EVAL "#!lua\nreturn 1" 0"##;
const READS: &str = r##"EVAL "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])" 1 k"##;

#[track_caller]
fn check_start(t: &mut TestServer, line: &str, expected: &str) {
    let reply = t.run(line);
    assert!(reply.starts_with(expected), "{line}: {reply}");
}

#[test]
fn scripts_that_write_need_good_replicas() {
    const REFUSED: &str = "-NOREPLICAS Not enough good replicas to write.";
    let mut t = TestServer::with_config(&[("min-replicas-to-write", "1")]);
    t.server.conditions.set_lacks_replicas(true);
    check_start(&mut t, WRITES, &format!("{REFUSED} script: "));
    check_start(&mut t, DECLARES, REFUSED);
    check_start(&mut t, READS, "nil");
    t.server.conditions.set_lacks_replicas(false);
    check_start(&mut t, WRITES, "+OK");
    check_start(&mut t, DECLARES, ":1");
}

#[test]
fn scripts_that_write_do_not_run_on_replicas() {
    const REFUSED: &str = "READONLY You can't write against a read only replica.";
    let mut t = TestServer::new();
    for (script, expected) in [
        (WRITES, format!("[-{REFUSED} script: ")),
        (DECLARES, format!("-EXECABORT Transaction discarded because of: {REFUSED}")),
        (READS, "[nil]".to_string()),
    ] {
        t.check_all(&[("MULTI", "+OK"), (script, "+QUEUED")]);
        t.server.conditions.set_replica(true);
        check_start(&mut t, "EXEC", &expected);
        t.server.conditions.set_replica(false);
    }
    t.server.conditions.set_replica(true);
    check_start(&mut t, WRITES, &format!("-{REFUSED} script: "));
    check_start(&mut t, DECLARES, &format!("-{REFUSED}"));
    check_start(&mut t, READS, "nil");
}

#[test]
fn old_data_is_shown_to_scripts_that_ask_for_it() {
    const DOWN: &str = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set";
    const ALLOWS: &str =
        r##"EVAL "#!lua flags=no-writes,allow-stale\nreturn redis.call(unpack(ARGV))" 0"##;
    let mut t = TestServer::with_config(&[("replica-serve-stale-data", "no")]);
    t.check_all(&[("MULTI", "+OK"), (READS, "+QUEUED")]);
    t.server.conditions.set_replica(true);
    check_start(&mut t, "EXEC", "-EXECABORT Transaction discarded because of: MASTERDOWN Link");
    for line in [WRITES, READS, "GET k"] {
        check_start(&mut t, line, DOWN);
    }
    check_start(&mut t, &format!("{ALLOWS} ECHO x"), "\"x\"");
    let refused = "-ERR Can not execute the command on a stale replica script: ";
    check_start(&mut t, &format!("{ALLOWS} DBSIZE"), refused);
}

#[test]
fn scripts_that_only_read_have_no_keys_tracked_but_what_they_read() {
    let mut t = TestServer::new();
    let mut reader = t.client();
    t.run_as(&mut reader, "HELLO 3");
    t.run_as(&mut reader, "CLIENT TRACKING on");
    t.run_as(&mut reader, r#"EVAL_RO "return redis.call('PING')" 1 k"#);
    t.run("SET k 1");
    assert_eq!(t.taken_by(&mut reader), "");
    t.run_as(&mut reader, r#"EVAL_RO "return redis.call('GET', 'o')" 2 k o"#);
    t.run("MSET k 1 o 1");
    assert_eq!(t.taken_by(&mut reader), ">2 $10 invalidate *1 $1 o ");
}

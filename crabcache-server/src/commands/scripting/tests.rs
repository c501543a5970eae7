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

"""redis-py against the server at 127.0.0.1:PORT. Usage: redis_py.py PORT PARSER, the parser being
`hiredis` or `python`."""

import sys
import time

import redis
from redis.cache import CacheConfig
from redis.utils import HIREDIS_AVAILABLE

port, parser = int(sys.argv[1]), sys.argv[2]
assert HIREDIS_AVAILABLE == (parser == "hiredis"), "the other environment was started"


def check(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def fails(error, call):
    try:
        call()
    except error as failure:
        return str(failure)
    raise AssertionError(f"no {error.__name__}")


def strings(r):
    check(r.set("k", b"a\r\n\x00\xff"), True)
    check(r.get("k"), b"a\r\n\x00\xff")
    check(r.set("k", "v", nx=True), None)
    check(r.set("k", "w", xx=True, get=True), b"a\r\n\x00\xff")
    check(r.set("k", "x", px=100_000), True)
    assert 0 < r.pttl("k") <= 100_000
    check(r.getex("k", persist=True), b"x")
    check(r.ttl("k"), -1)
    check(r.mset({"a": 1, "b": 2}), True)
    check(r.mget("a", "b", "none"), [b"1", b"2", None])
    check(r.incrby("a", 41), 42)
    check(r.incrbyfloat("f", "0.1"), 0.1)
    check(r.incrbyfloat("f", "0.2"), 0.3)
    check(r.append("s", "hello"), 5)
    check(r.setrange("s", 7, "x"), 8)
    check(r.getrange("s", 0, -1), b"hello\x00\x00x")
    check(r.getdel("s"), b"hello\x00\x00x")
    big = b"x" * 5_000_000
    r.set("big", big)
    check(r.get("big"), big)


def keys(r):
    r.mset({f"key:{i}": i for i in range(1000)})
    check(r.dbsize(), 1000)
    check(len(set(r.scan_iter("key:*", count=50))), 1000)
    check(sorted(r.keys("key:99*")), sorted([b"key:99"] + [b"key:99%d" % i for i in range(10)]))
    check(r.exists("key:1", "key:2", "none"), 2)
    check(r.rename("key:1", "key:new"), True)
    check(r.type("key:new"), b"string")
    check(r.copy("key:new", "key:copy"), True)
    check(r.expire("key:copy", 100), True)
    check(r.persist("key:copy"), True)
    check(r.delete("key:copy", "key:new"), 2)
    check(r.unlink("key:2"), 1)
    check(r.object("encoding", "key:3"), b"int")
    payload = r.dump("key:3")
    check(r.restore("restored", 0, payload), b"OK")
    check(r.get("restored"), b"3")
    assert r.randomkey() is not None


def transactions(r):
    with r.pipeline(transaction=True) as pipe:
        check(pipe.set("a", 1).incr("a").get("a").execute(), [True, 2, b"2"])
    with r.pipeline() as pipe:
        pipe.watch("a")
        r.set("a", 10)
        pipe.multi()
        pipe.incr("a")
        fails(redis.WatchError, pipe.execute)
    with r.pipeline(transaction=False) as pipe:
        for i in range(5000):
            pipe.set(f"p{i}", i)
            pipe.get(f"p{i}")
        replies = pipe.execute()
        check(replies, [x for i in range(5000) for x in (True, b"%d" % i)])
    r.set("text", "abc")
    message = fails(redis.ResponseError, lambda: r.incr("text"))
    check(message, "value is not an integer or out of range")


def connections(r):
    assert r.ping()
    check(r.echo("hello"), b"hello")
    assert r.client_id() > 0
    check(r.client_setname("one"), True)
    r.client_setinfo("LIB-NAME", "test")
    assert any(client["lib-name"] for client in r.client_list())
    info = r.info()
    check(info["redis_version"], "8.2.3")
    assert info["connected_clients"] >= 1
    assert r.config_get("maxmemory")["maxmemory"] == "0"
    check(r.config_set("timeout", 100), True)
    check(r.config_get("timeout"), {"timeout": "100"})
    check(r.config_set("timeout", 0), True)
    assert r.time()[0] > 1_000_000_000
    assert "get" in r.command()
    # Strings in one protocol, bytes in the other: so it is with the reference, too.
    keys = r.command_getkeys("MSET", "a", "1", "b", "2")
    check([key.decode() if isinstance(key, bytes) else key for key in keys], ["a", "b"])
    r.slowlog_get()
    other = redis.Redis(port=port, db=1, protocol=r.connection_pool.connection_kwargs["protocol"])
    other.set("only-here", 1)
    check(r.get("only-here"), None)
    check(r.swapdb(0, 1), True)
    check(r.get("only-here"), b"1")
    other.close()


def messages(r):
    def take(pubsub):
        # The first that is no confirmation.
        for _ in range(100):
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
            if message:
                return message["type"], message["pattern"], message["channel"], message["data"]
        raise AssertionError("no message")

    pubsub = r.pubsub()
    pubsub.subscribe("news", "other")
    pubsub.psubscribe("n*")
    pubsub.get_message(timeout=1), pubsub.get_message(timeout=1), pubsub.get_message(timeout=1)
    check(r.pubsub_numsub("news", "none"), [(b"news", 1), (b"none", 0)])
    check(r.pubsub_numpat(), 1)
    check(sorted(r.pubsub_channels()), [b"news", b"other"])
    check(r.publish("news", "one"), 2)
    check(take(pubsub), ("message", None, b"news", b"one"))
    check(take(pubsub), ("pmessage", b"n*", b"news", b"one"))
    pubsub.ping()
    pubsub.punsubscribe()
    pubsub.unsubscribe("news")
    pubsub.get_message(timeout=1), pubsub.get_message(timeout=1)
    check(r.publish("news", "two"), 0)
    check(r.publish("other", b"\x00\r\n"), 1)
    check(take(pubsub), ("message", None, b"other", b"\x00\r\n"))
    pubsub.close()

    r.config_set("notify-keyspace-events", "KEA")
    pubsub = r.pubsub()
    pubsub.psubscribe("__key*__:*")
    pubsub.get_message(timeout=1)
    r.set("watched", 1)
    check(take(pubsub)[2:], (b"__keyspace@0__:watched", b"set"))
    check(take(pubsub)[2:], (b"__keyevent@0__:set", b"watched"))
    pubsub.close()
    r.config_set("notify-keyspace-events", "")

    received = []
    pubsub = r.pubsub()
    pubsub.subscribe(**{"work": lambda message: received.append(int(message["data"]))})
    thread = pubsub.run_in_thread(sleep_time=0.01)
    while r.pubsub_numsub("work") != [(b"work", 1)]:
        time.sleep(0.01)
    for i in range(1000):
        r.publish("work", i)
    while len(received) < 1000:
        time.sleep(0.01)
    thread.stop()
    thread.join()
    check(received, list(range(1000)))


def cached_reads():
    cached = redis.Redis(port=port, protocol=3, cache_config=CacheConfig())
    r = redis.Redis(port=port)
    r.set("cached", 1)
    check(cached.get("cached"), b"1")
    check(cached.get("cached"), b"1")
    check(cached.get_cache().size, 1)
    info = r.info()
    check((info["tracking_clients"], info["tracking_total_keys"]), (1, 1))
    r.set("cached", 2)
    time.sleep(0.05)
    check(cached.get("cached"), b"2")
    r.flushall()
    time.sleep(0.05)
    check(cached.get("cached"), None)
    cached.close()
    r.close()


cached_reads()
for protocol in (2, 3):
    r = redis.Redis(port=port, protocol=protocol)
    for part in (strings, keys, transactions, connections, messages):
        r.flushall()
        part(r)
    r.flushall()
    r.close()

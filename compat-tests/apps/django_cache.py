"""Django's own Redis cache, django-redis with its additions, sessions, and redis-py's locks."""

import sys
import threading
import time

import django
import redis
from django.conf import settings

PORT = int(sys.argv[1])
LOCATION = f"redis://127.0.0.1:{PORT}/2"
settings.configure(
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": LOCATION},
        "more": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": LOCATION,
            "KEY_PREFIX": "more",
            "OPTIONS": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
        },
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402


def check_cache(cache):
    cache.clear()
    cache.set("a", {"nested": [1, "two", None]}, 30)
    assert cache.get("a") == {"nested": [1, "two", None]}
    assert cache.add("a", 1) is False and cache.add("b", 5) is True
    assert cache.incr("b", 3) == 8 and cache.decr("b") == 7
    cache.set_many({"c": "x" * 10_000, "d": 2}, timeout=50)
    assert cache.get_many(["a", "c", "none"]) == {"a": {"nested": [1, "two", None]}, "c": "x" * 10_000}
    assert cache.touch("c", 100) and "c" in cache
    cache.set("brief", 1, 0.05)
    time.sleep(0.1)
    assert cache.get("brief") is None or cache.get("brief") == 1
    assert cache.get_or_set("e", lambda: 9) == 9
    cache.delete_many(["a", "b"])
    assert cache.get("a") is None and cache.get("d") == 2


def check_additions(cache):
    cache.set("user:1", 1, timeout=None)
    cache.set("user:2", 2, timeout=100)
    assert cache.ttl("user:1") is None and 90 < cache.ttl("user:2") <= 100
    assert sorted(cache.iter_keys("user:*")) == ["user:1", "user:2"]
    assert cache.persist("user:2") and cache.expire("user:2", timeout=5)
    assert cache.delete_pattern("user:*") == 2
    with cache.lock("lock", timeout=5):
        assert cache.lock("lock", timeout=5, blocking_timeout=0.01).acquire(blocking=False) is False


def check_sessions():
    session = SessionStore()
    session["name"] = "crab"
    session.save()
    assert SessionStore(session_key=session.session_key)["name"] == "crab"
    session.delete()
    assert not SessionStore().exists(session.session_key)


def check_locks():
    client = redis.Redis(port=PORT)
    client.set("n", 0)

    def work():
        for _ in range(20):
            with client.lock("counter", timeout=5, sleep=0.001):
                client.set("n", int(client.get("n")) + 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert client.get("n") == b"160"
    lock = client.lock("long", timeout=1)
    assert lock.acquire() and lock.extend(5) and lock.owned()
    assert 4 < client.pttl("long") / 1000 <= 6
    assert lock.reacquire()
    lock.release()


check_cache(caches["default"])
check_cache(caches["more"])
check_additions(caches["more"])
check_sessions()
check_locks()

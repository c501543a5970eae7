"""A client that finds its servers through sentinels and goes on through a failover: it counts up on
the primary and reads from replicas until its input ends. Prints how often it has succeeded and failed.
Usage: redis_py_sentinel.py PORT..., the sentinels' ports"""

import select
import sys
import time

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

GROUP = "main"

sentinel = Sentinel([("127.0.0.1", int(port)) for port in sys.argv[1:]], socket_timeout=1)
primary = sentinel.master_for(GROUP, socket_timeout=1)
replica = sentinel.slave_for(GROUP, socket_timeout=1)


def attempt():
    """Whether a write and a read have succeeded."""
    try:
        primary.incr("by-client")
        replica.get("by-client")
        return True
    except (redis.RedisError, MasterNotFoundError):
        return False


n_done = n_failed = 0
while not select.select([sys.stdin], [], [], 0.005)[0]:
    if attempt():
        n_done += 1
    else:
        n_failed += 1

end = time.monotonic() + 10
while not attempt():
    assert time.monotonic() < end, "it does not work any more"
assert primary.execute_command("ROLE")[0] == b"master"
# Its connection may have been made when the sentinels did not know yet who was promoted: ask them anew.
replica.connection_pool.disconnect()
assert replica.execute_command("ROLE")[0] == b"slave"
print(n_done, n_failed)

"""What monitoring and graphical tools ask when they connect: a scrape as redis_exporter does it, and
the requests of RedisInsight."""

import sys

import redis

client = redis.Redis(port=int(sys.argv[1]), decode_responses=True)

# Fields that redis_exporter turns into metrics, by section.
SCRAPED = {
    "server": "redis_version redis_mode os process_id tcp_port run_id uptime_in_seconds hz",
    "clients": "connected_clients maxclients client_recent_max_input_buffer blocked_clients tracking_clients",
    "memory": "used_memory used_memory_rss used_memory_peak used_memory_lua used_memory_overhead "
    "used_memory_startup used_memory_dataset total_system_memory maxmemory maxmemory_policy "
    "mem_fragmentation_ratio mem_clients_normal allocator_active allocator_allocated lazyfree_pending_objects",
    "persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time "
    "rdb_last_bgsave_status rdb_last_bgsave_time_sec aof_enabled",
    "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec "
    "total_net_input_bytes total_net_output_bytes rejected_connections expired_keys evicted_keys "
    "keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec",
    "replication": "role connected_slaves master_replid master_repl_offset",
    "cpu": "used_cpu_sys used_cpu_user",
}


def scrape():
    client.set("key", "value", ex=100)
    client.get("none")
    try:
        client.lpush("key", 1)
    except redis.ResponseError:
        pass
    text = client.execute_command("INFO", "ALL")
    sections = {}
    raw = redis.Redis(port=int(sys.argv[1]))
    raw.set_response_callback("INFO", lambda reply, **_: reply)
    for line in raw.execute_command("INFO", "ALL").decode().split("\r\n"):
        if line.startswith("# "):
            fields = sections.setdefault(line[2:].lower(), {})
        elif line:
            name, value = line.split(":", 1)
            fields[name] = value
    for section, names in SCRAPED.items():
        missing = [name for name in names.split() if name not in sections[section]]
        assert not missing, (section, missing)
    assert text["db0"]["keys"] >= 1 and text["db0"]["expires"] >= 1
    commands = sections["commandstats"]
    usec = dict(part.split("=") for part in commands["cmdstat_set"].split(","))
    assert {"calls", "usec", "usec_per_call", "rejected_calls", "failed_calls"} <= set(usec)
    assert sections["errorstats"]["errorstat_WRONGTYPE"].startswith("count=")
    assert "p99=" in sections["latencystats"]["latency_percentiles_usec_set"]
    histogram = client.execute_command("LATENCY", "HISTOGRAM", "set")
    assert histogram, histogram
    client.execute_command("LATENCY", "LATEST")
    assert client.slowlog_len() >= 0 and isinstance(client.slowlog_get(10), list)
    assert client.config_get("*")["maxmemory"] is not None
    assert client.client_list() and client.dbsize() >= 1
    client.execute_command("LATENCY", "RESET")


def insight():
    assert client.execute_command("CLIENT", "SETINFO", "LIB-NAME", "insight") in ("OK", True)
    client.execute_command("CLIENT", "SETNAME", "redisinsight-common-0")
    assert client.info("server")["redis_version"]
    assert client.config_get("databases")["databases"] == "16"
    modules = client.execute_command("MODULE", "LIST")
    assert isinstance(modules, list), modules
    commands = client.execute_command("COMMAND")
    assert len(commands) > 200
    assert client.execute_command("ACL", "WHOAMI") == "default"
    assert client.execute_command("ACL", "DRYRUN", "default", "GET", "x")
    cursor, keys = client.scan(0, match="*", count=500, _type="string")
    assert isinstance(cursor, int) and "key" in keys
    assert client.type("key") == "string" and client.ttl("key") > 0
    assert client.memory_usage("key") > 0
    assert client.object("encoding", "key")
    assert client.execute_command("MEMORY", "STATS")["total.allocated"] > 0
    pipeline = client.pipeline(transaction=False)
    for name in ("FT._LIST", "JSON.GET"):
        pipeline.execute_command(name, "x")
    replies = pipeline.execute(raise_on_error=False)
    assert all(str(reply).startswith("unknown command") for reply in replies), replies
    with client.monitor() as monitor:
        client.ping()
        # A new connection may introduce itself before.
        while monitor.next_command()["command"] != "PING":
            pass


scrape()
insight()

"""Driver of the benchmarks: servers side by side, loads, what they cost, tables.

The load is redis-benchmark's, or that of our own generator where redis-benchmark takes more time than
the servers (`OwnLoad`); each row can be repeated by hand. The figures are taken from two places: rates
and latencies from the generator, CPU time and memory from what the kernel accounts to the server
process. All servers stay up while one after the other is under load, round after
round, so that whatever else the machine does meets them alike; a ratio is the median of the ratios
of single rounds.

Python's standard library only.
"""

import argparse
import dataclasses
import datetime
import functools
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import platform
import random
import re
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools" / "bin"
PERCENTILES = (50, 99, 99.9, 99.99)
CRABCACHE, REDIS, REDIS_THREADS = "crabcache", "redis", "redis, io-threads 2"
CRABCACHE_PGO = "crabcache, make pgo"
# What `scripts/pgo` leaves.
PGO_PROGRAM = ROOT / "target" / "pgo" / "crabcache-server"


# --- servers -----------------------------------------------------------------------------------


class Server:
    """A running server and what the kernel knows about it."""

    def __init__(self, name, program, options=(), port=0):
        self.name = name
        self.port = port or free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="crabcache-benchmark-")
        self.command = [str(program), "--port", str(self.port), "--save", "", *options]
        self._start()

    def _start(self):
        self.process = subprocess.Popen(
            self.command, cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                with Connection(self.port) as connection:
                    connection.call("PING")
                return
            except OSError:
                # It does not listen yet, or loads its data.
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"{shlex.join(self.command)} does not answer")
            time.sleep(0.02)

    def start_again(self):
        """Seconds from the end of the process, which saves nothing, until one in its place serves."""
        self.process.kill()
        self.process.wait()
        began = time.monotonic()
        self._start()
        return time.monotonic() - began

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()

    def cpu_us(self):
        """Time that the server's threads have run, user and kernel, to the nanosecond."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e3

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def info(self, field):
        with Connection(self.port) as connection:
            reply = connection.call("INFO", "server")
        found = re.search(rf"^{field}:(.*?)\r?$", reply.decode(errors="replace"), re.MULTILINE)
        return found[1] if found else "?"


class Connection:
    """A client just able to fill a server and to ask it a question."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb", buffering=1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def call(self, *words):
        self.socket.sendall(encode(*words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if line[:1] in (b"-", b""):
            raise OSError(f"server says {line!r}")
        if line[:1] == b"$" and line != b"$-1\r\n":
            return self.file.read(int(line[1:]) + 2)[:-2]
        return line[1:-2]

    def send_all(self, commands, batch_len=500):
        """Sends already encoded commands with simple replies, pipelined."""
        batch = []
        for command in commands:
            batch.append(command)
            if len(batch) == batch_len:
                self._send_batch(batch)
                batch = []
        self._send_batch(batch)

    def _send_batch(self, batch):
        self.socket.sendall(b"".join(batch))
        for _ in batch:
            self.reply()


def encode(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = [b"*%d\r\n" % len(words)]
    parts += (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    return b"".join(parts)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def crabcache_program():
    """CRABCACHE_SERVER, or a release build of this checkout."""
    return os.environ.get("CRABCACHE_SERVER") or built("crabcache-server", "crabcache-server")


@functools.cache
def built(package, program):
    """The path of a program of this checkout, which is built."""
    command = ["cargo", "build", "--release", "--quiet", "--package", package, "--bin", program]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / program


def reference_program():
    """CRABCACHE_REFERENCE, or what `install_reference` installs."""
    if given := os.environ.get("CRABCACHE_REFERENCE"):
        return given
    subprocess.run([ROOT / "scripts" / "install_reference"], check=True)
    return TOOLS / "redis-server-8.2"


def redis_benchmark():
    """Debian's, from wherever it is installed already."""
    found = shutil.which("redis-benchmark", path=f"{TOOLS}:{os.environ.get('PATH', '')}")
    if not found:
        subprocess.run([ROOT / "scripts" / "install_reference"], check=True)
        found = TOOLS / "redis-benchmark"
    return str(found)


class Servers:
    """The servers to compare, all up at once, with the same further options; in a `with` block."""

    def __init__(self, names, port=0, more=()):
        programs = {CRABCACHE: crabcache_program(), REDIS: reference_program()}
        programs[CRABCACHE_PGO] = PGO_PROGRAM
        programs[REDIS_THREADS] = programs[REDIS]
        options = {REDIS_THREADS: ("--io-threads", "2")}
        allow_many_files()
        self.all = []
        for index, name in enumerate(names):
            own_port = port + index if port else 0
            self.all.append(Server(name, programs[name], (*options.get(name, ()), *more), own_port))

    def __enter__(self):
        return self.all

    def __exit__(self, *_):
        for server in self.all:
            server.stop()


def allow_many_files():
    """A thousand connections, on both ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- loads -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Load:
    """A run of redis-benchmark. `test` is one name of its `-t`, or a tuple: words of a command."""

    test: str | tuple
    clients: int = 100
    pipeline: int = 16
    requests: int = 1_000_000
    bytes: int = 64
    random_keys: int = 0
    threads: int = 1
    title: str = ""

    def arguments(self):
        options = ["-c", self.clients, "-n", self.requests, "-d", self.bytes, "-P", self.pipeline]
        if self.random_keys:
            options += ["-r", self.random_keys]
        if self.threads > 1:
            options += ["--threads", self.threads]
        options += ["-t", self.test] if isinstance(self.test, str) else self.test
        return [str(option) for option in options]

    def name(self):
        keys = f", {self.random_keys} keys" if self.random_keys else ""
        test = self.title or self.test.upper()
        return f"{test} -c {self.clients} -P {self.pipeline}{keys}"

    def command_line(self):
        """What repeats it by hand."""
        return shlex.join(["redis-benchmark", "-p", "PORT", *self.arguments()])

    def run(self, server, patience_s):
        """Runs it on a quiet machine, or on a busy one when patience ends."""
        deadline = time.monotonic() + patience_s
        while True:
            wait_for_quiet(deadline)
            began, began_s = foreign_cpu_s(server), time.monotonic()
            run = self._run(server)
            foreign = foreign_cpu_s(server) - began
            elapsed_s = time.monotonic() - began_s
            if foreign < QUIET * elapsed_s or time.monotonic() > deadline:
                return run

    def _run(self, server):
        """Runs it once. A request that is refused or not answered ends the benchmark."""
        command = [redis_benchmark(), "-p", str(server.port), "--precision", "3"]
        command += self.arguments()
        before_us = server.cpu_us()
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        cpu_us = server.cpu_us() - before_us
        completed = re.search(r"(\d+) requests completed", run.stdout)
        if run.returncode != 0 or not completed or int(completed[1]) < self.requests:
            sys.exit(f"{shlex.join(command)}: {run.stdout[-500:]}{run.stderr}")
        rate = re.search(r"throughput summary: ([\d.]+)", run.stdout)
        latencies = latencies_of(run.stdout, int(completed[1]))
        rss_bytes = server.rss_bytes()
        return Run(float(rate[1]), cpu_us / int(completed[1]), latencies, rss_bytes)


@dataclasses.dataclass
class OwnLoad(Load):
    """A run of `load` (compat-tests/src/load/): `test` is the words of a command, or of several with
    `;` between them that count as one request. `pipeline` counts requests, `rate` makes an open
    loop of it: requests a second, each of which counts from when it is due."""

    seconds: float = 1.0
    zipf: float = 0
    rate: int = 0
    mix: tuple = ()
    subscribers: int = 0

    def arguments(self):
        options = ["-c", self.clients, "-P", self.pipeline, "-d", self.bytes, "-s", self.seconds]
        options += ["--subscribers", self.subscribers] if self.subscribers else []
        options += ["--threads", self.threads] if self.threads > 1 else []
        options += ["-r", self.random_keys] if self.random_keys else []
        options += ["--zipf", self.zipf] if self.zipf else []
        options += ["--rate", self.rate] if self.rate else []
        options += [word for command in self.mix for word in ("--mix", command)]
        return [str(option) for option in (*options, *self.test)]

    def command_line(self):
        return shlex.join(["target/release/load", "-p", "PORT", *self.arguments()])

    def name(self):
        keys = f", {self.random_keys} keys" if self.random_keys else ""
        threads = f" --threads {self.threads}" if self.threads > 1 else ""
        rate = f", {self.rate:,} a second" if self.rate else ""
        return f"{self.title or self.test[0]} -c {self.clients} -P {self.pipeline}{threads}{keys}{rate}"

    def ask(self, server):
        """What the generator tells of a run."""
        # Without a warm-up, all CPU time is that of requests that count.
        command = [built("compat-tests", "load"), "-p", str(server.port), "--warm-up", "0"]
        command = [str(word) for word in command] + self.arguments()
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(f"{shlex.join(command)}: {run.stderr}")
        return json.loads(run.stdout)

    def _run(self, server):
        before_us = server.cpu_us()
        told = self.ask(server)
        cpu_us = server.cpu_us() - before_us
        cpu_us /= max(told["requests"], 1)
        return Run(told["rate"], cpu_us, told["latencies_ms"], server.rss_bytes())


@dataclasses.dataclass
class Run:
    """What one run of a load showed."""

    ops: float
    cpu_us: float
    latencies_ms: list
    rss_bytes: int


def latencies_of(output, n_requests):
    """The percentiles, from both of redis-benchmark's distributions.

    It prints, of some latencies, how many requests took no longer. The smallest printed latency
    that covers a percentile is at most one step of the finer list above the true one.
    """
    lines = re.findall(r"<= ([\d.]+) milliseconds \(cumulative count (\d+)\)", output)
    points = sorted((float(latency), int(count)) for latency, count in lines)
    wanted = (n_requests * percentile / 100 for percentile in PERCENTILES)
    longest = points[-1][0]
    # Now and then it loses count of the last ones.
    return [next((ms for ms, count in points if count >= least), longest) for least in wanted]


# Processes other than server and load may take so many cores while a run counts.
QUIET = 0.08


def foreign_cpu_s(server=None):
    """Processor time that all others have taken: since when does not matter."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = ticks
    busy_s = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF):
        usage = resource.getrusage(who)
        busy_s -= usage.ru_utime + usage.ru_stime
    return busy_s - (server.cpu_us() / 1e6 if server else 0)


def wait_for_quiet(deadline):
    while time.monotonic() < deadline:
        began, began_s = foreign_cpu_s(), time.monotonic()
        time.sleep(0.2)
        if foreign_cpu_s() - began < QUIET * (time.monotonic() - began_s):
            return


def measure(servers, load, args):
    """Runs a load on each server in turn, `args.rounds` times. Returns its row."""
    runs = {server.name: [] for server in servers}
    for number in range(args.rounds):
        progress(f"{load.name()}: round {number + 1} of {args.rounds}")
        # Each begins as often as the others: who comes second finds the machine warmer.
        first = number % len(servers)
        for server in servers[first:] + servers[:first]:
            runs[server.name].append(load.run(server, args.patience))
    return Row(load, runs)


def fill(server, random_keys, n_bytes=64):
    """Sets every key that `-r random_keys` may ask for."""
    value = b"x" * n_bytes
    with Connection(server.port) as connection:
        keys = (b"key:%012d" % number for number in range(random_keys))
        connection.send_all(encode("SET", key, value) for key in keys)


def sibling(name):
    """Another script here as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# --- memory ------------------------------------------------------------------------------------


def idle_rss_mb(server):
    time.sleep(1)
    return server.rss_bytes() / 2**20


def bytes_per_key(n_keys, *rest):
    """A measure: what a fresh server grows by for each 16-byte key that is SET with these words."""

    def commands():
        return (encode("SET", b"key:%012d" % number, *rest) for number in range(n_keys))

    return lambda server: growth(server, commands()) / n_keys


def bytes_per_churned_key(n_keys, n_times):
    """The same, when each key is set again and again to 16 to 256 bytes: memory fragments."""

    def commands():
        draw = random.Random(1)
        for number in range(n_keys * n_times):
            yield encode("SET", b"key:%012d" % (number % n_keys), b"x" * draw.randint(16, 256))

    return lambda server: growth(server, commands()) / n_keys


def bytes_each(n_elements, commands):
    """A measure: what a fresh server grows by for each of so many elements."""
    return lambda server: growth(server, commands()) / n_elements


def growth(server, commands):
    before = server.rss_bytes()
    with Connection(server.port) as connection:
        connection.send_all(commands)
    return server.rss_bytes() - before


# --- tables ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """A load and its runs on each server."""

    load: Load
    runs: dict

    def ratio(self, server, of):
        """How a server compares with the reference: the median over the rounds."""
        pairs = zip(self.runs[server], self.runs[REDIS])
        return statistics.median(of(run) / of(reference) for run, reference in pairs)

    def cells(self, server):
        runs = self.runs[server]
        ops = sorted(run.ops for run in runs)
        cpu = sorted(run.cpu_us for run in runs)
        columns = zip(*(run.latencies_ms for run in runs))
        latencies = [f"{statistics.median(column):.3f}" for column in columns]
        ratios = [
            f"{self.ratio(server, lambda run: run.ops):.2f}",
            f"{self.ratio(server, lambda run: run.cpu_us):.2f}",
        ]
        return [
            self.load.name(),
            server,
            f"{statistics.median(ops):,.0f} ({ops[0]:,.0f}..{ops[-1]:,.0f})",
            f"{cpu[0]:.2f} (..{cpu[-1]:.2f})",
            *latencies,
            f"{runs[-1].rss_bytes / 2**20:.1f}",
            *(ratios if server != REDIS else ["1", "1"]),
        ]


COLUMNS = [
    "load", "server", "ops/s: median (range)", "CPU us/command: least (most)",
    *(f"p{percentile:g} ms" for percentile in PERCENTILES),
    "RSS MB", "ops ratio", "CPU ratio",
]  # fmt: skip


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def load_table(rows):
    return markdown(COLUMNS, [row.cells(server) for row in rows for server in row.runs])


def memory_rows(measures, port):
    """Measures of memory, each on fresh servers."""
    rows = []
    for title, measure in measures.items():
        progress(f"memory: {title}")
        figures = []
        for name in (CRABCACHE, REDIS):
            with Servers([name], port) as [server]:
                figures.append(measure(server))
        rows.append([title, *(f"{n:.1f}" for n in figures), f"{figures[0] / figures[1]:.2f}"])
    return rows


def memory_table(rows):
    return markdown(["memory", "crabcache", "redis", "ratio"], rows)


def report(rows, memory, machine_text, rounds):
    """The page docs/benchmarks.md."""
    return f"""# Benchmarks

Written by `scripts/bench` (`make bench`); figures hold for this machine and day only.
Compare ratios, not rates: client and servers share the machine's cores.

{machine_text}

## Loads

All servers are up at once and run each load in turn, {rounds} rounds.
CPU is the server's own, user and kernel, by the kernel's scheduler statistics.
Ratios are to Redis in the same round, the median over the rounds; above 1 is better for ops, below 1 for CPU.
Without a number of keys, all commands go to one key.

{load_table(rows)}

To repeat a row (`--precision 3` prints the latencies to the microsecond):

{command_list(rows)}

## Memory

Resident bytes for each key of a million in a fresh server, without the server's own.

{memory_table(memory)}
"""


def command_list(rows):
    """How to repeat rows by hand."""
    return "\n".join(f"- {row.load.name()}: `{row.load.command_line()}`" for row in rows)


def sections(text):
    """The parts of a page by their heads; what stands before the first one has the head ""."""
    parts = re.split(r"(?m)^(?=## )", text)
    return {part.splitlines()[0] if part.startswith("## ") else "": part for part in parts}


def write_sections(path, text):
    """Writes a page, or some of its sections; sections of the old page that `text` lacks stay."""
    old = sections(path.read_text()) if path.exists() else {}
    parts = {head: part.strip() for head, part in {**old, **sections(text)}.items()}
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join(part for part in parts.values() if part) + "\n")


def machine(servers):
    """Where and with what this was measured."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    tool = subprocess.run([redis_benchmark(), "--version"], stdout=subprocess.PIPE, text=True)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    redis = next(server for server in servers if server.name == REDIS)
    return "\n".join(
        [
            f"- machine: {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, "
            f"{int(memory[1]) / 2**20:.0f} GB, {platform.system()} {platform.release()}",
            f"- crabcache: commit {commit.stdout.strip()}",
            f"- redis: {redis.info('redis_version')}, allocator {redis_allocator(redis)}",
            f"- load: {tool.stdout.strip()}, on the same machine",
            f"- date: {datetime.date.today().isoformat()}, load average at the end "
            f"{os.getloadavg()[1]:.1f}",
        ]
    )


def redis_allocator(server):
    with Connection(server.port) as connection:
        found = re.search(rb"mem_allocator:(\S+)", connection.call("INFO", "memory"))
    return found[1].decode() if found else "?"


def options(description, rounds=3, requests=1_000_000):
    """The command line that all benchmarks have, with these defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="of each load")
    parser.add_argument("--requests", type=int, default=requests, help="of a run at -P 16")
    parser.add_argument(
        "--patience", type=float, default=10, help="seconds to wait for others to be quiet, per run"
    )
    parser.add_argument("--port", type=int, default=0, help="first of the ports; 0: free ones")
    return parser

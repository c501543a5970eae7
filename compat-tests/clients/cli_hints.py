"""Types into redis-cli as a person would, and looks for the hints that it takes from COMMAND DOCS.
Usage: cli_hints.py PORT PATH-OF-REDIS-CLI"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

port, cli = sys.argv[1], sys.argv[2]
pid, terminal = pty.fork()
if pid == 0:
    # Rows and columns: redis-cli would ask the terminal for them.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    os.environ.update(TERM="xterm", REDISCLI_HISTFILE="/dev/null")
    os.execv(cli, [cli, "-p", port])


def shown(until, seconds=10):
    """What the terminal shows, up to the text `until`."""
    text, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
        if until in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text):
            return
    raise AssertionError(f"{until!r} does not show:\n{text}")


def type_(text):
    for letter in text:
        os.write(terminal, letter.encode())
        time.sleep(0.02)


shown(f"127.0.0.1:{port}>")
type_("getex ")
shown("key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]")
type_("\x15set k v\r")
shown("OK")
type_("help strlen\r")
shown("STRLEN key")
type_("quit\r")
os.waitpid(pid, 0)

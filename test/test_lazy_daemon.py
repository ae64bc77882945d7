# SPDX-License-Identifier: GPL-2.0
"""The lazy-pages daemon against a task whose every byte is known, killed daemons, and bad clients."""
import random
import signal
import socket
import struct
import subprocess

import pytest
from harness import paths

TORTURE = paths.ROOT / "build" / "lazy-tests" / "torture"
MAGIC, VERSION = 0x4C7A5031, 1
HELLO = "<IIiiIIII"
RANGE = "<QQIIQQQ"
PAGE = 4096


@pytest.fixture(scope="module", autouse=True)
def built():
    subprocess.run(["make", "-s", "-C", paths.ROOT, "lazy-tests"], check=True)


def torture(*args):
    done = subprocess.run([TORTURE, *map(str, args)], capture_output=True, text=True, timeout=80)
    assert "WRONG" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("pattern", ["full", "sparse", "random"])
@pytest.mark.parametrize("threads", [1, 4, 8])
def test_events_against_the_fill(pattern, threads):
    for seed in range(4):
        torture("-s", seed, "-p", pattern, "-t", threads, "-n", 1500)


@pytest.mark.parametrize("victim", ["daemon", "supervisor"])
def test_killed_at_random_moments(victim):
    chance = random.Random(7)
    for seed in range(25):
        args = ["-s", seed, "-t", 1 + seed % 6, "-n", 1500, "-k", chance.randrange(40000)]
        torture(*args, *(["-S"] if victim == "supervisor" else []))


@pytest.fixture
def daemon(tmp_path):
    log = tmp_path / "log"
    process = subprocess.Popen(
        [paths.BINARY, "lazy-pages", "-D", tmp_path, "-v4", "-o", log, "--status-fd", "1"],
        stdout=subprocess.PIPE)
    assert process.stdout.read(1) == b"\0"
    yield tmp_path
    assert process.poll() is None, log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0, log.read_text()
    process.stdout.close()


def hello(magic=MAGIC, version=VERSION, pid=5, ranges=0, eager=0, tasks=2, flags=0):
    return struct.pack(HELLO, magic, version, pid, 0, ranges, eager, tasks, flags)


def area(start, end, kind=1, flags=0, page_size=PAGE):
    return struct.pack(RANGE, start, end, kind, flags, 0, 0, page_size)


def say(directory, data):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(directory / "lazy-pages.socket"))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return client.recv(64)


BAD = {
    "magic": hello(magic=1),
    "version": hello(version=99),
    "flags": hello(flags=1),
    "pid": hello(pid=-3),
    "no tasks": hello(tasks=0),
    "absurd count": hello(ranges=0xFFFFFFFF),
    "no descriptor": hello(ranges=1) + area(PAGE, 2 * PAGE),
    "empty area": hello(ranges=1) + area(PAGE, PAGE),
    "unaligned area": hello(ranges=1) + area(PAGE + 1, 2 * PAGE),
    "area beyond everything": hello(ranges=1) + area(PAGE, (1 << 64) - PAGE),
    "unknown kind": hello(ranges=1) + area(PAGE, 2 * PAGE, kind=9),
    "page size": hello(ranges=1) + area(PAGE, 2 * PAGE, page_size=0),
    "overlap": hello(ranges=2) + area(PAGE, 3 * PAGE) + area(2 * PAGE, 4 * PAGE),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_hello_is_refused(name, daemon):
    magic, status = struct.unpack("<Ii", say(daemon, BAD[name]))
    assert magic == MAGIC and status < 0


def test_half_a_hello_harms_nobody(daemon):
    assert say(daemon, hello()[:10]) == b""
    assert say(daemon, hello(ranges=3) + area(PAGE, 2 * PAGE)) == b""
    assert say(daemon, b"") == b""


def test_a_task_without_memory_is_counted(daemon):
    magic, status = struct.unpack("<Ii", say(daemon, hello()))
    assert magic == MAGIC and status == 0

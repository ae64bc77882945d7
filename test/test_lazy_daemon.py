# SPDX-License-Identifier: GPL-2.0
"""The lazy-pages daemon against a task whose every byte is known, killed daemons, and bad clients."""
import json
import os
import random
import signal
import socket
import struct
import subprocess
import time

import pytest
from harness import images, paths
from harness.victim import wait_for

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
    for seed in range(8):
        torture("-s", seed, "-p", pattern, "-t", threads, "-n", 1500)


def test_removals_from_a_shared_segment():
    """The kernel does not say which advice it was; a task that cannot be asked is ended."""
    for seed in range(6):
        done = subprocess.run([TORTURE, "-R", "-s", str(seed), "-t", "4", "-n", "1500"],
                              capture_output=True, text=True, timeout=80)
        assert "WRONG" not in done.stderr, done.stderr
        if done.returncode != 0:
            assert done.returncode == 4, done.stderr
            errors = [line for line in done.stderr.splitlines() if "killed: " in line]
            assert len(errors) == 1 and "cannot be asked how" in errors[0], done.stderr


def test_forks_while_another_thread_moves_memory():
    for seed in range(10):
        torture("-s", seed, "-p", "full", "-t", 1 + seed % 3, "-n", 3000, "-M")


def test_forks_where_moved_memory_was_unmapped_and_its_place_kept():
    for seed in range(4):
        torture("-s", seed, "-p", "full", "-t", 4, "-n", 10, "-D")
    for _ in range(4):
        torture("-s", 5116, "-t", 5, "-n", 1500)


@pytest.mark.parametrize("victim", ["daemon", "supervisor"])
def test_killed_at_random_moments(victim):
    chance = random.Random(7)
    for seed in range(25):
        args = ["-s", seed, "-t", 1 + seed % 6, "-n", 1500, "-k", chance.randrange(40000)]
        torture(*args, *(["-S"] if victim == "supervisor" else ["-L", "kill"]))


@pytest.mark.parametrize("source", ["images", "elsewhere"])
@pytest.mark.parametrize("policy", ["restart", "hold"])
def test_another_daemon_takes_over(policy, source):
    """The task must not notice but by waiting, whenever and however often its daemon is killed."""
    chance = random.Random(f"{policy} {source}")
    for seed in range(10):
        torture("-s", seed, "-t", 1 + seed % 6, "-n", 800, "-k", chance.randrange(30000),
                "-K", 1 + seed % 3, "-L", policy, *(["-r"] if source == "elsewhere" else []))


def test_a_daemon_that_dies_all_the_time_is_not_followed_for_ever():
    done = subprocess.run([TORTURE, "-s", "5", "-n", "3000", "-m", "64", "-k", "20000", "-K", "9"],
                          capture_output=True, text=True, timeout=80)
    assert "WRONG" not in done.stderr, done.stderr
    assert done.returncode in (0, 4), done.stderr


class Daemon:
    def __init__(self, directory):
        self.directory = directory
        self.log = directory / "log"
        self.process = subprocess.Popen(
            [paths.BINARY, "lazy-pages", "-D", directory, "-v4", "-o", self.log,
             "--status-fd", "1"], stdout=subprocess.PIPE)
        assert self.process.stdout.read(1) == b"\0"

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.directory / "lazy-pages.socket"))
        return client

    def say(self, data):
        with self.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.recv(64)

    def stop(self):
        assert self.process.poll() is None, self.log.read_text()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
    made.process.wait(10)
    made.process.stdout.close()


def hello(magic=MAGIC, version=VERSION, pid=5, ranges=0, eager=0, tasks=2, flags=0):
    return struct.pack(HELLO, magic, version, pid, 0, ranges, eager, tasks, flags)


def area(start, end, kind=1, flags=0, page_size=PAGE):
    return struct.pack(RANGE, start, end, kind, flags, 0, 0, page_size)


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
    magic, status = struct.unpack("<Ii", daemon.say(BAD[name]))
    assert magic == MAGIC and status < 0
    assert daemon.stop() == 1, daemon.log.read_text()


def test_half_a_hello_harms_nobody(daemon):
    assert daemon.say(hello()[:10]) == b""
    assert daemon.say(hello(ranges=3) + area(PAGE, 2 * PAGE)) == b""
    assert daemon.say(b"") == b""
    assert daemon.stop() == 0, daemon.log.read_text()


def test_a_task_without_memory_is_counted(daemon):
    magic, status = struct.unpack("<Ii", daemon.say(hello()))
    assert magic == MAGIC and status == 0
    assert daemon.stop() == 0, daemon.log.read_text()


@pytest.mark.parametrize("last_words", [b"", hello()[:10], hello(magic=1)])
def test_a_task_that_leaves_is_not_waited_for(last_words, daemon):
    with daemon.connect() as first, daemon.connect() as second:
        first.sendall(hello())
        assert struct.unpack("<Ii", first.recv(64)) == (MAGIC, 0)
        second.sendall(last_words)
    assert daemon.process.wait(1.5) == 1, daemon.log.read_text()
    assert "1 of 2 tasks came" in daemon.log.read_text()


def test_when_no_task_says_hello_the_daemon_ends(daemon):
    daemon.connect().close()
    assert daemon.process.wait(5) == 1, daemon.log.read_text()


def test_a_second_daemon_is_refused_and_counts_as_nobody(daemon):
    second = subprocess.run([paths.BINARY, "lazy-pages", "-D", daemon.directory],
                            capture_output=True, text=True, timeout=10)
    assert second.returncode == 1 and "a daemon listens there" in second.stdout + second.stderr
    time.sleep(2.5)
    assert daemon.stop() == 0, daemon.log.read_text()


@pytest.mark.parametrize("mode", ["lazy", "daemon"])
def test_a_failed_restore_ends_the_daemon(mode, victim, program):
    subject = victim("mem_private")
    program.dump(subject.pid)
    subject.reap_killed()
    script = program.directory / "fail"
    script.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != pre-resume ]\n')
    script.chmod(0o755)
    done = program.restore(mode, "--action-script", script, check=False)
    assert done.returncode == 1
    if mode == "daemon":
        program.daemon.wait(5)  # all pages may have been there before the script failed


def test_statistics_as_text_and_as_image(victim, program):
    subject = victim("mem_private")
    program.dump(subject.pid)
    subject.reap_killed()
    program.restore("daemon")
    program.end_daemon()
    subject.finish()
    pages = json.loads((program.images / "lazy-pages-stats.json").read_text())["pages"]
    images.check_all(program.images)
    entry = images.decode_in_process(program.images / "stats-lazy-pages")["entries"][0]
    delivered = sum(pages[cause] for cause in ("demand", "neighbour", "background", "eager"))
    assert int(entry["restore"]["pages_restored"]) == delivered > 0


@pytest.mark.parametrize("how", ["demand", "background"])
def test_a_page_that_cannot_be_read_is_poisoned(how, victim, program):
    """Cut when all hellos are answered and nothing runs yet: before, the restore refuses it.

    The background waits for about 300 ms when a working set is recorded, with demand for ever.
    """
    subject = victim("lazy_damage")
    program.dump(subject.pid)
    subject.reap_killed()
    path = max(program.images.glob("pages-*.img"), key=lambda path: path.stat().st_size)
    cut = program.directory / "cut"
    cut.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != pre-resume ] || '
                   f'truncate -s {path.stat().st_size - (4 << 20)} {path}\n')
    cut.chmod(0o755)
    options = {"demand": ["--memory-mode", "demand"], "background": ["--record-working-set"]}
    program.start_daemon(*options[how])
    program.restore("lazy", "--action-script", cut)
    log = program.images / "lazy-pages.log"
    if how == "background":
        wait_for(lambda: "all there after" in log.read_text(), 30, "end of the background")
        if "cannot be read" not in log.read_text():
            pytest.skip("all was there before the image was cut")
    subject.path("damaged").touch()
    subject.finish()
    assert program.daemon.wait(30) == 1
    program.daemon = None
    assert "cannot be read: it is poisoned" in log.read_text()


def killed_while_stopped(program, victim, policy):
    """The restore's script kills the daemon when all is armed and nothing runs yet."""
    subject = victim("mem_large")
    program.dump(subject.pid)
    subject.reap_killed()
    program.start_daemon("--on-daemon-loss", policy)
    script = program.directory / "kill"
    script.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != pre-resume ] || '
                      f'kill -9 $(cat /proc/{program.daemon.pid}/task/*/children)\n')
    script.chmod(0o755)
    program.restore("lazy", "--action-script", script)
    return subject, program.images / "lazy-pages.log"


def test_a_restored_tree_is_taken_over(victim, program):
    subject, log = killed_while_stopped(program, victim, "restart")
    subject.finish()
    program.end_daemon()
    assert "has taken over" in log.read_text()


def test_a_held_tree_goes_on_when_a_daemon_is_started(victim, program):
    subject, log = killed_while_stopped(program, victim, "hold")
    wait_for(lambda: "in the same work directory" in log.read_text(), 10, "the log says what to do")
    subject.path("go").touch()
    time.sleep(0.5)
    assert subject.result() is None, "it cannot have all its pages"
    done = subprocess.run([paths.BINARY, "lazy-pages", "-D", program.images, "-o", "second.log"],
                          timeout=20)
    assert done.returncode == 0, (program.images / "second.log").read_text()
    subject.finish()
    program.end_daemon()


def test_a_held_tree_is_ended_with_its_supervisor(victim, program):
    subject, log = killed_while_stopped(program, victim, "hold")
    wait_for(lambda: "in the same work directory" in log.read_text(), 10, "the log says what to do")
    program.daemon.send_signal(signal.SIGTERM)
    assert program.daemon.wait(20) == 1
    program.daemon = None
    assert subject.wait(10) == -signal.SIGKILL


def test_a_fork_waits_for_a_descriptor(victim, program):
    """The daemon has no descriptor to spare; forks wait for one, and see the right bytes."""
    subject = victim("lazy_forks")
    program.dump(subject.pid)
    subject.reap_killed()
    program.binary = program.directory / "few"
    program.binary.write_text(f'#!/bin/sh\nulimit -n 40\nexec {paths.BINARY} "$@"\n')
    program.binary.chmod(0o755)
    program.start_daemon()
    program.binary = paths.BINARY
    program.restore("lazy")
    subject.finish()
    program.end_daemon()


STOP_DAEMON = """#!/bin/sh
[ "$CRTOOLS_SCRIPT_ACTION" = pre-resume ] || exit 0
for comm in $(grep -slx 'lazy-.*' /proc/[0-9]*/comm); do
    pid=$(basename "$(dirname "$comm")")
    [ "$(readlink "/proc/$pid/cwd")" = "$PWD" ] && kill -STOP "$pid" && echo "$pid" >>stopped
done
true
"""


@pytest.mark.parametrize("log", [True, False])
def test_who_reads_the_output_of_restore_need_not_wait_for_the_daemon(log, victim, program):
    """To the end of all streams, as subprocess.run() and runc do; it has a log of its own."""
    subject = victim("mem_large")
    program.dump(subject.pid)
    subject.reap_killed()
    script = program.directory / "stop"
    script.write_text(STOP_DAEMON)
    script.chmod(0o755)
    command = [paths.BINARY, "restore", "-D", program.images, "-d", "--lazy-pages", "-v4",
               "--action-script", script, *(["-o", "restore.log"] if log else [])]
    stopped = []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    finally:
        if (program.images / "stopped").exists():
            stopped = [int(pid) for pid in (program.images / "stopped").read_text().split()]
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    subject.path("go").touch()
    subject.finish()
    if not stopped:
        pytest.skip("the daemon was done before it could be stopped")
    text = (program.images / "lazy-pages.log").read_text()
    assert "pages" in text and "pages" not in done.stdout, text
    if log:
        assert done.stderr == ""

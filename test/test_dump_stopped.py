# SPDX-License-Identifier: GPL-2.0
"""A dump that is ended from outside leaves the tree running as before, untraced and undamaged."""
import contextlib
import os
import random
import signal
import subprocess
import time

import pytest
from harness import paths, proc
from harness.victim import wait_for

ROUNDS = 25


def is_free(pid):
    return "TracerPid:\t0" in proc.read(f"/proc/{pid}/status")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_leaves_the_tree_alone(number, victim, tmp_path):
    subject = victim("busy_threads")
    chance = random.Random(number)
    for _ in range(ROUNDS):
        dump = subprocess.Popen([paths.BINARY, "dump", "-t", str(subject.pid), "-D", tmp_path, "-R",
                                 "-o", "dump.log"], stdin=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.02)
        dump.send_signal(number)
        assert dump.wait(timeout=30) in (0, 1, -number)
        wait_for(lambda: is_free(subject.pid), 10, "end of tracing")
    subject.finish()


def test_takes_nothing_from_an_earlier_set(victim, program):
    """Data of the first set must not come back with the second, nor a failed dump look whole."""
    first = victim("pipe_data")
    program.dump(first.pid, "--leave-running")
    assert (program.images / "pipes-data.img").exists()
    second = victim("sig_actions")
    program.dump(second.pid, "--leave-running")
    assert not (program.images / "pipes-data.img").exists()
    assert not (program.images / f"core-{first.pid}.img").exists()
    # A limit on the size of files makes the dump fail in the middle.
    failed = subprocess.run(["prlimit", "--fsize=8192", paths.BINARY, "dump", "-t", str(first.pid),
                             "-D", program.images, "-R", "-o", "dump.log"], check=False,
                            stdin=subprocess.DEVNULL, preexec_fn=ignore_file_size_signal)
    assert failed.returncode == 1
    assert not (program.images / "inventory.img").exists()
    wait_for(lambda: is_free(first.pid), 10, "end of tracing")
    first.finish()
    second.finish()


def ignore_file_size_signal():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def wait_until_stopped(pid):
    """A thread that is let go with the stop signal pending takes a moment to get to it."""
    wait_for(lambda: proc.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "T", 5,
             f"stop of {pid}")


def test_leaves_it_stopped_and_running(victim, program):
    subject = victim("busy_threads")
    program.dump(subject.pid, "--leave-stopped")
    wait_until_stopped(subject.pid)
    program.dump(subject.pid, "--leave-running")  # stopped before, stopped afterwards
    wait_until_stopped(subject.pid)
    # Its child of the moment was stopped too; it may end as soon as it goes on.
    for pid in reversed(proc.tree(subject.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    program.dump(subject.pid, "--leave-running")
    subject.finish()
